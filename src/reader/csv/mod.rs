//! CSV and its relatives: one record after the other, with the exact place of each.
//!
//! Fields stand between delimiters; a field whose first byte is the quote goes to the closing quote, over delimiters
//! and line ends. Inside, a quote is doubled, or follows the escape byte if there is one. Lines end with LF or CRLF, and
//! a CR elsewhere is data.
//!
//! - NULL is the empty field without quotes, and `""` the empty text. With a NULL marker, only that text without quotes
//!   is NULL. A field `\N` is those two characters unless it is the marker.
//! - Empty lines are passed over, for hardly anybody means a record by them. In a file of one column they are rows,
//!   because there an empty line is how the empty field is written.
//! - A record with another number of fields, with text behind a closing quote, or with bytes that are no UTF-8 is a
//!   reject. A quote still open at the end of the input is an [`Error`]: where its record ends is anybody's guess.

mod dialect;
mod outline;
mod record;
mod sample;
mod structure;
#[cfg(test)]
mod tests;
mod walk;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::model::{Batch, Column, Origin, Reject, Rule};

use super::batches::{Batches, Records};
use super::blocks::{Blocks, Cuts};
use super::cast::{BatchBuilder, Cell, rule};
use super::finder::{self, Wanted};
use super::window::{Window, line_ends};
use super::{Error, FieldRef, Projected, Reader};
use record::{Scan, scan};

pub use dialect::{Dialect, sniff};
pub(crate) use outline::Outline;
pub(crate) use record::{Extent, Form, Span, value};
pub(super) use sample::Sample;
pub use sample::{fields, first_record};
pub(crate) use walk::{Found, Glance, Stretch, Walk, quoted};

/// Reads a CSV text.
pub struct CsvReader(Batches<CsvRecords>);

impl CsvReader {
    /// Starts at the first byte of `stream`, which is decompressed text. The input is called `path` in errors; each
    /// record has `fields_expected` fields, of which the projected ones are found by their index.
    #[must_use]
    pub fn new(
        path: &Path,
        stream: Box<dyn Read + Send>,
        dialect: Dialect,
        projected: Vec<Projected>,
        fields_expected: usize,
    ) -> Self {
        Self::over(Window::new(path, stream), dialect, projected, fields_expected)
    }

    /// The same for the records that start at these bytes alone: each of them comes as a reject.
    pub(super) fn finding(
        path: &Path,
        stream: Box<dyn Read + Send>,
        dialect: Dialect,
        fields_expected: usize,
        wanted: Wanted,
    ) -> Self {
        let mut reader = Self::new(path, stream, dialect, Vec::new(), fields_expected);
        reader.0.records_mut().wanted = Some(wanted);
        reader
    }

    fn over(window: Window, dialect: Dialect, projected: Vec<Projected>, fields_expected: usize) -> Self {
        let caster = Caster::new(dialect, &projected, fields_expected);
        let columns: Vec<Column> = projected.into_iter().map(|projected| projected.column).collect();
        Self(Batches::new(CsvRecords::new(window, caster), &columns))
    }
}

impl Reader for CsvReader {
    fn next(&mut self, rejects: &mut Vec<Reject>) -> Result<Option<Batch>, Error> {
        self.0.next(rejects)
    }
}

/// A CSV text in blocks, which several threads may read.
pub struct CsvText {
    /// Its blocks; the header is behind us.
    pub(crate) blocks: Blocks,
    /// The line on which the first of them starts.
    pub(crate) line: u64,
    /// What makes rows of its records.
    pub(crate) caster: Arc<Caster>,
}

