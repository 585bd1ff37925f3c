//! A connection that the server has made to send a stream to another server, or to fetch one from it: the client's side of RTMP
//! ([`crate::rtmp::outbound`]), how far it is on its way, and what an answer of the far end means. What is done about that is
//! `relays`'.

use core::fmt::Write;

use crate::features::relays::{FarName, STEP_MS};
use crate::handles::StreamId;
use crate::limits::{OPEN_TAGS, RELAY_URL_BYTES, RELAY_WORDS_BYTES};
use crate::live::reader::Reader;
use crate::rtmp::outbound::{self, FarSaid, OutboundSession};
use crate::rtmp::tx::TxBuf;
use crate::time::Millis;
use crate::wire::announced::Announced;

use super::protocol::{Ask, Context, Protocol, Stage, Turn};
use super::refusals::LOOP;
use super::rtmp::OpenTag;

/// Bytes that are read at once: media is taken however much comes.
const READ_BYTES: usize = 16 * 1024;

/// Words of a far end, or about it.
pub(super) type RelayWords = heapless::String<RELAY_WORDS_BYTES>;

/// A relay's connection.
pub struct RelayLine {
    pub(super) session: OutboundSession,
    pub(super) step: RelayStep,
    /// What the far end announces of Enhanced RTMP.
    pub(super) knows: Announced,
    /// It is closed unless the next step is done by then.
    pub(super) deadline: Millis,
}

/// How far it is.
pub(super) enum RelayStep {
    /// The connection is being made, and the handshake.
    Greets,
    /// `connect` is asked.
    Connects,
    /// `createStream` is asked.
    Creates,
    /// `publish` or `play` is asked on this stream.
    Begins { stream_id: u32 },
    /// It sends a stream.
    Pushes(Pushing),
    /// It fetches one.
    Pulls(Pulling),
    /// All was said: it is closed when that was sent.
    Leaves,
}

/// What is sent.
pub(super) struct Pushing {
    pub(super) reader: Reader,
    /// The far end's id of it.
    pub(super) stream_id: u32,
    /// What the far end has announced of Enhanced RTMP.
    pub(super) knows: Announced,
    /// The time of the stream that is 0 at the far end, once something was sent.
    pub(super) base_ms: Option<u32>,
}

/// What is fetched.
pub(super) struct Pulling {
    /// Under which it is published here, from its first message on: a far end lets one play what is not there.
    pub(super) stream: Option<StreamId>,
    /// Half-received messages.
    pub(super) open_tags: heapless::Vec<OpenTag, OPEN_TAGS>,
}

impl Pulling {
    /// Nothing has come.
    pub(super) fn waiting() -> Pulling {
        Pulling { stream: None, open_tags: heapless::Vec::new() }
    }
}

/// What an answer of the far end comes to.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "it lives for a command")]
pub(super) enum FarAnswer {
    /// Nothing that matters.
    Nothing,
    /// It is connected to the application.
    Connected,
    /// It has a stream of that id.
    Created(u32),
    /// It publishes, or plays.
    Began,
    /// No, for this reason.
    Refused(RelayWords),
    /// Not before somebody has logged in.
    LogsIn,
    /// Not here: at this URL, or where it is empty here once more.
    Elsewhere(heapless::String<RELAY_URL_BYTES>),
    /// Whoever published what is fetched has left, and may come back.
    Unpublished,
    /// It is over.
    Over(&'static str),
}

impl Protocol for RelayLine {
    fn begin(seed: u64, now: Millis) -> RelayLine {
        RelayLine {
            session: OutboundSession::new(seed),
            step: RelayStep::Greets,
            knows: Announced::NOTHING,
            deadline: now + STEP_MS,
        }
    }

    fn read<'i>(&mut self, input: &mut &'i [u8], cx: &mut Context<'_>) -> Turn<'i> {
        match self.session.next(input, cx.tx).transpose() {
            Some(came) => Turn::Asks(Ask::Relay(came)),
            None => Turn::Done,
        }
    }

    fn goes_on(&self, _: &TxBuf) -> bool {
        true
    }

    fn opening_bytes(&self) -> usize {
        READ_BYTES
    }

    fn deadline(&self) -> Option<Millis> {
        match self.step {
            RelayStep::Pushes(_) | RelayStep::Pulls(_) => None,
            _ => Some(self.deadline),
        }
    }

    fn stage(&self) -> Stage {
        Stage::Greeted
    }
}

impl RelayLine {
    /// Of what is sent.
    pub(super) fn reader(&self) -> Option<&Reader> {
        match &self.step {
            RelayStep::Pushes(push) => Some(&push.reader),
            _ => None,
        }
    }

