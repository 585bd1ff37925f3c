//! Fan-out: what every player is due, in as few writes as there can be. What that is its reader says ([`crate::live::reader`]); here it is
//! framed as RTMP, has RTMP's words for what happens, and is written.
//!
//! Nearly every player is *plain*: it plays one stream, on message stream 1, and wants all of it. It is sent the ring's
//! own bytes, everything from its cursor to the head in one write, behind its control bytes if there are any. The others
//! go tag by tag, with headers of their own; so do players who announced no Enhanced RTMP, as long as there is some before them.

use core::ops::ControlFlow;
use std::io::IoSlice;

use log::info;

use crate::features::contract::Happened;
use crate::features::recorded::{RecordedDue, RecordedPlayers, ToTell};
use crate::handles::{ConnId, SlotIndex, StreamId};
use crate::limits::NET_STREAMS;
use crate::live::names::{Media, Names};
use crate::live::reader::{Due, Form, Reader, Rest, StreamView, Terms};
use crate::live::recorded::RecordedId;
use crate::live::settings::Settings;
use crate::media::{Cursor, Piece, Reframe, Tag, frame};
use crate::rtmp::bandwidth_check::PayloadCall;
use crate::rtmp::event::NetStreamId;
use crate::rtmp::recorded::{Played, Told};
use crate::rtmp::status::{Code, Status};
use crate::time::Millis;
use crate::wire::announced::Announced;
use crate::wire::flv::Codec;
use crate::wire::legacy::Legacy;

use super::close::CloseReason;
use super::outbox::Outboxes;
use super::pace::WRITE_BYTES;
use super::rtmp::{Role, Rtmp, TagTail, Tail};
use super::slot::{LastWords, Slot, SlotState};
use super::speaks::Speaks;
use super::transport::{Io, Net};
use super::wakes::Held;
use super::{LINGER_MS, Server};

/// What features send to one connection in one turn of the loop at most, so that other clients are not held up.
const SPARE_BYTES: u64 = 256 * 1024;
/// Most pieces of a reframed tag in one write.
const PIECES: usize = 16;

impl Server {
    /// Sends what is due.
    pub(super) fn fan_out<N: Net>(&mut self, net: &mut N, now: Millis) {
        let mut from = 0;
        while let Some(id) = self.wakes.take_due(from) {
            from = usize::from(id.0) + 1;
            self.fan_out_stream(net, id, now);
        }
        let mut from = 0;
        while let Some(index) = self.wakes.take_to_send(from) {
            from = index.at() + 1;
            let (stream, before) = (self.stream_sent_to(index), self.counters.bytes_out);
            self.flush_slot(net, index, now);
            if let Some(id) = stream {
                self.live.names.stream_mut(id).sent_bytes += self.counters.bytes_out - before;
            }
        }
    }

    fn fan_out_stream<N: Net>(&mut self, net: &mut N, id: StreamId, now: Millis) {
        let before = self.counters.bytes_out;
        let mut from = 0;
        while let Some((index, flush)) = self.fan_out_express(net, id, &mut from, now) {
            match flush {
                Some(flush) => self.flushed(net, index, flush, now),
                None => match self.fan_out_viewers(net, id, index, now) {
                    Together::Served => {}
                    Together::Stopped(index, Some(flush)) => self.flushed(net, index, flush, now),
                    Together::Stopped(index, None) => self.flush_slot(net, index, now),
                    Together::Alone => self.flush_slot(net, index, now),
                },
            }
        }
        self.live.names.stream_mut(id).sent_bytes += self.counters.bytes_out - before;
    }

    /// The live stream that what a connection is sent is of; the first, of several.
    fn stream_sent_to(&self, index: SlotIndex) -> Option<StreamId> {
        match self.slots.peek_both(index).1 {
            Speaks::Rtmp(rtmp) => rtmp.roles.iter().find_map(|role| match role {
                Role::Playing(reader) => Some(reader.stream()),
                _ => None,
            }),
            Speaks::Http(http) => http.stream_sent(),
            _ => None,
        }
    }

