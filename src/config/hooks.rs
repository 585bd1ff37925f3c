//! The keys of `[hooks]`, which the configuration and applications' own files share. What holds in the configuration holds for every
//! application whose file says nothing else.

use std::ops::RangeInclusive;

use toml::de::DeValue;

use crate::live::hook_settings::{
    HookEvent, HookSettings, HookStyle, HookUrl, MOST_HEADERS_BYTES, MOST_SECRET_BYTES, WhenDown,
};

use super::keys::Wrong;

pub(crate) const TIMEOUT_MS: RangeInclusive<u64> = 100..=60_000;
pub(crate) const UPDATE_MS: RangeInclusive<u64> = 1000..=3_600_000;

/// Headers of one application.
const HEADERS: usize = 16;

/// A key of `[hooks]` with a form of its own: `$file` is what the file is read into, and `$hooks` where it keeps what is said here.
macro_rules! hook_key {
    ($file:ident => $hooks:expr, $event:ident) => {
        $crate::config::hooks::hook_key!(
            $file => $hooks,
            |hooks, value| $crate::config::hooks::read_url(hooks, HookEvent::$event, value),
            |to, from| to.set_url(HookEvent::$event, from.url(HookEvent::$event).cloned()),
            |hooks| hooks.url(HookEvent::$event).map(ToString::to_string).unwrap_or_default(),
            $crate::config::hooks::allowed_url, true, true
        )
    };
    ($file:ident => $hooks:expr, $read:expr, $carry:expr, $show:expr, $allowed:expr, $is_text:expr, $is_secret:expr) => {
        KeyType::Value(CustomValue {
            put: |$file, value| {
                let read: fn(&mut HookSettings, &DeValue<'_>) -> Result<(), Wrong> = $read;
                read(&mut $hooks, value)
            },
            carry: Some(|to, from| {
                let carry: fn(&mut HookSettings, &HookSettings) = $carry;
                let $file = from;
                let from = &$hooks;
                let $file = to;
                carry(&mut $hooks, from);
            }),
            show: |$file| {
                let show: fn(&HookSettings) -> String = $show;
                show(&$hooks)
            },
            allowed: $allowed,
            is_text: $is_text,
            is_secret: $is_secret,
        })
    };
}
pub(crate) use hook_key;

/// Reads what is asked about something; an empty text is nothing.
pub(crate) fn read_url(hooks: &mut HookSettings, event: HookEvent, value: &DeValue<'_>) -> Result<(), Wrong> {
    let url = match value.as_str().ok_or(Wrong::NotAllowed)? {
        "" => None,
        url => Some(HookUrl::parse(url).map_err(|error| Wrong::Because(error.to_string()))?),
    };
    hooks.set_url(event, url);
    Ok(())
}

/// What [`read_url`] reads.
pub(crate) fn allowed_url() -> String {
    "a URL like \"http://127.0.0.1:8000/publish\", or \"\" for none".to_owned()
}

/// Reads the form of requests.
pub(crate) fn read_style(hooks: &mut HookSettings, value: &DeValue<'_>) -> Result<(), Wrong> {
    hooks.style = named(&HookStyle::ALL, value)?;
    Ok(())
}

/// As [`read_style`] reads it.
pub(crate) fn show_style(hooks: &HookSettings) -> String {
    HookStyle::ALL[hooks.style as usize].0.to_owned()
}

/// What [`read_style`] reads.
pub(crate) fn allowed_style() -> String {
    format!("one of {}", HookStyle::ALL.map(|(name, _)| name).join(", "))
}

/// Reads what holds without an answer.
pub(crate) fn read_when_down(hooks: &mut HookSettings, value: &DeValue<'_>) -> Result<(), Wrong> {
    hooks.when_down = named(&WhenDown::ALL, value)?;
    Ok(())
}

/// As [`read_when_down`] reads it.
pub(crate) fn show_when_down(hooks: &HookSettings) -> String {
    hooks.when_down.name().to_owned()
}

/// What [`read_when_down`] reads.
pub(crate) fn allowed_when_down() -> String {
    format!("one of {}", WhenDown::ALL.map(|(name, _)| name).join(", "))
}

/// Reads with what requests are signed.
pub(crate) fn read_secret(hooks: &mut HookSettings, value: &DeValue<'_>) -> Result<(), Wrong> {
    let secret = value.as_str().ok_or(Wrong::NotAllowed)?;
    if hooks.set_secret(secret) { Ok(()) } else { Err(Wrong::NotAllowed) }
}

/// Whether there is one is all that is shown.
pub(crate) fn show_secret(hooks: &HookSettings) -> String {
    if hooks.secret.is_empty() { "" } else { "…" }.to_owned()
}

/// What [`read_secret`] reads.
pub(crate) fn allowed_secret() -> String {
    format!("a text of up to {MOST_SECRET_BYTES} bytes, or \"\" for none")
}

/// Reads the lines of every request's head.
pub(crate) fn read_headers(hooks: &mut HookSettings, value: &DeValue<'_>) -> Result<(), Wrong> {
    let list = value.as_array().filter(|list| list.len() <= HEADERS).ok_or(Wrong::NotAllowed)?;
    let lines: Option<Vec<&str>> = list.iter().map(|line| line.get_ref().as_str()).collect();
    hooks.set_headers(lines.ok_or(Wrong::NotAllowed)?.into_iter()).map_err(Wrong::Because)
}

/// How many there are is all that is shown.
pub(crate) fn show_headers(hooks: &HookSettings) -> String {
    let lines: Vec<&str> = hooks.headers.lines().map(|_| "…").collect();
    format!("{lines:?}")
}

/// What [`read_headers`] reads.
pub(crate) fn allowed_headers() -> String {
    format!("up to {HEADERS} lines like [\"Authorization: Bearer KEY\"], {MOST_HEADERS_BYTES} bytes together")
}

fn named<T: Copy>(all: &[(&'static str, T)], value: &DeValue<'_>) -> Result<T, Wrong> {
    let found = value.as_str().and_then(|name| all.iter().find(|(known, _)| *known == name));
    found.map(|(_, named)| *named).ok_or(Wrong::NotAllowed)
}
