//! Whether a job that has ended before its time is tried again, and when. Pure.
//!
//! Only a target that is away, too busy, or does not say what became of a load is waited for: with anything else, the next
//! try would end in the same way.

use std::time::{Duration, Instant};

use super::entry::{Outcome, State};
use crate::failure::Code;

/// What may pass by itself.
const PASSING: [Code; 4] = [Code::TargetUnreachable, Code::TargetBusy, Code::NodeDown, Code::InDoubt];

/// The pause after the first try; each one after it is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(5);

/// The longest pause: what a target's operators hardly notice, and who waits for the rows can put up with.
const PAUSE_MAX: Duration = Duration::from_mins(5);

/// The tries of one job since it last got on.
#[derive(Debug, Default)]
pub(super) struct Tries {
    count: u32,
    /// When the first of them ended.
    since: Option<Instant>,
    /// The rows of the job that were in the table then.
    loaded: u64,
}

impl Tries {
    /// Takes in how a try has ended. Returns the pause before the next one; none where there is to be none.
    pub(super) fn after(&mut self, outcome: &Outcome, now: Instant, retry_for: Duration) -> Option<Duration> {
        if !may_pass(outcome) {
            return None;
        }
        let loaded = outcome.report.as_ref().map_or(0, |report| report.rows_loaded);
        if loaded > self.loaded {
            *self = Self { loaded, ..Self::default() };
        }
        let since = *self.since.get_or_insert(now);
        let left = retry_for.checked_sub(now - since).filter(|left| !left.is_zero())?;
        let doubled = PAUSE_MIN.saturating_mul(1 << self.count.min(16));
        self.count += 1;
        // The last try is made at the very end.
        Some(doubled.min(PAUSE_MAX).min(left))
    }

    /// How many there were.
    pub(super) fn count(&self) -> u32 {
        self.count
    }
}

/// Whether waiting may help.
pub(in crate::daemon) fn may_pass(outcome: &Outcome) -> bool {
    let code = outcome.error().and_then(|error| Code::named(&error.code));
    matches!(outcome.state, State::Failed | State::InDoubt) && code.is_some_and(|code| PASSING.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::model::Report;
    use crate::model::report::ErrorReport;

    fn ended(state: State, code: Code, rows: u64) -> Outcome {
        let (code, message) = (code.to_string(), String::new());
        let error = ErrorReport { code, message, hint: None, label: None, commands: Vec::new() };
        let report = Report { rows_loaded: rows, ..Report::new("fe", String::new()) };
        Outcome { state, report: Some(report), error: Some(error) }
    }

    #[test]
    fn pauses_grow_and_the_time_for_them_is_limited() {
        let start = SystemClock.instant();
        let away = ended(State::Failed, Code::TargetUnreachable, 0);
        let (mut tries, mut now, mut pauses) = (Tries::default(), start, Vec::new());
        while let Some(pause) = tries.after(&away, now, Duration::from_mins(30)) {
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300, 300, 285]);
        assert_eq!(now - start, Duration::from_mins(30));
        assert_eq!(Tries::default().after(&away, start, Duration::ZERO), None);
    }

    #[test]
    fn a_try_that_got_on_begins_the_count_anew() {
        let start = SystemClock.instant();
        let mut tries = Tries::default();
        let hour = Duration::from_hours(1);
        for _ in 0..9 {
            tries.after(&ended(State::InDoubt, Code::InDoubt, 0), start, hour);
        }
        let later = start + 2 * hour;
        assert_eq!(tries.after(&ended(State::Failed, Code::TargetBusy, 7), later, hour), Some(PAUSE_MIN));
        assert_eq!(tries.after(&ended(State::Failed, Code::TargetBusy, 7), later, hour), Some(2 * PAUSE_MIN));
    }

    #[test]
    fn what_does_not_pass_is_not_tried_again() {
        let now = SystemClock.instant();
        let pause = |state, code| Tries::default().after(&ended(state, code, 0), now, Duration::from_hours(1));
        assert!(pause(State::Failed, Code::NodeDown).is_some() && pause(State::InDoubt, Code::InDoubt).is_some());
        assert_eq!(pause(State::Failed, Code::AccessDenied), None);
        assert_eq!(pause(State::InDoubt, Code::CountsDisagree), None);
        assert_eq!(pause(State::Cancelled, Code::TargetUnreachable), None);
        assert_eq!(pause(State::Interrupted, Code::TargetUnreachable), None);
    }
}
