//! What holds for the sources of a checkout, and for what its build makes of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

mod circles;
mod layers;
mod names;
mod profiles;
