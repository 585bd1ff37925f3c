//! `app.toml`: its keys ([`KEYS`]), and what they say as the definition of an application.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde_json::Value as Json;
use toml::de::DeValue;

use crate::board::{format_bytes, integer, parse_bytes};
use crate::config::hooks::{self, hook_key};
use crate::config::keys::{CustomValue, Key, KeyType, Reading, Table, TakesEffect, Wrong, within};
use crate::config::record;
use crate::config::{
    BANDWIDTH_BYTES_S, BANDWIDTH_DATA, BANDWIDTH_KBIT, BANDWIDTH_WAIT_MS, IDLE_MS, RECORDED_LEAD_MS, RecordedPlaces,
    SCRIPT_CALL_MS, SCRIPT_IDLE_MS, SCRIPT_LOAD_MS, SCRIPT_MEMORY, SCRIPT_PENDING_MS, SCRIPT_RETRY_MS, SCRIPT_STACK,
    UNPUBLISH_GRACE_MS,
};
use crate::limits::ADDRESS_RULES;
use crate::live::app::{
    AddressList, AddressListError, AppDefinition, AppKind, AppLimits, InstanceStreams, KeyError, Rules, ScriptLimits,
};
use crate::live::hook_settings::{HookEvent, HookSettings};
use crate::live::links::LinkRules;
use crate::live::programme_settings::ProgrammeSettings;
use crate::live::record_settings::RecordSettings;
use crate::live::relay_settings::RelaySettings;
use crate::live::users::{LogInRules, LogInWay};

use super::{programme, relay};

/// What an `app.toml` says, while it is read.
struct AppFile {
    kind: AppKind,
    instances: Option<InstanceStreams>,
    rules: Rules,
    limits: AppLimits,
    recorded: RecordedPlaces,
    record: RecordSettings,
    programmes: Vec<ProgrammeSettings>,
    relays: RelaySettings,
    links: LinkRules,
    log_in: LogInRules,
    hooks: HookSettings,
    scripts: ScriptLimits,
    /// What the server's memory table has for a script.
    most: ScriptLimits,
    config: serde_json::Map<String, Json>,
}

/// Lays an `app.toml` (its name and text) over what holds without it. `scripts` is what the configuration gives, and the
/// most memory that the application may have.
///
/// # Errors
///
/// Every unknown key, wrong type and value out of range, in the order they were written.
pub fn parse(
    name: &str,
    text: &str,
    definition: AppDefinition,
    scripts: ScriptLimits,
) -> Result<(AppDefinition, ScriptLimits, RecordedPlaces), Vec<String>> {
    let file = AppFile {
        kind: definition.kind,
        instances: definition.instances,
        rules: Rules::default(),
        limits: definition.limits,
        recorded: RecordedPlaces::default(),
        record: definition.record.clone(),
        programmes: Vec::new(),
        relays: RelaySettings::default(),
        links: definition.links.clone(),
        log_in: LogInRules::default(),
        hooks: definition.hooks.clone(),
        scripts,
        most: scripts,
        config: serde_json::Map::new(),
    };
    let mut reading = Reading::new(file, &KEYS, "`rill limits` lists them all").discreet();
    reading.file(name, text);
    let (file, _) =
        reading.finish().map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<String>>())?;
    let AppFile {
        kind,
        instances,
        rules,
        limits,
        recorded,
        record,
        programmes,
        relays,
        links,
        log_in,
        hooks,
        scripts,
        config,
        ..
    } = file;
    let config_json = Json::Object(config).to_string();
    let definition = AppDefinition {
        kind,
        instances,
        rules,
        limits,
        record,
        programmes,
        relays,
        links,
        log_in,
        hooks,
        config_json,
        ..definition
    };
    Ok((definition, scripts, recorded))
}

