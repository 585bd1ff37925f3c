//! Films that are written here: their tables are real, their media is a hole in the file.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

/// How a film is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The table in front of the media.
    TableFirst,
    /// Behind it, as recorders write it.
    TableLast,
    /// Fragments of two seconds.
    Fragments {
        /// With an index of them at the end (`mfra`), or in front (`sidx`), or without.
        index: Index,
    },
    /// FLV, with the places of its key frames in its metadata, or without. Each of its tags is written: they lie too near to each
    /// other for holes.
    Flv {
        /// With them.
        indexed: bool,
    },
}

/// Where the index of fragments is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    None,
    AtEnd,
    InFront,
}

/// Pictures of 30 a second with a key frame every two seconds, every other with a composition offset; and 48 000 samples of sound
/// a second, 1024 in a frame.
#[derive(Clone, Copy, Debug)]
pub struct Film {
    pub seconds: u32,
    /// Bytes of a frame; a key frame has ten times as many.
    pub picture_bytes: u32,
    pub sound_bytes: u32,
    pub layout: Layout,
}

/// Ticks of a picture, of a second, of a frame of sound.
const PICTURE: u32 = 1000;
const SECOND: u32 = 30_000;
const SOUND: u32 = 1024;
const SOUND_SECOND: u32 = 48_000;
/// Pictures from one key frame to the next.
const GOP: u32 = 60;

pub fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes(), &kind[..], body].concat()
}

pub fn full(kind: &[u8; 4], version_and_flags: u32, fields: &[u32]) -> Vec<u8> {
    let words = [&[version_and_flags], fields].concat();
    boxed(kind, &words.iter().flat_map(|field| field.to_be_bytes()).collect::<Vec<u8>>())
}

fn counted(kind: &[u8; 4], width: usize, fields: &[u32]) -> Vec<u8> {
    full(kind, 0, &[&[(fields.len() / width) as u32], fields].concat())
}

impl Film {
    pub fn pictures(&self) -> u32 {
        self.seconds * SECOND / PICTURE
    }

    pub fn sounds(&self) -> u32 {
        (u64::from(self.seconds) * u64::from(SOUND_SECOND) / u64::from(SOUND)) as u32
    }

    fn picture_size(&self, number: u32) -> u32 {
        if number.is_multiple_of(GOP) { 10 * self.picture_bytes } else { self.picture_bytes }
    }

    fn composition(number: u32) -> u32 {
        if number % 2 == 1 { PICTURE } else { 0 }
    }

    /// Frames of sound that begin before a picture does.
    fn sounds_before(&self, picture: u32) -> u32 {
        let ticks = u64::from(picture) * u64::from(PICTURE) * u64::from(SOUND_SECOND) / u64::from(SECOND);
        (ticks.div_ceil(u64::from(SOUND)) as u32).min(self.sounds())
    }

    /// Bytes of the media of pictures from one to another, with the sound between them.
    fn media_bytes(&self, from: u32, to: u32) -> u64 {
        let pictures: u64 = (from..to).map(|number| u64::from(self.picture_size(number))).sum();
        pictures + u64::from(self.sounds_before(to) - self.sounds_before(from)) * u64::from(self.sound_bytes)
    }

    /// Writes it.
    pub fn write(&self, path: &Path) {
        let mut file = BufWriter::new(File::create(path).unwrap());
        if let Layout::Flv { indexed } = self.layout {
            return self.write_flv(&mut file, indexed);
        }
        let ftyp = boxed(b"ftyp", b"isom\0\0\0\0");
        file.write_all(&ftyp).unwrap();
        let mut at = ftyp.len() as u64;
        match self.layout {
            Layout::Fragments { index } => self.write_fragments(&mut file, at, index),
            Layout::Flv { .. } => unreachable!("it was written"),
            Layout::TableFirst | Layout::TableLast => {
                let media = self.media_bytes(0, self.pictures());
                let header = [&1u32.to_be_bytes()[..], b"mdat", &(media + 16).to_be_bytes()].concat();
                let table_bytes = self.moov(0).len() as u64;
                if self.layout == Layout::TableFirst {
                    file.write_all(&self.moov(at + table_bytes + 16)).unwrap();
                    at += table_bytes;
                }
                file.write_all(&header).unwrap();
                at += 16;
                file.seek(SeekFrom::Start(at + media)).unwrap();
                if self.layout == Layout::TableLast {
                    file.write_all(&self.moov(at)).unwrap();
                }
            }
        }
        let end = file.stream_position().unwrap();
        file.into_inner().unwrap().set_len(end).unwrap();
    }

