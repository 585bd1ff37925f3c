//! Players of recorded streams: what each is sent next, and when.
//!
//! A player has a place: a file that the disk thread keeps open for it ([`crate::live::recorded`]), and two blocks, which the disk fills
//! with bytes as they are sent. One is on its way to the player while the other is filled. There is no ring and no second copy;
//! like a [`Reader`](crate::live::reader::Reader) a player is asked what is due and told what was sent, and whoever asks has the
//! words for what happens and writes.
//!
//! - **Pace**: as much as the client wants to hold goes at once, and then as fast as it is played. Nothing is left out: who is
//!   slow is late.
//! - **Elsewhere**: a message that was begun is sent to its end. Then what was queued is dropped, and it goes on from the key frame
//!   before the wanted time.
//! - **Nobody waits for the disk** but the player: while a block is missing, nothing is due.

mod player;

use std::boxed::Box;
use std::vec::Vec;

use crate::bitset::BitSet;
use crate::handles::ConnId;
use crate::limits::{RECORDED_QUESTIONS, Row};
use crate::live::Live;
use crate::live::download::LentBlock;
use crate::live::jobs::{AskedBy, Done, Job};
use crate::live::recorded::{
    BLOCK_MS, Block, Fill, Follows, NotPlayed, RECORDED_BLOCKS, RecordedFacts, RecordedId, RecordedName,
    RecordedTerms,
};
use crate::live::recording::{GrowingFile, RecordingId, WholePart};
use crate::live::settings::Settings;
use crate::media::TagKind;
use crate::time::Millis;

use super::contract::{Action, Actions, Feature, Happened};

pub use player::{ItemPosition, PlayedLength, PlaylistItem, RecordedClient, RecordedDue, ToTell};

use player::{
    AfterMessage, DiskWish, FilledBlock, FollowedFile, Lateness, OVER_MS, PlaceState, Readiness, RecordedPlayer, Search,
    Successor,
};

/// Who takes nothing of what it is due for so long has stopped, as a player on pause does, in milliseconds: when it goes on, it does
/// so where it was.
const STOPPED_MS: u64 = 3000;
/// Media for so long may be sent by the time that the disk answers, in milliseconds: all blocks of a player, twice.
const PASSED_MS: u32 = 2 * RECORDED_BLOCKS as u32 * BLOCK_MS.cast_unsigned();
/// Who takes nothing for so long gives way to another, in milliseconds.
const YIELDS_MS: u64 = 60_000;
/// Players are looked at so many milliseconds apart, so that their number does not wake the loop and the disk more often. They are
/// ahead by many times that.
const LOOK_MS: u64 = 50;
/// The same of what is published frame by frame, which is ahead by nothing.
const FRAME_LOOK_MS: u64 = 10;

/// All players of recorded streams.
pub struct RecordedPlayers {
    players: Box<[RecordedPlayer]>,
    /// Those that have something to ask of the disk.
    asking: BitSet<Box<[u64]>>,
    /// What clients want to know of recorded streams that they do not play.
    questions: heapless::Deque<(AskedBy, RecordedName), RECORDED_QUESTIONS>,
    /// When they are to be looked at.
    wake_at: Option<Millis>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPlace;

impl RecordedPlayers {
    /// A place for somebody who wants to play that, if there is one: the disk looks for its file, and what it finds comes as
    /// [`Action::Opened`]. What is played there goes on from the time of `from`, which it takes the place of. A file that is being recorded
    /// is followed to its end.
    ///
    /// # Errors
    ///
    /// [`NoPlace`]: all of them are taken (`limits.recorded_players`).
    pub fn open(
        &mut self,
        client: RecordedClient,
        item: PlaylistItem,
        growing: Option<GrowingFile>,
        from: Option<ItemPosition>,
        now: Millis,
    ) -> Result<RecordedId, NoPlace> {
        let place = self.players.iter().position(|player| player.phase == PlaceState::Free).ok_or(NoPlace)?;
        let player = &mut self.players[place];
        let position = from.unwrap_or(ItemPosition { start_ms: item.start_ms, base_ms: 0, at_ms: item.start_ms });
        player.terms = RecordedTerms {
            message_stream_id: client.message_stream_id,
            legacy: client.legacy,
            audio: true,
            video: true,
            start_ms: position.start_ms,
            base_ms: position.base_ms,
            end_ms: item.end_ms(),
            whole_bytes: growing.as_ref().map(|file| file.whole.bytes),
        };
        player.growing = growing.map(|file| FollowedFile { file, has_grown: false, is_all: false });
        // What the disk is asked for first.
        player.clock_ms = player.terms.sent_ms(position.at_ms);
        player.sent_ms = player.clock_ms;
        player.phase = PlaceState::Opening;
        player.client = Some(client);
        player.buffer_ms = 0;
        player.item = item;
        player.queue.clear();
        player.job = Some(DiskWish::Open);
        (player.turn, player.paused, player.picture, player.bytes) = (None, false, false, 0);
        (player.told_full, player.late, player.switching) = (false, Lateness::No, from.is_some());
        (player.last_taken, player.offered) = (now, None);
        let id = player.id(place);
        self.asking.insert(place);
        self.look_by(now + OVER_MS);
        Ok(id)
    }

