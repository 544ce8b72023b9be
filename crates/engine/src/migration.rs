//! MIGRATE behind its command: what is on its way to other servers, and what happens here once it has arrived there.
//!
//! The engine makes the bytes, the host carries them ([`Shipment`]) and comes back with what the target said
//! ([`Delivery`]). Meanwhile others are served, and may change the keys. So each key is watched, as WATCH does it, and is
//! removed only if nothing has happened to it; groups of streams change without WATCH being told, so a stream is also
//! compared. Whatever goes wrong leaves a key here, perhaps there as well, but never in neither place.

use crate::blocking::WaitFor;
use crate::client::ClientId;
use crate::state::ServerState;
use crate::{dispatch, origin};
use commandtable::{Error, Outcome};
use dataset::effects::DbKey;
use dataset::keys::{OWN_PARTIES, is_past};
use dataset::{Keys, Origin, PartyId};
use keyspace::{Entry, Type};
use std::collections::BTreeMap;
use std::time::Duration;

/// Milliseconds that MIGRATE waits when it is told a time of 0 or less.
const TIMEOUT_MS_DEFAULT: u64 = 1000;
/// Longest error of a target that is handed on, in bytes: what the reference makes of a longer one.
const TARGET_ERROR_BYTES_MAX: usize = 1022;
/// Set in the number under which a migration watches its keys: copies have smaller ones.
const PARTY: PartyId = OWN_PARTIES << 1;

/// The server that keys go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Host name or address.
    pub host: String,
    /// Port; 0 for a text that is none, to which nobody can connect.
    pub port: u16,
}

/// Commands for another server, encoded, and the answers to expect.
#[derive(Debug)]
pub struct Shipment {
    /// Number of the migration, to be told with the delivery.
    pub id: u64,
    /// Where it goes.
    pub target: Target,
    /// The command that logs in; empty without one.
    pub login: Vec<u8>,
    /// Database there, as it was given.
    pub db: i64,
    /// A RESTORE per key, back to back.
    pub restores: Vec<u8>,
    /// Number of keys.
    pub keys: usize,
    /// How long the target may stay silent at any point.
    pub timeout: Duration,
}

/// Why a delivery ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no connection.
    Connecting,
    /// The target did not take the commands.
    Writing,
    /// The target did not answer, or not as it should.
    Reading,
}

/// What has become of a shipment; by default, that nobody was there to carry it.
#[derive(Debug)]
pub struct Delivery {
    /// For each key answered so far, in order: whether the target has it.
    pub taken: Vec<bool>,
    /// The first error the target has answered with, without the `-`.
    pub error: Option<Vec<u8>>,
    /// Why there are no more answers.
    pub failure: Option<Failure>,
}

impl Default for Delivery {
    fn default() -> Self {
        Delivery {
            taken: Vec::new(),
            error: None,
            failure: Some(Failure::Connecting),
        }
    }
}

/// One key on its way.
#[derive(Debug)]
struct Cargo {
    name: DbKey,
    expire_at_ms: Option<i64>,
    /// Of a stream: a digest of what was sent.
    digest: Option<[u8; 20]>,
}

/// A migration under way, as the engine remembers it.
#[derive(Debug)]
pub(crate) struct Sent {
    id: u64,
    client: ClientId,
    db: usize,
    /// Empty when the keys stay (COPY).
    cargo: Vec<Cargo>,
    /// The role of this server at the time.
    by_replica: bool,
}

/// All migrations under way.
#[derive(Debug, Default)]
pub struct Migrations {
    /// Migrations numbered so far.
    last_id: u64,
    running: BTreeMap<u64, Sent>,
    /// Delivered while writes are held back.
    held: Vec<(u64, Delivery)>,
}

/// What a MIGRATE asks for.
pub(crate) struct Wish<'a> {
    pub(crate) target: Target,
    pub(crate) db: i64,
    pub(crate) timeout_ms: i64,
    pub(crate) keys: &'a [&'a [u8]],
    pub(crate) copy: bool,
    pub(crate) replace: bool,
    /// The words behind AUTH.
    pub(crate) login: &'a [&'a [u8]],
}

