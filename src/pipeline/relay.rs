//! [`Relay`]: records of CSV to rows of CSV without a detour through Arrow.
//!
//! Each field is checked against its column where it stands. What is written as the server is sure to read it (nearly
//! everything in most files) travels as the bytes it was: whole stretches of a record are copied at once if the file has the
//! wire's delimiter and the table's columns in order. A NULL, an escaped quote or an unusual number is written anew. A record
//! that is no row of the table, or of which this cannot be said quickly, is read by the way that all formats go, so that
//! rejects and rows put aside are the same as there.

use std::sync::Arc;

use super::canonical;
use super::rows::{Rows, Slow};
use crate::encoder::{self, scalar};
use crate::model::{Column, ColumnType, Origin, WireFormat};
use crate::reader::cast::{number, time};
use crate::reader::csv::{self, Block, Caster, Dialect, Form, Found, Span, Walk};
use crate::reader::{Projected, RECORD_BYTES_MAX};

/// A column, as the relay sees it.
#[derive(Clone, Debug)]
struct Field {
    kind: Kind,
    nullable: bool,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Boolean,
    /// Integers of fewer digits than the first fit; the limits decide for those of just as many.
    Integer(usize, Option<(i128, i128)>),
    Float,
    Double,
    Decimal(u8, u8),
    Date,
    DateTime,
    /// Text of at most so many bytes.
    Text(usize),
}

impl Kind {
    fn of(ty: &ColumnType) -> Option<Self> {
        let integer = |digits, least: i128, most: i128| Self::Integer(digits, Some((least, most)));
        Some(match ty {
            ColumnType::Boolean => Self::Boolean,
            ColumnType::TinyInt => integer(3, i8::MIN.into(), i8::MAX.into()),
            ColumnType::SmallInt => integer(5, i16::MIN.into(), i16::MAX.into()),
            ColumnType::Int => integer(10, i32::MIN.into(), i32::MAX.into()),
            ColumnType::BigInt => integer(19, i64::MIN.into(), i64::MAX.into()),
            ColumnType::LargeInt => Self::Integer(39, None),
            ColumnType::Float => Self::Float,
            ColumnType::Double => Self::Double,
            ColumnType::Decimal { precision, scale } => Self::Decimal(*precision, *scale),
            ColumnType::Date => Self::Date,
            ColumnType::DateTime => Self::DateTime,
            ColumnType::Char(bytes) | ColumnType::Varchar(bytes) => Self::Text(usize::try_from(*bytes).ok()?),
            ColumnType::Json
            | ColumnType::Varbinary(_)
            | ColumnType::Array(_)
            | ColumnType::Map(..)
            | ColumnType::Struct(_)
            | ColumnType::Other(_) => return None,
        })
    }
}

/// What is to be done with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It travels as it is, quotes and all.
    AsItIs,
    /// It is NULL.
    Null,
    /// It is to be written anew.
    Anew,
}

/// The record is not a row that the relay can make.
struct Odd;

impl From<encoder::Unfit> for Odd {
    fn from(_: encoder::Unfit) -> Self {
        Self
    }
}

/// How an input is relayed: the same for all threads.
#[derive(Clone, Debug)]
pub struct Plan {
    columns: Vec<Column>,
    fields: Arc<[Field]>,
}

impl Plan {
    /// How to relay this input, if it can be: text of one kind to text of another, columns of simple types.
    #[must_use]
    pub fn of(dialect: &Dialect, wire: WireFormat, projected: &[Projected]) -> Option<Self> {
        let ascii = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii());
        if wire != WireFormat::Csv || !dialect.delimiter.is_ascii() || !ascii(dialect.quote) {
            return None;
        }
        let field = |projected: &Projected| {
            let column = &projected.column;
            Some(Field { kind: Kind::of(&column.ty)?, nullable: column.nullable })
        };
        let fields = projected.iter().map(field).collect::<Option<Vec<_>>>()?;
        Some(Self {
            columns: projected.iter().map(|projected| projected.column.clone()).collect(),
            fields: fields.into(),
        })
    }
}

/// Reads blocks; one for each thread.
pub(super) struct Relay {
    fields: Arc<[Field]>,
    caster: Arc<Caster>,
    /// The file's delimiter and quote are the wire's.
    same_marks: bool,
    /// And the table's columns are its fields, in order: records may be copied whole.
    same_order: bool,
    walk: Walk,
    slow: Slow,
}

