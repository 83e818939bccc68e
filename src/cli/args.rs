//! The flags, as typed; values are checked, nothing is done. Environment variables are declared here and nowhere else.

#[cfg(feature = "sandbox")]
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use super::journal_args::{CancelArgs, RejectsArgs, ResumeArgs, SecretArgs, StatusArgs};
use crate::config::{self, ConnectOptions, CsvOptions, Format, PasswordFrom, ReadingOptions};
use crate::loader::RejectLimit;
use crate::model::unit::InvalidByteCount;
use crate::model::{ByteCount, JobId, Label, Secret};
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
    /// Say what an error code means and what to do about it.
    Explain(ExplainArgs),
    /// Run the embedded StarRocks look-alike until it is stopped.
    #[cfg(feature = "sandbox")]
    Sandbox(SandboxArgs),
}

/// How to reach a target.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Target")]
pub(super) struct TargetArgs {
    /// `starrocks://user@fe1:8030,fe2:8030/db/table` (starrocks+https:// for TLS), or `sandbox:db/table`. A query needs
    /// neither table nor database.
    #[arg(long, value_name = "TARGET")]
    pub(super) to: String,
    /// The password of the user in TARGET. Better in the environment or in a file than on the command line; asked for on
    /// a terminal when it is nowhere.
    #[arg(long, env = "SHIPLOAD_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    pub(super) password: Option<String>,
    /// A file whose first line is the password.
    #[arg(long, value_name = "FILE", conflicts_with = "password", env = "SHIPLOAD_PASSWORD_FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// The folder of systemd's credentials; one named `shipload-password` is taken. systemd sets it.
    #[arg(long, hide = true, env = "CREDENTIALS_DIRECTORY", value_name = "FOLDER")]
    pub(super) credentials_directory: Option<PathBuf>,
    /// Reach a node elsewhere than where it says it is: `be1=10.0.0.5:18040`. May be repeated.
    #[arg(long, value_name = "HOST=ADDRESS")]
    pub(super) map_host: Vec<String>,
    /// A host besides the cluster's own that may be sent credentials: `host`, `host:port`, `*.suffix` or `*`. From https to
    /// http only `host:port` counts. May be repeated.
    #[arg(long, value_name = "HOST")]
    pub(super) allow_redirect: Vec<String>,
    /// The frontends' MySQL port, over which `--create-table` works.
    #[arg(long, value_name = "PORT", default_value_t = 9030)]
    pub(super) mysql_port: u16,
    /// A PEM file with certificates to trust besides the system's.
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// The folder of the sandbox, for `sandbox:` targets.
    #[arg(long, value_name = "FOLDER", default_value = "shipload-sandbox", env = "SHIPLOAD_SANDBOX_DIR")]
    pub(super) sandbox_dir: PathBuf,
}

/// How inputs are to be read.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Reading")]
pub(super) struct ReadingArgs {
    /// The format: csv, tsv, ndjson, json, parquet, arrow. Found out from the name and the first bytes when left out.
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
    /// The byte between CSV fields: a character, or `\t`, `\x01`. Found out among , tab ; | when left out.
    #[arg(long, value_name = "BYTE", value_parser = byte)]
    pub(super) csv_delimiter: Option<u8>,
    /// The byte around quoted CSV fields, or `none`; `"` when left out.
    #[arg(long, value_name = "BYTE", value_parser = quote)]
    pub(super) csv_quote: Option<Quote>,
    /// The byte that takes the next one literally inside quotes. When left out, there is none, and a quote is doubled.
    #[arg(long, value_name = "BYTE", value_parser = byte)]
    pub(super) csv_escape: Option<u8>,
    /// The unquoted text that stands for NULL, instead of the empty field.
    #[arg(long, value_name = "MARKER")]
    pub(super) csv_null: Option<String>,
    /// The first CSV record names the fields (the default).
    #[arg(long, overrides_with = "no_csv_header")]
    pub(super) csv_header: bool,
    /// The first CSV record is data; fields go to columns by position.
    #[arg(long, overrides_with = "csv_header")]
    pub(super) no_csv_header: bool,
}

impl TargetArgs {
    /// The same as options of the configuration.
    pub(super) fn connect_options(&self, load_timeout: Duration, timezone: String) -> ConnectOptions {
        ConnectOptions {
            to: self.to.clone(),
            password: PasswordFrom {
                value: self.password.clone().map(Secret::new),
                file: self.password_file.clone(),
                credentials: self.credentials_directory.clone(),
            },
            map_host: self.map_host.clone(),
            allow_redirect: self.allow_redirect.clone(),
            mysql_port: self.mysql_port,
            ca_file: self.ca_file.clone(),
            load_timeout,
            timezone,
            sandbox_folder: self.sandbox_dir.clone(),
        }
    }
}

