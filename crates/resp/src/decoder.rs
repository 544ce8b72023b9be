//! Requests in: multibulk and inline, any split of the bytes, no allocation per argument.

use crate::inline::split_args;
use crate::limits::{
    BIG_ARG_BYTES, EXCERPT_END_BYTES, HEADER_BYTES_MAX, INLINE_BYTES_MAX, MULTIBULK_COUNT_MAX,
    RESERVE_AHEAD_ARGS, RESERVE_AHEAD_BYTES, RESERVE_FIRST_BYTES, UNAUTHENTICATED_BULK_BYTES_MAX,
    UNAUTHENTICATED_MULTIBULK_COUNT_MAX,
};
use std::fmt;
use std::sync::Arc;
use words::int::parse_i64;

/// Where one argument of a decoded request lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// In the input buffer: `start..start + len`.
    Span {
        /// Offset of the first byte in the buffer given to [`Decoder::decode`].
        start: u32,
        /// Length in bytes.
        len: u32,
    },
    /// In [`Batch::owned`], at this index: inline words and big arguments.
    Owned(u32),
    /// In the input buffer, but beyond what a span can tell: where is in [`Batch::far`], at this index.
    Far(u32),
}

/// Complete requests found in one buffer. Reused from batch to batch.
#[derive(Default, Debug)]
pub struct Batch {
    args: Vec<Arg>,
    /// For each request: where its arguments end in `args`, and where its bytes end in the buffer.
    requests: Vec<(u32, usize)>,
    /// Arguments that do not lie in the buffer. They are counted, so that a big one can become the stored value as it is.
    owned: Vec<Arc<Vec<u8>>>,
    /// Start and length of arguments in a buffer of more than 4 GiB, as one of a primary's commands may fill it.
    far: Vec<(usize, usize)>,
}

impl Batch {
    /// Number of requests.
    #[must_use]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// True when there is no request.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Forgets everything, keeps the allocations.
    pub fn clear(&mut self) {
        self.args.clear();
        self.requests.clear();
        self.owned.clear();
        self.far.clear();
    }

    /// Memory of the lists, in bytes; of the arguments that do not lie in the buffer their allocations come on top.
    #[must_use]
    pub fn memory(&self) -> usize {
        let bytes = |capacity: usize, each: usize| capacity.saturating_mul(each);
        bytes(self.args.capacity(), size_of::<Arg>())
            .saturating_add(bytes(self.requests.capacity(), size_of::<(u32, usize)>()))
            .saturating_add(bytes(self.owned.capacity(), size_of::<Arc<Vec<u8>>>()))
            .saturating_add(bytes(self.far.capacity(), size_of::<(usize, usize)>()))
    }

    /// Arguments of request `index`; none for an empty line or an empty array.
    #[must_use]
    pub fn request(&self, index: usize) -> &[Arg] {
        let start = match index.checked_sub(1) {
            Some(before) => self.requests.get(before).map_or(0, |r| r.0 as usize),
            None => 0,
        };
        let end = self.requests.get(index).map_or(start, |r| r.0 as usize);
        self.args.get(start..end).unwrap_or(&[])
    }

    /// Offset in the buffer just behind request `index`.
    #[must_use]
    pub fn end_of(&self, index: usize) -> usize {
        self.requests.get(index).map_or(0, |r| r.1)
    }

    /// The bytes of one argument.
    #[must_use]
    #[inline]
    pub fn bytes<'a>(&'a self, buffer: &'a [u8], arg: Arg) -> &'a [u8] {
        let (start, len) = match arg {
            Arg::Span { start, len } => (start as usize, len as usize),
            Arg::Far(index) => self.far.get(index as usize).copied().unwrap_or_default(),
            Arg::Owned(index) => {
                let owned = self.owned.get(index as usize);
                return owned.map_or(&[], |bytes| bytes.as_slice());
            }
        };
        let end = start.saturating_add(len);
        buffer.get(start..end).unwrap_or(&[])
    }

