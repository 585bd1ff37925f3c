//! The program that is run for each complete file: one at a time, without a shell, its file as the last argument.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use log::{info, warn};

/// Files that wait for their program. The oldest is passed over when there is one more.
const WAITING: usize = 64;

#[derive(Default)]
pub(super) struct Commands {
    running: Option<(PathBuf, Child)>,
    waiting: VecDeque<(Vec<String>, PathBuf)>,
}

impl Commands {
    /// Runs it for this file when others have come to an end.
    pub(super) fn run(&mut self, command: Vec<String>, file: &Path) {
        if self.waiting.len() == WAITING
            && let Some((_, passed)) = self.waiting.pop_front()
        {
            warn!("rill record command passed over file={:?}: too many wait (record.on_complete)", passed.display());
        }
        self.waiting.push_back((command, file.to_owned()));
        self.look();
    }

    /// Whether the one that runs has come to an end; then the next one begins.
    pub(super) fn look(&mut self) {
        if let Some((file, child)) = &mut self.running {
            match child.try_wait() {
                Ok(None) => return,
                Ok(Some(status)) if status.success() => info!("rill record command done file={:?}", file.display()),
                Ok(Some(status)) => warn!("rill record command failed file={:?} {status}", file.display()),
                Err(error) => warn!("rill record command file={:?}: {error}", file.display()),
            }
            self.running = None;
        }
        while let Some((command, file)) = self.waiting.pop_front() {
            let Some((program, arguments)) = command.split_first() else { continue };
            let nothing = Stdio::null;
            let started = Command::new(program)
                .args(arguments)
                .arg(&file)
                .stdin(nothing())
                .stdout(nothing())
                .stderr(nothing())
                .spawn();
            match started {
                Ok(child) => {
                    self.running = Some((file, child));
                    return;
                }
                Err(error) => warn!("rill record command program={program:?} file={:?}: {error}", file.display()),
            }
        }
    }

    /// Something runs or waits.
    pub(super) fn is_busy(&self) -> bool {
        self.running.is_some() || !self.waiting.is_empty()
    }
}
