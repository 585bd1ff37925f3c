//! One line that says what a stream is, as soon as that is known: resolution, codecs, frame rate, key-frame interval.

use core::fmt::{self, Write};

use heapless::String;
use log::{info, warn};

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
/// Viewers wait this long for a picture: more is worth a warning, in milliseconds.
const LONG_INTERVAL_MS: u32 = 5000;

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
        // With the GOP cache a new player has a picture at once, and only sound when the key frame has left the ring.
        let name = stream.path.as_str();
        match facts.key_frame_interval_ms {
            _ if !media.has_video() || stream.trouble.has_refused() => {}
            Some(interval_ms) if interval_ms > LONG_INTERVAL_MS && !self.settings.gop_cache => warn!(
                "{id} name={name:?} a key frame comes every {} s: viewers wait that long for a picture; set 2 s in the encoder, or \
                 live.gop_cache = true",
                interval_ms / 1000
            ),
            None if !media.has_key_frame() && !media.has_lost_key_frame() => warn!(
                "{id} name={name:?} no key frame in {} s: no viewer has a picture; set a key frame every 2 s in the encoder",
                PATIENCE_MS / 1000
            ),
            None if !self.settings.gop_cache => warn!(
                "{id} name={name:?} only one key frame in {} s: viewers wait for the next one; set 2 s in the encoder, or \
                 live.gop_cache = true",
                PATIENCE_MS / 1000
            ),
            _ => {}
        }
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
                    tracks.audio = body
                        .map(|(codec, record)| AudioInfo::parse(codec, record).unwrap_or(AudioInfo::unknown(codec)));
                }
                TagKind::Data if header.name == b"onMetaData" => tracks.size = picture_size(header.payload),
                TagKind::Video | TagKind::Audio | TagKind::Data => {}
            }
        }
        tracks
    }
}

/// What metadata says of the picture.
fn picture_size(message: &[u8]) -> Size {
    let mut values = Decoder::new(message);
    let value = values.value().and_then(|_| values.value());
    let number = |key: &str| {
        let number = value.ok().and_then(|value| value.get(key)).and_then(|value| value.as_number());
        number.unwrap_or_default() as u32
    };
    Size { width: number("width"), height: number("height") }
}
