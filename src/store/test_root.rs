//! What tests of the lanes read: a root of files.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A root of the test's own, with the directory of an application `live`. It goes with the test.
pub(super) struct Root(pub(super) PathBuf);

impl Root {
    /// `name` only makes it easier to recognise.
    pub(super) fn new(name: &str) -> Root {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("rill-root-{}-{}-{name}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let root = std::env::temp_dir().join(unique);
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("applications/live")).unwrap();
        Root(root)
    }

    /// Writes a file in it.
    pub(super) fn write(&self, file: &str, text: &str) {
        let file = self.0.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