    /// What was found is played from now on: the first block is on its way.
    pub fn begin(&mut self, id: RecordedId, now: Millis) {
        let Some(player) = self.player_mut(id) else { return };
        let from_ms = player.file_ms(player.clock_ms);
        player.last_taken = now;
        player.next = Follows::End;
        player.phase = PlaceState::Playing;
        player.picture = player.item.length == PlayedLength::Picture;
        // Nothing lies behind the end.
        let is_within = player.duration_ms == 0 || u64::from(player.item.start_ms) < player.duration_ms;
        if is_within || player.awaits_more() {
            player.go_to(if player.picture { Fill::Picture(from_ms) } else { Fill::From(from_ms) });
        }
        self.ask(id);
    }

    /// What was found goes on in place of what has another place, from its next key frame on. False when that plays nothing, or this is
    /// not what goes on there: it begins at once.
    pub fn succeed(&mut self, before: RecordedId, id: RecordedId) -> bool {
        let Some(plays) = self.player(before).filter(|player| player.phase == PlaceState::Playing) else { return false };
        let from_ms = plays.sent_ms;
        let Some(player) = self.player(id) else { return false };
        if !player.switching || player.item.length == PlayedLength::Picture {
            return false;
        }
        self.end_succession(before);
        self.search(id, Search::Next, from_ms);
        self.players[usize::from(before.place)].successor =
            Some(Successor { id, from_ms: None, search: Search::Next });
        true
    }

    /// The disk looks for the key frame with which a successor begins.
    fn search(&mut self, id: RecordedId, search: Search, from_ms: u32) {
        let Some(player) = self.player_mut(id) else { return };
        let file_ms = player.file_ms(from_ms);
        player.go_to(match search {
            Search::Next => Fill::Next(file_ms),
            Search::Later => Fill::Next(file_ms.saturating_add(PASSED_MS)),
            Search::Before => Fill::From(file_ms),
        });
        player.phase = PlaceState::Succeeding;
        self.ask(id);
    }

    /// The disk has found it, or that there is none.
    fn found(&mut self, id: RecordedId, from_ms: Option<u32>, now: Millis, out: &mut Actions) {
        let is_of = |player: &RecordedPlayer| player.successor.is_some_and(|successor| successor.id == id);
        let Some(place) = self.players.iter().position(is_of) else { return };
        let player = &mut self.players[place];
        let (sent_ms, Some(successor)) = (player.sent_ms, &mut player.successor) else { return };
        let is_passed = from_ms.is_some_and(|from_ms| (from_ms.wrapping_sub(sent_ms) as i32) <= 0);
        let search = match (successor.search, from_ms) {
            (Search::Next, Some(_)) if is_passed => Some(Search::Later),
            (Search::Next | Search::Later, None) => Some(Search::Before),
            _ => None,
        };
        match search {
            Some(search) => {
                successor.search = search;
                self.search(id, search, sent_ms);
            }
            None => {
                successor.from_ms = Some(from_ms.unwrap_or(sent_ms));
                self.wake(place, now, out);
            }
        }
    }

    /// Who was to go on in its place does not.
    fn end_succession(&mut self, id: RecordedId) {
        if let Some(successor) = self.player_mut(id).and_then(|player| player.successor.take()) {
            self.free(successor.id);
        }
    }

