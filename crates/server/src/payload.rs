//! Where a snapshot goes that the primary sends: a thread that parses it as it comes, or one that writes it to a file.
//!
//! The pieces wait in a queue. It is bounded by whoever feeds it: when it [is full](Sink::is_full), the connection is not
//! read on until the sink calls for more.

use replication::replica::LoadId;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

/// Pieces between the connection and the sink; then the primary has to wait until half are left.
const QUEUE: usize = 16;
/// A file is synced to disk every so many bytes, so that the last sync does not take long.
const SYNC_EVERY_BYTES: u64 = 8 * 1024 * 1024;

enum Piece {
    Bytes(Vec<u8>),
    /// The snapshot is complete, its last bytes are not part of it.
    End {
        mark_bytes: u64,
        /// What a file is to replace.
        dump: PathBuf,
    },
}

/// The near end of a sink.
pub(crate) struct Sink {
    /// What is received.
    pub(crate) load: LoadId,
    pieces: mpsc::Sender<Piece>,
    depth: Arc<AtomicUsize>,
    called_off: Arc<AtomicBool>,
}

impl Sink {
    fn new(
        load: LoadId,
        called_off: Arc<AtomicBool>,
        hungry: impl Fn() + Send + 'static,
    ) -> (Sink, Queue) {
        let (pieces, queue) = mpsc::channel();
        let depth = Arc::new(AtomicUsize::new(0));
        let sink = Sink {
            load,
            pieces,
            depth: Arc::clone(&depth),
            called_off,
        };
        let queue = Queue {
            queue,
            depth,
            hungry: Box::new(hungry),
            piece: Vec::new(),
            at: 0,
        };
        (sink, queue)
    }

    /// A sink whose pieces are read from the far end, by whoever parses them until `called_off` is set. `hungry` is called
    /// when it may be fed again.
    pub(crate) fn parser(
        load: LoadId,
        called_off: Arc<AtomicBool>,
        hungry: impl Fn() + Send + 'static,
    ) -> (Sink, Queue) {
        Self::new(load, called_off, hungry)
    }

    /// A sink that writes a temporary file in the working directory, and once it is complete puts it in the place of the
    /// dump file. `stored` is told its path then, or what went wrong, whenever it did; nothing if it is called off.
    pub(crate) fn file(
        load: LoadId,
        hungry: impl Fn() + Send + 'static,
        stored: impl FnOnce(Result<PathBuf, String>) + Send + 'static,
    ) -> Sink {
        let called_off = Arc::new(AtomicBool::new(false));
        let (sink, queue) = Self::new(load, Arc::clone(&called_off), hungry);
        let name = PathBuf::from(format!(
            "temp-{}.{}.{}.rdb",
            crate::clock::unix_us(),
            std::process::id(),
            load.0
        ));
        let path = absolute(name);
        let write = move || {
            let result = store(queue, &path, &called_off);
            if !matches!(result, Ok(Some(_))) {
                // It may not be there, or no longer.
                let _ = std::fs::remove_file(&path);
            }
            if let Some(result) = result.transpose() {
                stored(result);
            }
        };
        // Without a thread the queue is gone, and so is the primary's patience in the end.
        if let Err(error) = std::thread::Builder::new()
            .name("payload".into())
            .spawn(write)
        {
            let text = format!("Can't create a thread to store the snapshot: {error}");
            crate::logging::log(engine::host::Level::Warning, &text);
        }
        sink
    }

    /// Adds a piece. A sink that has given up reports so itself.
    pub(crate) fn feed(&self, bytes: &[u8]) {
        self.depth.fetch_add(1, Ordering::AcqRel);
        drop(self.pieces.send(Piece::Bytes(bytes.to_vec())));
    }

    /// So much is waiting in it that the connection should not be read on.
    pub(crate) fn is_full(&self) -> bool {
        self.depth.load(Ordering::Acquire) > QUEUE
    }

    /// The snapshot is complete, its last `mark_bytes` are not part of it. If it goes into a file, that replaces `dump`.
    pub(crate) fn end(self, mark_bytes: u64, dump: PathBuf) {
        let dump = absolute(dump);
        drop(self.pieces.send(Piece::End { mark_bytes, dump }));
    }

    /// The snapshot is not wanted any more.
    pub(crate) fn call_off(self) {
        self.called_off.store(true, Ordering::Release);
    }
}

/// The far end of a sink: its pieces as a blocking source.
pub(crate) struct Queue {
    queue: mpsc::Receiver<Piece>,
    depth: Arc<AtomicUsize>,
    hungry: Box<dyn Fn() + Send>,
    piece: Vec<u8>,
    at: usize,
}

impl Queue {
    /// The next piece; `None` when nothing more comes, as after [`Sink::call_off`].
    fn next(&mut self) -> Option<Piece> {
        let piece = self.queue.recv().ok()?;
        if matches!(piece, Piece::Bytes(_))
            && self.depth.fetch_sub(1, Ordering::AcqRel) == QUEUE / 2
        {
            (self.hungry)();
        }
        Some(piece)
    }
}

impl Read for Queue {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            match self.next() {
                Some(Piece::Bytes(piece)) => {
                    self.piece = piece;
                    self.at = 0;
                }
                Some(Piece::End { .. }) | None => return Ok(0),
            }
        }
        let count = into.len().min(self.piece.len() - self.at);
        into[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// A path that holds also after the process has gone to another folder.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// Writes the pieces to `path`, and has the complete file replace the dump; `None` when it was called off.
fn store(
    mut queue: Queue,
    path: &Path,
    called_off: &AtomicBool,
) -> Result<Option<PathBuf>, String> {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|error| {
            let what = crate::errno_text(&error);
            format!("Opening the temp file needed for PRIMARY <-> REPLICA synchronization: {what}")
        })?;
    let (mut bytes, mut synced) = (0, 0);
    while let Some(piece) = queue.next() {
        if called_off.load(Ordering::Acquire) {
            return Ok(None);
        }
        match piece {
            Piece::Bytes(piece) => {
                bytes += piece.len() as u64;
                let mut written = file.write_all(&piece);
                if bytes - synced > SYNC_EVERY_BYTES {
                    synced = bytes;
                    written = written.and_then(|()| file.sync_data());
                }
                written.map_err(|error| {
                    let what = crate::errno_text(&error);
                    format!("Write error or short write writing to the DB dump file needed for PRIMARY <-> REPLICA synchronization: {what}")
                })?;
            }
            Piece::End { mark_bytes, dump } => {
                return file
                    .set_len(bytes.saturating_sub(mark_bytes))
                    .and_then(|()| {
                        crate::replace::put_in_place(&file, path, &dump).map_err(|(_, error)| error)
                    })
                    .map(|()| Some(dump.clone()))
                    .map_err(|error| {
                        let what = crate::errno_text(&error);
                        let dump = dump.display();
                        format!("Failed trying to rename the temp DB into {dump} in PRIMARY <-> REPLICA synchronization: {what}")
                    });
            }
        }
    }
    Ok(None)
}
