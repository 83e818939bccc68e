//! [`Window`]: how many loads may be under way, decided by goodput. Pure: it is told what happened and when.
//!
//! ```text
//!            it brought its share           refused
//!          ┌────────────────────╮      ┌──────────────╮
//!  2 ─▶ one more ◀──────────────╯ ─▶ holding ◀────────╯ halved
//!          ▲   it did not: taken back    │ ▲
//!          ╰─────────────────────────────╯ │ some epochs later, by turns
//!                                one less ─╯ given back if it was worth its share
//! ```
//!
//! Goodput is acknowledged bytes per second: what each load of an *epoch* got per second, times the loads under way. (The
//! bytes of an epoch over its time would say less: loads of one size end in bursts, and an epoch ends somewhere in one.)
//! One more load is worth it when it brings at least half of what it would in a target that grows with its load; others
//! only cost the target memory. A refusal halves the window.
//!
//! Guards: loads that began before the last change do not count; an epoch in which the window was rarely full says nothing
//! about the target and changes nothing; refusals of loads that began before the last halving belong to that halving; a
//! fruitless try makes the next hold twice as long; and the window stays between 1 and its limit.

use std::time::{Duration, Instant};

/// Where the climb starts: one load is received while another is committed.
const START: usize = 2;

/// The fewest loads that make an epoch: fewer would take the luck of one for a trend.
const EPOCH_LOADS_MIN: usize = 4;

/// How many epochs the window rests after goodput stopped growing, and at most, when trying again was in vain.
const HOLD_EPOCHS: u32 = 4;
const HOLD_EPOCHS_MAX: u32 = 64;

/// The same after a refusal: that long the target has to prove that it takes what is left.
const HOLD_EPOCHS_REFUSED: u32 = 2;

/// The share of a proportional gain that makes one more load worth it.
const GAIN_SHARE: f64 = 0.5;

/// How many loads may be under way now.
#[derive(Clone, Debug)]
pub struct Window {
    limit: usize,
    limit_max: usize,
    /// None where the user has chosen.
    climb: Option<Climb>,
    /// How often it was halved.
    halvings: u64,
    /// How many epochs are over.
    epochs: u64,
}

/// What the window has to know of a load: when it began, and in which epoch.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    halvings: u64,
    epoch: u64,
    began: Instant,
    /// Whether the window was full with it.
    full: bool,
}

#[derive(Clone, Debug)]
struct Climb {
    phase: Phase,
    /// How long the next hold is, in epochs.
    hold: u32,
    epoch: Epoch,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Measuring what the last step brought; `before` is the goodput without it, none for the first epoch.
    Up { before: Option<f64> },
    /// Measuring what the last step back has cost.
    Down { before: f64 },
    /// Waiting for so many epochs, and then trying the one or the other.
    Holding { epochs: u32, then: Next },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Up,
    Down,
}

/// What the acknowledged loads of one epoch came to.
#[derive(Clone, Copy, Debug, Default)]
struct Epoch {
    bytes: u64,
    /// The times of its loads, added up.
    busy: Duration,
    loads: usize,
    /// How many of them began in a full window.
    full: usize,
}

impl Window {
    /// A window that stays as it is.
    #[must_use]
    pub fn fixed(limit: usize) -> Self {
        let limit = limit.max(1);
        Self { limit, limit_max: limit, climb: None, halvings: 0, epochs: 0 }
    }

    /// A window that finds its size, up to `limit_max`.
    #[must_use]
    pub fn climbing(limit_max: usize) -> Self {
        let limit_max = limit_max.max(1);
        let climb = Climb { phase: Phase::Up { before: None }, hold: HOLD_EPOCHS, epoch: Epoch::default() };
        Self { limit: START.min(limit_max), limit_max, climb: Some(climb), halvings: 0, epochs: 0 }
    }

    /// How many loads may be under way.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// A load begins; with it so many are under way.
    #[must_use]
    pub fn began(&self, under_way: usize, now: Instant) -> Ticket {
        Ticket { halvings: self.halvings, epoch: self.epochs, began: now, full: under_way >= self.limit }
    }

