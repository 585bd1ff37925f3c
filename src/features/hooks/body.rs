//! What requests to hooks say: the form of nginx-rtmp's callbacks (its `ngx_rtmp_notify_module`), and the JSON of SRS's
//! (its HTTP callback, v6). Written where there is room: what a client says of itself is cut, and what names it is not.

use core::fmt::{self, Display, Write};
use core::net::IpAddr;

use crate::limits::HOOK_BODY_BYTES;
use crate::live::hook_settings::{HookEvent, HookStyle};
use crate::text::is_hidden;

/// What a request says.
pub type HookBody = heapless::Vec<u8, HOOK_BODY_BYTES>;

/// What is said of a client, and of what it does.
#[derive(Clone, Copy, Debug)]
pub struct HookSays<'a> {
    /// The application.
    pub app: &'a str,
    /// The client's address.
    pub addr: IpAddr,
    /// By which the operator knows it ([`ConnId::number`](crate::handles::ConnId::number)).
    pub client: u32,
    /// What software it is.
    pub agent: &'a str,
    /// What it connected to.
    pub tc_url: &'a str,
    /// The page that it is on.
    pub page_url: &'a str,
    /// The program in the page.
    pub swf_url: &'a str,
    /// The stream's path in the application; empty where there is none.
    pub name: &'a str,
    /// What stood behind the `?` of the name, or of the application.
    pub args: &'a str,
    /// What else there is to say.
    pub more: HookMore<'a>,
}

/// What is said of one event alone.
#[derive(Clone, Copy, Debug)]
pub enum HookMore<'a> {
    /// Nothing.
    Nothing,
    /// Of a client that wants to join: when, by the server's time, in milliseconds.
    Joins(u64),
    /// Of one that wants to publish: how, in RTMP's word.
    Publishes(&'static str),
    /// Of what has ended: how long it lasted, in seconds.
    Lasted(u64),
    /// Of who publishes (true) or plays still: for how long, in seconds, and the stream's time, in milliseconds.
    Goes(bool, u64, u32),
    /// Of a complete file: where it is.
    File(&'a str),
    /// Of a connection that has ended: bytes received and sent.
    Bytes(u64, u64),
}

/// There is no room for what must be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyTooLong;

/// Writes a request's body.
///
/// # Errors
///
/// [`BodyTooLong`].
pub fn write(style: HookStyle, event: HookEvent, says: &HookSays<'_>, out: &mut HookBody) -> Result<(), BodyTooLong> {
    out.clear();
    match style {
        HookStyle::Form => write_form(event, says, &mut Fields { out, style }),
        HookStyle::Json => write_json(event, says, &mut Fields { out, style }),
    }
}

/// The type of such a body.
pub const fn content_type(style: HookStyle) -> &'static str {
    match style {
        HookStyle::Form => "application/x-www-form-urlencoded",
        HookStyle::Json => "application/json",
    }
}

fn write_form(event: HookEvent, says: &HookSays<'_>, to: &mut Fields<'_>) -> Result<(), BodyTooLong> {
    let call = match (event, says.more) {
        (HookEvent::Connect, _) => "connect",
        (HookEvent::Publish, _) => "publish",
        (HookEvent::Play, _) => "play",
        (HookEvent::Done, _) => "done",
        (HookEvent::PublishDone, _) => "publish_done",
        (HookEvent::PlayDone, _) => "play_done",
        (HookEvent::RecordDone, _) => "record_done",
        (HookEvent::Update, HookMore::Goes(true, ..)) => "update_publish",
        (HookEvent::Update, _) => "update_play",
    };
    to.field("call", &call)?;
    to.field("app", &says.app)?;
    if event != HookEvent::RecordDone {
        to.field("addr", &says.addr)?;
        to.field("clientid", &says.client)?;
    }
    if !says.name.is_empty() {
        to.field("name", &says.name)?;
    }
    match says.more {
        HookMore::Joins(ms) => to.field("epoch", &(ms as u32))?,
        HookMore::Publishes(kind) => to.field("type", &kind)?,
        HookMore::Lasted(seconds) => to.field("duration", &seconds)?,
        HookMore::Goes(_, seconds, ms) => {
            to.field("time", &seconds)?;
            to.field("timestamp", &ms)?;
        }
        HookMore::File(path) => {
            to.field("recorder", &"")?;
            to.field("path", &path)?;
        }
        HookMore::Nothing | HookMore::Bytes(..) => {}
    }
    // They are in this form already. A back end may take the last of two fields: what is said here is not for the client to say.
    let own = to.out.len();
    for pair in says.args.split('&').filter(|pair| !pair.is_empty()) {
        if !to.is_own(own, pair) {
            to.put(b"&")?;
            to.put(pair.as_bytes())?;
        }
    }
    if event != HookEvent::RecordDone {
        to.cut("tcurl", says.tc_url);
        to.cut("flashver", says.agent);
        to.cut("pageurl", says.page_url);
        to.cut("swfurl", says.swf_url);
    }
    Ok(())
}

