//! One connection: read, decode, run a batch under the engine's lock, write.
//!
//! The lock is taken once per batch. Idle connections own no buffers: input and output go through buffers of the event loop,
//! and only what is incomplete or refused by the kernel is kept.

use crate::append::gate::Passage;
use crate::compression::Packer;
use crate::descriptors::Descriptor;
use crate::dump_transfer::Part;
use crate::feed::{self, Feeder};
use crate::shared::Shared;
use crate::socket::Socket;
use engine::client::{ClientId, Peer};
use engine::host::Attention;
use engine::{NextStep, Traffic};
use resp::{Batch, Decoder, Output, Piece};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};

/// Bytes asked of the kernel at once: more than a usual request, so that a short read tells that there is no more.
const READ_BYTES: usize = 64 * 1024;
/// Requests run under one lock: a bound on how long others wait.
const BATCH_REQUESTS_MAX: usize = 512;
/// Steps before other connections have their turn.
const STEPS_PER_TURN: usize = 4;
/// A loop's buffer larger than this is not kept from one turn to the next.
const SCRATCH_BYTES_MAX: usize = 1024 * 1024;
/// A loop's buffers larger than this together are not kept from one second to the next.
const SCRATCH_BYTES_LASTING: usize = 2 * READ_BYTES;
/// Pieces of output given to the kernel at once.
const PIECES_PER_WRITE: usize = 32;
/// Held bytes above which the query buffer limit is looked at.
const HELD_BYTES_UNCHECKED: usize = 64 * 1024;
/// Held bytes above which it is looked at before login.
const HELD_BYTES_UNCHECKED_UNAUTHENTICATED: usize = 16 * 1024;

/// Buffers of an event loop, lent to whichever connection has its turn.
#[derive(Default)]
pub(crate) struct Scratch {
    input: Vec<u8>,
    batch: Batch,
    output: Output,
}

impl Scratch {
    /// A turn is over: what it has left in the buffers is of no use to anybody. True when they have grown.
    pub(crate) fn turn_done(&mut self) -> bool {
        self.input.clear();
        if self.input.capacity() > SCRATCH_BYTES_MAX {
            self.input = Vec::new();
        }
        self.batch.clear();
        if self.batch.memory() > SCRATCH_BYTES_MAX {
            self.batch = Batch::default();
        }
        self.output.clear();
        if self.output.capacity() > SCRATCH_BYTES_MAX {
            self.output = Output::default();
        }
        let bytes = self.input.capacity() + self.batch.memory() + self.output.capacity();
        bytes > SCRATCH_BYTES_LASTING
    }
}

/// Requests that have been decoded but may not run yet.
struct Held {
    batch: Batch,
    buffer: Vec<u8>,
    next: usize,
    /// The part of `buffer` that the batch covers.
    covers: Range<usize>,
}

/// Parts of a connection that are only there when needed.
#[derive(Default)]
struct Kept {
    /// Input that does not make a whole request yet, starting with the request under way.
    input: Vec<u8>,
    /// Input read while nothing may run.
    ahead: Vec<u8>,
    held: Option<Box<Held>>,
    /// Output that the kernel has not taken, and how much of the first piece is written.
    output: VecDeque<Piece>,
    written: usize,
    /// Bytes of `output` that are not written.
    unsent: usize,
    /// The output may leave when the log has come so far; 0 for at once.
    until: u64,
    /// Some of it answers requests that have appended to the log.
    has_appended: bool,
}

impl Kept {
    /// So many bytes of the output are written.
    fn forget(&mut self, count: usize) {
        self.written += count;
        self.unsent -= count;
        while let Some(first) = self.output.front()
            && self.written >= first.as_ref().len()
        {
            self.written -= first.as_ref().len();
            self.output.pop_front();
        }
    }

    fn held_bytes(&self) -> usize {
        let held = self.held.as_ref();
        let held = held.map_or(0, |held| held.buffer.len() - held.covers.start);
        self.input.len() + self.ahead.len() + held
    }
}

