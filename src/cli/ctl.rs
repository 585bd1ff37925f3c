//! `rill ctl`: asks a running server through its control socket, and prints what it says for people or as JSON.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use base64ct::{Base64UrlUnpadded, Encoding};
use lexopt::Arg::{Long, Short, Value as Word};
use serde_json::{Map, Value};

use crate::config::ControlPlace;
use crate::net::control_socket;
use crate::store::{self, Options};
use crate::text::Plain;

use super::arguments::{UsageError, from_lexopt, text, unknown};
use super::output::{complain, say};

/// Timeout of an answer: longer than a server takes for any request.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a far end may take until it has answered to a test, its addresses included ...
const TEST_PATIENCE: Duration = Duration::from_secs(60);
/// ... and how often it is looked whether it has.
const TEST_PAUSE: Duration = Duration::from_millis(100);
/// What the server calls the instance of a client that named none.
const DEFAULT_INSTANCE: &str = "_definst_";

/// What may be asked, with its argument and what it does.
#[rustfmt::skip]
pub(super) const COMMANDS: [(&str, &str, &str); 14] = [
    ("apps", "", "list the applications"),
    ("clients", "", "list the connections: address, application, activity, traffic"),
    ("streams", "", "list the streams: publisher, players, lag, bitrate, codecs"),
    ("stats", "", "totals and counters since the start"),
    ("diagnose", "", "what is wrong, and what to do about it"),
    ("disconnect", "ID", "end a connection, like c7.2"),
    ("unload", "APP[/INSTANCE]", "end an application's instances; clients may come back at once"),
    ("shutdown-app", "APP", "send every client of an application away"),
    ("record", "start|stop APP/NAME", "record a stream that is published, or stop that"),
    ("recordings", "[APP[/NAME]]", "list the files of recordings"),
    ("delete-recording", "FILE", "delete one, as recordings names it: APP/PATH/FILE"),
    ("push", "list, or start|stop|test ID", "list what goes to other servers and comes from them; switch or try a push, like live/1"),
    ("admin-key", "[off]", "make the key with which things are changed over HTTP, and print it; or take it away"),
    ("reload", "", "read the configuration again"),
];

const HELP: &str = "\
Options:
  --socket PATH         the server's control socket (default: what the configuration says)
  -c, --config FILE     the server's configuration (default: /etc/rill/rill.toml if it exists)
  --root DIR            the server's root; its control socket is DIR/rill.sock
  --set KEY=VALUE       any key of the configuration
  --json                JSON, one object a line
  -h, --help            print this and exit

The status is 0 on success, 1 when the server cannot be reached or refuses, 2 when the command line is wrong.
The socket belongs to the server's user and group, with mode 0660; without a root or a service it is in the user's
runtime directory, with mode 0600. Every user with write permission may use all commands.";

/// The arguments of `rill ctl`.
#[derive(Debug, Default, PartialEq, Eq)]
struct CtlArguments {
    socket: Option<PathBuf>,
    options: Options,
    json: bool,
    command: &'static str,
    argument: String,
}

/// Does what the arguments behind `rill ctl` say.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let request = match parse(arguments) {
        Ok(Some(request)) => request,
        Ok(None) => {
            say(&help());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            complain(&error);
            complain(&"`rill ctl --help` lists what there is");
            return ExitCode::from(2);
        }
    };
    match run(&request) {
        Ok(text) => {
            if !text.is_empty() {
                say(&text);
            }
            ExitCode::SUCCESS
        }
        Err(errors) => {
            errors.iter().for_each(|error| complain(error));
            ExitCode::FAILURE
        }
    }
}

/// What `rill ctl --help` prints.
pub(super) fn help() -> String {
    let mut text = String::from("Usage: rill ctl [OPTIONS] COMMAND\n\nCommands:\n");
    for (name, argument, help) in COMMANDS {
        let usage = format!("{name} {argument}");
        text += &format!("  {usage:<32}{help}\n");
    }
    text + "\n" + HELP
}

