//! Client-side caching: who has been told which keys, and how they learn that what they hold is stale.
//!
//! By default the server remembers the keys that a tracking client reads and tells it once when one of them changes. In
//! broadcasting mode it remembers nothing but prefixes, and tells of every change below them. Keys count by name, whatever
//! their database. Source: the Valkey documentation on client-side caching.

use crate::client::{Client, ClientFlags, ClientId, Clients, name_bytes};
use crate::exec::{Args, Exec};
use crate::state::ServerState;
use commandtable::{CommandInfo, Flags};
use dataset::effects::{self, Change};
use dataset::{Crowd, give_back};
use hashbrown::HashMap;
use resp::Reply;
use std::collections::{BTreeMap, BTreeSet};

/// The channel that RESP2 connections listen to on behalf of a tracking client.
const CHANNEL: &[u8] = b"__redis__:invalidate";
/// When the table is full, one key in this many goes: each key that is read would cost a pass over the table otherwise.
const EVICTED_SHARE: usize = 128;

/// What CLIENT TRACKING ON asked for.
#[derive(Clone, Debug, Default)]
pub struct Tracking {
    /// Who gets the messages instead.
    pub redirect: Option<ClientId>,
    /// Told of all changes below `prefixes`.
    pub broadcast: bool,
    /// Only reads behind CLIENT CACHING YES are remembered.
    pub opt_in: bool,
    /// Reads behind CLIENT CACHING NO are not remembered.
    pub opt_out: bool,
    /// Not told of its own changes.
    pub no_loop: bool,
    /// CLIENT CACHING was said: holds for the next command or transaction.
    pub caching: bool,
    /// A message could not be delivered: `redirect` is gone.
    pub broken_redirect: bool,
    /// What it is told of in broadcasting mode; the empty prefix is everything.
    pub prefixes: BTreeSet<Box<[u8]>>,
}

/// A key that is stale, or all keys.
type Stale = Option<Box<[u8]>>;

/// Those who listen to a prefix, and the keys below it that have changed since they were told, with who changed them.
#[derive(Debug, Default)]
struct Prefix {
    clients: Crowd<()>,
    changed: BTreeMap<Box<[u8]>, ClientId>,
}

/// What the server remembers of its tracking clients.
#[derive(Debug, Default)]
pub struct Table {
    /// Clients that track.
    clients: Crowd<()>,
    /// Who may hold a key. Clients that no longer track are left here until the key changes.
    keys: HashMap<Box<[u8]>, Crowd<()>>,
    /// Length of all lists in `keys`.
    items: usize,
    prefixes: BTreeMap<Box<[u8]>, Prefix>,
    /// Messages on their way: to whom, made by whom, what is stale.
    pending: Vec<(ClientId, (ClientId, Stale))>,
}

impl Table {
    /// Clients that track.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Keys that somebody holds.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Pairs of key and client.
    #[must_use]
    pub fn items(&self) -> usize {
        self.items
    }

    /// Prefixes that somebody listens to.
    #[must_use]
    pub fn prefixes(&self) -> usize {
        self.prefixes.len()
    }

    fn remember(&mut self, key: &[u8], client: ClientId) {
        let is_new = match self.keys.get_mut(key) {
            Some(holders) => holders.insert(client, ()),
            None => {
                self.keys.insert(key.into(), Crowd::of(client, ()));
                true
            }
        };
        self.items += usize::from(is_new);
    }

    fn forget_key(&mut self, key: &[u8]) -> Crowd<()> {
        let holders = self.keys.remove(key).unwrap_or_default();
        give_back(&mut self.keys);
        self.items -= holders.len();
        holders
    }

    /// Queues the messages that a change causes, but for those of broadcasting mode, which are only noted.
    fn note(&mut self, change: Change) {
        let author = change.author;
        let Some(key) = change.stale else {
            self.keys = HashMap::new();
            self.items = 0;
            let told = self.clients.numbers().map(|id| (id, (author, None)));
            self.pending.extend(told);
            return;
        };
        for (prefix, listeners) in &mut self.prefixes {
            if key.starts_with(prefix) {
                let author = if change.by_itself { 0 } else { author };
                listeners.changed.insert(key.clone(), author);
            }
        }
        for id in self.forget_key(&key).numbers() {
            self.pending.push((id, (author, Some(key.clone()))));
        }
    }

