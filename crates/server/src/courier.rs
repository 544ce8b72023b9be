//! Couriers: threads that carry keys to other servers (MIGRATE), each with a connection that it keeps for a while.
//!
//! A courier serves one target, so that a slow one holds up nobody else. When there are as many as there may be, the one
//! with the least to do takes on another target. Who has had nothing to do for a while hangs up and ends.

use crate::migrate_stream::MigrateStream;
use crate::shared::Shared;
use crate::tls_config::TlsConfig;
use dataset::snapshot::older_payload;
use engine::host::HostError;
use engine::migration::{Delivery, Failure, Shipment, Target};
use parking_lot::Mutex;
use resp::{Batch, Decoder};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Couriers at once, and with it connections that are kept.
const COURIERS_MAX: usize = 64;
/// How long a connection is kept that nobody needs.
const KEPT_FOR: Duration = Duration::from_secs(10);
/// How a target of an older version refuses payloads.
const TOO_NEW: &[u8] = b"ERR DUMP payload version or checksum are wrong";
/// The place of the payload among the words of RESTORE.
const PAYLOAD: usize = 3;
/// Longest line of an answer, in bytes.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// All couriers.
pub(crate) struct Couriers {
    shared: Weak<Shared>,
    tls: Arc<TlsConfig>,
    pool: Arc<Mutex<Pool>>,
}

#[derive(Default)]
struct Pool {
    /// Couriers numbered so far.
    hired: u64,
    couriers: Vec<Desk>,
}

/// A courier, as those see it who have work for it.
struct Desk {
    number: u64,
    target: Target,
    work: Sender<Shipment>,
    /// Shipments given to it that it has not finished.
    waiting: usize,
    /// It has a connection.
    connected: bool,
}

impl Couriers {
    pub(crate) fn new(shared: Weak<Shared>, tls: Arc<TlsConfig>) -> Self {
        Couriers {
            shared,
            tls,
            pool: Arc::default(),
        }
    }

    /// Connections that are open.
    pub(crate) fn connections(&self) -> usize {
        let pool = self.pool.lock();
        pool.couriers.iter().filter(|desk| desk.connected).count()
    }

    /// Gives a shipment to a courier, who will tell the engine of its delivery.
    ///
    /// # Errors
    /// There is no courier, and the system gives no thread for one.
    pub(crate) fn send(&self, shipment: Shipment) -> Result<(), HostError> {
        let mut pool = self.pool.lock();
        let serves = |desk: &Desk| desk.target == shipment.target;
        let mut found = pool.couriers.iter().position(serves);
        if found.is_none() && pool.couriers.len() < COURIERS_MAX {
            match self.hire(&mut pool, &shipment.target) {
                Ok(()) => found = Some(pool.couriers.len() - 1),
                Err(error) if pool.couriers.is_empty() => return Err(crate::errno_text(&error)),
                Err(_) => {}
            }
        }
        let desk = match found {
            Some(at) => pool.couriers.get_mut(at),
            None => pool.couriers.iter_mut().min_by_key(|desk| desk.waiting),
        };
        let desk = desk.ok_or("there is no courier")?;
        desk.target.clone_from(&shipment.target);
        desk.waiting += 1;
        // A courier leaves its desk only under the lock.
        desk.work
            .send(shipment)
            .map_err(|_| "the courier is gone".to_owned())
    }

    fn hire(&self, pool: &mut Pool, target: &Target) -> io::Result<()> {
        let (work, orders) = mpsc::channel();
        pool.hired += 1;
        let number = pool.hired;
        let (shared, desks) = (self.shared.clone(), Arc::clone(&self.pool));
        let tls = Arc::clone(&self.tls);
        std::thread::Builder::new()
            .name("migrate".into())
            .spawn(move || serve(&shared, tls, &desks, number, &orders))?;
        pool.couriers.push(Desk {
            number,
            target: target.clone(),
            work,
            waiting: 0,
            connected: false,
        });
        Ok(())
    }
}

impl Pool {
    fn desk(&mut self, number: u64) -> Option<&mut Desk> {
        self.couriers.iter_mut().find(|desk| desk.number == number)
    }
}

