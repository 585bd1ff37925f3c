//! How encoders log in with a user's name and a password: `authmod=adobe` (Adobe's FMLE add-in) and `authmod=llnw` (Limelight's), as
//! ffmpeg, librtmp and OBS do. Both take three connections: the first hears which mode is wanted, the second names the user and
//! hears a challenge, the third answers it, all in the query of the application's name and the description of a rejection.
//! Neither sends the password, and neither protects more than that: MD5 alone, and nothing that ties it to the connection.

use core::fmt::{self, Write};

use base64ct::{Base64, Encoding};
use md5::{Digest, Md5};

/// A digest as text: 24 characters of base64 with padding, or 32 hexadecimal digits.
pub type DigestText = heapless::String<32>;

/// How often a nonce of `llnw` was used: each is used once.
const NONCE_COUNT: &str = "00000001";

/// How a user logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMode {
    /// Adobe's.
    Adobe,
    /// Limelight's.
    Llnw,
}

impl AuthMode {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            AuthMode::Adobe => "adobe",
            AuthMode::Llnw => "llnw",
        }
    }
}

/// What a server keeps of a user instead of a password: base64(md5(user + salt + password)).
pub fn adobe_hash(user: &str, salt: &str, password: &str) -> DigestText {
    base64(&[user, salt, password])
}

/// The answer of `adobe`: base64(md5(hash + challenge + own challenge)), by the hash that a server keeps ([`adobe_hash`]). `challenge` is
/// the server's `opaque`, or its `challenge` if it has sent none.
pub fn adobe_response(hash: &str, challenge: &str, own_challenge: &str) -> DigestText {
    base64(&[hash, challenge, own_challenge])
}

/// What a server keeps of a user for `llnw`: hex(md5(user:live:password)).
pub fn llnw_hash(user: &str, password: &str) -> DigestText {
    hexadecimal(&[user, ":live:", password])
}

/// The answer of `llnw`, by the hash that a server keeps ([`llnw_hash`]), to its nonce; `count` and `own_nonce` (`nc` and `cnonce`) are the
/// client's, and `app` is the application without its query.
pub fn llnw_response(hash: &str, nonce: &str, count: &str, own_nonce: &str, app: &str) -> DigestText {
    let instance = if app.contains('/') { "" } else { "/_definst_" };
    let action = hexadecimal(&["publish:/", app, instance]);
    hexadecimal(&[hash, ":", nonce, ":", count, ":", own_nonce, ":auth:", &action])
}

/// What a rejection asks of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthDemand<'a> {
    /// To name its user in this mode.
    User(AuthMode),
    /// To prove that it knows the password.
    Proof(AuthChallenge<'a>),
    /// Nothing more: the user or the password is wrong.
    Failed,
}

/// What an answer is made of besides the user and the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthChallenge<'a> {
    /// Of `adobe`.
    Adobe {
        /// Of the user.
        salt: &'a str,
        /// What is answered, unless there is the other.
        challenge: &'a str,
        /// What is sent back, and answered; empty without one.
        opaque: &'a str,
    },
    /// Of `llnw`.
    Llnw {
        /// What is answered.
        nonce: &'a str,
    },
}

