//! Embeds the board profiles: reads each file of `boards/`, fails the build when one is wrong, and writes the constants that
//! `src/board/mod.rs` includes. The scripts' prelude is embedded, too, without its comments, and so are the page's files.

#[cfg(feature = "std")]
#[path = "src/board/profile.rs"]
#[allow(dead_code, reason = "the server writes numbers of bytes, and asks nothing else of a profile here")]
mod profile;
#[cfg(feature = "std")]
#[path = "src/board/read.rs"]
mod read;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Without it there are neither boards nor the parser.
    #[cfg(feature = "std")]
    embed();
    #[cfg(feature = "std")]
    embed_assets();
    #[cfg(feature = "script")]
    embed_prelude();
}

/// The prelude for `src/host/engine.rs`. The engine keeps the text of every function, too.
#[cfg(feature = "script")]
fn embed_prelude() {
    const PRELUDE: &str = "src/host/prelude.js";
    println!("cargo::rerun-if-changed={PRELUDE}");
    let text = std::fs::read_to_string(PRELUDE).expect(PRELUDE);
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with("//"));
    let directory = std::env::var("OUT_DIR").expect("cargo runs the build script");
    let path = std::path::Path::new(&directory).join("prelude.js");
    std::fs::write(path, lines.collect::<Vec<_>>().join("\n")).expect("cargo gives a directory to write to");
}

/// The files of `assets/` for `src/server/http/assets.rs`: each by its name, packed, with a tag that is other when its bytes
/// are. `index.html` is the root's.
#[cfg(feature = "std")]
fn embed_assets() {
    use std::fmt::Write as _;
    use std::path::Path;
    println!("cargo::rerun-if-changed=assets");
    let variable = |name| std::env::var(name).expect("cargo runs the build script");
    let (from, to) = (Path::new(&variable("CARGO_MANIFEST_DIR")).join("assets"), variable("OUT_DIR"));
    let mut names: Vec<String> = std::fs::read_dir(&from)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| content_type(name).is_some())
        .collect();
    names.sort();
    let mut list = String::from("&[\n");
    for name in names {
        let file = from.join(&name);
        println!("cargo::rerun-if-changed={}", file.display());
        let bytes = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let packed = gzip(&bytes);
        let packed_name = format!("{name}.gz");
        std::fs::write(Path::new(&to).join(&packed_name), &packed).expect("cargo gives a directory to write to");
        let path = if name == "index.html" { "/".to_owned() } else { format!("/assets/{name}") };
        let kind = content_type(&name).unwrap_or_default();
        let _ = writeln!(
            list,
            "    Asset {{ path: {path:?}, content_type: {kind:?}, gzip: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{packed_name}\")), tag: \"{:08x}{:x}\" }},",
            crc32(&bytes),
            bytes.len(),
        );
    }
    std::fs::write(Path::new(&to).join("assets.rs"), list + "]\n").expect("cargo gives a directory to write to");
}

/// The type of an asset by its ending; `None` for what is none.
#[cfg(feature = "std")]
fn content_type(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webmanifest" => "application/manifest+json",
        _ => return None,
    })
}

/// A file in gzip's form (RFC 1952), without a name and a time, so that the same bytes are always packed alike.
#[cfg(feature = "std")]
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 2, 255];
    packed.extend(miniz_oxide::deflate::compress_to_vec(bytes, 10));
    packed.extend(crc32(bytes).to_le_bytes());
    packed.extend((bytes.len() as u32).to_le_bytes());
    packed
}

/// The check sum of gzip (RFC 1952, section 8).
#[cfg(feature = "std")]
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(feature = "std")]
fn embed() {
    use std::path::Path;
    // Cargo sets both.
    let variable = |name| std::env::var(name).expect("cargo runs the build script");
    let directory = Path::new(&variable("CARGO_MANIFEST_DIR")).join("boards");
    match list(&directory) {
        Ok(list) => {
            let path = Path::new(&variable("OUT_DIR")).join("profiles.rs");
            std::fs::write(&path, list).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        Err(problems) => {
            for line in problems.iter().flat_map(|problem| problem.lines()) {
                println!("cargo::error={line}");
            }
        }
    }
}

/// The list of the profiles in `directory` as Rust source: `generic` and then the others by name. Or what is wrong with
/// them, a message for each wrong one.
#[cfg(feature = "std")]
pub fn list(directory: &std::path::Path) -> Result<String, Vec<String>> {
    let unreadable = |error: std::io::Error| vec![format!("{}: {error}", directory.display())];
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if let (Some(name), Some("toml")) = (path.file_stem(), path.extension().and_then(|ending| ending.to_str())) {
            files.push((name.to_string_lossy().into_owned(), path));
        }
    }
    files.sort_by_key(|(name, _)| (name != "generic", name.clone()));
    let mut problems = Vec::new();
    if files.first().is_none_or(|(name, _)| name != "generic") {
        problems.push("boards/generic.toml is missing".to_owned());
    }
    let mut list = String::from("&[\n");
    for (name, path) in files {
        // Not the directory: of that cargo watches everything below, and each script of an image would build the server
        // anew. A new profile is seen when this file is newer than it was (boards/cross.sh), and missed by a test.
        println!("cargo::rerun-if-changed=boards/{name}.toml");
        // The build script ends soon, and a profile's name lives as long as the program.
        let name: &'static str = name.leak();
        let text = std::fs::read_to_string(&path).map_err(|error| format!("boards/{name}.toml: {error}"));
        match text.and_then(|text| read::parse(name, &text)) {
            Ok(board) => list += &format!("    {board:?},\n"),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(list + "]\n") } else { Err(problems) }
}
