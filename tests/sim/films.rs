//! The disk of recorded streams: files in memory, which the server's own reader of files reads, on a card that may be slow, stand
//! still, or fail at any call.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use rill::live::download::FileName;
use rill::live::jobs::{Done, Job};
use rill::live::recorded::{NotPlayed, RecordedName};
use rill::store::{FileStep, Files, RecordedFiles};
use rill::wire::flv::SubTagHeader;
use rill::wire::windows::ReadAt;

use super::card;
use super::disk_thread::{DiskThread, Work};

/// A card with films, and the thread that reads it.
pub struct Films {
    card: Rc<RefCell<Card>>,
    pub thread: DiskThread<RecordedFiles<Shared>>,
}

/// What is on the card.
#[derive(Default)]
pub struct Card {
    /// Bytes of files, by application and path.
    pub files: BTreeMap<String, Rc<Vec<u8>>>,
    /// Calls to the card so far.
    pub calls: u64,
    /// From this call on so many of them fail.
    pub fails: Option<(u64, u64)>,
    /// Files that are open.
    pub open: usize,
}

pub struct Shared {
    card: Rc<RefCell<Card>>,
    /// Another card, on which recordings are made.
    recordings: Option<Rc<RefCell<card::Card>>>,
}

pub struct OpenFilm {
    card: Rc<RefCell<Card>>,
    bytes: Source,
    most: Option<u64>,
}

enum Source {
    Film(String),
    Recording(Rc<RefCell<card::Card>>, PathBuf),
}

impl Films {
    /// A card without films, and room for so many that are open.
    pub fn new(places: usize) -> Films {
        Films::beside(places, None)
    }

    /// The same beside a card on which recordings are made.
    pub fn beside(places: usize, recordings: Option<Rc<RefCell<card::Card>>>) -> Films {
        let card = Rc::new(RefCell::new(Card::default()));
        let shared = Shared { card: card.clone(), recordings };
        Films { thread: DiskThread::new(RecordedFiles::new(shared, places)), card }
    }

    /// Puts a film on the card, as `app/path`.
    pub fn put(&mut self, name: &str, bytes: Vec<u8>) {
        self.card.borrow_mut().files.insert(name.to_owned(), Rc::new(bytes));
    }

    /// The card.
    pub fn card(&self) -> std::cell::RefMut<'_, Card> {
        self.card.borrow_mut()
    }
}

impl Work for RecordedFiles<Shared> {
    fn work(&mut self, job: Job) -> Done {
        RecordedFiles::work(self, job)
    }
}

impl Card {
    fn call(&mut self) -> Result<(), &'static str> {
        self.calls += 1;
        match self.fails {
            Some((from, count)) if (from..from + count).contains(&self.calls) => Err("the card does not answer"),
            _ => Ok(()),
        }
    }
}

impl Shared {
    fn film(&self, app: &str, path: &str) -> Result<OpenFilm, NotPlayed> {
        let mut card = self.card.borrow_mut();
        card.call().map_err(|_| NotPlayed::Unreadable)?;
        let name = format!("{app}/{path}");
        if !card.files.contains_key(&name) {
            return Err(NotPlayed::Missing);
        }
        card.open += 1;
        Ok(OpenFilm { card: self.card.clone(), bytes: Source::Film(name), most: None })
    }
}

impl Files for Shared {
    type Open = OpenFilm;

    fn find(&mut self, name: &RecordedName) -> Result<OpenFilm, NotPlayed> {
        self.film(&name.app, &name.path)
    }

    fn find_file(&mut self, name: &FileName) -> Result<(OpenFilm, u64), NotPlayed> {
        Ok((self.film(&name.app, &name.path)?, 1))
    }

    fn find_growing(&mut self, file: &str) -> Result<OpenFilm, NotPlayed> {
        let recordings = self.recordings.clone().ok_or(NotPlayed::Missing)?;
        let (app, below) = file.split_once('/').unwrap();
        let paths = [format!("/apps/{app}/recordings/{below}"), format!("/apps/{app}/{below}")].map(PathBuf::from);
        let there = |path: &PathBuf| recordings.borrow().files.contains_key(path);
        let path = paths.into_iter().find(there).ok_or(NotPlayed::Missing)?;
        self.card.borrow_mut().open += 1;
        Ok(OpenFilm { card: self.card.clone(), bytes: Source::Recording(recordings, path), most: None })
    }

