//! What is built on connections and streams: each gets handles and facts, and returns actions. Nothing here knows the
//! server or a socket.

pub mod script;
