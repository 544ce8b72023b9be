//! SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE and their opposites, PUBLISH, SPUBLISH, PUBSUB.

use super::Family;
use crate::client::{Client, ClientFlags, name_bytes};
use crate::exec::{Args, Exec};
use crate::pubsub::Kind;
use crate::state::ServerState;
use commandtable::{Error, Outcome};

pub(super) static COMMANDS: Family = &[
    ("subscribe", |x, args| subscribe(x, args, Kind::Channel)),
    ("psubscribe", |x, args| subscribe(x, args, Kind::Pattern)),
    ("ssubscribe", |x, args| subscribe(x, args, Kind::Shard)),
    ("unsubscribe", |x, args| unsubscribe(x, args, Kind::Channel)),
    ("punsubscribe", |x, args| {
        unsubscribe(x, args, Kind::Pattern)
    }),
    ("sunsubscribe", |x, args| unsubscribe(x, args, Kind::Shard)),
    ("publish", publish),
    ("spublish", spublish),
    ("pubsub|channels", channels),
    ("pubsub|numsub", numsub),
    ("pubsub|numpat", numpat),
    ("pubsub|shardchannels", shard_channels),
    ("pubsub|shardnumsub", shard_numsub),
    ("pubsub|help", help),
];

fn names(client: &mut Client, kind: Kind) -> &mut hashbrown::HashSet<Box<[u8]>> {
    let subscriptions = client.subscriptions.get_or_insert_default();
    match kind {
        Kind::Channel => &mut subscriptions.channels,
        Kind::Pattern => &mut subscriptions.patterns,
        Kind::Shard => &mut subscriptions.shard_channels,
    }
}

/// The number that a confirmation ends with: shard channels are counted apart.
fn count(client: &Client, kind: Kind) -> usize {
    match kind {
        Kind::Shard => client
            .subscriptions
            .as_ref()
            .map_or(0, |subs| subs.shard_channels.len()),
        Kind::Channel | Kind::Pattern => client.subscription_count(),
    }
}

fn refresh_flag(client: &mut Client) {
    let subscribed = client
        .subscriptions
        .as_ref()
        .is_some_and(|subs| !subs.is_empty());
    client.flags.put(ClientFlags::PUBSUB, subscribed);
    if !subscribed {
        client.subscriptions = None;
    }
}

/// `SUBSCRIBE channel [channel ...]`, `PSUBSCRIBE pattern ...`, `SSUBSCRIBE shardchannel ...`.
///
/// Reply: one confirmation per name: kind, name, number of subscriptions.
/// Errors: none; inside EXEC too.
/// Propagates: nothing.
/// Source: Valkey command reference, SUBSCRIBE (since 2.0.0), SSUBSCRIBE (since 7.0.0).
fn subscribe(x: &mut Exec<'_>, args: Args<'_>, kind: Kind) -> Outcome {
    let word: &[u8] = match kind {
        Kind::Channel => b"subscribe",
        Kind::Pattern => b"psubscribe",
        Kind::Shard => b"ssubscribe",
    };
    for name in &args[1..] {
        if names(x.client, kind).insert((*name).into()) {
            x.client.names_bytes += name_bytes(name);
            x.state.pubsub.subscribe(kind, name, x.client.id);
        }
        x.out.push(3);
        x.out.bulk(word);
        x.out.bulk(name);
        x.out.uint(count(x.client, kind));
    }
    refresh_flag(x.client);
    Ok(())
}

/// `UNSUBSCRIBE [channel ...]`, `PUNSUBSCRIBE [pattern ...]`, `SUNSUBSCRIBE [shardchannel ...]`; without names, all.
///
/// Reply: one confirmation per name; one with a null name when there was nothing to give up.
/// Errors: none; without any subscription it is refused before it runs, with NOSUB.
/// Propagates: nothing.
/// Source: Valkey command reference, UNSUBSCRIBE (since 2.0.0), SUNSUBSCRIBE (since 7.0.0).
fn unsubscribe(x: &mut Exec<'_>, args: Args<'_>, kind: Kind) -> Outcome {
    let word: &[u8] = match kind {
        Kind::Channel => b"unsubscribe",
        Kind::Pattern => b"punsubscribe",
        Kind::Shard => b"sunsubscribe",
    };
    let wanted: Vec<Box<[u8]>> = if args.len() > 1 {
        args[1..].iter().map(|name| (*name).into()).collect()
    } else {
        names(x.client, kind).iter().cloned().collect()
    };
    if wanted.is_empty() {
        x.out.push(3);
        x.out.bulk(word);
        x.out.null();
        x.out.uint(count(x.client, kind));
    }
    for name in wanted {
        if names(x.client, kind).remove(&name) {
            x.client.names_bytes -= name_bytes(&name);
            x.state.pubsub.unsubscribe(kind, &name, x.client.id);
        }
        x.out.push(3);
        x.out.bulk(word);
        x.out.bulk(&name);
        x.out.uint(count(x.client, kind));
    }
    refresh_flag(x.client);
    Ok(())
}

