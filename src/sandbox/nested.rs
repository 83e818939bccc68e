//! ARRAY, MAP and STRUCT: their CSV form and their JSON form, to the JSON text that is stored.
//!
//! An element that its type cannot hold makes the whole value unfit; single elements are never turned into NULL.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::json;
use super::types::SqlType;
use super::value::{self, Cell, Unfit};

/// Reads the CSV form: `[e,e]` and `{k:v,k:v}`, with strings in double quotes and `""` for a quote.
pub(super) fn from_csv(ty: &SqlType, text: &str) -> Result<String, Unfit> {
    let mut out = String::with_capacity(text.len());
    match ty {
        SqlType::Array(element) => {
            out.push('[');
            for (at, item) in items(text, '[', ']')?.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                csv_element(element, item, &mut out)?;
            }
            out.push(']');
        }
        SqlType::Map(key, value) => {
            let mut entries = Entries::default();
            for item in items(text, '{', '}')? {
                let at = split_at(item, b':').next().filter(|end| *end < item.len()).ok_or(Unfit)?;
                let (mut name, mut held) = (String::new(), String::new());
                csv_element(key, &item[..at], &mut name)?;
                csv_element(value, &item[at + 1..], &mut held)?;
                entries.put(as_key(name), held);
            }
            entries.write(&mut out);
        }
        _ => return Err(Unfit),
    }
    Ok(out)
}

/// Reads the JSON form; the keys of a STRUCT are its field names, in any order.
pub(super) fn from_json(ty: &SqlType, text: &str) -> Result<String, Unfit> {
    let mut out = String::with_capacity(text.len());
    json_element(ty, text.trim_ascii(), &mut out)?;
    Ok(out)
}

fn csv_element(ty: &SqlType, text: &str, out: &mut String) -> Result<(), Unfit> {
    if text == "null" {
        out.push_str("null");
        return Ok(());
    }
    match ty {
        SqlType::Array(_) | SqlType::Map(..) => out.push_str(&from_csv(ty, text)?),
        SqlType::Char(_) | SqlType::Varchar(_) | SqlType::Varbinary(_) | SqlType::Json => {
            let inner = unquoted(text).ok_or(Unfit)?;
            write_cell(ty, &value::from_text(ty, &inner)?, out);
        }
        SqlType::Date | SqlType::DateTime => {
            let inner = unquoted(text).unwrap_or(Cow::Borrowed(text));
            write_cell(ty, &value::from_text(ty, &inner)?, out);
        }
        _ => write_cell(ty, &value::from_text(ty, text)?, out),
    }
    Ok(())
}

fn unquoted(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    Some(if inner.contains("\"\"") { Cow::Owned(inner.replace("\"\"", "\"")) } else { Cow::Borrowed(inner) })
}

fn items(text: &str, open: char, close: char) -> Result<Vec<&str>, Unfit> {
    let inner = text.trim_ascii().strip_prefix(open).and_then(|rest| rest.strip_suffix(close)).ok_or(Unfit)?;
    if inner.is_empty() {
        return Ok(Vec::new());
    }
    let mut items = Vec::new();
    let mut start = 0;
    for end in split_at(inner, b',') {
        items.push(&inner[start..end]);
        start = end + 1;
    }
    Ok(items)
}

/// Where a byte stands outside quotes and brackets, and at last the text's end.
fn split_at(text: &str, separator: u8) -> impl Iterator<Item = usize> + '_ {
    let (mut depth, mut quoted) = (0_usize, false);
    let places = text.bytes().enumerate().filter_map(move |(at, byte)| {
        match byte {
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => return (byte == separator && !quoted && depth == 0).then_some(at),
        }
        None
    });
    places.chain(std::iter::once(text.len()))
}

fn json_element(ty: &SqlType, source: &str, out: &mut String) -> Result<(), Unfit> {
    if source == "null" {
        out.push_str("null");
        return Ok(());
    }
    match ty {
        SqlType::Array(element) => {
            let elements: Vec<&RawValue> = serde_json::from_str(source).map_err(|_| Unfit)?;
            out.push('[');
            for (at, item) in elements.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                json_element(element, item.get(), out)?;
            }
            out.push(']');
        }
        SqlType::Map(key, held) => {
            let mut entries = Entries::default();
            for (name, item) in json::entries(source).ok_or(Unfit)? {
                let mut text = String::new();
                write_cell(key, &value::scalar(key, &name)?, &mut text);
                let mut value = String::new();
                json_element(held, item.get(), &mut value)?;
                entries.put(as_key(text), value);
            }
            entries.write(out);
        }
        SqlType::Struct(fields) => {
            let given = json::entries(source).ok_or(Unfit)?;
            let mut entries = Entries::default();
            for (name, ty) in fields {
                let mut value = String::new();
                match given.iter().find(|(key, _)| key == name) {
                    Some((_, item)) => json_element(ty, item.get(), &mut value)?,
                    None => value.push_str("null"),
                }
                entries.put(quoted(name), value);
            }
            entries.write(out);
        }
        _ => write_cell(ty, &value::from_json(ty, source)?, out),
    }
    Ok(())
}

fn write_cell(ty: &SqlType, cell: &Cell<'_>, out: &mut String) {
    let bare = matches!(ty, SqlType::Decimal { .. } | SqlType::LargeInt | SqlType::Json);
    let text = match cell {
        Cell::Null => Cow::Borrowed("null"),
        Cell::Integer(value) => Cow::Owned(value.to_string()),
        // What is not finite has been found unfit before.
        Cell::Real(value) => Cow::Owned(serde_json::Value::from(*value).to_string()),
        Cell::Text(text) if bare => Cow::Borrowed(text.as_ref()),
        Cell::Text(text) => Cow::Owned(quoted(text)),
        Cell::Blob(bytes) => Cow::Owned(quoted(&STANDARD.encode(bytes))),
    };
    out.push_str(&text);
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A map's key as JSON has it: a string, whatever its type.
fn as_key(text: String) -> String {
    if text.starts_with('"') { text } else { quoted(&text) }
}

/// The entries of an object as they were first named, each with the value it was last given.
#[derive(Default)]
struct Entries(Vec<(String, String)>);

impl Entries {
    fn put(&mut self, key: String, value: String) {
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, held)) => *held = value,
            None => self.0.push((key, value)),
        }
    }

    fn write(&self, out: &mut String) {
        out.push('{');
        for (at, (key, value)) in self.0.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            out.push_str(key);
            out.push(':');
            out.push_str(value);
        }
        out.push('}');
    }
}
