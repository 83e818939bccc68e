//! Texts and bytes. Lengths are in bytes where StarRocks counts bytes, positions in characters from 1.

#![expect(clippy::unnecessary_wraps, reason = "functions of one table have one signature")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::types::{Value, ValueRef};

use super::{Outcome, Scalar, bytes_of, hex_text, integer_of, text_of};

pub(super) const FUNCTIONS: &[Scalar] = &[
    ("sr_length", 1, |a| Ok(count(bytes_of(a[0]).len()))),
    ("sr_char_length", 1, |a| Ok(count(text_of(a[0]).chars().count()))),
    ("sr_upper", 1, |a| Ok(Value::Text(text_of(a[0]).to_uppercase()))),
    ("sr_lower", 1, |a| Ok(Value::Text(text_of(a[0]).to_lowercase()))),
    ("sr_trim", 2, |a| Ok(Value::Text(trimmed(a, true, true)))),
    ("sr_ltrim", 2, |a| Ok(Value::Text(trimmed(a, true, false)))),
    ("sr_rtrim", 2, |a| Ok(Value::Text(trimmed(a, false, true)))),
    ("sr_replace", 3, replace),
    ("sr_substring", -1, substring),
    ("sr_left", 2, |a| Ok(Value::Text(text_of(a[0]).chars().take(size(a[1])).collect()))),
    ("sr_right", 2, right),
    ("sr_concat", -1, |a| Ok(Value::Text(a.iter().map(|value| text_of(*value)).collect()))),
    ("sr_reverse", 1, |a| Ok(Value::Text(text_of(a[0]).chars().rev().collect()))),
    ("sr_repeat", 2, repeat),
    ("sr_lpad", 3, |a| pad(a, true)),
    ("sr_rpad", 3, |a| pad(a, false)),
    ("sr_instr", 2, |a| Ok(locate(&text_of(a[0]), &text_of(a[1]), 1))),
    ("sr_locate", -1, |a| Ok(locate(&text_of(a[1]), &text_of(a[0]), a.get(2).map_or(1, |from| integer_of(*from))))),
    ("sr_starts_with", 2, |a| Ok(truth(bytes_of(a[0]).starts_with(&bytes_of(a[1]))))),
    ("sr_ends_with", 2, |a| Ok(truth(bytes_of(a[0]).ends_with(&bytes_of(a[1]))))),
    ("sr_like", 2, |a| Ok(truth(like(&text_of(a[0]), &text_of(a[1]))))),
    ("sr_split_part", 3, split_part),
    ("sr_ascii", 1, |a| Ok(Value::Integer(bytes_of(a[0]).first().map_or(0, |byte| i64::from(*byte))))),
    ("sr_char", 1, |a| {
        Ok(char::from_u32(u32::try_from(integer_of(a[0])).unwrap_or(0)).map_or(Value::Null, |c| Value::Text(c.into())))
    }),
    ("sr_hex", 1, hex),
    ("sr_unhex", 1, |a| Ok(from_hex(&text_of(a[0])).map_or(Value::Text(String::new()), as_text))),
    ("sr_to_base64", 1, |a| Ok(Value::Text(STANDARD.encode(bytes_of(a[0]))))),
    ("sr_from_base64", 1, |a| Ok(STANDARD.decode(text_of(a[0])).map_or(Value::Null, as_text))),
    ("sr_to_binary", 2, to_binary),
    ("sr_from_binary", 2, from_binary),
];

pub(super) const SEEING_NULLS: &[Scalar] = &[("sr_concat_ws", -1, concat_ws)];

fn count(length: usize) -> Value {
    Value::Integer(i64::try_from(length).unwrap_or(i64::MAX))
}

fn truth(truth: bool) -> Value {
    Value::Integer(i64::from(truth))
}

fn size(value: ValueRef<'_>) -> usize {
    usize::try_from(integer_of(value)).unwrap_or_default()
}

