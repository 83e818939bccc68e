//! Where the time of a run goes: what each part of it did, and what limits the run.
//!
//! Each part notes once per piece or chunk how long it worked, how long it waited for something to work on, and how long
//! for somebody to take what it had made. [`limit`] makes a sentence of that, and is pure.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Progress;
use crate::clock::Clock;
use crate::model::report::{PhaseReport, ProfileReport, StageReport};

/// A part of a run, in the order of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The disk, or whoever writes a stream: busy while somebody waits for bytes.
    Source,
    /// Makes plain bytes of compressed ones.
    Decompressor,
    /// Cuts a text into pieces, or decodes a file into batches.
    Reader,
    /// Check, type, encode and compress.
    Workers,
    /// Puts rows together and hands on chunks.
    Assembly,
    /// Writes chunks of streams onto the disk.
    Spool,
    /// Loads under way: busy from the first byte sent to the answer.
    Target,
}

const PARTS: [Part; 7] =
    [Part::Source, Part::Decompressor, Part::Reader, Part::Workers, Part::Assembly, Part::Spool, Part::Target];

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Decompressor => "decompressor",
            Self::Reader => "reader",
            Self::Workers => "workers",
            Self::Assembly => "assembly",
            Self::Spool => "spool",
            Self::Target => "target",
        }
    }
}

/// What a part does with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It works.
    Busy,
    /// It waits for something to work on.
    Starved,
    /// It waits for somebody to take what it made.
    Blocked,
}

/// What the parts did so far.
#[derive(Debug, Default)]
pub(super) struct Timesheets([Timesheet; PARTS.len()]);

#[derive(Debug, Default)]
struct Timesheet {
    threads: AtomicU64,
    nanos: [AtomicU64; 3],
}

impl Timesheets {
    pub(super) fn employ(&self, part: Part, threads: u64) {
        self.0[part as usize].threads.fetch_max(threads, Ordering::Relaxed);
    }

    pub(super) fn spent(&self, part: Part, activity: Activity, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0[part as usize].nanos[activity as usize].fetch_add(nanos, Ordering::Relaxed);
    }

    fn time(&self, part: Part, activity: Activity) -> Duration {
        Duration::from_nanos(self.0[part as usize].nanos[activity as usize].load(Ordering::Relaxed))
    }

    /// What each part that took part did.
    fn stages(&self) -> Vec<StageReport> {
        let decompresses = self.0[Part::Decompressor as usize].threads.load(Ordering::Relaxed) > 0;
        let stage = |part: Part| {
            let threads = self.0[part as usize].threads.load(Ordering::Relaxed);
            let (starved, blocked) = (self.time(part, Activity::Starved), self.time(part, Activity::Blocked));
            let busy = self.time(part, Activity::Busy);
            let (busy, starved) = match part {
                // It counts all of its reading, waiting included; and without a decompressor it is the reader that the
                // source keeps waiting.
                Part::Reader if decompresses => (busy.saturating_sub(starved), starved),
                Part::Reader => {
                    let source = self.time(Part::Source, Activity::Busy);
                    (busy.saturating_sub(source), source.min(busy))
                }
                // Handing on is among what it does.
                Part::Assembly => (busy.saturating_sub(blocked), starved),
                _ => (busy, starved),
            };
            (threads > 0).then(|| StageReport {
                stage: part.name().to_owned(),
                threads,
                busy_seconds: busy.as_secs_f64(),
                starved_seconds: starved.as_secs_f64(),
                blocked_seconds: blocked.as_secs_f64(),
            })
        };
        PARTS.into_iter().filter_map(stage).collect()
    }
}

/// Notes what a thread does, from one thing to the next.
pub struct Laps<'a> {
    progress: &'a Progress,
    clock: &'a dyn Clock,
    part: Part,
    since: Instant,
}

impl<'a> Laps<'a> {
    /// Begins with what comes next.
    pub fn start(progress: &'a Progress, clock: &'a dyn Clock, part: Part) -> Self {
        Self { progress, clock, part, since: clock.instant() }
    }

    /// Notes what was done since the last time.
    pub fn then(&mut self, activity: Activity) {
        let now = self.clock.instant();
        self.progress.spent(self.part, activity, now - self.since);
        self.since = now;
    }
}

/// The account of a run that has lasted so long.
pub(super) fn report(
    sheets: &Timesheets,
    server: Vec<PhaseReport>,
    bottleneck: &str,
    elapsed: Duration,
) -> ProfileReport {
    let stages = sheets.stages();
    let advice = advice(bottleneck, &stages, &server, elapsed.as_secs_f64());
    ProfileReport { stages, server, advice }
}

/// What would help. The bottleneck says in its first words which part everybody waited for.
fn advice(bottleneck: &str, stages: &[StageReport], server: &[PhaseReport], elapsed: f64) -> String {
    let busy = |name: &str| {
        let stage = stages.iter().find(|stage| stage.stage == name);
        stage.map_or(0.0, |stage| stage.busy_seconds / as_float(stage.threads.max(1)) / elapsed.max(f64::EPSILON))
    };
    let part = bottleneck.split(':').next().unwrap_or_default();
    let before = [("source", busy("source")), ("decompressor", busy("decompressor")), ("reader", busy("reader"))];
    let (slowest, _) = before.into_iter().fold(("", 0.0), |most, next| if next.1 > most.1 { next } else { most });
    match (part, slowest) {
        ("the spool", _) => "a faster disk under --spool, or --spool-size none, which keeps a stream in memory only",
        ("the target", _) => of_server(server),
        ("encoding and compressing", _) => {
            "more cores, or less work for each row: --compression lz4 or none, --wire csv, CSV files that are relayed as they are"
        }
        ("reading and parsing", "source") => "a faster disk, or whoever writes the stream",
        ("reading and parsing", "decompressor") => {
            "several compressed parts in each file (bgzip, pbzip2, pzstd), which are decompressed side by side, or zstd or lz4 in place of \
             gzip, bzip2 or xz"
        }
        ("reading and parsing", _) => "several inputs in several imports side by side: one input is read by one thread",
        _ => "nothing in particular",
    }
    .to_owned()
}

