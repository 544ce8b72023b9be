//! A disk that fails on cue and forgets what was not synced, for tests and campaigns.
//!
//! It counts what is done to it. At one of these operations something happens ([`Fault`]); afterwards
//! [`FakeDisk::after_kill`] shows what the next process finds, and [`FakeDisk::after_power_loss`] one of the many things
//! that may be found when only synced bytes are sure:
//!
//! - of the calls that wrote or cut a file since its last sync each one survives whole, not at all, or (a write) up to
//!   some byte; what is missing in front of a survivor reads as zero;
//! - of the changes of names in a folder since its last sync each one survives or not. A rename is one change, also
//!   between folders;
//! - a sync that fails may have dropped what it was to sync: a later one that succeeds does not bring it back.
//!
//! Within one call to write, bytes reach the disk in order.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Cursor};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::files::{Files, Found, LogFile};

/// What happens at the chosen operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not done, and nothing is from then on.
    StopBefore,
    /// It is done, and nothing is from then on.
    StopAfter,
    /// It fails and is not done; what follows succeeds.
    Fail,
    /// A write takes half of the bytes; any other operation fails.
    Short,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::StopBefore, Self::StopAfter, Self::Fail, Self::Short];
}

/// A change of a file's bytes that is not synced.
#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Cut(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>, count: usize) {
        match self {
            Self::Cut(bytes) => content.truncate(*bytes),
            Self::Write { at, bytes } => {
                let bytes = bytes.get(..count.min(bytes.len())).unwrap_or_default();
                let end = at.saturating_add(bytes.len());
                if content.len() < end {
                    content.resize(end, 0);
                }
                if let Some(place) = content.get_mut(*at..end) {
                    place.copy_from_slice(bytes);
                }
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    File(usize),
    Folder,
}

/// A change of names that is not synced.
#[derive(Clone, Debug)]
struct NameChange {
    removed: Option<PathBuf>,
    added: Option<(PathBuf, Node)>,
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        if let Some(path) = &self.removed {
            names.remove(path);
        }
        if let Some((path, node)) = &self.added {
            names.insert(path.clone(), *node);
        }
    }

    fn is_in(&self, folder: &Path) -> bool {
        let paths = self
            .removed
            .iter()
            .chain(self.added.iter().map(|(path, _)| path));
        paths.into_iter().any(|path| path.parent() == Some(folder))
    }
}

#[derive(Clone, Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    live: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    unsynced: Vec<NameChange>,
    operations: usize,
    fault: Option<(usize, Fault)>,
    stopped: bool,
    random: Random,
}

