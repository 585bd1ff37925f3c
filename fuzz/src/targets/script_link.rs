//! What the server and a script host say to each other: whatever the other end is, its bytes are read or refused, and what
//! was read is written as the same bytes.

use rill::wire::bytes::{Full, Writer};
use rill::wire::script_link::{ToHost, ToServer};

/// Messages of either side, one behind the other.
pub fn run(bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let told = ToHost::read(rest).ok().flatten();
        let said = ToServer::read(rest).ok().flatten();
        let length = match (told, said) {
            (Some((message, length)), None) => same(&rest[..length], |out| message.put(out)),
            (None, Some((message, length))) => same(&rest[..length], |out| message.put(out)),
            (None, None) => return,
            (Some(_), Some(_)) => panic!("each side has its own types"),
        };
        rest = &rest[length..];
    }
}

fn same(bytes: &[u8], put: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>) -> usize {
    let mut buffer = vec![0; bytes.len()];
    let mut out = Writer::new(&mut buffer);
    put(&mut out).expect("what was read fits where it was read");
    assert_eq!(out.written(), bytes);
    bytes.len()
}
