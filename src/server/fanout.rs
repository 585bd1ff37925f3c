//! Fan-out: what every player is due, in as few writes as there can be.
//!
//! Nearly every player is *plain*: it plays one stream, on message stream 1, and wants all of it. It is sent the ring's
//! own bytes, everything from its cursor to the head in one write, behind its control bytes if there are any. The others
//! go tag by tag, with headers of their own; so do players who announced no Enhanced RTMP, as long as there is some before them.

use std::io::IoSlice;

use log::info;

use crate::handles::{ConnId, SlotIndex, StreamId};
use crate::limits::NET_STREAMS;
use crate::live::names::{Media, Names, Stream};
use crate::live::reader::{Enhanced, LeftOut, PlayPhase, Player, Want};
use crate::live::settings::Settings;
use crate::media::tag::MESSAGE_STREAM_ID;
use crate::media::{Cursor, Evicted, JoinPoint, Piece, Reframe, Tag, TagKind, frame};
use crate::rtmp::event::NetStreamId;
use crate::rtmp::session::{REPLY_BYTES, Session};
use crate::rtmp::status::{Code, Status};
use crate::rtmp::tx::TxBuf;
use crate::time::Millis;
use crate::wire::flv::{self, CLASSIFY_BYTES, Codec};
use crate::wire::legacy::Legacy;

use super::bandwidth::TURN_BYTES;
use super::close::CloseReason;
use super::rtmp::Rtmp;
use super::slots::{LastWords, PayloadTail, Role, Slot, SlotState, TagTail, Tail};
use super::transport::{Io, Net};
use super::{LINGER_MS, Server};

