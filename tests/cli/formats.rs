//! Every format and every compression, from a file and from standard input, through the real binary into the sandbox.

use std::fs::File;
use std::io::{Cursor, Write};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, ListArray, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use serde_json::json;

use super::support::World;

const TABLE: &str = "sandbox:demo/people";
const CSV: &str =
    "id,name,score,at\n1,Ada,1.5,2026-01-02 03:04:05\n2,\"two\nlines, \"\"quoted\"\"\",-2.25,2026-01-02\n3,,,\n";
const NDJSON: &str = concat!(
    r#"{"id":1,"name":"Ada","score":1.5,"at":"2026-01-02 03:04:05"}"#,
    "\n",
    r#"{"id":2,"name":"two\nlines, \"quoted\"","score":-2.25,"at":"2026-01-02"}"#,
    "\n",
    r#"{"id":3,"name":null,"at":null}"#,
    "\n"
);

fn expected() -> Vec<serde_json::Value> {
    vec![
        json!({"id": 1, "name": "Ada", "score": 1.5, "at": "2026-01-02 03:04:05"}),
        json!({"id": 2, "name": "two\nlines, \"quoted\"", "score": -2.25, "at": "2026-01-02 00:00:00"}),
        json!({"id": 3, "name": null, "score": null, "at": null}),
    ]
}

fn check(world: &World, what: &str) {
    assert_eq!(world.rows("demo", "select id, name, score, `at` from people order by id"), expected(), "{what}");
}

fn load_file(name: &str, content: &[u8]) {
    let world = World::new();
    let path = world.file(name, content);
    let report = world.import(&[&path, "--to", TABLE]).loaded();
    assert_eq!((&report["rows_loaded"], &report["rows_rejected"]), (&json!(3), &json!(0)), "{name}");
    check(&world, name);
}

fn load_stdin(what: &str, content: &[u8], flags: &[&str]) {
    let world = World::new();
    let ran = world.run_with_input(&[&["import", "-", "--to", TABLE, "--output", "json"], flags].concat(), content);
    assert_eq!(ran.loaded()["rows_loaded"], json!(3), "{what}");
    check(&world, what);
}

fn json_array() -> String {
    format!("[{}]", NDJSON.trim_end().replace('\n', ",\n"))
}

