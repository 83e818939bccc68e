//! §5.4: many clients load while the sandbox is killed and started again and again. For the sandbox only.
//!
//! Every unit of work is one label with the same rows each time it is sent. A client repeats it until the server has
//! vouched for it, and asks for the state of the label where an answer is missing. Some units are given up on purpose:
//! none of their rows may ever be seen.

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::cluster::{Cluster, Database};
use crate::support::curl::field;
use crate::support::raw::Connection;
use crate::support::sandbox::Sandbox;

const CLIENTS: usize = 4;
const ROWS: usize = 20;
const BACKENDS: usize = 3;
/// How often a client tries before the test has failed.
const ATTEMPTS_MAX: usize = 400;

/// What the environment may ask for: `loads` or `loads:seed`.
const SIZE: &str = "SHIPLOAD_TEST_ENDURANCE";

/// Numbers that only look random (xorshift), so that a run can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// One label's worth of work.
struct Unit {
    label: String,
    table: &'static str,
    json: bool,
    two_phases: bool,
    /// Whether the transaction is rolled back rather than committed.
    given_up: bool,
    first: usize,
}

impl Unit {
    fn all(client: usize, loads: usize) -> Vec<Self> {
        let unit = |at: usize| {
            let two_phases = at % 3 == 1;
            Self {
                label: format!("client{client}-{at}"),
                table: if at.is_multiple_of(2) { "duplicates" } else { "keyed" },
                json: at % 5 < 2,
                two_phases,
                given_up: two_phases && at % 4 == 3,
                first: (client * loads + at) * ROWS,
            }
        };
        (0..loads).map(unit).collect()
    }

    fn body(&self) -> String {
        let (label, json) = (&self.label, self.json);
        let row = |id: usize| {
            let n = id * 7;
            if json {
                format!("{{\"id\": {id}, \"label\": \"{label}\", \"n\": {n}}}\n")
            } else {
                format!("{id}\t{label}\t{n}\n")
            }
        };
        (self.first..self.first + ROWS).map(row).collect()
    }

    fn format(&self) -> &'static str {
        if self.json { "json" } else { "csv" }
    }
}

/// A client of one database, over plain sockets.
struct Client<'a> {
    cluster: &'a Cluster,
    database: &'a str,
    dice: Dice,
}

/// What became of a unit, as far as one attempt tells.
#[derive(Debug, PartialEq)]
enum Outcome {
    Loaded,
    GivenUp,
    /// Ask again.
    Unknown,
}

