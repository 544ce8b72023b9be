//! What lies there when a server starts, and what is to be done about it: facts in, a plan out.
//!
//! Deliberately unlike Valkey 8.0.1, which starts empty in these cases: data without a manifest is not passed over, and a
//! dump file beside no log at all is loaded.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::encoder::mark;
use crate::files::{Files, Found, reason};
use crate::limits::MANIFEST_BYTES_MAX;
use crate::manifest::{Entry, Manifest, ManifestError, beginning, is_beginning};
use crate::names::{BaseForm, Names};
use crate::reader::Place;
use crate::steps::{Step, remove_history, replace_manifest, replace_manifest_bytes};
use crate::writer::Marks;

/// The manifest, as far as there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestSeen {
    /// None.
    Absent,
    /// A start was given up while the first files were being made.
    Beginning,
    /// This one.
    Read(Manifest),
}

/// What lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The folder of the log, by names and sizes of its files; `None` when there is no folder.
    pub folder: Option<Vec<(Vec<u8>, u64)>>,
    /// The manifest in it.
    pub manifest: ManifestSeen,
    /// Bytes of a log of one file, from before there were folders.
    pub old: Option<u64>,
    /// Whether there is a dump file.
    pub dump: bool,
}

/// Why a server does not start. Nothing was changed.
#[derive(Debug)]
pub enum Refusal {
    /// Something else has the folder's name.
    NoFolder(PathBuf),
    /// The manifest makes no sense.
    Manifest(ManifestError),
    /// The manifest cannot be read.
    Unreadable(PathBuf, io::Error),
    /// What lies there cannot be seen.
    Unseen(PathBuf, io::Error),
    /// The manifest names a file that is not there.
    Missing(Vec<u8>),
    /// There are files with data that no manifest names.
    Unlisted(Vec<Vec<u8>>),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFolder(path) => write!(
                f,
                "Can't open or create append-only dir {}: Not a directory",
                base_name(path)
            ),
            Self::Manifest(error) => f.write_str(&error.log_lines().join("\n")),
            Self::Unreadable(path, error) => write!(
                f,
                "Fatal error: can't open the AOF manifest file {} for reading: {}",
                path.display(),
                reason(error)
            ),
            Self::Unseen(path, error) => {
                write!(
                    f,
                    "Fatal error: can't look at {}: {}",
                    path.display(),
                    reason(error)
                )
            }
            Self::Missing(name) => write!(
                f,
                "Unable to obtain the AOF file {} length. stat: No such file or directory",
                String::from_utf8_lossy(name)
            ),
            Self::Unlisted(names) => {
                let names: Vec<_> = names
                    .iter()
                    .map(|name| String::from_utf8_lossy(name))
                    .collect();
                write!(
                    f,
                    "Fatal error: there are AOF files that no manifest names: {}. Restore the manifest, or move them away.",
                    names.join(", ")
                )
            }
        }
    }
}

impl std::error::Error for Refusal {}

fn base_name(path: &Path) -> std::path::Display<'_> {
    path.file_name().map_or(path, Path::new).display()
}

/// Looks at what lies there.
///
/// # Errors
/// What cannot be seen or understood.
pub fn look<F: Files>(files: &F, names: &Names, dump: &Path) -> Result<Seen, Refusal> {
    let find = |path: &Path| {
        files
            .find(path)
            .map_err(|error| Refusal::Unseen(path.to_owned(), error))
    };
    let file_size = |found| match found {
        Found::File(size) => Some(size),
        _ => None,
    };
    let folder = match find(names.folder())? {
        Found::Nothing => None,
        Found::File(_) => return Err(Refusal::NoFolder(names.folder().to_owned())),
        Found::Folder => {
            let listed = files.list(names.folder());
            let listed =
                listed.map_err(|error| Refusal::Unseen(names.folder().to_owned(), error))?;
            let mut there = Vec::new();
            for name in listed {
                if let Some(size) = file_size(find(&names.path(&name))?) {
                    there.push((name, size));
                }
            }
            there.sort();
            Some(there)
        }
    };
    Ok(Seen {
        manifest: read_manifest(files, names)?,
        folder,
        old: file_size(find(&names.old_path())?),
        dump: file_size(find(dump)?).is_some(),
    })
}

