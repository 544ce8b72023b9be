//! A connection to our primary, plain or with TLS: read and written by two tasks at once.

use crate::channel::Channel;
use parking_lot::Mutex;
use std::io::{self, IoSlice};
use std::task::Poll;
use tls::{ClientContext, Session};
use tokio::net::TcpStream;

/// Such a connection. Dropped, it closes.
pub(crate) struct LinkStream {
    pub(crate) tcp: TcpStream,
    channel: Option<Mutex<Channel>>,
}

impl LinkStream {
    /// Without TLS.
    pub(crate) fn plain(tcp: TcpStream) -> Self {
        LinkStream { tcp, channel: None }
    }

    /// With TLS, of which the handshake is over. `host` is the name by which we know the other end.
    ///
    /// # Errors
    /// The handshake has failed.
    pub(crate) async fn secure(
        tcp: TcpStream,
        context: &ClientContext,
        host: &str,
    ) -> io::Result<Self> {
        let session = Session::client(context, host).map_err(io::Error::other)?;
        let mut channel = Channel::new(session);
        channel.begin().map_err(io::Error::other)?;
        while !channel.flush(&mut |bytes| offer(&tcp, bytes))? {
            tcp.writable().await?;
        }
        while channel
            .shake_hands(&mut |into, max| receive(&tcp, into, max), &mut |bytes| {
                offer(&tcp, bytes)
            })
            .map_err(io::Error::other)?
            .is_pending()
        {
            tcp.readable().await?;
        }
        Ok(LinkStream {
            tcp,
            channel: Some(Mutex::new(channel)),
        })
    }

    /// Appends up to `max` bytes to `into`, once there are any. None have come when the peer has ended.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) async fn read(&self, into: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        into.reserve(max);
        loop {
            let tcp = &self.tcp;
            let polled = match &self.channel {
                None => receive(tcp, into, max),
                Some(channel) => channel.lock().read(
                    into,
                    max,
                    &mut |into, max| receive(tcp, into, max),
                    &mut |bytes| offer(tcp, bytes),
                ),
            };
            match polled {
                Poll::Ready(result) => return result,
                Poll::Pending => tcp.readable().await?,
            }
        }
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let tcp = &self.tcp;
            let polled = match &self.channel {
                None => offer(tcp, rest),
                Some(channel) => {
                    let mut channel = channel.lock();
                    channel.write(&[IoSlice::new(rest)], &mut |bytes| offer(tcp, bytes))
                }
            };
            match polled {
                Poll::Ready(count) => rest = &rest[count?..],
                Poll::Pending => tcp.writable().await?,
            }
        }
        Ok(())
    }
}

impl Drop for LinkStream {
    fn drop(&mut self) {
        if let Some(channel) = &self.channel {
            channel.lock().close(&mut |bytes| offer(&self.tcp, bytes));
        }
    }
}

/// Writes what the connection takes now.
fn offer(tcp: &TcpStream, bytes: &[u8]) -> Poll<io::Result<usize>> {
    ready(tcp.try_write(bytes))
}

/// Reads what has come, up to `max` bytes.
fn receive(tcp: &TcpStream, into: &mut Vec<u8>, max: usize) -> Poll<io::Result<usize>> {
    let start = into.len();
    into.resize(start + max, 0);
    let read = ready(tcp.try_read(&mut into[start..]));
    let count = match &read {
        Poll::Ready(Ok(count)) => *count,
        _ => 0,
    };
    into.truncate(start + count);
    read
}

fn ready(result: io::Result<usize>) -> Poll<io::Result<usize>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}
