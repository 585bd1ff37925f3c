//! A recorded file as the messages that it is played by, whatever format it has: each is a few bytes in front of a piece of the
//! file (FLV 10.1, annex E.4; Enhanced RTMP v2).
//!
//! Time is the file's own, in milliseconds from its first frame. A cursor first gives the headers that hold where it stands, so
//! that whoever begins there can decode what follows.

use heapless::Vec;

use crate::wire::codec::{AudioInfo, Size, VideoInfo};
use crate::wire::flv::{self, Codec, MediaType, aac_packet_header, avc_packet_header};
use crate::wire::flv_file::{FlvFile, Headers};
use crate::wire::mp3_file::Mp3File;
use crate::wire::mp4::cursor::Sample;
use crate::wire::mp4::entry::{Picture, SampleEntry, Sound};
use crate::wire::mp4::track::Track;
use crate::wire::mp4::{Choice, Movie, TrackCursor, track_entry};
use crate::wire::windows::{Answer, Extent, Fault, File, ReadAt, STRUCTURE, WINDOW_BYTES};

/// Most bytes in front of a piece of the file: those of an Opus header, which is rewritten.
pub const FRONT_BYTES: usize = 40;

/// Bytes of an `OpusHead` without a mapping of channels, and of the `dOps` that says the same (Opus in ISOBMFF, 4.3.2).
const OPUS_HEAD_BYTES: usize = 19;
const OPUS_BOX_BYTES: usize = 11;
/// Version and flags in front of what `dfLa` holds; those of `vpcC` are sent, as encoders do.
const FULL_BOX_BYTES: u32 = 4;

/// Messages by which it is seen how much a second has: two seconds of pictures and sound.
const RATE_MESSAGES: usize = 128;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// Sound (type 8).
    Audio,
    /// Pictures (type 9).
    Video,
    /// A script's data (type 18).
    Data,
}

/// A message: some bytes, and behind them a piece of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: MessageKind,
    /// When it is due, in milliseconds from the file's first frame.
    pub time_ms: u32,
    /// What stands in front.
    pub front: Vec<u8, FRONT_BYTES>,
    /// The piece.
    pub body: Extent,
    /// A decoder's configuration.
    pub is_header: bool,
}

impl Message {
    /// Bytes of all of it.
    pub fn length(&self) -> u32 {
        self.front.len() as u32 + self.body.bytes
    }
}

/// How much a second has, as far as it can be seen at the file's beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FilmRates {
    /// Pictures, to a hundredth.
    pub frames: Option<f64>,
    /// Bits of sound.
    pub audio_bits: Option<f64>,
}

/// A file that can be played.
#[allow(clippy::large_enum_variant, reason = "there is no heap to put the larger one in")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// MP4, M4V, MOV, F4V.
    Movie(Movie),
    /// FLV.
    Flv(FlvFile),
    /// MP3.
    Mp3(Mp3File),
}

/// A place in a file.
#[allow(clippy::large_enum_variant, reason = "there is no heap to put the larger one in")]
#[derive(Clone, Debug)]
pub enum Place {
    /// In each of its tracks.
    Movie {
        /// Pictures.
        video: TrackPlace,
        /// Sound.
        audio: TrackPlace,
    },
    /// Of the next tag, behind headers that are still to be given.
    Flv {
        /// Where it lies.
        at: u64,
        /// The headers.
        headers: Headers,
        /// When they are due, in the file's own milliseconds.
        time_ms: u32,
    },
    /// Of the next frame of an MP3 file.
    Mp3 {
        /// Where it lies, or what is none before it.
        at: u64,
        /// How many were before.
        number: u32,
    },
}

/// A place in a track.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrackPlace {
    cursor: TrackCursor,
    /// The next sample.
    next: Option<Sample>,
    /// The sample entry whose header was given, by its index.
    entry: Option<(u32, SampleEntry)>,
}

