//! `shipload run FILE`: the imports of a job file, one after the other, or all of them together.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::import::{self, Origin};
use super::{Interrupt, on_runtime, stop_when_interrupted};
use crate::cli::args::{Output, RunArgs};
use crate::cli::exit::Exit;
use crate::cli::job_file::{self, FileLoad, JobFile};
use crate::cli::render;
use crate::config::{self, ConnectOptions, Connected, Recipe};
use crate::failure::{Failure, chain};
use crate::loader::{self, Ended, Stop};

/// The imports of a file, each with how to reach its target.
type Loads = Vec<(FileLoad, ConnectOptions)>;

/// How a run of one of the imports ended, or why it did not begin.
type Done = Result<(Exit, Ended), config::Error>;

pub(in crate::cli) fn run(args: &RunArgs) -> Exit {
    let (loads, together) = match prepared(args) {
        Ok(prepared) => prepared,
        Err(error) => {
            if args.output == Output::Json {
                render::result(&json!({"jobs": [], "error": error_json(error.as_ref())}).to_string());
            }
            return render::failure(error.as_ref(), None);
        }
    };
    on_runtime(async {
        let (told, interrupt) = watch::channel(None);
        let stop = stop_when_interrupted(told);
        if together {
            all_or_none(args, loads, stop, &interrupt).await
        } else {
            in_turn(args, loads, stop, &interrupt).await
        }
    })
}

/// The imports of the file with how to reach each target, and whether they are committed together.
fn prepared(args: &RunArgs) -> Result<(Loads, bool), Box<dyn Failure>> {
    let JobFile { loads, together } =
        job_file::read(&args.file).map_err(|error| Box::new(error) as Box<dyn Failure>)?;
    let mut prepared = Vec::new();
    for mut load in loads {
        if let Some(password) = &args.secret.password {
            load.args.target.password = Some(password.clone());
        }
        if let Some(password_file) = &args.secret.password_file {
            load.args.target.password_file = Some(password_file.clone());
        }
        if together {
            load.part_of(&args.file);
        }
        let options = import::options(&load.args, true).map_err(|error| Box::new(error) as Box<dyn Failure>)?;
        prepared.push((load, options));
    }
    Ok((prepared, together))
}

fn error_json(error: &dyn Failure) -> Value {
    json!({"code": error.code().to_string(), "message": chain(error), "hint": error.hint()})
}

/// One after the other; one that fails does not keep the next from its turn, and an interrupt does.
async fn in_turn(args: &RunArgs, loads: Loads, stop: Stop, interrupt: &watch::Receiver<Option<Interrupt>>) -> Exit {
    let mut done = Vec::new();
    for (load, options) in &loads {
        if interrupt.borrow().is_some() {
            break;
        }
        let recipe = Recipe::of(&load.args, load.arguments.clone()).map(|recipe| recipe.text());
        let origin = Origin { recipe, only: None, spooled: None };
        let one = import::perform(&load.args, options, origin, stop.clone(), interrupt).await;
        tell(args, load, &one);
        done.push(one);
    }
    finish(args, &loads, done)
}

/// All of them together.
async fn all_or_none(args: &RunArgs, loads: Loads, stop: Stop, interrupt: &watch::Receiver<Option<Interrupt>>) -> Exit {
    let mut connected = Vec::new();
    let prepared = prepare(&loads, &mut connected).await;
    let done: Vec<Done> = match prepared {
        Ok(jobs) => {
            let ended = loader::run_together(&jobs, stop).await;
            let exit = |(mut ended, (load, _)): (Ended, &(FileLoad, ConnectOptions))| {
                import::say_what_settles(&load.args, &mut ended);
                Ok((import::exit_of(&ended, *interrupt.borrow()), ended))
            };
            ended.into_iter().zip(&loads).map(exit).collect()
        }
        Err(error) => vec![Err(error)],
    };
    for connected in connected.into_iter().rev() {
        connected.close().await;
    }
    for ((load, _), one) in loads.iter().zip(&done) {
        tell(args, load, one);
    }
    finish(args, &loads, done)
}

