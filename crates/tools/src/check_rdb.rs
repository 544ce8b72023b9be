//! The program `valkey-check-rdb`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

use clap::Command;
use serde_json::json;

use crate::arguments::{help, program};
use crate::clock::now_ms;
use crate::console::{Console, Form, bytes, json_text, version_line};
use crate::rdb_check;

fn command() -> Command {
    program(
        "valkey-check-rdb",
        "Looks whether an RDB file is sound",
        "rdb-file-name",
    )
}

/// Looks whether an RDB file is sound. Exits with 0 if it is, and else with 1.
#[must_use]
pub fn main_check_rdb(args: Vec<OsString>) -> ExitCode {
    let name = args.first().cloned().unwrap_or_default();
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return misused(&error, &name),
    };
    if matches.get_flag("version") {
        Console::new(Form::Lines).line(&[version_line("valkey-check-rdb").as_bytes()]);
        return ExitCode::SUCCESS;
    }
    let form = if matches.get_flag("json") {
        Form::Json
    } else {
        Form::Lines
    };
    let path = matches
        .get_one::<OsString>("file")
        .map(OsString::as_os_str)
        .unwrap_or_default();
    check(path, form)
}

/// Help, if that was asked for; otherwise what the reference says about its use.
fn misused(error: &clap::Error, name: &OsStr) -> ExitCode {
    if let Some(code) = help(error) {
        return code;
    }
    let line = [b"Usage: ", bytes(name), b" <rdb-file-name>\n"].concat();
    // Nobody is left to be told when the output is closed.
    let _ = std::io::stderr().write_all(&line);
    ExitCode::FAILURE
}

fn check(path: &OsStr, form: Form) -> ExitCode {
    let mut console = Console::new(form);
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (size, file) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            // The reference says no more than which file it was going to check.
            console.line(&[b"[offset 0] Checking RDB file ", bytes(path)]);
            console.document(&json!({
                "file": json_text(bytes(path)),
                "valid": false,
                "error": { "message": aof::files::reason(&error) },
            }));
            return ExitCode::FAILURE;
        }
    };
    let (report, _) = rdb_check::check(file, size, bytes(path), now_ms(), &mut console);
    let mut document = json!({ "file": json_text(bytes(path)) });
    if let (Some(whole), Some(part)) = (document.as_object_mut(), report.document().as_object()) {
        whole.extend(part.clone());
    }
    console.document(&document);
    if report.is_sound() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
