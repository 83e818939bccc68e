//! [`JsonRelay`]: records of JSON to rows of either format without a detour through Arrow.
//!
//! Each value is checked against its column where it stands, and copied if the server is sure to read it so; a string without
//! escapes is one in CSV, too. An object that is exactly what would be written, but for some values, is copied in stretches. What
//! is unusual about a value (its escapes, its digits) is written anew, and an unusual record is read by the way that all formats
//! go, so that rejects and rows put aside are the same as there.

use std::ops::Range;
use std::sync::Arc;

use super::canonical;
use super::fields::compact;
use super::kind::{Kind, Odd};
use super::rows::{Out, Rows, Slow};
use crate::buffers::Buffers;
use crate::encoder::{Layout, Lines};
use crate::model::{Column, Origin, WireFormat};
use crate::reader::cast;
use crate::reader::json::{Keys, Made, Object, Row, Shape, Value, is_number, odd_bytes};
use crate::reader::{Block, RECORD_BYTES_MAX};

/// A column, as the relay sees it.
struct Field {
    /// None of these: every value of it makes its record an unusual one.
    kind: Option<Kind>,
    nullable: bool,
    /// The key that its value comes from.
    slot: usize,
    /// Whether it is a string on the wire.
    quoted: bool,
}

impl Field {
    fn new(column: &Column, slot: usize, wire: WireFormat) -> Self {
        let kind = Kind::of(&column.ty);
        let quoted = kind.is_some_and(|kind| kind.is_string(wire));
        Self { kind, nullable: column.nullable, slot, quoted }
    }
}

/// What is to be done with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It travels as it is.
    AsItIs,
    /// It travels with quotes around it.
    WithQuotes,
    /// It travels without its quotes.
    WithoutQuotes,
    /// It is NULL.
    Null,
    /// It is a text with escapes, which are taken away and made anew.
    Text,
    /// It is a document.
    Document,
    /// It is to be written anew.
    Anew,
}

/// Reads blocks; one for each thread.
pub(super) struct JsonRelay {
    wire: WireFormat,
    fields: Vec<Field>,
    /// An object with exactly the keys that are read is one with the keys that are written.
    same_keys: bool,
    layout: Arc<Layout>,
    object: Object,
    row: Row,
    slow: Slow,
    /// For texts that are unescaped.
    scratch: Vec<u8>,
}

impl JsonRelay {
    /// For these columns of the wire.
    pub(super) fn new(keys: &Arc<Keys>, wire: WireFormat, columns: &[Column]) -> Self {
        let targets = columns.iter().zip(&keys.targets);
        let fields = targets.map(|(column, target)| Field::new(column, target.slot, wire)).collect();
        let named = |(slot, column): (usize, &Column)| {
            keys.targets[slot].slot == slot && keys.slots.get(&column.name) == Some(&slot)
        };
        let same_keys =
            wire == WireFormat::Json && columns.len() == keys.slots.len() && columns.iter().enumerate().all(named);
        Self {
            wire,
            fields,
            same_keys,
            layout: Arc::new(Layout::new(wire, columns)),
            object: Object::new(keys),
            row: Row::new(Arc::clone(keys)),
            slow: Slow::new(wire, columns),
            scratch: Vec::new(),
        }
    }

