//! §10 and §3.2: what differs between versions. For the sandbox only, which speaks several.

use crate::support::cluster::{Cluster, Database, label};
use crate::support::curl::{field, names};
use crate::support::sandbox::Sandbox;

const DIALECTS: &[&str] = &["3.3", "3.4", "3.5", "4.0"];

fn in_each(test: impl Fn(&str, &Cluster)) {
    for dialect in DIALECTS {
        let folder = tempfile::tempdir().unwrap();
        test(dialect, &Sandbox::start(folder.path(), &["--dialect", dialect]).cluster);
    }
}

fn database(cluster: &Cluster) -> Database<'_> {
    let database = cluster.database();
    database.table("t", "k INT");
    database
}

#[test]
fn sr_10_the_version_is_the_dialects() {
    in_each(|dialect, cluster| {
        let json = cluster.request("GET", cluster.frontend(), "/api/v2/feature").json();
        assert!(field(&json, "version").starts_with(&format!("{dialect}.")), "{json}");
    });
}

#[test]
fn sr_3_2_a_duplicate_label_is_a_fail_in_3_3_and_3_4() {
    in_each(|dialect, cluster| {
        let database = database(cluster);
        let label = label();
        let load = || database.load("t").header("label", &label).body("1\n").json();
        assert_eq!(field(&load(), "Status"), "Success");
        let reply = load();
        if ["3.3", "3.4"].contains(&dialect) {
            assert_eq!(field(&reply, "Status"), "Fail", "{dialect}: {reply}");
            let message = field(&reply, "Message");
            let cause = format!("cancel stream task for exception: Label [{label}] has already been used.");
            let expected = format!(", label{{{label}}}, error_msg{{{cause}}}");
            assert!(message.starts_with("STREAM_LOAD_TASK:") && message.ends_with(&expected), "{dialect}: {reply}");
            assert!(reply.get("ExistingJobStatus").is_none(), "{dialect}: {reply}");
        } else {
            assert_eq!(field(&reply, "Status"), "Label Already Exists", "{dialect}: {reply}");
            assert_eq!(field(&reply, "ExistingJobStatus"), "FINISHED", "{dialect}: {reply}");
        }
        let begin = database.transaction("begin", &label).header("table", "t").json();
        let expected = if ["3.3", "3.4"].contains(&dialect) { "ANALYSIS_ERROR" } else { "LABEL_ALREADY_EXISTS" };
        assert_eq!(field(&begin, "Status"), expected, "{dialect}: {begin}");
    });
}

#[test]
fn sr_5_4_reason_is_absent_before_3_4() {
    in_each(|dialect, cluster| {
        let database = database(cluster);
        let label = label();
        let headers = [("label", label.as_str()), ("strict_mode", "true")];
        assert_eq!(field(&database.load("t").headers(&headers).body("x\n").json(), "Status"), "Fail");
        let path = format!("/api/{}/get_load_state?label={label}", database.name);
        let json = cluster.request("GET", cluster.frontend(), &path).json();
        assert_eq!(field(&json, "state"), "ABORTED");
        assert_eq!(json.get("reason").is_some(), dialect != "3.3", "{dialect}: {json}");
    });
}

#[test]
fn sr_1_4_content_types() {
    in_each(|dialect, cluster| {
        let database = database(cluster);
        let backend = database.load("t").body("1\n").send();
        let expected = ["3.5", "4.0"].contains(&dialect).then_some("application/json");
        let found = backend.header("Content-Type").map(|value| value.split(';').next().unwrap().to_owned());
        assert_eq!(found.as_deref(), expected, "{dialect}: {:?}", backend.heads);
        if dialect == "3.3" {
            let path = format!("/api/{}/get_load_state?label=l", database.name);
            let frontend = cluster.request("GET", cluster.frontend(), &path).send();
            let found = frontend.header("Content-Type").unwrap_or_default();
            assert!(found.starts_with("text/html"), "{:?}", frontend.heads);
        }
    });
}

#[test]
fn sr_3_1_db_and_table_are_told_by_late_builds_only() {
    in_each(|dialect, cluster| {
        let reply = database(cluster).load("t").body("1\n").json();
        let told = names(&reply).contains(&"Db");
        assert_eq!(told, dialect == "4.0", "{dialect}: {reply}");
        if told {
            assert_eq!(names(&reply)[..5], ["TxnId", "Label", "Db", "Table", "Status"], "{reply}");
        }
    });
}

#[test]
fn sr_10_the_second_schema_is_absent_in_3_3() {
    in_each(|dialect, cluster| {
        let database = database(cluster);
        let path = format!("/api/v2/catalogs/default_catalog/databases/{}/tables/t/schema", database.name);
        let answer = cluster.request("GET", cluster.frontend(), &path).send();
        assert_eq!(answer.status() == 200, dialect != "3.3", "{dialect}: {}", answer.text());
    });
}
