//! `/v3`: the part of MediaMTX's interface that programs made for it read: its paths and its RTMP connections, as JSON. A path is a
//! stream with its application in front. Lists are whole: a list has one page. Streams that the caller may not play are left out,
//! and so are their clients.

use core::fmt::{self, Write};
use core::net::IpAddr;

use crate::handles::{ConnId, StreamId};
use crate::live::reader::StreamView;
use crate::server::Server;
use crate::server::describe::TrackInfo;
use crate::server::inspect::{Activity, ClientRow};
use crate::server::json::{Joined, OrNull, Text};
use crate::time::{ClockTime, Millis};
use crate::wire::flv::Codec;
use crate::wire::http::{HttpRequest, HttpStatus};

use super::answer::{HttpAnswer, Response};
use super::body::{Content, Pieces, TextKind, TextPiece, TextPlace, TextProgress};

pub(super) fn paths(_: &mut Server, _: ConnId, _: &HttpRequest, _: Millis) -> HttpAnswer {
    json(Content::Pieces(Pieces::new(TextKind::Paths)))
}

pub(super) fn rtmp_conns(_: &mut Server, _: ConnId, _: &HttpRequest, _: Millis) -> HttpAnswer {
    json(Content::Pieces(Pieces::new(TextKind::RtmpConns)))
}

pub(super) fn path(server: &mut Server, conn: ConnId, request: &HttpRequest, _: Millis) -> HttpAnswer {
    let name = request.path.strip_prefix("/v3/paths/get/").unwrap_or_default();
    let Some(peer) = server.slots.look(conn).map(|slot| slot.peer.ip()) else { return HttpAnswer::Park };
    let called_so = |id: &StreamId| {
        let stream = server.live.names.stream(*id);
        let below = name.strip_prefix(server.live.apps.name(stream.app)).and_then(|rest| rest.strip_prefix('/'));
        below == Some(stream.path.as_str())
    };
    let found = server.live.names.streams().map(|(id, _)| id).find(called_so);
    match found.filter(|&id| server.is_shown(id, peer, request)) {
        Some(id) => json(Content::Pieces(Pieces::new(TextKind::Path(id)))),
        None => {
            let words = Content::text(format_args!("{{\"status\":\"error\",\"error\":\"path not found\"}}"));
            HttpAnswer::Now(Response::new(HttpStatus::NotFound, "application/json").with(words))
        }
    }
}

fn json(body: Content) -> HttpAnswer {
    HttpAnswer::Now(Response::new(HttpStatus::Ok, "application/json").with(body))
}

/// Where a path or a list of them goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PathStage {
    /// At its beginning.
    Begin,
    /// Behind so many paths, with that of the first stream at a place or behind it.
    Path(u16, u16),
    /// With the readers of this stream at a place or behind it; whether there was one.
    Reader(u16, u16, u32, bool),
}

impl PathStage {
    fn of(place: TextPlace) -> PathStage {
        let (count, stream) = ((place.row >> 16) as u16, place.row as u16);
        match place.part {
            0 => PathStage::Begin,
            1 => PathStage::Path(count, stream),
            part => PathStage::Reader(count, stream, part / 2 - 1, part % 2 == 1),
        }
    }

    fn place(self) -> TextPlace {
        let row = |count: u16, stream: u16| u32::from(count) << 16 | u32::from(stream);
        match self {
            PathStage::Begin => TextPlace::default(),
            PathStage::Path(count, stream) => TextPlace { row: row(count, stream), part: 1 },
            PathStage::Reader(count, stream, from, any) => {
                TextPlace { row: row(count, stream), part: 2 * (from + 1) + u32::from(any) }
            }
        }
    }
}

impl Server {
    /// The next piece of one path, or of the list of all.
    pub(super) fn paths_piece(
        &self,
        only: Option<StreamId>,
        place: &mut TextPlace,
        (peer, request): (IpAddr, &HttpRequest),
        out: &mut TextPiece,
        now: Millis,
    ) -> TextProgress {
        let stage = match PathStage::of(*place) {
            PathStage::Begin => match only {
                Some(id) => PathStage::Path(0, id.0),
                None => {
                    let _ = out.write_str("{\"items\":[");
                    PathStage::Path(0, 0)
                }
            },
            PathStage::Path(count, from) => {
                let next = |from: usize| match only {
                    Some(id) => self.live.names.next_stream(from).filter(|&next| next == id && count == 0),
                    None => self.live.names.next_stream(from),
                };
                let ids = core::iter::successors(next(from.into()), |id| next(usize::from(id.0) + 1));
                match ids.into_iter().find(|&id| self.is_shown(id, peer, request)) {
                    Some(id) => {
                        let comma = if count == 0 { "" } else { "," };
                        let _ = out.write_str(comma).and_then(|()| self.write_path(id, out));
                        PathStage::Reader(count, id.0, 0, false)
                    }
                    None => {
                        if only.is_none() {
                            let pages = u16::from(count > 0);
                            let _ = write!(out, "],\"itemCount\":{count},\"pageCount\":{pages}}}");
                        }
                        return TextProgress::End;
                    }
                }
            }
            PathStage::Reader(count, stream, from, any) => {
                let id = StreamId(stream);
                let mut from = from as usize;
                let reader = loop {
                    let Some((row, at)) = self.next_client_of(id, from, now) else { break None };
                    from = at + 1;
                    if row.activity != Activity::Publishes {
                        break Some(row);
                    }
                };
                match reader {
                    Some(row) => {
                        let comma = if any { "," } else { "" };
                        let _ = write!(out, "{comma}{{\"type\":\"{}\",\"id\":\"{}\"}}", kind(&row), row.id);
                        PathStage::Reader(count, stream, from as u32, true)
                    }
                    None => {
                        let _ = out.write_str("]}");
                        PathStage::Path(count + 1, stream + 1)
                    }
                }
            }
        };
        *place = stage.place();
        TextProgress::More
    }

