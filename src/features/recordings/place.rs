//! One recording: from the stream that it is of to the blocks that are written.

use log::{info, warn};

use crate::handles::{FeatureId, RingId, StreamId};
use crate::limits::RECORDING_FILE_BYTES;
use crate::live::Live;
use crate::live::holder::Holder;
use crate::live::names::Media;
use crate::live::record_settings::{RecordContainer, RecordSettings};
use crate::live::recording::{
    GrowingFile, OpenedRecording, RecordCounts, RecordFault, RecordJob, RecordSaid, RecordedFor, RecordingId, RecordingKind,
    RecordingName, WRITE_BLOCKS, WholePart, WriteBlock,
};
use crate::media::timeline::STITCH_MS;
use crate::media::{Cursor, JoinPoint, TagKind, TagSeq};
use crate::text::Quoted;
use crate::time::Millis;
use crate::wire::flv::Codec;
use crate::wire::flv_front::{FRONT_BYTES, Front, KeyPlace, SCALARS_BYTES, scalars};
use crate::wire::script_link::FlushWhen;

use super::flv::{self, FlvCopy};
use super::fragment::{FileEnd, FileHeaders, FragmentLook, Growing, RecordedFragment};
use super::keys::Keys;
use super::mp4::{self, FragmentRows, Mp4Copy, Mp4File, TrackTimes};
use super::part::{Copied, FileClock};

/// By which recordings hold the names of their streams.
const FEATURE: FeatureId = FeatureId(1);
/// A file waits so long for a second track, in milliseconds: all that is in it is said at its front.
const SECOND_TRACK_MS: u64 = 1000;
/// What failed is tried again after so long, in milliseconds.
const AGAIN_MS: u64 = 60_000;
/// Jobs that wait to be fetched: an opening or a closing, a front, and a block each.
const JOBS: usize = 4;

/// What is recorded, and how.
pub(super) struct Order {
    pub(super) stream: StreamId,
    pub(super) name: RecordingName,
    pub(super) by: RecordedFor,
    pub(super) terms: RecordTerms,
}

/// How long and how large a recording for a script gets. It ends before the fragment that begins later, or would make it larger, but has
/// one in any case.
#[derive(Clone, Copy, Debug)]
pub struct RecordMost {
    /// Milliseconds.
    pub ms: u32,
    /// Bytes.
    pub bytes: u64,
}

/// The numbers of [`RecordSettings`].
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordTerms {
    segment_ms: u32,
    most_bytes: u64,
    join_ms: u64,
    sync_ms: u64,
    pub(super) most: RecordMost,
}

impl RecordTerms {
    pub(super) fn of(settings: &RecordSettings, kind: RecordingKind) -> RecordTerms {
        let RecordSettings { segment_s, max_segment_bytes, join_ms, sync_ms, .. } = *settings;
        // Who publishes again says again how it is recorded.
        let join_ms = if kind == RecordingKind::Automatic { join_ms } else { 0 };
        let most = RecordMost { ms: u32::MAX, bytes: u64::MAX };
        RecordTerms {
            segment_ms: segment_s.saturating_mul(1000),
            most_bytes: max_segment_bytes,
            join_ms,
            sync_ms,
            most,
        }
    }
}

/// A place for a recording.
pub(super) struct RecordingPlace {
    at: u16,
    generation: u32,
    pub(super) order: Option<Order>,
    /// The stream's name is kept for it.
    holds: bool,
    /// Its stream is published. If not, since when, and which tag would be the first of another publish.
    publisher: PublisherIs,
    /// Nothing more is to be recorded.
    stopping: bool,
    phase: Phase,
    blocks: heapless::Vec<WriteBlock, WRITE_BLOCKS>,
    pub(super) jobs: heapless::Deque<RecordJob, JOBS>,
    /// Of each block at the disk, where the file is whole when it is written.
    written: heapless::Deque<WholePart, WRITE_BLOCKS>,
    file: RecordingFile,
    keys: Box<Keys>,
    /// What kind of file is opened or written, and of MP4 the mark of its tracks.
    container: RecordContainer,
    mark: u64,
    /// What comes was in no MP4 file.
    only_flv: bool,
    scalars: Box<[u8; SCALARS_BYTES]>,
    said: heapless::Deque<RecordSaid, 4>,
    /// Its publisher has ended its publish, and hears so when the recording has come to its end.
    owes_end: bool,
}

