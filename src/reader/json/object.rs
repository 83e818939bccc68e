//! [`Object`]: where the values of an object stand, found in one pass for objects that are like the one before.
//!
//! After a key comes mostly the key that came after it the last time. So a key is compared and not looked for, and only where
//! another one stands it is looked up. Strings are passed over sixteen bytes at a time. What is not plain (a line end within the
//! object, a key with an escape, anything that is no JSON) is not read here at all: there is a way for everything.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::row::Keys;
use crate::bits;

/// What a value is, as far as its bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Its key is not there.
    Missing,
    /// `null`.
    Null,
    /// `true` or `false`.
    Word,
    /// It begins like a number; see [`is_number`].
    Number,
    /// A string that means what stands between its quotes.
    Plain,
    /// A string with backslashes, which may not be in order.
    Escaped,
    /// An array or an object.
    Nested,
}

/// Where a value stands, with its quotes or brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    /// What it is.
    pub(crate) shape: Shape,
    /// Its first byte.
    pub(crate) start: usize,
    /// Behind its last byte.
    pub(crate) end: usize,
}

const MISSING: Value = Value { shape: Shape::Missing, start: 0, end: 0 };

/// A key that was met.
#[derive(Debug)]
struct Met {
    /// With its quotes.
    text: Box<[u8]>,
    /// Its first sixteen bytes, and which bits of them count.
    head: u128,
    mask: u128,
    /// Which of the keys it is that are read, if it is one.
    slot: Option<usize>,
    /// The key that came after it.
    next: usize,
}

/// Reads objects; kept from one to the next for what it has learned of them.
#[derive(Debug)]
pub(crate) struct Object {
    keys: Arc<Keys>,
    met: Vec<Met>,
    by_text: HashMap<Box<[u8]>, usize>,
    /// The key that came first.
    first: usize,
    values: Vec<Value>,
    exact: bool,
}

/// Keys that are remembered. An input with more of them is read the other way.
const MET_MAX: usize = 4096;

/// The bytes that a key's head has.
const HEAD: usize = 16;

impl Object {
    pub(crate) fn new(keys: &Arc<Keys>) -> Self {
        let values = vec![MISSING; keys.slots.len()];
        let mut object =
            Self { keys: Arc::clone(keys), met: Vec::new(), by_text: HashMap::new(), first: 0, values, exact: false };
        let mut slots: Vec<(&String, usize)> = keys.slots.iter().map(|(key, slot)| (key, *slot)).collect();
        slots.sort_unstable_by_key(|(_, slot)| *slot);
        for (key, slot) in slots {
            // One with escapes is nowhere met as it is.
            if bits::first_in_string(key.as_bytes()).is_none() {
                object.meet(format!("\"{key}\"").as_bytes(), Some(slot));
            }
        }
        object
    }

    /// The value of each key that is read, by offsets in the text.
    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }

    /// Whether the object had the keys that are read, all of them, in order, no others and no blanks.
    pub(crate) fn is_exact(&self) -> bool {
        self.exact
    }

    /// Finds the values of the object that opens at `start`, and says where it ends; none if it is one to be read otherwise.
    #[inline]
    pub(crate) fn read(&mut self, bytes: &[u8], start: usize) -> Option<usize> {
        self.values.fill(MISSING);
        let (mut at, mut pairs, mut in_order) = (start + 1, 0, true);
        let (mut expected, mut before) = (self.first, None);
        let mut blanks = pass_blanks(bytes, &mut at);
        if bytes.get(at) == Some(&b'}') {
            self.exact = false;
            return Some(at + 1);
        }
        loop {
            let found = match self.met.get(expected) {
                Some(met) if met.is_at(bytes, at) => expected,
                _ => self.look_up(bytes, at, before)?,
            };
            let met = &self.met[found];
            (at, before, expected) = (at + met.text.len(), Some(found), met.next);
            blanks |= pass_blanks(bytes, &mut at);
            if *bytes.get(at)? != b':' {
                return None;
            }
            at += 1;
            blanks |= pass_blanks(bytes, &mut at);
            let value = value(bytes, at)?;
            match met.slot {
                Some(slot) if self.values[slot].shape == Shape::Missing => {
                    in_order &= slot == pairs;
                    self.values[slot] = value;
                }
                // The same key twice.
                Some(_) => return None,
                None if is_right(bytes, value) => in_order = false,
                None => return None,
            }
            pairs += 1;
            at = value.end;
            blanks |= pass_blanks(bytes, &mut at);
            match *bytes.get(at)? {
                b',' => at += 1,
                b'}' => break,
                _ => return None,
            }
            blanks |= pass_blanks(bytes, &mut at);
        }
        self.exact = in_order && !blanks && pairs == self.values.len();
        Some(at + 1)
    }

    /// Finds out which key stands here, and remembers it; none if it is not to be passed over.
    #[cold]
    fn look_up(&mut self, bytes: &[u8], at: usize, before: Option<usize>) -> Option<usize> {
        if *bytes.get(at)? != b'"' {
            return None;
        }
        let (end, escaped) = string(bytes, at)?;
        if escaped {
            return None;
        }
        let text = &bytes[at..end];
        let found = if let Some(found) = self.by_text.get(text) {
            *found
        } else {
            let key = std::str::from_utf8(&text[1..text.len() - 1]).ok()?;
            let passed_over = self.keys.known.as_ref().is_none_or(|known| known.contains(key));
            if !passed_over || self.keys.slots.contains_key(key) || self.met.len() == MET_MAX {
                return None;
            }
            self.meet(text, None)
        };
        match before {
            Some(before) => self.met[before].next = found,
            None => self.first = found,
        }
        Some(found)
    }

    fn meet(&mut self, text: &[u8], slot: Option<usize>) -> usize {
        let mut head = [0; HEAD];
        let mut mask = [0; HEAD];
        for (at, byte) in text.iter().take(HEAD).enumerate() {
            (head[at], mask[at]) = (*byte, 0xff);
        }
        let found = self.met.len();
        let (head, mask) = (u128::from_le_bytes(head), u128::from_le_bytes(mask));
        self.met.push(Met { text: text.into(), head, mask, slot, next: found + 1 });
        self.by_text.insert(text.into(), found);
        found
    }
}

