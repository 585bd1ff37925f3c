//! FLV files (FLV 10.1, annex E): tags, each with a link back to it, read through windows.
//!
//! A file may be cut off, may be growing, and may have no index: the last whole tag is found by the links behind it, a time by
//! asking a few places of the file for theirs.

use crate::wire::flv::{
    self, CLASSIFY_BYTES, Codec, HeaderKind, SUB_TAG_HEADER_BYTES, SUB_TAG_TRAILER_BYTES, SubTagHeader, TagClass,
};
use crate::wire::windows::{Answer, Extent, Fault, File, ReadAt, STRUCTURE, WINDOW_BYTES};

/// The window of what is walked beside structures.
const TIMES: usize = 0;

/// Tag types.
const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
const SCRIPT: u8 = 18;

/// How many tags at the front are looked at for headers.
const FRONT_TAGS: u32 = 64;
/// How far a place with whole tags is looked for, at the end of a file that was cut off, and in the middle, in bytes.
const TORN_BYTES: u64 = 1 << 20;
const SEARCH_BYTES: u64 = 64 << 10;
/// How many places are asked for their time until the nearest is walked to.
const PROBES: u32 = 16;
/// How far it is walked from there, and back to a key frame, in tags.
const STEPS: u32 = 4096;
/// Values of a file's own metadata that are looked at, and how deep.
const VALUES: u32 = 10_000;
const DEPTH: u32 = 8;

/// A tag, by where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileTag {
    /// The first byte of its header.
    pub start: u64,
    /// Type (8, 9 or 18) and time.
    pub header: SubTagHeader,
}

impl FileTag {
    /// Its payload.
    pub fn payload(&self) -> Extent {
        Extent { at: self.start + SUB_TAG_HEADER_BYTES as u64, bytes: self.header.length }
    }

    /// The first byte behind it and the link back to it.
    pub fn end(&self) -> u64 {
        self.start + (SUB_TAG_HEADER_BYTES + SUB_TAG_TRAILER_BYTES) as u64 + u64::from(self.header.length)
    }

    /// Audio, video or a script's data.
    fn is_known(&self) -> bool {
        matches!(self.header.message_type, AUDIO | VIDEO | SCRIPT)
    }

    /// What kind of audio or video it is; `None` of other tags.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn class<R: ReadAt>(&self, file: &mut File<'_, R>) -> Answer<Option<TagClass>, R> {
        let length = self.header.length;
        let prefix = file.bytes(STRUCTURE, self.payload().at, CLASSIFY_BYTES.min(length as usize))?;
        Ok(match self.header.message_type {
            AUDIO => Some(flv::audio(prefix, length)),
            VIDEO => Some(flv::video(prefix, length)),
            _ => None,
        })
    }
}

/// Decoder configurations that hold at a place: whole messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// Of pictures.
    pub video: Option<Extent>,
    /// Of sound.
    pub audio: Option<Extent>,
}

/// The index that writers put into the metadata: `keyframes`, with the times of key frames in seconds and their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Index {
    times: u64,
    places: u64,
    count: u32,
}

/// A file, as far as it has to be known to play it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlvFile {
    /// Its first tag.
    pub first: u64,
    /// The first byte behind its last whole tag.
    pub end: u64,
    /// The time of its first frame, in milliseconds: the file's times count from it.
    pub begin_ms: u32,
    /// The time of its last whole tag, in milliseconds.
    pub end_ms: u32,
    /// It has pictures.
    pub has_video: bool,
    /// It has sound.
    pub has_audio: bool,
    /// Their codecs, where they are known.
    pub video_codec: Option<Codec>,
    /// See [`FlvFile::video_codec`].
    pub audio_codec: Option<Codec>,
    /// The first headers.
    pub headers: Headers,
    /// Its first `onMetaData`: a whole message.
    pub metadata: Option<Extent>,
    index: Option<Index>,
    links: Links,
}

/// How a file's writer counts in the links behind tags: alike in all of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Links {
    /// As specified: header and payload.
    Tag,
    /// The link as well (Red5).
    TagAndLink,
    /// They are 0.
    Zero,
}

