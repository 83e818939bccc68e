//! The flags of the verbs that look into the journal: `status`, `resume`, `cancel`, `rejects`.

use std::path::PathBuf;

use super::args::Output;
use crate::model::JobId;

/// Where the journal is.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Journal")]
pub(super) struct JournalArgs {
    /// The folder of the journal. When left out: that of `import`, and the one inside the sandbox's folder.
    #[arg(long, value_name = "FOLDER", env = "SHIPLOAD_STATE_DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// The folder of the sandbox.
    #[arg(long, value_name = "FOLDER", default_value = "shipload-sandbox", env = "SHIPLOAD_SANDBOX_DIR")]
    pub(super) sandbox_dir: PathBuf,
}

/// The password of the user in the job's target, which no journal keeps.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Target")]
pub(super) struct SecretArgs {
    /// The password of the user in the job's target. When left out, it comes from where `import` takes it.
    #[arg(long, value_name = "PASSWORD")]
    pub(super) password: Option<String>,
    /// A file whose first line is the password.
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    pub(super) password_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {
    /// Show this job in full, with its loads.
    #[arg(value_name = "JOB")]
    pub(super) job: Option<JobId>,
    /// List at most so many.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) limit: u32,
    #[command(flatten)]
    pub(super) journal: JournalArgs,
    /// How the answer is shown; in JSON there is one object per job.
    #[arg(help_heading = None, long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

#[derive(Debug, clap::Args)]
pub(super) struct ResumeArgs {
    /// The job; may be left out where only one is unfinished.
    #[arg(value_name = "JOB")]
    pub(super) job: Option<JobId>,
    #[command(flatten)]
    pub(super) secret: SecretArgs,
    #[command(flatten)]
    pub(super) journal: JournalArgs,
    /// How the report is shown.
    #[arg(help_heading = None, long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

#[derive(Debug, clap::Args)]
pub(super) struct CancelArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    pub(super) job: JobId,
    #[command(flatten)]
    pub(super) secret: SecretArgs,
    #[command(flatten)]
    pub(super) journal: JournalArgs,
    /// How the answer is shown.
    #[arg(help_heading = None, long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

#[derive(Debug, clap::Args)]
pub(super) struct RejectsArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    pub(super) job: JobId,
    /// Show the first so many.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub(super) limit: u32,
    #[command(flatten)]
    pub(super) journal: JournalArgs,
    /// How the answer is shown.
    #[arg(help_heading = None, long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}
