//! What the files of an application mean: what it may be called, and what its `app.toml` says is other than the server's
//! settings. The files themselves are read by [`crate::store`].

mod app_toml;
mod name;
mod programme;
mod relay;
mod tables;

pub use app_toml::{keys, parse};
pub use name::{AppName, STOCK, named};
