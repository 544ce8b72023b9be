//! One task per connection: read, decode, run a batch under the engine's lock, write.
//!
//! The lock is taken once per batch and never held across a wait. Idle connections own no buffers: input and output go
//! through buffers of the thread, and only what is incomplete or refused by the kernel is kept.

use crate::shared::Shared;
use bytes::BufMut;
use engine::client::{ClientId, Peer};
use engine::host::Attention;
use engine::{Then, Traffic};
use resp::{Batch, Decoder, Output, Piece};
use smallvec::SmallVec;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Bytes asked of the kernel at once: more than a usual request, so that a short read tells that there is no more.
const READ_BYTES: usize = 64 * 1024;
/// Requests run under one lock: a bound on how long others wait.
const BATCH_REQUESTS_MAX: usize = 512;
/// Batches before the task lets others run.
const BATCHES_PER_TURN: usize = 4;
/// A thread's output buffer larger than this is not kept.
const SCRATCH_BYTES_MAX: usize = 1024 * 1024;
/// Pieces of output given to the kernel at once.
const PIECES_PER_WRITE: usize = 32;
/// Held bytes above which the query buffer limit is looked at.
const HELD_BYTES_UNCHECKED: usize = 64 * 1024;
/// Held bytes above which it is looked at before login.
const HELD_BYTES_UNCHECKED_UNAUTHENTICATED: usize = 16 * 1024;

/// Buffers of a thread, lent to whichever connection runs.
#[derive(Default)]
struct Scratch {
    input: Vec<u8>,
    batch: Batch,
    output: Output,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// A socket of either kind.
pub(crate) enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// Unix domain.
    Unix(UnixStream),
}

impl Socket {
    fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut impl BufMut,
    ) -> Poll<io::Result<usize>> {
        match self {
            Socket::Tcp(stream) => poll_read_buf(stream, cx, into),
            Socket::Unix(stream) => poll_read_buf(stream, cx, into),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Socket::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Socket::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Socket::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    /// Closes both directions, also for copies of the descriptor that a child holds.
    fn shut_down(&self) {
        let socket = match self {
            Socket::Tcp(stream) => socket2::SockRef::from(stream),
            Socket::Unix(stream) => socket2::SockRef::from(stream),
        };
        // Failing means that the peer has closed it already.
        let _ = socket.shutdown(std::net::Shutdown::Both);
    }
}

fn poll_read_buf<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    into: &mut impl BufMut,
) -> Poll<io::Result<usize>> {
    std::pin::pin!(stream.read_buf(into)).as_mut().poll(cx)
}

/// Requests that have been decoded but may not run yet.
struct Held {
    batch: Batch,
    buffer: Vec<u8>,
    next: usize,
    /// Bytes of `buffer` that the batch covers.
    used: usize,
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
}

impl Kept {
    fn unsent(&self) -> usize {
        self.output
            .iter()
            .map(|piece| piece.as_ref().len())
            .sum::<usize>()
            - self.written
    }

    /// So many bytes of the output are written.
    fn forget(&mut self, count: usize) {
        self.written += count;
        while let Some(first) = self.output.front()
            && self.written >= first.as_ref().len()
        {
            self.written -= first.as_ref().len();
            self.output.pop_front();
        }
    }

    fn held_bytes(&self) -> usize {
        self.input.len() + self.ahead.len() + self.held.as_ref().map_or(0, |held| held.buffer.len())
    }
}

/// A running connection.
struct Connection {
    shared: Arc<Shared>,
    socket: Socket,
    attention: Arc<Attention>,
    decoder: Decoder,
    kept: Kept,
    slices: Vec<replication::Slice>,
    /// Bytes of `slices` already written.
    streamed: usize,
    id: ClientId,
    slot: u32,
    waits: bool,
    closing: bool,
    is_replica: bool,
    registered: bool,
    transfer: Option<crate::transfer::Transfer>,
}

/// Why a connection ends.
enum End {
    /// Everything is written, or the connection is broken.
    Closed,
    /// The peer has closed it.
    Left,
}

