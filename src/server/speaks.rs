//! What a connection speaks: one row of the table a protocol, with the state that it needs beside the slot. Everything is called
//! through [`Speaks`], which knows by its variant whom.
//!
//! A new protocol is a file with a type that is a `Protocol`, and a row in the table below.

use crate::handles::StreamId;
use crate::rtmp::tx::TxBuf;
use crate::time::Millis;

use super::control::Operator;
use super::hook_line::HookLine;
use super::http::Http;
use super::protocol::{Context, Protocol, Stage, Turn};
use super::relay::RelayLine;
use super::rtmp::Rtmp;
use super::script_process::ScriptLine;

/// Declares the protocols.
macro_rules! protocols {
    ($($(#[$doc:meta])* $name:ident($state:ty);)*) => {
        /// A connection's protocol and its state. What it is stands in front, beside what a write touches.
        #[repr(u8)]
        #[expect(clippy::large_enum_variant, reason = "each is a place of a table")]
        pub enum Speaks {
            /// Nobody is there.
            Nothing,
            $($(#[$doc])* $name($state),)*
        }

        /// A listener, by what is spoken there.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Door {
            $($(#[$doc])* $name,)*
        }

        impl Speaks {
            /// A connection has arrived at `door`.
            pub(super) fn begin(door: Door, seed: u64, now: Millis) -> Speaks {
                match door {
                    $(Door::$name => Speaks::$name(<$state>::begin(seed, now)),)*
                }
            }

            /// [`Protocol::read`].
            #[inline]
            pub(super) fn read<'i>(&mut self, input: &mut &'i [u8], cx: &mut Context<'_>) -> Turn<'i> {
                match self {
                    Speaks::Nothing => Turn::Done,
                    $(Speaks::$name(own) => own.read(input, cx),)*
                }
            }

            /// [`Protocol::write`].
            pub(super) fn write(&mut self, cx: &mut Context<'_>) -> Turn<'static> {
                match self {
                    Speaks::Nothing => Turn::Done,
                    $(Speaks::$name(own) => own.write(cx),)*
                }
            }

            /// [`Protocol::goes_on`].
            pub(super) fn goes_on(&self, tx: &TxBuf) -> bool {
                match self {
                    Speaks::Nothing => false,
                    $(Speaks::$name(own) => own.goes_on(tx),)*
                }
            }

            /// [`Protocol::has_work`].
            pub(super) fn has_work(&self) -> bool {
                match self {
                    Speaks::Nothing => false,
                    $(Speaks::$name(own) => own.has_work(),)*
                }
            }

            /// [`Protocol::opening_bytes`].
            pub(super) fn opening_bytes(&self) -> usize {
                match self {
                    Speaks::Nothing => 0,
                    $(Speaks::$name(own) => own.opening_bytes(),)*
                }
            }

            /// [`Protocol::close`].
            pub(super) fn close(&mut self, tx: &mut TxBuf) {
                match self {
                    Speaks::Nothing => {}
                    $(Speaks::$name(own) => own.close(tx),)*
                }
            }

            /// [`Protocol::deadline`].
            pub(super) fn deadline(&self) -> Option<Millis> {
                match self {
                    Speaks::Nothing => None,
                    $(Speaks::$name(own) => own.deadline(),)*
                }
            }

            /// [`Protocol::stage`].
            #[inline]
            pub(super) fn stage(&self) -> Stage {
                match self {
                    Speaks::Nothing => Stage::New,
                    $(Speaks::$name(own) => own.stage(),)*
                }
            }
        }
    };
}

protocols! {
    /// RTMP.
    Rtmp(Rtmp);
    /// HTTP.
    Http(Http);
    /// What `rill ctl` speaks.
    Control(Operator);
    /// What a script process speaks.
    Script(ScriptLine);
    /// What another server speaks, to which a stream is sent or from which one is fetched.
    Relay(RelayLine);
    /// What a hook speaks, which is asked.
    Hook(HookLine);
}

impl Speaks {
    /// The state of a connection that speaks HTTP.
    pub(super) fn http(&self) -> Option<&Http> {
        match self {
            Speaks::Http(http) => Some(http),
            _ => None,
        }
    }

    /// The same, to change it.
    pub(super) fn http_mut(&mut self) -> Option<&mut Http> {
        match self {
            Speaks::Http(http) => Some(http),
            _ => None,
        }
    }

    /// The live stream that it publishes, or else the one that it plays.
    pub(super) fn stream_in_use(&self) -> Option<StreamId> {
        match self {
            Speaks::Rtmp(rtmp) => rtmp.stream_in_use(),
            Speaks::Http(http) => http.reader().map(|reader| reader.stream()),
            _ => None,
        }
    }

    /// The state of a connection that speaks RTMP.
    pub fn rtmp(&self) -> Option<&Rtmp> {
        match self {
            Speaks::Rtmp(rtmp) => Some(rtmp),
            _ => None,
        }
    }

    /// The same, to change it.
    pub fn rtmp_mut(&mut self) -> Option<&mut Rtmp> {
        match self {
            Speaks::Rtmp(rtmp) => Some(rtmp),
            _ => None,
        }
    }
}
