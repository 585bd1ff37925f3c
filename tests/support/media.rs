//! Lists of packets or decoded frames of a file, and laws between what was published and what was played.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use super::process::output_of;

/// One packet, or one decoded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Decoding time in milliseconds.
    pub dts_ms: i64,
    /// Presentation time in milliseconds.
    pub pts_ms: i64,
    /// Size in bytes.
    pub bytes: u64,
    /// MD5 of the data.
    pub md5: String,
}

/// The packets of one kind.
#[derive(Clone, Debug, Default)]
pub struct Track {
    /// As ffmpeg names it.
    pub codec: String,
    /// MD5 of the decoder configuration (the sequence header).
    pub configuration: Option<String>,
    /// In the order of the file.
    pub packets: Vec<Packet>,
}

/// What is in a file: at most one track of each kind, as every stream of the tests has.
#[derive(Clone, Debug, Default)]
pub struct Media {
    /// Video.
    pub video: Option<Track>,
    /// Audio.
    pub audio: Option<Track>,
}

impl Media {
    /// The packets of a file as they are stored.
    pub fn packets(file: &Path) -> Media {
        Media::packets_by("ffmpeg".as_ref(), file)
    }

    /// The same with another ffmpeg, for codecs that the system's does not know in FLV.
    pub fn packets_by(ffmpeg: &OsStr, file: &Path) -> Media {
        // Without -copyinkf ffmpeg would hide that a file does not begin with a key frame.
        Media::hashed(ffmpeg, file, &["-c", "copy", "-copyinkf"])
    }

    /// The frames of a file's video, decoded.
    pub fn decoded_video(file: &Path) -> Media {
        Media::decoded_video_by("ffmpeg".as_ref(), file)
    }

    /// The same with another ffmpeg.
    pub fn decoded_video_by(ffmpeg: &OsStr, file: &Path) -> Media {
        Media::hashed(ffmpeg, file, &["-an", "-fps_mode", "passthrough"])
    }

    fn hashed(ffmpeg: &OsStr, file: &Path, arguments: &[&str]) -> Media {
        let mut command = Command::new(ffmpeg);
        command.args(["-nostdin", "-loglevel", "error", "-i"]).arg(file).args(["-map", "0:v?", "-map", "0:a?"]);
        command.args(arguments).args(["-copyts", "-enc_time_base", "1:1000", "-f", "framemd5", "-"]);
        Media::parse(&String::from_utf8(output_of(&mut command)).unwrap())
    }

    /// How many packets there are, audio and video.
    pub fn packet_count(&self) -> usize {
        self.tracks().iter().filter_map(|(_, track)| *track).map(|track| track.packets.len()).sum()
    }

    /// Reads the output of ffmpeg's `framemd5`: `#key track: value`, `#extradata track, bytes, md5`, and for each packet
    /// `track, dts, pts, duration, bytes, md5`, with more behind it where a new decoder configuration came. The duration is
    /// left out: it is a guess from the packet behind.
    fn parse(text: &str) -> Media {
        let mut kinds: BTreeMap<String, String> = BTreeMap::new();
        let mut tracks: BTreeMap<String, Track> = BTreeMap::new();
        let mut bases: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for line in text.lines() {
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            if let Some(comment) = line.strip_prefix('#') {
                if comment.starts_with("extradata ") {
                    let index = fields[0].trim_start_matches("#extradata ");
                    tracks.entry(index.to_owned()).or_default().configuration = Some(fields[2].to_owned());
                }
                let Some((key, value)) = comment.split_once(": ") else { continue };
                let Some((key, index)) = key.split_once(' ') else { continue };
                match key {
                    "media_type" => drop(kinds.insert(index.to_owned(), value.to_owned())),
                    "codec_id" => tracks.entry(index.to_owned()).or_default().codec = value.to_owned(),
                    "tb" => {
                        let (ticks, second) = value.split_once('/').unwrap();
                        bases.insert(index.to_owned(), (ticks.parse().unwrap(), second.parse().unwrap()));
                    }
                    _ => {}
                }
            } else if let [index, dts, pts, _, bytes, md5, ..] = fields[..] {
                // MP4 counts in samples, where FLV has milliseconds.
                let (ticks, second) = bases[index];
                let ms = |time: &str| (time.parse::<i64>().unwrap() * ticks * 1000 + second / 2).div_euclid(second);
                tracks.entry(index.to_owned()).or_default().packets.push(Packet {
                    dts_ms: ms(dts),
                    pts_ms: ms(pts),
                    bytes: bytes.parse().unwrap(),
                    md5: md5.to_owned(),
                });
            }
        }
        let mut kind = |wanted: &str| {
            let index = kinds.iter().find(|(_, kind)| *kind == wanted)?.0;
            tracks.remove(index)
        };
        Media { video: kind("video"), audio: kind("audio") }
    }