    /// Lets go of some keys when there are more than `keys_max`; their holders are told.
    fn shrink(&mut self, keys_max: usize) {
        if self.keys.len() <= keys_max {
            return;
        }
        let mut excess = self.keys.len() - keys_max + keys_max / EVICTED_SHARE;
        let gone = self.keys.extract_if(|_, _| {
            let goes = excess > 0;
            excess -= usize::from(goes);
            goes
        });
        for (key, holders) in gone {
            self.items -= holders.len();
            let told = holders.numbers().map(|id| (id, (0, Some(key.clone()))));
            self.pending.extend(told);
        }
    }
}

/// Starts tracking for `x.client`, or changes how it tracks. `wish.prefixes` are added to those it has.
pub(crate) fn enable(x: &mut Exec<'_>, mut wish: Tracking) {
    let id = x.client.id;
    let table = &mut x.state.tracking;
    let mut fresh = std::mem::take(&mut wish.prefixes);
    match x.client.tracking.take() {
        Some(old) => {
            wish.prefixes = old.prefixes;
            wish.caching = old.caching;
        }
        None => {
            table.clients.insert(id, ());
        }
    }
    if wish.broadcast && wish.prefixes.is_empty() && fresh.is_empty() {
        fresh.insert(Box::default());
    }
    for prefix in fresh {
        let listeners = table.prefixes.entry(prefix.clone()).or_default();
        listeners.clients.insert(id, ());
        let bytes = name_bytes(&prefix);
        if wish.prefixes.insert(prefix) {
            x.client.names_bytes += bytes;
        }
    }
    x.client.tracking = Some(Box::new(wish));
    x.client.flags.set(ClientFlags::TRACKING);
    x.keys.track_changes(true);
}

/// Ends tracking for a client, if it tracks.
pub(crate) fn disable(keys: &mut dataset::Keys, table: &mut Table, client: &mut Client) {
    let Some(tracking) = client.tracking.take() else {
        return;
    };
    client.flags.clear(ClientFlags::TRACKING);
    table.clients.remove(client.id);
    for prefix in &tracking.prefixes {
        client.names_bytes -= name_bytes(prefix);
        if let Some(listeners) = table.prefixes.get_mut(prefix) {
            listeners.clients.remove(client.id);
            if listeners.clients.is_empty() {
                table.prefixes.remove(prefix);
            }
        }
    }
    if table.clients.is_empty() {
        table.keys = HashMap::new();
        table.items = 0;
        keys.track_changes(false);
    }
}

/// Remembers the keys that a tracking client has read with the command.
#[cold]
pub(crate) fn remember(x: &mut Exec<'_>, command: &CommandInfo, args: Args<'_>) {
    let Some(tracking) = x.client.tracking.as_deref() else {
        return;
    };
    let chosen = if tracking.opt_in {
        tracking.caching
    } else {
        !(tracking.opt_out && tracking.caching)
    };
    if tracking.broadcast
        || !chosen
        || !command.flags.intersects(Flags::READONLY)
        || !command.takes_keys()
    {
        return;
    }
    // What has changed up to now is no news to somebody who has just read it.
    let table = &mut x.state.tracking;
    x.keys.effects.news.retain_mut(|news| match news {
        effects::News::Stale(change) => {
            table.note(std::mem::take(change));
            false
        }
        _ => true,
    });
    for key in commandtable::keys(command, args).unwrap_or_default() {
        x.state.tracking.remember(args[key.index], x.client.id);
    }
}

/// CLIENT CACHING holds for one command: the one behind it, or all of a transaction.
#[cold]
pub(crate) fn command_done(client: &mut Client, args: Args<'_>) {
    let says_caching = args
        .first()
        .is_some_and(|name| name.eq_ignore_ascii_case(b"client"));
    if !says_caching
        && !client.flags.has(ClientFlags::MULTI)
        && let Some(tracking) = client.tracking.as_deref_mut()
    {
        tracking.caching = false;
    }
}

/// Tells of a change.
pub(crate) fn tell(state: &mut ServerState, change: Change) {
    state.tracking.note(change);
    tell_pending(state);
}

/// Sends the messages whose receivers have been known before.
pub(crate) fn tell_pending(state: &mut ServerState) {
    let mut pending = std::mem::take(&mut state.tracking.pending);
    for (to, (author, stale)) in pending.drain(..) {
        let news = match &stale {
            None => News::Everything,
            Some(key) => News::Key(key, author),
        };
        send(&mut state.clients, to, &news);
    }
    state.tracking.pending = pending;
}

