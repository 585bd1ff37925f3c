//! What a connection that speaks HTTP has beside its slot: the request that is read or answered, and how far the answer is.
//!
//! # Requests
//!
//! One at a time: what a client sends behind one waits until that is answered, in the slot's own place for it. A head is put
//! together in the connection's own buffer, read ([`HttpRequest`]), and asked of the table of `routes`; the answer's head goes to
//! the control bytes, and its body is written behind it as far as the client takes it, from where it lies or in pieces.
//!
//! # Bounds
//!
//! A head has [`HEAD_MS`] from its first byte, and a connection without one [`KEEP_ALIVE_MS`]. A body that ends has a time by its
//! length; whoever takes none of it for `live.player_stall_ms` is closed before. A client that has no more to say (a half-closed
//! connection) hears the answer to the end.

mod admin;
mod answer;
mod api;
mod assets;
mod body;
mod carrier;
mod control;
mod file_part;
mod files;
mod flush;
mod flv;
mod guest;
mod head;
mod hls;
mod hls_watch;
mod hook_asks;
mod hook_pass;
mod live;
mod metrics;
mod mp4;
mod pieces;
mod recordings;
mod ring_part;
mod routes;
mod script_asks;
mod send_part;
mod serve;
mod stat;
mod tables;
mod together;
mod v3;
mod viewer;
mod watch;

use core::fmt;

use crate::handles::StreamId;
use crate::limits::HTTP_HEAD_BYTES;
use crate::live::download::DownloadId;
use crate::live::reader::Reader;
use crate::live::recording::NotDeleted;
use crate::rtmp::tx::TxBuf;
use crate::time::Millis;
use crate::wire::handshake::{FirstByte, first_byte};
use crate::wire::http::{self, HttpRequest, HttpStatus, Method, RequestFault};
use crate::wire::websocket::{ClientFrame, CloseCode, FrameKind};

use self::answer::Response;
use self::body::Content;
use self::carrier::Carrier;
use self::carrier::say_whole;
pub(super) use self::guest::Guest;
use self::hook_pass::HookPass;
use self::viewer::Viewer;
use super::close::CloseReason;
use super::peer::Peer;
use super::protocol::{Ask, Context, Protocol, Stage, Turn};

/// How long a head may take from its first byte, and a body, in milliseconds. Then it is answered 408.
const HEAD_MS: u64 = 5000;
/// How long a connection may be without a request, in milliseconds.
const KEEP_ALIVE_MS: u64 = 15_000;
/// How long a body that ends may take, in milliseconds, ...
const SEND_MS: u64 = 20_000;
/// ... and a millisecond more for each of so many bytes: slower than any network that media is watched over.
const SEND_BYTES_MS: u64 = 8;

const _: () = assert!(crate::limits::HTTP_BODY_BYTES <= HTTP_HEAD_BYTES, "a body fits where the head was");

/// What goes on.
#[expect(clippy::large_enum_variant, reason = "it lies in the place of a table")]
enum HttpPhase {
    /// A head is awaited, or is in part there.
    Head,
    /// So many bytes of a body are missing.
    Body(usize),
    /// A request is whole, and is to be answered.
    Asked,
    /// It waits, since then, for something that it will be answered with.
    Parked(Millis),
    /// An answer's body is being sent.
    Sending(Sending),
    /// The last answer is being sent.
    Over,
}

/// A body on its way.
struct Sending {
    body: Content,
    /// Bytes of it that were sent.
    sent: u64,
    /// Each piece has its length in front, and the last is empty (RFC 9112, section 7.1).
    is_chunked: bool,
}

