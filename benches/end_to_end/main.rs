//! How fast the real program is, from a file to the answer of a server, beside others on the same bytes.
//!
//! `cargo bench --bench end_to_end` prints the tables of `docs/PERFORMANCE.md`, which says what each figure means. Every row is
//! the median of several runs, and the runs of the rows of a table take turns, so that a machine that slows down slows all of
//! them down. The loader is a process of its own, and so is the sandbox that reads, counts and drops what is sent.
//!
//! | variable | |
//! |---|---|
//! | `SHIPLOAD_BENCH_SCALE` | size of the tables, 0.1 when left out; 1 is about a gigabyte of CSV each |
//! | `SHIPLOAD_BENCH_RUNS` | runs of each row, 5 when left out |
//! | `SHIPLOAD_BENCH_ONLY` | only rows with this in `TABLE: ROW`; several of it with a bar between them |
//! | `SHIPLOAD_BENCH_PYTHON` | a Python; its `duckdb`, `polars` and `chdb` are measured as well, where it has them |
//! | `SHIPLOAD_BENCH_GROWTH` | gigabytes up to which the growth of a file is followed; not at all when left out |

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench says what it measured")]

mod process;
mod tables;

use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use process::{SHIPLOAD, Sample, Sandbox, measured, on_path};
use tables::{Files, Table, as_float};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const PEER: &str = include_str!("peer.py");

// What is done by others, too.
const SEND_CSV: &str = "CSV is sent";
const CSV_TO_CSV: &str = "CSV → CSV";
const CSV_TO_NDJSON: &str = "CSV → NDJSON";
const PARQUET_TO_CSV: &str = "Parquet → CSV";
const PARQUET_TO_NDJSON: &str = "Parquet → NDJSON";
const NDJSON_TO_NDJSON: &str = "NDJSON → NDJSON";
const NDJSON_TO_CSV: &str = "NDJSON → CSV";

/// As much as `--memory` is when it is left out.
const WARM_BYTES: usize = 512 << 20;

/// Headers that make a server read the files as they are.
const CSV_HEADERS: [&str; 3] = ["column_separator: ,", "enclose: \"", "skip_header: 1"];
const JSON_HEADERS: [&str; 2] = ["format: json", "ignore_json_size: true"];

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == "generate" => tables::generate(rest),
        Some((first, _)) if first == "warm" => {
            std::hint::black_box(vec![1_u8; WARM_BYTES]);
            Ok(())
        }
        _ => Bench::new()?.run(),
    }
}

struct Settings {
    scale: f64,
    runs: usize,
    only: String,
    growth_gigabytes: Option<f64>,
    /// Python, and which engines it has.
    python: Option<(PathBuf, Vec<&'static str>)>,
    curl: Option<PathBuf>,
    taskset: Option<PathBuf>,
    /// Whether the program can send values that it has not looked at.
    unchecked: bool,
}

impl Settings {
    fn read() -> Result<Self, Failure> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the program's own variables are its faces', these are the bench's"
        )]
        let variable = |name: &str| env::var(format!("SHIPLOAD_BENCH_{name}")).ok();
        let python = variable("PYTHON").map(|python| {
            let has = |engine: &&&str| {
                let import =
                    Command::new(&python).args(["-c", &format!("import {engine}")]).stderr(Stdio::null()).status();
                import.is_ok_and(|status| status.success())
            };
            let engines = ["duckdb", "polars", "chdb"].iter().filter(has).copied().collect();
            (PathBuf::from(&python), engines)
        });
        let help = Command::new(SHIPLOAD).args(["import", "--help"]).output()?;
        Ok(Self {
            scale: variable("SCALE").map_or(Ok(0.1), |scale| scale.parse())?,
            runs: variable("RUNS").map_or(Ok(5), |runs| runs.parse())?,
            only: variable("ONLY").unwrap_or_default(),
            growth_gigabytes: variable("GROWTH").map(|gigabytes| gigabytes.parse()).transpose()?,
            python,
            curl: on_path("curl"),
            taskset: on_path("taskset"),
            unchecked: String::from_utf8_lossy(&help.stdout).contains("--check"),
        })
    }

    fn wants(&self, table: &str, row: &str) -> bool {
        let name = format!("{table}: {row}");
        self.only.split('|').any(|wanted| name.contains(wanted))
    }

    /// Whether rows of it may be wanted.
    fn wants_table(&self, table: &str) -> bool {
        self.only.split('|').any(|wanted| wanted.split_once(": ").is_none_or(|(wanted, _)| table.ends_with(wanted)))
    }
}

