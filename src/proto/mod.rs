//! proto
pub mod assembly;
pub mod chunk_reader;
