//! Recorded streams, as the loop and the disk thread that reads them speak of them: plain data, in which nothing is asked of a file.
//!
//! ```text
//! loop                                          disk
//! Job::Open { id, name }            ──────────> finds the file, reads where everything lies, keeps it in the place of `id`
//!      Done::Opened { id, facts }   <──────────
//! Job::Fill { id, fill, terms, block } ───────> goes on in the file, and fills the block with messages as they are sent
//!      Done::Filled { id, block, .. } <────────
//! Job::Close { id }                 ──────────> closes it
//!
//! Job::Facts { name }               ──────────> finds the file, reads what it is, and closes it
//!      Done::Facts { name, facts }  <──────────
//! Job::List { after }               ──────────> which file is the next behind that, by name
//!      Done::Listed { name, .. }    <──────────
//! ```
//!
//! The open file and the place in it are the disk's, which has room for each of `limits.recorded_players`; the loop has a
//! [`RecordedId`] and two [`Block`]s for each. Jobs are done in their order, so a place may be closed and opened again without
//! waiting for an answer in between: what comes back for the one before has its own id. A block is never lost: each
//! [`Job::Fill`](super::jobs::Job::Fill) gives it back, whatever became of the file.

use core::fmt;

use crate::limits::{APP_NAME_BYTES, OUT_CHUNK_BYTES, PATH_BYTES, RECORDED_BLOCK_BYTES};
use crate::media::{Framing, TagKind};
use crate::name::{DEFAULT_INSTANCE, NameError, StreamName, StreamPath};
use crate::wire::chunk::MessageHeader;
use crate::wire::flv::Codec;
use crate::wire::mp4::Choice;

/// Blocks of each player: one is sent while the other is filled.
pub const RECORDED_BLOCKS: usize = 2;
/// Media of at most so many milliseconds lies in one block, so that sound alone does not come in bursts of minutes.
pub const BLOCK_MS: i32 = 1000;

/// A file that is open for one player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedId {
    /// Its place in the disk's table, below `limits.recorded_players`.
    pub place: u16,
    /// How often the place was used before.
    pub generation: u32,
}

impl fmt::Display for RecordedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}.{}", self.place, self.generation)
    }
}

/// Which formats a player's prefix asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefix {
    /// None: the name as it stands, and with `.flv` behind it.
    #[default]
    None,
    /// `flv:`: likewise.
    Flv,
    /// `mp4:` or `f4v:`: the name as it stands, and with the endings of the MP4 family.
    Mp4,
    /// `mp3:`: the name as it stands, and with `.mp3` behind it.
    Mp3,
}

impl Prefix {
    /// What may follow the name, in the order in which it is tried. Clients take `.flv` off a name and put `mp4:` before others.
    pub fn endings(self) -> &'static [&'static str] {
        match self {
            Prefix::None | Prefix::Flv => &[".flv", "", ".mp4", ".f4v", ".m4v", ".mov", ".mp3"],
            Prefix::Mp4 => &["", ".mp4", ".f4v", ".m4v", ".mov"],
            Prefix::Mp3 => &[".mp3", ""],
        }
    }

    /// That of a name as a client says it.
    pub fn of(said: &[u8]) -> Prefix {
        match said.trim_ascii_start().split(|&byte| byte == b':').next() {
            Some(b"mp4" | b"f4v") if said.contains(&b':') => Prefix::Mp4,
            Some(b"flv") if said.contains(&b':') => Prefix::Flv,
            Some(b"mp3") if said.contains(&b':') => Prefix::Mp3,
            _ => Prefix::None,
        }
    }
}

/// Which recorded stream a client means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedName {
    /// The application.
    pub app: heapless::String<APP_NAME_BYTES>,
    /// Instance and name joined, as [`StreamPath`] has it.
    pub path: heapless::String<PATH_BYTES>,
    /// How many bytes of it are the instance that the client has joined; 0 for the default one.
    pub instance_bytes: u8,
    /// Instances have no recordings in common ([`InstanceStreams::Apart`](super::app::InstanceStreams::Apart)).
    pub apart: bool,
    /// Which formats.
    pub prefix: Prefix,
    /// Which tracks.
    pub choice: Choice,
}

