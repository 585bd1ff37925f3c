//! `/control/...`: what programs made for nginx-rtmp's control module ask. They ask with GET, so the key has to come with it.

use core::net::IpAddr;

use log::info;

use crate::handles::ConnId;
use crate::limits::{APP_NAME_BYTES, PATH_BYTES};
use crate::server::Server;
use crate::server::inspect::{Activity, ClientRow};
use crate::text::Quoted;
use crate::time::Millis;
use crate::wire::http::{HttpRequest, HttpStatus};

use super::answer::{HttpAnswer, Response};
use super::body::Content;

/// Bytes of a client's id in a query.
const ID_BYTES: usize = 32;

pub(super) fn control(server: &mut Server, conn: ConnId, request: &HttpRequest, now: Millis) -> HttpAnswer {
    let command = request.path.strip_prefix("/control/").unwrap_or_default();
    let (section, what) = command.split_once('/').unwrap_or_default();
    let Some(app) = request.query::<APP_NAME_BYTES>("app") else {
        return answer(HttpStatus::BadRequest, "?app= has to name an application");
    };
    let name = request.query::<PATH_BYTES>("name");
    match (section, what, name) {
        ("record", "start" | "stop", Some(name)) => {
            match server.record_for(conn, (&app, &name), what == "start", now) {
                Ok(()) => answer(HttpStatus::Ok, format_args!("{app}/{name}")),
                Err(words) => answer(HttpStatus::NotFound, words),
            }
        }
        ("record", "start" | "stop", None) => answer(HttpStatus::BadRequest, "?name= has to name a stream"),
        ("drop", "publisher" | "subscriber" | "client", name) => {
            let Some(only) = Dropped::of(request, what) else {
                return answer(HttpStatus::BadRequest, "?addr= has to be an address, and ?clientid= an id of /stat");
            };
            let count = server.drop_clients(&app, name.as_deref(), &only, now);
            info!("{conn} admin request=\"drop {what}\" app={} clients={count}", Quoted(&app));
            answer(HttpStatus::Ok, count)
        }
        ("redirect", ..) => {
            let words =
                "a client that plays or publishes cannot be sent to another name: drop it, and have it come back";
            answer(HttpStatus::NotImplemented, words)
        }
        _ => answer(
            HttpStatus::NotFound,
            "there are /control/record/{start,stop} and /control/drop/{publisher,subscriber,client}",
        ),
    }
}

fn answer(status: HttpStatus, words: impl core::fmt::Display) -> HttpAnswer {
    HttpAnswer::Now(Response::new(status, "text/plain; charset=utf-8").with(Content::text(format_args!("{words}\n"))))
}

/// Which clients of a stream are meant.
struct Dropped {
    publishers: bool,
    players: bool,
    address: Option<IpAddr>,
    id: Option<heapless::String<ID_BYTES>>,
}

impl Dropped {
    /// `None` for a wrong address or id: more than was meant would be dropped.
    fn of(request: &HttpRequest, what: &str) -> Option<Dropped> {
        let has = |name: &str| request.raw_query().split('&').any(|pair| pair.starts_with(name));
        let address = match request.query::<ID_BYTES>("addr") {
            Some(text) => Some(text.parse().ok()?),
            None if has("addr=") => return None,
            None => None,
        };
        let id = request.query("clientid");
        if id.is_none() && has("clientid=") {
            return None;
        }
        Some(Dropped { publishers: what != "subscriber", players: what != "publisher", address, id })
    }

    fn is(&self, row: &ClientRow<'_>) -> bool {
        let does = match row.activity {
            Activity::Publishes => self.publishers,
            Activity::Plays => self.players,
            _ => false,
        };
        let is_its_id = |id: &heapless::String<ID_BYTES>| id.parse() == Ok(row.id) || id.parse() == Ok(row.id.number());
        does && self.address.is_none_or(|address| row.peer.ip() == address.to_canonical())
            && self.id.as_ref().is_none_or(is_its_id)
    }
}

impl Server {
    /// Ends the connections of clients of a stream, or of all streams of an application, and says how many they were.
    fn drop_clients(&mut self, app: &str, name: Option<&str>, only: &Dropped, now: Millis) -> usize {
        let (mut from, mut count) = (0, 0);
        while let Some(row) = self.next_client(from, now) {
            from = row.id.slot.at() + 1;
            let is_it = row.app == app
                && row.stream.is_some_and(|(_, path)| name.is_none_or(|name| path == name))
                && only.is(&row);
            let id = row.id;
            count += usize::from(is_it && self.disconnect(id, now));
        }
        count
    }
}
