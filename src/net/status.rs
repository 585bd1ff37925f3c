//! The report in the log on SIGUSR1, and the last line at the end.

use std::fmt;

use log::info;

use crate::server::Server;
use crate::server::close::Counter;
use crate::time::Millis;

use super::alloc;

/// One line about the process, and one for each stream in use.
pub(super) fn report(server: &Server, shed: u64, load_permille: u32, now: Millis) {
    let totals = server.totals(now);
    let counters = totals.counters;
    info!(
        "rill status uptime_s={} connections={} limit={} load_percent={} accepted={} turned_away={} closed={}{}{} \
         heap_allocations={} tls_heap_bytes={} tls_heap_bytes_most={}{}",
        totals.uptime_s,
        totals.connections,
        totals.connection_limit,
        load_permille / 10,
        counters.accepted,
        shed,
        counters.closed.iter().sum::<u64>(),
        Fields(&counters.named()),
        Fields(&server.recordings().counts().named()),
        allocations(),
        alloc::tls_bytes().0,
        alloc::tls_bytes().1,
        Closes(&counters.closed),
    );
    let mut from = 0;
    while let Some(row) = server.next_stream(from, now) {
        from = usize::from(row.id.0) + 1;
        info!(
            "{} status app={:?} instance={:?} name={:?} publisher={} for_s={} players={} skips={} worst_lag_ms={}",
            row.id,
            row.app,
            row.instance,
            row.name,
            if row.state.publisher().is_some() { "yes" } else { "no" },
            row.seconds,
            row.viewers.all(),
            row.skips,
            row.viewers.worst_lag_ms,
        );
    }
}

/// The last line of the log.
pub(super) fn farewell(server: &Server, now: Millis) {
    let counters = server.counters();
    info!(
        "rill stopped uptime_s={} accepted={} published={} played={} skips={} bytes_in={} bytes_out={} \
         heap_allocations={}{}",
        now.0 / 1000,
        counters.accepted,
        counters.published,
        counters.played,
        counters.skips,
        counters.bytes_in,
        counters.bytes_out,
        allocations(),
        Closes(&counters.closed),
    );
}

/// A field for each counter.
struct Fields<'a>(&'a [(&'static str, u64)]);

impl fmt::Display for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, count)| write!(f, " {name}={count}"))
    }
}

/// A field for each reason for which connections ended.
struct Closes<'a>(&'a [u64; Counter::COUNT]);

impl fmt::Display for Closes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons = Counter::NAMES.iter().zip(self.0);
        reasons.filter(|(_, count)| **count > 0).try_for_each(|(name, count)| write!(f, " closed_{name}={count}"))
    }
}

/// Allocations since everything was obtained; -1 when they are not counted.
fn allocations() -> i64 {
    alloc::since_sealed().map_or(-1, |count| count as i64)
}
