//! The compressed form of a snapshot and a stream, for replicas behind a slow link.
//!
//! A replica of ours that has `repl-compression lz4` says `REPLCONF capa lz4`, a primary that has it too answers `+OK lz4`.
//! From then on everything that follows the line in front of a snapshot or of a stream is a row of blocks, each of which
//! can be read by itself:
//!
//! ```text
//! LLLLLLLL   bytes that follow (4 bytes, little-endian); with the highest bit set they are stored as they are
//! RRRRRRRR   bytes before compression (4 bytes, little-endian), if they are not stored
//! ...        the bytes, stored or as an LZ4 block
//! ```
//!
//! It lies between those who write and the socket, or its TLS: offsets, marks and counts know nothing of it.

use lz4_flex::block::{CompressTable, compress_into_with_table, decompress_into};
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::task::Poll;

/// Bytes before compression in one block at most.
const BLOCK_BYTES: usize = 64 * 1024;
/// Shorter blocks are stored: there is nothing to gain.
const COMPRESSED_BYTES_MIN: usize = 64;
/// The bit that says that a block is stored.
const STORED: u32 = 1 << 31;
/// Bytes of each number in front of a block.
const WORD: usize = 4;
/// Bytes that may follow the length: a block that compression made larger is stored.
const LENGTH_MAX: usize = WORD + BLOCK_BYTES;

/// Buffers of a thread, lent to whoever compresses.
struct Scratch {
    table: CompressTable,
    /// Pieces, joined to a block.
    joined: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        table: CompressTable::large(),
        joined: Vec::new(),
    });
}

/// Compresses what goes to one replica. It keeps what the socket has not taken of a block: a write that is `Pending` is to be
/// repeated with the same bytes, and counts as done once the whole block has left.
#[derive(Default)]
pub(crate) struct Packer {
    /// A block, of which the socket has taken `sent` bytes.
    block: Vec<u8>,
    sent: usize,
    /// Bytes in it before compression, of which the writer has not been told.
    accepted: usize,
}