fn read_manifest<F: Files>(files: &F, names: &Names) -> Result<ManifestSeen, Refusal> {
    let path = names.manifest_path();
    let fail = |error| Refusal::Unreadable(path.clone(), error);
    // Below a file there is nothing to be found.
    match files.find(&path) {
        Ok(Found::Nothing) => return Ok(ManifestSeen::Absent),
        Ok(_) => {}
        Err(error) => return Err(fail(error)),
    }
    let mut bytes = Vec::new();
    let input = files.read(&path, 0).map_err(fail)?;
    input
        .take(MANIFEST_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    if bytes.len() as u64 >= MANIFEST_BYTES_MAX {
        return Err(fail(io::ErrorKind::FileTooLarge.into()));
    }
    if is_beginning(&bytes) {
        return Ok(ManifestSeen::Beginning);
    }
    Manifest::parse(&bytes)
        .map(ManifestSeen::Read)
        .map_err(Refusal::Manifest)
}

/// A file to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToLoad {
    /// Its name in the folder of the log.
    pub name: Vec<u8>,
    /// Its bytes.
    pub size: u64,
    /// Whether it is the base.
    pub is_base: bool,
    /// Whether its end may be cut off: no file with records follows.
    pub place: Place,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// There is no log: one is begun.
    Begin(Begin),
    /// There is one: it is loaded.
    Load(Load),
}

/// How a log is begun: `before`, then a base that the caller writes and syncs, then what [`Begin::after`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// First.
    pub before: Vec<Step>,
    /// Whether the dump file is loaded first, so that the base holds what it holds.
    pub load_dump: bool,
}

/// How a log is loaded: `before`, then `files` in this order, then what [`Load::after`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// First.
    pub before: Vec<Step>,
    /// For the log, once that is done.
    pub lines: Vec<String>,
    /// What is loaded, empty files left out.
    pub files: Vec<ToLoad>,
    /// The manifest that holds by then.
    pub manifest: Manifest,
}

/// What is written to from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// What is to be done for it.
    pub steps: Vec<Step>,
    /// The manifest that holds by then.
    pub manifest: Manifest,
    /// The file, which is opened to be written on by [`crate::writer::begin`].
    pub file: PathBuf,
    /// For the log.
    pub lines: Vec<String>,
}

/// Decides what is to be done.
///
/// # Errors
/// Why nothing is.
pub fn plan(seen: &Seen, names: &Names) -> Result<Plan, Refusal> {
    let there: &[(Vec<u8>, u64)] = seen.folder.as_deref().unwrap_or_default();
    let size_of = |name: &[u8]| {
        there
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, size)| *size)
    };
    let none = Manifest::default();
    let manifest = match &seen.manifest {
        ManifestSeen::Read(manifest) => manifest,
        _ => &none,
    };
    let unlisted: Vec<Vec<u8>> = there
        .iter()
        .map(|(name, _)| name.clone())
        .filter(|name| names.is_data(name))
        .collect();
    let is_lost =
        manifest.is_empty() && !unlisted.is_empty() && seen.manifest != ManifestSeen::Beginning;
    if let Some(size) = seen.old
        && is_upgrade(manifest, names, size_of(names.old()).is_some())
    {
        return if is_lost {
            Err(Refusal::Unlisted(unlisted))
        } else {
            Ok(Plan::Load(upgrade(names, size)))
        };
    }
    if is_lost {
        return Err(Refusal::Unlisted(unlisted));
    }
    if manifest.data().next().is_none() {
        let load_dump = seen.dump && manifest.is_empty();
        return Ok(Plan::Begin(Begin {
            before: before_begin(names, manifest),
            load_dump,
        }));
    }
    let mut sizes = Vec::new();
    for entry in manifest.data() {
        let size = size_of(&entry.name).ok_or_else(|| Refusal::Missing(entry.name.clone()))?;
        sizes.push((entry.name.clone(), size));
    }
    Ok(Plan::Load(Load {
        before: Vec::new(),
        lines: Vec::new(),
        files: to_load(&sizes, manifest.base.is_some()),
        manifest: manifest.clone(),
    }))
}

