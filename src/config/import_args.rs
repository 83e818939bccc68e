//! The flags of an import, as typed. Job files and the service's API take the same settings by the same names, with `_` for
//! `-`, so that there is no second list of them. Environment variables of an import are declared here.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::{ConnectOptions, CsvOptions, Error, Format, PasswordFrom, ReadingOptions};
use crate::loader::RejectLimit;
use crate::model::unit::InvalidByteCount;
use crate::model::{ByteCount, JobId, Secret};

/// How to reach a target.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Target")]
pub struct TargetArgs {
    /// `starrocks://user@fe1:8030,fe2:8030/db/table` (starrocks+https:// for TLS), or `sandbox:db/table`. A query needs
    /// neither table nor database.
    #[arg(long, value_name = "TARGET")]
    pub to: String,
    /// The password of the user in TARGET. Better in the environment or in a file than on the command line; asked for on
    /// a terminal when it is nowhere.
    #[arg(long, env = "SHIPLOAD_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    pub password: Option<String>,
    /// A file whose first line is the password.
    #[arg(long, value_name = "FILE", conflicts_with = "password", env = "SHIPLOAD_PASSWORD_FILE")]
    pub password_file: Option<PathBuf>,
    /// The folder of systemd's credentials; one named `shipload-password` is taken. systemd sets it.
    #[arg(long, hide = true, env = "CREDENTIALS_DIRECTORY", value_name = "FOLDER")]
    pub credentials_directory: Option<PathBuf>,
    /// Reach a node elsewhere than where it says it is: `be1=10.0.0.5:18040`. May be repeated.
    #[arg(long, value_name = "HOST=ADDRESS")]
    pub map_host: Vec<String>,
    /// A host besides the cluster's own that may be sent credentials: `host`, `host:port`, `*.suffix` or `*`. From https to
    /// http only `host:port` counts. May be repeated.
    #[arg(long, value_name = "HOST")]
    pub allow_redirect: Vec<String>,
    /// The frontends' MySQL port, over which `--create-table` works.
    #[arg(long, value_name = "PORT", default_value_t = 9030)]
    pub mysql_port: u16,
    /// A PEM file with certificates to trust besides the system's.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The folder of the sandbox, for `sandbox:` targets.
    #[arg(long, value_name = "FOLDER", default_value = "shipload-sandbox", env = "SHIPLOAD_SANDBOX_DIR")]
    pub sandbox_dir: PathBuf,
}

/// How inputs are to be read.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Reading")]
pub struct ReadingArgs {
    /// The format: csv, tsv, ndjson, json, parquet, arrow. Found out from the name and the first bytes when left out.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// The byte between CSV fields: a character, or `\t`, `\x01`. Found out among , tab ; | when left out.
    #[arg(long, value_name = "BYTE", value_parser = byte)]
    pub csv_delimiter: Option<u8>,
    /// The byte around quoted CSV fields, or `none`; `"` when left out.
    #[arg(long, value_name = "BYTE", value_parser = quote)]
    pub csv_quote: Option<Quote>,
    /// The byte that takes the next one literally inside quotes. When left out, there is none, and a quote is doubled.
    #[arg(long, value_name = "BYTE", value_parser = byte)]
    pub csv_escape: Option<u8>,
    /// The unquoted text that stands for NULL, instead of the empty field.
    #[arg(long, value_name = "MARKER")]
    pub csv_null: Option<String>,
    /// The first CSV record names the fields (the default).
    #[arg(long, overrides_with = "no_csv_header")]
    pub csv_header: bool,
    /// The first CSV record is data; fields go to columns by position.
    #[arg(long, overrides_with = "csv_header")]
    pub no_csv_header: bool,
}

