//! One connection's TLS, between buffers.
//!
//! ```text
//!  socket --> ciphertext --receive--> plaintext --> application
//!  socket <-- ciphertext <---send---- plaintext <-- application
//! ```
//!
//! A session owns no buffer but the start of a record that has not come whole, so an idle one costs what its keys cost. Bytes
//! that it has put out must be sent once, in order; it may be moved between any two calls, together with them.

use crate::context::{ClientContext, ServerContext};
use crate::error::Failure;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use std::net::{IpAddr, Ipv4Addr};

/// Bytes that a handshake may take of the peer: a chain of certificates is the longest part of it.
const HANDSHAKE_BYTES_MAX: usize = 128 * 1024;
/// Bytes of a message that has not come whole. The longest is a handshake message in records of its own, which rustls refuses
/// beyond 64 KiB.
const INCOMPLETE_BYTES_MAX: usize = 128 * 1024;
/// The most that a record holds, in bytes of plaintext.
pub(crate) const RECORD_BYTES: usize = 16 * 1024;
/// What a record adds to its plaintext at most: header, nonce, content type and tag.
const RECORD_OVERHEAD: usize = 5 + 8 + 1 + 16;

/// The content types that a record may have.
const RECORD_TYPES: std::ops::RangeInclusive<u8> = 20..=24;

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The handshake goes on.
    Handshake,
    /// Plaintext may be sent.
    Open,
    /// The peer has said that it sends no more.
    PeerClosed,
    /// It has failed.
    Over,
}

enum Side {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// A session of either side.
pub struct Session {
    side: Box<Side>,
    progress: Progress,
    /// Bytes of the peer that make no whole record yet, or no whole message.
    incomplete: Vec<u8>,
    /// Bytes that the handshake has taken of the peer.
    handshake_bytes: usize,
}

impl Session {
    /// A session with a peer that has connected.
    ///
    /// # Errors
    /// The context does not serve: none that [`Contexts::load`](crate::Contexts::load) has made.
    pub fn server(context: &ServerContext) -> Result<Self, Failure> {
        let connection = UnbufferedServerConnection::new(context.0.clone())?;
        Ok(Self::new(Side::Server(connection)))
    }

    /// A session with the server at `host`, which is told that name unless it is an address. Its first bytes are got by
    /// [`Self::receive`] of nothing.
    ///
    /// # Errors
    /// As [`Self::server`].
    pub fn client(context: &ClientContext, host: &str) -> Result<Self, Failure> {
        let unnamed = ServerName::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let name = ServerName::try_from(host.to_owned()).unwrap_or(unnamed);
        let connection = UnbufferedClientConnection::new(context.0.clone(), name)?;
        Ok(Self::new(Side::Client(connection)))
    }

    fn new(side: Side) -> Self {
        Session {
            side: Box::new(side),
            progress: Progress::Handshake,
            incomplete: Vec::new(),
            handshake_bytes: 0,
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The version and the suite agreed upon, for people: `TLSv1_3, TLS13_AES_256_GCM_SHA384`.
    pub fn describe(&self) -> String {
        let (version, suite) = match &*self.side {
            Side::Client(connection) => (
                connection.protocol_version(),
                connection.negotiated_cipher_suite(),
            ),
            Side::Server(connection) => (
                connection.protocol_version(),
                connection.negotiated_cipher_suite(),
            ),
        };
        match (version, suite) {
            (Some(version), Some(suite)) => format!("{version:?}, {:?}", suite.suite()),
            _ => String::new(),
        }
    }

    /// Bytes it holds besides its keys.
    pub fn held_bytes(&self) -> usize {
        self.incomplete.capacity()
    }

    /// Puts what it holds of the peer's bytes into `ciphertext`, which is empty: behind them the next ones are to be read,
    /// for [`Self::receive`].
    pub fn resume(&mut self, ciphertext: &mut Vec<u8>) {
        debug_assert!(
            ciphertext.is_empty(),
            "nothing may come before what is held"
        );
        if !self.incomplete.is_empty() {
            ciphertext.append(&mut self.incomplete);
            self.incomplete = Vec::new();
        }
    }

    /// Takes bytes of the peer: all of `ciphertext`, which begins with what [`Self::resume`] put there. Appends what they mean
    /// for the application to `plaintext`, and what is to be sent to the peer to `out`, also when it fails.
    ///
    /// # Errors
    /// The session is over. `out` may hold an alert that tells the peer why.
    pub fn receive(
        &mut self,
        ciphertext: &mut Vec<u8>,
        plaintext: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        if self.progress == Progress::Over {
            return Err(over());
        }
        let is_first = self.progress == Progress::Handshake && self.handshake_bytes == 0;
        if is_first
            && ciphertext
                .first()
                .is_some_and(|first| !RECORD_TYPES.contains(first))
        {
            self.progress = Progress::Over;
            return Err(Failure::NotTls);
        }
        let mut news = News {
            progress: &mut self.progress,
            plaintext,
            out,
        };
        let used = match &mut *self.side {
            Side::Client(connection) => news.take_all(connection, ciphertext),
            Side::Server(connection) => news.take_all(connection, ciphertext),
        };
        let used = used.inspect_err(|_| self.progress = Progress::Over)?;
        if self.progress == Progress::Handshake {
            self.handshake_bytes += used;
        }
        if self.handshake_bytes > HANDSHAKE_BYTES_MAX
            || ciphertext.len() - used > INCOMPLETE_BYTES_MAX
        {
            self.progress = Progress::Over;
            return Err(Failure::TooLong);
        }
        self.incomplete = ciphertext[used..].to_vec();
        ciphertext.clear();
        Ok(())
    }

    /// Appends records with these bytes to `out`.
    ///
    /// # Errors
    /// The handshake is not over, or the session is.
    pub fn send(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        self.write(&Outgoing::Data(plaintext), out)
    }

    /// Appends to `out` what tells the peer that no more comes.
    ///
    /// # Errors
    /// As [`Self::send`]; there is nothing to be told then.
    pub fn close(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        self.write(&Outgoing::Close, out)
    }

    fn write(&mut self, outgoing: &Outgoing<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
        // rustls must not be shown other bytes than those it has failed on.
        if self.progress == Progress::Over {
            return Err(over());
        }
        match &mut *self.side {
            Side::Client(connection) => outgoing.write(connection, &mut self.incomplete, out),
            Side::Server(connection) => outgoing.write(connection, &mut self.incomplete, out),
        }
    }
}

/// A connection of either side, as rustls has it.
trait Connection {
    type Data;

    fn look<'i>(&mut self, ciphertext: &'i mut [u8]) -> UnbufferedStatus<'_, 'i, Self::Data>;
}

/// Where the meaning of the peer's bytes goes.
struct News<'a> {
    progress: &'a mut Progress,
    plaintext: &'a mut Vec<u8>,
    out: &'a mut Vec<u8>,
}

impl News<'_> {
    /// Takes all that these bytes mean; returns how many of them are used up.
    fn take_all(
        &mut self,
        connection: &mut impl Connection,
        ciphertext: &mut [u8],
    ) -> Result<usize, Failure> {
        let mut used = 0;
        loop {
            let UnbufferedStatus { discard, state, .. } = connection.look(&mut ciphertext[used..]);
            match state {
                Ok(state) => {
                    let more = self.take(state)?;
                    used += discard;
                    if !more {
                        return Ok(used);
                    }
                }
                Err(error) => {
                    self.take_alert(connection, &mut ciphertext[used + discard..]);
                    return Err(error.into());
                }
            }
        }
    }

