//! Scripted runs on a disk that fails at every operation in turn: whatever happens, the log is read again, and what comes
//! out is a prefix of what was done that holds all that was acknowledged as synced (after a loss of power) or as written
//! (after the end of the process).
//!
//! The dataset is a number: a unit with the name `n` may only follow one named `n - 1`. A base is one command that says
//! how many there are.
//!
//! `CAMPAIGN_SEEDS` is the number of losses of power for each place (default 6), `CAMPAIGN_SCRIPTS` that of scripts that
//! are made up (default 3).

use std::io;
use std::path::{Path, PathBuf};

use aof::encoder::{Effect, Encoder};
use aof::fake::{FakeDisk, FakeFile, Fault};
use aof::files::{Files, LogFile};
use aof::manifest::Manifest;
use aof::names::{BaseForm, Names};
use aof::reader::{LogReader, Next, Truncated, Verdict};
use aof::rewrite::{Log, Rewrite};
use aof::start::{self, Plan, Ready};
use aof::steps::{Step, perform, remove_history};
use aof::writer::{self, Marks, SyncTicket, Writer};

/// What has been promised about the units of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Promised {
    done: u64,
    written: u64,
    synced: u64,
}

/// A server in small: the log, and the number that is its dataset.
struct Node {
    disk: FakeDisk,
    names: Names,
    manifest: Manifest,
    writer: Option<Writer<FakeFile>>,
    encoder: Encoder,
    count: u64,
    /// Units in front of the first position of the writer.
    before: u64,
    /// Position and number of units there, for each append.
    positions: Vec<(u64, u64)>,
    promised: Promised,
    /// A sync that has ended, which nobody has been told yet.
    under_way: Option<(SyncTicket, bool)>,
}

fn dir() -> &'static Path {
    Path::new("/data")
}

fn names() -> Names {
    Names::new(dir(), b"aofs", b"a")
}