impl Recorded {
    /// Reads what the file is, by its first bytes.
    ///
    /// # Errors
    ///
    /// It is none that can be played.
    pub fn open<R: ReadAt>(file: &mut File<'_, R>, choice: Choice) -> Answer<Recorded, R> {
        match file.array(STRUCTURE, 0)? {
            [b'F', b'L', b'V'] => FlvFile::open(file).map(Recorded::Flv),
            [b'I', b'D', b'3'] | [0xFF, 0xE0..=0xFF, _] => Mp3File::open(file).map(Recorded::Mp3),
            _ => Movie::open(file, choice).map(Recorded::Movie),
        }
    }

    /// More may follow what is its end now. Of a file whose tables are complete nothing can.
    pub fn may_grow(&self) -> bool {
        match self {
            Recorded::Movie(movie) => movie.video.iter().chain(&movie.audio).any(|track| track.fragments.is_some()),
            Recorded::Flv(_) | Recorded::Mp3(_) => true,
        }
    }

    /// Looks whether the file has grown: more messages may follow what was its last.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn grow<R: ReadAt>(&mut self, file: &mut File<'_, R>) -> Answer<(), R> {
        match self {
            Recorded::Flv(flv) => flv.grow(file),
            // Fragments are looked for where the file ends, and the frames of an MP3 file where they were.
            Recorded::Movie(_) | Recorded::Mp3(_) => Ok(()),
        }
    }

    /// The codecs of pictures and of sound.
    pub fn codecs(&self) -> (Option<Codec>, Option<Codec>) {
        match self {
            Recorded::Movie(Movie { video, audio, .. }) => {
                let codec = |track: &Option<Track>| track.as_ref().map(|track| track.entry.codec);
                (codec(video), codec(audio))
            }
            Recorded::Flv(flv) => (flv.video_codec, flv.audio_codec),
            Recorded::Mp3(_) => (None, Some(Codec::Mp3)),
        }
    }

    /// How long it lasts, in milliseconds; 0 when that is not known.
    ///
    /// # Errors
    ///
    /// As [`Recorded::begin`].
    pub fn duration_ms<R: ReadAt>(&self, file: &mut File<'_, R>) -> Answer<u64, R> {
        match self {
            Recorded::Movie(movie) => movie.duration_ms(file),
            Recorded::Flv(flv) => Ok(flv.duration_ms().into()),
            Recorded::Mp3(mp3) => Ok(mp3.duration_ms().into()),
        }
    }

    /// What is known of pictures and of sound: the decoder's configuration says most.
    ///
    /// # Errors
    ///
    /// As [`Recorded::begin`].
    pub fn infos<R: ReadAt>(&self, file: &mut File<'_, R>) -> Answer<(Option<VideoInfo>, Option<AudioInfo>), R> {
        let (video_codec, audio_codec) = self.codecs();
        let mut video = video_codec.map(VideoInfo::unknown);
        let mut audio = audio_codec.map(AudioInfo::unknown);
        match self {
            Recorded::Movie(movie) => {
                if let (Some(info), Some(track)) = (&mut video, &movie.video) {
                    let SampleEntry { codec, configuration, picture, .. } = track.entry;
                    let size =
                        picture.map(|Picture { width, height }| Size { width: width.into(), height: height.into() });
                    *info = VideoInfo::parse(codec, record(file, configuration)?).unwrap_or(*info);
                    info.size = info.size.or(size.filter(|size| size.width > 0 && size.height > 0));
                }
                if let (Some(info), Some(track)) = (&mut audio, &movie.audio) {
                    let SampleEntry { codec, configuration, sound, .. } = track.entry;
                    // In this family only that one looks as it does in an audio message.
                    if codec == Codec::Aac {
                        *info = AudioInfo::parse(codec, record(file, configuration)?).unwrap_or(*info);
                    }
                    info.sample_rate_hz = info.sample_rate_hz.or(sound.map(|sound| sound.rate));
                    info.channels = info.channels.or(sound.and_then(|sound| u8::try_from(sound.channels).ok()));
                }
            }
            Recorded::Flv(flv) => {
                if let Some(header) = flv.headers.video {
                    let body = flv::sequence_header_body(MediaType::Video, record(file, header)?);
                    video = body.and_then(|(codec, record)| VideoInfo::parse(codec, record)).or(video);
                }
                if let Some(header) = flv.headers.audio {
                    let body = flv::sequence_header_body(MediaType::Audio, record(file, header)?);
                    audio = body.and_then(|(codec, record)| AudioInfo::parse(codec, record)).or(audio);
                }
            }
            Recorded::Mp3(mp3) => {
                audio = audio.map(|info| AudioInfo {
                    sample_rate_hz: Some(mp3.frame.rate),
                    channels: Some(mp3.frame.channels),
                    ..info
                });
            }
        }
        Ok((video, audio))
    }

    /// How much a second has: nothing but where its first messages lie is read.
    ///
    /// # Errors
    ///
    /// As [`Recorded::begin`].
    pub fn rates<R: ReadAt>(&self, file: &mut File<'_, R>) -> Answer<FilmRates, R> {
        let mut place = self.begin(file)?;
        let (mut pictures, mut sound) = (Run::default(), Run::default());
        for _ in 0..RATE_MESSAGES {
            let Some(message) = self.next(file, &mut place)? else { break };
            match message.kind {
                _ if message.is_header => {}
                MessageKind::Video => pictures.goes_on(message.time_ms, 1),
                MessageKind::Audio => sound.goes_on(message.time_ms, 8 * u64::from(message.body.bytes)),
                MessageKind::Data => {}
            }
        }
        let frames = pictures.a_second().map(|frames| (frames * 100.0 + 0.5) as u64 as f64 / 100.0);
        Ok(FilmRates { frames, audio_bits: sound.a_second() })
    }

    /// Before the first message.
    ///
    /// # Errors
    ///
    /// What the disk says, or a structure that cannot be.
    pub fn begin<R: ReadAt>(&self, file: &mut File<'_, R>) -> Answer<Place, R> {
        match self {
            Recorded::Movie(movie) => {
                let mut place = Place::Movie { video: TrackPlace::default(), audio: TrackPlace::default() };
                place.fill(file, movie)?;
                Ok(place)
            }
            Recorded::Flv(flv) => Ok(Place::Flv { at: flv.first, headers: flv.headers, time_ms: flv.begin_ms }),
            Recorded::Mp3(mp3) => Ok(Place::Mp3 { at: mp3.first, number: 0 }),
        }
    }

    /// Before the last key frame at `time_ms` or earlier, where there are pictures, with the sound from there on; else before the
    /// last sound.
    ///
    /// # Errors
    ///
    /// As [`Recorded::begin`].
    pub fn seek<R: ReadAt>(&self, file: &mut File<'_, R>, time_ms: u32) -> Answer<Place, R> {
        let movie = match self {
            Recorded::Movie(movie) => movie,
            Recorded::Flv(flv) => {
                let (at, headers) = flv.seek(file, flv.begin_ms.saturating_add(time_ms))?;
                let time_ms = flv.tag(file, at)?.map_or(flv.begin_ms, |tag| tag.header.timestamp_ms);
                return Ok(Place::Flv { at, headers, time_ms });
            }
            Recorded::Mp3(mp3) => {
                let (at, number) = mp3.seek(file, time_ms)?;
                return Ok(Place::Mp3 { at, number });
            }
        };
        let (mut video, mut audio) = (TrackPlace::default(), TrackPlace::default());
        let mut from_ms = i64::from(time_ms) + movie.begin_ms;
        if let Some(track) = &movie.video {
            video.cursor = TrackCursor::at_key_frame(file, track, track.ticks(from_ms))?;
            video.fill(file, track)?;
            from_ms = video.next.as_ref().map_or(from_ms, |sample| track.decode_ms(sample));
        }
        if let Some(track) = &movie.audio {
            audio.cursor = TrackCursor::at_key_frame(file, track, track.ticks(from_ms))?;
            audio.fill(file, track)?;
            // With pictures no sound before them.
            while movie.video.is_some() && audio.next.as_ref().is_some_and(|sample| track.decode_ms(sample) < from_ms) {
                audio.next = None;
                audio.fill(file, track)?;
            }
        }
        Ok(Place::Movie { video, audio })
    }

    /// The next message; `None` behind the last.
    ///
    /// # Errors
    ///
    /// As [`Recorded::begin`].
    pub fn next<R: ReadAt>(&self, file: &mut File<'_, R>, place: &mut Place) -> Answer<Option<Message>, R> {
        match (self, place) {
            (Recorded::Movie(movie), place @ Place::Movie { .. }) => next_of_movie(file, movie, place),
            (Recorded::Flv(flv), Place::Flv { at, headers, time_ms }) => next_of_flv(file, flv, at, headers, *time_ms),
            (Recorded::Mp3(mp3), Place::Mp3 { at, number }) => next_of_mp3(file, mp3, at, number),
            _ => Err(Fault::Structure("a place of another file")),
        }
    }
}

