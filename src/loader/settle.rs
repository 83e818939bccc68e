//! What is open of a job that nobody drives: the server is asked how each such load stands, and the journal keeps it. What is
//! prepared and not decided upon is rolled back.

use std::time::Duration;

use super::{Error, Loader};
use crate::clock::rfc3339;
use crate::failure::chain;
use crate::journal::{JobEntry, Journal, LoadEntry, Settled};
use crate::model::{Label, LoadState};
use crate::simulated::{Mistake, makes};
use crate::target::LabelState;

/// A label is asked about this often. The server rolls a load back as soon as it notices the lost connection, so that an open
/// one is worth waiting for, and what is still on its way has come by then.
const ASKS: u32 = 10;

/// The wait between two of them.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// How long all of it may take. Whoever said `cancel` waits for it.
const ASK_MAX: Duration = Duration::from_secs(30);

/// How long a server remembers a label at least, unless more than a thousand transactions come (SR §5.3).
const REMEMBERED: Duration = Duration::from_hours(72);

/// A load of which it is still not known whether it is in the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsettled {
    /// Its label.
    pub label: Label,
    /// Rows in it.
    pub rows: u64,
    /// What is known.
    pub why: String,
}

impl Loader {
    /// Asks how the open loads of a run stand, writes down what comes of it, and returns those that stay open. No rows are
    /// sent; what a job that is committed as a whole has prepared is rolled back, unless the commit is decided. The caller
    /// holds the job's lease.
    ///
    /// # Errors
    /// When the journal fails. A server that cannot be asked leaves loads open, which is no error.
    pub async fn settle_open(&self, journal: &Journal, job: &JobEntry) -> Result<Vec<Unsettled>, Error> {
        let mut unsettled = Vec::new();
        let deadline = self.clock.instant() + ASK_MAX;
        let forgotten = rfc3339(self.clock.now() - REMEMBERED) > job.started_at;
        let undecided = journal.is_undecided(&job.job, job.run)?;
        for (label, load) in journal.loads(&job.job, job.run)? {
            if !load.state.is_open() {
                continue;
            }
            let left = deadline.saturating_duration_since(self.clock.instant());
            let witness = journal.settled_before(&job.job, job.run, &label)?;
            let asking = async {
                // Whoever has forgotten what was loaded before may have forgotten this one; and whoever says nothing, too.
                let forgotten = match &witness {
                    Some(before) => matches!(self.target.label_state(before).await, Ok(LabelState::Unknown) | Err(_)),
                    None => false,
                } || forgotten;
                self.ask(&label, load.state, forgotten, undecided).await
            };
            let asked = tokio::select! {
                biased;
                asked = asking => asked,
                () = self.clock.sleep(left) => Err("the server did not answer in time".to_owned()),
            };
            match asked {
                Ok(state) => journal.settled(&job.job, job.run, &label, &settled(state, &load))?,
                Err(why) => unsettled.push(Unsettled { label, rows: load.rows, why }),
            }
        }
        Ok(unsettled)
    }

    /// How a label stands for good, or why that cannot be told.
    async fn ask(
        &self,
        label: &Label,
        noted: LoadState,
        forgotten: bool,
        undecided: bool,
    ) -> Result<LoadState, String> {
        let mut why = String::new();
        let mut unknown = true;
        for ask in 0..ASKS {
            if ask > 0 {
                self.clock.sleep(ASK_EVERY).await;
            }
            let state = self.target.label_state(label).await;
            if undecided && matches!(state, Ok(LabelState::Prepare | LabelState::Prepared)) {
                // Whether it worked, only the label says.
                let _ = self.target.roll_back(label).await;
            }
            unknown &= matches!(state, Ok(LabelState::Unknown));
            why = match state {
                Ok(LabelState::Visible) => return Ok(LoadState::Visible),
                Ok(LabelState::Committed) => return Ok(LoadState::Committed),
                Ok(LabelState::Prepare) if makes(Mistake::OpenIsAborted) => return Ok(LoadState::Aborted),
                Ok(LabelState::Aborted) => return Ok(LoadState::Aborted),
                Ok(LabelState::Unknown) if forgotten => "the server does not know it, or no longer".to_owned(),
                Ok(LabelState::Unknown) => "the server does not know it, and an attempt may be on its way".to_owned(),
                Ok(LabelState::Prepared) if noted == LoadState::Prepared => {
                    "it is prepared, and stays so until the job is resumed or the server drops it".to_owned()
                }
                Ok(LabelState::Prepared) => "it is prepared by a two-phase commit".to_owned(),
                Ok(LabelState::Prepare) => "its transaction is still open at the server".to_owned(),
                Err(error) => return Err(format!("asking for its state failed: {}", chain(&error))),
            };
        }
        // It never got there. One that was in doubt before had left for certain.
        if unknown && !forgotten && noted == LoadState::Sending { Ok(LoadState::Aborted) } else { Err(why) }
    }
}

fn settled(state: LoadState, load: &LoadEntry) -> Settled {
    // The label vouches for the rows (LABEL-1).
    let rows_loaded = if state == LoadState::Aborted { 0 } else { load.rows };
    Settled { state, transaction_id: load.transaction_id, rows_loaded, rows_unselected: load.rows_unselected }
}
