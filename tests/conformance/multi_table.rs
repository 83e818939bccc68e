//! §4.9: transactions over several tables (4.0 and later).

use serde_json::Value;

use crate::support::cluster::{Cluster, Database, label};
use crate::support::curl::{field, names};
use crate::support::raw::Connection;
use crate::support::sandbox::Sandbox;
use crate::support::wait_until;

const MULTI: (&str, &str) = ("transaction_type", "multi");

/// A cluster that knows them: a StarRocks that is told to be one, or a sandbox of that dialect.
fn with_cluster(test: impl FnOnce(&Cluster)) {
    let shared = Cluster::shared();
    if shared.is_named() {
        return test(shared);
    }
    let folder = tempfile::tempdir().unwrap();
    test(&Sandbox::start(folder.path(), &["--dialect", "4.0"]).cluster);
}

fn database(cluster: &Cluster) -> Database<'_> {
    let database = cluster.database();
    database.table("t", "k INT, v VARCHAR(20)");
    database.table("u", "k INT");
    database
}

fn control(database: &Database<'_>, operation: &str, label: &str) -> Value {
    database.transaction(operation, label).headers(&[MULTI, ("timeout", "600")]).json()
}

fn load(database: &Database<'_>, label: &str, table: &str, headers: &[(&str, &str)], body: &str) -> Value {
    let request = database.transaction("load", label).headers(&[MULTI, ("table", table)]);
    request.headers(headers).body(body).json()
}

fn begin(database: &Database<'_>) -> String {
    let label = label();
    let reply = control(database, "begin", &label);
    assert_eq!(field(&reply, "Status"), "OK", "{reply}");
    label
}

#[test]
fn sr_4_9_several_tables_become_visible_at_once() {
    with_cluster(|cluster| {
        let database = database(cluster);
        let label = label();
        let reply = control(&database, "begin", &label);
        assert_eq!(field(&reply, "Status"), "OK", "{reply}");
        assert_eq!(names(&reply).len(), 2, "just Status and Message: {reply}");
        for (table, body) in [("t", "1\ta\n"), ("u", "1\n2\n"), ("t", "2\tb\n")] {
            let reply = load(&database, &label, table, &[], body);
            assert_eq!(field(&reply, "Status"), "OK", "{table}: {reply}");
        }
        assert_eq!((database.count("t"), database.count("u")), (0, 0));
        let reply = control(&database, "commit", &label);
        assert_eq!(field(&reply, "Status"), "OK", "{reply}");
        assert_eq!((database.count("t"), database.count("u")), (2, 2));
        assert_eq!(database.state(&label), "VISIBLE");
    });
}

#[test]
fn sr_4_9_rollback_leaves_nothing() {
    with_cluster(|cluster| {
        let database = database(cluster);
        let label = begin(&database);
        for (table, body) in [("t", "1\ta\n"), ("u", "1\n")] {
            assert_eq!(field(&load(&database, &label, table, &[], body), "Status"), "OK");
        }
        assert_eq!(field(&control(&database, "rollback", &label), "Status"), "OK");
        assert_eq!((database.count("t"), database.count("u")), (0, 0));
    });
}

#[test]
fn sr_4_9_prepare_is_rejected() {
    with_cluster(|cluster| {
        let database = database(cluster);
        let label = begin(&database);
        load(&database, &label, "t", &[], "1\ta\n");
        let reply = control(&database, "prepare", &label);
        assert_ne!(field(&reply, "Status"), "OK", "{reply}");
        assert!(field(&reply, "Message").contains("Unsupported operation"), "{reply}");
        control(&database, "rollback", &label);
    });
}

#[test]
fn sr_4_9_a_backend_takes_no_control_operations() {
    with_cluster(|cluster| {
        let database = database(cluster);
        let request = database.transaction_at(cluster.backend(), "begin", &label()).headers(&[MULTI]);
        let reply = request.json();
        assert_eq!(field(&reply, "Status"), "INVALID_ARGUMENT", "{reply}");
        let message = "Multi-statement transaction requests can only be sent to FE nodes";
        assert!(field(&reply, "Message").contains(message), "{reply}");
    });
}