impl ReadingArgs {
    /// The same as options of the reader.
    pub(super) fn options(&self) -> Result<ReadingOptions, config::Error> {
        let format = self.format.as_deref().map(str::parse::<Format>).transpose();
        let format = format.map_err(|what| config::Error::Value {
            what: what.to_string(),
            hint: "--format takes csv, tsv, ndjson, json, parquet or arrow".to_owned(),
        })?;
        let csv = CsvOptions {
            delimiter: self.csv_delimiter,
            quote: self.csv_quote.map(|quote| quote.0),
            escape: self.csv_escape,
            null: self.csv_null.clone(),
            header: match (self.csv_header, self.no_csv_header) {
                (_, true) => Some(false),
                (true, false) => Some(true),
                (false, false) => None,
            },
        };
        Ok(ReadingOptions { format, csv })
    }
}

/// A quote byte, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quote(pub(super) Option<u8>);

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Text,
    /// One JSON object.
    Json,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Commit {
    Auto,
    Load,
    Job,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Wire {
    Auto,
    Csv,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum CheckArg {
    Types,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Compression {
    Auto,
    None,
    Lz4,
    Zstd,
    Gzip,
}

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(super) struct ImportArgs {
    /// Files, globs, folders, or `-` for standard input.
    #[arg(required = true, value_name = "SOURCE")]
    pub(super) sources: Vec<String>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) reading: ReadingArgs,
    /// Fields, in their order, and expressions, as Stream Load writes them: `id, name, tmp, day=date(tmp)`.
    #[arg(help_heading = "Rows", long, value_name = "LIST")]
    pub(super) columns: Option<String>,
    /// Load only rows that meet this SQL predicate; the server judges.
    #[arg(help_heading = "Rows", long = "where", value_name = "PREDICATE")]
    pub(super) filter: Option<String>,
    /// Create a missing table from the schema found in the first input; a sandbox always does.
    #[arg(help_heading = "Rows", long)]
    pub(super) create_table: bool,
    /// Bytes of text per load, as 64MiB, 64M or 64MB (the last is decimal). Part of what the job is: another size cuts
    /// other loads.
    #[arg(help_heading = "Loads", long, value_name = "SIZE", default_value_t = crate::loader::LOAD_SIZE)]
    pub(super) load_size: ByteCount,
    /// Loads under way at one time: 1 to 64, or `auto`, which begins with 2 and takes more, up to 16, as long as that makes
    /// the job faster, and fewer when the target is too busy.
    #[arg(help_heading = "Loads", long, value_name = "N", default_value = "auto", value_parser = parallel)]
    pub(super) parallel: Parallel,
    /// The most memory to use, in bytes as above.
    #[arg(help_heading = "Loads", long, value_name = "SIZE", default_value_t = crate::loader::MEMORY)]
    pub(super) memory: ByteCount,
    /// Send at most so many bytes per second; no limit when left out.
    #[arg(help_heading = "Loads", long, value_name = "SIZE")]
    pub(super) max_rate: Option<ByteCount>,
    /// Begin at most so many loads per second; no limit when left out.
    #[arg(help_heading = "Loads", long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_requests: Option<u32>,
    /// Stop when more rows than this are rejected: a number, or a share such as 0.5%.
    #[arg(help_heading = "Rows", long, value_name = "LIMIT", default_value = "0")]
    pub(super) max_rejects: RejectLimit,
    /// The folder for rejected rows and their reasons.
    #[arg(help_heading = "Rows", long, value_name = "FOLDER", default_value = "shipload-rejects")]
    pub(super) rejects: PathBuf,
    /// What becomes visible at once: each load when it lands, or the whole job, all or nothing. A job is prepared load by
    /// load and committed at the end; its rows travel as JSON. Auto is the job where that is a matter of a few loads for which the
    /// server has room, and a job that is begun stays what it is.
    #[arg(help_heading = "Loads", long, value_enum, default_value_t = Commit::Auto)]
    pub(super) commit: Commit,
    /// The text format on the wire; auto is CSV where it can carry the table's types.
    #[arg(help_heading = "Loads", long, value_enum, default_value_t = Wire::Auto)]
    pub(super) wire: Wire,
    /// What is looked at before it is sent: every value against its column's type, or none. Without the check, records of CSV
    /// travel as they are, several times faster, and what does not fit its column is for the server to refuse or to round:
    /// use it for files that are known to fit.
    #[arg(help_heading = "Rows", long, value_enum, default_value_t = CheckArg::Types)]
    pub(super) check: CheckArg,
    /// The compression on the wire. Auto is none on this machine; elsewhere it begins with lz4 and goes over to what is fastest
    /// by what the first loads show of the network, and the first chunk of the text.
    #[arg(help_heading = "Loads", long, value_enum, default_value_t = Compression::Auto)]
    pub(super) compression: Compression,
    /// A name for the job: the same name never loads twice. Without it, the job is what it reads, where to and how.
    #[arg(help_heading = "Job", long, value_name = "NAME")]
    pub(super) job: Option<JobId>,
    /// Load again what is loaded already.
    #[arg(help_heading = "Job", long)]
    pub(super) again: bool,
    /// Read, check and encode everything, and send nothing.
    #[arg(help_heading = "Job", long)]
    pub(super) dry_run: bool,
    /// The folder of the journal; `$XDG_STATE_HOME/shipload`, else `~/.local/state/shipload`, when left out, and inside
    /// the sandbox's folder for a sandbox.
    #[arg(help_heading = "Job", long, value_name = "FOLDER", env = "SHIPLOAD_STATE_DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// The folder in which what is read of a stream lies until it is settled, so that it survives this process; `spool` in the
    /// journal's folder when left out.
    #[arg(help_heading = "Job", long, value_name = "FOLDER")]
    pub(super) spool: Option<PathBuf>,
    /// How much of it may lie there: a full spool makes the reader wait. `none` keeps it in memory only.
    #[arg(help_heading = "Job", long, value_name = "SIZE", default_value_t = crate::loader::SPOOL, value_parser = size_or_none)]
    pub(super) spool_size: ByteCount,
    /// Another Stream Load header, such as `partial_update=true`; `shipload explain L4003` lists them. May be repeated.
    #[arg(help_heading = "Loads", long = "set", value_name = "HEADER=VALUE")]
    pub(super) set: Vec<String>,
    /// The server's limit for one load, in seconds.
    #[arg(help_heading = "Loads", long, value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    pub(super) load_timeout: Duration,
    /// Stop when the job is not finished after so many seconds; running it again goes on. Without it, a target that is too
    /// busy is waited for: at most an hour for any one load.
    #[arg(help_heading = "Job", long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) deadline: Option<Duration>,
    /// The time zone of time functions in --columns and --where.
    #[arg(help_heading = "Loads", long, value_name = "NAME", default_value = "UTC")]
    pub(super) timezone: String,
    /// The job file whose loads are committed together with this one.
    #[arg(long, hide = true, value_name = "FILE")]
    pub(super) part_of: Option<PathBuf>,
    /// How the report is shown.
    #[arg(help_heading = None, long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
    /// Show where the time went, and what would make the import faster. The JSON report always says so.
    #[arg(help_heading = None, long)]
    pub(super) profile: bool,
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
pub(super) struct ExplainArgs {
    /// The code, such as L2004; all of them when left out.
    #[arg(value_name = "CODE")]
    pub(super) code: Option<String>,
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

/// Loads under way; none lets the program choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parallel(pub(super) Option<usize>);

fn parallel(text: &str) -> Result<Parallel, String> {
    if text == "auto" {
        return Ok(Parallel(None));
    }
    match text.parse() {
        Ok(number @ 1..=crate::loader::PARALLEL_LIMIT) => Ok(Parallel(Some(number))),
        _ => Err(format!("a number from 1 to {}, or auto", crate::loader::PARALLEL_LIMIT)),
    }
}

/// How many rows are shown at most; beyond this a person wants a query, not a list.
fn rows_shown(least: i64) -> clap::builder::RangedI64ValueParser<u32> {
    const ROWS_MAX: i64 = 10_000;
    clap::value_parser!(u32).range(least..=ROWS_MAX)
}

fn quote(text: &str) -> Result<Quote, String> {
    if text == "none" { Ok(Quote(None)) } else { byte(text).map(|byte| Quote(Some(byte))) }
}

fn byte(text: &str) -> Result<u8, String> {
    let expected = || "one ASCII character, or \\t, or \\xHH".to_owned();
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        b"\\t" => Ok(b'\t'),
        [b'\\', b'x', hex @ ..] if hex.len() == 2 => {
            let text = std::str::from_utf8(hex).map_err(|_| expected())?;
            u8::from_str_radix(text, 16).ok().filter(u8::is_ascii).ok_or_else(expected)
        }
        _ => Err(expected()),
    }
}

fn size_or_none(text: &str) -> Result<ByteCount, String> {
    if text == "none" { Ok(ByteCount(0)) } else { text.parse().map_err(|error: InvalidByteCount| error.to_string()) }
}

fn seconds(text: &str) -> Result<Duration, String> {
    // The server's own range (SR §2.1).
    const SECONDS_MAX: u64 = 259_200;
    match text.parse() {
        Ok(seconds @ 1..=SECONDS_MAX) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("a number of seconds from 1 to {SECONDS_MAX}")),
    }
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

    #[test]
    fn bytes_are_written_as_themselves_or_in_hex() {
        for (text, expected) in [(",", b','), ("\\t", b'\t'), ("\\x01", 1), ("|", b'|')] {
            assert_eq!(byte(text), Ok(expected), "{text}");
        }
        for wrong in ["", "ab", "ä", "\\x", "\\xff", "\\xzz"] {
            assert!(byte(wrong).is_err(), "{wrong}");
        }
    }
}
