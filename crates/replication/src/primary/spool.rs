//! One snapshot for several replicas that do not come together: what the writer sends also goes into a file, from which
//! late comers get it, and from which one whose connection broke goes on where it was.
//!
//! The file belongs to the server. It is of use as long as the stream is held from the snapshot's offset on: nothing is
//! kept for its sake.

use super::hub::Hub;
use super::session::{Requirements, State};
use super::types::*;
use crate::sync::SyncMode;
use crate::{ClientId, Level, ReplId};

/// How the mark of a snapshot begins of which a file is kept: a replica of ours then asks to go on where it was.
pub(crate) const SPOOL_MARK: &[u8] = b"spool:";
/// A file that nobody has asked for is deleted after so long, in milliseconds.
const UNUSED_MS_MAX: u64 = 600_000;

/// The snapshot of which a file is kept.
#[derive(Debug)]
pub(super) struct Spool {
    pub(super) job: JobId,
    requirements: Requirements,
    mode: SyncMode,
    replid: ReplId,
    offset: u64,
    stream_db: u32,
    mark: [u8; 40],
    /// The writer has ended, and everything is in the file.
    is_complete: bool,
    used_ms: u64,
}

/// From where a replica wants to go on: a mark, and the bytes it has.
pub(super) type Resume = ([u8; 40], u64);

/// Reads the capability by which a replica of ours asks for it: `resume-<mark>-<bytes>`.
pub(super) fn parse_resume(word: &[u8]) -> Option<Resume> {
    let rest = word.strip_prefix(b"resume-")?;
    let (mark, bytes) = rest.split_at_checked(40)?;
    let bytes = crate::text::parse_u64(bytes.strip_prefix(b"-")?)?;
    Some((mark.try_into().ok()?, bytes))
}

impl Hub {
    /// The mark of a new snapshot that goes to sockets, and whether a file is kept of it.
    pub(super) fn new_mark(&mut self, env: &Env<'_>) -> ([u8; 40], u64) {
        let mut mark = *self.fresh_id().as_bytes();
        let bytes_max = env.config.spool_bytes;
        if bytes_max > 0 {
            mark[..SPOOL_MARK.len()].copy_from_slice(SPOOL_MARK);
        }
        (mark, bytes_max)
    }

    /// A snapshot starts of which a file is to be kept.
    pub(super) fn begin_spool(
        &mut self,
        env: &Env<'_>,
        job: JobId,
        requirements: Requirements,
        mode: SyncMode,
        stream_db: u32,
        mark: [u8; 40],
    ) {
        self.drop_spool(env);
        self.spool = Some(Spool {
            job,
            requirements,
            mode,
            replid: self.history.replid,
            offset: self.history.offset,
            stream_db,
            mark,
            is_complete: false,
            used_ms: env.now_ms,
        });
    }

    /// Serves a client that has begun to wait from the file of an earlier snapshot, if there is one that will do.
    pub(super) fn join_spool(&mut self, env: &Env<'_>, client: ClientId) -> bool {
        let Some(session) = self.sessions.get(&client) else {
            return false;
        };
        let (requirements, has_eof) = (session.requirements, session.capabilities.eof);
        // The main connection of one that speaks as Redis does streams from the moment at which a snapshot is taken.
        if session.main_client.is_some() {
            return false;
        }
        let (rdb_only, resume) = (session.rdb_only, session.resume);
        let replid = self.history.replid;
        let Some(spool) = self.spool.as_mut().filter(|spool| {
            spool.requirements == requirements && has_eof && spool.replid == replid
        }) else {
            return false;
        };
        let Some(cursor) = self
            .backlog
            .as_mut()
            .and_then(|backlog| backlog.cursor_at(spool.offset + 1))
        else {
            return false;
        };
        spool.used_ms = env.now_ms;
        let (job, mode, offset, stream_db, mark) = (
            spool.job,
            spool.mode,
            spool.offset,
            spool.stream_db,
            spool.mark,
        );
        let from = match resume {
            Some((of, bytes)) if of == mark => bytes,
            _ => 0,
        };
        let mut prelude = Vec::new();
        let mut own_cursor = None;
        if mode == SyncMode::DualChannel {
            prelude = self.begin_waiting(client, job, (offset, stream_db), cursor);
        } else if rdb_only {
            self.release_cursor(Some(cursor));
        } else {
            own_cursor = Some(cursor);
        }
        prelude.extend(self.full_resync_line(client, offset).unwrap_or_default());
        prelude.extend([b"$EOF:", &mark[..], b"\r\n"].concat());
        let session = self.session(client);
        session.from_spool = true;
        session.resume = None;
        session.state = State::WaitEnd {
            job,
            disk: false,
            offset,
            cursor: own_cursor,
            acked: false,
        };
        session.report.snapshot(env.now_ms, mode, None);
        let name = session.name();
        let text = match from {
            0 => format!("Replica {name} gets the snapshot that is kept, up to offset {offset}"),
            _ => format!("Replica {name} goes on with the snapshot that is kept, at byte {from}"),
        };
        self.log(Level::Notice, text);
        self.stats.spool_served += 1;
        self.actions.push_back(Action::SendSpool {
            client,
            prelude,
            from,
        });
        true
    }

