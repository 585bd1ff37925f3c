//! What there is a limited number of: how much of it is in use now, how much was at most, how much there may be, and which key says
//! so.
//!
//! [`USAGES`] is the table: a limit more is a row of it.

use core::net::Ipv4Addr;

use crate::limits::{CONTROL_CLIENTS, LIMITED, OUTBOXES_BYTES, Row};

use super::Server;
use super::broadcasts::Broadcasts;
use super::hls_viewers::HlsViewers;
use super::slot::SlotState;

/// What has a limit.
pub(super) struct Usage {
    /// What it is, in plural.
    pub(super) name: &'static str,
    /// What says how many there may be; `None` where nothing does.
    pub(super) key: Option<&'static str>,
    /// How much of it is used; `None` of what nothing counts together.
    pub(super) used: fn(&Server) -> Option<u64>,
    /// How much there may be; `None` is no limit.
    pub(super) limit: fn(&Server) -> Option<u64>,
}

const fn row(
    name: &'static str,
    key: &'static str,
    used: fn(&Server) -> Option<u64>,
    limit: fn(&Server) -> Option<u64>,
) -> Usage {
    Usage { name, key: Some(key), used, limit }
}

const fn fixed(name: &'static str, used: fn(&Server) -> Option<u64>, limit: fn(&Server) -> Option<u64>) -> Usage {
    Usage { name, key: None, used, limit }
}

#[rustfmt::skip]
pub(super) const USAGES: [Usage; LIMITED] = [
    row("connections", "limits.connections", |server| some(server.slots.taken()), |server| Some(server.settings.connections.into())),
    row("connections_per_address", "limits.connections_per_address", |server| Some(server.slots.most_from_one().into()), |server| server.settings.connections_per_address(Ipv4Addr::UNSPECIFIED.into()).map(u64::from)),
    row("streams", "limits.streams", |server| Some(server.live.names.publishers().into()), |server| Some(server.settings.streams.into())),
    row("stream_names", "limits.streams", |server| some(server.live.names.streams().count()), |server| some(server.live.names.name_count())),
    row("ring_bytes", "limits.ring_bytes", |server| Some(server.live.names.fullest_ring_bytes()), |server| Some(server.settings.ring_bytes)),
    row("hls_viewers", "limits.connections", |server| some(server.slots.hls.taken()), |server| some(HlsViewers::places(server.settings.connections))),
    row("applications", "limits.applications", |server| some(server.live.apps.iter().count()), |server| Some(server.settings.applications.into())),
    row("recordings", "limits.recordings", |server| some(server.features.recordings.count()), |server| Some(server.settings.recordings.into())),
    row("relays", "limits.relays", |server| some(server.features.relays.taken()), |server| Some(server.settings.relays.into())),
    row("hooks", "limits.hooks", |server| some(server.features.hooks.under_way()), |server| Some(server.settings.hooks.into())),
    row("recorded_players", "limits.recorded_players", |server| some(server.features.recorded.count()), |server| Some(server.settings.recorded_players.into())),
    row("tls_connections", "limits.tls_connections", |server| some(server.slots.secured()), |server| some(server.settings.tls_places())),
    row("script_instances", "limits.script_instances", |server| some(server.scripting.instances.iter().count()), |server| Some(server.settings.script_instances.into())),
    row("memory_bytes", "limits.ram_budget_bytes", |server| Some(server.life.memory.iter().map(Row::total).sum()), |server| Some(server.settings.ram_budget_bytes)),
    fixed("script_message_bytes", |server| some(server.outboxes_bytes()), |_| some(OUTBOXES_BYTES)),
    fixed("script_streams", |server| some(server.scripting.broadcasts.all.iter().flatten().count()), |server| some(Broadcasts::count(server.settings.script_hosts()))),
    fixed("control_clients", |server| some(server.slots.operators().filter(|&at| server.slots.peek(at).state != SlotState::Free).count()), |_| some(CONTROL_CLIENTS)),
];

fn some(count: usize) -> Option<u64> {
    Some(count as u64)
}

impl Server {
    /// Looks how much is used. What is used for less than the time between two looks may not be seen.
    pub(super) fn look_at_usage(&mut self) {
        for (at, usage) in USAGES.iter().enumerate() {
            let used = (usage.used)(self).unwrap_or(0);
            self.life.peaks[at] = self.life.peaks[at].max(used);
        }
    }
}
