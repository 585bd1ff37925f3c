//! FLV tag headers: the first bytes of every audio and video message (FLV 10.1, annex E.4; Enhanced RTMP v2).
//!
//! The ring and the fan-out learn from here whether players can start at a tag, whether late joiners need it and whether
//! slow ones can miss it. Payloads themselves are never changed.

use core::fmt;

/// How many bytes of a message [`audio`] and [`video`] want to see. It is enough for every header but one with a large
/// ModEx, which no sender is known to make; such a tag is then neither key nor header.
pub const CLASSIFY_BYTES: usize = 64;

/// What ring and fan-out must know about one audio or video message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TagClass {
    /// A video key frame with coded bytes: players can start here. With several tracks it speaks of `track` alone.
    pub key: bool,
    /// Late joiners need this message first. Their cache keeps one message per media type, `header`, `track` and
    /// `many_tracks`.
    pub header: Option<HeaderKind>,
    /// A disposable inter frame: no other frame refers to it.
    pub droppable: bool,
    /// The sequence ends here (end of stream, or a change of codec).
    pub end: bool,
    /// No byte follows the headers. An empty audio message means silence, an empty video message means nothing.
    pub empty: bool,
    /// Track id; of the first track when there are several in the message, and 0 without multitrack.
    pub track: u8,
    /// The message carries several tracks (ManyTracks or ManyTracksManyCodecs).
    pub many_tracks: bool,
    /// Codec, of the first track; `None` when its number or FourCC is unknown to us.
    pub codec: Option<Codec>,
}

/// What a header message holds. Each kind is cached beside the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HeaderKind {
    /// The decoder's configuration record.
    SequenceHeader,
    /// Enhanced video metadata (`colorInfo`).
    Metadata,
    /// Enhanced audio channel layout.
    MultichannelConfig,
}

/// Audio or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaType {
    /// Message type 8.
    Audio,
    /// Message type 9.
    Video,
}

/// Codecs that travel in FLV tags, by legacy number or by FourCC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "their Display names say all there is")]
pub enum Codec {
    SorensonH263,
    ScreenVideo,
    ScreenVideo2,
    Vp6,
    Vp6Alpha,
    Avc,
    Hevc,
    Vvc,
    Av1,
    Vp8,
    Vp9,
    Pcm,
    Adpcm,
    Nellymoser,
    PcmALaw,
    PcmMuLaw,
    Mp3,
    Aac,
    Speex,
    Opus,
    Flac,
    Ac3,
    Eac3,
}

impl Codec {
    /// From the FourCC of an enhanced tag.
    pub fn from_fourcc(fourcc: [u8; 4]) -> Option<Codec> {
        FOURCCS.iter().find(|(known, _)| **known == fourcc).map(|&(_, codec)| codec)
    }

    /// The FourCC that an enhanced tag names it by.
    pub fn fourcc(self) -> Option<[u8; 4]> {
        FOURCCS.iter().find(|(_, known)| *known == self).map(|&(fourcc, _)| *fourcc)
    }

    /// From the low four bits of a legacy video tag. 12 to 14 were never Adobe's; Chinese networks and many cameras use them.
    pub fn from_legacy_video(id: u8) -> Option<Codec> {
        Some(match id {
            2 => Codec::SorensonH263,
            3 => Codec::ScreenVideo,
            4 => Codec::Vp6,
            5 => Codec::Vp6Alpha,
            6 => Codec::ScreenVideo2,
            7 => Codec::Avc,
            12 => Codec::Hevc,
            13 => Codec::Av1,
            14 => Codec::Vvc,
            _ => return None,
        })
    }

    /// From the high four bits of a legacy audio tag.
    pub fn from_legacy_audio(id: u8) -> Option<Codec> {
        Some(match id {
            0 | 3 => Codec::Pcm,
            1 => Codec::Adpcm,
            2 | 14 => Codec::Mp3,
            4..=6 => Codec::Nellymoser,
            7 => Codec::PcmALaw,
            8 => Codec::PcmMuLaw,
            10 => Codec::Aac,
            11 => Codec::Speex,
            _ => return None,
        })
    }

    /// The codec id or sound format that Adobe gave it, which metadata names it by, too; where it has several, the last of them.
    /// Ids that others gave are none.
    pub fn legacy_id(self) -> Option<u8> {
        let names = |id: &u8| [Codec::from_legacy_video(*id), Codec::from_legacy_audio(*id)].contains(&Some(self));
        (0..12).rev().find(names)
    }