    /// What the last command of the far end comes to. `name` is what the stream is called there, and never repeated.
    pub(super) fn heard(&self, name: &FarName) -> FarAnswer {
        let said = self.session.said();
        let answers = |transaction: f64| said.transaction == transaction;
        match (said.name, &self.step) {
            ("_result", RelayStep::Connects) if answers(outbound::CONNECT) && !said.is_error => FarAnswer::Connected,
            ("_result", RelayStep::Creates) if answers(outbound::CREATE_STREAM) => match said.number {
                Some(id) if id >= 1.0 && id <= f64::from(u32::MAX) => FarAnswer::Created(id as u32),
                _ => FarAnswer::Refused(words("it gave no stream", &said, name)),
            },
            ("_error" | "_result", RelayStep::Connects) if answers(outbound::CONNECT) => rejected(&said, name),
            ("_error", RelayStep::Creates) if answers(outbound::CREATE_STREAM) => {
                FarAnswer::Refused(words("it gives no stream", &said, name))
            }
            ("onStatus", step) => status(&said, step, name),
            ("close", _) => FarAnswer::Over("it ended the connection"),
            // Of what encoders say besides, some servers know nothing.
            _ => FarAnswer::Nothing,
        }
    }
}

fn status(said: &FarSaid<'_>, step: &RelayStep, name: &FarName) -> FarAnswer {
    match (said.code, step) {
        _ if said.description == LOOP => {
            FarAnswer::Refused(RelayWords::try_from("origins lead back to this server").unwrap_or_default())
        }
        ("NetConnection.Connect.ReconnectRequest", _) => FarAnswer::Elsewhere(elsewhere(said)),
        ("NetConnection.Connect.Rejected", RelayStep::Connects) => rejected(said, name),
        ("NetStream.Publish.Start" | "NetStream.Play.Start", RelayStep::Begins { .. }) => FarAnswer::Began,
        ("NetStream.Publish.BadName", _) => {
            FarAnswer::Refused(words("it says that the stream key is wrong or in use", said, name))
        }
        ("NetStream.Play.StreamNotFound", _) => FarAnswer::Refused(words("it has no such stream", said, name)),
        ("NetStream.Play.UnpublishNotify" | "NetStream.Play.Stop" | "NetStream.Play.Complete", RelayStep::Pulls(_)) => {
            FarAnswer::Unpublished
        }
        _ if said.is_error => FarAnswer::Refused(words("it refuses", said, name)),
        _ => FarAnswer::Nothing,
    }
}

fn rejected(said: &FarSaid<'_>, name: &FarName) -> FarAnswer {
    if !said.elsewhere.is_empty() {
        return FarAnswer::Elsewhere(elsewhere(said));
    }
    if said.description.contains("authmod=") {
        return FarAnswer::LogsIn;
    }
    FarAnswer::Refused(words("it refuses the application", said, name))
}

fn elsewhere(said: &FarSaid<'_>) -> heapless::String<RELAY_URL_BYTES> {
    // One that is longer is none that can be followed.
    heapless::String::try_from(said.elsewhere).unwrap_or_default()
}

/// Shorter values of a query are no secrets: they stand in many a sentence.
const SECRET_BYTES: usize = 4;

/// Where a text begins to say the stream's name, or a value of the query behind it.
fn secret_at(text: &str, name: &FarName) -> Option<usize> {
    let (own, query) = name.split_once('?').unwrap_or((name, ""));
    let values = query.split('&').map(|field| field.split_once('=').map_or(field, |(_, value)| value));
    let values = values.filter(|value| value.len() >= SECRET_BYTES);
    let secrets = Some(own).filter(|own| !own.is_empty()).into_iter().chain(values);
    secrets.filter_map(|secret| text.find(secret)).min()
}

/// A reason, and what the far end says of it, in which neither the stream's name nor its query appears: they may be secrets.
fn words(reason: &str, said: &FarSaid<'_>, name: &FarName) -> RelayWords {
    let mut words = RelayWords::new();
    let (text, rest) = match secret_at(said.description, name) {
        // It may stand there more than once, and what follows it may be a part of it.
        Some(at) => (&said.description[..at], "…"),
        None => (said.description, ""),
    };
    let code = if secret_at(said.code, name).is_none() { said.code } else { "" };
    let mut put = |text: &str| text.chars().filter(|c| !c.is_control()).all(|c| words.write_char(c).is_ok());
    let _ = put(reason)
        && (text.is_empty() && code.is_empty() || put(": "))
        && put(text)
        && put(rest)
        && (code.is_empty() || put(" (") && put(code) && put(")"));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_far_end_says_never_shows_the_key_and_is_cut_where_there_is_no_room() {
        let name = FarName::try_from("s3cret?x=1").unwrap();
        let said = FarSaid { code: "NetStream.Publish.BadName", description: "s3cret is in use", ..FarSaid::default() };
        assert_eq!(words("no", &said, &name), "no: … (NetStream.Publish.BadName)");
        let keyed = FarName::try_from("cam?e=12&key=abcd").unwrap();
        let said = FarSaid { description: "12 times: bad key abcd", ..said };
        assert_eq!(words("no", &said, &keyed), "no: 12 times: bad key … (NetStream.Publish.BadName)");
        let said = FarSaid { code: "No.abcd", ..said };
        assert_eq!(words("no", &said, &keyed), "no: 12 times: bad key …");
        let long = "x".repeat(1000);
        let said = FarSaid { code: "NetStream.Publish.BadName", description: &long, ..said };
        assert_eq!(words("no", &said, &name).len(), RELAY_WORDS_BYTES);
        let said = FarSaid { description: "a\nb", code: "", ..said };
        assert_eq!(words("no", &said, &FarName::new()), "no: ab");
    }

    #[test]
    fn an_answer_means_what_it_does_in_its_step_alone() {
        let name = FarName::new();
        let begins = RelayStep::Begins { stream_id: 1 };
        let said = |code, is_error| FarSaid { name: "onStatus", code, is_error, ..FarSaid::default() };
        assert_eq!(status(&said("NetStream.Publish.Start", false), &begins, &name), FarAnswer::Began);
        assert_eq!(status(&said("NetStream.Publish.Start", false), &RelayStep::Connects, &name), FarAnswer::Nothing);
        assert!(matches!(status(&said("NetStream.Publish.Denied", true), &begins, &name), FarAnswer::Refused(_)));
        assert_eq!(status(&said("NetStream.Play.Reset", false), &begins, &name), FarAnswer::Nothing);
        let moved = FarSaid { elsewhere: "rtmp://h/live", ..said("NetConnection.Connect.Rejected", true) };
        assert!(
            matches!(status(&moved, &RelayStep::Connects, &name), FarAnswer::Elsewhere(url) if url == "rtmp://h/live")
        );
    }
}
