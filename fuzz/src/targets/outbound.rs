//! A far end's bytes, to a connection that the server has made: cutting them anywhere gives the same events, and what is answered is
//! bounded.

use rill::rtmp::outbound::{OutboundError, OutboundEvent, OutboundSession};
use rill::rtmp::tx::TxBuf;

/// Bytes before the first chunk: S0, S1 and S2.
const GREETING: usize = 1 + 2 * 1536;

/// What came, as text, with media joined: pieces of it may be cut anywhere.
#[derive(Debug, Default, PartialEq)]
struct Came {
    events: Vec<String>,
    error: Option<OutboundError>,
}

/// Whether the handshake is the fuzzer's, too, and in which pieces the rest comes.
pub fn run(bytes: &[u8]) {
    let [how, piece, input @ ..] = bytes else { return };
    let greeting = [&[3][..], &[0; GREETING - 1]].concat();
    let input = if how & 1 == 0 { [&greeting[..], input].concat() } else { input.to_vec() };
    let (whole, cut) = (feed(input.len(), &input), feed(usize::from(*piece), &input));
    assert!(whole == cut, "cut it is another session: {whole:?} {cut:?}");
}

fn feed(piece: usize, input: &[u8]) -> Came {
    let (mut session, mut tx, mut came) = (OutboundSession::new(1), TxBuf::default(), Came::default());
    session.greet(&mut tx).expect("an empty buffer has room");
    for part in input.chunks(piece.max(1)) {
        let mut part = part;
        loop {
            // What the protocol answers is taken at once.
            tx.clear();
            match session.next(&mut part, &mut tx) {
                Ok(None) => break,
                Ok(Some(event)) => came.saw(&session, event),
                Err(error) => {
                    came.error = Some(error);
                    return came;
                }
            }
        }
        assert!(part.is_empty(), "all is taken when nothing came");
    }
    came
}

impl Came {
    fn saw(&mut self, session: &OutboundSession, event: OutboundEvent<'_>) {
        match event {
            OutboundEvent::MediaData(lane, bytes) => {
                let data = format!("{lane:?}");
                match self.events.last_mut() {
                    Some(last) if last.starts_with(&data) => last.push_str(&format!("{:?}", &bytes[..])),
                    _ => self.events.push(format!("{data}{:?}", &bytes[..])),
                }
                if let Some(last) = self.events.last_mut() {
                    *last = last.replace("][", ", ");
                }
            }
            OutboundEvent::Command => self.events.push(format!("{:?}", session.said())),
            OutboundEvent::Data(at) => self.events.push(format!("{at} {:?}", session.data())),
            other => self.events.push(format!("{other:?}")),
        }
    }
}