    /// The table of a film whose media begins at `media`: a picture a chunk, and between two of them a chunk of one frame of sound
    /// or two.
    fn moov(&self, media: u64) -> Vec<u8> {
        let mut at = media;
        let (mut picture_chunks, mut sound_chunks, mut runs) = (Vec::new(), Vec::new(), Vec::new());
        let wide = |at: u64| [(at >> 32) as u32, at as u32];
        for picture in 0..self.pictures() {
            picture_chunks.extend(wide(at));
            at += u64::from(self.picture_size(picture));
            let count = self.sounds_before(picture + 1) - self.sounds_before(picture);
            if count > 0 {
                if runs.last_chunk::<3>().is_none_or(|[_, before, _]| *before != count) {
                    runs.extend([sound_chunks.len() as u32 / 2 + 1, count, 1]);
                }
                sound_chunks.extend(wide(at));
                at += u64::from(count * self.sound_bytes);
            }
        }
        let pictures = 0..self.pictures();
        let sizes = pictures.clone().map(|number| self.picture_size(number));
        let sizes: Vec<u32> = [0, self.pictures()].into_iter().chain(sizes).collect();
        let video = [
            counted(b"stts", 2, &[self.pictures(), PICTURE]),
            counted(
                b"ctts",
                2,
                &pictures.clone().flat_map(|number| [1, Film::composition(number)]).collect::<Vec<_>>(),
            ),
            counted(b"stsc", 3, &[1, 1, 1]),
            full(b"stsz", 0, &sizes),
            counted(b"co64", 2, &picture_chunks),
            counted(b"stss", 1, &pictures.step_by(GOP as usize).map(|number| number + 1).collect::<Vec<_>>()),
        ];
        let sound_sizes = (0..self.sounds()).map(|_| self.sound_bytes);
        let audio = [
            counted(b"stts", 2, &[self.sounds(), SOUND]),
            counted(b"stsc", 3, &runs),
            // Each by itself, as encoders of varying frames write it.
            full(b"stsz", 0, &[0, self.sounds()].into_iter().chain(sound_sizes).collect::<Vec<_>>()),
            counted(b"co64", 2, &sound_chunks),
        ];
        let mvhd = full(b"mvhd", 0, &[0, 0, 1000, self.seconds * 1000]);
        boxed(b"moov", &[mvhd, self.video_track(&video), self.audio_track(&audio)].concat())
    }

    fn video_track(&self, tables: &[Vec<u8>]) -> Vec<u8> {
        let mut fields = vec![0; 78];
        (fields[7], fields[24], fields[25], fields[26], fields[27]) = (1, 5, 0, 2, 208);
        let entry = boxed(b"avc1", &[fields, boxed(b"avcC", b"\x01\x42\xC0\x1E\xFF\xE0\x00")].concat());
        track(1, b"vide", SECOND, &entry, tables)
    }

    fn audio_track(&self, tables: &[Vec<u8>]) -> Vec<u8> {
        let mut fields = vec![0; 28];
        (fields[7], fields[17], fields[24], fields[25]) = (1, 2, 0xBB, 0x80);
        let specific = [0x05, 2, 0x11, 0x90];
        let configuration = [&[0x04, 13 + 4, 0x40, 0x15][..], &[0; 11], &specific].concat();
        let descriptor = [&[0x03, 3 + configuration.len() as u8, 0, 0, 0][..], &configuration].concat();
        let esds = boxed(b"esds", &[&[0; 4][..], &descriptor].concat());
        track(2, b"soun", SOUND_SECOND, &boxed(b"mp4a", &[fields, esds].concat()), tables)
    }

