//! The client's side of RTMP without its socket: what `rill bench` and `rill connect` share.
//!
//! ```text
//! url     rtmp://host[:port]/app[/instance][?query], and the way there
//! link    handshake, chunks, acknowledgements and pings: bytes -> commands and media
//! send    commands and control messages -> bytes
//! ```

pub mod link;
pub mod send;
pub mod url;
