//! What a joining player is sent before the first frame: metadata and sequence headers, the newest of each.
//!
//! Bytes lie in one inline arena without holes, entries in the order in which the publisher first sent them, which is the order
//! of sending: players number a stream's tracks as they come, so a late player numbers them like an early one. After a store the
//! cache holds exactly the new bytes or, when they do not fit, nothing under that key: a stale header is worse than none.

use super::tag::{HeaderSlot, TagKind};
use crate::limits::{HEADER_BYTES, HEADER_CACHE_BYTES, HEADER_CACHE_ENTRIES};
use crate::wire::announced::Announced;
use crate::wire::flv::{self, Codec, MediaType};
use crate::wire::legacy::Legacy;

const _: () = assert!(HEADER_CACHE_BYTES <= u16::MAX as usize, "entries count in 16 bits");

/// What a store did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// These very bytes were there already. Encoders repeat their headers (DJI cameras do so all the time).
    Same,
    /// Other bytes were there.
    Changed,
    /// Nothing was there.
    New,
    /// Larger than [`HEADER_BYTES`], or entries or bytes of the cache are used up. What was there is gone.
    DoesNotFit,
}

/// One entry, in the order of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedHeader<'c> {
    /// What kind of message it is.
    pub kind: TagKind,
    /// Handler name of a data message; empty for audio and video.
    pub name: &'c [u8],
    /// Class and track of an audio or video header; 0 for a data message.
    pub slot: HeaderSlot,
    /// The message's payload.
    pub payload: &'c [u8],
}

impl CachedHeader<'_> {
    /// What of it is sent to who knows as much of Enhanced RTMP.
    pub fn legacy(&self, knows: Announced) -> Legacy {
        self.kind.legacy(self.payload.len() as u32, knows, |at| self.payload.get(at as usize).copied())
    }

    /// The codec of a sequence header.
    pub fn codec(&self) -> Option<Codec> {
        flv::sequence_header_body(self.kind.media_type()?, self.payload).map(|(codec, _)| codec)
    }
}

/// The cache of one stream, about 16 KiB inline.
#[derive(Clone, Debug)]
pub struct HeaderCache {
    entries: [Entry; HEADER_CACHE_ENTRIES],
    count: usize,
    arena: [u8; HEADER_CACHE_BYTES],
    used: usize,
    version: u32,
}

/// Name and payload lie one behind the other at `offset`.
#[derive(Clone, Copy, Debug)]
struct Entry {
    kind: TagKind,
    class: u8,
    track: u8,
    name_length: u8,
    offset: u16,
    payload_length: u16,
}

impl Entry {
    const EMPTY: Entry =
        Entry { kind: TagKind::Data, class: 0, track: 0, name_length: 0, offset: 0, payload_length: 0 };

    fn slot(&self) -> HeaderSlot {
        HeaderSlot { kind: self.kind, class: self.class, track: self.track }
    }

    fn length(&self) -> usize {
        usize::from(self.name_length) + usize::from(self.payload_length)
    }
}

impl Default for HeaderCache {
    fn default() -> HeaderCache {
        HeaderCache::new()
    }
}

impl HeaderCache {
    /// An empty cache.
    pub const fn new() -> HeaderCache {
        HeaderCache {
            entries: [Entry::EMPTY; HEADER_CACHE_ENTRIES],
            count: 0,
            arena: [0; HEADER_CACHE_BYTES],
            used: 0,
            version: 0,
        }
    }

    /// Keeps an audio or video header, given in two parts because that is how it may lie in the ring.
    pub fn store(&mut self, slot: HeaderSlot, parts: [&[u8]; 2]) -> Stored {
        self.store_entry(media_entry(slot), &[], parts)
    }

    /// Keeps a data message under its handler name.
    pub fn store_data(&mut self, name: &[u8], payload: &[u8]) -> Stored {
        self.store_entry(Entry::EMPTY, name, [payload, &[]])
    }

    /// Forgets an audio or video header. Returns whether there was one.
    pub fn remove(&mut self, slot: HeaderSlot) -> bool {
        let at = self.find(media_entry(slot), &[]);
        self.remove_at(at)
    }

    /// Forgets the data message of that handler name (`@clearDataFrame`). Returns whether there was one.
    pub fn remove_data(&mut self, name: &[u8]) -> bool {
        let at = self.find(Entry::EMPTY, name);
        self.remove_at(at)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        if self.count > 0 {
            self.version = self.version.wrapping_add(1);
        }
        self.count = 0;
        self.used = 0;
    }