    fn flush_slot<N: Net>(&mut self, net: &mut N, index: SlotIndex, now: Millis) {
        if !self.wakes.is_writable(index) {
            return;
        }
        let flush = self.flush_and_spare(net, index, now);
        self.flushed(net, index, flush, now);
        let (slot, speaks) = self.slots.both(index);
        if slot.blocked && speaks.goes_on(&slot.tx) {
            let conn = self.slots.id(index);
            self.unblock(conn);
        } else if flush == Flush::Idle {
            self.slots.begin_express(index);
        }
    }

    /// Writes to one connection, and when nothing is due what a feature has for it.
    fn flush_and_spare<N: Net>(&mut self, net: &mut N, index: SlotIndex, now: Millis) -> Flush {
        let (conn, before) = (self.slots.id(index), self.slots.at(index).bytes_out);
        loop {
            let flush = self.flush(net, index, now);
            if flush != Flush::Spare || self.slots.peek(index).bytes_out - before >= SPARE_BYTES {
                return flush;
            }
            self.wakes.let_go(Held::Spare, index);
            self.happened(Happened::Spare { conn }, now);
        }
    }

    /// Writes to one connection until nothing is due or the network takes no more. Media of recorded streams has its own turn: no
    /// more of it is written than stands before something else.
    pub(super) fn flush<N: Net>(&mut self, net: &mut N, index: SlotIndex, now: Millis) -> Flush {
        self.flush_some(net, index, 0, now)
    }

    /// The same with at most `recorded_bytes` of recorded streams, but to the end of a message that something else waits for.
    pub(super) fn flush_some<N: Net>(
        &mut self,
        net: &mut N,
        index: SlotIndex,
        recorded_bytes: usize,
        now: Millis,
    ) -> Flush {
        let Server { slots, live, settings, counters, wakes, scripting, features, .. } = self;
        let Some((slot, rtmp)) = slots.client_at(index) else {
            return match self.slots.host_at(index) {
                Some(host) => self.flush_host(net, index, host),
                None if self.slots.relay_at(index).is_some() => self.flush_relay(net, index, now),
                None if self.slots.is_client(index) => self.flush_http(net, index, now),
                None => self.flush_words(net, index, now),
            };
        };
        let before = slot.bytes_out;
        let recorded = &mut features.recorded;
        let names = &live.names;
        let mut output = Output {
            net,
            index,
            names,
            recorded,
            recorded_bytes,
            settings,
            now,
            asked: false,
            skips: 0,
            skipped: None,
        };
        let mut charged = before;
        let flush = loop {
            let step = match rtmp.tail {
                Some(Tail::Tag(tail)) => output.rest_of_tag(slot, rtmp, tail),
                Some(Tail::Recorded(id)) => output.rest_of_recorded(slot, rtmp, id),
                Some(Tail::Payload(call)) => output.rest_of_payload(slot, rtmp, call),
                Some(Tail::Message(sent)) => output.rest_of_message(slot, rtmp, sent, &mut scripting.outboxes),
                None if slot.playing == 1 && rtmp.plays_plainly() => output.plain(slot, rtmp),
                None => output.tag_by_tag(slot, rtmp),
            };
            if slot.limited {
                slot.charge(&mut charged);
            }
            match step {
                WROTE => {}
                // What a script says does not wait for tokens, as nothing does that is no media.
                Step::Break(Flush::Idle | Flush::Limited | Flush::More)
                    if !rtmp.outbox.is_empty() && rtmp.session.is_connected() =>
                {
                    rtmp.tail = Some(Tail::Message(0));
                }
                Step::Break(Flush::Idle) if wakes.holds(Held::Spare, index) => {
                    break if slot.is_dry(now) { Flush::Limited } else { Flush::Spare };
                }
                Step::Break(flush) => break flush,
            }
        };
        let (skips, skipped) = (output.skips, output.skipped);
        counters.skips += u64::from(skips);
        if let Some(stream) = skipped {
            live.names.stream_mut(stream).trouble.skipped(skips);
        }
        let written = slot.bytes_out - before;
        counters.bytes_out += written;
        match flush {
            Flush::Blocked if written > 0 || slot.blocked_since.is_none() => slot.blocked_since = Some(now),
            Flush::Idle | Flush::Spare | Flush::Limited | Flush::More | Flush::Held => slot.blocked_since = None,
            _ => {}
        }
        if written > 0 {
            slot.last_taken = now;
        }
        flush
    }

