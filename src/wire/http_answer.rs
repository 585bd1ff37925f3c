//! Answers of HTTP/1.1 servers (RFC 9112), as a client takes them that asks once a connection: a head, of which status and
//! `Location` are kept, and a body that has a limit. Bytes go in as they come.
//!
//! Of a head one line is held at a time, so that one of any length costs no more memory than the longest line that matters;
//! and all that is no body has a limit together, so that no head, and no list of chunks, goes on without end.

use heapless::{String, Vec};

use crate::limits::{ANSWER_BODY_BYTES, ANSWER_HEAD_BYTES, ANSWER_LINE_BYTES, RELAY_URL_BYTES};

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFault {
    /// It does not begin as an answer of HTTP/1.
    NotHttp,
    /// A line of its head is no field.
    Line,
    /// Its length is said twice, or is no number; or a chunk's is none.
    Length,
    /// It comes in another coding than chunks.
    Coding,
    /// More than [`ANSWER_HEAD_BYTES`] that are no body.
    HeadBytes,
    /// A body of more than [`ANSWER_BODY_BYTES`].
    BodyBytes,
    /// A `Location` of more than [`RELAY_URL_BYTES`], or with what is no text.
    Location,
    /// It speaks another protocol from here on.
    Upgrade,
    /// It ended in the midst.
    Cut,
}

impl AnswerFault {
    /// What was wrong, with the limit's name where it is one.
    pub const fn words(self) -> &'static str {
        match self {
            AnswerFault::NotHttp => "it does not answer in HTTP",
            AnswerFault::Line => "a line of its answer's head is no field",
            AnswerFault::Length => "its answer's length is said twice, or is no number",
            AnswerFault::Coding => "its answer comes in an unknown coding",
            AnswerFault::HeadBytes => "its answer's head is too long (ANSWER_HEAD_BYTES)",
            AnswerFault::BodyBytes => "its answer is too long (ANSWER_BODY_BYTES)",
            AnswerFault::Location => "its answer's Location is too long or no text (RELAY_URL_BYTES)",
            AnswerFault::Upgrade => "it answers with another protocol",
            AnswerFault::Cut => "it closed the connection before its answer was whole",
        }
    }
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnswerPart {
    /// The line with the status.
    Status,
    /// A field.
    Field,
    /// A body of which so many bytes are missing; `None` ends with the connection.
    Body(Option<u64>),
    /// The line with a chunk's length.
    ChunkLength,
    /// A chunk of which so many bytes are missing.
    Chunk(u64),
    /// The line end behind a chunk.
    ChunkEnd,
    /// A field behind the last chunk.
    Trailer,
    /// Nothing: it is whole.
    Whole,
}

/// An answer, as far as it has come.
#[derive(Clone, Debug)]
pub struct AnswerReader {
    part: AnswerPart,
    /// Its body is of use: otherwise it is whole with its head.
    wants_body: bool,
    status: u16,
    length: Option<u64>,
    is_chunked: bool,
    /// Bytes of it that are no body.
    head_bytes: usize,
    /// The line that is read, as far as it is of use; what of it is longer is passed over.
    line: Vec<u8, ANSWER_LINE_BYTES>,
    is_cut: bool,
    location: String<RELAY_URL_BYTES>,
    body: Vec<u8, ANSWER_BODY_BYTES>,
}

impl AnswerReader {
    /// Nothing has come.
    pub fn new(wants_body: bool) -> AnswerReader {
        AnswerReader {
            part: AnswerPart::Status,
            wants_body,
            status: 0,
            length: None,
            is_chunked: false,
            head_bytes: 0,
            line: Vec::new(),
            is_cut: false,
            location: String::new(),
            body: Vec::new(),
        }
    }

    /// Its status, once it is whole.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Where it says that something else is; empty when it does not.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Its body, once it is whole.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Takes bytes. True when it is whole: what is left of `input` is none of it.
    ///
    /// # Errors
    ///
    /// What is wrong with it. Nothing behind it can be read.
    pub fn take(&mut self, input: &mut &[u8]) -> Result<bool, AnswerFault> {
        while self.part != AnswerPart::Whole {
            let [byte, rest @ ..] = *input else { return Ok(false) };
            match self.part {
                AnswerPart::Body(left) => self.take_body(input, left)?,
                AnswerPart::Chunk(left) => self.take_body(input, Some(left))?,
                _ => {
                    *input = rest;
                    self.head_bytes += 1;
                    if self.head_bytes > ANSWER_HEAD_BYTES {
                        return Err(AnswerFault::HeadBytes);
                    }
                    if *byte != b'\n' {
                        self.is_cut |= self.line.push(*byte).is_err();
                        self.may_go_on()?;
                        continue;
                    }
                    let mut line = core::mem::take(&mut self.line);
                    if line.last() == Some(&b'\r') {
                        line.pop();
                    }
                    self.take_line(&line)?;
                    self.is_cut = false;
                }
            }
        }
        Ok(true)
    }

