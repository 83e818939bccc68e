//! [`Turns`]: whose turn it is among jobs that share one memory. Pure.
//!
//! Jobs into one target begin in the order in which they came. Among targets, the one that holds the least goes first. A
//! target that holds something already leaves room for a job of one that holds nothing: a target that stalls keeps what it
//! has, and the others go on. A job that was passed over often because it needs much keeps those from beginning that would
//! pass it once more, so that small jobs do not starve a large one.

use std::collections::{BTreeMap, BTreeSet};

/// What there is to share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Bytes of memory.
    pub bytes: u64,
    /// Jobs at work at one time.
    pub running: usize,
    /// What stays free of a target's for others; 0 where there are no others.
    pub reserve: u64,
}

/// What a job asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The target it loads into.
    pub target: String,
    /// Jobs that this target may have at work.
    pub target_max: usize,
    /// Bytes of memory.
    pub bytes: u64,
}

/// How often a job may be passed over before those behind it wait for it.
const PASSES_MAX: u32 = 16;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    jobs: usize,
    bytes: u64,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    claim: Claim,
    passed: u32,
}

/// Who waits, and what those at work hold.
#[derive(Debug)]
pub(super) struct Turns {
    shares: Shares,
    held: BTreeMap<String, Held>,
    waiting: Vec<Waiting>,
}

impl Turns {
    pub(super) fn new(shares: Shares) -> Self {
        Self { shares, held: BTreeMap::new(), waiting: Vec::new() }
    }

    /// Shares out something else from now on; what is held is held.
    pub(super) fn share(&mut self, shares: Shares) {
        self.shares = shares;
    }

    pub(super) fn wait(&mut self, number: u64, claim: Claim) {
        self.waiting.push(Waiting { number, claim, passed: 0 });
    }

