//! The command line: does what its arguments ask for.

mod arguments;
mod boards;
#[cfg_attr(not(feature = "tls"), path = "no_certificate.rs")]
mod certificate;
mod connect;
mod ctl;
mod init;
mod limits;
mod output;
pub mod pages;
mod serve;
mod sign;
mod statuses;
mod user;

use std::process::ExitCode;

use crate::bench;
#[cfg(feature = "script")]
use crate::host;

pub use crate::store::Options;
pub use arguments::{Invocation, UsageError, parse};
pub use sign::SignCommand;
pub use user::UserCommand;

use arguments::help;
use output::{complain, say};

/// Says what came of a command.
fn finish(result: Result<String, Vec<String>>) -> ExitCode {
    match result {
        Ok(said) => {
            say(&said);
            ExitCode::SUCCESS
        }
        Err(errors) => {
            errors.iter().for_each(|error| complain(error));
            ExitCode::FAILURE
        }
    }
}

/// Does what the process was asked to do. The status is 0 on success, 2 when the command line is wrong, 1 for
/// everything else.
pub fn main() -> ExitCode {
    let command = match parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            complain(&error);
            complain(&"`rill --help` lists what there is");
            return ExitCode::from(2);
        }
    };
    match command {
        Invocation::Serve(options) => serve::serve(&options),
        Invocation::Check(options) => serve::check(&options),
        Invocation::Limits { options, json } => limits::print(&options, json),
        Invocation::Init { directory, tls } => finish(init::init(&directory, tls)),
        Invocation::User { options, command } => finish(user::run(&options, &command)),
        Invocation::Sign { options, command } => finish(sign::run(&options, &command).map(|(link, remark)| {
            if let Some(remark) = remark {
                complain(&remark);
            }
            link
        })),
        Invocation::Statuses { json } => statuses::print(json),
        Invocation::Bench(arguments) => bench::main(arguments),
        Invocation::Connect(arguments) => connect::main(arguments),
        Invocation::Ctl(arguments) => ctl::main(arguments),
        #[cfg(feature = "script")]
        Invocation::ScriptHost(arguments) => host::main(&arguments),
        #[cfg(not(feature = "script"))]
        Invocation::ScriptHost(_) => ExitCode::FAILURE,
        Invocation::Boards { json } => {
            boards::print(json);
            ExitCode::SUCCESS
        }
        Invocation::Help => {
            say(&help());
            ExitCode::SUCCESS
        }
        Invocation::Version => {
            say(&concat!("rill ", env!("CARGO_PKG_VERSION")));
            ExitCode::SUCCESS
        }
    }
}
