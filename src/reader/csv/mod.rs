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
mod record;
mod sample;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::Path;

use crate::model::{Batch, Column, Origin, Reject, Rule};

use super::batches::{Batches, Records};
use super::cast::{BatchBuilder, Cell, rule};
use super::finder::{self, Wanted};
use super::window::{Window, line_ends};
use super::{Error, FieldRef, Projected, Reader};
use record::{Extent, Form, Scan, Span, scan, value};

pub use dialect::{Dialect, sniff};
pub(super) use sample::Sample;
pub use sample::{fields, first_record};

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
        let targets: Vec<_> =
            projected.iter().map(|projected| Target::new(projected, dialect.null.is_some())).collect();
        debug_assert!(targets.iter().all(|target| target.field < fields_expected), "projected fields exist");
        let columns: Vec<Column> = projected.into_iter().map(|projected| projected.column).collect();
        let records =
            CsvRecords { window, dialect, targets, fields_expected, spans: Vec::new(), opened: false, wanted: None };
        Self(Batches::new(records, &columns))
    }
}

impl Reader for CsvReader {
    fn next(&mut self, rejects: &mut Vec<Reject>) -> Result<Option<Batch>, Error> {
        self.0.next(rejects)
    }
}

/// A column to fill.
struct Target {
    name: String,
    field: usize,
    /// Whether the empty field is the empty text there, because NULL is not allowed.
    empty_is_text: bool,
}

impl Target {
    /// With a NULL marker the empty field is the empty text anyway, and the marker says NULL and nothing else.
    fn new(projected: &Projected, marker: bool) -> Self {
        let FieldRef::Index(field) = projected.source else { unreachable!("CSV fields are found by their index") };
        let column = &projected.column;
        Self { name: column.name.clone(), field, empty_is_text: !marker && column.ty.is_text() && !column.nullable }
    }
}

struct CsvRecords {
    window: Window,
    dialect: Dialect,
    targets: Vec<Target>,
    fields_expected: usize,
    spans: Vec<Span>,
    opened: bool,
    /// The records to find, where that is all there is to do.
    wanted: Option<Wanted>,
}

impl Records for CsvRecords {
    fn read(&mut self, batch: &mut BatchBuilder, rejects: &mut Vec<Reject>) -> Result<bool, Error> {
        if !self.opened {
            self.opened = true;
            self.window.open()?;
            if self.dialect.header {
                self.skip_header()?;
            }
        }
        let blank_is_row = self.fields_expected == 1;
        let Some(record) = self.scan(blank_is_row)? else { return Ok(false) };
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
        self.row(record, batch, rejects);
        self.consume(record);
        Ok(true)
    }
}

impl CsvRecords {
    /// Finds the next record; none at the end.
    fn scan(&mut self, blank_is_row: bool) -> Result<Option<Extent>, Error> {
        loop {
            match scan(self.window.pending(), self.window.at_end(), &self.dialect, &mut self.spans) {
                Scan::Record(record) => {
                    self.window.check_length(record.bytes)?;
                    return Ok(Some(record));
                }
                Scan::Blank(taken) if blank_is_row => {
                    self.spans.push(Span { start: 0, end: 0, form: Form::Plain });
                    return Ok(Some(Extent { bytes: 0, taken, lines: 0, malformed: false }));
                }
                Scan::Blank(taken) => self.window.consume(taken, 1),
                Scan::End => return Ok(None),
                Scan::More => self.window.more()?,
                Scan::OpenQuote(open) => return Err(self.open_quote(open)),
            }
        }
    }

    fn open_quote(&self, open: usize) -> Error {
        let Origin { line, byte } = self.window.origin();
        let line = line + line_ends(&self.window.pending()[..open]);
        Error::Truncated {
            path: self.window.path().to_owned(),
            at: Some(Origin { line, byte: byte + open as u64 }),
            what: "a quoted field that opens here".into(),
            source: None,
        }
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

    fn row(&self, record: Extent, batch: &mut BatchBuilder, rejects: &mut Vec<Reject>) {
        let raw = &self.window.pending()[..record.bytes];
        let origin = self.window.origin();
        let reject = |column, value, rule| Reject { origin, column, value, rule, raw: raw.to_vec() };
        let text = match self.check(raw, record) {
            Ok(text) => text,
            Err(rule) => return batch.reject_record(reject(None, None, rule), rejects),
        };
        batch.start_row(origin);
        for (index, column) in self.targets.iter().enumerate() {
            let field = self.field(text, self.spans[column.field], column, |cell| {
                batch.append(index, &cell).map_err(|rule| (cell.shown(), rule))
            });
            if let Err((value, rule)) = field {
                return batch.reject_row(reject(Some(column.name.clone()), Some(value), rule), rejects);
            }
        }
    }

    fn check<'a>(&self, raw: &'a [u8], record: Extent) -> Result<&'a str, Rule> {
        if let (true, Some(quote)) = (record.malformed, self.dialect.quote) {
            return Err(rule::quote(quote));
        }
        if self.spans.len() != self.fields_expected {
            return Err(rule::field_count(self.fields_expected, self.spans.len()));
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
