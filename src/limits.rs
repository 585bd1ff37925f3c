//! Shapes: what fits in a slot. Counts (connections, streams, ring bytes) come from the board profile instead.
//!
//! Each constant says what happens when it is reached. Relations between them are checked when the crate is compiled.

/// Longest application name in bytes. A longer one is refused as `NetConnection.Connect.InvalidApp`.
pub const APP_NAME_BYTES: usize = 64;
/// Longest path of a stream within its application in bytes: instance, slash and name together, without the query, however a
/// client cuts the URL. A longer instance is refused as `NetConnection.Connect.InvalidApp`, a longer name, or one that is too
/// long behind its instance, as `Publish.BadName` or `Play.Failed`.
pub const PATH_BYTES: usize = 192;
/// Bytes kept of a client's `flashVer`; the rest is cut off (Wirecast sends very long ones).
pub const AGENT_BYTES: usize = 64;

/// Bytes kept of the query behind an application's name, where some encoders put a stream key. A longer one is no key.
pub const APP_QUERY_BYTES: usize = 160;

/// Rules in each list of addresses of an application. A file with more is refused.
pub const ADDRESS_RULES: usize = 64;
/// Stream keys of an application. A file with more is refused.
pub const STREAM_KEYS: usize = 128;
/// Longest stream key in bytes. A longer one is refused; what a client sends beyond it is no key.
pub const STREAM_KEY_BYTES: usize = 128;
/// Longest `app.toml` in bytes. A longer one is refused.
pub const APP_FILE_BYTES: usize = 32 * 1024;
/// Text of an application's script in bytes, all of its files together. An application with more is refused.
pub const SCRIPT_TEXT_BYTES: usize = 256 * 1024;
/// Files of an application's script. An application with more is refused.
pub const SCRIPT_FILES: usize = 32;

/// Outgoing control bytes a connection can hold: replies, statuses, pings. It must take S0, S1 and S2 at once. When it is
/// full the client is not read until it has taken some, and meets the stall deadline.
pub const TX_BYTES: usize = 3584;
/// Bytes in which a connection puts commands and data messages together. A longer command closes the connection, a
/// longer data message is dropped and counted, but metadata, of which what fits [`HEADER_BYTES`] is kept.
pub const ASSEMBLY_BYTES: usize = 4096;
/// Messages other than audio and video that may be half received at once on one connection.
pub const ASSEMBLY_PARTS: usize = 4;
/// Input kept while a request waits for its decision or the client does not read its replies. Connections that do not
/// publish are read at most this many bytes beyond their handshake at a time, so that it always fits.
pub const INBOX_BYTES: usize = 512;
/// Chunk streams (distinct chunk stream ids) per connection. One more closes it: it is nearly always a lost byte.
pub const CHUNK_STREAMS: usize = 64;
/// Net streams (`createStream`) per connection. One more is answered `_error`.
pub const NET_STREAMS: usize = 8;
/// Chunk size we send with, in bytes: one header for nearly every frame. Every client SRS serves accepts 60 000.
pub const OUT_CHUNK_BYTES: usize = 60_000;
/// Largest audio or video message in bytes (24-bit length field).
pub const MESSAGE_BYTES: usize = 0xFF_FFFF;
/// Nesting depth of AMF values. A deeper one is malformed.
pub const AMF_DEPTH: usize = 16;

/// Tags a ring can index; the oldest are evicted when it is reached, as when its bytes run out.
pub const TAGS_PER_RING: usize = 2048;
/// Tags of one ring that may be half received at once (audio and video interleave; two spare).
pub const OPEN_TAGS: usize = 4;
/// Bytes of metadata and sequence headers kept per stream for players who join. What does not fit is not kept; it is counted.
pub const HEADER_CACHE_BYTES: usize = 16 * 1024;
/// Entries in that cache (each track of a multitrack stream has its own).
pub const HEADER_CACHE_ENTRIES: usize = 32;
/// Largest entry of that cache: it is copied whole into a joining player's control bytes. Metadata that is longer loses
/// properties, the largest and least known first; a longer sequence header is not kept, and counted.
pub const HEADER_BYTES: usize = 3 * 1024;

/// Clients of the control socket (`rill ctl`) at once. One more is told so and closed.
pub const CONTROL_CLIENTS: usize = 4;
/// Longest request of such a client in bytes, its line end included. A longer one is answered with an error and closed.
pub const CONTROL_REQUEST_BYTES: usize = 512;
/// Bytes of answers that wait for such a client. A list goes on when it has taken them; it is closed when it does not.
pub const CONTROL_REPLY_BYTES: usize = 4096;

/// Handshake packets C1, S1, C2, S2 in bytes (RTMP 1.0, section 5.2.1).
pub const HANDSHAKE_BYTES: usize = 1536;

const _: () = assert!(TX_BYTES > 1 + 2 * HANDSHAKE_BYTES, "S0, S1 and S2 are written at once");
const _: () = assert!(ASSEMBLY_BYTES >= HANDSHAKE_BYTES, "C1 is put together in the assembly bytes");
const _: () =
    assert!(HEADER_BYTES + 64 < TX_BYTES, "a cached header with its chunk header is sent from the control bytes");
const _: () = assert!(STREAM_KEY_BYTES <= PATH_BYTES, "a key may be sent as a stream name");
const _: () = assert!(HEADER_BYTES < OUT_CHUNK_BYTES, "a cached header is one chunk");
