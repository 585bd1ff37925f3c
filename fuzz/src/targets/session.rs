//! A client's bytes, in a session that has come so far: cutting them anywhere gives the same events and the same replies.

use rill::rtmp::event::SessionError;
use rill::rtmp::status::{Code, Status};

use crate::rtmp::{Bytes, Peer, Seen};

/// All that can be told of a session from outside.
type Outcome = (Vec<Seen>, Bytes, Result<(), SessionError>);

/// How far the session has come and how it is answered, how many replies are taken at once, in which pieces the rest comes.
pub fn run(bytes: &[u8]) {
    let [how, takes, piece, input @ ..] = bytes else { return };
    let whole = feed(*how, 0, input.len(), input);
    let cut = feed(*how, *takes, usize::from(*piece), input);
    assert!(whole == cut, "cut it is another session: {whole:?} {cut:?}");
}

fn feed(how: u8, takes: u8, piece: usize, input: &[u8]) -> Outcome {
    let mut peer = match how % 5 {
        0 => Peer::new(),
        1 => Peer::open(),
        2 => Peer::connected(),
        3 => Peer::publishing(),
        _ => Peer::playing(),
    };
    peer.takes = (takes > 0).then(|| usize::from(takes));
    peer.refuse = (how & 0x40 != 0).then_some(Status::new(Code::StreamFailed, "cam"));
    peer.method = (how & 0x80 != 0).then_some(&[5]);
    let mut result = Ok(());
    for part in input.chunks(piece.max(1)) {
        result = peer.feed(part);
        if result.is_err() {
            break;
        }
    }
    peer.drain();
    (peer.seen, peer.sent, result)
}
