//! RTMP sessions as state machines without sockets, clocks or heap.
//!
//! # The contract
//!
//! ```text
//! fn next<'i>(&mut self, input: &mut &'i [u8], tx: &mut TxBuf, now: Millis) -> Result<Option<Event<'i>>, SessionError>
//! ```
//!
//! 1. Call [`Session::next`](session::Session::next) until it returns `None`; it then has taken every byte, or waits for
//!    a decision, or found `tx` too full for the answer of what came last ([`Session::waits_for_room`](session::Session::waits_for_room)).
//!    What it left must be offered again. Media and data wait for no room: they are never answered.
//! 2. Deal with an event before the next call. Media events borrow from the input; what a data message or a request says
//!    is read from the session.
//! 3. Requests wait for [`Session::decide`](session::Session::decide), now or later. Meanwhile the session takes no
//!    input, so what the client sends is bounded by what its caller keeps.
//! 4. A peer that does not read its replies stalls itself and meets a deadline of its caller; it cannot make us grow.
//! 5. Cutting the input anywhere gives the same events and the same replies.
//!
//! An error ends the session: send what `tx` holds, then close.

pub mod aggregate;
pub mod assembly;
pub mod authmod;
pub mod bandwidth_check;
pub mod chunk_reader;
pub mod command;
pub mod connect_info;
pub mod data;
pub mod dvr;
pub mod event;
pub mod log_in;
pub mod metadata;
pub mod outbound;
pub mod recorded;
pub mod session;
mod state;
pub mod status;
pub mod tx;
pub mod via;
