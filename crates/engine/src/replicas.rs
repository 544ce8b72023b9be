//! What the process reports of our replicas' connections and of the snapshots that are written.

use crate::client::ClientFlags;
use crate::client::ClientId;
use crate::engine::Engine;
use crate::host::{JobId, SnapshotResult};
use crate::state::ServerState;

/// Bytes of the stream given to a replica's connection at once.
const STREAM_BYTES_MAX: usize = 512 * 1024;
/// Pieces of the stream given to a replica's connection at once: what one vectored write takes.
const STREAM_SLICES_MAX: usize = 64;

impl Engine {
    /// True for the connection of a replica, which is fed from the stream.
    #[must_use]
    pub fn is_replica(&self, id: ClientId) -> bool {
        self.state.repl.hub.is_replica(replication::ClientId(id))
    }

    /// True if what follows the line in front of a snapshot or of the stream is to be compressed for it.
    #[must_use]
    pub fn is_compressed(&self, id: ClientId) -> bool {
        let hub = &self.state.repl.hub;
        hub.is_compressed(replication::ClientId(id))
    }

    /// The kernel has taken `sent` bytes of the stream; what comes next is added to `slices`. Returns how many bytes.
    pub fn stream(
        &mut self,
        id: ClientId,
        sent: usize,
        slices: &mut Vec<replication::Slice>,
    ) -> usize {
        let client = replication::ClientId(id);
        self.state.repl.hub.sent(client, sent as u64);
        self.state.stats.net_repl_out += sent as u64;
        self.state
            .repl
            .hub
            .read(client, STREAM_BYTES_MAX, STREAM_SLICES_MAX, slices)
    }

    /// A replica's connection has taken `bytes` more of the dump file, or of the file that is kept of a snapshot.
    pub fn dump_taken(&mut self, id: ClientId, bytes: u64) {
        self.state.stats.net_repl_out += bytes;
        let now_ms = self.state.repl.now_ms;
        let client = replication::ClientId(id);
        self.state.repl.hub.snapshot_taken(now_ms, client, bytes);
    }

    /// The dump file has been written to a replica's connection.
    pub fn dump_sent(&mut self, id: ClientId) {
        self.set_time();
        self.state
            .repl
            .with_hub(|hub, env| hub.file_sent(env, replication::ClientId(id)));
        self.settle();
    }

    /// The snapshot child has given up one of the connections it writes to; the others go on.
    pub fn snapshot_receiver_failed(&mut self, id: ClientId, timed_out: bool) {
        self.set_time();
        if let Some(job) = self.state.saving.child.as_ref().map(|child| child.job) {
            let client = replication::ClientId(id);
            self.state
                .repl
                .with_hub(|hub, env| hub.snapshot_target_failed(env, job, client, timed_out));
            self.settle();
        }
    }

    /// The snapshot child tells how far it is.
    pub fn snapshot_progress(&mut self, report: crate::host::ChildReport) {
        self.set_time();
        crate::saving::progress(&self.keys, &mut self.state, report);
    }

    /// The snapshot child has ended.
    pub fn snapshot_finished(&mut self, job: JobId, result: &SnapshotResult) {
        self.set_time();
        crate::saving::finished(&mut self.keys, &mut self.state, job, result);
        self.settle();
    }
}

/// Forgets a snapshot channel whose grace period is over.
pub(crate) fn forget_protected(state: &mut ServerState, id: ClientId) {
    if let Some(slot) = state.clients.slot(id)
        && state
            .clients
            .get(id)
            .is_some_and(|client| client.flags.has(ClientFlags::PROTECTED))
        && state.clients.take(slot).is_some()
    {
        state.clients.release(slot, id);
    }
}