/// Whether the log of one file is the one that counts: there is no other, or the move of it was not completed.
fn is_upgrade(manifest: &Manifest, names: &Names, has_moved: bool) -> bool {
    let only_base = manifest.incr.is_empty() && manifest.history.is_empty();
    match &manifest.base {
        None => only_base,
        Some(base) => only_base && base.name == names.old() && !has_moved,
    }
}

fn upgrade(names: &Names, size: u64) -> Load {
    let base = Entry {
        name: names.old().to_vec(),
        seq: 1,
    };
    let manifest = Manifest {
        base: Some(base),
        ..Manifest::default()
    };
    let mut before = make_folder(names);
    before.extend(replace_manifest(names, &manifest));
    before.push(Step::Rename {
        from: names.old_path(),
        to: names.path(names.old()),
    });
    before.push(Step::SyncFolder(names.folder().to_owned()));
    before.push(Step::SyncFolder(names.dir().to_owned()));
    let line = format!(
        "Successfully migrated an old-style AOF file ({}) into the AOF directory ({}).",
        String::from_utf8_lossy(names.old()),
        base_name(names.folder())
    );
    Load {
        before,
        lines: vec![line],
        files: to_load(&[(names.old().to_vec(), size)], true),
        manifest,
    }
}

/// A file of so many bytes holds no record, but at most a mark of zero bytes.
const NO_RECORD_BYTES_MAX: u64 = 9;

fn to_load(sizes: &[(Vec<u8>, u64)], has_base: bool) -> Vec<ToLoad> {
    let last = sizes
        .iter()
        .rposition(|(_, size)| *size > NO_RECORD_BYTES_MAX);
    let with_content = sizes.iter().enumerate().filter(|(_, (_, size))| *size > 0);
    with_content
        .map(|(index, (name, size))| ToLoad {
            name: name.clone(),
            size: *size,
            is_base: has_base && index == 0,
            place: match last {
                Some(last) if index < last => Place::Earlier,
                _ => Place::Last,
            },
        })
        .collect()
}

fn make_folder(names: &Names) -> Vec<Step> {
    vec![
        Step::CreateFolder(names.folder().to_owned()),
        Step::SyncFolder(names.dir().to_owned()),
    ]
}

/// History goes first: its names may be those that the first files get.
fn before_begin(names: &Names, manifest: &Manifest) -> Vec<Step> {
    let mut steps = make_folder(names);
    if !manifest.is_empty() {
        let remove = manifest
            .history
            .iter()
            .map(|entry| Step::Remove(names.path(&entry.name)));
        steps.extend(remove);
        steps.push(Step::SyncFolder(names.folder().to_owned()));
    }
    steps.extend(replace_manifest_bytes(names, beginning()));
    steps
}

impl Begin {
    /// What follows once the base lies, synced, at `written`.
    #[must_use]
    pub fn after(&self, names: &Names, written: &Path, form: BaseForm, marks: Marks) -> Ready {
        let base = Entry {
            name: names.base(1, form),
            seq: 1,
        };
        let mut steps = vec![Step::Rename {
            from: written.to_owned(),
            to: names.path(&base.name),
        }];
        let creating = format!(
            "Creating AOF base file {} on server start",
            String::from_utf8_lossy(&base.name)
        );
        let manifest = Manifest {
            base: Some(base),
            ..Manifest::default()
        };
        let ready = with_incr(names, &manifest, marks);
        steps.extend(ready.steps);
        Ready {
            steps,
            lines: [vec![creating], ready.lines].concat(),
            ..ready
        }
    }
}