    /// The first packet of the track that sets the time: of the video, or of the audio where there is none.
    fn first(&self) -> &Packet {
        let track = self.video.as_ref().or(self.audio.as_ref()).expect("neither video nor audio");
        track.packets.first().expect("a track without packets")
    }

    fn tracks(&self) -> [(&'static str, Option<&Track>); 2] {
        [("video", self.video.as_ref()), ("audio", self.audio.as_ref())]
    }

    /// All packets were played, in order, and time runs as in `published`: one offset for all of them.
    pub fn assert_equals(&self, published: &Media) {
        self.assert_begins(published);
        assert_eq!(self.packet_count(), published.packet_count(), "packets are missing at the end");
    }

    /// As [`Media::assert_equals`], but there may be less at the end.
    pub fn assert_begins(&self, published: &Media) {
        self.assert_part(published, |_, _, _| 0);
    }

    /// The packets are the last ones of `published`, and the first of the video is a key frame other than the very first.
    pub fn assert_joined_at_key_frame(&self, published: &Media, key_interval: usize) {
        self.assert_part(published, |kind, played, published| {
            let missed = published.saturating_sub(played);
            assert!(missed > 0, "all of the {kind}: this is no late joiner");
            assert!(kind != "video" || missed.is_multiple_of(key_interval), "joined at frame {missed}");
            missed
        });
    }

    /// Compares each track with that part of the published one that begins where `start(kind, played, published)` says,
    /// given both lengths.
    fn assert_part(&self, published: &Media, start: impl Fn(&'static str, usize, usize) -> usize) {
        let mut offset_ms = None;
        for ((kind, played), (_, published)) in self.tracks().into_iter().zip(published.tracks()) {
            let (played, published) = match (played, published) {
                (None, None) => continue,
                (Some(played), Some(published)) => (played, published),
                (played, _) => panic!("{kind}: played {}, published not so", played.is_some()),
            };
            assert_eq!(played.codec, published.codec, "{kind} codec");
            assert_eq!(played.configuration, published.configuration, "{kind} configuration");
            let start = start(kind, played.packets.len(), published.packets.len());
            let expected = published.packets.get(start..).unwrap_or_default();
            assert!(played.packets.len() <= expected.len(), "{kind}: more packets than were published");
            for (at, (got, sent)) in played.packets.iter().zip(expected).enumerate() {
                let offset_ms = *offset_ms.get_or_insert(got.dts_ms - sent.dts_ms);
                let sent = Packet { dts_ms: sent.dts_ms + offset_ms, pts_ms: sent.pts_ms + offset_ms, ..sent.clone() };
                assert_eq!(*got, sent, "{kind} packet {at} (of the source: {})", at + start);
            }
        }
    }

    /// Two publishes of one file on one name, the first cut off: what was played is the beginning of the file, then all of
    /// it, and stream time runs on at the seam.
    pub fn assert_republished(&self, published: &Media) {
        let mut first = self.clone();
        let mut second = self.clone();
        for (first, second, published) in [
            (&mut first.video, &mut second.video, &published.video),
            (&mut first.audio, &mut second.audio, &published.audio),
        ] {
            let (Some(first), Some(second), Some(published)) = (first, second, published) else { continue };
            let seam = first.packets.len().saturating_sub(published.packets.len());
            assert!(seam > 0, "nothing of the first publish");
            first.packets.truncate(seam);
            second.packets.drain(..seam);
        }
        first.assert_begins(published);
        second.assert_equals(published);
        let ends_ms = first.tracks().map(|(_, track)| track.map_or(0, |track| track.packets.last().unwrap().dts_ms));
        let gap_ms = second.first().dts_ms - ends_ms.into_iter().max().unwrap();
        assert!((0..=SEAM_MS).contains(&gap_ms), "time jumps by {gap_ms} ms at the seam");
    }
}

/// Largest step of stream time from the end of one publish to the beginning of the next.
const SEAM_MS: i64 = 100;
