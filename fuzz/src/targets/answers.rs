//! What a hook answers: cutting it anywhere gives the same answer or the same fault, no more is taken than there is, and what is kept of
//! it is bounded.

use rill::limits::{ANSWER_BODY_BYTES, ANSWER_HEAD_BYTES, RELAY_URL_BYTES};
use rill::wire::http_answer::{AnswerFault, AnswerReader, json_code};

/// What came of an answer.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    location: String,
    body: Vec<u8>,
    /// Bytes that are none of it.
    left: usize,
}

/// Whether its body counts, and in which pieces it comes.
pub fn run(bytes: &[u8]) {
    let [how, piece, input @ ..] = bytes else { return };
    let wants_body = how & 1 == 0;
    let (whole, cut) = (read(input.len(), input, wants_body), read(usize::from(*piece), input, wants_body));
    assert!(whole == cut, "cut it is another answer: {whole:?} {cut:?}");
    if let Ok(answer) = whole {
        let _ = json_code(&answer.body);
        assert!(answer.body.len() <= ANSWER_BODY_BYTES && answer.location.len() <= RELAY_URL_BYTES);
        assert!(input.len() - answer.left <= ANSWER_HEAD_BYTES + ANSWER_BODY_BYTES, "it takes no more than its limits");
    }
}

fn read(piece: usize, input: &[u8], wants_body: bool) -> Result<Answer, AnswerFault> {
    let mut reader = AnswerReader::new(wants_body);
    let mut left = input.len();
    for part in input.chunks(piece.max(1)) {
        let mut part_left = part;
        let is_whole = reader.take(&mut part_left)?;
        left -= part.len() - part_left.len();
        if is_whole {
            break;
        }
        assert!(part_left.is_empty(), "what is not whole has taken all");
    }
    reader.end()?;
    Ok(Answer { status: reader.status(), location: reader.location().into(), body: reader.body().into(), left })
}
