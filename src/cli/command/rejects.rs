//! `shipload rejects JOB`.

use std::io;
use std::path::PathBuf;

use serde_json::json;

use super::jobs::{self, Error, Found};
use crate::cli::args::Output;
use crate::cli::exit::Exit;
use crate::cli::journal_args::RejectsArgs;
use crate::cli::render;
use crate::loader::{JobEntry, Rejected};

pub(in crate::cli) fn run(args: &RejectsArgs) -> Exit {
    show(args).map_or_else(|error| render::failure(&error, None), |()| Exit::Success)
}

fn show(args: &RejectsArgs) -> Result<(), Error> {
    let (found, job) = jobs::find(&args.journal, &args.job)?;
    let folder = folder(&job, &found);
    let counted = job.report.as_ref().map_or(0, |report| report.rows_rejected);
    let rejected = match &folder {
        None => Rejected::default(),
        Some(folder) => match Rejected::read(folder, args.limit as usize) {
            Ok(rejected) => rejected,
            // A folder comes into being with the first reject.
            Err(error) if error.kind() == io::ErrorKind::NotFound && counted == 0 => Rejected::default(),
            Err(source) => return Err(Error::RejectsGone { job: job.job, folder: folder.clone(), source }),
        },
    };
    match args.output {
        Output::Text => render::result(&render::jobs::rejects_text(&job, &rejected)),
        Output::Json => {
            let mut value = json!({"job": job.job.as_str(), "state": job.standing(), "folder": folder});
            let rejected = json!(rejected);
            for field in ["rows", "files", "reasons", "first"] {
                value[field] = rejected[field].clone();
            }
            render::result(&value.to_string());
        }
    }
    Ok(())
}

/// Where the rejects of a job are: below the folder that its import named, or where its report says.
fn folder(job: &JobEntry, found: &Found) -> Option<PathBuf> {
    if let Ok(again) = jobs::again(job, found) {
        return Some(again.recipe.folder.join(&again.args.rejects).join(job.job.as_str()));
    }
    job.report.as_ref().and_then(|report| report.rejects.as_ref()).map(PathBuf::from)
}
