//! What was measured, and how it is shown.

use serde_json::{Value, json};

use crate::contender::Contender;

/// One round of one contender under one load.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    pub cpu_seconds: f64,
    pub seconds: f64,
    pub wire_bytes: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub join_p50_us: u64,
    pub join_p99_us: u64,
    pub served: usize,
    pub wanted: usize,
    pub lost: u64,
    pub resident_kib: u64,
    pub resident_before_kib: u64,
    pub client_load: f64,
    /// Players served in the last good step, of a search for the limit.
    pub limit: Option<usize>,
}

impl Sample {
    /// Processor seconds per 10^9 bytes that players received.
    pub fn cpu_per_gb(&self) -> f64 {
        self.cpu_seconds / (self.wire_bytes as f64 / 1e9)
    }

    fn mbps(&self) -> f64 {
        self.wire_bytes as f64 * 8.0 / 1e6 / self.seconds
    }

    fn resident_bytes_each(&self) -> f64 {
        let grown = self.resident_kib as f64 - self.resident_before_kib as f64;
        grown * 1024.0 / self.wanted.max(1) as f64
    }

    fn to_json(&self) -> Value {
        json!({
            "cpu_seconds": self.cpu_seconds,
            "cpu_share": self.cpu_seconds / self.seconds,
            "cpu_seconds_per_gb": finite(self.cpu_per_gb()),
            "seconds": self.seconds,
            "wire_bytes": self.wire_bytes,
            "mbps": self.mbps(),
            "latency_p50_us": self.p50_us,
            "latency_p99_us": self.p99_us,
            "join_p50_us": self.join_p50_us,
            "join_p99_us": self.join_p99_us,
            "served": self.served,
            "wanted": self.wanted,
            "lost": self.lost,
            "resident_kib": self.resident_kib,
            "resident_before_kib": self.resident_before_kib,
            "client_load": self.client_load,
            "limit": self.limit,
        })
    }
}

/// All rounds of one contender under one load.
#[derive(Clone, Debug)]
pub struct Row {
    pub case: &'static str,
    pub contender: Contender,
    pub samples: Vec<Sample>,
    /// What stands behind a search for the limit.
    pub steps: Vec<Value>,
}

/// Rows in the order they are shown.
#[derive(Debug, Default)]
pub struct Table {
    pub rows: Vec<Row>,
}

impl Table {
    /// Adds a round.
    pub fn add(&mut self, case: &'static str, contender: Contender, sample: Sample, steps: Vec<Value>) {
        match self.rows.iter_mut().find(|row| row.case == case && row.contender == contender) {
            Some(row) => row.samples.push(sample),
            None => self.rows.push(Row { case, contender, samples: vec![sample], steps }),
        }
    }

    /// Median over the rounds of this contender's cost by its floor's cost in the same round.
    fn floor_ratio(&self, row: &Row) -> Option<f64> {
        let of_floor = |other: &&Row| other.case == row.case && other.contender == row.contender.floor();
        let floor = self.rows.iter().find(of_floor)?;
        let pairs = row.samples.iter().zip(&floor.samples);
        median(pairs.map(|(own, floor)| own.cpu_per_gb() / floor.cpu_per_gb())).filter(|ratio| ratio.is_finite())
    }

    /// One case as Markdown.
    pub fn markdown(&self, case: &str) -> String {
        let header = [
            "server",
            "CPU s/GB",
            "x floor",
            "core %",
            "Mbit/s",
            "latency p50 ms",
            "p99 ms",
            "join p50 ms",
            "served",
            "lost",
            "bytes each",
            "resident MiB",
            "test core %",
        ];
        let mut out = format!("| {} |\n|{}\n", header.join(" | "), "---|".repeat(header.len()));
        for row in self.rows.iter().filter(|row| row.case == case) {
            let of = |value: fn(&Sample) -> f64| median(row.samples.iter().map(value)).unwrap_or(f64::NAN);
            let served = match row.samples[0].limit {
                Some(limit) => format!("limit {limit}"),
                None => format!("{} of {}", of(|sample| sample.served as f64), row.samples[0].wanted),
            };
            let cells = [
                row.contender.to_string(),
                decimals(of(Sample::cpu_per_gb), 3),
                self.floor_ratio(row).map_or("-".into(), |ratio| decimals(ratio, 2)),
                decimals(of(|sample| 100.0 * sample.cpu_seconds / sample.seconds), 1),
                decimals(of(Sample::mbps), 0),
                decimals(of(|sample| sample.p50_us as f64 / 1e3), 2),
                decimals(of(|sample| sample.p99_us as f64 / 1e3), 2),
                decimals(of(|sample| sample.join_p50_us as f64 / 1e3), 1),
                served,
                decimals(row.samples.iter().map(|sample| sample.lost as f64).sum(), 0),
                decimals(of(Sample::resident_bytes_each), 0),
                decimals(of(|sample| sample.resident_kib as f64 / 1024.0), 1),
                decimals(of(|sample| 100.0 * sample.client_load), 0),
            ];
            out.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        out
    }

    /// Everything, with every round.
    pub fn to_json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            json!({
                "case": row.case,
                "server": row.contender.to_string(),
                "floor_ratio": self.floor_ratio(row),
                "rounds": row.samples.iter().map(Sample::to_json).collect::<Vec<_>>(),
                "steps": row.steps,
            })
        });
        Value::Array(rows.collect())
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// A number with so many decimals, or a dash.
pub fn decimals(value: f64, count: usize) -> String {
    if value.is_finite() { format!("{value:.count$}") } else { "-".into() }
}

/// The value in the middle; `None` when there is none.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}
