//! Which file a recording is, and what it is called.

use std::path::{Path, PathBuf};

use crate::apps::{AppName, named};
use crate::limits::RECORDING_FILE_BYTES;
use crate::live::record_settings::RecordContainer;
use crate::live::recording::{CompleteFile, RecordingKind, RecordingName};
use crate::name::DEFAULT_INSTANCE;

use super::disk::{FolderEntry, LocalTime};

/// Where an application's automatic recordings lie within its directory, by stream.
const RECORDINGS: &str = "recordings";
/// Where those lie that were asked for by their names, by instance.
pub(in crate::store) const STREAMS: &str = "streams";
/// Folders below that of an application are looked into so deep.
pub(super) const DEPTH: usize = 16;
/// Digits of the number that names begin with. More recordings have longer numbers.
const DIGITS: usize = 6;

/// Endings of files that are MP4.
const MP4_ENDINGS: [&str; 4] = [".mp4", ".f4v", ".m4v", ".mov"];

/// Where recordings lie.
pub(super) struct Places {
    applications: Option<PathBuf>,
    /// In place of the applications' own `recordings/`.
    directory: Option<PathBuf>,
}

impl Places {
    pub(super) fn new(applications: Option<PathBuf>, directory: Option<PathBuf>) -> Places {
        Places { applications, directory }
    }

    /// The folder of automatic recordings of an application.
    pub(super) fn automatic(&self, app: &str) -> Option<PathBuf> {
        automatic(self.directory.as_deref(), self.applications.as_deref(), &named(app)?)
    }

    /// The folder of an application's recordings that were asked for by their names.
    pub(super) fn streams(&self, app: &str) -> Option<PathBuf> {
        Some(self.applications.as_ref()?.join(named(app)?.as_str()).join(STREAMS))
    }

    /// In which applications have folders of automatic recordings, and how they are called there.
    pub(super) fn roots(&self) -> Option<(&Path, &'static str)> {
        match (&self.directory, &self.applications) {
            (Some(directory), _) => Some((directory, "")),
            (None, Some(applications)) => Some((applications, RECORDINGS)),
            (None, None) => None,
        }
    }

    /// In which application's directory named recordings lie, and how that is called.
    pub(super) fn named_roots(&self) -> Option<(&Path, &'static str)> {
        self.applications.as_deref().map(|applications| (applications, STREAMS))
    }

    /// The folder in which a recording lies; `None` when there is no place for it.
    pub(super) fn folder(&self, name: &RecordingName) -> Option<PathBuf> {
        match name.kind {
            RecordingKind::Automatic => Some(self.automatic(&name.app)?.join(name.path.as_str())),
            RecordingKind::InPlaceOf | RecordingKind::Behind | RecordingKind::BehindWithGap => {
                self.file(name)?.parent().map(Path::to_owned)
            }
        }
    }

    /// The file of a recording that was asked for by its name.
    pub(super) fn file(&self, name: &RecordingName) -> Option<PathBuf> {
        let ending = match name.container {
            // Who asks for MP4 may have said how the file ends.
            RecordContainer::Mp4 if MP4_ENDINGS.iter().any(|ending| name.path.ends_with(ending)) => "",
            container => container.ending(),
        };
        Some(self.streams(&name.app)?.join(format!("{}{ending}", name.path)))
    }

    /// What a file is called for people: `APP/PATH/FILE`.
    pub(super) fn shown(&self, path: &Path) -> Option<heapless::String<RECORDING_FILE_BYTES>> {
        let within = |root: &Path, kind: &str| {
            let below = path.strip_prefix(root).ok()?;
            let app = below.components().next()?.as_os_str();
            let rest = below.strip_prefix(app).ok()?;
            let rest = rest.strip_prefix(kind).ok()?;
            Some(Path::new(app).join(rest))
        };
        let automatic = self.roots().and_then(|(root, kind)| within(root, kind));
        let named = || within(self.applications.as_deref()?, "");
        let shown = automatic.or_else(named)?;
        heapless::String::try_from(shown.to_str()?).ok()
    }
}

