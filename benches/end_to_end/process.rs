//! Processes: a sandbox to load into, and whoever is measured.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mysql_async::prelude::Queryable;
use shipload::clock::{Clock as _, SystemClock};
use wait4::Wait4 as _;

use crate::Failure;

pub(crate) const SHIPLOAD: &str = env!("CARGO_BIN_EXE_shipload");

/// What a process took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_bytes: u64,
    /// What the sandbox took meanwhile, where it was asked.
    pub(crate) server_cpu_seconds: f64,
}

/// Runs a command to its end and returns what it took and what it said. One that fails ends the bench: figures of half a run
/// would look good.
pub(crate) fn measured(command: &mut Command) -> Result<(Sample, String), Failure> {
    let started = SystemClock.instant();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut errors = child.stderr.take().ok_or("the child has a standard error")?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).map(|_| text)
    });
    let mut said = String::new();
    child.stdout.take().ok_or("the child has a standard output")?.read_to_string(&mut said)?;
    let used = child.wait4()?;
    let seconds = started.elapsed().as_secs_f64();
    let errors = reader.join().map_err(|_| "the thread that reads what a child says panicked")??;
    if !used.status.success() {
        return Err(format!("{command:?}: {}\n{said}\n{errors}", used.status).into());
    }
    let cpu_seconds = (used.rusage.utime + used.rusage.stime).as_secs_f64();
    Ok((Sample { seconds, cpu_seconds, peak_bytes: used.rusage.maxrss, ..Sample::default() }, said))
}

/// A sandbox that counts rows and keeps nothing, in a process of its own.
pub(crate) struct Sandbox {
    child: Child,
    pub(crate) frontend: String,
    mysql: String,
}

impl Sandbox {
    pub(crate) fn start(folder: &Path) -> Result<Self, Failure> {
        let mut child = Command::new(SHIPLOAD)
            .args(["sandbox", "--discard", "--fe-port", "0", "--be-port", "0", "--mysql-port", "0", "--sandbox-dir"])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("the sandbox has a standard output")?).read_line(&mut line)?;
        let word = |start: &str| line.split_whitespace().find_map(|word| word.strip_prefix(start)).map(str::to_owned);
        let (Some(frontend), Some(mysql)) = (word("fe=http://"), word("mysql=")) else {
            return Err(format!("the sandbox said {line:?}").into());
        };
        Ok(Self { child, frontend, mysql })
    }

    /// The processor time that it took so far, where the system tells.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The name in brackets may hold anything; behind it the state is the first word, and the times the 12th and 13th.
        let words = stat.rsplit_once(')').map_or("", |(_, words)| words).split_whitespace();
        words.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
    }

    pub(crate) fn execute(&self, statements: &[String]) -> Result<(), Failure> {
        let (host, port) = self.mysql.rsplit_once(':').ok_or("an address has a port")?;
        let options = mysql_async::OptsBuilder::default()
            .ip_or_hostname(host.to_owned())
            .tcp_port(port.parse()?)
            .user(Some("root"));
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            let mut connection = mysql_async::Conn::new(options).await?;
            for statement in statements {
                connection.query_drop(statement).await?;
            }
            Ok(connection.disconnect().await?)
        })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // It keeps nothing that a kill could hurt.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program of this name on the path, if it is there.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}