fn batch() -> RecordBatch {
    let at = |text: [Option<i64>; 3]| Arc::new(TimestampMicrosecondArray::from(text.to_vec())) as ArrayRef;
    let names = StringArray::from(vec![Some("Ada"), Some("two\nlines, \"quoted\""), None]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ("name", Arc::new(names)),
        ("score", Arc::new(Float64Array::from(vec![Some(1.5), Some(-2.25), None]))),
        ("at", at([Some(1_767_323_045_000_000), Some(1_767_312_000_000_000), None])),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

pub(crate) fn parquet(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

pub(crate) fn arrow_file(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

pub(crate) fn arrow_stream(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

/// The same text under each compression, with the ending that its file would have.
fn compressed(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(text.as_bytes()).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    bzip2.write_all(text.as_bytes()).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
    xz.write_all(text.as_bytes()).unwrap();
    vec![
        ("gz", gzip.finish().unwrap()),
        ("zst", zstd::encode_all(Cursor::new(text), 3).unwrap()),
        ("lz4", lz4.finish().unwrap()),
        ("bz2", bzip2.finish().unwrap()),
        ("xz", xz.finish().unwrap()),
    ]
}

#[test]
fn text_formats_load_from_files() {
    load_file("people.csv", CSV.as_bytes());
    load_file(
        "bom-and-crlf.csv",
        format!(
            "\u{feff}{}",
            CSV.replace("two\nlines", "two@lines").replace('\n', "\r\n").replace("two@lines", "two\nlines")
        )
        .as_bytes(),
    );
    load_file(
        "people.tsv",
        CSV.replace("lines, ", "lines; ").replace(',', "\t").replace("lines; ", "lines, ").as_bytes(),
    );
    load_file("people.ndjson", NDJSON.as_bytes());
    load_file("people.json", json_array().as_bytes());
}

#[test]
fn binary_formats_load_from_files() {
    load_file("people.parquet", &parquet(&batch()));
    load_file("people.arrow", &arrow_file(&batch()));
    load_file("people.arrows", &arrow_stream(&batch()));
}

#[test]
fn every_compression_around_csv() {
    for (ending, bytes) in compressed(CSV) {
        load_file(&format!("people.csv.{ending}"), &bytes);
    }
}

#[test]
fn every_compression_around_json() {
    for (ending, bytes) in compressed(NDJSON) {
        load_file(&format!("people.ndjson.{ending}"), &bytes);
    }
    for (ending, bytes) in compressed(&json_array()) {
        load_file(&format!("people.json.{ending}"), &bytes);
    }
}

#[test]
fn every_streamable_format_loads_from_standard_input() {
    load_stdin("csv", CSV.as_bytes(), &[]);
    load_stdin("ndjson", NDJSON.as_bytes(), &[]);
    load_stdin("json", json_array().as_bytes(), &["--format", "json"]);
    load_stdin("arrow stream", &arrow_stream(&batch()), &[]);
    for (ending, bytes) in compressed(CSV) {
        load_stdin(ending, &bytes, &[]);
    }
}

#[test]
fn every_compression_and_wire_on_the_way_to_the_server() {
    for wire in ["csv", "json"] {
        for compression in ["none", "lz4", "zstd", "gzip"] {
            let world = World::new();
            let path = world.file("people.csv", CSV);
            let flags = ["--wire", wire, "--compression", compression];
            world.import(&[&[path.as_str(), "--to", TABLE], &flags[..]].concat()).loaded();
            check(&world, &format!("{wire} {compression}"));
        }
    }
}

#[test]
fn nested_columns_of_parquet_arrive_as_they_were() {
    let numbers = vec![Some(vec![Some(1), None, Some(3)]), None, Some(vec![])];
    let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(numbers));
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a \"b\""), None, Some("\\N")]));
    let fields = vec![(Arc::new(Field::new("name", DataType::Utf8, true)), names)];
    let pair: ArrayRef = Arc::new(StructArray::from(fields));
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let columns = [("id", ids, true), ("list", list, true), ("pair", pair, true)];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();

    let world = World::new();
    let path = world.file("nested.parquet", parquet(&batch));
    world.import(&[&path, "--to", "sandbox:demo/nested"]).loaded();
    let rows = world.rows("demo", "select id, list, pair from nested order by id");
    let column = |name: &str| rows.iter().map(|row| row[name].clone()).collect::<Vec<_>>();
    assert_eq!(column("list"), [json!([1, null, 3]), json!(null), json!([])]);
    let pairs = [json!({"name": "a \"b\""}), json!({"name": null}), json!({"name": "\\N"})];
    assert_eq!(column("pair"), pairs);
}

#[test]
fn what_csv_cannot_carry_travels_beside_it_and_arrives() {
    let world = World::new();
    let path = world.file("markers.csv", "id,text\n1,plain\n2,\\N\n3,\n4,\"\"\n5,\"\\\"\n");
    let report = world.import(&[&path, "--to", "sandbox:demo/markers"]).loaded();
    assert_eq!(report["loads"].as_array().unwrap().len(), 2, "one ordinary load and a side load: {report}");
    let texts: Vec<_> = world
        .rows("demo", "select id, text from markers order by id")
        .into_iter()
        .map(|row| row["text"].clone())
        .collect();
    assert_eq!(texts, [json!("plain"), json!("\\N"), json!(null), json!(""), json!("\\")]);
}