/// What lies between the first and the last of some messages.
#[derive(Default)]
struct Run {
    /// Of all but the last.
    amount: u64,
    last: u64,
    /// The times of both, in milliseconds.
    times: Option<(u32, u32)>,
}

impl Run {
    fn goes_on(&mut self, time_ms: u32, amount: u64) {
        self.amount += core::mem::replace(&mut self.last, amount);
        let (first_ms, _) = *self.times.get_or_insert((time_ms, time_ms));
        self.times = Some((first_ms, time_ms));
    }

    fn a_second(&self) -> Option<f64> {
        let (first_ms, last_ms) = self.times?;
        (last_ms > first_ms).then(|| self.amount as f64 * 1000.0 / f64::from(last_ms - first_ms))
    }
}

impl Place {
    fn fill<R: ReadAt>(&mut self, file: &mut File<'_, R>, movie: &Movie) -> Answer<(), R> {
        let Place::Movie { video, audio } = self else { return Ok(()) };
        for (own, track) in [(video, &movie.video), (audio, &movie.audio)] {
            if let Some(track) = track {
                own.fill(file, track)?;
            }
        }
        Ok(())
    }
}

impl TrackPlace {
    /// Has the next sample at hand that has bytes, if there is one.
    fn fill<R: ReadAt>(&mut self, file: &mut File<'_, R>, track: &Track) -> Answer<(), R> {
        while self.next.is_none() {
            file.look()?;
            match self.cursor.next(file, track)? {
                Some(sample) if sample.bytes == 0 => {}
                Some(sample) => self.next = Some(sample),
                None => break,
            }
        }
        Ok(())
    }
}