/// What is left to do when the requests at hand have run: the news of broadcasting mode, one message for each prefix,
/// and keeping the table within `tracking-table-max-keys`.
pub(crate) fn turn_done(state: &mut ServerState) {
    if state.tracking.clients.is_empty() {
        return;
    }
    let mut prefixes = std::mem::take(&mut state.tracking.prefixes);
    for listeners in prefixes.values_mut() {
        if listeners.changed.is_empty() {
            continue;
        }
        let news = News::Below(std::mem::take(&mut listeners.changed));
        for id in listeners.clients.numbers() {
            send(&mut state.clients, id, &news);
        }
    }
    state.tracking.prefixes = prefixes;
    let keys_max = usize::try_from(state.config.tracking_table_max_keys).unwrap_or(usize::MAX);
    if keys_max > 0 {
        state.tracking.shrink(keys_max);
        tell_pending(state);
    }
}

/// What a message says.
enum News<'a> {
    /// All keys are stale.
    Everything,
    /// The key was changed by this client.
    Key(&'a [u8], ClientId),
    /// Keys below a prefix were changed by these clients.
    Below(BTreeMap<Box<[u8]>, ClientId>),
}

impl News<'_> {
    /// The keys that a client is to hear of: none at all to mean every key; `None` when this is no news to it.
    fn keys_for(&self, client: ClientId, tracking: &Tracking) -> Option<Vec<&[u8]>> {
        let is_new = |author: &ClientId| !(tracking.no_loop && *author == client);
        let keys: Vec<&[u8]> = match self {
            News::Everything => return Some(Vec::new()),
            // It may have changed to broadcasting mode since it read the key.
            News::Key(key, author) if !tracking.broadcast && is_new(author) => vec![key],
            News::Key(..) => return None,
            News::Below(changed) => changed
                .iter()
                .filter(|(_, author)| is_new(author))
                .map(|(key, _)| &**key)
                .collect(),
        };
        (!keys.is_empty()).then_some(keys)
    }
}

/// Lets `act` add to a client's output; `None` when there is no such client.
fn reach<T>(
    clients: &mut Clients,
    id: ClientId,
    act: impl FnOnce(&mut Client, &mut Reply) -> T,
) -> Option<T> {
    let client = clients.get_mut(id)?;
    let mut out = std::mem::take(&mut client.out);
    let before = out.len();
    let result = act(client, &mut out);
    if out.len() > before {
        client.attention.raise();
    }
    client.out = out;
    Some(result)
}

/// Sends news to a tracking client, or where it wants them.
fn send(clients: &mut Clients, to: ClientId, news: &News<'_>) {
    let redirected = reach(clients, to, |client, out| {
        let tracking = client.tracking.as_deref()?;
        let keys = news.keys_for(to, tracking)?;
        let redirect = tracking.redirect;
        // There is no way to tell a RESP2 client in the midst of its replies.
        if redirect.is_none() && out.is_v3() {
            write_push(out, &keys);
        }
        Some((redirect?, keys))
    });
    let Some((redirect, keys)) = redirected.flatten() else {
        return;
    };
    let told = reach(clients, redirect, |client, out| {
        if out.is_v3() {
            write_push(out, &keys);
        } else if client.flags.has(ClientFlags::PUBSUB) {
            out.array(3);
            out.bulk(b"message");
            out.bulk(CHANNEL);
            write_keys(out, &keys);
        }
    });
    if told.is_none() {
        reach(clients, to, |client, out| {
            if let Some(tracking) = client.tracking.as_deref_mut() {
                tracking.broken_redirect = true;
            }
            if out.is_v3() {
                out.push(2);
                out.bulk(b"tracking-redir-broken");
                out.int(redirect as i64);
            }
        });
    }
}

fn write_push(out: &mut Reply, keys: &[&[u8]]) {
    out.push(2);
    out.bulk(b"invalidate");
    write_keys(out, keys);
}

/// The stale keys, null for all.
fn write_keys(out: &mut Reply, keys: &[&[u8]]) {
    if keys.is_empty() {
        out.null();
        return;
    }
    out.array(keys.len());
    for key in keys {
        out.bulk(key);
    }
}