    /// The argument of `len` bytes at `start` of the buffer, of which spans can tell the first `near_bytes_max` bytes.
    fn place(&mut self, start: usize, len: usize, near_bytes_max: usize) -> Arg {
        if start.saturating_add(len) <= near_bytes_max {
            return Arg::Span {
                start: start as u32,
                len: len as u32,
            };
        }
        self.far.push((start, len));
        Arg::Far((self.far.len() as u32).saturating_sub(1))
    }

    /// The arguments that have an allocation of their own and are big.
    pub fn big_args(&self) -> impl Iterator<Item = &Arc<Vec<u8>>> {
        self.owned
            .iter()
            .filter(|bytes| bytes.len() >= BIG_ARG_BYTES)
    }

    /// Lets go of the arguments that do not lie in the buffer; they are empty from now on.
    pub fn release_owned(&mut self) {
        self.owned.clear();
    }
}

/// How a peer has violated the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// An inline request grew past its bound without a line end.
    TooBigInline,
    /// An inline request with quotes that do not balance.
    UnbalancedQuotes,
    /// An inline request from a primary, which sends none.
    InlineFromPrimary,
    /// A `*` line grew past its bound.
    TooBigCountString,
    /// A `$` line grew past its bound.
    TooBigBulkCountString,
    /// A count that is no number or is too large.
    InvalidMultibulkLength,
    /// Too many arguments for a peer that has not logged in.
    UnauthenticatedMultibulkLength,
    /// A length that is no number, negative or too large.
    InvalidBulkLength,
    /// Too long an argument for a peer that has not logged in.
    UnauthenticatedBulkLength,
    /// Something else where `$` was due.
    ExpectedDollar(u8),
}

impl fmt::Display for Violation {
    /// The text of the reference, without the leading `-ERR `.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::TooBigInline => "too big inline request",
            Self::UnbalancedQuotes => "unbalanced quotes in request",
            Self::InlineFromPrimary => "inline request from the primary",
            Self::TooBigCountString => "too big mbulk count string",
            Self::TooBigBulkCountString => "too big bulk count string",
            Self::InvalidMultibulkLength => "invalid multibulk length",
            Self::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            Self::InvalidBulkLength => "invalid bulk length",
            Self::UnauthenticatedBulkLength => "unauthenticated bulk length",
            Self::ExpectedDollar(got) => {
                let got = if got.is_ascii_graphic() || *got == b' ' {
                    char::from(*got)
                } else {
                    '?'
                };
                return write!(f, "Protocol error: expected '$', got '{got}'");
            }
        };
        write!(f, "Protocol error: {what}")
    }
}

impl Violation {
    /// What the log of the reference calls it.
    fn in_log(self) -> &'static str {
        match self {
            Self::TooBigInline => "too big inline request",
            Self::UnbalancedQuotes => "unbalanced quotes in inline request",
            Self::InlineFromPrimary => "Master using the inline protocol. Desync?",
            Self::TooBigCountString => "too big mbulk count string",
            Self::TooBigBulkCountString => "too big bulk count string",
            Self::InvalidMultibulkLength => "invalid mbulk count",
            Self::UnauthenticatedMultibulkLength => "unauth mbulk count",
            Self::InvalidBulkLength => "invalid bulk length",
            Self::UnauthenticatedBulkLength => "unauth bulk length",
            Self::ExpectedDollar(_) => "expected $ but got something else",
        }
    }
}

/// What a peer did wrong. The connection is closed after the reply, whose text is the error's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError {
    /// The violation.
    pub violation: Violation,
    /// The bytes that were not understood as the log shows them: shortened, and none that is unprintable.
    pub excerpt: String,
}

impl ProtocolError {
    fn new(violation: Violation, unread: &[u8]) -> Self {
        Self {
            violation,
            excerpt: excerpt(unread),
        }
    }

