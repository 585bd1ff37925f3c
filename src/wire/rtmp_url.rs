//! RTMP URLs: `rtmp://[user:password@]host[:port]/path[?query]`, and `rtmps`, `http` and `https` likewise. Everything is a part of the
//! text.

/// The port of RTMP (RTMP 1.0, section 2).
pub const RTMP_PORT: u16 = 1935;
/// The port of RTMP over TLS where a URL names none, as all clients have it.
pub const RTMPS_PORT: u16 = 443;
/// The ports of HTTP and HTTPS (RFC 9110, section 4.2).
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// A URL, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtmpLocation<'u> {
    /// Over TLS.
    pub secure: bool,
    /// What stands before the host, without the `@`: a name and a password.
    pub user: Option<&'u str>,
    /// Host name or address, without brackets.
    pub host: &'u str,
    /// TCP port.
    pub port: u16,
    /// Host and port as written.
    pub authority: &'u str,
    /// What follows them, without the first slash.
    pub path: &'u str,
    /// What follows the first `?`, with it; else empty.
    pub query: &'u str,
}

/// Why a text is no such URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocationError<'u> {
    /// No `scheme://`.
    Scheme,
    /// Another scheme than those that are read.
    OtherScheme(&'u str),
    /// No host, or one with characters that hosts do not have.
    Host,
    /// A port that is none.
    Port,
}

impl<'u> RtmpLocation<'u> {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// See [`LocationError`].
    pub fn parse(url: &'u str) -> Result<RtmpLocation<'u>, LocationError<'u>> {
        Self::parse_as(url, [("rtmp", RTMP_PORT), ("rtmps", RTMPS_PORT)])
    }

    /// Reads a URL of HTTP, which has the same parts (RFC 9110, section 4.2).
    ///
    /// # Errors
    ///
    /// See [`LocationError`].
    pub fn parse_http(url: &'u str) -> Result<RtmpLocation<'u>, LocationError<'u>> {
        Self::parse_as(url, [("http", HTTP_PORT), ("https", HTTPS_PORT)])
    }

    /// `schemes` are the one without TLS and the one with it, each with its port.
    fn parse_as(url: &'u str, schemes: [(&str, u16); 2]) -> Result<RtmpLocation<'u>, LocationError<'u>> {
        let (scheme, rest) = url.split_once("://").ok_or(LocationError::Scheme)?;
        let found = schemes.iter().position(|(known, _)| scheme.eq_ignore_ascii_case(known));
        let found = found.ok_or(LocationError::OtherScheme(scheme))?;
        let secure = found == 1;
        let (hierarchy, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
        let (authority, path) = hierarchy.split_once('/').unwrap_or((hierarchy, ""));
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, authority),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().ok().filter(|port| *port != 0).ok_or(LocationError::Port)?)
            }
            _ => (authority, schemes[found].1),
        };
        let host = match host.strip_prefix('[') {
            Some(address) => address.strip_suffix(']').filter(|address| address.contains(':')),
            None => Some(host).filter(|host| !host.contains([':', ']'])),
        };
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || "\"'\\<>".contains(c);
        let host = host.filter(|host| !host.is_empty() && !host.contains(is_odd)).ok_or(LocationError::Host)?;
        Ok(RtmpLocation { secure, user, host, port, authority, path, query })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let url = RtmpLocation::parse("rtmps://me:a@b@[::1]:1936/app/room//?key=a/b?c").unwrap();
        assert_eq!((url.secure, url.user, url.host, url.port), (true, Some("me:a@b"), "::1", 1936));
        assert_eq!((url.authority, url.path, url.query), ("[::1]:1936", "app/room//", "?key=a/b?c"));
        let ports = ["rtmp://h/a", "rtmps://h/a"].map(|url| RtmpLocation::parse(url).unwrap().port);
        assert_eq!(ports, [1935, 443]);
        let hooks = ["http://h/a?b", "HTTPS://h:8443/"].map(|url| RtmpLocation::parse_http(url).unwrap());
        assert_eq!(hooks.map(|url| (url.secure, url.port, url.path)), [(false, 80, "a"), (true, 8443, "")]);
        assert_eq!(RtmpLocation::parse_http("rtmp://h/a"), Err(LocationError::OtherScheme("rtmp")));
        for (url, error) in [
            ("h/live", LocationError::Scheme),
            ("http://h/live", LocationError::OtherScheme("http")),
            ("rtmp:///live", LocationError::Host),
            ("rtmp://::1/live", LocationError::Host),
            ("rtmp://a b/live", LocationError::Host),
            ("rtmp://h:0/live", LocationError::Port),
        ] {
            assert_eq!(RtmpLocation::parse(url), Err(error), "{url}");
        }
    }
}
