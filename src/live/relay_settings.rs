//! Which streams an application sends on to other servers, and which it fetches from them: `[[push]]`, `[[pull]]` and `[edge]` of its
//! `app.toml`, as plain data.

use core::fmt;

use crate::limits::{RELAY_HOST_BYTES, RELAY_KEY_BYTES, RELAY_URL_BYTES, RELAY_USER_BYTES};
use crate::wire::http::decode;
use crate::wire::rtmp_url::{LocationError, RtmpLocation};

use super::record_settings::is_named;

/// Where a stream is sent to or fetched from.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct FarUrl {
    url: String,
    login: Option<Login>,
}

/// A user and a password.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Login {
    user: String,
    password: String,
}

/// Why a URL cannot be that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FarUrlError {
    /// It is no URL, or one of another protocol.
    NoRtmp,
    /// No host.
    Host,
    /// A port that is none.
    Port,
    /// Nothing behind the host.
    Application,
    /// Longer than [`RELAY_URL_BYTES`].
    TooLong,
    /// It is `rtmps`, in a build without TLS.
    NeedsTls,
    /// What stands before the host is no user with a password.
    User,
    /// A space, a quote, or what is not ASCII.
    Odd,
}

/// A URL of a far end by its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FarParts<'u> {
    /// Over TLS.
    pub secure: bool,
    /// A user and a password, if it has both.
    pub login: Option<(&'u str, &'u str)>,
    /// Host name or address.
    pub host: &'u str,
    /// TCP port.
    pub port: u16,
    /// Host and port as written.
    pub authority: &'u str,
    /// The application, and its instance if there is one: what `connect` says.
    pub app: &'u str,
    /// The stream's name there; empty where it has its own.
    pub name: &'u str,
    /// What belongs behind the name, with its `?`; else empty.
    pub query: &'u str,
}

impl FarUrl {
    /// Reads a URL. Its last part is the stream's name at the far end, which is often a secret; with a slash behind it, or with one
    /// part alone, the stream has its own name there.
    ///
    /// # Errors
    ///
    /// See [`FarUrlError`].
    pub fn parse(url: &str) -> Result<FarUrl, FarUrlError> {
        let location = RtmpLocation::parse(url).map_err(|error| match error {
            LocationError::Scheme | LocationError::OtherScheme(_) => FarUrlError::NoRtmp,
            LocationError::Host => FarUrlError::Host,
            LocationError::Port => FarUrlError::Port,
        })?;
        let is_odd = |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b'"' | b'\\');
        match location {
            _ if url.bytes().any(is_odd) => Err(FarUrlError::Odd),
            _ if url.len() > RELAY_URL_BYTES => Err(FarUrlError::TooLong),
            location if location.host.len() > RELAY_HOST_BYTES => Err(FarUrlError::Host),
            location if location.secure && !cfg!(feature = "tls") => Err(FarUrlError::NeedsTls),
            location if location.path.trim_matches('/').is_empty() => Err(FarUrlError::Application),
            location => {
                let login = location.user.map(|text| login(text).ok_or(FarUrlError::User)).transpose()?;
                Ok(FarUrl { url: url.to_owned(), login })
            }
        }
    }

    /// What it consists of.
    pub fn parts(&self) -> FarParts<'_> {
        let location = RtmpLocation::parse(&self.url).expect("it was one when it was read");
        let RtmpLocation { secure, host, port, authority, path, query, .. } = location;
        let (app, name) = match path.trim_start_matches('/').rsplit_once('/') {
            Some((app, name)) => (app.trim_end_matches('/'), name),
            None => (path.trim_start_matches('/'), ""),
        };
        let login = self.login.as_ref().map(|login| (login.user.as_str(), login.password.as_str()));
        FarParts { secure, login, host, port, authority, app, name, query }
    }
}

impl FarParts<'_> {
    /// How its URL begins.
    pub fn scheme(&self) -> &'static str {
        if self.secure { "rtmps" } else { "rtmp" }
    }
}

