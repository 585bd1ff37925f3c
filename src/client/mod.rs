//! The client's side of RTMP without its socket: what `rill bench` and `rill connect` share.
//!
//! ```text
//! url       rtmp://host[:port]/app[/instance][?query], and the way there
//! session   handshake, chunks, acknowledgements and pings: bytes -> commands and media
//! send      commands and control messages -> bytes
//! ```

pub mod send;
pub mod session;
pub mod url;
