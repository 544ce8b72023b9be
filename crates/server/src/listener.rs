//! Listening sockets, and taking connections from them.

use crate::connection::{self, Socket};
use crate::logging;
use crate::shared::Shared;
use engine::client::Peer;
use engine::config::Config;
use engine::host::Level;
use socket2::{Domain, SockRef, Socket as RawSocket, TcpKeepalive, Type};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener as StdTcpListener, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::JoinHandle;

/// Pause after an accept that failed for want of descriptors: they come back when clients leave.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Sockets that are bound but not yet served.
pub(crate) struct Listeners {
    tcp: Vec<StdTcpListener>,
    unix: Option<std::os::unix::net::UnixListener>,
}

impl Listeners {
    /// Binds everything the configuration asks for.
    ///
    /// # Errors
    /// A text for the log; lines about single addresses have been logged.
    pub(crate) fn bind(config: &Config) -> Result<Self, String> {
        let mut listeners = Self::bind_tcp(config)
            .map_err(|_| format!("Failed listening on port {} (tcp), aborting.", config.port))?;
        let path = config.unixsocket.lossy().into_owned();
        if !path.is_empty() {
            let bound = bind_unix(&path, config.unixsocketperm).map_err(|error| {
                format!(
                    "Failed opening Unix socket: bind: {}",
                    crate::errno_text(&error)
                )
            })?;
            listeners.unix = Some(bound);
        }
        if listeners.tcp.is_empty() && listeners.unix.is_none() {
            return Err("Configured to not listen anywhere, exiting.".to_owned());
        }
        Ok(listeners)
    }

    /// Binds the TCP port on all configured addresses.
    ///
    /// # Errors
    /// A text for the client that asked.
    pub(crate) fn bind_tcp(config: &Config) -> Result<Self, String> {
        Self::bind_sharing(config, false)
    }

    fn bind_sharing(config: &Config, share: bool) -> Result<Self, String> {
        let mut tcp = Vec::new();
        let port = u16::try_from(config.port).unwrap_or(0);
        if port == 0 {
            return Ok(Listeners { tcp, unix: None });
        }
        for address in &config.bind {
            let text = address.lossy();
            let (text, optional) = match text.strip_prefix('-') {
                Some(rest) => (rest, true),
                None => (&*text, false),
            };
            match bind_one(text, port, config.tcp_backlog, share) {
                Ok(mut bound) => tcp.append(&mut bound),
                Err(error) => {
                    logging::log(
                        Level::Warning,
                        &format!(
                            "Warning: Could not create server TCP listening socket {text}:{port}: {}",
                            bind_problem(&error)
                        ),
                    );
                    let number = error.raw_os_error();
                    let absent = number == Some(libc::EADDRNOTAVAIL);
                    let unsupported = matches!(
                        number,
                        Some(libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT | libc::ENOPROTOOPT)
                    );
                    if (optional && absent) || unsupported {
                        continue;
                    }
                    return Err("Unable to listen on this port".to_owned());
                }
            }
        }
        Ok(Listeners { tcp, unix: None })
    }

    /// As [`Self::bind_tcp`], while `current` are still being served: new addresses may overlap with theirs. When the new
    /// ones are there nobody can connect to the old ones any more.
    ///
    /// # Errors
    /// A text for the client that asked.
    pub(crate) fn rebind_tcp(config: &Config, current: &[StdTcpListener]) -> Result<Self, String> {
        // Sockets may share a port as long as all of them allow it. They allow it for this moment only: another process
        // must not be able to take a share.
        let share = |listeners: &[StdTcpListener], on: bool| {
            for listener in listeners {
                // Failing means that binding fails as well, and tells.
                let _ = SockRef::from(listener).set_reuse_port(on);
            }
        };
        share(current, true);
        let bound = Self::bind_sharing(config, true);
        if let Ok(listeners) = &bound {
            share(&listeners.tcp, false);
            // Their tasks keep them open for a moment yet. They go on allowing to share, or the next change could come in
            // this moment and would fail.
            for listener in current {
                // It has been shut down already when the change before this one was never served.
                let _ = SockRef::from(listener).shutdown(Shutdown::Both);
            }
        } else {
            share(current, false);
        }
        bound
    }

    /// Handles to the sockets, for [`Self::rebind_tcp`].
    pub(crate) fn handles(&self) -> Vec<StdTcpListener> {
        let handles = self.tcp.iter().map(StdTcpListener::try_clone);
        handles.filter_map(Result::ok).collect()
    }

    /// The `listenerN` rows of INFO.
    pub(crate) fn describe(&self, config: &Config) -> Vec<String> {
        let mut rows = Vec::new();
        if config.port != 0 {
            let mut row = String::from("name=tcp");
            for address in &config.bind {
                row.push_str(&format!(",bind={}", address.lossy()));
            }
            row.push_str(&format!(",port={}", config.port));
            rows.push(row);
        }
        if !config.unixsocket.as_bytes().is_empty() {
            rows.push(format!("name=unix,bind={}", config.unixsocket.lossy()));
        }
        rows
    }