/// A decoder's configuration; nothing of one that is longer than any that is read.
fn record<'f, R: ReadAt>(file: &'f mut File<'_, R>, Extent { at, bytes }: Extent) -> Answer<&'f [u8], R> {
    let bytes = if bytes as usize > WINDOW_BYTES { 0 } else { bytes as usize };
    file.bytes(STRUCTURE, at, bytes)
}

fn next_of_movie<R: ReadAt>(file: &mut File<'_, R>, movie: &Movie, place: &mut Place) -> Answer<Option<Message>, R> {
    place.fill(file, movie)?;
    let Place::Movie { video, audio } = place else { return Ok(None) };
    let due = |own: &TrackPlace, track: &Option<Track>| Some(track.as_ref()?.decode_ms(own.next.as_ref()?));
    let (kind, own, track) = match (due(video, &movie.video), due(audio, &movie.audio)) {
        (None, None) => return Ok(None),
        (Some(pictures), Some(sound)) if pictures < sound => (MessageKind::Video, video, &movie.video),
        (Some(_), None) => (MessageKind::Video, video, &movie.video),
        _ => (MessageKind::Audio, audio, &movie.audio),
    };
    let (Some(track), Some(sample)) = (track, own.next) else { return Ok(None) };
    let time = track.decode_ms(&sample);
    let time_ms = u32::try_from((time - movie.begin_ms).max(0)).unwrap_or(u32::MAX);
    let mut message = Message { kind, time_ms, front: Vec::new(), body: Extent::default(), is_header: false };
    let entry = match (own.entry, sample.entry) {
        (Some((index, entry)), present) if index == present => entry,
        (_, present) => {
            let entry = match present {
                0 => track.entry,
                _ => {
                    track_entry(file, track, present)?.ok_or(Fault::Structure("a sample entry that cannot be sent"))?
                }
            };
            own.entry = Some((present, entry));
            if header(file, &entry, &mut message)? {
                message.is_header = true;
                return Ok(Some(message));
            }
            entry
        }
    };
    own.next = None;
    message.body = Extent { at: sample.at, bytes: sample.bytes };
    let composition_ms = track.shown_ms(&sample) - time;
    let front = &mut message.front;
    let full = match kind {
        MessageKind::Video => picture_front(front, entry.codec, &sample, composition_ms),
        _ => sound_front(front, &entry),
    };
    full.ok_or(Fault::Structure("a codec that cannot be sent"))?;
    Ok(Some(message))
}

