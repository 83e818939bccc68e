//! JSON bodies: where each row's object begins and ends, and the values in it.
//!
//! A body is a stream of objects, one behind the other with or without blanks, or, with `strip_outer_array`, one array
//! of them. Rows are cut from the body one at a time, so memory holds one row, not the body. Numbers stay the text that
//! they came as. What is not JSON fails the whole load ([`Fault`]); a value of the wrong type is its row's affair.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read};

use memchr::memchr2;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json_path::Path;

const BUFFER_BYTES: usize = 256 * 1024;

/// The longest JSON object, and the longest body when it is one.
const OBJECT_BYTES_MAX: usize = 4 * 1024 * 1024 * 1024 - 1;

/// How rows are found in a body.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layout {
    pub(super) strip_outer_array: bool,
    pub(super) root: Option<Path>,
    /// Where each field of a row is; without paths, fields are keys.
    pub(super) paths: Option<Vec<Path>>,
}

/// Why a body as a whole is refused.
#[derive(Debug)]
pub(super) enum Fault {
    Malformed(String),
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed(format!("Failed to iterate document stream as object. error: {error}"))
    }
}

/// Where the reader is in the body.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Start,
    Stream,
    /// In the outer array, behind `[`.
    Opened,
    /// In the outer array, behind a comma.
    Separated,
    /// In the outer array, behind a value.
    Behind,
    End,
}

/// Cuts a body into the top-level values that hold its rows.
pub(super) struct Documents<R> {
    source: R,
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
    /// Whether the outer array is to be taken off.
    strip: bool,
    /// Whether arrays are allowed at the top: with a root, they are expanded whatever `strip_outer_array` says.
    rooted: bool,
    place: Place,
}

impl<R: Read> Documents<R> {
    pub(super) fn new(source: R, layout: &Layout) -> Self {
        let rooted = layout.root.is_some();
        let strip = layout.strip_outer_array && !rooted;
        Self { source, buffer: Vec::new(), at: 0, ended: false, strip, rooted, place: Place::Start }
    }

    /// The next object's text.
    pub(super) fn advance(&mut self) -> Result<Option<&str>, Fault> {
        let Some(first) = self.seek()? else { return Ok(None) };
        if first != b'{' {
            return Err(Fault::Malformed(match first {
                b'[' => "The value is an array. Set strip_outer_array=true to load its elements as rows".to_owned(),
                _ => format!("illegal json started with [{}]", char::from(first)),
            }));
        }
        let end = self.end_of_object()?;
        let text = std::str::from_utf8(&self.buffer[self.at..end]).map_err(|_| {
            Fault::Malformed("Failed to iterate document stream as object. error: invalid UTF-8".into())
        })?;
        self.at = end;
        Ok(Some(text))
    }

    /// Goes to the first byte of the next value.
    fn seek(&mut self) -> Result<Option<u8>, Fault> {
        loop {
            let byte = self.skip_blanks()?;
            match (self.place, byte) {
                (Place::Start, Some(b'[')) if self.strip || self.rooted => {
                    self.at += 1;
                    self.place = Place::Opened;
                }
                (Place::Start, Some(byte)) if self.strip => {
                    let shown = char::from(byte);
                    let said = "The value should be an array, as strip_outer_array is set";
                    return Err(Fault::Malformed(format!("{said}: illegal json started with [{shown}]")));
                }
                (Place::Start, Some(_)) => self.place = Place::Stream,
                (Place::Start | Place::Stream | Place::End, None) => return Ok(None),
                (Place::Stream, Some(b'[')) if self.rooted => {
                    self.at += 1;
                    self.place = Place::Opened;
                }
                (Place::Stream, Some(byte)) => return Ok(Some(byte)),
                (Place::Opened | Place::Behind, Some(b']')) => {
                    self.at += 1;
                    self.place = if self.rooted { Place::Stream } else { Place::End };
                }
                (Place::Opened | Place::Separated, Some(byte)) if byte != b']' => {
                    self.place = Place::Behind;
                    return Ok(Some(byte));
                }
                (Place::Behind, Some(b',')) => {
                    self.at += 1;
                    self.place = Place::Separated;
                }
                (Place::Opened | Place::Separated | Place::Behind | Place::End, _) => {
                    return Err(Fault::Malformed("The value should be one well-formed array of objects".to_owned()));
                }
            }
        }
    }

