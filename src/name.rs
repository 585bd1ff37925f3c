//! Application and stream names, as encoders and players spell them (`rtmp://host/app/instance/stream?query`).

use heapless::String;

use crate::limits::{APP_NAME_BYTES, PATH_BYTES};

/// The instance of a client that names none.
pub const DEFAULT_INSTANCE: &str = "_definst_";

/// Why a name cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// There is none.
    Empty,
    /// It exceeds its limit in [`crate::limits`].
    TooLong,
    /// It has a character or a part that names must not have, or is not UTF-8.
    Illegal,
}

impl NameError {
    /// What to tell the client.
    pub const fn description(self) -> &'static str {
        match self {
            NameError::Empty => "The name is empty.",
            NameError::TooLong => "The name is too long.",
            NameError::Illegal => "The name has a character that names must not have.",
        }
    }
}

/// What a client connects to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppPath {
    /// First part of the path.
    pub app: String<APP_NAME_BYTES>,
    /// All that follows, or [`DEFAULT_INSTANCE`].
    pub instance: String<PATH_BYTES>,
}

impl AppPath {
    /// From the `app` and `tcUrl` of a connect command. `app` may carry a query, blanks and empty parts; when it is
    /// missing the path of `tcUrl` serves (cameras). A query may hold a secret: it is cut off.
    pub fn parse(app: &str, tc_url: &str) -> Result<AppPath, NameError> {
        let path = match trimmed(without_query(app)) {
            "" => {
                let url = without_query(clean(tc_url));
                let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
                path.map_or("", |(_, path)| trimmed(path))
            }
            path => path,
        };
        let mut parsed = AppPath::default();
        for part in path.split('/').map(str::trim).filter(|part| !part.is_empty()) {
            if part == ".." || part == "." || part.contains(is_forbidden) {
                return Err(NameError::Illegal);
            }
            if parsed.app.is_empty() {
                parsed.app.push_str(part).map_err(|_| NameError::TooLong)?;
                continue;
            }
            if !parsed.instance.is_empty() {
                parsed.instance.push('/').map_err(|_| NameError::TooLong)?;
            }
            parsed.instance.push_str(part).map_err(|_| NameError::TooLong)?;
        }
        if parsed.app.is_empty() {
            return Err(NameError::Empty);
        }
        if parsed.instance.is_empty() {
            // It fits: see the assertion below.
            let _ = parsed.instance.push_str(DEFAULT_INSTANCE);
        }
        Ok(parsed)
    }
}

const _: () = assert!(DEFAULT_INSTANCE.len() <= PATH_BYTES);

/// What a client publishes or plays, as it says it: relative to the instance that it has joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamName {
    /// Without prefix and query. Publisher and player are normalised alike, so every spelling finds the stream.
    pub name: String<PATH_BYTES>,
}

impl StreamName {
    /// From the name argument of `publish` or `play`. A query may hold a secret: it is cut off. `mp4:`, `f4v:`, `flv:` and `mp3:`
    /// are stripped: live streams have no format. The forbidden set is Adobe's, and `..`, a leading slash and control characters besides.
    pub fn parse(raw: &[u8]) -> Result<StreamName, NameError> {
        let raw = core::str::from_utf8(raw).map_err(|_| NameError::Illegal)?;
        let mut path = without_query(raw).trim();
        while let Some(rest) = ["mp4:", "flv:", "f4v:", "mp3:"].iter().find_map(|prefix| path.strip_prefix(prefix)) {
            path = rest.trim();
        }
        if path.is_empty() {
            return Err(NameError::Empty);
        }
        if path.starts_with('/') || path.split('/').any(|part| part.trim() == "..") || path.contains(is_forbidden) {
            return Err(NameError::Illegal);
        }
        let mut parsed = StreamName::default();
        // Names typed by hand have double slashes and one at the end.
        for part in path.split('/').map(str::trim).filter(|part| !part.is_empty()) {
            if !parsed.name.is_empty() {
                parsed.name.push('/').map_err(|_| NameError::TooLong)?;
            }
            parsed.name.push_str(part).map_err(|_| NameError::TooLong)?;
        }
        Ok(parsed)
    }
}