/// `None` asks for help.
fn parse(arguments: Vec<OsString>) -> Result<Option<CtlArguments>, UsageError> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut request = CtlArguments::default();
    let mut argument = None;
    while let Some(part) = parser.next().map_err(from_lexopt)? {
        match part {
            Long("socket") => request.socket = Some(parser.value().map_err(from_lexopt)?.into()),
            Short('c') | Long("config") => request.options.config = Some(text(&mut parser)?.into()),
            Long("root") => request.options.sets.push(format!("server.root={}", text(&mut parser)?)),
            Long("set") => request.options.sets.push(text(&mut parser)?),
            Long("json") => request.json = true,
            Short('h') | Long("help") => return Ok(None),
            Short(letter) => return Err(UsageError(format!("unknown option -{letter}"))),
            Long(name) => {
                let known = ["socket", "config", "root", "set", "json", "help"];
                return Err(unknown("option", "--", name, known.into_iter()));
            }
            Word(word) if request.command.is_empty() => {
                let word = word.to_string_lossy();
                if word == "help" {
                    return Ok(None);
                }
                let names = COMMANDS.iter().map(|(name, ..)| *name);
                request.command =
                    names.clone().find(|name| *name == word).ok_or_else(|| unknown("command", "", &word, names))?;
            }
            Word(word) if argument.is_none() => {
                let word = word.into_string();
                argument = Some(word.map_err(|word| UsageError(format!("{} is not UTF-8", word.display())))?);
            }
            Word(word)
                if matches!(request.command, "record" | "push")
                    && matches!(argument.as_deref(), Some("start" | "stop" | "test")) =>
            {
                let verb = argument.take().unwrap_or_default();
                argument = Some(format!("{verb} {}", word.to_string_lossy()));
            }
            Word(word) => return Err(UsageError(format!("unexpected argument {}", word.display()))),
        }
    }
    if request.command.is_empty() {
        return Ok(None);
    }
    let wanted = COMMANDS.iter().find(|(name, ..)| *name == request.command).map_or("", |(_, argument, _)| argument);
    match argument {
        Some(word) if wanted.is_empty() => Err(UsageError(format!("unexpected argument {word}"))),
        Some(word) if word.is_empty() || word.contains(char::is_control) => {
            Err(UsageError(format!("{word:?} is no {wanted}")))
        }
        None if !wanted.is_empty() && !wanted.starts_with('[') => {
            Err(UsageError(format!("{} needs an argument: {wanted}", request.command)))
        }
        argument => {
            request.argument = argument.unwrap_or_default();
            Ok(Some(request))
        }
    }
}

/// Asks, and returns what is to be printed.
fn run(request: &CtlArguments) -> Result<String, Vec<String>> {
    let sockets = match &request.socket {
        Some(socket) => vec![socket.clone()],
        None => match store::configuration(&request.options)?.control_place() {
            ControlPlace::At(path) => vec![path],
            ControlPlace::Usual => control_socket::usual(),
            ControlPlace::None => {
                return Err(vec![
                    "the configuration names no control socket: set server.control for the server, and name the same \
                     configuration here (-c), or the socket (--socket)"
                        .to_owned(),
                ]);
            }
        },
    };
    // The first at which a server answers.
    let answers = |path: &&PathBuf| UnixStream::connect(path).is_ok();
    let socket = match sockets.as_slice() {
        [one] => one,
        several => several.iter().find(answers).or(several.iter().find(|path| path.exists())).unwrap_or(&sockets[0]),
    };
    // Made here, where randomness may be waited for.
    let key = if request.command == "admin-key" && request.argument.is_empty() { Some(random_key()?) } else { None };
    let line = match key.as_deref().unwrap_or(&request.argument) {
        "" => request.command.to_owned(),
        argument => format!("{} {argument}", request.command),
    };
    let mut lines = ask(socket, &line).map_err(|error| vec![error])?;
    if let Some(push) = request.argument.strip_prefix("test ").filter(|_| request.command == "push") {
        lines = vec![tested(socket, push).map_err(|error| vec![error])?];
    }
    if let (Some(key), true) = (&key, request.json) {
        lines = vec![format!("{{\"key\":\"{key}\",{}", lines.concat().trim_start_matches('{'))];
    }
    if request.json {
        return Ok(lines.join("\n"));
    }
    // Each is an object: it was read before.
    let rows: Vec<Map<String, Value>> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Ok(match request.command {
        "clients" => table(&CLIENTS, &rows, "no clients"),
        "streams" => table(&STREAMS, &rows, "no streams"),
        "apps" => table(&APPS, &rows, "no applications"),
        "stats" => rows.first().map_or(String::new(), stats),
        "diagnose" => findings(&rows),
        "disconnect" => format!("{} is being disconnected", request.argument),
        "record" if request.argument.starts_with("start") => "the stream is being recorded".to_owned(),
        "record" => "the recording is being completed".to_owned(),
        "recordings" => table(&RECORDINGS, &rows, "no recordings"),
        "delete-recording" => format!("{} is deleted", request.argument),
        "push" => match request.argument.split_once(' ') {
            None => table(&RELAYS, &rows, "no pushes and no pulls"),
            Some(("start", push)) => format!("{push} is sent again"),
            Some(("stop", push)) => format!("{push} is not sent any more, until it is started or the server is"),
            Some((_, push)) => format!("{push}: the far end takes it"),
        },
        "admin-key" => {
            let is_stored = rows.first().is_some_and(|row| row.get("stored") == Some(&Value::Bool(true)));
            let words = if is_stored { "" } else { "\nit holds until the server ends: there is no root to keep it in" };
            key.unwrap_or_else(|| "there is no admin key any more".to_owned()) + words
        }
        "reload" => "the server reads its configuration; its log says what changed".to_owned(),
        _ => match rows.first().map_or(0, |row| number(row, "disconnected")) {
            1 => "1 client is being disconnected".to_owned(),
            count => format!("{count} clients are being disconnected"),
        },
    })
}

