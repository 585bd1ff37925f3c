//! Media of publishers into their streams' rings.

use core::mem;

use log::{debug, warn};

use crate::features::contract::Happened;
use crate::handles::{ConnId, StreamId};
use crate::limits::{ASSEMBLY_BYTES, HEADER_BYTES, HEADER_CACHE_BYTES, HEADER_CACHE_ENTRIES};
use crate::live::holder::Holder;
use crate::live::names::Media;
use crate::live::trouble::STALL_MS;
use crate::media::{HeaderSlot, RingError, Stored, TagFlags, TagKind, TagSeq};
use crate::rtmp::chunk_reader::Lane;
use crate::rtmp::data::{Body, DATA_BYTES, DataAction, DataMessage};
use crate::rtmp::event::{MediaKind, NetStreamId};
use crate::rtmp::status::Code;
use crate::time::Millis;
use crate::wire::flv::{self, CLASSIFY_BYTES, MediaType, TagClass};

use super::Server;
use super::rtmp::{OpenTag, Role};

/// Class of a header that describes several tracks at once: kept beside those of single tracks.
const MANY_TRACKS: u8 = 0x10;

/// What became of a data message that was given to a stream.
pub(super) enum DataPut {
    /// It was to clear another one.
    Cleared,
    /// It is longer than what players get may be.
    TooLong,
    /// The ring has it, or has refused it, for which [`Server::data_is_put`] is.
    Given {
        /// What the stream said.
        put: (Option<Stored>, Result<TagSeq, RingError>),
        /// Bytes that players get.
        length: usize,
        /// Properties that were left out.
        lost: u32,
    },
}

/// Gives a data message to a stream, as its action says. What players get is not what came: it is rare, so its bytes may move twice.
pub(super) fn put_data(media: &mut Media, message: &DataMessage<'_>, timestamp: u32, now: Millis) -> DataPut {
    let keep_as = match message.action {
        DataAction::Clear => {
            media.clear_data(message.handler);
            return DataPut::Cleared;
        }
        DataAction::Keep => Some(message.handler),
        DataAction::Relay => None,
    };
    let mut out = [0; DATA_BYTES];
    let Ok(Body { bytes, lost }) = message.write(&mut out) else { return DataPut::TooLong };
    DataPut::Given { put: media.data(timestamp, bytes, keep_as, now), length: bytes.len(), lost }
}

impl Server {
    #[allow(clippy::too_many_arguments, reason = "the fields of one event")]
    pub(super) fn media_begin(
        &mut self,
        conn: ConnId,
        lane: Lane,
        net_stream: NetStreamId,
        kind: MediaKind,
        timestamp: u32,
        length: u32,
        now: Millis,
    ) {
        let Some(id) = self.published_by(conn, net_stream) else { return };
        if !self.needs_ring(id, now) {
            return;
        }
        let kind = match kind {
            MediaKind::Audio => TagKind::Audio,
            MediaKind::Video => TagKind::Video,
        };
        let Some(seq) = self.begin_tag(id, kind, timestamp, length, now) else { return };
        let Some((_, rtmp)) = self.slots.client(conn) else { return };
        if rtmp.open_tags.push(OpenTag { lane, stream: id, seq, kind, length }).is_err() {
            self.tag_refused(id, Some(seq), RingError::TooManyOpen, now);
        }
    }

    /// A frame of the stream, which has a ring, begins. `None` when its ring does not take it.
    pub(super) fn begin_tag(
        &mut self,
        id: StreamId,
        kind: TagKind,
        timestamp: u32,
        length: u32,
        now: Millis,
    ) -> Option<TagSeq> {
        let (stream, media) = self.live.names.with_media(id)?;
        let silent_ms = stream.silent_ms(now);
        let stood_still = stream.media_comes(now) && silent_ms >= STALL_MS;
        match media.begin_media(kind, timestamp, length, now) {
            Ok(seq) => {
                if stood_still {
                    stream.trouble.stood_still(media.late_ms(), now);
                }
                Some(seq)
            }
            Err(error) => {
                self.tag_refused(id, None, error, now);
                None
            }
        }
    }

