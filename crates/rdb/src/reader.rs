//! Reading: bytes of an RDB file in, a sequence of [`Event`]s out.

use std::io::Read;

use packed::IntBuf;

use crate::error::{Error, ErrorKind, Result};
use crate::format::{
    MAGIC, MAGIC_VALKEY, OF_VALKEY, RDB_VERSION, RDB_VERSION_READ_MAX, RDB_VERSION_VALKEY,
    SLOT_INFO_AUX, TYPE_MAX, VERSION_WITH_CHECKSUM, ValueType, length, module_opcode, opcode,
};
use crate::input::Input;
use crate::limits::{BUFFER_BYTES, STRING_BYTES_MAX};
use crate::lzf;
use crate::text::Text;

/// How a [`Reader`] reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderOptions {
    /// Sum the file up and compare (`rdbchecksum`).
    pub checksum: bool,
    /// Bytes of the whole input, where that is known: lengths beyond it are refused at once.
    pub total_bytes: Option<u64>,
    /// Longest string accepted, in bytes (`proto-max-bulk-len`).
    pub string_bytes_max: u64,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self {
            checksum: true,
            total_bytes: None,
            string_bytes_max: STRING_BYTES_MAX,
        }
    }
}

/// What stands between a file's items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An auxiliary field.
    Aux {
        /// Its name, such as `valkey-ver`.
        key: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
    },
    /// The keys that follow belong to this database.
    SelectDb(u64),
    /// A hint; not to be trusted for more than a bounded reservation.
    ResizeDb {
        /// Keys of this database.
        keys: u64,
        /// Those of them that expire.
        expires: u64,
    },
    /// A hint, as `ResizeDb`, for one slot of a cluster.
    SlotInfo {
        /// The slot.
        slot: u64,
        /// Keys in it.
        keys: u64,
        /// Those of them that expire.
        expires: u64,
    },
    /// The source of a function library.
    Function(Vec<u8>),
    /// Data of a module, not of a key. It has been skipped.
    ModuleAux {
        /// Identity of the module and its encoding version.
        module_id: u64,
    },
    /// A key; its name is in the buffer given to [`Reader::next`], its value has to be read now.
    Key(KeyHead),
    /// The end of the file, with its checksum compared.
    Eof(Checksum),
}

/// What is known of a key before its name: it belongs to the next key, whatever other records stand between.
#[derive(Debug, Clone, Copy, Default)]
struct Announced {
    expire_at_ms: Option<i64>,
    idle: Option<u64>,
    freq: Option<u8>,
}

/// What is known of a key before its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHead {
    /// The form of the value that follows.
    pub type_: ValueType,
    /// When the key expires, milliseconds since the epoch.
    pub expire_at_ms: Option<i64>,
    /// Seconds since the last access (LRU).
    pub idle: Option<u64>,
    /// Logarithmic access counter (LFU).
    pub freq: Option<u8>,
}

/// What the end of the file says about its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// The version is too old to have one.
    Absent,
    /// The file was written without one (zero), or the reader was told not to look.
    Unchecked,
    /// It is this, and it is right.
    Verified(u64),
}

/// How a string begins.
enum StringHead {
    Int(i32),
    Raw(usize),
    Lzf { packed: usize, size: usize },
}

/// Reads one file from `source`.
///
/// Call [`header`](Self::header), then [`next`](Self::next) until [`Event::Eof`]; after [`Event::Key`]
/// read the value with [`value`](Self::value), or piecewise with [`string`](Self::string),
/// [`length`](Self::length) and the like. After an error the reader is of no further use.
///
/// # Errors
/// Every reading method returns [`Error`] with the offset, what was being read, and the cause.
#[derive(Debug)]
pub struct Reader<R> {
    pub(crate) input: Input<R>,
    options: ReaderOptions,
    version: u32,
    /// For the next key, from in front of a record that is none.
    announced: Announced,
    /// Figures of the value under way that were wrong and have been set right.
    corrections: Vec<&'static str>,
    /// What small compressed strings expand into.
    scratch: Vec<u8>,
    /// The field or member that belongs to the value or score under way.
    pub(crate) field: Vec<u8>,
    /// Digests for the search for duplicates.
    pub(crate) digests: Vec<u64>,
}

