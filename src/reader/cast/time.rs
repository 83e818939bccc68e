//! Text to days and times, and back. No time zones: a zone would shift the time that the table shows.

use std::fmt::Write as _;

use crate::model::Rule;

use super::rule;

pub(super) const DAY_MICROS: i64 = 86_400_000_000;

/// 0000-01-01 and 9999-12-31, as days since 1970-01-01.
const DAYS: std::ops::RangeInclusive<i32> = -719_528..=2_932_896;

/// Reads a DATE. A time behind it must be midnight.
pub(crate) fn date(text: &str) -> Result<i32, Rule> {
    let (day, rest) = day(text.as_bytes()).ok_or_else(rule::not_a_date)?;
    if rest.is_empty() {
        return Ok(day);
    }
    match clock(rest) {
        Ok(0) => Ok(day),
        Ok(_) => Err(rule::time_in_date()),
        Err(Wrong::Zone) => Err(rule::time_zone()),
        Err(_) => Err(rule::not_a_date()),
    }
}

/// Reads a DATETIME, as microseconds since 1970-01-01 00:00. A day alone is its midnight.
pub(crate) fn datetime(text: &str) -> Result<i64, Rule> {
    let (day, rest) = day(text.as_bytes()).ok_or_else(rule::not_a_datetime)?;
    let clock = match rest {
        [] => 0,
        _ => clock(rest).map_err(|wrong| match wrong {
            Wrong::Zone => rule::time_zone(),
            Wrong::Precise => rule::too_precise_time(),
            Wrong::Syntax => rule::not_a_datetime(),
        })?,
    };
    Ok(i64::from(day) * DAY_MICROS + clock)
}

/// Whether the days since 1970-01-01 lie in the years 0000 to 9999.
pub(super) fn check_days(days: i32) -> Result<i32, Rule> {
    if DAYS.contains(&days) { Ok(days) } else { Err(rule::year_out_of_range()) }
}

/// The same for microseconds.
pub(super) fn check_micros(micros: i64) -> Result<i64, Rule> {
    let days = i32::try_from(micros.div_euclid(DAY_MICROS)).map_err(|_| rule::year_out_of_range())?;
    check_days(days).map(|_| micros)
}

enum Wrong {
    Syntax,
    Zone,
    Precise,
}

/// Reads `yyyy-MM-dd`, `yyyy/MM/dd` (a month or day of one digit too) or `yyyyMMdd` off the front.
fn day(text: &[u8]) -> Option<(i32, &[u8])> {
    let (year, rest) = digits(text, 4, 4)?;
    let (month, day, rest) = if let (separator @ (b'-' | b'/'), rest) = rest.split_first()? {
        let (month, rest) = digits(rest, 1, 2)?;
        let rest = rest.strip_prefix(&[*separator])?;
        let (day, rest) = digits(rest, 1, 2)?;
        (month, day, rest)
    } else {
        let (month, rest) = digits(rest, 2, 2)?;
        let (day, rest) = digits(rest, 2, 2)?;
        (month, day, rest)
    };
    let valid = (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    valid.then(|| (days_since_epoch(year, month, day), rest))
}

/// Reads ` HH:mm`, `THH:mm:ss.ffffff` and what lies between, to its end. The result is in microseconds.
fn clock(text: &[u8]) -> Result<i64, Wrong> {
    let Some((b' ' | b'T' | b't', rest)) = text.split_first() else { return Err(Wrong::Syntax) };
    let (hour, rest) = digits(rest, 1, 2).ok_or(Wrong::Syntax)?;
    let rest = rest.strip_prefix(b":").ok_or(Wrong::Syntax)?;
    let (minute, rest) = digits(rest, 2, 2).ok_or(Wrong::Syntax)?;
    let (second, rest) = match rest.strip_prefix(b":") {
        Some(rest) => digits(rest, 2, 2).ok_or(Wrong::Syntax)?,
        None => (0, rest),
    };
    let (micros, rest, precise) = match rest.strip_prefix(b".") {
        Some(rest) => fraction(rest).ok_or(Wrong::Syntax)?,
        None => (0, rest, false),
    };
    if hour > 23 || minute > 59 || second > 59 {
        return Err(Wrong::Syntax);
    }
    if !rest.is_empty() {
        return Err(if is_zone(rest) { Wrong::Zone } else { Wrong::Syntax });
    }
    if precise {
        return Err(Wrong::Precise);
    }
    Ok(i64::from((hour * 60 + minute) * 60 + second) * 1_000_000 + i64::from(micros))
}

/// Reads the digits behind the point: microseconds, the rest, and whether there was more than zeros behind the sixth.
fn fraction(text: &[u8]) -> Option<(i32, &[u8], bool)> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        return None;
    }
    let micros = (0..6).fold(0, |value, index| {
        let digit = digits.get(index).map_or(0, |byte| i32::from(byte - b'0'));
        value * 10 + digit
    });
    let precise = digits.iter().skip(6).any(|digit| *digit != b'0');
    Some((micros, rest, precise))
}

fn is_zone(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    match text.split_first() {
        Some((b'+' | b'-', rest)) => rest.first().is_some_and(u8::is_ascii_digit),
        Some((first, _)) => first.is_ascii_alphabetic() && text.iter().all(u8::is_ascii_graphic),
        None => false,
    }
}

