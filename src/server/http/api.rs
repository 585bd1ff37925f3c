//! What the page shows, as JSON: what is live, where to publish, and what is wrong. It says only what the application's rules let this caller
//! play.
//!
//! `/api/status` is one object. `/api/events` is the same object again and again, as server-sent events, each the whole of it:
//! who missed some has missed nothing. Between them stand, as events called `change`, who publishes and watches from now on and who does
//! no more. Both are made in pieces, a row of a table each, so that no list has to fit anywhere.

use core::fmt::{self, Write};
use core::net::{IpAddr, SocketAddr};
use std::vec::Vec;

use crate::features::changes::StreamChange;
use crate::handles::{AppId, ConnId, StreamId};
use crate::limits::Row;
use crate::name::DEFAULT_INSTANCE;
use crate::server::Server;
use crate::server::diagnosis::FindingJson;
use crate::server::inspect::{StreamRow, Viewers};
use crate::server::json::{Joined, OrNull, Text};
use crate::time::Millis;
use crate::wire::http::{HttpRequest, HttpStatus};
use crate::wire::qr::{self, Qr, Room, SVG_ROW_BYTES};

use super::answer::{Cache, HttpAnswer, Response};
use super::body::{Content, Pieces, TextKind, TextPiece, TextPlace, TextProgress};

/// From one event to the next, in milliseconds.
const EVENT_MS: u64 = 1000;

/// How long a browser is to wait until it connects again, in milliseconds.
const RETRY_MS: u64 = 1000;

/// Where a status stands: at its beginning, or behind a stream of the table.
const BEGIN: u32 = 0;

pub(super) fn status(_: &mut Server, _: ConnId, _: &HttpRequest, _: Millis) -> HttpAnswer {
    HttpAnswer::Now(
        Response::new(HttpStatus::Ok, "application/json").with(Content::Pieces(Pieces::new(TextKind::Status))),
    )
}

pub(super) fn diagnosis(_: &mut Server, _: ConnId, _: &HttpRequest, _: Millis) -> HttpAnswer {
    HttpAnswer::Now(
        Response::new(HttpStatus::Ok, "application/json").with(Content::Pieces(Pieces::new(TextKind::Diagnosis))),
    )
}

pub(super) fn events(_: &mut Server, _: ConnId, _: &HttpRequest, _: Millis) -> HttpAnswer {
    HttpAnswer::Now(
        Response::new(HttpStatus::Ok, "text/event-stream").with(Content::Pieces(Pieces::new(TextKind::Events(None)))),
    )
}

/// The page's address as a QR code: `?for=192.168.1.20:8080`, as the page has worked it out.
pub(super) fn qr_code(_: &mut Server, _: ConnId, request: &HttpRequest, _: Millis) -> HttpAnswer {
    if url_of(request).is_none() {
        let words = "?for= has to be an address, with its port unless that is 80";
        return HttpAnswer::Now(Response::error(HttpStatus::BadRequest, words));
    }
    let body = Content::Pieces(Pieces::new(TextKind::QrCode));
    HttpAnswer::Now(Response::new(HttpStatus::Ok, "image/svg+xml").cache(Cache::For(3600)).with(body))
}

/// The longest that is drawn.
type Url = heapless::String<{ qr::TEXT_BYTES }>;

/// What a code is asked for. Nothing but addresses and names of hosts: a code that this server shows leads to this server or its
/// like, and to no text of a stranger's.
fn url_of(request: &HttpRequest) -> Option<Url> {
    let host: heapless::String<{ qr::TEXT_BYTES }> = request.query("for")?;
    let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte));
    let mut url = Url::new();
    write!(url, "http://{host}/").ok().filter(|()| is_host).map(|()| url)
}

impl Server {
    /// Encoders reach the server here, as far as that was known at its start.
    pub fn announce(&mut self, address: Option<SocketAddr>) {
        self.life.announced = address;
    }

    /// It runs in the process of this number.
    pub fn runs_in(&mut self, process: u32) {
        self.life.process = process as u16;
    }

    /// All that memory is obtained for, that of the sockets and the disk included.
    pub fn takes_memory(&mut self, table: Vec<Row>) {
        self.life.memory = table.into_boxed_slice();
    }

