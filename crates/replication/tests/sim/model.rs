//! The model's dataset, its snapshot format and its stream commands.

/// Values in the order in which they were added, each with its DB.
pub(crate) type Data = Vec<(u32, Vec<u8>)>;

/// One request as a RESP array.
pub(crate) fn request(args: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        out.extend(format!("${}\r\n", arg.len()).bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The first whole request of `bytes`: its arguments and its length. Lines without `*` are inline.
pub(crate) fn parse_request(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let line_end = |from: usize| {
        bytes[from..]
            .iter()
            .position(|b| *b == b'\n')
            .map(|i| from + i)
    };
    let number = |from: usize, to: usize| -> usize {
        std::str::from_utf8(&bytes[from..to])
            .unwrap()
            .trim_end()
            .parse()
            .unwrap()
    };
    let end = line_end(0)?;
    if bytes[0] != b'*' {
        let words = bytes[..end]
            .split(u8::is_ascii_whitespace)
            .filter(|w| !w.is_empty());
        return Some((words.map(<[u8]>::to_vec).collect(), end + 1));
    }
    let (count, mut at, mut args) = (number(1, end), end + 1, Vec::new());
    for _ in 0..count {
        let end = line_end(at)?;
        let len = number(at + 1, end);
        let arg = bytes.get(end + 1..end + 1 + len)?;
        at = end + 1 + len + 2;
        bytes.get(at - 1)?;
        args.push(arg.to_vec());
    }
    Some((args, at))
}

/// A snapshot: magic, stream DB, values, end.
pub(crate) fn save(data: &Data, stream_db: u32) -> Vec<u8> {
    let mut out = b"MODEL".to_vec();
    out.extend(stream_db.to_le_bytes());
    out.extend((data.len() as u32).to_le_bytes());
    for (db, value) in data {
        out.extend(db.to_le_bytes());
        out.extend((value.len() as u32).to_le_bytes());
        out.extend_from_slice(value);
    }
    out.push(0xff);
    out
}

/// Reads a snapshot back; `None` when it is not whole.
pub(crate) fn load(bytes: &[u8]) -> Option<(Data, u32)> {
    let mut at = 5;
    let mut number = |bytes: &[u8]| {
        let n = u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
        at += 4;
        Some((n, at))
    };
    if !bytes.starts_with(b"MODEL") {
        return None;
    }
    let (stream_db, _) = number(bytes)?;
    let (count, mut at) = number(bytes)?;
    let mut data = Data::new();
    for _ in 0..count {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let (db, len) = (word(at)?, word(at + 4)? as usize);
        data.push((db, bytes.get(at + 8..at + 8 + len)?.to_vec()));
        at += 8 + len;
    }
    (bytes.get(at..)? == [0xff]).then_some((data, stream_db))
}
