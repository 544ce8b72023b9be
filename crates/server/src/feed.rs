//! What a replica is fed: the dump file of a synchronisation, if one is due, then the stream. Nothing is copied.

use crate::dump_transfer::{Part, Transfer};
use std::io::{self, IoSlice};
use std::ops::Deref;
use std::task::Poll;

/// Bytes a replica is fed before other connections have their turn.
pub(crate) const BYTES_PER_TURN: usize = 1024 * 1024;

/// The two ends between which a feeder stands.
pub(crate) trait Ends {
    /// A part of the stream.
    type Slice: Deref<Target = [u8]>;

    /// Offers bytes of a transfer to the replica's socket.
    fn write(&mut self, part: Part, bytes: &[u8]) -> Poll<io::Result<usize>>;
    /// Offers several pieces of the stream at once.
    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;
    /// So many more bytes of the dump file and its header are written.
    fn dump_taken(&mut self, bytes: usize);
    /// The dump file is written.
    fn dump_sent(&mut self);
    /// Lets go of the `sent` bytes that are written of the stream, and adds what comes next to `slices`; returns how much.
    fn stream(&mut self, sent: usize, slices: &mut Vec<Self::Slice>) -> usize;
}

/// What is being fed to one replica.
pub(crate) struct Feeder<Slice = replication::Slice> {
    pub(crate) transfer: Option<Transfer>,
    slices: Vec<Slice>,
    /// Bytes of `slices` already written.
    streamed: usize,
}

impl<Slice> Default for Feeder<Slice> {
    fn default() -> Self {
        Feeder {
            transfer: None,
            slices: Vec::new(),
            streamed: 0,
        }
    }
}

