//! amf3
