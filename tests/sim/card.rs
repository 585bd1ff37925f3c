//! The medium of recordings: files in memory, on a card that may be slow, stand still, be full, fail at any call, or lose its power
//! at any byte, with what was synced kept.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rill::board;
use rill::config;
use rill::live::jobs::{Done, Job};
use rill::live::recording::{RecordDone, RecordJob};
use rill::live::settings::Settings;
use rill::store::RecordingFiles;
use rill::store::recordings::disk::{FolderEntry, LocalTime, RecordDisk, RecordFile, Space};
use rill::wire::windows::ReadAt;

use super::disk_thread::{DiskThread, Work};

/// The card, and the thread that writes it.
pub struct Recorder {
    pub card: Rc<RefCell<Card>>,
    pub thread: DiskThread<RecordingFiles<SharedCard>>,
    settings: Settings,
    sets: Vec<String>,
}

/// What is on the card.
pub struct Card {
    pub files: BTreeMap<PathBuf, Stored>,
    /// Bytes that all files may have.
    pub room: u64,
    /// Calls so far, and those that fail: from this one on so many, in this way.
    pub calls: u64,
    pub fails: Option<(u64, u64, ErrorKind)>,
    /// The file system can neither allocate nor set modes, as exFAT.
    pub plain: bool,
    /// Another one has another number.
    pub medium: u64,
    pub clock: Option<LocalTime>,
    pub seconds: u64,
}

/// A file as programs see it, and as it is on the medium.
#[derive(Clone, Default)]
pub struct Stored {
    pub bytes: Vec<u8>,
    synced: Vec<u8>,
    /// What was done since it was synced.
    since: Vec<Change>,
    is_named: bool,
    /// A name it had before, which it has on the medium until the folder is synced.
    was: Option<PathBuf>,
    modified_s: u64,
    /// There is room for it behind its end, which was taken before it lost its power, too.
    room: RoomBehind,
}

/// Room behind the end of a file.
#[derive(Clone, Copy, Default, PartialEq)]
enum RoomBehind {
    #[default]
    None,
    Taken,
    /// A FAT file system finds it when it is mounted again and takes it for damage, as soon as the file grows (Linux's fs/fat/misc.c).
    Lost,
}

impl Stored {
    /// One that lies there since long ago.
    pub fn of(bytes: Vec<u8>) -> Stored {
        Stored { synced: bytes.clone(), bytes, is_named: true, ..Stored::default() }
    }
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Cut(u64),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(at, written) => {
                let end = *at as usize + written.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*at as usize..end].copy_from_slice(written);
            }
            Change::Cut(end) => bytes.resize(*end as usize, 0),
        }
    }
}

#[derive(Clone)]
pub struct SharedCard(Rc<RefCell<Card>>);

pub struct OpenStored {
    card: Rc<RefCell<Card>>,
    path: PathBuf,
}

impl Recorder {
    pub fn new(settings: &Settings) -> Recorder {
        let card = Card {
            files: BTreeMap::new(),
            room: 1 << 30,
            calls: 0,
            fails: None,
            plain: false,
            medium: 0,
            clock: Some(LocalTime { year: 2026, month: 11, day: 26, hour: 22, minute: 15, second: 3 }),
            seconds: 1_795_000_000,
        };
        let card = Rc::new(RefCell::new(card));
        Recorder {
            thread: DiskThread::new(Self::files(&card, settings, &[])),
            card,
            settings: settings.clone(),
            sets: Vec::new(),
        }
    }

    fn files(card: &Rc<RefCell<Card>>, settings: &Settings, sets: &[String]) -> RecordingFiles<SharedCard> {
        let mut config = config::load(board::by_name("generic").unwrap(), None, sets).unwrap();
        config.settings = settings.clone();
        RecordingFiles::new(SharedCard(card.clone()), Some("/apps".into()), config)
    }

    /// The configuration says so, for who writes the card.
    pub fn set(&mut self, sets: &[&str]) {
        self.sets = sets.iter().map(|set| (*set).to_owned()).collect();
        self.thread.worker = Self::files(&self.card, &self.settings, &self.sets);
    }

