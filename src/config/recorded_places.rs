//! Where recorded streams lie, beside an application's own directories.

use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::keys::Wrong;

/// Where the recorded streams of an application lie, beside what it recorded itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedPlaces {
    /// In place of its `media/`; in the server's own configuration the applications' directories lie in there.
    pub directory: Option<PathBuf>,
    /// Directories under a name of their own, the first part of the names of what lies in them; of all names when it is empty.
    pub named: Vec<NamedDirectory>,
}

/// A directory under a name of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedDirectory {
    /// The name: parts with slashes between them, or nothing.
    pub name: String,
    /// The directory.
    pub directory: PathBuf,
}

impl RecordedPlaces {
    /// Reads directories with their names: a table with a path under each name.
    ///
    /// # Errors
    ///
    /// It is no such table, or one of the names cannot be the beginning of a stream's.
    pub fn name(&mut self, table: &DeValue<'_>) -> Result<(), Wrong> {
        let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.trim() == part;
        let mut named = Vec::new();
        for (name, directory) in table.as_table().ok_or(Wrong::NotAllowed)? {
            let name = name.get_ref();
            if !name.is_empty() && !name.split('/').all(is_part) {
                return Err(Wrong::Because(format!("no stream's name begins with {name:?}")));
            }
            let directory = directory.get_ref().as_str().filter(|path| !path.is_empty()).ok_or(Wrong::NotAllowed)?;
            named.push(NamedDirectory { name: name.to_string(), directory: PathBuf::from(directory) });
        }
        self.named = named;
        Ok(())
    }

    /// What [`RecordedPlaces::name`] reads, for messages.
    pub fn allowed() -> String {
        "a table, like {films = \"/srv/films\"}".to_owned()
    }

    /// The names as they would be written.
    pub fn show(&self) -> String {
        let named =
            self.named.iter().map(|named| format!("{:?} = {:?}", named.name, named.directory.display().to_string()));
        format!("{{{}}}", named.collect::<Vec<_>>().join(", "))
    }

    /// These, with those of `others` behind them that have other names, and paths that are relative to `base`.
    pub fn with(mut self, others: &[NamedDirectory], base: &Path) -> RecordedPlaces {
        self.directory = self.directory.map(|directory| base.join(directory));
        for named in &mut self.named {
            named.directory = base.join(&named.directory);
        }
        for other in others {
            if self.named.iter().all(|named| named.name != other.name) {
                self.named.push(other.clone());
            }
        }
        self
    }
}
