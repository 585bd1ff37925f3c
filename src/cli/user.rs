//! `rill user`: who may publish in an application.

use base64ct::{Base64, Encoding};

use crate::limits::{USER_NAME_BYTES, USERS};
use crate::live::users::{User, is_user_name};
use crate::net::terminal::hidden_line;
use crate::rtmp::authmod;
use crate::store::{self, Options, UsersFile};

/// The longest password in bytes.
const PASSWORD_BYTES: usize = 128;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserCommand {
    /// A user may publish in an application, or has another password.
    Add {
        /// The application.
        app: String,
        /// The user.
        name: String,
    },
    /// A user may not any more.
    Remove {
        /// The application.
        app: String,
        /// The user.
        name: String,
    },
    /// Who may.
    List {
        /// The application.
        app: String,
    },
}

impl UserCommand {
    /// What stands behind `rill user`.
    pub(super) const USAGE: &str = "add APP NAME, remove APP NAME or list APP; the password is asked for";

    /// From the words behind `rill user`.
    pub(super) fn parse(words: &[&str]) -> Option<UserCommand> {
        let owned = |text: &str| text.to_owned();
        match *words {
            ["add", app, name] => Some(UserCommand::Add { app: owned(app), name: owned(name) }),
            ["remove", app, name] => Some(UserCommand::Remove { app: owned(app), name: owned(name) }),
            ["list", app] => Some(UserCommand::List { app: owned(app) }),
            _ => None,
        }
    }
}

/// Does it, and returns what to tell the user.
///
/// # Errors
///
/// What is wrong, a line each.
pub(super) fn run(options: &Options, command: &UserCommand) -> Result<String, Vec<String>> {
    let config = store::configuration(options)?;
    let one = |error: String| vec![error];
    let (UserCommand::Add { app, .. } | UserCommand::Remove { app, .. } | UserCommand::List { app }) = command;
    let mut file = UsersFile::open(&config, app)?;
    match command {
        UserCommand::Add { name, .. } => {
            if !is_user_name(name) {
                return Err(one(format!(
                    "a user's name has 1 to {USER_NAME_BYTES} letters, digits and . _ - + (USER_NAME_BYTES)"
                )));
            }
            let password = hidden_line("Password: ").map_err(|error| one(format!("the password: {error}")))?;
            if password.is_empty() || password.len() > PASSWORD_BYTES || password.chars().any(char::is_control) {
                return Err(one(format!("a password has 1 to {PASSWORD_BYTES} bytes, without control characters")));
            }
            let was_there = file.users.find(name).is_some();
            let user = user_of(name, &password).map_err(one)?;
            if !file.users.put(user) {
                return Err(one(format!("{app} has {USERS} users, and no place for another (USERS): remove one")));
            }
            if file.users.seed().is_none() {
                file.users.set_seed(&random::<16, 24>().map_err(one)?);
            }
            file.write().map_err(one)?;
            let path = file.path().display();
            Ok(match was_there {
                true => format!("{name} has another password in {app} ({path})"),
                false => format!("{name} may publish in {app}, and only who is in {path} may"),
            })
        }
        UserCommand::Remove { name, .. } => {
            if !file.users.remove(name) {
                return Err(one(format!("{}: there is no user {name:?}", file.path().display())));
            }
            file.write().map_err(one)?;
            let left = if file.users.iter().next().is_none() { ", and nobody is left who may" } else { "" };
            Ok(format!("{name} may not publish in {app} any more{left} ({})", file.path().display()))
        }
        UserCommand::List { .. } if file.users.iter().next().is_none() => {
            Ok(format!("no users ({})", file.path().display()))
        }
        UserCommand::List { .. } => Ok(file.users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>().join("\n")),
    }
}

/// A user with what a password leaves.
fn user_of(name: &str, password: &str) -> Result<User, String> {
    let salt = random::<4, 8>()?;
    let (adobe, llnw) = (authmod::adobe_hash(name, &salt, password), authmod::llnw_hash(name, password));
    User::new(name, &salt, &adobe, &llnw).ok_or_else(|| "the user cannot be kept".to_owned())
}

/// So many random bytes as so many characters of base64.
fn random<const BYTES: usize, const CHARACTERS: usize>() -> Result<String, String> {
    let (mut bytes, mut text) = ([0; BYTES], [0; CHARACTERS]);
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Base64::encode(&bytes, &mut text).map(str::to_owned).map_err(|error| error.to_string())
}
