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
mod object;
mod row;
mod sample;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::model::{Batch, Column, Origin, Reject, Rule};

use super::batches::{Batches, Records};
use super::blocks::{Blocks, Cuts};
use super::cast::{BatchBuilder, rule};
use super::finder::{self, Wanted};
use super::window::{BYTE_ORDER_MARK, Window, line_ends};
use super::{Error, Projected, Reader};
use layout::{Layout, Step};
use row::Wrong;

pub(crate) use crate::bits::odd_bytes;
pub(crate) use object::{Object, Shape, Value, is_number};
pub(crate) use row::{Keys, Made, Row};
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
        let row = Row::new(Arc::new(Keys::new(&projected, known)));
        let records = JsonRecords { window, layout: Layout::Start, start: None, row, wanted: None };
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
        let origin = self.window.origin();
        let made = match &mut self.wanted {
            Some(wanted) => found(wanted, raw, origin, batch, rejects),
            None => self.row.record(raw, origin, batch, rejects),
        };
        let rule = match made {
            Ok(()) => {
                self.consume(bytes);
                return Ok(());
            }
            Err(Wrong::Rule(rule)) => rule,
            Err(Wrong::Syntax(error)) if self.layout == Layout::Lines => {
                return self.reject_rest(bytes, &error, batch, rejects);
            }
            Err(Wrong::Syntax(error)) => rule::json_syntax(&error),
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
        let rule = row::no_record(&self.window.pending()[..bytes]);
        batch.reject_record(self.whole(bytes, rule), rejects);
        self.consume(bytes);
    }

    fn whole(&self, bytes: usize, rule: Rule) -> Reject {
        row::whole(&self.window.pending()[..bytes], self.window.origin(), rule)
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

/// Takes a record out as a reject, if it is among the wanted ones.
fn found(
    wanted: &mut Wanted,
    raw: &[u8],
    origin: Origin,
    batch: &mut BatchBuilder,
    rejects: &mut Vec<Reject>,
) -> Result<(), Wrong> {
    row::entries(raw)?;
    if wanted.remove(&origin.byte) {
        batch.reject_record(finder::found(origin, raw.trim_ascii_end().to_vec()), rejects);
    }
    Ok(())
}

/// A text of JSON records in blocks, which several threads may read.
pub struct JsonText {
    /// Its blocks.
    pub(crate) blocks: Blocks,
    /// The line on which the first of them starts.
    pub(crate) line: u64,
    /// Which keys are read.
    pub(crate) keys: Arc<Keys>,
}

impl JsonText {
    /// The same as for [`JsonReader::new`]. The text is one of lines: see [`is_lines`].
    ///
    /// # Errors
    /// When the start of the input cannot be read.
    pub(crate) fn open(
        path: &Path,
        stream: Box<dyn Read + Send>,
        projected: &[Projected],
        known: Option<HashSet<String>>,
    ) -> Result<Self, Error> {
        let mut window = Window::new(path, stream);
        window.open()?;
        let (blocks, line) = Blocks::from_window(window, Cuts::Objects);
        Ok(Self { blocks, line, keys: Arc::new(Keys::new(projected, known)) })
    }
}

/// An input that ends within the record that starts here.
pub(crate) fn cut_off(path: &Path, origin: Origin) -> Error {
    let what = "a JSON value that starts here".into();
    Error::Truncated { path: path.to_owned(), at: Some(origin), what, source: None }
}

/// How far into a text an object has to begin a line, so that it can be cut there: as far as two or three blocks reach.
const FIRST_CUT_BYTES: usize = 1 << 20;

/// Whether a text that begins like this has objects at the start of lines, and not within an array.
pub(super) fn is_lines(sample: &[u8], at_end: bool) -> bool {
    let text = sample.strip_prefix(BYTE_ORDER_MARK).unwrap_or(sample);
    let start = text.trim_ascii_start();
    let head = &text[..text.len().min(FIRST_CUT_BYTES)];
    start.first().is_some_and(|byte| *byte != b'[') && (at_end || memchr::memmem::find(head, b"\n{").is_some())
}

#[cfg(test)]
impl JsonText {
    /// In blocks of about so many bytes.
    pub(crate) fn with_blocks_of(self, bytes: usize) -> Self {
        Self { blocks: self.blocks.with_size(bytes, false), ..self }
    }
}