    /// The connection has ended, and with it what has no other end.
    ///
    /// # Errors
    ///
    /// [`AnswerFault::Cut`].
    pub fn end(&mut self) -> Result<(), AnswerFault> {
        match self.part {
            AnswerPart::Body(None) | AnswerPart::Whole => {
                self.part = AnswerPart::Whole;
                Ok(())
            }
            _ => Err(AnswerFault::Cut),
        }
    }

    /// What is no answer is found out at once, and not when it has sent a whole line.
    fn may_go_on(&self) -> Result<(), AnswerFault> {
        const BEGINS: &[u8] = b"HTTP/1.";
        let said = &self.line[..self.line.len().min(BEGINS.len())];
        if self.part == AnswerPart::Status && !BEGINS.starts_with(said) { Err(AnswerFault::NotHttp) } else { Ok(()) }
    }

    fn take_line(&mut self, line: &[u8]) -> Result<(), AnswerFault> {
        match self.part {
            AnswerPart::Status => {
                self.status = status_of(line).ok_or(AnswerFault::NotHttp)?;
                self.part = AnswerPart::Field;
            }
            AnswerPart::Field if line.is_empty() => return self.head_is_whole(),
            AnswerPart::Field => self.take_field(line)?,
            AnswerPart::ChunkLength => {
                let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
                let length = hexadecimal(digits).ok_or(AnswerFault::Length)?;
                self.part = if length == 0 { AnswerPart::Trailer } else { AnswerPart::Chunk(length) };
            }
            AnswerPart::ChunkEnd if line.is_empty() => self.part = AnswerPart::ChunkLength,
            AnswerPart::ChunkEnd => return Err(AnswerFault::Length),
            AnswerPart::Trailer if line.is_empty() => self.part = AnswerPart::Whole,
            AnswerPart::Trailer | AnswerPart::Body(_) | AnswerPart::Chunk(_) | AnswerPart::Whole => {}
        }
        Ok(())
    }

    fn take_field(&mut self, line: &[u8]) -> Result<(), AnswerFault> {
        let colon = line.iter().position(|byte| *byte == b':').ok_or(AnswerFault::Line)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || !name.iter().all(|byte| byte.is_ascii_graphic()) {
            return Err(AnswerFault::Line);
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = decimal(value).filter(|_| !self.is_cut).ok_or(AnswerFault::Length)?;
            if self.length.replace(length).is_some_and(|before| before != length) {
                return Err(AnswerFault::Length);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.is_cut || self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(AnswerFault::Coding);
            }
            self.is_chunked = true;
        } else if name.eq_ignore_ascii_case(b"location") {
            let text = core::str::from_utf8(value).ok().filter(|_| !self.is_cut).ok_or(AnswerFault::Location)?;
            self.location = String::try_from(text).map_err(|_| AnswerFault::Location)?;
        }
        Ok(())
    }

    fn head_is_whole(&mut self) -> Result<(), AnswerFault> {
        match self.status {
            101 => return Err(AnswerFault::Upgrade),
            100..200 => {
                // One that counts follows (RFC 9110, section 15.2).
                (self.part, self.length, self.is_chunked) = (AnswerPart::Status, None, false);
                self.location.clear();
                return Ok(());
            }
            _ => {}
        }
        // Which of the two holds, readers have disagreed (RFC 9112, section 6.3).
        if self.is_chunked && self.length.is_some() {
            return Err(AnswerFault::Length);
        }
        self.part = match self.length {
            _ if !self.wants_body || matches!(self.status, 204 | 304) => AnswerPart::Whole,
            _ if self.is_chunked => AnswerPart::ChunkLength,
            Some(0) => AnswerPart::Whole,
            Some(length) if length > ANSWER_BODY_BYTES as u64 => return Err(AnswerFault::BodyBytes),
            length => AnswerPart::Body(length),
        };
        Ok(())
    }

    fn take_body(&mut self, input: &mut &[u8], left: Option<u64>) -> Result<(), AnswerFault> {
        let most = left.map_or(input.len(), |left| left.min(input.len() as u64) as usize);
        let (taken, rest) = input.split_at(most);
        self.body.extend_from_slice(taken).map_err(|_| AnswerFault::BodyBytes)?;
        *input = rest;
        let left = left.map(|left| left - taken.len() as u64);
        self.part = match (self.part, left) {
            (AnswerPart::Chunk(_), Some(0)) => AnswerPart::ChunkEnd,
            (AnswerPart::Chunk(_), left) => AnswerPart::Chunk(left.unwrap_or(0)),
            (_, Some(0)) => AnswerPart::Whole,
            (_, left) => AnswerPart::Body(left),
        };
        Ok(())
    }
}