    /// A frame is not taken, of which a part may be in the ring.
    #[cold]
    pub(super) fn tag_refused(&mut self, id: StreamId, begun: Option<TagSeq>, refused: RingError, now: Millis) {
        if let Some(seq) = begun
            && let Some((_, media)) = self.live.names.with_media(id)
        {
            let _ = media.abort(seq, now);
        }
        self.counters.media_refused += 1;
        let stream = self.live.names.stream_mut(id);
        if stream.trouble.frame_refused(refused, now) {
            self.each_player(id, |server, conn, net_stream, _| {
                server.tell_of(conn, net_stream, id, Code::PlayInsufficientBandwidth);
            });
        }
    }

    pub(super) fn media_data(&mut self, conn: ConnId, lane: Lane, bytes: &[u8]) {
        let Some((_, rtmp)) = self.slots.client(conn) else { return };
        let Some(open) = rtmp.open_tags.iter().find(|open| open.lane == lane) else { return };
        if let Some((_, media)) = self.live.names.with_media(open.stream) {
            // Gone: the ring had to go on without it.
            let _ = media.append(open.seq, bytes);
        }
    }

    pub(super) fn media_end(&mut self, conn: ConnId, lane: Lane, now: Millis) {
        let Some(OpenTag { stream: id, seq, kind, length, .. }) = self.take_open(conn, lane) else { return };
        self.is_of_use(conn, now);
        self.media_is_whole(Holder::Conn(conn, 0), id, seq, kind, length, now);
    }

    /// All of a frame is in the stream's ring: what it is says its payload, and players get it.
    pub(super) fn media_is_whole(
        &mut self,
        by: Holder,
        id: StreamId,
        seq: TagSeq,
        kind: TagKind,
        length: u32,
        now: Millis,
    ) {
        let Some((_, media)) = self.live.names.with_media(id) else { return };
        let mut prefix = [0; CLASSIFY_BYTES];
        let read = media.ring().payload_prefix(seq, &mut prefix);
        let class = match kind {
            TagKind::Audio => flv::audio(&prefix[..read], length),
            _ => flv::video(&prefix[..read], length),
        };
        let flags = flags(class, is_enhanced(kind, &prefix[..read]));
        match media.finish(seq, flags, header_slot(class, kind), now) {
            Ok(Some(Stored::DoesNotFit)) => self.header_not_kept(by, id, "a sequence header", length as usize),
            Ok(_) => {}
            Err(error) => {
                // It was evicted half received: the ring had to go on without it.
                media.lost(kind);
                debug!("{by} {id} a frame is dropped: {error:?}");
                return;
            }
        }
        self.wakes.due(id);
        self.happened(Happened::Tag { stream: id, kind, bytes: length }, now);
        self.describe_when_known(id, now);
    }

    pub(super) fn media_abort(&mut self, conn: ConnId, lane: Lane, now: Millis) {
        let Some(open) = self.take_open(conn, lane) else { return };
        if let Some((_, media)) = self.live.names.with_media(open.stream) {
            let _ = media.abort(open.seq, now);
        }
    }

    pub(super) fn data(&mut self, conn: ConnId, net_stream: NetStreamId, timestamp: u32, now: Millis) {
        let Some(id) = self.published_by(conn, net_stream) else { return };
        if !self.needs_ring(id, now) {
            return;
        }
        let Some((_, rtmp)) = self.slots.client(conn) else { return };
        let Some(message) = rtmp.session.data() else {
            self.counters.data_dropped += 1;
            return;
        };
        let Some((_, media)) = self.live.names.with_media(id) else { return };
        match put_data(media, &message, timestamp, now) {
            DataPut::Cleared => {}
            DataPut::TooLong => self.data_dropped(conn, id, DATA_BYTES as u32),
            DataPut::Given { put, length, lost } => {
                self.data_is_put(Holder::Conn(conn, 0), id, put, length, now);
                if lost > 0 {
                    self.properties_lost(conn, id, lost);
                }
            }
        }
    }

