//! FLV files that others made, read as the server reads their tags, and compared with what ffprobe says of them.
//!
//! `RILL_VECTORS` names the directory with the files; the project carries none. What ffprobe cannot read of a damaged file
//! is not compared.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rill::wire::codec::{AudioInfo, VideoInfo};
use rill::wire::flv::{self, CLASSIFY_BYTES, Codec, HeaderKind, MediaType};
use serde_json::Value;

use crate::support::process::output_of;

/// What is said of a file, where something is.
#[derive(Debug, Default, PartialEq)]
struct Facts {
    video: Option<Codec>,
    /// Width, height, and ten times the level.
    picture: Option<(u32, u32, i64)>,
    audio: Option<Codec>,
    /// Samples per second and channels, of AAC.
    sound: Option<(u32, u8)>,
    keys: usize,
    other_video: usize,
    audio_messages: usize,
}

#[test]
fn tags_and_records_of_other_peoples_files_are_what_ffprobe_says() {
    let Some(directory) = std::env::var_os("RILL_VECTORS").map(PathBuf::from) else {
        eprintln!("skipped: RILL_VECTORS names no directory with files of others");
        return;
    };
    let mut files: Vec<_> = fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("RILL_VECTORS={}: {error}", directory.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "flv"))
        .collect();
    files.sort();
    let mut whole = 0;
    for file in files {
        let (expected, found) = (probed(&file), read(&file));
        println!("{}: {found:?}", file.display());
        let name = file.display();
        for (expected, found) in [(expected.video, found.video), (expected.audio, found.audio)] {
            assert!(expected.is_none() || found == expected, "{name}: {found:?} is {expected:?}");
        }
        assert!(expected.picture.is_none() || found.picture == expected.picture, "{name}: {found:?}, {expected:?}");
        assert!(expected.sound.is_none() || found.sound == expected.sound, "{name}: {found:?}, {expected:?}");
        let counts = |facts: &Facts| [facts.keys, facts.other_video, facts.audio_messages];
        if counts(&expected) != [0; 3] {
            assert_eq!(counts(&found), counts(&expected), "{name}: key frames, other frames, audio");
            whole += 1;
        }
    }
    assert!(whole > 0, "{} has no FLV file that ffprobe reads", directory.display());
}

/// What the server's readers make of the tags.
fn read(file: &Path) -> Facts {
    let bytes = fs::read(file).unwrap();
    assert_eq!(bytes[..3], *b"FLV", "{}", file.display());
    let mut facts = Facts::default();
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
    // The file's header says how long it is; 4 bytes behind every tag, and behind the header, say how long that was.
    let mut rest = &bytes[number(&bytes[5..9]) + 4..];
    while let Some((header, behind)) = rest.split_at_checked(11) {
        let (body, behind) = behind.split_at(number(&header[1..4]));
        rest = behind.get(4..).unwrap_or_default();
        let (prefix, length) = (&body[..body.len().min(CLASSIFY_BYTES)], u32::try_from(body.len()).unwrap());
        match header[0] {
            8 => {
                let class = flv::audio(prefix, length);
                facts.audio = facts.audio.or(class.codec);
                if let Some((codec, record)) = flv::sequence_header_body(MediaType::Audio, body) {
                    let info = AudioInfo::parse(codec, record).expect("the record can be read");
                    facts.sound = info.sample_rate_hz.zip(info.channels);
                }
                facts.audio_messages += usize::from(class.header.is_none() && !class.empty);
            }
            9 => {
                let class = flv::video(prefix, length);
                facts.video = facts.video.or(class.codec);
                if class.header == Some(HeaderKind::SequenceHeader)
                    && let Some((codec, record)) = flv::sequence_header_body(MediaType::Video, body)
                    && let Some(info) = VideoInfo::parse(codec, record)
                {
                    let level = info.level.map(|level| i64::from(level.major) * 10 + i64::from(level.minor));
                    facts.picture = info.size.zip(level).map(|(size, level)| (size.width, size.height, level));
                }
                match class {
                    flv::TagClass { key: true, .. } => facts.keys += 1,
                    flv::TagClass { header: None, end: false, empty: false, .. } => facts.other_video += 1,
                    _ => {}
                }
            }
            _ => {}
        }
    }
    facts
}

/// What ffprobe says.
fn probed(file: &Path) -> Facts {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-show_streams", "-show_packets", "-of", "json"]).arg(file);
    let said: Value = serde_json::from_slice(&output_of(&mut ffprobe)).unwrap();
    let rows = |name: &str| said[name].as_array().cloned().unwrap_or_default();
    let mut facts = Facts::default();
    for stream in rows("streams") {
        let codec = match stream["codec_name"].as_str() {
            Some("h264") => Some(Codec::Avc),
            Some("aac") => Some(Codec::Aac),
            Some("mp3") => Some(Codec::Mp3),
            Some("speex") => Some(Codec::Speex),
            _ => None,
        };
        let number = |key: &str| stream[key].as_i64().filter(|number| *number > 0);
        if stream["codec_type"] == "video" {
            facts.video = codec;
            let size = number("width").zip(number("height"));
            facts.picture = size
                .zip(number("level"))
                .map(|((width, height), level)| (u32::try_from(width).unwrap(), u32::try_from(height).unwrap(), level));
        } else if stream["codec_type"] == "audio" {
            facts.audio = codec;
            if codec == Some(Codec::Aac) {
                let rate = stream["sample_rate"].as_str().and_then(|rate| rate.parse().ok());
                facts.sound = rate.zip(number("channels").map(|channels| u8::try_from(channels).unwrap()));
            }
        }
    }
    for packet in rows("packets") {
        match packet["codec_type"].as_str() {
            Some("video") if packet["flags"].as_str().unwrap().contains('K') => facts.keys += 1,
            Some("video") => facts.other_video += 1,
            Some("audio") => facts.audio_messages += 1,
            _ => {}
        }
    }
    facts
}
