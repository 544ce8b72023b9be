//! The manifest: which files make up the log.
//!
//! ```text
//! manifest = line*
//! line     = "#" anything LF
//!          | pair pair pair+ LF                 pairs in any order; those with other keys are ignored
//! pair     = "file" name | "seq" number | "type" ("b" | "h" | "i") anything
//! ```
//!
//! Words are split as those of a configuration line, and quoted where they must be.
//!
//! Source: the manifest that Valkey 8.0.1 writes, and what it says of those it refuses.

use std::fmt;

use resp::split_args;

use crate::limits::{MANIFEST_LINE_BYTES_MAX, SEQ_MAX};
use crate::names::is_bare;

/// One file of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the folder of the log.
    pub name: Vec<u8>,
    /// Its number, `1..=SEQ_MAX`.
    pub seq: u64,
}

/// The files of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The dataset that the increments start from.
    pub base: Option<Entry>,
    /// Files that belong to it no more and wait for their removal.
    pub history: Vec<Entry>,
    /// What was done since, in this order. The numbers grow; the last one is being written.
    pub incr: Vec<Entry>,
}

/// What is wrong with a manifest; prints as the last line that the reference logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestProblem {
    /// It has no bytes.
    Empty,
    /// A line is longer than [`MANIFEST_LINE_BYTES_MAX`], or does not end.
    LongLine,
    /// A line is not made of pairs, or one that it needs is not there.
    Format,
    /// A name leads elsewhere.
    Path,
    /// There are two bases.
    SecondBase,
    /// The numbers of the increments do not grow.
    Order,
    /// A type is none.
    Type,
}

/// A manifest that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// What is wrong.
    pub problem: ManifestProblem,
    /// The line with its number, from 1, where it was understood that far.
    pub line: Option<(usize, Vec<u8>)>,
}

impl fmt::Display for ManifestProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Found an empty AOF manifest",
            Self::LongLine => "The AOF manifest file contains too long line",
            Self::Format => "Invalid AOF manifest file format",
            Self::Path => "File can't be a path, just a filename",
            Self::SecondBase => "Found duplicate base file information",
            Self::Order => "Found a non-monotonic sequence number",
            Self::Type => "Unknown AOF file type",
        })
    }
}

impl ManifestError {
    /// What is logged: the lines of the reference, without the empty ones in between.
    #[must_use]
    pub fn log_lines(&self) -> Vec<String> {
        let mut lines = vec!["*** FATAL AOF MANIFEST FILE ERROR ***".to_owned()];
        if let Some((number, line)) = &self.line {
            lines.push(format!("Reading the manifest file, at line {number}"));
            lines.push(format!(">>> '{}'", String::from_utf8_lossy(line)));
        }
        lines.push(self.problem.to_string());
        lines
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.line {
            Some((number, _)) => write!(f, "{}, at line {number}", self.problem),
            None => self.problem.fmt(f),
        }
    }
}

impl std::error::Error for ManifestError {}

/// The comment that stands alone in a manifest while the first files are being made: what lies beside it is not data yet.
const BEGINNING: &[u8] = b"# the first files are being made\n";

/// The bytes of a manifest that says no more than that the first files are being made. The reference takes it for one
/// without files.
#[must_use]
pub fn beginning() -> Vec<u8> {
    BEGINNING.to_vec()
}

/// Whether these are the bytes of [`beginning`].
#[must_use]
pub fn is_beginning(bytes: &[u8]) -> bool {
    bytes == BEGINNING
}

