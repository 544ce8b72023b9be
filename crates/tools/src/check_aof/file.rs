//! One file of a log: its snapshot, its records, and what is to be done about its end.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek};

use aof::decoder::{Kind, timestamp};
use aof::defect::{Cause, Defect};
use aof::files::reason;
use aof::reader::{Ending, LogReader, Next, begins_as_rdb};
use serde_json::{Value, json};

use super::{NotSound, document};
use crate::clock::now_ms;
use crate::console::{Console, bytes, shown};
use crate::rdb_check;

/// Where a file stands in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It may be cut.
    Last,
    /// Others follow.
    Earlier,
}

/// A file with which one can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Sound,
    Empty,
    Cut,
    CutToTime,
}

/// A file is too short to be asked for its snapshot below this many bytes.
const PREAMBLE_BYTES_MIN: u64 = 8;

/// Checks file after file.
#[derive(Debug)]
pub(super) struct Checker {
    fix: bool,
    to_timestamp: Option<i64>,
    /// Lines of records so far, plus one: they are counted through all files.
    line: u64,
    documents: Vec<Value>,
}

/// A file under way.
struct Under<'a> {
    path: &'a OsStr,
    name: &'a [u8],
    place: Place,
    kind: &'static str,
    size: u64,
    rdb: Option<Value>,
}

impl Checker {
    pub(super) fn new(fix: bool, to_timestamp: Option<i64>) -> Self {
        Self {
            fix,
            to_timestamp,
            line: 1,
            documents: Vec::new(),
        }
    }

    pub(super) fn to_timestamp(&self) -> Option<i64> {
        self.to_timestamp
    }

    pub(super) fn documents(&self) -> &[Value] {
        &self.documents
    }

    pub(super) fn note(&mut self, document: Value) {
        self.documents.push(document);
    }

    /// Checks the file at `path`, which is called `name`.
    pub(super) fn check(
        &mut self,
        path: &OsStr,
        name: &[u8],
        place: Place,
        kind: &'static str,
        console: &mut Console,
    ) -> Result<Outcome, NotSound> {
        let opened = File::open(path).and_then(|file| {
            let about = file.metadata()?;
            if about.is_dir() {
                return Err(std::io::ErrorKind::IsADirectory.into());
            }
            Ok((file, about.len()))
        });
        let (file, size) = opened.map_err(|error| {
            let why = match error.kind() {
                std::io::ErrorKind::IsADirectory => "Is a directory".to_owned(),
                _ => reason(&error),
            };
            console.line(&[
                b"Cannot open file ",
                bytes(path),
                b": ",
                why.as_bytes(),
                b", aborting...",
            ]);
            self.note(document(
                name,
                kind,
                json!({ "valid": false, "error": { "message": why } }),
            ));
            NotSound
        })?;
        let mut under = Under {
            path,
            name,
            place,
            kind,
            size,
            rdb: None,
        };
        if size == 0 {
            self.note(document(name, kind, json!({ "valid": true, "size": 0 })));
            return Ok(Outcome::Empty);
        }
        let mut reader = self.behind_snapshot(file, &mut under, console)?;
        let ending = loop {
            let next = reader.next_record().map_err(|error| {
                let why = reason(&error);
                console.line(&[b"Failed to read from AOF ", name, b", aborting..."]);
                self.note(document(
                    name,
                    kind,
                    json!({ "valid": false, "error": { "message": why } }),
                ));
                NotSound
            })?;
            let record = match next {
                Next::End(ending) => break ending,
                Next::Record(record) => record,
            };
            if record.kind == Kind::Annotation
                && let Some(limit) = self.to_timestamp
                && let Some(time) = record.args.get(0).and_then(timestamp)
            {
                let Ok(time) = time else {
                    console.line(&[b"Invalid timestamp annotation"]);
                    return Err(NotSound);
                };
                if time > limit {
                    // Not between MULTI and EXEC: half a transaction would undo what comes later.
                    let at = record.offset.min(reader.valid_to());
                    return self.cut_to_time(&under, at, limit, console);
                }
            }
        };
        self.line += reader.line() - 1;
        if let Some(damage) = ending.damage {
            complain(
                damage.defect(),
                reader.open_transaction().is_some(),
                name,
                console,
            );
        }
        self.ended(&under, &ending, console)
    }

    /// Checks the snapshot that the file may begin with.
    fn behind_snapshot(
        &mut self,
        mut file: File,
        under: &mut Under<'_>,
        console: &mut Console,
    ) -> Result<LogReader<File>, NotSound> {
        let mut first = Vec::new();
        let began = (&mut file).take(PREAMBLE_BYTES_MIN).read_to_end(&mut first);
        let rewound = began.and_then(|_| file.rewind());
        if rewound.is_err() {
            console.line(&[b"Failed to read from AOF ", under.name, b", aborting..."]);
            return Err(NotSound);
        }
        if under.size < PREAMBLE_BYTES_MIN || !begins_as_rdb(&first) {
            return Ok(LogReader::new(file, under.size));
        }
        let (report, reader) =
            rdb_check::check(file, under.size, bytes(under.path), now_ms(), console);
        under.rdb = Some(report.document());
        if !report.is_sound() {
            console.line(&[b"RDB preamble of AOF file is not sane, aborting."]);
            self.note(document(
                under.name,
                under.kind,
                json!({ "valid": false, "rdb": under.rdb }),
            ));
            return Err(NotSound);
        }
        console.line(&[b"RDB preamble is OK, proceeding with AOF tail..."]);
        let (received, file) = reader.into_parts();
        Ok(LogReader::behind(
            report.bytes(),
            received,
            file,
            under.size,
        ))
    }

