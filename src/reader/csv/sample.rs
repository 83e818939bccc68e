//! The start of a CSV file: the names of its fields, and its first records.

use std::path::Path;

use crate::model::Origin;
use crate::reader::Error;
use crate::reader::cast::rule;
use crate::reader::window::BYTE_ORDER_MARK;

use super::Dialect;
use super::record::{Form, Scan, Span, scan, value};

/// Reads the names of the fields off the first record; without a header they are `c1`, `c2` and so on.
///
/// `sample` is the start of the input, and `at_end` says that it is all of it.
///
/// # Errors
/// When the input is empty, or its first record is broken or longer than the sample.
pub fn fields(path: &Path, sample: &[u8], at_end: bool, dialect: &Dialect) -> Result<Vec<String>, Error> {
    let mut records = Sample::new(sample, at_end, dialect);
    let at = Origin { line: 1, byte: 0 };
    let Some(record) = records.next() else {
        let path = path.to_owned();
        return Err(match records.stopped {
            Scan::OpenQuote(_) => {
                Error::Truncated { path, at: Some(at), what: "a quoted field of the first record".into(), source: None }
            }
            Scan::More if !sample.is_empty() => Error::RecordTooLong { path, at, bytes_max: sample.len() },
            _ => Error::Empty { path },
        });
    };
    if record.malformed {
        let what = rule::quote(dialect.quote.unwrap_or(b'"')).text;
        return Err(Error::Malformed { path: path.to_owned(), at: Some(at), what, source: None });
    }
    if !dialect.header {
        return Ok((1..=record.fields.len()).map(|number| format!("c{number}")).collect());
    }
    let unclear = |what: &str, hint: &str| {
        Err(Error::SchemaUnclear { path: path.to_owned(), what: what.into(), hint: hint.into() })
    };
    let names = record.fields.into_iter().map(|field| field.text);
    let Some(names) = names.collect::<Option<Vec<_>>>() else {
        let hint =
            "convert the file: `iconv -f ISO-8859-1 -t UTF-8 FILE | shipload import - …`, or what its encoding is";
        return unclear("the names of its fields (line 1, byte 0) are no UTF-8", hint);
    };
    // Elsewhere a CR is data. Here it would be part of a name, and the whole file a header.
    if !sample.contains(&b'\n') && names.iter().any(|name| name.contains('\r')) {
        return unclear("its lines end with CR alone", "convert them: `tr '\\r' '\\n' <FILE | shipload import - …`");
    }
    Ok(names)
}

/// The bytes of the first record, without its line end; none when the sample holds no whole record.
#[must_use]
pub fn first_record<'a>(sample: &'a [u8], at_end: bool, dialect: &Dialect) -> Option<&'a [u8]> {
    let mut rest = without_mark(sample);
    loop {
        match scan(rest, at_end, dialect, &mut Vec::new()) {
            Scan::Record(extent) => return Some(&rest[..extent.bytes]),
            Scan::Blank(bytes) => rest = &rest[bytes..],
            _ => return None,
        }
    }
}

/// The whole records of a sample.
pub(in crate::reader) struct Sample<'a> {
    rest: &'a [u8],
    at_end: bool,
    dialect: &'a Dialect,
    spans: Vec<Span>,
    /// What came after the last whole record.
    stopped: Scan,
}

/// A record of a sample.
pub(in crate::reader) struct SampleRecord {
    pub(in crate::reader) fields: Vec<SampleField>,
    pub(in crate::reader) malformed: bool,
}

/// A field of a sample.
pub(in crate::reader) struct SampleField {
    /// Its value; none if it is no UTF-8.
    pub(in crate::reader) text: Option<String>,
    pub(in crate::reader) null: bool,
}

impl<'a> Sample<'a> {
    pub(in crate::reader) fn new(sample: &'a [u8], at_end: bool, dialect: &'a Dialect) -> Self {
        Self { rest: without_mark(sample), at_end, dialect, spans: Vec::new(), stopped: Scan::More }
    }
}

impl Iterator for Sample<'_> {
    type Item = SampleRecord;

    fn next(&mut self) -> Option<SampleRecord> {
        let extent = loop {
            match scan(self.rest, self.at_end, self.dialect, &mut self.spans) {
                Scan::Record(extent) => break extent,
                Scan::Blank(bytes) => self.rest = &self.rest[bytes..],
                stopped => {
                    self.stopped = stopped;
                    return None;
                }
            }
        };
        let marker = self.dialect.null.as_deref().unwrap_or_default().as_bytes();
        let fields = self.spans.iter().map(|span| {
            let bytes = value(self.rest, *span, self.dialect);
            let null = span.form == Form::Plain && *bytes == *marker;
            SampleField { text: String::from_utf8(bytes.into_owned()).ok(), null }
        });
        let record = SampleRecord { fields: fields.collect(), malformed: extent.malformed };
        self.rest = &self.rest[extent.taken..];
        Some(record)
    }
}

/// A text without the byte order mark at its start.
pub(super) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}