/// Waits until a push was tried, and returns its row if the far end takes it.
fn tested(socket: &Path, push: &str) -> Result<String, String> {
    let begin = Instant::now();
    while begin.elapsed() < TEST_PATIENCE {
        for line in ask(socket, "push list")? {
            let row: Map<String, Value> = serde_json::from_str(&line).unwrap_or_default();
            let id = format!("{}/{}", string(&row, "app"), number(&row, "number"));
            match (string(&row, "does").as_str(), string(&row, "state").as_str()) {
                ("test", "taken") if id == push => return Ok(line),
                ("test", "refused") if id == push => {
                    return Err(format!("{push}: {}", Plain(&string(&row, "error"))));
                }
                _ => {}
            }
        }
        thread::sleep(TEST_PAUSE);
    }
    Err(format!("{push}: the far end has not answered within {} s", TEST_PATIENCE.as_secs()))
}

/// A key that nobody can guess, in letters and digits that go through every URL and head as they are.
fn random_key() -> Result<String, Vec<String>> {
    let mut bytes = [0; 18];
    getrandom::fill(&mut bytes).map_err(|error| vec![error.to_string()])?;
    let mut text = [0; 24];
    // Four letters for three bytes.
    Base64UrlUnpadded::encode(&bytes, &mut text).map(str::to_owned).map_err(|error| vec![error.to_string()])
}

/// Sends one request and reads its rows, each a JSON object.
fn ask(path: &Path, request: &str) -> Result<Vec<String>, String> {
    let mut stream = UnixStream::connect(path).map_err(|error| unreachable_at(path, &error))?;
    let broken = |error: io::Error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            format!("the server at {} does not answer within {} s", path.display(), PATIENCE.as_secs())
        }
        _ => format!("the server at {} broke off: {error}", path.display()),
    };
    stream.set_read_timeout(Some(PATIENCE)).map_err(broken)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(broken)?;
    // A server that is too busy to be asked says so and closes: its words are still there to read.
    let sent = stream.write_all(format!("{request}\n").as_bytes());
    let mut rows = Vec::new();
    for line in BufReader::new(stream).lines() {
        let line = line.map_err(broken)?;
        let not_ours = |_| format!("what answers at {} is not rill", path.display());
        let row: Map<String, Value> = serde_json::from_str(&line).map_err(not_ours)?;
        // Rows of a list may have a member of that name among others.
        if row.len() == 1
            && let Some(error) = row.get("error").and_then(Value::as_str)
        {
            return Err(Plain(error).to_string());
        }
        if row.get("ok").is_some() {
            return Ok(rows);
        }
        rows.push(line);
    }
    match sent {
        Err(error) => Err(broken(error)),
        Ok(()) => Err(format!("the server at {} ended in the middle of its answer", path.display())),
    }
}