/// Most bytes of one write to one player: a burst at its join must not hold up the others.
pub(super) const WRITE_BYTES: usize = 256 * 1024;
/// So much may a player who is about to be overtaken lose on the publisher before it loses the picture, in milliseconds. Media
/// comes in frames and is taken in bursts, so who gains on the whole may lose as much as a frame takes at times.
const LOSS_MS: u32 = 50;
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
            self.flush_slot(net, index, now);
        }
    }

    fn fan_out_stream<N: Net>(&mut self, net: &mut N, id: StreamId, now: Millis) {
        let mut from = 0;
        while let Some((index, flush)) = self.fan_out_express(net, id, &mut from, now) {
            match flush {
                Some(flush) => self.flushed(net, index, flush, now),
                None => self.flush_slot(net, index, now),
            }
        }
    }

    fn flush_slot<N: Net>(&mut self, net: &mut N, index: SlotIndex, now: Millis) {
        if !self.wakes.is_writable(index) {
            return;
        }
        let flush = self.flush(net, index, now);
        self.flushed(net, index, flush, now);
        let goes_on = self.slots.client_at(index).is_some_and(|(slot, rtmp)| {
            slot.blocked && rtmp.session.request().is_none() && slot.tx.room() >= REPLY_BYTES
        });
        if goes_on {
            let conn = self.slots.id(index);
            self.unblock(conn);
        } else if flush == Flush::Idle {
            self.slots.begin_express(index);
        }
    }

    /// Writes to one connection until nothing is due or the network takes no more.
    pub(super) fn flush<N: Net>(&mut self, net: &mut N, index: SlotIndex, now: Millis) -> Flush {
        let Server { slots, live, settings, counters, wakes, scripting, .. } = self;
        let Some((slot, rtmp)) = slots.client_at(index) else { return Flush::Idle };
        let before = slot.bytes_out;
        let mut output =
            Output { net, index, names: &live.names, settings, now, asked: false, skips: 0, skipped: None };
        let mut charged = before;
        let flush = loop {
            let step = match rtmp.tail {
                Some(Tail::Tag(tail)) => output.rest_of_tag(slot, rtmp, tail),
                Some(Tail::Payload(tail)) => output.rest_of_payload(slot, rtmp, tail),
                Some(Tail::Message(sent)) => output.rest_of_message(slot, rtmp, sent, &mut scripting.outboxes_bytes),
                None if slot.playing == 1 && rtmp.plays_plainly() => output.plain(slot, rtmp),
                None => output.tag_by_tag(slot, rtmp),
            };
            if slot.limited {
                slot.charge(&mut charged);
            }
            match step {
                Step::Wrote => {}
                // What a script says does not wait for tokens, as nothing does that is no media.
                Step::End(Flush::Idle | Flush::Limited) if !rtmp.outbox.is_empty() => {
                    rtmp.tail = Some(Tail::Message(0));
                }
                Step::End(Flush::Idle) if slot.payload_due => {
                    if slot.bytes_out - before >= TURN_BYTES {
                        // The others first.
                        wakes.send(index);
                        break Flush::Idle;
                    }
                    if !slot.begin_payload(&mut rtmp.tail, now) {
                        break Flush::Limited;
                    }
                }
                Step::End(flush) => break flush,
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
            Flush::Idle | Flush::Limited => slot.blocked_since = None,
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
    /// The network takes no more now.
    Blocked,
    /// There may be more to send, which it may not be sent yet.
    Limited,
    /// The connection must end.
    Gone(CloseReason),
}

enum Step {
    /// Something was written, or changed: there may be more.
    Wrote,
    End(Flush),
}

/// What one flush needs.
struct Output<'s, N> {
    net: &'s mut N,
    index: SlotIndex,
    names: &'s Names,
    settings: &'s Settings,
    now: Millis,
    /// Whether its players lag has been asked. Once is enough: no time passes in a flush, and who is being sent what it is due
    /// is not slow in the midst of it.
    asked: bool,
    skips: u32,
    /// The stream of the last of them.
    skipped: Option<StreamId>,
}

impl<N: Net> Output<'_, N> {
    /// Control bytes, then everything between cursor and head, in one write.
    fn plain(&mut self, slot: &mut Slot, rtmp: &mut Rtmp) -> Step {
        let Role::Playing(player) = &mut rtmp.roles[0] else { return Step::End(Flush::Idle) };
        let stream = self.names.stream(player.stream);
        let media = stream.ring.map(|ring| self.names.media(ring));
        let net_stream = NetStreamId::from_index(0);
        if let Err(reason) = self.prepare(player, net_stream, stream, media, &rtmp.session, &mut slot.tx) {
            return Step::End(Flush::Gone(reason));
        }
        if !player.wants_everything() {
            // It begins with sound.
            return Step::Wrote;
        }
        let boundary = rtmp.mid_tag.is_none();
        self.asked |= boundary;
        let control = if boundary { slot.tx.pending() } else { &[] };
        let limit = if slot.limited { slot.limits.bytes(self.now) } else { WRITE_BYTES };
        let mut due: [&[u8]; 2] = [&[], &[]];
        let mut at = None;
        if let (Some(media), PlayPhase::Live { mut cursor }) = (media, player.phase) {
            // Between two tags a player who lags has been moved on by now.
            let most = match boundary {
                true if player.paused => 0,
                false if player.paused || limit == 0 || self.lags(cursor, media) => rest_of_tag(media, cursor),
                _ => limit,
            };
            match media.ring().slices(&mut cursor, most) {
                Ok(slices) => due = slices,
                Err(Evicted::MidTag) => return Step::End(Flush::Gone(CloseReason::TooSlow)),
                // It begins again at a key frame, at the next turn.
                Err(Evicted::AtBoundary) => {}
            }
            at = Some((media, cursor));
        }
        let control_bytes = control.len();
        let total = control_bytes + due[0].len() + due[1].len();
        if total == 0 {
            return Step::End(if limit == 0 { Flush::Limited } else { Flush::Idle });
        }
        let mut slices = [IoSlice::new(&[]); 3];
        let mut count = 0;
        for bytes in [control, due[0], due[1]].into_iter().filter(|bytes| !bytes.is_empty()) {
            slices[count] = IoSlice::new(bytes);
            count += 1;
        }
        let written = match self.net.write(self.index, &slices[..count]) {
            Io::Done(written) | Io::Last(written) => written,
            Io::WouldBlock => return Step::End(Flush::Blocked),
            Io::Broken(loss) => return Step::End(Flush::Gone(loss.into())),
        };
        slot.bytes_out += written as u64;
        let of_control = written.min(control_bytes);
        slot.tx.consume(of_control);
        if written > of_control {
            slot.last_use = Some(self.now);
        }
        if let Some((media, mut cursor)) = at {
            media.ring().advance(&mut cursor, written - of_control);
            player.phase = PlayPhase::Live { cursor };
            rtmp.mid_tag = (!cursor.at_tag_boundary()).then_some(0);
            if written == total && cursor.seq >= media.ring().readable_head() && !player.ending {
                // The usual end, without looking once more.
                return Step::End(Flush::Idle);
            }
        }
        Step::Wrote
    }

    /// One tag, or control bytes between two.
    fn tag_by_tag(&mut self, slot: &mut Slot, rtmp: &mut Rtmp) -> Step {
        if rtmp.mid_tag.is_none() {
            for index in 0..NET_STREAMS {
                let Role::Playing(player) = &mut rtmp.roles[index] else { continue };
                let stream = self.names.stream(player.stream);
                let media = stream.ring.map(|ring| self.names.media(ring));
                let net_stream = NetStreamId::from_index(index);
                if let Err(reason) = self.prepare(player, net_stream, stream, media, &rtmp.session, &mut slot.tx) {
                    return Step::End(Flush::Gone(reason));
                }
                self.tell_left_out(player, net_stream, slot.generation, stream, &rtmp.session, &mut slot.tx);
            }
            self.asked = true;
            if !slot.tx.is_empty() {
                return match self.net.write(self.index, &[IoSlice::new(slot.tx.pending())]) {
                    Io::Done(written) | Io::Last(written) => {
                        slot.bytes_out += written as u64;
                        slot.tx.consume(written);
                        // The rest, if any, before any tag; only WouldBlock says that the network is full.
                        Step::Wrote
                    }
                    Io::WouldBlock => Step::End(Flush::Blocked),
                    Io::Broken(loss) => Step::End(Flush::Gone(loss.into())),
                };
            }
        }
        if rtmp.mid_tag.is_none() && slot.is_dry(self.now) {
            return Step::End(Flush::Limited);
        }
        let Some((index, tag)) = self.next_tag(rtmp) else {
            // The rest of a half-sent tag is never due in vain: the ring has passed it.
            let lost = rtmp.mid_tag.is_some();
            return Step::End(if lost { Flush::Gone(CloseReason::TooSlow) } else { Flush::Idle });
        };
        let Role::Playing(player) = &mut rtmp.roles[index] else { return Step::End(Flush::Idle) };
        if player.is_legacy() && tag.is_enhanced_data() {
            // It came behind what the player does not want: another is sent in its place.
            return Step::Wrote;
        }
        let (Some(ring), PlayPhase::Live { mut cursor }) = (self.names.stream(player.stream).ring, player.phase) else {
            return Step::End(Flush::Idle);
        };
        let media = self.names.media(ring);
        let reframe = reframe(media, &tag, NetStreamId::from_index(index).wire(), player.is_legacy());
        match self.write_pieces(media, reframe, &mut cursor) {
            Ok(written) => {
                slot.bytes_out += written as u64;
                slot.last_use = Some(self.now);
                player.phase = PlayPhase::Live { cursor };
                rtmp.mid_tag = (!cursor.at_tag_boundary()).then_some(index as u8);
                Step::Wrote
            }
            Err(flush) => Step::End(flush),
        }
    }

    /// The rest of a tag whose player has gone.
    fn rest_of_tag(&mut self, slot: &mut Slot, rtmp: &mut Rtmp, mut tail: TagTail) -> Step {
        let media = tail.ring.map(|ring| self.names.media(ring));
        let Some((media, tag)) = media.and_then(|media| Some((media, media.ring().tag(tail.cursor.seq)?))) else {
            return Step::End(Flush::Gone(CloseReason::TooSlow));
        };
        let seq = tail.cursor.seq;
        let reframe = reframe(media, &tag, tail.message_stream_id, tail.legacy);
        match self.write_pieces(media, reframe, &mut tail.cursor) {
            Ok(written) => {
                slot.bytes_out += written as u64;
                slot.last_use = Some(self.now);
                rtmp.tail = (tail.cursor.seq == seq).then_some(Tail::Tag(tail));
                Step::Wrote
            }
            Err(flush) => Step::End(flush),
        }
    }

    /// The rest of a call of a bandwidth detection.
    #[cold]
    fn rest_of_payload(&mut self, slot: &mut Slot, rtmp: &mut Rtmp, mut tail: PayloadTail) -> Step {
        match tail.rest(|slices| self.net.write(self.index, slices)) {
            Io::Done(written) | Io::Last(written) => {
                slot.bytes_out += written as u64;
                tail.offset += written as u16;
                rtmp.tail = (usize::from(tail.offset) < tail.wire_bytes()).then_some(Tail::Payload(tail));
                Step::Wrote
            }
            Io::WouldBlock => Step::End(Flush::Blocked),
            Io::Broken(loss) => Step::End(Flush::Gone(loss.into())),
        }
    }

    /// The rest of a script's message.
    fn rest_of_message(&mut self, slot: &mut Slot, rtmp: &mut Rtmp, sent: u32, outboxes_bytes: &mut usize) -> Step {
        match self.net.write(self.index, &[IoSlice::new(&rtmp.outbox.front()[sent as usize..])]) {
            Io::Done(written) | Io::Last(written) => {
                slot.bytes_out += written as u64;
                slot.last_use = Some(self.now);
                let sent = sent + written as u32;
                rtmp.tail = Some(Tail::Message(sent));
                if sent as usize == rtmp.outbox.front().len() {
                    *outboxes_bytes -= rtmp.outbox.sent();
                    rtmp.tail = None;
                }
                Step::Wrote
            }
            Io::WouldBlock => Step::End(Flush::Blocked),
            Io::Broken(loss) => Step::End(Flush::Gone(loss.into())),
        }
    }

    fn write_pieces(&mut self, media: &Media, reframe: Reframe, cursor: &mut Cursor) -> Result<usize, Flush> {
        let mut pieces = heapless::Vec::<Piece<'_>, PIECES>::new();
        let mut offset = cursor.offset;
        while !pieces.is_full()
            && let Some(piece) = frame::piece(&reframe, media.ring(), cursor.seq, offset)
        {
            offset += piece.bytes().len() as u32;
            let _ = pieces.push(piece);
        }
        let mut slices = heapless::Vec::<IoSlice<'_>, PIECES>::new();
        for piece in &pieces {
            let _ = slices.push(IoSlice::new(piece.bytes()));
        }
        match self.net.write(self.index, &slices) {
            Io::Done(written) | Io::Last(written) => {
                frame::advance(&reframe, media.ring(), cursor, written);
                Ok(written)
            }
            Io::WouldBlock => Err(Flush::Blocked),
            Io::Broken(loss) => Err(Flush::Gone(loss.into())),
        }
    }

    /// The tag that comes next on a connection that goes tag by tag: the one that is half sent, else of all its
    /// players' the one that has waited longest.
    fn next_tag(&self, rtmp: &mut Rtmp) -> Option<(usize, Tag)> {
        let only = rtmp.mid_tag.map(usize::from);
        let mut next: Option<(usize, Tag, u32)> = None;
        for index in 0..NET_STREAMS {
            let Role::Playing(player) = &mut rtmp.roles[index] else { continue };
            if only.is_some_and(|only| only != index) {
                continue;
            }
            let Some(ring) = self.names.stream(player.stream).ring else { continue };
            let media = self.names.media(ring);
            if only.is_none() {
                skip_unwanted(player, media);
            }
            let PlayPhase::Live { mut cursor } = player.phase else { continue };
            if player.paused && only.is_none() {
                continue;
            }
            let tag = match media.ring().tag_at(&mut cursor) {
                Ok(Some(tag)) => tag,
                _ => continue,
            };
            player.phase = PlayPhase::Live { cursor };
            let lag_ms = media.ring().lag_ms(cursor, self.now);
            if next.as_ref().is_none_or(|(_, _, most)| lag_ms > *most) {
                next = Some((index, tag, lag_ms));
            }
        }
        next.map(|(index, tag, _)| (index, tag))
    }

    /// Moves a player on between two tags: from waiting to headers to live, to a later key frame when it lags, and to
    /// waiting when the publisher has left and it has been sent everything.
    fn prepare(
        &mut self,
        player: &mut Player,
        net_stream: NetStreamId,
        stream: &Stream,
        media: Option<&Media>,
        session: &Session,
        tx: &mut TxBuf,
    ) -> Result<(), CloseReason> {
        let Some(media) = media else {
            // A ring was taken from a stream without a publisher.
            if matches!(player.phase, PlayPhase::Live { cursor } if !cursor.at_tag_boundary()) {
                return Err(CloseReason::TooSlow);
            }
            player.phase = PlayPhase::Waiting { after: None };
            return self.end_if_due(player, net_stream, stream, session, tx);
        };
        loop {
            match player.phase {
                PlayPhase::Waiting { after } => {
                    if player.ending {
                        return self.end_if_due(player, net_stream, stream, session, tx);
                    }
                    let (Some(point), Some(_), false) = (media.join(after), stream.publisher(), player.paused) else {
                        return Ok(());
                    };
                    player.begin_at(point, media, self.now);
                }
                PlayPhase::Headers { next, version, point } => {
                    if version != media.headers().version() {
                        // The new ones are not those of the frames at the old point.
                        player.phase = PlayPhase::Waiting { after: Some(point.cursor.seq) };
                        continue;
                    }
                    if usize::from(next) == media.headers().len() {
                        if core::mem::take(&mut player.switching) {
                            let status = Status::new(Code::PlayTransitionComplete, session.own_name(&stream.path));
                            if status.send_play_status(net_stream.wire(), tx).is_err() {
                                player.switching = true;
                                return Ok(());
                            }
                        }
                        player.phase = PlayPhase::Live { cursor: point.cursor };
                        continue;
                    }
                    let emit = |free: &mut [u8]| {
                        media.emit_header(
                            usize::from(next),
                            point.timestamp,
                            net_stream.wire(),
                            player.is_legacy(),
                            free,
                        )
                    };
                    if tx.write_with(emit).is_err() {
                        // When what waits has been sent.
                        return Ok(());
                    }
                    player.phase = PlayPhase::Headers { next: next + 1, version, point };
                }
                PlayPhase::Live { mut cursor } => {
                    if player.is_legacy() {
                        let due = media.is_enhanced_from(cursor);
                        player.enhanced = if due { Enhanced::LegacyDue } else { Enhanced::Legacy };
                    }
                    if !cursor.at_tag_boundary() {
                        return Ok(());
                    }
                    let Ok(next) = media.ring().tag_at(&mut cursor) else {
                        // A paused player is not slow.
                        if !player.paused {
                            self.skip(player);
                        }
                        player.phase = PlayPhase::Waiting { after: None };
                        continue;
                    };
                    if let Some(tag) = next.filter(|tag| player.is_legacy() && tag.is_enhanced_data()) {
                        // A part of it is changed: that is done where it is kept.
                        let emit = |free: &mut [u8]| match media.metadata_index() {
                            Some(index) => media.emit_header(index, tag.timestamp, net_stream.wire(), true, free),
                            None => Some(0),
                        };
                        if tx.write_with(emit).is_err() {
                            return Ok(());
                        }
                        player.phase = PlayPhase::Live { cursor: Cursor::behind(tag.seq) };
                        continue;
                    }
                    // Data has no time that headers could be sent with.
                    let frame = next.filter(|tag| tag.kind != TagKind::Data);
                    if let (Want::Resuming, Some(tag)) = (player.video, frame) {
                        if media.headers_changed_after(cursor) {
                            // What is due comes before headers that are newer.
                            player.phase = PlayPhase::Waiting { after: Some(cursor.seq) };
                            continue;
                        }
                        // Where there are no pictures none is waited for.
                        let picture_later = media.has_video();
                        player.begin_at(JoinPoint { cursor, timestamp: tag.timestamp, picture_later }, media, self.now);
                        continue;
                    }
                    if cursor.seq >= media.ring().readable_head() && player.ending {
                        return self.end_if_due(player, net_stream, stream, session, tx);
                    }
                    if let Some(point) = self.skip_point(player, cursor, media) {
                        self.skip(player);
                        let headers_changed = media.headers_changed_after(cursor);
                        player.begin_at(point, media, self.now);
                        if !headers_changed {
                            player.phase = PlayPhase::Live { cursor: point.cursor };
                        }
                        continue;
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Tells a player, once a play, that something is left out, for it announced no Enhanced RTMP. The log has the first codec.
    fn tell_left_out(
        &self,
        player: &mut Player,
        net_stream: NetStreamId,
        generation: u32,
        stream: &Stream,
        session: &Session,
        tx: &mut TxBuf,
    ) {
        let LeftOut::Due(codec) = player.left_out else { return };
        let status = Status::new(Code::PlayNoSupportedTrackFound, session.own_name(&stream.path));
        // Without room: when what waits has been sent.
        if status.send(net_stream.wire(), tx).is_ok() {
            player.left_out = LeftOut::Told;
            let (conn, id, name) = (ConnId { slot: self.index, generation }, player.stream, stream.path.as_str());
            let codec = codec.map_or("an unknown codec", Codec::name);
            info!("{conn} {id} name={name:?} {codec} left out: the player announced no Enhanced RTMP");
        }
    }

    /// Tells a player that its publisher left.
    fn end_if_due(
        &self,
        player: &mut Player,
        net_stream: NetStreamId,
        stream: &Stream,
        session: &Session,
        tx: &mut TxBuf,
    ) -> Result<(), CloseReason> {
        if !player.ending {
            return Ok(());
        }
        let status = Status::new(Code::PlayUnpublishNotify, session.own_name(&stream.path));
        // Without room: when what waits has been sent.
        if status.send(net_stream.wire(), tx).is_ok() {
            (player.ending, player.told) = (false, false);
            player.phase = PlayPhase::Waiting { after: None };
        }
        Ok(())
    }

    fn skip(&mut self, player: &mut Player) {
        self.skips += 1;
        self.skipped = Some(player.stream);
        player.skips = player.skips.saturating_add(1);
    }

    /// Where a player between two tags goes on that is further behind than it may be. Sound is better than a picture only for who is
    /// being overtaken: who has begun at an old key frame has much to be sent, and gains on the publisher unless it is slow.
    fn skip_point(&self, player: &mut Player, cursor: Cursor, media: &Media) -> Option<JoinPoint> {
        if player.paused || !self.lags(cursor, media) {
            None
        } else {
            self.skip_point_of_who_lags(player, cursor, media)
        }
    }

    /// Apart, so that what every write runs through stays short.
    #[cold]
    #[inline(never)]
    fn skip_point_of_who_lags(&self, player: &mut Player, cursor: Cursor, media: &Media) -> Option<JoinPoint> {
        let point = media.skip_target(cursor)?;
        if point.picture_later {
            let lag_ms = media.ring().lag_ms(cursor, self.now);
            let gains = lag_ms <= player.least_lag_ms.saturating_add(LOSS_MS);
            player.least_lag_ms = player.least_lag_ms.min(lag_ms);
            return (!gains).then_some(point);
        }
        Some(point)
    }

    /// The player is further behind than it may be, and there is something ahead to go on at.
    fn lags(&self, cursor: Cursor, media: &Media) -> bool {
        !self.asked && lags(cursor, media, self.settings, self.now)
    }
}

/// A player at `cursor` is further behind than it may be, and there is something ahead to go on at.
pub(super) fn lags(cursor: Cursor, media: &Media, settings: &Settings, now: Millis) -> bool {
    u64::from(media.ring().lag_ms(cursor, now)) > settings.player_lag_ms && media.skip_target(cursor).is_some()
}

fn rest_of_tag(media: &Media, cursor: Cursor) -> usize {
    let Some(tag) = media.ring().tag(cursor.seq) else { return 0 };
    let own = reframe(media, &tag, MESSAGE_STREAM_ID, false);
    frame::wire_bytes(&own, media.ring(), cursor.seq).map_or(0, |bytes| bytes.saturating_sub(cursor.offset) as usize)
}

/// How a tag is sent that is not sent as the ring holds it.
fn reframe(media: &Media, tag: &Tag, message_stream_id: u32, legacy: bool) -> Reframe {
    let instead = match legacy && tag.flags.enhanced {
        true => match media.ring().legacy(tag) {
            Legacy::Instead(instead) => Some(instead),
            Legacy::Itself | Legacy::Nothing | Legacy::NoForm => None,
        },
        false => None,
    };
    Reframe { message_stream_id, timestamp: tag.timestamp, instead }
}

/// Whether a player who is sent legacy messages alone is sent nothing of the tag. It is to hear of a codec without such a form.
fn has_no_legacy(player: &mut Player, media: &Media, tag: &Tag) -> bool {
    match media.ring().legacy(tag) {
        Legacy::Itself | Legacy::Instead(_) => false,
        Legacy::Nothing => true,
        Legacy::NoForm => {
            let mut prefix = [0; CLASSIFY_BYTES];
            let read = media.ring().payload_prefix(tag.seq, &mut prefix);
            let class = match tag.kind {
                TagKind::Video => flv::video(&prefix[..read], tag.length),
                _ => flv::audio(&prefix[..read], tag.length),
            };
            player.left_out.note(class.codec);
            true
        }
    }
}

/// Steps over tags that the player does not want.
fn skip_unwanted(player: &mut Player, media: &Media) {
    let PlayPhase::Live { mut cursor } = player.phase else { return };
    while let Ok(Some(tag)) = media.ring().tag_at(&mut cursor) {
        let unwanted = match tag.kind {
            // A header that comes meanwhile is needed when audio is wanted again.
            TagKind::Audio => !player.audio && !tag.flags.header,
            TagKind::Data => false,
            TagKind::Video => {
                if player.video == Want::AtKeyFrame && (tag.flags.key || media.begins_picture(tag.seq)) {
                    player.video = Want::Yes;
                }
                match player.video {
                    Want::Yes => false,
                    Want::No | Want::Resuming => true,
                    // Its headers were sent when it asked for video again; a newer one counts.
                    Want::AtKeyFrame => !tag.flags.header,
                }
            }
        };
        if !(unwanted || player.is_legacy() && tag.flags.enhanced && has_no_legacy(player, media, &tag)) {
            break;
        }
        cursor = Cursor::behind(tag.seq);
    }
    player.phase = PlayPhase::Live { cursor };
}
