//! Many clients at once on few labels, with backends that restart: whatever happens, what was said holds.
//!
//! Each body is one row that no other body has. The model knows of each transaction which rows it was said to have, and
//! what its end was said to be; an observer watches that states only move as they may.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::client::{authorization, request};
use super::transactions::{Ledger, call, named};
use crate::sandbox::Sandbox;
use crate::sandbox::ledger::State;
use crate::sandbox::member::Order;

const CLIENTS: u64 = 4;
const STEPS: u64 = 60;
const LABELS: u64 = 3;

/// What clients were told.
#[derive(Debug, Default)]
struct Told {
    /// Rows that are in a transaction.
    taken: BTreeMap<i64, i64>,
    /// Rows that were sent without an answer, or a bad one.
    unsure: BTreeSet<i64>,
    prepared: BTreeSet<i64>,
    committed: BTreeSet<i64>,
    aborted: BTreeSet<i64>,
}

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

struct Storm {
    frontend: SocketAddr,
    backend: SocketAddr,
    row: AtomicI64,
    told: Mutex<Told>,
}

impl Storm {
    /// One client.
    async fn client(self: Arc<Self>, world: Arc<Ledger>, seed: u64) {
        let mut dice = Dice(seed);
        for _ in 0..STEPS {
            let label = format!("l{}", dice.roll(LABELS));
            let address = if dice.roll(2) == 0 { self.frontend } else { self.backend };
            match dice.roll(16) {
                0..3 => drop(self.ask(self.backend, "begin", &label).await),
                3..9 => self.load(&label).await,
                9..11 => self.end(self.backend, "prepare", &label).await,
                11..13 => self.end(address, "commit", &label).await,
                13 => self.end(address, "rollback", &label).await,
                14 => {
                    let path = format!("/api/d/any/_cancel?label={label}");
                    request(self.frontend, "POST", &path, &authorization("root:")).await;
                }
                _ if dice.roll(4) == 0 => restart(&world.sandbox).await,
                _ => world.sandbox.node.sweep().expect("it sweeps"),
            }
        }
    }

    async fn ask(&self, address: SocketAddr, operation: &str, label: &str) -> Option<Value> {
        call(address, operation, &named("d", "t", label), "").await
    }

    async fn load(&self, label: &str) {
        let row = self.row.fetch_add(1, Ordering::Relaxed);
        let answer = call(self.backend, "load", &named("d", "t", label), &format!("{row},x\n")).await;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match answer.filter(|answer| answer["Status"] == "OK").and_then(|answer| answer["TxnId"].as_i64()) {
            Some(id) => drop(told.taken.insert(row, id)),
            None => drop(told.unsure.insert(row)),
        }
    }

    async fn end(&self, address: SocketAddr, operation: &str, label: &str) {
        let Some(answer) = self.ask(address, operation, label).await else { return };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        // The backend does not say which transaction it has rolled back.
        let (true, Some(id)) = (answer["Status"] == "OK", answer["TxnId"].as_i64()) else { return };
        match operation {
            "prepare" => told.prepared.insert(id),
            "commit" => told.committed.insert(id),
            _ => told.aborted.insert(id),
        };
    }
}

async fn restart(sandbox: &Sandbox) {
    let node = Arc::clone(&sandbox.node);
    let ordered = tokio::task::spawn_blocking(move || node.order(&node.cluster.backends[0], Order::Restart));
    ordered.await.expect("it restarts");
}

/// Whether a transaction may be in one state and then in another.
fn follows(before: State, after: State) -> bool {
    before == after
        || match before {
            State::Prepare => true,
            State::Prepared => matches!(after, State::Committed | State::Visible | State::Aborted),
            State::Committed => after == State::Visible,
            _ => false,
        }
}

/// Watches the states until it is told to stop; returns the last.
fn watch(sandbox: &Sandbox, stop: &AtomicBool) -> BTreeMap<i64, State> {
    let mut known: BTreeMap<i64, State> = BTreeMap::new();
    loop {
        let last = stop.load(Ordering::Acquire);
        let seen: BTreeMap<i64, State> =
            sandbox.node.registry.all().expect("it can be asked").iter().map(|entry| (entry.id, entry.state)).collect();
        for (id, before) in &known {
            let after = seen.get(id).unwrap_or_else(|| panic!("transaction {id} is nowhere"));
            assert!(follows(*before, *after), "transaction {id} was {before:?} and is {after:?}");
        }
        known = seen;
        if last {
            return known;
        }
    }
}

async fn weather(seed: u64) {
    let world = Arc::new(Ledger::with(|options| options).await);
    let addresses = world.sandbox.addresses();
    let storm = Arc::new(Storm {
        frontend: addresses.frontend,
        backend: addresses.backend,
        row: AtomicI64::new(1),
        told: Mutex::default(),
    });
    let stop = Arc::new(AtomicBool::new(false));
    let (watched, watching) = (Arc::clone(&world), Arc::clone(&stop));
    let observer = tokio::task::spawn_blocking(move || watch(&watched.sandbox, &watching));
    let clients: Vec<_> = (1..=CLIENTS)
        .map(|client| tokio::spawn(Arc::clone(&storm).client(Arc::clone(&world), seed * 1000 + client)))
        .collect();
    for client in clients {
        client.await.expect("a client ends");
    }
    stop.store(true, Ordering::Release);
    let states = observer.await.expect("nothing moves as it may not");
    let told = storm.told.lock().unwrap_or_else(PoisonError::into_inner);
    let rows: Vec<i64> = world.run("SELECT k FROM d.t").iter().map(|row| row.parse().expect("a number")).collect();
    let visible: BTreeSet<i64> = rows.iter().copied().collect();
    assert_eq!(rows.len(), visible.len(), "no row comes twice");
    for (row, id) in &told.taken {
        assert_eq!(visible.contains(row), states[id] == State::Visible, "row {row} of {id}, {:?}", states[id]);
    }
    for row in &visible {
        assert!(told.taken.contains_key(row) || told.unsure.contains(row), "row {row} was never sent");
    }
    for id in &told.committed {
        assert_eq!(states[id], State::Visible, "{id} was said to be committed");
    }
    for id in &told.aborted {
        assert_eq!(states[id], State::Aborted, "{id} was said to be aborted");
    }
    for id in &told.prepared {
        assert_ne!(states[id], State::Prepare, "{id} was said to be prepared");
    }
    let staged = world.staged();
    let owners = states.iter().filter(|(_, state)| **state == State::Prepared).map(|(id, _)| *id);
    assert_eq!(staged, owners.collect::<Vec<_>>(), "what is prepared has rows that wait, and nothing else has");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_happens_at_once_what_was_said_holds() {
    for seed in 1..=6 {
        weather(seed).await;
    }
}
