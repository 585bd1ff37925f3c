//! The front of a fragmented file or stream (ISO/IEC 14496-12, 8.1, 8.2, 8.8.1): what its tracks are, and no sample.

use super::TrackKind;
use super::boxes::{BOX, BoxPart, FULL_BOX};
use super::description::TrackDescription;

/// What the tracks are called.
pub const VIDEO_TRACK: u32 = 1;
/// See [`VIDEO_TRACK`].
pub const AUDIO_TRACK: u32 = 2;
/// The first name that is free.
const NEXT_TRACK: u32 = 3;

/// Where the space of a hybrid file lies that becomes the header of all its media.
pub const HYBRID_AT: u64 = FTYP as u64;
/// What such a file begins with.
pub(super) const FTYP_BOX: [u8; 28] = *b"\0\0\0\x1Cftypiso5\0\0\x02\0iso5iso6mp41";
/// That space while the file is written: a box with nothing in it.
pub const HYBRID_OPEN: [u8; 16] = *b"\0\0\0\x10free\0\0\0\0\0\0\0\0";

/// That space when the file is finished: the header of an `mdat` box which holds all that lies before the final `moov` box at
/// `moov_at`, so that readers see an ordinary file.
pub fn hybrid_closed(moov_at: u64) -> [u8; 16] {
    let mut header = *b"\0\0\0\x01mdat\0\0\0\0\0\0\0\0";
    header[8..].copy_from_slice(&moov_at.saturating_sub(HYBRID_AT).to_be_bytes());
    header
}

/// Where the `moov` box of a hybrid file lies that says what its tracks are.
pub const HYBRID_TRACKS_AT: u64 = HYBRID_AT + HYBRID_OPEN.len() as u64;

/// Sizes of boxes.
const FTYP: u32 = FTYP_BOX.len() as u32;
const MVHD: u32 = FULL_BOX + 96;
const TKHD: u32 = FULL_BOX + 80;
const MDHD: u32 = FULL_BOX + 20;
const HDLR: u32 = FULL_BOX + 21;
const VMHD: u32 = FULL_BOX + 8;
const SMHD: u32 = FULL_BOX + 4;
const DINF: u32 = BOX + FULL_BOX + 4 + FULL_BOX;
const STSD_FIELDS: u32 = FULL_BOX + 4;
/// Tables without an entry.
const EMPTY_TABLES: u32 = 3 * (FULL_BOX + 4) + FULL_BOX + 8;
const TREX: u32 = FULL_BOX + 20;

/// No rotation, no scaling (8.2.2.2).
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
/// Milliseconds.
pub(super) const MOVIE_TIMESCALE: u32 = 1000;
/// Language "und".
const LANGUAGE: u16 = 0x55C4;
/// A track is enabled, and in the movie and its preview.
const TRACK_FLAGS: u32 = 7;

/// The front of a stream or file of at most two tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Init<'a> {
    /// Pictures.
    pub video: Option<TrackDescription<'a>>,
    /// Sound.
    pub audio: Option<TrackDescription<'a>>,
    /// It is a file that is finished at its end: space is kept at [`HYBRID_AT`].
    pub hybrid: bool,
}

impl Init<'_> {
    /// How long it is, in bytes.
    pub fn bytes(&self) -> u32 {
        let hybrid = if self.hybrid { HYBRID_OPEN.len() as u32 } else { 0 };
        FTYP + hybrid + self.moov_bytes()
    }

    /// Copies what lies from byte `from` on to `out`, and says how much that is: 0 behind its end.
    pub fn read_at(&self, from: u32, out: &mut [u8]) -> usize {
        let mut part = BoxPart::new(from.into(), out);
        self.emit(&mut part);
        part.filled()
    }

    /// Of a hybrid file: a mark of all that it says of its tracks, which is another one where anything of that is
    /// ([`Hybrid::mark`](super::hybrid::Hybrid::mark)).
    pub fn mark(&self) -> u64 {
        let (mut mark, mut at, mut piece) = (Mark::new(), HYBRID_TRACKS_AT as u32, [0; 128]);
        loop {
            let count = self.read_at(at, &mut piece);
            if count == 0 {
                return mark.0;
            }
            mark.add(&piece[..count]);
            at += count as u32;
        }
    }

    fn tracks(&self) -> impl Iterator<Item = TrackFront> {
        let video = self.video.map(|description| (VIDEO_TRACK, description));
        let audio = self.audio.map(|description| (AUDIO_TRACK, description));
        video.into_iter().chain(audio).map(|(id, description)| TrackFront {
            kind: description.kind(),
            id,
            timescale: description.timescale(),
            size: description.size().unwrap_or_default(),
            movie_duration: 0,
            duration: 0,
            edit: None,
            stsd_bytes: STSD_FIELDS + description.bytes(),
            tables_bytes: EMPTY_TABLES,
        })
    }

    fn moov_bytes(&self) -> u32 {
        let tracks = self.tracks().map(|track| track.bytes() + TREX).sum::<u32>();
        BOX + MVHD + BOX + tracks
    }

    fn emit(&self, out: &mut BoxPart<'_>) {
        out.put(&FTYP_BOX);
        if self.hybrid {
            out.put(&HYBRID_OPEN);
        }
        out.open(b"moov", self.moov_bytes());
        movie_header(0, out);
        for (track, description) in self.tracks().zip(self.video.iter().chain(&self.audio)) {
            track.emit(out);
            out.open_full(b"stsd", track.stsd_bytes, 0, 0);
            out.u32(1);
            description.emit(out);
            for kind in [b"stts", b"stsc"] {
                out.open_full(kind, FULL_BOX + 4, 0, 0);
                out.u32(0);
            }
            out.open_full(b"stsz", FULL_BOX + 8, 0, 0);
            out.words(&[0, 0]);
            out.open_full(b"stco", FULL_BOX + 4, 0, 0);
            out.u32(0);
        }
        out.open(b"mvex", BOX + TREX * self.tracks().count() as u32);
        for track in self.tracks() {
            out.open_full(b"trex", TREX, 0, 0);
            out.words(&[track.id, 1, 0, 0, 0]);
        }
    }
}

