//! The files of one application: which there are, whether they changed, and what stands in them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::limits::{APP_FILE_BYTES, SCRIPT_FILES, SCRIPT_TEXT_BYTES, USERS_FILE_BYTES};
use crate::live::app::{Source, SourceFile};
use crate::wire::script_link::FileRole;

use super::script_texts::TextFile;
use super::settle::{Clocks, FileStat, Moment, hash};
use super::text_file::{at, is_absent, read_text};

/// An application's settings within its directory.
pub(super) const APP_FILE: &str = "app.toml";
/// The users who may publish in it.
pub(super) const USERS_FILE: &str = "users";
/// Where the script may lie besides the application's own directory.
const SCRIPTS: &str = "scripts";

/// A file with what tells whether it changed.
pub(super) struct FileInfo {
    pub(super) path: PathBuf,
    /// Relative to the application's directory, or bare in the library.
    pub(super) name: String,
    outside: FileStat,
}

impl FileInfo {
    /// `None` if there is no such regular file.
    fn find(path: PathBuf, name: String) -> Result<Option<FileInfo>, String> {
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(FileInfo { name, outside: FileStat::of(&metadata), path })),
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(at(&path, &error)),
        }
    }
}

/// What there is in the place of an application.
pub(super) enum Found {
    Missing,
    /// Why that cannot be told.
    Unreadable(String),
    Files(Box<Files>),
}

impl Found {
    /// `users` is where its file of users lies, if that is known to be elsewhere.
    pub(super) fn at(directory: &Path, app: &str, library: Option<&Path>, users: Option<&Path>) -> Found {
        let files = match fs::metadata(directory) {
            Ok(metadata) if metadata.is_dir() => Files::find(directory, app, library, users),
            Ok(_) => return Found::Missing,
            Err(error) if is_absent(&error) => return Found::Missing,
            Err(error) => Err(at(directory, &error)),
        };
        files.map_or_else(Found::Unreadable, |files| Found::Files(Box::new(files)))
    }

    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Found::Missing)
    }

    /// See [`Look::outside`](super::settle::Look::outside).
    pub(super) fn outside(&self) -> u64 {
        match self {
            Found::Missing => 0,
            Found::Unreadable(error) => hash(error),
            Found::Files(files) => {
                let files = files.all().map(|file| (&file.path, &file.outside));
                hash(files.collect::<Vec<_>>())
            }
        }
    }

    /// See [`Look::quiet_ms`](super::settle::Look::quiet_ms).
    pub(super) fn quiet_ms(&self, clock: &Clocks, now: Moment) -> u64 {
        match self {
            // When it went, or what is the matter with it began, nothing says.
            Found::Missing | Found::Unreadable(_) => 0,
            Found::Files(files) => clock.quiet_ms(files.all().map(|file| &file.outside).chain(&files.directories), now),
        }
    }

    /// `filled` and `has_empty` of [`Look`](super::settle::Look): of the files without which every client would be let in.
    pub(super) fn rules(&self) -> (u8, bool) {
        let Found::Files(files) = self else { return (0, false) };
        let rules = [&files.settings, &files.main, &files.secure, &files.users];
        let bytes = |file: &Option<FileInfo>| file.as_ref().map(|file| file.outside.bytes);
        let filled = rules.iter().enumerate().filter(|(_, file)| bytes(file).is_some_and(|bytes| bytes > 0));
        (filled.map(|(at, _)| 1 << at).sum(), rules.iter().any(|file| bytes(file) == Some(0)))
    }

    /// `None` when nothing is there.
    pub(super) fn read(&self) -> Option<Texts> {
        match self {
            Found::Missing => None,
            Found::Unreadable(error) => Some(Texts { settings: Err(error.clone()), users: Ok(None), source: Ok(None) }),
            Found::Files(files) => Some(files.read()),
        }
    }

    /// Where its `app.toml` is.
    pub(super) fn settings(&self) -> Option<&Path> {
        let Found::Files(files) = self else { return None };
        files.settings.as_ref().map(|file| file.path.as_path())
    }

    /// Where its file of users is.
    pub(super) fn users(&self) -> Option<&Path> {
        let Found::Files(files) = self else { return None };
        files.users.as_ref().map(|file| file.path.as_path())
    }

    /// See [`Files::compiled`].
    pub(super) fn compiled(&self) -> &[PathBuf] {
        if let Found::Files(files) = self { &files.compiled } else { &[] }
    }
}

/// What stands in the files of an application, or why that cannot be told.
#[derive(Hash)]
pub(super) struct Texts {
    pub(super) settings: Result<Option<String>, String>,
    pub(super) users: Result<Option<String>, String>,
    pub(super) source: Result<Option<Source>, String>,
}

/// What an application is made of.
pub(super) struct Files {
    /// Where the application's own lie.
    directory: PathBuf,
    /// Where they all lie. A file that comes or goes changes its directory.
    directories: Vec<FileStat>,
    settings: Option<FileInfo>,
    users: Option<FileInfo>,
    main: Option<FileInfo>,
    secure: Option<FileInfo>,
    others: Vec<FileInfo>,
    /// Scripts in Adobe's compiled form, which only Adobe's servers can read.
    compiled: Vec<PathBuf>,
}

