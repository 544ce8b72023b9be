//! A file of the log, record by record, and what its end means.

use std::fmt;
use std::io::{self, Read};

use crate::decoder::{Args, Decoder, Found, Kind};
use crate::defect::{Cause, Defect};
use crate::encoder::parse_mark;
use crate::limits::READ_BYTES;

/// Whether a file that begins so is a snapshot first, which commands may follow.
#[must_use]
pub fn begins_as_rdb(first: &[u8]) -> bool {
    first.starts_with(b"REDIS")
}

/// A record with its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// What it is.
    pub kind: Kind,
    /// Where it begins in the file.
    pub offset: u64,
    /// Its arguments.
    pub args: Args<'a>,
}

/// What comes next in a file.
#[derive(Debug)]
pub enum Next<'a> {
    /// A record.
    Record(Record<'a>),
    /// No more of them.
    End(Ending),
}

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Bytes of the file.
    pub size: u64,
    /// Where its last complete unit ends.
    pub valid_to: u64,
    /// What is wrong behind it.
    pub damage: Option<Damage>,
}

/// What is wrong with a file behind its last complete unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It ends in the middle of a unit, as after a crash.
    Cut(Defect),
    /// From some place in a unit on there are only zero bytes, as after a loss of power.
    Zeros(Defect),
    /// From some place in a unit on there are bytes that a loss of power has left in disorder: some of them are zero, and
    /// the marks of the file say that it was before they were synced.
    Unsynced(Defect),
    /// Its bytes are no records.
    Format(Defect),
}

impl Damage {
    /// What is wrong at the first byte that is.
    #[must_use]
    pub fn defect(&self) -> Defect {
        let (Self::Cut(defect)
        | Self::Zeros(defect)
        | Self::Unsynced(defect)
        | Self::Format(defect)) = self;
        *defect
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut(defect) | Self::Format(defect) => defect.fmt(f),
            Self::Unsynced(defect) => write!(f, "{defect}, among bytes that were never synced"),
            Self::Zeros(defect) => {
                write!(f, "only zero bytes from offset {} on", defect.byte_at)
            }
        }
    }
}

/// Reads one file of a log: commands, or what follows its snapshot.
#[derive(Debug)]
pub struct LogReader<R> {
    source: R,
    /// Bytes of the whole file.
    size: u64,
    /// Bytes of it that have been read from the source.
    received: u64,
    /// `read <= buffer.len()`; the record under way begins at `read`.
    buffer: Vec<u8>,
    read: usize,
    decoder: Decoder,
    /// What the last record occupies.
    used: usize,
    /// The most that a mark has claimed so far.
    synced_to: Option<u64>,
}

impl<R: Read> LogReader<R> {
    /// A reader at the start of a file of `size` bytes.
    pub fn new(source: R, size: u64) -> Self {
        Self::behind(0, Vec::new(), source, size)
    }

    /// A reader behind the first `offset` bytes of a file, such as its snapshot; `received` are bytes behind those that
    /// have been taken from `source` already.
    pub fn behind(offset: u64, received: Vec<u8>, source: R, size: u64) -> Self {
        Self {
            source,
            size,
            received: offset.saturating_add(received.len() as u64),
            buffer: received,
            read: 0,
            // What was stored once is loaded, whatever the bound on requests is by now; the file's size is bound enough.
            decoder: Decoder::new(offset, u64::MAX),
            used: 0,
            synced_to: None,
        }
    }

    /// Where the last complete unit ends.
    pub fn valid_to(&self) -> u64 {
        self.decoder.valid_to()
    }

    /// Where the transaction under way begins.
    pub fn open_transaction(&self) -> Option<u64> {
        self.decoder.open_transaction()
    }

    /// Bytes of the file taken from the source so far, for progress.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Lines of records passed, plus one.
    pub fn line(&self) -> u64 {
        self.decoder.line()
    }

    /// How far the marks passed so far say that the file was synced; `None` when there were none.
    pub fn synced_to(&self) -> Option<u64> {
        self.synced_to
    }

