//! RTMP URLs as clients take them: `rtmp[s]://host[:port]/path[?query]`.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::wire::rtmp_url::{LocationError, RtmpLocation};

/// An RTMP URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtmpUrl {
    /// Over TLS.
    pub secure: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Host and port as written.
    pub authority: String,
    /// What follows them, without slashes at its ends and double ones: `app/instance/...`. Not empty.
    pub path: String,
    /// What follows the first `?`, with it; else empty.
    pub query: String,
}

/// Why a text is no URL that a client could use. It is displayed as a sentence that says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlError {
    /// No `scheme://`.
    Scheme,
    /// Another scheme than `rtmp` and `rtmps`.
    OtherScheme(String),
    /// It is `rtmps`, in a build without TLS.
    NeedsTls,
    /// A user or a password before the host.
    User,
    /// No host, or one with characters that hosts do not have.
    Host,
    /// A port that is none.
    Port,
    /// Nothing behind the host.
    Application,
}

impl RtmpUrl {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// See [`UrlError`].
    pub fn parse(url: &str) -> Result<RtmpUrl, UrlError> {
        let location = RtmpLocation::parse(url).map_err(|error| match error {
            LocationError::Scheme => UrlError::Scheme,
            LocationError::OtherScheme(scheme) => UrlError::OtherScheme(scheme.to_owned()),
            LocationError::Host => UrlError::Host,
            LocationError::Port => UrlError::Port,
        })?;
        let RtmpLocation { secure, user, host, port, authority, path, query } = location;
        if secure && !cfg!(feature = "tls") {
            return Err(UrlError::NeedsTls);
        }
        if user.is_some() {
            return Err(UrlError::User);
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if parts.is_empty() {
            return Err(UrlError::Application);
        }
        Ok(RtmpUrl {
            secure,
            host: host.to_owned(),
            port,
            authority: authority.to_owned(),
            path: parts.join("/"),
            query: query.to_owned(),
        })
    }

    /// Connects to the first of the host's addresses that answers, within `timeout` in all (finding the addresses is the
    /// system's affair and not counted).
    ///
    /// # Errors
    ///
    /// That of the last address.
    pub fn connect(&self, timeout: Duration) -> io::Result<(SocketAddr, TcpStream)> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        let addresses = (self.host.as_str(), self.port).to_socket_addrs()?;
        let deadline = Instant::now() + timeout;
        for address in addresses {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match TcpStream::connect_timeout(&address, left) {
                Ok(stream) => return Ok((address, stream)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UrlError::Scheme => f.write_str("must begin with rtmp:// or rtmps://"),
            UrlError::NeedsTls => f.write_str("rtmps:// needs TLS, which this build has not"),
            UrlError::OtherScheme(scheme) if scheme.to_ascii_lowercase().starts_with("rtmp") => {
                write!(
                    f,
                    "{scheme}:// is not supported, only rtmp:// and rtmps:// are (no encryption of its own, no tunnels)"
                )
            }
            UrlError::OtherScheme(scheme) => {
                write!(f, "{scheme:?} is another protocol; must begin with rtmp:// or rtmps://")
            }
            UrlError::User => f.write_str("a user and password in the URL are not supported; send them as arguments"),
            UrlError::Host => f.write_str("the host is missing or is none; an IPv6 address stands in brackets"),
            UrlError::Port => f.write_str("the port must be a number from 1 to 65535"),
            UrlError::Application => f.write_str("the application is missing: rtmp://host[:port]/application"),
        }
    }
}

impl std::error::Error for UrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let url = RtmpUrl::parse("rtmp://pi.local//app/room//?key=a/b?c").unwrap();
        assert_eq!((&*url.host, url.port, &*url.authority), ("pi.local", 1935, "pi.local"));
        assert_eq!((&*url.path, &*url.query), ("app/room", "?key=a/b?c"));
        let url = RtmpUrl::parse("RTMP://[::1]:1936/live").unwrap();
        assert_eq!((&*url.host, url.port, &*url.authority, &*url.query), ("::1", 1936, "[::1]:1936", ""));
        assert_eq!(RtmpUrl::parse("rtmp://[fe80::1]/a").unwrap().port, 1935);
    }

    #[test]
    fn what_is_no_url_is_told_apart() {
        for (url, error) in [
            ("localhost/live", UrlError::Scheme),
            ("rtmpe://h/live", UrlError::OtherScheme("rtmpe".into())),
            ("http://h/live", UrlError::OtherScheme("http".into())),
            ("rtmp://a:b@h/live", UrlError::User),
            ("rtmp:///live", UrlError::Host),
            ("rtmp://::1/live", UrlError::Host),
            ("rtmp://[localhost]/live", UrlError::Host),
            ("rtmp://a b/live", UrlError::Host),
            ("rtmp://h:0/live", UrlError::Port),
            ("rtmp://h:x/live", UrlError::Port),
            ("rtmp://h:70000/live", UrlError::Port),
            ("rtmp://h", UrlError::Application),
            ("rtmp://h//?x", UrlError::Application),
        ] {
            assert_eq!(RtmpUrl::parse(url), Err(error), "{url}");
        }
        let text = UrlError::OtherScheme("rtmpe".into()).to_string();
        assert!(text.starts_with("rtmpe:// is not supported, only rtmp:// and rtmps:// are"), "{text}");
        let secure = RtmpUrl::parse("rtmps://h/live").map(|url| (url.secure, url.port));
        assert_eq!(secure, if cfg!(feature = "tls") { Ok((true, 443)) } else { Err(UrlError::NeedsTls) });
    }
}