    fn look(&mut self, file: &mut OpenFilm, most: Option<u64>) {
        file.most = most;
    }

    fn next(&mut self, after: &RecordedName) -> FileStep {
        let mut card = self.card.borrow_mut();
        if card.call().is_err() {
            return FileStep::default();
        }
        let name = |path: &str| RecordedName::new(&after.app, after.instance(), after.apart, path.as_bytes()).ok();
        let own = card.files.keys().filter_map(|key| key.strip_prefix(after.app.as_str())?.strip_prefix('/'));
        let next = own.clone().filter_map(name).find(|next| next.name() > after.name());
        FileStep { next, stamp: own.map(|path| path.bytes().map(u64::from).sum::<u64>()).sum() }
    }
}

impl OpenFilm {
    fn with<T>(&self, read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let cut = |bytes: &[u8]| bytes.len().min(self.most.map_or(usize::MAX, |most| most as usize));
        match &self.bytes {
            Source::Film(name) => self.card.borrow().files.get(name).map(|bytes| read(&bytes[..cut(bytes)])),
            Source::Recording(card, path) => {
                card.borrow().files.get(path).map(|stored| read(&stored.bytes[..cut(&stored.bytes)]))
            }
        }
    }
}

impl Drop for OpenFilm {
    fn drop(&mut self) {
        self.card.borrow_mut().open -= 1;
    }
}

impl ReadAt for OpenFilm {
    type Error = &'static str;

    fn size(&self) -> u64 {
        self.with(|bytes| bytes.len() as u64).unwrap_or(0)
    }

    fn read_at(&mut self, at: u64, out: &mut [u8]) -> Result<usize, &'static str> {
        self.card.borrow_mut().call()?;
        let count = self.with(|bytes| {
            let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
            let count = rest.len().min(out.len());
            out[..count].copy_from_slice(&rest[..count]);
            count
        });
        count.ok_or("the file is gone")
    }
}

/// A tag of an FLV file: 8 is sound, 9 pictures, 18 a script's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilmTag {
    pub message_type: u8,
    pub time_ms: u32,
    pub payload: Vec<u8>,
}

impl FilmTag {
    /// A picture of so many bytes, which say which it is.
    pub fn picture(time_ms: u32, key: bool, bytes: usize) -> FilmTag {
        let mut payload = vec![if key { 0x17 } else { 0x27 }, 1, 0, 0, 0];
        payload.extend(marked(time_ms, bytes));
        FilmTag { message_type: 9, time_ms, payload }
    }

    /// Sound, likewise.
    pub fn sound(time_ms: u32, bytes: usize) -> FilmTag {
        let mut payload = vec![0xAF, 1];
        payload.extend(marked(time_ms, bytes));
        FilmTag { message_type: 8, time_ms, payload }
    }

    /// What a decoder of pictures needs first, and what one of sound.
    pub fn headers() -> [FilmTag; 2] {
        let video = vec![0x17, 0, 0, 0, 0, 1, 0x42, 0, 0x1E, 0xFF, 0xE0];
        let audio = vec![0xAF, 0, 0x12, 0x10];
        [(9, video), (8, audio)].map(|(message_type, payload)| FilmTag { message_type, time_ms: 0, payload })
    }

    /// A film of so many seconds with 25 pictures and 25 frames of sound in each, and a key frame every two: 130 KB a second.
    pub fn film(seconds: u32) -> Vec<FilmTag> {
        let mut tags = FilmTag::headers().to_vec();
        for number in 0..seconds * 25 {
            let key = number % 50 == 0;
            tags.push(FilmTag::sound(number * 40, 160));
            tags.push(FilmTag::picture(number * 40, key, if key { 70_000 } else { 4000 }));
        }
        tags
    }
}

fn marked(time_ms: u32, bytes: usize) -> impl Iterator<Item = u8> {
    (0..bytes as u32).map(move |at| (time_ms / 40).wrapping_mul(31).wrapping_add(at * 7) as u8)
}

/// An FLV file of these tags.
pub fn flv(tags: &[FilmTag]) -> Vec<u8> {
    let mut file = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
    for FilmTag { message_type, time_ms, payload } in tags {
        let length = payload.len() as u32;
        file.extend(SubTagHeader { message_type: *message_type, length, timestamp_ms: *time_ms }.emit());
        file.extend(payload);
        file.extend((length + 11).to_be_bytes());
    }
    file
}
