//! The file behind the buffer of a synchronising replica: a queue of bytes without a name, gone with the process.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// A new file in the working directory that has no name any more: it is gone as soon as nobody has it open.
///
/// # Errors
/// It cannot be made.
pub(crate) fn unnamed_file(purpose: &str) -> io::Result<File> {
    let path = format!("temp-{purpose}-{}", std::process::id());
    let path = Path::new(&path);
    // Nobody else uses this name: what has it was left by a process that died between the next two lines.
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}

/// Bytes between `head` and `tail` wait to be read.
#[derive(Debug)]
pub(crate) struct Spill {
    file: File,
    head: u64,
    tail: u64,
}

impl Spill {
    /// An empty one, in the working directory.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn new() -> io::Result<Spill> {
        let file = unnamed_file("spill")?;
        Ok(Spill {
            file,
            head: 0,
            tail: 0,
        })
    }

    /// Adds bytes at the end; all or, to whoever reads, none.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.tail)?;
        self.tail += bytes.len() as u64;
        Ok(())
    }

    /// Takes `count` bytes from the front. The file takes no room once everything has been taken.
    ///
    /// # Errors
    /// They cannot be read, or there are fewer.
    pub(crate) fn take(&mut self, count: u64) -> io::Result<Vec<u8>> {
        if count > self.tail - self.head {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; usize::try_from(count).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, self.head)?;
        self.head += count;
        if self.head == self.tail {
            self.file.set_len(0)?;
            (self.head, self.tail) = (0, 0);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out_in_order_and_then_takes_no_room() {
        let mut spill = Spill::new().expect("a file");
        spill.append(b"abc").expect("room");
        spill.append(b"defg").expect("room");
        assert_eq!(spill.take(2).expect("bytes"), b"ab");
        spill.append(b"h").expect("room");
        assert_eq!(
            spill.take(7).map_err(|e| e.kind()),
            Err(io::ErrorKind::UnexpectedEof)
        );
        assert_eq!(spill.take(6).expect("bytes"), b"cdefgh");
        assert_eq!(spill.file.metadata().expect("its size").len(), 0);
    }
}