    /// The next record, or the end.
    ///
    /// # Errors
    /// Those of the source. Damage is no error but part of the end.
    #[inline]
    pub fn next_record(&mut self) -> io::Result<Next<'_>> {
        self.read = self.read.saturating_add(self.used);
        self.used = 0;
        loop {
            let unread = self.buffer.get(self.read..).unwrap_or_default();
            match self.decoder.decode(unread) {
                Ok(Some(found)) => return Ok(Next::Record(self.record(&found))),
                Ok(None) => {
                    if let Some(ending) = self.more()? {
                        return Ok(Next::End(ending));
                    }
                }
                Err(defect) => return Ok(Next::End(self.damaged(defect)?)),
            }
        }
    }

    fn record(&mut self, found: &Found) -> Record<'_> {
        self.used = found.used;
        let unread = self.buffer.get(self.read..).unwrap_or_default();
        let args = self.decoder.args(unread, found);
        if found.kind == Kind::Annotation
            && let Some(bytes) = args.get(0).and_then(parse_mark)
            && bytes <= found.offset
        {
            self.synced_to = self.synced_to.max(Some(bytes));
        }
        Record {
            kind: found.kind,
            offset: found.offset,
            args,
        }
    }

    /// Reads on; the end where there is nothing to be read, or not enough for what is wanted.
    #[cold]
    fn more(&mut self) -> io::Result<Option<Ending>> {
        self.buffer.drain(..self.read);
        self.read = 0;
        let beyond = self.size.saturating_sub(self.received);
        let there = (self.buffer.len() as u64).saturating_add(beyond);
        if beyond == 0 || self.decoder.wanted() > there {
            return self.ended(beyond).map(Some);
        }
        if self.fill()? == 0 {
            // Shorter than it was when its size was asked for.
            self.size = self.received;
            return self.ended(0).map(Some);
        }
        Ok(None)
    }

    /// Bytes from the source behind those in the buffer; how many.
    fn fill(&mut self) -> io::Result<usize> {
        let room = self
            .size
            .saturating_sub(self.received)
            .min(READ_BYTES as u64);
        let had = self.buffer.len();
        // What has come is what is reserved for: the buffer grows with the record, a piece at a time.
        self.buffer.resize(had.saturating_add(room as usize), 0);
        let got = loop {
            let room = self.buffer.get_mut(had..).unwrap_or_default();
            match self.source.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        let count = *got.as_ref().unwrap_or(&0);
        self.buffer.truncate(had.saturating_add(count));
        self.received = self.received.saturating_add(count as u64);
        got
    }

    fn ended(&mut self, beyond: u64) -> io::Result<Ending> {
        let defect = self.decoder.end(&self.buffer, beyond);
        if let Some(defect) = defect
            && !defect.cause.is_end()
        {
            return self.damaged(defect);
        }
        Ok(Ending {
            size: self.size,
            valid_to: self.decoder.valid_to(),
            damage: defect.map(Damage::Cut),
        })
    }

    /// Reads to the end, to see whether the defect is what a loss of power leaves.
    #[cold]
    fn damaged(&mut self, defect: Defect) -> io::Result<Ending> {
        let valid_to = self.decoder.valid_to();
        let ending = |size, damage| Ending {
            size,
            valid_to,
            damage: Some(damage),
        };
        // A transaction in the wrong place is made of whole records.
        if matches!(defect.cause, Cause::NestedMulti | Cause::LoneExec) {
            return Ok(ending(self.size, Damage::Format(defect)));
        }
        let buffered = self.received.saturating_sub(self.buffer.len() as u64);
        let at = usize::try_from(defect.byte_at.saturating_sub(buffered)).unwrap_or(usize::MAX);
        let seen = self.buffer.get(self.read..=at).unwrap_or_default();
        let mut rest = Rest {
            has_zero: seen.contains(&0),
            ..Rest::default()
        };
        self.buffer.drain(..at.min(self.buffer.len()));
        loop {
            let keep = rest.look_through(&self.buffer);
            self.buffer.drain(..self.buffer.len().saturating_sub(keep));
            if self.received >= self.size || self.fill()? == 0 {
                break;
            }
        }
        let damage = if !rest.has_data {
            Damage::Zeros(defect)
        } else if self.synced_to.is_some() && rest.has_zero && rest.synced_to <= valid_to {
            Damage::Unsynced(defect)
        } else {
            Damage::Format(defect)
        };
        Ok(ending(self.size, damage))
    }
}

/// What stands behind a defect.
#[derive(Default)]
struct Rest {
    /// A byte that is zero, up to the defect.
    has_zero: bool,
    /// A byte that is not.
    has_data: bool,
    /// The most that a mark claims.
    synced_to: u64,
}

impl Rest {
    /// Longest mark, in bytes.
    const MARK_BYTES_MAX: usize = 32;

    /// Looks for data and marks; how many bytes at the end have to be looked at again, with what follows them.
    fn look_through(&mut self, bytes: &[u8]) -> usize {
        self.has_data = self.has_data || bytes.iter().any(|byte| *byte != 0);
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'#') {
            rest = rest.get(at.saturating_add(1)..).unwrap_or_default();
            let shown = rest.get(..Self::MARK_BYTES_MAX).unwrap_or(rest);
            // What only looks like a mark claims too much at worst, and then the file is refused.
            let end = shown.iter().position(|byte| *byte == b'\r').unwrap_or(0);
            if let Some(bytes) = parse_mark(shown.get(..end).unwrap_or_default()) {
                self.synced_to = self.synced_to.max(bytes);
            }
        }
        bytes.len().min(Self::MARK_BYTES_MAX)
    }
}

