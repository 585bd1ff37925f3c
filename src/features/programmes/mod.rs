//! Programmes: streams that the server makes of several inputs (`[[stream]]`). Here stands which there are, what of each is published, and
//! what is on air ([`switch`]); what goes on air, and how, is the server's.
//!
//! Each has a place as long as its application's file says so, and longer while its encoder publishes: what is on air stays there. When all
//! places are taken, the stream of one more is an ordinary one, and the log says so.

pub mod switch;

use std::boxed::Box;

use log::warn;

use crate::handles::{AppId, FeatureId, StreamId};
use crate::limits::{PATH_BYTES, PROGRAMMES, Row};
use crate::live::Live;
use crate::live::feed::{Feed, FeedSource};
use crate::live::holder::Holder;
use crate::live::names::Stream;
use crate::live::programme_settings::{MAIN_INPUT, ProgrammeSettings};
use crate::live::reader::StreamView;
use crate::live::settings::Settings;
use crate::text::Word;
use crate::time::Millis;
use crate::wire::codec::{AudioInfo, VideoInfo};

use super::contract::{Actions, Does, Feature, Happened};
use switch::{Ages, Input, OnAir, Switch, SwitchRule};

/// So long it takes until one that could not be published is tried again, in milliseconds.
const RETRY_MS: u64 = 5000;

/// A programme.
#[derive(Debug)]
pub struct Programme {
    /// Whose file says so.
    pub app: AppId,
    /// What viewers watch: its path in the application, of the default instance.
    pub name: heapless::String<PATH_BYTES>,
    /// What goes to it.
    pub feed: Feed,
    /// What that is to be.
    pub switch: Switch,
    /// What viewers last saw and heard of an input, which a slate has to be like.
    pub seen: (Option<VideoInfo>, Option<AudioInfo>),
    /// The headers of its slate are to be compared with that: they have not all come.
    pub compares: bool,
    /// How often something else went on air.
    pub switches: u32,
    /// Of which state its application's file was read.
    stamp: u64,
    /// When it is to be looked for its slate: the log is to say that there is none before it is needed, and one that is on air is tried
    /// again.
    slate_at: Option<Millis>,
    /// Its inputs that are published.
    inputs: [Option<StreamId>; 2],
    /// It is not tried before.
    not_before: Millis,
}

impl Programme {
    /// What its application says of it; `None` when it says nothing any more.
    pub fn settings<'l>(&self, live: &'l Live) -> Option<&'l ProgrammeSettings> {
        live.apps.staying(self.app)?.programmes.iter().find(|settings| settings.name == self.name.as_str())
    }

    /// There was no player for its slate.
    pub fn try_slate_later(&mut self, now: Millis) {
        self.slate_at = Some(now + RETRY_MS);
    }

    /// The input of that kind, if it is published.
    pub fn input(&self, input: Input) -> Option<StreamId> {
        self.inputs[input as usize]
    }

    fn rule(&self, live: &Live) -> SwitchRule {
        match self.settings(live) {
            Some(settings) => SwitchRule {
                silent_ms: settings.silent_ms,
                steady_ms: settings.steady_ms,
                slate_ms: settings.slate.as_ref().map(|_| u64::from(settings.slate_s) * 1000),
            },
            // What is on air stays until it leaves.
            None => SwitchRule { silent_ms: RETRY_MS, steady_ms: 0, slate_ms: None },
        }
    }

    /// Which of its inputs a stream of that path is.
    fn input_of(&self, path: &str, live: &Live) -> Option<Input> {
        if path.strip_suffix(MAIN_INPUT) == Some(self.name.as_str()) {
            return Some(Input::Main);
        }
        let backup = self.settings(live)?.backup.as_deref();
        (backup == Some(path)).then_some(Input::Backup)
    }

    fn ages(&self, live: &Live, now: Millis) -> Ages {
        self.inputs.map(|input| {
            let media = StreamView::of(&live.names, input?).media?;
            let point = media.join(None).filter(|point| !point.picture_later)?;
            Some(media.ring().lag_ms(point.cursor, now).into())
        })
    }

    /// Something of it is in the tables of streams or of recorded ones.
    fn is_at_work(&self) -> bool {
        self.feed.stream.is_some() || !matches!(self.feed.source, FeedSource::Nothing)
    }
}

/// All programmes.
pub struct Programmes {
    places: Box<[Option<Programme>]>,
    /// One place is taken, which every tag of every stream asks.
    is_used: bool,
    /// What applications say may have changed.
    changed: bool,
    wake_at: Option<Millis>,
    /// One of them is being looked at.
    pub tending: bool,
    /// How often something else went on air.
    pub switches: u64,
}