/// Bytes that are a text, as text, and else as they are.
fn as_text(bytes: Vec<u8>) -> Value {
    String::from_utf8(bytes).map_or_else(|fault| Value::Blob(fault.into_bytes()), Value::Text)
}

fn trimmed(arguments: &[ValueRef<'_>], start: bool, end: bool) -> String {
    let (text, what) = (text_of(arguments[0]), text_of(arguments[1]));
    let mut rest = text.as_str();
    let unwanted = |c: char| what.contains(c);
    if start {
        rest = rest.trim_start_matches(unwanted);
    }
    if end {
        rest = rest.trim_end_matches(unwanted);
    }
    rest.to_owned()
}

fn replace(arguments: &[ValueRef<'_>]) -> Outcome {
    let (text, from, to) = (text_of(arguments[0]), text_of(arguments[1]), text_of(arguments[2]));
    Ok(Value::Text(if from.is_empty() { text } else { text.replace(&from, &to) }))
}

/// From a position counted from 1, or from the end if it is negative; position 0 has nothing.
fn substring(arguments: &[ValueRef<'_>]) -> Outcome {
    let text: Vec<char> = text_of(arguments[0]).chars().collect();
    let from = integer_of(arguments[1]);
    let length = arguments.get(2).map_or(usize::MAX, |length| size(*length));
    let start = match usize::try_from(from) {
        Ok(0) => return Ok(Value::Text(String::new())),
        Ok(from) => Some(from - 1),
        Err(_) => usize::try_from(from.unsigned_abs()).ok().and_then(|back| text.len().checked_sub(back)),
    };
    let Some(start) = start else { return Ok(Value::Text(String::new())) };
    Ok(Value::Text(text.into_iter().skip(start).take(length).collect()))
}

fn right(arguments: &[ValueRef<'_>]) -> Outcome {
    let text: Vec<char> = text_of(arguments[0]).chars().collect();
    let skipped = text.len().saturating_sub(size(arguments[1]));
    Ok(Value::Text(text.into_iter().skip(skipped).collect()))
}

/// The longest text that a function returns, as in StarRocks.
const TEXT_BYTES_MAX: usize = 1_048_576;

fn repeat(arguments: &[ValueRef<'_>]) -> Outcome {
    let (text, times) = (text_of(arguments[0]), size(arguments[1]));
    let fits = text.len().checked_mul(times).is_some_and(|bytes| bytes <= TEXT_BYTES_MAX);
    Ok(if fits { Value::Text(text.repeat(times)) } else { Value::Null })
}

fn pad(arguments: &[ValueRef<'_>], before: bool) -> Outcome {
    let (text, filler) = (text_of(arguments[0]), text_of(arguments[2]));
    let Ok(length) = usize::try_from(integer_of(arguments[1])) else { return Ok(Value::Null) };
    let present = text.chars().count();
    if length > TEXT_BYTES_MAX {
        return Ok(Value::Null);
    }
    if present >= length || filler.is_empty() {
        return Ok(Value::Text(text.chars().take(length).collect()));
    }
    let filling: String = filler.chars().cycle().take(length - present).collect();
    Ok(Value::Text(if before { filling + &text } else { text + &filling }))
}

/// The position of a text in another, in characters from 1, and 0 if it is not there.
fn locate(text: &str, wanted: &str, from: i64) -> Value {
    let Some(skipped) = usize::try_from(from).ok().and_then(|from| from.checked_sub(1)) else {
        return Value::Integer(0);
    };
    let Some((start, _)) = text.char_indices().chain([(text.len(), ' ')]).nth(skipped) else {
        return Value::Integer(0);
    };
    match text[start..].find(wanted) {
        Some(at) => count(text[..start + at].chars().count() + 1),
        None => Value::Integer(0),
    }
}

/// LIKE: `%` for anything, `_` for one character, `\` before either for itself. Case counts.
pub(in crate::sandbox) fn like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut wanted = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        wanted.push(match c {
            '\\' => Part::Exactly(chars.next().unwrap_or('\\')),
            '%' => Part::Anything,
            '_' => Part::One,
            other => Part::Exactly(other),
        });
    }
    // One step back to the last `%` is enough: an earlier one could only take what the last one can take too.
    let (mut at, mut part, mut retry) = (0, 0, None);
    while at < text.len() {
        match wanted.get(part) {
            Some(Part::Anything) => {
                retry = Some((at, part + 1));
                part += 1;
            }
            Some(Part::One) => (at, part) = (at + 1, part + 1),
            Some(Part::Exactly(c)) if *c == text[at] => (at, part) = (at + 1, part + 1),
            _ => match retry {
                Some((from, next)) => {
                    (at, part) = (from + 1, next);
                    retry = Some((from + 1, next));
                }
                None => return false,
            },
        }
    }
    wanted[part..].iter().all(|part| matches!(part, Part::Anything))
}

enum Part {
    Anything,
    One,
    Exactly(char),
}

fn split_part(arguments: &[ValueRef<'_>]) -> Outcome {
    let (text, delimiter, number) = (text_of(arguments[0]), text_of(arguments[1]), integer_of(arguments[2]));
    if delimiter.is_empty() || number == 0 {
        return Ok(Value::Null);
    }
    let parts: Vec<&str> = text.split(&delimiter).collect();
    let index = usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX);
    let part = if number > 0 { parts.get(index - 1) } else { parts.len().checked_sub(index).map(|at| &parts[at]) };
    Ok(part.map_or(Value::Null, |part| Value::Text((*part).to_owned())))
}

fn hex(arguments: &[ValueRef<'_>]) -> Outcome {
    Ok(Value::Text(match arguments[0] {
        ValueRef::Integer(number) => format!("{number:X}"),
        other => hex_text(&bytes_of(other)),
    }))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || text.len() % 2 == 1 {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

fn to_binary(arguments: &[ValueRef<'_>]) -> Outcome {
    let format = text_of(arguments[1]).to_ascii_lowercase();
    let bytes = match format.as_str() {
        "hex" => from_hex(&text_of(arguments[0])),
        "encode64" | "base64" => STANDARD.decode(text_of(arguments[0])).ok(),
        "utf8" => Some(bytes_of(arguments[0]).into_owned()),
        other => return Err(format!("to_binary knows hex, encode64 and utf8, not {other}")),
    };
    Ok(bytes.map_or(Value::Null, Value::Blob))
}

fn from_binary(arguments: &[ValueRef<'_>]) -> Outcome {
    let format = text_of(arguments[1]).to_ascii_lowercase();
    match format.as_str() {
        "hex" => hex(&[ValueRef::Blob(&bytes_of(arguments[0]))]),
        "encode64" | "base64" => Ok(Value::Text(STANDARD.encode(bytes_of(arguments[0])))),
        "utf8" => Ok(Value::Text(text_of(arguments[0]))),
        other => Err(format!("from_binary knows hex, encode64 and utf8, not {other}")),
    }
}

/// The texts that are not NULL, joined; NULL only for a separator that is.
fn concat_ws(arguments: &[ValueRef<'_>]) -> Outcome {
    let Some((separator, rest)) = arguments.split_first() else { return Ok(Value::Null) };
    if *separator == ValueRef::Null {
        return Ok(Value::Null);
    }
    let parts: Vec<String> =
        rest.iter().filter(|value| **value != ValueRef::Null).map(|value| text_of(*value)).collect();
    Ok(Value::Text(parts.join(&text_of(*separator))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_matches_as_starrocks_does() {
        for (text, pattern, matches) in [
            ("abc", "abc", true),
            ("abc", "ABC", false),
            ("abc", "a%", true),
            ("abc", "%b%", true),
            ("abc", "a_c", true),
            ("äöü", "ä_ü", true),
            ("a%c", "a\\%c", true),
            ("abc", "a\\%c", false),
            ("", "%", true),
            ("", "_", false),
            ("aXbXc", "a%X%c", true),
            ("aab", "%ab", true),
        ] {
            assert_eq!(like(text, pattern), matches, "{text} like {pattern}");
        }
    }
}
