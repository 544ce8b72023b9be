//! REPLCONF as a primary understands it.

use super::hub::Hub;
use super::session::State;
use super::spool::parse_resume;
use super::types::*;
use crate::ClientId;
use crate::compression::{COMPRESSION, COMPRESSION_AGREED};
use crate::limits::ANNOUNCED_IP_BYTES;
use crate::text::{parse_u64, printable};
use words::int::parse_i64;

const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range";
const NOT_A_FLAG: &str = "-ERR value is out of range, value must between 0 and 1";

impl Hub {
    /// `REPLCONF args…` (the command's name not among them), except GETACK, which concerns the replica's side.
    ///
    /// Options before a failing one stay applied, as in the reference.
    pub fn replconf(&mut self, env: &Env<'_>, client: ClientId, args: &[&[u8]]) -> Reply {
        if !args.len().is_multiple_of(2) {
            return Reply::Error("-ERR syntax error".into());
        }
        for pair in args.chunks_exact(2) {
            let (option, value) = (pair[0], pair[1]);
            if option.eq_ignore_ascii_case(b"ack") {
                let aof = match args {
                    [_, _, fack, aof, ..] if fack.eq_ignore_ascii_case(b"fack") => parse_u64(aof),
                    _ => None,
                };
                if let Some(offset) = parse_u64(value) {
                    self.ack(env, client, offset, aof);
                }
                return Reply::Nothing;
            }
            if option.eq_ignore_ascii_case(b"getack") {
                return Reply::Nothing;
            }
            if let Err(error) = self.replconf_option(env, client, option, value) {
                return Reply::Error(error);
            }
        }
        let asks = args.chunks_exact(2).any(|pair| {
            pair[0].eq_ignore_ascii_case(b"capa") && pair[1].eq_ignore_ascii_case(COMPRESSION)
        });
        match asks && self.is_compressed(client) {
            true => Reply::Line([COMPRESSION_AGREED, b"\r\n"].concat()),
            false => Reply::Ok,
        }
    }

    fn replconf_option(
        &mut self,
        env: &Env<'_>,
        client: ClientId,
        option: &[u8],
        value: &[u8],
    ) -> Result<(), String> {
        let is = |name: &[u8]| option.eq_ignore_ascii_case(name);
        if is(b"listening-port") {
            // Any integer is accepted; what is no port is as good as none.
            let port = parse_i64(value).ok_or(NOT_AN_INTEGER)?;
            self.session(client).port = u16::try_from(port).unwrap_or(0);
        } else if is(b"ip-address") {
            if value.len() >= ANNOUNCED_IP_BYTES {
                return Err(format!(
                    "-ERR REPLCONF ip-address provided by replica instance is too long: {} bytes",
                    value.len()
                ));
            }
            self.session(client).announced_ip = (!value.is_empty()).then(|| printable(value));
        } else if is(b"capa") {
            let compression = env.config.compression;
            let dual_possible = env.config.dual_channel && env.config.diskless_sync;
            let session = self.session(client);
            session.offered_dual |= value.eq_ignore_ascii_case(b"dual-channel");
            if let Some(resume) = parse_resume(value) {
                session.resume = Some(resume);
            }
            session.compressed |= compression && value.eq_ignore_ascii_case(COMPRESSION);
            let capabilities = &mut session.capabilities;
            if value.eq_ignore_ascii_case(b"eof") {
                capabilities.eof = true;
            } else if value.eq_ignore_ascii_case(b"psync2") {
                capabilities.psync2 = true;
            } else if value.eq_ignore_ascii_case(b"dual-channel") && dual_possible {
                capabilities.dual_channel = true;
            } else if value.eq_ignore_ascii_case(b"rdb-channel-repl") && dual_possible {
                capabilities.rdb_channel = true;
            }
        } else if is(b"version") {
            let version = parse_version(value)
                .ok_or_else(|| format!("-ERR Unrecognized version format: {}", printable(value)))?;
            self.session(client).version = version;
        } else if is(b"rdb-only") {
            self.session(client).rdb_only = flag(value)?;
        } else if is(b"rdb-filter-only") {
            self.session(client).requirements.filter = filter(value)?;
        } else if is(b"rdb-channel") {
            self.session(client).requirements.rdb_channel = flag(value)?;
        } else if is(b"main-ch-client-id") {
            self.name_main_channel(client, value)?;
        } else if is(b"set-rdb-client-id") {
            let number = parse_i64(value).ok_or(NOT_AN_INTEGER)?;
            let known = u64::try_from(number)
                .ok()
                .map(ClientId)
                .filter(|id| self.waiting.contains_key(id));
            let id = known
                .ok_or_else(|| format!("-ERR Unrecognized RDB client id {}", printable(value)))?;
            self.session(client).rdb_client = Some(id);
        } else {
            return Err(format!(
                "-ERR Unrecognized REPLCONF option: {}",
                printable(option)
            ));
        }
        Ok(())
    }

