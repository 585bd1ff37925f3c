//! A connection that the server has made to ask a hook: one request, which stands in its control bytes, and one answer. What is done
//! about that is `hooks`'.

use crate::live::hook_settings::{HookEvent, HookSettings, HookStyle};
use crate::rtmp::tx::TxBuf;
use crate::time::Millis;
use crate::wire::http_answer::{AnswerReader, json_code};

use super::protocol::{Ask, Context, Protocol, Stage, Turn};

/// Bytes that are read at once: an answer is taken as it comes.
const READ_BYTES: usize = 4096;

/// A hook's connection.
pub struct HookLine {
    pub(super) answer: AnswerReader,
}

/// What an answer comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HookReply<'a> {
    /// The client may.
    Yes,
    /// It may not.
    No,
    /// It may what this says: another name, or a URL where it is to go.
    Instead(&'a str),
}

impl HookLine {
    /// One whose answer counts as the settings say.
    pub(super) fn expecting(event: HookEvent, settings: &HookSettings) -> HookLine {
        HookLine { answer: AnswerReader::new(event.is_question() && settings.style == HookStyle::Json) }
    }

    /// What a whole answer comes to.
    pub(super) fn reply(&self, style: HookStyle) -> HookReply<'_> {
        let answer = &self.answer;
        match (style, answer.status()) {
            (HookStyle::Form, 200..300) => HookReply::Yes,
            (HookStyle::Form, 300..400) if !answer.location().is_empty() => HookReply::Instead(answer.location()),
            (HookStyle::Json, 200) if json_code(answer.body()) == Some(0) => HookReply::Yes,
            _ => HookReply::No,
        }
    }
}

impl Protocol for HookLine {
    fn begin(_: u64, _: Millis) -> HookLine {
        HookLine { answer: AnswerReader::new(false) }
    }

    fn read<'i>(&mut self, input: &mut &'i [u8], _: &mut Context<'_>) -> Turn<'i> {
        let whole = self.answer.take(input);
        // Nothing is asked for behind it.
        *input = &[];
        match whole {
            Ok(false) => Turn::Done,
            Ok(true) => Turn::Asks(Ask::Hook(Ok(()))),
            Err(fault) => Turn::Asks(Ask::Hook(Err(fault))),
        }
    }

    fn goes_on(&self, _: &TxBuf) -> bool {
        true
    }

    fn opening_bytes(&self) -> usize {
        READ_BYTES
    }

    /// Its call has one.
    fn deadline(&self) -> Option<Millis> {
        None
    }

    fn stage(&self) -> Stage {
        Stage::Greeted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(style: HookStyle, text: &str) -> Option<String> {
        let mut line = HookLine { answer: AnswerReader::new(style == HookStyle::Json) };
        assert_eq!(line.answer.take(&mut text.as_bytes()), Ok(true), "{text}");
        match line.reply(style) {
            HookReply::Yes => Some(String::new()),
            HookReply::No => None,
            HookReply::Instead(what) => Some(what.to_owned()),
        }
    }

    #[test]
    fn a_status_decides_as_with_nginx_rtmp_and_a_code_as_with_srs() {
        let may = Some(String::new());
        for (status, form, json) in [
            ("200 OK\r\nContent-Length: 1\r\n\r\n0", &may, &may),
            ("201 Created\r\nContent-Length: 10\r\n\r\n{\"code\":0}", &may, &None),
            ("200 OK\r\nContent-Length: 10\r\n\r\n{\"code\":7}", &may, &None),
            ("200 OK\r\nContent-Length: 0\r\n\r\n", &may, &None),
            ("302 Found\r\nLocation: other\r\nContent-Length: 0\r\n\r\n", &Some("other".to_owned()), &None),
            ("302 Found\r\nContent-Length: 0\r\n\r\n", &None, &None),
            ("403 Forbidden\r\nContent-Length: 0\r\n\r\n", &None, &None),
            ("500 No\r\nContent-Length: 1\r\n\r\n0", &None, &None),
        ] {
            let text = format!("HTTP/1.1 {status}");
            assert_eq!(&reply(HookStyle::Form, &text), form, "{text}");
            assert_eq!(&reply(HookStyle::Json, &text), json, "{text}");
        }
    }
}
