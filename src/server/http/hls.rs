//! HLS (RFC 8216, and blocking reload of its second edition): playlists of what the ring holds, and segments that are ranges of it.
//!
//! Names of segments begin with eight hexadecimal digits that are another number for every playlist and after every start, so that no
//! cache mixes two. A request for a segment that is not there yet is parked.

use core::fmt::{self, Write};

use crate::handles::{ConnId, StreamId};
use crate::limits::HTTP_QUERY_BYTES;
use crate::live::app::KEY_NAMES;
use crate::live::links::LINK_NAMES;
use crate::live::names::Media;
use crate::live::reader::StreamView;
use crate::live::settings::Settings;
use crate::media::Cursor;
use crate::media::headers::headers_mark;
use crate::media::segments::{LISTED_LEAST, MediaSegment, NoPlaylist, SegmentList};
use crate::media::tracks::WantedTracks;
use crate::server::Server;
use crate::time::{ClockTime, Millis};
use crate::wire::codec::VideoInfo;
use crate::wire::flv::MediaType;
use crate::wire::http::{HttpRequest, HttpStatus};

use super::answer::{Cache, HttpAnswer, Response};
use super::body::{Content, PIECE_BYTES, Pieces, TextKind, TextPiece, TextPlace, TextProgress};
use super::ring_part::RingPart;
use super::watch::{Purpose, SeenStream};

const ALL: WantedTracks = WantedTracks { video: true, audio: true };
const PLAYLIST: &str = "application/vnd.apple.mpegurl";
/// How long a request waits for a name that is not live, and for its first segments, in milliseconds: players give up at the first 404.
const FIRST_MS: u64 = 12_000;
/// How long a request waits for headers that are not there, in milliseconds.
const INIT_MS: u64 = 2000;
/// How long segments may be kept, in seconds.
const KEPT_S: u32 = 60;
/// Over how long the bit rate is measured, in milliseconds.
const RATE_MS: u32 = 10_000;
/// The most that is said of a segment in a playlist, in bytes: its own URL and that of its init segment, each with keys, and tags.
const LINES_BYTES: usize = 2 * HTTP_QUERY_BYTES + 320;
const _: () = assert!(LINES_BYTES + 320 < PIECE_BYTES, "a piece has room for a head and a segment");
/// Between the path of a stream and the names of what belongs to it.
const FOLDER: &str = "/hls/";

/// A playlist: of the stream, or of its segments.
pub(super) fn playlist(server: &mut Server, conn: ConnId, request: &HttpRequest, now: Millis) -> HttpAnswer {
    let path = request.path.strip_suffix(".m3u8").unwrap_or_default();
    let (path, name) = path.rsplit_once(FOLDER).unwrap_or((path, "index"));
    let SeenStream { app, path } = match server.may_see(conn, request, path, Purpose::WatchInParts, now) {
        Ok(seen) => seen,
        Err(not) => return not.into(),
    };
    // A name that is not live is waited for.
    let waits = name == "index" && request.waited_ms < FIRST_MS;
    let none = || if waits { HttpAnswer::Park } else { not_found() };
    let Some(stream) = server.live.names.find(app, &path) else { return none() };
    if let Some((_, media)) = server.live.names.with_media(stream) {
        media.segments_mut().set_clock(server.life.clock_ms);
    }
    let Some(media) = StreamView::of(&server.live.names, stream).media else { return none() };
    let (segments, ring) = (media.segments(), media.ring());
    let named = segments.playlists().find(|&playlist| name == server.hls_prefix(stream, playlist).as_str());
    let list = match (name, named) {
        ("index", _) => segments.list(ring),
        (_, Some(playlist)) => segments.list_of(playlist, ring),
        (_, None) => return not_found(),
    };
    let list = match list {
        Ok(list) => list,
        Err(NoPlaylist::Yet) if waits => return HttpAnswer::Park,
        Err(why) => {
            return refuse(HttpStatus::ServiceUnavailable, format_args!("{}", WhyNoPlaylist(why, &server.settings)));
        }
    };
    if name == "index" {
        return text(TextKind::HlsIndex(stream));
    }
    let next = list.next();
    let wanted = request.query::<10>("_HLS_msn").map(|number| number.parse::<u32>());
    match wanted {
        Some(Err(_)) => return refuse(HttpStatus::BadRequest, format_args!("_HLS_msn is a number")),
        Some(Ok(number)) if number > next + 1 => {
            return refuse(HttpStatus::BadRequest, format_args!("segment {number} is far ahead"));
        }
        None if request.query::<10>("_HLS_part").is_some() => {
            return refuse(HttpStatus::BadRequest, format_args!("_HLS_part without _HLS_msn"));
        }
        Some(Ok(_)) | None => {}
    }
    if !server.watches_hls(conn, request, (app, stream), list.target_s, now) {
        return refuse(HttpStatus::Forbidden, format_args!("the operator has ended this"));
    }
    match wanted {
        Some(Ok(number)) if number >= next && !list.is_over => {
            match request.waited_ms < u64::from(list.target_s) * 3000 {
                true => HttpAnswer::Park,
                false => refuse(HttpStatus::ServiceUnavailable, format_args!("segment {number} does not come")),
            }
        }
        _ => text(TextKind::HlsSegments(stream, list.playlist)),
    }
}

