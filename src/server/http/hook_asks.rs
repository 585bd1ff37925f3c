//! What an application's hooks have to say of a client over HTTP: whether it may join, once a connection, and whether it may play, once a
//! stream. Its request is parked until that has been said.

use core::fmt::Write;

use crate::handles::ConnId;
use crate::live::gate::Verdict;
use crate::live::hook_settings::HookEvent;
use crate::live::refusal::Refusal;
use crate::name::StreamPath;
use crate::server::Server;
use crate::server::hls_viewers::WhoWatches;
use crate::server::hook_said::HookSaid;
use crate::server::speaks::Speaks;
use crate::time::Millis;
use crate::wire::http::{HttpRequest, HttpStatus};

use super::answer::Location;
use super::watch::{Purpose, SeenStream};

/// What a hook is asked of who watches, in this order.
const ASKED: [HookEvent; 2] = [HookEvent::Connect, HookEvent::Play];

impl Server {
    /// The last link of the gate, for a client that wants a stream.
    pub(super) fn ask_hook_for_guest(
        &mut self,
        conn: ConnId,
        request: &HttpRequest,
        seen: &SeenStream,
        purpose: Purpose,
        now: Millis,
    ) -> Verdict {
        let SeenStream { app, path } = seen;
        for event in ASKED {
            let Some(deadline) = self.question_deadline(*app, event, now) else { continue };
            let is_viewer = purpose == Purpose::WatchInParts && self.is_hls_viewer(conn, request, seen);
            let Some((_, Speaks::Http(http))) = self.slots.open_both(conn) else { return Verdict::Later };
            if is_viewer || http.hooks.has(event, *app, path) {
                continue;
            }
            match http.hooks.take(event, *app, path) {
                Some(HookSaid::Yes) => continue,
                Some(said) => return said.verdict(),
                None if http.hooks.asks(event, *app, path) => return Verdict::Later,
                // A picture is for who watches, and is no reason to ask.
                None if purpose == Purpose::Look => return Verdict::No(Refusal::Hook),
                None => {}
            }
            let Some(number) = self.features.hooks.ask(conn, *app, event, deadline) else {
                match self.without_answer(*app).verdict() {
                    Verdict::Yes => continue,
                    verdict => return verdict,
                }
            };
            http.hooks.ask((event, number), *app, path);
            return Verdict::Later;
        }
        Verdict::Yes
    }

    /// It is known as a viewer of the stream, and was let in as one.
    fn is_hls_viewer(&self, conn: ConnId, request: &HttpRequest, seen: &SeenStream) -> bool {
        let found = self.live.names.find(seen.app, &seen.path).zip(self.slots.look(conn));
        found.is_some_and(|(stream, slot)| {
            self.slots.hls.look(&WhoWatches { stream, peer: slot.peer, agent: &request.agent }).is_some()
        })
    }

    /// The hook has said something to a client's question, or has it go elsewhere.
    pub(in crate::server) fn guest_hooked(
        &mut self,
        conn: ConnId,
        number: u32,
        said: HookSaid,
        instead: Option<&str>,
        now: Millis,
    ) {
        let Some((_, Speaks::Http(http))) = self.slots.open_both(conn) else { return };
        let Some((event, _)) = http.hooks.asked.filter(|(_, asked)| *asked == number) else { return };
        // Who joins has no other name.
        let instead = instead.filter(|instead| event != HookEvent::Connect || instead.contains("://"));
        let to = instead.and_then(|instead| elsewhere(&http.request, &http.hooks.path, instead));
        if let Some(to) = to {
            http.hooks = Default::default();
            return self.turn_away(conn, HttpStatus::Found, "the application's hook sent it elsewhere", Some(to), now);
        }
        http.hooks.said = Some(said);
        self.answer_http(conn, now);
    }
}

/// Where a client goes that a hook sends elsewhere: to a URL, or where it asked, with another name of the stream.
fn elsewhere(request: &HttpRequest, path: &StreamPath, instead: &str) -> Option<Location> {
    if instead.contains("://") {
        return Location::parse(instead);
    }
    let (before, behind) = request.path.split_once(path.as_str()).filter(|_| !path.as_str().is_empty())?;
    let mut to = heapless::String::<512>::new();
    let query = request.raw_query();
    let mark = if query.is_empty() { "" } else { "?" };
    write!(to, "{before}{}{behind}{mark}{query}", instead.trim_matches('/')).ok()?;
    Location::parse(&to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::DEFAULT_INSTANCE;

    #[test]
    fn another_name_is_another_url_of_the_same_kind() {
        let path = StreamPath::new(DEFAULT_INSTANCE, "cam", false).unwrap();
        let to = |url: &str, instead: &str| {
            let head = format!("GET {url} HTTP/1.1\r\nHost: h\r\n\r\n");
            let request = HttpRequest::parse(head.as_bytes()).unwrap();
            elsewhere(&request, &path, instead).map(|to| to.as_str().to_owned())
        };
        assert_eq!(to("/live/cam.flv?token=1", "other").as_deref(), Some("/live/other.flv?token=1"));
        assert_eq!(to("/live/cam/hls/index.m3u8", "hall/x").as_deref(), Some("/live/hall/x/hls/index.m3u8"));
        assert_eq!(to("/live/cam.flv", "https://cdn.example/x.m3u8").as_deref(), Some("https://cdn.example/x.m3u8"));
        for none in ["rtmp://127.0.0.1/x", "with space", "a\r\nb"] {
            assert_eq!(to("/live/cam.flv", none), None, "{none}");
        }
        assert_eq!(to("/live/else.flv", "other"), None);
    }
}
