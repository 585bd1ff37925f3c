//! The keys of `[record]`: those that the configuration and applications' own files share, and where recordings lie.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use toml::de::DeValue;

use crate::board::{format_bytes, integer, parse_bytes};
use crate::live::record_settings::{RecordContainer, RecordOn, RecordSettings};

use super::keys::Wrong;

/// Names in a list of what is recorded, and words of a command.
const LIST: usize = 64;

pub(crate) const SEGMENT_S: RangeInclusive<u32> = 10..=86_400;
pub(crate) const SEGMENT_BYTES: RangeInclusive<u64> = (16 << 20)..=(3993 << 20);
pub(crate) const JOIN_MS: RangeInclusive<u64> = 0..=600_000;
pub(crate) const SYNC_MS: RangeInclusive<u64> = 250..=60_000;
/// Shares of a file system in percent that can be kept free.
const PERCENT: RangeInclusive<u64> = 0..=90;
/// Where nothing else is said, so much is kept free at least, in bytes.
const LEAST_FREE_BYTES: u64 = 256 << 20;

/// Where recordings lie, and how much of the medium they may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPlaces {
    /// In which the applications' directories lie, in place of their own `recordings/`.
    pub directory: Option<PathBuf>,
    /// How much of the file system stays free.
    pub keep_free: KeepFree,
    /// Recordings may take so many bytes; 0 is no limit.
    pub keep_total_bytes: u64,
    /// Recordings may be so many days old; 0 is no limit.
    pub keep_days: u32,
    /// What happens when they would take more.
    pub when_full: WhenFull,
}

impl Default for RecordPlaces {
    fn default() -> RecordPlaces {
        RecordPlaces {
            directory: None,
            keep_free: KeepFree::Percent(5),
            keep_total_bytes: 0,
            keep_days: 0,
            when_full: WhenFull::Delete,
        }
    }
}

/// How much of a file system stays free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepFree {
    /// This share of it, and 256 MiB at least.
    Percent(u32),
    /// So many bytes.
    Bytes(u64),
}

impl KeepFree {
    /// That of a file system of so many bytes.
    pub fn bytes(self, total: u64) -> u64 {
        match self {
            // A medium of less than that is a test's, or no place for recordings.
            KeepFree::Percent(percent) => (total / 100 * u64::from(percent)).max(LEAST_FREE_BYTES.min(total / 4)),
            KeepFree::Bytes(bytes) => bytes,
        }
    }

    pub(super) fn read(value: &DeValue<'_>) -> Result<KeepFree, Wrong> {
        let percent = value.as_str().and_then(|text| text.trim().strip_suffix('%'));
        if let Some(percent) = percent {
            let percent = percent.trim().parse().ok().filter(|percent| PERCENT.contains(percent));
            return percent.map(|percent: u64| KeepFree::Percent(percent as u32)).ok_or(Wrong::NotAllowed);
        }
        let bytes = match value.as_str() {
            Some(text) => parse_bytes(text),
            None => integer(value).and_then(|bytes| u64::try_from(bytes).ok()),
        };
        bytes.map(KeepFree::Bytes).ok_or(Wrong::NotAllowed)
    }

    pub(super) fn show(self) -> String {
        match self {
            KeepFree::Percent(percent) => format!("{percent}%"),
            KeepFree::Bytes(bytes) => format_bytes(bytes),
        }
    }

    pub(super) fn allowed() -> String {
        format!("a share like \"5%\", {}% to {}%, or bytes", PERCENT.start(), PERCENT.end())
    }
}

/// What happens when recordings would take more than they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest goes that nobody asked for by its name.
    Delete,
    /// Nothing more is recorded.
    Stop,
}

impl WhenFull {
    /// Each, by its name in the configuration.
    pub const ALL: [(&'static str, WhenFull); 2] = [("delete", WhenFull::Delete), ("stop", WhenFull::Stop)];
}

/// Reads which streams are recorded.
pub(crate) fn read_on(settings: &mut RecordSettings, value: &DeValue<'_>) -> Result<(), Wrong> {
    settings.on = match value.as_bool() {
        Some(true) => RecordOn::All,
        Some(false) => RecordOn::None,
        None => RecordOn::Named(list(value)?),
    };
    Ok(())
}

/// As [`read_on`] reads it.
pub(crate) fn show_on(settings: &RecordSettings) -> String {
    match &settings.on {
        RecordOn::All => "true".to_owned(),
        RecordOn::None => "false".to_owned(),
        RecordOn::Named(names) => format!("{names:?}"),
    }
}

/// What [`read_on`] reads.
pub(crate) fn allowed_on() -> String {
    "true, false, or a list of names like [\"cam1\", \"hall/*\"]".to_owned()
}

/// Reads what files are made.
pub(crate) fn read_container(settings: &mut RecordSettings, value: &DeValue<'_>) -> Result<(), Wrong> {
    let named = |name: &str| RecordContainer::ALL.iter().find(|(known, _)| *known == name);
    settings.container = value.as_str().and_then(named).ok_or(Wrong::NotAllowed)?.1;
    Ok(())
}

/// As [`read_container`] reads it.
pub(crate) fn show_container(settings: &RecordSettings) -> String {
    RecordContainer::ALL[settings.container as usize].0.to_owned()
}

/// What [`read_container`] reads.
pub(crate) fn allowed_container() -> String {
    format!("one of {}", RecordContainer::ALL.map(|(name, _)| name).join(", "))
}

/// Reads the command that is run for a complete file.
pub(crate) fn read_command(settings: &mut RecordSettings, value: &DeValue<'_>) -> Result<(), Wrong> {
    let command = list(value)?;
    if command.first().is_some_and(|program| !program.starts_with('/')) {
        return Err(Wrong::Because("the program needs its whole path, like \"/usr/local/bin/done\"".to_owned()));
    }
    settings.on_complete = command;
    Ok(())
}

/// What [`read_command`] reads.
pub(crate) fn allowed_command() -> String {
    "a program and its arguments like [\"/usr/local/bin/done\", \"--keep\"]".to_owned()
}

fn list(value: &DeValue<'_>) -> Result<Vec<String>, Wrong> {
    let list = value.as_array().filter(|list| list.len() <= LIST).ok_or(Wrong::NotAllowed)?;
    let words = list.iter().map(|word| word.get_ref().as_str().filter(|word| !word.is_empty()).map(str::to_owned));
    words.collect::<Option<_>>().ok_or(Wrong::NotAllowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_less_than_256_mib_but_on_a_medium_that_is_small_itself() {
        for (keep, total, bytes) in [
            (KeepFree::Percent(5), 100 << 30, 5 * ((100 << 30) / 100)),
            (KeepFree::Percent(5), 2 << 30, 256 << 20),
            (KeepFree::Percent(0), 40 << 20, 10 << 20),
            (KeepFree::Bytes(7), 40 << 20, 7),
        ] {
            assert_eq!(keep.bytes(total), bytes, "{keep:?} of {total}");
        }
    }
}
