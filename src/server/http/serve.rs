//! From a request to the head of its answer.

use core::net::{IpAddr, SocketAddr};

use crate::handles::{ConnId, SlotIndex};
use crate::rtmp::tx::TxBuf;
use crate::server::Server;
use crate::server::close::CloseReason;
use crate::server::peer::Peer;
use crate::server::speaks::Speaks;
use crate::time::Millis;
use crate::wire::http::{HttpRequest, HttpStatus, Method, Upgrade};
use crate::wire::websocket::{self, FrameKind};

use super::answer::{Cache, HttpAnswer, Response};
use super::body::{Content, NextPiece, Pieces};
use super::carrier::say_whole;
use super::hook_pass::HookPass;
use super::{HttpPhase, head, mp4, routes};

impl Server {
    /// Answers the request of a connection, or puts it off.
    pub(in crate::server) fn answer_http(&mut self, conn: ConnId, now: Millis) {
        let Some((_, Speaks::Http(http))) = self.slots.open_both(conn) else { return };
        if let HttpPhase::Asked = http.phase
            && !self.ask_for_another(conn, now)
        {
            let words = "too many connections from this address (limits.connections_per_address)";
            return self.respond(conn, Response::error(HttpStatus::TooManyRequests, words).closing(), now);
        }
        let Some((_, Speaks::Http(http))) = self.slots.open_both(conn) else { return };
        let since = match http.phase {
            HttpPhase::Asked => now,
            HttpPhase::Parked(since) => since,
            _ => return,
        };
        // Out of the slot, because a route may touch any connection.
        let mut request = http.request.clone();
        request.waited_ms = now.since(since);
        let answer = match routes::of(&request.path) {
            Some(route) if route.is_own && !is_own_host(&request.host, &self.settings.web_hosts) => {
                HttpAnswer::Now(Response::error(
                    HttpStatus::MisdirectedRequest,
                    "this server does not know that it is called so (web.hosts)",
                ))
            }
            Some(route) => match route.function(request.method) {
                Some(function) => match self.is_admitted(conn, route.access, &request, now) {
                    Ok(is_admin) => {
                        request.is_admin = is_admin;
                        if let Some((_, Speaks::Http(http))) = self.slots.open_both(conn) {
                            http.request.is_admin = is_admin;
                        }
                        function(self, conn, &request, now)
                    }
                    Err(response) => HttpAnswer::Now(response),
                },
                None => HttpAnswer::Now(other_method(route, &request)),
            },
            None if request.method == Method::Options => HttpAnswer::Now(Response::new(HttpStatus::NoContent, "")),
            None => HttpAnswer::Now(Response::error(HttpStatus::NotFound, "there is nothing of that name")),
        };
        match answer {
            HttpAnswer::Now(response) => self.respond(conn, response, now),
            HttpAnswer::Park => {
                if let Some((_, Speaks::Http(http))) = self.slots.open_both(conn) {
                    // It is the route that gives up.
                    (http.phase, http.deadline) = (HttpPhase::Parked(since), None);
                }
            }
        }
    }

    /// A proxy that is trusted says whom it asks for: by that address rules and limits go. False when that one has too many connections.
    fn ask_for_another(&mut self, conn: ConnId, now: Millis) -> bool {
        let proxies = &self.settings.web_proxies;
        let Some((slot, Speaks::Http(http))) = self.slots.open_both(conn) else { return true };
        let proxy = http.proxy.unwrap_or(slot.peer);
        if !proxies.contains(proxy.ip()) {
            return true;
        }
        let client = http.request.client(|address| proxies.contains(address));
        let peer = client.map_or(proxy, |address| Peer::Ip(SocketAddr::new(address, 0)));
        http.proxy = Some(proxy);
        if slot.peer == peer {
            return true;
        }
        (slot.peer, http.hooks) = (peer, HookPass::default());
        self.slots.move_house(conn.slot);
        // Whoever was asked for before is not who asks now.
        self.leave_instance(conn, now);
        let limit = self.settings.connections_per_address(peer.ip()).filter(|_| peer != proxy);
        limit.is_none_or(|limit| self.slots.from_address(peer.ip()) <= limit)
    }

    /// Begins an answer.
    pub(super) fn respond(&mut self, conn: ConnId, mut response: Response, now: Millis) {
        let stopping = self.life.stopping;
        let Some((slot, Speaks::Http(http))) = self.slots.open_both(conn) else { return };
        if let Cache::Tag(tag) = response.cache
            && response.status == HttpStatus::Ok
            && http.request.has_copy_of(tag)
        {
            response.status = HttpStatus::NotModified;
        }
        if let Upgrade::WebSocket(key) = &http.request.upgrade
            && response.accept.is_none()
            && routes::of(&http.request.path).is_some_and(|route| route.is_watched)
        {
            refuse_websocket(&http.request.path, key, &response, &mut slot.tx);
            http.phase = HttpPhase::Over;
            self.counters.http_requests += 1;
            return self.close_after_flush(conn, CloseReason::Answered, now);
        }
        let (is_chunked, closes) = head::write(&mut slot.tx, &response, &http.request, http.closes || stopping);
        http.closes = closes;
        let is_upgraded = response.accept.is_some();
        let has_body = !http.is_head() && !matches!(response.status, HttpStatus::NotModified | HttpStatus::NoContent);
        let body = if has_body { response.body } else { Content::Empty };
        let is_chunked = is_chunked && has_body;
        let is_endless = body.is_endless();
        http.send(body, is_chunked && !is_upgraded, now);
        self.counters.http_requests += 1;
        self.wakes.send(conn.slot);
        if is_endless {
            // What it said meanwhile is heard, and so is its end.
            self.unblock(conn);
        }
        self.leave_application(conn);
    }