impl Links {
    /// What stands behind a tag.
    fn behind(self, header: SubTagHeader) -> u32 {
        match self {
            Links::Tag => header.length + SUB_TAG_HEADER_BYTES as u32,
            Links::TagAndLink => header.length + (SUB_TAG_HEADER_BYTES + SUB_TAG_TRAILER_BYTES) as u32,
            Links::Zero => 0,
        }
    }

    /// How long the tag is, with its link, behind which this one stands; `None` when it does not say.
    fn back(self, link: u32) -> Option<u64> {
        let more = match self {
            Links::Tag => SUB_TAG_TRAILER_BYTES as u64,
            Links::TagAndLink => 0,
            Links::Zero => return None,
        };
        (link > 0).then_some(u64::from(link) + more)
    }
}

impl FlvFile {
    /// Reads what is at both ends.
    ///
    /// # Errors
    ///
    /// It is no FLV file, or has no frame.
    pub fn open<R: ReadAt>(file: &mut File<'_, R>) -> Answer<FlvFile, R> {
        let [b'F', b'L', b'V', ..] = file.array::<5>(STRUCTURE, 0)? else {
            return Err(Fault::Structure("it does not begin with FLV"));
        };
        let offset = file.u32(STRUCTURE, 5)?;
        let first = u64::from(offset.max(9)) + SUB_TAG_TRAILER_BYTES as u64;
        let links = links(file, first)?;
        let mut found = FlvFile {
            first,
            end: first,
            begin_ms: 0,
            end_ms: 0,
            has_video: false,
            has_audio: false,
            video_codec: None,
            audio_codec: None,
            headers: Headers::default(),
            metadata: None,
            index: None,
            links,
        };
        let Some(last) = last_tag(file, first, links)? else { return Err(Fault::Structure("it has no whole tag")) };
        (found.end, found.end_ms) = (last.end(), last.header.timestamp_ms);
        let mut begin_ms = None;
        let mut at = first;
        for _ in 0..FRONT_TAGS {
            let Some(tag) = found.tag(file, at)? else { break };
            at = tag.end();
            match tag.class(file)? {
                Some(class) => {
                    let is_video = tag.header.message_type == VIDEO;
                    found.has_video |= is_video;
                    found.has_audio |= !is_video;
                    let codec = if is_video { &mut found.video_codec } else { &mut found.audio_codec };
                    *codec = codec.or(class.codec);
                    found.headers.note(&tag, class);
                    if class.header.is_none() && !class.empty {
                        let time = tag.header.timestamp_ms;
                        begin_ms = Some(begin_ms.map_or(time, |first: u32| first.min(time)));
                    }
                }
                None if found.metadata.is_none() && tag.header.message_type == SCRIPT => {
                    found.index = index(file, tag.payload())?;
                    found.metadata = Some(tag.payload());
                }
                None => {}
            }
        }
        match begin_ms {
            Some(begin_ms) => found.begin_ms = begin_ms,
            None => return Err(Fault::Structure("it has no frame at its front")),
        }
        Ok(found)
    }

    /// How long it lasts, in milliseconds, from its first frame to its last.
    pub fn duration_ms(&self) -> u32 {
        self.end_ms.saturating_sub(self.begin_ms)
    }