impl CsvText {
    /// The same as for [`CsvReader::new`].
    ///
    /// # Errors
    /// When the start of the input cannot be read.
    pub(crate) fn open(
        path: &Path,
        stream: Box<dyn Read + Send>,
        dialect: Dialect,
        projected: &[Projected],
        fields_expected: usize,
    ) -> Result<Self, Error> {
        let caster = Caster::new(dialect, projected, fields_expected);
        let mut records = CsvRecords::new(Window::new(path, stream), caster);
        records.open()?;
        let (blocks, line) = Blocks::from_window(records.window, Cuts::Quotes(records.caster.dialect.quote));
        Ok(Self { blocks, line, caster: Arc::new(records.caster) })
    }
}

#[cfg(test)]
impl CsvText {
    /// In blocks of about so many bytes; see [`Blocks::with_size`].
    pub(crate) fn with_blocks_of(self, bytes: usize, blindly: bool) -> Self {
        Self { blocks: self.blocks.with_size(bytes, blindly), ..self }
    }
}

/// A column to fill.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: String,
    /// The field, from 0.
    pub(crate) field: usize,
    /// Whether the empty field is the empty text there, because NULL is not allowed.
    pub(crate) empty_is_text: bool,
}

impl Target {
    /// With a NULL marker the empty field is the empty text anyway, and the marker says NULL and nothing else.
    fn new(projected: &Projected, marker: bool) -> Self {
        let FieldRef::Index(field) = projected.source else { unreachable!("CSV fields are found by their index") };
        let column = &projected.column;
        Self { name: column.name.clone(), field, empty_is_text: !marker && column.ty.is_text() && !column.nullable }
    }
}

/// Makes rows of records.
#[derive(Debug)]
pub(crate) struct Caster {
    /// How the text is written.
    pub(crate) dialect: Dialect,
    /// Where each column comes from.
    pub(crate) targets: Vec<Target>,
    /// How many fields each record has.
    pub(crate) fields_expected: usize,
}

struct CsvRecords {
    window: Window,
    caster: Caster,
    spans: Vec<Span>,
    opened: bool,
    /// The records to find, where that is all there is to do.
    wanted: Option<Wanted>,
}

impl Records for CsvRecords {
    fn read(&mut self, batch: &mut BatchBuilder, rejects: &mut Vec<Reject>) -> Result<bool, Error> {
        if !self.opened {
            self.opened = true;
            self.open()?;
        }
        let Some(record) = self.scan(self.caster.blank_is_row())? else { return Ok(false) };
        if let Some(wanted) = &mut self.wanted {
            let origin = self.window.origin();
            if wanted.remove(&origin.byte) {
                let raw = self.window.pending()[..record.bytes].to_vec();
                batch.reject_record(finder::found(origin, raw), rejects);
            }
            let more = !wanted.is_empty();
            self.consume(record);
            return Ok(more);
        }
        let raw = &self.window.pending()[..record.bytes];
        self.caster.row(raw, self.window.origin(), record, &self.spans, batch, rejects);
        self.consume(record);
        Ok(true)
    }
}

impl CsvRecords {
    fn new(window: Window, caster: Caster) -> Self {
        Self { window, caster, spans: Vec::new(), opened: false, wanted: None }
    }

    /// Goes to the first row.
    fn open(&mut self) -> Result<(), Error> {
        self.window.open()?;
        if self.caster.dialect.header { self.skip_header() } else { Ok(()) }
    }

    /// Finds the next record; none at the end.
    fn scan(&mut self, blank_is_row: bool) -> Result<Option<Extent>, Error> {
        loop {
            match scan(self.window.pending(), self.window.at_end(), &self.caster.dialect, &mut self.spans) {
                Scan::Record(record) => {
                    self.window.check_length(record.bytes)?;
                    return Ok(Some(record));
                }
                Scan::Blank(taken) if blank_is_row => {
                    self.spans.push(Span::EMPTY);
                    return Ok(Some(Extent::blank(taken)));
                }
                Scan::Blank(taken) => self.window.consume(taken, 1),
                Scan::End => return Ok(None),
                Scan::More => self.window.more()?,
                Scan::OpenQuote(open) => return Err(self.open_quote(open)),
            }
        }
    }

