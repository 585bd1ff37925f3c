//! What the server and a script host say to each other (docs/script-host.md): the server tells what happened, the host what its
//! scripts want done.
//!
//! A message is `u32` length, `u8` type, fields. The length counts what follows it, and is at most
//! [`SCRIPT_MESSAGE_BYTES`]. Numbers are in network byte order; a flag is a byte, 0 or 1; a text (UTF-8), or bytes, a `u32`
//! length and as many bytes; what may be missing a flag and, if it is set, the value. The tables of types and fields are
//! [`ToHost`] and [`ToServer`] themselves.
//!
//! ```text
//! host      Hello
//! server    Load  File*  Start            (or Check, which runs nothing)
//! host      what onAppStart wants done  Loaded | NotLoaded  Done
//! server    Connect, Call, Publish ... Gone     facts and questions, each of which ends in a Done
//! host      Accept, Reject, Call ...            what a handler wants done, in its order, then the answer, then Done
//! server    Stop        -> MayGo  Done
//! server    Unload      -> Done
//! ```
//!
//! Messages are handled one after the other, in their order. Only a question of a script
//! ([`ToServer::AskClientStats`] and its neighbours) is answered out of turn: the host waits for the answer inside of the
//! handler that asks, and keeps what comes before it for afterwards.
//!
//! Who reads what a host says must not believe it: code that broke out of the engine can say anything. A client that it
//! names may be another instance's, a text may be longer than a script could have made it.

use core::fmt;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use crate::limits::SCRIPT_MESSAGE_BYTES;

use super::bytes::{ByteReader, Full, Truncated, Writer};

/// What a host says first. Another is another protocol.
pub const VERSION: u32 = 1;
/// Bytes of a message's length.
const LENGTH_BYTES: usize = 4;

/// Why bytes are no message. Nothing behind them can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Its length is 0 or more than [`SCRIPT_MESSAGE_BYTES`].
    Length(u32),
    /// There is no such type.
    Type(u8),
    /// The fields are not those of its type.
    Fields(u8),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Length(length) => write!(f, "a message of {length} bytes"),
            Broken::Type(kind) => write!(f, "a message of unknown type {kind:#04x}"),
            Broken::Fields(kind) => write!(f, "malformed fields in a message of type {kind:#04x}"),
        }
    }
}