    /// Its name as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Codec::SorensonH263 => "Sorenson H.263",
            Codec::ScreenVideo => "Screen Video",
            Codec::ScreenVideo2 => "Screen Video 2",
            Codec::Vp6 => "VP6",
            Codec::Vp6Alpha => "VP6 with alpha",
            Codec::Avc => "H.264",
            Codec::Hevc => "HEVC",
            Codec::Vvc => "VVC",
            Codec::Av1 => "AV1",
            Codec::Vp8 => "VP8",
            Codec::Vp9 => "VP9",
            Codec::Pcm => "PCM",
            Codec::Adpcm => "ADPCM",
            Codec::Nellymoser => "Nellymoser",
            Codec::PcmALaw => "G.711 A-law",
            Codec::PcmMuLaw => "G.711 mu-law",
            Codec::Mp3 => "MP3",
            Codec::Aac => "AAC",
            Codec::Speex => "Speex",
            Codec::Opus => "Opus",
            Codec::Flac => "FLAC",
            Codec::Ac3 => "AC-3",
            Codec::Eac3 => "E-AC-3",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Classifies a video message of `length` bytes from its first bytes ([`CLASSIFY_BYTES`] of them, or all).
pub fn video(prefix: &[u8], length: u32) -> TagClass {
    parse(MediaType::Video, prefix, length).0
}

/// Classifies an audio message of `length` bytes from its first bytes ([`CLASSIFY_BYTES`] of them, or all).
pub fn audio(prefix: &[u8], length: u32) -> TagClass {
    parse(MediaType::Audio, prefix, length).0
}

/// The decoder configuration record in a whole sequence header message; the first track's when there are several.
/// `None` when the message is no sequence header, or of an unknown codec, or cut off.
pub fn sequence_header_body(media_type: MediaType, message: &[u8]) -> Option<(Codec, &[u8])> {
    let length = u32::try_from(message.len()).ok()?;
    let (class, body) = parse(media_type, message, length);
    // An MPEG-2 TS descriptor is cached as a sequence header but gives no body here.
    if class.header != Some(HeaderKind::SequenceHeader) || body.is_empty() {
        return None;
    }
    Some((class.codec?, body))
}

/// Bytes of the FLV tag header before each message of an aggregate.
pub const SUB_TAG_HEADER_BYTES: usize = 11;
/// Bytes of the back pointer after each message of an aggregate.
pub const SUB_TAG_TRAILER_BYTES: usize = 4;

/// The header of one message in an aggregate (RTMP 1.0, section 7.1.6; FLV 10.1, annex E.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubTagHeader {
    /// RTMP message type, which is also the FLV tag type.
    pub message_type: u8,
    /// Payload bytes; the header and the back pointer are not counted.
    pub length: u32,
    /// As the sender wrote it. Only its distance to the first one's counts: that is added to the aggregate's own time.
    pub timestamp_ms: u32,
}

impl SubTagHeader {
    /// Reads a header. The stream id in it is always ignored, as the aggregate's counts.
    pub fn parse(bytes: &[u8; SUB_TAG_HEADER_BYTES]) -> SubTagHeader {
        let [message_type, l2, l1, l0, t2, t1, t0, t3, _, _, _] = *bytes;
        SubTagHeader {
            message_type,
            length: u32::from_be_bytes([0, l2, l1, l0]),
            timestamp_ms: u32::from_be_bytes([t3, t2, t1, t0]),
        }
    }

    /// Writes a header with stream id 0. Of `length` the low 24 bits are written.
    pub fn emit(self) -> [u8; SUB_TAG_HEADER_BYTES] {
        let [_, l2, l1, l0] = self.length.to_be_bytes();
        let [t3, t2, t1, t0] = self.timestamp_ms.to_be_bytes();
        [self.message_type, l2, l1, l0, t2, t1, t0, t3, 0, 0, 0]
    }
}

/// The five bytes before H.264 data in a legacy video tag. Composition time is cut to its 24 bits.
pub fn avc_packet_header(key: bool, sequence_header: bool, composition_ms: i32) -> [u8; 5] {
    let [_, c2, c1, c0] = composition_ms.to_be_bytes();
    [if key { 0x17 } else { 0x27 }, u8::from(!sequence_header), c2, c1, c0]
}

