//! What the board says of itself: its temperature, its supply, the room on its card and how worn that is, as Linux has it below
//! `/sys`. What is not there is not known. These files are short, but a card that stalls holds up who reads them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::{Config, WhenFull};
use crate::live::health::{BoardFacts, CardRoom};

use super::apps_directory;
use super::recordings::disk::Space;

/// The firmware of a Raspberry Pi: its supply is too weak now, or was since that was asked last.
const UNDER_VOLTAGE: u32 = 1 | 1 << 16;
/// Its processor is capped, throttled, or near its soft limit of temperature.
const THROTTLED: u32 = 0b1110;

/// Reads it, with `system` for `/sys`.
pub(super) fn read(system: &Path, config: &Config, room: fn(&Path) -> io::Result<Space>) -> BoardFacts {
    let firmware = firmware(system);
    BoardFacts {
        temperature_milli: temperature(system),
        under_voltage: alarm(system).or(firmware.map(|flags| flags & UNDER_VOLTAGE != 0)),
        throttled: firmware.map(|flags| flags & THROTTLED != 0).or_else(|| is_cooled(system)),
        card: card(config, room),
        worn_percent: worn_percent(system),
    }
}

/// Of the processor, where a zone says that it is its own, else of the first zone.
fn temperature(system: &Path) -> Option<i32> {
    let zones = below(&system.join("class/thermal"), "thermal_zone");
    let of_processor =
        |zone: &&PathBuf| text(&zone.join("type")).is_some_and(|kind| kind.contains("cpu") || kind.contains("soc"));
    let zone = zones.iter().find(of_processor).or(zones.first())?;
    text(&zone.join("temp"))?.parse().ok()
}

/// What raspberrypi-hwmon says: an alarm since it was asked last.
fn alarm(system: &Path) -> Option<bool> {
    let monitors = below(&system.join("class/hwmon"), "hwmon");
    let alarms: Vec<String> = monitors.iter().filter_map(|hwmon| text(&hwmon.join("in0_lcrit_alarm"))).collect();
    (!alarms.is_empty()).then(|| alarms.iter().any(|alarm| alarm != "0"))
}

/// The flags that the firmware has, in hexadecimal.
fn firmware(system: &Path) -> Option<u32> {
    let platform = below(&system.join("devices/platform/soc"), "");
    let flags = platform.iter().find_map(|device| text(&device.join("get_throttled")))?;
    u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok()
}

/// The kernel slows the processor down by itself where no firmware does.
fn is_cooled(system: &Path) -> Option<bool> {
    let devices = below(&system.join("class/thermal"), "cooling_device");
    let is_processor = |device: &&PathBuf| text(&device.join("type")).is_some_and(|kind| kind.contains("cpufreq"));
    let states: Vec<String> =
        devices.iter().filter(is_processor).filter_map(|device| text(&device.join("cur_state"))).collect();
    (!states.is_empty()).then(|| states.iter().any(|state| state != "0"))
}

/// The room where recordings are, else applications. What is kept free is taken only where the oldest recordings do not give way.
fn card(config: &Config, room: fn(&Path) -> io::Result<Space>) -> Option<CardRoom> {
    let applications = apps_directory::directory(config);
    let place = config.record.directory.as_deref().map(Path::new).or(applications.as_deref())?;
    let Space { free, total } = room(place).ok()?;
    let kept = config.record.keep_free.bytes(total);
    let least = if config.record.when_full == WhenFull::Stop { kept } else { kept / 2 };
    Some(CardRoom { free, least })
}

/// The worst of what memory chips say of themselves, in tenths of their life (JESD84-B51, `DEVICE_LIFE_TIME_EST`). SD cards do not.
fn worn_percent(system: &Path) -> Option<u32> {
    let chips = below(&system.join("block"), "mmcblk");
    let lives = chips.iter().filter_map(|chip| text(&chip.join("device/life_time")));
    let tenth = |life: &str| u32::from_str_radix(life.trim_start_matches("0x"), 16).ok();
    lives
        .filter_map(|life| life.split(' ').filter_map(tenth).max())
        .filter(|tenths| *tenths > 0)
        .max()
        .map(|tenths| tenths * 10)
}

/// What is in a directory and begins so, sorted.
fn below(directory: &Path, begin: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(begin));
    let mut paths: Vec<PathBuf> = named.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// What a file says, which is a line.
