//! §5: labels, their states, cancelling and forgetting.

use crate::support::cluster::{Cluster, Database, label};
use crate::support::curl::{field, names};
use crate::support::sandbox::Sandbox;
use crate::support::wait_until;

fn database(cluster: &Cluster) -> Database<'_> {
    let database = cluster.database();
    database.table("t", "k INT");
    database
}

fn load(database: &Database<'_>, label: &str, body: &str) -> String {
    let reply = database.load("t").headers(&[("label", label), ("strict_mode", "true")]).body(body).json();
    field(&reply, "Status")
}

#[test]
fn sr_5_1_syntax() {
    let database = database(Cluster::shared());
    let longest = "x".repeat(128);
    for good in ["a", "-", "_", "0", "a-b_C9", longest.as_str()] {
        let good_one = if good == longest { longest.clone() } else { format!("{good}{}", label()) };
        assert_eq!(load(&database, &good_one, "1\n"), "Success", "{good_one}");
    }
    let long = "x".repeat(129);
    for bad in ["a.b", "a b", "a/b", "a:b", "ä", "a,b", long.as_str()] {
        let reply = database.load("t").header("label", bad).body("1\n").json();
        assert_eq!(field(&reply, "Status"), "Fail", "{bad}: {reply}");
        assert!(field(&reply, "Message").contains("Label format error"), "{bad}: {reply}");
    }
}

#[test]
fn sr_2_1_without_a_label_the_server_makes_one() {
    let database = database(Cluster::shared());
    let made = || {
        let reply = database.load("t").body("1\n").json();
        assert_eq!(field(&reply, "Status"), "Success", "{reply}");
        field(&reply, "Label")
    };
    let (first, second) = (made(), made());
    assert!(!first.is_empty() && first != second);
    assert_eq!(database.state(&first), "VISIBLE");
}

#[test]
fn sr_5_1_a_label_belongs_to_one_database() {
    let (one, other) = (database(Cluster::shared()), database(Cluster::shared()));
    let label = label();
    assert_eq!(load(&one, &label, "1\n"), "Success");
    assert_eq!(load(&other, &label, "1\n"), "Success");
    assert_eq!(load(&one, &label, "1\n"), "Label Already Exists");
}

#[test]
fn sr_5_1_a_label_is_shared_by_all_kinds_of_loads() {
    let database = database(Cluster::shared());
    let label = label();
    assert_eq!(load(&database, &label, "1\n"), "Success");
    let reply = database.transaction("begin", &label).header("table", "t").json();
    let status = (field(&reply, "Status"), field(&reply, "ExistingJobStatus"));
    assert_eq!(status, ("LABEL_ALREADY_EXISTS".into(), "FINISHED".into()), "{reply}");
}

#[test]
fn sr_5_2_a_live_label_is_running() {
    let database = database(Cluster::shared());
    let label = label();
    let connection = database.open_load("t", &label, 2);
    let reply = database.load("t").header("label", &label).body("1\n").json();
    assert_eq!(field(&reply, "Status"), "Label Already Exists", "{reply}");
    assert_eq!(field(&reply, "ExistingJobStatus"), "RUNNING", "{reply}");
    let mut connection = connection;
    connection.send("1\n");
    assert_eq!(field(&connection.reply().json(), "Status"), "Success");
    assert_eq!(database.count("t"), 1);
}

#[test]
fn sr_5_2_of_many_at_once_one_owns_the_label() {
    let database = database(Cluster::shared());
    let label = label();
    let statuses: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| load(&database, &label, "1\n"))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let count = |status: &str| statuses.iter().filter(|other| *other == status).count();
    assert_eq!((count("Success"), count("Label Already Exists")), (1, 5), "{statuses:?}");
    assert_eq!(database.count("t"), 1);
}

#[test]
fn sr_5_2_aborted_frees_the_label() {
    let database = database(Cluster::shared());
    let label = label();
    for _ in 0..2 {
        assert_eq!(load(&database, &label, "x\n"), "Fail");
        assert_eq!(database.state(&label), "ABORTED");
    }
    assert_eq!(load(&database, &label, "1\n"), "Success");
    assert_eq!(database.state(&label), "VISIBLE", "the newest transaction counts");
}

#[test]
fn sr_5_4_get_load_state() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let answer = |path: &str| cluster.request("GET", cluster.frontend(), path).send();
    let (never, loaded, failed) = (label(), label(), label());
    load(&database, &loaded, "1\n");
    load(&database, &failed, "x\n");
    for (label, state) in [(&never, "UNKNOWN"), (&loaded, "VISIBLE"), (&failed, "ABORTED")] {
        let answer = answer(&format!("/api/{}/get_load_state?label={label}", database.name));
        assert_eq!(answer.status(), 200);
        let json = answer.json();
        for (name, value) in [("state", state), ("status", "OK"), ("code", "0"), ("msg", "Success"), ("message", "OK")]
        {
            assert_eq!(field(&json, name), value, "{json}");
        }
        let known = ["state", "reason", "status", "code", "msg", "message"];
        assert!(names(&json).iter().all(|name| known.contains(name)), "{json}");
    }
    let json = answer("/api/no_where/get_load_state?label=l").json();
    assert_eq!((field(&json, "status").as_str(), field(&json, "code").as_str()), ("FAILED", "1"), "{json}");
    assert_eq!(field(&json, "msg"), "unknown database, database=no_where");
}

