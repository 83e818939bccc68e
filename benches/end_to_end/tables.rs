//! The tables that are loaded: TPC-H's `lineitem`, a wide one of floating-point numbers, and one whose text is all quotes.
//!
//! Each is written once as CSV, Parquet and NDJSON with the same rows, and kept for the next run. Rows depend on nothing but
//! the table and the scale, so that figures of two machines are about the same bytes.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use tpchgen::csv::LineItemCsv;
use tpchgen::generators::LineItemGenerator;
use tpchgen_arrow::LineItemArrow;

use crate::Failure;

/// Rows of a batch.
const BATCH_ROWS: u64 = 8192;

/// A table to load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Table {
    /// Keys, money, dates, flags and text: 6 million rows and 766 MB of CSV at scale 1.
    Lineitem,
    /// So many columns, of which four in five are floating-point numbers; 1 GB of CSV at scale 1, however many they are.
    Floats(u64),
    /// Quoted line ends, delimiters and quotes, empty strings beside NULL: 1 GB of CSV at scale 1.
    Quoted,
}

impl Table {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Lineitem => "lineitem".to_owned(),
            Self::Floats(columns) => format!("floats{columns}"),
            Self::Quoted => "quoted".to_owned(),
        }
    }

    fn parse(name: &str) -> Option<Self> {
        match name {
            "lineitem" => Some(Self::Lineitem),
            "quoted" => Some(Self::Quoted),
            _ => Some(Self::Floats(name.strip_prefix("floats")?.parse().ok()?)),
        }
    }

    fn schema(self) -> Result<Arc<Schema>, Failure> {
        match self.batches(0.0001).next() {
            Some(batch) => Ok(batch?.schema()),
            None => Err("a table has rows".into()),
        }
    }

    fn batches(self, scale: f64) -> Box<dyn Iterator<Item = Result<RecordBatch, Failure>>> {
        match self {
            Self::Lineitem => {
                let rows = LineItemArrow::new(LineItemGenerator::new(scale, 1, 1));
                Box::new(rows.with_batch_size(8192).map(|batch| Ok(batch?)))
            }
            Self::Floats(columns) => {
                // 12 bytes a cell.
                made(scale, 1e9 / (12.0 * as_float(columns)), move |dice, rows| floats(dice, rows, columns))
            }
            Self::Quoted => made(scale, 1e9 / 180.0, quoted),
        }
    }
}

/// Files of one table.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) csv: PathBuf,
    pub(crate) parquet: PathBuf,
    pub(crate) ndjson: PathBuf,
    /// With their types.
    pub(crate) columns: Vec<String>,
    pub(crate) rows: u64,
}

impl Files {
    pub(crate) fn csv_bytes(&self) -> Result<u64, Failure> {
        Ok(fs::metadata(&self.csv)?.len())
    }

    /// The statement that makes their table under this name, with its columns in the order of the file or turned round.
    pub(crate) fn ddl(&self, name: &str, turned: bool) -> String {
        let mut columns = self.columns.clone();
        if turned {
            // The first one stays where it is, since not every type can be a key.
            columns[1..].reverse();
        }
        let key = columns[0].split(' ').next().unwrap_or_default();
        format!(
            "CREATE TABLE IF NOT EXISTS {name} ({}) DUPLICATE KEY ({key}) DISTRIBUTED BY HASH ({key}) BUCKETS 4 \
             PROPERTIES ('replication_num' = '1')",
            columns.join(", ")
        )
    }
}

/// The files of a table, written by a process of their own if they are not there: how much memory a child takes is counted
/// from what its parent had, and the texts of `lineitem` are cut out of 300 MB.
pub(crate) fn files(folder: &Path, table: Table, scale: f64) -> Result<Files, Failure> {
    let stem = folder.join(format!("{}-{scale}", table.name()));
    let rows = stem.with_added_extension("rows");
    if !rows.exists() {
        eprintln!("writing {} in {}", table.name(), folder.display());
        let name = table.name();
        let written = std::process::Command::new(std::env::current_exe()?)
            .arg("generate")
            .args([name.as_str(), &scale.to_string()])
            .arg(&stem)
            .status()?;
        if !written.success() {
            return Err(format!("{name} could not be written").into());
        }
    }
    let columns = fs::read_to_string(rows)?;
    let (rows, columns) = columns.split_once('\n').ok_or("the columns follow the number of rows")?;
    let (rows, columns) = (rows.parse()?, columns.lines().map(str::to_owned).collect());
    let file = |format: &str| stem.with_added_extension(format);
    Ok(Files { csv: file("csv"), parquet: file("parquet"), ndjson: file("ndjson"), columns, rows })
}