/// A row of a table of figures.
struct Row {
    name: String,
    /// What is done: rows that do the same are held against each other.
    task: &'static str,
    what: What,
}

enum What {
    /// The program with these arguments, on these processors, into this table.
    Import {
        file: PathBuf,
        table: String,
        arguments: Vec<String>,
        cores: Option<&'static str>,
    },
    Curl {
        file: PathBuf,
        table: String,
        headers: &'static [&'static str],
    },
    Peer {
        engine: &'static str,
        from: &'static str,
        file: PathBuf,
        to: &'static str,
    },
}

impl What {
    /// Makes what came before a row the same for all of them: its file is in memory, if it fits, and so much of the machine's
    /// memory was in use just now. In a virtual machine pages that nobody had for a while are the host's, and the next one
    /// who touches them waits for it to give them back.
    fn warm(&self) -> Result<(), Failure> {
        let (Self::Import { file, .. } | Self::Curl { file, .. } | Self::Peer { file, .. }) = self;
        io::copy(&mut File::open(file)?, &mut io::sink())?;
        // By another process: how much memory a child takes is counted from what its parent had.
        Command::new(env::current_exe()?).arg("warm").status()?;
        Ok(())
    }
}

/// What a row was meant to reach, where that was said: CPU-seconds per GB, and times less than the best other needs.
fn aim(table: &str, row: &str) -> &'static str {
    match (table, row) {
        ("lineitem", "CSV → checked → CSV") => "2.0",
        ("lineitem", "CSV → unchecked → CSV") => "0.4",
        ("lineitem", "CSV → columns turned round → CSV") => "3.4",
        ("lineitem", "Parquet → CSV") => "2.3, 2.2 ×",
        ("lineitem", "Parquet → NDJSON") => "2.5, 4 ×",
        ("lineitem", "NDJSON → NDJSON" | "NDJSON → CSV") => "2 ×",
        ("floats50", "CSV → checked → CSV" | "Parquet → CSV" | "Parquet → NDJSON") => "2 ×",
        _ => "",
    }
}

struct Bench {
    settings: Settings,
    /// Kept between runs.
    data: PathBuf,
    folder: tempfile::TempDir,
    sandbox: Sandbox,
    /// Runs so far: no label is used twice.
    run: u32,
}

