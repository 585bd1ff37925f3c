//! Reading: bytes of ready slots into what they speak, and what that makes of them.

use core::mem;

use crate::features::contract::{Dialect, Happened};
use crate::handles::{ConnId, SlotIndex};
use crate::limits::{FIRST_ASK_TRANSACTION, INBOX_BYTES};
use crate::live::holder::Holder;
use crate::live::recording::{RecordSaid, RecordedFor};
use crate::rtmp::event::{Event, Limit, NetStreamId, Request};
use crate::rtmp::status::{Code, Status};
use crate::time::Millis;

use super::ReadTurn;
use super::close::CloseReason;
use super::play::PlayWish;
use super::protocol::{Ask, Context, Turn};
use super::rtmp::Role;
use super::slot::{LastWords, SlotState};
use super::transport::{Io, Net};
use super::wakes::RoundRobin;
use super::{LINGER_MOST_MS, LINGER_MS, READ_BUDGET_BYTES, Server};

/// One read of a publisher takes this part of its ring at most, so that no ring passes players before they are served.
const READS_PER_RING: usize = 4;

impl Server {
    /// Reads every ready slot once, beginning behind the one that was last when the budget ran out.
    pub(super) fn read<N: Net>(&mut self, net: &mut N, now: Millis) {
        if self.wakes.none_readable() {
            return;
        }
        // Out of its place while its bytes are borrowed.
        let mut scratch = mem::take(&mut self.reading.scratch);
        let mut budget = READ_BUDGET_BYTES;
        let mut round = RoundRobin::new(self.reading.from, self.slots.count());
        while let Some(index) = round.next(|from| self.wakes.next_readable(from)) {
            if budget == 0 {
                self.reading = ReadTurn { scratch, from: index.at() };
                return;
            }
            let taken = self.read_slot(net, index, &mut scratch, now);
            budget = budget.saturating_sub(taken);
        }
        self.reading = ReadTurn { scratch, from: 0 };
    }

    fn read_slot<N: Net>(&mut self, net: &mut N, index: SlotIndex, scratch: &mut [u8], now: Millis) -> usize {
        let conn = self.slots.id(index);
        let is_counted = self.slots.is_client(index) || self.slots.relay_at(index).is_some();
        let slot = self.slots.at(index);
        // What a publisher says while its script is asked is taken: see [`Server::feed`].
        if slot.blocked && (slot.publishing == 0 || !self.is_asking(conn)) {
            // The code that unblocks it sets the bit again.
            self.wakes.rest(index);
            return 0;
        }
        if self.is_asking(conn) && self.slots.both(index).1.has_work() {
            // A command waits behind the request. Media behind that does not.
            if !net.has_unread(index) {
                self.wakes.rest(index);
                return 0;
            }
            self.unanswered(conn, now);
        }
        let (slot, speaks) = self.slots.both(index);
        if !slot.inbox.is_empty() || speaks.has_work() {
            let kept = slot.inbox.len();
            scratch[..kept].copy_from_slice(&slot.inbox);
            slot.inbox.clear();
            self.feed(net, conn, &scratch[..kept], now);
            self.slots.judge_arriving(index, now);
            return kept;
        }
        // What is not taken must fit the inbox; the handshake is always taken. Publishers, who send much, have little to
        // wait for, and input of connections that are being closed is thrown away.
        let much = slot.publishing > 0 || slot.state != SlotState::Open;
        let most = scratch.len().min(self.settings.ring_bytes as usize / READS_PER_RING);
        let mut want = if much { most } else { (speaks.opening_bytes() + INBOX_BYTES).min(scratch.len()) };
        if let (Some(limit), SlotState::Open) = (&mut slot.limits.to_server, slot.state) {
            let bytes = limit.available(now.0) as usize;
            if bytes == 0 {
                self.wakes.rest(index);
                self.wait_to_read(index);
                return 0;
            }
            want = want.min(bytes);
        }
        match net.read(index, &mut scratch[..want]) {
            Io::WouldBlock => {
                self.wakes.rest(index);
                0
            }
            Io::Broken(loss) => {
                self.release(net, conn, loss.into());
                0
            }
            // Who has no more to say may have something to hear.
            Io::Done(0) => {
                if self.still_listens(conn) {
                    self.wakes.rest(index);
                } else {
                    self.release(net, conn, CloseReason::PeerClosed);
                }
                0
            }
            io @ (Io::Done(n) | Io::Last(n)) => {
                if let Io::Last(_) = io {
                    self.wakes.rest(index);
                }
                slot.last_read = now;
                slot.pinged = None;
                slot.bytes_in += n as u64;
                if let Some(limit) = &mut slot.limits.to_server {
                    limit.spend(n as u64);
                }
                if let SlotState::Closing { deadline, last_words: LastWords::Sent(since), .. } = &mut slot.state {
                    *deadline = (now + LINGER_MS).min(*since + LINGER_MOST_MS);
                    slot.note_last_words(net.has_delivered(index), now);
                }
                if is_counted {
                    self.counters.bytes_in += n as u64;
                }
                if slot.publishing > 0 {
                    self.holder_spoke(conn, now);
                }
                self.feed(net, conn, &scratch[..n], now);
                self.slots.judge_arriving(index, now);
                n
            }
        }
    }

