//! The handshake, line by line, on both connections.

use super::link::{Link, Main, RdbState, Retry, Step};
use super::redis::Dialect;
use super::transfer::ABORTING_DUAL;
use super::types::*;
use crate::compression::{COMPRESSION, COMPRESSION_AGREED};
use crate::limits::DB_INDEX_MAX;
use crate::sync::{SyncMode, WhyClassic, WhyFull};
use crate::text::{parse_u64, printable};
use crate::{Level, ReplId};
use words::int::parse_i64;
use words::version;

/// Results of the main channel's PSYNC as the abort line numbers them.
pub(super) mod psync_result {
    pub(in super::super) const NONE_YET: i32 = -1;
    pub(in super::super) const FULL_RESYNC: i32 = 3;
    pub(in super::super) const NOT_SUPPORTED: i32 = 4;
    pub(in super::super) const TRY_LATER: i32 = 5;
    pub(in super::super) const DUAL_CHANNEL: i32 = 6;
}

pub(super) const RDB_CHANNEL_NEEDED: &str = "PSYNC is not possible, initialize RDB channel.";
const FIRST_REPLY: &str = "Received first reply from primary using rdb connection.";

impl Link {
    pub(super) fn main_line(&mut self, env: &Env<'_>, line: &[u8]) {
        match self.state {
            Main::AwaitPing => self.ping_reply(env, line),
            Main::AwaitSteps => self.step_reply(env, line),
            Main::AwaitPsync => self.psync_reply(env, line),
            Main::AwaitHeader => self.header(env, Channel::Main, line),
            Main::AwaitIdentity => self.identity_reply(env, line),
            Main::AwaitDualPsync => self.dual_psync_reply(env, line),
            Main::Parked if line.is_empty() => {}
            _ => {
                self.log(
                    Level::Warning,
                    format!(
                        "Unexpected bytes from PRIMARY on the main channel: {}",
                        printable(line)
                    ),
                );
                self.abort_dual(env, None);
            }
        }
    }

    fn ping_reply(&mut self, env: &Env<'_>, line: &[u8]) {
        let fine = [
            &b"+"[..],
            b"-NOAUTH",
            b"-NOPERM",
            b"-ERR operation not permitted",
        ];
        if !fine.iter().any(|f| line.starts_with(f)) {
            self.log(
                Level::Warning,
                format!("Error reply to PING from primary: '{}'", printable(line)),
            );
            return self.fail(env, Retry::Cron);
        }
        let Some(conn) = self.main else { return };
        self.log(
            Level::Notice,
            "Primary replied to PING, replication can continue...".into(),
        );
        let config = env.config;
        if self.send_auth(env, conn) {
            self.steps.push_back(Step::Auth);
        }
        let port = config.announced_port.to_string();
        self.send(conn, &[b"REPLCONF", b"listening-port", port.as_bytes()]);
        self.steps.push_back(Step::Port);
        if !config.announced_ip.is_empty() {
            self.send(
                conn,
                &[b"REPLCONF", b"ip-address", config.announced_ip.as_bytes()],
            );
            self.steps.push_back(Step::Ip);
        }
        let capabilities: [&[u8]; 7] = [
            b"REPLCONF",
            b"capa",
            b"eof",
            b"capa",
            b"psync2",
            b"capa",
            b"dual-channel",
        ];
        self.dual_announced = config.dual_channel && self.classic_next.is_none();
        self.rdb_channel_announced = false;
        let resume = self.resume_capability();
        let mut capabilities = capabilities[..if self.dual_announced { 7 } else { 5 }].to_vec();
        if let Some(resume) = &resume {
            capabilities.extend([&b"capa"[..], resume]);
        }
        self.compressed = false;
        if config.compression {
            capabilities.extend([b"capa", COMPRESSION]);
        }
        self.send(conn, &capabilities);
        self.steps.push_back(Step::Capabilities);
        self.send(conn, &[b"REPLCONF", b"version", version::VALKEY.as_bytes()]);
        self.steps.push_back(Step::Version);
        self.state = Main::AwaitSteps;
    }

    fn send_auth(&mut self, env: &Env<'_>, conn: Conn) -> bool {
        let Some(password) = &env.config.password else {
            return false;
        };
        match env.config.user.as_slice() {
            [] => self.send(conn, &[b"AUTH", password]),
            user => self.send(conn, &[b"AUTH", user, password]),
        }
        true
    }