impl Client<'_> {
    /// One request to one node; nothing if no answer came.
    fn send(&self, node: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Option<Value> {
        let length = body.len().to_string();
        let fixed = [("Connection", "close"), ("Content-Length", length.as_str())];
        let head = self.cluster.head(method, path, &[&fixed, headers].concat());
        let mut connection = Connection::try_open(node)?;
        connection.try_send(head + body)?;
        serde_json::from_slice(&connection.try_reply()?.body).ok()
    }

    fn any_backend(&mut self) -> String {
        let at = self.dice.below(self.cluster.backends.len() as u64);
        self.cluster.backends[usize::try_from(at).unwrap()].clone()
    }

    fn state(&self, label: &str) -> Option<String> {
        let path = format!("/api/{}/get_load_state?label={label}", self.database);
        Some(field(&self.send(self.cluster.frontend(), "GET", &path, &[], "")?, "state"))
    }

    /// Sends a load whole. What has no answer is unknown.
    fn load(&mut self, unit: &Unit) -> Outcome {
        let (node, path) = (self.any_backend(), format!("/api/{}/{}/_stream_load", self.database, unit.table));
        let headers = [("Expect", "100-continue"), ("label", unit.label.as_str()), ("format", unit.format())];
        let Some(reply) = self.send(&node, "PUT", &path, &headers, &unit.body()) else { return Outcome::Unknown };
        match (field(&reply, "Status").as_str(), field(&reply, "ExistingJobStatus").as_str()) {
            ("Success" | "Publish Timeout", _) | ("Label Already Exists", "FINISHED") => Outcome::Loaded,
            ("Label Already Exists" | "Fail", _) => Outcome::Unknown,
            other => panic!("{}: {other:?} {reply}", unit.label),
        }
    }

    fn operate(&self, node: &str, operation: &str, unit: &Unit, body: &str) -> Option<String> {
        let headers = [
            ("Expect", "100-continue"),
            ("label", unit.label.as_str()),
            ("db", self.database),
            ("table", unit.table),
            ("format", unit.format()),
        ];
        // What has no body is not asked to wait for one.
        let (method, headers) = if operation == "load" { ("PUT", &headers[..]) } else { ("POST", &headers[1..]) };
        let reply = self.send(node, method, &format!("/api/transaction/{operation}"), headers, body)?;
        Some(field(&reply, "Status"))
    }

    /// Takes a transaction from the beginning to PREPARED and on; whatever is not `OK` ends the attempt.
    fn transaction(&mut self, unit: &Unit) -> Outcome {
        let (node, body) = (self.any_backend(), unit.body());
        let half = body.len() / 2 + body[body.len() / 2..].find('\n').unwrap() + 1;
        let steps = [("begin", ""), ("load", &body[..half]), ("load", &body[half..]), ("prepare", "")];
        for (operation, body) in steps {
            if self.operate(&node, operation, unit, body).as_deref() != Some("OK") {
                return Outcome::Unknown;
            }
        }
        self.decide(unit)
    }

    /// Commits or rolls back what is PREPARED.
    fn decide(&self, unit: &Unit) -> Outcome {
        let operation = if unit.given_up { "rollback" } else { "commit" };
        match self.operate(self.cluster.frontend(), operation, unit, "").as_deref() {
            Some("OK") if unit.given_up => Outcome::GivenUp,
            Some("OK") => Outcome::Loaded,
            _ => Outcome::Unknown,
        }
    }

    /// Frees a label whose transaction was lost.
    fn cancel(&self, unit: &Unit) {
        let path = format!("/api/{}/{}/_cancel?label={}", self.database, unit.table, unit.label);
        self.send(self.cluster.frontend(), "POST", &path, &[], "");
    }

    /// Brings a unit to its end, over as many crashes as there are.
    fn resolve(&mut self, unit: &Unit, tries: &AtomicUsize) {
        let mut outcome = if unit.two_phases { self.transaction(unit) } else { self.load(unit) };
        for _ in 0..ATTEMPTS_MAX {
            if outcome != Outcome::Unknown {
                return;
            }
            tries.fetch_add(1, Ordering::Relaxed);
            outcome = match self.state(&unit.label).as_deref() {
                Some("VISIBLE" | "COMMITTED") => {
                    assert!(!unit.given_up, "{} is loaded and was never committed", unit.label);
                    Outcome::Loaded
                }
                Some("PREPARED") => self.decide(unit),
                Some("PREPARE") => {
                    self.cancel(unit);
                    Outcome::Unknown
                }
                Some("ABORTED" | "UNKNOWN") if unit.two_phases => self.transaction(unit),
                // Sending the same label again is the other way to ask.
                Some("ABORTED" | "UNKNOWN") => self.load(unit),
                Some(other) => panic!("{}: state {other:?}", unit.label),
                None if !unit.two_phases && self.dice.below(2) == 0 => self.load(unit),
                None => {
                    // Nobody is there: until the port answers again.
                    thread::sleep(Duration::from_millis(10));
                    Outcome::Unknown
                }
            };
        }
        assert_ne!(outcome, Outcome::Unknown, "{} was never resolved", unit.label);
    }
}

