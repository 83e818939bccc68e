//! The service for as long as one likes, with files, jobs and uploads, while the cluster fails and everybody is killed.
//!
//! ```sh
//! SHIPLOAD_TEST_SOAK=3600 cargo test --release --test daemon soak:: -- --nocapture    # seconds
//! SHIPLOAD_TEST_SOAK=3600:7 …                                                         # another seed
//! ```
//!
//! In the second half of the time the service is left alive. Each round prints the time, rows in and out, how often who was
//! started again, and the memory; the end prints the slope of the memory over the longest life of one process, but for the
//! first quarter of it, in which it warms up. A short slice is part of the tests.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::dice::Dice;
use crate::service::{Place, Service, csv, target, wait_for};
use crate::support::Sandbox;

/// Rows of one file, at most.
const ROWS_MAX: u64 = 20_000;

/// How much of the log a failure shows: some minutes of it.
const LOG_LINES: usize = 300;

/// What goes wrong at the cluster meanwhile: answers that are lost after the fact, and proxies in between.
const FAULTS: &str = r#"{"seed": SEED, "rules": [
    {"at": "answer", "node": "be*", "operation": "stream_load", "times": "always", "probability": 0.1, "do": {"kind": "reset"}},
    {"at": "head", "node": "fe*", "operation": "stream_load", "times": "always", "probability": 0.05, "do": {"kind": "html"}}
]}"#;

/// A run, as it stands.
struct Run {
    place: Place,
    dice: Dice,
    sandbox: Option<Sandbox>,
    service: Option<Service>,
    /// Where the service listens, for those who send while it is started again.
    address: Arc<Mutex<String>>,
    rows_in: u64,
    services: u32,
    sandboxes: u32,
    /// Seconds and resident bytes, of each life of the service.
    memory: Vec<Vec<(f64, f64)>>,
    started: Instant,
}

impl Run {
    fn new(seed: u64) -> Self {
        let place = Place::new();
        let sandbox = place.world.sandbox(&[]);
        let folder = place.world.path().canonicalize().unwrap();
        std::fs::create_dir_all(folder.join("in/watched")).unwrap();
        let watch = format!(
            "[watch.files]\nglob = \"{}/in/watched/*.csv\"\ndatabase = \"demo\"\ntable = \"t\"\nloaded = \"delete\"\n\
             interval = \"100ms\"\nsettle = \"200ms\"\nsettings = [\"create_table=true\"]\n",
            folder.display()
        );
        place.configure("", &(target("lake", &sandbox) + &watch));
        let service = place.start();
        let address = Arc::new(Mutex::new(service.address.clone()));
        #[expect(clippy::disallowed_methods, reason = "a test has the clock of its machine")]
        let started = Instant::now();
        Self {
            place,
            dice: Dice::new(seed),
            sandbox: Some(sandbox),
            service: Some(service),
            address,
            rows_in: 0,
            services: 0,
            sandboxes: 0,
            memory: vec![Vec::new()],
            started,
        }
    }

    fn service(&self) -> &Service {
        self.service.as_ref().unwrap()
    }

    /// The rows of the next file: no other has any of them.
    fn rows(&mut self) -> String {
        let rows = self.dice.between(1, ROWS_MAX);
        self.rows_in += rows;
        csv(self.rows_in - rows, rows)
    }

    fn round(&mut self, number: u32, let_live: bool) {
        let faults = FAULTS.replace("SEED", &self.dice.below(1 << 30).to_string());
        assert_eq!(post(&self.sandbox.as_ref().unwrap().frontend, "/sandbox/faults", "", &faults), Some(200));
        let mut files = Vec::new();
        for file in 0..self.dice.between(1, 3) {
            let rows = self.rows();
            let path = self.place.world.file(&format!("in/watched/{number}-{file}.csv"), &rows);
            if self.dice.once_in(3) {
                files.push(self.place.world.file(&format!("in/watched/{number}-{file}-copy.csv"), &rows));
            }
            files.push(path);
        }
        let rows = self.rows();
        let job = self.place.world.file(&format!("in/job-{number}.csv"), &rows);
        let job = std::fs::canonicalize(job).unwrap();
        let id =
            self.service().begin(&json!({"sources": [job], "database": "demo", "table": "t", "create_table": true}));
        let upload = self.rows();
        let address = Arc::clone(&self.address);
        let upload = thread::spawn(move || send(&address, number, &upload));
        self.strike(let_live);
        upload.join().unwrap();
        for file in &files {
            wait_for(&format!("the end of {file}"), || (!PathBuf::from(file).exists()).then_some(()));
        }
        wait_for(&format!("the end of {id}"), || {
            let state = self.service().job(&id)["state"].as_str().unwrap().to_owned();
            if ["failed", "interrupted", "in_doubt"].contains(&state.as_str()) {
                self.service().ask("POST", &format!("/v1/jobs/{id}/resume"), &[], b"");
            }
            // One whose service was killed between its last load and its last word is found loaded by the next one.
            ["finished", "already_loaded"].contains(&state.as_str()).then_some(())
        });
        std::fs::remove_file(job).unwrap();
    }