impl RecordedName {
    /// What a client of `instance` of `app` means by `said`, the name argument of `play` with prefix and query.
    ///
    /// # Errors
    ///
    /// As [`StreamName::parse`] and [`StreamPath::new`].
    pub fn new(app: &str, instance: &str, apart: bool, said: &[u8]) -> Result<RecordedName, NameError> {
        let name = StreamName::parse(said)?.name;
        let path = StreamPath::new(instance, &name, apart)?;
        let text = core::str::from_utf8(said).map_err(|_| NameError::Illegal)?.trim_start();
        let prefix = Prefix::of(said);
        let query = text.split_once('?').map_or("", |(_, query)| query);
        let index = |wanted: &str| {
            let value = query.split('&').filter_map(|part| part.split_once('=')).find(|(key, _)| *key == wanted);
            value.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
        };
        Ok(RecordedName {
            app: app.try_into().map_err(|_| NameError::TooLong)?,
            instance_bytes: if instance == DEFAULT_INSTANCE { 0 } else { instance.len() as u8 },
            path: path.as_str().try_into().map_err(|_| NameError::TooLong)?,
            apart,
            prefix,
            choice: Choice { video: index("vindex"), audio: index("aindex") },
        })
    }

    /// What stands before the first of all that an instance can play: a name for [`Job::List`](super::jobs::Job::List), not one to be
    /// played.
    ///
    /// # Errors
    ///
    /// As [`StreamPath::new`].
    pub fn before_all(app: &str, instance: &str, apart: bool) -> Result<RecordedName, NameError> {
        let mut name = RecordedName::new(app, instance, apart, b"x")?;
        name.path.pop();
        Ok(name)
    }

    /// The same instance of the same application can play both.
    pub fn is_beside(&self, other: &RecordedName) -> bool {
        (&self.app, self.apart, self.instance()) == (&other.app, other.apart, other.instance())
    }

    /// Whether the client may mean that file, which is called by its own ending: the lowest number is what it means first.
    pub fn means(&self, file: &RecordedName) -> Option<usize> {
        let ending = file.path.strip_prefix(self.path.as_str())?;
        let place = self.prefix.endings().iter().position(|known| *known == ending)?;
        (self.is_beside(file) && self.choice == file.choice).then_some(place)
    }

    /// The instance that the client has joined.
    pub fn instance(&self) -> &str {
        match usize::from(self.instance_bytes) {
            0 => DEFAULT_INSTANCE,
            bytes => &self.path[..bytes],
        }
    }

    /// The name within [`RecordedName::instance`].
    pub fn name(&self) -> &str {
        match usize::from(self.instance_bytes) {
            0 => &self.path,
            bytes => &self.path[bytes + 1..],
        }
    }
}

/// What is known of a file that can be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedFacts {
    /// How long it lasts, in milliseconds; 0 when that is not known.
    pub duration_ms: u64,
    /// How large it is, in bytes.
    pub bytes: u64,
    /// The codec of its pictures; `None` when it has none, or of another codec.
    pub video: Option<Codec>,
    /// Likewise of its sound.
    pub audio: Option<Codec>,
}

/// Why a file cannot be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPlayed {
    /// There is none (`NetStream.Play.StreamNotFound`).
    Missing,
    /// It must not be read, or the disk failed (`NetStream.Play.Failed`).
    Unreadable,
    /// It is none of the formats, or not whole (`NetStream.Play.FileStructureInvalid`).
    Structure,
    /// Nothing in it can be sent (`NetStream.Play.NoSupportedTrackFound`).
    NoTrack,
}

