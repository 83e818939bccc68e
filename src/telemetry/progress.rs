//! [`Progress`]: the counters that the bar, the report and the log share, and where the time goes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::profile::{self, Activity, Part, Timesheets};
use crate::model::report::{PhaseReport, ProfileReport};

/// Counts what a job does. Written by the stages, read by whoever shows it; every field only grows, but for the gauges
/// that say so.
#[derive(Debug, Default)]
pub struct Progress {
    /// Stored bytes of all inputs; 0 while unknown (streams).
    pub bytes_total: AtomicU64,
    /// Stored bytes read.
    pub bytes_read: AtomicU64,
    /// Rows read, rejected ones included.
    pub rows_read: AtomicU64,
    /// Rows in loads that are settled.
    pub rows_loaded: AtomicU64,
    /// Rows rejected.
    pub rows_rejected: AtomicU64,
    /// Body bytes sent.
    pub bytes_sent: AtomicU64,
    /// Loads settled.
    pub loads_settled: AtomicU64,
    /// Loads under way; a gauge.
    pub loads_in_flight: AtomicU64,
    /// The most attempts that were under way at one time.
    pub attempts_at_once_max: AtomicU64,
    /// Bytes of chunks that lie on the disk until they are settled; a gauge.
    pub bytes_spooled: AtomicU64,
    /// Attempts so far.
    pub attempts: AtomicU64,
    /// Failed attempts so far.
    pub attempts_failed: AtomicU64,
    /// Loads that may be under way at one time; a gauge.
    pub window: AtomicU64,
    /// The job's name, once it is known which one it is; written by the job, read by whoever shows it.
    pub job: OnceLock<String>,
    /// Whoever wants to hear how long something took; set before the job begins.
    observer: OnceLock<Observer>,
    /// How often who was too busy in which way; written by attempts, read by the report.
    slowed: Mutex<BTreeMap<(&'static str, String), u64>>,
    /// Milliseconds that the server says it has spent on each phase of its loads.
    served: Mutex<BTreeMap<String, u64>>,
    drain_rate: Mutex<Option<f64>>,
    waits: [AtomicU64; 4],
    sheets: Timesheets,
}

/// Hears of a phase and how long it took.
struct Observer(Box<dyn Fn(&'static str, Duration) + Send + Sync>);

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

/// Who waits for whom, between the stages of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The encoder waits for rows: reading is the slower one.
    Reader,
    /// The reader waits for the encoder to take its rows.
    Encoder,
    /// The encoder waits for room in the budget or the queue: the far side is the slower one.
    Target,
    /// The encoder waits for the disk to take a chunk; counted as waiting for the target as well.
    Spool,
}

/// How much the last load counts in the rate at which the target takes bytes: loads differ, and a network changes slowly.
const DRAIN_WEIGHT: f64 = 0.25;

impl Progress {
    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    /// Reads a counter.
    pub fn read(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// Lets somebody hear how long things take. The first one counts.
    pub fn observed_by(&self, observer: impl Fn(&'static str, Duration) + Send + Sync + 'static) {
        let _ = self.observer.set(Observer(Box::new(observer)));
    }

    /// Says which job it is, to whoever shows it and to the log.
    pub fn name(&self, job: &str) {
        let _ = self.job.set(job.to_owned());
        tracing::Span::current().record("job", job);
    }

    /// Notes how long something took.
    pub fn took(&self, phase: &'static str, time: Duration) {
        if let Some(Observer(hear)) = self.observer.get() {
            hear(phase, time);
        }
    }

    /// Notes that somebody waited for this stage.
    pub fn waited_for(&self, stage: Stage, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.waits[stage as usize].fetch_add(nanos, Ordering::Relaxed);
    }

    /// Notes how many threads a part has; the most of them count.
    pub fn employ(&self, part: Part, threads: u64) {
        self.sheets.employ(part, threads);
    }

    /// Notes what a part did with its time.
    pub fn spent(&self, part: Part, activity: Activity, time: Duration) {
        self.sheets.spent(part, activity, time);
    }

    /// Notes that a load of so many bytes got through in this time, when so many were under way.
    pub fn drained(&self, bytes: u64, time: Duration, at_once: usize) {
        let mut rate = self.drain_rate.lock().unwrap_or_else(PoisonError::into_inner);
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let now = bytes as f64 * at_once as f64 / time.as_secs_f64().max(f64::EPSILON);
        *rate = Some(rate.map_or(now, |before| before + (now - before) * DRAIN_WEIGHT));
    }

    /// How many bytes of bodies per second the target takes, by the last loads; none before the first.
    #[must_use]
    pub fn drain_rate(&self) -> Option<f64> {
        *self.drain_rate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how many milliseconds a server says a load took in each of its phases.
    pub fn served(&self, phases: &[(String, u64)]) {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        for (phase, millis) in phases {
            *served.entry(phase.clone()).or_default() += millis;
        }
    }

    /// Where the time went so far, given how long the run has lasted.
    #[must_use]
    pub fn profile(&self, elapsed: Duration) -> ProfileReport {
        let served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let phase = |(phase, millis): (&String, &u64)| PhaseReport {
            phase: phase.clone(),
            seconds: Duration::from_millis(*millis).as_secs_f64(),
        };
        let phases = served.iter().map(phase).collect();
        profile::report(&self.sheets, phases, &self.bottleneck(elapsed), elapsed)
    }

    /// Notes that somebody was too busy, and in which way.
    pub fn slowed_by(&self, reason: &'static str, address: &str) {
        let mut slowed = self.slowed.lock().unwrap_or_else(PoisonError::into_inner);
        *slowed.entry((reason, address.to_owned())).or_default() += 1;
    }

    /// Everything that slowed the run down: reason, address and how often.
    #[must_use]
    pub fn slowed(&self) -> Vec<(&'static str, String, u64)> {
        let slowed = self.slowed.lock().unwrap_or_else(PoisonError::into_inner);
        slowed.iter().map(|((reason, address), times)| (*reason, address.clone(), *times)).collect()
    }

    /// What limited the run so far, in words, given how long it has lasted.
    #[must_use]
    pub fn bottleneck(&self, elapsed: Duration) -> String {
        let wait = |stage: Stage| Duration::from_nanos(Self::read(&self.waits[stage as usize]));
        describe(elapsed, wait(Stage::Reader), wait(Stage::Encoder), wait(Stage::Target), wait(Stage::Spool))
    }
}

/// A run that waits for one stage during less than this share of its time is not limited by it.
const SHARE_MIN: f64 = 0.1;

fn describe(elapsed: Duration, reader: Duration, encoder: Duration, target: Duration, spool: Duration) -> String {
    let share = |wait: Duration| wait.as_secs_f64() / elapsed.as_secs_f64().max(f64::EPSILON);
    // The reader waits for the encoder also while that one waits for the target: only the rest is encoding.
    let encoder = encoder.saturating_sub(target);
    let target = target.saturating_sub(spool);
    let stages = [
        (share(spool), "the spool: the pipeline waited for the disk to take chunks"),
        (share(target), "the target: the pipeline waited for loads to be taken"),
        (share(encoder), "encoding and compressing: the reader waited for them"),
        (share(reader), "reading and parsing: the encoder waited for rows"),
    ];
    let worst = stages.iter().copied().reduce(|worst, next| if next.0 > worst.0 { next } else { worst });
    match worst {
        Some((share, words)) if share >= SHARE_MIN => {
            format!("{words} during {:.0} % of the run", share.min(1.0) * 100.0)
        }
        _ => "none: the stages kept pace with each other".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stage_that_is_waited_for_is_the_bottleneck() {
        let progress = Progress::default();
        assert!(progress.bottleneck(Duration::from_secs(10)).starts_with("none"));
        progress.waited_for(Stage::Reader, Duration::from_secs(2));
        assert!(progress.bottleneck(Duration::from_secs(10)).starts_with("reading"));
        progress.waited_for(Stage::Target, Duration::from_secs(7));
        assert_eq!(
            progress.bottleneck(Duration::from_secs(10)),
            "the target: the pipeline waited for loads to be taken during 70 % of the run"
        );
    }

    #[test]
    fn what_slowed_a_run_is_counted_by_reason_and_address() {
        let progress = Progress::default();
        for address in ["be2", "be1", "be2"] {
            progress.slowed_by("memory limit", address);
        }
        assert_eq!(progress.slowed(), [("memory limit", "be1".into(), 1), ("memory limit", "be2".into(), 2)]);
    }

    #[test]
    fn an_encoder_that_waits_for_the_target_is_not_to_blame() {
        let progress = Progress::default();
        progress.waited_for(Stage::Encoder, Duration::from_secs(7));
        assert!(progress.bottleneck(Duration::from_secs(10)).starts_with("encoding"));
        progress.waited_for(Stage::Target, Duration::from_secs(6));
        assert!(progress.bottleneck(Duration::from_secs(10)).starts_with("the target"));
    }
}