#[derive(Clone, Copy, Debug)]
enum PublisherIs {
    Here,
    /// Since when, and the first tag that is none of its own.
    Away(Millis, Option<TagSeq>),
}

/// How far a recording is.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Free,
    /// For something to begin with: since when there is, and with which tag it began.
    Waiting(Option<(Millis, TagSeq)>, FileStart),
    /// For the file.
    Opening(FileStart),
    Writing,
    /// The file gets its last bytes, and then another may begin.
    Ending(Option<FileStart>),
    /// For the disk to close the file.
    Closing(Option<FileStart>),
    /// Something failed.
    Resting(Millis),
}

/// Where a file begins.
#[derive(Clone, Copy, Debug)]
enum FileStart {
    /// With what is newest.
    Newest,
    /// With what follows the file before.
    Behind(RingId, TagSeq),
}

/// The file that is being written.
#[derive(Default)]
struct RecordingFile {
    name: heapless::String<RECORDING_FILE_BYTES>,
    ring: Option<RingId>,
    headers: FileHeaders,
    /// Its front stands in it, or in a block.
    has_front: bool,
    /// The front is ours to change.
    own_front: bool,
    has_video: bool,
    has_audio: bool,
    scalars: usize,
    growing: Option<Growing>,
    copying: Option<Copying>,
    block: Option<(u64, WriteBlock)>,
    /// Where the next fragment goes.
    at: u64,
    clock: FileClock,
    times: TrackTimes,
    /// The file's time of the last picture or sound, in milliseconds.
    last_ms: u32,
    /// What is at the disk.
    whole: WholePart,
    synced: Millis,
    /// The next whole fragment is to be on the medium at once.
    is_flushed: bool,
    /// What was in the file before this recording, in milliseconds and bytes.
    before: WholePart,
    /// Another publish begins with this tag, so many milliseconds after the last one.
    seam: Option<(TagSeq, u32)>,
    /// Nothing more is to be recorded from this tag on.
    stop: Option<TagSeq>,
    /// What follows the file's last fragment.
    is_last: Option<FileEnd>,
    /// Something was lost from this time on.
    lost_from: Option<u32>,
    gaps: u32,
    lost_ms: u64,
}

/// A fragment on its way into blocks.
#[derive(Clone, Copy)]
struct Copying {
    fragment: RecordedFragment,
    /// Bytes of it that are in blocks.
    bytes: u64,
    how: CopyHow,
}

#[derive(Clone, Copy)]
enum CopyHow {
    Flv(FlvCopy),
    Mp4(Mp4Copy),
}

impl RecordingPlace {
    pub(super) fn new(at: u16, block_bytes: usize) -> RecordingPlace {
        RecordingPlace {
            at,
            generation: 0,
            order: None,
            holds: false,
            publisher: PublisherIs::Here,
            stopping: false,
            phase: Phase::Free,
            blocks: core::iter::repeat_with(|| WriteBlock::new(block_bytes)).take(WRITE_BLOCKS).collect(),
            jobs: heapless::Deque::new(),
            written: heapless::Deque::new(),
            file: RecordingFile::default(),
            keys: Box::new(Keys::new()),
            container: RecordContainer::Flv,
            mark: 0,
            only_flv: false,
            scalars: Box::new([0; SCALARS_BYTES]),
            said: heapless::Deque::new(),
            owes_end: false,
        }
    }

    /// Bytes of it without its blocks.
    pub(super) const fn own_bytes() -> usize {
        size_of::<RecordingPlace>() + size_of::<Keys>() + SCALARS_BYTES
    }

    pub(super) fn is_free(&self) -> bool {
        matches!(self.phase, Phase::Free)
    }

    /// It is the recording of this stream.
    pub(super) fn is_of(&self, stream: StreamId) -> bool {
        self.order.as_ref().is_some_and(|order| order.stream == stream)
    }

    /// Takes an order.
    pub(super) fn begin(&mut self, order: Order) {
        self.order = Some(order);
        (self.stopping, self.publisher) = (false, PublisherIs::Here);
        (self.only_flv, self.owes_end) = (false, false);
        // Nothing is left of the recording that had the place before.
        self.file = RecordingFile::default();
        self.phase = Phase::Waiting(None, FileStart::Newest);
    }

    pub(super) fn id(&self) -> RecordingId {
        RecordingId { place: self.at, generation: self.generation }
    }

    /// Where the file that is being written is whole.
    pub(super) fn whole(&self) -> WholePart {
        self.file.whole
    }

