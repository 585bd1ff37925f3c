//! The gate: whether somebody may connect, publish or play. One chain of links is asked for all three, in the order of [`CHAIN`]; the
//! first that says no is what the client hears. When a link has answered later, the others are asked once more: what they
//! say may have changed meanwhile.
//!
//! 1. **Rules**: what the application is for, addresses, users, keys and links. What costs nothing and gives nothing away comes first. It is
//!    here that a name becomes the stream that everybody else calls it: all other links speak of that.
//! 2. **Limits** of the application. Who is over a limit may still get a place, if somebody idle gives way: who does is for the
//!    caller to find, who then asks again.
//! 3. The application's **script**, which may answer later. It sees only clients who could have come in without it.
//! 4. A **hook** ([`hook_settings`](super::hook_settings)), an address of the operator's that is asked over HTTP: it costs the most time, so it is asked
//!    last, and of no client that would be refused anyway. It may give the stream another name.
//!
//! The same is asked of clients over RTMP and of viewers over HTTP. What relays send and fetch is the operator's own, and asked about nothing;
//! but for whom the rules turn away nothing is fetched, and for whom an edge's names are only when all links have said yes. Encoders log in within the rules of a connect, which is its protocol's affair.
//!
//! The first two are answered here; the others are features, which the caller asks ([`Link`]). What is counted beside the
//! application's limits, places of names and of connections, is no link: it is taken, and so decided, when all have said yes.

use crate::handles::AppId;
use crate::name::StreamPath;

use super::Live;
use super::app::AppKind;
use super::holder::{Holder, Who};
use super::refusal::Refusal;

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish<'a> {
    /// To join the application.
    Connect,
    /// To publish.
    Publish {
        /// What it says that it publishes, which may be a key: normalised.
        name: &'a str,
    },
    /// To play.
    Play {
        /// What it says: normalised.
        name: &'a str,
    },
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// [`Live::by_rules`].
    Rules,
    /// [`Live::by_limits`].
    Limits,
    /// The application's script.
    Script,
    /// The application's hook.
    Hook,
}

/// All, in their order.
pub const CHAIN: [Link; 4] = [Link::Rules, Link::Limits, Link::Script, Link::Hook];

/// What a link says, and the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may, as far as this link is concerned.
    Yes,
    /// It may not.
    No(Refusal),
    /// It is said later: by then nothing else of the client is read.
    Later,
}

impl From<Result<(), Refusal>> for Verdict {
    fn from(result: Result<(), Refusal>) -> Verdict {
        match result {
            Ok(()) => Verdict::Yes,
            Err(refusal) => Verdict::No(refusal),
        }
    }
}

impl Live {
    /// [`Link::Rules`]: the stream that is meant, which is empty for [`Wish::Connect`]. An application that is gone lets nobody in.
    ///
    /// # Errors
    ///
    /// What the rules have against it.
    pub fn by_rules(&self, app: AppId, who: &Who<'_>, wish: Wish<'_>) -> Result<StreamPath, Refusal> {
        let definition = self.apps.definition(app);
        match wish {
            Wish::Connect => {
                definition.ok_or(Refusal::ConnectAddress)?.rules.connect(who.peer)?;
                Ok(StreamPath::default())
            }
            Wish::Publish { name } => {
                let definition = definition.filter(|app| app.kind == AppKind::Live).ok_or(Refusal::NotLive)?;
                definition.rules.publish_from(who.peer)?;
                if definition.log_in.users.is_some() && !who.has_logged_in {
                    return Err(Refusal::PublishUser);
                }
                definition.may_publish(who, name)
            }
            Wish::Play { name } => {
                let definition = definition.ok_or(Refusal::PlayAddress)?;
                let path = definition.path(who.instance, name).map_err(|_| Refusal::Path)?;
                definition.may_play(who, path.as_str())?;
                Ok(path)
            }
        }
    }

    /// [`Link::Limits`]: whether the application takes one more. Who publishes or plays in it already is no more than it was, and
    /// what the server itself plays is no client.
    ///
    /// # Errors
    ///
    /// [`Refusal::Connections`], [`Refusal::Publishers`], [`Refusal::Players`].
    pub fn by_limits(&self, app: AppId, by: Holder, wish: Wish<'_>) -> Result<(), Refusal> {
        let Some(known) = self.apps.app(app) else { return Ok(()) };
        let Some(definition) = known.definition.as_deref() else { return Ok(()) };
        let streams = || self.names.streams().map(|(_, stream)| stream).filter(|stream| stream.app == app);
        match wish {
            Wish::Connect => definition.limits.connect(known.connected),
            Wish::Publish { .. } => {
                let by_others = |holder: Holder| holder.conn().is_some() && !holder.is_with(by);
                let published = streams().filter_map(|stream| stream.publisher());
                definition.limits.publish(published.filter(|publisher| by_others(publisher.by)).count() as u32)
            }
            Wish::Play { .. } => {
                let live: usize = streams().map(|stream| stream.players.len()).sum();
                let players = live + known.recorded_players as usize;
                let plays = |at: usize| streams().any(|stream| stream.players.contains(at));
                let again = by.conn().is_some_and(|conn| plays(conn.slot.at()));
                definition.limits.play((players as u32).saturating_sub(u32::from(again)))
            }
        }
    }
}
