//! Users who are logging in, and addresses that have failed to. A challenge is answered once, within [`CHALLENGE_MS`], by who was
//! sent it: the same application, the same user.

use base64ct::{Base64, Encoding};

use crate::handles::AppId;
use crate::limits::{LOG_INS, USER_NAME_BYTES};
use crate::live::holder::Household;
use crate::time::Millis;
use crate::wire::keyed::hmac_sha256;

use super::attempts::Attempts;

/// How long a challenge may be answered, in milliseconds.
const CHALLENGE_MS: u64 = 60_000;
/// Challenges that one address has at once; one more takes the place of its oldest.
const CHALLENGES_PER_ADDRESS: usize = 4;
/// Random bytes of a challenge.
const CHALLENGE_BYTES: usize = 8;
/// Random bytes of a salt, as Adobe's servers and `rill user` have them.
const SALT_BYTES: usize = 4;

/// Base64 of [`CHALLENGE_BYTES`].
pub(super) type ChallengeText = heapless::String<{ 4 * CHALLENGE_BYTES.div_ceil(3) }>;
/// Base64 of [`SALT_BYTES`].
pub(super) type SaltText = heapless::String<{ 4 * SALT_BYTES.div_ceil(3) }>;

/// What is known of log-ins.
#[derive(Default)]
pub(super) struct LogIns {
    /// What challenges and the salts of unknown users are made of: random, from the system.
    pub(super) secret: Option<u128>,
    /// How many challenges were made.
    made: u64,
    challenges: heapless::Vec<Challenge, LOG_INS>,
    /// How many wrong passwords addresses have sent.
    pub(super) attempts: Attempts,
}

struct Challenge {
    text: ChallengeText,
    app: AppId,
    user: heapless::String<USER_NAME_BYTES>,
    by: Household,
    since: Millis,
}

impl LogIns {
    /// A challenge for who says that it is that user; `None` while the system has no random numbers.
    pub(super) fn challenge(&mut self, app: AppId, user: &str, by: Household, now: Millis) -> Option<ChallengeText> {
        let secret = self.secret?;
        self.made += 1;
        let random = hmac_sha256(&[&secret.to_be_bytes()], &[b"challenge", &self.made.to_be_bytes()]);
        let text: ChallengeText = base64(&random[..CHALLENGE_BYTES])?;
        let user = heapless::String::try_from(user).ok()?;
        self.challenges.retain(|challenge| now.since(challenge.since) < CHALLENGE_MS);
        let own = || self.challenges.iter().enumerate().filter(|(_, challenge)| challenge.by == by);
        let to_go = match own().count() {
            CHALLENGES_PER_ADDRESS.. => own().min_by_key(|(_, challenge)| challenge.since).map(|(at, _)| at),
            _ if self.challenges.is_full() => (0..LOG_INS).min_by_key(|&at| self.challenges[at].since),
            _ => None,
        };
        if let Some(at) = to_go {
            self.challenges.swap_remove(at);
        }
        let _ = self.challenges.push(Challenge { text: text.clone(), app, user, by, since: now });
        Some(text)
    }

    /// Whether that challenge was sent to who says that it is that user, and may still be answered: it may not again.
    pub(super) fn take(&mut self, text: &str, app: AppId, user: &str, now: Millis) -> bool {
        let Some(at) = self.challenges.iter().position(|challenge| challenge.text == text) else { return false };
        let challenge = self.challenges.swap_remove(at);
        challenge.app == app && challenge.user == user && now.since(challenge.since) < CHALLENGE_MS
    }

    /// The salt of a user who is not known: always the same, and no other than those of known users look. `seed` is that of the
    /// users' file, without which it is another when the server starts anew. `None` while the system has no random numbers.
    pub(super) fn salt_of_nobody(&self, seed: Option<&str>, app: &str, user: &str) -> Option<SaltText> {
        let own = self.secret?.to_be_bytes();
        let key = seed.map_or(&own[..], str::as_bytes);
        let made = hmac_sha256(&[key], &[b"salt", app.as_bytes(), b"/", user.as_bytes()]);
        base64(&made[..SALT_BYTES])
    }
}

