//! [`JsonRelay`]: records of JSON to rows of either format without a detour through Arrow.
//!
//! Each value is checked against its column where it stands, and copied if the server is sure to read it so; a string without
//! escapes is one in CSV, too. An object that is exactly what would be written, but for some values, is copied in stretches. What
//! is unusual about a value (its escapes, its digits) is written anew, and an unusual record is read by the way that all formats
//! go, so that rejects and rows put aside are the same as there.

use std::ops::Range;
use std::sync::Arc;

use super::canonical;
use super::kind::{Kind, Odd};
use super::rows::{Kept, Rows, Slow};
use crate::buffers::Buffers;
use crate::encoder;
use crate::model::{Column, ColumnType, Origin, WireFormat};
use crate::reader::cast::{self, Node};
use crate::reader::json::{Keys, Made, Object, Row, Shape, Value, is_number, odd_bytes};
use crate::reader::{Block, RECORD_BYTES_MAX};

/// A column, as the relay sees it.
struct Field {
    /// None of these: every value of it makes its record an unusual one.
    kind: Option<Sort>,
    nullable: bool,
    /// The key that its value comes from.
    slot: usize,
    /// What stands in front of its value in JSON.
    key: Vec<u8>,
    /// Whether it is a string on the wire.
    quoted: bool,
}

#[derive(Clone, Copy)]
enum Sort {
    Simple(Kind),
    Document,
}

impl Field {
    fn new(index: usize, column: &Column, slot: usize, wire: WireFormat) -> Self {
        let kind = match &column.ty {
            ColumnType::Json => Some(Sort::Document),
            ty => Kind::of(ty).map(Sort::Simple),
        };
        let quoted = match kind {
            Some(Sort::Simple(kind)) => kind.is_string(wire),
            _ => false,
        };
        Self { kind, nullable: column.nullable, slot, key: encoder::json_key(index, &column.name), quoted }
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
    /// It is to be written anew.
    Anew,
}

/// Reads blocks; one for each thread.
pub(super) struct JsonRelay {
    wire: WireFormat,
    fields: Vec<Field>,
    /// An object with exactly the keys that are read is one with the keys that are written.
    same_keys: bool,
    object: Object,
    row: Row,
    slow: Slow,
}

impl JsonRelay {
    /// For these columns of the wire.
    pub(super) fn new(keys: &Arc<Keys>, wire: WireFormat, columns: &[Column]) -> Self {
        let targets = columns.iter().zip(&keys.targets).enumerate();
        let fields = targets.map(|(index, (column, target))| Field::new(index, column, target.slot, wire)).collect();
        let named = |(slot, column): (usize, &Column)| {
            keys.targets[slot].slot == slot && keys.slots.get(&column.name) == Some(&slot)
        };
        let same_keys =
            wire == WireFormat::Json && columns.len() == keys.slots.len() && columns.iter().enumerate().all(named);
        Self {
            wire,
            fields,
            same_keys,
            object: Object::new(keys),
            row: Row::new(Arc::clone(keys)),
            slow: Slow::new(wire, columns),
        }
    }

    /// Makes rows of a block. Lines are counted from its start.
    pub(super) fn rows(&mut self, block: &Block, buffers: &Buffers) -> Rows {
        let bytes = &block.bytes[..];
        let mut rows = Rows::default();
        let mut kept = if self.same_keys {
            Kept::all(&block.bytes, buffers)
        } else {
            rows.text = buffers.empty(self.room(bytes.len()));
            Kept::none(&block.bytes, buffers)
        };
        let is_utf8 = std::str::from_utf8(bytes).is_ok();
        let mut at = 0;
        loop {
            while let Some(byte @ (b' ' | b'\t' | b'\r' | b'\n')) = bytes.get(at) {
                rows.lines += u64::from(*byte == b'\n');
                at += 1;
            }
            if at == bytes.len() {
                break;
            }
            let origin = Origin { line: rows.lines, byte: block.byte + at as u64 };
            if let Some((end, row_end)) = self.quick(bytes, at, is_utf8, &mut kept, &mut rows) {
                rows.ends.push(row_end);
                rows.origins.push(origin);
                at = end;
                continue;
            }
            kept.give_up(&mut rows);
            let (batch, rejects) = self.slow.open(&mut rows);
            match self.row.first(&bytes[at..], block.last, origin, batch, rejects) {
                Made::Taken(taken) => {
                    rows.lines += memchr::memchr_iter(b'\n', &bytes[at..at + taken]).count() as u64;
                    at += taken;
                    self.slow.flush_if_full(&mut rows);
                    continue;
                }
                Made::Rest => rows.rest = Some(at),
                Made::Open => rows.open_quote = Some((at, 0)),
                Made::TooLong => rows.too_long = Some(origin),
            }
            break;
        }
        self.slow.flush(&mut rows);
        rows.as_it_is = kept.untouched();
        rows
    }

    /// The room that the rows of so much text are likely to take.
    fn room(&self, bytes: usize) -> usize {
        match self.wire {
            WireFormat::Csv => bytes / 2,
            WireFormat::Json => bytes + bytes / 8,
        }
    }

