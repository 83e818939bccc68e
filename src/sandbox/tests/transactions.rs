//! Transactions that meet each other, their backend's end, or another table than they began with.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{Load, authorization, load, read};
use super::{Options, start};
use crate::sandbox::member::Order;
use crate::sandbox::overview::Overview;
use crate::sandbox::sql::{Answer, Session};
use crate::sandbox::{Dialect, Sandbox, select};

/// A sandbox with tables `d.t` and `d.u` that SQL made.
pub(super) struct Ledger {
    dir: tempfile::TempDir,
    pub(super) sandbox: Sandbox,
}

impl Ledger {
    pub(super) async fn with(options: impl FnOnce(Options) -> Options) -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let sandbox = start(options(Options::new(dir.path()).with_any_ports())).await;
        let world = Self { dir, sandbox };
        world.run("CREATE DATABASE d");
        world.run("CREATE DATABASE e");
        for table in ["d.t", "d.u", "e.t"] {
            world.run(&format!(
                "CREATE TABLE {table} (k INT, v VARCHAR(10)) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1"
            ));
        }
        world
    }

    async fn new() -> Self {
        Self::with(|options| options).await
    }

    /// Stops the sandbox; its directory stays.
    pub(super) async fn stop(self) -> tempfile::TempDir {
        self.sandbox.drain().await;
        self.dir
    }

    /// Starts a sandbox on the directory of one that is gone.
    pub(super) async fn at(dir: tempfile::TempDir) -> Self {
        let sandbox = start(Options::new(dir.path()).with_any_ports()).await;
        Self { dir, sandbox }
    }

    async fn restart(self) -> Self {
        Self::at(self.stop().await).await
    }

    /// Runs a statement; the rows of a query with bars between the values.
    pub(super) fn run(&self, sql: &str) -> Vec<String> {
        self.try_run(sql).unwrap_or_else(|message| panic!("{sql}: {message}"))
    }

    fn try_run(&self, sql: &str) -> Result<Vec<String>, String> {
        let store = &self.sandbox.node.store;
        let overview: Arc<dyn Overview> = Arc::clone(&self.sandbox.node.cluster) as _;
        let mut session = Session::new("root", 1, overview);
        let mut rows = Vec::new();
        if let Answer::Query(query) = session.execute(store, sql).map_err(|error| error.message)? {
            let each = |row: &[rusqlite::types::ValueRef<'_>]| {
                let cells = row.iter().zip(&query.columns).map(|(value, (_, ty))| {
                    let text = crate::sandbox::cell::text(*value, ty);
                    text.map_or("NULL".to_owned(), |text| String::from_utf8_lossy(&text).into_owned())
                });
                rows.push(cells.collect::<Vec<_>>().join("|"));
                true
            };
            select::for_each_row(store, &query, None, each).map_err(|error| error.to_string())?;
        }
        Ok(rows)
    }

    /// The transactions that have rows waiting. Checks that each has its table, and each table its transaction.
    pub(super) fn staged(&self) -> Vec<i64> {
        let read = self.sandbox.node.store.read(|connection| {
            let mut statement = connection.prepare("SELECT id, owner FROM sb_staged ORDER BY owner, id")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let rows: Vec<(i64, i64)> = rows.collect::<rusqlite::Result<_>>()?;
            let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'sb_staged_[0-9]*'";
            let tables = connection.prepare(tables)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok((rows, tables))
        });
        let (rows, mut tables): (_, Vec<String>) = read.expect("it can be read");
        let mut expected: Vec<String> = rows.iter().map(|(id, _)| format!("sb_staged_{id}")).collect();
        tables.sort();
        expected.sort();
        assert_eq!(tables, expected);
        rows.into_iter().map(|(_, owner)| owner).collect()
    }

    fn state(&self, label: &str) -> String {
        let standing = self.sandbox.node.registry.standing("d", label).expect("it can be asked");
        standing.state.as_str().to_owned()
    }

    pub(super) fn frontend(&self) -> SocketAddr {
        self.sandbox.addresses().frontend
    }

    fn backend(&self) -> SocketAddr {
        self.sandbox.addresses().backend
    }

    /// One request on a transaction of one table, at the backend.
    async fn single(&self, operation: &str, label: &str, body: &str) -> Value {
        call(self.backend(), operation, &named("d", "t", label), body).await.expect("an answer comes")
    }

    /// One request on a transaction of several tables; loads go to the backend.
    async fn several(&self, operation: &str, (database, table): (&str, &str), label: &str, body: &str) -> Value {
        let address = if operation == "load" { self.backend() } else { self.frontend() };
        let headers = named(database, table, label) + "transaction_type: multi\r\n";
        call(address, operation, &headers, body).await.expect("an answer comes")
    }

    /// Begins a load of `d.t` and leaves it waiting for its body.
    async fn begin(&self, label: &str, headers: &[(&str, &str)], length: usize) -> TcpStream {
        let mut stream = TcpStream::connect(self.backend()).await.expect("it listens");
        let headers = [&[("label", label), ("column_separator", ",")], headers].concat();
        let head = Load { headers: &headers, ..Load::default() }.head(length);
        stream.write_all(head.as_bytes()).await.expect("it takes it");
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).await.expect("it asks for the body");
        stream
    }
}