/// A value in a message.
trait MessageField<'a>: Sized {
    fn put(&self, out: &mut Writer<'_>) -> Result<(), Full>;
    /// `None` when the bytes are none.
    fn take(from: &mut ByteReader<'a>) -> Option<Self>;
    #[cfg(test)]
    fn draw(from: &mut tests::Draw<'a>) -> Self;
}

/// Declares what one side says: types, and fields in their order.
macro_rules! messages {
    ($(#[$doc:meta])* $name:ident
        $($(#[$row:meta])* $kind:literal $message:ident { $($(#[$what:meta])* $field:ident: $value:ty,)* })*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum $name<'a> { $($(#[$row])* $message { $($(#[$what])* $field: $value,)* },)* }

        impl<'a> $name<'a> {
            /// Writes the message, or nothing.
            ///
            /// # Errors
            ///
            /// `out` has no room for it, or it would be longer than [`SCRIPT_MESSAGE_BYTES`].
            pub fn put(&self, out: &mut Writer<'_>) -> Result<(), Full> {
                framed(out, |out| {
                    match self {
                        $($name::$message { $($field,)* } => {
                            out.put_u8($kind)?;
                            $($field.put(out)?;)*
                        })*
                    }
                    Ok(())
                })
            }

            /// The message that `bytes` begin with, and how long it is; `None` when it is not there as a whole.
            ///
            /// # Errors
            ///
            /// They begin with no message of this side.
            pub fn read(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, Broken> {
                let Some(body) = body_of(bytes)? else { return Ok(None) };
                let mut from = ByteReader::new(body);
                let kind = from.u8().map_err(|Truncated| Broken::Length(0))?;
                let message = match kind {
                    $($kind => {
                        $(let $field = MessageField::take(&mut from).ok_or(Broken::Fields($kind))?;)*
                        $name::$message { $($field,)* }
                    })*
                    _ => return Err(Broken::Type(kind)),
                };
                if from.remaining() > 0 {
                    return Err(Broken::Fields(kind));
                }
                Ok(Some((message, LENGTH_BYTES + body.len())))
            }

            /// Types, names and fields, as the documentation lists them.
            #[cfg(test)]
            const TABLE: &'static [(u8, &'static str, &'static [&'static str])] =
                &[$(($kind, stringify!($message), &[$(stringify!($field),)*]),)*];

            #[cfg(test)]
            fn draw_all(from: &mut tests::Draw<'a>) -> Vec<Self> {
                vec![$($name::$message { $($field: MessageField::draw(from),)* },)*]
            }
        }
    };
}

messages! {
    /// What a host is told and asked.
    ToHost

    /// An instance is to be loaded. Its files follow, then [`ToHost::Start`] or [`ToHost::Check`].
    0x01 Load {
        /// By which number it is called from here on; no other that is loaded has it.
        instance: InstanceId,
        /// Application name.
        app: &'a str,
        /// Instance name, `_definst_` when clients name none.
        name: &'a str,
        /// `application.hostname`.
        hostname: &'a str,
        /// `application.server`, for example `Rill/0.1.0 LNX`.
        server: &'a str,
        /// What it may use.
        budget: Budget,
    }
    /// A piece of one of its files. The pieces of a file follow each other.
    0x02 File {
        /// Whose.
        instance: InstanceId,
        /// What the file is for.
        role: FileRole,
        /// Relative to the application's directory; of a library a bare name.
        name: &'a str,
        /// Some of its text. It may be cut anywhere.
        piece: &'a [u8],
        /// With this piece it is complete.
        last: bool,
    }
    /// All files are there: load them and call `onAppStart`. Answered by [`ToServer::Loaded`] or [`ToServer::NotLoaded`],
    /// after what that wants done.
    0x03 Start {
        /// Which.
        instance: InstanceId,
    }
    /// All files are there: compile them, run nothing, and forget the instance. Answered likewise.
    0x04 Check {
        /// Which.
        instance: InstanceId,
    }
    /// `application.onConnect`. [`ToServer::Accept`] or [`ToServer::Reject`] comes now or later, without a handler at once.
    0x05 Connect {
        /// Whose client.
        instance: InstanceId,
        /// Who.
        client: ClientId,
        /// What is known of it.
        facts: ClientFacts<'a>,
        /// AMF 0 values one behind the other: what follows the command object.
        arguments: &'a [u8],
    }
    /// A method that a client calls. Answered by [`ToServer::Result`], [`ToServer::Failed`] or [`ToServer::NotFound`].
    0x06 Call {
        /// Whose client.
        instance: InstanceId,
        /// Who asks.
        question: Question,
        /// What it calls.
        name: &'a str,
        /// AMF 0 values: what follows the command object.
        arguments: &'a [u8],
    }
    /// Whether a client's access lists cover a stream. Answered by [`ToServer::Allowed`].
    0x07 Access {
        /// Whose client.
        instance: InstanceId,
        /// Who asks.
        question: Question,
        /// Which lists.
        wanted: AccessSet,
        /// Stream name without prefix and query.
        stream: &'a str,
    }
    /// A client has answered a [`ToServer::Call`].
    0x08 Answer {
        /// Whose client.
        instance: InstanceId,
        /// Who.
        client: ClientId,
        /// Of the call.
        transaction: u32,
        /// `_result`; else `_error`.
        ok: bool,
        /// AMF 0 values: what follows the command object.
        arguments: &'a [u8],
    }
    /// `application.onPublish`.
    0x09 Publish {
        /// Whose client.
        instance: InstanceId,
        /// Who.
        client: ClientId,
        /// What.
        stream: StreamFacts<'a>,
    }
    /// `application.onUnpublish`.
    0x0A Unpublish {
        /// Whose client.
        instance: InstanceId,
        /// Who.
        client: ClientId,
        /// What.
        stream: StreamFacts<'a>,
    }
    /// The connection is gone: `application.onDisconnect`, unless it was rejected. It is forgotten.
    0x0B Gone {
        /// Whose client.
        instance: InstanceId,
        /// Who.
        client: ClientId,
        /// What `client.getStats()` returns from now on: of a client that is gone nothing else is known.
        stats: ClientStats,
    }
    /// `application.onAppStop`. Answered by [`ToServer::MayGo`].
    0x0C Stop {
        /// Which.
        instance: InstanceId,
        /// Why.
        reason: StopReason,
    }
    /// Nothing of the instance runs any more, and its memory is freed.
    0x0D Unload {
        /// Which.
        instance: InstanceId,
    }
    /// Nothing: a host that comes back from whatever it does answers with [`ToServer::Done`], as to every message.
    0x0E Knock {}
    /// The answer to [`ToServer::AskClientStats`]; zeros of a client that is gone.
    0x0F TellClientStats {
        /// As of now.
        stats: ClientStats,
    }
    /// The answer to [`ToServer::AskApplicationStats`].
    0x10 TellApplicationStats {
        /// As of now.
        stats: ApplicationStats,
    }
    /// The answer to [`ToServer::AskLength`], in seconds, and to [`ToServer::AskSize`], in bytes.
    0x11 TellNumber {
        /// 0 when there is no such stream, or it has none.
        value: f64,
    }
    /// What became of what a script plays on a stream, or has recorded of it: `stream.onStatus`.
    0x12 PlayStatus {
        /// Whose.
        instance: InstanceId,
        /// The stream, as the script named it.
        stream: &'a str,
        /// `NetStream.Play.Start` and its like.
        code: &'a str,
        /// What is played, as the script named it.
        item: &'a str,
    }
    /// The answer to [`ToServer::AskMetadata`].
    0x13 TellValue {
        /// An AMF 0 value; nothing when there is none.
        value: &'a [u8],
    }
}

messages! {
    /// What a host answers, and what its scripts want done.
    ToServer

    /// The first message of a host.
    0x81 Hello {
        /// [`VERSION`].
        version: u32,
        /// The walls that the kernel does not have, their names between blanks: the host does without.
        without: &'a str,
    }
    /// The instance runs, or is free of errors.
    0x82 Loaded {
        /// Which.
        instance: InstanceId,
    }
    /// It does not, and is forgotten.
    0x83 NotLoaded {
        /// Which.
        instance: InstanceId,
        /// Where, and what: `main.asc:12: SyntaxError: ...`, at most [`SCRIPT_TRACE_BYTES`](crate::limits::SCRIPT_TRACE_BYTES).
        reason: &'a str,
    }
    /// A limit was exceeded. The instance is forgotten, and what was asked of it is not answered.
    0x84 Exhausted {
        /// Which.
        instance: InstanceId,
        /// What of.
        which: Exhausted,
    }
    /// As many messages of the server as were sent until now are through, this one included if it is the last.
    0x85 Done {
        /// All of them but the answers to the host's own questions, counted from the host's start, as far as 32 bits do.
        count: u32,
    }
    /// A method has returned.
    0x86 Result {
        /// Whose method.
        instance: InstanceId,
        /// To which question.
        question: Question,
        /// One AMF 0 value.
        value: &'a [u8],
    }
    /// A method threw, or gave nothing that can be sent.
    0x87 Failed {
        /// Whose method.
        instance: InstanceId,
        /// To which question.
        question: Question,
        /// At most [`SCRIPT_ERROR_BYTES`](crate::limits::SCRIPT_ERROR_BYTES), without control characters.
        description: &'a str,
    }
    /// There is no such method, or the client is not accepted.
    0x88 NotFound {
        /// Whose method.
        instance: InstanceId,
        /// To which question.
        question: Question,
    }
    /// Which of the lists that were asked for cover the stream.
    0x89 Allowed {
        /// Whose client.
        instance: InstanceId,
        /// To which question.
        question: Question,
        /// They and no others.
        allowed: AccessSet,
    }
    /// Let the client in.
    0x8A Accept {
        /// Whose client.
        instance: InstanceId,
        /// Who.
        client: ClientId,
    }
    /// `_error` with `NetConnection.Connect.Rejected`, then `close`.
    0x8B Reject {
        /// Whose client.
        instance: InstanceId,
        /// Who.
        client: ClientId,
        /// Of the status; the server has a default. This and the next two have at most
        /// [`SCRIPT_STATUS_BYTES`](crate::limits::SCRIPT_STATUS_BYTES).
        description: Option<&'a str>,
        /// `info.application`: one AMF 0 value.
        application: Option<&'a [u8]>,
        /// `info.ex.redirect`, with `ex.code` 302.
        redirect: Option<&'a str>,
    }
    /// Send what is due, then `close`.
    0x8C Disconnect {
        /// Whose client.
        instance: InstanceId,
        /// Who.
        client: ClientId,
    }
    /// A command to a client.
    0x8D Call {
        /// Whose client.
        instance: InstanceId,
        /// Whom.
        client: ClientId,
        /// Command name, at most [`SCRIPT_NAME_BYTES`](crate::limits::SCRIPT_NAME_BYTES).
        name: &'a str,
        /// 0: no answer is wanted.
        transaction: u32,
        /// AMF 0 values: what follows the command object, which is null.
        arguments: &'a [u8],
    }
    /// The same command to every client of the instance that is accepted; no answer is wanted.
    0x8E Broadcast {
        /// Whose clients.
        instance: InstanceId,
        /// Command name, as in [`ToServer::Call`].
        name: &'a str,
        /// AMF 0 values.
        arguments: &'a [u8],
    }
    /// A PingRequest.
    0x8F Ping {
        /// Whose client.
        instance: InstanceId,
        /// Whom.
        client: ClientId,
    }
    /// Bytes a second; what is missing stays as it is.
    0x90 LimitBandwidth {
        /// Whose client.
        instance: InstanceId,
        /// Whose bandwidth.
        client: ClientId,
        /// Server to client.
        to_client: Option<u32>,
        /// Client to server.
        to_server: Option<u32>,
    }
    /// Measure the client's bandwidth and tell it by `onBWDone`.
    0x91 CheckBandwidth {
        /// Whose client.
        instance: InstanceId,
        /// Whose bandwidth.
        client: ClientId,
    }
    /// A data message to all players of a stream of this instance.
    0x92 Send {
        /// Whose stream.
        instance: InstanceId,
        /// Stream name without prefix and query.
        stream: &'a str,
        /// Handler name and arguments as AMF 0 values.
        body: &'a [u8],
    }
    /// Disconnect every client and unload the instance.
    0x93 Shutdown {
        /// Which.
        instance: InstanceId,
    }
    /// What `onAppStop` has said.
    0x94 MayGo {
        /// Which.
        instance: InstanceId,
        /// False when it wants to stay.
        yes: bool,
    }
    /// A line for the log.
    0x95 Log {
        /// Whose.
        instance: InstanceId,
        /// How loud.
        level: LogLevel,
        /// Behind application and instance, which the server knows: `file="main.asc" line=3 error="..."`.
        text: &'a str,
    }
    /// `client.getStats()`. The host waits for [`ToHost::TellClientStats`].
    0x96 AskClientStats {
        /// Whose client.
        instance: InstanceId,
        /// Who.
        client: ClientId,
    }
    /// `application.getStats()`. The host waits for [`ToHost::TellApplicationStats`].
    0x97 AskApplicationStats {
        /// Of which.
        instance: InstanceId,
    }
    /// How long a stream is. The host waits for [`ToHost::TellNumber`].
    0x98 AskLength {
        /// Whose.
        instance: InstanceId,
        /// As the script named it.
        stream: &'a str,
    }
    /// How large a stream is. The host waits for [`ToHost::TellNumber`].
    0x99 AskSize {
        /// Whose.
        instance: InstanceId,
        /// As the script named it.
        stream: &'a str,
    }
    /// `stream.play(...)`: the server itself is to publish something on a stream.
    0x9A Play {
        /// Whose.
        instance: InstanceId,
        /// The stream, without prefix and query.
        stream: &'a str,
        /// What is to be played, with prefix and query; nothing ends what plays.
        item: &'a str,
        /// As `play` of a client has it, in seconds: -2 is what is live or else recorded, -1 what is live.
        start_s: f64,
        /// How much of it, in seconds; -1 is all.
        length_s: f64,
        /// In place of what plays; else behind it.
        reset: bool,
    }
    /// `stream.record(...)`. The host waits for [`ToHost::TellNumber`]: 1 when that begins, or ends, as wanted, else 0.
    0x9B AskRecord {
        /// Whose.
        instance: InstanceId,
        /// The stream, without prefix and query.
        stream: &'a str,
        /// How.
        how: RecordHow,
        /// It ends after so many seconds; not more than 0 is never.
        most_s: f64,
        /// It ends with so many KB; not more than 0 is never.
        most_kb: f64,
    }
    /// The metadata of a stream. The host waits for [`ToHost::TellValue`].
    0x9C AskMetadata {
        /// Whose.
        instance: InstanceId,
        /// As the script named it.
        stream: &'a str,
    }
    /// `stream.flush()`, `stream.syncWrite`: when what is recorded of a stream is to be on the medium.
    0x9D Flush {
        /// Whose.
        instance: InstanceId,
        /// The stream, without prefix and query.
        stream: &'a str,
        /// When.
        when: FlushWhen,
    }
    /// `stream.clear()`, `application.clearStreams(path)`: recordings are to be deleted.
    0x9E Clear {
        /// Whose.
        instance: InstanceId,
        /// The stream, without prefix and query; one that ends with `*` is all that begin so, up to the last `/`.
        stream: &'a str,
    }
}

/// Declares a number that is one of few.
macro_rules! coded {
    ($($(#[$doc:meta])* $name:ident { $($(#[$row:meta])* $code:literal $value:ident,)* })*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$row])* $value = $code,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$value,)*];

            const fn code(self) -> u8 {
                self as u8
            }
        }

        impl MessageField<'_> for $name {
            fn put(&self, out: &mut Writer<'_>) -> Result<(), Full> {
                out.put_u8(self.code())
            }

            fn take(from: &mut ByteReader<'_>) -> Option<Self> {
                let code = from.u8().ok()?;
                $name::ALL.iter().copied().find(|value| value.code() == code)
            }

            #[cfg(test)]
            fn draw(from: &mut tests::Draw<'_>) -> Self {
                $name::ALL[from.number() as usize % $name::ALL.len()]
            }
        }
    )* };
}

coded! {
    /// What a file of an instance is for.
    FileRole {
        /// The main script: one, always.
        0 Main,
        /// `secure.asc` beside it, which runs first: one, or none.
        1 Secure,
        /// What `load()` may find.
        2 Library,
        /// `application.config`: a JSON object. One, or none for `{}`.
        3 Config,
    }
    /// Why an instance stops; the `code` of `onAppStop`'s argument.
    StopReason {
        /// `Application.GC`: no client for the idle time. The script may stay.
        0 Idle,
        /// `Application.Shutdown`. The script is told, not asked.
        1 Shutdown,
    }
    /// Which limit of its [`Budget`] an instance has exceeded.
    Exhausted {
        /// [`Budget::call_ms`] or [`Budget::load_ms`].
        0 Time,
        /// [`Budget::memory_bytes`].
        1 Memory,
        /// [`Budget::stack_bytes`]: endless recursion, as a rule.
        2 Stack,
        /// [`SCRIPT_ACTIONS`](crate::limits::SCRIPT_ACTIONS) or [`SCRIPT_ACTION_BYTES`](crate::limits::SCRIPT_ACTION_BYTES).
        3 Actions,
    }
    /// Which of a client's access lists is asked.
    Access {
        /// `client.readAccess`: play.
        0 Read,
        /// `client.writeAccess`: publish.
        1 Write,
        /// `client.audioSampleAccess`.
        2 AudioSample,
        /// `client.videoSampleAccess`.
        3 VideoSample,
    }
    /// How a script has a stream recorded.
    RecordHow {
        /// No more.
        0 Stop,
        /// In place of what was recorded by this name.
        1 Record,
        /// Behind what was recorded by this name.
        2 Append,
        /// The same, with the pause in between as long as it was.
        3 AppendWithGap,
    }
    /// When a script wants what is recorded of a stream on the medium.
    FlushWhen {
        /// Once, now: with the fragment that grows.
        0 Once,
        /// Each fragment.
        1 Each,
        /// As the configuration says (`record.sync_ms`).
        2 AsConfigured,
    }
    /// How loud a line of the log is.
    LogLevel {
        /// Something is wrong.
        0 Warn,
        /// What `trace` says.
        1 Info,
    }
    /// What of an instance runs.
    Handler {
        /// Files, and what they do outside of functions.
        1 Load,
        /// `application.onAppStart`.
        2 AppStart,
        /// `application.onConnect`.
        3 Connect,
        /// `application.onDisconnect`.
        4 Disconnect,
        /// A method that a client has called.
        5 Call,
        /// The result object of a call to a client.
        6 Answer,
        /// `application.onPublish`.
        7 Publish,
        /// `application.onUnpublish`.
        8 Unpublish,
        /// An access list that is read.
        9 Access,
        /// `application.onAppStop`.
        10 AppStop,
        /// A function of `setInterval`.
        11 Interval,
        /// `onStatus` of what a stream plays.
        12 PlayStatus,
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Exhausted::Time => "time limit exceeded",
            Exhausted::Memory => "memory limit exceeded",
            Exhausted::Stack => "stack limit exceeded",
            Exhausted::Actions => "too many actions in one call",
        })
    }
}

