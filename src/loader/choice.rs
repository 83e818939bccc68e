//! What of a job is committed at once: as the user says, as an earlier run of it did, as somebody else has begun it,
//! or as the planner chooses.
//!
//! ```text
//!  said ─▶ journal: begun before? ─▶ the job alone (planner) ─▶ the server: its labels? its capacity (planner) ─▶ chosen
//! ```
//!
//! The two ways are two jobs with labels of their own, because their chunks are other ones. A job that is begun keeps
//! its way. Where the server's state has a say, two people who begin the same import at the same moment may choose
//! differently; so each looks for the labels of the other way when it chooses, and once more at the last moment:
//! before the first byte where loads become visible one by one, before the decision where they do so together.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use tokio::runtime::Handle;

use super::error::Error;
use super::identity::{Candidates, Identity};
use super::spec::{CommitScope, JobSpec, WireChoice};
use super::task;
use crate::failure::{Code, Failure as _};
use crate::journal::Journal;
use crate::model::Label;
use crate::model::report::CommitReport;
use crate::planner::{self, Outline, Packed, Stored, Volume};
use crate::reader::format::{self, Compression, Format};
use crate::source::Input;
use crate::target::{self, LabelState, Target};

/// How many labels are asked about at one time.
const ASKED_AT_ONCE: usize = 8;

/// How often a server that does not answer is asked about labels before that is the answer.
const ASKS_MAX: u32 = 3;

/// Settings that a transaction does not heed (SR §4.4).
const UNHEEDED: [&str; 1] = ["log_rejected_record_num"];

/// The job that it is.
pub(super) struct Chosen {
    pub(super) identity: Identity,
    pub(super) scope: CommitScope,
    pub(super) reason: String,
    /// Who must not be at the same work in the other way.
    pub(super) rivals: Option<Rivals>,
    pub(super) notices: Vec<String>,
}

impl Chosen {
    pub(super) fn report(&self) -> CommitReport {
        CommitReport { scope: word(self.scope).to_owned(), reason: self.reason.clone() }
    }
}

/// The labels of the same work in the other way.
#[derive(Clone)]
pub(super) struct Rivals {
    target: Arc<dyn Target>,
    labels: Arc<[Label]>,
    whole: bool,
    runtime: Handle,
}

impl Rivals {
    /// Makes sure that nobody has begun it.
    pub(super) async fn none(&self) -> Result<(), Error> {
        match known(self.target.as_ref(), &self.labels).await? {
            Some(label) => Err(Error::Contested { label, whole: self.whole }),
            None => Ok(()),
        }
    }

    /// The same for a thread that may wait.
    pub(super) fn none_here(&self) -> Result<(), Error> {
        self.runtime.block_on(self.none())
    }
}

/// Chooses, and looks whether what was asked for can be.
pub(super) async fn choose(
    target: &Arc<dyn Target>,
    spec: &JobSpec,
    inputs: &[Input],
    candidates: Candidates,
    journal: Option<&Journal>,
) -> Result<Chosen, Error> {
    let before = match journal {
        Some(journal) => begun_before(journal, spec, &candidates)?,
        None => None,
    };
    let Candidates { first, whole } = candidates;
    let Some(whole) = whole else {
        let notices = match (spec.commit, before) {
            // What was begun goes on: its own transactions are among those that run.
            (CommitScope::Job, None) => can_be_whole(target.as_ref(), &outline(spec, inputs)).await?,
            _ => Vec::new(),
        };
        let reason = format!("asked for with --commit {}", word(spec.commit));
        return Ok(Chosen { identity: first, scope: spec.commit, reason, rivals: None, notices });
    };
    let chosen = |is_whole: bool, reason: String| {
        let (identity, scope) =
            if is_whole { (whole.clone(), CommitScope::Job) } else { (first.clone(), CommitScope::Load) };
        Chosen { identity, scope, reason, rivals: None, notices: Vec::new() }
    };
    let outline = outline(spec, inputs);
    let alone = planner::by_outline(&outline);
    if let Some(is_whole) = before {
        let chosen = chosen(is_whole, "the job was begun so by an earlier run".to_owned());
        // What of it is visible already nobody takes back; what is prepared waits for a last look.
        let look = is_whole && alone.is_none() && !spec.again;
        let others = look.then(|| rivals(target, labels(&first, &outline, false), false));
        return Ok(Chosen { rivals: others, ..chosen });
    }
    if let Some(choice) = alone {
        return Ok(chosen(choice.whole, choice.reason));
    }
    let ways = [labels(&first, &outline, false), labels(&whole, &outline, true)];
    // A run that was asked for has labels of its own, which nobody can know beforehand.
    if !spec.again {
        for (labels, is_whole) in ways.iter().zip([false, true]) {
            // A server that does not answer now is asked once more before it matters.
            if let Ok(Some(label)) = known(target.as_ref(), labels).await {
                return Ok(chosen(
                    is_whole,
                    format!("the job was begun so elsewhere: the server knows its label {label}"),
                ));
            }
        }
    }
    let choice = planner::by_target(&outline, &target.capacity().await);
    let [of_loads, of_whole] = ways;
    let others = if choice.whole { of_loads } else { of_whole };
    let others = (!spec.again).then(|| rivals(target, others, !choice.whole));
    Ok(Chosen { rivals: others, ..chosen(choice.whole, choice.reason) })
}

