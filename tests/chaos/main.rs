//! Loader and sandbox as real processes, killed at any moment and under faults, until the import is done; and then every
//! row is in the table once.
//!
//! A round follows from its seed: what is loaded and how, what the sandbox does wrong, and who is killed when. The
//! machine's own timing does not, so a round that failed may have to be played a few times to fail again.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without ends it")]

mod dice;
mod faults;
mod input;
mod place;
mod round;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use round::Figures;

/// What the environment may ask for: `rounds`, `rounds:seed` or `rounds:seed:workers`.
const SIZE: &str = "SHIPLOAD_TEST_CHAOS";

/// Rounds of `cargo test`, small ones.
const ROUNDS: u64 = 6;

/// Rounds side by side. They wait more than they compute.
const WORKERS: u64 = 4;

/// After so many failures nobody needs another one.
const FAILURES_MAX: usize = 10;

/// How much is to be done.
struct Size {
    rounds: u64,
    seed: u64,
    workers: u64,
    /// Bigger inputs, and faults that take their time.
    long: bool,
}

#[expect(clippy::disallowed_methods, reason = "how long to run is the test's business, not the program's")]
fn size() -> Size {
    let Ok(text) = std::env::var(SIZE) else { return Size { rounds: ROUNDS, seed: 1, workers: WORKERS, long: false } };
    let number = |part: &str| part.parse::<u64>().expect("a number of rounds, and behind colons a seed and workers");
    let mut parts = text.split(':').map(number);
    let rounds = parts.next().unwrap_or(ROUNDS);
    Size { rounds, seed: parts.next().unwrap_or(1), workers: parts.next().unwrap_or(WORKERS), long: true }
}

#[test]
#[expect(clippy::print_stderr, reason = "the figures of a run, for whoever asks for them with --nocapture")]
fn every_row_is_loaded_once_whoever_is_killed_and_when() {
    let size = size();
    let next = AtomicU64::new(0);
    let total = Mutex::new(Figures::default());
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..size.workers {
            scope.spawn(|| {
                while failures.lock().unwrap().len() < FAILURES_MAX {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= size.rounds {
                        return;
                    }
                    let seed = size.seed + at;
                    let played = catch_unwind(AssertUnwindSafe(|| round::play(seed, size.long)));
                    match played.unwrap_or_else(|_| Err("the round itself broke off; its reason is above".to_owned())) {
                        Ok(figures) => {
                            let mut total = total.lock().unwrap();
                            total.add(&figures);
                            eprintln!("seed {seed}: {figures:?}");
                        }
                        Err(what) => {
                            let replay = if size.long { format!("{SIZE}=1:{seed} ") } else { String::new() };
                            let failure = format!("seed {seed}: {what}\nagain: {replay}cargo test --test chaos");
                            eprintln!("{failure}");
                            failures.lock().unwrap().push(failure);
                        }
                    }
                }
            });
        }
    });
    eprintln!("all from seed {}: {:?}", size.seed, total.lock().unwrap());
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
