//! `rill statuses`: every status code that the server sends, and those it does not.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::rtmp::status::{NOT_SENT, NotSent, StatusLevel, StatusRow, TABLE, Why};

use super::output::say;

/// Prints the table of status codes.
pub fn print(as_json: bool) -> ExitCode {
    if as_json {
        // Text only: it cannot fail.
        say(&serde_json::to_string_pretty(&listing()).unwrap_or_default());
    } else {
        say(&text());
    }
    ExitCode::SUCCESS
}

/// A heading, and which of [`NOT_SENT`] stand below it.
type Section = (&'static str, fn(Why) -> bool);

const SECTIONS: [Section; 2] = [
    ("Made by the client; this server never sends them", |why| why == Why::MadeByClient),
    ("Not sent for another reason", |why| matches!(why, Why::Other(_))),
];

/// The description with NAME where the stream's or method's name stands.
fn description(row: &StatusRow) -> String {
    let (before, after) = row.description;
    if after.is_empty() { before.to_owned() } else { format!("{before}NAME{after}") }
}

fn level(level: Option<StatusLevel>) -> &'static str {
    level.map_or("", StatusLevel::name)
}

fn fields(row: &StatusRow) -> Vec<&'static str> {
    let details = row.details.then_some("details");
    ["level", "code", "description"].into_iter().chain(details).chain(row.extra.iter().copied()).collect()
}

fn text() -> String {
    let mut text = String::from(
        "Status codes that this server sends. Each has level, code and description; NAME is the stream's or the method's\n\
         name, and a reason may stand in place of the sentence.\n",
    );
    for row in &TABLE {
        text += &format!("\n{:<41} {:<7} by {}\n", row.name, row.level.name(), row.via);
        text += &format!("  says    {}\n", description(row));
        let more = &fields(row)[3..];
        if !more.is_empty() {
            text += &format!("  fields  {}\n", more.join(", "));
        }
        text += &format!("  when    {}\n", row.when);
    }
    for (heading, belongs) in SECTIONS {
        text += &format!("\n{heading}:\n");
        for NotSent { name, level: l, why } in NOT_SENT.iter().filter(|row| belongs(row.why)) {
            let reason = if let Why::Other(reason) = why { reason } else { "" };
            let line = format!("  {name:<41} {:<7} {reason}", level(*l));
            text += line.trim_end();
            text += "\n";
        }
    }
    text.trim_end().to_owned()
}

fn listing() -> Value {
    let sent = TABLE.iter().map(|row| {
        json!({
            "code": row.name,
            "level": row.level.name(),
            "description": description(row),
            "fields": fields(row),
            "via": row.via,
            "when": row.when,
        })
    });
    let not_sent = NOT_SENT.iter().map(|row| {
        let why = match row.why {
            Why::MadeByClient => "made by the client",
            Why::Other(reason) => reason,
        };
        json!({ "code": row.name, "level": row.level.map(StatusLevel::name), "why": why })
    });
    json!({ "sent": sent.collect::<Value>(), "not_sent": not_sent.collect::<Value>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_once_in_the_text_and_in_the_json() {
        let (text, json) = (text(), listing());
        let names = TABLE.iter().map(|row| row.name).chain(NOT_SENT.iter().map(|row| row.name));
        for name in names {
            let lines = text.lines().filter(|line| line.trim_start().starts_with(&format!("{name} ")));
            assert!(lines.count() == 1 || text.contains(&format!("  {name}\n")), "{name}");
        }
        assert_eq!(json["sent"].as_array().unwrap().len(), TABLE.len());
        assert_eq!(json["not_sent"].as_array().unwrap().len(), NOT_SENT.len());
        assert_eq!(json["sent"][8]["description"], "NAME is now published.");
        assert!(text.lines().all(|line| line.len() <= 140), "{text}");
    }
}