impl Programmes {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.places.iter().flatten().count()
    }

    /// There is one.
    pub fn is_used(&self) -> bool {
        self.is_used
    }

    /// One, by its place.
    pub fn get(&self, n: u16) -> Option<&Programme> {
        self.places.get(usize::from(n))?.as_ref()
    }

    /// The same, to change.
    pub fn get_mut(&mut self, n: u16) -> Option<&mut Programme> {
        self.places.get_mut(usize::from(n))?.as_mut()
    }

    /// The first place, at `from` or behind it, that is as wanted.
    pub fn next_that(&self, from: u16, wanted: impl Fn(&Programme) -> bool) -> Option<u16> {
        let rest = self.places.get(usize::from(from)..).filter(|_| self.is_used)?;
        let at = rest.iter().position(|place| place.as_ref().is_some_and(&wanted))?;
        Some(from + at as u16)
    }

    /// What an application says has changed, or it has come or gone.
    pub fn look_again(&mut self) {
        (self.changed, self.wake_at) = (true, Some(Millis(0)));
    }

    /// Something of the application is in use.
    pub fn is_of(&self, app: AppId) -> bool {
        self.next_that(0, |programme| programme.app == app && programme.is_at_work()).is_some()
    }

    /// What is published under the name of a programme goes to its main input, which is called by this name and [`MAIN_INPUT`].
    pub fn is_programme(&self, app: AppId, name: &str, live: &Live) -> bool {
        self.next_that(0, |one| one.app == app && one.name == name && one.settings(live).is_some()).is_some()
    }

    /// The name of the programme of which the stream is the main input.
    pub fn with_main(&self, app: AppId, path: &str) -> Option<&str> {
        let name = path.strip_suffix(MAIN_INPUT).filter(|_| self.is_used)?;
        let place = self.next_that(0, |one| one.app == app && one.name == name)?;
        Some(&self.get(place)?.name)
    }

    /// A programme could do with its backup, which is fetched only when somebody watches.
    pub fn wants(&self, app: AppId, path: &str, live: &Live, now: Millis) -> bool {
        let wants = |one: &Programme| {
            one.app == app
                && one.feed.stream.is_some()
                && one.input_of(path, live) == Some(Input::Backup)
                && (one.switch.on_air() != OnAir::Main || !one.switch.main_is_alive(&one.rule(live), now))
        };
        self.next_that(0, wants).is_some()
    }

    /// Whether something is to be decided, or may be. Asking takes it.
    pub fn take_due(&mut self, now: Millis) -> bool {
        self.wake_at.take_if(|at| *at <= now).is_some()
    }

    /// It is to be looked at all of them in this turn.
    pub fn wake(&mut self) {
        self.wake_at = Some(Millis(0));
    }

    /// Audio or video of one of its inputs has come.
    pub fn media(&mut self, n: u16, stream: StreamId, live: &Live, now: Millis) {
        let Some(one) = self.places.get_mut(usize::from(n)).and_then(Option::as_mut) else { return };
        let rule = one.rule(live);
        for input in Input::ALL.into_iter().filter(|&input| one.inputs[input as usize] == Some(stream)) {
            if one.switch.media(input, &rule, now) {
                self.wake_at = Some(Millis(0));
            }
        }
    }

    /// What is to go on air in one of them, and why.
    pub fn decide(&self, n: u16, live: &Live, now: Millis) -> Option<(OnAir, &'static str)> {
        let one = self.get(n).filter(|one| now >= one.not_before)?;
        let rule = one.rule(live);
        let to = one.switch.decide(&rule, one.ages(live, now), one.feed.stream.is_some(), now)?;
        Some((to, one.switch.reason(to, &rule, now)))
    }

    /// One whose slate is to be looked for now. Asking takes it.
    pub fn take_probe(&mut self, n: u16, now: Millis) -> bool {
        self.get_mut(n).is_some_and(|one| one.slate_at.take_if(|at| *at <= now).is_some())
    }

    /// It could not be published, or is not any more: it is tried again later.
    pub fn lost(&mut self, n: u16, now: Millis) {
        if let Some(one) = self.get_mut(n) {
            one.not_before = now + RETRY_MS;
            one.switch.goes(OnAir::Nothing, now);
        }
        self.wake();
    }

    /// Compares what there is with what applications say, if that may have changed.
    pub fn compare(&mut self, live: &Live, now: Millis) {
        if !core::mem::take(&mut self.changed) {
            return;
        }
        for (app, _) in live.apps.iter() {
            let Some(definition) = live.apps.staying(app) else { continue };
            for settings in &definition.programmes {
                let (name, stamp) = (settings.name.as_str(), definition.stamp);
                let slate_at = settings.slate.as_ref().map(|_| now);
                if let Some(one) = self.places.iter_mut().flatten().find(|one| one.app == app && one.name == name) {
                    if one.stamp != stamp {
                        (one.stamp, one.slate_at) = (stamp, slate_at);
                    }
                    continue;
                }
                let Some(place) = self.places.iter_mut().find(|place| place.is_none()) else {
                    let app = Word(live.apps.name(app));
                    warn!("rill programme refused app={app} name={name:?}: every place is in use (PROGRAMMES)");
                    continue;
                };
                *place = Some(Programme {
                    app,
                    // It is no longer than a path may be.
                    name: name.try_into().unwrap_or_default(),
                    feed: Feed::new(None, FeedSource::Nothing),
                    switch: Switch::new(now),
                    seen: (None, None),
                    compares: false,
                    stamp,
                    slate_at,
                    switches: 0,
                    inputs: [None; 2],
                    not_before: Millis(0),
                });
            }
        }
        self.is_used = self.places.iter().any(Option::is_some);
        for one in self.places.iter_mut().flatten() {
            let of_app =
                live.names.streams().filter(|(_, stream)| stream.app == one.app && stream.publisher().is_some());
            let mut inputs = [None; 2];
            for (id, stream) in of_app {
                if let Some(input) = own(stream).and_then(|path| one.input_of(path, live)) {
                    inputs[input as usize] = Some(id);
                }
            }
            for input in Input::ALL.into_iter().filter(|&input| one.inputs[input as usize] != inputs[input as usize]) {
                match inputs[input as usize] {
                    Some(_) => one.switch.began(input, now),
                    None => one.switch.left(input, now),
                }
            }
            one.inputs = inputs;
        }
    }

    /// Takes out what no application speaks of any more, and of which nothing is left. Returns whose it was.
    pub fn take_over(&mut self, n: u16, live: &Live) -> Option<AppId> {
        let place = self.places.get_mut(usize::from(n))?;
        let is_over = |one: &mut Programme| {
            one.settings(live).is_none() && !one.is_at_work() && one.inputs[Input::Main as usize].is_none()
        };
        let app = place.take_if(is_over)?.app;
        self.is_used = self.places.iter().any(Option::is_some);
        Some(app)
    }

    /// All were looked at, and what came of one may concern another that was looked at before.
    pub fn set_wake(&mut self, live: &Live, now: Millis) {
        let next = |one: &Programme| {
            let later = [Some(one.not_before), one.slate_at].into_iter().flatten().filter(|&at| at > now);
            later.chain(one.switch.next_look(&one.rule(live), now)).min()
        };
        self.wake_at = self.places.iter().flatten().filter_map(next).chain(self.wake_at).min();
    }
}