    /// The power is lost: of what was not synced a part is on the medium, which `random` decides. Then a server starts, and finishes
    /// what it finds.
    pub fn lose_power(&mut self, mut random: impl FnMut(u64) -> u64) {
        {
            let mut card = self.card.borrow_mut();
            let mut files = BTreeMap::new();
            for (path, stored) in std::mem::take(&mut card.files) {
                let path = match (stored.is_named || random(2) == 0, stored.was) {
                    (true, _) => path,
                    (false, Some(was)) => was,
                    (false, None) => continue,
                };
                let mut bytes = stored.synced.clone();
                let kept = random(stored.since.len() as u64 + 1) as usize;
                for change in &stored.since[..kept] {
                    change.apply(&mut bytes);
                }
                if let Some(Change::Write(at, written)) = stored.since.get(kept) {
                    let part = random(written.len() as u64 + 1) as usize;
                    Change::Write(*at, written[..part].to_vec()).apply(&mut bytes);
                }
                let room = if stored.room == RoomBehind::None { RoomBehind::None } else { RoomBehind::Lost };
                files.insert(path, Stored { room, ..Stored::of(bytes) });
            }
            card.files = files;
            card.fails = None;
        }
        self.thread.worker = Self::files(&self.card, &self.settings, &self.sets);
        self.thread.forget();
        let tend = || Job::Recording(RecordJob::Tend);
        while let Done::Recording(RecordDone::Tended { more: true, .. }) = self.thread.worker.work(tend()) {}
    }

    /// Paths and bytes of what is there.
    pub fn stored(&self) -> Vec<(String, Vec<u8>)> {
        let card = self.card.borrow();
        card.files.iter().map(|(path, stored)| (path.display().to_string(), stored.bytes.clone())).collect()
    }
}

impl Work for RecordingFiles<SharedCard> {
    fn work(&mut self, job: Job) -> Done {
        RecordingFiles::work(self, job)
    }
}

impl Card {
    fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        match self.fails {
            Some((from, count, kind)) if (from..from.saturating_add(count)).contains(&self.calls) => {
                Err(io::Error::from(kind))
            }
            _ => Ok(()),
        }
    }

    fn used(&self) -> u64 {
        self.files.values().map(|stored| stored.bytes.len() as u64).sum()
    }
}

impl RecordDisk for SharedCard {
    type File = OpenStored;

    fn now(&mut self) -> Option<LocalTime> {
        self.0.borrow().clock
    }

    fn seconds(&mut self) -> u64 {
        self.0.borrow().seconds
    }

    fn list(&mut self, folder: &Path) -> io::Result<Vec<FolderEntry>> {
        let mut card = self.0.borrow_mut();
        card.call()?;
        let mut entries: BTreeMap<String, FolderEntry> = BTreeMap::new();
        for (path, stored) in &card.files {
            let Ok(below) = path.strip_prefix(folder) else { continue };
            let mut parts = below.components();
            let Some(first) = parts.next() else { continue };
            let name = first.as_os_str().to_str().unwrap().to_owned();
            let is_folder = parts.next().is_some();
            let (bytes, modified_s) = (stored.bytes.len() as u64, stored.modified_s);
            entries.insert(name.clone(), FolderEntry { name, is_folder, bytes, modified_s });
        }
        Ok(entries.into_values().collect())
    }

    fn visit(&mut self, folder: &Path, take: &mut dyn FnMut(&str, bool)) -> io::Result<()> {
        for entry in self.list(folder)? {
            take(&entry.name, entry.is_folder);
        }
        Ok(())
    }

    fn look(&mut self, path: &Path) -> io::Result<Option<FolderEntry>> {
        let parent = path.parent().ok_or(io::Error::from(ErrorKind::NotFound))?;
        let is_it = |entry: &FolderEntry| path.ends_with(&entry.name);
        self.list(parent)?.into_iter().find(is_it).map(Some).ok_or(io::Error::from(ErrorKind::NotFound))
    }

    fn make_folder(&mut self, _: &Path) -> io::Result<()> {
        self.0.borrow_mut().call()
    }

    fn create(&mut self, path: &Path) -> io::Result<OpenStored> {
        let mut card = self.0.borrow_mut();
        card.call()?;
        if card.files.contains_key(path) {
            return Err(io::Error::from(ErrorKind::AlreadyExists));
        }
        card.seconds += 1;
        let stored = Stored { modified_s: card.seconds, ..Stored::default() };
        card.files.insert(path.to_owned(), stored);
        Ok(OpenStored { card: self.0.clone(), path: path.to_owned() })
    }