    /// The text of the reply, without the leading `-ERR `: as [`fmt::Display`] has it, but with any byte as it came.
    #[must_use]
    pub fn reply(&self) -> Vec<u8> {
        match self.violation {
            Violation::ExpectedDollar(got) => [
                b"Protocol error: expected '$', got '",
                [got].as_slice(),
                b"'",
            ]
            .concat(),
            other => other.to_string().into_bytes(),
        }
    }

    /// The line of the log about a client that is described so.
    #[must_use]
    pub fn log_line(&self, client: &str) -> String {
        format!(
            "Protocol error ({}) from client: {client}. Query buffer during protocol error: {}",
            self.violation.in_log(),
            self.excerpt
        )
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.violation.fmt(f)
    }
}

/// Quotes `unread`; of long texts both ends.
fn excerpt(unread: &[u8]) -> String {
    let printable = |bytes: &[u8]| -> String {
        let is_plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        let shown = |byte: &u8| char::from(if is_plain(*byte) { *byte } else { b'.' });
        bytes.iter().map(shown).collect()
    };
    match (
        unread.first_chunk::<EXCERPT_END_BYTES>(),
        unread.last_chunk::<EXCERPT_END_BYTES>(),
        unread.len().checked_sub(2 * EXCERPT_END_BYTES),
    ) {
        (Some(first), Some(last), Some(between)) => format!(
            "'{}' (... more {between} bytes ...) '{}'",
            printable(first),
            printable(last)
        ),
        _ => format!("'{}'", printable(unread)),
    }
}

/// Progress inside the request under way. Everything is relative to that request's first byte.
#[derive(Default, Debug)]
struct Progress {
    /// Next byte to look at.
    at: usize,
    /// Arguments still to come; `None` before the header line.
    args_left: Option<u32>,
    /// Length of the argument whose data comes next.
    bulk_len: Option<usize>,
    /// Bytes after `at` already searched for a line end.
    searched: usize,
    /// The arguments so far, with what they refer to as in a [`Batch`].
    args: Vec<Arg>,
    owned: Vec<Arc<Vec<u8>>>,
    far: Vec<(usize, usize)>,
    /// Memory of `owned`, in bytes.
    owned_bytes: usize,
}

impl Progress {
    /// Puts the arguments so far into a batch, for a request that starts at `start`.
    ///
    /// A request of very many arguments comes in very many pieces. So they are moved as a whole if they can be.
    fn resume(&mut self, batch: &mut Batch, start: usize, near_bytes_max: usize) {
        if start == 0 && batch.args.is_empty() && batch.owned.is_empty() && batch.far.is_empty() {
            self.swap(batch);
            return;
        }
        let first_owned = batch.owned.len() as u32;
        for arg in self.args.drain(..) {
            let placed = match arg {
                Arg::Owned(index) => Arg::Owned(index.saturating_add(first_owned)),
                Arg::Span { start: at, len } => {
                    let at = start.saturating_add(at as usize);
                    batch.place(at, len as usize, near_bytes_max)
                }
                Arg::Far(index) => {
                    let (at, len) = self.far.get(index as usize).copied().unwrap_or_default();
                    batch.place(start.saturating_add(at), len, near_bytes_max)
                }
            };
            batch.args.push(placed);
        }
        batch.owned.append(&mut self.owned);
        self.far.clear();
    }

    /// Takes the arguments back that are in the batch from `first` on: those of a request that starts at `start`.
    fn suspend(&mut self, batch: &mut Batch, start: usize, first: Firsts) {
        if start == 0 && first == Firsts::default() {
            self.swap(batch);
            return;
        }
        for arg in batch.args.drain(first.arg..) {
            let taken = match arg {
                Arg::Owned(index) => Arg::Owned(index.saturating_sub(first.owned as u32)),
                Arg::Span { start: at, len } => Arg::Span {
                    start: at.saturating_sub(start as u32),
                    len,
                },
                Arg::Far(index) => {
                    let far = batch.far.get(index as usize).copied();
                    let (at, len) = far.unwrap_or_default();
                    self.far.push((at.saturating_sub(start), len));
                    Arg::Far((self.far.len() as u32).saturating_sub(1))
                }
            };
            self.args.push(taken);
        }
        self.owned.extend(batch.owned.drain(first.owned..));
        batch.far.truncate(first.far);
    }