/// Reads a number of `least` to `most` digits off the front.
fn digits(text: &[u8], least: usize, most: usize) -> Option<(i32, &[u8])> {
    let count = text.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    if count < least {
        return None;
    }
    let value = text[..count].iter().fold(0, |value, byte| value * 10 + i32::from(byte - b'0'));
    Some((value, &text[count..]))
}

pub(crate) fn days_of(year: i32, month: i32) -> i32 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts in years that begin in March, so that the leap day is a year's last.
fn days_since_epoch(year: i32, month: i32, day: i32) -> i32 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719_468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

/// The year, month and day of a day since 1970-01-01.
fn calendar(days: i32) -> (i32, i32, i32) {
    let days = days + 719_468;
    // 400 years have 146_097 days. Within them, every 4th, 100th and 400th year's last day is corrected for.
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (year * 365 + year / 4 - year / 100);
    let month = (of_year * 5 + 2) / 153;
    let day = of_year - (month * 153 + 2) / 5 + 1;
    let year = year + era * 400;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

/// Appends a day as `yyyy-MM-dd`.
pub(super) fn write_date(days: i32, out: &mut String) {
    let (year, month, day) = calendar(days);
    write!(out, "{year:04}-{month:02}-{day:02}").expect("a String takes any text");
}

/// Appends a time as `yyyy-MM-dd HH:mm:ss`, with microseconds if there are any.
pub(super) fn write_datetime(micros: i64, out: &mut String) {
    let days = i32::try_from(micros.div_euclid(DAY_MICROS)).expect("times are checked to lie in four-digit years");
    write_date(days, out);
    let clock = micros.rem_euclid(DAY_MICROS);
    let (seconds, micros) = (clock / 1_000_000, clock % 1_000_000);
    write!(out, " {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
        .expect("a String takes any text");
    if micros > 0 {
        write!(out, ".{micros:06}").expect("a String takes any text");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_are_read_as_the_server_reads_them() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2000-02-29", 11_016),
            ("20000229", 11_016),
            ("2000/2/29", 11_016),
            ("2000-02-29 00:00:00", 11_016),
            ("2000-02-29T00:00", 11_016),
            ("0000-01-01", -719_528),
            ("9999-12-31", 2_932_896),
        ] {
            assert_eq!(date(text), Ok(days), "{text}");
        }
        for (text, code) in [
            ("", "not-a-date"),
            ("2001-02-29", "not-a-date"),
            ("1900-02-29", "not-a-date"),
            ("2001-13-01", "not-a-date"),
            ("2001-00-01", "not-a-date"),
            ("2001-01-00", "not-a-date"),
            ("2001-01/01", "not-a-date"),
            ("01-02-03", "not-a-date"),
            ("2001-1-111", "not-a-date"),
            (" 2001-01-01", "not-a-date"),
            ("10000-01-01", "not-a-date"),
            ("2001-01-01 00:00:01", "time-in-date"),
            ("2001-01-01 00:00:00Z", "time-zone"),
        ] {
            assert_eq!(date(text).unwrap_err().code, code, "{text}");
        }
    }

    #[test]
    fn times_are_read_to_the_microsecond_and_without_a_zone() {
        let minute = (6 * 60 + 55) * 60_000_000;
        for (text, micros) in [
            ("1970-01-01", 0),
            ("1970/01/01 06:55", minute),
            ("1970-01-01T06:55:00", minute),
            ("1970-01-01 6:55:00.5", minute + 500_000),
            ("19700101 06:55:00.000001000", minute + 1),
            ("1969-12-31 23:59:59.999999", -1),
        ] {
            assert_eq!(datetime(text), Ok(micros), "{text}");
        }
        for (text, code) in [
            ("1970-01-01 24:00", "not-a-datetime"),
            ("1970-01-01 06", "not-a-datetime"),
            ("1970-01-01 06:60", "not-a-datetime"),
            ("1970-01-01 06:55:60", "not-a-datetime"),
            ("1970-01-01 06:55:00.", "not-a-datetime"),
            ("1970-01-01x06:55", "not-a-datetime"),
            ("1970-01-01 06:55 ", "not-a-datetime"),
            ("1970-01-01 06:55:00.0000001", "too-precise"),
            ("1970-01-01T06:55:00Z", "time-zone"),
            ("1970-01-01T06:55:00.1+08:00", "time-zone"),
            ("1970-01-01 06:55:00 UTC", "time-zone"),
            ("1970-01-01 06:55 Europe/Berlin", "time-zone"),
        ] {
            assert_eq!(datetime(text).unwrap_err().code, code, "{text}");
        }
    }

    #[test]
    fn years_end_at_9999() {
        assert!(check_days(2_932_896).is_ok());
        assert_eq!(check_days(2_932_897).unwrap_err().code, "out-of-range");
        assert_eq!(check_micros(i64::MAX).unwrap_err().code, "out-of-range");
        assert_eq!(check_micros(i64::MIN).unwrap_err().code, "out-of-range");
    }

    proptest! {
        #[test]
        fn every_day_and_time_is_written_and_read_back(days in DAYS, clock in 0..DAY_MICROS) {
            let mut text = String::new();
            write_date(days, &mut text);
            prop_assert_eq!(date(&text), Ok(days));
            text.clear();
            let micros = i64::from(days) * DAY_MICROS + clock;
            write_datetime(micros, &mut text);
            prop_assert_eq!(datetime(&text), Ok(micros));
        }
    }
}
