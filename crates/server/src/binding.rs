//! Binding a port on the addresses that the configuration names.

use crate::logging;
use config::Config;
use engine::host::Level;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

/// What a client is told of a port that cannot be bound.
const CANNOT_LISTEN: &str = "Unable to listen on this port. Check server logs.";

/// Binds a port on all configured addresses; none if the port is 0.
///
/// # Errors
/// A text for the client that asked; lines about single addresses have been logged.
pub(crate) fn bind_port(
    config: &Config,
    port: i32,
    share: bool,
) -> Result<Vec<TcpListener>, String> {
    let mut listeners = Vec::new();
    let port = u16::try_from(port).unwrap_or(0);
    if port == 0 {
        return Ok(listeners);
    }
    for address in &config.bind {
        let text = address.lossy();
        let (text, optional) = match text.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (&*text, false),
        };
        match bind_one(text, port, config.tcp_backlog, share) {
            Ok(mut bound) => listeners.append(&mut bound),
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
                return Err(CANNOT_LISTEN.to_owned());
            }
        }
    }
    Ok(listeners)
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

/// What went wrong: when the address could be found, it was binding to it.
fn bind_problem(error: &io::Error) -> String {
    let text = crate::errno_text(error);
    match text.strip_prefix("failed to lookup address information: ") {
        Some(reason) => reason.to_owned(),
        None => format!("bind: {text}"),
    }
}
