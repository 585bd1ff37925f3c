//! What comes to the HTTP side: heads of requests, and frames of WebSockets. A head that is read is read alike again from what was read,
//! and frames are the same in one piece and byte by byte.

use rill::wire::http::{HttpRequest, Method};
use rill::wire::websocket::ClientFrames;

/// A head, or, behind a byte of 0, frames.
pub fn run(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, frames)) => websocket(frames),
        _ => head(bytes),
    }
}

fn head(bytes: &[u8]) {
    let Ok(request) = HttpRequest::parse(bytes) else { return };
    assert!(bytes.ends_with(b"\r\n\r\n"));
    assert!(request.path.starts_with('/') || request.method == Method::Options && request.path == "*");
    assert!(!request.path.split('/').any(|part| part == ".." || part == "."), "{:?}", request.path);
    assert!(!request.path.contains(char::is_control), "{:?}", request.path);
    assert!(request.body_bytes <= rill::limits::HTTP_BODY_BYTES);
    let escaped: String = request.path.bytes().map(|byte| format!("%{byte:02x}")).collect();
    if request.path.starts_with('/') {
        let again = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &escaped[3..]);
        assert_eq!(HttpRequest::parse(again.as_bytes()).expect("a path that was read is one").path, request.path);
    }
    if let Some(range) = request.range
        && let Some((first, count)) = range.within(1000)
    {
        assert!(count > 0 && first + count <= 1000);
    }
    let _ = request.query::<64>("key");
}

fn websocket(bytes: &[u8]) {
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut reader, mut found) = (ClientFrames::default(), Vec::new());
        for mut piece in pieces {
            loop {
                match reader.next(&mut piece) {
                    Ok(Some(frame)) => found.push(Ok(frame)),
                    Ok(None) => break,
                    Err(code) => {
                        found.push(Err(code));
                        return found;
                    }
                }
            }
        }
        found
    };
    assert_eq!(read(&mut [bytes].into_iter()), read(&mut bytes.chunks(1)));
}
