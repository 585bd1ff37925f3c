//! The lane of what clients wait for: applications by name, and the text of their scripts. Nothing here waits or computes for long.

use std::thread;
use std::time::Instant;

use crate::apps::AppName;
use crate::live::app::AppDefinition;
use crate::live::jobs::{Done, Job, Lookup};

use super::apps_directory::AppsDirectory;
use super::script_texts::ScriptTexts;
use super::settle::{PATIENCE, PAUSE};

/// Does the jobs of [`DiskLane::LookUps`](crate::live::jobs::DiskLane::LookUps).
pub struct LookUps {
    apps: AppsDirectory,
    texts: ScriptTexts,
}

impl LookUps {
    pub(super) fn new(apps: AppsDirectory) -> LookUps {
        LookUps { apps, texts: ScriptTexts::default() }
    }

    /// What is said of each of `names` that is right, for the start: what is being written is waited for, though for no
    /// longer than a second, and read when a client connects. What is wrong with the others is in the log before a client
    /// has to find out.
    pub fn definitions(&mut self, names: &[AppName]) -> Vec<AppDefinition> {
        let begin = Instant::now();
        let mut found: Vec<Lookup> = names.iter().map(|_| Lookup::Changing).collect();
        while found.contains(&Lookup::Changing) && begin.elapsed() < PATIENCE {
            for (name, lookup) in names.iter().zip(&mut found).filter(|(_, lookup)| **lookup == Lookup::Changing) {
                *lookup = self.apps.lookup(name, None);
            }
            if found.contains(&Lookup::Changing) {
                thread::sleep(PAUSE);
            }
        }
        let right = |lookup| match lookup {
            Lookup::Found(definition) => Some(*definition),
            _ => None,
        };
        found.into_iter().filter_map(right).collect()
    }

    /// Does a job of this lane.
    pub fn work(&mut self, job: Job) -> Done {
        match job {
            Job::App { name, stamp } => Done::App { lookup: self.apps.lookup(&name, stamp), name },
            Job::Text { host, script, name, stamp, mut block } => {
                let next = self.texts.next(host, script, stamp, || self.apps.script_files(&name), &mut block);
                Done::Text { host, script, block: Some(block), next }
            }
            job => unreachable!("a job of another lane: {job:?}"),
        }
    }
}
