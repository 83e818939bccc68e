//! `shipload cancel JOB`.
//!
//! The wish is written into the journal, where a process that is at the job finds it; then this one waits until it has
//! stopped, takes the job's lease, and asks the server about every load that is still open.

use std::path::PathBuf;
use std::time::Duration;

use super::jobs::{self, Again, Error, Found};
use super::on_runtime;
use crate::cli::args::Output;
use crate::cli::exit::Exit;
use crate::cli::journal_args::CancelArgs;
use crate::cli::render;
use crate::clock::{Clock as _, SystemClock};
use crate::config;
use crate::failure::chain;
use crate::loader::{self, JobEntry, Lease, Unsettled};

/// How long a process may take to stop: it asks about each open load for a few seconds. Beyond that it hangs.
const STOP_MAX: Duration = Duration::from_mins(1);

/// How often it is looked whether it has stopped.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(in crate::cli) fn run(args: &CancelArgs) -> Exit {
    let cancelled = jobs::find(&args.journal, &args.job).and_then(|(found, entry)| {
        // Asking for a password has to happen before there are threads that draw on the terminal.
        let asking = asking(args, &found, &entry);
        found.journal.cancel(&entry.job, entry.run, SystemClock.now())?;
        Ok(on_runtime(async {
            cancel(args, &found, &entry, asking).await.unwrap_or_else(|error| render::failure(&error, None))
        }))
    });
    cancelled.unwrap_or_else(|error| render::failure(&error, None))
}

/// What it takes to ask the server, or why it cannot be asked.
fn asking(args: &CancelArgs, found: &Found, entry: &JobEntry) -> Result<(Again, config::ConnectOptions), Error> {
    let again = jobs::again(entry, found)?.with_secret(&args.secret);
    jobs::enter(&again.recipe.folder, entry)?;
    let mut options = again.connect_options();
    options.ask_password()?;
    Ok((again, options))
}

async fn cancel(
    args: &CancelArgs,
    found: &Found,
    entry: &JobEntry,
    asking: Result<(Again, config::ConnectOptions), Error>,
) -> Result<Exit, Error> {
    // Held until the end: nobody else begins in between.
    let _lease = stopped(found, entry).await?;
    let open = match &asking {
        Ok((_, options)) => settle(found, entry, options).await?,
        Err(error) => unasked(found, entry, &chain(error))?,
    };
    let entry = found.journal.job(&entry.job)?.unwrap_or_else(|| entry.clone());
    if open.is_empty() {
        let_go(&entry)?;
    }
    // The one that is at it is this process.
    let entry = JobEntry { holder: None, ..entry };
    let journal: Option<PathBuf> = args.journal.state_dir.clone();
    let commands = |(again, _): &(Again, _)| {
        let of =
            |load: &Unsettled| jobs::settling(load.label.as_str(), &again.args, entry.job.as_str(), journal.as_deref());
        let mut commands: Vec<String> = open.iter().flat_map(of).collect();
        // The command that goes on is the same for all of them, and comes last.
        commands.sort_by_key(|command| command.starts_with("shipload resume"));
        commands.dedup();
        commands
    };
    let commands = asking.as_ref().map_or_else(|_| Vec::new(), commands);
    match args.output {
        Output::Text => render::result(&render::jobs::cancelled_text(&entry, &open, &commands)),
        Output::Json => {
            let loads = found.journal.loads(&entry.job, entry.run)?;
            render::result(&render::jobs::cancelled_object(&entry, &loads, &open, &commands).to_string());
        }
    }
    Ok(if open.is_empty() { Exit::Success } else { Exit::InDoubt })
}

/// Lets go of what was read of a stream and is not settled. Where a load is in doubt, its bytes may be needed yet.
fn let_go(entry: &JobEntry) -> Result<(), Error> {
    // Of a damaged spool nothing can be told, and nothing is wanted.
    let spooled = loader::spooled(entry).ok().flatten();
    loader::drop_spooled(entry)?;
    if let Some(spooled) = spooled.filter(|spooled| spooled.loads > 0) {
        let (rows, folder) = (spooled.rows, spooled.folder.display());
        render::note(&format!("the spool in {folder} is removed, with {rows} rows that were kept there"));
    }
    Ok(())
}

/// The job's lease, once whoever is at it has stopped.
async fn stopped(found: &Found, entry: &JobEntry) -> Result<Lease, Error> {
    let started = SystemClock.instant();
    let mut told = false;
    loop {
        if let Some(lease) = found.journal.lease(&entry.job, SystemClock.now())? {
            return Ok(lease);
        }
        let holder = found.journal.holder(&entry.job)?;
        if let Some(holder) = holder {
            if !told {
                render::note(&format!("process {} is at it, and is told to stop", holder.pid));
                told = true;
            }
            if SystemClock.instant() - started > STOP_MAX {
                return Err(Error::StillRunning { job: entry.job.clone(), pid: holder.pid });
            }
        }
        SystemClock.sleep(LOOK_EVERY).await;
    }
}

/// Asks about what is open, if something is.
async fn settle(found: &Found, entry: &JobEntry, options: &config::ConnectOptions) -> Result<Vec<Unsettled>, Error> {
    if unasked(found, entry, "")?.is_empty() {
        return Ok(Vec::new());
    }
    let connected = match config::connect(options).await {
        Ok(connected) => connected,
        Err(error) => return unasked(found, entry, &chain(&error)),
    };
    let settled = match connected.loader() {
        Ok(loader) => loader.settle_open(&found.journal, entry).await.map_err(Error::from),
        Err(error) => unasked(found, entry, &chain(&error)),
    };
    connected.close().await;
    settled
}

/// What is open, where nobody can be asked about it.
fn unasked(found: &Found, entry: &JobEntry, why: &str) -> Result<Vec<Unsettled>, Error> {
    let loads = found.journal.loads(&entry.job, entry.run)?;
    let open = loads.into_iter().filter(|(_, load)| load.state.is_open());
    Ok(open.map(|(label, load)| Unsettled { label, rows: load.rows, why: why.to_owned() }).collect())
}