    fn swap(&mut self, batch: &mut Batch) {
        std::mem::swap(&mut self.args, &mut batch.args);
        std::mem::swap(&mut self.owned, &mut batch.owned);
        std::mem::swap(&mut self.far, &mut batch.far);
    }
}

/// Where the parts of a request begin in the lists of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Firsts {
    arg: usize,
    owned: usize,
    far: usize,
}

/// Decodes requests from a byte stream.
///
/// The caller owns the buffer. It calls [`Self::decode`] with all bytes that were not consumed yet, starting with the
/// request under way, and drops what was consumed afterwards. A big argument is collected by the decoder itself, see
/// [`Self::big_arg`].
#[derive(Default, Debug)]
pub struct Decoder {
    progress: Option<Box<Progress>>,
    /// The big argument under way and its final length.
    big: Option<(Vec<u8>, usize)>,
    /// Upper bound of an argument, in bytes (`proto-max-bulk-len`); `None` for a trusted primary.
    pub bulk_bytes_max: Option<u64>,
    in_place: bool,
    /// How many bytes of a buffer spans can tell, if not all that fit in their 32 bits: tests have no 4 GiB.
    near_bytes_max: Option<usize>,
    /// Set once the peer has logged in; before that smaller bounds apply.
    pub authenticated: bool,
}

/// What a look at the next piece of a request gave.
enum Step {
    More,
    Partial,
    Done,
}

