//! What others must hear when somebody publishes, leaves, or gives no sign of life for too long.
//!
//! Nobody is told from within: a stream keeps it, and the caller hears one after the other
//! ([`Live::next_news`](super::Live::next_news)) and carries it out, until there is none, before it does anything else. What it
//! carries out may leave more, which is heard first. So there is room for all: of what nobody has heard, a stream's publish
//! ended at most once, at most one holder was refused its name, and at most one thing came of that.

use crate::handles::StreamId;

use super::holder::Holder;
use super::refusal::Refusal;

/// What others must hear of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// This one publishes it no more.
    Ended(Holder),
    /// This one waited for its name, and does not get it.
    Refused(Holder, Refusal),
    /// Its publisher is asked for a sign of life, for another one waits for the name.
    Asked,
    /// Its publisher gave none, and has to go.
    Silent,
    /// It is published, by one that asked for it just now or that waited for its name. The publisher hears it, too.
    Began,
    /// Its publisher, who sends no media, has lost its ring.
    Robbed {
        /// To whose media.
        to: StreamId,
        /// What encoders say once has gone with it: the publisher has to begin anew.
        anew: bool,
    },
    /// Its publisher has left, and is not waited for.
    Left,
    /// Its publisher has sent no media for long.
    Idle,
}

/// What is still to be heard of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StreamNews {
    pub(super) ended: Option<Holder>,
    pub(super) refused: Option<(Holder, Refusal)>,
    pub(super) happened: Option<News>,
}

impl StreamNews {
    pub(super) fn is_none(&self) -> bool {
        self.ended.is_none() && self.refused.is_none() && self.happened.is_none()
    }

    /// In the order in which it happened: the end of a publish leads to the rest.
    pub(super) fn take(&mut self) -> Option<News> {
        let ended = self.ended.take().map(News::Ended);
        let refused = || self.refused.take().map(|(by, refusal)| News::Refused(by, refusal));
        ended.or_else(refused).or_else(|| self.happened.take())
    }
}

/// Whether there is something to hear.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unheard {
    /// Streams may have news.
    pub(super) news: bool,
    /// Who publishes, or waits for a name, has changed.
    pub(super) holders: bool,
}