impl fmt::Display for Handler {
    /// By the name that its author knows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Handler::Load => "load",
            Handler::AppStart => "onAppStart",
            Handler::Connect => "onConnect",
            Handler::Disconnect => "onDisconnect",
            Handler::Call => "method",
            Handler::Answer => "onResult",
            Handler::Publish => "onPublish",
            Handler::Unpublish => "onUnpublish",
            Handler::Access => "readAccess",
            Handler::AppStop => "onAppStop",
            Handler::Interval => "setInterval",
            Handler::PlayStatus => "onStatus",
        })
    }
}

/// An instance, as both sides call it: the server's number, which it does not give again soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstanceId(pub u32);

/// The server's handle of a connection; a host only copies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(pub u64);

/// Some of a client's access lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessSet(u8);

impl AccessSet {
    /// These.
    pub fn of(lists: &[Access]) -> AccessSet {
        AccessSet(lists.iter().fold(0, |bits, list| bits | 1 << list.code()))
    }

    /// Whether it is one of them.
    pub fn has(self, list: Access) -> bool {
        self.0 & 1 << list.code() != 0
    }
}

/// Declares values that stand together: fields in their order.
macro_rules! records {
    ($($(#[$meta:meta])* $name:ident $(<$life:lifetime>)? { $($(#[$doc:meta])* $field:ident: $kind:ty,)* })*) => { $(
        $(#[$meta])*
        pub struct $name $(<$life>)? { $($(#[$doc])* pub $field: $kind,)* }

        impl<'a> MessageField<'a> for $name $(<$life>)? {
            fn put(&self, out: &mut Writer<'_>) -> Result<(), Full> {
                $(self.$field.put(out)?;)*
                Ok(())
            }

            fn take(from: &mut ByteReader<'a>) -> Option<Self> {
                $(let $field = MessageField::take(from)?;)*
                Some($name { $($field,)* })
            }

            #[cfg(test)]
            fn draw(from: &mut tests::Draw<'a>) -> Self {
                $name { $($field: MessageField::draw(from),)* }
            }
        }
    )* };
}

records! {
    /// What the script of one instance may use.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    Budget {
        /// Memory of the engine for this instance, in bytes, at least 256 KiB. Beyond it the script gets an error, which ends
        /// the instance unless the script catches it.
        memory_bytes: u64,
        /// Stack that nested calls may take, in bytes, 32 KiB to 1 MiB; a call takes about a kilobyte on 64 bits and half of
        /// that on 32. The thread's own stack must have as much to spare.
        stack_bytes: u64,
        /// Time of one call into the script, in milliseconds, 1 to 10 000.
        call_ms: u32,
        /// Time of loading: all files and `onAppStart`, in milliseconds, 1 to 60 000.
        load_ms: u32,
    }
    /// A client has asked, and the answer names its question.
    #[derive(Clone, Copy, Debug, PartialEq)]
    Question {
        /// Who.
        client: ClientId,
        /// Tells the questions of a client apart.
        number: u32,
        /// Of its call; 0 asks for no answer.
        transaction: f64,
    }
    /// What a script learns about a client. All of it but `ip`, `id`, `protocol` and `secure` is the client's own text.
    #[derive(Clone, Copy, Debug, PartialEq)]
    ClientFacts<'a> {
        /// Address without port.
        ip: &'a str,
        /// `flashVer`.
        agent: &'a str,
        /// `swfUrl`.
        referrer: &'a str,
        /// `pageUrl`.
        page_url: &'a str,
        /// `tcUrl`.
        uri: &'a str,
        /// Unique while the server runs.
        id: &'a str,
        /// `rtmp`, `rtmps`, `http` or `https`.
        protocol: &'a str,
        /// Whether the connection is encrypted.
        secure: bool,
        /// What it may be sent, in bytes a second; 0 is no limit.
        to_client_bytes_s: u32,
        /// What is read of it, in bytes a second; 0 is no limit.
        to_server_bytes_s: u32,
    }
    /// What a script learns about a stream.
    #[derive(Clone, Copy, Debug, PartialEq)]
    StreamFacts<'a> {
        /// Stream name without prefix and query.
        name: &'a str,
        /// What follows the `?` of the published name, without it.
        publish_query_string: &'a str,
        /// `Stream.type`: `live`.
        kind: &'a str,
    }
    /// What `client.getStats()` returns.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    ClientStats {
        /// Bytes received.
        bytes_in: u64,
        /// Bytes sent.
        bytes_out: u64,
        /// Messages received.
        msg_in: u64,
        /// Messages sent.
        msg_out: u64,
        /// Messages not sent because the client was too slow.
        msg_dropped: u64,
        /// Round trip of the last ping in milliseconds.
        ping_rtt_ms: u32,
    }
    /// What `application.getStats()` returns, of this instance.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    ApplicationStats {
        /// Bytes received per second.
        bw_in: u64,
        /// Bytes sent per second.
        bw_out: u64,
        /// Bytes received.
        bytes_in: u64,
        /// Bytes sent.
        bytes_out: u64,
        /// Messages received.
        msg_in: u64,
        /// Messages sent.
        msg_out: u64,
        /// Messages not sent because clients were too slow.
        msg_dropped: u64,
        /// Clients accepted so far.
        total_connects: u64,
        /// Accepted clients that have left.
        total_disconnects: u64,
    }
}

