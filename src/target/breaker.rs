//! [`Breaker`]: whether an endpoint is worth asking. Pure: it is told what happened and when.
//!
//! ```text
//!             silent                    its rest is over
//!  closed ─────────────▶ open ────────────────────────────▶ half-open
//!    ▲                    ▲                                  │      │
//!    │                    ╰──── silent: rests twice as long ─╯      │
//!    ╰────────────────────────── answered ──────────────────────────╯
//! ```
//!
//! One silence opens it: there is another endpoint to ask, and a timeout with every load costs more than an endpoint too
//! few. When its rest is over, one request may find out how it is; the others keep away until that one is answered.

use std::time::{Duration, Instant};

/// The first rest: about what a restart takes.
pub(super) const REST_MIN: Duration = Duration::from_secs(10);

/// The longest rest: an endpoint that is repaired is used again before anybody wonders.
pub(super) const REST_MAX: Duration = Duration::from_mins(2);

/// How long the one request of a half-open breaker keeps the others away. It may have been given up without a word.
pub(super) const PROBE_MAX: Duration = Duration::from_secs(90);

/// What is known of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Breaker {
    /// It answers.
    #[default]
    Closed,
    /// It rests.
    Open {
        /// Until when.
        until: Instant,
        /// How long in all.
        rest: Duration,
    },
    /// One request is finding out.
    HalfOpen {
        /// Since when.
        since: Instant,
        /// How long it rested before.
        rest: Duration,
    },
}

impl Breaker {
    /// Whether a request may go there.
    pub(super) fn admits(self, now: Instant) -> bool {
        match self {
            Self::Closed => true,
            Self::Open { until, .. } => now >= until,
            Self::HalfOpen { since, .. } => now.saturating_duration_since(since) >= PROBE_MAX,
        }
    }

    /// A request that was admitted goes there.
    pub(super) fn asked(&mut self, now: Instant) {
        if let Self::Open { rest, .. } | Self::HalfOpen { rest, .. } = *self {
            *self = Self::HalfOpen { since: now, rest };
        }
    }

    /// It answered.
    pub(super) fn answered(&mut self) {
        *self = Self::Closed;
    }

    /// It did not answer.
    pub(super) fn silent(&mut self, now: Instant) {
        let rest = match *self {
            Self::Closed => REST_MIN,
            // Requests that were under way when it opened, or went there because all endpoints rest, say nothing new.
            Self::Open { until, .. } if now < until => return,
            Self::Open { rest, .. } | Self::HalfOpen { rest, .. } => (rest * 2).min(REST_MAX),
        };
        *self = Self::Open { until: now + rest, rest };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn one_silence_opens_it_until_its_rest_is_over() {
        let now = SystemClock.instant();
        let mut breaker = Breaker::default();
        assert!(breaker.admits(now));
        breaker.silent(now);
        assert!(!breaker.admits(now) && !breaker.admits(now + seconds(9)));
        assert!(breaker.admits(now + REST_MIN));
    }

    #[test]
    fn half_open_it_admits_one_request_at_a_time() {
        let now = SystemClock.instant();
        let mut breaker = Breaker::default();
        breaker.silent(now);
        let later = now + REST_MIN;
        breaker.asked(later);
        assert!(!breaker.admits(later) && !breaker.admits(later + seconds(89)));
        assert!(breaker.admits(later + PROBE_MAX), "a request that nobody heard of again does not keep it shut");
        breaker.answered();
        assert_eq!(breaker, Breaker::Closed);
    }

    #[test]
    fn each_vain_probe_doubles_its_rest_up_to_the_longest() {
        let mut now = SystemClock.instant();
        let mut breaker = Breaker::default();
        breaker.silent(now);
        for rest in [20, 40, 80, 120, 120] {
            while !breaker.admits(now) {
                now += seconds(1);
            }
            breaker.asked(now);
            breaker.silent(now);
            assert_eq!(breaker, Breaker::Open { until: now + seconds(rest), rest: seconds(rest) });
        }
        breaker.answered();
        breaker.silent(now);
        assert_eq!(breaker, Breaker::Open { until: now + REST_MIN, rest: REST_MIN });
    }

    #[test]
    fn what_was_under_way_when_it_opened_does_not_prolong_its_rest() {
        let now = SystemClock.instant();
        let mut breaker = Breaker::default();
        breaker.silent(now);
        let open = breaker;
        breaker.silent(now + seconds(5));
        assert_eq!(breaker, open);
    }

    #[test]
    fn an_open_one_that_answers_all_the_same_is_closed() {
        let mut breaker = Breaker::default();
        breaker.silent(SystemClock.instant());
        breaker.answered();
        assert_eq!(breaker, Breaker::Closed);
    }
}