    /// Requests that wait are asked again: somebody knows more.
    pub(in crate::server) fn wake_parked(&mut self, now: Millis) {
        let mut from = 0;
        while let Some(index) = self.slots.next_taken(from) {
            from = index.at() + 1;
            let Some(http) = self.slots.both(index).1.http_mut() else { continue };
            if matches!(http.phase, HttpPhase::Parked(_)) {
                self.answer_http(self.slots.id(index), now);
            } else if http.lists_recordings() {
                http.list_goes_on();
                self.wakes.send(index);
            }
        }
    }

    /// What a sweep of the deadlines has to do for an open connection whose deadline has not passed.
    pub(in crate::server) fn sweep_http(&mut self, index: SlotIndex, now: Millis) {
        let (_, Speaks::Http(http)) = self.slots.peek_both(index) else { return };
        match &http.phase {
            HttpPhase::Parked(_) => self.answer_http(self.slots.id(index), now),
            HttpPhase::Sending(sending) => {
                if matches!(&sending.body, Content::Pieces(Pieces { next: NextPiece::At(at), .. }) if *at <= now) {
                    self.wakes.send(index);
                }
            }
            HttpPhase::Head | HttpPhase::Body(_) | HttpPhase::Asked | HttpPhase::Over => {}
        }
    }

    /// A deadline of the connection has passed.
    pub(in crate::server) fn too_late(&mut self, conn: ConnId, now: Millis) {
        let Some((slot, Speaks::Http(http))) = self.slots.open_both(conn) else { return };
        match &http.phase {
            HttpPhase::Head if http.buffer.is_empty() => self.close_after_flush(conn, CloseReason::NoRequest, now),
            HttpPhase::Head | HttpPhase::Body(_) => {
                http.end_with(HttpStatus::RequestTimeout, "the request was not whole in time", &mut slot.tx);
                self.close_after_flush(conn, CloseReason::RequestTimeout, now);
            }
            HttpPhase::Asked | HttpPhase::Parked(_) | HttpPhase::Sending(_) | HttpPhase::Over => {
                self.close_after_flush(conn, CloseReason::SlowReader, now);
            }
        }
    }

    /// Its client has closed its side: whether it is yet to hear the end of an answer.
    pub(in crate::server) fn still_listens(&mut self, conn: ConnId) -> bool {
        match self.slots.open_both(conn) {
            Some((_, Speaks::Http(http))) => http.half_close(),
            _ => false,
        }
    }
}

/// Refuses what is asked over a WebSocket. A script in a browser is not told the status of an upgrade that failed: so it does not fail,
/// and the status stands in the code by which it is closed, 4000 above. As fMP4 a text frame says it before.
fn refuse_websocket(path: &str, key: &str, response: &Response, tx: &mut TxBuf) {
    let upgraded = Response { accept: Some(websocket::accept(key)), ..Response::new(response.status, "") };
    head::write(tx, &upgraded, &HttpRequest::default(), true);
    let words = match &response.body {
        Content::Text(text) => text.trim_end(),
        _ => response.status.reason(),
    };
    // An empty buffer has room for all of it.
    if path.ends_with(".mp4") {
        let _ = mp4::say_error(response.status.code(), words, tx);
    }
    let mut reason = heapless::Vec::<u8, { websocket::CONTROL_BYTES }>::new();
    let _ = reason.extend_from_slice(&(4000 + response.status.code()).to_be_bytes());
    let room = reason.capacity() - reason.len();
    let _ = reason.extend_from_slice(&words.as_bytes()[..words.floor_char_boundary(room)]);
    let _ = say_whole(FrameKind::Close, &reason, tx);
}

/// What is answered to a method for which a route has no function.
fn other_method(route: &routes::Route, request: &HttpRequest) -> Response {
    let response = match request.method {
        Method::Options => Response::new(HttpStatus::NoContent, ""),
        _ => Response::error(HttpStatus::MethodNotAllowed, "that cannot be done with it"),
    };
    Response { allow: route.allow, is_public: route.is_public, ..response }
}

/// Whether a request asks this server, by its own name. What leads here by a name of the whole world's may be another's page, which is
/// to have nothing (DNS rebinding); an address and a name of the local network lead nobody astray.
fn is_own_host(host: &str, names: &[String]) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_local = name.rsplit_once('.').is_none_or(|(_, last)| last.eq_ignore_ascii_case("local"));
    is_local || name.parse::<IpAddr>().is_ok() || names.iter().any(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::is_own_host;

    #[test]
    fn addresses_local_names_and_those_that_were_set_are_ones_own() {
        let names = ["tv.example".to_owned()];
        for host in
            ["10.0.0.5", "10.0.0.5:8080", "[::1]:80", "[fe80::1]", "localhost:8080", "rill.local", "Rill-2.LOCAL.:80"]
                .into_iter()
                .chain(["TV.example:80", "tv.example", "rill", ""])
        {
            assert!(is_own_host(host, &names), "{host}");
        }
        for host in
            ["evil.example", "tv.example.evil.example:80", "10.0.0.5.evil.example", "local.evil", "a.tv.example"]
        {
            assert!(!is_own_host(host, &names), "{host}");
        }
    }
}
