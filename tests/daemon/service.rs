//! A service in a process of its own, and a caller of it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Sandbox, World};

/// How long a test waits for what has to happen; a busy machine builds beside it.
const PATIENCE: Duration = Duration::from_mins(2);

/// How often it looks.
const LOOK: Duration = Duration::from_millis(50);

/// Waits until something is there.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    #[expect(clippy::disallowed_methods, reason = "a test has the clock of its machine")]
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what} did not happen");
        thread::sleep(LOOK);
    }
}

/// A folder with a configuration.
pub(crate) struct Place {
    pub(crate) world: World,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { world: World::new() };
        fs::create_dir_all(place.world.path().join("in")).unwrap();
        place
    }

    /// Writes the configuration: a service on a free port, with little memory, and what else is said.
    pub(crate) fn configure(&self, server: &str, rest: &str) {
        self.configure_jobs(server, "job_memory = \"44MiB\"\nload_size = \"1MiB\"", rest);
    }

    /// The same, with other shares for each job.
    pub(crate) fn configure_jobs(&self, server: &str, jobs: &str, rest: &str) {
        let folder = self.world.path().canonicalize().unwrap();
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n{server}\n[files]\nroots = [\"{0}/in\"]\n\
             [jobs]\nstate_dir = \"{0}/state\"\nmemory = \"256MiB\"\n{jobs}\n{rest}\n",
            folder.display()
        );
        self.world.file("shipload.toml", text);
    }

    /// A file with so many rows of two columns.
    pub(crate) fn rows(&self, name: &str, from: u64, rows: u64) -> String {
        let path = self.world.file(&format!("in/{name}"), csv(from, rows));
        fs::canonicalize(path).unwrap().display().to_string()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command(arguments);
        // Every variable of the program's would be a key of its configuration, or wrong.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SHIPLOAD_")) {
            command.env_remove(name);
        }
        command.env_remove("STATE_DIRECTORY").env_remove("MIMALLOC_PURGE_DELAY");
        command
    }

    pub(crate) fn start(&self) -> Service {
        self.start_with(&[])
    }

    /// The same, with more in its environment.
    pub(crate) fn start_with(&self, variables: &[(&str, &str)]) -> Service {
        let log = self.world.path().join("log");
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let mut command = self.command(&["serve", "--config", "shipload.toml"]);
        command.envs(variables.iter().copied());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let address = ready.trim().strip_prefix("shipload ready http=");
        let address = address.unwrap_or_else(|| panic!("not ready: {}", fs::read_to_string(&log).unwrap())).to_owned();
        Service { address, child, log, token: None }
    }

    /// How many rows a table of the sandbox has, and how many different ones.
    pub(crate) fn counts(&self, sandbox: &Sandbox, table: &str) -> (u64, u64) {
        let query = format!("select count(*) as n, count(distinct id) as d from {table}");
        let ran = self.world.run(&["sql", &query, "--to", &sandbox.target("demo"), "--output", "json"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let row: Value = serde_json::from_str(ran.stdout.lines().next().unwrap()).unwrap();
        let number = |name: &str| row[name].as_u64().or_else(|| row[name].as_str()?.parse().ok()).unwrap();
        (number("n"), number("d"))
    }
}

pub(crate) fn csv(from: u64, rows: u64) -> String {
    let mut text = "id,name\n".to_owned();
    for id in from..from + rows {
        writeln!(text, "{id},a name that makes the row somewhat longer {id}").unwrap();
    }
    text
}

/// `[targets.NAME]` for a sandbox.
pub(crate) fn target(name: &str, sandbox: &Sandbox) -> String {
    let (address, port) = (&sandbox.frontend, sandbox.mysql_port());
    format!("[targets.{name}]\naddress = \"starrocks://root@{address}\"\nmysql_port = {port}\n")
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The same, of this status.
    #[track_caller]
    pub(crate) fn of(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.text());
        self
    }
}

/// A service that runs.
pub(crate) struct Service {
    pub(crate) address: String,
    child: Child,
    log: PathBuf,
    pub(crate) token: Option<String>,
}

impl Service {
    /// Asks, and reads the answer.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        if let Some(token) = &self.token {
            write!(head, "Authorization: Bearer {token}\r\n").unwrap();
        }
        write!(head, "Content-Length: {}\r\n\r\n", body.len()).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        // A service that has seen enough answers before it has read everything.
        let _ = stream.write_all(body);
        read_answer(stream)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// Begins a job; returns its name.
    pub(crate) fn begin(&self, body: &Value) -> String {
        let answer = self.post("/v1/jobs", body).of(202);
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(answer.header("location"), Some(format!("/v1/jobs/{id}").as_str()));
        id
    }

    pub(crate) fn job(&self, id: &str) -> Value {
        self.get(&format!("/v1/jobs/{id}")).of(200).json()
    }

    /// Waits for the end of a job, and returns its state.
    pub(crate) fn end_of(&self, id: &str) -> String {
        wait_for(&format!("the end of {id}"), || {
            let job = self.job(id);
            let state = job["state"].as_str().unwrap().to_owned();
            (!["waiting", "running"].contains(&state.as_str())).then_some(state)
        })
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The value of a metric.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = self.get("/metrics").of(200).text();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in:\n{text}")).parse().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// The most memory that it has ever had, in bytes.
    pub(crate) fn peak_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; returns the exit code.
    pub(crate) fn stop(self) -> i32 {
        self.signal("-TERM");
        self.end()
    }

    /// Waits for one that was told to stop; returns the exit code.
    pub(crate) fn end(mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads one answer to its end.
pub(crate) fn read_answer(stream: TcpStream) -> Answer {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = reader.read_line(&mut head).unwrap_or_else(|error| panic!("no answer ({error}): {head}"));
            assert!(read > 0, "the answer ends in its head: {head}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        if status == 100 {
            continue;
        }
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
        let mut body = Vec::new();
        match length {
            Some(length) => {
                body.resize(length, 0);
                reader.read_exact(&mut body).unwrap();
            }
            None if lower.contains("transfer-encoding: chunked") => read_chunks(&mut reader, &mut body),
            None => {}
        }
        return Answer { status, head, body };
    }
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let bytes = usize::from_str_radix(line.trim(), 16).unwrap();
        let at = body.len();
        body.resize(at + bytes, 0);
        reader.read_exact(&mut body[at..]).unwrap();
        reader.read_line(&mut String::new()).unwrap();
        if bytes == 0 {
            return;
        }
    }
}
