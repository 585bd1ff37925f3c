//! Heads of HTTP/1.1 requests (RFC 9112), and what of them the server acts on, in values of its own.
//!
//! `httparse` reads the fields; what is left to the reader of a head by the specification, and is where request smuggling
//! lives, is decided here, strictly: one spelling of everything.

use core::net::{IpAddr, SocketAddr};

use heapless::String;

use crate::limits::{
    ADMIN_KEY_BYTES, AGENT_BYTES, HTTP_BODY_BYTES, HTTP_FIELD_BYTES, HTTP_HEADERS, HTTP_PATH_BYTES, HTTP_QUERY_BYTES,
};

/// Most proxies one behind the other. What more of them say is not looked at.
const FORWARDED: usize = 4;

/// The cookie that a session is known by: 32 hexadecimal digits.
pub const SESSION_COOKIE: &str = "rill_session";

/// What a request wants done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// To have what is there.
    #[default]
    Get,
    /// To know what there would be, without it.
    Head,
    /// To have something done.
    Post,
    /// To have something removed.
    Delete,
    /// To know what may be asked.
    Options,
}

impl Method {
    /// Each, by its name.
    const ALL: [(&'static str, Method); 5] = [
        ("GET", Method::Get),
        ("HEAD", Method::Head),
        ("POST", Method::Post),
        ("DELETE", Method::Delete),
        ("OPTIONS", Method::Options),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }

    /// The one with that name.
    fn named(name: &str) -> Option<Method> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, method)| *method)
    }
}

/// Declares the statuses.
macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $reason:literal;)*) => {
        /// How a request came out (RFC 9110, section 15).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum HttpStatus {
            $($(#[$doc])* $name,)*
        }

        impl HttpStatus {
            /// Its number.
            pub const fn code(self) -> u16 {
                match self {
                    $(HttpStatus::$name => $code,)*
                }
            }

            /// Its words.
            pub const fn reason(self) -> &'static str {
                match self {
                    $(HttpStatus::$name => $reason,)*
                }
            }
        }
    };
}

statuses! {
    /// The connection speaks WebSocket from here on.
    SwitchingProtocols = 101, "Switching Protocols";
    /// Here it is.
    Ok = 200, "OK";
    /// Done, and there is nothing to say.
    NoContent = 204, "No Content";
    /// Here is the part that was asked for.
    PartialContent = 206, "Partial Content";
    /// It is elsewhere.
    Found = 302, "Found";
    /// The client has it already.
    NotModified = 304, "Not Modified";
    /// It is no request.
    BadRequest = 400, "Bad Request";
    /// A key is missing, or wrong.
    Unauthorized = 401, "Unauthorized";
    /// The client may not.
    Forbidden = 403, "Forbidden";
    /// There is no such thing.
    NotFound = 404, "Not Found";
    /// That cannot be done with it.
    MethodNotAllowed = 405, "Method Not Allowed";
    /// It is there in no form that the client takes.
    NotAcceptable = 406, "Not Acceptable";
    /// The request was not whole in time.
    RequestTimeout = 408, "Request Timeout";
    /// It is in use.
    Conflict = 409, "Conflict";
    /// What it sends is longer than it may be.
    ContentTooLarge = 413, "Content Too Large";
    /// Its address is longer than any that there is.
    UriTooLong = 414, "URI Too Long";
    /// What it sends is of another kind than it has to be.
    UnsupportedMediaType = 415, "Unsupported Media Type";
    /// There is no such part.
    RangeNotSatisfiable = 416, "Range Not Satisfiable";
    /// The host that it asks is not this one.
    MisdirectedRequest = 421, "Misdirected Request";
    /// It can be had over WebSocket alone.
    UpgradeRequired = 426, "Upgrade Required";
    /// Too many connections from the address.
    TooManyRequests = 429, "Too Many Requests";
    /// Its head is longer than it may be.
    HeadTooLarge = 431, "Request Header Fields Too Large";
    /// The server cannot.
    InternalServerError = 500, "Internal Server Error";
    /// The server knows no such method, or no such way of sending.
    NotImplemented = 501, "Not Implemented";
    /// Not now.
    ServiceUnavailable = 503, "Service Unavailable";
    /// Another version of HTTP.
    VersionNotSupported = 505, "HTTP Version Not Supported";
}