/// What became of a turn.
pub(crate) enum Progress {
    /// Nothing is left to do until the socket or the engine reports something.
    Idle,
    /// There may be more to do at once.
    Again,
    /// The connection is to be closed.
    Over(End),
}

/// Why a connection ends.
pub(crate) enum End {
    /// Everything is written, or the connection is broken.
    Closed,
    /// The peer has closed it.
    Left,
}

/// A running connection.
pub(crate) struct Connection {
    pub(crate) socket: Socket,
    shared: Arc<Shared>,
    attention: Arc<Attention>,
    decoder: Decoder,
    kept: Kept,
    id: ClientId,
    slot: u32,
    waits: bool,
    closing: bool,
    is_replica: bool,
    feeder: Feeder,
    /// A replica that is sent compressed data has one.
    packer: Option<Packer>,
    /// Its loop has it in line for another turn.
    pub(crate) in_line: bool,
    /// Its loop has it among those that wait for the log.
    pub(crate) waits_for_log: bool,
}

impl Connection {
    /// Makes a client of a socket that has been accepted, unless the engine refuses it. `waker` gives it a turn.
    pub(crate) fn open(
        shared: &Arc<Shared>,
        mut socket: Socket,
        peer: Peer,
        waker: &Waker,
    ) -> Option<Self> {
        let attention = Arc::new(Attention::default());
        attention.register(waker);
        let mut engine = shared.engine.lock();
        let (slot, id) = match engine.connect(peer, Arc::clone(&attention)) {
            Ok(connected) => connected,
            Err(error) => {
                drop(engine);
                let line = format!("-{}\r\n", error.text());
                // Refused anyway: a peer that does not read its refusal loses nothing.
                let _ = socket.write(line.as_bytes());
                return None;
            }
        };
        let mut decoder = Decoder::default();
        decoder.authenticated = engine.is_authenticated(id);
        let descriptor = Descriptor {
            fd: socket.raw(),
            channel: socket.channel(),
        };
        shared.descriptors.add(id, descriptor);
        drop(engine);
        Some(Connection {
            socket,
            shared: Arc::clone(shared),
            attention,
            decoder,
            kept: Kept::default(),
            id,
            slot,
            waits: false,
            closing: false,
            is_replica: false,
            feeder: Feeder::default(),
            packer: None,
            in_line: false,
            waits_for_log: false,
        })
    }

    /// Takes the client out of the engine; the socket is about to close.
    pub(crate) fn ended(&mut self, end: &End) {
        let mut engine = self.shared.engine.lock();
        if self.is_replica || engine.is_replica(self.id) {
            self.socket.shut_down();
        }
        if let End::Left = end {
            engine.peer_left(self.id);
        }
        engine.disconnect(self.slot);
        self.shared.descriptors.remove(self.id);
        drop(engine);
        self.forget_dump();
    }

    /// A handler has failed an assertion in the midst of a turn: the client is given up, and the socket about to close.
    #[cold]
    pub(crate) fn recover(&mut self, what: &str) {
        let mut engine = self.shared.engine.lock();
        engine.recover(self.slot, self.id, what);
        self.shared.descriptors.remove(self.id);
        drop(engine);
        self.forget_dump();
    }

    /// A dump file that it had not begun to send.
    fn forget_dump(&self) {
        drop(self.shared.transfers.take(self.id));
    }

    /// Does what can be done now.
    pub(crate) fn turn(&mut self, scratch: &mut Scratch) -> Progress {
        for _ in 0..STEPS_PER_TURN {
            match self.step(scratch) {
                // As much as a buffer holds, and more is likely to be there: the others first.
                Ok(Poll::Ready(bytes)) if bytes >= READ_BYTES => return Progress::Again,
                Ok(Poll::Ready(_)) => {}
                Ok(Poll::Pending) => return Progress::Idle,
                Err(end) => return Progress::Over(end),
            }
        }
        Progress::Again
    }