    /// Gives input to the connection's protocol until it is taken or must wait.
    fn feed<N: Net>(&mut self, net: &mut N, conn: ConnId, mut input: &[u8], now: Millis) {
        loop {
            let Some((slot, speaks)) = self.slots.open_both(conn) else { return };
            let is_full = match speaks.read(&mut input, &mut Context { tx: &mut slot.tx, now }) {
                Turn::Asks(ask) => {
                    let called = matches!(ask, Ask::Rtmp(Event::Call));
                    self.carry_out(net, conn, ask, now);
                    if called && self.slots.at(conn.slot).publishing > 0 {
                        // Its media does not wait for an answer.
                        self.wait_no_more(conn);
                    }
                    continue;
                }
                Turn::Done => break,
                Turn::Ends(reason) => {
                    self.close_after_flush(conn, reason, now);
                    return;
                }
                Turn::Waits => false,
                Turn::Full => true,
            };
            if is_full {
                // Its answers fill the buffer: send them, then go on.
                let before = slot.tx.room();
                let flush = self.flush(net, conn.slot, now);
                self.flushed(net, conn.slot, flush, now);
                let Some(slot) = self.slots.connection(conn) else { return };
                if slot.tx.room() > before {
                    continue;
                }
            }
            let Some(slot) = self.slots.connection(conn) else { return };
            if slot.publishing > 0 && !input.is_empty() && self.is_asking(conn) {
                // Nothing is taken behind a request, and its media does not wait: the request is refused.
                self.unanswered(conn, now);
                continue;
            }
            let Some(slot) = self.slots.connection(conn) else { return };
            slot.blocked = true;
            if slot.inbox.extend_from_slice(input).is_err() {
                self.close_after_flush(conn, CloseReason::LimitExceeded(Limit::ReplyBytes), now);
                return;
            }
            break;
        }
        if self.slots.connection(conn).is_some_and(|slot| !slot.tx.is_empty()) && !self.is_let_in_soon(conn) {
            self.wakes.send(conn.slot);
        }
    }

    /// Does what a protocol wants of the server.
    #[inline]
    pub(super) fn carry_out<N: Net>(&mut self, net: &mut N, conn: ConnId, ask: Ask<'_>, now: Millis) {
        match ask {
            Ask::Rtmp(event) => self.event(conn, event, now),
            Ask::Http => self.answer_http(conn, now),
            Ask::Control => self.answer_operator(net, conn, now),
            Ask::Script(said) => self.host_said(conn, said, now),
            Ask::Relay(came) => self.relay_heard(net, conn, came, now),
            Ask::Hook(heard) => self.hook_heard(net, conn, heard, now),
        }
    }