    /// Acts on the result of a flush.
    pub(super) fn flushed<N: Net>(&mut self, net: &mut N, index: SlotIndex, flush: Flush, now: Millis) {
        let conn = self.slots.id(index);
        match flush {
            Flush::Gone(reason) => self.release(net, conn, reason),
            Flush::Blocked => {
                self.wakes.blocked(index);
            }
            Flush::Limited => self.wait_to_send(index, now),
            // The others first.
            Flush::Spare => self.wakes.send(index),
            Flush::More => self.wakes.deliver(index),
            // The rest of that message may be there already.
            Flush::Held => self.deliver_later(index, now),
            Flush::Idle => {
                let slot = self.slots.at(index);
                if let SlotState::Closing { last_words: LastWords::Waiting, published, .. } = slot.state {
                    let last_words = LastWords::Sent(now);
                    slot.state = SlotState::Closing { deadline: now + LINGER_MS, last_words, published };
                    net.finish(index);
                }
            }
        }
    }
}

/// Why a slot's output cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flush {
    /// All that is due was sent.
    Idle,
    /// The same, and a feature wants to know.
    Spare,
    /// The network takes no more now.
    Blocked,
    /// There may be more to send, which it may not be sent yet.
    Limited,
    /// There is more of a recorded stream, in another turn.
    More,
    /// Nothing can be sent before the rest of a message of a recorded stream, which is not there yet, or has its own turn.
    Held,
    /// The connection must end.
    Gone(CloseReason),
}

/// What became of a viewer over HTTP, and of others who are due the same.
pub(super) enum Together {
    /// It has to be looked at by itself.
    Alone,
    /// It was sent all that it is due.
    Served,
    /// This one has to be looked at as a whole, with what became of it so far.
    Stopped(SlotIndex, Option<Flush>),
}

/// One step of a flush, or the end of it.
type Step<T = ()> = ControlFlow<Flush, T>;

/// Something was written, or changed: there may be more.
const WROTE: Step = Step::Continue(());

/// What one flush needs.
struct Output<'s, N> {
    net: &'s mut N,
    index: SlotIndex,
    names: &'s Names,
    recorded: &'s mut RecordedPlayers,
    /// How much more of recorded streams may be written.
    recorded_bytes: usize,
    settings: &'s Settings,
    now: Millis,
    /// Whether its players' lag has been asked ([`Terms::most_lag_ms`]).
    asked: bool,
    skips: u32,
    /// The stream of the last of them.
    skipped: Option<StreamId>,
}

/// A tag that is due, to a net stream by index.
struct DueTag {
    index: usize,
    tag: Tag,
    /// Bytes of it that were sent.
    offset: u32,
    /// How long it has waited.
    lag_ms: u32,
}

