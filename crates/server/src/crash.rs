//! Signals that mean a crash: a report for whoever looks into it, then the end that the signal asks for.
//!
//! The handler must not allocate or wait for a lock: any thread may have been stopped anywhere. It formats into a buffer of
//! its own and writes with system calls.
#![allow(
    unsafe_code,
    reason = "signal handlers and their contexts come from libc"
)]

use crate::logging;
use engine::host::Level;
use std::ffi::CString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Signals that end the process with a report.
const FATAL: [libc::c_int; 5] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGABRT,
];
/// Frames shown of the thread that crashed.
const FRAMES_MAX: usize = 100;
/// Bytes of one piece of the report.
const PIECE_BYTES: usize = 1024;

/// Where the log goes; unset or empty for standard output.
static LOG_FILE: OnceLock<CString> = OnceLock::new();
/// A report is being written: the next crash, be it in the handler itself, ends the process at once.
static REPORTING: AtomicBool = AtomicBool::new(false);
/// Whether a signal leaves a report.
static WANTED: AtomicBool = AtomicBool::new(false);
/// The report's first line is written.
static STARTED: AtomicBool = AtomicBool::new(false);

/// Catches the signals of a crash if `wanted` is set, and ignores those that must not end a server.
pub(crate) fn set_up(log_file: &str, wanted: bool) {
    // SAFETY: changes what two signals do; neither has a handler.
    unsafe {
        libc::signal(libc::SIGHUP, libc::SIG_IGN);
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
    let path = std::ffi::OsStr::new(log_file);
    if let Ok(path) = CString::new(path.as_bytes()) {
        // Set once: the log's file does not change while the process runs.
        let _ = LOG_FILE.set(path);
    }
    // Loads what the first walk over the stack needs: that may allocate, which a handler must not.
    let mut frames = [std::ptr::null_mut(); 2];
    // SAFETY: the buffer holds as many frames as are asked for.
    unsafe { libc::backtrace(frames.as_mut_ptr(), 2) };
    catch(libc::SIGALRM, handle_alarm);
    report_crashes(wanted);
}

/// Whether crashes leave a report.
pub(crate) fn report_crashes(wanted: bool) {
    WANTED.store(wanted, Ordering::SeqCst);
    for signal in FATAL {
        if wanted {
            catch(signal, handle);
        } else {
            // SAFETY: restores the default action. Without it the handler of the standard library would stay, which lets
            // the first signal that another process has sent pass.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}

/// Has panics logged, wherever they happen: most are caught and end but a task, and standard error may lead nowhere.
pub(crate) fn log_panics() {
    let show = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        show(panic);
        let thread = std::thread::current();
        let text = format!(
            "Thread '{}' {panic}",
            thread.name().unwrap_or("without a name")
        );
        logging::log(Level::Warning, &text.replace('\n', " "));
    }));
}

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

fn catch(signal: libc::c_int, handler: Handler) {
    // SAFETY: all-zero is a valid `sigaction`; the handler has the signature that SA_SIGINFO asks for.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER | libc::SA_ONSTACK | libc::SA_RESTART;
        action.sa_sigaction = handler as *const () as usize;
        libc::sigaction(signal, &raw const action, std::ptr::null_mut());
    }
}

/// SIGALRM shows where the process is, and nothing else.
extern "C" fn handle_alarm(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let mut report = Report::open();
    report.line(format_args!("Received SIGALRM"));
    report.stack();
    report.close();
}

/// Starts a report about a failure that the process has found itself, and ends the process; the rest of the report is
/// that of the abort.
pub(crate) fn fail(lines: &[&str]) -> ! {
    let mut report = Report::open();
    report.start();
    for line in lines {
        report.line(format_args!("{line}"));
    }
    if !WANTED.load(Ordering::SeqCst) {
        report.end();
    }
    report.close();
    std::process::abort();
}

/// The handler: writes the report, then lets the signal do what it does by itself.
extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    if !REPORTING.swap(true, Ordering::SeqCst) {
        report(signal, info, context.cast());
    }
    // SAFETY: restores the default action, so that raising the signal ends the process.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

/// An open log and a buffer for one piece.
struct Report {
    fd: libc::c_int,
    buffer: [u8; PIECE_BYTES],
}

impl Report {
    fn open() -> Self {
        let path = LOG_FILE.get().filter(|path| !path.is_empty());
        // SAFETY: opens a file by a terminated name.
        let opened = path.map(|path| unsafe {
            libc::open(
                path.as_ptr(),
                libc::O_APPEND | libc::O_CREAT | libc::O_WRONLY,
                0o644,
            )
        });
        Report {
            fd: opened.filter(|fd| *fd >= 0).unwrap_or(libc::STDOUT_FILENO),
            buffer: [0; PIECE_BYTES],
        }
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        let mut rest = &mut self.buffer[..];
        // What does not fit is lost.
        let _ = rest.write_fmt(text);
        let left = rest.len();
        let used = PIECE_BYTES - left;
        // SAFETY: writes from a buffer of that length; a failure has nowhere to be told.
        unsafe { libc::write(self.fd, self.buffer.as_ptr().cast(), used) };
    }