/// What is wrong with a request, so that nothing behind it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFault {
    /// It does not have the form of one.
    Syntax,
    /// It is the beginning of TLS.
    Tls,
    /// A line ends in one of CR and LF, or is folded, or there is a NUL.
    Line,
    /// Its address has an escape that is none, is no UTF-8, or leads out of where it begins.
    Target,
    /// It names no host, or two.
    Host,
    /// Its length is said twice, or is no number.
    Length,
    /// It comes in another coding than its length.
    Coding,
    /// A method that is not known.
    Method,
    /// Another version than 1.0 and 1.1.
    Version,
    /// More than [`HTTP_HEADERS`] fields.
    Headers,
    /// More than [`HTTP_HEAD_BYTES`](crate::limits::HTTP_HEAD_BYTES).
    HeadBytes,
    /// More than [`HTTP_BODY_BYTES`].
    BodyBytes,
    /// An address of more than [`HTTP_PATH_BYTES`], or a query of more than [`HTTP_QUERY_BYTES`].
    TargetBytes,
}

impl RequestFault {
    /// How it is answered.
    pub const fn status(self) -> HttpStatus {
        match self {
            RequestFault::Syntax
            | RequestFault::Tls
            | RequestFault::Line
            | RequestFault::Target
            | RequestFault::Host
            | RequestFault::Length => HttpStatus::BadRequest,
            RequestFault::Coding | RequestFault::Method => HttpStatus::NotImplemented,
            RequestFault::Version => HttpStatus::VersionNotSupported,
            RequestFault::Headers | RequestFault::HeadBytes => HttpStatus::HeadTooLarge,
            RequestFault::BodyBytes => HttpStatus::ContentTooLarge,
            RequestFault::TargetBytes => HttpStatus::UriTooLong,
        }
    }

    /// What was wrong, with the limit's name where it is one.
    pub const fn words(self) -> &'static str {
        match self {
            RequestFault::Syntax => "it is no HTTP request",
            RequestFault::Tls => {
                "the client speaks TLS: use http://, not https://, on this port, or the port of server.tls.http"
            }
            RequestFault::Line => "a line of the request's head does not end in CR LF, or is folded",
            RequestFault::Target => "an address that cannot be one",
            RequestFault::Host => "a request without a host, or with two",
            RequestFault::Length => "a request whose length is said twice, or is no number",
            RequestFault::Coding => "a request with a transfer coding",
            RequestFault::Method => "a method that is not known",
            RequestFault::Version => "a version of HTTP that is not known",
            RequestFault::Headers => "a head with more fields than there may be (HTTP_HEADERS)",
            RequestFault::HeadBytes => "a head longer than it may be (HTTP_HEAD_BYTES)",
            RequestFault::BodyBytes => "a body longer than it may be (HTTP_BODY_BYTES)",
            RequestFault::TargetBytes => "an address longer than it may be (HTTP_PATH_BYTES, HTTP_QUERY_BYTES)",
        }
    }
}

/// A part of something, as a request asks for it (RFC 9110, section 14.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// From this byte to that, or to the end.
    From(u64, Option<u64>),
    /// So many bytes at the end.
    Last(u64),
}

impl Range {
    /// First byte and count within `length` bytes; `None` when there is nothing of it, which is a 416.
    pub fn within(self, length: u64) -> Option<(u64, u64)> {
        let (first, end) = match self {
            Range::From(first, last) => (first, last.map_or(length, |last| length.min(last.saturating_add(1)))),
            Range::Last(count) => (length.saturating_sub(count), length),
        };
        (first < end).then(|| (first, end - first))
    }

    /// From a `Range` field. Several ranges, and other units, are as if it were not there.
    fn parse(value: &str) -> Option<Range> {
        let (first, last) = value.trim().strip_prefix("bytes=")?.trim().split_once('-')?;
        match (first, last) {
            ("", last) => digits(last).map(Range::Last),
            (first, "") => Some(Range::From(digits(first)?, None)),
            (first, last) => {
                let (first, last) = (digits(first)?, digits(last)?);
                (first <= last).then_some(Range::From(first, Some(last)))
            }
        }
    }
}

