//! Recorded files as they lie on the disk: recordings and films, whole or in part, for whoever may play them.

use std::io::IoSlice;

use log::info;

use crate::features::downloads::FileDue;
use crate::handles::{ConnId, SlotIndex};
use crate::live::app::InstanceStreams;
use crate::live::download::{DownloadId, FileFacts, FileName, Shelf};
use crate::live::recorded::NotPlayed;
use crate::server::Server;
use crate::server::close::CloseReason;
use crate::server::fanout::Flush;
use crate::server::pace::WRITE_BYTES;
use crate::server::speaks::Speaks;
use crate::server::transport::Net;
use crate::server::words::account;
use crate::text::Word;
use crate::time::Millis;
use crate::wire::http::{HttpRequest, HttpStatus, Method};

use super::answer::{Etag, HttpAnswer, Response};
use super::body::Content;
use super::file_part::FilePart;
use super::watch::{NotWatched, Purpose, UNKNOWN};
use super::{HttpPhase, Sending};

/// What may be fetched, by the ending of its name, and its type. Other files may lie beside them.
const TYPES: [(&str, &str); 6] = [
    (".mp4", "video/mp4"),
    (".m4v", "video/mp4"),
    (".f4v", "video/mp4"),
    (".mov", "video/quicktime"),
    (".flv", "video/x-flv"),
    (".mp3", "audio/mpeg"),
];

pub(super) fn recording(server: &mut Server, conn: ConnId, request: &HttpRequest, now: Millis) -> HttpAnswer {
    let path = request.path.strip_prefix("/recordings/").unwrap_or_default();
    server.fetch(conn, request, (Shelf::Recordings, path), now).unwrap_or_else(HttpAnswer::from)
}

pub(super) fn film(server: &mut Server, conn: ConnId, request: &HttpRequest, now: Millis) -> HttpAnswer {
    let path = request.path.strip_prefix("/vod-files/").unwrap_or_default();
    server.fetch(conn, request, (Shelf::Films, path), now).unwrap_or_else(HttpAnswer::from)
}

impl Server {
    /// Answers a request with a file, once the disk has found it.
    fn fetch(
        &mut self,
        conn: ConnId,
        request: &HttpRequest,
        (shelf, path): (Shelf, &str),
        now: Millis,
    ) -> Result<HttpAnswer, NotWatched> {
        let (app, file) = path.split_once('/').ok_or(UNKNOWN)?;
        let (_, content_type) = TYPES.iter().find(|(ending, _)| file.ends_with(ending)).ok_or(UNKNOWN)?;
        // What may be played by that name may be fetched: recordings lie in a folder that is called as their stream.
        let stream = match shelf {
            Shelf::Recordings => path.rsplit_once('/').map(|(stream, _)| stream),
            Shelf::Films => path.rsplit_once('.').map(|(stream, _)| stream),
        };
        let seen = self.may_see(conn, request, stream.ok_or(UNKNOWN)?, Purpose::Fetch, now)?;
        let opened = self.slots.peek_both(conn.slot).1.http().and_then(|http| http.file);
        let id = match opened {
            Some(id) => id,
            None => {
                let definition = self.live.apps.definition(seen.app).ok_or(UNKNOWN)?;
                let apart = definition.instance_streams() == InstanceStreams::Apart;
                let app = heapless::String::try_from(app).map_err(|_| UNKNOWN)?;
                let path = heapless::String::try_from(file).map_err(|_| UNKNOWN)?;
                let name = FileName { shelf, app, apart, path };
                let id = self.open_file(conn, name).ok_or(NotWatched::No(
                    HttpStatus::ServiceUnavailable,
                    "as many films are played and files fetched as may be (limits.recorded_players)",
                ))?;
                if let Some((_, Speaks::Http(http))) = self.slots.open_both(conn) {
                    http.file = Some(id);
                }
                return Err(NotWatched::Later);
            }
        };
        let facts = match self.features.downloads.found(id) {
            Some(Ok(facts)) => facts,
            Some(Err(NotPlayed::Missing)) => {
                return Err(NotWatched::No(HttpStatus::NotFound, "there is no file of that name"));
            }
            Some(Err(_)) => return Err(NotWatched::No(HttpStatus::Forbidden, "the file cannot be read")),
            None if request.waited_ms < self.settings.connect_timeout_ms => return Err(NotWatched::Later),
            None => {
                return Err(NotWatched::No(HttpStatus::ServiceUnavailable, "the disk has not answered in time"));
            }
        };
        let response = part_of(request, id, facts, content_type);
        if request.method == Method::Get
            && let Content::File(part) = &response.body
        {
            let peer = self.slots.peek(conn.slot).peer;
            info!(
                "{conn} fetch app={} file={} peer={peer} from={} bytes={} agent={:?}",
                Word(app),
                Word(file),
                part.from,
                part.bytes,
                request.agent.as_str()
            );
        }
        Ok(HttpAnswer::Now(response))
    }

