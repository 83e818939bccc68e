//! `shipload resume [JOB]`: the import as it was typed, from the folder where it was typed.

use super::import::{self, Origin};
use super::jobs::{self, Error, Found};
use crate::cli::args::Output;
use crate::cli::exit::Exit;
use crate::cli::journal_args::ResumeArgs;
use crate::cli::render;
use crate::failure::{Failure as _, chain};
use crate::loader::{self, JobEntry, JobStanding};
use crate::model::{JobState, Report};

pub(in crate::cli) fn run(args: &ResumeArgs) -> Exit {
    resume(args).unwrap_or_else(|error| {
        if args.output == Output::Json {
            let report = render::stillborn("", error.code(), chain(&error), error.hint());
            render::result(&render::report_json(&report));
        }
        render::failure(&error, None)
    })
}

fn resume(args: &ResumeArgs) -> Result<Exit, Error> {
    let chosen = match &args.job {
        Some(job) => Some(jobs::find(&args.journal, job)?),
        None => only_one(args)?,
    };
    let Some((found, entry)) = chosen else {
        render::note("the journal knows of no unfinished job");
        return Ok(Exit::Success);
    };
    if let Some(report) = entry.report.as_ref().filter(|_| entry.finished) {
        return Ok(finished(args, &entry, report));
    }
    let mut again = jobs::again(&entry, &found)?.with_secret(&args.secret);
    let lies = |spooled: loader::Spooled| spooled.loads > 0 || spooled.whole;
    let spooled = entry.stream && (entry.decided || loader::spooled(&entry)?.is_some_and(lies));
    if entry.stream && !spooled {
        return Err(Error::NotResumable {
            job: entry.job.to_string(),
            why: "it reads a stream, which only whoever writes it can begin again".to_owned(),
            next: stream_hint(&again.recipe.command(), again.args.job.is_some()),
        });
    }
    again.args.output = args.output;
    // It goes on with the run there is, also where that one was asked for with `--again`.
    again.args.again = false;
    jobs::enter(&again.recipe.folder, &entry)?;
    // What the journal holds of it is dropped before the import opens the journal itself.
    drop(found);
    let (recipe, only) = (entry.recipe.clone(), Some(entry.fingerprint.clone()));
    Ok(import::begin(again.args, Origin { recipe, only, spooled: spooled.then_some(entry) }))
}

fn stream_hint(command: &str, named: bool) -> String {
    if named {
        format!("write the same bytes into it once more: … | {command}")
    } else {
        "it has no name by which its rows would be known again, so that writing them once more loads them once more; what of \
         it is in the table, `shipload cancel` says; --job NAME makes the next one resumable"
            .to_owned()
    }
}

/// The one unfinished job that nobody is at and nobody cancelled.
fn only_one(args: &ResumeArgs) -> Result<Option<(Found, JobEntry)>, Error> {
    /// Whoever has more jobs than these names the one that is meant.
    const JOBS_MAX: u32 = 10_000;
    let mut open = Vec::new();
    for found in jobs::journals(&args.journal)? {
        for entry in found.journal.jobs(JOBS_MAX)? {
            // An older run of a job that was loaded anew is history.
            let latest = found.journal.job(&entry.job)?.is_some_and(|latest| latest.run == entry.run);
            if latest
                && !matches!(entry.standing(), JobStanding::Finished | JobStanding::Running | JobStanding::Cancelled)
            {
                open.push((found.folder.clone(), entry));
            }
        }
    }
    if open.len() > 1 {
        let names: Vec<String> = open.iter().map(|(_, entry)| render::jobs::one_line(entry)).collect();
        return Err(Error::NotResumable {
            job: format!("one of {} jobs", names.len()),
            why: "several are unfinished".to_owned(),
            next: format!("say which: {}", names.join(", ")),
        });
    }
    open.pop().map(|(_, entry)| jobs::find(&args.journal, &entry.job)).transpose()
}

fn finished(args: &ResumeArgs, entry: &JobEntry, report: &Report) -> Exit {
    let report = Report { state: JobState::AlreadyLoaded, ..report.clone() };
    match args.output {
        Output::Json => render::result(&render::report_json(&report)),
        Output::Text => render::result(&render::report_text(&report, entry.ended_at.as_deref())),
    }
    if report.rows_rejected > 0 { Exit::SomeRejected } else { Exit::Success }
}
