//! Who publishes and plays what, and under which rules: names and their rings, applications and what their files say. No word of
//! any protocol.

pub mod app;
pub mod applications;
pub mod jobs;
pub mod names;
pub mod reader;
pub mod settings;
pub mod trouble;

use applications::Applications;
use names::Names;

/// All of it. Its two tables are borrowed apart.
pub struct Live {
    /// Applications, and what their files say.
    pub apps: Applications,
    /// Names that are published, played or waited for, and the rings of what is published.
    pub names: Names,
}
