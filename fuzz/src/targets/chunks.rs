//! Chunks: cutting them anywhere gives the same messages.

use rill::rtmp::chunk_reader::{ChunkError, ChunkEvent, ChunkReader};
use rill::wire::chunk::{BasicHeader, MessageHeader};

/// Lane, header, payload, whether it is complete.
type Message = (u8, MessageHeader, Vec<u8>, bool);

/// In which pieces the rest comes, and the rest.
pub fn run(bytes: &[u8]) {
    let [piece, input @ ..] = bytes else { return };
    let _ = BasicHeader::parse(input);
    assert_eq!(read(input, input.len()), read(input, usize::from(*piece)));
}

fn read(bytes: &[u8], piece: usize) -> Result<Vec<Message>, ChunkError> {
    let mut reader = ChunkReader::default();
    let (mut done, mut open) = (Vec::new(), Vec::<Message>::new());
    for mut input in bytes.chunks(piece.max(1)) {
        while let Some(event) = reader.next(&mut input, None)? {
            let at = |lane: u8| open.iter().position(|open| open.0 == lane).expect("it has begun");
            match event {
                ChunkEvent::Begin { lane, header } => {
                    assert!(open.iter().all(|open| open.0 != lane.0));
                    open.push((lane.0, header, Vec::new(), false));
                }
                ChunkEvent::Payload { lane, bytes } => {
                    assert!(!bytes.is_empty());
                    let at = at(lane.0);
                    open[at].2.extend_from_slice(&bytes);
                    assert!(open[at].2.len() <= open[at].1.length as usize);
                }
                ChunkEvent::End { lane } => {
                    let mut message = open.remove(at(lane.0));
                    assert_eq!(message.2.len(), message.1.length as usize);
                    message.3 = true;
                    let number = message.2.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
                    match (message.1.type_id, number) {
                        (1, Some(bytes)) => reader.set_chunk_size(bytes),
                        (2, Some(id)) => {
                            if let Some(lane) = reader.abort(id) {
                                let at = open.iter().position(|open| open.0 == lane.0).expect("it has begun");
                                done.push(open.remove(at));
                            }
                        }
                        _ => {}
                    }
                    done.push(message);
                }
                ChunkEvent::Abandoned { lane } => {
                    let message = open.remove(at(lane.0));
                    done.push(message);
                }
            }
        }
        assert!(input.is_empty(), "the reader takes every byte");
    }
    Ok(done)
}
