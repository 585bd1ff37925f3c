//! Messages as they are sent, one behind the other in a block (RTMP 1.0, section 5.3.1).

use std::cell::RefCell;
use std::fmt::Debug;

use heapless::Vec;

use crate::limits::{HEADER_BYTES, OUT_CHUNK_BYTES};
use crate::live::recorded::{BLOCK_MS, Block, Fill, Follows, RecordedFacts, RecordedName, RecordedTerms};
use crate::media::{Framing, TagKind};
use crate::wire::announced::Announced;
use crate::wire::chunk::MAX_TYPE0_BYTES;
use crate::wire::flv::MediaType;
use crate::wire::legacy::{self, Legacy};
use crate::wire::recorded::{FRONT_BYTES, FilmRates, Message, MessageKind, Place, Recorded};
use crate::wire::windows::{Answer, Extent, Fault, File, ReadAt, STRUCTURE};

use super::ahead::Ahead;
use super::gather::Gather;
use super::{complain_of, metadata};

/// A message of which a part is in a block.
#[derive(Clone)]
pub(super) struct Begun {
    kind: TagKind,
    framing: Framing<OUT_CHUNK_BYTES>,
    front: Vec<u8, FRONT_BYTES>,
    body: Extent,
    /// Payload bytes that are in blocks.
    put: u32,
    /// What is left of it could not be read: zeros stand for it, as its receiver waits for so many bytes.
    lost: bool,
}

/// How much of a message was put into the block.
enum Put {
    /// All of it.
    Whole,
    /// As much as there was room for.
    Part,
    /// All of it, but its bytes could not all be read.
    Lost,
}

/// One job: a block that is filled.
pub(super) struct Filling<'a, 'f, R: ReadAt<Error: Debug>> {
    pub(super) name: &'a RecordedName,
    pub(super) reading: File<'a, Ahead<'f, R>>,
    pub(super) recorded: &'a Recorded,
    pub(super) facts: &'a RecordedFacts,
    pub(super) rates: FilmRates,
    pub(super) place: &'a mut Option<Place>,
    pub(super) next: &'a mut Option<Message>,
    pub(super) begun: &'a mut Option<Begun>,
    pub(super) terms: &'a RecordedTerms,
    pub(super) block: &'a mut Block,
    /// How messages get into the block: in reads of all that lies together, or without it piece by piece.
    pub(super) gather: Option<Gather>,
    /// See [`Done::Filled`](crate::live::jobs::Done::Filled).
    pub(super) from_ms: Option<u32>,
}

