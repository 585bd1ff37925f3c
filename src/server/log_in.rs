//! Encoders log in where an application has users ([`crate::live::users`]): the part of the gate's rules that takes three
//! connections ([`crate::rtmp::authmod`]). Who only plays is not asked: that it will publish is known of a client that says so, as
//! encoders do (`flashVer` of Adobe's FMLE, `type` `nonprivate`). Any other that publishes without a user is refused then.
//!
//! Whether a user exists is not to be found out: an unknown one is sent a challenge like any other, with a salt that stays the same,
//! and the same words for its answer.

use core::fmt::Write;

use log::{info, warn};

use crate::handles::ConnId;
use crate::live::gate::Verdict;
use crate::live::holder::Household;
use crate::live::secret::is_same;
use crate::live::users::{LogInWay, User, is_user_name};
use crate::rtmp::authmod::{AuthChallenge, AuthMode, adobe_response, llnw_response};
use crate::rtmp::log_in::{LogInQuery, LogInReject};
use crate::text::Word;
use crate::time::Millis;

use super::Server;
use super::close::Rejection;

/// The longest description in bytes that clients take.
const REJECT_BYTES: usize = 254;

/// Why a log-in has failed, for the log.
const WRONG: &str = "no such user, or a wrong password";
const STALE: &str = "its challenge was answered already, or is too old";
const WAITS: &str = "too many wrong passwords from this address: it waits a minute";

impl Server {
    /// Whether a client that wants to join has logged in, or need not. If not it is told what to do, and gone.
    pub(super) fn ask_user(&mut self, conn: ConnId, now: Millis) -> Verdict {
        let Some((slot, rtmp)) = self.slots.look_client(conn) else { return Verdict::Later };
        let Some(app) = slot.app else { return Verdict::Yes };
        let Some(definition) = self.live.apps.definition(app) else { return Verdict::Yes };
        let Some(users) = definition.log_in.users.as_ref().filter(|_| !rtmp.has_logged_in) else { return Verdict::Yes };
        let (peer, session) = (slot.peer, &rtmp.session);
        let Some(said) = LogInQuery::parse(session.connect_query()) else {
            let will_publish =
                session.connect_info().agent.starts_with("FMLE/") || session.connect_property("type") == "nonprivate";
            let mode = match definition.log_in.way {
                LogInWay::Adobe => AuthMode::Adobe,
                LogInWay::Llnw => AuthMode::Llnw,
            };
            return match will_publish {
                true => self.reject_log_in(conn, &LogInReject::User(mode), Rejection::LogIn, now),
                false => Verdict::Yes,
            };
        };
        let (by, log_ins) = (Household::of(peer.ip()), &mut self.life.log_ins);
        // Who has no hash for this way is nobody by it.
        let has_way = |user: &&User| said.mode == AuthMode::Adobe || !user.llnw_hash.is_empty();
        let user = users.find(said.user).filter(has_way);
        let fault = if log_ins.attempts.wait_ms(by, now).is_some() {
            Some(WAITS)
        } else if !is_user_name(said.user) {
            Some(WRONG)
        } else if said.response.is_empty() {
            None
        } else if !log_ins.take(said.challenge, app, said.user, now) {
            Some(STALE)
        } else {
            // Somebody who is not there answers as slowly as others.
            let nobody = User::default();
            let known = user.unwrap_or(&nobody);
            let right = match said.mode {
                AuthMode::Adobe => adobe_response(&known.adobe_hash, said.challenge, said.own_challenge),
                AuthMode::Llnw => {
                    let app = session.connect_property("app");
                    let app = app.split_once('?').map_or(app, |(app, _)| app);
                    llnw_response(&known.llnw_hash, said.challenge, said.count, said.own_challenge, app)
                }
            };
            if is_same(&right, said.response, right.len()) & user.is_some() {
                log_ins.attempts.succeeded(by);
                info!("{conn} log-in app={} user={} peer={peer}", Word(&definition.name), Word(said.user));
                if let Some((_, rtmp)) = self.slots.open_client(conn) {
                    rtmp.has_logged_in = true;
                }
                return Verdict::Yes;
            }
            Some(WRONG)
        };
        if let Some(fault) = fault {
            if fault != WAITS {
                log_ins.attempts.failed(by, now);
            }
            let (app, mode) = (Word(&definition.name), said.mode);
            warn!(
                "{conn} log-in refused app={app} user={} peer={peer} reason={fault:?} see=\"rill user\"",
                Word(said.user)
            );
            return self.reject_log_in(conn, &LogInReject::Failed(mode), Rejection::WrongLogIn, now);
        }
        let salt_of_nobody = log_ins.salt_of_nobody(users.seed(), &definition.name, said.user);
        let challenge = log_ins.challenge(app, said.user, by, now);
        let (Some(salt_of_nobody), Some(challenge)) = (salt_of_nobody, challenge) else {
            let text = "[ Server.Reject ] : The system has no random numbers yet.";
            self.refuse_connect(conn, Rejection::Undecided, text, now);
            return Verdict::Later;
        };
        let salt = user.map_or(salt_of_nobody.as_str(), |user| user.salt.as_str());
        let asked = match said.mode {
            AuthMode::Adobe => AuthChallenge::Adobe { salt, challenge: &challenge, opaque: &challenge },
            AuthMode::Llnw => AuthChallenge::Llnw { nonce: &challenge },
        };
        let text = text_of(&LogInReject::Proof { user: said.user, challenge: asked });
        self.refuse_connect(conn, Rejection::LogIn, &text, now);
        Verdict::Later
    }

    fn reject_log_in(&mut self, conn: ConnId, reject: &LogInReject<'_>, why: Rejection, now: Millis) -> Verdict {
        self.refuse_connect(conn, why, &text_of(reject), now);
        Verdict::Later
    }
}

fn text_of(reject: &LogInReject<'_>) -> heapless::String<REJECT_BYTES> {
    let mut text = heapless::String::new();
    let written = write!(text, "{reject}");
    debug_assert!(written.is_ok(), "the longest name and salt fit");
    text
}
