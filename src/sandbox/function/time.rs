//! Dates and times.

#![expect(clippy::unnecessary_wraps, reason = "functions of one table have one signature")]

use rusqlite::types::{Value, ValueRef};

use super::calendar::{MICROS_PER_DAY, MICROS_PER_SECOND, Moment, days_from_civil};
use super::convert::moment_of;
use super::{Outcome, Scalar, integer_of, text_of};

pub(super) const FUNCTIONS: &[Scalar] = &[
    ("sr_date_part", 2, date_part),
    ("sr_date_format", 2, date_format),
    ("sr_str_to_date", 2, |a| Ok(moment(parse_format(&text_of(a[0]), &text_of(a[1]))))),
    ("sr_date_trunc", 2, date_trunc),
    ("sr_date_add", 3, |a| date_add(a[0], integer_of(a[1]), &text_of(a[2]))),
    ("sr_date_diff", 2, |a| Ok(difference(a[0], a[1], |left, right| left.days() - right.days()))),
    ("sr_timestamp_diff", 3, timestamp_diff),
    ("sr_last_day", 1, last_day),
    ("sr_unix_timestamp", 1, |a| {
        Ok(moment_of(a[0]).map_or(Value::Null, |m| Value::Integer(m.micros().div_euclid(MICROS_PER_SECOND))))
    }),
    ("sr_from_unixtime", 1, |a| {
        Ok(moment(integer_of(a[0]).checked_mul(MICROS_PER_SECOND).and_then(Moment::from_micros)))
    }),
    ("sr_from_days", 1, |a| {
        Ok(moment((integer_of(a[0]) - DAYS_BEFORE_1970).checked_mul(MICROS_PER_DAY).and_then(Moment::from_micros)))
    }),
    ("sr_make_date", 2, make_date),
];

/// What `TO_DAYS('1970-01-01')` is.
const DAYS_BEFORE_1970: i64 = 719_528;

const DAY_NAMES: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTH_NAMES: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

fn moment(moment: Option<Moment>) -> Value {
    moment.map_or(Value::Null, |moment| Value::Text(moment.to_string()))
}

/// A month or weekday by its number from 0.
fn name(names: &'static [&'static str], at: i64) -> &'static str {
    usize::try_from(at).ok().and_then(|at| names.get(at)).copied().unwrap_or_default()
}

fn date_part(arguments: &[ValueRef<'_>]) -> Outcome {
    let Some(moment) = moment_of(arguments[0]) else { return Ok(Value::Null) };
    let ((year, month, day), (hour, minute, second, micros)) = (moment.date(), moment.time());
    Ok(Value::Integer(match text_of(arguments[1]).as_str() {
        "year" => year,
        "quarter" => (month + 2) / 3,
        "month" => month,
        "day" => day,
        "hour" => hour,
        "minute" => minute,
        "second" => second,
        "microsecond" => micros,
        "dayofweek" => (moment.weekday() + 1) % 7 + 1,
        "weekday" => moment.weekday(),
        "dayofyear" => moment.day_of_year(),
        "weekofyear" => iso_week(moment).1,
        "week" => week_from_sunday(moment),
        "to_days" => moment.days() + DAYS_BEFORE_1970,
        "dayname" => return Ok(Value::Text(name(&DAY_NAMES, moment.weekday()).to_owned())),
        "monthname" => return Ok(Value::Text(name(&MONTH_NAMES, month - 1).to_owned())),
        other => return Err(format!("a date has no {other}")),
    }))
}

/// The year and number of the ISO week: weeks start on Monday and belong to the year of their Thursday.
fn iso_week(moment: Moment) -> (i64, i64) {
    let thursday = moment.add_micros((3 - moment.weekday()) * MICROS_PER_DAY).unwrap_or(moment);
    (thursday.date().0, (thursday.day_of_year() - 1) / 7 + 1)
}

/// Weeks since the year's first Sunday, which starts week 1; the days before it are in week 0.
fn week_from_sunday(moment: Moment) -> i64 {
    let since_sunday = (moment.weekday() + 1) % 7;
    (moment.day_of_year() - 1 - since_sunday + 7) / 7
}

fn date_format(arguments: &[ValueRef<'_>]) -> Outcome {
    let Some(moment) = moment_of(arguments[0]) else { return Ok(Value::Null) };
    let format = match text_of(arguments[1]).as_str() {
        "yyyyMMdd" => "%Y%m%d".to_owned(),
        "yyyy-MM-dd" => "%Y-%m-%d".to_owned(),
        "yyyy-MM-dd HH:mm:ss" => "%Y-%m-%d %H:%i:%s".to_owned(),
        "yyyy-MM" => "%Y-%m".to_owned(),
        "yyyyMM" => "%Y%m".to_owned(),
        "yyyy" => "%Y".to_owned(),
        other => other.to_owned(),
    };
    let mut text = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => text.push_str(&specified(moment, chars.next().unwrap_or('%'))?),
            other => text.push(other),
        }
    }
    Ok(Value::Text(text))
}

