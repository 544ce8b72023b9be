//! FAILOVER: hand the role over to a replica once it has everything, without losing a write.
//!
//! Writes are paused while it lasts, so our offset stands still and an equal acknowledgement means equal data.

use super::hub::Hub;
use super::session::Session;
use super::types::*;
use crate::Level;
use crate::text::printable;
use words::int::parse_i64;

/// How far a failover has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailoverState {
    /// None is under way.
    None,
    /// Writes are paused; a replica has to catch up.
    WaitingForSync,
    /// We follow the target and wait for it to accept us.
    InProgress,
}

impl FailoverState {
    /// Word for INFO `master_failover_state`.
    pub fn as_str(self) -> &'static str {
        match self {
            FailoverState::None => "no-failover",
            FailoverState::WaitingForSync => "waiting-for-sync",
            FailoverState::InProgress => "failover-in-progress",
        }
    }
}

/// A failover under way.
#[derive(Debug)]
pub(super) struct Failover {
    /// `None` = any replica.
    target: Option<(String, u16)>,
    /// When to give up, or with `force` to go ahead.
    deadline_ms: Option<u64>,
    force: bool,
    in_progress: bool,
}

impl Failover {
    fn target_name(&self) -> String {
        match &self.target {
            Some((host, port)) => format!("{host}:{port}"),
            None => "any replica".into(),
        }
    }
}

/// The command's arguments.
#[derive(Debug, Default, PartialEq, Eq)]
struct Request {
    target: Option<(String, u16)>,
    timeout_ms: Option<u64>,
    force: bool,
    abort: bool,
}

impl Hub {
    /// `FAILOVER args…` (the command's name not among them).
    pub fn failover(&mut self, env: &Env<'_>, args: &[&[u8]]) -> Reply {
        match self.try_failover(env, args) {
            Ok(()) => Reply::Ok,
            Err(text) => Reply::Error(format!("-ERR {text}")),
        }
    }

    /// How far a failover has come.
    pub fn failover_state(&self) -> FailoverState {
        match &self.failover {
            None => FailoverState::None,
            Some(failover) if failover.in_progress => FailoverState::InProgress,
            Some(_) => FailoverState::WaitingForSync,
        }
    }

    /// The link that [`Action::FailoverTo`] asked for was accepted or refused.
    pub fn failover_finished(&mut self, env: &Env<'_>, accepted: bool) {
        if self.failover_state() != FailoverState::InProgress {
            return;
        }
        if accepted {
            self.failover = None;
            self.actions.push_back(Action::ResumeWrites);
        } else {
            self.abort_failover(env, "Failover target rejected psync request");
        }
    }

    /// Goes on when a replica has caught up or the time is over. Part of every tick.
    pub(super) fn check_failover(&mut self, env: &Env<'_>) {
        let Some(failover) = self.failover.as_ref().filter(|f| !f.in_progress) else {
            return;
        };
        let late = failover
            .deadline_ms
            .is_some_and(|deadline| env.now_ms >= deadline);
        let wanted = |s: &&Session| {
            let meant = failover
                .target
                .as_ref()
                .is_none_or(|(host, port)| s.ip() == host && s.port == *port);
            meant && s.state.is_online() && s.port != 0
        };
        let offset = self.history.offset;
        let synced = self
            .sessions
            .values()
            .filter(wanted)
            .find(|s| s.ack == offset);
        let synced = synced.map(|s| (s.ip().to_owned(), s.port));
        if let Some((host, port)) = synced {
            self.log(
                Level::Notice,
                format!("Failover target {host}:{port} is synced, failing over."),
            );
            self.fail_over_to(host, port);
        } else if late {
            match (failover.force, failover.target.clone()) {
                (true, Some((host, port))) => {
                    self.log(
                        Level::Notice,
                        format!("FAILOVER to {host}:{port} time out exceeded, failing over."),
                    );
                    self.fail_over_to(host, port);
                }
                _ => self.abort_failover(env, "Replica never caught up before timeout"),
            }
        }
    }

