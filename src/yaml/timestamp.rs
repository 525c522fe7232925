//! Unquoted dates and times, as go-yaml 3 reads them and Go's JSON prints them.

/// Returns a date or time as RFC 3339 text; none if the text is neither.
///
/// Four forms are times: a date, a date and a time with `T` or `t` and a zone, and a date
/// and a time with a blank and no zone.
pub(super) fn read(text: &str) -> Option<String> {
    if text.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    let year = number(text.get(..4)?, 4, 4)?;
    let (month, rest) = field(text.get(5..)?, '-')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (day, rest) = rest.split_at(end);
    let (month, day) = (number(month, 1, 2)?, number(day, 1, 2)?);
    if month == 0 || day == 0 || month > 12 || day > days(year, month) {
        return None;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    if rest.is_empty() {
        return Some(format!("{date}T00:00:00Z"));
    }
    let zoned = rest.starts_with(['T', 't']);
    if !zoned && !rest.starts_with(' ') {
        return None;
    }
    let (hour, rest) = field(rest.get(1..)?, ':')?;
    let (minute, rest) = field(rest, ':')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (second, rest) = rest.split_at(end);
    let (hour, minute, second) = (number(hour, 1, 2)?, number(minute, 1, 2)?, number(second, 1, 2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction, rest) = fraction(rest)?;
    let zone = match (zoned, rest) {
        (true, rest) => zone(rest)?,
        (false, "") => "Z".to_owned(),
        _ => return None,
    };
    Some(format!("{date}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"))
}

fn field(text: &str, end: char) -> Option<(&str, &str)> {
    text.split_once(end)
}

fn number(text: &str, least: usize, most: usize) -> Option<u32> {
    let fits = (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Splits off a fraction of a second, without zeros at its end.
fn fraction(text: &str) -> Option<(String, &str)> {
    let Some(rest) = text.strip_prefix(['.', ',']) else { return Some((String::new(), text)) };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(end);
    let kept = digits.get(..digits.len().min(9))?.trim_end_matches('0');
    let printed = if kept.is_empty() { String::new() } else { format!(".{kept}") };
    (!digits.is_empty()).then_some((printed, rest))
}

fn zone(text: &str) -> Option<String> {
    if text == "Z" {
        return Some("Z".to_owned());
    }
    let sign = text.chars().next().filter(|c| matches!(c, '+' | '-'))?;
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let (hours, minutes) = (number(hours, 2, 2)?, number(minutes, 2, 2)?);
    if hours > 24 || minutes > 59 {
        return None;
    }
    Some(if hours == 0 && minutes == 0 { "Z".to_owned() } else { format!("{sign}{hours:02}:{minutes:02}") })
}
