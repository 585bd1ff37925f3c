//! Reads the files in `boards/`. Only the build script does so: a wrong profile fails the build.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::profile::{Board, Card, Counts, Image, ProfileList, QemuMachine, Wifi, integer, line_of, parse_bytes};

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
            Some(tables) => list(tables.into_iter().map(machine).collect::<Result<_, _>>()?),
            None => ProfileList(&[]),
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
            .unwrap_or(ProfileList(&[])),
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

/// The build script ends soon, and what it has read lives as long.
fn kept(text: &str) -> &'static str {
    text.to_owned().leak()
}

fn list<T>(items: Vec<T>) -> ProfileList<T> {
    ProfileList(items.leak())
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

    fn string(&mut self, key: &str) -> Result<&'static str, String> {
        self.take(key, "a string", |value| value.as_str().map(kept))
    }

    fn strings(&mut self, key: &str) -> Result<ProfileList<&'static str>, String> {
        self.take(key, "a list of strings", |value| {
            value.as_array()?.iter().map(|item| item.get_ref().as_str().map(kept)).collect::<Option<_>>().map(list)
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

    fn word(&mut self, key: &str, words: &[&str]) -> Result<&'static str, String> {
        let allowed = words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" or ");
        self.take(key, &allowed, |value| match value {
            DeValue::String(text) if words.contains(&text.as_ref()) => Some(kept(text)),
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
}
