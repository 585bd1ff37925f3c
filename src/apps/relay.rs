//! `[[push]]`, `[[pull]]` and `[edge]` of an `app.toml`: streams that are sent to other servers, and that are fetched from them.

use std::ops::RangeInclusive;

use toml::de::{DeTable, DeValue};

use crate::config::keys::Wrong;
use crate::limits::{EDGE_ORIGINS, RELAYS_PER_APP};
use crate::live::relay_settings::{FarUrl, LINGER_DEFAULT_S, PullSettings, PullWhen, PushSettings, RelaySettings};
use crate::name::StreamName;

use super::tables::{because, known, number, tables};

pub(super) const LINGER_S: RangeInclusive<u32> = 0..=86_400;
/// Names of one push.
const NAMES: usize = 64;

pub(super) fn allowed_pushes() -> String {
    format!("up to {RELAYS_PER_APP} tables [[push]] with url, names and key_from")
}

pub(super) fn allowed_pulls() -> String {
    format!("up to {RELAYS_PER_APP} tables [[pull]] with name, url, when and linger_s")
}

pub(super) fn allowed_origins() -> String {
    format!("a list of up to {EDGE_ORIGINS} URLs like \"rtmp://10.0.0.1/live\"")
}

/// Reads all `[[push]]`.
pub(super) fn read_pushes(relays: &mut RelaySettings, value: &DeValue<'_>) -> Result<(), Wrong> {
    relays.pushes = tables(value, RELAYS_PER_APP)?.map(push).collect::<Result<_, _>>()?;
    Ok(())
}

/// Reads all `[[pull]]`.
pub(super) fn read_pulls(relays: &mut RelaySettings, value: &DeValue<'_>) -> Result<(), Wrong> {
    relays.pulls = tables(value, RELAYS_PER_APP)?.map(pull).collect::<Result<Vec<_>, _>>()?;
    let twice = |(at, pull): (usize, &PullSettings)| relays.pulls[..at].iter().any(|before| before.name == pull.name);
    if let Some((_, pull)) = relays.pulls.iter().enumerate().find(|&found| twice(found)) {
        return Err(because(format!("two [[pull]] have the name {:?}", pull.name)));
    }
    Ok(())
}

/// Reads the origins of an `[edge]`.
pub(super) fn read_origins(relays: &mut RelaySettings, value: &DeValue<'_>) -> Result<(), Wrong> {
    let list = value.as_array().filter(|list| (1..=EDGE_ORIGINS).contains(&list.len())).ok_or(Wrong::NotAllowed)?;
    let origin = |(n, text): (usize, &str)| match FarUrl::parse(text) {
        Err(error) => Err(because(format!("origin {} {error}", n + 1))),
        Ok(url) if !url.parts().name.is_empty() => Err(because(format!(
            "origin {} must end behind the application, with a slash: streams have their own names there",
            n + 1
        ))),
        Ok(url) => Ok(url),
    };
    let texts: Option<Vec<&str>> = list.iter().map(|one| one.get_ref().as_str()).collect();
    let texts = texts.ok_or(Wrong::NotAllowed)?;
    relays.edge.origins = texts.into_iter().enumerate().map(origin).collect::<Result<_, _>>()?;
    Ok(())
}

fn push(table: &DeTable<'_>) -> Result<PushSettings, Wrong> {
    known(table, &["url", "names", "key_from"])?;
    let names = match table.get("names") {
        None => vec!["*".to_owned()],
        Some(names) => {
            let list = names.get_ref().as_array().filter(|list| !list.is_empty() && list.len() <= NAMES);
            let names = list.and_then(|list| {
                let names = list.iter().map(|name| name.get_ref().as_str().filter(|name| !name.is_empty()));
                names.map(|name| name.map(str::to_owned)).collect::<Option<Vec<_>>>()
            });
            names.ok_or_else(|| because("names must be a list like [\"cam1\", \"hall/*\"]".to_owned()))?
        }
    };
    let key_from = match table.get("key_from").map(|file| file.get_ref().as_str()) {
        None => None,
        Some(Some(file)) if !file.is_empty() && !file.contains('/') && !file.starts_with('.') => Some(file.to_owned()),
        Some(_) => {
            return Err(because("key_from must be the name of a file in the application's directory".to_owned()));
        }
    };
    let url = url(table)?;
    if key_from.is_some() && !url.parts().name.is_empty() {
        return Err(because("with key_from the url must end behind the application, with a slash".to_owned()));
    }
    Ok(PushSettings { url, names, key_from, key: String::new() })
}

