//! Arguments of `rill connect`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;
use serde_json::Value as Json;

use crate::client::url::RtmpUrl;

/// What `rill connect --help` prints.
pub const HELP: &str = "\
rill connect URL [options]

Connects to an application of an RTMP server, prints every net status event and every call of the server, and closes.
URL is rtmp[s]://host[:port]/application[/instance][?query]; the port is 1935, or 443 in TLS.

  --arg VALUE            an argument for the application's onConnect; may be repeated. A JSON number, boolean, null, array
                         or object is sent as that, anything else as a string ('\"5\"' is the string 5)
  --call NAME[,JSON...]  call this method of the server with these arguments once connected, and print its result; may be
                         repeated, and is done in that order
  --answer NAME=JSON     what to answer when the server calls NAME; may be repeated. Calls of other names are answered
                         with an error, except onBWCheck (a counter) and onBWDone (null)
  --stay                 stay connected until Ctrl-C or until the server closes
  --follow               follow redirections, three at most; without, they are printed
  --ca FILE              in TLS believe, besides the public authorities, who stands in this PEM file: an authority of your
                         own, or the server's certificate itself
  --timeout SECONDS      give up what is not answered by then: the connection, connect, each call (10)
  --encoding 0|3         objectEncoding to ask for: AMF 0 or AMF 3 (0)
  --page-url URL         pageUrl to send (none)
  --swf-url URL          swfUrl to send: what an application sees as client.referrer (none)
  --flash-ver TEXT       flashVer to send: client.agent (rill-connect and its version)
  -h, --help             this text

Members of objects are sent and printed in alphabetical order.

Exits with
  0  connected; everything asked for was done
  1  the server broke the protocol, or something else went wrong
  2  the arguments are wrong
  3  NetConnection.Connect.Rejected
  4  NetConnection.Connect.InvalidApp
  5  NetConnection.Connect.Failed: the server cannot be reached or does not answer
  6  the server closed the connection without saying why
  7  NetConnection.Connect.AppShutdown
  8  a call failed
  9  NetConnection.Connect.IdleTimeout
";

/// What to do, as asked for on the command line.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one")]
pub enum ConnectArguments {
    /// Print [`HELP`].
    Help,
    /// Connect.
    Connect(ConnectOptions),
}

/// How to connect, and what for.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectOptions {
    /// Where to; it has been found to be one.
    pub url: String,
    /// Arguments behind the connect object.
    pub arguments: Vec<Json>,
    /// Methods to call, with their arguments.
    pub calls: Vec<(String, Vec<Json>)>,
    /// What to answer to calls of the server.
    pub answers: Vec<(String, Json)>,
    /// Stay connected.
    pub stay: bool,
    /// Follow redirections.
    pub follow: bool,
    /// A file of those who are believed in TLS besides the public authorities.
    pub ca: Option<PathBuf>,
    /// How long to wait for each answer.
    pub timeout: Duration,
    /// 0 or 3.
    pub object_encoding: u8,
    /// `pageUrl`.
    pub page_url: Option<String>,
    /// `swfUrl`.
    pub swf_url: Option<String>,
    /// `flashVer`.
    pub flash_ver: String,
}

/// Reads the arguments that follow `rill connect`.
///
/// # Errors
///
/// A sentence about what is wrong, with what is allowed.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<ConnectArguments, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut options = ConnectOptions {
        url: String::new(),
        arguments: Vec::new(),
        calls: Vec::new(),
        answers: Vec::new(),
        stay: false,
        follow: false,
        ca: None,
        timeout: Duration::from_secs(10),
        object_encoding: 0,
        page_url: None,
        swf_url: None,
        flash_ver: concat!("rill-connect ", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Value(url) if options.url.is_empty() => options.url = url.string()?,
            Long("arg") => options.arguments.push(typed(parser.value()?.string()?)),
            Long("call") => options.calls.push(parser.value()?.parse_with(call)?),
            Long("answer") => options.answers.push(parser.value()?.parse_with(answer)?),
            Long("stay") => options.stay = true,
            Long("follow") => options.follow = true,
            Long("ca") => options.ca = Some(parser.value()?.into()),
            Long("timeout") => options.timeout = parser.value()?.parse_with(seconds)?,
            Long("encoding") => options.object_encoding = parser.value()?.parse_with(encoding)?,
            Long("page-url") => options.page_url = Some(parser.value()?.string()?),
            Long("swf-url") => options.swf_url = Some(parser.value()?.string()?),
            Long("flash-ver") => options.flash_ver = parser.value()?.string()?,
            Short('h') | Long("help") => return Ok(ConnectArguments::Help),
            _ => return Err(argument.unexpected()),
        }
    }
    if options.url.is_empty() {
        return Err("the URL is missing".into());
    }
    RtmpUrl::parse(&options.url).map_err(|error| format!("{}: {error}", options.url.escape_debug()))?;
    Ok(ConnectArguments::Connect(options))
}

