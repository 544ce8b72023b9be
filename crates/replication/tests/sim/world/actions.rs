//! What a node's hub and link ask for, carried out in the simplest way.

use super::*;

impl World {
    /// Does what a node's machines want done.
    pub(super) fn handle(&mut self, n: usize) {
        while let Some(action) = self.nodes[n].hub.next_action() {
            self.handle_hub(n, action);
        }
        while let Some(action) = self.nodes[n].link.next_action() {
            self.handle_link(n, action);
        }
    }

    fn handle_hub(&mut self, n: usize, action: Do) {
        match action {
            Do::Send { client, bytes } => {
                if let Some(w) = self.wire_of(n, client) {
                    self.wires[w].down.data.extend(bytes);
                }
            }
            Do::Keepalive(client) => {
                if let Some(w) = self.wire_of(n, client) {
                    self.wires[w].down.data.push_back(b'\n');
                }
            }
            Do::StartSnapshot(job) => {
                if self.nodes[n].fork_fails {
                    self.hub(n, |hub, env| hub.snapshot_not_started(env, job.id));
                    return;
                }
                let node = &mut self.nodes[n];
                assert!(node.child.is_none(), "one snapshot at a time");
                let identity = job.identity.expect("it is for replicas");
                assert_eq!(
                    identity.offset,
                    node.hub.history().offset,
                    "nothing was appended meanwhile"
                );
                node.forks += 1;
                node.formats.push(job.format);
                let rdb = save(&node.data, identity.stream_db);
                let (targets, disk) = match job.target {
                    Target::Disk => (Vec::new(), true),
                    Target::Log { .. } => unreachable!("the hub asks for no log"),
                    Target::Sockets {
                        targets,
                        eof_mark,
                        spool_bytes,
                    } => {
                        if spool_bytes > 0 {
                            node.spool = [&rdb[..], &eof_mark].concat();
                        }
                        let to = |t: primary::SocketTarget| {
                            let mut bytes = VecDeque::from(t.prelude);
                            bytes.extend(packed(t.compressed, &rdb));
                            bytes.extend(packed(t.compressed, &eof_mark));
                            (t.client, bytes, false)
                        };
                        (targets.into_iter().map(to).collect(), false)
                    }
                };
                node.child = Some(Child {
                    job: job.id,
                    rdb,
                    targets,
                    disk,
                });
                let started = self.nodes[n].hub.snapshot_started(job.id, 4711);
                let line = started.expect("the job is the one under way");
                self.nodes[n].log.push((Level::Notice, line));
            }
            Do::KillSnapshot(job) => self.kill_child(n, Some(job)),
            Do::SendFile { client, header } => {
                if let Some(w) = self.wire_of(n, client) {
                    let down = &mut self.wires[w].down.data;
                    let compressed = self.nodes[n].hub.is_compressed(client);
                    down.extend(header);
                    down.extend(packed(compressed, &self.nodes[n].dump));
                    self.hub(n, |hub, env| hub.file_sent(env, client));
                }
            }
            Do::SendSpool {
                client,
                prelude,
                from,
            } => {
                if let Some(w) = self.wire_of(n, client) {
                    let down = &mut self.wires[w].down.data;
                    let compressed = self.nodes[n].hub.is_compressed(client);
                    down.extend(prelude);
                    down.extend(packed(compressed, &self.nodes[n].spool[from as usize..]));
                    self.hub(n, |hub, env| hub.file_sent(env, client));
                }
            }
            Do::DropSpool => self.nodes[n].spool.clear(),
            Do::StreamTo(client) | Do::Wake(client) => {
                if let Some(w) = self.wire_of(n, client) {
                    self.wires[w].streaming = true;
                }
            }
            Do::Close { client, .. } => {
                if let Some(w) = self.wire_of(n, client) {
                    self.wires[w].closed_by_primary = true;
                    self.wires[w].streaming = false;
                }
                self.hub(n, |hub, env| hub.client_closed(env, client));
            }
            Do::Release(_) | Do::PromotedBy { .. } => {}
            Do::PauseWrites => self.nodes[n].paused = true,
            Do::ResumeWrites => self.nodes[n].paused = false,
            Do::FailoverTo { port, .. } => {
                // Announced ports follow the order of the nodes.
                let target = port - 7001;
                let history = self.nodes[n].hub.history().clone();
                self.hub(n, |hub, env| hub.demote(env));
                let from = Some((history.replid, history.offset));
                self.link(n, |link, env| {
                    link.start(env, "node", target, from, Purpose::Failover)
                });
            }
            Do::Pace { ms } => self.nodes[n].paced_ms += ms,
            Do::Promote => {
                self.link(n, |link, _| link.stop());
                self.nodes[n].log_stopped = false;
            }
            Do::Log(level, text) => self.nodes[n].log.push((level, text)),
        }
    }

