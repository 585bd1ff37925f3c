//! `/metrics`: what there is of everything and what has happened, as Prometheus reads it (its text format, version 0.0.4).
//!
//! [`FAMILIES`] is the table: a figure more is a row of it. The text is made in pieces, a sample after the other, so that however
//! much there is of everything nothing has to fit anywhere and no request holds the loop. Streams that the caller may not play are
//! left out.

use core::fmt::{self, Write};
use core::net::IpAddr;

use crate::features::relays::{AfterEnd, RelayState};
use crate::handles::{ConnId, StreamId};
use crate::live::health::BoardFacts;
use crate::live::reader::StreamView;
use crate::server::Server;
use crate::server::close::Counter;
use crate::server::inspect::Viewers;
use crate::server::relay_rows::RelayRow;
use crate::time::Millis;
use crate::wire::http::{HttpRequest, HttpStatus};

use super::answer::{HttpAnswer, Response};
use super::body::{Content, Pieces, TextKind, TextPiece, TextPlace, TextProgress};

/// The most that a sample takes, with what is said before the first of a family.
const SAMPLE_BYTES: usize = 1024;

/// Samples of one name.
struct Family {
    /// Without the `rill_` in front. Counters end in `_total`, and units are in names.
    name: &'static str,
    kind: FamilyKind,
    help: &'static str,
    of: Of,
}

/// Whether it only grows.
#[derive(Clone, Copy)]
enum FamilyKind {
    Counter,
    Gauge,
}

/// What a family has a sample of.
enum Of {
    /// The program, whose version is a label.
    Program,
    /// The server.
    Server(fn(&Server, Millis) -> Figure),
    /// The board, where it says so.
    Board(fn(&BoardFacts) -> Option<Figure>),
    /// Each reason for which connections end.
    Reasons,
    /// Each stream of which it is known.
    Streams(fn(&Server, StreamId, Millis) -> Option<Figure>),
    /// Each stream, and each way in which it is watched.
    Viewers,
    /// Each relay of which it is known.
    Relays(fn(&RelayRow<'_>) -> Option<Figure>),
}

/// A value.
#[derive(Clone, Copy)]
enum Figure {
    Count(u64),
    /// As seconds are, where milliseconds are known.
    Thousandths(u64),
    /// As seconds are, where microseconds are known.
    Millionths(u64),
}

use Figure::{Count, Millionths, Thousandths};

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Count(count) => write!(f, "{count}"),
            Thousandths(count) => write!(f, "{}.{:03}", count / 1000, count % 1000),
            Millionths(count) => write!(f, "{}.{:06}", count / 1_000_000, count % 1_000_000),
        }
    }
}

const fn counter(name: &'static str, help: &'static str, of: Of) -> Family {
    Family { name, kind: FamilyKind::Counter, help, of }
}

const fn gauge(name: &'static str, help: &'static str, of: Of) -> Family {
    Family { name, kind: FamilyKind::Gauge, help, of }
}

