//! §4.2–4.6: transactions, by their replies and rules.

use serde_json::Value;

use crate::support::cluster::{Cluster, Database, label};
use crate::support::curl::{field, names, number};
use crate::support::raw::Connection;
use crate::support::wait_until;

fn database(cluster: &Cluster) -> Database<'_> {
    let database = cluster.database();
    database.table("t", "k INT, v VARCHAR(20)");
    database.table("u", "k INT, v VARCHAR(20)");
    database
}

/// A transaction by way of the frontend.
pub(crate) struct Transaction<'a> {
    pub(crate) database: &'a Database<'a>,
    pub(crate) label: String,
}

impl<'a> Transaction<'a> {
    pub(crate) fn begin(database: &'a Database<'a>, headers: &[(&str, &str)]) -> Self {
        let transaction = Self { database, label: label() };
        let reply = transaction.control("begin", headers);
        assert_eq!(field(&reply, "Status"), "OK", "{reply}");
        transaction
    }

    pub(crate) fn control(&self, operation: &str, headers: &[(&str, &str)]) -> Value {
        let request = self.database.transaction(operation, &self.label);
        let request = if operation == "begin" { request.header("table", "t") } else { request };
        request.headers(headers).json()
    }

    pub(crate) fn load(&self, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Value {
        self.database.transaction("load", &self.label).header("table", "t").headers(headers).body(body).json()
    }

    /// Loads and expects that the bytes are accepted.
    pub(crate) fn accept(&self, headers: &[(&str, &str)], body: impl AsRef<[u8]>) {
        let reply = self.load(headers, body);
        assert_eq!(field(&reply, "Status"), "OK", "{reply}");
    }

    /// Expects success of an operation.
    pub(crate) fn expect(&self, operation: &str) -> Value {
        let reply = self.control(operation, &[]);
        assert_eq!(field(&reply, "Status"), "OK", "{operation}: {reply}");
        reply
    }

    pub(crate) fn state(&self) -> String {
        self.database.state(&self.label)
    }
}

/// `Db` and `Table` belong to builds after 2025-11 only.
fn older(reply: &Value) -> Vec<&str> {
    names(reply).into_iter().filter(|name| !["Db", "Table"].contains(name)).collect()
}

const FINISHED: &[&str] = &[
    "Status",
    "Label",
    "Message",
    "TxnId",
    "NumberTotalRows",
    "NumberLoadedRows",
    "NumberFilteredRows",
    "NumberUnselectedRows",
    "LoadBytes",
    "LoadTimeMs",
    "StreamLoadPlanTimeMs",
    "ReceivedDataTimeMs",
    "WriteDataTimeMs",
    "CommitAndPublishTimeMs",
];

#[test]
fn sr_4_3_replies_of_a_backend() {
    let database = database(Cluster::shared());
    let transaction = Transaction { database: &database, label: label() };
    let begin = transaction.control("begin", &[]);
    assert_eq!(older(&begin), ["Status", "Label", "Message", "TxnId", "BeginTxnTimeMs"], "{begin}");
    assert_eq!((field(&begin, "Status").as_str(), field(&begin, "Label")), ("OK", transaction.label.clone()));
    let load = transaction.load(&[], "1\ta\n2\tb\n");
    let fields = ["Status", "Label", "Message", "TxnId", "LoadBytes", "StreamLoadPlanTimeMs", "ReceivedDataTimeMs"];
    assert_eq!(older(&load), fields, "no counts, no Seq: {load}");
    assert_eq!(number(&load, "LoadBytes"), 8, "per request");
    let load = transaction.load(&[], "3\tc\n");
    assert_eq!(number(&load, "LoadBytes"), 4, "per request: {load}");
    let prepare = transaction.control("prepare", &[]);
    assert_eq!(older(&prepare), FINISHED, "{prepare}");
    assert_eq!(number(&prepare, "TxnId"), number(&begin, "TxnId"));
    let counts = ["NumberTotalRows", "NumberLoadedRows", "LoadBytes"].map(|name| number(&prepare, name));
    assert_eq!(counts, [3, 3, 12], "{prepare}");
    assert_eq!((transaction.state().as_str(), database.count("t")), ("PREPARED", 0), "not visible before the commit");
    transaction.expect("commit");
    assert_eq!((transaction.state().as_str(), database.count("t")), ("VISIBLE", 3));
}

#[test]
fn sr_4_3_a_backend_indents_with_four_spaces() {
    let database = database(Cluster::shared());
    let label = label();
    let answer = database.transaction("begin", &label).header("table", "t").send();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().starts_with("{\n    \"Status\": \"OK\""), "{}", answer.text());
    database.transaction("rollback", &label).send();
}

