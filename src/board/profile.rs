//! Board profiles: the keys of the files in `boards/`, and their parser.
//!
//! The build script is compiled with this file, too, so that a wrong profile fails the build. It therefore names nothing
//! of the crate.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A kind of board, or of machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// The file's name without its ending; what `--board` takes.
    pub name: &'static str,
    /// One line for people.
    pub description: String,
    /// Rust target triple of its static binary.
    pub target: String,
    /// The CPU that qemu-user emulates to test that binary.
    pub cpu: String,
    /// Memory of the smallest such board, in bytes.
    pub ram_bytes: u64,
    /// Beginnings of `/proc/device-tree/model` that mean this board. Empty: it is only chosen by name.
    pub models: Vec<String>,
    /// How much the server takes on the smallest such board unless the configuration says otherwise.
    pub limits: Counts,
    /// Which scripts share a process there: `"application"` or `"server"`, as in the configuration.
    pub script_process: String,
    /// What those counts grow to with more memory; `None` when they do not grow.
    pub most: Option<Counts>,
    /// The Debian architecture whose package holds this board's binary; `None` when none does.
    pub package: Option<String>,
    /// What its image is made of; `None` when there is no image for it.
    pub image: Option<Image>,
    /// Machines of QEMU that boot the image, in the order in which they are tried.
    pub machines: Vec<QemuMachine>,
}

/// What the image of a board is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The Debian architecture of the kernel and of busybox. It may be another than the server's: they share nothing.
    pub arch: String,
    /// The Debian suite they come from.
    pub suite: String,
    /// The kernel's package.
    pub kernel: String,
    /// Files of `raspi-firmware` that go beside it; none on boards that carry their firmware themselves.
    pub firmware: Vec<String>,
    /// Device trees in the kernel's package, without `.dtb`; `*` stands for anything.
    pub device_trees: Vec<String>,
    /// Kernel modules beside those that the device trees ask for; those they need come with them.
    pub modules: Vec<String>,
    /// The serial console's device in `/dev`.
    pub console: String,
    /// What is added to the kernel's command line.
    pub kernel_arguments: String,
    /// Lines of `config.txt` that not every image has.
    pub firmware_settings: Vec<String>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wifi {
    /// Beginnings of file names below `brcm/` in `firmware-brcm80211`.
    pub firmware: Vec<String>,
    /// Kernel modules.
    pub modules: Vec<String>,
}

/// A machine of QEMU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QemuMachine {
    /// What `make boot-test` calls it.
    pub name: String,
    /// The program.
    pub program: String,
    /// Its `-M`.
    pub machine: String,
    /// Its `-cpu`; `None` when the machine decides.
    pub cpu: Option<String>,
    /// Its `-m`.
    pub memory_bytes: u64,
    /// Name of the device tree of the image it is started with, without directory and `.dtb`; `None` when it makes its own.
    pub device_tree: Option<String>,
    /// Changes to that, each `PATH PROPERTY STRING`.
    pub device_tree_edits: Vec<String>,
    /// What is added to the kernel's command line, mostly for what the machine lacks.
    pub kernel_arguments: String,
    /// Its network device, as `-device` calls it.
    pub network: String,
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

/// Reads the profile `name` from `text`. The error names file, line and key.
pub fn parse(name: &'static str, text: &str) -> Result<Board, String> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = line_of(text, error.span().map_or(0, |span| span.start));
        format!("boards/{name}.toml:{line}: {}", error.message())
    })?;
    let span = table.span();
    let mut profile = Section { name, text, path: "", span, table: table.into_inner() };
    let mut limits = profile.table("limits", "limits.")?;
    let most = limits.optional("most", |limits| counts(limits.table("most", "limits.most.")?))?;
    let limits = counts(limits)?;
    let board = Board {
        name,
        description: profile.string("description")?,
        target: profile.string("target")?,
        cpu: profile.string("cpu")?,
        ram_bytes: profile.bytes("ram_bytes")?,
        models: profile.strings("models")?,
        limits,
        script_process: profile.word("script_process", &["application", "server"])?,
        most,
        package: profile.optional("package", |profile| profile.string("package"))?,
        image: profile.optional("image", |profile| image(profile.table("image", "image.")?))?,
        machines: match profile.optional("qemu", |profile| profile.tables("qemu", "qemu."))? {
            Some(tables) => tables.into_iter().map(machine).collect::<Result<_, _>>()?,
            None => Vec::new(),
        },
    };
    profile.finish()?;
    Ok(board)
}