#[rustfmt::skip]
const FAMILIES: &[Family] = &[
    gauge("build_info", "Always 1; its label says which version runs.", Of::Program),
    gauge("uptime_seconds", "Since the start.", Of::Server(|_, now| Thousandths(now.0))),
    gauge("load_ratio", "How much of its time the loop is at work.", Of::Server(|server, _| Thousandths(server.gathering.load_permille().into()))),
    gauge("connections", "Connections that there are.", Of::Server(|server, _| Count(server.slots.taken() as u64))),
    gauge("connections_limit", "Connections that there may be (limits.connections).", Of::Server(|server, _| Count(server.settings.connections.into()))),
    counter("connections_accepted_total", "Connections that came, those turned away included.", Of::Server(|server, _| Count(server.counters.accepted))),
    counter("connections_closed_total", "Connections that ended, by reason.", Of::Reasons),
    gauge("streams", "Stream names in use, published or waited for.", Of::Server(|server, _| Count(server.live.names.streams().count() as u64))),
    gauge("streams_published", "Streams that are published.", Of::Server(|server, _| Count(server.live.names.publishers().into()))),
    gauge("streams_limit", "Streams that may be published (limits.streams).", Of::Server(|server, _| Count(server.settings.streams.into()))),
    counter("received_bytes_total", "Bytes from all clients.", Of::Server(|server, _| Count(server.counters.bytes_in))),
    counter("sent_bytes_total", "Bytes to all clients.", Of::Server(|server, _| Count(server.counters.bytes_out))),
    counter("publishes_total", "Publishes that began.", Of::Server(|server, _| Count(server.counters.published))),
    counter("plays_total", "Plays that began.", Of::Server(|server, _| Count(server.counters.played))),
    counter("skips_total", "Times that a viewer was too slow and went on at a later key frame.", Of::Server(|server, _| Count(server.counters.skips))),
    counter("media_refused_total", "Audio and video messages that no ring could take.", Of::Server(|server, _| Count(server.counters.media_refused))),
    counter("data_dropped_total", "Data messages that were too long.", Of::Server(|server, _| Count(server.counters.data_dropped))),
    counter("headers_not_kept_total", "Metadata and sequence headers that were too long.", Of::Server(|server, _| Count(server.counters.headers_not_kept))),
    counter("streams_exhausted_total", "Publishes and plays refused because every name or ring was in use.", Of::Server(|server, _| Count(server.counters.streams_exhausted))),
    counter("http_requests_total", "Requests of HTTP that were answered.", Of::Server(|server, _| Count(server.counters.http_requests))),
    gauge("http_longest_answer_seconds", "Most processor time that a part of an answer took at once, since the start.", Of::Server(|server, _| Millionths(server.gathering.longest_answer_us()))),
    counter("recordings_total", "Files of recordings that were begun.", Of::Server(|server, _| Count(server.recordings().counts().files))),
    counter("recorded_bytes_total", "Bytes that were recorded.", Of::Server(|server, _| Count(server.recordings().counts().bytes))),
    counter("recording_gaps_total", "Times that a part of a recording was lost.", Of::Server(|server, _| Count(server.recordings().counts().gaps))),
    counter("recording_lost_seconds_total", "How long those parts were.", Of::Server(|server, _| Thousandths(server.recordings().counts().lost_ms))),
    counter("recording_faults_total", "Times that a disk failed a recording.", Of::Server(|server, _| Count(server.recordings().counts().faults))),
    gauge("programmes", "Streams that are made of several inputs.", Of::Server(|server, _| Count(server.features.programmes.count() as u64))),
    counter("programme_switches_total", "Times that another input of one of them, or its slate, went on air.", Of::Server(|server, _| Count(server.features.programmes.switches))),
    gauge("relays_running", "Streams that are sent to other servers or fetched from them.", Of::Server(|server, _| Count(server.features.relays.running()))),
    gauge("relays_limit", "Streams that may be (limits.relays).", Of::Server(|server, _| Count(server.settings.relays.into()))),
    counter("relay_faults_total", "Times that one was refused by its far end, or lost.", Of::Server(|server, _| Count(server.features.relays.faults))),
    counter("relays_exhausted_total", "Streams that were not sent or fetched because every relay was in use.", Of::Server(|server, _| Count(server.features.relays.refused))),
    gauge("relay_up", "Whether its far end has taken it.", Of::Relays(|row| Some(Count((row.seconds.is_some()).into())))),
    gauge("relay_bytes_per_second", "How fast it is.", Of::Relays(|row| Some(Count(row.bitrate_bps / 8)))),
    gauge("relay_lag_seconds", "How far what is sent is behind.", Of::Relays(|row| row.lag_ms.map(|ms| Thousandths(ms.into())))),
    counter("hook_calls_total", "Requests to hooks.", Of::Server(|server, _| Count(server.features.hooks.called))),
    counter("hook_faults_total", "Those that were not answered.", Of::Server(|server, _| Count(server.features.hooks.failed))),
    counter("hooks_lost_total", "Notices for hooks that were not sent because too many waited (limits.hooks).", Of::Server(|server, _| Count(server.features.hooks.lost))),
    gauge("hooks_waiting", "Clients that wait for a hook, and notices for one, without a place.", Of::Server(|server, _| Count(server.features.hooks.waiting()))),
    gauge("findings", "Things that are wrong now (rill ctl diagnose).", Of::Server(|server, _| Count(server.live.health.count() as u64))),
    gauge("board_temperature_celsius", "Of the board's processor.", Of::Board(|board| board.temperature_milli.map(|milli| Thousandths(milli.max(0) as u64)))),
    gauge("board_under_voltage", "Whether the board's supply is too weak.", Of::Board(|board| board.under_voltage.map(|is| Count(is.into())))),
    gauge("board_throttled", "Whether the board's processor is slowed down.", Of::Board(|board| board.throttled.map(|is| Count(is.into())))),
    gauge("card_free_bytes", "Free where applications and recordings are.", Of::Board(|board| board.card.map(|card| Count(card.free)))),
    gauge("stream_up", "Whether it is published.", Of::Streams(|server, id, _| Some(Count(server.live.names.stream(id).publisher().is_some().into())))),
    gauge("stream_seconds", "Since its publish began, or the last one ended.", Of::Streams(|server, id, now| Some(Thousandths(now.since(server.live.names.stream(id).since))))),
    counter("stream_received_bytes_total", "Payload bytes of its publish.", Of::Streams(|server, id, _| server.facts(id).map(|facts| Count(facts.bytes)))),
    counter("stream_sent_bytes_total", "Bytes that its viewers were sent, since its publish began.", Of::Streams(|server, id, _| Some(Count(server.live.names.stream(id).sent_bytes)))),
    gauge("stream_viewers", "Who watches it, by the way in which.", Of::Viewers),
    gauge("stream_worst_lag_seconds", "How far the slowest of them is behind.", Of::Streams(|server, id, now| Some(Thousandths(server.viewers(id, now).worst_lag_ms.into())))),
    counter("stream_skips_total", "Times that one of them was too slow and went on at a later key frame.", Of::Streams(|server, id, _| Some(Count(server.live.names.stream(id).trouble.skips().into())))),
    gauge("stream_key_frame_interval_seconds", "Between its first two key frames.", Of::Streams(|server, id, _| server.facts(id)?.key_frame_interval_ms.map(|ms| Thousandths(ms.into())))),
    gauge("stream_frame_rate", "Pictures a second, between those.", Of::Streams(|server, id, _| server.facts(id)?.frame_rate_milli.map(|rate| Thousandths(rate.into())))),
    gauge("stream_recorded", "Whether it is being recorded.", Of::Streams(|server, id, _| Some(Count(server.features.recordings.is_recorded(id).into())))),
];

