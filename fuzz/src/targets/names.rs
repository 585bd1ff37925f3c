//! Names, URLs and lists of addresses, as people and encoders write them: a name means itself.

use rill::client::url::RtmpUrl;
use rill::live::app::AddressList;
use rill::name::{AppPath, StreamName, app_query};

/// Two lines or more: an application and its tcUrl.
pub fn run(bytes: &[u8]) {
    if let Ok(name) = StreamName::parse(bytes) {
        let again = StreamName::parse(name.name.as_bytes()).expect("a name that was accepted is one");
        assert_eq!(again.name, name.name);
    }
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    let (app, url) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(path) = AppPath::parse(app, url) {
        let again = AppPath::parse(&format!("{}/{}", path.app, path.instance), "");
        assert_eq!(again.as_ref(), Ok(&path), "{app:?} {url:?}");
    }
    let _ = app_query(app, url);
    for url in text.lines() {
        if let Ok(url) = RtmpUrl::parse(url) {
            let _ = format!("{url:?}");
        }
    }
    if let Ok(list) = AddressList::parse(text.lines()) {
        for peer in ["10.0.0.1", "::1", "192.168.7.1", "::ffff:10.0.0.1"] {
            list.allows(peer.parse().expect("an address"));
        }
    }
}