    /// A data message was given to the stream's ring, which said that: players get it.
    pub(super) fn data_is_put(
        &mut self,
        by: Holder,
        id: StreamId,
        (stored, pushed): (Option<Stored>, Result<TagSeq, RingError>),
        length: usize,
        now: Millis,
    ) {
        self.counters.data_dropped += u64::from(pushed.is_err());
        if let Some(Stored::DoesNotFit) = stored {
            self.header_not_kept(by, id, "metadata", length);
        }
        self.wakes.due(id);
        if pushed.is_ok() {
            self.happened(Happened::Tag { stream: id, kind: TagKind::Data, bytes: length as u32 }, now);
        }
    }

    pub(super) fn data_too_long(&mut self, conn: ConnId, net_stream: NetStreamId, length: u32) {
        if let Some(id) = self.published_by(conn, net_stream) {
            self.data_dropped(conn, id, length);
        }
    }

    fn data_dropped(&mut self, conn: ConnId, id: StreamId, length: u32) {
        self.counters.data_dropped += 1;
        if !mem::replace(&mut self.live.names.stream_mut(id).complained_of_data, true) {
            let name = self.live.names.stream(id).path.as_str();
            warn!(
                "{conn} {id} name={name:?} a data message of {length} bytes is dropped: send {ASSEMBLY_BYTES} bytes at once \
                 at most"
            );
        }
    }

    fn properties_lost(&mut self, conn: ConnId, id: StreamId, lost: u32) {
        if !mem::replace(&mut self.live.names.stream_mut(id).complained_of_headers, true) {
            let name = self.live.names.stream(id).path.as_str();
            warn!(
                "{conn} {id} name={name:?} metadata is sent without {lost} of its properties: players get {HEADER_BYTES} bytes \
                 at most; have the encoder say less"
            );
        }
    }

    /// Players who are there get it, and players who join do not.
    fn header_not_kept(&mut self, by: Holder, id: StreamId, what: &str, length: usize) {
        self.counters.headers_not_kept += 1;
        if !mem::replace(&mut self.live.names.stream_mut(id).complained_of_headers, true) {
            let name = self.live.names.stream(id).path.as_str();
            warn!(
                "{by} {id} name={name:?} {what} of {length} bytes is not kept for players who join: each has {HEADER_BYTES} bytes \
                 at most, all together {HEADER_CACHE_BYTES} bytes and {HEADER_CACHE_ENTRIES} entries"
            );
        }
    }

    fn published_by(&mut self, conn: ConnId, net_stream: NetStreamId) -> Option<StreamId> {
        match self.slots.client(conn)?.1.roles[net_stream.index()] {
            Role::Publishing(id) => Some(id),
            _ => None,
        }
    }

    fn take_open(&mut self, conn: ConnId, lane: Lane) -> Option<OpenTag> {
        let (_, rtmp) = self.slots.client(conn)?;
        let at = rtmp.open_tags.iter().position(|open| open.lane == lane)?;
        Some(rtmp.open_tags.swap_remove(at))
    }
}

fn flags(class: TagClass, enhanced: bool) -> TagFlags {
    TagFlags {
        // Players start with the default track: its key frame counts (Enhanced RTMP v2, multitrack).
        key: class.key && (class.track == 0 || class.many_tracks),
        header: class.header.is_some(),
        droppable: class.droppable,
        enhanced,
    }
}

fn is_enhanced(kind: TagKind, prefix: &[u8]) -> bool {
    let media_type = if kind == TagKind::Audio { MediaType::Audio } else { MediaType::Video };
    prefix.first().is_some_and(|&first| flv::is_enhanced(media_type, first))
}

fn header_slot(class: TagClass, kind: TagKind) -> Option<HeaderSlot> {
    let header = class.header?;
    let many = if class.many_tracks { MANY_TRACKS } else { 0 };
    Some(HeaderSlot { kind, class: header as u8 | many, track: class.track })
}