async fn prepare(
    loads: &[(FileLoad, ConnectOptions)],
    connected: &mut Vec<Connected>,
) -> Result<Vec<(loader::Loader, loader::JobSpec)>, config::Error> {
    let wrong = |what: &str, hint: &str| config::Error::Value { what: what.to_owned(), hint: hint.to_owned() };
    if loads.iter().any(|(load, _)| load.reads_stdin()) {
        return Err(wrong("standard input cannot be one of several that are committed together", "load it by itself"));
    }
    if loads.iter().any(|(load, _)| load.args.deadline.is_some()) {
        return Err(wrong(
            "a deadline ends one job, and these end together",
            "leave it out, and use `timeout` around the run",
        ));
    }
    for (_, options) in loads {
        connected.push(config::connect(options).await?);
    }
    let clusters: BTreeSet<String> = connected.iter().map(Connected::cluster_name).collect();
    if clusters.len() > 1 {
        return Err(wrong(
            "loads that are committed together have to go into one cluster, with one list of frontends",
            "write the same frontends in every `to`, or make a file for each cluster",
        ));
    }
    let mut jobs = Vec::new();
    for ((load, _), connected) in loads.iter().zip(connected.iter()) {
        let recipe = Recipe::of(&load.args, load.arguments.clone()).map(|recipe| recipe.text());
        let spec = load.args.spec(connected, recipe, None)?;
        jobs.push((connected.loader()?, spec));
    }
    let journals: BTreeSet<_> = jobs.iter().map(|(_, spec)| spec.state_folder.clone()).collect();
    if journals.len() > 1 {
        return Err(wrong(
            "loads that are committed together have to have one journal",
            "say state_dir once, at the top",
        ));
    }
    Ok(jobs)
}

/// Tells a person how one of them ended.
fn tell(args: &RunArgs, load: &FileLoad, done: &Done) {
    match (done, args.output) {
        (Ok((_, ended)), Output::Text) => import::show(Output::Text, load.args.profile, ended),
        (Ok((_, ended)), Output::Json) => import::show_aside(ended),
        (Err(error), _) => {
            render::line(&format!("{}: not begun", config::shown(&load.args.target.to)));
            render::failure(error, None);
        }
    }
}

/// The report of all of them, and the worst of their ends.
fn finish(args: &RunArgs, loads: &[(FileLoad, ConnectOptions)], done: Vec<Done>) -> Exit {
    if args.output == Output::Json {
        let job = |((load, _), one): (&(FileLoad, ConnectOptions), &Done)| {
            let text = match one {
                Ok((_, ended)) => render::report_json(&ended.report),
                Err(error) => {
                    let target = config::shown(&load.args.target.to);
                    render::report_json(&render::stillborn(&target, error.code(), chain(error), error.hint()))
                }
            };
            serde_json::from_str::<Value>(&text).expect("a report is JSON")
        };
        let jobs: Vec<Value> = loads.iter().zip(&done).map(job).collect();
        render::result(&json!({ "jobs": jobs }).to_string());
    }
    let left = loads.len() - done.len();
    if left > 0 {
        render::note(&format!("{left} of {} loads were not begun", loads.len()));
    }
    let interrupted = left > 0 && done.iter().all(Result::is_ok);
    let exits = done.into_iter().map(|one| match one {
        Err(error) => Exit::of(&error),
        // What failed with another one says nothing that the other one's end does not.
        Ok((_, Ended { error: Some(loader::Error::Together { .. }), .. })) => Exit::Success,
        Ok((exit, _)) => exit,
    });
    let left = interrupted.then_some(Exit::Failed);
    exits.chain(left).max_by_key(|exit| exit.badness()).unwrap_or(Exit::Success)
}