/// A stream's one name within its application: the same for every client whose URL is the same.
///
/// Clients cut `rtmp://host/live/hall/left/cam` into application, instance and name at different slashes: ffmpeg behind
/// `hall`, GStreamer behind `left`, OBS where its user did. So the parts are joined again, less [`DEFAULT_INSTANCE`]. Only
/// where instances are kept apart, as a script that turns a client away from one needs them to be, does the cut count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamPath {
    text: String<PATH_BYTES>,
    /// How much of the text is the instance, where it counts; 0 for the default one.
    apart: Option<u8>,
}

const _: () = assert!(PATH_BYTES <= u8::MAX as usize, "a path is counted in a byte");

impl StreamPath {
    /// The stream `name` of a client that has joined `instance`; both are normalised ([`AppPath`], [`StreamName`]).
    /// `apart` says that instances have no stream in common.
    ///
    /// # Errors
    ///
    /// [`NameError::TooLong`]: together they exceed [`PATH_BYTES`].
    pub fn new(instance: &str, name: &str, apart: bool) -> Result<StreamPath, NameError> {
        let mut text = String::new();
        let instance = if instance == DEFAULT_INSTANCE { "" } else { instance };
        for part in [instance, if instance.is_empty() { "" } else { "/" }, name] {
            text.push_str(part).map_err(|_| NameError::TooLong)?;
        }
        Ok(StreamPath { text, apart: apart.then_some(instance.len() as u8) })
    }

    /// The whole of it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The instance that it belongs to, where instances are apart; else [`DEFAULT_INSTANCE`].
    pub fn instance(&self) -> &str {
        match self.apart {
            Some(length @ 1..) => &self.text[..usize::from(length)],
            _ => DEFAULT_INSTANCE,
        }
    }

    /// Instances have no stream in common.
    pub fn is_apart(&self) -> bool {
        self.apart.is_some()
    }

    /// Its name within [`StreamPath::instance`].
    pub fn name(&self) -> &str {
        self.within(self.instance())
    }

    /// What a client that has joined `instance` calls it: the path behind the instance, or all of it when it lies
    /// elsewhere.
    pub fn within(&self, instance: &str) -> &str {
        self.text.strip_prefix(instance).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&self.text)
    }
}

fn is_forbidden(c: char) -> bool {
    c.is_control() || matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
}

/// The query of `app`, or that of `tcUrl`: some encoders put there what others put behind the stream name.
pub fn app_query<'a>(app: &'a str, tc_url: &'a str) -> &'a str {
    let query = |url: &'a str| clean(url).split_once('?').map_or("", |(_, query)| query);
    match query(app) {
        "" => query(tc_url),
        query => query,
    }
}

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// Without blanks and the quotes that some cameras put around their URL.
fn clean(url: &str) -> &str {
    url.trim_matches(is_around)
}

/// A path without these, and without slashes around it: however often it is read, it is the same.
fn trimmed(path: &str) -> &str {
    path.trim_matches(|c| c == '/' || is_around(c))
}

