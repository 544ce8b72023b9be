//! A connection to a target of MIGRATE, plain or with TLS, which blocks for as long as its timeouts say.

use crate::channel::Channel;
use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::task::Poll;
use std::time::Duration;
use tls::{ClientContext, Session};

/// Such a connection.
pub(crate) struct MigrateStream {
    tcp: TcpStream,
    channel: Option<Channel>,
}

impl MigrateStream {
    /// Over a connection that has been made. Each step of a handshake takes `timeout` at most.
    ///
    /// # Errors
    /// The handshake has failed.
    pub(crate) fn new(
        tcp: TcpStream,
        context: Option<&ClientContext>,
        host: &str,
        timeout: Duration,
    ) -> io::Result<Self> {
        let mut stream = MigrateStream { tcp, channel: None };
        let Some(context) = context else {
            return Ok(stream);
        };
        stream.set_timeout(timeout)?;
        let session = Session::client(context, host).map_err(io::Error::other)?;
        let mut channel = Channel::new(session);
        channel.begin().map_err(io::Error::other)?;
        let tcp = &stream.tcp;
        channel.flush(&mut |bytes| Poll::Ready(write(tcp, bytes)))?;
        let done = channel.shake_hands(
            &mut |into, max| Poll::Ready(receive(tcp, into, max)),
            &mut |bytes| Poll::Ready(write(tcp, bytes)),
        );
        match done {
            Poll::Ready(result) => result.map_err(io::Error::other)?,
            Poll::Pending => return Err(io::ErrorKind::TimedOut.into()),
        }
        stream.channel = Some(channel);
        Ok(stream)
    }

    /// How long a read or write may take from now on.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.tcp.set_write_timeout(Some(timeout))?;
        self.tcp.set_read_timeout(Some(timeout))
    }
}

impl Read for MigrateStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let MigrateStream { tcp, channel } = self;
        let Some(channel) = channel else {
            return tcp.read(into);
        };
        let mut bytes = Vec::new();
        let read = channel.read(
            &mut bytes,
            into.len(),
            &mut |into, max| Poll::Ready(receive(tcp, into, max)),
            &mut |bytes| Poll::Ready(write(tcp, bytes)),
        );
        let Poll::Ready(count) = read else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let count = count?;
        into[..count].copy_from_slice(&bytes);
        Ok(count)
    }
}

impl Write for MigrateStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let MigrateStream { tcp, channel } = self;
        let Some(channel) = channel else {
            return tcp.write(bytes);
        };
        match channel.write(&[IoSlice::new(bytes)], &mut |bytes| {
            Poll::Ready(write(tcp, bytes))
        }) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(mut tcp: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    tcp.write(bytes)
}

/// Appends up to `max` bytes.
fn receive(mut tcp: &TcpStream, into: &mut Vec<u8>, max: usize) -> io::Result<usize> {
    let start = into.len();
    into.resize(start + max, 0);
    let read = tcp.read(&mut into[start..]);
    into.truncate(start + *read.as_ref().unwrap_or(&0));
    read
}
