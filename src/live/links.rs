//! Signed links: who has one may publish or play one stream until it expires, without a key. A link is the stream's URL with `e`, when it
//! expires, and `s`, a signature of that by the server's key (`sign.key`): BASE64URL(HMAC-SHA256(key, "rill1\n" + `play` or `publish` +
//! "\n" + application and path of the stream, joined + "\n" + `e`)).
//!
//! `e` is seconds since 1970. On a board whose clock is not set it is `mMINUTES-START`: minutes since the machine's start, and which
//! start that was, so that no link is good again after the next one.

use core::fmt::{self, Write};

use base64ct::{Base64UrlUnpadded, Encoding};
use heapless::String;

use crate::limits::SIGN_KEY_BYTES;
use crate::wire::keyed::hmac_sha256;

use super::secret::{is_plain, is_same};

/// The fewest bytes of a key of links.
pub const LEAST_SIGN_KEY_BYTES: usize = 16;
/// The most.
pub const MOST_SIGN_KEY_BYTES: usize = SIGN_KEY_BYTES;
/// Characters of a signature.
const SIGNATURE_BYTES: usize = 43;

/// The key that links are signed with.
#[derive(Clone, Hash, PartialEq, Eq)]
pub struct SignKey(String<SIGN_KEY_BYTES>);

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Playing, over any protocol.
    Play,
    /// Publishing.
    Publish,
}

/// When a link expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEnd {
    /// In seconds since 1970.
    At(u64),
    /// By a machine that knows no time of day.
    AfterStart {
        /// Minutes since its start.
        minutes: u64,
        /// Which start.
        start: u32,
    },
}

/// What a machine knows of the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkClock {
    /// Seconds since 1970, if its clock is set.
    pub seconds: Option<u64>,
    /// Minutes since its start, and which start that was, if it can tell.
    pub since_start: Option<(u64, u32)>,
}

/// What an application makes of links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkRules {
    /// The key, if there is one: then a link serves in place of a key.
    pub key: Option<SignKey>,
    /// Nothing is played without a link or a key.
    pub play: bool,
    /// Nothing is published without a link or a key.
    pub publish: bool,
}

/// Why a link lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFault {
    /// There is none.
    Missing,
    /// It is signed with another key, or for something else.
    Forged,
    /// It is over.
    Expired,
    /// It counts by the time of day, and the clock is not set.
    NoClock,
    /// It counts from another start of a machine.
    OtherStart,
}

impl SignKey {
    /// `None` for what is too short, too long, or has other bytes than a file carries as they are.
    pub fn parse(text: &str) -> Option<SignKey> {
        let key = String::try_from(text).ok()?;
        (is_plain(text) && text.len() >= LEAST_SIGN_KEY_BYTES).then_some(SignKey(key))
    }

    /// The signature of a link to a stream (application and path, joined) that expires so. `end` is what the link says.
    pub fn sign(&self, deed: Deed, stream: [&str; 2], end: &str) -> String<SIGNATURE_BYTES> {
        let deed = match deed {
            Deed::Play => "play",
            Deed::Publish => "publish",
        };
        let [app, path] = stream;
        let parts = ["rill1\n", deed, "\n", app, "/", path, "\n", end].map(str::as_bytes);
        let mut text = [0; SIGNATURE_BYTES];
        let text = Base64UrlUnpadded::encode(&hmac_sha256(&[self.0.as_bytes()], &parts), &mut text);
        String::try_from(text.unwrap_or_default()).unwrap_or_default()
    }
}

impl fmt::Debug for SignKey {
    /// Without it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignKey")
    }
}

impl LinkEnd {
    /// As a link says it.
    pub fn parse(text: &str) -> Option<LinkEnd> {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.strip_prefix('m') {
            None => text.parse().ok().filter(|_| is_number(text)).map(LinkEnd::At),
            Some(rest) => {
                let (minutes, start) = rest.split_once('-')?;
                let minutes = minutes.parse().ok().filter(|_| is_number(minutes))?;
                Some(LinkEnd::AfterStart { minutes, start: u32::from_str_radix(start, 16).ok()? })
            }
        }
    }

    fn check(self, clock: LinkClock) -> Result<(), LinkFault> {
        let until = |end: u64, now: u64| if now < end { Ok(()) } else { Err(LinkFault::Expired) };
        match (self, clock) {
            (LinkEnd::At(end), LinkClock { seconds: Some(now), .. }) => until(end, now),
            (LinkEnd::At(_), LinkClock { seconds: None, .. }) => Err(LinkFault::NoClock),
            (LinkEnd::AfterStart { minutes, start }, LinkClock { since_start: Some((now, this)), .. })
                if start == this =>
            {
                until(minutes, now)
            }
            (LinkEnd::AfterStart { .. }, _) => Err(LinkFault::OtherStart),
        }
    }
}

impl fmt::Display for LinkEnd {
    /// As a link says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkEnd::At(seconds) => write!(f, "{seconds}"),
            LinkEnd::AfterStart { minutes, start } => write!(f, "m{minutes}-{start:08x}"),
        }
    }
}

impl LinkRules {
    /// Links are needed, and none can be good.
    pub fn needs_key(&self) -> bool {
        (self.play || self.publish) && self.key.is_none()
    }

