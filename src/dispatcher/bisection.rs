//! [`Bisection`]: which parts of a refused load to send, until every row of it is either loaded or known to be refused.
//! Pure: outcomes go in, the next part comes out.
//!
//! ```text
//!            0…8 refused                         the halves of what is refused, again and again; a refused
//!           ╱          ╲                         part of one row is a rejected row
//!      0…4 refused    4…8 loaded
//!      ╱       ╲
//!  0…2 loaded  2…4 not sent: row 3 is known      a row that the server names spares the parts around it
//!              ╱  ╲
//!       2…3 loaded  3…4 rejected
//! ```
//!
//! Where a part begins and ends follows from the number of rows alone. What the server names only decides which parts need
//! not be tried; those that are loaded in the end are the same ones with and without its help: the largest parts without a
//! refused row. So a label that names a load and a part of it stands for the same rows in every attempt (LABEL-1), also
//! when an attempt hears more than the one before it.
//!
//! For `b` refused rows among `n`, at most `2·b·⌈log₂ n⌉` parts are sent.

use std::collections::BTreeSet;
use std::ops::Range;

/// Rows of a load, by their number in it.
pub(super) type Part = Range<u64>;

/// The search for the refused rows of one load.
#[derive(Debug)]
pub(super) struct Bisection {
    /// Parts of which nothing is decided, the next one last.
    open: Vec<Part>,
    /// The part that is under way.
    sent: Option<Part>,
    /// Rows that are known to be refused because the server named them.
    named: BTreeSet<u64>,
}

impl Bisection {
    /// Of a load of so many rows, of which nothing is known.
    pub(super) fn new(rows: u64) -> Self {
        let all: Part = 0..rows;
        Self { open: Vec::from([all]), sent: None, named: BTreeSet::new() }
    }

    /// The next part to send; none when everything is decided.
    pub(super) fn next(&mut self) -> Option<Part> {
        assert!(self.sent.is_none(), "one part after the other");
        while let Some(part) = self.open.pop() {
            match self.named.range(part.clone()).count() as u64 {
                0 => {
                    self.sent = Some(part.clone());
                    return Some(part);
                }
                known if known == part.end - part.start => {}
                _ => self.halve(&part),
            }
        }
        None
    }

    /// The part that is under way is loaded.
    pub(super) fn loaded(&mut self) {
        self.sent.take().expect("a part is under way");
    }

    /// The part that is under way is refused, because of these rows at least, if any are named, and perhaps of others.
    /// Rows outside of it are none of its.
    pub(super) fn refused(&mut self, named: impl IntoIterator<Item = u64>) {
        let part = self.sent.take().expect("a part is under way");
        let before = self.named.len();
        self.named.extend(named.into_iter().filter(|row| part.contains(row)));
        if self.named.len() == before {
            self.halve(&part);
        } else {
            // What is known decides whether it is halved.
            self.open.push(part);
        }
    }

    /// Every row of the part that is under way is refused.
    pub(super) fn all_refused(&mut self) {
        self.sent.take().expect("a part is under way");
    }

    fn halve(&mut self, part: &Part) {
        assert!(part.end - part.start > 1, "a part of one row is decided by its outcome");
        let middle = part.start + (part.end - part.start) / 2;
        self.open.push(middle..part.end);
        self.open.push(part.start..middle);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a server does to a load in which these rows are bad, naming some of them.
    struct Played {
        loaded: Vec<Part>,
        found: BTreeSet<u64>,
        sends: u64,
    }

    /// `hint` says how many of the refused rows of a part are named, and whether it says when all are.
    fn play(rows: u64, bad: &BTreeSet<u64>, mut hint: impl FnMut() -> (usize, bool)) -> Played {
        let mut bisection = Bisection::new(rows);
        let mut played = Played { loaded: Vec::new(), found: BTreeSet::new(), sends: 0 };
        while let Some(part) = bisection.next() {
            played.sends += 1;
            let inside: Vec<u64> = bad.range(part.clone()).copied().collect();
            if inside.is_empty() {
                played.loaded.push(part);
                bisection.loaded();
                continue;
            }
            let (count, says_all) = hint();
            let rows_in_part = part.end - part.start;
            let found: Vec<u64> = if rows_in_part == 1 || (says_all && inside.len() as u64 == rows_in_part) {
                bisection.all_refused();
                inside
            } else {
                let named: Vec<u64> = inside.into_iter().take(count).collect();
                bisection.refused(named.iter().copied());
                named
            };
            for row in found {
                assert!(played.found.insert(row), "row {row} is found twice");
            }
        }
        played
    }

    fn check(rows: u64, bad: &BTreeSet<u64>, played: &Played) {
        assert_eq!(played.found, *bad);
        // In the order of the rows, and each once.
        let loaded: Vec<u64> = played.loaded.iter().flat_map(Clone::clone).collect();
        let good: Vec<u64> = (0..rows).filter(|row| !bad.contains(row)).collect();
        assert_eq!(loaded, good);
        let levels = u64::from(rows.next_power_of_two().trailing_zeros());
        assert!(played.sends <= 1 + 2 * bad.len() as u64 * levels, "{} sends for {bad:?} of {rows}", played.sends);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
        #[test]
        fn any_set_of_bad_rows_is_found_and_each_good_row_loaded_once(
            rows in 1_u64..300,
            bad in proptest::collection::btree_set(0_u64..300, 0..40),
            named in proptest::collection::vec((0_usize..60, any::<bool>()), 1..20),
        ) {
            let bad: BTreeSet<u64> = bad.into_iter().filter(|row| *row < rows).collect();
            let silent = play(rows, &bad, || (0, false));
            check(rows, &bad, &silent);
            let mut hints = named.iter().cycle();
            let helped = play(rows, &bad, || *hints.next().expect("it goes round"));
            check(rows, &bad, &helped);
            prop_assert_eq!(&helped.loaded, &silent.loaded, "what is loaded does not depend on what is named");
            prop_assert!(helped.sends <= silent.sends);
        }
    }

    #[test]
    fn one_row_of_a_hundred_thousand_takes_as_many_parts_as_it_has_halvings() {
        let bad = BTreeSet::from([77_777]);
        assert_eq!(play(100_000, &bad, || (0, false)).sends, 1 + 2 * 17);
        // Named at once, only what is loaded is sent.
        assert_eq!(play(100_000, &bad, || (1, false)).sends, 1 + 17);
    }

    #[test]
    fn a_load_that_is_refused_whole_is_not_taken_apart() {
        let bad: BTreeSet<u64> = (0..1000).collect();
        assert_eq!(play(1000, &bad, || (50, true)).sends, 1);
    }
}
