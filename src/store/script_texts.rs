//! The text of scripts on its way to the processes that run them: read from the files piece by piece, when a process is to be told
//! the next one.
//!
//! What an application's files said when they were looked at stands nowhere but in a stamp. So a text that is read piece by piece
//! is all there when its stamp is that one, and not before: what was changed in between is not run.

use std::collections::VecDeque;
use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};
use std::path::PathBuf;

use crate::handles::HostIndex;
use crate::limits::{SCRIPT_FILES, SCRIPT_TEXT_BYTES};
use crate::live::app::Source;
use crate::live::script_text::{TextBlock, TextFollows};
use crate::wire::script_link::{FileRole, InstanceId};

use super::text_file::open_regular;

/// The stamp of a script's text.
pub(super) fn script_stamp(source: &Source) -> u64 {
    let mut stamp = TextStamp::default();
    for (role, file) in source.files() {
        stamp.begin(role, &file.name);
        stamp.add(file.text.as_bytes());
    }
    stamp.0.finish()
}

/// A stamp while the text comes. However it is cut, the stamp is the same.
#[derive(Default)]
struct TextStamp(DefaultHasher);

impl TextStamp {
    fn begin(&mut self, role: FileRole, name: &str) {
        // Neither byte is in any text.
        self.add(&[0xFF, role as u8]);
        self.add(name.as_bytes());
        self.add(&[0xFF]);
    }

    fn add(&mut self, piece: &[u8]) {
        self.0.write(piece);
    }
}

/// A file that is to be read: what it is to its script, its name there, and where it is.
pub(super) type TextFile = (FileRole, String, PathBuf);

/// The texts that are being read, by the places of their processes.
#[derive(Default)]
pub(super) struct ScriptTexts {
    readings: Vec<Option<TextReading>>,
}

impl ScriptTexts {
    /// Puts the next piece of an instance's text into `block`. `files` finds the script's files, when it is the first.
    pub(super) fn next(
        &mut self,
        host: HostIndex,
        script: InstanceId,
        stamp: u64,
        files: impl FnOnce() -> Vec<TextFile>,
        block: &mut TextBlock,
    ) -> TextFollows {
        let at = usize::from(host.0);
        if self.readings.len() <= at {
            self.readings.resize_with(at + 1, || None);
        }
        let reading = &mut self.readings[at];
        if reading.as_ref().is_none_or(|reading| reading.script != script) {
            *reading = Some(TextReading::new(script, files()));
        }
        let Some(current) = reading else { return TextFollows::Changed };
        let follows = current.next(stamp, block).unwrap_or(TextFollows::Changed);
        if follows != TextFollows::More {
            *reading = None;
        }
        follows
    }
}

/// A script's text that was read in part.
struct TextReading {
    script: InstanceId,
    files: VecDeque<TextFile>,
    /// The one that is being read.
    open: Option<File>,
    stamp: TextStamp,
    /// So much more there may be, in bytes.
    left: usize,
}

impl TextReading {
    fn new(script: InstanceId, files: Vec<TextFile>) -> TextReading {
        TextReading { script, files: files.into(), open: None, stamp: TextStamp::default(), left: SCRIPT_TEXT_BYTES }
    }

