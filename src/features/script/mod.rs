//! Server-side code: `main.asc` in QuickJS, one runtime and context per application instance (Adobe Media Server,
//! "Server-Side ActionScript Language Reference").

mod source;

pub use source::{Budget, Source, SourceFile};

/// The server's handle of a connection; here it is only copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(pub u64);
