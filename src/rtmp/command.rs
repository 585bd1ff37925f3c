//! Commands of clients: one row a name. What they do stands in [`super::session`].

use crate::wire::amf0::{AmfError, Decoder, Value};
use crate::wire::amf3;

/// A command message (RTMP 1.0, section 7.2): name, transaction id, command object, arguments.
#[derive(Debug)]
pub struct CommandMessage<'a> {
    /// As sent; not always UTF-8.
    pub name: &'a [u8],
    /// 0 asks for no answer. 0 also when the client sent none.
    pub transaction: f64,
    /// What it asks for.
    pub command: Command<'a>,
}

/// What a client asks for. Missing arguments are tolerated everywhere, and so are nulls in their places: encoders leave out
/// what they do not use. Of another type than it should be only the argument must not be that says what is meant.
#[derive(Debug)]
pub enum Command<'a> {
    /// `connect`, with its object (an object or an ECMA array); user arguments of any type may follow.
    Connect(Option<Value<'a>>),
    /// `createStream`.
    CreateStream,
    /// `releaseStream`: encoders send it before they publish.
    ReleaseStream,
    /// `FCPublish(name)`.
    FcPublish(&'a [u8]),
    /// `FCUnpublish(name)`.
    FcUnpublish(&'a [u8]),
    /// `FCSubscribe(name)`.
    FcSubscribe(&'a [u8]),
    /// `FCUnsubscribe(name)`.
    FcUnsubscribe,
    /// `getStreamLength(name)`.
    GetStreamLength(&'a [u8]),
    /// `DVRGetStreamInfo(name)`: see [`super::dvr`].
    DvrGetStreamInfo(&'a [u8]),
    /// `DVRSetStreamInfo(object)`: how an encoder wants to be recorded.
    DvrSetStreamInfo,
    /// `DVRSubscribe(name)`.
    DvrSubscribe(&'a [u8]),
    /// `DVRUnsubscribe(name)`.
    DvrUnsubscribe(&'a [u8]),
    /// `publish(name, type)`; no name, or `false`, means unpublish.
    Publish {
        /// Stream name and query.
        name: Option<&'a [u8]>,
        /// `live`, `record`, `append` or `appendWithGap`, in any case; `live` when absent.
        kind: &'a [u8],
    },
    /// `play(name, start, length, reset)`; `false` for a name means stop.
    Play {
        /// Stream name and query.
        name: Option<&'a [u8]>,
        /// Milliseconds; -2 or -2000 and -1 or -1000 have meanings, see [`super::event::PlayStart`].
        start: f64,
        /// Milliseconds; below 0 all of it, see [`super::event::PlayLength`].
        length: f64,
        /// Replace what plays, instead of queueing behind it.
        reset: bool,
    },
    /// `play2(options)`.
    Play2(Option<Value<'a>>),
    /// `pause(flag, ms)` and `pauseRaw`, with where the client is; a missing flag toggles.
    Pause(Option<bool>, f64),
    /// `seek(ms)`.
    Seek(f64),
    /// `receiveAudio(flag)`.
    ReceiveAudio(bool),
    /// `receiveVideo(flag)`.
    ReceiveVideo(bool),
    /// `closeStream`.
    CloseStream,
    /// `deleteStream(id)`; without an id it means the net stream that it came on.
    DeleteStream(Option<f64>),
    /// `_checkbw`: what ffmpeg and librtmp answer to `onBWDone`.
    CheckBw,
    /// `checkBandwidth`.
    CheckBandwidth,
    /// `ping`, to be answered `pong`.
    Ping,
    /// One of `publish`, `play`, `play2`, `pause`, `pauseRaw`, `seek`, `receiveAudio` and `receiveVideo`, whose first
    /// argument is of the wrong type.
    InvalidArgument(&'static str),
    /// `_result`, `_error`, `onStatus`, `pong`: answers, and what a client may say to itself.
    Answer,
    /// Anything else.
    Unknown,
}

impl<'a> CommandMessage<'a> {
    /// Reads the body of a command message, without the format byte of type 17.
    pub fn parse(body: &'a [u8]) -> Result<CommandMessage<'a>, AmfError> {
        let mut values = Decoder::new(body);
        let Value::String(name) = values.value()? else { return Err(AmfError::Malformed) };
        let transaction = match values.is_empty() {
            true => 0.0,
            false => values.value()?.as_number().unwrap_or(0.0),
        };
        // What cannot be decoded further counts as absent: the commands that matter do not depend on it.
        let mut next = || if values.is_empty() { None } else { values.value().ok() };
        let object = next();
        let first = next();
        let name_argument = || first.as_ref().and_then(|value| value.as_bytes());
        let flag = || first.as_ref().and_then(|value| value.as_bool());
        if let Some(of) = wrong_argument(name, first.as_ref()) {
            return Ok(CommandMessage { name, transaction, command: Command::InvalidArgument(of) });
        }
        let command = match name {
            b"connect" => Command::Connect(object),
            b"createStream" => Command::CreateStream,
            b"releaseStream" => Command::ReleaseStream,
            b"FCPublish" => Command::FcPublish(name_argument().unwrap_or_default()),
            b"FCUnpublish" => Command::FcUnpublish(name_argument().unwrap_or_default()),
            b"FCSubscribe" => Command::FcSubscribe(name_argument().unwrap_or_default()),
            b"FCUnsubscribe" => Command::FcUnsubscribe,
            b"getStreamLength" => Command::GetStreamLength(name_argument().unwrap_or_default()),
            b"DVRGetStreamInfo" => Command::DvrGetStreamInfo(name_argument().unwrap_or_default()),
            b"DVRSetStreamInfo" => Command::DvrSetStreamInfo,
            b"DVRSubscribe" => Command::DvrSubscribe(name_argument().unwrap_or_default()),
            b"DVRUnsubscribe" => Command::DvrUnsubscribe(name_argument().unwrap_or_default()),
            b"publish" => Command::Publish {
                name: name_argument(),
                kind: next().as_ref().and_then(|value| value.as_bytes()).unwrap_or(b"live"),
            },
            b"play" => {
                let name = name_argument();
                let start = next().and_then(|value| value.as_number()).unwrap_or(-2.0);
                let length = next().and_then(|value| value.as_number()).unwrap_or(-1.0);
                let reset = match next() {
                    Some(Value::Boolean(reset)) => reset,
                    // 0 and 2 append to the playlist, 1 and 3 replace it.
                    Some(Value::Number(mode)) => mode != 0.0 && mode != 2.0,
                    _ => true,
                };
                Command::Play { name, start, length, reset }
            }
            b"play2" => Command::Play2(first),
            b"pause" | b"pauseRaw" => {
                let paused = flag();
                Command::Pause(paused, next().and_then(|value| value.as_number()).unwrap_or(0.0))
            }
            b"seek" => Command::Seek(first.as_ref().and_then(|value| value.as_number()).unwrap_or(0.0)),
            b"receiveAudio" => Command::ReceiveAudio(flag().unwrap_or(true)),
            b"receiveVideo" => Command::ReceiveVideo(flag().unwrap_or(true)),
            b"closeStream" => Command::CloseStream,
            b"deleteStream" => Command::DeleteStream(first.as_ref().and_then(|value| value.as_number())),
            b"_checkbw" => Command::CheckBw,
            b"checkBandwidth" => Command::CheckBandwidth,
            b"ping" => Command::Ping,
            b"_result" | b"_error" | b"onStatus" | b"pong" => Command::Answer,
            _ => Command::Unknown,
        };
        Ok(CommandMessage { name, transaction, command })
    }
}

/// The command, if its first argument is there and of a type that has no meaning there.
fn wrong_argument(name: &[u8], argument: Option<&Value<'_>>) -> Option<&'static str> {
    let value = match argument? {
        Value::Null | Value::Undefined | Value::Unsupported => return None,
        Value::Amf3(amf3::Value::Null | amf3::Value::Undefined) => return None,
        value => value,
    };
    // `false` in place of a name means the end.
    let is_name = || value.as_bytes().is_some() || value.as_bool() == Some(false);
    let is_map = || match value {
        Value::Amf3(map) => map.properties().is_some(),
        map => map.properties().is_some(),
    };
    let is_flag = || value.as_bool().is_some();
    let (command, fits) = match name {
        b"publish" => ("publish", is_name()),
        b"play" => ("play", is_name()),
        b"play2" => ("play2", is_map()),
        b"pause" => ("pause", is_flag()),
        b"pauseRaw" => ("pauseRaw", is_flag()),
        b"seek" => ("seek", value.as_number().is_some()),
        b"receiveAudio" => ("receiveAudio", is_flag()),
        b"receiveVideo" => ("receiveVideo", is_flag()),
        _ => return None,
    };
    (!fits).then_some(command)
}