/// Why there is no playlist, for whoever can change it.
struct WhyNoPlaylist<'s>(NoPlaylist, &'s Settings);

impl fmt::Display for WhyNoPlaylist<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WhyNoPlaylist(why, settings) = self;
        match *why {
            NoPlaylist::Yet => write!(
                f,
                "HLS begins with {LISTED_LEAST} segments, which are not there yet: a key frame every second or two makes it begin sooner"
            ),
            NoPlaylist::Ring { held_ms, needed_ms } => {
                // As much again for what comes in bursts: bit rates are seldom constant.
                let bytes = settings.ring_bytes * u64::from(needed_ms) / u64::from(held_ms.max(1000)) * 5 / 4;
                write!(
                    f,
                    "HLS needs {} s of this stream in memory, which holds {}: limits.ring_bytes = \"{} MiB\" would do, or more key frames",
                    needed_ms.div_ceil(1000),
                    held_ms / 1000,
                    bytes.div_ceil(1 << 20)
                )
            }
        }
    }
}

/// A segment.
pub(super) fn segment(server: &mut Server, conn: ConnId, request: &HttpRequest, now: Millis) -> HttpAnswer {
    let (stream, media, playlist, number) = match named(server, conn, request, ".m4s", now) {
        Ok(named) => named,
        Err(answer) => return answer,
    };
    let found = number.parse().ok().and_then(|number| media.segments().segment(playlist, number));
    let Some(found) = found.filter(|segment| segment.from >= media.ring().oldest()) else { return not_found() };
    let part = RingPart::new(stream, media, ALL, (found.from, found.end), found.mark, false);
    if !server.takes_hls(conn, request, stream, part.bytes()) {
        return refuse(HttpStatus::Forbidden, format_args!("the operator has ended this"));
    }
    answer(part)
}

/// An init segment.
pub(super) fn init(server: &mut Server, conn: ConnId, request: &HttpRequest, now: Millis) -> HttpAnswer {
    let (stream, media, _, mark) = match named(server, conn, request, ".init.mp4", now) {
        Ok(named) => named,
        Err(answer) => return answer,
    };
    let Ok(mark) = u32::from_str_radix(mark, 16) else { return not_found() };
    if mark != headers_mark(media.headers()) && media.earlier().find(mark).is_none() {
        // A publisher who is back sends the same again, as a rule.
        return if request.waited_ms < INIT_MS { HttpAnswer::Park } else { not_found() };
    }
    let key = media.join(None).map_or(Cursor::default(), |point| point.cursor).seq;
    answer(RingPart::new(stream, media, ALL, (key, key), mark, true))
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
    let SeenStream { app, path } =
        server.may_see(conn, request, path, Purpose::WatchInParts, now).map_err(HttpAnswer::from)?;
    server.live.names.find(app, &path).ok_or_else(not_found)
}

/// The stream to one of whose playlists a file of this ending belongs, which playlist that is, and what its name says behind the
/// playlist's; else what the client hears.
#[expect(clippy::result_large_err, reason = "it is handed on as it is, once a request")]
fn named<'a>(
    server: &'a mut Server,
    conn: ConnId,
    request: &'a HttpRequest,
    ending: &str,
    now: Millis,
) -> Result<(StreamId, &'a Media, u32, &'a str), HttpAnswer> {
    let path = request.path.strip_suffix(ending).unwrap_or_default();
    let (path, name) = path.rsplit_once(FOLDER).ok_or_else(not_found)?;
    let (prefix, name) = name.split_once('-').ok_or_else(not_found)?;
    let stream = find(server, conn, request, path, now)?;
    let media = StreamView::of(&server.live.names, stream).media.ok_or_else(not_found)?;
    let mut playlists = media.segments().playlists();
    let playlist = playlists.find(|&playlist| prefix == server.hls_prefix(stream, playlist).as_str());
    Ok((stream, media, playlist.ok_or_else(not_found)?, name))
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

fn answer(part: RingPart) -> HttpAnswer {
    let content_type = if part.has_video() { "video/mp4" } else { "audio/mp4" };
    let response = Response::new(HttpStatus::Ok, content_type).cache(Cache::For(KEPT_S)).public();
    HttpAnswer::Now(response.with(Content::Ring(part)))
}

/// What of a request's query the application's rules look at: it is repeated in every URL of a playlist.
struct QueryKeys<'r>(&'r HttpRequest);