    /// The load of this ticket, so many bytes, was acknowledged.
    pub fn acknowledged(&mut self, ticket: Ticket, bytes: u64, now: Instant) {
        let Some(climb) = self.climb.as_mut().filter(|_| ticket.epoch == self.epochs) else { return };
        let epoch = &mut climb.epoch;
        epoch.bytes += bytes;
        epoch.busy += now.saturating_duration_since(ticket.began);
        epoch.loads += 1;
        epoch.full += usize::from(ticket.full);
        if epoch.loads < self.limit.max(EPOCH_LOADS_MIN) {
            return;
        }
        let Epoch { bytes, busy, loads, full } = std::mem::take(epoch);
        self.epochs += 1;
        if full * 2 < loads {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate, compared with others")]
        let goodput = self.limit as f64 * bytes as f64 / busy.as_secs_f64().max(f64::EPSILON);
        self.limit = climb.conclude(goodput, self.limit, self.limit_max);
    }

    /// The target refused the load of this ticket because it is too busy; the new limit, where that made it smaller.
    pub fn refused(&mut self, ticket: Ticket) -> Option<usize> {
        let climb = self.climb.as_mut().filter(|_| ticket.halvings == self.halvings)?;
        *climb = Climb {
            phase: Phase::Holding { epochs: HOLD_EPOCHS_REFUSED, then: Next::Up },
            hold: HOLD_EPOCHS,
            epoch: Epoch::default(),
        };
        self.halvings += 1;
        self.epochs += 1;
        let limit = (self.limit / 2).max(1);
        (std::mem::replace(&mut self.limit, limit) != limit).then_some(limit)
    }
}

impl Climb {
    /// Ends an epoch: the limit of the next one.
    fn conclude(&mut self, goodput: f64, limit: usize, limit_max: usize) -> usize {
        match self.phase {
            Phase::Up { before } if before.is_none_or(|before| is_gain(before, goodput, limit)) => {
                if before.is_some() {
                    self.hold = HOLD_EPOCHS;
                }
                self.one_more(goodput, limit, limit_max)
            }
            Phase::Up { .. } => {
                self.hold_then(Next::Down);
                limit.saturating_sub(1).max(1)
            }
            // Without it there is as much: it stays away, and perhaps another one can go.
            Phase::Down { before } if !is_gain(goodput, before, limit + 1) => self.one_less(goodput, limit),
            Phase::Down { .. } => {
                self.hold_then(Next::Up);
                (limit + 1).min(limit_max)
            }
            Phase::Holding { epochs, then } if epochs > 1 => {
                self.phase = Phase::Holding { epochs: epochs - 1, then };
                limit
            }
            Phase::Holding { then: Next::Up, .. } => self.one_more(goodput, limit, limit_max),
            Phase::Holding { then: Next::Down, .. } => self.one_less(goodput, limit),
        }
    }

    fn one_more(&mut self, goodput: f64, limit: usize, limit_max: usize) -> usize {
        if limit >= limit_max {
            self.hold_then(Next::Down);
            return limit;
        }
        self.phase = Phase::Up { before: Some(goodput) };
        limit + 1
    }

    fn one_less(&mut self, goodput: f64, limit: usize) -> usize {
        if limit <= 1 {
            self.hold_then(Next::Up);
            return limit;
        }
        self.phase = Phase::Down { before: goodput };
        limit - 1
    }

    /// Rests, and twice as long the next time, unless a step up is worth it in between.
    fn hold_then(&mut self, then: Next) {
        self.phase = Phase::Holding { epochs: self.hold, then };
        self.hold = (self.hold * 2).min(HOLD_EPOCHS_MAX);
    }
}

/// Whether going from `limit - 1` to `limit` brought enough.
fn is_gain(before: f64, goodput: f64, limit: usize) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "a handful of loads")]
    let whole = 1.0 / (limit.max(2) - 1) as f64;
    goodput >= before * (1.0 + GAIN_SHARE * whole)
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
