//! Rows that shipload's own check passes and the server refuses: found by the server's list, or by halving the load, set aside
//! with their records, and nothing else lost or doubled, whatever becomes of the list and whoever is killed.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use mysql_async::prelude::Queryable;
use serde_json::{Value, json};

use super::formats::parquet;
use super::outside::mysql;
use super::support::{Ran, Sandbox, World};

/// The server makes a number of `raw`, or else NULL, which the table does not take: our own check sees a text.
const COLUMNS: &str = "id,raw,n=cast(raw as int)";

/// A table that takes no NULL in `n`.
struct Place {
    world: World,
    sandbox: Sandbox,
    target: String,
}

impl Place {
    fn new() -> Self {
        let world = World::new();
        let sandbox = world.sandbox(&["--backends", "2"]);
        mysql(&sandbox, async |connection| {
            connection.query_drop("CREATE DATABASE demo").await.unwrap();
            let table = "CREATE TABLE demo.t (id BIGINT NOT NULL, raw VARCHAR(9000), n INT NOT NULL)
                         DUPLICATE KEY (id) PARTITION BY RANGE (id)
                         (PARTITION low VALUES LESS THAN ('50'), PARTITION high VALUES LESS THAN ('100000000'))";
            connection.query_drop(table).await.unwrap();
        });
        let target = sandbox.target("demo/t");
        Self { world, sandbox, target }
    }