    fn step_reply(&mut self, env: &Env<'_>, line: &[u8]) {
        let Some(step) = self.steps.pop_front() else {
            return;
        };
        if line.starts_with(b"-") {
            let option = match step {
                Step::Auth => {
                    self.log(
                        Level::Warning,
                        format!("Unable to AUTH to PRIMARY: {}", printable(line)),
                    );
                    return self.fail(env, Retry::Cron);
                }
                Step::Port => "listening-port",
                Step::Ip => "ip-address",
                Step::Capabilities | Step::RdbChannel => "capa",
                Step::Version => "version",
            };
            self.log(
                Level::Notice,
                format!(
                    "(Non critical) Primary does not understand REPLCONF {option}: {}",
                    printable(line)
                ),
            );
        }
        self.rdb_channel_announced |= step == Step::RdbChannel;
        self.compressed |= step == Step::Capabilities && agrees_to_compress(line);
        if self.steps.is_empty() && !self.offer_rdb_channel(step, line) {
            self.send_psync();
        }
    }

    fn send_psync(&mut self) {
        let Some(conn) = self.main else { return };
        let (replid, offset) = match self.position() {
            Some((replid, applied)) => {
                let next = (applied + 1).to_string();
                let text = format!(
                    "Trying a partial resynchronization (request {}:{next}).",
                    replid
                );
                self.log(Level::Notice, text);
                (replid.to_string(), next)
            }
            None => {
                self.log(
                    Level::Notice,
                    "Partial resynchronization not possible (no cached primary)".into(),
                );
                ("?".into(), "-1".into())
            }
        };
        let args: [&[u8]; 4] = [b"PSYNC", replid.as_bytes(), offset.as_bytes(), b"FAILOVER"];
        self.send(conn, &args[..if self.failover { 4 } else { 3 }]);
        self.state = Main::AwaitPsync;
    }

    fn psync_reply(&mut self, env: &Env<'_>, line: &[u8]) {
        if line.is_empty() {
            return;
        }
        let rdb_channel = self.rdb_channel_sync(line);
        let accepted = rdb_channel.is_some()
            || [&b"+FULLRESYNC"[..], b"+CONTINUE", b"+DUALCHANNELSYNC"]
                .iter()
                .any(|a| line.starts_with(a));
        if std::mem::take(&mut self.failover) {
            self.actions.push_back(Action::Failover { accepted });
        }
        if let Some(rest) = line.strip_prefix(b"+FULLRESYNC") {
            self.full = parse_full_resync(rest);
            self.log_full_resync(self.full);
            self.state = Main::AwaitHeader;
            self.report
                .begin(SyncMode::ClassicSockets, Some(self.why_full(self.full)));
            self.report.why_classic = Some(self.why_classic(env));
        } else if let (Some(rest), true) =
            (line.strip_prefix(b"+CONTINUE"), self.position().is_some())
        {
            self.continued(rest);
        } else if line.starts_with(b"+DUALCHANNELSYNC") && self.dual_announced {
            self.log(Level::Notice, RDB_CHANNEL_NEEDED.into());
            self.state = Main::Parked;
            self.report.begin(SyncMode::DualChannel, None);
            self.report.why_classic = None;
            self.open_rdb(env, Dialect::Valkey);
        } else if let Some(main) = rdb_channel {
            self.report.begin(SyncMode::DualChannel, None);
            self.report.why_classic = None;
            self.begin_rdb_channel(env, main);
        } else if is_try_later(line) {
            self.log_try_later(line);
            self.fail(env, Retry::Cron);
        } else if line.starts_with(b"-NOPERM") {
            self.log(
                Level::Warning,
                format!(
                    "Unexpected reply to PSYNC from primary: {}",
                    printable(line)
                ),
            );
            self.refused(env);
        } else {
            self.log_not_supported(line);
            self.log(Level::Notice, "Retrying with SYNC...".into());
            if let Some(conn) = self.main {
                self.send_bytes(conn, b"SYNC\r\n".to_vec());
            }
            self.report
                .begin(SyncMode::ClassicSockets, Some(WhyFull::Asked));
            self.report.why_classic = Some(self.why_classic(env));
            self.state = Main::AwaitHeader;
        }
    }