/// What of the file is wanted next, and from where on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Metadata, headers and media from the last key frame at this time of the file, in milliseconds, or before it.
    From(u32),
    /// The same from the next key frame at this time or behind it; without one metadata and headers, and then [`Follows::End`].
    Next(u32),
    /// Metadata, headers and the one picture there; without pictures metadata and headers. Then [`Follows::End`].
    Picture(u32),
    /// What follows what the block before ended with.
    On,
    /// Only the rest of the message that the block before ended in. Then [`Follows::End`].
    Rest,
}

/// How it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedTerms {
    /// The message stream id.
    pub message_stream_id: u32,
    /// Its receiver knows no Enhanced RTMP: it is sent legacy messages alone ([`crate::wire::legacy`]).
    pub legacy: bool,
    /// It wants sound.
    pub audio: bool,
    /// It wants pictures.
    pub video: bool,
    /// The time of the file at which the item begins, in milliseconds. What lies before it is sent with its time.
    pub start_ms: u32,
    /// The time that is sent with that, in milliseconds.
    pub base_ms: u32,
    /// The time of the file at which the item ends, in milliseconds: what has this time or a later one is not sent.
    pub end_ms: Option<u32>,
    /// Bytes of the file that may be read: of one that is being recorded those that are whole.
    pub whole_bytes: Option<u64>,
}

impl RecordedTerms {
    /// All of a file, from its beginning, to who knows Enhanced RTMP.
    pub const fn whole(message_stream_id: u32) -> RecordedTerms {
        RecordedTerms {
            message_stream_id,
            legacy: false,
            audio: true,
            video: true,
            start_ms: 0,
            base_ms: 0,
            end_ms: None,
            whole_bytes: None,
        }
    }

    /// The time that is sent with what has this time of the file, both in milliseconds.
    pub const fn sent_ms(&self, file_ms: u32) -> u32 {
        file_ms.saturating_sub(self.start_ms).wrapping_add(self.base_ms)
    }
}

/// What follows a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// More, with [`Fill::On`].
    More,
    /// Nothing of what was asked for.
    End,
    /// Nothing: the disk failed, or the file is not what it should be from here on. The log has it. Of a message that was begun all
    /// is in the block, zeros in place of what could not be read.
    Fault,
}

/// Bytes for one player, ready to be sent: whole messages one after the other, each a type-0 chunk with its continuations in
/// chunks of [`OUT_CHUNK_BYTES`]. The first may be the rest of one that the block before ended in, and the last may go on in
/// the next block.
///
/// Blocks are obtained when the server starts, and only move.
#[derive(PartialEq, Eq)]
pub struct Block {
    bytes: Box<[u8]>,
    length: u32,
    /// Where the first message begins: behind the last byte if none does.
    first: u32,
}

/// A message of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockMessage {
    /// Audio, video or data.
    pub kind: TagKind,
    /// Its time as it is sent, in milliseconds.
    pub time_ms: u32,
    /// Where it ends in the block; behind the block's end when its rest is in the next one.
    pub end: usize,
}

impl Block {
    /// An empty one. This is what takes memory.
    pub fn new() -> Block {
        Block { bytes: vec![0; RECORDED_BLOCK_BYTES].into_boxed_slice(), length: 0, first: 0 }
    }

    /// What is to be sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length as usize]
    }

    /// Where the first message begins; [`Block::bytes`]' length if none does. What lies before is the rest of one.
    pub fn first(&self) -> usize {
        self.first as usize
    }

    /// The message that begins at `at`, which is [`Block::first`] or the [end](BlockMessage::end) of another; `None` at the
    /// block's end.
    pub fn message(&self, at: usize) -> Option<BlockMessage> {
        let header = MessageHeader::parse_type0(self.bytes().get(at..)?)?;
        let kind = TagKind::of_message_type(header.type_id)?;
        let framing = Framing::<OUT_CHUNK_BYTES> { timestamp: header.timestamp, length: header.length };
        Some(BlockMessage { kind, time_ms: header.timestamp, end: at + framing.wire_bytes() as usize })
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        (self.length, self.first) = (0, 0);
    }

    /// What can still be put in, from its front on; then [`Block::put`].
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.length as usize..]
    }

    /// So many bytes of [`Block::room`] were put in.
    pub fn put(&mut self, count: usize) {
        debug_assert!(count <= self.bytes.len() - self.length as usize, "what was put in had room");
        self.length += count as u32;
    }

    /// What was put in, to be written over.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length as usize]
    }

    /// The first message begins behind what was put in so far.
    pub fn begin_messages(&mut self) {
        self.first = self.length;
    }
}

