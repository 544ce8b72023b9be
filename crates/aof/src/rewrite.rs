//! A new base takes the place of what has grown: which steps, in which order, and what holds after each of them.
//!
//! ```text
//! begin    a new increment is made durable and named by the manifest; it follows the former one only when that
//!          is on the disk
//! (work)   somebody writes the dataset of that moment to a temporary file, and syncs it
//! commit   the file gets the base's name, and one durable replacement of the manifest makes everything older
//!          history
//! clean    history is removed, and then the manifest names it no more
//! fail     the temporary files are removed; the new increment stays
//! ```
//!
//! After a step that fails the former manifest holds, and the rewrite has failed.

use std::path::{Path, PathBuf};

use crate::limits::{REWRITE_DELAY_MINUTES_MAX, REWRITE_FAILURES_FREE};
use crate::manifest::{Entry, Manifest};
use crate::names::{BaseForm, Names};
use crate::start::{add_incr, new_incr};
use crate::steps::{Step, replace_manifest};
use crate::writer::Marks;

/// What is written to while the base is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// A log that is kept.
    On,
    /// One that is being switched on: what is done meanwhile is collected beside the log, which is the old one until the
    /// base is there.
    Starting,
    /// None: only a base is made.
    Off,
}

/// A rewrite under way.
#[derive(Clone, Debug)]
pub struct Rewrite {
    log: Log,
    form: BaseForm,
    /// The manifest that holds.
    manifest: Manifest,
    /// The first increment that does not become history.
    first_kept: u64,
}

/// What a rewrite begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// What is to be done; what was written before must be on the disk by then.
    pub steps: Vec<Step>,
    /// The manifest that holds by then.
    pub manifest: Manifest,
    /// What is written to from then on.
    pub file: Option<PathBuf>,
}

/// What a rewrite ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// What is to be done.
    pub steps: Vec<Step>,
    /// The manifest that holds by then.
    pub manifest: Manifest,
    /// Where the base lies by then.
    pub base: PathBuf,
    /// Where the increment lies by then that what was collected has become ([`Log::Starting`]).
    pub incr: Option<PathBuf>,
}

impl Rewrite {
    /// Begins one of the log that `manifest` stands for.
    #[must_use]
    pub fn begin(
        names: &Names,
        manifest: &Manifest,
        log: Log,
        form: BaseForm,
        marks: Marks,
    ) -> (Self, Begun) {
        let mut steps = vec![
            Step::CreateFolder(names.folder().to_owned()),
            Step::SyncFolder(names.dir().to_owned()),
        ];
        let first_kept = manifest.next_incr_seq();
        let (manifest, file) = match log {
            Log::On => {
                let (add, manifest, name) = add_incr(names, manifest, marks);
                steps = add;
                (manifest, Some(names.path(&name)))
            }
            Log::Starting => {
                let temp = names.path(&names.temp_incr());
                steps.push(new_incr(temp.clone(), marks));
                (manifest.clone(), Some(temp))
            }
            Log::Off => (manifest.clone(), None),
        };
        let begun = Begun {
            steps,
            manifest: manifest.clone(),
            file,
        };
        let rewrite = Self {
            log,
            form,
            manifest,
            first_kept,
        };
        (rewrite, begun)
    }

    /// Ends it once the base lies, synced, at `written`. What was collected must be on the disk by then.
    #[must_use]
    pub fn commit(&self, names: &Names, written: &Path) -> Committed {
        let seq = self.manifest.next_base_seq();
        let base = Entry {
            name: names.base(seq, self.form),
            seq,
        };
        let path = names.path(&base.name);
        let mut steps = vec![Step::Rename {
            from: written.to_owned(),
            to: path.clone(),
        }];
        let mut manifest = self.manifest.rewritten(base, self.first_kept);
        let mut incr = None;
        if self.log == Log::Starting {
            let name = names.incr(self.first_kept);
            let to = names.path(&name);
            steps.push(Step::Rename {
                from: names.path(&names.temp_incr()),
                to: to.clone(),
            });
            incr = Some(to);
            manifest.incr.push(Entry {
                name,
                seq: self.first_kept,
            });
        }
        steps.push(Step::SyncFolder(names.folder().to_owned()));
        steps.extend(replace_manifest(names, &manifest));
        Committed {
            steps,
            manifest,
            base: path,
            incr,
        }
    }

