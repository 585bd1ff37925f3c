//! Rill: a live-streaming server for small ARM boards.
//!
//! An encoder publishes over RTMP, any number of players on the LAN play it. One thread, one `poll`, and memory that is
//! obtained once at start and never grows.
//!
//! # The four ideas
//!
//! 1. **A player is a cursor.** Each stream owns one ring of bytes already in RTMP wire form ([`media::ring`]); every
//!    player sends the very same bytes and owns only `{sequence, offset}`.
//! 2. **Bytes move once.** A pull parser ([`rtmp`]) walks the reactor's one read buffer in place; payload goes from it
//!    straight into the ring, because a message's length is known from its first chunk header.
//! 3. **Memory is a table printed at start.** Full is an ordinary answer with a reason, never a panic, never growth.
//! 4. **Everything below the sockets is sans-IO.** Bytes and `now` go in, borrowed events and bytes come out; the whole
//!    server runs in a simulator with a fake clock and faulty sockets.
//!
//! # Layers
//!
//! ```text
//! main cli        composition: arguments, pages, what is obtained in which order
//! bench           the capacity self-test
//! net             mio, sockets and doors, signals, disk threads, the counting allocator: knows the operating system
//! host            a script process: engine, prelude, limits, sandbox, its side of the link
//! store           what the disk threads do: finds and reads files, believes what has settled; films as messages, in blocks
//! apps            what an application's files say: text in, a definition or errors out
//! config          settings: text in, plain values or errors out
//! server          slots, connections, fan-out, deadlines: no OS call, no heap after start
//! features        bandwidth, films, hooks, script processes: what watches or decides; facts in, actions out ([`features::contract`])
//! live            names, rules, limits, gate, challenge, grace, readers: who publishes and plays what; no word of any protocol
//! client          the client's side of RTMP, for the self-test and `rill connect`
//! board           profiles: what each board has, and so how much it serves
//! rtmp | media    RTMP session state machines | ring, cursor, stream: siblings that never import each other
//! wire            pure formats: bytes, AMF, chunks, messages, handshake, FLV tags, codec records; recorded files, through windows
//! name            how applications and streams are spelled
//! limits time bitset token_bucket account text handles   leaves
//! ```
//!
//! A module imports only from rows below its own, and no two files import each other, however far around: `tests/tidy`
//! reads every path and fails when one does.
//! `wire`, `name`, `rtmp`, `media` and the leaves but `account` are `no_std` without `alloc`.
//!
//! # Path of one audio frame to a hundred players
//!
//! Socket 7 is readable; `net::tcp` reads into the shared buffer; [`rtmp::chunk_reader`] finds the frame in it;
//! `server::ingest` has [`media::ring`] reserve its place, write a 12-byte header and copy 400 bytes once;
//! `server::flow` asks the ring once what lies between the players' cursors and its head, and `net::tcp` does one write
//! per player, of whom it touches 32 bytes. Whoever is due anything else is for `server::fanout`: it asks each player's
//! [`live::reader`] what that is (a header, bytes of the ring, one tag, the end), frames it as RTMP, writes, and says what was
//! sent. No queue, no clone, no lock, no allocation.
//!
//! # Path of one client into an application
//!
//! Its `connect` waits in the session ([`rtmp::event::Request`]), which takes no more input. `server::connect` finds the
//! application; one that is not known, or was not looked at for a while, is asked of a disk thread ([`net::disk`]) by
//! name, and its rules come back as plain data ([`live::app`]). Then the gate is asked ([`live::gate`]), link by link: rules and
//! limits by `live` itself, and if there is a script, `server::scripting` finds or loads the instance and tells its process
//! ([`host`]) of the client, which runs `onConnect`; what the script wants done comes as messages ([`wire::script_link`]), and
//! is carried out in its order. Last an operator's own address may be asked ([`features::hooks`], `server::hooks`). A link that says no says why as plain data ([`live::refusal`]), of which [`server::refusals`]
//! makes words and a status. `_result` or `_error` leaves as the one answer.
//!
//! `publish` and `play` go through the same gate, and then [`live::Live`] gives them the name: it is published at once, waited
//! for until its holder has had its time for a sign of life, or refused. What others must hear of that is not told from within:
//! it is news ([`live::news`]), which the server hears before it does anything else, and puts into each client's words. Whoever
//! publishes or plays is a [`live::holder::Holder`]; a connection is one kind.
//!
//! # Decisions that the code taught
//!
//! - **A request's message stays where it lies.** While a request waits for its decision nothing else of the client is read, so
//!   tcUrl, pageUrl and arguments of any length are read from the assembly, and no connection pays for a copy.
//! - **The disk answers later, in lanes.** The server has jobs, which the loop fetches, and takes what came of them when
//!   it is there ([`live::jobs`]): no call blocks, and a simulator plays the disk. What clients wait for has a thread of its
//!   own: an SD card that stalls in a survey or in a film, or a reload that waits for an editor, keeps nobody from joining.
//! - **A block of a film is what is sent.** The disk's thread reads samples between the chunk headers that they are sent with
//!   ([`live::recorded`]), and where a file goes on is known to it alone: the loop has a handle and two blocks, and walks no table.
//! - **Scripts run in processes of their own** ([`host`]). No limit within an engine holds against code that was written to break it:
//!   a built-in function that does not come back, or an engine that crashes, held up every stream. A process that does not come
//!   back within its processor time is killed ([`features::script::hosts`]); whose fault it was stands in memory that the server sees,
//!   and only that instance is not loaded again for a while. Time is limited by processor time first: on a busy machine an
//!   innocent script must not be stopped.
//! - **The text of a script stands in its files** and passes through the server piece by piece ([`live::script_text`]). What was looked
//!   at is known by a stamp, and what is read is run when its stamp is that one.
//! - **Scripts are asked and answer later.** A request or a call stays in its session until then, and the gate's other links are asked
//!   once more: what rules and limits say may have changed meanwhile. Answers name their question, so that none is taken for
//!   that to another. A publisher's media, and what is no command, pass the request. Whoever causes more than its script's
//!   process takes waits with it.
//! - **Who waits for a hook waits in a place of its own.** Each client may ask one thing at a time, so a place for each is enough, and no
//!   number of clients fills a queue. What a hook is only told may outlive its client: that has its bytes with it, and a bound.
//! - **Allocations have an account** ([`account`]): those of files are marked by their caller, so the promise that the server
//!   allocates nothing is checked while they are read.
//! - **A connection is an enum of protocols** ([`server::speaks`]). What every connection has is its slot's; what one protocol
//!   needs stands in a table beside it, by the same place, and is a state machine that asks the server for what it wants. Buffers
//!   of one protocol are in its variant: variants lie over each other, so that they cost the others nothing.
//! - **The operator has slots of his own.** `rill ctl` arrives at a door of the network as clients do, and is served by the
//!   same loop; but a full table must not keep out who could empty it, and who looks at the list is not on it.
//! - **TLS lies under the sockets** ([`net::tls`]): a door is secure or not, and no protocol knows of it. It is rustls with ring, which is the
//!   smallest provider that builds for ARMv6 and runs on an ARM1176 (aws-lc-rs takes 380 kB more, graviola knows no 32 bits, RustCrypto's
//!   is an alpha), by its unbuffered connections, so that both buffers are ours and have a row. What it allocates beside them is counted in
//!   bytes ([`account::protect`]). No tickets: librtmp takes one for the end. A read never says that it was the last
//!   ([`server::transport::Io`]), for decrypted bytes may be left that no event will tell of.
//! - **A handshake rests as long as it took, three times** before the next: it is the one piece of work of milliseconds on the loop.
//! - **Long messages of scripts have an outbox** ([`server::outbox`]) in blocks that all share: control bytes are for the
//!   protocol, and need not be as large as a list of users.
//! - **A name is not a ring.** Players may wait on names without a publisher. Names have a table of their own
//!   ([`live::names`]); a ring is bound to a name by its first media, and taken back when the media of another needs
//!   it: from the name that has been without a publisher longest, else from a publisher who sends none. As many silent
//!   publishers as there are rings kept every encoder out while a publish was enough.
//! - **One URL is one stream.** Clients cut a URL into application, instance and name at different slashes, so a stream is
//!   called by the joined path ([`name::StreamPath`]), and each client is told the part behind its own instance.
//!   With a script instances stay apart: what it refused in one must not be had by another's spelling.
//! - **Waiting yields to publishing.** One name per ring and one connection per ring are kept for publishers, and idle
//!   connections give way to others, the household that has most of them first ([`server::claims`]): neither
//!   mistyped names nor silent connections lock an encoder out. Whether a client will publish is not known before it
//!   does: clients may use the reserved places until they play.
//! - **A programme is a publisher.** A stream that is made of several inputs ([`features::programmes`]) is published by the server, by copies
//!   of what is on air. That takes a ring and a copy more; for it no reader, segment or recording knows that there are inputs: another one is
//!   to them what another publish of a stream is.
//! - **A refusal needs a slot.** A few spare slots beyond `limits.connections` let a client hear why it is refused
//!   ([`limits::SPARE_CONNECTIONS`]).
//! - **Requests stay in the session.** Events are small and borrow from the input; what a request or a data message says
//!   is read from the session, so names are owned once.
//! - **Players are told late that a publisher left**: after its last frame, and only if it is not back within the grace
//!   time: ffmpeg, librtmp, mpv and VLC stop reading at that status.
//! - **Metadata has time 0.** Of any other time ffmpeg makes a subtitle stream; ffprobe then shows a stream that was
//!   never published, and VLC waits ten seconds for it before it shows a picture.
//! - **Who reads decides nothing of how it is said** ([`live::reader`]). Where one joins, when it skips, what it does not want and when
//!   the end comes are the same for a player, a recording and a relay. So a reader is asked what is due and told what was sent, and is
//!   a value of 48 bytes; words, framing and writes are its owner's, who may stop between any two bytes.
//! - **A frame is read from the tag** ([`media::frame`]). What a tag is to who knows no Enhanced RTMP stands in its payload, which does not
//!   change: the index says that it is an Enhanced RTMP message, and no more, so that streams without one pay nothing. A frame cuts
//!   a part out of the payload, as a track may lie between others. Metadata is edited where it is kept, and its tag passed over.
//! - **An edge knows names, not streams** ([`features::relays`]). What it looks for may be mistyped, and takes no place in the table of names:
//!   viewers do that. Servers do not say that a stream is not there, so nothing within two seconds is a no; and each application of
//!   each server has a number, which goes with the question ([`rtmp::via`]), so that who is asked for what it asks for knows it.
//! - **Who announces nothing is old.** Recent ffmpeg announces nothing either unless it is told to (`-rtmp_enhanced_codecs hvc1`), and
//!   is not told from ffmpeg 5: HEVC and AV1 go to clients that ask for them.
//! - **Hot and cold apart.** Of a player who is sent what all others are, a write needs to know one line of memory; looking at
//!   its slot of 12 KiB was eleven cache misses of twelve, and asking the same of the ring for each player four fifths of
//!   the instructions ([`server`]'s `express`). The line runs ahead of the slot, which is told before anybody changes it.
//! - **A limit runs into debt.** A player whose bytes a second are limited is sent the frame that was begun as a whole, and
//!   pays for it afterwards: no ping waits behind half a frame, and no ring passes a player inside one.
//! - **Acknowledge first commands at once.** Clients with Nagle's algorithm on wait for our delayed acknowledgement
//!   between their first commands; `TCP_QUICKACK` on a connection's first reads saves them 88 ms.
#![cfg_attr(not(feature = "std"), no_std)]

#[cfg(feature = "std")]
pub mod account;
#[cfg(feature = "std")]
pub mod apps;
#[cfg(feature = "std")]
pub mod bench;
pub mod bitset;
#[cfg(feature = "std")]
pub mod board;
#[cfg(feature = "std")]
pub mod client;
#[cfg(feature = "std")]
pub mod config;
#[cfg(feature = "std")]
pub mod features;
pub mod handles;
#[cfg(feature = "script")]
pub mod host;
pub mod limits;
#[cfg(feature = "std")]
pub mod live;
pub mod media;
pub mod name;
pub mod rtmp;
pub mod text;
pub mod time;
pub mod token_bucket;
pub mod wire;

#[cfg(feature = "std")]
pub mod cli;
#[cfg(feature = "std")]
pub mod net;
#[cfg(feature = "std")]
pub mod server;
#[cfg(feature = "std")]
pub mod store;