fn counts(mut limits: Section) -> Result<Counts, String> {
    let counts = Counts {
        connections: limits.count("connections")?,
        streams: limits.count("streams")?,
        ring_bytes: limits.bytes("ring_bytes")?,
        ram_budget_bytes: limits.bytes("ram_budget_bytes")?,
        script_instances: limits.count("script_instances")?,
        recorded_players: limits.count("recorded_players")?,
        recordings: limits.count("recordings")?,
        relays: limits.count("relays")?,
        hooks: limits.count("hooks")?,
        tls_connections: limits.count("tls_connections")?,
    };
    limits.finish()?;
    Ok(counts)
}

fn image(mut image: Section) -> Result<Image, String> {
    let read = Image {
        arch: image.string("arch")?,
        suite: image.string("suite")?,
        kernel: image.string("kernel")?,
        firmware: image.strings("firmware")?,
        device_trees: image.strings("device_trees")?,
        modules: image.strings("modules")?,
        console: image.string("console")?,
        kernel_arguments: image.string("kernel_arguments")?,
        firmware_settings: image.strings("firmware_settings")?,
        boot_bytes: image.bytes("boot_bytes")?,
        state_bytes: image.bytes("state_bytes")?,
        compressed_bytes: image.optional("compressed_bytes", |image| image.bytes("compressed_bytes"))?,
        wifi: image.optional("wifi", |image| wifi(image.table("wifi", "image.wifi.")?))?,
    };
    image.finish()?;
    Ok(read)
}

fn wifi(mut wifi: Section) -> Result<Wifi, String> {
    let read = Wifi { firmware: wifi.strings("firmware")?, modules: wifi.strings("modules")? };
    wifi.finish()?;
    Ok(read)
}

fn machine(mut machine: Section) -> Result<QemuMachine, String> {
    let read = QemuMachine {
        name: machine.string("name")?,
        program: machine.string("program")?,
        machine: machine.string("machine")?,
        cpu: machine.optional("cpu", |machine| machine.string("cpu"))?,
        memory_bytes: machine.bytes("memory_bytes")?,
        device_tree: machine.optional("device_tree", |machine| machine.string("device_tree"))?,
        device_tree_edits: machine
            .optional("device_tree_edits", |machine| machine.strings("device_tree_edits"))?
            .unwrap_or_default(),
        kernel_arguments: machine
            .optional("kernel_arguments", |machine| machine.string("kernel_arguments"))?
            .unwrap_or_default(),
        network: machine.string("network")?,
        card: machine.take("card", "\"sd\" or \"virtio\"", |value| match value.as_str()? {
            "sd" => Some(Card::Sd),
            "virtio" => Some(Card::Virtio),
            _ => None,
        })?,
        attempts: machine.optional("attempts", |machine| machine.count("attempts"))?.unwrap_or(1),
        answers_within_s: machine.optional("answers_within_s", |machine| machine.count("answers_within_s"))?,
        idle_bytes: machine.optional("idle_bytes", |machine| machine.bytes("idle_bytes"))?,
    };
    machine.finish()?;
    Ok(read)
}

/// A table of a profile whose keys are taken out one by one, so that what is left is unknown.
struct Section<'i> {
    name: &'static str,
    text: &'i str,
    /// What stands before a key's name in messages.
    path: &'static str,
    span: Range<usize>,
    table: DeTable<'i>,
}

impl<'i> Section<'i> {
    fn take<T>(
        &mut self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&mut DeValue<'i>) -> Option<T>,
    ) -> Result<T, String> {
        let Some(mut value) = self.table.remove(key) else {
            return Err(self.error(&self.span, key, "is missing"));
        };
        let span = value.span();
        read(value.get_mut()).ok_or_else(|| self.error(&span, key, &format!("must be {expected}")))
    }

