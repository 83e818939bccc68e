//! What makes a peer, doris-streamloader, lose rows or load them twice, each with the real program against a sandbox that
//! goes wrong in that way: every row arrives once.

use std::path::Path;
use std::{fs, slice};

use serde_json::{Value, json};

use super::support::{Ran, Sandbox, World};

/// Rows of the usual input: enough for several loads of the smallest size.
pub(crate) const ROWS: u64 = 2_000;

/// A sandbox that does this wrong, and a folder to load from.
pub(crate) struct Place {
    pub(crate) world: World,
    pub(crate) sandbox: Sandbox,
}

impl Place {
    pub(crate) fn with(rules: &[Value]) -> Self {
        Self::of(rules, &["--backends", "2"])
    }

    /// The same, of a sandbox with these flags.
    pub(crate) fn of(rules: &[Value], flags: &[&str]) -> Self {
        let world = World::new();
        let faults = world.file("faults.json", json!({ "rules": rules }).to_string());
        let sandbox = world.sandbox(&[flags, &["--faults", &faults]].concat());
        Self { world, sandbox }
    }

    /// Imports with small loads, several at a time, into the table `peers`.
    pub(crate) fn import(&self, sources: &[String], more: &[&str]) -> Ran {
        let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
        self.world.run(&self.arguments(&sources, more).iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The same, with standard input.
    pub(crate) fn stream(&self, input: &[u8], more: &[&str]) -> Ran {
        let arguments = self.arguments(&["-"], more);
        self.world.run_with_input(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), input)
    }

    pub(crate) fn arguments(&self, sources: &[&str], more: &[&str]) -> Vec<String> {
        let (target, port) = (self.sandbox.target("demo/peers"), self.sandbox.mysql_port());
        let place = ["--output", "json", "--to", &target, "--mysql-port", &port, "--create-table"];
        let flags = ["--load-size", "4KiB", "--parallel", "4", "--commit", "load"];
        [&["import"], sources, &place, &flags, more].concat().into_iter().map(str::to_owned).collect()
    }

    pub(crate) fn rows_file(&self) -> String {
        let rows: String = (1..=ROWS).map(|id| format!("{id},{}\n", id * 7)).collect();
        self.world.file("rows.csv", format!("id,n\n{rows}"))
    }

    /// The usual import ends well, every fault has struck, and every row is there once.
    fn is_survived(&self) -> Value {
        let report = self.import(&[self.rows_file()], &[]).loaded();
        for rule in self.faults("GET")["rules"].as_array().unwrap() {
            assert_ne!(rule["fired"], json!(0), "it never went wrong: {rule}");
        }
        self.holds_every_row_once();
        assert_eq!(report["rows_loaded"], json!(ROWS));
        assert!(report["loads"].as_array().unwrap().len() > 3, "several loads: {report}");
        report
    }

    pub(crate) fn holds_every_row_once(&self) {
        let row = self.world.rows("demo", "select count(*) c, count(distinct id) d, sum(n) s from peers").remove(0);
        let number = |name: &str| row[name].as_str().map_or_else(|| row[name].as_u64(), |text| text.parse().ok());
        let found = ["c", "d", "s"].map(|name| number(name).unwrap());
        assert_eq!(found, [ROWS, ROWS, 7 * ROWS * (ROWS + 1) / 2], "ROWS-1");
    }

    pub(crate) fn faults(&self, method: &str) -> Value {
        let address = format!("http://{}/sandbox/faults", self.sandbox.frontend);
        let output =
            std::process::Command::new("curl").args(["-sS", "-u", "root:", "-X", method, &address]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }
}

fn attempts(report: &Value) -> Vec<u64> {
    report["loads"].as_array().unwrap().iter().map(|load| load["attempts"].as_u64().unwrap()).collect()
}

/// A peer gives up waiting for the redirect, sends the body to the frontend, and reports rows that are nowhere.
#[test]
fn a_redirect_slower_than_a_second() {
    let slow = json!({"at": "head", "node": "fe1", "operation": "stream_load", "times": 3,
                      "do": {"kind": "delay", "ms": 1500}});
    let report = Place::with(slice::from_ref(&slow)).is_survived();
    assert!(attempts(&report).iter().all(|attempts| *attempts == 1), "waiting is no failure: {report}");
}

/// A peer sends the rows again, under another label.
#[test]
fn an_answer_lost_after_the_commit() {
    let rule = |kind: &str, skip: u64| json!({"at": "answer", "node": "be*", "operation": "stream_load", "skip": skip, "times": 2, "do": {"kind": kind}});
    let report = Place::with(&[rule("reset", 0), rule("close", 2)]).is_survived();
    assert!(attempts(&report).iter().all(|attempts| *attempts == 1), "nothing is sent twice: {report}");
}

/// A peer hands a failed worker's rows to its retry once, and forgets them at its second failure.
#[test]
fn the_same_load_failing_twice() {
    let place = Place::with(&[
        json!({"at": "body", "label": "*-2", "operation": "stream_load", "times": 1, "do": {"kind": "reset"}}),
        json!({"at": "write", "label": "*-2", "times": 1, "do": {"kind": "fail", "preset": "shutting_down"}}),
    ]);
    let report = place.is_survived();
    let failing: Vec<_> = attempts(&report).into_iter().filter(|attempts| *attempts > 1).collect();
    assert_eq!(failing, [3], "one load, three times: {report}");
}

/// A peer takes a page with status 200 for a success.
#[test]
fn a_page_in_place_of_an_answer() {
    let page = |at: &str, skip: u64, status: u64| json!({"at": at, "operation": "stream_load", "node": "be*", "skip": skip, "do": {"kind": "html", "status": status}});
    Place::with(&[page("head", 0, 503), page("answer", 0, 200), page("answer", 1, 502), page("continue", 2, 502)])
        .is_survived();
}

/// A peer takes an answer without an end for a failure, or one that parses by chance for a success.
#[test]
fn an_answer_that_is_cut() {
    let cut = |skip: u64, length: &str| {
        json!({"at": "answer", "operation": "stream_load", "skip": skip, "times": 2,
               "do": {"kind": "truncate", "bytes": 40, "length": length}})
    };
    let report = Place::with(&[cut(0, "full"), cut(3, "matching")]).is_survived();
    assert!(attempts(&report).iter().all(|attempts| *attempts == 1), "nothing is sent twice: {report}");
}

/// A peer cuts a file at the next newline, whether or not it is inside quotes.
#[test]
fn a_quoted_newline_where_the_file_is_cut() {
    let place = Place::with(&[]);
    // Nearly every newline is inside quotes, and some are followed by what looks like a record.
    let text = |id: u64| format!("{}\n{id},{id},{id}\r\n\"\"{}\n", "a".repeat((id % 61) as usize), "b\n".repeat(9));
    let rows: String = (1..=ROWS).map(|id| format!("{id},{},\"{}\"\n", id * 7, text(id))).collect();
    let file = place.world.file("quoted.csv", format!("id,n,text\n{rows}"));
    for (size, table) in [("4KiB", "quoted4"), ("5000B", "quoted5"), ("64KiB", "quoted64")] {
        let (target, port) = (place.sandbox.target(&format!("demo/{table}")), place.sandbox.mysql_port());
        place
            .world
            .import(&[&file, "--to", &format!("sandbox:demo/{table}"), "--load-size", size, "--commit", "load"])
            .loaded();
        let again = place.world.import(&[
            &file,
            "--to",
            &target,
            "--mysql-port",
            &port,
            "--load-size",
            size,
            "--commit",
            "load",
            "--again",
        ]);
        assert!(again.loaded()["loads"].as_array().unwrap().len() > 1, "several loads");
        let query = format!("select count(*) c, count(distinct id) d, sum(char_length(text)) s from {table}");
        let characters: u64 = (1..=ROWS).map(|id| text(id).replace("\"\"", "\"").chars().count() as u64).sum();
        let row = place.world.rows("demo", &query).remove(0);
        let sum: u64 = row["s"].as_str().map_or_else(|| row["s"].as_u64().unwrap(), |text| text.parse().unwrap());
        // Both imports are meant: the one joins the sandbox, the other goes by its address.
        assert_eq!((&row["c"], &row["d"], sum), (&json!(2 * ROWS), &json!(ROWS), 2 * characters), "{size}");
    }
}

/// A peer skips a line in every worker's piece, or only in the first file.
#[test]
fn a_header_and_several_workers() {
    let place = Place::with(&[]);
    let half = |name: &str, from: u64, to: u64| {
        let rows: String = (from..=to).map(|id| format!("{id},{}\n", id * 7)).collect();
        place.world.file(name, format!("id,n\n{rows}"))
    };
    let files = [half("a.csv", 1, ROWS / 2), half("b.csv", ROWS / 2 + 1, ROWS - 1), half("c.csv", ROWS, ROWS)];
    let report = place.import(&files, &[]).loaded();
    place.holds_every_row_once();
    assert_eq!(report["rows_read"], json!(ROWS));
}

/// A peer begins anew, with the rows that were loaded before the failure.
#[test]
fn a_run_after_one_that_failed() {
    let place = Place::with(&[json!({"at": "plan", "skip": 2, "times": "always",
                                     "do": {"kind": "fail", "preset": "loads_disabled"}})]);
    let file = place.rows_file();
    place.import(slice::from_ref(&file), &[]).fails_with(1, "L2010", &["disable_load_job"]);
    let loaded = place.world.number("select count(*) from peers");
    assert!(0.0 < loaded && loaded < 2000.0, "a part of it: {loaded}");
    place.faults("DELETE");
    let report = place.import(slice::from_ref(&file), &[]).loaded();
    place.holds_every_row_once();
    assert!(attempts(&report).contains(&0), "what was loaded is not sent again: {report}");
    assert_eq!(place.import(&[file], &[]).loaded()["state"], json!("already_loaded"));
    place.holds_every_row_once();
}

/// A peer takes the user's label for every worker, or hangs something random behind it at each try.
#[test]
fn a_name_of_ones_own_and_a_retry() {
    let place = Place::with(&[json!({"at": "committed", "times": 2, "do": {"kind": "commit_then_fail"}})]);
    let file = place.rows_file();
    let label = place.import(slice::from_ref(&file), &["--set", "label=nightly"]);
    assert_eq!((label.code, label.stderr.contains("--job")), (2, true), "{label:?}");
    let mut labels = Vec::new();
    // A journal that is lost, as on another machine, changes nothing: the labels are the same.
    for state in ["state-1", "state-1", "state-2"] {
        let report = place.import(slice::from_ref(&file), &["--job", "nightly", "--state-dir", state]).loaded();
        place.holds_every_row_once();
        let names: Vec<_> = report["loads"].as_array().unwrap().iter().map(|load| load["label"].clone()).collect();
        assert!(names.iter().all(|name| name.as_str().unwrap().contains("nightly")), "{names:?}");
        labels.push(names);
    }
    labels.dedup();
    assert_eq!(labels.len(), 1, "LABEL-1: {labels:?}");
}

/// A peer passes the bytes on, and the server filters or changes them.
#[test]
fn bytes_that_are_not_utf8_are_rejected_with_their_place_and_not_changed() {
    let place = Place::with(&[]);
    let mut content = b"id,n,text\n1,7,whole\n2,14,".to_vec();
    let spoilt = content.len() - b"2,14,".len();
    content.extend(b"\"l\xfftin\"\n3,21,end\n");
    let file = place.world.file("latin.csv", content);
    place.import(slice::from_ref(&file), &[]).fails_with(4, "L2004", &["latin.csv", "line 3", "UTF-8"]);
    let ran = place.import(&[file], &["--max-rejects", "1"]);
    assert_eq!((ran.code, &ran.report()["rows_loaded"]), (3, &json!(2)), "{}", ran.stderr);
    let texts: Vec<_> =
        place.world.rows("demo", "select text from peers order by id").iter().map(|row| row["text"].clone()).collect();
    assert_eq!(texts, [json!("whole"), json!("end")], "nothing is altered");
    let folder = place.world.path().join(Path::new(ran.report()["rejects"].as_str().unwrap()));
    let raw = fs::read(folder.join("latin.csv.rejects.csv")).unwrap();
    assert_eq!(raw, b"id,n,text\n2,14,\"l\xfftin\"\n", "the record as it is");
    let reason: Value =
        serde_json::from_str(fs::read_to_string(folder.join("latin.csv.reasons.jsonl")).unwrap().trim()).unwrap();
    assert_eq!((&reason["line"], &reason["byte"]), (&json!(3), &json!(spoilt)), "{reason}");
}
