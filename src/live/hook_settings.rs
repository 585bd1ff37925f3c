//! Hooks: addresses of an operator's own that are asked over HTTP what clients may, or told what has happened. `[hooks]` of the
//! configuration and of an application's `app.toml`, as plain data.

use core::fmt;
use core::hash::{Hash, Hasher};
use std::hash::DefaultHasher;

use crate::limits::{HOOK_HEADERS_BYTES, HOOK_SECRET_BYTES, RELAY_HOST_BYTES, RELAY_URL_BYTES};
use crate::wire::rtmp_url::{LocationError, RtmpLocation};

/// The most bytes of a secret.
pub const MOST_SECRET_BYTES: usize = HOOK_SECRET_BYTES;
/// The most bytes of the lines of a head, with their ends.
pub const MOST_HEADERS_BYTES: usize = HOOK_HEADERS_BYTES;

/// What a hook is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookEvent {
    /// A client wants to join the application.
    Connect,
    /// It wants to publish.
    Publish,
    /// It wants to play.
    Play,
    /// What it published or played has ended.
    Done,
    /// What it published has ended.
    PublishDone,
    /// What it played has ended.
    PlayDone,
    /// A file of a recording is complete.
    RecordDone,
    /// It publishes or plays still.
    Update,
}

impl HookEvent {
    /// All of them, in the order of their numbers.
    pub const ALL: [HookEvent; 8] = [
        HookEvent::Connect,
        HookEvent::Publish,
        HookEvent::Play,
        HookEvent::Done,
        HookEvent::PublishDone,
        HookEvent::PlayDone,
        HookEvent::RecordDone,
        HookEvent::Update,
    ];

    /// Its key in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            HookEvent::Connect => "on_connect",
            HookEvent::Publish => "on_publish",
            HookEvent::Play => "on_play",
            HookEvent::Done => "on_done",
            HookEvent::PublishDone => "on_publish_done",
            HookEvent::PlayDone => "on_play_done",
            HookEvent::RecordDone => "on_record_done",
            HookEvent::Update => "on_update",
        }
    }

    /// What it answers decides something: a client waits for it.
    pub const fn is_question(self) -> bool {
        matches!(self, HookEvent::Connect | HookEvent::Publish | HookEvent::Play)
    }
}

/// Which form requests have, and what of an answer counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HookStyle {
    /// A form with nginx-rtmp's fields; the status of the answer counts.
    #[default]
    Form,
    /// JSON with SRS's members; the answer is 200 with a code of 0.
    Json,
}

impl HookStyle {
    /// Each, by its name in the configuration.
    pub const ALL: [(&'static str, HookStyle); 2] = [("form", HookStyle::Form), ("json", HookStyle::Json)];
}

/// What holds for a client when its hook cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenDown {
    /// It may not.
    #[default]
    Deny,
    /// It may.
    Allow,
}

impl WhenDown {
    /// Each, by its name in the configuration.
    pub const ALL: [(&'static str, WhenDown); 2] = [("deny", WhenDown::Deny), ("allow", WhenDown::Allow)];

    /// Its name there.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }
}

/// What is asked, and how.
#[derive(Clone, PartialEq, Eq)]
pub struct HookSettings {
    /// Of each event the URL that is called, in the order of their numbers.
    pub urls: [Option<HookUrl>; HookEvent::ALL.len()],
    /// Which form requests have.
    pub style: HookStyle,
    /// How long an answer may take, waiting for a place included, in milliseconds: 100 to 60 000.
    pub timeout_ms: u64,
    /// What holds when there is none.
    pub when_down: WhenDown,
    /// With which requests are signed; empty for none.
    pub secret: String,
    /// Lines that each request's head has, each with its end: they may be secrets.
    pub headers: String,
    /// How often [`HookEvent::Update`] is told of each, in milliseconds: 1000 to 3 600 000.
    pub update_ms: u64,
}

impl Default for HookSettings {
    fn default() -> HookSettings {
        HookSettings {
            urls: [const { None }; HookEvent::ALL.len()],
            style: HookStyle::default(),
            timeout_ms: 3000,
            when_down: WhenDown::default(),
            secret: String::new(),
            headers: String::new(),
            update_ms: 30_000,
        }
    }
}

impl fmt::Debug for HookSettings {
    /// It changes with them, and shows no secrets: files are compared by it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HookSettings { urls, style, timeout_ms, when_down, secret, headers, update_ms } = self;
        let mut mark = DefaultHasher::new();
        (urls, secret, headers).hash(&mut mark);
        write!(f, "Hooks {style:?} {timeout_ms} {when_down:?} {update_ms} {:x}", mark.finish())
    }
}

impl HookSettings {
    /// What is asked about that; `None` when nothing is.
    pub fn url(&self, event: HookEvent) -> Option<&HookUrl> {
        self.urls[event as usize].as_ref()
    }