impl Default for Budget {
    fn default() -> Self {
        Budget { memory_bytes: 2 * 1024 * 1024, stack_bytes: 512 * 1024, call_ms: 25, load_ms: 250 }
    }
}

/// What a host is about, in memory that the server sees as well: of a host that was killed, or crashed, nothing else tells
/// whose fault it was, and where. Only its own process writes it, and it is read when that is no more.
#[derive(Debug)]
#[repr(C)]
pub struct Doing {
    instance: AtomicU32,
    /// [`Handler`]; 0 is none.
    handler: AtomicU32,
    /// Of the function that was entered last; 0 when it is not known.
    line: AtomicU32,
    /// Its file; zeros behind its name.
    file: [AtomicU8; DOING_FILE_BYTES],
}

/// Bytes of the name of a file in [`Doing`]: of a longer name the first.
pub const DOING_FILE_BYTES: usize = 52;

/// What a host was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    /// Whose code ran.
    pub instance: InstanceId,
    /// What it was called for.
    pub handler: Handler,
    /// The file of the function that was entered; empty when it is not known. It is the host's word.
    pub file: heapless::String<DOING_FILE_BYTES>,
    /// The line in which that function begins; 0 when it is not known.
    pub line: u32,
}

impl Default for Doing {
    fn default() -> Doing {
        let [instance, handler, line] = [const { AtomicU32::new(0) }; 3];
        Doing { instance, handler, line, file: [const { AtomicU8::new(0) }; DOING_FILE_BYTES] }
    }
}

