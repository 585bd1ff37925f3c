//! The command line's arguments: what may be typed.

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use lexopt::Arg::{Long, Short, Value};

use crate::config::edits;
use crate::store::Options;

use super::sign::SignCommand;
use super::user::UserCommand;

/// The port of RTMP (RTMP 1.0, section 2: registered with IANA as `macromedia-fcs`).
pub(super) const RTMP_PORT: u16 = 1935;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Serve with the configuration that these options lead to.
    Serve(Options),
    /// Check the configuration that these options lead to, without serving.
    Check(Options),
    /// List every limit and the memory table.
    Limits {
        /// The configuration that they follow from.
        options: Options,
        /// As JSON instead of text.
        json: bool,
    },
    /// Make a root with applications and a configuration file.
    Init {
        /// Where.
        directory: PathBuf,
        /// With a certificate that signs itself.
        tls: bool,
    },
    /// Change or list the users of an application.
    User {
        /// The configuration that says where they are.
        options: Options,
        /// What is to be done.
        command: UserCommand,
    },
    /// Make a link that expires.
    Sign {
        /// The configuration that has the key.
        options: Options,
        /// What it is for.
        command: SignCommand,
    },
    /// List every status code.
    Statuses {
        /// As JSON instead of text.
        json: bool,
    },
    /// Measure a server; the arguments are those of [`crate::bench`].
    Bench(Vec<OsString>),
    /// Connect as a client; the arguments are those of `rill connect`.
    Connect(Vec<OsString>),
    /// Ask a running server; the arguments are those of `rill ctl`.
    Ctl(Vec<OsString>),
    /// Run scripts for the server that has started this process. Nobody types it, so no help lists it; its
    /// argument is the memory in bytes that it may have.
    ScriptHost(Vec<OsString>),
    /// List the board profiles.
    Boards {
        /// All that is in them, as JSON.
        json: bool,
    },
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
}

/// The command line is wrong. It is displayed as one line that says what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(pub(super) String);

/// An option and its line of help.
pub(super) struct Opt {
    pub(super) short: Option<char>,
    pub(super) long: &'static str,
    pub(super) value: &'static str,
    pub(super) help: &'static str,
}

#[rustfmt::skip]
pub(super) const OPTIONS: [Opt; 12] = [
    opt(Some('c'), "config", "FILE", "read this configuration (default: ROOT/rill.toml, else /etc/rill/rill.toml)"),
    opt(None, "root", "DIR", "directory that holds applications/ (default: /var/lib/rill if it exists)"),
    opt(None, "listen", "ADDR:PORT", "listen there, also :PORT or PORT; may be repeated (default: 0.0.0.0:1935)"),
    opt(None, "board", "NAME", "take the counts of this board (default: the board this is)"),
    opt(None, "set", "KEY=VALUE", "set any key of the configuration; may be repeated"),
    opt(None, "log", "LEVEL", "off, error, warn, info, debug or trace (also RUST_LOG; default: info)"),
    opt(Some('t'), "test", "", "check the configuration and exit: 0 if it is right, 1 if not"),
    opt(None, "json", "", "for `rill limits`, `rill statuses` and `rill boards`: as JSON"),
    opt(None, "tls", "", "for `rill init`: with a certificate for TLS that signs itself"),
    opt(None, "for", "TIME", "for `rill sign`: how long the link is good, like 90m, 2h or 7d"),
    opt(Some('V'), "version", "", "print the version and exit"),
    opt(Some('h'), "help", "", "print this and exit"),
];

pub(super) const COMMANDS: [(&str, &str); 10] = [
    ("serve", "serve until SIGTERM or SIGINT; what happens without a command, too"),
    ("init", "make a root: `rill init DIR` makes DIR with applications and a commented rill.toml"),
    ("user", "who may publish: `rill user add APP NAME`, remove APP NAME, list APP"),
    ("sign", "make a link that expires: `rill sign play|publish URL --for 2h` (sign.key)"),
    ("limits", "list every limit, where it comes from, and the memory table"),
    ("statuses", "list every status code that clients are sent, and when"),
    ("ctl", "ask a running server, and send clients away: `rill ctl --help`"),
    ("boards", "list the board profiles"),
    ("connect", "connect to an application and print what the server says: `rill connect --help`"),
    ("bench", "measure what a server can serve: `rill bench --help`"),
];

const fn opt(short: Option<char>, long: &'static str, value: &'static str, help: &'static str) -> Opt {
    Opt { short, long, value, help }
}

