//! A folder, a sandbox that is killed and started on the same ports, and the loader.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::input::Sums;

/// Below those that the system gives to connections, or one of them could sit on a port while its sandbox is down.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// What a round needs at most: three backends, a frontend, a MySQL port.
const PORTS_EACH: u16 = 5;

/// Where everything of one round is kept.
pub(crate) struct Place {
    folder: TempDir,
    ports: u16,
    backends: u64,
}

impl Place {
    /// A folder with a table in its sandbox that holds one row: id 0, hash 0, and an empty text.
    pub(crate) fn new(backends: u64) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap(), ports: free_ports(), backends };
        let first = place.path().join("first.ndjson");
        fs::write(first, "{\"id\": 0, \"hash\": 0, \"text\": \"\"}\n").unwrap();
        let made = place.run(&["import", "first.ndjson", "--to", "sandbox:demo/chaos"]);
        assert!(made.status.success(), "{made:?}");
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Keeps the folder for whoever looks for the reason.
    pub(crate) fn keep(self) -> String {
        self.folder.keep().display().to_string()
    }

    pub(crate) fn target(&self) -> String {
        format!("starrocks://root@127.0.0.1:{}/demo/chaos", self.ports)
    }

    /// The program, with nothing of the surrounding environment that could change what it does.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shipload"));
        command.args(arguments).current_dir(self.path()).env("HOME", self.path()).stdin(Stdio::null());
        for name in
            ["SHIPLOAD_PASSWORD", "SHIPLOAD_STATE_DIR", "SHIPLOAD_SANDBOX_DIR", "SHIPLOAD_LOG", "XDG_STATE_HOME"]
        {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts the sandbox on its ports, with faults from the first request on.
    pub(crate) fn sandbox(&self, faults: Option<&str>) -> Sandbox {
        let [frontend, mysql, backend] = [0, 1, 2].map(|port| (self.ports + port).to_string());
        let backends = self.backends.to_string();
        let ports = ["--fe-port", &frontend, "--mysql-port", &mysql, "--be-port", &backend, "--backends", &backends];
        let mut command = self.command(&["sandbox"]);
        command.args(ports);
        if let Some(faults) = faults {
            fs::write(self.path().join("faults.json"), faults).unwrap();
            command.args(["--faults", "faults.json"]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        if !ready.starts_with("sandbox ready") {
            let output = child.wait_with_output().unwrap();
            panic!("the sandbox did not start: {}", String::from_utf8_lossy(&output.stderr));
        }
        // Nobody has to read what it says for it to go on.
        let mut stderr = child.stderr.take().unwrap();
        thread::spawn(move || drop(std::io::copy(&mut stderr, &mut std::io::sink())));
        Sandbox { child, frontend: self.ports, fired: 0 }
    }

    /// One JSON object per row.
    fn rows(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.run(&[arguments, &["--to", &self.target(), "--output", "json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What the table comes to.
    pub(crate) fn sums(&self) -> Sums {
        let query = "select count(*) c, count(distinct id) d, sum(hash) h, sum(char_length(text)) t from chaos";
        let row = self.rows(&["sql", query]).remove(0);
        let number = |name: &str| match &row[name] {
            Value::String(text) => text.parse().unwrap(),
            other => other.as_u64().unwrap(),
        };
        // The row that made the table is not one of the input's.
        Sums { rows: number("c") - 1, ids: number("d") - 1, hashes: number("h"), characters: number("t") }
    }

    /// The labels of transactions that are neither committed nor rolled back.
    pub(crate) fn open_transactions(&self) -> Vec<String> {
        let all = self.rows(&["cluster", "transactions", "--limit", "0"]);
        all.iter().map(|transaction| format!("{} {}", transaction["label"], transaction["state"])).collect()
    }
}

/// A sandbox that runs.
pub(crate) struct Sandbox {
    child: Child,
    frontend: u16,
    /// Faults that were seen to have struck.
    pub(crate) fired: u64,
}

impl Sandbox {
    /// `kill -9`.
    pub(crate) fn kill(mut self) -> u64 {
        self.ask();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.fired
    }

    /// How many faults have struck; as far as it is known, if it cannot be asked.
    pub(crate) fn ask(&mut self) -> u64 {
        self.told("GET");
        self.fired
    }

    fn told(&mut self, method: &str) -> bool {
        let told = fired(method, self.frontend);
        self.fired = self.fired.max(told.unwrap_or(0));
        told.is_some()
    }

    /// Ends all faults. A connection that a fault refuses, or a node that comes back in a moment, is asked again.
    pub(crate) fn forgive(&mut self) {
        const TRIES_MAX: u32 = 100;
        for _ in 0..TRIES_MAX {
            if self.told("DELETE") {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the sandbox does not answer");
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks for the faults, or ends them; how many have struck, if an answer comes.
fn fired(method: &str, frontend: u16) -> Option<u64> {
    let mut stream = TcpStream::connect(("127.0.0.1", frontend)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    let headers = "Host: fe\r\nAuthorization: Basic cm9vdDo=\r\nConnection: close\r\n\r\n";
    write!(stream, "{method} /sandbox/faults HTTP/1.1\r\n{headers}").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    serde_json::from_str::<Value>(body).ok()?["fired_total"].as_u64()
}

/// As many ports in a row as a round needs, all of them free.
fn free_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let all = (PORTS.end - PORTS.start) / PORTS_EACH;
    let from = u16::try_from(std::process::id() % u32::from(all)).unwrap();
    for _ in 0..all {
        let place = (from + NEXT.fetch_add(1, Ordering::Relaxed)) % all;
        let first = PORTS.start + place * PORTS_EACH;
        let held: Vec<_> =
            (first..first + PORTS_EACH).map_while(|port| TcpListener::bind(("127.0.0.1", port)).ok()).collect();
        if held.len() == usize::from(PORTS_EACH) {
            return first;
        }
    }
    panic!("no free ports in {PORTS:?}");
}
