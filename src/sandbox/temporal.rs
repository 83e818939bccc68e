//! Dates and times as text, the way the server reads them.
//!
//! The usual forms are `yyyy-MM-dd` and `yyyy-MM-dd HH:mm:ss[.ffffff]`; also taken are `/` between the parts of a date,
//! parts of one digit, `T` before the time, and the forms without any separator, `yyyyMMdd` and `yyyyMMddHHmmss`. A
//! date makes a DATETIME at midnight; the time of day is cut off a DATE. There is no time zone.

use std::borrow::Cow;

struct Moment {
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    micros: u32,
}

impl Moment {
    fn is_valid(&self) -> bool {
        (1..=12).contains(&self.month)
            && (1..=days_in(self.year, self.month)).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60
    }
}

/// A DATE in its canonical text, `YYYY-MM-DD`.
pub(super) fn date(text: &str) -> Option<Cow<'_, str>> {
    if let Some(moment) = usual(text) {
        // What stands behind the tenth byte is the time of day.
        return moment.is_valid().then(|| Cow::Borrowed(&text[..10]));
    }
    let moment = parse(text)?;
    if has_form(text, "0000-00-00") {
        return Some(Cow::Borrowed(text));
    }
    Some(Cow::Owned(format!("{:04}-{:02}-{:02}", moment.year, moment.month, moment.day)))
}

/// A DATETIME in its canonical text, `YYYY-MM-DD HH:MM:SS`, with six digits behind it when there is a fraction.
pub(super) fn datetime(text: &str) -> Option<Cow<'_, str>> {
    if let Some(moment) = usual(text) {
        let canonical = || if text.len() == 10 { format!("{text} 00:00:00").into() } else { Cow::Borrowed(text) };
        return moment.is_valid().then(canonical);
    }
    let Moment { year, month, day, hour, minute, second, micros } = parse(text)?;
    let form = if micros > 0 { "0000-00-00 00:00:00.000000" } else { "0000-00-00 00:00:00" };
    if has_form(text, form) {
        return Some(Cow::Borrowed(text));
    }
    let fraction = if micros > 0 { format!(".{micros:06}") } else { String::new() };
    Some(Cow::Owned(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction}")))
}

/// The two forms that nearly all values have, `0000-00-00` and `0000-00-00 00:00:00`, without any search. A load has
/// such a value in every row.
fn usual(text: &str) -> Option<Moment> {
    let bytes = text.as_bytes();
    let pair = |at: usize| {
        let (tens, ones) = (bytes[at].wrapping_sub(b'0'), bytes[at + 1].wrapping_sub(b'0'));
        (tens < 10 && ones < 10).then(|| u32::from(tens * 10 + ones))
    };
    let timed = match bytes.len() {
        10 => false,
        19 => bytes[10] == b' ' && bytes[13] == b':' && bytes[16] == b':',
        _ => return None,
    };
    if bytes[4] != b'-' || bytes[7] != b'-' || timed != (bytes.len() == 19) {
        return None;
    }
    let (hour, minute, second) = if timed { (pair(11)?, pair(14)?, pair(17)?) } else { (0, 0, 0) };
    let year = pair(0)? * 100 + pair(2)?;
    Some(Moment { year, month: pair(5)?, day: pair(8)?, hour, minute, second, micros: 0 })
}

/// Whether a text is digits where the form has zeros, and like the form elsewhere.
fn has_form(text: &str, form: &str) -> bool {
    let alike = |(byte, form): (u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(alike)
}

fn parse(text: &str) -> Option<Moment> {
    let text = text.trim_ascii();
    let moment = match text.len() {
        8 | 14 if text.bytes().all(|byte| byte.is_ascii_digit()) => compact(text)?,
        _ => separated(text)?,
    };
    moment.is_valid().then_some(moment)
}

fn compact(text: &str) -> Option<Moment> {
    let part = |from: usize, to: usize| text.get(from..to).map_or(Some(0), |digits| digits.parse().ok());
    Some(Moment {
        year: part(0, 4)?,
        month: part(4, 6)?,
        day: part(6, 8)?,
        hour: part(8, 10)?,
        minute: part(10, 12)?,
        second: part(12, 14)?,
        micros: 0,
    })
}

fn separated(text: &str) -> Option<Moment> {
    let (date, time) = match text.find([' ', 'T']) {
        Some(at) => (&text[..at], Some(text[at + 1..].trim_ascii_start())),
        None => (text, None),
    };
    let separator = if date.contains('/') { '/' } else { '-' };
    let mut parts = date.split(separator);
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    let (year, month, day) = (digits(year, 4)?, digits(month, 2)?, digits(day, 2)?);
    let (hour, minute, second, micros) = time.map_or(Some((0, 0, 0, 0)), time_of_day)?;
    Some(Moment { year, month, day, hour, minute, second, micros })
}

fn time_of_day(text: &str) -> Option<(u32, u32, u32, u32)> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = clock.split(':');
    let hour = digits(parts.next()?, 2)?;
    let minute = digits(parts.next()?, 2)?;
    let second = parts.next().map_or(Some(0), |second| digits(second, 2))?;
    if parts.next().is_some() {
        return None;
    }
    let micros = digits(fraction, 6)? * 10_u32.pow(6 - u32::try_from(fraction.len()).ok()?);
    Some((hour, minute, second, micros))
}

fn digits(text: &str, length_max: usize) -> Option<u32> {
    let valid = !text.is_empty() && text.len() <= length_max && text.bytes().all(|byte| byte.is_ascii_digit());
    if valid { text.parse().ok() } else { None }
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_usual_forms_are_read_as_all_others(
            day in "[0-2][0-9]{3}[-/][0-1][0-9]-[0-3][0-9]",
            time in "([ T][0-2][0-9]:[0-6][0-9]:[0-6][0-9])?",
        ) {
            let text = day + &time;
            // A trailing blank is trimmed, and keeps the text from the short cut.
            let long = format!("{text} ");
            prop_assert_eq!(date(&text), date(&long));
            prop_assert_eq!(datetime(&text), datetime(&long));
        }
    }
}