    /// The file that is being written, as soon as something of it is whole.
    pub(super) fn growing(&self) -> Option<GrowingFile> {
        let is_open = matches!(self.phase, Phase::Writing | Phase::Ending(_) | Phase::Closing(_));
        let RecordingFile { name, whole, .. } = &self.file;
        (is_open && whole.bytes > 0).then(|| GrowingFile { recording: self.id(), file: name.clone(), whole: *whole })
    }

    /// The stream's publisher is back.
    pub(super) fn published(&mut self, now: Millis) {
        let PublisherIs::Away(since, head) = core::mem::replace(&mut self.publisher, PublisherIs::Here) else { return };
        if let Some(head) = head {
            let gap_ms = u32::try_from(now.since(since)).unwrap_or(u32::MAX).saturating_sub(STITCH_MS);
            self.file.seam = Some((head, gap_ms));
        }
    }

    /// The stream's publisher has left; its tags end before `head`.
    pub(super) fn unpublished(&mut self, head: Option<TagSeq>, now: Millis) {
        self.publisher = PublisherIs::Away(now, head);
    }

    /// Nothing more is to be recorded.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
    }

    /// What is to be said to whoever asked for it.
    pub(super) fn say(&mut self) -> Option<(RecordedFor, StreamId, RecordSaid)> {
        let order = self.order.as_ref()?;
        let is_at_rest = matches!(self.phase, Phase::Free | Phase::Waiting(..) | Phase::Resting(_));
        let said = match self.said.pop_front() {
            Some(said) => said,
            None if is_at_rest && core::mem::take(&mut self.owes_end) => RecordSaid::Unpublished,
            None => return None,
        };
        Some((order.by, order.stream, said))
    }

    /// When what is recorded is to be on the medium.
    pub(super) fn flush(&mut self, when: FlushWhen, configured_ms: u64) {
        let Some(order) = &mut self.order else { return };
        match when {
            FlushWhen::Once => self.file.is_flushed = true,
            FlushWhen::Each => order.terms.sync_ms = 0,
            FlushWhen::AsConfigured => order.terms.sync_ms = configured_ms,
        }
    }

    /// Its publisher has ended its publish. Whether it hears so from the recording, behind what is to be said of that.
    pub(super) fn says_end(&mut self, by: Holder) -> bool {
        let is_for_it = |order: &Order| matches!(order.by, RecordedFor::Publisher(holder) if holder == by);
        self.owes_end |= self.order.as_ref().is_some_and(is_for_it);
        self.owes_end
    }

    /// Whether its publisher has not heard yet of the end of its publish, which is said now.
    pub(super) fn end_is_said(&mut self, by: Holder) -> Option<StreamId> {
        let order = self.order.as_ref().filter(|order| order.by == RecordedFor::Publisher(by))?;
        core::mem::take(&mut self.owes_end).then_some(order.stream)
    }

    fn tell(&mut self, said: RecordSaid) {
        if self
            .order
            .as_ref()
            .is_some_and(|order| matches!(order.by, RecordedFor::Publisher(_) | RecordedFor::Script(_)))
        {
            // Who does not hear of all of it hears of the last.
            if self.said.is_full() {
                self.said.pop_front();
            }
            let _ = self.said.push_back(said);
        }
    }

    /// Does what can be done now. Returns when there is more, if nothing happens before.
    pub(super) fn turn(
        &mut self,
        live: &mut Live,
        rows: &mut FragmentRows,
        counts: &mut RecordCounts,
        now: Millis,
    ) -> Option<Millis> {
        let order = self.order.as_ref()?;
        if !self.holds {
            live.hold(order.stream, Holder::Feature(FEATURE, self.at));
            self.holds = true;
        }
        match self.phase {
            Phase::Free | Phase::Opening(_) | Phase::Closing(_) => None,
            Phase::Waiting(since, start) => self.wait(live, since, start, now),
            Phase::Writing => self.write(live, rows, counts, now),
            Phase::Ending(next) => {
                self.end_file(next);
                None
            }
            Phase::Resting(_) if self.is_over(now) => self.free(live),
            Phase::Resting(until) if until <= now => {
                self.phase = Phase::Waiting(None, FileStart::Newest);
                Some(now)
            }
            Phase::Resting(until) => self.over_at().into_iter().chain([until]).min(),
        }
    }

    /// Nothing more comes.
    fn is_over(&self, now: Millis) -> bool {
        self.stopping || self.over_at().is_some_and(|at| at <= now)
    }

    /// When nothing more comes, if the publisher is not back by then.
    fn over_at(&self) -> Option<Millis> {
        let join_ms = self.order.as_ref().map_or(0, |order| order.terms.join_ms);
        match self.publisher {
            PublisherIs::Away(since, _) => Some(since + join_ms),
            PublisherIs::Here => None,
        }
    }

    fn free(&mut self, live: &mut Live) -> Option<Millis> {
        if let Some(order) = &self.order {
            live.stop(Holder::Feature(FEATURE, self.at), order.stream);
        }
        (self.order, self.holds, self.phase) = (None, false, Phase::Free);
        None
    }

    fn wait(
        &mut self,
        live: &mut Live,
        since: Option<(Millis, TagSeq)>,
        start: FileStart,
        now: Millis,
    ) -> Option<Millis> {
        if self.is_over(now) {
            return self.free(live);
        }
        let order = self.order.as_ref()?;
        let Some(ring) = live.names.stream(order.stream).ring else { return self.over_at() };
        let media = live.names.media(ring);
        let start = match (start, begins_at(media)) {
            (FileStart::Behind(..), _) => start,
            (FileStart::Newest, None) => return self.over_at(),
            (FileStart::Newest, Some(point)) => {
                let (since, first) = since.unwrap_or((now, point.cursor.seq));
                let is_whole = media.has_video() && media.has_audio();
                if !is_whole && now.since(since) < SECOND_TRACK_MS {
                    self.phase = Phase::Waiting(Some((since, first)), start);
                    return Some(since + SECOND_TRACK_MS);
                }
                // Of one track nothing is missing for the time that the other was waited for.
                if is_whole { start } else { FileStart::Behind(ring, first) }
            }
        };
        let mut name = order.name.clone();
        self.mark = 0;
        if name.container == RecordContainer::Mp4 {
            let tag = begins_at(media).and_then(|point| media.ring().tag(point.cursor.seq));
            match mp4::front(media, tag.as_ref()) {
                Ok((init, _)) if !self.only_flv => self.mark = init.mark(),
                Ok(_) => name.container = RecordContainer::Flv,
                Err(codec) => {
                    name.container = RecordContainer::Flv;
                    if !self.only_flv {
                        let codec = codec.map_or("unknown", Codec::name);
                        warn!("{} record as FLV codec={codec}: it is in no MP4 file (record.container)", order.stream);
                    }
                    self.only_flv = true;
                }
            }
        }
        self.container = name.container;
        self.generation = self.generation.wrapping_add(1);
        let job = RecordJob::Open { id: self.id(), name, mark: self.mark };
        self.phase = Phase::Opening(start);
        self.ask(job);
        None
    }

    fn ask(&mut self, job: RecordJob) {
        let asked = self.jobs.push_back(job);
        debug_assert!(asked.is_ok(), "there is a place for each job of a recording");
    }

    /// The disk has opened the file, or has not.
    pub(super) fn opened(
        &mut self,
        id: RecordingId,
        result: Result<OpenedRecording, RecordFault>,
        counts: &mut RecordCounts,
        now: Millis,
    ) {
        let Phase::Opening(start) = self.phase else { return };
        let Some(order) = self.order.as_ref().filter(|_| id == self.id()) else { return };
        let opened = match result {
            Ok(opened) => opened,
            Err(fault) => {
                counts.faults += 1;
                let name = order.name.path.as_str();
                warn!("{} {id} record refused name={name:?} reason=\"{fault}\"", order.stream);
                self.tell(RecordSaid::Refused(fault));
                // A name that cannot be one will not be one later.
                self.stopping |= matches!(fault, RecordFault::Name | RecordFault::AlreadyExists);
                self.phase = Phase::Resting(now + AGAIN_MS);
                return;
            }
        };
        self.keys.clear();
        info!("{} {id} record start file={}", order.stream, Quoted(&opened.file));
        counts.files += 1;
        let mut file = RecordingFile { name: opened.file, synced: now, own_front: true, ..RecordingFile::default() };
        if let Some(before) = opened.before {
            (file.at, file.last_ms) = (before.bytes, before.ms.saturating_add(before.gap_ms));
            file.own_front = before.own_front;
            file.whole = WholePart { bytes: before.bytes, ms: before.ms };
            file.before = WholePart { bytes: before.bytes, ms: file.last_ms };
        }
        if let FileStart::Behind(ring, seq) = start {
            (file.ring, file.growing) = (Some(ring), Some(Growing::from(seq)));
            file.headers = core::mem::take(&mut self.file.headers);
        }
        file.seam = self.file.seam;
        self.file = file;
        self.phase = Phase::Writing;
        self.tell(RecordSaid::Started);
    }

    fn write(
        &mut self,
        live: &mut Live,
        rows: &mut FragmentRows,
        counts: &mut RecordCounts,
        now: Millis,
    ) -> Option<Millis> {
        let order = self.order.as_ref()?;
        let stream = order.stream;
        let ring = live.names.stream(stream).ring;
        if ring != self.file.ring {
            if self.file.stop.is_some() {
                return self.end(None);
            }
            // Another ring has other tags.
            if self.file.copying.is_some() {
                self.lose();
            }
            if let Some((_, gap_ms)) = self.file.seam.take() {
                self.file.clock.pause(gap_ms);
            }
            (self.file.ring, self.file.growing) = (ring, None);
        }
        let Some(ring) = ring else { return self.idle(now) };
        let media = live.names.media(ring);
        loop {
            if self.file.copying.is_some() {
                if !self.copy(media, rows, now) {
                    // It goes on when a block comes back.
                    return None;
                }
                if self.file.copying.is_some() {
                    return Some(now);
                }
            }
            if let Some(end) = self.file.is_last.take() {
                // Headers that come now are those of the next file: it begins where it can with them.
                let start = match end {
                    FileEnd::Headers => FileStart::Newest,
                    FileEnd::Track => {
                        self.only_flv |= !self.file.whole_or_begun();
                        FileStart::Newest
                    }
                    FileEnd::Jump => self.start_behind(ring),
                };
                return self.end(Some(start));
            }
            if self.stopping {
                // What was published until now is recorded.
                self.file.stop.get_or_insert_with(|| media.ring().readable_head());
            }
            if self.file.growing.is_none() && !self.find_start(media, counts) {
                return self.idle(now);
            }
            if !self.file.has_front {
                match self.begin_file(media) {
                    FileBegun::Yes => {}
                    FileBegun::Anew => continue,
                    FileBegun::NoBlock => return None,
                }
            }
            let before = match (self.file.seam, self.publisher) {
                (Some((seam, _)), _) => Some(seam),
                (None, PublisherIs::Away(_, head)) => head,
                (None, PublisherIs::Here) => None,
            };
            let stop = before.into_iter().chain(self.file.stop).min();
            let Some(growing) = &mut self.file.growing else { return None };
            match growing.look(media, &self.file.headers, stop) {
                FragmentLook::Grows => return self.idle(now),
                FragmentLook::AtStop => {
                    let Some((seam, gap_ms)) = self.file.seam.take() else { return self.idle(now) };
                    growing.goes_on_at(seam);
                    // The file shows the gap as long as it was.
                    self.file.clock.pause(gap_ms);
                }
                FragmentLook::Ends(end) => self.file.is_last = Some(end),
                FragmentLook::Lost => {
                    self.lose();
                }
                FragmentLook::Complete(fragment) => {
                    if self.is_enough(&fragment) {
                        self.stopping = true;
                        return self.end(None);
                    }
                    if self.must_rotate(&fragment) {
                        self.file.growing = Some(Growing::from(fragment.first));
                        let start = self.start_behind(ring);
                        return self.end(Some(start));
                    }
                    self.begin_fragment(fragment);
                }
            }
        }
    }

    /// There is nothing to write now: whether more comes.
    fn idle(&mut self, now: Millis) -> Option<Millis> {
        if self.is_over(now) { self.end(None) } else { self.over_at() }
    }

    fn start_behind(&self, ring: RingId) -> FileStart {
        self.file.growing.map_or(FileStart::Newest, |growing| FileStart::Behind(ring, growing.first))
    }

    /// Where the file begins, or goes on when something was lost: with the newest key frame.
    fn find_start(&mut self, media: &Media, counts: &mut RecordCounts) -> bool {
        let Some(point) = begins_at(media) else { return false };
        self.file.growing = Some(Growing::from(point.cursor.seq));
        if let Some(from_ms) = self.file.lost_from.take() {
            let to_ms = self.file.clock.file_ms(point.timestamp);
            let lost_ms = to_ms.saturating_sub(from_ms);
            self.file.gaps += 1;
            counts.gaps += 1;
            counts.lost_ms += u64::from(lost_ms);
            self.file.lost_ms += u64::from(lost_ms);
            if let Some(order) = &self.order {
                warn!(
                    "{} {} record gap file={} from_ms={from_ms} to_ms={to_ms} lost_ms={lost_ms}: the disk did not follow",
                    order.stream,
                    self.id(),
                    Quoted(&self.file.name),
                );
            }
            if !self.file.headers.hold_for(media) {
                self.file.is_last = Some(FileEnd::Headers);
            }
        }
        true
    }

    /// The file's front and headers go into a block.
    fn begin_file(&mut self, media: &Media) -> FileBegun {
        let Some(growing) = self.file.growing else { return FileBegun::Anew };
        if !self.file.headers.is_empty() && !self.file.headers.hold_for(media) {
            // They are newer than the frames that follow the file before.
            (self.file.growing, self.file.headers) = (None, FileHeaders::default());
            return FileBegun::Anew;
        }
        let mut cursor = Cursor::at(growing.first);
        let Some(tag) = media.ring().tag_at(&mut cursor).ok().flatten() else {
            self.file.growing = None;
            return FileBegun::Anew;
        };
        let mp4 = match self.container {
            RecordContainer::Flv => None,
            RecordContainer::Mp4 => match mp4::front(media, Some(&tag)) {
                Ok((init, tracks)) if self.file.at == 0 || init.mark() == self.mark => Some((init, tracks)),
                _ => {
                    // They are others than when the file was asked for.
                    self.file.is_last = Some(FileEnd::Headers);
                    return FileBegun::Anew;
                }
            },
        };
        let Some(mut block) = self.blocks.pop() else { return FileBegun::NoBlock };
        let file = &mut self.file;
        (file.headers, file.has_front) = (FileHeaders::of(media), true);
        (file.has_video, file.has_audio) = (media.has_video(), media.has_audio());
        let before_ms = if file.at > 0 { file.last_ms.saturating_add(STITCH_MS) } else { 0 };
        file.clock = FileClock::new(tag.timestamp, before_ms);
        if let Some((init, tracks)) = mp4 {
            file.headers.tracks = Some(tracks);
            let at = file.at;
            if at == 0 {
                mp4::put_front(&init, &mut block);
            }
            self.file.at += block.len() as u64;
            self.file.block = Some((at, block));
            return FileBegun::Yes;
        }
        let metadata =
            media.headers().iter().find(|header| header.kind == TagKind::Data && header.name == b"onMetaData");
        file.scalars = metadata.map_or(0, |metadata| scalars(metadata.payload, &mut self.scalars));
        let at = file.at;
        if at == 0 {
            self.put_front(&mut block, true);
        }
        flv::put_headers(media, before_ms, &mut block);
        self.file.at += block.len() as u64;
        self.file.block = Some((at, block));
        FileBegun::Yes
    }

    fn put_front(&self, block: &mut WriteBlock, is_open: bool) {
        let file = &self.file;
        let front = Front {
            duration_ms: if is_open { 0 } else { file.whole.ms },
            bytes: if is_open { 0 } else { file.whole.bytes },
            has_video: file.has_video,
            has_audio: file.has_audio,
            scalars: &self.scalars[..file.scalars],
            keys: if is_open { &[] } else { self.keys.places() },
        };
        if let Some(room) = block.room().first_chunk_mut::<FRONT_BYTES>() {
            front.emit(room);
            block.put(FRONT_BYTES);
        }
    }

    /// Whether it is as long or as large as is wanted of it.
    fn is_enough(&self, fragment: &RecordedFragment) -> bool {
        let Some(RecordMost { ms, bytes }) = self.order.as_ref().map(|order| order.terms.most) else { return false };
        let WholePart { bytes: bytes_before, ms: ms_before } = self.file.before;
        if self.file.last_ms <= ms_before {
            // One fragment it has in any case.
            return false;
        }
        let is_long = self.file.clock.file_ms(fragment.first_ms).saturating_sub(ms_before) >= ms;
        is_long || (self.file.at + fragment.bytes).saturating_sub(bytes_before) > bytes
    }

    fn must_rotate(&self, fragment: &RecordedFragment) -> bool {
        // What was asked for by its name is one file.
        let automatic = self.order.as_ref().filter(|order| order.name.kind == RecordingKind::Automatic);
        let Some(terms) = automatic.map(|order| order.terms) else { return false };
        let ms = self.file.clock.file_ms(fragment.first_ms);
        let is_long = ms >= terms.segment_ms && (fragment.has_key || !self.file.has_video)
            || ms >= terms.segment_ms.saturating_mul(2);
        let is_large = self.file.at + fragment.bytes > terms.most_bytes;
        // No other file begins for the rest of what is to be recorded.
        self.file.whole_or_begun() && (is_long && !self.stopping || is_large)
    }

    fn begin_fragment(&mut self, fragment: RecordedFragment) {
        let file = &self.file;
        let how = match file.headers.tracks {
            None => CopyHow::Flv(FlvCopy::new(&fragment, file.last_ms)),
            Some(_) => CopyHow::Mp4(Mp4Copy::new()),
        };
        if fragment.has_key {
            self.keys.push(KeyPlace { ms: file.clock.file_ms(fragment.first_ms), at: file.at });
        }
        self.file.copying = Some(Copying { fragment, bytes: 0, how });
    }

    /// Copies into one block. False when there is none; what is complete is on its way to the disk.
    fn copy(&mut self, media: &Media, rows: &mut FragmentRows, now: Millis) -> bool {
        let Some(mut copying) = self.file.copying else { return true };
        let (at, mut block) = match self.file.block.take() {
            Some(begun) => begun,
            None => match self.blocks.pop() {
                Some(block) => (self.file.at + copying.bytes, block),
                None => return false,
            },
        };
        let (before, fragment, file) = (block.len(), &copying.fragment, &mut self.file);
        let copied = match (&mut copying.how, &file.headers.tracks) {
            (CopyHow::Flv(copy), _) => copy.put(media, fragment, file.clock, &mut block),
            (CopyHow::Mp4(copy), Some(tracks)) => {
                let file = Mp4File { tracks, clock: file.clock, times: &mut file.times, rows, at: file.at };
                copy.put(media, fragment, file, &mut block)
            }
            (CopyHow::Mp4(_), None) => Copied::Lost,
        };
        copying.bytes += (block.len() - before) as u64;
        match copied {
            Copied::Lost => {
                self.file.block = Some((at, block));
                self.lose();
            }
            Copied::Part => {
                self.file.copying = Some(copying);
                self.send(at, block, None, now);
            }
            Copied::Whole => {
                let last_ms = match copying.how {
                    CopyHow::Flv(copy) => copy.last_ms,
                    CopyHow::Mp4(copy) => copy.last_ms.max(self.file.last_ms),
                };
                let file = &mut self.file;
                file.at += copying.bytes;
                (file.last_ms, file.copying, file.is_last) = (last_ms, None, copying.fragment.is_last);
                if copying.bytes == 0 {
                    file.block = Some((at, block));
                    return true;
                }
                let whole = WholePart { bytes: file.at, ms: file.last_ms };
                self.send(at, block, Some(whole), now);
            }
        }
        true
    }

    /// A block goes to the disk. `whole` says that a fragment ends with it.
    fn send(&mut self, at: u64, block: WriteBlock, whole: Option<WholePart>, now: Millis) {
        let sync_ms = self.order.as_ref().map_or(0, |order| order.terms.sync_ms);
        let is_due = now.since(self.file.synced) >= sync_ms || !self.is_published() || self.file.is_flushed;
        let sync = whole.is_some() && is_due;
        if sync {
            (self.file.synced, self.file.is_flushed) = (now, false);
        }
        let before = self.written.back().copied().unwrap_or(self.file.whole);
        let _ = self.written.push_back(whole.unwrap_or(before));
        self.ask(RecordJob::Write { id: self.id(), at, block, sync });
    }

    fn is_published(&self) -> bool {
        matches!(self.publisher, PublisherIs::Here)
    }

    /// What was to be written next is lost: a fragment that was begun is written over.
    fn lose(&mut self) {
        let file = &mut self.file;
        file.copying = None;
        file.growing = None;
        file.lost_from.get_or_insert(file.last_ms);
        self.keys.cut(file.at);
        if let Some((at, mut block)) = file.block.take() {
            // Its front stays.
            block.truncate(file.at.saturating_sub(at) as usize);
            match block.is_empty() {
                true => self.give_back(block),
                false => file.block = Some((at, block)),
            }
        }
    }

    fn give_back(&mut self, mut block: WriteBlock) {
        block.truncate(0);
        let kept = self.blocks.push(block);
        debug_assert!(kept.is_ok(), "a place has as many blocks as it was given");
    }

    /// The file ends. Another one begins at `next`.
    fn end(&mut self, next: Option<FileStart>) -> Option<Millis> {
        self.phase = Phase::Ending(next);
        self.end_file(next);
        None
    }

    fn end_file(&mut self, next: Option<FileStart>) {
        if let Some((_, block)) = self.file.block.take() {
            // A front without a fragment.
            self.give_back(block);
        }
        if !self.written.is_empty() {
            // The front says where the file is whole.
            return;
        }
        let end = self.file.whole.bytes;
        if end > 0 && self.file.own_front && self.container == RecordContainer::Flv {
            let Some(mut block) = self.blocks.pop() else { return };
            self.put_front(&mut block, false);
            let _ = self.written.push_back(self.file.whole);
            self.ask(RecordJob::Write { id: self.id(), at: 0, block, sync: false });
        }
        self.ask(RecordJob::Close { id: self.id(), end });
        self.phase = Phase::Closing(next);
    }

    /// The disk has written a block, or has not.
    pub(super) fn wrote(
        &mut self,
        id: RecordingId,
        block: Option<WriteBlock>,
        result: Result<(), RecordFault>,
        counts: &mut RecordCounts,
    ) {
        if let Some(block) = block {
            self.give_back(block);
        }
        if id != self.id() {
            return;
        }
        let whole = self.written.pop_front();
        match (result, whole, self.phase) {
            (Ok(()), Some(whole), _) => self.file.whole = whole,
            (Err(fault), _, Phase::Writing | Phase::Ending(_)) => self.fail(fault, counts),
            _ => {}
        }
    }

    /// The file cannot be gone on with. What is whole stays.
    fn fail(&mut self, fault: RecordFault, counts: &mut RecordCounts) {
        counts.faults += 1;
        if let Some(order) = &self.order {
            let (id, name) = (self.id(), Quoted(&self.file.name));
            let whole = self.file.whole;
            warn!(
                "{} {id} record failed file={name} ms={} bytes={} reason=\"{fault}\"",
                order.stream, whole.ms, whole.bytes
            );
        }
        self.tell(RecordSaid::Failed(fault));
        self.file.copying = None;
        self.file.own_front = false;
        if let Some((_, block)) = self.file.block.take() {
            self.give_back(block);
        }
        // What waits to be fetched would be written behind a hole.
        while let Some(job) = self.jobs.pop_front() {
            if let RecordJob::Write { block, .. } = job {
                self.give_back(block);
                self.written.pop_back();
            }
        }
        self.ask(RecordJob::Close { id: self.id(), end: self.file.whole.bytes });
        self.phase = Phase::Closing(None);
    }

    /// The disk has closed the file.
    pub(super) fn closed(
        &mut self,
        id: RecordingId,
        result: Result<(), RecordFault>,
        counts: &mut RecordCounts,
        now: Millis,
    ) {
        let Phase::Closing(next) = self.phase else { return };
        let Some(order) = self.order.as_ref().filter(|_| id == self.id()) else { return };
        let RecordingFile { name, whole, gaps, lost_ms, .. } = &self.file;
        let WholePart { bytes, ms } = *whole;
        match result {
            Ok(()) => info!(
                "{} {id} record stop file={} ms={ms} bytes={bytes} gaps={gaps} lost_ms={lost_ms}",
                order.stream,
                Quoted(name),
            ),
            Err(fault) => {
                counts.faults += 1;
                warn!("{} {id} record stop file={} reason=\"{fault}\"", order.stream, Quoted(name));
            }
        }
        counts.bytes += bytes;
        self.tell(RecordSaid::Stopped);
        self.written.clear();
        self.phase = match next {
            Some(start) => Phase::Waiting(None, start),
            // Who failed tries again, who is over goes.
            None => Phase::Resting(now + AGAIN_MS),
        };
    }
}

enum FileBegun {
    Yes,
    /// It has to begin elsewhere.
    Anew,
    /// Both blocks are at the disk.
    NoBlock,
}

/// Where a file begins with what is newest: a key frame, or sound where there are no pictures.
fn begins_at(media: &Media) -> Option<JoinPoint> {
    media.join(None).filter(|point| !point.picture_later)
}

impl RecordingFile {
    fn whole_or_begun(&self) -> bool {
        self.whole.bytes > 0 || self.last_ms > 0
    }
}
