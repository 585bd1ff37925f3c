//! The head of a fragment (`moof` and the header of `mdat`; ISO/IEC 14496-12, 8.8.4 to 8.8.12 and 8.1.1): of one sample, and of many.
//! The samples' bytes come behind it, as they are.

use super::boxes::{BOX, BoxPart, FULL_BOX};

/// Bytes in front of the media of a fragment of one sample.
pub const SINGLE_BYTES: usize = 112;

const MFHD: u32 = FULL_BOX + 4;
const TFHD: u32 = FULL_BOX + 4;
const TFDT: u32 = FULL_BOX + 8;
/// A run of samples, without their rows.
const TRUN: u32 = FULL_BOX + 8;
const ROW: u32 = 16;

/// Places count from the `moof` box.
const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
/// A run says where its media begins, and of each sample duration, size, flags and composition offset.
const RUN_FLAGS: u32 = 0x00_0F01;
/// Flags of a sample (8.8.3.1): it depends on no other; it depends on others and is no place to begin.
const KEY: u32 = 0x0200_0000;
const NOT_KEY: u32 = 0x0101_0000;

/// A sample of a fragment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleRow {
    /// How long it lasts, in ticks of its track.
    pub duration: u32,
    /// How long it is, in bytes.
    pub bytes: u32,
    /// How many ticks after it was decoded it is shown; it may be negative.
    pub composition: i32,
    /// Players may begin with it, as with all sound.
    pub is_key: bool,
}

impl SampleRow {
    fn emit(&self, out: &mut BoxPart<'_>) {
        let flags = if self.is_key { KEY } else { NOT_KEY };
        out.words(&[self.duration, self.bytes, flags, self.composition.cast_unsigned()]);
    }
}

/// Some samples of a track, one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleRun<'a> {
    /// The track ([`VIDEO_TRACK`](super::init::VIDEO_TRACK), [`AUDIO_TRACK`](super::init::AUDIO_TRACK)).
    pub track: u32,
    /// When the first is decoded, in ticks.
    pub decode_time: u64,
    /// The samples.
    pub samples: &'a [SampleRow],
}

impl SampleRun<'_> {
    fn traf_bytes(&self) -> u32 {
        BOX + TFHD + TFDT + self.trun_bytes()
    }

    fn trun_bytes(&self) -> u32 {
        TRUN + ROW * self.samples.len() as u32
    }

    fn media_bytes(&self) -> u32 {
        self.samples.iter().map(|sample| sample.bytes).sum()
    }

    /// `media` is how far behind the beginning of the `moof` box its media lies.
    fn emit(&self, media: u32, out: &mut BoxPart<'_>) {
        out.open(b"traf", self.traf_bytes());
        out.open_full(b"tfhd", TFHD, 0, DEFAULT_BASE_IS_MOOF);
        out.u32(self.track);
        out.open_full(b"tfdt", TFDT, 1, 0);
        out.u64(self.decode_time);
        out.open_full(b"trun", self.trun_bytes(), 1, RUN_FLAGS);
        out.words(&[self.samples.len() as u32, media]);
        for sample in self.samples {
            if out.is_full() {
                break;
            }
            if !out.passes(ROW.into()) {
                sample.emit(out);
            }
        }
    }
}

/// What stands in front of a fragment's media: that of its first run, and then that of its second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentHead<'a> {
    /// Its number; later fragments have higher ones.
    pub sequence: u32,
    /// Runs of samples, at most one a track.
    pub runs: [Option<SampleRun<'a>>; 2],
}

impl FragmentHead<'_> {
    /// How long it is, in bytes.
    pub fn bytes(&self) -> u32 {
        self.moof_bytes() + BOX
    }

    /// How long its media is, in bytes.
    pub fn media_bytes(&self) -> u32 {
        self.runs.iter().flatten().map(SampleRun::media_bytes).sum()
    }

    /// Copies what lies from byte `from` on to `out`, and says how much that is: 0 behind its end.
    pub fn read_at(&self, from: u32, out: &mut [u8]) -> usize {
        let mut part = BoxPart::new(from.into(), out);
        self.emit(&mut part);
        part.filled()
    }

    fn moof_bytes(&self) -> u32 {
        BOX + MFHD + self.runs.iter().flatten().map(SampleRun::traf_bytes).sum::<u32>()
    }

    fn emit(&self, out: &mut BoxPart<'_>) {
        out.open(b"moof", self.moof_bytes());
        out.open_full(b"mfhd", MFHD, 0, 0);
        out.u32(self.sequence);
        let mut media = self.bytes();
        for run in self.runs.iter().flatten() {
            run.emit(media, out);
            media += run.media_bytes();
        }
        out.open(b"mdat", BOX + self.media_bytes());
    }
}

/// A fragment of one sample, which a live viewer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Single {
    /// Its number; later fragments have higher ones.
    pub sequence: u32,
    /// Its track.
    pub track: u32,
    /// When it is decoded, in ticks of the track.
    pub decode_time: u64,
    /// The sample.
    pub sample: SampleRow,
}

impl Single {
    /// What stands in front of the sample's bytes.
    pub fn head(&self) -> [u8; SINGLE_BYTES] {
        let run = SampleRun { track: self.track, decode_time: self.decode_time, samples: &[self.sample] };
        let mut head = [0; SINGLE_BYTES];
        FragmentHead { sequence: self.sequence, runs: [Some(run), None] }.read_at(0, &mut head);
        head
    }
}

#[cfg(test)]
mod tests;
