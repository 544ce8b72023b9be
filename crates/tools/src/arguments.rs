//! What the command lines of the programs have in common.

use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;
use std::process::ExitCode;

/// A program that looks at one file: `--json`, `-v`, and the file, which usage calls `file`.
pub(crate) fn program(name: &'static str, about: &'static str, file: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .disable_version_flag(true)
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Print one JSON document instead of lines"),
        )
        .arg(
            Arg::new("version")
                .short('v')
                .long("version")
                .action(ArgAction::SetTrue)
                .exclusive(true)
                .help("Print the version"),
        )
        .arg(
            Arg::new("file")
                .value_name(file)
                .value_parser(clap::value_parser!(OsString))
                .required_unless_present("version"),
        )
}

/// Prints the help if it was asked for, and then tells how to exit.
pub(crate) fn help(error: &clap::Error) -> Option<ExitCode> {
    (error.kind() == clap::error::ErrorKind::DisplayHelp).then(|| {
        if error.print().is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    })
}
