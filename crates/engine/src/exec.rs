//! What a handler works with: the keys, the rest of the engine, the client and its reply.

use crate::blocking::{Blocked, OnTimeout, WaitFor, Wake};
use crate::client::{Client, ClientFlags};
use crate::command::meta::Meta;
use crate::core::Core;
use crate::effects::Propagate;
use crate::error::Outcome;
use crate::keys::Keys;
use crate::words::Words;
use hashbrown::HashSet;
use resp::Reply;

/// A request's arguments, the command's name first. The table has checked their number.
pub type Args<'a> = &'a [&'a [u8]];

/// A command's code. It parses all options before it touches data; when it returns an error it has changed nothing.
pub type Handler = fn(&mut Exec<'_>, Args<'_>) -> Outcome;

/// The running command.
///
/// The fields are separate borrows on purpose: a value borrowed from `keys` can be written to `out`.
pub struct Exec<'e> {
    /// The databases.
    pub keys: &'e mut Keys,
    /// Everything else.
    pub core: &'e mut Core,
    /// Who asks.
    pub client: &'e mut Client,
    /// The reply.
    pub out: &'e mut Reply,
    /// What the table says of the command.
    pub meta: &'static Meta,
    /// The handler runs again for a client that was waiting.
    pub(crate) retrying: bool,
    /// Set by a handler that found nothing and waits.
    pub(crate) waits: bool,
}

impl Exec<'_> {
    /// Unix milliseconds; the same during the whole command or transaction.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.keys.now_ms
    }

    /// Sends this to replicas and the AOF instead of the request. May be called several times; the commands then travel
    /// as one transaction. Nothing is sent of a command that calls [`Self::propagate_nothing`].
    pub fn propagate_as(&mut self, args: &[&[u8]]) {
        self.keys.effects.mode = Propagate::Instead;
        self.keys.effects.push_op(self.keys.db, args);
    }

    /// Sends nothing to replicas and the AOF, whatever was changed.
    pub fn propagate_nothing(&mut self) {
        self.keys.effects.mode = Propagate::Instead;
    }

    /// Sends the request as it came even though no key was changed (PUBLISH).
    pub fn propagate_always(&mut self) {
        self.keys.effects.mode = Propagate::Always;
    }

    /// True when a command must not block: inside EXEC.
    #[must_use]
    pub fn must_not_block(&self) -> bool {
        self.client.flags.has(ClientFlags::NO_BLOCK)
    }

    /// Waits until one of `keys` changes, then runs the command again. Write no reply before or after.
    ///
    /// Inside a transaction the timeout's reply is given at once.
    pub fn block_on_keys(
        &mut self,
        keys: &[&[u8]],
        args: Args<'_>,
        deadline_ms: i64,
        on_timeout: OnTimeout,
    ) {
        self.block_on_keys_until(keys, Wake::Existing, args, deadline_ms, on_timeout);
    }

    /// As [`Self::block_on_keys`], with a choice of what is news.
    pub fn block_on_keys_until(
        &mut self,
        keys: &[&[u8]],
        wake: Wake,
        args: Args<'_>,
        deadline_ms: i64,
        on_timeout: OnTimeout,
    ) {
        if !self.begins_to_wait(&on_timeout) {
            return;
        }
        let mut known = HashSet::with_capacity(keys.len());
        let unique: Vec<&[u8]> = keys
            .iter()
            .copied()
            .filter(|key| known.insert(*key))
            .collect();
        let wait = WaitFor::Keys(Words::new(&unique));
        self.register(wait, wake, args, deadline_ms, on_timeout);
    }

    /// Waits for something.
    pub fn block(
        &mut self,
        wait: WaitFor,
        args: Args<'_>,
        deadline_ms: i64,
        on_timeout: OnTimeout,
    ) {
        if self.begins_to_wait(&on_timeout) {
            self.register(wait, Wake::Existing, args, deadline_ms, on_timeout);
        }
    }

    /// False for a client that is not to wait, which is answered, and for one that goes on waiting.
    fn begins_to_wait(&mut self, on_timeout: &OnTimeout) -> bool {
        if self.must_not_block() {
            match on_timeout {
                OnTimeout::NullArray => self.out.null_array(),
                OnTimeout::Null => self.out.null(),
                OnTimeout::Acknowledged => {}
            }
            return false;
        }
        self.waits = true;
        !self.retrying
    }

    fn register(
        &mut self,
        wait: WaitFor,
        wake: Wake,
        args: Args<'_>,
        deadline_ms: i64,
        on_timeout: OnTimeout,
    ) {
        self.client.blocked = Some(Box::new(Blocked {
            wait,
            wake,
            db: self.keys.db,
            deadline_ms,
            on_timeout,
            meta: self.meta,
            args: Words::new(args),
            place: 0,
            nanos: 0,
        }));
    }

    /// Publishes a message; returns how many clients receive it.
    pub fn publish(&mut self, channel: &[u8], payload: &[u8]) -> usize {
        let receivers = self
            .core
            .pubsub
            .publish(&mut self.core.clients, channel, payload);
        self.keys.effects.pending |= !self.core.pubsub.deferred.is_empty();
        receivers
    }

    /// Replies with lines of help, as the HELP subcommands do.
    pub fn reply_help(&mut self, command: &str, lines: &[&str]) {
        let mut header = self.core.names.current(command).to_ascii_uppercase();
        header.extend(b" <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
        self.out.array(lines.len() + 3);
        self.out.simple(&header);
        for line in lines {
            self.out.simple(line.as_bytes());
        }
        self.out.simple(b"HELP");
        self.out.simple(b"    Print this help.");
    }
}
