//! Who is the administrator over HTTP: the key that says so ([`Settings::admin_key`](crate::live::settings::Settings::admin_key)),
//! sessions that were begun with it, and how many wrong keys addresses have sent.

use core::hint::black_box;

use crate::handles::ConnId;
use crate::limits::{ADMIN_SESSION_S, ADMIN_SESSIONS};
use crate::live::jobs::Job;
use crate::live::secret::AdminKey;
use crate::time::Millis;

use super::attempts::Attempts;

/// The same as [`ADMIN_SESSION_S`], in milliseconds.
const SESSION_MS: u64 = ADMIN_SESSION_S as u64 * 1000;

/// What is known of administrators.
#[derive(Default)]
pub(super) struct Admin {
    sessions: heapless::Vec<LogIn, ADMIN_SESSIONS>,
    pub(super) attempts: Attempts,
    /// A random number of the system's, for the next session.
    pub(super) random: Option<u128>,
    wish: KeyWish,
}

/// A session.
struct LogIn {
    token: u128,
    used: Millis,
}

/// The operator wants another key, or none.
#[derive(Default)]
enum KeyWish {
    #[default]
    None,
    Wanted(ConnId, Option<AdminKey>),
    UnderWay(ConnId),
}

impl Admin {
    /// Begins a session; `None` until there is a random number for it.
    pub(super) fn begin(&mut self, now: Millis) -> Option<u128> {
        let token = self.random.take()?;
        if self.sessions.is_full()
            && let Some(oldest) = (0..self.sessions.len()).min_by_key(|&at| self.sessions[at].used)
        {
            self.sessions.swap_remove(oldest);
        }
        let _ = self.sessions.push(LogIn { token, used: now });
        Some(token)
    }

    /// Whether a session goes on. Looking at it is using it.
    pub(super) fn goes_on(&mut self, token: Option<u128>, now: Millis) -> bool {
        self.sessions.retain(|session| now.since(session.used) < SESSION_MS);
        let Some(token) = token else { return false };
        let mut found = false;
        for session in &mut self.sessions {
            let is_it = black_box(session.token ^ token) == 0;
            session.used = if is_it { now } else { session.used };
            found |= is_it;
        }
        found
    }

    /// Ends a session.
    pub(super) fn end(&mut self, token: Option<u128>) {
        self.sessions.retain(|session| Some(session.token) != token);
    }

    /// The operator wants another key, or with `None` that there is none. False while another one is being written.
    pub(super) fn want_key(&mut self, by: ConnId, key: Option<AdminKey>) -> bool {
        let is_free = matches!(self.wish, KeyWish::None);
        if is_free {
            self.wish = KeyWish::Wanted(by, key);
        }
        is_free
    }

    /// All sessions end.
    pub(super) fn end_sessions(&mut self) {
        self.sessions.clear();
    }

    /// The disk has kept a key, or has not: who wanted that.
    pub(super) fn kept(&mut self) -> Option<ConnId> {
        match core::mem::take(&mut self.wish) {
            KeyWish::UnderWay(by) => Some(by),
            KeyWish::None | KeyWish::Wanted(..) => None,
        }
    }

    /// What the disk is to do.
    pub(super) fn next_job(&mut self) -> Option<Job> {
        let KeyWish::Wanted(by, key) = &mut self.wish else { return None };
        let (by, key) = (*by, key.take());
        self.wish = KeyWish::UnderWay(by);
        Some(Job::AdminKey { key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(admin: &mut Admin, token: u128, now: u64) {
        admin.random = Some(token);
        assert_eq!(admin.begin(Millis(now)), Some(token));
        assert_eq!(admin.begin(Millis(now)), None, "a number is for one session");
    }

    #[test]
    fn sessions_end_when_they_are_not_used_and_the_oldest_for_one_more() {
        let mut admin = Admin::default();
        begin(&mut admin, 1, 0);
        assert!(admin.goes_on(Some(1), Millis(SESSION_MS - 1)));
        assert!(admin.goes_on(Some(1), Millis(2 * SESSION_MS - 2)), "it was used");
        assert!(!admin.goes_on(Some(1), Millis(3 * SESSION_MS)));
        for token in 0..=ADMIN_SESSIONS as u128 {
            begin(&mut admin, token, 4 * SESSION_MS + token as u64);
        }
        let now = Millis(4 * SESSION_MS + 100);
        assert!(!admin.goes_on(Some(0), now) && admin.goes_on(Some(1), now) && !admin.goes_on(None, now));
        admin.end(Some(1));
        assert!(!admin.goes_on(Some(1), now) && admin.goes_on(Some(2), now));
    }
}