    /// Takes another URL, or none.
    pub fn set_url(&mut self, event: HookEvent, url: Option<HookUrl>) {
        self.urls[event as usize] = url;
    }

    /// Something is called for something.
    pub fn is_any(&self) -> bool {
        self.urls.iter().any(Option::is_some)
    }

    /// Takes the lines of all heads, each like `Authorization: Bearer x`.
    ///
    /// # Errors
    ///
    /// What is wrong with one, in words without it.
    pub fn set_headers<'t>(&mut self, lines: impl Iterator<Item = &'t str>) -> Result<(), String> {
        let mut headers = String::new();
        for line in lines {
            let (name, value) = line.split_once(':').unwrap_or_default();
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let is_own = OWN_FIELDS.iter().any(|own| name.eq_ignore_ascii_case(own));
            if name.is_empty() || !name.bytes().all(is_token) || value.chars().any(char::is_control) {
                return Err("a header must be like \"Authorization: Bearer KEY\"".to_owned());
            }
            if is_own {
                return Err(format!("the header {name} is the server's own"));
            }
            headers = format!("{headers}{name}: {}\r\n", value.trim());
        }
        if headers.len() > HOOK_HEADERS_BYTES {
            return Err(format!("the headers are longer than {MOST_HEADERS_BYTES} bytes (HOOK_HEADERS_BYTES)"));
        }
        self.headers = headers;
        Ok(())
    }

    /// Takes what requests are signed with; empty for none. False when it is too long.
    pub fn set_secret(&mut self, secret: &str) -> bool {
        secret.clone_into(&mut self.secret);
        secret.len() <= MOST_SECRET_BYTES
    }
}

/// Fields of a request's head that the server writes.
const OWN_FIELDS: [&str; 6] =
    ["Host", "Content-Type", "Content-Length", "Connection", "Transfer-Encoding", "X-Hub-Signature-256"];

/// Where a hook is.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct HookUrl(String);

/// Why a URL cannot be that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookUrlError {
    /// It is no URL, or one of another protocol.
    NoHttp,
    /// No host.
    Host,
    /// A port that is none.
    Port,
    /// Longer than [`RELAY_URL_BYTES`].
    TooLong,
    /// It is `https`, in a build without TLS.
    NeedsTls,
    /// A user and a password before the host.
    User,
    /// A space, a quote, a fragment, or what is not ASCII.
    Odd,
}

impl HookUrl {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// See [`HookUrlError`].
    pub fn parse(url: &str) -> Result<HookUrl, HookUrlError> {
        let location = RtmpLocation::parse_http(url).map_err(|error| match error {
            LocationError::Scheme | LocationError::OtherScheme(_) => HookUrlError::NoHttp,
            LocationError::Host => HookUrlError::Host,
            LocationError::Port => HookUrlError::Port,
        })?;
        let is_odd = |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b'"' | b'\\' | b'#');
        match location {
            _ if url.bytes().any(is_odd) => Err(HookUrlError::Odd),
            _ if url.len() > RELAY_URL_BYTES => Err(HookUrlError::TooLong),
            location if location.host.len() > RELAY_HOST_BYTES => Err(HookUrlError::Host),
            location if location.secure && !cfg!(feature = "tls") => Err(HookUrlError::NeedsTls),
            location if location.user.is_some() => Err(HookUrlError::User),
            _ => Ok(HookUrl(url.to_owned())),
        }
    }

    /// What it consists of.
    pub fn parts(&self) -> RtmpLocation<'_> {
        RtmpLocation::parse_http(&self.0).expect("it was one when it was read")
    }
}

