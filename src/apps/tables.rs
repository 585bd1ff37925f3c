//! Lists of tables in an `app.toml`, like `[[push]]`.

use std::fmt::Display;
use std::ops::RangeInclusive;

use toml::de::{DeTable, DeValue};

use crate::config::keys::{Wrong, within};

/// At most so many tables.
pub(super) fn tables<'v, 'i>(
    value: &'v DeValue<'i>,
    most: usize,
) -> Result<impl Iterator<Item = &'v DeTable<'i>> + use<'v, 'i>, Wrong> {
    let list = value.as_array().filter(|list| list.len() <= most).ok_or(Wrong::NotAllowed)?;
    let tables: Vec<_> =
        list.iter().map(|one| one.get_ref().as_table()).collect::<Option<_>>().ok_or(Wrong::NotAllowed)?;
    Ok(tables.into_iter())
}

/// It has no other keys.
pub(super) fn known(table: &DeTable<'_>, keys: &[&str]) -> Result<(), Wrong> {
    match table.keys().map(|key| key.get_ref()).find(|key| !keys.contains(&key.as_ref())) {
        Some(key) => Err(because(format!("unknown key {key:?}; there are {}", keys.join(", ")))),
        None => Ok(()),
    }
}

/// A number of a table; `usual` where it says none.
pub(super) fn number<T: TryFrom<i64> + PartialOrd + Display + Copy>(
    table: &DeTable<'_>,
    key: &str,
    range: &RangeInclusive<T>,
    usual: T,
    unit: &str,
) -> Result<T, Wrong> {
    match table.get(key) {
        None => Ok(usual),
        Some(value) => within(value.get_ref(), range)
            .map_err(|_| because(format!("{key} must be {}..={} {unit}", range.start(), range.end()))),
    }
}

/// What is wrong, in words.
pub(super) fn because(problem: String) -> Wrong {
    Wrong::Because(problem)
}