    fn skip_blanks(&mut self) -> io::Result<Option<u8>> {
        loop {
            while let Some(byte) = self.buffer.get(self.at) {
                if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                    return Ok(Some(*byte));
                }
                self.at += 1;
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Where the object that begins here ends: only brackets and strings are looked at, the parser does the rest.
    fn end_of_object(&mut self) -> Result<usize, Fault> {
        let (mut offset, mut depth, mut quoted) = (0, 0_usize, false);
        loop {
            let (found, next) = scan(&self.buffer[self.at..], offset, &mut depth, &mut quoted);
            if found {
                return Ok(self.at + next);
            }
            offset = next;
            if !self.fill()? {
                return Err(Fault::Malformed(
                    "Failed to iterate document stream as object. error: it ends too early".into(),
                ));
            }
        }
    }

    fn fill(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let held = self.buffer.len();
        if held > OBJECT_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a JSON object exceeds the limit of 4 GB"));
        }
        self.buffer.resize(held + BUFFER_BYTES.max(held), 0);
        let count = loop {
            match self.source.read(&mut self.buffer[held..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.buffer.truncate(held + count);
        self.ended = count == 0;
        Ok(count > 0)
    }
}

/// Scans from `at` for the end of the value that the bytes begin with; tells whether it was found, and where to go on.
fn scan(bytes: &[u8], mut at: usize, depth: &mut usize, quoted: &mut bool) -> (bool, usize) {
    while at < bytes.len() {
        if *quoted {
            let Some(length) = memchr2(b'"', b'\\', &bytes[at..]) else { return (false, bytes.len()) };
            at += length;
            if bytes[at] == b'\\' {
                if at + 1 == bytes.len() {
                    return (false, at);
                }
                at += 2;
                continue;
            }
            *quoted = false;
        } else {
            match bytes[at] {
                b'"' => *quoted = true,
                b'{' | b'[' => *depth += 1,
                b'}' | b']' => {
                    *depth -= 1;
                    if *depth == 0 {
                        return (true, at + 1);
                    }
                }
                _ => {}
            }
        }
        at += 1;
    }
    (false, at)
}

/// The keys that rows are asked for, by name.
pub(super) struct Keys {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Keys {
    pub(super) fn new(names: Vec<String>) -> Self {
        let places = names.iter().cloned().enumerate().map(|(at, name)| (name, at)).collect();
        Self { names, places }
    }

    /// The values under the keys, `None` where there is no such key. The first of equal keys counts.
    pub(super) fn pick<'a>(&self, object: &'a str) -> Result<Vec<Option<&'a RawValue>>, Fault> {
        let mut deserializer = serde_json::Deserializer::from_str(object);
        let picked = Pick(self).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(picked)
    }

    /// Finds a key; mostly it is the one behind the last.
    fn place(&self, name: &str, expected: usize) -> Option<usize> {
        if self.names.get(expected).is_some_and(|known| known == name) {
            return Some(expected);
        }
        self.places.get(name).copied()
    }
}

struct Pick<'k>(&'k Keys);

impl<'de> DeserializeSeed<'de> for Pick<'_> {
    type Value = Vec<Option<&'de RawValue>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = Vec<Option<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut picked = vec![None; self.0.names.len()];
        let mut expected = 0;
        while let Some(key) = map.next_key::<Key<'de>>()? {
            match self.0.place(&key.0, expected) {
                Some(at) if picked[at].is_none() => {
                    picked[at] = Some(map.next_value::<&'de RawValue>()?);
                    expected = at + 1;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(picked)
    }
}

#[derive(serde::Deserialize, PartialEq, Eq)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

struct All;

impl<'de> Visitor<'de> for All {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
            entries.push((key.0, value));
        }
        Ok(entries)
    }
}

/// The entries of an object in their order; `None` when it is not an object.
pub(super) fn entries(source: &str) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    let mut deserializer = serde_json::Deserializer::from_str(source);
    let entries = deserializer.deserialize_map(All).ok()?;
    deserializer.end().ok()?;
    Some(entries)
}

/// The text of a JSON string.
pub(super) fn string(source: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Key<'_>>(source).ok().map(|key| key.0)
}

/// A JSON value without the blanks between its tokens; `None` when it is not JSON.
pub(super) fn canonical(source: &str) -> Option<Cow<'_, str>> {
    let source = source.trim_ascii();
    serde_json::from_str::<IgnoredAny>(source).ok()?;
    if !source.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return Some(Cow::Borrowed(source));
    }
    let mut out = String::with_capacity(source.len());
    let (mut quoted, mut escaped) = (false, false);
    for char in source.chars() {
        if !quoted && char.is_ascii_whitespace() {
            continue;
        }
        if char == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && char == '\\' && !escaped;
        out.push(char);
    }
    Some(Cow::Owned(out))
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