    /// Gives it up: what was written of the base lies at `written`.
    #[must_use]
    pub fn fail(&self, names: &Names, written: &[PathBuf]) -> Vec<Step> {
        let mut steps: Vec<Step> = written.iter().cloned().map(Step::Remove).collect();
        if self.log == Log::Starting {
            steps.push(Step::Remove(names.path(&names.temp_incr())));
        }
        steps
    }
}

/// Whether the log has grown enough to be rewritten by itself: by how many percent, if so.
///
/// `percentage` 0 switches that off (`auto-aof-rewrite-percentage`, `auto-aof-rewrite-min-size`).
#[must_use]
pub fn growth(size: u64, base: u64, percentage: u64, size_min: u64) -> Option<u64> {
    if percentage == 0 || size <= size_min {
        return None;
    }
    let hundredfold = u128::from(size).saturating_mul(100);
    let whole = hundredfold
        .checked_div(u128::from(base.max(1)))
        .unwrap_or_default();
    let growth = u64::try_from(whole.saturating_sub(100)).unwrap_or(u64::MAX);
    (growth >= percentage).then_some(growth)
}

/// How long automatic and scheduled rewrites wait after some that have failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    consecutive: u32,
    delay_minutes: u64,
    not_before_s: Option<u64>,
}

/// Whether a rewrite may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// It may.
    Go,
    /// Not before so many minutes have passed, which is worth a line in the log.
    Announce {
        /// Minutes from now.
        minutes: u64,
    },
    /// Not yet.
    Wait,
}

impl Permit {
    /// The line of the reference.
    #[must_use]
    pub fn line(self) -> Option<String> {
        let Self::Announce { minutes } = self else {
            return None;
        };
        Some(format!(
            "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in {minutes} minutes"
        ))
    }
}

impl Failures {
    /// For `aof_rewrites_consecutive_failures`.
    #[must_use]
    pub fn consecutive(&self) -> u32 {
        self.consecutive
    }

    /// A rewrite has failed.
    pub fn failed(&mut self) {
        self.consecutive = self.consecutive.saturating_add(1);
    }

