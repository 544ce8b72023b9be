//! ACL LOG: the newest refusals, equal ones together, and how many there have been.

use crate::denied::Reason;
use crate::limits::{LOG_GROUPING_ENTRIES, LOG_GROUPING_MS_MAX};
use std::collections::VecDeque;

/// What was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogReason {
    /// A login.
    Auth,
    /// A command, a key or a channel.
    Denied(Reason),
}

impl LogReason {
    /// Wire name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Denied(Reason::Command) => "command",
            Self::Denied(Reason::Key) => "key",
            Self::Denied(Reason::Channel) => "channel",
        }
    }
}

/// Where it was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogContext {
    /// At a client's request.
    TopLevel,
    /// While a transaction was queued or carried out.
    Multi,
    /// In a script.
    Script,
    /// In a module.
    Module,
}

impl LogContext {
    /// Wire name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TopLevel => "toplevel",
            Self::Multi => "multi",
            Self::Script => "lua",
            Self::Module => "module",
        }
    }
}

/// A refusal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogEvent<'a> {
    /// What was refused.
    pub reason: LogReason,
    /// Where.
    pub context: LogContext,
    /// The full name of the command, the key, the channel, or the word that stood for the command that logs in.
    pub object: &'a [u8],
    /// The user; for a login the one that was tried.
    pub user: &'a [u8],
    /// The line of CLIENT LIST of the client behind it.
    pub client: &'a [u8],
}

/// Refusals that are equal but for their time and client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogEntry {
    /// Counts from 0 for as long as the process lives.
    pub id: u64,
    /// How many there have been.
    pub count: u64,
    /// As in [`LogEvent`].
    pub reason: LogReason,
    /// As in [`LogEvent`].
    pub context: LogContext,
    /// As in [`LogEvent`].
    pub object: Box<[u8]>,
    /// As in [`LogEvent`].
    pub user: Box<[u8]>,
    /// The client of the last one.
    pub client: Box<[u8]>,
    /// When the first one was, in milliseconds since the epoch.
    pub created_ms: i64,
    /// When the last one was.
    pub updated_ms: i64,
}

impl LogEntry {
    /// Seconds since the last refusal.
    pub fn age_seconds(&self, now_ms: i64) -> f64 {
        // Ages are far from 2^53 ms.
        now_ms.saturating_sub(self.updated_ms) as f64 / 1000.0
    }

    fn joins(&self, event: &LogEvent<'_>, now_ms: i64) -> bool {
        self.reason == event.reason
            && self.context == event.context
            && now_ms.abs_diff(self.updated_ms) <= LOG_GROUPING_MS_MAX.unsigned_abs()
            && *self.object == *event.object
            && *self.user == *event.user
    }
}

/// How often something was refused since the process started: the fields `acl_access_denied_*` of INFO.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DenialCounts {
    /// Logins.
    pub auth: u64,
    /// Commands.
    pub command: u64,
    /// Keys.
    pub key: u64,
    /// Channels.
    pub channel: u64,
}

/// The log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Log {
    /// The newest first.
    entries: VecDeque<LogEntry>,
    next_id: u64,
    counts: DenialCounts,
}

impl Log {
    /// Counts a refusal and enters it. A new entry makes room for itself until at most `entries_max` are left; one that is
    /// joined leaves the others alone.
    pub fn record(&mut self, event: &LogEvent<'_>, now_ms: i64, entries_max: usize) {
        let count = match event.reason {
            LogReason::Auth => &mut self.counts.auth,
            LogReason::Denied(Reason::Command) => &mut self.counts.command,
            LogReason::Denied(Reason::Key) => &mut self.counts.key,
            LogReason::Denied(Reason::Channel) => &mut self.counts.channel,
        };
        *count += 1;
        if entries_max == 0 {
            // No id is given to what is not kept.
            self.entries.clear();
            return;
        }
        let mut newest = self.entries.iter().take(LOG_GROUPING_ENTRIES);
        let joined = newest.position(|entry| entry.joins(event, now_ms));
        if let Some(mut entry) = joined.and_then(|at| self.entries.remove(at)) {
            entry.count += 1;
            entry.client = event.client.into();
            entry.updated_ms = now_ms;
            self.entries.push_front(entry);
            return;
        }
        self.entries.push_front(LogEntry {
            id: self.next_id,
            count: 1,
            reason: event.reason,
            context: event.context,
            object: event.object.into(),
            user: event.user.into(),
            client: event.client.into(),
            created_ms: now_ms,
            updated_ms: now_ms,
        });
        self.next_id += 1;
        self.entries.truncate(entries_max);
    }

