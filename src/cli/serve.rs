//! `rill serve`: obtains everything, says what to type, and serves.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Instant;

use log::{info, warn};

use crate::apps::AppName;
use crate::board::format_bytes;
use crate::config::{Config, ControlPlace, HTTP_URL_PORT, Origin};
use crate::live::app::{AppDefinition, AppKind};
use crate::live::applications::AppSource;
use crate::net::disk::Workers;
use crate::net::record_disk::SystemDisk;
use crate::net::tls::{TlsAuthorities, TlsFiles, TlsOffer};
use crate::net::{
    self, ControlSocket, ListenError, Listener, Notify, Outside, Reactor, Signals, addresses, alloc, control_socket,
    logging, open_files, script_check,
};
use crate::server::speaks::Door;
use crate::server::{Server, Start};
use crate::store::recordings::disk::RecordDisk;
use crate::store::{self, AppsDirectory, Machine, Options};
use crate::time::Millis;
use crate::wire::qr::{self, Qr};

use super::arguments::RTMP_PORT;
use super::limits;
use super::output::{complain, say};

/// Serves until it is told to stop.
pub fn serve(options: &Options) -> ExitCode {
    finish(try_serve(options))
}

/// Says whether [`serve`] would start, as far as can be told without taking the ports of a server that runs.
pub fn check(options: &Options) -> ExitCode {
    finish(prepare(options).and_then(|prepared| {
        prepared.skipped.iter().for_each(|line| complain(line));
        let broken = broken(&prepared);
        if broken.is_empty() {
            say(&"the configuration is right");
            return Ok(());
        }
        Err(broken)
    }))
}

fn finish(result: Result<(), Vec<String>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(errors) => {
            errors.iter().for_each(|error| complain(error));
            ExitCode::FAILURE
        }
    }
}

/// All that can be known before anything is obtained.
struct Prepared {
    config: Config,
    apps: Vec<AppName>,
    listen: Vec<SocketAddr>,
    /// Directories that cannot be applications.
    skipped: Vec<String>,
}

fn prepare(options: &Options) -> Result<Prepared, Vec<String>> {
    let mut config = store::configuration(options)?;
    store::complete_admin_key(&mut config).map_err(|error| vec![error])?;
    // Each is valid: the configuration checks them.
    let listen = config.listen.iter().filter_map(|address| address.parse().ok()).collect();
    let mut errors = Vec::new();
    errors.extend(limits::check_budget(&config).and_then(|()| limits::check_system(&config)).err());
    let few = open_files::raise_limit(config.settings.slots()).err();
    errors.extend(few.map(|few| few.describe(config.settings.connections)));
    errors.extend(TlsFiles::open(&config.tls, TlsOffer::default()).err());
    errors.extend(TlsAuthorities::open(config.tls.ca.as_deref(), TlsOffer::default()).err());
    match store::list(&config) {
        Ok((apps, skipped)) if errors.is_empty() => Ok(Prepared { config, apps, listen, skipped }),
        other => {
            errors.extend(other.err());
            Err(errors)
        }
    }
}

/// What is wrong with the applications that there are.
fn broken(prepared: &Prepared) -> Vec<String> {
    let apps = AppsDirectory::new(prepared.config.clone());
    prepared.apps.iter().flat_map(|name| apps.check(name, script_check::problem)).collect()
}

