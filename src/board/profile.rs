//! Board profiles: the keys of the files in `boards/`.
//!
//! The build script is compiled with this file, too, and writes what it has read as the constants that they are in the binary. It
//! therefore names nothing of the crate.

use std::fmt;
use std::ops::Deref;

use toml::de::DeValue;

/// A list in a profile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ProfileList<T: 'static>(pub &'static [T]);

impl<T> Deref for ProfileList<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for ProfileList<T> {
    /// As Rust has it, like all else in a profile: so the build script writes them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProfileList(&{:?})", self.0)
    }
}

/// A kind of board, or of machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Board {
    /// The file's name without its ending; what `--board` takes.
    pub name: &'static str,
    /// One line for people.
    pub description: &'static str,
    /// Rust target triple of its static binary.
    pub target: &'static str,
    /// The CPU that qemu-user emulates to test that binary.
    pub cpu: &'static str,
    /// Memory of the smallest such board, in bytes.
    pub ram_bytes: u64,
    /// Beginnings of `/proc/device-tree/model` that mean this board. Empty: it is only chosen by name.
    pub models: ProfileList<&'static str>,
    /// How much the server takes on the smallest such board unless the configuration says otherwise.
    pub limits: Counts,
    /// Which scripts share a process there: `"application"` or `"server"`, as in the configuration.
    pub script_process: &'static str,
    /// What those counts grow to with more memory; `None` when they do not grow.
    pub most: Option<Counts>,
    /// The Debian architecture whose package holds this board's binary; `None` when none does.
    pub package: Option<&'static str>,
    /// What its image is made of; `None` when there is no image for it.
    pub image: Option<Image>,
    /// Machines of QEMU that boot the image, in the order in which they are tried.
    pub machines: ProfileList<QemuMachine>,
}

/// What the image of a board is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// The Debian architecture of the kernel and of busybox. It may be another than the server's: they share nothing.
    pub arch: &'static str,
    /// The Debian suite they come from.
    pub suite: &'static str,
    /// The kernel's package.
    pub kernel: &'static str,
    /// Files of `raspi-firmware` that go beside it; none on boards that carry their firmware themselves.
    pub firmware: ProfileList<&'static str>,
    /// Device trees in the kernel's package, without `.dtb`; `*` stands for anything.
    pub device_trees: ProfileList<&'static str>,
    /// Kernel modules beside those that the device trees ask for; those they need come with them.
    pub modules: ProfileList<&'static str>,
    /// The serial console's device in `/dev`.
    pub console: &'static str,
    /// What is added to the kernel's command line.
    pub kernel_arguments: &'static str,
    /// Lines of `config.txt` that not every image has.
    pub firmware_settings: ProfileList<&'static str>,
    /// Size of the FAT partition with firmware, kernel and settings.
    pub boot_bytes: u64,
    /// Size of the partition for applications and recordings, before it grows to fill the card.
    pub state_bytes: u64,
    /// The largest compressed image without Wi-Fi, in bytes; `None` where there is no bound.
    pub compressed_bytes: Option<u64>,
    /// What Wi-Fi takes; `None` when no such board has it.
    pub wifi: Option<Wifi>,
}

/// What an image needs for its boards' Wi-Fi.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wifi {
    /// Beginnings of file names below `brcm/` in `firmware-brcm80211`.
    pub firmware: ProfileList<&'static str>,
    /// Kernel modules.
    pub modules: ProfileList<&'static str>,
}

/// A machine of QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QemuMachine {
    /// What `make boot-test` calls it.
    pub name: &'static str,
    /// The program.
    pub program: &'static str,
    /// Its `-M`.
    pub machine: &'static str,
    /// Its `-cpu`; `None` when the machine decides.
    pub cpu: Option<&'static str>,
    /// Its `-m`.
    pub memory_bytes: u64,
    /// Name of the device tree of the image it is started with, without directory and `.dtb`; `None` when it makes its own.
    pub device_tree: Option<&'static str>,
    /// Changes to that, each `PATH PROPERTY STRING`.
    pub device_tree_edits: ProfileList<&'static str>,
    /// What is added to the kernel's command line, mostly for what the machine lacks.
    pub kernel_arguments: &'static str,
    /// Its network device, as `-device` calls it.
    pub network: &'static str,
    /// Where the card is.
    pub card: Card,
    /// Attempts of a test before it has failed: emulations of real boards are not all reliable.
    pub attempts: u32,
    /// Seconds from power-on in which the server has to answer; `None` where there is no bound.
    pub answers_within_s: Option<u32>,
    /// Resident memory of the server without connections, beyond its rings, at most; `None` where there is no bound.
    pub idle_bytes: Option<u64>,
}

/// How a machine of QEMU is given the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Card {
    /// In its own slot: `-drive if=sd`.
    Sd,
    /// As a `virtio-blk-device`.
    Virtio,
}

/// The counts that size the server's memory. They are fixed when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Connections at once, of whatever kind.
    pub connections: u32,
    /// Streams at once, and so rings.
    pub streams: u32,
    /// Size of each stream's ring, in bytes.
    pub ring_bytes: u64,
    /// The largest total of the memory table, in bytes.
    pub ram_budget_bytes: u64,
    /// Application instances with a script at once.
    pub script_instances: u32,
    /// Players of recorded streams at once.
    pub recorded_players: u32,
    /// Recordings that are made at once.
    pub recordings: u32,
    /// Streams that are sent to other servers or fetched from them at once.
    pub relays: u32,
    /// Requests to hooks under way at once.
    pub hooks: u32,
    /// Connections with TLS at once.
    pub tls_connections: u32,
}

/// The line of `text` that byte `offset` is in, from 1.
pub fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset.min(text.len())].iter().filter(|&&byte| byte == b'\n').count()
}

/// A number of bytes: an integer, or an integer and `KiB`, `MiB` or `GiB`.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (digits, shift) =
        units.iter().find_map(|&(unit, shift)| Some((text.strip_suffix(unit)?, shift))).unwrap_or((text, 0));
    let number: u64 = digits.trim_end().parse().ok()?;
    number.checked_mul(1 << shift)
}

/// A number of bytes as [`parse_bytes`] reads it, in the largest unit that divides it.
pub fn format_bytes(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.iter().find(|&&(_, shift)| bytes >= 1 << shift && bytes.trailing_zeros() >= shift) {
        Some((unit, shift)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

/// The value of a TOML integer; `None` when it does not fit.
pub fn integer(value: &DeValue) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_sizes_are_read_as_they_are_written() {
        for (text, bytes) in [("0", 0), ("1000", 1000), ("512KiB", 512 << 10), ("4 MiB", 4 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(parse_bytes(text), Some(bytes));
            assert_eq!(parse_bytes(&format_bytes(bytes)), Some(bytes));
        }
        assert_eq!(format_bytes(1536 << 10), "1536KiB");
        for text in ["", "MiB", "4MB", "-1", "1.5MiB", "17179869184GiB"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }
}