impl<'a> AuthDemand<'a> {
    /// Reads the description of a rejection. `None` when it is about something else, or a mode that is not known.
    pub fn parse(description: &'a str) -> Option<AuthDemand<'a>> {
        let (_, said) = description.split_once("authmod=")?;
        let mode = [AuthMode::Adobe, AuthMode::Llnw].into_iter().find(|mode| said.starts_with(mode.name()))?;
        let query = said.split_once('?').map_or("", |(_, query)| query);
        // Challenges are base64 as it is, which may end with the sign that names and values have between them.
        let field = |name: &str| {
            let mut fields = query.split('&').filter_map(|field| field.split_once('='));
            fields.find(|(known, _)| *known == name).map_or("", |(_, value)| value.trim_end())
        };
        Some(match (field("reason"), mode) {
            ("needauth", AuthMode::Adobe) => AuthDemand::Proof(AuthChallenge::Adobe {
                salt: field("salt"),
                challenge: field("challenge"),
                opaque: field("opaque"),
            }),
            ("needauth", AuthMode::Llnw) => AuthDemand::Proof(AuthChallenge::Llnw { nonce: field("nonce") }),
            ("", mode) if description.contains("code=403 need auth") => AuthDemand::User(mode),
            _ => AuthDemand::Failed,
        })
    }

    /// Writes the query with which the next connection is to come, or fails where it is too long; `own` is random. Of [`AuthDemand::Failed`]
    /// nothing is left to write.
    ///
    /// # Errors
    ///
    /// The writer's own.
    pub fn answer(&self, user: &str, password: &str, app: &str, own: u32, query: &mut impl Write) -> fmt::Result {
        let mut own_text = heapless::String::<8>::new();
        write!(own_text, "{own:08x}")?;
        match *self {
            AuthDemand::User(mode) => write!(query, "authmod={}&user={user}", mode.name()),
            AuthDemand::Proof(AuthChallenge::Adobe { salt, challenge, opaque }) => {
                let answered = if opaque.is_empty() { challenge } else { opaque };
                let response = adobe_response(&adobe_hash(user, salt, password), answered, &own_text);
                write!(query, "authmod=adobe&user={user}&challenge={own_text}&response={response}")?;
                if opaque.is_empty() { Ok(()) } else { write!(query, "&opaque={opaque}") }
            }
            AuthDemand::Proof(AuthChallenge::Llnw { nonce }) => {
                let response = llnw_response(&llnw_hash(user, password), nonce, NONCE_COUNT, &own_text, app);
                write!(
                    query,
                    "authmod=llnw&user={user}&nonce={nonce}&cnonce={own_text}&nc={NONCE_COUNT}&response={response}"
                )
            }
            AuthDemand::Failed => Ok(()),
        }
    }
}

fn digest(parts: &[&str]) -> [u8; 16] {
    let mut md5 = Md5::new();
    parts.iter().for_each(|part| md5.update(part));
    md5.finalize().into()
}

fn base64(parts: &[&str]) -> DigestText {
    let mut text = [0; 24];
    let text = Base64::encode(&digest(parts), &mut text).expect("24 characters hold 16 bytes");
    DigestText::try_from(text).expect("a digest's text has room for them")
}

fn hexadecimal(parts: &[&str]) -> DigestText {
    let mut text = DigestText::new();
    for byte in digest(parts) {
        write!(text, "{byte:02x}").expect("a digest's text holds 16 bytes");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with Python's hashlib by the formulas of FFmpeg's libavformat/rtmpproto.c.
    #[test]
    fn digests_are_those_of_other_clients() {
        let hash = adobe_hash("cam", "c2FsdA==", "s3cret");
        assert_eq!(hash, "MWAD0ZOmaxhBrvA1qvx0/A==");
        assert_eq!(adobe_response(&hash, "b3BhcXVl", "00c0ffee"), "yDYRwy+c1BFYilAD8Rx/dQ==");
        let hash = llnw_hash("cam", "s3cret");
        assert_eq!(hash, "6d07dc9498ff3b0dac1622c1ba753ac4");
        for (app, response) in
            [("live", "55af5c018403a38e6b5eb12013f35351"), ("live/hall", "796cae28fce47b10535dfcae6a1c832c")]
        {
            assert_eq!(llnw_response(&hash, "n0nce", "00000001", "00c0ffee", app), response);
        }
    }

    #[test]
    fn what_a_rejection_asks_is_read_and_answered() {
        let reject = |text: &str| format!("[ AccessManager.Reject ] : {text}");
        let answer = |text: &str| {
            let text = reject(text);
            let mut query = heapless::String::<256>::new();
            AuthDemand::parse(&text).unwrap().answer("cam", "s3cret", "live", 0xC0_FFEE, &mut query).unwrap();
            query.as_str().to_owned()
        };
        assert_eq!(answer("[ code=403 need auth; authmod=adobe ] : "), "authmod=adobe&user=cam");
        assert_eq!(
            answer("[ authmod=adobe ] : ?reason=needauth&user=cam&salt=c2FsdA==&challenge=Y2hhbA==&opaque=b3BhcXVl"),
            "authmod=adobe&user=cam&challenge=00c0ffee&response=yDYRwy+c1BFYilAD8Rx/dQ==&opaque=b3BhcXVl"
        );
        assert_eq!(
            answer("[ authmod=adobe ] : ?reason=needauth&user=cam&salt=c2FsdA==&challenge=Y2hhbA=="),
            "authmod=adobe&user=cam&challenge=00c0ffee&response=5ftVYF1/Us24QLHbQPWT6A=="
        );
        assert_eq!(answer("[ code=403 need auth; authmod=llnw ] : "), "authmod=llnw&user=cam");
        assert_eq!(
            answer("[ authmod=llnw ] : ?reason=needauth&user=cam&nonce=n0nce"),
            "authmod=llnw&user=cam&nonce=n0nce&cnonce=00c0ffee&nc=00000001&response=55af5c018403a38e6b5eb12013f35351"
        );
        for failed in ["?reason=authfailed", "?reason=nosuchuser", "", "?reason=else"] {
            assert_eq!(AuthDemand::parse(&reject(&format!("[ authmod=adobe ] : {failed}"))), Some(AuthDemand::Failed));
        }
        assert_eq!(AuthDemand::parse(&reject("[ authmod=other ] : ?reason=needauth")), None);
        assert_eq!(AuthDemand::parse("no"), None);
    }
}