/// Packs the keys that exist, for a migration of `client`; `None` if there are none.
pub(crate) fn pack(
    keys: &mut Keys,
    state: &mut ServerState,
    client: ClientId,
    wish: Wish<'_>,
) -> Result<Option<(Shipment, Sent)>, Error> {
    let restore: &[u8] = if state.config.cluster_enabled {
        b"RESTORE-ASKING"
    } else {
        b"RESTORE"
    };
    let id = state.migrations.last_id + 1;
    let db = keys.origin.db;
    let (mut restores, mut cargo) = (Vec::new(), Vec::with_capacity(wish.keys.len()));
    let mut count = 0;
    for key in wish.keys {
        let (now_ms, compress) = (keys.origin.now_ms, keys.settings.compress);
        let Some(entry) = keys.read(key) else {
            continue;
        };
        let payload = dataset::commands::payload(entry.value(), compress)?;
        let expire_at_ms = entry.expire_at_ms();
        // A time of 0 would mean none.
        let ttl_ms = expire_at_ms.map_or(0, |at_ms| at_ms.saturating_sub(now_ms).max(1));
        let mut digits = itoa::Buffer::new();
        let ttl = digits.format(ttl_ms).as_bytes();
        let words: [&[u8]; 5] = [restore, key, ttl, &payload, b"REPLACE"];
        let words = &words[..if wish.replace { 5 } else { 4 }];
        words::request::encode(&mut restores, words);
        count += 1;
        if !wish.copy {
            cargo.push(Cargo {
                name: (db, (*key).into()),
                expire_at_ms,
                digest: (entry.type_() == Type::Stream).then(|| digest(&payload)),
            });
            keys.watch(db, key, PARTY | id);
        }
    }
    if count == 0 {
        return Ok(None);
    }
    state.migrations.last_id = id;
    let mut login = Vec::new();
    if !wish.login.is_empty() {
        let words: Vec<&[u8]> = [&[&b"AUTH"[..]], wish.login].concat();
        words::request::encode(&mut login, &words);
    }
    let timeout_ms = match u64::try_from(wish.timeout_ms) {
        Err(_) | Ok(0) => TIMEOUT_MS_DEFAULT,
        Ok(ms) => ms,
    };
    let shipment = Shipment {
        id,
        target: wish.target,
        login,
        db: wish.db,
        restores,
        keys: count,
        timeout: Duration::from_millis(timeout_ms),
    };
    let sent = Sent {
        id,
        client,
        db,
        cargo,
        by_replica: state.repl.is_replica(),
    };
    Ok(Some((shipment, sent)))
}

fn digest(payload: &[u8]) -> [u8; 20] {
    use sha1::Digest;
    sha1::Sha1::digest(payload).into()
}

impl Sent {
    /// Removes what has arrived and is still what was sent; returns the names, and why the command has failed if it has.
    ///
    /// The keys are no longer watched then.
    pub(crate) fn conclude<'a>(
        &'a self,
        keys: &mut Keys,
        state: &ServerState,
        delivery: &Delivery,
    ) -> (Vec<&'a [u8]>, Outcome) {
        // Who has become another server's replica meanwhile leaves its data to that one.
        let may_remove = state.repl.is_replica() == self.by_replica;
        let mut gone: Vec<&[u8]> = Vec::new();
        let mut seen = hashbrown::HashSet::new();
        let mut changed = false;
        for (at, cargo) in self.cargo.iter().enumerate() {
            let key = &*cargo.name.1;
            let untouched = keys.is_watched_by(&cargo.name, self.party());
            keys.unwatch(&cargo.name, self.party());
            if !delivery.taken.get(at).copied().unwrap_or_default() {
                continue;
            }
            if seen.contains(key) {
                // It was named twice, and has gone already.
                gone.push(key);
                continue;
            }
            keys.expire_seen(self.db, key);
            let found = keys.peek_in(self.db, key);
            if found.is_none() && cargo.has_expired(keys.origin.now_ms) {
                // As it will there.
            } else if may_remove
                && untouched
                && found.is_some_and(|entry| cargo.holds(keys, &entry))
            {
                keys.delete(key, keys.lazy.server_del);
                seen.insert(key);
                gone.push(key);
            } else {
                changed = true;
            }
        }
        let outcome = match (&delivery.failure, &delivery.error) {
            (Some(Failure::Connecting), _) => Err(Error::MIGRATE_CONNECTING),
            (Some(Failure::Writing), _) => Err(Error::MIGRATE_WRITING),
            (Some(Failure::Reading), _) => Err(Error::MIGRATE_READING),
            (None, Some(error)) => Err(Error::target_replied(
                error.get(..TARGET_ERROR_BYTES_MAX).unwrap_or(error),
            )),
            (None, None) if changed => Err(Error::MIGRATE_CHANGED),
            (None, None) => Ok(()),
        };
        (gone, outcome)
    }

    /// Nothing was sent after all: the keys are no longer watched.
    pub(crate) fn forget(&self, keys: &mut Keys) {
        for cargo in &self.cargo {
            keys.unwatch(&cargo.name, self.party());
        }
    }

    fn party(&self) -> PartyId {
        PARTY | self.id
    }

    /// Remembers the migration until its delivery.
    pub(crate) fn remember(self, state: &mut ServerState) -> u64 {
        let id = self.id;
        state.migrations.running.insert(id, self);
        id
    }
}

