//! What a server that lost its power left of a recording: whatever it is, the next start makes it a file that is complete, or lets it be,
//! and finds nothing to do the second time.

use rill::live::jobs::{Done, Job};
use rill::live::recording::{RecordDone, RecordJob};
use rill::live::settings::Settings;
use rill::wire::flv_file::FlvFile;
use rill::wire::flv_front::{FRONT_BYTES, Front, SIZE_BYTES, size_in};
use rill::wire::windows::{File, Windows};

use crate::sim::card::{Recorder, Stored};

use super::finishes::hybrid;

/// Steps that are done at most.
const STEPS: usize = 10_000;
/// A file grows by no more than its index, or by a front.
const MORE_BYTES: usize = 64 * 1024;

/// The first byte says what stands before the others: nothing, the front of an FLV file, or that of an MP4 file.
pub fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let (file, ending) = match kind % 4 {
        0 => (rest.to_vec(), "flv"),
        1 => (rest.to_vec(), "mp4"),
        2 => (hybrid(rest), "mp4"),
        _ => {
            let mut front = Box::new([0; FRONT_BYTES]);
            Front { has_video: true, has_audio: true, ..Front::default() }.emit(&mut front);
            ([&front[..], rest].concat(), "flv")
        }
    };
    let path = format!("/apps/live/recordings/cam/000001-nodate.{ending}");
    let mut recorder = Recorder::new(&Settings { recordings: 1, ..Settings::default() });
    recorder.card.borrow_mut().files.insert(path.clone().into(), Stored::of(file.clone()));
    let Some(left) = tend(&mut recorder) else { return };
    assert!(left.len() <= file.len() + MORE_BYTES, "{} bytes became {}", file.len(), left.len());
    if ending == "flv" && file.get(..SIZE_BYTES).and_then(size_in) == Some(0) {
        assert_eq!(left.get(..SIZE_BYTES).and_then(size_in), Some(left.len() as u64), "it is complete");
        let (mut source, mut windows) = (&left[..], Windows::new());
        assert!(FlvFile::open(&mut File::new(&mut source, &mut windows)).is_ok(), "it opens");
    }
    recorder.set(&[]);
    assert!(tend(&mut recorder).as_ref() == Some(&left), "there is nothing to do the second time");
}

/// Does what there is to do; the file that is left.
fn tend(recorder: &mut Recorder) -> Option<Vec<u8>> {
    for _ in 0..STEPS {
        let done = recorder.thread.worker.work(Job::Recording(RecordJob::Tend));
        if let Done::Recording(RecordDone::Tended { more: false, .. }) = done {
            return recorder.stored().pop().map(|(_, bytes)| bytes);
        }
    }
    panic!("it does not come to an end");
}