impl Feature for Programmes {
    fn new(_settings: &Settings) -> Programmes {
        Programmes {
            places: core::iter::repeat_with(|| None).take(PROGRAMMES).collect(),
            is_used: false,
            changed: true,
            wake_at: Some(Millis(0)),
            tending: false,
            switches: 0,
        }
    }

    fn memory(_settings: &Settings) -> Row {
        Row::new("programmes", PROGRAMMES, size_of::<Option<Programme>>())
    }

    fn hear(&mut self, what: &Happened, live: &Live, now: Millis, _out: &mut Actions) {
        if !self.is_used {
            return;
        }
        let (stream, begins) = match *what {
            Happened::Began { stream, does: Does::Publish, .. } => (stream, true),
            Happened::Ended { stream, does: Does::Publish, .. } => (stream, false),
            _ => return,
        };
        self.wake();
        let app = live.names.stream(stream).app;
        let Some(path) = own(live.names.stream(stream)) else { return };
        for one in self.places.iter_mut().flatten().filter(|one| one.app == app) {
            if let Some(input) = one.input_of(path, live) {
                one.inputs[input as usize] = Some(stream).filter(|_| begins);
                match begins {
                    true => one.switch.began(input, now),
                    false => one.switch.left(input, now),
                }
            }
        }
    }

    fn wake_at(&self) -> Option<Millis> {
        self.wake_at
    }
}

/// The path of a stream of the default instance, of which programmes and their inputs are.
fn own(stream: &Stream) -> Option<&str> {
    let path = &stream.path;
    (path.name() == path.as_str()).then_some(path.as_str())
}

/// Who publishes one of them.
pub fn holder(n: u16) -> Holder {
    Holder::Feature(FeatureId::PROGRAMMES, n)
}
