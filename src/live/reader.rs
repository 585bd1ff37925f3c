//! A reader of a stream: a cursor with rules.

use crate::handles::StreamId;
use crate::media::{Cursor, JoinPoint, TagSeq};
use crate::time::Millis;
use crate::wire::flv::Codec;

use super::names::Media;

/// A player: a cursor and little else.
#[derive(Clone, Copy, Debug)]
pub struct Player {
    /// What it plays.
    pub stream: StreamId,
    /// How far it is.
    pub phase: PlayPhase,
    /// Sends nothing until the client goes on.
    pub paused: bool,
    /// Wants audio.
    pub audio: bool,
    /// Wants video.
    pub video: Want,
    /// It was told that the stream is published, and not that it is no longer.
    pub told: bool,
    /// It is to hear that the publisher left, when it has been sent everything.
    pub ending: bool,
    /// It is to hear that a switch is complete, when the new stream's first frame is due.
    pub switching: bool,
    /// How often it was too slow and went on at a later key frame, as far as 16 bits count.
    pub skips: u16,
    /// How far behind it was when it began or was about to be overtaken, at the least, in milliseconds.
    pub least_lag_ms: u32,
    /// How it is sent Enhanced RTMP messages.
    pub enhanced: Enhanced,
    /// What of the stream is left out, for its codec has no legacy form.
    pub left_out: LeftOut,
}

/// How a player is sent Enhanced RTMP messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enhanced {
    /// As they are: its client announced that it knows them.
    AsTheyAre,
    /// As the legacy messages that they equal. There is none before it.
    Legacy,
    /// As `Legacy`, and there is one: it goes tag by tag.
    LegacyDue,
}

/// Whether sound or picture is left out for want of a legacy form, and the player was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// Not so far.
    No,
    /// It is, and the player is to hear it; of that codec, if we know it.
    Due(Option<Codec>),
    /// It was told.
    Told,
}

impl LeftOut {
    /// Something is left out: that is told once.
    pub fn note(&mut self, codec: Option<Codec>) {
        if *self == LeftOut::No {
            *self = LeftOut::Due(codec);
        }
    }
}

/// Whether a kind of media is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Yes.
    Yes,
    /// No.
    No,
    /// From the next key frame on, after the headers, which may have changed.
    Resuming,
    /// From the next key frame on.
    AtKeyFrame,
}

/// How far a player is.
#[derive(Clone, Copy, Debug)]
pub enum PlayPhase {
    /// For a publisher, or for a key frame or sound at or behind `after`.
    Waiting {
        /// The first tag it may start at.
        after: Option<TagSeq>,
    },
    /// It is being sent metadata and sequence headers.
    Headers {
        /// The next one.
        next: u8,
        /// Of the header cache when it began: it begins again when that changed.
        version: u32,
        /// Where it goes on.
        point: JoinPoint,
    },
    /// It is sent tags.
    Live {
        /// The next byte.
        cursor: Cursor,
    },
}

impl Player {
    /// A player of `stream` who was sent nothing.
    pub fn new(stream: StreamId, after: Option<TagSeq>, switching: bool) -> Player {
        Player {
            stream,
            phase: PlayPhase::Waiting { after },
            paused: false,
            audio: true,
            video: Want::Yes,
            told: false,
            ending: false,
            switching,
            skips: 0,
            least_lag_ms: u32::MAX,
            enhanced: Enhanced::AsTheyAre,
            left_out: LeftOut::No,
        }
    }

    /// Begins, or goes on, at `point`: headers first.
    pub fn begin_at(&mut self, point: JoinPoint, media: &Media, now: Millis) {
        self.video = match self.video {
            Want::No => Want::No,
            Want::Yes | Want::Resuming if !point.picture_later => Want::Yes,
            Want::Yes | Want::Resuming | Want::AtKeyFrame => Want::AtKeyFrame,
        };
        self.least_lag_ms = media.ring().lag_ms(point.cursor, now);
        self.phase = PlayPhase::Headers { next: 0, version: media.headers().version(), point };
    }

    /// Goes on with the first tag of a publish, the first picture of which is a key frame.
    pub fn begin_with(&mut self, first: Cursor) {
        if self.video != Want::No {
            self.video = Want::Yes;
        }
        self.phase = match self.switching {
            // It is told of its switch behind the headers.
            true => PlayPhase::Waiting { after: None },
            false => PlayPhase::Live { cursor: first },
        };
    }

    /// It is sent legacy messages alone.
    pub fn is_legacy(&self) -> bool {
        self.enhanced != Enhanced::AsTheyAre
    }

    /// Every tag as the ring holds it.
    pub fn wants_everything(&self) -> bool {
        self.audio && self.video == Want::Yes && self.enhanced != Enhanced::LegacyDue
    }
}
