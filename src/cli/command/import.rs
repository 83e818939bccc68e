//! `shipload import SOURCE… --to TARGET`.

use tokio::sync::watch;

use super::jobs::settling;
use super::{Interrupt, on_runtime, stop_when_interrupted};
use crate::cli::args::{ImportArgs, Output};
use crate::cli::exit::Exit;
use crate::cli::render;
use crate::cli::render::progress::Bar;
use crate::config::{self, ConnectOptions, Recipe};
use crate::failure::{Failure as _, chain};
use crate::loader::{Ended, JobEntry, JobSpec, Loader, Stop};

pub(in crate::cli) fn run(args: ImportArgs) -> Exit {
    let origin =
        Origin { recipe: Recipe::of_this_process(&args).map(|recipe| recipe.text()), only: None, spooled: None };
    begin(args, origin)
}

/// Where an import comes from.
pub(super) struct Origin {
    /// How it can be begun again.
    pub(super) recipe: Option<String>,
    /// The work it has to be; whatever it is when left out.
    pub(super) only: Option<String>,
    /// A job of which only what lies in its spool is to be sent.
    pub(super) spooled: Option<JobEntry>,
}

/// Why an import is not done by itself, if it is one of several that are committed together.
fn alone(args: &ImportArgs) -> Option<config::Error> {
    let file = args.part_of.as_ref()?;
    Some(config::Error::Value {
        what: format!("this import is committed together with the others of {}", file.display()),
        hint: format!("run all of them: shipload run {}", file.display()),
    })
}

/// Does an import that was just typed, or that the journal knows.
pub(super) fn begin(args: ImportArgs, origin: Origin) -> Exit {
    if let Some(error) = alone(&args) {
        return report_failure(&args, &error);
    }
    match options(&args, origin.spooled.is_none()) {
        Ok(options) => on_runtime(import(args, options, origin)),
        Err(error) => report_failure(&args, &error),
    }
}

/// How to reach the target, with a password where one can be asked for. `reads` says that the sources are going to be read.
pub(super) fn options(args: &ImportArgs, reads: bool) -> Result<ConnectOptions, config::Error> {
    let mut options = args.target.connect_options(args.load_timeout, args.timezone.clone());
    // Standard input that brings the rows cannot bring an answer as well.
    if !reads || !args.sources.iter().any(|source| source == "-") {
        options.ask_password()?;
    }
    Ok(options)
}

async fn import(args: ImportArgs, options: ConnectOptions, origin: Origin) -> Exit {
    let (told, interrupt) = watch::channel(None);
    let stop = stop_when_interrupted(told);
    match perform(&args, &options, origin, stop, &interrupt).await {
        Ok((exit, ended)) => {
            show(args.output, args.profile, &ended);
            exit
        }
        Err(error) => report_failure(&args, &error),
    }
}

/// Does an import, and leaves it to the caller to show what became of it.
pub(super) async fn perform(
    args: &ImportArgs,
    options: &ConnectOptions,
    origin: Origin,
    stop: Stop,
    interrupt: &watch::Receiver<Option<Interrupt>>,
) -> Result<(Exit, Ended), config::Error> {
    let connected = config::connect(options).await?;
    for notice in connected.notices() {
        render::note(notice);
    }
    let spooled = origin.spooled.clone();
    let ended =
        match connected.loader().and_then(|loader| Ok((loader, args.spec(&connected, origin.recipe, origin.only)?))) {
            Ok((loader, spec)) => Ok(load(args, &loader, &spec, spooled.as_ref(), stop, interrupt).await),
            Err(error) => Err(error),
        };
    connected.close().await;
    ended
}

async fn load(
    args: &ImportArgs,
    loader: &Loader,
    spec: &JobSpec,
    spooled: Option<&JobEntry>,
    stop: Stop,
    interrupt: &watch::Receiver<Option<Interrupt>>,
) -> (Exit, Ended) {
    let bar = Bar::start(loader.progress(), !args.dry_run);
    let mut ended = match spooled {
        Some(job) => loader.resume_spooled(spec, job, stop).await,
        None => loader.run_until(spec, stop).await,
    };
    bar.finish().await;
    let exit = exit_of(&ended, *interrupt.borrow());
    say_what_settles(args, &mut ended);
    (exit, ended)
}

/// Adds the commands that settle what is in doubt.
pub(super) fn say_what_settles(args: &ImportArgs, ended: &mut Ended) {
    if let Some(error) = &mut ended.report.error
        && let Some(label) = &error.label
    {
        error.commands = settling(label, args, &ended.report.job, args.state_dir.as_deref());
    }
}

/// Shows how an import ended.
pub(super) fn show(output: Output, profile: bool, ended: &Ended) {
    show_notices(ended);
    match output {
        Output::Json => render::result(&render::report_json(&ended.report)),
        Output::Text => {
            render::result(&render::report_text(&ended.report, ended.already.as_deref()));
            if let Some(profile) = ended.report.profile.as_ref().filter(|_| profile) {
                render::result(&render::profile_text(profile, &ended.report.bottleneck, ended.report.elapsed_seconds));
            }
        }
    }
    show_error(ended);
}

/// Shows what goes to people alone.
pub(super) fn show_aside(ended: &Ended) {
    show_notices(ended);
    show_error(ended);
}

fn show_notices(ended: &Ended) {
    for notice in &ended.notices {
        render::note(notice);
    }
}

fn show_error(ended: &Ended) {
    if let Some(error) = &ended.error {
        render::failure(error, error.place());
    }
}

pub(super) fn exit_of(ended: &Ended, interrupt: Option<Interrupt>) -> Exit {
    match (&ended.error, interrupt) {
        (Some(error), interrupt) => match (Exit::of(error), interrupt) {
            (Exit::Interrupted, Some(interrupt)) => interrupt.exit(),
            (exit, _) => exit,
        },
        (None, _) if ended.report.rows_rejected > 0 => Exit::SomeRejected,
        (None, _) => Exit::Success,
    }
}

/// A failure before there is a job to report on.
fn report_failure(args: &ImportArgs, error: &config::Error) -> Exit {
    if args.output == Output::Json {
        let target = config::shown(&args.target.to);
        let report = render::stillborn(&target, error.code(), chain(error), error.hint());
        render::result(&render::report_json(&report));
    }
    render::failure(error, None)
}