/// What would help a server that everybody waits for, by what it says of its own time.
fn of_server(server: &[PhaseReport]) -> &'static str {
    let most = server.iter().filter(|phase| phase.phase != "LoadTimeMs").max_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let phase =
        most.filter(|phase| phase.seconds > 0.0).map(|phase| phase.phase.to_ascii_lowercase()).unwrap_or_default();
    match phase.as_str() {
        "begintxntimems" | "streamloadputtimems" | "streamloadplantimems" => {
            "fewer and larger loads (--load-size): the frontend takes most of the time to begin and plan them"
        }
        "readdatatimems" | "receiveddatatimems" => {
            "a faster network, or --compression zstd or lz4: the server spends most of its time waiting for bytes"
        }
        "writedatatimems" => {
            "more backends, disks or buckets, or a higher --parallel: the server spends most of its time parsing and writing rows"
        }
        "commitandpublishtimems" => {
            "fewer and larger loads (--load-size): the server spends most of its time making loads visible"
        }
        _ => {
            "a look at the server's load (shipload cluster metrics), a higher --parallel, or --compression on a slow network"
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share of a run")]
fn as_float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::HandClock;

    const SECOND: Duration = Duration::from_secs(1);

    fn of(progress: &Progress) -> ProfileReport {
        progress.profile(SECOND * 10)
    }

    #[test]
    fn laps_count_towards_what_was_done_in_them() {
        let (progress, clock) = (Progress::default(), HandClock::default());
        progress.employ(Part::Workers, 2);
        let mut laps = Laps::start(&progress, &clock, Part::Workers);
        for (seconds, activity) in
            [(1, Activity::Starved), (3, Activity::Busy), (2, Activity::Blocked), (4, Activity::Busy)]
        {
            // Whoever sleeps on it turns it; nobody has to wait for that.
            drop(clock.sleep(SECOND * seconds));
            laps.then(activity);
        }
        let profile = of(&progress);
        let [workers] = &profile.stages[..] else { panic!("{profile:?}") };
        assert_eq!((workers.stage.as_str(), workers.threads), ("workers", 2));
        let seconds = [workers.busy_seconds, workers.starved_seconds, workers.blocked_seconds];
        assert_eq!(format!("{seconds:?}"), "[7.0, 1.0, 2.0]");
    }

    #[test]
    fn what_a_part_waits_for_within_its_work_is_not_its_work() {
        let progress = Progress::default();
        for part in [Part::Source, Part::Reader, Part::Assembly] {
            progress.employ(part, 1);
            progress.spent(part, Activity::Busy, SECOND * if part == Part::Source { 2 } else { 5 });
        }
        progress.spent(Part::Assembly, Activity::Blocked, SECOND * 4);
        let stages = of(&progress).stages;
        assert_eq!(
            (stages[1].busy_seconds, stages[1].starved_seconds),
            (3.0, 2.0),
            "the source keeps the reader waiting"
        );
        assert_eq!((stages[2].busy_seconds, stages[2].blocked_seconds), (1.0, 4.0));
        // With a decompressor, that one keeps the reader waiting, and the source that one.
        progress.employ(Part::Decompressor, 1);
        progress.spent(Part::Reader, Activity::Starved, SECOND);
        let stages = of(&progress).stages;
        assert_eq!((stages[2].busy_seconds, stages[2].starved_seconds), (4.0, 1.0));
    }

    #[test]
    fn each_limit_has_its_advice() {
        use super::super::Stage;
        for (stage, part, words) in [
            (Stage::Spool, Part::Spool, "disk under --spool"),
            (Stage::Encoder, Part::Workers, "more cores"),
            (Stage::Reader, Part::Source, "faster disk"),
            (Stage::Reader, Part::Decompressor, "several compressed parts"),
            (Stage::Reader, Part::Reader, "several inputs"),
        ] {
            let progress = Progress::default();
            progress.employ(part, 1);
            progress.spent(part, Activity::Busy, SECOND * 8);
            if stage == Stage::Spool {
                progress.waited_for(Stage::Target, SECOND * 8);
            }
            progress.waited_for(stage, SECOND * 8);
            assert!(of(&progress).advice.contains(words), "{part:?}: {}", of(&progress).advice);
        }
        assert_eq!(of(&Progress::default()).advice, "nothing in particular");
        for (phase, words) in [
            ("BeginTxnTimeMs", "begin and plan"),
            ("StreamLoadPlanTimeMs", "begin and plan"),
            ("ReadDataTimeMs", "faster network"),
            ("WriteDataTimeMs", "more backends"),
            ("CommitAndPublishTimeMs", "visible"),
            ("LoadTimeMs", "a look at the server"),
        ] {
            let progress = Progress::default();
            progress.waited_for(Stage::Target, SECOND * 8);
            progress.served(&[(phase.to_owned(), 700), ("LoadTimeMs".to_owned(), 900)]);
            let profile = of(&progress);
            assert!(profile.advice.contains(words), "{phase}: {}", profile.advice);
            assert!(profile.server.iter().any(|report| report.phase == phase && report.seconds > 0.6), "{phase}");
        }
    }
}
