//! [`Courier`]: records of CSV to rows of CSV without a detour through Arrow.
//!
//! Each field is checked against its column where it stands. What is written as the server is sure to read it (nearly
//! everything in most files) travels as the bytes it was: whole stretches of a record are copied at once if the file has the
//! wire's delimiter and the table's columns in order. A NULL, an escaped quote or an unusual number is written anew. A record
//! that is no row of the table, or of which this cannot be said quickly, is read by the way that all formats go, so that
//! rejects and rows put aside are the same as there.

use std::ops::Range;
use std::sync::Arc;

use super::ahead::{Ahead, Look, Looked, records_ahead};
use super::canonical;
use super::kind::{Kind, Odd};
use super::rows::{Kept, Rows, Slow};
use crate::buffers::Buffers;
use crate::encoder;
use crate::model::{Column, Origin, Relay, WireFormat};
use crate::reader::csv::{self, Caster, Dialect, Extent, Form, Found, Glance, Outline, Span, Target, Walk};
use crate::reader::{Block, FieldRef, Projected, RECORD_BYTES_MAX};

/// A column, as the relay sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) kind: Kind,
    nullable: bool,
    /// Whether the empty field is the empty text there.
    pub(super) empty_is_text: bool,
    /// Which field of the record it is, from 0.
    source: usize,
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
    span: Span,
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
        let bytes = &block.bytes[..];
        self.walk.begin(bytes, &self.caster.dialect);
        let kept = if self.same_order { Kept::all(&block.bytes, buffers) } else { Kept::none(&block.bytes, buffers) };
        let mut out = Out { block, rows: Rows::default(), kept };
        if !self.same_order {
            out.rows.text = buffers.empty(bytes.len() + bytes.len() / 8);
        }
        let is_utf8 = std::str::from_utf8(bytes).is_ok();
        let mut ahead = Ahead::default();
        loop {
            // Most records of most files are checked where they stand, many at once, and left there.
            if self.same_order && is_utf8 && !self.walk.is_exact() {
                let fitting = ahead.next(|| self.look_ahead(bytes));
                if fitting > 0 {
                    self.take(fitting, &mut out);
                    continue;
                }
                if self.glance(bytes, &mut out) {
                    continue;
                }
            }
            match self.walk.next(bytes, block.last, &self.caster) {
                Found::Record(start, record) if record.bytes <= RECORD_BYTES_MAX => {
                    let raw = &bytes[start..start + record.bytes];
                    let fits = !record.malformed && (is_utf8 || std::str::from_utf8(raw).is_ok());
                    self.record(bytes, start, record, fits, &mut out);
                    continue;
                }
                Found::Record(start, record) => out.rows.too_long = Some(self.origin(block, start, record)),
                Found::Rest(start) => out.rows.rest = Some(start),
                Found::OpenQuote(start, open) => out.rows.open_quote = Some((start, open)),
                Found::End => {}
            }
            break;
        }
        let Out { mut rows, kept, .. } = out;
        self.slow.flush(&mut rows);
        rows.as_it_is = kept.untouched();
        rows.lines = self.walk.line();
        rows
    }

    /// Looks at the next records, and tells which are rows as they are.
    fn look_ahead(&self, bytes: &[u8]) -> Looked {
        let Self { fields, caster, walk, .. } = self;
        if bytes.len() > RECORD_BYTES_MAX {
            // A record may be too long.
            return Looked::default();
        }
        let stretch = walk.stretch(records_ahead(fields.len()), caster.fields_expected);
        let null = caster.dialect.null.as_deref().unwrap_or_default().as_bytes();
        Look { bytes, stretch, walk, null, careful: walk.is_careful() }.at(fields)
    }

    /// Takes the next records, all of which are rows as they are.
    fn take(&mut self, records: usize, out: &mut Out) {
        let stretch = self.walk.stretch(records, self.caster.fields_expected);
        let (start, end) = (stretch.record(0).start, stretch.record(records - 1).end);
        let line = self.walk.line();
        let place =
            |record| Origin { line: line + record as u64, byte: out.block.byte + stretch.record(record).start as u64 };
        out.rows.origins.extend((0..records).map(place));
        out.add_all(start..end, (0..records).map(|record| stretch.record(record).end + 1), &mut self.slow);
        self.walk.pass_all(records, end);
    }

    /// Takes the next record if it can be told at a glance that it is a row.
    #[inline]
    fn glance(&mut self, bytes: &[u8], out: &mut Out) -> bool {
        let Self { fields, caster, walk, slow, changes, .. } = self;
        let Some(glance) = walk.glance(bytes, caster.fields_expected) else { return false };
        let check = Check { fields, caster, same_marks: true, same_order: true, careful: walk.is_careful() };
        if check.glance(bytes, &glance, walk, changes).is_err() {
            return false;
        }
        let (start, quotes) = (glance.start, glance.quotes);
        let end = glance.ends.last().map_or(start, |end| *end as usize);
        let at = Origin { line: walk.line(), byte: out.block.byte + start as u64 };
        if end - start > RECORD_BYTES_MAX || out.add(&check, start..end, &[], changes, slow).is_err() {
            return false;
        }
        out.rows.origins.push(at);
        walk.pass(bytes, end, quotes);
        true
    }

    /// Takes a record of which the fields are known.
    fn record(&mut self, bytes: &[u8], start: usize, record: Extent, fits: bool, out: &mut Out) {
        let at = self.origin(out.block, start, record);
        let Self { fields, caster, walk, slow, changes, same_marks, same_order, .. } = self;
        let spans = walk.spans();
        // Quotes may stand where nobody reads them as such, and a backslash means something on the wire.
        let careful = caster.dialect.quote != Some(b'"') || walk.is_careful();
        let check = Check { fields, caster, same_marks: *same_marks, same_order: *same_order, careful };
        let range = start..start + record.bytes;
        let fits = fits
            && spans.len() == caster.fields_expected
            && check.record(bytes, start, walk, changes).is_ok()
            && out.add(&check, range.clone(), spans, changes, slow).is_ok();
        if fits {
            out.rows.origins.push(at);
        } else {
            out.kept.give_up(&mut out.rows);
            let (batch, rejects) = slow.open(&mut out.rows);
            caster.row(&bytes[range], at, record, spans, batch, rejects);
            slow.flush_if_full(&mut out.rows);
        }
    }

    /// Where the record stands that was found last.
    fn origin(&self, block: &Block, start: usize, record: Extent) -> Origin {
        let lines = record.lines + u64::from(record.taken > record.bytes);
        origin(block, start, self.walk.line() - lines)
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

/// The rows of a block.
struct Out<'a> {
    block: &'a Block,
    rows: Rows,
    kept: Kept<'a>,
}

