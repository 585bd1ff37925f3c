//! Films as the server reads them, through windows, compared packet by packet with what ffprobe says: those that ffmpeg writes in
//! each layout, and those that others made (`RILL_VECTORS` names the directory).

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rill::limits::OUT_CHUNK_BYTES;
use rill::live::recorded::{Fill, Follows};
use rill::media::Framing;
use rill::wire::chunk::MessageHeader;
use rill::wire::flv::{Codec, SubTagHeader};
use rill::wire::flv_file::FlvFile;
use rill::wire::message::type_id;
use rill::wire::mp4::track::Track;
use rill::wire::mp4::{Choice, Movie, TrackCursor};
use rill::wire::windows::{Extent, File, ReadAt, Windows};

use crate::recorded_disk::Disk as Reader;
use crate::support::Scratch;
use crate::support::clients::modern_ffmpeg;
use crate::support::media::Media;
use crate::support::process::output_of;

struct Disk(fs::File, u64, usize);

impl ReadAt for Disk {
    type Error = io::ErrorKind;
    fn size(&self) -> u64 {
        self.1
    }
    fn read_at(&mut self, at: u64, out: &mut [u8]) -> Result<usize, io::ErrorKind> {
        self.2 += 1;
        self.0.read_at(out, at).map_err(|error| error.kind())
    }
}

fn with_file<T>(path: &Path, run: impl FnOnce(&mut File<'_, Disk>) -> T) -> (T, usize) {
    let file = fs::File::open(path).unwrap();
    let size = file.metadata().unwrap().len();
    let mut disk = Disk(file, size, 0);
    let mut windows = Box::new(Windows::new());
    let result = run(&mut File::new(&mut disk, &mut windows));
    (result, disk.2)
}

/// A packet: place, bytes, times, key frame. What is not said is not compared.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Packet {
    at: u64,
    bytes: u64,
    decoded: i64,
    shown: i64,
    key: bool,
}

/// The packets of a stream as ffprobe reads them, in ticks of the file.
fn probed(path: &Path, options: &[&str], stream: &str) -> Vec<Packet> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error"]).args(options).args(["-select_streams", stream, "-show_packets", "-of", "json"]);
    let packets: serde_json::Value =
        serde_json::from_slice(&output_of(command.args(["-show_entries", "packet=pos,size,dts,pts,flags"]).arg(path)))
            .unwrap();
    let packets = packets["packets"].as_array().cloned().unwrap_or_default();
    let read = |packet: &serde_json::Value| {
        let text = |name: &str| packet[name].as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
        let number = |name: &str| packet[name].as_i64().unwrap_or_default();
        Packet {
            at: text("pos"),
            bytes: text("size"),
            decoded: number("dts"),
            shown: number("pts"),
            key: packet["flags"].as_str().is_some_and(|flags| flags.starts_with('K')),
        }
    };
    packets.iter().map(read).collect()
}

fn packets(path: &Path, track: &Track) -> Vec<Packet> {
    let (found, _) = with_file(path, |file| {
        let mut cursor = TrackCursor::default();
        let mut found = Vec::new();
        while let Some(sample) = cursor.next(file, track).unwrap() {
            found.push(Packet {
                at: sample.at,
                bytes: sample.bytes.into(),
                decoded: sample.time,
                shown: sample.time + i64::from(sample.composition),
                key: sample.is_sync,
            });
        }
        found
    });
    found
}

fn open(path: &Path) -> Result<Movie, String> {
    with_file(path, |file| Movie::open(file, Choice::default())).0.map_err(|fault| format!("{fault:?}"))
}

