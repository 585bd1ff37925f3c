//! Connections that the server makes: what the simulated network says of them, which is what a real one does.

use std::io::IoSlice;
use std::net::SocketAddr;

use rill::handles::SlotIndex;
use rill::server::close::Loss;
use rill::server::transport::{Io, Net};

use crate::sim::net::{Answer, FakeNet, Ready};

const SLOT: SlotIndex = SlotIndex(3);

/// A network with one other host, which answers so; the server has begun to connect to it.
fn dialled(answer: Answer) -> FakeNet {
    let mut net = FakeNet::new(8, 1);
    let to: SocketAddr = "192.0.2.1:1935".parse().unwrap();
    net.hosts.insert(to, answer);
    assert_eq!(net.dial(SLOT, to, None), Ok(()));
    assert_eq!(net.write(SLOT, &[IoSlice::new(b"hello")]), Io::WouldBlock, "it is not connected");
    net
}

fn told(net: &mut FakeNet) -> (bool, bool) {
    let mut told = (false, false);
    net.events(|ready| match ready {
        Ready::Read(SLOT) => told.0 = true,
        Ready::Write(SLOT) => told.1 = true,
        _ => {}
    });
    told
}

#[test]
fn a_connection_is_writable_when_it_is_there() {
    let mut net = dialled(Answer::Taken);
    assert_eq!(told(&mut net), (false, true));
    assert_eq!(net.write(SLOT, &[IoSlice::new(b"hello")]), Io::Done(5));
    assert_eq!(net.links[0].to_client, b"hello");
}

#[test]
fn one_that_is_refused_is_broken() {
    let mut net = dialled(Answer::Refused);
    assert!(told(&mut net).0);
    assert_eq!(net.read(SLOT, &mut [0; 8]), Io::Broken(Loss::Client));
    net.close(SLOT);
}

#[test]
fn who_never_answers_is_given_up_by_the_caller() {
    let mut net = dialled(Answer::Nothing);
    assert_eq!(told(&mut net), (false, false));
    assert_eq!(net.read(SLOT, &mut [0; 8]), Io::WouldBlock);
    net.close(SLOT);
    assert_eq!(net.dial(SLOT, "192.0.2.2:1935".parse().unwrap(), None), Ok(()), "the slot serves the next one");
}
