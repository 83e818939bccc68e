//! CSV, profile A (SR §6.5), for servers told `enclose: "` and `escape: \`.
//!
//! Strings are quoted always, and so is all that is written like one: JSON, base64, arrays and maps. Numbers and dates are
//! not: no byte of theirs means anything to the server's parser (SR §6.3), and nothing trims an unquoted field unless
//! asked to. So every field is at least one byte long, no row is blank, and no row is skipped.
//!
//! NULL is written `\\N`: unquoted, the escape byte vanishes and leaves `\N`. The server compares after unquoting, in
//! every column, so that a string `\N` cannot travel here at all (SR §6.2).

use arrow::record_batch::RecordBatch;

use super::cells::{Cells, Values, quoted};
use super::nested::{self, KeySpans, Notation};
use super::{Encoder, Unfit, escape, rows};
use crate::model::{Column, ColumnType};

/// What NULL looks like on the wire.
pub(super) const NULL: &[u8] = br"\\N";

/// What the server takes for NULL once quotes and escapes are gone.
pub(super) const NULL_DECODED: &[u8] = br"\N";

/// Writes CSV.
pub(super) struct Csv {
    types: Vec<ColumnType>,
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
        Self { types: columns.iter().map(|column| column.ty.clone()).collect(), scratch: Scratch::default() }
    }
}

impl Encoder for Csv {
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>, ends: &mut Vec<usize>, aside: &mut Vec<usize>) {
        let Self { types, scratch } = self;
        let columns: Vec<_> =
            types.iter().zip(batch.columns()).map(|(ty, array)| Cells::resolve(ty, array.as_ref())).collect();
        let fixed_bytes_max: usize = columns.iter().map(|cells| cells.bytes_max() + NULL.len() + 1).sum();
        rows(batch.num_rows(), out, ends, aside, |row, out| {
            out.reserve(fixed_bytes_max);
            for cells in &columns {
                field(cells, row, out, scratch)?;
                out.push(b',');
            }
            if let Some(last) = out.last_mut() {
                *last = b'\n';
            }
            Ok(())
        });
    }
}

#[inline]
fn field(cells: &Cells<'_>, row: usize, out: &mut Vec<u8>, scratch: &mut Scratch) -> Result<(), Unfit> {
    if cells.is_null(row) {
        out.extend_from_slice(NULL);
        return Ok(());
    }
    match &cells.values {
        Values::Scalar(scalar) => scalar.append(row, out)?,
        Values::Text(values) => super::csv_text(values.get(row), out)?,
        Values::Json(values) => escape::csv_field(values.value(row).as_bytes(), out),
        Values::Binary(values) => escape::base64(values.value(row), out),
        Values::List { .. } | Values::Map { .. } | Values::Struct(_) => {
            scratch.text.clear();
            scratch.keys.clear();
            Element::value(cells, row, &mut scratch.text, &mut scratch.keys)?;
            escape::csv_field(&scratch.text, out);
        }
    }
    Ok(())
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
            Values::Scalar(scalar) if scalar.is_csv_element_string() => quoted(scalar, row, out),
            Values::Scalar(scalar) => scalar.append(row, out),
            Values::Text(values) => {
                escape::csv_element(values.get(row), out);
                Ok(())
            }
            // `carries` keeps such columns away from CSV.
            _ => Err(Unfit),
        }
    }
}
