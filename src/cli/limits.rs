//! `rill limits`, and the check that all of it fits the board.

use std::ops::RangeInclusive;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::apps;
use crate::board::format_bytes;
use crate::config::{Config, Origin};
use crate::limits::{Row, Shape, TABLE};
use crate::live::settings::Settings;
use crate::net::{self, alloc};
use crate::store::{self, Options};

use super::output::{complain, say};

/// Prints every limit and the memory table.
pub fn print(options: &Options, as_json: bool) -> ExitCode {
    let config = match store::configuration(options) {
        Ok(config) => config,
        Err(errors) => {
            errors.iter().for_each(|error| complain(error));
            return ExitCode::FAILURE;
        }
    };
    if as_json {
        // Numbers and text only: it cannot fail.
        say(&serde_json::to_string_pretty(&listing(&config)).unwrap_or_default());
    } else {
        say(&text(&config));
    }
    ExitCode::SUCCESS
}

fn listing(config: &Config) -> Value {
    let limits = config.rows().iter().map(|row| {
        json!({
            "key": row.key,
            "value": row.value,
            "origin": row.origin.to_string(),
            "help": row.help,
            "allowed": row.allowed,
        })
    });
    let shapes = TABLE.iter().map(|Shape { name, value, help }| json!({"name": name, "value": value, "help": help}));
    let rows = net::memory_table(&config.settings).into_iter().map(
        |row| json!({"name": row.name, "count": row.count, "bytes_each": row.bytes_each, "total_bytes": row.total()}),
    );
    let app_keys = apps::keys().map(|(key, help, allowed)| json!({"key": key, "help": help, "allowed": allowed}));
    json!({
        "board": config.board,
        "ram_bytes": config.ram_bytes,
        "limits": limits.collect::<Vec<_>>(),
        "app_keys": app_keys.collect::<Vec<_>>(),
        "shapes": shapes.collect::<Vec<_>>(),
        "memory": rows.collect::<Vec<_>>(),
        "memory_total_bytes": net::memory_total(&config.settings),
        "memory_max_bytes": net::memory_max(&config.settings),
        "ram_budget_bytes": config.settings.ram_budget_bytes,
    })
}

fn text(config: &Config) -> String {
    let found = config.ram_bytes.map_or(String::new(), |bytes| format!(" with {} of memory", spell(bytes)));
    let mut text = format!("Keys of the configuration, and of --set (board {}{found}):\n", config.board);
    for row in config.rows() {
        text += &format!(
            "  {:<31} {:<20} {:<16} {}; {}\n",
            row.key,
            row.value,
            row.origin.to_string(),
            row.help,
            row.allowed
        );
    }
    text += "\nKeys of an application's own file, applications/NAME/app.toml:\n";
    for (key, help, allowed) in apps::keys() {
        text += &format!("  {key:<31} {help}; {allowed}\n");
    }
    text += "\nShapes, the same in every build of this version:\n";
    for Shape { name, value, help } in TABLE {
        text += &format!("  {name:<22} {value:>8}  {help}\n");
    }
    text += "\nMemory, obtained at start; of scripts and applications when they are needed, and at most so much:\n";
    text + memory(&config.settings).trim_end()
}

/// The memory table as text.
pub fn memory(settings: &Settings) -> String {
    let line = |row: &Row| {
        format!("  {:<26} {:>6} x {:>10} = {:>11}\n", row.name, row.count, spell(row.bytes_each), spell(row.total()))
    };
    let mut text: String = net::memory_table(settings).iter().map(line).collect();
    let (total, budget) = (net::memory_total(settings), settings.ram_budget_bytes);
    text += &format!("  {:<26} {:>19} = {:>11} of {}", "total", "", spell(total), format_bytes(budget));
    text + " (limits.ram_budget_bytes)\n"
}