/// Reads the arguments behind the program's name.
///
/// # Errors
///
/// Unknown options and commands, missing values, addresses that are none.
pub fn parse<I>(arguments: I) -> Result<Invocation, UsageError>
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut command: Option<String> = None;
    let mut words: Vec<OsString> = Vec::new();
    let mut time: Option<String> = None;
    let mut options = Options::default();
    let mut listen: Vec<String> = Vec::new();
    let (mut json, mut test, mut tls) = (false, false, false);
    while let Some(argument) = parser.next().map_err(from_lexopt)? {
        match argument {
            Short('c') | Long("config") => options.config = Some(text(&mut parser)?.into()),
            Long("root") => options.sets.push(format!("server.root={}", text(&mut parser)?)),
            Long("board") => options.sets.push(format!("server.board={}", text(&mut parser)?)),
            Long("log") => options.sets.push(format!("server.log={}", text(&mut parser)?)),
            Long("set") => options.sets.push(text(&mut parser)?),
            Long("listen") => listen.push(address(&text(&mut parser)?)?.to_string()),
            Long("json") => json = true,
            Long("tls") => tls = true,
            Long("for") => time = Some(text(&mut parser)?),
            Short('t') | Long("test") => test = true,
            Short('V') | Long("version") => return Ok(Invocation::Version),
            Short('h') | Long("help") => return Ok(Invocation::Help),
            Short(letter) => return Err(UsageError(format!("unknown option -{letter}"))),
            Long(name) => return Err(unknown("option", "--", name, OPTIONS.iter().map(|option| option.long))),
            Value(word) if command.is_none() && word == "bench" => {
                return Ok(Invocation::Bench(parser.raw_args().map_err(from_lexopt)?.collect()));
            }
            Value(word) if command.is_none() && word == "connect" => {
                return Ok(Invocation::Connect(parser.raw_args().map_err(from_lexopt)?.collect()));
            }
            Value(word) if command.is_none() && word == "script-host" => {
                return Ok(Invocation::ScriptHost(parser.raw_args().map_err(from_lexopt)?.collect()));
            }
            Value(word) if command.is_none() && word == "ctl" => {
                // What stood before it speaks of the same server.
                let before = options_again(&options);
                return Ok(Invocation::Ctl(before.chain(parser.raw_args().map_err(from_lexopt)?).collect()));
            }
            Value(word) if command.is_none() => command = Some(word.to_string_lossy().into_owned()),
            Value(word) if words.len() < most_words(command.as_deref()) => words.push(word),
            Value(word) => return Err(UsageError(format!("unexpected argument {}", word.display()))),
        }
    }
    if !listen.is_empty() {
        options.sets.push(format!("server.listen={listen:?}"));
    }
    let command = command.unwrap_or_else(|| "serve".to_owned());
    if json && !matches!(command.as_str(), "limits" | "statuses" | "boards") {
        return Err(UsageError("--json belongs to `rill limits`, `rill statuses` and `rill boards`".to_owned()));
    }
    if tls && command != "init" {
        return Err(UsageError("--tls belongs to `rill init`".to_owned()));
    }
    if time.is_some() && command != "sign" {
        return Err(UsageError("--for belongs to `rill sign`".to_owned()));
    }
    if test && matches!(command.as_str(), "limits" | "statuses" | "boards" | "help" | "init" | "user" | "sign") {
        return Err(UsageError(format!("-t belongs to `rill serve`, not to `rill {command}`")));
    }
    match command.as_str() {
        "serve" if test => Ok(Invocation::Check(options)),
        "serve" => Ok(Invocation::Serve(options)),
        "limits" => Ok(Invocation::Limits { options, json }),
        "init" if options != Options::default() => {
            Err(UsageError("`rill init DIR` takes no options but --tls".to_owned()))
        }
        "init" => {
            let directory = words.pop().ok_or_else(|| UsageError("`rill init` needs a value: DIR".to_owned()))?;
            Ok(Invocation::Init { directory: directory.into(), tls })
        }
        "sign" => {
            let words = utf8(&words);
            let usage = || UsageError(format!("`rill sign` is followed by {}", SignCommand::USAGE));
            let command = SignCommand::parse(&words, time.as_deref()).ok_or_else(usage)?;
            Ok(Invocation::Sign { options, command })
        }
        "user" => {
            let words = utf8(&words);
            let usage = || UsageError(format!("`rill user` is followed by {}", UserCommand::USAGE));
            Ok(Invocation::User { options, command: UserCommand::parse(&words).ok_or_else(usage)? })
        }
        "statuses" => Ok(Invocation::Statuses { json }),
        "boards" => Ok(Invocation::Boards { json }),
        "help" => Ok(Invocation::Help),
        word => Err(unknown("command", "", word, COMMANDS.iter().map(|(name, _)| *name))),
    }
}

