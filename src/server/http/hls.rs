//! HLS (RFC 8216, and blocking reload of its second edition): playlists of what the ring holds, and segments that are ranges of it.
//!
//! Names of segments begin with eight hexadecimal digits that are another number for every playlist and after every start, so that no
//! cache mixes two. A request for a segment that is not there yet is parked.

use core::fmt::{self, Write};

use crate::handles::{ConnId, StreamId};
use crate::live::names::Media;
use crate::live::reader::StreamView;
use crate::media::Cursor;
use crate::media::headers::headers_mark;
use crate::media::segments::{LISTED_LEAST, SegmentList};
use crate::media::tracks::{WantedTracks, describe};
use crate::server::Server;
use crate::time::Millis;
use crate::wire::codec::VideoInfo;
use crate::wire::flv::MediaType;
use crate::wire::http::{HttpRequest, HttpStatus};

use super::answer::{Cache, HttpAnswer, Response};
use super::body::{Content, Pieces, TextKind, TextPiece};
use super::ring_part::RingPart;
use super::watch::SeenStream;

const ALL: WantedTracks = WantedTracks { video: true, audio: true };
const PLAYLIST: &str = "application/vnd.apple.mpegurl";
/// How long a request waits for the first segments, in milliseconds: players give up at the first 404.
const FIRST_MS: u64 = 12_000;
/// How long segments may be kept, in seconds.
const KEPT_S: u32 = 60;
/// Over how long the bit rate is measured, in milliseconds.
const RATE_MS: u32 = 10_000;
/// Between the path of a stream and the names of what belongs to it.
const FOLDER: &str = "/hls/";

/// A playlist: of the stream, or of its segments.
pub(super) fn playlist(server: &mut Server, conn: ConnId, request: &HttpRequest, now: Millis) -> HttpAnswer {
    let path = request.path.strip_suffix(".m3u8").unwrap_or_default();
    let (path, name) = path.rsplit_once(FOLDER).unwrap_or((path, "index"));
    let stream = match find(server, conn, request, path, now) {
        Ok(stream) => stream,
        Err(answer) => return answer,
    };
    let source = StreamView::of(&server.live.names, stream);
    let Some(media) = source.media else { return not_found() };
    let Some(list) = media.segments().list(media.ring()) else {
        if request.waited_ms < FIRST_MS {
            return HttpAnswer::Park;
        }
        return refuse(
            HttpStatus::ServiceUnavailable,
            format_args!(
                "HLS needs {LISTED_LEAST} groups of pictures in memory: a key frame every second or two, or more limits.ring_bytes"
            ),
        );
    };
    if name == "index" {
        return text(TextKind::HlsIndex(stream));
    }
    if name != server.hls_prefix(stream, list.playlist).as_str() {
        return not_found();
    }
    let next = list.first + list.segments.len() as u32;
    let wanted = request.query::<10>("_HLS_msn").map(|number| number.parse::<u32>());
    match wanted {
        Some(Err(_)) => refuse(HttpStatus::BadRequest, format_args!("_HLS_msn is a number")),
        Some(Ok(number)) if number > next + 1 => {
            refuse(HttpStatus::BadRequest, format_args!("segment {number} is far ahead"))
        }
        Some(Ok(number)) if number >= next && source.published => {
            match request.waited_ms < u64::from(list.target_s) * 3000 {
                true => HttpAnswer::Park,
                false => refuse(HttpStatus::ServiceUnavailable, format_args!("segment {number} does not come")),
            }
        }
        None if request.query::<10>("_HLS_part").is_some() => {
            refuse(HttpStatus::BadRequest, format_args!("_HLS_part without _HLS_msn"))
        }
        Some(Ok(_)) | None => text(TextKind::HlsSegments(stream)),
    }
}

/// A segment.
pub(super) fn segment(server: &mut Server, conn: ConnId, request: &HttpRequest, now: Millis) -> HttpAnswer {
    let (stream, media, number) = match named(server, conn, request, ".m4s", now) {
        Ok(named) => named,
        Err(answer) => return answer,
    };
    let segments = media.segments();
    let found = number.parse().ok().and_then(|number| segments.segment(segments.playlist(), number));
    let Some(found) = found.filter(|segment| segment.from >= media.ring().oldest()) else { return not_found() };
    part(RingPart::new(stream, media, ALL, (found.from, found.end), false))
}

/// An init segment.
pub(super) fn init(server: &mut Server, conn: ConnId, request: &HttpRequest, now: Millis) -> HttpAnswer {
    let (stream, media, mark) = match named(server, conn, request, ".init.mp4", now) {
        Ok(named) => named,
        Err(answer) => return answer,
    };
    if u32::from_str_radix(mark, 16) != Ok(headers_mark(media.headers())) {
        return not_found();
    }
    let key = media.join(None).map_or(Cursor::default(), |point| point.cursor).seq;
    part(RingPart::new(stream, media, ALL, (key, key), true))
}

/// The stream of a path, if the client may see it and it is there; else what it hears.
#[expect(clippy::result_large_err, reason = "it is handed on as it is, once a request")]
fn find(
    server: &mut Server,
    conn: ConnId,
    request: &HttpRequest,
    path: &str,
    now: Millis,
) -> Result<StreamId, HttpAnswer> {
    let SeenStream { app, path } = server.may_watch(conn, request, path, now).map_err(HttpAnswer::from)?;
    server.live.names.find(app, &path).ok_or_else(not_found)
}