/// Frame types of a video message (FLV 10.1, E.4.3.1).
fn frame_type(sample: &Sample) -> u8 {
    match sample {
        Sample { is_sync: true, .. } => flv::FRAME_KEY,
        Sample { is_disposable: true, .. } => flv::FRAME_DISPOSABLE,
        _ => flv::FRAME_INTER,
    }
}

fn picture_front(front: &mut Vec<u8, FRONT_BYTES>, codec: Codec, sample: &Sample, composition_ms: i64) -> Option<()> {
    // 24 bits with a sign.
    let composition = (composition_ms.clamp(-0x80_0000, 0x7F_FFFF) as i32).to_be_bytes();
    let kind = frame_type(sample) << 4;
    match codec {
        Codec::Avc => put(front, &[kind | 7, 1, composition[1], composition[2], composition[3]]),
        Codec::Hevc if composition_ms == 0 => enhanced(front, 0x80 | kind | 3, codec),
        Codec::Hevc => {
            enhanced(front, 0x80 | kind | 1, codec)?;
            put(front, &composition[1..])
        }
        _ => enhanced(front, 0x80 | kind | 1, codec),
    }
}

fn sound_front(front: &mut Vec<u8, FRONT_BYTES>, entry: &SampleEntry) -> Option<()> {
    match entry.codec {
        Codec::Aac => put(front, &aac_packet_header(false)),
        Codec::Mp3 => put(front, &[0x20 | sound_bits(entry.sound)]),
        // These are of 8 kHz, and of 16 bits when they are decoded.
        Codec::PcmALaw => put(front, &[0x72 | sound_bits(entry.sound) & 1]),
        Codec::PcmMuLaw => put(front, &[0x82 | sound_bits(entry.sound) & 1]),
        codec => enhanced(front, 0x91, codec),
    }
}

/// Rate, size and channels of a legacy audio message: 44 100 Hz stands for 48 000, too (as ffmpeg has it).
fn sound_bits(sound: Option<Sound>) -> u8 {
    let Some(sound) = sound else { return 0x0E };
    let rate = match sound.rate {
        0..8000 => 0,
        8000..16_537 => 1,
        16_537..33_075 => 2,
        _ => 3,
    };
    rate << 2 | 2 | u8::from(sound.channels > 1)
}

/// `None` when there is no room, which there is for whatever stands in front of a message.
fn put(front: &mut Vec<u8, FRONT_BYTES>, bytes: &[u8]) -> Option<()> {
    front.extend_from_slice(bytes).ok()
}

/// First byte and FourCC of an Enhanced RTMP message.
fn enhanced(front: &mut Vec<u8, FRONT_BYTES>, first: u8, codec: Codec) -> Option<()> {
    put(front, &[first])?;
    put(front, &codec.fourcc()?)
}