    /// Does something to somebody, or to nobody.
    fn strike(&mut self, let_live: bool) {
        thread::sleep(Duration::from_millis(self.dice.below(1500)));
        match self.dice.below(8) {
            0 if !let_live => self.restart(Service::kill),
            1 if !let_live => self.restart(|service| assert_eq!(service.stop(), 0)),
            2 => self.service().signal("-HUP"),
            3 => {
                let old = self.sandbox.take().unwrap();
                let port = |address: &str| address.rsplit(':').next().unwrap().to_owned();
                let (frontend, backend, mysql) = (port(&old.frontend), port(&old.backend), old.mysql_port());
                old.kill();
                let ports = ["--fe-port", &frontend, "--be-port", &backend, "--mysql-port", &mysql];
                self.sandbox = Some(self.place.world.sandbox(&ports));
                self.sandboxes += 1;
            }
            _ => {}
        }
    }

    fn restart(&mut self, end: impl FnOnce(Service)) {
        end(self.service.take().unwrap());
        let service = self.place.start();
        self.address.lock().unwrap().clone_from(&service.address);
        self.service = Some(service);
        self.services += 1;
        self.memory.push(Vec::new());
    }

    #[expect(clippy::print_stdout, reason = "whoever runs it for an hour reads what comes of it")]
    fn tell(&mut self, number: u32) {
        let resident = self.service().metric("process_resident_memory_bytes");
        let seconds = self.started.elapsed().as_secs_f64();
        self.memory.last_mut().unwrap().push((seconds, resident));
        let (rows, ids) = self.place.counts(self.sandbox.as_ref().unwrap(), "t");
        let mut line = format!("{seconds:8.1} s  round {number:5}  rows in {:10}  rows out {rows:10}", self.rows_in);
        write!(line, "  services {:4}  sandboxes {:4}", self.services, self.sandboxes).unwrap();
        println!("{line}  resident {:6.1} MiB", resident / 1_048_576.0);
        assert_eq!((rows, ids), (self.rows_in, self.rows_in), "rows out, and how many different ones");
    }

    /// MiB per hour, over the longest life of one service, once it is warm.
    fn slope(&self) -> Option<(f64, f64)> {
        let points = self.memory.iter().max_by_key(|points| points.len())?;
        let points = &points[points.len() / 4..];
        if points.len() < 3 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a number of rounds")]
        let count = points.len() as f64;
        let mean = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).sum::<f64>() / count;
        let (time, bytes) = (mean(|point| point.0), mean(|point| point.1));
        let both: f64 = points.iter().map(|(t, b)| (t - time) * (b - bytes)).sum();
        let spread: f64 = points.iter().map(|(t, _)| (t - time).powi(2)).sum();
        Some((both / spread * 3600.0 / 1_048_576.0, points.last()?.0 - points[0].0))
    }
}

/// Whoever comes back to a soak that has failed finds its folder gone; what the service said last is why.
impl Drop for Run {
    #[expect(clippy::print_stderr, reason = "it stands below the failure")]
    fn drop(&mut self) {
        if thread::panicking() {
            let log = std::fs::read_to_string(self.place.world.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the end of the log:\n{}", lines[lines.len().saturating_sub(LOG_LINES)..].join("\n"));
        }
    }
}

/// Sends an upload until it is loaded, under one key.
fn send(address: &Mutex<String>, number: u32, rows: &str) {
    let key = format!("Idempotency-Key: soak-{number}\r\nContent-Type: text/csv\r\n");
    wait_for(&format!("upload {number}"), || {
        let address = address.lock().unwrap().clone();
        (request(&address, "PUT", "/v1/load/demo/t?create_table=true", &key, rows) == Some(200)).then_some(())
    });
}

pub(crate) fn post(address: &str, path: &str, headers: &str, body: &str) -> Option<u16> {
    request(address, "POST", path, headers, body)
}

/// The status of an answer; none where there is none, because somebody was killed.
fn request(address: &str, method: &str, path: &str, headers: &str, body: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    let authorization = "Authorization: Basic cm9vdDo=\r\n";
    let authorization = if path.starts_with("/sandbox") { authorization } else { "" };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{authorization}{headers}");
    stream.write_all(format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

#[test]
#[expect(clippy::print_stdout, reason = "whoever runs it for an hour reads what comes of it")]
fn rows_in_are_rows_out_whoever_is_killed() {
    let asked = std::env::var_os("SHIPLOAD_TEST_SOAK").map(|asked| asked.into_string().unwrap()).unwrap_or_default();
    let (seconds, seed) = asked.split_once(':').unwrap_or((&asked, "1"));
    let time = Duration::from_secs(seconds.parse().unwrap_or(0));
    let mut run = Run::new(seed.parse().unwrap());
    let mut number = 0;
    loop {
        run.round(number, !time.is_zero() && run.started.elapsed() > time / 2);
        run.tell(number);
        number += 1;
        if number >= 3 && run.started.elapsed() >= time {
            break;
        }
    }
    if let Some((slope, life)) = run.slope() {
        println!("memory: {slope:+.2} MiB per hour over {life:.0} s of one service's life");
    }
}