/// What is wanted of the connection behind a request (RFC 9110, section 7.8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Upgrade {
    /// Nothing.
    #[default]
    No,
    /// To speak WebSocket; the key is answered.
    WebSocket(String<24>),
    /// The same in a version that is not 13, or without a key.
    OtherWebSocket,
}

/// A request without its body.
#[derive(Clone, Debug, Default)]
pub struct HttpRequest {
    /// What it wants done.
    pub method: Method,
    /// What with: percent-decoded, with a slash in front.
    pub path: String<HTTP_PATH_BYTES>,
    query: String<HTTP_QUERY_BYTES>,
    /// HTTP/1.1, so that an answer may come in chunks.
    pub is_http_1_1: bool,
    /// More requests may follow on the connection.
    pub keep_alive: bool,
    /// The host that it asks, with its port if it named one; empty from a client of HTTP/1.0 that says none.
    pub host: String<HTTP_FIELD_BYTES>,
    /// A page of another host has sent it, or a program says so.
    pub is_foreign: bool,
    /// The secret that it shows (`Authorization: Bearer`), cut behind what is longer than any; empty for none.
    pub bearer: String<{ ADMIN_KEY_BYTES + 1 }>,
    /// The session that it belongs to, by its cookie ([`SESSION_COOKIE`]).
    pub session: Option<u128>,
    /// Its body is JSON.
    pub is_json: bool,
    /// It has shown that it is the administrator's. This is for the reader of its fields to find out.
    pub is_admin: bool,
    /// What software it is, cut.
    pub agent: String<AGENT_BYTES>,
    /// The page that led to it, cut.
    pub referrer: String<HTTP_FIELD_BYTES>,
    /// The tags that it has a copy of, as they were said.
    pub if_none_match: String<HTTP_FIELD_BYTES>,
    /// The part that is asked for.
    pub range: Option<Range>,
    /// Only if what it has a part of is still that: a tag, or a time; empty for in any case.
    pub if_range: String<HTTP_FIELD_BYTES>,
    /// Whom proxies on the way here have asked for, the last one last.
    pub forwarded: heapless::Vec<IpAddr, FORWARDED>,
    /// The last one was asked over TLS.
    pub forwarded_https: bool,
    /// What is wanted of the connection.
    pub upgrade: Upgrade,
    /// It takes gzip.
    pub takes_gzip: bool,
    /// It wants to be told to go on before it sends its body.
    pub expects_continue: bool,
    /// Bytes of its body.
    pub body_bytes: usize,
    /// How long it has waited to be answered, in milliseconds: 0 when it is asked for the first time.
    pub waited_ms: u64,
}

