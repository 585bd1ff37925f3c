//! What the bytes of a connection go through: TCP, or TLS on it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::client::url::RtmpUrl;
use crate::net::tls::caller::TlsCaller;

use super::options::ConnectOptions;

/// So long a read waits: how often signals and deadlines are checked while nothing arrives.
const TICK: Duration = Duration::from_millis(50);

/// See the module's documentation. A read waits for [`TICK`], and a write for what the options say.
pub(super) enum ClientSocket {
    Plain(TcpStream),
    Secure(Box<TlsCaller>),
}

impl ClientSocket {
    /// What is spoken through on a connection that was made.
    ///
    /// # Errors
    ///
    /// Why it cannot be used, in words.
    pub(super) fn new(stream: TcpStream, url: &RtmpUrl, options: &ConnectOptions) -> Result<ClientSocket, String> {
        // Small commands should not wait for each other.
        let prepared = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(TICK)));
        let prepared = prepared.and_then(|()| stream.set_write_timeout(Some(options.timeout)));
        prepared.map_err(|error| error.to_string())?;
        if !url.secure {
            return Ok(ClientSocket::Plain(stream));
        }
        let caller = TlsCaller::begin(stream, &url.host, options.ca.as_deref(), TICK, options.timeout)?;
        Ok(ClientSocket::Secure(Box::new(caller)))
    }

    /// Nothing will be sent any more.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match self {
            ClientSocket::Plain(stream) => stream.shutdown(Shutdown::Write),
            ClientSocket::Secure(caller) => {
                caller.finish();
                Ok(())
            }
        }
    }
}

impl Read for ClientSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            ClientSocket::Plain(stream) => stream.read(buffer),
            ClientSocket::Secure(caller) => caller.read(buffer),
        }
    }
}

impl Write for ClientSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            ClientSocket::Plain(stream) => stream.write(bytes),
            ClientSocket::Secure(caller) => caller.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            ClientSocket::Plain(stream) => stream.flush(),
            ClientSocket::Secure(caller) => caller.flush(),
        }
    }
}
