//! CSV, profile A (SR §6.5), for servers told `enclose: "` and `escape: \`.
//!
//! Strings are quoted always, and so is all that is written like one: JSON, base64, arrays and maps. Numbers and dates are
//! not: no byte of theirs means anything to the server's parser (SR §6.3), and nothing trims an unquoted field unless
//! asked to. So every field is at least one byte long, no row is blank, and no row is skipped.
//!
//! NULL is written `\\N`: unquoted, the escape byte vanishes and leaves `\N`. The server compares after unquoting, in
//! every column, so that a string `\N` cannot travel here at all (SR §6.2).

use arrow::record_batch::RecordBatch;

use super::cells::{Cells, Values};
use super::nested::{self, KeySpans, Notation};
use super::room::{Room, WINDOW};
use super::slots::{Frame, Slots};
use super::{Encoder, Unfit, blocks, escape, rows};
use crate::model::{Column, ColumnType};

/// What NULL looks like on the wire.
pub(super) const NULL: [u8; 3] = *br"\\N";

/// What the server takes for NULL once quotes and escapes are gone.
pub(super) const NULL_DECODED: &[u8] = br"\N";

/// Numbers and dates.
const FRAME: Frame = Frame { null: &NULL, quoted: false, tail: Some(b',') };

/// Writes CSV.
pub(super) struct Csv {
    columns: Vec<(ColumnType, Slots)>,
    scratch: Scratch,
}

/// Buffers for nested values, kept from row to row.
#[derive(Default)]
struct Scratch {
    text: Vec<u8>,
    keys: KeySpans,
}

impl Csv {
    pub(super) fn new(columns: &[Column]) -> Self {
        let columns = columns.iter().map(|column| (column.ty.clone(), Slots::default()));
        Self { columns: columns.collect(), scratch: Scratch::default() }
    }
}

impl Encoder for Csv {
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>, ends: &mut Vec<usize>, aside: &mut Vec<usize>) {
        let Self { columns, scratch } = self;
        let columns = columns.iter_mut().zip(batch.columns());
        let mut columns: Vec<_> =
            columns.map(|((ty, slots), array)| (Cells::resolve(ty, array.as_ref()), slots)).collect();
        let mut room = Room::new(std::mem::take(out), columns.len() * WINDOW);
        for block in blocks(batch) {
            for (cells, slots) in &mut columns {
                cells.fill(block.clone(), &FRAME, slots);
            }
            rows(block, &mut room, ends, aside, |index, row, room, mut at| {
                for (cells, slots) in &columns {
                    if cells.is_scalar() {
                        at = slots.put(index, room, at)?;
                    } else {
                        at = field(cells, row, room, at, scratch)?;
                        at = room.put(at, [b',']);
                    }
                }
                room.put(at - 1, [b'\n']);
                Ok(at)
            });
        }
        *out = room.end();
    }
}

#[inline]
fn field(cells: &Cells<'_>, row: usize, room: &mut Room, at: usize, scratch: &mut Scratch) -> Result<usize, Unfit> {
    if cells.is_null(row) {
        return Ok(room.put(at, NULL));
    }
    match &cells.values {
        Values::Text(values) => match values.get(row) {
            NULL_DECODED => Err(Unfit),
            text => Ok(room.put_whole::<escape::Csv>(at, text)),
        },
        Values::Json(values) => Ok(room.put_whole::<escape::Csv>(at, values.value(row).as_bytes())),
        Values::Binary(values) => Ok(room.put_made(at, |out| escape::base64(values.value(row), out))),
        Values::Scalar(_) | Values::List { .. } | Values::Map { .. } | Values::Struct(_) => {
            scratch.text.clear();
            scratch.keys.clear();
            Element::value(cells, row, &mut scratch.text, &mut scratch.keys)?;
            Ok(room.put_whole::<escape::Csv>(at, &scratch.text))
        }
    }
}

/// What is inside an ARRAY or MAP (SR §6.6).
struct Element;

impl Notation for Element {
    fn value(cells: &Cells<'_>, row: usize, out: &mut Vec<u8>, keys: &mut KeySpans) -> Result<(), Unfit> {
        if cells.is_null(row) {
            // A string is in quotes, so this is not one.
            out.extend_from_slice(b"null");
            return Ok(());
        }
        match &cells.values {
            Values::List { offsets, items } => nested::list::<Self>((offsets, items), row, out, keys),
            Values::Map { offsets, keys: key_cells, values } => {
                nested::map::<Self>((offsets, key_cells, values), row, out, keys)
            }
            _ => Self::key(cells, row, out),
        }
    }

    fn key(cells: &Cells<'_>, row: usize, out: &mut Vec<u8>) -> Result<(), Unfit> {
        match &cells.values {
            Values::Scalar(scalar) => scalar.append(row, scalar.is_csv_element_string(), out),
            Values::Text(values) => {
                escape::csv_element(values.get(row), out);
                Ok(())
            }
            // `carries` keeps such columns away from CSV.
            _ => Err(Unfit),
        }
    }
}
