//! What hooks are to be told, one behind the other in one ring of bytes: most notices are a fraction of the longest.

use std::boxed::Box;

use crate::handles::AppId;
use crate::limits::HOOK_BODY_BYTES;
use crate::live::hook_settings::HookEvent;

use super::body::HookBody;

/// Application, event and length, in front of each.
const FRONT_BYTES: usize = 2 + 1 + 2;

const _: () = assert!(HOOK_BODY_BYTES <= u16::MAX as usize, "a length takes two bytes");

/// Notices that wait.
#[derive(Debug)]
pub struct HookNotices {
    bytes: Box<[u8]>,
    /// Where the oldest begins.
    start: usize,
    /// Bytes in use.
    used: usize,
    count: usize,
}

impl HookNotices {
    /// Room for so many bytes.
    pub fn new(bytes: usize) -> HookNotices {
        HookNotices { bytes: vec![0; bytes].into_boxed_slice(), start: 0, used: 0, count: 0 }
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.count
    }

    /// At least half of it is free.
    pub fn has_room(&self) -> bool {
        2 * self.used < self.bytes.len()
    }

    /// One more. False when there is no room.
    pub fn push(&mut self, app: AppId, event: HookEvent, body: &[u8]) -> bool {
        if self.used + FRONT_BYTES + body.len() > self.bytes.len() {
            return false;
        }
        let ([a, b], [c, d]) = (app.0.to_be_bytes(), (body.len() as u16).to_be_bytes());
        for byte in [a, b, event as u8, c, d].iter().chain(body) {
            let at = (self.start + self.used) % self.bytes.len();
            self.bytes[at] = *byte;
            self.used += 1;
        }
        self.count += 1;
        true
    }

    /// Takes the oldest, of which the text comes into `body`.
    pub fn pop(&mut self, body: &mut HookBody) -> Option<(AppId, HookEvent)> {
        let (app, event, length) = self.front(0)?;
        body.clear();
        for at in FRONT_BYTES..FRONT_BYTES + length {
            // It fits: it was such a body.
            let _ = body.push(self.at(at));
        }
        self.start = (self.start + FRONT_BYTES + length) % self.bytes.len();
        self.used -= FRONT_BYTES + length;
        self.count -= 1;
        Some((app, event))
    }

    /// One of the application waits.
    pub fn has(&self, app: AppId) -> bool {
        let mut from = 0;
        while let Some((of, _, length)) = self.front(from) {
            if of == app {
                return true;
            }
            from += FRONT_BYTES + length;
        }
        false
    }

    /// The front of the notice so many bytes behind the oldest's beginning.
    fn front(&self, from: usize) -> Option<(AppId, HookEvent, usize)> {
        if from >= self.used {
            return None;
        }
        let pair = |at: usize| u16::from_be_bytes([self.at(from + at), self.at(from + at + 1)]);
        let event = *HookEvent::ALL.get(usize::from(self.at(from + 2)))?;
        Some((AppId(pair(0)), event, usize::from(pair(3))))
    }

    fn at(&self, at: usize) -> u8 {
        self.bytes[(self.start + at) % self.bytes.len()]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::VecDeque;

    use super::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out_in_its_order_until_there_is_no_room(
            steps in proptest::collection::vec((0u16..3, 0usize..8, 0usize..40, any::<bool>()), 0..200),
        ) {
            let (mut notices, mut model) = (HookNotices::new(100), VecDeque::new());
            for (app, event, length, pops) in steps {
                let mut body = HookBody::new();
                if pops {
                    let popped = notices.pop(&mut body).map(|(app, event)| (app, event, body.to_vec()));
                    prop_assert_eq!(popped, model.pop_front());
                    continue;
                }
                let (app, event, text) = (AppId(app), HookEvent::ALL[event], vec![length as u8; length]);
                let used: usize = model.iter().map(|(_, _, text): &(_, _, Vec<u8>)| text.len() + FRONT_BYTES).sum();
                let fits = used + length + FRONT_BYTES <= 100;
                prop_assert_eq!(notices.push(app, event, &text), fits);
                if fits {
                    model.push_back((app, event, text));
                }
                prop_assert_eq!(notices.count(), model.len());
                for app in [AppId(0), AppId(1), AppId(2)] {
                    prop_assert_eq!(notices.has(app), model.iter().any(|(of, ..)| *of == app));
                }
            }
        }
    }
}
