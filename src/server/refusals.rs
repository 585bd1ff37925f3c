//! What is said of those who may not publish or play: one row a reason. Not a word of `code=403 need auth`, by which OBS would
//! begin a login that never ends.

use crate::live::links::LinkFault;
use crate::live::refusal::{self, Refusal};
use crate::rtmp::status::{Code, Status};

/// All that is said of a [`Refusal`].
#[derive(Clone, Copy, Debug)]
pub struct RefusalRow {
    /// How the access log of Adobe's servers would put it (its x-status field).
    pub x_status: u16,
    /// Its status, where it is another one than that of a publish, a play or a connect that is refused.
    pub code: Option<Code>,
    /// In words.
    pub words: &'static str,
    /// These are told the client, too; else its status has words of its own.
    pub told: bool,
    /// Where to change that; empty where it is as it should be.
    pub remedy: &'static str,
}

impl RefusalRow {
    const fn new(x_status: u16, words: &'static str, remedy: &'static str) -> RefusalRow {
        RefusalRow { x_status, code: None, words, told: true, remedy }
    }

    const fn with(self, code: Code) -> RefusalRow {
        RefusalRow { code: Some(code), ..self }
    }

    /// The client hears what its status says without.
    const fn untold(self) -> RefusalRow {
        RefusalRow { told: false, ..self }
    }
}

/// What the client is told by the name `subject`: with the reason's own code, or `otherwise`.
pub fn status(why: Refusal, otherwise: Code, subject: &str) -> Status<'_> {
    let row = row(why);
    Status {
        description: row.told.then_some(row.words),
        ..Status::new(row.code.unwrap_or(otherwise), subject).refusing()
    }
}

/// What servers hear that fetch from each other in a circle, by which they know it.
pub(super) const LOOP: &str = "This is a loop: the stream would come here from this server itself.";