impl Doing {
    /// What memory that is shared must have, in bytes. Zeros say that nothing runs.
    pub const BYTES: usize = size_of::<Doing>();

    /// A handler of the instance is entered.
    pub fn enter(&self, instance: InstanceId, handler: Handler) {
        self.instance.store(instance.0, Ordering::Release);
        self.at("", 0);
        self.handler.store(handler.code().into(), Ordering::Release);
    }

    /// A function of the handler is entered.
    pub fn at(&self, file: &str, line: u32) {
        let name = &file.as_bytes()[..file.floor_char_boundary(DOING_FILE_BYTES)];
        for (place, byte) in self.file.iter().zip(name.iter().copied().chain([0])) {
            place.store(byte, Ordering::Relaxed);
        }
        self.line.store(line, Ordering::Release);
    }

    /// It is left.
    pub fn leave(&self) {
        self.handler.store(0, Ordering::Release);
    }

    /// What runs, or ran when the host ended.
    pub fn now(&self) -> Option<Entered> {
        let code = self.handler.load(Ordering::Acquire);
        let handler = Handler::ALL.iter().copied().find(|handler| u32::from(handler.code()) == code)?;
        let (instance, line) = (self.instance.load(Ordering::Acquire), self.line.load(Ordering::Acquire));
        let name = self.file.each_ref().map(|byte| byte.load(Ordering::Relaxed));
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let file = core::str::from_utf8(name).unwrap_or_default();
        // It fits: it is no longer than where it stood.
        let file = heapless::String::try_from(file).unwrap_or_default();
        Some(Entered { instance: InstanceId(instance), handler, file, line })
    }
}

