//! §4.7: the table of operations that are repeated or come late, row by row.

use crate::support::cluster::{Cluster, Database, label};
use crate::support::curl::{field, number};
use crate::support::sandbox::Sandbox;
use crate::support::wait_until;
use crate::transactions::Transaction;

fn database(cluster: &Cluster) -> Database<'_> {
    let database = cluster.database();
    database.table("t", "k INT, v VARCHAR(20)");
    database
}

fn prepared<'a>(database: &'a Database<'a>) -> Transaction<'a> {
    let transaction = Transaction::begin(database, &[]);
    transaction.accept(&[], "1\ta\n");
    transaction.expect("prepare");
    transaction
}

fn committed<'a>(database: &'a Database<'a>) -> Transaction<'a> {
    let transaction = prepared(database);
    transaction.expect("commit");
    transaction
}

fn aborted<'a>(database: &'a Database<'a>) -> Transaction<'a> {
    let transaction = prepared(database);
    transaction.expect("rollback");
    transaction
}

#[test]
fn sr_4_7_begin_of_a_label_that_is_live_on_the_same_backend() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let label = label();
    let begin = || database.transaction_at(cluster.backend(), "begin", &label).header("table", "t").json();
    assert_eq!(field(&begin(), "Status"), "OK");
    let reply = begin();
    assert_eq!(field(&reply, "Status"), "LABEL_ALREADY_EXISTS", "{reply}");
    assert_eq!((field(&reply, "Message"), field(&reply, "ExistingJobStatus")), Default::default(), "empty: {reply}");
    database.transaction_at(cluster.backend(), "rollback", &label).send();
}

#[test]
fn sr_4_7_begin_of_a_label_that_is_live_elsewhere() {
    let Some(cluster) = Cluster::several() else { return };
    let database = database(cluster);
    let label = label();
    let begin =
        |node: usize| database.transaction_at(&cluster.backends[node], "begin", &label).header("table", "t").json();
    assert_eq!(field(&begin(0), "Status"), "OK");
    let reply = begin(1);
    assert_eq!(field(&reply, "Status"), "LABEL_ALREADY_EXISTS", "{reply}");
    assert_eq!(field(&reply, "ExistingJobStatus"), "RUNNING", "{reply}");
    database.transaction_at(&cluster.backends[0], "rollback", &label).send();
}

#[test]
fn sr_4_7_begin_of_a_prepared_label() {
    let database = database(Cluster::shared());
    let transaction = prepared(&database);
    let reply = transaction.control("begin", &[]);
    assert_eq!(field(&reply, "Status"), "LABEL_ALREADY_EXISTS", "{reply}");
    assert_eq!(field(&reply, "ExistingJobStatus"), "RUNNING", "{reply}");
    assert_eq!(transaction.state(), "PREPARED");
    transaction.expect("commit");
}

#[test]
fn sr_4_7_begin_of_a_committed_label() {
    let database = database(Cluster::shared());
    let transaction = committed(&database);
    let reply = transaction.control("begin", &[]);
    assert_eq!(field(&reply, "Status"), "LABEL_ALREADY_EXISTS", "{reply}");
    assert_eq!(field(&reply, "ExistingJobStatus"), "FINISHED", "{reply}");
}

#[test]
fn sr_4_7_begin_of_an_aborted_or_unknown_label() {
    let database = database(Cluster::shared());
    let transaction = Transaction { database: &database, label: label() };
    let first = transaction.expect("begin");
    transaction.expect("rollback");
    let second = transaction.expect("begin");
    assert!(number(&second, "TxnId") > number(&first, "TxnId"), "{second}");
    assert_eq!(transaction.state(), "PREPARE", "the newest transaction counts");
    transaction.expect("rollback");
}

#[test]
fn sr_4_7_load_and_prepare_after_prepare() {
    let database = database(Cluster::shared());
    let transaction = prepared(&database);
    let reply = transaction.load(&[], "2\tb\n");
    assert_eq!(field(&reply, "Status"), "TXN_NOT_EXISTS", "{reply}");
    let reply = transaction.control("prepare", &[]);
    assert_eq!(field(&reply, "Status"), "TXN_NOT_EXISTS", "prepare is not idempotent: {reply}");
    assert_eq!(transaction.state(), "PREPARED", "and does no harm");
    transaction.expect("commit");
    assert_eq!(database.count("t"), 1);
}

