//! One CSV record: where it ends, and where its fields are.
//!
//! Fields are found by jumping from one special byte to the next; nothing is copied, and only fields with doubled or
//! escaped quotes are rewritten, when they are asked for.

use std::borrow::Cow;

use memchr::{memchr2, memchr3};

use super::Dialect;

/// Where a field is in its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) form: Form,
}

impl Span {
    /// The only field of an empty line.
    pub(crate) const EMPTY: Self = Self { start: 0, end: 0, form: Form::Plain };
}

/// How a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is.
    Plain,
    /// In quotes, which the span leaves out.
    Quoted,
    /// In quotes, and with doubled or escaped bytes.
    Escaped,
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// A record.
    Record(Extent),
    /// The end of an empty line, of this many bytes.
    Blank(usize),
    /// Nothing.
    End,
    /// The start of a record; more bytes are needed to tell.
    More,
    /// A record that ends within the quotes that open at this offset.
    OpenQuote(usize),
}

/// What a record takes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Its bytes, without the line end.
    pub(crate) bytes: usize,
    /// Its bytes, with the line end.
    pub(crate) taken: usize,
    /// The line ends within quoted fields.
    pub(crate) lines: u64,
    /// Whether something stands behind a closing quote.
    pub(crate) malformed: bool,
}

impl Extent {
    /// An empty line that is a record, of so many bytes with its end.
    pub(crate) fn blank(taken: usize) -> Self {
        Self { bytes: 0, taken, lines: 0, malformed: false }
    }
}

/// Finds the record at the start of `bytes` and the fields in it.
///
/// Lines end with LF or CRLF; a CR elsewhere is part of a field. A quote opens a quoted field only as the field's first
/// byte, elsewhere it is text. After a malformed quoted field the scan goes on at the next delimiter or line end.
pub(super) fn scan(bytes: &[u8], at_end: bool, dialect: &Dialect, spans: &mut Vec<Span>) -> Scan {
    spans.clear();
    match bytes {
        [] => return if at_end { Scan::End } else { Scan::More },
        [b'\n', ..] => return Scan::Blank(1),
        [b'\r', b'\n', ..] => return Scan::Blank(2),
        _ => {}
    }
    let mut record = Extent { bytes: 0, taken: 0, lines: 0, malformed: false };
    let mut at = 0;
    loop {
        let next = if dialect.quote.is_some() && bytes.get(at).copied() == dialect.quote {
            quoted(bytes, at, at_end, dialect, spans, &mut record)
        } else {
            plain(bytes, at, at_end, dialect, spans)
        };
        match next {
            Next::Field(start) => at = start,
            Next::Line { end, next } => {
                (record.bytes, record.taken) = (end, next);
                return Scan::Record(record);
            }
            Next::More => return Scan::More,
            Next::OpenQuote => return Scan::OpenQuote(at),
        }
    }
}

/// What follows a field.
enum Next {
    /// A field, here.
    Field(usize),
    /// The record's end, and the next line.
    Line {
        end: usize,
        next: usize,
    },
    More,
    OpenQuote,
}

fn plain(bytes: &[u8], start: usize, at_end: bool, dialect: &Dialect, spans: &mut Vec<Span>) -> Next {
    let (end, next) = match field_end(bytes, start, start, at_end, dialect) {
        Ok(found) => found,
        Err(next) => return next,
    };
    spans.push(Span { start, end, form: Form::Plain });
    next
}

/// Finds the delimiter or line end from `from` on, for a field that starts at `start`.
fn field_end(bytes: &[u8], start: usize, from: usize, at_end: bool, dialect: &Dialect) -> Result<(usize, Next), Next> {
    match memchr2(dialect.delimiter, b'\n', &bytes[from..]).map(|found| from + found) {
        Some(end) if bytes[end] == dialect.delimiter => Ok((end, Next::Field(end + 1))),
        Some(line_end) => {
            let crlf = line_end > start && bytes[line_end - 1] == b'\r';
            let end = line_end - usize::from(crlf);
            Ok((end, Next::Line { end, next: line_end + 1 }))
        }
        None if at_end => Ok((bytes.len(), Next::Line { end: bytes.len(), next: bytes.len() })),
        None => Err(Next::More),
    }
}

/// Reads a field whose opening quote is at `open`.
fn quoted(
    bytes: &[u8],
    open: usize,
    at_end: bool,
    dialect: &Dialect,
    spans: &mut Vec<Span>,
    record: &mut Extent,
) -> Next {
    let unfinished = || if at_end { Next::OpenQuote } else { Next::More };
    let quote = bytes[open];
    let start = open + 1;
    let Some((close, form, lines)) = closing_quote(bytes, start, quote, dialect.escape) else { return unfinished() };
    record.lines += lines;
    let after = close + 1;
    let next = match bytes[after..] {
        // The quote could be the first of a doubled one.
        [] if !at_end => return Next::More,
        [] => Next::Line { end: after, next: after },
        [byte, ..] if byte == dialect.delimiter => Next::Field(after + 1),
        [b'\n', ..] => Next::Line { end: after, next: after + 1 },
        [b'\r', b'\n', ..] => Next::Line { end: after, next: after + 2 },
        _ => match field_end(bytes, after, after, at_end, dialect) {
            Ok((_, next)) => {
                record.malformed = true;
                next
            }
            Err(next) => return next,
        },
    };
    spans.push(Span { start, end: close, form });
    next
}

/// Finds the quote that is neither doubled nor escaped, and the line ends before it.
fn closing_quote(bytes: &[u8], start: usize, quote: u8, escape: Option<u8>) -> Option<(usize, Form, u64)> {
    let escape = escape.unwrap_or(quote);
    let mut form = Form::Quoted;
    let mut at = start;
    let mut lines = 0;
    loop {
        at += memchr3(quote, escape, b'\n', bytes.get(at..)?)?;
        let next = bytes.get(at + 1).copied();
        if bytes[at] == quote && next != Some(quote) {
            return Some((at, form, lines));
        }
        if bytes[at] == b'\n' {
            lines += 1;
            at += 1;
            continue;
        }
        form = Form::Escaped;
        lines += u64::from(next == Some(b'\n'));
        at += 2;
    }
}

/// A field's bytes as they are meant.
pub(crate) fn value<'a>(record: &'a [u8], span: Span, dialect: &Dialect) -> Cow<'a, [u8]> {
    let bytes = &record[span.start..span.end];
    let (Form::Escaped, Some(quote)) = (span.form, dialect.quote) else { return Cow::Borrowed(bytes) };
    let escape = dialect.escape.unwrap_or(quote);
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr2(quote, escape, rest) {
        out.extend_from_slice(&rest[..at]);
        // Both a doubled quote and an escaped byte stand for their second byte.
        out.extend(rest.get(at + 1));
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}