    /// What `read` makes of `key`; `None` when the profile does not have it.
    fn optional<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        if self.table.contains_key(key) { read(self).map(Some) } else { Ok(None) }
    }

    fn string(&mut self, key: &str) -> Result<String, String> {
        self.take(key, "a string", |value| value.as_str().map(str::to_owned))
    }

    fn strings(&mut self, key: &str) -> Result<Vec<String>, String> {
        self.take(key, "a list of strings", |value| {
            value.as_array()?.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
        })
    }

    fn count(&mut self, key: &str) -> Result<u32, String> {
        self.take(key, "a positive integer", |value| u32::try_from(integer(value)?).ok().filter(|&count| count > 0))
    }

    fn bytes(&mut self, key: &str) -> Result<u64, String> {
        self.take(key, "bytes, like \"4MiB\"", |value| parse_bytes(value.as_str()?))
    }

    fn table(&mut self, key: &str, path: &'static str) -> Result<Section<'i>, String> {
        let span = self.table.get(key).map_or_else(|| self.span.clone(), |value| value.span());
        let table = self.take(key, "a table", |value| match value {
            DeValue::Table(table) => Some(std::mem::take(table)),
            _ => None,
        })?;
        Ok(Section { path, table, span, ..*self })
    }

    fn word(&mut self, key: &str, words: &[&str]) -> Result<String, String> {
        let allowed = words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" or ");
        self.take(key, &allowed, |value| match value {
            DeValue::String(text) if words.contains(&text.as_ref()) => Some(text.to_string()),
            _ => None,
        })
    }

    fn tables(&mut self, key: &str, path: &'static str) -> Result<Vec<Section<'i>>, String> {
        let tables = self.take(key, "a list of tables", |value| {
            let DeValue::Array(items) = value else { return None };
            let table = |item: &mut Spanned<DeValue<'i>>| match item.get_mut() {
                DeValue::Table(table) => Some(std::mem::take(table)),
                _ => None,
            };
            items.iter_mut().map(|item| Some((item.span(), table(item)?))).collect::<Option<Vec<_>>>()
        })?;
        Ok(tables.into_iter().map(|(span, table)| Section { path, table, span, ..*self }).collect())
    }

    fn finish(&self) -> Result<(), String> {
        match self.table.keys().next() {
            Some(key) => Err(self.error(&key.span(), key.get_ref(), "is not known")),
            None => Ok(()),
        }
    }

    fn error(&self, span: &Range<usize>, key: &str, problem: &str) -> String {
        format!("boards/{}.toml:{}: {}{key} {problem}", self.name, line_of(self.text, span.start), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_profile_is_an_error_with_file_line_and_key() {
        let good = include_str!("../../boards/virt-64.toml");
        let line = |beginning: &str| 1 + good.lines().position(|line| line.starts_with(beginning)).unwrap();
        let changed = |from: &str, to: &str| parse("x", &good.replacen(from, to, 1)).unwrap_err();
        let unknown = format!("{good}colour = \"red\"\n");
        let last = good.lines().count() + 1;
        assert_eq!(parse("x", &unknown).unwrap_err(), format!("boards/x.toml:{last}: qemu.colour is not known"));
        assert_eq!(
            changed("cpu = \"cortex-a53\"", "cpu = 7"),
            format!("boards/x.toml:{}: cpu must be a string", line("cpu ="))
        );
        assert_eq!(
            changed("streams = 4", ""),
            format!("boards/x.toml:{}: limits.streams is missing", line("[limits]"))
        );
        assert_eq!(
            changed("ring_bytes = \"4MiB\"", "ring_bytes = 4"),
            format!(
                "boards/x.toml:{}: limits.most.ring_bytes must be bytes, like \"4MiB\"",
                line("ring_bytes = \"4MiB\"")
            )
        );
        assert_eq!(
            changed("state_bytes", "state_byte"),
            format!("boards/x.toml:{}: image.state_bytes is missing", line("[image]"))
        );
        assert_eq!(
            changed("card = \"virtio\"", "card = \"usb\""),
            format!("boards/x.toml:{}: qemu.card must be \"sd\" or \"virtio\"", line("card ="))
        );
        assert_eq!(changed("[image]", "[picture]"), format!("boards/x.toml:{}: picture is not known", line("[image]")));
        assert!(parse("x", "models = [").unwrap_err().starts_with("boards/x.toml:1: "));
    }

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
