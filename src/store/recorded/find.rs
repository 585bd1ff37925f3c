//! Which file a name means, and that it lies where it may.
//!
//! What a client sent reaches a path here, as parts that cannot be hidden files or lead upwards, and what was opened is compared
//! with where it really lies: a link may lead elsewhere within a directory, and nowhere out of it.

use std::fs::{self, OpenOptions};
use std::io::{self, IoSliceMut, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use log::warn;

use crate::apps::{AppName, named};
use crate::live::download::{FileName, Shelf};
use crate::live::recorded::{NotPlayed, RecordedName};
use crate::name::DEFAULT_INSTANCE;
use crate::store::recordings::{self, STREAMS};
use crate::store::shared::{Shared, below};
use crate::store::text_file::{at, is_absent};
use crate::wire::windows::ReadAt;

use super::gather::PIECES;
use super::list::{FileWalk, FoundNames};
use super::{FileStamp, FileStep, Files};

/// The directories of applications, and where else their recorded streams lie.
pub struct RecordedDirectories {
    applications: Option<PathBuf>,
    shared: Arc<Shared>,
    found: FoundNames,
}

/// A file that is open.
pub struct OpenFile {
    file: fs::File,
    size: u64,
}

impl RecordedDirectories {
    pub(in crate::store) fn new(applications: Option<PathBuf>, shared: Arc<Shared>) -> RecordedDirectories {
        RecordedDirectories { applications, shared, found: FoundNames::default() }
    }

    /// The directories in which a name is looked for, each with what it is called there.
    fn places(&self, name: &RecordedName) -> Vec<(PathBuf, String)> {
        let (Some(app), Some(applications)) = (named(&name.app), &self.applications) else { return Vec::new() };
        let own = applications.join(app.as_str());
        let mut places = Vec::new();
        let streams = own.join(STREAMS);
        let by_instance = format!("{}/{}", name.instance(), name.name());
        if name.apart {
            places.push((streams, by_instance));
        } else {
            // One URL is one stream, wherever it was cut when it was recorded.
            if name.path.contains('/') {
                places.push((streams.clone(), name.path.to_string()));
            }
            places.push((streams, format!("{}/{}", DEFAULT_INSTANCE, name.path)));
        }
        let mut called = vec![name.path.as_str()];
        if name.name() != name.path {
            called.push(name.name());
        }
        if is_of_instance(name) {
            places.extend(self.automatic(&app).map(|recordings| (recordings, name.path.to_string())));
        }
        for (directory, before) in self.shared.film_trees(&app, &own) {
            for name in &called {
                let within = below(name, &before);
                places.extend(within.map(|within| (directory.clone(), within.to_owned())));
            }
        }
        places
    }

    /// The directories in which a file is looked for, each with what it is called there.
    fn file_places(&self, name: &FileName) -> Vec<(PathBuf, String)> {
        match name.shelf {
            Shelf::Films => {
                let Ok(path) = heapless::String::try_from(name.path.as_str()) else { return Vec::new() };
                let apart = name.apart;
                self.places(&RecordedName { app: name.app.clone(), path, apart, ..RecordedName::default() })
            }
            Shelf::Recordings => {
                let automatic = named(&name.app).and_then(|app| self.automatic(&app));
                automatic.into_iter().map(|recordings| (recordings, name.path.to_string())).collect()
            }
        }
    }

    /// The directories of all that an instance can play, each with what stands before a file's path in its name.
    fn trees(&self, of: &RecordedName) -> Vec<(PathBuf, String)> {
        let (Some(app), Some(applications)) = (named(&of.app), &self.applications) else { return Vec::new() };
        let own = applications.join(app.as_str());
        let mut trees = vec![(own.join(STREAMS).join(of.instance()), String::new())];
        trees.extend(self.shared.film_trees(&app, &own));
        trees
    }

    /// Where the automatic recordings of an application lie.
    fn automatic(&self, app: &AppName) -> Option<PathBuf> {
        recordings::automatic(self.shared.config().record.directory.as_deref(), self.applications.as_deref(), app)
    }

    /// Where a file of this name may lie that is being recorded.
    fn recordings(&self, file: &str) -> Vec<(PathBuf, String)> {
        let Some((app, below)) = file.split_once('/') else { return Vec::new() };
        let Some(app) = named(app) else { return Vec::new() };
        let own = self.applications.as_ref().map(|applications| applications.join(app.as_str()));
        self.automatic(&app).into_iter().chain(own).map(|directory| (directory, below.to_owned())).collect()
    }
}

/// Whether what a client calls so cannot be a recording of another instance than its own, where those are apart: a folder could be an
/// instance as well as a part of a stream's name.
fn is_of_instance(name: &RecordedName) -> bool {
    let folders = name.name().matches('/').count();
    !name.apart || if name.instance() == DEFAULT_INSTANCE { folders == 1 } else { folders > 0 }
}

impl Files for RecordedDirectories {
    type Open = OpenFile;

    fn find(&mut self, name: &RecordedName) -> Result<OpenFile, NotPlayed> {
        first(self.places(name), name.prefix.endings())
    }

    fn find_file(&mut self, name: &FileName) -> Result<(OpenFile, u64), NotPlayed> {
        let file = first(self.file_places(name), &[""])?;
        let written = file.file.metadata().ok().and_then(|metadata| metadata.modified().ok());
        let since = written.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Ok((file, since.map_or(0, |since| since.as_nanos() as u64)))
    }

    fn find_growing(&mut self, file: &str) -> Result<OpenFile, NotPlayed> {
        first(self.recordings(file), &[""])
    }

    fn look(&mut self, file: &mut OpenFile, most: Option<u64>) {
        // Where that fails reading will, too.
        let size = file.file.metadata().map_or(file.size, |metadata| metadata.len());
        file.size = most.map_or(size, |most| size.min(most));
    }

    fn stamp(&self, file: &OpenFile) -> Option<FileStamp> {
        file.file.metadata().ok().map(|metadata| FileStamp::of(&metadata))
    }

    fn next(&mut self, after: &RecordedName) -> FileStep {
        if let Some(step) = self.found.behind(after) {
            return step;
        }
        let mut walk = FileWalk::behind(after);
        for (directory, called) in self.trees(after) {
            walk.tree(&directory, &called);
        }
        let (step, found) = walk.end();
        self.found = found;
        step
    }
}

impl OpenFile {
    /// A read came to the end of the file, which may be another than it was.
    fn short(&mut self, at: u64, count: usize) -> usize {
        self.size = self.size.min(at + count as u64);
        count
    }
}

impl ReadAt for OpenFile {
    type Error = io::Error;

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read_at(out, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(count) if count < out.len() => return Ok(self.short(at, count)),
                result => return result,
            }
        }
    }

    fn read_pieces(&mut self, at: u64, out: &mut [&mut [u8]]) -> io::Result<usize> {
        let mut pieces = heapless::Vec::<IoSliceMut<'_>, PIECES>::new();
        for piece in out.iter_mut().take(PIECES) {
            let _ = pieces.push(IoSliceMut::new(piece));
        }
        let wanted: usize = pieces.iter().map(|piece| piece.len()).sum();
        // Nobody else has this descriptor, so its place is ours to move.
        self.file.seek(SeekFrom::Start(at))?;
        loop {
            match self.file.read_vectored(&mut pieces) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(count) if count < wanted => return Ok(self.short(at, count)),
                result => return result,
            }
        }
    }
}

