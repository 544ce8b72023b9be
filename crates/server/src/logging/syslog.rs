//! The system's log, as a datagram socket takes its lines.
//!
//! libc's `syslog` guards its state with a lock that a snapshot child may inherit taken; a datagram needs none.

use config::SyslogFacility;
use engine::host::Level;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

/// Where the system listens.
pub(crate) const SOCKET: &str = "/dev/log";

/// A way to the system's log.
pub(crate) struct Syslog {
    socket: UnixDatagram,
    path: PathBuf,
    ident: String,
    facility: u8,
}

impl Syslog {
    /// Lines go to `path` under the name `ident`.
    ///
    /// # Errors
    /// No socket to be had.
    pub(crate) fn new(path: &str, ident: &str, facility: SyslogFacility) -> std::io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        // A logger that does not keep up must not hold up the server: it misses lines instead.
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            path: path.into(),
            ident: ident.to_owned(),
            facility: match facility {
                SyslogFacility::User => 1,
                SyslogFacility::Local0 => 16,
                SyslogFacility::Local1 => 17,
                SyslogFacility::Local2 => 18,
                SyslogFacility::Local3 => 19,
                SyslogFacility::Local4 => 20,
                SyslogFacility::Local5 => 21,
                SyslogFacility::Local6 => 22,
                SyslogFacility::Local7 => 23,
            },
        })
    }

    /// Sends one line; `time` as in `Nov 27 12:07:11`. It is lost when nobody listens.
    pub(crate) fn send(&self, level: Level, time: &str, pid: u32, text: &str) {
        let severity = match level {
            Level::Debug => 7,
            Level::Verbose => 6,
            Level::Notice => 5,
            Level::Warning => 4,
        };
        let priority = self.facility * 8 + severity;
        let line = format!("<{priority}>{time} {}[{pid}]: {text}", self.ident);
        // Addressed anew each time: the system's logger may have been restarted.
        let _ = self.socket.send_to(line.as_bytes(), &self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_carry_facility_severity_name_and_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let path = path.to_str().expect("a plain path");
        let syslog = Syslog::new(path, "valkey", SyslogFacility::Local3).expect("a socket");
        // Nobody listens yet.
        syslog.send(Level::Warning, "Nov  7 01:02:03", 7, "lost");
        let listener = UnixDatagram::bind(path).expect("a listener");
        syslog.send(Level::Warning, "Nov  7 01:02:03", 7, "Ready");
        syslog.send(Level::Debug, "Nov  7 01:02:04", 7, "More");
        let mut buffer = [0; 100];
        let mut line = || {
            let length = listener.recv(&mut buffer).expect("a line");
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        assert_eq!(line(), "<156>Nov  7 01:02:03 valkey[7]: Ready");
        assert_eq!(line(), "<159>Nov  7 01:02:04 valkey[7]: More");
    }
}
