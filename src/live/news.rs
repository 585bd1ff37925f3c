//! What others must hear when somebody publishes, leaves, or gives no sign of life for too long.
//!
//! Nobody is told from within: a stream keeps a word for it, and the caller hears one after the other ([`Live::next_news`](super::Live::next_news)) and
//! carries it out, until there is none, before it does anything else. What it carries out may leave new words, which are heard
//! first. So there is room for all: of a stream at most one thing has happened, and one holder was refused, that nobody heard.

use crate::handles::StreamId;

use super::holder::Holder;
use super::refusal::Refusal;

/// What others must hear of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// This one waited for its name, and does not get it.
    Refused(Holder, Refusal),
    /// This happened to it.
    Happened(Happened),
}

/// What happens to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// Its publisher is asked for a sign of life, for another one waits for the name.
    Asked,
    /// Its publisher gave none, and has to go.
    Silent,
    /// Who waited for its name publishes it.
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
pub(super) struct Word {
    pub(super) refused: Option<(Holder, Refusal)>,
    pub(super) happened: Option<Happened>,
}

impl Word {
    pub(super) fn is_none(&self) -> bool {
        self.refused.is_none() && self.happened.is_none()
    }

    /// Who was refused hears it before anything else happens.
    pub(super) fn take(&mut self) -> Option<News> {
        let refused = self.refused.take().map(|(by, refusal)| News::Refused(by, refusal));
        refused.or_else(|| self.happened.take().map(News::Happened))
    }
}

/// Whether there is something to hear.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unheard {
    /// Streams may have a word.
    pub(super) words: bool,
    /// Who waits for names has changed, and so may have the next deadline.
    pub(super) waiting: bool,
}