    /// One step: `Ready` when there may be more to do at once, with the number of bytes it has dealt with.
    fn step(&mut self, scratch: &mut Scratch) -> Result<Poll<usize>, End> {
        let attended = self.attention.lower();
        if attended {
            self.attend()?;
        }
        if self.kept.until > 0 {
            match self.shared.append.gate.passage(self.kept.until) {
                None => return Ok(Poll::Pending),
                Some(passage) => self.pass(passage),
            }
        }
        if !self.kept.output.is_empty() {
            self.write_kept()?;
        }
        let hungry = self.is_replica && self.feed_replica()?;
        if self.closing {
            return if self.kept.output.is_empty() {
                Err(End::Closed)
            } else {
                self.drain_input()
            };
        }
        if !self.waits && (self.kept.held.is_some() || !self.kept.ahead.is_empty()) {
            let held = self.kept.held_bytes();
            self.resume(scratch)?;
            return Ok(Poll::Ready(held));
        }
        match self.read(scratch)? {
            Poll::Pending if hungry => Ok(Poll::Ready(feed::BYTES_PER_TURN)),
            done => Ok(done),
        }
    }

    /// Takes what others have caused.
    fn attend(&mut self) -> Result<(), End> {
        let traffic = self.traffic(0);
        let mut output = Output::default();
        let (next, position) = {
            let mut engine = self.shared.engine.lock();
            let next = engine.take_output(self.slot, traffic, &mut output);
            self.is_replica = engine.is_replica(self.id);
            if self.is_replica && self.packer.is_none() && engine.is_compressed(self.id) {
                self.packer = Some(Packer::default());
            }
            (next, engine.state.aof.position())
        };
        if self.is_replica && self.feeder.transfer.is_none() {
            self.feeder.transfer = self.shared.transfers.take(self.id);
        }
        self.write(&mut output, position)?;
        self.follow(next)
    }

    fn follow(&mut self, next: NextStep) -> Result<(), End> {
        self.waits = next == NextStep::Wait;
        if self.waits {
            // The main loop has a new deadline to look at.
            self.shared.control.raise_changed();
        }
        if next == NextStep::Drop {
            return Err(End::Closed);
        }
        if next == NextStep::Close {
            self.closing = true;
            if self.kept.output.is_empty() {
                return Err(End::Closed);
            }
        }
        Ok(())
    }

    fn traffic(&self, received: usize) -> Traffic {
        Traffic {
            received,
            held: self.kept.held_bytes(),
            unsent: self.kept.unsent,
        }
    }

    /// Runs what was held back.
    fn resume(&mut self, scratch: &mut Scratch) -> Result<(), End> {
        if let Some(mut held) = self.kept.held.take() {
            let mut output = Output::default();
            let traffic = self.traffic(0);
            let (done, next, position) =
                self.run(&held.batch, held.next, &held.buffer, traffic, &mut output);
            if done < held.batch.len() {
                held.next = done;
                self.kept.held = Some(held);
            } else {
                self.kept.input = held.buffer.split_off(held.covers.end);
            }
            self.write(&mut output, position)?;
            self.follow(next)?;
            if self.waits || self.kept.held.is_some() {
                return Ok(());
            }
        }
        let ahead = std::mem::take(&mut self.kept.ahead);
        self.feed(&ahead);
        self.process_kept(scratch, 0)
    }

    /// Adds input that was read elsewhere to the request under way.
    fn feed(&mut self, mut bytes: &[u8]) {
        if let Some((big, missing)) = self.decoder.big_arg() {
            let (start, rest) = bytes.split_at(missing.min(bytes.len()));
            big.extend_from_slice(start);
            bytes = rest;
        }
        self.kept.input.extend_from_slice(bytes);
    }