/// Why no server answers there, and what to do.
fn unreachable_at(path: &Path, error: &io::Error) -> String {
    let shown = path.display();
    match error.kind() {
        ErrorKind::NotFound => format!(
            "no server: {shown} does not exist; start the server, or name its configuration (-c) or its socket (--socket)"
        ),
        ErrorKind::ConnectionRefused => match fs::metadata(path) {
            Ok(file) if !file.file_type().is_socket() => format!("{shown} is not a socket"),
            _ => {
                format!("no server: nothing answers at {shown}, left behind by a server that has ended; start it again")
            }
        },
        ErrorKind::PermissionDenied => match fs::metadata(path) {
            Ok(file) => {
                let (user, group) = (name_of("/etc/passwd", file.uid()), name_of("/etc/group", file.gid()));
                format!(
                    "no permission: {shown} belongs to user {user} and group {group} with mode {:04o}: be one of \
                     them (usermod -aG {group} NAME, then log in again), or use sudo",
                    file.mode() & 0o7777
                )
            }
            Err(_) => format!("no permission to look into the directory of {shown}: use sudo"),
        },
        _ => format!("cannot ask the server at {shown}: {error}"),
    }
}

/// The name of a user or group, as the system's file of them has it; else its number.
fn name_of(file: &str, id: u32) -> String {
    let id = id.to_string();
    let list = fs::read_to_string(file).unwrap_or_default();
    let entry = list.lines().find(|line| line.split(':').nth(2) == Some(&id));
    entry.and_then(|line| line.split(':').next()).map_or(id, str::to_owned)
}

/// A column of a table: its heading, what it shows of a row, and whether it is a number, which stands at the right.
struct Column {
    heading: &'static str,
    show: fn(&Map<String, Value>) -> String,
    right: bool,
}

const fn left(heading: &'static str, show: fn(&Map<String, Value>) -> String) -> Column {
    Column { heading, show, right: false }
}

const fn right(heading: &'static str, show: fn(&Map<String, Value>) -> String) -> Column {
    Column { heading, show, right: true }
}

#[rustfmt::skip]
const CLIENTS: [Column; 13] = [
    left("ID", |row| string(row, "id")),
    left("ADDRESS", |row| string(row, "address")),
    left("APP", application),
    left("DOES", |row| string(row, "does")),
    left("STREAM", |row| string(row, "stream")),
    right("FOR", |row| duration(number(row, "seconds"))),
    right("IN", |row| size(number(row, "bytes_in"))),
    right("OUT", |row| size(number(row, "bytes_out"))),
    right("LAG", |row| known(row, "lag_ms", |ms| format!("{ms} ms"))),
    right("SKIPS", |row| number(row, "skips").to_string()),
    right("RTT", |row| known(row, "round_trip_us", round_trip)),
    left("SPEAKS", |row| string(row, "speaks")),
    left("AGENT", |row| string(row, "agent")),
];

#[rustfmt::skip]
const STREAMS: [Column; 11] = [
    left("ID", |row| string(row, "id")),
    left("APP", application),
    left("NAME", |row| string(row, "name")),
    left("STATE", |row| string(row, "state")),
    left("PUBLISHER", |row| string(row, "publisher")),
    right("FOR", |row| duration(number(row, "seconds"))),
    right("PLAYERS", |row| number(row, "players").to_string()),
    right("WORST LAG", |row| format!("{} ms", number(row, "worst_lag_ms"))),
    right("BITRATE", |row| bitrate(number(row, "bitrate_bps"))),
    left("VIDEO", video),
    left("AUDIO", |row| string(row, "audio")),
];

#[rustfmt::skip]
const RELAYS: [Column; 9] = [
    left("DOES", |row| string(row, "does")),
    left("ID", |row| format!("{}/{}", string(row, "app"), number(row, "number"))),
    left("STREAM", |row| string(row, "stream")),
    left("STATE", |row| string(row, "state")),
    right("FOR", |row| known(row, "seconds", duration)),
    right("BITRATE", |row| bitrate(number(row, "bitrate_bps"))),
    right("LAG", |row| known(row, "lag_ms", |ms| format!("{ms} ms"))),
    left("URL", |row| string(row, "url")),
    left("LAST ERROR", |row| string(row, "error")),
];

#[rustfmt::skip]
const RECORDINGS: [Column; 4] = [
    left("FILE", |row| string(row, "file")),
    right("SIZE", |row| size(number(row, "bytes"))),
    right("WRITTEN", written),
    left("STATE", |row| string(row, "state")),
];

#[rustfmt::skip]
const APPS: [Column; 6] = [
    left("NAME", |row| string(row, "name")),
    left("KIND", |row| string(row, "kind")),
    left("STATE", |row| string(row, "state")),
    right("INSTANCES", |row| number(row, "instances").to_string()),
    right("CLIENTS", |row| number(row, "clients").to_string()),
    right("STREAMS", |row| number(row, "streams").to_string()),
];

