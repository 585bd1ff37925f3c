//! One line that says what a stream is, as soon as that is known: resolution, codecs, frame rate, key-frame interval.

use core::fmt::{self, Write};

use heapless::String;
use log::info;

use crate::handles::StreamId;
use crate::live::names::Media;
use crate::media::TagKind;
use crate::time::Millis;
use crate::wire::amf0::Decoder;
use crate::wire::codec::{AudioInfo, Size, VideoInfo};
use crate::wire::flv::{self, Codec, MediaType};

use super::Server;

/// Without a second key frame by then, what is known is said, in milliseconds.
const PATIENCE_MS: u64 = 10_000;
/// A stream that had no video by then is taken for audio only, in milliseconds.
const VIDEO_PATIENCE_MS: u64 = 3000;

impl Server {
    pub(super) fn describe_when_known(&mut self, id: StreamId, now: Millis) {
        let Some((stream, media)) = self.live.names.with_media(id) else { return };
        if stream.described {
            return;
        }
        let facts = media.facts();
        let waited_ms = now.since(stream.since);
        let known = match media.has_video() {
            true => facts.key_frame_interval_ms.is_some(),
            false => waited_ms > VIDEO_PATIENCE_MS,
        };
        if !known && waited_ms <= PATIENCE_MS {
            return;
        }
        stream.described = true;
        let text = Description::of(media);
        info!("{id} stream name={:?} {text}", stream.path.as_str());
    }
}

/// What a stream is, as far as it is known. Displayed as
/// `video="1280x720 H.264 High 3.1" fps=30.00 key_frame_ms=2000 audio="AAC 48 kHz stereo"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Picture size, codec, profile and level. `None` without video.
    pub video: Option<String<VIDEO_BYTES>>,
    /// Codec, sample rate and channels. `None` without audio.
    pub audio: Option<String<AUDIO_BYTES>>,
    /// Pictures per 1000 seconds, measured.
    pub frame_rate_milli: Option<u32>,
    /// Time from key frame to key frame in milliseconds, measured.
    pub key_frame_interval_ms: Option<u32>,
}

/// Longest [`Description::video`]: two numbers, a codec, a profile and a level. What were more is cut: it is for people.
pub const VIDEO_BYTES: usize = 96;
/// Longest [`Description::audio`].
pub const AUDIO_BYTES: usize = 64;

impl Description {
    /// What the headers and the first group of pictures say.
    pub fn of(media: &Media) -> Description {
        let TrackInfo { video, audio, size, .. } = TrackInfo::of(media);
        let facts = media.facts();
        Description {
            video: match video {
                Some(info) if info.size.is_some() => Some(cut(format_args!("{info}"))),
                Some(info) => Some(cut(format_args!("{size} {info}"))),
                None => media.has_video().then(|| cut(format_args!("{size}"))),
            },
            audio: match audio {
                Some(info) => Some(cut(format_args!("{info}"))),
                None => media.has_audio().then(|| cut(format_args!("other"))),
            },
            frame_rate_milli: facts.frame_rate_milli,
            key_frame_interval_ms: facts.key_frame_interval_ms,
        }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.video {
            Some(video) => write!(f, "video=\"{video}\"")?,
            None => f.write_str("video=none")?,
        }
        if let Some(rate) = self.frame_rate_milli {
            write!(f, " fps={}.{:02}", rate / 1000, rate % 1000 / 10)?;
        }
        if let Some(interval_ms) = self.key_frame_interval_ms {
            write!(f, " key_frame_ms={interval_ms}")?;
        }
        match &self.audio {
            Some(audio) => write!(f, " audio=\"{audio}\""),
            None => f.write_str(" audio=none"),
        }
    }
}

/// The text, or as much of it as fits.
fn cut<const N: usize>(text: fmt::Arguments<'_>) -> String<N> {
    let mut fitting = String::new();
    let _ = fitting.write_fmt(text);
    fitting
}

/// What the headers of a stream say of its tracks; the first ones, of several.
#[derive(Default)]
pub(super) struct TrackInfo {
    /// Of the picture.
    pub video: Option<VideoInfo>,
    /// Of the sound.
    pub audio: Option<AudioInfo>,
    /// What `onMetaData` says of the picture, for codecs whose record does not. 0 where it does not either.
    pub size: Size,
    /// The encoder says that there is sound: by `onMetaData`, or by a sequence header.
    pub promises_sound: bool,
    /// The constraints of H.264's profile (ITU-T H.264, section 7.4.2.1.1); 0 for other codecs.
    pub constraints: u8,
}

impl TrackInfo {
    pub(super) fn of(media: &Media) -> TrackInfo {
        let mut tracks = TrackInfo::default();
        for header in media.headers().iter() {
            match header.kind {
                TagKind::Video if tracks.video.is_none() => {
                    let body = flv::sequence_header_body(MediaType::Video, header.payload);
                    tracks.video = body
                        .map(|(codec, record)| VideoInfo::parse(codec, record).unwrap_or(VideoInfo::unknown(codec)));
                    if let Some((Codec::Avc, &[_, _, constraints, ..])) = body {
                        tracks.constraints = constraints;
                    }
                }
                TagKind::Audio if tracks.audio.is_none() => {
                    let body = flv::sequence_header_body(MediaType::Audio, header.payload);
                    tracks.promises_sound = true;
                    tracks.audio = body
                        .map(|(codec, record)| AudioInfo::parse(codec, record).unwrap_or(AudioInfo::unknown(codec)));
                }
                TagKind::Data if header.name == b"onMetaData" => {
                    let promises;
                    (tracks.size, promises) = metadata(header.payload);
                    tracks.promises_sound |= promises;
                }
                TagKind::Video | TagKind::Audio | TagKind::Data => {}
            }
        }
        tracks
    }
}

/// What metadata says of the picture, and whether there is sound.
fn metadata(message: &[u8]) -> (Size, bool) {
    let mut values = Decoder::new(message);
    let value = values.value().and_then(|_| values.value());
    let get = |key: &str| value.ok().and_then(|value| value.get(key));
    let number = |key: &str| get(key).and_then(|value| value.as_number()).unwrap_or_default() as u32;
    // OBS and ffmpeg say a codec, as a number or its name. One that is 0 is PCM, which nobody sends, or none.
    let codec = get("audiocodecid");
    let has_sound = codec.is_some_and(|codec| codec.as_number().is_none_or(|number| number > 0.0));
    (Size { width: number("width"), height: number("height") }, has_sound)
}
