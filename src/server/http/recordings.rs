//! Which recordings may be fetched, as JSON, for the page: those that were made by themselves, and as films those that were asked for by
//! their names and what lies in the applications' media folders.
//!
//! The disk lists them a page at a time for one client after the other, and each row is asked of its application's rules, for which the
//! disk is asked too where nobody is in that application. An application with a script has none here: the script says who sees them.

use core::fmt::Write;
use core::net::IpAddr;

use crate::features::recordings::desk::DeskQuestion;
use crate::handles::{AppId, ConnId};
use crate::live::app::{InstanceStreams, MEDIA};
use crate::live::gate::Wish;
use crate::live::recording::{ListedRecording, RecordJob, RecordingFileName};
use crate::name::{DEFAULT_INSTANCE, StreamName};
use crate::server::Server;
use crate::server::json::{EXPANSION, Text};
use crate::server::speaks::Speaks;
use crate::time::Millis;
use crate::wire::http::{HttpRequest, HttpStatus, Method};

use super::answer::{HttpAnswer, Response};
use super::body::{Content, NextPiece, PIECE_BYTES, Pieces, TextKind, TextPiece, TextPlace, TextProgress};
use super::watch::NotWatched;
use super::{Http, HttpPhase, Sending};

/// How long the disk is waited for until it is looked whether the operator has asked something else, in milliseconds.
const LOOK_MS: u64 = 1000;
/// What a row has beside its name, in bytes, at most.
const ROW_BYTES: usize = 100;
const _: () =
    assert!(EXPANSION * crate::limits::RECORDING_FILE_BYTES + ROW_BYTES + BEGIN.len() + FILMS.len() <= PIECE_BYTES);

const BEGIN: &str = "{\"recordings\":[";
const FILMS: &str = "],\"films\":[";

/// Where a list is, in [`TextPlace::part`]: at its beginning, in an array that has no row yet, behind a row.
const NOWHERE: u32 = 0;
const FIRST_RECORDING: u32 = 1;
const RECORDING: u32 = 2;
const FIRST_FILM: u32 = 3;
const FILM: u32 = 4;

pub(super) fn list(server: &mut Server, conn: ConnId, request: &HttpRequest, now: Millis) -> HttpAnswer {
    if request.method == Method::Get {
        if !server.ask_of_recordings(conn, RecordJob::List { of: RecordingFileName::new(), films: true }) {
            if request.waited_ms < server.settings.connect_timeout_ms {
                return HttpAnswer::Park;
            }
            let words = "the disk is being asked for another client: try again";
            return NotWatched::No(HttpStatus::ServiceUnavailable, words).into();
        }
        // It comes into other applications, one after the other.
        server.leave_instance(conn, now);
    }
    let body = Content::Pieces(Pieces::new(TextKind::Recordings(now)));
    HttpAnswer::Now(Response::new(HttpStatus::Ok, "application/json").with(body))
}

impl Server {
    /// The next piece of the list that was begun at `since`.
    pub(super) fn recordings_piece(
        &mut self,
        conn: ConnId,
        since: Millis,
        place: &mut TextPlace,
        out: &mut TextPiece,
        now: Millis,
    ) -> TextProgress {
        if place.part == NOWHERE {
            let _ = out.write_str(BEGIN);
            place.part = FIRST_RECORDING;
        }
        match &self.features.recordings.desk.question {
            DeskQuestion::Page(by, _) if *by == conn => {}
            DeskQuestion::Wanted(by, _) | DeskQuestion::UnderWay(by) if *by == conn => {
                return TextProgress::Until(now + LOOK_MS);
            }
            // The operator comes first.
            _ => return TextProgress::Gone,
        }
        let (_, Speaks::Http(http)) = self.slots.peek_both(conn.slot) else { return TextProgress::Gone };
        let request = http.request.clone();
        while let Some(row) = self.features.recordings.desk.row(conn, place.row as usize).cloned() {
            let name = match self.shown_to(conn, &request, &row, now.since(since), now) {
                Ok(name) => name,
                Err(NotWatched::Later) => return TextProgress::Until(now + LOOK_MS),
                Err(NotWatched::No(..)) => {
                    place.row += 1;
                    continue;
                }
            };
            place.row += 1;
            if row.is_named && place.part < FIRST_FILM {
                let _ = out.write_str(FILMS);
                place.part = FIRST_FILM;
            }
            let comma = if matches!(place.part, RECORDING | FILM) { "," } else { "" };
            let (bytes, written_s, state) = (row.bytes, row.written_s, row.state.name());
            let _ = write!(
                out,
                "{comma}{{\"file\":{},\"bytes\":{bytes},\"written\":{written_s},\"state\":\"{state}\"}}",
                Text(&name)
            );
            place.part = if row.is_named { FILM } else { RECORDING };
            return TextProgress::More;
        }
        place.row = 0;
        if self.features.recordings.desk.page_is_taken(conn) {
            return TextProgress::Until(now + LOOK_MS);
        }
        self.leave_application(conn);
        let _ = out.write_str(if place.part < FIRST_FILM { "],\"films\":[]}" } else { "]}" });
        TextProgress::End
    }

