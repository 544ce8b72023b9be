//! Listening sockets, and taking connections from them.

use crate::logging;
use crate::shared::Shared;
use config::Config;
use engine::client::Peer;
use engine::host::Level;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::{SocketAddrAny, SocketFlags, acceptfrom_with};
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::Duration;

/// Sockets that are bound but not yet served.
pub(crate) struct Listeners {
    tcp: Vec<TcpListener>,
    unix: Option<UnixListener>,
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
            crate::startup::leave_behind("unix socket", path);
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
                    return Err("Unable to listen on this port. Check server logs.".to_owned());
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
    pub(crate) fn rebind_tcp(config: &Config, current: &[TcpListener]) -> Result<Self, String> {
        // Sockets may share a port as long as all of them allow it. They allow it for this moment only: another process
        // must not be able to take a share.
        let share = |listeners: &[TcpListener], on: bool| {
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
    pub(crate) fn handles(&self) -> Vec<TcpListener> {
        let handles = self.tcp.iter().map(TcpListener::try_clone);
        handles.filter_map(Result::ok).collect()
    }

    /// The `listenerN` rows of INFO.
    pub(crate) fn describe(&self, config: &Config) -> Vec<(&'static str, String)> {
        let mut rows = Vec::new();
        if config.port != 0 {
            let mut row = String::from("name=tcp");
            for address in &config.bind {
                row.push_str(&format!(",bind={}", address.lossy()));
            }
            row.push_str(&format!(",port={}", config.port));
            rows.push(("listener0", row));
        }
        if !config.unixsocket.as_bytes().is_empty() {
            let row = format!("name=unix,bind={}", config.unixsocket.lossy());
            rows.push(("listener1", row));
        }
        rows
    }

    /// The sockets as a loop serves them, under tokens from `first` on.
    pub(crate) fn serve(self, registry: &Registry, first: usize) -> Vec<Acceptor> {
        let tcp = self.tcp.into_iter().map(Listener::Tcp);
        let unix = self.unix.into_iter().map(Listener::Unix);
        let mut acceptors = Vec::new();
        for (listener, number) in tcp.chain(unix).zip(first..) {
            let acceptor = Acceptor {
                listener,
                token: Token(number),
                waiting: false,
                short: false,
            };
            match acceptor.register(registry) {
                Ok(()) => acceptors.push(acceptor),
                Err(error) => logging::log(
                    Level::Warning,
                    &format!("Can't serve a listening socket: {error}"),
                ),
            }
        }
        acceptors
    }
}

/// Closes the sockets for a while. They keep their ports and are listened to again if that is wanted: to bind anew could
/// fail, and would leave a server that nobody reaches.
pub(crate) struct ListeningPause {
    backlog: i32,
    /// The Unix socket, and what it is called while it is closed: there is no way to stop listening to it.
    unix: Option<(String, String)>,
}

impl ListeningPause {
    pub(crate) fn new(config: &Config) -> Self {
        let path = config.unixsocket.lossy().into_owned();
        let closed = format!("{path}.{}", std::process::id());
        ListeningPause {
            backlog: config.tcp_backlog,
            unix: (!path.is_empty()).then_some((path, closed)),
        }
    }

    /// Refuses new connections, and those that nobody has let in yet.
    pub(crate) fn close(&self, tcp: &[TcpListener]) {
        for listener in tcp {
            // The process is about to end: that helps as well.
            let _ = SockRef::from(listener).shutdown(Shutdown::Both);
        }
        if let Some((path, closed)) = &self.unix {
            // Somebody may have removed it.
            let _ = std::fs::rename(path, closed);
        }
    }

    /// Takes new connections again.
    pub(crate) fn open(&self, tcp: &[TcpListener]) {
        for listener in tcp {
            if let Err(error) = SockRef::from(listener).listen(self.backlog) {
                let reason = crate::errno_text(&error);
                logging::log(Level::Warning, &format!("Can't listen again: {reason}"));
            }
        }
        if let Some((path, closed)) = &self.unix {
            let _ = std::fs::rename(closed, path);
        }
    }

    /// Removes what [`Self::close`] has left of the Unix socket.
    pub(crate) fn remove(&self) {
        if let Some((_, closed)) = &self.unix {
            let _ = std::fs::remove_file(closed);
        }
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A listening socket that is being served.
pub(crate) struct Acceptor {
    listener: Listener,
    pub(crate) token: Token,
    /// Somebody may be waiting to be let in.
    pub(crate) waiting: bool,
    /// Descriptors are short: they come back when clients leave.
    short: bool,
}

impl Acceptor {
    /// True for the socket that stays when port and addresses change.
    pub(crate) fn is_unix(&self) -> bool {
        matches!(self.listener, Listener::Unix(_))
    }

    fn register(&self, registry: &Registry) -> io::Result<()> {
        registry.register(&mut SourceFd(&self.raw()), self.token, Interest::READABLE)
    }

    /// No more reports.
    pub(crate) fn deregister(&self, registry: &Registry) {
        // It has been registered, which is all that this could object to.
        let _ = registry.deregister(&mut SourceFd(&self.raw()));
    }

    fn raw(&self) -> i32 {
        match &self.listener {
            Listener::Tcp(listener) => listener.as_raw_fd(),
            Listener::Unix(listener) => listener.as_raw_fd(),
        }
    }

    /// True when somebody may be let in at once.
    pub(crate) fn is_ready(&self) -> bool {
        self.waiting && !self.short
    }

    /// Some time has passed: descriptors may have come back.
    pub(crate) fn try_again(&mut self) {
        self.short = false;
    }

    /// Takes the connections that wait, at most `max-new-connections-per-cycle` of them.
    pub(crate) fn let_in(&mut self, shared: &Shared, mut add: impl FnMut(OwnedFd, Peer)) {
        let max = shared
            .engine
            .lock()
            .state
            .config
            .max_new_connections_per_cycle;
        for _ in 0..max {
            let accepted = match &self.listener {
                Listener::Tcp(listener) => accept(listener.as_fd()).map(|(fd, from)| {
                    set_up(shared, &fd);
                    let peer = tcp_peer(&fd, from);
                    (fd, peer)
                }),
                Listener::Unix(listener) => accept(listener.as_fd()).map(|(fd, _)| {
                    let peer = unix_peer(shared, &fd);
                    (fd, peer)
                }),
            };
            match accepted {
                Ok((fd, peer)) => add(fd, peer),
                // Nobody is waiting, or others have taken this socket's place.
                Err(Errno::AGAIN | Errno::INVAL) => {
                    self.waiting = false;
                    return;
                }
                Err(error) => self.refused(error),
            }
            if self.short {
                return;
            }
        }
    }

    /// An accept that failed concerns one connection; only when descriptors are short is there a reason to wait.
    #[cold]
    fn refused(&mut self, error: Errno) {
        let text = crate::errno_text(&error.into());
        logging::log(
            Level::Warning,
            &format!("Accepting client connection: {text}"),
        );
        self.short = matches!(
            error,
            Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM
        );
    }
}

fn accept(listener: impl AsFd) -> rustix::io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)
}

/// What went wrong: when the address could be found, it was binding to it.
fn bind_problem(error: &io::Error) -> String {
    let text = crate::errno_text(error);
    match text.strip_prefix("failed to lookup address information: ") {
        Some(reason) => reason.to_owned(),
        None => format!("bind: {text}"),
    }
}

fn bind_one(address: &str, port: u16, backlog: i32, share: bool) -> io::Result<Vec<TcpListener>> {
    let addresses: Vec<SocketAddr> = match address {
        "*" => vec![SocketAddr::from(([0, 0, 0, 0], port))],
        "::*" => vec![SocketAddr::from(([0u16; 8], port))],
        other => (other, port).to_socket_addrs()?.collect(),
    };
    let mut bound = Vec::new();
    for address in addresses {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
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
fn bind_unix(path: &str, mode: u32) -> io::Result<UnixListener> {
    let private = format!("{path}.{}", std::process::id());
    // Leftovers of an earlier process: a socket file outlives its server.
    let _ = std::fs::remove_file(&private);
    let listener = UnixListener::bind(&private)?;
    if mode != 0 {
        std::fs::set_permissions(&private, std::fs::Permissions::from_mode(mode))?;
    }
    std::fs::rename(&private, path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn set_up(shared: &Shared, fd: &OwnedFd) {
    // Options that cannot be set make a connection slower, not wrong.
    let _ = SockRef::from(fd).set_tcp_nodelay(true);
    let keepalive = shared.engine.lock().state.config.tcp_keepalive;
    if keepalive > 0 {
        let _ = set_keepalive(&SockRef::from(fd), u64::from(keepalive.unsigned_abs()));
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

fn tcp_peer(fd: &OwnedFd, from: Option<SocketAddrAny>) -> Peer {
    let address = |any: SocketAddrAny| SocketAddr::try_from(any).ok();
    let from = from.and_then(address);
    let local = rustix::net::getsockname(fd).ok().and_then(address);
    // `ip:port`, or `[ip]:port` for IPv6.
    let shown = |address: Option<SocketAddr>| address.map_or_else(String::new, |a| a.to_string());
    Peer {
        addr: shown(from),
        laddr: shown(local),
        fd: fd.as_raw_fd(),
        unix: false,
        loopback: from.is_some_and(|from| from.ip().is_loopback()),
    }
}

fn unix_peer(shared: &Shared, fd: &OwnedFd) -> Peer {
    // The socket was bound under another name: the configuration knows the one clients use.
    let path = shared
        .engine
        .lock()
        .state
        .config
        .unixsocket
        .lossy()
        .into_owned();
    let addr = format!("{path}:0");
    Peer {
        addr: addr.clone(),
        laddr: addr,
        fd: fd.as_raw_fd(),
        unix: true,
        loopback: true,
    }
}

/// Tells of a queue of new connections that the system makes shorter than asked for.
pub(crate) fn warn_of_backlog(wanted: i32) {
    const PATH: &str = "/proc/sys/net/core/somaxconn";
    let most = std::fs::read_to_string(PATH)
        .ok()
        .and_then(|text| text.trim().parse::<i32>().ok());
    if let Some(most) = most.filter(|most| *most > 0 && *most < wanted) {
        logging::log(
            Level::Warning,
            &format!(
                "WARNING: The TCP backlog setting of {wanted} cannot be enforced because {PATH} is set to the lower value of {most}."
            ),
        );
    }
}