/// What the process does that [`files`] starts.
pub(crate) fn generate(arguments: &[String]) -> Result<(), Failure> {
    let [table, scale, stem] = arguments else { return Err("generate takes a table, a scale and a path".into()) };
    let table = Table::parse(table).ok_or("no such table")?;
    let stem = PathBuf::from(stem);
    let create = |format: &str| File::create(stem.with_added_extension(format));
    let (mut csv, mut ndjson) = (BufWriter::new(create("csv")?), BufWriter::new(create("ndjson")?));
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let schema = table.schema()?;
    let mut parquet = ArrowWriter::try_new(create("parquet")?, Arc::clone(&schema), Some(properties))?;
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    writeln!(csv, "{}", names.join(","))?;
    let mut rows = 0;
    let scale = scale.parse()?;
    for batch in table.batches(scale) {
        let batch = batch?;
        parquet.write(&batch)?;
        // The CSV of lineitem follows.
        let mut csv: &mut dyn Write = if table == Table::Lineitem { &mut io::sink() } else { &mut csv };
        text(&batch, &mut csv, &mut ndjson)?;
        rows += batch.num_rows();
    }
    if table == Table::Lineitem {
        // As whoever makes it with tpchgen-cli has it.
        for item in LineItemGenerator::new(scale, 1, 1).iter() {
            writeln!(csv, "{}", LineItemCsv::new(item))?;
        }
    }
    parquet.close()?;
    csv.flush()?;
    ndjson.flush()?;
    let mut summary = format!("{rows}\n");
    for field in schema.fields() {
        writeln!(summary, "{} {}", field.name(), sql(field.data_type())?)?;
    }
    // Last, since it says that the others are whole.
    Ok(fs::write(stem.with_added_extension("rows"), summary)?)
}

/// Writes rows as CSV and as NDJSON.
fn text(batch: &RecordBatch, csv: &mut impl Write, ndjson: &mut impl Write) -> Result<(), Failure> {
    let options = FormatOptions::default().with_timestamp_format(Some("%Y-%m-%d %H:%M:%S"));
    let cells: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<_, _>>()?;
    let schema = batch.schema();
    for row in 0..batch.num_rows() {
        for (index, (cell, field)) in cells.iter().zip(schema.fields()).enumerate() {
            let name = serde_json::to_string(field.name())?;
            write!(ndjson, "{}{name}:", if index == 0 { '{' } else { ',' })?;
            if index > 0 {
                csv.write_all(b",")?;
            }
            if batch.column(index).is_null(row) {
                ndjson.write_all(b"null")?;
                continue;
            }
            let value = cell.value(row).to_string();
            if field.data_type().is_numeric() {
                ndjson.write_all(value.as_bytes())?;
            } else {
                serde_json::to_writer(&mut *ndjson, &value)?;
            }
            field_of_csv(&value, csv)?;
        }
        csv.write_all(b"\n")?;
        ndjson.write_all(b"}\n")?;
    }
    Ok(())
}

fn field_of_csv(value: &str, csv: &mut impl Write) -> io::Result<()> {
    if value.is_empty() || value.contains([',', '"', '\r', '\n']) {
        write!(csv, "\"{}\"", value.replace('"', "\"\""))
    } else {
        csv.write_all(value.as_bytes())
    }
}

fn sql(ty: &DataType) -> Result<String, Failure> {
    Ok(match ty {
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision},{scale})"),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Timestamp(..) => "DATETIME".to_owned(),
        DataType::Utf8 | DataType::Utf8View => "VARCHAR(1000)".to_owned(),
        ty => return Err(format!("no column of the bench is of type {ty}").into()),
    })
}

