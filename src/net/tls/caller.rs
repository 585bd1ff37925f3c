//! A connection of ours in TLS for who has no loop and may wait: `rill connect`.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream as StdStream;
use std::path::Path;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::handles::SlotIndex;
use crate::server::close::{CertificateFault, Loss, TlsFault};
use crate::server::transport::Io;

use super::{TlsAuthorities, TlsIndex, TlsOffer, TlsState, TlsTable};

/// See the module's documentation.
pub struct TlsCaller {
    table: TlsTable,
    at: TlsIndex,
    stream: TcpStream,
    poll: Poll,
    events: Events,
    /// So long a read waits.
    read_wait: Duration,
    /// So long a write waits.
    write_wait: Duration,
}

impl TlsCaller {
    /// Begins TLS on a connection with who has the name `host`, and waits until its certificate has been judged, `timeout` at most. Whom to
    /// believe besides the public authorities stands in the file `more`.
    ///
    /// # Errors
    ///
    /// Why it cannot be had, in words.
    pub fn begin(
        stream: StdStream,
        host: &str,
        more: Option<&Path>,
        read_wait: Duration,
        timeout: Duration,
    ) -> Result<TlsCaller, String> {
        let offer = TlsOffer::default();
        TlsAuthorities::open(more, offer.clone())?;
        let mut table = TlsTable::new(1, offer);
        let at =
            table.begin(SlotIndex(0), Some(host)).ok_or("the URL's host is none that a certificate could be for")?;
        let (poll, stream) = registered(stream).map_err(|error| error.to_string())?;
        let events = Events::with_capacity(1);
        let mut caller = TlsCaller { table, at, stream, poll, events, read_wait, write_wait: timeout };
        caller.shake(Instant::now() + timeout)?;
        Ok(caller)
    }

    /// The handshake, in which nobody has anything to say.
    fn shake(&mut self, deadline: Instant) -> Result<(), String> {
        loop {
            self.table.flush(self.at, &mut self.stream);
            match self.table.read(self.at, &mut self.stream, &mut [0]) {
                Io::Broken(Loss::Tls(TlsFault::Certificate(CertificateFault::Issuer))) => {
                    let words =
                        "its certificate is signed by nobody who is believed: --ca FILE names its authority, or itself";
                    return Err(words.to_owned());
                }
                Io::Broken(Loss::Tls(fault)) => return Err(fault.far_end_words().to_owned()),
                Io::WouldBlock if self.is_open() => return Ok(()),
                Io::WouldBlock if Instant::now() >= deadline => return Err("no answer in TLS".to_owned()),
                Io::WouldBlock => {}
                Io::Done(_) | Io::Last(_) | Io::Broken(_) => {
                    return Err(
                        "it closed the connection before TLS was agreed on: its port may be one without TLS".to_owned()
                    );
                }
            }
            self.wait(deadline.saturating_duration_since(Instant::now())).map_err(|error| error.to_string())?;
        }
    }

    fn is_open(&self) -> bool {
        self.table.places[usize::from(self.at.0)].state == TlsState::Open
    }

    /// Until the socket can do something, or its handshake goes on.
    fn wait(&mut self, most: Duration) -> io::Result<()> {
        let rests = self.table.rests_for(Instant::now()).unwrap_or(most);
        match self.poll.poll(&mut self.events, Some(rests.min(most))) {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Nothing will be said any more.
    pub fn finish(&mut self) {
        self.table.finish(self.at, &mut self.stream);
    }
}

fn registered(stream: StdStream) -> io::Result<(Poll, TcpStream)> {
    stream.set_nonblocking(true)?;
    let (poll, mut stream) = (Poll::new()?, TcpStream::from_std(stream));
    poll.registry().register(&mut stream, Token(0), Interest::READABLE | Interest::WRITABLE)?;
    Ok((poll, stream))
}

impl Read for TlsCaller {
    /// Waits for a moment; [`ErrorKind::WouldBlock`] when nothing came.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for waits in [true, false] {
            self.table.flush(self.at, &mut self.stream);
            match self.table.read(self.at, &mut self.stream, buffer) {
                Io::Done(count) | Io::Last(count) => return Ok(count),
                Io::WouldBlock if waits => self.wait(self.read_wait)?,
                Io::WouldBlock => {}
                Io::Broken(loss) => return Err(broken(loss)),
            }
        }
        Err(ErrorKind::WouldBlock.into())
    }
}

impl Write for TlsCaller {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let deadline = Instant::now() + self.write_wait;
        loop {
            match self.table.write(self.at, &mut self.stream, &[IoSlice::new(bytes)]) {
                Io::Done(count) | Io::Last(count) => return Ok(count),
                Io::Broken(loss) => return Err(broken(loss)),
                Io::WouldBlock if Instant::now() >= deadline => return Err(ErrorKind::TimedOut.into()),
                Io::WouldBlock => self.wait(deadline.saturating_duration_since(Instant::now()))?,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.table.flush(self.at, &mut self.stream);
        Ok(())
    }
}

fn broken(loss: Loss) -> io::Error {
    match loss {
        Loss::Tls(fault) => io::Error::other(fault.far_end_words()),
        _ => ErrorKind::ConnectionReset.into(),
    }
}
