//! CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO: a connection's say in client-side caching. See [`crate::tracking`].

use super::switch;
use crate::exec::{Args, Exec};
use crate::tracking::{Tracking, disable, enable};
use commandtable::{Error, Outcome};
use std::ops::Bound;

/// `CLIENT GETREDIR`.
///
/// Reply: the client that gets the messages; 0 for this one, -1 when it does not track.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, CLIENT GETREDIR (since 6.0.0).
pub(super) fn get_redir(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.out.int(redirection(x.client.tracking.as_deref()));
    Ok(())
}

/// Where messages go, as replies and CLIENT LIST tell it.
pub(super) fn redirection(tracking: Option<&Tracking>) -> i64 {
    tracking.map_or(-1, |tracking| tracking.redirect.unwrap_or(0) as i64)
}

/// `CLIENT TRACKINGINFO`.
///
/// Reply: a map: flags, the client redirected to, prefixes.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, CLIENT TRACKINGINFO (since 6.2.0).
pub(super) fn info(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let tracking = x.client.tracking.as_deref();
    let off = Tracking::default();
    let mode = tracking.unwrap_or(&off);
    let flags: Vec<&str> = [
        (tracking.is_none(), "off"),
        (tracking.is_some(), "on"),
        (mode.broadcast, "bcast"),
        (mode.opt_in, "optin"),
        (mode.opt_in && mode.caching, "caching-yes"),
        (mode.opt_out, "optout"),
        (mode.opt_out && mode.caching, "caching-no"),
        (mode.no_loop, "noloop"),
        (mode.broken_redirect, "broken_redirect"),
    ]
    .into_iter()
    .filter_map(|(holds, name)| holds.then_some(name))
    .collect();
    x.out.map(3);
    x.out.bulk(b"flags");
    x.out.set(flags.len());
    for flag in flags {
        x.out.bulk(flag.as_bytes());
    }
    x.out.bulk(b"redirect");
    x.out.int(redirection(tracking));
    x.out.bulk(b"prefixes");
    x.out.array(mode.prefixes.len());
    for prefix in &mode.prefixes {
        x.out.bulk(prefix);
    }
    Ok(())
}

/// `CLIENT TRACKING ON|OFF [REDIRECT id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]`.
///
/// Reply: OK.
/// Errors: syntax; a client that is not there; options that exclude each other or the present mode; prefixes that overlap.
/// Propagates: nothing.
/// Source: Valkey command reference, CLIENT TRACKING (since 6.0.0).
pub(super) fn tracking(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let mut wish = Tracking::default();
    let mut prefixes: Vec<&[u8]> = Vec::new();
    let mut rest = &args[3..];
    while let Some((option, tail)) = rest.split_first() {
        rest = tail;
        match (option.to_ascii_lowercase().as_slice(), tail) {
            (b"redirect", [id, tail @ ..]) => {
                if wish.redirect.is_some() {
                    return Err(Error::TRACKING_ONE_REDIRECT);
                }
                let id = dataset::number::int(id)? as u64;
                if id != x.client.id && x.state.clients.slot(id).is_none() {
                    return Err(Error::TRACKING_NO_SUCH_CLIENT);
                }
                wish.redirect = Some(id);
                rest = tail;
            }
            (b"prefix", [prefix, tail @ ..]) => {
                prefixes.push(prefix);
                rest = tail;
            }
            (b"bcast", _) => wish.broadcast = true,
            (b"optin", _) => wish.opt_in = true,
            (b"optout", _) => wish.opt_out = true,
            (b"noloop", _) => wish.no_loop = true,
            _ => return Err(Error::SYNTAX),
        }
    }
    if switch(args[2])? {
        check(&wish, &prefixes, x.client.tracking.as_deref())?;
        wish.prefixes = prefixes.into_iter().map(Box::from).collect();
        enable(x, wish);
    } else {
        disable(x.keys, &mut x.state.tracking, x.client);
    }
    x.out.ok();
    Ok(())
}

