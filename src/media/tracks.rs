//! What browsers are told of a stream: its tracks as an init segment describes them, made of what players who join are sent first.

use super::fragment::{FragmentTracks, SoundTrack};
use super::headers::HeaderCache;
use super::ring::{Ring, Tag, TagMeta};
use super::tag::{NOMINAL_FRAME_MS, TagKind, TagSeq};
use crate::wire::codec::{CodecName, aac, codec_name, vpx};
use crate::wire::flv::{self, CLASSIFY_BYTES, Codec, MediaType};
use crate::wire::mp4::description::TrackDescription;
use crate::wire::mp4::init::Init;

/// So many tags back a frame of sound is looked for that tells what a codec without a configuration is.
const LOOK_BACK: u64 = 64;

/// Which tracks somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedTracks {
    /// Pictures.
    pub video: bool,
    /// Sound.
    pub audio: bool,
}

/// A stream as browsers know it.
#[derive(Clone, Debug)]
pub struct StreamTracks<'m> {
    /// Its init segment.
    pub init: Init<'m>,
    /// What its fragments depend on.
    pub tracks: FragmentTracks,
    /// What its codecs are called, pictures first.
    pub names: [Option<CodecName>; 2],
    /// A codec that browsers do not play from MP4, and that is left out.
    pub left_out: Option<Codec>,
}

impl StreamTracks<'_> {
    /// Whether there is nothing that could be sent.
    pub fn is_empty(&self) -> bool {
        self.init.video.is_none() && self.init.audio.is_none()
    }
}

/// What of a stream says what its tracks are.
#[derive(Debug)]
pub struct TrackSource<'m, B, I> {
    /// What players who join are sent first.
    pub headers: &'m HeaderCache,
    /// What was sent.
    pub ring: &'m Ring<B, I>,
    /// Pictures per 1000 seconds, once that was measured.
    pub frame_rate_milli: Option<u32>,
}

/// Describes the tracks of a stream that are wanted and that a browser can play. `key` is a key frame of it, if one is at hand: some
/// codecs tell their size there alone.
pub fn describe<'m, B, I>(stream: TrackSource<'m, B, I>, wanted: WantedTracks, key: Option<&Tag>) -> StreamTracks<'m>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
{
    describe_with(stream, wanted, key, codec_name)
}

/// Describes the tracks of a stream that an MP4 file can have, whether a browser plays them or not. They have no names.
pub fn describe_file<'m, B, I>(stream: TrackSource<'m, B, I>, key: Option<&Tag>) -> StreamTracks<'m>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
{
    describe_with(stream, WantedTracks { video: true, audio: true }, key, |_, _| Some(CodecName::new()))
}

/// What a codec with a record is called, if it is wanted.
type NameOf = fn(Codec, &[u8]) -> Option<CodecName>;

fn describe_with<'m, B, I>(
    stream: TrackSource<'m, B, I>,
    wanted: WantedTracks,
    key: Option<&Tag>,
    name: NameOf,
) -> StreamTracks<'m>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
{
    let rate = stream.frame_rate_milli.filter(|&rate| rate > 0);
    let nominal_ms = rate.map_or(NOMINAL_FRAME_MS, |rate| (1_000_000 / rate).clamp(1, 1000));
    let mut found = StreamTracks {
        init: Init { video: None, audio: None, hybrid: false },
        tracks: FragmentTracks { video: None, audio: None, nominal_ms },
        names: [None, None],
        left_out: None,
    };
    if wanted.video
        && let Some((codec, record)) = stream.headers.record(MediaType::Video)
    {
        match TrackDescription::new(codec, record).zip(name(codec, record)) {
            Some((description, name)) => {
                let size = key.filter(|_| description.size() == Some((0, 0))).and_then(|key| size(stream.ring, key));
                let sized = size.map_or(description, |(width, height)| description.with_size(width, height));
                (found.init.video, found.tracks.video, found.names[0]) = (Some(sized), Some(codec), Some(name));
            }
            None => found.left_out = Some(codec),
        }
    }
    if wanted.audio {
        describe_sound(&stream, name, &mut found);
    }
    found
}

fn describe_sound<'m, B, I>(stream: &TrackSource<'m, B, I>, name: NameOf, found: &mut StreamTracks<'m>)
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
{
    let mut frame = [0; CLASSIFY_BYTES];
    let mut add = |codec, description: TrackDescription<'m>, name, frame_samples| {
        found.init.audio = Some(description);
        found.tracks.audio = Some(SoundTrack { codec, timescale: description.timescale(), frame_samples });
        found.names[1] = Some(name);
    };
    if let Some((codec, record)) = stream.headers.record(MediaType::Audio) {
        match TrackDescription::new(codec, record).zip(name(codec, record)) {
            Some((description, name)) => {
                let samples = Some(record).filter(|_| codec == Codec::Aac).and_then(aac::core);
                add(codec, description, name, samples.map(|core| core.frame_samples));
            }
            None => found.left_out = Some(codec),
        }
        return;
    }
    // Codecs without a configuration tell what they are in every frame.
    let ring = stream.ring;
    let head = ring.readable_head().0;
    let mut newest = (head.saturating_sub(LOOK_BACK)..head).rev().filter_map(|seq| ring.tag(TagSeq(seq)));
    let Some(tag) = newest.find(|tag| tag.kind == TagKind::Audio && !tag.flags.header) else { return };
    let Some(part) = ring.sample(&tag) else {
        let read = ring.payload_prefix(tag.seq, &mut frame);
        found.left_out = found.left_out.or(flv::audio(&frame[..read], tag.length).codec);
        return;
    };
    let frame = ring.payload_from(tag.seq, part.skip, &mut frame);
    match TrackDescription::of_frame(part.codec, frame).zip(name(part.codec, frame)) {
        Some((description, name)) => add(part.codec, description, name, None),
        None => found.left_out = Some(part.codec),
    }
}

/// Width and height in a key frame of a codec that tells them there.
fn size<B, I>(ring: &Ring<B, I>, key: &Tag) -> Option<(u16, u16)>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    I: AsRef<[TagMeta]> + AsMut<[TagMeta]>,
{
    let part = ring.sample(key).filter(|part| part.codec == Codec::Vp9)?;
    let mut frame = [0; 16];
    let size = vpx::key_frame_size(ring.payload_from(key.seq, part.skip, &mut frame))?;
    Some((u16::try_from(size.width).ok()?, u16::try_from(size.height).ok()?))
}