/// The life of a courier.
fn serve(
    shared: &Weak<Shared>,
    tls: Arc<TlsConfig>,
    pool: &Mutex<Pool>,
    number: u64,
    orders: &Receiver<Shipment>,
) {
    let mut courier = Courier::new(tls);
    loop {
        let Ok(shipment) = orders.recv_timeout(KEPT_FOR) else {
            let mut pool = pool.lock();
            if pool.desk(number).is_none_or(|desk| desk.waiting == 0) {
                pool.couriers.retain(|desk| desk.number != number);
                return;
            }
            continue;
        };
        let delivery = courier.deliver(&shipment);
        if let Some(desk) = pool.lock().desk(number) {
            desk.waiting -= 1;
            desk.connected = courier.connection.is_some();
        }
        let id = shipment.id;
        drop(shipment);
        let Some(shared) = shared.upgrade() else {
            return;
        };
        shared.engine.lock().delivered(id, delivery);
    }
}

/// Who carries shipments, one after the other.
pub(crate) struct Courier {
    tls: Arc<TlsConfig>,
    connection: Option<Connection>,
}

struct Connection {
    target: Target,
    stream: BufReader<MigrateStream>,
    /// The database selected there, unless that is uncertain.
    db: Option<i64>,
    /// The target has refused payloads of our version.
    wants_older: bool,
}

/// How an exchange broke off.
struct Broken {
    failure: Failure,
    /// The other end is gone, as opposed to slow or strange: with another connection it may go better.
    is_cut: bool,
}

impl Broken {
    fn by(failure: Failure) -> impl Fn(io::Error) -> Broken {
        move |error| Broken {
            failure,
            is_cut: !matches!(
                error.kind(),
                // A socket whose time is up says that it would block.
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::InvalidData
            ),
        }
    }
}

fn nothing_yet() -> Delivery {
    Delivery {
        taken: Vec::new(),
        error: None,
        failure: None,
    }
}

impl Courier {
    pub(crate) fn new(tls: Arc<TlsConfig>) -> Self {
        Courier {
            tls,
            connection: None,
        }
    }

    /// Carries a shipment and brings back the answers. A connection that turns out to be dead before anything has been
    /// taken is replaced once.
    pub(crate) fn deliver(&mut self, shipment: &Shipment) -> Delivery {
        let mut delivery = nothing_yet();
        for is_last in [false, true] {
            let Err(broken) = self.exchange(shipment, &mut delivery) else {
                break;
            };
            self.connection = None;
            let may_help = broken.is_cut && broken.failure != Failure::Connecting;
            if is_last || !may_help || !delivery.taken.is_empty() {
                delivery.failure = Some(broken.failure);
                break;
            }
            delivery = nothing_yet();
        }
        delivery
    }

    fn exchange(&mut self, shipment: &Shipment, delivery: &mut Delivery) -> Result<(), Broken> {
        let reusable = self.connection.take().filter(|connection| {
            // What has come without being asked for would be taken for an answer.
            connection.target == shipment.target && connection.stream.buffer().is_empty()
        });
        let mut connection = match reusable {
            Some(connection) => connection,
            None => Connection::open(&shipment.target, shipment.timeout, &self.tls)?,
        };
        connection.exchange(shipment, delivery)?;
        if !connection.wants_older && is_too_new(delivery) {
            connection.wants_older = true;
            *delivery = nothing_yet();
            connection.exchange(shipment, delivery)?;
        }
        self.connection = Some(connection);
        Ok(())
    }
}

/// True when the target reads no payloads of our version, and has taken none.
fn is_too_new(delivery: &Delivery) -> bool {
    let error = delivery.error.as_deref().unwrap_or_default();
    error.starts_with(TOO_NEW) && !delivery.taken.contains(&true)
}

