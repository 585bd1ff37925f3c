//! The gate's chain ([`crate::live::gate`]), as far as it leads through the server: who gives way to one over a limit, and what the
//! application's script says. What its hook says is in `hooks`.

use crate::handles::ConnId;
use crate::live::gate::{CHAIN, Link, Verdict, Wish};
use crate::live::holder::{Holder, Who};
use crate::live::links::LinkClock;
use crate::live::refusal::Refusal;
use crate::name::StreamPath;
use crate::time::Millis;
use crate::wire::script_link::Access;

use super::Server;
use super::rtmp::{Asked, Joining};

impl Server {
    /// Asks every link whether a client of an application may. `path` becomes the stream that is meant, when the rules say yes.
    pub(super) fn ask(&mut self, conn: ConnId, wish: Wish<'_>, path: &mut StreamPath, now: Millis) -> Verdict {
        for link in CHAIN {
            let verdict = match link {
                Link::Rules => match self.ask_rules(conn, wish).map(|meant| *path = meant) {
                    Ok(()) if wish == Wish::Connect => self.ask_user(conn, now),
                    result => result.into(),
                },
                Link::Limits => self.ask_limits(conn, wish, now).into(),
                Link::Script => match wish {
                    Wish::Connect => self.ask_script_to_join(conn, now),
                    Wish::Publish { .. } => {
                        // What the client calls it, unless it said a key.
                        let name = self.slots.look_client(conn).map_or("", |(_, rtmp)| rtmp.session.own_name(path));
                        self.ask_script_for(conn, Access::Write, name, Refusal::WriteAccess, now)
                    }
                    Wish::Play { name } => self.ask_script_for(conn, Access::Read, name, Refusal::ReadAccess, now),
                },
                Link::Hook => self.ask_hook(conn, wish, path, now),
            };
            if verdict != Verdict::Yes {
                return verdict;
            }
        }
        Verdict::Yes
    }

    /// What links that expire are held against.
    pub(super) fn link_clock(&self) -> LinkClock {
        let now_ms = self.now.0;
        let seconds = self.life.clock_ms.map(|before| now_ms.saturating_add_signed(before) / 1000);
        LinkClock { seconds, since_start: self.life.started.map(|(before, start)| ((before + now_ms) / 60_000, start)) }
    }

    pub(super) fn ask_rules(&self, conn: ConnId, wish: Wish<'_>) -> Result<StreamPath, Refusal> {
        let Some((slot, rtmp)) = self.slots.look_client(conn) else { return Err(Refusal::NotFound) };
        let Some(app) = slot.app else { return Err(Refusal::NotFound) };
        let instance = &rtmp.session.connect_info().path.instance;
        let (query, has_logged_in) = (rtmp.session.stream_query(), rtmp.has_logged_in);
        let who = Who { peer: slot.peer.ip(), instance, query, has_logged_in, clock: self.link_clock() };
        self.live.by_rules(app, &who, wish)
    }

    fn ask_limits(&mut self, conn: ConnId, wish: Wish<'_>, now: Millis) -> Result<(), Refusal> {
        let Some(app) = self.slots.look(conn).and_then(|slot| slot.app) else { return Err(Refusal::NotFound) };
        // They look at connections: which of its streams it is does not matter.
        let by = Holder::Conn(conn, 0);
        // Who plays a recorded stream counts already.
        if matches!(wish, Wish::Play { .. }) && self.plays_recorded(conn) {
            return Ok(());
        }
        match self.live.by_limits(app, by, wish) {
            // They go when all have said yes.
            Err(Refusal::Connections)
                if self.slots.first_to_yield(conn, now, &|slot| slot.app == Some(app)).is_some() =>
            {
                Ok(())
            }
            Err(Refusal::Players) if self.slots.first_to_yield(conn, now, &|slot| slot.plays_in(app)).is_some() => {
                Ok(())
            }
            result => result,
        }
    }

    /// Whether the application's script lets the client do that with a stream. Its answer comes later, and then the whole chain
    /// is asked once more: what other links say may have changed meanwhile.
    fn ask_script_for(&mut self, conn: ConnId, access: Access, name: &str, refusal: Refusal, now: Millis) -> Verdict {
        let Some((slot, rtmp)) = self.slots.open_client(conn) else { return Verdict::Later };
        // A hook is asked when the script has said yes.
        if slot.instance.is_none() || matches!(rtmp.asked, Asked::Hooked(_)) {
            return Verdict::Yes;
        }
        if !rtmp.is_told {
            self.shut_down_client(conn, now);
            return Verdict::Later;
        }
        if let Asked::Allowed(allowed) = rtmp.asked {
            rtmp.asked = Asked::Nothing;
            if access == Access::Read {
                rtmp.session.set_sample_access(allowed.has(Access::AudioSample), allowed.has(Access::VideoSample));
            }
            return if allowed.has(access) { Verdict::Yes } else { Verdict::No(refusal) };
        }
        if self.ask_access(conn, access, name, now) { Verdict::Later } else { Verdict::No(refusal) }
    }

    /// `application.onConnect`, of which the answer comes later.
    fn ask_script_to_join(&mut self, conn: ConnId, now: Millis) -> Verdict {
        // Before the script runs, which may say otherwise.
        self.limit_new(conn);
        let Some(slot) = self.slots.open(conn) else { return Verdict::Later };
        let (app, entered) = (slot.app, slot.instance);
        let Some((app, definition)) = app.and_then(|app| Some((app, self.live.apps.definition(app)?))) else {
            return Verdict::Yes;
        };
        let Some(script) = &definition.script else { return Verdict::Yes };
        let deadline = now + script.limits.pending_ms;
        let entered = match entered {
            Some(index) => Ok(Some(index)),
            None => {
                let Some((_, rtmp)) = self.slots.look_client(conn) else { return Verdict::Later };
                let name = rtmp.session.connect_info().path.instance.clone();
                self.enter_instance(conn, app, &name, now)
            }
        };
        let index = match entered {
            Ok(index) => index,
            Err(refusal) => return Verdict::No(refusal),
        };
        let told = index.is_some_and(|index| self.tell_of_client(conn, index, now));
        let Some((_, rtmp)) = self.slots.open_client(conn) else { return Verdict::Later };
        match rtmp.joining {
            _ if told => rtmp.joining = Joining::Script { deadline },
            Joining::Queued { .. } => self.wait_for_script(conn),
            _ => {
                rtmp.joining = Joining::Queued { deadline: now + self.settings.connect_timeout_ms };
                self.wait_for_script(conn);
            }
        }
        Verdict::Later
    }
}