    /// Makes rows of a block. Lines are counted from its start.
    pub(super) fn rows(&mut self, block: &Block, buffers: &Buffers) -> Rows {
        let bytes = &block.bytes[..];
        let room = self.room(bytes.len());
        let Self { wire, fields, same_keys, layout, object, row, slow, scratch } = self;
        let mut out = Out::keeping(&block.bytes, buffers, layout, slow);
        if !*same_keys {
            out = out.anew(room);
        }
        let mut quick = Quick { bytes, wire: *wire, fields, same_keys: *same_keys, object, scratch };
        let is_utf8 = std::str::from_utf8(bytes).is_ok();
        let mut at = 0;
        loop {
            while let Some(byte @ (b' ' | b'\t' | b'\r' | b'\n')) = bytes.get(at) {
                out.rows.lines += u64::from(*byte == b'\n');
                at += 1;
            }
            if at == bytes.len() {
                break;
            }
            let origin = Origin { line: out.rows.lines, byte: block.byte + at as u64 };
            if let Some(end) = quick.row(at, is_utf8, &mut out) {
                out.rows.origins.push(origin);
                at = end;
                continue;
            }
            match out.put_off(|batch, rejects| row.first(&bytes[at..], block.last, origin, batch, rejects)) {
                Made::Taken(taken) => {
                    out.rows.lines += memchr::memchr_iter(b'\n', &bytes[at..at + taken]).count() as u64;
                    at += taken;
                    continue;
                }
                Made::Rest => out.rows.rest = Some(at),
                Made::Open => out.rows.open_quote = Some((at, 0)),
                Made::TooLong => out.rows.too_long = Some(origin),
            }
            break;
        }
        out.end()
    }

    /// The room that the rows of so much text are likely to take.
    fn room(&self, bytes: usize) -> usize {
        match self.wire {
            WireFormat::Csv => bytes / 2,
            WireFormat::Json => bytes + bytes / 8,
        }
    }
}

/// The records of a block that are ordinary.
struct Quick<'a> {
    bytes: &'a [u8],
    wire: WireFormat,
    fields: &'a [Field],
    same_keys: bool,
    object: &'a mut Object,
    scratch: &'a mut Vec<u8>,
}

impl Quick<'_> {
    /// Makes the row of an ordinary record, and says where the record ends.
    #[inline]
    fn row(&mut self, start: usize, is_utf8: bool, out: &mut Out<'_>) -> Option<usize> {
        let bytes = self.bytes;
        if bytes[start] != b'{' {
            return None;
        }
        let end = self.object.read(bytes, start)?;
        let record = start..end;
        if record.len() > RECORD_BYTES_MAX || !(is_utf8 || std::str::from_utf8(&bytes[record.clone()]).is_ok()) {
            return None;
        }
        if !(self.same_keys && self.object.is_exact()) {
            out.write(|lines| self.write(lines)).ok()?;
        } else if self.travels() {
            out.add(record);
        } else {
            out.write(|lines| self.write_changed(record, lines)).ok()?;
        }
        Some(end)
    }

    /// Whether every value of an exact object travels as it is.
    #[inline]
    fn travels(&self) -> bool {
        let values = self.object.values();
        self.fields
            .iter()
            .all(|field| matches!(field.check(self.bytes, values[field.slot], self.wire), Ok(Verdict::AsItIs)))
    }

    /// Writes an exact object but for what is to be changed; returns where it ends.
    fn write_changed(&mut self, record: Range<usize>, lines: &mut Lines) -> Result<usize, Odd> {
        let Self { bytes, wire, fields, object, scratch, .. } = self;
        let values = object.values();
        lines.start();
        // What lies before this and is not written yet travels as it is.
        let mut copied = record.start;
        for field in *fields {
            let value = values[field.slot];
            let verdict = field.check(bytes, value, *wire)?;
            if verdict != Verdict::AsItIs {
                lines.copy(bytes, copied..value.start);
                field.write(verdict, bytes, value, scratch, lines)?;
                copied = value.end;
            }
        }
        lines.copy(bytes, copied..record.end);
        Ok(lines.end_line())
    }

    /// Writes an object field by field; returns where it ends.
    #[inline]
    fn write(&mut self, lines: &mut Lines) -> Result<usize, Odd> {
        let Self { bytes, wire, fields, object, scratch, .. } = self;
        let values = object.values();
        lines.start();
        for (index, field) in fields.iter().enumerate() {
            let value = values[field.slot];
            let verdict = field.check(bytes, value, *wire)?;
            lines.before(index);
            field.write(verdict, bytes, value, scratch, lines)?;
            lines.behind();
        }
        Ok(lines.end_fields())
    }
}