/// The same commands, with payloads that Redis 7.0 reads.
fn in_older_form(restores: &[u8]) -> Vec<u8> {
    let mut buffer = restores.to_vec();
    let mut batch = Batch::default();
    let mut decoder = Decoder::new(u64::MAX);
    decoder.authenticated = true;
    let mut older = Vec::with_capacity(buffer.len());
    while let Ok(used) = decoder.decode(&mut buffer, &mut batch, usize::MAX)
        && used > 0
    {
        for index in 0..batch.len() {
            let spans = batch.request(index).iter();
            let mut words: Vec<&[u8]> = spans.map(|span| batch.bytes(&buffer, *span)).collect();
            let payload = words
                .get(PAYLOAD)
                .and_then(|payload| older_payload(payload));
            if let (Some(payload), Some(word)) = (&payload, words.get_mut(PAYLOAD)) {
                *word = payload;
            }
            words::request::encode(&mut older, &words);
        }
        buffer.drain(..used);
        batch.clear();
    }
    older
}

impl Connection {
    fn open(target: &Target, timeout: Duration, tls: &TlsConfig) -> Result<Self, Broken> {
        let connecting = Broken::by(Failure::Connecting);
        let addresses = (target.host.as_str(), target.port)
            .to_socket_addrs()
            .map_err(&connecting)?;
        let mut last = io::Error::from(ErrorKind::NotFound);
        for address in addresses {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(&connecting)?;
                    let context = tls.migrate();
                    let stream =
                        MigrateStream::new(stream, context.as_ref(), &target.host, timeout)
                            .map_err(&connecting)?;
                    return Ok(Connection {
                        target: target.clone(),
                        stream: BufReader::new(stream),
                        db: None,
                        wants_older: false,
                    });
                }
                Err(error) => last = error,
            }
        }
        // A target that refuses is known, as far as the reference is concerned, and takes nothing; not so over TLS, where a
        // connection is one when the handshake is over.
        Err(match last.kind() {
            ErrorKind::TimedOut | ErrorKind::NotFound => connecting(last),
            _ if tls.migrate().is_some() => connecting(last),
            _ => Broken::by(Failure::Writing)(last),
        })
    }

    fn exchange(&mut self, shipment: &Shipment, delivery: &mut Delivery) -> Result<(), Broken> {
        let writing = Broken::by(Failure::Writing);
        let socket = self.stream.get_mut();
        socket.set_timeout(shipment.timeout).map_err(&writing)?;
        let selects = self.db != Some(shipment.db);
        let mut opening = shipment.login.clone();
        if selects {
            let db = shipment.db.to_string();
            words::request::encode(&mut opening, &[b"SELECT", db.as_bytes()]);
        }
        socket.write_all(&opening).map_err(&writing)?;
        let older = self.wants_older.then(|| in_older_form(&shipment.restores));
        let restores = older.as_ref().unwrap_or(&shipment.restores);
        socket.write_all(restores).map_err(&writing)?;
        let mut refused = None;
        for _ in 0..usize::from(!shipment.login.is_empty()) + usize::from(selects) {
            let error = self.answer()?;
            refused = refused.or(error);
        }
        for _ in 0..shipment.keys {
            let error = self.answer()?;
            // Where a key has got to without the login or the database it was meant for is anybody's guess.
            delivery.taken.push(refused.is_none() && error.is_none());
            delivery.error = delivery.error.take().or_else(|| refused.clone()).or(error);
        }
        self.db = delivery.error.is_none().then_some(shipment.db);
        Ok(())
    }

    /// Reads one answer: the text of an error, or none.
    fn answer(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        let reading = Broken::by(Failure::Reading);
        let mut line = Vec::new();
        let stream = &mut self.stream;
        stream
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)
            .map_err(&reading)?;
        let strange = || reading(ErrorKind::InvalidData.into());
        if line.is_empty() {
            return Err(reading(ErrorKind::UnexpectedEof.into()));
        }
        let text = line.strip_suffix(b"\n").ok_or_else(strange)?;
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        match text.split_first() {
            Some((b'+', _)) => Ok(None),
            Some((b'-', error)) => Ok(Some(error.to_vec())),
            // Nothing that a server says to these commands: better to have a key twice than nowhere.
            _ => Err(strange()),
        }
    }
}
