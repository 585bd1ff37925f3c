//! The merge window (`merge_ms`): while it lasts, what publishers send is gathered in the kernel, so that both reads and writes
//! carry more. At its end publishers become readable, and the next window begins.

use crate::handles::{ConnId, StreamId};
use crate::live::settings::Merge;
use crate::time::Millis;

use super::Server;
use super::alarms::Alarm;
use super::transport::Net;
use super::wakes::Held;
use super::window::auto_window_ms;

impl Server {
    /// How much of its time the loop is at work, in thousandths, and how much of what answers of HTTP leave it streams take:
    /// what `merge_ms = "auto"` goes by.
    pub fn set_load(&mut self, load_permille: u32, streams_permille: u32) {
        self.gathering.load_permille = load_permille;
        if self.settings.merge == Merge::Auto {
            self.gathering.window_ms = auto_window_ms(streams_permille, self.gathering.window_ms);
            self.set_window();
        }
    }

    /// What answers of HTTP took since this was last asked, in microseconds.
    pub fn take_answers_us(&mut self) -> u64 {
        self.gathering.take_answers_us()
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
