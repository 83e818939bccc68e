//! Jobs: begun, listed, looked at, cancelled, resumed.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};
use serde_json::{Value, json};

use super::body::{self, Reply};
use super::problem::Problem;
use super::{Call, upload};
use crate::daemon::jobs::ask::Ask;
use crate::daemon::jobs::entry::{Entry, State};
use crate::failure::Code;
use crate::loader::Rejected;

/// Jobs of one list, at most.
const LISTED_MAX: usize = 1000;

/// Jobs of a list whose length nobody asks for.
const LISTED: usize = 100;

/// Rejected rows that are shown, unless somebody asks for another number.
const REJECTS: usize = 100;

/// Rejected rows that are shown, at most.
const REJECTS_MAX: usize = 10_000;

/// Begins a job. The same request under the same `Idempotency-Key` is answered with the job that there is.
pub(super) async fn submit(call: Call) -> Result<Reply, Problem> {
    call.service.jobs.is_open()?;
    let config = call.service.config();
    let key = upload::key(call.request.headers())?;
    let body = body::read(call.request, &config.server).await?;
    // Files are looked at: the disk may take its time.
    let ask = tokio::task::block_in_place(|| Ask::of_files(&config, &body))?;
    let (entry, new) = call.service.jobs.submit(ask, key.as_deref())?;
    let status = if new { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok(located(body::json(status, &entry.view()), &entry))
}

pub(super) fn located(mut reply: Reply, entry: &Entry) -> Reply {
    if let Ok(place) = HeaderValue::from_str(&format!("/v1/jobs/{}", entry.id)) {
        reply.headers_mut().insert(LOCATION, place);
    }
    reply
}

/// Jobs, newest first. `after` is the last one of the list before.
pub(super) fn list(call: &Call) -> Result<Reply, Problem> {
    let limit = number(call, "limit", LISTED, LISTED_MAX)?;
    let state = call.parameter("state").map(|word| state_of(&word)).transpose()?;
    let after = call.parameter("after");
    let mut entries = call.service.jobs.all();
    if let Some(after) = after {
        let index = entries.iter().position(|entry| entry.id == after);
        let index = index.ok_or_else(|| Problem::new(Code::JobUnknown, format!("there is no job {after}")))?;
        entries.drain(..=index);
    }
    entries.retain(|entry| state.is_none_or(|state| entry.state() == state));
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| more).map(|entry| entry.id.clone());
    let jobs: Vec<Value> = entries.iter().map(|entry| entry.view()).collect();
    Ok(body::json(StatusCode::OK, &json!({"jobs": jobs, "next": next})))
}

fn state_of(word: &str) -> Result<State, Problem> {
    State::ALL.into_iter().find(|state| state.word() == word).ok_or_else(|| {
        let hint = format!("these are: {}", State::ALL.map(State::word).join(", "));
        Problem::new(Code::RequestWrong, format!("`{word}` is no state of a job")).with_hint(&hint)
    })
}

pub(super) fn number(call: &Call, name: &str, usual: usize, max: usize) -> Result<usize, Problem> {
    let Some(text) = call.parameter(name) else { return Ok(usual) };
    let number = text.parse().ok().filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| {
        Problem::new(Code::RequestWrong, format!("`{name}` is a number from 1 to {max}")).with_hint("leave it out")
    })
}

fn found(call: &Call) -> Result<Arc<Entry>, Problem> {
    call.service.jobs.find(&call.segments[0])
}

pub(super) fn show(call: &Call) -> Result<Reply, Problem> {
    Ok(body::json(StatusCode::OK, &found(call)?.view()))
}

/// Answered at once: a job that is at work stops soon, and says so itself.
pub(super) async fn cancel(call: Call) -> Result<Reply, Problem> {
    let entry = found(&call)?;
    call.service.jobs.cancel(&entry).await?;
    Ok(body::json(StatusCode::ACCEPTED, &entry.view()))
}

pub(super) fn resume(call: &Call) -> Result<Reply, Problem> {
    let entry = call.service.jobs.resume(&found(call)?)?;
    Ok(body::json(StatusCode::ACCEPTED, &entry.view()))
}

/// The account of a job that has ended.
pub(super) fn report(call: &Call) -> Result<Reply, Problem> {
    let entry = found(call)?;
    let report = entry.outcome().and_then(|outcome| outcome.report).ok_or_else(|| {
        let problem = Problem::new(Code::NothingThere, format!("there is no report of {} yet", entry.id));
        problem.with_hint("GET the job itself says how it stands")
    })?;
    Ok(body::json(StatusCode::OK, &report))
}

/// The rejected rows of a job: how many for which reason, and the first few.
pub(super) fn rejects(call: &Call) -> Result<Reply, Problem> {
    let entry = found(call)?;
    let limit = number(call, "limit", REJECTS, REJECTS_MAX)?;
    let report = entry.outcome().and_then(|outcome| outcome.report);
    let folder = report.as_ref().and_then(|report| report.rejects.as_ref()).map(PathBuf::from);
    let rejected = match &folder {
        None => Rejected::default(),
        Some(folder) => match tokio::task::block_in_place(|| Rejected::read(folder, limit)) {
            Ok(rejected) => rejected,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Rejected::default(),
            Err(error) => {
                let what = format!("the rejects in {} cannot be read: {error}", folder.display());
                return Err(Problem::new(Code::RejectsUnwritable, what));
            }
        },
    };
    let mut value = json!(rejected);
    value["id"] = entry.id.as_str().into();
    value["job"] = entry.job().into();
    value["folder"] = folder.map(|folder| folder.display().to_string()).into();
    Ok(body::json(StatusCode::OK, &value))
}
