//! The file of an application's users: `rill user` changes it, and a server that runs sees that by itself.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::live::users::Users;

use super::app_files::read_users;
use super::apps_directory::users_path;
use super::secret_file;
use super::text_file::{at, is_absent};

/// What the file begins with, so that it is not empty without users either: then nobody may publish.
const HEAD: &str = "# NAME:SALT:HASH:HASH of each user, as `rill user` writes them. Who has a hash can log in by it.\n";

/// The file of users of one application.
pub struct UsersFile {
    path: PathBuf,
    /// What is in it.
    pub users: Users,
}

impl UsersFile {
    /// That of the application `app`, which may be none yet.
    ///
    /// # Errors
    ///
    /// What is wrong with the application's settings or the file, a line each.
    pub fn open(config: &Config, app: &str) -> Result<UsersFile, Vec<String>> {
        let path = users_path(config, app)?;
        let users = match fs::symlink_metadata(&path) {
            Err(error) if is_absent(&error) => Ok(Users::default()),
            _ => read_users(&path).and_then(|text| {
                Users::parse(&text).map_err(|error| format!("{}:{}: {error}", path.display(), error.line))
            }),
        };
        users.map(|users| UsersFile { path, users }).map_err(|error| vec![error])
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it whole, beside itself, and then puts it in its place: whoever reads meanwhile, or loses power, has the one or the
    /// other. Its owner alone can read it.
    ///
    /// # Errors
    ///
    /// The operating system's own.
    pub fn write(&self) -> Result<(), String> {
        let written = secret_file::replace(&self.path, |file| {
            // The administrator's file would be nothing that the server can read.
            let directory = self.path.parent().unwrap_or(&self.path);
            let (own, wanted) = (file.metadata()?, fs::metadata(&self.path).or_else(|_| fs::metadata(directory))?);
            if (own.uid(), own.gid()) != (wanted.uid(), wanted.gid()) {
                fchown(&*file, Some(wanted.uid()), Some(wanted.gid()))?;
            }
            file.write_all(HEAD.as_bytes())?;
            self.users.write(file)
        });
        written.map_err(|error| at(&self.path, &error))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::board;
    use crate::live::users::User;
    use crate::store::test_root::Root;

    #[test]
    fn users_are_kept_for_their_owner_alone_and_found_again_wherever_the_settings_say() {
        let root = Root::new("users");
        root.write("applications/live/cam.flv", "");
        let sets = [format!("server.root={}", root.0.display())];
        let config = crate::config::load(board::by_name("generic").unwrap(), None, &sets).unwrap();
        let open = || UsersFile::open(&config, "live");
        let hash = "1B2M2Y8AsgTpgAmY7PhCfg==";
        let mut file = open().unwrap();
        assert_eq!(file.users, Users::default());
        assert!(file.users.put(User::new("cam", "c2FsdA==", hash, "d41d8cd98f00b204e9800998ecf8427e").unwrap()));
        assert!(file.users.put(User::new("old", "c2FsdA==", hash, "").unwrap()));
        for name in ["users", "who/they are"] {
            file.path = root.0.join("applications/live").join(name);
            root.write("applications/live/who/else", "");
            file.write().unwrap();
            file.write().unwrap();
            assert_eq!(open().unwrap().users, file.users);
            assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o7777, 0o600);
            root.write("applications/live/app.toml", "publish.users = \"who/they are\"");
        }
        fs::remove_file(&file.path).unwrap();
        file.users.remove("cam");
        file.users.remove("old");
        file.write().unwrap();
        assert_eq!(open().unwrap().users, Users::default());
        root.write("applications/live/who/they are", "# x\nnobody\n");
        let errors = open().err().unwrap();
        assert!(errors[0].contains("they are:2: is no user"), "{errors:?}");
        root.write("applications/live/app.toml", "publish.users = 7");
        assert!(open().err().unwrap()[0].contains("must be a path"));
        assert!(UsersFile::open(&config, "no").err().unwrap()[0].ends_with("there is no such application"));
    }
}
