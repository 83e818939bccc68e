//! [`Bar`]: what is happening, live on a terminal and now and then in a log.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::sync::Arc;
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

/// Shows a job's counters on stderr until it is finished.
pub(in crate::cli) struct Bar {
    stop: oneshot::Sender<()>,
    shown: JoinHandle<()>,
}

impl Bar {
    /// Starts to show.
    pub(in crate::cli) fn start(progress: Arc<Progress>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let shown = tokio::spawn(show(progress, stopped));
        Self { stop, shown }
    }

    /// Takes the bar away.
    pub(in crate::cli) async fn finish(self) {
        let _ = self.stop.send(());
        let _ = self.shown.await;
    }
}

async fn show(progress: Arc<Progress>, mut stopped: oneshot::Receiver<()>) {
    let bar = io::stderr().is_terminal().then(|| bar(Progress::read(&progress.bytes_total)));
    let every = if bar.is_some() { REDRAW_EVERY } else { LINE_EVERY };
    let started = Instant::now();
    let mut ticks = interval_at(started + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            _ = ticks.tick() => {}
        }
        let text = words(&progress, started.elapsed());
        match &bar {
            Some(bar) => {
                bar.set_length(Progress::read(&progress.bytes_total));
                bar.set_position(Progress::read(&progress.bytes_read));
                bar.set_message(text);
            }
            None => line(&format!("progress: {text}")),
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}

fn bar(bytes_total: u64) -> ProgressBar {
    // A stream has no end to measure against.
    let template = if bytes_total == 0 {
        "{spinner} {binary_bytes} {msg}"
    } else {
        "{bar:24} {percent:>3}% of {binary_total_bytes}, ETA {eta} {msg}"
    };
    let style = ProgressStyle::with_template(template).expect("the template is a constant");
    ProgressBar::new(bytes_total).with_style(style)
}

fn words(progress: &Progress, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    #[expect(clippy::cast_precision_loss, reason = "shown rounded")]
    let per_second = |count: u64| count as f64 / seconds;
    let rows = Progress::read(&progress.rows_read);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive rate, shown rounded")]
    let rows_per_second = per_second(rows) as u64;
    let mut text = format!(
        "{} rows read, {} rows/s, {:.1} MB/s, {} loaded, {} in flight",
        grouped(rows),
        grouped(rows_per_second),
        per_second(Progress::read(&progress.bytes_read)) / 1e6,
        grouped(Progress::read(&progress.rows_loaded)),
        Progress::read(&progress.loads_in_flight),
    );
    let rejected = Progress::read(&progress.rows_rejected);
    if rejected > 0 {
        let _ = write!(text, ", {} rejected", grouped(rejected));
    }
    let failed = Progress::read(&progress.attempts_failed);
    if failed > 0 {
        let _ = write!(text, ", {failed} failed attempts");
    }
    let sent = ByteCount(Progress::read(&progress.bytes_sent));
    let _ = write!(text, ", {sent} sent; waits for {}", progress.bottleneck(elapsed));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_tell_rates_and_trouble() {
        let progress = Progress::default();
        Progress::add(&progress.rows_read, 5_000);
        Progress::add(&progress.rows_rejected, 2);
        let text = words(&progress, Duration::from_secs(2));
        assert!(text.starts_with("5,000 rows read, 2,500 rows/s"), "{text}");
        assert!(text.contains("2 rejected"), "{text}");
    }
}