fn try_serve(options: &Options) -> Result<(), Vec<String>> {
    let start = Instant::now();
    let one = |error: &dyn std::fmt::Display| vec![error.to_string()];
    store::wait_for_file(options)?;
    let Prepared { config, apps, listen, skipped } = prepare(options)?;
    let (filter, level_is_fixed) = log_filter(&config);
    logging::set_time_zone(&config.time_zone);
    if config.trust_clock {
        logging::trust_clock();
    }
    logging::set_time(config.log_time);
    logging::start(&filter, start);
    skipped.iter().for_each(|line| warn!("rill {line}"));
    let signals = Signals::install().map_err(|error| one(&error))?;
    let seed = getrandom::u64().map_err(|error| one(&error))?;
    // A port that is busy should be known before memory is obtained, and memory be there before the first client.
    let listeners: Result<Vec<Listener>, _> =
        listen.into_iter().map(|address| net::bind(address, Door::Rtmp, false)).collect();
    let mut listeners = listeners.map_err(|error| one(&error))?;
    let lowest_port = net::first_unprivileged_port();
    for (door, is_secure, places, is_set) in [
        (Door::Http, false, config.http_places(lowest_port), config.http.is_some()),
        (Door::Rtmp, true, config.rtmps_places(), config.tls.listen.is_some()),
        (Door::Http, true, config.https_places(), config.tls.http.is_some()),
    ] {
        listeners.extend(bind_all(&places, door, is_secure, is_set).map_err(|error| one(&error))?);
    }
    let offer = TlsOffer::default();
    let mut certificate = TlsFiles::open(&config.tls, offer.clone()).map_err(|error| one(&error))?;
    let dials = config.settings.tls_dials() > 0;
    let authorities = dials.then(|| TlsAuthorities::open(config.tls.ca.as_deref(), offer.clone())).transpose();
    let mut authorities = authorities.map_err(|error| one(&error))?;
    let machine = Machine {
        fits: limits::check_budget,
        log: follow,
        script: script_check::problem,
        system: "/sys",
        room: |directory| SystemDisk.space(directory),
        certificate: Box::new(move || {
            let now_s = logging::clock_ms().map(|ms| ms / 1000);
            certificate.iter_mut().for_each(|files| files.read_again(now_s));
            authorities.iter_mut().for_each(TlsAuthorities::read_again);
        }),
    };
    let (mut look_ups, mut recorded, mut bulk, mut recordings) =
        store::open(options.clone(), config.clone(), level_is_fixed, machine, SystemDisk);
    let apps = look_ups.definitions(&apps);
    let workers = Workers {
        look_ups: Box::new(move |job| look_ups.work(job)),
        recorded: Box::new(move |job| recorded.work(job)),
        bulk: Box::new(move |job| bulk.work(job)),
        recordings: Box::new(move |job| recordings.work(job)),
    };
    let begin = Start { apps: apps.clone(), source: AppSource::Directories, seed, now: Millis(0) };
    let control = control_socket(&config)?;
    let control_path = control.as_ref().map(|control| control.path().to_owned());
    let mut server = Server::new(config.settings.clone(), begin);
    let outside = Outside { listeners, control, signals, notify: Notify::from_environment(), offer };
    let mut reactor = Reactor::new(&server, outside, workers, start).map_err(|error| one(&error))?;
    reactor.listen().map_err(|error| one(&error))?;
    let at = |wanted, secure| {
        let doors = reactor.doors().filter(move |&(door, is_secure, _)| (door, is_secure) == (wanted, secure));
        doors.map(|(_, _, address)| address)
    };
    let listening: Vec<SocketAddr> = at(Door::Rtmp, false).collect();
    let rtmp = reachable(listening.iter().copied());
    server.announce(rtmp.first().copied());
    server.runs_in(std::process::id());
    server.takes_memory(net::memory_table(&config.settings));
    say(&banner(&config, &apps, &rtmp, &page(&reachable(at(Door::Http, false)), draws_blocks())));
    for address in &listening {
        info!("rill listening addr={address}");
    }
    for address in at(Door::Http, false) {
        info!("rill http addr={address}");
    }
    for address in at(Door::Rtmp, true) {
        info!("rill rtmps addr={address}");
    }
    for address in at(Door::Http, true) {
        info!("rill https addr={address}");
    }
    if let Some(path) = control_path {
        info!("rill control socket={path:?}");
    }
    alloc::seal();
    reactor.run(&mut server).map_err(|error| one(&error))
}

/// Where clients are let in besides. An address that was set must be had; without a usual port the server does its work, too.
fn bind_all(places: &[SocketAddr], door: Door, is_secure: bool, is_set: bool) -> Result<Vec<Listener>, ListenError> {
    let mut listeners = Vec::new();
    for &address in places {
        match net::bind(address, door, is_secure) {
            Ok(listener) if is_set => listeners.push(listener),
            Ok(listener) => listeners.push(listener.optional()),
            Err(error) if is_set => return Err(error),
            Err(error) => warn!("rill {error}: going on without"),
        }
    }
    Ok(listeners)
}