impl fmt::Display for QueryKeys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_key = |pair: &&str| {
            let name = pair.split_once('=').map_or("", |(name, _)| name);
            // None that is set has a quotation mark in it, which would end what it stands in.
            (KEY_NAMES.contains(&name) || LINK_NAMES.contains(&name)) && !pair.contains('"')
        };
        for (at, pair) in self.0.raw_query().split('&').filter(is_key).enumerate() {
            write!(f, "{}{pair}", if at == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
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
        let arrived = media.ring().arrived_within(RATE_MS, now);
        let rate = arrived.bits_per_second(arrived.bytes());
        let found = media.describe(ALL, None);
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
        writeln!(out, "{}.m3u8{}", self.hls_prefix(stream, media.segments().playlist()), QueryKeys(request))
    }

    /// Writes the next piece of a playlist of its segments. The place is the number of the next one, and the number behind the last.
    pub(super) fn hls_segments(
        &self,
        (stream, playlist): (StreamId, u32),
        place: &mut TextPlace,
        request: &HttpRequest,
        out: &mut TextPiece,
    ) -> TextProgress {
        let Some(media) = StreamView::of(&self.live.names, stream).media else { return TextProgress::Gone };
        let (segments, ring) = (media.segments(), media.ring());
        let list = match segments.list_of(playlist, ring) {
            Ok(list) if list.playlist == playlist => list,
            Ok(_) | Err(_) => return TextProgress::Gone,
        };
        let prefix = self.hls_prefix(stream, playlist);
        let begins = place.part == 0;
        if begins {
            *place = TextPlace { row: list.first, part: list.next() };
            let (target_s, SegmentList { first, cuts, .. }) = (list.target_s, &list);
            let _ = write!(
                out,
                "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target_s}\n#EXT-X-MEDIA-SEQUENCE:{first}\n\
                 #EXT-X-DISCONTINUITY-SEQUENCE:{cuts}\n\
                 #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK={}.0\n#EXT-X-INDEPENDENT-SEGMENTS\n",
                LISTED_LEAST as u32 * target_s
            );
        }
        let mut before = match begins {
            true => None,
            false => segments.segment(playlist, place.row.wrapping_sub(1)),
        };
        while place.row < place.part {
            if out.capacity() - out.len() < LINES_BYTES {
                return TextProgress::More;
            }
            let Some(segment) = segments.segment(playlist, place.row) else { return TextProgress::Gone };
            let line = SegmentLines {
                prefix: &prefix,
                number: place.row,
                segment,
                before,
                clock_ms: list.clock_ms,
                keys: QueryKeys(request),
            };
            let _ = write!(out, "{line}");
            before = Some(segment);
            place.row += 1;
        }
        if list.is_over && list.next() == place.part {
            let _ = out.write_str("#EXT-X-ENDLIST\n");
        }
        TextProgress::End
    }
}

/// A segment in a playlist.
struct SegmentLines<'p> {
    prefix: &'p str,
    number: u32,
    segment: MediaSegment,
    /// That before it in the list.
    before: Option<MediaSegment>,
    clock_ms: Option<i64>,
    keys: QueryKeys<'p>,
}

impl fmt::Display for SegmentLines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SegmentLines { prefix, number, segment, before, clock_ms, keys } = self;
        if segment.is_cut {
            f.write_str("#EXT-X-DISCONTINUITY\n")?;
        }
        if before.is_none_or(|before| before.mark != segment.mark) {
            writeln!(f, "#EXT-X-MAP:URI=\"{prefix}-{:08x}.init.mp4{keys}\"", segment.mark)?;
        }
        if let Some(clock_ms) = clock_ms.filter(|_| before.is_none() || segment.is_cut) {
            let shown = segment.began_ms.saturating_add_signed(clock_ms);
            writeln!(f, "#EXT-X-PROGRAM-DATE-TIME:{}", ClockTime(shown.cast_signed()))?;
        }
        let (seconds, ms) = (segment.duration_ms / 1000, segment.duration_ms % 1000);
        write!(f, "#EXTINF:{seconds}.{ms:03},\n{prefix}-{number}.m4s{keys}\n")
    }
}
