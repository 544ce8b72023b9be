//! Listening sockets, and taking connections from them.

use crate::binding::bind_port;
use crate::handshakes::handshakes_max;
use crate::logging;
use crate::shared::Shared;
use config::Config;
use engine::client::Peer;
use engine::host::Level;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::{SocketAddrAny, SocketFlags, acceptfrom_with};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tls::ServerContext;

/// Sockets that are bound but not yet served.
#[derive(Default)]
pub(crate) struct Listeners {
    tcp: Vec<TcpListener>,
    tls: Vec<TcpListener>,
    unix: Option<UnixListener>,
}

/// Handles to TCP sockets that are being served.
#[derive(Default)]
pub(crate) struct Handles {
    tcp: Vec<TcpListener>,
    tls: Vec<TcpListener>,
}

impl Handles {
    fn of(&self, speaks: Speaks) -> &[TcpListener] {
        match speaks {
            Speaks::Plain => &self.tcp,
            Speaks::Tls => &self.tls,
        }
    }

    fn all(&self) -> impl Iterator<Item = &TcpListener> {
        self.tcp.iter().chain(&self.tls)
    }
}

/// The port that the server is known by: the one with TLS if there is no other.
pub(crate) fn shown_port(config: &Config) -> u16 {
    let port = if config.port != 0 {
        config.port
    } else {
        config.tls_port
    };
    u16::try_from(port).unwrap_or(0)
}

/// What a port speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// `port`.
    Plain,
    /// `tls-port`.
    Tls,
}

/// A connection that has been accepted.
pub(crate) struct Newcomer {
    pub(crate) fd: OwnedFd,
    pub(crate) peer: Peer,
    /// What its TLS is made from, if it is to speak that.
    pub(crate) tls: Option<ServerContext>,
}

impl Listeners {
    /// Binds everything the configuration asks for.
    ///
    /// # Errors
    /// A text for the log; lines about single addresses have been logged.
    pub(crate) fn bind(config: &Config) -> Result<Self, String> {
        let mut listeners = Listeners {
            tcp: bind_port(config, config.port, false).map_err(|_| {
                format!("Failed listening on port {} (tcp), aborting.", config.port)
            })?,
            tls: bind_port(config, config.tls_port, false).map_err(|_| {
                format!(
                    "Failed listening on port {} (tls), aborting.",
                    config.tls_port
                )
            })?,
            unix: None,
        };
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
        if listeners.tcp.is_empty() && listeners.tls.is_empty() && listeners.unix.is_none() {
            return Err("Configured to not listen anywhere, exiting.".to_owned());
        }
        Ok(listeners)
    }

    /// Binds the ports anew of which `changed` is true, while `current` are still being served: new addresses may overlap with
    /// theirs. When the new ones are there nobody can connect to the old ones any more.
    ///
    /// # Errors
    /// A text for the client that asked.
    pub(crate) fn rebind(
        config: &Config,
        current: &Handles,
        changed: impl Fn(Speaks) -> bool,
    ) -> Result<Self, String> {
        let old = |speaks| {
            if changed(speaks) {
                current.of(speaks)
            } else {
                &[]
            }
        };
        let old = || old(Speaks::Plain).iter().chain(old(Speaks::Tls));
        // Sockets may share a port as long as all of them allow it. They allow it for this moment only: another process
        // must not be able to take a share.
        let share = |on: bool| {
            for listener in old() {
                // Failing means that binding fails as well, and tells.
                let _ = SockRef::from(listener).set_reuse_port(on);
            }
        };
        let bind = |speaks, port| match changed(speaks) {
            true => bind_port(config, port, true),
            false => Ok(cloned(current.of(speaks))),
        };
        share(true);
        let bound = bind(Speaks::Plain, config.port)
            .and_then(|tcp| Ok((tcp, bind(Speaks::Tls, config.tls_port)?)));
        match bound {
            Ok((tcp, tls)) => {
                for listener in tcp.iter().chain(&tls) {
                    let _ = SockRef::from(listener).set_reuse_port(false);
                }
                // Their tasks keep them open for a moment yet. They go on allowing to share, or the next change could come in
                // this moment and would fail.
                for listener in old() {
                    // It has been shut down already when the change before this one was never served.
                    let _ = SockRef::from(listener).shutdown(Shutdown::Both);
                }
                Ok(Listeners {
                    tcp,
                    tls,
                    unix: None,
                })
            }
            Err(text) => {
                share(false);
                Err(text)
            }
        }
    }

    /// Handles to the sockets, for [`Self::rebind`].
    pub(crate) fn handles(&self) -> Handles {
        Handles {
            tcp: cloned(&self.tcp),
            tls: cloned(&self.tls),
        }
    }