#[test]
fn sr_4_3_one_phase_commit_is_the_backends() {
    let database = database(Cluster::shared());
    let transaction = Transaction::begin(&database, &[]);
    transaction.accept(&[], "1\ta\n");
    let commit = transaction.expect("commit");
    assert_eq!(older(&commit), FINISHED, "{commit}");
    assert_eq!(number(&commit, "NumberLoadedRows"), 1);
    assert_eq!((transaction.state().as_str(), database.count("t")), ("VISIBLE", 1));
}

#[test]
fn sr_4_3_rollback_of_prepare_is_the_backends() {
    let database = database(Cluster::shared());
    let transaction = Transaction::begin(&database, &[]);
    transaction.accept(&[], "1\ta\n");
    let rollback = transaction.expect("rollback");
    assert_eq!(older(&rollback), ["Status", "Label", "Message"], "{rollback}");
    assert_eq!((transaction.state().as_str(), database.count("t")), ("ABORTED", 0));
}

#[test]
fn sr_4_3_a_frontends_reply_is_short() {
    let database = database(Cluster::shared());
    let transaction = Transaction::begin(&database, &[]);
    transaction.accept(&[], "1\ta\n");
    let prepared = transaction.expect("prepare");
    let answer = database.transaction("commit", &transaction.label).send();
    assert!(!answer.statuses().contains(&307), "the frontend commits what is prepared itself");
    let commit = answer.json();
    let mut fields = names(&commit);
    fields.sort_unstable();
    assert_eq!(fields, ["Label", "Message", "Status", "TxnId"], "{commit}");
    assert_eq!(number(&commit, "TxnId"), number(&prepared, "TxnId"));
    assert!(answer.text().contains('\n'), "it is indented: {}", answer.text());
}

#[test]
fn sr_4_2_required_headers() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let name = database.name.as_str();
    let incomplete: [(&str, &[(&str, &str)]); 5] = [
        ("begin", &[("db", name), ("table", "t")]),
        ("begin", &[("label", "l"), ("table", "t")]),
        ("begin", &[("label", "l"), ("db", name)]),
        ("commit", &[("db", name)]),
        ("rollback", &[("label", "l")]),
    ];
    for node in [cluster.frontend(), cluster.backend()] {
        for (operation, headers) in &incomplete {
            let path = format!("/api/transaction/{operation}");
            let answer = cluster.request("POST", node, &path).follow().headers(headers).send();
            assert_eq!(answer.status(), 200, "{headers:?}");
            assert_ne!(answer.field("Status"), "OK", "{operation} {headers:?}: {}", answer.text());
        }
    }
}

#[test]
fn sr_4_2_control_operations_may_be_put() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let headers = [("label", label()), ("db", database.name.clone()), ("table", "t".into())];
    for operation in ["begin", "rollback"] {
        let request = cluster.request("PUT", cluster.frontend(), &format!("/api/transaction/{operation}")).follow();
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let reply = request.json();
        assert_eq!(field(&reply, "Status"), "OK", "{operation}: {reply}");
    }
}

#[test]
fn sr_4_2_a_body_of_a_control_operation_has_to_be_empty() {
    let database = database(Cluster::shared());
    let transaction = Transaction::begin(&database, &[]);
    transaction.accept(&[], "1\ta\n");
    transaction.expect("prepare");
    let answer = database.transaction("commit", &transaction.label).body("no tablets").send();
    assert!(answer.text().contains("Malformed json tablets"), "{}", answer.text());
    transaction.expect("rollback");
}

