//! Process supervisors: telling systemd or upstart that the server is ready.
#![allow(unsafe_code, reason = "upstart expects the process to stop itself")]

use crate::logging;
use config::Supervised;
use engine::host::Level;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Who supervises the process, with `auto` looked up in the environment.
pub(crate) fn resolve(wanted: Supervised) -> Supervised {
    match wanted {
        Supervised::Auto if std::env::var_os("UPSTART_JOB").is_some() => Supervised::Upstart,
        Supervised::Auto if std::env::var_os("NOTIFY_SOCKET").is_some() => Supervised::Systemd,
        Supervised::Auto => Supervised::No,
        other => other,
    }
}

/// Tells the supervisor that the server serves.
pub(crate) fn ready(by: Supervised) {
    match by {
        Supervised::Systemd => notify("STATUS=Ready to accept connections\nREADY=1\n"),
        Supervised::Upstart if std::env::var_os("UPSTART_JOB").is_none() => logging::log(
            Level::Warning,
            "upstart supervision requested, but UPSTART_JOB not found!",
        ),
        Supervised::Upstart => {
            logging::log(
                Level::Notice,
                "supervised by upstart, will stop to signal readiness.",
            );
            // SAFETY: stops this process until upstart continues it.
            unsafe { libc::raise(libc::SIGSTOP) };
        }
        Supervised::Auto | Supervised::No => {}
    }
}

/// Sends a message to systemd's socket; a name that starts with `@` is an abstract one.
fn notify(message: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
        logging::log(
            Level::Warning,
            "systemd supervision error: NOTIFY_SOCKET not found!",
        );
        return;
    };
    let text = name.to_string_lossy();
    let address = match text.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    let sent = address
        .and_then(|address| UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address));
    if let Err(error) = sent {
        let reason = crate::errno_text(&error);
        logging::log(
            Level::Warning,
            &format!("Can't send to systemd socket: {reason}"),
        );
    }
}
