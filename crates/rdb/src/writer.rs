//! Writing: values and opcodes in, bytes of an RDB file (or of a DUMP payload) out.

use std::io::{self, Write};

use packed::IntBuf;

use crate::crc64::Crc64;
use crate::format::{MAGIC, RDB_VERSION, SLOT_INFO_AUX, ValueType, length, opcode};
use crate::limits::{BUFFER_BYTES, LZF_INPUT_MIN};
use crate::lzf::Compressor;
use crate::text::short_int;

/// How a [`Writer`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterOptions {
    /// Compress strings of more than 20 bytes where it saves something (`rdbcompression`).
    pub compress: bool,
    /// Sum the file up; otherwise the checksum at its end is zero (`rdbchecksum`).
    pub checksum: bool,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            compress: true,
            checksum: true,
        }
    }
}

/// Writes one file to `sink`, in pieces of about 64 KiB.
///
/// The caller decides on the order of the calls: [`begin`](Self::begin), then per database
/// [`select_db`](Self::select_db) and [`resize_db`](Self::resize_db), per key its expiry and access
/// data, [`key`](Self::key) and the parts of the value, at the end [`finish`](Self::finish). What each
/// type is made of stands at [`ValueType`].
///
/// Dropping a writer drops what it has buffered.
///
/// # Errors
/// Every method returns the error of `sink`; the file is then worthless.
#[derive(Debug)]
pub struct Writer<W> {
    sink: W,
    /// Grows up to `BUFFER_BYTES`, so that a writer of one small value stays small.
    buffer: Vec<u8>,
    /// Bytes that have left the buffer.
    flushed: u64,
    crc: Option<Crc64>,
    compress: bool,
    /// Made for the first string that is long enough.
    compressor: Option<Compressor>,
}

impl<W: Write> Writer<W> {
    /// A writer that has written nothing.
    pub fn new(sink: W, options: WriterOptions) -> Self {
        Self {
            sink,
            buffer: Vec::new(),
            flushed: 0,
            crc: options.checksum.then(Crc64::new),
            compress: options.compress,
            compressor: None,
        }
    }

    /// Bytes written so far, including those still in the buffer.
    pub fn bytes_written(&self) -> u64 {
        self.flushed.saturating_add(self.buffer.len() as u64)
    }

    /// The header of a file.
    pub fn begin(&mut self) -> io::Result<()> {
        self.begin_as(RDB_VERSION)
    }

    /// The header of a file of another version: the caller writes nothing that this has not.
    pub fn begin_as(&mut self, version: u16) -> io::Result<()> {
        self.put(MAGIC)?;
        self.put(format!("{version:04}").as_bytes())
    }

    /// An auxiliary field, such as `valkey-ver`.
    pub fn aux(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.put(&[opcode::AUX])?;
        self.string(key)?;
        self.string(value)
    }

    /// The source of a function library.
    pub fn function(&mut self, code: &[u8]) -> io::Result<()> {
        self.put(&[opcode::FUNCTION2])?;
        self.string(code)
    }

    /// The keys that follow belong to database `index`.
    pub fn select_db(&mut self, index: u64) -> io::Result<()> {
        self.put(&[opcode::SELECT_DB])?;
        self.length(index)
    }

    /// A hint to the reader: the keys of this database, and those of them that expire.
    pub fn resize_db(&mut self, keys: u64, expires: u64) -> io::Result<()> {
        self.put(&[opcode::RESIZE_DB])?;
        self.length(keys)?;
        self.length(expires)
    }

    /// A hint to the reader, cluster mode only: as [`resize_db`](Self::resize_db), for one slot. Valkey
    /// 8.0 writes it as an auxiliary field between the keys.
    pub fn slot_info(&mut self, slot: u64, keys: u64, expires: u64) -> io::Result<()> {
        self.aux(SLOT_INFO_AUX, format!("{slot},{keys},{expires}").as_bytes())
    }

    /// The next key expires at `at_ms`, milliseconds since the epoch.
    #[inline]
    pub fn expire_ms(&mut self, at_ms: i64) -> io::Result<()> {
        self.put(&[opcode::EXPIRE_MS])?;
        self.put(&at_ms.to_le_bytes())
    }

    /// The logarithmic access counter of the next key (LFU).
    pub fn freq(&mut self, freq: u8) -> io::Result<()> {
        self.put(&[opcode::FREQ, freq])
    }

