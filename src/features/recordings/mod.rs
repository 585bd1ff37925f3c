//! Recordings of live streams: which streams are recorded, and what of them goes to the disk.
//!
//! ```text
//! place      one recording: from the stream that it is of to the blocks that are written
//! fragment   where its fragments end
//! flv        how they stand in an FLV file
//! mp4        how they stand in an MP4 file
//! tracks     what of a stream such a file can have
//! part       the time of a file, and its parts on their way
//! keys       where its key frames lie
//! desk       what the operator and scripts ask of files
//! ```
//!
//! A recording reads the stream's ring, as its viewers do, and copies whole fragments into blocks that move to the disk's thread
//! ([`crate::live::recording`]) and back. The ring is the buffer: a disk that stalls for longer than it holds costs whole fragments of
//! the recording, which is said from when to when, and nothing of the live stream.

pub mod desk;
mod flv;
mod fragment;
mod keys;
mod mp4;
mod part;
mod place;
mod tracks;

use std::boxed::Box;

use log::warn;

use crate::handles::StreamId;
use crate::limits::Row;
use crate::live::Live;
use crate::live::holder::Holder;
use crate::live::jobs::{Done, Job};
use crate::live::record_settings::RecordContainer;
use crate::live::recording::{
    GrowingFile, RecordCounts, RecordDone, RecordFault, RecordJob, RecordedFor, RecordingKind, RecordingName, WRITE_BLOCKS,
    write_block_bytes,
};
use crate::live::settings::Settings;
use crate::text::Word;
use crate::time::Millis;
use crate::wire::script_link::{FlushWhen, InstanceId};

use super::contract::{Action, Actions, Does, Feature, Happened};

use desk::RecordingDesk;
use mp4::FragmentRows;
use place::{Order, RecordTerms, RecordingPlace};

pub use place::RecordMost;

/// Files are tended so many milliseconds apart, and so many when there is nothing to do: recordings that are made come first.
const TEND_STEP_MS: u64 = 50;
const TEND_MS: u64 = 30_000;

/// All recordings.
pub struct Recordings {
    places: Box<[RecordingPlace]>,
    rows: Box<FragmentRows>,
    /// Whose job is next.
    from: usize,
    wake_at: Option<Millis>,
    tending: TendState,
    counts: RecordCounts,
    /// What is asked of files.
    pub desk: RecordingDesk,
}

/// What is done for files that nobody waits for: [`RecordJob::Tend`].
#[derive(Clone, Copy, Debug)]
enum TendState {
    /// There are no recordings.
    Never,
    Next(Millis),
    Wanted,
    /// The disk is at it.
    UnderWay,
}

impl Recordings {
    /// Begins to record a stream, in a file of this kind or of the one that the application wants.
    ///
    /// # Errors
    ///
    /// It is recorded already, or no more are at once.
    pub fn start(
        &mut self,
        live: &Live,
        stream: StreamId,
        kind: RecordingKind,
        container: Option<RecordContainer>,
        by: RecordedFor,
        now: Millis,
    ) -> Result<(), RecordFault> {
        let app = live.names.stream(stream).app;
        let settings = &live.apps.definition(app).ok_or(RecordFault::Name)?.record;
        let path = &live.names.stream(stream).path;
        let name = RecordingName::new(live.apps.name(app), path, kind, container.unwrap_or(settings.container))?;
        self.begin(Order { stream, name, by, terms: RecordTerms::of(settings, kind) }, now)
    }

    /// Begins to record a stream for a script, until it is as long or as large as it says, in milliseconds and bytes.
    ///
    /// # Errors
    ///
    /// As [`Recordings::start`].
    pub fn start_within(
        &mut self,
        live: &Live,
        stream: StreamId,
        kind: RecordingKind,
        script: InstanceId,
        most: RecordMost,
        now: Millis,
    ) -> Result<(), RecordFault> {
        self.start(live, stream, kind, Some(RecordContainer::Flv), RecordedFor::Script(script), now)?;
        if let Some(order) = self.of(stream).and_then(|place| place.order.as_mut()) {
            order.terms.most = most;
        }
        Ok(())
    }

    /// What is recorded of a stream is to be on the medium: once, with the fragment that grows, or, with `sync_ms`, so soon from now on.
    pub fn flush(&mut self, live: &Live, stream: StreamId, when: FlushWhen) {
        let app = live.names.stream(stream).app;
        let configured_ms = live.apps.definition(app).map_or(0, |app| app.record.sync_ms);
        let Some(place) = self.of(stream) else { return };
        place.flush(when, configured_ms);
    }