    /// Says how the file ends, and cuts it if that is wanted.
    fn ended(
        &mut self,
        under: &Under<'_>,
        ending: &Ending,
        console: &mut Console,
    ) -> Result<Outcome, NotSound> {
        let name = under.name;
        let diff = ending.size.saturating_sub(ending.valid_to);
        let mut fields = json!({
            "valid": diff == 0,
            "format": if under.rdb.is_some() { "rdb" } else { "resp" },
            "size": ending.size,
            "ok_up_to": ending.valid_to,
            "ok_up_to_line": self.line,
            "diff": diff,
            "rdb": under.rdb,
            "error": ending.damage.map(|damage| json!({
                "offset": damage.defect().at,
                "message": damage.to_string(),
            })),
        });
        if diff == 0
            && let Some(time) = self.to_timestamp
        {
            let time = time.to_string();
            console.line(&[
                b"Truncate nothing in AOF ",
                name,
                b" to timestamp ",
                time.as_bytes(),
            ]);
            self.note(document(name, under.kind, fields));
            return Ok(Outcome::Sound);
        }
        let figures = format!(
            ", size={}, ok_up_to={}, ok_up_to_line={}, diff={diff}",
            ending.size, ending.valid_to, self.line
        );
        console.line(&[b"AOF analyzed: filename=", name, figures.as_bytes()]);
        let outcome = if diff == 0 {
            Ok(Outcome::Sound)
        } else if !self.fix {
            console.line(&[
                b"AOF ",
                name,
                b" is not valid. Use the --fix option to try fixing it.",
            ]);
            Err(NotSound)
        } else {
            fix(under, ending, diff, console)
        };
        if let Some(fields) = fields.as_object_mut() {
            fields.insert(
                "truncated".to_owned(),
                json!(matches!(outcome, Ok(Outcome::Cut))),
            );
        }
        self.note(document(name, under.kind, fields));
        outcome
    }

    fn cut_to_time(
        &mut self,
        under: &Under<'_>,
        at: u64,
        limit: i64,
        console: &mut Console,
    ) -> Result<Outcome, NotSound> {
        let path = bytes(under.path);
        let time = limit.to_string();
        let time = time.as_bytes();
        let result = if at == 0 {
            console.line(&[
                b"AOF ",
                path,
                b" has nothing before timestamp ",
                time,
                b", aborting...",
            ]);
            Err(NotSound)
        } else if under.place == Place::Earlier {
            let offset = at.to_string();
            console.line(&[
                b"Failed to truncate AOF ",
                path,
                b" to timestamp ",
                time,
                b" to offset ",
                offset.as_bytes(),
                b" because it is not the last file.",
            ]);
            console.line(&[
                b"If you insist, please delete all files after this file according to the manifest file and delete the \
                  corresponding records in manifest file manually. Then re-run valkey-check-aof.",
            ]);
            Err(NotSound)
        } else if cut(under.path, at).is_err() {
            console.line(&[b"Failed to truncate AOF ", path, b" to timestamp ", time]);
            Err(NotSound)
        } else {
            Ok(Outcome::CutToTime)
        };
        self.note(document(
            under.name,
            under.kind,
            json!({
                "valid": result.is_ok(),
                "size": under.size,
                "cut_at": at,
                "truncated": result.is_ok(),
                "rdb": under.rdb,
            }),
        ));
        result
    }
}

/// Says what is wrong.
fn complain(defect: Defect, in_transaction: bool, name: &[u8], console: &mut Console) {
    let place = format!("0x{:16x}: {}", defect.at, defect.cause);
    match defect.cause {
        Cause::NoRecord(_) | Cause::Count(_) | Cause::LongAnnotation | Cause::ZeroInAnnotation => {
            console.line(&[b"AOF ", name, b" format error"]);
        }
        Cause::NestedMulti | Cause::LoneExec => {
            console.line(&[place.as_bytes(), b" in AOF ", name]);
        }
        // The reference says nothing of the record, but something of the transaction around it.
        Cause::Ends if in_transaction => {
            let place = format!("0x{:16x}: {}", defect.at, Cause::EndsInTransaction);
            console.line(&[place.as_bytes()]);
        }
        Cause::Ends => {}
        // The byte as it is; a zero byte ends the line.
        Cause::Prefix(byte) => {
            let place = format!("0x{:16x}: Expected prefix '$', got: '", defect.at);
            console.line(&[shown(&[place.as_bytes(), &[byte], b"'"].concat())]);
        }
        _ => console.line(&[place.as_bytes()]),
    }
}

/// Cuts the file behind its last sound unit, after a question.
fn fix(
    under: &Under<'_>,
    ending: &Ending,
    diff: u64,
    console: &mut Console,
) -> Result<Outcome, NotSound> {
    let name = under.name;
    if under.place == Place::Earlier {
        console.line(&[
            b"Failed to truncate AOF ",
            name,
            b" because it is not the last file",
        ]);
        return Err(NotSound);
    }
    let figures = format!(
        " from {} bytes, with {diff} bytes, to {} bytes",
        ending.size, ending.valid_to
    );
    console.line(&[b"This will shrink the AOF ", name, figures.as_bytes()]);
    if !console.confirm("Continue? [y/N]: ") {
        console.line(&[b"Aborting..."]);
        return Err(NotSound);
    }
    if cut(under.path, ending.valid_to).is_err() {
        console.line(&[b"Failed to truncate AOF ", name]);
        return Err(NotSound);
    }
    Ok(Outcome::Cut)
}

/// Cuts a file, for good.
fn cut(path: &OsStr, bytes: u64) -> std::io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(bytes)?;
    file.sync_data()
}
