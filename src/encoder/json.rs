//! JSON, one object per line (SR §6.8).
//!
//! Every key is there in every object, in column order: a missing one would be NULL to the server, not the default, and the
//! same order everywhere is its fast path. Keys are escaped once. What JSON's numbers do not hold exactly, and dates,
//! travel as strings that the server casts.
//!
//! Binary values are base64 here too, but the server takes a JSON string for the bytes themselves: the request has to
//! decode them, see [`binary_columns`](super::binary_columns).

use arrow::record_batch::RecordBatch;

use super::cells::{Cells, Values, json_key, quoted};
use super::nested::{self, KeySpans, Notation};
use super::{Encoder, Unfit, copy, escape, rows};
use crate::model::{Column, ColumnType};

const NULL: &[u8] = b"null";

/// Writes JSON.
pub(super) struct Json {
    // Each column's type, and what stands in front of its value.
    columns: Vec<(Vec<u8>, ColumnType)>,
    keys: KeySpans,
}

impl Json {
    pub(super) fn new(columns: &[Column]) -> Self {
        let keyed = |(index, column): (usize, &Column)| (json_key(index, &column.name), column.ty.clone());
        Self { columns: columns.iter().enumerate().map(keyed).collect(), keys: KeySpans::new() }
    }
}

impl Encoder for Json {
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>, ends: &mut Vec<usize>, aside: &mut Vec<usize>) {
        let Self { columns, keys } = self;
        let columns: Vec<_> = columns
            .iter()
            .zip(batch.columns())
            .map(|((key, ty), array)| (key.as_slice(), Cells::resolve(ty, array.as_ref())))
            .collect();
        let fixed_bytes_max: usize =
            columns.iter().map(|(key, cells)| key.len() + cells.bytes_max() + NULL.len()).sum::<usize>() + 2;
        rows(batch.num_rows(), out, ends, aside, |row, out| {
            out.reserve(fixed_bytes_max);
            keys.clear();
            for (key, cells) in &columns {
                copy::append(key, out);
                Document::value(cells, row, out, keys)?;
            }
            out.extend_from_slice(b"}\n");
            Ok(())
        });
    }
}

/// A value, at the top or inside another.
struct Document;

impl Notation for Document {
    #[inline]
    fn value(cells: &Cells<'_>, row: usize, out: &mut Vec<u8>, keys: &mut KeySpans) -> Result<(), Unfit> {
        if cells.is_null(row) {
            out.extend_from_slice(NULL);
            return Ok(());
        }
        match &cells.values {
            Values::Scalar(scalar) if scalar.is_json_string() => quoted(scalar, row, out)?,
            Values::Scalar(scalar) => scalar.append(row, out)?,
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
            Values::Scalar(scalar) => quoted(scalar, row, out),
            Values::Text(values) => {
                escape::json_string(values.get(row), out);
                Ok(())
            }
            // `carries` keeps maps with such keys away.
            _ => Err(Unfit),
        }
    }
}