impl Met {
    #[inline]
    fn is_at(&self, bytes: &[u8], at: usize) -> bool {
        let rest = &bytes[at..];
        match rest.first_chunk::<HEAD>() {
            Some(head) => {
                (u128::from_le_bytes(*head) ^ self.head) & self.mask == 0
                    && (self.text.len() <= HEAD || rest[HEAD..].starts_with(&self.text[HEAD..]))
            }
            None => rest.starts_with(&self.text),
        }
    }
}

/// Passes over blanks, and says whether there were some. A line end is none: an object with one is read otherwise.
#[inline]
fn pass_blanks(bytes: &[u8], at: &mut usize) -> bool {
    let start = *at;
    while let Some(b' ' | b'\t') = bytes.get(*at) {
        *at += 1;
    }
    *at != start
}

/// The value that starts here, if it is whole. Of numbers and strings with escapes that is not yet sure.
#[inline]
fn value(bytes: &[u8], start: usize) -> Option<Value> {
    let (shape, end) = match *bytes.get(start)? {
        b'"' => {
            let (end, escaped) = string(bytes, start)?;
            (if escaped { Shape::Escaped } else { Shape::Plain }, end)
        }
        b'-' | b'0'..=b'9' => {
            let length = bytes[start..].iter().position(|byte| !NUMERIC[usize::from(*byte)]);
            (Shape::Number, start + length?)
        }
        b'{' | b'[' => (Shape::Nested, start + nested(&bytes[start..])?),
        _ => {
            let rest = &bytes[start..];
            match rest {
                [b'n', b'u', b'l', b'l', ..] => (Shape::Null, start + 4),
                [b't', b'r', b'u', b'e', ..] => (Shape::Word, start + 4),
                [b'f', b'a', b'l', b's', b'e', ..] => (Shape::Word, start + 5),
                _ => return None,
            }
        }
    };
    Some(Value { shape, start, end })
}

/// The bytes that numbers are made of.
const NUMERIC: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = b'0';
    while byte <= b'9' {
        table[byte as usize] = true;
        byte += 1;
    }
    table[b'-' as usize] = true;
    table[b'+' as usize] = true;
    table[b'.' as usize] = true;
    table[b'e' as usize] = true;
    table[b'E' as usize] = true;
    table
};

/// Where the string ends that opens here, and whether there are backslashes in it; none if it does not end, or holds a byte
/// that strings do not hold as it is.
#[inline]
fn string(bytes: &[u8], open: usize) -> Option<(usize, bool)> {
    let (mut at, mut escaped) = (open + 1, false);
    loop {
        at += bits::first_in_string(bytes.get(at..)?)?;
        match bytes[at] {
            b'"' => return Some((at + 1, escaped)),
            b'\\' => {
                escaped = true;
                at += 2;
            }
            _ => return None,
        }
    }
}

/// How many bytes an array or object has that is right and stands on one line.
#[cold]
fn nested(bytes: &[u8]) -> Option<usize> {
    let line = &bytes[..memchr::memchr(b'\n', bytes).unwrap_or(bytes.len())];
    let mut values = serde_json::Deserializer::from_slice(line).into_iter::<&RawValue>();
    values.next()?.ok()?;
    Some(values.byte_offset())
}

/// Whether a value that nobody reads is JSON nevertheless.
fn is_right(bytes: &[u8], value: Value) -> bool {
    let text = &bytes[value.start..value.end];
    match value.shape {
        Shape::Number => is_number(text),
        Shape::Escaped => serde_json::from_slice::<&RawValue>(text).is_ok(),
        _ => true,
    }
}

/// Whether this is how JSON writes numbers.
pub(crate) fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, rest) = text.split_at(digits(text));
    if matches!(whole, [] | [b'0', _, ..]) {
        return false;
    }
    let rest = match rest {
        [b'.', rest @ ..] => match digits(rest) {
            0 => return false,
            count => &rest[count..],
        },
        rest => rest,
    };
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', power @ ..] | [b'e' | b'E', power @ ..] => {
            !power.is_empty() && digits(power) == power.len()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reader::cast::Node;

    #[test]
    fn a_number_is_what_the_parser_takes_for_one() {
        for text in ["0", "-0", "7", "10", "1.5", "-1.50e10", "1E-5", "1e+05", "0.0"] {
            assert!(is_number(text.as_bytes()), "{text}");
        }
        for text in ["", "-", "00", "01", "+1", ".5", "5.", "1e", "1e+", "1.e5", "1-2", "1e5.0", "--1"] {
            assert!(!is_number(text.as_bytes()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_json_if_the_parser_says_so(text in "[-+0-9.eE]{1,6}") {
            prop_assert_eq!(is_number(text.as_bytes()), Node::parse(&text).is_ok());
        }
    }
}