impl<Slice: Deref<Target = [u8]>> Feeder<Slice> {
    /// Feeds until there is no more, the socket is full, or the turn is over: then true, as the replica could take more at
    /// once.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) fn feed(&mut self, ends: &mut impl Ends<Slice = Slice>) -> io::Result<bool> {
        let mut fed = 0;
        if let Some(transfer) = &mut self.transfer {
            let within_turn = |part, bytes: &[u8]| {
                if fed >= BYTES_PER_TURN {
                    return Poll::Pending;
                }
                ends.write(part, bytes).map_ok(|count| {
                    fed += count;
                    count
                })
            };
            let polled = transfer.poll(within_turn);
            if fed > 0 {
                ends.dump_taken(fed);
            }
            match polled? {
                Poll::Pending => return Ok(fed >= BYTES_PER_TURN),
                Poll::Ready(()) => {
                    self.transfer = None;
                    ends.dump_sent();
                }
            }
        }
        let mut sent = 0;
        loop {
            let total: usize = self.slices.iter().map(|slice| slice.len()).sum();
            if self.streamed == total {
                self.slices.clear();
                self.streamed = 0;
                let count = ends.stream(sent, &mut self.slices);
                if count == 0 || fed >= BYTES_PER_TURN {
                    return Ok(count > 0);
                }
                sent = 0;
            }
            let mut skip = self.streamed;
            let mut parts = Vec::with_capacity(self.slices.len());
            for slice in &self.slices {
                if skip >= slice.len() {
                    skip -= slice.len();
                } else {
                    parts.push(IoSlice::new(&slice[skip..]));
                    skip = 0;
                }
            }
            match ends.write_vectored(&parts)? {
                Poll::Pending => {
                    if sent > 0 {
                        // What is written must be let go of now; the rest is asked for again.
                        let mut unused = Vec::new();
                        ends.stream(sent, &mut unused);
                        self.slices = unused;
                        self.streamed = 0;
                    }
                    return Ok(false);
                }
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => {
                    self.streamed += count;
                    sent += count;
                    fed += count;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream of bytes that count, and a socket that takes `room` more of them.
    #[derive(Default)]
    struct Fake {
        /// The stream's length.
        produced: usize,
        /// How much of it has been let go of.
        released: usize,
        room: usize,
        received: Vec<u8>,
        dump_bytes: usize,
        dump_sent: bool,
    }

    const SLICE_BYTES: usize = 16 * 1024;

    impl Ends for Fake {
        type Slice = Vec<u8>;

        fn write(&mut self, _: Part, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.write_vectored(&[IoSlice::new(bytes)])
        }

        fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
            if self.room == 0 {
                return Poll::Pending;
            }
            let before = self.received.len();
            for part in parts {
                let count = part.len().min(self.room);
                self.received.extend_from_slice(&part[..count]);
                self.room -= count;
            }
            Poll::Ready(Ok(self.received.len() - before))
        }

        fn dump_taken(&mut self, bytes: usize) {
            self.dump_bytes += bytes;
            assert_eq!(self.dump_bytes, self.received.len(), "told at once");
        }

        fn dump_sent(&mut self) {
            self.dump_sent = true;
        }

        fn stream(&mut self, sent: usize, slices: &mut Vec<Vec<u8>>) -> usize {
            self.released += sent;
            let end = self.produced.min(self.released + 4 * SLICE_BYTES);
            let bytes: Vec<u8> = (self.released..end).map(|at| at as u8).collect();
            slices.extend(bytes.chunks(SLICE_BYTES).map(<[u8]>::to_vec));
            bytes.len()
        }
    }

    fn is_stream(bytes: &[u8]) -> bool {
        bytes.iter().enumerate().all(|(at, byte)| *byte == at as u8)
    }

    #[test]
    fn a_replica_that_is_far_behind_and_takes_everything_leaves_others_their_turn() {
        let mut fake = Fake {
            produced: 5 * BYTES_PER_TURN,
            room: usize::MAX,
            ..Fake::default()
        };
        let mut feeder = Feeder::default();
        let mut turns = 1;
        while feeder.feed(&mut fake).unwrap() {
            let per_turn = BYTES_PER_TURN..BYTES_PER_TURN + 4 * SLICE_BYTES;
            assert!(
                per_turn.contains(&(fake.received.len() / turns)),
                "turn {turns}"
            );
            turns += 1;
        }
        assert_eq!(turns, 5);
        assert_eq!(fake.released, fake.produced);
        assert!(is_stream(&fake.received));
    }

    #[test]
    fn a_dump_file_is_sent_in_turns_too_and_the_stream_comes_behind_it() {
        let file = unnamed(3 * BYTES_PER_TURN);
        let mut fake = Fake {
            produced: 1000,
            room: usize::MAX,
            ..Fake::default()
        };
        let mut feeder = Feeder {
            transfer: Some(Transfer::new(b"$3145728\r\n".to_vec(), file)),
            ..Feeder::default()
        };
        let mut turns = 1;
        while feeder.feed(&mut fake).unwrap() {
            assert!(fake.received.len() <= turns * (BYTES_PER_TURN + 64 * 1024));
            turns += 1;
        }
        assert_eq!(turns, 4);
        let dump = 10 + 3 * BYTES_PER_TURN;
        assert!(fake.dump_sent);
        assert_eq!(fake.dump_bytes, dump);
        assert!(is_stream(&fake.received[dump..]));
        assert_eq!(fake.received.len(), dump + 1000);
    }

    #[test]
    fn what_a_full_socket_has_taken_is_let_go_of_and_nothing_is_sent_twice() {
        let mut fake = Fake {
            produced: 200_000,
            ..Fake::default()
        };
        let mut feeder = Feeder::default();
        for room in [0, 1, 16_384, 70_000, 3, 60_000, usize::MAX] {
            fake.room = room;
            assert!(!feeder.feed(&mut fake).unwrap());
            assert_eq!(fake.released, fake.received.len());
        }
        assert_eq!(fake.received.len(), fake.produced);
        assert!(is_stream(&fake.received));
    }

    /// An unnamed file of so many bytes.
    fn unnamed(bytes: usize) -> std::fs::File {
        use std::io::{Seek, Write};
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; bytes]).unwrap();
        file.rewind().unwrap();
        file
    }
}