impl<R: Read> Reader<R> {
    /// A reader at the start of `source`.
    pub fn new(source: R, options: ReaderOptions) -> Self {
        Self::with_received(Vec::new(), source, options)
    }

    /// A reader for input whose first bytes have already been received.
    pub fn with_received(received: Vec<u8>, source: R, options: ReaderOptions) -> Self {
        Self {
            input: Input::new(received, source, options.total_bytes, options.checksum),
            options,
            version: u32::from(RDB_VERSION),
            announced: Announced::default(),
            corrections: Vec::new(),
            scratch: Vec::new(),
            field: Vec::new(),
            digests: Vec::new(),
        }
    }

    /// Bytes consumed so far.
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// Bytes received but not consumed (such as those after the file), and the source.
    pub fn into_parts(self) -> (Vec<u8>, R) {
        self.input.into_parts()
    }

    /// Reads the header and returns the version of the file, 1 to [`RDB_VERSION_READ_MAX`] or [`RDB_VERSION_VALKEY`].
    pub fn header(&mut self) -> Result<u32> {
        self.input.what = "header";
        let header = self.input.array::<9>()?;
        let mut version = 0u32;
        let valkey = header.strip_prefix(MAGIC_VALKEY);
        let digits = valkey
            .or(header.strip_prefix(MAGIC))
            .filter(|digits| digits.iter().all(u8::is_ascii_digit))
            .ok_or_else(|| self.input.error(ErrorKind::BadMagic))?;
        for digit in digits {
            version = version
                .wrapping_mul(10)
                .wrapping_add(u32::from(digit.wrapping_sub(b'0')));
        }
        let known = match valkey {
            Some(_) => RDB_VERSION_VALKEY..=RDB_VERSION_VALKEY,
            None => 1..=RDB_VERSION_READ_MAX,
        };
        if !u16::try_from(version).is_ok_and(|version| known.contains(&version)) {
            return Err(self.input.error(ErrorKind::BadVersion(version)));
        }
        self.version = version;
        Ok(version)
    }

    /// Reads up to the next event. For [`Event::Key`] the key's name replaces the content of `key`, so
    /// that a load needs no allocation per key; otherwise `key` is unspecified.
    #[inline]
    pub fn next(&mut self, key: &mut Vec<u8>) -> Result<Event> {
        let Announced {
            mut expire_at_ms,
            mut idle,
            mut freq,
        } = std::mem::take(&mut self.announced);
        loop {
            self.input.what = "opcode";
            let byte = self.input.byte()?;
            if let Some(type_) = self.type_of(byte) {
                self.input.what = "key";
                key.clear();
                self.string_onto(key).map_err(|error| error.before(type_))?;
                return Ok(Event::Key(KeyHead {
                    type_,
                    expire_at_ms,
                    idle,
                    freq,
                }));
            }
            match byte {
                opcode::EXPIRE_MS => {
                    self.input.what = "expiry in milliseconds";
                    // -1 is no time: the key stays.
                    expire_at_ms =
                        Some(i64::from_le_bytes(self.input.array()?)).filter(|ms| *ms != -1);
                }
                opcode::EXPIRE_S => {
                    self.input.what = "expiry in seconds";
                    let seconds = i32::from_le_bytes(self.input.array()?);
                    expire_at_ms = Some(i64::from(seconds).saturating_mul(1000));
                }
                opcode::FREQ => {
                    self.input.what = "access frequency";
                    freq = Some(self.input.byte()?);
                }
                opcode::IDLE => {
                    self.input.what = "idle time";
                    idle = Some(self.length()?);
                }
                _ => {
                    self.announced = Announced {
                        expire_at_ms,
                        idle,
                        freq,
                    };
                    return self.rare_event(byte);
                }
            }
        }
    }