    /// The tag at `at`; `None` behind the last whole one.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn tag<R: ReadAt>(&self, file: &mut File<'_, R>, at: u64) -> Answer<Option<FileTag>, R> {
        Ok(whole_tag(file, at, self.links)?.filter(|tag| tag.end() <= self.end))
    }

    /// Looks whether the file has grown: more whole tags may be at its end.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn grow<R: ReadAt>(&mut self, file: &mut File<'_, R>) -> Answer<(), R> {
        while let Some(tag) = whole_tag(file, self.end, self.links)? {
            file.look()?;
            (self.end, self.end_ms) = (tag.end(), tag.header.timestamp_ms);
        }
        Ok(())
    }

    /// Where to begin so that `time_ms` (of the file) can be shown: at the last key frame at or before it, or where there are no
    /// pictures at the last sound; the first tag where there is none. With the headers that hold there.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn seek<R: ReadAt>(&self, file: &mut File<'_, R>, time_ms: u32) -> Answer<(u64, Headers), R> {
        if let Some(place) = self.indexed(file, time_ms)? {
            return Ok((place, self.headers));
        }
        let Some(mut tag) = self.last_before(file, time_ms)? else { return Ok((self.first, self.headers)) };
        // On the way back a header may be met that is newer than the first.
        let mut headers = Headers::default();
        for _ in 0..STEPS {
            if let Some(class) = tag.class(file)? {
                headers.note(&tag, class);
                let begins = if self.has_video { class.key } else { class.header.is_none() };
                if begins && tag.header.timestamp_ms <= time_ms {
                    let headers = Headers {
                        video: headers.video.or(self.headers.video),
                        audio: headers.audio.or(self.headers.audio),
                    };
                    return Ok((tag.start, headers));
                }
            }
            let Some(before) = self.tag_before(file, tag.start)? else { break };
            tag = before;
        }
        Ok((self.first, self.headers))
    }

    /// The tag in front of place `at`.
    fn tag_before<R: ReadAt>(&self, file: &mut File<'_, R>, at: u64) -> Answer<Option<FileTag>, R> {
        if at <= self.first {
            return Ok(None);
        }
        let link = file.u32(STRUCTURE, at - SUB_TAG_TRAILER_BYTES as u64)?;
        let start = self.links.back(link).and_then(|length| at.checked_sub(length));
        let Some(start) = start.filter(|&start| start >= self.first) else { return Ok(None) };
        Ok(whole_tag(file, start, self.links)?.filter(|tag| tag.end() == at))
    }

    /// The last tag of this time or an earlier one, or one near to it.
    fn last_before<R: ReadAt>(&self, file: &mut File<'_, R>, time_ms: u32) -> Answer<Option<FileTag>, R> {
        let (mut low, mut high) = (self.first, self.end);
        let mut best = self.tag(file, self.first)?;
        for _ in 0..PROBES {
            if high - low <= SEARCH_BYTES {
                break;
            }
            let middle = low + (high - low) / 2;
            match search(file, middle, high.min(middle + SEARCH_BYTES), self.links)? {
                Some(tag) if tag.header.timestamp_ms <= time_ms => {
                    best = Some(tag);
                    low = tag.end();
                }
                _ => high = middle,
            }
        }
        let Some(mut found) = best else { return Ok(None) };
        for _ in 0..STEPS {
            match self.tag(file, found.end())? {
                Some(next) if next.header.timestamp_ms <= time_ms => found = next,
                _ => break,
            }
        }
        Ok(Some(found))
    }

    /// The key frame that the file's own index names, if it can be believed.
    fn indexed<R: ReadAt>(&self, file: &mut File<'_, R>, time_ms: u32) -> Answer<Option<u64>, R> {
        let Some(Index { times, places, count }) = self.index else { return Ok(None) };
        // Numbers of a strict array: a marker, then eight bytes.
        let mut number = |window: usize, table: u64, index: u32| -> Answer<f64, R> {
            Ok(f64::from_bits(file.u64(window, table + 9 * u64::from(index) + 1)?))
        };
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            match number(TIMES, times, middle)? * 1000.0 <= f64::from(time_ms) + 0.5 {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        let Some(index) = low.checked_sub(1) else { return Ok(None) };
        let place = number(TIMES, places, index)?;
        if !(place >= self.first as f64 && place < self.end as f64) {
            return Ok(None);
        }
        let Some(tag) = self.tag(file, place as u64)? else { return Ok(None) };
        let is_key = tag.class(file)?.is_some_and(|class| class.key);
        let tag_before = self.tag_before(file, tag.start)?.is_some();
        Ok((is_key && tag_before && tag.header.timestamp_ms <= time_ms).then_some(tag.start))
    }
}

impl Headers {
    /// A header was met: the first of its kind counts, in whichever direction is walked.
    fn note(&mut self, tag: &FileTag, class: TagClass) {
        let place = match tag.header.message_type {
            VIDEO => &mut self.video,
            _ => &mut self.audio,
        };
        if class.header == Some(HeaderKind::SequenceHeader) && place.is_none() {
            *place = Some(tag.payload());
        }
    }
}

