//! amf0
