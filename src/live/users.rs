//! The users who may publish in an application, by the file that `rill user` keeps: a line `NAME:SALT:HASH:HASH` for each, as
//! Adobe's servers keep them, with a second hash for Limelight's way. Neither is a password, but who has one can log in by
//! it; so none is ever shown.

use core::fmt;

use heapless::String;

use crate::limits::{USER_NAME_BYTES, USER_SALT_BYTES, USERS};

/// Characters of a user's hash for `authmod=adobe`: base64 of an MD5, with padding.
const ADOBE_HASH_BYTES: usize = 24;
/// Of that for `authmod=llnw`: an MD5 in hexadecimal digits.
const LLNW_HASH_BYTES: usize = 32;

/// How an encoder is asked to log in that does not ask for a way itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogInWay {
    /// Adobe's.
    #[default]
    Adobe,
    /// Limelight's.
    Llnw,
}

/// Who may publish, and how they log in. Without [`LogInRules::users`] everybody may, as far as other rules let them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogInRules {
    /// The way that is asked for.
    pub way: LogInWay,
    /// The file, where `app.toml` names another one than `users` beside itself.
    pub file: Option<std::string::String>,
    /// What is in the file.
    pub users: Option<Users>,
}

/// A user; the default one is nobody.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct User {
    /// What the encoder says.
    pub name: String<USER_NAME_BYTES>,
    /// What is hashed with the password for `authmod=adobe`.
    pub salt: String<USER_SALT_BYTES>,
    /// That hash.
    pub adobe_hash: String<ADOBE_HASH_BYTES>,
    /// The hash for `authmod=llnw`; empty where the file has none: that way is then closed to the user.
    pub llnw_hash: String<LLNW_HASH_BYTES>,
}

/// All users of an application.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Users {
    all: Vec<User>,
    /// What salts of users who are not there are made of: a secret of the file's own, so that they stay the same when the server
    /// is started anew, as those of users do. Empty in files that nobody but an editor has written.
    seed: String<USER_SALT_BYTES>,
}

/// How the line begins that has the seed: older servers pass it over.
const SEED: &str = "#unknown:";

/// Why a file of users cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsersError {
    /// Its line, from 1.
    pub line: usize,
    what: UsersFault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UsersFault {
    Form,
    Twice,
    TooMany,
}

impl User {
    /// A user by its parts; `None` when one of them cannot be that.
    pub fn new(name: &str, salt: &str, adobe_hash: &str, llnw_hash: &str) -> Option<User> {
        let is_base64 = |text: &str| text.bytes().all(|c| c.is_ascii_alphanumeric() || b"+/=".contains(&c));
        let is_llnw = llnw_hash.is_empty()
            || llnw_hash.len() == LLNW_HASH_BYTES && llnw_hash.bytes().all(|c| b"0123456789abcdef".contains(&c));
        let fits = is_user_name(name) && is_llnw && !salt.is_empty() && is_base64(salt) && is_base64(adobe_hash);
        (fits && adobe_hash.len() == ADOBE_HASH_BYTES).then_some(User {
            name: String::try_from(name).ok()?,
            salt: String::try_from(salt).ok()?,
            adobe_hash: String::try_from(adobe_hash).ok()?,
            llnw_hash: String::try_from(llnw_hash).ok()?,
        })
    }

    fn parse(line: &str) -> Option<User> {
        let mut parts = line.split(':');
        let user = User::new(parts.next()?, parts.next()?, parts.next()?, parts.next().unwrap_or_default())?;
        parts.next().is_none().then_some(user)
    }
}

/// Whether a user can be called so: 1 to [`USER_NAME_BYTES`] letters, digits and `._-+`, which come through a URL and a query
/// as they are.
pub fn is_user_name(name: &str) -> bool {
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || b"._-+".contains(&c);
    (1..=USER_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_plain)
}

impl Users {
    /// From the text of the file. Empty lines, and those that begin with `#`, are passed over.
    ///
    /// # Errors
    ///
    /// The first line that is no user, one that is there twice, and one beyond [`USERS`].
    pub fn parse(text: &str) -> Result<Users, UsersError> {
        let mut users = Users::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(seed) = line.strip_prefix(SEED) {
                users.seed = String::try_from(seed).unwrap_or_default();
            }
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |what| UsersError { line: at + 1, what };
            let user = User::parse(line).ok_or(wrong(UsersFault::Form))?;
            if users.find(&user.name).is_some() {
                return Err(wrong(UsersFault::Twice));
            }
            if users.all.len() == USERS {
                return Err(wrong(UsersFault::TooMany));
            }
            users.all.push(user);
        }
        Ok(users)
    }

    /// The user of that name.
    pub fn find(&self, name: &str) -> Option<&User> {
        self.all.iter().find(|user| user.name == name)
    }

    /// What salts of users who are not there are made of, if the file has that.
    pub fn seed(&self) -> Option<&str> {
        Some(self.seed.as_str()).filter(|seed| !seed.is_empty())
    }

    /// Gives them one: random, of up to [`USER_SALT_BYTES`].
    pub fn set_seed(&mut self, seed: &str) {
        self.seed = String::try_from(seed).unwrap_or_default();
    }

    /// Writes them as [`Users::parse`] reads them.
    ///
    /// # Errors
    ///
    /// The writer's own.
    pub fn write(&self, out: &mut impl std::io::Write) -> std::io::Result<()> {
        if let Some(seed) = self.seed() {
            writeln!(out, "{SEED}{seed}")?;
        }
        for User { name, salt, adobe_hash, llnw_hash } in &self.all {
            writeln!(out, "{name}:{salt}:{adobe_hash}:{llnw_hash}")?;
        }
        Ok(())
    }

    /// All, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &User> {
        self.all.iter()
    }

    /// Adds a user, or gives one who is there other hashes. False when there are [`USERS`] already.
    pub fn put(&mut self, user: User) -> bool {
        match self.all.iter().position(|known| known.name == user.name) {
            Some(at) => self.all[at] = user,
            None if self.all.len() == USERS => return false,
            None => self.all.push(user),
        }
        true
    }

    /// Removes a user. False when there is none of that name.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.all.len();
        self.all.retain(|user| user.name != name);
        self.all.len() < before
    }
}

