//! Files that were made to hurt, or by mistake: each gives an error that says what to do, and none ends the program.

use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::Schema;
use serde_json::json;

use super::formats::{arrow_file, arrow_stream, parquet};
use super::support::{Ran, World};

const TARGET: &str = "sandbox:demo/t";

fn import(name: &str, content: impl AsRef<[u8]>) -> Ran {
    let world = World::new();
    let path = world.file(name, content);
    world.import(&[&path, "--to", TARGET])
}

fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[test]
fn what_is_no_text_or_none_of_ours_is_named_with_what_to_do() {
    let latin: Vec<u8> = "id,gr\u{f6}\u{df}e\n1,2\n".chars().map(|letter| letter as u8).collect();
    for (name, content, code, words) in [
        ("a.csv", utf16("id,name\n1,x\n"), "L1004", ["UTF-16", "iconv"]),
        ("a.ndjson", utf16("{\"id\":1}\n"), "L1004", ["UTF-16", "iconv"]),
        ("a.csv", utf16("id,name\n1,x\n")[2..].to_vec(), "L1004", ["UTF-16", "iconv"]),
        ("a.csv", b"PK\x03\x04\x14\0\x08\0rows".to_vec(), "L1004", ["ZIP", "unpack"]),
        ("a.xlsx", b"PK\x03\x04\x14\0\x08\0rows".to_vec(), "L1004", ["spreadsheet", "CSV"]),
        ("a.csv", b"<!DOCTYPE html>\n<p>502, sorry".to_vec(), "L1004", ["HTML", "page"]),
        ("a.csv", latin, "L1007", ["UTF-8", "iconv"]),
        ("a.csv", b"id,name\r1,a\r2,b\r".to_vec(), "L1007", ["CR alone", "tr '"]),
        ("a.csv", vec![b'"'; 100_000], "L1007", ["100", "header"]),
        ("a.csv", b"id,name,id\n1,a,2\n".to_vec(), "L1007", ["`id` and `id`", "header"]),
        ("a.json", b"[{\"id\":1},\n{\"id\":2},\n]".to_vec(), "L1006", ["line 3", "byte 21"]),
        ("a.csv", b"\xef\xbb\xbf".to_vec(), "L1003", ["a.csv", "nothing was loaded"]),
    ] {
        let ran = import(name, content);
        ran.fails_with(1, code, &words);
        assert!(ran.stderr.len() < 2000, "{}", ran.stderr);
    }
}

#[test]
fn odd_files_that_are_whole_are_loaded() {
    let gzip = {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, b"id,name\n1,a\n2,b\n").unwrap();
        gzip.finish().unwrap()
    };
    let pretty = "[\n  {\n    \"id\": 1,\n    \"name\": \"a\"\n  },\n  {\n    \"id\": 2\n  }\n]\n";
    let nothing: ArrayRef = Arc::new(Int64Array::from(Vec::<i64>::new()));
    let empty = RecordBatch::try_from_iter([("id", nothing)]).unwrap();
    for (name, content, rows) in [
        ("a.csv", gzip, 2),
        ("a.csv", b"id,name\n".to_vec(), 0),
        ("a.csv", b"id,name\n1,a\0b\n".to_vec(), 1),
        ("a.ndjson", b"\xef\xbb\xbf{\"id\":1}\n{\"id\":2}\n".to_vec(), 2),
        ("a.json", pretty.as_bytes().to_vec(), 2),
        ("a.ndjson", pretty.trim_matches(['[', ']', '\n']).replace("},", "}").into_bytes(), 2),
        ("a.parquet", parquet(&empty), 0),
    ] {
        assert_eq!(import(name, content).loaded()["rows_loaded"], json!(rows), "{name}");
    }
}

#[test]
fn brackets_without_end_overflow_nothing() {
    let depth = 200_000;
    let text = format!("{{\"id\":1,\"x\":{}{}}}\n", "[".repeat(depth), "]".repeat(depth));
    let ran = import("deep.ndjson", text);
    ran.fails_with(4, "L2004", &["deep.ndjson line 1, byte 0", "`x`"]);
}

#[test]
fn a_record_without_end_is_refused_with_its_place() {
    let world = World::new();
    let path = world.file("long.csv", ["id,name\n1,a\n2,", &"x".repeat(70 << 20)].concat());
    let ran = world.import(&[&path, "--to", TARGET, "--memory", "256MiB", "--load-size", "8MiB"]);
    ran.fails_with(1, "L1009", &["long.csv (line 3, byte 12)", "16 MiB"]);
    let peak = ran.report()["peak_memory_bytes"].as_u64().unwrap();
    assert!(peak < 256 << 20, "{peak}");
}

#[test]
fn a_typed_file_without_columns_or_end_is_an_error() {
    let options = RecordBatchOptions::new().with_row_count(Some(3));
    let bare = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).unwrap();
    import("bare.parquet", parquet(&bare)).fails_with(1, "L1007", &["no columns"]);

    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let stream = arrow_stream(&RecordBatch::try_from_iter([("id", ids)]).unwrap());
    // The end mark is the last eight bytes.
    import("a.arrows", &stream[..stream.len() - 8]).fails_with(1, "L1005", &["a.arrows", "end mark"]);
}

/// Decoders panic over some kinds of damage. Whatever they do, people see one error.
#[test]
fn damage_is_told_without_a_stack_trace() {
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..50).map(|n| format!("text {}", n % 7))));
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..50));
    let batch = RecordBatch::try_from_iter([("id", ids), ("text", texts)]).unwrap();
    let world = World::new();
    for (name, whole) in [("damaged.parquet", parquet(&batch)), ("damaged.arrow", arrow_file(&batch))] {
        let mut failed = 0;
        for place in (8..whole.len() - 8).step_by(whole.len() / 60) {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x55;
            let path = world.file(name, damaged);
            let ran = world.import(&[&path, "--to", TARGET, "--dry-run"]);
            assert!(ran.code <= 2, "{name} byte {place}: {ran:?}");
            for word in ["panicked", "backtrace", "RUST_BACKTRACE"] {
                assert!(!ran.stderr.contains(word), "{name} byte {place}: {}", ran.stderr);
            }
            failed += usize::from(ran.code != 0);
            assert_eq!(ran.stderr.contains("error[L"), ran.code != 0, "{name} byte {place}: {ran:?}");
        }
        assert!(failed > 10, "{name}: {failed}");
    }
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_read_like_a_file() {
    let world = World::new();
    let path = world.path().join("pipe.csv");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let path = path.display().to_string();
    let mut import = world.command(&["import", &path, "--to", TARGET, "--output", "json"]);
    let child = import.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::fs::write(&path, "id,name\n1,a\n2,b\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(world.value("select count(*) from t"), json!(2));
}