impl Bench {
    fn new() -> Result<Self, Failure> {
        let settings = Settings::read()?;
        let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("end_to_end");
        fs::create_dir_all(&data)?;
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("peer.py"), PEER)?;
        let sandbox = Sandbox::start(&folder.path().join("sandbox"))?;
        sandbox.execute(&["CREATE DATABASE bench".to_owned()])?;
        Ok(Self { settings, data, folder, sandbox, run: 0 })
    }

    fn run(mut self) -> Result<(), Failure> {
        println!("{}, scale {}, medians of {} runs\n", machine(), self.settings.scale, self.settings.runs);
        for table in [Table::Lineitem, Table::Floats(50), Table::Quoted] {
            if !self.settings.wants_table(&table.name()) {
                continue;
            }
            let files = tables::files(&self.data, table, self.settings.scale)?;
            let turned = format!("{}_turned", table.name());
            self.create(&table.name(), &files, false)?;
            self.create(&turned, &files, true)?;
            let rows = self.rows(table, &files);
            self.measure(&table.name(), rows, &files)?;
        }
        if let Some(gigabytes) = self.settings.growth_gigabytes {
            self.growth(gigabytes)?;
        }
        Ok(())
    }

    fn create(&self, name: &str, files: &Files, turned: bool) -> Result<(), Failure> {
        self.sandbox.execute(&[files.ddl(&format!("bench.{name}"), turned)])
    }

    /// What is measured of each table.
    fn rows(&self, table: Table, files: &Files) -> Vec<Row> {
        let name = table.name();
        let mut rows = Vec::new();
        let mut import = |(row, task): (&str, &'static str), file: &Path, to: &str, arguments: &[&str], cores| {
            let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
            let what = What::Import { file: file.to_owned(), table: to.to_owned(), arguments, cores };
            rows.push(Row { name: row.to_owned(), task, what });
        };
        import(("CSV → checked → CSV", CSV_TO_CSV), &files.csv, &name, &[], None);
        if self.settings.unchecked {
            import(("CSV → unchecked → CSV", SEND_CSV), &files.csv, &name, &["--check", "none"], None);
        }
        import(("CSV → columns turned round → CSV", CSV_TO_CSV), &files.csv, &format!("{name}_turned"), &[], None);
        import(("CSV → checked → NDJSON", CSV_TO_NDJSON), &files.csv, &name, &["--wire", "json"], None);
        import(("Parquet → CSV", PARQUET_TO_CSV), &files.parquet, &name, &[], None);
        import(("Parquet → NDJSON", PARQUET_TO_NDJSON), &files.parquet, &name, &["--wire", "json"], None);
        import(("NDJSON → NDJSON", NDJSON_TO_NDJSON), &files.ndjson, &name, &["--wire", "json"], None);
        import(("NDJSON → CSV", NDJSON_TO_CSV), &files.ndjson, &name, &[], None);
        if table == Table::Lineitem {
            for codec in ["lz4", "zstd", "gzip"] {
                let row = format!("CSV → CSV, {codec}");
                import((&row, ""), &files.csv, &name, &["--compression", codec], None);
            }
            import(("Parquet → CSV, zstd", ""), &files.parquet, &name, &["--compression", "zstd"], None);
            import(
                ("CSV → CSV, --memory 128MiB", ""),
                &files.csv,
                &name,
                &["--memory", "128MiB", "--load-size", "8MiB"],
                None,
            );
            import(
                ("Parquet → CSV, --memory 128MiB", ""),
                &files.parquet,
                &name,
                &["--memory", "128MiB", "--load-size", "8MiB"],
                None,
            );
            if self.settings.taskset.is_some() {
                for (cores, word) in [("0", "one core"), ("0,1", "two cores")] {
                    for (form, file) in [("CSV", &files.csv), ("Parquet", &files.parquet), ("NDJSON", &files.ndjson)] {
                        import((&format!("{form} → CSV, {word}"), ""), file, &name, &[], Some(cores));
                    }
                }
            }
        }
        if self.settings.curl.is_some() {
            let mut curl = |form: &str, task, file: &Path, headers| {
                let what = What::Curl { file: file.to_owned(), table: name.clone(), headers };
                rows.push(Row { name: format!("curl -T, {form}"), task, what });
            };
            curl("CSV", SEND_CSV, &files.csv, &CSV_HEADERS);
            curl("NDJSON", "", &files.ndjson, &JSON_HEADERS);
        }
        let engines = self.settings.python.as_ref().map_or(&[][..], |(_, engines)| engines);
        for (task, from, file, to) in [
            (CSV_TO_CSV, "csv", &files.csv, "csv"),
            (CSV_TO_NDJSON, "csv", &files.csv, "ndjson"),
            (PARQUET_TO_CSV, "parquet", &files.parquet, "csv"),
            (PARQUET_TO_NDJSON, "parquet", &files.parquet, "ndjson"),
            (NDJSON_TO_NDJSON, "ndjson", &files.ndjson, "ndjson"),
            (NDJSON_TO_CSV, "ndjson", &files.ndjson, "csv"),
        ] {
            for engine in engines {
                let what = What::Peer { engine, from, file: file.clone(), to };
                rows.push(Row { name: format!("{engine}: {task}"), task, what });
            }
        }
        rows
    }

    /// Runs all rows by turns and prints their medians.
    fn measure(&mut self, table: &str, rows: Vec<Row>, files: &Files) -> Result<(), Failure> {
        let rows: Vec<Row> = rows.into_iter().filter(|row| self.settings.wants(table, &row.name)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let mut samples: Vec<Vec<_>> = rows.iter().map(|_| Vec::new()).collect();
        for _ in 0..self.settings.runs.max(1) {
            for (row, samples) in rows.iter().zip(&mut samples) {
                row.what.warm()?;
                let before = self.sandbox.cpu_seconds();
                let sample = self.sample(&row.what, files.rows);
                let server_cpu_seconds = self.sandbox.cpu_seconds() - before;
                samples.push(sample.map(|sample| Sample { server_cpu_seconds, ..sample }));
            }
        }
        let csv_bytes = files.csv_bytes()?;
        let megabytes = as_float(csv_bytes) / 1e6;
        println!("**{table}**: {} rows, {megabytes:.0} MB of CSV\n", files.rows);
        println!("| | rows/s | MB/s | CPU s/GB | peak MB | server's CPU s/GB | CPU of the best other | aim |");
        println!("|---|---:|---:|---:|---:|---:|---:|---:|");
        let mut found = Vec::with_capacity(rows.len());
        for (row, samples) in rows.iter().zip(samples) {
            found.push((row, medians(row, samples)?));
        }
        for (row, sample) in &found {
            let others = found.iter().filter(|(other, _)| {
                other.task == row.task && !row.task.is_empty() && !matches!(other.what, What::Import { .. })
            });
            let best = others.filter_map(|(_, sample)| Some(sample.as_ref().ok()?.cpu_seconds)).min_by(f64::total_cmp);
            let best = best.filter(|_| matches!(row.what, What::Import { .. }));
            println!("{} {} |", line(&row.name, sample, files.rows, csv_bytes, best), aim(table, &row.name));
        }
        println!();
        Ok(())
    }

    fn sample(&mut self, what: &What, rows: u64) -> Result<Sample, Failure> {
        self.run += 1;
        let (job, frontend) = (format!("bench-{}", self.run), &self.sandbox.frontend);
        match what {
            What::Import { file, table, arguments, cores } => {
                let mut command = match (cores, &self.settings.taskset) {
                    (Some(cores), Some(taskset)) => {
                        let mut command = Command::new(taskset);
                        command.args(["-c", cores, SHIPLOAD]);
                        command
                    }
                    _ => Command::new(SHIPLOAD),
                };
                command.arg("import").arg(file).args(["--to", &format!("starrocks://root@{frontend}/bench/{table}")]);
                command.args(["--commit", "load", "--output", "json", "--job", &job, "--state-dir"]);
                command.arg(self.folder.path().join("state")).args(arguments);
                command.env("SHIPLOAD_PASSWORD", "");
                let (sample, said) = measured(&mut command)?;
                let report: serde_json::Value = serde_json::from_str(&said)?;
                if report["rows_loaded"].as_u64() != Some(rows) {
                    return Err(format!("{rows} rows were to be loaded: {said}").into());
                }
                Ok(sample)
            }
            What::Curl { file, table, headers } => {
                let curl = self.settings.curl.as_ref().ok_or("there is no curl")?;
                let mut command = Command::new(curl);
                command.args(["-sS", "--location-trusted", "-u", "root:", "-H", "Expect: 100-continue"]);
                for header in *headers {
                    command.args(["-H", header]);
                }
                command.args(["-H", &format!("label: {job}"), "-T"]).arg(file);
                let (sample, said) =
                    measured(command.arg(format!("http://{frontend}/api/bench/{table}/_stream_load")))?;
                if said.contains("\"Success\"") { Ok(sample) } else { Err(said.into()) }
            }
            What::Peer { engine, from, file, to } => {
                let (python, _) = self.settings.python.as_ref().ok_or("there is no Python")?;
                let mut command = Command::new(python);
                command.arg(self.folder.path().join("peer.py")).args([engine, from]).arg(file).arg(to);
                let (_, said) = measured(&mut command)?;
                let figures: Vec<f64> = said.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
                let [seconds, cpu_seconds, peak] = figures[..] else { return Err(said.into()) };
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes of memory")]
                Ok(Sample { seconds, cpu_seconds, peak_bytes: peak as u64, ..Sample::default() })
            }
        }
    }

    /// The same rows over and over in one file, and the same bytes in few and in many columns: throughput and memory should
    /// stay what they are.
    fn growth(&mut self, gigabytes_max: f64) -> Result<(), Failure> {
        let block = tables::files(&self.data, Table::Lineitem, 0.13)?;
        self.create("lineitem", &block, false)?;
        for gigabytes in [0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0] {
            if gigabytes > gigabytes_max {
                break;
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
            let times = (gigabytes * 10.0) as u64;
            let grown = repeat(&block, times, &self.data.join("grown.csv"))?;
            let mut rows = self.rows(Table::Lineitem, &grown);
            rows.retain(|row| ["CSV → checked → CSV", "CSV → CSV, --memory 128MiB"].contains(&row.name.as_str()));
            self.measure(&format!("lineitem, {gigabytes} GB"), rows, &grown)?;
            fs::remove_file(&grown.csv)?;
        }
        for columns in [5, 50, 500] {
            let table = Table::Floats(columns);
            let files = tables::files(&self.data, table, self.settings.scale)?;
            self.create(&table.name(), &files, false)?;
            let mut rows = self.rows(table, &files);
            rows.retain(|row| ["CSV → checked → CSV", "Parquet → CSV"].contains(&row.name.as_str()));
            self.measure(&format!("{columns} columns"), rows, &files)?;
        }
        Ok(())
    }
}

/// Writes the rows of a file into another one, so many times.
fn repeat(files: &Files, times: u64, path: &Path) -> Result<Files, Failure> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut block = BufReader::new(File::open(&files.csv)?);
    let mut header = Vec::new();
    io::BufRead::read_until(&mut block, b'\n', &mut header)?;
    out.write_all(&header)?;
    for _ in 0..times {
        block.seek(io::SeekFrom::Start(u64::try_from(header.len())?))?;
        io::copy(&mut block.by_ref().take(u64::MAX), &mut out)?;
    }
    out.flush()?;
    Ok(Files { csv: path.to_owned(), rows: files.rows * times, ..files.clone() })
}

