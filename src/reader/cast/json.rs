//! JSON texts: taken apart without losing a digit or a duplicate key, put together from nested values, and compacted.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::cell::Cell;

/// A JSON value, taken apart one level deep. The parts stay text, so that numbers keep their digits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    String(Cow<'a, str>),
    Array(Vec<&'a str>),
    /// Every key with its value's text, in order, duplicates included.
    Object(Vec<(Cow<'a, str>, &'a str)>),
}

impl<'a> Node<'a> {
    /// Takes a JSON text apart.
    pub(crate) fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        let text = text.trim_ascii();
        if let Some(plain) = plain(text) {
            return Ok(plain);
        }
        Ok(match text.as_bytes().first() {
            Some(b'"') => Self::String(serde_json::from_str::<Text<'a>>(text)?.0),
            Some(b'[') => Self::Array(serde_json::from_str::<Items<'a>>(text)?.0),
            Some(b'{') => Self::Object(serde_json::from_str::<Entries<'a>>(text)?.0),
            _ => match serde_json::from_str::<&RawValue>(text)?.get() {
                "null" => Self::Null,
                "true" => Self::Bool(true),
                "false" => Self::Bool(false),
                number => Self::Number(number),
            },
        })
    }
}

/// Knows what most values are by looking at their bytes once: words, short integers, and strings without escapes.
fn plain(text: &str) -> Option<Node<'_>> {
    match text.as_bytes() {
        b"null" => Some(Node::Null),
        b"true" => Some(Node::Bool(true)),
        b"false" => Some(Node::Bool(false)),
        [b'"', inner @ .., b'"'] => {
            let plain = inner.iter().all(|byte| !matches!(byte, 0..=0x1F | b'"' | b'\\'));
            plain.then(|| Node::String(Cow::Borrowed(&text[1..text.len() - 1])))
        }
        // A leading zero is no JSON unless it is the only digit.
        [b'1'..=b'9', digits @ ..] => digits.iter().all(u8::is_ascii_digit).then_some(Node::Number(text)),
        _ => None,
    }
}

/// Text that borrows where nothing is escaped.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

struct Items<'a>(Vec<&'a str>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemsVisitor;
        impl<'de> Visitor<'de> for ItemsVisitor {
            type Value = Items<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = access.next_element::<&'de RawValue>()? {
                    items.push(item.get());
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(ItemsVisitor)
    }
}

struct Entries<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::with_capacity(access.size_hint().unwrap_or(8));
                while let Some((key, value)) = access.next_entry::<Text<'de>, &'de RawValue>()? {
                    entries.push((key.0, value.get()));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor)
    }
}

/// What an escape of two bytes stands for.
fn escaped(letter: u8) -> Option<u8> {
    Some(match letter {
        b'"' | b'\\' | b'/' => letter,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'f' => 0x0C,
        _ => return None,
    })
}

/// Whether a text between quotes has no escapes but those of two bytes, so that it is one whoever reads it.
#[inline]
pub(crate) fn is_escaped_plainly(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        match rest.get(at + 1).copied().and_then(escaped) {
            Some(_) => rest = &rest[at + 2..],
            None => return false,
        }
    }
    true
}

/// Appends what a JSON string stands for, which is given with its quotes and has no control characters; none if it is none.
pub(crate) fn unescape(string: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut rest = &string[1..string.len() - 1];
    let before = out.len();
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        if let Some(byte) = escaped(*rest.get(at + 1)?) {
            out.push(byte);
            rest = &rest[at + 2..];
        } else {
            // Numbers of characters, of which two may be one.
            let text: Text = serde_json::from_slice(string).ok()?;
            out.truncate(before);
            out.extend_from_slice(text.0.as_bytes());
            return Some(());
        }
    }
    out.extend_from_slice(rest);
    Some(())
}

/// Appends a JSON document without the spaces between its parts. Everything else stays as it is written: the digits of
/// numbers, the escapes of strings, and keys that occur twice.
pub(crate) fn compact(text: &str, out: &mut String) -> Result<(), serde_json::Error> {
    // A full parse, because what merely skips a value lets lone surrogates through, and one of them makes the server
    // refuse a whole load.
    serde_json::from_str::<serde_json::Value>(text)?;
    let bytes = text.as_bytes();
    let mut kept = 0;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at),
            b' ' | b'\t' | b'\n' | b'\r' => {
                out.push_str(&text[kept..at]);
                at += 1;
                kept = at;
            }
            _ => at += 1,
        }
    }
    out.push_str(&text[kept..]);
    Ok(())
}

/// The offset behind the string that opens at `at`, in valid JSON.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[at..]) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

