//! Packed forms that newer versions no longer write: ziplist and zipmap. Both become listpacks.
//!
//! ```text
//! ziplist = bytes u32, tail offset u32, count u16, entry*, FF        (all little endian)
//! entry   = size of the entry before (1 byte, or FE u32), encoding, data
//! zipmap  = count u8, (length key, length free value, free bytes)*, FF
//! ```
//!
//! Source: the layouts as documented for Redis 2.4 to 6.2.

use packed::{Element, Listpack};

/// Why a blob is refused.
pub(crate) type Refused = &'static str;

/// A count that means: walk and see.
const COUNT_UNKNOWN: u16 = u16::MAX;
/// First byte of a size or length of four bytes.
const BIG: u8 = 0xFE;
/// Last byte of both layouts.
const END: u8 = 0xFF;
/// Bytes before the first entry of a ziplist.
const HEADER_BYTES: usize = 10;
/// A zipmap's count byte from here on means: walk and see.
const ZIPMAP_COUNT_MAX: u8 = 254;

/// A cursor over a blob.
#[derive(Clone, Copy)]
struct Blob<'a>(&'a [u8]);

impl<'a> Blob<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32_le(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).ok()
    }
}

/// Converts a ziplist, checking all of it.
pub(crate) fn ziplist(bytes: &[u8]) -> Result<Listpack, Refused> {
    const BAD_HEADER: Refused = "ziplist header disagrees with its size";
    let mut blob = Blob(bytes);
    let total = blob.u32_le().ok_or(BAD_HEADER)?;
    let tail = blob.u32_le().ok_or(BAD_HEADER)?;
    let count = u16::from_le_bytes(blob.array().ok_or(BAD_HEADER)?);
    if total != bytes.len() {
        return Err(BAD_HEADER);
    }
    let mut listpack = Listpack::with_capacity(bytes.len());
    let mut entries = 0u64;
    // Offset of the entry under way, and how long the one before it was.
    let mut at = HEADER_BYTES;
    let mut last_size = 0usize;
    let mut last_at = HEADER_BYTES;
    while blob.0.first() != Some(&END) {
        let before = blob.0.len();
        entry(&mut blob, last_size, &mut listpack)?;
        last_at = at;
        last_size = before.saturating_sub(blob.0.len());
        at = at.saturating_add(last_size);
        entries = entries.saturating_add(1);
    }
    if blob.0.len() != 1 {
        return Err("ziplist ends before its last byte");
    }
    if tail != last_at {
        return Err("ziplist tail offset is wrong");
    }
    if count != COUNT_UNKNOWN && u64::from(count) != entries {
        return Err("ziplist count is wrong");
    }
    Ok(listpack)
}

fn entry(blob: &mut Blob<'_>, last_size: usize, listpack: &mut Listpack) -> Result<(), Refused> {
    const CUT: Refused = "ziplist entry overruns the blob";
    let stated = match blob.byte().ok_or(CUT)? {
        BIG => blob.u32_le().ok_or(CUT)?,
        size => usize::from(size),
    };
    if stated != last_size {
        return Err("ziplist back length is wrong");
    }
    let encoding = blob.byte().ok_or(CUT)?;
    let element = match encoding {
        0x00..=0x3F => Element::Bytes(blob.take(usize::from(encoding)).ok_or(CUT)?),
        0x40..=0x7F => {
            let low = blob.byte().ok_or(CUT)?;
            let size = u16::from_be_bytes([encoding & 0x3F, low]);
            Element::Bytes(blob.take(usize::from(size)).ok_or(CUT)?)
        }
        0x80..=0xBF => {
            let size = u32::from_be_bytes(blob.array().ok_or(CUT)?);
            let size = usize::try_from(size).map_err(|_| CUT)?;
            Element::Bytes(blob.take(size).ok_or(CUT)?)
        }
        0xC0 => Element::Int(i16::from_le_bytes(blob.array().ok_or(CUT)?).into()),
        0xD0 => Element::Int(i32::from_le_bytes(blob.array().ok_or(CUT)?).into()),
        0xE0 => Element::Int(i64::from_le_bytes(blob.array().ok_or(CUT)?)),
        0xF0 => {
            let [a, b, c] = blob.array().ok_or(CUT)?;
            // In the upper three bytes, so that the shift carries the sign.
            Element::Int((i32::from_le_bytes([0, a, b, c]) >> 8).into())
        }
        0xFE => Element::Int((blob.byte().ok_or(CUT)? as i8).into()),
        0xF1..=0xFD => Element::Int((encoding & 0x0F).saturating_sub(1).into()),
        _ => return Err("unknown ziplist encoding"),
    };
    match element {
        Element::Int(number) => listpack.push_back_int(number),
        Element::Bytes(text) => listpack.push_back(text),
    }
    Ok(())
}

