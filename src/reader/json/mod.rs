//! JSON: objects one after the other (NDJSON, or just concatenated), or within one array at the top.
//!
//! The end of each record is found by following brackets and strings; only then is it parsed, so that an input of any
//! size takes the memory of one record. Keys are columns, case-sensitively; a missing key is NULL.
//!
//! - What is no JSON, no object or no UTF-8 is a reject, and reading goes on at the next line: see `frame::resume`.
//!   In an array there are no lines to rely on: there it goes on behind the record's last bracket, and where the array
//!   itself makes no sense the rest of the input is an [`Error`].
//! - A key that the load reads and that occurs twice in a record is a reject, for only one of its values could be kept.
//!   So is a key that no column takes, if the caller says which keys are known.

mod frame;
mod layout;
mod sample;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::Path;

use crate::model::{Batch, Column, Origin, Reject, Rule};

use super::batches::{Batches, Records};
use super::cast::{BatchBuilder, Cell, Node, rule};
use super::finder::{self, Wanted};
use super::window::{Window, line_ends};
use super::{Error, FieldRef, Projected, Reader};
use layout::{Layout, Step};

pub use sample::keys;
pub(super) use sample::{Objects, no_object};

/// Reads JSON records.
pub struct JsonReader(Batches<JsonRecords>);

impl JsonReader {
    /// Starts at the first byte of `stream`, which is decompressed text. The input is called `path` in errors; the
    /// projected keys are found by name.
    ///
    /// With `known`, a record that has any other key is a reject; without it, other keys are passed over.
    #[must_use]
    pub fn new(
        path: &Path,
        stream: Box<dyn Read + Send>,
        projected: Vec<Projected>,
        known: Option<HashSet<String>>,
    ) -> Self {
        Self::over(Window::new(path, stream), projected, known)
    }

    /// The same for the records that start at these bytes alone: each of them comes as a reject, among those that cannot be
    /// read.
    pub(super) fn finding(path: &Path, stream: Box<dyn Read + Send>, wanted: Wanted) -> Self {
        let mut reader = Self::new(path, stream, Vec::new(), None);
        reader.0.records_mut().wanted = Some(wanted);
        reader
    }

    fn over(window: Window, projected: Vec<Projected>, known: Option<HashSet<String>>) -> Self {
        let mut slots = HashMap::new();
        let targets = projected
            .iter()
            .map(|projected| {
                let FieldRef::Name(key) = &projected.source else { unreachable!("JSON keys are found by name") };
                let next = slots.len();
                let slot = *slots.entry(key.clone()).or_insert(next);
                Target { name: projected.column.name.clone(), slot }
            })
            .collect();
        let found = vec![None; slots.len()];
        let records = JsonRecords {
            window,
            layout: Layout::Start,
            start: None,
            row: Row { targets, slots, known, found },
            wanted: None,
        };
        let columns: Vec<Column> = projected.into_iter().map(|projected| projected.column).collect();
        Self(Batches::new(records, &columns))
    }
}

impl Reader for JsonReader {
    fn next(&mut self, rejects: &mut Vec<Reject>) -> Result<Option<Batch>, Error> {
        self.0.next(rejects)
    }
}

struct JsonRecords {
    window: Window,
    layout: Layout,
    /// Where the array starts, if the records are in one; none before the first byte.
    start: Option<Origin>,
    row: Row,
    /// The records to find, where that is all there is to do.
    wanted: Option<Wanted>,
}

impl Records for JsonRecords {
    fn read(&mut self, batch: &mut BatchBuilder, rejects: &mut Vec<Reject>) -> Result<bool, Error> {
        loop {
            if self.start.is_none() {
                self.window.open()?;
                self.start = Some(self.window.origin());
            }
            let before = self.layout;
            match self.layout.step(self.window.pending(), self.window.at_end()) {
                Step::Skip(bytes) => {
                    if before == Layout::Start {
                        self.start = Some(self.window.origin());
                    }
                    self.consume(bytes);
                }
                Step::Record(bytes) => {
                    self.window.check_length(bytes)?;
                    self.record(bytes, batch, rejects)?;
                    return Ok(self.wanted.as_ref().is_none_or(|wanted| !wanted.is_empty()));
                }
                Step::Lines(bytes) => {
                    self.window.check_length(bytes)?;
                    self.reject_lines(bytes, batch, rejects);
                    return Ok(true);
                }
                Step::More => self.window.more()?,
                Step::End => return Ok(false),
                Step::Open(what) => return Err(self.open(what)),
                Step::Misplaced(what) => return Err(self.misplaced(what)),
            }
        }
    }
}

impl JsonRecords {
    fn consume(&mut self, bytes: usize) {
        let lines = line_ends(&self.window.pending()[..bytes]);
        self.window.consume(bytes, lines);
    }

