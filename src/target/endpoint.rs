//! Which frontend to ask next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::url::Address;

/// How long a frontend that did not answer is passed over while another one is left. Long enough not to pay its timeout
/// with every load, short enough to use it again soon after a restart.
const REST: Duration = Duration::from_secs(30);

/// The frontends of a target, and which of them answer.
///
/// Requests go around, so that several frontends share the work of many loads.
pub(super) struct Frontends {
    addresses: Vec<Address>,
    next: AtomicUsize,
    /// Until when each is passed over; written by whoever finds one silent.
    resting: Mutex<Vec<Option<Instant>>>,
}

impl Frontends {
    pub(super) fn new(addresses: Vec<Address>) -> Self {
        let resting = Mutex::new(vec![None; addresses.len()]);
        Self { addresses, next: AtomicUsize::new(0), resting }
    }

    pub(super) fn all(&self) -> &[Address] {
        &self.addresses
    }

    /// Every frontend once, in the order to try them now.
    pub(super) fn order(&self, now: Instant) -> Vec<usize> {
        let resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let rests = resting.iter().map(|until| until.is_some_and(|until| until > now)).collect::<Vec<_>>();
        order(self.next.fetch_add(1, Ordering::Relaxed), &rests)
    }

    /// Notes whether a frontend answered just now.
    pub(super) fn note(&self, index: usize, answered: bool, now: Instant) {
        let until = if answered { None } else { Some(now + REST) };
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)[index] = until;
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
        let later = now + REST * 2;
        assert_eq!(frontends.order(later), [0, 1]);
        frontends.note(1, false, later);
        frontends.note(1, true, later);
        assert_eq!(frontends.order(later), [1, 0]);
    }
}