impl Cargo {
    fn has_expired(&self, now_ms: i64) -> bool {
        self.expire_at_ms
            .is_some_and(|at_ms| is_past(at_ms, now_ms))
    }

    /// True for an entry that is still what was sent, as far as the watch does not tell.
    fn holds(&self, keys: &Keys, entry: &Entry) -> bool {
        self.digest.is_none_or(|sent| {
            dataset::commands::payload(entry.value(), keys.settings.compress)
                .is_ok_and(|payload| digest(&payload) == sent)
        })
    }
}

/// The words that tell the stream of keys that have gone.
pub(crate) fn deletion<'a>(gone: &[&'a [u8]]) -> Vec<&'a [u8]> {
    [&[&b"DEL"[..]], gone].concat()
}

/// A shipment has been delivered, or not. While writes are held back, its keys stay.
pub(crate) fn delivered(keys: &mut Keys, state: &mut ServerState, id: u64, delivery: Delivery) {
    if state.pause.is_some() {
        state.migrations.held.push((id, delivery));
    } else {
        finish(keys, state, id, &delivery);
    }
}

/// Goes on with what was held back.
pub(crate) fn tick(keys: &mut Keys, state: &mut ServerState) {
    if state.pause.is_none() && !state.migrations.held.is_empty() {
        for (id, delivery) in std::mem::take(&mut state.migrations.held) {
            finish(keys, state, id, &delivery);
        }
    }
}