impl Packer {
    /// Writes; tells how many bytes need not be written again.
    pub(crate) fn write(
        &mut self,
        parts: &[IoSlice<'_>],
        send: &mut dyn FnMut(&[u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.accepted == 0 {
            self.accepted = SCRATCH.with_borrow_mut(|scratch| self.pack(parts, scratch));
        }
        while self.sent < self.block.len() {
            match send(&self.block[self.sent..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => self.sent += count,
                other => return other,
            }
        }
        (self.block, self.sent) = (Vec::new(), 0);
        Poll::Ready(Ok(std::mem::take(&mut self.accepted)))
    }

    /// Makes a block of as much as goes into one; returns how much that is.
    fn pack(&mut self, parts: &[IoSlice<'_>], scratch: &mut Scratch) -> usize {
        let Scratch { table, joined } = scratch;
        let bytes: &[u8] = match parts {
            [only] => &only[..only.len().min(BLOCK_BYTES)],
            _ => {
                joined.clear();
                for part in parts {
                    let room = BLOCK_BYTES - joined.len();
                    joined.extend_from_slice(&part[..part.len().min(room)]);
                }
                joined
            }
        };
        if bytes.is_empty() {
            return 0;
        }
        if !self.compress(bytes, table) {
            self.block.clear();
            let head = bytes.len() as u32 | STORED;
            self.block.extend_from_slice(&head.to_le_bytes());
            self.block.extend_from_slice(bytes);
        }
        bytes.len()
    }

    /// Makes a compressed block; false where it would be no smaller.
    fn compress(&mut self, bytes: &[u8], table: &mut CompressTable) -> bool {
        if bytes.len() < COMPRESSED_BYTES_MIN {
            return false;
        }
        let room = 2 * WORD + lz4_flex::block::get_maximum_output_size(bytes.len());
        self.block.resize(room, 0);
        let Ok(length) = compress_into_with_table(bytes, &mut self.block[2 * WORD..], table) else {
            return false;
        };
        if length + WORD >= bytes.len() {
            return false;
        }
        self.block.truncate(2 * WORD + length);
        self.block[..WORD].copy_from_slice(&((WORD + length) as u32).to_le_bytes());
        self.block[WORD..2 * WORD].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
        true
    }
}

/// Restores what a primary has compressed.
#[derive(Default)]
pub(crate) struct Unpacker {
    /// The beginning of a block of which more is to come.
    begun: Vec<u8>,
}

impl Unpacker {
    /// Takes the next bytes of the connection; returns what they mean.
    ///
    /// # Errors
    /// They are no block.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut rest = bytes;
        while !self.begun.is_empty() && !rest.is_empty() {
            let missing = match length(&self.begun)? {
                None => WORD - self.begun.len(),
                Some(length) => WORD + length - self.begun.len(),
            };
            let (piece, behind) = rest.split_at(missing.min(rest.len()));
            self.begun.extend_from_slice(piece);
            rest = behind;
            if let Some(length) = length(&self.begun)?
                && self.begun.len() == WORD + length
            {
                unpack(&self.begun, &mut out)?;
                self.begun = Vec::new();
            }
        }
        while let Some(length) = length(rest)?
            && let Some((block, behind)) = rest.split_at_checked(WORD + length)
        {
            unpack(block, &mut out)?;
            rest = behind;
        }
        self.begun.extend_from_slice(rest);
        Ok(out)
    }
}

fn word(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.first_chunk::<WORD>()?))
}

/// Bytes of the block that begins here, behind their number; `None` if that is not there yet.
fn length(bytes: &[u8]) -> io::Result<Option<usize>> {
    let length = word(bytes).map(|head| (head & !STORED) as usize);
    match length {
        Some(0) => Err(damaged("an empty block")),
        Some(length) if length > LENGTH_MAX => Err(damaged("a block that is too long")),
        length => Ok(length),
    }
}

/// Appends what a whole block means.
fn unpack(block: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let (head, body) = block.split_at(WORD);
    if word(head).is_some_and(|head| head & STORED != 0) {
        out.extend_from_slice(body);
        return Ok(());
    }
    let size = word(body).map_or(0, |size| size as usize);
    if !(1..=BLOCK_BYTES).contains(&size) {
        return Err(damaged("a block of a size that is not allowed"));
    }
    let start = out.len();
    out.resize(start + size, 0);
    match decompress_into(&body[WORD..], &mut out[start..]) {
        Ok(count) if count == size => Ok(()),
        _ => Err(damaged("a block that cannot be decompressed")),
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("bad compressed data: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a socket that takes `room` bytes at a time is sent of `bytes`, written in pieces of `piece`.
    fn packed(bytes: &[u8], piece: usize, room: usize) -> Vec<u8> {
        let mut packer = Packer::default();
        let mut sent = Vec::new();
        for piece in bytes.chunks(piece) {
            let mut rest = piece;
            while !rest.is_empty() {
                let mut full = false;
                let (front, back) = rest.split_at(rest.len() / 2);
                let parts = [IoSlice::new(front), IoSlice::new(back)];
                let written = packer.write(&parts, &mut |bytes| {
                    if std::mem::replace(&mut full, true) {
                        return Poll::Pending;
                    }
                    let count = bytes.len().min(room);
                    sent.extend_from_slice(&bytes[..count]);
                    Poll::Ready(Ok(count))
                });
                if let Poll::Ready(count) = written {
                    rest = &rest[count.unwrap()..];
                }
            }
        }
        sent
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut x = 7u64;
        let next = |_| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (x >> 56) as u8
        };
        (0..length).map(next).collect()
    }

    #[test]
    fn everything_comes_back_however_it_is_cut() {
        let text = b"*3\r\n$3\r\nSET\r\n$5\r\nkey:1\r\n$3\r\nabc\r\n".repeat(6000);
        for bytes in [text, noise(200_000), b"x".to_vec()] {
            for (piece, room) in [
                (bytes.len(), usize::MAX),
                (1000, 17),
                (63, 1),
                (70_000, 4096),
            ] {
                let sent = packed(&bytes, piece, room);
                for cut in [1, 3, 5000, sent.len()] {
                    let mut unpacker = Unpacker::default();
                    let mut back = Vec::new();
                    for piece in sent.chunks(cut) {
                        back.append(&mut unpacker.take(piece).unwrap());
                    }
                    assert!(back == bytes && unpacker.begun.is_empty());
                }
            }
        }
    }

    #[test]
    fn what_repeats_is_small_and_noise_hardly_grows() {
        let text = b"*3\r\n$3\r\nSET\r\n$5\r\nkey:1\r\n$3\r\nabc\r\n".repeat(6000);
        assert!(packed(&text, text.len(), usize::MAX).len() < text.len() / 20);
        let noise = noise(BLOCK_BYTES * 3);
        assert_eq!(
            packed(&noise, noise.len(), usize::MAX).len(),
            noise.len() + 3 * WORD
        );
    }

    #[test]
    fn what_is_no_block_is_an_error_and_takes_no_memory() {
        let too_long = (LENGTH_MAX as u32 + 1).to_le_bytes();
        let empty = [0; 4];
        let much = [8, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3, 4];
        let torn = [8, 0, 0, 0, 0, 1, 0, 0, 0xf0, 2, 3, 4];
        let short = [2, 0, 0, 0, 1, 0];
        for bytes in [&too_long[..], &empty, &much, &torn, &short] {
            let mut unpacker = Unpacker::default();
            assert!(unpacker.take(bytes).is_err(), "{bytes:?}");
            let mut unpacker = Unpacker::default();
            let mut by_byte = bytes.iter().map(|byte| unpacker.take(&[*byte]));
            assert!(by_byte.any(|result| result.is_err()), "{bytes:?}");
        }
    }
}