/// Words as text; what is none is nothing that a command takes.
fn utf8(words: &[OsString]) -> Vec<&str> {
    words.iter().map(|word| word.to_str().unwrap_or_default()).collect()
}

/// Words that may stand behind a command.
fn most_words(command: Option<&str>) -> usize {
    match command {
        Some("init") => 1,
        Some("user") => 3,
        Some("sign") => 2,
        _ => 0,
    }
}

/// Options as they could be typed.
fn options_again(options: &Options) -> impl Iterator<Item = OsString> {
    let config = options.config.iter().flat_map(|path| ["--config".into(), path.clone().into_os_string()]);
    let sets = options.sets.iter().flat_map(|set| ["--set".into(), set.into()]);
    config.chain(sets).collect::<Vec<_>>().into_iter()
}

/// The value of the option that was just read.
pub(super) fn text(parser: &mut lexopt::Parser) -> Result<String, UsageError> {
    let value = parser.value().map_err(from_lexopt)?;
    value.into_string().map_err(|value| UsageError(format!("{} is not UTF-8", value.display())))
}

/// An address to listen on, as people write it: `ADDR:PORT`, `:PORT` and `PORT` (every address), `ADDR` (RTMP's port).
fn address(written: &str) -> Result<SocketAddr, UsageError> {
    let all = |port: &str| port.parse().ok().map(|port| SocketAddr::new([0, 0, 0, 0].into(), port));
    let bare = |ip: &str| ip.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, RTMP_PORT));
    let found = match written.strip_prefix(':') {
        // `::1` and `::` begin like that, too.
        Some(port) if !port.starts_with(':') => all(port),
        _ => written.parse().ok().or_else(|| all(written)).or_else(|| bare(written)),
    };
    found.ok_or_else(|| {
        UsageError(format!(
            "--listen {written}: must be ADDR:PORT, :PORT or PORT, like 0.0.0.0:1935, 192.168.1.20:1935 or [::]:1935"
        ))
    })
}

pub(super) fn unknown(what: &str, dashes: &str, word: &str, known: impl Iterator<Item = &'static str>) -> UsageError {
    // A beginning is how options are abbreviated elsewhere.
    let distance = |name: &str| if name.starts_with(word) { 0 } else { edits(name, word) };
    let nearest = known.map(|name| (distance(name), name)).min();
    match nearest.filter(|(distance, _)| *distance <= 1 + word.len() / 3) {
        Some((_, name)) => UsageError(format!("unknown {what} {dashes}{word}, did you mean {dashes}{name}?")),
        None => UsageError(format!("unknown {what} {dashes}{word}")),
    }
}

pub(super) fn from_lexopt(error: lexopt::Error) -> UsageError {
    match error {
        lexopt::Error::MissingValue { option: Some(option) } => {
            let wanted = OPTIONS.iter().find(|known| option.trim_start_matches('-') == known.long);
            UsageError(format!("{option} needs a value{}", wanted.map_or(String::new(), |o| format!(": {}", o.value))))
        }
        error => UsageError(error.to_string()),
    }
}