/// Makes `message` the header of an entry; false when the codec has none.
fn header<R: ReadAt>(file: &mut File<'_, R>, entry: &SampleEntry, message: &mut Message) -> Answer<bool, R> {
    let Extent { at, bytes } = entry.configuration;
    let front = &mut message.front;
    message.body = entry.configuration;
    match entry.codec {
        Codec::Avc => put(front, &avc_packet_header(true, true, 0)),
        Codec::Aac => put(front, &aac_packet_header(true)),
        Codec::Hevc | Codec::Av1 | Codec::Vp8 | Codec::Vp9 => enhanced(front, 0x90, entry.codec),
        Codec::Flac if bytes > FULL_BOX_BYTES => {
            message.body = Extent { at: at + u64::from(FULL_BOX_BYTES), bytes: bytes - FULL_BOX_BYTES };
            enhanced(front, 0x90, entry.codec).and_then(|()| put(front, b"fLaC"))
        }
        Codec::Opus if bytes as usize >= OPUS_BOX_BYTES => {
            message.body = Extent { at: at + OPUS_BOX_BYTES as u64, bytes: bytes - OPUS_BOX_BYTES as u32 };
            let record = file.array(STRUCTURE, at)?;
            enhanced(front, 0x90, entry.codec).and_then(|()| put(front, &opus_head(record)))
        }
        _ => return Ok(false),
    }
    .ok_or(Fault::Structure("a decoder configuration that cannot be sent"))?;
    Ok(true)
}

/// The `OpusHead` (RFC 7845, 5.1) that a `dOps` equals: its numbers have the other byte order. The mapping of channels, behind it,
/// has none.
fn opus_head(record: [u8; OPUS_BOX_BYTES]) -> [u8; OPUS_HEAD_BYTES] {
    let [_, channels, skip1, skip0, rate3, rate2, rate1, rate0, gain1, gain0, family] = record;
    let mut head = [0; OPUS_HEAD_BYTES];
    head[..8].copy_from_slice(b"OpusHead");
    head[8..].copy_from_slice(&[1, channels, skip0, skip1, rate0, rate1, rate2, rate3, gain0, gain1, family]);
    head
}

fn next_of_flv<R: ReadAt>(
    file: &mut File<'_, R>,
    flv: &FlvFile,
    at: &mut u64,
    headers: &mut Headers,
    headers_ms: u32,
) -> Answer<Option<Message>, R> {
    let message = |kind, time: u32, body, is_header| Message {
        kind,
        time_ms: time.saturating_sub(flv.begin_ms),
        front: Vec::new(),
        body,
        is_header,
    };
    if let Some(body) = headers.video.take() {
        return Ok(Some(message(MessageKind::Video, headers_ms, body, true)));
    }
    if let Some(body) = headers.audio.take() {
        return Ok(Some(message(MessageKind::Audio, headers_ms, body, true)));
    }
    while let Some(tag) = flv.tag(file, *at)? {
        file.look()?;
        *at = tag.end();
        let body = tag.payload();
        // Those at the front were given, and metadata is made anew.
        let given = [flv.headers.video, flv.headers.audio, flv.metadata];
        if body.bytes == 0 || given.contains(&Some(body)) {
            continue;
        }
        let class = tag.class(file)?;
        let kind = match (&class, tag.header.message_type) {
            (None, _) => MessageKind::Data,
            (Some(_), 9) => MessageKind::Video,
            (Some(_), _) => MessageKind::Audio,
        };
        let is_header = class.is_some_and(|class| class.header.is_some());
        return Ok(Some(message(kind, tag.header.timestamp_ms, body, is_header)));
    }
    Ok(None)
}

fn next_of_mp3<R: ReadAt>(
    file: &mut File<'_, R>,
    mp3: &Mp3File,
    at: &mut u64,
    number: &mut u32,
) -> Answer<Option<Message>, R> {
    let Some(body) = mp3.next(file, *at)? else { return Ok(None) };
    let time_ms = mp3.time_ms(*number);
    *at = body.at + u64::from(body.bytes);
    *number = number.saturating_add(1);
    let sound = Sound { rate: mp3.frame.rate, channels: mp3.frame.channels.into() };
    let mut front = Vec::new();
    put(&mut front, &[0x20 | sound_bits(Some(sound))]).ok_or(Fault::Structure("a codec that cannot be sent"))?;
    Ok(Some(Message { kind: MessageKind::Audio, time_ms, front, body, is_header: false }))
}
