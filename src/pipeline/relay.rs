//! [`Courier`]: records of CSV to rows of either format without a detour through Arrow.
//!
//! Each field is checked against its column where it stands. What is written as the server is sure to read it (nearly
//! everything in most files) travels as the bytes it was: whole stretches of records are copied or left where they are if the
//! file has the wire's delimiter and the table's columns in order, and single values otherwise. A NULL, an escaped quote or an
//! unusual number is written anew. A record that is no row of the table, or of which this cannot be said quickly, is read by the
//! way that all formats go, so that rejects and rows put aside are the same as there.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::ahead::{Ahead, Look, Looked, records_ahead};
use super::fields::{Check, Field, Verdict, outer};
use super::kind::{Kind, Odd};
use super::rows::{Out, Rows, Slow};
use crate::buffers::Buffers;
use crate::encoder::{Layout, Lines};
use crate::model::{Column, Origin, Relay, WireFormat};
use crate::reader::csv::{self, Caster, Dialect, Extent, Form, Found, Glance, Outline, Span, Stretch, Target, Walk};
use crate::reader::{Block, FieldRef, Projected, RECORD_BYTES_MAX};

/// How an input is relayed: the same for all threads.
#[derive(Clone, Debug)]
pub struct Plan {
    dialect: Dialect,
    wire: WireFormat,
    columns: Vec<Column>,
    kinds: Vec<Kind>,
    /// The file's delimiter and quote are the wire's.
    same_marks: bool,
    /// And the table's columns are its fields, in order: records may be copied whole.
    same_order: bool,
    kind: Relay,
}

impl Plan {
    /// How to relay this input, if it can be: columns of simple types.
    #[must_use]
    pub fn of(
        dialect: &Dialect,
        wire: WireFormat,
        projected: &[Projected],
        fields: usize,
        check: bool,
    ) -> Option<Self> {
        let ascii = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii());
        if !dialect.delimiter.is_ascii() || !ascii(dialect.quote) {
            return None;
        }
        let kinds = projected.iter().map(|projected| Kind::of(&projected.column.ty)).collect::<Option<Vec<_>>>()?;
        let same_marks = dialect.delimiter == b',' && dialect.quote == Some(b'"') && dialect.escape.is_none();
        let in_place = |(index, projected): (usize, &Projected)| projected.source == FieldRef::Index(index);
        let same_order = wire == WireFormat::Csv
            && same_marks
            && fields == projected.len()
            && projected.iter().enumerate().all(in_place);
        // The only field of a row may be blank, which somebody has to look at. A marker may stand anywhere.
        let unseen = same_order && fields > 1 && dialect.null.is_none();
        let kind = if unseen && !check { Relay::Unchecked } else { Relay::Checked };
        let columns = projected.iter().map(|projected| projected.column.clone()).collect();
        Some(Self { dialect: dialect.clone(), wire, columns, kinds, same_marks, same_order, kind })
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
    task: Task,
    walk: Walk,
    slow: Slow,
    /// What is to be changed in the record at hand; kept for its room.
    changes: Vec<Change>,
    /// How large a block was, and what became of it.
    grown: (usize, usize),
}

/// What is to be done with records.
struct Task {
    fields: Vec<Field>,
    caster: Arc<Caster>,
    layout: Arc<Layout>,
    way: Way,
    /// Texts may travel with the quotes that they have or have not.
    texts_travel: bool,
}

/// How records travel that are rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// As they are, and unseen where they are written plainly.
    Unchecked,
    /// As they are, but for single fields.
    Whole,
    /// Field by field.
    Fields {
        /// Many may be looked at together.
        together: bool,
    },
}

/// A field that does not travel as it is, by the column's index.
#[derive(Clone, Copy)]
struct Change {
    index: usize,
    verdict: Verdict,
    span: Span,
}

