//! §3: replies to a Stream Load.

use serde_json::Value;

use crate::support::cluster::{Cluster, Database, label};
use crate::support::curl::{Request, field, names, number};
use crate::support::raw::Connection;

/// The fields of §3.1 in the backend's order, without those that come only at times.
const FIELDS: &[&str] = &[
    "TxnId",
    "Label",
    "Status",
    "Message",
    "NumberTotalRows",
    "NumberLoadedRows",
    "NumberFilteredRows",
    "NumberUnselectedRows",
    "LoadBytes",
    "LoadTimeMs",
    "BeginTxnTimeMs",
    "StreamLoadPlanTimeMs",
    "ReadDataTimeMs",
    "WriteDataTimeMs",
    "CommitAndPublishTimeMs",
];

/// `Db` and `Table` belong to builds after 2025-11 only.
const NEWER: &[&str] = &["Db", "Table"];

fn database(cluster: &Cluster) -> Database<'_> {
    let database = cluster.database();
    database.table("t", "k INT, v VARCHAR(10)");
    database
}

fn assert_fields(reply: &Value, more: &[(&str, &str)]) {
    let mut expected = FIELDS.to_vec();
    for (before, name) in more {
        let at = expected.iter().position(|field| field == before).map_or(expected.len(), |at| at + 1);
        expected.insert(at, name);
    }
    let found: Vec<&str> = names(reply).into_iter().filter(|name| !NEWER.contains(name)).collect();
    assert_eq!(found, expected, "{reply}");
    for name in FIELDS.iter().filter(|name| name.starts_with("Number") || name.ends_with("Ms")) {
        assert!(number(reply, name) >= 0, "{name}: {reply}");
    }
}

fn counts(reply: &Value) -> [i64; 4] {
    ["NumberTotalRows", "NumberLoadedRows", "NumberFilteredRows", "NumberUnselectedRows"]
        .map(|name| number(reply, name))
}

#[test]
fn sr_3_1_fields_of_a_success() {
    let database = database(Cluster::shared());
    let label = label();
    let reply = database.load("t").header("label", &label).body("1\ta\n2\tb\n").json();
    assert_fields(&reply, &[]);
    assert_eq!((field(&reply, "Status").as_str(), field(&reply, "Message").as_str()), ("Success", "OK"));
    assert_eq!(field(&reply, "Label"), label);
    assert!(number(&reply, "TxnId") > 0);
    assert_eq!(counts(&reply), [2, 2, 0, 0]);
    assert_eq!(number(&reply, "LoadBytes"), 8);
}

#[test]
fn sr_1_4_a_backend_indents_with_four_spaces() {
    let database = database(Cluster::shared());
    let answer = database.load("t").body("1\ta\n").send();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().starts_with("{\n    \"TxnId\": "), "{}", answer.text());
}

#[test]
fn sr_3_1_total_is_loaded_and_filtered_and_unselected() {
    let database = database(Cluster::shared());
    let headers = [("where", "k > 1"), ("max_filter_ratio", "0.5"), ("strict_mode", "true")];
    let reply = database.load("t").headers(&headers).body("1\ta\n2\tb\nx\tc\n4\td\n").json();
    assert_eq!(field(&reply, "Status"), "Success", "{reply}");
    assert_eq!(counts(&reply), [4, 2, 1, 1], "{reply}");
    assert_fields(&reply, &[("CommitAndPublishTimeMs", "ErrorURL")]);
}

#[test]
fn sr_2_1_the_ratio_is_of_the_selected_rows() {
    let database = database(Cluster::shared());
    // Two filtered of three selected rows: two thirds, however many were not selected.
    let body = "0\ta\n0\ta\n0\ta\nx\tb\ny\tc\n4\td\n";
    for (ratio, status) in [("0.66", "Fail"), ("0.67", "Success")] {
        let headers = [("where", "k > 0"), ("max_filter_ratio", ratio), ("strict_mode", "true")];
        let reply = database.load("t").headers(&headers).body(body).json();
        // An unparsable key is filtered before the predicate is asked.
        assert_eq!(field(&reply, "Status"), status, "{reply}");
        assert_eq!(counts(&reply)[2..], [2, 3], "{reply}");
    }
}

