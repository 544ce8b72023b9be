//! Nodes, connections, time.

mod actions;

use super::model::{Data, load, parse_request, request, save};
use replication::primary::{
    self, Action as Do, Hub, JobId, OtherChild, Peer, Role, SnapshotFormat, SnapshotResult, Target,
};
use replication::replica::{
    self, Action, Channel, Conn, Drain, Link, LoadId, LoadMode, Loaded, Payload, Purpose, Routing,
    Sink,
};
use replication::{ClientId, Level};
use std::collections::VecDeque;
use std::rc::Rc;

/// Bytes one direction of a connection holds before its writer has to wait.
const SOCKET_BYTES: usize = 4096;

/// One direction of a connection.
#[derive(Default)]
pub(crate) struct Pipe {
    pub(crate) data: VecDeque<u8>,
    /// Bytes that have arrived so far.
    pub(crate) moved: usize,
}

impl Pipe {
    fn take(&mut self, max: usize) -> Vec<u8> {
        let n = self.data.len().min(max);
        self.moved += n;
        self.data.drain(..n).collect()
    }
}

/// Bytes in the form of this world's compression, which takes no room, or back from it.
fn packed(is: bool, bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().map(move |byte| if is { !byte } else { *byte })
}

/// A connection between a replica and a primary.
pub(crate) struct Wire {
    pub(crate) replica: usize,
    pub(crate) primary: usize,
    pub(crate) conn: Conn,
    pub(crate) client: ClientId,
    pub(crate) up: Pipe,
    pub(crate) down: Pipe,
    established: bool,
    /// The replica does not read.
    paused: bool,
    /// What arrives is compressed.
    unpacking: bool,
    /// Bytes the replica's server has read and the link did not take.
    held: Vec<u8>,
    /// Requests the primary's server has not parsed yet.
    requests: Vec<u8>,
    streaming: bool,
    closed_by_replica: bool,
    closed_by_primary: bool,
    gone: bool,
}

impl Wire {
    /// The primary closes it; what was written before still arrives.
    pub(crate) fn kill_by_primary(&mut self) {
        self.closed_by_primary = true;
        self.streaming = false;
    }
}

/// The snapshot child.
struct Child {
    job: JobId,
    rdb: Vec<u8>,
    /// Sockets: client, what is left to write, done.
    targets: Vec<(ClientId, VecDeque<u8>, bool)>,
    disk: bool,
}

/// One server.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) hub: Hub,
    pub(crate) link: Link,
    pub(crate) data: Data,
    pub(crate) primary: Rc<primary::Config>,
    pub(crate) replica: Rc<replica::Config>,
    pub(crate) log: Vec<(Level, String)>,
    /// DB of the upstream client.
    pub(crate) upstream_db: u32,
    /// Upstream bytes that are no whole command yet.
    unparsed: Vec<u8>,
    pub(crate) spill: VecDeque<u8>,
    /// The file that is kept of a snapshot.
    spool: Vec<u8>,
    pub(crate) paced_ms: u64,
    child: Option<Child>,
    pub(crate) dump: Vec<u8>,
    payload: Option<(Payload, Vec<u8>)>,
    loaded: Option<Data>,
    loading: Option<LoadId>,
    draining: bool,
    /// Its append-only file is off, since its data were to be replaced.
    pub(crate) log_stopped: bool,
    pub(crate) hold_load: bool,
    pub(crate) hold_drain: bool,
    pub(crate) hold_child: bool,
    pub(crate) fork_fails: bool,
    pub(crate) down: bool,
    restart_to: Option<usize>,
    /// The network delivers nothing to this node on that channel.
    pub(crate) paused: bool,
    pub(crate) stalled: Option<Channel>,
    /// Nothing this node sends upstream arrives.
    pub(crate) mute: bool,
    /// How the snapshots were written that were started.
    pub(crate) formats: Vec<SnapshotFormat>,
    /// Snapshots started.
    pub(crate) forks: usize,
    /// As a primary it knows of two connections what Redis 8 knows, and nothing of Valkey's way.
    pub(crate) redis: bool,
    /// Replies to raw requests of the script.
    pub(crate) replies: Vec<Vec<u8>>,
}

/// Cuts a connection after so many bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) channel: Channel,
    /// Counted towards the replica, else towards the primary.
    pub(crate) down: bool,
    pub(crate) after: usize,
}