    fn open_file(&mut self, conn: ConnId, name: FileName) -> Option<DownloadId> {
        let lent = self.features.recorded.lend()?;
        let opened = self.features.downloads.open(conn, name, lent);
        opened.map_err(|lent| self.features.recorded.take_back(lent)).ok()
    }

    /// Blocks that no file needs any more go back to whom they belong.
    pub(in crate::server) fn give_back_blocks(&mut self) {
        while let Some(lent) = self.features.downloads.give_back() {
            self.features.recorded.take_back(lent);
        }
    }

    /// The disk has found what a client fetches, or read of it.
    pub(in crate::server) fn file_ready(&mut self, conn: ConnId, now: Millis) {
        if self.slots.open(conn).is_some() {
            self.answer_http(conn, now);
            self.wakes.send(conn.slot);
        }
    }

    /// Nothing more is sent of a file.
    pub(in crate::server) fn close_file(&mut self, index: SlotIndex) {
        if let (_, Speaks::Http(http)) = self.slots.both(index)
            && let Some(id) = http.file.take()
        {
            self.features.downloads.close(id);
            self.give_back_blocks();
        }
    }

    /// One write of a part of a file; `None` when all of it was sent.
    pub(super) fn step_file<N: Net>(
        &mut self,
        net: &mut N,
        index: SlotIndex,
        now: Millis,
    ) -> Option<Result<(), Flush>> {
        let Server { slots, features, .. } = self;
        let (slot, Speaks::Http(http)) = slots.both(index) else { return None };
        let HttpPhase::Sending(Sending { body: Content::File(part), sent, .. }) = &mut http.phase else { return None };
        let left = part.bytes - *sent;
        let said = slot.tx.pending().len();
        if left == 0 && said == 0 {
            return None;
        }
        let due = if left > 0 { features.downloads.due(part.id, part.from + *sent) } else { FileDue::Waits };
        let bytes = match due {
            FileDue::Bytes(bytes) => &bytes[..left.min(WRITE_BYTES as u64).min(bytes.len() as u64) as usize],
            FileDue::Waits if said == 0 => return Some(Err(Flush::Idle)),
            FileDue::Waits => &[],
            FileDue::Broken => return Some(Err(Flush::Gone(CloseReason::Unreadable))),
        };
        let slices = [IoSlice::new(slot.tx.pending()), IoSlice::new(bytes)];
        let slices = if bytes.is_empty() { &slices[..1] } else { &slices[usize::from(said == 0)..] };
        let io = net.write(index, slices);
        Some(account(slot, io, said, now).map(|of_body| *sent += of_body as u64))
    }
}

/// What of a file a request asks for (RFC 9110, section 14). One that grows has its size of now.
fn part_of(request: &HttpRequest, id: DownloadId, facts: FileFacts, content_type: &'static str) -> Response {
    let etag = Etag::of(facts.written_ns, facts.bytes);
    let new = |status| Response { etag: Some(etag.clone()), ..Response::new(status, content_type) }.public();
    if request.has_copy_of(etag.as_str()) {
        return new(HttpStatus::NotModified);
    }
    // Of another file than the one that the client has a part of it is sent the whole.
    let is_same = request.if_range.is_empty() || request.if_range.trim_matches('"') == etag.as_str();
    match request.range.filter(|_| is_same && request.method == Method::Get) {
        None => new(HttpStatus::Ok).with(Content::File(FilePart { id, from: 0, bytes: facts.bytes })),
        Some(range) => match range.within(facts.bytes) {
            Some((from, bytes)) => Response {
                range: Some((from, facts.bytes)),
                ..new(HttpStatus::PartialContent).with(Content::File(FilePart { id, from, bytes }))
            },
            None => Response {
                range: Some((0, facts.bytes)),
                ..Response::error(HttpStatus::RangeNotSatisfiable, "there is no such part of it")
            },
        },
    }
}