/// How long the message is that `bytes` begin with, whichever side's; `None` when it is not there as a whole.
///
/// # Errors
///
/// They begin with none: what has a length may still be no message.
pub fn message_bytes(bytes: &[u8]) -> Result<Option<usize>, Broken> {
    Ok(body_of(bytes)?.map(|body| LENGTH_BYTES + body.len()))
}

/// A length and what `fields` writes, or nothing.
fn framed(out: &mut Writer<'_>, fields: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>) -> Result<(), Full> {
    let begin = out.len();
    let write = |out: &mut Writer<'_>| {
        out.put_u32(0)?;
        fields(out)?;
        let length = out.len() - begin - LENGTH_BYTES;
        if length > SCRIPT_MESSAGE_BYTES {
            return Err(Full);
        }
        out.set_u32(begin, length as u32);
        Ok(())
    };
    write(out).inspect_err(|Full| out.truncate(begin))
}

/// What follows a length, if it is there.
fn body_of(bytes: &[u8]) -> Result<Option<&[u8]>, Broken> {
    let mut from = ByteReader::new(bytes);
    let Ok(length) = from.u32() else { return Ok(None) };
    if length == 0 || length as usize > SCRIPT_MESSAGE_BYTES {
        return Err(Broken::Length(length));
    }
    Ok(from.take(length as usize).ok())
}

