//! SCRIPT and FUNCTION, as far as there are no scripts: what clients say first and last, and its answers.

use super::Family;
use crate::exec::{Args, Exec};
use commandtable::{Error, Outcome};
use rdb::{Writer, WriterOptions};
use words::glob::{self, Case};

pub(super) static COMMANDS: Family = &[
    ("script|exists", exists),
    ("script|flush", flush_scripts),
    ("script|kill", kill),
    ("script|show", show),
    ("script|help", script_help),
    ("function|list", list),
    ("function|stats", stats),
    ("function|flush", flush_functions),
    ("function|kill", kill),
    ("function|dump", dump),
    ("function|help", function_help),
];

/// `SCRIPT EXISTS sha1 [sha1 ...]`.
///
/// Reply: for each digest whether its script is cached: 0.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, SCRIPT EXISTS (since 2.6.0).
fn exists(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let digests = &args[2..];
    x.out.array(digests.len());
    for _ in digests {
        x.out.int(0);
    }
    Ok(())
}

/// True for the words that say where to free; nothing else may stand there.
fn is_flush_mode(words: Args<'_>) -> bool {
    match words {
        [] => true,
        [mode] => mode.eq_ignore_ascii_case(b"sync") || mode.eq_ignore_ascii_case(b"async"),
        _ => false,
    }
}

/// `SCRIPT FLUSH [ASYNC|SYNC]`: forgets all scripts.
///
/// Reply: OK.
/// Errors: another mode.
/// Propagates: nothing: each server has a cache of its own.
/// Source: Valkey command reference, SCRIPT FLUSH (since 2.6.0, with modes since 6.2.0).
fn flush_scripts(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    if !is_flush_mode(&args[2..]) {
        return Err(Error::SCRIPT_FLUSH_MODE);
    }
    x.out.ok();
    Ok(())
}

/// `SCRIPT KILL`, `FUNCTION KILL`: ends what runs too long.
///
/// Reply: none.
/// Errors: always: nothing runs.
/// Propagates: nothing.
/// Source: Valkey command reference, SCRIPT KILL (since 2.6.0), FUNCTION KILL (since 7.0.0).
fn kill(_x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    Err(Error::NO_SCRIPT_RUNS)
}

/// `SCRIPT SHOW sha1`.
///
/// Reply: none.
/// Errors: always: no script has that digest.
/// Propagates: nothing.
/// Source: Valkey command reference, SCRIPT SHOW (since 8.0.0).
fn show(_x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    Err(Error::NO_SUCH_SCRIPT)
}

/// `SCRIPT HELP`.
///
/// Reply: lines of help.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, SCRIPT HELP (since 5.0.0).
fn script_help(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.reply_help(
        "SCRIPT",
        &[
            "EXISTS <sha1> [<sha1> ...]",
            "    Return information about the existence of the scripts in the script cache.",
            "FLUSH [ASYNC|SYNC]",
            "    Flush the Lua scripts cache. Very dangerous on replicas.",
            "    When called without the optional mode argument, the behavior is determined",
            "     by the lazyfree-lazy-user-flush configuration directive. Valid modes are:",
            "    * ASYNC: Asynchronously flush the scripts cache.",
            "    * SYNC: Synchronously flush the scripts cache.",
            "KILL",
            "    Kill the currently executing Lua script.",
            "SHOW <sha1>",
            "    Show a script from the scripts cache.",
        ],
    );
    Ok(())
}

/// `FUNCTION LIST [LIBRARYNAME pattern] [WITHCODE]`.
///
/// Reply: a map for each library whose name matches: name, engine, functions, and its code if that was asked for. Libraries
/// come from snapshots and are kept as they are; which functions they would register is not known without running them.
/// Errors: another word, or the same one twice; no pattern.
/// Propagates: nothing.
/// Source: Valkey command reference, FUNCTION LIST (since 7.0.0).
fn list(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let (mut with_code, mut pattern) = (false, None);
    let mut words = args[2..].iter();
    while let Some(word) = words.next() {
        if !with_code && word.eq_ignore_ascii_case(b"withcode") {
            with_code = true;
        } else if pattern.is_none() && word.eq_ignore_ascii_case(b"libraryname") {
            pattern = Some(*words.next().ok_or(Error::NO_LIBRARY_NAME)?);
        } else {
            return Err(Error::unknown_argument(word));
        }
    }
    let libraries: Vec<(Header<'_>, &[u8])> = x
        .keys
        .functions
        .iter()
        .map(|code| (Header::of(code), code.as_slice()))
        .filter(|(header, _)| {
            pattern.is_none_or(|p| glob::matches(p, header.name, Case::Insensitive))
        })
        .collect();
    x.out.array(libraries.len());
    for (header, code) in libraries {
        x.out.map(3 + usize::from(with_code));
        x.out.bulk(b"library_name");
        x.out.bulk(header.name);
        x.out.bulk(b"engine");
        x.out.bulk(&header.engine);
        x.out.bulk(b"functions");
        x.out.array(0);
        if with_code {
            x.out.bulk(b"library_code");
            x.out.bulk(code);
        }
    }
    Ok(())
}

/// What a library's first line says: `#!lua name=mylib`.
struct Header<'a> {
    /// In upper case.
    engine: Vec<u8>,
    name: &'a [u8],
}