impl fmt::Display for HookUrl {
    /// Without its query, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, query) = self.0.split_at(self.0.find('?').unwrap_or(self.0.len()));
        write!(f, "{shown}{}", if query.is_empty() { "" } else { "?…" })
    }
}

impl fmt::Display for HookUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HookUrlError::NoHttp => f.write_str("must begin with http:// or https://"),
            HookUrlError::Host => f.write_str("the host is missing or is none; an IPv6 address stands in brackets"),
            HookUrlError::Port => f.write_str("the port must be a number from 1 to 65535"),
            HookUrlError::TooLong => write!(f, "is longer than {RELAY_URL_BYTES} bytes (RELAY_URL_BYTES)"),
            HookUrlError::NeedsTls => f.write_str("https:// needs TLS, which this build has not"),
            HookUrlError::User => f.write_str("a user and a password belong in hooks.headers: Authorization: Basic …"),
            HookUrlError::Odd => f.write_str("has a character that URLs do not have"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_what_may_be_a_secret_and_what_is_none_is_refused_in_words() {
        let url = HookUrl::parse("http://10.0.0.2:8000/rtmp/auth?token=s3cret").unwrap();
        assert_eq!(url.to_string(), "http://10.0.0.2:8000/rtmp/auth?…");
        let RtmpLocation { host, port, path, query, .. } = url.parts();
        assert_eq!((host, port, path, query), ("10.0.0.2", 8000, "rtmp/auth", "?token=s3cret"));
        for (url, words) in [
            ("auth", "must begin with http:// or https://"),
            ("rtmp://h/x", "must begin with http:// or https://"),
            ("http:///x", "the host"),
            ("http://h:0/x", "the port"),
            ("http://u:p@h/x", "hooks.headers"),
            ("http://h/x y", "a character"),
            ("http://h/x#y", "a character"),
        ] {
            let error = HookUrl::parse(url).unwrap_err().to_string();
            assert!(error.contains(words), "{url}: {error}");
        }
        match HookUrl::parse("https://h/x") {
            Ok(url) => assert!(cfg!(feature = "tls") && url.parts().secure && url.parts().port == 443),
            Err(error) => assert!(!cfg!(feature = "tls") && error == HookUrlError::NeedsTls),
        }
        let long = format!("http://h/{}", "x".repeat(RELAY_URL_BYTES));
        assert_eq!(HookUrl::parse(&long), Err(HookUrlError::TooLong));
    }

    #[test]
    fn headers_are_lines_of_a_head_that_are_not_the_servers_own_and_nothing_secret_is_shown() {
        let mut settings = HookSettings::default();
        settings.set_headers(["Authorization: Bearer s3cret", "X-Board:1 "].into_iter()).unwrap();
        assert_eq!(settings.headers, "Authorization: Bearer s3cret\r\nX-Board: 1\r\n");
        assert!(settings.set_secret("s3cret"));
        assert!(!format!("{settings:?}").contains("s3cret"));
        let mut other = settings.clone();
        assert!(other.set_secret("another"));
        assert_ne!(format!("{settings:?}"), format!("{other:?}"), "files are compared by it");
        for (line, words) in [
            ("no header", "must be like"),
            (": x", "must be like"),
            ("A b: x", "must be like"),
            ("A: x\r\nB: y", "must be like"),
            ("host: x", "the server's own"),
            ("Content-length: 1", "the server's own"),
        ] {
            let error = settings.set_headers([line].into_iter()).unwrap_err();
            assert!(error.contains(words), "{line}: {error}");
        }
        let long = format!("X: {}", "y".repeat(HOOK_HEADERS_BYTES));
        assert!(settings.set_headers([long.as_str()].into_iter()).unwrap_err().contains("HOOK_HEADERS_BYTES"));
        assert!(!settings.set_secret(&"x".repeat(HOOK_SECRET_BYTES + 1)));
    }

    #[test]
    fn events_stand_in_the_order_of_their_numbers() {
        for (at, event) in HookEvent::ALL.into_iter().enumerate() {
            assert_eq!(event as usize, at);
            assert!(event.name().starts_with("on_"));
        }
    }
}
