//! `[[stream]]` of an `app.toml`: streams that the server makes of several inputs.

use std::ops::RangeInclusive;

use toml::de::{DeTable, DeValue};

use crate::config::keys::Wrong;
use crate::limits::{PATH_BYTES, PROGRAMMES};
use crate::live::programme_settings::{MAIN_INPUT, ProgrammeSettings};
use crate::live::relay_settings::PullSettings;
use crate::name::StreamName;

use super::tables::{because, known, number, tables};

const SILENT_MS: RangeInclusive<u64> = 500..=60_000;
const STEADY_MS: RangeInclusive<u64> = 0..=600_000;
const SLATE_S: RangeInclusive<u32> = 0..=86_400;
/// What holds where nothing else is said.
const SILENT_DEFAULT_MS: u64 = 2000;
const STEADY_DEFAULT_MS: u64 = 5000;
const SLATE_DEFAULT_S: u32 = 3600;

pub(super) fn allowed() -> String {
    format!("up to {PROGRAMMES} tables [[stream]] with name, backup, slate, silent_ms, steady_ms and slate_s")
}

/// Reads all `[[stream]]`.
pub(super) fn read(value: &DeValue<'_>) -> Result<Vec<ProgrammeSettings>, Wrong> {
    let all = tables(value, PROGRAMMES)?.map(programme).collect::<Result<Vec<_>, _>>()?;
    for (at, one) in all.iter().enumerate() {
        let name = &one.name;
        if all[..at].iter().any(|before| before.name == *name) {
            return Err(because(format!("two [[stream]] have the name {name:?}")));
        }
        if let Some(of) = all.iter().find(|of| of.has_main(name)) {
            return Err(because(format!(
                "{name:?} is what the main input of {:?} is called: take another name",
                of.name
            )));
        }
        if is_in_circle(&all, name) {
            return Err(because(format!("{name:?} would be its own backup: backups must not lead in a circle")));
        }
    }
    Ok(all)
}

/// Nothing is fetched to the main input of one but by the name of this one, wherever in the file either stands.
pub(super) fn has_own_inputs(programmes: &[ProgrammeSettings], pulls: &[PullSettings]) -> Result<(), Wrong> {
    let taken = |pull: &PullSettings| programmes.iter().find(|one| one.has_main(&pull.name));
    match pulls.iter().find_map(taken).map(|one| &one.name) {
        Some(name) => Err(because(format!(
            "a [[pull]] has the name \"{name}{MAIN_INPUT}\", which is what the main input of the [[stream]] {name:?} is \
             called: with the name {name:?} it goes there"
        ))),
        None => Ok(()),
    }
}

/// Whether the stream's backup is made of it, over however many others.
fn is_in_circle(all: &[ProgrammeSettings], name: &str) -> bool {
    let mut backup = name;
    for _ in all {
        let of = all.iter().find(|one| one.name == backup || one.has_main(backup));
        match of.and_then(|of| of.backup.as_deref()) {
            Some(next) if next == name || next.strip_suffix(MAIN_INPUT) == Some(name) => return true,
            Some(next) => backup = next,
            None => return false,
        }
    }
    false
}

fn programme(table: &DeTable<'_>) -> Result<ProgrammeSettings, Wrong> {
    known(table, &["name", "backup", "slate", "silent_ms", "steady_ms", "slate_s"])?;
    let stream = |key: &str| {
        let Some(value) = table.get(key) else { return Ok(None) };
        let said = value.get_ref().as_str().unwrap_or_default();
        let parsed = StreamName::parse(said.as_bytes());
        // A prefix or a query would be left out.
        let name = parsed.ok().filter(|parsed| parsed.name == said).map(|parsed| parsed.name.as_str().to_owned());
        name.map(Some)
            .ok_or_else(|| because(format!("{key} must be the name of a stream of this application, like \"cam1\"")))
    };
    let name =
        stream("name")?.ok_or_else(|| because("name is missing: what viewers watch, like \"cam1\"".to_owned()))?;
    if name.len() + MAIN_INPUT.len() > PATH_BYTES {
        let most = PATH_BYTES - MAIN_INPUT.len();
        return Err(because(format!("name must not be longer than {most} bytes (PATH_BYTES, less {MAIN_INPUT})")));
    }
    let backup = stream("backup")?;
    let slate = match table.get("slate") {
        None => None,
        Some(value) => {
            let said = value.get_ref().as_str().unwrap_or_default();
            // What lies outside of the application's directories has no such name.
            if StreamName::parse(said.as_bytes()).is_err() {
                let words = "slate must be a recorded stream of this application, like \"back-soon.mp4\": without .. and \
                             without a slash in front";
                return Err(because(words.to_owned()));
            }
            Some(said.to_owned())
        }
    };
    if backup.is_none() && slate.is_none() {
        return Err(because(format!("{name:?} has neither backup nor slate: say one, or leave it out")));
    }
    Ok(ProgrammeSettings {
        silent_ms: number(table, "silent_ms", &SILENT_MS, SILENT_DEFAULT_MS, "milliseconds")?,
        steady_ms: number(table, "steady_ms", &STEADY_MS, STEADY_DEFAULT_MS, "milliseconds")?,
        slate_s: number(table, "slate_s", &SLATE_S, SLATE_DEFAULT_S, "seconds")?,
        name,
        backup,
        slate,
    })
}

