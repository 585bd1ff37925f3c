//! Heads of answers (RFC 9112, section 6).

use core::fmt::{self, Write};

use crate::limits::{ADMIN_SESSION_S, TX_BYTES};
use crate::rtmp::tx::TxBuf;
use crate::wire::bytes::Full;
use crate::wire::http::{HttpRequest, HttpStatus, SESSION_COOKIE};

use super::answer::{Cache, Response, SessionCookie};
use super::carrier::{Carrier, put_whole};

/// Longest head of an answer, and a short text behind it.
const HEAD_BYTES: usize = 2048;
const _: () = assert!(HEAD_BYTES < TX_BYTES, "it is written to an empty buffer");

/// A page loads what this server has, and nothing else.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    media-src 'self' blob:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'";

/// Says that a body may be sent.
pub(super) fn go_on(tx: &mut TxBuf) {
    put(tx, b"HTTP/1.1 100 Continue\r\n\r\n");
}

/// Writes a head to an empty buffer. Returns whether the body behind it comes in chunks, and whether the connection ends behind that.
pub(super) fn write(tx: &mut TxBuf, response: &Response, request: &HttpRequest, closes: bool) -> (bool, bool) {
    let mut head = heapless::String::<HEAD_BYTES>::new();
    if let Some(accept) = &response.accept {
        let status = HttpStatus::SwitchingProtocols;
        let _ = write!(
            head,
            "HTTP/1.1 {} {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n",
            status.code(),
            status.reason()
        );
        put(tx, head.as_bytes());
        return (false, true);
    }
    let length = response.body.length();
    let is_chunked = length.is_none() && request.is_http_1_1;
    let closes = closes || response.closes || length.is_none() && !is_chunked;
    let written = fields(&mut head, response, length, is_chunked, closes);
    // No field of it is a client's.
    debug_assert!(written.is_ok(), "a head fits an empty buffer");
    put(tx, head.as_bytes());
    (is_chunked, closes)
}

fn fields(
    head: &mut heapless::String<HEAD_BYTES>,
    response: &Response,
    length: Option<u64>,
    is_chunked: bool,
    closes: bool,
) -> fmt::Result {
    let Response { status, content_type, cache, is_gzip, is_public, is_page, etag, range, location, allow, .. } =
        response;
    write!(head, "HTTP/1.1 {} {}\r\n", status.code(), status.reason())?;
    let has_body = !matches!(status, HttpStatus::NoContent | HttpStatus::NotModified);
    if has_body {
        write!(head, "Content-Type: {content_type}\r\n")?;
        match length {
            Some(length) => write!(head, "Content-Length: {length}\r\n")?,
            None if is_chunked => head.write_str("Transfer-Encoding: chunked\r\n")?,
            None => {}
        }
    }
    if *is_gzip {
        head.write_str("Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n")?;
    }
    if let Some((first, whole)) = range {
        match (status, length) {
            (HttpStatus::PartialContent, Some(length)) => {
                write!(head, "Content-Range: bytes {first}-{}/{whole}\r\n", first + length.saturating_sub(1))?;
            }
            _ => write!(head, "Content-Range: bytes */{whole}\r\n")?,
        }
    }
    match cache {
        Cache::No => head.write_str("Cache-Control: no-cache\r\n")?,
        Cache::For(seconds) => write!(head, "Cache-Control: max-age={seconds}\r\n")?,
        Cache::Tag(tag) => write!(head, "Cache-Control: no-cache\r\nETag: \"{tag}\"\r\n")?,
    }
    if let Some(etag) = etag {
        write!(head, "ETag: \"{}\"\r\nAccept-Ranges: bytes\r\n", etag.as_str())?;
    }
    if *is_public {
        head.write_str(
            "Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: Content-Length, Content-Range\r\n",
        )?;
    }
    if *is_page {
        write!(head, "Content-Security-Policy: {PAGE_POLICY}\r\n")?;
    }
    if let Some(location) = location {
        write!(head, "Location: {}\r\n", location.as_str())?;
    }
    if !allow.is_empty() {
        write!(head, "Allow: {allow}\r\n")?;
        if *is_public {
            write!(head, "Access-Control-Allow-Methods: {allow}\r\nAccess-Control-Allow-Headers: Range\r\n")?;
        }
    }
    if let Some(SessionCookie { token, is_secure }) = response.cookie {
        let (token, seconds) = token.map_or((0, 0), |token| (token, ADMIN_SESSION_S));
        let secure = if is_secure { "; Secure" } else { "" };
        write!(
            head,
            "Set-Cookie: {SESSION_COOKIE}={token:032x}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Strict{secure}\r\n"
        )?;
    }
    match status {
        HttpStatus::ServiceUnavailable | HttpStatus::TooManyRequests => {
            write!(head, "Retry-After: {}\r\n", response.retry_s)?;
        }
        HttpStatus::Unauthorized => head.write_str("WWW-Authenticate: Bearer realm=\"rill\"\r\n")?,
        HttpStatus::UpgradeRequired => {
            head.write_str("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n")?;
        }
        _ => {}
    }
    head.write_str("X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n")?;
    head.write_str(if closes { "Connection: close\r\n\r\n" } else { "Connection: keep-alive\r\n\r\n" })
}

/// Adds a piece of a body, with its length in front if it comes in chunks.
pub(super) fn put_piece(tx: &mut TxBuf, piece: &[u8], is_chunked: bool) {
    let carrier = if is_chunked { Carrier::Chunked } else { Carrier::Plain };
    fits(carrier.put(tx, &[piece]));
}

/// Adds bytes, for which there is room.
pub(super) fn put(tx: &mut TxBuf, bytes: &[u8]) {
    fits(put_whole(tx, [bytes]));
}

fn fits(written: Result<(), Full>) {
    debug_assert!(written.is_ok(), "nothing is said before what was said was taken");
}

/// What a client hears for which there is no connection.
pub(super) const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 2\r\nConnection: close\r\n\r\n";
/// What a client hears that has as many connections as it may have.
pub(super) const TOO_MANY: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nRetry-After: 2\r\nConnection: close\r\n\r\n";