/// Gives up all subscriptions of a client without telling it.
pub(crate) fn forget(state: &mut ServerState, client: &mut Client) {
    if let Some(subscriptions) = client.subscriptions.take() {
        for (kind, names) in [
            (Kind::Channel, &subscriptions.channels),
            (Kind::Pattern, &subscriptions.patterns),
            (Kind::Shard, &subscriptions.shard_channels),
        ] {
            for name in names {
                client.names_bytes -= name_bytes(name);
                state.pubsub.unsubscribe(kind, name, client.id);
            }
        }
    }
    client.flags.clear(ClientFlags::PUBSUB);
}

/// `PUBLISH channel message`.
///
/// Reply: the number of clients that receive it.
/// Errors: none.
/// Propagates: itself, so that clients of replicas receive it too.
/// Source: Valkey command reference, PUBLISH (since 2.0.0).
fn publish(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let receivers = x.state.pubsub.receivers(args[1]);
    x.publish(false, args[1], args[2], receivers);
    x.propagate_always();
    x.out.uint(receivers);
    Ok(())
}

/// `SPUBLISH shardchannel message`.
///
/// Reply: the number of clients that receive it.
/// Errors: none.
/// Propagates: itself.
/// Source: Valkey command reference, SPUBLISH (since 7.0.0).
fn spublish(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let receivers = x.state.pubsub.listeners(Kind::Shard, args[1]);
    x.publish(true, args[1], args[2], receivers);
    x.propagate_always();
    x.out.uint(receivers);
    Ok(())
}

fn list(x: &mut Exec<'_>, args: Args<'_>, kind: Kind) -> Outcome {
    if args.len() > 3 {
        return Err(Error::subcommand_syntax(args));
    }
    let names = x.state.pubsub.names(kind, args.get(2).copied());
    x.out.array(names.len());
    for name in names {
        x.out.bulk(name);
    }
    Ok(())
}

fn counts(x: &mut Exec<'_>, args: Args<'_>, kind: Kind) -> Outcome {
    let names = &args[2..];
    x.out.array(names.len() * 2);
    for name in names {
        x.out.bulk(name);
        x.out.uint(x.state.pubsub.listeners(kind, name));
    }
    Ok(())
}

/// `PUBSUB CHANNELS [pattern]`.
///
/// Reply: the channels somebody listens to.
/// Errors: syntax.
/// Propagates: nothing.
/// Source: Valkey command reference, PUBSUB CHANNELS (since 2.8.0).
fn channels(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    list(x, args, Kind::Channel)
}

/// `PUBSUB SHARDCHANNELS [pattern]`.
///
/// Reply: the shard channels somebody listens to.
/// Errors: syntax.
/// Propagates: nothing.
/// Source: Valkey command reference, PUBSUB SHARDCHANNELS (since 7.0.0).
fn shard_channels(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    list(x, args, Kind::Shard)
}

/// `PUBSUB NUMSUB [channel ...]`.
///
/// Reply: channel, number of subscribers, and so on.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, PUBSUB NUMSUB (since 2.8.0).
fn numsub(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    counts(x, args, Kind::Channel)
}

/// `PUBSUB SHARDNUMSUB [shardchannel ...]`.
///
/// Reply: shard channel, number of subscribers, and so on.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, PUBSUB SHARDNUMSUB (since 7.0.0).
fn shard_numsub(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    counts(x, args, Kind::Shard)
}

/// `PUBSUB NUMPAT`.
///
/// Reply: the number of distinct patterns.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, PUBSUB NUMPAT (since 2.8.0).
fn numpat(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.out.uint(x.state.pubsub.counts().1);
    Ok(())
}

/// `PUBSUB HELP`.
///
/// Reply: lines of help.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, PUBSUB HELP (since 6.2.0).
fn help(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.reply_help(
        "PUBSUB",
        &[
            "CHANNELS [<pattern>]",
            "    Return the currently active channels matching a <pattern> (default: '*').",
            "NUMPAT",
            "    Return number of subscriptions to patterns.",
            "NUMSUB [<channel> ...]",
            "    Return the number of subscribers for the specified channels, excluding",
            "    pattern subscriptions(default: no channels).",
            "SHARDCHANNELS [<pattern>]",
            "    Return the currently active shard level channels matching a <pattern> (default: '*').",
            "SHARDNUMSUB [<shardchannel> ...]",
            "    Return the number of subscribers for the specified shard level channel(s)",
        ],
    );
    Ok(())
}
