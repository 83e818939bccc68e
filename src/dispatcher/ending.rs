//! How a transaction is brought to its end: committed, or rolled back. [`step`] decides and sees nothing but events;
//! [`Ending`] acts.
//!
//! Both requests may be repeated freely. Only a commit that the server calls done is believed at once; everything else
//! is settled by the label's state, a rollback always, because the label is used again after it.

use std::sync::Arc;
use std::time::Duration;

use super::retry::Policy;
use crate::clock::Clock;
use crate::failure::chain;
use crate::model::Label;
use crate::simulated::{Mistake, makes};
use crate::target::{LabelState, Target};

/// What is to become of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// It is prepared, and decided upon.
    Commit,
    /// It is ours, and must not be open any more.
    RollBack,
    /// It is somebody else's: it is left to them, and waited for.
    LeaveAlone,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The request was answered well; a commit also says whether readers see the rows.
    Done { visible: bool },
    /// The request failed, or its answer was lost.
    Failed,
    /// The server says how the label stands.
    State(LabelState),
    /// It does not say.
    Silence,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Send the request.
    Act,
    /// Ask for the label's state.
    Ask,
    /// Wait, and send the request.
    ActLater,
    /// Wait, and ask.
    AskLater,
    /// It has ended.
    End(End),
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its rows are in the table.
    Applied { visible: bool },
    /// Nothing of it is in the table, or the server has never heard of it.
    Nothing(LabelState),
}

/// What to do first.
pub(super) fn start(goal: Goal) -> Action {
    if goal == Goal::LeaveAlone { Action::Ask } else { Action::Act }
}

/// What to do next.
pub(super) fn step(goal: Goal, event: Event) -> Action {
    match (goal, event) {
        (Goal::RollBack, Event::Done { .. } | Event::Failed) if makes(Mistake::TrustRollback) => {
            Action::End(End::Nothing(LabelState::Aborted))
        }
        (Goal::Commit, Event::Done { visible }) => Action::End(End::Applied { visible }),
        (_, Event::Done { .. } | Event::Failed) => Action::Ask,
        (_, Event::Silence) => Action::AskLater,
        (_, Event::State(LabelState::Visible)) => Action::End(End::Applied { visible: true }),
        (_, Event::State(LabelState::Committed)) => Action::End(End::Applied { visible: false }),
        (_, Event::State(state @ (LabelState::Aborted | LabelState::Unknown))) => Action::End(End::Nothing(state)),
        (Goal::RollBack, Event::State(_)) | (Goal::Commit, Event::State(LabelState::Prepared)) => Action::ActLater,
        // Of what was prepared a commit finds nothing half done: somebody else has begun anew.
        (Goal::Commit | Goal::LeaveAlone, Event::State(_)) => Action::AskLater,
    }
}

/// Brings transactions to their end.
#[derive(Clone)]
pub(super) struct Ending {
    pub(super) target: Arc<dyn Target>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) policy: Policy,
    /// How long one may take.
    pub(super) patience: Duration,
}

impl Ending {
    /// Goes on until it has ended. The error says what stood in the way when the time was up.
    pub(super) async fn reach(&self, goal: Goal, label: &Label) -> Result<End, String> {
        let deadline = self.clock.instant() + self.patience;
        let mut action = start(goal);
        let mut why = String::new();
        let mut waits = 0;
        loop {
            action = match action {
                Action::Act => match self.act(goal, label).await {
                    Ok(visible) => step(goal, Event::Done { visible }),
                    Err(reason) => {
                        why = reason;
                        step(goal, Event::Failed)
                    }
                },
                Action::Ask => match self.target.label_state(label).await {
                    Ok(state) => step(goal, Event::State(state)),
                    Err(error) => {
                        why = format!("asking for its state failed: {}", chain(&error));
                        step(goal, Event::Silence)
                    }
                },
                Action::ActLater | Action::AskLater => {
                    if self.clock.instant() >= deadline {
                        return Err(if why.is_empty() { "its transaction is still open".to_owned() } else { why });
                    }
                    waits += 1;
                    if waits > 1 {
                        tracing::warn!("transaction {label} is not ended yet: {why}; going on");
                    }
                    self.clock.sleep(self.policy.backoff(waits)).await;
                    if action == Action::ActLater { Action::Act } else { Action::Ask }
                }
                Action::End(end) => return Ok(end),
            };
        }
    }

    async fn act(&self, goal: Goal, label: &Label) -> Result<bool, String> {
        let acted = match goal {
            Goal::Commit => self.target.commit(label).await,
            Goal::RollBack | Goal::LeaveAlone => self.target.roll_back(label).await.map(|()| false),
        };
        acted.map_err(|error| chain(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::LabelState::{Aborted, Committed, Prepare, Prepared, Unknown, Visible};
    use super::*;

    #[test]
    fn every_state_of_the_server_has_its_next_step_towards_each_goal() {
        let applied = |visible| Action::End(End::Applied { visible });
        for (state, commit, roll_back, leave) in [
            (Visible, applied(true), applied(true), applied(true)),
            (Committed, applied(false), applied(false), applied(false)),
            (Prepared, Action::ActLater, Action::ActLater, Action::AskLater),
            (Prepare, Action::AskLater, Action::ActLater, Action::AskLater),
            (
                Aborted,
                Action::End(End::Nothing(Aborted)),
                Action::End(End::Nothing(Aborted)),
                Action::End(End::Nothing(Aborted)),
            ),
            (
                Unknown,
                Action::End(End::Nothing(Unknown)),
                Action::End(End::Nothing(Unknown)),
                Action::End(End::Nothing(Unknown)),
            ),
        ] {
            for (goal, wanted) in [(Goal::Commit, commit), (Goal::RollBack, roll_back), (Goal::LeaveAlone, leave)] {
                assert_eq!(step(goal, Event::State(state)), wanted, "{goal:?} {state:?}");
            }
        }
    }

    #[test]
    fn only_a_commit_is_believed_without_asking_and_a_failure_never() {
        let done = Event::Done { visible: true };
        assert_eq!(step(Goal::Commit, done), Action::End(End::Applied { visible: true }));
        assert_eq!(step(Goal::RollBack, done), Action::Ask);
        for goal in [Goal::Commit, Goal::RollBack] {
            assert_eq!(step(goal, Event::Failed), Action::Ask);
            assert_eq!(step(goal, Event::Silence), Action::AskLater);
            assert_eq!(start(goal), Action::Act);
        }
        assert_eq!(start(Goal::LeaveAlone), Action::Ask);
    }
}