    /// The writer of this snapshot has ended well: what is in the file is whole.
    pub(super) fn spool_written(&mut self, job: JobId) -> bool {
        match self.spool.as_mut().filter(|spool| spool.job == job) {
            Some(spool) => {
                spool.is_complete = true;
                true
            }
            None => false,
        }
    }

    /// The file is not to be had any more: it has become too big, or its writer has failed.
    pub fn spool_lost(&mut self, env: &Env<'_>) {
        self.drop_spool(env);
    }

    /// Whether the writer of this snapshot has to go on though nobody receives it.
    pub(super) fn spools(&self, job: JobId) -> bool {
        self.spool.as_ref().is_some_and(|spool| spool.job == job)
    }

    /// The snapshot that is kept: the offset of its end, or `None`.
    pub fn spooled_offset(&self) -> Option<u64> {
        self.spool.as_ref().map(|spool| spool.offset)
    }

    /// Deletes the file once it is of no use, and has those go on who have read all that there was. Called on every tick.
    pub(super) fn look_at_spool(&mut self, env: &Env<'_>) {
        let Some(spool) = &self.spool else { return };
        let served = self.spool_takers();
        let (is_served, is_complete) = (!served.is_empty(), spool.is_complete);
        self.actions.extend(served.into_iter().map(Action::Wake));
        if is_served || !is_complete {
            return;
        }
        let is_held = self.backlog.as_ref().is_some_and(|backlog| {
            (backlog.first_offset()..=backlog.next_offset()).contains(&(spool.offset + 1))
        });
        let is_old = env.now_ms.saturating_sub(spool.used_ms) > UNUSED_MS_MAX;
        let is_ours = spool.replid == self.history.replid;
        if !is_held || !is_ours || is_old || env.config.spool_bytes == 0 {
            self.drop_spool(env);
        }
    }

    /// Who is being served from the file.
    fn spool_takers(&self) -> Vec<ClientId> {
        let sessions = self.sessions.iter();
        let takers = sessions.filter(|(_, s)| s.from_spool);
        takers.map(|(client, _)| *client).collect()
    }

    /// Forgets the file. Whoever is being served from one that is not whole has to begin anew.
    fn drop_spool(&mut self, env: &Env<'_>) {
        let Some(spool) = self.spool.take() else {
            return;
        };
        self.actions.push_back(Action::DropSpool);
        if spool.is_complete {
            return;
        }
        let served = self.spool_takers();
        for client in served {
            self.close_failed(env, client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_capability_names_a_mark_and_a_number() {
        let mark = [b'a'; 40];
        let word = |tail: &str| [b"resume-", &mark[..], tail.as_bytes()].concat();
        assert_eq!(parse_resume(&word("-17")), Some((mark, 17)));
        for bad in [
            &word("")[..],
            &word("17"),
            &word("-"),
            &word("--1"),
            b"resume-a-1",
            b"eof",
        ] {
            assert_eq!(parse_resume(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }
}
