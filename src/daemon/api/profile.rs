//! `POST /debug/prof/cpu` and `/debug/prof/mem`: where time and memory go, as far as this build can tell.

use std::fmt::Write as _;
use std::fs;

use hyper::StatusCode;

use super::Call;
use super::body::{self, Reply};
use super::jobs::number;
use super::problem::Problem;
use crate::failure::Code;

/// Seconds for which samples are taken, unless somebody asks for another number, and at most.
const SECONDS: (usize, usize) = (5, 300);

/// Samples a second: none of the round numbers at which timers fire. At most as many as disturb little.
const FREQUENCY: (usize, usize) = (99, 999);

/// How a profile is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) enum Form {
    /// pprof's protobuf, uncompressed.
    Proto,
    /// Stacks, for people.
    Text,
    /// A picture, in SVG.
    Flamegraph,
}

fn form(call: &Call, usual: Form) -> Result<Form, Problem> {
    match call.parameter("output").as_deref() {
        None => Ok(usual),
        Some("proto") => Ok(Form::Proto),
        Some("text") => Ok(Form::Text),
        Some("flamegraph") => Ok(Form::Flamegraph),
        Some(other) => Err(Problem::new(Code::RequestWrong, format!("there is no output `{other}`"))
            .with_hint("it takes proto, text or flamegraph")),
    }
}

fn not_built_in(what: &str, hint: &str) -> Problem {
    Problem::new(Code::NothingThere, what).with_status(StatusCode::NOT_IMPLEMENTED).with_hint(hint)
}

/// Takes samples of all threads for a while, and answers then.
pub(super) async fn cpu(call: Call) -> Result<Reply, Problem> {
    let seconds = number(&call, "seconds", SECONDS.0, SECONDS.1)?;
    let frequency = number(&call, "frequency", FREQUENCY.0, FREQUENCY.1)?;
    let form = form(&call, Form::Proto)?;
    taken(seconds, frequency, form).await
}

#[cfg(feature = "profiling")]
async fn taken(seconds: usize, frequency: usize, form: Form) -> Result<Reply, Problem> {
    let time = std::time::Duration::from_secs(seconds as u64);
    let content = match form {
        Form::Proto => "application/octet-stream",
        Form::Text => "text/plain; charset=utf-8",
        Form::Flamegraph => "image/svg+xml",
    };
    let bytes = crate::daemon::profile::cpu(time, frequency, form).await.map_err(|why| {
        Problem::new(Code::TooMuch, format!("no samples can be taken: {why}"))
            .with_retry(seconds as u64)
            .with_hint("one profile is taken at a time")
    })?;
    Ok(body::reply(StatusCode::OK, content, bytes))
}

#[cfg(not(feature = "profiling"))]
#[expect(clippy::unused_async, reason = "where it is built in it takes its time")]
async fn taken(_seconds: usize, _frequency: usize, _form: Form) -> Result<Reply, Problem> {
    Err(not_built_in("this shipload was built without CPU profiles", "build it with the feature `profiling`"))
}

/// What the system and the service know of the memory. The allocator keeps no stacks, so that nothing tells who has it.
pub(super) fn memory(call: &Call) -> Result<Reply, Problem> {
    if form(call, Form::Text)? != Form::Text {
        let what = "this shipload's allocator does not note who has which memory";
        return Err(not_built_in(what, "ask for output=text, which is what the system knows"));
    }
    let standing = call.service.jobs.standing();
    let limit = call.service.config().jobs.memory;
    let mut text = format!("limit_bytes {}\ngranted_to_jobs_bytes {}\n", limit.0, standing.bytes);
    for path in ["/proc/self/status", "/proc/self/smaps_rollup"] {
        let known = fs::read_to_string(path).unwrap_or_default();
        let lines = known.lines().filter(|line| line.ends_with(" kB"));
        for line in lines {
            let Some((name, value)) = line.split_once(':') else { continue };
            let kibibytes: u64 = value.trim().trim_end_matches(" kB").trim().parse().unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}_bytes {}", name.to_ascii_lowercase(), kibibytes * 1024);
        }
    }
    Ok(body::text(text))
}
