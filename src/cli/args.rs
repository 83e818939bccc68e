//! The flags, as typed; values are checked, nothing is done. Those of an import are in `config`. Environment variables are declared
//! here and there, and nowhere else.

#[cfg(feature = "sandbox")]
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use super::journal_args::{CancelArgs, RejectsArgs, ResumeArgs, SecretArgs, StatusArgs};
pub(super) use crate::config::{ImportArgs, Output, ReadingArgs, TargetArgs};
use crate::model::Label;
use crate::telemetry::setup;

/// Loads files into StarRocks: every row once, whatever fails.
#[derive(Debug, Parser)]
#[command(name = "shipload", version, max_term_width = 110)]
pub(super) struct Args {
    /// What to log on stderr: a level (error, warn, info, debug, trace), or directives such as `shipload=debug`.
    #[arg(long, global = true, env = "SHIPLOAD_LOG", default_value = setup::DEFAULT, value_name = "DIRECTIVES")]
    pub(super) log: String,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Load files (CSV, NDJSON, JSON, Parquet, Arrow; compressed or not), or standard input, into a table.
    Import(Box<ImportArgs>),
    /// Say what an import would do, and whether it could: takes what `import` takes, sends nothing, makes nothing.
    Plan(Box<ImportArgs>),
    /// Do the imports of a job file, in turn or all of them together.
    Run(RunArgs),
    /// List the jobs of the journal, newest first, or show one with its loads.
    Status(StatusArgs),
    /// Go on with an unfinished import, as it was begun.
    Resume(ResumeArgs),
    /// Stop a job, settle what it left open, and say what of it is in the table. Nothing that is loaded is undone.
    Cancel(CancelArgs),
    /// Show the rejected rows of a job: where they are, how many for which reason, the first few.
    Rejects(RejectsArgs),
    /// Run a query over the HTTP SQL API.
    Sql(SqlArgs),
    /// Look at the far side: nodes, loads, labels, transactions, metrics. Only reads.
    Cluster(ClusterArgs),
    /// Show the schema of a file as a StarRocks CREATE TABLE statement.
    Schema(SchemaArgs),
    /// Run the service: jobs and uploads over HTTP, until it is told to stop.
    Serve(ServeArgs),
    /// Look at the service's configuration.
    Config(ConfigArgs),
    /// Say what an error code means and what to do about it.
    Explain(ExplainArgs),
    /// Print what completes the command line in a shell.
    Completions(CompletionsArgs),
    /// Write the manual pages into a folder: one of the program, one of each verb.
    Man(ManArgs),
    /// Run the embedded StarRocks look-alike until it is stopped.
    #[cfg(feature = "sandbox")]
    Sandbox(SandboxArgs),
}

/// The same for query results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TableOutput {
    /// A table for people.
    Text,
    /// One JSON object per row.
    Json,
    /// CSV with a header.
    Csv,
}

#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// A TOML file with one table `[[load]]` per import; settings are the flags of `import`, with `_` for `-`. With `commit =
    /// "job"` at its top all of them are committed together.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) secret: SecretArgs,
    /// How the reports are shown; in JSON they are one object, with the reports in `jobs`.
    #[arg(help_heading = None, long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

#[derive(Debug, clap::Args)]
pub(super) struct SqlArgs {
    /// The query: one SELECT, SHOW, DESC or EXPLAIN; `-` reads it from standard input.
    #[arg(value_name = "QUERY")]
    pub(super) query: String,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// How rows are shown.
    #[arg(help_heading = None, long, value_enum, default_value_t = TableOutput::Text)]
    pub(super) output: TableOutput,
}