    fn try_failover(&mut self, env: &Env<'_>, args: &[&[u8]]) -> Result<(), String> {
        let request = Request::parse(args)?;
        if request.abort {
            if self.failover.is_none() {
                return Err("No failover in progress.".into());
            }
            self.abort_failover(env, "Failover manually aborted");
            return Ok(());
        }
        if self.failover.is_some() {
            return Err("FAILOVER already in progress.".into());
        }
        if env.role != Role::Primary {
            return Err("FAILOVER is not valid when server is a replica.".into());
        }
        if self.connected_replicas() == 0 {
            return Err("FAILOVER requires connected replicas.".into());
        }
        if request.force && (request.timeout_ms.is_none() || request.target.is_none()) {
            return Err(
                "FAILOVER with force option requires both a timeout and target HOST and IP.".into(),
            );
        }
        if let Some((host, port)) = &request.target {
            let mut meant = self
                .sessions
                .values()
                .filter(|s| s.state.is_replica() && s.ip() == host && s.port == *port);
            let Some(first) = meant.next() else {
                return Err("FAILOVER target HOST and PORT is not a replica.".into());
            };
            // During a dual-channel sync a replica has two connections, neither of them online.
            if !first.state.is_online() && !meant.any(|s| s.state.is_online()) {
                return Err("FAILOVER target replica is not online.".into());
            }
        }
        let failover = Failover {
            target: request.target,
            deadline_ms: request.timeout_ms.map(|ms| env.now_ms.saturating_add(ms)),
            force: request.force,
            in_progress: false,
        };
        let text = format!("FAILOVER requested to {}.", failover.target_name());
        self.failover = Some(failover);
        self.actions.push_back(Action::PauseWrites);
        self.log(Level::Notice, text);
        Ok(())
    }

    fn fail_over_to(&mut self, host: String, port: u16) {
        if let Some(failover) = &mut self.failover {
            failover.in_progress = true;
            failover.target = Some((host.clone(), port));
        }
        self.actions.push_back(Action::FailoverTo { host, port });
    }

    fn abort_failover(&mut self, env: &Env<'_>, why: &str) {
        let Some(failover) = self.failover.take() else {
            return;
        };
        self.log(
            Level::Notice,
            format!("FAILOVER to {} aborted: {why}", failover.target_name()),
        );
        if failover.in_progress {
            // The target may or may not have taken over: only a new id makes sure that histories differ.
            self.actions.push_back(Action::Promote);
            self.promote(env);
        }
        self.actions.push_back(Action::ResumeWrites);
    }
}

impl Request {
    fn parse(args: &[&[u8]]) -> Result<Self, String> {
        const SYNTAX: &str = "syntax error";
        const NOT_AN_INTEGER: &str = "value is not an integer or out of range";
        let mut request = Request::default();
        let mut rest = args;
        while let Some((option, more)) = rest.split_first() {
            let is = |name: &[u8]| option.eq_ignore_ascii_case(name);
            rest = match more {
                [] if is(b"abort") && args.len() == 1 => {
                    request.abort = true;
                    more
                }
                [ms, more @ ..] if is(b"timeout") && request.timeout_ms.is_none() => {
                    let ms = parse_i64(ms).ok_or(NOT_AN_INTEGER)?;
                    let ms = u64::try_from(ms).ok().filter(|ms| *ms > 0);
                    request.timeout_ms = Some(ms.ok_or("FAILOVER timeout must be greater than 0")?);
                    more
                }
                [host, port, more @ ..] if is(b"to") && request.target.is_none() => {
                    // What is no port at all belongs to no replica, which is what the caller gets to hear.
                    let port = parse_i64(port).ok_or(NOT_AN_INTEGER)?;
                    request.target = Some((printable(host), u16::try_from(port).unwrap_or(0)));
                    more
                }
                more if is(b"force") && !request.force => {
                    request.force = true;
                    more
                }
                _ => return Err(SYNTAX.into()),
            };
        }
        Ok(request)
    }
}