impl Out<'_> {
    /// Adds a record with its changes.
    #[inline]
    fn add(
        &mut self,
        check: &Check,
        record: Range<usize>,
        spans: &[Span],
        changes: &[Change],
        slow: &mut Slow,
    ) -> Result<(), Odd> {
        if changes.is_empty() && self.kept.keep(&record) {
            self.rows.ends.push(record.end + 1);
            return Ok(());
        }
        let raw = &self.block.bytes[record];
        let text = self.kept.give_up(&mut self.rows);
        let before = text.len();
        check.write(raw, spans, changes, text).inspect_err(|_| text.truncate(before))?;
        if !slow.is_empty() {
            // What was put off comes first.
            let row = self.rows.text.split_off(before);
            slow.flush(&mut self.rows);
            self.rows.text.extend_from_slice(&row);
        }
        self.rows.ends.push(self.rows.text.len());
        Ok(())
    }

    /// Adds records that are rows as they are, and where each of them ends.
    fn add_all(&mut self, records: Range<usize>, ends: impl Iterator<Item = usize>, slow: &mut Slow) {
        if self.kept.keep(&records) {
            self.rows.ends.extend(ends);
            return;
        }
        self.kept.give_up(&mut self.rows);
        // What was put off comes first.
        slow.flush(&mut self.rows);
        let before = self.rows.text.len();
        self.rows.ends.extend(ends.map(|end| before + end - records.start));
        self.rows.text.extend_from_slice(&self.block.bytes[records.start..=records.end]);
    }
}

