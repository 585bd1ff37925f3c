//! Relays as rows of a list: what `rill ctl push list` shows, and `/api/pushes`.

use core::fmt;

use crate::features::relays::{RelayKind, RelayState, RelayTask};
use crate::limits::RELAYS_PER_APP;
use crate::live::reader::StreamView;
use crate::live::relay_settings::FarUrl;
use crate::time::Millis;

use super::Server;
use super::json::{OrNull, Text};
use super::speaks::Speaks;

/// A relay, or one that an application's file says and that is not at work.
#[derive(Clone, Debug)]
pub struct RelayRow<'a> {
    /// Where it stands in the list.
    pub(super) at: usize,
    /// `push`, `pull`, `test`, `edge` or `forward`.
    pub(super) does: &'static str,
    /// The application whose file says so.
    pub(super) app: &'a str,
    /// Its number there, from 1; of an edge that of its origin.
    pub(super) number: u32,
    /// The path of the stream that it sends or fetches, as far as there is one.
    pub(super) stream: Option<&'a str>,
    /// Where to or where from.
    pub(super) url: &'a FarUrl,
    /// How far it is.
    pub(super) state: &'static str,
    /// Since when it runs, in seconds.
    pub(super) seconds: Option<u64>,
    /// How fast it is, in bits a second.
    pub(super) bitrate_bps: u64,
    /// How far a push is behind, in milliseconds.
    pub(super) lag_ms: Option<u32>,
    /// Why it ended last, if that was not as it should.
    pub(super) error: &'a str,
}

/// One as an object.
pub(super) struct RelayJson<'a>(pub(super) &'a RelayRow<'a>);

impl fmt::Display for RelayJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RelayRow { does, app, number, stream, url, state, seconds, bitrate_bps, lag_ms, error, .. } = self.0;
        write!(
            f,
            // A URL has no character that JSON has another form for.
            "{{\"does\":\"{does}\",\"app\":{},\"number\":{number},\"stream\":{},\"url\":\"{url}\",\"state\":\"{state}\",\
             \"seconds\":{},\"bitrate_bps\":{bitrate_bps},\"lag_ms\":{},\"error\":{}}}",
            Text(app),
            OrNull(stream.map(Text)),
            OrNull(*seconds),
            OrNull(*lag_ms),
            OrNull(Some(*error).filter(|error| !error.is_empty()).map(Text)),
        )
    }
}

