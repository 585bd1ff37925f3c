//! Recorded files on a disk: films of three hours, and files that are not what they should be.

#![allow(clippy::unwrap_used, reason = "a test that meets what it did not expect has failed")]

mod broken;
mod disk;
mod film;
mod long;