    /// The session has failed, and what tells the peer is queued by now. Everything before it has been taken, and nothing
    /// comes behind it: one look is enough, and another one would go on with the bytes that have made it fail.
    fn take_alert(&mut self, connection: &mut impl Connection, rest: &mut [u8]) {
        if let Ok(state @ ConnectionState::EncodeTlsData(_)) = connection.look(rest).state {
            // Without the alert the peer sees a connection that ends.
            let _ = self.take(state);
        }
    }

    /// True when there may be more.
    fn take<Data>(&mut self, state: ConnectionState<'_, '_, Data>) -> Result<bool, Failure> {
        match state {
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    self.plaintext.extend_from_slice(record?.payload);
                }
            }
            ConnectionState::EncodeTlsData(mut data) => {
                append(self.out, RECORD_BYTES, |room| match data.encode(room) {
                    Err(EncodeError::InsufficientSize(needs)) => Err(Some(needs.required_size)),
                    result => result.map_err(|_| None),
                })?
            }
            ConnectionState::TransmitTlsData(data) => data.done(),
            ConnectionState::WriteTraffic(_) => {
                *self.progress = Progress::Open;
                return Ok(false);
            }
            ConnectionState::PeerClosed => {
                *self.progress = Progress::PeerClosed;
                return Ok(false);
            }
            // A handshake that lacks something, or both sides are done. Early data are not accepted, so there are none.
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// What the application has for the peer.
enum Outgoing<'a> {
    Data(&'a [u8]),
    Close,
}

impl Outgoing<'_> {
    fn write(
        &self,
        connection: &mut impl Connection,
        incomplete: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        // What rustls has to say of its own goes first.
        loop {
            let UnbufferedStatus { discard, state, .. } = connection.look(incomplete);
            let written = match state? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    let bytes = match self {
                        Self::Data(bytes) => bytes.len(),
                        Self::Close => 0,
                    };
                    let room = bytes + (bytes / RECORD_BYTES + 1) * RECORD_OVERHEAD;
                    append(out, room, |room| {
                        let written = match self {
                            Self::Data(bytes) => traffic.encrypt(bytes, room),
                            Self::Close => traffic.queue_close_notify(room),
                        };
                        written.map_err(|error| match error {
                            EncryptError::InsufficientSize(needs) => Some(needs.required_size),
                            EncryptError::EncryptExhausted => None,
                        })
                    })?;
                    true
                }
                other => {
                    let mut news = News {
                        progress: &mut Progress::Open,
                        plaintext: &mut Vec::new(),
                        out,
                    };
                    if !news.take(other)? {
                        return Err(over());
                    }
                    false
                }
            };
            incomplete.drain(..discard);
            if written {
                return Ok(());
            }
        }
    }
}

fn over() -> Failure {
    Failure::Broken("the session is not open".to_owned())
}

/// Has `work` append to `out`, in so much room or in as much as it asks for.
fn append(
    out: &mut Vec<u8>,
    room: usize,
    mut work: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), Failure> {
    let start = out.len();
    let mut room = room;
    loop {
        out.resize(start + room, 0);
        match work(&mut out[start..]) {
            Ok(count) => {
                out.truncate(start + count);
                return Ok(());
            }
            Err(Some(needs)) if needs > room => room = needs,
            Err(_) => {
                out.truncate(start);
                return Err(Failure::Broken("traffic keys are exhausted".to_owned()));
            }
        }
    }
}

impl Connection for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn look<'i>(&mut self, ciphertext: &'i mut [u8]) -> UnbufferedStatus<'_, 'i, Self::Data> {
        self.process_tls_records(ciphertext)
    }
}

impl Connection for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn look<'i>(&mut self, ciphertext: &'i mut [u8]) -> UnbufferedStatus<'_, 'i, Self::Data> {
        self.process_tls_records(ciphertext)
    }
}