fn pull(table: &DeTable<'_>) -> Result<PullSettings, Wrong> {
    known(table, &["name", "url", "when", "linger_s"])?;
    let text = |key: &str| table.get(key).map(|value| value.get_ref().as_str());
    let name = text("name").flatten().and_then(|name| StreamName::parse(name.as_bytes()).ok());
    let name = name.ok_or_else(|| because("name must be what the stream is called here, like \"cam1\"".to_owned()))?;
    let when = match text("when") {
        None => PullWhen::Demand,
        Some(when) => {
            let named = PullWhen::ALL.iter().find(|(known, _)| when == Some(*known));
            named.ok_or_else(|| because("when must be \"always\" or \"demand\"".to_owned()))?.1
        }
    };
    let linger_s = number(table, "linger_s", &LINGER_S, LINGER_DEFAULT_S, "seconds")?;
    Ok(PullSettings { url: url(table)?, name: name.name.as_str().to_owned(), when, linger_s })
}

fn url(table: &DeTable<'_>) -> Result<FarUrl, Wrong> {
    let text = table.get("url").and_then(|url| url.get_ref().as_str());
    let text = text.ok_or_else(|| because("url is missing: rtmp://host/application/name or rtmps://...".to_owned()))?;
    FarUrl::parse(text).map_err(|error| because(format!("url {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RelaySettings, Wrong> {
        let table = DeTable::parse(text).unwrap();
        let mut relays = RelaySettings::default();
        for (key, value) in table.get_ref() {
            match key.get_ref().as_ref() {
                "push" => read_pushes(&mut relays, value.get_ref())?,
                "origins" => read_origins(&mut relays, value.get_ref())?,
                _ => read_pulls(&mut relays, value.get_ref())?,
            }
        }
        Ok(relays)
    }

    #[test]
    fn pushes_and_pulls_are_read_with_what_holds_where_nothing_is_said() {
        let text = "[[push]]\nurl = 'rtmp://a/live2/'\nkey_from = 'a.key'\n[[push]]\nurl = 'rtmp://b/x/y'\n\
                    names = ['hall/*']\n[[pull]]\nname = 'cam'\nurl = 'rtmp://c/live/cam'";
        let relays = read(text).unwrap();
        assert_eq!(
            (relays.pushes[0].names.as_slice(), relays.pushes[0].includes("x", false)),
            (&["*".to_owned()][..], true)
        );
        assert_eq!(
            (relays.pushes[1].includes("hall/left", false), relays.pushes[1].includes("cam", false)),
            (true, false)
        );
        assert_eq!((relays.pulls[0].when, relays.pulls[0].linger_s), (PullWhen::Demand, 10));
    }

    #[test]
    fn origins_of_an_edge_end_behind_the_application() {
        let text = "origins = ['rtmp://10.0.0.1/live', 'rtmp://me:pw@b:1936/live/hall/']";
        let relays = read(text).unwrap();
        let edge = relays.edge().unwrap();
        assert_eq!((edge.linger_s, edge.forward_publish), (10, false));
        let apps: Vec<&str> = edge.origins.iter().map(|origin| origin.parts().app).collect();
        assert_eq!(apps, ["live", "live/hall"]);
        assert_eq!(read("").unwrap().edge(), None, "without origins it is none");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            ("[[push]]\nnames = ['x']", "url is missing"),
            ("[[push]]\nurl = 'rtmp://me@a/b/c'", "a user and a password"),
            ("[[push]]\nurl = 'rtmp://a/b/c'\nname = 'x'", "unknown key \"name\""),
            ("[[push]]\nurl = 'rtmp://a/b/c'\nkey_from = 'k'", "must end behind the application"),
            ("[[push]]\nurl = 'rtmp://a/b/'\nkey_from = '../k'", "name of a file"),
            ("[[push]]\nurl = 'rtmp://a/b/'\nnames = []", "names must be"),
            ("[[pull]]\nurl = 'rtmp://a/b/c'", "name must be"),
            ("[[pull]]\nname = 'x'\nurl = 'rtmp://a/b/c'\nwhen = 'never'", "when must be"),
            ("[[pull]]\nname = 'x'\nurl = 'rtmp://a/b/c'\nlinger_s = -1", "linger_s must be"),
            ("origins = ['rtmp://a/b', 'http://b/x']", "origin 2 must begin with rtmp://"),
            ("origins = ['rtmp://a/b/cam']", "origin 1 must end behind the application"),
            ("origins = ['rtmp://me@a/b']", "origin 1 has a user and a password like"),
            (
                "[[pull]]\nname = 'x'\nurl = 'rtmp://a/b/c'\n[[pull]]\nname = 'x'\nurl = 'rtmp://a/b/c'",
                "two [[pull]] have the name \"x\"",
            ),
        ] {
            let Err(Wrong::Because(problem)) = read(text) else { panic!("{text}") };
            assert!(problem.contains(words), "{text}: {problem}");
        }
        for text in ["push = 'x'", "origins = 'rtmp://a/b'", "origins = []", "origins = [1]"] {
            assert_eq!(read(text), Err(Wrong::NotAllowed), "{text}");
        }
    }
}
