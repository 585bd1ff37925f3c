//! The client's side of RTMP without its socket: what `rill bench` and `rill connect` share.
//!
//! ```text
//! url    rtmp://host[:port]/app[/instance][?query], and the way there
//! line   the session that relays have, before a socket
//! send   commands of any length -> bytes
//! ```

pub mod line;
pub mod send;
pub mod url;
