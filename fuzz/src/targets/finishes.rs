//! The end of an MP4 recording: whatever its fragments say, the tables are written within bounded steps, where they belong, and nothing
//! of the media is touched.

use rill::wire::codec::synthetic::AVC_RECORD;
use rill::wire::flv::Codec;
use rill::wire::mp4::description::TrackDescription;
use rill::wire::mp4::finish::{Finish, Finisher, WriteAt};
use rill::wire::mp4::init::{HYBRID_AT, Init, hybrid_closed};
use rill::wire::mp4::{Choice, Movie};
use rill::wire::windows::{File, Windows};

/// Steps that are made at most, a fragment each.
const STEPS: usize = 10_000;

/// What is written, and where.
struct Patches(Vec<(u64, Vec<u8>)>);

impl WriteAt for Patches {
    type Error = ();

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), ()> {
        self.0.push((at, bytes.to_vec()));
        Ok(())
    }
}

/// The front of a recording with pictures and sound, and these bytes for its fragments.
pub fn hybrid(fragments: &[u8]) -> Vec<u8> {
    let front = Init {
        video: TrackDescription::new(Codec::Avc, &AVC_RECORD),
        audio: TrackDescription::new(Codec::Aac, &[0x11, 0x90]),
        hybrid: true,
    };
    let mut file = vec![0; front.bytes() as usize];
    front.read_at(0, &mut file);
    file.extend_from_slice(fragments);
    file
}

/// The first byte says whether the others are the whole file, or its fragments.
pub fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let mut bytes = if kind % 2 == 0 { rest.to_vec() } else { hybrid(rest) };
    let (mut patches, mut windows) = (Patches(Vec::new()), Windows::new());
    let done = {
        let mut source = &bytes[..];
        let mut file = File::new(&mut source, &mut windows);
        let Ok(mut finisher) = Finisher::new(&mut file) else { return };
        let mut done = None;
        for _ in 0..STEPS {
            match finisher.step(&mut file, &mut patches, 1) {
                Ok(Finish::Going) => {}
                Ok(Finish::Done { moov_at, end }) => {
                    done = Some((moov_at, end));
                    break;
                }
                Err(_) => return,
            }
        }
        done.expect("it comes to an end")
    };
    let (moov_at, end) = done;
    assert!(moov_at <= bytes.len() as u64 && moov_at <= end, "the tables stand behind the media");
    let mut written = 0;
    for (at, patch) in &patches.0 {
        assert!(*at >= moov_at && at + patch.len() as u64 <= end, "nothing is written elsewhere");
        written += patch.len() as u64;
    }
    assert_eq!(written, end - moov_at, "every byte once");
    if kind % 2 == 1 {
        bytes.resize(end as usize, 0);
        for (at, patch) in &patches.0 {
            bytes[*at as usize..][..patch.len()].copy_from_slice(patch);
        }
        bytes[HYBRID_AT as usize..][..16].copy_from_slice(&hybrid_closed(moov_at));
        let mut source = &bytes[..];
        assert!(Movie::open(&mut File::new(&mut source, &mut windows), Choice::default()).is_ok(), "it opens");
    }
}