/// What `%` and this character stand for.
fn specified(moment: Moment, specifier: char) -> Result<String, String> {
    let ((year, month, day), (hour, minute, second, micros)) = (moment.date(), moment.time());
    let hour12 = (hour + 11) % 12 + 1;
    let half = if hour < 12 { "AM" } else { "PM" };
    Ok(match specifier {
        'Y' => format!("{year:04}"),
        'y' => format!("{:02}", year % 100),
        'm' => format!("{month:02}"),
        'c' => month.to_string(),
        'M' => name(&MONTH_NAMES, month - 1).to_owned(),
        'b' => name(&MONTH_NAMES, month - 1).chars().take(3).collect(),
        'd' => format!("{day:02}"),
        'e' => day.to_string(),
        'D' => format!("{day}{}", ordinal(day)),
        'j' => format!("{:03}", moment.day_of_year()),
        'W' => name(&DAY_NAMES, moment.weekday()).to_owned(),
        'a' => name(&DAY_NAMES, moment.weekday()).chars().take(3).collect(),
        'w' => ((moment.weekday() + 1) % 7).to_string(),
        'U' => format!("{:02}", week_from_sunday(moment)),
        'v' => format!("{:02}", iso_week(moment).1),
        'x' => format!("{:04}", iso_week(moment).0),
        'H' => format!("{hour:02}"),
        'k' => hour.to_string(),
        'h' | 'I' => format!("{hour12:02}"),
        'l' => hour12.to_string(),
        'i' => format!("{minute:02}"),
        's' | 'S' => format!("{second:02}"),
        'f' => format!("{micros:06}"),
        'p' => half.to_owned(),
        'r' => format!("{hour12:02}:{minute:02}:{second:02} {half}"),
        'T' => format!("{hour:02}:{minute:02}:{second:02}"),
        'u' | 'V' | 'X' => return Err(format!("the sandbox does not know the date format %{specifier} yet")),
        other => other.to_string(),
    })
}

fn ordinal(day: i64) -> &'static str {
    match (day, day % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    }
}

/// What has been read of a date so far.
struct Read {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    /// Whether the hour is one of twelve, and in their second half.
    afternoon: Option<bool>,
}

/// Reads a text by a format. Both must be used up, but for what the text has behind its last specified part.
fn parse_format(text: &str, format: &str) -> Option<Moment> {
    let mut read = Read { year: 0, month: 1, day: 1, hour: 0, minute: 0, second: 0, micros: 0, afternoon: None };
    let mut rest = text.trim_start();
    let mut format = format.replace("%T", "%H:%i:%s").replace("%r", "%h:%i:%s %p");
    format = format.replace("%F", "%Y-%m-%d");
    let mut specifiers = format.chars();
    while let Some(c) = specifiers.next() {
        match c {
            '%' => rest = parse_part(&mut read, rest, specifiers.next()?)?,
            c if c.is_whitespace() => rest = rest.trim_start(),
            c => rest = rest.strip_prefix(c)?,
        }
    }
    let hour = match read.afternoon {
        Some(afternoon) => read.hour % 12 + if afternoon { 12 } else { 0 },
        None => read.hour,
    };
    let valid = hour < 24 && read.minute < 60 && read.second < 60;
    let micros = ((hour * 60 + read.minute) * 60 + read.second) * MICROS_PER_SECOND + read.micros;
    valid.then(|| Moment::new(read.year, read.month, read.day, micros)).flatten()
}

fn parse_part<'a>(read: &mut Read, text: &'a str, specifier: char) -> Option<&'a str> {
    let (into, digits) = match specifier {
        'Y' => (&mut read.year, 4),
        'y' => (&mut read.year, 2),
        'm' | 'c' => (&mut read.month, 2),
        'd' | 'e' => (&mut read.day, 2),
        'H' | 'k' => (&mut read.hour, 2),
        'h' | 'I' | 'l' => {
            read.afternoon.get_or_insert(false);
            (&mut read.hour, 2)
        }
        'i' => (&mut read.minute, 2),
        's' | 'S' => (&mut read.second, 2),
        'f' => (&mut read.micros, 6),
        'p' => {
            let half = text.get(..2)?.to_ascii_uppercase();
            read.afternoon = Some(half == "PM");
            return (half == "AM" || half == "PM").then(|| &text[2..]);
        }
        'b' | 'M' => {
            let shortest = |name: &&str| if specifier == 'b' { &name[..3] } else { name }.len();
            let found = MONTH_NAMES.iter().position(|name| {
                text.get(..shortest(name)).is_some_and(|start| name.to_lowercase().starts_with(&start.to_lowercase()))
            })?;
            read.month = i64::try_from(found).ok()? + 1;
            return Some(&text[shortest(&MONTH_NAMES[found])..]);
        }
        '%' => return text.strip_prefix('%'),
        _ => return None,
    };
    let length = text.bytes().take(digits).take_while(u8::is_ascii_digit).count();
    if length == 0 {
        return None;
    }
    let number: i64 = text[..length].parse().ok()?;
    *into = match specifier {
        'f' => format!("{:0<6}", &text[..length]).parse().ok()?,
        'y' if number < 70 => 2000 + number,
        'y' => 1900 + number,
        _ => number,
    };
    Some(&text[length..])
}

