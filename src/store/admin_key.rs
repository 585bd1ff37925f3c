//! The file of the administrator's key, `admin.key` in the root.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::live::secret::AdminKey;

use super::text_file::{at, is_absent, read_text};
use super::{apps_directory, secret_file};

/// Its name.
const NAME: &str = "admin.key";
/// More is no key, with a line end behind it.
const MOST_BYTES: usize = 256;

/// Where it is, if there is a root.
pub(super) fn path(config: &Config) -> Option<PathBuf> {
    let applications = apps_directory::directory(config)?;
    Some(applications.parent()?.join(NAME))
}

/// Puts the key of the file into a configuration that has none itself.
///
/// # Errors
///
/// What is wrong with the file.
pub fn complete(config: &mut Config) -> Result<(), String> {
    let Some(path) = path(config).filter(|_| config.settings.admin_key.is_none()) else { return Ok(()) };
    match fs::symlink_metadata(&path) {
        Err(error) if is_absent(&error) => return Ok(()),
        Err(error) => return Err(at(&path, &error)),
        Ok(_) => {}
    }
    let text = read_text(&path, MOST_BYTES, "ADMIN_KEY_BYTES")?;
    let key = AdminKey::parse(text.trim());
    let wrong = || format!("{}: is no admin key: delete it, or make another with `rill ctl admin-key`", path.display());
    config.settings.admin_key = Some(key.ok_or_else(wrong)?);
    Ok(())
}

/// Writes another key, or with `None` removes it.
pub(super) fn keep(path: &Path, key: Option<&AdminKey>) -> Result<(), String> {
    let result = match key {
        Some(key) => secret_file::replace(path, |file| writeln!(file, "{}", key.as_str())),
        None => secret_file::remove(path),
    };
    result.map_err(|error| at(path, &error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::board;
    use crate::store::test_root::Root;

    #[test]
    fn a_key_is_kept_for_its_owner_and_found_again() {
        let root = Root::new("admin-key");
        let sets = [format!("server.root={}", root.0.display())];
        let loaded = || {
            let mut config = crate::config::load(board::by_name("generic").unwrap(), None, &sets).unwrap();
            complete(&mut config).map(|()| config.settings.admin_key)
        };
        let file = root.0.join(NAME);
        assert_eq!(loaded(), Ok(None));
        for text in ["correct-horse-42", "another-horse-43"] {
            let key = AdminKey::parse(text).unwrap();
            keep(&file, Some(&key)).unwrap();
            assert_eq!(loaded(), Ok(Some(key)));
        }
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(&root.0).unwrap().count(), 2, "nothing else is left beside the applications");
        keep(&file, None).unwrap();
        keep(&file, None).unwrap();
        assert_eq!(loaded(), Ok(None));
        root.write(NAME, "short\n");
        let error = loaded().unwrap_err();
        assert!(error.contains("is no admin key") && !error.contains("short"), "{error}");
    }
}