impl Default for Block {
    fn default() -> Block {
        Block::new()
    }
}

impl fmt::Debug for Block {
    /// Without its bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").field("length", &self.length).field("first", &self.first).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(instance: &str, said: &str) -> RecordedName {
        RecordedName::new("vod", instance, false, said.as_bytes()).unwrap()
    }

    #[test]
    fn a_name_says_which_format_and_which_tracks_and_its_query_is_no_part_of_it() {
        let film = name("_definst_", "mp4:a/film?vindex=1&key=x&aindex=2");
        assert_eq!((film.path.as_str(), film.prefix), ("a/film", Prefix::Mp4));
        assert_eq!(film.choice, Choice { video: 1, audio: 2 });
        let prefixes = ["a", "flv:a", "f4v:a", "mp3:a", " mp4: a"].map(|said| (name("_definst_", said).prefix, said));
        assert_eq!(
            prefixes.map(|(prefix, _)| prefix),
            [Prefix::None, Prefix::Flv, Prefix::Mp4, Prefix::Mp3, Prefix::Mp4]
        );
        assert_eq!(name("_definst_", "a?vindex=many").choice, Choice::default());
        for wrong in ["", "a/../b", "http:a", "/etc/passwd"] {
            assert!(RecordedName::new("vod", "_definst_", false, wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_path_is_cut_again_where_the_client_cut_it() {
        for (instance, said) in [("_definst_", "hall/left/a"), ("hall", "left/a"), ("hall/left", "a")] {
            let film = name(instance, said);
            assert_eq!((film.path.as_str(), film.instance(), film.name()), ("hall/left/a", instance, said));
        }
    }

    #[test]
    fn messages_of_a_block_are_found_one_behind_the_other() {
        let mut block = Block::new();
        block.room()[..3].fill(7);
        block.put(3);
        block.begin_messages();
        let mut put = |kind: TagKind, timestamp: u32, length: u32, bytes: u32| {
            let framing = Framing::<OUT_CHUNK_BYTES> { timestamp, length };
            let header = framing.header(kind, 1);
            block.room()[..header.as_slice().len()].copy_from_slice(header.as_slice());
            block.put(bytes as usize);
        };
        put(TagKind::Audio, 5, 10, 12 + 10);
        put(TagKind::Data, 0x100_0000, 1, 16 + 1);
        put(TagKind::Video, 9, 60_001, 12 + 50_000);
        let message = |kind, time_ms, end| Some(BlockMessage { kind, time_ms, end });
        let first = block.first();
        assert_eq!(block.message(first), message(TagKind::Audio, 5, 25));
        assert_eq!(block.message(25), message(TagKind::Data, 0x100_0000, 42));
        assert_eq!(block.message(42), message(TagKind::Video, 9, 42 + 12 + 60_001 + 1));
        assert_eq!(block.message(block.bytes().len()), None);
        block.clear();
        assert_eq!((block.bytes(), block.first(), block.message(0)), (&[][..], 0, None));
    }

    #[test]
    fn what_lies_before_an_item_has_the_time_of_its_beginning() {
        let terms = RecordedTerms { start_ms: 10_000, base_ms: 500, ..RecordedTerms::whole(1) };
        assert_eq!([0, 9999, 10_000, 12_000].map(|ms| terms.sent_ms(ms)), [500, 500, 500, 2500]);
    }
}