impl Files {
    /// Looks for them in an application's `directory`, and in the library.
    fn find(directory: &Path, app: &str, library: Option<&Path>, users: Option<&Path>) -> Result<Files, String> {
        // Something else of that name, a pipe or a link that leads nowhere, was meant to be the rules or the script: without
        // them every client would be let in.
        let own = |name: &str| {
            let path = directory.join(name);
            match FileInfo::find(path.clone(), name.to_owned())? {
                None if fs::symlink_metadata(&path).is_ok() => Err(format!("{}: is no regular file", path.display())),
                found => Ok(found),
            }
        };
        let in_scripts = directory.join(SCRIPTS);
        let mut files = Files {
            directory: directory.to_owned(),
            directories: [directory, &in_scripts].into_iter().filter_map(FileStat::at).collect(),
            settings: own(APP_FILE)?,
            users: match users {
                Some(elsewhere) => FileInfo::find(elsewhere.to_owned(), USERS_FILE.to_owned())?,
                None => own(USERS_FILE)?,
            },
            main: None,
            secure: None,
            others: Vec::new(),
            compiled: Vec::new(),
        };
        // Adobe's order (TechNote 16518).
        for stem_and_ending in ["main.asc", "main.js", &format!("{app}.asc"), &format!("{app}.js")] {
            for name in [format!("{SCRIPTS}/{stem_and_ending}"), stem_and_ending.to_owned()] {
                if files.main.is_none() {
                    files.main = own(&name)?;
                }
            }
        }
        let mut places = vec![(directory, ""), (in_scripts.as_path(), "scripts/")];
        places.extend(library.map(|library| (library, "")));
        for (place, prefix) in places {
            for file in names_in(place)? {
                let name = format!("{prefix}{file}");
                match Path::new(&file).extension().and_then(|ending| ending.to_str()) {
                    Some("asc" | "js") if files.main.is_some() => {
                        files.others.extend(FileInfo::find(place.join(&file), name)?);
                    }
                    Some("ase") if library != Some(place) => files.compiled.push(place.join(&file)),
                    _ => {}
                }
            }
        }
        if let Some(main) = &files.main {
            let beside = main.name.rsplit_once('/').map_or("", |(place, _)| place);
            let secure = if beside.is_empty() { "secure.asc".to_owned() } else { format!("{beside}/secure.asc") };
            files.secure = own(&secure)?;
            let main = main.path.clone();
            let secure = files.secure.as_ref().map(|file| file.path.clone());
            files.others.retain(|other| other.path != main && Some(&other.path) != secure.as_ref());
        }
        Ok(files)
    }

    /// Where the application's own lie.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    fn all(&self) -> impl Iterator<Item = &FileInfo> {
        self.settings.iter().chain(&self.users).chain(self.scripts())
    }

    pub(super) fn scripts(&self) -> impl Iterator<Item = &FileInfo> {
        self.secure.iter().chain(&self.main).chain(&self.others)
    }

    /// The files of the script, in the order of [`Source::files`].
    pub(super) fn texts(&self) -> Vec<TextFile> {
        let main = self.main.iter().map(|file| (FileRole::Main, file));
        let secure = self.secure.iter().map(|file| (FileRole::Secure, file));
        let others = self.others.iter().map(|file| (FileRole::Library, file));
        let files = main.chain(secure).chain(others);
        files.map(|(role, file)| (role, file.name.clone(), file.path.clone())).collect()
    }

    fn read(&self) -> Texts {
        let settings = self.settings.as_ref().map(|file| read_text(&file.path, APP_FILE_BYTES, "APP_FILE_BYTES"));
        let users = self.users.as_ref().map(|file| read_users(&file.path));
        Texts { settings: settings.transpose(), users: users.transpose(), source: self.source() }
    }

    /// The text of the script, if there is one.
    fn source(&self) -> Result<Option<Source>, String> {
        let Some(main) = &self.main else { return Ok(None) };
        if self.scripts().count() > SCRIPT_FILES {
            let directory = main.path.parent().unwrap_or(&main.path).display();
            return Err(format!("{directory}: more than {SCRIPT_FILES} files with scripts (SCRIPT_FILES)"));
        }
        let mut left = SCRIPT_TEXT_BYTES;
        let mut read = |file: &FileInfo| {
            let text = read_text(&file.path, left, "SCRIPT_TEXT_BYTES, of all files together")?;
            left -= text.len();
            Ok::<_, String>(SourceFile { name: file.name.clone(), text })
        };
        let main = read(main)?;
        let secure = self.secure.as_ref().map(&mut read).transpose()?;
        let others = self.others.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Some(Source { secure, main, others }))
    }
}

/// The text of a file of users.
pub(super) fn read_users(path: &Path) -> Result<String, String> {
    read_text(path, USERS_FILE_BYTES, "USERS_FILE_BYTES")
}

/// The names of what is in a directory, in order; none if there is no such directory.
fn names_in(directory: &Path) -> Result<Vec<String>, String> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(at(directory, &error)),
    };
    // A script cannot name a file whose name is not UTF-8.
    let mut names: Vec<String> =
        entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}