    fn open_quote(&self, open: usize) -> Error {
        open_quote(self.window.path(), self.window.origin(), self.window.pending(), open)
    }

    /// Moves past the record that [`fields`] has read.
    fn skip_header(&mut self) -> Result<(), Error> {
        if let Some(record) = self.scan(false)? {
            self.consume(record);
        }
        Ok(())
    }

    fn consume(&mut self, record: Extent) {
        let lines = record.lines + u64::from(record.taken > record.bytes);
        self.window.consume(record.taken, lines);
    }
}

/// A quote that is not closed, at this offset of what is pending from `origin` on.
pub(crate) fn open_quote(path: &Path, origin: Origin, pending: &[u8], open: usize) -> Error {
    let line = origin.line + line_ends(&pending[..open]);
    Error::Truncated {
        path: path.to_owned(),
        at: Some(Origin { line, byte: origin.byte + open as u64 }),
        what: "a quoted field that opens here".into(),
        source: None,
    }
}

impl Caster {
    fn new(dialect: Dialect, projected: &[Projected], fields_expected: usize) -> Self {
        let marker = dialect.null.is_some();
        let targets: Vec<_> = projected.iter().map(|projected| Target::new(projected, marker)).collect();
        debug_assert!(targets.iter().all(|target| target.field < fields_expected), "projected fields exist");
        Self { dialect, targets, fields_expected }
    }

    /// Whether an empty line is a row, because it is how the empty field of a single column is written.
    pub(crate) fn blank_is_row(&self) -> bool {
        self.fields_expected == 1
    }

    /// Puts a record into the batch, or among the rejects.
    pub(crate) fn row(
        &self,
        raw: &[u8],
        origin: Origin,
        record: Extent,
        spans: &[Span],
        batch: &mut BatchBuilder,
        rejects: &mut Vec<Reject>,
    ) {
        let reject = |column, value, rule| Reject { origin, column, value, rule, raw: raw.to_vec() };
        let text = match self.check(raw, record, spans) {
            Ok(text) => text,
            Err(rule) => return batch.reject_record(reject(None, None, rule), rejects),
        };
        batch.start_row(origin);
        for (index, column) in self.targets.iter().enumerate() {
            let field = self.field(text, spans[column.field], column, |cell| {
                batch.append(index, &cell).map_err(|rule| (cell.shown(), rule))
            });
            if let Err((value, rule)) = field {
                return batch.reject_row(reject(Some(column.name.clone()), Some(value), rule), rejects);
            }
        }
    }

    fn check<'a>(&self, raw: &'a [u8], record: Extent, spans: &[Span]) -> Result<&'a str, Rule> {
        if let (true, Some(quote)) = (record.malformed, self.dialect.quote) {
            return Err(rule::quote(quote));
        }
        if spans.len() != self.fields_expected {
            return Err(rule::field_count(self.fields_expected, spans.len()));
        }
        std::str::from_utf8(raw).map_err(|_| rule::not_utf8())
    }

    /// Hands a field's value to `take`.
    fn field<T>(
        &self,
        text: &str,
        span: Span,
        column: &Target,
        take: impl FnOnce(Cell<'_>) -> Result<T, (String, Rule)>,
    ) -> Result<T, (String, Rule)> {
        if span.form == Form::Escaped {
            // Quote and escape may be any byte; one that is half a character spoils the text it is taken out of.
            let bytes = value(text.as_bytes(), span, &self.dialect);
            return match std::str::from_utf8(&bytes) {
                Ok(text) => take(Cell::Text(text)),
                Err(_) => Err((String::from_utf8_lossy(&bytes).into_owned(), rule::not_utf8())),
            };
        }
        let Some(text) = text.get(span.start..span.end) else {
            return Err((String::new(), rule::not_utf8()));
        };
        let null = span.form == Form::Plain && text == self.dialect.null.as_deref().unwrap_or_default();
        take(if null && !column.empty_is_text { Cell::Null } else { Cell::Text(text) })
    }
}
