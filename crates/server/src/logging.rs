//! The log: `pid:role date level message`, to standard output or to a file, and to the system's log if wanted.
#![allow(unsafe_code, reason = "local time comes from libc")]

pub(crate) mod syslog;

use engine::host::Level;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use syslog::Syslog;

static PID: AtomicU32 = AtomicU32::new(0);
/// Until it serves, the process is nobody's primary.
static ROLE: AtomicU8 = AtomicU8::new(b'C');
static THRESHOLD: AtomicU8 = AtomicU8::new(2);
static FILE: Mutex<String> = Mutex::new(String::new());
static SYSLOG: OnceLock<Syslog> = OnceLock::new();

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

/// From now on lines go to the system's log too.
pub(crate) fn add_syslog(syslog: Syslog) {
    // The parameters that it follows from cannot change while the process runs.
    let _ = SYSLOG.set(syslog);
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
    let pid = PID.load(Ordering::Relaxed);
    let (now, millis) = local_time();
    let month = MONTHS.get(now.tm_mon as usize).unwrap_or(&"???");
    let clock = format!("{:02}:{:02}:{:02}", now.tm_hour, now.tm_min, now.tm_sec);
    let line = format!(
        "{pid}:{} {:02} {month} {} {clock}.{millis:03} {mark} {text}\n",
        char::from(ROLE.load(Ordering::Relaxed)),
        now.tm_mday,
        now.tm_year + 1900,
    );
    raw(line.as_bytes());
    if let Some(syslog) = SYSLOG.get() {
        let time = format!("{month} {:2} {clock}", now.tm_mday);
        syslog.send(level, &time, pid, text);
    }
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

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Local time, and the milliseconds that it leaves out.
fn local_time() -> (libc::tm, u64) {
    let now_us = crate::clock::unix_us();
    let seconds = (now_us / 1_000_000) as libc::time_t;
    // SAFETY: all-zero is a valid `tm`, and `localtime_r` writes only to it.
    let time = unsafe {
        let mut time: libc::tm = std::mem::zeroed();
        libc::localtime_r(&raw const seconds, &raw mut time);
        time
    };
    (time, now_us / 1000 % 1000)
}
