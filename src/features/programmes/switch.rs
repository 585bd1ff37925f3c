//! Which input of a programme is on air: a decision that follows from when each of them began, sent media and left. It asks for nothing and
//! does nothing; time comes with every call.
//!
//! ```text
//!            silent or gone, and the backup has a key frame
//!     Main ──────────────────────────────────────────────────> Backup
//!      ^ <────────────── steady, and a key frame ─────────────── │
//!      │                                                         │ silent or gone
//!      └──── a key frame of either ──── Slate <──────────────────┘
//! ```

use crate::time::Millis;

/// From a failed input one goes on with what came so long ago at most, in milliseconds, if not since it failed: older pictures would only
/// put viewers behind.
const FRESH_MS: u64 = 1000;
/// From one that works so long ago: none should be seen twice.
const SEAMLESS_MS: u64 = 100;
/// So long the key frame of an input is waited for before the slate is shown, in milliseconds.
const KEY_MS: u64 = 5000;

/// What viewers of a programme are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnAir {
    /// Nothing.
    Nothing,
    /// What the encoder sends.
    Main,
    /// The other stream.
    Backup,
    /// The recorded one.
    Slate,
}

impl OnAir {
    /// One word.
    pub const fn name(self) -> &'static str {
        match self {
            OnAir::Nothing => "nothing",
            OnAir::Main => "main",
            OnAir::Backup => "backup",
            OnAir::Slate => "slate",
        }
    }

    /// Which of the inputs that is, if one.
    pub const fn input(self) -> Option<Input> {
        match self {
            OnAir::Main => Some(Input::Main),
            OnAir::Backup => Some(Input::Backup),
            OnAir::Nothing | OnAir::Slate => None,
        }
    }
}

/// A stream that a programme is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// What the encoder sends.
    Main,
    /// The other stream.
    Backup,
}

impl Input {
    /// Both, in the order in which one wants them.
    pub const ALL: [Input; 2] = [Input::Main, Input::Backup];

    const fn on_air(self) -> OnAir {
        match self {
            Input::Main => OnAir::Main,
            Input::Backup => OnAir::Backup,
        }
    }
}

/// Of each input for how long what one may begin with has been there, in milliseconds: its newest key frame, or where there are no pictures
/// its newest sound. `None` when there is neither.
pub type Ages = [Option<u64>; 2];

/// What an application says of a programme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchRule {
    /// After so long without media an input is silent, in milliseconds.
    pub silent_ms: u64,
    /// So long the main input has to be back before it takes over from the backup, in milliseconds.
    pub steady_ms: u64,
    /// So long a slate is shown at most, in milliseconds; `None` when there is none.
    pub slate_ms: Option<u64>,
}

/// What is known of an input.
#[derive(Clone, Copy, Debug, Default)]
struct InputState {
    published: bool,
    /// When its publish began, or the last one ended.
    changed: Millis,
    /// When media last came, in the present publish or the last.
    media_at: Option<Millis>,
    /// Since when it has not been silent.
    steady_since: Millis,
}

impl InputState {
    fn is_alive(&self, rule: &SwitchRule, now: Millis) -> bool {
        self.published && self.media_at.is_some_and(|at| now.since(at) < rule.silent_ms)
    }
}

/// The state of a programme.
#[derive(Clone, Copy, Debug)]
pub struct Switch {
    on_air: OnAir,
    since: Millis,
    inputs: [InputState; 2],
    /// When media last came of what was on air.
    aired: Millis,
    /// The input that is on air has begun another publish, of which viewers have nothing.
    is_anew: bool,
    /// The slate cannot be shown, or was for long enough: not before something else has been.
    slate_is_out: bool,
}

impl Switch {
    /// Nothing is there.
    pub fn new(now: Millis) -> Switch {
        Switch {
            on_air: OnAir::Nothing,
            since: now,
            inputs: [InputState::default(); 2],
            aired: now,
            is_anew: false,
            slate_is_out: false,
        }
    }

