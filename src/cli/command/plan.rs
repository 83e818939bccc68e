//! `shipload plan SOURCE… --to TARGET`: everything that `import` does but for sending, and the way that loads would take.

use tokio::sync::watch;

use super::import;
use super::{on_runtime, stop_when_interrupted};
use crate::cli::args::{ImportArgs, Output};
use crate::cli::exit::Exit;
use crate::cli::render::{self, plan as shown};
use crate::config::{self, Connected};
use crate::failure::Failure;
use crate::loader::{self, Planned, Stop};
use crate::model::plan::{Plan, Standing};

pub(in crate::cli) fn run(args: &ImportArgs) -> Exit {
    match import::options(args, true) {
        Ok(options) => on_runtime(async {
            match config::connect(&options).await {
                Ok(connected) => {
                    for notice in connected.notices() {
                        render::note(notice);
                    }
                    let exit = plan(args, &connected).await;
                    connected.close().await;
                    exit
                }
                Err(error) => stillborn(args, &error),
            }
        }),
        Err(error) => stillborn(args, &error),
    }
}

async fn plan(args: &ImportArgs, connected: &Connected) -> Exit {
    let (told, interrupt) = watch::channel(None);
    let stop: Stop = stop_when_interrupted(told);
    let planning = connected.loader().and_then(|loader| Ok((loader, args.spec(connected, None, None)?)));
    let (loader, spec) = match planning {
        Ok(parts) => parts,
        Err(error) => return stillborn(args, &error),
    };
    let Planned { plan, error } = loader.plan(&spec, stop).await;
    let interrupted = *interrupt.borrow();
    if let (Some(_), Some(interrupt)) = (&error, interrupted) {
        return interrupt.exit();
    }
    // Where the table is missing, the server has nothing to judge a load by.
    let mut way = connected.cluster().way().await;
    if plan.table_missing
        && let Ok(way) = &mut way
    {
        way.error.take_if(|error| error.code() == crate::failure::Code::NoSuchTable);
    }
    let create = if plan.table_missing { connected.may_log_in().await.err() } else { None };
    let would = verdict(&plan, error.as_ref());
    let seen = shown::Seen { plan: &plan, way: way.as_ref().ok(), would };
    let failure: Option<&dyn Failure> = match (&error, &way, &create) {
        (Some(error), ..) => Some(error),
        (None, Err(error), _) => Some(error),
        (None, Ok(way), create) => match (&way.error, create) {
            (Some(error), _) | (None, Some(error)) => Some(error),
            (None, None) => None,
        },
    };
    match args.output {
        Output::Json => render::result(&shown::json(&seen, failure).to_string()),
        Output::Text => {
            render::result(&shown::text(&seen, failure.is_some()));
        }
    }
    for notice in &plan.notices {
        render::note(notice);
    }
    let place = error.as_ref().and_then(loader::Error::place);
    failure.map_or(Exit::Success, |failure| render::failure(failure, place))
}

/// What running the import would do.
fn verdict(plan: &Plan, error: Option<&loader::Error>) -> &'static str {
    match (error, plan.standing) {
        (Some(_), _) => "fail",
        (None, Standing::Finished) => "do nothing",
        (None, Standing::Unfinished) => "go on",
        (None, Standing::New) => "load",
    }
}

/// A failure before there is anything to plan.
fn stillborn(args: &ImportArgs, error: &config::Error) -> Exit {
    if args.output == Output::Json {
        let plan = Plan { target: config::shown(&args.target.to), ..Plan::default() };
        let seen = shown::Seen { plan: &plan, way: None, would: "fail" };
        render::result(&shown::json(&seen, Some(error)).to_string());
    }
    render::failure(error, None)
}