impl Courier {
    pub(super) fn new(plan: &Plan, caster: &Arc<Caster>) -> Self {
        Self {
            task: Task::new(plan, caster),
            walk: Walk::default(),
            slow: Slow::new(plan.wire, &plan.columns),
            changes: Vec::new(),
            grown: (0, 0),
        }
    }

    /// Makes rows of a block. Lines are counted from its start.
    pub(super) fn rows(&mut self, block: &Block, buffers: &Buffers) -> Rows {
        if self.task.way == Way::Unchecked
            && let Some(rows) = unseen(block)
        {
            return rows;
        }
        let room = self.room(block.bytes.len());
        let Self { task, walk, slow, changes, .. } = self;
        let mut out = Out::keeping(&block.bytes, buffers, &task.layout, slow);
        if task.by_fields() {
            out = out.anew(room);
        }
        walk.begin(&block.bytes, &task.caster.dialect);
        let rows = Reading { task, walk, changes, block, out }.run();
        self.grown = (block.bytes.len(), rows.text.len());
        rows
    }

    /// The room that the rows of so much text are likely to take.
    fn room(&self, bytes: usize) -> usize {
        let (before, became) = self.grown;
        // What becomes of the first block nobody knows.
        let likely = (bytes * became).checked_div(before).unwrap_or(bytes);
        likely + likely / 8
    }
}

/// A block being read.
struct Reading<'a> {
    task: &'a Task,
    walk: &'a mut Walk,
    changes: &'a mut Vec<Change>,
    block: &'a Block,
    out: Out<'a>,
}

impl Reading<'_> {
    fn run(mut self) -> Rows {
        let Block { bytes, last, .. } = self.block;
        let is_utf8 = std::str::from_utf8(bytes).is_ok();
        let by_fields = self.task.by_fields();
        let mut ahead = Ahead::default();
        loop {
            // Most records of most files are checked where they stand, many at once.
            if is_utf8 && !self.walk.is_exact() && self.task.way != (Way::Fields { together: false }) {
                let fitting = ahead.next(|| self.task.look_ahead(bytes, self.walk));
                if fitting > 0 {
                    self.take(fitting);
                    continue;
                }
                if !by_fields && self.glance() {
                    continue;
                }
            }
            match self.walk.next(bytes, *last, &self.task.caster) {
                Found::Record(start, record) if record.bytes <= RECORD_BYTES_MAX => {
                    let raw = &bytes[start..start + record.bytes];
                    let fits = !record.malformed && (is_utf8 || std::str::from_utf8(raw).is_ok());
                    self.record(start, record, fits);
                    continue;
                }
                Found::Record(start, record) => self.out.rows.too_long = Some(self.origin(start, record)),
                Found::Rest(start) => self.out.rows.rest = Some(start),
                Found::OpenQuote(start, open) => self.out.rows.open_quote = Some((start, open)),
                Found::End => {}
            }
            break;
        }
        Rows { lines: self.walk.line(), ..self.out.end() }
    }

    /// Takes the next records, all of which are rows.
    fn take(&mut self, records: usize) {
        let Self { task, walk, block, out, .. } = self;
        let stretch = walk.stretch(records, task.caster.fields_expected);
        let (start, end) = (stretch.record(0).start, stretch.record(records - 1).end);
        let place = |record| origin(block, stretch.record(record).start, stretch.line(record));
        if task.by_fields() {
            let pass = task.pass(&block.bytes, walk);
            for record in 0..records {
                let end = pass.write_fitting(stretch, record, out.lines());
                out.rows.ends.push(end);
            }
        } else {
            out.add_all(start..end, (0..records).map(|record| stretch.record(record).end + 1));
        }
        // Behind those of records that were put off, which are written by now.
        out.rows.origins.extend((0..records).map(place));
        walk.pass_all(records, end);
    }

    /// Takes the next record if it can be told at a glance that it is a row.
    #[inline]
    fn glance(&mut self) -> bool {
        let Self { task, walk, changes, block, out } = self;
        let Some(glance) = walk.glance(&block.bytes, task.caster.fields_expected) else { return false };
        let pass = task.pass(&block.bytes, walk);
        let (start, quotes) = (glance.start, glance.quotes.len());
        let end = glance.ends.last().map_or(start, |end| *end as usize);
        let fits = end - start <= RECORD_BYTES_MAX
            && pass.glance(&glance, changes).is_ok()
            && pass.put(start..end, changes, out).is_ok();
        if fits {
            out.rows.origins.push(origin(block, start, walk.line()));
            walk.pass(end, quotes);
        }
        fits
    }

    /// Takes a record of which the fields are known.
    fn record(&mut self, start: usize, record: Extent, fits: bool) {
        let at = self.origin(start, record);
        let Self { task, walk, changes, block, out } = self;
        let spans = walk.spans();
        let range = start..start + record.bytes;
        let pass = task.pass(&block.bytes, walk);
        let fits = fits
            && spans.len() == task.caster.fields_expected
            && if task.by_fields() {
                out.write(|lines| pass.write(start, lines)).is_ok()
            } else {
                pass.record(start, changes).is_ok() && pass.put(range.clone(), changes, out).is_ok()
            };
        if fits {
            out.rows.origins.push(at);
        } else {
            let raw = &block.bytes[range];
            out.put_off(|batch, rejects| task.caster.row(raw, at, record, spans, batch, rejects));
        }
    }

    /// Where the record stands that was found last.
    fn origin(&self, start: usize, record: Extent) -> Origin {
        let lines = record.lines + u64::from(record.taken > record.bytes);
        origin(self.block, start, self.walk.line() - lines)
    }
}