    fn log_full_resync(&mut self, parsed: Option<(ReplId, u64)>) {
        match parsed {
            Some((replid, offset)) => self.log(
                Level::Notice,
                format!("Full resync from primary: {replid}:{offset}"),
            ),
            None => self.log(
                Level::Warning,
                "Primary replied with wrong +FULLRESYNC syntax.".into(),
            ),
        }
    }

    fn log_try_later(&mut self, line: &[u8]) {
        let line = printable(line);
        self.log(
            Level::Notice,
            format!("Primary is currently unable to PSYNC but should be in the future: {line}"),
        );
    }

    fn log_not_supported(&mut self, line: &[u8]) {
        let shown = printable(line);
        if line.starts_with(b"-ERR") {
            self.log(
                Level::Notice,
                format!("Primary does not support PSYNC or is in error state (reply: {shown})"),
            );
        } else {
            self.log(
                Level::Warning,
                format!("Unexpected reply to PSYNC from primary: {shown}"),
            );
        }
    }

    /// Why the primary gives us all of its data, at this place of its history.
    pub(super) fn why_full(&self, of: Option<(ReplId, u64)>) -> WhyFull {
        match (self.position(), of) {
            (None, _) => WhyFull::NothingToContinue,
            (Some((ours, _)), Some((theirs, _))) if ours != theirs => WhyFull::OtherHistory,
            (Some((_, applied)), Some((_, offset))) if applied > offset => WhyFull::AheadOfPrimary,
            (Some((_, applied)), Some((_, offset))) => WhyFull::TooFarBehind {
                bytes: offset - applied,
            },
            (Some(_), None) => WhyFull::OtherHistory,
        }
    }

    /// Why it does so on one channel.
    fn why_classic(&self, env: &Env<'_>) -> WhyClassic {
        match self.classic_next {
            Some(why) => why,
            None if self.dual_announced => WhyClassic::NotOffered,
            None if !env.config.dual_channel => WhyClassic::SwitchedOff,
            None => WhyClassic::NotOffered,
        }
    }

    /// `+CONTINUE`, possibly under a new id.
    fn continued(&mut self, rest: &[u8]) {
        self.forget_suspended();
        self.report.begin(SyncMode::Partial, None);
        self.report.why_classic = None;
        self.log(
            Level::Notice,
            "Successful partial resynchronization with primary.".into(),
        );
        let replid = rest.strip_prefix(b" ").and_then(ReplId::parse);
        if let (Some(replid), Some(position)) = (replid, &mut self.position)
            && position.replid != Some(replid)
        {
            position.replid = Some(replid);
            self.log(
                Level::Notice,
                format!("Primary replication ID changed to {replid}"),
            );
            self.actions.push_back(Action::Branch(replid));
        }
        self.log(
            Level::Notice,
            "PRIMARY <-> REPLICA sync: Primary accepted a Partial Resynchronization.".into(),
        );
        self.decompress(Channel::Main);
        self.link_up();
    }

    /// A missing permission: asking each second would not change it, and would hide it.
    pub(super) fn refused(&mut self, env: &Env<'_>) {
        self.log(
            Level::Warning,
            "The PRIMARY refuses to synchronize this replica's user: it needs the permissions +psync +replconf +ping and, for dual channel, +sync. Trying again in 10 seconds.".into(),
        );
        if self.rdb.is_some() {
            self.log(Level::Notice, ABORTING_DUAL.into());
        }
        self.fail(env, Retry::Refused);
    }

    pub(super) fn rdb_connected(&mut self, env: &Env<'_>, conn: Conn) {
        let auth = self.send_auth(env, conn);
        match self.rdb.as_ref().map(|rdb| rdb.dialect) {
            Some(Dialect::Redis { main }) => self.introduce_rdb_channel(env, conn, main),
            Some(Dialect::Valkey) | None => self.introduce_snapshot(env, conn),
        }
        if let Some(rdb) = &mut self.rdb {
            rdb.last_io_ms = env.now_ms;
            rdb.state = if auth {
                RdbState::AwaitAuth
            } else {
                RdbState::AwaitReplconf
            };
        }
    }

