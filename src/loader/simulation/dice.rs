//! [`Dice`]: numbers that only look random, so that a seed can be played again.

/// A stream of numbers that follows from where it starts (`SplitMix64`).
#[derive(Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// Those of a seed that belong to one thing alone: whatever else is drawn, and in which order, does not change them.
    pub(super) fn of(seed: u64, thing: &str) -> Self {
        Self(
            thing
                .bytes()
                .fold(mixed(seed), |state, byte| mixed(state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)),
        )
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// From the first to the last, both among them.
    pub(super) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True once in so many times, on average; never for 0.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        times > 0 && self.below(times) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()].clone()
    }
}

/// The bits of a number, well stirred.
pub(super) fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
