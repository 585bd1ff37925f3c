//! Laws of live fragments: what an encoder sent comes out of them, without a hole, in writes of any length.

extern crate std;

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::media::frame;
use crate::media::ring::Cursor;
use crate::media::stream::MediaStream;
use crate::media::tag::{HeaderSlot, TagFlags};
use crate::time::Millis;
use crate::wire::flv::{aac_packet_header, avc_packet_header};
use crate::wire::mp4::cursor::Sample;
use crate::wire::mp4::description::TrackDescription;
use crate::wire::mp4::init::Init;
use crate::wire::mp4::{Choice, Movie, TrackCursor};
use crate::wire::windows::memory::with_file;

type Stream = MediaStream<Vec<u8>, Vec<TagMeta>>;

/// A picture as an encoder has it: the pause before it, how much later it is shown, the bytes of its messages.
type Picture = (u32, i32, Vec<usize>);

const TRACKS: FragmentTracks = FragmentTracks {
    video: Some(Codec::Avc),
    audio: Some(SoundTrack { codec: Codec::Aac, timescale: 48_000, frame_samples: Some(1024) }),
    nominal_ms: 40,
};

fn put(stream: &mut Stream, kind: TagKind, time: u32, message: &[u8], key: bool, header: bool) -> TagSeq {
    let now = Millis(time.into());
    let seq = stream.begin_media(kind, time, message.len() as u32, now).unwrap();
    stream.append(seq, message).unwrap();
    let slot = header.then_some(HeaderSlot { kind, class: 0, track: 0 });
    let flags = TagFlags { key, header, ..TagFlags::default() };
    stream.finish(seq, flags, slot, now).unwrap();
    seq
}

fn headers(stream: &mut Stream) {
    let record = crate::wire::codec::synthetic::AVC_RECORD;
    put(stream, TagKind::Video, 0, &[&avc_packet_header(true, true, 0)[..], &record].concat(), false, true);
    put(stream, TagKind::Audio, 0, &[&aac_packet_header(true)[..], &[0x11, 0x90]].concat(), false, true);
}

/// What is sent of the tags from `from` on that can be sent, in writes of at most so many bytes.
fn sent(stream: &Stream, from: TagSeq, pace: FragmentPace, writes: &mut impl Iterator<Item = usize>) -> Vec<u8> {
    let ring = stream.ring();
    let (mut bytes, mut cursor) = (Vec::new(), Cursor::at(from));
    while let Some(tag) = ring.tag_at(&mut cursor).unwrap() {
        let Some(fragment) = Fragment::of(ring, &tag, &TRACKS, pace) else { break };
        let begin = bytes.len();
        while let Some(piece) = frame::piece(&fragment, ring, tag.seq, cursor.offset) {
            let count = piece.bytes().len().min(writes.next().unwrap());
            bytes.extend(&piece.bytes()[..count]);
            if frame::advance(&fragment, ring, &mut cursor, count) {
                break;
            }
        }
        assert_eq!(bytes.len() - begin, fragment.bytes() as usize);
        if fragment.is_empty() {
            assert!(frame::advance(&fragment, ring, &mut cursor, 0));
        }
    }
    bytes
}

/// The samples of both tracks in these fragments, and their bytes.
fn samples(fragments: &[u8]) -> [Vec<(Sample, i64, Vec<u8>)>; 2] {
    let record = crate::wire::codec::synthetic::AVC_RECORD;
    let init = Init {
        video: TrackDescription::new(Codec::Avc, &record),
        audio: TrackDescription::new(Codec::Aac, &[0x11, 0x90]),
        hybrid: false,
    };
    let mut file = vec![0; init.bytes() as usize];
    init.read_at(0, &mut file);
    file.extend(fragments);
    with_file(&file, |open| {
        let movie = Movie::open(open, Choice::default()).unwrap();
        [movie.video, movie.audio].map(|track| {
            let Some(track) = track else { return Vec::new() };
            let mut cursor = TrackCursor::default();
            core::iter::from_fn(|| {
                let sample = cursor.next(open, &track).unwrap()?;
                let TrackCursor::Fragments(at) = cursor else { panic!("{cursor:?}") };
                Some((sample, at.time(), file[sample.at as usize..][..sample.bytes as usize].to_vec()))
            })
            .collect()
        })
    })
}

fn pictures() -> impl Strategy<Value = Vec<Picture>> {
    let gap = prop_oneof![8 => 15_u32..60, 1 => 300_u32..900];
    let parts = prop::collection::vec(1_usize..50, 1..4);
    prop::collection::vec((gap, -50_i32..200, parts), 3..40)
}