    fn introduce_snapshot(&mut self, env: &Env<'_>, conn: Conn) {
        let config = env.config;
        let port = config.announced_port.to_string();
        let mut args: Vec<&[u8]> = vec![
            b"REPLCONF",
            b"capa",
            b"eof",
            b"rdb-only",
            b"1",
            b"rdb-channel",
            b"1",
        ];
        args.extend([&b"listening-port"[..], port.as_bytes()]);
        if !config.announced_ip.is_empty() {
            args.extend([&b"ip-address"[..], config.announced_ip.as_bytes()]);
        }
        args.extend([&b"version"[..], version::VALKEY.as_bytes()]);
        let resume = self.resume_capability();
        if let Some(resume) = &resume {
            args.extend([&b"capa"[..], resume]);
        }
        if config.compression {
            args.extend([b"capa", COMPRESSION]);
        }
        self.send(conn, &args);
    }

    pub(super) fn rdb_line(&mut self, env: &Env<'_>, line: &[u8]) {
        let Some(rdb) = &mut self.rdb else { return };
        match rdb.state {
            RdbState::AwaitAuth if line.starts_with(b"-") => {
                self.log(
                    Level::Warning,
                    format!("Unable to AUTH to PRIMARY: {}", printable(line)),
                );
                self.abort_dual(env, None);
            }
            RdbState::AwaitAuth => rdb.state = RdbState::AwaitReplconf,
            RdbState::AwaitReplconf if line.starts_with(b"-NOPERM") => self.refused(env),
            RdbState::AwaitReplconf if line.starts_with(b"-") => {
                self.log(Level::Debug, FIRST_REPLY.into());
                self.log(
                    Level::Notice,
                    format!(
                        "Server does not support sync with offset, dual channel sync approach cannot be used: {}",
                        printable(line)
                    ),
                );
                self.abort_dual(env, None);
            }
            RdbState::AwaitReplconf => {
                rdb.state = RdbState::AwaitEndoff;
                rdb.compressed = agrees_to_compress(line);
                match (rdb.conn, rdb.dialect) {
                    (Some(conn), Dialect::Valkey) => self.send_bytes(conn, b"SYNC\r\n".to_vec()),
                    (Some(conn), Dialect::Redis { .. }) => {
                        self.send(conn, &[b"PSYNC", b"?", b"-1"]);
                    }
                    (None, _) => {}
                }
                self.log(Level::Debug, FIRST_REPLY.into());
            }
            RdbState::AwaitEndoff if line.is_empty() => {
                self.log(Level::Debug, "Received empty $ENDOFF response".into())
            }
            RdbState::AwaitEndoff if rdb.dialect != Dialect::Valkey => {
                self.rdb_full_resync(env, line);
            }
            RdbState::AwaitEndoff => self.endoff(env, line),
            RdbState::AwaitHeader => self.header(env, Channel::Rdb, line),
            _ => self.abort_dual(env, None),
        }
    }

    fn endoff(&mut self, env: &Env<'_>, line: &[u8]) {
        let Some(endoff) = EndOff::parse(line) else {
            self.log(
                Level::Warning,
                format!("Received unexpected $ENDOFF response: {}", printable(line)),
            );
            return match line.starts_with(b"-NOPERM") {
                true => self.refused(env),
                false => self.abort_dual(env, None),
            };
        };
        if let Some(rdb) = &mut self.rdb {
            rdb.state = RdbState::AwaitHeader;
            rdb.replid = Some(endoff.replid);
            rdb.offset = endoff.offset;
            rdb.stream_db = endoff.stream_db;
        }
        self.report.why_full = Some(self.why_full(Some((endoff.replid, endoff.offset))));
        self.last_io_ms = env.now_ms;
        if let Some(conn) = self.main {
            let id = endoff.client.to_string();
            self.send(conn, &[b"REPLCONF", b"set-rdb-client-id", id.as_bytes()]);
            self.state = Main::AwaitIdentity;
        }
    }

    fn identity_reply(&mut self, env: &Env<'_>, line: &[u8]) {
        if line.is_empty() {
            return;
        }
        if !line.starts_with(b"+") {
            self.log(
                Level::Notice,
                format!(
                    "Primary does not understand REPLCONF identify: {}",
                    printable(line)
                ),
            );
            return self.abort_dual(env, Some(psync_result::NONE_YET));
        }
        let (Some(conn), Some(rdb)) = (self.main, &self.rdb) else {
            return;
        };
        let Some(replid) = rdb.replid else { return };
        let next = (rdb.offset + 1).to_string();
        self.log(
            Level::Notice,
            format!(
                "Trying a partial resynchronization using main channel (request {replid}:{next})."
            ),
        );
        self.actions.push_back(Action::BeforeMainPsync);
        self.send(conn, &[b"PSYNC", replid.as_bytes(), next.as_bytes()]);
        self.state = Main::AwaitDualPsync;
    }