    #[cold]
    fn rare_event(&mut self, byte: u8) -> Result<Event> {
        match byte {
            opcode::AUX => {
                self.input.what = "auxiliary field";
                let key = self.string_vec()?;
                let value = self.string_vec()?;
                match slot_info(&key, &value) {
                    Some(event) => Ok(event),
                    None => Ok(Event::Aux { key, value }),
                }
            }
            opcode::SELECT_DB => {
                self.input.what = "database index";
                Ok(Event::SelectDb(self.length()?))
            }
            opcode::RESIZE_DB => {
                self.input.what = "database size";
                let keys = self.length()?;
                let expires = self.length()?;
                Ok(Event::ResizeDb { keys, expires })
            }
            opcode::SLOT_INFO => {
                self.input.what = "slot size";
                let slot = self.length()?;
                let keys = self.length()?;
                let expires = self.length()?;
                Ok(Event::SlotInfo {
                    slot,
                    keys,
                    expires,
                })
            }
            opcode::FUNCTION2 => {
                self.input.what = "function library";
                Ok(Event::Function(self.string_vec()?))
            }
            opcode::MODULE_AUX => self.module_aux(),
            opcode::EOF => self.end(),
            opcode::FUNCTION_PRE_GA => Err(self.input.error(ErrorKind::NotSupported(
                "Pre-release function format not supported.",
            ))),
            _ => Err(self.input.error(ErrorKind::UnknownType(byte))),
        }
    }

    /// Module data says itself what it is made of, so it can be skipped without the module.
    fn module_aux(&mut self) -> Result<Event> {
        self.input.what = "module auxiliary data";
        let module_id = self.length()?;
        // When it was written: an opcode and a number.
        let opcode = self.length()?;
        self.length()?;
        if opcode != module_opcode::UINT {
            return Err(self.input.corrupt("module data without its time"));
        }
        self.skip_module_parts()?;
        Ok(Event::ModuleAux { module_id })
    }

    /// Skips the value of a key whose type is [`ValueType::Module`]; the identity of the module and its encoding version.
    pub fn skip_module(&mut self) -> Result<u64> {
        self.input.what = ValueType::Module.name();
        let module_id = self.length()?;
        self.skip_module_parts()?;
        Ok(module_id)
    }

    fn skip_module_parts(&mut self) -> Result<()> {
        loop {
            match self.length()? {
                module_opcode::EOF => return Ok(()),
                module_opcode::SINT | module_opcode::UINT => {
                    self.length()?;
                }
                module_opcode::FLOAT => self.input.skip(4)?,
                module_opcode::DOUBLE => self.input.skip(8)?,
                module_opcode::STRING => self.skip_string()?,
                _ => return Err(self.input.corrupt("unknown module opcode")),
            }
        }
    }

    fn end(&mut self) -> Result<Event> {
        self.input.what = "checksum";
        if self.version < VERSION_WITH_CHECKSUM {
            return Ok(Event::Eof(Checksum::Absent));
        }
        let expected = self.input.crc();
        let found = u64::from_le_bytes(self.input.array()?);
        match expected {
            Some(expected) if found != 0 => {
                if expected == found {
                    Ok(Event::Eof(Checksum::Verified(found)))
                } else {
                    Err(self.input.error(ErrorKind::Crc { expected, found }))
                }
            }
            _ => Ok(Event::Eof(Checksum::Unchecked)),
        }
    }

    /// A value type, as a DUMP payload begins.
    pub fn value_type(&mut self) -> Result<ValueType> {
        self.input.what = "value type";
        let byte = self.input.byte()?;
        self.type_of(byte)
            .ok_or_else(|| self.input.error(ErrorKind::UnknownType(byte)))
    }

    /// The value type with this number, if files of this version have it.
    #[inline]
    fn type_of(&self, byte: u8) -> Option<ValueType> {
        let number = match byte {
            0..=TYPE_MAX => byte,
            OF_VALKEY.. => return None,
            _ if self.version == u32::from(RDB_VERSION_VALKEY) => byte | OF_VALKEY,
            _ if self.version > u32::from(RDB_VERSION) => byte,
            _ => return None,
        };
        ValueType::from_byte(number)
    }

    /// A caller decodes a value of this type itself: errors are about that.
    pub fn reading(&mut self, type_: ValueType) {
        self.input.what = type_.name();
    }

    /// Whether all of an input of known size has been read.
    pub fn is_at_end(&self) -> bool {
        self.input.remaining() == 0
    }