    /// Changes whenever the cache does.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The entry at `index` in the order of sending.
    pub fn at(&self, index: usize) -> Option<CachedHeader<'_>> {
        let entry = self.entries[..self.count].get(index)?;
        let (name, payload) = self.content(entry).split_at(usize::from(entry.name_length));
        Some(CachedHeader { kind: entry.kind, name, slot: entry.slot(), payload })
    }

    /// All entries in the order of sending.
    pub fn iter(&self) -> impl Iterator<Item = CachedHeader<'_>> {
        (0..self.count).filter_map(|index| self.at(index))
    }

    /// The first configuration record of sound or pictures, and whose it is.
    pub fn record(&self, media_type: MediaType) -> Option<(Codec, &[u8])> {
        self.iter()
            .filter(|header| header.kind.media_type() == Some(media_type))
            .find_map(|header| flv::sequence_header_body(media_type, header.payload))
    }

    fn store_entry(&mut self, entry: Entry, name: &[u8], parts: [&[u8]; 2]) -> Stored {
        let payload_length = parts[0].len() + parts[1].len();
        let known = self.find(entry, name);
        if let Some(at) = known {
            let payload = &self.content(&self.entries[at])[name.len()..];
            if payload.len() == payload_length
                && payload[..parts[0].len()] == *parts[0]
                && payload[parts[0].len()..] == *parts[1]
            {
                return Stored::Same;
            }
        }
        // What changes keeps its turn.
        let turn = known.unwrap_or(self.count);
        self.remove_at(known);

        let length = name.len() + payload_length;
        if payload_length > HEADER_BYTES
            || name.len() > usize::from(u8::MAX)
            || self.count == HEADER_CACHE_ENTRIES
            || length > HEADER_CACHE_BYTES - self.used
        {
            return Stored::DoesNotFit;
        }
        let mut end = self.used;
        for part in [name, parts[0], parts[1]] {
            self.arena[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        }
        self.entries.copy_within(turn..self.count, turn + 1);
        self.entries[turn] = Entry {
            name_length: name.len() as u8,
            offset: self.used as u16,
            payload_length: payload_length as u16,
            ..entry
        };
        self.count += 1;
        self.used = end;
        self.version = self.version.wrapping_add(1);
        if known.is_some() { Stored::Changed } else { Stored::New }
    }

    fn find(&self, wanted: Entry, name: &[u8]) -> Option<usize> {
        self.entries[..self.count].iter().position(|entry| {
            entry.slot() == wanted.slot() && self.content(entry)[..usize::from(entry.name_length)] == *name
        })
    }

    /// Closes the gap in the arena as well: headers change so rarely that moving 16 KiB is cheaper than knowing about holes.
    fn remove_at(&mut self, at: Option<usize>) -> bool {
        let Some(at) = at else { return false };
        let removed = self.entries[at];
        let (start, end) = (usize::from(removed.offset), usize::from(removed.offset) + removed.length());
        self.arena.copy_within(end..self.used, start);
        self.used -= removed.length();
        self.entries.copy_within(at + 1..self.count, at);
        self.count -= 1;
        for entry in &mut self.entries[..self.count] {
            if entry.offset > removed.offset {
                entry.offset -= removed.length() as u16;
            }
        }
        self.version = self.version.wrapping_add(1);
        true
    }

    fn content(&self, entry: &Entry) -> &[u8] {
        &self.arena[usize::from(entry.offset)..][..entry.length()]
    }
}

fn media_entry(slot: HeaderSlot) -> Entry {
    debug_assert!(slot.kind != TagKind::Data, "data messages are kept by name");
    Entry { kind: slot.kind, class: slot.class, track: slot.track, ..Entry::EMPTY }
}