/// The first of these files that is there. What is there and cannot be opened is said, and the next one tried.
fn first(places: Vec<(PathBuf, String)>, endings: &[&str]) -> Result<OpenFile, NotPlayed> {
    let mut unreadable = false;
    for (directory, called) in places {
        // Hidden files are none, and nothing leads upwards.
        if called.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
            continue;
        }
        for ending in endings {
            match open(&directory, &format!("{called}{ending}")) {
                Ok(Some(file)) => return Ok(file),
                Ok(None) => {}
                Err(problem) => {
                    warn!("rill recorded {problem}");
                    unreadable = true;
                }
            }
        }
    }
    Err(if unreadable { NotPlayed::Unreadable } else { NotPlayed::Missing })
}

/// Opens a regular file of a directory; `None` where there is none.
fn open(directory: &Path, called: &str) -> Result<Option<OpenFile>, String> {
    let path = directory.join(called);
    // Opening must not wait, not even for a writer of a pipe.
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path) {
        Ok(file) => file,
        Err(error) if is_absent(&error) || error.kind() == io::ErrorKind::InvalidFilename => return Ok(None),
        Err(error) => return Err(at(&path, &error)),
    };
    let opened = file.metadata().map_err(|error| at(&path, &error))?;
    if !opened.is_file() {
        return Ok(None);
    }
    let real = fs::canonicalize(&path).map_err(|error| at(&path, &error))?;
    let within = fs::canonicalize(directory).map_err(|error| at(directory, &error))?;
    // What was opened is what lies there.
    let there = fs::symlink_metadata(&real).map_err(|error| at(&real, &error))?;
    if !real.starts_with(within) || (there.dev(), there.ino()) != (opened.dev(), opened.ino()) {
        return Err(format!(
            "{}: leads out of {}; give the directory that it leads to a name (vod.virtual)",
            path.display(),
            directory.display()
        ));
    }
    Ok(Some(OpenFile { file, size: opened.len() }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::config::RecordedPlaces;
    use crate::store::test_root::Root;
    use crate::{board, config};

    impl Root {
        /// With these files, in each of which its path stands.
        fn with(name: &str, files: &[&str]) -> Root {
            let root = Root::new(name);
            files.iter().for_each(|file| root.write(file, file));
            root
        }

        fn directories(&self, sets: &[String]) -> RecordedDirectories {
            let config = config::load(board::by_name("generic").unwrap(), None, sets).unwrap();
            RecordedDirectories::new(Some(self.0.join("applications")), Arc::new(Shared::new(config)))
        }
    }

    /// What stands in the file that is found, which is its path.
    fn found(
        directories: &mut RecordedDirectories,
        instance: &str,
        apart: bool,
        said: &str,
    ) -> Result<String, NotPlayed> {
        let name = RecordedName::new("vod", instance, apart, said.as_bytes()).unwrap();
        let mut file = directories.find(&name)?;
        let mut bytes = vec![0; file.size() as usize];
        file.read_at(0, &mut bytes).unwrap();
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_name_is_looked_for_in_recordings_then_in_media_then_in_directories_with_a_name() {
        let own = ["streams/_definst_/a.flv", "media/a.flv", "media/b.mp4", "streams/hall/c.flv", "media/hall/d.mp4"];
        let own = own.map(|file| format!("applications/vod/{file}"));
        let mut files: Vec<&str> = own.iter().map(String::as_str).collect();
        files.extend(["films/e.mp4", "films/b.mp4", "others/f.mp3"]);
        let root = Root::with("order", &files);
        let mut disk = root.directories(&[format!(
            "vod.virtual={{films = {:?}, \"\" = {:?}}}",
            root.0.join("films"),
            root.0.join("others")
        )]);
        let mut look = |instance: &str, said: &str| found(&mut disk, instance, false, said);
        let vod = |file: &str| Ok(format!("applications/vod/{file}"));
        for said in ["a", "a.flv", "flv:a", "flv:a.flv"] {
            assert_eq!(look("_definst_", said), vod("streams/_definst_/a.flv"), "{said}");
        }
        for said in ["b", "b.mp4", "mp4:b", "mp4:b.mp4?key=1"] {
            assert_eq!(look("_definst_", said), vod("media/b.mp4"), "{said}");
            assert_eq!(look("hall", said), vod("media/b.mp4"), "{said}: the same for all instances");
        }
        for (instance, said) in [("_definst_", "hall/c"), ("hall", "c")] {
            assert_eq!(look(instance, said), vod("streams/hall/c.flv"), "one URL is one stream");
        }
        for (instance, said) in [("_definst_", "mp4:hall/d"), ("hall", "mp4:d")] {
            assert_eq!(look(instance, said), vod("media/hall/d.mp4"));
        }
        assert_eq!(look("_definst_", "mp4:films/e"), Ok("films/e.mp4".to_owned()));
        assert_eq!(look("_definst_", "mp3:f"), Ok("others/f.mp3".to_owned()));
        for (missing, said) in
            [("other format", "flv:x"), ("no such", "mp4:a"), ("a directory", "hall"), ("a name", "films")]
        {
            assert_eq!(look("_definst_", said), Err(NotPlayed::Missing), "{missing}");
        }
        let long = "x".repeat(190);
        assert_eq!(look("_definst_", &long), Err(NotPlayed::Missing));
    }

    #[test]
    fn all_that_an_instance_can_play_is_named_in_order_and_each_name_is_found() {
        let root = Root::with(
            "list",
            &[
                "applications/vod/media/b.mp4",
                "applications/vod/media/sub/dir/c.mp3",
                "applications/vod/media/notes.txt",
                "applications/vod/media/.hidden.mp4",
                "applications/vod/media/odd?name.mp4",
                "applications/vod/streams/_definst_/a.flv",
                "applications/vod/streams/_definst_/b.mp4",
                "applications/vod/streams/hall/d.flv",
                "usb/e.mov",
            ],
        );
        let mut disk = root.directories(&[format!("vod.virtual={{usb = {:?}}}", root.0.join("usb"))]);
        let mut all = |instance: &str| {
            let (mut names, mut stamps) = (Vec::new(), Vec::new());
            let mut after = RecordedName::before_all("vod", instance, true).unwrap();
            loop {
                let FileStep { next, stamp } = disk.next(&after);
                stamps.push(stamp);
                let Some(next) = next else { break };
                assert!(disk.find(&next).is_ok(), "{next:?}");
                names.push(next.name().to_owned());
                after = next;
            }
            assert!(stamps.iter().all(|stamp| *stamp == stamps[0]));
            (names, stamps[0])
        };
        let (names, stamp) = all("_definst_");
        assert_eq!(names, ["a.flv", "b.mp4", "sub/dir/c.mp3", "usb/e.mov"]);
        assert_eq!(all("hall").0, ["b.mp4", "d.flv", "sub/dir/c.mp3", "usb/e.mov"]);
        root.write("applications/vod/media/sub/f.mp4", "");
        let (names, later) = all("_definst_");
        assert_eq!((names[3].as_str(), later == stamp), ("sub/f.mp4", false));
    }

    #[test]
    fn automatic_recordings_are_found_by_their_own_names_and_those_that_grow_by_their_files() {
        let files = [
            "applications/vod/recordings/hall/cam/000042-nodate.mp4",
            "applications/vod/recordings/cam/000001-nodate.flv",
            "applications/vod/streams/_definst_/cam.flv",
            "other/vod/cam/000007-nodate.mp4",
        ];
        let root = Root::with("own-names", &files);
        let mut disk = root.directories(&[]);
        let mut look = |instance: &str, apart: bool, said: &str| found(&mut disk, instance, apart, said);
        for (instance, said, file) in [
            ("_definst_", "hall/cam/000042-nodate", Some(0)),
            ("_definst_", "mp4:hall/cam/000042-nodate.mp4", Some(0)),
            ("hall", "cam/000042-nodate.mp4", Some(0)),
            ("_definst_", "cam/000001-nodate.flv", Some(1)),
            ("_definst_", "cam", Some(2)),
            ("_definst_", "000001-nodate", None),
        ] {
            let wanted = file.map_or(Err(NotPlayed::Missing), |file: usize| Ok(files[file].to_owned()));
            assert_eq!(look(instance, false, said), wanted, "{instance} {said}");
        }
        // Where instances are apart none reaches another's.
        assert_eq!(look("_definst_", true, "hall/cam/000042-nodate"), Err(NotPlayed::Missing));
        assert_eq!(look("cam", true, "000001-nodate"), Err(NotPlayed::Missing));
        assert!(
            look("_definst_", true, "cam/000001-nodate").is_ok() && look("hall", true, "cam/000042-nodate").is_ok()
        );
        for (file, at) in [("vod/cam/000001-nodate.flv", 1), ("vod/streams/_definst_/cam.flv", 2)] {
            assert_eq!(disk.find_growing(file).map(|found| found.size()), Ok(files[at].len() as u64), "{file}");
        }
        assert_eq!(disk.find_growing("vod/cam/000002-nodate.flv").err(), Some(NotPlayed::Missing));
        let mut elsewhere = root.directories(&[format!("record.directory={:?}", root.0.join("other"))]);
        assert_eq!(found(&mut elsewhere, "_definst_", false, "cam/000007-nodate"), Ok(files[3].to_owned()));
        assert!(elsewhere.find_growing("vod/cam/000007-nodate.mp4").is_ok());
    }

    #[test]
    fn instances_that_are_apart_have_no_recordings_in_common() {
        let root = Root::with("apart", &["applications/vod/streams/hall/a.flv", "applications/vod/media/b.flv"]);
        let mut disk = root.directories(&[]);
        assert!(found(&mut disk, "hall", true, "a").is_ok());
        assert_eq!(found(&mut disk, "_definst_", true, "hall/a"), Err(NotPlayed::Missing));
        assert!(found(&mut disk, "_definst_", true, "b").is_ok() && found(&mut disk, "hall", true, "b").is_ok());
    }

    #[test]
    fn nothing_is_had_that_is_hidden_or_lies_elsewhere() {
        let root = Root::with(
            "elsewhere",
            &[
                "secret.flv",
                "applications/vod/media/.hidden.flv",
                "applications/vod/media/.git/a.flv",
                "applications/vod/media/a.flv",
            ],
        );
        let media = root.0.join("applications/vod/media");
        symlink(root.0.join("secret.flv"), media.join("link.flv")).unwrap();
        symlink("../../../secret.flv", media.join("relative.flv")).unwrap();
        symlink(&root.0, media.join("up")).unwrap();
        symlink("a.flv", media.join("inside.flv")).unwrap();
        let mut disk = root.directories(&[]);
        let mut look = |said: &str| found(&mut disk, "_definst_", false, said);
        for said in ["link", "relative", "up/secret"] {
            assert_eq!(look(said), Err(NotPlayed::Unreadable), "{said}");
        }
        for said in [".hidden", ".git/a", "..hidden"] {
            assert_eq!(look(said), Err(NotPlayed::Missing), "{said}");
        }
        assert_eq!(look("inside"), Ok("applications/vod/media/a.flv".to_owned()));
        // The directory itself may be anywhere.
        fs::rename(&media, root.0.join("films")).unwrap();
        symlink(root.0.join("films"), &media).unwrap();
        assert!(found(&mut root.directories(&[]), "_definst_", false, "a").is_ok());
    }

    #[test]
    fn a_file_is_fetched_by_its_own_name_and_no_other_is() {
        let own = [
            "recordings/cam/1.mp4",
            "recordings/.cam/1.mp4",
            "streams/_definst_/a.flv",
            "streams/hall/b.flv",
            "media/c.mp4",
        ];
        let own = own.map(|file| format!("applications/vod/{file}"));
        let mut files: Vec<&str> = own.iter().map(String::as_str).collect();
        files.extend(["applications/vod/main.mp4", "secret.mp4", "films/d.mp4"]);
        let root = Root::with("fetched", &files);
        symlink(root.0.join("secret.mp4"), root.0.join("applications/vod/media/link.mp4")).unwrap();
        let mut disk = root.directories(&[format!("vod.virtual={{films = {:?}}}", root.0.join("films"))]);
        let mut fetch = |shelf: Shelf, apart: bool, path: &str| {
            let app = heapless::String::try_from("vod").unwrap();
            let name = FileName { shelf, app, apart, path: heapless::String::try_from(path).unwrap() };
            let (mut file, written_ns) = disk.find_file(&name)?;
            let mut bytes = vec![0; file.size() as usize];
            file.read_at(0, &mut bytes).unwrap();
            assert!(written_ns > 0);
            Ok(String::from_utf8(bytes).unwrap())
        };
        let vod = |file: &str| Ok(format!("applications/vod/{file}"));
        assert_eq!(fetch(Shelf::Recordings, false, "cam/1.mp4"), vod("recordings/cam/1.mp4"));
        assert_eq!(fetch(Shelf::Films, false, "a.flv"), vod("streams/_definst_/a.flv"));
        assert_eq!(fetch(Shelf::Films, false, "hall/b.flv"), vod("streams/hall/b.flv"));
        assert_eq!(fetch(Shelf::Films, true, "hall/b.flv"), Err(NotPlayed::Missing), "another instance's");
        assert_eq!(fetch(Shelf::Films, true, "c.mp4"), vod("media/c.mp4"));
        assert_eq!(fetch(Shelf::Films, false, "films/d.mp4"), Ok("films/d.mp4".to_owned()));
        for (shelf, path) in [
            (Shelf::Films, "c"),
            (Shelf::Films, "../main.mp4"),
            (Shelf::Films, "/etc/passwd"),
            (Shelf::Films, "a.flv/"),
            (Shelf::Films, ""),
            (Shelf::Recordings, ".cam/1.mp4"),
            (Shelf::Recordings, "../main.mp4"),
            (Shelf::Recordings, "cam/../../main.mp4"),
            (Shelf::Recordings, "cam"),
        ] {
            assert_eq!(fetch(shelf, false, path), Err(NotPlayed::Missing), "{path}");
        }
        assert_eq!(fetch(Shelf::Films, false, "link.mp4"), Err(NotPlayed::Unreadable));
    }

    #[test]
    fn a_pipe_holds_nobody_up() {
        let root = Root::with("pipe", &["applications/vod/media/a.flv"]);
        let pipe = root.0.join("applications/vod/media/pipe.flv");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(found(&mut root.directories(&[]), "_definst_", false, "pipe"), Err(NotPlayed::Missing));
    }

    #[test]
    fn a_server_or_an_application_may_name_another_directory() {
        let root = Root::with("named", &["films/vod/a.flv", "own/a.flv", "applications/vod/b/c.flv"]);
        let mut disk = root.directories(&[format!("vod.directory={:?}", root.0.join("films"))]);
        assert_eq!(found(&mut disk, "_definst_", false, "a"), Ok("films/vod/a.flv".to_owned()));
        let directory =
            |path: &str| RecordedPlaces { directory: Some(PathBuf::from(path)), ..RecordedPlaces::default() };
        let app = named("vod").unwrap();
        disk.shared.set_recorded_places(&app, directory(root.0.join("own").to_str().unwrap()));
        assert_eq!(found(&mut disk, "_definst_", false, "a"), Ok("own/a.flv".to_owned()));
        // Relative to its own.
        disk.shared.set_recorded_places(&app, directory("b"));
        assert_eq!(found(&mut disk, "_definst_", false, "c"), Ok("applications/vod/b/c.flv".to_owned()));
    }
}
