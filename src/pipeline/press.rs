//! [`Press`]: which codec the next chunk goes through.
//!
//! With `--compression auto` a job begins as [`Press::auto`] is told to, and looks again before every chunk: the first one shows what
//! one core makes of the text with each codec, and the loads show how many bytes per second get through to the target, compressed
//! or not. [`decide`] weighs them, and is pure. What a chunk holds is settled before, on its text, so that any attempt of
//! any run may choose as it likes (LABEL-1).

use std::io::Write as _;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::clock::Clock;
use crate::compressor::Compressor;
use crate::model::report::CompressionReport;
use crate::model::{Chunk, Codec};
use crate::telemetry::Progress;

/// How much text each codec is tried on: enough for its tables to fill, and a few milliseconds of work.
const TRIAL_BYTES: usize = 1 << 20;

/// A codec that costs more has to bring this many times the throughput: measurements differ by less from one load to the
/// next, and the cores have other work as well.
const GAIN_MIN: f64 = 1.2;

/// What is tried, the cheapest first. gzip is slower than zstd at a worse ratio; only a server without the others is sent it, when asked to.
const TRIED: [Codec; 2] = [Codec::Lz4, Codec::Zstd];

/// Chooses codecs; clones choose together.
#[derive(Clone, Debug)]
pub struct Press(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    codec: Codec,
    reason: String,
    /// None where the choice is not ours.
    trials: Option<Trials>,
}

#[derive(Debug)]
enum Trials {
    ToDo,
    Done(Vec<Trial>),
}

/// What one core makes of the text with a codec.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Trial {
    codec: Codec,
    /// Bytes of text per second.
    speed: f64,
    /// How many times smaller it becomes.
    ratio: f64,
}

impl Press {
    /// Always the same codec.
    #[must_use]
    pub fn fixed(codec: Codec, reason: &str) -> Self {
        Self(Arc::new(Mutex::new(State { codec, reason: reason.to_owned(), trials: None })))
    }

    /// This codec until enough is known to choose one.
    #[must_use]
    pub fn auto(codec: Codec, reason: &str) -> Self {
        Self(Arc::new(Mutex::new(State { codec, reason: reason.to_owned(), trials: Some(Trials::ToDo) })))
    }

    /// What was chosen last, and why.
    #[must_use]
    pub fn report(&self) -> CompressionReport {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        CompressionReport { codec: state.codec.name().to_owned(), reason: state.reason.clone() }
    }

    /// The codec for this chunk, which is not compressed yet.
    pub(super) fn codec(&self, chunk: &Chunk, progress: &Progress, clock: &dyn Clock) -> Codec {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let codec = state.codec;
        let Some(trials) = &mut state.trials else { return codec };
        if let Trials::ToDo = trials {
            *trials = Trials::Done(TRIED.into_iter().filter_map(|codec| try_out(codec, chunk, clock)).collect());
        }
        if let (Trials::Done(trials), Some(link)) = (trials, progress.drain_rate()) {
            let cores = thread::available_parallelism().map_or(1, NonZero::get);
            let (next, reason) = decide(link, cores, trials);
            if next != codec {
                tracing::debug!("compression {} instead of {}: {reason}", next.name(), codec.name());
            }
            (state.codec, state.reason) = (next, reason);
        }
        state.codec
    }
}

/// Compresses the start of a chunk; nothing where the clock does not tell how long that took.
fn try_out(codec: Codec, chunk: &Chunk, clock: &dyn Clock) -> Option<Trial> {
    let (mut compressor, mut text, start) = (Compressor::new(codec, Vec::new()), 0, clock.instant());
    for piece in &chunk.body {
        let piece = &piece[..piece.len().min(TRIAL_BYTES - text)];
        compressor.write_all(piece).ok()?;
        text += piece.len();
    }
    let body = compressor.finish().ok()?.len();
    let seconds = (clock.instant() - start).as_secs_f64();
    let (text, body) = (as_float(text), as_float(body.max(1)));
    (seconds > 0.0).then(|| Trial { codec, speed: text / seconds, ratio: text / body })
}