fn date_trunc(arguments: &[ValueRef<'_>]) -> Outcome {
    let Some(at) = moment_of(arguments[1]) else { return Ok(Value::Null) };
    let ((year, month, day), micros) = (at.date(), at.micros_of_day());
    let down_to = |unit: i64| Moment::new(year, month, day, micros - micros % unit);
    let truncated = match text_of(arguments[0]).to_ascii_lowercase().as_str() {
        "microsecond" => Some(at),
        "millisecond" => down_to(1000),
        "second" => down_to(MICROS_PER_SECOND),
        "minute" => down_to(60 * MICROS_PER_SECOND),
        "hour" => down_to(3600 * MICROS_PER_SECOND),
        "day" => Moment::new(year, month, day, 0),
        "week" => Moment::new(year, month, day, 0).and_then(|at| at.add_micros(-at.weekday() * MICROS_PER_DAY)),
        "month" => Moment::new(year, month, 1, 0),
        "quarter" => Moment::new(year, (month - 1) / 3 * 3 + 1, 1, 0),
        "year" => Moment::new(year, 1, 1, 0),
        other => return Err(format!("date_trunc function can't support argument {other}")),
    };
    Ok(moment(truncated))
}

fn date_add(at: ValueRef<'_>, count: i64, unit: &str) -> Outcome {
    let Some(at) = moment_of(at) else { return Ok(Value::Null) };
    let micros = |unit: i64| count.checked_mul(unit).and_then(|micros| at.add_micros(micros));
    let months = |unit: i64| count.checked_mul(unit).and_then(|months| at.add_months(months));
    Ok(moment(match unit {
        "year" => months(12),
        "quarter" => months(3),
        "month" => months(1),
        "week" => micros(7 * MICROS_PER_DAY),
        "day" => micros(MICROS_PER_DAY),
        "hour" => micros(3600 * MICROS_PER_SECOND),
        "minute" => micros(60 * MICROS_PER_SECOND),
        "second" => micros(MICROS_PER_SECOND),
        "millisecond" => micros(1000),
        "microsecond" => micros(1),
        other => return Err(format!("an interval in {other} is not known")),
    }))
}

fn difference(left: ValueRef<'_>, right: ValueRef<'_>, operation: fn(Moment, Moment) -> i64) -> Value {
    match (moment_of(left), moment_of(right)) {
        (Some(left), Some(right)) => Value::Integer(operation(left, right)),
        _ => Value::Null,
    }
}

/// Whole units from the second argument to the third.
fn timestamp_diff(arguments: &[ValueRef<'_>]) -> Outcome {
    let (from, to) = (arguments[1], arguments[2]);
    Ok(match text_of(arguments[0]).as_str() {
        "year" => difference(to, from, |to, from| months_between(to, from) / 12),
        "quarter" => difference(to, from, |to, from| months_between(to, from) / 3),
        "month" => difference(to, from, months_between),
        "week" => difference(to, from, |to, from| (to.micros() - from.micros()) / (7 * MICROS_PER_DAY)),
        "day" => difference(to, from, |to, from| (to.micros() - from.micros()) / MICROS_PER_DAY),
        "hour" => difference(to, from, |to, from| (to.micros() - from.micros()) / (3600 * MICROS_PER_SECOND)),
        "minute" => difference(to, from, |to, from| (to.micros() - from.micros()) / (60 * MICROS_PER_SECOND)),
        "second" => difference(to, from, |to, from| (to.micros() - from.micros()) / MICROS_PER_SECOND),
        "millisecond" => difference(to, from, |to, from| (to.micros() - from.micros()) / 1000),
        other => return Err(format!("a difference in {other} is not known")),
    })
}

fn months_between(to: Moment, from: Moment) -> i64 {
    let ((to_year, to_month, to_day), (from_year, from_month, from_day)) = (to.date(), from.date());
    let months = (to_year - from_year) * 12 + to_month - from_month;
    let within = (to_day, to.micros_of_day()).cmp(&(from_day, from.micros_of_day()));
    match within {
        std::cmp::Ordering::Less if months > 0 => months - 1,
        std::cmp::Ordering::Greater if months < 0 => months + 1,
        _ => months,
    }
}

fn last_day(arguments: &[ValueRef<'_>]) -> Outcome {
    let last = moment_of(arguments[0]).and_then(|at| {
        let (year, month, _) = at.date();
        Moment::new(year, month, super::calendar::days_in_month(year, month), 0)
    });
    Ok(last.map_or(Value::Null, |last| Value::Text(last.date_text())))
}

fn make_date(arguments: &[ValueRef<'_>]) -> Outcome {
    let (year, day) = (integer_of(arguments[0]), integer_of(arguments[1]));
    let moment = (day >= 1 && (0..=9999).contains(&year))
        .then(|| (days_from_civil(year, 1, 1) + day - 1).checked_mul(MICROS_PER_DAY))
        .flatten()
        .and_then(Moment::from_micros)
        .filter(|moment| moment.date().0 == year);
    Ok(moment.map_or(Value::Null, |moment| Value::Text(moment.date_text())))
}
