//! [`Policy`]: whether to try again, and when. Pure: it sees what kind of failure it was, counts and times, and nothing else.

use std::time::Duration;

use crate::failure::Disposition;
use crate::target::Overload;

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
    /// How long one load is offered to a target that refuses it as too busy, one refusal after the other.
    pub refused_max: Duration,
}

/// Compaction that has fallen behind catches up within minutes, and a query that eats the memory ends some time. A target
/// that takes nothing for an hour needs a person.
const REFUSED_MAX: Duration = Duration::from_hours(1);

/// The server's default timeout of a load is 600 s, and its sweep for expired ones runs every 30 s.
const SETTLE_MAX: Duration = Duration::from_secs(690);

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts_max: 8,
            backoff_min: Duration::from_millis(500),
            backoff_max: Duration::from_secs(30),
            settle_max: SETTLE_MAX,
            refused_max: REFUSED_MAX,
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

/// A load that a busy target has refused, once or several times in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Refused {
    /// In which way the target is busy now.
    pub(super) overload: Overload,
    /// How long it asks to be left alone.
    pub(super) after: Option<Duration>,
    /// How often in a row it has refused.
    pub(super) times: u32,
    /// How long ago it did first.
    pub(super) since: Duration,
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

    /// Decides after a refusal for an overload, the `refusal`-th in a row (from 1), the first of which was so long ago.
    /// Being slowed down is no failure: it ends by patience, not by attempts. No wait is longer than such an overload
    /// usually lasts, so that a target which has recovered is used again soon.
    pub(super) fn wait_out(&self, refused: Refused, draw: f64) -> Decision {
        if refused.since >= self.refused_max {
            return Decision::GiveUp;
        }
        let wait = self.backoff(refused.times).min(refused.overload.backoff_max()).mul_f64(draw.clamp(0.0, 1.0));
        // The last offer is made when patience ends, and not long after.
        let left = self.refused_max.saturating_sub(refused.since);
        Decision::SendAgain((refused.after.unwrap_or_default() + wait).min(left))
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

    fn refused(times: u32, since: u64) -> Refused {
        Refused { overload: Overload::Versions, after: None, times, since: Duration::from_secs(since) }
    }

    #[test]
    fn an_overload_is_waited_out_however_often_it_refuses() {
        let policy = Policy::default();
        let wait = |times, draw| policy.wait_out(refused(times, 60), draw);
        assert_eq!(wait(1, 1.0), Decision::SendAgain(Duration::from_millis(500)));
        assert_eq!(wait(4, 0.5), Decision::SendAgain(Duration::from_secs(2)));
        assert_eq!(wait(1000, 1.0), Decision::SendAgain(Duration::from_secs(30)));
        let soon = Refused { overload: Overload::Requests, ..refused(1000, 60) };
        assert_eq!(policy.wait_out(soon, 1.0), Decision::SendAgain(Duration::from_secs(2)));
    }

    #[test]
    fn what_a_busy_target_asks_for_is_the_least_it_gets() {
        let asked = Refused { after: Some(Duration::from_secs(90)), ..refused(1, 0) };
        assert_eq!(Policy::default().wait_out(asked, 0.0), Decision::SendAgain(Duration::from_secs(90)));
    }

    #[test]
    fn patience_ends_and_the_last_offer_is_made_by_then() {
        let policy = Policy::default();
        assert_eq!(policy.wait_out(refused(99, 3599), 1.0), Decision::SendAgain(Duration::from_secs(1)));
        assert_eq!(policy.wait_out(refused(99, 3600), 1.0), Decision::GiveUp);
    }

    #[test]
    fn waits_are_spread_over_their_whole_range() {
        let policy = Policy::default();
        for attempt in 1..=12 {
            let longest = policy.backoff(attempt);
            for step in 0..=10_u32 {
                let draw = f64::from(step) / 10.0;
                let spread = longest.mul_f64(draw);
                let patient = Policy { attempts_max: u32::MAX, ..policy };
                assert_eq!(patient.decide(RETRY, attempt, draw), Decision::SendAgain(spread));
                let overload = Refused { overload: Overload::Tablet, ..refused(attempt, 0) };
                assert_eq!(policy.wait_out(overload, draw), Decision::SendAgain(spread));
            }
        }
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
