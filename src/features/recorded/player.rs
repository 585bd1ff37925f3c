//! One player of a recorded stream: where it is, what it holds, and what that makes due.

use core::ops::Range;

use crate::limits::PLAYLIST_ITEMS;
use crate::live::holder::Holder;
use crate::live::recorded::{
    Block, Fill, Follows, RECORDED_BLOCKS, RecordedId, RecordedName, RecordedTerms,
};
use crate::live::recording::GrowingFile;
use crate::time::Millis;

/// A client is sent this much ahead at least, in milliseconds: common players ask for little and then stumble.
const LEAST_LEAD_MS: u32 = 2000;
/// What is sent ahead beyond a client's buffer, in milliseconds, so that it stays full between two blocks.
const BEYOND_BUFFER_MS: u32 = 1000;
/// From the first byte of a film, or behind a seek, to its end at least, in milliseconds, for a client that said what it holds.
const SETTLES_MS: i64 = 500;
/// Who takes nothing for so long is told that it is over, in milliseconds.
pub(super) const OVER_MS: u64 = 600_000;

/// What is to be played of a recorded stream.
#[derive(Clone, Debug, Default)]
pub struct PlaylistItem {
    /// Which.
    pub name: RecordedName,
    /// The time of the file at which it begins, in milliseconds.
    pub start_ms: u32,
    /// How much of it.
    pub length: PlayedLength,
}

impl PlaylistItem {
    /// The time of the file at which it ends, in milliseconds, unless that is the file's end.
    pub(super) fn end_ms(&self) -> Option<u32> {
        match self.length {
            PlayedLength::Ms(ms) => Some(self.start_ms.saturating_add(ms)),
            PlayedLength::Whole | PlayedLength::Picture => None,
        }
    }
}

/// How much of a recorded stream is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlayedLength {
    /// All that follows.
    #[default]
    Whole,
    /// One picture.
    Picture,
    /// So many milliseconds.
    Ms(u32),
}

/// Whom it is for.
#[derive(Clone, Copy, Debug)]
pub struct RecordedClient {
    /// Who: a connection, or what the server itself publishes.
    pub by: Holder,
    /// The message stream id.
    pub message_stream_id: u32,
    /// It knows no Enhanced RTMP.
    pub legacy: bool,
    /// How far it is sent ahead of what it plays at most, in milliseconds.
    pub most_lead_ms: u32,
}

/// Where a new item begins, when it takes the place of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemPosition {
    /// The time of the file at which the item before began, in milliseconds.
    pub(super) start_ms: u32,
    /// The time that was sent with that.
    pub(super) base_ms: u32,
    /// The time of the file up to which it was sent.
    pub(super) at_ms: u32,
}

/// What is due to a player.
#[derive(Debug, PartialEq, Eq)]
pub enum RecordedDue<'b> {
    /// Nothing, for now.
    Nothing,
    /// Nothing for now, and nothing else either: the disk has yet to read the rest of a message that was begun.
    Waits,
    /// These bytes, of which any number may be sent.
    Bytes(&'b [u8]),
    /// To hear something.
    Tell(ToTell),
    /// The end of its connection: the file cannot be read on in the middle of a message.
    Broken,
}

/// What a player is due to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToTell {
    /// The stream begins that it switched to.
    Switched,
    /// It has as much as it may have ahead, which is less than it wants.
    Full,
    /// It is sent more.
    GoesOn,
    /// It takes less than is played.
    Late,
    /// All was sent.
    Over,
    /// The file cannot be read on.
    Fault,
    /// Nothing, but another goes on in its place from here.
    Succeeded(RecordedId),
}

/// The same as [`RecordedDue`], without what is borrowed.
pub(super) enum Readiness {
    Nothing,
    Waits,
    Bytes(Range<usize>),
    Tell(ToTell),
    Broken,
}

