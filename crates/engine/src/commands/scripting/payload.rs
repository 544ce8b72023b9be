//! The payload of FUNCTION DUMP and FUNCTION RESTORE: the records of a snapshot, one for each library, in the frame of DUMP.

use commandtable::Error;
use rdb::{Writer, WriterOptions};

/// The opcode of a library's record.
const LIBRARY: u8 = 0xF5;
/// The opcode that stood there before functions were released.
const OLD_LIBRARY: u8 = 0xF6;

/// The payload of libraries.
pub(super) fn write<'a>(codes: impl Iterator<Item = &'a [u8]>, compress: bool) -> Vec<u8> {
    let options = WriterOptions {
        compress,
        ..WriterOptions::default()
    };
    let mut writer = Writer::new(Vec::new(), options);
    let mut codes = codes;
    let written = codes.try_for_each(|code| writer.function(code));
    // A vector takes everything.
    let records = written.and_then(|()| writer.into_sink());
    rdb::dump::seal(records.unwrap_or_default())
}

/// The libraries of a payload.
///
/// # Errors
/// It is damaged, or holds something else.
pub(super) fn read(payload: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let mut body = rdb::dump::verify(payload).map_err(|_| Error::RESTORE_PAYLOAD)?;
    let mut codes = Vec::new();
    while let Some((opcode, rest)) = body.split_first() {
        match *opcode {
            LIBRARY => {}
            OLD_LIBRARY => return Err(Error::RESTORE_OLD),
            _ => return Err(Error::RESTORE_TYPE),
        }
        let mut reader = rdb::Reader::over(rest, rdb::ReaderOptions::default());
        codes.push(reader.string_vec().map_err(|_| Error::RESTORE_LIBRARY)?);
        let used = usize::try_from(reader.offset()).unwrap_or(usize::MAX);
        body = rest.get(used..).ok_or(Error::RESTORE_LIBRARY)?;
    }
    Ok(codes)
}