impl Task {
    fn new(plan: &Plan, caster: &Arc<Caster>) -> Self {
        let field =
            |((kind, column), target): ((&Kind, &Column), &Target)| Field::new(*kind, column, target, plan.wire);
        let fields: Vec<Field> = plan.kinds.iter().zip(&plan.columns).zip(&caster.targets).map(field).collect();
        let way = match (plan.kind, plan.same_order) {
            (Relay::Unchecked, _) => Way::Unchecked,
            (_, true) => Way::Whole,
            (_, false) => {
                let usual = plan.dialect.quote == Some(b'"') && plan.dialect.escape.is_none();
                // Quotes are counted, those of each field once.
                let sources: HashSet<usize> = fields.iter().map(|field| field.source).collect();
                Way::Fields { together: usual && sources.len() == fields.len() }
            }
        };
        Self {
            fields,
            caster: Arc::clone(caster),
            layout: Arc::new(Layout::new(plan.wire, &plan.columns)),
            way,
            texts_travel: plan.wire == WireFormat::Csv && plan.same_marks,
        }
    }

    fn by_fields(&self) -> bool {
        matches!(self.way, Way::Fields { .. })
    }

    fn pass<'a>(&'a self, bytes: &'a [u8], walk: &'a Walk) -> Pass<'a> {
        let check = Check { bytes, walk, dialect: &self.caster.dialect, texts_travel: self.texts_travel };
        Pass { fields: &self.fields, check }
    }

    /// Looks at the next records, and tells which are rows.
    fn look_ahead(&self, bytes: &[u8], walk: &Walk) -> Looked {
        if bytes.len() > RECORD_BYTES_MAX {
            // A record may be too long.
            return Looked::default();
        }
        let fields = self.caster.fields_expected;
        let stretch = walk.stretch(records_ahead(fields), fields);
        let check = self.pass(bytes, walk).check;
        Look { check, stretch, by_fields: self.by_fields() }.at(&self.fields)
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

/// How the records of a block are looked at and written.
struct Pass<'a> {
    fields: &'a [Field],
    check: Check<'a>,
}

