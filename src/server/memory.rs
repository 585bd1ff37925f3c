//! The server's memory table: every type of object with its count, as [`Server::new`](super::Server::new)
//! obtains it. Nothing is added while the server runs.

use std::vec::Vec;

use crate::features::Features;
use crate::features::hooks;
use crate::features::recordings::desk::RecordingDesk;
use crate::features::script::hosts::ScriptHost;
use crate::limits::{APP_FILE_BYTES, CLEARS, NAMES_PER_RING, RECORDED_BLOCK_BYTES, Row, USERS};
use crate::live::applications::Applications;
use crate::live::names::Names;
use crate::live::recorded::RECORDED_BLOCKS;
use crate::live::settings::Settings;
use crate::live::users::User;

use super::broadcasts::Broadcasts;
use super::claims::Claims;
use super::hls_viewers::HlsViewers;
use super::instances::Instances;
use super::log_ins::LogIns;
use super::outbox::Outboxes;
use super::slots::PLACE_BYTES;
use super::transport::READ_BYTES;
use super::wakes::Wakes;

/// What an instance with a script costs beside the script's own memory and stack: the tables of its clients and timers,
/// and what the engine keeps outside of the heap that it limits.
pub const SCRIPT_OVERHEAD_BYTES: usize = 128 * 1024;
/// What a script process takes of its own before its first script, in bytes. The program it shares with the server.
pub const SCRIPT_PROCESS_BYTES: u64 = 1 << 20;
/// The most that the description of an application takes: its keys, addresses, users and configuration.
pub const APPLICATION_BYTES: usize = 2 * APP_FILE_BYTES + USERS * size_of::<User>();

/// The table that belongs to `settings`, largest types first as a rule.
pub fn table(settings: &Settings) -> Vec<Row> {
    let rings = settings.streams as usize;
    let slots = settings.slots();
    let mut table = vec![
        Row { name: "stream media", count: rings as u64, bytes_each: settings.ring_bytes },
        Row::new("stream index and headers", rings, Names::ring_overhead_bytes()),
        Row::new("stream names", rings * NAMES_PER_RING, Names::name_bytes(slots)),
        Row::new("connections", slots, PLACE_BYTES),
        Row {
            name: "scripts",
            count: settings.script_instances.into(),
            bytes_each: settings.scripts.budget.memory_bytes
                + (SCRIPT_OVERHEAD_BYTES + Instances::place_bytes()) as u64,
        },
        // What its scripts have not: one of them runs at a time.
        Row {
            name: "script processes",
            count: settings.script_hosts() as u64,
            bytes_each: SCRIPT_PROCESS_BYTES + settings.scripts.budget.stack_bytes,
        },
        Row::new("script processes: queues", settings.script_hosts(), ScriptHost::place_bytes(slots)),
        // Messages wait for clients of scripts only.
        Row::new("script messages", settings.script_hosts().min(1), Outboxes::memory_bytes()),
        Row::new("applications", settings.applications as usize, APPLICATION_BYTES + Applications::place_bytes()),
        Row::new(
            "blocks of recorded streams",
            settings.recorded_players as usize,
            RECORDED_BLOCKS * RECORDED_BLOCK_BYTES,
        ),
        Row::new("recordings to delete for scripts", CLEARS, RecordingDesk::WISH_BYTES),
        Row::new("streams of scripts", Broadcasts::count(settings.script_hosts()), Broadcasts::PLACE_BYTES),
        Row::new("viewers by HLS", HlsViewers::places(settings.connections), HlsViewers::PLACE_BYTES),
        Row::new("log-ins", 1, size_of::<LogIns>()),
        Row::new("read buffer", 1, READ_BYTES),
        Row::new("claims on connections", slots, Claims::place_bytes(slots)),
        // And whether a slot is free or taken.
        Row::new("ready bits", Wakes::PER_SLOT + 2, slots.div_ceil(64) * 8),
    ];
    table.push(hooks::client_row(settings));
    table.extend(Features::memory(settings));
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::settings::ScriptProcess;
    use crate::server::slots::CONNECTION_BYTES;

    #[test]
    fn each_count_that_can_be_set_adds_its_own_bytes() {
        let base = Settings { script_process: ScriptProcess::Server, ..Settings::default() };
        let total = |settings: &Settings| table(settings).iter().map(Row::total).sum::<u64>();
        let more_rings = Settings { streams: base.streams + 1, ..base.clone() };
        assert!(total(&more_rings) - total(&base) > base.ring_bytes);
        let more_connections = Settings { connections: base.connections + 64, ..base.clone() };
        let each = (total(&more_connections) - total(&base)) / 64;
        let beside = HlsViewers::PLACE_BYTES as u64 + hooks::client_row(&base).bytes_each + 320;
        assert!(each >= PLACE_BYTES as u64 && each < CONNECTION_BYTES as u64 + beside, "{each}");
    }
}
