//! JSON, one object per line (SR §6.8).
//!
//! Every key is there in every object, in column order: a missing one would be NULL to the server, not the default, and the
//! same order everywhere is its fast path. Keys are escaped once. What JSON's numbers do not hold exactly, and dates,
//! travel as strings that the server casts.
//!
//! Binary values are base64 here too, but the server takes a JSON string for the bytes themselves: the request has to
//! decode them, see [`binary_columns`](super::binary_columns).

use arrow::record_batch::RecordBatch;

use super::cells::{Cells, Values, json_key};
use super::nested::{self, KeySpans, Notation};
use super::room::{Key, Room, WINDOW};
use super::slots::{Frame, Slots};
use super::{Encoder, Unfit, blocks, escape, rows};
use crate::model::{Column, ColumnType};

pub(super) const NULL: [u8; 4] = *b"null";

/// Writes JSON.
pub(super) struct Json {
    // Each column's type, what stands in front of its value, and its numbers or dates.
    columns: Vec<(ColumnType, Key, Slots)>,
    keys: KeySpans,
}

impl Json {
    pub(super) fn new(columns: &[Column]) -> Self {
        let keyed = |(index, column): (usize, &Column)| {
            (column.ty.clone(), Key::new(&json_key(index, &column.name)), Slots::default())
        };
        Self { columns: columns.iter().enumerate().map(keyed).collect(), keys: KeySpans::new() }
    }
}

impl Encoder for Json {
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>, ends: &mut Vec<usize>, aside: &mut Vec<usize>) {
        let Self { columns, keys } = self;
        let columns = columns.iter_mut().zip(batch.columns());
        let mut columns: Vec<_> =
            columns.map(|((ty, key, slots), array)| (Cells::resolve(ty, array.as_ref()), &*key, slots)).collect();
        let row_bytes_max = columns.iter().map(|(_, key, _)| key.bytes() + WINDOW).sum();
        let mut room = Room::new(std::mem::take(out), row_bytes_max);
        for block in blocks(batch) {
            for (cells, _, slots) in &mut columns {
                let quoted = matches!(&cells.values, Values::Scalar(scalar) if scalar.is_json_string());
                cells.fill(block.clone(), &Frame { null: &NULL, quoted, tail: None }, slots);
            }
            rows(block, &mut room, ends, aside, |index, row, room, mut at| {
                for (cells, key, slots) in &columns {
                    at = key.put(room, at);
                    at = if cells.is_scalar() {
                        slots.put(index, room, at)?
                    } else {
                        field(cells, row, room, at, keys)?
                    };
                }
                Ok(room.put(at, *b"}\n"))
            });
        }
        *out = room.end();
    }
}

#[inline]
fn field(cells: &Cells<'_>, row: usize, room: &mut Room, at: usize, keys: &mut KeySpans) -> Result<usize, Unfit> {
    if cells.is_null(row) {
        return Ok(room.put(at, NULL));
    }
    if let Values::Text(values) = &cells.values {
        return Ok(room.put_whole::<escape::Json>(at, values.get(row)));
    }
    let mut made = Ok(());
    keys.clear();
    let end = room.put_made(at, |out| made = Document::value(cells, row, out, keys));
    made.map(|()| end)
}

/// A value, at the top or inside another.
struct Document;

impl Notation for Document {
    #[inline]
    fn value(cells: &Cells<'_>, row: usize, out: &mut Vec<u8>, keys: &mut KeySpans) -> Result<(), Unfit> {
        if cells.is_null(row) {
            out.extend_from_slice(&NULL);
            return Ok(());
        }
        match &cells.values {
            Values::Scalar(scalar) => scalar.append(row, scalar.is_json_string(), out)?,
            Values::Text(values) => escape::json_string(values.get(row), out),
            Values::Json(values) => match values.value(row).as_bytes() {
                // The server could not tell the document `null` from NULL.
                text if text.trim_ascii() == NULL => return Err(Unfit),
                text => escape::json_document(text, out),
            },
            Values::Binary(values) => escape::base64(values.value(row), out),
            Values::List { offsets, items } => nested::list::<Self>((offsets, items), row, out, keys)?,
            Values::Map { offsets, keys: key_cells, values } => {
                nested::map::<Self>((offsets, key_cells, values), row, out, keys)?;
            }
            Values::Struct(fields) => {
                for (key, cells) in fields {
                    out.extend_from_slice(key);
                    Self::value(cells, row, out, keys)?;
                }
                out.push(b'}');
            }
        }
        Ok(())
    }

    fn key(cells: &Cells<'_>, row: usize, out: &mut Vec<u8>) -> Result<(), Unfit> {
        match &cells.values {
            Values::Scalar(scalar) => scalar.append(row, true, out),
            Values::Text(values) => {
                escape::json_string(values.get(row), out);
                Ok(())
            }
            // `carries` keeps maps with such keys away.
            _ => Err(Unfit),
        }
    }
}
