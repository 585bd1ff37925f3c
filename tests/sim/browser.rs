//! A client of HTTP in the simulation: what it sends as it is, and what it is sent as it comes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rill::server::peer::Peer;
use rill::server::speaks::Door;
use rill::server::transport::Arrival;

use super::world::World;

/// By its link.
#[derive(Clone, Copy)]
pub struct Browser(pub usize);

impl Browser {
    /// One that has connected, whose line takes `window` bytes that it has not read.
    pub fn new(world: &mut World, window: usize) -> Browser {
        let host = ((2000 + world.net.links.len()) % 250) as u8;
        Browser::of_host(world, host, window)
    }

    /// The same of an address that ends so.
    pub fn of_host(world: &mut World, host: u8, window: usize) -> Browser {
        let port = 2000 + world.net.links.len() as u16;
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 1, host)), port);
        let arrival = Arrival { peer: Peer::Ip(address), door: Door::Http, is_secure: false };
        world.browsers += 1;
        Browser(world.net.connect(arrival, window, 256 << 10))
    }

    pub fn send(self, world: &mut World, bytes: &[u8]) {
        world.net.send(self.0, bytes);
        world.settle();
    }

    /// Asks for a path, with an answer that ends with the connection and comes in no chunks.
    pub fn get(self, world: &mut World, path: &str) {
        self.send(world, format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes());
    }

    /// Reads at most so many bytes.
    pub fn read(self, world: &mut World, most: usize) -> Vec<u8> {
        let mut read = Vec::new();
        loop {
            let link = &mut world.net.links[self.0];
            let count = link.to_client.len().min(most - read.len());
            if count == 0 {
                return read;
            }
            read.extend(link.to_client.drain(..count));
            world.settle();
        }
    }

    /// Reads all there is.
    pub fn read_all(self, world: &mut World) -> Vec<u8> {
        self.read(world, usize::MAX)
    }

    /// The server has ended the connection.
    pub fn has_ended(self, world: &World) -> bool {
        let link = &world.net.links[self.0];
        link.server_fin || link.server_closed
    }

    pub fn hang_up(self, world: &mut World) {
        world.net.fin(self.0);
        world.settle();
    }
}