/// Refuses what does not go together, or not with the mode that is on.
fn check(wish: &Tracking, prefixes: &[&[u8]], now: Option<&Tracking>) -> Outcome {
    if !wish.broadcast && !prefixes.is_empty() {
        return Err(Error::TRACKING_PREFIX_MODE);
    }
    if now.is_some_and(|now| now.broadcast != wish.broadcast) {
        return Err(Error::TRACKING_BROADCAST_SWITCH);
    }
    if wish.broadcast && (wish.opt_in || wish.opt_out) {
        return Err(Error::TRACKING_BROADCAST_CHOICE);
    }
    if wish.opt_in && wish.opt_out {
        return Err(Error::TRACKING_BOTH_CHOICES);
    }
    if now.is_some_and(|now| wish.opt_in && now.opt_out || wish.opt_out && now.opt_in) {
        return Err(Error::TRACKING_CHOICE_SWITCH);
    }
    let Some(now) = now else {
        return disjoint(prefixes);
    };
    for prefix in prefixes {
        // Those that are there do not overlap: what is a prefix of another stands right in front of it.
        let (below, above) = (
            (Bound::Unbounded, Bound::Excluded(*prefix)),
            (Bound::Included(*prefix), Bound::Unbounded),
        );
        let before = now.prefixes.range::<[u8], _>(below).next_back();
        let after = now.prefixes.range::<[u8], _>(above).next();
        let before = before.filter(|other| prefix.starts_with(other));
        let after = after.filter(|other| other.starts_with(prefix));
        if let Some(other) = before.or(after) {
            return Err(Error::prefix_overlap(prefix, "an existing", other));
        }
    }
    disjoint(prefixes)
}

/// Refuses prefixes of which one is a prefix of another.
fn disjoint(prefixes: &[&[u8]]) -> Outcome {
    let mut sorted: Vec<(&[u8], usize)> = prefixes.iter().copied().zip(0..).collect();
    sorted.sort_unstable();
    let overlaps = sorted.windows(2).filter_map(|pair| match pair {
        [(a, i), (b, j)] if b.starts_with(a) => Some((*i.min(j), *i.max(j))),
        _ => None,
    });
    match overlaps.min() {
        Some((i, j)) => Err(Error::prefix_overlap(
            prefixes[i],
            "another provided",
            prefixes[j],
        )),
        None => Ok(()),
    }
}

/// `CLIENT CACHING YES|NO`: whether the keys of the next command or transaction are remembered.
///
/// Reply: OK.
/// Errors: the client does not track, or does not choose; the word that is the rule anyway; syntax.
/// Propagates: nothing.
/// Source: Valkey command reference, CLIENT CACHING (since 6.0.0).
pub(super) fn caching(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let Some(tracking) = x.client.tracking.as_deref_mut() else {
        return Err(Error::CACHING);
    };
    if args[2].eq_ignore_ascii_case(b"yes") {
        if !tracking.opt_in {
            return Err(Error::CACHING_YES);
        }
    } else if args[2].eq_ignore_ascii_case(b"no") {
        if !tracking.opt_out {
            return Err(Error::CACHING_NO);
        }
    } else {
        return Err(Error::SYNTAX);
    }
    tracking.caching = true;
    x.out.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn options_exclude_each_other() {
        check(
            r#"
            > CLIENT TRACKING on PREFIX a
            < (error) ERR PREFIX option requires BCAST mode to be enabled
            > CLIENT TRACKING on BCAST PREFIX foo PREFIX foobar
            < (error) ERR Prefix 'foo' overlaps with another provided prefix 'foobar'. Prefixes for a single client must not overlap.
            > CLIENT TRACKING on BCAST PREFIX b PREFIX ab PREFIX c PREFIX a
            < (error) ERR Prefix 'ab' overlaps with another provided prefix 'a'. Prefixes for a single client must not overlap.
            > CLIENT TRACKING on BCAST PREFIX b PREFIX a PREFIX b
            < (error) ERR Prefix 'b' overlaps with another provided prefix 'b'. Prefixes for a single client must not overlap.
            > CLIENT TRACKING on BCAST OPTIN
            < (error) ERR OPTIN and OPTOUT are not compatible with BCAST
            > CLIENT TRACKING on OPTIN OPTOUT
            < (error) ERR You can't specify both OPTIN mode and OPTOUT mode
            > CLIENT TRACKING on REDIRECT 99
            < (error) ERR The client ID you want redirect to does not exist
            > CLIENT CACHING yes
            < (error) ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled
            > CLIENT TRACKING on BCAST PREFIX a PREFIX c:d
            < OK
            > CLIENT TRACKING on BCAST PREFIX ab
            < (error) ERR Prefix 'ab' overlaps with an existing prefix 'a'. Prefixes for a single client must not overlap.
            > CLIENT TRACKING on BCAST PREFIX b PREFIX c
            < (error) ERR Prefix 'c' overlaps with an existing prefix 'c:d'. Prefixes for a single client must not overlap.
            > CLIENT TRACKING on BCAST PREFIX b PREFIX a
            < (error) ERR Prefix 'a' overlaps with an existing prefix 'a'. Prefixes for a single client must not overlap.
            > CLIENT TRACKING on BCAST PREFIX b PREFIX c:e
            < OK
            > CLIENT GETREDIR
            < (integer) 0
            > CLIENT TRACKING on
            < (error) ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.
            > CLIENT TRACKING off
            < OK
            > CLIENT GETREDIR
            < (integer) -1
            "#,
        );
    }
}