/// FNV-1a. An encoder that makes two fronts of one mark on purpose spoils its own recording.
pub(super) struct Mark(pub(super) u64);

impl Mark {
    pub(super) const fn new() -> Mark {
        Mark(0xCBF2_9CE4_8422_2325)
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |mark, &byte| (mark ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
    }
}

/// The header of a movie that lasts so many milliseconds.
pub(super) fn movie_header(duration: u64, out: &mut BoxPart<'_>) {
    out.open_full(b"mvhd", MVHD, 0, 0);
    out.words(&[0, 0, MOVIE_TIMESCALE, short(duration), 0x0001_0000]);
    out.u16(0x0100);
    out.zeros(10);
    out.words(&MATRIX);
    out.zeros(24);
    out.u32(NEXT_TRACK);
}

/// Bytes of [`movie_header`].
pub(super) const MOVIE_HEADER: u32 = MVHD;

/// A duration of 32 bits; all ones where it is not known (8.2.2.3).
fn short(duration: u64) -> u32 {
    u32::try_from(duration).unwrap_or(u32::MAX)
}

/// A `trak` box up to its sample descriptions, which come next, and then its tables.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrackFront {
    pub(super) kind: TrackKind,
    pub(super) id: u32,
    /// Ticks a second.
    pub(super) timescale: u32,
    /// Width and height in pixels.
    pub(super) size: (u16, u16),
    /// In the movie, in milliseconds.
    pub(super) movie_duration: u64,
    /// In ticks.
    pub(super) duration: u64,
    /// What an edit list is to say of it, where there is one.
    pub(super) edit: Option<TrackEdit>,
    /// Bytes of the sample descriptions, with their box.
    pub(super) stsd_bytes: u32,
    /// Bytes of the tables, with theirs.
    pub(super) tables_bytes: u32,
}

/// When a track is shown: readers leave out what is beyond its duration, counted from its first picture (8.6.6).
#[derive(Clone, Copy, Debug)]
pub(super) struct TrackEdit {
    /// How many milliseconds after the movie it begins.
    pub(super) delay: u32,
    /// When its first sample is shown, in ticks behind the time at which that of them is decoded which is first.
    pub(super) first_shown: u32,
}

impl TrackEdit {
    fn entries(self) -> u32 {
        1 + u32::from(self.delay > 0)
    }

    fn bytes(self) -> u32 {
        BOX + FULL_BOX + 4 + 12 * self.entries()
    }
}

impl TrackFront {
    /// Bytes of the whole `trak` box.
    pub(super) fn bytes(&self) -> u32 {
        BOX + TKHD + self.edits_bytes() + self.mdia_bytes()
    }

    fn edits_bytes(&self) -> u32 {
        self.edit.map_or(0, TrackEdit::bytes)
    }

    fn mdia_bytes(&self) -> u32 {
        BOX + MDHD + HDLR + self.minf_bytes()
    }

    fn minf_bytes(&self) -> u32 {
        let header = match self.kind {
            TrackKind::Video => VMHD,
            TrackKind::Audio => SMHD,
        };
        BOX + header + DINF + self.stbl_bytes()
    }

    fn stbl_bytes(&self) -> u32 {
        BOX + self.stsd_bytes + self.tables_bytes
    }

    pub(super) fn emit(&self, out: &mut BoxPart<'_>) {
        let (volume, handler) = match self.kind {
            TrackKind::Video => (0, b"vide"),
            TrackKind::Audio => (0x0100, b"soun"),
        };
        out.open(b"trak", self.bytes());
        out.open_full(b"tkhd", TKHD, 0, TRACK_FLAGS);
        out.words(&[0, 0, self.id, 0, short(self.movie_duration), 0, 0, 0]);
        out.u16(volume);
        out.u16(0);
        out.words(&MATRIX);
        let (width, height) = self.size;
        out.words(&[u32::from(width) << 16, u32::from(height) << 16]);
        if let Some(edit) = self.edit {
            out.open(b"edts", edit.bytes());
            out.open_full(b"elst", edit.bytes() - BOX, 0, 0);
            out.u32(edit.entries());
            if edit.delay > 0 {
                out.words(&[edit.delay, u32::MAX, 0x0001_0000]);
            }
            let lasts = short(self.movie_duration.saturating_sub(edit.delay.into()));
            out.words(&[lasts, edit.first_shown, 0x0001_0000]);
        }
        out.open(b"mdia", self.mdia_bytes());
        out.open_full(b"mdhd", MDHD, 0, 0);
        out.words(&[0, 0, self.timescale, short(self.duration)]);
        out.u16(LANGUAGE);
        out.u16(0);
        out.open_full(b"hdlr", HDLR, 0, 0);
        out.u32(0);
        out.put(handler);
        out.zeros(13);
        out.open(b"minf", self.minf_bytes());
        match self.kind {
            TrackKind::Video => {
                out.open_full(b"vmhd", VMHD, 0, 1);
                out.zeros(8);
            }
            TrackKind::Audio => {
                out.open_full(b"smhd", SMHD, 0, 0);
                out.zeros(4);
            }
        }
        out.open(b"dinf", DINF);
        out.open_full(b"dref", DINF - BOX, 0, 0);
        out.u32(1);
        // The media lies in the same file.
        out.open_full(b"url ", FULL_BOX, 0, 1);
        out.open(b"stbl", self.stbl_bytes());
    }
}
