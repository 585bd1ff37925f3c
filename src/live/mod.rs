//! Who publishes and plays what, and under which rules: names and their rings, applications and what their files say. No word of
//! any protocol.
//!
//! Whoever wants something asks the [`gate`], then [`Live::publish`] or [`Live::play`]. It is answered by what these return; what
//! others must hear of it is [`news`], which the caller hears and carries out before it does anything else.

pub mod app;
pub mod applications;
mod challenge;
pub mod download;
pub mod feed;
pub mod finding;
pub mod gate;
pub mod health;
pub mod holder;
pub mod hook_settings;
pub mod jobs;
pub mod links;
pub mod names;
pub mod news;
mod play;
pub mod programme_settings;
pub mod publish;
pub mod rate;
pub mod reader;
pub mod record_settings;
pub mod recorded;
pub mod recording;
pub mod refusal;
pub mod relay_settings;
pub mod script_text;
pub mod secret;
pub mod settings;
pub mod symptoms;
#[cfg(test)]
mod tests;
pub mod trouble;
pub mod users;

use crate::handles::StreamId;

use applications::Applications;
use health::Health;
use holder::Holder;
use names::Names;
use news::{News, Unheard};
use refusal::Refusal;

/// All of it. Its two tables are borrowed apart.
pub struct Live {
    /// Applications, and what their files say.
    pub apps: Applications,
    /// Names that are published, played or waited for, and the rings of what is published.
    pub names: Names,
    /// What is wrong with the board, the network and the tables.
    pub health: Health,
    unheard: Unheard,
}

impl Live {
    /// With these applications and names, of which nobody has heard anything.
    pub fn new(apps: Applications, names: Names) -> Live {
        Live { apps, names, health: Health::default(), unheard: Unheard::default() }
    }

    /// What is to be heard next. The stream's name is kept until [`Names::release_if_unused`].
    pub fn next_news(&mut self) -> Option<(StreamId, News)> {
        if !self.unheard.news {
            return None;
        }
        let news = self.names.next_news();
        self.unheard.news = news.is_some();
        let (id, news) = news?;
        Some((id, news.take()?))
    }

    /// Whether somebody has begun or ceased to publish, or to wait for a name, since this was asked last: [`Live::next_challenge`]
    /// and [`Names::publishers`] may be others.
    pub fn holders_changed(&mut self) -> bool {
        core::mem::take(&mut self.unheard.holders)
    }

    fn happens(&mut self, id: StreamId, what: News) {
        self.names.stream_mut(id).news.happened = Some(what);
        self.unheard.news = true;
    }

    fn refuse(&mut self, id: StreamId, who: Holder, why: Refusal) {
        self.names.stream_mut(id).news.refused = Some((who, why));
        self.unheard.news = true;
    }

    /// Nobody waits for the stream's name any more: its publisher need not hear that somebody did.
    fn forget_challenge(&mut self, id: StreamId) {
        let happened = &mut self.names.stream_mut(id).news.happened;
        happened.take_if(|what| matches!(what, News::Asked | News::Silent));
    }

    /// The stream's publisher is gone: what was to be heard of it, and not yet was, is void.
    fn forget_news(&mut self, id: StreamId) -> Option<News> {
        self.names.stream_mut(id).news.happened.take()
    }

    /// Who was refused is gone, and hears nothing.
    fn is_gone(&mut self, id: StreamId, who: Holder) {
        self.names.stream_mut(id).news.refused.take_if(|(by, _)| *by == who);
    }

    fn holders_change(&mut self) {
        self.unheard.holders = true;
    }
}
