//! The server's side of a log-in ([`super::authmod`]): what a client says in the query of its application's name, and the descriptions
//! of rejections. They are cut as clients read them: ffmpeg keeps 255 bytes, GStreamer wants these brackets, blanks and colons, OBS and
//! librtmp look for `code=403 need auth`, `?reason=needauth` and `?reason=authfailed`.

use core::fmt;

use super::authmod::{AuthChallenge, AuthMode};

/// What a client says of its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogInQuery<'a> {
    /// How it logs in.
    pub mode: AuthMode,
    /// Who it is.
    pub user: &'a str,
    /// What proves that; empty from who asks for a challenge.
    pub response: &'a str,
    /// The challenge that this answers (`opaque`, or `nonce`).
    pub challenge: &'a str,
    /// The client's own (`challenge`, or `cnonce`).
    pub own_challenge: &'a str,
    /// How often the challenge was answered, by the client's count (`nc`); empty with [`AuthMode::Adobe`].
    pub count: &'a str,
}

impl<'a> LogInQuery<'a> {
    /// Reads it; `None` where nobody wants to log in, or in no way that is known.
    pub fn parse(query: &'a str) -> Option<LogInQuery<'a>> {
        // Nobody escapes base64, which may end with the sign that stands between a name and its value.
        let field = |name: &str| {
            let mut fields = query.split('&').filter_map(|field| field.split_once('='));
            fields.find(|(known, _)| *known == name).map_or("", |(_, value)| value.trim())
        };
        let said = field("authmod");
        let mode = [AuthMode::Adobe, AuthMode::Llnw].into_iter().find(|mode| mode.name() == said)?;
        let (challenge, own_challenge) = match mode {
            AuthMode::Adobe => (field("opaque"), field("challenge")),
            AuthMode::Llnw => (field("nonce"), field("cnonce")),
        };
        let (user, response, count) = (field("user"), field("response"), field("nc"));
        Some(LogInQuery { mode, user, response, challenge, own_challenge, count })
    }
}

/// The description of a rejection that is about a log-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogInReject<'a> {
    /// The client is to name a user.
    User(AuthMode),
    /// It is to prove that it is this one.
    Proof {
        /// The user that it has named.
        user: &'a str,
        /// What it is to answer.
        challenge: AuthChallenge<'a>,
    },
    /// The user or the password is wrong. Which of them is not said.
    Failed(AuthMode),
}

impl fmt::Display for LogInReject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[ AccessManager.Reject ] : [ ")?;
        match *self {
            LogInReject::User(mode) => write!(f, "code=403 need auth; authmod={} ] : ", mode.name()),
            LogInReject::Proof { user, challenge: AuthChallenge::Adobe { salt, challenge, opaque } } => write!(
                f,
                "authmod=adobe ] : ?reason=needauth&user={user}&salt={salt}&challenge={challenge}&opaque={opaque}"
            ),
            LogInReject::Proof { user, challenge: AuthChallenge::Llnw { nonce } } => {
                write!(f, "authmod=llnw ] : ?reason=needauth&user={user}&nonce={nonce}")
            }
            LogInReject::Failed(mode) => write!(f, "authmod={} ] : ?reason=authfailed", mode.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::Write;

    use super::*;
    use crate::limits::{USER_NAME_BYTES, USER_SALT_BYTES};
    use crate::rtmp::authmod::AuthDemand;

    #[test]
    fn what_a_client_says_is_cut_at_the_first_sign_of_each_field_and_never_decoded() {
        let said = "authmod=adobe&user=cam&challenge=00c0ffee&response=a+b/c==&opaque=Y2g=&x";
        let expected = LogInQuery {
            mode: AuthMode::Adobe,
            user: "cam",
            response: "a+b/c==",
            challenge: "Y2g=",
            own_challenge: "00c0ffee",
            count: "",
        };
        assert_eq!(LogInQuery::parse(said), Some(expected));
        let said = "authmod=llnw&user=cam&nonce=n0&cnonce=c0&nc=00000001&response=0f";
        let expected = LogInQuery {
            mode: AuthMode::Llnw,
            user: "cam",
            response: "0f",
            challenge: "n0",
            own_challenge: "c0",
            count: "00000001",
        };
        assert_eq!(LogInQuery::parse(said), Some(expected));
        for none in ["", "user=cam", "authmod=", "authmod=ADOBE", "authmod=kerberos&user=cam", "xauthmod=adobe"] {
            assert_eq!(LogInQuery::parse(none), None, "{none}");
        }
        assert_eq!(LogInQuery::parse("authmod=adobe").map(|said| (said.user, said.response)), Some(("", "")));
    }

    #[test]
    fn each_rejection_is_what_other_clients_look_for_and_short_enough_for_them() {
        let (salt, challenge) = ("s".repeat(USER_SALT_BYTES), "Y2hhbGxlbmc=");
        let user = "u".repeat(USER_NAME_BYTES);
        let text = |reject: LogInReject<'_>| {
            let mut text = heapless::String::<256>::new();
            write!(text, "{reject}").unwrap();
            assert!(text.len() < 255, "{text}");
            text
        };
        let adobe = text(LogInReject::User(AuthMode::Adobe));
        assert_eq!(adobe, "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ");
        assert_eq!(AuthDemand::parse(&adobe), Some(AuthDemand::User(AuthMode::Adobe)));
        let asked = AuthChallenge::Adobe { salt: &salt, challenge, opaque: challenge };
        let proof = text(LogInReject::Proof { user: &user, challenge: asked });
        assert!(proof.starts_with("[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=u"));
        assert_eq!(AuthDemand::parse(&proof), Some(AuthDemand::Proof(asked)));
        let asked = AuthChallenge::Llnw { nonce: challenge };
        let proof = text(LogInReject::Proof { user: &user, challenge: asked });
        assert_eq!(AuthDemand::parse(&proof), Some(AuthDemand::Proof(asked)));
        let failed = text(LogInReject::Failed(AuthMode::Llnw));
        assert_eq!(failed, "[ AccessManager.Reject ] : [ authmod=llnw ] : ?reason=authfailed");
        assert_eq!(AuthDemand::parse(&failed), Some(AuthDemand::Failed));
    }
}
