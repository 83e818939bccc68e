//! §4.8: what survives a `kill -9`. For the sandbox only.

use std::mem::ManuallyDrop;
use std::path::Path;
use std::thread;

use crate::support::cluster::{Database, NULL, label};
use crate::support::curl::field;
use crate::support::sandbox::Sandbox;
use crate::support::wait_until;

/// The same database in a sandbox that was started again: other ports, the same folder.
fn again<'a>(sandbox: &'a Sandbox, name: &str) -> Database<'a> {
    Database { cluster: &sandbox.cluster, name: name.to_owned() }
}

fn operate(database: &Database<'_>, operation: &str, label: &str, body: &str) -> serde_json::Value {
    database.transaction(operation, label).header("table", "t").body(body).json()
}

fn accept(database: &Database<'_>, label: &str, operations: &[&str]) {
    for operation in operations {
        let body = if *operation == "load" { "1\ta\n" } else { "" };
        let reply = operate(database, operation, label, body);
        assert_eq!(field(&reply, "Status"), "OK", "{operation}: {reply}");
    }
}

/// Runs the first part in a sandbox that is then killed, and the second part in one on the same folder.
fn over_a_crash<T>(before: impl FnOnce(&Database<'_>) -> T, after: impl FnOnce(&Database<'_>, T)) {
    let folder = tempfile::tempdir().unwrap();
    let start = |folder: &Path| Sandbox::start(folder, &[]);
    let sandbox = start(folder.path());
    let database = sandbox.cluster.database();
    database.table("t", "k INT, v VARCHAR(20)");
    let (told, name) = (before(&database), database.name.clone());
    std::mem::forget(database);
    sandbox.kill();
    drop(sandbox);
    let sandbox = start(folder.path());
    after(&again(&sandbox, &name), told);
}

#[test]
fn sr_4_8_prepared_survives_and_is_committed() {
    let before = |database: &Database<'_>| {
        let label = label();
        accept(database, &label, &["begin", "load", "prepare"]);
        label
    };
    over_a_crash(before, |database, label| {
        assert_eq!((database.state(&label).as_str(), database.count("t")), ("PREPARED", 0));
        accept(database, &label, &["commit"]);
        assert_eq!((database.state(&label).as_str(), database.count("t")), ("VISIBLE", 1));
        assert_eq!(database.rows("SELECT k, v FROM t"), [["1", "a"]]);
    });
}

#[test]
fn sr_4_8_prepared_survives_and_is_rolled_back() {
    let before = |database: &Database<'_>| {
        let label = label();
        accept(database, &label, &["begin", "load", "prepare"]);
        label
    };
    over_a_crash(before, |database, label| {
        accept(database, &label, &["rollback"]);
        assert_eq!((database.state(&label).as_str(), database.count("t")), ("ABORTED", 0));
        accept(database, &label, &["begin", "load", "commit"]);
        assert_eq!(database.count("t"), 1);
    });
}

#[test]
fn sr_4_8_prepare_does_not_survive() {
    let before = |database: &Database<'_>| {
        let label = label();
        accept(database, &label, &["begin", "load"]);
        label
    };
    over_a_crash(before, |database, label| {
        for operation in ["load", "prepare"] {
            let reply = operate(database, operation, &label, if operation == "load" { "2\tb\n" } else { "" });
            assert_ne!(field(&reply, "Status"), "OK", "{operation}: {reply}");
        }
        assert_eq!(database.count("t"), 0);
        // Either the frontend has found out already, or the label has to be freed.
        if database.state(&label) == "PREPARE" {
            let path = format!("/api/{}/t/_cancel?label={label}", database.name);
            database.cluster.request("POST", database.cluster.frontend(), &path).send();
        }
        wait_until("the label is free", || ["ABORTED", "UNKNOWN"].contains(&database.state(&label).as_str()));
        accept(database, &label, &["begin", "load", "commit"]);
        assert_eq!(database.count("t"), 1);
    });
}

#[test]
fn sr_5_4_every_row_is_loaded_once_over_a_crash_in_the_middle() {
    const LABELS: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path(), &[]);
    let database = sandbox.cluster.database();
    database.table("t", "k INT, v VARCHAR(20)");
    let labels: Vec<String> = (0..LABELS).map(|_| label()).collect();
    let name = database.name.clone();
    let request =
        |database: &Database<'_>, k: usize| database.load("t").header("label", &labels[k]).body(format!("{k}\ta\n"));
    let cluster = sandbox.cluster.clone();
    thread::scope(|scope| {
        let (cluster, request, name) = (&cluster, &request, &name);
        for half in 0..2 {
            scope.spawn(move || {
                let database = ManuallyDrop::new(Database { cluster, name: name.clone() });
                for k in (half..LABELS).step_by(2) {
                    let _ = request(&database, k).attempt();
                }
            });
        }
        wait_until("some rows are there", || database.count("t") > 5);
        sandbox.kill();
    });
    std::mem::forget(database);
    drop(sandbox);
    let sandbox = Sandbox::start(folder.path(), &[]);
    let database = again(&sandbox, &name);
    let found = database.count("t");
    assert!(found > 5, "{found} rows survived");
    for k in 0..LABELS {
        let status = field(&request(&database, k).json(), "Status");
        assert!(["Success", "Label Already Exists"].contains(&status.as_str()), "{status}");
    }
    assert_eq!(database.rows("SELECT count(*), count(DISTINCT k) FROM t"), [["40", "40"]]);
}

#[test]
fn sr_5_what_was_acknowledged_survives_with_its_label() {
    let before = |database: &Database<'_>| {
        let label = label();
        let reply = database.load("t").header("label", &label).body("1\t\\N\n").json();
        assert_eq!(field(&reply, "Status"), "Success", "{reply}");
        let failed = self::label();
        let headers = [("label", failed.as_str()), ("strict_mode", "true")];
        assert_eq!(field(&database.load("t").headers(&headers).body("x\ta\n").json(), "Status"), "Fail");
        (label, failed)
    };
    over_a_crash(before, |database, (label, failed)| {
        assert_eq!((database.state(&label).as_str(), database.state(&failed).as_str()), ("VISIBLE", "ABORTED"));
        let reply = database.load("t").header("label", &label).body("1\t\\N\n").json();
        assert_eq!(field(&reply, "Status"), "Label Already Exists", "{reply}");
        assert_eq!(database.rows("SELECT k, v FROM t"), [["1", NULL]]);
    });
}
