//! The seeds that are played: those of `cargo test`, and as many as somebody asks for.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::world::{self, Figures};

/// What the environment may ask for: `seeds` or `seeds:first`. One seed alone tells all that happens.
const SIZE: &str = "SHIPLOAD_TEST_SIMULATION";

/// Seeds of `cargo test`.
const SEEDS: u64 = 10_000;

/// Seeds beyond them that have found something: two machines that found each other in the way time after time; a load that
/// was rolled back after the decision and noted as such by `cancel`; a label that was forgotten while a cancel asked for it.
const FOUND: &[u64] = &[14361, 15974, 24294, 28274, 28886, 32110, 55235];

/// Seeds that are played twice.
const SAME_SEEDS: u64 = 200;

/// After so many failures nobody needs another one.
const FAILURES_MAX: usize = 5;

struct Size {
    seeds: u64,
    first: u64,
}

#[expect(clippy::disallowed_methods, reason = "how long to run is the test's business, not the program's")]
fn size() -> Size {
    let Ok(text) = std::env::var(SIZE) else { return Size { seeds: SEEDS, first: 1 } };
    let mut parts = text.split(':').map(|part| part.parse().expect("a number of seeds, and behind a colon the first"));
    Size { seeds: parts.next().unwrap_or(SEEDS), first: parts.next().unwrap_or(1) }
}

#[test]
#[expect(clippy::print_stderr, reason = "the figures of a run, for whoever asks for them with --nocapture")]
fn no_seed_breaks_a_promise() {
    let size = size();
    let tell = size.seeds == 1;
    let next = AtomicU64::new(0);
    let total = Mutex::new(Figures::default());
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while failures.lock().unwrap().len() < FAILURES_MAX {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= size.seeds {
                        return;
                    }
                    let seed = size.first + at;
                    let played = world::play(seed, None, tell);
                    for line in &played.told {
                        eprintln!("{line}");
                    }
                    match played.result {
                        Ok(figures) => total.lock().unwrap().add(&figures),
                        Err(broken) => {
                            let again = format!("{SIZE}=1:{seed} cargo test --lib no_seed_breaks -- --nocapture");
                            failures.lock().unwrap().push(format!("seed {seed}: {broken}\nagain: {again}"));
                        }
                    }
                }
            });
        }
    });
    eprintln!("all from seed {}: {:?}", size.first, total.lock().unwrap());
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn seeds_that_have_found_something_find_nothing_any_more() {
    for seed in FOUND {
        assert!(world::play(*seed, None, false).result.is_ok(), "{SIZE}=1:{seed}");
    }
}

#[test]
fn a_seed_plays_the_same_whenever_it_is_played() {
    for seed in 1..=size().seeds.min(SAME_SEEDS) {
        let (first, second) = (world::play(seed, None, false), world::play(seed, None, false));
        assert_eq!(first.trace, second.trace, "seed {seed}");
    }
}