    /// The `listenerN` rows of INFO.
    pub(crate) fn describe(&self, config: &Config) -> Vec<(&'static str, String)> {
        let mut rows = Vec::new();
        let addresses = |name: &str, port: i32| {
            let mut row = format!("name={name}");
            for address in &config.bind {
                row.push_str(&format!(",bind={}", address.lossy()));
            }
            row.push_str(&format!(",port={port}"));
            row
        };
        if config.port != 0 {
            rows.push(("listener0", addresses("tcp", config.port)));
        }
        if !config.unixsocket.as_bytes().is_empty() {
            let row = format!("name=unix,bind={}", config.unixsocket.lossy());
            rows.push(("listener1", row));
        }
        if config.tls_port != 0 {
            rows.push(("listener2", addresses("tls", config.tls_port)));
        }
        rows
    }

    /// The sockets as a loop serves them, under tokens from `first` on.
    pub(crate) fn serve(self, registry: &Registry, first: usize) -> Vec<Acceptor> {
        let tcp = self.tcp.into_iter().map(Listener::Tcp);
        let tls = self.tls.into_iter().map(Listener::Tls);
        let unix = self.unix.into_iter().map(Listener::Unix);
        let mut acceptors = Vec::new();
        for (listener, number) in tcp.chain(tls).chain(unix).zip(first..) {
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
    pub(crate) fn close(&self, tcp: &Handles) {
        for listener in tcp.all() {
            // The process is about to end: that helps as well.
            let _ = SockRef::from(listener).shutdown(Shutdown::Both);
        }
        if let Some((path, closed)) = &self.unix {
            // Somebody may have removed it.
            let _ = std::fs::rename(path, closed);
        }
    }

    /// Takes new connections again.
    pub(crate) fn open(&self, tcp: &Handles) {
        for listener in tcp.all() {
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
    Tls(TcpListener),
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
            Listener::Tcp(listener) | Listener::Tls(listener) => listener.as_raw_fd(),
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

    /// Takes the connections that wait: at most `max-new-connections-per-cycle` of them, or of those with TLS
    /// `max-new-tls-connections-per-cycle`.
    pub(crate) fn let_in(&mut self, shared: &Shared, mut add: impl FnMut(Newcomer)) {
        let (max, handshakes_max) = {
            let config = &shared.engine.lock().state.config;
            match self.listener {
                Listener::Tls(_) => (
                    config.max_new_tls_connections_per_cycle,
                    handshakes_max(config.maxclients),
                ),
                _ => (config.max_new_connections_per_cycle, usize::MAX),
            }
        };
        for _ in 0..max {
            if shared.tls.handshakes.load(Ordering::Relaxed) >= handshakes_max {
                // They end soon, one way or the other.
                self.short = true;
                return;
            }
            let accepted = match &self.listener {
                Listener::Tcp(listener) => accept_tcp(shared, listener).map(|(fd, peer)| {
                    Some(Newcomer {
                        fd,
                        peer,
                        tls: None,
                    })
                }),
                Listener::Tls(listener) => {
                    accept_tcp(shared, listener).map(|(fd, peer)| secure(shared, fd, peer))
                }
                Listener::Unix(listener) => accept(listener.as_fd()).map(|(fd, _)| {
                    let peer = unix_peer(shared, &fd);
                    Some(Newcomer {
                        fd,
                        peer,
                        tls: None,
                    })
                }),
            };
            match accepted {
                Ok(newcomer) => newcomer.into_iter().for_each(&mut add),
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

fn accept_tcp(shared: &Shared, listener: &TcpListener) -> rustix::io::Result<(OwnedFd, Peer)> {
    let (fd, from) = accept(listener.as_fd())?;
    set_up(shared, &fd);
    let peer = tcp_peer(&fd, from);
    Ok((fd, peer))
}

/// A connection that is to speak TLS; none when there are too many clients already: a handshake would be for nothing, and
/// without one there is no way to say so.
fn secure(shared: &Shared, fd: OwnedFd, peer: Peer) -> Option<Newcomer> {
    let mut engine = shared.engine.lock();
    let besides = shared.tls.handshakes.load(Ordering::Relaxed);
    if engine.is_full(besides) {
        return None;
    }
    let tls = Some(shared.tls.server(&engine.state.config)?);
    Some(Newcomer { fd, peer, tls })
}

fn accept(listener: impl AsFd) -> rustix::io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)
}

fn cloned(listeners: &[TcpListener]) -> Vec<TcpListener> {
    let clones = listeners.iter().map(TcpListener::try_clone);
    clones.filter_map(Result::ok).collect()
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