fn text(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

fn write_base(disk: &FakeDisk, path: &Path, count: u64) -> io::Result<()> {
    let mut bytes = Vec::new();
    words::request::encode(&mut bytes, &[b"COUNT", &text(count)]);
    let mut file = disk.create(path)?;
    aof::files::write_all_at(&mut file, 0, &bytes)?;
    file.sync()
}

/// Applies the records of one file, whole units only; the number by then.
fn load(
    disk: &FakeDisk,
    file: &start::ToLoad,
    mut count: u64,
) -> Result<(u64, Option<u64>), String> {
    let path = names().path(&file.name);
    let input = disk.read(&path, 0).map_err(|error| error.to_string())?;
    let mut reader = LogReader::new(input, file.size);
    let mut queued: Option<Vec<u64>> = None;
    let ending = loop {
        let record = match reader.next_record().map_err(|error| error.to_string())? {
            Next::End(ending) => break ending,
            Next::Record(record) => record,
        };
        use aof::decoder::Kind;
        let number = |index| -> u64 {
            let bytes: &[u8] = record.args.get(index).unwrap_or_default();
            std::str::from_utf8(bytes).unwrap().parse().unwrap()
        };
        match record.kind {
            Kind::Annotation => {}
            Kind::Multi => queued = Some(Vec::new()),
            Kind::Exec => {
                for number in queued.take().unwrap_or_default() {
                    count = follow(count, number)?;
                }
            }
            Kind::Command => match (record.args.get(0).unwrap(), &mut queued) {
                (b"SELECT", _) => {}
                (b"COUNT", _) => count = number(1),
                (_, Some(queued)) => queued.push(number(1)),
                (_, None) => count = follow(count, number(1))?,
            },
        }
    };
    let name = String::from_utf8_lossy(&file.name).into_owned();
    let synced_to = reader.synced_to();
    match ending.verdict(&name, file.place, Truncated::Load) {
        Verdict::Whole => {}
        Verdict::Refuse { lines } => return Err(lines.join("; ")),
        Verdict::Cut { at, .. } => {
            let mut file = disk.open(&path).map_err(|error| error.to_string())?;
            file.truncate(at).map_err(|error| error.to_string())?;
            file.sync().map_err(|error| error.to_string())?;
        }
    }
    Ok((count, synced_to))
}

fn follow(count: u64, number: u64) -> Result<u64, String> {
    if number == count + 1 {
        Ok(number)
    } else {
        Err(format!("a hole: {number} follows {count}"))
    }
}

impl Node {
    /// Starts on what lies on the disk.
    fn start(disk: &FakeDisk) -> Result<Self, String> {
        let names = names();
        let failed = |error: aof::steps::StepError| error.to_string();
        let seen = start::look(disk, &names, Path::new("/data/dump.rdb"))
            .map_err(|error| error.to_string())?;
        let (mut count, mut synced_to) = (0, None);
        let ready: Ready = match start::plan(&seen, &names).map_err(|error| error.to_string())? {
            Plan::Begin(begin) => {
                perform(disk, &begin.before).map_err(failed)?;
                let temp = names.temp_base(1);
                write_base(disk, &temp, 0).map_err(|error| error.to_string())?;
                begin.after(&names, &temp, BaseForm::Commands, Marks::On)
            }
            Plan::Load(load_plan) => {
                perform(disk, &load_plan.before).map_err(failed)?;
                for file in &load_plan.files {
                    (count, synced_to) = load(disk, file, count)?;
                    let path = names.path(&file.name);
                    if path != load_plan.after(&names, Marks::On).file {
                        writer::settle(disk, &path, synced_to)
                            .map_err(|error| error.to_string())?;
                        synced_to = None;
                    }
                }
                load_plan.after(&names, Marks::On)
            }
        };
        let ready = ready.without_history(&names);
        perform(disk, &ready.steps).map_err(failed)?;
        for path in start::leftovers(disk, &names).map_err(|error| error.to_string())? {
            perform(disk, &[Step::Remove(path)]).map_err(failed)?;
        }
        let text = |error: io::Error| error.to_string();
        let (file, size) = writer::begin(disk, &ready.file, synced_to, Marks::On).map_err(text)?;
        Ok(Self {
            disk: disk.clone(),
            names,
            manifest: ready.manifest,
            writer: Some(Writer::new(file, size, Marks::On)),
            encoder: Encoder::new(false),
            count,
            before: count,
            positions: Vec::new(),
            under_way: None,
            promised: Promised {
                done: count,
                written: count,
                synced: count,
            },
        })
    }

    /// One unit of so many effects.
    fn unit(&mut self, effects: u64) {
        let numbers: Vec<Vec<u8>> = (0..effects)
            .map(|index| text(self.count + 1 + index))
            .collect();
        let args: Vec<[&[u8]; 2]> = numbers
            .iter()
            .map(|number| [b"ADD".as_slice(), number])
            .collect();
        let effects: Vec<Effect<'_>> = args.iter().map(|args| Effect { db: 0, args }).collect();
        self.count += effects.len() as u64;
        self.promised.done = self.count;
        if let Some(writer) = &mut self.writer {
            let encoder = &mut self.encoder;
            let position = writer.append(|buffer| encoder.unit(buffer, &effects, 0));
            self.positions.push((position, self.count));
        }
    }

    fn units_at(&self, position: u64) -> u64 {
        let reached = self.positions.iter().rev().find(|(at, _)| *at <= position);
        reached.map_or(self.before, |(_, count)| *count)
    }

    fn flush(&mut self) {
        if let Some(writer) = &mut self.writer
            && let Ok(position) = writer.flush(0)
        {
            let units = self.units_at(position);
            self.promised.written = self.promised.written.max(units);
        }
    }

    /// A sync as another thread does it: of what is written by now, and told later.
    fn begin_sync(&mut self) {
        if self.under_way.is_none()
            && let Some(writer) = &mut self.writer
        {
            let ticket = writer.begin_sync(0);
            self.under_way = Some((ticket, writer.file().sync().is_ok()));
        }
    }

    fn end_sync(&mut self) {
        if let Some((ticket, succeeded)) = self.under_way.take()
            && let Some(writer) = &mut self.writer
        {
            let position = writer.end_sync(ticket, succeeded);
            let units = self.units_at(position);
            self.promised.synced = self.promised.synced.max(units);
        }
    }

    fn sync(&mut self) {
        self.end_sync();
        if let Some(writer) = &mut self.writer {
            let _ = writer.sync(0); // What counts is what it says is synced.
            let position = writer.synced();
            let units = self.units_at(position);
            self.promised.synced = self.promised.synced.max(units);
        }
    }

    /// Begins a rewrite of a log that is on; `None` when that was not possible.
    fn begin_rewrite(&mut self) -> Option<(Rewrite, u64, u64)> {
        self.flush();
        self.sync();
        let writer = self.writer.as_mut()?;
        if !writer.is_clean() {
            return None;
        }
        let (rewrite, begun) = Rewrite::begin(
            &self.names,
            &self.manifest,
            Log::On,
            BaseForm::Commands,
            Marks::On,
        );
        perform(&self.disk, &begun.steps).ok()?;
        let file = self.disk.open(&begun.file.unwrap()).ok()?;
        let size = file.size().ok()?;
        self.manifest = begun.manifest;
        let position = writer.appended();
        assert!(writer.switch(file, size).is_ok());
        self.encoder.begin_file();
        Some((rewrite, self.count, position))
    }

    fn end_rewrite(&mut self, begun: Option<(Rewrite, u64, u64)>, outcome: Outcome) {
        let Some((rewrite, count, position)) = begun else {
            return;
        };
        let temp = self.names.finished_base(7);
        let written = write_base(&self.disk, &temp, count);
        if written.is_ok() && outcome == Outcome::Success {
            let committed = rewrite.commit(&self.names, &temp);
            if perform(&self.disk, &committed.steps).is_ok() {
                self.manifest = committed.manifest;
                if let Some(writer) = &mut self.writer {
                    writer.covered(position);
                }
                self.clean();
                return;
            }
        }
        let _ = perform(&self.disk, &rewrite.fail(&self.names, &[temp])); // A leftover is removed at the next start.
    }

    fn clean(&mut self) {
        let (steps, after) = remove_history(&self.names, &self.manifest);
        if perform(&self.disk, &steps).is_ok() {
            self.manifest = after;
        }
    }

    fn step(&mut self, step: Do) {
        match step {
            Do::Unit(effects) => self.unit(effects),
            Do::Flush => self.flush(),
            Do::Sync => self.sync(),
            Do::BeginSync => self.begin_sync(),
            Do::EndSync => self.end_sync(),
            Do::Rewrite(outcome) => {
                let begun = self.begin_rewrite();
                for _ in 0..3 {
                    self.unit(2);
                    self.flush();
                }
                self.sync();
                self.unit(1);
                self.flush();
                self.end_rewrite(begun, outcome);
            }
            Do::Off => {
                self.flush();
                self.sync();
                self.writer = None;
            }
            Do::BaseOnly => self.base_only(),
            Do::On => self.switch_on(),
        }
    }

    fn base_only(&mut self) {
        let (rewrite, begun) = Rewrite::begin(
            &self.names,
            &self.manifest,
            Log::Off,
            BaseForm::Commands,
            Marks::On,
        );
        if perform(&self.disk, &begun.steps).is_err() {
            return;
        }
        self.end_rewrite(Some((rewrite, self.count, 0)), Outcome::Success);
    }

    /// Promises begin when the base is there.
    fn switch_on(&mut self) {
        let (rewrite, begun) = Rewrite::begin(
            &self.names,
            &self.manifest,
            Log::Starting,
            BaseForm::Commands,
            Marks::On,
        );
        let Some(mut writer) = perform(&self.disk, &begun.steps)
            .ok()
            .and_then(|()| self.disk.open(&begun.file?).ok())
            .and_then(|file| Some(Writer::new_with_size(file)?.0))
        else {
            return;
        };
        let base_count = self.count;
        self.before = self.count;
        self.positions.clear();
        self.encoder.begin_file();
        for effects in [1, 2] {
            let number = [text(self.count + 1), text(self.count + 2)];
            let args: Vec<[&[u8]; 2]> = number
                .iter()
                .map(|number| [b"ADD".as_slice(), number])
                .collect();
            let effects: Vec<Effect<'_>> = args
                .iter()
                .take(effects)
                .map(|args| Effect { db: 0, args })
                .collect();
            let encoder = &mut self.encoder;
            let position = writer.append(|buffer| encoder.unit(buffer, &effects, 0));
            self.count += effects.len() as u64;
            self.promised.done = self.count;
            self.positions.push((position, self.count));
        }
        let temp = self.names.finished_base(8);
        let ready = writer.flush(0).is_ok()
            && writer.sync(0).is_ok()
            && write_base(&self.disk, &temp, base_count).is_ok();
        let committed = rewrite.commit(&self.names, &temp);
        if ready && perform(&self.disk, &committed.steps).is_ok() {
            self.manifest = committed.manifest;
            self.writer = Some(writer);
            self.promised.written = self.count;
            self.promised.synced = self.count;
            self.clean();
        } else {
            let _ = perform(&self.disk, &rewrite.fail(&self.names, &[temp])); // As above.
        }
    }
}

/// A writer over a file that begins with its mark.
trait NewWithSize: Sized {
    fn new_with_size(file: FakeFile) -> Option<(Self, u64)>;
}

impl NewWithSize for Writer<FakeFile> {
    fn new_with_size(file: FakeFile) -> Option<(Self, u64)> {
        let size = file.size().ok()?;
        Some((Writer::new(file, size, Marks::On), size))
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Success,
    Failure,
}

#[derive(Clone, Copy, Debug)]
enum Do {
    Unit(u64),
    Flush,
    Sync,
    BeginSync,
    EndSync,
    Rewrite(Outcome),
    Off,
    BaseOnly,
    On,
}

use Do::{BaseOnly, BeginSync, EndSync, Flush, Off, On, Sync, Unit};
use Outcome::{Failure, Success};

static SCRIPTS: &[(&str, &[Do])] = &[
    (
        "always",
        &[
            Unit(1),
            Flush,
            Sync,
            Unit(3),
            Flush,
            Sync,
            Unit(1),
            Unit(1),
            Flush,
            Sync,
            Unit(1),
            Flush,
            Sync,
        ],
    ),
    (
        "everysec",
        &[
            Unit(1),
            Flush,
            Unit(2),
            Flush,
            Unit(1),
            Flush,
            Sync,
            Unit(1),
            Flush,
            Unit(2),
            Flush,
            Unit(1),
            Unit(1),
            Flush,
            Unit(1),
            Flush,
            Sync,
            Unit(4),
            Flush,
            Unit(1),
            Flush,
        ],
    ),
    (
        "everysec, synced elsewhere",
        &[
            Unit(1),
            Flush,
            BeginSync,
            Unit(2),
            Flush,
            EndSync,
            Unit(1),
            BeginSync,
            Flush,
            Unit(1),
            EndSync,
            Flush,
            BeginSync,
            Unit(3),
            Flush,
            Unit(1),
            Flush,
            EndSync,
            BeginSync,
            EndSync,
            Unit(1),
            Flush,
        ],
    ),
    (
        "rewrite",
        &[
            Unit(1),
            Flush,
            Sync,
            Unit(2),
            Flush,
            Do::Rewrite(Success),
            Unit(1),
            Flush,
            Unit(1),
            Flush,
            Do::Rewrite(Failure),
            Unit(1),
            Flush,
            Do::Rewrite(Failure),
            Unit(3),
            Flush,
            Sync,
            Do::Rewrite(Success),
            Unit(1),
            Flush,
        ],
    ),
    (
        "switching",
        &[
            Unit(1),
            Flush,
            Sync,
            Off,
            Unit(2),
            On,
            Unit(1),
            Flush,
            Sync,
            Unit(2),
            Flush,
            Off,
            Unit(1),
            BaseOnly,
            Unit(1),
            On,
            Unit(1),
            Flush,
            Sync,
        ],
    ),
];

/// A disk before the script: empty, or with a log of one file.
fn fresh(old_units: u64) -> FakeDisk {
    let disk = FakeDisk::with_folder(dir());
    if old_units > 0 {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(false);
        for number in 1..=old_units {
            let number = text(number);
            let args: [&[u8]; 2] = [b"ADD", &number];
            encoder.unit(&mut bytes, &[Effect { db: 0, args: &args }], 0);
        }
        let path: PathBuf = names().old_path();
        let mut file = disk.create(&path).unwrap();
        aof::files::write_all_at(&mut file, 0, &bytes).unwrap();
        file.sync().unwrap();
        disk.sync_folder(dir()).unwrap();
        return disk.after_kill();
    }
    disk
}

/// Runs a script; what was promised, as far as it came.
fn run(disk: &FakeDisk, script: &[Do], old_units: u64) -> Promised {
    let Ok(mut node) = Node::start(disk) else {
        return Promised {
            done: old_units,
            written: old_units,
            synced: old_units,
        };
    };
    for step in script {
        node.step(*step);
    }
    node.promised
}

/// Starts on a disk, checks what is found against what was promised, does some more, and starts again.
fn check(disk: &FakeDisk, at_least: u64, promised: Promised, what: &str) {
    let before = disk.dump();
    let node = Node::start(disk);
    let mut node =
        node.unwrap_or_else(|why| panic!("{what}: unreadable: {why}\n{promised:?}\n{before}"));
    assert!(
        (at_least..=promised.done).contains(&node.count),
        "{what}: {} units, promised {promised:?}\n{before}",
        node.count
    );
    node.unit(2);
    node.flush();
    node.sync();
    node.unit(1);
    node.flush();
    assert_eq!(
        (node.promised.written, node.promised.synced),
        (node.count, node.count - 1),
        "{what}"
    );
    let again = Node::start(&disk.after_kill())
        .unwrap_or_else(|why| panic!("{what}: then {why}\n{before}"));
    assert_eq!(again.count, node.count, "{what}");
    for seed in 0..2 {
        let again = Node::start(&disk.after_power_loss(seed));
        let again = again.unwrap_or_else(|why| panic!("{what}: then, {seed}: {why}\n{before}"));
        assert!(again.count >= node.count - 1, "{what}");
    }
}

fn seeds() -> u64 {
    let given = std::env::var("CAMPAIGN_SEEDS").ok();
    given.and_then(|seeds| seeds.parse().ok()).unwrap_or(6)
}

fn campaign(name: &str, script: &[Do], old_units: u64) {
    let disk = fresh(old_units);
    let promised = run(&disk, script, old_units);
    assert_eq!(promised.done, promised.done.max(1));
    let operations = disk.operations();
    let mut cases = 0;
    for at in 0..operations {
        for fault in Fault::ALL {
            // What a failing sync drops is chosen by the seed.
            let variants = if fault == Fault::Fail { 3 } else { 1 };
            for variant in 0..variants {
                let disk = fresh(old_units);
                disk.set_fault(at, fault, variant);
                let promised = run(&disk, script, old_units);
                let what = format!("{name}, old {old_units}, {fault:?} at {at} ({variant})");
                check(
                    &disk.after_kill(),
                    promised.written.max(promised.synced),
                    promised,
                    &format!("{what}, killed"),
                );
                for seed in 0..seeds() {
                    let what = format!("{what}, power lost ({seed})");
                    let found = disk.after_power_loss(seed);
                    check(&found, promised.synced, promised, &what);
                    cases += 1;
                }
                cases += 1;
            }
        }
    }
    assert!(cases > operations);
}

#[test]
fn synced_units_survive_with_always() {
    let (name, script) = SCRIPTS[0];
    campaign(name, script, 0);
    campaign(name, script, 5);
}

#[test]
fn synced_units_survive_with_everysec() {
    for (name, script) in &SCRIPTS[1..3] {
        campaign(name, script, 0);
    }
}

#[test]
fn synced_units_survive_rewrites() {
    let (name, script) = SCRIPTS[3];
    campaign(name, script, 0);
}

#[test]
fn synced_units_survive_switching_off_and_on() {
    let (name, script) = SCRIPTS[4];
    campaign(name, script, 3);
}

/// A script of so many steps, of a seed.
fn made_up(seed: u64, steps: usize) -> Vec<Do> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    let mut is_on = true;
    let mut script = vec![Unit(1), Flush];
    while script.len() < steps {
        let step = match below(20) {
            0..=5 => Unit(1 + below(3)),
            6..=9 | 16 => Flush,
            10 | 11 => Sync,
            12 | 17 => BeginSync,
            18 | 19 => EndSync,
            13 if is_on => Do::Rewrite(Success),
            14 if is_on => Do::Rewrite(Failure),
            13 => BaseOnly,
            14 => On,
            _ => Off,
        };
        match step {
            On => is_on = true,
            // Rarely, and not for long.
            Off if !is_on || below(3) > 0 => continue,
            Off => is_on = false,
            _ => {}
        }
        script.push(step);
    }
    script
}

/// `CAMPAIGN_SCRIPTS` scripts (default 3), `CAMPAIGN_SCRIPT` is the seed of the first.
#[test]
fn synced_units_survive_scripts_that_are_made_up() {
    let given = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let scripts: u64 = given("CAMPAIGN_SCRIPTS").unwrap_or(3);
    let first: u64 = given("CAMPAIGN_SCRIPT").unwrap_or(1);
    for seed in first..first + scripts {
        let script = made_up(seed, 20);
        campaign(&format!("CAMPAIGN_SCRIPT={seed}"), &script, seed % 2 * 3);
    }
}

/// A start that repairs is interrupted itself, at every operation.
#[test]
fn a_start_may_fail_at_any_point_and_is_made_up_for() {
    for (name, script) in SCRIPTS {
        let probe = fresh(2);
        run(&probe, script, 2);
        for at in (0..probe.operations()).step_by(3) {
            let disk = fresh(2);
            disk.set_fault(at, Fault::StopAfter, 0);
            let promised = run(&disk, script, 2);
            let lost = disk.after_power_loss(at as u64);
            let starting = lost.after_kill();
            Node::start(&starting).unwrap_or_else(|why| panic!("{name} {at}: {why}"));
            for second in 0..starting.operations() {
                for fault in [Fault::StopBefore, Fault::StopAfter, Fault::Fail] {
                    let again = lost.after_kill();
                    again.set_fault(second, fault, 1);
                    let _ = Node::start(&again); // It may or may not get through.
                    let what = format!("{name}, stopped at {at}, then {fault:?} at {second}");
                    check(&again.after_kill(), promised.synced, promised, &what);
                    check(
                        &again.after_power_loss(7),
                        promised.synced,
                        promised,
                        &format!("{what}, power lost"),
                    );
                }
            }
        }
    }
}
