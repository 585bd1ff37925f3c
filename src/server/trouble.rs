//! What goes wrong with a stream's media while everything works: frames that are too large for a ring, viewers that skip, an
//! uplink that does not keep up, key frames that are too far apart. Each is logged at once, and again each minute that it lasts.

use core::fmt;

use log::warn;

use crate::media::RingError;
use crate::rtmp::status::Code;
use crate::time::Millis;

use super::Server;
use super::registry::StreamId;
use super::slots::ConnId;

/// The same is told of a stream at most this often, in milliseconds.
const EACH_MS: u64 = 60_000;
/// Media that comes so much later than it did means that the uplink does not keep up, in milliseconds.
const LATE_MS: u32 = 2_000;
/// The unit in which `limits.ring_bytes` is advised, in bytes.
const MIB: u64 = 1 << 20;

/// Of the present publish.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    /// Frames that the ring could not take.
    refused: Complaint,
    /// The largest of them, in wire bytes.
    largest: u32,
    /// Times that a viewer was too slow and went on at a later key frame.
    skips: Complaint,
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
    }
}

impl Server {
    /// A frame of the publisher's found no place.
    #[cold]
    pub(super) fn frame_refused(&mut self, conn: ConnId, id: StreamId, refused: RingError, now: Millis) {
        self.counters.media_refused += 1;
        let stream = self.registry.stream_mut(id);
        let trouble = &mut stream.trouble;
        let first = !trouble.has_refused();
        trouble.refused.count += 1;
        if let RingError::TooLarge { wire_bytes, .. } = refused {
            trouble.largest = trouble.largest.max(wire_bytes);
        }
        if let Some(count) = trouble.refused.due(now) {
            let (largest, name) = (core::mem::take(&mut trouble.largest), stream.path.as_str());
            match refused {
                RingError::TooLarge { ring_bytes, .. } => warn!(
                    "{conn} {id} name={name:?} {} dropped: a ring of {ring_bytes} bytes takes \
                     half of that at most; raise limits.ring_bytes to {}MiB or lower the encoder's bitrate to {} % of what it is",
                    Frames { count, largest },
                    (2 * u64::from(largest)).div_ceil(MIB),
                    ring_bytes as u64 * 50 / u64::from(largest.max(1)),
                ),
                error => warn!("{conn} {id} name={name:?} {} dropped: {error:?}", Frames { count, largest: 0 }),
            }
        }
        if first {
            self.each_player(id, |server, conn, net_stream, _| {
                server.tell_of(conn, net_stream, id, Code::PlayInsufficientBandwidth);
            });
        }
    }

    /// Looks at every stream that is published.
    pub(super) fn tell_of_trouble(&mut self, now: Millis) {
        if self.registry.publishers() == 0 {
            return;
        }
        for index in 0..self.registry.name_count() {
            let id = StreamId(index as u16);
            let Some((stream, media)) = self.registry.with_media(id) else { continue };
            let Some(publisher) = stream.publisher else { continue };
            let (trouble, name) = (&mut stream.trouble, stream.path.as_str());
            if let Some(times) = trouble.skips.due(now) {
                warn!(
                    "{id} name={name:?} viewers too slow: they skipped {times} {}; their lines do not take the encoder's bitrate: \
                     lower it, or let them be further behind (live.player_lag_ms)",
                    if times == 1 { "time" } else { "times" },
                );
            }
            let late_ms = media.late_ms();
            trouble.late.count = u32::from(late_ms >= LATE_MS);
            let told = trouble.late.due(now);
            if told.is_some() {
                warn!(
                    "{} {id} name={name:?} uplink too slow: media comes {}.{} s later than it did; lower the encoder's bitrate, or \
                     give it a better line and a computer that keeps up",
                    publisher.conn,
                    late_ms / 1000,
                    late_ms % 1000 / 100,
                );
            }
            if told.is_some() || now.since(trouble.watched_since) >= EACH_MS {
                trouble.watched_since = now;
                media.watch_anew();
            }
            trouble.key_frame.count = u32::from(media.has_lost_key_frame() && !trouble.has_refused());
            if trouble.key_frame.due(now).is_some() {
                warn!(
                    "{} {id} name={name:?} the newest key frame has left the ring: viewers who join hear at once and wait for a picture; \
                     set a key frame every 2 s in the encoder or raise limits.ring_bytes",
                    publisher.conn,
                );
            }
        }
    }
}
