//! Laws over files that are made here: whatever their tables look like, the samples come out that were put in.

extern crate std;

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::fragment_head::SampleRow;
use super::*;
use crate::wire::flv::Codec;
use crate::wire::windows::memory::{Memory, with_file};

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes(), &kind[..], body].concat()
}

fn full(kind: &[u8; 4], version: u8, fields: &[u32]) -> Vec<u8> {
    let words = fields.iter().flat_map(|field| field.to_be_bytes());
    boxed(kind, &[version, 0, 0, 0].into_iter().chain(words).collect::<Vec<u8>>())
}

fn counted(kind: &[u8; 4], version: u8, width: usize, fields: &[u32]) -> Vec<u8> {
    full(kind, version, &[&[(fields.len() / width) as u32], fields].concat())
}

/// What is read of a sample of a fragment that lies at `at` and is decoded at `time`.
pub(super) fn read_back(row: &SampleRow, at: usize, time: u64) -> Sample {
    Sample {
        at: at as u64,
        bytes: row.bytes,
        time: time as i64,
        composition: row.composition,
        is_sync: row.is_key,
        is_disposable: false,
        entry: 0,
    }
}

/// One sample as a test makes it.
#[derive(Clone, Copy, Debug)]
struct Made {
    bytes: u32,
    duration: u32,
    composition: i32,
    is_sync: bool,
}

/// How a track is written.
#[derive(Clone, Debug)]
struct Plan {
    samples: Vec<Made>,
    /// How many samples the chunks have, in turn.
    chunks: Vec<u32>,
    wide: bool,
    media_time: i32,
    pause: u32,
}

fn video_entry() -> Vec<u8> {
    let mut fields = vec![0; 78];
    fields[7] = 1;
    (fields[24], fields[25], fields[26], fields[27]) = (1, 64, 0, 240);
    boxed(b"avc1", &[fields, boxed(b"avcC", b"\x01\x42\xC0\x1E\xFF")].concat())
}

fn trak(plan: &Plan, id: u32, tables: &[Vec<u8>]) -> Vec<u8> {
    let stsd = boxed(b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1][..], &video_entry()].concat());
    let stbl = boxed(b"stbl", &[&[stsd][..], tables].concat().concat());
    let minf = boxed(b"minf", &stbl);
    let mdhd = full(b"mdhd", 0, &[0, 0, 1000, 0, 0]);
    let hdlr = full(b"hdlr", 0, &[0, u32::from_be_bytes(*b"vide"), 0, 0, 0]);
    let mdia = boxed(b"mdia", &[mdhd, hdlr, minf].concat());
    let mut edits = vec![];
    if plan.pause > 0 {
        edits.extend([plan.pause, u32::MAX, 0x1_0000]);
    }
    edits.extend([0, plan.media_time.cast_unsigned(), 0x1_0000]);
    let edts = boxed(b"edts", &counted(b"elst", 0, 3, &edits));
    boxed(b"trak", &[full(b"tkhd", 0, &[0, 0, id, 0, 0]), edts, mdia].concat())
}

/// A file with one track, its table in front, and what is in it.
fn file(plan: &Plan) -> (Vec<u8>, Vec<Sample>) {
    let mut places = Vec::new();
    // The places of chunks are known when the length of their table is, and that when their number is.
    let mut bytes = Vec::new();
    for _ in 0..3 {
        let offset = |at: &u64| if plan.wide { vec![(at >> 32) as u32, *at as u32] } else { vec![*at as u32] };
        let chunk_places: Vec<u32> = places.iter().flat_map(offset).collect();
        let mut runs = Vec::new();
        let mut left = plan.samples.len() as u32;
        for (index, &count) in plan.chunks.iter().cycle().enumerate() {
            if left == 0 {
                break;
            }
            let count = count.min(left);
            left -= count;
            if runs.last_chunk::<3>().is_none_or(|[_, before, _]| *before != count) {
                runs.extend([index as u32 + 1, count, 1]);
            }
        }
        let each =
            |value: fn(&Made) -> u32| plan.samples.iter().flat_map(move |made| [1, value(made)]).collect::<Vec<u32>>();
        let sizes: Vec<u32> = plan.samples.iter().map(|made| made.bytes).collect();
        let numbered = plan.samples.iter().enumerate().filter(|(_, made)| made.is_sync);
        let sync: Vec<u32> = numbered.map(|(index, _)| index as u32 + 1).collect();
        let tables = [
            counted(b"stts", 0, 2, &each(|made| made.duration)),
            counted(b"ctts", 1, 2, &each(|made| made.composition.cast_unsigned())),
            counted(b"stsc", 0, 3, &runs),
            full(b"stsz", 0, &[&[0, sizes.len() as u32], &sizes[..]].concat()),
            match plan.wide {
                true => counted(b"co64", 0, 2, &chunk_places),
                false => counted(b"stco", 0, 1, &chunk_places),
            },
            counted(b"stss", 0, 1, &sync),
        ];
        let mvhd = full(b"mvhd", 0, &[0, 0, 1000, 60_000]);
        let moov = boxed(b"moov", &[mvhd, trak(plan, 1, &tables)].concat());
        bytes = [boxed(b"ftyp", b"isom\0\0\0\0"), moov].concat();
        let mut at = bytes.len() as u64 + 8;
        places.clear();
        let mut rest = &plan.samples[..];
        for &count in plan.chunks.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, behind) = rest.split_at(rest.len().min(count as usize));
            places.push(at);
            // A gap, as between chunks of two tracks.
            at += chunk.iter().map(|made| u64::from(made.bytes)).sum::<u64>() + 3;
            rest = behind;
        }
    }
    let mut expected = Vec::new();
    let (mut index, mut time) = (0, 0);
    for (place, &count) in places.iter().zip(plan.chunks.iter().cycle()) {
        let mut at = *place;
        for made in plan.samples[index..].iter().take(count as usize) {
            let Made { bytes, duration, composition, is_sync } = *made;
            expected.push(Sample { at, bytes, time, composition, is_sync, is_disposable: false, entry: 0 });
            (at, time, index) = (at + u64::from(bytes), time + i64::from(duration), index + 1);
        }
    }
    let media: u64 = plan.samples.iter().map(|made| u64::from(made.bytes)).sum::<u64>() + 3 * places.len() as u64;
    bytes.extend(boxed(b"mdat", &vec![0xAB; media as usize]));
    (bytes, expected)
}

