//! The sockets, files and threads behind the link to our primary.
//!
//! One task owns both connections of a dual-channel synchronisation and the way to the sink of the snapshot, so that
//! everything happens in the order in which the engine asked for it. It has a thread of its own, and so has each sink: a
//! slow disk holds up the snapshot, but not the stream beside it, and neither holds up clients.

use crate::compression::Unpacker;
use crate::link_stream::LinkStream;
use crate::logging;
use crate::payload::Sink;
use crate::shared::Shared;
use crate::spill::Spill;
use crate::stand_back::StandBack;
use dataset::snapshot::LoadOptions;
use engine::host::{Level, LinkCommand};
use engine::primary_link::DrainStep;
use parking_lot::Mutex;
use replication::replica::{self, Channel, Conn, LoadId, Payload};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use tls::ClientContext;
use tokio::net::TcpSocket;
use tokio::sync::mpsc;

/// Bytes read from a connection at once.
const READ_BYTES: usize = 64 * 1024;

/// What reaches the task.
enum Event {
    Connected(Conn, io::Result<LinkStream>),
    /// Bytes of a connection; none when it has ended.
    Bytes(Conn, io::Result<Vec<u8>>),
    /// The sink of the snapshot has caught up: the connection that feeds it may be read again.
    SinkHungry,
    /// The file of this load is in its place, or could not be written.
    Stored(LoadId, Result<PathBuf, String>),
}