    fn open(&mut self, path: &Path) -> io::Result<OpenStored> {
        let mut card = self.0.borrow_mut();
        card.call()?;
        match card.files.contains_key(path) {
            true => Ok(OpenStored { card: self.0.clone(), path: path.to_owned() }),
            false => Err(io::Error::from(ErrorKind::NotFound)),
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let mut card = self.0.borrow_mut();
        card.call()?;
        let mut stored = card.files.remove(from).ok_or(io::Error::from(ErrorKind::NotFound))?;
        stored.was = stored.is_named.then(|| from.to_owned());
        stored.is_named = false;
        card.files.insert(to.to_owned(), stored);
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        let mut card = self.0.borrow_mut();
        card.call()?;
        card.files.remove(path).map(|_| ()).ok_or(io::Error::from(ErrorKind::NotFound))
    }

    fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
        let mut card = self.0.borrow_mut();
        card.call()?;
        for (path, stored) in &mut card.files {
            if path.parent() == Some(folder) {
                (stored.is_named, stored.was) = (true, None);
            }
        }
        Ok(())
    }

    fn medium(&mut self, _: &Path) -> Option<u64> {
        Some(self.0.borrow().medium)
    }

    fn space(&mut self, _: &Path) -> io::Result<Space> {
        let card = self.0.borrow();
        Ok(Space { free: card.room.saturating_sub(card.used()), total: card.room })
    }
}

impl OpenStored {
    fn change(&mut self, change: Change) -> io::Result<()> {
        let card = self.card.clone();
        let mut card = card.borrow_mut();
        card.call()?;
        if let Change::Write(at, bytes) = &change {
            let before = card.files.get(&self.path).map_or(0, |stored| stored.bytes.len() as u64);
            let more = (*at + bytes.len() as u64).saturating_sub(before);
            if card.used() + more > card.room {
                return Err(io::Error::from(ErrorKind::StorageFull));
            }
        }
        let stored = self.stored(&mut card)?;
        let before = stored.bytes.len();
        change.apply(&mut stored.bytes);
        if stored.bytes.len() > before && stored.room == RoomBehind::Lost {
            stored.bytes.truncate(before);
            card.fails = Some((card.calls, u64::MAX, ErrorKind::ReadOnlyFilesystem));
            return card.call();
        }
        if let Change::Cut(_) = change {
            stored.room = RoomBehind::None;
        }
        stored.since.push(change);
        Ok(())
    }

    /// It may have another name than when it was opened.
    fn stored<'c>(&mut self, card: &'c mut Card) -> io::Result<&'c mut Stored> {
        if !card.files.contains_key(&self.path) {
            let name = self.path.file_name().unwrap().to_str().unwrap();
            let name = name.trim_start_matches('.').trim_end_matches(".new").to_owned();
            self.path.set_file_name(name);
        }
        card.files.get_mut(&self.path).ok_or(io::Error::from(ErrorKind::NotFound))
    }
}

impl ReadAt for OpenStored {
    type Error = io::Error;

    fn size(&self) -> u64 {
        self.card.borrow().files.get(&self.path).map_or(0, |stored| stored.bytes.len() as u64)
    }

    fn read_at(&mut self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        let mut card = self.card.borrow_mut();
        card.call()?;
        let stored = card.files.get(&self.path).ok_or(io::Error::from(ErrorKind::NotFound))?;
        let rest = usize::try_from(at).ok().and_then(|at| stored.bytes.get(at..)).unwrap_or_default();
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl RecordFile for OpenStored {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.change(Change::Write(at, bytes.to_vec()))
    }

    fn cut(&mut self, end: u64) -> io::Result<()> {
        self.change(Change::Cut(end))
    }

    fn sync(&mut self) -> io::Result<()> {
        let card = self.card.clone();
        let mut card = card.borrow_mut();
        card.call()?;
        let stored = self.stored(&mut card)?;
        stored.synced.clone_from(&stored.bytes);
        stored.since.clear();
        Ok(())
    }

    fn age_ms(&self) -> Option<u64> {
        let card = self.card.borrow();
        card.clock?;
        Some((card.seconds - card.files.get(&self.path)?.modified_s) * 1000)
    }

    fn write_behind(&mut self, _: u64, _: u64) {}

    fn allocate(&mut self, _: u64, _: u64) {
        let card = self.card.clone();
        let mut card = card.borrow_mut();
        let plain = card.plain;
        if let Ok(stored) = self.stored(&mut card)
            && !plain
            && stored.room == RoomBehind::None
        {
            stored.room = RoomBehind::Taken;
        }
    }

    fn forget(&mut self, _: u64, _: u64) {}
}