/// A small generator: equal seeds, equal disks.
#[derive(Clone, Debug, Default)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = bound.max(1) as u64;
        self.next().checked_rem(bound).unwrap_or_default() as usize
    }

    fn flip(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct FakeDisk(Arc<Mutex<State>>);

/// A file of a [`FakeDisk`].
#[derive(Debug)]
pub struct FakeFile {
    disk: FakeDisk,
    inode: usize,
}

/// What is to be done with an operation.
enum Course {
    Do,
    DoAndStop,
    Half,
}

impl State {
    /// Counts an operation.
    fn begin(&mut self) -> io::Result<Course> {
        if self.stopped {
            return Err(io::Error::other("the disk has stopped"));
        }
        let number = self.operations;
        self.operations = self.operations.saturating_add(1);
        match self.fault {
            Some((at, fault)) if at == number => match fault {
                Fault::StopBefore => {
                    self.stopped = true;
                    Err(io::Error::other("the disk stops"))
                }
                Fault::StopAfter => Ok(Course::DoAndStop),
                Fault::Fail => Err(io::Error::other("the disk fails")),
                Fault::Short => Ok(Course::Half),
            },
            _ => Ok(Course::Do),
        }
    }

    /// Counts an operation that cannot be done by halves.
    fn begin_whole(&mut self) -> io::Result<Course> {
        match self.begin()? {
            Course::Half => Err(io::Error::other("the disk fails")),
            course => Ok(course),
        }
    }

    fn end(&mut self, course: &Course) {
        if matches!(course, Course::DoAndStop) {
            self.stopped = true;
        }
    }

    fn rename_entry(&mut self, change: NameChange) {
        change.apply(&mut self.live);
        self.unsynced.push(change);
    }

    fn has_folder_of(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) if self.live.get(parent) == Some(&Node::Folder) => Ok(()),
            Some(parent) if self.live.contains_key(parent) => {
                Err(io::ErrorKind::NotADirectory.into())
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.live.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            Some(Node::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn inode(&mut self, index: usize) -> io::Result<&mut Inode> {
        self.inodes
            .get_mut(index)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The file of this name, made if it is not there.
    fn made(&mut self, path: &Path) -> io::Result<usize> {
        self.has_folder_of(path)?;
        match self.file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let inode = self.inodes.len();
                self.inodes.push(Inode::default());
                self.rename_entry(NameChange {
                    removed: None,
                    added: Some((path.to_owned(), Node::File(inode))),
                });
                Ok(inode)
            }
            result => result,
        }
    }
}

impl FakeDisk {
    /// A disk that has one empty folder.
    #[must_use]
    pub fn with_folder(path: &Path) -> Self {
        let disk = Self::default();
        let mut state = disk.state();
        state.live.insert(path.to_owned(), Node::Folder);
        state.durable.insert(path.to_owned(), Node::Folder);
        drop(state);
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `fault` happen at the operation with this number, from 0. `seed` decides what a failing sync drops.
    pub fn set_fault(&self, at: usize, fault: Fault, seed: u64) {
        let mut state = self.state();
        state.fault = Some((at, fault));
        state.random = Random(seed);
    }

    /// How many operations there have been.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.state().operations
    }

    /// What the next process finds when this one ends: all that was done.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let mut state = self.state().clone();
        state.operations = 0;
        state.fault = None;
        state.stopped = false;
        Self(Arc::new(Mutex::new(state)))
    }

    /// What may be found after a loss of power; `seed` chooses.
    #[must_use]
    pub fn after_power_loss(&self, seed: u64) -> Self {
        let state = self.state();
        let mut random = Random(seed);
        let mut names = state.durable.clone();
        for change in &state.unsynced {
            if random.flip() {
                change.apply(&mut names);
            }
        }
        // What lies in a folder that is gone is gone.
        let folders: Vec<PathBuf> = names
            .iter()
            .filter(|(_, node)| **node == Node::Folder)
            .map(|(path, _)| path.clone())
            .collect();
        names.retain(|path, node| {
            *node == Node::Folder
                || path
                    .parent()
                    .is_some_and(|parent| folders.iter().any(|folder| folder == parent))
        });
        let survivor = |inode: &Inode, random: &mut Random| {
            let mut content = inode.durable.clone();
            for change in &inode.unsynced {
                let length = match change {
                    Change::Write { bytes, .. } => bytes.len(),
                    Change::Cut(_) => 0,
                };
                match random.below(4) {
                    0 => {}
                    1 => change.apply(&mut content, random.below(length.saturating_add(1))),
                    _ => change.apply(&mut content, length),
                }
            }
            Inode {
                live: content.clone(),
                durable: content,
                unsynced: Vec::new(),
            }
        };
        let inodes = state
            .inodes
            .iter()
            .map(|inode| survivor(inode, &mut random))
            .collect();
        Self(Arc::new(Mutex::new(State {
            inodes,
            live: names.clone(),
            durable: names,
            ..State::default()
        })))
    }

    /// Names and content of all files, for messages.
    #[must_use]
    pub fn dump(&self) -> String {
        let state = self.state();
        let mut text = String::new();
        for (path, node) in &state.live {
            let content = match node {
                Node::Folder => "(folder)".to_owned(),
                Node::File(inode) => {
                    let live = state
                        .inodes
                        .get(*inode)
                        .map_or(&[][..], |inode| &inode.live);
                    live.escape_ascii().to_string()
                }
            };
            text.push_str(&format!("{}: {content}\n", path.display()));
        }
        text
    }
}

impl LogFile for FakeFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.state();
        let course = state.begin()?;
        let count = match course {
            Course::Half => bytes.len() >> 1,
            _ => bytes.len(),
        };
        let change = Change::Write {
            at: usize::try_from(offset).unwrap_or(usize::MAX),
            bytes: bytes.get(..count).unwrap_or_default().to_vec(),
        };
        let inode = state.inode(self.inode)?;
        change.apply(&mut inode.live, count);
        inode.unsynced.push(change);
        state.end(&course);
        Ok(count)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        let course = state.begin_whole();
        let mut random = state.random.clone();
        if let Err(error) = course {
            // The kernel reports an error once, and may forget the bytes that it is about.
            if !state.stopped {
                state.inode(self.inode)?.unsynced.retain(|_| random.flip());
                state.random = random;
            }
            return Err(error);
        }
        let inode = state.inode(self.inode)?;
        for change in std::mem::take(&mut inode.unsynced) {
            change.apply(&mut inode.durable, usize::MAX);
        }
        state.end(&course?);
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let course = state.begin_whole()?;
        let change = Change::Cut(usize::try_from(bytes).unwrap_or(usize::MAX));
        let inode = state.inode(self.inode)?;
        change.apply(&mut inode.live, 0);
        inode.unsynced.push(change);
        state.end(&course);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.state().inode(self.inode)?.live.len() as u64)
    }
}

