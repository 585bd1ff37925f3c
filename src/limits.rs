//! Shapes: what fits in a slot. Counts (connections, streams, ring bytes) come from the board profile instead.
//!
//! Each constant says what happens when it is reached. All stand in one table, [`TABLE`], which `rill limits` prints.
//! Relations between them are checked when the crate is compiled.

/// A shape, as `rill limits` prints it.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The constant.
    pub name: &'static str,
    /// Bytes where the name says so, else a number of things.
    pub value: usize,
    /// What it is, and what happens beyond it, in half a line.
    pub help: &'static str,
}

/// One type of object in the memory table, which `rill limits` prints as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is.
    pub name: &'static str,
    /// How many there are.
    pub count: u64,
    /// Bytes of each.
    pub bytes_each: u64,
}

impl Row {
    /// A row of the table.
    pub fn new(name: &'static str, count: usize, bytes_each: usize) -> Row {
        Row { name, count: count as u64, bytes_each: bytes_each as u64 }
    }

    /// Bytes of all of them.
    pub fn total(&self) -> u64 {
        self.count.saturating_mul(self.bytes_each)
    }
}

/// Declares the constants and their [`TABLE`].
macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident = $value:expr, $help:literal;)*) => {
        $($(#[$doc])* pub const $name: usize = $value;)*

        /// Every shape, in the order of this file.
        pub const TABLE: &[Shape] = &[$(Shape { name: stringify!($name), value: $name, help: $help }),*];
    };
}

shapes! {
    /// Longest application name in bytes. A longer one is refused as `NetConnection.Connect.InvalidApp`.
    APP_NAME_BYTES = 64, "longest application name; a longer one is refused";
    /// Longest path of a stream within its application in bytes: instance, slash and name together, without the query, however a
    /// client cuts the URL. A longer instance is refused as `NetConnection.Connect.InvalidApp`, a longer name, or one that is too
    /// long behind its instance, as `Publish.BadName` or `Play.Failed`.
    PATH_BYTES = 192, "longest instance and stream name together; a longer one is refused";
    /// Bytes kept of a client's `flashVer`; the rest is cut off (Wirecast sends very long ones).
    AGENT_BYTES = 64, "bytes kept of a flashVer";

    /// Bytes kept of the query behind an application's name, where some encoders put a stream key. A longer one is no key.
    APP_QUERY_BYTES = 160, "query of an application; a longer one holds no key";

    /// Rules in each list of addresses of an application. A file with more is refused.
    ADDRESS_RULES = 64, "rules in each list of addresses of an application; more are refused";
    /// Stream keys of an application. A file with more is refused.
    STREAM_KEYS = 128, "stream keys of an application; more are refused";
    /// Longest stream key in bytes. A longer one is refused; what a client sends beyond it is no key.
    STREAM_KEY_BYTES = 128, "longest of them";
    /// Longest key of links that expire in bytes. A longer one is refused.
    SIGN_KEY_BYTES = 64, "longest key of signed links; a longer one is refused";
    /// Users who may publish in an application. A file with more is refused.
    USERS = 64, "users of an application; more are refused";
    /// Longest name of a user in bytes. A longer one is refused.
    USER_NAME_BYTES = 64, "longest name of a user; a longer one is refused";
    /// Longest salt of a user in bytes: `rill user` makes 8. A longer one is refused.
    USER_SALT_BYTES = 24, "longest salt of a user; a longer one is refused";
    /// Longest file of users in bytes. A longer one is refused.
    USERS_FILE_BYTES = 16 * 1024, "longest file of users; a longer one is refused";
    /// Longest `app.toml` in bytes. A longer one is refused.
    APP_FILE_BYTES = 32 * 1024, "longest app.toml; a longer one is refused";
    /// Text of an application's script in bytes, all of its files together. An application with more is refused.
    SCRIPT_TEXT_BYTES = 256 * 1024, "text of an application's script; more is refused";
    /// Text of a script in bytes that is on its way from the disk to a script process at once. More comes in the next piece.
    SCRIPT_PIECE_BYTES = 8 * 1024, "text of a script on its way to its process at once; more comes later";
    /// Files of an application's script. An application with more is refused.
    SCRIPT_FILES = 32, "its files; more are refused";

    /// Outgoing control bytes a connection can hold: replies, statuses, pings. It must take S0, S1 and S2 at once. When it is
    /// full the client is not read until it has taken some, and meets the stall deadline.
    TX_BYTES = 3584, "control bytes waiting for a client; when full it is not read";
    /// Bytes in which a connection puts commands and data messages together. A longer command closes the connection, a
    /// longer data message is dropped and counted, but metadata, of which what fits [`HEADER_BYTES`] is kept.
    ASSEMBLY_BYTES = 4096, "longest command; a longer one closes the connection";
    /// Messages other than audio and video that may be half received at once on one connection.
    ASSEMBLY_PARTS = 4, "commands half received at once on a connection";
    /// Input kept while a request waits for its decision or the client does not read its replies. Connections that do not
    /// publish are read at most this many bytes beyond their handshake at a time, so that it always fits.
    INBOX_BYTES = 512, "input kept while a request waits for its decision";
    /// Chunk streams (distinct chunk stream ids) per connection. One more closes it: it is nearly always a lost byte.
    CHUNK_STREAMS = 64, "chunk streams of a connection; one more closes it";
    /// Net streams (`createStream`) per connection. One more is answered `_error`.
    NET_STREAMS = 8, "net streams of a connection; one more is an error";
    /// Chunk size we send with, in bytes: one header for nearly every frame. Every client SRS serves accepts 60 000.
    OUT_CHUNK_BYTES = 60_000, "chunk size that is sent";
    /// Largest audio or video message in bytes (24-bit length field).
    MESSAGE_BYTES = 0xFF_FFFF, "longest message that RTMP knows";
    /// Nesting depth of AMF values. A deeper one is malformed.
    AMF_DEPTH = 16, "nesting of AMF values; deeper is malformed";

    /// Tags a ring can index; the oldest are evicted when it is reached, as when its bytes run out.
    TAGS_PER_RING = 2048, "tags of a stream's ring; the oldest are dropped";
    /// Tags of one ring that may be half received at once (audio and video interleave; two spare).
    OPEN_TAGS = 4, "tags of a stream half received at once";
    /// Bytes of metadata and sequence headers kept per stream for players who join. What does not fit is not kept; it is counted.
    HEADER_CACHE_BYTES = 16 * 1024, "metadata and sequence headers kept of a stream";
    /// Entries in that cache (each track of a multitrack stream has its own).
    HEADER_CACHE_ENTRIES = 32, "their number";
    /// Largest entry of that cache: it is copied whole into a joining player's control bytes. Metadata that is longer loses
    /// properties, the largest and least known first; a longer sequence header is not kept, and counted.
    HEADER_BYTES = 3 * 1024, "longest of them";

    /// Bytes of a block in which media of a recorded stream is on its way from the disk to a player, who has two of them.
    RECORDED_BLOCK_BYTES = 64 * 1024, "a block of a recorded stream on its way to a player";

    /// Bytes that are read at once of a recorded file, of which two such stretches are held while a block is filled.
    RECORDED_STRETCH_BYTES = 32 * 1024, "read at once of a recorded file";

    /// Samples of a fragment of a recording. It is cut before one more.
    FRAGMENT_SAMPLES = 512, "samples of a recording's fragment; it is cut before one more";
    /// Bytes of a fragment of a recording. It is cut before more.
    FRAGMENT_BYTES = 2 * 1024 * 1024, "bytes of a recording's fragment; it is cut before more";
    /// Key frames that are kept of a recording, to seek in it. Of more, every other one is left out.
    RECORDING_KEYS = 1024, "key frames kept of a recording; of more every other one is left out";
    /// Longest folder of a recording below that of its kind, in bytes. What belongs deeper is not recorded.
    RECORDING_PATH_BYTES = PATH_BYTES + 16, "longest folder of a recording; a longer one is not recorded";
    /// Longest name of a recording with its folders, in bytes.
    RECORDING_FILE_BYTES = APP_NAME_BYTES + PATH_BYTES + 64, "longest name of a recording with its folders";

    /// Recorded streams that wait in a player's playlist. One more is answered `Play.Failed`.
    PLAYLIST_ITEMS = 8, "recorded streams waiting in a player's playlist; one more is an error";
    /// Clients that wait to hear how long a recorded stream is. One more is told at once that it is not known.
    RECORDED_QUESTIONS = 8, "clients waiting to hear how long a recorded stream is; one more hears 0";

    /// Streams that the server itself publishes for scripts (`Stream.play`). One more is answered `Play.Failed`.
    BROADCASTS = 8, "streams that scripts have the server publish; one more is Play.Failed";
    /// Streams that the server makes of several inputs (`[[stream]]`), of all applications together. One more is refused in a file, and an
    /// ordinary stream where files have more together; the log says so.
    PROGRAMMES = 16, "streams that are made of several inputs; one more is an ordinary one";
    /// What a script has a stream play, with prefix and query, in bytes. `play` of what is longer returns false.
    SCRIPT_ITEM_BYTES = 2 * PATH_BYTES, "what a script has a stream play, with prefix and query";
    /// Recorded streams of which a script is told at once how long and how large they are. The one that nobody has asked for longest
    /// gives way to another.
    CATALOGUE_ENTRIES = 64, "recorded streams whose length scripts are told at once";

    /// Wishes of scripts to delete recordings (`Stream.clear`) that wait for the disk. One more is answered `Clear.Failed`.
    CLEARS = 8, "wishes of scripts to delete recordings that wait; one more is Clear.Failed";

    /// Clients of the control socket (`rill ctl`) at once: as many connections are kept for them. One more is told so and closed.
    CONTROL_CLIENTS = 4, "clients of the control socket at once; one more is told so";
    /// Longest request of such a client in bytes, its line end included. A longer one is answered with an error and closed.
    CONTROL_REQUEST_BYTES = 512, "longest request of them; a longer one is refused";

    /// Longest head of an HTTP request in bytes. A longer one is answered 431.
    HTTP_HEAD_BYTES = 4096, "longest head of an HTTP request; a longer one is answered 431";
    /// Fields of such a head. More are answered 431.
    HTTP_HEADERS = 32, "its fields; more are answered 431";
    /// Longest body of an HTTP request in bytes. A longer one is answered 413.
    HTTP_BODY_BYTES = 1024, "longest body of an HTTP request; a longer one is answered 413";
    /// Longest path of a URL in bytes, when it is decoded: what is before and behind an application's and a stream's name included. A
    /// longer one is answered 414.
    HTTP_PATH_BYTES = 320, "longest path of a URL; a longer one is answered 414";
    /// Longest query of a URL in bytes. A longer one is answered 414.
    HTTP_QUERY_BYTES = 384, "longest query of a URL; a longer one is answered 414";
    /// Bytes kept of a field of a request: its host, and the tags that it has copies of. A longer host is refused; longer tags count
    /// as absent.
    HTTP_FIELD_BYTES = 128, "bytes kept of a field of an HTTP request";

    /// Longest URL of a relay in bytes. A longer one is refused.
    RELAY_URL_BYTES = 512, "longest url of a push or a pull; a longer one is refused";
    /// Longest name of its host in bytes: no longer one can be looked up (RFC 1035, section 2.3.4).
    RELAY_HOST_BYTES = 253, "longest host of that; a longer one is refused";
    /// Longest key of a push in bytes, and so longest name of a stream at the far end. A longer one is refused.
    RELAY_KEY_BYTES = 256, "longest key of a push; a longer one is refused";
    /// Longest name of a user in that URL in bytes, and longest password. A longer one is refused.
    RELAY_USER_BYTES = 64, "longest user and longest password of that; a longer one is refused";
    /// Bytes of what a relay says besides to log in. A far end that makes it longer is not logged in to.
    RELAY_LOGIN_BYTES = 320, "bytes that a relay says to log in";
    /// Pushes and pulls in an application's file, each. A file with more is refused.
    RELAYS_PER_APP = 32, "pushes and pulls of an application, each; more are refused";
    /// Origins of an edge. A file with more is refused.
    EDGE_ORIGINS = 8, "origins of an edge; more are refused";
    /// Servers by which a stream comes that are named to the next one, so that a circle of them is noticed. Of more the last are left out.
    VIA_IDS = 5, "servers by which a stream comes that are told of";
    /// Addresses of a far end that are tried one after the other. More are not.
    RELAY_ADDRESSES = 4, "addresses of a far end that are tried";
    /// Bytes kept of what a far end said last when it refused.
    RELAY_WORDS_BYTES = 160, "bytes kept of why a far end refused";

    /// Longest body of a hook's request in bytes. What a client says of itself is cut to it; a client whose name and query are longer is
    /// refused.
    HOOK_BODY_BYTES = 1792, "longest body of a hook's request; what a client says of itself is cut";
    /// Bytes of `hooks.headers` with their line ends. More are refused.
    HOOK_HEADERS_BYTES = 512, "bytes of hooks.headers; more are refused";
    /// Longest `hooks.secret` in bytes. A longer one is refused.
    HOOK_SECRET_BYTES = 64, "longest hooks.secret; a longer one is refused";
    /// Bytes of notices for hooks that wait, for each of `limits.hooks`: some forty. One more is not sent; it is counted, and the log says
    /// so.
    HOOK_NOTICES_BYTES = 12 * 1024, "notices that wait for each of limits.hooks; one more is not sent";
    /// Bytes kept of each URL that a client says of itself, for hooks. The rest is cut off.
    HOOK_URL_BYTES = 96, "bytes kept of a client's tcUrl, pageUrl and swfUrl for hooks";
    /// Hosts of hooks whose addresses are kept. One more takes the place of the one that was looked up longest ago.
    HOOK_HOSTS = 4, "hosts of hooks whose addresses are kept";
    /// Bytes of an answer to the server's own request that are no body. One with more counts as none.
    ANSWER_HEAD_BYTES = 8192, "longest head of a hook's answer; a longer one counts as none";
    /// Bytes of a line of it that are looked at: what is longer matters not.
    ANSWER_LINE_BYTES = RELAY_URL_BYTES + 32, "bytes of a line of it that are looked at";
    /// Longest body of such an answer in bytes, where it matters. A longer one counts as none.
    ANSWER_BODY_BYTES = 512, "longest answer of a hook that answers in JSON; a longer one counts as none";

    /// Changes of streams and their viewers that are kept for who listens to `/api/events`. Of more within a second the oldest are not told.
    CHANGES = 32, "changes kept for /api/events; of more in a second the oldest are not told";
    /// Longest key of the administrator in bytes. A longer one is refused.
    ADMIN_KEY_BYTES = 64, "longest admin key; a longer one is refused";
    /// Sessions of administrators at once. One more ends the one that was used longest ago.
    ADMIN_SESSIONS = 8, "sessions of administrators at once; one more ends the oldest";
    /// How long a session of an administrator that is not used goes on, in seconds. Then he logs in anew.
    ADMIN_SESSION_S = 43_200, "seconds that an unused session of an administrator goes on; then it ends";
    /// Addresses of which it is known how many wrong admin keys they have sent, and likewise how many wrong passwords. One more takes
    /// the place of the one that sent its last longest ago.
    ATTEMPT_ADDRESSES = 32, "addresses known for wrong keys or passwords; one more replaces the oldest";
    /// Users who are logging in: they were sent a challenge. One more takes the place of the one whose challenge is oldest, of the same
    /// address if that has several.
    LOG_INS = 32, "users who are logging in; one more replaces the oldest";

    /// Connections beyond those that may have joined an application, in which a client is told that there is no room instead of
    /// seeing its connection closed. When every slot is taken, the server decides who makes room, so that no number of connections
    /// that do nothing keeps clients out.
    SPARE_CONNECTIONS = 8, "connections beyond limits.connections, in which clients are refused";
    /// Stream names per ring: players may wait on names without a publisher, and waiting costs no ring. One of them is kept
    /// for publishers, so that no number of mistyped names keeps an encoder out.
    NAMES_PER_RING = 4, "stream names for each of limits.streams; players wait on them";

    /// Actions of features that wait to be carried out. What a feature's turn has to say beyond waits for the next.
    FEATURE_ACTIONS = 32, "actions of features between two looks; more are taken later";
    /// Payload of one call in bytes, by which a client's bandwidth is found out. More is sent in more calls, because nothing else
    /// can be sent before one that has begun is complete: neither media nor a ping.
    ASK_BYTES = 4096, "payload of a call that measures bandwidth; more is sent in more of them";

    /// Calls to one client that wait for an answer. One more throws in the script.
    SCRIPT_CLIENT_CALLS = 32, "a script's calls to a client without an answer; one more throws";
    /// Calls and messages to one client that is not accepted yet; they are sent after its accept. One more throws.
    SCRIPT_QUEUED_CALLS = 32, "its calls to a client that is not accepted yet; one more throws";
    /// Bytes of names and arguments in that queue. One more throws.
    SCRIPT_QUEUED_BYTES = 16 * 1024, "their bytes; one more throws";
    /// `setInterval` functions of one instance. One more throws.
    SCRIPT_INTERVALS = 64, "setInterval functions of an instance; one more throws";
    /// Actions that one call into a script may ask for. One more stops the script.
    SCRIPT_ACTIONS = 4096, "actions that one call into a script asks for; one more stops it";
    /// Bytes of names and arguments in the actions of one call into a script. One more stops the script.
    SCRIPT_ACTION_BYTES = 1024 * 1024, "their bytes; one more stops it";
    /// Bytes of one AMF value, or of one call's arguments, on their way to a client. Longer ones throw in the script.
    SCRIPT_VALUE_BYTES = 64 * 1024, "longest value that a script sends; a longer one throws";
    /// Memory of the engine in which a script is compiled to look for errors, in bytes: 32 kB of small functions take 0.8 MiB. In
    /// one that takes more, none is found before it is loaded.
    SCRIPT_CHECK_BYTES = 1024 * 1024, "memory in which a script is compiled to look for errors; beyond it none is found";
    /// Bytes of the name of a call to a client. A longer one throws in the script.
    SCRIPT_NAME_BYTES = 1024, "longest name of a script's call; a longer one throws";
    /// Bytes of one message between the server and a script host, without its length. All that is in one has a limit, so
    /// that a longer one is no message, and the host is ended.
    SCRIPT_MESSAGE_BYTES = 72 * 1024, "longest message to or from a script host; one that sends more is ended";
    /// Bytes of facts and questions that wait for a script process. A client with one more waits, and is not read.
    SCRIPT_QUEUE_BYTES = 64 * 1024, "bytes that wait for a script process; a client with more waits";
    /// Bytes of a rejection's description, URL and `application` value, each. Texts are cut off, a longer value throws.
    SCRIPT_STATUS_BYTES = 1024, "longest value of a rejection; texts are cut, a longer value throws";
    /// Bytes of an error's text that reach a client or a log line.
    SCRIPT_ERROR_BYTES = 256, "bytes kept of an error's text";
    /// Bytes of one line that `trace` logs; the rest is left out.
    SCRIPT_TRACE_BYTES = 512, "bytes kept of a line of trace";
    /// Bytes of messages that may wait for one client. What is beyond is not sent, and its call fails.
    OUTBOX_BYTES = 128 * 1024, "bytes of a script's messages that wait for a client; a call beyond fails";
    /// Bytes of messages that may wait for all clients together.
    OUTBOXES_BYTES = 512 * 1024, "bytes of them that wait for all clients";
}

/// Things of which the server counts how many are in use: the rows of `/api/limits`.
pub const LIMITED: usize = 17;

/// Transaction ids of the server's own calls are this and above, so that their answers are not taken for those to a script's
/// calls, which count from 1 and stay below. They fit a signed 32-bit integer, which is what some clients keep.
pub const FIRST_ASK_TRANSACTION: u32 = 1 << 24;

/// Handshake packets C1, S1, C2, S2 in bytes (RTMP 1.0, section 5.2.1).
pub const HANDSHAKE_BYTES: usize = 1536;

const _: () = assert!(TX_BYTES > 1 + 2 * HANDSHAKE_BYTES, "S0, S1 and S2 are written at once");
const _: () = assert!(ASSEMBLY_BYTES >= HANDSHAKE_BYTES, "C1 is put together in the assembly bytes");
const _: () =
    assert!(HEADER_BYTES + 64 < TX_BYTES, "a cached header with its chunk header is sent from the control bytes");
const _: () = assert!(
    SCRIPT_VALUE_BYTES + SCRIPT_NAME_BYTES + 64 < SCRIPT_MESSAGE_BYTES,
    "a call with its name and arguments is one message"
);
const _: () = assert!(2 * ASSEMBLY_BYTES + PATH_BYTES < SCRIPT_MESSAGE_BYTES, "so is what a client says of itself");
const _: () = assert!(APP_NAME_BYTES + PATH_BYTES + 64 <= HTTP_PATH_BYTES, "every stream has a URL");
const _: () = assert!(STREAM_KEY_BYTES <= PATH_BYTES, "a key may be sent as a stream name");
const _: () = assert!(HEADER_BYTES < OUT_CHUNK_BYTES, "a cached header is one chunk");