    /// The entries, the newest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &LogEntry> {
        self.entries.iter()
    }

    /// How often something was refused; neither [`Self::reset`] nor a short log changes it.
    pub fn counts(&self) -> DenialCounts {
        self.counts
    }

    /// Forgets the entries. Ids go on.
    pub fn reset(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: LogReason = LogReason::Denied(Reason::Command);

    fn event(object: &'static str) -> LogEvent<'static> {
        LogEvent {
            reason: COMMAND,
            context: LogContext::TopLevel,
            object: object.as_bytes(),
            user: b"u",
            client: b"id=1",
        }
    }

    /// Object, id and count of the entries.
    fn shown(log: &Log) -> Vec<(String, u64, u64)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let entries = log.entries();
        entries
            .map(|entry| (text(&entry.object), entry.id, entry.count))
            .collect()
    }

    #[test]
    fn equal_refusals_join_and_come_first() {
        let mut log = Log::default();
        log.record(&event("get"), 1000, 128);
        log.record(&event("set"), 1500, 128);
        let later = LogEvent {
            client: b"id=2",
            ..event("get")
        };
        log.record(&later, 2500, 128);
        assert_eq!(shown(&log), [("get".into(), 0, 2), ("set".into(), 1, 1)]);
        let first = log.entries().next().unwrap();
        assert_eq!((first.created_ms, first.updated_ms), (1000, 2500));
        assert_eq!(&*first.client, b"id=2");
        assert!((first.age_seconds(2802) - 0.302).abs() < 1e-9);
    }

    #[test]
    fn what_differs_stands_apart() {
        let base = event("get");
        let key = LogReason::Denied(Reason::Key);
        for other in [
            LogEvent {
                reason: key,
                ..base
            },
            LogEvent {
                reason: LogReason::Auth,
                ..base
            },
            LogEvent {
                context: LogContext::Multi,
                ..base
            },
            LogEvent {
                object: b"GET",
                ..base
            },
            LogEvent { user: b"v", ..base },
        ] {
            let mut log = Log::default();
            log.record(&base, 0, 128);
            log.record(&other, 0, 128);
            assert_eq!(log.entries().len(), 2, "{other:?}");
        }
    }

    #[test]
    fn refusals_join_within_a_minute_of_the_last() {
        let mut log = Log::default();
        log.record(&event("get"), 0, 128);
        log.record(&event("get"), 60_000, 128);
        log.record(&event("get"), 120_000, 128);
        log.record(&event("get"), 180_001, 128);
        assert_eq!(shown(&log), [("get".into(), 1, 1), ("get".into(), 0, 3)]);
        // A clock that went back.
        log.record(&event("get"), i64::MIN, 128);
        assert_eq!(log.entries().len(), 3);
    }

    #[test]
    fn only_the_ten_newest_are_joined() {
        const OBJECTS: [&str; 11] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
        let mut log = Log::default();
        for object in OBJECTS {
            log.record(&event(object), 0, 128);
        }
        log.record(&event("b"), 0, 128);
        log.record(&event("a"), 0, 128);
        assert_eq!(log.entries().len(), 12);
        assert_eq!(shown(&log)[..2], [("a".into(), 11, 1), ("b".into(), 1, 2)]);
    }

    #[test]
    fn the_log_is_cut_when_an_entry_is_new() {
        let mut log = Log::default();
        log.record(&event("get"), 0, 128);
        log.record(&event("set"), 0, 128);
        log.record(&event("get"), 0, 1);
        assert_eq!(shown(&log), [("get".into(), 0, 2), ("set".into(), 1, 1)]);
        log.record(&event("mget"), 0, 1);
        assert_eq!(shown(&log), [("mget".into(), 2, 1)]);
        log.record(&event("mget"), 0, 0);
        log.record(&event("get"), 0, 0);
        assert_eq!(shown(&log), []);
        log.record(&event("mget"), 0, 128);
        assert_eq!(shown(&log), [("mget".into(), 3, 1)]);
        log.reset();
        log.record(&event("mget"), 0, 128);
        assert_eq!(shown(&log), [("mget".into(), 4, 1)]);
    }

    #[test]
    fn all_refusals_are_counted() {
        let mut log = Log::default();
        let reasons = [
            (LogReason::Auth, 1),
            (COMMAND, 2),
            (LogReason::Denied(Reason::Key), 3),
            (LogReason::Denied(Reason::Channel), 4),
        ];
        for (reason, times) in reasons {
            for _ in 0..times {
                let event = LogEvent {
                    reason,
                    ..event("x")
                };
                log.record(&event, 0, 0);
            }
        }
        log.reset();
        let wanted = DenialCounts {
            auth: 1,
            command: 2,
            key: 3,
            channel: 4,
        };
        assert_eq!(log.counts(), wanted);
    }
}
