//! The server's tables as JSON, for programs: applications, streams and clients in the rows that `rill ctl` has of them, limits with how
//! much of each is used, and the memory table. Rows that the rules of an application keep from the caller are left out, and so are
//! clients that have not asked for an application: whose they are nobody knows.

use core::fmt::{self, Write};
use core::net::IpAddr;

use crate::handles::ConnId;
use crate::limits::{HTTP_QUERY_BYTES, Row, Shape, TABLE};
use crate::server::Server;
use crate::server::inspect::ClientRow;
use crate::server::json::{OrNull, Text};
use crate::server::relay_rows::RelayJson;
use crate::server::rows::{AppJson, ClientJson, StreamJson};
use crate::server::usage::USAGES;
use crate::time::Millis;
use crate::wire::http::{HttpRequest, HttpStatus};

use super::answer::{HttpAnswer, Response};
use super::body::{Content, Pieces, RowsKind, TextKind, TextPiece, TextPlace, TextProgress};

/// Rows of a table that a piece looks at. Each may be one that the caller is not shown.
const ROWS_PER_PIECE: usize = 32;
/// The longest row of what has no name of a client's.
const FIXED_ROW_BYTES: usize = 256;

pub(super) fn applications(_: &mut Server, _: ConnId, _: &HttpRequest, _: Millis) -> HttpAnswer {
    json(TextKind::Rows(RowsKind::Applications))
}

pub(super) fn streams(_: &mut Server, _: ConnId, _: &HttpRequest, _: Millis) -> HttpAnswer {
    json(TextKind::Rows(RowsKind::Streams))
}

pub(super) fn clients(_: &mut Server, _: ConnId, _: &HttpRequest, _: Millis) -> HttpAnswer {
    json(TextKind::Rows(RowsKind::Clients))
}

pub(super) fn pushes(_: &mut Server, _: ConnId, _: &HttpRequest, _: Millis) -> HttpAnswer {
    json(TextKind::Rows(RowsKind::Pushes))
}

pub(super) fn limits(server: &mut Server, _: ConnId, _: &HttpRequest, _: Millis) -> HttpAnswer {
    // What is said to be used is seen.
    server.look_at_usage();
    json(TextKind::Limits)
}

pub(super) fn memory(_: &mut Server, _: ConnId, _: &HttpRequest, _: Millis) -> HttpAnswer {
    json(TextKind::Memory)
}

fn json(what: TextKind) -> HttpAnswer {
    HttpAnswer::Now(Response::new(HttpStatus::Ok, "application/json").with(Content::Pieces(Pieces::new(what))))
}

impl Server {
    /// The next piece of a table: a row of it. A place is that of the row behind it, and a part 1 if there was one.
    pub(super) fn rows_piece(
        &self,
        kind: RowsKind,
        place: &mut TextPlace,
        (peer, request): (IpAddr, &HttpRequest),
        out: &mut TextPiece,
        now: Millis,
    ) -> TextProgress {
        if *place == TextPlace::default() {
            let name = match kind {
                RowsKind::Applications => "applications",
                RowsKind::Streams => "streams",
                RowsKind::Clients => "clients",
                RowsKind::Pushes => "pushes",
            };
            let _ = write!(out, "{{\"{name}\":[");
        }
        let wanted = request.query::<HTTP_QUERY_BYTES>("app");
        let comma = if place.part == 0 { "" } else { "," };
        for _ in 0..ROWS_PER_PIECE {
            let from = place.row as usize;
            let begin = out.len();
            // Each fits, a client's without what it calls itself in any case: a test says so.
            let (at, is_shown) = match kind {
                RowsKind::Applications => {
                    let Some(row) = self.next_app(from) else { return end(out) };
                    let _ = write!(out, "{comma}{}", AppJson(&row));
                    (u32::from(row.id.0), self.may_hear_of(row.id, None, peer, request))
                }
                RowsKind::Streams => {
                    let Some(row) = self.next_stream(from, now) else { return end(out) };
                    let is_wanted = wanted.as_deref().is_none_or(|app| app == row.app);
                    let _ = write!(out, "{comma}{}", StreamJson(&row));
                    (u32::from(row.id.0), is_wanted && self.is_shown(row.id, peer, request))
                }
                RowsKind::Clients => {
                    let Some(row) = self.next_client(from, now) else { return end(out) };
                    let app = self.live.apps.find(row.app);
                    let path = row.stream.map(|(_, path)| path);
                    let is_shown = app.is_some_and(|app| self.may_hear_of(app, path, peer, request));
                    let at = row.id.slot.0;
                    let is_wanted = wanted.as_deref().is_none_or(|app| app == row.app);
                    if write!(out, "{comma}{}", ClientJson(&row, None)).is_err() {
                        out.truncate(begin);
                        let _ = write!(out, "{comma}{}", ClientJson(&ClientRow { agent: "", ..row }, None));
                    }
                    (at, is_wanted && is_shown)
                }
                RowsKind::Pushes => {
                    let Some(row) = self.next_relay(from, now) else { return end(out) };
                    let app = self.live.apps.find(row.app);
                    let is_wanted = wanted.as_deref().is_none_or(|app| app == row.app);
                    let _ = write!(out, "{comma}{}", RelayJson(&row));
                    (
                        row.at as u32,
                        is_wanted && app.is_some_and(|app| self.may_hear_of(app, row.stream, peer, request)),
                    )
                }
            };
            place.row = at + 1;
            if is_shown {
                place.part = 1;
                return TextProgress::More;
            }
            out.truncate(begin);
        }
        TextProgress::More
    }