    /// Its successor goes on now, if it has one: what has the place plays no more.
    pub fn succeeded(&mut self, before: RecordedId) -> Option<RecordedId> {
        let player = self.player_mut(before)?;
        let Successor { id, .. } = player.successor.take()?;
        let (clock, buffer_ms, last_taken) = (player.clock, player.buffer_ms, player.last_taken);
        let queue = core::mem::take(&mut player.queue);
        let player = self.player_mut(id)?;
        (player.clock, player.buffer_ms, player.last_taken, player.queue) = (clock, buffer_ms, last_taken, queue);
        player.phase = PlaceState::Playing;
        // Nobody has looked when it is due.
        self.look_by(last_taken);
        Some(id)
    }

    /// What was found of the next in the playlist cannot be played: it is over, or another one is next.
    pub fn skip_next(&mut self, id: RecordedId) {
        if let Some(player) = self.player_mut(id) {
            (player.phase, player.next) = (PlaceState::Playing, Follows::End);
        }
    }

    /// A block for a file that is fetched, for which a place is taken.
    pub fn lend(&mut self) -> Option<LentBlock> {
        let can = |player: &RecordedPlayer| player.phase == PlaceState::Free && !player.empty.is_empty();
        let place = self.players.iter().position(can)?;
        let player = &mut self.players[place];
        player.phase = PlaceState::Lent;
        Some(LentBlock { place: place as u16, block: player.empty.pop()? })
    }

    /// It is back, and the place is free.
    pub fn take_back(&mut self, lent: LentBlock) {
        let Some(player) = self.players.get_mut(usize::from(lent.place)) else { return };
        debug_assert!(player.phase == PlaceState::Lent, "what is lent is given back once");
        player.phase = PlaceState::Free;
        player.put_away(lent.block);
    }

    /// How many places are taken.
    pub fn count(&self) -> usize {
        self.players.iter().filter(|player| player.phase != PlaceState::Free).count()
    }

    /// Every place is taken.
    pub fn is_full(&self) -> bool {
        self.count() == self.players.len()
    }

    /// The disk looks for the next of the playlist; false when there is none.
    pub fn open_next(&mut self, id: RecordedId) -> bool {
        let Some(player) = self.player_mut(id) else { return false };
        let Some(item) = player.queue.pop_front() else { return false };
        player.before = player.played();
        let (start_ms, base_ms) = (item.start_ms, player.sent_ms);
        player.terms = RecordedTerms { start_ms, base_ms, end_ms: item.end_ms(), whole_bytes: None, ..player.terms };
        player.growing = None;
        (player.clock_ms, player.bytes) = (base_ms, 0);
        player.phase = PlaceState::OpeningNext;
        player.item = item;
        player.job = Some(DiskWish::Open);
        self.ask(id);
        true
    }

    /// So much of a file that is being recorded is whole now: whoever has come to its end goes on.
    pub fn grown(&mut self, recording: RecordingId, whole: WholePart, is_all: bool, now: Millis, out: &mut Actions) {
        for place in 0..self.players.len() {
            let player = &mut self.players[place];
            let Some(followed) = player.growing.as_mut().filter(|followed| followed.file.recording == recording) else {
                continue;
            };
            followed.has_grown |= followed.file.whole != whole;
            followed.file.whole = whole;
            followed.is_all |= is_all;
            player.terms.whole_bytes = Some(whole.bytes);
            player.follow();
            let id = player.id(place);
            self.ask(id);
            self.wake(place, now, out);
        }
    }

    /// One more in the playlist: it is played at once when nothing is. False when there are as many as there may be.
    pub fn queue(&mut self, id: RecordedId, item: PlaylistItem) -> bool {
        let Some(player) = self.player_mut(id) else { return false };
        let is_queued = player.queue.push_back(item).is_ok();
        // It may follow at once.
        self.look_by(Millis(0));
        is_queued
    }

    /// Goes on from the key frame at that time, or before it: one of those that are sent, in milliseconds. On pause it is one picture.
    pub fn seek(&mut self, id: RecordedId, ms: u32) {
        let Some(player) = self.player_mut(id) else { return };
        if !matches!(player.phase, PlaceState::Playing | PlaceState::Ended) {
            return;
        }
        let file_ms = player.file_ms(ms);
        player.clock_ms = player.terms.sent_ms(file_ms);
        player.picture = player.paused || player.item.length == PlayedLength::Picture;
        player.go_to(if player.picture { Fill::Picture(file_ms) } else { Fill::From(file_ms) });
        self.ask(id);
    }