/// A value as people type it: JSON if it is that, else the text itself.
fn typed(text: String) -> Json {
    serde_json::from_str(&text).unwrap_or(Json::String(text))
}

fn call(text: &str) -> Result<(String, Vec<Json>), String> {
    let (name, arguments) = text.split_once(',').unwrap_or((text, ""));
    if name.is_empty() {
        return Err("a method's name must come first, like add,1,2".to_owned());
    }
    let arguments = serde_json::from_str(&format!("[{arguments}]"));
    let arguments =
        arguments.map_err(|_| "what follows the name must be JSON, like add,1,2 or greet,\"Ann\"".to_owned())?;
    Ok((name.to_owned(), arguments))
}

fn answer(text: &str) -> Result<(String, Json), String> {
    let form = || "must be NAME=JSON, like colour=\"red\" or sum=3".to_owned();
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(form)?;
    Ok((name.to_owned(), serde_json::from_str(value).map_err(|_| form())?))
}

fn seconds(text: &str) -> Result<Duration, String> {
    // The parser of JSON is there; std's would be 13 kB of the program.
    let seconds = serde_json::from_str::<Json>(text)
        .ok()
        .and_then(|value| value.as_f64())
        .filter(|seconds| (0.1..=86_400.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "seconds from 0.1 to 86400 are allowed".to_owned())
}

fn encoding(text: &str) -> Result<u8, String> {
    match text {
        "0" => Ok(0),
        "3" => Ok(3),
        _ => Err("0 and 3 are allowed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(line: &[&str]) -> Result<ConnectArguments, String> {
        parse(line.iter().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn values_have_the_type_that_json_gives_them() {
        let line = [
            "--arg",
            "5",
            "--arg",
            "five",
            "rtmp://h/a",
            "--arg=true",
            "--arg=null",
            "--arg",
            r#"{"a":[1]}"#,
            "--arg",
            r#""5""#,
            "--arg",
            "",
            "--arg=-1",
            "--arg",
            "{a}",
        ];
        let Ok(ConnectArguments::Connect(options)) = parsed(&line) else { panic!("{:?}", parsed(&line)) };
        let expected = [json!(5), json!("five"), json!(true), json!(null), json!({"a": [1]}), json!("5"), json!("")];
        assert_eq!(options.arguments[..7], expected);
        assert_eq!(options.arguments[7..], [json!(-1), json!("{a}")]);
        assert_eq!(
            (options.url.as_str(), options.stay, options.timeout),
            ("rtmp://h/a", false, Duration::from_secs(10))
        );
    }

    #[test]
    fn calls_and_answers_are_json() {
        let line = ["rtmp://h/a", "--call", "now", "--call", r#"add,1,"x, y",{"a":2}"#, "--answer", "f=g=h", "--stay"];
        assert!(parsed(&line).unwrap_err().contains("must be NAME=JSON"));
        let line = ["rtmp://h/a", "--call", "now", "--call", r#"add,1,"x, y",{"a":2}"#, "--answer", r#"f="g=h""#];
        let Ok(ConnectArguments::Connect(options)) = parsed(&line) else { panic!("{:?}", parsed(&line)) };
        let add = ("add".to_owned(), vec![json!(1), json!("x, y"), json!({"a": 2})]);
        assert_eq!(options.calls, [("now".to_owned(), vec![]), add]);
        assert_eq!(options.answers, [("f".to_owned(), json!("g=h"))]);
    }

    #[test]
    fn wrong_arguments_are_named_with_what_is_allowed() {
        for (line, part) in [
            (&[][..], "the URL is missing"),
            (&["rtmp://h/a", "b"], "unexpected argument \"b\""),
            (&["rtmpe://h/a"], "rtmpe://h/a: rtmpe:// is not supported, only rtmp:// and rtmps:// are"),
            (&["rtmp://h"], "the application is missing"),
            (&["rtmp://h/a", "--call", "f,x"], "what follows the name must be JSON"),
            (&["rtmp://h/a", "--call", ",1"], "a method's name must come first"),
            (&["rtmp://h/a", "--timeout", "0"], "from 0.1 to 86400"),
            (&["rtmp://h/a", "--encoding", "1"], "0 and 3 are allowed"),
            (&["rtmp://h/a", "--args", "1"], "invalid option '--args'"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(part), "{line:?}: {error}");
        }
    }
}