    /// The line that every report starts with, once.
    fn start(&mut self) {
        if !STARTED.swap(true, Ordering::SeqCst) {
            self.write(format_args!(
                "\n\n=== VALKEY BUG REPORT START: Cut & paste starting from here ===\n"
            ));
        }
    }

    /// The line that every report ends with.
    fn end(&mut self) {
        self.write(format_args!(
            "\n=== VALKEY BUG REPORT END. Make sure to include from START to END. ===\n"
        ));
    }

    fn stack(&mut self) {
        self.write(format_args!("\n------ STACK TRACE ------\n"));
        let mut frames = [std::ptr::null_mut(); FRAMES_MAX];
        // SAFETY: the buffer holds as many frames as are asked for; the symbols go straight to the descriptor.
        unsafe {
            let count = libc::backtrace(frames.as_mut_ptr(), FRAMES_MAX as libc::c_int);
            libc::backtrace_symbols_fd(frames.as_ptr(), count, self.fd);
        }
        self.write(format_args!("\n------ STACK TRACE DONE ------\n"));
    }

    fn close(self) {
        if self.fd != libc::STDOUT_FILENO {
            // SAFETY: closes what `open` has opened.
            unsafe { libc::close(self.fd) };
        }
    }

    /// A line as the log has them, but for the date: local time cannot be had in a handler.
    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        let pid = std::process::id();
        self.write(format_args!(
            "{pid}:signal-handler ({}) # {text}\n",
            unix_seconds()
        ));
    }
}

/// Unix seconds, without anything that may allocate.
fn unix_seconds() -> i64 {
    // SAFETY: asks for the time, writing nowhere.
    unsafe { libc::time(std::ptr::null_mut()) }
}

fn report(signal: libc::c_int, info: *mut libc::siginfo_t, context: *const libc::ucontext_t) {
    let version = words::version::VALKEY;
    let mut report = Report::open();
    report.start();
    // SAFETY: the kernel gives a handler with SA_SIGINFO a valid `siginfo_t`.
    let (code, address, sender, user) = unsafe {
        let info = &*info;
        (info.si_code, info.si_addr(), info.si_pid(), info.si_uid())
    };
    report.line(format_args!(
        "valkey {version} crashed by signal: {signal}, si_code: {code}"
    ));
    if code == libc::SI_USER {
        report.line(format_args!("Killed by PID: {sender}, UID: {user}"));
    } else if matches!(signal, libc::SIGSEGV | libc::SIGBUS) {
        report.line(format_args!("Accessing address: {address:p}"));
    }
    report.stack();
    report.write(format_args!("\n------ REGISTERS ------\n"));
    registers(&mut report, context);
    report.end();
}

/// The registers of the thread that crashed, four digits of name each.
#[cfg(target_arch = "x86_64")]
fn registers(report: &mut Report, context: *const libc::ucontext_t) {
    const NAMES: [(&str, libc::c_int); 18] = [
        ("RAX", libc::REG_RAX),
        ("RBX", libc::REG_RBX),
        ("RCX", libc::REG_RCX),
        ("RDX", libc::REG_RDX),
        ("RDI", libc::REG_RDI),
        ("RSI", libc::REG_RSI),
        ("RBP", libc::REG_RBP),
        ("RSP", libc::REG_RSP),
        ("R8 ", libc::REG_R8),
        ("R9 ", libc::REG_R9),
        ("R10", libc::REG_R10),
        ("R11", libc::REG_R11),
        ("R12", libc::REG_R12),
        ("R13", libc::REG_R13),
        ("R14", libc::REG_R14),
        ("R15", libc::REG_R15),
        ("RIP", libc::REG_RIP),
        ("EFL", libc::REG_EFL),
    ];
    // SAFETY: the kernel gives a handler with SA_SIGINFO a valid context.
    let values = unsafe { &(*context).uc_mcontext.gregs };
    for (at, (name, index)) in NAMES.into_iter().enumerate() {
        let value = values[index as usize];
        let end = if at % 2 == 1 { '\n' } else { ' ' };
        report.write(format_args!("{name}:{value:016x}{end}"));
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn registers(report: &mut Report, _context: *const libc::ucontext_t) {
    report.write(format_args!("(not known on this machine)\n"));
}

#[cfg(test)]
mod tests {
    use crate::logging;
    use engine::host::Level;

    #[test]
    fn a_panic_is_logged_with_its_thread_and_place() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("log");
        logging::configure(path.to_str().unwrap(), Some(Level::Warning));
        super::log_panics();
        let thread = std::thread::Builder::new().name("gone".into());
        let ended = thread.spawn(|| panic!("for a test")).unwrap().join();
        assert!(ended.is_err());
        let log = std::fs::read_to_string(path).unwrap();
        assert!(
            log.contains("Thread 'gone' panicked at crates/server/src/crash.rs:")
                && log.ends_with(" for a test\n"),
            "{log}"
        );
    }
}
