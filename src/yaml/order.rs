//! The order of keys: go-yaml's natural one.

use serde_json::{Map, Value};
use std::cmp::Ordering;

/// Returns the entries in the order kustomize prints them.
///
/// go-yaml's comparison is no order for some keys (`a10 < a1b < a2 < a10`), and its result
/// then changes from run to run. Inserting one by one from the sorted map gives the same
/// result where there is one, and always the same otherwise.
pub(super) fn in_natural_order(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut keys: Vec<(&String, &Value)> = Vec::with_capacity(map.len());
    for entry in map.iter() {
        let end = keys.last().is_none_or(|last| natural(last.0, entry.0) != Ordering::Greater);
        let at =
            if end { keys.len() } else { keys.partition_point(|k| natural(k.0, entry.0) == Ordering::Less) };
        keys.insert(at, entry);
    }
    keys
}

/// Compares keys as go-yaml does: runs of digits by their number, letters
/// after all other signs.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() {
        let Some((x, y)) = a.bytes().zip(b.bytes()).find(|(x, y)| x != y) else {
            return a.len().cmp(&b.len());
        };
        match (x.is_ascii_alphabetic(), y.is_ascii_alphabetic()) {
            (true, true) => return x.cmp(&y),
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            // Numbers need what stands before them.
            (false, false) => {}
        }
    }
    let (x, y): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    for i in 0..x.len().min(y.len()) {
        if x[i] == y[i] {
            continue;
        }
        let (xl, yl) = (x[i].is_alphabetic(), y[i].is_alphabetic());
        if xl && yl {
            return x[i].cmp(&y[i]);
        }
        if xl || yl {
            return if yl { Ordering::Less } else { Ordering::Greater };
        }
        return numbers(&x, &y, i);
    }
    x.len().cmp(&y.len())
}

/// Compares two texts that differ at `i`, where neither has a letter.
fn numbers(x: &[char], y: &[char], i: usize) -> Ordering {
    let mut start = 0u64;
    if x[i] == '0' || y[i] == '0' {
        let leading = x[..i].iter().rev().take_while(|c| c.is_ascii_digit()).any(|c| *c != '0');
        start = u64::from(leading);
    }
    let run = |t: &[char]| {
        let mut n = start;
        let mut end = i;
        while let Some(d) = t.get(end).and_then(|c| c.to_digit(10)) {
            n = n.wrapping_mul(10).wrapping_add(u64::from(d));
            end += 1;
        }
        (n, end)
    };
    let ((xn, xe), (yn, ye)) = (run(x), run(y));
    xn.cmp(&yn).then(xe.cmp(&ye)).then(x[i].cmp(&y[i]))
}
