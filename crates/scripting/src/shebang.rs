//! First lines: `#!lua flags=...` of a script, `#!lua name=...` of a library.

use crate::error::Error;
use crate::flags::ScriptFlags;

/// Splits a body that begins with `#!` into the words of its first line and the rest, which keeps the line's end so that
/// lines keep their numbers.
fn split(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = body.iter().position(|byte| *byte == b'\n')?;
    Some(body.split_at(end))
}

/// The flags of a script and its code.
///
/// # Errors
/// What is wrong with its first line.
pub(crate) fn script(body: &[u8]) -> Result<(ScriptFlags, &[u8]), Error> {
    if !body.starts_with(b"#!") {
        return Ok((ScriptFlags::COMPATIBLE, body));
    }
    let (line, code) = split(body).ok_or(Error::SHEBANG)?;
    let words = resp::split_args(line).ok_or(Error::SHEBANG_QUOTES)?;
    let mut words = words.iter();
    let engine = words.next().map_or(&b""[..], Vec::as_slice);
    if engine != b"#!lua" {
        return Err(Error::shebang_engine(engine));
    }
    let mut flags = ScriptFlags::default();
    for word in words {
        let Some(names) = word.strip_prefix(b"flags=") else {
            return Err(Error::shebang_option(word));
        };
        if names.is_empty() {
            continue;
        }
        for name in names.split(|byte| *byte == b',') {
            let flag = ScriptFlags::named(name).ok_or_else(|| Error::shebang_flag(name))?;
            flags = flags.and(flag);
        }
    }
    Ok((flags, code))
}

/// A library's first line, and its code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Library<'a> {
    pub(crate) name: Vec<u8>,
    pub(crate) engine: Vec<u8>,
    pub(crate) code: &'a [u8],
}

/// Reads a library's first line.
///
/// # Errors
/// What is wrong with it, the name's form excepted.
pub(crate) fn library(source: &[u8]) -> Result<Library<'_>, Error> {
    if !source.starts_with(b"#!") {
        return Err(Error::NO_METADATA);
    }
    let (line, code) = split(source).ok_or(Error::METADATA)?;
    if line.contains(&0) {
        return Err(Error::METADATA);
    }
    let words = resp::split_args(line).ok_or(Error::METADATA)?;
    let mut words = words.into_iter();
    let engine = words.next().unwrap_or_default().split_off(2);
    let mut name = None;
    for word in words {
        let is_name = word
            .get(..5)
            .is_some_and(|key| key.eq_ignore_ascii_case(b"name="));
        if !is_name {
            return Err(Error::metadata_value(&word));
        }
        if name.is_some() {
            return Err(Error::NAME_TWICE);
        }
        name = Some(word[5..].to_vec());
    }
    Ok(Library {
        name: name.ok_or(Error::NO_NAME)?,
        engine,
        code,
    })
}

/// Whether libraries and functions may have this name.
pub(crate) fn is_name(name: &[u8]) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    !name.is_empty() && name.iter().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(body: &str) -> Result<Vec<&'static str>, String> {
        match script(body.as_bytes()) {
            Ok((flags, _)) => Ok(flags.names().collect()),
            Err(error) => Err(String::from_utf8_lossy(error.text()).into_owned()),
        }
    }

    #[test]
    fn flags_of_scripts_are_read() {
        assert_eq!(
            flags("#!lua flags=allow-oom,no-writes flags= \"flags=no-cluster\"\r\nreturn 1"),
            Ok(vec!["no-writes", "allow-oom", "no-cluster"])
        );
        let (none, code) = script(b"return 1").unwrap();
        assert!(none == ScriptFlags::COMPATIBLE && code == b"return 1");
        assert_eq!(
            script(b"#!lua\nx").unwrap(),
            (ScriptFlags::default(), &b"\nx"[..])
        );
    }

    #[test]
    fn first_lines_of_scripts_are_refused_as_by_the_reference() {
        for (body, error) in [
            ("#!lua", "ERR Invalid script shebang"),
            ("#!lua \"x\n", "ERR Invalid engine in script shebang"),
            ("#!LUA\n", "ERR Unexpected engine in script shebang: #!LUA"),
            ("#! lua\n", "ERR Unexpected engine in script shebang: #!"),
            ("#!lua name=x\n", "ERR Unknown lua shebang option: name=x"),
            (
                "#!lua flags=bad\n",
                "ERR Unexpected flag in script shebang: bad",
            ),
            (
                "#!lua flags=no-writes,\n",
                "ERR Unexpected flag in script shebang: ",
            ),
        ] {
            assert_eq!(flags(body), Err(error.to_owned()), "{body:?}");
        }
    }

    #[test]
    fn a_library_says_its_name() {
        let read = library(b"#!LUA \"NAME=my lib\"\r\ncode").unwrap();
        assert_eq!(
            (read.name.as_slice(), read.engine.as_slice(), read.code),
            (&b"my lib"[..], &b"LUA"[..], &b"\ncode"[..])
        );
        for (source, error) in [
            ("return 1", Error::NO_METADATA),
            ("#!lua name=a", Error::METADATA),
            ("#!lua name=\"a\n", Error::METADATA),
            ("#!lua name=a\0\n", Error::METADATA),
            ("#!lua\n", Error::NO_NAME),
            ("#!lua name=a name=b\n", Error::NAME_TWICE),
            ("#!lua flags=a\n", Error::metadata_value(b"flags=a")),
        ] {
            assert_eq!(library(source.as_bytes()), Err(error), "{source:?}");
        }
        assert!(is_name(b"aZ_9") && !is_name(b"") && !is_name(b"a-b"));
    }
}