    /// Serves the sockets. The tasks are those of TCP, and end when they are aborted.
    pub(crate) fn serve(self, shared: &Arc<Shared>) -> Vec<JoinHandle<()>> {
        let mut tasks = Vec::new();
        for listener in self.tcp {
            match TcpListener::from_std(listener) {
                Ok(listener) => tasks.push(tokio::spawn(accept_tcp(Arc::clone(shared), listener))),
                Err(error) => logging::log(
                    Level::Warning,
                    &format!("Can't serve a listening socket: {error}"),
                ),
            }
        }
        if let Some(listener) = self.unix {
            match UnixListener::from_std(listener) {
                // Not among the tasks: it stays when the port changes.
                Ok(listener) => drop(tokio::spawn(accept_unix(Arc::clone(shared), listener))),
                Err(error) => logging::log(
                    Level::Warning,
                    &format!("Can't serve a listening socket: {error}"),
                ),
            }
        }
        tasks
    }
}

/// What went wrong: when the address could be found, it was binding to it.
fn bind_problem(error: &io::Error) -> String {
    let text = crate::errno_text(error);
    match text.strip_prefix("failed to lookup address information: ") {
        Some(reason) => reason.to_owned(),
        None => format!("bind: {text}"),
    }
}

fn bind_one(
    address: &str,
    port: u16,
    backlog: i32,
    share: bool,
) -> io::Result<Vec<StdTcpListener>> {
    let addresses: Vec<SocketAddr> = match address {
        "*" => vec![SocketAddr::from(([0, 0, 0, 0], port))],
        "::*" => vec![SocketAddr::from(([0u16; 8], port))],
        other => (other, port).to_socket_addrs()?.collect(),
    };
    let mut bound = Vec::new();
    for address in addresses {
        let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, None)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(share)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(backlog)?;
        bound.push(socket.into());
    }
    Ok(bound)
}

/// Binds a unix socket that has its final mode from the first moment: bound under a private name, then renamed.
fn bind_unix(path: &str, mode: u32) -> io::Result<std::os::unix::net::UnixListener> {
    let private = format!("{path}.{}", std::process::id());
    // Leftovers of an earlier process: a socket file outlives its server.
    let _ = std::fs::remove_file(&private);
    let listener = std::os::unix::net::UnixListener::bind(&private)?;
    if mode != 0 {
        std::fs::set_permissions(&private, std::fs::Permissions::from_mode(mode))?;
    }
    std::fs::rename(&private, path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn accept_tcp(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                set_up(&shared, &stream);
                let peer = tcp_peer(&stream, from);
                tokio::spawn(connection::serve(
                    Arc::clone(&shared),
                    Socket::Tcp(stream),
                    peer,
                ));
            }
            // It has been shut down: others have taken its place.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return,
            Err(error) => refused(&error).await,
        }
    }
}

async fn accept_unix(shared: Arc<Shared>, listener: UnixListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // The socket was bound under another name: the configuration knows the one clients use.
                let path = shared
                    .engine
                    .lock()
                    .core
                    .config
                    .unixsocket
                    .lossy()
                    .into_owned();
                let addr = format!("{path}:0");
                let peer = Peer {
                    addr: addr.clone(),
                    laddr: addr,
                    fd: stream.as_raw_fd(),
                    unix: true,
                    loopback: true,
                };
                tokio::spawn(connection::serve(
                    Arc::clone(&shared),
                    Socket::Unix(stream),
                    peer,
                ));
            }
            Err(error) => refused(&error).await,
        }
    }
}

/// An accept that failed concerns one connection; only when descriptors are short is there a reason to wait.
async fn refused(error: &io::Error) {
    logging::log(
        Level::Warning,
        &format!("Accepting client connection: {}", crate::errno_text(error)),
    );
    if matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    ) {
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

fn set_up(shared: &Shared, stream: &TcpStream) {
    // Options that cannot be set make a connection slower, not wrong.
    let _ = stream.set_nodelay(true);
    let keepalive = shared.engine.lock().core.config.tcp_keepalive;
    if keepalive > 0 {
        let _ = set_keepalive(&SockRef::from(stream), u64::from(keepalive.unsigned_abs()));
    }
}

/// Probes after `seconds` of silence, a third of that between probes, three of them.
pub(crate) fn set_keepalive(socket: &SockRef<'_>, seconds: u64) -> io::Result<()> {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(seconds))
        .with_interval(Duration::from_secs((seconds / 3).max(1)))
        .with_retries(3);
    socket.set_tcp_keepalive(&keepalive)
}

fn tcp_peer(stream: &TcpStream, from: SocketAddr) -> Peer {
    let local = stream.local_addr().map_or_else(|_| String::new(), plain);
    Peer {
        addr: plain(from),
        laddr: local,
        fd: stream.as_raw_fd(),
        unix: false,
        loopback: from.ip().is_loopback(),
    }
}

/// `ip:port`, or `[ip]:port` for IPv6.
fn plain(addr: SocketAddr) -> String {
    addr.to_string()
}