fn base64<const N: usize>(bytes: &[u8]) -> Option<heapless::String<N>> {
    let mut text = [0; N];
    heapless::String::try_from(Base64::encode(bytes, &mut text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::secret::is_same;

    const APP: AppId = AppId(0);
    const HOME: Household = Household(1);

    fn log_ins() -> LogIns {
        LogIns { secret: Some(7), ..LogIns::default() }
    }

    #[test]
    fn a_challenge_is_answered_once_in_time_and_by_whom_it_was_for() {
        let mut log_ins = log_ins();
        let challenge = |log_ins: &mut LogIns| log_ins.challenge(APP, "cam", HOME, Millis(5)).unwrap();
        let first = challenge(&mut log_ins);
        assert_eq!(first.len(), 12);
        assert!(log_ins.take(&first, APP, "cam", Millis(CHALLENGE_MS + 4)));
        assert!(!log_ins.take(&first, APP, "cam", Millis(6)), "it was answered");
        for (app, user, at) in [(AppId(1), "cam", 6), (APP, "other", 6), (APP, "cam", CHALLENGE_MS + 5)] {
            let text = challenge(&mut log_ins);
            assert_ne!(text, first);
            assert!(!log_ins.take(&text, app, user, Millis(at)));
            assert!(!log_ins.take(&text, APP, "cam", Millis(6)), "a wrong answer is one, too");
        }
        assert!(!log_ins.take("", APP, "cam", Millis(6)));
        assert_eq!(LogIns::default().challenge(APP, "cam", HOME, Millis(0)), None);
    }

    #[test]
    fn who_asks_for_many_challenges_loses_his_own_and_a_full_table_its_oldest() {
        let mut log_ins = log_ins();
        let mine = log_ins.challenge(APP, "cam", HOME, Millis(0)).unwrap();
        let evil: Vec<_> = (0..9).map(|at| log_ins.challenge(APP, "x", Household(2), Millis(at)).unwrap()).collect();
        assert_eq!(log_ins.challenges.len(), 1 + CHALLENGES_PER_ADDRESS);
        assert!(!log_ins.take(&evil[4], APP, "x", Millis(9)) && log_ins.take(&evil[5], APP, "x", Millis(9)));
        assert!(log_ins.take(&mine, APP, "cam", Millis(9)));
        for at in 0..2 * LOG_INS as u64 {
            log_ins.challenge(APP, "x", Household(100 + at), Millis(10 + at)).unwrap();
        }
        assert_eq!(log_ins.challenges.len(), LOG_INS);
        assert!(log_ins.challenges.iter().all(|challenge| challenge.since >= Millis(10 + LOG_INS as u64)));
    }

    #[test]
    fn an_unknown_user_has_one_salt_that_looks_like_any_other() {
        let log_ins = log_ins();
        let salt = log_ins.salt_of_nobody(None, "live", "nobody").unwrap();
        assert_eq!(log_ins.salt_of_nobody(None, "live", "nobody"), Some(salt.clone()));
        assert_ne!(log_ins.salt_of_nobody(None, "live", "nobody2"), Some(salt.clone()));
        assert!(salt.len() == 8 && salt.ends_with("=="));
        let other = LogIns { secret: Some(8), ..LogIns::default() };
        assert_ne!(other.salt_of_nobody(None, "live", "nobody"), Some(salt));
        let of_file = |log_ins: &LogIns| log_ins.salt_of_nobody(Some("c2VlZA=="), "live", "nobody");
        assert_eq!(of_file(&log_ins), of_file(&other), "also when the server has started anew");
    }

    #[test]
    fn a_response_is_itself_alone() {
        for (said, same) in
            [("abcd", true), ("abce", false), ("abc", false), ("abcde", false), ("", false), ("abcd\0", false)]
        {
            assert_eq!(is_same("abcd", said, 4), same, "{said:?}");
        }
    }
}