/// A client's state.
pub struct Http {
    phase: HttpPhase,
    /// When the connection is closed, or the request answered 408, unless something else comes first; `None` while something is
    /// sent that does not end.
    deadline: Option<Millis>,
    /// No more requests are taken behind the present one.
    closes: bool,
    /// The client has no more to say.
    is_half_closed: bool,
    /// A request of it was whole.
    has_asked: bool,
    /// It has joined an application, as a viewer.
    is_joined: bool,
    /// How it stands with the script of its application.
    pub(super) guest: Guest,
    /// What its application's hooks have said.
    pub(super) hooks: HookPass,
    /// It is a proxy, of this address, that says whom it asks for.
    proxy: Option<Peer>,
    /// The file that it fetches.
    file: Option<DownloadId>,
    /// What it wants deleted.
    deletion: Deletion,
    request: HttpRequest,
    /// A head as far as it is there, and then the body.
    buffer: heapless::Vec<u8, HTTP_HEAD_BYTES>,
}

/// What a client hears that is turned away before it has a slot.
pub(super) fn refusal(reason: CloseReason) -> &'static [u8] {
    if reason == CloseReason::AddressLimit { head::TOO_MANY } else { head::BUSY }
}

impl Protocol for Http {
    fn begin(_: u64, now: Millis) -> Http {
        Http {
            phase: HttpPhase::Head,
            deadline: Some(now + KEEP_ALIVE_MS),
            closes: false,
            is_half_closed: false,
            has_asked: false,
            is_joined: false,
            guest: Guest::default(),
            hooks: HookPass::default(),
            proxy: None,
            file: None,
            deletion: Deletion::None,
            request: HttpRequest::default(),
            buffer: heapless::Vec::new(),
        }
    }

    fn read<'i>(&mut self, input: &mut &'i [u8], cx: &mut Context<'_>) -> Turn<'i> {
        loop {
            match self.phase {
                HttpPhase::Head if input.is_empty() || !cx.tx.is_empty() => break,
                HttpPhase::Head => match self.take_head(input, cx) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(fault) => return self.refuse(fault, cx.tx),
                },
                HttpPhase::Body(left) => {
                    let (taken, rest) = input.split_at(left.min(input.len()));
                    // There is room: the head was taken out, and no body is longer than one.
                    let _ = self.buffer.extend_from_slice(taken);
                    *input = rest;
                    let taken = taken.len();
                    if taken < left {
                        self.phase = HttpPhase::Body(left - taken);
                        break;
                    }
                    self.phase = HttpPhase::Asked;
                    self.has_asked = true;
                    return Turn::Asks(Ask::Http);
                }
                HttpPhase::Asked | HttpPhase::Parked(_) | HttpPhase::Sending(_) | HttpPhase::Over => break,
            }
        }
        if self.is_half_closed && matches!(self.phase, HttpPhase::Head | HttpPhase::Body(_)) {
            // The rest of it does not come.
            return Turn::Ends(CloseReason::PeerClosed);
        }
        if let Some(viewer) = self.viewer_mut()
            && viewer.carrier == Carrier::WebSocket
            && let Err(reason) = hear(viewer, input, cx.tx)
        {
            return Turn::Ends(reason);
        }
        if matches!(&self.phase, HttpPhase::Sending(sending) if sending.body.is_endless()) {
            // Nothing comes behind it.
            *input = &[];
        }
        if input.is_empty() { Turn::Done } else { Turn::Waits }
    }

    fn goes_on(&self, tx: &TxBuf) -> bool {
        matches!(self.phase, HttpPhase::Head | HttpPhase::Body(_)) && tx.is_empty()
    }

    /// What was begun is ended as its form has it, if that can be said here.
    fn close(&mut self, tx: &mut TxBuf) {
        if let Some(viewer) = self.viewer_mut().filter(|viewer| !viewer.is_within_tag()) {
            // Without room it is cut off.
            let _ = viewer.say_end(viewer.ends.unwrap_or(CloseCode::GoingAway), tx);
        }
    }

    fn deadline(&self) -> Option<Millis> {
        self.deadline
    }

    fn stage(&self) -> Stage {
        match self.phase {
            _ if self.is_joined => Stage::Joined,
            HttpPhase::Head if !self.has_asked => Stage::New,
            HttpPhase::Head | HttpPhase::Body(_) | HttpPhase::Over => Stage::Greeted,
            HttpPhase::Asked | HttpPhase::Parked(_) | HttpPhase::Sending(_) => Stage::Asking,
        }
    }
}

