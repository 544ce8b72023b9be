//! The log: `pid:role date level message`, to standard output or to a file.
#![allow(unsafe_code, reason = "local time comes from libc")]

use engine::host::Level;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

static PID: AtomicU32 = AtomicU32::new(0);
/// Until it serves, the process is nobody's primary.
static ROLE: AtomicU8 = AtomicU8::new(b'C');
static THRESHOLD: AtomicU8 = AtomicU8::new(2);
static FILE: Mutex<String> = Mutex::new(String::new());

/// Sets where lines go (empty: standard output) and the least level that is written.
pub(crate) fn configure(file: &str, threshold: Option<Level>) {
    if let Ok(mut path) = FILE.lock() {
        file.clone_into(&mut path);
    }
    THRESHOLD.store(
        threshold.map_or(u8::MAX, |level| level as u8),
        Ordering::Relaxed,
    );
    set_pid();
}

/// Notes the process id: after the start and after becoming a daemon.
pub(crate) fn set_pid() {
    PID.store(std::process::id(), Ordering::Relaxed);
}

/// Sets the letter of the role: `M` primary, `S` replica, `C` child.
pub(crate) fn set_role(letter: u8) {
    ROLE.store(letter, Ordering::Relaxed);
}

/// Writes one line, if its level is wanted.
///
/// A line that cannot be written is lost: there is nowhere to complain.
pub(crate) fn log(level: Level, text: &str) {
    if level as u8 >= THRESHOLD.load(Ordering::Relaxed) {
        write(level, text);
    }
}

fn write(level: Level, text: &str) {
    let mark = match level {
        Level::Debug => '.',
        Level::Verbose => '-',
        Level::Notice => '*',
        Level::Warning => '#',
    };
    let line = format!(
        "{}:{} {} {mark} {text}\n",
        PID.load(Ordering::Relaxed),
        char::from(ROLE.load(Ordering::Relaxed)),
        timestamp()
    );
    raw(line.as_bytes());
}

/// Writes a line about a signal that has come.
pub(crate) fn signal(text: &str) {
    let seconds = crate::clock::unix_us() / 1_000_000;
    let pid = PID.load(Ordering::Relaxed);
    raw(format!("{pid}:signal-handler ({seconds}) {text}\n").as_bytes());
}

/// Writes text as it is: the banner.
pub(crate) fn raw(bytes: &[u8]) {
    // A child may have been forked while another thread held the lock: it must never wait for it.
    let path = FILE.try_lock().map(|path| path.clone()).unwrap_or_default();
    if path.is_empty() {
        let _ = std::io::stdout().write_all(bytes);
        let _ = std::io::stdout().flush();
    } else if let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path) {
        let _ = file.write_all(bytes);
    }
}

/// Local time as `22 Nov 2026 12:07:11.123`.
fn timestamp() -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let now_us = crate::clock::unix_us();
    let seconds = (now_us / 1_000_000) as libc::time_t;
    // SAFETY: all-zero is a valid `tm`, and `localtime_r` writes only to it.
    let time = unsafe {
        let mut time: libc::tm = std::mem::zeroed();
        libc::localtime_r(&raw const seconds, &raw mut time);
        time
    };
    format!(
        "{:02} {} {} {:02}:{:02}:{:02}.{:03}",
        time.tm_mday,
        MONTHS.get(time.tm_mon as usize).unwrap_or(&"???"),
        time.tm_year + 1900,
        time.tm_hour,
        time.tm_min,
        time.tm_sec,
        now_us / 1000 % 1000
    )
}
