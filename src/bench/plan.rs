//! What to measure.

use std::time::Duration;

/// What to measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// `rtmp://host[:port]/app[[/instance]/NAME]`; NAME is `bench` when there is none. With several streams the names are `NAME-1`, `NAME-2` and so on.
    pub url: String,
    /// Streams to publish.
    pub streams: usize,
    /// Players of **each** stream.
    pub players: usize,
    /// Connections that only connect and stay.
    pub idle: usize,
    /// Audio and video payload of one stream, in bits per second; from 64 000 to 200 000 000.
    pub bitrate_bps: u64,
    /// Pictures per second, 1 to 120.
    pub frame_rate: u32,
    /// How long to measure once all have joined.
    pub duration: Duration,
    /// Publish the streams. Without, they are played as they are already published by another measurement on this
    /// machine; losses and latency come from the stamps in its pictures.
    pub publish: bool,
    /// Add players until the server fails, instead of keeping their number.
    pub saturate: Option<Saturate>,
    /// Show on standard error how it goes.
    pub progress: bool,
}

/// How to look for the number of players a server can serve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Saturate {
    /// Players added in each step, over all streams.
    pub step_players: usize,
    /// How long each step is measured after its players have joined.
    pub step_duration: Duration,
    /// A step fails when its p99 latency is above this, a picture is lost, or a player is refused or disconnected.
    pub latency_limit: Duration,
    /// A step that fails without losing a client is measured this often before it counts: on a machine that does other
    /// things too, one bad moment is not the server's limit.
    pub attempts: u32,
    /// Further steps after the first that fails: they show whether the server holds its throughput or collapses.
    pub steps_beyond: usize,
    /// The search ends here at the latest.
    pub players_max: usize,
}

impl Default for Saturate {
    fn default() -> Saturate {
        Saturate {
            step_players: 50,
            step_duration: Duration::from_secs(2),
            latency_limit: Duration::from_millis(500),
            attempts: 1,
            steps_beyond: 0,
            players_max: 20_000,
        }
    }
}

impl Plan {
    /// One stream at 2 Mbit/s and 30 pictures a second, 10 players, 10 seconds.
    pub fn new(url: impl Into<String>) -> Plan {
        Plan {
            url: url.into(),
            streams: 1,
            players: 10,
            idle: 0,
            bitrate_bps: 2_000_000,
            frame_rate: 30,
            duration: Duration::from_secs(10),
            publish: true,
            saturate: None,
            progress: false,
        }
    }
}