impl Files for FakeDisk {
    type File = FakeFile;
    type Input = Cursor<Vec<u8>>;

    fn find(&self, path: &Path) -> io::Result<Found> {
        let mut state = self.state();
        match state.live.get(path).copied() {
            None => Ok(Found::Nothing),
            Some(Node::Folder) => Ok(Found::Folder),
            Some(Node::File(inode)) => Ok(Found::File(state.inode(inode)?.live.len() as u64)),
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Vec<u8>>> {
        let state = self.state();
        if state.live.get(folder) != Some(&Node::Folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state
            .live
            .keys()
            .filter(|path| path.parent() == Some(folder));
        let names = inside.filter_map(|path| path.file_name());
        Ok(names.map(OsStr::as_bytes).map(<[u8]>::to_vec).collect())
    }

    fn read(&self, path: &Path, offset: u64) -> io::Result<Self::Input> {
        let mut state = self.state();
        let inode = state.file(path)?;
        let mut input = Cursor::new(state.inode(inode)?.live.clone());
        input.set_position(offset);
        Ok(input)
    }

    fn create(&self, path: &Path) -> io::Result<FakeFile> {
        let mut file = self.open(path)?;
        if file.size()? > 0 {
            file.truncate(0)?;
        }
        Ok(file)
    }

    fn open(&self, path: &Path) -> io::Result<FakeFile> {
        let mut state = self.state();
        let inode = match state.file(path) {
            Ok(inode) => inode,
            Err(_) => {
                let course = state.begin_whole()?;
                let inode = state.made(path)?;
                state.end(&course);
                inode
            }
        };
        drop(state);
        Ok(FakeFile {
            disk: self.clone(),
            inode,
        })
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let course = state.begin_whole()?;
        match state.live.get(path) {
            Some(Node::Folder) => {}
            Some(Node::File(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            None => state.rename_entry(NameChange {
                removed: None,
                added: Some((path.to_owned(), Node::Folder)),
            }),
        }
        state.end(&course);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let course = state.begin_whole()?;
        let inode = state.file(from)?;
        state.has_folder_of(to)?;
        state.rename_entry(NameChange {
            removed: Some(from.to_owned()),
            added: Some((to.to_owned(), Node::File(inode))),
        });
        state.end(&course);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let course = state.begin_whole()?;
        state.file(path)?;
        state.rename_entry(NameChange {
            removed: Some(path.to_owned()),
            added: None,
        });
        state.end(&course);
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let course = state.begin_whole()?;
        let changes = std::mem::take(&mut state.unsynced);
        let (here, elsewhere) = changes
            .into_iter()
            .partition(|change: &NameChange| change.is_in(path));
        state.unsynced = elsewhere;
        for change in here {
            change.apply(&mut state.durable);
        }
        state.end(&course);
        Ok(())
    }
}
