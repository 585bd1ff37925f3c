//! The kinds of boards that the server knows, and how much it takes on each by default.
//!
//! What is known of a board is its profile, a file in `boards/`; the binary carries them all. Adding a board is adding its
//! file: the build script finds it and reads it, and a key that is wrong, missing or unknown fails the build by its name. In the
//! binary they are constants. The scripts that build binaries, packages and images, and those that boot them, read the
//! same files, so that a fact stands in one place.
//!
//! # How counts grow with memory
//!
//! A profile's counts are for the smallest such board. They double with each doubling of the memory, each until it
//! reaches what `[limits.most]` says; without that table they stay. A doubling counts as reached when three quarters of
//! it are found, since the kernel and the GPU keep some for themselves: a board sold with 512 MiB shows 430 to 490.

pub use profile::{
    Board, Card, Counts, Image, ProfileList, QemuMachine, Wifi, format_bytes, integer, line_of, parse_bytes,
};

pub mod profile;
#[cfg(test)]
mod read;

/// Every profile. `generic`, which is assumed when nothing is known, is the first, and the others follow by name. The build script
/// writes the list.
static BOARDS: &[Board] = {
    use profile::Card::{Sd, Virtio};
    include!(concat!(env!("OUT_DIR"), "/profiles.rs"))
};

impl Board {
    /// This kind of board where `ram_bytes` of memory were found: its limits are then what [`Board::counts`] says.
    pub fn with_memory(&self, ram_bytes: Option<u64>) -> Board {
        Board { limits: self.counts(ram_bytes), ..*self }
    }

    /// What the server takes on this kind of board where `ram_bytes` of memory were found, or on the smallest when the
    /// amount is unknown.
    pub fn counts(&self, ram_bytes: Option<u64>) -> Counts {
        let (Some(most), Some(found)) = (self.most, ram_bytes) else { return self.limits };
        let mut counts = self.limits;
        let mut doubled = self.ram_bytes.saturating_mul(2);
        while found >= doubled / 4 * 3 && counts != most {
            counts = Counts {
                connections: counts.connections.saturating_mul(2).min(most.connections),
                streams: counts.streams.saturating_mul(2).min(most.streams),
                ring_bytes: counts.ring_bytes.saturating_mul(2).min(most.ring_bytes),
                ram_budget_bytes: counts.ram_budget_bytes.saturating_mul(2).min(most.ram_budget_bytes),
                script_instances: counts.script_instances.saturating_mul(2).min(most.script_instances),
                recorded_players: counts.recorded_players.saturating_mul(2).min(most.recorded_players),
                recordings: counts.recordings.saturating_mul(2).min(most.recordings),
                relays: counts.relays.saturating_mul(2).min(most.relays),
                hooks: counts.hooks.saturating_mul(2).min(most.hooks),
                tls_connections: counts.tls_connections.saturating_mul(2).min(most.tls_connections),
            };
            doubled = doubled.saturating_mul(2);
        }
        counts
    }
}

/// The memory that the kernel has, by the text of `/proc/meminfo`: its `MemTotal`, in bytes.
pub fn ram_bytes(meminfo: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    total.trim().strip_suffix(" kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

/// Every board there is a profile for; `generic` is the first.
pub fn all() -> &'static [Board] {
    BOARDS
}

/// The board called `name`.
pub fn by_name(name: &str) -> Option<&'static Board> {
    all().iter().find(|board| board.name == name)
}

