//! Applications with scripts, and clients that other people have written: librtmp (rtmpdump and Python's bindings of it),
//! ffmpeg, GStreamer. Each test writes its scripts into a root of its own and runs the real binary on it.
//!
//! With `RILL_RUNNER` set (an emulator) the tests with GStreamer and the measurement of latency are left out.

mod ends;
mod gstreamer;
mod librtmp;
mod limits;
mod media;
mod python;
pub mod stage;
mod strangers;