    /// The next piece of the limits: counts first, then shapes.
    pub(super) fn limits_piece(&self, place: &mut TextPlace, out: &mut TextPiece) -> TextProgress {
        while out.capacity() - out.len() >= FIXED_ROW_BYTES {
            let (at, all) = (place.row as usize, USAGES.len());
            let comma = if at == 0 || at == all { "" } else { "," };
            // Each fits: a test says so.
            let _ = match (USAGES.get(at), TABLE.get(at.wrapping_sub(all))) {
                (Some(usage), _) => {
                    let begin = if at == 0 { "{\"limits\":[" } else { "" };
                    let used = (usage.used)(self);
                    let key = usage.key.map(Text);
                    write!(
                        out,
                        "{begin}{comma}{{\"name\":\"{}\",\"key\":{},\"used\":{},\"peak\":{},\"limit\":{}}}",
                        usage.name,
                        OrNull(key),
                        OrNull(used),
                        OrNull(used.map(|_| self.life.peaks[at])),
                        OrNull((usage.limit)(self)),
                    )
                }
                (None, Some(shape)) => {
                    let begin = if at == all { "],\"shapes\":[" } else { "" };
                    write!(out, "{begin}{comma}{}", ShapeJson(shape))
                }
                (None, None) => return end(out),
            };
            place.row += 1;
        }
        TextProgress::More
    }

    /// The next piece of the memory table.
    pub(super) fn memory_piece(&self, place: &mut TextPlace, out: &mut TextPiece) -> TextProgress {
        while out.capacity() - out.len() >= FIXED_ROW_BYTES {
            let at = place.row as usize;
            let begin = if at == 0 { "{\"memory\":[" } else { "," };
            let Some(row) = self.life.memory.get(at) else {
                let total: u64 = self.life.memory.iter().map(Row::total).sum();
                let _ = write!(out, "],\"total_bytes\":{total},\"budget_bytes\":{}}}", self.settings.ram_budget_bytes);
                return TextProgress::End;
            };
            let Row { name, count, bytes_each } = row;
            let _ = write!(
                out,
                "{begin}{{\"name\":{},\"count\":{count},\"bytes_each\":{bytes_each},\"total_bytes\":{}}}",
                Text(name),
                row.total(),
            );
            place.row += 1;
        }
        TextProgress::More
    }
}

fn end(out: &mut TextPiece) -> TextProgress {
    let _ = out.write_str("]}");
    TextProgress::End
}

struct ShapeJson(&'static Shape);

impl fmt::Display for ShapeJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shape { name, value, help } = self.0;
        write!(f, "{{\"name\":\"{name}\",\"value\":{value},\"help\":{}}}", Text(help))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{AGENT_BYTES, APP_NAME_BYTES, PATH_BYTES};
    use crate::server::describe::{AUDIO_BYTES, VIDEO_BYTES};
    use crate::server::inspect::longest;

    use super::super::body::PIECE_BYTES;

    /// What stands before the first row of a table.
    const BEGIN: usize = "{\"applications\":[".len();

    /// The name of so many bytes that is the longest as JSON: names have no control characters, and this one is hidden.
    fn longest_name(bytes: usize) -> String {
        "\u{ad}".repeat(bytes / 2)
    }

    #[test]
    fn the_longest_rows_fit_a_piece() {
        let (app, path) = (longest_name(APP_NAME_BYTES), longest_name(PATH_BYTES));
        let row = longest::client(&app, &path, &path, "");
        let without_agent = ClientJson(&row, None).to_string().len();
        assert!(without_agent + BEGIN <= PIECE_BYTES, "{without_agent}");
        let usual = "x".repeat(AGENT_BYTES);
        assert!(ClientJson(&ClientRow { agent: &usual, ..row }, None).to_string().len() + BEGIN <= PIECE_BYTES);
        let row = longest::stream(&app, &path, [&"x".repeat(VIDEO_BYTES), &"x".repeat(AUDIO_BYTES)]);
        assert!(StreamJson(&row).to_string().len() + BEGIN <= PIECE_BYTES);
        for shape in TABLE {
            assert!(ShapeJson(shape).to_string().len() + "],\"shapes\":[".len() <= FIXED_ROW_BYTES);
        }
    }
}
