//! `full-sync`: what a full synchronisation costs the primary's clients, its memory and its processors, on two channels and
//! on one, here and elsewhere.
//!
//! It repeats the experiment that introduced dual-channel replication: a primary with a large dataset is written to by at
//! most 50 clients while a replica on the same machine synchronises; then again with clients that read large sets. Rounds
//! of all pairings take turns. What was measured is written as JSON; plots and the page are made from that file alone.
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "a program that measures reads the clock"
)]

mod client;
mod experiment;
mod load;
mod machine;
mod node;
mod options;
mod page;
mod plots;
mod process;
mod progress;
mod record;
mod scan;
mod stats;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::{fs, io};

use options::Options;
use progress::Progress;
use record::Report;

/// The file that everything else is made from.
const RESULTS: &str = "results.json";

fn main() -> ExitCode {
    let options = Options::from_arguments();
    let done = if options.page_only {
        read(&options.out).and_then(|report| publish(&options.out, &report))
    } else {
        measure(&options)
    };
    match done {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failures) => {
            eprintln!("{failures} rounds failed");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("full-sync: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all rounds and writes what came of them; the number of rounds that failed.
fn measure(options: &Options) -> Result<usize, Box<dyn Error>> {
    fs::create_dir_all(&options.out)?;
    let mut report = Report::new(options);
    let plan = experiment::plan(options);
    let mut progress = Progress::new(plan.len());
    for step in &plan {
        progress.next(&step.title());
        report
            .rounds
            .push(experiment::run(step, options, &mut progress));
        // Whoever interrupts the rest keeps what there is.
        write(&options.out, &report)?;
    }
    progress.end();
    report.keep_typical_series();
    write(&options.out, &report)?;
    publish(&options.out, &report)
}

fn write(folder: &Path, report: &Report) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    fs::write(folder.join(RESULTS), text)
}

fn read(folder: &Path) -> Result<Report, Box<dyn Error>> {
    Ok(serde_json::from_str(&fs::read_to_string(
        folder.join(RESULTS),
    )?)?)
}

/// Draws the plots and writes the page; the number of rounds that failed.
fn publish(folder: &Path, report: &Report) -> Result<usize, Box<dyn Error>> {
    let plots = plots::draw(folder, report)?;
    fs::write(folder.join("README.md"), page::write(report, &plots))?;
    Ok(report.failures().count())
}