/// A place.
pub(super) struct RecordedPlayer {
    pub(super) generation: u32,
    pub(super) phase: PlaceState,
    pub(super) client: Option<RecordedClient>,
    /// How much the client wants to hold, in milliseconds; 0 when it has not said.
    pub(super) buffer_ms: u32,
    pub(super) item: PlaylistItem,
    /// Its file is being recorded.
    pub(super) growing: Option<FollowedFile>,
    /// What is played behind it.
    pub(super) queue: heapless::Deque<PlaylistItem, PLAYLIST_ITEMS>,
    /// How messages are sent.
    pub(super) terms: RecordedTerms,
    pub(super) duration_ms: u64,
    /// What is to be asked of the disk.
    pub(super) job: Option<DiskWish>,
    /// Blocks that the disk has filled, in their order.
    pub(super) filled: heapless::Deque<FilledBlock, RECORDED_BLOCKS>,
    /// Blocks that are empty.
    pub(super) empty: heapless::Vec<Block, RECORDED_BLOCKS>,
    /// Blocks at the disk.
    pub(super) at_disk: u8,
    /// How many of them hold nothing that is still wanted: the first.
    pub(super) stale: u8,
    /// What follows the last block that was filled.
    pub(super) next: Follows,
    /// Bytes of the first block that were sent.
    pub(super) sent: usize,
    /// Bytes that are left of the message that was begun; 0 between two.
    pub(super) left: usize,
    /// What is done when that message was sent to its end.
    pub(super) turn: Option<AfterMessage>,
    pub(super) paused: bool,
    /// One picture is wanted, and not what follows.
    pub(super) picture: bool,
    /// When the client, who plays since it had the first byte, is at which time of those that are sent.
    pub(super) clock: Option<(Millis, u32)>,
    /// What the clock begins with.
    pub(super) clock_ms: u32,
    /// The time that was sent last, in milliseconds.
    pub(super) sent_ms: u32,
    pub(super) bytes: u64,
    /// How much was played of the item before, in a playlist.
    pub(super) before: (u32, u64),
    pub(super) last_taken: Millis,
    /// Since when bytes are due to it of which it has taken none.
    pub(super) offered: Option<Millis>,
    /// The client knows that it is sent no more for now.
    pub(super) told_full: bool,
    pub(super) late: Lateness,
    pub(super) switching: bool,
    /// Who goes on in its place.
    pub(super) successor: Option<Successor>,
}

/// Who goes on in place of a player.
#[derive(Clone, Copy, Debug)]
pub(super) struct Successor {
    pub(super) id: RecordedId,
    /// From which time on, of those that are sent; `None` while the disk looks for a key frame.
    pub(super) from_ms: Option<u32>,
    pub(super) search: Search,
}

/// Which key frame a successor begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// The next.
    Next,
    /// The next that cannot have been passed before it is found.
    Later,
    /// The last before: there is none behind.
    Before,
}

/// A file that is being recorded, and how far.
#[derive(Clone, Debug)]
pub(super) struct FollowedFile {
    pub(super) file: GrowingFile,
    /// There is more of it than when the disk was asked last.
    pub(super) has_grown: bool,
    /// It does not grow any more.
    pub(super) is_all: bool,
}

/// What a place is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlaceState {
    /// Nothing.
    Free,
    /// A file that is fetched has one of its blocks.
    Lent,
    /// The disk looks for the file of what somebody wants to play.
    Opening,
    /// It looks for the file of what is next in the playlist.
    OpeningNext,
    /// It is played.
    Playing,
    /// All of it was sent. The client may still go back.
    Ended,
    /// It goes on in place of another when that comes to where this begins.
    Succeeding,
    /// Its player has gone on the way through a message, whose rest is still to be sent.
    Leaving,
}

/// What is wanted of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiskWish {
    Open,
    Fill(Fill),
    /// To close what was open before.
    Close(RecordedId),
}

/// What happens between two messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterMessage {
    /// It goes on elsewhere.
    To(Fill),
    /// The place is free.
    Leave,
}

/// Whether the client is late, of which it is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lateness {
    No,
    Yes,
    Told,
}

