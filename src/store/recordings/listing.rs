//! How far a list of recordings is.

use std::path::PathBuf;

use crate::name::DEFAULT_INSTANCE;

/// Where a list stands.
pub(super) struct Listing {
    /// Of which application, and of which of its streams; empty for all.
    pub(super) app: String,
    stream: String,
    pub(super) kind: ListedKind,
    /// Films are listed, too.
    films: bool,
    /// The last file that was listed of this kind: its application, and what it is called there.
    pub(super) after: PathBuf,
    /// In which of the application's folders of this kind it lay.
    pub(super) tree: usize,
    /// Where the names of that folder's files are looked for before, each with what stands before them there.
    pub(super) earlier: Vec<(PathBuf, String)>,
}

/// What is listed first, and what last.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ListedKind {
    Automatic,
    Named,
    Films,
}

impl Listing {
    pub(super) fn new(of: &str, films: bool) -> Listing {
        let (app, stream) = of.split_once('/').unwrap_or((of, ""));
        Listing {
            app: app.to_owned(),
            stream: stream.to_owned(),
            kind: ListedKind::Automatic,
            films,
            after: PathBuf::new(),
            tree: 0,
            earlier: Vec::new(),
        }
    }

    /// Goes on to the next kind, if there is one.
    pub(super) fn next_kind(&mut self) -> bool {
        let next = match self.kind {
            ListedKind::Automatic => Some(ListedKind::Named),
            ListedKind::Named => Some(ListedKind::Films).filter(|_| self.films),
            ListedKind::Films => None,
        };
        if let Some(kind) = next {
            (self.kind, self.after, self.tree) = (kind, PathBuf::new(), 0);
        }
        next.is_some()
    }

    /// Whether a file is one of the stream's, by its path below the folder of its kind.
    pub(super) fn includes(&self, below: &str) -> bool {
        if self.stream.is_empty() {
            return true;
        }
        let of_stream = match self.kind {
            ListedKind::Automatic => below,
            ListedKind::Named | ListedKind::Films => {
                let name =
                    below.strip_prefix(DEFAULT_INSTANCE).and_then(|rest| rest.strip_prefix('/')).unwrap_or(below);
                name.rsplit_once('.').map_or(name, |(name, _)| name)
            }
        };
        match of_stream.strip_prefix(self.stream.as_str()) {
            Some("") => self.kind != ListedKind::Automatic,
            Some(rest) => rest.starts_with('/'),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_its_folder_and_the_file_of_its_name() {
        let mut listing = Listing::new("live/hall/cam", true);
        for (kind, below, is) in [
            (ListedKind::Automatic, "hall/cam/000001-nodate.flv", true),
            (ListedKind::Automatic, "hall/cam/left/000001-nodate.flv", true),
            (ListedKind::Automatic, "hall/cam2/000001-nodate.flv", false),
            (ListedKind::Automatic, "hall/cam", false),
            (ListedKind::Named, "_definst_/hall/cam.flv", true),
            (ListedKind::Named, "hall/cam.flv", true),
            (ListedKind::Named, "hall/cam2.flv", false),
            (ListedKind::Films, "hall/cam.mp4", true),
        ] {
            listing.kind = kind;
            assert_eq!(listing.includes(below), is, "{below}");
        }
        assert!(Listing::new("live", false).includes("anything") && Listing::new("", false).includes("anything"));
    }
}
