//! Metrics: every family with its name, unit and help, in one place, and the registry that holds their values.
//!
//! The text is Prometheus' exposition format, version 0.0.4. Labels have few values on purpose: a configured target, an
//! outcome, a phase; never a job, a table or a path, of which there is no end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What kind of number a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Times, counted by how long they are.
    Histogram,
}

/// A family of metrics.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name, which ends in its unit.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
}

macro_rules! families {
    ($( $constant:ident $kind:ident $name:literal [$($label:literal),*] $help:literal; )*) => {
        $( #[doc = $help] pub const $constant: Family =
            Family { name: $name, help: $help, kind: Kind::$kind, labels: &[$($label),*] }; )*

        /// Every family, in the order in which they are shown.
        pub const FAMILIES: &[Family] = &[$( $constant ),*];
    };
}

families! {
    BUILD Gauge "shipload_build_info" ["version", "revision"] "Always 1; its labels say what runs.";
    STARTED Gauge "shipload_start_time_seconds" [] "When the service started, in seconds since 1970.";
    DRAINING Gauge "shipload_draining" [] "1 while the service comes to its end, 0 before.";
    JOBS Gauge "shipload_jobs" ["state"] "Jobs that are waiting or running now.";
    JOBS_ENDED Counter "shipload_jobs_total" ["target", "outcome"] "Jobs that have ended, by how.";
    JOBS_PUT_OFF Counter "shipload_jobs_put_off_total" ["target", "code"] "Tries of jobs that failed and are made again later, by error code.";
    ROWS Counter "shipload_rows_total" ["target", "outcome"] "Rows read, loaded and rejected.";
    READ Counter "shipload_read_bytes_total" ["target"] "Bytes of inputs read, as stored.";
    SENT Counter "shipload_sent_bytes_total" ["target"] "Body bytes of loads that were acknowledged.";
    LOADS Counter "shipload_loads_total" ["target", "outcome"] "Loads, by how they were settled.";
    ATTEMPTS_FAILED Counter "shipload_attempts_failed_total" ["target"] "Attempts at a load that failed.";
    ATTEMPTS Counter "shipload_attempts_total" ["target"] "Attempts at a load.";
    LOADS_UNDER_WAY Gauge "shipload_loads_in_flight" ["target"] "Loads under way.";
    WINDOW Gauge "shipload_concurrency_window" ["target"] "Loads that may be under way at one time, over all running jobs.";
    SPOOLED Gauge "shipload_spooled_bytes" ["target"] "Bytes of streams that lie on the disk until their loads are settled.";
    PHASE Histogram "shipload_phase_seconds" ["target", "phase"] "Time of each phase: waiting for memory, attempts, whole jobs.";
    MEMORY Gauge "shipload_memory_bytes" ["of"] "The memory limit, what of it is granted to jobs, and what the process really has.";
    WATCHED Counter "shipload_watched_files_total" ["watch", "outcome"] "Files of watched folders, by what came of them.";
    JOURNAL Gauge "shipload_journal_bytes" [] "Size of the journal on the disk.";
    REQUESTS Counter "shipload_http_requests_total" ["method", "path", "code"] "Requests answered, by route and status.";
    REQUEST_TIME Histogram "shipload_http_request_seconds" ["path"] "Time from a request's head to its answer's.";
    CONNECTIONS Gauge "shipload_http_connections" [] "Open connections.";
    CUT_OFF Counter "shipload_http_cut_off_total" ["reason"] "Connections that were cut off or turned away, by why.";
    REFUSED Counter "shipload_http_refused_total" ["code"] "Requests that were refused, by error code.";
    CPU Counter "process_cpu_seconds_total" [] "User and system time of the process, in seconds.";
    FILES Gauge "process_open_fds" [] "Open file descriptors.";
    RESIDENT Gauge "process_resident_memory_bytes" [] "Resident memory of the process.";
}

/// Upper bounds of a histogram's buckets, in seconds: from a small load into a close cluster to the longest job.
const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3600.0];

/// Series of one family, at most: whoever lets a label run wild does not get the memory for it.
const SERIES_MAX: usize = 1000;

#[derive(Clone, Debug, Default)]
struct Series {
    value: f64,
    /// Counts by bucket, for a histogram.
    buckets: [u64; BUCKETS.len()],
    count: u64,
}

type Held = BTreeMap<&'static str, BTreeMap<Vec<String>, Series>>;

/// The values of all families. Cheap enough for what happens per load and per request; nothing is counted per row.
#[derive(Debug, Default)]
pub struct Registry {
    held: Mutex<Held>,
}