/// So many ports in a row that are free, and the first of them.
fn free_ports(count: u16) -> u16 {
    loop {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let first = held.local_addr().unwrap().port();
        let Some(last) = first.checked_add(count) else { continue };
        let rest: Vec<_> = (first + 1..last).map_while(|port| TcpListener::bind(("127.0.0.1", port)).ok()).collect();
        if rest.len() == usize::from(count) - 1 {
            return first;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "how long to run is the test's business, not the program's")]
fn size() -> (usize, u64) {
    let Ok(text) = std::env::var(SIZE) else { return (200, 7) };
    let (loads, seed) = text.split_once(':').unwrap_or((&text, "7"));
    let wrong = "a number of loads, and a colon and a seed behind it";
    (loads.parse().expect(wrong), seed.parse::<u64>().expect(wrong).max(1))
}

#[test]
#[expect(clippy::print_stderr, reason = "the figures of a run, for whoever asks for them with --nocapture")]
fn sr_5_4_every_row_is_loaded_once_over_many_crashes() {
    let (loads, seed) = size();
    let folder = tempfile::tempdir().unwrap();
    let first = free_ports(u16::try_from(BACKENDS).unwrap() + 2);
    let [mysql, frontend, backend] = [first, first + 1, first + 2].map(|port| port.to_string());
    let backends = BACKENDS.to_string();
    let arguments = [
        ["--mysql-port", &mysql],
        ["--fe-port", &frontend],
        ["--be-port", &backend],
        ["--backends", &backends],
        ["--label-keep-max", "100000"],
    ]
    .concat();
    let mut sandbox = Some(Sandbox::start_on_ports(folder.path(), &arguments));
    let cluster = sandbox.as_ref().unwrap().cluster.clone();
    let database = ManuallyDrop::new(cluster.database());
    database.table("duplicates", "id BIGINT, label VARCHAR(40), n BIGINT");
    database.primary_key_table("keyed", "id BIGINT, label VARCHAR(40), n BIGINT");
    let (done, tries) = (AtomicU64::new(0), AtomicUsize::new(0));
    let total = (CLIENTS * loads) as u64;
    let failed = AtomicBool::new(false);
    let mut kills = 0;
    thread::scope(|scope| {
        let clients = (0..CLIENTS).map(|number| {
            let (cluster, database, done, tries) = (&cluster, database.name.as_str(), &done, &tries);
            let failed = &failed;
            scope.spawn(move || {
                let _tell = Tell(failed);
                let mut client = Client { cluster, database, dice: Dice(seed * 1000 + number as u64) };
                for unit in Unit::all(number, loads) {
                    client.resolve(&unit, tries);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        let clients: Vec<_> = clients.collect();
        let mut dice = Dice(seed);
        let mut next = 5 + dice.below(10);
        while clients.iter().any(|client| !client.is_finished()) && !failed.load(Ordering::Relaxed) {
            if done.load(Ordering::Relaxed) >= next {
                // Somewhere within the steps of what comes next.
                thread::sleep(Duration::from_micros(dice.below(20_000)));
                sandbox.as_ref().unwrap().kill();
                drop(sandbox.take());
                sandbox = Some(Sandbox::start_on_ports(folder.path(), &arguments));
                kills += 1;
                next = done.load(Ordering::Relaxed) + 5 + dice.below(total / 12);
            }
            thread::sleep(Duration::from_millis(1));
        }
    });
    eprintln!("seed {seed}: {total} loads, {kills} kills, {} questions", tries.load(Ordering::Relaxed));
    assert!(kills >= 6, "{kills} kills");
    check(&database, loads);
}

/// Says that a client has failed, so that nobody goes on without it.
struct Tell<'a>(&'a AtomicBool);

impl Drop for Tell<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Compares labels, counts, sums and distinct ids.
fn check(database: &Database<'_>, loads: usize) {
    let units: Vec<Unit> = (0..CLIENTS).flat_map(|client| Unit::all(client, loads)).collect();
    for table in ["duplicates", "keyed"] {
        let rows =
            database.rows(&format!("SELECT label, count(*), count(DISTINCT id), sum(n) FROM {table} GROUP BY label"));
        let found: BTreeMap<String, Vec<String>> =
            rows.into_iter().map(|row| (row[0].clone(), row[1..].to_vec())).collect();
        let expected: BTreeMap<String, Vec<String>> = units
            .iter()
            .filter(|unit| unit.table == table && !unit.given_up)
            .map(|unit| {
                let sum: usize = (unit.first..unit.first + ROWS).map(|id| id * 7).sum();
                (unit.label.clone(), vec![ROWS.to_string(), ROWS.to_string(), sum.to_string()])
            })
            .collect();
        assert_eq!(found, expected, "{table}");
        let distinct = database.rows(&format!("SELECT count(*), count(DISTINCT id) FROM {table}"));
        assert_eq!(distinct[0][0], distinct[0][1], "{table}");
    }
    for unit in &units {
        let state = database.state(&unit.label);
        let right = if unit.given_up { ["ABORTED", "UNKNOWN"] } else { ["VISIBLE", "COMMITTED"] };
        assert!(right.contains(&state.as_str()), "{}: {state}", unit.label);
    }
}