/// What differs between what ffprobe says of a track and what is read of it: places, sizes, key frames, and times from the first
/// packet on.
fn difference(path: &Path, track: &Track, stream: &str) -> Option<String> {
    let expected = probed(path, &["-ignore_editlist", "1"], stream);
    let found = packets(path, track);
    let from_first = |packets: &[Packet]| -> Vec<Packet> {
        let Some(first) = packets.first().map(|packet| packet.shown) else { return vec![] };
        let moved = |packet: &Packet| Packet { decoded: 0, shown: packet.shown - first, ..*packet };
        packets.iter().map(moved).collect()
    };
    let (expected, found) = (from_first(&expected), from_first(&found));
    let at = (0..expected.len().max(found.len())).find(|&at| expected.get(at) != found.get(at))?;
    Some(format!(
        "{stream}: packet {at} of {} and {}: {:?}, not {:?}",
        expected.len(),
        found.len(),
        found.get(at),
        expected.get(at)
    ))
}

fn assert_read_as_ffprobe_does(path: &Path) -> Movie {
    let movie = open(path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    for (track, stream) in [(&movie.video, "v:0"), (&movie.audio, "a:0")] {
        let difference = track.as_ref().and_then(|track| difference(path, track, stream));
        assert_eq!(difference, None, "{}", path.display());
    }
    movie
}

/// A film of six seconds: B-frames, a key frame every 20 pictures, sound.
fn film(scratch: &Scratch, name: &str, codecs: &[&str], layout: &[&str]) -> PathBuf {
    let path = scratch.path(name);
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-loglevel", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=192x144:rate=25"]);
    command.args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "6", "-g", "20"]);
    output_of(command.args(["-pix_fmt", "yuv420p", "-strict", "-2"]).args(codecs).args(layout).arg(&path));
    path
}

const H264_AAC: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-sc_threshold", "0", "-c:a", "aac"];

#[test]
fn a_film_is_read_as_ffprobe_reads_it_however_it_is_laid_out() {
    let scratch = Scratch::new("layouts");
    let layouts: [(&str, &[&str]); 9] = [
        ("behind.mp4", &[]),
        ("in_front.mp4", &["-movflags", "faststart"]),
        ("quicktime.mov", &[]),
        ("negative.mp4", &["-movflags", "negative_cts_offsets"]),
        ("fragments.mp4", &["-movflags", "frag_keyframe+empty_moov"]),
        ("one_each.mp4", &["-movflags", "frag_every_frame+empty_moov+default_base_moof"]),
        ("by_time.mp4", &["-movflags", "empty_moov+separate_moof+omit_tfhd_offset", "-frag_duration", "500000"]),
        ("first_in_table.mp4", &["-movflags", "frag_keyframe"]),
        ("sidx.mp4", &["-movflags", "dash+frag_keyframe", "-f", "mp4"]),
    ];
    for (name, layout) in layouts {
        let path = film(&scratch, name, H264_AAC, layout);
        let movie = assert_read_as_ffprobe_does(&path);
        let (video, audio) = (movie.video.expect("pictures"), movie.audio.expect("sound"));
        // Its times are those that ffmpeg sends when it publishes the file.
        let sent = scratch.path("sent.flv");
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-loglevel", "error", "-y", "-i"]).arg(&path);
        output_of(command.args(["-c", "copy", "-f", "flv"]).arg(&sent));
        for (track, stream) in [(&video, "v:0"), (&audio, "a:0")] {
            let expected: Vec<_> =
                probed(&sent, &[], stream).iter().map(|packet| (packet.decoded, packet.shown)).collect();
            let (found, _) = with_file(&path, |file| {
                let mut cursor = TrackCursor::default();
                let next = || cursor.next(file, track).unwrap();
                let times =
                    |sample| (track.decode_ms(&sample) - movie.begin_ms, track.shown_ms(&sample) - movie.begin_ms);
                std::iter::from_fn(next).map(times).collect::<Vec<_>>()
            });
            assert_eq!(found, expected, "{name} {stream}");
        }
    }
}