pub(super) fn metrics(_: &mut Server, _: ConnId, _: &HttpRequest, _: Millis) -> HttpAnswer {
    let body = Content::Pieces(Pieces::new(TextKind::Metrics));
    HttpAnswer::Now(Response::new(HttpStatus::Ok, "text/plain; version=0.0.4; charset=utf-8").public().with(body))
}

impl Server {
    /// The next piece of the metrics. A place is a family, and a part what the sample behind the last one is of, and one.
    pub(super) fn metrics_piece(
        &self,
        place: &mut TextPlace,
        (peer, request): (IpAddr, &HttpRequest),
        out: &mut TextPiece,
        now: Millis,
    ) -> TextProgress {
        while out.capacity() - out.len() >= SAMPLE_BYTES {
            let Some(family) = FAMILIES.get(place.row as usize) else { return TextProgress::End };
            if place.part == 0 {
                let _ = write!(out, "{family}");
                place.part = 1;
            }
            match self.sample(family, place.part - 1, (peer, request), out, now) {
                Some(next) => place.part = next + 1,
                None => *place = TextPlace { row: place.row + 1, part: 0 },
            }
        }
        TextProgress::More
    }

    /// Writes the first sample of a family that is of what stands at `from` or behind it. Returns where that ends.
    fn sample(
        &self,
        family: &Family,
        from: u32,
        (peer, request): (IpAddr, &HttpRequest),
        out: &mut TextPiece,
        now: Millis,
    ) -> Option<u32> {
        let name = family.name;
        let shown = |id| self.is_shown(id, peer, request);
        // Each fits: `SAMPLE_BYTES` is what is left, and a test says so.
        let _ = match family.of {
            Of::Program | Of::Server(_) | Of::Board(_) if from > 0 => return None,
            Of::Program => writeln!(out, "rill_{name}{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
            Of::Server(figure) => writeln!(out, "rill_{name} {}", figure(self, now)),
            Of::Board(figure) => writeln!(out, "rill_{name} {}", figure(&self.live.health.board)?),
            Of::Reasons => {
                let (reason, count) = Counter::NAMES.iter().zip(self.counters.closed).nth(from as usize)?;
                writeln!(out, "rill_{name}{{reason=\"{reason}\"}} {count}")
            }
            Of::Streams(figure) => {
                let id = self.live.names.next_stream(from as usize)?;
                if let Some(figure) = figure(self, id, now).filter(|_| shown(id)) {
                    let _ = writeln!(out, "rill_{name}{{{}}} {figure}", self.labels(id));
                }
                return Some(u32::from(id.0) + 1);
            }
            Of::Viewers => {
                let outputs = Viewers::default().by_output().len() as u32;
                let id = self.live.names.next_stream((from / outputs) as usize)?;
                let at = if u32::from(id.0) == from / outputs { from % outputs } else { 0 };
                let (output, count) = self.viewers(id, now).by_output()[at as usize];
                if shown(id) {
                    let _ = writeln!(out, "rill_{name}{{{},output=\"{output}\"}} {count}", self.labels(id));
                }
                return Some(u32::from(id.0) * outputs + at + 1);
            }
            Of::Relays(figure) => {
                let row = self.next_relay(from as usize, now)?;
                let app = self.live.apps.find(row.app);
                // One that ends may have been followed by another of the same name.
                let shown = row.state != RelayState::Ends(AfterEnd::Free).name()
                    && app.is_some_and(|app| self.may_hear_of(app, row.stream, peer, request));
                if let Some(figure) = figure(&row).filter(|_| shown) {
                    let labels = StreamLabels { app: row.app, name: row.stream.unwrap_or_default() };
                    let (does, number) = (row.does, row.number);
                    let _ = writeln!(out, "rill_{name}{{{labels},does=\"{does}\",number=\"{number}\"}} {figure}");
                }
                return Some(row.at as u32 + 1);
            }
        };
        Some(from + 1)
    }

    fn labels(&self, id: StreamId) -> StreamLabels<'_> {
        let stream = self.live.names.stream(id);
        StreamLabels { app: self.live.apps.name(stream.app), name: stream.path.as_str() }
    }

