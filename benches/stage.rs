//! One bench per stage between a file and the wire, on one core, in bytes and in rows per second.
//!
//! Each stage is a function over the same rows, so that figures of stages can be added up. Rates are over the bytes of the
//! file or text that a stage reads (readers, codecs) or writes (encoders).

use std::hint::black_box;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use parquet::arrow::ArrowWriter;
use shipload::compressor::Compressor;
use shipload::encoder;
use shipload::model::table::arrow_schema;
use shipload::model::{Codec, Column, WireFormat};
use shipload::reader::{CsvOptions, FieldRef, Format, Options, Projected, probe};
use shipload::source::Opened;

/// Rows of a batch, as readers make them.
const BATCH_ROWS: usize = 8192;

/// Batches per turn: about 16 MB of CSV, more than the caches hold.
const BATCHES: usize = 16;

/// The columns of TPC-H's `lineitem`: the mixture of keys, money, dates, flags and text that bulk loads are made of.
const LINEITEM: [(&str, &str); 16] = [
    ("l_orderkey", "BIGINT"),
    ("l_partkey", "INT"),
    ("l_suppkey", "INT"),
    ("l_linenumber", "INT"),
    ("l_quantity", "DECIMAL(15,2)"),
    ("l_extendedprice", "DECIMAL(15,2)"),
    ("l_discount", "DECIMAL(15,2)"),
    ("l_tax", "DECIMAL(15,2)"),
    ("l_returnflag", "CHAR(1)"),
    ("l_linestatus", "CHAR(1)"),
    ("l_shipdate", "DATE"),
    ("l_commitdate", "DATE"),
    ("l_receiptdate", "DATE"),
    ("l_shipinstruct", "VARCHAR(25)"),
    ("l_shipmode", "VARCHAR(10)"),
    ("l_comment", "VARCHAR(64)"),
];

const WORDS: [&str; 12] = [
    "carefully",
    "final",
    "deposits",
    "sleep",
    "quickly",
    "across",
    "the",
    "ironic",
    "requests",
    "haggle",
    "blithely",
    "even",
];

criterion_group! {
    name = stages;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_secs(1));
    targets = read, encode, compress
}
criterion_main!(stages);

/// File to batches: each format, per byte of the file and per row.
fn read(criterion: &mut Criterion) {
    let (columns, batches) = (lineitem_columns(), lineitem());
    let csv = CsvOptions { header: Some(false), escape: Some(b'\\'), ..CsvOptions::default() };
    let projected = |name: &dyn Fn(usize, &Column) -> FieldRef| -> Vec<Projected> {
        let sources = columns.iter().enumerate().map(|(index, column)| name(index, column));
        columns.iter().cloned().zip(sources).map(|(column, source)| Projected { column, source }).collect()
    };
    let by_index = projected(&|index, _| FieldRef::Index(index));
    let by_name = projected(&|_, column| FieldRef::Name(column.name.clone()));
    for (format, bytes, projected) in [
        (Format::Csv, text(WireFormat::Csv, &columns, &batches), &by_index),
        (Format::NdJson, text(WireFormat::Json, &columns, &batches), &by_name),
        (Format::Parquet, parquet(&batches), &by_index),
    ] {
        let mut file = tempfile::tempfile().expect("a folder for temporary files");
        file.write_all(&bytes).expect("room for a file");
        let options = Options { format: Some(format), csv: csv.clone() };
        let turn = || {
            let mut file = file.try_clone().expect("a file can be opened twice");
            file.rewind().expect("files can be rewound");
            let probed = probe(Path::new("lineitem"), Opened::File(file), &options).expect("the format is known");
            let mut reader = probed.into_reader(projected.clone(), None).expect("every column is there");
            let mut rows = 0;
            while let Some(batch) = reader.next(&mut Vec::new()).expect("the file is whole") {
                rows += black_box(batch).rows.num_rows();
            }
            rows
        };
        assert_eq!(turn(), BATCHES * BATCH_ROWS, "every row is read");
        let mut group = criterion.benchmark_group(format!("read/{format}"));
        group.throughput(Throughput::Bytes(bytes.len() as u64)).bench_function("bytes", |bencher| bencher.iter(turn));
        let rows = (BATCHES * BATCH_ROWS) as u64;
        group.throughput(Throughput::Elements(rows)).bench_function("rows", |bencher| bencher.iter(turn));
        group.finish();
    }
}

/// The rows as a Parquet file of the writer's own choices.
fn parquet(batches: &[RecordBatch]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batches[0].schema(), None).expect("the types are Parquet's too");
    for batch in batches {
        writer.write(batch).expect("memory takes what is written");
    }
    writer.close().expect("memory takes what is written");
    bytes
}

