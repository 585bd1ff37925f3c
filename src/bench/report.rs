//! What a measurement found.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::counts::BenchCounts;
use super::histogram::Histogram;

/// Median, 99th percentile and maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// Half were no longer than this.
    pub p50_us: u64,
    /// 99 of 100 were no longer than this.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl Quantiles {
    pub(super) fn of(histogram: &Histogram) -> Quantiles {
        Quantiles {
            p50_us: histogram.quantile_us(0.5),
            p99_us: histogram.quantile_us(0.99),
            max_us: histogram.max_us(),
        }
    }

    pub(super) fn to_json(self) -> Value {
        json!({ "p50_us": self.p50_us, "p99_us": self.p99_us, "max_us": self.max_us })
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |us: u64| us as f64 / 1000.0;
        write!(f, "p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", ms(self.p50_us), ms(self.p99_us), ms(self.max_us))
    }
}

/// What arrived while it was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MeasuredWindow {
    /// How long.
    pub duration: Duration,
    /// Bytes read from players' sockets.
    pub wire_bytes: u64,
    /// Audio and video payload in them.
    pub media_bytes: u64,
    /// Pictures received by all players.
    pub pictures: u64,
    /// Pictures that a player did not get: holes in their numbers, and what was more than a second late at the end.
    pub lost: u64,
    /// Delivery latency of pictures, from the publisher's socket to the player having read all of it.
    pub latency: Quantiles,
    /// Part of one processor core that the measuring itself took, 0.0 to 1.0; `None` where the system does not tell. Near
    /// 1.0 it is this program that was the limit.
    pub client_load: Option<f64>,
}

impl MeasuredWindow {
    pub(super) fn of(counts: &BenchCounts, duration: Duration, late: u64, client_load: Option<f64>) -> MeasuredWindow {
        MeasuredWindow {
            duration,
            wire_bytes: counts.wire_bytes,
            media_bytes: counts.media_bytes,
            pictures: counts.pictures,
            lost: counts.lost + late,
            latency: Quantiles::of(&counts.latency),
            client_load,
        }
    }

    /// Megabits per second that players received, protocol included.
    pub fn delivered_mbps(&self) -> f64 {
        self.wire_bytes as f64 * 8.0 / 1e6 / self.duration.as_secs_f64().max(1e-6)
    }

    fn to_json(self) -> Value {
        json!({
            "seconds": self.duration.as_secs_f64(),
            "wire_bytes": self.wire_bytes,
            "media_bytes": self.media_bytes,
            "delivered_mbps": self.delivered_mbps(),
            "pictures": self.pictures,
            "lost": self.lost,
            "latency": self.latency.to_json(),
            "client_load": self.client_load,
        })
    }
}

/// One step of a search for the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SearchStep {
    /// Players that were asked for so far.
    pub players: usize,
    /// Players that were being served at the end of the step.
    pub served: usize,
    /// Players refused or disconnected in it.
    pub gone: usize,
    /// Nothing lost, no player refused or disconnected, and the latency below the limit.
    pub good: bool,
    /// How often it was measured: see [`Saturate::attempts`](super::plan::Saturate::attempts).
    pub attempts: u32,
    /// What arrived; in a first attempt from adding the players on.
    pub window: MeasuredWindow,
}

impl SearchStep {
    fn to_json(self) -> Value {
        json!({
            "players": self.players,
            "served": self.served,
            "gone": self.gone,
            "good": self.good,
            "attempts": self.attempts,
            "window": self.window.to_json(),
        })
    }
}

/// The result of a measurement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Where it was measured.
    pub url: String,
    /// Streams that were measured.
    pub streams: usize,
    /// Bits per second of each.
    pub bitrate_bps: u64,
    /// Players asked for, over all streams.
    pub players: usize,
    /// Players that were receiving pictures at the end.
    pub served: usize,
    /// Players and idle connections that the server refused or did not serve in time.
    pub refused: usize,
    /// Clients that the server disconnected, or lost, after they had joined.
    pub disconnected: usize,
    /// Idle connections asked for.
    pub idle: usize,
    /// Idle connections that were open at the end.
    pub idle_open: usize,
    /// Messages that a publisher could not send in time because the server did not read.
    pub unsent: u64,
    /// Why the first client was refused or disconnected.
    pub first_trouble: Option<String>,
    /// From opening a player's connection to its first whole picture.
    pub join: Quantiles,
    /// What arrived after all had joined; of a search for the limit, in its last good step.
    pub window: MeasuredWindow,
    /// Pictures lost before the window began, while players were joining.
    pub lost_joining: u64,
    /// The steps of a search for the limit; empty otherwise.
    pub steps: Vec<SearchStep>,
}

impl Report {
    /// The last step before the first that failed.
    pub fn highest_good_step(&self) -> Option<&SearchStep> {
        self.steps.iter().take_while(|step| step.good).last()
    }

    /// All of it, with units in the names.
    pub fn to_json(&self) -> Value {
        json!({
            "url": self.url,
            "streams": self.streams,
            "bitrate_bps": self.bitrate_bps,
            "players": self.players,
            "served": self.served,
            "refused": self.refused,
            "disconnected": self.disconnected,
            "idle": self.idle,
            "idle_open": self.idle_open,
            "unsent": self.unsent,
            "first_trouble": self.first_trouble,
            "join": self.join.to_json(),
            "window": self.window.to_json(),
            "lost_joining": self.lost_joining,
            "steps": self.steps.iter().map(|step| step.to_json()).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            let verdict = if step.good { "" } else { "  failed" };
            let SearchStep { players, served, gone, window, .. } = step;
            writeln!(
                f,
                "{players:>6} players  {served:>6} served  {:>8.1} Mbit/s  {}  lost {}, gone {gone}{verdict}",
                window.delivered_mbps(),
                window.latency,
                window.lost,
            )?;
        }
        if self.streams > 0 {
            let mbps = self.bitrate_bps as f64 / 1e6;
            match self.highest_good_step() {
                Some(step) => writeln!(f, "players served    {} at {mbps} Mbit/s", step.served)?,
                None if !self.steps.is_empty() => writeln!(f, "players served    not even the first step")?,
                None => writeln!(f, "players served    {} of {} at {mbps} Mbit/s", self.served, self.players)?,
            }
            let window = &self.window;
            writeln!(
                f,
                "delivered         {:.1} Mbit/s in {:.1} s",
                window.delivered_mbps(),
                window.duration.as_secs_f64()
            )?;
            writeln!(f, "delivery latency  {}", window.latency)?;
            write!(f, "lost pictures     {} of {}", window.lost, window.pictures + window.lost)?;
            match self.lost_joining {
                0 => writeln!(f)?,
                lost => writeln!(f, ", and {lost} before all had joined")?,
            }
            writeln!(f, "join time         {}", self.join)?;
        }
        if self.idle > 0 {
            writeln!(f, "idle connections  {} of {} open", self.idle_open, self.idle)?;
        }
        if self.unsent > 0 {
            writeln!(f, "not published     {} messages: the server does not read fast enough", self.unsent)?;
        }
        if let Some(trouble) = &self.first_trouble {
            writeln!(f, "gone              {} refused, {} disconnected: {trouble}", self.refused, self.disconnected)?;
        }
        match self.window.client_load {
            Some(load) if load > 0.9 => writeln!(
                f,
                "note              the test itself took {:.0} % of its core: it may be the limit, not the server",
                load * 100.0
            ),
            Some(load) => writeln!(f, "test itself       {:.0} % of a core", load * 100.0),
            None => Ok(()),
        }
    }
}