impl Decoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub fn new(bulk_bytes_max: u64) -> Self {
        Self {
            progress: None,
            big: None,
            bulk_bytes_max: Some(bulk_bytes_max),
            in_place: false,
            near_bytes_max: None,
            authenticated: false,
        }
    }

    fn near_bytes_max(&self) -> usize {
        self.near_bytes_max.unwrap_or(u32::MAX as usize)
    }

    /// The big argument under way: its bytes so far and how many are missing. The caller may read from its socket
    /// straight into it (never more than what is missing); [`Self::decode`] goes on once it is complete.
    pub fn big_arg(&mut self) -> Option<(&mut Vec<u8>, usize)> {
        let (bytes, total) = self.big.as_mut()?;
        let missing = total.saturating_sub(bytes.len());
        if missing == 0 {
            return None;
        }
        if bytes.capacity() == bytes.len() {
            bytes.reserve_exact(missing.min(room_ahead(bytes.len())));
        }
        Some((bytes, missing))
    }

    /// Bytes held here for the request under way.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let owned = self.progress.as_ref().map_or(0, |p| p.owned_bytes);
        self.big
            .as_ref()
            .map_or(0, |(bytes, _)| bytes.capacity())
            .saturating_add(owned)
    }

    /// True in the middle of a request.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.progress.is_some() || self.big.is_some()
    }

    /// Appends up to `requests_max` complete requests in `buffer` to `batch`; returns the number of bytes consumed.
    ///
    /// Requests without arguments (an empty line, `*0`) are delivered too: a replica's newline is a sign of life.
    ///
    /// # Errors
    /// The first violation of the protocol; requests before it are in `batch`.
    pub fn decode(
        &mut self,
        buffer: &mut Vec<u8>,
        batch: &mut Batch,
        requests_max: usize,
    ) -> Result<usize, ProtocolError> {
        self.decode_from(buffer, 0, batch, requests_max)
    }

    /// As [`Self::decode`], but the first `start` bytes of `buffer` have been consumed before and are passed over: a long
    /// pipeline need not move for every batch that is taken from it. Returns the offset behind what is consumed.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_from(
        &mut self,
        buffer: &mut Vec<u8>,
        mut start: usize,
        batch: &mut Batch,
        requests_max: usize,
    ) -> Result<usize, ProtocolError> {
        while batch.len() < requests_max {
            if let Some((bytes, total)) = &self.big {
                if bytes.len() < *total {
                    break;
                }
                self.finish_big();
            }
            if self.progress.is_none() {
                while batch.len() < requests_max
                    && buffer.len() <= self.near_bytes_max()
                    && let Some(end) = self.decode_whole(buffer, start, batch)
                {
                    start = end;
                }
                if start == buffer.len() || batch.len() >= requests_max {
                    break;
                }
            }
            let mut progress = self
                .progress
                .take()
                .map_or_else(Progress::default, |boxed| *boxed);
            let first = Firsts {
                arg: batch.args.len(),
                owned: batch.owned.len(),
                far: batch.far.len(),
            };
            progress.resume(batch, start, self.near_bytes_max());
            loop {
                let at = start.saturating_add(progress.at);
                let step = self
                    .step(buffer, start, &mut progress, batch)
                    .map_err(|violation| {
                        ProtocolError::new(violation, buffer.get(at..).unwrap_or(&[]))
                    })?;
                match step {
                    Step::More => {}
                    Step::Done => {
                        start = start.saturating_add(progress.at);
                        batch.requests.push((batch.args.len() as u32, start));
                        break;
                    }
                    Step::Partial => {
                        if start.saturating_add(progress.at) < buffer.len()
                            || progress.at > 0
                            || self.big.is_some()
                        {
                            progress.suspend(batch, start, first);
                            self.progress = Some(Box::new(progress));
                        }
                        return Ok(start);
                    }
                }
            }
        }
        Ok(start)
    }

    /// The common case in one pass: a multibulk request that lies whole in the buffer.
    ///
    /// Returns the offset behind it, or `None` when anything is missing, big or unusual; [`Self::step`] then decides.
    fn decode_whole(&self, buffer: &[u8], start: usize, batch: &mut Batch) -> Option<usize> {
        let first_arg = batch.args.len();
        let whole = self.scan_whole(buffer, start, batch);
        match whole {
            Some(end) => batch.requests.push((batch.args.len() as u32, end)),
            None => batch.args.truncate(first_arg),
        }
        whole
    }

    #[inline]
    fn scan_whole(&self, buffer: &[u8], start: usize, batch: &mut Batch) -> Option<usize> {
        let (count, mut rest) = short_header(buffer.get(start..)?, b'*')?;
        if !self.authenticated && i64::from(count) > UNAUTHENTICATED_MULTIBULK_COUNT_MAX {
            return None;
        }
        for _ in 0..count {
            let (len, data) = short_header(rest, b'$')?;
            if !self.authenticated && i64::from(len) > UNAUTHENTICATED_BULK_BYTES_MAX {
                return None;
            }
            // At most six digits: no overflow, and far below every `proto-max-bulk-len`.
            rest = data.get((len as usize).wrapping_add(2)..)?;
            batch.args.push(Arg::Span {
                start: buffer.len().wrapping_sub(data.len()) as u32,
                len,
            });
        }
        Some(buffer.len().wrapping_sub(rest.len()))
    }

    /// As [`Self::decode`], but big arguments stay in the buffer like all others: for a stream whose bytes are needed
    /// afterwards. Not to be mixed with [`Self::decode`] within a request.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_in_place(
        &mut self,
        buffer: &mut Vec<u8>,
        batch: &mut Batch,
    ) -> Result<usize, ProtocolError> {
        self.in_place = true;
        let decoded = self.decode(buffer, batch, usize::MAX);
        self.in_place = false;
        decoded
    }

    fn finish_big(&mut self) {
        if let (Some((mut bytes, total)), Some(progress)) =
            (self.big.take(), self.progress.as_mut())
        {
            bytes.truncate(total.saturating_sub(2));
            progress.owned_bytes = progress.owned_bytes.saturating_add(bytes.capacity());
            progress.args.push(Arg::Owned(progress.owned.len() as u32));
            progress.owned.push(Arc::new(bytes));
        }
    }

    fn step(
        &mut self,
        buffer: &mut Vec<u8>,
        start: usize,
        progress: &mut Progress,
        batch: &mut Batch,
    ) -> Result<Step, Violation> {
        let at = start.saturating_add(progress.at);
        match (progress.args_left, progress.bulk_len) {
            (None, _) => match buffer.get(at) {
                None => Ok(Step::Partial),
                Some(b'*') => self.header(buffer, at, progress, batch),
                Some(_) => self.inline(buffer, at, progress, batch),
            },
            (Some(0), _) => Ok(Step::Done),
            (Some(_), None) => self.bulk_header(buffer, at, progress),
            (Some(left), Some(len)) => {
                let end = at.saturating_add(len);
                if buffer.len() >= end.saturating_add(2) {
                    let arg = batch.place(at, len, self.near_bytes_max());
                    batch.args.push(arg);
                    progress.at = progress.at.saturating_add(len).saturating_add(2);
                    progress.bulk_len = None;
                    progress.args_left = Some(left.saturating_sub(1));
                    if left == 1 {
                        Ok(Step::Done)
                    } else {
                        Ok(Step::More)
                    }
                } else if len >= BIG_ARG_BYTES && !self.in_place {
                    // The bytes move out of the buffer; the CRLF behind them counts as part of the argument and is cut off.
                    let arrived = buffer.get(at..).unwrap_or(&[]);
                    let total = len.saturating_add(2);
                    let room = arrived.len().saturating_add(room_ahead(arrived.len()));
                    let mut bytes = Vec::with_capacity(total.min(room));
                    bytes.extend_from_slice(arrived);
                    buffer.truncate(at);
                    self.big = Some((bytes, total));
                    progress.bulk_len = None;
                    progress.args_left = Some(left.saturating_sub(1));
                    Ok(Step::Partial)
                } else {
                    Ok(Step::Partial)
                }
            }
        }
    }

    fn header(
        &self,
        buffer: &[u8],
        at: usize,
        progress: &mut Progress,
        batch: &mut Batch,
    ) -> Result<Step, Violation> {
        let Some(line) = line(buffer, at, progress, Violation::TooBigCountString)? else {
            return Ok(Step::Partial);
        };
        let count = line
            .get(1..)
            .and_then(parse_i64)
            .filter(|count| *count <= MULTIBULK_COUNT_MAX)
            .ok_or(Violation::InvalidMultibulkLength)?;
        if count > UNAUTHENTICATED_MULTIBULK_COUNT_MAX && !self.authenticated {
            return Err(Violation::UnauthenticatedMultibulkLength);
        }
        let count = u32::try_from(count.max(0)).unwrap_or(0);
        batch.args.reserve((count as usize).min(RESERVE_AHEAD_ARGS));
        progress.args_left = Some(count);
        Ok(Step::More)
    }

    fn inline(
        &self,
        buffer: &[u8],
        at: usize,
        progress: &mut Progress,
        batch: &mut Batch,
    ) -> Result<Step, Violation> {
        let rest = buffer.get(at..).unwrap_or(&[]);
        let unseen = rest.get(progress.searched..).unwrap_or(&[]);
        let Some(found) = memchr::memchr(b'\n', unseen) else {
            if rest.len() > INLINE_BYTES_MAX {
                return Err(Violation::TooBigInline);
            }
            progress.searched = rest.len();
            return Ok(Step::Partial);
        };
        let len = progress.searched.saturating_add(found);
        if len > INLINE_BYTES_MAX {
            return Err(Violation::TooBigInline);
        }
        let line = rest.get(..len).unwrap_or(&[]);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let words = split_args(line).ok_or(Violation::UnbalancedQuotes)?;
        // An empty line is a primary's sign of life; words are what a stream looks like that has lost its way.
        if self.bulk_bytes_max.is_none() && !words.is_empty() {
            return Err(Violation::InlineFromPrimary);
        }
        for word in words {
            batch.args.push(Arg::Owned(batch.owned.len() as u32));
            batch.owned.push(Arc::new(word));
        }
        progress.searched = 0;
        progress.at = progress.at.saturating_add(len).saturating_add(1);
        Ok(Step::Done)
    }

    fn bulk_header(
        &self,
        buffer: &[u8],
        at: usize,
        progress: &mut Progress,
    ) -> Result<Step, Violation> {
        let Some(line) = line(buffer, at, progress, Violation::TooBigBulkCountString)? else {
            return Ok(Step::Partial);
        };
        match line.split_first() {
            Some((b'$', digits)) => {
                let len = parse_i64(digits)
                    .filter(|len| *len >= 0)
                    .ok_or(Violation::InvalidBulkLength)?;
                if self
                    .bulk_bytes_max
                    .is_some_and(|max| len.cast_unsigned() > max)
                {
                    return Err(Violation::InvalidBulkLength);
                }
                if len > UNAUTHENTICATED_BULK_BYTES_MAX && !self.authenticated {
                    return Err(Violation::UnauthenticatedBulkLength);
                }
                progress.bulk_len =
                    Some(usize::try_from(len).map_err(|_| Violation::InvalidBulkLength)?);
                Ok(Step::More)
            }
            Some((other, _)) => Err(Violation::ExpectedDollar(*other)),
            None => Err(Violation::ExpectedDollar(b'\r')),
        }
    }
}