    fn handle_link(&mut self, n: usize, action: Action) {
        match action {
            Action::Connect { conn, port, .. } => {
                self.clients += 1;
                self.wires.push(Wire {
                    replica: n,
                    primary: usize::from(port),
                    conn,
                    client: ClientId(self.clients),
                    up: Pipe::default(),
                    down: Pipe::default(),
                    established: false,
                    paused: false,
                    unpacking: false,
                    held: Vec::new(),
                    requests: Vec::new(),
                    streaming: false,
                    closed_by_replica: false,
                    closed_by_primary: false,
                    gone: false,
                });
            }
            Action::Send(conn, bytes) => {
                if let Some(w) = self.wire_by_conn(n, conn) {
                    self.wires[w].up.data.extend(bytes);
                }
            }
            Action::Close(conn) => {
                if let Some(w) = self.wire_by_conn(n, conn) {
                    self.wires[w].closed_by_replica = true;
                }
            }
            Action::PauseReading(conn) => {
                if let Some(w) = self.wire_by_conn(n, conn) {
                    self.wires[w].paused = true;
                }
            }
            Action::ResumeReading(conn) => {
                if let Some(w) = self.wire_by_conn(n, conn) {
                    self.wires[w].paused = false;
                    self.receive(w);
                }
            }
            Action::Decompress(conn) => {
                if let Some(w) = self.wire_by_conn(n, conn) {
                    self.wires[w].unpacking = true;
                }
            }
            Action::BeginPayload(payload) => {
                assert!(
                    self.nodes[n].payload.is_none(),
                    "the payload before was not ended"
                );
                // With swapdb it goes on until the data are swapped.
                self.nodes[n].log_stopped |=
                    payload.sink != Sink::File && payload.mode != LoadMode::SwapDb;
                self.nodes[n].payload = Some((payload, Vec::new()));
            }
            Action::EndPayload { mark_bytes, .. } => {
                let bytes = &mut self.nodes[n]
                    .payload
                    .as_mut()
                    .expect("a payload was begun")
                    .1;
                bytes.truncate(bytes.len() - mark_bytes as usize);
            }
            Action::Load { load, mode } => {
                let node = &mut self.nodes[n];
                node.loading = Some(load);
                if let Some((payload, _)) = &mut node.payload {
                    payload.mode = mode;
                    node.log_stopped |= payload.sink == Sink::File && mode != LoadMode::SwapDb;
                }
            }
            Action::AbortPayload(_) => {
                let node = &mut self.nodes[n];
                (node.payload, node.loading, node.loaded) = (None, None, None);
            }
            Action::DropHistory => {
                let swap = self.nodes[n]
                    .payload
                    .as_ref()
                    .is_some_and(|(p, _)| p.mode == LoadMode::SwapDb);
                if !swap {
                    self.nodes[n].data.clear();
                }
                self.hub(n, |hub, env| hub.detach(env.now_ms));
            }
            Action::Adopt(adoption) => {
                self.nodes[n].data = self.nodes[n].loaded.take().expect("data were loaded");
                self.nodes[n].log_stopped = true;
                if let Some(db) = adoption.stream_db {
                    self.nodes[n].upstream_db = db;
                }
                self.hub(n, |hub, env| {
                    hub.adopt(env, adoption.replid, adoption.offset)
                });
            }
            Action::Branch(replid) => self.hub(n, |hub, env| hub.branch(env, replid)),
            Action::LinkUp => self.hub(n, |hub, env| hub.ensure_backlog(env)),
            Action::LinkDown => {
                self.nodes[n].unparsed.clear();
                self.nodes[n].draining = false;
            }
            Action::Drain => self.nodes[n].draining = true,
            Action::DropSpill => self.nodes[n].spill.clear(),
            Action::BeforeMainPsync => {}
            Action::RestartAof => self.nodes[n].log_stopped = false,
            Action::Failover { accepted } => {
                self.hub(n, |hub, env| hub.failover_finished(env, accepted))
            }
            Action::Log(level, text) => self.nodes[n].log.push((level, text)),
        }
    }