impl Pass<'_> {
    /// Looks at every field of a record that has them in the order of the columns, and at its quotes.
    #[inline]
    fn glance(&self, glance: &Glance, changes: &mut Vec<Change>) -> Result<(), Odd> {
        changes.clear();
        let (mut from, mut quotes) = (glance.start, glance.quotes);
        for (index, (field, end)) in self.fields.iter().zip(glance.ends).enumerate() {
            let end = *end as usize;
            let inside;
            (inside, quotes) = quotes.split_at(quotes.iter().take_while(|quote| (**quote as usize) < end).count());
            let span = csv::quoted(inside, from, end).ok_or(Odd)?;
            from = end + 1;
            self.look(index, field, span, changes)?;
        }
        Ok(())
    }

    /// Looks at every field of the record that was found last and starts here; those that do not travel as they are come into
    /// `changes`, in the order of the columns.
    fn record(&self, start: usize, changes: &mut Vec<Change>) -> Result<(), Odd> {
        changes.clear();
        for (index, field) in self.fields.iter().enumerate() {
            self.look(index, field, self.span(start, field), changes)?;
        }
        Ok(())
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "two loops share it, and each runs per field")]
    fn look(&self, index: usize, field: &Field, span: Span, changes: &mut Vec<Change>) -> Result<(), Odd> {
        let verdict = self.check.verdict(field, span)?;
        if verdict != Verdict::AsItIs {
            changes.push(Change { index, verdict, span });
        }
        Ok(())
    }

    /// Where a field stands of the record that was found last and starts here.
    #[inline]
    fn span(&self, start: usize, field: &Field) -> Span {
        let span = self.check.walk.spans()[field.source];
        Span { start: start + span.start, end: start + span.end, ..span }
    }

    /// Adds a record of which the changes are known.
    #[inline]
    fn put(&self, record: Range<usize>, changes: &[Change], out: &mut Out) -> Result<(), Odd> {
        if changes.is_empty() {
            out.add(record);
            return Ok(());
        }
        out.write(|lines| self.write_changed(record, changes, lines))
    }

    /// Writes a record that travels as it is but for its changes; returns where it ends.
    fn write_changed(&self, record: Range<usize>, changes: &[Change], lines: &mut Lines) -> Result<usize, Odd> {
        let bytes = self.check.bytes;
        lines.start();
        // What lies before this and is not written yet travels as it is.
        let mut copied = record.start;
        for Change { index, verdict, span } in changes {
            let outer = outer(*span);
            lines.copy(bytes, copied..outer.start);
            self.check.write(&self.fields[*index], *span, *verdict, lines)?;
            copied = outer.end;
        }
        lines.copy(bytes, copied..record.end);
        Ok(lines.end_line())
    }

    /// Writes the record that was found last and starts here, field by field; returns where it ends.
    fn write(&self, start: usize, lines: &mut Lines) -> Result<usize, Odd> {
        lines.start();
        for (index, field) in self.fields.iter().enumerate() {
            let span = self.span(start, field);
            let verdict = self.check.verdict(field, span)?;
            lines.before(index);
            self.check.write(field, span, verdict, lines)?;
            lines.behind();
        }
        Ok(lines.end_fields())
    }

    /// The same for a record of a stretch that fits.
    fn write_fitting(&self, stretch: Stretch, record: usize, lines: &mut Lines) -> usize {
        lines.start();
        for (index, field) in self.fields.iter().enumerate() {
            let Range { start, end } = stretch.field(record, field.source);
            let span = match self.check.bytes[start] {
                b'"' => Span { start: start + 1, end: end - 1, form: Form::Quoted },
                _ => Span { start, end, form: Form::Plain },
            };
            lines.before(index);
            self.check.write_fitting(field, span, lines);
            lines.behind();
        }
        lines.end_fields()
    }
}

fn origin(block: &Block, start: usize, line: u64) -> Origin {
    Origin { line, byte: block.byte + start as u64 }
}
