//! The relay of JSON on any bytes: it must neither panic nor find other rows or rejects than the way that all formats go.
//!
//! The test below runs it over random input; the crate in `fuzz/` has libFuzzer look for more.

use std::io::Cursor;
use std::path::Path;

use super::relay_json::JsonRelay;
use super::rows::Rows;
use crate::buffers::Buffers;
use crate::encoder;
use crate::model::{Column, Origin, WireFormat};
use crate::reader::json::{JsonReader, JsonText};
use crate::reader::{Block, FieldRef, Projected, Reader};

const COLUMNS: [(&str, &str); 6] =
    [("a", "INT"), ("b", "VARCHAR(6)"), ("c", "DECIMAL(5,2)"), ("d", "DATETIME"), ("e", "DOUBLE"), ("f", "JSON")];

/// Reads a text both ways. The first byte says for which wire.
///
/// # Panics
/// When the two ways differ.
pub fn json_relay(bytes: &[u8]) {
    let Some((choice, text)) = bytes.split_first() else { return };
    if text.trim_ascii_start().starts_with(b"[") || text.starts_with(b"\xEF\xBB\xBF") {
        return;
    }
    let wire = if choice % 2 == 0 { WireFormat::Csv } else { WireFormat::Json };
    let columns: Vec<Column> =
        COLUMNS.iter().map(|(name, ty)| Column::new(*name, ty.parse().expect("a type"))).collect();
    let project = |column: &Column| Projected { column: column.clone(), source: FieldRef::Name(column.name.clone()) };
    let projected: Vec<Projected> = columns.iter().map(project).collect();
    let stream = || Box::new(Cursor::new(text.to_vec()));
    let mut plain = Rows::default();
    let mut reader = JsonReader::new(Path::new("x"), stream(), projected.clone(), None);
    let mut encoder = encoder::new(wire, &columns);
    let whole = loop {
        match reader.next(&mut plain.rejects) {
            Ok(Some(batch)) => plain.append(&batch, encoder.as_mut()),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    let opened = JsonText::open(Path::new("x"), stream(), &projected, None).expect("memory can be read");
    let block = Block { bytes: text.to_vec().into(), byte: 0, last: true };
    let quick = JsonRelay::new(&opened.keys, wire, &columns).rows(&block, &Buffers::default());
    let first = |origin: &Origin| Origin { line: origin.line + 1, ..*origin };
    assert_eq!(whole, quick.open_quote.is_none() && quick.too_long.is_none());
    assert_eq!(plain.origins, quick.origins.iter().map(first).collect::<Vec<_>>());
    assert_eq!(plain.aside.len(), quick.aside.len());
    assert_eq!(plain.rejects.len(), quick.rejects.len());
    for (plain, quick) in plain.rejects.iter().zip(&quick.rejects) {
        assert_eq!(plain.origin, first(&quick.origin));
        assert_eq!((&plain.column, &plain.rule, &plain.raw), (&quick.column, &quick.rule, &quick.raw));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn random_text_is_read_alike_both_ways(
            parts in prop::collection::vec(
                prop::sample::select([
                    "{", "}", "[", "]", ",", ":", "\"", "\\", "\n", " ", "{\"a\":1", "\"a\":", "\"b\":", "\"c\":", "\"d\":",
                    "\"e\":", "\"f\":", "1", "-1.50", "1e5", "null", "true", "\"x\"", "\"2024-02-29 12:00:00\"", "\"\\u00e9\"",
                    "{\"a\":1,\"b\":\"x\"}\n", "[{\"a\":1}]", "é", "\t", "\r\n",
                ].as_slice()),
                0..30,
            ),
            choice: u8,
        ) {
            json_relay(&[&[choice], parts.concat().as_bytes()].concat());
        }
    }
}