/// All that is said of it.
#[rustfmt::skip]
pub const fn row(why: Refusal) -> RefusalRow {
    use Refusal::*;
    let row = RefusalRow::new;
    match why {
        ConnectAddress => row(403, "[ AccessManager.Reject ] : This address may not connect to this application.", "connect.addresses in app.toml"),
        PublishAddress => row(403, "This address may not publish in this application.", "publish.addresses in app.toml"),
        PublishUser => row(401, "This application needs a user to publish: give the encoder a user and a password.", "rill user"),
        PublishKey => row(401, "This application needs a stream key, and this is none for that name.", "[keys] in app.toml"),
        Path => row(400, "Instance and stream name are too long together (PATH_BYTES).", "a shorter name"),
        PlayAddress => row(403, "This address may not play in this application.", "play.addresses in app.toml"),
        PlayKey => row(401, "This application needs a key to play: NAME?key=KEY.", "play.key in app.toml"),
        Link(LinkFault::Missing) => row(401, "This application needs a signed link.", "rill sign"),
        Link(LinkFault::Forged) => row(401, "The link is not signed for this stream, or not by this server's key.", "rill sign, and sign.key"),
        Link(LinkFault::Expired) => row(401, "The link has expired.", "rill sign"),
        Link(LinkFault::NoClock) => row(503, "The link ends at a time of day, and this server's clock is not set.", "the clock, or a link that rill sign makes on this machine"),
        Link(LinkFault::OtherStart) => row(401, "The link counts from another start of a machine, and so has expired.", "rill sign"),
        NotLive => row(400, "This application plays recordings; publish to another one, such as live.", "kind in app.toml"),
        Record => row(400, "Recording is not available; publish with type live.", "limits.recordings").with(Code::RecordNoAccess),
        Connections => row(409, "[ Resource.Limit.Exceeded ] : This application has no connection left.", "limits.connections in app.toml"),
        Publishers => row(409, "This application has as many publishers as it may have.", "limits.publishers in app.toml"),
        Players => row(409, "This application has as many players as it may have.", "limits.players in app.toml"),
        Unscripted(refusal::Unscripted::Stopped) => row(500, "[ Server.Reject ] : The application's script was stopped; the server's log says why.", "scripts"),
        Unscripted(refusal::Unscripted::NotLoaded) => row(500, "[ Server.Reject ] : The application's script cannot be loaded; the server's log says why.", ""),
        Unscripted(refusal::Unscripted::NoPlace) => row(500, "[ Resource.Limit.Exceeded ] : Every script instance is in use (limits.script_instances).", "limits.script_instances"),
        Unscripted(refusal::Unscripted::NotBuilt) => row(500, "[ Server.Reject ] : This server runs no application scripts.", "limits.script_instances, or a build with the feature \"script\""),
        WriteAccess => row(401, "The application gives this client no write access.", "readAccess and writeAccess in the application's script"),
        ReadAccess => row(401, "The application gives this client no read access.", "readAccess and writeAccess in the application's script"),
        Unanswered => row(503, "The application did not decide in time.", "scripts.pending_ms"),
        Hook => row(401, "The application's hook refused it.", "hooks.on_connect, on_publish, on_play in app.toml"),
        HookDown => row(503, "The application's hook did not answer.", "hooks.when_down, hooks.timeout_ms"),
        NotFound => row(404, "there is no recording of that name, and it is not published", "").with(Code::PlayStreamNotFound).untold(),
        Unreadable => row(403, "the recording cannot be read", "the file's owner and mode").untold(),
        Unread => row(503, "The disk has not answered in time.", ""),
        FileStructure => row(415, "the recording is of no format that is known, or not whole", "the file").with(Code::PlayFileStructureInvalid).untold(),
        NoTrack => row(415, "Nothing in the recording can be sent.", "the file").with(Code::PlayNoSupportedTrackFound),
        Playlist => row(409, "The playlist is full (PLAYLIST_ITEMS).", ""),
        Input => row(400, "This is the input of another stream: publish that, without .main behind it.", "[[stream]] in app.toml"),
        Taken => row(409, "another client publishes under that name", "another name, or live.publish_timeout_ms").untold(),
        Own => row(409, "the client publishes that itself, on another of its streams", "").untold(),
        Loop => row(409, LOOP, "edge.origins in app.toml"),
        NoStream(refusal::NoStream::Names) => row(409, "Every stream name is in use (limits.streams).", "limits.streams"),
        NoStream(refusal::NoStream::Rings) => row(409, "Every stream is in use (limits.streams).", "limits.streams"),
        RecordedPlayers => row(409, "This server has no player of recordings left (limits.recorded_players).", "limits.recorded_players"),
        NoConnection => row(409, "This server has no connection left for players (limits.connections).", "limits.connections"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_is_told_starts_no_login() {
        use Refusal::*;
        for why in [
            ConnectAddress,
            PublishAddress,
            PublishUser,
            PublishKey,
            Path,
            PlayAddress,
            PlayKey,
            Link(LinkFault::Missing),
            Link(LinkFault::Forged),
            Link(LinkFault::Expired),
            Link(LinkFault::NoClock),
            Link(LinkFault::OtherStart),
            NotLive,
            Record,
            Connections,
            Publishers,
            Players,
            Unscripted(refusal::Unscripted::Stopped),
            Unscripted(refusal::Unscripted::NotLoaded),
            Unscripted(refusal::Unscripted::NoPlace),
            Unscripted(refusal::Unscripted::NotBuilt),
            WriteAccess,
            ReadAccess,
            Unanswered,
            Hook,
            HookDown,
            NotFound,
            Unreadable,
            Unread,
            FileStructure,
            NoTrack,
            Playlist,
            Input,
            Taken,
            Own,
            Loop,
            NoStream(refusal::NoStream::Names),
            NoStream(refusal::NoStream::Rings),
            RecordedPlayers,
            NoConnection,
        ] {
            let text = row(why).words;
            assert!(!text.contains("code=403") && !text.contains("authmod") && text.len() < 160, "{text}");
        }
    }
}