impl<'s, N: Net> Output<'s, N> {
    /// Control bytes, then everything between cursor and head, in one write.
    fn plain(&mut self, slot: &mut Slot, rtmp: &mut Rtmp) -> Step {
        let most = if slot.limited { slot.limits.bytes(self.now) } else { WRITE_BYTES };
        let Some((reader, _)) = self.reading(rtmp, 0) else { return Step::Break(Flush::Idle) };
        let between_tags = reader.rest().is_none();
        let due = match self.ask(slot, rtmp, 0, Form::Stored { most }) {
            Ok(Due::Bytes(due)) => due,
            // It goes tag by tag from here on.
            Ok(Due::Tag(..)) => return WROTE,
            Ok(_) => [&[][..]; 2],
            Err(reason) => return Step::Break(Flush::Gone(reason)),
        };
        self.asked |= between_tags;
        let control = if between_tags { slot.tx.pending() } else { &[] };
        let control_bytes = control.len();
        let total = control_bytes + due[0].len() + due[1].len();
        if total == 0 {
            return Step::Break(if most == 0 { Flush::Limited } else { Flush::Idle });
        }
        let mut slices = [IoSlice::new(&[]); 3];
        let mut count = 0;
        for bytes in [control, due[0], due[1]].into_iter().filter(|bytes| !bytes.is_empty()) {
            slices[count] = IoSlice::new(bytes);
            count += 1;
        }
        let written = written(self.net.write(self.index, &slices[..count]), slot)?;
        let of_control = written.min(control_bytes);
        slot.tx.consume(of_control);
        if written > of_control {
            slot.last_use = Some(self.now);
        }
        if let Some((reader, Some(media))) = self.reading(rtmp, 0) {
            reader.sent(media, written - of_control);
            if written == total && reader.has_everything(media) {
                // The usual end, without looking once more.
                return Step::Break(Flush::Idle);
            }
        }
        WROTE
    }

    /// One tag, or control bytes between two.
    fn tag_by_tag(&mut self, slot: &mut Slot, rtmp: &mut Rtmp) -> Step {
        if let Some((index, id)) = self.recorded_role(rtmp, true) {
            return self.recorded(slot, rtmp, index, id);
        }
        let half_sent = rtmp.half_sent();
        let next = match half_sent {
            Some(index) => self.due_tag(slot, rtmp, index),
            None => self.longest_due_tag(slot, rtmp),
        };
        let next = match next {
            Ok(next) => next,
            Err(reason) => return Step::Break(Flush::Gone(reason)),
        };
        if half_sent.is_none() {
            self.asked = true;
            if !slot.tx.is_empty() {
                let written = written(self.net.write(self.index, &[IoSlice::new(slot.tx.pending())]), slot)?;
                slot.tx.consume(written);
                // The rest, if any, before any tag; only WouldBlock says that the network is full.
                return WROTE;
            }
            if slot.is_dry(self.now) {
                return Step::Break(Flush::Limited);
            }
        }
        let Some(DueTag { index, tag, offset, .. }) = next else {
            return match self.recorded_role(rtmp, false) {
                Some((index, id)) => self.recorded(slot, rtmp, index, id),
                None => Step::Break(Flush::Idle),
            };
        };
        let Some((reader, Some(media))) = self.reading(rtmp, index) else { return Step::Break(Flush::Idle) };
        let reframe = reframe(media, &tag, NetStreamId::from_index(index).wire(), known_to(reader));
        let written = self.write_pieces(slot, media, &reframe, Cursor { seq: tag.seq, offset })?;
        reader.sent_framed(&reframe, media, written);
        WROTE
    }

    /// Of all that the connection's players are due, the tag that has waited longest.
    fn longest_due_tag(&mut self, slot: &mut Slot, rtmp: &mut Rtmp) -> Result<Option<DueTag>, CloseReason> {
        let mut longest: Option<DueTag> = None;
        for index in 0..NET_STREAMS {
            if let Some(next) = self.due_tag(slot, rtmp, index)?
                && longest.as_ref().is_none_or(|longest| next.lag_ms > longest.lag_ms)
            {
                longest = Some(next);
            }
        }
        Ok(longest)
    }

