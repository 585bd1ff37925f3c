//! One publisher per name: what happens when a second one comes.
//!
//! The holder is asked for a sign of life. If no byte comes from it in time, the newcomer takes over and players notice
//! nothing; else the newcomer is refused. So an encoder that comes back after a Wi-Fi loss waits `publish_timeout_ms` at
//! most, and no client can take a name from a live publisher: the publisher need not read, and bytes of it that the
//! server has not read yet are a sign of life, too. A publisher that is no connection is alive as long as it publishes.
//!
//! One newcomer waits for a name at a time. An encoder's new try replaces its own earlier one, and a newcomer from the
//! holder's address replaces any other; no other newcomer replaces a waiting one.

use crate::handles::StreamId;
use crate::time::Millis;

use super::Live;
use super::holder::{Holder, Publisher};
use super::names::Challenger;
use super::news::News;
use super::refusal::Refusal;
use super::settings::Settings;

impl Live {
    /// `newcomer` wants to publish a name that `holder` publishes: it waits, or another one waits already.
    pub(super) fn challenge(
        &mut self,
        newcomer: Publisher,
        holder: Publisher,
        id: StreamId,
        settings: &Settings,
        now: Millis,
    ) -> Result<(), Refusal> {
        if holder.by.conn().is_none() {
            return Err(Refusal::Taken);
        }
        let mut deadline = now + settings.publish_timeout_ms;
        if let Some(before) = self.names.stream(id).challenger {
            if !goes_before(newcomer, before.who, holder) {
                return Err(Refusal::Taken);
            }
            // It takes the place of the one before, but not more time.
            deadline = before.deadline;
            self.refuse(id, before.who.by, Refusal::Taken);
        }
        self.names.stream_mut(id).challenger = Some(Challenger { who: newcomer, deadline });
        self.holders_change();
        self.happens(id, if settings.publish_timeout_ms == 0 { News::Silent } else { News::Asked });
        Ok(())
    }

    /// A sign of life came from whoever holds names: it keeps them.
    pub fn is_alive(&mut self, holder: Holder) {
        for index in 0..self.names.name_count() {
            let id = StreamId(index as u16);
            let stream = self.names.stream_mut(id);
            if stream.publisher().is_none_or(|publisher| !publisher.by.is_with(holder)) {
                continue;
            }
            let Some(challenger) = stream.challenger.take() else { continue };
            self.holders_change();
            self.forget_challenge(id);
            self.names.stream_mut(id).contests.add(1);
            self.refuse(id, challenger.who.by, Refusal::Taken);
        }
    }

    /// The first stream, at `from` or behind it, whose holder was given its time for a sign of life: it loses its name, unless it
    /// `has_spoken`.
    pub fn expire_challenge(
        &mut self,
        from: usize,
        now: Millis,
        has_spoken: impl FnOnce(Holder) -> bool,
    ) -> Option<StreamId> {
        let over = |challenger: Challenger| challenger.deadline <= now;
        let id = self.names.next_stream_that(from, |stream| stream.challenger.is_some_and(over))?;
        if let Some(Publisher { by: holder, .. }) = self.names.stream(id).publisher() {
            match has_spoken(holder) {
                // It may be gathered, limited, or wait for its own answers.
                true => self.is_alive(holder),
                false => self.happens(id, News::Silent),
            }
        }
        Some(id)
    }

    /// When the first of those who wait for a name has waited long enough.
    pub fn next_challenge(&self) -> Option<Millis> {
        let waiting = self.names.streams().filter_map(|(_, stream)| stream.challenger);
        waiting.map(|challenger| challenger.deadline).min()
    }
}

/// Whether a newcomer takes the place of the one who waits for the same name.
fn goes_before(newcomer: Publisher, waiting: Publisher, holder: Publisher) -> bool {
    newcomer.home == holder.home || newcomer.home == waiting.home
}