/// One connection.
struct Line {
    conn: Conn,
    writer: mpsc::UnboundedSender<Vec<u8>>,
    /// Tells the reader to go on; it stops after each piece it has delivered.
    go_on: mpsc::Sender<()>,
    reader: tokio::task::JoinHandle<()>,
    paused: bool,
    /// It waits for the sink of the snapshot.
    starved: bool,
    /// What comes is compressed, from somewhere on.
    unpacker: Option<Unpacker>,
    /// Bytes that could not be taken yet.
    left_over: Vec<u8>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// The way to the thread that serves the link. Bounded by the link itself: it asks for little, and only in answer to what
/// has arrived.
pub(crate) type Commands = mpsc::UnboundedSender<LinkCommand>;

/// Serves the link in a thread of its own, until the process ends.
pub(crate) fn start(shared: Weak<Shared>) -> Commands {
    let (commands, orders) = mpsc::unbounded_channel();
    let serve = move || {
        tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .map(|runtime| runtime.block_on(serve(shared, orders)))
            .unwrap_or_else(cannot_start);
    };
    let thread = std::thread::Builder::new().name("link".into()).spawn(serve);
    thread.map_or_else(cannot_start, drop);
    commands
}

fn cannot_start(error: io::Error) {
    let text = format!("Can't serve the link to the primary: {error}");
    logging::log(Level::Warning, &text);
}

async fn serve(shared: Weak<Shared>, commands: mpsc::UnboundedReceiver<LinkCommand>) {
    let (events, mut inbox) = mpsc::unbounded_channel();
    let mut link = LinkIo {
        commands,
        events,
        lines: HashMap::new(),
        connecting: HashMap::new(),
        receiving: None,
        storing: Storing::default(),
        loads: Loads::default(),
        spill: Arc::default(),
    };
    loop {
        // Cancel-safe: what is not taken stays in its channel.
        tokio::select! {
            biased;
            command = link.commands.recv() => match (command, shared.upgrade()) {
                (Some(command), Some(shared)) => link.command(&shared, command),
                _ => return,
            },
            event = inbox.recv() => match (event, shared.upgrade()) {
                (Some(event), Some(shared)) => link.handle(&shared, event),
                _ => return,
            },
        }
    }
}

struct LinkIo {
    commands: mpsc::UnboundedReceiver<LinkCommand>,
    events: mpsc::UnboundedSender<Event>,
    lines: HashMap<Channel, Line>,
    /// The connections asked for and not yet there. One that was closed meanwhile must not take the place of its successor.
    connecting: HashMap<Channel, Connecting>,
    /// Where the snapshot being received goes.
    receiving: Option<Sink>,
    storing: Storing,
    loads: Loads,
    spill: SharedSpill,
}

/// The file behind the buffer, once there is one. The task that drains the buffer shares it, on the same thread.
type SharedSpill = Arc<Mutex<Option<Spill>>>;

/// A connection that is being made.
struct Connecting {
    conn: Conn,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Connecting {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The snapshot on its way into a file. Whether it is complete first or asked for first is all the same.
#[derive(Default)]
struct Storing {
    load: Option<LoadId>,
    complete: Option<PathBuf>,
    is_wanted: bool,
}

/// Loads under way, to be called off.
#[derive(Default)]
struct Loads(HashMap<LoadId, Arc<AtomicBool>>);

impl Loads {
    /// The flag by which a load learns that it has been called off. Who has ended no longer holds its own, and is forgotten.
    fn begin(&mut self, load: LoadId) -> Arc<AtomicBool> {
        self.0.retain(|_, flag| Arc::strong_count(flag) > 1);
        let called_off = Arc::new(AtomicBool::new(false));
        self.0.insert(load, Arc::clone(&called_off));
        called_off
    }

    fn call_off(&mut self, load: LoadId) {
        if let Some(flag) = self.0.remove(&load) {
            flag.store(true, Ordering::Release);
        }
    }
}

impl LinkIo {
    fn handle(&mut self, shared: &Arc<Shared>, event: Event) {
        match event {
            Event::Connected(conn, _) if !self.is_connecting(conn) => {}
            Event::Connected(conn, Ok(stream)) => self.connected(shared, conn, stream),
            Event::Connected(conn, Err(error)) => {
                self.connecting.remove(&conn.channel);
                shared
                    .engine
                    .lock()
                    .link_closed(conn, &crate::errno_text(&error));
            }
            Event::Bytes(conn, bytes) => self.bytes(shared, conn, bytes),
            Event::Stored(load, _) if self.storing.load != Some(load) => {}
            Event::Stored(load, Ok(path)) if self.storing.is_wanted => {
                self.load_file(shared, load, &path);
            }
            Event::Stored(_, Ok(path)) => self.storing.complete = Some(path),
            Event::Stored(load, Err(text)) => {
                logging::log(Level::Warning, &text);
                shared.engine.lock().link_loaded(load, Err(text));
            }
            Event::SinkHungry => {
                for line in self.lines.values_mut() {
                    if std::mem::take(&mut line.starved) && !line.paused {
                        line.go_on();
                    }
                }
            }
        }
    }

    fn command(&mut self, shared: &Arc<Shared>, command: LinkCommand) {
        match command {
            LinkCommand::Connect {
                conn,
                host,
                port,
                source,
            } => {
                let context = match context(shared) {
                    Ok(context) => context,
                    Err(why) => return shared.engine.lock().link_closed(conn, why),
                };
                let events = self.events.clone();
                let task = tokio::spawn(async move {
                    let connected = connect(&host, port, &source, context.as_ref()).await;
                    // The process is ending when nobody listens any more.
                    let _ = events.send(Event::Connected(conn, connected));
                });
                self.connecting
                    .insert(conn.channel, Connecting { conn, task });
            }
            LinkCommand::Send(conn, bytes) => {
                if let Some(line) = self.line(conn) {
                    // A connection that has ended reports so itself.
                    let _ = line.writer.send(bytes);
                }
            }
            LinkCommand::Close(conn) => {
                if self.line(conn).is_some() {
                    self.lines.remove(&conn.channel);
                }
                if self.is_connecting(conn) {
                    self.connecting.remove(&conn.channel);
                }
            }
            LinkCommand::Pause(conn) => {
                if let Some(line) = self.line(conn) {
                    line.paused = true;
                }
            }
            LinkCommand::Resume(conn) => {
                if let Some(line) = self.line(conn) {
                    line.paused = false;
                    let left_over = std::mem::take(&mut line.left_over);
                    self.take(shared, conn, left_over);
                }
            }
            LinkCommand::BeginPayload(payload) => self.begin(shared, payload),
            LinkCommand::EndPayload { load, mark_bytes } => {
                if let Some(sink) = self.receiving.take_if(|sink| sink.load == load) {
                    let name = {
                        let engine = shared.engine.lock();
                        engine.state.config.dbfilename.lossy().into_owned()
                    };
                    sink.end(mark_bytes, name.into());
                }
            }
            LinkCommand::Load(load) if self.storing.load == Some(load) => {
                match self.storing.complete.take() {
                    Some(path) => self.load_file(shared, load, &path),
                    None => self.storing.is_wanted = true,
                }
            }
            LinkCommand::Load(_) => {}
            LinkCommand::AbortPayload(load) => self.abort(shared, load),
            LinkCommand::Drain => {
                let (shared, spill) = (Arc::clone(shared), Arc::clone(&self.spill));
                tokio::spawn(async move {
                    while drain(&shared, &spill) {
                        tokio::task::yield_now().await;
                    }
                });
            }
            LinkCommand::Decompress(conn) => {
                if let Some(line) = self.line(conn) {
                    line.unpacker = Some(Unpacker::default());
                }
            }
            LinkCommand::DropSpill => *self.spill.lock() = None,
        }
    }

    fn is_connecting(&self, conn: Conn) -> bool {
        let connecting = self.connecting.get(&conn.channel);
        connecting.is_some_and(|connecting| connecting.conn == conn)
    }

    fn line(&mut self, conn: Conn) -> Option<&mut Line> {
        self.lines
            .get_mut(&conn.channel)
            .filter(|line| line.conn == conn)
    }

    fn connected(&mut self, shared: &Arc<Shared>, conn: Conn, stream: LinkStream) {
        self.connecting.remove(&conn.channel);
        let address = |result: io::Result<std::net::SocketAddr>| {
            result.map_or_else(|_| String::new(), |a| a.to_string())
        };
        let (addr, laddr, fd) = (
            address(stream.tcp.peer_addr()),
            address(stream.tcp.local_addr()),
            stream.tcp.as_raw_fd(),
        );
        let stream = Arc::new(stream);
        let (bytes_out, outgoing) = mpsc::unbounded_channel();
        tokio::spawn(write(Arc::clone(&stream), outgoing));
        let (go_on, go) = mpsc::channel(1);
        let reader = tokio::spawn(read(conn, stream, go, self.events.clone()));
        let line = Line {
            conn,
            writer: bytes_out,
            go_on,
            reader,
            paused: false,
            starved: false,
            unpacker: None,
            left_over: Vec::new(),
        };
        line.go_on();
        self.lines.insert(conn.channel, line);
        shared.engine.lock().link_connected(conn, addr, laddr, fd);
    }

    fn bytes(&mut self, shared: &Arc<Shared>, conn: Conn, bytes: io::Result<Vec<u8>>) {
        let Some(line) = self.line(conn) else {
            return;
        };
        let bytes = match (&mut line.unpacker, bytes) {
            (Some(unpacker), Ok(bytes)) if !bytes.is_empty() => match unpacker.take(&bytes) {
                // The rest of the block is still to come.
                Ok(bytes) if bytes.is_empty() => {
                    if !line.paused && !line.starved {
                        line.go_on();
                    }
                    return;
                }
                unpacked => unpacked,
            },
            (_, bytes) => bytes,
        };
        match bytes {
            // Those that came before them go first.
            Ok(bytes) if !bytes.is_empty() && !line.left_over.is_empty() => {
                line.left_over.extend_from_slice(&bytes)
            }
            Ok(bytes) if !bytes.is_empty() => self.take(shared, conn, bytes),
            Ok(_) => {
                self.lines.remove(&conn.channel);
                shared.engine.lock().link_closed(conn, "connection lost");
            }
            Err(error) => {
                self.lines.remove(&conn.channel);
                shared
                    .engine
                    .lock()
                    .link_closed(conn, &crate::errno_text(&error));
            }
        }
    }

    /// Gives bytes to the engine until it takes no more, then has the reader go on.
    fn take(&mut self, shared: &Arc<Shared>, conn: Conn, bytes: Vec<u8>) {
        let mut unpacked;
        let mut rest: &[u8] = &bytes;
        let mut fed = false;
        let mut is_unpacked = self.is_unpacking(conn);
        while !rest.is_empty() {
            let (received, position) = {
                let mut engine = shared.engine.lock();
                let received = engine.link_received(conn, rest);
                (received, engine.state.aof.position())
            };
            shared.append.flush(shared, position);
            if received.hold {
                // Kept before the commands are looked at: the one to go on may be among them, from a load that took no time.
                if let Some(line) = self.line(conn) {
                    line.left_over.extend_from_slice(rest);
                }
                return self.pending_commands(shared);
            }
            if let Some(range) = received.spill
                && let Err(error) = self.spill(&rest[range])
            {
                let (count, text) = (received.used as u64, crate::errno_text(&error));
                shared.engine.lock().link_spill_failed(conn, count, &text);
                if let Some(line) = self.line(conn) {
                    line.left_over.extend_from_slice(rest);
                }
                return self.pending_commands(shared);
            }
            // A sink may have been opened by the very bytes in front of the payload: first things first.
            self.pending_commands(shared);
            if let Some(payload) = received.payload {
                fed = true;
                if let Some(sink) = &self.receiving {
                    sink.feed(&rest[payload]);
                }
                shared.engine.lock().link_payload_taken();
            }
            rest = &rest[received.used..];
            if !is_unpacked && self.is_unpacking(conn) {
                is_unpacked = true;
                match self.unpack(conn, rest) {
                    Ok(bytes) => unpacked = bytes,
                    Err(error) => return self.bytes(shared, conn, Err(error)),
                }
                rest = &unpacked;
            }
        }
        let starved = fed && self.receiving.as_ref().is_some_and(Sink::is_full);
        if let Some(line) = self.line(conn) {
            line.starved = starved;
            if !line.paused && !starved && line.left_over.is_empty() {
                line.go_on();
            }
        }
    }

    fn is_unpacking(&mut self, conn: Conn) -> bool {
        self.line(conn).is_some_and(|line| line.unpacker.is_some())
    }

    fn unpack(&mut self, conn: Conn, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self.line(conn).and_then(|line| line.unpacker.as_mut()) {
            Some(unpacker) => unpacker.take(bytes),
            None => Ok(Vec::new()),
        }
    }

    /// Appends to the file behind the buffer.
    fn spill(&self, bytes: &[u8]) -> io::Result<()> {
        let mut spill = self.spill.lock();
        match &mut *spill {
            Some(spill) => spill.append(bytes),
            none => none.insert(Spill::new()?).append(bytes),
        }
    }

    fn pending_commands(&mut self, shared: &Arc<Shared>) {
        while let Ok(command) = self.commands.try_recv() {
            self.command(shared, command);
        }
    }

    // ---- the snapshot ---------------------------------------------------------------------------------------------------

    fn begin(&mut self, shared: &Arc<Shared>, payload: Payload) {
        let load = payload.load;
        self.receiving = None;
        shared.append.forget_received();
        let events = self.events.clone();
        let hungry = move || {
            // The process is ending when nobody listens any more.
            let _ = events.send(Event::SinkHungry);
        };
        match payload.sink {
            replica::Sink::File => {
                let events = self.events.clone();
                self.storing = Storing {
                    load: Some(load),
                    ..Storing::default()
                };
                let stored = move |result| {
                    let _ = events.send(Event::Stored(load, result));
                };
                self.receiving = Some(Sink::file(load, hungry, stored));
            }
            replica::Sink::Parser => {
                let called_off = self.loads.begin(load);
                let (sink, source) = Sink::parser(load, Arc::clone(&called_off), hungry);
                self.receiving = Some(sink);
                let options = load_options(shared);
                parse(Arc::downgrade(shared), load, source, options, called_off);
            }
        }
    }

    fn load_file(&mut self, shared: &Arc<Shared>, load: LoadId, path: &Path) {
        let options = load_options(shared);
        let called_off = self.loads.begin(load);
        match File::open(path) {
            Ok(file) => {
                shared.append.note_received(path, &file);
                parse(Arc::downgrade(shared), load, file, options, called_off);
            }
            Err(error) => shared
                .engine
                .lock()
                .link_loaded(load, Err(crate::errno_text(&error))),
        }
        let remove = {
            let engine = shared.engine.lock();
            let config = &engine.state.config;
            config.rdb_del_sync_files && !config.appendonly && config.save.rules().is_empty()
        };
        if remove {
            logging::log(
                Level::Notice,
                "Removing the RDB file obtained from the primary. This replica has persistence disabled",
            );
            // The open file stays readable; it may also have been removed by somebody else.
            let _ = std::fs::remove_file(path);
        }
    }

    fn abort(&mut self, shared: &Shared, load: LoadId) {
        self.loads.call_off(load);
        shared.append.forget_received();
        if self.storing.load == Some(load) {
            self.storing = Storing::default();
        }
        if let Some(sink) = self.receiving.take_if(|sink| sink.load == load) {
            sink.call_off();
        }
    }
}

impl Line {
    fn go_on(&self) {
        // Full means that it has been told already; closed, that the connection has ended.
        let _ = self.go_on.try_send(());
    }
}

/// Loads a snapshot in a thread of its own and reports the result.
fn parse(
    shared: Weak<Shared>,
    load: LoadId,
    source: impl Read + Send + 'static,
    options: LoadOptions,
    called_off: Arc<AtomicBool>,
) {
    let parse = move || {
        let mut progress = |bytes| {
            if let Some(shared) = shared.upgrade() {
                shared.engine.lock().state.load_progress.loaded_bytes = bytes;
            }
            !called_off.load(Ordering::Acquire)
        };
        let source = StandBack::begin(source);
        let loaded = dataset::snapshot::load(source, &options, &mut progress);
        if let Some(shared) = shared.upgrade() {
            let result = loaded.map_err(|error| error.to_string());
            shared.engine.lock().link_loaded(load, result);
            shared.append.forget_received();
            shared.append.remove_history();
        }
    };
    if std::thread::Builder::new()
        .name("load".into())
        .spawn(parse)
        .is_err()
    {
        logging::log(Level::Warning, "Can't create a thread to load the snapshot");
    }
}

/// Has a piece of the buffered stream applied, and writes what that has appended to the log; true while there may be more.
fn drain(shared: &Shared, spill: &Mutex<Option<Spill>>) -> bool {
    let mut engine = shared.engine.lock();
    let step = engine.link_drain();
    if let DrainStep::Read(count) = step {
        drop(engine);
        let piece = match &mut *spill.lock() {
            Some(spill) => spill.take(count),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        engine = shared.engine.lock();
        match piece {
            Ok(bytes) => engine.link_drain_spilled(Ok(&bytes)),
            Err(error) => engine.link_drain_spilled(Err(&crate::errno_text(&error))),
        }
    }
    let position = engine.state.aof.position();
    drop(engine);
    shared.append.flush(shared, position);
    step != DrainStep::Done
}

fn load_options(shared: &Arc<Shared>) -> LoadOptions {
    shared.engine.lock().link_load_options()
}

/// What the TLS of the link is made from, if it is to have that.
fn context(shared: &Shared) -> Result<Option<ClientContext>, &'static str> {
    if !shared.engine.lock().state.config.tls_replication {
        return Ok(None);
    }
    let context = shared.tls.client();
    context.map(Some).ok_or("TLS is not configured")
}

async fn connect(
    host: &str,
    port: u16,
    source: &str,
    context: Option<&ClientContext>,
) -> io::Result<LinkStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no address for this host");
    for address in tokio::net::lookup_host((host, port)).await? {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        if !source.is_empty() {
            match source.parse() {
                Ok(ip) => socket.bind(std::net::SocketAddr::new(ip, 0))?,
                Err(_) => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidInput,
                        "bad bind-source-addr",
                    ));
                }
            }
        }
        match socket.connect(address).await {
            Ok(stream) => {
                // Options that cannot be set make a connection slower, not wrong.
                let _ = stream.set_nodelay(true);
                return match context {
                    None => Ok(LinkStream::plain(stream)),
                    Some(context) => LinkStream::secure(stream, context, host).await,
                };
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Reads piece by piece, each only after it has been told to go on.
async fn read(
    conn: Conn,
    stream: Arc<LinkStream>,
    mut go: mpsc::Receiver<()>,
    events: mpsc::UnboundedSender<Event>,
) {
    while go.recv().await.is_some() {
        let mut bytes = Vec::new();
        let result = stream.read(&mut bytes, READ_BYTES).await.map(|_| bytes);
        let ended = result.as_ref().map_or(true, Vec::is_empty);
        if events.send(Event::Bytes(conn, result)).is_err() || ended {
            return;
        }
    }
}

/// Writes what there is to write; the connection closes when the sender goes.
async fn write(stream: Arc<LinkStream>, mut outgoing: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(bytes) = outgoing.recv().await {
        if stream.write_all(&bytes).await.is_err() {
            // The reader notices the end as well and reports it.
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_that_have_ended_are_forgotten() {
        let mut loads = Loads::default();
        for load in 0..100 {
            drop(loads.begin(LoadId(load)));
        }
        let first = loads.begin(LoadId(100));
        let second = loads.begin(LoadId(101));
        assert_eq!(loads.0.len(), 2);
        loads.call_off(LoadId(100));
        loads.call_off(LoadId(7));
        assert!(first.load(Ordering::Acquire) && !second.load(Ordering::Acquire));
    }
}
