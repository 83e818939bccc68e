//! That the simulation can fail: each mistake on purpose is found by some seed, as the promise that it breaks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::world;
use crate::model::invariant::{COMMIT_1, LABEL_1, OPEN_1, OTHERS_1, ROWS_1, TRUTH_1};
use crate::simulated::Mistake;

/// Seeds that are played for a mistake, at most.
const SEEDS_MAX: u64 = 3_000;

/// Plays the seed that found the mistake when this was written. Where the program has changed since, and another one finds
/// it, that is good enough; the message tells which, for `docs/simulation.md`.
#[track_caller]
fn finds(mistake: Mistake, promise: &str, seed: u64) {
    if breaks(mistake, promise, seed) {
        return;
    }
    let found = first(mistake, promise);
    assert_ne!(found, None, "no seed up to {SEEDS_MAX} finds {mistake:?} as {promise}");
    eprintln_found(mistake, found);
}

#[expect(clippy::print_stderr, reason = "for whoever brings the table of the page up to date")]
fn eprintln_found(mistake: Mistake, found: Option<u64>) {
    eprintln!("{mistake:?} is now found by seed {found:?}");
}

fn breaks(mistake: Mistake, promise: &str, seed: u64) -> bool {
    world::play(seed, Some(mistake), false).result.is_err_and(|broken| broken.promise == promise)
}

/// The first seed that finds a mistake.
fn first(mistake: Mistake, promise: &str) -> Option<u64> {
    let (next, found) = (AtomicU64::new(1), AtomicU64::new(u64::MAX));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > SEEDS_MAX || seed > found.load(Ordering::Relaxed) {
                        return;
                    }
                    if breaks(mistake, promise, seed) {
                        found.fetch_min(seed, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    Some(found.into_inner()).filter(|seed| *seed != u64::MAX)
}

#[test]
fn a_new_label_for_a_retry_doubles_rows() {
    finds(Mistake::NewLabelPerRetry, ROWS_1, 146);
}

#[test]
fn a_commit_before_the_decision_is_in_the_journal() {
    finds(Mistake::CommitBeforeDecision, COMMIT_1, 3);
}

#[test]
fn a_load_repeated_within_its_transaction_doubles_rows() {
    finds(Mistake::RepeatInTransaction, ROWS_1, 5);
}

#[test]
fn fail_taken_for_a_proof_that_nothing_was_applied() {
    finds(Mistake::TrustFail, TRUTH_1, 253);
}

#[test]
fn a_page_with_status_200_taken_for_a_success() {
    finds(Mistake::TrustStatus, ROWS_1, 17);
}

#[test]
fn counts_that_nobody_compares_hide_lost_rows() {
    finds(Mistake::TrustCounts, ROWS_1, 450);
}

#[test]
fn a_lost_answer_taken_for_a_success() {
    finds(Mistake::LostIsLoaded, ROWS_1, 54);
}

#[test]
fn a_lost_answer_taken_for_a_failure() {
    finds(Mistake::LostIsFailed, TRUTH_1, 1);
}

#[test]
fn a_forgotten_label_taken_for_a_new_one_doubles_rows() {
    finds(Mistake::ForgottenIsNew, ROWS_1, 173);
}

#[test]
fn work_that_takes_the_place_of_other_work_and_does_not_sweep() {
    finds(Mistake::NoSweep, OPEN_1, 730);
}

#[test]
fn a_rollback_that_is_believed() {
    finds(Mistake::TrustRollback, OPEN_1, 185);
}

#[test]
fn a_rollback_after_the_decision() {
    finds(Mistake::RollBackDecided, COMMIT_1, 524);
}

#[test]
fn a_load_that_the_journal_hears_of_later() {
    finds(Mistake::JournalAfterwards, OPEN_1, 1);
}

#[test]
fn a_rollback_of_what_somebody_else_has_under_the_label() {
    finds(Mistake::RollBackOthers, OTHERS_1, 49);
}

#[test]
fn a_load_that_is_open_taken_for_one_that_comes_to_nothing() {
    finds(Mistake::OpenIsAborted, TRUTH_1, 231);
}

#[test]
fn cuts_that_depend_on_the_time() {
    finds(Mistake::CutByTime, LABEL_1, 455);
}