/// The tag at `at`, if there is a whole one with its link behind it.
fn whole_tag<R: ReadAt>(file: &mut File<'_, R>, at: u64, links: Links) -> Answer<Option<FileTag>, R> {
    let end = file.size();
    let least = (SUB_TAG_HEADER_BYTES + SUB_TAG_TRAILER_BYTES) as u64;
    if at.checked_add(least).is_none_or(|behind| behind > end) {
        return Ok(None);
    }
    let tag = FileTag { start: at, header: SubTagHeader::parse(&file.array(STRUCTURE, at)?) };
    if !tag.is_known() || tag.end() > end {
        return Ok(None);
    }
    let link = file.u32(STRUCTURE, tag.end() - SUB_TAG_TRAILER_BYTES as u64)?;
    Ok((link == links.behind(tag.header)).then_some(tag))
}

/// How the links of a file count. The first two tags decide: one that is followed by zeros may be a file's end.
fn links<R: ReadAt>(file: &mut File<'_, R>, first: u64) -> Answer<Links, R> {
    for links in [Links::TagAndLink, Links::Zero] {
        if let Some(tag) = whole_tag(file, first, links)?
            && whole_tag(file, tag.end(), links)?.is_some()
        {
            return Ok(links);
        }
    }
    Ok(Links::Tag)
}

/// The last whole tag of a file.
fn last_tag<R: ReadAt>(file: &mut File<'_, R>, first: u64, links: Links) -> Answer<Option<FileTag>, R> {
    let end = file.size();
    if end > first + SUB_TAG_TRAILER_BYTES as u64 {
        let link = file.u32(STRUCTURE, end - SUB_TAG_TRAILER_BYTES as u64)?;
        let start = links.back(link).and_then(|length| end.checked_sub(length));
        if let Some(start) = start.filter(|&start| start >= first)
            && let Some(tag) = whole_tag(file, start, links)?
            && tag.end() == end
        {
            return Ok(Some(tag));
        }
    }
    // It was cut off, or is being written. Forward from a place with whole tags near its end, or from its front.
    let near = end.saturating_sub(TORN_BYTES);
    let from = if near > first { search(file, near, end, links)? } else { None };
    let mut found = match from {
        Some(tag) => Some(tag),
        None => whole_tag(file, first, links)?,
    };
    while let Some(tag) = found {
        file.look()?;
        match whole_tag(file, tag.end(), links)? {
            Some(next) => found = Some(next),
            None => break,
        }
    }
    Ok(found)
}

/// The first tag between two places that is followed by another, or by the end of the file.
fn search<R: ReadAt>(file: &mut File<'_, R>, from: u64, to: u64, links: Links) -> Answer<Option<FileTag>, R> {
    let mut at = from;
    while at < to {
        let count = usize::try_from(to.min(file.size()).saturating_sub(at)).unwrap_or(usize::MAX).min(WINDOW_BYTES);
        if count < SUB_TAG_HEADER_BYTES {
            return Ok(None);
        }
        let candidate = |bytes: &&[u8]| {
            let [kind, .., 0, 0, 0] = bytes else { return false };
            matches!(*kind, AUDIO | VIDEO | SCRIPT)
        };
        let mut skip = 0;
        loop {
            let held = file.bytes(TIMES, at, count)?;
            let place = held[skip..].windows(SUB_TAG_HEADER_BYTES).position(|bytes| candidate(&bytes));
            let Some(place) = place.map(|place| skip + place) else { break };
            file.look()?;
            if let Some(tag) = whole_tag(file, at + place as u64, links)?
                && (tag.end() == file.size() || whole_tag(file, tag.end(), links)?.is_some())
            {
                return Ok(Some(tag));
            }
            skip = place + 1;
        }
        at += (count - SUB_TAG_HEADER_BYTES + 1) as u64;
    }
    Ok(None)
}