pub(super) struct FilledBlock {
    pub(super) block: Block,
    /// The time that is sent with the first media in it.
    pub(super) from_ms: Option<u32>,
}

impl RecordedPlayer {
    pub(super) fn new() -> RecordedPlayer {
        RecordedPlayer {
            generation: 0,
            phase: PlaceState::Free,
            client: None,
            buffer_ms: 0,
            item: PlaylistItem::default(),
            growing: None,
            queue: heapless::Deque::new(),
            terms: RecordedTerms::whole(1),
            duration_ms: 0,
            job: None,
            filled: heapless::Deque::new(),
            empty: core::iter::repeat_with(Block::new).take(RECORDED_BLOCKS).collect(),
            at_disk: 0,
            stale: 0,
            next: Follows::End,
            sent: 0,
            left: 0,
            turn: None,
            paused: false,
            picture: false,
            clock: None,
            clock_ms: 0,
            sent_ms: 0,
            bytes: 0,
            before: (0, 0),
            last_taken: Millis(0),
            offered: None,
            told_full: false,
            late: Lateness::No,
            switching: false,
            successor: None,
        }
    }

    /// Of whoever has the place now, which is at `place`.
    pub(super) fn id(&self, place: usize) -> RecordedId {
        RecordedId { place: place as u16, generation: self.generation }
    }

    /// The block is not needed any more.
    pub(super) fn put_away(&mut self, mut block: Block) {
        block.clear();
        let kept = self.empty.push(block);
        debug_assert!(kept.is_ok(), "a place has as many blocks as it was given");
    }

    /// What was filled and is being filled is not wanted any more.
    pub(super) fn drop_filled(&mut self) {
        while let Some(filled) = self.filled.pop_front() {
            self.put_away(filled.block);
        }
        (self.sent, self.left, self.stale) = (0, 0, self.at_disk);
    }

    /// Goes on from another place of the file, behind the message that was begun.
    pub(super) fn go_to(&mut self, fill: Fill) {
        if self.left > 0 {
            self.turn = Some(AfterMessage::To(fill));
            return self.read_on();
        }
        self.drop_filled();
        self.turn = None;
        (self.clock, self.offered, self.told_full) = (None, None, false);
        self.phase = PlaceState::Playing;
        self.next = Follows::More;
        self.job = Some(DiskWish::Fill(fill));
    }

    /// Has the disk fill blocks, if there is more, and reason to. It is asked when nothing is left to be sent, and then for both blocks,
    /// which come and go together: threads take turns half as often. Meanwhile the client has what it was sent ahead.
    pub(super) fn read_on(&mut self) {
        if self.at_disk == self.stale && self.filled.is_empty() {
            self.read_another();
        }
    }

    /// Has the disk fill one more: what it is at is taken to be followed by more.
    pub(super) fn read_another(&mut self) {
        if self.job.is_some() || self.next != Follows::More || self.empty.is_empty() {
            return;
        }
        // The rest of a message may be longer than a block.
        let rest_is_missing = self.left > 0 && self.filled.is_empty();
        let fill = match (self.turn.is_some(), self.paused && !self.picture) {
            (false, false) => Fill::On,
            (true, _) if rest_is_missing => Fill::Rest,
            (false, true) if rest_is_missing => Fill::On,
            _ => return,
        };
        self.job = Some(DiskWish::Fill(fill));
    }

    /// The first block was sent to its end.
    pub(super) fn next_block(&mut self) {
        if let Some(filled) = self.filled.pop_front() {
            self.put_away(filled.block);
        }
        self.sent = 0;
        self.read_on();
    }

    /// How far ahead of the client's clock it is sent, in milliseconds, and whether the client wants more than that.
    pub(super) fn lead_ms(&self) -> (u32, bool) {
        let most_ms = self.client.map_or(0, |client| client.most_lead_ms).max(LEAST_LEAD_MS);
        let lead_ms = self.buffer_ms.saturating_add(BEYOND_BUFFER_MS);
        (lead_ms.clamp(LEAST_LEAD_MS, most_ms), self.buffer_ms > most_ms)
    }

