//! What is committed at once where the user leaves that open: the whole job, or each load by itself.
//!
//! The whole job is the better promise and the dearer one: its rows travel as JSON, each load takes two requests
//! more, and all of them stay open at the server until the end. It is chosen where that is comfortable, by the rules
//! below in their order; each has a sentence that a person gets to see.

use std::time::Duration;

use super::volume::{Estimate, Volume, estimate, json_loads_min};
use crate::model::ByteCount;
use crate::target::Capacity;

/// The most loads that a job holds open without being asked to: a sixtieth of what a database takes by default. More of
/// them are better cut larger, which is for the user to say.
pub const WHOLE_LOADS_MAX: u64 = 16;

/// The most text that travels as JSON without being asked to. It takes a server about three times the work of CSV.
pub const WHOLE_BYTES_MAX: ByteCount = ByteCount(1 << 30);

/// The server's limit of running transactions in a database, where it does not tell (SR §3.5).
const TRANSACTIONS_MAX: u64 = 1000;

/// What a job may take of the transactions that are still free: others want to begin some, too.
const SHARE_OF_FREE: u64 = 2;

/// How long a prepared transaction lives where the server does not tell (SR §4.6).
const PREPARED_FOR: Duration = Duration::from_hours(24);

/// What a job may take of that time.
const SHARE_OF_TIME: u32 = 2;

/// How fast a slow cluster takes JSON, in bytes per second.
const SLOW_RATE: u64 = 4 << 20;

/// What is known of a job before anything is asked of the server.
#[derive(Clone, Debug)]
pub struct Outline {
    /// Its inputs.
    pub inputs: Vec<Volume>,
    /// Text at which a load is cut.
    pub load_size: ByteCount,
    /// Whether the user insists on CSV.
    pub csv_only: bool,
    /// A setting of the user's that a transaction does not heed.
    pub unheeded: Option<String>,
    /// Bytes per second that the user allows.
    pub rate_max: Option<ByteCount>,
}

/// What is committed at once, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Whether it is the whole job.
    pub whole: bool,
    /// Why, as a clause for people.
    pub reason: String,
}

impl Choice {
    fn loads(reason: impl Into<String>) -> Self {
        Self { whole: false, reason: reason.into() }
    }
}

/// A whole job of more loads than can be prepared at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the job makes at least {loads} loads, and a database of the target holds at most {limit} transactions open")]
pub struct TooMany {
    /// The fewest loads that it can be.
    pub loads: u64,
    /// The server's limit.
    pub limit: u64,
    /// A size of loads that would do; none where the inputs alone are too many.
    pub load_size: Option<ByteCount>,
}

/// Chooses by the job alone; none where it is for the server to say. What is chosen here is chosen by everybody who
/// runs the same job.
#[must_use]
pub fn by_outline(job: &Outline) -> Option<Choice> {
    let (Some(as_csv), Some(as_json)) =
        (estimate(&job.inputs, job.load_size, false), estimate(&job.inputs, job.load_size, true))
    else {
        return Some(Choice::loads("the input is a stream, and nobody knows how long it would keep transactions open"));
    };
    if job.csv_only {
        return Some(Choice::loads("a transaction takes no quoted CSV, and --wire csv asks for it"));
    }
    if let Some(setting) = &job.unheeded {
        return Some(Choice::loads(format!("a transaction does not heed the setting {setting}")));
    }
    if as_csv.loads <= 1 {
        return Some(Choice::loads("everything fits into one load, which becomes visible at once anyway"));
    }
    if as_json.loads > WHOLE_LOADS_MAX {
        let loads = as_json.loads;
        return Some(Choice::loads(format!(
            "about {loads} loads would have to be held open, and more than {WHOLE_LOADS_MAX} are not without being asked for"
        )));
    }
    if as_json.bytes > WHOLE_BYTES_MAX.0 {
        let bytes = ByteCount(as_json.bytes);
        return Some(Choice::loads(format!(
            "about {bytes} would have to travel as JSON, and more than {WHOLE_BYTES_MAX} do not without being asked to"
        )));
    }
    None
}

/// Chooses by what the server says of itself, where the job alone leaves it open.
#[must_use]
pub fn by_target(job: &Outline, capacity: &Capacity) -> Choice {
    let estimate = estimate(&job.inputs, job.load_size, true).unwrap_or_default();
    let Estimate { loads, bytes } = estimate;
    match capacity.takes_transactions() {
        None => return Choice::loads("the server does not tell its version, and so not whether it knows transactions"),
        Some(false) => {
            let version = capacity.version.as_deref().unwrap_or_default();
            return Choice::loads(format!("the server, version {version}, knows no transactions"));
        }
        Some(true) => {}
    }
    let free = free(capacity);
    if loads > free / SHARE_OF_FREE {
        return Choice::loads(format!("about {loads} loads would have to be held open, and {}", room(capacity)));
    }
    let rate = job.rate_max.map_or(SLOW_RATE, |rate| rate.0.clamp(1, SLOW_RATE));
    let lasts = Duration::from_secs(bytes / rate);
    let lives = capacity.prepared_for.unwrap_or(PREPARED_FOR);
    if lasts > lives / SHARE_OF_TIME {
        return Choice::loads(format!(
            "sending may take {} s, and the server drops what is prepared after {} s",
            lasts.as_secs(),
            lives.as_secs()
        ));
    }
    Choice { whole: true, reason: format!("about {loads} loads are held open until the end, and {}", room(capacity)) }
}

/// Looks whether a job that is to be committed as a whole can be, and says what may hold it up.
///
/// # Errors
/// When its loads can never all be open at one time.
pub fn check_whole(job: &Outline, capacity: &Capacity) -> Result<Option<String>, TooMany> {
    let loads = json_loads_min(&job.inputs, job.load_size);
    let limit = capacity.transactions_max.unwrap_or(TRANSACTIONS_MAX);
    if loads > limit && capacity.transactions_max.is_some() {
        // Each input is a load for itself, however large loads are.
        let inputs = job.inputs.len() as u64;
        let bytes: u64 = job.inputs.iter().filter_map(|input| input.text_bytes(true)).sum();
        let load_size = (inputs < limit).then(|| ByteCount((bytes / (limit - inputs)).next_power_of_two()));
        return Err(TooMany { loads, limit, load_size });
    }
    let Some(likely) = estimate(&job.inputs, job.load_size, true) else {
        return Ok(capacity.transactions_max.map(|limit| {
            format!("the job stops if the stream makes more than {limit} loads: the target holds no more open")
        }));
    };
    Ok((likely.loads > free(capacity)).then(|| {
        let loads = likely.loads;
        format!(
            "about {loads} loads have to be held open at one time, and {}; a larger --load-size makes fewer",
            room(capacity)
        )
    }))
}

/// How many transactions may still be begun.
fn free(capacity: &Capacity) -> u64 {
    let limit = capacity.transactions_max.unwrap_or(TRANSACTIONS_MAX);
    limit.saturating_sub(capacity.transactions_running.unwrap_or(limit / 2))
}

/// The same in words.
fn room(capacity: &Capacity) -> String {
    match (capacity.transactions_running, capacity.transactions_max) {
        (Some(running), Some(limit)) => format!("{running} of {limit} transactions are running in the database"),
        (Some(running), None) => format!("{running} transactions are running; how many may, the server does not tell"),
        (None, Some(limit)) => format!("{limit} transactions may run in the database; how many do, it does not tell"),
        (None, None) => format!("the server does not tell its limit, which is {TRANSACTIONS_MAX} by default"),
    }
}

#[cfg(test)]
#[path = "commit_tests.rs"]
mod tests;