/// The status of a line such as `HTTP/1.1 200 OK`.
fn status_of(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let [b'0'..=b'9', b' ', a, b, c, rest @ ..] = rest else { return None };
    let is_over = matches!(rest, [] | [b' ', ..]);
    let status = decimal(&[*a, *b, *c]).filter(|status| is_over && *status >= 100)?;
    Some(status as u16)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    number(digits, 10, 18)
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    number(digits, 16, 8)
}

/// Digits alone: no sign, no space, and not so many that they are too many.
fn number(digits: &[u8], radix: u32, most: usize) -> Option<u64> {
    if digits.is_empty() || digits.len() > most {
        return None;
    }
    digits.iter().try_fold(0, |number: u64, digit| {
        Some(number * u64::from(radix) + u64::from(char::from(*digit).to_digit(radix)?))
    })
}

/// The number that a JSON text has as `code`, or that it is: what SRS's back ends say. `None` when it is neither.
pub fn json_code(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii();
    if let Some(code) = whole_number(text) {
        return Some(code);
    }
    if text.first() != Some(&b'{') || text.last() != Some(&b'}') {
        return None;
    }
    let (mut depth, mut at, mut code) = (0, 0, None);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' => {
                let end = string_end(text, at)?;
                let is_code = depth == 1 && &text[at..end] == b"\"code\"";
                at = end;
                let value = text[at..].trim_ascii_start();
                if let Some(value) = value.strip_prefix(b":").filter(|_| is_code) {
                    let value = value.trim_ascii_start();
                    let ends = value.iter().position(|byte| b",} \t\r\n".contains(byte)).unwrap_or(value.len());
                    code = Some(whole_number(&value[..ends])?);
                }
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    code.filter(|_| depth == 0)
}

