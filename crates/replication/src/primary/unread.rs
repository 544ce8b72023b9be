//! Replicas that cannot read what others can.
//!
//! A replica that names its version, as Valkey's do, reads the current format of snapshots. Redis names none, of whichever
//! version, and up to 7.0 it drops a snapshot in the current format when the last byte has come, and asks again, without end.
//! So a replica without a version that has had a whole snapshot, and left without a word, is sent the next one in the older
//! format, which all can read. Nobody else sees a difference.

use super::hub::Hub;
use super::session::{Session, State};
use super::types::SnapshotFormat;
use crate::{ClientId, Level};
use std::collections::VecDeque;

/// Replicas that are remembered; the oldest makes room. One that is forgotten costs one more snapshot.
const REMEMBERED_MAX: usize = 64;

/// What tells for sure that a snapshot was of no use. Half of it tells nothing, but for the second time.
const SURE: u8 = 2;

/// Replicas, as log lines call them, with how sure it is that they do not read the current format.
#[derive(Debug, Default)]
pub(super) struct Unread(VecDeque<(String, u8)>);

impl Unread {
    fn take(&mut self, name: &str) -> u8 {
        match self.0.iter().position(|(other, _)| other == name) {
            Some(at) => self.0.remove(at).map_or(0, |(_, sure)| sure),
            None => 0,
        }
    }

    fn add(&mut self, name: String, sure: u8) {
        let sure = self.take(&name).saturating_add(sure).min(SURE);
        if self.0.len() >= REMEMBERED_MAX {
            self.0.pop_front();
        }
        self.0.push_back((name, sure));
    }

    fn is_sure(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|(other, sure)| other == name && *sure >= SURE)
    }
}

impl Hub {
    /// A client leaves. Whether it could read its snapshot shows in what it has said since: an ACK, or nothing.
    pub(super) fn note_unread(&mut self, session: &Session) {
        let sure = match session.state {
            State::AwaitAck { .. } => SURE,
            // Only the dump file, which is sent before, leads here without an ACK.
            State::Online { .. } if session.had_snapshot => SURE,
            // It may have everything: the writer's end comes to us by another way.
            State::WaitEnd { disk: false, .. } => SURE / 2,
            _ => 0,
        };
        // A snapshot's own connection never acknowledges, and may leave the version to the main one.
        let silent = !session.acked && !session.rdb_only;
        let nameless = session.version == 0 && session.port != 0;
        if sure > 0 && silent && nameless && session.requirements.format == SnapshotFormat::Current
        {
            self.unread.add(session.name(), sure);
        }
    }

    /// This client has acknowledged something for the first time since it asked for a snapshot.
    pub(super) fn note_read(&mut self, client: ClientId) {
        let session = self.session(client);
        if session.requirements.format == SnapshotFormat::Current {
            let name = session.name();
            self.unread.take(&name);
        }
    }

    /// A full synchronisation begins for this client: chooses the format of its snapshot.
    pub(super) fn choose_format(&mut self, client: ClientId) {
        let session = self.session(client);
        session.had_snapshot = true;
        session.acked = false;
        session.requirements.format = SnapshotFormat::Current;
        // The dump file is in the current format: the older one goes to sockets only.
        let able = session.version == 0 && session.capabilities.eof && !session.rdb_only;
        let name = session.name();
        if able && self.unread.is_sure(&name) {
            self.session(client).requirements.format = SnapshotFormat::Redis7;
            self.log(
                Level::Notice,
                format!(
                    "Replica {name} has left after a whole snapshot without a word, and names no version: the next one is in the format that Redis 7.0 reads"
                ),
            );
        }
    }
}