macro_rules! number {
    ($($kind:ident $put:ident;)*) => { $(
        impl MessageField<'_> for $kind {
            fn put(&self, out: &mut Writer<'_>) -> Result<(), Full> {
                out.$put(*self)
            }

            fn take(from: &mut ByteReader<'_>) -> Option<Self> {
                from.$kind().ok()
            }

            #[cfg(test)]
            fn draw(from: &mut tests::Draw<'_>) -> Self {
                from.number() as $kind
            }
        }
    )* };
}

number! { u32 put_u32; f64 put_f64; }

impl MessageField<'_> for u64 {
    fn put(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.put_slice(&self.to_be_bytes())
    }

    fn take(from: &mut ByteReader<'_>) -> Option<Self> {
        Some(u64::from(from.u32().ok()?) << 32 | u64::from(from.u32().ok()?))
    }

    #[cfg(test)]
    fn draw(from: &mut tests::Draw<'_>) -> Self {
        from.number()
    }
}

impl MessageField<'_> for bool {
    fn put(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.put_u8((*self).into())
    }

    fn take(from: &mut ByteReader<'_>) -> Option<Self> {
        match from.u8().ok()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    #[cfg(test)]
    fn draw(from: &mut tests::Draw<'_>) -> Self {
        from.number() % 2 == 1
    }
}

