//! Looks through an RDB file, or the snapshot that a log begins with.
//!
//! Values are read as the server reads them, and dropped.

use std::fs::File;

use dataset::snapshot::{LoadOptions, read_value};
use rdb::{Checksum, ErrorKind, Event, KeyHead, Reader, ReaderOptions, ValueType};
use serde_json::{Value, json};

use crate::console::{Console, json_text, shown};

/// Longest string that a compressed one may expand into, in bytes; what is not compressed may be as long as the file. Far more
/// than the default of `proto-max-bulk-len`, and what memory there must be for the check.
const STRING_BYTES_MAX: u64 = 4 << 30;

/// Auxiliary fields that a document shows: servers write fewer than ten.
const AUX_SHOWN_MAX: usize = 1000;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    keys: u64,
    expires: u64,
    expired: u64,
    /// Hashes with fields that expire, in files of Redis 7.4 and 8: loading refuses them.
    subexpires: u64,
    /// Values whose figures loading sets right.
    corrected: u64,
    version: Option<u32>,
    offset: u64,
    aux: Vec<(Vec<u8>, Vec<u8>)>,
    checksum: Option<&'static str>,
    error: Option<Failure>,
}

/// Why it is not sound.
#[derive(Debug)]
struct Failure {
    text: String,
    doing: &'static str,
    key: Option<Vec<u8>>,
    type_: Option<ValueType>,
}

impl Report {
    pub(crate) fn is_sound(&self) -> bool {
        self.error.is_none()
    }

    /// Bytes that the snapshot occupies.
    pub(crate) fn bytes(&self) -> u64 {
        self.offset
    }

    pub(crate) fn document(&self) -> Value {
        let aux: serde_json::Map<String, Value> = self
            .aux
            .iter()
            .map(|(key, value)| (String::from_utf8_lossy(key).into_owned(), json_text(value)))
            .collect();
        let error = self.error.as_ref().map(|failure| {
            json!({
                "offset": self.offset,
                "message": failure.text,
                "doing": failure.doing,
                "key": failure.key.as_deref().map(json_text),
                "type": failure.type_.map(type_name),
            })
        });
        json!({
            "valid": self.is_sound(),
            "version": self.version,
            "bytes": self.offset,
            "aux": aux,
            "keys": self.keys,
            "expires": self.expires,
            "already_expired": self.expired,
            "subexpires": self.subexpires,
            "corrected": self.corrected,
            "checksum": self.checksum,
            "error": error,
        })
    }
}

/// Something wrong with a value or a file, with what the reference says about it.
enum Trouble {
    Read(rdb::Error),
    /// A container without elements.
    Empty,
    /// A value that loading would have to set right.
    Corrected(&'static str),
}

impl From<rdb::Error> for Trouble {
    fn from(error: rdb::Error) -> Self {
        Self::Read(error)
    }
}

struct Check<'a> {
    reader: Reader<File>,
    console: &'a mut Console,
    report: Report,
    key: Vec<u8>,
    /// The key whose value is being read.
    reading: Option<KeyHead>,
    /// The type that the reference speaks of: before the first key, that of strings.
    type_: Option<ValueType>,
    now_ms: i64,
}

/// Looks through `file`, of which it is the first `size` bytes or less, and prints what the reference prints. The report, and
/// the reader behind the end.
pub(crate) fn check(
    file: File,
    size: u64,
    name: &[u8],
    now_ms: i64,
    console: &mut Console,
) -> (Report, Reader<File>) {
    let options = ReaderOptions {
        checksum: true,
        total_bytes: Some(size),
        string_bytes_max: STRING_BYTES_MAX.max(size),
    };
    let mut check = Check {
        reader: Reader::new(file, options),
        console,
        report: Report::default(),
        key: Vec::new(),
        reading: None,
        type_: Some(ValueType::String),
        now_ms,
    };
    check.at(0, &[b"Checking RDB file ", name]);
    match check.file() {
        Ok(()) => {
            let offset = check.reader.offset();
            check.report.offset = offset;
            check.at(offset, &[b"\\o/ RDB looks OK! \\o/"]);
        }
        Err(trouble) => check.failed(trouble),
    }
    let Report {
        keys,
        expires,
        expired,
        subexpires,
        ..
    } = check.report;
    let mut lines = vec![
        format!("[info] {keys} keys read"),
        format!("[info] {expires} expires"),
        format!("[info] {expired} already expired"),
    ];
    if subexpires > 0 {
        lines.push(format!("[info] {subexpires} subexpires"));
    }
    for line in lines {
        check.console.line(&[line.as_bytes()]);
    }
    (check.report, check.reader)
}