/// Where a file stands among those of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The last one, which is written to.
    Last,
    /// One that others follow.
    Earlier,
}

/// What `aof-load-truncated` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncated {
    /// Cut off what a crash has left incomplete.
    Load,
    /// Refuse to start.
    Refuse,
}

/// What is to be done about a file after it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Whole,
    /// Cut it to so many bytes and sync it, then say these lines: what was loaded is all of it.
    Cut {
        /// Bytes to be kept.
        at: u64,
        /// For the log, as warnings.
        lines: Vec<String>,
    },
    /// Leave it as it is, say these lines and end.
    Refuse {
        /// For the log, as warnings.
        lines: Vec<String>,
    },
}

impl Ending {
    /// Judges the file called `name`.
    ///
    /// A file is cut only at its end, only if it is the last one, and only as far as it is damaged.
    #[must_use]
    pub fn verdict(&self, name: &str, place: Place, truncated: Truncated) -> Verdict {
        let Some(damage) = self.damage else {
            return Verdict::Whole;
        };
        let mut lines = Vec::new();
        if let Damage::Format(defect) = damage {
            lines.push(format!(
                "Bad file format reading the append only file {name}: make a backup of your AOF file, then use \
                 ./valkey-check-aof --fix <filename.manifest>"
            ));
            lines.push(format!(
                "AOF {name}: {defect}, valid up to offset {}",
                self.valid_to
            ));
            return Verdict::Refuse { lines };
        }
        if matches!(
            damage,
            Damage::Cut(Defect {
                cause: Cause::EndsInTransaction,
                ..
            })
        ) {
            lines.push(format!(
                "Revert incomplete MULTI/EXEC transaction in AOF file {name}"
            ));
        }
        if truncated == Truncated::Refuse {
            lines.push(format!(
                "Unexpected end of file reading the append only file {name}. You can: 1) Make a backup of your AOF \
                 file, then use ./valkey-check-aof --fix <filename.manifest>. 2) Alternatively you can set the \
                 'aof-load-truncated' configuration option to yes and restart the server."
            ));
            return Verdict::Refuse { lines };
        }
        if place == Place::Earlier {
            lines.push("Fatal error: the truncated file is not the last file".to_owned());
            lines.push(format!(
                "AOF {name}: {damage}, valid up to offset {}",
                self.valid_to
            ));
            return Verdict::Refuse { lines };
        }
        let at = self.valid_to;
        lines.push(format!(
            "!!! Warning: short read while loading the AOF file {name}!!!"
        ));
        lines.push(format!("!!! Truncating the AOF {name} at offset {at} !!!"));
        lines.push(format!(
            "AOF {name}: {damage}; {} of {} bytes dropped",
            self.size.saturating_sub(at),
            self.size
        ));
        lines.push(format!(
            "AOF {name} loaded anyway because aof-load-truncated is enabled"
        ));
        Verdict::Cut { at, lines }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n";

    fn read(bytes: &[u8]) -> (usize, Ending) {
        let mut reader = LogReader::new(bytes, bytes.len() as u64);
        let mut records = 0;
        loop {
            match reader.next_record().unwrap() {
                Next::Record(_) => records += 1,
                Next::End(ending) => return (records, ending),
            }
        }
    }

    #[test]
    fn zeros_at_the_end_are_told_from_garbage() {
        for count in [1usize, 2, 3, 20, 4096, 300_000] {
            let zeros = vec![0; count];
            for torn in 0..SET.len() {
                let log = [SET, SET, &SET[..torn], &zeros].concat();
                let (records, ending) = read(&log);
                assert_eq!((records, ending.valid_to), (2, 54), "{torn} {count}");
                assert_ne!(ending.damage, None, "{torn} {count}");
                assert!(
                    !matches!(ending.damage, Some(Damage::Format(_))),
                    "{torn} {count} {ending:?}"
                );
                let (_, ending) = read(&[&log, SET].concat());
                let garbage = matches!(ending.damage, Some(Damage::Format(_)));
                // Zeros may also be the rest of an argument.
                assert!(garbage || torn > 20, "{torn} {count} {ending:?}");
            }
        }
    }

    #[test]
    fn disorder_is_cut_off_where_no_mark_claims_it() {
        let (mark0, mark38) = (crate::encoder::mark(0), crate::encoder::mark(38));
        let hole = vec![0; 27];
        let damage = |parts: &[&[u8]]| read(&parts.concat()).1.damage;
        let unsynced = |damage| matches!(damage, Some(Damage::Unsynced(_)));
        let format = |damage| matches!(damage, Some(Damage::Format(_)));
        assert!(unsynced(damage(&[&mark0, SET, &hole, SET])));
        // The hole is behind what was synced, also where a later mark says so again.
        assert!(unsynced(damage(&[
            &mark0, SET, &mark38, &hole, SET, &mark38, SET
        ])));
        // It was synced, and is no more.
        assert!(format(damage(&[&mark0, &hole, SET, &mark38, SET])));
        let big = vec![b'x'; 1 << 20];
        assert!(format(damage(&[&mark0, &hole, &big, &mark38, SET])));
        assert!(unsynced(damage(&[&mark0, &hole, &big, &mark0, SET])));
        // No zeros, or no marks: no loss of power, or nobody knows.
        assert!(format(damage(&[&mark0, SET, b"garbage", SET])));
        assert!(format(damage(&[SET, &hole, SET])));
        // Zeros that have become part of an argument.
        assert!(unsynced(damage(&[
            &mark0,
            SET,
            &SET[..18],
            &hole[..9],
            SET
        ])));
    }

    #[test]
    fn a_long_promise_is_not_waited_for() {
        struct Counting<'a>(&'a [u8], usize);
        impl Read for Counting<'_> {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                let got = self.0.read(out)?;
                self.1 += got;
                Ok(got)
            }
        }
        let mut log = [SET, b"*1\r\n$500000000\r\n"].concat();
        log.resize(10_000_000, b'x');
        let mut reader = LogReader::new(Counting(&log, 0), log.len() as u64);
        assert!(matches!(reader.next_record().unwrap(), Next::Record(_)));
        let Next::End(ending) = reader.next_record().unwrap() else {
            panic!("a record")
        };
        assert_eq!(ending.valid_to, 27);
        assert!(matches!(ending.damage, Some(Damage::Cut(_))));
        assert!(reader.source.1 <= READ_BYTES);
    }

    #[test]
    fn large_records_are_read_in_pieces() {
        let value = vec![b'v'; 3 * READ_BYTES + 5];
        let mut log = Vec::new();
        for _ in 0..3 {
            words::request::encode(&mut log, &[b"SET", b"k", &value]);
            log.extend_from_slice(SET);
        }
        assert_eq!(read(&log).0, 6);
    }

    #[test]
    fn only_the_end_of_the_last_file_is_cut() {
        let (_, whole) = read(SET);
        assert_eq!(
            whole.verdict("f", Place::Earlier, Truncated::Refuse),
            Verdict::Whole
        );
        let (_, cut) = read(&[SET, b"*1\r\n"].concat());
        let Verdict::Cut { at, lines } = cut.verdict("f", Place::Last, Truncated::Load) else {
            panic!("not cut")
        };
        assert_eq!(at, 27);
        assert_eq!(
            lines[0],
            "!!! Warning: short read while loading the AOF file f!!!"
        );
        assert_eq!(lines[1], "!!! Truncating the AOF f at offset 27 !!!");
        assert!(
            lines[2].ends_with("; 4 of 31 bytes dropped"),
            "{}",
            lines[2]
        );
        let refused =
            |ending: &Ending, place, truncated| match ending.verdict("f", place, truncated) {
                Verdict::Refuse { lines } => lines[0].clone(),
                other => panic!("{other:?}"),
            };
        assert_eq!(
            refused(&cut, Place::Earlier, Truncated::Load),
            "Fatal error: the truncated file is not the last file"
        );
        assert!(
            refused(&cut, Place::Last, Truncated::Refuse)
                .starts_with("Unexpected end of file reading")
        );
        let (_, bad) = read(&[SET, b"hello"].concat());
        assert!(refused(&bad, Place::Last, Truncated::Load).starts_with("Bad file format reading"));
        let (_, open) = read(&[SET, b"*1\r\n$5\r\nMULTI\r\n", SET].concat());
        let Verdict::Cut { at, lines } = open.verdict("f", Place::Last, Truncated::Load) else {
            panic!("not cut")
        };
        assert_eq!(
            (at, lines[0].as_str()),
            (27, "Revert incomplete MULTI/EXEC transaction in AOF file f")
        );
    }

    #[test]
    fn commands_may_follow_a_snapshot() {
        assert!(begins_as_rdb(b"REDIS0011") && !begins_as_rdb(b"REDI") && !begins_as_rdb(b"*3"));
        let mut reader = LogReader::behind(100, SET[..5].to_vec(), &SET[5..], 127);
        let Next::Record(record) = reader.next_record().unwrap() else {
            panic!("the end")
        };
        assert_eq!(record.offset, 100);
        let Next::End(ending) = reader.next_record().unwrap() else {
            panic!("a record")
        };
        assert_eq!((ending.valid_to, ending.damage), (127, None));
    }
}