impl Load {
    /// What follows once all files have been loaded: where to write, and no history.
    ///
    /// Whoever was here before may have ended before the names that were read had reached the disk.
    #[must_use]
    pub fn after(&self, names: &Names, marks: Marks) -> Ready {
        let mut ready = match self.manifest.incr.last() {
            None => with_incr(names, &self.manifest, marks),
            Some(last) => Ready {
                steps: Vec::new(),
                manifest: self.manifest.clone(),
                file: names.path(&last.name),
                lines: vec![format!(
                    "Opening AOF incr file {} on server start",
                    String::from_utf8_lossy(&last.name)
                )],
            },
        };
        let sync = [names.dir(), names.folder()].map(|folder| Step::SyncFolder(folder.to_owned()));
        ready.steps.splice(0..0, sync);
        ready
    }
}

impl Ready {
    /// The same without history, unless `aof-disable-auto-gc` keeps it.
    #[must_use]
    pub fn without_history(mut self, names: &Names) -> Self {
        for entry in &self.manifest.history {
            let name = String::from_utf8_lossy(&entry.name);
            self.lines.push(format!(
                "Removing the history file {name} in the background"
            ));
        }
        let (steps, manifest) = remove_history(names, &self.manifest);
        self.steps.extend(steps);
        self.manifest = manifest;
        self
    }
}

/// A new increment behind those of `manifest`.
fn with_incr(names: &Names, manifest: &Manifest, marks: Marks) -> Ready {
    let (steps, manifest, name) = add_incr(names, manifest, marks);
    Ready {
        steps,
        manifest,
        file: names.path(&name),
        lines: vec![format!(
            "Creating AOF incr file {} on server start",
            String::from_utf8_lossy(&name)
        )],
    }
}

/// The steps that put a new increment behind those of a manifest, the manifest by then, and the name.
pub(crate) fn add_incr(
    names: &Names,
    manifest: &Manifest,
    marks: Marks,
) -> (Vec<Step>, Manifest, Vec<u8>) {
    let seq = manifest.next_incr_seq();
    let name = names.incr(seq);
    let mut after = manifest.clone();
    after.incr.push(Entry {
        name: name.clone(),
        seq,
    });
    let mut steps = vec![
        new_incr(names.path(&name), marks),
        // The manifest must not come to name what is not there.
        Step::SyncFolder(names.folder().to_owned()),
    ];
    steps.extend(replace_manifest(names, &after));
    (steps, after, name)
}

/// An empty increment. Its mark reaches the disk first: only that makes sense of what else may reach it or not.
pub(crate) fn new_incr(path: PathBuf, marks: Marks) -> Step {
    match marks {
        Marks::On => Step::Write {
            path,
            bytes: mark(0),
        },
        Marks::Off => Step::Create(path),
    }
}