    /// A rewrite has succeeded, or the statistics are reset.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether a rewrite that nobody has asked for may begin at this time, in seconds of any clock that does not stop.
    pub fn permit(&mut self, now_s: u64) -> Permit {
        if self.consecutive <= REWRITE_FAILURES_FREE {
            self.delay_minutes = 0;
            self.not_before_s = None;
            return Permit::Go;
        }
        match self.not_before_s {
            Some(then) if now_s < then => Permit::Wait,
            Some(_) => {
                // Once; if it fails, the next one waits longer.
                self.not_before_s = None;
                Permit::Go
            }
            None => {
                let minutes = self
                    .delay_minutes
                    .saturating_mul(2)
                    .clamp(1, REWRITE_DELAY_MINUTES_MAX);
                self.delay_minutes = minutes;
                self.not_before_s = Some(now_s.saturating_add(minutes.saturating_mul(60)));
                Permit::Announce { minutes }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::new(Path::new("/d"), b"aofs", b"a")
    }

    fn manifest(text: &str) -> Manifest {
        Manifest::parse(text.as_bytes()).unwrap()
    }

    const BEFORE: &str = "file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type i\n";

    #[test]
    fn what_is_older_than_the_base_becomes_history_at_once() {
        let names = names();
        let (rewrite, begun) = Rewrite::begin(
            &names,
            &manifest(BEFORE),
            Log::On,
            BaseForm::Rdb,
            Marks::Off,
        );
        assert_eq!(begun.file, Some("/d/aofs/a.2.incr.aof".into()));
        assert_eq!(
            begun.manifest.print(),
            format!("{BEFORE}file a.2.incr.aof seq 2 type i\n").as_bytes()
        );
        assert_eq!(begun.steps[0], Step::Create("/d/aofs/a.2.incr.aof".into()));
        assert_eq!(begun.steps[1], Step::SyncFolder("/d/aofs".into()));
        let committed = rewrite.commit(&names, Path::new("/d/temp"));
        assert_eq!(
            committed.manifest.print(),
            b"file a.2.base.rdb seq 2 type b\nfile a.1.incr.aof seq 1 type h\nfile a.1.base.rdb seq 1 type h\n\
              file a.2.incr.aof seq 2 type i\n"
        );
        assert_eq!(
            committed.steps[0],
            Step::Rename {
                from: "/d/temp".into(),
                to: "/d/aofs/a.2.base.rdb".into()
            }
        );
        assert_eq!(
            rewrite.fail(&names, &["/d/t".into()]),
            [Step::Remove("/d/t".into())]
        );
    }

    #[test]
    fn switching_on_leaves_the_former_log_until_the_base_is_there() {
        let names = names();
        let (rewrite, begun) = Rewrite::begin(
            &names,
            &manifest(BEFORE),
            Log::Starting,
            BaseForm::Commands,
            Marks::Off,
        );
        assert_eq!(begun.manifest, manifest(BEFORE));
        assert_eq!(begun.file, Some("/d/aofs/temp-a.incr".into()));
        let committed = rewrite.commit(&names, Path::new("/d/temp"));
        assert_eq!(
            committed.manifest.print(),
            b"file a.2.base.aof seq 2 type b\nfile a.1.incr.aof seq 1 type h\nfile a.1.base.rdb seq 1 type h\n\
              file a.2.incr.aof seq 2 type i\n"
        );
        assert_eq!(committed.incr, Some("/d/aofs/a.2.incr.aof".into()));
        assert_eq!(
            rewrite.fail(&names, &[]),
            [Step::Remove("/d/aofs/temp-a.incr".into())]
        );
    }

    #[test]
    fn without_a_log_only_a_base_remains() {
        let names = names();
        let (rewrite, begun) = Rewrite::begin(
            &names,
            &manifest(BEFORE),
            Log::Off,
            BaseForm::Rdb,
            Marks::Off,
        );
        assert_eq!(begun.file, None);
        let committed = rewrite.commit(&names, Path::new("/d/temp"));
        assert_eq!(committed.manifest.incr, []);
        assert_eq!(committed.manifest.history.len(), 2);
        // Later numbers go on from the files that are gone.
        assert_eq!(committed.manifest.next_base_seq(), 3);
    }

    #[test]
    fn growth_triggers_at_the_exact_figures() {
        assert_eq!(growth(200, 100, 100, 64), Some(100));
        assert_eq!(growth(199, 100, 100, 64), None);
        assert_eq!(growth(64, 1, 100, 64), None);
        assert_eq!(growth(65, 0, 100, 64), Some(6400));
        assert_eq!(growth(1000, 1, 0, 64), None);
        assert_eq!(growth(u64::MAX, 0, 100, 64), Some(u64::MAX));
        assert_eq!(growth(50, 100, 1, 0), None);
    }

    #[test]
    fn failures_delay_what_nobody_asked_for() {
        let mut failures = Failures::default();
        for _ in 0..2 {
            failures.failed();
            assert_eq!(failures.permit(0), Permit::Go);
        }
        let mut now = 1000;
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            failures.failed();
            assert_eq!(failures.permit(now), Permit::Announce { minutes });
            assert_eq!(failures.permit(now + minutes * 60 - 1), Permit::Wait);
            now += minutes * 60;
            assert_eq!(failures.permit(now), Permit::Go);
        }
        assert_eq!(failures.consecutive(), 10);
        failures.clear();
        assert_eq!(failures.permit(now), Permit::Go);
        let line = Permit::Announce { minutes: 2 }.line().unwrap();
        assert!(line.ends_with("triggered the limit, will retry in 2 minutes"));
    }
}