    /// Ends a recording. False when there is none.
    pub fn stop(&mut self, stream: StreamId, now: Millis) -> bool {
        let Some(place) = self.of(stream) else { return false };
        place.stop();
        self.wake_at = Some(now);
        true
    }

    /// Ends all of them: the server stops.
    pub fn stop_all(&mut self, now: Millis) {
        for place in self.places.iter_mut().filter(|place| !place.is_free()) {
            place.stop();
            self.wake_at = Some(now);
        }
    }

    /// Who publishes a stream has ended that. Whether it hears so when its recording is complete ([`RecordSaid::Unpublished`](crate::live::recording::RecordSaid::Unpublished)).
    pub fn says_end(&mut self, stream: StreamId, by: Holder) -> bool {
        self.of(stream).is_some_and(|place| place.says_end(by))
    }

    /// What this net stream published, if it has not heard of the end of that, and is to hear of it now.
    pub fn end_is_said(&mut self, by: Holder) -> Option<StreamId> {
        self.places.iter_mut().find_map(|place| place.end_is_said(by))
    }

    /// Whether a stream is being recorded.
    pub fn is_recorded(&self, stream: StreamId) -> bool {
        self.places.iter().any(|place| place.is_of(stream))
    }

    /// What happened since the start.
    pub fn counts(&self) -> &RecordCounts {
        &self.counts
    }

    /// The file in which a stream is being recorded, as soon as something of it is whole.
    pub fn growing(&self, stream: StreamId) -> Option<GrowingFile> {
        let mut places = self.places.iter();
        places.find(|place| place.order.as_ref().is_some_and(|order| order.stream == stream))?.growing()
    }

    /// The file that is being recorded of an application, and is called so: `PATH/FILE`, with its ending or without.
    pub fn growing_file(&self, app: &str, called: &str) -> Option<GrowingFile> {
        let is_called = |file: &str| {
            let below = file.strip_prefix(app).and_then(|rest| rest.strip_prefix('/'));
            let ending = below.and_then(|below| below.strip_prefix(called));
            ending.is_some_and(|ending| {
                ending.is_empty() || RecordContainer::ALL.iter().any(|(_, kind)| kind.ending() == ending)
            })
        };
        self.places.iter().filter_map(RecordingPlace::growing).find(|growing| is_called(&growing.file))
    }

    /// How many are being made or written.
    pub fn count(&self) -> usize {
        self.places.iter().filter(|place| !place.is_free()).count()
    }

    /// Whether nothing is being recorded or written.
    pub fn is_idle(&self) -> bool {
        self.count() == 0
    }

    /// What the disk is to do next.
    pub fn next_job(&mut self) -> Option<Job> {
        for _ in 0..self.places.len() {
            let at = self.from;
            self.from = (at + 1) % self.places.len();
            if let Some(job) = self.places[at].jobs.pop_front() {
                return Some(Job::Recording(job));
            }
        }
        if let TendState::Wanted = self.tending {
            self.tending = TendState::UnderWay;
            return Some(Job::Recording(RecordJob::Tend));
        }
        self.desk.next_job().map(Job::Recording)
    }

    fn of(&mut self, stream: StreamId) -> Option<&mut RecordingPlace> {
        let mut places = self.places.iter_mut();
        places.find(|place| place.order.as_ref().is_some_and(|order| order.stream == stream))
    }

    fn begin(&mut self, order: Order, now: Millis) -> Result<(), RecordFault> {
        if self.of(order.stream).is_some() {
            return Err(RecordFault::AlreadyExists);
        }
        let Some(place) = self.places.iter_mut().find(|place| place.is_free()) else {
            self.counts.no_place += u64::from(!self.places.is_empty());
            return Err(RecordFault::Places);
        };
        place.begin(order);
        self.wake_at = Some(now);
        Ok(())
    }

    fn published(&mut self, live: &Live, stream: StreamId, now: Millis) {
        if let Some(place) = self.of(stream) {
            place.published(now);
            self.wake_at = Some(now);
            return;
        }
        let app = live.names.stream(stream).app;
        let path = live.names.stream(stream).path.as_str();
        if !live.apps.definition(app).is_some_and(|app| app.record.on.includes(path, app.is_input(path))) {
            return;
        }
        if let Err(fault) = self.start(live, stream, RecordingKind::Automatic, None, RecordedFor::Configuration, now) {
            self.counts.faults += 1;
            let app = Word(live.apps.name(app));
            warn!("{stream} record refused app={app} name={path:?} reason=\"{fault}\"");
        }
    }
}

