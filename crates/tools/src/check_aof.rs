//! The program `valkey-check-aof`.

mod file;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use aof::files::reason;
use aof::limits::MANIFEST_BYTES_MAX;
use aof::manifest::Manifest;
use aof::reader::begins_as_rdb;
use clap::{Arg, ArgAction, Command};
use serde_json::{Value, json};

use crate::arguments::{help, program};
use crate::console::{Console, Form, bytes, json_text, version_line};
use file::{Checker, Outcome, Place};

fn command() -> Command {
    program(
        "valkey-check-aof",
        "Looks whether an append-only file is sound, and cuts it where it is not",
        "file.manifest|file.aof",
    )
    .arg(
        Arg::new("fix")
            .long("fix")
            .action(ArgAction::SetTrue)
            .conflicts_with("timestamp")
            .help("Cut the last file behind its last sound unit, after a question"),
    )
    .arg(
        Arg::new("timestamp")
            .long("truncate-to-timestamp")
            .value_name("timestamp")
            .value_parser(clap::value_parser!(OsString))
            .allow_hyphen_values(true)
            .help("Cut the last file in front of what was written later"),
    )
}

/// Looks whether an append-only file is sound: one file, or all that a manifest names. Exits with 0 if it is, or has been
/// made so, and else with 1.
#[must_use]
pub fn main_check_aof(args: Vec<OsString>) -> ExitCode {
    let name = args.first().cloned().unwrap_or_default();
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return misused(&error, &name),
    };
    let form = if matches.get_flag("json") {
        Form::Json
    } else {
        Form::Lines
    };
    let mut console = Console::new(form);
    if matches.get_flag("version") {
        console.line(&[version_line("valkey-check-aof").as_bytes()]);
        return ExitCode::SUCCESS;
    }
    let to_timestamp = match matches
        .get_one::<OsString>("timestamp")
        .map(|text| timestamp(text))
    {
        None => None,
        Some(Ok(time)) => time,
        Some(Err(())) => {
            console.line(&[b"Invalid timestamp, aborting..."]);
            return ExitCode::FAILURE;
        }
    };
    let path = matches
        .get_one::<OsString>("file")
        .map(OsString::as_os_str)
        .unwrap_or_default();
    let mut checker = Checker::new(matches.get_flag("fix"), to_timestamp);
    let sound = check(path, &mut checker, &mut console).is_ok();
    console.document(&json!({
        "file": json_text(bytes(path)),
        "valid": sound,
        "files": checker.documents(),
    }));
    if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Help, if that was asked for; otherwise what the reference says about its use.
fn misused(error: &clap::Error, name: &OsStr) -> ExitCode {
    if let Some(code) = help(error) {
        return code;
    }
    Console::new(Form::Lines).line(&[
        b"Usage: ",
        bytes(name),
        b" [--fix|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>",
    ]);
    ExitCode::FAILURE
}

/// A time in seconds; zero, as no text at all, is none.
fn timestamp(text: &OsStr) -> Result<Option<i64>, ()> {
    if text.is_empty() {
        return Ok(None);
    }
    let time: i64 = text.to_str().and_then(|text| text.parse().ok()).ok_or(())?;
    Ok(Some(time).filter(|time| *time != 0))
}

/// The output says what is wrong.
struct NotSound;

fn check(path: &OsStr, checker: &mut Checker, console: &mut Console) -> Result<(), NotSound> {
    if is_manifest(path, console)? {
        console.line(&[b"Start checking Multi Part AOF"]);
        return all_parts(path, checker, console);
    }
    console.line(&[b"Start checking Old-Style AOF"]);
    let outcome = checker.check(path, bytes(path), Place::Last, "old-style", console)?;
    frame(&outcome, "AOF", bytes(path), checker, console);
    Ok(())
}

/// Opens a file to see how it begins.
fn open(path: &OsStr, console: &mut Console) -> Result<File, NotSound> {
    File::open(path).map_err(|error| {
        let why = reason(&error);
        console.line(&[b"Cannot open file ", bytes(path), b": ", why.as_bytes()]);
        NotSound
    })
}