    /// What is known of a stream's present or last publish.
    fn facts(&self, id: StreamId) -> Option<crate::media::PublishFacts> {
        StreamView::of(&self.live.names, id).media.map(|media| media.facts())
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Family { name, kind, help, .. } = self;
        let kind = match kind {
            FamilyKind::Counter => "counter",
            FamilyKind::Gauge => "gauge",
        };
        write!(f, "# HELP rill_{name} {help}\n# TYPE rill_{name} {kind}\n")
    }
}

/// What tells a stream from others.
struct StreamLabels<'a> {
    app: &'a str,
    name: &'a str,
}

impl fmt::Display for StreamLabels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "app=\"{}\",name=\"{}\"", LabelText(self.app), LabelText(self.name))
    }
}

/// Text between the quotes of a label.
struct LabelText<'a>(&'a str);

impl fmt::Display for LabelText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' | '"' => write!(f, "\\{c}"),
            '\n' => f.write_str("\\n"),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{APP_NAME_BYTES, PATH_BYTES};

    #[test]
    fn the_longest_sample_fits_what_is_left_for_it() {
        let (app, name) = ("\"".repeat(APP_NAME_BYTES), "\\".repeat(PATH_BYTES));
        let labels = StreamLabels { app: &app, name: &name }.to_string();
        for family in FAMILIES {
            let more = "does=\"forward\",number=\"255\"";
            let sample = format!("{family}rill_{}{{{labels},{more}}} {}\n", family.name, Thousandths(u64::MAX));
            assert!(sample.len() <= SAMPLE_BYTES, "{sample}");
        }
    }

    #[test]
    fn nothing_in_a_label_ends_it() {
        assert_eq!(LabelText("a\\b\"c\nö").to_string(), "a\\\\b\\\"c\\nö");
    }

    #[test]
    fn names_are_as_those_who_read_them_expect() {
        for Family { name, kind, help, .. } in FAMILIES {
            assert_eq!(name.ends_with("_total"), matches!(kind, FamilyKind::Counter), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert!(help.ends_with('.') && !help.contains(['\\', '\n']), "{help}");
            assert_eq!(FAMILIES.iter().filter(|other| other.name == *name).count(), 1, "{name}");
        }
    }
}