    /// Gives up waiting; says whether it was.
    pub(super) fn leave(&mut self, number: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.number != number);
        self.waiting.len() < before
    }

    /// Gives back what was held.
    pub(super) fn give_back(&mut self, claim: &Claim) {
        if let Some(held) = self.held.get_mut(&claim.target) {
            held.jobs -= 1;
            held.bytes -= claim.bytes;
            if held.jobs == 0 {
                self.held.remove(&claim.target);
            }
        }
    }

    /// Whoever may begin now, if somebody may; it holds its share from then on.
    pub(super) fn next(&mut self) -> Option<(u64, Claim)> {
        let index = self.choose()?;
        let Waiting { number, claim, .. } = self.waiting.remove(index);
        for earlier in &mut self.waiting[..index] {
            earlier.passed += 1;
        }
        let held = self.held.entry(claim.target.clone()).or_default();
        held.jobs += 1;
        held.bytes += claim.bytes;
        Some((number, claim))
    }

    fn choose(&self) -> Option<usize> {
        let mut seen = BTreeSet::new();
        // The first of each target, those first whose target holds the least.
        let mut first: Vec<(u64, usize)> = Vec::new();
        for (index, waiting) in self.waiting.iter().enumerate() {
            if seen.insert(&waiting.claim.target) {
                first.push((self.of(&waiting.claim.target).bytes, index));
            }
        }
        first.sort_unstable();
        let large = first.iter().map(|(_, index)| *index).find(|index| {
            let waiting = &self.waiting[*index];
            waiting.passed >= PASSES_MAX && self.of(&waiting.claim.target).jobs < waiting.claim.target_max
        });
        let passes = |index: usize| large.is_some_and(|large| large < index);
        let holds = |index: usize| self.of(&self.waiting[index].claim.target).jobs > 0;
        let candidates = first.into_iter().map(|(_, index)| index);
        candidates.into_iter().find(|index| self.fits(*index) && !(passes(*index) && holds(*index)))
    }

    fn fits(&self, index: usize) -> bool {
        let claim = &self.waiting[index].claim;
        let held = self.of(&claim.target);
        let used: u64 = self.held.values().map(|held| held.bytes).sum();
        let running: usize = self.held.values().map(|held| held.jobs).sum();
        let others = held.jobs > 0 && self.shares.reserve > 0;
        let reserve = if others { self.shares.reserve } else { 0 };
        let place = usize::from(others && self.shares.running > 1);
        held.jobs < claim.target_max
            && running + place < self.shares.running
            // What is alone may have everything: it could never begin otherwise.
            && (used + claim.bytes + reserve <= self.shares.bytes || running == 0)
    }

    fn of(&self, target: &str) -> Held {
        self.held.get(target).copied().unwrap_or_default()
    }

    /// Bytes that are held.
    pub(super) fn used(&self) -> u64 {
        self.held.values().map(|held| held.bytes).sum()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn running(&self) -> usize {
        self.held.values().map(|held| held.jobs).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(target: &str, bytes: u64) -> Claim {
        Claim { target: target.to_owned(), target_max: 8, bytes }
    }

    fn turns(bytes: u64, reserve: u64) -> Turns {
        Turns::new(Shares { bytes, running: 8, reserve })
    }

    fn begun(turns: &mut Turns) -> Vec<u64> {
        std::iter::from_fn(|| turns.next()).map(|(number, _)| number).collect()
    }

    #[test]
    fn one_target_goes_by_the_order_of_arrival_and_may_have_everything_where_it_is_the_only_one() {
        let mut turns = turns(30, 0);
        for number in 0..4 {
            turns.wait(number, claim("a", 10));
        }
        assert_eq!(begun(&mut turns), [0, 1, 2]);
        turns.give_back(&claim("a", 10));
        assert_eq!(begun(&mut turns), [3]);
    }

    #[test]
    fn a_target_that_stalls_leaves_room_for_the_others() {
        let mut turns = turns(40, 10);
        for number in 0..8 {
            turns.wait(number, claim("stalled", 10));
        }
        assert_eq!(begun(&mut turns), [0, 1, 2]);
        turns.wait(8, claim("b", 10));
        turns.wait(9, claim("b", 10));
        assert_eq!(begun(&mut turns), [8], "its second one would take what is kept free");
        turns.give_back(&claim("b", 10));
        assert_eq!(begun(&mut turns), [9], "the stalled one does not take it either");
    }

    #[test]
    fn a_target_that_holds_less_goes_first_and_none_passes_its_own_limit() {
        let mut turns = turns(100, 10);
        turns.wait(0, claim("a", 10));
        turns.wait(1, claim("a", 10));
        turns.wait(2, claim("b", 10));
        assert_eq!(begun(&mut turns), [0, 2, 1]);
        turns.wait(3, Claim { target_max: 2, ..claim("a", 10) });
        turns.wait(4, claim("b", 10));
        assert_eq!(begun(&mut turns), [4]);
    }

    #[test]
    fn places_are_kept_free_as_memory_is() {
        let mut turns = Turns::new(Shares { bytes: 1000, running: 3, reserve: 1 });
        for number in 0..4 {
            turns.wait(number, claim("a", 1));
        }
        assert_eq!(begun(&mut turns), [0, 1]);
        turns.wait(9, claim("b", 1));
        assert_eq!(begun(&mut turns), [9]);
    }

    #[test]
    fn a_large_job_is_not_passed_over_for_ever() {
        let mut turns = turns(100, 10);
        turns.wait(0, claim("a", 10));
        turns.wait(1, claim("b", 10));
        assert_eq!(begun(&mut turns).len(), 2);
        turns.wait(2, claim("large", 95));
        let mut passed = 0;
        for number in 3..200 {
            turns.wait(number, claim("a", 10));
            let now = begun(&mut turns);
            passed += now.len();
            if now.is_empty() {
                break;
            }
            turns.give_back(&claim("a", 10));
        }
        assert!((1..=20).contains(&passed), "{passed}");
        turns.give_back(&claim("a", 10));
        turns.give_back(&claim("b", 10));
        let mut rest = begun(&mut turns);
        rest.truncate(1);
        assert_eq!(rest, [2]);
    }

    #[test]
    fn who_is_alone_may_begin_however_much_it_asks_for() {
        let mut turns = turns(10, 5);
        turns.wait(0, claim("a", 99));
        assert_eq!(begun(&mut turns), [0]);
        assert!(!turns.leave(0), "it does not wait any more");
    }

    proptest! {
        #[test]
        fn nobody_starves_and_nothing_is_shared_out_twice(
            claims in prop::collection::vec((0..4_usize, 1..=40_u64), 1..60),
            order in any::<prop::sample::Index>(),
        ) {
            let mut turns = turns(100, 20);
            let mut at_work: Vec<Claim> = Vec::new();
            let mut done = 0;
            for (number, (target, bytes)) in claims.iter().enumerate() {
                turns.wait(number as u64, claim(["a", "b", "c", "d"][*target], *bytes));
                while let Some((_, claim)) = turns.next() {
                    at_work.push(claim);
                }
                prop_assert!(turns.used() <= 100 && turns.running() <= 8);
                prop_assert_eq!(turns.used(), at_work.iter().map(|claim| claim.bytes).sum::<u64>());
            }
            while !at_work.is_empty() {
                let ended = at_work.swap_remove(order.index(at_work.len()));
                turns.give_back(&ended);
                done += 1;
                while let Some((_, claim)) = turns.next() {
                    at_work.push(claim);
                }
                prop_assert!(turns.used() <= 100 && turns.running() <= 8);
            }
            prop_assert_eq!(done, claims.len());
        }
    }
}
