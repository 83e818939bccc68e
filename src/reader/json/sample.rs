//! The start of a JSON input: its first records, and their keys.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::reader::cast::Node;
use crate::reader::window::BYTE_ORDER_MARK;

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