/// A user and a password as they stand in a URL (RFC 3986, section 3.2.1). The user's name goes into a query as it is.
fn login(text: &str) -> Option<Login> {
    let (user, password) = text.split_once(':')?;
    let read = |text: &str| decode::<RELAY_USER_BYTES>(text, false).ok().filter(|text| !text.is_empty());
    let (user, password) = (read(user)?, read(password)?);
    let is_odd = |c: char| c.is_control() || matches!(c, '&' | '?' | ' ');
    (!user.contains(is_odd)).then(|| Login { user: user.as_str().to_owned(), password: password.as_str().to_owned() })
}

impl fmt::Display for FarUrl {
    /// Without what may be a secret, and without the user: `rtmp://host/app/…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.parts();
        let FarParts { authority, app, name, query, .. } = parts;
        let hidden = if name.is_empty() && query.is_empty() { "" } else { "…" };
        write!(f, "{}://{authority}/{app}/{hidden}", parts.scheme())
    }
}

impl fmt::Display for FarUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FarUrlError::NoRtmp => f.write_str("must begin with rtmp:// or rtmps://"),
            FarUrlError::Host => f.write_str("the host is missing or is none; an IPv6 address stands in brackets"),
            FarUrlError::Port => f.write_str("the port must be a number from 1 to 65535"),
            FarUrlError::Application => f.write_str("the application is missing: rtmp://host[:port]/application/name"),
            FarUrlError::TooLong => write!(f, "is longer than {RELAY_URL_BYTES} bytes (RELAY_URL_BYTES)"),
            FarUrlError::NeedsTls => f.write_str("rtmps:// needs TLS, which this build has not"),
            FarUrlError::Odd => f.write_str("has a character that URLs do not have"),
            FarUrlError::User => write!(
                f,
                "has a user and a password like rtmp://user:password@host/..., each of 1 to {RELAY_USER_BYTES} bytes and \
                 with %40 for @, %3A for : and so on"
            ),
        }
    }
}

/// A `[[push]]`.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct PushSettings {
    /// Where to.
    pub url: FarUrl,
    /// Which streams, by their paths in the application. A `*` at the end of one stands for anything.
    pub names: Vec<String>,
    /// The name of the file in the application's directory that has the stream's name at the far end, which is a secret.
    pub key_from: Option<String>,
    /// What stands in it.
    pub key: String,
}

impl PushSettings {
    /// Whether the stream of this path is sent. An input of a programme (`is_input`) has to be named itself.
    pub fn includes(&self, path: &str, is_input: bool) -> bool {
        self.names.iter().any(|name| is_named(name, path, is_input))
    }

    /// Takes what stands in the file of the key, or says why that is none.
    ///
    /// # Errors
    ///
    /// What a key must be.
    pub fn set_key(&mut self, text: &str) -> Result<(), String> {
        let key = text.lines().next().unwrap_or_default().trim();
        if key.is_empty() || key.len() > RELAY_KEY_BYTES || key.contains(char::is_whitespace) {
            return Err(format!("the first line must be the key, without spaces and of 1 to {RELAY_KEY_BYTES} bytes"));
        }
        key.clone_into(&mut self.key);
        Ok(())
    }
}

/// A `[[pull]]`.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct PullSettings {
    /// Where from.
    pub url: FarUrl,
    /// What the stream is called here: its path in the application.
    pub name: String,
    /// When it is fetched.
    pub when: PullWhen,
    /// So long it is fetched when nobody watches any more, in seconds.
    pub linger_s: u32,
}

/// When a stream is fetched.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub enum PullWhen {
    /// As long as the server runs.
    Always,
    /// While somebody watches it.
    Demand,
}

