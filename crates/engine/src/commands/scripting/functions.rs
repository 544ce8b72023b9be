//! FUNCTION: libraries of functions.

use super::{Family, discard, help, is_flush_mode, payload};
use crate::exec::{Args, Exec};
use crate::scripting::busy;
use crate::scripting::libraries::{From, Loading};
use crate::scripting::run::refused;
use commandtable::{Error, Outcome};
use resp::Reply;
use scripting::{ENGINE, Library, Policy};
use std::sync::Arc;
use words::glob::{self, Case};

pub(in crate::commands) static COMMANDS: Family = &[
    ("function|delete", delete),
    ("function|dump", dump),
    ("function|flush", flush),
    ("function|help", function_help),
    ("function|kill", kill),
    ("function|list", list),
    ("function|load", load),
    ("function|restore", restore),
    ("function|stats", stats),
];

/// Where the libraries of the running command come from.
fn loading(x: &Exec<'_>) -> Loading {
    let from = if x.keys.origin.source.repeats() {
        From::Trusted
    } else {
        From::Client
    };
    Loading::new(x.state, from)
}

/// `FUNCTION LOAD [REPLACE] code`.
///
/// Reply: the library's name.
/// Errors: another option; what is wrong with the library.
/// Propagates: itself.
/// Source: Valkey command reference, FUNCTION LOAD (since 7.0.0).
fn load(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let (options, code) = match args {
        [_, _, options @ .., code] => (options, *code),
        _ => return Err(Error::SYNTAX),
    };
    let mut replace = false;
    for option in options {
        if !option.eq_ignore_ascii_case(b"replace") {
            return Err(Error::unknown_load_option(option));
        }
        replace = true;
    }
    let mut host = loading(x);
    let name = x.state.scripting.load_library(code, replace, &mut host);
    let name = name.map_err(refused)?;
    x.keys.dirty += 1;
    x.out.bulk(&name);
    Ok(())
}

/// `FUNCTION DELETE library`.
///
/// Reply: OK.
/// Errors: there is no such library.
/// Propagates: itself.
/// Source: Valkey command reference, FUNCTION DELETE (since 7.0.0).
fn delete(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let deleted = x.state.scripting.delete_library(args[2]);
    deleted.map_err(refused)?;
    x.keys.dirty += 1;
    x.out.ok();
    Ok(())
}

/// `FUNCTION FLUSH [ASYNC|SYNC]`: removes all libraries.
///
/// Reply: OK.
/// Errors: another mode; syntax.
/// Propagates: itself, even when there was nothing to remove.
/// Source: Valkey command reference, FUNCTION FLUSH (since 7.0.0).
fn flush(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    if args.len() > 3 {
        return Err(Error::subcommand_syntax(args));
    }
    if !is_flush_mode(&args[2..]) {
        return Err(Error::FUNCTION_FLUSH_MODE);
    }
    let interpreter = x.state.scripting.flush_libraries().map_err(refused)?;
    discard(x, interpreter, &args[2..]);
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
    let codes = x.state.scripting.libraries().map(|library| &*library.code);
    x.out
        .bulk(&payload::write(codes, x.state.config.rdbcompression));
    Ok(())
}

/// `FUNCTION RESTORE payload [FLUSH|APPEND|REPLACE]`.
///
/// Reply: OK.
/// Errors: another policy; a payload that is none; what is wrong with its libraries, or with them beside those that are
/// there. Then nothing has been changed.
/// Propagates: itself.
/// Source: Valkey command reference, FUNCTION RESTORE (since 7.0.0).
fn restore(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let policy = match &args[3..] {
        [] => Policy::Append,
        [word] => match word.to_ascii_lowercase().as_slice() {
            b"append" => Policy::Append,
            b"flush" => Policy::Flush,
            b"replace" => Policy::Replace,
            _ => return Err(Error::RESTORE_POLICY),
        },
        _ => return Err(Error::subcommand_syntax(args)),
    };
    let codes = payload::read(args[2])?;
    let mut host = loading(x);
    let restored = x
        .state
        .scripting
        .restore_libraries(&codes, policy, &mut host);
    restored.map_err(refused)?;
    x.keys.dirty += 1;
    x.out.ok();
    Ok(())
}

/// `FUNCTION LIST [LIBRARYNAME pattern] [WITHCODE]`.
///
/// Reply: a map for each library whose name matches: name, engine, functions, and its code if that was asked for.
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
    let matches = |library: &&Arc<Library>| {
        pattern.is_none_or(|pattern| glob::matches(pattern, &library.name, Case::Insensitive))
    };
    let libraries: Vec<&Arc<Library>> = x.state.scripting.libraries().filter(matches).collect();
    x.out.array(libraries.len());
    for library in libraries {
        describe(x.out, library, with_code);
    }
    Ok(())
}

fn describe(out: &mut Reply, library: &Library, with_code: bool) {
    out.map(3 + usize::from(with_code));
    out.bulk(b"library_name");
    out.bulk(&library.name);
    out.bulk(b"engine");
    out.bulk(ENGINE.as_bytes());
    out.bulk(b"functions");
    out.array(library.functions.len());
    for function in &library.functions {
        out.map(3);
        out.bulk(b"name");
        out.bulk(&function.name);
        out.bulk(b"description");
        out.bulk_or_null(function.description.as_deref());
        out.bulk(b"flags");
        out.set(function.flags.names().count());
        for name in function.flags.names() {
            out.simple(name.as_bytes());
        }
    }
    if with_code {
        out.bulk(b"library_code");
        out.bulk(&library.code);
    }
}

/// `FUNCTION STATS`.
///
/// Reply: a map: the running function, null for none; libraries and functions of each engine.
/// Errors: a script runs for long.
/// Propagates: nothing.
/// Source: Valkey command reference, FUNCTION STATS (since 7.0.0).
fn stats(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let running = busy::running_function(x)?;
    let (libraries, functions) = x.state.scripting.counts();
    let out = &mut *x.out;
    out.map(2);
    out.bulk(b"running_script");
    match running {
        None => out.null(),
        Some((name, request, elapsed_ms)) => {
            out.map(3);
            out.bulk(b"name");
            out.bulk(&name);
            out.bulk(b"command");
            out.array(request.len());
            for word in request.iter() {
                out.bulk(word);
            }
            out.bulk(b"duration_ms");
            out.int(i64::try_from(elapsed_ms).unwrap_or(i64::MAX));
        }
    }
    out.bulk(b"engines");
    out.map(1);
    out.bulk(ENGINE.as_bytes());
    out.map(2);
    out.bulk(b"libraries_count");
    out.uint(libraries);
    out.bulk(b"functions_count");
    out.uint(functions);
    Ok(())
}

/// `FUNCTION KILL`: ends a function that runs too long.
///
/// Reply: OK.
/// Errors: none runs, or it is a script; it has written.
/// Propagates: nothing.
/// Source: Valkey command reference, FUNCTION KILL (since 7.0.0).
fn kill(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    busy::kill(x, true)
}

/// `FUNCTION HELP`.
///
/// Reply: lines of help.
/// Errors: none.
/// Propagates: nothing.
/// Source: Valkey command reference, FUNCTION HELP (since 7.0.0).
fn function_help(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.reply_help("FUNCTION", help::FUNCTION);
    Ok(())
}
