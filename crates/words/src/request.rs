//! A request as it travels on the wire and stands in the log: a RESP array of bulk strings.

/// Appends the encoding of a request to `into`.
pub fn encode(into: &mut Vec<u8>, args: &[&[u8]]) {
    let mut digits = itoa::Buffer::new();
    into.push(b'*');
    into.extend_from_slice(digits.format(args.len()).as_bytes());
    into.extend_from_slice(b"\r\n");
    for arg in args {
        into.push(b'$');
        into.extend_from_slice(digits.format(arg.len()).as_bytes());
        into.extend_from_slice(b"\r\n");
        into.extend_from_slice(arg);
        into.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn a_request_is_an_array_of_bulk_strings() {
        let mut bytes = b"x".to_vec();
        encode(&mut bytes, &[b"SET", b"", b"a\r\nb"]);
        assert_eq!(bytes, b"x*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\na\r\nb\r\n");
    }
}
