//! The texts of scripts on the simulated disk.

use std::collections::BTreeMap;
use std::sync::Mutex;

use rill::handles::HostIndex;
use rill::live::app::{ScriptDefinition, ScriptLimits};
use rill::live::jobs::{Done, Job};
use rill::live::script_text::TextFollows;
use rill::wire::script_link::{FileRole, InstanceId};

/// Every text that was made a script, by its stamp, which is its number.
static TEXTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A script of one file.
pub fn script(text: &str) -> ScriptDefinition {
    let mut texts = TEXTS.lock().unwrap();
    let known = texts.iter().position(|known| known == text);
    let at = known.unwrap_or_else(|| {
        texts.push(text.to_owned());
        texts.len() - 1
    });
    ScriptDefinition { main: "main.asc".to_owned(), stamp: at as u64, limits: ScriptLimits::default() }
}

/// What is being read, by the process.
#[derive(Default)]
pub struct TextReadings(BTreeMap<u16, (InstanceId, usize)>);

impl TextReadings {
    /// Does a [`Job::Text`]; `is_there`: the script is still what is on the disk.
    pub fn read(&mut self, job: Job, is_there: impl FnOnce(&str, u64) -> bool) -> Done {
        let Job::Text { host: HostIndex(host), script, name, stamp, mut block } = job else { panic!("{job:?}") };
        let (of, at) = self.0.entry(host).or_insert((script, 0));
        if *of != script {
            (*of, *at) = (script, 0);
        }
        let texts = TEXTS.lock().unwrap();
        let rest = &texts[stamp as usize].as_bytes()[*at..];
        if *at == 0 {
            block.begin(FileRole::Main, "main.asc").unwrap();
        }
        let filled = block.fill(|room| {
            let length = room.len().min(rest.len());
            room[..length].copy_from_slice(&rest[..length]);
            Ok::<_, ()>(length)
        });
        *at += filled.unwrap().len();
        let next = match block.is_last() {
            _ if !is_there(&name, stamp) => TextFollows::Changed,
            true => TextFollows::Nothing,
            false => TextFollows::More,
        };
        Done::Text { host: HostIndex(host), script, block: Some(block), next }
    }
}