/// The two bytes before AAC data in a legacy audio tag. Rate, size and channels in it mean nothing for AAC.
pub fn aac_packet_header(sequence_header: bool) -> [u8; 2] {
    [0xAF, u8::from(!sequence_header)]
}

pub(super) const FOURCCS: &[(&[u8; 4], Codec)] = &[
    (b"avc1", Codec::Avc),
    (b"hvc1", Codec::Hevc),
    (b"av01", Codec::Av1),
    (b"vp08", Codec::Vp8),
    (b"vp09", Codec::Vp9),
    (b"vvc1", Codec::Vvc),
    (b"Opus", Codec::Opus),
    (b"fLaC", Codec::Flac),
    (b"ac-3", Codec::Ac3),
    (b"ec-3", Codec::Eac3),
    (b".mp3", Codec::Mp3),
    (b"mp4a", Codec::Aac),
];

/// Frame types, the high bits of a video tag's first byte.
pub(super) const FRAME_KEY: u8 = 1;
pub(super) const FRAME_INTER: u8 = 2;
pub(super) const FRAME_DISPOSABLE: u8 = 3;
pub(super) const FRAME_GENERATED_KEY: u8 = 4;
pub(super) const FRAME_COMMAND: u8 = 5;

/// Legacy AVC packet types, and AAC's first two.
const PACKET_SEQUENCE_HEADER: u8 = 0;
pub(super) const PACKET_CODED: u8 = 1;
pub(super) const PACKET_END: u8 = 2;

/// Sound format that marks an enhanced audio tag.
const SOUND_FORMAT_ENHANCED: u8 = 9;
pub(super) const SOUND_FORMAT_AAC: u8 = 10;

/// Bytes of the composition time, which legacy and Enhanced RTMP both have.
pub(super) const COMPOSITION_BYTES: u32 = 3;

/// The default track, which is sent to who knows of one alone.
const DEFAULT_TRACK: u8 = 0;
/// Track ids are one byte.
const TRACKS_MAX: usize = 256;
/// Kinds of multitrack messages.
const ONE_TRACK: u8 = 0;
const MANY_TRACKS: u8 = 1;
pub(super) const MANY_TRACKS_MANY_CODECS: u8 = 2;

/// Of a chain of ModEx no more than these are followed; one is defined so far.
const MOD_EX_MAX: usize = 4;

/// What an enhanced packet type means; audio and video number them differently from 3 on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PacketType {
    Header(HeaderKind),
    /// An AV1 descriptor instead of the usual record: cached like it, but it is not the record.
    Mpeg2TsSequenceStart,
    Coded {
        composition_time: bool,
    },
    End,
    Multitrack,
    ModEx,
    Unknown,
}

impl PacketType {
    pub(super) fn from_bits(media_type: MediaType, bits: u8) -> PacketType {
        match (media_type, bits) {
            (_, 0) => PacketType::Header(HeaderKind::SequenceHeader),
            (MediaType::Video, 1) => PacketType::Coded { composition_time: true },
            (MediaType::Audio, 1) | (MediaType::Video, 3) => PacketType::Coded { composition_time: false },
            (_, 2) => PacketType::End,
            (MediaType::Video, 4) => PacketType::Header(HeaderKind::Metadata),
            (MediaType::Audio, 4) => PacketType::Header(HeaderKind::MultichannelConfig),
            (MediaType::Video, 5) => PacketType::Mpeg2TsSequenceStart,
            (MediaType::Video, 6) | (MediaType::Audio, 5) => PacketType::Multitrack,
            (_, 7) => PacketType::ModEx,
            _ => PacketType::Unknown,
        }
    }

    /// The bits of a packet that is known.
    pub(super) fn bits(self, media_type: MediaType) -> Option<u8> {
        (0..8).find(|&bits| PacketType::from_bits(media_type, bits) == self && self != PacketType::Unknown)
    }
}

/// Whether a message that begins with this byte is an Enhanced RTMP one.
pub fn is_enhanced(media_type: MediaType, first: u8) -> bool {
    match media_type {
        MediaType::Video => first & 0x80 != 0,
        MediaType::Audio => first >> 4 == SOUND_FORMAT_ENHANCED,
    }
}