/// What a start or a rewrite that did not end has left in both folders: to be removed once the log is loaded.
///
/// # Errors
/// Those of the disk.
pub fn leftovers<F: Files>(files: &F, names: &Names) -> io::Result<Vec<PathBuf>> {
    let in_dir = files.list(names.dir())?.into_iter();
    let in_dir = in_dir.filter(|name| Names::is_leftover_in_dir(name));
    let in_folder = files.list(names.folder())?.into_iter();
    let in_folder = in_folder.filter(|name| names.is_leftover_in_folder(name));
    let path = |name: Vec<u8>| {
        use std::os::unix::ffi::OsStringExt;
        names.dir().join(std::ffi::OsString::from_vec(name))
    };
    Ok(in_dir
        .map(path)
        .chain(in_folder.map(|name| names.path(&name)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "a.aof.1.base.rdb";
    const INCR: &str = "a.aof.1.incr.aof";

    fn names() -> Names {
        Names::new(Path::new("/d"), b"aofs", b"a.aof")
    }

    fn seen(folder: Option<&[(&str, u64)]>, manifest: &str) -> Seen {
        let manifest = match manifest {
            "" => ManifestSeen::Absent,
            "beginning" => ManifestSeen::Beginning,
            text => ManifestSeen::Read(Manifest::parse(text.as_bytes()).unwrap()),
        };
        let files = |files: &[(&str, u64)]| {
            files
                .iter()
                .map(|(name, size)| (name.as_bytes().to_vec(), *size))
                .collect()
        };
        Seen {
            folder: folder.map(files),
            manifest,
            old: None,
            dump: false,
        }
    }

    fn begin(seen: &Seen) -> Begin {
        match plan(seen, &names()).unwrap() {
            Plan::Begin(begin) => begin,
            Plan::Load(load) => panic!("{load:?}"),
        }
    }

    fn load(seen: &Seen) -> Load {
        match plan(seen, &names()).unwrap() {
            Plan::Load(load) => load,
            Plan::Begin(begin) => panic!("{begin:?}"),
        }
    }

    fn refused(seen: &Seen) -> String {
        plan(seen, &names()).unwrap_err().to_string()
    }

    const BOTH: &str = "file a.aof.1.base.rdb seq 1 type b\nfile a.aof.1.incr.aof seq 1 type i\n";

    #[test]
    fn where_nothing_is_a_log_begins() {
        for mut seen in [
            seen(None, ""),
            seen(Some(&[]), ""),
            seen(Some(&[]), "# c\n"),
            seen(Some(&[("x", 1)]), ""),
        ] {
            assert!(!begin(&seen).load_dump);
            seen.dump = true;
            assert!(begin(&seen).load_dump);
        }
        let begin = begin(&seen(None, ""));
        assert_eq!(begin.before[0], Step::CreateFolder("/d/aofs".into()));
        let ready = begin.after(&names(), Path::new("/d/temp"), BaseForm::Rdb, Marks::Off);
        assert_eq!(ready.manifest.print(), BOTH.as_bytes());
        assert_eq!(ready.file, Path::new("/d/aofs/a.aof.1.incr.aof"));
        assert_eq!(
            ready.lines,
            [
                "Creating AOF base file a.aof.1.base.rdb on server start",
                "Creating AOF incr file a.aof.1.incr.aof on server start"
            ]
        );
    }

    #[test]
    fn a_beginning_that_was_given_up_is_begun_again() {
        begin(&seen(Some(&[(BASE, 9), (INCR, 0)]), "beginning"));
    }

    #[test]
    fn data_that_no_manifest_names_is_not_passed_over() {
        for manifest in ["", "# comment\n"] {
            let text = refused(&seen(Some(&[(BASE, 9), (INCR, 0), ("x", 1)]), manifest));
            assert!(
                text.contains("a.aof.1.base.rdb, a.aof.1.incr.aof."),
                "{text}"
            );
        }
        let mut seen = seen(Some(&[(BASE, 9)]), "");
        seen.old = Some(5);
        refused(&seen);
    }

    #[test]
    fn a_log_is_loaded_in_its_order_without_what_is_empty() {
        let there = [
            (BASE, 50),
            (INCR, 70),
            ("a.aof.2.incr.aof", mark(0).len() as u64),
        ];
        let text = format!("{BOTH}file a.aof.2.incr.aof seq 2 type i\n");
        let plan = load(&seen(Some(&there), &text));
        let names_of = |load: &Load| {
            load.files
                .iter()
                .map(|file| file.name.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            names_of(&plan),
            [BASE.as_bytes(), INCR.as_bytes(), b"a.aof.2.incr.aof"]
        );
        assert_eq!(plan.files[0].place, Place::Earlier);
        // Nothing follows it that could be torn off from it.
        assert_eq!(plan.files[1].place, Place::Last);
        assert!(plan.files[0].is_base && !plan.files[1].is_base);
        let ready = plan.after(&names(), Marks::On);
        assert_eq!(ready.file, Path::new("/d/aofs/a.aof.2.incr.aof"));
        assert_eq!(ready.steps.len(), 2);
        assert_eq!(NO_RECORD_BYTES_MAX, mark(0).len() as u64);
        let empty = load(&seen(Some(&[(BASE, 0), (INCR, 0)]), BOTH));
        assert_eq!(empty.files, []);
    }

    #[test]
    fn a_base_alone_gets_an_increment_and_increments_need_no_base() {
        let base = load(&seen(
            Some(&[(BASE, 9)]),
            "file a.aof.1.base.rdb seq 1 type b\n",
        ));
        let ready = base.after(&names(), Marks::Off);
        assert_eq!(ready.manifest.print(), BOTH.as_bytes());
        assert_eq!(
            ready.steps[2],
            Step::Create("/d/aofs/a.aof.1.incr.aof".into())
        );
        let incr = load(&seen(
            Some(&[(INCR, 7)]),
            "file a.aof.1.incr.aof seq 1 type i\n",
        ));
        assert!(!incr.files[0].is_base);
    }

    #[test]
    fn what_is_listed_must_be_there_unless_it_is_history() {
        assert_eq!(
            refused(&seen(Some(&[(BASE, 9)]), BOTH)),
            "Unable to obtain the AOF file a.aof.1.incr.aof length. stat: No such file or directory"
        );
        let text = format!("{BOTH}file gone seq 1 type h\n");
        let ready = load(&seen(Some(&[(BASE, 9), (INCR, 7)]), &text));
        let ready = ready.after(&names(), Marks::Off).without_history(&names());
        assert_eq!(ready.manifest.print(), BOTH.as_bytes());
        assert!(ready.steps.contains(&Step::Remove("/d/aofs/gone".into())));
        assert!(
            ready
                .lines
                .contains(&"Removing the history file gone in the background".to_owned())
        );
    }

    #[test]
    fn only_history_is_an_empty_start() {
        let text = "file a.aof.1.base.rdb seq 1 type h\n";
        let mut seen = seen(Some(&[(BASE, 9)]), text);
        seen.dump = true;
        let begin = begin(&seen);
        assert!(!begin.load_dump);
        assert!(
            begin
                .before
                .contains(&Step::Remove("/d/aofs/a.aof.1.base.rdb".into()))
        );
    }

    #[test]
    fn a_log_of_one_file_moves_into_the_folder() {
        let moved = "file a.aof seq 1 type b\n";
        for (folder, manifest) in [
            (None, ""),
            (Some([].as_slice()), ""),
            (Some(&[("other", 3)]), "# c\n"),
            (Some(&[]), moved),
            (Some(&[]), "beginning"),
        ] {
            let mut seen = seen(folder, manifest);
            seen.old = Some(77);
            let plan = load(&seen);
            assert_eq!(plan.manifest.print(), moved.as_bytes());
            assert_eq!(
                plan.lines,
                [
                    "Successfully migrated an old-style AOF file (a.aof) into the AOF directory (aofs)."
                ]
            );
            assert_eq!((plan.files[0].size, plan.files[0].is_base), (77, true));
            let ready = plan.after(&names(), Marks::Off);
            let text = "file a.aof seq 1 type b\nfile a.aof.1.incr.aof seq 1 type i\n";
            assert_eq!(ready.manifest.print(), text.as_bytes());
        }
        // Beside any other manifest it is left alone.
        for (there, manifest) in [
            ([("a.aof", 5), ("x", 0)], moved),
            ([(BASE, 9), (INCR, 7)], BOTH),
        ] {
            let mut seen = seen(Some(&there), manifest);
            seen.old = Some(77);
            assert_eq!(load(&seen).before, []);
        }
    }
}