/// Serves a connection until it ends.
pub(crate) async fn serve(shared: Arc<Shared>, socket: Socket, peer: Peer) {
    let attention = Arc::new(Attention::default());
    let connected = shared.engine.lock().connect(peer, Arc::clone(&attention));
    let (slot, id) = match connected {
        Ok(connected) => connected,
        Err(error) => {
            let mut line = b"-".to_vec();
            line.extend_from_slice(error.text().as_bytes());
            line.extend_from_slice(b"\r\n");
            let mut socket = socket;
            // Refused anyway: a peer that does not read its refusal loses nothing.
            let _ = poll_fn(|cx| socket.poll_write(cx, &line)).await;
            return;
        }
    };
    let (bulk_bytes_max, authenticated) = {
        let engine = shared.engine.lock();
        (
            engine.core.config.proto_max_bulk_len.unsigned_abs(),
            engine.is_authenticated(id),
        )
    };
    let mut decoder = Decoder::new(bulk_bytes_max);
    decoder.authenticated = authenticated;
    let mut connection = Connection {
        shared,
        socket,
        attention,
        decoder,
        kept: Kept::default(),
        slices: Vec::new(),
        streamed: 0,
        id,
        slot,
        waits: false,
        closing: false,
        is_replica: false,
        registered: false,
        transfer: None,
    };
    // The task has its own bounds per turn; the runtime's would only add counting.
    let end = tokio::task::unconstrained(poll_fn(|cx| connection.turn(cx))).await;
    if connection.is_replica || connection.shared.engine.lock().is_replica(id) {
        connection.socket.shut_down();
    }
    // Before the socket closes: whoever gets its number next must not be taken for this client.
    {
        let mut engine = connection.shared.engine.lock();
        if let End::Left = end {
            engine.peer_left(id);
        }
        engine.disconnect(slot);
    }
    // A dump file that it had not begun to send.
    drop(connection.shared.transfers.take(id));
}

