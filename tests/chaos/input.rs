//! What is loaded: rows that vouch for themselves, in each format.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::dice::mixed;

/// The formats that a round may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Format {
    Csv,
    Ndjson,
    Parquet,
}

impl Format {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
        }
    }
}

/// What the table has to hold in the end: the rows, the ids that are different, the sum of their hashes, and the
/// characters of their texts.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(crate) struct Sums {
    pub(crate) rows: u64,
    pub(crate) ids: u64,
    pub(crate) hashes: u64,
    pub(crate) characters: u64,
}

/// An input and what it comes to.
pub(crate) struct Input {
    /// The records that no table can take. They end in the rejects file.
    pub(crate) rejects: u64,
    pub(crate) sums: Sums,
}

/// Follows from the id; a million fit into a sum.
fn hash(id: u64) -> u64 {
    mixed(id) >> 24
}

/// Texts with everything that could be cut or read in the wrong place.
fn text(id: u64) -> Option<String> {
    match id % 7 {
        0 => None,
        1 => Some(format!("line {id}\nand {id},{id}\r\n\"quoted\", and more\n")),
        2 => Some("ü €\u{1f600} \\N \\ '".to_owned()),
        3 => Some(String::new()),
        4 => Some("x".repeat(usize::try_from(id % 90).unwrap())),
        _ => Some(format!("{id}")),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Whether a record is put before the row of this id that nobody can read.
fn spoilt_before(id: u64, rows: u64, rejects: u64) -> bool {
    rejects > 0 && id.is_multiple_of(rows / rejects)
}

impl Input {
    /// Writes an input; a typed format has no records that cannot be read.
    pub(crate) fn write(path: &Path, format: Format, rows: u64, rejects: u64) -> Self {
        let rejects = if format == Format::Parquet { 0 } else { rejects };
        let mut written = 0;
        match format {
            Format::Csv => {
                let mut csv = String::from("id,hash,text\n");
                for id in 1..=rows {
                    if spoilt_before(id, rows, rejects) {
                        let _ = writeln!(csv, "{id},1,spoilt,by,fields");
                        written += 1;
                    }
                    let text = text(id).map(|text| quoted(&text)).unwrap_or_default();
                    let _ = writeln!(csv, "{id},{},{text}", hash(id));
                }
                fs::write(path, csv).unwrap();
            }
            Format::Ndjson => {
                let mut lines = String::new();
                for id in 1..=rows {
                    if spoilt_before(id, rows, rejects) {
                        let _ = writeln!(lines, "{{\"id\": {id}, \"spoilt");
                        written += 1;
                    }
                    let row = serde_json::json!({ "id": id, "hash": hash(id), "text": text(id) });
                    let _ = writeln!(lines, "{row}");
                }
                fs::write(path, lines).unwrap();
            }
            Format::Parquet => fs::write(path, parquet(rows)).unwrap(),
        }
        assert_eq!(written, rejects, "as many as asked for");
        let characters = |id| text(id).map_or(0, |text| text.chars().count() as u64);
        let sums =
            Sums { rows, ids: rows, hashes: (1..=rows).map(hash).sum(), characters: (1..=rows).map(characters).sum() };
        Self { rejects, sums }
    }
}

fn parquet(rows: u64) -> Vec<u8> {
    let number = |number: u64| i64::try_from(number).unwrap();
    let columns: [(&str, ArrayRef); 3] = [
        ("id", Arc::new((1..=rows).map(|id| Some(number(id))).collect::<Int64Array>())),
        ("hash", Arc::new((1..=rows).map(|id| Some(number(hash(id)))).collect::<Int64Array>())),
        ("text", Arc::new((1..=rows).map(text).collect::<StringArray>())),
    ];
    let nullable = columns.into_iter().map(|(name, column)| (name, column, true));
    let batch = RecordBatch::try_from_iter_with_nullable(nullable).unwrap();
    let groups = WriterProperties::builder().set_max_row_group_row_count(Some(700)).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(groups)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}
