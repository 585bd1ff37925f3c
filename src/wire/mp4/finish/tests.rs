//! Laws of finished recordings: the tables say what the fragments said, in steps of any length, wherever the file was torn.

extern crate std;

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::wire::flv::Codec;
use crate::wire::mp4::TrackCursor;
use crate::wire::mp4::description::TrackDescription;
use crate::wire::mp4::fragment_head::{FragmentHead, SampleRow, SampleRun};
use crate::wire::mp4::init::{AUDIO_TRACK, HYBRID_AT, Init, VIDEO_TRACK, hybrid_closed};
use crate::wire::mp4::tests::read_back;
use crate::wire::windows::memory::with_file;

struct Patch(Vec<(u64, Vec<u8>)>);

impl WriteAt for Patch {
    type Error = ();

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), ()> {
        self.0.push((at, bytes.to_vec()));
        Ok(())
    }
}

/// A recording, the ends of its fragments, and its samples: those of pictures, those of sound.
struct Made {
    file: Vec<u8>,
    ends: Vec<usize>,
    samples: [Vec<Sample>; 2],
}

fn make(fragments: &[(Vec<SampleRow>, Vec<SampleRow>)], begins: [u64; 2]) -> Made {
    let record = crate::wire::codec::synthetic::AVC_RECORD;
    let front = Init {
        video: TrackDescription::new(Codec::Avc, &record),
        audio: TrackDescription::new(Codec::Aac, &[0x11, 0x90]),
        hybrid: true,
    };
    let mut file = vec![0; front.bytes() as usize];
    front.read_at(0, &mut file);
    let (mut samples, mut ends, mut times) = ([Vec::new(), Vec::new()], Vec::new(), begins);
    for (number, rows) in fragments.iter().enumerate() {
        let run = |lane: usize, track, samples| {
            Some(SampleRun { track, decode_time: times[lane], samples }).filter(|run| !run.samples.is_empty())
        };
        let runs = [run(0, VIDEO_TRACK, &rows.0[..]), run(1, AUDIO_TRACK, &rows.1[..])];
        let head = FragmentHead { sequence: number as u32, runs };
        let mut bytes = vec![0; head.bytes() as usize];
        head.read_at(0, &mut bytes);
        file.extend(bytes);
        for (lane, rows) in [&rows.0, &rows.1].into_iter().enumerate() {
            for row in rows {
                samples[lane].push(read_back(row, file.len(), times[lane]));
                file.extend(vec![number as u8; row.bytes as usize]);
                times[lane] += u64::from(row.duration);
            }
        }
        ends.push(file.len());
    }
    Made { file, ends, samples }
}

/// Finishes it, in steps of so many fragments.
fn finish(file: &mut Vec<u8>, fragments: u32) -> (u64, u64) {
    let mut finisher = with_file(file, |open| Finisher::new(open).unwrap());
    let mut patch = Patch(Vec::new());
    let (moov_at, end) = loop {
        let step = with_file(file, |open| finisher.step(open, &mut patch, fragments).unwrap());
        if let Finish::Done { moov_at, end } = step {
            break (moov_at, end);
        }
    };
    file.truncate(moov_at as usize);
    file.resize(end as usize, 0xEE);
    let mut written = 0;
    for (at, bytes) in patch.0 {
        file[at as usize..][..bytes.len()].copy_from_slice(&bytes);
        written += bytes.len() as u64;
    }
    assert_eq!(written, end - moov_at, "each byte is written once");
    (moov_at, end)
}

fn rows(composed: bool) -> impl Strategy<Value = Vec<SampleRow>> {
    let row = (
        1u32..90,
        1u32..60,
        if composed { -40i32..90 } else { 0..1 },
        prop::bool::weighted(if composed { 0.2 } else { 1.0 }),
    )
        .prop_map(|(duration, bytes, composition, is_key)| SampleRow { duration, bytes, composition, is_key });
    prop::collection::vec(row, 0..12)
}