    /// When the messages that begin in the first block are due. The rest of one that began before is due at once.
    pub(super) fn due_at(&self, now: Millis) -> Option<Millis> {
        let first = self.filled.front()?;
        if self.sent > first.block.first() {
            return Some(now);
        }
        Some(self.media_due_at(first.from_ms, now))
    }

    /// When media that is sent with that time is due.
    fn media_due_at(&self, from_ms: Option<u32>, now: Millis) -> Millis {
        let (Some((since, at_ms)), Some(from_ms)) = (self.clock, from_ms) else { return now };
        let (lead_ms, is_cut) = self.lead_ms();
        // Who was told that there is no more for now is not told otherwise with every block.
        let lead_ms = if is_cut && self.told_full { lead_ms / 2 } else { lead_ms };
        let ahead_ms = i64::from(from_ms.wrapping_sub(at_ms) as i32) - i64::from(lead_ms);
        since + ahead_ms.max(0) as u64
    }

    /// When a client that was sent all of it hears so: as soon as its buffer holds what it has not played, and it has had the time
    /// to go elsewhere. ffmpeg, which reads the beginning of a film before it seeks, takes an end that was on its way for the end of
    /// what it sought.
    fn over_at(&self, now: Millis) -> Millis {
        let (_, is_cut) = self.lead_ms();
        match self.clock {
            // Who wants all at once does not go elsewhere, and waits for the end.
            Some((since, at_ms)) if !is_cut && self.buffer_ms > 0 && self.queue.is_empty() && !self.picture => {
                let ahead_ms = i64::from(self.sent_ms.wrapping_sub(at_ms) as i32) - i64::from(self.buffer_ms);
                since + ahead_ms.max(SETTLES_MS) as u64
            }
            _ => now,
        }
    }

    /// What lies behind the first block, if it may be sent together with all of that.
    pub(super) fn follows(&self, now: Millis) -> &[u8] {
        let ends_before = self.turn.is_some() || self.paused || self.successor.is_some();
        let next = self.filled.iter().nth(1).filter(|_| !ends_before && self.phase == PlaceState::Playing);
        let next = next.filter(|next| self.clock.is_some() && self.media_due_at(next.from_ms, now) <= now);
        next.map_or(&[], |next| next.block.bytes())
    }

    /// What is due to it.
    pub(super) fn ready(&self, now: Millis) -> Readiness {
        let here = self.filled.front().map_or(0, |first| first.block.bytes().len());
        let stops = self.paused && !self.picture;
        // Nothing is on its way that is wanted.
        let is_all = self.at_disk == self.stale && self.job.is_none();
        if self.left > 0 {
            let is_early = self.due_at(now).is_some_and(|at| at > now);
            return match here {
                0 if is_all => Readiness::Broken,
                0 => Readiness::Waits,
                // No further than to the end of that message.
                _ if self.turn.is_some() || stops || is_early || self.successor.is_some() => {
                    Readiness::Bytes(self.sent..here.min(self.sent + self.left))
                }
                _ => Readiness::Bytes(self.sent..here),
            };
        }
        if stops {
            return Readiness::Nothing;
        }
        let mut here = here;
        if let Some(Successor { id, from_ms: Some(from_ms), .. }) = self.successor {
            let has_all = is_all && here == 0 && self.next != Follows::More && !self.awaits_more();
            let ends = self.phase == PlaceState::Ended || has_all;
            here = self.until(from_ms).min(here);
            if ends || here == self.sent && !self.filled.is_empty() {
                return Readiness::Tell(ToTell::Succeeded(id));
            }
        }
        if self.phase != PlaceState::Playing {
            return Readiness::Nothing;
        }
        let Some(at) = self.due_at(now) else {
            return match self.next {
                Follows::Fault if is_all => Readiness::Tell(ToTell::Fault),
                // On pause one picture is no end.
                Follows::End if is_all && !self.paused && self.successor.is_none() && !self.awaits_more() => {
                    if self.over_at(now) > now { Readiness::Nothing } else { Readiness::Tell(ToTell::Over) }
                }
                _ => Readiness::Nothing,
            };
        };
        if at > now {
            let (_, is_cut) = self.lead_ms();
            return if is_cut && !self.told_full { Readiness::Tell(ToTell::Full) } else { Readiness::Nothing };
        }
        if self.switching {
            Readiness::Tell(ToTell::Switched)
        } else if self.told_full {
            Readiness::Tell(ToTell::GoesOn)
        } else if self.late == Lateness::Yes {
            Readiness::Tell(ToTell::Late)
        } else {
            Readiness::Bytes(self.sent..here)
        }
    }