#[test]
fn sr_4_7_commit_of_prepared_is_ok_without_counts() {
    let database = database(Cluster::shared());
    let transaction = prepared(&database);
    let reply = transaction.expect("commit");
    assert_eq!(field(&reply, "Label"), transaction.label);
    assert!(number(&reply, "TxnId") > 0 && reply.get("NumberLoadedRows").is_none(), "{reply}");
}

#[test]
fn sr_4_7_commit_of_committed_is_ok() {
    let database = database(Cluster::shared());
    let transaction = committed(&database);
    for _ in 0..2 {
        let reply = transaction.expect("commit");
        let id = number(&reply, "TxnId");
        let message = format!("Transaction {id} has already committed, label is {}", transaction.label);
        assert_eq!(field(&reply, "Message"), message, "{reply}");
    }
    assert_eq!(database.count("t"), 1);
}

#[test]
fn sr_4_7_commit_of_a_one_phase_commit_is_ok() {
    let database = database(Cluster::shared());
    let transaction = Transaction::begin(&database, &[]);
    transaction.accept(&[], "1\ta\n");
    transaction.expect("commit");
    let reply = transaction.expect("commit");
    assert!(field(&reply, "Message").contains("has already committed"), "{reply}");
    assert_eq!(database.count("t"), 1);
}

#[test]
fn sr_4_7_commit_of_aborted_fails() {
    let database = database(Cluster::shared());
    let transaction = aborted(&database);
    let reply = transaction.control("commit", &[]);
    assert_eq!(field(&reply, "Status"), "FAILED", "{reply}");
    assert!(field(&reply, "Message").contains("Can not commit ABORTED transaction"), "{reply}");
    assert_eq!(database.count("t"), 0);
}

#[test]
fn sr_4_7_rollback_of_prepared_is_the_frontends() {
    let database = database(Cluster::shared());
    let transaction = prepared(&database);
    let answer = database.transaction("rollback", &transaction.label).send();
    assert!(!answer.statuses().contains(&307), "the frontend rolls back what is prepared itself");
    assert_eq!(answer.field("Status"), "OK", "{}", answer.text());
    assert_eq!((transaction.state().as_str(), database.count("t")), ("ABORTED", 0));
}

#[test]
fn sr_4_7_rollback_of_prepare_is_the_backends() {
    let database = database(Cluster::shared());
    let transaction = Transaction::begin(&database, &[]);
    let answer = database.transaction("rollback", &transaction.label).send();
    assert!(answer.statuses().contains(&307), "{:?}", answer.heads);
    assert_eq!(answer.field("Status"), "OK", "{}", answer.text());
    assert_eq!(transaction.state(), "ABORTED");
}

#[test]
fn sr_4_7_rollback_of_aborted_is_ok() {
    let database = database(Cluster::shared());
    let transaction = aborted(&database);
    for _ in 0..2 {
        let reply = transaction.expect("rollback");
        assert!(field(&reply, "Message").contains("has already aborted"), "{reply}");
    }
}

#[test]
fn sr_4_7_rollback_of_committed_fails() {
    let database = database(Cluster::shared());
    let transaction = committed(&database);
    let reply = transaction.control("rollback", &[]);
    assert_eq!(field(&reply, "Status"), "FAILED", "{reply}");
    assert!(field(&reply, "Message").contains("Can not abort"), "{reply}");
    assert_eq!((transaction.state().as_str(), database.count("t")), ("VISIBLE", 1));
}

#[test]
fn sr_4_7_commit_and_rollback_of_a_label_never_seen() {
    let database = database(Cluster::shared());
    let transaction = Transaction { database: &database, label: label() };
    for operation in ["commit", "rollback"] {
        let reply = transaction.control(operation, &[]);
        assert_eq!(field(&reply, "Status"), "FAILED", "{operation}: {reply}");
        assert!(field(&reply, "Message").contains("No transaction found"), "{operation}: {reply}");
    }
}

#[test]
fn sr_4_7_commit_and_rollback_of_a_forgotten_label() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path(), &["--label-keep-max", "1"]);
    let database = database(&sandbox.cluster);
    let transaction = committed(&database);
    for _ in 0..3 {
        committed(&database);
    }
    wait_until("the label is forgotten", || transaction.state() == "UNKNOWN");
    for operation in ["commit", "rollback"] {
        let reply = transaction.control(operation, &[]);
        assert_eq!(field(&reply, "Status"), "FAILED", "{operation}: {reply}");
        assert!(field(&reply, "Message").contains("No transaction found"), "{operation}: {reply}");
    }
}