/// Where the index is that a writer put into `onMetaData` (AMF 0), if there is one: `keyframes: { times: [..], filepositions:
/// [..] }`.
fn index<R: ReadAt>(file: &mut File<'_, R>, message: Extent) -> Answer<Option<Index>, R> {
    let mut walk =
        Walk { at: message.at, end: message.at + u64::from(message.bytes), values: 0, times: None, places: None };
    // The name of the handler, then its argument. What cannot be read has no index.
    let read = walk.value(file, 0, false).and_then(|()| walk.value(file, 0, false));
    match read {
        Ok(()) | Err(Fault::Structure(_)) => {}
        Err(fault) => return Err(fault),
    }
    Ok(match (walk.times, walk.places) {
        (Some((times, count)), Some((places, other))) if count == other && count > 0 => {
            Some(Index { times, places, count })
        }
        _ => None,
    })
}

struct Walk {
    at: u64,
    end: u64,
    values: u32,
    /// The first element of an array of numbers, and how many there are.
    times: Option<(u64, u32)>,
    places: Option<(u64, u32)>,
}

impl Walk {
    fn take<R: ReadAt>(&mut self, count: u64) -> Answer<u64, R> {
        let at = self.at;
        match at.checked_add(count).filter(|&end| end <= self.end) {
            Some(end) => {
                self.at = end;
                Ok(at)
            }
            None => Err(Fault::Structure("metadata is cut off")),
        }
    }

    fn value<R: ReadAt>(&mut self, file: &mut File<'_, R>, depth: u32, is_index: bool) -> Answer<(), R> {
        self.values += 1;
        if depth > DEPTH || self.values > VALUES {
            return Err(Fault::Structure("metadata is too much"));
        }
        let at = self.take::<R>(1)?;
        match file.array::<1>(TIMES, at)?[0] {
            0 => self.take::<R>(8).map(|_| ()),
            1 => self.take::<R>(1).map(|_| ()),
            2 => {
                let at = self.take::<R>(2)?;
                let length = u16::from_be_bytes(file.array(TIMES, at)?);
                self.take::<R>(length.into()).map(|_| ())
            }
            3 => self.members(file, depth, is_index),
            5 | 6 => Ok(()),
            8 => {
                self.take::<R>(4)?;
                self.members(file, depth, is_index)
            }
            10 => {
                let at = self.take::<R>(4)?;
                for _ in 0..file.u32(TIMES, at)? {
                    self.value(file, depth + 1, false)?;
                }
                Ok(())
            }
            11 => self.take::<R>(10).map(|_| ()),
            12 => {
                let at = self.take::<R>(4)?;
                let length = file.u32(TIMES, at)?;
                self.take::<R>(length.into()).map(|_| ())
            }
            _ => Err(Fault::Structure("metadata has a value of an unknown type")),
        }
    }

    fn members<R: ReadAt>(&mut self, file: &mut File<'_, R>, depth: u32, is_index: bool) -> Answer<(), R> {
        loop {
            let at = self.take::<R>(2)?;
            let length = u16::from_be_bytes(file.array(TIMES, at)?);
            let at = self.take::<R>(length.into())?;
            if length == 0 {
                // The end marker.
                self.take::<R>(1)?;
                return Ok(());
            }
            let mut name = [0; 16];
            let name = match name.get_mut(..usize::from(length)) {
                Some(name) => {
                    name.copy_from_slice(file.bytes(TIMES, at, usize::from(length))?);
                    &*name
                }
                None => &[],
            };
            match name {
                b"times" if is_index => self.times = self.numbers(file)?,
                b"filepositions" if is_index => self.places = self.numbers(file)?,
                name => self.value(file, depth + 1, depth == 0 && name == b"keyframes")?,
            }
        }
    }