    /// What is on air.
    pub fn on_air(&self) -> OnAir {
        self.on_air
    }

    /// Since when.
    pub fn since(&self) -> Millis {
        self.since
    }

    /// An input is published.
    pub fn began(&mut self, input: Input, now: Millis) {
        let state = &mut self.inputs[input as usize];
        *state = InputState { published: true, changed: now, media_at: None, steady_since: now };
        self.is_anew |= self.on_air.input() == Some(input);
    }

    /// And no more.
    pub fn left(&mut self, input: Input, now: Millis) {
        let state = &mut self.inputs[input as usize];
        (state.published, state.changed) = (false, now);
    }

    /// Audio or video of it has come. True when it was silent before.
    pub fn media(&mut self, input: Input, rule: &SwitchRule, now: Millis) -> bool {
        let state = &mut self.inputs[input as usize];
        let was_silent = state.media_at.is_none_or(|at| now.since(at) >= rule.silent_ms);
        if was_silent {
            state.steady_since = now;
        }
        state.media_at = Some(now);
        if self.on_air.input() == Some(input) {
            self.aired = now;
        }
        was_silent
    }

    /// The slate cannot be shown, or not any longer.
    pub fn slate_failed(&mut self) {
        self.slate_is_out = true;
    }

    /// One of the inputs is published.
    pub fn has_input(&self) -> bool {
        self.inputs.iter().any(|state| state.published)
    }

    /// The main input has media for viewers.
    pub fn main_is_alive(&self, rule: &SwitchRule, now: Millis) -> bool {
        self.inputs[Input::Main as usize].is_alive(rule, now)
    }

    /// What is to be on air in place of what is, if it is to be something else. `is_up`: viewers are sent the programme, or would be.
    pub fn decide(&self, rule: &SwitchRule, ages: Ages, is_up: bool, now: Millis) -> Option<OnAir> {
        let alive = |input: Input| self.inputs[input as usize].is_alive(rule, now);
        let has = |input: Input, most_ms: u64| alive(input) && ages[input as usize].is_some_and(|ms| ms <= most_ms);
        let either = |most_ms| Input::ALL.into_iter().find(|&input| has(input, most_ms)).map(Input::on_air);
        // What came since the programme had media last fills the gap that viewers have.
        let gap_ms = now.since(self.aired).max(FRESH_MS);
        match self.on_air {
            OnAir::Main if alive(Input::Main) && !self.is_anew => None,
            OnAir::Backup if alive(Input::Backup) && !self.is_anew => {
                let since = self.inputs[Input::Main as usize].steady_since;
                let is_steady = has(Input::Main, SEAMLESS_MS) && now.since(since) >= rule.steady_ms;
                is_steady.then_some(OnAir::Main)
            }
            OnAir::Main | OnAir::Backup => either(gap_ms).or_else(|| {
                let is_published = self.on_air.input().is_some_and(|input| self.inputs[input as usize].published);
                let waits = Input::ALL.into_iter().any(alive) && now < self.failed_at(rule) + KEY_MS;
                match () {
                    () if waits => None,
                    () if rule.slate_ms.is_some() && !self.slate_is_out => Some(OnAir::Slate),
                    // Its publisher may send again, and viewers go on where they were.
                    () if is_published => None,
                    () => Some(OnAir::Nothing),
                }
            }),
            OnAir::Slate => either(FRESH_MS).or_else(|| self.is_slate_over(rule, now).then_some(OnAir::Nothing)),
            OnAir::Nothing if is_up => either(gap_ms),
            OnAir::Nothing => {
                // The encoder has the time that it would have later.
                let is_late = now.since(self.inputs[Input::Backup as usize].changed) >= rule.silent_ms;
                either(FRESH_MS).filter(|&to| to == OnAir::Main || is_late)
            }
        }
    }

