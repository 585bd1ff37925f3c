//! Where a measurement goes: `rtmp://host[:port]/app[[/instance]/NAME]`.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::client::send;
use crate::client::url::RtmpUrl;
use crate::rtmp::outbound::CONNECT;
use crate::wire::amf0::Encoder;
use crate::wire::bytes::Full;

/// What streams are called when the URL ends with the application.
const NAME: &str = "bench";
/// A server that does not accept a connection for so long is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// An RTMP URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Application, with its instance if there is one.
    pub app: String,
    /// The URL up to the application, as `connect` tells it.
    pub tc_url: String,
    url: RtmpUrl,
    name: String,
    streams: usize,
}

impl Target {
    /// Reads a URL for `streams` streams. `None` when it is not of that form.
    pub fn parse(url: &str, streams: usize) -> Option<Target> {
        let url = RtmpUrl::parse(url).ok().filter(|url| !url.secure)?;
        let path: Vec<&str> = url.path.split('/').collect();
        let (app, name) = match path[..] {
            [app] => (app.to_owned(), NAME),
            [app, name] => (app.to_owned(), name),
            [app, instance, name] => (format!("{app}/{instance}"), name),
            _ => return None,
        };
        let (tc_url, name) = (format!("rtmp://{}/{app}", url.authority), name.to_owned());
        Some(Target { app, tc_url, url, name, streams })
    }

    /// Name of a stream with its query: `NAME` when there is one stream, else `NAME-1`, `NAME-2` and so on.
    pub fn stream_name(&self, stream: usize) -> String {
        match self.streams {
            0 | 1 => format!("{}{}", self.name, self.url.query),
            _ => format!("{}-{}{}", self.name, stream + 1, self.url.query),
        }
    }

    /// Sends `connect`, with what an encoder or Flash Player says of itself, and `arguments` behind it.
    ///
    /// # Errors
    ///
    /// [`Full`] when the URL is too long for a command.
    pub fn send_connect(
        &self,
        out: &mut Vec<u8>,
        is_encoder: bool,
        arguments: impl Fn(&mut Encoder<'_, '_>) -> Result<(), Full>,
    ) -> Result<(), Full> {
        // Before connect, which is longer than the 128 bytes of a chunk in force until then; OBS does the same.
        send::chunk_size(out);
        send::command(out, 0, "connect", CONNECT, |amf| {
            amf.object_begin()?;
            amf.property_string("app", &self.app)?;
            amf.property_string("flashVer", concat!("rill-bench ", env!("CARGO_PKG_VERSION")))?;
            amf.property_string("tcUrl", &self.tc_url)?;
            if is_encoder {
                amf.property_string("type", "nonprivate")?;
            } else {
                amf.property_boolean("fpad", false)?;
                amf.property_number("capabilities", 15.0)?;
                amf.property_number("audioCodecs", 4071.0)?;
                amf.property_number("videoCodecs", 252.0)?;
                amf.property_number("videoFunction", 1.0)?;
            }
            amf.object_end()?;
            arguments(amf)
        })
    }

    /// Connects to the first of the host's addresses that answers within five seconds.
    ///
    /// # Errors
    ///
    /// That of the last address.
    pub fn connect(&self) -> io::Result<(SocketAddr, TcpStream)> {
        self.url.connect(CONNECT_TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_streams_are_numbered_before_the_query() {
        let target = Target::parse("rtmp://pi.local/live/cam?key=a/b", 1).unwrap();
        assert_eq!(&*target.app, "live");
        assert_eq!(target.tc_url, "rtmp://pi.local/live");
        assert_eq!(target.stream_name(0), "cam?key=a/b");

        let target = Target::parse("rtmp://[::1]:1936/live/room//cam", 20).unwrap();
        assert_eq!(&*target.app, "live/room");
        assert_eq!(target.stream_name(19), "cam-20");

        let target = Target::parse("rtmp://localhost/live?key=a", 2).unwrap();
        assert_eq!((&*target.app, target.stream_name(1)), ("live", "bench-2?key=a".to_owned()));

        for url in
            ["rtmp://host", "rtmp://host/", "rtmp://", "http://host/live/x", "rtmp://host:x/live/y", "rtmp://h/a/b/c/d"]
        {
            assert_eq!(Target::parse(url, 1), None, "{url}");
        }
    }
}