impl Relay {
    pub(super) fn new(plan: &Plan, caster: &Arc<Caster>) -> Self {
        let dialect = &caster.dialect;
        let same_marks = dialect.delimiter == b',' && dialect.quote == Some(b'"') && dialect.escape.is_none();
        let in_order = caster.targets.iter().enumerate().all(|(index, target)| target.field == index);
        Self {
            fields: Arc::clone(&plan.fields),
            caster: Arc::clone(caster),
            same_marks,
            same_order: same_marks && in_order && caster.targets.len() == caster.fields_expected,
            walk: Walk::default(),
            slow: Slow::new(&plan.columns),
        }
    }

    /// Makes rows of a block. Lines are counted from its start.
    pub(super) fn rows(&mut self, block: &Block) -> Rows {
        let Self { caster, walk, slow, .. } = self;
        let bytes = &block.bytes[..];
        let mut rows = Rows::with_room(bytes.len());
        walk.begin(bytes, &caster.dialect);
        let is_utf8 = std::str::from_utf8(bytes).is_ok();
        // Quotes may stand where nobody reads them as such, and a backslash means something on the wire.
        let cautious = caster.dialect.quote != Some(b'"');
        loop {
            let (start, record) = match walk.next(bytes, block.last, caster) {
                Found::Record(start, record) => (start, record),
                Found::End => break,
                Found::Rest(start) => {
                    rows.rest = Some(start);
                    break;
                }
                Found::OpenQuote(start, open) => {
                    rows.open_quote = Some((start, open));
                    break;
                }
            };
            let line = walk.line() - record.lines - u64::from(record.taken > record.bytes);
            let at = origin(block, start, line);
            if record.bytes > RECORD_BYTES_MAX {
                rows.too_long = Some(at);
                break;
            }
            let raw = &bytes[start..start + record.bytes];
            let spans = walk.spans();
            let careful = cautious || walk.is_careful();
            let fits = !record.malformed
                && spans.len() == caster.fields_expected
                && (is_utf8 || std::str::from_utf8(raw).is_ok());
            let before = rows.text.len();
            if fits
                && Self::append(
                    &self.fields,
                    caster,
                    (self.same_marks, self.same_order),
                    careful,
                    raw,
                    spans,
                    &mut rows.text,
                )
                .is_ok()
            {
                if !slow.is_empty() {
                    // What was put off comes first.
                    let row = rows.text.split_off(before);
                    slow.flush(&mut rows);
                    rows.text.extend_from_slice(&row);
                }
                rows.end_row(at);
            } else {
                rows.text.truncate(before);
                let (batch, rejects) = slow.open(&mut rows);
                caster.row(raw, at, record, spans, batch, rejects);
                slow.flush_if_full(&mut rows);
            }
        }
        slow.flush(&mut rows);
        rows.lines = walk.line();
        rows
    }

    #[inline]
    fn append(
        fields: &[Field],
        caster: &Caster,
        (same_marks, same_order): (bool, bool),
        careful: bool,
        raw: &[u8],
        spans: &[Span],
        out: &mut Vec<u8>,
    ) -> Result<(), Odd> {
        let null = caster.dialect.null.as_deref().unwrap_or_default().as_bytes();
        // What lies before this and is not written yet travels as it is.
        let mut copied = 0;
        for (field, target) in fields.iter().zip(&caster.targets) {
            let span = spans[target.field];
            let text = &raw[span.start..span.end];
            let is_null = span.form == Form::Plain && text == null && !target.empty_is_text;
            let verdict = if is_null {
                if !field.nullable {
                    return Err(Odd);
                }
                Verdict::Null
            } else {
                field.check(text, span.form, same_marks, careful)?
            };
            if same_order {
                if verdict != Verdict::AsItIs {
                    let outer = outer(span);
                    out.extend_from_slice(&raw[copied..outer.start]);
                    field.write(verdict, text, span, caster, out)?;
                    copied = outer.end;
                }
            } else {
                match verdict {
                    Verdict::AsItIs => out.extend_from_slice(&raw[outer(span)]),
                    _ => field.write(verdict, text, span, caster, out)?,
                }
                out.push(b',');
            }
        }
        if same_order {
            out.extend_from_slice(&raw[copied..]);
            out.push(b'\n');
        } else if let Some(last) = out.last_mut() {
            *last = b'\n';
        }
        Ok(())
    }
}