fn write_json(event: HookEvent, says: &HookSays<'_>, to: &mut Fields<'_>) -> Result<(), BodyTooLong> {
    let action = match event {
        HookEvent::Connect => "on_connect",
        HookEvent::Publish => "on_publish",
        HookEvent::Play => "on_play",
        HookEvent::Done => "on_close",
        HookEvent::PublishDone => "on_unpublish",
        HookEvent::PlayDone => "on_stop",
        HookEvent::RecordDone => "on_dvr",
        // SRS has none.
        HookEvent::Update => "on_update",
    };
    to.put(b"{\"action\":\"")?;
    to.put(action.as_bytes())?;
    to.put(b"\",\"vhost\":\"__defaultVhost__\"")?;
    to.field("app", &says.app)?;
    if event != HookEvent::RecordDone {
        to.field("ip", &says.addr)?;
        to.field("client_id", &format_args!("{}", says.client))?;
    }
    if !says.name.is_empty() {
        to.field("stream", &says.name)?;
        to.field("stream_url", &format_args!("/{}/{}", says.app, says.name))?;
    }
    if event != HookEvent::RecordDone {
        let mark = if says.args.is_empty() { "" } else { "?" };
        to.field("param", &format_args!("{mark}{}", says.args))?;
    }
    match says.more {
        HookMore::Lasted(seconds) => to.number("duration", seconds)?,
        HookMore::Goes(publishes, seconds, _) => {
            to.field("does", &if publishes { "publish" } else { "play" })?;
            to.number("duration", seconds)?;
        }
        HookMore::File(path) => to.field("file", &path)?,
        HookMore::Bytes(received, sent) => {
            to.number("recv_bytes", received)?;
            to.number("send_bytes", sent)?;
        }
        HookMore::Nothing | HookMore::Joins(_) | HookMore::Publishes(_) => {}
    }
    if event != HookEvent::RecordDone {
        to.cut("tcUrl", says.tc_url);
        to.cut("pageUrl", says.page_url);
    }
    to.put(b"}")
}

/// What stands behind the client's own fields in a form.
const CLIENTS_FIELDS: [&str; 4] = ["tcurl", "flashver", "pageurl", "swfurl"];
/// Bytes that are kept for what ends a field and the whole.
const ENDS: usize = 2;
/// The most bytes that a character takes: three for each of its four, or two times `\u0000`.
const CHARACTER: usize = 12;

/// Fields, one behind the other.
struct Fields<'a> {
    out: &'a mut HookBody,
    style: HookStyle,
}

impl Fields<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), BodyTooLong> {
        self.out.extend_from_slice(bytes).map_err(|_| BodyTooLong)
    }

    fn begin(&mut self, name: &str) -> Result<(), BodyTooLong> {
        let (front, between): (&[u8], &[u8]) = match self.style {
            HookStyle::Form if self.out.is_empty() => (b"", b"="),
            HookStyle::Form => (b"&", b"="),
            HookStyle::Json => (b",\"", b"\":"),
        };
        self.put(front)?;
        self.put(name.as_bytes())?;
        self.put(between)
    }

    fn number(&mut self, name: &str, value: u64) -> Result<(), BodyTooLong> {
        self.begin(name)?;
        write!(self, "{value}").map_err(|_| BodyTooLong)
    }

    /// A field that is there as a whole.
    fn field(&mut self, name: &str, value: &dyn Display) -> Result<(), BodyTooLong> {
        self.begin(name)?;
        self.quote()?;
        write!(self, "{value}").map_err(|_| BodyTooLong)?;
        self.quote()
    }

    /// As much of a field as there is room for.
    fn cut(&mut self, name: &str, value: &str) {
        let least = name.len() + 2 * CHARACTER;
        if value.is_empty() || self.room() < least || self.begin(name).and_then(|()| self.quote()).is_err() {
            return;
        }
        for c in value.chars() {
            if self.room() < CHARACTER + ENDS || self.write_char(c).is_err() {
                break;
            }
        }
        // There is room for the end.
        let _ = self.quote();
    }

    /// Whether a field of the client's is called like one of those that the first `own` bytes have, or that follow.
    fn is_own(&self, own: usize, pair: &str) -> bool {
        // `a[]` is `a` to PHP.
        let name = pair.split(['=', '[']).next().unwrap_or_default();
        let mut decoded = heapless::String::<16>::new();
        let mut rest = name.as_bytes().iter();
        while let Some(&byte) = rest.next() {
            let hex = |digits: &[u8]| u8::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok();
            let byte = match (byte, rest.as_slice()) {
                (b'%', [a, b, ..]) => hex(&[*a, *b])
                    .inspect(|_| {
                        rest.nth(1);
                    })
                    .unwrap_or(byte),
                _ => byte,
            };
            if decoded.push(char::from(byte)).is_err() {
                // It is longer than any of ours.
                return false;
            }
        }
        let said = self.out[..own].split(|byte| *byte == b'&');
        let mut names = said.filter_map(|field| field.split(|byte| *byte == b'=').next());
        CLIENTS_FIELDS.contains(&decoded.trim()) || names.any(|name| name == decoded.trim().as_bytes())
    }

    fn room(&self) -> usize {
        self.out.capacity() - self.out.len()
    }

    fn quote(&mut self) -> Result<(), BodyTooLong> {
        if self.style == HookStyle::Json { self.put(b"\"") } else { Ok(()) }
    }
}

