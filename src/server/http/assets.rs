//! Files that the program has embedded: the page and what belongs to it. `build.rs` packs what stands in `assets/`.

/// An embedded file.
pub(super) struct Asset {
    /// Its path in the URL.
    path: &'static str,
    /// Its type, as HTTP says it.
    pub(super) content_type: &'static str,
    /// Its bytes, packed by gzip.
    pub(super) gzip: &'static [u8],
    /// What changes with its bytes.
    pub(super) tag: &'static str,
}

/// All of them.
const ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The file of a path.
pub(super) fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}