impl<'a> Header<'a> {
    fn of(code: &'a [u8]) -> Self {
        let line = code.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let mut words = line.trim_ascii().split(|byte| *byte == b' ');
        let engine = words.next().and_then(|word| word.strip_prefix(b"#!"));
        let name = words.find_map(|word| word.strip_prefix(b"name="));
        Header {
            engine: engine.unwrap_or_default().to_ascii_uppercase(),
            name: name.unwrap_or_default(),
        }
    }
}

/// `FUNCTION STATS`.
///
/// Reply: a map: the running function, null for none; libraries and functions of each engine.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, FUNCTION STATS (since 7.0.0).
fn stats(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let out = &mut *x.out;
    out.map(2);
    out.bulk(b"running_script");
    out.null();
    out.bulk(b"engines");
    out.map(1);
    out.bulk(b"LUA");
    out.map(2);
    out.bulk(b"libraries_count");
    out.uint(x.keys.functions.len());
    out.bulk(b"functions_count");
    out.int(0);
    Ok(())
}

/// `FUNCTION FLUSH [ASYNC|SYNC]`: removes all libraries.
///
/// Reply: OK.
/// Errors: another mode; syntax.
/// Propagates: itself, even when there was nothing to remove.
/// Source: Valkey command reference, FUNCTION FLUSH (since 7.0.0).
fn flush_functions(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    if args.len() > 3 {
        return Err(Error::subcommand_syntax(args));
    }
    if !is_flush_mode(&args[2..]) {
        return Err(Error::FUNCTION_FLUSH_MODE);
    }
    x.keys.functions = Default::default();
    x.keys.dirty += 1;
    x.out.ok();
    Ok(())
}

/// `FUNCTION DUMP`: all libraries as a payload for FUNCTION RESTORE.
///
/// Reply: bytes: the records of a snapshot, one for each library, in a frame.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, FUNCTION DUMP (since 7.0.0).
fn dump(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let mut writer = Writer::new(Vec::new(), WriterOptions::default());
    let written = x
        .keys
        .functions
        .iter()
        .try_for_each(|code| writer.function(code));
    let records = written.and_then(|()| writer.into_sink());
    x.out.bulk(&rdb::dump::seal(records.unwrap_or_default()));
    Ok(())
}

/// `FUNCTION HELP`.
///
/// Reply: lines of help.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, FUNCTION HELP (since 7.0.0).
fn function_help(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.reply_help(
        "FUNCTION",
        &[
            "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
            "    Return general information on all the libraries:",
            "    * Library name",
            "    * The engine used to run the Library",
            "    * Functions list",
            "    * Library code (if WITHCODE is given)",
            "    It also possible to get only function that matches a pattern using LIBRARYNAME argument.",
            "STATS",
            "    Return information about the current function running:",
            "    * Function name",
            "    * Command used to run the function",
            "    * Duration in MS that the function is running",
            "    If no function is running, return nil",
            "    In addition, returns a list of available engines.",
            "KILL",
            "    Kill the current running function.",
            "FLUSH [ASYNC|SYNC]",
            "    Delete all the libraries.",
            "    When called without the optional mode argument, the behavior is determined by the",
            "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
            "    * ASYNC: Asynchronously flush the libraries.",
            "    * SYNC: Synchronously flush the libraries.",
            "DUMP",
            "    Return a serialized payload representing the current libraries, can be restored using FUNCTION RESTORE command",
        ],
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn there_are_no_scripts_and_no_functions() {
        check(
            r#"
            > SCRIPT EXISTS a b
            < 1) (integer) 0
            < 2) (integer) 0
            > SCRIPT FLUSH async
            < OK
            > SCRIPT FLUSH sync x
            < (error) ERR SCRIPT FLUSH only support SYNC|ASYNC option
            > SCRIPT LOAD "return 1"
            < (error) ERR unknown subcommand 'LOAD'. Try SCRIPT HELP.
            > FUNCTION LIST withcode LIBRARYNAME *
            < (empty array)
            > FUNCTION LIST WITHCODE WITHCODE
            < (error) ERR Unknown argument WITHCODE
            > FUNCTION LIST LIBRARYNAME
            < (error) ERR library name argument was not given
            > FUNCTION FLUSH x
            < (error) ERR FUNCTION FLUSH only supports SYNC|ASYNC option
            > FUNCTION FLUSH sync x
            < (error) ERR unknown subcommand or wrong number of arguments for 'FLUSH'. Try FUNCTION HELP.
            > FUNCTION KILL
            < (error) NOTBUSY No scripts in execution right now.
            "#,
        );
    }

    #[test]
    fn a_flush_of_functions_travels() {
        check(
            "
            > FUNCTION FLUSH
            < OK
            ~ FUNCTION FLUSH
            > SCRIPT FLUSH
            < OK
            ",
        );
    }
}