    /// Stops behind the message that was begun.
    pub fn pause(&mut self, id: RecordedId) {
        let Some(player) = self.player_mut(id) else { return };
        (player.paused, player.picture) = (true, false);
    }

    /// Goes on from the key frame at the time where the client is, or before it.
    pub fn go_on(&mut self, id: RecordedId, ms: u32) {
        let Some(player) = self.player_mut(id) else { return };
        player.paused = false;
        self.seek(id, ms);
    }

    /// It is on pause.
    pub fn is_paused(&self, id: RecordedId) -> bool {
        self.player(id).is_some_and(|player| player.paused)
    }

    /// It wants sound, or none, and pictures, or none, in the blocks that are filled from now on.
    pub fn receive(&mut self, id: RecordedId, audio: Option<bool>, video: Option<bool>) {
        let Some(player) = self.player_mut(id) else { return };
        player.terms.audio = audio.unwrap_or(player.terms.audio);
        player.terms.video = video.unwrap_or(player.terms.video);
    }

    /// The client wants to hold so much, in milliseconds.
    pub fn set_buffer(&mut self, id: RecordedId, buffer_ms: u32, now: Millis) {
        if let Some(player) = self.player_mut(id) {
            player.buffer_ms = buffer_ms;
            self.look_by(now);
        }
    }

    /// What is due to it.
    pub fn due(&mut self, id: RecordedId, now: Millis) -> RecordedDue<'_> {
        self.due_with_next(id, now).0
    }

    /// The same, and what may be sent in one write with all of the bytes that are due.
    pub fn due_with_next(&mut self, id: RecordedId, now: Millis) -> (RecordedDue<'_>, &[u8]) {
        let Some(player) = self.player_mut(id) else { return (RecordedDue::Nothing, &[]) };
        let bytes = match player.ready(now) {
            Readiness::Nothing => return (RecordedDue::Nothing, &[]),
            Readiness::Waits => return (RecordedDue::Waits, &[]),
            Readiness::Broken => return (RecordedDue::Broken, &[]),
            Readiness::Tell(what) => return (RecordedDue::Tell(what), &[]),
            Readiness::Bytes(bytes) => bytes,
        };
        player.offered = player.offered.or(Some(now));
        let player = &self.players[usize::from(id.place)];
        let Some(first) = player.filled.front() else { return (RecordedDue::Nothing, &[]) };
        let all = first.block.bytes();
        let next = if bytes.end == all.len() { player.follows(now) } else { &[] };
        (RecordedDue::Bytes(&all[bytes]), next)
    }

    /// Something is due to it.
    pub fn is_due(&self, id: RecordedId, now: Millis) -> bool {
        self.player(id).is_some_and(|player| player.is_due(now))
    }

    /// It is to be looked at again at that time, whatever is due.
    pub fn look_again(&mut self, at: Millis) {
        self.look_within(at, FRAME_LOOK_MS);
    }

    /// It was told that.
    pub fn told(&mut self, id: RecordedId, what: ToTell) {
        let Some(player) = self.player_mut(id) else { return };
        match what {
            ToTell::Switched => player.switching = false,
            ToTell::Full => player.told_full = true,
            ToTell::GoesOn => player.told_full = false,
            ToTell::Late => player.late = Lateness::Told,
            ToTell::Over | ToTell::Fault => player.phase = PlaceState::Ended,
            ToTell::Succeeded(_) => {}
        }
    }

