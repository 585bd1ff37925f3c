//! Who publishes and plays what, and under which rules: names and their rings, applications and what their files say. No word of
//! any protocol.

pub mod app;
pub mod applications;
pub mod jobs;
pub mod names;
pub mod settings;
pub mod trouble;
