//! What a connection speaks: one variant a protocol, with what that protocol needs beside the slot.

use super::rtmp::Rtmp;

/// A connection's protocol and its state. What it is stands in front, beside what a write touches.
#[repr(u8)]
#[expect(clippy::large_enum_variant, reason = "each is a place of a table")]
pub enum Speaks {
    /// Nobody is there.
    Nothing,
    /// RTMP.
    Rtmp(Rtmp),
}

/// How far a connection has come on its way to what it is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It has said nothing that its protocol knows.
    New,
    /// It speaks the protocol.
    Greeted,
    /// It waits for an answer before it has joined.
    Asking,
    /// It has joined an application.
    Joined,
}

impl Speaks {
    /// How far the connection has come.
    pub fn stage(&self) -> Stage {
        match self {
            Speaks::Nothing => Stage::New,
            Speaks::Rtmp(rtmp) if rtmp.session.is_connected() => Stage::Joined,
            Speaks::Rtmp(rtmp) if rtmp.session.request().is_some() => Stage::Asking,
            Speaks::Rtmp(rtmp) if rtmp.session.is_open() => Stage::Greeted,
            Speaks::Rtmp(_) => Stage::New,
        }
    }

    /// It has something to answer that waits for room: it takes no input, and may do something without any.
    pub fn waits_for_room(&self) -> bool {
        self.rtmp().is_some_and(|rtmp| rtmp.session.waits_for_room())
    }

    /// Bytes of a handshake that are still to come. They are taken however many come at once.
    pub fn handshake_bytes(&self) -> usize {
        self.rtmp().map_or(0, |rtmp| rtmp.session.handshake_bytes())
    }

    /// The state of a connection that speaks RTMP.
    pub fn rtmp(&self) -> Option<&Rtmp> {
        match self {
            Speaks::Rtmp(rtmp) => Some(rtmp),
            Speaks::Nothing => None,
        }
    }

    /// The same, to change it.
    pub fn rtmp_mut(&mut self) -> Option<&mut Rtmp> {
        match self {
            Speaks::Rtmp(rtmp) => Some(rtmp),
            Speaks::Nothing => None,
        }
    }
}