    /// Reads what there is and runs it.
    fn read(&mut self, scratch: &mut Scratch) -> Result<Poll<usize>, End> {
        if self.waits {
            return self.read_ahead();
        }
        if self.decoder.big_arg().is_some() || !self.kept.input.is_empty() {
            return self.read_more(scratch);
        }
        let Scratch {
            input,
            batch,
            output,
        } = scratch;
        input.clear();
        input.reserve(READ_BYTES);
        let received = match self.socket.read(input, READ_BYTES) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(Ok(0)) => return Err(End::Left),
            Poll::Ready(Err(_)) => return Err(End::Closed),
            Poll::Ready(Ok(received)) => received,
        };
        output.clear();
        let used = self.decode_and_run(input, batch, output, received)?;
        if let Some(used) = used
            && used < input.len()
        {
            self.kept.input = input[used..].to_vec();
            self.check_held()?;
        }
        Ok(Poll::Ready(received))
    }

    /// Reads the rest of a request that is under way.
    fn read_more(&mut self, scratch: &mut Scratch) -> Result<Poll<usize>, End> {
        let read = match self.decoder.big_arg() {
            Some((big, missing)) => self.socket.read(big, missing),
            None => {
                self.kept.input.reserve(READ_BYTES);
                self.socket.read(&mut self.kept.input, READ_BYTES)
            }
        };
        match read {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Ok(0)) => Err(End::Left),
            Poll::Ready(Err(_)) => Err(End::Closed),
            Poll::Ready(Ok(received)) => {
                if self.decoder.big_arg().is_none() {
                    self.process_kept(scratch, received)?;
                } else {
                    self.check_held()?;
                }
                Ok(Poll::Ready(received))
            }
        }
    }

    /// While nothing may run, input is only kept: the end of the connection must be noticed.
    fn read_ahead(&mut self) -> Result<Poll<usize>, End> {
        self.kept.ahead.reserve(4096);
        match self.socket.read(&mut self.kept.ahead, READ_BYTES) {
            Poll::Pending => {
                if self.kept.ahead.is_empty() {
                    self.kept.ahead = Vec::new();
                }
                Ok(Poll::Pending)
            }
            Poll::Ready(Ok(0)) => Err(End::Left),
            Poll::Ready(Err(_)) => Err(End::Closed),
            Poll::Ready(Ok(received)) => {
                self.check_held()?;
                Ok(Poll::Ready(received))
            }
        }
    }

    /// A client that is being closed may still send: what it says no longer matters.
    fn drain_input(&mut self) -> Result<Poll<usize>, End> {
        let mut ignored = Vec::with_capacity(4096);
        match self.socket.read(&mut ignored, READ_BYTES) {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Ok(0) | Err(_)) => Err(End::Closed),
            Poll::Ready(Ok(received)) => Ok(Poll::Ready(received)),
        }
    }

    fn process_kept(&mut self, scratch: &mut Scratch, received: usize) -> Result<(), End> {
        let mut input = std::mem::take(&mut self.kept.input);
        let Scratch { batch, output, .. } = scratch;
        output.clear();
        let used = self.decode_and_run(&mut input, batch, output, received)?;
        if let Some(used) = used {
            if used < input.len() {
                input.drain(..used);
                if used > 0 {
                    // A start of a request is not to hold the room of all that came before it.
                    input.shrink_to(READ_BYTES);
                }
                self.kept.input = input;
            }
            self.check_held()?;
        }
        Ok(())
    }

    /// Decodes and runs all whole requests in `input`. Returns how many bytes were used, or `None` when `input` itself
    /// had to be kept because some requests may not run yet.
    fn decode_and_run(
        &mut self,
        input: &mut Vec<u8>,
        batch: &mut Batch,
        output: &mut Output,
        mut received: usize,
    ) -> Result<Option<usize>, End> {
        let mut start = 0;
        loop {
            batch.clear();
            // One at a time before login: the bounds change with it.
            let max = if self.decoder.authenticated {
                BATCH_REQUESTS_MAX
            } else {
                1
            };
            let bulk_bytes_max = self.shared.control.bulk_bytes_max.load(Ordering::Relaxed);
            self.decoder.bulk_bytes_max = Some(bulk_bytes_max);
            let decoded = self.decoder.decode_from(input, start, batch, max);
            let used = match &decoded {
                Ok(used) => *used,
                Err(_) => batch
                    .len()
                    .checked_sub(1)
                    .map_or(start, |last| batch.end_of(last)),
            };
            if batch.is_empty() {
                if let Err(error) = decoded {
                    self.shared.engine.lock().protocol_error(self.slot, error);
                    self.attend()?;
                    return Ok(Some(used));
                }
                return Ok(Some(used));
            }
            let traffic = self.traffic(received);
            received = 0;
            let (done, next, position) = self.run(batch, 0, input, traffic, output);
            if done == batch.len() {
                // What was stored belongs to its key alone from here on.
                batch.release_owned();
            }
            self.write(output, position)?;
            self.follow(next)?;
            if self.closing {
                return Ok(Some(used));
            }
            if done < batch.len() {
                self.kept.held = Some(Box::new(Held {
                    batch: std::mem::take(batch),
                    buffer: std::mem::take(input),
                    next: done,
                    covers: start..used,
                }));
                return Ok(None);
            }
            if self.waits && (batch.len() == max || decoded.is_err()) {
                // What is behind the batch is whole, or wrong: to be found out when the wait is over.
                self.kept.ahead = input.split_off(used);
                return Ok(Some(used));
            }
            if let Err(error) = decoded {
                self.shared.engine.lock().protocol_error(self.slot, error);
                self.attend()?;
                return Ok(Some(used));
            }
            if batch.len() < max {
                return Ok(Some(used));
            }
            start = used;
            if start == input.len() {
                return Ok(Some(used));
            }
        }
    }

    /// Runs requests under the lock. The last result is the position of the log that their replies depend on.
    fn run(
        &mut self,
        batch: &Batch,
        from: usize,
        buffer: &[u8],
        traffic: Traffic,
        output: &mut Output,
    ) -> (usize, NextStep, u64) {
        let mut engine = self.shared.engine.lock();
        let before = engine.state.aof.position();
        let ran = engine.run(self.slot, batch, from, buffer, traffic, output);
        let position = engine.state.aof.position();
        drop(engine);
        self.decoder.authenticated = ran.authenticated;
        self.kept.has_appended |= position > before;
        (ran.done, ran.next, position)
    }

    fn check_held(&mut self) -> Result<(), End> {
        let held = self.kept.held_bytes() + self.decoder.held_bytes();
        let unchecked = if self.decoder.authenticated {
            HELD_BYTES_UNCHECKED
        } else {
            HELD_BYTES_UNCHECKED_UNAUTHENTICATED
        };
        if held > unchecked
            && self
                .shared
                .engine
                .lock()
                .check_query_buffer(self.slot, held)
                == NextStep::Close
        {
            return Err(End::Closed);
        }
        Ok(())
    }

    /// Writes new output, once the log has come to `position`; keeps what the kernel does not take.
    fn write(&mut self, output: &mut Output, position: u64) -> Result<(), End> {
        if output.is_empty() {
            return Ok(());
        }
        let passage = self.shared.append.gate.passage(position);
        let may_leave = match passage {
            Some(Passage::Safe) => true,
            Some(Passage::Refused) => !self.kept.has_appended,
            None => false,
        };
        if self.kept.until > 0 || !may_leave {
            self.hold_back(output, position);
            return Ok(());
        }
        self.kept.has_appended = false;
        let mut written = 0;
        if self.kept.output.is_empty()
            && let Some(bytes) = output.contiguous()
        {
            while written < bytes.len() {
                match self.socket.write(&bytes[written..]) {
                    Poll::Ready(Ok(0) | Err(_)) => return Err(End::Closed),
                    Poll::Ready(Ok(count)) => written += count,
                    Poll::Pending => break,
                }
            }
        }
        if written < output.len() {
            self.keep(output, written)?;
        }
        output.clear();
        Ok(())
    }

    /// Keeps output until the log has come to `position`.
    fn hold_back(&mut self, output: &mut Output, position: u64) {
        self.kept.until = self.kept.until.max(position);
        self.kept.unsent += output.len();
        match output.contiguous() {
            Some(bytes) => self.kept.output.push_back(Piece::Bytes(bytes.to_vec())),
            None => output.drain_into(&mut self.kept.output),
        }
        output.clear();
    }

    /// The log position that output waits for, if some does.
    pub(crate) fn waits_until(&self) -> Option<u64> {
        (self.kept.until > 0).then_some(self.kept.until)
    }

    /// Output that was held back may leave. When the disk has refused what the client has written, it must not believe the
    /// contrary: one error takes the place of all replies, and the connection ends.
    fn pass(&mut self, passage: Passage) {
        self.kept.until = 0;
        let has_appended = std::mem::take(&mut self.kept.has_appended);
        if passage == Passage::Refused && has_appended && !self.is_replica {
            let error = self.shared.engine.lock().log_refusal();
            self.kept.output.clear();
            self.kept.written = 0;
            self.kept.unsent = error.len();
            self.kept.output.push_back(Piece::Bytes(error));
            self.closing = true;
        }
    }

    /// Keeps output of which `written` bytes are gone, and writes what can be written of all that is kept.
    #[cold]
    fn keep(&mut self, output: &mut Output, written: usize) -> Result<(), End> {
        self.kept.unsent += output.len() - written;
        match output.contiguous() {
            Some(bytes) => {
                let rest = Piece::Bytes(bytes[written..].to_vec());
                self.kept.output.push_back(rest);
            }
            None => output.drain_into(&mut self.kept.output),
        }
        self.write_kept()?;
        let unsent = self.kept.unsent;
        if unsent > 0 {
            self.shared.engine.lock().unsent(self.slot, unsent);
        }
        Ok(())
    }

    /// Writes what is kept.
    fn write_kept(&mut self) -> Result<(), End> {
        while !self.kept.output.is_empty() {
            let mut parts: SmallVec<[IoSlice<'_>; PIECES_PER_WRITE]> = SmallVec::new();
            let mut skip = self.kept.written;
            for piece in self.kept.output.iter().take(PIECES_PER_WRITE) {
                parts.push(IoSlice::new(&piece.as_ref()[skip..]));
                skip = 0;
            }
            let wrote = self.socket.write_vectored(&parts);
            drop(parts);
            match wrote {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0) | Err(_)) => return Err(End::Closed),
                Poll::Ready(Ok(count)) => self.kept.forget(count),
            }
        }
        self.kept.output = VecDeque::new();
        self.shared.engine.lock().unsent(self.slot, 0);
        Ok(())
    }

    /// Feeds a replica what is due behind the output that it has still to take. True when it could take more at once.
    fn feed_replica(&mut self) -> Result<bool, End> {
        if !self.kept.output.is_empty() {
            return Ok(false);
        }
        let mut ends = Ends {
            socket: &mut self.socket,
            packer: self.packer.as_mut(),
            shared: &self.shared,
            id: self.id,
        };
        self.feeder.feed(&mut ends).map_err(|_| End::Closed)
    }
}

/// A replica's socket, and the engine.
struct Ends<'a> {
    socket: &'a mut Socket,
    /// Compresses what follows the lines, if that has been agreed.
    packer: Option<&'a mut Packer>,
    shared: &'a Shared,
    id: ClientId,
}

impl feed::Ends for Ends<'_> {
    type Slice = replication::Slice;

    fn write(&mut self, part: Part, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match part {
            Part::Lines => self.socket.write(bytes),
            Part::Snapshot => self.write_vectored(&[IoSlice::new(bytes)]),
        }
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match &mut self.packer {
            None => self.socket.write_vectored(parts),
            Some(packer) => packer.write(parts, &mut |block| self.socket.write(block)),
        }
    }

    fn dump_taken(&mut self, bytes: usize) {
        self.shared.engine.lock().dump_taken(self.id, bytes as u64);
    }

    fn dump_sent(&mut self) {
        self.shared.engine.lock().dump_sent(self.id);
    }

    fn stream(&mut self, sent: usize, slices: &mut Vec<replication::Slice>) -> usize {
        self.shared.engine.lock().stream(self.id, sent, slices)
    }
}