    /// A strict array that has nothing but numbers, as far as its length tells.
    fn numbers<R: ReadAt>(&mut self, file: &mut File<'_, R>) -> Answer<Option<(u64, u32)>, R> {
        let at = self.take::<R>(5)?;
        let [marker, count @ ..]: [u8; 5] = file.array(TIMES, at)?;
        if marker != 10 {
            return Err(Fault::Structure("an index that is no array"));
        }
        let count = u32::from_be_bytes(count);
        let first = self.take::<R>(9 * u64::from(count))?;
        Ok(Some((first, count)))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::wire::windows::Windows;
    use crate::wire::windows::memory::{Memory, with_file};

    fn opened(bytes: &[u8]) -> Result<FlvFile, Fault<()>> {
        FlvFile::open(&mut File::new(&mut Memory(bytes), &mut Windows::new()))
    }

    fn tag(kind: u8, time: u32, payload: &[u8]) -> Vec<u8> {
        let header = SubTagHeader { message_type: kind, length: payload.len() as u32, timestamp_ms: time }.emit();
        let link = (payload.len() as u32 + 11).to_be_bytes();
        [&header[..], payload, &link].concat()
    }

    const FRONT: &[u8] = b"FLV\x01\x05\0\0\0\x09\0\0\0\0";

    fn string(text: &str) -> Vec<u8> {
        [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
    }

    fn numbers(name: &str, values: impl ExactSizeIterator<Item = f64>) -> Vec<u8> {
        let count = (values.len() as u32).to_be_bytes();
        let values: Vec<u8> = values.flat_map(|value| [&[0][..], &value.to_be_bytes()].concat()).collect();
        [&string(name)[..], &[10], &count, &values].concat()
    }

    /// onMetaData with an index of these key frames.
    fn metadata(keys: &[(u32, u64)]) -> Vec<u8> {
        let end = [0, 0, 9];
        let times = numbers("times", keys.iter().map(|(time, _)| f64::from(*time) / 1000.0));
        let places = numbers("filepositions", keys.iter().map(|(_, place)| *place as f64));
        let index = [&string("keyframes")[..], &[3], &times, &places, &end].concat();
        let width = [&string("width")[..], &[0], &320f64.to_be_bytes()].concat();
        [&[2][..], &string("onMetaData"), &[8, 0, 0, 0, 2], &width, &index, &end].concat()
    }

    /// One frame in so many is a key frame; sound between.
    #[derive(Clone, Debug)]
    struct Plan {
        frames: Vec<(u32, usize)>,
        interval: usize,
        indexed: bool,
        begin: u32,
    }

    /// The file, and where each of its tags lies: place, time, whether a picture can begin there.
    fn file(plan: &Plan) -> (Vec<u8>, Vec<(u64, u32, bool)>) {
        let mut keys = vec![(0, 0); plan.frames.len().div_ceil(plan.interval)];
        let mut result = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let mut bytes = FRONT.to_vec();
            let mut tags = Vec::new();
            let mut add = |bytes: &mut Vec<u8>, key: bool, made: Vec<u8>| {
                let time = SubTagHeader::parse(made.first_chunk().unwrap()).timestamp_ms;
                tags.push((bytes.len() as u64, time, key));
                bytes.extend(made);
            };
            if plan.indexed {
                let made = tag(SCRIPT, 0, &metadata(&keys));
                add(&mut bytes, false, made);
            }
            add(&mut bytes, false, tag(VIDEO, 0, b"\x17\0\0\0\0\x01\x42"));
            add(&mut bytes, false, tag(AUDIO, 0, b"\xAF\0\x11\x90"));
            let mut time = plan.begin;
            let mut met = Vec::new();
            for (number, &(step, length)) in plan.frames.iter().enumerate() {
                let key = number % plan.interval == 0;
                if key {
                    met.push((time, bytes.len() as u64));
                }
                let first = if key { 0x17 } else { 0x27 };
                add(&mut bytes, key, tag(VIDEO, time, &[&[first, 1, 0, 0, 0][..], &vec![7; length]].concat()));
                add(&mut bytes, false, tag(AUDIO, time, b"\xAF\x01\0"));
                time += step;
            }
            keys = met;
            result = (bytes, tags);
        }
        result
    }

    fn plan() -> impl Strategy<Value = Plan> {
        let frames = proptest::collection::vec((1u32..200, 1usize..3000), 1..200);
        (frames, 1usize..30, any::<bool>(), 0u32..100_000).prop_map(|(frames, interval, indexed, begin)| Plan {
            frames,
            interval,
            indexed,
            begin,
        })
    }

    proptest! {
        #[test]
        fn every_tag_is_met_and_every_time_is_found(plan in plan(), times in proptest::collection::vec(any::<prop::sample::Index>(), 8)) {
            let (bytes, tags) = file(&plan);
            with_file(&bytes, |file| {
                let found = FlvFile::open(file).unwrap();
                prop_assert_eq!((found.begin_ms, found.end_ms), (plan.begin, tags.last().unwrap().1));
                prop_assert_eq!((found.has_video, found.has_audio, found.metadata.is_some()), (true, true, plan.indexed));
                let mut at = found.first;
                for &(place, time, _) in &tags {
                    let tag = found.tag(file, at).unwrap().unwrap();
                    prop_assert_eq!((tag.start, tag.header.timestamp_ms), (place, time));
                    at = tag.end();
                }
                prop_assert_eq!((found.tag(file, at).unwrap(), at), (None, found.end));
                for time in times {
                    let (_, time, _) = tags[time.index(tags.len())];
                    let key = tags.iter().rfind(|(_, at, key)| *key && *at <= time);
                    let (place, headers) = found.seek(file, time).unwrap();
                    prop_assert_eq!(place, key.map_or(found.first, |(place, ..)| *place));
                    prop_assert_eq!(headers, found.headers);
                }
                Ok(())
            })?;
        }

        #[test]
        fn a_file_that_was_cut_off_ends_at_its_last_whole_tag(plan in plan(), cut in any::<prop::sample::Index>(), garbage in 0usize..300) {
            let (bytes, tags) = file(&plan);
            let from = FRONT.len() + 1;
            let cut = from + cut.index(bytes.len() - from);
            let torn = [&bytes[..cut], &vec![0; garbage]].concat();
            let ends = tags.iter().skip(1).map(|(place, ..)| *place).chain([bytes.len() as u64]);
            let end = ends.take_while(|end| *end <= cut as u64).last();
            let found = opened(&torn);
            if let Ok(mut found) = found {
                prop_assert_eq!(Some(found.end), end);
                // What was written behind it since comes when it is asked for again.
                with_file(&bytes, |file| found.grow(file)).unwrap();
                prop_assert_eq!((found.end, found.end_ms), (bytes.len() as u64, tags.last().unwrap().1));
            }
        }

        #[test]
        fn whatever_lies_in_a_file_is_answered(plan in plan(), hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40)) {
            let (mut bytes, _) = file(&plan);
            for (at, value) in hits {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            with_file(&bytes, |file| {
                let Ok(found) = FlvFile::open(file) else { return };
                let mut at = found.first;
                while let Ok(Some(tag)) = found.tag(file, at) {
                    assert!(tag.end() <= bytes.len() as u64);
                    at = tag.end();
                }
                for time in [0, 1, 1000, u32::MAX] {
                    let _ = found.seek(file, time);
                }
            });
        }
    }

    #[test]
    fn an_index_that_lies_is_not_believed() {
        let plan = Plan { frames: vec![(40, 100); 50], interval: 10, indexed: true, begin: 0 };
        let (bytes, tags) = file(&plan);
        let (twelfth, ..) = tags[3 + 2 * 10];
        // The place of the second key frame, in the index: one byte further.
        let number = (twelfth as f64).to_be_bytes();
        let at = bytes.windows(8).position(|bytes| *bytes == number).unwrap();
        let mut lies = bytes.clone();
        lies[at..at + 8].copy_from_slice(&(twelfth as f64 + 1.0).to_be_bytes());
        for bytes in [&bytes, &lies] {
            let (place, _) = with_file(bytes, |file| FlvFile::open(file).unwrap().seek(file, 500).unwrap());
            assert_eq!(place, twelfth);
        }
    }

    #[test]
    fn what_is_no_flv_file_is_said_to_be_none() {
        for bytes in [&b""[..], b"FLV", b"ID3\x03\0\0\0\0\0", FRONT, &[FRONT, &tag(SCRIPT, 0, b"\x02")].concat()] {
            assert!(matches!(opened(bytes), Err(Fault::Structure(_))), "{bytes:?}");
        }
    }
}