fn finish(keys: &mut Keys, state: &mut ServerState, id: u64, delivery: &Delivery) {
    let Some(sent) = state.migrations.running.remove(&id) else {
        return;
    };
    let (author, db) = (sent.client, sent.db);
    let timer = origin::timer(state, keys.origin.now_ms);
    let outer = std::mem::replace(
        &mut keys.origin,
        Origin {
            author,
            db,
            ..timer
        },
    );
    let (gone, outcome) = sent.conclude(keys, state, delivery);
    if !gone.is_empty() {
        keys.effects.push_op(db, &deletion(&gone));
    }
    keys.origin = outer;
    crate::settle::settle(keys, state);
    let (offset, position) = (state.repl.offset(), state.aof.position());
    // Its client may have left, or been told already that the server has another role.
    if let Some(client) = state.clients.get_mut(author)
        && client
            .blocked
            .as_deref()
            .is_some_and(|blocked| matches!(blocked.wait, WaitFor::Migration(waits) if waits == id))
    {
        client.write_offset = offset;
        client.log_position = position;
        crate::blocking::unblock_with(keys, state, author, |state, _, out| match &outcome {
            Ok(()) => out.ok(),
            Err(error) => dispatch::write_error(state, out, error),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Delivery, Failure};
    use crate::testing::{Driver, check, check_on};

    /// Lets the target of the only migration under way take the keys of which `taken` says so.
    fn deliver(driver: &mut Driver, taken: &[bool], failure: Option<Failure>) {
        let shipped = std::mem::take(&mut driver.asked().shipped);
        assert_eq!(shipped.len(), 1);
        let delivery = Delivery {
            taken: taken.to_vec(),
            error: None,
            failure,
        };
        driver.engine.delivered(shipped[0].id, delivery);
    }

    fn begin(script: &str) -> Driver {
        let mut driver = Driver::new();
        check_on(&mut driver, script);
        driver
    }

    #[test]
    fn a_key_goes_when_it_has_arrived() {
        let mut driver = begin("> MSET a 1 b 2\n < OK\n ~ MSET a 1 b 2\n 1> MIGRATE h 1 a 0 0\n");
        assert_eq!(driver.send(0, &[b"EXISTS", b"a"]), b":1\r\n");
        deliver(&mut driver, &[true], None);
        assert_eq!(driver.pushed(1), b"+OK\r\n");
        assert_eq!(driver.send(0, &[b"EXISTS", b"a", b"b"]), b":1\r\n");
    }

    #[test]
    fn what_was_not_taken_or_has_changed_stays() {
        let mut driver = begin(
            "> MSET a 1 b 2 c 3 d 4\n < OK\n ~ MSET a 1 b 2 c 3 d 4\n 1> MIGRATE h 1 \"\" 0 0 KEYS a b c d\n
             > INCR b\n < (integer) 3\n ~ INCR b\n",
        );
        deliver(&mut driver, &[true, true, true], Some(Failure::Reading));
        assert_eq!(
            driver.pushed(1),
            b"-IOERR error or timeout reading to target instance\r\n"
        );
        check_on(
            &mut driver,
            "> MGET a b c d\n < 1) (nil)\n < 2) \"3\"\n < 3) (nil)\n < 4) \"4\"\n",
        );
    }

    #[test]
    fn a_shipment_holds_the_commands_of_all_keys() {
        let driver = begin(
            "> SET a 1 PX 5000\n < OK\n ~ SET a 1 PXAT 1000000005000\n
             1> MIGRATE h 7 \"\" 3 50 REPLACE AUTH2 u p KEYS a nokey a\n",
        );
        let shipped = std::mem::take(&mut driver.asked().shipped);
        let sent = &shipped[0];
        assert_eq!((sent.target.port, sent.db, sent.keys), (7, 3, 2));
        assert_eq!(sent.timeout.as_millis(), 50);
        assert_eq!(sent.login, b"*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n");
        let start = b"*5\r\n$7\r\nRESTORE\r\n$1\r\na\r\n$4\r\n5000\r\n$13\r\n\x00\xc0\x01";
        assert!(sent.restores.starts_with(start));
        assert!(sent.restores.ends_with(b"\r\n$7\r\nREPLACE\r\n"));
    }

    #[test]
    fn nobody_watches_any_more_when_it_is_over() {
        let mut driver =
            begin("> MSET a 1 b 2\n < OK\n ~ MSET a 1 b 2\n 1> MIGRATE h 1 \"\" 0 0 KEYS a b\n");
        assert_eq!(driver.engine.keys.watched_len(), 2);
        deliver(&mut driver, &[true, false], None);
        assert_eq!(driver.engine.keys.watched_len(), 0);
    }

    #[test]
    fn what_has_expired_meanwhile_is_no_error() {
        let mut driver =
            begin("> SET a 1 PX 50\n < OK\n ~ SET a 1 PXAT 1000000000050\n 1> MIGRATE h 1 a 0 0\n");
        driver.advance_ms(100);
        deliver(&mut driver, &[true], None);
        assert_eq!(driver.pushed(1), b"+OK\r\n");
        assert_eq!(driver.engine.keys.stats.expired, 1);
    }

    #[test]
    fn a_transaction_does_not_wait() {
        check(
            "> SET a 1\n < OK\n ~ SET a 1\n > MULTI\n < OK\n > MIGRATE h 1 a 0 0\n < QUEUED\n
             > EXEC\n < 1) OK\n ~ DEL a\n > EXISTS a\n < (integer) 0\n",
        );
    }
}
