//! `/stat`: what is live and who watches, in the XML of nginx-rtmp's statistics, for the programs that read it there: switchers of
//! scenes, exporters, scripts. Elements, their order and their units are that module's (its `ngx_rtmp_stat_module.c`), with what
//! single readers insist on besides: every element is there in every instance, and numbers are integers. Streams that the caller
//! may not play are left out.
//!
//! It is made in pieces, a client or what stands around clients each.

use core::fmt::{self, Write};
use core::net::IpAddr;

use crate::handles::{AppId, ConnId, SlotIndex, StreamId};
use crate::live::names::Media;
use crate::media::{Arrived, TagKind};
use crate::server::Server;
use crate::server::describe::TrackInfo;
use crate::server::inspect::{Activity, ClientRow, arrived};
use crate::server::xml::XmlText;
use crate::time::Millis;
use crate::wire::codec::Level;
use crate::wire::flv::Codec;
use crate::wire::http::{HttpRequest, HttpStatus};

use super::answer::{HttpAnswer, Response};
use super::body::{Content, Pieces, TextKind, TextPiece, TextPlace, TextProgress};

/// When the program was built, in the form that is expected. Builds can be repeated byte for byte, so it is not known.
const BUILT: &str = "Jan  1 1970 00:00:00";

pub(super) fn stat(_: &mut Server, _: ConnId, _: &HttpRequest, _: Millis) -> HttpAnswer {
    HttpAnswer::Now(
        Response::new(HttpStatus::Ok, "text/xml").public().with(Content::Pieces(Pieces::new(TextKind::Stat))),
    )
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StatStage {
    /// The server's own figures.
    Server,
    /// An application at this place or behind it.
    Application(u16),
    /// A stream of it at this place or behind it.
    Stream(u16, u16),
    /// A client of that at this place or behind it: the connections, then who watches by HLS.
    Client(u16, u16, u32),
}

impl StatStage {
    fn of(place: TextPlace) -> StatStage {
        let (app, stream) = ((place.row >> 16) as u16, place.row as u16);
        match place.part {
            0 => StatStage::Server,
            1 => StatStage::Application(app),
            2 => StatStage::Stream(app, stream),
            part => StatStage::Client(app, stream, part - 3),
        }
    }

    fn place(self) -> TextPlace {
        let row = |app: u16, stream: u16| u32::from(app) << 16 | u32::from(stream);
        match self {
            StatStage::Server => TextPlace { row: 0, part: 0 },
            StatStage::Application(app) => TextPlace { row: row(app, 0), part: 1 },
            StatStage::Stream(app, stream) => TextPlace { row: row(app, stream), part: 2 },
            StatStage::Client(app, stream, client) => TextPlace { row: row(app, stream), part: 3 + client },
        }
    }
}

impl Server {
    /// The next piece of the statistics.
    pub(super) fn stat_piece(
        &self,
        place: &mut TextPlace,
        (peer, request): (IpAddr, &HttpRequest),
        out: &mut TextPiece,
        now: Millis,
    ) -> TextProgress {
        // Each fits a piece: names have their limits, and a test says so.
        let stage = match StatStage::of(*place) {
            StatStage::Server => {
                let _ = self.write_server(out, now);
                StatStage::Application(0)
            }
            StatStage::Application(from) => match self.next_app(usize::from(from)) {
                Some(app) => {
                    let _ = write!(out, "<application><name>{}</name><live>", XmlText(app.name));
                    StatStage::Stream(app.id.0, 0)
                }
                None => {
                    let _ = out.write_str("</server></rtmp>\n");
                    return TextProgress::End;
                }
            },
            StatStage::Stream(app, from) => {
                let of_it = |id: &StreamId| self.live.names.stream(*id).app == AppId(app);
                let ids = core::iter::successors(self.live.names.next_stream(from.into()), |id| {
                    self.live.names.next_stream(usize::from(id.0) + 1)
                });
                match ids.filter(of_it).find(|&id| self.is_shown(id, peer, request)) {
                    Some(id) => {
                        let _ = self.write_stream(id, out, now);
                        StatStage::Client(app, id.0, 0)
                    }
                    None => {
                        let clients = self.live.apps.app(AppId(app)).map_or(0, |app| app.connected);
                        let _ = writeln!(out, "<nclients>{clients}</nclients></live></application>");
                        StatStage::Application(app + 1)
                    }
                }
            }
            StatStage::Client(app, stream, from) => match self.next_client_of(StreamId(stream), from as usize, now) {
                Some((row, at)) => {
                    let _ = self.write_client(&row, StreamId(stream), out);
                    StatStage::Client(app, stream, at as u32 + 1)
                }
                None => {
                    let _ = self.write_end_of_stream(StreamId(stream), out, now);
                    StatStage::Stream(app, stream + 1)
                }
            },
        };
        *place = stage.place();
        TextProgress::More
    }

    fn write_server(&self, out: &mut TextPiece, now: Millis) -> fmt::Result {
        let version = env!("CARGO_PKG_VERSION");
        writeln!(
            out,
            "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n<rtmp><nginx_version>rill/{version}</nginx_version>\
             <nginx_rtmp_version>{version}</nginx_rtmp_version><compiler>rustc</compiler><built>{BUILT}</built>\
             <pid>{}</pid><uptime>{}</uptime><naccepted>{}</naccepted><bw_in>{}</bw_in><bytes_in>{}</bytes_in>\
             <bw_out>{}</bw_out><bytes_out>{}</bytes_out><server>",
            self.life.process,
            now.0 / 1000,
            self.counters.accepted,
            at_most_u32(self.life.received.bits_per_second()),
            self.counters.bytes_in,
            at_most_u32(self.life.sent.bits_per_second()),
            self.counters.bytes_out,
        )
    }

    fn write_stream(&self, id: StreamId, out: &mut TextPiece, now: Millis) -> fmt::Result {
        let stream = self.live.names.stream(id);
        let media = self.published_media(id);
        let age_ms = now.since(stream.since);
        let arrived = media.map_or_else(Arrived::default, |media| arrived(media, age_ms, now));
        let rate = |bytes| at_most_u32(arrived.bits_per_second(bytes));
        writeln!(
            out,
            "<stream><name>{}</name><time>{age_ms}</time><bw_in>{}</bw_in><bytes_in>{}</bytes_in><bw_out>{}</bw_out>\
             <bytes_out>{}</bytes_out><bw_audio>{}</bw_audio><bw_video>{}</bw_video><bw_data>{}</bw_data>",
            XmlText(stream.path.as_str()),
            rate(arrived.bytes()),
            media.map_or(0, |media| media.facts().bytes),
            at_most_u32(stream.sent.bits_per_second()),
            stream.sent_bytes,
            rate(arrived.audio_bytes),
            rate(arrived.video_bytes),
            rate(arrived.data_bytes),
        )
    }

    fn write_client(&self, row: &ClientRow<'_>, id: StreamId, out: &mut TextPiece) -> fmt::Result {
        let newest = |kind| self.published_media(id).and_then(|media| media.newest_ms(kind));
        let (audio_ms, video_ms) = (newest(TagKind::Audio), newest(TagKind::Video));
        let apart_ms = audio_ms.zip(video_ms).map_or(0, |(audio, video)| audio.wrapping_sub(video).cast_signed());
        writeln!(
            out,
            "<client><id>{}</id><address>{}</address><port>{}</port><time>{}</time><flashver>{}</flashver>\
             <bytes_in>{}</bytes_in><bytes_out>{}</bytes_out><dropped>{}</dropped><avsync>{apart_ms}</avsync>\
             <timestamp>{}</timestamp>{}<active/></client>",
            row.id.number(),
            row.peer.ip(),
            row.peer.port(),
            row.seconds * 1000,
            XmlText(row.agent),
            row.bytes_in,
            row.bytes_out,
            row.skips,
            audio_ms.max(video_ms).unwrap_or(0).saturating_sub(row.lag_ms.unwrap_or(0)),
            if row.activity == Activity::Publishes { "<publishing/>" } else { "" },
        )
    }

    fn write_end_of_stream(&self, id: StreamId, out: &mut TextPiece, now: Millis) -> fmt::Result {
        let stream = self.live.names.stream(id);
        let is_published = stream.publisher().is_some();
        let media = self.published_media(id);
        let arrived = media.map_or_else(Arrived::default, |media| arrived(media, now.since(stream.since), now));
        write_meta(media, arrived, out)?;
        writeln!(
            out,
            "<nclients>{}</nclients>{}</stream>",
            self.viewers(id, now).all() + u32::from(is_published),
            if is_published { "<publishing/><active/>" } else { "" },
        )
    }

    /// The ring of a stream that is published.
    fn published_media(&self, id: StreamId) -> Option<&Media> {
        let stream = self.live.names.stream(id);
        stream.ring.filter(|_| stream.publisher().is_some()).map(|ring| self.live.names.media(ring))
    }

    /// The first client at place `from` or behind it that publishes a stream or plays it, and its place.
    pub(super) fn next_client_of(&self, id: StreamId, from: usize, now: Millis) -> Option<(ClientRow<'_>, usize)> {
        let publisher = self.live.names.stream(id).publisher().and_then(|publisher| publisher.by.conn());
        let publisher = publisher.map(|conn| conn.slot.at()).filter(|&at| at >= from);
        let player = self.live.names.stream(id).players.next_from(from);
        let of_stream = |row: &ClientRow<'_>| row.stream.is_some_and(|(of, _)| of == Some(id));
        if let Some(at) = [publisher, player].into_iter().flatten().min() {
            let row = self.client_at(SlotIndex(at as u32), now)?;
            return Some((row, at));
        }
        let mut from = from.max(self.slots.count());
        while let Some(row) = self.next_client(from, now) {
            let at = row.id.slot.at();
            if of_stream(&row) {
                return Some((row, at));
            }
            from = at + 1;
        }
        None
    }
}

/// What its tracks are. Both are there whatever there is of them: readers insist on it.
fn write_meta(media: Option<&Media>, arrived: Arrived, out: &mut TextPiece) -> fmt::Result {
    let TrackInfo { video, audio, size, constraints, .. } = media.map_or_else(TrackInfo::default, TrackInfo::of);
    let facts = media.map(|media| media.facts()).unwrap_or_default();
    let kilobits = |bytes| (arrived.bits_per_second(bytes) / 1000).min(u16::MAX.into());
    let shown = video.and_then(|info| info.size).unwrap_or(size);
    let declared = video.and_then(|info| info.frame_rate).map(|rate| rate.numerator / rate.denominator.max(1));
    let frame_rate = facts.frame_rate_milli.map(|rate| (rate + 500) / 1000).or(declared).unwrap_or(0);
    let level = video.and_then(|info| info.level).unwrap_or(Level { major: 0, minor: 0 });
    write!(
        out,
        "<meta><video><width>{}</width><height>{}</height><frame_rate>{frame_rate}</frame_rate><data_rate>{}</data_rate>\
         <codec>{}</codec><profile>{}</profile><compat>{constraints}</compat><level>{}.{}</level></video>",
        shown.width,
        shown.height,
        kilobits(arrived.video_bytes),
        video.map_or("", |info| codec_word(info.codec)),
        video.and_then(|info| info.profile).unwrap_or(""),
        level.major,
        level.minor,
    )?;
    match audio {
        None => out.write_str("<audio></audio></meta>\n"),
        Some(info) => writeln!(
            out,
            "<audio><codec>{}</codec><profile>{}</profile><channels>{}</channels><sample_rate>{}</sample_rate>\
             <data_rate>{}</data_rate></audio></meta>",
            codec_word(info.codec),
            info.profile.unwrap_or(if info.codec == Codec::Aac { "LC" } else { "" }),
            info.channels.unwrap_or(0),
            info.sample_rate_hz.unwrap_or(0),
            kilobits(arrived.audio_bytes),
        ),
    }
}

/// As nginx-rtmp calls a codec.
fn codec_word(codec: Codec) -> &'static str {
    match codec {
        Codec::Avc => "H264",
        other => other.name(),
    }
}

/// Readers take no more.
fn at_most_u32(rate: u64) -> u32 {
    rate.min(u32::MAX.into()) as u32
}
