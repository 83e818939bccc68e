//! [`Courier`]: records of CSV to rows of CSV without a detour through Arrow.
//!
//! Each field is checked against its column where it stands. What is written as the server is sure to read it (nearly
//! everything in most files) travels as the bytes it was: whole stretches of a record are copied at once if the file has the
//! wire's delimiter and the table's columns in order. A NULL, an escaped quote or an unusual number is written anew. A record
//! that is no row of the table, or of which this cannot be said quickly, is read by the way that all formats go, so that
//! rejects and rows put aside are the same as there.

use std::sync::Arc;

use super::canonical;
use super::rows::{Rows, Slow};
use crate::buffers::Buffers;
use crate::encoder::{self, scalar};
use crate::model::{Column, ColumnType, Origin, Relay, WireFormat};
use crate::reader::cast::{number, time};
use crate::reader::csv::{self, Caster, Dialect, Extent, Form, Found, Outline, Span, Target, Walk};
use crate::reader::{Block, FieldRef, Projected, RECORD_BYTES_MAX};

/// A column, as the relay sees it.
#[derive(Clone, Copy, Debug)]
struct Field {
    kind: Kind,
    nullable: bool,
    /// Whether the empty field is the empty text there.
    empty_is_text: bool,
    /// Which field of the record it is, from 0.
    source: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Boolean,
    /// Integers of fewer digits than the first fit; the limits decide for those of just as many.
    Integer(usize, Option<(i64, i64)>),
    Float,
    Double,
    Decimal(u8, u8),
    Date,
    DateTime,
    /// Text of at most so many bytes.
    Text(usize),
}

impl Kind {
    pub(super) fn of(ty: &ColumnType) -> Option<Self> {
        let integer = |digits, least: i64, most: i64| Self::Integer(digits, Some((least, most)));
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

    /// Whether values are strings on the wire.
    pub(super) fn is_string(self, wire: WireFormat) -> bool {
        match self {
            Self::Text(_) => true,
            // What JSON's numbers do not hold, or what is no number (SR §6.8).
            Self::Integer(_, None) | Self::Decimal(..) | Self::Date | Self::DateTime => wire == WireFormat::Json,
            Self::Boolean | Self::Integer(..) | Self::Float | Self::Double => false,
        }
    }

    /// Whether what is written rightly is written as a number.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Integer(..) | Self::Float | Self::Double | Self::Decimal(..))
    }

    /// Whether a value that is no text is written in a way that may travel.
    #[inline]
    pub(super) fn is_canonical(self, field: canonical::Field) -> bool {
        match self {
            Self::Integer(digits, range) => canonical::integer(field, digits, range),
            Self::Decimal(precision, scale) => canonical::decimal(field, precision, scale),
            Self::Date => canonical::date(field),
            Self::DateTime => canonical::datetime(field),
            Self::Double => canonical::double(field),
            Self::Float => canonical::float(field),
            Self::Boolean => canonical::boolean(field),
            Self::Text(_) => false,
        }
    }