    /// Where in the first block a message stands that has this time or a later one, behind those that were sent.
    fn until(&self, ms: u32) -> usize {
        let Some(first) = self.filled.front() else { return 0 };
        let mut at = self.sent;
        while let Some(message) = first.block.message(at)
            && (message.time_ms.wrapping_sub(ms) as i32) < 0
        {
            at = message.end;
        }
        at
    }

    /// It has come to the end of what is recorded, and more will be.
    pub(super) fn awaits_more(&self) -> bool {
        let Some(FollowedFile { file, is_all: false, .. }) = &self.growing else { return false };
        !self.picture && self.terms.end_ms.is_none_or(|end_ms| file.whole.ms < end_ms)
    }

    /// Goes on from the end of what was recorded when the disk was asked, if there is more by now.
    pub(super) fn follow(&mut self) {
        let plays = matches!(self.phase, PlaceState::Playing | PlaceState::Succeeding) && !self.picture;
        let has_grown = self.growing.as_ref().is_some_and(|followed| followed.has_grown);
        if plays && has_grown && self.next == Follows::End {
            self.next = Follows::More;
            self.read_on();
        }
    }

    pub(super) fn is_due(&self, now: Millis) -> bool {
        !matches!(self.ready(now), Readiness::Nothing | Readiness::Waits)
    }

    /// How far the client's clock is ahead of what it was sent, in milliseconds.
    pub(super) fn late_ms(&self, now: Millis) -> i64 {
        let Some((since, at_ms)) = self.clock else { return 0 };
        now.since(since) as i64 - i64::from(self.sent_ms.wrapping_sub(at_ms) as i32)
    }

    /// When it is to be looked at, if nothing happens before.
    pub(super) fn look_at(&self, now: Millis) -> Option<Millis> {
        let over = self.last_taken + OVER_MS;
        match self.phase {
            PlaceState::Free | PlaceState::Lent | PlaceState::Succeeding => None,
            PlaceState::Opening | PlaceState::OpeningNext | PlaceState::Ended | PlaceState::Leaving => Some(over),
            PlaceState::Playing if self.paused && !self.picture => Some(over),
            PlaceState::Playing => {
                let next = self.due_at(now).unwrap_or_else(|| self.over_at(now));
                Some(if next > now { next.min(over) } else { over })
            }
        }
    }

    /// The time of the file of a time that was sent.
    pub(super) fn file_ms(&self, sent_ms: u32) -> u32 {
        // A playlist goes back no further than to the beginning of what is played.
        let within = (sent_ms.wrapping_sub(self.terms.base_ms) as i32).max(0) as u32;
        let file_ms = self.terms.start_ms.saturating_add(within);
        self.terms.end_ms.map_or(file_ms, |end_ms| file_ms.min(end_ms.saturating_sub(1)))
    }

    pub(super) fn played(&self) -> (u32, u64) {
        (self.sent_ms.wrapping_sub(self.terms.base_ms), self.bytes)
    }

    /// Since when it has taken nothing; `None` while it is not what holds it up.
    pub(super) fn idle_since(&self) -> Option<Millis> {
        match self.phase {
            PlaceState::Free | PlaceState::Lent | PlaceState::Opening | PlaceState::OpeningNext | PlaceState::Succeeding => None,
            PlaceState::Playing | PlaceState::Ended | PlaceState::Leaving => Some(self.last_taken),
        }
    }
}