impl HttpRequest {
    /// Reads a head, whose last line is empty.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(head: &[u8]) -> Result<HttpRequest, RequestFault> {
        check_lines(head)?;
        let mut headers = [httparse::EMPTY_HEADER; HTTP_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(bytes)) if bytes == head.len() => {}
            Err(httparse::Error::TooManyHeaders) => return Err(RequestFault::Headers),
            Err(httparse::Error::Version) => return Err(RequestFault::Version),
            Ok(_) | Err(_) => return Err(RequestFault::Syntax),
        }
        let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(RequestFault::Syntax);
        };
        let mut request = HttpRequest { is_http_1_1: version == 1, keep_alive: version == 1, ..HttpRequest::default() };
        request.method = Method::named(method).ok_or(RequestFault::Method)?;
        let authority = request.set_target(target)?;
        request.read_fields(parsed.headers)?;
        if let Some(authority) = authority {
            // Instead of the field (RFC 9112, section 3.2.2).
            request.host = String::try_from(authority).map_err(|_| RequestFault::Host)?;
        }
        request.is_foreign = parsed.headers.iter().any(|header| is_of_another(header, &request.host));
        Ok(request)
    }

    /// The value of a key of its query, decoded; `None` when it is not there, is longer than `N` bytes or is no text.
    pub fn query<const N: usize>(&self, key: &str) -> Option<String<N>> {
        let pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let (_, value) = pairs.into_iter().find(|(name, _)| *name == key)?;
        decode(value, true).ok()
    }

    /// The query as it was sent. It may hold a secret.
    pub fn raw_query(&self) -> &str {
        &self.query
    }

    /// The client has a copy that is as this one.
    pub fn has_copy_of(&self, tag: &str) -> bool {
        self.if_none_match
            .split(',')
            .map(str::trim)
            .any(|have| have == "*" || have.trim_start_matches("W/").trim_matches('"') == tag)
    }

    /// Takes the address apart, and returns the host in it if there is one.
    fn set_target<'t>(&mut self, target: &'t str) -> Result<Option<&'t str>, RequestFault> {
        if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            // What others than ASCII mean has to be escaped (RFC 3986, section 2).
            return Err(RequestFault::Target);
        }
        if target == "*" {
            if self.method != Method::Options {
                return Err(RequestFault::Target);
            }
            let _ = self.path.push('*');
            return Ok(None);
        }
        let (authority, target) = match target.strip_prefix("http://").or_else(|| target.strip_prefix("https://")) {
            Some(rest) => {
                let at = rest.find(['/', '?']).unwrap_or(rest.len());
                (Some(&rest[..at]), &rest[at..])
            }
            None => (None, target),
        };
        let target = if authority.is_some() && target.is_empty() { "/" } else { target };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if !path.starts_with('/') || path.contains('#') || query.contains('#') {
            return Err(RequestFault::Target);
        }
        self.path = decode(path, false)?;
        let leads_out = self.path.split('/').any(|part| part == "." || part == "..");
        if leads_out || self.path.contains(char::is_control) {
            return Err(RequestFault::Target);
        }
        self.query = String::try_from(query).map_err(|_| RequestFault::TargetBytes)?;
        Ok(authority)
    }

    fn forwarded_for(&mut self, value: &str) {
        for token in value.split(',').map(str::trim) {
            let address = token.parse().or_else(|_| token.parse().map(|address: SocketAddr| address.ip()));
            let bare = || token.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
            match address.ok().or_else(bare) {
                Some(address) => {
                    if self.forwarded.is_full() {
                        self.forwarded.remove(0);
                    }
                    let _ = self.forwarded.push(address);
                }
                // What somebody said before cannot be followed.
                None => self.forwarded.clear(),
            }
        }
    }

    /// Whom the request is of, that comes from a proxy: the last address that is no proxy's of those `is_trusted`.
    pub fn client(&self, is_trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        self.forwarded.iter().rev().copied().find(|&address| !is_trusted(address)).or(self.forwarded.first().copied())
    }

    fn read_fields(&mut self, headers: &[httparse::Header<'_>]) -> Result<(), RequestFault> {
        let (mut hosts, mut length, mut coded) = (0, None, false);
        let (mut upgrades, mut to_websocket, mut version_13) = (false, false, false);
        let (mut key, mut gzip) = (None, None);
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            // Latin-1 is not text of ours, and no field that we act on has it.
            let value = core::str::from_utf8(header.value).unwrap_or_default().trim();
            if is("host") {
                hosts += 1;
                self.host = String::try_from(value).map_err(|_| RequestFault::Host)?;
                if self.host.contains(['/', '@', '?', '#', ' ', '\t', ',']) {
                    return Err(RequestFault::Host);
                }
            } else if is("content-length") {
                if length.is_some() {
                    return Err(RequestFault::Length);
                }
                length = Some(digits(value).ok_or(RequestFault::Length)?);
            } else if is("transfer-encoding") {
                coded = true;
            } else if is("connection") {
                for token in tokens(value) {
                    if token.eq_ignore_ascii_case("close") {
                        self.keep_alive = false;
                    } else if token.eq_ignore_ascii_case("keep-alive") {
                        self.keep_alive = true;
                    } else if token.eq_ignore_ascii_case("upgrade") {
                        upgrades = true;
                    }
                }
            } else if is("upgrade") {
                to_websocket |= tokens(value).any(|token| token.eq_ignore_ascii_case("websocket"));
            } else if is("sec-websocket-version") {
                version_13 = value == "13";
            } else if is("sec-websocket-key") {
                key = String::try_from(value).ok();
            } else if is("user-agent") {
                self.agent = cut(value);
            } else if is("authorization") {
                let (scheme, secret) = value.split_once(' ').unwrap_or_default();
                if scheme.eq_ignore_ascii_case("bearer") {
                    self.bearer = cut(secret.trim());
                }
            } else if is("cookie") {
                self.session = value.split(';').find_map(session_of).or(self.session);
            } else if is("content-type") {
                let (media, _) = value.split_once(';').unwrap_or((value, ""));
                self.is_json = media.trim().eq_ignore_ascii_case("application/json");
            } else if is("referer") {
                self.referrer = cut(value);
            } else if is("if-none-match") {
                self.if_none_match = String::try_from(value).unwrap_or_default();
            } else if is("range") {
                self.range = Range::parse(value);
            } else if is("x-forwarded-for") {
                self.forwarded_for(value);
            } else if is("x-forwarded-proto") {
                self.forwarded_https = value.eq_ignore_ascii_case("https");
            } else if is("if-range") {
                // One that is too long is none of ours.
                self.if_range = String::try_from(value).unwrap_or_else(|_| cut(value));
            } else if is("accept-encoding") {
                gzip = Some(gzip.unwrap_or(false) || tokens(value).any(takes_gzip));
            } else if is("expect") {
                self.expects_continue = value.eq_ignore_ascii_case("100-continue");
            }
        }
        if coded {
            return Err(if length.is_some() { RequestFault::Length } else { RequestFault::Coding });
        }
        if hosts > 1 || self.is_http_1_1 && hosts == 0 {
            return Err(RequestFault::Host);
        }
        let length = length.unwrap_or(0);
        self.body_bytes =
            usize::try_from(length).ok().filter(|&bytes| bytes <= HTTP_BODY_BYTES).ok_or(RequestFault::BodyBytes)?;
        // Who says nothing takes anything (RFC 9110, section 12.5.3).
        self.takes_gzip = gzip.unwrap_or(true);
        if upgrades && to_websocket {
            self.upgrade = match key {
                Some(key) if version_13 && key.len() == 24 => Upgrade::WebSocket(key),
                _ => Upgrade::OtherWebSocket,
            };
        }
        Ok(())
    }
}