impl TargetArgs {
    /// The same as options of the configuration.
    #[must_use]
    pub fn connect_options(&self, load_timeout: Duration, timezone: String) -> ConnectOptions {
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
    pub fn options(&self) -> Result<ReadingOptions, Error> {
        let format = self.format.as_deref().map(str::parse::<Format>).transpose();
        let format = format.map_err(|what| Error::Value {
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
pub struct Quote(pub Option<u8>);

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

/// What becomes visible at once, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Commit {
    /// Whichever suits.
    Auto,
    /// Each load.
    Load,
    /// The whole job.
    Job,
}

/// The text format on the wire, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wire {
    /// Whichever carries the table.
    Auto,
    /// CSV.
    Csv,
    /// JSON.
    Json,
}

/// What is looked at before it is sent, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckArg {
    /// Every value against its column's type.
    Types,
    /// Nothing.
    None,
}

/// The compression on the wire, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    /// None on this machine, LZ4 elsewhere.
    Auto,
    /// None.
    None,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
    /// gzip.
    Gzip,
}

/// An import as typed: every setting of a job has its one home here, whoever asks for it.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct ImportArgs {
    /// Files, globs, folders, or `-` for standard input.
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// How the target is reached.
    #[command(flatten)]
    pub target: TargetArgs,
    /// How the inputs are read.
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// Fields, in their order, and expressions, as Stream Load writes them: `id, name, tmp, day=date(tmp)`.
    #[arg(help_heading = "Rows", long, value_name = "LIST")]
    pub columns: Option<String>,
    /// Load only rows that meet this SQL predicate; the server judges.
    #[arg(help_heading = "Rows", long = "where", value_name = "PREDICATE")]
    pub filter: Option<String>,
    /// Create a missing table from the schema found in the first input; a sandbox always does.
    #[arg(help_heading = "Rows", long)]
    pub create_table: bool,
    /// Bytes of text per load, as 64MiB, 64M or 64MB (the last is decimal). Part of what the job is: another size cuts
    /// other loads.
    #[arg(help_heading = "Loads", long, value_name = "SIZE", default_value_t = crate::loader::LOAD_SIZE)]
    pub load_size: ByteCount,
    /// Loads under way at one time: 1 to 64, or `auto`, which begins with 2 and takes more, up to 16, as long as that makes
    /// the job faster, and fewer when the target is too busy.
    #[arg(help_heading = "Loads", long, value_name = "N", default_value = "auto", value_parser = parallel)]
    pub parallel: Parallel,
    /// The most memory to use, in bytes as above.
    #[arg(help_heading = "Loads", long, value_name = "SIZE", default_value_t = crate::loader::MEMORY)]
    pub memory: ByteCount,
    /// Send at most so many bytes per second; no limit when left out.
    #[arg(help_heading = "Loads", long, value_name = "SIZE")]
    pub max_rate: Option<ByteCount>,
    /// Begin at most so many loads per second; no limit when left out.
    #[arg(help_heading = "Loads", long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_requests: Option<u32>,
    /// Stop when more rows than this are rejected: a number, or a share such as 0.5%.
    #[arg(help_heading = "Rows", long, value_name = "LIMIT", default_value = "0")]
    pub max_rejects: RejectLimit,
    /// The folder for rejected rows and their reasons.
    #[arg(help_heading = "Rows", long, value_name = "FOLDER", default_value = "shipload-rejects")]
    pub rejects: PathBuf,
    /// What becomes visible at once: each load when it lands, or the whole job, all or nothing. A job is prepared load by
    /// load and committed at the end; its rows travel as JSON. Auto is the job where that is a matter of a few loads for which the
    /// server has room, and a job that is begun stays what it is.
    #[arg(help_heading = "Loads", long, value_enum, default_value_t = Commit::Auto)]
    pub commit: Commit,
    /// The text format on the wire; auto is CSV where it can carry the table's types.
    #[arg(help_heading = "Loads", long, value_enum, default_value_t = Wire::Auto)]
    pub wire: Wire,
    /// What is looked at before it is sent: every value against its column's type, or none. Without the check, records of CSV
    /// travel as they are, several times faster, and what does not fit its column is for the server to refuse or to round:
    /// use it for files that are known to fit.
    #[arg(help_heading = "Rows", long, value_enum, default_value_t = CheckArg::Types)]
    pub check: CheckArg,
    /// The compression on the wire. Auto is none on this machine; elsewhere it begins with lz4 and goes over to what is fastest
    /// by what the first loads show of the network, and the first chunk of the text.
    #[arg(help_heading = "Loads", long, value_enum, default_value_t = Compression::Auto)]
    pub compression: Compression,
    /// A name for the job: the same name never loads twice. Without it, the job is what it reads, where to and how.
    #[arg(help_heading = "Job", long, value_name = "NAME")]
    pub job: Option<JobId>,
    /// Load the one file only if its content has this SHA-256, in hex. What the file is called and when it was written do not count
    /// then: the same content is the same job, also renamed or copied.
    #[arg(help_heading = "Job", long, value_name = "HEX", value_parser = sha256, conflicts_with = "again")]
    pub sha256: Option<String>,
    /// Load again what is loaded already.
    #[arg(help_heading = "Job", long)]
    pub again: bool,
    /// Read, check and encode everything, and send nothing.
    #[arg(help_heading = "Job", long)]
    pub dry_run: bool,
    /// The folder of the journal; `$XDG_STATE_HOME/shipload`, else `~/.local/state/shipload`, when left out, and inside
    /// the sandbox's folder for a sandbox.
    #[arg(help_heading = "Job", long, value_name = "FOLDER", env = "SHIPLOAD_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// The folder in which what is read of a stream lies until it is settled, so that it survives this process; `spool` in the
    /// journal's folder when left out.
    #[arg(help_heading = "Job", long, value_name = "FOLDER")]
    pub spool: Option<PathBuf>,
    /// How much of it may lie there: a full spool makes the reader wait. `none` keeps it in memory only.
    #[arg(help_heading = "Job", long, value_name = "SIZE", default_value_t = crate::loader::SPOOL, value_parser = size_or_none)]
    pub spool_size: ByteCount,
    /// Another Stream Load header, such as `partial_update=true`; `shipload explain L4003` lists them. May be repeated.
    #[arg(help_heading = "Loads", long = "set", value_name = "HEADER=VALUE")]
    pub set: Vec<String>,
    /// The server's limit for one load, in seconds.
    #[arg(help_heading = "Loads", long, value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    pub load_timeout: Duration,
    /// Stop when the job is not finished after so many seconds; running it again goes on. Without it, a target that is too
    /// busy is waited for: at most an hour for any one load.
    #[arg(help_heading = "Job", long, value_name = "SECONDS", value_parser = seconds)]
    pub deadline: Option<Duration>,
    /// The time zone of time functions in --columns and --where.
    #[arg(help_heading = "Loads", long, value_name = "NAME", default_value = "UTC")]
    pub timezone: String,
    /// The job file whose loads are committed together with this one.
    #[arg(long, hide = true, value_name = "FILE")]
    pub part_of: Option<PathBuf>,
    /// How the report is shown.
    #[arg(help_heading = None, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Show where the time went, and what would make the import faster. The JSON report always says so.
    #[arg(help_heading = None, long)]
    pub profile: bool,
}

/// Loads under way; none lets the program choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parallel(pub Option<usize>);

fn parallel(text: &str) -> Result<Parallel, String> {
    if text == "auto" {
        return Ok(Parallel(None));
    }
    match text.parse() {
        Ok(number @ 1..=crate::loader::PARALLEL_LIMIT) => Ok(Parallel(Some(number))),
        _ => Err(format!("a number from 1 to {}, or auto", crate::loader::PARALLEL_LIMIT)),
    }
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

fn sha256(text: &str) -> Result<String, String> {
    const DIGITS: usize = 64;
    let whole = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if whole { Ok(text.to_ascii_lowercase()) } else { Err(format!("{DIGITS} hex digits, as sha256sum prints them")) }
}

fn seconds(text: &str) -> Result<Duration, String> {
    // The server's own range (SR §2.1).
    const SECONDS_MAX: u64 = 259_200;
    match text.parse() {
        Ok(seconds @ 1..=SECONDS_MAX) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("a number of seconds from 1 to {SECONDS_MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