impl fmt::Debug for Users {
    /// Without their secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.all).finish()
    }
}

impl fmt::Debug for User {
    /// Without what others could log in by.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("User").field(&self.name).finish()
    }
}

impl fmt::Display for UsersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            UsersFault::Form => {
                f.write_str("is no user; a line is NAME:SALT:HASH:HASH: delete it, and use `rill user add`")
            }
            UsersFault::Twice => f.write_str("the user is there twice; delete one of the lines"),
            UsersFault::TooMany => write!(f, "there are more than {USERS} users (USERS); delete lines"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAM: &str = "cam:c2FsdA==:1B2M2Y8AsgTpgAmY7PhCfg==:d41d8cd98f00b204e9800998ecf8427e";

    #[test]
    fn a_line_is_a_user_and_a_bad_one_is_named_with_what_to_do() {
        let old = "old:c2FsdA==:1B2M2Y8AsgTpgAmY7PhCfg==";
        let users = Users::parse(&format!("# users\n\n{CAM}\r\n {old} \n")).unwrap();
        assert_eq!(users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["cam", "old"]);
        assert_eq!(users.find("cam").unwrap().llnw_hash.len(), 32);
        assert_eq!(users.find("old").unwrap().llnw_hash, "", "as Adobe's servers keep them");
        assert!(users.find("Cam").is_none());
        for wrong in [
            "cam",
            "cam:c2FsdA==",
            "cam:c2FsdA==:1B2M",
            ":c2FsdA==:1B2M2Y8AsgTpgAmY7PhCfg==",
            "c m:c2FsdA==:1B2M2Y8AsgTpgAmY7PhCfg==",
            "cam::1B2M2Y8AsgTpgAmY7PhCfg==",
            "cam:s&lt:1B2M2Y8AsgTpgAmY7PhCfg==",
            "cam:c2FsdA==:1B2M2Y8AsgTpgAmY7PhCfg==:XYZ",
            &format!("{CAM}:more"),
        ] {
            let error = Users::parse(&format!("{old}\n{wrong}\n")).unwrap_err();
            assert_eq!((error.line, error.what), (2, UsersFault::Form), "{wrong}");
            assert!(error.to_string().contains("rill user add"));
        }
        assert_eq!(
            Users::parse(&format!("{CAM}\n\n{CAM}")).unwrap_err().to_string(),
            "the user is there twice; delete one of the lines"
        );
    }

    #[test]
    fn the_seed_of_unknown_users_is_kept_with_the_users_and_never_shown() {
        let mut users = Users::parse(CAM).unwrap();
        assert_eq!(users.seed(), None);
        users.set_seed("c2VlZA==");
        let mut text = Vec::new();
        users.write(&mut text).unwrap();
        let again = Users::parse(core::str::from_utf8(&text).unwrap()).unwrap();
        assert_eq!((again.seed(), again.iter().count()), (Some("c2VlZA=="), 1));
        assert!(again == users && !format!("{again:?}").contains("c2VlZA"));
    }

    #[test]
    fn there_are_so_many_users_and_no_more_and_none_of_them_shows_its_hash() {
        let line = |at: usize| format!("u{at}:c2FsdA==:1B2M2Y8AsgTpgAmY7PhCfg==\n");
        let text: std::string::String = (0..USERS).map(line).collect();
        let mut users = Users::parse(&text).unwrap();
        assert_eq!(Users::parse(&(text + &line(USERS))).unwrap_err().line, USERS + 1);
        let other = |name: &str| User::new(name, "bm90", "1B2M2Y8AsgTpgAmY7PhCfg==", "").unwrap();
        assert!(users.put(other("u1")) && !users.put(other("new")));
        assert_eq!(users.find("u1").unwrap().salt, "bm90");
        assert!(users.remove("u1") && !users.remove("u1") && users.put(other("new")));
        let shown = format!("{users:?}");
        assert!(shown.contains("u2") && !shown.contains("1B2M") && !shown.contains("bm90"), "{shown}");
    }
}