impl Server {
    /// The first relay at place `from` of the list or behind it: those of one application after another, as their files have them.
    pub(super) fn next_relay(&self, from: usize, now: Millis) -> Option<RelayRow<'_>> {
        let relays = &self.features.relays;
        // Each has a row for every place that may be at work for it, and one for when none is.
        let rows = relays.count() + 1;
        const EACH: usize = 2 * RELAYS_PER_APP + 2;
        for (app, application) in self.live.apps.iter() {
            let Some(definition) = application.definition.as_deref() else { continue };
            let pushes = definition.relays.pushes.iter().map(|push| &push.url).enumerate();
            let pulls = definition.relays.pulls.iter().map(|pull| &pull.url).enumerate();
            let all = pushes.map(|(n, url)| (RelayKind::Push(n as u8), n, url));
            let all = all.chain(pulls.map(|(n, url)| (RelayKind::Pull(n as u8), RELAYS_PER_APP + n, url)));
            let edge = definition.relays.edge();
            let forwards = edge.filter(|edge| edge.forward_publish).and_then(|edge| edge.origins.first());
            let all =
                all.chain(edge.and_then(|edge| edge.origins.first()).map(|url| (RelayKind::Edge(0), EACH - 2, url)));
            let all = all.chain(forwards.map(|url| (RelayKind::Forward(0), EACH - 1, url)));
            for (kind, n, url) in all {
                let begin = (usize::from(app.0) * EACH + n) * rows;
                if begin + rows <= from {
                    continue;
                }
                let is_of_it =
                    |at: usize| relays.place(at).task.filter(|task| task.app == app && task.kind.is_of(kind));
                for at in from.saturating_sub(begin)..relays.count() {
                    if let Some(task) = is_of_it(at) {
                        return Some(self.relay_row(begin + at, at, task, application.name.as_str(), url, now));
                    }
                }
                if (0..relays.count()).all(|at| is_of_it(at).is_none_or(|task| !task.kind.is_same(kind))) {
                    let (does, number) = kind.named();
                    let is_stopped = matches!(kind, RelayKind::Push(n) if relays.is_stopped(app, n));
                    let state = if is_stopped { "stopped" } else { RelayState::Rests.name() };
                    let app = application.name.as_str();
                    let (at, stream, seconds, lag_ms) = (begin + rows - 1, None, None, None);
                    return Some(RelayRow {
                        at,
                        does,
                        app,
                        number,
                        stream,
                        url,
                        state,
                        seconds,
                        bitrate_bps: 0,
                        lag_ms,
                        error: "",
                    });
                }
            }
        }
        None
    }

    fn relay_row<'a>(
        &'a self,
        row: usize,
        at: usize,
        task: RelayTask,
        app: &'a str,
        url: &'a FarUrl,
        now: Millis,
    ) -> RelayRow<'a> {
        let place = self.features.relays.place(at);
        let (does, number) = task.kind.named();
        let sent = task.stream.map(|stream| self.live.names.stream(stream).path.as_str());
        RelayRow {
            at: row,
            does,
            app,
            number,
            stream: match task.kind {
                RelayKind::Edge(_) => Some(place.name.as_str()),
                _ => sent.or(task.pull(&self.live).map(|pull| pull.name.as_str())),
            },
            url: task.url(&self.live).unwrap_or(url),
            state: match (task.kind, place.taken) {
                (RelayKind::Test(_), Some(true)) => "taken",
                (RelayKind::Test(_), Some(false)) => "refused",
                _ => place.state.name(),
            },
            seconds: match place.state {
                RelayState::Runs { since } => Some(now.since(since) / 1000),
                _ => None,
            },
            bitrate_bps: match place.state {
                RelayState::Runs { .. } => place.rate.bits_per_second(),
                _ => 0,
            },
            lag_ms: self.push_lag_ms(at, now),
            error: &place.words,
        }
    }

    /// How far a push is behind, in milliseconds.
    fn push_lag_ms(&self, at: usize, now: Millis) -> Option<u32> {
        let (_, Speaks::Relay(line)) = self.slots.peek_both(self.slots.relay_slot(at)) else { return None };
        let reader = line.reader()?;
        reader.lag_ms(StreamView::of(&self.live.names, reader.stream()).media?, now)
    }

    /// Of each relay of the list what it does, its stream, how far it is and why it ended last.
    pub fn relays(&self, now: Millis) -> Vec<(&'static str, &str, &'static str, &str)> {
        let rows = core::iter::successors(self.next_relay(0, now), |row| self.next_relay(row.at + 1, now));
        rows.map(|row| (row.does, row.stream.unwrap_or("-"), row.state, row.error)).collect()
    }

    /// The operator starts or stops a push, or wants to know whether its far end takes it: `APP/NUMBER`, as the list has them.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn switch_push(&mut self, verb: &str, push: &str, now: Millis) -> Result<(), &'static str> {
        const UNKNOWN: &str = "there is no such push: see push list";
        self.now = now;
        let (app, number) = push.rsplit_once('/').ok_or(UNKNOWN)?;
        let app = self.live.apps.find(app).ok_or(UNKNOWN)?;
        let n = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1)).ok_or(UNKNOWN)?;
        let count = self.live.apps.definition(app).map_or(0, |app| app.relays.pushes.len());
        let n = u8::try_from(n).ok().filter(|_| n < count).ok_or(UNKNOWN)?;
        let relays = &mut self.features.relays;
        match verb {
            "start" if relays.switch(app, n, true, &self.live, now) => Ok(()),
            "start" => Err("it was not stopped"),
            "stop" if relays.is_stopped(app, n) => Err("it is stopped already"),
            "stop" if relays.switch(app, n, false, &self.live, now) => Ok(()),
            "stop" => Err("as many are stopped as can be"),
            _ if relays.test(app, n, &self.live, now) => Ok(()),
            _ => Err("every relay is in use (limits.relays)"),
        }
    }
}