impl Manifest {
    /// Reads a manifest. One of comments alone has no files.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let fail = |problem, line| Err(ManifestError { problem, line });
        if bytes.is_empty() {
            return fail(ManifestProblem::Empty, None);
        }
        let mut manifest = Self::default();
        let mut rest = bytes;
        let mut number = 0usize;
        while !rest.is_empty() {
            number = number.saturating_add(1);
            let shown = rest.get(..MANIFEST_LINE_BYTES_MAX).unwrap_or(rest);
            // A byte of zero ends the line for the reference, which then finds no line feed in it.
            let end = shown.iter().position(|byte| matches!(byte, b'\n' | 0));
            let (line, tail) = match end.and_then(|end| rest.split_at_checked(end)) {
                Some((line, [b'\n', tail @ ..])) => (line, tail),
                _ if shown.first() == Some(&b'#') && shown.len() == rest.len() && end.is_none() => {
                    // The reference looks for the line feed of no comment; the last one may lack it.
                    return Ok(manifest);
                }
                _ => return fail(ManifestProblem::LongLine, None),
            };
            rest = tail;
            if line.first() == Some(&b'#') {
                continue;
            }
            let line = trimmed(line);
            if let Err(problem) = manifest.add_line(line) {
                return fail(problem, Some((number, line.to_vec())));
            }
        }
        Ok(manifest)
    }

    fn add_line(&mut self, line: &[u8]) -> Result<(), ManifestProblem> {
        let words = split_args(line).ok_or(ManifestProblem::Format)?;
        if words.len() < 6 || !words.len().is_multiple_of(2) {
            return Err(ManifestProblem::Format);
        }
        let (mut name, mut seq, mut type_) = (None, None, None);
        for pair in words.chunks_exact(2) {
            let [key, value] = pair else { continue };
            match key.to_ascii_lowercase().as_slice() {
                b"file" if value.iter().any(|byte| matches!(byte, b'/' | b'\\')) => {
                    return Err(ManifestProblem::Path);
                }
                b"file" => name = Some(value).filter(|name| is_bare(name)),
                b"seq" => seq = leading_number(value),
                b"type" => type_ = value.first().copied(),
                _ => {}
            }
        }
        let (Some(name), Some(seq), Some(type_)) = (name, seq, type_) else {
            return Err(ManifestProblem::Format);
        };
        let name = name.clone();
        let entry = Entry { name, seq };
        match type_ {
            b'b' if self.base.is_some() => return Err(ManifestProblem::SecondBase),
            b'b' => self.base = Some(entry),
            b'h' => self.history.push(entry),
            b'i' if self.incr.last().is_some_and(|last| last.seq >= seq) => {
                return Err(ManifestProblem::Order);
            }
            b'i' => self.incr.push(entry),
            _ => return Err(ManifestProblem::Type),
        }
        Ok(())
    }

    /// The bytes of the manifest, in the order of the reference.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let base = self.base.iter().map(|entry| (entry, 'b'));
        let history = self.history.iter().map(|entry| (entry, 'h'));
        let incr = self.incr.iter().map(|entry| (entry, 'i'));
        for (entry, type_) in base.chain(history).chain(incr) {
            bytes.extend_from_slice(b"file ");
            print_name(&mut bytes, &entry.name);
            bytes.extend_from_slice(format!(" seq {} type {type_}\n", entry.seq).as_bytes());
        }
        bytes
    }

    /// Whether it names no file at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.history.is_empty() && self.incr.is_empty()
    }

    /// The number of the next base.
    #[must_use]
    pub fn next_base_seq(&self) -> u64 {
        self.base
            .as_ref()
            .map_or(0, |base| base.seq)
            .saturating_add(1)
    }

    /// The number of the next increment.
    #[must_use]
    pub fn next_incr_seq(&self) -> u64 {
        self.incr
            .last()
            .map_or(0, |last| last.seq)
            .saturating_add(1)
    }

    /// The files to be loaded, in this order.
    pub fn data(&self) -> impl Iterator<Item = &Entry> {
        self.base.iter().chain(&self.incr)
    }

    /// What it becomes when `base` replaces what was before the increment numbered `first_kept`.
    ///
    /// Increments are put into the history before the former base, as the reference does.
    #[must_use]
    pub fn rewritten(&self, base: Entry, first_kept: u64) -> Self {
        let (kept, old): (Vec<_>, Vec<_>) = self
            .incr
            .iter()
            .cloned()
            .partition(|entry| entry.seq >= first_kept);
        let mut history = self.history.clone();
        history.extend(old);
        history.extend(self.base.clone());
        Self {
            base: Some(base),
            history,
            incr: kept,
        }
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = line
        .iter()
        .position(|byte| !is_blank(byte))
        .unwrap_or(line.len());
    let end = line
        .iter()
        .rposition(|byte| !is_blank(byte))
        .map_or(start, |last| last.saturating_add(1));
    line.get(start..end).unwrap_or_default()
}

/// The number that `text` begins with; `None` when that is none, zero, or more than files can have.
fn leading_number(text: &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for byte in text.iter().take_while(|byte| byte.is_ascii_digit()) {
        let digit = u64::from(byte.wrapping_sub(b'0'));
        number = number.saturating_mul(10).saturating_add(digit);
    }
    (1..=SEQ_MAX).contains(&number).then_some(number)
}