impl<'f, R: ReadAt<Error: Debug>> Filling<'_, 'f, R> {
    /// Fills the block, and says what follows it.
    ///
    /// # Errors
    ///
    /// What the disk says, or a structure that cannot be. What was put into the block before can be sent.
    pub(super) fn fill(&mut self, fill: Fill) -> Answer<Follows, Ahead<'f, R>> {
        let Some(_) = &self.gather else { return self.put_all(fill) };
        let before = (self.place.clone(), self.next.clone(), self.begun.clone());
        let filled = self.put_all(fill);
        if let Some(mut gather) = self.gather.take() {
            gather.read(self.reading.source(), self.block);
            if gather.failed {
                // What can be read of it is found piece by piece.
                (*self.place, *self.next, *self.begun) = before;
                self.from_ms = None;
                self.block.clear();
                return self.put_all(fill);
            }
        }
        filled
    }

    fn put_all(&mut self, fill: Fill) -> Answer<Follows, Ahead<'f, R>> {
        match fill {
            Fill::From(ms) | Fill::Picture(ms) | Fill::Next(ms) => {
                (*self.begun, *self.next, *self.place) = (None, None, None);
                self.block.begin_messages();
                *self.place = Some(match ms {
                    0 => self.recorded.begin(&mut self.reading)?,
                    ms => self.recorded.seek(&mut self.reading, ms)?,
                });
                self.put_metadata()?;
            }
            Fill::On | Fill::Rest => {
                let put = self.put_begun();
                self.block.begin_messages();
                match put {
                    Put::Whole => {}
                    Put::Part => return Ok(Follows::More),
                    Put::Lost => return Ok(Follows::Fault),
                }
                if fill == Fill::Rest {
                    return Ok(Follows::End);
                }
            }
        }
        if let Fill::Next(ms) = fill {
            self.skip_to(ms)?;
        }
        self.put_messages(matches!(fill, Fill::Picture(_)))
    }

    /// Goes to the first key frame at that time or behind it. Headers on the way hold there.
    fn skip_to(&mut self, ms: u32) -> Answer<(), Ahead<'f, R>> {
        while let Some(message) = self.next_message()? {
            if message.is_header {
                // They come with what they are for. There is room, as nothing but metadata stands before them.
                self.put(&Message { time_ms: message.time_ms.max(ms), ..message });
                continue;
            }
            let begins = match message.kind {
                MessageKind::Video => is_key_frame(&mut self.reading, &message)?,
                MessageKind::Audio => self.facts.video.is_none(),
                MessageKind::Data => false,
            };
            if begins && message.time_ms >= ms {
                *self.next = Some(message);
                break;
            }
            self.reading.look()?;
        }
        Ok(())
    }

    /// Puts messages into the block until it is full, or long enough, or as far as a picture.
    fn put_messages(&mut self, picture: bool) -> Answer<Follows, Ahead<'f, R>> {
        let mut first_ms = None;
        while let Some(message) = self.next_message()? {
            let frame = !message.is_header && message.kind != MessageKind::Data;
            if !message.is_header && self.terms.end_ms.is_some_and(|end| message.time_ms >= end) {
                break;
            }
            if picture && !message.is_header && message.kind != MessageKind::Video {
                if self.facts.video.is_none() {
                    break;
                }
                self.reading.look()?;
                continue;
            }
            let sent_ms = self.terms.sent_ms(message.time_ms);
            let is_late = frame && sent_ms.wrapping_sub(*first_ms.get_or_insert(sent_ms)).cast_signed() >= BLOCK_MS;
            if is_late || self.block.room().len() <= MAX_TYPE0_BYTES {
                *self.next = Some(message);
                return Ok(Follows::More);
            }
            if frame {
                self.from_ms.get_or_insert(message.time_ms);
            }
            match self.put(&message) {
                Put::Whole if picture && frame => break,
                Put::Whole => {}
                Put::Part => return Ok(Follows::More),
                Put::Lost => return Ok(Follows::Fault),
            }
        }
        Ok(Follows::End)
    }

    /// The next message that the receiver wants, as it is sent to it.
    fn next_message(&mut self) -> Answer<Option<Message>, Ahead<'f, R>> {
        if let Some(message) = self.next.take() {
            return Ok(Some(message));
        }
        let Some(place) = self.place.as_mut() else { return Ok(None) };
        while let Some(message) = self.recorded.next(&mut self.reading, place)? {
            let wanted = match message.kind {
                MessageKind::Audio => self.terms.audio,
                MessageKind::Video => self.terms.video,
                MessageKind::Data => true,
            };
            if wanted {
                let sent = if self.terms.legacy { legacy_of(&mut self.reading, message) } else { Some(message) };
                if sent.is_some() {
                    return Ok(sent);
                }
            }
            self.reading.look()?;
        }
        Ok(None)
    }

    /// Begins a message, for whose header there is room.
    fn put(&mut self, message: &Message) -> Put {
        let kind = match message.kind {
            MessageKind::Audio => TagKind::Audio,
            MessageKind::Video => TagKind::Video,
            MessageKind::Data => TagKind::Data,
        };
        let framing = Framing { timestamp: self.terms.sent_ms(message.time_ms), length: message.length() };
        put_bytes(self.block, framing.header(kind, self.terms.message_stream_id).as_slice());
        *self.begun =
            Some(Begun { kind, framing, front: message.front.clone(), body: message.body, put: 0, lost: false });
        self.put_begun()
    }

    /// Goes on with the message that was begun, if there is one.
    fn put_begun(&mut self) -> Put {
        let Some(begun) = self.begun.as_mut() else { return Put::Whole };
        if let Err(fault) = begun.put(self.reading.source(), self.gather.as_mut(), self.block) {
            complain_of(self.name, &fault);
        }
        if begun.put < begun.framing.length {
            return Put::Part;
        }
        let lost = begun.lost;
        *self.begun = None;
        if lost { Put::Lost } else { Put::Whole }
    }

    /// Puts metadata into the block.
    fn put_metadata(&mut self) -> Answer<(), Ahead<'f, R>> {
        let mut bytes = [0; HEADER_BYTES];
        let mut length = metadata::write(&mut self.reading, self.recorded, self.facts, self.rates, &mut bytes)?;
        if self.terms.legacy {
            length = legacy::edit_metadata(&mut bytes[..length], Announced::NOTHING);
        }
        let framing = Framing::<OUT_CHUNK_BYTES> { timestamp: 0, length: length as u32 };
        put_bytes(self.block, framing.header(TagKind::Data, self.terms.message_stream_id).as_slice());
        put_bytes(self.block, &bytes[..length]);
        Ok(())
    }
}