/// Bytes to reserve for a big argument of which so many have arrived: the more there are, the more is believed of the
/// promise.
fn room_ahead(arrived: usize) -> usize {
    arrived
        .saturating_mul(3)
        .clamp(RESERVE_FIRST_BYTES, RESERVE_AHEAD_BYTES)
        .max(arrived)
}

/// Reads `<kind><1 to 6 digits>\r\n`: the number and what follows the line. `None` for anything else.
#[inline]
fn short_header(line: &[u8], kind: u8) -> Option<(u32, &[u8])> {
    let digit = |byte: u8| u32::from(byte & 0x0f);
    match line {
        [first, a @ b'0'..=b'9', b'\r', _, rest @ ..] if *first == kind => Some((digit(*a), rest)),
        [first, a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', _, rest @ ..] if *first == kind => {
            Some((digit(*a).wrapping_mul(10).wrapping_add(digit(*b)), rest))
        }
        [first, digits @ ..] if *first == kind => longer_header(digits),
        _ => None,
    }
}

/// As [`short_header`], from the digits on.
fn longer_header(digits: &[u8]) -> Option<(u32, &[u8])> {
    let mut value: u32 = 0;
    for (index, &byte) in digits.iter().take(7).enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            let rest = digits.get(index.wrapping_add(2)..)?;
            // Canonical numbers only: "00", "007" and a missing digit take the strict path.
            let canonical = index == 1 || (index > 1 && digits.first() != Some(&b'0'));
            return (byte == b'\r' && canonical).then_some((value, rest));
        }
        value = value.wrapping_mul(10).wrapping_add(u32::from(digit));
    }
    None
}