/// Whether the first line that is no comment begins as one of a manifest.
fn is_manifest(path: &OsStr, console: &mut Console) -> Result<bool, NotSound> {
    let mut input = BufReader::new(open(path, console)?);
    loop {
        let start = match input.fill_buf() {
            Ok(start) => start,
            Err(_) => {
                console.line(&[b"Cannot read file: ", bytes(path)]);
                return Err(NotSound);
            }
        };
        match start.first() {
            Some(b'#') => {}
            _ => {
                let mut word = Vec::new();
                let read = input.take(4).read_to_end(&mut word);
                return Ok(read.is_ok() && word == b"file");
            }
        }
        if input.skip_until(b'\n').is_err() {
            return Ok(false);
        }
    }
}

/// Checks all files that a manifest names.
fn all_parts(path: &OsStr, checker: &mut Checker, console: &mut Console) -> Result<(), NotSound> {
    let manifest = manifest(path, checker, console)?;
    let folder = folder_of(bytes(path));
    let place = |name: &[u8]| {
        let path = [folder, b"/", name].concat();
        OsStr::from_bytes(&path).to_owned()
    };
    let last = manifest.data().last().map(|entry| entry.name.clone());
    let position = |is_last: bool| if is_last { Place::Last } else { Place::Earlier };
    if let Some(base) = &manifest.base {
        let path = place(&base.name);
        let mut first = Vec::new();
        let read = open(&path, console)?.take(5).read_to_end(&mut first);
        let form = if read.is_ok() && begins_as_rdb(&first) {
            "RDB"
        } else {
            "RESP"
        };
        console.line(&[format!("Start to check BASE AOF ({form} format).").as_bytes()]);
        let outcome = checker.check(
            &path,
            &base.name,
            position(manifest.incr.is_empty()),
            "base",
            console,
        )?;
        frame(&outcome, "BASE AOF", &base.name, checker, console);
    }
    if !manifest.incr.is_empty() {
        console.line(&[b"Start to check INCR files."]);
    }
    for entry in &manifest.incr {
        let is_last = last.as_ref() == Some(&entry.name);
        let outcome = checker.check(
            &place(&entry.name),
            &entry.name,
            position(is_last),
            "incr",
            console,
        )?;
        frame(&outcome, "INCR AOF", &entry.name, checker, console);
    }
    console.line(&[b"All AOF files and manifest are valid"]);
    Ok(())
}

fn manifest(
    path: &OsStr,
    checker: &mut Checker,
    console: &mut Console,
) -> Result<Manifest, NotSound> {
    let mut text = Vec::new();
    if open(path, console)?
        .take(MANIFEST_BYTES_MAX)
        .read_to_end(&mut text)
        .is_err()
    {
        console.line(&[b"Cannot read file: ", bytes(path)]);
        return Err(NotSound);
    }
    Manifest::parse(&text).map_err(|error| {
        for line in error.log_lines() {
            console.line(&[line.as_bytes()]);
        }
        checker.note(json!({
            "file": json_text(bytes(path)),
            "kind": "manifest",
            "valid": false,
            "error": { "message": error.to_string() },
        }));
        NotSound
    })
}

/// What a file that may be gone on with is called at last.
fn frame(outcome: &Outcome, kind: &str, name: &[u8], checker: &Checker, console: &mut Console) {
    let kind = kind.as_bytes();
    match outcome {
        Outcome::Sound => console.line(&[kind, b" ", name, b" is valid"]),
        Outcome::Empty => console.line(&[kind, b" ", name, b" is empty"]),
        Outcome::Cut => console.line(&[b"Successfully truncated AOF ", name]),
        Outcome::CutToTime => {
            let time = checker.to_timestamp().unwrap_or_default().to_string();
            console.line(&[
                b"Successfully truncated AOF ",
                name,
                b" to timestamp ",
                time.as_bytes(),
            ]);
        }
    }
}

/// The folder of a path, as `dirname` has it.
fn folder_of(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|byte| *byte == b'/') {
        None => b".",
        Some(0) => b"/",
        Some(end) => path.get(..end).unwrap_or_default(),
    }
}

/// One file of a document.
fn document(name: &[u8], kind: &str, fields: Value) -> Value {
    let mut document = json!({ "file": json_text(name), "kind": kind });
    if let (Some(whole), Value::Object(part)) = (document.as_object_mut(), fields) {
        whole.extend(part);
    }
    document
}