/// Whether a byte may be the first of a request: of a method, or of the line end that some send behind a body.
pub fn may_begin(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte == b'\r'
}

/// Every line ends in CR LF and is not folded, and no byte is NUL (RFC 9112, sections 2.2 and 5.2).
fn check_lines(head: &[u8]) -> Result<(), RequestFault> {
    let mut before = 0;
    for (at, &byte) in head.iter().enumerate() {
        let next = head.get(at + 1).copied();
        let wrong = match byte {
            0 => true,
            b'\n' => before != b'\r' || matches!(next, Some(b' ' | b'\t')),
            b'\r' => next != Some(b'\n'),
            _ => false,
        };
        if wrong {
            return Err(RequestFault::Line);
        }
        before = byte;
    }
    Ok(())
}

/// Whether a field says that the request comes from a page of another host. Browsers say it with all that could change something.
fn is_of_another(header: &httparse::Header<'_>, host: &str) -> bool {
    if header.name.eq_ignore_ascii_case("sec-fetch-site") {
        // Another port of the same host is another's, too.
        return !matches!(header.value, b"same-origin" | b"none");
    }
    let origin = core::str::from_utf8(header.value).unwrap_or_default().trim();
    let origin_host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    header.name.eq_ignore_ascii_case("origin") && !origin_host.is_some_and(|own| own.eq_ignore_ascii_case(host))
}

/// The session that a cookie is, if it is that one.
fn session_of(cookie: &str) -> Option<u128> {
    let (name, value) = cookie.trim().split_once('=')?;
    let is_number = value.len() == 2 * size_of::<u128>() && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    (name == SESSION_COOKIE && is_number).then(|| u128::from_str_radix(value, 16).ok())?
}