/// Converts a zipmap, checking all of it: field, value, field, value.
pub(crate) fn zipmap(bytes: &[u8]) -> Result<Listpack, Refused> {
    const CUT: Refused = "zipmap entry overruns the blob";
    let mut blob = Blob(bytes);
    let count = blob.byte().ok_or(CUT)?;
    let mut listpack = Listpack::with_capacity(bytes.len());
    let mut fields = 0u64;
    while blob.0.first() != Some(&END) {
        let size = zipmap_length(&mut blob).ok_or(CUT)?;
        listpack.push_back(blob.take(size).ok_or(CUT)?);
        let size = zipmap_length(&mut blob).ok_or(CUT)?;
        let free = blob.byte().ok_or(CUT)?;
        listpack.push_back(blob.take(size).ok_or(CUT)?);
        blob.take(usize::from(free)).ok_or(CUT)?;
        fields = fields.saturating_add(1);
    }
    if blob.0.len() != 1 {
        return Err("zipmap ends before its last byte");
    }
    if count < ZIPMAP_COUNT_MAX && u64::from(count) != fields {
        return Err("zipmap count is wrong");
    }
    Ok(listpack)
}

fn zipmap_length(blob: &mut Blob<'_>) -> Option<usize> {
    match blob.byte()? {
        END => None,
        BIG => blob.u32_le(),
        size => Some(usize::from(size)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(listpack: &Listpack) -> Vec<String> {
        listpack
            .iter()
            .map(|e| String::from_utf8(e.to_vec()).unwrap())
            .collect()
    }

    /// A ziplist of raw entries (encoding and data).
    fn build(entries: &[&[u8]]) -> Vec<u8> {
        let mut body = Vec::new();
        let (mut last, mut tail) = (0usize, 10);
        for entry in entries {
            tail = 10 + body.len();
            if last < 254 {
                body.push(last as u8);
            } else {
                body.push(BIG);
                body.extend_from_slice(&(last as u32).to_le_bytes());
            }
            body.extend_from_slice(entry);
            last = 10 + body.len() - tail;
        }
        let mut bytes = ((body.len() + 11) as u32).to_le_bytes().to_vec();
        bytes.extend_from_slice(&(tail as u32).to_le_bytes());
        bytes.extend_from_slice(&(entries.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes.push(END);
        bytes
    }

    #[test]
    fn every_encoding_of_a_ziplist_is_read() {
        let long = [&[0x41, 0x2C][..], &[b'y'; 300]].concat();
        let longer = [&[0x80, 0, 0, 0, 3][..], b"abc"].concat();
        let bytes = build(&[
            b"\x02hi",
            &long,
            &longer,
            &[0xC0, 0x00, 0x80],
            &[0xD0, 0, 0, 0, 0x80],
            &[0xE0, 0, 0, 0, 0, 0, 0, 0, 0x80],
            &[0xF0, 0, 0, 0x80],
            &[0xF0, 1, 0, 0],
            &[0xFE, 0x80],
            &[0xF1],
            &[0xFD],
        ]);
        let listpack = ziplist(&bytes).unwrap();
        let expected = [
            "hi",
            &"y".repeat(300),
            "abc",
            "-32768",
            "-2147483648",
            "-9223372036854775808",
            "-8388608",
            "1",
            "-128",
            "0",
            "12",
        ];
        assert_eq!(texts(&listpack), expected);
        assert!(ziplist(&build(&[])).unwrap().is_empty());
    }

    #[test]
    fn a_ziplist_with_one_wrong_byte_is_refused_or_sane() {
        let bytes = build(&[b"\x02hi", &[0xFE, 5], b"\x03abc"]);
        for at in 0..bytes.len() {
            for flip in 1..=255u8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= flip;
                if let Ok(listpack) = ziplist(&bytes) {
                    // Data may change; header and structure may not (but the count may be unknown).
                    assert!(at >= 8, "byte {at} ^ {flip:#x}");
                    assert_eq!(listpack.len(), 3);
                }
            }
            assert!(ziplist(&bytes[..at]).is_err());
        }
    }

    #[test]
    fn a_zipmap_gives_fields_and_values() {
        let bytes = b"\x02\x03foo\x03\x00bar\x05hello\x05\x02world??\xFF";
        assert_eq!(
            texts(&zipmap(bytes).unwrap()),
            ["foo", "bar", "hello", "world"]
        );
        let big = b"\xFE\xFE\x03\x00\x00\x00foo\x02\x00ba\xFF";
        assert_eq!(texts(&zipmap(big).unwrap()), ["foo", "ba"]);
        assert!(zipmap(b"\x00\xFF").unwrap().is_empty());
        for end in 0..bytes.len() {
            assert!(zipmap(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert!(zipmap(b"\x03\x03foo\x03\x00bar\xFF").is_err());
        assert!(zipmap(b"\x01\x03foo\x03\x00bar\xFF\xFF").is_err());
    }
}
