//! Encoders that log in, three connections each, and those that only seem to.

use std::net::IpAddr;

use rill::live::app::{AppDefinition, AppKind};
use rill::live::users::{LogInRules, LogInWay, User, Users};
use rill::rtmp::authmod::{AuthDemand, adobe_hash, llnw_hash};
use rill::server::close::{CloseReason, Rejection};

use crate::http::is_empty;
use crate::sim::ledger::Kind::{Inter, Key};
use crate::sim::world::{World, scripted, settings};

const HERE: [u8; 4] = [10, 0, 0, 77];

fn users() -> Users {
    let mut users = Users::default();
    let salt = "c2FsdA==";
    for (name, password) in [("cam", "s3cret"), ("hall", "0p3n")] {
        let llnw = llnw_hash(name, password);
        assert!(users.put(User::new(name, salt, &adobe_hash(name, salt, password), &llnw).unwrap()));
    }
    assert!(users.put(User::new("old", salt, &adobe_hash("old", salt, "0ld"), "").unwrap()));
    users
}

fn with_users(app: AppDefinition, way: LogInWay) -> AppDefinition {
    AppDefinition { log_in: LogInRules { way, file: None, users: Some(users()) }, ..app }
}

fn app(name: &str) -> AppDefinition {
    AppDefinition::stock(heapless::String::try_from(name).unwrap(), AppKind::Live)
}

fn world(way: LogInWay) -> World {
    World::fixed(settings(), vec![with_users(app("live"), way), with_users(app("other"), way), app("open")], 1)
}

/// Connects as encoders do, with this query. What it was refused with; empty when it was not.
fn connect(world: &mut World, from: [u8; 4], app: &str) -> (usize, String) {
    let c = world.dial_from(IpAddr::from(from));
    world.clients[c].handshake();
    let instance = app.split('?').next().and_then(|path| path.split_once('/'));
    world.clients[c].instance = instance.map_or_else(String::new, |(_, instance)| format!("{instance}/"));
    let app = app.to_owned();
    world.clients[c].command(0, "connect", |amf| {
        amf.object_begin().unwrap();
        amf.property_string("app", &app).unwrap();
        amf.property_string("type", "nonprivate").unwrap();
        amf.property_string("flashVer", "FMLE/3.0 (compatible; simulation)").unwrap();
        amf.object_end().unwrap();
    });
    world.settle();
    let refused = std::mem::take(&mut world.clients[c].description);
    (c, if world.clients[c].connected { String::new() } else { refused })
}

/// Logs in as encoders do. Whether it may join, and what it was asked.
fn log_in(world: &mut World, app: &str, user: &str, password: &str) -> (Option<usize>, Vec<String>) {
    let (mut said, mut query) = (Vec::new(), String::new());
    for _ in 0..3 {
        let (c, refused) = connect(world, HERE, &format!("{app}{query}"));
        if refused.is_empty() {
            return (Some(c), said);
        }
        said.push(refused.clone());
        let demand = AuthDemand::parse(&refused).unwrap_or_else(|| panic!("{refused}"));
        if demand == AuthDemand::Failed {
            break;
        }
        query = "?".to_owned();
        demand.answer(user, password, app, 0xC0_FFEE, &mut query).unwrap();
    }
    (None, said)
}

#[test]
fn an_encoder_logs_in_by_three_connections_and_publishes() {
    for (way, name) in [(LogInWay::Adobe, "adobe"), (LogInWay::Llnw, "llnw")] {
        for app in ["live", "live/hall"] {
            let mut world = world(way);
            let (c, said) = log_in(&mut world, app, "cam", "s3cret");
            assert_eq!(said[0], format!("[ AccessManager.Reject ] : [ code=403 need auth; authmod={name} ] : "));
            assert!(
                said[1].starts_with(&format!(
                    "[ AccessManager.Reject ] : [ authmod={name} ] : ?reason=needauth&user=cam&"
                ))
            );
            assert_eq!((said.len(), world.closed(CloseReason::Rejected(Rejection::LogIn))), (2, 2));
            let c = c.unwrap();
            world.clients[c].create_stream();
            world.clients[c].publish(1, "door");
            world.settle();
            world.send_start(c);
            let player = world.player_at(app, "door");
            world.send_all(c, 200, &[Key, Inter]);
            assert!(world.clients[player].media_bytes > 0, "who plays needs no user");
            world.hang_up(c);
            world.hang_up(player);
            world.settle();
            is_empty(&mut world);
        }
    }
}

#[test]
fn whoever_is_not_that_user_hears_the_same_whatever_is_wrong() {
    for (way, name) in [(LogInWay::Adobe, "adobe"), (LogInWay::Llnw, "llnw")] {
        let mut world = world(way);
        for (user, password) in [("cam", "wrong"), ("cam", ""), ("hall", "s3cret"), ("nobody", "s3cret")] {
            let (c, said) = log_in(&mut world, "live", user, password);
            assert_eq!((c, said.len()), (None, 3), "{user} {password}");
            assert_eq!(said[2], format!("[ AccessManager.Reject ] : [ authmod={name} ] : ?reason=authfailed"));
        }
    }
    let mut world = world(LogInWay::Llnw);
    assert_eq!(log_in(&mut world, "live", "old", "0ld").0, None, "it has no hash for that way");
    // The way that is asked for is not the only one.
    let (_, asked) = connect(&mut world, HERE, "live?authmod=adobe&user=old");
    let mut query = "live?".to_owned();
    AuthDemand::parse(&asked).unwrap().answer("old", "0ld", "live", 1, &mut query).unwrap();
    assert_eq!(connect(&mut world, HERE, &query).1, "");
}