    fn dual_psync_reply(&mut self, env: &Env<'_>, line: &[u8]) {
        if line.is_empty() {
            return;
        }
        if line.starts_with(b"+CONTINUE") {
            return self.main_joined(env);
        }
        let result = if let Some(rest) = line.strip_prefix(b"+FULLRESYNC") {
            self.log_full_resync(parse_full_resync(rest));
            psync_result::FULL_RESYNC
        } else if line.starts_with(b"+DUALCHANNELSYNC") {
            self.log(Level::Notice, RDB_CHANNEL_NEEDED.into());
            psync_result::DUAL_CHANNEL
        } else if is_try_later(line) {
            self.log_try_later(line);
            psync_result::TRY_LATER
        } else {
            self.log_not_supported(line);
            psync_result::NOT_SUPPORTED
        };
        self.abort_dual(env, Some(result));
    }
}

/// Whether the primary's answer to our capabilities says that what it sends will be compressed. It does so only if we have
/// asked, whatever our configuration says by now.
fn agrees_to_compress(line: &[u8]) -> bool {
    line == COMPRESSION_AGREED
}

/// A refusal that will not last.
fn is_try_later(line: &[u8]) -> bool {
    line.starts_with(b"-NOMASTERLINK") || line.starts_with(b"-LOADING")
}

/// ` <replid> <offset>` after `+FULLRESYNC`.
pub(super) fn parse_full_resync(rest: &[u8]) -> Option<(ReplId, u64)> {
    let mut words = rest.strip_prefix(b" ")?.split(|b| *b == b' ');
    let replid = ReplId::parse(words.next()?)?;
    let offset = parse_offset(words.next()?)?;
    words.next().is_none().then_some((replid, offset))
}

/// An offset that leaves room to count on.
fn parse_offset(text: &[u8]) -> Option<u64> {
    parse_u64(text).filter(|offset| *offset < i64::MAX as u64)
}

/// `$ENDOFF:<offset> <replid> <dbid> <rdb client id>`.
#[derive(Debug, PartialEq, Eq)]
struct EndOff {
    offset: u64,
    replid: ReplId,
    /// `None` = leave the DB (-1 on the wire).
    stream_db: Option<u32>,
    client: u64,
}

impl EndOff {
    fn parse(line: &[u8]) -> Option<Self> {
        let mut words = line.strip_prefix(b"$ENDOFF:")?.split(|b| *b == b' ');
        let offset = parse_offset(words.next()?)?;
        let replid = ReplId::parse(words.next()?)?;
        let stream_db = match parse_i64(words.next()?)? {
            -1 => None,
            db => Some(
                u32::try_from(db)
                    .ok()
                    .filter(|db| u64::from(*db) <= DB_INDEX_MAX)?,
            ),
        };
        let client = parse_u64(words.next()?)?;
        words.next().is_none().then_some(EndOff {
            offset,
            replid,
            stream_db,
            client,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endoff_is_read_strictly() {
        let id = "a".repeat(40);
        let line = |tail: &str| EndOff::parse(format!("$ENDOFF:{tail}").as_bytes());
        let good = line(&format!("17 {id} 5 12")).unwrap();
        assert_eq!(
            (good.offset, good.stream_db, good.client),
            (17, Some(5), 12)
        );
        assert_eq!(line(&format!("17 {id} -1 12")).unwrap().stream_db, None);
        for bad in [
            format!("-1 {id} 0 1"),
            format!("17 {id} 0"),
            format!("17 {id} 0 1 2"),
            format!("17 {id}a 0 1"),
            format!("17 {id} -2 1"),
            format!("17 {id} 4294967296 1"),
            format!("17 {id} 0 -1"),
            format!("9223372036854775807 {id} 0 1"),
            format!(" 17 {id} 0 1"),
            String::new(),
        ] {
            assert_eq!(line(&bad), None, "{bad}");
        }
    }
}