    /// Writes a value that is no text and not written in such a way.
    #[cold]
    pub(super) fn write_anew(self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Odd> {
        let text = std::str::from_utf8(text).map_err(|_| Odd)?;
        let parsed = |_| Odd;
        match self {
            Self::Boolean => match text {
                "1" => out.extend_from_slice(b"true"),
                "0" => out.extend_from_slice(b"false"),
                _ if text.eq_ignore_ascii_case("true") => out.extend_from_slice(b"true"),
                _ if text.eq_ignore_ascii_case("false") => out.extend_from_slice(b"false"),
                _ => return Err(Odd),
            },
            Self::Integer(_, range) => {
                let value = number::integer(text).map_err(parsed)?;
                if range.is_some_and(|(least, most)| !(i128::from(least)..=i128::from(most)).contains(&value)) {
                    return Err(Odd);
                }
                scalar::integer(value, out);
            }
            Self::Decimal(precision, scale) => {
                scalar::decimal(number::decimal(text, precision, scale).map_err(parsed)?, scale, out);
            }
            Self::Double => scalar::double(number::double(text).map_err(parsed)?, out)?,
            Self::Float => scalar::float(number::float(text).map_err(parsed)?, out)?,
            Self::Date => scalar::date(time::date(text).map_err(parsed)?, out)?,
            Self::DateTime => scalar::datetime(time::datetime(text).map_err(parsed)?, out)?,
            Self::Text(_) => return Err(Odd),
        }
        Ok(())
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

/// A field that does not travel as it is, by the column's index.
#[derive(Clone, Copy)]
struct Change {
    index: usize,
    verdict: Verdict,
}

/// The record is not a row that the relay can make.
pub(super) struct Odd;

impl From<encoder::Unfit> for Odd {
    fn from(_: encoder::Unfit) -> Self {
        Self
    }
}

/// How an input is relayed: the same for all threads.
#[derive(Clone, Debug)]
pub struct Plan {
    dialect: Dialect,
    columns: Vec<Column>,
    kinds: Vec<Kind>,
    /// The file's delimiter and quote are the wire's.
    same_marks: bool,
    /// And the table's columns are its fields, in order: records may be copied whole.
    same_order: bool,
    kind: Relay,
}

impl Plan {
    /// How to relay this input, if it can be: text of one kind to text of another, columns of simple types.
    #[must_use]
    pub fn of(
        dialect: &Dialect,
        wire: WireFormat,
        projected: &[Projected],
        fields: usize,
        check: bool,
    ) -> Option<Self> {
        let ascii = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii());
        if wire != WireFormat::Csv || !dialect.delimiter.is_ascii() || !ascii(dialect.quote) {
            return None;
        }
        let kinds = projected.iter().map(|projected| Kind::of(&projected.column.ty)).collect::<Option<Vec<_>>>()?;
        let same_marks = dialect.delimiter == b',' && dialect.quote == Some(b'"') && dialect.escape.is_none();
        let in_place = |(index, projected): (usize, &Projected)| projected.source == FieldRef::Index(index);
        let same_order = same_marks && fields == projected.len() && projected.iter().enumerate().all(in_place);
        // The only field of a row may be blank, which somebody has to look at. A marker may stand anywhere.
        let unseen = same_order && fields > 1 && dialect.null.is_none();
        let kind = if unseen && !check { Relay::Unchecked } else { Relay::Checked };
        let columns = projected.iter().map(|projected| projected.column.clone()).collect();
        Some(Self { dialect: dialect.clone(), columns, kinds, same_marks, same_order, kind })
    }

    /// Whether it is for texts that are written so.
    #[must_use]
    pub fn is_for(&self, dialect: Option<&Dialect>) -> bool {
        dialect == Some(&self.dialect)
    }

    /// How the records travel.
    #[must_use]
    pub fn kind(&self) -> Relay {
        self.kind
    }
}

/// Reads blocks; one for each thread.
pub(super) struct Courier {
    fields: Vec<Field>,
    caster: Arc<Caster>,
    /// The file's delimiter and quote are the wire's.
    same_marks: bool,
    /// And the table's columns are its fields, in order: records may be copied whole.
    same_order: bool,
    /// What is written plainly is not looked at.
    unchecked: bool,
    walk: Walk,
    slow: Slow,
    /// What is to be changed in the record at hand; kept for its room.
    changes: Vec<Change>,
}

impl Courier {
    pub(super) fn new(plan: &Plan, caster: &Arc<Caster>) -> Self {
        let field = |((kind, column), target): ((&Kind, &Column), &Target)| Field {
            kind: *kind,
            nullable: column.nullable,
            empty_is_text: target.empty_is_text,
            source: target.field,
        };
        Self {
            fields: plan.kinds.iter().zip(&plan.columns).zip(&caster.targets).map(field).collect(),
            caster: Arc::clone(caster),
            same_marks: plan.same_marks,
            same_order: plan.same_order,
            unchecked: plan.kind == Relay::Unchecked,
            walk: Walk::default(),
            slow: Slow::new(WireFormat::Csv, &plan.columns),
            changes: Vec::new(),
        }
    }

    /// Makes rows of a block. Lines are counted from its start.
    pub(super) fn rows(&mut self, block: &Block, buffers: &Buffers) -> Rows {
        if self.unchecked
            && let Some(rows) = unseen(block)
        {
            return rows;
        }
        let Self { caster, walk, slow, fields, changes, .. } = self;
        let bytes = &block.bytes[..];
        let mut rows = Rows::default();
        let mut out = Out { bytes, kept: Some(0), buffers };
        walk.begin(bytes, &caster.dialect);
        let is_utf8 = std::str::from_utf8(bytes).is_ok();
        // Quotes may stand where nobody reads them as such, and a backslash means something on the wire.
        let careful = caster.dialect.quote != Some(b'"');
        let check = Check { fields, caster, same_marks: self.same_marks, careful };
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
            let check = Check { careful: careful || walk.is_careful(), ..check };
            let fits = !record.malformed && (is_utf8 || std::str::from_utf8(raw).is_ok());
            // Most records of most files: checked where they stand, and left there.
            if fits
                && self.same_order
                && let Some(ends) = walk.plain_ends()
                && ends.len() == caster.fields_expected
                && out.kept == Some(start)
                && check.plain(bytes, start, ends, walk)
            {
                out.kept = Some(start + record.taken);
                rows.end_row_at(start + record.taken, at);
                continue;
            }
            walk.write_spans(bytes);
            let spans = walk.spans();
            let fits =
                fits && spans.len() == caster.fields_expected && check.record(bytes, start, walk, changes).is_ok();
            if fits && changes.is_empty() && self.same_order && out.keep(start, record) {
                rows.end_row_at(start + record.taken, at);
                continue;
            }
            let text = out.text(&mut rows);
            let before = text.len();
            if fits && check.write(self.same_order, raw, spans, changes, text).is_ok() {
                if !slow.is_empty() {
                    // What was put off comes first.
                    let row = rows.text.split_off(before);
                    slow.flush(&mut rows);
                    rows.text.extend_from_slice(&row);
                }
                rows.end_row(at);
            } else {
                text.truncate(before);
                let (batch, rejects) = slow.open(&mut rows);
                caster.row(raw, at, record, spans, batch, rejects);
                slow.flush_if_full(&mut rows);
            }
        }
        slow.flush(&mut rows);
        rows.as_it_is = out.kept.map(|end| block.bytes.slice(..end));
        rows.lines = walk.line();
        rows
    }
}

/// The rows of a block that is written plainly, without a look at its values.
fn unseen(block: &Block) -> Option<Rows> {
    let Outline { ends, line_ends, lines } = Outline::of(&block.bytes, b',', b'"')?;
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let lines_before = std::iter::once(0).chain(line_ends);
    let origins: Vec<Origin> =
        starts.zip(lines_before).take(ends.len()).map(|(at, line)| origin(block, at, line)).collect();
    let too_long =
        ends.iter().zip(&origins).any(|(end, start)| block.byte + *end as u64 - start.byte > RECORD_BYTES_MAX as u64);
    (!too_long).then(|| Rows { as_it_is: Some(block.bytes.clone()), ends, origins, lines, ..Rows::default() })
}

/// The rows of a block, which are the block itself as long as nothing in it is written in another way.
struct Out<'a> {
    bytes: &'a [u8],
    /// Up to where the block is its rows.
    kept: Option<usize>,
    buffers: &'a Buffers,
}