#[test]
fn sr_3_1_too_many_filtered_rows_are_told_with_counts_and_log() {
    let database = database(Cluster::shared());
    let reply = database.load("t").header("strict_mode", "true").body("1\ta\nx\tb\n").json();
    assert_eq!(field(&reply, "Status"), "Fail", "{reply}");
    assert!(field(&reply, "Message").contains("too many filtered rows"), "{reply}");
    assert_eq!((number(&reply, "NumberTotalRows"), number(&reply, "NumberFilteredRows")), (2, 1), "{reply}");
    assert_fields(&reply, &[("CommitAndPublishTimeMs", "ErrorURL")]);
    assert_eq!(database.count("t"), 0);
}

#[test]
fn sr_3_1_a_failure_before_execution_counts_nothing() {
    let database = database(Cluster::shared());
    for (table, headers) in [("nowhere", &[][..]), ("t", &[("format", "parquet")]), ("t", &[("label", "a.b")])] {
        let reply = database.load(table).headers(headers).body("1\ta\n").json();
        assert_eq!(field(&reply, "Status"), "Fail", "{reply}");
        assert_fields(&reply, &[]);
        assert_eq!(counts(&reply), [0; 4], "{reply}");
        assert_eq!(number(&reply, "TxnId"), -1, "nothing was begun: {reply}");
    }
}

#[test]
fn sr_3_2_label_already_exists_finished() {
    let database = database(Cluster::shared());
    let label = label();
    let load = || database.load("t").header("label", &label).body("1\ta\n").json();
    assert_eq!(field(&load(), "Status"), "Success");
    let reply = load();
    assert_eq!(field(&reply, "Status"), "Label Already Exists", "{reply}");
    assert_eq!(field(&reply, "ExistingJobStatus"), "FINISHED", "{reply}");
    assert!(field(&reply, "Message").contains("has already been used"), "{reply}");
    assert_fields(&reply, &[("Status", "ExistingJobStatus")]);
    assert_eq!(number(&reply, "TxnId"), -1, "{reply}");
    assert_eq!(database.count("t"), 1);
}

#[test]
fn sr_3_5_nothing_at_all_is_no_success() {
    let database = database(Cluster::shared());
    for body in ["", "\n\n"] {
        let reply = database.load("t").body(body).json();
        assert_eq!(field(&reply, "Status"), "Fail", "{reply}");
        assert!(field(&reply, "Message").contains("No rows were imported from upstream"), "{reply}");
    }
}

#[test]
fn sr_3_5_unknown_database_and_table() {
    let database = database(Cluster::shared());
    let reply = database.load("nowhere").body("1\ta\n").json();
    assert!(field(&reply, "Message").contains("unknown table"), "{reply}");
    let request = database.cluster.request("PUT", database.cluster.backend(), "/api/no_where/t/_stream_load");
    let reply = request.body("1\ta\n").json();
    assert_eq!(field(&reply, "Status"), "Fail", "{reply}");
    assert!(field(&reply, "Message").contains("unknown database"), "{reply}");
}

#[test]
fn sr_3_3_error_url() {
    let database = database(Cluster::shared());
    let headers = [("strict_mode", "true"), ("max_filter_ratio", "1")];
    let body: String = (0..80).map(|row| format!("x{row}\tv\n")).collect();
    let reply = database.load("t").headers(&headers).body(body + "1\ta\n").json();
    let url = field(&reply, "ErrorURL");
    let path = url.split_once("/api/_load_error_log?file=").unwrap_or_else(|| panic!("{url}")).1;
    assert!(path.rsplit('/').next().unwrap().starts_with("error_log_"), "{url}");
    let answer = Request::new("GET", &url).send();
    assert_eq!(answer.status(), 200, "no password is needed");
    let log = answer.text();
    assert!(log.lines().all(|line| line.starts_with("Error: ") && line.contains(". Row: ")), "{log}");
    assert!((40..=80).contains(&log.lines().count()), "about 50 rows: {}", log.lines().count());
    let mut head = Connection::open(url.trim_start_matches("http://").split('/').next().unwrap());
    head.send(format!("HEAD /api/_load_error_log?file={path} HTTP/1.1\r\nHost: test\r\n\r\n"));
    assert!(head.head().starts_with("HTTP/1.1 200"), "its head can be asked for");
    let missing = url.replace(path, "error_log_0_0");
    let answer = Request::new("GET", &missing).send();
    assert_eq!(answer.status(), 200, "a missing file is told by a sentence");
    let forbidden = url.replace(path, "../../../etc/passwd");
    let answer = Request::new("GET", &forbidden).send();
    assert_eq!(answer.status(), 200);
    assert!(!answer.text().contains("root:"), "{}", answer.text());
}