/// A name as it stands in a line: in quotes where it would not come back otherwise.
fn print_name(bytes: &mut Vec<u8>, name: &[u8]) {
    // A single quote opens a quoted part as well: the reference writes it bare, and cannot read that back.
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    if !name.is_empty() && name.iter().all(plain) {
        bytes.extend_from_slice(name);
        return;
    }
    bytes.push(b'"');
    for byte in name {
        match byte {
            b'\\' => bytes.extend_from_slice(b"\\\\"),
            b'"' => bytes.extend_from_slice(b"\\\""),
            b'\n' => bytes.extend_from_slice(b"\\n"),
            b'\r' => bytes.extend_from_slice(b"\\r"),
            b'\t' => bytes.extend_from_slice(b"\\t"),
            0x07 => bytes.extend_from_slice(b"\\a"),
            0x08 => bytes.extend_from_slice(b"\\b"),
            b' '..=b'~' => bytes.push(*byte),
            other => bytes.extend_from_slice(format!("\\x{other:02x}").as_bytes()),
        }
    }
    bytes.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use ManifestProblem as Problem;

    fn entry(name: &str, seq: u64) -> Entry {
        Entry {
            name: name.into(),
            seq,
        }
    }

    #[test]
    fn prints_as_the_reference_and_reads_it_back() {
        let manifest = Manifest {
            base: Some(entry("a.2.base.rdb", 2)),
            history: vec![entry("a.1.incr.aof", 1), entry("a.1.base.rdb", 1)],
            incr: vec![entry("a.2.incr.aof", 2)],
        };
        let text = "file a.2.base.rdb seq 2 type b\nfile a.1.incr.aof seq 1 type h\n\
                    file a.1.base.rdb seq 1 type h\nfile a.2.incr.aof seq 2 type i\n";
        assert_eq!(manifest.print(), text.as_bytes());
        assert_eq!(Manifest::parse(text.as_bytes()), Ok(manifest.clone()));
        assert_eq!((manifest.next_base_seq(), manifest.next_incr_seq()), (3, 3));
    }

    #[test]
    fn names_that_need_quotes_get_them() {
        let manifest = Manifest {
            base: Some(entry("a b\"c\u{e9}\n", 1)),
            ..Manifest::default()
        };
        let text = "file \"a b\\\"c\\xc3\\xa9\\n\" seq 1 type b\n";
        assert_eq!(manifest.print(), text.as_bytes());
        assert_eq!(Manifest::parse(text.as_bytes()), Ok(manifest));
    }

    #[test]
    fn what_the_reference_tolerates_is_tolerated() {
        for text in [
            "file a seq 1 type b\n",
            "# comment\nfile a seq 1 type b\n# c\n",
            "TYPE base Seq 1x FILE a\n",
            " \tfile a seq 1 type b \r\n",
            "file x file a seq 1 type b\n",
            "replid abc file a seq 1 type b offset 7\n",
            "file a seq 1 type b\n# no line feed",
        ] {
            let manifest = Manifest::parse(text.as_bytes());
            assert_eq!(manifest.unwrap().base, Some(entry("a", 1)), "{text}");
        }
        assert!(Manifest::parse(b"# nothing\n").unwrap().is_empty());
        let gap = Manifest::parse(b"file a seq 3 type i\nfile b seq 9 type incr\n").unwrap();
        assert_eq!((gap.next_base_seq(), gap.next_incr_seq()), (1, 10));
    }

    #[test]
    fn every_problem_has_its_text_and_its_line() {
        let long = format!("file a{}seq 1 type b\n", " ".repeat(1010));
        let cases: &[(&str, Problem, usize)] = &[
            ("", Problem::Empty, 0),
            ("file a seq 1 type b", Problem::LongLine, 0),
            (&long, Problem::LongLine, 0),
            ("file a\0 seq 1 type b\n", Problem::LongLine, 0),
            ("file a seq 1 type b\n\n", Problem::Format, 2),
            ("file a seq 1 type b x\n", Problem::Format, 1),
            ("file a seq 1\n", Problem::Format, 1),
            ("file a seq 0 type b\n", Problem::Format, 1),
            (
                "file a seq 99999999999999999999999 type b\n",
                Problem::Format,
                1,
            ),
            ("file \"a seq 1 type b\n", Problem::Format, 1),
            ("file \"\" seq 1 type b\n", Problem::Format, 1),
            ("file a seq 1 type \"\"\n", Problem::Format, 1),
            ("file a/b seq 1 type b\n", Problem::Path, 1),
            (
                "file a seq 1 type b\nfile b seq 2 type b\n",
                Problem::SecondBase,
                2,
            ),
            (
                "file a seq 1 type i\nfile b seq 1 type i\n",
                Problem::Order,
                2,
            ),
            ("file a seq 1 type B\n", Problem::Type, 1),
        ];
        for (text, problem, line) in cases {
            let error = Manifest::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.problem, *problem, "{text:?}");
            assert_eq!(
                error.line.map_or(0, |(number, _)| number),
                *line,
                "{text:?}"
            );
        }
        let error = Manifest::parse(b"file a seq 1 type b\nfile b seq 2 type b\n").unwrap_err();
        assert_eq!(
            error.log_lines(),
            [
                "*** FATAL AOF MANIFEST FILE ERROR ***",
                "Reading the manifest file, at line 2",
                ">>> 'file b seq 2 type b'",
                "Found duplicate base file information"
            ]
        );
    }

    #[test]
    fn a_rewrite_turns_what_it_covers_into_history() {
        let manifest = Manifest {
            base: Some(entry("b1", 1)),
            history: Vec::new(),
            incr: vec![entry("i1", 1), entry("i2", 2), entry("i3", 3)],
        };
        let after = manifest.rewritten(entry("b2", 2), 3);
        assert_eq!(after.base, Some(entry("b2", 2)));
        assert_eq!(
            after.history,
            [entry("i1", 1), entry("i2", 2), entry("b1", 1)]
        );
        assert_eq!(after.incr, [entry("i3", 3)]);
    }

    #[test]
    fn the_mark_of_a_beginning_is_a_manifest_without_files() {
        assert!(Manifest::parse(&beginning()).unwrap().is_empty());
        assert!(is_beginning(&beginning()) && !is_beginning(b"# other\n"));
    }
}