/// Knuth's multiplicative generator: enough disorder for lengths and digits to vary.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Batches made from dice: `rows_per_scale` rows at scale 1.
fn made(
    scale: f64,
    rows_per_scale: f64,
    batch: impl Fn(&mut Dice, u64) -> Vec<(String, ArrayRef)> + 'static,
) -> Box<dyn Iterator<Item = Result<RecordBatch, Failure>>> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of rows, more or less")]
    let rows = (scale * rows_per_scale).max(1.0) as u64;
    let mut dice = Dice(42);
    let batches = (0..rows.div_ceil(BATCH_ROWS)).map(move |number| {
        let count = BATCH_ROWS.min(rows - number * BATCH_ROWS);
        Ok(RecordBatch::try_from_iter_with_nullable(
            batch(&mut dice, count).into_iter().map(|(name, cells)| (name, cells, true)),
        )?)
    });
    Box::new(batches)
}

/// Of five columns one is a key, a time or a word by turns; of the others every second one has all its digits.
fn floats(dice: &mut Dice, rows: u64, columns: u64) -> Vec<(String, ArrayRef)> {
    let column = |index: u64| -> ArrayRef {
        match index % 15 {
            0 => Arc::new(
                (0..rows).map(|_| Some(i64::try_from(dice.next(1 << 40)).unwrap_or_default())).collect::<Int64Array>(),
            ),
            5 => {
                let times = (0..rows)
                    .map(|_| Some((1_700_000_000 + i64::try_from(dice.next(1 << 25)).unwrap_or_default()) * 1_000_000));
                Arc::new(times.collect::<TimestampMicrosecondArray>())
            }
            10 => Arc::new(
                (0..rows).map(|_| Some(["card", "cash", "none", "voucher"][pick(dice, 4)])).collect::<StringArray>(),
            ),
            odd if odd % 2 == 1 => {
                // One in sixteen is missing.
                let cells = (0..rows).map(|_| (dice.next(16) > 0).then(|| as_float(dice.next(1 << 30)) / 1_234_567.0));
                Arc::new(cells.collect::<Float64Array>())
            }
            _ => Arc::new((0..rows).map(|_| Some(as_float(dice.next(100_000)) / 100.0)).collect::<Float64Array>()),
        }
    };
    let names = (0..columns).map(|index| format!("c{index}"));
    names.zip((0..columns).map(column).collect::<Vec<_>>()).collect()
}

const PHRASES: [&str; 8] = [
    "plain words",
    "a, b, c",
    "she said \"no\", twice",
    "two\nlines",
    "three\r\nlines\r\nof text",
    "größer – 中文 🙂",
    "\"\"",
    "back\\slash",
];

fn quoted(dice: &mut Dice, rows: u64) -> Vec<(String, ArrayRef)> {
    let mut words = |nulls: u64| -> ArrayRef {
        let cells = (0..rows).map(|_| {
            let phrases = dice.next(5);
            let text: Vec<&str> = (0..phrases).map(|_| PHRASES[pick(dice, 8)]).collect();
            // Without phrases it is NULL or the empty string.
            (phrases > 0 || dice.next(nulls) > 0).then(|| text.join(" "))
        });
        Arc::new(cells.collect::<StringArray>())
    };
    let (title, body, note) = (words(2), words(3), words(2));
    let code: ArrayRef = Arc::new((0..rows).map(|_| i32::try_from(dice.next(1_000_000)).ok()).collect::<Int32Array>());
    let id: ArrayRef = Arc::new((0..rows).map(|_| i64::try_from(dice.next(1 << 40)).ok()).collect::<Int64Array>());
    let named = [("id", id), ("title", title), ("body", body), ("code", code), ("note", note)];
    named.into_iter().map(|(name, cells)| (name.to_owned(), cells)).collect()
}

fn pick(dice: &mut Dice, below: u64) -> usize {
    usize::try_from(dice.next(below)).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn as_float(count: u64) -> f64 {
    count as f64
}