/// How records are looked at.
#[derive(Clone, Copy)]
struct Check<'a> {
    fields: &'a [Field],
    caster: &'a Caster,
    same_marks: bool,
    same_order: bool,
    /// Quotes and backslashes may stand in any text.
    careful: bool,
}

impl Check<'_> {
    /// Looks at every field of a record that has them in the order of the columns, and at its quotes.
    #[inline]
    fn glance(&self, bytes: &[u8], glance: &Glance, walk: &Walk, changes: &mut Vec<Change>) -> Result<(), Odd> {
        changes.clear();
        let (mut from, mut quotes) = (glance.start, 0);
        for (index, (field, end)) in self.fields.iter().zip(glance.ends).enumerate() {
            let end = *end as usize;
            let (mut start, mut to, mut form) = (from, end, Form::Plain);
            from = end + 1;
            if bytes[start] == b'"' {
                (start, to, form) = (start + 1, to.wrapping_sub(1), Form::Quoted);
                quotes += 2;
                if start > to || bytes[to] != b'"' {
                    return Err(Odd);
                }
            }
            let span = Span { start: start - glance.start, end: to - glance.start, form };
            self.field(index, field, bytes, start..to, span, walk, changes)?;
        }
        // Quotes that are not around a field want a closer look.
        if quotes == glance.quotes { Ok(()) } else { Err(Odd) }
    }

    /// Looks at every field; those that do not travel as they are come into `changes`, in the order of the columns.
    fn record(&self, bytes: &[u8], start: usize, walk: &Walk, changes: &mut Vec<Change>) -> Result<(), Odd> {
        changes.clear();
        for (index, field) in self.fields.iter().enumerate() {
            let span = walk.spans()[field.source];
            self.field(index, field, bytes, start + span.start..start + span.end, span, walk, changes)?;
        }
        Ok(())
    }

    #[inline(always)]
    #[expect(clippy::inline_always, clippy::too_many_arguments, reason = "two loops share it, and each runs per field")]
    fn field(
        &self,
        index: usize,
        field: &Field,
        bytes: &[u8],
        range: Range<usize>,
        span: Span,
        walk: &Walk,
        changes: &mut Vec<Change>,
    ) -> Result<(), Odd> {
        let odd = walk.not_digits(bytes, range.start, range.end);
        let text = canonical::Field { text: &bytes[range], odd };
        let is_null = span.form == Form::Plain && !field.empty_is_text && text.text == self.null();
        let verdict = match is_null {
            true if !field.nullable => return Err(Odd),
            true => Verdict::Null,
            false => field.check(text, span.form, self.same_marks, self.careful)?,
        };
        if verdict != Verdict::AsItIs {
            changes.push(Change { index, verdict, span });
        }
        Ok(())
    }

    fn null(&self) -> &[u8] {
        self.caster.dialect.null.as_deref().unwrap_or_default().as_bytes()
    }

    /// Writes a record of which the changes are known.
    fn write(&self, raw: &[u8], spans: &[Span], changes: &[Change], out: &mut Vec<u8>) -> Result<(), Odd> {
        let write = |Change { index, verdict, span }: Change, out: &mut Vec<u8>| {
            self.fields[index].write(verdict, &raw[span.start..span.end], span, self.caster, out)
        };
        if self.same_order {
            // What lies before this and is not written yet travels as it is.
            let mut copied = 0;
            for change in changes {
                let outer = outer(change.span);
                out.extend_from_slice(&raw[copied..outer.start]);
                write(*change, out)?;
                copied = outer.end;
            }
            out.extend_from_slice(&raw[copied..]);
            out.push(b'\n');
            return Ok(());
        }
        let mut changes = changes.iter().peekable();
        for (index, field) in self.fields.iter().enumerate() {
            match changes.next_if(|change| change.index == index) {
                Some(change) => write(*change, out)?,
                None => out.extend_from_slice(&raw[outer(spans[field.source])]),
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
pub(super) fn travels(text: &[u8], form: Form) -> bool {
    match (form, text) {
        (Form::Quoted, _) => true,
        (_, [single]) => *single > b' ',
        (_, [first, .., last]) => *first > b' ' && *last > b' ',
        (_, []) => false,
    }
}

pub(super) fn has_marks(text: &[u8]) -> bool {
    memchr::memchr2(b'"', b'\\', text).is_some()
}