    /// A path up to its readers.
    fn write_path(&self, id: StreamId, out: &mut TextPiece) -> fmt::Result {
        let stream = self.live.names.stream(id);
        let name = Joined(self.live.apps.name(stream.app), stream.path.as_str());
        let publisher = stream.publisher();
        let is_ready = publisher.is_some();
        write!(out, "{{\"name\":{name},\"confName\":\"all_others\",\"source\":")?;
        match publisher {
            Some(publisher) => write!(out, "{{\"type\":\"rtmpConn\",\"id\":\"{}\"}}", publisher.by)?,
            None => out.write_str("null")?,
        }
        let ready_time = is_ready.then(|| self.shown_time(stream.since)).flatten();
        write!(
            out,
            ",\"ready\":{is_ready},\"readyTime\":{},\"available\":{is_ready},\"availableTime\":{},\"online\":{is_ready},\
             \"onlineTime\":{},\"tracks\":[",
            OrNull(ready_time.map(QuotedTime)),
            OrNull(ready_time.map(QuotedTime)),
            OrNull(ready_time.map(QuotedTime)),
        )?;
        let media = StreamView::of(&self.live.names, id).media.filter(|_| is_ready);
        if let Some(TrackInfo { video, audio, .. }) = media.map(TrackInfo::of) {
            let codecs = [video.map(|video| video.codec), audio.map(|audio| audio.codec)];
            for (at, codec) in codecs.into_iter().flatten().enumerate() {
                write!(out, "{}\"{}\"", if at == 0 { "" } else { "," }, track_word(codec))?;
            }
        }
        let (received, sent) = (media.map_or(0, |media| media.facts().bytes), stream.sent_bytes);
        write!(
            out,
            "],\"bytesReceived\":{received},\"bytesSent\":{sent},\"inboundBytes\":{received},\"outboundBytes\":{sent},\"readers\":["
        )
    }

    /// The next piece of the list of RTMP connections.
    pub(super) fn rtmp_conns_piece(
        &self,
        place: &mut TextPlace,
        (peer, request): (IpAddr, &HttpRequest),
        out: &mut TextPiece,
        now: Millis,
    ) -> TextProgress {
        if *place == TextPlace::default() {
            let _ = out.write_str("{\"items\":[");
        }
        while let Some(row) = self.next_client(place.row as usize, now) {
            place.row = row.id.slot.0 + 1;
            // Who is leaving is none any more: it cannot be ended.
            let is_one = row.speaks == "rtmp" && !matches!(row.activity, Activity::Connecting | Activity::Leaving);
            let stream = row.stream.and_then(|(id, _)| id);
            if !is_one || stream.is_some_and(|id| !self.is_shown(id, peer, request)) {
                continue;
            }
            if place.part > 0 {
                let _ = out.write_char(',');
            }
            place.part += 1;
            let created = self.shown_time(Millis(now.0.saturating_sub(row.seconds * 1000)));
            let _ = write!(out, "{}", RtmpConnJson(&row, created));
            return TextProgress::More;
        }
        let (count, pages) = (place.part, u32::from(place.part > 0));
        let _ = write!(out, "],\"itemCount\":{count},\"pageCount\":{pages}}}");
        TextProgress::End
    }

    /// A time of the server's as the clock shows it, where that is set.
    fn shown_time(&self, at: Millis) -> Option<ClockTime> {
        self.life.clock_ms.map(|clock_ms| ClockTime(at.0.cast_signed() + clock_ms))
    }
}

struct QuotedTime(ClockTime);

impl fmt::Display for QuotedTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// A connection, and when it was made.
struct RtmpConnJson<'a>(&'a ClientRow<'a>, Option<ClockTime>);

impl fmt::Display for RtmpConnJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RtmpConnJson(row, created) = self;
        let state = match row.activity {
            Activity::Publishes => "publish",
            Activity::Plays => "read",
            Activity::Connecting | Activity::Pending | Activity::Idle | Activity::Leaving => "idle",
        };
        write!(
            f,
            "{{\"id\":\"{}\",\"created\":{},\"remoteAddr\":\"{}\",\"state\":\"{state}\",\"path\":",
            row.id,
            OrNull(created.map(QuotedTime)),
            row.peer,
        )?;
        match row.stream {
            Some((_, name)) => Joined(row.app, name).fmt(f)?,
            None => f.write_str("\"\"")?,
        }
        let (received, sent) = (row.bytes_in, row.bytes_out);
        write!(
            f,
            ",\"query\":\"\",\"user\":\"\",\"userAgent\":{},\"inboundBytes\":{received},\"outboundBytes\":{sent},\
             \"bytesReceived\":{received},\"bytesSent\":{sent},\"outboundFramesDiscarded\":{}}}",
            Text(row.agent),
            row.skips,
        )
    }
}

/// As MediaMTX calls who reads.
fn kind(row: &ClientRow<'_>) -> &'static str {
    match row.speaks {
        "rtmp" => "rtmpConn",
        "hls" => "hlsSession",
        _ => "httpConn",
    }
}

/// As MediaMTX calls a track.
fn track_word(codec: Codec) -> &'static str {
    match codec {
        Codec::Avc => "H264",
        Codec::Hevc => "H265",
        Codec::Aac => "MPEG-4 Audio",
        Codec::Mp3 => "MPEG-1/2 Audio",
        other => other.name(),
    }
}