    fn write_fragments(&self, file: &mut (impl Write + Seek), mut at: u64, index: Index) {
        let empty =
            [counted(b"stts", 2, &[]), counted(b"stsc", 3, &[]), full(b"stsz", 0, &[0, 0]), counted(b"stco", 1, &[])];
        let trex = |id: u32| full(b"trex", 0, &[id, 1, 0, 0, 0]);
        let mvhd = full(b"mvhd", 0, &[0, 0, 1000, 0]);
        let mvex = boxed(b"mvex", &[trex(1), trex(2)].concat());
        let moov = boxed(b"moov", &[mvhd, self.video_track(&empty), self.audio_track(&empty), mvex].concat());
        file.write_all(&moov).unwrap();
        at += moov.len() as u64;
        let fragment = |from: u32| (self.moof(from), self.media_bytes(from, (from + GOP).min(self.pictures())));
        if index == Index::InFront {
            let references = (0..self.pictures()).step_by(GOP as usize).flat_map(|from| {
                let (moof, media) = fragment(from);
                [moof.len() as u32 + 8 + media as u32, GOP * PICTURE, 0x9000_0000]
            });
            let count = self.pictures().div_ceil(GOP);
            let fields: Vec<u32> = [1, SECOND, 0, 0, count].into_iter().chain(references).collect();
            let sidx = full(b"sidx", 0, &fields);
            file.write_all(&sidx).unwrap();
            at += sidx.len() as u64;
        }
        let mut places = Vec::new();
        for from in (0..self.pictures()).step_by(GOP as usize) {
            let (moof, media) = fragment(from);
            places.extend([0, from * PICTURE, (at >> 32) as u32, at as u32, 0x0101_0100]);
            file.write_all(&moof).unwrap();
            file.write_all(&(media as u32 + 8).to_be_bytes()).unwrap();
            file.write_all(b"mdat").unwrap();
            at += moof.len() as u64 + 8 + media;
            file.seek(SeekFrom::Start(at)).unwrap();
        }
        if index == Index::AtEnd {
            // 64-bit times and places; three numbers of a byte each.
            let bytes: Vec<u8> = places
                .chunks(5)
                .flat_map(|entry| {
                    let words = entry[..4].iter().flat_map(|field| field.to_be_bytes());
                    words.chain([1, 1, 1]).collect::<Vec<u8>>()
                })
                .collect();
            let fields =
                [0x0100_0000u32, 1, 0, places.len() as u32 / 5].into_iter().flat_map(|field| field.to_be_bytes());
            let tfra = boxed(b"tfra", &fields.chain(bytes).collect::<Vec<u8>>());
            let mfro = full(b"mfro", 0, &[tfra.len() as u32 + 8 + 16]);
            file.write_all(&boxed(b"mfra", &[tfra, mfro].concat())).unwrap();
        }
    }