    /// Seconds since the last access of the next key (LRU).
    pub fn idle(&mut self, seconds: u64) -> io::Result<()> {
        self.put(&[opcode::IDLE])?;
        self.length(seconds)
    }

    /// A key; its value has to follow.
    #[inline]
    pub fn key(&mut self, type_: ValueType, key: &[u8]) -> io::Result<()> {
        self.value_type(type_)?;
        self.string(key)
    }

    /// The type byte alone, as a DUMP payload begins.
    #[inline]
    pub fn value_type(&mut self, type_: ValueType) -> io::Result<()> {
        self.put(&[type_ as u8])
    }

    /// A string in its smallest form: number, compressed, or as it is.
    #[inline]
    pub fn string(&mut self, bytes: &[u8]) -> io::Result<()> {
        match short_int(bytes) {
            Some(number) => self.short_int(number),
            None => self.blob(bytes),
        }
    }

    /// A string that is the decimal text of `number`.
    pub fn string_int(&mut self, number: i64) -> io::Result<()> {
        match i32::try_from(number) {
            Ok(number) => self.short_int(number),
            Err(_) => self.raw(IntBuf::new().format(number)),
        }
    }

    /// A string that is no number, such as a listpack: compressed where that pays, or as it is.
    #[inline]
    pub fn blob(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() >= LZF_INPUT_MIN && self.compress && self.compressed(bytes)? {
            return Ok(());
        }
        self.raw(bytes)
    }

    /// A length, or a count of elements.
    #[inline]
    pub fn length(&mut self, value: u64) -> io::Result<()> {
        if value <= length::BITS_6_MAX {
            self.put(&[value as u8])
        } else if value <= length::BITS_14_MAX {
            self.put(&((u16::from(length::TAG_14) << 8) | value as u16).to_be_bytes())
        } else {
            self.length_slow(value)
        }
    }

    /// A binary double, as in [`ValueType::ZSet2`].
    #[inline]
    pub fn double(&mut self, value: f64) -> io::Result<()> {
        self.put(&value.to_le_bytes())
    }