proptest! {
    #[test]
    fn live_pictures_and_sound_come_without_a_hole_and_with_all_their_bytes(
        pictures in pictures(), in_parts in any::<bool>(), gop in 2_usize..9, writes in prop::collection::vec(1_usize..200, 1..6),
    ) {
        let mut stream = Stream::new(vec![0; 1 << 20], vec![TagMeta::EMPTY; 1024]);
        headers(&mut stream);
        let (mut time, mut sound) = (0, 0_u64);
        let mut expected = Vec::new();
        let mut times = Vec::new();
        for (number, (gap, composition, parts)) in pictures.iter().enumerate() {
            time += gap;
            while sound * 1024 / 48 < u64::from(time) {
                let frame = [&aac_packet_header(false)[..], &[sound as u8; 7]].concat();
                put(&mut stream, TagKind::Audio, (sound * 1024 / 48) as u32, &frame, false, false);
                sound += 1;
            }
            let key = number % gop == 0;
            let mut bytes = Vec::new();
            for (part, &length) in parts.iter().enumerate() {
                if part > 0 && !in_parts {
                    break;
                }
                let data = vec![(number * 4 + part) as u8; length];
                put(&mut stream, TagKind::Video, time, &[&avc_packet_header(key, false, *composition)[..], &data].concat(), key, false);
                // Messages of a picture need not come one behind the other.
                if part == 0 && number % 3 == 1 {
                    stream.data(time, b"\x02\x00\x01x", None, Millis(time.into())).1.unwrap();
                }
                bytes.extend(data);
            }
            expected.push((bytes, *composition, key));
            times.push(time);
        }
        for pace in [FragmentPace::Live, FragmentPace::Known] {
            let fragments = sent(&stream, TagSeq(0), pace, &mut writes.iter().copied().cycle());
            let [video, audio] = samples(&fragments);
            // The first picture in parts shows that there are parts, unless it is the first of all, of which that was not known; and
            // nobody knows yet that the last one is complete.
            let first_in_parts = pictures.iter().position(|(.., parts)| parts.len() > 1).unwrap_or(usize::MAX);
            let waits = in_parts && pace == FragmentPace::Live && first_in_parts < pictures.len() - 1;
            prop_assert_eq!(video.len(), expected.len() - usize::from(waits));
            for (number, ((sample, end, bytes), (wanted, composition, key))) in video.iter().zip(&expected).enumerate() {
                if !in_parts || number == 0 || number != first_in_parts {
                    prop_assert_eq!(bytes, wanted);
                } else {
                    prop_assert!(wanted.starts_with(bytes));
                }
                // That of a live picture takes up the rounding of its gap.
                let gap = if number == 0 { TRACKS.nominal_ms } else { times[number] - times[number - 1] };
                let later = shown_later(*composition, gap, TRACKS.nominal_ms, pace);
                prop_assert_eq!((sample.composition, sample.is_sync), (*composition + later, *key));
                let next = video.get(number + 1).map(|(next, ..)| next.time);
                prop_assert!(next.is_none_or(|next| next == *end), "no hole: {:?} {}", next, end);
                if pace == FragmentPace::Known {
                    prop_assert_eq!(sample.time - video[0].0.time, i64::from(times[number] - times[0]));
                }
            }
            prop_assert!(audio.windows(2).all(|pair| pair[0].1 == pair[1].0.time));
            prop_assert!(audio.iter().enumerate().all(|(number, (.., bytes))| *bytes == [number as u8; 7]));
            prop_assert!(waits || audio.len() == sound as usize);
        }
    }
}

/// A camera: its name, its messages with their times, and how many of them each sample has.
type Messages = (&'static str, Vec<(u32, &'static [u8])>, Vec<usize>);

/// A picture's first slice, a later one, and a message without a slice.
const FIRST: &[u8] = b"\0\0\0\x03\x41\x9A\x00";
const LATER: &[u8] = b"\0\0\0\x03\x41\x44\x00";
const SEI: &[u8] = b"\0\0\0\x02\x06\x80";