/// The socket of `rill ctl`. One that was asked for must be had; without the usual one the server does its work, too.
fn control_socket(config: &Config) -> Result<Option<ControlSocket>, Vec<String>> {
    let bound = match config.control_place() {
        ControlPlace::None => return Ok(None),
        ControlPlace::At(path) => control_socket::bind(&path),
        ControlPlace::Usual => match control_socket::bind_usual() {
            Some(bound) => bound,
            None => return Ok(None),
        },
    };
    match bound {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if config.control.is_some() => Err(vec![error.to_string()]),
        Err(error) => {
            warn!("rill {error}");
            Ok(None)
        }
    }
}

/// What the log shows: `--log`, else `RUST_LOG`, else the configuration. With it, whether the environment says so.
fn log_filter(config: &Config) -> (String, bool) {
    let typed = config.rows().iter().any(|row| row.key == "server.log" && row.origin == Origin::Set);
    let environment = std::env::var("RUST_LOG").ok().filter(|filter| !typed && !filter.is_empty());
    let is_fixed = environment.is_some();
    (environment.unwrap_or_else(|| config.log.clone()), is_fixed)
}

/// The log follows a configuration that was read while the server runs.
fn follow(config: &Config, level_is_fixed: bool) {
    logging::set_time(config.log_time);
    if !level_is_fixed {
        logging::set_level(&config.log);
    }
}

/// The addresses at which others reach what listens.
fn reachable(listening: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let own = addresses::all();
    let mut reachable: Vec<SocketAddr> = listening.flat_map(|address| addresses::reachable_at(address, &own)).collect();
    reachable.dedup();
    reachable
}

/// Whether standard output is a terminal that shows half blocks. The console of a machine without a desktop does not.
fn draws_blocks() -> bool {
    use std::io::IsTerminal;
    // In the order in which they count (POSIX, section 8.2).
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let is_utf_8 = locale.is_some_and(|locale| locale.to_lowercase().replace('-', "").contains("utf8"));
    let has_blocks = std::env::var("TERM").is_ok_and(|term| term != "linux" && term != "dumb");
    std::io::stdout().is_terminal() && is_utf_8 && has_blocks
}

/// Where the page is, by each of its addresses, and the first of them for phones if `draws`. Empty without HTTP.
fn page(http: &[SocketAddr], draws: bool) -> String {
    let url = |address: SocketAddr| format!("http://{}/", host(address, HTTP_URL_PORT));
    let mut text = String::new();
    for (at, &address) in http.iter().enumerate() {
        // Another port of the same address has nothing else to show.
        if http[..at].iter().any(|before| before.ip() == address.ip()) {
            continue;
        }
        text += &format!("  Page  {}  (what is live, in any browser)\n", url(address));
    }
    let mut room = qr::Room::default();
    if let Some(code) = http.first().filter(|_| draws).and_then(|&address| Qr::new(&url(address), &mut room)) {
        text += &format!("\n{}", code.terminal());
    }
    if text.is_empty() { text } else { text + "\n" }
}

/// What a person needs to know to use the server.
fn banner(config: &Config, apps: &[AppDefinition], reachable: &[SocketAddr], page: &str) -> String {
    let mut text = format!("Rill {} (board {})\n\n{page}", env!("CARGO_PKG_VERSION"), config.board);
    // One example is enough: `live` if it is there.
    let live = || apps.iter().filter(|app| app.kind == AppKind::Live);
    let example = live().find(|app| app.name == "live").or_else(|| live().find(|app| fits_a_url(&app.name)));
    if let Some(app) = example {
        for &address in reachable {
            let server = format!("rtmp://{}/{}", host(address, RTMP_PORT), app.name);
            text += &format!(
                "  OBS   Settings > Stream > Service: Custom   Server: {server}   Stream Key: cam1\n  \
                   Play  {server}/cam1  (VLC: Media > Open Network Stream)\n\n"
            );
        }
    } else if let Some(app) = live().next() {
        text += &format!(
            "  No URL to show: {:?} cannot stand in one; make an application of letters, digits, - . _ and ~\n\n",
            app.name.as_str()
        );
    } else {
        text += "  No URL to show: there is no application to publish to; make another directory, like live\n\n";
    }
    let settings = &config.settings;
    text += &format!(
        "  {} connections, {} streams of {} each; `rill limits` lists every limit\n\n",
        settings.connections,
        settings.streams,
        format_bytes(settings.ring_bytes)
    );
    text + &limits::memory(settings)
}

