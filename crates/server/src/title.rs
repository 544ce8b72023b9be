//! The process title: what `ps` shows in place of the command line.
//!
//! It is written over the command line itself and the environment behind it, which has moved elsewhere by then.
#![allow(
    unsafe_code,
    reason = "the kernel shows the memory that it gave the command line"
)]

use config::Config;
use std::ffi::OsString;
use std::sync::{Mutex, OnceLock};

/// What the process was called with, and the memory that shows it.
struct CommandLine {
    arguments: Vec<OsString>,
    start: usize,
    bytes: usize,
}

static COMMAND_LINE: OnceLock<CommandLine> = OnceLock::new();
/// Stands for the program's name in [`SHOWN`]: no title can hold it.
const PROGRAM: &str = "\0";
/// The title being shown; empty before there is one.
static SHOWN: Mutex<String> = Mutex::new(String::new());

/// Takes over the command line. To be called by the first thread, before there are others.
pub(crate) fn set_up() {
    let arguments = std::env::args_os().collect();
    let (start, bytes) = area().unwrap_or((0, 0));
    if bytes > 0 {
        for (name, value) in std::env::vars_os() {
            // SAFETY: there is one thread. Setting a variable gives it memory of its own, away from the area.
            unsafe { std::env::set_var(name, value) };
        }
    }
    // Set once: nobody else calls this.
    let _ = COMMAND_LINE.set(CommandLine {
        arguments,
        start,
        bytes,
    });
}

/// The arguments, program first, also when the title has been written over them.
pub(crate) fn arguments() -> &'static [OsString] {
    COMMAND_LINE.get().map_or(&[], |line| &line.arguments)
}

/// Where command line and environment lie: address and length. The kernel lists the four addresses in `stat`.
fn area() -> Option<(usize, usize)> {
    /// Place of the command line's address behind the name of the program, and of the three others behind it.
    const FIRST: usize = 45;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let addresses: Vec<usize> = fields
        .split_ascii_whitespace()
        .skip(FIRST)
        .take(4)
        .map(|field| field.parse().ok())
        .collect::<Option<_>>()?;
    let &[start, end, environment, environment_end] = addresses.as_slice() else {
        return None;
    };
    let end = if environment == end {
        environment_end
    } else {
        end
    };
    (start > 0 && end > start).then_some((start, end - start))
}

/// Shows the title that `config` asks for.
pub(crate) fn show(config: &Config) {
    if !config.set_proc_title {
        return;
    }
    if let Ok(mut shown) = SHOWN.lock() {
        *shown = expand(config);
        let name = arguments().first().map(|name| name.to_string_lossy());
        write(&shown.replace(PROGRAM, name.as_deref().unwrap_or_default()));
    }
}

/// Shows the title of a child process, with `program` for the program's name.
pub(crate) fn show_child(program: &str) {
    // Another thread may have held the lock when the child was made: it must not wait.
    if let Ok(shown) = SHOWN.try_lock()
        && !shown.is_empty()
    {
        write(&shown.replace(PROGRAM, program));
    }
}

fn write(title: &str) {
    let Some(line) = COMMAND_LINE.get().filter(|line| line.bytes > 0) else {
        return;
    };
    let bytes = title.trim_end().as_bytes();
    let length = bytes.len().min(line.bytes - 1);
    let to = line.start as *mut u8;
    // SAFETY: the kernel gave this memory to the command line and the environment, which nobody reads there any more; it
    // is never freed. Callers hold the lock of the title.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, length);
        std::ptr::write_bytes(to.add(length), 0, line.bytes - length);
    }
}

/// The template with its variables filled in, but for the program's name; `{{` is a brace.
fn expand(config: &Config) -> String {
    let template = config.proc_title_template.lossy();
    let mut text = String::new();
    let mut rest = &*template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        if let Some(escaped) = after.strip_prefix('{') {
            text.push('{');
            rest = escaped;
            continue;
        }
        // The configuration has checked that the braces pair up.
        let (name, behind) = after.split_once('}').unwrap_or((after, ""));
        text.push_str(&variable(config, name));
        rest = behind;
    }
    text.push_str(rest);
    text
}

fn variable(config: &Config, name: &str) -> String {
    let socket = config.unixsocket.lossy();
    match name {
        "title" => PROGRAM.to_owned(),
        "listen-addr" if config.port != 0 || config.tls_port != 0 => {
            let address = config.bind.first().map(|address| address.lossy());
            let port = crate::listener::shown_port(config);
            format!("{}:{port}", address.as_deref().unwrap_or("*"))
        }
        "listen-addr" => format!("unixsocket:{socket}"),
        "server-mode" if config.cluster_enabled => "[cluster]".to_owned(),
        "port" => config.port.to_string(),
        "tls-port" => config.tls_port.to_string(),
        "unixsocket" => socket.into_owned(),
        "config-file" => crate::startup::config_file(),
        _ => String::new(),
    }
}