    /// The next piece of a status.
    pub(super) fn status_piece(
        &self,
        place: &mut TextPlace,
        peer: IpAddr,
        request: &HttpRequest,
        out: &mut TextPiece,
        now: Millis,
    ) -> TextProgress {
        if place.row == BEGIN {
            let (address, port) = (self.life.announced.map(|at| at.ip()), self.life.announced.map(|at| at.port()));
            let _ = write!(
                out,
                "{{\"version\":\"{}\",\"address\":{},\"rtmp_port\":{},\"streams\":[",
                env!("CARGO_PKG_VERSION"),
                OrNull(address.map(Address)),
                OrNull(port),
            );
        }
        // Behind the names come findings. Those of streams that the caller may not play are passed over, as these are.
        let names = self.live.names.name_count() as u32;
        let mut rows = core::iter::successors(self.next_stream(place.row as usize, now), |row| {
            self.next_stream(usize::from(row.id.0) + 1, now)
        });
        let Some(row) = rows.find(|row| self.is_shown(row.id, peer, request)) else {
            if place.row <= names {
                let _ = out.write_str("],\"findings\":[");
                *place = TextPlace { row: names + 1, part: 0 };
                return TextProgress::More;
            }
            return self.findings_piece(place, names + 1, (peer, request), out, now);
        };
        let comma = if place.part == 0 { "" } else { "," };
        let _ = write!(out, "{comma}{}", CardJson(&row));
        *place = TextPlace { row: u32::from(row.id.0) + 1, part: 1 };
        TextProgress::More
    }

    /// The next piece of endless events.
    pub(super) fn events_piece(
        &self,
        place: &mut TextPlace,
        peer: IpAddr,
        request: &HttpRequest,
        out: &mut TextPiece,
        now: Millis,
    ) -> TextProgress {
        if place.row == BEGIN {
            let _ = out.write_str("data: ");
        }
        match self.status_piece(place, peer, request, out, now) {
            TextProgress::End => {
                let _ = out.write_str("\n\n");
                *place = TextPlace::default();
                TextProgress::Until(now + EVENT_MS)
            }
            progress => progress,
        }
    }

    /// The next piece of what is wrong.
    pub(super) fn diagnosis_piece(
        &self,
        place: &mut TextPlace,
        caller: (IpAddr, &HttpRequest),
        out: &mut TextPiece,
        now: Millis,
    ) -> TextProgress {
        if *place == TextPlace::default() {
            let _ = out.write_str("{\"findings\":[");
        }
        self.findings_piece(place, 0, caller, out, now)
    }

    /// The next of those that the caller may know of, from the row `begin` on, and the end behind the last. One of a stream whose name
    /// is so long, and has so many characters to escape, that it does not fit a piece is left out.
    fn findings_piece(
        &self,
        place: &mut TextPlace,
        begin: u32,
        (peer, request): (IpAddr, &HttpRequest),
        out: &mut TextPiece,
        now: Millis,
    ) -> TextProgress {
        let next = |from: usize| self.next_finding(from, now);
        let rows = core::iter::successors(next((place.row - begin) as usize), |row| next(row.place + 1));
        let mut rows = rows.filter(|row| row.stream.is_none_or(|(id, ..)| self.is_shown(id, peer, request)));
        let Some(row) = rows.next() else {
            let _ = out.write_str("]}");
            return TextProgress::End;
        };
        let (comma, before) = (if place.part == 0 { "" } else { "," }, out.len());
        let fits = write!(out, "{comma}{}", FindingJson(&row)).is_ok();
        if !fits {
            out.truncate(before);
        }
        *place = TextPlace { row: begin + row.place as u32 + 1, part: place.part.max(fits.into()) };
        TextProgress::More
    }

