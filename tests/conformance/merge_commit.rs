//! §2.5: loads that the server merges (3.4 and later).

use crate::support::cluster::{Cluster, Database, label};
use crate::support::curl::{field, names, number};
use crate::support::wait_until;

const FIELDS: &[&str] = &[
    "TxnId",
    "Label",
    "Db",
    "Table",
    "Status",
    "Message",
    "RequestId",
    "LoadBytes",
    "LoadTimeMs",
    "ReadDataTimeMs",
    "PendingTimeMs",
    "WaitPlanTimeMs",
    "WriteDataTimeMs",
    "WaitFinishTimeMs",
    "LeftMergeTimeMs",
];

const MERGE: &[(&str, &str)] =
    &[("enable_merge_commit", "true"), ("merge_commit_interval_ms", "50"), ("merge_commit_parallel", "1")];

fn database(cluster: &Cluster) -> Database<'_> {
    let database = cluster.database();
    database.table("t", "k INT, v VARCHAR(20)");
    database
}

#[test]
fn sr_2_5_reply() {
    let database = database(Cluster::shared());
    let reply = database.load("t").headers(MERGE).header("label", &label()).body("1\ta\n2\tb\n").json();
    assert_eq!(field(&reply, "Status"), "Success", "{reply}");
    assert_eq!(names(&reply), FIELDS, "{reply}");
    assert_eq!(number(&reply, "LoadBytes"), 8);
    assert_eq!(database.count("t"), 2, "it returns when the rows are visible");
    assert_eq!(database.state(&field(&reply, "Label")), "VISIBLE", "the label is the server's");
}

#[test]
fn sr_2_5_the_clients_label_is_a_request_id_and_no_key() {
    let database = database(Cluster::shared());
    let mine = label();
    for rows in 1..=2 {
        let reply = database.load("t").headers(MERGE).header("label", &mine).body("1\ta\n").json();
        assert_eq!(field(&reply, "Status"), "Success", "{reply}");
        assert_eq!(field(&reply, "RequestId"), mine, "{reply}");
        assert_ne!(field(&reply, "Label"), mine, "{reply}");
        assert_eq!(database.count("t"), rows, "at least once");
    }
    assert_eq!(database.state(&mine), "UNKNOWN");
}

#[test]
fn sr_2_5_requests_in_a_window_share_a_transaction() {
    let database = database(Cluster::shared());
    let merge = [("enable_merge_commit", "true"), ("merge_commit_interval_ms", "1000"), ("merge_commit_parallel", "1")];
    let replies: Vec<_> = std::thread::scope(|scope| {
        let one = |k: usize| database.load("t").headers(&merge).body(format!("{k}\ta\n")).json();
        let threads: Vec<_> = (0..3).map(|k| scope.spawn(move || one(k))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let ids: std::collections::BTreeSet<i64> = replies.iter().map(|reply| number(reply, "TxnId")).collect();
    assert!(ids.len() < 3, "some were merged: {replies:?}");
    assert_eq!(database.count("t"), 3);
}

#[test]
fn sr_2_5_asynchronous_requests_return_before_the_commit() {
    let database = database(Cluster::shared());
    let reply = database.load("t").headers(MERGE).header("merge_commit_async", "true").body("1\ta\n").json();
    assert_eq!(field(&reply, "Status"), "Success", "{reply}");
    wait_until("the rows are visible", || database.count("t") == 1);
}

#[test]
fn sr_2_5_a_bad_request_fails() {
    let database = database(Cluster::shared());
    let reply = database.load("t").headers(MERGE).header("strict_mode", "true").body("x\ta\n").json();
    assert_eq!(field(&reply, "Status"), "Fail", "{reply}");
    assert_eq!(database.count("t"), 0);
}

#[test]
fn sr_2_5_stream_load_meta_names_the_nodes() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let path = format!("/api/{}/t/_stream_load_meta", database.name);
    let json = cluster.request("GET", cluster.frontend(), &path).headers(MERGE).json();
    assert_eq!(field(&json, "status"), "OK", "{json}");
    let http = json["nodes"]["http"].as_str().unwrap_or_else(|| panic!("{json}"));
    assert!(http.split(',').all(|node| cluster.backends.iter().any(|backend| backend == node)), "{json}");
    assert!(json["nodes"]["brpc"].is_string(), "{json}");
}
