//! Laws of what is written: in pieces of any length it is the same, and our own reader finds in it what was put in.

extern crate std;

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use crate::wire::flv::Codec;
use crate::wire::mp4::description::TrackDescription;
use crate::wire::mp4::fragment_head::{FragmentHead, SINGLE_BYTES, SampleRow, SampleRun, Single};
use crate::wire::mp4::init::{AUDIO_TRACK, HYBRID_AT, HYBRID_OPEN, Init, VIDEO_TRACK, hybrid_closed};
use crate::wire::mp4::tests::read_back;
use crate::wire::mp4::*;
use crate::wire::windows::memory::with_file;

const AVC: &[u8] = &crate::wire::codec::synthetic::AVC_RECORD;
const HEVC: &[u8] = crate::wire::codec::hevc::MAIN_10_642X362;
const AV1: &[u8] = crate::wire::codec::av1::MAIN_640X360;
const VP9: &[u8] = &[1, 0, 0, 0, 0, 31, 0x82, 2, 2, 2, 0, 0];
const OPUS: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xBB\0\0\0\0\0";
const SURROUND: &[u8] = b"OpusHead\x01\x06\x38\x01\x80\xBB\0\0\0\0\x01\x04\x02\0\x04\x01\x02\x03\x05";
const FLAC: &[u8] = b"fLaC\0\0\0\x22\x12\0\x12\0\0\0\x10\0\0\x10\x0A\xC4\x42\xF0\0\0\x11\x3A0123456789abcdefmore";
const AC3: &[u8] = &[0x0B, 0x77, 0xB5, 0x0B, 0x1E, 0x40, 0xEB, 0xF8, 0x40, 0x3E];
const EAC3: &[u8] = &[0x0B, 0x77, 0x01, 0x7F, 0x34, 0x87, 0xC0, 0x00];

/// A codec, its record, what the reader finds of that, and the ticks a second.
type Known = (Codec, &'static [u8], &'static [u8], u32);

const VIDEO: &[Known] = &[
    (Codec::Avc, AVC, AVC, 1000),
    (Codec::Hevc, HEVC, HEVC, 1000),
    (Codec::Av1, AV1, AV1, 1000),
    // Without version and flags, which the box has.
    (Codec::Vp9, VP9, VP9, 1000),
];

const AUDIO: &[Known] = &[
    (Codec::Aac, &[0x12, 0x10], &[0x12, 0x10], 44_100),
    (Codec::Aac, &[0x13, 0x90, 0x56, 0xE5, 0xA0], &[0x13, 0x90, 0x56, 0xE5, 0xA0], 22_050),
    (Codec::Mp3, &[0xFF, 0xFB, 0x90, 0], &[], 44_100),
    (Codec::Opus, OPUS, b"\0\x02\x01\x38\0\0\xBB\x80\0\0\0", 48_000),
    (Codec::Opus, SURROUND, b"\0\x06\x01\x38\0\0\xBB\x80\0\0\x01\x04\x02\0\x04\x01\x02\x03\x05", 48_000),
    (
        Codec::Flac,
        FLAC,
        b"\0\0\0\0\x80\0\0\x22\x12\0\x12\0\0\0\x10\0\0\x10\x0A\xC4\x42\xF0\0\0\x11\x3A0123456789abcdef",
        44_100,
    ),
    (Codec::Ac3, AC3, &[], 48_000),
    (Codec::Eac3, EAC3, &[], 48_000),
];

/// What a function of place and buffer gives, in pieces.
fn in_pieces(mut pieces: impl Iterator<Item = usize>, read: impl Fn(u32, &mut [u8]) -> usize) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let mut piece = vec![0xEE; pieces.next().unwrap()];
        let count = read(all.len() as u32, &mut piece);
        assert!(piece[count..].iter().all(|&byte| byte == 0xEE));
        all.extend(&piece[..count]);
        if count < piece.len() {
            assert_eq!(read(all.len() as u32, &mut [0; 8]), 0);
            return all;
        }
    }
}

fn init(init: &Init<'_>) -> Vec<u8> {
    in_pieces([5000].into_iter().cycle(), |from, out| init.read_at(from, out))
}

fn rows() -> impl Strategy<Value = Vec<SampleRow>> {
    let row = (0u32..3000, 1u32..200, -40i32..90, any::<bool>())
        .prop_map(|(duration, bytes, composition, is_key)| SampleRow { duration, bytes, composition, is_key });
    prop::collection::vec(row, 0..20)
}