impl Registry {
    /// Adds to a counter.
    pub fn add(&self, family: &Family, labels: &[&str], amount: f64) {
        self.with(family, labels, |series| series.value += amount);
    }

    /// Sets a gauge, or a counter that somebody else keeps.
    pub fn set(&self, family: &Family, labels: &[&str], value: f64) {
        self.with(family, labels, |series| series.value = value);
    }

    /// Notes a time in seconds.
    pub fn observe(&self, family: &Family, labels: &[&str], seconds: f64) {
        self.with(family, labels, |series| {
            series.value += seconds;
            series.count += 1;
            for (count, bound) in series.buckets.iter_mut().zip(BUCKETS) {
                *count += u64::from(seconds <= bound);
            }
        });
    }

    /// Forgets the series of a gauge, before it is set anew.
    pub fn clear(&self, family: &Family) {
        self.lock().remove(family.name);
    }

    fn with(&self, family: &Family, labels: &[&str], change: impl FnOnce(&mut Series)) {
        debug_assert_eq!(family.labels.len(), labels.len(), "{}", family.name);
        let mut held = self.lock();
        let series = held.entry(family.name).or_default();
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        if series.len() < SERIES_MAX || series.contains_key(&labels) {
            change(series.entry(labels).or_default());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it as Prometheus reads it.
    #[must_use]
    pub fn text(&self) -> String {
        let held = self.lock();
        let mut text = String::new();
        for family in FAMILIES {
            let kind = match family.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let name = family.name;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", family.help);
            for (labels, series) in held.get(name).into_iter().flatten() {
                let labels: Vec<(&str, &str)> =
                    family.labels.iter().copied().zip(labels.iter().map(String::as_str)).collect();
                if family.kind == Kind::Histogram {
                    histogram(&mut text, name, &labels, series);
                } else {
                    let _ = writeln!(text, "{name}{} {}", shown(&labels, None), series.value);
                }
            }
        }
        text
    }
}

fn histogram(text: &mut String, name: &str, labels: &[(&str, &str)], series: &Series) {
    for (count, bound) in series.buckets.iter().zip(BUCKETS) {
        let _ = writeln!(text, "{name}_bucket{} {count}", shown(labels, Some(&bound.to_string())));
    }
    let _ = writeln!(text, "{name}_bucket{} {}", shown(labels, Some("+Inf")), series.count);
    let _ = writeln!(text, "{name}_sum{} {}", shown(labels, None), series.value);
    let _ = writeln!(text, "{name}_count{} {}", shown(labels, None), series.count);
}

fn shown(labels: &[(&str, &str)], bound: Option<&str>) -> String {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_is_counted_is_shown_with_help_and_type() {
        let registry = Registry::default();
        registry.add(&ROWS, &["a\"b", "loaded"], 2.0);
        registry.add(&ROWS, &["a\"b", "loaded"], 3.0);
        registry.set(&DRAINING, &[], 1.0);
        registry.observe(&REQUEST_TIME, &["/x"], 0.03);
        let text = registry.text();
        for line in [
            "# HELP shipload_rows_total Rows read, loaded and rejected.",
            "# TYPE shipload_rows_total counter",
            "shipload_rows_total{target=\"a\\\"b\",outcome=\"loaded\"} 5",
            "shipload_draining 1",
            "shipload_http_request_seconds_bucket{path=\"/x\",le=\"0.025\"} 0",
            "shipload_http_request_seconds_bucket{path=\"/x\",le=\"0.05\"} 1",
            "shipload_http_request_seconds_bucket{path=\"/x\",le=\"+Inf\"} 1",
            "shipload_http_request_seconds_count{path=\"/x\"} 1",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
    }

    #[test]
    fn names_say_what_they_are() {
        let names: BTreeSet<_> = FAMILIES.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), FAMILIES.len(), "each is there once");
        for family in FAMILIES {
            assert_eq!(family.kind == Kind::Counter, family.name.ends_with("_total"), "{}", family.name);
            assert_eq!(family.kind == Kind::Histogram, family.name.ends_with("_seconds") && family.kind != Kind::Gauge);
            assert!(family.help.ends_with('.'), "{}", family.name);
        }
    }

    #[test]
    fn a_label_that_runs_wild_is_held_back() {
        let registry = Registry::default();
        for number in 0..2 * SERIES_MAX {
            registry.add(&ROWS, &[&number.to_string(), "read"], 1.0);
        }
        assert_eq!(registry.lock()[ROWS.name].len(), SERIES_MAX);
    }
}
