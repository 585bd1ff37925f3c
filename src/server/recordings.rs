//! What publishers hear of their streams' recordings.

use crate::live::holder::Holder;
use crate::live::recording::RecordSaid;

use super::Server;

impl Server {
    /// Says something of its recording to who publishes a stream.
    pub(super) fn say_of_recording(&mut self, _by: Holder, _said: RecordSaid) {}
}
