//! What is left when the process is killed.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::transactions::{Ledger, call, named};
use super::{Load, World, create, start};
use crate::sandbox::ledger::State;
use crate::sandbox::{Addresses, Dialect, Options, Recovery, running};

/// Tells the process that is to be killed where its directory is.
const DIR: &str = "SHIPLOAD_TEST_SANDBOX_DIR";

#[test]
#[ignore = "not a test: the process that the test below kills"]
fn victim() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let sandbox = start(Options { dialect: Dialect::V4_0, ..Options::new(dir).with_any_ports() }).await;
        std::future::pending::<()>().await;
        drop(sandbox);
    });
}

/// Sends a load and returns its connection when the first bytes of an answer have come.
async fn send(world_backend: SocketAddr, label: &str, length: usize, body: &[u8]) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(world_backend).await.expect("it listens");
    let headers = [("label", label), ("column_separator", ",")];
    stream.write_all(Load { headers: &headers, ..Load::default() }.head(length).as_bytes()).await.expect("it takes it");
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.expect("it asks for the body");
    stream.write_all(body).await.expect("it takes the body");
    let mut answer = String::new();
    if body.len() == length {
        stream.read_to_string(&mut answer).await.expect("an answer comes");
    }
    (stream, answer)
}

/// Starts the process that is to be killed.
fn spawn(dir: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "--ignored", "sandbox::tests::crash::victim"])
        .env(DIR, dir)
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts")
}

/// Waits until the process answers.
async fn addresses(dir: &Path) -> Addresses {
    loop {
        if let Some(addresses) = running(dir).expect("it can be asked") {
            return addresses;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_killed_process_keeps_what_it_acknowledged_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let first = start(Options::new(dir.path()).with_any_ports()).await;
    create(&first, super::TABLE);
    assert_eq!(first.recovery(), None, "the directory is new");
    first.drain().await;
    let mut child = spawn(dir.path());
    let addresses = addresses(dir.path()).await;
    let (_, answer) = send(addresses.backend, "acknowledged", 6, b"1,a,1\n").await;
    assert!(answer.contains("\"Status\": \"Success\""), "{answer}");
    let half = send(addresses.backend, "half", 1000, b"2,b,2\n3,c,3\n").await;
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    drop(half);
    assert_eq!(running(dir.path()).expect("it can be asked"), None, "the lock ends with the process");
    let sandbox = start(Options::new(dir.path()).with_any_ports()).await;
    assert_eq!(sandbox.recovery(), Some(&Recovery::default()), "it was killed with nothing prepared");
    let world = World { dir, sandbox };
    assert_eq!(world.rows(), ["1|'a'|'1.00'"]);
    assert_eq!(world.state("half").await["state"], "UNKNOWN");
    assert_eq!(world.csv("acknowledged", "1,a,1\n").await["ExistingJobStatus"], "FINISHED");
    assert_eq!(world.csv("half", "2,b,2\n3,c,3\n").await["Status"], "Success");
}

/// What a client was told before the process was killed.
enum Told {
    Prepared(i64),
    Committed(i64),
}

/// Transactions one after the other, each of one row that no other has, until the process is gone: prepared ones into
/// `d.t`, committed ones into `d.t` and `d.u`.
async fn client(addresses: Addresses, keys: impl Iterator<Item = i64>, told: mpsc::Sender<Told>) {
    for key in keys {
        let label = format!("l{key}");
        let row = format!("{key},x\n");
        let ok = |answer: Option<Value>| answer.is_some_and(|answer| answer["Status"] == "OK");
        let ended = if key % 2 == 0 {
            let headers = named("d", "t", &label);
            let mut fine = ok(call(addresses.backend, "begin", &headers, "").await);
            fine = fine && ok(call(addresses.backend, "load", &headers, &row).await);
            (fine && ok(call(addresses.backend, "prepare", &headers, "").await)).then_some(Told::Prepared(key))
        } else {
            let several = |table| named("d", table, &label) + "transaction_type: multi\r\n";
            let mut fine = ok(call(addresses.frontend, "begin", &several(""), "").await);
            for table in ["t", "u"] {
                fine = fine && ok(call(addresses.backend, "load", &several(table), &row).await);
            }
            (fine && ok(call(addresses.frontend, "commit", &several(""), "").await)).then_some(Told::Committed(key))
        };
        let Some(ended) = ended else { return };
        if told.send(ended).await.is_err() {
            return;
        }
    }
}

fn keys(world: &Ledger, table: &str) -> Vec<i64> {
    let rows = world.run(&format!("SELECT k FROM {table} ORDER BY k"));
    rows.iter().map(|row| row.parse().expect("a number")).collect()
}

#[tokio::test]
async fn a_process_that_is_killed_at_any_moment_keeps_what_is_prepared_and_commits_whole() {
    let mut world = Ledger::with(|options| options).await;
    let (mut prepared, mut committed) = (BTreeSet::new(), BTreeSet::new());
    for (round, answers) in [1, 4, 9, 15].into_iter().enumerate() {
        let dir = world.stop().await;
        let mut child = spawn(dir.path());
        let addresses = addresses(dir.path()).await;
        let (telling, mut told) = mpsc::channel(64);
        for at in 0..3 {
            let first = i64::try_from(round).expect("few rounds") * 1000 + at;
            let keys = (0..300).map(move |step| first + 3 * step);
            tokio::spawn(client(addresses.clone(), keys, telling.clone()));
        }
        drop(telling);
        // Killed as soon as so much was acknowledged, in the midst of whatever the clients have under way.
        let mut count = 0;
        while let Some(ended) = told.recv().await {
            count += 1;
            if count == answers {
                child.kill().expect("it can be killed");
            }
            match ended {
                Told::Prepared(key) => prepared.insert(key),
                Told::Committed(key) => committed.insert(key),
            };
        }
        assert!(count >= answers, "{count}");
        child.wait().expect("it ends");
        world = Ledger::at(dir).await;
        let all = world.sandbox.node.registry.all().expect("it can be asked");
        let in_state = |state| {
            let found = all.iter().filter(move |entry| entry.state == state);
            found.map(|entry| entry.label[1..].parse::<i64>().expect("a key")).collect::<BTreeSet<i64>>()
        };
        let (waiting, visible) = (in_state(State::Prepared), in_state(State::Visible));
        assert!(waiting.is_superset(&prepared), "{prepared:?} {waiting:?}");
        assert!(visible.is_superset(&committed), "{committed:?} {visible:?}");
        assert!(in_state(State::Prepare).is_empty());
        let visible: Vec<i64> = visible.into_iter().collect();
        for table in ["d.t", "d.u"] {
            assert_eq!(keys(&world, table), visible, "{table}: all of each commit, once");
        }
        assert_eq!(world.staged().len(), waiting.len());
        (prepared, committed) = (waiting, visible.into_iter().collect());
    }
    for key in &prepared {
        let headers = named("d", "t", &format!("l{key}"));
        let answer = call(world.frontend(), "commit", &headers, "").await.expect("an answer");
        assert_eq!(answer["Status"], "OK", "{answer}");
    }
    let expected: BTreeSet<i64> = prepared.union(&committed).copied().collect();
    assert_eq!(keys(&world, "d.t"), expected.into_iter().collect::<Vec<_>>());
    assert!(world.staged().is_empty());
}
