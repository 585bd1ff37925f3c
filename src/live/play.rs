//! Playing: what is played, and who is counted as its player.

use crate::handles::{AppId, StreamId};
use crate::name::StreamPath;
use crate::time::Millis;

use super::Live;
use super::app::AppKind;
use super::holder::Holder;
use super::reader::{Reader, StreamView};
use super::refusal::Refusal;
use super::settings::Settings;

impl Live {
    /// Whether there is something to play for one that the gate has let through. Who wants a `recorded` stream, or is in an
    /// application for recordings, does not wait for a publisher: there are no recordings, and a live stream of that name does.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`].
    pub fn look_for(&self, app: AppId, path: &StreamPath, recorded: bool) -> Result<(), Refusal> {
        let found = self.names.find(app, path).map(|id| self.names.stream(id));
        // A player that comes while the publisher is away waits for it.
        let live = found.is_some_and(|stream| stream.publisher().is_some() || stream.is_away());
        let only_recorded = recorded || self.apps.definition(app).is_none_or(|app| app.kind == AppKind::Vod);
        if only_recorded && !live { Err(Refusal::NotFound) } else { Ok(()) }
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

    /// `by` plays the stream no more, with none of its streams.
    pub fn stop(&mut self, by: Holder, id: StreamId) {
        self.names.remove_player(id, by);
        self.names.release_if_unused(id);
    }
}