/// The medians of the samples of a row, or why it could not be measured: an engine that cannot read a table is not news, the
/// program's own failure is.
fn medians(row: &Row, samples: Vec<Result<Sample, Failure>>) -> Result<Result<Sample, String>, Failure> {
    let samples: Vec<Sample> = match samples.into_iter().collect() {
        Ok(samples) => samples,
        Err(error) if matches!(row.what, What::Peer { .. }) => {
            let said = error.to_string();
            let last = said.lines().rfind(|line| !line.is_empty()).unwrap_or_default();
            return Ok(Err(last.chars().take(60).collect()));
        }
        Err(error) => return Err(error),
    };
    let median = |figure: &dyn Fn(&Sample) -> f64| {
        let mut values: Vec<f64> = samples.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let mut peaks: Vec<u64> = samples.iter().map(|sample| sample.peak_bytes).collect();
    peaks.sort_unstable();
    Ok(Ok(Sample {
        seconds: median(&|sample| sample.seconds),
        cpu_seconds: median(&|sample| sample.cpu_seconds),
        peak_bytes: peaks[peaks.len() / 2],
        server_cpu_seconds: median(&|sample| sample.server_cpu_seconds),
    }))
}

/// A row of the table. `best` are the CPU-seconds of the best who does the same.
fn line(name: &str, sample: &Result<Sample, String>, rows: u64, csv_bytes: u64, best: Option<f64>) -> String {
    let sample = match sample {
        Ok(sample) => sample,
        Err(why) => return format!("| {name} | {why} ||||||"),
    };
    let (seconds, gigabytes) = (sample.seconds, as_float(csv_bytes) / 1e9);
    let mut out = String::new();
    let _ = write!(out, "| {name} | {:.0} | {:.0} ", as_float(rows) / seconds, gigabytes * 1e3 / seconds);
    let _ = write!(out, "| {:.2} | {:.0} |", sample.cpu_seconds / gigabytes, as_float(sample.peak_bytes) / 1e6);
    let _ = match sample.server_cpu_seconds {
        0.0 => write!(out, " |"),
        seconds => write!(out, " {:.2} |", seconds / gigabytes),
    };
    let best = best.map(|best| format!(" {:.1} × |", best / sample.cpu_seconds));
    out + best.as_deref().unwrap_or(" |")
}

fn machine() -> String {
    let model = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{cores} cores of {}", model.unwrap_or_else(|| env::consts::ARCH.to_owned()))
}
