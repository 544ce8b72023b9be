//! What the handler of a data command works with: the keys, the reply, and a way to wait.
//!
//! Nothing of a client, a connection or a parameter can be reached from here.

use crate::effects::Propagate;
use crate::keys::Keys;
use commandtable::{CommandInfo, Names, Outcome};
use hashbrown::HashSet;
use keyspace::Type;
use resp::Reply;
use words::Words;

/// A request's arguments, the command's name first. The table has checked their number.
pub type Args<'a> = &'a [&'a [u8]];

/// A data command's code. It parses all options before it touches data; when it returns an error it has changed nothing.
pub type Handler = fn(&mut Call<'_>, Args<'_>) -> Outcome;

/// The running command.
///
/// The fields are separate borrows on purpose: a value borrowed from `keys` can be written to `out`.
pub struct Call<'c> {
    /// The databases, with where the command comes from.
    pub keys: &'c mut Keys,
    /// The reply.
    pub out: &'c mut Reply,
    /// What the table says of the command.
    pub command: &'static CommandInfo,
    /// The names of commands.
    pub names: &'c Names,
    /// How long the reply may get.
    pub limit: ReplyLimit,
    /// Set by a handler that found nothing: what has to happen before it runs again.
    pub wait: Option<Wait>,
}

/// How long a reply may get before nothing of it will be sent: the client is closed instead.
#[derive(Clone, Copy, Debug)]
pub struct ReplyLimit {
    /// Bytes of output that the client may have.
    pub bytes_max: usize,
    /// It was exceeded: the handler has stopped amid the reply.
    pub exceeded: bool,
}

impl ReplyLimit {
    /// True when the reply has got too long: there is no use in going on with it. `otherwise_max` bounds the replies of
    /// clients that have no limit.
    #[inline]
    pub fn is_exceeded(&mut self, out: &Reply, otherwise_max: usize) -> bool {
        self.exceeded = out.len() > self.bytes_max.min(otherwise_max);
        self.exceeded
    }
}

/// What is replied when the time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTimeout {
    /// A null array.
    NullArray,
    /// A null.
    Null,
    /// Whatever WAIT and WAITAOF have counted by then.
    Acknowledged,
}

/// Which news of its keys a waiting command is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A key is there, whatever it holds.
    Existing,
    /// A key holds a stream.
    Stream,
    /// Everything, even that a key is gone: what was waited for may be gone with it.
    Always,
}

impl Wake {
    /// Whether a key that now holds this, or nothing, is news.
    #[must_use]
    pub fn on(self, holds: Option<Type>) -> bool {
        match self {
            Wake::Existing => holds.is_some(),
            Wake::Stream => holds == Some(Type::Stream),
            Wake::Always => true,
        }
    }
}

/// A command that waits for one of its keys to change.
#[derive(Clone, Debug)]
pub struct Wait {
    /// The keys, each once. Empty in a second run, whose keys are those of the first.
    pub keys: Words,
    /// What is to run again, where that is not the request as it came.
    pub request: Option<Words>,
    /// Which changes are news.
    pub wake: Wake,
    /// Unix milliseconds when it gives up; 0 for never.
    pub deadline_ms: i64,
    /// The reply at that time.
    pub on_timeout: OnTimeout,
}

impl Call<'_> {
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

    /// True when a command must not wait: inside a transaction or a script.
    #[must_use]
    pub fn must_not_wait(&self) -> bool {
        self.keys.origin.nested
    }

    /// True when the command runs again after waiting.
    #[must_use]
    pub fn runs_again(&self) -> bool {
        self.keys.origin.again
    }

    /// Waits until one of `keys` is there, then runs the command again. Write no reply before or after.
    ///
    /// Inside a transaction the timeout's reply is given at once.
    pub fn wait_for_keys(&mut self, keys: &[&[u8]], deadline_ms: i64, on_timeout: OnTimeout) {
        self.wait_for_news(keys, Wake::Existing, None, deadline_ms, on_timeout);
    }

    /// As [`Self::wait_for_keys`], with a choice of what is news and of what runs then.
    pub fn wait_for_news(
        &mut self,
        keys: &[&[u8]],
        wake: Wake,
        request: Option<Args<'_>>,
        deadline_ms: i64,
        on_timeout: OnTimeout,
    ) {
        if self.must_not_wait() {
            match on_timeout {
                OnTimeout::NullArray => self.out.null_array(),
                OnTimeout::Null => self.out.null(),
                OnTimeout::Acknowledged => {}
            }
            return;
        }
        let (keys, request) = if self.runs_again() {
            (Words::default(), None)
        } else {
            (each_once(keys), request.map(Words::new))
        };
        self.wait = Some(Wait {
            keys,
            request,
            wake,
            deadline_ms,
            on_timeout,
        });
    }

    /// Replies with lines of help, as the HELP subcommands do.
    pub fn reply_help(&mut self, command: &str, lines: &[&str]) {
        reply_help(self.out, self.names, command, lines);
    }
}

fn each_once(keys: &[&[u8]]) -> Words {
    let mut known = HashSet::with_capacity(keys.len());
    let unique: Vec<&[u8]> = keys
        .iter()
        .copied()
        .filter(|key| known.insert(*key))
        .collect();
    Words::new(&unique)
}

/// Lines of help under the name that the command goes by.
pub fn reply_help(out: &mut Reply, names: &Names, command: &str, lines: &[&str]) {
    let mut header = names.current(command).to_ascii_uppercase();
    header.extend(b" <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    out.array(lines.len() + 3);
    out.simple(&header);
    for line in lines {
        out.simple(line.as_bytes());
    }
    out.simple(b"HELP");
    out.simple(b"    Print this help.");
}