    /// Makes a row or a reject of a framed record.
    fn record(&mut self, bytes: usize, batch: &mut BatchBuilder, rejects: &mut Vec<Reject>) -> Result<(), Error> {
        let raw = &self.window.pending()[..bytes];
        let rule = match std::str::from_utf8(raw).map(Node::parse) {
            Ok(Ok(Node::Object(_))) if self.wanted.is_some() => {
                let origin = self.window.origin();
                if self.wanted.as_mut().is_some_and(|wanted| wanted.remove(&origin.byte)) {
                    let raw = raw.trim_ascii_end().to_vec();
                    batch.reject_record(finder::found(origin, raw), rejects);
                }
                self.consume(bytes);
                return Ok(());
            }
            Ok(Ok(Node::Object(entries))) => {
                self.row.append(&entries, raw, self.window.origin(), batch, rejects);
                self.consume(bytes);
                return Ok(());
            }
            Ok(Ok(_)) => rule::not_an_object(),
            Ok(Err(error)) if self.layout == Layout::Lines => return self.reject_rest(bytes, &error, batch, rejects),
            Ok(Err(error)) => rule::json_syntax(&error),
            Err(_) => rule::not_utf8(),
        };
        batch.reject_record(self.whole(bytes, rule), rejects);
        self.consume(bytes);
        Ok(())
    }

    /// Rejects a record whose brackets are in order but whose text is not, up to the next line that can be read.
    fn reject_rest(
        &mut self,
        from: usize,
        error: &serde_json::Error,
        batch: &mut BatchBuilder,
        rejects: &mut Vec<Reject>,
    ) -> Result<(), Error> {
        let end = loop {
            match frame::resume(self.window.pending(), from, self.window.at_end()) {
                Some(end) => break end,
                None => self.window.more()?,
            }
        };
        self.window.check_length(end)?;
        batch.reject_record(self.whole(end, rule::json_syntax(error)), rejects);
        self.consume(end);
        Ok(())
    }

    /// Rejects lines that are no record.
    fn reject_lines(&mut self, bytes: usize, batch: &mut BatchBuilder, rejects: &mut Vec<Reject>) {
        let rule = match std::str::from_utf8(&self.window.pending()[..bytes]).map(Node::parse) {
            Ok(Ok(_)) => rule::not_an_object(),
            Ok(Err(error)) => rule::json_syntax(&error),
            Err(_) => rule::not_utf8(),
        };
        batch.reject_record(self.whole(bytes, rule), rejects);
        self.consume(bytes);
    }

    fn whole(&self, bytes: usize, rule: Rule) -> Reject {
        let raw = self.window.pending()[..bytes].trim_ascii_end().to_vec();
        Reject { origin: self.window.origin(), column: None, value: None, rule, raw }
    }

    fn open(&self, what: &str) -> Error {
        let in_record = !self.window.pending().is_empty();
        let at = if in_record { Some(self.window.origin()) } else { self.start };
        Error::Truncated { path: self.window.path().to_owned(), at, what: what.into(), source: None }
    }

    fn misplaced(&self, what: &str) -> Error {
        let (path, at) = (self.window.path().to_owned(), Some(self.window.origin()));
        Error::Malformed { path, at, what: what.into(), source: None }
    }
}

/// A column to fill, and which of the keys it is filled from.
struct Target {
    name: String,
    slot: usize,
}

/// Turns records into rows.
struct Row {
    targets: Vec<Target>,
    /// The keys that are read. Two columns may share one.
    slots: HashMap<String, usize>,
    known: Option<HashSet<String>>,
    /// Which entry of the record each key was found at.
    found: Vec<Option<usize>>,
}

impl Row {
    fn append(
        &mut self,
        entries: &[(Cow<'_, str>, &str)],
        raw: &[u8],
        origin: Origin,
        batch: &mut BatchBuilder,
        rejects: &mut Vec<Reject>,
    ) {
        let reject = |column, value, rule| Reject { origin, column, value, rule, raw: raw.to_vec() };
        if let Err(rule) = self.find(entries.iter().map(|(key, _)| key.as_ref())) {
            return batch.reject_record(reject(None, None, rule), rejects);
        }
        batch.start_row(origin);
        for (index, column) in self.targets.iter().enumerate() {
            let cell = self.found[column.slot].map_or(Cell::Null, |entry| Cell::Json(entries[entry].1));
            if let Err(rule) = batch.append(index, &cell) {
                let reject = reject(Some(column.name.clone()), Some(cell.shown()), rule);
                return batch.reject_row(reject, rejects);
            }
        }
    }

    /// Notes where the keys are.
    fn find<'a>(&mut self, keys: impl Iterator<Item = &'a str>) -> Result<(), Rule> {
        self.found.fill(None);
        for (entry, key) in keys.enumerate() {
            if let Some(slot) = self.slots.get(key) {
                if self.found[*slot].replace(entry).is_some() {
                    return Err(rule::duplicate_key(key));
                }
            } else if self.known.as_ref().is_some_and(|known| !known.contains(key)) {
                return Err(rule::unknown_key(key));
            }
        }
        Ok(())
    }
}