fn tokens(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|token| !token.is_empty())
}

/// Whether one of the codings that a client takes is gzip, and not with a weight of nothing.
fn takes_gzip(coding: &str) -> bool {
    let mut parts = coding.split(';').map(str::trim);
    let is_it = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name == "*");
    is_it && !parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
}

/// A number in digits alone: `parse` would take a sign.
fn digits(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// As much of a text as fits.
fn cut<const N: usize>(text: &str) -> String<N> {
    let mut kept = String::new();
    for letter in text.chars() {
        if kept.push(letter).is_err() {
            break;
        }
    }
    kept
}

/// Replaces each escape once (RFC 3986, section 2.1), and in a query a plus by a blank.
///
/// # Errors
///
/// It is none, no text, or longer.
pub fn decode<const N: usize>(text: &str, plus: bool) -> Result<String<N>, RequestFault> {
    let mut bytes = heapless::Vec::<u8, N>::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let byte = match (first, behind) {
            (b'%', [high, low, ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let (high, low) = (digit(high).ok_or(RequestFault::Target)?, digit(low).ok_or(RequestFault::Target)?);
                rest = &behind[2..];
                (high * 16 + low) as u8
            }
            (b'%', _) => return Err(RequestFault::Target),
            (b'+', _) if plus => {
                rest = behind;
                b' '
            }
            _ => {
                rest = behind;
                *first
            }
        };
        bytes.push(byte).map_err(|_| RequestFault::TargetBytes)?;
    }
    String::from_utf8(bytes).map_err(|_| RequestFault::Target)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;
    use std::string::String as StdString;

    use proptest::prelude::*;

    use super::*;

    fn parse(head: &str) -> Result<HttpRequest, RequestFault> {
        HttpRequest::parse(head.as_bytes())
    }

    fn get(target: &str) -> Result<HttpRequest, RequestFault> {
        parse(&format!("GET {target} HTTP/1.1\r\nHost: rill.local\r\n\r\n"))
    }

    fn with(fields: &str) -> Result<HttpRequest, RequestFault> {
        parse(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
    }

    #[test]
    fn a_browsers_head_is_read() {
        let request = parse(
            "GET /live/cam%201.flv?key=a%26b&audio=0 HTTP/1.1\r\nHost: 10.0.0.5:8080\r\nConnection: keep-alive, Upgrade\r\n\
             User-Agent: Mozilla/5.0\r\nUpgrade: websocket\r\nOrigin: http://10.0.0.5:8080\r\nSec-WebSocket-Version: 13\r\n\
             Accept-Encoding: gzip, deflate\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .unwrap();
        assert_eq!(request.path, "/live/cam 1.flv");
        assert_eq!(request.query::<8>("key").unwrap(), "a&b");
        assert_eq!(request.query::<8>("audio").unwrap(), "0");
        assert_eq!(request.query::<8>("video"), None);
        assert_eq!(request.host, "10.0.0.5:8080");
        assert_eq!(request.upgrade, Upgrade::WebSocket(String::try_from("dGhlIHNhbXBsZSBub25jZQ==").unwrap()));
        assert!(request.keep_alive && request.takes_gzip && request.is_http_1_1);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (head, fault) in [
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", RequestFault::Line),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", RequestFault::Line),
            ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", RequestFault::Line),
            ("GET / HTTP/1.1\r\nHost: a\r\n X: b\r\n\r\n", RequestFault::Line),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: b\0\r\n\r\n", RequestFault::Line),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", RequestFault::Syntax),
            ("GET / HTTP/1.1\r\n\r\n", RequestFault::Host),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", RequestFault::Host),
            ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", RequestFault::Host),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", RequestFault::Length),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", RequestFault::Length),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", RequestFault::Length),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", RequestFault::Length),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n", RequestFault::BodyBytes),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", RequestFault::Length),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", RequestFault::Coding),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", RequestFault::Coding),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
                RequestFault::Length,
            ),
            ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", RequestFault::Method),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", RequestFault::Version),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", RequestFault::Syntax),
            ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", RequestFault::Target),
            ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", RequestFault::Target),
        ] {
            assert_eq!(parse(head).err(), Some(fault), "{head:?}");
        }
        let many: StdString = (0..HTTP_HEADERS).map(|at| format!("X-{at}: 1\r\n")).collect();
        assert_eq!(with(&many).err(), Some(RequestFault::Headers));
    }

    #[test]
    fn a_path_is_decoded_once_and_leads_nowhere_else() {
        for (target, path) in [("/", "/"), ("/a%2Fb", "/a/b"), ("/%2541", "/%41"), ("/%C3%A4", "/ä"), ("/a+b", "/a+b")]
        {
            assert_eq!(get(target).unwrap().path, path, "{target}");
        }
        for target in [
            "/../a",
            "/a/..",
            "/%2e%2e/a",
            "/a/%2E/b",
            "/..%2fa",
            "/%",
            "/%4",
            "/%zz",
            "/%00",
            "/%ff",
            "/%0a",
            "/a#b",
            "/é",
        ] {
            assert_eq!(get(target).err(), Some(RequestFault::Target), "{target}");
        }
        assert_eq!(get(&format!("/{}", "a".repeat(HTTP_PATH_BYTES))).err(), Some(RequestFault::TargetBytes));
        assert_eq!(get(&format!("/?{}", "a".repeat(HTTP_QUERY_BYTES + 1))).err(), Some(RequestFault::TargetBytes));
    }

    #[test]
    fn an_absolute_address_names_its_host() {
        let request = get("http://other:80/a?b=c").unwrap();
        assert_eq!((request.host.as_str(), request.path.as_str()), ("other:80", "/a"));
        assert_eq!(get("http://other").unwrap().path, "/");
    }

    #[test]
    fn a_part_is_within_what_there_is() {
        for (field, of_ten) in [
            ("bytes=0-0", Some((0, 1))),
            ("bytes=3-", Some((3, 7))),
            ("bytes=3-99", Some((3, 7))),
            ("bytes=-4", Some((6, 4))),
            ("bytes=-40", Some((0, 10))),
            ("bytes=10-", None),
            ("bytes=-0", None),
        ] {
            let request = with(&format!("Range: {field}\r\n")).unwrap();
            assert_eq!(request.range.unwrap().within(10), of_ten, "{field}");
        }
        for field in ["bytes=0-1,3-4", "items=0-1", "bytes=2-1", "bytes=a-b", "bytes=-", "0-1"] {
            assert_eq!(with(&format!("Range: {field}\r\n")).unwrap().range, None, "{field}");
        }
    }

    #[test]
    fn a_proxy_says_whom_a_request_is_of_and_others_say_nothing_behind_it() {
        let proxies: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        let client = |fields: &str| with(fields).unwrap().client(|address| proxies.contains(&address));
        let is = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        for (fields, expected) in [
            ("", None),
            ("X-Forwarded-For: 192.0.2.7\r\n", is("192.0.2.7")),
            ("X-Forwarded-For: 198.51.100.1, 192.0.2.7\r\n", is("192.0.2.7")),
            ("X-Forwarded-For: 192.0.2.7, fd00::1, 10.0.0.1\r\n", is("192.0.2.7")),
            ("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 192.0.2.8\r\n", is("192.0.2.8")),
            ("X-Forwarded-For: 192.0.2.7:4000\r\n", is("192.0.2.7")),
            ("X-Forwarded-For: [2001:db8::7]:4000\r\n", is("2001:db8::7")),
            ("X-Forwarded-For: [2001:db8::7]\r\n", is("2001:db8::7")),
            ("X-Forwarded-For: unknown, 192.0.2.7\r\n", is("192.0.2.7")),
            ("X-Forwarded-For: 192.0.2.7, unknown\r\n", None),
            ("X-Forwarded-For: 10.0.0.1\r\n", is("10.0.0.1")),
            ("X-Forwarded-For: 1.1.1.1, 1.1.1.2, 1.1.1.3, 1.1.1.4, 1.1.1.5\r\n", is("1.1.1.5")),
        ] {
            assert_eq!(client(fields), expected, "{fields}");
        }
        assert!(with("X-Forwarded-Proto: https\r\n").unwrap().forwarded_https);
    }

    #[test]
    fn who_has_sent_a_request_is_known_by_its_origin_key_and_session() {
        for own in [
            "",
            "Origin: http://a\r\n",
            "Origin: https://A\r\n",
            "Sec-Fetch-Site: same-origin\r\n",
            "Sec-Fetch-Site: none\r\n",
        ] {
            assert!(!with(own).unwrap().is_foreign, "{own}");
        }
        for foreign in [
            "Origin: null\r\n",
            "Origin: http://b\r\n",
            "Origin: http://a:81\r\n",
            "Origin: http://a.b\r\n",
            "Origin: a\r\n",
            "Origin: http://a\r\nOrigin: http://b\r\n",
            "Sec-Fetch-Site: cross-site\r\n",
            "Sec-Fetch-Site: same-site\r\n",
        ] {
            assert!(with(foreign).unwrap().is_foreign, "{foreign}");
        }
        assert_eq!(with("Authorization: bearer  s3cret \r\n").unwrap().bearer, "s3cret");
        assert_eq!(with("Authorization: Basic s3cret\r\n").unwrap().bearer, "");
        let long = "k".repeat(ADMIN_KEY_BYTES + 9);
        assert_eq!(with(&format!("Authorization: Bearer {long}\r\n")).unwrap().bearer.len(), ADMIN_KEY_BYTES + 1);
        let session = |cookies: &str| with(&format!("Cookie: {cookies}\r\n")).unwrap().session;
        let hex = "0123456789abcdef0123456789abcdef";
        assert_eq!(session(&format!("a=b; rill_session={hex}")), Some(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef));
        for no in ["", "rill_session=", "rill_session=1", "xrill_session=0123456789abcdef0123456789abcdef"] {
            assert_eq!(session(no), None, "{no}");
        }
        assert_eq!(session(&format!("rill_session=+{}", &hex[1..])), None);
        assert!(with("Content-Type: Application/JSON; charset=utf-8\r\n").unwrap().is_json);
        assert!(!with("Content-Type: text/plain\r\n").unwrap().is_json);
    }

    #[test]
    fn a_copy_is_known_by_its_tag() {
        let request = with("If-None-Match: \"a\", W/\"b\"\r\n").unwrap();
        assert!(request.has_copy_of("a") && request.has_copy_of("b") && !request.has_copy_of("c"));
        assert!(with("If-None-Match: *\r\n").unwrap().has_copy_of("c"));
    }

    #[test]
    fn gzip_is_taken_by_who_says_so_and_by_who_says_nothing() {
        let takes = |fields| with(fields).unwrap().takes_gzip;
        assert!(takes("") && takes("Accept-Encoding: br, gzip;q=0.5\r\n") && takes("Accept-Encoding: *\r\n"));
        assert!(!takes("Accept-Encoding: identity\r\n") && !takes("Accept-Encoding: gzip;q=0\r\n"));
    }

    proptest! {
        #[test]
        fn no_bytes_are_more_than_a_fault(head in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = HttpRequest::parse(&head);
        }

        #[test]
        fn a_path_comes_back_as_it_was_escaped(path in "[a-zA-Z0-9 äöü/%+?#&\"<>-]{0,40}") {
            let escaped: StdString = path.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assume!(!path.split('/').any(|part| part == "." || part == ".."));
            let request = get(&format!("/{escaped}")).unwrap();
            prop_assert_eq!(request.path.as_str(), format!("/{path}"));
            let query = parse(&format!("GET /?a=1&k={escaped} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
            prop_assert_eq!(query.query::<300>("k"), String::try_from(path.as_str()).ok());
        }

        #[test]
        fn a_line_end_more_is_a_fault_or_the_end(at in 1_usize..30, byte in prop::sample::select(&b"\r\n\0"[..])) {
            let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\n".to_vec();
            head.insert(at, byte);
            prop_assert!(HttpRequest::parse(&head).is_err());
        }
    }
}