/// Appends a value as JSON: what a JSON column holds of a typed input. Days and times are strings, bytes are base64.
pub(in crate::reader) fn write(cell: &Cell<'_>, out: &mut String) {
    match cell {
        Cell::Null => out.push_str("null"),
        Cell::Float(value) if !value.is_finite() => write_string(&cell_text(cell), out),
        Cell::Float32(value) if !value.is_finite() => write_string(&cell_text(cell), out),
        Cell::Bool(_) | Cell::Int(_) | Cell::Float32(_) | Cell::Float(_) | Cell::Decimal { .. } | Cell::Json(_) => {
            cell.write(out);
        }
        Cell::Date(_) | Cell::DateTime(_) | Cell::Text(_) => write_string(&cell_text(cell), out),
        Cell::Bytes(bytes) => write_string(&STANDARD.encode(bytes), out),
        Cell::List(items) => separated(items, ['[', ']'], out, write),
        Cell::Map(entries) => separated(entries, ['{', '}'], out, |(key, value), out| {
            write_string(&cell_text(key), out);
            out.push(':');
            write(value, out);
        }),
        Cell::Struct(fields) => separated(fields, ['{', '}'], out, |(name, value), out| {
            write_string(name, out);
            out.push(':');
            write(value, out);
        }),
    }
}

fn separated<T>(parts: &[T], [open, close]: [char; 2], out: &mut String, write: impl Fn(&T, &mut String)) {
    out.push(open);
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(part, out);
    }
    out.push(close);
}

fn cell_text(cell: &Cell<'_>) -> String {
    let mut text = String::new();
    if !cell.write(&mut text)
        && let Cell::Bytes(bytes) = cell
    {
        STANDARD.encode_string(bytes, &mut text);
    }
    text
}

fn write_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("text is always JSON"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_are_unescaped_as_serde_does(
            parts in prop::collection::vec(
                prop::sample::select(["a", "é", "\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", "\\u00e9", "\\ud83d\\ude42", "\\ud83d", "\\x", "\\u12"].as_slice()),
                0..12,
            ),
        ) {
            let string = format!("\"{}\"", parts.concat());
            let mut out = b"before ".to_vec();
            let expected = serde_json::from_str::<String>(&string).ok();
            let unescaped = unescape(string.as_bytes(), &mut out).map(|()| String::from_utf8(out.split_off(7)).unwrap());
            prop_assert_eq!(&unescaped, &expected);
            let plainly = is_escaped_plainly(&string.as_bytes()[1..string.len() - 1]);
            prop_assert_eq!(plainly, expected.is_some() && !string.contains("\\u"));
        }
    }

    #[test]
    fn compacting_takes_spaces_and_nothing_else() {
        for (text, expected) in [
            (" { \"a b\" : [ 1.00 ,\n2E+5 ] } ", r#"{"a b":[1.00,2E+5]}"#),
            (r#"{"a":1, "a":2}"#, r#"{"a":1,"a":2}"#),
            (r#""x \" y \\""#, r#""x \" y \\""#),
            ("12345678901234567890123.50", "12345678901234567890123.50"),
            (r#""\u00e9 é""#, r#""\u00e9 é""#),
        ] {
            let mut out = String::new();
            compact(text, &mut out).unwrap();
            assert_eq!(out, expected);
        }
        for wrong in ["", "{", "{'a':1}", "[1,]", "nan", "1 2", r#""\ud800""#, "007"] {
            assert!(compact(wrong, &mut String::new()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_value_is_taken_apart_one_level_deep() {
        assert_eq!(Node::parse(" null ").unwrap(), Node::Null);
        assert_eq!(Node::parse("1.50").unwrap(), Node::Number("1.50"));
        assert_eq!(Node::parse("150").unwrap(), Node::Number("150"));
        assert_eq!(Node::parse(r#""ä""#).unwrap(), Node::String("ä".into()));
        assert_eq!(Node::parse(r#""""#).unwrap(), Node::String("".into()));
        assert_eq!(Node::parse(r#""a\n""#).unwrap(), Node::String("a\n".into()));
        assert_eq!(Node::parse("[ 1 , [2, 3] ]").unwrap(), Node::Array(vec!["1", "[2, 3]"]));
        assert_eq!(
            Node::parse(r#"{"a":1,"a":{"b":2}}"#).unwrap(),
            Node::Object(vec![("a".into(), "1"), ("a".into(), r#"{"b":2}"#)])
        );
        for wrong in ["", "\"", "\"a\"b\"", "\"\n\"", "\"\\\"", "01", "1a", "nul", "[1", "{\"a\"}"] {
            assert!(Node::parse(wrong).is_err(), "{wrong}");
        }
    }
}
