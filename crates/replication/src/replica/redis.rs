//! A full synchronisation on two connections as Redis 8 knows it.
//!
//! ```text
//! main                                    snapshot connection
//! > REPLCONF version …   < -ERR …
//! > REPLCONF capa rdb-channel-repl
//! > PSYNC …
//! < +RDBCHANNELSYNC <id>
//!                                         > REPLCONF … rdb-channel 1 main-ch-client-id <id> …
//!                                         > PSYNC ? -1
//! < stream from offset + 1 on             < +FULLRESYNC <replid> <offset>
//!                                         < $EOF:<mark>, RDB, mark
//! > REPLCONF ACK, when the snapshot is loaded
//! ```
//!
//! The main connection is not asked for again: it streams from the moment at which the snapshot is taken.
//!
//! Source: what two servers of Redis 8.0.6 say to each other (`docs/replication.md`).

use super::handshake::{RDB_CHANNEL_NEEDED, parse_full_resync};
use super::lines::LineReader;
use super::link::{Link, Main, Rdb, RdbState, Step};
use super::types::*;
use crate::Level;
use crate::text::{parse_u64, printable};

/// The word for what we do here.
const CAPABILITY: &[u8] = b"rdb-channel-repl";

/// How the two connections of a synchronisation are told to belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// The main connection names the snapshot's, and asks for the stream.
    Valkey,
    /// The snapshot's connection names the main one, which the primary knows by this number, and which asks for nothing.
    Redis { main: u64 },
}

impl Link {
    /// A reply of the handshake, and no other is awaited: whether there is more to ask before PSYNC, which has been sent then.
    ///
    /// Valkey has known `REPLCONF version` for as long as two connections. Who does not is Redis, or too old for either: only
    /// there the word of Redis is said, and a Valkey primary reads what it reads from a Valkey replica.
    pub(super) fn offer_rdb_channel(&mut self, step: Step, reply: &[u8]) -> bool {
        let unknown = step == Step::Version && reply.starts_with(b"-ERR");
        let Some(conn) = self.main.filter(|_| unknown && self.dual_announced) else {
            return false;
        };
        self.send(conn, &[b"REPLCONF", b"capa", CAPABILITY]);
        self.steps.push_back(Step::RdbChannel);
        true
    }

    /// The number by which the primary knows this connection, from its answer to PSYNC; `None` when that is another answer, or
    /// one that we have not offered to understand.
    pub(super) fn rdb_channel_sync(&self, line: &[u8]) -> Option<u64> {
        let rest = line.strip_prefix(b"+RDBCHANNELSYNC ")?;
        parse_u64(rest).filter(|_| self.rdb_channel_announced)
    }

    /// The primary waits for the snapshot's connection. The stream may come at any time from now on.
    pub(super) fn begin_rdb_channel(&mut self, env: &Env<'_>, main: u64) {
        self.log(Level::Notice, RDB_CHANNEL_NEEDED.into());
        self.restart_buffer();
        self.state = Main::Buffering;
        self.last_newline_ms = env.now_ms;
        self.open_rdb(env, Dialect::Redis { main });
    }

    /// Opens the snapshot's connection.
    pub(super) fn open_rdb(&mut self, env: &Env<'_>, dialect: Dialect) {
        let conn = self.new_conn(Channel::Rdb);
        self.rdb = Some(Rdb {
            conn: Some(conn),
            lines: LineReader::default(),
            state: RdbState::Connecting,
            dialect,
            compressed: false,
            replid: None,
            offset: 0,
            stream_db: None,
            last_io_ms: env.now_ms,
        });
    }

    /// Says whose snapshot it is.
    pub(super) fn introduce_rdb_channel(&mut self, env: &Env<'_>, conn: Conn, main: u64) {
        let (main, port) = (main.to_string(), env.config.announced_port.to_string());
        self.send(
            conn,
            &[
                b"REPLCONF",
                b"capa",
                b"eof",
                b"rdb-only",
                b"1",
                b"rdb-channel",
                b"1",
                b"main-ch-client-id",
                main.as_bytes(),
                b"listening-port",
                port.as_bytes(),
            ],
        );
    }

    /// The answer to PSYNC on the snapshot's connection.
    pub(super) fn rdb_full_resync(&mut self, env: &Env<'_>, line: &[u8]) {
        let Some((replid, offset)) = line
            .strip_prefix(b"+FULLRESYNC")
            .and_then(parse_full_resync)
        else {
            self.log(
                Level::Warning,
                format!(
                    "Unexpected reply to PSYNC on the RDB channel from primary: {}",
                    printable(line)
                ),
            );
            return match line.starts_with(b"-NOPERM") {
                true => self.refused(env),
                false => self.abort_dual(env, None),
            };
        };
        if let Some(rdb) = &mut self.rdb {
            rdb.state = RdbState::AwaitHeader;
            rdb.replid = Some(replid);
            rdb.offset = offset;
        }
        self.report.why_full = Some(self.why_full(Some((replid, offset))));
        self.log(
            Level::Notice,
            format!(
                "Full resync from primary: {replid}:{offset}, RDB and replication stream in parallel."
            ),
        );
    }
}
