//! §11.4, §11.5, §11.8 and §3.4: what goes wrong on demand. For the sandbox only.

use std::thread;

use serde_json::{Value, json};

use crate::support::cluster::{Database, label};
use crate::support::curl::{Request, field};
use crate::support::sandbox::Sandbox;
use crate::support::wait_until;

/// A sandbox in which these rules hold, with a table `t`.
fn under(rules: &Value, test: impl FnOnce(&Database<'_>)) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("faults.json");
    std::fs::write(&file, json!({ "seed": 1, "rules": rules }).to_string()).unwrap();
    let sandbox = Sandbox::start(folder.path(), &["--faults", &file.display().to_string()]);
    let database = sandbox.cluster.database();
    database.table("t", "k INT");
    test(&database);
}

fn load(database: &Database<'_>, label: &str) -> Request {
    database.load("t").header("label", label).body("1\n")
}

fn operate(database: &Database<'_>, operation: &str, label: &str) -> Value {
    let body = if operation == "load" { "1\n" } else { "" };
    database.transaction(operation, label).header("table", "t").body(body).json()
}

fn accept(database: &Database<'_>, label: &str, operations: &[&str]) {
    for operation in operations {
        let reply = operate(database, operation, label);
        assert_eq!(field(&reply, "Status"), "OK", "{operation}: {reply}");
    }
}

#[test]
fn sr_11_4_a_load_is_committed_and_the_connection_drops() {
    let rules = json!([{ "at": "answer", "node": "be*", "operation": "stream_load", "do": { "kind": "reset" } }]);
    under(&rules, |database| {
        let label = label();
        assert!(load(database, &label).attempt().is_err(), "no answer comes");
        assert_eq!(database.state(&label), "VISIBLE");
        let reply = load(database, &label).json();
        let told = (field(&reply, "Status"), field(&reply, "ExistingJobStatus"));
        assert_eq!(told, ("Label Already Exists".into(), "FINISHED".into()), "{reply}");
        assert_eq!(database.count("t"), 1);
    });
}

#[test]
fn sr_3_4_a_load_is_committed_and_answered_by_fail() {
    let rules = json!([{ "at": "committed", "operation": "stream_load", "do": { "kind": "commit_then_fail" } }]);
    under(&rules, |database| {
        let label = label();
        let reply = load(database, &label).json();
        assert_eq!(field(&reply, "Status"), "Fail", "{reply}");
        assert!(field(&reply, "Message").contains("FE RPC failure, address="), "{reply}");
        wait_until("the data are live", || database.state(&label) == "VISIBLE");
        assert_eq!(database.count("t"), 1);
    });
}

#[test]
fn sr_3_2_publish_timeout_is_committed() {
    let fault = json!({ "kind": "publish_timeout", "visible_after_ms": 500 });
    under(&json!([{ "at": "publish", "operation": "stream_load", "do": fault }]), |database| {
        let label = label();
        let reply = load(database, &label).json();
        assert_eq!(field(&reply, "Status"), "Publish Timeout", "{reply}");
        assert!(["COMMITTED", "VISIBLE"].contains(&database.state(&label).as_str()));
        let again = load(database, &label).json();
        assert_eq!(field(&again, "ExistingJobStatus"), "FINISHED", "COMMITTED owns its label: {again}");
        wait_until("the rows are visible", || database.state(&label) == "VISIBLE");
        assert_eq!(database.count("t"), 1);
    });
}

#[test]
fn sr_4_7_commit_of_prepared_fails_by_publish_timeout_although_it_is_committed() {
    let fault = json!({ "kind": "publish_timeout", "visible_after_ms": 500 });
    under(&json!([{ "at": "publish", "operation": "commit", "do": fault }]), |database| {
        let label = label();
        accept(database, &label, &["begin", "load", "prepare"]);
        let reply = operate(database, "commit", &label);
        assert_eq!(field(&reply, "Status"), "FAILED", "{reply}");
        assert!(field(&reply, "Message").contains("publish timeout"), "{reply}");
        assert!(["COMMITTED", "VISIBLE"].contains(&database.state(&label).as_str()));
        let again = operate(database, "commit", &label);
        assert_eq!(field(&again, "Status"), "OK", "the commit may be repeated: {again}");
        wait_until("the rows are visible", || database.state(&label) == "VISIBLE");
        assert_eq!(database.count("t"), 1);
    });
}

#[test]
fn sr_11_4_a_rollback_is_lost_and_the_label_stays_busy_until_its_timeout() {
    let rules = json!([
        { "at": "write", "operation": "stream_load", "do": { "kind": "fail", "preset": "memory_limit" } },
        { "at": "rollback", "operation": "stream_load", "do": { "kind": "lose_rollback" } },
    ]);
    under(&rules, |database| {
        let label = label();
        let reply = load(database, &label).header("timeout", "3").json();
        assert_eq!(field(&reply, "Status"), "Fail", "{reply}");
        assert_eq!(database.state(&label), "PREPARE");
        let reply = load(database, &label).json();
        assert_eq!(field(&reply, "ExistingJobStatus"), "RUNNING", "{reply}");
        wait_until("the time is over", || database.state(&label) == "ABORTED");
        assert_eq!(field(&load(database, &label).json(), "Status"), "Success");
        assert_eq!(database.count("t"), 1);
    });
}

#[test]
fn sr_11_8_throttles_and_refusals() {
    // The name of the failure, the step, and the words of §3.5.
    let failures: &[(&str, &str, &str)] = &[
        ("too_many_versions", "write", "because of too many versions, current/limit"),
        ("running_transactions", "begin", "current running txns on db"),
        ("backend_transactions", "begin", "streamload txn num per be exceeds limit"),
        ("memory_limit", "write", "Memory of"),
        ("concurrency_limit", "begin", "Stream Load exceed http cuncurrent limit"),
        ("shutting_down", "begin", "Service is shutting down, please retry later!"),
        ("not_master", "begin", "current fe is not master"),
        ("lock_timeout", "commit", "get database write lock timeout"),
        ("no_backend", "plan", "No backend alive."),
        ("commit_rate", "commit", "Commit rate exceeds compaction throughput"),
    ];
    let rules: Vec<Value> = failures
        .iter()
        .map(|(preset, step, _)| {
            let fault = json!({ "kind": "fail", "preset": preset });
            json!({ "at": step, "operation": "stream_load", "label": format!("{preset}-*"), "do": fault })
        })
        .collect();
    under(&json!(rules), |database| {
        for (index, (preset, _, message)) in (1..).zip(failures) {
            let label = format!("{preset}-{}", label());
            let reply = load(database, &label).json();
            assert_eq!(field(&reply, "Status"), "Fail", "{preset}: {reply}");
            assert!(field(&reply, "Message").contains(message), "{preset}: {reply}");
            wait_until("nothing is left", || ["ABORTED", "UNKNOWN"].contains(&database.state(&label).as_str()));
            assert_eq!(field(&load(database, &label).json(), "Status"), "Success", "the same label: {preset}");
            assert_eq!(database.count("t"), index, "{preset}");
        }
    });
}

#[test]
fn sr_11_9_content_types_are_switchable() {
    let fault = |value: Value| json!({ "kind": "content_type", "value": value });
    let rule = |id: &str, value: Value| {
        let label = format!("{id}-*");
        json!({ "id": id, "at": "answer", "node": "be*", "label": label, "do": fault(value) })
    };
    let rules =
        json!([rule("none", Value::Null), rule("html", json!("text/html")), rule("json", json!("application/json"))]);
    under(&rules, |database| {
        for (id, expected) in [("none", None), ("html", Some("text/html")), ("json", Some("application/json"))] {
            let answer = load(database, &format!("{id}-{}", label())).send();
            assert_eq!(answer.header("Content-Type"), expected, "{:?}", answer.heads);
            assert_eq!(answer.field("Status"), "Success");
        }
    });
}

/// Lets the backend die and come back while this label's transaction is under way.
fn crash_of_the_backend(database: &Database<'_>) {
    let path = format!("http://{}/api/health", database.cluster.backend());
    let other = label();
    let doomed = thread::scope(|scope| scope.spawn(|| load(database, &other).attempt().is_ok()).join().unwrap());
    assert!(!doomed || database.state(&other) != "VISIBLE", "it died with the backend");
    wait_until("the backend is back", || Request::new("GET", &path).attempt().is_ok());
}

fn crashing() -> Value {
    json!([{ "at": "write", "operation": "stream_load", "do": { "kind": "crash", "restart_after_ms": 300 } }])
}

#[test]
fn sr_4_8_a_backend_that_restarts_has_lost_what_was_in_prepare() {
    under(&crashing(), |database| {
        let label = label();
        accept(database, &label, &["begin", "load"]);
        crash_of_the_backend(database);
        for operation in ["load", "prepare", "commit", "rollback"] {
            let reply = operate(database, operation, &label);
            // The frontend may have found out meanwhile, and then answers for what is ABORTED itself.
            if database.state(&label) == "PREPARE" {
                assert_eq!(field(&reply, "Status"), "TXN_NOT_EXISTS", "{operation}: {reply}");
            } else {
                let known = operation == "rollback" || field(&reply, "Status") != "OK";
                assert!(known, "{operation}: {reply}");
            }
        }
        if database.state(&label) == "PREPARE" {
            let path = format!("/api/{}/t/_cancel?label={label}", database.name);
            let cancelled = database.cluster.request("POST", database.cluster.frontend(), &path).send();
            assert_eq!(cancelled.field("status"), "OK", "{}", cancelled.text());
        }
        assert_eq!(database.state(&label), "ABORTED");
        accept(database, &label, &["begin", "load", "commit"]);
        assert_eq!(database.count("t"), 1);
    });
}

#[test]
fn sr_4_8_a_backend_that_stays_away_aborts_what_was_in_prepare() {
    let rules = json!([{ "at": "write", "operation": "stream_load", "do": { "kind": "crash" } }]);
    under(&rules, |database| {
        let label = label();
        accept(database, &label, &["begin", "load"]);
        assert!(load(database, &self::label()).attempt().is_err(), "the backend dies");
        wait_until("the frontend has found out", || database.state(&label) == "ABORTED");
        let path = format!("/api/{}/get_load_state?label={label}", database.name);
        let state = database.cluster.request("GET", database.cluster.frontend(), &path).send();
        assert!(state.field("reason").contains("coordinate BE is down"), "{}", state.text());
    });
}

#[test]
fn sr_4_8_what_was_prepared_survives_its_backend() {
    under(&crashing(), |database| {
        let label = label();
        accept(database, &label, &["begin", "load", "prepare"]);
        crash_of_the_backend(database);
        assert_eq!(database.state(&label), "PREPARED");
        accept(database, &label, &["commit"]);
        assert_eq!((database.state(&label).as_str(), database.count("t")), ("VISIBLE", 1));
    });
}