    pub(crate) fn kill_child(&mut self, n: usize, job: Option<JobId>) {
        let Some(child) = self.nodes[n]
            .child
            .take_if(|c| job.is_none_or(|j| j == c.job))
        else {
            return;
        };
        let complete: Vec<_> = child.targets.iter().filter(|t| t.2).map(|t| t.0).collect();
        let result = match complete.is_empty() {
            true => SnapshotResult::Failed { signal: Some(9) },
            false => SnapshotResult::Sockets { complete },
        };
        self.hub(n, |hub, env| hub.snapshot_finished(env, child.job, &result));
    }

    pub(super) fn move_child(&mut self, n: usize) -> bool {
        if self.nodes[n].hold_child {
            return false;
        }
        let Some(mut child) = self.nodes[n].child.take() else {
            return false;
        };
        if child.disk {
            self.nodes[n].dump = std::mem::take(&mut child.rdb);
            let result = SnapshotResult::Disk {
                bytes: self.nodes[n].dump.len() as u64,
            };
            self.hub(n, |hub, env| hub.snapshot_finished(env, child.job, &result));
            return true;
        }
        let mut moved = false;
        let mut failed = Vec::new();
        for (client, left, done) in &mut child.targets {
            let wire = self
                .wire_of(n, *client)
                .filter(|w| !self.wires[*w].closed_by_primary);
            match wire {
                // A client of the script's `request`: it takes everything at once.
                None if client.0 < 100 => {
                    left.clear();
                    *done = true;
                }
                None if !*done => {
                    left.clear();
                    failed.push(*client);
                }
                Some(w) if !left.is_empty() => {
                    let down = &mut self.wires[w].down.data;
                    let count = left
                        .len()
                        .min(self.chunk)
                        .min(SOCKET_BYTES.saturating_sub(down.len()));
                    down.extend(left.drain(..count));
                    moved |= count > 0;
                    *done = left.is_empty();
                }
                _ => {}
            }
        }
        if child.targets.iter().all(|(_, left, _)| left.is_empty()) {
            let complete: Vec<_> = child.targets.iter().filter(|t| t.2).map(|t| t.0).collect();
            // A writer that keeps a file goes on without receivers.
            let is_lost = complete.is_empty() && self.nodes[n].spool.is_empty();
            let result = match is_lost {
                true => SnapshotResult::Failed { signal: None },
                false => SnapshotResult::Sockets { complete },
            };
            self.hub(n, |hub, env| hub.snapshot_finished(env, child.job, &result));
            return true;
        }
        self.nodes[n].child = Some(child);
        moved
    }

    pub(super) fn move_load(&mut self, n: usize) -> bool {
        let node = &mut self.nodes[n];
        if let Some(id) = node.loading.filter(|_| !node.hold_load) {
            node.loading = None;
            let (_, bytes) = node.payload.take().expect("a payload was received");
            let result = match load(&bytes) {
                Some((data, stream_db)) => {
                    let is_empty = data.is_empty();
                    node.loaded = Some(data);
                    Loaded::Ok {
                        stream_db: Some(stream_db),
                        is_empty,
                    }
                }
                None => Loaded::Failed("the snapshot is damaged".into()),
            };
            self.link(n, |link, env| link.load_finished(env, id, result));
            return true;
        }
        if self.nodes[n].draining && !self.nodes[n].hold_drain {
            match self.link(n, |link, env| link.drain(env)) {
                Drain::Bytes(block) => self.apply(n, &block),
                Drain::Spilled(count) => {
                    let piece: Vec<u8> = self.nodes[n].spill.drain(..count as usize).collect();
                    self.apply(n, &piece);
                }
                Drain::Done => self.nodes[n].draining = false,
            }
            return true;
        }
        false
    }
}