#[test]
fn sr_4_2_a_backend_takes_every_operation_directly() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let label = label();
    for (operation, body) in [("begin", ""), ("load", "1\ta\n"), ("commit", "")] {
        let request = database.transaction_at(cluster.backend(), operation, &label).header("table", "t");
        let reply = request.body(body).json();
        assert_eq!(field(&reply, "Status"), "OK", "{operation}: {reply}");
    }
    assert_eq!(database.count("t"), 1);
}

#[test]
fn sr_4_2_unknown_database_and_table() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let reply = database.transaction("begin", &label()).header("table", "nowhere").json();
    assert_ne!(field(&reply, "Status"), "OK", "{reply}");
    let headers = [("label", "l"), ("db", "no_where"), ("table", "t")];
    let reply = cluster.request("POST", cluster.frontend(), "/api/transaction/begin").follow().headers(&headers).json();
    assert_ne!(field(&reply, "Status"), "OK", "{reply}");
}

#[test]
fn sr_4_2_a_transaction_is_pinned_to_the_node_that_began_it() {
    let Some(cluster) = Cluster::several() else { return };
    let database = database(cluster);
    // The choice is random or in turn: after a few transactions both ways have been seen.
    for _ in 0..6 {
        let label = label();
        let begin = database.transaction("begin", &label).header("table", "t").send();
        let location = |heads: &[String]| {
            let found =
                heads.iter().find_map(|head| crate::support::curl::header(head, "Location")).unwrap().to_owned();
            found.trim_start_matches("http://").split('/').next().unwrap().to_owned()
        };
        let node = location(&begin.heads);
        for body in ["1\ta\n", "2\tb\n"] {
            let load = database.transaction("load", &label).header("table", "t").body(body).send();
            assert_eq!(location(&load.heads), node, "the frontend remembers the node");
            assert_eq!(load.field("Status"), "OK", "{}", load.text());
        }
        let prepare = database.transaction("prepare", &label).send();
        assert_eq!(location(&prepare.heads), node);
        assert_eq!(prepare.field("Status"), "OK", "{}", prepare.text());
        assert_eq!(database.transaction("commit", &label).send().field("Status"), "OK");
    }
    assert_eq!(database.count("t"), 12);
}

#[test]
fn sr_4_2_a_wrong_backend_knows_nothing_of_a_transaction() {
    let Some(cluster) = Cluster::several() else { return };
    let database = database(cluster);
    let (right, wrong) = (&cluster.backends[0], &cluster.backends[1]);
    let label = label();
    let begin = database.transaction_at(right, "begin", &label).header("table", "t").json();
    assert_eq!(field(&begin, "Status"), "OK", "{begin}");
    for operation in ["load", "prepare", "commit", "rollback"] {
        let request = database.transaction_at(wrong, operation, &label).header("table", "t");
        let reply = request.body(if operation == "load" { "1\ta\n" } else { "" }).json();
        assert_eq!(field(&reply, "Status"), "TXN_NOT_EXISTS", "{operation}: {reply}");
    }
    assert_eq!(database.state(&label), "PREPARE", "which does it no harm");
    for (operation, body) in [("load", "1\ta\n"), ("commit", "")] {
        let reply = database.transaction_at(right, operation, &label).header("table", "t").body(body).json();
        assert_eq!(field(&reply, "Status"), "OK", "{operation}: {reply}");
    }
    assert_eq!(database.count("t"), 1);
}

#[test]
fn sr_4_4_what_load_ignores() {
    let database = database(Cluster::shared());
    let transaction = Transaction::begin(&database, &[]);
    let ignored = [
        ("column_separator", ","),
        ("enclose", "\""),
        ("escape", "\\"),
        ("skip_header", "1"),
        ("trim_space", "true"),
        ("log_rejected_record_num", "5"),
    ];
    transaction.accept(&ignored, "1,\"a\"\n2, b\\c \n3,\\N\n");
    transaction.expect("commit");
    let rows = database.rows("SELECT v FROM t ORDER BY k");
    assert_eq!(rows, [["\"a\""], [" b\\c "], ["␀"]], "quotes, escapes, blanks and headers are taken literally");
}