#[test]
fn whether_a_user_exists_is_not_told_by_what_it_is_asked() {
    let mut world = world(LogInWay::Adobe);
    let mut ask = |user: &str| {
        let (_, asked) = connect(&mut world, HERE, &format!("live?authmod=adobe&user={user}"));
        let field =
            |name: &str| asked.split(&format!("&{name}=")).nth(1).unwrap().split('&').next().unwrap().to_owned();
        assert_eq!(field("challenge"), field("opaque"));
        (field("salt"), field("challenge"), asked.len() - user.len())
    };
    let (known, nobody, again) = (ask("cam"), ask("nobody"), ask("nobody"));
    assert_eq!((known.0.len(), known.2), (nobody.0.len(), nobody.2));
    assert_eq!(nobody.0, again.0, "its salt is its own");
    assert_ne!(nobody.1, again.1);
    for no_user in ["", "a b", "%63am", "c\u{e4}m"] {
        let (_, refused) = connect(&mut world, HERE, &format!("live?authmod=adobe&user={no_user}"));
        assert!(refused.ends_with("?reason=authfailed"), "{no_user}: {refused}");
        world.advance(61_000);
    }
}

#[test]
fn a_challenge_is_for_one_answer_of_its_user_in_its_application_within_a_minute() {
    let mut world = world(LogInWay::Adobe);
    let answer = |world: &mut World, app: &str| {
        let (_, asked) = connect(world, HERE, &format!("{app}?authmod=adobe&user=cam"));
        let mut query = String::new();
        AuthDemand::parse(&asked).unwrap().answer("cam", "s3cret", app, 2, &mut query).unwrap();
        query
    };
    let first = answer(&mut world, "live");
    assert_eq!(connect(&mut world, HERE, &format!("live?{first}")).1, "");
    let failed = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed";
    assert_eq!(connect(&mut world, HERE, &format!("live?{first}")).1, failed, "it was answered");
    let second = answer(&mut world, "live");
    assert_eq!(connect(&mut world, HERE, &format!("other?{second}")).1, failed, "it was another application's");
    let third = answer(&mut world, "live").replace("user=cam", "user=hall");
    assert_eq!(connect(&mut world, HERE, &format!("live?{third}")).1, failed, "it was another user's");
    let fourth = answer(&mut world, "live");
    world.advance(60_000);
    assert_eq!(connect(&mut world, HERE, &format!("live?{fourth}")).1, failed, "it is too old");
    let fifth = answer(&mut world, "live");
    let (name, _) = fifth.split_once("&opaque").unwrap();
    assert_eq!(connect(&mut world, HERE, &format!("live?{name}")).1, failed, "it names no challenge");
}

#[test]
fn an_address_that_guesses_waits_a_minute_even_with_the_right_password_and_others_do_not() {
    let mut world = world(LogInWay::Adobe);
    for _ in 0..5 {
        assert_eq!(log_in(&mut world, "live", "cam", "guess").0, None);
    }
    let (c, said) = log_in(&mut world, "live", "cam", "s3cret");
    assert_eq!((c, said.len()), (None, 2), "it is sent no challenge: {said:?}");
    let (_, asked) = connect(&mut world, [10, 0, 0, 78], "live?authmod=adobe&user=cam");
    assert!(asked.contains("needauth"));
    world.advance(60_000);
    assert!(log_in(&mut world, "live", "cam", "s3cret").0.is_some());
}

#[test]
fn only_encoders_are_asked_and_whoever_publishes_all_the_same_is_refused_then() {
    let mut world = world(LogInWay::Adobe);
    let publisher = world.publisher("cam");
    assert_eq!(world.closed(CloseReason::Rejected(Rejection::LogIn)), 0);
    assert!(
        world.clients[publisher].log.iter().any(|line| line.contains("Publish.BadName")),
        "{:?}",
        world.clients[publisher].log
    );
    assert!(world.clients[publisher].description.contains("needs a user"), "{}", world.clients[publisher].description);
    let open = connect(&mut world, HERE, "open?authmod=adobe&user=cam");
    assert_eq!(open.1, "", "an application without users asks nobody");
    assert_eq!(
        connect(&mut world, HERE, "live?authmod=adobe&user=cam&response=x").1.split('?').nth(1),
        Some("reason=authfailed")
    );
}

#[test]
fn a_script_hears_of_who_has_logged_in_and_of_nobody_else() {
    let text = "heard = 0; application.onConnect = function () { heard++; return heard < 2; };";
    let app = with_users(scripted("live", text), LogInWay::Adobe);
    let mut world = World::fixed(settings(), vec![app], 1);
    assert_eq!(log_in(&mut world, "live", "cam", "guess").0, None);
    assert!(log_in(&mut world, "live", "cam", "s3cret").0.is_some(), "it is the first");
    let (_, refused) = connect(&mut world, HERE, "live?authmod=adobe&user=cam");
    assert!(refused.contains("needauth"), "{refused}");
}