impl PullWhen {
    /// Each, by its name in the configuration.
    pub const ALL: [(&'static str, PullWhen); 2] = [("always", PullWhen::Always), ("demand", PullWhen::Demand)];
}

/// So long what is fetched stays when nobody watches any more, where nothing else is said, in seconds.
pub const LINGER_DEFAULT_S: u32 = 10;

/// An `[edge]`: what somebody wants and nobody publishes here is fetched from the first origin that has it.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct EdgeSettings {
    /// Where from, in the order in which they are asked. Streams have their own names there. Without any it is no edge.
    pub origins: Vec<FarUrl>,
    /// What is published here is sent to the first of them that takes it.
    pub forward_publish: bool,
    /// So long a stream is fetched when nobody watches it any more, in seconds.
    pub linger_s: u32,
}

impl Default for EdgeSettings {
    fn default() -> EdgeSettings {
        EdgeSettings { origins: Vec::new(), forward_publish: false, linger_s: LINGER_DEFAULT_S }
    }
}

/// What an application sends and fetches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelaySettings {
    /// Its `[[push]]`, in the order of its file.
    pub pushes: Vec<PushSettings>,
    /// Its `[[pull]]`.
    pub pulls: Vec<PullSettings>,
    /// Its `[edge]`.
    pub edge: EdgeSettings,
}

impl RelaySettings {
    /// Its `[edge]`, if it is one.
    pub fn edge(&self) -> Option<&EdgeSettings> {
        Some(&self.edge).filter(|edge| !edge.origins.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_of_a_url_is_the_name_and_never_shown() {
        let url = FarUrl::parse("rtmp://a.example:1936/live2/room/s3cret?x=1").unwrap();
        let parts = url.parts();
        assert_eq!((parts.app, parts.name, parts.query), ("live2/room", "s3cret", "?x=1"));
        assert_eq!((parts.host, parts.port, parts.authority), ("a.example", 1936, "a.example:1936"));
        assert_eq!(url.to_string(), "rtmp://a.example:1936/live2/room/…");
        for own in ["rtmp://h/live", "rtmp://h/live/"] {
            let url = FarUrl::parse(own).unwrap();
            assert_eq!((url.parts().app, url.parts().name), ("live", ""), "{own}");
            assert_eq!(url.to_string(), "rtmp://h/live/");
        }
    }

    #[test]
    fn a_user_and_a_password_are_read_with_their_escapes_and_never_shown() {
        let url = FarUrl::parse("rtmp://me:p%40ss:w@h/live/x").unwrap();
        assert_eq!((url.parts().login, url.parts().authority), (Some(("me", "p@ss:w")), "h"));
        assert_eq!(url.to_string(), "rtmp://h/live/…");
    }

    #[test]
    fn one_in_tls_says_so_and_has_its_own_port() {
        let url = FarUrl::parse("rtmps://h/live/x");
        if !cfg!(feature = "tls") {
            assert_eq!(url, Err(FarUrlError::NeedsTls));
            return;
        }
        let url = url.unwrap();
        assert_eq!((url.parts().secure, url.parts().port), (true, 443));
        assert_eq!(url.to_string(), "rtmps://h/live/…");
    }

    #[test]
    fn what_is_no_url_of_a_far_end_is_refused_in_words() {
        for (url, words) in [
            ("live", "must begin with rtmp:// or rtmps://"),
            ("http://h/live", "must begin with rtmp:// or rtmps://"),
            ("rtmp://u@h/live/x", "has a user and a password like"),
            ("rtmp://u:@h/live/x", "has a user and a password like"),
            ("rtmp://u%26:p@h/live/x", "has a user and a password like"),
            ("rtmp://h//", "the application is missing"),
            ("rtmp://h:0/x", "the port"),
            ("rtmp:///x", "the host"),
            ("rtmp://h/a/x y", "a character"),
        ] {
            let error = FarUrl::parse(url).unwrap_err().to_string();
            assert!(error.contains(words), "{url}: {error}");
        }
        let long = format!("rtmp://h/live/{}", "x".repeat(RELAY_URL_BYTES));
        assert_eq!(FarUrl::parse(&long), Err(FarUrlError::TooLong));
    }
}