    /// What stands before a status: the next change that the caller may know of, from number `told` on. Returns the number behind it;
    /// `None` when there is none.
    pub(super) fn change_piece(
        &self,
        told: Option<u64>,
        (peer, request): (IpAddr, &HttpRequest),
        out: &mut TextPiece,
    ) -> Option<u64> {
        let changes = &self.features.changes;
        let Some(told) = told else {
            let _ = write!(out, "retry: {RETRY_MS}\n\n");
            return Some(changes.next());
        };
        let is_shown = |change: &StreamChange| self.may_hear_of(change.app, Some(&change.path), peer, request);
        let (number, change) = changes.since(told).find(|(_, change)| is_shown(change))?;
        let stream = Joined(self.live.apps.name(change.app), &change.path);
        let (what, client) = (change.name(), change.by);
        // It fits: names have their limits.
        let _ =
            write!(out, "event: change\ndata: {{\"what\":\"{what}\",\"stream\":{stream},\"client\":\"{client}\"}}\n\n");
        Some(number + 1)
    }

    /// Whether the rules of its application let this caller play a stream.
    pub(super) fn is_shown(&self, stream: StreamId, peer: IpAddr, request: &HttpRequest) -> bool {
        let stream = self.live.names.stream(stream);
        self.may_hear_of(stream.app, Some(stream.path.as_str()), peer, request)
    }

    /// Whether the rules of an application let this caller play what is called so, or join it.
    pub(super) fn may_hear_of(&self, app: AppId, path: Option<&str>, peer: IpAddr, request: &HttpRequest) -> bool {
        if request.is_admin {
            return true;
        }
        let Some(definition) = self.live.apps.definition(app) else { return false };
        let who = self.viewer_of(peer, DEFAULT_INSTANCE, request);
        let plays = |path: &str| definition.may_play(&who, path).is_ok();
        definition.rules.connect(peer).is_ok() && path.is_none_or(plays)
    }
}

/// The next piece of a QR code: rows of it, as many as fit.
pub(super) fn qr_piece(place: &mut TextPlace, request: &HttpRequest, out: &mut TextPiece) -> TextProgress {
    let mut room = Room::default();
    // It was looked at before the answer began.
    let Some(code) = url_of(request).and_then(|url| Qr::new(&url, &mut room)) else { return TextProgress::End };
    let side = code.side();
    if place.row == 0 {
        let _ = write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
             <path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path d=\""
        );
    }
    while place.row < side && out.capacity() - out.len() > SVG_ROW_BYTES + SVG_END.len() {
        let _ = write!(out, "{}", code.svg_row(place.row));
        place.row += 1;
    }
    if place.row < side {
        return TextProgress::More;
    }
    let _ = out.write_str(SVG_END);
    TextProgress::End
}

const SVG_END: &str = "\"/></svg>\n";

/// An address as a URL has it.
struct Address(IpAddr);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => write!(f, "\"{v4}\""),
            IpAddr::V6(v6) => write!(f, "\"[{v6}]\""),
        }
    }
}

/// A stream, for its card.
struct CardJson<'a>(&'a StreamRow<'a>);

impl fmt::Display for CardJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CardJson(row) = self;
        let description = &row.description;
        let Viewers { rtmp, mp4, flv, hls, worst_lag_ms, .. } = row.viewers;
        write!(
            f,
            "{{\"path\":{},\"state\":\"{}\",\"seconds\":{},\"bitrate_bps\":{},\"video\":{},\"audio\":{},\"fps\":",
            Joined(row.app, row.path),
            row.state.name(),
            row.seconds,
            row.bitrate_bps,
            OrNull(description.video.as_deref().map(Text)),
            OrNull(description.audio.as_deref().map(Text)),
        )?;
        match description.frame_rate_milli {
            Some(rate) => write!(f, "{}.{:03}", rate / 1000, rate % 1000)?,
            None => f.write_str("null")?,
        }
        if let Some(programme) = row.programme {
            write!(f, ",\"input\":\"{}\"", programme.input)?;
        }
        write!(
            f,
            ",\"key_frame_ms\":{},\"viewers\":{{\"rtmp\":{},\"ws\":{},\"hls\":{},\"flv\":{}}},\"worst_lag_ms\":{},\"skips\":{},\"recording\":{}}}",
            OrNull(description.key_frame_interval_ms),
            rtmp,
            mp4,
            hls,
            flv,
            worst_lag_ms,
            row.skips,
            row.recorded,
        )
    }
}