fn text(file: &Path) -> Option<String> {
    Some(fs::read_to_string(file).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::test_root::Root;
    use super::*;
    use crate::{board, config};

    fn no_room(_: &Path) -> io::Result<Space> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn config(sets: &[&str]) -> Config {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        config::load(board::by_name("generic").unwrap(), None, &sets).unwrap()
    }

    #[test]
    fn a_machine_that_says_nothing_is_not_spoken_of() {
        let root = Root::new("board-none");
        assert_eq!(read(&root.0, &config(&[]), no_room), BoardFacts::default());
    }

    #[test]
    fn a_pi_says_how_hot_it_is_and_whether_its_supply_is_weak() {
        let root = Root::new("board-pi");
        let config = config(&[]);
        root.write("class/thermal/thermal_zone0/type", "gpu\n");
        root.write("class/thermal/thermal_zone0/temp", "40000\n");
        root.write("class/thermal/thermal_zone1/type", "cpu-thermal\n");
        root.write("class/thermal/thermal_zone1/temp", "84499\n");
        root.write("class/thermal/cooling_device0/type", "thermal-cpufreq-0\n");
        root.write("class/thermal/cooling_device0/cur_state", "0\n");
        root.write("class/thermal/cooling_device1/type", "pwm-fan\n");
        root.write("class/thermal/cooling_device1/cur_state", "3\n");
        root.write("class/hwmon/hwmon0/temp1_input", "84499\n");
        root.write("class/hwmon/hwmon1/in0_lcrit_alarm", "1\n");
        let mut facts = BoardFacts {
            temperature_milli: Some(84_499),
            under_voltage: Some(true),
            throttled: Some(false),
            ..BoardFacts::default()
        };
        assert_eq!(read(&root.0, &config, no_room), facts);
        root.write("class/hwmon/hwmon1/in0_lcrit_alarm", "0\n");
        root.write("class/thermal/cooling_device0/cur_state", "1\n");
        (facts.under_voltage, facts.throttled) = (Some(false), Some(true));
        assert_eq!(read(&root.0, &config, no_room), facts);
    }

    #[test]
    fn the_firmwares_flags_are_told_apart() {
        let root = Root::new("board-firmware");
        let config = config(&[]);
        for (flags, under_voltage, throttled) in [
            ("0", false, false),
            ("50005", true, true),
            ("0x10000", true, false),
            ("8", false, true),
            ("80000", false, false),
        ] {
            root.write("devices/platform/soc/soc:firmware/get_throttled", &format!("{flags}\n"));
            let facts = read(&root.0, &config, no_room);
            assert_eq!((facts.under_voltage, facts.throttled), (Some(under_voltage), Some(throttled)), "{flags}");
        }
        root.write("devices/platform/soc/soc:firmware/get_throttled", "nonsense\n");
        assert_eq!(read(&root.0, &config, no_room), BoardFacts::default());
    }

    #[test]
    fn a_chip_says_how_worn_it_is_and_of_two_the_worse_counts() {
        let root = Root::new("board-worn");
        let worn = || read(&root.0, &config(&[]), no_room).worn_percent;
        root.write("block/mmcblk0/device/name", "SD\n");
        assert_eq!(worn(), None);
        for (life, percent) in [("0x01 0x02", Some(20)), ("0x0b 0x01", Some(110)), ("0x00 0x00", None), ("", None)] {
            root.write("block/mmcblk1/device/life_time", &format!("{life}\n"));
            assert_eq!(worn(), percent, "{life}");
        }
    }

    #[test]
    fn what_is_to_be_kept_free_is_little_where_recording_stops_and_half_of_it_where_old_ones_go() {
        let root = Root::new("board-card");
        let room = |_: &Path| Ok(Space { free: 7, total: 100_000_000_000 });
        let at = format!("record.directory={:?}", root.0);
        let card = |when: &str| {
            let config = config(&[&at, "record.keep_free=\"10%\"", &format!("record.when_full={when:?}")]);
            read(&root.0, &config, room).card.unwrap()
        };
        assert_eq!(card("stop"), CardRoom { free: 7, least: 10_000_000_000 });
        assert_eq!(card("delete"), CardRoom { free: 7, least: 5_000_000_000 });
    }
}