/// Bytes in a unit that leaves few digits.
fn spell(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// Whether the memory table fits the budget. The error names each key that could be changed, what it is and what would
/// fit; those set by the operator come first.
pub fn check_budget(config: &Config) -> Result<(), String> {
    let (total, budget) = (net::memory_total(&config.settings), config.settings.ram_budget_bytes);
    if total <= budget {
        return Ok(());
    }
    let mut advice = advice(config, &|settings| net::memory_total(settings) <= budget);
    // The next whole MiB, so that the advice can be followed as it stands.
    let needed = format_bytes(total.div_ceil(1 << 20) << 20);
    advice.push(format!("raise limits.ram_budget_bytes to {needed} if this machine has as much memory"));
    Err(format!(
        "memory: {} are needed and limits.ram_budget_bytes allows {}: {}",
        spell(total),
        format_bytes(budget),
        advice.join(", or ")
    ))
}

/// Whether the system gives this process the memory of the table. The error names what would fit, as [`check_budget`]'s.
pub fn check_system(config: &Config) -> Result<(), String> {
    let fits = |settings: &Settings| {
        let rings = u64::from(settings.streams) * settings.ring_bytes;
        let rest = net::memory_total(settings).saturating_sub(rings) + OWN_BYTES;
        alloc::fits(settings.streams, settings.ring_bytes, rest)
    };
    if fits(&config.settings) {
        return Ok(());
    }
    let mut advice = advice(config, &fits);
    if advice.is_empty() {
        advice.push(
            "lower limits.ring_bytes, limits.streams and limits.connections, since none alone is enough".to_owned(),
        );
    }
    advice.push("raise its limit (LimitAS= in a systemd unit, ulimit -v in a shell)".to_owned());
    Err(format!(
        "memory: {} are needed and the system does not give this process as much: {}",
        spell(net::memory_total(&config.settings)),
        advice.join(", or ")
    ))
}

/// What the process takes besides the table once it serves: stacks of threads, and what the C library's heap has around it.
const OWN_BYTES: u64 = 12 << 20;

/// What to set so that it `fits`; keys set by the operator come first.
fn advice(config: &Config, fits: &dyn Fn(&Settings) -> bool) -> Vec<String> {
    let settings = &config.settings;
    let with = |change: &dyn Fn(&mut Settings)| {
        let mut changed = settings.clone();
        change(&mut changed);
        fits(&changed)
    };
    let rings = largest(0..=settings.ring_bytes >> 18, |n| with(&|s| s.ring_bytes = n << 18)).map(|n| n << 18);
    let streams = largest(0..=settings.streams.into(), |n| with(&|s| s.streams = n as u32));
    let connections = largest(0..=settings.connections.into(), |n| with(&|s| s.connections = n as u32));
    let fitting = [
        ("limits.ring_bytes", rings.map(format_bytes)),
        ("limits.streams", streams.map(|n| n.to_string())),
        ("limits.connections", connections.map(|n| n.to_string())),
    ];
    let mut advice = Vec::new();
    for (key, fits) in fitting {
        let Some(row) = config.rows().iter().find(|row| row.key == key) else { continue };
        let Some(fits) = fits else { continue };
        let inherited = matches!(row.origin, Origin::Default | Origin::Board(_));
        advice.push((inherited, format!("set {key} to at most {fits} (it is {}, {})", row.value, row.origin)));
    }
    advice.sort_by_key(|(inherited, _)| *inherited);
    advice.into_iter().map(|(_, advice)| advice).collect()
}

/// The largest number of the range that fits, if it is not 0; what fits, fits with less, too.
fn largest(range: RangeInclusive<u64>, fits: impl Fn(u64) -> bool) -> Option<u64> {
    let (mut low, mut high) = (*range.start(), *range.end() + 1);
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low > 0 && fits(low)).then_some(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{board, config};

    fn config(board: &str, sets: &[&str]) -> Config {
        let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
        config::load(board::by_name(board).unwrap(), None, &sets).unwrap()
    }

    #[test]
    fn every_board_fits_its_own_budget() {
        for board in board::all() {
            // With whatever memory, also that of a large PC.
            for ram_bytes in (0..16).map(|doublings| board.ram_bytes << doublings) {
                let config = config::load(&board.with_memory(Some(ram_bytes)), None, &[]).unwrap();
                assert_eq!(check_budget(&config), Ok(()), "{} with {ram_bytes} bytes", board.name);
            }
        }
    }

    #[test]
    fn a_total_above_the_budget_names_the_key_that_was_set_and_what_would_fit() {
        let error = check_budget(&config("rpi-zero", &["limits.ring_bytes=16MiB"])).unwrap_err();
        let (first, _) = error.split_once(", or ").unwrap();
        assert!(first.contains("allows 33MiB: set limits.ring_bytes to at most "), "{error}");
        assert!(first.ends_with("(it is 16MiB, --set)"), "{error}");
        let fits = first.split_once("at most ").unwrap().1.split(' ').next().unwrap();
        assert_eq!(check_budget(&config("rpi-zero", &[&format!("limits.ring_bytes={fits}")])), Ok(()));
        let raised = error.split_once("raise limits.ram_budget_bytes to ").unwrap().1.split(' ').next().unwrap();
        let sets = ["limits.ring_bytes=16MiB".to_owned(), format!("limits.ram_budget_bytes={raised}")];
        assert_eq!(check_budget(&config("rpi-zero", &sets.each_ref().map(String::as_str))), Ok(()));
    }

    #[test]
    fn the_listing_is_complete_as_text_and_as_json() {
        let config = config("generic", &[]);
        let (text, json) = (text(&config), listing(&config));
        assert!(config.rows().iter().all(|row| text.contains(row.key)));
        assert_eq!(json["limits"].as_array().unwrap().len(), config.rows().len());
        assert_eq!(json["memory_total_bytes"], net::memory_total(&config.settings));
    }
}