proptest! {
    #[test]
    fn a_finished_recording_says_what_its_fragments_said_wherever_it_was_torn(
        first in prop::collection::vec((1u32..90, 1u32..60), 1..4),
        fragments in prop::collection::vec((rows(true), rows(false)), 0..30),
        begins in (0u64..5000, 0u64..5000),
        steps in 1u32..9,
        torn in prop::option::of(any::<prop::sample::Index>()),
        zeros in 0usize..40,
    ) {
        let first: Vec<_> = first.iter().map(|&(duration, bytes)| SampleRow { duration, bytes, composition: 0, is_key: true }).collect();
        let fragments: Vec<_> = core::iter::once((first, Vec::new())).chain(fragments).collect();
        // Sound counts in 48 000ths.
        let begins = [begins.0, begins.1 * 48];
        let Made { mut file, ends, samples } = make(&fragments, begins);
        let cut = torn.map_or(file.len(), |torn| ends[0] + torn.index(file.len() - ends[0] + 1));
        file.truncate(cut);
        // Zeros that make up for all that is missing cannot be told from media.
        let missing = ends.iter().copied().find(|&end| end > cut).map_or(usize::MAX, |end| end - cut - 1);
        file.resize(cut + zeros.min(missing), 0);
        let media_end = ends.iter().rev().copied().find(|&end| end <= cut).unwrap();
        let media = file[..media_end].to_vec();
        let (moov_at, _) = finish(&mut file, steps);
        prop_assert_eq!(moov_at as usize, media_end);
        prop_assert_eq!(&file[..media_end], &media[..], "media is not touched");

        // Until the header is written it is the fragmented file that it was.
        let all = |file: &[u8]| with_file(file, |open| {
            let movie = Movie::open(open, Choice::default()).unwrap();
            let tracks = [movie.video, movie.audio].map(|track| track.map(|track| {
                let mut cursor = TrackCursor::default();
                let all: Vec<Sample> = core::iter::from_fn(|| cursor.next(open, &track).unwrap()).collect();
                (track, all)
            }));
            (movie, tracks)
        });
        let (_, before) = all(&file);
        file[HYBRID_AT as usize..][..16].copy_from_slice(&hybrid_closed(moov_at));
        let (movie, after) = all(&file);
        let whole = samples.each_ref().map(|samples| {
            samples.iter().take_while(|sample| sample.at < media_end as u64).copied().collect::<Vec<_>>()
        });
        let shown = |lane: usize| {
            let first = whole[lane].first()?.time;
            whole[lane].iter().map(|sample| sample.time + i64::from(sample.composition)).min().map(|shown| shown.max(first))
        };
        let base_ms = |lane: usize| shown(lane).map(|shown| [shown, (shown + 24) / 48][lane]);
        let origin = base_ms(0).into_iter().chain(base_ms(1)).min().unwrap();
        let mut ends_ms = 0;
        for (lane, whole) in whole.iter().enumerate() {
            let of_fragments = before[lane].as_ref().map(|(_, found)| &found[..]).unwrap_or_default();
            prop_assert_eq!(of_fragments, &whole[..]);
            prop_assert_eq!(after[lane].is_some(), !whole.is_empty());
            let Some((track, found)) = &after[lane] else { continue };
            let begin = whole[0].time;
            // Times begin anew; the edit list says how much later than the other track.
            let moved: Vec<_> = whole.iter().map(|sample| Sample { time: sample.time - begin, ..*sample }).collect();
            prop_assert_eq!(found, &moved);
            prop_assert_eq!(track.fragments, None);
            let delay = base_ms(lane).unwrap() - origin;
            let late = shown(lane).unwrap() - begin;
            prop_assert_eq!(track.shift, delay * i64::from(track.timescale) / 1000 - late);
            ends_ms = ends_ms.max((track.ms(track.duration as i64) + delay).cast_unsigned());
        }
        prop_assert!(movie.said_ms.abs_diff(ends_ms) <= 1, "{} {}", movie.said_ms, ends_ms);
        // Without its header it can be finished again.
        let finished = file.clone();
        file[HYBRID_AT as usize..][..16].copy_from_slice(&crate::wire::mp4::init::HYBRID_OPEN);
        finish(&mut file, 3);
        file[HYBRID_AT as usize..][..16].copy_from_slice(&hybrid_closed(moov_at));
        prop_assert!(file == finished);
    }

    #[test]
    fn a_damaged_recording_is_finished_or_refused_in_bounded_steps(
        fragments in prop::collection::vec((rows(true), rows(false)), 1..6),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let Made { mut file, .. } = make(&fragments, [0, 0]);
        for (at, value) in hits {
            let at = at.index(file.len());
            file[at] = value;
        }
        let Ok(mut finisher) = with_file(&file, |open| Finisher::new(open).map_err(drop)) else { return Ok(()) };
        let mut patch = Patch(Vec::new());
        for _ in 0..200 {
            match with_file(&file, |open| finisher.step(open, &mut patch, 4)) {
                Ok(Finish::Going) => {}
                Ok(Finish::Done { moov_at, end }) => {
                    prop_assert!(moov_at <= file.len() as u64 && patch.0.iter().all(|(at, bytes)| moov_at <= *at && at + bytes.len() as u64 <= end));
                    return Ok(());
                }
                Err(_) => return Ok(()),
            }
        }
        prop_assert!(false, "it does not end");
    }
}

#[test]
fn a_finisher_is_small() {
    assert!(size_of::<Finisher>() <= 12 * 1024, "{}", size_of::<Finisher>());
}
