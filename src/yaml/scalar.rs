//! Which type a plain scalar has, by the rules of the two readers that matter.
//!
//! Both go-yaml 2 (kubectl, and what prints kustomize's output) and go-yaml 3 (what
//! kustomize reads with) use one scheme; they differ in the YAML 1.1 booleans.
//! Checked against kubectl in `tests/integration/yaml.rs`.

use super::node::Scalar;
use super::timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value};

/// Whose rules give a plain scalar its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// kubectl and the API server's clients: `yes`, `no`, `on`, `off`, `y`, `n` are booleans.
    Kubectl,
    /// kustomize: they are strings, and an unquoted date is a time.
    Kustomize,
}

/// Returns the typed value of a scalar. A date or time becomes the text that Go prints for
/// it, because JSON has no type for one.
pub(super) fn resolve(s: &Scalar, schema: Schema) -> Result<Value, String> {
    match s.tag.as_deref().map(|t| t.trim_start_matches("tag:yaml.org,2002:")) {
        Some("str" | "!") => return Ok(Value::String(s.text.clone())),
        Some("binary") => {
            let bare: String = s.text.split_whitespace().collect();
            let bytes = STANDARD.decode(bare).map_err(|_| "the tag `!!binary` wants base64".to_owned())?;
            return Ok(Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        }
        Some(tag @ ("int" | "float" | "bool" | "null")) => {
            let value = plain(&s.text, schema);
            return match (tag, &value) {
                ("int" | "float", Value::Number(_)) | ("bool", Value::Bool(_)) | ("null", Value::Null) => {
                    Ok(value)
                }
                _ => Err(format!("the tag `!!{tag}` does not fit this text")),
            };
        }
        Some("timestamp") | None => {}
        Some(other) => return Err(format!("the tag `{other}` is not supported")),
    }
    Ok(if s.plain { plain(&s.text, schema) } else { Value::String(s.text.clone()) })
}

/// As [`resolve`], keeping the text of a string.
pub(super) fn resolve_owned(s: Scalar, schema: Schema) -> Result<Value, String> {
    match s.tag {
        None if !s.plain || is_text(&s.text, schema) => Ok(Value::String(s.text)),
        _ => resolve(&s, schema),
    }
}

/// Returns true if a plain scalar of this text is a string to a reader.
pub fn is_text(text: &str, schema: Schema) -> bool {
    special(text, schema).is_none()
}

/// Returns true if a plain scalar of this text would be read as a string by a YAML 1.1
/// and by a YAML 1.2 reader alike.
pub(super) fn reads_as_string(text: &str) -> bool {
    let word = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    special(text, Schema::Kubectl).is_none() && (word || is_no_special_sign(text))
}

/// Returns true if a text that begins with no letter is neither a number nor a time nor a key
/// of YAML 1.1.
fn is_no_special_sign(text: &str) -> bool {
    !is_base60(text) && !is_timestamp(text) && text != "<<" && text != "="
}

fn plain(text: &str, schema: Schema) -> Value {
    special(text, schema).unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Returns what a plain scalar means when it is not a string.
fn special(text: &str, schema: Schema) -> Option<Value> {
    // Nearly all texts are names: no word that means something is longer than `false`, or
    // begins with another letter than these.
    if let Some(first) = text.bytes().next()
        && first.is_ascii_alphabetic()
        && (text.len() > 5 || !matches!(first | 0x20, b'f' | b'n' | b'o' | b't' | b'y'))
    {
        return None;
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "true" | "True" | "TRUE" => return Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Value::Bool(false)),
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" if schema == Schema::Kubectl => {
            return Some(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" if schema == Schema::Kubectl => {
            return Some(Value::Bool(false));
        }
        // JSON has no infinity; what kubectl makes of these is an error of its own.
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF" | ".nan"
        | ".NaN" | ".NAN" => return Some(Value::Null),
        _ => {}
    }
    let first = text.as_bytes()[0];
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return None;
    }
    if first == b'.' {
        return text.parse::<f64>().ok().filter(|_| is_float(text)).and_then(float);
    }
    if schema == Schema::Kustomize
        && let Some(time) = timestamp::read(text)
    {
        return Some(Value::String(time));
    }
    let bare: String = text.chars().filter(|c| *c != '_').collect();
    integer(&bare).or_else(|| if is_float(&bare) { bare.parse().ok().and_then(float) } else { None })
}

/// Returns an integer as Go's `strconv.ParseInt(s, 0, 64)` reads it: `0x`, `0o`, `0b`, and a
/// leading zero for octal.
fn integer(text: &str) -> Option<Value> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, body) = if let Some(hex) = lower.strip_prefix("0x") {
        (16, hex)
    } else if let Some(oct) = lower.strip_prefix("0o") {
        (8, oct)
    } else if let Some(bin) = lower.strip_prefix("0b") {
        (2, bin)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if body.is_empty() || !body.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(body, radix).ok()?;
    if !negative {
        return Some(Value::Number(magnitude.into()));
    }
    let signed = 0i64.checked_sub_unsigned(magnitude)?;
    Some(Value::Number(signed.into()))
}

/// Returns true for `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
fn is_float(text: &str) -> bool {
    let t = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match t.find(['e', 'E']) {
        Some(i) => (&t[..i], Some(&t[i + 1..])),
        None => (t, None),
    };
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    mantissa_ok && exponent.is_none_or(|e| digits(e.strip_prefix(['-', '+']).unwrap_or(e)))
}

/// Returns a float as Go's JSON would carry it: a whole number becomes an integer; none
/// where it does not fit 64 bits, which leaves the text a string.
fn float(f: f64) -> Option<Value> {
    whole(f).or_else(|| Number::from_f64(f)).map(Value::Number)
}

/// Returns a float that Go's JSON would print without a fraction as an integer.
pub(super) fn whole(f: f64) -> Option<Number> {
    if f.fract() != 0.0 || f.abs() >= 1e21 {
        return None;
    }
    if f >= i64::MIN as f64 && f < i64::MAX as f64 {
        return Some((f as i64).into());
    }
    (f > 0.0 && f < u64::MAX as f64).then(|| (f as u64).into())
}

/// Returns true for YAML 1.1's sexagesimal numbers (`12:30:45`), which PyYAML reads as integers.
fn is_base60(text: &str) -> bool {
    let t = text.strip_prefix(['-', '+']).unwrap_or(text);
    t.contains(':')
        && t.as_bytes()[0].is_ascii_digit()
        && t.bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.' | b'_'))
}

/// Returns true for what a YAML 1.1 reader takes for a date or a time (`2024-01-01`).
fn is_timestamp(text: &str) -> bool {
    let b = text.as_bytes();
    b.len() >= 8
        && b[..4].iter().all(u8::is_ascii_digit)
        && b[4] == b'-'
        && b[5].is_ascii_digit()
        && b[6..].iter().all(|c| {
            c.is_ascii_digit() || matches!(c, b'-' | b':' | b'.' | b'T' | b't' | b'Z' | b' ' | b'+' | b'\t')
        })
}
