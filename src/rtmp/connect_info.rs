//! What a client says of itself when it connects, and the answer to that (RTMP 1.0, section 7.2.1.1; Enhanced RTMP v2).

use heapless::String;

use crate::limits::{AGENT_BYTES, APP_QUERY_BYTES};
use crate::wire::amf0::{Encoder, Value};
use crate::wire::bytes::Full;

use super::status::{Code, Status};
use super::tx::TxBuf;
use super::via::{self, Via};
use crate::name::{AppPath, NameError, app_query};

/// What the connect answer calls this server. Clients parse the numbers to find out what it can do.
const SERVER_VERSION: &str = "5,0,15,5004";
const FMS_VERSION: &str = "FMS/5,0,15,5004";
/// Capabilities of the connect answer, as Adobe Media Server 5 sends them.
const CAPABILITIES: f64 = 255.0;
/// `capsEx` bit: the client follows a request to connect again, the server sends one (Enhanced RTMP v2).
const CAPS_EX_RECONNECT: u32 = 1;
/// `capsEx` bits that we support: Reconnect; Multitrack, ModEx and nanosecond offsets pass through a relay.
const CAPS_EX: u32 = CAPS_EX_RECONNECT | 2 | 4 | 8;
/// `CanForward` in a FourCC information map (Enhanced RTMP v2).
const CAN_FORWARD: f64 = 4.0;

/// What a client said of itself when it connected.
#[derive(Clone, Debug, Default)]
pub struct ConnectInfo {
    /// What it connects to.
    pub path: AppPath,
    /// Why `path` is not usable, if so.
    pub path_error: Option<NameError>,
    /// `flashVer`, cut to [`AGENT_BYTES`]: what software it is.
    pub agent: String<AGENT_BYTES>,
    /// What stood behind a `?` in `app` or `tcUrl`; empty when it is longer than [`APP_QUERY_BYTES`]. It may hold a secret.
    pub(super) query: String<APP_QUERY_BYTES>,
    /// 0 or 3.
    pub object_encoding: u8,
    sent_fourcc_list: bool,
    sent_fourcc_maps: bool,
    caps_ex: Option<u32>,
    /// By which servers it comes, if it is one itself.
    pub via: Via,
    pub(super) transaction: f64,
}

impl ConnectInfo {
    /// From the object of the connect command. Values of the wrong type count as absent (Red5 sends nulls).
    pub(super) fn from_connect(object: Option<&Value<'_>>, transaction: f64) -> ConnectInfo {
        let value = |key: &str| object.and_then(|object| object.get(key));
        let text = |key: &str| value(key).and_then(|value| value.as_str()).unwrap_or_default();
        let tc_url = tc_url(text);
        let (path, path_error) = match AppPath::parse(text("app"), tc_url) {
            Ok(path) => (path, None),
            Err(error) => (AppPath::default(), Some(error)),
        };
        let is_map = |key: &str| match value(key) {
            Some(Value::Amf3(map)) => map.properties().is_some(),
            Some(map) => map.properties().is_some(),
            None => false,
        };
        let is_list = |key: &str| match value(key) {
            Some(Value::Amf3(list)) => list.elements().is_some(),
            list => matches!(list, Some(Value::StrictArray(_))),
        };
        let encoding = value("objectEncoding").and_then(|value| value.as_number()).unwrap_or(0.0);
        let caps_ex = value("capsEx").or_else(|| value("CapsEx")).and_then(|value| value.as_number());
        ConnectInfo {
            path,
            path_error,
            agent: cut(text("flashVer")),
            query: String::try_from(app_query(text("app"), tc_url)).unwrap_or_default(),
            object_encoding: if encoding >= 3.0 { 3 } else { 0 },
            sent_fourcc_list: is_list("fourCcList"),
            sent_fourcc_maps: is_map("videoFourCcInfoMap") || is_map("audioFourCcInfoMap"),
            caps_ex: caps_ex.map(|caps| caps as u32),
            via: Via::parse(text(via::PROPERTY)),
            transaction,
        }
    }

    /// It said something of Enhanced RTMP. Who did not may know none of it, and is sent legacy messages alone.
    pub fn announced_enhanced(&self) -> bool {
        self.sent_fourcc_list || self.sent_fourcc_maps || self.caps_ex.is_some()
    }

    /// It follows NetConnection.Connect.ReconnectRequest (Enhanced RTMP v2).
    pub fn reconnects(&self) -> bool {
        self.caps_ex.is_some_and(|caps| caps & CAPS_EX_RECONNECT != 0)
    }

    /// The answer to `connect`: properties and information object.
    pub(super) fn accept(&self, tx: &mut TxBuf) -> Result<(), Full> {
        tx.command(0, "_result", self.transaction, |amf| {
            amf.object_begin()?;
            amf.property_string("fmsVer", FMS_VERSION)?;
            amf.property_number("capabilities", CAPABILITIES)?;
            amf.property_number("mode", 1.0)?;
            amf.object_end()?;
            amf.object_begin()?;
            Status::new(Code::ConnectSuccess, "").properties(amf)?;
            amf.property_number("objectEncoding", f64::from(self.object_encoding))?;
            amf.key("data")?;
            amf.ecma_array_begin(1)?;
            amf.property_string("version", SERVER_VERSION)?;
            amf.object_end()?;
            self.enhanced(amf)?;
            amf.object_end()
        })
    }

    /// Enhanced RTMP's part of the answer (v2, "Enhancing NetConnection connect command"): nothing for clients that
    /// sent none of it, and arrays only to those that sent one (Amcrest cameras fail on them).
    fn enhanced(&self, amf: &mut Encoder<'_, '_>) -> Result<(), Full> {
        if self.sent_fourcc_list {
            amf.key("fourCcList")?;
            amf.strict_array_begin(1)?;
            amf.string("*")?;
        }
        if self.sent_fourcc_maps {
            for key in ["videoFourCcInfoMap", "audioFourCcInfoMap"] {
                amf.key(key)?;
                amf.object_begin()?;
                amf.property_number("*", CAN_FORWARD)?;
                amf.object_end()?;
            }
        }
        if let Some(caps) = self.caps_ex {
            amf.property_number("capsEx", f64::from(caps & CAPS_EX))?;
        }
        Ok(())
    }
}

/// The `tcUrl` by the properties of a connect command, in which some cameras write it in lower case.
pub(super) fn tc_url<'a>(text: impl Fn(&str) -> &'a str) -> &'a str {
    match text("tcUrl") {
        "" => text("tcurl"),
        url => url,
    }
}

/// As much of `text` as fits, cut at a character.
fn cut<const N: usize>(text: &str) -> String<N> {
    let mut end = text.len().min(N);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    String::try_from(&text[..end]).unwrap_or_default()
}
