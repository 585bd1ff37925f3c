//! The merge window (`merge_ms`): while it lasts, what publishers send is gathered in the kernel, so that both reads and writes
//! carry more. At its end publishers become readable, and the next window begins.

use crate::handles::{ConnId, StreamId};
use crate::live::settings::Merge;
use crate::time::Millis;

use super::Server;
use super::alarms::Alarm;
use super::transport::Net;
use super::wakes::Held;

/// The window in force.
pub(super) struct Gathering {
    /// How long it is, in milliseconds; 0 is none.
    window_ms: u64,
    /// When the present one ends.
    until: Millis,
    /// How much of its time the loop is at work, in thousandths.
    load_permille: u32,
}

impl Gathering {
    /// As the settings have it at the start.
    pub(super) fn new(merge: Merge, now: Millis) -> Gathering {
        let window_ms = match merge {
            Merge::Auto => 0,
            Merge::Fixed(ms) => u64::from(ms),
        };
        Gathering { window_ms, until: now, load_permille: 0 }
    }

    /// How much of its time the loop is at work, in thousandths.
    pub(super) fn load_permille(&self) -> u32 {
        self.load_permille
    }
}

impl Server {
    /// How much of its time the loop is at work, in thousandths: what `merge_ms = "auto"` goes by.
    pub fn set_load(&mut self, load_permille: u32) {
        self.gathering.load_permille = load_permille;
        if self.settings.merge == Merge::Auto {
            self.gathering.window_ms = auto_window_ms(load_permille, self.gathering.window_ms);
            self.set_window();
        }
    }

    /// `merge_ms` may be another one.
    pub(super) fn reconfigure_window(&mut self) {
        if let Merge::Fixed(ms) = self.settings.merge {
            self.gathering.window_ms = u64::from(ms);
        }
        self.set_window();
    }

    /// A window that was closed for good is not over for those who are still gathered.
    pub(super) fn window_is_over(&self) -> bool {
        self.gathering.window_ms == 0 && self.wakes.holds_any(&[Held::Gathered])
    }

    /// Its end means something while there is somebody to gather.
    pub(super) fn set_window(&mut self) {
        let gathers = self.live.names.publishers() > 0 || self.wakes.holds_any(&[Held::Gathered]);
        let until = (self.gathering.window_ms > 0 && gathers).then_some(self.gathering.until);
        self.alarms.set(Alarm::Window, until);
    }

    /// At the end of a window publishers become readable, and the next one begins. A window may also begin or end for good, by
    /// `merge_ms` or by a publish.
    pub(super) fn merge<N: Net>(&mut self, net: &mut N, now: Millis) {
        if !self.window_is_over() && !self.alarms.rings(Alarm::Window, now) {
            return;
        }
        let window_ms = self.gathering.window_ms;
        self.gathering.until = now + window_ms;
        let mut from = 0;
        while let Some(slot) = self.wakes.next_held(Held::Gathered, from) {
            from = slot.at() + 1;
            self.wakes.read(slot);
            if window_ms == 0 || self.slots.peek(slot).publishing == 0 {
                self.wakes.let_go(Held::Gathered, slot);
                net.gather(slot, false);
            }
        }
        if window_ms > 0 {
            for index in 0..self.live.names.name_count() {
                let publisher = self.live.names.stream(StreamId(index as u16)).publisher();
                let Some(ConnId { slot, .. }) = publisher.and_then(|publisher| publisher.by.conn()) else { continue };
                if self.wakes.hold(Held::Gathered, slot) {
                    net.gather(slot, true);
                    self.wakes.read(slot);
                }
            }
        }
        self.set_window();
    }
}

/// The window of `merge_ms = "auto"`: none while the loop has time to spare; as it fills, enough that the write calls,
/// which are what players cost, grow fewer instead of the lag growing. `present` is the window in force: one that is open
/// closes at a lower load than it opened at, so that it does not flap.
fn auto_window_ms(load_permille: u32, present: u64) -> u64 {
    /// Below this load nothing waits.
    const SPARE: u32 = 600;
    /// A window that is open stays open down to this load.
    const EASED: u32 = 450;
    /// At this load the window is as wide as it gets.
    const FULL: u32 = 950;
    const NARROWEST_MS: u32 = 4;
    const WIDEST_MS: u32 = 60;
    if load_permille < if present > 0 { EASED } else { SPARE } {
        return 0;
    }
    let over = load_permille.clamp(SPARE, FULL) - SPARE;
    u64::from(NARROWEST_MS + over * (WIDEST_MS - NARROWEST_MS) / (FULL - SPARE))
}

#[cfg(test)]
mod tests {
    use super::auto_window_ms;

    #[test]
    fn the_automatic_window_opens_late_widens_with_load_and_does_not_flap() {
        assert_eq!(auto_window_ms(0, 0), 0);
        assert_eq!(auto_window_ms(599, 0), 0);
        assert_eq!((auto_window_ms(599, 10), auto_window_ms(449, 10)), (4, 0));
        let windows: Vec<u64> = (600..=1000).map(|load| auto_window_ms(load, 0)).collect();
        assert!(windows.is_sorted());
        assert_eq!((windows[0], windows[350], windows[400]), (4, 60, 60));
    }
}
