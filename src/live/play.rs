//! Playing: what is played, and who is counted as its player.

use crate::handles::{AppId, StreamId};
use crate::name::StreamPath;
use crate::time::Millis;

use super::Live;
use super::holder::{Holder, Publisher};
use super::reader::{Reader, StreamView};
use super::refusal::Refusal;
use super::settings::Settings;

impl Live {
    /// Who publishes the stream.
    pub fn publisher(&self, app: AppId, path: &StreamPath) -> Option<Publisher> {
        self.names.find(app, path).and_then(|id| self.names.stream(id).publisher())
    }

    /// Whether somebody publishes the stream, or may soon be back: a player that comes meanwhile waits for it.
    pub fn is_published(&self, app: AppId, path: &StreamPath) -> bool {
        let found = self.names.find(app, path).map(|id| self.names.stream(id));
        found.is_some_and(|stream| stream.publisher().is_some() || stream.is_away())
    }

    /// `by` plays the stream from now on, or waits for its publisher. The player was told, if it was published, that it is:
    /// that is the caller's to do.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoStream`].
    pub fn play(
        &mut self,
        by: Holder,
        app: AppId,
        path: &StreamPath,
        settings: &Settings,
        now: Millis,
    ) -> Result<Reader, Refusal> {
        let id = self.names.find_or_wait(app, path, now)?;
        self.names.add_player(id, by);
        Ok(Reader::new(id, StreamView::of(&self.names, id), settings.gop_cache))
    }

    /// The name of a stream, which is in use, is kept for `by` until [`Live::stop`]: it reads the stream's ring without being a player.
    pub fn hold(&mut self, id: StreamId, by: Holder) {
        self.names.add_player(id, by);
    }

    /// `by` plays the stream no more, with none of its streams.
    pub fn stop(&mut self, by: Holder, id: StreamId) {
        self.names.remove_player(id, by);
        self.names.release_if_unused(id);
    }
}