    /// What a recording is called in its URL, if the client may fetch it.
    fn shown_to(
        &mut self,
        conn: ConnId,
        request: &HttpRequest,
        row: &ListedRecording,
        waited_ms: u64,
        now: Millis,
    ) -> Result<RecordingFileName, NotWatched> {
        const NOT_SHOWN: NotWatched = NotWatched::No(HttpStatus::Forbidden, "it is not shown");
        let (app, below) = row.file.split_once('/').ok_or(NOT_SHOWN)?;
        let slot = self.slots.look(conn).ok_or(NOT_SHOWN)?;
        let peer = slot.peer;
        if slot.app.is_some_and(|other| self.live.apps.name(other) != app) {
            self.leave_application(conn);
        }
        let id = self.application(conn, app, waited_ms, now)?;
        let definition = self.live.apps.definition(id).filter(|app| app.script.is_none()).ok_or(NOT_SHOWN)?;
        let is_apart = definition.instance_streams() == InstanceStreams::Apart;
        // Both are called in their URLs as a player says their names.
        let (file, stream) = if row.is_named {
            let (folder, file) = below.split_once('/').ok_or(NOT_SHOWN)?;
            let of_default = file.strip_prefix(DEFAULT_INSTANCE).and_then(|rest| rest.strip_prefix('/'));
            let is_of_all = folder == MEDIA || !is_apart;
            let file = of_default.or(is_of_all.then_some(file)).ok_or(NOT_SHOWN)?;
            (file, file.rsplit_once('.').ok_or(NOT_SHOWN)?.0)
        } else {
            (below, below.rsplit_once('/').ok_or(NOT_SHOWN)?.0)
        };
        if !request.is_admin {
            self.may_fetch(id, peer.ip(), request, stream).ok_or(NOT_SHOWN)?;
        }
        let mut name = RecordingFileName::new();
        write!(name, "{app}/{file}").map_err(|_| NOT_SHOWN)?;
        Ok(name)
    }

    /// By the rules of its application alone.
    fn may_fetch(&self, app: AppId, peer: IpAddr, request: &HttpRequest, stream: &str) -> Option<()> {
        let name = StreamName::parse(stream.as_bytes()).ok()?.name;
        let meant = self.meant(app, &name)?;
        let who = self.viewer_of(peer, meant.instance(), request);
        self.live.by_rules(app, &who, Wish::Connect).ok()?;
        self.live.by_rules(app, &who, Wish::Play { name: meant.name() }).ok().map(drop)
    }
}

impl Http {
    /// It is sent a list of recordings.
    pub(in crate::server) fn lists_recordings(&self) -> bool {
        matches!(
            &self.phase,
            HttpPhase::Sending(Sending {
                body: Content::Pieces(Pieces { what: TextKind::Recordings(_), next, .. }),
                ..
            }) if *next != NextPiece::Never
        )
    }

    /// That list goes on: the disk has answered. Its time does not grow, so that no viewer keeps the others waiting.
    pub(in crate::server) fn list_goes_on(&mut self) {
        if self.lists_recordings()
            && let HttpPhase::Sending(Sending { body: Content::Pieces(pieces), .. }) = &mut self.phase
        {
            pieces.next = NextPiece::AtOnce;
        }
    }
}