    /// So many bytes of [`RecordedDue::Bytes`] were sent.
    pub fn sent(&mut self, id: RecordedId, bytes: usize, now: Millis) {
        let Some(player) = self.player_mut(id) else { return };
        let mut bytes_left = bytes;
        if bytes == 0 {
            return;
        }
        match &mut player.clock {
            None => player.clock = Some((now, player.clock_ms)),
            // While it had stopped it did not play either.
            Some((since, _)) => {
                let waited_ms = player.offered.map_or(0, |at| now.since(at));
                if waited_ms > STOPPED_MS {
                    *since = *since + waited_ms;
                }
            }
        }
        player.offered = None;
        player.last_taken = now;
        player.bytes += bytes as u64;
        while bytes_left > 0 {
            let Some(first) = player.filled.front() else { break };
            if player.left == 0 {
                // What lies behind the last message is nothing.
                let Some(message) = first.block.message(player.sent) else { break };
                player.left = message.end - player.sent;
                if message.kind != TagKind::Data {
                    player.sent_ms = message.time_ms;
                }
            }
            let here = first.block.bytes().len() - player.sent;
            let taken = bytes_left.min(player.left).min(here);
            player.sent += taken;
            player.left -= taken;
            bytes_left -= taken;
            if taken == here {
                player.next_block();
            }
        }
        if player.left == 0 {
            match player.turn.take() {
                Some(AfterMessage::To(fill)) => player.go_to(fill),
                Some(AfterMessage::Leave) => return self.free(id),
                None => {}
            }
        }
        let look_at = self.player(id).and_then(|player| player.look_at(now));
        self.ask(id);
        if let Some(at) = look_at {
            self.look_by(at);
        }
    }

    /// The network takes no more for now.
    pub fn blocked(&mut self, id: RecordedId, now: Millis) {
        let Some(player) = self.player_mut(id) else { return };
        let (filled, late_ms) = (player.filled.len(), player.late_ms(now));
        // Else the disk is what it waits for; and one that has stopped is not late.
        let is_slow = filled == RECORDED_BLOCKS && now.since(player.last_taken) <= STOPPED_MS;
        if is_slow && player.late == Lateness::No && late_ms > i64::from(player.buffer_ms) {
            player.late = Lateness::Yes;
        }
    }

    /// It is in the middle of a message: nothing else may be sent before the rest of it.
    pub fn is_within(&self, id: RecordedId) -> bool {
        self.player(id).is_some_and(|player| player.left > 0)
    }

    /// When it last took anything.
    pub fn last_taken(&self, id: RecordedId) -> Millis {
        self.player(id).map_or(Millis(0), |player| player.last_taken)
    }

    /// How long is the message that is next; of one that was begun the rest. As far as it is there.
    pub fn message_bytes(&self, id: RecordedId) -> usize {
        let Some(player) = self.player(id) else { return 0 };
        if player.left > 0 {
            return player.left;
        }
        let message = player.filled.front().and_then(|first| first.block.message(player.sent));
        message.map_or(0, |message| message.end - player.sent)
    }

    /// The net stream does something else from now on. True when the rest of a message is still to be sent, before anything else.
    pub fn leave(&mut self, id: RecordedId) -> bool {
        self.end_succession(id);
        let Some(player) = self.player_mut(id) else { return false };
        if player.left == 0 {
            self.free(id);
            return false;
        }
        player.phase = PlaceState::Leaving;
        player.queue.clear();
        player.turn = Some(AfterMessage::Leave);
        player.read_on();
        self.ask(id);
        true
    }

    /// Nothing more can be sent: the place is free.
    pub fn free(&mut self, id: RecordedId) {
        self.end_succession(id);
        let Some(player) = self.player_mut(id) else { return };
        player.drop_filled();
        player.phase = PlaceState::Free;
        (player.client, player.growing, player.turn) = (None, None, None);
        player.queue.clear();
        // The disk has its own answer to one that comes back too late.
        player.stale = 0;
        player.at_disk = 0;
        player.job = Some(DiskWish::Close(id));
        player.generation = player.generation.wrapping_add(1);
        self.asking.insert(usize::from(id.place));
    }

    /// Who gives way to another: one who has all, or else has taken nothing for long.
    pub fn yields(&self, now: Millis) -> Option<(ConnId, RecordedId)> {
        let idle = |player: &RecordedPlayer| match player.phase {
            PlaceState::Ended => Some(u64::MAX),
            PlaceState::Leaving => None,
            _ => player.idle_since().map(|since| now.since(since)).filter(|&ms| ms >= YIELDS_MS),
        };
        let weighed = self
            .players
            .iter()
            .enumerate()
            .filter_map(|(place, player)| Some((idle(player)?, player.client?.by.conn()?, player.id(place))));
        weighed.max_by_key(|&(ms, ..)| ms).map(|(_, conn, id)| (conn, id))
    }