#[cfg(test)]
mod tests {
    use crate::live::app::{AppDefinition, AppKind, ScriptLimits};

    use super::*;

    fn read_text(text: &str) -> Result<Vec<ProgrammeSettings>, Wrong> {
        let table = DeTable::parse(text).unwrap();
        read(table.get_ref().get("stream").unwrap().get_ref())
    }

    #[test]
    fn streams_are_read_with_what_holds_where_nothing_is_said() {
        let read =
            read_text("[[stream]]\nname = 'a'\nbackup = 'b'\n[[stream]]\nname = 'b'\nslate = 'mp4:x'\nsteady_ms = 0")
                .unwrap();
        let of = |one: &ProgrammeSettings| (one.silent_ms, one.steady_ms, one.slate_s);
        assert_eq!((of(&read[0]), of(&read[1])), ((2000, 5000, 3600), (2000, 0, 3600)));
        assert_eq!((read[0].backup.as_deref(), read[1].slate.as_deref()), (Some("b"), Some("mp4:x")));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = "x".repeat(PATH_BYTES);
        let long = format!("[[stream]]\nname = '{long}'\nbackup = 'b'");
        for (text, words) in [
            ("[[stream]]\nbackup = 'b'", "name is missing"),
            ("[[stream]]\nname = 7\nbackup = 'b'", "name must be the name"),
            ("[[stream]]\nname = 'a?b'\nbackup = 'b'", "name must be the name"),
            ("[[stream]]\nname = 'a'\nbackup = '../b'", "backup must be the name"),
            ("[[stream]]\nname = 'a'\nbackup = 'b:c'", "backup must be the name"),
            ("[[stream]]\nname = 'a'", "neither backup nor slate"),
            ("[[stream]]\nname = 'a'\nbackup = 'a'", "its own backup"),
            ("[[stream]]\nname = 'a'\nbackup = 'a.main'", "its own backup"),
            (
                "[[stream]]\nname = 'a'\nbackup = 'b'\n[[stream]]\nname = 'b'\nbackup = 'a'",
                "\"a\" would be its own backup",
            ),
            (
                "[[stream]]\nname = 'a'\nbackup = 'b'\n[[stream]]\nname = 'a.main'\nbackup = 'b'",
                "the main input of \"a\"",
            ),
            ("[[stream]]\nname = 'a'\nbackup = 'b'\n[[stream]]\nname = 'a'\nbackup = 'c'", "two [[stream]]"),
            ("[[stream]]\nname = 'a'\nslate = '../x.mp4'", "slate must be a recorded stream"),
            ("[[stream]]\nname = 'a'\nslate = '/x.mp4'", "slate must be a recorded stream"),
            ("[[stream]]\nname = 'a'\nbackup = 'b'\nsilent_ms = 10", "silent_ms must be 500..=60000"),
            ("[[stream]]\nname = 'a'\nbackup = 'b'\nslate_s = -1", "slate_s must be 0..=86400"),
            ("[[stream]]\nname = 'a'\nbackups = 'b'", "unknown key \"backups\""),
            (&long, "not be longer than 187 bytes"),
        ] {
            let Err(Wrong::Because(problem)) = read_text(text) else { panic!("{text}") };
            assert!(problem.contains(words), "{text}: {problem}");
        }
        assert_eq!(read_text("stream = 'x'"), Err(Wrong::NotAllowed));
    }

    #[test]
    fn nothing_is_fetched_by_the_name_of_a_main_input() {
        let stream = "[[stream]]\nname = 'cam'\nbackup = 'b'\n";
        let pull = |name: &str| format!("[[pull]]\nname = '{name}'\nurl = 'rtmp://far/live/x'\n");
        let parsed = |text: &str| {
            let stock = AppDefinition::stock(heapless::String::try_from("live").unwrap(), AppKind::Live);
            crate::apps::parse("app.toml", text, stock, ScriptLimits::default())
                .map(|_| ())
                .map_err(|errors| errors.join(" "))
        };
        for (text, line) in [
            (format!("{stream}{}", pull("cam.main")), "app.toml:4: pull = …: "),
            (format!("{}{stream}", pull("cam.main")), "app.toml:4: stream = "),
        ] {
            let error = parsed(&text).unwrap_err();
            assert!(error.starts_with(line) && error.contains("with the name \"cam\" it goes there"), "{error}");
        }
        for name in ["cam", "b", "main", "x.main"] {
            assert_eq!(parsed(&format!("{stream}{}", pull(name))), Ok(()), "{name}");
        }
    }
}
