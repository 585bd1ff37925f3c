//! The laws of the link: what is written is read back, cut anywhere it waits, and no bytes make it panic.

use proptest::prelude::*;

use super::*;

/// Values to put into messages, from bytes that a test has made up.
pub(super) struct Draw<'a> {
    text: &'a str,
    seed: u64,
}

impl<'a> Draw<'a> {
    /// Any number, the small and the largest ones often.
    pub(super) fn number(&mut self) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        match self.seed >> 60 {
            0 => u64::MAX,
            1..=8 => self.seed >> 40 & 0xFF,
            _ => self.seed,
        }
    }

    /// A part of the text, or nothing.
    pub(super) fn text(&mut self) -> &'a str {
        let end = self.text.floor_char_boundary(self.number() as usize % (self.text.len() + 1));
        &self.text[..end]
    }
}

fn written(put: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>) -> Vec<u8> {
    let mut buffer = vec![0; LENGTH_BYTES + SCRIPT_MESSAGE_BYTES];
    let mut out = Writer::new(&mut buffer);
    put(&mut out).unwrap();
    out.written().to_vec()
}

proptest! {
    #[test]
    fn every_message_reads_back_as_written_and_waits_while_it_is_cut(text in "\\PC{0,40}", seed in any::<u64>()) {
        let mut draw = Draw { text: &text, seed };
        for message in ToHost::draw_all(&mut draw) {
            let mut bytes = written(|out| message.put(out));
            let length = bytes.len();
            for cut in 0..length {
                prop_assert_eq!(ToHost::read(&bytes[..cut]), Ok(None), "{:?} cut at {}", message, cut);
            }
            bytes.extend(b"more");
            prop_assert_eq!(ToHost::read(&bytes), Ok(Some((message, length))));
            prop_assert!(ToServer::read(&bytes).is_err(), "each side has its own types");
        }
        for message in ToServer::draw_all(&mut draw) {
            let mut bytes = written(|out| message.put(out));
            let length = bytes.len();
            for cut in 0..length {
                prop_assert_eq!(ToServer::read(&bytes[..cut]), Ok(None), "{:?} cut at {}", message, cut);
            }
            bytes.extend(b"more");
            prop_assert_eq!(ToServer::read(&bytes), Ok(Some((message, length))));
            prop_assert!(ToHost::read(&bytes).is_err(), "each side has its own types");
        }
    }

    #[test]
    fn what_is_read_of_any_bytes_is_written_as_the_same_bytes(
        kind in any::<u8>(), body in prop::collection::vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..120)
    ) {
        let mut bytes = (1 + body.len() as u32).to_be_bytes().to_vec();
        bytes.push(kind);
        bytes.extend(body);
        if let Ok(Some((message, length))) = ToHost::read(&bytes) {
            prop_assert_eq!(written(|out| message.put(out)), &bytes[..length]);
        }
        if let Ok(Some((message, length))) = ToServer::read(&bytes) {
            prop_assert_eq!(written(|out| message.put(out)), &bytes[..length]);
        }
    }

    #[test]
    fn a_message_without_room_leaves_nothing_behind(text in "\\PC{0,40}", seed in any::<u64>(), room in 0usize..80) {
        for message in ToServer::draw_all(&mut Draw { text: &text, seed }) {
            let length = written(|out| message.put(out)).len();
            let mut buffer = vec![0; room];
            let mut out = Writer::new(&mut buffer);
            prop_assert_eq!(message.put(&mut out).is_ok(), length <= room);
            prop_assert_eq!(out.len(), if length <= room { length } else { 0 });
        }
    }
}

#[test]
fn a_call_stands_in_the_bytes_that_the_documentation_shows() {
    let question = Question { client: ClientId(0x0000_0002_0000_0007), number: 9, transaction: 1.0 };
    let call = ToHost::Call { instance: InstanceId(3), question, name: "add", arguments: b"\x05" };
    assert_eq!(
        written(|out| call.put(out)),
        b"\0\0\0\x25\x06\0\0\0\x03\0\0\0\x02\0\0\0\x07\0\0\0\x09\x3F\xF0\0\0\0\0\0\0\0\0\0\x03add\0\0\0\x01\x05"
    );
}

#[test]
fn the_documentation_lists_every_message_and_its_fields() {
    let page = include_str!("../../../docs/script-host.md");
    for (kind, name, fields) in ToHost::TABLE.iter().chain(ToServer::TABLE) {
        let fields = fields.join(", ");
        let row = format!("\n| 0x{kind:02X} | {name} | {fields}{}|\n", if fields.is_empty() { "" } else { " " });
        assert!(page.contains(&row), "docs/script-host.md: {row}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| 0x")).count();
    assert_eq!(rows, ToHost::TABLE.len() + ToServer::TABLE.len());
    assert!(page.contains(&format!("at most {} {:03}\n", SCRIPT_MESSAGE_BYTES / 1000, SCRIPT_MESSAGE_BYTES % 1000)));
}

#[test]
fn a_length_of_nothing_or_of_too_much_is_no_message() {
    assert_eq!(ToServer::read(&[0, 0, 0, 0]), Err(Broken::Length(0)));
    let long = SCRIPT_MESSAGE_BYTES as u32 + 1;
    assert_eq!(ToServer::read(&long.to_be_bytes()), Err(Broken::Length(long)));
    assert_eq!(ToServer::read(&(long - 1).to_be_bytes()), Ok(None));
    let name = vec![0; SCRIPT_MESSAGE_BYTES];
    let mut buffer = vec![0; 2 * SCRIPT_MESSAGE_BYTES];
    let call = ToServer::Broadcast { instance: InstanceId(1), name: "", arguments: &name };
    assert_eq!(call.put(&mut Writer::new(&mut buffer)), Err(Full));
}

#[test]
fn what_a_host_does_is_known_until_it_leaves() {
    let doing = Doing::default();
    assert_eq!(doing.now(), None);
    for handler in Handler::ALL {
        doing.enter(InstanceId(7), *handler);
        let entered = |file: &str, line| Entered {
            instance: InstanceId(7),
            handler: *handler,
            file: file.try_into().unwrap(),
            line,
        };
        assert_eq!(doing.now(), Some(entered("", 0)));
        doing.at("main.asc", 12);
        assert_eq!(doing.now(), Some(entered("main.asc", 12)));
        doing.at("x.asc", 7);
        assert_eq!(doing.now(), Some(entered("x.asc", 7)));
    }
    let long = "ä".repeat(DOING_FILE_BYTES);
    doing.at(&long, 1);
    assert_eq!(doing.now().unwrap().file, long[..DOING_FILE_BYTES]);
    doing.leave();
    assert_eq!(doing.now(), None);
}
