//! DEBUG PROTOCOL: a sample of every kind of reply, for tests of clients.

use crate::exec::Exec;
use commandtable::{Error, Outcome};

const AFTER_ATTRIBUTE: &[u8] = b"Some real reply following the attribute";
const BEFORE_PUSH: &[u8] = b"Some real reply following the push reply";

pub(super) fn reply(x: &mut Exec<'_>, kind: &[u8]) -> Outcome {
    let out = &mut *x.out;
    match &*kind.to_ascii_lowercase() {
        b"string" => out.bulk(b"Hello World"),
        b"integer" => out.int(12345),
        b"double" => out.double(b"3.141"),
        b"bignum" => out.big_number(b"1234567999999999999999999999999999999"),
        b"null" => out.null(),
        b"array" => {
            out.array(3);
            (0..3).for_each(|number| out.int(number));
        }
        b"set" => {
            out.set(3);
            (0..3).for_each(|number| out.int(number));
        }
        b"map" => {
            out.map(3);
            for number in 0..3 {
                out.int(number);
                out.boolean(number == 1);
            }
        }
        b"attrib" => {
            if out.is_v3() {
                out.attribute(1);
                out.bulk(b"key-popularity");
                out.array(2);
                out.bulk(b"key:123");
                out.int(90);
            }
            out.bulk(AFTER_ATTRIBUTE);
        }
        b"push" => {
            if !out.is_v3() {
                return Err(Error::DEBUG_RESP3_ONLY);
            }
            // Out-of-band data never stand inside a reply: they go behind it.
            out.bulk(BEFORE_PUSH);
            out.push(2);
            out.bulk(b"server-cpu-usage");
            out.int(42);
        }
        b"verbatim" => out.verbatim(*b"txt", b"This is a verbatim\nstring"),
        b"true" => out.boolean(true),
        b"false" => out.boolean(false),
        _ => return Err(Error::DEBUG_PROTOCOL),
    }
    Ok(())
}