    /// What is not all there, or is more than there may be, is an error as well.
    fn next(&mut self, stamp: u64, block: &mut TextBlock) -> io::Result<TextFollows> {
        if self.open.is_none() {
            let (role, name, path) = self.files.pop_front().ok_or(io::ErrorKind::NotFound)?;
            if self.files.len() >= SCRIPT_FILES {
                return Ok(TextFollows::Changed);
            }
            self.open = Some(open_regular(&path)?);
            block.begin(role, &name).map_err(|_| io::ErrorKind::InvalidInput)?;
            self.stamp.begin(role, &name);
        }
        let Some(file) = &mut self.open else { return Ok(TextFollows::Changed) };
        let piece = block.fill(|room| read_full(file, room))?;
        self.left = self.left.checked_sub(piece.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        self.stamp.add(piece);
        if !block.is_last() {
            return Ok(TextFollows::More);
        }
        self.open = None;
        Ok(match self.files.is_empty() {
            false => TextFollows::More,
            true if self.stamp.0.finish() == stamp => TextFollows::Nothing,
            true => TextFollows::Changed,
        })
    }
}

/// Reads until there is no more, or no more room.
fn read_full(file: &mut File, room: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < room.len() {
        match file.read(&mut room[read..]) {
            Ok(0) => break,
            Ok(bytes) => read += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::limits::SCRIPT_PIECE_BYTES;
    use crate::live::app::SourceFile;
    use crate::store::test_root::Root;

    const HOST: HostIndex = HostIndex(0);
    const SCRIPT: InstanceId = InstanceId(7);

    fn source(main: &str, library: &str) -> Source {
        let file = |name: &str, text: &str| SourceFile { name: name.to_owned(), text: text.to_owned() };
        Source { secure: None, main: file("main.asc", main), others: vec![file("lib.asc", library)] }
    }

    fn files(root: &Root, source: &Source) -> Vec<TextFile> {
        let file = |(role, file): (FileRole, &SourceFile)| {
            root.write(&file.name, &file.text);
            (role, file.name.clone(), root.0.join(&file.name))
        };
        source.files().map(file).collect()
    }

    #[test]
    fn however_a_text_is_cut_its_stamp_is_the_same_and_that_of_no_other() {
        let root = Root::new("texts");
        for length in
            [0, 1, 7, SCRIPT_PIECE_BYTES - 1, SCRIPT_PIECE_BYTES, SCRIPT_PIECE_BYTES + 1, 3 * SCRIPT_PIECE_BYTES]
        {
            let source = source(&"x".repeat(length), &"y".repeat(length + 1));
            let stamp = script_stamp(&source);
            let (mut texts, mut block) = (ScriptTexts::default(), TextBlock::new());
            let mut read = String::new();
            while texts.next(HOST, SCRIPT, stamp, || files(&root, &source), &mut block) == TextFollows::More {
                read.push_str(std::str::from_utf8(block.piece()).unwrap());
            }
            read.push_str(std::str::from_utf8(block.piece()).unwrap());
            assert_eq!(read, source.main.text + &source.others[0].text, "{length}");
        }
        let stamps = [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", "")].map(|(a, b)| script_stamp(&source(a, b)));
        assert!((1..4).all(|at| !stamps[..at].contains(&stamps[at])), "{stamps:?}");
    }

    #[test]
    fn what_was_changed_since_it_was_looked_at_or_while_it_is_read_is_no_text() {
        let root = Root::new("texts-changed");
        let source = source(&"x".repeat(2 * SCRIPT_PIECE_BYTES), "y");
        let stamp = script_stamp(&source);
        let (mut texts, mut block) = (ScriptTexts::default(), TextBlock::new());
        let all = || files(&root, &source);
        let mut rest = |texts: &mut ScriptTexts, script| loop {
            match texts.next(HOST, script, stamp, all, &mut block) {
                TextFollows::More => {}
                end => return end,
            }
        };
        assert_eq!(rest(&mut texts, SCRIPT), TextFollows::Nothing);
        // Another instance begins anew, and one that was read in part is forgotten.
        let mut other = TextBlock::new();
        assert_eq!(texts.next(HOST, SCRIPT, stamp, all, &mut other), TextFollows::More);
        assert_eq!(rest(&mut texts, InstanceId(8)), TextFollows::Nothing);
        assert_eq!(texts.next(HOST, SCRIPT, stamp, all, &mut other), TextFollows::More);
        root.write("lib.asc", "z");
        assert_eq!(rest(&mut texts, SCRIPT), TextFollows::Changed);
        assert_eq!(texts.next(HOST, SCRIPT, stamp, all, &mut other), TextFollows::More);
        fs::remove_file(root.0.join("lib.asc")).unwrap();
        assert_eq!(rest(&mut texts, SCRIPT), TextFollows::Changed);
        assert_eq!(texts.next(HOST, SCRIPT, stamp, Vec::new, &mut other), TextFollows::Changed, "there is none");
    }
}
