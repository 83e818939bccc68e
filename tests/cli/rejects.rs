//! Rows that do not fit: set aside with place and rule, within the limit or at it, and importable again.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use serde_json::{Value, json};

use super::formats::parquet;
use super::support::World;

const TARGET: &str = "sandbox:demo/t";

fn world() -> World {
    let world = World::new();
    let made = world.file("made.csv", "id,n,day\n0,0,2026-01-01\n");
    world.import(&[&made, "--to", TARGET]).loaded();
    world
}

#[test]
fn by_default_the_first_reject_stops_the_job_and_nothing_is_loaded() {
    let world = world();
    let path = world.file("dirty.csv", "id,n,day\n1,1,2026-01-02\n2,two,2026-01-03\n3,3,2026-02-30\n");
    let ran = world.import(&[&path, "--to", TARGET]);
    let rule = "because: an integer is digits";
    ran.fails_with(4, "L2004", &["dirty.csv", "line 3", "byte 24", "`n`", "`two`", rule]);
    let report = ran.report();
    assert_eq!((&report["state"], &report["rows_loaded"]), (&json!("rejected"), &json!(0)));
    assert_eq!(world.number("select count(*) from t"), 1.0);
}

#[test]
fn within_the_limit_the_rest_is_loaded_and_the_rejects_are_importable_after_the_fix() {
    let world = world();
    let text = "id,n,day\n1,1,2026-01-02\n2,two,2026-01-03\n3,3\n4,4,\"2026-02-30\"\n5,5,2026-01-05\n";
    let path = world.file("dirty.csv", text);
    let ran = world.import(&[&path, "--to", TARGET, "--max-rejects", "3"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let report = ran.report();
    let counts = ["rows_read", "rows_loaded", "rows_rejected"].map(|field| report[field].clone());
    assert_eq!(counts, [json!(5), json!(2), json!(3)]);

    let folder = world.path().join(report["rejects"].as_str().unwrap());
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 2, "{files:?}");
    let reasons = fs::read_to_string(&files[0]).unwrap();
    let rejects = fs::read_to_string(&files[1]).unwrap();
    assert_eq!(rejects, "id,n,day\n2,two,2026-01-03\n3,3\n4,4,\"2026-02-30\"\n");
    let reasons: Vec<Value> = reasons.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let place = |reason: &Value| (reason["line"].clone(), reason["byte"].clone());
    assert_eq!(
        reasons.iter().map(place).collect::<Vec<_>>(),
        [(json!(3), json!(24)), (json!(4), json!(41)), (json!(5), json!(45)),]
    );
    assert_eq!((&reasons[0]["column"], &reasons[0]["value"]), (&json!("n"), &json!("two")));
    assert!(reasons.iter().all(|reason| reason["rule"].as_str().is_some_and(|rule| !rule.is_empty())));

    let fixed = rejects.replace("two", "2").replace("3,3\n", "3,3,\n").replace("02-30", "02-28");
    fs::write(&files[1], fixed).unwrap();
    world.import(&[files[1].to_str().unwrap(), "--to", TARGET]).loaded();
    assert_eq!(world.number("select sum(id) from t"), 15.0);
}

#[test]
fn a_share_of_the_rows_is_a_limit_too() {
    let world = world();
    let rows: String = (1..=100).map(|id| format!("{id},{},\n", if id % 20 == 0 { "x" } else { "1" })).collect();
    let path = world.file("share.csv", format!("id,n,day\n{rows}"));
    assert_eq!(world.import(&[&path, "--to", TARGET, "--max-rejects", "4.9%"]).code, 4);
    assert_eq!(world.number("select count(*) from t"), 1.0);
    assert_eq!(world.import(&[&path, "--to", TARGET, "--max-rejects", "5%"]).code, 3);
    assert_eq!(world.number("select count(*) from t"), 96.0);
}

#[test]
fn broken_records_of_json_are_rejects_with_their_line() {
    let world = world();
    let path = world.file("dirty.ndjson", "{\"id\":1,\"n\":1}\n{\"id\":2\n[3]\n{\"id\":4,\"n\":1.5}\n{\"id\":5}\n");
    let ran = world.import(&[&path, "--to", TARGET, "--max-rejects", "10"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!((&ran.report()["rows_loaded"], &ran.report()["rows_rejected"]), (&json!(2), &json!(3)));
}

#[test]
fn rejects_of_an_odd_dialect_keep_it_and_load_with_the_same_flags() {
    let world = world();
    let path = world.file("odd.txt", "id|n|day\n1|'1'|NA\n2|'t|wo'|2026-01-03\n3|3\n'4'|4|'2026-02-30'\n");
    let flags = ["--format", "csv", "--csv-delimiter", "|", "--csv-quote", "'", "--csv-null", "NA"];
    let ran = world.import(&[&[&path, "--to", TARGET, "--max-rejects", "3"], &flags[..]].concat());
    assert_eq!((ran.code, &ran.report()["rows_rejected"]), (3, &json!(3)), "{ran:?}");
    let rejects = world.path().join(ran.report()["rejects"].as_str().unwrap()).join("odd.txt.rejects.csv");
    let text = fs::read_to_string(&rejects).unwrap();
    assert_eq!(text, "id|n|day\n2|'t|wo'|2026-01-03\n3|3\n'4'|4|'2026-02-30'\n");
    fs::write(&rejects, text.replace("'t|wo'", "'2'").replace("3|3\n", "3|3|NA\n").replace("02-30", "02-28")).unwrap();
    world.import(&[&[rejects.to_str().unwrap(), "--to", TARGET], &flags[..]].concat()).loaded();
    assert_eq!(world.number("select sum(id * n) from t"), 30.0);
}

#[test]
fn rejects_without_a_header_load_without_one() {
    let world = world();
    let path = world.file("bare.csv", "1,1,2026-01-02\n2,two,2026-01-03\n");
    let flags = ["--no-csv-header", "--max-rejects", "1"];
    let ran = world.import(&[&[&path, "--to", TARGET], &flags[..]].concat());
    assert_eq!(ran.code, 3, "{ran:?}");
    let rejects = world.path().join(ran.report()["rejects"].as_str().unwrap()).join("bare.csv.rejects.csv");
    assert_eq!(fs::read_to_string(&rejects).unwrap(), "2,two,2026-01-03\n");
    fs::write(&rejects, "2,2,2026-01-03\n").unwrap();
    world.import(&[rejects.to_str().unwrap(), "--to", TARGET, "--no-csv-header"]).loaded();
    assert_eq!(world.number("select sum(n) from t"), 3.0);
}

/// Objects of an array, and of many lines, become records of their own; those of typed files become JSON.
#[test]
fn rejects_of_json_arrays_and_typed_files_are_ndjson() {
    let array = "[{\"id\":1,\"n\":1},\n {\"id\":2,\n  \"n\":\"two\", \"day\":\"2026-01-03\"},{\"id\":3,\"n\":3}]";
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let numbers: ArrayRef = Arc::new(StringArray::from(vec!["1", "two", "3"]));
    let typed = parquet(&RecordBatch::try_from_iter([("id", ids), ("n", numbers)]).unwrap());
    for (name, content) in [("a.json", array.as_bytes().to_vec()), ("a.parquet", typed)] {
        let world = world();
        let path = world.file(name, content);
        let ran = world.import(&[&path, "--to", TARGET, "--max-rejects", "1"]);
        assert_eq!(ran.code, 3, "{name}: {ran:?}");
        let folder = world.path().join(ran.report()["rejects"].as_str().unwrap());
        let rejects = folder.join(format!("{name}.rejects.ndjson"));
        let text = fs::read_to_string(&rejects).unwrap_or_else(|error| panic!("{name}: {error}: {ran:?}"));
        fs::write(&rejects, text.replace("\"two\"", "2")).unwrap();
        let report = world.import(&[rejects.to_str().unwrap(), "--to", TARGET]).loaded();
        assert_eq!(report["rows_loaded"], json!(1), "{name}: {text}");
        assert_eq!(world.number("select sum(n) from t"), 6.0, "{name}");
    }
}