/// Where a string is without its quotes, and everything else as it is.
#[inline]
fn content(value: Value) -> Range<usize> {
    let quote = usize::from(matches!(value.shape, Shape::Plain | Shape::Escaped));
    value.start + quote..value.end - quote
}

impl Field {
    /// What is to be done with a value.
    #[inline]
    fn check(&self, bytes: &[u8], value: Value, wire: WireFormat) -> Result<Verdict, Odd> {
        let kind = match (value.shape, self.kind) {
            (Shape::Missing | Shape::Null, _) => return if self.nullable { Ok(Verdict::Null) } else { Err(Odd) },
            (_, None) => return Err(Odd),
            (_, Some(Kind::Document)) => return Ok(Verdict::Document),
            (_, Some(kind)) => kind,
        };
        let inner = content(value);
        let text = &bytes[inner.clone()];
        let travels = match (kind, value.shape) {
            (_, Shape::Nested) => return Err(Odd),
            (Kind::Text(bytes_max), Shape::Escaped) => {
                // It means no more bytes than it has.
                let travels = wire == WireFormat::Json && text.len() <= bytes_max && cast::is_escaped_plainly(text);
                return Ok(if travels { Verdict::AsItIs } else { Verdict::Text });
            }
            (_, Shape::Escaped) => return Err(Odd),
            (Kind::Text(bytes_max), shape) => {
                if text.len() > bytes_max || (shape == Shape::Number && !is_number(text)) {
                    return Err(Odd);
                }
                true
            }
            // Elsewhere they count as numbers.
            (Kind::Boolean, Shape::Word) => true,
            (_, Shape::Word) => return Err(Odd),
            // A day looks like a number, and is none.
            (kind, Shape::Number) if !kind.is_number() && !is_number(text) => return Err(Odd),
            (kind, shape) => {
                let field = canonical::Field { text, odd: odd_bytes(bytes, inner.start, inner.end) };
                let canonical = kind.is_canonical(field);
                if !canonical && shape == Shape::Number && !is_number(text) {
                    return Err(Odd);
                }
                canonical
            }
        };
        Ok(match (travels, value.shape == Shape::Plain, self.quoted) {
            (false, ..) => Verdict::Anew,
            (true, is, should) if is == should => Verdict::AsItIs,
            (true, true, false) => Verdict::WithoutQuotes,
            (true, ..) => Verdict::WithQuotes,
        })
    }

    /// Writes a value.
    #[inline]
    fn write(
        &self,
        verdict: Verdict,
        bytes: &[u8],
        value: Value,
        scratch: &mut Vec<u8>,
        lines: &mut Lines,
    ) -> Result<(), Odd> {
        match verdict {
            Verdict::AsItIs => lines.copy(bytes, value.start..value.end),
            Verdict::WithoutQuotes => lines.copy(bytes, content(value)),
            Verdict::WithQuotes => lines.string(bytes, content(value)),
            Verdict::Null => lines.null(),
            Verdict::Text => {
                scratch.clear();
                cast::unescape(&bytes[value.start..value.end], scratch).ok_or(Odd)?;
                if !matches!(self.kind, Some(Kind::Text(bytes_max)) if scratch.len() <= bytes_max) {
                    return Err(Odd);
                }
                lines.text(scratch, 0..scratch.len(), false)?;
            }
            Verdict::Document => {
                lines.document(&compact(&bytes[value.start..value.end])?)?;
            }
            Verdict::Anew => lines.made(|out| {
                let kind = self.kind.ok_or(Odd)?;
                out.extend(self.quoted.then_some(b'"'));
                let written = kind.write_anew(&bytes[content(value)], out);
                out.extend(self.quoted.then_some(b'"'));
                written
            })?,
        }
        Ok(())
    }
}
