//! [`Policy`]: whether to try again, and when. Pure: it sees a failure's disposition and counts, and nothing else.

use std::time::Duration;

use crate::failure::Disposition;

/// How often and how patiently a load is tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// The most attempts of one load.
    pub attempts_max: u32,
    /// The wait before the second attempt, at most.
    pub backoff_min: Duration,
    /// The longest wait between attempts.
    pub backoff_max: Duration,
    /// How long an unknown outcome is asked about. It must exceed the server's own timeout of a load, after which an
    /// open transaction is rolled back by itself.
    pub settle_max: Duration,
}

/// The server's default timeout of a load is 600 s, and its sweep for expired ones runs every 30 s.
const SETTLE_MAX: Duration = Duration::from_secs(690);

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts_max: 8,
            backoff_min: Duration::from_millis(500),
            backoff_max: Duration::from_secs(30),
            settle_max: SETTLE_MAX,
        }
    }
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Decision {
    /// Send again under the same label, after this long.
    SendAgain(Duration),
    /// Ask for the label's state; if nothing was applied, send again after this long.
    Ask(Duration),
    /// Stop.
    GiveUp,
}

impl Policy {
    /// Decides after attempt number `attempt` (from 1). `draw` is a random number from 0 to 1: waits are spread over
    /// their whole range, so that many loaders that failed together do not come back together.
    pub(super) fn decide(&self, disposition: Disposition, attempt: u32, draw: f64) -> Decision {
        let wait = self.backoff(attempt).mul_f64(draw.clamp(0.0, 1.0));
        match disposition {
            Disposition::Resolve => Decision::Ask(wait),
            Disposition::Reject | Disposition::Abort => Decision::GiveUp,
            Disposition::Retry { .. } if attempt >= self.attempts_max => Decision::GiveUp,
            // What the server asks for is a lower bound, and the spread comes on top.
            Disposition::Retry { after } => Decision::SendAgain(after.unwrap_or_default() + wait),
        }
    }

    /// The longest wait after this many attempts: doubled each time, up to the limit. Also paces asking.
    pub(super) fn backoff(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(20);
        self.backoff_min.saturating_mul(1 << doublings).min(self.backoff_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Disposition = Disposition::Retry { after: None };

    #[test]
    fn waits_double_up_to_their_limit_and_are_spread() {
        let policy = Policy::default();
        let wait = |attempt, draw| policy.decide(RETRY, attempt, draw);
        assert_eq!(wait(1, 1.0), Decision::SendAgain(Duration::from_millis(500)));
        assert_eq!(wait(3, 1.0), Decision::SendAgain(Duration::from_secs(2)));
        assert_eq!(wait(3, 0.25), Decision::SendAgain(Duration::from_millis(500)));
        assert_eq!(wait(7, 1.0), Decision::SendAgain(Duration::from_secs(30)));
        assert_eq!(wait(8, 1.0), Decision::GiveUp);
    }

    #[test]
    fn the_server_is_left_alone_as_long_as_it_asks() {
        let after = Some(Duration::from_secs(40));
        let decision = Policy::default().decide(Disposition::Retry { after }, 1, 0.0);
        assert_eq!(decision, Decision::SendAgain(Duration::from_secs(40)));
    }

    #[test]
    fn an_unknown_outcome_is_asked_about_and_never_sent_blindly() {
        for attempt in [1, 8, 1000] {
            let decision = Policy::default().decide(Disposition::Resolve, attempt, 0.5);
            assert!(matches!(decision, Decision::Ask(_)), "{decision:?}");
        }
    }

    #[test]
    fn what_no_attempt_can_help_is_not_tried_again() {
        for disposition in [Disposition::Reject, Disposition::Abort] {
            assert_eq!(Policy::default().decide(disposition, 1, 0.5), Decision::GiveUp);
        }
    }
}
