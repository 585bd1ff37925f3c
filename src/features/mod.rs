//! What is built on connections and streams: each gets handles and facts, and returns actions. Nothing here knows the
//! server, a protocol or a socket.

pub mod contract;
pub mod script;

use crate::limits::Row;
use crate::live::Live;
use crate::live::jobs::Done;
use crate::live::recording::{RecordingId, WholePart};
use crate::live::settings::Settings;
use crate::time::Millis;

use contract::{Action, Actions, Feature, Happened};

/// Declares the features: a module `name` of this directory, in which `Type` is a [`Feature`].
macro_rules! features {
    ($($name:ident: $type:ident,)*) => {
        $(pub mod $name;)*

        /// All features, and what they want done.
        pub struct Features {
            $(#[doc = concat!("See [`", stringify!($name), "`](mod@", stringify!($name), ").")] pub $name: $name::$type,)*
            out: Actions,
            /// Their actions are being carried out; what they cause is put behind them.
            pub acting: bool,
        }

        impl Features {
            /// Obtains everything that they will ever need.
            pub fn new(settings: &Settings) -> Features {
                Features { $($name: $name::$type::new(settings),)* out: Actions::default(), acting: false }
            }

            /// What that is.
            pub fn memory(settings: &Settings) -> impl Iterator<Item = Row> {
                [$($name::$type::memory(settings),)*].into_iter()
            }

            /// Tells all of them a fact.
            pub fn hear(&mut self, what: &Happened, live: &Live, now: Millis) {
                $(self.$name.hear(what, live, now, &mut self.out);)*
            }

            /// What one of them wants done.
            pub fn next_action(&mut self) -> Option<Action> {
                self.out.take()
            }

            /// Each has its turn.
            pub fn turn(&mut self, live: &mut Live, now: Millis) {
                $(self.$name.turn(live, now, &mut self.out);)*
            }

            /// The disk has done a job. It comes back when it is none of theirs.
            pub fn done(&mut self, done: Done, now: Millis) -> Option<Done> {
                $(let done = self.$name.done(done, now, &mut self.out)?;)*
                Some(done)
            }

            /// So much of a file that is being recorded is whole now, which may be played.
            pub fn grown(&mut self, recording: RecordingId, whole: WholePart, is_all: bool, now: Millis) {
                self.recorded.grown(recording, whole, is_all, now, &mut self.out);
            }

            /// When the first of them wants its turn.
            pub fn wake_at(&self) -> Option<Millis> {
                [$(self.$name.wake_at(),)*].into_iter().flatten().min()
            }
        }
    };
}

features! {
    bandwidth: BandwidthDetection,
    catalogue: Catalogue,
    changes: Changes,
    downloads: Downloads,
    hooks: Hooks,
    programmes: Programmes,
    recorded: RecordedPlayers,
    recordings: Recordings,
    relays: Relays,
}