/// A recording that is to be deleted for the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Deletion {
    #[default]
    None,
    /// The disk is at it.
    UnderWay,
    /// What came of it.
    Done(Result<(), NotDeleted>),
}

impl Http {
    /// It waits for a recording to be deleted.
    pub(super) fn waits_for_deletion(&self) -> bool {
        self.deletion == Deletion::UnderWay
    }

    /// What it watches.
    fn viewer(&self) -> Option<&Viewer> {
        match &self.phase {
            HttpPhase::Sending(Sending { body: Content::Live(viewer), .. }) => Some(viewer),
            _ => None,
        }
    }

    fn viewer_mut(&mut self) -> Option<&mut Viewer> {
        match &mut self.phase {
            HttpPhase::Sending(Sending { body: Content::Live(viewer), .. }) => Some(viewer),
            _ => None,
        }
    }

    /// It can be asked whether it is still there: it speaks WebSocket, and is not in the middle of something.
    pub(super) fn answers_pings(&self) -> bool {
        self.viewer().is_some_and(|viewer| viewer.carrier == Carrier::WebSocket && !viewer.is_within_tag())
    }

    /// Asks that.
    pub(super) fn ping(&mut self, tx: &mut TxBuf) {
        // Without room it takes nothing, which is found out.
        let _ = say_whole(FrameKind::Ping, b"", tx);
    }

    /// Whether it watches as FLV.
    pub(super) fn watches_flv(&self) -> bool {
        self.viewer().is_some_and(|viewer| matches!(viewer.format, viewer::ViewerFormat::Flv(_)))
    }

    /// The reader of what it watches.
    pub(super) fn reader(&self) -> Option<&Reader> {
        self.viewer().map(|viewer| &viewer.reader)
    }

    /// The same, to change it.
    pub(super) fn reader_mut(&mut self) -> Option<&mut Reader> {
        self.viewer_mut().map(|viewer| &mut viewer.reader)
    }

    /// The live stream that a body on its way is of.
    pub(super) fn stream_sent(&self) -> Option<StreamId> {
        match &self.phase {
            HttpPhase::Sending(Sending { body: Content::Live(viewer), .. }) => Some(viewer.reader.stream()),
            HttpPhase::Sending(Sending { body: Content::Ring(part), .. }) => Some(part.stream),
            _ => None,
        }
    }

