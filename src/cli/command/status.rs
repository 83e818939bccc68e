//! `shipload status [JOB]`.

use super::jobs::{self, Error};
use crate::cli::args::Output;
use crate::cli::exit::Exit;
use crate::cli::journal_args::StatusArgs;
use crate::cli::render;
use crate::failure::chain;
use crate::loader::{self, JobEntry};
use crate::model::JobId;

pub(in crate::cli) fn run(args: &StatusArgs) -> Exit {
    let shown = match &args.job {
        Some(job) => one(args, job),
        None => all(args),
    };
    shown.map_or_else(|error| render::failure(&error, None), |()| Exit::Success)
}

fn all(args: &StatusArgs) -> Result<(), Error> {
    let mut entries: Vec<JobEntry> = Vec::new();
    for found in jobs::journals(&args.journal)? {
        entries.extend(found.journal.jobs(args.limit)?);
    }
    // Times of this form sort as texts. Those of one journal are in order already, and stay so.
    entries.sort_by(|one, other| other.started_at.cmp(&one.started_at));
    entries.truncate(args.limit as usize);
    match args.output {
        Output::Json => {
            let lines: Vec<String> = entries.iter().map(|job| render::jobs::object(job).to_string()).collect();
            render::result(&lines.join("\n"));
        }
        Output::Text if entries.is_empty() => render::note("the journal knows of no job"),
        Output::Text => render::result(render::table(&render::jobs::listing(&entries)).trim_end_matches('\n')),
    }
    Ok(())
}

fn one(args: &StatusArgs, job: &JobId) -> Result<(), Error> {
    let (found, entry) = jobs::find(&args.journal, job)?;
    let loads = found.journal.loads(&entry.job, entry.run)?;
    let again = jobs::again(&entry, &found).ok();
    let command = again.as_ref().map(|again| again.recipe.command());
    let error = entry.report.as_ref().and_then(|report| report.error.as_ref());
    let settling = match (error.and_then(|error| error.label.as_ref()), &again) {
        (Some(label), Some(again)) => {
            jobs::settling(label, &again.args, entry.job.as_str(), args.journal.state_dir.as_deref())
        }
        _ => Vec::new(),
    };
    let command = command.as_deref();
    // One that cannot be read is no reason to say nothing of the rest.
    let spooled = loader::spooled(&entry).unwrap_or_else(|error| {
        render::line(&format!("warning: {}", chain(&error)));
        None
    });
    match args.output {
        Output::Json => {
            render::result(
                &render::jobs::full_object(&entry, &loads, spooled.as_ref(), command, &settling).to_string(),
            );
        }
        Output::Text => render::result(&render::jobs::full_text(&entry, &loads, spooled.as_ref(), command, &settling)),
    }
    Ok(())
}