#[test]
fn folders_globs_and_several_files_are_one_job() {
    let world = World::new();
    let one = world.file("in/a.csv", "id,name\n1,a\n2,b\n");
    world.file("in/deep/b.csv", "name,id\nc,3\n");
    world.file("in/c.ndjson", "{\"id\":4,\"name\":\"d\"}\n");
    let folder = world.path().join("in").display().to_string();
    let report = world.import(&[&folder, "--to", "sandbox:demo/many"]).loaded();
    assert_eq!(report["inputs"].as_array().unwrap().len(), 3);
    let rows = world.rows("demo", "select id, name from many order by id");
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);

    let glob = format!("{folder}/*.csv");
    let report = world.import(&[&glob, "--to", "sandbox:demo/globbed"]).loaded();
    assert_eq!((&report["rows_loaded"], &report["inputs"][0]["path"]), (&json!(2), &json!(one)));
}

#[test]
fn dialects_are_what_the_flags_say() {
    let world = World::new();
    let path = world.file("odd.txt", "1|'it''s'|NA\n2|NA|'NA'\n");
    world.file("create.csv", "id,a,b\n0,x,y\n");
    world.import(&["create.csv", "--to", "sandbox:demo/odd"]).loaded();
    let flags = ["--format", "csv", "--csv-delimiter", "|", "--csv-quote", "'", "--csv-null", "NA", "--no-csv-header"];
    world.import(&[&[path.as_str(), "--to", "sandbox:demo/odd"], &flags[..]].concat()).loaded();
    let rows = world.rows("demo", "select id, a, b from odd where id > 0 order by id");
    assert_eq!(rows, [json!({"id": 1, "a": "it's", "b": null}), json!({"id": 2, "a": null, "b": "NA"})]);
}

#[test]
fn columns_are_mapped_computed_and_filtered() {
    let world = World::new();
    world.file("create.csv", "id,name,loud\n0,x,X\n");
    world.import(&["create.csv", "--to", "sandbox:demo/mapped"]).loaded();
    let path = world.file("people.csv", "number,called,unused\n1,ada,x\n2,bob,y\n3,eve,z\n");
    let columns = "number, called, id=number, name=called, loud=upper(called)";
    let report =
        world.import(&[&path, "--to", "sandbox:demo/mapped", "--columns", columns, "--where", "id <> 2"]).loaded();
    assert_eq!((&report["rows_loaded"], &report["rows_unselected"]), (&json!(2), &json!(1)));
    let rows = world.rows("demo", "select id, name, loud from mapped where id > 0 order by id");
    assert_eq!(rows, [json!({"id": 1, "name": "ada", "loud": "ADA"}), json!({"id": 3, "name": "eve", "loud": "EVE"})]);
}

#[test]
fn memory_stays_under_its_limit_whatever_the_size_of_the_file() {
    const MIB: u64 = 1 << 20;
    let world = World::new();
    let path = world.path().join("big.csv");
    let mut file = std::io::BufWriter::new(File::create(&path).unwrap());
    writeln!(file, "id,text,number").unwrap();
    let text = "x".repeat(180);
    for id in 0..540_000 {
        writeln!(file, "{id},{text},{}.25", id % 977).unwrap();
    }
    drop(file);
    let size = path.metadata().unwrap().len();
    assert!(size > 95 * MIB);
    let sandbox = world.sandbox(&["--discard"]);
    world.run(&["sql", "select 1", "--to", "sandbox:demo"]);
    let ddl_source = world.file("create.csv", "id,text,number\n1,x,0.5\n");
    world.import(&[&ddl_source, "--to", "sandbox:demo/big"]).loaded();
    let flags = ["--memory", "208MiB", "--load-size", "8MiB"];
    let report =
        world.import(&[&[path.to_str().unwrap(), "--to", &sandbox.target("demo/big")], &flags[..]].concat()).loaded();
    assert_eq!(report["rows_loaded"], json!(540_000));
    let peak = report["peak_memory_bytes"].as_u64().unwrap();
    assert!(peak < 208 * MIB, "{} MiB of 208", peak / MIB);
}