#[test]
fn sr_4_4_the_other_headers_of_data_count() {
    let database = database(Cluster::shared());
    let transaction = Transaction::begin(&database, &[]);
    let headers = [("column_separator", "\\x01"), ("row_delimiter", "\\x02"), ("columns", "x,k,v=concat(x,'!')")];
    transaction.accept(&headers, "a\u{1}1\u{2}b\u{1}2\u{2}");
    transaction.expect("commit");
    assert_eq!(database.rows("SELECT v FROM t ORDER BY k"), [["a!"], ["b!"]]);
    let transaction = Transaction::begin(&database, &[]);
    transaction.accept(&[("format", "json")], "{\"k\":3,\"v\":\"c\"}");
    transaction.accept(&[("format", "json")], "{\"k\":4,\"v\":\"d\"}{\"k\":5}");
    transaction.expect("commit");
    assert_eq!(database.count("t"), 5, "each JSON body is a document of its own");
}

#[test]
fn sr_4_5_bodies_are_concatenated() {
    let database = database(Cluster::shared());
    let transaction = Transaction::begin(&database, &[]);
    for body in ["1\ta\n2\t", "b\n3\tc", "d\n"] {
        transaction.accept(&[], body);
    }
    transaction.expect("commit");
    assert_eq!(database.rows("SELECT v FROM t ORDER BY k"), [["a"], ["b"], ["cd"]]);
}

#[test]
fn sr_4_5_all_loads_carry_the_same_parameters() {
    let database = database(Cluster::shared());
    let drifts: [(&str, &str); 4] =
        [("column_separator", ","), ("columns", "k"), ("format", "json"), ("where", "k > 1")];
    for drift in drifts {
        let transaction = Transaction::begin(&database, &[]);
        transaction.accept(&[], "1\ta\n");
        let reply = transaction.load(&[drift], "2\tb\n");
        assert_eq!(field(&reply, "Status"), "INTERNAL_ERROR", "{drift:?}: {reply}");
        assert!(field(&reply, "Message").contains("load request not equal last."), "{drift:?}: {reply}");
        wait_until("it is rolled back", || transaction.state() == "ABORTED");
    }
    assert_eq!(database.count("t"), 0);
}

#[test]
fn sr_3_5_all_loads_go_to_the_transactions_table() {
    let database = database(Cluster::shared());
    let transaction = Transaction::begin(&database, &[]);
    let request = database.transaction("load", &transaction.label).header("table", "u");
    let reply = request.body("1\ta\n").json();
    let message = field(&reply, "Message");
    assert!(message.contains("Request table") && message.contains("not equal transaction table"), "{reply}");
}

#[test]
fn sr_4_5_loads_are_sequential() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let label = label();
    let begin = database.transaction_at(cluster.backend(), "begin", &label).header("table", "t").json();
    assert_eq!(field(&begin, "Status"), "OK", "{begin}");
    let headers = [
        ("label", label.as_str()),
        ("db", database.name.as_str()),
        ("table", "t"),
        ("Expect", "100-continue"),
        ("Content-Length", "8"),
    ];
    let mut first = Connection::open(cluster.backend());
    first.send(cluster.head("PUT", "/api/transaction/load", &headers));
    assert!(first.head().starts_with("HTTP/1.1 100"));
    first.send("1\ta\n");
    let mut second = Connection::open(cluster.backend());
    second.send(cluster.head("PUT", "/api/transaction/load", &headers));
    let head = second.head();
    assert!(head.starts_with("HTTP/1.1 200"), "its body is not wanted: {head}");
    let length = crate::support::curl::header(&head, "content-length").unwrap().parse().unwrap();
    let reply = second.body(length);
    assert!(reply.contains("TXN_IN_PROCESSING"), "{reply}");
    for operation in ["prepare", "commit"] {
        let reply = database.transaction_at(cluster.backend(), operation, &label).json();
        assert_eq!(field(&reply, "Status"), "TXN_IN_PROCESSING", "{operation}: {reply}");
    }
    first.send("2\tb\n");
    assert_eq!(field(&first.reply().json(), "Status"), "OK");
    let commit = database.transaction_at(cluster.backend(), "commit", &label).json();
    assert_eq!(field(&commit, "Status"), "OK", "what was refused left no trace: {commit}");
    assert_eq!(database.count("t"), 2);
}