    /// How what it does is called.
    pub(super) fn name(&self) -> &'static str {
        self.viewer().map_or("http", Viewer::name)
    }

    /// What software it is.
    pub(super) fn agent(&self) -> &str {
        &self.request.agent
    }

    /// The page that led to it.
    pub(super) fn referrer(&self) -> &str {
        &self.request.referrer
    }

    /// What stood behind the `?` of what it asks.
    pub(super) fn raw_query(&self) -> &str {
        self.request.raw_query()
    }

    /// What it asks, as a URL without its query.
    pub(super) fn url(&self, is_secure: bool) -> impl fmt::Display + '_ {
        let is_secure = is_secure || self.proxy.is_some() && self.request.forwarded_https;
        let scheme = if is_secure { "https" } else { "http" };
        fmt::from_fn(move |f| write!(f, "{scheme}://{}{}", self.request.host, self.request.path))
    }

    /// Takes bytes of a head. True when it is whole, and read.
    fn take_head(&mut self, input: &mut &[u8], cx: &mut Context<'_>) -> Result<bool, RequestFault> {
        while let [byte, rest @ ..] = *input {
            if self.buffer.is_empty() {
                // Some send a line end behind a body (RFC 9112, section 2.2).
                if matches!(byte, b'\r' | b'\n') {
                    *input = rest;
                    continue;
                }
                if !http::may_begin(*byte) {
                    let is_tls = first_byte(*byte) == FirstByte::Tls;
                    return Err(if is_tls { RequestFault::Tls } else { RequestFault::Syntax });
                }
                self.deadline = Some(cx.now + HEAD_MS);
            }
            self.buffer.push(*byte).map_err(|_| RequestFault::HeadBytes)?;
            *input = rest;
            if self.buffer.ends_with(b"\r\n\r\n") {
                break;
            }
            if self.buffer.ends_with(b"\n\n") {
                return Err(RequestFault::Line);
            }
        }
        if !self.buffer.ends_with(b"\r\n\r\n") {
            return Ok(false);
        }
        self.request = HttpRequest::parse(&self.buffer)?;
        self.buffer.clear();
        self.guest.asks_anew();
        self.deletion = Deletion::None;
        self.closes = !self.request.keep_alive;
        self.phase = HttpPhase::Body(self.request.body_bytes);
        if self.request.expects_continue && self.request.body_bytes > input.len() {
            head::go_on(cx.tx);
        }
        Ok(true)
    }

    /// Nothing that such a client sends can be trusted to be a request.
    fn refuse(&mut self, fault: RequestFault, tx: &mut TxBuf) -> Turn<'static> {
        self.end_with(fault.status(), fault.words(), tx);
        Turn::Ends(CloseReason::BadRequest(fault))
    }

    /// Says that to the client, last.
    fn end_with(&mut self, status: HttpStatus, words: &str, tx: &mut TxBuf) {
        self.phase = HttpPhase::Over;
        let answer = Response::error(status, words).closing();
        // Of a head that was not read nothing is known.
        head::write(tx, &answer, &HttpRequest::default(), true);
        if let Content::Text(text) = &answer.body {
            head::put(tx, text.as_bytes());
        }
    }

    /// An answer begins, whose head was written.
    fn send(&mut self, body: Content, is_chunked: bool, now: Millis) {
        let length = body.length().unwrap_or(0);
        self.deadline = (!body.is_endless()).then(|| now + (SEND_MS + length / SEND_BYTES_MS));
        self.phase = HttpPhase::Sending(Sending { body, sent: 0, is_chunked });
    }

    /// The answer was sent. Whether another request may follow, of which there is `more` already.
    fn answered(&mut self, more: bool, now: Millis) -> bool {
        self.deadline = Some(now + KEEP_ALIVE_MS);
        self.buffer.clear();
        let goes_on = !self.closes && (more || !self.is_half_closed);
        self.phase = if goes_on { HttpPhase::Head } else { HttpPhase::Over };
        goes_on
    }

    /// The client has closed its side. True when there is an answer that it is yet to hear.
    fn half_close(&mut self) -> bool {
        self.is_half_closed = match &self.phase {
            HttpPhase::Asked | HttpPhase::Over => true,
            HttpPhase::Sending(sending) => !sending.body.is_endless(),
            HttpPhase::Head | HttpPhase::Body(_) | HttpPhase::Parked(_) => false,
        };
        self.is_half_closed
    }

    /// The answer has no body, whatever its head says.
    fn is_head(&self) -> bool {
        self.request.method == Method::Head
    }
}

/// Hears what the client of a WebSocket says.
fn hear(viewer: &mut Viewer, input: &mut &[u8], tx: &mut TxBuf) -> Result<(), CloseReason> {
    if viewer.leaves.is_some() {
        *input = &[];
        return Ok(());
    }
    let (code, reason) = loop {
        match viewer.frames.next(input) {
            Ok(None) => return Ok(()),
            // Who floods us with pings and reads nothing is owed no answer.
            Ok(Some(ClientFrame::Ping(payload))) => drop(say_whole(FrameKind::Pong, &payload, tx)),
            Ok(Some(ClientFrame::Pong)) => {}
            Ok(Some(ClientFrame::Close(_))) => break (CloseCode::Normal, CloseReason::PeerClosed),
            Err(code) => break (code, CloseReason::BadFrame),
        }
    };
    // What closes the connection says so, as far as it can.
    viewer.ends = Some(code);
    if viewer.is_within_tag() {
        // That is said behind the message that was begun (RFC 6455, section 5.5.1).
        viewer.leaves = Some(reason);
        *input = &[];
        return Ok(());
    }
    Err(reason)
}