proptest! {
    #[test]
    fn an_init_segment_and_fragments_of_any_codecs_are_read_as_they_were_written(
        video in prop::option::of(0..VIDEO.len()),
        audio in prop::option::of(0..AUDIO.len()),
        hybrid in any::<bool>(),
        fragments in prop::collection::vec((rows(), rows()), 1..6),
        begin in 0u64..1 << 40,
        pieces in prop::collection::vec(1usize..300, 1..6),
    ) {
        let video = video.map(|which| VIDEO[which]);
        let audio = audio.map(|which| AUDIO[which]);
        let described = |known: Option<Known>| known.map(|(codec, record, ..)| TrackDescription::new(codec, record).unwrap());
        let front = Init { video: described(video), audio: described(audio), hybrid };
        let mut file = in_pieces(pieces.iter().copied().cycle(), |from, out| front.read_at(from, out));
        prop_assert_eq!(file.len() as u32, front.bytes());
        prop_assert_eq!(hybrid, file[HYBRID_AT as usize..].starts_with(&HYBRID_OPEN));

        let mut expected = [Vec::new(), Vec::new()];
        let mut times = [begin; 2];
        for (number, (pictures, sounds)) in fragments.iter().enumerate() {
            let run = |lane: usize, track, samples| SampleRun { track, decode_time: times[lane], samples };
            let runs = [
                video.map(|_| run(0, VIDEO_TRACK, &pictures[..])).filter(|run| !run.samples.is_empty()),
                audio.map(|_| run(1, AUDIO_TRACK, &sounds[..])).filter(|run| !run.samples.is_empty()),
            ];
            let head = FragmentHead { sequence: number as u32, runs };
            let bytes = in_pieces(pieces.iter().copied().cycle(), |from, out| head.read_at(from, out));
            prop_assert_eq!(bytes.len() as u32, head.bytes());
            file.extend(bytes);
            for (lane, run) in runs.iter().enumerate() {
                for row in run.map_or(&[][..], |run| run.samples) {
                    expected[lane].push(read_back(row, file.len(), times[lane]));
                    times[lane] += u64::from(row.duration);
                    file.extend(vec![0xAB; row.bytes as usize]);
                }
            }
            prop_assert_eq!(head.media_bytes() as usize, runs.iter().flatten().flat_map(|run| run.samples).map(|row| row.bytes as usize).sum::<usize>());
        }

        with_file(&file, |open| {
            let movie = Movie::open(open, Choice::default()).unwrap();
            for (lane, (track, known)) in [(movie.video, video), (movie.audio, audio)].into_iter().enumerate() {
                prop_assert_eq!(track.is_some(), known.is_some());
                let (Some(track), Some((codec, _, record, timescale))) = (track, known) else { continue };
                prop_assert_eq!((track.entry.codec, track.timescale, track.id), (codec, timescale, lane as u32 + 1));
                let place = track.entry.configuration;
                prop_assert_eq!(&file[place.at as usize..][..place.bytes as usize], record);
                let mut cursor = TrackCursor::default();
                for sample in &expected[lane] {
                    prop_assert_eq!(cursor.next(open, &track).unwrap(), Some(*sample));
                }
                prop_assert_eq!(cursor.next(open, &track).unwrap(), None);
            }
            Ok(())
        })?;
    }

    #[test]
    fn any_bytes_are_a_description_or_none(record in prop::collection::vec(any::<u8>(), 0..200), known in any::<prop::sample::Index>()) {
        let all = [VIDEO, AUDIO].concat();
        let (codec, ..) = all[known.index(all.len())];
        if let Some(description) = TrackDescription::new(codec, &record) {
            let front = Init { video: Some(description), audio: None, hybrid: false };
            prop_assert_eq!(init(&front).len() as u32, front.bytes());
        }
    }
}

#[test]
fn the_head_of_one_sample_is_byte_for_byte_what_browsers_were_tested_with() {
    let sample = SampleRow { duration: 33, bytes: 0x1234, composition: -40, is_key: true };
    let single = Single { sequence: 7, track: VIDEO_TRACK, decode_time: 0x1_0000_0002, sample };
    let mut expected = Vec::<u8>::new();
    expected.extend(b"\0\0\0\x68moof\0\0\0\x10mfhd\0\0\0\0\0\0\0\x07");
    expected.extend(b"\0\0\0\x50traf\0\0\0\x10tfhd\0\x02\0\0\0\0\0\x01\0\0\0\x14tfdt\x01\0\0\0\0\0\0\x01\0\0\0\x02");
    expected.extend(b"\0\0\0\x24trun\x01\0\x0F\x01\0\0\0\x01\0\0\0\x70");
    expected.extend(b"\0\0\0\x21\0\0\x12\x34\x02\0\0\0\xFF\xFF\xFF\xD8\0\0\x12\x3Cmdat");
    assert_eq!(expected.len(), SINGLE_BYTES);
    assert_eq!(single.head()[..], expected);
    let later = Single { sample: SampleRow { is_key: false, ..sample }, ..single };
    assert_eq!(later.head()[96..100], *b"\x01\x01\0\0");
}

#[test]
fn an_entry_says_channels_rate_and_size() {
    let front = |codec, record| TrackDescription::new(codec, record).unwrap();
    assert_eq!(front(Codec::Avc, AVC).size(), Some((64, 64)));
    assert_eq!(front(Codec::Hevc, HEVC).size(), Some((642, 362)));
    assert_eq!(front(Codec::Vp9, VP9).size(), Some((0, 0)));
    assert_eq!(front(Codec::Vp9, VP9).with_size(320, 240).size(), Some((320, 240)));
    assert_eq!(front(Codec::Opus, OPUS).with_size(320, 240).size(), None);
    // A rate above 65 535 does not fit the entry's field.
    for (config, rate) in [(&[0x10, 0x10][..], 0u32), (&[0x11, 0x90], 48_000)] {
        let bytes = init(&Init { video: None, audio: Some(front(Codec::Aac, config)), hybrid: false });
        let entry = bytes.windows(4).position(|name| name == b"mp4a").unwrap();
        assert_eq!(bytes[entry + 20..][..2], [0, 2]);
        assert_eq!(bytes[entry + 28..][..4], (rate << 16).to_be_bytes());
    }
    assert_eq!(TrackDescription::new(Codec::Vvc, AVC), None);
    assert_eq!(TrackDescription::new(Codec::Speex, b""), None);
    assert_eq!(TrackDescription::new(Codec::Avc, b"\x02"), None);
}

#[test]
fn a_hybrid_file_becomes_an_ordinary_one_by_sixteen_bytes() {
    let header = hybrid_closed(HYBRID_AT + 0x1_2345_6789);
    assert_eq!(header, *b"\0\0\0\x01mdat\0\0\0\x01\x23\x45\x67\x89");
    assert_eq!(HYBRID_OPEN.len(), header.len());
}