    /// When the input that is on air failed: by leaving, by beginning anew, or by being silent.
    fn failed_at(&self, rule: &SwitchRule) -> Millis {
        let state = self.on_air.input().map(|input| self.inputs[input as usize]).unwrap_or_default();
        match state.media_at {
            Some(at) if state.published && !self.is_anew => at + rule.silent_ms,
            _ => state.changed,
        }
    }

    fn is_slate_over(&self, rule: &SwitchRule, now: Millis) -> bool {
        self.slate_is_out || rule.slate_ms.is_none_or(|ms| ms > 0 && now.since(self.since) >= ms)
    }

    /// That is on air from now on.
    pub fn goes(&mut self, to: OnAir, now: Millis) {
        if to.input().is_some() {
            (self.slate_is_out, self.is_anew, self.aired) = (false, false, now);
        } else if self.on_air == OnAir::Slate {
            self.slate_is_out = true;
        }
        (self.on_air, self.since) = (to, now);
    }

    /// Why it is not on air any more what was: to be asked before [`Switch::goes`].
    pub fn reason(&self, to: OnAir, rule: &SwitchRule, now: Millis) -> &'static str {
        let fault = |input: Input| self.inputs[input as usize].published;
        match (self.on_air, to) {
            (OnAir::Nothing, _) => "it begins",
            (OnAir::Main, OnAir::Main) | (OnAir::Slate, OnAir::Main) => "the main input is back",
            (OnAir::Backup, OnAir::Backup) | (OnAir::Slate, OnAir::Backup) => "the backup is back",
            (OnAir::Main, _) if fault(Input::Main) => "the main input is silent",
            (OnAir::Main, _) => "the main input has left",
            (OnAir::Backup, OnAir::Main) if self.inputs[Input::Backup as usize].is_alive(rule, now) => {
                "the main input is steady"
            }
            (OnAir::Backup, _) if fault(Input::Backup) => "the backup is silent",
            (OnAir::Backup, _) => "the backup has left",
            (OnAir::Slate, _) => "the slate is over",
        }
    }

    /// When something may have to be decided though nothing happens before.
    pub fn next_look(&self, rule: &SwitchRule, now: Millis) -> Option<Millis> {
        let later = |at: Millis| Some(at).filter(|&at| at > now);
        let silences = Input::ALL.map(|input| {
            let state = &self.inputs[input as usize];
            state.media_at.filter(|_| state.published).and_then(|at| later(at + rule.silent_ms))
        });
        let own = match (self.on_air, rule.slate_ms) {
            (OnAir::Nothing, _) => later(self.inputs[Input::Backup as usize].changed + rule.silent_ms),
            (OnAir::Slate, Some(ms)) if ms > 0 => later(self.since + ms),
            (OnAir::Main | OnAir::Backup, _) => later(self.failed_at(rule) + KEY_MS),
            (OnAir::Slate, _) => None,
        };
        silences.into_iter().chain([own]).flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: SwitchRule = SwitchRule { silent_ms: 2000, steady_ms: 5000, slate_ms: Some(0) };

    /// What may happen to an input.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        Began(Input),
        Left(Input),
        Media(Input),
        Nothing,
        SlateFails,
    }

    fn events() -> impl Strategy<Value = Vec<(Event, u64, Ages)>> {
        let input = || prop_oneof![Just(Input::Main), Just(Input::Backup)];
        let event = prop_oneof![
            1 => input().prop_map(Event::Began),
            1 => input().prop_map(Event::Left),
            6 => input().prop_map(Event::Media),
            1 => Just(Event::Nothing),
            1 => Just(Event::SlateFails),
        ];
        let age = || proptest::option::weighted(0.7, prop_oneof![Just(0_u64), 0..4000_u64]);
        proptest::collection::vec((event, prop_oneof![0..50_u64, 0..3000_u64], [age(), age()]), 1..200)
    }

    proptest! {
        #[test]
        fn whatever_inputs_do_what_is_on_air_is_alive_if_anything_is_and_nothing_is_decided_twice(
            events in events(),
            has_slate: bool,
        ) {
            let rule = SwitchRule { slate_ms: has_slate.then_some(0), ..RULE };
            let (mut switch, mut now, mut is_up) = (Switch::new(Millis(0)), Millis(0), false);
            for (event, ms, ages) in events {
                now = now + ms;
                match event {
                    Event::Began(input) if !switch.inputs[input as usize].published => switch.began(input, now),
                    Event::Left(input) => switch.left(input, now),
                    Event::Media(input) if switch.inputs[input as usize].published => {
                        switch.media(input, &rule, now);
                    }
                    Event::SlateFails if switch.on_air() == OnAir::Slate => switch.slate_failed(),
                    _ => {}
                }
                let alive = |switch: &Switch, input: Input| switch.inputs[input as usize].is_alive(&rule, now);
                let before = switch;
                if let Some(to) = switch.decide(&rule, ages, is_up, now) {
                    if let Some(input) = to.input() {
                        prop_assert!(alive(&switch, input), "{to:?} has nothing");
                        prop_assert!(ages[input as usize].is_some(), "{to:?} has no key frame");
                    }
                    if before.on_air() == OnAir::Main && !before.is_anew {
                        prop_assert!(!alive(&switch, Input::Main), "the main input is left while it works");
                    }
                    if to == OnAir::Slate {
                        prop_assert!(has_slate && before.on_air().input().is_some(), "a slate begins nothing");
                    }
                    if (before.on_air(), to) == (OnAir::Backup, OnAir::Main) && alive(&switch, Input::Backup) && !before.is_anew {
                        let since = switch.inputs[Input::Main as usize].steady_since;
                        prop_assert!(now.since(since) >= rule.steady_ms, "it is not steady");
                    }
                    prop_assert!(!switch.reason(to, &rule, now).is_empty());
                    switch.goes(to, now);
                    is_up = to != OnAir::Nothing || is_up && switch.has_input();
                    let again = switch.decide(&rule, ages, is_up, now);
                    prop_assert!(again.is_none_or(|again| again != before.on_air() || to == OnAir::Nothing), "{before:?} {to:?} {again:?}");
                }
                prop_assert!(switch.next_look(&rule, now).is_none_or(|at| at > now));
            }
            // When all is silent for long, what has a slate shows it or is over.
            now = now + 60_000;
            if let Some(to) = switch.decide(&rule, [None; 2], is_up, now) {
                prop_assert!(matches!(to, OnAir::Slate | OnAir::Nothing));
            }
        }
    }

    #[test]
    fn one_goes_on_with_what_came_in_the_gap_and_not_with_older_pictures() {
        let mut switch = Switch::new(Millis(0));
        for input in Input::ALL {
            switch.began(input, Millis(0));
            switch.media(input, &RULE, Millis(0));
        }
        switch.goes(OnAir::Main, Millis(0));
        switch.media(Input::Main, &RULE, Millis(10_000));
        switch.media(Input::Backup, &RULE, Millis(12_500));
        let decide = |switch: &Switch, age, at| switch.decide(&RULE, [None, Some(age)], true, Millis(at));
        assert_eq!(decide(&switch, 0, 11_999), None);
        assert_eq!(decide(&switch, 2501, 12_500), None, "it came before the main input was silent");
        assert_eq!(decide(&switch, 2500, 12_500), Some(OnAir::Backup));
        switch.left(Input::Main, Millis(12_500));
        assert_eq!(switch.reason(OnAir::Backup, &RULE, Millis(12_500)), "the main input has left");
        // One without a key frame is not waited for without end.
        switch.media(Input::Backup, &RULE, Millis(17_400));
        assert_eq!(switch.decide(&RULE, [None; 2], true, Millis(17_499)), None);
        assert_eq!(switch.decide(&RULE, [None; 2], true, Millis(17_500)), Some(OnAir::Slate));
    }
}