    /// What is played, or looked for.
    pub fn item(&self, id: RecordedId) -> Option<&PlaylistItem> {
        self.player(id).map(|player| &player.item)
    }

    /// What the client calls that; empty when it is gone.
    pub fn name(&self, id: RecordedId) -> &str {
        self.item(id).map_or("", |item| item.name.name())
    }

    /// The file of what is next in the playlist is looked for, and what came of it is not known.
    pub fn is_between_items(&self, id: RecordedId) -> bool {
        self.player(id).is_some_and(|player| player.phase == PlaceState::OpeningNext)
    }

    /// All was sent, or nothing that is there is wanted.
    pub fn has_ended(&self, id: RecordedId) -> bool {
        self.player(id).is_some_and(|player| player.phase == PlaceState::Ended)
    }

    /// From the item's first time to the last that was sent, in milliseconds, and how many bytes that were.
    pub fn played(&self, id: RecordedId) -> (u32, u64) {
        self.player(id).map_or((0, 0), RecordedPlayer::played)
    }

    /// The same of the item before, in a playlist.
    pub fn played_before(&self, id: RecordedId) -> (u32, u64) {
        self.player(id).map_or((0, 0), |player| player.before)
    }

    /// Where it is.
    pub fn position(&self, id: RecordedId) -> Option<ItemPosition> {
        let player = self.player(id)?;
        let RecordedTerms { start_ms, base_ms, .. } = player.terms;
        Some(ItemPosition { start_ms, base_ms, at_ms: player.file_ms(player.sent_ms) })
    }

    /// Somebody wants to know what there is of a recorded stream, which [`Done::Facts`] says. False when too many do already.
    pub fn ask_facts(&mut self, asked: AskedBy, name: RecordedName) -> bool {
        self.questions.push_back((asked, name)).is_ok()
    }

    /// What the disk is to do next.
    pub fn next_job(&mut self) -> Option<Job> {
        if let Some((asked, name)) = self.questions.pop_front() {
            return Some(Job::Facts { asked: Some(asked), name });
        }
        let place = self.asking.next_from(0)?;
        self.asking.remove(place);
        let player = &mut self.players[place];
        let id = player.id(place);
        match player.job? {
            DiskWish::Open => {
                player.job = None;
                let growing = player.growing.as_ref().map(|followed| followed.file.clone());
                Some(Job::Open { id, name: player.item.name.clone(), growing })
            }
            DiskWish::Close(id) => {
                player.job = None;
                Some(Job::Close { id })
            }
            DiskWish::Fill(fill) => {
                let block = player.empty.pop()?;
                player.job = None;
                player.at_disk += 1;
                if let Some(followed) = &mut player.growing {
                    followed.has_grown = false;
                }
                // Nothing is asked for behind what is wanted alone, before it is there.
                player.next = match fill {
                    Fill::From(_) | Fill::Next(_) | Fill::On => Follows::More,
                    Fill::Picture(_) | Fill::Rest => Follows::End,
                };
                let terms = player.terms;
                player.read_another();
                self.ask(id);
                Some(Job::Fill { id, fill, terms, block })
            }
        }
    }

    fn player(&self, id: RecordedId) -> Option<&RecordedPlayer> {
        let player = self.players.get(usize::from(id.place))?;
        (player.generation == id.generation && player.phase != PlaceState::Free).then_some(player)
    }

    fn player_mut(&mut self, id: RecordedId) -> Option<&mut RecordedPlayer> {
        let player = self.players.get_mut(usize::from(id.place))?;
        (player.generation == id.generation && player.phase != PlaceState::Free).then_some(player)
    }

    /// The disk is asked, if there is something to ask and what it takes.
    fn ask(&mut self, id: RecordedId) {
        let player = &self.players[usize::from(id.place)];
        match player.job {
            Some(DiskWish::Fill(_)) if player.empty.is_empty() => {}
            Some(_) => {
                self.asking.insert(usize::from(id.place));
            }
            None => {}
        }
    }

    fn opened(&mut self, id: RecordedId, found: Result<RecordedFacts, NotPlayed>, out: &mut Actions) {
        let Some(player) = self.player_mut(id) else { return };
        if let Ok(facts) = found {
            player.duration_ms = facts.duration_ms;
        }
        if let Some(RecordedClient { by, .. }) = player.client {
            out.push(Action::Opened { by, id, found });
        }
    }

