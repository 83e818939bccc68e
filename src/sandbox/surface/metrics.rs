//! What a node has counted: loads, transactions, queries. Connections are the store's sessions.
//!
//! Each node has its own numbers, from its start. Who does something tells it here, in one call:
//!
//! | When | Call |
//! |---|---|
//! | a backend accepts a load's request | [`BackendMetrics::load_begun`]; its guard lives as long as the request |
//! | the load is over | [`Carried::ended`] |
//! | a backend takes a transaction request | [`BackendMetrics::transaction_request`] |
//! | a frontend takes one | [`FrontendMetrics::transaction_request`], with the time that it took |
//! | a transaction is begun, or is not for its label or the limit | [`FrontendMetrics::transaction_begun`], [`FrontendMetrics::transaction_refused`] |
//! | it is visible or aborted | [`FrontendMetrics::transaction_ended`], with the time since its begin |
//! | a statement is answered, over MySQL or HTTP | [`FrontendMetrics::query_ended`] |
//!
//! Nothing here is estimated. Quantiles are those of the newest [`LATENCIES_MAX`] latencies.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::exposition::{Family, Type};
use crate::clock::{Clock as _, SystemClock};
use crate::sandbox::overview::LoadKind;

/// How many latencies a summary remembers for its quantiles, about those of the last moment.
const LATENCIES_MAX: usize = 1024;

/// The quantiles that a summary tells.
const QUANTILES: [(&str, f64); 5] = [("0.75", 0.75), ("0.95", 0.95), ("0.98", 0.98), ("0.99", 0.99), ("0.999", 0.999)];

/// How a load or a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Outcome {
    Visible,
    Aborted,
}

/// A request of the transaction interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Request {
    Begin,
    Load,
    Prepare,
    Commit,
    Rollback,
}

impl Request {
    const ALL: [Self; 5] = [Self::Begin, Self::Load, Self::Prepare, Self::Commit, Self::Rollback];

    fn name(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Load => "load",
            Self::Prepare => "prepare",
            Self::Commit => "commit",
            Self::Rollback => "rollback",
        }
    }

    /// The name in the backend's `txn_request`.
    fn backend_name(self) -> &'static str {
        if self == Self::Load { "exec" } else { self.name() }
    }
}

/// A number that only grows, or one that goes up and down again.
#[derive(Debug, Default)]
struct Count(AtomicU64);