    fn event(&mut self, conn: ConnId, event: Event<'_>, now: Millis) {
        match event {
            Event::MediaBegin { lane, stream, kind, timestamp, length } => {
                self.media_begin(conn, lane, stream, kind, timestamp, length, now);
            }
            Event::MediaData(lane, bytes) => self.media_data(conn, lane, &bytes),
            Event::MediaEnd(lane) => self.media_end(conn, lane, now),
            Event::MediaAbort(lane) => self.media_abort(conn, lane, now),
            Event::Data(stream, timestamp) => self.data(conn, stream, timestamp, now),
            Event::DataTooLong(stream, length) => self.data_too_long(conn, stream, length),
            Event::Request => self.request(conn, now),
            Event::Call => {
                self.is_of_use(conn, now);
                self.call_script(conn, now);
            }
            Event::Answer(transaction, ok) => {
                self.is_of_use(conn, now);
                match transaction {
                    FIRST_ASK_TRANSACTION.. => self.happened(Happened::Answered { conn, transaction, ok }, now),
                    _ => self.answer_script(conn, transaction, ok, now),
                }
            }
            Event::CheckBandwidth => self.happened(Happened::BandwidthWanted { conn, reply: true }, now),
            Event::CheckBw => self.happened(Happened::DialectKnown { conn, dialect: Dialect::Other }, now),
            Event::Closed(stream) => self.closed_by_client(conn, stream, now),
            Event::StreamLength => self.ask_length(conn),
            Event::DvrInfo => self.ask_dvr_info(conn),
            Event::BufferLength => self.buffer_changed(conn, now),
            Event::Pause(stream, paused, ms) => self.pause(conn, stream, paused, ms),
            Event::Seek(stream, ms) => self.seek(conn, stream, ms),
            Event::ReceiveAudio(stream, on) => self.receive_audio(conn, stream, on),
            Event::ReceiveVideo(stream, on) => self.receive_video(conn, stream, on),
        }
    }

    /// The client does what it is connected for.
    pub(super) fn is_of_use(&mut self, conn: ConnId, now: Millis) {
        if let Some(slot) = self.slots.connection(conn) {
            slot.last_use = Some(now);
        }
    }

    /// Does with a call what is done for applications without code of their own.
    pub(super) fn answer_built_in(&mut self, conn: ConnId, now: Millis) {
        // Its script may have told it to go.
        let Some((slot, rtmp)) = self.slots.open_client(conn) else { return };
        match rtmp.session.answer_built_in(&mut slot.tx) {
            Ok(Some(event)) => self.event(conn, event, now),
            Ok(None) => {}
            Err(error) => self.close_after_flush(conn, error.into(), now),
        }
    }

    pub(super) fn request(&mut self, conn: ConnId, now: Millis) {
        let Some((_, rtmp)) = self.slots.client(conn) else { return };
        match rtmp.session.request() {
            Some(Request::Connect) => self.connect(conn, now),
            // The names leave the session because other connections are touched before it is answered.
            Some(Request::Publish { stream, name, mode }) => {
                let (stream, name, mode) = (*stream, name.clone(), *mode);
                let by = Holder::Conn(conn, stream.index() as u8);
                if let Some(id) = self.features.recordings.end_is_said(by) {
                    // What it published before has ended before what it publishes now begins.
                    self.say_of_recording(RecordedFor::Publisher(by), id, RecordSaid::Unpublished, now);
                }
                self.publish(conn, stream, &name, mode, now);
            }
            request @ Some(Request::Play { .. }) => {
                if let Some(wish) = PlayWish::of(request) {
                    self.play(conn, &wish, now);
                }
            }
            None => {}
        }
        self.slots.judge(conn.slot, now);
    }

    /// The client ended what one of its net streams did.
    fn closed_by_client(&mut self, conn: ConnId, stream: NetStreamId, now: Millis) {
        let Some(slot) = self.slots.connection(conn) else { return };
        slot.last_active = now;
        self.end_net_stream(conn, stream);
    }

    /// Ends what a net stream does; a publisher is told so, by the name that it knows.
    pub(super) fn end_net_stream(&mut self, conn: ConnId, stream: NetStreamId) {
        let Some((_, rtmp)) = self.slots.client(conn) else { return };
        let published = match rtmp.roles[stream.index()] {
            Role::Publishing(id) => Some((id, self.live.names.stream(id).path.clone())),
            _ => None,
        };
        let by = Holder::Conn(conn, stream.index() as u8);
        let is_said_later = published.as_ref().is_some_and(|(id, _)| self.features.recordings.says_end(*id, by));
        self.end_role(conn, stream.index());
        let (Some((_, path)), Some((slot, rtmp))) = (published, self.slots.client(conn)) else { return };
        if is_said_later {
            return;
        }
        let name = rtmp.session.own_name(&path);
        rtmp.tell(Some(stream), Status::new(Code::UnpublishSuccess, name), &mut slot.tx);
        self.wakes.send(conn.slot);
    }
}