/// Every key of an `app.toml`. Those that the server's own configuration has, too, mean the same and have its values
/// where they are left out.
#[rustfmt::skip]
const KEYS: [Key<AppFile>; 61] = [
    key("kind", "what it is for", KIND),
    key("instances", "joined: one URL is one stream, wherever a client cuts it; apart: each instance has its own (the default with a script)", INSTANCES),

    key("connect.addresses", "who may connect; the first rule that matches decides, none lets through", addresses(|app, value| { app.rules.set_connect(address_list(value)?); Ok(()) })),
    key("publish.addresses", "who may publish", addresses(|app, value| { app.rules.set_publish(address_list(value)?); Ok(()) })),
    key("publish.users", "file of the users who may publish, in place of users beside this one, which `rill user` writes", USERS_FILE),
    key("publish.authmod", "how encoders are asked to log in, where there are users", AUTHMOD),
    key("publish.signed", "nothing is published without a key or a signed link", KeyType::Switch(|app| &mut app.links.publish)),
    key("play.signed", "nothing is played without a key or a signed link", KeyType::Switch(|app| &mut app.links.play)),
    key("play.addresses", "who may play", addresses(|app, value| { app.rules.set_play(address_list(value)?); Ok(()) })),
    key("play.key", "key that players need: NAME?key=KEY", PLAY_KEY),
    key("keys", "stream names with the keys that they are published with: KEY, or NAME?key=KEY", STREAM_KEYS),

    key("limits.connections", "connections at once; 0 is no limit but the server's", KeyType::Count(|app| &mut app.limits.connections, COUNT)),
    key("limits.publishers", "publishers at once; 0 is no limit but the server's", KeyType::Count(|app| &mut app.limits.publishers, COUNT)),
    key("limits.players", "players at once; 0 is no limit but the server's", KeyType::Count(|app| &mut app.limits.players, COUNT)),
    key("live.unpublish_grace_ms", "time until players are told that the publisher left, if it is not back by then", UNPUBLISH_GRACE),
    key("vod.directory", "directory with its films, in place of media/", VOD_DIRECTORY),
    key("vod.virtual", "more directories with films, each with the name under which they are played", VOD_VIRTUAL),
    key("vod.lead_ms", "the most that a recorded stream is sent ahead of its time", RECORDED_LEAD),
    key("record.on", "streams that are recorded without being asked for", value(|app, value| record::read_on(&mut app.record, value), record::allowed_on, false)),
    key("record.container", "files that are recorded; what MP4 cannot carry is recorded as FLV", value(|app, value| record::read_container(&mut app.record, value), record::allowed_container, false)),
    key("record.dvr", "who plays a live stream from a start of 0 is sent its recording from the beginning, and follows it", KeyType::Switch(|app| &mut app.record.dvr)),
    key("record.segment_s", "length of a file in seconds; it ends at the next key frame", KeyType::Count(|app| &mut app.record.segment_s, record::SEGMENT_S)),
    key("record.max_segment_bytes", "largest file", KeyType::Bytes(|app| &mut app.record.max_segment_bytes, record::SEGMENT_BYTES)),
    key("record.join_ms", "a publisher who is back in this time goes on in the same file", KeyType::Millis(|app| &mut app.record.join_ms, record::JOIN_MS)),
    key("record.sync_ms", "time after which what was recorded is on the medium", KeyType::Millis(|app| &mut app.record.sync_ms, record::SYNC_MS)),
    key("record.on_complete", "program that is run for each complete file, which is its last argument", value(|app, value| record::read_command(&mut app.record, value), record::allowed_command, false)),
    key("stream", "streams that are made of several inputs: [[stream]] with name, backup, slate, silent_ms, steady_ms, slate_s", value(|app, value| { app.programmes = programme::read(value)?; programme::has_own_inputs(&app.programmes, &app.relays.pulls) }, programme::allowed, false)),
    key("push", "other servers to which streams are sent: [[push]] with url, names, key_from", secret(|app, value| relay::read_pushes(&mut app.relays, value), relay::allowed_pushes)),
    key("pull", "streams that are fetched from other servers: [[pull]] with name, url, when, linger_s", secret(|app, value| { relay::read_pulls(&mut app.relays, value)?; programme::has_own_inputs(&app.programmes, &app.relays.pulls) }, relay::allowed_pulls)),
    key("edge.origins", "servers from which any stream is fetched that is wanted and not published here: the first that has it", secret(|app, value| relay::read_origins(&mut app.relays, value), relay::allowed_origins)),
    key("edge.forward_publish", "what is published here is sent to the first of them that takes it", KeyType::Switch(|app| &mut app.relays.edge.forward_publish)),
    key("edge.linger_s", "so long a stream is fetched when nobody watches it any more, in seconds", KeyType::Count(|app| &mut app.relays.edge.linger_s, relay::LINGER_S)),
    key("hooks.on_connect", "URL that is asked whether a client may connect; \"\" is none", hook_key!(app => app.hooks, Connect)),
    key("hooks.on_publish", "URL that is asked whether it may publish; \"\" is none", hook_key!(app => app.hooks, Publish)),
    key("hooks.on_play", "URL that is asked whether it may play; \"\" is none", hook_key!(app => app.hooks, Play)),
    key("hooks.on_done", "URL that is told that a client's publish or play has ended; \"\" is none", hook_key!(app => app.hooks, Done)),
    key("hooks.on_publish_done", "URL that is told that a publish has ended; \"\" is none", hook_key!(app => app.hooks, PublishDone)),
    key("hooks.on_play_done", "URL that is told that a play has ended; \"\" is none", hook_key!(app => app.hooks, PlayDone)),
    key("hooks.on_record_done", "URL that is told that a file of a recording is complete; \"\" is none", hook_key!(app => app.hooks, RecordDone)),
    key("hooks.on_update", "URL that is told every hooks.update_ms of who publishes and plays; \"\" is none", hook_key!(app => app.hooks, Update)),
    key("hooks.style", "form of requests: nginx-rtmp's fields, or SRS's JSON", hook_key!(app => app.hooks, hooks::read_style, |to, from| to.style = from.style, hooks::show_style, hooks::allowed_style, true, false)),
    key("hooks.timeout_ms", "time for an answer", KeyType::Millis(|app| &mut app.hooks.timeout_ms, hooks::TIMEOUT_MS)),
    key("hooks.when_down", "whether clients may when a hook does not answer", hook_key!(app => app.hooks, hooks::read_when_down, |to, from| to.when_down = from.when_down, hooks::show_when_down, hooks::allowed_when_down, true, false)),
    key("hooks.secret", "key of the HMAC-SHA256 that requests are signed with; \"\" is none", hook_key!(app => app.hooks, hooks::read_secret, |to, from| to.secret.clone_from(&from.secret), hooks::show_secret, hooks::allowed_secret, true, true)),
    key("hooks.headers", "lines that the head of each request has", hook_key!(app => app.hooks, hooks::read_headers, |to, from| to.headers.clone_from(&from.headers), hooks::show_headers, hooks::allowed_headers, false, true)),
    key("hooks.update_ms", "time between two calls of hooks.on_update", KeyType::Millis(|app| &mut app.hooks.update_ms, hooks::UPDATE_MS)),
    key("timeouts.idle_ms", "time a connection may neither publish nor play; 0 is for ever", IDLE),

    key("bandwidth.detection", "clients and scripts may have their bandwidth measured", KeyType::Switch(|app| &mut app.limits.bandwidth.detection)),
    key("bandwidth.max_kbit", "highest rate that is measured; 0 is no limit", KeyType::Count(|app| &mut app.limits.bandwidth.max_kbit, BANDWIDTH_KBIT)),
    key("bandwidth.data_bytes", "bytes of the first measurement", KeyType::Count(|app| &mut app.limits.bandwidth.data_bytes, BANDWIDTH_DATA)),
    key("bandwidth.max_wait_ms", "longest duration of a measurement", KeyType::Count(|app| &mut app.limits.bandwidth.max_wait_ms, BANDWIDTH_WAIT_MS)),
    key("bandwidth.to_client_bytes_s", "bytes a second sent to each client; 0 is no limit", KeyType::Count(|app| &mut app.limits.bandwidth.to_client_bytes_s, BANDWIDTH_BYTES_S)),
    key("bandwidth.to_server_bytes_s", "bytes a second taken from each client; 0 is no limit", KeyType::Count(|app| &mut app.limits.bandwidth.to_server_bytes_s, BANDWIDTH_BYTES_S)),

    key("scripts.memory_bytes", "heap of each instance; at most the server's", value(
        |app, value| put_bytes(value, &SCRIPT_MEMORY, app.most.budget.memory_bytes, &mut app.scripts.budget.memory_bytes),
        || allowed_bytes(&SCRIPT_MEMORY), false)),
    key("scripts.stack_bytes", "stack of its scripts; at most the server's", value(
        |app, value| put_bytes(value, &SCRIPT_STACK, app.most.budget.stack_bytes, &mut app.scripts.budget.stack_bytes),
        || allowed_bytes(&SCRIPT_STACK), false)),
    key("scripts.call_ms", "time of one call into the script", KeyType::Count(|app| &mut app.scripts.budget.call_ms, SCRIPT_CALL_MS)),
    key("scripts.load_ms", "time in which the script is loaded and starts", KeyType::Count(|app| &mut app.scripts.budget.load_ms, SCRIPT_LOAD_MS)),
    key("scripts.pending_ms", "time that onConnect may leave a client undecided", KeyType::Millis(|app| &mut app.scripts.pending_ms, SCRIPT_PENDING_MS)),
    key("scripts.idle_unload_ms", "time without clients after which the script is unloaded; 0 is never", KeyType::Millis(|app| &mut app.scripts.idle_unload_ms, SCRIPT_IDLE_MS)),
    key("scripts.retry_ms", "time that clients of the stopped script are refused", KeyType::Millis(|app| &mut app.scripts.retry_ms, SCRIPT_RETRY_MS)),
    key("config", "what the script sees as application.config", CONFIG),
];