#[test]
fn sr_4_9_begin_again_tells_the_raw_state() {
    with_cluster(|cluster| {
        let database = database(cluster);
        let label = begin(&database);
        let reply = control(&database, "begin", &label);
        assert_eq!(field(&reply, "Status"), "LABEL_ALREADY_EXISTS", "{reply}");
        let state = field(&reply, "ExistingJobStatus");
        assert!(["BEGIN", "PREPARE"].contains(&state.as_str()), "not RUNNING: {reply}");
        load(&database, &label, "u", &[], "1\n");
        assert_eq!(field(&control(&database, "commit", &label), "Status"), "OK");
        let reply = control(&database, "begin", &label);
        assert_eq!(field(&reply, "Status"), "LABEL_ALREADY_EXISTS", "{reply}");
        let state = field(&reply, "ExistingJobStatus");
        assert!(["COMMITED", "COMMITTED", "VISIBLE"].contains(&state.as_str()), "not FINISHED: {reply}");
    });
}

#[test]
fn sr_4_4_the_frontends_plan_honours_quotes_and_headers() {
    with_cluster(|cluster| {
        let database = database(cluster);
        let label = begin(&database);
        let headers = [
            ("column_separator", ","),
            ("enclose", "\""),
            ("escape", "\\"),
            ("skip_header", "1"),
            ("trim_space", "true"),
        ];
        let reply = load(&database, &label, "t", &headers, "k,v\n1,\"a,b\"\n2, c \n");
        assert_eq!(field(&reply, "Status"), "OK", "{reply}");
        assert_eq!(field(&control(&database, "commit", &label), "Status"), "OK");
        assert_eq!(database.rows("SELECT v FROM t ORDER BY k"), [["a,b"], ["c"]]);
    });
}

#[test]
fn sr_4_9_a_failed_load_aborts_all() {
    with_cluster(|cluster| {
        let database = database(cluster);
        let label = begin(&database);
        assert_eq!(field(&load(&database, &label, "t", &[], "1\ta\n"), "Status"), "OK");
        let reply = load(&database, &label, "u", &[("format", "odd")], "1\n");
        assert_ne!(field(&reply, "Status"), "OK", "{reply}");
        wait_until("the transaction is aborted", || database.state(&label) == "ABORTED");
        assert_ne!(field(&control(&database, "commit", &label), "Status"), "OK");
        assert_eq!(database.count("t"), 0);
    });
}

#[test]
fn sr_4_9_loads_to_different_tables_run_at_the_same_time() {
    with_cluster(|cluster| {
        let database = database(cluster);
        let label = begin(&database);
        // The frontend names the backend; the connections are then made by hand.
        let begin =
            database.transaction_at(cluster.frontend(), "load", &label).headers(&[MULTI, ("table", "t")]).send();
        let location = begin.header("Location").unwrap_or_else(|| panic!("{:?}", begin.heads)).to_owned();
        let node = location.trim_start_matches("http://").split('/').next().unwrap();
        let open = |table: &str, length: &str| {
            let headers = [
                MULTI,
                ("label", label.as_str()),
                ("db", database.name.as_str()),
                ("table", table),
                ("Expect", "100-continue"),
                ("Content-Length", length),
            ];
            let mut connection = Connection::open(node);
            connection.send(cluster.head("PUT", "/api/transaction/load", &headers));
            let head = connection.head();
            assert!(head.starts_with("HTTP/1.1 100"), "{table}: {head}");
            connection
        };
        let (mut first, mut second) = (open("t", "4"), open("u", "2"));
        second.send("1\n");
        assert_eq!(field(&second.reply().json(), "Status"), "OK");
        first.send("1\ta\n");
        assert_eq!(field(&first.reply().json(), "Status"), "OK");
        assert_eq!(field(&control(&database, "commit", &label), "Status"), "OK");
        assert_eq!((database.count("t"), database.count("u")), (1, 1));
    });
}
