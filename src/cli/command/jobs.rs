//! What `status`, `resume`, `cancel` and `rejects` have in common: finding a job in the journals there are.

use std::path::{Path, PathBuf};
use std::{env, io};

use crate::cli::args::ImportArgs;
use crate::cli::journal_args::{JournalArgs, SecretArgs};
use crate::config::{self, ConnectOptions, Recipe};
use crate::failure::{Code, Failure};
use crate::loader::{self, JobEntry, Journal};
use crate::model::JobId;
use crate::near;

/// A journal and where it is.
pub(super) struct Found {
    pub(super) folder: PathBuf,
    pub(super) journal: Journal,
}

/// Why a verb cannot do its work on a job.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The journal cannot be read, or an open load not asked about.
    #[error(transparent)]
    Loader(#[from] loader::Error),
    /// The job's target cannot be used.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// No journal has the job.
    #[error("there is no job {job} in {places}")]
    Unknown { job: JobId, places: String, near: Vec<String> },
    /// The job cannot be begun again from what the journal keeps.
    #[error("{job} cannot be gone on with from here: {why}")]
    NotResumable { job: String, why: String, next: String },
    /// A process that was told to stop does not.
    #[error("process {pid} has not stopped working on {job}")]
    StillRunning { job: JobId, pid: u32 },
    /// Files of rejects are not where they were written.
    #[error("the rejects of {job} cannot be read in {folder}", folder = folder.display())]
    RejectsGone { job: JobId, folder: PathBuf, source: io::Error },
}

impl Failure for Error {
    fn code(&self) -> Code {
        match self {
            Self::Loader(error) => error.code(),
            Self::Config(error) => error.code(),
            Self::Unknown { .. } => Code::JobUnknown,
            Self::NotResumable { .. } | Self::StillRunning { .. } => Code::NotResumable,
            Self::RejectsGone { .. } => Code::InputMissing,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Loader(error) => return error.hint(),
            Self::Config(error) => return error.hint(),
            Self::Unknown { near, .. } if near.is_empty() => {
                "`shipload status` lists the jobs; --state-dir names the folder of another journal".to_owned()
            }
            Self::Unknown { near, .. } => format!("did you mean {}?", near.join(" or ")),
            Self::NotResumable { next, .. } => next.clone(),
            Self::StillRunning { job, pid } => format!(
                "it is told to, and stops before it sends anything more; `kill -9 {pid}` ends it at once, and then \
                 `shipload cancel {job}` settles what it left open"
            ),
            Self::RejectsGone { .. } => "import again with --again to have them once more".to_owned(),
        })
    }
}

impl From<loader::JournalError> for Error {
    fn from(error: loader::JournalError) -> Self {
        Self::Loader(error.into())
    }
}

/// The journals there are: the one that was named, or else those that `import` uses by itself.
pub(super) fn journals(args: &JournalArgs) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    for folder in folders(args) {
        // A verb may go to the folder of a job; what is relative now has to be found then, too.
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        if let Some(journal) = Journal::existing(&folder)? {
            found.push(Found { folder, journal });
        }
    }
    Ok(found)
}

fn folders(args: &JournalArgs) -> Vec<PathBuf> {
    match &args.state_dir {
        Some(folder) => vec![folder.clone()],
        None => config::default_state_folder().into_iter().chain([args.sandbox_dir.join("state")]).collect(),
    }
}

/// A job and the journal that has it.
pub(super) fn find(args: &JournalArgs, job: &JobId) -> Result<(Found, JobEntry), Error> {
    /// Names beyond these are nobody's slip of the fingers.
    const NAMES_MAX: u32 = 1000;
    let mut names = Vec::new();
    for found in journals(args)? {
        if let Some(entry) = found.journal.job(job)? {
            return Ok((found, entry));
        }
        names.extend(found.journal.jobs(NAMES_MAX)?.into_iter().map(|entry| entry.job.to_string()));
    }
    let near = near::names(job.as_str(), names.iter().map(String::as_str)).into_iter().map(str::to_owned).collect();
    let places: Vec<String> = folders(args).iter().map(|folder| folder.display().to_string()).collect();
    Err(Error::Unknown { job: job.clone(), places: places.join(" or "), near })
}

/// The import that a job was, ready to be done again, in the folder where it was typed.
pub(super) struct Again {
    pub(super) recipe: Recipe,
    pub(super) args: ImportArgs,
}

/// How a job was begun, from its journal entry.
pub(super) fn again(entry: &JobEntry, found: &Found) -> Result<Again, Error> {
    let refused = |why: &str, next: String| Error::NotResumable { job: entry.job.to_string(), why: why.into(), next };
    let same = || "run the same import again: it goes on where it stopped".to_owned();
    let Some(recipe) = entry.recipe.as_deref().and_then(Recipe::read) else {
        return Err(refused("the journal does not say how it was begun", same()));
    };
    let Some(mut args) = recipe.import() else {
        return Err(refused("this version does not know how it was begun", format!("it was: {}", recipe.command())));
    };
    // The journal is the one in which the job was found, whatever it was called from where the job was begun.
    args.state_dir = Some(found.folder.clone());
    Ok(Again { recipe, args })
}

/// Goes to the folder where an import was typed: the paths in it start there.
pub(super) fn enter(folder: &Path, entry: &JobEntry) -> Result<(), Error> {
    env::set_current_dir(folder).map_err(|error| Error::NotResumable {
        job: entry.job.to_string(),
        why: format!("the folder {} it was begun in cannot be entered: {error}", folder.display()),
        next: "restore that folder, or run the same import again where its files are now".to_owned(),
    })
}

impl Again {
    /// Takes a password that was given now.
    pub(super) fn with_secret(mut self, secret: &SecretArgs) -> Self {
        if secret.password.is_some() || secret.password_file.is_some() {
            self.args.target.password.clone_from(&secret.password);
            self.args.target.password_file = secret.password_file.as_deref().map(absolute);
        }
        self
    }

    /// How to reach the target.
    pub(super) fn connect_options(&self) -> ConnectOptions {
        self.args.target.connect_options(self.args.load_timeout, self.args.timezone.clone())
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The commands that settle a load in doubt, in order. `journal` is the folder of a journal that has to be named.
pub(super) fn settling(label: &str, args: &ImportArgs, job: &str, journal: Option<&Path>) -> Vec<String> {
    let target = config::without_password(&args.target.to);
    let place = |flag: &str, path: &Path| format!(" --{flag} {}", path.display());
    let sandbox = if target.starts_with("sandbox:") && args.target.sandbox_dir != Path::new("shipload-sandbox") {
        place("sandbox-dir", &args.target.sandbox_dir)
    } else {
        String::new()
    };
    let state = journal.map(|folder| place("state-dir", folder)).unwrap_or_default();
    let mut commands = vec![format!("shipload cluster label {label} --to {target}{sandbox}")];
    if !args.sources.iter().any(|source| source == "-") {
        commands.push(format!("shipload resume {job}{sandbox}{state}"));
    }
    commands
}