/// Batch to text: CSV and JSON, per byte of text and per row.
fn encode(criterion: &mut Criterion) {
    let (columns, batches) = (lineitem_columns(), lineitem());
    for (name, format) in [("csv", WireFormat::Csv), ("json", WireFormat::Json)] {
        let mut out = text(format, &columns, &batches);
        let mut encoder = encoder::new(format, &columns);
        let mut turn = || {
            out.clear();
            for batch in &batches {
                encoder.encode(black_box(batch), &mut out, &mut Vec::new(), &mut Vec::new());
            }
            out.len() as u64
        };
        let bytes = turn();
        let mut group = criterion.benchmark_group(format!("encode/{name}"));
        group.throughput(Throughput::Bytes(bytes)).bench_function("bytes", |bencher| bencher.iter(&mut turn));
        let rows = (BATCHES * BATCH_ROWS) as u64;
        group.throughput(Throughput::Elements(rows)).bench_function("rows", |bencher| bencher.iter(&mut turn));
        group.finish();
    }
}

/// Text to body: each codec, per byte of CSV.
fn compress(criterion: &mut Criterion) {
    let text = text(WireFormat::Csv, &lineitem_columns(), &lineitem());
    let mut group = criterion.benchmark_group("compress");
    group.throughput(Throughput::Bytes(text.len() as u64));
    for codec in [Codec::None, Codec::Lz4, Codec::Zstd, Codec::Gzip] {
        let mut body = Vec::with_capacity(text.len());
        group.bench_function(codec.name(), |bencher| {
            bencher.iter(|| {
                body.clear();
                let mut compressor = Compressor::new(codec, &mut body);
                // As text arrives from an encoder: in pieces of about a megabyte.
                for piece in black_box(&text).chunks(1 << 20) {
                    compressor.write_all(piece).expect("memory takes what is written");
                }
                compressor.finish().expect("memory takes what is written").len()
            });
        });
    }
    group.finish();
}

fn text(format: WireFormat, columns: &[Column], batches: &[RecordBatch]) -> Vec<u8> {
    let (mut encoder, mut out, mut aside) = (encoder::new(format, columns), Vec::new(), Vec::new());
    for batch in batches {
        encoder.encode(batch, &mut out, &mut Vec::new(), &mut aside);
    }
    assert!(aside.is_empty(), "every row of the data can travel");
    out
}

fn lineitem_columns() -> Vec<Column> {
    let parse = |(name, ty): (&str, &str)| Column::new(name, ty.parse().expect("every text is a type"));
    LINEITEM.into_iter().map(parse).collect()
}

fn lineitem() -> Vec<RecordBatch> {
    let schema = arrow_schema(&lineitem_columns());
    let mut draw = Draw(42);
    (0..BATCHES)
        .map(|batch| {
            let arrays = (0..LINEITEM.len()).map(|column| lineitem_column(column, batch, &mut draw)).collect();
            RecordBatch::try_new(Arc::clone(&schema), arrays).expect("columns are of the schema's types")
        })
        .collect()
}

fn lineitem_column(column: usize, batch: usize, draw: &mut Draw) -> ArrayRef {
    match column {
        0 => {
            let order = |row| i64::try_from((batch * BATCH_ROWS + row) / 4).expect("a small number");
            Arc::new(Int64Array::from_iter_values((0..BATCH_ROWS).map(order)))
        }
        1 => integers(draw, 200_000),
        2 => integers(draw, 10_000),
        3 => integers(draw, 7),
        4 => money(draw, 50, 100),
        5 => money(draw, 10_000_000, 1),
        6 | 7 => money(draw, 10, 1),
        8 => strings(draw, &["A", "N", "R"]),
        9 => strings(draw, &["F", "O"]),
        10..=12 => Arc::new(Date32Array::from_iter_values((0..BATCH_ROWS).map(|_| 8000 + draw.below_i32(2500)))),
        13 => strings(draw, &["DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"]),
        14 => strings(draw, &["AIR", "FOB", "MAIL", "RAIL", "REG AIR", "SHIP", "TRUCK"]),
        _ => {
            let comment = |_| {
                let words = (0..2 + draw.below(4)).map(|_| WORDS[draw.below(WORDS.len())]);
                words.collect::<Vec<_>>().join(" ")
            };
            Arc::new(StringArray::from_iter_values((0..BATCH_ROWS).map(comment)))
        }
    }
}

fn integers(draw: &mut Draw, most: i32) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values((0..BATCH_ROWS).map(|_| 1 + draw.below_i32(most))))
}

fn money(draw: &mut Draw, most: i32, cents: i128) -> ArrayRef {
    let values = (0..BATCH_ROWS).map(|_| i128::from(draw.below_i32(most)) * cents);
    let array = Decimal128Array::from_iter_values(values).with_precision_and_scale(15, 2);
    Arc::new(array.expect("15 digits hold these values"))
}

fn strings(draw: &mut Draw, choices: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..BATCH_ROWS).map(|_| choices[draw.below(choices.len())])))
}

/// Numbers that are the same in every run, so that runs can be compared (Vigna's splitmix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed >> 32) % bound as u64).expect("below a usize")
    }

    fn below_i32(&mut self, bound: i32) -> i32 {
        let bound = usize::try_from(bound).expect("bounds are positive");
        i32::try_from(self.below(bound)).expect("below an i32")
    }
}