impl Places {
    /// What there is to say of a complete file; `None` where its path is longer than any that is told of.
    pub(super) fn complete(&self, app: &str, path: &Path) -> Option<CompleteFile> {
        let name = match path.strip_prefix(self.streams(app).unwrap_or_default()) {
            Ok(named) => named.strip_prefix(DEFAULT_INSTANCE).unwrap_or(named).with_extension(""),
            Err(_) => path.strip_prefix(self.automatic(app)?).ok()?.parent()?.to_owned(),
        };
        let text = |path: &Path| path.to_str().map(str::to_owned);
        Some(CompleteFile {
            app: heapless::String::try_from(app).ok()?,
            name: heapless::String::try_from(text(&name)?.as_str()).ok()?,
            path: heapless::String::try_from(text(path)?.as_str()).ok()?,
        })
    }
}

/// The folder of automatic recordings of an application, in a directory of them or in the applications' own.
pub(in crate::store) fn automatic(
    directory: Option<&Path>,
    applications: Option<&Path>,
    app: &AppName,
) -> Option<PathBuf> {
    match (directory, applications) {
        (Some(directory), _) => Some(directory.join(app.as_str())),
        (None, Some(applications)) => Some(applications.join(app.as_str()).join(RECORDINGS)),
        (None, None) => None,
    }
}

/// The name of the next recording in a folder: a number, so that names sort as they were recorded without a clock, too.
pub(super) fn next_name(entries: &[FolderEntry], now: Option<LocalTime>, container: RecordContainer) -> String {
    let ending = container.ending();
    let number = |entry: &FolderEntry| entry.name.split_once('-')?.0.parse::<u64>().ok();
    let next = entries.iter().filter(|entry| !entry.is_folder).filter_map(number).max().map_or(1, |last| last + 1);
    match now {
        Some(now) => format!("{next:0DIGITS$}-{now}{ending}"),
        None => format!("{next:0DIGITS$}-nodate{ending}"),
    }
}

/// Whether a file is called as recordings are.
pub(super) fn is_recording(name: &str) -> bool {
    name.ends_with(RecordContainer::Flv.ending()) || MP4_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The name of a file until its first block is on the medium.
pub(super) fn hidden(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_on_where_the_folder_ends_whatever_the_clock_says() {
        let entry = |name: &str| FolderEntry { name: name.to_owned(), is_folder: false, bytes: 0, modified_s: 0 };
        let now = LocalTime { year: 2026, month: 11, day: 26, hour: 22, minute: 15, second: 3 };
        let next_name = |entries: &[FolderEntry], now| next_name(entries, now, RecordContainer::Mp4);
        assert_eq!(next_name(&[], None), "000001-nodate.mp4");
        let entries = [entry("000041-2020-01-01-000000.flv"), entry("x.flv"), entry("000007-nodate.flv")];
        assert_eq!(next_name(&entries, Some(now)), "000042-2026-11-26-221503.mp4");
        assert_eq!(next_name(&[entry("1999999-nodate.flv")], None), "2000000-nodate.mp4");
    }

    #[test]
    fn what_is_shown_is_the_application_the_path_and_the_file() {
        let (root, other) = (Some("/srv/applications".into()), Some("/mnt/rec".into()));
        for (places, path, shown) in [
            (
                Places::new(root.clone(), None),
                "/srv/applications/live/recordings/hall/cam/1-x.flv",
                "live/hall/cam/1-x.flv",
            ),
            (Places::new(root.clone(), other), "/mnt/rec/live/cam/1-x.flv", "live/cam/1-x.flv"),
            (Places::new(root, None), "/srv/applications/live/streams/_definst_/a.flv", "live/streams/_definst_/a.flv"),
        ] {
            assert_eq!(places.shown(Path::new(path)).as_deref(), Some(shown));
        }
    }
}
