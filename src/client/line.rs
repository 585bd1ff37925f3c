//! A client's session ([`OutboundSession`]) before a socket that has its own bytes to send: what the session says is appended to them.

use crate::rtmp::outbound::{OutboundError, OutboundEvent, OutboundSession};
use crate::rtmp::tx::TxBuf;
use crate::wire::bytes::Full;

/// See the module's documentation.
pub struct ClientLine {
    session: OutboundSession,
    /// Empty between two calls.
    tx: TxBuf,
}

impl ClientLine {
    /// A session that begins: C0 and C1 are appended to `out`. `seed` makes its random bytes, which are no secret: the
    /// server echoes them.
    pub fn new(seed: u64, out: &mut Vec<u8>) -> ClientLine {
        let mut line = ClientLine { session: OutboundSession::new(seed), tx: TxBuf::default() };
        line.session.greet(&mut line.tx).expect("C0 and C1 fit in what is empty");
        line.send(out);
        line
    }

    /// As [`OutboundSession::next`], which is what commands and data are to be read from.
    ///
    /// # Errors
    ///
    /// The server does not speak RTMP: the session is of no use any more.
    pub fn next<'i>(
        &mut self,
        input: &mut &'i [u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<OutboundEvent<'i>>, OutboundError> {
        let event = self.session.next(input, &mut self.tx);
        if !self.tx.is_empty() {
            self.send(out);
        }
        event
    }

    /// What came is read from it.
    pub fn session(&self) -> &OutboundSession {
        &self.session
    }

    /// Appends what `say` writes, for which there is as much room as a server's connection has.
    ///
    /// # Errors
    ///
    /// It takes more room than there is.
    pub fn say(&mut self, out: &mut Vec<u8>, say: impl FnOnce(&mut TxBuf) -> Result<(), Full>) -> Result<(), Full> {
        say(&mut self.tx)?;
        self.send(out);
        Ok(())
    }

    fn send(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.tx.pending());
        self.tx.clear();
    }
}
