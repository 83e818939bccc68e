//! From the counters of each job to the metrics of the service, which only grow, whatever jobs come and go.

use std::collections::BTreeMap;

use super::entry::{Entry, Outcome, State};
use crate::telemetry::{Progress, Registry, metric};

/// What was counted of a job already.
#[derive(Debug, Default)]
pub(super) struct Seen {
    rows_read: u64,
    rows_loaded: u64,
    rows_rejected: u64,
    bytes_read: u64,
    bytes_sent: u64,
    attempts: u64,
    attempts_failed: u64,
}

/// Adds what a job has done since the last time.
pub(super) fn count(metrics: &Registry, entry: &Entry) {
    let target = entry.ask.target.as_str();
    let grown = |before: &mut u64, now: u64| {
        let more = now.saturating_sub(*before);
        *before = now;
        number(more)
    };
    entry.tally(|progress, seen| {
        let read = |counter| Progress::read(counter);
        metrics.add(&metric::ROWS, &[target, "read"], grown(&mut seen.rows_read, read(&progress.rows_read)));
        metrics.add(&metric::ROWS, &[target, "loaded"], grown(&mut seen.rows_loaded, read(&progress.rows_loaded)));
        let rejected = grown(&mut seen.rows_rejected, read(&progress.rows_rejected));
        metrics.add(&metric::ROWS, &[target, "rejected"], rejected);
        metrics.add(&metric::READ, &[target], grown(&mut seen.bytes_read, read(&progress.bytes_read)));
        metrics.add(&metric::SENT, &[target], grown(&mut seen.bytes_sent, read(&progress.bytes_sent)));
        metrics.add(&metric::ATTEMPTS, &[target], grown(&mut seen.attempts, read(&progress.attempts)));
        let failed = grown(&mut seen.attempts_failed, read(&progress.attempts_failed));
        metrics.add(&metric::ATTEMPTS_FAILED, &[target], failed);
    });
}

/// Adds how a job has ended.
pub(super) fn count_end(metrics: &Registry, entry: &Entry, outcome: &Outcome) {
    let target = entry.ask.target.as_str();
    metrics.add(&metric::JOBS_ENDED, &[target, outcome.state.word()], 1.0);
    if let Some(seconds) = entry.worked() {
        metrics.observe(&metric::PHASE, &[target, "job"], seconds);
    }
    // What an earlier request has loaded was counted then.
    let report = outcome.report.as_ref().filter(|_| outcome.state != State::AlreadyLoaded);
    for load in report.into_iter().flat_map(|report| &report.loads).filter(|load| load.attempts > 0) {
        metrics.add(&metric::LOADS, &[target, load.state.word()], 1.0);
    }
}

/// Sets the gauges of everything that is at work.
pub(super) fn gauge<'a>(metrics: &Registry, entries: impl Iterator<Item = &'a Entry>) {
    #[derive(Default)]
    struct Sum {
        in_flight: u64,
        window: u64,
        spooled: u64,
    }
    for family in [&metric::LOADS_UNDER_WAY, &metric::WINDOW, &metric::SPOOLED] {
        metrics.clear(family);
    }
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for entry in entries {
        let sum = sums.entry(entry.ask.target.as_str()).or_default();
        if let Some(progress) = entry.progress().filter(|_| !entry.state().is_over()) {
            sum.in_flight += Progress::read(&progress.loads_in_flight);
            sum.window += Progress::read(&progress.window);
            sum.spooled += Progress::read(&progress.bytes_spooled);
        }
    }
    for (target, sum) in sums {
        metrics.set(&metric::LOADS_UNDER_WAY, &[target], number(sum.in_flight));
        metrics.set(&metric::WINDOW, &[target], number(sum.window));
        metrics.set(&metric::SPOOLED, &[target], number(sum.spooled));
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are exact to 2^53")]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}