    fn filled(
        &mut self,
        id: RecordedId,
        block: Option<Block>,
        from_ms: Option<u32>,
        next: Follows,
        now: Millis,
        out: &mut Actions,
    ) {
        let Some(player) = self.players.get_mut(usize::from(id.place)) else { return };
        if player.generation != id.generation {
            // Of whoever had the place before.
            if let Some(block) = block {
                player.put_away(block);
            }
            return self.ask(id);
        }
        player.at_disk -= 1;
        if player.stale > 0 {
            player.stale -= 1;
            if let Some(block) = block {
                player.put_away(block);
            }
            return self.ask(id);
        }
        player.next = next;
        let begins = player.phase == PlaceState::Succeeding && player.filled.is_empty();
        match block {
            Some(block) if !block.bytes().is_empty() => {
                let from_ms = from_ms.map(|ms| player.terms.sent_ms(ms));
                let kept = player.filled.push_back(FilledBlock { block, from_ms });
                debug_assert!(kept.is_ok(), "a place has as many blocks as it was given");
            }
            Some(block) => player.put_away(block),
            None => player.next = Follows::Fault,
        }
        player.follow();
        player.read_on();
        let from_ms = from_ms.map(|ms| player.terms.sent_ms(ms));
        self.ask(id);
        if begins {
            self.found(id, from_ms, now, out);
        }
        self.wake(usize::from(id.place), now, out);
    }

    /// A player is due something, or is looked at when it is.
    fn wake(&mut self, place: usize, now: Millis, out: &mut Actions) {
        let player = &self.players[place];
        let Some(RecordedClient { by, .. }) = player.client else { return };
        if player.is_due(now) {
            out.push(Action::Deliver(by));
        }
        if let Some(at) = player.look_at(now) {
            self.look_by(at);
        }
    }

    fn look_by(&mut self, at: Millis) {
        self.look_within(at, LOOK_MS);
    }

    fn look_within(&mut self, at: Millis, step_ms: u64) {
        let at = Millis(at.0.div_ceil(step_ms) * step_ms);
        self.wake_at = Some(self.wake_at.map_or(at, |before| before.min(at)));
    }
}

impl Feature for RecordedPlayers {
    fn new(settings: &Settings) -> RecordedPlayers {
        let count = settings.recorded_players as usize;
        let players: Vec<RecordedPlayer> = core::iter::repeat_with(RecordedPlayer::new).take(count).collect();
        RecordedPlayers {
            players: players.into_boxed_slice(),
            asking: BitSet::new(vec![0; count.div_ceil(64)].into_boxed_slice()),
            questions: heapless::Deque::new(),
            wake_at: None,
        }
    }

    fn memory(settings: &Settings) -> Row {
        // Its blocks have a row of their own. And a bit of each, which the size of a player rounds up.
        Row::new("players of recorded streams", settings.recorded_players as usize, size_of::<RecordedPlayer>())
    }

    /// Who has one says what becomes of it.
    fn hear(&mut self, _what: &Happened, _live: &Live, _now: Millis, _out: &mut Actions) {}

    fn turn(&mut self, _live: &mut Live, now: Millis, out: &mut Actions) {
        if self.wake_at.is_none_or(|at| at > now) {
            return;
        }
        self.wake_at = None;
        for place in 0..self.players.len() {
            if out.room() == 0 {
                return self.look_by(now);
            }
            let player = &self.players[place];
            let Some(RecordedClient { by, .. }) = player.client else { continue };
            if player.last_taken + OVER_MS <= now && player.phase != PlaceState::Succeeding {
                out.push(Action::GiveUp { by, id: player.id(place) });
                continue;
            }
            self.wake(place, now, out);
        }
    }

    fn done(&mut self, done: Done, now: Millis, out: &mut Actions) -> Option<Done> {
        match done {
            Done::Opened { id, found, .. } => self.opened(id, found, out),
            Done::Filled { id, block, from_ms, next } => self.filled(id, block, from_ms, next, now, out),
            Done::Closed { .. } => {}
            done => return Some(done),
        }
        None
    }

    fn wake_at(&self) -> Option<Millis> {
        self.wake_at
    }
}