impl Count {
    fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn less(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long something took, over all times it was done.
#[derive(Debug, Default)]
struct Latency(Mutex<Latencies>);

#[derive(Debug, Default)]
struct Latencies {
    count: u64,
    total: Duration,
    newest: VecDeque<Duration>,
}

impl Latency {
    fn add(&self, took: Duration) {
        // Each step leaves something that can be told from, so a panic in between does no harm.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.count += 1;
        all.total = all.total.saturating_add(took);
        if all.newest.len() == LATENCIES_MAX {
            all.newest.pop_front();
        }
        all.newest.push_back(took);
    }

    /// Adds the samples of a summary, in milliseconds.
    fn tell(&self, family: &mut Family, labels: &[(&'static str, &str)]) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sorted: Vec<Duration> = all.newest.iter().copied().collect();
        sorted.sort_unstable();
        for (name, quantile) in QUANTILES {
            let mut labels = labels.to_vec();
            labels.insert(0, ("quantile", name));
            family.sample("", &labels, milliseconds(at(&sorted, quantile)));
        }
        family.sample("_sum", labels, milliseconds(all.total));
        family.sample("_count", labels, all.count);
    }
}

/// The value below which this part of all values is, by the nearest rank.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a rank among a thousand"
)]
fn at(sorted: &[Duration], quantile: f64) -> Duration {
    let rank = (sorted.len() as f64 * quantile).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn counter(name: &str, unit: &'static str, help: &'static str, count: &Count) -> Family {
    Family::one(name, Type::Counter, unit, help, count.get())
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// What a frontend has counted.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct FrontendMetrics {
    begun: Count,
    refused: Count,
    visible: Count,
    aborted: Count,
    all_transactions: Latency,
    stream_loads: Latency,
    requests: [Count; 5],
    request_latencies: [Latency; 5],
    queries: Count,
    failed_queries: Count,
    query_latency: Latency,
}

impl FrontendMetrics {
    /// Counts a transaction that was begun.
    pub(in crate::sandbox) fn transaction_begun(&self) {
        self.begun.add(1);
    }

    /// Counts a transaction that was not begun: for its label, or because there are too many.
    pub(in crate::sandbox) fn transaction_refused(&self) {
        self.refused.add(1);
    }

    /// Counts the end of a transaction that was begun this long ago.
    pub(in crate::sandbox) fn transaction_ended(&self, outcome: Outcome, kind: LoadKind, took: Duration) {
        match outcome {
            Outcome::Aborted => self.aborted.add(1),
            Outcome::Visible => {
                self.visible.add(1);
                self.all_transactions.add(took);
                // The server counts every kind of load that comes over HTTP among them.
                match kind {
                    LoadKind::Stream | LoadKind::Transaction | LoadKind::Merged => self.stream_loads.add(took),
                }
            }
        }
    }

    /// Counts a request of the transaction interface, which took this long.
    pub(in crate::sandbox) fn transaction_request(&self, request: Request, took: Duration) {
        self.requests[request as usize].add(1);
        self.request_latencies[request as usize].add(took);
    }

    /// Counts a statement that was answered.
    pub(in crate::sandbox) fn query_ended(&self, succeeded: bool, took: Duration) {
        self.queries.add(1);
        if succeeded {
            self.query_latency.add(took);
        } else {
            self.failed_queries.add(1);
        }
    }

    /// Everything, by the server's names.
    pub(super) fn families(&self) -> Vec<Family> {
        let ended = self.visible.get() + self.aborted.get();
        let running = self.begun.get().saturating_sub(ended);
        let mut families = vec![
            counter("txn_begin", "requests", "transactions that were begun", &self.begun),
            counter("txn_success", "requests", "transactions that became visible", &self.visible),
            counter("txn_failed", "requests", "transactions that were aborted", &self.aborted),
            counter("txn_reject", "requests", "transactions that were not begun", &self.refused),
            Family::one("txn_running", Type::Gauge, "nounit", "transactions that are under way", running),
            counter("query_total", "requests", "statements that were answered", &self.queries),
            counter("query_err", "requests", "statements that failed", &self.failed_queries),
        ];
        for request in Request::ALL {
            let name = format!("txn_stream_load_{}_num", request.name());
            let help = "requests of the transaction interface";
            families.push(counter(&name, "requests", help, &self.requests[request as usize]));
        }
        let mut latency = Family::new("query_latency_ms", Type::Summary, "milliseconds", "statements that succeeded");
        self.query_latency.tell(&mut latency, &[]);
        families.push(latency);
        let help = "from begin to visible";
        let mut latency = Family::new("txn_total_latency_ms", Type::Summary, "milliseconds", help);
        self.all_transactions.tell(&mut latency, &[("type", "all")]);
        self.stream_loads.tell(&mut latency, &[("type", "stream_load")]);
        families.push(latency);
        for request in Request::ALL {
            let name = format!("txn_stream_load_{}_latency_ms", request.name());
            let help = "requests of the transaction interface";
            let mut latency = Family::new(&name, Type::Summary, "milliseconds", help);
            self.request_latencies[request as usize].tell(&mut latency, &[]);
            families.push(latency);
        }
        families
    }
}

/// The loads that a backend carries over one of its interfaces.
#[derive(Debug, Default)]
struct Carriage {
    requests: Count,
    bytes: Count,
    duration_ms: Count,
    current: Count,
}

/// What a backend has counted.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct BackendMetrics {
    streaming: Carriage,
    transactional: Carriage,
    rows: Count,
    bytes: Count,
    requests: [Count; 5],
}

impl BackendMetrics {
    /// Counts the request of a load for as long as it lasts.
    pub(in crate::sandbox) fn load_begun(self: &Arc<Self>, kind: LoadKind) -> Carried {
        let carried = Carried { metrics: Arc::clone(self), kind, begun: SystemClock.instant() };
        carried.carriage().requests.add(1);
        carried.carriage().current.add(1);
        carried
    }

    /// Counts a request of the transaction interface.
    pub(in crate::sandbox) fn transaction_request(&self, request: Request) {
        self.requests[request as usize].add(1);
    }

    /// Everything, by the server's names.
    pub(super) fn families(&self) -> Vec<Family> {
        let mut families = Vec::new();
        for (prefix, carriage) in
            [("streaming_load", &self.streaming), ("transaction_streaming_load", &self.transactional)]
        {
            let name = |end: &str| format!("{prefix}_{end}");
            families.extend([
                counter(&name("requests_total"), "requests", "requests that were accepted", &carriage.requests),
                counter(&name("bytes"), "bytes", "bytes of bodies that were received", &carriage.bytes),
                counter(&name("duration_ms"), "milliseconds", "time that requests have taken", &carriage.duration_ms),
            ]);
            let help = "requests that are under way";
            let current = carriage.current.get();
            families.push(Family::one(&name("current_processing"), Type::Gauge, "requests", help, current));
        }
        let mut requests =
            Family::new("txn_request", Type::Counter, "requests", "requests of the transaction interface");
        for request in Request::ALL {
            let labels = [("type", request.backend_name())];
            requests.sample("", &labels, self.requests[request as usize].get());
        }
        families.push(requests);
        let (rows, bytes) = (self.rows.get(), self.bytes.get());
        families.push(Family::one("load_rows", Type::Counter, "rows", "rows that were loaded", rows));
        families.push(Family::one("load_bytes", Type::Counter, "bytes", "bytes of bodies that were loaded", bytes));
        families
    }
}

/// The request of a load that is counted, until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the request for the metrics"]
pub(in crate::sandbox) struct Carried {
    metrics: Arc<BackendMetrics>,
    kind: LoadKind,
    begun: Instant,
}

impl Carried {
    /// Ends it, with what came of it.
    pub(in crate::sandbox) fn ended(self, outcome: Outcome, bytes: u64, rows: u64) {
        self.carriage().bytes.add(bytes);
        if outcome == Outcome::Visible {
            self.metrics.bytes.add(bytes);
            self.metrics.rows.add(rows);
        }
    }

    fn carriage(&self) -> &Carriage {
        match self.kind {
            LoadKind::Stream | LoadKind::Merged => &self.metrics.streaming,
            LoadKind::Transaction => &self.metrics.transactional,
        }
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        let took = SystemClock.instant().saturating_duration_since(self.begun);
        self.carriage().duration_ms.add(took.as_millis().try_into().unwrap_or(u64::MAX));
        self.carriage().current.less();
    }
}
