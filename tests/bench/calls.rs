//! Clients that stay connected and call a method, and how long the answers take.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream as Blocking;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rill::bench::histogram::Histogram;
use rill::client::line::ClientLine;
use rill::client::send;
use rill::rtmp::outbound::OutboundEvent;
use rill::wire::amf0::Decoder;

const CONNECT: f64 = 1.0;
/// What a client waits for an answer at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// How clients call.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// Each as soon as it has its answer.
    BackToBack,
    /// Each so often, one after the other, whether they have answers or not.
    PerSecond(u32),
}

/// A client that has been let in.
pub struct Caller {
    socket: Blocking,
    line: ClientLine,
    out: Vec<u8>,
}

impl Caller {
    /// Connects to `app`, which may name an instance, at `address`.
    pub fn connect(address: &str, app: &str) -> Caller {
        let socket = Blocking::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut out = Vec::new();
        let line = ClientLine::new(1, &mut out);
        let mut caller = Caller { socket, line, out };
        let tc_url = format!("rtmp://{address}/{app}");
        let mut asked = false;
        let mut scratch = [0; 8192];
        loop {
            caller.socket.write_all(&caller.out).unwrap();
            caller.out.clear();
            let count = caller.socket.read(&mut scratch).unwrap();
            assert!(count > 0, "{app}: the server closed the connection");
            let mut input = &scratch[..count];
            while let Some(incoming) = caller.line.next(&mut input, &mut caller.out).unwrap() {
                match incoming {
                    OutboundEvent::Open if !asked => {
                        asked = true;
                        send::chunk_size(&mut caller.out);
                        let sent = send::command(&mut caller.out, 0, "connect", CONNECT, |amf| {
                            amf.object_begin()?;
                            amf.property_string("app", app)?;
                            amf.property_string("tcUrl", &tc_url)?;
                            amf.object_end()
                        });
                        sent.unwrap();
                    }
                    OutboundEvent::Command => match answered(caller.line.session().command().1) {
                        Some((transaction, is_result)) if transaction == CONNECT => {
                            assert!(is_result, "{app} refuses its clients");
                            return caller;
                        }
                        _ => {}
                    },
                    _ => {}
                }
            }
        }
    }
}

/// Calls `method` with two arguments for `duration`. Returns the round trips and how many calls were not answered, or
/// answered with an error.
pub fn measure(callers: Vec<Caller>, method: &str, pace: Pace, duration: Duration) -> (Histogram, u64) {
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(callers.len().max(16));
    let mut clients: Vec<Client> = callers.into_iter().map(Client::new).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        poll.registry().register(&mut client.socket, Token(index), Interest::READABLE).unwrap();
    }
    let (mut round_trips, mut failed) = (Histogram::default(), 0);
    let begin = Instant::now();
    let mut scratch = vec![0; 16 * 1024];
    let mut calls: u64 = 0;
    let period = match pace {
        Pace::BackToBack => {
            clients.iter_mut().for_each(|client| client.call(method));
            None
        }
        Pace::PerSecond(rate) => Some(Duration::from_secs(1) / (rate * clients.len() as u32)),
    };
    while begin.elapsed() < duration {
        let mut wait = Duration::from_millis(10);
        if let Some(period) = period {
            while period.mul_f64(calls as f64) <= begin.elapsed() {
                let index = calls as usize % clients.len();
                clients[index].call(method);
                calls += 1;
            }
            wait = period.mul_f64(calls as f64).saturating_sub(begin.elapsed());
        }
        match poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result.unwrap(),
        }
        for event in &events {
            let client = &mut clients[event.token().0];
            for (round_trip, is_result) in client.receive(&mut scratch) {
                round_trips.record(round_trip.as_micros() as u64);
                failed += u64::from(!is_result);
                if period.is_none() {
                    client.call(method);
                }
            }
        }
    }
    // In a closed loop one call of each client is always under way.
    let late = clients.iter().flat_map(|client| &client.asked).filter(|asked| asked.1.elapsed() > PATIENCE / 10);
    failed += late.count() as u64;
    (round_trips, failed)
}

struct Client {
    socket: TcpStream,
    line: ClientLine,
    out: Vec<u8>,
    next: f64,
    /// Calls that wait for their answer.
    asked: Vec<(f64, Instant)>,
}

impl Client {
    fn new(caller: Caller) -> Client {
        caller.socket.set_nonblocking(true).unwrap();
        let socket = TcpStream::from_std(caller.socket);
        Client { socket, line: caller.line, out: caller.out, next: CONNECT + 1.0, asked: Vec::new() }
    }

    fn call(&mut self, method: &str) {
        let transaction = self.next;
        self.next += 1.0;
        let sent = send::command(&mut self.out, 0, method, transaction, |amf| {
            amf.null()?;
            amf.string("visitor")?;
            amf.number(42.0)
        });
        sent.unwrap();
        self.asked.push((transaction, Instant::now()));
        // A hundred bytes: the socket takes them unless the server has stopped reading.
        self.socket.write_all(&self.out).unwrap();
        self.out.clear();
    }

    fn receive(&mut self, scratch: &mut [u8]) -> Vec<(Duration, bool)> {
        let mut answers = Vec::new();
        loop {
            let count = match self.socket.read(scratch) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                result => result.unwrap(),
            };
            assert!(count > 0, "the server closed the connection");
            let mut input = &scratch[..count];
            while let Some(incoming) = self.line.next(&mut input, &mut self.out).unwrap() {
                let OutboundEvent::Command = incoming else { continue };
                let Some((transaction, is_result)) = answered(self.line.session().command().1) else { continue };
                let Some(at) = self.asked.iter().position(|asked| asked.0 == transaction) else { continue };
                answers.push((self.asked.swap_remove(at).1.elapsed(), is_result));
            }
            // Less than there was room for: the socket is empty, and more will be a new event.
            if count < scratch.len() {
                break;
            }
        }
        answers
    }
}

/// The transaction that a command answers, and whether with a result.
fn answered(body: &[u8]) -> Option<(f64, bool)> {
    let mut amf = Decoder::new(body);
    let is_result = match amf.string().ok()? {
        b"_result" => true,
        b"_error" => false,
        _ => return None,
    };
    Some((amf.number().ok()?, is_result))
}