    /// The next byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8> {
        self.input.byte()
    }

    /// The next eight bytes as a time in milliseconds.
    pub fn millis(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.input.array()?))
    }

    /// The next `N` bytes as they are, such as the ids inside a stream.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.input.array()
    }

    /// A length or a number in that form.
    #[inline]
    pub fn length(&mut self) -> Result<u64> {
        let tag = self.input.byte()?;
        match self.length_after(tag)? {
            Some(length) => Ok(length),
            None => Err(self
                .input
                .corrupt("a string form where a length must stand")),
        }
    }

    /// The length that begins with `tag`; `None` when that is the tag of a special string.
    #[inline]
    fn length_after(&mut self, tag: u8) -> Result<Option<u64>> {
        if u64::from(tag) <= length::BITS_6_MAX {
            return Ok(Some(u64::from(tag)));
        }
        if tag < length::TAG_32 {
            let low = self.input.byte()?;
            let high = tag & 0x3F;
            return Ok(Some(u64::from(u16::from_be_bytes([high, low]))));
        }
        match tag {
            length::TAG_32 => Ok(Some(u64::from(u32::from_be_bytes(self.input.array()?)))),
            length::TAG_64 => Ok(Some(u64::from_be_bytes(self.input.array()?))),
            length::INT8..=u8::MAX => Ok(None),
            _ => Err(self.input.corrupt("unknown form of a length")),
        }
    }

    /// A count of elements, each of at least one byte.
    pub(crate) fn count(&mut self) -> Result<u64> {
        let count = self.length()?;
        if count > self.input.remaining() {
            return Err(self.input.error(ErrorKind::BadLength(count)));
        }
        Ok(count)
    }

    /// Checks the length of a string against what can still come and against the limit.
    #[inline]
    fn bounded(&self, length: u64) -> Result<usize> {
        if length > self.input.remaining() || length > self.options.string_bytes_max {
            return Err(self.input.error(ErrorKind::BadLength(length)));
        }
        usize::try_from(length).map_err(|_| self.input.error(ErrorKind::BadLength(length)))
    }

    #[inline]
    fn string_head(&mut self) -> Result<StringHead> {
        let tag = self.input.byte()?;
        if let Some(length) = self.length_after(tag)? {
            return Ok(StringHead::Raw(self.bounded(length)?));
        }
        match tag {
            length::INT8 => {
                let [byte] = self.input.array()?;
                Ok(StringHead::Int(i32::from(byte as i8)))
            }
            length::INT16 => {
                let number = i16::from_le_bytes(self.input.array()?);
                Ok(StringHead::Int(i32::from(number)))
            }
            length::INT32 => Ok(StringHead::Int(i32::from_le_bytes(self.input.array()?))),
            length::LZF => {
                let packed = self.length()?;
                let size = self.length()?;
                let packed_bounded = self.bounded(packed)?;
                if size > self.options.string_bytes_max || !lzf::expansion_allowed(packed, size) {
                    return Err(self.input.error(ErrorKind::BadLength(size)));
                }
                let size = usize::try_from(size)
                    .map_err(|_| self.input.error(ErrorKind::BadLength(size)))?;
                Ok(StringHead::Lzf {
                    packed: packed_bounded,
                    size,
                })
            }
            _ => Err(self.input.corrupt("unknown form of a string")),
        }
    }

    /// A string, without a copy where it fits the buffer.
    #[inline]
    pub fn string(&mut self) -> Result<Text<'_>> {
        match self.string_head()? {
            StringHead::Int(number) => Ok(Text::Int(i64::from(number))),
            StringHead::Raw(size) if size <= self.input.take_max() => {
                Ok(Text::Borrowed(self.input.take(size)?))
            }
            StringHead::Raw(size) => {
                let mut bytes = Vec::new();
                self.input.read_onto(&mut bytes, size)?;
                Ok(Text::Owned(bytes))
            }
            StringHead::Lzf { packed, size } if size <= BUFFER_BYTES => {
                let mut scratch = std::mem::take(&mut self.scratch);
                scratch.clear();
                let result = self.expand_onto(&mut scratch, packed, size);
                self.scratch = scratch;
                result.map(|()| Text::Borrowed(&self.scratch))
            }
            StringHead::Lzf { packed, size } => {
                let mut bytes = Vec::new();
                self.expand_onto(&mut bytes, packed, size)?;
                bytes.shrink_to_fit();
                Ok(Text::Owned(bytes))
            }
        }
    }

    /// A string, appended to `out`.
    #[inline]
    pub fn string_onto(&mut self, out: &mut Vec<u8>) -> Result<()> {
        match self.string_head()? {
            StringHead::Int(number) => {
                out.extend_from_slice(IntBuf::new().format(number.into()));
                Ok(())
            }
            StringHead::Raw(size) => self.input.read_onto(out, size),
            StringHead::Lzf { packed, size } => self.expand_onto(out, packed, size),
        }
    }

    /// A string in an allocation of its own.
    pub fn string_vec(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.string_onto(&mut bytes)?;
        Ok(bytes)
    }

    fn expand_onto(&mut self, out: &mut Vec<u8>, packed: usize, size: usize) -> Result<()> {
        let result = if packed <= self.input.take_max() {
            lzf::decompress(self.input.take(packed)?, size, out)
        } else {
            let mut bytes = Vec::new();
            self.input.read_onto(&mut bytes, packed)?;
            lzf::decompress(&bytes, size, out)
        };
        result.map_err(|lzf::Malformed| self.input.corrupt("malformed LZF"))
    }

    fn skip_string(&mut self) -> Result<()> {
        match self.string_head()? {
            StringHead::Int(_) => Ok(()),
            StringHead::Raw(size) | StringHead::Lzf { packed: size, .. } => {
                self.input.skip(size as u64)
            }
        }
    }

    /// A binary double that is a number.
    pub fn double(&mut self) -> Result<f64> {
        let value = f64::from_le_bytes(self.input.array()?);
        if value.is_nan() {
            return Err(self.input.corrupt("score is not a number"));
        }
        Ok(value)
    }

    /// A text double that is a number, as in [`ValueType::ZSet`].
    pub fn text_double(&mut self) -> Result<f64> {
        use crate::format::text_double;
        let size = match self.input.byte()? {
            text_double::NAN => return Err(self.input.corrupt("score is not a number")),
            text_double::POSITIVE_INFINITY => return Ok(f64::INFINITY),
            text_double::NEGATIVE_INFINITY => return Ok(f64::NEG_INFINITY),
            size => usize::from(size),
        };
        let text = self.input.take(size)?;
        match crate::check::score(text) {
            Some(score) => Ok(score),
            None => Err(self.input.corrupt("score is not a number")),
        }
    }

    /// Notes that a figure of the value under way is wrong, and that what is delivered has the right one: `what` names it.
    #[cold]
    pub fn correct(&mut self, what: &'static str) {
        if !self.corrections.contains(&what) {
            self.corrections.push(what);
        }
    }

    /// What [`Self::correct`] has noted since this was last asked.
    #[inline]
    pub fn corrections(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.corrections)
    }

    /// An error at the present offset, for callers that decode a value themselves.
    #[cold]
    pub fn corrupt(&self, why: &'static str) -> Error {
        self.input.corrupt(why)
    }
}

/// The event that an auxiliary field stands for when it tells a slot's size.
fn slot_info(key: &[u8], value: &[u8]) -> Option<Event> {
    if key != SLOT_INFO_AUX {
        return None;
    }
    let mut numbers = std::str::from_utf8(value).ok()?.split(',').map(str::parse);
    let mut number = || numbers.next()?.ok();
    Some(Event::SlotInfo {
        slot: number()?,
        keys: number()?,
        expires: number()?,
    })
}

impl<'a> Reader<&'a [u8]> {
    /// A reader over a value that is in memory whole, such as the body of a DUMP payload: begin with
    /// [`value_type`](Self::value_type). Nothing is summed up; a small body costs one small buffer.
    #[must_use]
    pub fn over(body: &'a [u8], options: ReaderOptions) -> Self {
        let options = ReaderOptions {
            checksum: false,
            total_bytes: Some(body.len() as u64),
            ..options
        };
        if body.len() <= BUFFER_BYTES {
            Self::with_received(body.to_vec(), &[], options)
        } else {
            Self::new(body, options)
        }
    }
}
