//! Records as they are appended: which lines stand before a command, and what makes a unit of several.
//!
//! ```text
//! unit  = [stamp] [SELECT db] command                              one effect
//!       | [stamp] MULTI ([SELECT db] command){2,} EXEC             several
//! stamp = "#TS:" seconds CRLF                                      once a second, if wanted
//! mark  = "#SYNC:" bytes CRLF                                    in front of a write, if wanted
//! ```
//!
//! A mark says how many bytes of its file were on the disk when it was written. A file that has marks begins with one of
//! zero bytes. What a loss of power leaves of bytes that were never synced can be told by them from damage to bytes that
//! were; the reference skips them as it skips all annotations.
//!
//! Source: the files that Valkey 8.0.1 writes; marks are ours.

use words::request;

/// One command with its database.
#[derive(Clone, Copy, Debug)]
pub struct Effect<'a> {
    /// Index of the database.
    pub db: u32,
    /// Name and arguments.
    pub args: &'a [&'a [u8]],
}

/// What the text of a mark begins with.
const MARK: &str = "SYNC:";

/// Knows what the file under way has selected, and when it was stamped last.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    selected: Option<u32>,
    /// Whether seconds are stamped (`aof-timestamp-enabled`).
    stamps: bool,
    /// The second that was stamped last, since the epoch.
    stamped_s: i64,
}

impl Encoder {
    /// An encoder for the beginning of a file.
    #[must_use]
    pub fn new(stamps: bool) -> Self {
        Self {
            stamps,
            ..Self::default()
        }
    }

    /// What is appended next goes to another file.
    pub fn begin_file(&mut self) {
        self.selected = None;
    }

    /// Switches stamps on or off.
    pub fn set_stamps(&mut self, stamps: bool) {
        self.stamps = stamps;
    }

    /// Appends the effects of one unit to `out`; none of them, nothing.
    pub fn unit(&mut self, out: &mut Vec<u8>, effects: &[Effect<'_>], now_s: i64) {
        if effects.is_empty() {
            return;
        }
        self.stamp(out, now_s);
        let several = effects.len() > 1;
        if several {
            request::encode(out, &[b"MULTI"]);
        }
        for effect in effects {
            self.select(out, effect.db);
            request::encode(out, effect.args);
        }
        if several {
            request::encode(out, &[b"EXEC"]);
        }
    }

    /// Appends one record that is encoded already, such as one that a primary has sent: a command, MULTI or EXEC.
    ///
    /// MULTI is for the database that was selected last, whichever that was.
    pub fn encoded(&mut self, out: &mut Vec<u8>, db: Option<u32>, record: &[u8], now_s: i64) {
        self.stamp(out, now_s);
        if let Some(db) = db {
            self.select(out, db);
        }
        out.extend_from_slice(record);
    }

    fn stamp(&mut self, out: &mut Vec<u8>, now_s: i64) {
        // A clock that goes back stamps as well: there is no order to be kept.
        if self.stamps && now_s != self.stamped_s {
            self.stamped_s = now_s;
            out.extend_from_slice(&stamp(now_s));
        }
    }

    fn select(&mut self, out: &mut Vec<u8>, db: u32) {
        if self.selected != Some(db) {
            self.selected = Some(db);
            request::encode(out, &[b"SELECT", itoa(db).as_bytes()]);
        }
    }
}

fn itoa(number: u32) -> String {
    number.to_string()
}

/// The line that marks a second, as also the first one of a base of commands.
#[must_use]
pub fn stamp(now_s: i64) -> Vec<u8> {
    format!("#TS:{now_s}\r\n").into_bytes()
}

/// The line that says how many bytes of its file are on the disk.
#[must_use]
pub fn mark(synced_bytes: u64) -> Vec<u8> {
    format!("#{MARK}{synced_bytes}\r\n").into_bytes()
}

/// The bytes that a mark tells of, when the text of an annotation is one.
#[must_use]
pub fn parse_mark(text: &[u8]) -> Option<u64> {
    let digits = text.strip_prefix(MARK.as_bytes())?;
    u64::try_from(words::int::parse_i64(digits)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        // One line per record, without lengths.
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let lines: Vec<&str> = text
            .split("\r\n")
            .filter(|line| !line.starts_with(['*', '$']))
            .collect();
        lines.join(" ")
    }

    #[test]
    fn databases_are_selected_where_they_change() {
        let mut encoder = Encoder::new(false);
        let mut out = Vec::new();
        let set: &[&[u8]] = &[b"SET", b"k", b"v"];
        let effect = |db| Effect { db, args: set };
        encoder.unit(&mut out, &[effect(0)], 5);
        encoder.unit(&mut out, &[effect(0)], 5);
        encoder.unit(&mut out, &[effect(3), effect(3), effect(0)], 5);
        encoder.unit(&mut out, &[], 5);
        assert_eq!(
            text(&out),
            "SELECT 0 SET k v SET k v MULTI SELECT 3 SET k v SET k v SELECT 0 SET k v EXEC "
        );
        out.clear();
        encoder.begin_file();
        encoder.unit(&mut out, &[effect(0)], 5);
        assert_eq!(
            out,
            b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"
        );
    }

    #[test]
    fn seconds_are_stamped_once_and_first() {
        let mut encoder = Encoder::new(true);
        let mut out = Vec::new();
        let del: &[&[u8]] = &[b"DEL", b"k"];
        let effects = [Effect { db: 0, args: del }; 2];
        encoder.unit(&mut out, &effects, 100);
        encoder.unit(&mut out, &effects[..1], 100);
        encoder.begin_file();
        encoder.unit(&mut out, &effects[..1], 100);
        encoder.unit(&mut out, &effects[..1], 101);
        assert_eq!(
            text(&out),
            "#TS:100 MULTI SELECT 0 DEL k DEL k EXEC DEL k SELECT 0 DEL k #TS:101 DEL k "
        );
    }

    #[test]
    fn a_primarys_records_are_passed_on_as_they_are() {
        let mut encoder = Encoder::new(false);
        let mut out = Vec::new();
        encoder.encoded(&mut out, None, b"*1\r\n$5\r\nMULTI\r\n", 1);
        encoder.encoded(&mut out, Some(2), b"*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n", 1);
        encoder.encoded(&mut out, None, b"*1\r\n$4\r\nEXEC\r\n", 1);
        assert_eq!(text(&out), "MULTI SELECT 2 DEL k EXEC ");
    }

    #[test]
    fn marks_are_read_back() {
        assert_eq!(mark(12), b"#SYNC:12\r\n");
        assert_eq!(parse_mark(b"SYNC:12"), Some(12));
        for text in ["SYNC:", "SYNC:-1", "SYNC:01", "TS:12"] {
            assert_eq!(parse_mark(text.as_bytes()), None, "{text}");
        }
    }
}