    /// Makes the row of an ordinary record. Says where the record ends, and where the row.
    #[inline]
    fn quick(
        &mut self,
        bytes: &[u8],
        start: usize,
        is_utf8: bool,
        kept: &mut Kept<'_>,
        rows: &mut Rows,
    ) -> Option<(usize, usize)> {
        if bytes[start] != b'{' {
            return None;
        }
        let end = self.object.read(bytes, start)?;
        let record = start..end;
        if record.len() > RECORD_BYTES_MAX || !(is_utf8 || std::str::from_utf8(&bytes[record.clone()]).is_ok()) {
            return None;
        }
        let exact = self.same_keys && self.object.is_exact();
        if exact && self.travels(bytes) && kept.keep(&record) {
            return Some((end, end + 1));
        }
        kept.give_up(rows);
        if !self.slow.is_empty() {
            // What was put off comes first.
            self.slow.flush(rows);
        }
        let before = rows.text.len();
        if self.append(bytes, record, exact, &mut rows.text).is_err() {
            rows.text.truncate(before);
            return None;
        }
        Some((end, rows.text.len()))
    }

    /// Whether every value of an exact object travels as it is.
    #[inline]
    fn travels(&self, bytes: &[u8]) -> bool {
        let values = self.object.values();
        self.fields.iter().all(|field| matches!(field.check(bytes, values[field.slot]), Ok(Verdict::AsItIs)))
    }

    #[inline]
    fn append(&self, bytes: &[u8], record: Range<usize>, exact: bool, out: &mut Vec<u8>) -> Result<(), Odd> {
        let values = self.object.values();
        if exact {
            // What lies before this and is not written yet travels as it is.
            let mut copied = record.start;
            for field in &self.fields {
                let value = values[field.slot];
                let verdict = field.check(bytes, value)?;
                if verdict != Verdict::AsItIs {
                    out.extend_from_slice(&bytes[copied..value.start]);
                    field.write(verdict, bytes, value, self.wire, out)?;
                    copied = value.end;
                }
            }
            out.extend_from_slice(&bytes[copied..record.end]);
            out.push(b'\n');
            return Ok(());
        }
        for field in &self.fields {
            let value = values[field.slot];
            let verdict = field.check(bytes, value)?;
            if self.wire == WireFormat::Json {
                out.extend_from_slice(&field.key);
            }
            field.write(verdict, bytes, value, self.wire, out)?;
            if self.wire == WireFormat::Csv {
                out.push(b',');
            }
        }
        match self.wire {
            WireFormat::Csv => {
                if let Some(last) = out.last_mut() {
                    *last = b'\n';
                }
            }
            WireFormat::Json => out.extend_from_slice(b"}\n"),
        }
        Ok(())
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
    fn check(&self, bytes: &[u8], value: Value) -> Result<Verdict, Odd> {
        let kind = match (value.shape, self.kind) {
            (Shape::Missing | Shape::Null, _) => return if self.nullable { Ok(Verdict::Null) } else { Err(Odd) },
            (_, None) => return Err(Odd),
            (_, Some(Sort::Document)) => return Ok(Verdict::Anew),
            (_, Some(Sort::Simple(kind))) => kind,
        };
        let inner = content(value);
        let text = &bytes[inner.clone()];
        let travels = match (kind, value.shape) {
            (_, Shape::Nested) => return Err(Odd),
            (Kind::Text(_), Shape::Escaped) => false,
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

    #[inline]
    fn write(
        &self,
        verdict: Verdict,
        bytes: &[u8],
        value: Value,
        wire: WireFormat,
        out: &mut Vec<u8>,
    ) -> Result<(), Odd> {
        match verdict {
            Verdict::AsItIs => out.extend_from_slice(&bytes[value.start..value.end]),
            Verdict::WithoutQuotes => out.extend_from_slice(&bytes[content(value)]),
            Verdict::WithQuotes => {
                out.push(b'"');
                out.extend_from_slice(&bytes[content(value)]);
                out.push(b'"');
            }
            Verdict::Null => match wire {
                WireFormat::Csv => encoder::csv_null(out),
                WireFormat::Json => out.extend_from_slice(b"null"),
            },
            Verdict::Anew => return self.write_anew(bytes, value, wire, out),
        }
        Ok(())
    }

    #[cold]
    fn write_anew(&self, bytes: &[u8], value: Value, wire: WireFormat, out: &mut Vec<u8>) -> Result<(), Odd> {
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Odd);
        match self.kind {
            None => Err(Odd),
            Some(Sort::Document) => {
                let mut compact = String::new();
                cast::compact(text(&bytes[value.start..value.end])?, &mut compact).map_err(|_| Odd)?;
                encoder::document(wire, compact.as_bytes(), out);
                Ok(())
            }
            Some(Sort::Simple(Kind::Text(bytes_max))) => {
                let Ok(Node::String(text)) = Node::parse(text(&bytes[value.start..value.end])?) else {
                    return Err(Odd);
                };
                if text.len() > bytes_max {
                    return Err(Odd);
                }
                match wire {
                    WireFormat::Csv => encoder::csv_text(text.as_bytes(), out)?,
                    WireFormat::Json => encoder::json_text(text.as_bytes(), out),
                }
                Ok(())
            }
            Some(Sort::Simple(kind)) => {
                if !self.quoted {
                    return kind.write_anew(&bytes[content(value)], out);
                }
                out.push(b'"');
                kind.write_anew(&bytes[content(value)], out)?;
                out.push(b'"');
                Ok(())
            }
        }
    }
}
