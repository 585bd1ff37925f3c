//! Where a measurement goes: `rtmp://host[:port]/app[[/instance]/NAME]`.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

const PORT: u16 = 1935;
/// What streams are called when the URL ends with the application.
const NAME: &str = "bench";
/// A server that does not accept a connection for so long is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// An RTMP URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Application, with its instance and query if there are any.
    pub app: String,
    /// The URL up to the application, as `connect` tells it.
    pub tc_url: String,
    name: String,
    query: String,
    streams: usize,
}

impl Target {
    /// Reads a URL for `streams` streams. `None` when it is not of that form.
    pub fn parse(url: &str, streams: usize) -> Option<Target> {
        let rest = url.strip_prefix("rtmp://")?;
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, format!("?{query}")),
            None => (rest, String::new()),
        };
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let authority = parts.next()?;
        let path: Vec<&str> = parts.collect();
        let (app, name) = match path[..] {
            [app] => (app.to_owned(), NAME),
            [app, name] => (app.to_owned(), name),
            [app, instance, name] => (format!("{app}/{instance}"), name),
            _ => return None,
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, PORT),
        };
        Some(Target {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            tc_url: format!("rtmp://{authority}/{app}"),
            app,
            name: name.to_owned(),
            query,
            streams,
        })
    }

    /// Name of a stream with its query: `NAME` when there is one stream, else `NAME-1`, `NAME-2` and so on.
    pub fn stream_name(&self, stream: usize) -> String {
        match self.streams {
            0 | 1 => format!("{}{}", self.name, self.query),
            _ => format!("{}-{}{}", self.name, stream + 1, self.query),
        }
    }

    /// Connects to the first of the host's addresses that answers.
    pub fn connect(&self) -> std::io::Result<(SocketAddr, TcpStream)> {
        let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the host has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
                Ok(stream) => return Ok((address, stream)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_streams_are_numbered_before_the_query() {
        let target = Target::parse("rtmp://pi.local/live/cam?key=a/b", 1).unwrap();
        assert_eq!((&*target.host, target.port, &*target.app), ("pi.local", 1935, "live"));
        assert_eq!(target.tc_url, "rtmp://pi.local/live");
        assert_eq!(target.stream_name(0), "cam?key=a/b");

        let target = Target::parse("rtmp://[::1]:1936/live/room//cam", 20).unwrap();
        assert_eq!((&*target.host, target.port, &*target.app), ("::1", 1936, "live/room"));
        assert_eq!(target.stream_name(19), "cam-20");
        assert_eq!(Target::parse("rtmp://[::1]/a/b", 1).unwrap().host, "::1");

        let target = Target::parse("rtmp://localhost/live?key=a", 2).unwrap();
        assert_eq!((&*target.app, target.stream_name(1)), ("live", "bench-2?key=a".to_owned()));

        for url in
            ["rtmp://host", "rtmp://host/", "rtmp://", "http://host/live/x", "rtmp://host:x/live/y", "rtmp://h/a/b/c/d"]
        {
            assert_eq!(Target::parse(url, 1), None, "{url}");
        }
    }
}