    /// Whether what follows the line in front of a snapshot or of the stream goes to this client compressed.
    #[must_use]
    pub fn is_compressed(&self, client: ClientId) -> bool {
        self.sessions.get(&client).is_some_and(|s| s.compressed)
    }

    /// `REPLCONF ACK`: `offset` is the last byte applied, `aof_offset` the last one safe on disk.
    fn ack(&mut self, env: &Env<'_>, client: ClientId, offset: u64, aof_offset: Option<u64>) {
        let Some(session) = self
            .sessions
            .get_mut(&client)
            .filter(|s| s.state.is_replica())
        else {
            return;
        };
        // No replica can have applied what was never produced.
        session.ack = session.ack.max(offset.min(self.history.offset));
        session.ack_aof = session
            .ack_aof
            .max(aof_offset.unwrap_or(0).min(self.history.offset));
        session.ack_ms = env.now_ms;
        let first = !std::mem::replace(&mut session.acked, true);
        if let State::WaitEnd {
            acked, disk: false, ..
        } = &mut session.state
        {
            // It has the whole snapshot already; we just have not heard of the writer's end yet.
            *acked = true;
        }
        match std::mem::replace(&mut session.state, State::Done) {
            State::AwaitAck { cursor } => {
                session.state = State::Online { cursor };
                let name = session.name();
                self.actions.push_back(Action::StreamTo(client));
                self.log(
                    crate::Level::Notice,
                    format!("Synchronization with replica {name} succeeded"),
                );
            }
            State::BgTransfer { cursor } => {
                session.state = State::Online { cursor };
                let name = session.name();
                self.actions.push_back(Action::StreamTo(client));
                self.log(
                    crate::Level::Notice,
                    format!("Synchronization with replica {name} succeeded"),
                );
            }
            other => session.state = other,
        }
        if first {
            self.note_read(client);
        }
    }

    /// A bare newline from a client: a replica's sign of life.
    pub fn newline(&mut self, env: &Env<'_>, client: ClientId) {
        if let Some(session) = self
            .sessions
            .get_mut(&client)
            .filter(|s| s.state.is_replica())
        {
            session.ack_ms = env.now_ms;
        }
    }
}

fn flag(value: &[u8]) -> Result<bool, String> {
    match parse_i64(value) {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        Some(_) => Err(NOT_A_FLAG.into()),
        None => Err(NOT_AN_INTEGER.into()),
    }
}

/// `a.b.c` as one number; each part must fit a byte.
fn parse_version(value: &[u8]) -> Option<u32> {
    let mut parts = value
        .split(|b| *b == b'.')
        .map(|p| parse_u64(p).and_then(|n| u8::try_from(n).ok()));
    let version = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then(|| {
        version
            .into_iter()
            .fold(0, |v, part| v << 8 | u32::from(part))
    })
}

fn unquoted(word: &[u8]) -> &[u8] {
    match word {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        _ => word,
    }
}

/// The include filter: words, possibly quoted, of which only `functions` is known.
fn filter(value: &[u8]) -> Result<Filter, String> {
    let mut filter = Filter {
        exclude_data: true,
        exclude_functions: true,
    };
    let quotes = |q: u8| value.iter().filter(|b| **b == q).count() % 2 == 1;
    if quotes(b'"') || quotes(b'\'') {
        return Err("-ERR Missing rdb-filter-only values".into());
    }
    for word in value.split(u8::is_ascii_whitespace) {
        let word = unquoted(word);
        if word.eq_ignore_ascii_case(b"functions") {
            filter.exclude_functions = false;
        } else if !word.is_empty() {
            return Err(format!(
                "-ERR Unsupported rdb-filter-only option: {}",
                printable(word)
            ));
        }
    }
    Ok(filter)
}
