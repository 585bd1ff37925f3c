//! Texts that are made in pieces: one arm a text.

use core::fmt::Write;
use core::net::IpAddr;

use crate::server::Server;
use crate::time::Millis;
use crate::wire::http::HttpRequest;

use super::api;
use super::body::{TextKind, TextPiece, TextPlace, TextProgress};
use super::routes::ROUTES;

impl Server {
    /// Writes the next piece of a text to `out`, which is empty, and moves `place` behind it.
    pub(super) fn piece(
        &self,
        what: TextKind,
        place: &mut TextPlace,
        peer: IpAddr,
        request: &HttpRequest,
        out: &mut TextPiece,
        now: Millis,
    ) -> TextProgress {
        match what {
            TextKind::Status => self.status_piece(place, peer, request, out, now),
            TextKind::Events(_) => self.events_piece(place, peer, request, out, now),
            TextKind::Rows(kind) => self.rows_piece(kind, place, (peer, request), out, now),
            TextKind::Limits => self.limits_piece(place, out),
            TextKind::Memory => self.memory_piece(place, out),
            TextKind::Diagnosis => self.diagnosis_piece(place, (peer, request), out, now),
            // It is made where the disk can be asked.
            TextKind::Recordings(_) => TextProgress::Gone,
            TextKind::Metrics => self.metrics_piece(place, (peer, request), out, now),
            TextKind::Stat => self.stat_piece(place, (peer, request), out, now),
            TextKind::Paths => self.paths_piece(None, place, (peer, request), out, now),
            TextKind::Path(id) => self.paths_piece(Some(id), place, (peer, request), out, now),
            TextKind::RtmpConns => self.rtmp_conns_piece(place, (peer, request), out, now),
            TextKind::QrCode => api::qr_piece(place, request, out),
            // It fits a piece: names have their limits.
            TextKind::HlsIndex(stream) => {
                let _ = self.hls_index(stream, request, now, out);
                TextProgress::End
            }
            TextKind::HlsSegments(stream, playlist) => self.hls_segments((stream, playlist), place, request, out),
            TextKind::Routes => {
                let Some(route) = ROUTES.get(place.row as usize) else { return TextProgress::End };
                // Each fits a piece: a test says so.
                let _ = writeln!(out, "{:<12} {:<24} {}", route.pattern, route.allow, route.help);
                place.row += 1;
                TextProgress::More
            }
        }
    }
}
