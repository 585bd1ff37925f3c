//! Films and FLV files: whatever a file holds, it is opened, played and sought in within bounded time, and no sample lies
//! outside of it.

use rill::wire::flv_file::FlvFile;
use rill::wire::mp4::{Choice, Movie, TrackCursor};
use rill::wire::recorded::Recorded;
use rill::wire::windows::{File, Windows};

/// Samples that are read of a track at most: a file of a few kilobytes can say that it has four billion.
const SAMPLES: usize = 10_000;

/// The file, as what it says to be.
pub fn run(bytes: &[u8]) {
    let mut source = bytes;
    let mut windows = Windows::new();
    run_messages(bytes, &mut File::new(&mut source, &mut windows));
    if bytes.starts_with(b"FLV") {
        return run_flv(bytes, &mut File::new(&mut source, &mut windows));
    }
    let Ok(movie) = Movie::open(&mut File::new(&mut source, &mut windows), Choice::default()) else { return };
    for track in movie.video.iter().chain(&movie.audio) {
        let mut file = File::new(&mut source, &mut windows);
        let mut cursor = TrackCursor::default();
        for _ in 0..SAMPLES {
            let Ok(Some(sample)) = cursor.next(&mut file, track) else { break };
            assert!(sample.at + u64::from(sample.bytes) <= bytes.len() as u64, "a sample lies outside of the file");
            assert!(track.shown_ms(&sample) >= track.decode_ms(&sample), "shown before it is decoded");
        }
        for time in [i64::MIN, -1, 0, 1, 1000, 1 << 40, i64::MAX] {
            let mut file = File::new(&mut source, &mut windows);
            if let Ok(mut cursor) = TrackCursor::at_key_frame(&mut file, track, time) {
                let _ = cursor.next(&mut file, track);
            }
        }
    }
}

fn run_messages(bytes: &[u8], file: &mut File<'_, &[u8]>) {
    let Ok(recorded) = Recorded::open(file, Choice::default()) else { return };
    for place in
        [recorded.begin(file), recorded.seek(file, 0), recorded.seek(file, 1000), recorded.seek(file, u32::MAX)]
    {
        let Ok(mut place) = place else { continue };
        for _ in 0..SAMPLES {
            let Ok(Some(message)) = recorded.next(file, &mut place) else { break };
            assert!(message.body.at + u64::from(message.body.bytes) <= bytes.len() as u64, "a message lies outside");
        }
    }
}

fn run_flv(bytes: &[u8], file: &mut File<'_, &[u8]>) {
    let Ok(found) = FlvFile::open(file) else { return };
    let mut at = found.first;
    while let Ok(Some(tag)) = found.tag(file, at) {
        assert!(tag.end() <= bytes.len() as u64, "a tag lies outside of the file");
        at = tag.end();
    }
    for time in [0, 1, 1000, 1 << 20, u32::MAX] {
        if let Ok((place, _)) = found.seek(file, time) {
            assert!(found.tag(file, place).is_ok_and(|tag| tag.is_some()), "no tag to begin at");
        }
    }
}
