//! The server without sockets: slots, connections, registry, fan-out, timers, policy.

pub mod settings;