    fn write_flv(&self, file: &mut (impl Write + Seek), indexed: bool) {
        let tag = |kind: u8, time_ms: u32, head: &[u8], bytes: u32| {
            let length = bytes.max(head.len() as u32);
            let [high, time @ ..] = time_ms.to_be_bytes();
            let mut tag = [&[kind][..], &length.to_be_bytes()[1..], &time, &[high, 0, 0, 0], head].concat();
            tag.resize(11 + length as usize, 0);
            tag.extend((length + 11).to_be_bytes());
            tag
        };
        let number = |value: f64| [&[0][..], &value.to_be_bytes()].concat();
        let named = |name: &str, value: Vec<u8>| [&(name.len() as u16).to_be_bytes(), name.as_bytes(), &value].concat();
        let metadata = |places: &[(f64, f64)]| {
            let array = |values: Vec<f64>| {
                [vec![10], (values.len() as u32).to_be_bytes().to_vec(), values.into_iter().flat_map(number).collect()]
                    .concat()
            };
            let times = named("times", array(places.iter().map(|place| place.0).collect()));
            let at = named("filepositions", array(places.iter().map(|place| place.1).collect()));
            let end = [0, 0, 9];
            let index = if indexed { named("keyframes", [&[3][..], &times, &at, &end].concat()) } else { Vec::new() };
            let duration = named("duration", number(f64::from(self.seconds)));
            let message = [&b"\x02\0\x0AonMetaData\x08\0\0\0\x02"[..], &duration, &index, &end].concat();
            tag(18, 0, &message, 0)
        };
        let keys = self.pictures().div_ceil(GOP) as usize;
        let mut places = vec![(0.0, 0.0); keys];
        file.write_all(b"FLV\x01\x05\0\0\0\x09\0\0\0\0").unwrap();
        let front = file.stream_position().unwrap();
        file.write_all(&metadata(&places)).unwrap();
        file.write_all(&tag(9, 0, b"\x17\0\0\0\0\x01\x42\xC0\x1E\xFF\xE0\x00", 0)).unwrap();
        file.write_all(&tag(8, 0, &[0xAF, 0, 0x11, 0x90], 0)).unwrap();
        let ms = |ticks: u32, second: u32| (u64::from(ticks) * 1000 / u64::from(second)) as u32;
        for picture in 0..self.pictures() {
            let (time_ms, key) = (ms(picture * PICTURE, SECOND), picture.is_multiple_of(GOP));
            if key {
                places[(picture / GOP) as usize] =
                    (f64::from(time_ms) / 1000.0, file.stream_position().unwrap() as f64);
            }
            let head = [if key { 0x17 } else { 0x27 }, 1, 0, 0, 0];
            file.write_all(&tag(9, time_ms, &head, self.picture_size(picture))).unwrap();
            for sound in self.sounds_before(picture)..self.sounds_before(picture + 1) {
                let time_ms = (u64::from(sound) * u64::from(SOUND) * 1000 / u64::from(SOUND_SECOND)) as u32;
                file.write_all(&tag(8, time_ms, &[0xAF, 1], self.sound_bytes)).unwrap();
            }
        }
        file.seek(SeekFrom::Start(front)).unwrap();
        file.write_all(&metadata(&places)).unwrap();
        file.flush().unwrap();
    }

    /// The head of a fragment of pictures from one on, with their sound behind them.
    fn moof(&self, from: u32) -> Vec<u8> {
        let to = (from + GOP).min(self.pictures());
        let (sound, sound_end) = (self.sounds_before(from), self.sounds_before(to));
        let pictures: u32 = (from..to).map(|number| self.picture_size(number)).sum();
        let head = |offset: u32| {
            let tfdt = |time: u64| full(b"tfdt", 0x0100_0000, &[(time >> 32) as u32, time as u32]);
            let runs = (from..to).flat_map(|number| {
                let flags = if number % GOP == 0 { 0x0200_0000 } else { 0x0101_0000 };
                [PICTURE, self.picture_size(number), flags, Film::composition(number)]
            });
            let runs: Vec<u32> = [to - from, offset].into_iter().chain(runs).collect();
            let video = [
                full(b"tfhd", 0x0002_0000, &[1]),
                tfdt(u64::from(from) * u64::from(PICTURE)),
                full(b"trun", 0xF01, &runs),
            ];
            let sounds = (sound..sound_end).flat_map(|_| [SOUND, self.sound_bytes]);
            let sounds: Vec<u32> = [sound_end - sound, offset + pictures].into_iter().chain(sounds).collect();
            let audio = [
                full(b"tfhd", 0x0002_0000, &[2]),
                tfdt(u64::from(sound) * u64::from(SOUND)),
                full(b"trun", 0x301, &sounds),
            ];
            let mfhd = full(b"mfhd", 0, &[from / GOP + 1]);
            boxed(b"moof", &[mfhd, boxed(b"traf", &video.concat()), boxed(b"traf", &audio.concat())].concat())
        };
        let bytes = head(0).len() as u32;
        head(bytes + 8)
    }
}

fn track(id: u32, handler: &[u8; 4], timescale: u32, entry: &[u8], tables: &[Vec<u8>]) -> Vec<u8> {
    let stsd = boxed(b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1][..], entry].concat());
    let stbl = boxed(b"stbl", &[vec![stsd], tables.to_vec()].concat().concat());
    let mdhd = full(b"mdhd", 0, &[0, 0, timescale, 0, 0]);
    let hdlr = full(b"hdlr", 0, &[0, u32::from_be_bytes(*handler), 0, 0, 0]);
    let mdia = boxed(b"mdia", &[mdhd, hdlr, boxed(b"minf", &stbl)].concat());
    boxed(b"trak", &[full(b"tkhd", 0, &[0, 0, id, 0, 0]), mdia].concat())
}