/// The keys of an `app.toml`: path, what it means, what is allowed.
pub fn keys() -> impl Iterator<Item = (&'static str, &'static str, String)> {
    KEYS.iter().map(|key| (key.path, key.help, key.key_type.allowed()))
}

const COUNT: RangeInclusive<u32> = 0..=60_000;

const fn key(path: &'static str, help: &'static str, key_type: KeyType<AppFile>) -> Key<AppFile> {
    // The server looks at the whole file again by itself.
    Key { path, takes_effect: TakesEffect::AtOnce, help, key_type }
}

/// A value of its own kind, which is neither carried over nor shown.
const fn value(
    put: fn(&mut AppFile, &DeValue<'_>) -> Result<(), Wrong>,
    allowed: fn() -> String,
    is_text: bool,
) -> KeyType<AppFile> {
    KeyType::Value(CustomValue { put, carry: None, show: |_| String::new(), allowed, is_text, is_secret: false })
}

/// The same, which is not to be shown either when it is wrong.
const fn secret(put: fn(&mut AppFile, &DeValue<'_>) -> Result<(), Wrong>, allowed: fn() -> String) -> KeyType<AppFile> {
    KeyType::Value(CustomValue { put, carry: None, show: |_| String::new(), allowed, is_text: false, is_secret: true })
}

const KIND: KeyType<AppFile> = value(
    |app, value| {
        app.kind = match value.as_str() {
            Some("live") => AppKind::Live,
            Some("vod") => AppKind::Vod,
            _ => return Err(Wrong::NotAllowed),
        };
        Ok(())
    },
    || "one of live, vod".to_owned(),
    true,
);

const INSTANCES: KeyType<AppFile> = value(
    |app, value| {
        app.instances = Some(match value.as_str() {
            Some("joined") => InstanceStreams::Joined,
            Some("apart") => InstanceStreams::Apart,
            _ => return Err(Wrong::NotAllowed),
        });
        Ok(())
    },
    || "one of joined, apart".to_owned(),
    true,
);

const USERS_FILE: KeyType<AppFile> = value(
    |app, value| {
        let file = value.as_str().filter(|path| !path.is_empty()).ok_or(Wrong::NotAllowed)?;
        app.log_in.file = Some(file.to_owned());
        Ok(())
    },
    || "a path".to_owned(),
    true,
);

const AUTHMOD: KeyType<AppFile> = value(
    |app, value| {
        app.log_in.way = match value.as_str() {
            Some("adobe") => LogInWay::Adobe,
            Some("llnw") => LogInWay::Llnw,
            _ => return Err(Wrong::NotAllowed),
        };
        Ok(())
    },
    || "one of adobe, llnw".to_owned(),
    true,
);

const UNPUBLISH_GRACE: KeyType<AppFile> = value(
    |app, value| {
        app.limits.unpublish_grace_ms = Some(within(value, &UNPUBLISH_GRACE_MS)?);
        Ok(())
    },
    || allowed_ms(&UNPUBLISH_GRACE_MS),
    false,
);

const VOD_DIRECTORY: KeyType<AppFile> = value(
    |app, value| {
        let path = value.as_str().filter(|path| !path.is_empty()).ok_or(Wrong::NotAllowed)?;
        app.recorded.directory = Some(PathBuf::from(path));
        Ok(())
    },
    || "a path".to_owned(),
    true,
);

const VOD_VIRTUAL: KeyType<AppFile> = value(|app, value| app.recorded.name(value), RecordedPlaces::allowed, false);

const RECORDED_LEAD: KeyType<AppFile> = value(
    |app, value| {
        app.limits.recorded_lead_ms = Some(within(value, &RECORDED_LEAD_MS)?);
        Ok(())
    },
    || allowed_ms(&RECORDED_LEAD_MS),
    false,
);

const IDLE: KeyType<AppFile> = value(
    |app, value| {
        app.limits.idle_ms = Some(within(value, &IDLE_MS)?);
        Ok(())
    },
    || allowed_ms(&IDLE_MS),
    false,
);

const PLAY_KEY: KeyType<AppFile> = KeyType::Value(CustomValue {
    put: |app, value| because(app.rules.set_play_key(value.as_str().ok_or(Wrong::NotAllowed)?)),
    carry: None,
    show: |_| String::new(),
    allowed: || "a text".to_owned(),
    is_text: true,
    is_secret: true,
});

const STREAM_KEYS: KeyType<AppFile> = KeyType::Table(Table {
    put: |app, name, value| because(app.rules.add_key(name, value.as_str().ok_or(Wrong::NotAllowed)?)),
    allowed: "a text",
    is_secret: true,
});

const CONFIG: KeyType<AppFile> = KeyType::Table(Table {
    put: |app, name, value| {
        app.config.insert(name.to_owned(), json(value));
        Ok(())
    },
    allowed: "anything",
    is_secret: true,
});

fn because(result: Result<(), KeyError>) -> Result<(), Wrong> {
    result.map_err(|error| Wrong::Because(error.to_string()))
}

fn allowed_ms(range: &RangeInclusive<u64>) -> String {
    format!("{}..={}", range.start(), range.end())
}

fn allowed_bytes(range: &RangeInclusive<u64>) -> String {
    format!("bytes, {}..={}", format_bytes(*range.start()), format_bytes(*range.end()))
}

/// Bytes that must not be more than the server has for each instance.
fn put_bytes(value: &DeValue<'_>, range: &RangeInclusive<u64>, most: u64, place: &mut u64) -> Result<(), Wrong> {
    let bytes = match value.as_str() {
        Some(text) => parse_bytes(text),
        None => integer(value).and_then(|bytes| u64::try_from(bytes).ok()),
    };
    *place = match bytes.filter(|bytes| range.contains(bytes)) {
        Some(bytes) if bytes <= most => bytes,
        Some(_) => {
            let most = format_bytes(most);
            return Err(Wrong::Because(format!("the server has {most} for each; raise the same key in rill.toml")));
        }
        None => return Err(Wrong::NotAllowed),
    };
    Ok(())
}

const fn addresses(put: fn(&mut AppFile, &DeValue<'_>) -> Result<(), Wrong>) -> KeyType<AppFile> {
    let allowed =
        || format!("up to {ADDRESS_RULES} rules (ADDRESS_RULES) like \"allow 192.168.1.0/24\" and \"deny all\"");
    value(put, allowed, false)
}

fn address_list(value: &DeValue<'_>) -> Result<AddressList, Wrong> {
    let list = value.as_array().ok_or(Wrong::NotAllowed)?;
    let rules: Vec<&str> =
        list.iter().map(|rule| rule.get_ref().as_str()).collect::<Option<_>>().ok_or(Wrong::NotAllowed)?;
    AddressList::parse(rules.iter().copied()).map_err(|error| match error {
        AddressListError::TooMany => Wrong::NotAllowed,
        AddressListError::Rule(index) => Wrong::Because(format!(
            "{:?} makes no sense; a rule is allow or deny, and an address, a network like 10.0.0.0/8 or fd00::/8, or all",
            rules[index]
        )),
    })
}

/// A value of a file as JSON. Dates become text; numbers that JSON lacks become null.
fn json(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => Json::from(text.as_ref()),
        DeValue::Integer(_) => integer(value).map_or(Json::Null, Json::from),
        DeValue::Float(float) => {
            let text = float.as_str().replace('_', "");
            serde_json::from_str(text.trim_start_matches('+')).unwrap_or(Json::Null)
        }
        DeValue::Boolean(yes) => Json::from(*yes),
        DeValue::Datetime(date) => Json::from(date.to_string()),
        DeValue::Array(list) => list.iter().map(|value| json(value.get_ref())).collect(),
        DeValue::Table(table) => {
            table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use super::*;

    #[test]
    fn numbers_of_a_file_are_those_of_json_and_null_where_it_has_none() {
        let text = "a = [0.1, +1.5, -2e3, 1_000.25, 1e06, inf, -nan, 7]";
        let table = toml::de::DeTable::parse(text).unwrap();
        let list = table.get_ref().get("a").unwrap().get_ref();
        assert_eq!(json(list), value!([0.1, 1.5, -2000.0, 1000.25, 1e6, null, null, 7]));
    }
}
