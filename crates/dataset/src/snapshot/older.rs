//! Payloads of DUMP in an older form, for servers that do not read ours.

use super::{Format, read_value, value_type_as, write_value_as};
use keyspace::Limits;
use rdb::{Reader, ReaderOptions, ValueType, Writer, WriterOptions, dump};

/// The format that Redis 7.0 writes and reads.
const FORMAT: Format = Format::Redis7;

/// A payload of DUMP in the form that Redis 7.0 reads. The times at which consumers of streams were last served are lost:
/// that form has no place for them. `None` for what is no payload.
#[must_use]
pub fn older_payload(payload: &[u8]) -> Option<Vec<u8>> {
    let body = dump::verify(payload).ok()?;
    let mut reader = Reader::over(body, ReaderOptions::default());
    let type_ = reader.value_type().ok()?;
    if !matches!(type_, ValueType::SetListpack | ValueType::StreamListpacks3) {
        return Some(dump::seal_as(body.to_vec(), FORMAT.version()));
    }
    let options = WriterOptions {
        compress: true,
        checksum: false,
    };
    let mut writer = Writer::new(Vec::new(), options);
    let value = read_value(&mut reader, type_, &Limits::default()).ok()??;
    let value = value.as_ref();
    writer.value_type(value_type_as(value, FORMAT)).ok()?;
    write_value_as(&mut writer, value, FORMAT).ok()?;
    Some(dump::seal_as(writer.into_sink().ok()?, FORMAT.version()))
}

#[cfg(test)]
mod tests {
    use super::older_payload;
    use engine::testing::Driver;

    #[test]
    fn an_older_payload_holds_the_same_value() {
        let made: &[&str] = &[
            "set k hello",
            "rpush k 1 b",
            "sadd k 1 2 70000",
            "sadd k a b 3",
            "hset k f v",
            "zadd k 1 a 2.5 b",
            "xadd k 1-1 f v|xgroup create k g 0|xreadgroup group g alice streams k >",
        ];
        for lines in made {
            let mut driver = Driver::new();
            let mut ask = |line: &str| {
                let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
                driver.send(0, &words)
            };
            for line in lines.split('|') {
                assert_ne!(ask(line)[0], b'-', "{line}");
            }
            let digest = ask("debug digest-value k");
            let dumped = ask("dump k");
            let start = dumped.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            let older = older_payload(&dumped[start..dumped.len() - 2]).unwrap();
            assert!(older[0] < 20);
            assert_eq!(older[older.len() - 10..older.len() - 8], [10, 0]);
            driver.send(0, &[b"RESTORE", b"k", b"0", &older, b"REPLACE"]);
            let words: &[&[u8]] = &[b"DEBUG", b"DIGEST-VALUE", b"k"];
            assert_eq!(driver.send(0, words), digest, "{lines}");
        }
    }
}