/// A number for the headers of a stream that its init segment is made of: another one is another init segment.
pub fn headers_mark(headers: &HeaderCache) -> u32 {
    const OFFSET: u32 = 0x811C_9DC5;
    const PRIME: u32 = 0x0100_0193;
    let media = headers.iter().filter(|header| header.kind != TagKind::Data);
    let bytes = media.flat_map(|header| [header.kind.message_type()].into_iter().chain(header.payload.iter().copied()));
    bytes.fold(OFFSET, |mark, byte| (mark ^ u32::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    const VIDEO: HeaderSlot = HeaderSlot { kind: TagKind::Video, class: 0, track: 0 };
    const AUDIO: HeaderSlot = HeaderSlot { kind: TagKind::Audio, class: 0, track: 0 };

    #[test]
    fn entries_come_in_the_order_in_which_each_was_first_sent() {
        let mut cache = HeaderCache::new();
        assert_eq!(cache.store(AUDIO, [&[0xAF, 0], &[0x12, 0x10]]), Stored::New);
        assert_eq!(cache.store(HeaderSlot { track: 1, ..VIDEO }, [b"v1", b""]), Stored::New);
        assert_eq!(cache.store(HeaderSlot { class: 1, ..VIDEO }, [b"colour", b""]), Stored::New);
        assert_eq!(cache.store(VIDEO, [b"v0", b""]), Stored::New);
        assert_eq!(cache.store_data(b"onZ", b"z"), Stored::New);
        assert_eq!(cache.store_data(b"onA", b"a"), Stored::New);
        assert_eq!(cache.store_data(b"onMetaData", b"m"), Stored::New);
        assert_eq!(cache.store_data(b"onZ", b"zzz"), Stored::Changed);
        let order: Vec<&[u8]> = cache.iter().map(|header| header.payload).collect();
        assert_eq!(order, [&[0xAF, 0, 0x12, 0x10][..], b"v1", b"colour", b"v0", b"zzz", b"a", b"m"]);
        let version = cache.version();
        assert_eq!(cache.store(AUDIO, [&[0xAF], &[0, 0x12, 0x10]]), Stored::Same);
        assert_eq!(cache.version(), version);
        assert!(cache.remove_data(b"onMetaData"));
        assert!(!cache.remove_data(b"onMetaData"));
        assert_ne!(cache.version(), version);
    }

    #[test]
    fn a_header_that_does_not_fit_leaves_no_stale_one() {
        let mut cache = HeaderCache::new();
        cache.store(VIDEO, [b"old", b""]);
        assert_eq!(cache.store(VIDEO, [&[0; HEADER_BYTES], &[0]]), Stored::DoesNotFit);
        assert!(cache.is_empty());
    }

    #[derive(Clone, Debug)]
    enum Op {
        Store(HeaderSlot, Vec<u8>),
        StoreData(Vec<u8>, Vec<u8>),
        Remove(HeaderSlot),
        RemoveData(Vec<u8>),
        Clear,
    }

    fn op() -> impl Strategy<Value = Op> {
        let slot = || {
            (any::<bool>(), 0_u8..3, 0_u8..4).prop_map(|(video, class, track)| HeaderSlot {
                kind: if video { TagKind::Video } else { TagKind::Audio },
                class,
                track,
            })
        };
        let name =
            || prop_oneof![Just(b"onMetaData".to_vec()), (0_u8..20).prop_map(|n| vec![b'n', n]), Just(vec![b'x'; 256])];
        let bytes = || {
            prop_oneof![
                4 => (0_usize..3, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
                2 => (0_usize..HEADER_BYTES + 20, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
            ]
        };
        prop_oneof![
            20 => (slot(), bytes()).prop_map(|(slot, bytes)| Op::Store(slot, bytes)),
            20 => (name(), bytes()).prop_map(|(name, bytes)| Op::StoreData(name, bytes)),
            4 => slot().prop_map(Op::Remove),
            4 => name().prop_map(Op::RemoveData),
            1 => Just(Op::Clear),
        ]
    }

    /// Key (type, class, track, name) and payload, in order of first appearance.
    type Model = Vec<((u8, u8, u8, Vec<u8>), Vec<u8>)>;

    fn media_key(slot: HeaderSlot) -> (u8, u8, u8, Vec<u8>) {
        (if slot.kind == TagKind::Video { 2 } else { 3 }, slot.class, slot.track, Vec::new())
    }

    fn data_key(name: &[u8]) -> (u8, u8, u8, Vec<u8>) {
        (0, 0, 0, name.to_vec())
    }

    fn model_store(model: &mut Model, key: (u8, u8, u8, Vec<u8>), bytes: &[u8]) -> Stored {
        let known = model.iter().position(|(other, _)| *other == key);
        if let Some(at) = known
            && model[at].1 == bytes
        {
            return Stored::Same;
        }
        let others = model.iter().filter(|(other, _)| *other != key);
        let used: usize = others.clone().map(|((.., name), bytes)| name.len() + bytes.len()).sum();
        if bytes.len() > HEADER_BYTES
            || key.3.len() > 255
            || others.count() == HEADER_CACHE_ENTRIES
            || used + key.3.len() + bytes.len() > HEADER_CACHE_BYTES
        {
            model.retain(|(other, _)| *other != key);
            return Stored::DoesNotFit;
        }
        match known {
            Some(at) => {
                model[at].1 = bytes.to_vec();
                Stored::Changed
            }
            None => {
                model.push((key, bytes.to_vec()));
                Stored::New
            }
        }
    }

    proptest! {
        #[test]
        fn the_cache_holds_the_newest_of_each_in_order(ops in prop::collection::vec(op(), 1..120)) {
            let mut cache = HeaderCache::new();
            let mut model = Model::new();
            for op in ops {
                let (before, version) = (model.clone(), cache.version());
                match op {
                    Op::Store(slot, bytes) => {
                        let (first, second) = bytes.split_at(bytes.len() / 3);
                        prop_assert_eq!(cache.store(slot, [first, second]), model_store(&mut model, media_key(slot), &bytes));
                    }
                    Op::StoreData(name, bytes) => {
                        prop_assert_eq!(cache.store_data(&name, &bytes), model_store(&mut model, data_key(&name), &bytes));
                    }
                    Op::Remove(slot) => {
                        prop_assert_eq!(cache.remove(slot), model.iter().any(|(key, _)| *key == media_key(slot)));
                        model.retain(|(key, _)| *key != media_key(slot));
                    }
                    Op::RemoveData(name) => {
                        prop_assert_eq!(cache.remove_data(&name), model.iter().any(|(key, _)| *key == data_key(&name)));
                        model.retain(|(key, _)| *key != data_key(&name));
                    }
                    Op::Clear => {
                        cache.clear();
                        model.clear();
                    }
                }
                prop_assert_eq!(cache.version() != version, before != model);
                let expected: Vec<&[u8]> = model.iter().map(|(_, bytes)| &bytes[..]).collect();
                prop_assert_eq!(cache.iter().map(|header| header.payload).collect::<Vec<_>>(), expected);
            }
        }
    }
}