/// Rows under their headings, each column as wide as its widest entry.
fn table(columns: &[Column], rows: &[Map<String, Value>], none: &str) -> String {
    if rows.is_empty() {
        return none.to_owned();
    }
    let mut lines = vec![columns.iter().map(|column| column.heading.to_owned()).collect::<Vec<_>>()];
    lines.extend(rows.iter().map(|row| columns.iter().map(|column| (column.show)(row)).collect()));
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |cells: &Vec<String>| {
        let padded = cells.iter().zip(columns).zip(&widths).map(|((cell, column), &width)| match column.right {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Totals and counters, one a line; reasons for which no connection ended are left out.
fn stats(row: &Map<String, Value>) -> String {
    let mut lines = Vec::new();
    for (key, value) in row {
        match (key.as_str(), value) {
            ("closed", Value::Object(reasons)) => {
                let counted = reasons.iter().filter(|(_, count)| count.as_u64() != Some(0));
                lines.extend(counted.map(|(reason, count)| (format!("closed {}", words(reason)), count.to_string())));
            }
            ("uptime_s", _) => lines.push(("uptime".to_owned(), duration(number(row, key)))),
            ("bytes_in" | "bytes_out", _) => lines.push((words(key), size(number(row, key)))),
            ("load_percent", _) => lines.push(("load".to_owned(), format!("{} %", number(row, key)))),
            (_, Value::String(text)) => lines.push((words(key), Plain(text).to_string())),
            (_, Value::Null) => lines.push((words(key), "-".to_owned())),
            (_, value) => lines.push((words(key), value.to_string())),
        }
    }
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<String> = lines.iter().map(|(name, value)| format!("{name:<width$}  {value}")).collect();
    lines.join("\n")
}

/// What is wrong, and below it what to do.
fn findings(rows: &[Map<String, Value>]) -> String {
    if rows.is_empty() {
        return "nothing is wrong".to_owned();
    }
    let finding = |row: &Map<String, Value>| {
        let of = match row.get("stream").and_then(Value::as_str) {
            Some(stream) => format!("{}: ", Plain(stream)),
            None => String::new(),
        };
        let since = duration(number(row, "seconds"));
        format!("{of}{} (for {since})\n  {}", string(row, "what"), string(row, "remedy"))
    };
    rows.iter().map(finding).collect::<Vec<_>>().join("\n")
}

fn words(key: &str) -> String {
    key.replace('_', " ")
}

/// The text, `-` when there is none. Names are the clients' own: nothing in them may act on a terminal.
fn string(row: &Map<String, Value>, key: &str) -> String {
    match row.get(key).and_then(Value::as_str) {
        None | Some("") => "-".to_owned(),
        Some(text) => Plain(text).to_string(),
    }
}

fn number(row: &Map<String, Value>, key: &str) -> u64 {
    row.get(key).and_then(Value::as_u64).unwrap_or(0)
}

fn known(row: &Map<String, Value>, key: &str, show: fn(u64) -> String) -> String {
    row.get(key).and_then(Value::as_u64).map_or("-".to_owned(), show)
}

/// `live`, or `live/room1` when the client named an instance.
fn application(row: &Map<String, Value>) -> String {
    match row.get("instance").and_then(Value::as_str) {
        None | Some("" | DEFAULT_INSTANCE) => string(row, "app"),
        Some(instance) => format!("{}/{}", string(row, "app"), Plain(instance)),
    }
}

/// `1280x720 H.264 High 3.1, 30 fps, key frame every 2 s`.
fn video(row: &Map<String, Value>) -> String {
    let mut text = string(row, "video");
    if let Some(rate) = row.get("fps").and_then(Value::as_f64) {
        text += &format!(", {} fps", (rate * 100.0).round() / 100.0);
    }
    if let Some(interval_ms) = row.get("key_frame_ms").and_then(Value::as_u64) {
        text += &format!(", key frame every {} s", (interval_ms as f64 / 10.0).round() / 100.0);
    }
    text
}

/// How long ago that was, as far as this machine's clock can say.
fn written(row: &Map<String, Value>) -> String {
    let now_s = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    let ago = now_s.checked_sub(number(row, "written")).map(duration);
    ago.map_or("-".to_owned(), |ago| format!("{ago} ago"))
}

/// `42 s`, `3 min 12 s`, `5 h 07 min`, `12 d 03 h`.
fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min {:02} s", seconds % 60),
        3600..86_400 => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{days} d {:02} h", hours % 24),
    }
}

/// Three digits and a unit: `999 B`, `1.23 kB`, `45.6 MB`.
fn size(bytes: u64) -> String {
    scaled(bytes, &["B", "kB", "MB", "GB", "TB", "PB"])
}

fn bitrate(bps: u64) -> String {
    match bps {
        0 => "-".to_owned(),
        bps => scaled(bps, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s"]),
    }
}

fn scaled(value: u64, units: &[&str]) -> String {
    let (mut scaled, mut at) = (value as f64, 0);
    // 999.5 would be shown as 1000.
    while scaled >= 999.5 && at + 1 < units.len() {
        scaled /= 1000.0;
        at += 1;
    }
    let digits = if at == 0 || scaled >= 99.95 {
        0
    } else if scaled >= 9.995 {
        1
    } else {
        2
    };
    format!("{scaled:.digits$} {}", units[at])
}

fn round_trip(us: u64) -> String {
    match us {
        0..10_000 => format!("{:.2} ms", us as f64 / 1000.0),
        _ => format!("{} ms", us / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<CtlArguments>, String> {
        parse(line.split_whitespace().map(OsString::from).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn options_may_stand_anywhere_and_commands_know_their_arguments() {
        let request = parsed("disconnect --socket /run/x.sock c7.2 --json").unwrap().unwrap();
        assert_eq!((request.command, request.argument.as_str(), request.json), ("disconnect", "c7.2", true));
        assert_eq!(request.socket, Some("/run/x.sock".into()));
        for line in ["", "--json", "-h", "clients --help", "help"] {
            assert_eq!(parsed(line), Ok(None), "{line}");
        }
        for (line, expected) in [
            ("client", "unknown command client, did you mean clients?"),
            ("clients c1.0", "unexpected argument c1.0"),
            ("unload", "unload needs an argument: APP[/INSTANCE]"),
            ("disconnect c1.0 c2.0", "unexpected argument c2.0"),
            ("--sock x", "unknown option --sock, did you mean --socket?"),
        ] {
            assert_eq!(parsed(line), Err(expected.to_owned()), "{line}");
        }
        let error = parse(vec!["unload".into(), "live\nclients".into()]).unwrap_err().to_string();
        assert_eq!(error, "\"live\\nclients\" is no APP[/INSTANCE]");
    }

    #[test]
    fn sizes_and_durations_are_read_at_a_glance() {
        let sizes = [0, 999, 1000, 12_345, 999_499, 999_500, 99_950_000, 4_000_000_000].map(size);
        assert_eq!(sizes, ["0 B", "999 B", "1.00 kB", "12.3 kB", "999 kB", "1.00 MB", "100 MB", "4.00 GB"]);
        assert_eq!([59, 192, 18_420, 1_047_600].map(duration), ["59 s", "3 min 12 s", "5 h 07 min", "12 d 03 h"]);
        assert_eq!([0, 2_512_000].map(bitrate), ["-", "2.51 Mbit/s"]);
        assert_eq!([120, 45_678].map(round_trip), ["0.12 ms", "45 ms"]);
    }

    #[test]
    fn columns_are_aligned_and_names_cannot_act_on_a_terminal() {
        let row = |text: &str| serde_json::from_str::<Value>(text).unwrap().as_object().unwrap().clone();
        let rows = [
            row(r#"{"name":"live","kind":"live","state":"ready","instances":2,"clients":12,"streams":1}"#),
            row("{\"name\":\"a\\u001b[2J\\u202eb\",\"kind\":\"vod\",\"state\":\"broken\",\"clients\":0,\"streams\":0}"),
        ];
        assert_eq!(
            table(&APPS, &rows, "none"),
            "NAME                 KIND  STATE   INSTANCES  CLIENTS  STREAMS\n\
             live                 live  ready           2       12        1\n\
             a\\u{1b}[2J\\u{202e}b  vod   broken          0        0        0"
        );
        assert_eq!(table(&APPS, &[], "none"), "none");
    }

    #[test]
    fn help_names_every_command_on_lines_of_a_terminal() {
        let help = help();
        assert!(COMMANDS.iter().all(|(name, ..)| help.contains(&format!("\n  {name} "))), "{help}");
        assert!(help.lines().all(|line| line.len() <= 120), "{help}");
    }
}