pub(super) fn named(database: &str, table: &str, label: &str) -> String {
    format!("db: {database}\r\ntable: {table}\r\nlabel: {label}\r\ncolumn_separator: ,\r\n")
}

/// One request on a transaction; nothing when the connection breaks before the answer has come.
pub(super) async fn call(address: SocketAddr, operation: &str, headers: &str, body: &str) -> Option<Value> {
    let method = if operation == "load" { "PUT" } else { "POST" };
    let head = format!(
        "{method} /api/transaction/{operation} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{}",
        body.len(),
        authorization("root:")
    );
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(format!("{head}{headers}\r\n{body}").as_bytes()).await.ok()?;
    let raw = read(&mut stream).await.raw;
    serde_json::from_str(raw.split_once("\r\n\r\n")?.1).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_rollback_and_a_commit_at_once_only_one_is_said_to_have_worked() {
    let world = Ledger::new().await;
    for (round, end) in ["prepare", "commit"].into_iter().cycle().take(40).enumerate() {
        let label = format!("l{round}");
        assert_eq!(world.single("begin", &label, "").await["Status"], "OK");
        assert_eq!(world.single("load", &label, "1,a\n").await["Status"], "OK");
        let (ended, rolled, again) = tokio::join!(
            world.single(end, &label, ""),
            world.single("rollback", &label, ""),
            world.single(end, &label, "")
        );
        let state = world.state(&label);
        if state == "ABORTED" {
            assert_eq!(rolled["Status"], "OK", "{ended} {again}");
            assert!(ended["Status"] != "OK" && again["Status"] != "OK", "{ended} {again}");
        } else {
            assert_eq!(state, if end == "commit" { "VISIBLE" } else { "PREPARED" });
            let told = [&ended, &again].map(|answer| answer["Status"].as_str().unwrap_or_default().to_owned());
            assert_eq!(told.iter().filter(|status| *status == "OK").count(), 1, "{ended} {again}");
            assert!(!told.contains(&"ABORTED".to_owned()), "it is not aborted: {ended} {again}");
            assert!(rolled["Status"] != "OK" && rolled["Status"] != "ABORTED", "{rolled}");
        }
    }
}

#[tokio::test]
async fn what_an_aborted_transaction_has_loaded_is_not_the_next_ones_with_its_label() {
    let world = Ledger::with(|options| Options { dialect: Dialect::V4_0, ..options }).await;
    for body in ["1,old\n", "2,new\n"] {
        assert_eq!(world.several("begin", ("d", ""), "l", "").await["Status"], "OK");
        let loaded = world.several("load", ("d", "t"), "l", body).await;
        assert_eq!(loaded["Status"], "OK", "{loaded}");
        let end = if body.starts_with('1') { "rollback" } else { "commit" };
        let ended = world.several(end, ("d", ""), "l", "").await;
        assert_eq!(ended["Status"], "OK", "{ended}");
    }
    assert_eq!(world.run("SELECT * FROM d.t"), ["2|new"]);
    // A backend does not keep what is over.
    let contexts = &world.sandbox.node.cluster.backends[0].contexts;
    while !contexts.list().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_label_in_two_databases_is_two_transactions_over_several_tables() {
    let world = Ledger::with(|options| Options { dialect: Dialect::V4_0, ..options }).await;
    for database in ["d", "e"] {
        assert_eq!(world.several("begin", (database, ""), "l", "").await["Status"], "OK");
    }
    for (database, body) in [("e", "1,e\n"), ("d", "1,d\n"), ("e", "2,e\n"), ("d", "2,d\n")] {
        let loaded = world.several("load", (database, "t"), "l", body).await;
        assert_eq!(loaded["Status"], "OK", "{loaded}");
    }
    for database in ["d", "e"] {
        let ended = world.several("commit", (database, ""), "l", "").await;
        assert_eq!(ended["Status"], "OK", "{ended}");
        let expected = [format!("1|{database}"), format!("2|{database}")];
        assert_eq!(world.run(&format!("SELECT * FROM {database}.t ORDER BY k")), expected);
    }
}

#[tokio::test]
async fn a_part_that_comes_while_others_are_committed_is_not_said_to_be_in() {
    let world = Ledger::with(|options| Options { dialect: Dialect::V4_0, ..options }).await;
    for round in 0..20 {
        let label = format!("l{round}");
        assert_eq!(world.several("begin", ("d", ""), &label, "").await["Status"], "OK");
        assert_eq!(world.several("load", ("d", "t"), &label, "1,a\n").await["Status"], "OK");
        let before = world.run("SELECT * FROM d.u").len();
        let (loaded, ended, again) = tokio::join!(
            world.several("load", ("d", "u"), &label, "1,a\n"),
            world.several("commit", ("d", ""), &label, ""),
            world.several("commit", ("d", ""), &label, "")
        );
        let committed = ended["Status"] == "OK" || again["Status"] == "OK";
        if committed {
            let came = world.run("SELECT * FROM d.u").len() - before;
            assert_eq!(came, usize::from(loaded["Status"] == "OK"), "{loaded}");
            assert_eq!(world.state(&label), "VISIBLE");
        } else {
            assert_eq!(world.several("rollback", ("d", ""), &label, "").await["Status"], "OK", "{ended} {again}");
        }
    }
}

#[tokio::test]
async fn a_commit_over_several_tables_needs_all_of_them_and_their_backend() {
    let world = Ledger::with(|options| Options { dialect: Dialect::V4_0, ..options }).await;
    for (label, message, reason) in [
        ("lost", "transaction is aborted: coordinate BE is down", "coordinate BE is down"),
        ("dropped", "unknown table, table=t", "unknown table, table=t"),
    ] {
        assert_eq!(world.several("begin", ("d", ""), label, "").await["Status"], "OK");
        for table in ["u", "t"] {
            assert_eq!(world.several("load", ("d", table), label, "1,a\n").await["Status"], "OK");
        }
        if label == "lost" {
            world.sandbox.node.order(&world.sandbox.node.cluster.backends[0], Order::Restart);
            while TcpStream::connect(world.backend()).await.is_err() {
                tokio::task::yield_now().await;
            }
        } else {
            world.run("DROP TABLE d.t");
        }
        let answer = world.several("commit", ("d", ""), label, "").await;
        assert_eq!((&answer["Status"], &answer["Message"]), (&"FAILED".into(), &message.into()));
        assert_eq!(world.state(label), "ABORTED");
        assert_eq!(world.sandbox.node.registry.standing("d", label).expect("it can be asked").reason, reason);
        assert_eq!(world.run("SELECT * FROM d.u"), [""; 0]);
    }
}

#[tokio::test]
async fn a_cancelled_transaction_takes_no_more_and_its_label_begins_anew() {
    let world = Ledger::new().await;
    let registry = &world.sandbox.node.registry;
    assert_eq!(world.single("begin", "l", "").await["Status"], "OK");
    let mut stream = TcpStream::connect(world.backend()).await.expect("it listens");
    let headers = [("db", "d"), ("table", "t"), ("label", "l"), ("column_separator", ",")];
    let head = Load { path: "/api/transaction/load", headers: &headers, ..Load::default() }.head(4);
    stream.write_all(head.as_bytes()).await.expect("it takes it");
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.expect("it asks for the body");
    assert!(registry.cancel("d", "l", "user cancel").expect("it cancels"));
    stream.write_all(b"1,a\n").await.expect("it takes the body");
    assert_eq!(read(&mut stream).await.json()["Status"], "ABORTED");
    assert_eq!(world.single("begin", "l", "").await["Status"], "OK");
    assert_eq!(world.single("load", "l", "2,b\n").await["Status"], "OK");
    assert_eq!(world.single("commit", "l", "").await["Status"], "OK");
    assert_eq!(world.run("SELECT * FROM d.t"), ["2|b"]);
}

#[tokio::test]
async fn a_backend_that_restarts_no_longer_knows_what_it_held() {
    let world = Ledger::new().await;
    let node = &world.sandbox.node;
    assert_eq!(world.single("begin", "l", "").await["Status"], "OK");
    assert_eq!(world.single("load", "l", "1,a\n").await["Status"], "OK");
    node.order(&node.cluster.backends[0], Order::Restart);
    while TcpStream::connect(world.backend()).await.is_err() {
        tokio::task::yield_now().await;
    }
    for operation in ["load", "prepare", "commit", "rollback"] {
        assert_eq!(world.single(operation, "l", "").await["Status"], "TXN_NOT_EXISTS", "{operation}");
    }
    assert_eq!(world.state("l"), "PREPARE");
    assert!(node.registry.cancel("d", "l", "user cancel").expect("it cancels"));
    assert_eq!(world.single("begin", "l", "").await["Status"], "OK");
    assert_eq!(world.single("load", "l", "2,b\n").await["Status"], "OK");
    assert_eq!(world.single("commit", "l", "").await["Status"], "OK");
    assert_eq!(world.run("SELECT * FROM d.t"), ["2|b"]);
}

/// A small load that is put together with others.
async fn merged(world: &Ledger, interval: &str, more: &[(&str, &str)], body: &str) -> Value {
    let headers = [("enable_merge_commit", "true"), ("merge_commit_interval_ms", interval), ("column_separator", ",")];
    let headers = [&headers, more].concat();
    load(&world.sandbox, &Load { headers: &headers, body: body.as_bytes(), ..Load::default() }).await.json()
}

#[tokio::test]
async fn a_sandbox_that_stops_loads_what_is_in_its_windows_at_once() {
    let world = Ledger::new().await;
    let answer = merged(&world, "300000", &[("merge_commit_async", "true")], "1,a\n").await;
    assert_eq!(answer["Status"], "Success", "{answer}");
    let world = world.restart().await;
    assert_eq!(world.run("SELECT * FROM d.t"), ["1|a"]);
}

#[tokio::test]
async fn a_backend_that_restarts_loses_its_windows() {
    let world = Ledger::new().await;
    let answer = merged(&world, "300000", &[("merge_commit_async", "true")], "1,a\n").await;
    let backend = &world.sandbox.node.cluster.backends[0];
    world.sandbox.node.order(backend, Order::Restart);
    let label = answer["Label"].as_str().expect("a label");
    let standing = world.sandbox.node.registry.standing("d", label).expect("it can be asked");
    assert_eq!((standing.state.as_str(), standing.reason.as_str()), ("ABORTED", "coordinate BE is down"));
    assert_eq!(world.run("SELECT * FROM d.t"), [""; 0]);
}

#[tokio::test]
async fn a_window_closes_though_the_one_who_opened_it_is_gone() {
    let world = Ledger::new().await;
    let headers = [("enable_merge_commit", "true"), ("merge_commit_interval_ms", "20"), ("column_separator", ",")];
    for _ in 0..20 {
        let mut stream = TcpStream::connect(world.backend()).await.expect("it listens");
        let head = Load { headers: &headers, ..Load::default() }.head(4);
        stream.write_all(head.as_bytes()).await.expect("it takes it");
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).await.expect("it asks for the body");
        stream.write_all(b"1,a\n").await.expect("it takes the body");
        drop(stream);
        assert_eq!(merged(&world, "20", &[], "2,b\n").await["Status"], "Success");
    }
}

#[tokio::test]
async fn a_number_is_not_given_twice_though_its_load_is_forgotten() {
    let world = Ledger::with(|options| Options { label_keep_max: 1, ..options }).await;
    assert_eq!(world.single("begin", "held", "").await["Status"], "OK");
    assert_eq!(world.single("load", "held", "1,a\n").await["Status"], "OK");
    assert_eq!(world.single("prepare", "held", "").await["Status"], "OK");
    let forgotten = world.single("begin", "forgotten", "").await["TxnId"].as_i64().expect("a number");
    assert_eq!(world.single("load", "forgotten", "2,a\n").await["Status"], "OK");
    assert_eq!(world.single("commit", "forgotten", "").await["Status"], "OK");
    assert_eq!(world.state("forgotten"), "UNKNOWN");
    let world = world.restart().await;
    assert!(world.single("begin", "next", "").await["TxnId"].as_i64().expect("a number") > forgotten);
    assert_eq!(world.state("held"), "PREPARED");
}

#[tokio::test]
async fn a_load_whose_table_changes_meanwhile_fills_the_table_as_it_is() {
    let world = Ledger::new().await;
    let mut added = world.begin("added", &[], 4).await;
    let mut mapped = world.begin("mapped", &[("columns", "k, x, v = concat(x, x)")], 4).await;
    let mut dropped = world.begin("dropped", &[], 4).await;
    assert_eq!(world.single("begin", "staged", "").await["Status"], "OK");
    assert_eq!(world.single("load", "staged", "3,c\n").await["Status"], "OK");
    assert_eq!(world.single("begin", "prepared", "").await["Status"], "OK");
    assert_eq!(world.single("load", "prepared", "4,d\n").await["Status"], "OK");
    assert_eq!(world.single("prepare", "prepared", "").await["Status"], "OK");
    world.run("ALTER TABLE d.t ADD COLUMN n VARCHAR(9) NOT NULL DEFAULT 'it''s' AFTER k");
    added.write_all(b"1,a\n").await.expect("it takes the body");
    let answer = read(&mut added).await.json();
    assert_eq!(answer["Status"], "Success", "{answer}");
    mapped.write_all(b"2,b\n").await.expect("it takes the body");
    let answer = read(&mut mapped).await.json();
    assert_eq!(answer["Status"], "Success", "{answer}");
    assert_eq!(world.single("prepare", "staged", "").await["Status"], "OK");
    for label in ["staged", "prepared"] {
        let answer = call(world.frontend(), "commit", &named("d", "t", label), "").await.expect("an answer");
        assert_eq!(answer["Status"], "OK", "{answer}");
    }
    assert_eq!(world.run("SELECT * FROM d.t ORDER BY k"), ["1|it's|a", "2|it's|bb", "3|it's|c", "4|it's|d"]);
    world.run("ALTER TABLE d.t DROP COLUMN v");
    dropped.write_all(b"5,e\n").await.expect("it takes the body");
    let answer = read(&mut dropped).await.json();
    assert_eq!(answer["Message"], "table t has changed since the load began: column v is gone");
}

#[tokio::test]
async fn a_load_whose_table_is_dropped_meanwhile_fails_by_name() {
    let world = Ledger::new().await;
    let mut begun = world.begin("begun", &[], 4).await;
    world.run("DROP TABLE d.t");
    world.run("CREATE TABLE d.t (k INT, v VARCHAR(10)) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1");
    begun.write_all(b"1,a\n").await.expect("it takes the body");
    let answer = read(&mut begun).await.json();
    assert_eq!((&answer["Status"], &answer["Message"]), (&"Fail".into(), &"unknown table, table=t".into()));
    assert_eq!(world.run("SELECT * FROM d.t"), [""; 0]);
}

#[tokio::test]
async fn prepared_rows_that_no_longer_fit_stay_prepared() {
    let world = Ledger::new().await;
    assert_eq!(world.single("begin", "l", "").await["Status"], "OK");
    assert_eq!(world.single("load", "l", "1,a\n").await["Status"], "OK");
    assert_eq!(world.single("prepare", "l", "").await["Status"], "OK");
    world.run("ALTER TABLE d.t MODIFY COLUMN k BIGINT");
    let headers = named("d", "t", "l");
    let answer = call(world.frontend(), "commit", &headers, "").await.expect("an answer");
    assert_eq!(answer["Message"], "table t has changed since the load began: column k has another type");
    assert_eq!(world.state("l"), "PREPARED");
    let answer = call(world.frontend(), "rollback", &headers, "").await.expect("an answer");
    assert_eq!((&answer["Status"], world.state("l").as_str()), (&"OK".into(), "ABORTED"));
}

#[tokio::test]
async fn loads_that_are_not_over_are_shown_with_their_times_and_counts() {
    let world = Ledger::new().await;
    for label in ["begun", "waiting"] {
        assert_eq!(world.single("begin", label, "").await["Status"], "OK");
        assert_eq!(world.single("load", label, "1,a\n2,b\n").await["Status"], "OK");
    }
    assert_eq!(world.single("prepare", "waiting", "").await["Status"], "OK");
    let shown = world.run(
        "SELECT label, state, sink_rows, scan_bytes, load_commit_time IS NULL, load_finish_time IS NULL
         FROM information_schema.loads ORDER BY id",
    );
    assert_eq!(shown, ["begun|LOADING|0|0|1|1", "waiting|PREPARED|2|8|1|1"]);
    let views = world.sandbox.node.cluster.loads().expect("they can be asked");
    assert!(views[1].prepared_ms.is_some_and(|at| at >= views[1].begun_ms) && views[0].prepared_ms.is_none());
}