impl Out<'_> {
    /// Leaves a record where it is, if everything before it is there as well and it ends as rows do.
    #[inline]
    fn keep(&mut self, start: usize, record: Extent) -> bool {
        let stays = self.kept == Some(start) && record.taken == record.bytes + 1;
        if stays {
            self.kept = Some(start + record.taken);
        }
        stays
    }

    /// Where to write a record that is not kept: behind those that were.
    #[inline]
    fn text<'r>(&mut self, rows: &'r mut Rows) -> &'r mut Vec<u8> {
        if let Some(end) = self.kept.take() {
            rows.text = self.buffers.empty(self.bytes.len() + self.bytes.len() / 8);
            rows.text.extend_from_slice(&self.bytes[..end]);
        }
        &mut rows.text
    }
}

/// How records are looked at.
#[derive(Clone, Copy)]
struct Check<'a> {
    fields: &'a [Field],
    caster: &'a Caster,
    same_marks: bool,
    /// Quotes and backslashes may stand in any text.
    careful: bool,
}

impl Check<'_> {
    /// Whether all fields of a record without quotes, which end at these offsets, travel as they are.
    #[inline]
    fn plain(&self, bytes: &[u8], start: usize, ends: &[u32], walk: &Walk) -> bool {
        let null = self.null();
        let mut start = start;
        self.fields.iter().zip(ends).all(|(field, end)| {
            let end = *end as usize;
            let text = canonical::Field { text: &bytes[start..end], odd: walk.not_digits(bytes, start, end) };
            start = end + 1;
            let is_null = !field.empty_is_text && text.text == null;
            !is_null && matches!(field.check(text, Form::Plain, self.same_marks, self.careful), Ok(Verdict::AsItIs))
        })
    }

    /// Looks at every field; those that do not travel as they are come into `changes`, in the order of the columns.
    fn record(&self, bytes: &[u8], start: usize, walk: &Walk, changes: &mut Vec<Change>) -> Result<(), Odd> {
        changes.clear();
        let null = self.null();
        for (index, field) in self.fields.iter().enumerate() {
            let span = walk.spans()[field.source];
            let (from, to) = (start + span.start, start + span.end);
            let text = canonical::Field { text: &bytes[from..to], odd: walk.not_digits(bytes, from, to) };
            let is_null = span.form == Form::Plain && !field.empty_is_text && text.text == null;
            let verdict = match is_null {
                true if !field.nullable => return Err(Odd),
                true => Verdict::Null,
                false => field.check(text, span.form, self.same_marks, self.careful)?,
            };
            if verdict != Verdict::AsItIs {
                changes.push(Change { index, verdict });
            }
        }
        Ok(())
    }

    fn null(&self) -> &[u8] {
        self.caster.dialect.null.as_deref().unwrap_or_default().as_bytes()
    }

    /// Writes a record of which the changes are known.
    fn write(
        &self,
        same_order: bool,
        raw: &[u8],
        spans: &[Span],
        changes: &[Change],
        out: &mut Vec<u8>,
    ) -> Result<(), Odd> {
        let span_of = |index: usize| spans[self.fields[index].source];
        let write = |Change { index, verdict }: Change, out: &mut Vec<u8>| {
            let span = span_of(index);
            self.fields[index].write(verdict, &raw[span.start..span.end], span, self.caster, out)
        };
        if same_order {
            // What lies before this and is not written yet travels as it is.
            let mut copied = 0;
            for change in changes {
                let outer = outer(span_of(change.index));
                out.extend_from_slice(&raw[copied..outer.start]);
                write(*change, out)?;
                copied = outer.end;
            }
            out.extend_from_slice(&raw[copied..]);
            out.push(b'\n');
            return Ok(());
        }
        let mut changes = changes.iter().peekable();
        for index in 0..self.fields.len() {
            match changes.next_if(|change| change.index == index) {
                Some(change) => write(*change, out)?,
                None => out.extend_from_slice(&raw[outer(span_of(index))]),
            }
            out.push(b',');
        }
        if let Some(last) = out.last_mut() {
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
    fn check(&self, field: canonical::Field, form: Form, same_marks: bool, careful: bool) -> Result<Verdict, Odd> {
        if form == Form::Escaped {
            return if matches!(self.kind, Kind::Text(_)) { Ok(Verdict::Anew) } else { Err(Odd) };
        }
        let as_it_is = match self.kind {
            Kind::Text(bytes_max) => {
                let text = field.text;
                if text.len() > bytes_max {
                    return Err(Odd);
                }
                same_marks && travels(text, form) && !(careful && has_marks(text))
            }
            // Quotes that are not the wire's are taken off.
            _ if form == Form::Quoted && !same_marks => false,
            kind => kind.is_canonical(field),
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
        self.kind.write_anew(text, out)
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