/// The headers of a message, as far as its bytes are at hand, and where we are in them.
pub(super) struct HeaderReader<R> {
    /// Bytes that were read.
    pub(super) at: u32,
    /// Bytes of the whole message.
    pub(super) length: u32,
    /// The byte at an offset; `None` where there is none.
    read: R,
}

impl<R: Fn(u32) -> Option<u8>> HeaderReader<R> {
    pub(super) fn new(length: u32, read: R) -> HeaderReader<R> {
        HeaderReader { at: 0, length, read }
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = (self.read)(self.at)?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn number(&mut self, bytes: usize) -> Option<u32> {
        (0..bytes).try_fold(0, |value, _| Some(value << 8 | u32::from(self.byte()?)))
    }

    pub(super) fn fourcc(&mut self) -> Option<[u8; 4]> {
        Some(self.number(4)?.to_be_bytes())
    }

    /// The packet type of `bits`, or behind the chain of ModEx that they begin. `None` when that is longer than any is known to
    /// be.
    pub(super) fn packet(&mut self, media_type: MediaType, bits: u8) -> Option<PacketType> {
        let mut packet = PacketType::from_bits(media_type, bits & 0x0F);
        for _ in 0..MOD_EX_MAX {
            if packet != PacketType::ModEx {
                break;
            }
            let mut size = self.number(1)? + 1;
            if size == 256 {
                size = self.number(2)? + 1;
            }
            self.at += size;
            packet = PacketType::from_bits(media_type, self.byte()? & 0x0F);
        }
        (packet != PacketType::ModEx).then_some(packet)
    }
}

/// A track's part of a message.
#[derive(Clone, Copy)]
pub(super) struct TrackBody {
    pub(super) at: u32,
    pub(super) length: u32,
}

impl<R: Fn(u32) -> Option<u8>> HeaderReader<R> {
    /// All that was not read.
    pub(super) fn rest(&self) -> TrackBody {
        TrackBody { at: self.at, length: self.length.saturating_sub(self.at) }
    }

    /// What an enhanced message of this packet type, which was read, holds of the default track: the packet, its FourCC, and where it
    /// lies.
    pub(super) fn default_packet(
        &mut self,
        media_type: MediaType,
        packet: PacketType,
    ) -> Option<(PacketType, [u8; 4], TrackBody)> {
        if packet != PacketType::Multitrack {
            return Some((packet, self.fourcc()?, self.rest()));
        }
        let kind = self.byte()?;
        let (fourcc, body) = self.default_track(kind >> 4)?;
        Some((PacketType::from_bits(media_type, kind & 0x0F), fourcc, body))
    }

