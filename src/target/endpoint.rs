//! Which frontend to ask next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::breaker::Breaker;
use super::url::Address;

/// The frontends of a target, and which of them answer.
///
/// Requests go around, so that several frontends share the work of many loads.
pub(super) struct Frontends {
    addresses: Vec<Address>,
    next: AtomicUsize,
    /// Whether each is worth asking; written by whoever asks.
    breakers: Mutex<Vec<Breaker>>,
}

impl Frontends {
    pub(super) fn new(addresses: Vec<Address>) -> Self {
        let breakers = Mutex::new(vec![Breaker::default(); addresses.len()]);
        Self { addresses, next: AtomicUsize::new(0), breakers }
    }

    pub(super) fn all(&self) -> &[Address] {
        &self.addresses
    }

    /// Every frontend once, in the order to try them now.
    pub(super) fn order(&self, now: Instant) -> Vec<usize> {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let rests = breakers.iter().map(|breaker| !breaker.admits(now)).collect::<Vec<_>>();
        let order = order(self.next.fetch_add(1, Ordering::Relaxed), &rests);
        // Only the first is sure to be asked; the others are when it is silent.
        if let Some(first) = order.first().filter(|first| !rests[**first]) {
            breakers[*first].asked(now);
        }
        order
    }

    /// Notes whether a frontend answered just now.
    pub(super) fn note(&self, index: usize, answered: bool, now: Instant) {
        let breaker = &mut self.breakers.lock().unwrap_or_else(PoisonError::into_inner)[index];
        if answered {
            breaker.answered();
        } else {
            breaker.silent(now);
        }
    }
}

/// All indices once: those that answer, going around from `start`; behind them, as a last resort, the resting ones.
fn order(start: usize, rests: &[bool]) -> Vec<usize> {
    let around = (0..rests.len()).map(|step| (start % rests.len() + step) % rests.len());
    let (silent, answering): (Vec<_>, Vec<_>) = around.partition(|index| rests[*index]);
    [answering, silent].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::target::breaker::REST_MIN;
    use crate::target::url::Scheme;

    #[test]
    fn frontends_take_turns_and_resting_ones_come_last() {
        for (start, rests, expected) in [
            (0, vec![false, false, false], vec![0, 1, 2]),
            (4, vec![false, false, false], vec![1, 2, 0]),
            (1, vec![false, true, false], vec![2, 0, 1]),
            (0, vec![true, true], vec![0, 1]),
            (usize::MAX, vec![false], vec![0]),
        ] {
            assert_eq!(order(start, &rests), expected);
        }
    }

    #[test]
    fn a_silent_frontend_is_passed_over_for_a_while() {
        let address = |host: &str| Address { scheme: Scheme::Http, host: host.into(), port: 1 };
        let frontends = Frontends::new(vec![address("a"), address("b")]);
        let now = SystemClock.instant();
        frontends.note(0, false, now);
        assert_eq!(frontends.order(now), [1, 0]);
        assert_eq!(frontends.order(now), [1, 0]);
        let later = now + REST_MIN;
        assert_eq!(frontends.order(later), [0, 1], "one request may find out");
        assert_eq!(frontends.order(later), [1, 0], "and the others keep away");
        frontends.note(0, true, later);
        frontends.note(1, false, later);
        assert_eq!(frontends.order(later), [0, 1]);
        assert_eq!(frontends.order(later), [0, 1]);
        frontends.note(1, true, later);
        assert_eq!(frontends.order(later), [0, 1]);
        assert_eq!(frontends.order(later), [1, 0], "they take turns again");
    }
}