impl Check<'_> {
    /// A line about an offset.
    fn at(&mut self, offset: u64, parts: &[&[u8]]) {
        let place = format!("[offset {offset}] ");
        self.console.text(&[place.as_bytes()]);
        self.console.line(parts);
    }

    fn here(&mut self, parts: &[&[u8]]) {
        self.at(self.reader.offset(), parts);
    }

    fn file(&mut self) -> Result<(), Trouble> {
        self.report.version = Some(self.reader.header()?);
        loop {
            let mut key = std::mem::take(&mut self.key);
            let event = self.reader.next(&mut key);
            self.key = key;
            match event? {
                Event::Aux { key, value } => self.aux(key, value),
                Event::SlotInfo {
                    slot,
                    keys,
                    expires,
                } => {
                    let value = format!("{slot},{keys},{expires}").into_bytes();
                    self.aux(b"slot-info".to_vec(), value);
                }
                Event::SelectDb(db) => self.here(&[b"Selecting DB ID ", db.to_string().as_bytes()]),
                Event::ModuleAux { module_id } => {
                    self.here(&[b"MODULE AUX for: ", rdb::module_name(module_id).as_bytes()]);
                }
                Event::ResizeDb { .. } | Event::Function(_) => {}
                Event::Key(head) => self.value(head)?,
                Event::Eof(checksum) => {
                    self.end(checksum);
                    return Ok(());
                }
            }
        }
    }

    fn aux(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.here(&[b"AUX FIELD ", shown(&key), b" = '", shown(&value), b"'"]);
        if self.report.aux.len() < AUX_SHOWN_MAX {
            self.report.aux.push((key, value));
        }
    }

    fn value(&mut self, head: KeyHead) -> Result<(), Trouble> {
        self.reading = Some(head);
        self.type_ = Some(head.type_);
        self.report.keys += 1;
        if head.type_ == ValueType::Module {
            self.reader.skip_module()?;
        } else if head.type_.has_field_expiry() {
            let fields = self.reader.skip_expiring_hash(head.type_)?;
            self.report.subexpires += u64::from(fields.ok_or(Trouble::Empty)? > 0);
        } else {
            let limits = LoadOptions::new(1, self.now_ms).limits;
            if read_value(&mut self.reader, head.type_, &limits)?.is_none() {
                return Err(Trouble::Empty);
            }
        }
        let corrections = self.reader.corrections();
        self.report.corrected += u64::from(!corrections.is_empty());
        // Figures of streams have been wrong in sound files, and the reference compares them with nothing.
        if let Some(what) = corrections.first()
            && !head.type_.is_stream()
        {
            return Err(Trouble::Corrected(what));
        }
        if let Some(at_ms) = head.expire_at_ms {
            self.report.expires += 1;
            self.report.expired += u64::from(at_ms < self.now_ms);
        }
        self.reading = None;
        self.type_ = None;
        Ok(())
    }

    fn end(&mut self, checksum: Checksum) {
        let (line, name): (Option<&[u8]>, _) = match checksum {
            Checksum::Absent => (None, "absent"),
            Checksum::Verified(_) => (Some(b"Checksum OK"), "verified"),
            Checksum::Unchecked => (
                Some(b"RDB file was saved with checksum disabled: no check performed."),
                "disabled",
            ),
        };
        self.report.checksum = Some(name);
        if let Some(line) = line {
            self.here(&[line]);
        }
    }

    fn failed(&mut self, trouble: Trouble) {
        let (offset, text, doing) = match &trouble {
            Trouble::Read(error) => {
                if let Some(type_) = error.key_type() {
                    self.type_ = Some(type_);
                }
                (error.offset(), self.text(error), self.doing(error.what()))
            }
            Trouble::Empty => (
                self.reader.offset(),
                "Unexpected EOF reading RDB file".to_owned(),
                "read-object-value",
            ),
            Trouble::Corrected(what) => (
                self.reader.offset(),
                internal("value", what),
                "read-object-value",
            ),
        };
        let key = self.reading.is_some().then(|| self.key.clone());
        self.console.line(&[b"--- RDB ERROR DETECTED ---"]);
        self.at(offset, &[text.as_bytes()]);
        self.console
            .line(&[b"[additional info] While doing: ", doing.as_bytes()]);
        if let Some(key) = &key {
            self.console
                .line(&[b"[additional info] Reading key '", shown(key), b"'"]);
        }
        if let Some(type_) = self.type_ {
            let line = format!(
                "[additional info] Reading type {} ({})",
                type_.number(),
                type_name(type_)
            );
            self.console.line(&[line.as_bytes()]);
        }
        self.report.offset = offset;
        self.report.error = Some(Failure {
            text,
            doing,
            key,
            type_: self.type_,
        });
    }

    fn text(&self, error: &rdb::Error) -> String {
        match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::BadLength(_) | ErrorKind::Io(_)
                if error.what() == "function library" =>
            {
                "Failed loading library, Failed loading library payload".to_owned()
            }
            ErrorKind::UnexpectedEof | ErrorKind::BadLength(_) | ErrorKind::Io(_) => {
                "Unexpected EOF reading RDB file".to_owned()
            }
            ErrorKind::BadMagic => "Wrong signature trying to load DB from file".to_owned(),
            ErrorKind::BadVersion(version) => format!("Can't handle RDB format version {version}"),
            ErrorKind::UnknownType(byte) => format!("Invalid object type: {byte}"),
            ErrorKind::Crc { .. } => "RDB CRC error".to_owned(),
            ErrorKind::NotSupported(_) if self.reading.is_none() => format!(
                "Pre-release function format not supported {}",
                self.report.version.unwrap_or_default()
            ),
            ErrorKind::NotSupported(what) => internal("value", what),
            ErrorKind::Corrupt("module data without its time") => "bad when_opcode".to_owned(),
            other => internal(error.what(), &other.to_string()),
        }
    }

    /// What the reference calls what was being read.
    fn doing(&self, what: &str) -> &'static str {
        if self.reading.is_some() {
            return "read-object-value";
        }
        match what {
            "header" => "start",
            "key" => "read-key",
            "expiry in milliseconds" | "expiry in seconds" => "read-expire",
            "auxiliary field" => "read-aux",
            "database index" | "database size" | "slot size" => "read-len",
            "module auxiliary data" => "read-module-aux",
            "function library" => "read-functions",
            "checksum" => "check-sum",
            _ => "read-type",
        }
    }
}

