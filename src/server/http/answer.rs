//! What a route answers: a status, what its head says, and a body.

use core::fmt::{self, Write};

use crate::wire::http::HttpStatus;

use super::body::Content;

/// What comes of a request.
#[expect(clippy::large_enum_variant, reason = "it lives for a call")]
pub(super) enum HttpAnswer {
    /// This.
    Now(Response),
    /// Nothing yet: the route is asked again when somebody knows more (`Server::wake_parked`), and at each sweep of the
    /// deadlines besides. It is the route that gives up, by how long the request has waited.
    Park,
}

/// How long an answer may be kept by who is between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cache {
    /// Not at all.
    No,
    /// So many seconds: its address will never mean anything else.
    For(u32),
    /// Until its tag is another.
    Tag(&'static str),
}

/// What tells a file from another of its name, and from itself when it has grown.
#[derive(Clone, Debug)]
pub(super) struct Etag(heapless::String<{ 2 * 16 + 1 }>);

impl Etag {
    pub(super) fn of(written_ns: u64, bytes: u64) -> Etag {
        let mut text = heapless::String::new();
        let written = write!(text, "{written_ns:x}-{bytes:x}");
        debug_assert!(written.is_ok(), "two numbers of sixteen digits fit");
        Etag(text)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Longest address that a client is sent to. A longer one is none.
const LOCATION_BYTES: usize = 512;

/// Where a client is sent to: an address of HTTP, or a path of this server.
pub(super) struct Location(heapless::String<LOCATION_BYTES>);

impl Location {
    /// It stands in a head, so it has no byte that an address cannot have.
    pub(super) fn parse(text: &str) -> Option<Location> {
        let is_address = ["http://", "https://", "/"].iter().any(|begin| text.starts_with(begin));
        let is_clean = text.bytes().all(|byte| byte.is_ascii_graphic());
        heapless::String::try_from(text).ok().filter(|_| is_address && is_clean).map(Location)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The session of a browser.
#[derive(Clone, Copy)]
pub(super) struct SessionCookie {
    /// What begins; `None` when it ends.
    pub(super) token: Option<u128>,
    /// The browser sends it over TLS alone.
    pub(super) is_secure: bool,
}

/// An answer.
pub(super) struct Response {
    pub(super) status: HttpStatus,
    pub(super) content_type: &'static str,
    pub(super) cache: Cache,
    pub(super) is_gzip: bool,
    /// Any page may read it: media, and what says nothing that is not public.
    pub(super) is_public: bool,
    /// Of a file that may be had in part: what tells it from another.
    pub(super) etag: Option<Etag>,
    /// It is a page, which may load nothing from elsewhere.
    pub(super) is_page: bool,
    /// First byte and length of the whole, of a part.
    pub(super) range: Option<(u64, u64)>,
    /// The connection speaks WebSocket behind it: the answer to the client's key.
    pub(super) accept: Option<heapless::String<28>>,
    /// Where to ask instead.
    pub(super) location: Option<Location>,
    /// What may be asked instead; empty where that is not said.
    pub(super) allow: &'static str,
    /// The session that begins or ends.
    pub(super) cookie: Option<SessionCookie>,
    /// In how many seconds to come again, where it may be asked again.
    pub(super) retry_s: u8,
    /// The connection ends behind it.
    pub(super) closes: bool,
    pub(super) body: Content,
}

impl Response {
    /// With a body of this type, which is to be set.
    pub(super) fn new(status: HttpStatus, content_type: &'static str) -> Response {
        Response {
            status,
            content_type,
            cache: Cache::No,
            is_gzip: false,
            is_public: false,
            etag: None,
            is_page: false,
            range: None,
            accept: None,
            location: None,
            allow: "",
            cookie: None,
            retry_s: 2,
            closes: false,
            body: Content::Empty,
        }
    }

    /// A refusal, with a line for a person who reads it. What is longer than a short text is cut.
    pub(super) fn error(status: HttpStatus, words: impl fmt::Display) -> Response {
        Response::new(status, "text/plain; charset=utf-8").public().with(Content::text(format_args!("{words}\n")))
    }

    pub(super) fn with(self, body: Content) -> Response {
        Response { body, ..self }
    }

    pub(super) fn cache(self, cache: Cache) -> Response {
        Response { cache, ..self }
    }

    pub(super) fn public(self) -> Response {
        Response { is_public: true, ..self }
    }

    pub(super) fn gzip(self) -> Response {
        Response { is_gzip: true, ..self }
    }

    pub(super) fn page(self) -> Response {
        Response { is_page: true, ..self }
    }

    pub(super) fn closing(self) -> Response {
        Response { closes: true, ..self }
    }
}
