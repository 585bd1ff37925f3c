//! Why a measurement cannot be had.

use std::error::Error;
use std::fmt;
use std::io;

use crate::net::open_files::TooFewFiles;

/// Why there is nothing to report.
#[derive(Debug)]
pub enum BenchError {
    /// The URL is not of the form `rtmp://host[:port]/app[[/instance]/NAME]`.
    Url(String),
    /// The server cannot be reached.
    Connect(String, io::Error),
    /// The system does not give what the measurement needs.
    System(&'static str, io::Error),
    /// The system allows fewer open files than there are clients.
    OpenFiles(TooFewFiles),
    /// A stream could not be published, for this reason.
    Publish(String),
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BenchError::Url(url) => write!(f, "{url}: expected rtmp://host[:port]/application[/NAME]"),
            BenchError::Connect(url, error) => write!(f, "{url}: cannot connect: {error}"),
            BenchError::System(what, error) => write!(f, "{what}: {error}"),
            BenchError::OpenFiles(TooFewFiles { needed, allowed }) => {
                write!(f, "{needed} open files are needed and {allowed} allowed: raise the hard limit (ulimit -Hn)")
            }
            BenchError::Publish(reason) => write!(f, "cannot publish: {reason}"),
        }
    }
}

impl Error for BenchError {}
