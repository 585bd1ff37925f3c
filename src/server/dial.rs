//! Connections that the server makes, for relays and for hooks.

use std::net::SocketAddr;

use crate::handles::ConnId;

use super::Server;
use super::close::Loss;
use super::transport::Net;

impl Server {
    /// Makes a slot's connection, in TLS with who has the name `host` if there is one.
    ///
    /// # Errors
    ///
    /// Why it is not made. The slot is not free again.
    pub(super) fn dial_out<N: Net>(
        &mut self,
        net: &mut N,
        conn: ConnId,
        to: SocketAddr,
        host: Option<&str>,
    ) -> Result<(), Loss> {
        net.dial(conn.slot, to, host)?;
        if host.is_some() {
            self.slots.secure(conn.slot);
        }
        self.wakes.read(conn.slot);
        self.wakes.writable(conn.slot);
        Ok(())
    }
}