impl Begun {
    /// Puts as much as there is room for.
    ///
    /// # Errors
    ///
    /// Why zeros stand for what was put from here on. It is said once.
    fn put<R: ReadAt>(
        &mut self,
        file: &mut Ahead<'_, R>,
        mut gather: Option<&mut Gather>,
        block: &mut Block,
    ) -> Answer<(), R> {
        let mut result = Ok(());
        while self.put < self.framing.length {
            let within = self.framing.within_chunk(self.put);
            if within == 0 && self.put > 0 {
                let header = self.framing.continuation(self.kind);
                // With a byte behind it, so that it is never put twice.
                if block.room().len() <= header.as_slice().len() {
                    break;
                }
                put_bytes(block, header.as_slice());
            }
            let room = block.room();
            file.wanted = room.len();
            let most = (self.framing.length - self.put).min(OUT_CHUNK_BYTES as u32 - within) as usize;
            let most = most.min(room.len());
            if most == 0 {
                break;
            }
            let out = &mut room[..most];
            let front = self.front.get(self.put as usize..).unwrap_or_default();
            let count = if front.is_empty() {
                let at = self.body.at + u64::from(self.put) - self.front.len() as u64;
                let apart = usize::from(self.kind == TagKind::Video);
                if let Some(gather) = &mut gather {
                    let from = block.bytes().len() as u32;
                    self.put += most as u32;
                    block.put(most);
                    gather.put(file, apart, at, from..from + most as u32, block);
                    continue;
                }
                let read = if self.lost { Ok(0) } else { file.copy(apart, at, out) };
                match read {
                    Ok(count @ 1..) => count,
                    none => {
                        if !std::mem::replace(&mut self.lost, true) {
                            result = none.map_err(Fault::Read).and(Err(Fault::Structure("it ends in a frame")));
                        }
                        out.fill(0);
                        most
                    }
                }
            } else {
                let count = front.len().min(most);
                out[..count].copy_from_slice(&front[..count]);
                count
            };
            self.put += count as u32;
            block.put(count);
        }
        result
    }
}

/// The picture can be decoded by itself (FLV 10.1, annex E.4.3.1; Enhanced RTMP v2).
fn is_key_frame<R: ReadAt>(file: &mut File<'_, R>, message: &Message) -> Answer<bool, R> {
    let first = match message.front.first() {
        Some(first) => *first,
        None if message.body.bytes == 0 => return Ok(false),
        None => file.array::<1>(STRUCTURE, message.body.at)?[0],
    };
    Ok(first >> 4 & 7 == 1)
}

/// Puts bytes for which there is room.
fn put_bytes(block: &mut Block, bytes: &[u8]) {
    block.room()[..bytes.len()].copy_from_slice(bytes);
    block.put(bytes.len());
}

/// What who knows no Enhanced RTMP is sent in place of a message; `None` when it is nothing.
fn legacy_of<R: ReadAt>(file: &mut File<'_, R>, message: Message) -> Option<Message> {
    let media_type = match message.kind {
        MessageKind::Audio => MediaType::Audio,
        MessageKind::Video => MediaType::Video,
        MessageKind::Data => return Some(message),
    };
    let Message { ref front, body, .. } = message;
    let file = RefCell::new(file);
    let read = |offset: u32| match front.get(offset as usize) {
        Some(&byte) => Some(byte),
        None => {
            let within = offset - front.len() as u32;
            let at = body.at + u64::from(within);
            (within < body.bytes).then(|| file.borrow_mut().bytes(STRUCTURE, at, 1).ok().map(|bytes| bytes[0]))?
        }
    };
    match legacy::of(media_type, message.length(), Announced::NOTHING, read) {
        Legacy::Itself => Some(message),
        Legacy::Nothing | Legacy::NoForm => None,
        Legacy::Instead(instead) => {
            let head = Vec::from_slice(instead.head()).ok()?;
            // What is left out ends behind what stands in front: these messages come from FLV files, which have nothing there.
            let skip = instead.skip.checked_sub(front.len() as u32)?;
            let body = Extent { at: body.at + u64::from(skip), bytes: instead.take };
            Some(Message { front: head, body, ..message })
        }
    }
}