impl Feature for Recordings {
    fn new(settings: &Settings) -> Recordings {
        let block_bytes = write_block_bytes(settings);
        Recordings {
            places: (0..settings.recordings as u16).map(|at| RecordingPlace::new(at, block_bytes)).collect(),
            rows: Box::default(),
            from: 0,
            wake_at: Some(Millis(0)).filter(|_| settings.recordings > 0),
            tending: if settings.recordings > 0 { TendState::Next(Millis(0)) } else { TendState::Never },
            counts: RecordCounts::default(),
            desk: RecordingDesk::default(),
        }
    }

    fn memory(settings: &Settings) -> Row {
        // What all share is said in parts.
        let count = settings.recordings as usize;
        let shared = size_of::<FragmentRows>().div_ceil(count.max(1));
        let each = RecordingPlace::own_bytes() + shared + WRITE_BLOCKS * write_block_bytes(settings);
        Row::new("recordings", count, each)
    }

    fn hear(&mut self, what: &Happened, live: &Live, now: Millis, _out: &mut Actions) {
        match *what {
            Happened::Began { stream, does: Does::Publish, .. } => self.published(live, stream, now),
            Happened::Ended { stream, does: Does::Publish, .. } => {
                let ring = live.names.stream(stream).ring;
                let head = ring.map(|ring| live.names.media(ring).ring().readable_head());
                if let Some(place) = self.of(stream) {
                    place.unpublished(head, now);
                    self.wake_at = Some(now);
                }
            }
            _ => {}
        }
    }

    fn turn(&mut self, live: &mut Live, now: Millis, out: &mut Actions) {
        if let TendState::Next(at) = self.tending
            && at <= now
        {
            self.tending = TendState::Wanted;
        }
        let mut wake_at = match self.tending {
            TendState::Next(at) => Some(at),
            TendState::Never | TendState::Wanted | TendState::UnderWay => None,
        };
        for place in &mut self.places {
            if place.is_free() {
                continue;
            }
            while out.room() > 0
                && let Some((by, stream, said)) = place.say()
            {
                out.push(Action::Recording(by, stream, said));
            }
            if out.room() == 0 {
                // It keeps its name until all of it is said.
                wake_at = Some(now);
                break;
            }
            let at = place.turn(live, &mut self.rows, &mut self.counts, now);
            wake_at = wake_at.into_iter().chain(at).min();
        }
        self.wake_at = wake_at;
    }

    fn done(&mut self, done: Done, now: Millis, out: &mut Actions) -> Option<Done> {
        let Done::Recording(done) = done else { return Some(done) };
        let Recordings { places, counts, .. } = self;
        match done {
            RecordDone::Opened { id, result } => {
                places.get_mut(usize::from(id.place))?.opened(id, result, counts, now);
            }
            RecordDone::Written { id, block, result } => {
                let place = places.get_mut(usize::from(id.place))?;
                let before = place.whole();
                place.wrote(id, block, result, counts);
                if place.whole() != before {
                    out.push(Action::Grown { recording: id, whole: place.whole(), is_all: false });
                }
            }
            RecordDone::Closed { id, result } => {
                let place = places.get_mut(usize::from(id.place))?;
                out.push(Action::Grown { recording: id, whole: place.whole(), is_all: true });
                place.closed(id, result, counts, now);
                // There is a file to finish.
                if let TendState::Next(_) = self.tending {
                    self.tending = TendState::Next(now);
                }
            }
            RecordDone::Tended { more, complete } => {
                self.tending = TendState::Next(now + if more { TEND_STEP_MS } else { TEND_MS });
                if complete.is_some() {
                    self.wake_at = Some(now);
                    return Some(Done::Recording(RecordDone::Tended { more, complete }));
                }
            }
            // The operator or a script asked for it.
            done @ (RecordDone::Listed { .. } | RecordDone::Deleted { .. } | RecordDone::Cleared { .. }) => {
                return Some(Done::Recording(done));
            }
        }
        self.wake_at = Some(now);
        None
    }

    fn wake_at(&self) -> Option<Millis> {
        self.wake_at
    }
}