fn is_around(c: char) -> bool {
    c.is_whitespace() || c == '"' || c == '\''
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(app: &str, tc_url: &str) -> (&'static str, &'static str) {
        extern crate std;
        let path = AppPath::parse(app, tc_url).unwrap();
        let leak = |text: &str| &*std::boxed::Box::leak(std::string::String::from(text).into_boxed_str());
        (leak(&path.app), leak(&path.instance))
    }

    #[test]
    fn an_application_is_called_what_it_calls_itself() {
        for text in ["\"'live'\"", "\" 'live", " // ''live/", "'live'?x"] {
            assert_eq!(app(text, ""), ("live", DEFAULT_INSTANCE), "{text}");
        }
        assert_eq!(app("", "rtmp://host/ 'live/a'"), ("live", "a"));
    }

    #[test]
    fn every_way_encoders_spell_an_application_is_understood() {
        assert_eq!(app("live", ""), ("live", "_definst_"));
        assert_eq!(app("live/", ""), ("live", "_definst_"));
        assert_eq!(app("/live", ""), ("live", "_definst_"));
        assert_eq!(app(" live//room1/ ", ""), ("live", "room1"));
        assert_eq!(app("live/_definst_", ""), ("live", "_definst_"));
        assert_eq!(app("live/a/b", ""), ("live", "a/b"));
        assert_eq!(app("live?token=x/y", ""), ("live", "_definst_"));
        assert_eq!(app("", "rtmp://host:1935/live/room?k=1"), ("live", "room"));
        assert_eq!(app("", "\"rtmp://host/live\""), ("live", "_definst_"));
        assert_eq!(app("?authmod=adobe&user=u", "rtmp://host/live"), ("live", "_definst_"));
    }

    #[test]
    fn bad_application_names_say_what_is_wrong() {
        assert_eq!(AppPath::parse("", ""), Err(NameError::Empty));
        assert_eq!(AppPath::parse("/", "rtmp://host"), Err(NameError::Empty));
        assert_eq!(AppPath::parse("live/../etc", ""), Err(NameError::Illegal));
        assert_eq!(AppPath::parse("li\0ve", ""), Err(NameError::Illegal));
        let long = core::str::from_utf8(&[b'a'; APP_NAME_BYTES + 1]).unwrap();
        assert_eq!(AppPath::parse(long, ""), Err(NameError::TooLong));
    }

    #[test]
    fn one_url_is_one_path_wherever_a_client_cuts_it() {
        // From the cuts of ffmpeg, librtmp, GStreamer and OBS.
        let cuts = [("_definst_", "hall/left/cam"), ("hall", "left/cam"), ("hall/left", "cam")];
        for (instance, name) in cuts {
            let path = StreamPath::new(instance, name, false).unwrap();
            assert_eq!((path.as_str(), path.within(instance)), ("hall/left/cam", name));
            assert_eq!((path.instance(), path.name()), ("_definst_", "hall/left/cam"));
            assert_eq!(path, StreamPath::new("_definst_", "hall/left/cam", false).unwrap());
            let apart = StreamPath::new(instance, name, true).unwrap();
            assert_eq!((apart.as_str(), apart.instance(), apart.name()), ("hall/left/cam", instance, name));
            let same = cuts.map(|(instance, name)| StreamPath::new(instance, name, true).unwrap() == apart);
            assert_eq!(same.iter().filter(|&&same| same).count(), 1, "{instance} {name}");
        }
        assert_eq!(StreamPath::new("hall", "cam", false).unwrap().within("ha"), "hall/cam");
    }

    #[test]
    fn a_path_is_as_long_as_any_other_cut_of_it_may_be() {
        let long = core::str::from_utf8(&[b'a'; PATH_BYTES]).unwrap();
        for apart in [false, true] {
            for cut in 1..PATH_BYTES - 1 {
                assert!(StreamPath::new(&long[..cut], &long[cut + 1..], apart).is_ok(), "{cut}");
                assert_eq!(StreamPath::new(&long[..cut], &long[cut..], apart), Err(NameError::TooLong), "{cut}");
            }
            assert!(StreamPath::new(DEFAULT_INSTANCE, long, apart).is_ok());
        }
    }

    #[test]
    fn stream_names_lose_prefix_query_and_blanks() {
        let parse = |raw: &str| StreamName::parse(raw.as_bytes()).map(|n| n.name);
        let name = |name: &str| Ok(String::try_from(name).unwrap());
        assert_eq!(parse("cam1"), name("cam1"));
        assert_eq!(parse(" cam1 "), name("cam1"));
        assert_eq!(parse("mp4:flv:cam"), name("cam"), "a name means itself");
        assert_eq!(parse("a / /"), name("a"));
        assert_eq!(parse("a/ ../b"), Err(NameError::Illegal));
        assert_eq!(parse("mp4:cam.f4v"), name("cam.f4v"));
        assert_eq!(parse("mp3:song"), name("song"));
        assert_eq!(parse("flv:a/b?key=1?2"), name("a/b"));
        assert_eq!(parse("a//b/"), name("a/b"));
        assert_eq!(parse("?key"), Err(NameError::Empty));
        assert_eq!(parse("/cam"), Err(NameError::Illegal));
        assert_eq!(parse("a/../b"), Err(NameError::Illegal));
        assert_eq!(parse("a:b"), Err(NameError::Illegal));
        assert_eq!(StreamName::parse(&[0xFF]), Err(NameError::Illegal));
        assert_eq!(StreamName::parse(&[b'a'; PATH_BYTES + 1]), Err(NameError::TooLong));
        let mut long = [b'q'; 2000];
        long[..6].copy_from_slice(b"cam1?k");
        assert_eq!(StreamName::parse(&long).map(|n| n.name), name("cam1"), "a query is no part of it");
    }
}