    fn arguments<'a>(&'a self, file: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&[file, "--to", &self.target, "--columns", COLUMNS], more].concat()
    }

    fn import(&self, file: &str, more: &[&str]) -> Ran {
        self.world.import(&self.arguments(file, more))
    }

    fn start(&self, file: &str, more: &[&str]) -> Child {
        let arguments = self.arguments(file, more);
        let mut command = self.world.command(&[&["import", "--output", "json"], &arguments[..]].concat());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn faults(&self, rules: &Value) {
        let url = format!("http://{}/sandbox/faults", self.sandbox.frontend);
        let document = format!("@{}", self.world.file("faults.json", json!({ "rules": rules }).to_string()));
        let output = Command::new("curl").args(["-sS", "-f", "-u", "root:", "-d", &document, &url]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// How often the only rule has struck.
    fn fired(&self) -> u64 {
        let url = format!("http://{}/sandbox/faults", self.sandbox.frontend);
        let output = Command::new("curl").args(["-sS", "-u", "root:", &url]).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["fired_total"].as_u64().unwrap()
    }

    /// Every row but these is in the table, once. Ends the faults, which would keep it from being asked.
    fn holds_all_but(&self, rows: u64, bad: &BTreeSet<u64>) {
        self.faults(&json!([]));
        let good: Vec<u64> = (1..=rows).filter(|id| !bad.contains(id)).collect();
        #[expect(clippy::cast_precision_loss, reason = "some thousands of rows")]
        let (count, sum) = (good.len() as f64, good.iter().sum::<u64>() as f64);
        assert_eq!(self.world.number("select count(*) from t"), count);
        assert_eq!(self.world.number("select count(distinct id) from t"), count);
        if count > 0.0 {
            assert_eq!(self.world.number("select sum(id) from t"), sum);
        }
    }

    /// No transaction is left open.
    fn nothing_open(&self) {
        let shown = self.world.run(&["cluster", "transactions", "--to", "sandbox:demo", "--output", "json"]);
        assert!(shown.code == 0 && !shown.stdout.contains("PREPARE"), "{shown:?}");
    }
}

/// A list that is neither at its address nor to be had over SQL.
fn no_list() -> Value {
    let page = json!({"kind": "html", "status": 200});
    let denied = json!({"kind": "answer", "status": 403, "body": "{}"});
    json!([
        {"at": "answer", "operation": "error_log", "times": "always", "do": page},
        {"at": "head", "operation": "sql", "times": "always", "do": denied},
    ])
}

fn csv(rows: u64, bad: &BTreeSet<u64>) -> String {
    let row = |id: u64| if bad.contains(&id) { format!("{id},\"no, {id}\"\n") } else { format!("{id},{id}\n") };
    format!("id,raw\n{}", (1..=rows).map(row).collect::<String>())
}

fn set(bad: impl IntoIterator<Item = u64>) -> BTreeSet<u64> {
    bad.into_iter().collect()
}

/// The files of the rejects of `rows.csv`: the records, and the reasons.
fn rejects(place: &Place, ran: &Ran, name: &str) -> (String, Vec<Value>) {
    let folder = place.world.path().join(ran.report()["rejects"].as_str().unwrap());
    let read = |ending: &str| fs::read_to_string(folder.join(format!("{name}{ending}"))).unwrap();
    let extension = if name.strip_suffix(".csv").is_some() { "csv" } else { "ndjson" };
    let reasons = read(".reasons.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (read(&format!(".rejects.{extension}")), reasons)
}

/// The job is finished but for these rows, and says so in every place.
fn finished_but(place: &Place, ran: &Ran, rows: u64, bad: &BTreeSet<u64>) {
    assert_eq!(ran.code, 3, "{ran:?}");
    let report = ran.report();
    let counts = ["rows_read", "rows_loaded", "rows_rejected"].map(|field| report[field].as_u64().unwrap());
    let refused = bad.len() as u64;
    assert_eq!(counts, [rows, rows - refused, refused], "{report}");
    assert_eq!(report["inputs"][0]["rejected"], json!(refused), "{report}");
    let loaded: u64 = report["loads"].as_array().unwrap().iter().map(|load| load["rows"].as_u64().unwrap()).sum();
    assert_eq!(loaded, rows - refused, "only loads that stand are listed: {report}");
    place.holds_all_but(rows, bad);

    let (records, reasons) = rejects(place, ran, "rows.csv");
    let text = csv(rows, bad);
    let wanted: Vec<(u64, String)> = bad.iter().map(|id| (id + 1, format!("{id},\"no, {id}\""))).collect();
    let mut found: Vec<(u64, String)> = reasons
        .iter()
        .zip(records.lines().skip(1))
        .map(|(reason, record)| {
            let byte = usize::try_from(reason["byte"].as_u64().unwrap()).unwrap();
            assert!(text[byte..].starts_with(record), "byte {byte} is not where `{record}` stands");
            (reason["line"].as_u64().unwrap(), record.to_owned())
        })
        .collect();
    found.sort();
    assert_eq!(found, wanted);
    for reason in &reasons {
        assert_eq!(reason["code"], "refused-by-target");
        assert!(reason["rule"].as_str().is_some_and(|rule| !rule.is_empty()), "{reason}");
    }
}

#[test]
fn one_row_of_a_hundred_thousand_is_named_by_the_server_and_the_rest_is_loaded() {
    let place = Place::new();
    let bad = set([77_777]);
    let file = place.world.file("rows.csv", csv(100_000, &bad));
    let ran = place.import(&file, &["--max-rejects", "10"]);
    finished_but(&place, &ran, 100_000, &bad);
    let report = ran.report();
    assert!(report["loads"].as_array().unwrap().len() <= 17, "as many parts as it has halvings");
    let (records, reasons) = rejects(&place, &ran, "rows.csv");
    assert_eq!(records, "id,raw\n77777,\"no, 77777\"\n");
    assert_eq!((&reasons[0]["column"], &reasons[0]["line"]), (&json!("n"), &json!(77_778)));
    assert_eq!(reasons[0]["rule"], "NULL value in non-nullable column 'n'");
    let shown = place.world.run(&["rejects", report["job"].as_str().unwrap()]);
    assert!(shown.stdout.contains("NULL value in non-nullable column"), "{shown:?}");
    // Again: there is nothing left to do.
    assert_eq!(place.import(&file, &["--max-rejects", "10"]).report()["state"], "already_loaded");

    // What was set aside is imported as it is, once it is corrected.
    let folder = place.world.path().join(report["rejects"].as_str().unwrap());
    let corrected = folder.join("rows.csv.rejects.csv");
    fs::write(&corrected, records.replace("\"no, 77777\"", "77777")).unwrap();
    place.import(corrected.to_str().unwrap(), &[]).loaded();
    place.holds_all_but(100_000, &set([]));
}

#[test]
fn many_rows_in_many_loads_are_found_with_a_list_that_is_too_short_and_with_none() {
    for faults in [json!([]), no_list()] {
        let place = Place::new();
        place.faults(&faults);
        let bad = set((1_u64..=3_000).filter(|id| id.is_multiple_of(31) || (500..560).contains(id)));
        let file = place.world.file("rows.csv", csv(3_000, &bad));
        let flags = ["--max-rejects", "10%", "--load-size", "8KiB", "--compression", "zstd"];
        finished_but(&place, &place.import(&file, &flags), 3_000, &bad);
    }
}

#[test]
fn a_load_that_is_refused_row_by_row_is_not_taken_apart() {
    let place = Place::new();
    // More than are kept before their records are read.
    let bad = set(1..=60_000);
    let file = place.world.file("rows.csv", csv(60_000, &bad));
    let ran = place.import(&file, &["--max-rejects", "100%"]);
    finished_but(&place, &ran, 60_000, &bad);
    assert_eq!(ran.report()["loads"], json!([]));
}

#[test]
fn a_list_that_is_a_page_or_lost_or_leads_elsewhere_costs_nothing_but_parts() {
    let bad = set([3, 900]);
    for effect in [
        json!({"kind": "html", "status": 502}),
        json!({"kind": "reset"}),
        json!({"kind": "truncate", "bytes": 30, "length": "full"}),
        json!({"kind": "redirect", "to": "http://127.0.0.1:1"}),
        json!({"kind": "answer", "status": 200, "body": "Error: made up. Row: 4,\"4\"\n".repeat(5_000)}),
        json!({"kind": "answer", "status": 200, "body": "Error: made up. Row: 4,\"5\"\nError: x. Row: \n"}),
    ] {
        let place = Place::new();
        let mut rules = no_list();
        rules[0]["do"] = effect.clone();
        place.faults(&rules);
        let file = place.world.file("rows.csv", csv(1_000, &bad));
        let ran = place.import(&file, &["--max-rejects", "2"]);
        assert_eq!(ran.code, 3, "{effect}: {ran:?}");
        finished_but(&place, &ran, 1_000, &bad);
    }
}

/// The server's list shows so much of a row and no more.
#[test]
fn a_row_that_the_list_cuts_off_is_found_all_the_same() {
    let place = Place::new();
    let wide = "x".repeat(6_000);
    let row = |id: u64| if id.is_multiple_of(50) { format!("{id},{wide}\n") } else { format!("{id},{id}\n") };
    let file = place.world.file("rows.csv", format!("id,raw\n{}", (1..=150).map(row).collect::<String>()));
    let ran = place.import(&file, &["--max-rejects", "3"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    place.holds_all_but(150, &set([50, 100, 150]));
    let (records, _) = rejects(&place, &ran, "rows.csv");
    assert_eq!(records, format!("id,raw\n50,{wide}\n100,{wide}\n150,{wide}\n"));
}

#[test]
fn where_the_address_of_the_list_is_of_no_use_sql_gives_it() {
    let place = Place::new();
    place.faults(&json!([
        {"at": "head", "operation": "error_log", "times": "always", "do": {"kind": "close"}},
    ]));
    let bad = set([700]);
    let file = place.world.file("rows.csv", csv(1_000, &bad));
    let ran = place.import(&file, &["--max-rejects", "2"]);
    finished_but(&place, &ran, 1_000, &bad);
    assert_eq!(rejects(&place, &ran, "rows.csv").1[0]["rule"], "NULL value in non-nullable column 'n'");
    assert!(!ran.stderr.contains("0 of them by name"), "{}", ran.stderr);
}

#[test]
fn by_default_a_refused_row_stops_the_job_and_is_named_with_its_line() {
    let place = Place::new();
    let bad = set([40]);
    let file = place.world.file("rows.csv", csv(100, &bad));
    let ran = place.import(&file, &[]);
    ran.fails_with(
        4,
        "L2005",
        &["1 of the 100 rows", "none may be", "rows.csv line 41, byte", "column `n`", "non-nullable"],
    );
    let report = ran.report();
    assert_eq!((&report["state"], &report["rows_loaded"]), (&json!("rejected"), &json!(0)));
    assert_eq!(rejects(&place, &ran, "rows.csv").0, "id,raw\n40,\"no, 40\"\n");
    place.holds_all_but(0, &set([]));
    // With the list out of reach it says how many there are.
    place.faults(&no_list());
    place.import(&file, &[]).fails_with(4, "L2005", &["1 of the 100 rows", "does not name them", "--max-rejects"]);
    // The limit is no part of the job: the same one goes on.
    finished_but(&place, &place.import(&file, &["--max-rejects", "1"]), 100, &bad);
}

#[test]
fn the_limit_may_be_passed_in_the_midst_and_a_higher_one_goes_on() {
    for scope in ["load", "job"] {
        let place = Place::new();
        let bad = set([10, 700, 701, 1_400, 1_999]);
        let file = place.world.file("rows.csv", csv(2_000, &bad));
        let flags = |limit| ["--max-rejects", limit, "--load-size", "6KiB", "--parallel", "1", "--commit", scope];
        let ran = place.import(&file, &flags("3"));
        assert_eq!(ran.code, 4, "{scope}: {ran:?}");
        if scope == "job" {
            place.holds_all_but(0, &set([]));
            place.nothing_open();
        }
        finished_but(&place, &place.import(&file, &flags("5")), 2_000, &bad);
        place.nothing_open();
    }
}

#[test]
fn a_whole_job_is_committed_without_the_refused_rows() {
    for faults in [json!([]), no_list()] {
        let place = Place::new();
        place.faults(&faults);
        let bad = set([1, 64, 65, 999]);
        let file = place.world.file("rows.csv", csv(1_000, &bad));
        let ran = place.import(&file, &["--max-rejects", "4", "--load-size", "9KiB", "--commit", "job"]);
        finished_but(&place, &ran, 1_000, &bad);
        place.nothing_open();
    }
}

#[test]
fn a_loader_killed_among_the_parts_goes_on_and_doubles_nothing() {
    let bad = set([5, 333, 334, 800]);
    for (scope, operation) in [("load", "stream_load"), ("job", "prepare")] {
        // It dies while this part is under way: before it is read, and when it is in the table.
        for (step, skip) in [("continue", 0), ("answer", 1), ("answer", 6), ("continue", 11)] {
            let step = if scope == "job" { "answer" } else { step };
            let place = Place::new();
            let stuck = json!({"at": step, "node": "be*", "operation": operation, "label": "*-r*-*", "skip": skip,
                               "do": {"kind": "delay", "ms": 5_000}});
            place.faults(&json!([stuck]));
            let file = place.world.file("rows.csv", csv(1_000, &bad));
            let flags = ["--max-rejects", "4", "--commit", scope];
            let mut child = place.start(&file, &flags);
            while place.fired() == 0 {
                assert!(child.try_wait().unwrap().is_none(), "{scope} {step} {skip}: it ended by itself");
                thread::yield_now();
            }
            child.kill().unwrap();
            child.wait().unwrap();
            // The second try hears nothing of which rows are meant.
            place.faults(&no_list());
            finished_but(&place, &place.import(&file, &flags), 1_000, &bad);
            place.nothing_open();
        }
    }
}

/// The labels of parts do not depend on what the list names, so that they are the same ones for who knows nothing of them.
#[test]
fn without_its_journal_a_second_try_comes_to_the_same_parts() {
    let place = Place::new();
    let bad = set([77, 500, 501]);
    let file = place.world.file("rows.csv", csv(1_000, &bad));
    finished_but(&place, &place.import(&file, &["--max-rejects", "3"]), 1_000, &bad);
    for faults in [no_list(), json!([])] {
        fs::remove_dir_all(place.world.path().join(".local/state/shipload")).unwrap();
        place.faults(&faults);
        finished_but(&place, &place.import(&file, &["--max-rejects", "3"]), 1_000, &bad);
    }
}

/// What was refused stays refused within a run, although the table would take it by now: a part of its load is there.
#[test]
fn a_table_that_is_altered_between_two_tries_doubles_nothing() {
    let place = Place::new();
    let bad = set([100, 600]);
    let stuck = json!({"at": "answer", "node": "be*", "operation": "stream_load", "label": "*-r*-*", "skip": 2,
                       "do": {"kind": "delay", "ms": 5_000}});
    place.faults(&json!([stuck]));
    let file = place.world.file("rows.csv", csv(1_000, &bad));
    let mut child = place.start(&file, &["--max-rejects", "2"]);
    while place.fired() == 0 {
        thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    mysql(&place.sandbox, async |connection| {
        connection.query_drop("ALTER TABLE demo.t MODIFY COLUMN n INT NULL").await.unwrap();
    });
    place.faults(&json!([]));
    let ran = place.import(&file, &["--max-rejects", "2"]);
    finished_but(&place, &ran, 1_000, &bad);
}

#[test]
fn rows_outside_of_the_named_partitions_are_set_aside() {
    let place = Place::new();
    let text: String = (1..=60).map(|id| format!("{id},{id}\n")).collect();
    let file = place.world.file("rows.csv", format!("id,raw\n{text}"));
    let ran = place.import(&file, &["--max-rejects", "20", "--set", "partitions=low"]);
    assert_eq!((ran.code, &ran.report()["rows_rejected"]), (3, &json!(11)), "{ran:?}");
    let (records, reasons) = rejects(&place, &ran, "rows.csv");
    assert_eq!(records.lines().nth(1), Some("50,50"));
    assert!(reasons[0]["rule"].as_str().unwrap().contains("out of partition ranges"), "{reasons:?}");
    assert_eq!(place.world.number("select max(id) from t"), 49.0);
}

#[test]
fn records_of_every_format_are_kept_as_they_stand() {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=500));
    let raws = (1..=500).map(|id| if id == 321 { "no".to_owned() } else { id.to_string() });
    let raws: ArrayRef = Arc::new(StringArray::from_iter_values(raws));
    let typed = parquet(&RecordBatch::try_from_iter([("id", ids), ("raw", raws)]).unwrap());
    let object = |id: u64, between: &str| {
        let raw = if id == 321 { "no".to_owned() } else { id.to_string() };
        format!("{{\"id\":{id},{between} \"raw\": \"{raw}\"}}")
    };
    let lines: String = (1..=500).map(|id| object(id, "") + "\n").collect();
    let array = format!("[{}]", (1..=500).map(|id| object(id, "\n ")).collect::<Vec<_>>().join(",\n"));
    for (name, content, line, record) in [
        ("rows.ndjson", lines.into_bytes(), 321, object(321, "")),
        ("rows.json", array.into_bytes(), 641, object(321, "\n ")),
        ("rows.parquet", typed, 321, "{\"id\":321,\"raw\":\"no\"}".to_owned()),
    ] {
        for scope in ["load", "job"] {
            let place = Place::new();
            let file = place.world.file(name, &content);
            let ran = place.import(&file, &["--max-rejects", "1", "--commit", scope]);
            assert_eq!(ran.code, 3, "{name}: {ran:?}");
            place.holds_all_but(500, &set([321]));
            let (records, reasons) = rejects(&place, &ran, name);
            assert_eq!((records.trim_end(), &reasons[0]["line"]), (record.as_str(), &json!(line)), "{name}");
            let folder = place.world.path().join(ran.report()["rejects"].as_str().unwrap());
            let corrected = folder.join(format!("{name}.rejects.ndjson"));
            fs::write(&corrected, records.replace("\"no\"", "\"321\"")).unwrap();
            place.import(corrected.to_str().unwrap(), &[]).loaded();
            place.holds_all_but(500, &set([]));
        }
    }
}

#[test]
fn of_a_compressed_file_the_record_is_found_as_well() {
    let place = Place::new();
    let bad = set([444]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(csv(1_000, &bad).as_bytes()).unwrap();
    let file = place.world.file("rows.csv.gz", gzip.finish().unwrap());
    let ran = place.import(&file, &["--max-rejects", "1"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    place.holds_all_but(1_000, &bad);
    let folder = place.world.path().join(ran.report()["rejects"].as_str().unwrap());
    let records = fs::read_to_string(folder.join("rows.csv.gz.rejects.csv")).unwrap();
    assert_eq!(records, "id,raw\n444,\"no, 444\"\n");
}

/// A stream cannot be read again: its refused rows are kept as the values that were sent, with the line they stood on.
#[test]
fn of_a_stream_the_values_are_kept_and_importable() {
    for scope in ["load", "job"] {
        let place = Place::new();
        let bad = set([250]);
        let arguments = place.arguments("-", &["--max-rejects", "1", "--commit", scope]);
        let arguments = [&["import", "--output", "json"], &arguments[..]].concat();
        let ran = place.world.run_with_input(&arguments, csv(400, &bad).as_bytes());
        assert_eq!(ran.code, 3, "{ran:?}");
        place.holds_all_but(400, &bad);
        let (records, reasons) = rejects(&place, &ran, "stdin.values");
        assert_eq!((&reasons[0]["file"], &reasons[0]["line"]), (&json!("-"), &json!(251)));
        let folder = place.world.path().join(ran.report()["rejects"].as_str().unwrap());
        let corrected = folder.join("stdin.values.rejects.ndjson");
        assert!(records.contains("no, 250"), "{records}");
        fs::write(&corrected, records.replace("no, 250", "250")).unwrap();
        place.import(corrected.to_str().unwrap(), &[]).loaded();
        place.holds_all_but(400, &set([]));
    }
}