    /// Bytes as they are, such as the ids and times inside a stream.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.put(bytes)
    }

    /// Hands everything buffered to the sink.
    pub fn flush(&mut self) -> io::Result<()> {
        if let Some(crc) = &mut self.crc {
            crc.update(&self.buffer);
        }
        self.sink.write_all(&self.buffer)?;
        self.flushed = self.flushed.saturating_add(self.buffer.len() as u64);
        self.buffer.clear();
        Ok(())
    }

    /// Ends the file: the end opcode and the checksum of all bytes; flushes the sink and returns it.
    pub fn finish(mut self) -> io::Result<W> {
        self.put(&[opcode::EOF])?;
        self.flush()?;
        let crc = self.crc.as_ref().map_or(0, Crc64::value);
        self.sink.write_all(&crc.to_le_bytes())?;
        self.sink.flush()?;
        Ok(self.sink)
    }

    /// Ends without a trailer and returns the sink, for a payload that is no file.
    pub fn into_sink(mut self) -> io::Result<W> {
        self.flush()?;
        Ok(self.sink)
    }

    fn short_int(&mut self, number: i32) -> io::Result<()> {
        if let Ok(number) = i8::try_from(number) {
            self.put(&[length::INT8, number as u8])
        } else if let Ok(number) = i16::try_from(number) {
            let [a, b] = number.to_le_bytes();
            self.put(&[length::INT16, a, b])
        } else {
            let [a, b, c, d] = number.to_le_bytes();
            self.put(&[length::INT32, a, b, c, d])
        }
    }

    #[inline]
    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length(bytes.len() as u64)?;
        self.put(bytes)
    }

    #[cold]
    fn length_slow(&mut self, value: u64) -> io::Result<()> {
        match u32::try_from(value) {
            Ok(value) => {
                self.put(&[length::TAG_32])?;
                self.put(&value.to_be_bytes())
            }
            Err(_) => {
                self.put(&[length::TAG_64])?;
                self.put(&value.to_be_bytes())
            }
        }
    }

    /// Writes `bytes` compressed and says so; writes nothing when that saves too little.
    fn compressed(&mut self, bytes: &[u8]) -> io::Result<bool> {
        // Out of the way for the call, because what it returns is written through `self`.
        let mut compressor = self.compressor.take().unwrap_or_default();
        let result = match compressor.compress(bytes) {
            None => Ok(false),
            Some(packed) => self
                .put(&[length::LZF])
                .and_then(|()| self.length(packed.len() as u64))
                .and_then(|()| self.length(bytes.len() as u64))
                .and_then(|()| self.put(packed))
                .map(|()| true),
        };
        self.compressor = Some(compressor);
        result
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if BUFFER_BYTES.saturating_sub(self.buffer.len()) < bytes.len() {
            return self.put_slow(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    #[cold]
    fn put_slow(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.flush()?;
        if bytes.len() < BUFFER_BYTES / 2 {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        // Large pieces go past the buffer.
        if let Some(crc) = &mut self.crc {
            crc.update(bytes);
        }
        self.sink.write_all(bytes)?;
        self.flushed = self.flushed.saturating_add(bytes.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Writer<Vec<u8>>) -> io::Result<()>) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), WriterOptions::default());
        write(&mut writer).unwrap();
        let count = writer.bytes_written();
        let bytes = writer.into_sink().unwrap();
        assert_eq!(bytes.len() as u64, count);
        bytes
    }

    #[test]
    fn lengths_take_the_shortest_form() {
        for (value, bytes) in [
            (0, &[0][..]),
            (63, &[63]),
            (64, &[0x40, 64]),
            (16383, &[0x7F, 0xFF]),
            (16384, &[0x80, 0, 0, 0x40, 0]),
            (u64::from(u32::MAX), &[0x80, 0xFF, 0xFF, 0xFF, 0xFF]),
            (1 << 32, &[0x81, 0, 0, 0, 1, 0, 0, 0, 0]),
        ] {
            assert_eq!(written(|w| w.length(value)), bytes);
        }
    }

    #[test]
    fn strings_take_the_smallest_form() {
        assert_eq!(written(|w| w.string(b"abc")), b"\x03abc");
        assert_eq!(written(|w| w.string(b"")), b"\x00");
        assert_eq!(written(|w| w.string(b"-7")), b"\xC0\xF9");
        assert_eq!(written(|w| w.string(b"300")), b"\xC1\x2C\x01");
        assert_eq!(written(|w| w.string(b"70000")), b"\xC2\x70\x11\x01\x00");
        assert_eq!(written(|w| w.string(b"2147483648")), b"\x0A2147483648");
        assert_eq!(written(|w| w.string_int(300)), b"\xC1\x2C\x01");
        assert_eq!(written(|w| w.string_int(2147483648)), b"\x0A2147483648");
        let packed = written(|w| w.string(&[b'a'; 100]));
        assert_eq!(packed.first(), Some(&0xC3));
        assert!(packed.len() < 20);
        // Twenty bytes are never compressed.
        assert_eq!(written(|w| w.string(&[b'a'; 20])).len(), 21);
    }

    #[test]
    fn an_empty_file_ends_with_the_sum_of_its_bytes() {
        let mut writer = Writer::new(Vec::new(), WriterOptions::default());
        writer.begin().unwrap();
        let bytes = writer.finish().unwrap();
        assert_eq!(&bytes[..10], b"REDIS0011\xFF");
        assert_eq!(bytes[10..], crate::crc64(&bytes[..10]).to_le_bytes());

        let plain = WriterOptions {
            checksum: false,
            compress: true,
        };
        let mut writer = Writer::new(Vec::new(), plain);
        writer.begin().unwrap();
        assert_eq!(writer.finish().unwrap()[10..], [0; 8]);
    }

    #[test]
    fn large_pieces_pass_the_buffer_in_order() {
        let plain = WriterOptions {
            checksum: true,
            compress: false,
        };
        let mut writer = Writer::new(Vec::new(), plain);
        let mut expected = Vec::new();
        for size in [10, 200_000, 5, 40_000, 40_000, 65_536, 1] {
            let piece = vec![b'a' + (size % 26) as u8; size];
            writer.put(&piece).unwrap();
            expected.extend_from_slice(&piece);
        }
        let bytes = writer.finish().unwrap();
        expected.push(0xFF);
        let crc = crate::crc64(&expected).to_le_bytes();
        expected.extend_from_slice(&crc);
        assert!(bytes == expected);
    }
}