fn rivals(target: &Arc<dyn Target>, labels: Vec<Label>, whole: bool) -> Rivals {
    Rivals { target: Arc::clone(target), labels: labels.into(), whole, runtime: Handle::current() }
}

/// Whether an earlier run that this one goes on with, or that finished the work, committed it as a whole; none where
/// there is no such run.
fn begun_before(journal: &Journal, spec: &JobSpec, candidates: &Candidates) -> Result<Option<bool>, Error> {
    let works: Vec<_> = candidates.all().map(|identity| (&identity.job, identity.fingerprint.as_str())).collect();
    // Whoever goes on with a job by its fingerprint means that one.
    let meant = spec.only.as_ref().and_then(|only| works.iter().position(|(_, fingerprint)| fingerprint == only));
    let newest = task::block_in_place(|| journal.newest_of(&works))?;
    let index = match (meant, newest) {
        (Some(meant), _) => meant,
        (None, Some((_, true))) if spec.again => return Ok(None),
        (None, Some((newest, _))) => newest,
        (None, None) => return Ok(None),
    };
    Ok(Some(index == 1 || spec.commit == CommitScope::Job))
}

/// Looks whether the server can hold a whole job open; says what may hold it up.
async fn can_be_whole(target: &dyn Target, outline: &Outline) -> Result<Vec<String>, Error> {
    let notice = planner::check_whole(outline, &target.capacity().await)?;
    Ok(notice.into_iter().collect())
}

/// The job, as far as it is known before anything is read.
pub(super) fn outline(spec: &JobSpec, inputs: &[Input]) -> Outline {
    let unheeded = spec.headers.iter().map(|(name, _)| name).find(|name| UNHEEDED.contains(&name.as_str()));
    Outline {
        inputs: task::block_in_place(|| inputs.iter().map(|input| volume(input, spec.reading.format)).collect()),
        load_size: spec.load_size,
        csv_only: spec.wire == WireChoice::Csv,
        unheeded: unheeded.cloned(),
        rate_max: spec.rate_max,
    }
}

/// What an input is by its first bytes. One that cannot be opened says so when it is read.
fn volume(input: &Input, user: Option<Format>) -> Volume {
    const HEAD_BYTES: u64 = 512;
    let mut head = Vec::new();
    if !input.is_stream()
        && let Ok(file) = File::open(&input.path)
    {
        let _ = file.take(HEAD_BYTES).read_to_end(&mut head);
    }
    let compression = Compression::detect(&input.path, &head).ok().flatten();
    let format = match compression {
        None => format::detect(&input.path, &head, user).ok(),
        Some(_) => user.or_else(|| format::named(&input.path)),
    };
    Volume {
        bytes: input.bytes,
        stored: match format {
            Some(Format::NdJson | Format::JsonArray) => Stored::Json,
            Some(Format::Parquet) => Stored::Parquet,
            Some(Format::ArrowFile | Format::ArrowStream) => Stored::Arrow,
            Some(Format::Csv | Format::Tsv) | None => Stored::Csv,
        },
        packed: match compression {
            None => Packed::No,
            Some(Compression::Lz4) => Packed::Lightly,
            Some(Compression::Gzip | Compression::Zstd | Compression::Bzip2 | Compression::Xz) => Packed::Tightly,
        },
    }
}

/// The labels that a first run of a job is likely to begin. A planned job has few loads, or none of its labels matter.
fn labels(identity: &Identity, outline: &Outline, json: bool) -> Vec<Label> {
    let mut labels = Vec::new();
    for (index, input) in outline.inputs.iter().enumerate() {
        let loads = planner::loads_likely(input, outline.load_size, json);
        for sequence in 1..=u32::try_from(loads).unwrap_or(u32::MAX) {
            labels.push(identity.label(0, index, sequence, false, 0));
        }
        if !json {
            // What CSV cannot carry, which may be all of it.
            labels.push(identity.label(0, index, 1, true, 0));
        }
    }
    labels
}

/// The first of these labels under which something is, or may come to be, in the table.
async fn known(target: &dyn Target, labels: &[Label]) -> Result<Option<Label>, target::Error> {
    let ask = async |label: &Label| {
        let mut asks = 1;
        loop {
            match target.label_state(label).await {
                Ok(LabelState::Unknown | LabelState::Aborted) => return Ok(None),
                Ok(_) => return Ok(Some(label.clone())),
                // A database that is not there yet knows no labels.
                Err(error) if error.code() == Code::NoSuchTable => return Ok(None),
                Err(error) if asks == ASKS_MAX => return Err(error),
                Err(_) => asks += 1,
            }
        }
    };
    let mut answers = stream::iter(labels.iter().map(ask)).buffered(ASKED_AT_ONCE);
    while let Some(answer) = answers.next().await {
        if let Some(label) = answer? {
            return Ok(Some(label));
        }
    }
    Ok(None)
}

/// The word for a scope, as the flag and the report have it.
pub(super) fn word(scope: CommitScope) -> &'static str {
    match scope {
        CommitScope::Auto => "auto",
        CommitScope::Load => "load",
        CommitScope::Job => "job",
    }
}