#[derive(Debug, clap::Args)]
pub(super) struct ClusterArgs {
    #[command(subcommand)]
    pub(super) verb: ClusterVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum ClusterVerb {
    /// Ask every node how it is; the exit code is 1 when one is not well.
    Health {
        #[command(flatten)]
        common: ClusterCommon,
    },
    /// List frontends, backends and compute nodes.
    Nodes {
        #[command(flatten)]
        common: ClusterCommon,
    },
    /// List the newest stream loads of the database in TARGET, or of its table.
    Loads {
        #[command(flatten)]
        common: ClusterCommon,
        /// Only the load under this label.
        #[arg(help_heading = None, long, value_name = "LABEL")]
        label: Option<Label>,
        /// Only loads in this state, as the server names it: finished, cancelled, loading.
        #[arg(help_heading = None, long, value_name = "STATE")]
        state: Option<String>,
        /// At most so many.
        #[arg(help_heading = None, long, value_name = "N", default_value_t = 20, value_parser = rows_shown(1))]
        limit: u32,
    },
    /// Say what a label of the database in TARGET came to, and what to do next; the exit code is 1 when it is unknown.
    Label {
        /// The label.
        #[arg(value_name = "LABEL")]
        label: Label,
        #[command(flatten)]
        common: ClusterCommon,
    },
    /// List the running transactions of the database in TARGET and the newest finished ones.
    Transactions {
        #[command(flatten)]
        common: ClusterCommon,
        /// At most so many finished ones.
        #[arg(help_heading = None, long, value_name = "N", default_value_t = 20, value_parser = rows_shown(0))]
        limit: u32,
    },
    /// Show the metrics of loading: of a frontend, of a node, or of all.
    Metrics {
        #[command(flatten)]
        common: ClusterCommon,
        /// Metrics with this in their name, instead of those of loading; the empty text is in all.
        #[arg(help_heading = None, long = "match", value_name = "TEXT")]
        part: Option<String>,
        /// Ask this node: `be1:8040`.
        #[arg(help_heading = None, long, value_name = "HOST:PORT", conflicts_with = "all")]
        node: Option<String>,
        /// Ask every node that the cluster lists.
        #[arg(help_heading = None, long)]
        all: bool,
    },
    /// Ask a frontend for a path by GET and print its answer as it is. Paths known to change something are refused.
    Get {
        /// The path with its query, percent-encoded, such as `/api/show_proc?path=/backends`.
        #[arg(value_name = "PATH")]
        path: String,
        #[command(flatten)]
        target: TargetArgs,
        /// Ask this node instead: `be1:8040`. It is sent the password, so that it has to be one that the cluster lists.
        #[arg(help_heading = None, long, value_name = "HOST:PORT")]
        node: Option<String>,
    },
}

/// What most questions about a cluster have in common.
#[derive(Debug, clap::Args)]
pub(super) struct ClusterCommon {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// How the answer is shown; in JSON there is one object per row.
    #[arg(help_heading = None, long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

#[derive(Debug, clap::Args)]
pub(super) struct SchemaArgs {
    /// A file, glob or folder, whose first file counts, or `-` for standard input.
    #[arg(value_name = "SOURCE")]
    pub(super) source: String,
    #[command(flatten)]
    pub(super) reading: ReadingArgs,
    /// The table's name in the statement, with or without its database; the file's name by default.
    #[arg(help_heading = None, long, value_name = "NAME")]
    pub(super) table: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    /// The configuration, in TOML; config/shipload.toml has every key. Without it, defaults and the environment count.
    #[arg(long, value_name = "FILE", env = "SHIPLOAD_CONFIG")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    pub(super) verb: ConfigVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigVerb {
    /// Name everything that is wrong with it.
    Check {
        #[command(flatten)]
        file: ServeArgs,
    },
    /// Show what comes of file and environment, secrets masked.
    Show {
        #[command(flatten)]
        file: ServeArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// The code, such as L2004; all of them when left out.
    #[arg(value_name = "CODE")]
    pub(super) code: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// Where to.
    #[arg(value_name = "FOLDER")]
    pub(super) folder: PathBuf,
}

#[cfg(feature = "sandbox")]
#[derive(Debug, clap::Args)]
pub(super) struct SandboxArgs {
    /// The folder that holds the sandbox's databases.
    #[arg(long, value_name = "FOLDER", default_value = "shipload-sandbox", env = "SHIPLOAD_SANDBOX_DIR")]
    pub(super) sandbox_dir: PathBuf,
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(super) host: IpAddr,
    /// The frontend's HTTP port, and those after it for followers; 0 is any free one.
    #[arg(long, value_name = "PORT", default_value_t = 8030)]
    pub(super) fe_port: u16,
    /// The first backend's HTTP port, and those after it for the others; 0 is any free one.
    #[arg(long, value_name = "PORT", default_value_t = 8040)]
    pub(super) be_port: u16,
    /// The MySQL port; 0 is any free one.
    #[arg(long, value_name = "PORT", default_value_t = 9030)]
    pub(super) mysql_port: u16,
    /// The password of the user root; empty by default.
    #[arg(long, env = "SHIPLOAD_SANDBOX_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    pub(super) root_password: Option<String>,
    /// How many backends there are, 1 to 32.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = 1..=32)]
    pub(super) backends: i64,
    /// How many frontends there are beside the leader, 0 to 8; each sends transactions and questions on to it.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = 0..=8)]
    pub(super) followers: i64,
    /// The host that redirects and error logs name, which need not resolve; by default the one that was asked.
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    pub(super) advertise_host: Option<String>,
    /// The release to speak like.
    #[arg(long, value_name = "RELEASE", default_value = "3.5", value_parser = ["3.3", "3.4", "3.5", "4.0"])]
    pub(super) dialect: String,
    /// How many transactions each database remembers; the labels of older ones are free again.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(super) label_keep_max: usize,
    /// How many seconds a finished transaction is remembered.
    #[arg(long, value_name = "SECONDS", default_value_t = 259_200)]
    pub(super) label_keep: u64,
    /// Accept and count loads without storing their rows, to measure a client.
    #[arg(long)]
    pub(super) discard: bool,
    /// Faults to strike, by rules and a seed: a JSON file, see docs/faults.md.
    #[arg(long, value_name = "FILE")]
    pub(super) faults: Option<PathBuf>,
}

/// How many rows are shown at most; beyond this a person wants a query, not a list.
fn rows_shown(least: i64) -> clap::builder::RangedI64ValueParser<u32> {
    const ROWS_MAX: i64 = 10_000;
    clap::value_parser!(u32).range(least..=ROWS_MAX)
}

/// A host as it stands in a URL. Anything else would only come out as a redirect that nobody can follow.
#[cfg(feature = "sandbox")]
fn host_name(text: &str) -> Result<String, String> {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let v6 = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_host = match v6 {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !text.is_empty() && text.bytes().all(inside),
    };
    let wanted = "it is no host: a name or an address (IPv6 in brackets), without scheme and port";
    is_host.then(|| text.to_owned()).ok_or_else(|| wanted.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Args::command().debug_assert();
    }
}
