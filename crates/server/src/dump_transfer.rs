//! Files on their way to replicas: the dump file (disk-based synchronisation), or the one that is kept of a snapshot.

use crate::spool::SpoolFile;
use engine::client::ClientId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::task::Poll;

/// Bytes read from the file at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Transfers that have been started but not yet taken by their connection.
#[derive(Default)]
pub(crate) struct Transfers(Mutex<HashMap<ClientId, Transfer>>);

impl Transfers {
    /// Leaves a transfer for a client's connection.
    pub(crate) fn put(&self, client: ClientId, transfer: Transfer) {
        self.0.lock().insert(client, transfer);
    }

    /// Takes the transfer left for a client.
    pub(crate) fn take(&self, client: ClientId) -> Option<Transfer> {
        self.0.lock().remove(&client)
    }
}

/// What is sent.
enum Source {
    /// A whole file, from where it stands.
    File(File),
    /// A snapshot of which a file is kept, from this byte on.
    Spool(Arc<SpoolFile>, u64),
}

/// What is written to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Lines of the protocol in front of a snapshot.
    Lines,
    /// The snapshot.
    Snapshot,
}

/// One file being sent.
pub(crate) struct Transfer {
    source: Source,
    chunk: Vec<u8>,
    /// What `chunk` is.
    part: Part,
    /// Bytes of `chunk` already written.
    written: usize,
}

impl Transfer {
    /// Sends `header`, then `file`.
    pub(crate) fn new(header: Vec<u8>, file: File) -> Self {
        Transfer {
            source: Source::File(file),
            chunk: header,
            part: Part::Lines,
            written: 0,
        }
    }

    /// Sends `prelude`, then what is kept of a snapshot behind its first `from` bytes.
    pub(crate) fn of_spool(prelude: Vec<u8>, spool: Arc<SpoolFile>, from: u64) -> Self {
        Transfer {
            source: Source::Spool(spool, from),
            chunk: prelude,
            part: Part::Lines,
            written: 0,
        }
    }

    /// Writes as much as the socket takes, and as there is; `Ready` once all is written.
    ///
    /// # Errors
    /// The file cannot be read, or the connection is broken.
    pub(crate) fn poll(
        &mut self,
        mut write: impl FnMut(Part, &[u8]) -> Poll<io::Result<usize>>,
    ) -> io::Result<Poll<()>> {
        loop {
            if self.written == self.chunk.len() {
                self.part = Part::Snapshot;
                self.chunk.resize(CHUNK_BYTES, 0);
                let read = match &mut self.source {
                    Source::File(file) => Poll::Ready(file.read(&mut self.chunk)?),
                    Source::Spool(spool, at) => spool.read(at, &mut self.chunk)?,
                };
                self.written = 0;
                let Poll::Ready(count) = read else {
                    self.chunk.clear();
                    return Ok(Poll::Pending);
                };
                self.chunk.truncate(count);
                if count == 0 {
                    return Ok(Poll::Ready(()));
                }
            }
            match write(self.part, &self.chunk[self.written..])? {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => self.written += count,
            }
        }
    }
}
