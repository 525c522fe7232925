//! Counts what one template makes for one unit, so that many small steps cannot add up to
//! more memory than one large step may take.
//!
//! A filter that is called by another (`map("replace", …)`), a value that is set again and
//! again under new names, and the slots of a skeleton all draw on one account. It is the
//! thread's: a template runs on one thread from its start to its end.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};
use serde_json::Value as Data;
use std::cell::Cell;

/// How many bytes of values one template may make for one unit, the intermediate ones counted.
pub const MAX_WORK: usize = 32 << 20;
/// What a value costs besides its text, in bytes: its place in a list, and the list's growth.
pub const ITEM: usize = 32;

thread_local! {
    static SPENT: Cell<usize> = const { Cell::new(0) };
}

/// Opens a new account: one template begins for one unit.
pub fn start() {
    SPENT.with(|spent| spent.set(0));
}

/// Returns true once the account is empty: every further step would fail in the same way.
pub fn is_empty() -> bool {
    SPENT.with(Cell::get) > MAX_WORK
}

/// Charges for bytes that are about to be made.
///
/// # Errors
/// An account that is empty.
pub fn charge(bytes: usize) -> Result<(), Error> {
    let total = SPENT.with(|spent| {
        let total = spent.get().saturating_add(bytes);
        spent.set(total);
        total
    });
    if total > MAX_WORK {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("the values of this template grew past {MAX_WORK} bytes in all"),
        ));
    }
    Ok(())
}

/// Charges for a copy of plain data, as much as the engine would. Returns false for data past the
/// bounds, or an account that is empty: the engine has the words for it.
pub fn charge_for_data(value: &Data, most: usize, depth: usize) -> bool {
    let mut bytes = 0;
    weigh(value, &mut bytes, depth) && bytes <= most && charge(bytes).is_ok()
}

fn weigh(value: &Data, bytes: &mut usize, depth: usize) -> bool {
    *bytes += ITEM + value.as_str().map_or(0, str::len);
    let mut below = |inner: &Data| depth > 0 && weigh(inner, bytes, depth - 1);
    match value {
        Data::Array(items) => items.iter().all(below),
        Data::Object(map) => {
            let keys: usize = map.keys().map(|key| ITEM + key.len()).sum();
            let fits = map.values().all(&mut below);
            *bytes += keys;
            fits
        }
        _ => true,
    }
}

/// Charges for a copy of a text.
///
/// # Errors
/// An account that is empty.
pub fn charge_for_text(value: &Value) -> Result<(), Error> {
    charge(value.as_str().map_or(ITEM, str::len))
}

/// Charges for the list of a value's parts; those of a text are its characters, or at most as many
/// pieces.
///
/// # Errors
/// An account that is empty.
pub fn charge_for_parts(value: &Value) -> Result<(), Error> {
    let parts = match value.kind() {
        ValueKind::String => value.as_str().map_or(0, |text| text.chars().count()),
        ValueKind::Seq | ValueKind::Map => value.len().unwrap_or(0),
        ValueKind::Iterable => value.try_iter()?.count(),
        _ => 1,
    };
    charge(parts.saturating_mul(ITEM))
}
