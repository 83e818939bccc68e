//! The start of a JSON input: its first records, and their keys.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

use crate::model::Origin;
use crate::reader::Error;
use crate::reader::cast::Node;
use crate::reader::window::{BYTE_ORDER_MARK, line_ends};

use super::frame;
use super::layout::{Layout, Step};

/// Lists the keys of the first records, in the order in which they are first seen.
///
/// `sample` is the start of the input, and `at_end` says that it is all of it. Records that are broken or no objects
/// have no keys.
#[must_use]
pub fn keys(sample: &[u8], at_end: bool) -> Vec<String> {
    let mut seen = HashSet::new();
    Objects::new(sample, at_end)
        .flatten()
        .map(|(key, _)| key.into_owned())
        .filter(|key| seen.insert(key.clone()))
        .collect()
}

/// The whole objects of a sample, each as its keys and the texts of their values.
pub(in crate::reader) struct Objects<'a> {
    rest: &'a [u8],
    at_end: bool,
    layout: Layout,
}

impl<'a> Objects<'a> {
    pub(in crate::reader) fn new(sample: &'a [u8], at_end: bool) -> Self {
        Self { rest: sample.strip_prefix(BYTE_ORDER_MARK).unwrap_or(sample), at_end, layout: Layout::Start }
    }
}

/// The error for a sample in which no object is whole.
///
/// An object that takes up most of it is longer than the sample; otherwise the input holds other things.
pub(in crate::reader) fn no_object(path: &Path, sample: &[u8], at_end: bool) -> Error {
    let path = path.to_owned();
    let text = sample.strip_prefix(BYTE_ORDER_MARK).unwrap_or(sample).trim_ascii();
    let inner = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).unwrap_or(text);
    if at_end && inner.trim_ascii().is_empty() {
        return Error::Empty { path };
    }
    let mut objects = Objects::new(sample, at_end);
    if objects.by_ref().next().is_none() {
        let before = &sample[..sample.len() - objects.rest.len()];
        if !at_end && objects.rest.starts_with(b"{") && before.len() < sample.len() / 2 {
            let at = Origin { line: 1 + line_ends(before), byte: before.len() as u64 };
            return Error::RecordTooLong { path, at, bytes_max: objects.rest.len() };
        }
    }
    let hint = "a record is an object like {\"column\": value}, one after the other or in one array; `--format` names \
                other formats";
    Error::SchemaUnclear { path, what: "there is no object with a key at its start".into(), hint: hint.into() }
}

impl<'a> Iterator for Objects<'a> {
    type Item = Vec<(Cow<'a, str>, &'a str)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.layout.step(self.rest, self.at_end) {
                Step::Skip(bytes) | Step::Lines(bytes) => self.rest = &self.rest[bytes..],
                Step::Record(bytes) => {
                    let (record, rest) = self.rest.split_at(bytes);
                    match std::str::from_utf8(record).map(Node::parse) {
                        Ok(Ok(Node::Object(entries))) => {
                            self.rest = rest;
                            return Some(entries);
                        }
                        Ok(Err(_)) if self.layout == Layout::Lines => {
                            let end = frame::resume(self.rest, bytes, self.at_end)?;
                            self.rest = &self.rest[end..];
                        }
                        _ => self.rest = rest,
                    }
                }
                Step::More | Step::End | Step::Open(_) | Step::Misplaced(_) => return None,
            }
        }
    }
}