#[test]
fn a_film_is_read_as_ffprobe_reads_it_whatever_its_codecs() {
    let scratch = Scratch::new("codecs");
    let codecs: [(&str, &[&str]); 6] = [
        ("hevc_ac3.mp4", &["-c:v", "libx265", "-x265-params", "log-level=none", "-preset", "ultrafast", "-c:a", "ac3"]),
        ("vp9_opus.mp4", &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"]),
        ("av1_flac.mp4", &["-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-c:a", "flac"]),
        ("h264_mp3.mp4", &["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "libmp3lame"]),
        ("h264_eac3.mp4", &["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "eac3"]),
        ("h264_mulaw.mov", &["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "pcm_mulaw"]),
    ];
    let wanted = [
        (Codec::Hevc, Codec::Ac3),
        (Codec::Vp9, Codec::Opus),
        (Codec::Av1, Codec::Flac),
        (Codec::Avc, Codec::Mp3),
        (Codec::Avc, Codec::Eac3),
        (Codec::Avc, Codec::PcmMuLaw),
    ];
    for ((name, codecs), wanted) in codecs.into_iter().zip(wanted) {
        let movie = assert_read_as_ffprobe_does(&film(&scratch, name, codecs, &[]));
        let found = movie.video.zip(movie.audio).map(|(video, audio)| (video.entry.codec, audio.entry.codec));
        assert_eq!(found, Some(wanted), "{name}");
    }
}

#[test]
fn films_of_others_are_read_as_ffprobe_reads_them_or_said_to_be_broken() {
    let Some(directory) = std::env::var_os("RILL_VECTORS").map(PathBuf::from) else {
        eprintln!("skipped: RILL_VECTORS names no directory with files of others");
        return;
    };
    // Packets of tracks that can be sent; `None` where the file is broken. ffprobe reads pictures of some that it could not show.
    let wanted = [
        ("chunk_out_of_range.mp4", None),
        ("h264_white_frame_sar_16_9.mp4", Some((1, 0))),
        ("minimal.mp4", Some((1, 3))),
        ("no_timescale.mp4", Some((182, 0))),
        ("offline_av1.mp4", Some((30, 0))),
        ("offline_h264.mp4", Some((30, 0))),
        ("offline_h265.mp4", Some((30, 0))),
        ("offline_vp9.mp4", Some((30, 0))),
        ("opus_audioinit.mp4", Some((0, 547))),
        ("sample.mp4", Some((0, 303))),
        ("short-cenc.mp4", Some((0, 0))),
        ("test_480_aac.f4v", Some((327, 594))),
        ("tiny_av1.mp4", Some((1, 0))),
        ("white.mp4", Some((300, 0))),
        // Sizes of chunks are said 1948 times, for the first chunk each.
        ("zero_empty_stsc.mp4", None),
        // They end within the media; the last packet of each track is not whole.
        ("MOV1.MOV", Some((0, 61))),
        ("invalid_userdata.mp4", Some((0, 0))),
    ];
    for (name, wanted) in wanted {
        let path = directory.join(name);
        let found = open(&path).ok().map(|movie| {
            let count = |track: &Option<Track>| track.as_ref().map_or(0, |track| packets(&path, track).len());
            // The first ends within a packet, and ffprobe looks into the pictures of the second, whose last are no key frames.
            if !["MOV1.MOV", "test_480_aac.f4v"].contains(&name) {
                assert_read_as_ffprobe_does(&path);
            }
            (count(&movie.video), count(&movie.audio))
        });
        assert_eq!(found, wanted, "{name}");
    }
}

/// Times and key frames of a stream of an FLV file, and where each begins.
fn flv_frames(path: &Path, kind: u8) -> Vec<(i64, bool, u64)> {
    let (frames, _) = with_file(path, |file| {
        let found = FlvFile::open(file).unwrap_or_else(|fault| panic!("{}: {fault:?}", path.display()));
        let mut frames = Vec::new();
        let mut at = found.first;
        while let Some(tag) = found.tag(file, at).unwrap() {
            at = tag.end();
            let class = tag.class(file).unwrap().filter(|class| class.header.is_none() && !class.empty && !class.end);
            if let Some(class) = class.filter(|_| tag.header.message_type == kind) {
                frames.push((i64::from(tag.header.timestamp_ms), class.key || kind == 8, tag.start));
            }
        }
        frames
    });
    frames
}

#[test]
fn an_flv_file_is_read_and_sought_in_as_ffprobe_reads_it() {
    let scratch = Scratch::new("flv");
    let mut files = vec![
        film(&scratch, "plain.flv", H264_AAC, &[]),
        film(&scratch, "indexed.flv", H264_AAC, &["-flvflags", "add_keyframe_index"]),
        film(&scratch, "sound.flv", &["-vn", "-c:a", "libmp3lame"], &[]),
    ];
    if let Some(directory) = std::env::var_os("RILL_VECTORS").map(PathBuf::from) {
        let others = ["h264_aac.flv", "h264_mp3.flv", "h264_speex.flv", "flashContent.flv"];
        files.extend(others.map(|name| directory.join(name)));
    }
    for path in files {
        let name = path.display();
        for (kind, stream) in [(9, "v:0"), (8, "a:0")] {
            let expected: Vec<_> =
                probed(&path, &[], stream).iter().map(|packet| (packet.decoded, packet.key)).collect();
            let found: Vec<_> = flv_frames(&path, kind).iter().map(|(time, key, _)| (*time, *key)).collect();
            // What ffprobe cannot read of a damaged file is not compared.
            assert!(expected.is_empty() || found == expected, "{name} {stream}: {found:?} {expected:?}");
        }
        let pictures = flv_frames(&path, 9);
        let begins = if pictures.is_empty() { flv_frames(&path, 8) } else { pictures };
        let (found, _) = with_file(&path, |file| FlvFile::open(file).unwrap());
        for time in (found.begin_ms..=found.end_ms).step_by(370) {
            let ((place, headers), reads) = with_file(&path, |file| found.seek(file, time).unwrap());
            let wanted = begins.iter().rfind(|(at, key, _)| *key && *at <= i64::from(time));
            let first = found.first;
            assert_eq!(place, wanted.map_or(first, |(.., place)| *place), "{name} at {time} ms");
            // A later one, where headers are repeated.
            let same_kinds =
                |a: Option<Extent>, b: Option<Extent>| a.is_some() == b.is_some() && a.map(|a| a.at) >= b.map(|b| b.at);
            assert!(same_kinds(headers.video, found.headers.video), "{name} at {time} ms: {headers:?}");
            assert!(same_kinds(headers.audio, found.headers.audio), "{name} at {time} ms: {headers:?}");
            assert!(reads < 1000, "{name} at {time} ms: {reads} reads");
        }
    }
}

/// Writes what a player is sent from a time on, or from the beginning, as an FLV file.
fn write_flv(path: &Path, seek: Option<u32>, to: &Path) {
    let mut disk = Reader::new(path.parent().unwrap().to_owned());
    disk.open(path.file_name().unwrap().to_str().unwrap()).unwrap();
    let (mut wire, mut fill) = (Vec::new(), Fill::From(seek.unwrap_or(0)));
    loop {
        let (_, next) = disk.fill(fill);
        wire.extend(disk.block().bytes());
        fill = Fill::On;
        match next {
            Follows::More => {}
            Follows::End => break,
            Follows::Fault => panic!("{} cannot be read on", path.display()),
        }
    }
    let mut flv = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
    let mut rest = &wire[..];
    while let Some(header) = MessageHeader::parse_type0(rest) {
        let MessageHeader { timestamp: timestamp_ms, length, type_id: message_type, .. } = header;
        let framing = Framing::<OUT_CHUNK_BYTES> { timestamp: timestamp_ms, length };
        let (message, behind) = rest.split_at(framing.wire_bytes() as usize);
        rest = behind;
        // ffmpeg writes metadata of its own.
        if message_type == type_id::DATA {
            continue;
        }
        flv.extend(SubTagHeader { message_type, length, timestamp_ms }.emit());
        let payload = message[framing.header_bytes() as usize..].chunks(OUT_CHUNK_BYTES + 1);
        payload.for_each(|chunk| flv.extend(&chunk[..chunk.len().min(OUT_CHUNK_BYTES)]));
        flv.extend((length + 11).to_be_bytes());
    }
    fs::write(to, flv).unwrap();
}

#[test]
fn the_messages_of_a_film_are_those_that_ffmpeg_sends() {
    let scratch = Scratch::new("messages");
    let hevc: &[&str] =
        &["-c:v", "libx265", "-x265-params", "log-level=none:bframes=2", "-preset", "ultrafast", "-c:a", "ac3"];
    let vp9: &[&str] = &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"];
    let av1: &[&str] = &["-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-c:a", "flac"];
    let mp3: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "libmp3lame"];
    let sound: &[&str] = &["-vn", "-c:a", "aac"];
    let mulaw: &[&str] = &["-vn", "-c:a", "pcm_mulaw", "-ar", "8000"];
    let files = [
        film(&scratch, "h264.mp4", H264_AAC, &[]),
        film(&scratch, "fragments.mp4", H264_AAC, &["-movflags", "frag_keyframe+empty_moov"]),
        film(&scratch, "hevc.mp4", hevc, &[]),
        film(&scratch, "vp9.mp4", vp9, &[]),
        film(&scratch, "av1.mp4", av1, &[]),
        film(&scratch, "mp3.mp4", mp3, &[]),
        film(&scratch, "sound.m4a", sound, &[]),
        film(&scratch, "mulaw.mov", mulaw, &[]),
        film(&scratch, "even.mp3", &["-vn", "-c:a", "libmp3lame", "-b:a", "64k"], &[]),
        film(&scratch, "varied.mp3", &["-vn", "-c:a", "libmp3lame", "-q:a", "4"], &[]),
        film(&scratch, "indexed.flv", H264_AAC, &["-flvflags", "add_keyframe_index"]),
    ];
    let ffmpeg = modern_ffmpeg();
    for path in files {
        let (ours, theirs) = (scratch.path("ours.flv"), scratch.path("theirs.flv"));
        let mut command = Command::new(&ffmpeg);
        command.args(["-nostdin", "-loglevel", "error", "-y", "-i"]).arg(&path);
        output_of(command.args(["-c", "copy", "-f", "flv"]).arg(&theirs));
        let theirs = Media::packets_by(&ffmpeg, &theirs);
        write_flv(&path, None, &ours);
        let mut whole = Media::packets_by(&ffmpeg, &ours);
        if let Some(flac) = whole.audio.as_mut().filter(|audio| audio.codec == "flac") {
            // ffmpeg leaves out the marker in front, and understands both.
            flac.configuration = theirs.audio.as_ref().and_then(|audio| audio.configuration.clone());
        }
        assert_eq!(whole.packet_count(), theirs.packet_count(), "{}", path.display());
        whole.assert_equals(&theirs);
        // From any time on: the key frame before, with its true time, and all behind it.
        for seek in [0, 500, 1999, 2000, 3300, 5990, 100_000] {
            let sound = theirs.audio.as_ref().filter(|_| theirs.video.is_none());
            if sound.is_some_and(|sound| seek > 5000 || sound.codec == "pcm_mulaw") || path.ends_with("varied.mp3") {
                // ffmpeg does not open a file of one sound; uncompressed sound begins at any of its samples; frames of many sizes
                // are found near their time.
                continue;
            }
            write_flv(&path, Some(seek), &ours);
            let part = Media::packets_by(&ffmpeg, &ours);
            let track = |media: &Media| media.video.clone().or(media.audio.clone()).unwrap();
            let (part, theirs) = (track(&part), track(&theirs));
            let behind = &theirs.packets[theirs.packets.len() - part.packets.len()..];
            let first = part.packets[0].dts_ms;
            // Where sound begins before the first picture, at that picture.
            assert!(
                first <= i64::from(seek).max(theirs.packets[0].dts_ms) && first + 900 > i64::from(seek.min(6000)),
                "{}: {seek} {first}",
                path.display()
            );
            assert_eq!(part.packets, behind, "{} at {seek} ms", path.display());
        }
    }
}
