//! `rill sign`: links by which a stream is played or published until they expire.

use crate::live::links::{Deed, LinkEnd, linked};
use crate::name::{AppPath, StreamName, StreamPath};
use crate::net::{boot, logging};
use crate::store::{self, Options};

/// The longest time that a link is good for, in minutes: a year.
const MOST_MINUTES: u64 = 366 * 24 * 60;
/// What the URLs of a stream over HTTP end in.
const ENDINGS: [&str; 5] = ["/hls/index.m3u8", ".m3u8", ".flv", ".key.mp4", ".mp4"];

/// A link that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignCommand {
    deed: Deed,
    url: String,
    minutes: u64,
}

impl SignCommand {
    /// What stands behind `rill sign`.
    pub(super) const USAGE: &str = "play or publish, a URL, and --for with a time like 90m, 2h or 7d";

    /// From the words behind `rill sign`, and the value of `--for`.
    pub(super) fn parse(words: &[&str], time: Option<&str>) -> Option<SignCommand> {
        let (deed, url) = match *words {
            ["play", url] => (Deed::Play, url),
            ["publish", url] => (Deed::Publish, url),
            _ => return None,
        };
        let minutes = minutes(time?)?;
        Some(SignCommand { deed, url: url.to_owned(), minutes })
    }
}

fn minutes(time: &str) -> Option<u64> {
    let unit = time.chars().next_back()?;
    let each = match unit {
        'm' => 1,
        'h' => 60,
        'd' => 24 * 60,
        _ => return None,
    };
    let number: u64 = time.strip_suffix(unit)?.parse().ok()?;
    number.checked_mul(each).filter(|minutes| (1..=MOST_MINUTES).contains(minutes))
}

/// Makes the link: what is printed, and what is said beside it.
///
/// # Errors
///
/// What is wrong, a line each.
pub(super) fn run(options: &Options, command: &SignCommand) -> Result<(String, Option<&'static str>), Vec<String>> {
    let SignCommand { deed, url, minutes } = command;
    let config = store::configuration(options)?;
    let key = config.settings.sign_key.as_ref().ok_or_else(|| {
        vec!["there is no key to sign with: set sign.key in rill.toml, here and for the server (-c, --root)".to_owned()]
    })?;
    let (app, path) = stream_of(url).ok_or_else(|| {
        vec![format!("{url}: is no URL of a stream, like rtmp://HOST/live/NAME or http://HOST:8080/live/NAME.m3u8")]
    })?;
    let (end, remark) = match logging::clock_ms() {
        Some(now_ms) => (LinkEnd::At(now_ms / 1000 + minutes * 60), None),
        None => {
            let told = "this machine's clock is not set, and the system does not tell since when it runs".to_owned();
            let (now_ms, start) = boot::since_start().ok_or_else(|| vec![told])?;
            let remark = "this machine's clock is not set: the link counts minutes since its start, is good for a server on this \
                          machine alone, and not after its next start";
            (LinkEnd::AfterStart { minutes: now_ms / 60_000 + minutes + 1, start }, Some(remark))
        }
    };
    Ok((linked(url, key, *deed, [&app, &path], end), remark))
}

/// The application and the path of the stream that a URL means, over any protocol.
fn stream_of(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let (_, path) = rest.split('?').next()?.split_once('/')?;
    let (app, name) = match scheme {
        "rtmp" | "rtmps" => path.split_once('/')?,
        "http" | "https" | "ws" | "wss" => {
            let within = |folder: &str| path.strip_prefix(folder);
            // Below these the file's name is none of a stream.
            let file = within("recordings/").and_then(|path| path.rsplit_once('/'));
            let film = within("vod-files/").and_then(|path| path.rsplit_once('.'));
            let page = within("watch/").or_else(|| within("embed/"));
            let ending = || ENDINGS.into_iter().find_map(|ending| path.strip_suffix(ending));
            file.or(film).map(|(path, _)| path).or(page).or_else(ending)?.split_once('/')?
        }
        _ => return None,
    };
    let app = AppPath::parse(app, "").ok().filter(|parsed| parsed.app == app)?.app;
    let name = StreamName::parse(name.as_bytes()).ok()?.name;
    // The default instance is no part of a path, whoever names it.
    let name = name.strip_prefix("_definst_/").unwrap_or(&name);
    let path = StreamPath::new("", name, false).ok()?;
    Some((app.as_str().to_owned(), path.as_str().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_means_the_stream_that_the_server_takes_it_for() {
        let of = |url: &str| stream_of(url).map(|(app, path)| format!("{app} {path}"));
        for (url, meant) in [
            ("rtmp://h/live/cam", "live cam"),
            ("rtmps://h:1936/live/hall/cam?x=1", "live hall/cam"),
            ("rtmp://h/live/_definst_/cam", "live cam"),
            ("rtmp://h/vod/mp4:film.mp4", "vod film.mp4"),
            ("http://h:8080/live/hall/cam.m3u8", "live hall/cam"),
            ("http://h/live/cam/hls/index.m3u8", "live cam"),
            ("https://h/live/cam.key.mp4", "live cam"),
            ("wss://h/live/cam.mp4", "live cam"),
            ("http://h/live/cam.flv?audio=0", "live cam"),
            ("http://h/watch/live/cam", "live cam"),
            ("http://h/recordings/live/hall/cam/1-2.mp4", "live hall/cam"),
            ("http://h/vod-files/vod/films/a.mp4", "vod films/a"),
        ] {
            assert_eq!(of(url).as_deref(), Some(meant), "{url}");
        }
        for none in
            ["", "live/cam", "rtmp://h/live", "rtmp://h", "http://h/live/cam", "ftp://h/live/cam", "rtmp://h/live/../x"]
        {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn times_are_whole_minutes_hours_or_days_of_at_most_a_year() {
        for (time, expected) in
            [("90m", Some(90)), ("2h", Some(120)), ("7d", Some(7 * 1440)), ("366d", Some(MOST_MINUTES))]
        {
            assert_eq!(minutes(time), expected);
        }
        for none in ["", "m", "0m", "-1h", "2", "2s", "1.5h", "367d", "99999999999999999999d", "h2", "2 h"] {
            assert_eq!(minutes(none), None, "{none}");
        }
        assert_eq!(SignCommand::parse(&["play", "rtmp://h/a/b"], None), None);
        assert_eq!(SignCommand::parse(&["record", "rtmp://h/a/b"], Some("2h")), None);
    }
}