/// The same samples in fragments of so many.
fn fragmented(plan: &Plan) -> (Vec<u8>, Vec<Sample>) {
    let empty = [
        counted(b"stts", 0, 2, &[]),
        counted(b"stsc", 0, 3, &[]),
        full(b"stsz", 0, &[0, 0]),
        counted(b"stco", 0, 1, &[]),
    ];
    let mvex = boxed(b"mvex", &full(b"trex", 0, &[1, 1, 0, 0, IS_NON_SYNC]));
    let moov = boxed(b"moov", &[full(b"mvhd", 0, &[0, 0, 1000, 0]), trak(plan, 1, &empty), mvex].concat());
    let mut bytes = [boxed(b"ftyp", b"isom\0\0\0\0"), moov].concat();
    let mut expected = Vec::new();
    let (mut rest, mut time) = (&plan.samples[..], 0i64);
    for &count in plan.chunks.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (samples, behind) = rest.split_at(rest.len().min(count as usize));
        rest = behind;
        let fields = samples.iter().flat_map(|made| {
            let flags = if made.is_sync { 0 } else { IS_NON_SYNC };
            [made.duration, made.bytes, flags, made.composition.cast_unsigned()]
        });
        let fields: Vec<u32> = fields.collect();
        let moof = |offset: u32| {
            let mut trun = full(b"trun", 1, &[&[samples.len() as u32, offset], &fields[..]].concat());
            trun[9..12].copy_from_slice(&[0, 0x0F, 1]);
            let mut tfhd = full(b"tfhd", 0, &[1]);
            tfhd[9] = 2;
            let tfdt = full(b"tfdt", 1, &[0, time as u32]);
            boxed(b"moof", &[full(b"mfhd", 0, &[1]), boxed(b"traf", &[tfhd, tfdt, trun].concat())].concat())
        };
        let offset = moof(0).len() as u32 + 8;
        let mut at = bytes.len() as u64 + u64::from(offset);
        bytes.extend(moof(offset));
        for made in samples {
            let Made { bytes, duration, composition, is_sync } = *made;
            expected.push(Sample { at, bytes, time, composition, is_sync, is_disposable: false, entry: 0 });
            (at, time) = (at + u64::from(bytes), time + i64::from(duration));
        }
        let media: u32 = samples.iter().map(|made| made.bytes).sum();
        bytes.extend(boxed(b"mdat", &vec![0xAB; media as usize]));
    }
    (bytes, expected)
}

const IS_NON_SYNC: u32 = 0x1_0000;

fn made() -> impl Strategy<Value = Made> {
    (1u32..90, 1u32..90, -40i32..90, proptest::bool::weighted(0.2))
        .prop_map(|(bytes, duration, composition, is_sync)| Made { bytes, duration, composition, is_sync })
}

fn plan() -> impl Strategy<Value = Plan> {
    let samples = proptest::collection::vec(made(), 1..400);
    let chunks = proptest::collection::vec(1u32..9, 1..5);
    (samples, chunks, any::<bool>(), 0i32..100, 0u32..100).prop_map(|(samples, chunks, wide, media_time, pause)| Plan {
        samples,
        chunks,
        wide,
        media_time,
        pause,
    })
}

fn all(file: &mut File<'_, Memory<'_>>, mut cursor: TrackCursor, track: &Track) -> Vec<Sample> {
    core::iter::from_fn(|| cursor.next(file, track).unwrap()).collect()
}

/// The last key frame at `time` or before, else the first sample.
fn key_frame(samples: &[Sample], time: i64) -> usize {
    samples.iter().rposition(|sample| sample.time <= time && sample.is_sync).unwrap_or(0)
}

