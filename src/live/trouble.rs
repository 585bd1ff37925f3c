//! What goes wrong with a stream's media while everything works: frames that are too large for a ring, viewers that skip, an
//! uplink that does not keep up, key frames that are too far apart. Each is logged at once, and again each minute that it lasts.

use core::fmt;

use log::warn;

use crate::handles::StreamId;
use crate::media::RingError;
use crate::time::Millis;

use super::holder::Holder;

/// The same is told of a stream at most this often, in milliseconds.
const EACH_MS: u64 = 60_000;
/// Media that comes so much later than it did means that the uplink does not keep up, in milliseconds.
const LATE_MS: u32 = 2_000;
/// The unit in which `limits.ring_bytes` is advised, in bytes.
const MIB: u64 = 1 << 20;

/// What is looked at again and again while a stream is published.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// So much later media comes than it did, in milliseconds.
    pub late_ms: u32,
    /// The newest key frame has left the ring.
    pub lost_key_frame: bool,
}

/// Of the present publish.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    /// Frames that the ring could not take.
    refused: Complaint,
    /// The largest of them, in wire bytes.
    largest: u32,
    /// Times that a viewer was too slow and went on at a later key frame, ...
    skips: Complaint,
    /// ... in all.
    skipped: u32,
    /// Media came late.
    late: Complaint,
    /// The key frame left the ring before the next one came.
    key_frame: Complaint,
    /// Begin of the window in which the earliest arrival is searched, with which others are compared.
    watched_since: Millis,
}

#[derive(Clone, Copy, Debug, Default)]
struct Complaint {
    /// How often since it was told.
    count: u32,
    told: Option<Millis>,
}

impl Complaint {
    /// What to tell, if it is time: how often it happened, and that counts from 0 again.
    fn due(&mut self, now: Millis) -> Option<u32> {
        if self.count == 0 || self.told.is_some_and(|told| now.since(told) < EACH_MS) {
            return None;
        }
        self.told = Some(now);
        Some(core::mem::take(&mut self.count))
    }
}

/// `1 frame of 90000 bytes`, or `12 frames of up to 90000 bytes`; without a size when none was too large.
struct Frames {
    count: u32,
    largest: u32,
}

impl fmt::Display for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Frames { count, largest } = self;
        match (*count, *largest) {
            (1, 0) => write!(f, "1 frame"),
            (_, 0) => write!(f, "{count} frames"),
            (1, _) => write!(f, "1 frame of {largest} bytes"),
            _ => write!(f, "{count} frames of up to {largest} bytes"),
        }
    }
}

impl Trouble {
    /// Of a publish that begins now.
    pub fn none(now: Millis) -> Trouble {
        Trouble { watched_since: now, ..Trouble::default() }
    }

    /// Whether frames of this publish were dropped because no ring takes them.
    pub fn has_refused(&self) -> bool {
        self.refused.count > 0 || self.refused.told.is_some()
    }

    /// Whether frames are being dropped, or were a moment ago: a new viewer will miss pictures as well.
    pub fn is_refusing(&self, now: Millis) -> bool {
        self.refused.count > 0 || self.refused.told.is_some_and(|told| now.since(told) < EACH_MS)
    }

    /// So many times a viewer of the stream has skipped.
    pub fn skipped(&mut self, times: u32) {
        self.skips.count = self.skips.count.saturating_add(times);
        self.skipped = self.skipped.saturating_add(times);
    }

    /// How often viewers have, since the publish began.
    pub const fn skips(&self) -> u32 {
        self.skipped
    }

    /// A frame of the publisher's found no place. True for the first of a publish.
    #[cold]
    pub fn frame_refused(
        &mut self,
        publisher: Holder,
        id: StreamId,
        name: &str,
        refused: RingError,
        now: Millis,
    ) -> bool {
        let first = !self.has_refused();
        self.refused.count += 1;
        if let RingError::TooLarge { wire_bytes, .. } = refused {
            self.largest = self.largest.max(wire_bytes);
        }
        if let Some(count) = self.refused.due(now) {
            let largest = core::mem::take(&mut self.largest);
            match refused {
                RingError::TooLarge { ring_bytes, .. } => warn!(
                    "{publisher} {id} name={name:?} {} dropped: a ring of {ring_bytes} bytes takes \
                     half of that at most; raise limits.ring_bytes to {}MiB or lower the encoder's bitrate to {} % of what it is",
                    Frames { count, largest },
                    (2 * u64::from(largest)).div_ceil(MIB),
                    ring_bytes as u64 * 50 / u64::from(largest.max(1)),
                ),
                error => warn!("{publisher} {id} name={name:?} {} dropped: {error:?}", Frames { count, largest: 0 }),
            }
        }
        first
    }

    /// Logs what there is to say of a stream that `publisher` publishes: its media comes `late_ms` later than it did, and its
    /// newest key frame has left the ring or not. True when lateness is to be measured anew.
    pub fn log(&mut self, publisher: Holder, id: StreamId, name: &str, seen: Seen, now: Millis) -> bool {
        if let Some(times) = self.skips.due(now) {
            warn!(
                "{id} name={name:?} viewers too slow: they skipped {times} {}; their lines do not take the encoder's bitrate: \
                 lower it, or let them be further behind (live.player_lag_ms)",
                if times == 1 { "time" } else { "times" },
            );
        }
        let late_ms = seen.late_ms;
        self.late.count = u32::from(late_ms >= LATE_MS);
        let told = self.late.due(now);
        if told.is_some() {
            warn!(
                "{publisher} {id} name={name:?} uplink too slow: media comes {}.{} s later than it did; lower the encoder's bitrate, or \
                 give it a better line and a computer that keeps up",
                late_ms / 1000,
                late_ms % 1000 / 100,
            );
        }
        let anew = told.is_some() || now.since(self.watched_since) >= EACH_MS;
        if anew {
            self.watched_since = now;
        }
        self.key_frame.count = u32::from(seen.lost_key_frame && !self.has_refused());
        if self.key_frame.due(now).is_some() {
            warn!(
                "{publisher} {id} name={name:?} the newest key frame has left the ring: viewers who join hear at once and wait for a picture; \
                 set a key frame every 2 s in the encoder or raise limits.ring_bytes",
            );
        }
        anew
    }
}
