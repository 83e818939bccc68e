//! Days and times without a zone, in the years 0000 to 9999.

use std::fmt;

pub(in crate::sandbox) const MICROS_PER_SECOND: i64 = 1_000_000;
pub(in crate::sandbox) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// A point in time, as microseconds since 1970-01-01 00:00:00. It is printed as a DATETIME.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sandbox) struct Moment(i64);

impl Moment {
    /// A moment by its microseconds, if its year has four digits.
    pub(in crate::sandbox) fn from_micros(micros: i64) -> Option<Self> {
        let moment = Self(micros);
        (0..=9999).contains(&moment.date().0).then_some(moment)
    }

    /// A moment by its parts. A day that the month does not have is refused.
    pub(in crate::sandbox) fn new(year: i64, month: i64, day: i64, micros_of_day: i64) -> Option<Self> {
        let valid = (0..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && (0..MICROS_PER_DAY).contains(&micros_of_day);
        valid.then(|| Self(days_from_civil(year, month, day) * MICROS_PER_DAY + micros_of_day))
    }

    /// Reads the ways in which StarRocks takes a date or time: with `-` or `/` or without, with or without a time.
    pub(in crate::sandbox) fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
        let (date, time) = match text.find([' ', 'T']) {
            Some(at) => (&text[..at], Some(text[at + 1..].trim_start())),
            None => (text, None),
        };
        if date.bytes().all(|byte| byte.is_ascii_digit()) {
            return parse_compact(date, time);
        }
        let mut parts = date.split(['-', '/']);
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || !(year.len() == 4 || year.len() == 2) {
            return None;
        }
        let year = full_year(number(year, 4)?, year.len());
        Self::new(year, number(month, 2)?, number(day, 2)?, time.map_or(Some(0), parse_time)?)
    }

    pub(in crate::sandbox) fn micros(self) -> i64 {
        self.0
    }

    /// Days since 1970-01-01.
    pub(in crate::sandbox) fn days(self) -> i64 {
        self.0.div_euclid(MICROS_PER_DAY)
    }

    pub(in crate::sandbox) fn micros_of_day(self) -> i64 {
        self.0.rem_euclid(MICROS_PER_DAY)
    }

    /// Year, month and day.
    pub(in crate::sandbox) fn date(self) -> (i64, i64, i64) {
        civil_from_days(self.days())
    }

    /// Hour, minute, second and microsecond.
    pub(in crate::sandbox) fn time(self) -> (i64, i64, i64, i64) {
        let micros = self.micros_of_day();
        let seconds = micros / MICROS_PER_SECOND;
        (seconds / 3600, seconds / 60 % 60, seconds % 60, micros % MICROS_PER_SECOND)
    }

    /// The same time so many months later, on the last day of the month if it has fewer days.
    pub(in crate::sandbox) fn add_months(self, months: i64) -> Option<Self> {
        let (year, month, day) = self.date();
        let count = (year * 12 + month - 1).checked_add(months)?;
        let (year, month) = (count.div_euclid(12), count.rem_euclid(12) + 1);
        Self::new(year, month, day.min(days_in_month(year, month)), self.micros_of_day())
    }

    pub(in crate::sandbox) fn add_micros(self, micros: i64) -> Option<Self> {
        Self::from_micros(self.0.checked_add(micros)?)
    }

    /// 0 for Monday to 6 for Sunday.
    pub(in crate::sandbox) fn weekday(self) -> i64 {
        (self.days() + 3).rem_euclid(7)
    }

    /// 1 for the first of January.
    pub(in crate::sandbox) fn day_of_year(self) -> i64 {
        self.days() - days_from_civil(self.date().0, 1, 1) + 1
    }

    /// As a DATE.
    pub(in crate::sandbox) fn date_text(self) -> String {
        let (year, month, day) = self.date();
        format!("{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, second, micros) = self.time();
        write!(f, "{} {hour:02}:{minute:02}:{second:02}", self.date_text())?;
        if micros == 0 { Ok(()) } else { write!(f, ".{micros:06}") }
    }
}

/// `YYYYMMDD`, `YYMMDD`, `YYYYMMDDHHMMSS`.
fn parse_compact(digits: &str, time: Option<&str>) -> Option<Moment> {
    let (date, clock) = match digits.len() {
        6 | 8 => (digits, None),
        14 if time.is_none() => (&digits[..8], Some(&digits[8..])),
        _ => return None,
    };
    let years = date.len() - 4;
    let year = full_year(number(&date[..years], 4)?, years);
    let (month, day) = (number(&date[years..years + 2], 2)?, number(&date[years + 2..], 2)?);
    let micros = match clock {
        Some(clock) => {
            let spelled = format!("{}:{}:{}", &clock[..2], &clock[2..4], &clock[4..]);
            parse_time(&spelled)?
        }
        None => time.map_or(Some(0), parse_time)?,
    };
    Moment::new(year, month, day, micros)
}

fn full_year(year: i64, digits: usize) -> i64 {
    match year {
        _ if digits != 2 => year,
        0..70 => 2000 + year,
        _ => 1900 + year,
    }
}

/// `H:M[:S[.f]]` as microseconds of the day.
fn parse_time(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |part| number(part, 2))?;
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 || fraction.len() > 6 {
        return None;
    }
    let micros = if fraction.is_empty() { 0 } else { number(&format!("{fraction:0<6}"), 6)? };
    Some(((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + micros)
}

fn number(digits: &str, longest: usize) -> Option<i64> {
    let valid = (1..=longest).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| digits.parse().ok()).flatten()
}

pub(in crate::sandbox) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar. Years are counted from March, so that the leap day comes last.
pub(in crate::sandbox) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (month, day) = ((shifted + 2) % 12 + 1, day_of_year - (153 * shifted + 2) / 5 + 1);
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_the_calendar_is_its_own() {
        let mut moment = Moment::new(0, 1, 1, 0).expect("the first day is valid");
        let mut before = (0, 1, 0);
        while let Some(next) = moment.add_micros(MICROS_PER_DAY) {
            let (year, month, day) = moment.date();
            assert_eq!(Moment::new(year, month, day, 0), Some(moment));
            let expected = if before.2 < days_in_month(before.0, before.1) {
                (before.0, before.1, before.2 + 1)
            } else {
                (before.0 + before.1 / 12, before.1 % 12 + 1, 1)
            };
            assert_eq!((year, month, day), expected);
            before = expected;
            moment = next;
        }
        assert_eq!(moment.date_text(), "9999-12-31");
        assert_eq!(Moment::new(1970, 1, 1, 0).map(Moment::weekday), Some(3), "it was a Thursday");
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, moment) in [
            ("2024-02-29", Some("2024-02-29 00:00:00")),
            ("2023-02-29", None),
            ("20240229", Some("2024-02-29 00:00:00")),
            ("2024/1/2 3:4:5", Some("2024-01-02 03:04:05")),
            ("2024-01-02T03:04:05.5", Some("2024-01-02 03:04:05.500000")),
            ("20240102030405", Some("2024-01-02 03:04:05")),
            ("2024-01-02 24:00:00", None),
            ("2024-01-02 03:04", Some("2024-01-02 03:04:00")),
            ("2024-13-01", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(Moment::parse(text).map(|moment| moment.to_string()).as_deref(), moment, "{text}");
        }
    }
}