/// Where the string that begins at `at` has ended.
fn string_end(text: &[u8], at: usize) -> Option<usize> {
    let mut end = at + 1;
    loop {
        match text.get(end)? {
            b'"' => return Some(end + 1),
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
}

fn whole_number(text: &[u8]) -> Option<i64> {
    let (sign, digits) = text.strip_prefix(b"-").map_or((1, text), |digits| (-1, digits));
    Some(sign * i64::try_from(decimal(digits)?).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::format;
    use std::string::String as Text;
    use std::vec::Vec as List;

    use super::*;

    /// What comes of an answer that arrives in pieces of these lengths, one after the other and again from the first, and then ends.
    fn read(bytes: &[u8], pieces: &[usize], wants_body: bool) -> Result<(u16, Text, List<u8>), AnswerFault> {
        let mut reader = AnswerReader::new(wants_body);
        let (mut rest, mut turn) = (bytes, 0);
        while !rest.is_empty() {
            let length = pieces.get(turn % pieces.len().max(1)).copied().unwrap_or(rest.len()).clamp(1, rest.len());
            let (piece, behind) = rest.split_at(length);
            let mut piece = piece;
            if reader.take(&mut piece)? {
                break;
            }
            assert!(piece.is_empty(), "what is not whole has taken all");
            (rest, turn) = (behind, turn + 1);
        }
        reader.end()?;
        Ok((reader.status(), reader.location().into(), reader.body().into()))
    }

    fn whole(text: &str) -> Result<(u16, Text, Text), AnswerFault> {
        let (status, location, body) = read(text.as_bytes(), &[], true)?;
        for pieces in [&[1][..], &[2, 3], &[7]] {
            assert_eq!(
                read(text.as_bytes(), pieces, true).unwrap(),
                (status, location.clone(), body.clone()),
                "{text:?}"
            );
        }
        Ok((status, location, Text::from_utf8(body).unwrap()))
    }

    #[test]
    fn answers_of_back_ends_are_read_however_they_end() {
        let no = Text::new;
        for (text, status, location, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0", 200, no(), "0"),
            ("HTTP/1.1 200\r\ncontent-length:1\r\n\r\n0 and more", 200, no(), "0"),
            ("HTTP/1.0 200 OK\nServer: x\n\n{\"code\":0}", 200, no(), "{\"code\":0}"),
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, no(), ""),
            ("HTTP/1.1 302 Found\r\nLocation:  other \r\nContent-Length: 0\r\n\r\n", 302, "other".into(), ""),
            (
                "HTTP/1.1 100 Continue\r\nLocation: no\r\n\r\nHTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
                403,
                no(),
                "no",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=b\r\n{\"c\r\n07\r\node\":0}\r\n0\r\nX: y\r\n\r\n",
                200,
                no(),
                "{\"code\":0}",
            ),
        ] {
            assert_eq!(whole(text), Ok((status, location, body.into())), "{text:?}");
        }
        let long = format!("HTTP/1.1 200 OK\r\nSet-Cookie: {}\r\nContent-Length: 1\r\n\r\n0", "x".repeat(4000));
        assert_eq!(whole(&long).unwrap().2, "0", "a long field that does not matter is passed over");
    }

    #[test]
    fn where_the_status_is_enough_no_body_is_waited_for() {
        for body in ["Content-Length: 100000000\r\n\r\n", "\r\n", "Transfer-Encoding: chunked\r\n\r\n"] {
            let text = format!("HTTP/1.1 200 OK\r\n{body}");
            let mut reader = AnswerReader::new(false);
            assert_eq!(reader.take(&mut text.as_bytes()), Ok(true), "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        use AnswerFault::*;
        let field = |text: &str| format!("HTTP/1.1 200 OK\r\n{text}\r\n\r\n");
        for (text, fault) in [
            ("SSH-2.0-OpenSSH".into(), NotHttp),
            ("HTTP/2.0 200 OK\r\n\r\n".into(), NotHttp),
            ("HTTP/1.1 20 OK\r\n\r\n".into(), NotHttp),
            ("HTTP/1.1 2000 OK\r\n\r\n".into(), NotHttp),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n".into(), Upgrade),
            (field("no field"), Line),
            (field(": nameless"), Line),
            (field(" folded: x"), Line),
            (field("Content-Length: 1\r\nContent-Length: 2"), Length),
            (field("Content-Length: +1"), Length),
            (field("Content-Length: 99999999999999999999"), Length),
            (field("Content-Length: 1\r\nTransfer-Encoding: chunked"), Length),
            (field("Transfer-Encoding: gzip, chunked"), Coding),
            (field("Transfer-Encoding: chunked") + "x\r\n", Length),
            (field("Transfer-Encoding: chunked") + "1\r\nab\r\n", Length),
            (field("Content-Length: 100000"), BodyBytes),
            (field("X: y") + &"z".repeat(ANSWER_BODY_BYTES + 1), BodyBytes),
            (field("Transfer-Encoding: chunked") + "ffffffff\r\n" + &"z".repeat(ANSWER_BODY_BYTES + 1), BodyBytes),
            (field(&format!("Location: {}", "x".repeat(RELAY_URL_BYTES + 1))), Location),
            (field(&"X: y\r\n".repeat(ANSWER_HEAD_BYTES)), HeadBytes),
            (format!("HTTP/1.1 200 {}", "x".repeat(ANSWER_HEAD_BYTES)), HeadBytes),
            ("HTTP/1.1 200 OK\r\nContent-Le".into(), Cut),
            (field("Content-Length: 2") + "x", Cut),
            (field("Transfer-Encoding: chunked") + "0\r\n", Cut),
        ] {
            assert_eq!(read(text.as_bytes(), &[], true).unwrap_err(), fault, "{text:?}");
            assert!(!fault.words().is_empty());
        }
    }

    #[test]
    fn the_code_of_a_json_answer_is_found_at_its_top_alone() {
        for (text, code) in [
            ("0", Some(0)),
            (" 0\n", Some(0)),
            ("{\"code\":0}", Some(0)),
            ("{ \"msg\": \"\\\"code\\\":7\", \"code\" : 1 , \"data\": {\"code\": 2} }", Some(1)),
            ("{\"data\":{\"code\":0}}", None),
            ("{\"code\":\"0\"}", None),
            ("{\"code\":0.5}", None),
            ("{\"code\":-1}", Some(-1)),
            ("{\"a\":[\"code\",0]}", None),
            ("{\"code\":0", None),
            ("{\"code\":0]}", None),
            ("", None),
            ("ok", None),
        ] {
            assert_eq!(json_code(text.as_bytes()), code, "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_is_the_same_answer_in_whatever_pieces_it_comes(
            head in "(HTTP/1\\.[01] [1-5][0-9]{2}( OK)?\r?\n)?((Content-Length: [0-9]{1,2}|Transfer-Encoding: chunked|Location: [a-z/:.]{0,9}|X: y)\r?\n){0,3}\r?\n?",
            body in proptest::collection::vec(prop_oneof![Just(b'0'), Just(b'\r'), Just(b'\n'), Just(b'a'), any::<u8>()], 0..64),
            pieces in proptest::collection::vec(1usize..9, 1..5),
            wants_body: bool,
        ) {
            let bytes = [head.as_bytes(), &body].concat();
            prop_assert_eq!(read(&bytes, &[], wants_body), read(&bytes, &pieces, wants_body));
        }

        #[test]
        fn no_bytes_do_harm(bytes: List<u8>) {
            let _ = read(&bytes, &[3], true);
            let _ = json_code(&bytes);
        }
    }
}