impl<'a> MessageField<'a> for &'a [u8] {
    fn put(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.put_u32(u32::try_from(self.len()).map_err(|_| Full)?)?;
        out.put_slice(self)
    }

    fn take(from: &mut ByteReader<'a>) -> Option<Self> {
        let length = from.u32().ok()?;
        from.take(length as usize).ok()
    }

    #[cfg(test)]
    fn draw(from: &mut tests::Draw<'a>) -> Self {
        from.text().as_bytes()
    }
}

impl<'a> MessageField<'a> for &'a str {
    fn put(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        self.as_bytes().put(out)
    }

    fn take(from: &mut ByteReader<'a>) -> Option<Self> {
        core::str::from_utf8(<&[u8]>::take(from)?).ok()
    }

    #[cfg(test)]
    fn draw(from: &mut tests::Draw<'a>) -> Self {
        from.text()
    }
}

impl<'a, F: MessageField<'a>> MessageField<'a> for Option<F> {
    fn put(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        self.is_some().put(out)?;
        self.iter().try_for_each(|value| value.put(out))
    }

    fn take(from: &mut ByteReader<'a>) -> Option<Self> {
        if bool::take(from)? { F::take(from).map(Some) } else { Some(None) }
    }

    #[cfg(test)]
    fn draw(from: &mut tests::Draw<'a>) -> Self {
        bool::draw(from).then(|| F::draw(from))
    }
}

impl MessageField<'_> for InstanceId {
    fn put(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        self.0.put(out)
    }

    fn take(from: &mut ByteReader<'_>) -> Option<Self> {
        u32::take(from).map(InstanceId)
    }

    #[cfg(test)]
    fn draw(from: &mut tests::Draw<'_>) -> Self {
        InstanceId(u32::draw(from))
    }
}

impl MessageField<'_> for ClientId {
    fn put(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        self.0.put(out)
    }

    fn take(from: &mut ByteReader<'_>) -> Option<Self> {
        u64::take(from).map(ClientId)
    }

    #[cfg(test)]
    fn draw(from: &mut tests::Draw<'_>) -> Self {
        ClientId(u64::draw(from))
    }
}

impl MessageField<'_> for AccessSet {
    fn put(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.put_u8(self.0)
    }

    fn take(from: &mut ByteReader<'_>) -> Option<Self> {
        let bits = from.u8().ok()?;
        (bits & !AccessSet::of(Access::ALL).0 == 0).then_some(AccessSet(bits))
    }

    #[cfg(test)]
    fn draw(from: &mut tests::Draw<'_>) -> Self {
        AccessSet(from.number() as u8 & AccessSet::of(Access::ALL).0)
    }
}

#[cfg(test)]
mod tests;
