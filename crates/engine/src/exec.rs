//! What a handler works with: the keys, the rest of the engine, the client and its reply.

use crate::blocking::{Blocked, WaitFor};
use crate::client::Client;
use crate::state::ServerState;
use commandtable::{CommandInfo, Outcome};
pub use dataset::Args;
use dataset::effects::{News, Propagate};
use dataset::{Call, Keys, OnTimeout, ReplyLimit, Wait, Wake};
use resp::Reply;
use words::Words;

/// The code of a command that is not about data alone. It parses all options before it touches data; when it returns an error it has changed nothing.
pub type Handler = fn(&mut Exec<'_>, Args<'_>) -> Outcome;

/// The running command.
///
/// The fields are separate borrows on purpose: a value borrowed from `keys` can be written to `out`.
pub struct Exec<'e> {
    /// The databases.
    pub keys: &'e mut Keys,
    /// Everything else.
    pub state: &'e mut ServerState,
    /// Who asks.
    pub client: &'e mut Client,
    /// The reply.
    pub out: &'e mut Reply,
    /// What the table says of the command.
    pub command: &'static CommandInfo,
    /// Set by a handler that found nothing and waits.
    pub(crate) waits: bool,
}

impl Exec<'_> {
    /// Unix milliseconds; the same during the whole command or transaction.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.keys.origin.now_ms
    }

    /// Sends this to replicas and the AOF instead of the request. May be called several times; the commands then travel
    /// as one transaction. Nothing is sent of a command that calls [`Self::propagate_nothing`].
    pub fn propagate_as(&mut self, args: &[&[u8]]) {
        self.keys.effects.mode = Propagate::Instead;
        self.keys.effects.push_op(self.keys.origin.db, args);
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
        self.keys.origin.nested
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
        !self.keys.origin.again
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
            db: self.keys.origin.db,
            deadline_ms,
            on_timeout,
            command: self.command,
            args: Words::new(args),
            place: 0,
            nanos: 0,
        }));
    }

    /// Runs a handler that sees the dataset alone. If it waits, so does the client.
    pub(crate) fn run_data(&mut self, handler: dataset::Handler, args: Args<'_>) -> Outcome {
        let mut call = Call {
            keys: self.keys,
            out: self.out,
            command: self.command,
            names: &self.state.names,
            limit: ReplyLimit {
                bytes_max: self.state.reply_bytes_max(self.client),
                exceeded: false,
            },
            wait: None,
        };
        let outcome = handler(&mut call, args);
        let too_long = call.limit.exceeded;
        if let Some(wait) = call.wait {
            self.wait(wait, args);
        }
        if too_long {
            self.state.refuse_reply(self.client, self.out);
        }
        outcome
    }

    #[cold]
    fn wait(&mut self, wait: Wait, args: Args<'_>) {
        self.waits = true;
        if self.keys.origin.again {
            return;
        }
        let request: Option<Vec<&[u8]>> = wait.request.as_ref().map(|words| words.iter().collect());
        self.register(
            WaitFor::Keys(wait.keys),
            wait.wake,
            request.as_deref().unwrap_or(args),
            wait.deadline_ms,
            wait.on_timeout,
        );
    }

    /// Publishes a message to those who listen now, of whom there are `receivers`.
    pub fn publish(&mut self, shard: bool, channel: &[u8], payload: &[u8], receivers: usize) {
        if receivers > 0 {
            let words = Words::new(&[channel, payload]);
            self.keys.effects.tell(News::Message { shard, words });
        }
    }

    /// Replies with lines of help, as the HELP subcommands do.
    pub fn reply_help(&mut self, command: &str, lines: &[&str]) {
        dataset::reply_help(self.out, &self.state.names, command, lines);
    }
}