    /// Whether the query of a URL makes it a link to that stream (application and path, joined), which is for that and not over.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn check(&self, deed: Deed, stream: [&str; 2], query: &str, clock: LinkClock) -> Result<(), LinkFault> {
        let field = |name: &str| {
            let mut fields = query.split('&').filter_map(|field| field.split_once('='));
            fields.find(|(known, _)| *known == name).map(|(_, value)| value)
        };
        let (Some(key), Some(end), Some(said)) = (&self.key, field(LINK_NAMES[0]), field(LINK_NAMES[1])) else {
            return Err(LinkFault::Missing);
        };
        // Only what is signed says anything about when it ends.
        if !is_same(&key.sign(deed, stream, end), said.trim_end_matches('='), SIGNATURE_BYTES) {
            return Err(LinkFault::Forged);
        }
        LinkEnd::parse(end).ok_or(LinkFault::Forged)?.check(clock)
    }
}

/// What a link has in its query: when it ends, and its signature.
pub const LINK_NAMES: [&str; 2] = ["e", "s"];

/// A URL as a link: with what [`LinkRules::check`] looks for behind its query.
pub fn linked(url: &str, key: &SignKey, deed: Deed, stream: [&str; 2], end: LinkEnd) -> std::string::String {
    let mut said = std::string::String::new();
    let _ = write!(said, "{end}");
    let signature = key.sign(deed, stream, &said);
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}e={said}&s={signature}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAM: [&str; 2] = ["live", "hall/cam"];
    const NOW: LinkClock = LinkClock { seconds: Some(1_795_860_000), since_start: Some((90, 7)) };

    fn rules() -> LinkRules {
        LinkRules { key: SignKey::parse("0123456789abcdef"), ..LinkRules::default() }
    }

    fn query(deed: Deed, stream: [&str; 2], end: LinkEnd) -> std::string::String {
        linked("", &rules().key.unwrap(), deed, stream, end)[1..].to_owned()
    }

    #[test]
    fn a_signature_is_what_others_make_by_the_same_words() {
        // printf 'rill1\nplay\nlive/hall/cam\n1795860000' | openssl dgst -sha256 -hmac 0123456789abcdef -binary | basenc --base64url
        let key = rules().key.unwrap();
        assert_eq!(key.sign(Deed::Play, CAM, "1795860000"), "fOAAQKtxjg2NmRJT25QP61a938z4Sk_f1QYQfWcFte4");
        assert!(!format!("{key:?}").contains("0123"));
        for wrong in ["short", "0123456789 abcdef", "0123456789\"abcdef", &"k".repeat(SIGN_KEY_BYTES + 1)] {
            assert!(SignKey::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_link_is_good_for_its_deed_its_stream_and_its_time_alone() {
        let good = query(Deed::Play, CAM, LinkEnd::At(1_795_860_001));
        let check = |query: &str, deed, stream, clock| rules().check(deed, stream, query, clock);
        for query in [&good, &format!("a=b&{good}&key=x"), &format!("{good}=")] {
            assert_eq!(check(query, Deed::Play, CAM, NOW), Ok(()), "{query}");
        }
        let over = LinkClock { seconds: Some(1_795_860_001), ..NOW };
        let unset = LinkClock { seconds: None, ..NOW };
        for (query, deed, stream, clock, fault) in [
            (good.as_str(), Deed::Publish, CAM, NOW, LinkFault::Forged),
            (&good, Deed::Play, ["live", "hall"], NOW, LinkFault::Forged),
            (&good, Deed::Play, ["live/hall", "ca"], NOW, LinkFault::Forged),
            (&good.replace("e=1795860001", "e=1895860001"), Deed::Play, CAM, NOW, LinkFault::Forged),
            (&good.replace("e=1795860001", "e=+1795860001"), Deed::Play, CAM, NOW, LinkFault::Forged),
            (&good[..good.len() - 1], Deed::Play, CAM, NOW, LinkFault::Forged),
            (&format!("{good}A"), Deed::Play, CAM, NOW, LinkFault::Forged),
            ("e=1795860001&s=", Deed::Play, CAM, NOW, LinkFault::Forged),
            ("e=1795860001", Deed::Play, CAM, NOW, LinkFault::Missing),
            ("", Deed::Play, CAM, NOW, LinkFault::Missing),
            (&good, Deed::Play, CAM, over, LinkFault::Expired),
            (&good, Deed::Play, CAM, unset, LinkFault::NoClock),
        ] {
            assert_eq!(check(query, deed, stream, clock), Err(fault), "{query}");
        }
        assert_eq!(LinkRules::default().check(Deed::Play, CAM, &good, NOW), Err(LinkFault::Missing), "there is no key");
    }

    #[test]
    fn without_a_clock_minutes_of_this_start_count() {
        let good = query(Deed::Publish, CAM, LinkEnd::AfterStart { minutes: 91, start: 7 });
        assert!(good.starts_with("e=m91-00000007&s="));
        let check = |since_start| rules().check(Deed::Publish, CAM, &good, LinkClock { seconds: None, since_start });
        assert_eq!(check(Some((90, 7))), Ok(()));
        assert_eq!(check(Some((91, 7))), Err(LinkFault::Expired));
        assert_eq!(check(Some((0, 8))), Err(LinkFault::OtherStart));
        assert_eq!(check(None), Err(LinkFault::OtherStart));
        for wrong in ["", "m", "m1", "m1-", "m-1", "-1", "+1", "1 ", "0x1", "m+1-7", "m1-x"] {
            assert_eq!(LinkEnd::parse(wrong), None, "{wrong}");
        }
    }
}