#[test]
fn sr_4_5_errors_of_rows_come_out_at_the_end() {
    let database = database(Cluster::shared());
    for operation in ["prepare", "commit"] {
        let transaction = Transaction::begin(&database, &[]);
        transaction.accept(&[("strict_mode", "true")], "1\ta\nx\tb\n");
        let reply = transaction.control(operation, &[]);
        assert_ne!(field(&reply, "Status"), "OK", "{operation}: {reply}");
        assert!(field(&reply, "Message").contains("too many filtered rows"), "{operation}: {reply}");
        assert_eq!((number(&reply, "NumberTotalRows"), number(&reply, "NumberFilteredRows")), (2, 1), "{reply}");
        assert!(field(&reply, "ErrorURL").contains("_load_error_log"), "{reply}");
        wait_until("it is rolled back", || transaction.state() == "ABORTED");
    }
    assert_eq!(database.count("t"), 0);
}

#[test]
fn sr_4_4_the_ratio_is_the_first_loads() {
    let database = database(Cluster::shared());
    for (first, second, status) in [("0.5", "0", "OK"), ("0", "0.5", "not OK")] {
        let transaction = Transaction::begin(&database, &[]);
        transaction.accept(&[("strict_mode", "true"), ("max_filter_ratio", first)], "1\ta\n");
        let reply = transaction.load(&[("strict_mode", "true"), ("max_filter_ratio", second)], "x\tb\n");
        // Where the ratio counts among the parameters that have to be equal, the second load is refused.
        if field(&reply, "Message").contains("load request not equal last.") {
            continue;
        }
        let reply = transaction.control("commit", &[]);
        assert_eq!(field(&reply, "Status") == "OK", status == "OK", "{reply}");
    }
}

#[test]
fn sr_4_5_the_json_limit_is_cumulative() {
    const HALF: usize = 60 * 1024 * 1024;
    let cluster = Cluster::shared();
    let database = database(cluster);
    for (headers, taken) in [(&[][..], false), (&[("ignore_json_size", "true")], true)] {
        let transaction = Transaction { database: &database, label: label() };
        let begin = database.transaction_at(cluster.backend(), "begin", &transaction.label).header("table", "t").json();
        assert_eq!(field(&begin, "Status"), "OK", "{begin}");
        let mut head = vec![
            ("label", transaction.label.as_str()),
            ("db", database.name.as_str()),
            ("table", "t"),
            ("format", "json"),
            ("Expect", "100-continue"),
        ];
        head.extend(headers);
        let half = HALF.to_string();
        head.push(("Content-Length", &half));
        let head = cluster.head("PUT", "/api/transaction/load", &head);
        let mut first = Connection::open(cluster.backend());
        first.send(&head);
        assert!(first.head().starts_with("HTTP/1.1 100"), "60 MB are below the limit");
        let mut body = b"{\"k\":1}".to_vec();
        body.resize(HALF, b' ');
        first.send(&body);
        assert_eq!(field(&first.reply().json(), "Status"), "OK");
        let mut second = Connection::open(cluster.backend());
        second.send(&head);
        let answer = second.head();
        assert_eq!(answer.starts_with("HTTP/1.1 100"), taken, "120 MB are above it: {answer}");
        if !taken {
            let length = crate::support::curl::header(&answer, "content-length").unwrap().parse().unwrap();
            let reply = second.body(length);
            assert!(reply.contains("The size of this batch exceed the max size"), "{reply}");
        }
        second.abandon();
        database.transaction_at(cluster.backend(), "rollback", &transaction.label).send();
    }
}

