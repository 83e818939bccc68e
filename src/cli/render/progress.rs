//! [`Bar`]: what is happening, live on a terminal and now and then in a log.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{grouped, line};
use crate::model::ByteCount;
use crate::telemetry::Progress;

/// How often a terminal is redrawn.
const REDRAW_EVERY: Duration = Duration::from_millis(100);

/// How often a log gets a line. Runs that are shorter leave none.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The bar that is on the screen, so that a line can be written above it.
static DRAWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Writes something while no bar is in its way.
pub(super) fn aside(write: impl FnOnce()) {
    let drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match drawn {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Shows a job's counters on stderr until it is finished.
pub(in crate::cli) struct Bar {
    stop: oneshot::Sender<()>,
    shown: JoinHandle<()>,
}

impl Bar {
    /// Starts to show a job that loads what it reads, or one that only reads.
    pub(in crate::cli) fn start(progress: Arc<Progress>, loads: bool) -> Self {
        let (stop, stopped) = oneshot::channel();
        let shown = tokio::spawn(show(progress, loads, stopped));
        Self { stop, shown }
    }

    /// Takes the bar away.
    pub(in crate::cli) async fn finish(self) {
        let _ = self.stop.send(());
        let _ = self.shown.await;
    }
}

async fn show(progress: Arc<Progress>, loads: bool, mut stopped: oneshot::Receiver<()>) {
    let terminal = io::stderr().is_terminal();
    let every = if terminal { REDRAW_EVERY } else { LINE_EVERY };
    let started = Instant::now();
    let mut ticks = interval_at(started + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            _ = ticks.tick() => {}
        }
        let elapsed = started.elapsed();
        if terminal {
            draw(&progress, loads, elapsed);
        } else {
            line(&format!("progress: {}, {}", rates(&progress, elapsed), counts(&progress, elapsed)));
        }
    }
    if let Some(bar) = DRAWN.lock().unwrap_or_else(PoisonError::into_inner).take() {
        bar.finish_and_clear();
    }
}

/// Draws the bar; the first time when it is known how much there is to read.
fn draw(progress: &Progress, loads: bool, elapsed: Duration) {
    let mut drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    let (rates, counts) = (rates(progress, elapsed), counts(progress, elapsed));
    match &*drawn {
        Some(bar) => {
            bar.set_prefix(rates);
            bar.set_message(counts);
        }
        None => *drawn = Some(bar(Progress::read(&progress.bytes_total)).with_prefix(rates).with_message(counts)),
    }
    if let Some(bar) = &*drawn {
        bar.set_position(done(progress, loads));
    }
}

fn bar(bytes_total: u64) -> ProgressBar {
    // A stream has no end to measure against. The second line is cut at the terminal's edge.
    let template = if bytes_total == 0 {
        "{spinner} {prefix}\n  {wide_msg}"
    } else {
        "{bar:20} {percent:>3}% of {binary_total_bytes}, ETA {eta}, {prefix}\n  {wide_msg}"
    };
    let style = ProgressStyle::with_template(template).expect("the template is a constant");
    ProgressBar::new(bytes_total).with_style(style)
}

/// How much of the inputs' bytes is done. Reading is one half of the work and landing the other: what has been read may
/// still wait in memory for a slow target.
fn done(progress: &Progress, loads: bool) -> u64 {
    let read = Progress::read(&progress.bytes_read);
    if !loads {
        return read;
    }
    let rows = Progress::read(&progress.rows_read);
    let settled = Progress::read(&progress.rows_loaded) + Progress::read(&progress.rows_rejected);
    #[expect(clippy::cast_precision_loss, reason = "shown rounded")]
    let landed = settled.min(rows) as f64 / rows.max(1) as f64;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a byte count, shown rounded"
    )]
    let done = (read as f64 * f64::midpoint(1.0, landed)) as u64;
    done
}

fn rates(progress: &Progress, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    #[expect(clippy::cast_precision_loss, reason = "shown rounded")]
    let per_second = |count: u64| count as f64 / seconds;
    let megabytes = per_second(Progress::read(&progress.bytes_read)) / 1e6;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive rate, shown rounded")]
    let rows = per_second(Progress::read(&progress.rows_read)) as u64;
    format!("{} rows/s, {megabytes:.1} MB/s", grouped(rows))
}

fn counts(progress: &Progress, elapsed: Duration) -> String {
    let in_flight = Progress::read(&progress.loads_in_flight);
    let rows = |counter| grouped(Progress::read(counter));
    let mut text = format!(
        "{} rows read, {} loaded, {in_flight} in flight",
        rows(&progress.rows_read),
        rows(&progress.rows_loaded)
    );
    if Progress::read(&progress.rows_rejected) > 0 {
        let _ = write!(text, ", {} rejected", rows(&progress.rows_rejected));
    }
    let spooled = Progress::read(&progress.bytes_spooled);
    if spooled > 0 {
        let _ = write!(text, ", {} in the spool", ByteCount(spooled));
    }
    let failed = Progress::read(&progress.attempts_failed);
    if failed > 0 {
        let word = if failed == 1 { "attempt" } else { "attempts" };
        let _ = write!(text, ", {} failed {word}", grouped(failed));
    }
    if let Some(slowest) = slowest(progress, in_flight, elapsed) {
        let _ = write!(text, "; slowest: {slowest}");
    }
    let sent = ByteCount(Progress::read(&progress.bytes_sent));
    let _ = write!(text, "; {sent} sent");
    text
}

/// The stage that the others wait for, in a word or two.
fn slowest(progress: &Progress, in_flight: u64, elapsed: Duration) -> Option<String> {
    let total = Progress::read(&progress.bytes_total);
    if in_flight > 0 && total > 0 && Progress::read(&progress.bytes_read) >= total {
        return Some("the target".to_owned());
    }
    let bottleneck = progress.bottleneck(elapsed);
    let stage = bottleneck.split(':').next().unwrap_or_default();
    (stage != "none").then(|| stage.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_tell_rates_and_trouble() {
        let progress = Progress::default();
        Progress::add(&progress.rows_read, 5_000);
        Progress::add(&progress.rows_rejected, 2);
        Progress::add(&progress.attempts_failed, 1);
        let elapsed = Duration::from_secs(2);
        assert_eq!(rates(&progress, elapsed), "2,500 rows/s, 0.0 MB/s");
        let counts = counts(&progress, elapsed);
        assert_eq!(counts, "5,000 rows read, 0 loaded, 0 in flight, 2 rejected, 1 failed attempt; 0 B sent");
    }

    #[test]
    fn what_is_read_is_half_done_until_it_has_landed() {
        let progress = Progress::default();
        assert_eq!(done(&progress, true), 0);
        Progress::add(&progress.bytes_read, 1000);
        Progress::add(&progress.rows_read, 10);
        assert_eq!((done(&progress, true), done(&progress, false)), (500, 1000));
        Progress::add(&progress.rows_loaded, 5);
        assert_eq!(done(&progress, true), 750);
        Progress::add(&progress.rows_loaded, 5);
        assert_eq!(done(&progress, true), 1000);
    }

    #[test]
    fn once_all_is_read_the_target_is_what_is_waited_for() {
        let progress = Progress::default();
        Progress::add(&progress.bytes_total, 9);
        Progress::add(&progress.loads_in_flight, 1);
        assert_eq!(slowest(&progress, 1, Duration::from_secs(1)), None);
        Progress::add(&progress.bytes_read, 9);
        assert_eq!(slowest(&progress, 1, Duration::from_secs(1)).as_deref(), Some("the target"));
    }
}
