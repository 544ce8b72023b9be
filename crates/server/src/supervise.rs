//! Process supervisors: telling systemd or upstart how far the server is.
#![allow(unsafe_code, reason = "upstart expects the process to stop itself")]

use crate::logging;
use config::Supervised;
use engine::host::Level;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::OnceLock;

/// Who supervises the process, once that has been found out.
static IN_FORCE: OnceLock<Supervised> = OnceLock::new();

/// Finds out who supervises the process. A supervisor that was asked for but cannot be reached is none.
pub(crate) fn begin(wanted: Supervised) -> Supervised {
    let given = |name| std::env::var_os(name).is_some();
    let by = match wanted {
        Supervised::Auto if given("UPSTART_JOB") => Supervised::Upstart,
        Supervised::Auto if given("NOTIFY_SOCKET") => Supervised::Systemd,
        Supervised::Auto => Supervised::No,
        other => other,
    };
    let reached = match by {
        Supervised::Systemd => notify("STATUS=Valkey is loading...\n"),
        Supervised::Upstart if !given("UPSTART_JOB") => {
            logging::log(
                Level::Warning,
                "upstart supervision requested, but UPSTART_JOB not found!",
            );
            false
        }
        Supervised::Upstart => true,
        Supervised::Auto | Supervised::No => false,
    };
    if reached && by == Supervised::Systemd {
        logging::log(
            Level::Notice,
            "Supervised by systemd. Please make sure you set appropriate values for TimeoutStartSec and TimeoutStopSec in your service unit.",
        );
    }
    *IN_FORCE.get_or_init(|| if reached { by } else { Supervised::No })
}

/// Who supervises the process.
pub(crate) fn in_force() -> Supervised {
    IN_FORCE.get().copied().unwrap_or(Supervised::No)
}

/// Tells the supervisor that the data are loaded and clients are served.
pub(crate) fn ready(replica: bool) {
    match in_force() {
        Supervised::Systemd => {
            tell(if replica {
                "STATUS=Ready to accept connections in read-only mode. Waiting for MASTER <-> REPLICA sync\n"
            } else {
                "STATUS=Ready to accept connections\n"
            });
            tell("READY=1\n");
        }
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

/// Sends lines to systemd, if it is there to read them.
pub(crate) fn tell(message: &str) {
    if in_force() == Supervised::Systemd {
        notify(message);
    }
}

/// Sends a message to systemd's socket; a name that starts with `@` is an abstract one. False, and a line in the log, when
/// that is not possible.
fn notify(message: &str) -> bool {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
        logging::log(
            Level::Warning,
            "systemd supervision error: NOTIFY_SOCKET not found!",
        );
        return false;
    };
    let text = name.to_string_lossy();
    let address = match text.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    let sent = address
        .and_then(|address| UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address));
    if let Err(error) = &sent {
        let reason = crate::errno_text(error);
        logging::log(
            Level::Warning,
            &format!("systemd supervision error: can't send to '{text}': {reason}"),
        );
    }
    sent.is_ok()
}