#[test]
fn pictures_of_one_millisecond_are_samples_of_their_own_and_the_slices_of_one_are_one() {
    let clock = |fps: u32| (0..fps).map(|number| (number * 1000 / fps, FIRST)).collect::<Vec<_>>();
    let table: [Messages; 9] = [
        ("240 fps", clock(240), vec![1; 240]),
        ("1000 fps", clock(1000), vec![1; 1000]),
        (
            "pairs",
            vec![(0, FIRST), (0, FIRST), (17, FIRST), (17, FIRST), (33, FIRST), (33, FIRST), (50, FIRST)],
            vec![1; 7],
        ),
        ("slices", vec![(0, FIRST), (0, LATER), (40, FIRST), (40, LATER), (40, LATER), (80, FIRST)], vec![2, 3, 1]),
        (
            "pairs in slices",
            vec![(0, FIRST), (0, LATER), (0, FIRST), (0, LATER), (9, FIRST), (9, LATER)],
            vec![2, 2, 2],
        ),
        ("no slice first", vec![(0, SEI), (0, FIRST), (0, LATER), (40, SEI), (40, FIRST), (80, FIRST)], vec![3, 2, 1]),
        // What is in front of the second picture comes with the first.
        ("no slice between", vec![(0, SEI), (0, FIRST), (0, SEI), (0, FIRST), (9, FIRST)], vec![3, 1, 1]),
        ("no clock", vec![(0, FIRST); 1000], vec![1; 1000]),
        ("times of presentation", vec![(0, FIRST), (120, FIRST), (40, FIRST), (80, FIRST), (240, FIRST)], vec![1; 5]),
    ];
    for (name, messages, expected) in table {
        let mut stream = Stream::new(vec![0; 1 << 20], vec![TagMeta::EMPTY; 4096]);
        headers(&mut stream);
        for (number, &(time, unit)) in messages.iter().enumerate() {
            let message = [&avc_packet_header(number == 0, false, 0)[..], unit].concat();
            put(&mut stream, TagKind::Video, time, &message, number == 0, false);
        }
        put(&mut stream, TagKind::Audio, 5_000, b"\xAF\x01data", false, false);
        for pace in [FragmentPace::Live, FragmentPace::Known] {
            let [video, _] = samples(&sent(&stream, TagSeq(0), pace, &mut core::iter::repeat(1 << 20)));
            let mut rest = &messages[..];
            assert_eq!(video.len(), expected.len(), "{name}");
            for ((_, _, bytes), count) in video.iter().zip(expected.iter()) {
                let (own, others) = rest.split_at(*count);
                assert_eq!(*bytes, own.iter().flat_map(|(_, unit)| unit.to_vec()).collect::<Vec<_>>(), "{name}");
                rest = others;
            }
            for pair in video.windows(2) {
                let [(sample, end, _), (next, ..)] = pair else { unreachable!() };
                assert!(next.time == *end && next.time > sample.time, "{name}: {pair:?}");
            }
        }
    }
}

#[test]
fn live_pictures_that_are_not_shown_as_they_are_decoded_are_shown_when_their_encoder_says() {
    let tracks = FragmentTracks { nominal_ms: 33, ..TRACKS };
    let mut stream = Stream::new(vec![0; 1 << 20], vec![TagMeta::EMPTY; 1024]);
    headers(&mut stream);
    // Two pictures between each and the next that is referred to: when each is decoded and shown, in frames of 1/30 s.
    let frames = (0..90_u32).map(|frame| match frame % 3 {
        _ if frame == 0 => (frame, 2),
        1 => (frame, frame + 4),
        _ => (frame, frame + 1),
    });
    let times: Vec<[u32; 2]> = frames.map(|(frame, shown)| [frame, shown].map(|frame| (frame * 100 + 1) / 3)).collect();
    let seqs: Vec<TagSeq> = times
        .iter()
        .map(|&[time, shown]| {
            let head = avc_packet_header(time == 0, false, (shown - time) as i32);
            let message = [&head[..], b"\0\0\0\x03\x41\x9A\0"].concat();
            put(&mut stream, TagKind::Video, time, &message, time == 0, false)
        })
        .collect();
    // Of the last one it is not known yet whether there is more of it.
    for (&seq, &[time, shown]) in seqs.iter().zip(&times).skip(1).take(88) {
        let tag = stream.ring().tag(seq).unwrap();
        let (_, single) = Fragment::without_head(stream.ring(), &tag, &tracks, FragmentPace::Live).unwrap();
        let Single { decode_time, sample, .. } = single.unwrap();
        assert_eq!(decode_time as i64 + i64::from(sample.composition), i64::from(shown), "decoded at {time}");
        assert_eq!(decode_time + u64::from(sample.duration), u64::from(time) + 33, "no hole behind {time}");
    }
}

#[test]
fn what_is_no_sample_of_the_tracks_is_not_sent() {
    let mut stream = Stream::new(vec![0; 1 << 16], vec![TagMeta::EMPTY; 64]);
    headers(&mut stream);
    let key = put(&mut stream, TagKind::Video, 0, b"\x17\x01\0\0\0data", true, false);
    let end = put(&mut stream, TagKind::Video, 40, b"\x17\x02\0\0\0", false, false);
    let sound = put(&mut stream, TagKind::Audio, 240, b"\xAF\x01data", false, false);
    let other = put(&mut stream, TagKind::Audio, 260, b"\x2Fdata", false, false);
    let silence = put(&mut stream, TagKind::Audio, 260, b"\xAF\x01", false, false);
    let fragment = |seq, tracks: &FragmentTracks| {
        let ring = stream.ring();
        Fragment::of(ring, &ring.tag(seq).unwrap(), tracks, FragmentPace::Live).unwrap()
    };
    let bytes = |seq| fragment(seq, &TRACKS).bytes();
    assert_eq!([key, end, sound, other, silence].map(bytes), [116, 0, 116, 0, 0]);
    let without = FragmentTracks { video: None, audio: None, ..TRACKS };
    assert!([key, sound].iter().all(|seq| fragment(*seq, &without).is_empty()));
    assert_eq!(fragment(key, &TRACKS).behind(b"\x82\x74").bytes(), 118);
    assert!(fragment(end, &TRACKS).behind(b"\x82\x00").is_empty());
}
