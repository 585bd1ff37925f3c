//! The files of an instance while they come, piece by piece.

use super::facts::{LoadError, SourcePlace};
use crate::live::app::{Source, SourceFile};
use crate::wire::script_link::FileRole;

/// Files that have come, and the one that comes.
#[derive(Default)]
pub(super) struct ComingFiles {
    done: Vec<(FileRole, String, Vec<u8>)>,
    coming: Vec<u8>,
}

impl ComingFiles {
    /// The next piece.
    pub(super) fn add(&mut self, role: FileRole, name: &str, piece: &[u8], last: bool) {
        self.coming.extend_from_slice(piece);
        if last {
            self.done.push((role, name.to_owned(), std::mem::take(&mut self.coming)));
        }
    }

    /// The script, and what it sees as `application.config`.
    ///
    /// # Errors
    ///
    /// There is no main script, or a file is not text.
    pub(super) fn finish(self) -> Result<(Source, String), LoadError> {
        let (mut main, mut secure, mut others, mut config) = (None, None, Vec::new(), String::new());
        for (role, name, bytes) in self.done {
            let text = String::from_utf8(bytes).map_err(|error| {
                let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = 1 + before.iter().filter(|byte| **byte == b'\n').count() as u32;
                LoadError::Syntax(SourcePlace { file: name.clone(), line }, "SyntaxError: not UTF-8".to_owned())
            })?;
            match role {
                FileRole::Main => main = Some(SourceFile { name, text }),
                FileRole::Secure => secure = Some(SourceFile { name, text }),
                FileRole::Library => others.push(SourceFile { name, text }),
                FileRole::Config => config = text,
            }
        }
        let missing = || LoadError::Missing(SourcePlace::default(), "main.asc".to_owned());
        Ok((Source { main: main.ok_or_else(missing)?, secure, others }, config))
    }
}