fn origin(block: &Block, start: usize, line: u64) -> Origin {
    Origin { line, byte: block.byte + start as u64 }
}

/// The field with its quotes.
#[inline]
fn outer(span: Span) -> std::ops::Range<usize> {
    let quote = usize::from(span.form != Form::Plain);
    span.start - quote..span.end + quote
}

impl Field {
    /// What is to be done with a field that is not NULL.
    #[inline]
    fn check(&self, text: &[u8], form: Form, same_marks: bool, careful: bool) -> Result<Verdict, Odd> {
        if form == Form::Escaped {
            return if matches!(self.kind, Kind::Text(_)) { Ok(Verdict::Anew) } else { Err(Odd) };
        }
        let as_it_is = match self.kind {
            Kind::Text(bytes_max) => {
                if text.len() > bytes_max {
                    return Err(Odd);
                }
                same_marks && travels(text, form) && !(careful && has_marks(text))
            }
            // Quotes that are not the wire's are taken off.
            _ if form == Form::Quoted && !same_marks => false,
            Kind::Integer(digits, range) => canonical::integer(text, digits, range),
            Kind::Decimal(precision, scale) => canonical::decimal(text, precision, scale),
            Kind::Date => canonical::date(text),
            Kind::DateTime => canonical::datetime(text),
            Kind::Double => canonical::double(text),
            Kind::Float => canonical::float(text),
            Kind::Boolean => canonical::boolean(text),
        };
        Ok(if as_it_is { Verdict::AsItIs } else { Verdict::Anew })
    }

    /// Writes what does not travel as it is.
    #[cold]
    fn write(&self, verdict: Verdict, text: &[u8], span: Span, caster: &Caster, out: &mut Vec<u8>) -> Result<(), Odd> {
        if verdict == Verdict::Null {
            encoder::csv_null(out);
            return Ok(());
        }
        if let Kind::Text(bytes_max) = self.kind {
            if span.form != Form::Escaped {
                return Ok(encoder::csv_text(text, out)?);
            }
            let whole = Span { start: 0, end: text.len(), form: Form::Escaped };
            let text = csv::value(text, whole, &caster.dialect);
            return if text.len() <= bytes_max && std::str::from_utf8(&text).is_ok() {
                Ok(encoder::csv_text(&text, out)?)
            } else {
                Err(Odd)
            };
        }
        let text = std::str::from_utf8(text).map_err(|_| Odd)?;
        let parsed = |_| Odd;
        match self.kind {
            Kind::Boolean => match text {
                "1" => out.extend_from_slice(b"true"),
                "0" => out.extend_from_slice(b"false"),
                _ if text.eq_ignore_ascii_case("true") => out.extend_from_slice(b"true"),
                _ if text.eq_ignore_ascii_case("false") => out.extend_from_slice(b"false"),
                _ => return Err(Odd),
            },
            Kind::Integer(_, range) => {
                let value = number::integer(text).map_err(parsed)?;
                if range.is_some_and(|(least, most)| !(least..=most).contains(&value)) {
                    return Err(Odd);
                }
                scalar::integer(value, out);
            }
            Kind::Decimal(precision, scale) => {
                scalar::decimal(number::decimal(text, precision, scale).map_err(parsed)?, scale, out);
            }
            Kind::Double => scalar::double(number::double(text).map_err(parsed)?, out)?,
            Kind::Float => scalar::float(number::float(text).map_err(parsed)?, out)?,
            Kind::Date => scalar::date(time::date(text).map_err(parsed)?, out)?,
            Kind::DateTime => scalar::datetime(time::datetime(text).map_err(parsed)?, out)?,
            Kind::Text(_) => unreachable!("written above"),
        }
        Ok(())
    }
}

/// Whether a text may travel with the quotes that it has or has not. Without them it must not be blank, for a blank row is
/// skipped, and must not start or end in a space or a CR, which settings of the load or the end of a line might take off.
#[inline]
fn travels(text: &[u8], form: Form) -> bool {
    match (form, text) {
        (Form::Quoted, _) => true,
        (_, [single]) => *single > b' ',
        (_, [first, .., last]) => *first > b' ' && *last > b' ',
        (_, []) => false,
    }
}

fn has_marks(text: &[u8]) -> bool {
    memchr::memchr2(b'"', b'\\', text).is_some()
}