/// The line at `at` without its CRLF, once it is whole; moves `progress` behind it.
fn line<'a>(
    buffer: &'a [u8],
    at: usize,
    progress: &mut Progress,
    too_long: Violation,
) -> Result<Option<&'a [u8]>, Violation> {
    let rest = buffer.get(at..).unwrap_or(&[]);
    let unseen = rest.get(progress.searched..).unwrap_or(&[]);
    match memchr::memchr(b'\r', unseen) {
        // The byte behind the CR must have come too; like the reference we do not look at its value.
        Some(found) if progress.searched.saturating_add(found).saturating_add(1) < rest.len() => {
            let len = progress.searched.saturating_add(found);
            progress.searched = 0;
            progress.at = progress.at.saturating_add(len).saturating_add(2);
            Ok(rest.get(..len))
        }
        Some(found) => {
            progress.searched = progress.searched.saturating_add(found);
            Ok(None)
        }
        None if rest.len() > HEADER_BYTES_MAX => Err(too_long),
        None => {
            progress.searched = rest.len();
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, Decoder};
    use crate::limits::BIG_ARG_BYTES;

    fn encoded(requests: &[Vec<Vec<u8>>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for request in requests {
            bytes.extend_from_slice(format!("*{}\r\n", request.len()).as_bytes());
            for arg in request {
                bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
                bytes.extend_from_slice(arg);
                bytes.extend_from_slice(b"\r\n");
            }
        }
        bytes
    }

    /// Decodes in pieces of `step` bytes with a buffer of which only so many bytes are near.
    fn decode(bytes: &[u8], step: usize, near: usize, in_place: bool) -> Vec<Vec<Vec<u8>>> {
        let mut decoder = Decoder::new(1 << 30);
        decoder.authenticated = true;
        decoder.near_bytes_max = Some(near);
        let (mut buffer, mut batch, mut requests) = (Vec::new(), Batch::default(), Vec::new());
        for mut piece in bytes.chunks(step) {
            while !piece.is_empty() {
                let taken = match decoder.big_arg() {
                    Some((big, missing)) => {
                        let taken = missing.min(piece.len());
                        big.extend_from_slice(&piece[..taken]);
                        taken
                    }
                    None => {
                        buffer.extend_from_slice(piece);
                        piece.len()
                    }
                };
                piece = &piece[taken..];
                batch.clear();
                let used = if in_place {
                    decoder.decode_in_place(&mut buffer, &mut batch)
                } else {
                    decoder.decode(&mut buffer, &mut batch, usize::MAX)
                };
                for index in 0..batch.len() {
                    let args = batch.request(index).iter();
                    let args = args.map(|arg| batch.bytes(&buffer, *arg).to_vec());
                    requests.push(args.collect());
                }
                buffer.drain(..used.unwrap());
            }
        }
        assert!(buffer.is_empty() && !decoder.is_partial());
        requests
    }

    #[test]
    fn a_buffer_larger_than_spans_can_tell_is_decoded_all_the_same() {
        let words = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect();
        let requests: Vec<Vec<Vec<u8>>> = vec![
            words(&["PING"]),
            words(&["SET", "k", "0123456789012345678901234567890"]),
            (0..40).map(|n| n.to_string().into_bytes()).collect(),
            vec![
                b"SET".to_vec(),
                vec![b'x'; BIG_ARG_BYTES + 7],
                b"y".to_vec(),
            ],
            words(&["GET", ""]),
        ];
        let bytes = encoded(&requests);
        for near in [0, 9, 60, 200, BIG_ARG_BYTES, usize::MAX] {
            for step in [1, 7, 100, 50_000, bytes.len()] {
                for in_place in [false, true] {
                    assert!(
                        decode(&bytes, step, near, in_place) == requests,
                        "{near} near bytes, pieces of {step}, in place: {in_place}"
                    );
                }
            }
        }
    }

    #[test]
    fn bytes_held_for_big_arguments_are_counted() {
        let args: Vec<Vec<u8>> = (0..3).map(|_| vec![b'x'; BIG_ARG_BYTES]).collect();
        let bytes = encoded(&[args]);
        let mut decoder = Decoder::new(1 << 30);
        decoder.authenticated = true;
        let (mut buffer, mut batch) = (Vec::new(), Batch::default());
        let mut rest = &bytes[..bytes.len() - 1];
        let mut held = 0;
        while !rest.is_empty() {
            let taken = rest.len().min(1000);
            match decoder.big_arg() {
                Some((big, missing)) => {
                    let taken = missing.min(taken);
                    big.extend_from_slice(&rest[..taken]);
                    rest = &rest[taken..];
                }
                None => {
                    buffer.extend_from_slice(&rest[..taken]);
                    rest = &rest[taken..];
                }
            }
            let used = decoder.decode(&mut buffer, &mut batch, 1).unwrap();
            assert_eq!(used, 0, "nothing is whole yet");
            assert!(decoder.held_bytes() >= held);
            held = decoder.held_bytes();
        }
        assert!(held >= 3 * BIG_ARG_BYTES);
    }
}