impl Connection {
    /// Does what can be done now.
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if !self.registered {
            self.attention.register(cx.waker());
            self.registered = true;
        }
        for _ in 0..BATCHES_PER_TURN {
            match self.step(cx) {
                Ok(Poll::Ready(())) => {}
                Ok(Poll::Pending) => return Poll::Pending,
                Err(end) => return Poll::Ready(end),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One step: `Ready` when there may be more to do at once.
    fn step(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, End> {
        let attended = self.attention.lower();
        if attended {
            self.attend(cx)?;
        }
        if !self.kept.output.is_empty() {
            self.write_kept(cx)?;
        }
        if self.is_replica {
            self.write_stream(cx)?;
        }
        if self.closing {
            return if self.kept.output.is_empty() {
                Err(End::Closed)
            } else {
                self.drain_input(cx)
            };
        }
        if !self.waits && (self.kept.held.is_some() || !self.kept.ahead.is_empty()) {
            self.resume(cx)?;
            return Ok(Poll::Ready(()));
        }
        self.read(cx)
    }

    /// Takes what others have caused.
    fn attend(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        let traffic = self.traffic(0);
        let mut output = Output::default();
        let then = {
            let mut engine = self.shared.engine.lock();
            let then = engine.take_output(self.slot, traffic, &mut output);
            self.is_replica = engine.is_replica(self.id);
            then
        };
        if self.is_replica && self.transfer.is_none() {
            self.transfer = self.shared.transfers.take(self.id);
        }
        self.write(cx, &mut output)?;
        self.follow(then)
    }

    fn follow(&mut self, then: Then) -> Result<(), End> {
        self.waits = then == Then::Wait;
        if self.waits {
            self.shared.deadlines.notify_one();
        }
        if then == Then::Drop {
            return Err(End::Closed);
        }
        if then == Then::Close {
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
            unsent: self.kept.unsent(),
        }
    }

    /// Runs what was held back.
    fn resume(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        if let Some(mut held) = self.kept.held.take() {
            let mut output = Output::default();
            let traffic = self.traffic(0);
            let (done, then) =
                self.run(&held.batch, held.next, &held.buffer, traffic, &mut output)?;
            if done < held.batch.len() {
                held.next = done;
                self.kept.held = Some(held);
            } else {
                self.kept.input = held.buffer.split_off(held.used);
            }
            self.write(cx, &mut output)?;
            self.follow(then)?;
            if self.waits || self.kept.held.is_some() {
                return Ok(());
            }
        }
        let ahead = std::mem::take(&mut self.kept.ahead);
        self.feed(&ahead);
        self.process_kept(cx, 0)
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
    fn read(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, End> {
        if self.waits {
            return self.read_ahead(cx);
        }
        if self.decoder.big_arg().is_some() || !self.kept.input.is_empty() {
            return self.read_more(cx);
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let Scratch {
                input,
                batch,
                output,
            } = scratch;
            input.clear();
            input.reserve(READ_BYTES);
            let received = match self
                .socket
                .poll_read_into(cx, &mut (&mut *input).limit(READ_BYTES))
            {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Ok(0)) => return Err(End::Left),
                Poll::Ready(Err(_)) => return Err(End::Closed),
                Poll::Ready(Ok(received)) => received,
            };
            output.clear();
            let used = self.decode_and_run(cx, input, batch, output, received)?;
            if let Some(used) = used
                && used < input.len()
            {
                self.kept.input = input[used..].to_vec();
                self.check_held()?;
            }
            if input.capacity() > SCRATCH_BYTES_MAX {
                *input = Vec::new();
            }
            if output.capacity() > SCRATCH_BYTES_MAX {
                *output = Output::default();
            }
            Ok(Poll::Ready(()))
        })
    }

    /// Reads the rest of a request that is under way.
    fn read_more(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, End> {
        let read = match self.decoder.big_arg() {
            Some((big, missing)) => self.socket.poll_read_into(cx, &mut big.limit(missing)),
            None => {
                self.kept.input.reserve(READ_BYTES);
                self.socket
                    .poll_read_into(cx, &mut (&mut self.kept.input).limit(READ_BYTES))
            }
        };
        match read {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Ok(0)) => Err(End::Left),
            Poll::Ready(Err(_)) => Err(End::Closed),
            Poll::Ready(Ok(received)) => {
                if self.decoder.big_arg().is_none() {
                    self.process_kept(cx, received)?;
                } else {
                    self.check_held()?;
                }
                Ok(Poll::Ready(()))
            }
        }
    }

    /// While nothing may run, input is only kept: the end of the connection must be noticed.
    fn read_ahead(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, End> {
        self.kept.ahead.reserve(4096);
        match self
            .socket
            .poll_read_into(cx, &mut (&mut self.kept.ahead).limit(READ_BYTES))
        {
            Poll::Pending => {
                if self.kept.ahead.is_empty() {
                    self.kept.ahead = Vec::new();
                }
                Ok(Poll::Pending)
            }
            Poll::Ready(Ok(0)) => Err(End::Left),
            Poll::Ready(Err(_)) => Err(End::Closed),
            Poll::Ready(Ok(_)) => {
                self.check_held()?;
                Ok(Poll::Ready(()))
            }
        }
    }

    /// A client that is being closed may still send: what it says no longer matters.
    fn drain_input(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, End> {
        let mut ignored = Vec::with_capacity(4096);
        match self.socket.poll_read_into(cx, &mut ignored) {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Ok(0) | Err(_)) => Err(End::Closed),
            Poll::Ready(Ok(_)) => Ok(Poll::Ready(())),
        }
    }

    fn process_kept(&mut self, cx: &mut Context<'_>, received: usize) -> Result<(), End> {
        let mut input = std::mem::take(&mut self.kept.input);
        let used = SCRATCH.with_borrow_mut(|scratch| {
            scratch.output.clear();
            self.decode_and_run(
                cx,
                &mut input,
                &mut scratch.batch,
                &mut scratch.output,
                received,
            )
        })?;
        if let Some(used) = used {
            if used < input.len() {
                input.drain(..used);
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
        cx: &mut Context<'_>,
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
            if start > 0 {
                let rest = input.split_off(start);
                *input = rest;
            }
            let decoded = self.decoder.decode(input, batch, max);
            let used = match &decoded {
                Ok(used) => *used,
                Err(_) => batch
                    .len()
                    .checked_sub(1)
                    .map_or(0, |last| batch.end_of(last)),
            };
            if batch.is_empty() {
                if let Err(error) = decoded {
                    self.shared.engine.lock().protocol_error(self.slot, error);
                    self.attend(cx)?;
                    return Ok(Some(used));
                }
                return Ok(Some(used));
            }
            let traffic = self.traffic(received);
            received = 0;
            let (done, then) = self.run(batch, 0, input, traffic, output)?;
            if done == batch.len() {
                // What was stored belongs to its key alone from here on.
                batch.release_owned();
            }
            self.write(cx, output)?;
            self.follow(then)?;
            if self.closing {
                return Ok(Some(used));
            }
            if done < batch.len() {
                self.kept.held = Some(Box::new(Held {
                    batch: std::mem::take(batch),
                    buffer: std::mem::take(input),
                    next: done,
                    used,
                }));
                return Ok(None);
            }
            if let Err(error) = decoded {
                self.shared.engine.lock().protocol_error(self.slot, error);
                self.attend(cx)?;
                return Ok(Some(used));
            }
            if self.waits || batch.len() < max {
                return Ok(Some(used));
            }
            start = used;
            if start == input.len() {
                return Ok(Some(used));
            }
        }
    }

    /// Runs requests under the lock.
    fn run(
        &mut self,
        batch: &Batch,
        from: usize,
        buffer: &[u8],
        traffic: Traffic,
        output: &mut Output,
    ) -> Result<(usize, Then), End> {
        let mut engine = self.shared.engine.lock();
        let ran = catch_unwind(AssertUnwindSafe(|| {
            engine.run(self.slot, batch, from, buffer, traffic, output)
        }));
        match ran {
            Ok(ran) => {
                if !self.decoder.authenticated {
                    self.decoder.authenticated = engine.is_authenticated(self.id);
                }
                Ok((ran.done, ran.then))
            }
            Err(panic) => {
                let what = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("unknown");
                engine.recover(self.slot, self.id, what);
                Err(End::Closed)
            }
        }
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
                == Then::Close
        {
            return Err(End::Closed);
        }
        Ok(())
    }

    /// Writes new output; keeps what the kernel does not take.
    fn write(&mut self, cx: &mut Context<'_>, output: &mut Output) -> Result<(), End> {
        if output.is_empty() {
            return Ok(());
        }
        let mut written = 0;
        if self.kept.output.is_empty()
            && let Some(bytes) = output.contiguous()
        {
            while written < bytes.len() {
                match self.socket.poll_write(cx, &bytes[written..]) {
                    Poll::Ready(Ok(0) | Err(_)) => return Err(End::Closed),
                    Poll::Ready(Ok(count)) => written += count,
                    Poll::Pending => break,
                }
            }
        }
        if written < output.len() {
            self.keep(cx, output, written)?;
        }
        output.clear();
        Ok(())
    }

    /// Keeps output of which `written` bytes are gone, and writes what can be written of all that is kept.
    #[cold]
    fn keep(
        &mut self,
        cx: &mut Context<'_>,
        output: &mut Output,
        written: usize,
    ) -> Result<(), End> {
        match output.contiguous() {
            Some(bytes) => {
                let rest = Piece::Bytes(bytes[written..].to_vec());
                self.kept.output.push_back(rest);
            }
            None => output.drain_into(&mut self.kept.output),
        }
        self.write_kept(cx)?;
        let unsent = self.kept.unsent();
        if unsent > 0 {
            self.shared.engine.lock().unsent(self.slot, unsent);
        }
        Ok(())
    }

    /// Writes what is kept.
    fn write_kept(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        while !self.kept.output.is_empty() {
            let mut parts: SmallVec<[IoSlice<'_>; PIECES_PER_WRITE]> = SmallVec::new();
            let mut skip = self.kept.written;
            for piece in self.kept.output.iter().take(PIECES_PER_WRITE) {
                parts.push(IoSlice::new(&piece.as_ref()[skip..]));
                skip = 0;
            }
            let wrote = self.socket.poll_write_vectored(cx, &parts);
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

    /// Feeds a replica: first the dump file, if one is due, then the stream. Nothing is copied.
    fn write_stream(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        if !self.kept.output.is_empty() {
            return Ok(());
        }
        if let Some(transfer) = &mut self.transfer {
            match transfer.poll(|bytes| self.socket.poll_write(cx, bytes)) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(_)) => return Err(End::Closed),
                Poll::Ready(Ok(bytes)) => {
                    self.transfer = None;
                    self.shared.engine.lock().dump_sent(self.id, bytes);
                }
            }
        }
        let mut sent = 0;
        loop {
            let total: usize = self.slices.iter().map(|slice| slice.len()).sum();
            if self.streamed == total {
                self.slices.clear();
                self.streamed = 0;
                let count = self
                    .shared
                    .engine
                    .lock()
                    .stream(self.id, sent, &mut self.slices);
                if count == 0 {
                    return Ok(());
                }
                sent = 0;
            }
            let mut skip = self.streamed;
            let mut parts = Vec::with_capacity(self.slices.len());
            for slice in &self.slices {
                if skip >= slice.len() {
                    skip -= slice.len();
                } else {
                    parts.push(IoSlice::new(&slice[skip..]));
                    skip = 0;
                }
            }
            match self.socket.poll_write_vectored(cx, &parts) {
                Poll::Pending => {
                    if sent > 0 {
                        // What is written must be let go of now; the rest is asked for again.
                        let mut unused = Vec::new();
                        self.shared.engine.lock().stream(self.id, sent, &mut unused);
                        self.slices = unused;
                        self.streamed = 0;
                    }
                    return Ok(());
                }
                Poll::Ready(Ok(0) | Err(_)) => return Err(End::Closed),
                Poll::Ready(Ok(count)) => {
                    self.streamed += count;
                    sent += count;
                }
            }
        }
    }
}