/// The name is its own spelling in a URL (RFC 3986, section 2.3: the unreserved characters). Clients send the path as it
/// was typed, so escapes would not reach the server as the name that they stand for.
fn fits_a_url(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// How an address is written in a URL, for whose scheme `usual` is the port.
fn host(address: SocketAddr, usual: u16) -> String {
    match address {
        _ if address.port() != usual => address.to_string(),
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{board, config};

    #[test]
    fn the_banner_is_what_has_to_be_typed_and_the_port_only_when_it_is_needed() {
        let config = config::load(board::by_name("generic").unwrap(), None, &[]).unwrap();
        let apps = [AppDefinition::stock(heapless::String::try_from("live").unwrap(), AppKind::Live)];
        let text = banner(&config, &apps, &["10.0.0.5:1935".parse().unwrap(), "[::1]:1936".parse().unwrap()], "");
        assert!(text.contains(
            "  OBS   Settings > Stream > Service: Custom   Server: rtmp://10.0.0.5/live   Stream Key: cam1\n  \
             Play  rtmp://10.0.0.5/live/cam1  (VLC: Media > Open Network Stream)\n"
        ));
        assert!(text.contains("Server: rtmp://[::1]:1936/live   Stream Key: cam1"), "{text}");
        assert!(text.contains("150 connections, 2 streams of 1MiB each"), "{text}");
    }

    #[test]
    fn the_page_is_shown_by_its_addresses_and_drawn_where_that_can_be_seen() {
        let at = |address: &str| address.parse::<SocketAddr>().unwrap();
        let text = page(&[at("10.0.0.5:8080"), at("[fd00::5]:80"), at("[fd00::5]:8080")], false);
        assert_eq!(
            text,
            "  Page  http://10.0.0.5:8080/  (what is live, in any browser)\n  \
             Page  http://[fd00::5]/  (what is live, in any browser)\n\n"
        );
        let drawn = page(&[at("10.0.0.5:8080")], true);
        assert!(drawn.starts_with("  Page  http://10.0.0.5:8080/") && drawn.contains('▀') && drawn.ends_with("\n\n"));
        assert_eq!(page(&[], true), "");
    }

    #[test]
    fn the_example_is_a_url_that_can_be_typed_or_a_line_says_why_there_is_none() {
        let config = config::load(board::by_name("generic").unwrap(), None, &[]).unwrap();
        let shown = |names: &[&str]| {
            let kind = |name: &str| if name == "vod" { AppKind::Vod } else { AppKind::Live };
            let app = |name: &&str| AppDefinition::stock(heapless::String::try_from(*name).unwrap(), kind(name));
            banner(&config, &names.iter().map(app).collect::<Vec<_>>(), &["10.0.0.5:1935".parse().unwrap()], "")
        };
        assert!(shown(&["a", "live"]).contains("Play  rtmp://10.0.0.5/live/cam1 "));
        assert!(shown(&["a b", "odd%", "x-1", "y"]).contains("Play  rtmp://10.0.0.5/x-1/cam1 "));
        for (names, reason) in [
            (&["odd name", "vod"], "No URL to show: \"odd name\" cannot stand in one; make an application of letters"),
            (
                &["vod", "vod"],
                "No URL to show: there is no application to publish to; make another directory, like live",
            ),
        ] {
            let text = shown(names);
            assert!(text.contains(reason) && !text.contains("rtmp://"), "{text}");
        }
    }
}