proptest! {
    #[test]
    fn the_samples_of_a_table_come_out_as_they_were_put_in(plan in plan(), seeks in proptest::collection::vec(any::<prop::sample::Index>(), 8)) {
        let (bytes, expected) = file(&plan);
        with_file(&bytes, |file| {
            let movie = Movie::open(file, Choice::default()).unwrap();
            let track = movie.video.unwrap();
            prop_assert_eq!(all(file, TrackCursor::default(), &track), &expected[..]);
            let lowest = plan.samples.iter().map(|made| made.composition).min().unwrap().min(0);
            prop_assert_eq!((track.lowest, track.shift), (lowest, i64::from(plan.pause) - i64::from(plan.media_time)));
            prop_assert_eq!(movie.begin_ms, track.shift + i64::from(lowest));
            for seek in seeks {
                let index = seek.index(expected.len());
                let cursor = TrackCursor::Tables(TableCursor::at_sample(file, &track, index as u32).unwrap());
                prop_assert_eq!(all(file, cursor, &track), &expected[index..]);
                let cursor = TrackCursor::at_key_frame(file, &track, expected[index].time).unwrap();
                prop_assert_eq!(all(file, cursor, &track), &expected[key_frame(&expected, expected[index].time)..]);
            }
            Ok(())
        })?;
    }

    #[test]
    fn the_samples_of_fragments_come_out_as_they_were_put_in(plan in plan(), seek in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>()) {
        let (bytes, expected) = fragmented(&plan);
        with_file(&bytes, |file| {
            let movie = Movie::open(file, Choice::default()).unwrap();
            let track = movie.video.unwrap();
            prop_assert_eq!(all(file, TrackCursor::default(), &track), &expected[..]);
            let first = expected.iter().take(plan.chunks[0] as usize);
            prop_assert_eq!(track.lowest, first.map(|sample| sample.composition).min().unwrap().min(0));
            let time = expected[seek.index(expected.len())].time;
            let cursor = TrackCursor::at_key_frame(file, &track, time).unwrap();
            let found = all(file, cursor, &track);
            // A key frame inside of an earlier fragment is not found, where the later ones begin without.
            let wanted = &expected[key_frame(&expected, time)..];
            prop_assert!(found == wanted || found.len() > wanted.len() && expected.ends_with(&found));
            Ok(())
        })?;
        // Cut off anywhere: what is whole comes out, and no more.
        let first_media = expected[0].at as usize;
        let cut = first_media + cut.index(bytes.len() - first_media);
        with_file(&bytes[..cut], |file| {
            let movie = Movie::open(file, Choice::default()).unwrap();
            let found = movie.video.map(|track| all(file, TrackCursor::default(), &track)).unwrap_or_default();
            let whole = expected.iter().take_while(|sample| sample.at + u64::from(sample.bytes) <= cut as u64).count();
            prop_assert_eq!(found, &expected[..whole]);
            Ok(())
        })?;
    }

    #[test]
    fn whatever_lies_in_a_file_is_answered_in_bounded_time(plan in plan(), hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20), fragments in any::<bool>()) {
        let (mut bytes, _) = if fragments { fragmented(&plan) } else { file(&plan) };
        for (at, value) in hits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        with_file(&bytes, |file| {
            let Ok(movie) = Movie::open(file, Choice::default()) else { return };
            for track in movie.video.iter().chain(&movie.audio) {
                let mut cursor = TrackCursor::default();
                let mut count = 0u64;
                while let Ok(Some(sample)) = cursor.next(file, track) {
                    count += u64::from(sample.bytes > 0);
                    assert!(sample.at + u64::from(sample.bytes) <= bytes.len() as u64);
                    if count > 100_000 {
                        break;
                    }
                }
                for time in [i64::MIN, -1, 0, 1000, i64::MAX] {
                    let _ = TrackCursor::at_key_frame(file, track, time);
                }
            }
        });
    }
}

#[test]
fn a_table_behind_the_media_is_found_and_a_missing_one_is_said() {
    let plan = Plan { samples: vec![], chunks: vec![1], wide: false, media_time: 0, pause: 0 };
    let media = boxed(b"mdat", &[7; 1000]);
    let (bytes, _) =
        file(&Plan { samples: vec![Made { bytes: 5, duration: 1, composition: 0, is_sync: true }], ..plan });
    with_file(&[&media[..], &bytes].concat(), |file| {
        let track = Movie::open(file, Choice::default()).unwrap().video.unwrap();
        assert_eq!((track.entry.codec, track.sizes.count(), track.timescale), (Codec::Avc, 1, 1000));
        assert_eq!(track.entry.picture, Some(entry::Picture { width: 320, height: 240 }));
    });
    assert!(matches!(with_file(&media, |file| Movie::open(file, Choice::default())), Err(Fault::Structure(_))));
}

#[test]
fn a_film_of_three_hours_costs_a_few_hundred_bytes() {
    assert!(size_of::<Movie>() <= 1024, "{}", size_of::<Movie>());
    assert!(size_of::<TrackCursor>() <= 160, "{}", size_of::<TrackCursor>());
}
