//! Lists of tables in an `app.toml`, like `[[push]]`.

use toml::de::{DeTable, DeValue};

use crate::config::keys::Wrong;

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

/// What is wrong, in words.
pub(super) fn because(problem: String) -> Wrong {
    Wrong::Because(problem)
}