    /// The default track of a multitrack message of that kind: its FourCC, and where it lies.
    fn default_track(&mut self, kind: u8) -> Option<([u8; 4], TrackBody)> {
        if !matches!(kind, ONE_TRACK | MANY_TRACKS | MANY_TRACKS_MANY_CODECS) {
            return None;
        }
        let mut fourcc = self.fourcc()?;
        for track in 0..TRACKS_MAX {
            if kind == MANY_TRACKS_MANY_CODECS && track > 0 {
                fourcc = self.fourcc()?;
            }
            let id = self.byte()?;
            let body = if kind == ONE_TRACK {
                self.rest()
            } else {
                let length = self.number(3)?;
                TrackBody { at: self.at, length }
            };
            if body.length > self.rest().length {
                return None;
            }
            if id == DEFAULT_TRACK {
                return Some((fourcc, body));
            }
            self.at += body.length;
        }
        None
    }
}

fn parse(media_type: MediaType, prefix: &[u8], length: u32) -> (TagClass, &[u8]) {
    let prefix = &prefix[..prefix.len().min(length as usize)];
    let mut class = TagClass { empty: length == 0, ..TagClass::default() };
    let mut reader = HeaderReader::new(length, |at| prefix.get(at as usize).copied());
    let record = match (media_type, prefix.first()) {
        (_, None) => None,
        (_, Some(&first)) if is_enhanced(media_type, first) => enhanced(media_type, &mut reader, &mut class),
        (MediaType::Video, Some(_)) => legacy_video(&mut reader, &mut class),
        (MediaType::Audio, Some(_)) => legacy_audio(&mut reader, &mut class),
    };
    let begin = reader.at as usize;
    let body = record.and_then(|limit| prefix.get(begin..prefix.len().min(begin.saturating_add(limit as usize))));
    (class, body.unwrap_or(&[]))
}

/// Legacy video (FLV 10.1, annex E.4.3). Of a sequence header: how long its record is at most, which comes next.
fn legacy_video(reader: &mut HeaderReader<impl Fn(u32) -> Option<u8>>, class: &mut TagClass) -> Option<u32> {
    let first = reader.byte()?;
    let frame_type = first >> 4;
    class.codec = Codec::from_legacy_video(first & 0x0F);
    if frame_type == FRAME_COMMAND {
        return None;
    }
    let has_packet_type = matches!(class.codec, Some(Codec::Avc | Codec::Hevc | Codec::Av1 | Codec::Vvc));
    let (packet, header_bytes) = if has_packet_type { (reader.byte(), 5) } else { (Some(PACKET_CODED), 1) };
    let empty = reader.length <= header_bytes;
    match packet {
        Some(PACKET_END) => class.end = true,
        Some(PACKET_CODED) => coded_frame(frame_type, empty, class),
        Some(PACKET_SEQUENCE_HEADER) if !empty => {
            class.header = Some(HeaderKind::SequenceHeader);
            reader.at = header_bytes;
            return Some(u32::MAX);
        }
        _ => class.empty = empty,
    }
    None
}

/// Legacy audio (FLV 10.1, annex E.4.2).
fn legacy_audio(reader: &mut HeaderReader<impl Fn(u32) -> Option<u8>>, class: &mut TagClass) -> Option<u32> {
    let sound_format = reader.byte()? >> 4;
    class.codec = Codec::from_legacy_audio(sound_format);
    if sound_format != SOUND_FORMAT_AAC {
        class.empty = reader.length <= 1;
        return None;
    }
    class.empty = reader.length <= 2;
    if reader.byte()? == PACKET_SEQUENCE_HEADER && !class.empty {
        class.header = Some(HeaderKind::SequenceHeader);
        return Some(u32::MAX);
    }
    None
}

/// Enhanced audio and video, which differ only in their packet types and in that audio has no frame types
/// (Enhanced RTMP v2, "Enhanced Audio", "Enhanced Video"). `None` when the headers do not end within the prefix.
fn enhanced(
    media_type: MediaType,
    reader: &mut HeaderReader<impl Fn(u32) -> Option<u8>>,
    class: &mut TagClass,
) -> Option<u32> {
    let first = reader.byte()?;
    let frame_type = if media_type == MediaType::Video { first >> 4 & 0x07 } else { 0 };
    let mut packet = reader.packet(media_type, first)?;
    if frame_type == FRAME_COMMAND && packet != PacketType::Header(HeaderKind::Metadata) {
        return None;
    }

    let mut body_limit = u32::MAX;
    if packet == PacketType::Multitrack {
        let kind = reader.byte()?;
        packet = PacketType::from_bits(media_type, kind & 0x0F);
        // Kind 2 gives each track its own FourCC; either way one comes next.
        class.codec = Codec::from_fourcc(reader.fourcc()?);
        class.track = reader.byte()?;
        class.many_tracks = kind >> 4 != 0;
        if class.many_tracks {
            body_limit = reader.number(3)?;
        }
    } else {
        class.codec = Codec::from_fourcc(reader.fourcc()?);
    }
    if matches!(packet, PacketType::Coded { composition_time: true })
        && matches!(class.codec, Some(Codec::Avc | Codec::Hevc | Codec::Vvc))
    {
        reader.at += 3;
        body_limit = body_limit.saturating_sub(3);
    }
    // The first track alone can be empty while others are not.
    let empty = reader.length <= reader.at || (body_limit == 0 && !class.many_tracks);

    match packet {
        PacketType::Coded { .. } if media_type == MediaType::Video => coded_frame(frame_type, empty, class),
        PacketType::Coded { .. } => class.empty = empty,
        PacketType::End => class.end = true,
        PacketType::Header(_) | PacketType::Mpeg2TsSequenceStart if empty => class.empty = true,
        PacketType::Header(kind) => {
            class.header = Some(kind);
            return Some(body_limit);
        }
        PacketType::Mpeg2TsSequenceStart => class.header = Some(HeaderKind::SequenceHeader),
        PacketType::Multitrack | PacketType::ModEx | PacketType::Unknown => {}
    }
    None
}

fn coded_frame(frame_type: u8, empty: bool, class: &mut TagClass) {
    class.empty = empty;
    class.key = !empty && matches!(frame_type, FRAME_KEY | FRAME_GENERATED_KEY);
    class.droppable = frame_type == FRAME_DISPOSABLE;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn classify_video(bytes: &[u8]) -> TagClass {
        video(bytes, bytes.len() as u32)
    }

    fn classify_audio(bytes: &[u8]) -> TagClass {
        audio(bytes, bytes.len() as u32)
    }

    fn coded(codec: Codec) -> TagClass {
        TagClass { codec: Some(codec), ..TagClass::default() }
    }

    fn key(codec: Codec) -> TagClass {
        TagClass { key: true, ..coded(codec) }
    }

    fn header(codec: Codec) -> TagClass {
        TagClass { header: Some(HeaderKind::SequenceHeader), ..coded(codec) }
    }

    #[test]
    fn legacy_video_tags_are_told_apart() {
        let droppable = TagClass { droppable: true, ..coded(Codec::Avc) };
        let end = TagClass { end: true, ..coded(Codec::Avc) };
        for (bytes, expected) in [
            (&[0x17, 0, 0, 0, 0, 1, 0x64][..], header(Codec::Avc)),
            (&[0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65], key(Codec::Avc)),
            (&[0x47, 1, 0, 0, 0, 0, 0, 0, 1, 0x65], key(Codec::Avc)),
            (&[0x27, 1, 0, 0, 80, 0, 0, 0, 1, 0x41], coded(Codec::Avc)),
            (&[0x37, 1, 0, 0, 80, 0, 0, 0, 1, 0x01], droppable),
            (&[0x17, 2, 0, 0, 0], end),
            (&[0x17, 9, 0, 0, 0, 1], coded(Codec::Avc)),
            (&[0x57, 0], coded(Codec::Avc)),
            (&[0x1C, 0, 0, 0, 0, 1], header(Codec::Hevc)),
            (&[0x1C, 1, 0, 0, 0, 1], key(Codec::Hevc)),
            (&[0x1D, 0, 0, 0, 0, 0x81], header(Codec::Av1)),
            (&[0x12, 0, 0], key(Codec::SorensonH263)),
            (&[0x22, 0, 0], coded(Codec::SorensonH263)),
            (&[0x14, 0, 0], key(Codec::Vp6)),
            (&[0x1F, 0, 0], TagClass { key: true, ..TagClass::default() }),
        ] {
            assert_eq!(classify_video(bytes), expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn a_codec_has_the_id_by_which_adobe_names_it() {
        let pictures = [
            (Codec::SorensonH263, 2),
            (Codec::ScreenVideo, 3),
            (Codec::Vp6, 4),
            (Codec::Vp6Alpha, 5),
            (Codec::ScreenVideo2, 6),
            (Codec::Avc, 7),
        ];
        let sound = [
            (Codec::Adpcm, 1),
            (Codec::Mp3, 2),
            (Codec::Pcm, 3),
            (Codec::Nellymoser, 6),
            (Codec::PcmALaw, 7),
            (Codec::PcmMuLaw, 8),
            (Codec::Aac, 10),
            (Codec::Speex, 11),
        ];
        for (codec, id) in pictures.into_iter().chain(sound) {
            assert_eq!(codec.legacy_id(), Some(id), "{codec}");
        }
        for (_, codec) in FOURCCS.iter().filter(|(_, codec)| ![Codec::Avc, Codec::Mp3, Codec::Aac].contains(codec)) {
            assert_eq!(codec.legacy_id(), None, "{codec}");
        }
    }

    #[test]
    fn a_tag_without_coded_bytes_is_empty_and_never_key_or_header() {
        for bytes in [&[][..], &[0x17], &[0x17, 0, 0, 0, 0], &[0x17, 1, 0, 0, 0], &[0x17, 1], &[0x14], b"\x93hvc1"] {
            let class = classify_video(bytes);
            assert!(class.empty && !class.key && class.header.is_none(), "{bytes:02x?} {class:?}");
        }
        for bytes in [&[][..], &[0xAF], &[0xAF, 0], &[0xAF, 1], &[0x2F], b"\x90mp4a"] {
            let class = classify_audio(bytes);
            assert!(class.empty && class.header.is_none(), "{bytes:02x?} {class:?}");
        }
    }

    #[test]
    fn legacy_audio_tags_are_told_apart() {
        assert_eq!(classify_audio(&[0xAF, 0, 0x11, 0x90]), header(Codec::Aac));
        assert_eq!(classify_audio(&[0xAF, 1, 0x21, 0x10]), coded(Codec::Aac));
        assert_eq!(classify_audio(&[0x2F, 0xFF, 0xFB]), coded(Codec::Mp3));
        assert_eq!(classify_audio(&[0xB2, 0, 0]), coded(Codec::Speex));
        assert_eq!(classify_audio(&[0x7E, 0]), coded(Codec::PcmALaw));
        assert_eq!(classify_audio(&[0xF0, 0]), TagClass::default());
    }

    #[test]
    fn enhanced_video_tags_are_told_apart() {
        let metadata = TagClass { header: Some(HeaderKind::Metadata), ..coded(Codec::Hevc) };
        for (bytes, expected) in [
            (&b"\x90hvc1\x01\x02"[..], header(Codec::Hevc)),
            (b"\x91hvc1\x00\x00\x00\x01", key(Codec::Hevc)),
            (b"\x93hvc1\x01", key(Codec::Hevc)),
            (b"\xC3av01\x01", key(Codec::Av1)),
            (b"\xA3av01\x01", coded(Codec::Av1)),
            (b"\xA1vp09\x01", coded(Codec::Vp9)),
            (b"\xB3avc1\x01", TagClass { droppable: true, ..coded(Codec::Avc) }),
            (b"\x92hvc1", TagClass { end: true, ..coded(Codec::Hevc) }),
            (b"\x94hvc1\x02\x00\x09colorInfo", metadata),
            (b"\xD4hvc1\x02\x00\x09colorInfo", metadata),
            (b"\x95av01\x80\x04", header(Codec::Av1)),
            (b"\xD1\x00", TagClass::default()),
            (b"\x98hvc1\x01", coded(Codec::Hevc)),
            (b"\x93xyz1\x01", TagClass { key: true, ..TagClass::default() }),
        ] {
            assert_eq!(classify_video(bytes), expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn enhanced_audio_tags_are_told_apart() {
        let layout = TagClass { header: Some(HeaderKind::MultichannelConfig), ..coded(Codec::Opus) };
        for (bytes, expected) in [
            (&b"\x90OpusOpusHead"[..], header(Codec::Opus)),
            (b"\x91Opus\xFC", coded(Codec::Opus)),
            (b"\x92fLaC", TagClass { end: true, ..coded(Codec::Flac) }),
            (b"\x94Opus\x01\x06", layout),
            (b"\x91ac-3\x0B", coded(Codec::Ac3)),
            (b"\x91ec-3\x0B", coded(Codec::Eac3)),
            (b"\x91.mp3\xFF", coded(Codec::Mp3)),
            (b"\x95\x00mp4a\x01\x11\x90", TagClass { track: 1, ..header(Codec::Aac) }),
            (b"\x97\x02\0\0\x01\x01Opus\xFC", coded(Codec::Opus)),
        ] {
            assert_eq!(classify_audio(bytes), expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn a_key_frame_is_recognised_through_mod_ex_and_multitrack() {
        // One nanosecond offset, then CodedFramesX.
        assert_eq!(classify_video(b"\x97\x02\x00\x00\x01\x03hvc1\x01"), key(Codec::Hevc));
        // The long size: 256 is written as 255, then the real size less one in 16 bits.
        assert_eq!(classify_video(b"\x97\xFF\x00\x02\x00\x00\x01\x03hvc1\x01"), key(Codec::Hevc));
        // OneTrack, ManyTracks with two tracks, ManyTracksManyCodecs; behind a ModEx too.
        assert_eq!(classify_video(b"\x96\x03hvc1\x02\x01"), TagClass { track: 2, ..key(Codec::Hevc) });
        let many = TagClass { many_tracks: true, ..key(Codec::Avc) };
        assert_eq!(classify_video(b"\x96\x13avc1\x00\0\0\x01\xAA\x01\0\0\x01\xBB"), many);
        assert_eq!(classify_video(b"\x96\x23avc1\x00\0\0\x01\xAAhvc1\x01\0\0\x01\xBB"), many);
        assert_eq!(classify_video(b"\x97\x02\0\0\x01\x06\x13avc1\x00\0\0\x01\xAA\x01\0\0\x01\xBB"), many);
        let start = TagClass { many_tracks: true, track: 1, ..header(Codec::Avc) };
        assert_eq!(classify_video(b"\x96\x10avc1\x01\0\0\x01\xAA"), start);
    }

    #[test]
    fn a_mod_ex_chain_or_data_beyond_the_prefix_is_neither_key_nor_header() {
        let five = [&b"\x97"[..], &b"\x00\xAA\x07".repeat(4), b"\x00\xAA\x03hvc1\x01"].concat();
        assert_eq!(classify_video(&five), TagClass::default());
        let four = [&b"\x97"[..], &b"\x00\xAA\x07".repeat(3), b"\x00\xAA\x03hvc1\x01"].concat();
        assert_eq!(classify_video(&four), key(Codec::Hevc));
        let mut large = [&b"\x97\xC8"[..], &[0; 201], b"\x03hvc1\x01"].concat();
        assert!(classify_video(&large).key);
        large.truncate(CLASSIFY_BYTES);
        assert_eq!(video(&large, 300), TagClass::default());
    }

    #[test]
    fn the_configuration_record_is_found_in_every_kind_of_sequence_header() {
        for (bytes, expected) in [
            (&b"\x17\0\0\0\0record"[..], Codec::Avc),
            (b"\x1C\0\0\0\0record", Codec::Hevc),
            (b"\x90av01record", Codec::Av1),
            (b"\x97\x02\0\0\x01\x00vp09record", Codec::Vp9),
            (b"\x96\x00hvc1\x01record", Codec::Hevc),
            (b"\x96\x10hvc1\x00\0\0\x06record\x01\0\0\x05other", Codec::Hevc),
            (b"\x96\x20avc1\x00\0\0\x06recordhvc1\x01\0\0\x05other", Codec::Avc),
        ] {
            assert_eq!(sequence_header_body(MediaType::Video, bytes), Some((expected, &b"record"[..])), "{bytes:02x?}");
        }
        assert_eq!(sequence_header_body(MediaType::Audio, b"\xAF\0\x11\x90"), Some((Codec::Aac, &b"\x11\x90"[..])));
        assert_eq!(sequence_header_body(MediaType::Video, b"\x17\x01\0\0\0record"), None);
        assert_eq!(sequence_header_body(MediaType::Video, b"\x95av01\x80\x04"), None);
    }

    #[test]
    fn packet_headers_for_synthetic_streams_classify_as_what_they_say() {
        assert_eq!(avc_packet_header(false, false, -2), [0x27, 1, 0xFF, 0xFF, 0xFE]);
        assert_eq!(video(&avc_packet_header(true, true, 0), 40), header(Codec::Avc));
        assert_eq!(video(&avc_packet_header(true, false, 0), 40), key(Codec::Avc));
        assert_eq!(audio(&aac_packet_header(true), 4), header(Codec::Aac));
        assert_eq!(audio(&aac_packet_header(false), 4), coded(Codec::Aac));
    }

    #[test]
    fn every_fourcc_names_its_codec() {
        for &(fourcc, codec) in FOURCCS {
            assert_eq!(Codec::from_fourcc(*fourcc), Some(codec));
        }
        assert_eq!(Codec::from_fourcc(*b"none"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_classified_and_a_tag_is_key_or_header_but_not_both(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            length in 0_u32..200,
            is_video in any::<bool>(),
        ) {
            let class = if is_video { video(&bytes, length) } else { audio(&bytes, length) };
            prop_assert!(!(class.key && class.header.is_some()));
            prop_assert!(!(class.empty && (class.key || class.header.is_some())));
            prop_assert!(is_video || !(class.key || class.droppable));
            sequence_header_body(if is_video { MediaType::Video } else { MediaType::Audio }, &bytes);
        }

        #[test]
        fn sub_tag_headers_survive_a_round_trip(
            message_type in any::<u8>(), length in 0_u32..1 << 24, timestamp_ms in any::<u32>(),
        ) {
            let header = SubTagHeader { message_type, length, timestamp_ms };
            prop_assert_eq!(SubTagHeader::parse(&header.emit()), header);
        }
    }
}