/// What is written is escaped as the style has it.
impl Write for Fields<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            let mut bytes = [0; 4];
            let bytes = c.encode_utf8(&mut bytes).as_bytes();
            let put = match self.style {
                HookStyle::Form if c.is_ascii_alphanumeric() || "-._~/:".contains(c) => self.put(bytes),
                HookStyle::Form => bytes.iter().try_for_each(|byte| {
                    let digit = |half: u8| b"0123456789ABCDEF"[usize::from(half)];
                    self.put(&[b'%', digit(byte >> 4), digit(byte & 15)])
                }),
                HookStyle::Json if c == '"' || c == '\\' => self.put(&[b'\\', c as u8]),
                HookStyle::Json if is_hidden(c) => {
                    let mut text = heapless::String::<CHARACTER>::new();
                    let units = &mut [0; 2];
                    c.encode_utf16(units).iter().try_for_each(|unit| write!(text, "\\u{unit:04x}"))?;
                    self.put(text.as_bytes())
                }
                HookStyle::Json => self.put(bytes),
            };
            put.map_err(|_| fmt::Error)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVERY: HookSays<'static> = HookSays {
        app: "live",
        addr: IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 7)),
        client: 7,
        agent: "FMLE/3.0 (compatible; FMSc/1.0)",
        tc_url: "rtmp://h/live",
        page_url: "",
        swf_url: "",
        name: "hall/cam 1",
        args: "token=a%20b&x=1",
        more: HookMore::Nothing,
    };

    fn said(style: HookStyle, event: HookEvent, says: HookSays<'_>) -> String {
        let mut body = HookBody::new();
        write(style, event, &says, &mut body).unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn forms_have_the_fields_of_nginx_rtmp() {
        let form = |event, more| said(HookStyle::Form, event, HookSays { more, ..EVERY });
        let of = |call: &str, more: &str| {
            format!(
                "call={call}&app=live&addr=192.0.2.7&clientid=7&name=hall/cam%201{more}&token=a%20b&x=1&tcurl=rtmp://h/live\
                 &flashver=FMLE/3.0%20%28compatible%3B%20FMSc/1.0%29"
            )
        };
        for (event, more, expected) in [
            (HookEvent::Publish, HookMore::Publishes("live"), of("publish", "&type=live")),
            (HookEvent::Play, HookMore::Nothing, of("play", "")),
            (HookEvent::Done, HookMore::Lasted(61), of("done", "&duration=61")),
            (HookEvent::PublishDone, HookMore::Lasted(61), of("publish_done", "&duration=61")),
            (HookEvent::PlayDone, HookMore::Lasted(0), of("play_done", "&duration=0")),
            (HookEvent::Update, HookMore::Goes(true, 30, 30_040), of("update_publish", "&time=30&timestamp=30040")),
            (HookEvent::Update, HookMore::Goes(false, 30, 1), of("update_play", "&time=30&timestamp=1")),
        ] {
            assert_eq!(form(event, more), expected);
        }
        let joins = HookSays { name: "", args: "", more: HookMore::Joins(1 << 32 | 5), page_url: "http://p/", ..EVERY };
        assert_eq!(
            said(HookStyle::Form, HookEvent::Connect, joins),
            "call=connect&app=live&addr=192.0.2.7&clientid=7&epoch=5&tcurl=rtmp://h/live\
             &flashver=FMLE/3.0%20%28compatible%3B%20FMSc/1.0%29&pageurl=http://p/"
        );
        let file = HookSays { args: "", more: HookMore::File("/r/live/a b.mp4"), ..EVERY };
        assert_eq!(
            said(HookStyle::Form, HookEvent::RecordDone, file),
            "call=record_done&app=live&name=hall/cam%201&recorder=&path=/r/live/a%20b.mp4"
        );
    }

    #[test]
    fn a_client_says_nothing_in_place_of_the_server() {
        let args =
            "name=admin&token=1&n%61me=x&addr=127.0.0.1&name[]=y&app=z&flashver=f&%20call=c&names=ok&&type=mine&%=a";
        let play = said(HookStyle::Form, HookEvent::Play, HookSays { args, agent: "", tc_url: "", ..EVERY });
        let own = "call=play&app=live&addr=192.0.2.7&clientid=7&name=hall/cam%201";
        assert_eq!(play, format!("{own}&token=1&names=ok&type=mine&%=a"));
        let more = HookMore::Publishes("live");
        let publish =
            said(HookStyle::Form, HookEvent::Publish, HookSays { args, agent: "", tc_url: "", more, ..EVERY });
        assert!(!publish.contains("mine"), "{publish}");
    }

    #[test]
    fn json_has_the_members_of_srs() {
        let json = |event, more| -> serde_json::Value {
            serde_json::from_str(&said(HookStyle::Json, event, HookSays { more, ..EVERY })).unwrap()
        };
        let publish = json(HookEvent::Publish, HookMore::Publishes("live"));
        for (member, value) in [
            ("action", "on_publish"),
            ("client_id", "7"),
            ("ip", "192.0.2.7"),
            ("vhost", "__defaultVhost__"),
            ("app", "live"),
            ("tcUrl", "rtmp://h/live"),
            ("stream", "hall/cam 1"),
            ("param", "?token=a%20b&x=1"),
            ("stream_url", "/live/hall/cam 1"),
        ] {
            assert_eq!(publish[member], value, "{publish}");
        }
        let closed = json(HookEvent::Done, HookMore::Bytes(7, 9));
        assert_eq!(
            (&closed["action"], &closed["recv_bytes"], &closed["send_bytes"]),
            (&"on_close".into(), &7.into(), &9.into())
        );
        assert_eq!(json(HookEvent::PublishDone, HookMore::Lasted(3))["action"], "on_unpublish");
        assert_eq!(json(HookEvent::PlayDone, HookMore::Lasted(3))["duration"], 3);
        assert_eq!(json(HookEvent::RecordDone, HookMore::File("/r/x.mp4"))["file"], "/r/x.mp4");
        let odd = HookSays { name: "a\"b\\c\n\u{202e}é", ..EVERY };
        let odd: serde_json::Value = serde_json::from_str(&said(HookStyle::Json, HookEvent::Play, odd)).unwrap();
        assert_eq!(odd["stream"], "a\"b\\c\n\u{202e}é");
    }

    #[test]
    fn what_names_a_stream_is_whole_or_nothing_is_said() {
        let long = "é".repeat(HOOK_BODY_BYTES);
        for style in [HookStyle::Form, HookStyle::Json] {
            let name = HookSays { name: &long, ..EVERY };
            assert_eq!(write(style, HookEvent::Publish, &name, &mut HookBody::new()), Err(BodyTooLong));
            let args = HookSays { args: &long, ..EVERY };
            assert_eq!(write(style, HookEvent::Publish, &args, &mut HookBody::new()), Err(BodyTooLong));
        }
    }

    proptest! {
        #[test]
        fn what_a_client_says_of_itself_always_fits(
            agent in "\\PC{0,800}", tc_url: String, page_url in "[\\x00-\\x7f]{0,900}",
        ) {
            let says = HookSays { agent: &agent, tc_url: &tc_url, page_url: &page_url, ..EVERY };
            let form = said(HookStyle::Form, HookEvent::Publish, says);
            prop_assert!(form.split('&').all(|field| field.contains('=')), "{}", form);
            let json = said(HookStyle::Json, HookEvent::Publish, says);
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert!(tc_url.starts_with(json["tcUrl"].as_str().unwrap_or_default()));
        }
    }
}