#[test]
fn sr_5_5_cancel() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let cancel = |path: &str| {
        let answer = cluster.request("POST", cluster.frontend(), &format!("/api/{}/{path}", database.name)).send();
        assert_eq!(answer.status(), 200);
        answer.json()
    };
    let label = label();
    let connection = database.open_load("t", &label, 2);
    let json = cancel(&format!("{label}/_cancel"));
    assert_eq!(field(&json, "status"), "FAILED", "the path is not read as the label: {json}");
    assert_eq!(database.state(&label), "PREPARE");
    let json = cancel(&format!("any/_cancel?label={label}"));
    for (name, value) in [("status", "OK"), ("code", "0"), ("msg", "Success"), ("message", "OK")] {
        assert_eq!(field(&json, name), value, "{json}");
    }
    assert_eq!(database.state(&label), "ABORTED");
    connection.abandon();
    let json = cancel(&format!("any/_cancel?label={label}"));
    let expected = ("FAILED".to_owned(), format!("transaction not found: {label}"));
    assert_eq!((field(&json, "status"), field(&json, "msg")), expected, "it is over: {json}");
    assert_eq!(load(&database, &label, "1\n"), "Success");
    let json = cancel(&format!("any/_cancel?label={label}"));
    assert_eq!(field(&json, "msg"), format!("transaction not found: {label}"), "it is visible: {json}");
    assert_eq!(database.count("t"), 1);
}

#[test]
fn sr_5_5_a_cancelled_load_does_not_commit() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let label = label();
    let mut connection = database.open_load("t", &label, 2);
    let path = format!("/api/{}/t/_cancel?label={label}", database.name);
    assert_eq!(cluster.request("POST", cluster.frontend(), &path).send().field("status"), "OK");
    connection.send("1\n");
    let reply = connection.reply().json();
    assert_eq!(field(&reply, "Status"), "Fail", "{reply}");
    assert_eq!((database.count("t"), database.state(&label).as_str()), (0, "ABORTED"));
}

#[test]
fn sr_5_5_only_a_transaction_in_prepare_can_be_cancelled() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let label = label();
    for operation in ["begin", "load", "prepare"] {
        let request = database.transaction(operation, &label).header("table", "t");
        let body = if operation == "load" { "1\n" } else { "" };
        let reply = request.body(body).json();
        assert_eq!(field(&reply, "Status"), "OK", "{operation}: {reply}");
    }
    assert_eq!(database.state(&label), "PREPARED");
    let path = format!("/api/{}/t/_cancel?label={label}", database.name);
    let json = cluster.request("POST", cluster.frontend(), &path).json();
    assert_eq!(field(&json, "msg"), format!("transaction not found: {label}"), "{json}");
    assert_eq!(database.state(&label), "PREPARED");
    database.transaction("rollback", &label).send();
}

#[test]
fn sr_5_3_a_finished_label_is_forgotten_by_count() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path(), &["--label-keep-max", "3"]);
    let database = database(&sandbox.cluster);
    let labels: Vec<String> = (0..6).map(|_| label()).collect();
    for label in &labels {
        assert_eq!(load(&database, label, "1\n"), "Success");
    }
    wait_until("the oldest labels are forgotten", || database.state(&labels[0]) == "UNKNOWN");
    let last = labels.last().unwrap();
    assert_eq!(database.state(last), "VISIBLE", "the newest is kept");
    assert_eq!(load(&database, last, "1\n"), "Label Already Exists");
    assert_eq!(load(&database, &labels[0], "1\n"), "Success", "a forgotten label loads again");
    assert_eq!(database.count("t"), 7);
}

#[test]
fn sr_5_3_a_finished_label_is_forgotten_by_age() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path(), &["--label-keep", "1"]);
    let database = database(&sandbox.cluster);
    let label = label();
    assert_eq!(load(&database, &label, "1\n"), "Success");
    wait_until("the label is forgotten", || database.state(&label) == "UNKNOWN");
    assert_eq!(load(&database, &label, "1\n"), "Success");
}

#[test]
fn sr_5_3_a_transaction_that_is_open_is_never_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path(), &["--label-keep-max", "1"]);
    let database = database(&sandbox.cluster);
    let open = label();
    let connection = database.open_load("t", &open, 2);
    let first = label();
    for label in [first.clone(), label(), label()] {
        assert_eq!(load(&database, &label, "1\n"), "Success");
    }
    wait_until("the oldest finished label is forgotten", || database.state(&first) == "UNKNOWN");
    assert_eq!(database.state(&open), "PREPARE");
    connection.abandon();
}