#[test]
fn sr_4_5_nothing_loaded_is_an_error() {
    let database = database(Cluster::shared());
    for operation in ["prepare", "commit"] {
        let transaction = Transaction::begin(&database, &[]);
        let reply = transaction.control(operation, &[]);
        assert_eq!(field(&reply, "Status"), "INTERNAL_ERROR", "{operation}: {reply}");
        assert!(field(&reply, "Message").contains("hasn't send any data yet"), "{operation}: {reply}");
        wait_until("it is rolled back", || transaction.state() == "ABORTED");
    }
}

#[test]
fn sr_4_5_an_error_rolls_back_and_frees_the_label() {
    let database = database(Cluster::shared());
    let transaction = Transaction::begin(&database, &[]);
    let reply = transaction.load(&[("format", "odd")], "1\ta\n");
    assert_ne!(field(&reply, "Status"), "OK", "{reply}");
    wait_until("it is rolled back", || transaction.state() == "ABORTED");
    transaction.expect("begin");
    transaction.accept(&[], "1\ta\n");
    transaction.expect("commit");
    assert_eq!((transaction.state().as_str(), database.count("t")), ("VISIBLE", 1));
}

#[test]
fn sr_4_6_timeout_ends_a_transaction_in_prepare() {
    let database = database(Cluster::shared());
    let idle = Transaction::begin(&database, &[("timeout", "2")]);
    let loaded = Transaction::begin(&database, &[("timeout", "2")]);
    loaded.accept(&[], "1\ta\n");
    for transaction in [idle, loaded] {
        wait_until("the time is over", || transaction.state() == "ABORTED");
        let path = format!("/api/{}/get_load_state?label={}", database.name, transaction.label);
        let state = database.cluster.request("GET", database.cluster.frontend(), &path).json();
        assert!(state["reason"].as_str().is_none_or(|reason| reason.contains("timeout")), "{state}");
        let reply = transaction.control("commit", &[]);
        assert_ne!(field(&reply, "Status"), "OK", "{reply}");
    }
    assert_eq!(database.count("t"), 0);
}

#[test]
fn sr_4_6_idle_transaction_timeout_ends_a_transaction_without_bytes() {
    let database = database(Cluster::shared());
    let transaction = Transaction::begin(&database, &[("timeout", "600"), ("idle_transaction_timeout", "1")]);
    wait_until("it has been idle for too long", || transaction.state() == "ABORTED");
}

#[test]
fn sr_4_6_prepared_timeout_ends_a_prepared_transaction() {
    let database = database(Cluster::shared());
    let transaction = Transaction::begin(&database, &[("timeout", "600")]);
    transaction.accept(&[], "1\ta\n");
    let reply = transaction.control("prepare", &[("prepared_timeout", "1")]);
    assert_eq!(field(&reply, "Status"), "OK", "{reply}");
    wait_until("it has been prepared for too long", || transaction.state() == "ABORTED");
    let reply = transaction.control("commit", &[]);
    assert_eq!(field(&reply, "Status"), "FAILED", "{reply}");
}

#[test]
fn sr_4_6_timeout_does_not_end_a_prepared_transaction() {
    let database = database(Cluster::shared());
    let prepared = Transaction::begin(&database, &[("timeout", "3")]);
    prepared.accept(&[], "1\ta\n");
    prepared.expect("prepare");
    let other = Transaction::begin(&database, &[("timeout", "3")]);
    wait_until("the time of the other one is over", || other.state() == "ABORTED");
    assert_eq!(prepared.state(), "PREPARED");
    prepared.expect("commit");
    assert_eq!(database.count("t"), 1);
}

#[test]
fn sr_1_1_a_backend_lists_its_transactions() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let label = label();
    let begin = database.transaction_at(cluster.backend(), "begin", &label).header("table", "t").json();
    assert_eq!(field(&begin, "Status"), "OK", "{begin}");
    let answer = cluster.request("POST", cluster.backend(), "/api/transaction/list").send();
    let objects: Vec<Value> =
        serde_json::Deserializer::from_str(&answer.text()).into_iter().map(|object| object.unwrap()).collect();
    let listed = objects.iter().any(|object| object.to_string().contains(&label));
    assert!(listed, "objects one behind the other: {}", answer.text());
    database.transaction_at(cluster.backend(), "rollback", &label).send();
}