    fn due_tag(&mut self, slot: &mut Slot, rtmp: &mut Rtmp, index: usize) -> Result<Option<DueTag>, CloseReason> {
        let Due::Tag(tag, offset) = self.ask(slot, rtmp, index, Form::Framed)? else { return Ok(None) };
        let Some((reader, Some(media))) = self.reading(rtmp, index) else { return Ok(None) };
        let lag_ms = reader.lag_ms(media, self.now).unwrap_or(0);
        Ok(Some(DueTag { index, tag, offset, lag_ms }))
    }

    /// Asks the net stream's reader what is due, until that is media or nothing: headers, and what its client is to hear, go to the
    /// control bytes.
    fn ask(&mut self, slot: &mut Slot, rtmp: &mut Rtmp, index: usize, form: Form) -> Result<Due<'s>, CloseReason> {
        let conn = ConnId { slot: self.index, generation: slot.generation };
        let Rtmp { roles, session, .. } = rtmp;
        let tx = &mut slot.tx;
        let Role::Playing(reader) = &mut roles[index] else { return Ok(Due::Nothing) };
        let (id, message_stream_id) = (reader.stream(), NetStreamId::from_index(index).wire());
        let source = StreamView::of(self.names, id);
        let most_lag_ms = (!self.asked).then_some(self.settings.player_lag_ms);
        let terms = Terms { now: self.now, most_lag_ms, form, knows: Announced::NOTHING };
        loop {
            let due = reader.due(source, &terms);
            let status = |code| Status::new(code, session.own_name(&self.names.stream(id).path));
            let sent = match due {
                Due::Nothing | Due::Bytes(_) | Due::Tag(..) => return Ok(due),
                Due::TooSlow => return Err(CloseReason::TooSlow),
                Due::Skipped => {
                    self.skips += 1;
                    self.skipped = Some(id);
                    continue;
                }
                Due::Header(header, timestamp) => tx.write_with(|free| {
                    source.media?.emit_header(header, timestamp, message_stream_id, known_to(reader), free)
                }),
                Due::Switched => status(Code::PlayTransitionComplete).send_play_status(message_stream_id, tx),
                Due::Ended => status(Code::PlayUnpublishNotify).send(message_stream_id, tx),
                Due::LeftOut(_) => status(Code::PlayNoSupportedTrackFound).send(message_stream_id, tx),
            };
            if sent.is_err() {
                // When what waits has been sent.
                return Ok(Due::Nothing);
            }
            reader.taken(&due);
            if let Due::LeftOut(codec) = due {
                let codec = codec.map_or("an unknown codec", Codec::name);
                let name = self.names.stream(id).path.as_str();
                info!("{conn} {id} name={name:?} {codec} left out: the player announced no Enhanced RTMP");
            }
        }
    }

    /// The net stream's reader, and what it reads.
    fn reading<'a>(&self, rtmp: &'a mut Rtmp, index: usize) -> Option<(&'a mut Reader, Option<&'s Media>)> {
        let Role::Playing(reader) = &mut rtmp.roles[index] else { return None };
        let media = StreamView::of(self.names, reader.stream()).media;
        Some((reader, media))
    }

    /// The net stream in the middle of whose message of a recorded stream we are; else the one that is due something and has waited
    /// longest.
    fn recorded_role(&self, rtmp: &Rtmp, within: bool) -> Option<(usize, RecordedId)> {
        let recorded = rtmp.roles.iter().enumerate().filter_map(|(index, role)| Some((index, role.recorded()?)));
        let wanted = |(_, id): &(usize, RecordedId)| match within {
            true => self.recorded.is_within(*id),
            false => self.recorded.is_due(*id, self.now),
        };
        recorded.filter(wanted).min_by_key(|(_, id)| self.recorded.last_taken(*id))
    }

    /// What a player of a recorded stream is due: bytes of its block, or to hear something.
    #[inline(never)]
    fn recorded(&mut self, slot: &mut Slot, rtmp: &mut Rtmp, index: usize, id: RecordedId) -> Step {
        let within = self.recorded.is_within(id);
        // No further than to the end of a message, if something else may have to be sent behind it.
        let between = !slot.tx.is_empty() || slot.limited || slot.playing > 1 || !rtmp.outbox.is_empty();
        let most = match between {
            true if within || self.recorded_bytes > 0 => self.recorded.message_bytes(id),
            _ => self.recorded_bytes,
        };
        let stream = NetStreamId::from_index(index);
        let (due, next) = self.recorded.due_with_next(id, self.now);
        match due {
            RecordedDue::Nothing => Step::Break(Flush::Idle),
            RecordedDue::Waits => Step::Break(Flush::Held),
            RecordedDue::Broken => Step::Break(Flush::Gone(CloseReason::Unreadable)),
            RecordedDue::Bytes(_) if most == 0 => Step::Break(if within { Flush::Held } else { Flush::More }),
            RecordedDue::Bytes(bytes) => {
                let next = &next[..next.len().min(most.saturating_sub(bytes.len()))];
                let bytes = &bytes[..bytes.len().min(most)];
                let slices = [IoSlice::new(bytes), IoSlice::new(next)];
                let io = self.net.write(self.index, &slices[..if next.is_empty() { 1 } else { 2 }]);
                if matches!(io, Io::WouldBlock) {
                    self.recorded.blocked(id, self.now);
                }
                let written = written(io, slot)?;
                slot.last_use = Some(self.now);
                self.recorded_bytes = self.recorded_bytes.saturating_sub(written);
                self.recorded.sent(id, written, self.now);
                WROTE
            }
            RecordedDue::Tell(what) => {
                if what == ToTell::Over && self.recorded.open_next(id) {
                    return WROTE;
                }
                if let ToTell::Succeeded(_) = what {
                    if let Some(successor) = self.recorded.succeeded(id) {
                        rtmp.roles[index] = Role::Recorded(successor);
                        self.recorded.free(id);
                    }
                    return WROTE;
                }
                let name = self.recorded.name(id);
                let (ms, bytes) = self.recorded.played(id);
                let (session, tx) = (&rtmp.session, &mut slot.tx);
                let told = match what {
                    ToTell::Switched => {
                        Status::new(Code::PlayTransitionComplete, name).send_play_status(stream.wire(), tx)
                    }
                    ToTell::Full => session.tell_recorded(stream, Told::BufferEmpty, tx),
                    ToTell::GoesOn => session.tell_recorded(stream, Told::BufferReady, tx),
                    ToTell::Late => Status::new(Code::PlayInsufficientBandwidth, name)
                        .described("The connection is slower than the recording: it is late.")
                        .send(stream.wire(), tx),
                    ToTell::Over => {
                        session.tell_recorded(stream, Told::Ends { name, played: Played { ms, bytes } }, tx)
                    }
                    ToTell::Fault => Status::new(Code::PlayFailed, name)
                        .described("The recording cannot be read on.")
                        .send(stream.wire(), tx),
                    ToTell::Succeeded(_) => Ok(()),
                };
                if told.is_err() {
                    // When what waits has been sent.
                    return Step::Break(Flush::Idle);
                }
                self.recorded.told(id, what);
                WROTE
            }
        }
    }

    /// The rest of a message whose player has gone.
    #[cold]
    fn rest_of_recorded(&mut self, slot: &mut Slot, rtmp: &mut Rtmp, id: RecordedId) -> Step {
        let io = match self.recorded.due(id, self.now) {
            RecordedDue::Bytes(bytes) => self.net.write(self.index, &[IoSlice::new(bytes)]),
            RecordedDue::Waits => return Step::Break(Flush::Held),
            // Its place was given to another.
            RecordedDue::Nothing | RecordedDue::Tell(_) | RecordedDue::Broken => {
                return Step::Break(Flush::Gone(CloseReason::GaveWay));
            }
        };
        self.recorded.sent(id, written(io, slot)?, self.now);
        rtmp.tail = rtmp.tail.filter(|_| self.recorded.is_within(id));
        WROTE
    }

    /// The rest of a tag whose player has gone.
    fn rest_of_tag(&mut self, slot: &mut Slot, rtmp: &mut Rtmp, mut tail: TagTail) -> Step {
        let Rest { cursor, legacy } = &mut tail.rest;
        let media = tail.ring.map(|ring| self.names.media(ring));
        let Some((media, tag)) = media.and_then(|media| Some((media, media.ring().tag(cursor.seq)?))) else {
            return Step::Break(Flush::Gone(CloseReason::TooSlow));
        };
        let reframe = reframe(media, &tag, tail.message_stream_id, Announced::all_or_nothing(!*legacy));
        let written = self.write_pieces(slot, media, &reframe, *cursor)?;
        let whole = frame::advance(&reframe, media.ring(), cursor, written);
        rtmp.tail = (!whole).then_some(Tail::Tag(tail));
        WROTE
    }

    /// The rest of a call with a payload.
    #[cold]
    fn rest_of_payload(&mut self, slot: &mut Slot, rtmp: &mut Rtmp, call: PayloadCall) -> Step {
        let io = call.rest(|front, payload| match front {
            [] => self.net.write(self.index, &[IoSlice::new(payload)]),
            _ => self.net.write(self.index, &[IoSlice::new(front), IoSlice::new(payload)]),
        });
        rtmp.tail = call.advance(written(io, slot)?).map(Tail::Payload);
        WROTE
    }

    /// The rest of a script's message.
    fn rest_of_message(&mut self, slot: &mut Slot, rtmp: &mut Rtmp, sent: u32, outboxes: &mut Outboxes) -> Step {
        let written = written(self.net.write(self.index, &outboxes.front(&mut rtmp.outbox)), slot)?;
        slot.last_use = Some(self.now);
        let through = outboxes.sent(&mut rtmp.outbox, written);
        rtmp.tail = (!through).then_some(Tail::Message(sent + written as u32));
        WROTE
    }

    /// Writes what comes next of a tag, and returns how many bytes that was.
    fn write_pieces(&mut self, slot: &mut Slot, media: &Media, reframe: &Reframe, cursor: Cursor) -> Step<usize> {
        let mut pieces = heapless::Vec::<Piece<'_>, PIECES>::new();
        let mut offset = cursor.offset;
        while !pieces.is_full()
            && let Some(piece) = frame::piece(reframe, media.ring(), cursor.seq, offset)
        {
            offset += piece.bytes().len() as u32;
            let _ = pieces.push(piece);
        }
        let mut slices = heapless::Vec::<IoSlice<'_>, PIECES>::new();
        for piece in &pieces {
            let _ = slices.push(IoSlice::new(piece.bytes()));
        }
        let written = written(self.net.write(self.index, &slices), slot)?;
        slot.last_use = Some(self.now);
        Step::Continue(written)
    }
}

/// How much was written, which is counted.
fn written(io: Io, slot: &mut Slot) -> Step<usize> {
    match io {
        Io::Done(written) | Io::Last(written) => {
            slot.bytes_out += written as u64;
            Step::Continue(written)
        }
        Io::WouldBlock => Step::Break(Flush::Blocked),
        Io::Broken(loss) => Step::Break(Flush::Gone(loss.into())),
    }
}

/// What a player is taken to know.
fn known_to(reader: &Reader) -> Announced {
    Announced::all_or_nothing(!reader.is_legacy())
}

/// How a tag is sent that is not sent as the ring holds it.
pub(super) fn reframe(media: &Media, tag: &Tag, message_stream_id: u32, knows: Announced) -> Reframe {
    let instead = match knows != Announced::ALL && tag.flags.enhanced {
        true => match media.ring().legacy(tag, knows) {
            Legacy::Instead(instead) => Some(instead),
            Legacy::Itself | Legacy::Nothing | Legacy::NoForm => None,
        },
        false => None,
    };
    Reframe { message_stream_id, timestamp: tag.timestamp, instead }
}