/// A defect inside a value; where the reference names a place in its source, what was being read.
fn internal(what: &str, why: &str) -> String {
    format!("Internal error in RDB reading offset 0, function at {what} -> {why}")
}

/// What the reference's checker calls a type.
fn type_name(type_: ValueType) -> &'static str {
    match type_ {
        ValueType::String => "string",
        ValueType::List => "list-linked",
        ValueType::Set => "set-hashtable",
        ValueType::ZSet => "zset-v1",
        ValueType::Hash => "hash-hashtable",
        ValueType::ZSet2 => "zset-v2",
        ValueType::ModulePreGa => "module-pre-release",
        ValueType::Module => "module-value",
        ValueType::HashZipmap => "hash-zipmap",
        ValueType::ListZiplist => "list-ziplist",
        ValueType::SetIntset => "set-intset",
        ValueType::ZSetZiplist => "zset-ziplist",
        ValueType::HashZiplist => "hash-ziplist",
        ValueType::ListQuicklist => "quicklist",
        ValueType::StreamListpacks => "stream",
        ValueType::HashListpack => "hash-listpack",
        ValueType::ZSetListpack => "zset-listpack",
        ValueType::ListQuicklist2 => "quicklist-v2",
        ValueType::StreamListpacks2 => "stream-v2",
        ValueType::SetListpack => "set-listpack",
        ValueType::StreamListpacks3 => "stream-v3",
        ValueType::HashMetadataPreGa => "hash-hashtable-md-pre-release",
        ValueType::HashListpackExPreGa => "hash-listpack-md-pre-release",
        ValueType::HashMetadata => "hash-hashtable-md",
        ValueType::HashListpackEx => "hash-listpack-md",
        ValueType::HashVolatile => "hash-volatile-items",
    }
}