/// The stream to whose present playlist a file of this ending belongs, and what its name says behind the playlist's; else what the
/// client hears.
#[expect(clippy::result_large_err, reason = "it is handed on as it is, once a request")]
fn named<'a>(
    server: &'a mut Server,
    conn: ConnId,
    request: &'a HttpRequest,
    ending: &str,
    now: Millis,
) -> Result<(StreamId, &'a Media, &'a str), HttpAnswer> {
    let path = request.path.strip_suffix(ending).unwrap_or_default();
    let (path, name) = path.rsplit_once(FOLDER).ok_or_else(not_found)?;
    let (prefix, name) = name.split_once('-').ok_or_else(not_found)?;
    let stream = find(server, conn, request, path, now)?;
    let media = StreamView::of(&server.live.names, stream).media.ok_or_else(not_found)?;
    if prefix != server.hls_prefix(stream, media.segments().playlist()).as_str() {
        return Err(not_found());
    }
    Ok((stream, media, name))
}

fn not_found() -> HttpAnswer {
    refuse(HttpStatus::NotFound, format_args!("there is nothing of that name"))
}

fn refuse(status: HttpStatus, words: fmt::Arguments<'_>) -> HttpAnswer {
    HttpAnswer::Now(Response::error(status, words))
}

fn text(what: TextKind) -> HttpAnswer {
    HttpAnswer::Now(Response::new(HttpStatus::Ok, PLAYLIST).public().with(Content::Pieces(Pieces::new(what))))
}

fn part(part: RingPart) -> HttpAnswer {
    let answer = Response::new(HttpStatus::Ok, "video/mp4").cache(Cache::For(KEPT_S)).public();
    HttpAnswer::Now(answer.with(Content::Ring(part)))
}

impl Server {
    /// What the names of a playlist begin with.
    fn hls_prefix(&self, stream: StreamId, playlist: u32) -> heapless::String<8> {
        let mixed = (u64::from(self.life.nonce) << 32 | u64::from(playlist)) ^ (stream.0 as u64).rotate_left(20);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mut prefix = heapless::String::new();
        // It has eight digits.
        let _ = write!(prefix, "{:08x}", (mixed >> 32) as u32);
        prefix
    }

    /// Writes the playlist of a stream, which names that of its segments.
    pub(super) fn hls_index(
        &self,
        stream: StreamId,
        request: &HttpRequest,
        now: Millis,
        out: &mut TextPiece,
    ) -> fmt::Result {
        let Some(media) = StreamView::of(&self.live.names, stream).media else { return Ok(()) };
        let (bytes, lasts_ms) = media.ring().arrived_within(RATE_MS, now);
        let rate = bytes * 8000 / u64::from(lasts_ms.max(1));
        let found = describe(media, ALL, None);
        let names = found.names.iter().flatten();
        write!(
            out,
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={rate},CODECS=\"",
            rate * 3 / 2
        )?;
        for (index, name) in names.enumerate() {
            write!(out, "{}{name}", if index == 0 { "" } else { "," })?;
        }
        out.write_str("\"")?;
        let record = media.headers().record(MediaType::Video);
        let video = record.and_then(|(codec, record)| VideoInfo::parse(codec, record));
        if let Some(size) = video.and_then(|video| video.size) {
            write!(out, ",RESOLUTION={size}")?;
        }
        if let Some(rate) = media.facts().frame_rate_milli {
            write!(out, ",FRAME-RATE={}.{:03}", rate / 1000, rate % 1000)?;
        }
        // It is named as seen from where this one is.
        let folder = match request.path.rsplit_once(FOLDER) {
            Some(_) => None,
            None => request.path.strip_suffix(".m3u8").and_then(|path| path.rsplit('/').next()),
        };
        out.write_str("\n")?;
        if let Some(folder) = folder {
            for byte in folder.bytes() {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                        out.push(byte.into()).map_err(|_| fmt::Error)?
                    }
                    _ => write!(out, "%{byte:02X}")?,
                }
            }
            out.write_str(FOLDER)?;
        }
        writeln!(out, "{}.m3u8", self.hls_prefix(stream, media.segments().playlist()))
    }

    /// Writes the playlist of its segments.
    pub(super) fn hls_segments(&self, stream: StreamId, out: &mut TextPiece) -> fmt::Result {
        let source = StreamView::of(&self.live.names, stream);
        let Some(media) = source.media else { return Ok(()) };
        let Some(list) = media.segments().list(media.ring()) else { return Ok(()) };
        let SegmentList { playlist, target_s, first, cuts, segments } = list;
        let prefix = self.hls_prefix(stream, playlist);
        write!(
            out,
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target_s}\n#EXT-X-MEDIA-SEQUENCE:{first}\n\
             #EXT-X-DISCONTINUITY-SEQUENCE:{cuts}\n\
             #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK={}.0\n#EXT-X-INDEPENDENT-SEGMENTS\n",
            3 * target_s
        )?;
        let mut mark = None;
        for (number, segment) in (first..).zip(&segments) {
            if segment.is_cut {
                out.write_str("#EXT-X-DISCONTINUITY\n")?;
            }
            if mark.replace(segment.mark) != Some(segment.mark) {
                writeln!(out, "#EXT-X-MAP:URI=\"{prefix}-{:08x}.init.mp4\"", segment.mark)?;
            }
            let (seconds, ms) = (segment.duration_ms / 1000, segment.duration_ms % 1000);
            write!(out, "#EXTINF:{seconds}.{ms:03},\n{prefix}-{number}.m4s\n")?;
        }
        if source.published { Ok(()) } else { out.write_str("#EXT-X-ENDLIST\n") }
    }
}
