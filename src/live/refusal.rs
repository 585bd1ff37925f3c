//! Why somebody may not connect, publish or play. Plain data: what a client is told is its protocol's, and what the log says is
//! the server's.

use super::links::LinkFault;

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its address may not connect.
    ConnectAddress,
    /// Its address may not publish.
    PublishAddress,
    /// It has not logged in as one of the application's users.
    PublishUser,
    /// It has no key, or not that of the name.
    PublishKey,
    /// Instance and name together are too long.
    Path,
    /// Its address may not play.
    PlayAddress,
    /// It has no key to play, or a wrong one.
    PlayKey,
    /// It has no link that is good for that.
    Link(LinkFault),
    /// The application is for recordings: nothing is published in it.
    NotLive,
    /// What it publishes is to be recorded.
    Record,
    /// The application has as many connections as it may have.
    Connections,
    /// The application has as many publishers as it may have.
    Publishers,
    /// The application has as many players as it may have.
    Players,
    /// The application's script does not run, and so cannot decide.
    Unscripted(Unscripted),
    /// The application's script gave it no right to publish that.
    WriteAccess,
    /// The application's script gave it no right to play that.
    ReadAccess,
    /// The application's script has not said in time whether it may.
    Unanswered,
    /// The application's hook says no.
    Hook,
    /// The application's hook has not answered, and without an answer it may not.
    HookDown,
    /// There is no recording of that name, and it is not published.
    NotFound,
    /// The recording cannot be read.
    Unreadable,
    /// The disk has not said in time what there is.
    Unread,
    /// The recording is of no format that is known, or not whole.
    FileStructure,
    /// Nothing in the recording can be sent.
    NoTrack,
    /// Every place for a player of recorded streams is in use (`limits.recorded_players`).
    RecordedPlayers,
    /// As much waits in the player's playlist as may ([`PLAYLIST_ITEMS`](crate::limits::PLAYLIST_ITEMS)).
    Playlist,
    /// It is an input of another stream, which is what is to be published.
    Input,
    /// Somebody else publishes under that name.
    Taken,
    /// It publishes that itself, on another of its streams.
    Own,
    /// It is a server that would have from here what comes from here.
    Loop,
    /// Every name or every ring is in use.
    NoStream(NoStream),
    /// Every connection is in use by others who publish or play.
    NoConnection,
}

/// Why an application's script does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unscripted {
    /// It was stopped, for it exceeded a limit, or has shut itself down.
    Stopped,
    /// It could not be loaded.
    NotLoaded,
    /// Every place of an instance is in use (`limits.script_instances`).
    NoPlace,
    /// This build runs no scripts, or is not to run any (`limits.script_instances = 0`).
    NotBuilt,
}

/// Why no stream could be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoStream {
    /// Every name that players may wait on is in use ([`NAMES_PER_RING`](crate::limits::NAMES_PER_RING) x `limits.streams`,
    /// without those kept for publishers).
    Names,
    /// Media is being published into every ring (`limits.streams`).
    Rings,
}

impl From<Unscripted> for Refusal {
    fn from(unscripted: Unscripted) -> Refusal {
        Refusal::Unscripted(unscripted)
    }
}

impl From<NoStream> for Refusal {
    fn from(which: NoStream) -> Refusal {
        Refusal::NoStream(which)
    }
}
