//! [`Weather`]: what kind of trouble a seed has, and whether it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::dice::Dice;

/// Cheap to share.
#[derive(Clone)]
pub(super) struct Weather(Arc<Climate>);

#[expect(clippy::struct_excessive_bools, reason = "each is a kind of trouble, and any of them go together")]
struct Climate {
    seed: u64,
    calm: AtomicBool,
    /// One request in so many meets a fault; none for 0.
    often: u64,
    /// Whether the server loses rows, or counts wrongly.
    lies: bool,
    /// Whether labels are forgotten soon.
    forgetful: bool,
    /// Whether a label in use is only told by words (SR §3.2).
    old_dialect: bool,
    /// Whether backends restart.
    restarts: bool,
    /// One write into the journal in so many fails; none for 0.
    disk_fails: u64,
}

impl Weather {
    pub(super) fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed, "weather");
        Self(Arc::new(Climate {
            seed,
            calm: AtomicBool::new(false),
            often: dice.pick(&[0, 3, 4, 6, 6, 10, 10, 25]),
            lies: dice.once_in(8),
            forgetful: dice.once_in(8),
            old_dialect: dice.once_in(4),
            restarts: dice.once_in(3),
            disk_fails: dice.pick(&[0, 0, 0, 40]),
        }))
    }

    pub(super) fn seed(&self) -> u64 {
        self.0.seed
    }

    /// From here on nothing goes wrong any more.
    pub(super) fn clear_up(&self) {
        self.0.calm.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_calm(&self) -> bool {
        self.0.calm.load(Ordering::Relaxed)
    }

    /// Whether a fault strikes now.
    pub(super) fn strikes(&self, dice: &mut Dice) -> bool {
        !self.is_calm() && dice.once_in(self.0.often)
    }

    pub(super) fn lies(&self) -> bool {
        self.0.lies
    }

    pub(super) fn forgetful(&self) -> bool {
        self.0.forgetful
    }

    pub(super) fn old_dialect(&self) -> bool {
        self.0.old_dialect
    }

    pub(super) fn restarts(&self) -> bool {
        self.0.restarts
    }

    pub(super) fn disk_fails(&self) -> u64 {
        if self.is_calm() { 0 } else { self.0.disk_fails }
    }
}