/// The board that this machine is, by the text of `/proc/device-tree/model`: the longest matching beginning wins.
/// `generic` when there is no such text or no profile matches.
pub fn detect(model: Option<&str>) -> &'static Board {
    // The kernel ends the text with a zero byte.
    let model = model.unwrap_or("").trim_end_matches('\0').trim();
    let claims = all().iter().flat_map(|board| board.models.iter().map(move |prefix| (prefix, board)));
    claims
        .filter(|(prefix, _)| model.starts_with(**prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .map_or(&all()[0], |(_, board)| board)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_embedded() {
        let files = std::fs::read_dir("boards").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = files.filter_map(|file| Some(file.strip_suffix(".toml")?.to_owned())).collect();
        names.sort_by_key(|name| (name != "generic", name.clone()));
        let embedded: Vec<_> = all().iter().map(|board| board.name).collect();
        assert_eq!(embedded, names, "touch build.rs");
    }

    #[test]
    fn every_budget_is_at_most_half_of_the_memory() {
        for board in all() {
            assert!(board.limits.ram_budget_bytes <= board.ram_bytes / 2, "{}", board.name);
        }
    }

    #[test]
    fn counts_double_with_the_memory_that_was_found_until_they_reach_the_most() {
        let streams = |board: &str, mib: Option<u64>| {
            let counts = by_name(board).unwrap().counts(mib.map(|mib| mib << 20));
            (counts.streams, counts.ram_budget_bytes >> 20)
        };
        // What Linux shows on boards with 512 MiB, 1, 2 and 8 GiB.
        for (found, expected) in
            [(427, (12, 150)), (906, (24, 300)), (1849, (48, 592)), (7811, (48, 592)), (u64::MAX >> 20, (48, 592))]
        {
            assert_eq!(streams("rpi-64", Some(found)), expected, "{found}");
        }
        assert_eq!(streams("rpi-64", None), (12, 150));
        assert_eq!(streams("rpi-64", Some(90)), (12, 150), "the smallest such board is never taken to be smaller");
        assert_eq!(streams("generic", Some(191)), (4, 34), "one short of three quarters of 256");
        assert_eq!(streams("generic", Some(192)), (8, 68));
        assert_eq!(streams("host", Some(64 << 10)), (32, 512), "without limits.most nothing grows");
    }

    #[test]
    fn no_count_may_grow_to_less_than_it_is() {
        for (board, most) in all().iter().filter_map(|board| Some((board, board.most?))) {
            let Counts { connections, streams, ring_bytes, ram_budget_bytes, script_instances, .. } = board.limits;
            let Counts { recorded_players, recordings, relays, hooks, .. } = board.limits;
            assert!(connections <= most.connections && streams <= most.streams, "{}", board.name);
            assert!(ring_bytes <= most.ring_bytes && ram_budget_bytes <= most.ram_budget_bytes, "{}", board.name);
            assert!(script_instances <= most.script_instances, "{}", board.name);
            assert!(recorded_players <= most.recorded_players && recordings <= most.recordings, "{}", board.name);
            assert!(relays <= most.relays && hooks <= most.hooks, "{}", board.name);
        }
    }

    #[test]
    fn memory_is_what_the_kernel_calls_mem_total() {
        assert_eq!(ram_bytes("MemTotal:         437248 kB\nMemFree:          100000 kB\n"), Some(427 << 20));
        for text in ["", "MemFree: 7 kB\n", "MemTotal: x kB\n", "MemTotal: 7 MB\n"] {
            assert_eq!(ram_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn each_package_holds_the_binary_of_one_board() {
        let mut packages: Vec<_> = all().iter().filter_map(|board| board.package).collect();
        packages.sort_unstable();
        assert_eq!(packages, ["amd64", "arm64", "armhf"]);
    }

    #[test]
    fn every_image_has_a_machine_and_its_device_tree() {
        for board in all() {
            assert_eq!(board.image.is_some(), !board.machines.is_empty(), "{}", board.name);
            for tree in board.machines.iter().filter_map(|machine| machine.device_tree) {
                let trees = &board.image.as_ref().unwrap().device_trees;
                assert!(trees.iter().any(|path| path.rsplit('/').next() == Some(tree)), "{} {tree}", board.name);
            }
        }
    }

    #[test]
    fn the_longest_beginning_of_the_model_decides() {
        for (model, name) in [
            ("Raspberry Pi Zero W Rev 1.1\0", "rpi-zero"),
            ("Raspberry Pi Model B Plus Rev 1.2", "rpi-zero"),
            ("Raspberry Pi Compute Module Rev 1.0", "rpi-zero"),
            ("Raspberry Pi Zero 2 W Rev 1.0\0", "rpi-64"),
            ("Raspberry Pi Compute Module 3 Plus Rev 1.0", "rpi-64"),
            ("Raspberry Pi 400 Rev 1.0", "rpi-64"),
            ("Raspberry Pi 2 Model B Rev 1.1", "rpi-2"),
            ("Raspberry Pi 500 Rev 1.0", "rpi-5"),
            ("Raspberry Pi Compute Module 5 Rev 1.0", "rpi-5"),
            ("Xunlong Orange Pi Zero", "generic"),
        ] {
            assert_eq!(detect(Some(model)).name, name, "{model}");
        }
        assert_eq!(detect(None).name, "generic");
    }
}
