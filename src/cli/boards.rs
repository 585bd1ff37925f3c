//! `rill boards`: what is known of each board.

use serde_json::{Value, json};

use crate::board::{self, Board, Card, Counts, Image, QemuMachine, format_bytes};
use crate::store;

use super::output::say;

/// Prints every profile.
pub fn print(as_json: bool) {
    if as_json {
        let boards: Vec<Value> = board::all().iter().map(profile).collect();
        // Numbers and text only: it cannot fail.
        say(&serde_json::to_string_pretty(&boards).unwrap_or_default());
    } else {
        say(&text(store::detected().name));
    }
}

/// A line for each board, with a star at the one that this machine is.
fn text(here: &str) -> String {
    let mut text =
        format!("  {:<14}{:>7}  {:>11}  {:<13}  {}\n", "name", "memory", "connections", "streams x ring", "");
    for board in board::all() {
        let star = if board.name == here { '*' } else { ' ' };
        let Counts { connections, streams, ring_bytes, .. } = board.limits;
        text += &format!(
            "{star} {:<14}{:>7}  {connections:>11}  {:<14}  {}\n",
            board.name,
            format_bytes(board.ram_bytes),
            format!("{streams} x {}", format_bytes(ring_bytes)),
            board.description
        );
    }
    text += "\nThe memory is that of the smallest such board, and the counts are for it; with more memory they grow.\n";
    text + "* is the profile of this machine; `rill limits` shows its limits."
}

/// A whole profile, under the names of its file's keys.
fn profile(board: &Board) -> Value {
    json!({
        "name": board.name,
        "description": board.description,
        "models": board.models.0,
        "target": board.target,
        "cpu": board.cpu,
        "package": board.package,
        "ram_bytes": board.ram_bytes,
        "script_process": board.script_process,
        "limits": counts(&board.limits),
        "limits_most": board.most.as_ref().map(counts),
        "image": board.image.as_ref().map(image),
        "qemu": board.machines.iter().map(machine).collect::<Vec<_>>(),
    })
}

fn counts(counts: &Counts) -> Value {
    json!({
        "connections": counts.connections,
        "streams": counts.streams,
        "ring_bytes": counts.ring_bytes,
        "ram_budget_bytes": counts.ram_budget_bytes,
        "script_instances": counts.script_instances,
        "recorded_players": counts.recorded_players,
        "tls_connections": counts.tls_connections,
        "recordings": counts.recordings,
        "relays": counts.relays,
        "hooks": counts.hooks,
    })
}

fn image(image: &Image) -> Value {
    let wifi = image.wifi.as_ref().map(|wifi| json!({"firmware": wifi.firmware.0, "modules": wifi.modules.0}));
    json!({
        "arch": image.arch,
        "suite": image.suite,
        "kernel": image.kernel,
        "firmware": image.firmware.0,
        "device_trees": image.device_trees.0,
        "modules": image.modules.0,
        "console": image.console,
        "kernel_arguments": image.kernel_arguments,
        "firmware_settings": image.firmware_settings.0,
        "boot_bytes": image.boot_bytes,
        "state_bytes": image.state_bytes,
        "compressed_bytes": image.compressed_bytes,
        "wifi": wifi,
    })
}

fn machine(machine: &QemuMachine) -> Value {
    json!({
        "name": machine.name,
        "program": machine.program,
        "machine": machine.machine,
        "cpu": machine.cpu,
        "memory_bytes": machine.memory_bytes,
        "device_tree": machine.device_tree,
        "device_tree_edits": machine.device_tree_edits.0,
        "kernel_arguments": machine.kernel_arguments,
        "network": machine.network,
        "card": match machine.card {
            Card::Sd => "sd",
            Card::Virtio => "virtio",
        },
        "attempts": machine.attempts,
        "answers_within_s": machine.answers_within_s,
        "idle_bytes": machine.idle_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_has_a_line_and_one_the_star() {
        let text = text("rpi-64");
        for board in board::all() {
            let line = text.lines().find(|line| line[2..].starts_with(board.name)).unwrap();
            assert_eq!(line.starts_with('*'), board.name == "rpi-64", "{line}");
            assert!(line.ends_with(board.description), "{line}");
        }
    }

    #[test]
    fn the_json_has_every_key_of_the_files() {
        for board in board::all() {
            let text = std::fs::read_to_string(format!("boards/{}.toml", board.name)).unwrap();
            let json = profile(board).to_string();
            for key in text.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key) {
                assert!(json.contains(&format!("\"{key}\":")), "{}: {key}", board.name);
            }
        }
    }
}
