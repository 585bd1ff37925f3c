//! Fuzz targets of Rill: see [`targets`].

#[path = "../../tests/rtmp/mod.rs"]
mod rtmp;
#[path = "../../tests/sim/mod.rs"]
mod sim;
#[path = "../../tests/sim/storm.rs"]
mod storm;
pub mod targets;
