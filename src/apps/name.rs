//! What an application may be called.

use crate::limits::APP_NAME_BYTES;
use crate::name::AppPath;

/// Applications that a server without files has.
pub const STOCK: [&str; 2] = ["live", "vod"];

/// The name of an application.
pub type AppName = heapless::String<APP_NAME_BYTES>;

/// The name, if clients can name an application so and it can be that of a directory. Hidden directories are none.
pub fn named(name: &str) -> Option<AppName> {
    let path = AppPath::parse(name, "").ok()?;
    (path.app == name && !name.starts_with('.')).then_some(path.app)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applications_have_names_that_clients_can_send() {
        assert_eq!(named("vod").unwrap(), "vod");
        let long = "x".repeat(APP_NAME_BYTES + 1);
        for name in ["", ".git", "a?b", " live", long.as_str()] {
            assert!(named(name).is_none(), "{name}");
        }
    }
}