/// The text of `--help`.
pub(super) fn help() -> String {
    let mut text = String::from(
        "Rill: live streaming over RTMP for small boards.\n\nUsage: rill [serve] [OPTIONS]\n       rill COMMAND [OPTIONS]\n",
    );
    text += "\nCommands:\n";
    for (name, help) in COMMANDS {
        text += &format!("  {name:<24}{help}\n");
    }
    text += "\nOptions:\n";
    for option in &OPTIONS {
        let short = option.short.map_or("    ".to_owned(), |letter| format!("-{letter}, "));
        let usage = format!("{short}--{} {}", option.long, option.value);
        text += &format!("  {usage:<24}{}\n", option.help);
    }
    text += "\nSignals: SIGTERM and SIGINT tell every client and end the program within two seconds, a second one ends it\n\
             at once; SIGUSR1 writes a report into the log; SIGHUP reads the configuration again.\n\n\
             Publish to rtmp://HOST/live/NAME and play the same URL. `rill limits` lists the keys of --set.";
    text
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Invocation, String> {
        parse(line.split_whitespace()).map_err(|error| error.to_string())
    }

    #[test]
    fn options_become_keys_of_the_configuration_in_their_order() {
        let line =
            "-c a.toml --root=/srv --listen :1936 --set live.merge_ms=5 --board host --log debug --listen [::1]:7";
        let expected = Options {
            config: Some("a.toml".into()),
            sets: [
                "server.root=/srv",
                "live.merge_ms=5",
                "server.board=host",
                "server.log=debug",
                r#"server.listen=["0.0.0.0:1936", "[::1]:7"]"#,
            ]
            .map(str::to_owned)
            .to_vec(),
        };
        assert_eq!(parsed(line), Ok(Invocation::Serve(expected.clone())));
        assert_eq!(parsed(&format!("serve {line} -t")), Ok(Invocation::Check(expected.clone())));
        assert_eq!(parsed(&format!("limits {line} --json")), Ok(Invocation::Limits { options: expected, json: true }));
        assert_eq!(parsed(""), Ok(Invocation::Serve(Options::default())));
        let arguments = ["rtmp://h/live/x", "--players", "3"].map(OsString::from).to_vec();
        assert_eq!(parsed("bench rtmp://h/live/x --players 3"), Ok(Invocation::Bench(arguments)));
        let arguments = ["rtmp://h/a", "--stay"].map(OsString::from).to_vec();
        assert_eq!(parsed("connect rtmp://h/a --stay"), Ok(Invocation::Connect(arguments)));
        let arguments = ["--config", "x", "--set", "server.root=/r", "clients", "--json"].map(OsString::from).to_vec();
        assert_eq!(parsed("-c x --root /r ctl clients --json"), Ok(Invocation::Ctl(arguments)));
        assert_eq!((parsed("-V"), parsed("limits -h")), (Ok(Invocation::Version), Ok(Invocation::Help)));
    }

    #[test]
    fn an_address_may_be_written_short() {
        for (written, meant) in [
            ("1936", "0.0.0.0:1936"),
            (":1936", "0.0.0.0:1936"),
            ("10.0.0.5:7", "10.0.0.5:7"),
            ("10.0.0.5", "10.0.0.5:1935"),
            ("::1", "[::1]:1935"),
            ("[::]:0", "[::]:0"),
        ] {
            assert_eq!(address(written).unwrap().to_string(), meant);
        }
        for wrong in ["", ":", "70000", "localhost:1935", "10.0.0.5:", "rtmp://10.0.0.5"] {
            let error = address(wrong).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--listen {wrong}: must be ADDR:PORT")), "{error}");
        }
    }

    #[test]
    fn what_is_unknown_is_named_with_what_is_near() {
        for (line, expected) in [
            ("--lisen :1", "unknown option --lisen, did you mean --listen?"),
            ("--conf x", "unknown option --conf, did you mean --config?"),
            ("--quux", "unknown option --quux"),
            ("-x", "unknown option -x"),
            ("limit", "unknown command limit, did you mean limits?"),
            ("frobnicate", "unknown command frobnicate"),
            ("serve more", "unexpected argument more"),
            ("--board", "--board needs a value: NAME"),
            ("limits -t", "-t belongs to `rill serve`, not to `rill limits`"),
            ("-t srve", "unknown command srve, did you mean serve?"),
            ("init", "`rill init` needs a value: DIR"),
            ("init a b", "unexpected argument b"),
            ("init a --board host", "`rill init DIR` takes no options but --tls"),
            ("limits --tls", "--tls belongs to `rill init`"),
            (
                "user add live",
                "`rill user` is followed by add APP NAME, remove APP NAME or list APP; the password is asked for",
            ),
            (
                "sign play rtmp://h/live/cam",
                "`rill sign` is followed by play or publish, a URL, and --for with a time like 90m, 2h or 7d",
            ),
            ("limits --for 2h", "--for belongs to `rill sign`"),
            ("user add live cam s3cret", "unexpected argument s3cret"),
            ("--json", "--json belongs to `rill limits`, `rill statuses` and `rill boards`"),
        ] {
            assert_eq!(parsed(line), Err(expected.to_owned()), "{line}");
        }
    }

    #[test]
    fn help_lists_every_option_and_command_on_lines_of_a_terminal() {
        let help = help();
        for option in &OPTIONS {
            assert!(help.contains(&format!("--{} {}", option.long, option.value)), "{}", option.long);
        }
        for (name, _) in COMMANDS {
            assert!(help.contains(&format!("\n  {name} ")), "{name}");
        }
        assert!(help.lines().all(|line| line.len() <= 110), "{help}");
    }
}