/// Everything.
pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) wires: Vec<Wire>,
    pub(crate) now_ms: u64,
    /// Bytes a pipe moves per step.
    pub(crate) chunk: usize,
    pub(crate) cut: Option<Cut>,
    clients: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        World {
            nodes: Vec::new(),
            wires: Vec::new(),
            now_ms: 1000,
            chunk: 512,
            cut: None,
            clients: 100,
        }
    }

    pub(crate) fn add(&mut self, name: &str) -> usize {
        let seed = self.nodes.len() as u8 + 1;
        let mut count = 0u64;
        let entropy = Box::new(move || {
            count += 1;
            let mut bytes = [seed; 20];
            bytes[..8].copy_from_slice(&count.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
            bytes
        });
        self.nodes.push(Node {
            name: name.to_owned(),
            hub: Hub::new(entropy),
            link: Link::new(),
            data: Data::new(),
            primary: Rc::new(primary::Config {
                diskless_delay_seconds: 0,
                ..Default::default()
            }),
            replica: Rc::new(replica::Config {
                announced_port: 7000 + u16::from(seed),
                spill_bytes_max: 0,
                ..Default::default()
            }),
            log: Vec::new(),
            upstream_db: 0,
            unparsed: Vec::new(),
            spill: VecDeque::new(),
            spool: Vec::new(),
            paced_ms: 0,
            child: None,
            dump: Vec::new(),
            payload: None,
            loaded: None,
            loading: None,
            draining: false,
            log_stopped: false,
            hold_load: false,
            hold_drain: false,
            hold_child: false,
            fork_fails: false,
            down: false,
            restart_to: None,
            paused: false,
            stalled: None,
            mute: false,
            formats: Vec::new(),
            forks: 0,
            redis: false,
            replies: Vec::new(),
        });
        self.nodes.len() - 1
    }

    pub(crate) fn node(&self, name: &str) -> usize {
        self.nodes
            .iter()
            .position(|n| n.name == name)
            .unwrap_or_else(|| panic!("no node {name}"))
    }

    /// Makes the hub of `n` do something.
    pub(crate) fn hub<T>(
        &mut self,
        n: usize,
        f: impl FnOnce(&mut Hub, &primary::Env<'_>) -> T,
    ) -> T {
        let config = Rc::clone(&self.nodes[n].primary);
        let node = &mut self.nodes[n];
        let role = match node.link.target() {
            None => Role::Primary,
            Some(_) if node.link.is_up() => Role::Replica {
                stream_db: node.upstream_db,
            },
            Some(_) => Role::ReplicaDown {
                stream_db: node.upstream_db,
            },
        };
        let env = primary::Env {
            config: &config,
            now_ms: self.now_ms,
            role,
            other_child: OtherChild::None,
            failing_over: false,
        };
        let result = f(&mut node.hub, &env);
        self.handle(n);
        result
    }

    /// Makes the link of `n` do something.
    pub(crate) fn link<T>(
        &mut self,
        n: usize,
        f: impl FnOnce(&mut Link, &replica::Env<'_>) -> T,
    ) -> T {
        let config = Rc::clone(&self.nodes[n].replica);
        let node = &mut self.nodes[n];
        let env = replica::Env {
            config: &config,
            now_ms: self.now_ms,
            keyspace_empty: node.data.is_empty(),
            aof_offset: None,
        };
        let result = f(&mut node.link, &env);
        self.handle(n);
        result
    }

    pub(crate) fn write(&mut self, n: usize, db: u32, value: &[u8]) {
        assert!(
            self.nodes[n].link.target().is_none(),
            "only a primary is written to"
        );
        assert!(!self.nodes[n].paused, "writes are paused");
        self.nodes[n].data.push((db, value.to_vec()));
        let bytes = request(&[b"ADD", value]);
        self.hub(n, |hub, env| hub.feed(env, Some(db), &bytes));
    }

    pub(crate) fn replicaof(&mut self, n: usize, primary: usize) {
        self.follow(n, primary, Purpose::Follow);
    }

    pub(crate) fn follow(&mut self, n: usize, primary: usize, purpose: Purpose) {
        let port = primary as u16;
        let from = match self.nodes[n].link.position() {
            _ if self.nodes[n].link.target().is_none() => {
                let history = self.nodes[n].hub.history();
                Some((history.replid, history.offset))
            }
            position => position,
        };
        self.hub(n, |hub, env| hub.demote(env));
        self.link(n, |link, env| link.start(env, "node", port, from, purpose));
    }

    pub(crate) fn promote(&mut self, n: usize) {
        self.link(n, |link, _| link.stop());
        self.nodes[n].log_stopped = false;
        self.hub(n, |hub, env| hub.promote(env));
    }

    /// Lets time pass; connections move whenever they can.
    pub(crate) fn run(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        loop {
            self.settle();
            if self.now_ms >= end {
                break;
            }
            self.now_ms += 100;
            for n in 0..self.nodes.len() {
                if !self.nodes[n].down {
                    self.hub(n, |hub, env| hub.tick(env));
                    self.link(n, |link, env| link.tick(env));
                }
            }
        }
    }

    /// Moves bytes until nothing moves any more.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    /// One small step of everything. Returns whether something happened.
    pub(crate) fn step(&mut self) -> bool {
        let mut moved = false;
        for w in 0..self.wires.len() {
            moved |= self.move_wire(w);
        }
        self.wires.retain(|w| !w.gone);
        for n in 0..self.nodes.len() {
            if !self.nodes[n].down {
                moved |= self.move_child(n) | self.move_load(n);
            }
        }
        moved
    }

    /// Ends a connection without delivering what is in it.
    pub(crate) fn cut(&mut self, replica: usize, channel: Channel) {
        for w in 0..self.wires.len() {
            if self.wires[w].replica == replica
                && self.wires[w].conn.channel == channel
                && !self.wires[w].gone
            {
                self.break_wire(w);
            }
        }
    }

    /// A server stops at once, losing all connections; its data stay for a restart.
    pub(crate) fn crash(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        node.down = true;
        node.restart_to = node.link.target().map(|(_, port)| usize::from(port));
        node.link = Link::new();
        (node.payload, node.loading, node.loaded, node.draining) = (None, None, None, false);
        node.unparsed.clear();
        self.kill_child(n, None);
        for w in 0..self.wires.len() {
            if self.wires[w].replica == n || self.wires[w].primary == n {
                self.break_wire(w);
            }
        }
    }

    /// It comes back with the data and the identity it had, as from a snapshot of that moment.
    pub(crate) fn restart(&mut self, n: usize) {
        self.nodes[n].down = false;
        self.nodes[n].log_stopped = false;
        let history = self.nodes[n].hub.history().clone();
        if let Some(primary) = self.nodes[n].restart_to.take() {
            let from = Some((history.replid, history.offset));
            self.link(n, |link, env| {
                link.start(env, "node", primary as u16, from, Purpose::Follow)
            });
        }
        self.hub(n, |hub, env| {
            hub.restore(env, history.replid, history.offset)
        });
    }

    fn break_wire(&mut self, w: usize) {
        let wire = &mut self.wires[w];
        if wire.gone {
            return;
        }
        wire.gone = true;
        let (replica, primary, conn, client) = (wire.replica, wire.primary, wire.conn, wire.client);
        let established = wire.established;
        if established {
            self.hub(primary, |hub, env| hub.client_closed(env, client));
        }
        self.link(replica, |link, env| {
            link.closed(env, conn, "Connection reset by peer")
        });
    }

    fn move_wire(&mut self, w: usize) -> bool {
        let wire = &mut self.wires[w];
        let (r, p, conn, client) = (wire.replica, wire.primary, wire.conn, wire.client);
        if wire.gone {
            return false;
        }
        if !wire.established {
            if self.nodes[p].down {
                self.wires[w].gone = true;
                self.link(r, |link, env| link.closed(env, conn, "Connection refused"));
            } else {
                self.wires[w].established = true;
                self.link(r, |link, env| link.connected(env, conn));
            }
            return true;
        }
        let mut moved = false;
        if let Some(cut) = self.cut.filter(|c| c.channel == conn.channel) {
            let wire = &self.wires[w];
            let done = if cut.down {
                wire.down.moved
            } else {
                wire.up.moved
            };
            if done >= cut.after {
                self.cut = None;
                self.break_wire(w);
                return true;
            }
        }
        // Towards the primary.
        let room = self.cut_room(w, false);
        let bytes = if self.nodes[r].mute {
            Vec::new()
        } else {
            self.wires[w].up.take(self.chunk.min(room))
        };
        if !bytes.is_empty() {
            moved = true;
            if !self.wires[w].closed_by_primary {
                self.wires[w].requests.extend(bytes);
                self.serve(w);
            }
        }
        let wire = &mut self.wires[w];
        if wire.closed_by_replica && wire.up.data.is_empty() {
            wire.gone = true;
            if !wire.closed_by_primary {
                self.hub(p, |hub, env| hub.client_closed(env, client));
            }
            return true;
        }
        // The stream.
        let wire = &mut self.wires[w];
        if wire.streaming && wire.down.data.len() < SOCKET_BYTES {
            let mut slices = Vec::new();
            let room = SOCKET_BYTES - wire.down.data.len();
            let n = self.nodes[p].hub.read(client, room, 16, &mut slices);
            let compressed = self.nodes[p].hub.is_compressed(client);
            let down = &mut self.wires[w].down.data;
            for slice in &slices {
                down.extend(packed(compressed, slice));
            }
            self.nodes[p].hub.sent(client, n as u64);
            // With nothing to send the writer sleeps until it is woken.
            self.wires[w].streaming = n > 0;
            moved |= n > 0;
        }
        // Towards the replica.
        let stalled = self.nodes[r].stalled == Some(conn.channel);
        if !self.wires[w].paused && !self.wires[w].closed_by_replica && !stalled {
            let room = self.cut_room(w, true);
            let fresh = self.wires[w].down.take(self.chunk.min(room));
            if !fresh.is_empty() {
                moved = true;
                let unpacking = self.wires[w].unpacking;
                self.wires[w].held.extend(packed(unpacking, &fresh));
                self.receive(w);
            }
            let wire = &self.wires[w];
            if wire.closed_by_primary && wire.down.data.is_empty() && !wire.paused && !wire.gone {
                self.wires[w].gone = true;
                self.link(r, |link, env| link.closed(env, conn, "connection lost"));
                moved = true;
            }
        }
        moved
    }

    fn cut_room(&self, w: usize, down: bool) -> usize {
        let wire = &self.wires[w];
        let moved = if down { wire.down.moved } else { wire.up.moved };
        match self.cut {
            Some(cut) if cut.channel == wire.conn.channel && cut.down == down => cut.after - moved,
            _ => usize::MAX,
        }
    }

    /// The replica's server hands what it has read to the link.
    fn receive(&mut self, w: usize) {
        let (r, conn) = (self.wires[w].replica, self.wires[w].conn);
        loop {
            let data = std::mem::take(&mut self.wires[w].held);
            if data.is_empty() || self.wires[w].paused {
                self.wires[w].held = data;
                return;
            }
            let was_unpacking = self.wires[w].unpacking;
            let taken = self.link(r, |link, env| link.bytes(env, conn, &data));
            let (now, rest) = data.split_at(taken.used);
            match taken.routing {
                Routing::Hold => {
                    self.wires[w].paused = true;
                    self.wires[w].held = data;
                    return;
                }
                Routing::Payload => {
                    self.nodes[r]
                        .payload
                        .as_mut()
                        .expect("a payload was begun")
                        .1
                        .extend_from_slice(now);
                    self.link(r, |link, env| link.payload_taken(env));
                }
                Routing::Stream => self.apply(r, now),
                Routing::Spill => self.nodes[r].spill.extend(now),
                Routing::Control | Routing::Header | Routing::Buffered | Routing::Stale => {}
            }
            let begins = self.wires[w].unpacking != was_unpacking;
            self.wires[w].held = packed(begins, rest).collect();
        }
    }

    /// The replica's engine.
    fn apply(&mut self, n: usize, bytes: &[u8]) {
        self.nodes[n].unparsed.extend_from_slice(bytes);
        loop {
            let node = &mut self.nodes[n];
            let Some((args, len)) = parse_request(&node.unparsed) else {
                return;
            };
            let raw: Vec<u8> = node.unparsed.drain(..len).collect();
            let mut getack = false;
            match args[0].as_slice() {
                b"SELECT" => {
                    node.upstream_db = std::str::from_utf8(&args[1]).unwrap().parse().unwrap()
                }
                b"ADD" => node.data.push((node.upstream_db, args[1].clone())),
                b"REPLCONF" => getack = true,
                b"ping" => {}
                other => panic!(
                    "unknown in the stream: {:?}",
                    String::from_utf8_lossy(other)
                ),
            }
            self.hub(n, |hub, env| hub.feed_raw(env, &raw));
            self.link(n, |link, env| {
                link.applied(raw.len() as u64);
                if getack {
                    link.getack(env);
                }
            });
        }
    }

    /// The primary's server executes what has arrived.
    fn serve(&mut self, w: usize) {
        loop {
            let Some((args, len)) = parse_request(&self.wires[w].requests) else {
                return;
            };
            self.wires[w].requests.drain(..len);
            let (p, client) = (self.wires[w].primary, self.wires[w].client);
            let reply = self.execute(p, client, &args);
            // Before the actions' bytes, as replies precede what they cause.
            let down = &mut self.wires[w].down.data;
            for byte in reply {
                down.push_back(byte);
            }
        }
    }

    /// One request of a client.
    pub(crate) fn execute(&mut self, p: usize, client: ClientId, args: &[Vec<u8>]) -> Vec<u8> {
        let rest: Vec<&[u8]> = args.iter().skip(1).map(Vec::as_slice).collect();
        let peer = Peer {
            ip: "10.0.0.1",
            pending_output: false,
            monitor: false,
        };
        let Some(name) = args.first() else {
            self.hub(p, |hub, env| hub.newline(env, client));
            return Vec::new();
        };
        match name.to_ascii_lowercase().as_slice() {
            b"ping" => b"+PONG\r\n".to_vec(),
            b"auth" => b"+OK\r\n".to_vec(),
            b"replconf"
                if self.nodes[p].redis
                    && rest.first().is_some_and(|option| *option == b"version") =>
            {
                b"-ERR Unrecognized REPLCONF option: version\r\n".to_vec()
            }
            b"replconf" if self.nodes[p].redis && rest.contains(&b"dual-channel".as_slice()) => {
                // Words it does not know are taken, and mean nothing.
                let known = &rest[..rest.len() - 2];
                self.hub(p, |hub, env| hub.replconf(env, client, known))
                    .into_bytes()
            }
            b"replconf" => self
                .hub(p, |hub, env| hub.replconf(env, client, &rest))
                .into_bytes(),
            b"psync" => self
                .hub(p, |hub, env| hub.psync(env, client, peer, &rest))
                .into_bytes(),
            b"failover" => self
                .hub(p, |hub, env| hub.failover(env, &rest))
                .into_bytes(),
            b"sync" => self
                .hub(p, |hub, env| hub.sync(env, client, peer))
                .into_bytes(),
            _ => b"-ERR unknown command\r\n".to_vec(),
        }
    }

    fn wire_of(&self, primary: usize, client: ClientId) -> Option<usize> {
        self.wires
            .iter()
            .position(|w| w.primary == primary && w.client == client && !w.gone)
    }

    fn wire_by_conn(&self, replica: usize, conn: Conn) -> Option<usize> {
        self.wires
            .iter()
            .position(|w| w.replica == replica && w.conn == conn && !w.gone)
    }

    /// Nothing of a sync is left over anywhere: what must hold once everything is quiet.
    pub(crate) fn assert_clean(&self) {
        for node in &self.nodes {
            assert!(
                node.child.is_none(),
                "{}: a snapshot child is left",
                node.name
            );
            assert!(
                !node.hub.snapshot_running(),
                "{}: a snapshot is left",
                node.name
            );
            assert!(node.payload.is_none(), "{}: a payload is left", node.name);
            assert!(!node.log_stopped, "{}: its log is off", node.name);
            assert_eq!(
                node.link.buffer_bytes(),
                0,
                "{}: buffered bytes are left",
                node.name
            );
        }
        let links = self
            .nodes
            .iter()
            .filter(|n| n.link.target().is_some())
            .count();
        assert_eq!(self.wires.len(), links, "one connection per replica");
    }

    /// `a` and `b` hold the same data at the same place of the same history.
    pub(crate) fn assert_same(&self, a: usize, b: usize) {
        let (a, b) = (&self.nodes[a], &self.nodes[b]);
        let show = |n: &Node| (n.hub.history().replid, n.hub.history().offset, n.data.len());
        assert_eq!(show(a), show(b), "{} and {} differ", a.name, b.name);
        assert!(
            a.data == b.data,
            "{} and {} have different data",
            a.name,
            b.name
        );
    }
}