/// The cheapest codec that is about as good as the best, and why: text gets through as fast as the cores compress it, or as
/// the way to the target, which takes `link` bytes per second, takes what becomes of it.
fn decide(link: f64, cores: usize, trials: &[Trial]) -> (Codec, String) {
    let none = Trial { codec: Codec::None, speed: f64::INFINITY, ratio: 1.0 };
    let rate = |trial: &Trial| (trial.speed * as_float(cores)).min(link * trial.ratio);
    let all = || std::iter::once(&none).chain(trials);
    let best = all().map(rate).fold(0.0, f64::max);
    let chosen = all().find(|trial| rate(trial) * GAIN_MIN >= best).unwrap_or(&none);
    let rates: Vec<String> =
        all().map(|trial| format!("{:.0} MB/s with {}", rate(trial) / 1e6, trial.codec.name())).collect();
    let reason = format!("the target takes {:.0} MB/s: of text that is {}", link / 1e6, rates.join(", "));
    (chosen.codec, reason)
}

#[expect(clippy::cast_precision_loss, reason = "rates and ratios")]
fn as_float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::clock::SystemClock;
    use crate::model::{Origin, Origins, WireFormat};

    /// What one core does with `lineitem` as CSV.
    const TRIALS: [Trial; 2] = [
        Trial { codec: Codec::Lz4, speed: 300e6, ratio: 1.95 },
        Trial { codec: Codec::Zstd, speed: 180e6, ratio: 3.1 },
    ];

    #[test]
    fn the_slower_the_way_the_more_compression() {
        for (megabits, cores, wanted) in [
            (100.0, 1, Codec::Zstd),
            (100.0, 8, Codec::Zstd),
            (1_000.0, 4, Codec::Zstd),
            (10_000.0, 2, Codec::None),
            (10_000.0, 4, Codec::None),
            (40_000.0, 8, Codec::None),
        ] {
            let (codec, reason) = decide(megabits * 1e6 / 8.0, cores, &TRIALS);
            assert_eq!(codec, wanted, "{megabits} Mbit/s, {cores} cores: {reason}");
        }
        // One core compresses 300 MB/s to what 150 MB/s carry.
        assert_eq!(decide(150e6, 1, &TRIALS).0, Codec::Lz4);
    }

    #[test]
    fn what_is_a_little_better_is_not_worth_its_cost() {
        // 300 against 270.
        assert_eq!(decide(270e6, 1, &TRIALS).0, Codec::None);
        assert_eq!(decide(270e6, 4, &[]).0, Codec::None, "where nothing could be tried");
    }

    #[test]
    fn the_reason_says_what_was_measured() {
        let (_, reason) = decide(10e6, 2, &TRIALS);
        let rates = "10 MB/s with none, 20 MB/s with lz4, 31 MB/s with zstd";
        assert_eq!(reason, format!("the target takes 10 MB/s: of text that is {rates}"));
    }

    fn chunk(text: Vec<u8>) -> Chunk {
        let place = Origin { line: 1, byte: 0 };
        let text_bytes = text.len() as u64;
        Chunk {
            body: vec![Bytes::from(text)],
            body_bytes: text_bytes,
            text_bytes,
            rows: 1,
            digest: 0,
            format: WireFormat::Csv,
            codec: Codec::None,
            input: 0,
            from: place,
            to: place,
            origins: Origins::default(),
        }
    }

    #[test]
    fn a_job_changes_its_codec_when_the_loads_show_how_slow_the_way_is() {
        let (press, progress) = (Press::auto(Codec::Lz4, "to begin with"), Progress::default());
        let text = (0..100_000_u64).flat_map(|row| format!("{row},{}\n", row * 7919 % 1000).into_bytes()).collect();
        let chunk = chunk(text);
        assert_eq!(press.codec(&chunk, &progress, &SystemClock), Codec::Lz4, "nothing is known yet");
        assert_eq!(press.report().reason, "to begin with");
        progress.drained(100_000, Duration::from_secs(10), 2);
        assert_eq!(press.codec(&chunk, &progress, &SystemClock), Codec::Zstd, "20 kB/s");
        assert!(press.report().reason.starts_with("the target takes 0 MB/s:"), "{}", press.report().reason);
        // Faster than any core compresses.
        for _ in 0..50 {
            progress.drained(1 << 40, Duration::from_secs(1), 2);
        }
        assert_eq!(press.clone().codec(&chunk, &progress, &SystemClock), Codec::None);
    }

    #[test]
    fn a_codec_that_was_asked_for_stays() {
        let (press, progress) = (Press::fixed(Codec::Gzip, "asked for"), Progress::default());
        progress.drained(1, Duration::from_secs(10), 1);
        assert_eq!(press.codec(&chunk(b"1\n".to_vec()), &progress, &SystemClock), Codec::Gzip);
        assert_eq!(press.report(), CompressionReport { codec: "gzip".into(), reason: "asked for".into() });
    }
}
