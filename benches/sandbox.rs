//! How fast the sandbox takes loads in, beside what the loopback itself can carry.
//!
//! `cargo bench --bench sandbox [-- --rows N] [--runs N] [--only TEXT]`. A sandbox runs in this process; the client is a
//! thread with a plain socket. Two sinks, which read the same bytes and drop them, show the limit that no server on
//! this machine can pass: one on a bare socket, one behind hyper. Rates are medians; processor time is that of
//! everything but the client, and where the system does not tell it, it is left out. The body is one block of rows sent
//! over and over, so that the memory that is shown is the sandbox's and not the body's.

#![expect(clippy::print_stdout, reason = "a bench says what it measured")]

use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use mysql_async::prelude::Queryable;
use shipload::clock::{Clock as _, SystemClock};
use shipload::sandbox::{Options, Sandbox};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Rows of the block that a body repeats: about 6 MB, more than the caches hold.
const BLOCK_ROWS: u64 = 50_000;

/// How much of a body the client gives to its socket at once.
const WRITE_BYTES: usize = 256 * 1024;

const TABLE: &str = "CREATE TABLE bench.orders (
    id BIGINT NOT NULL, customer INT, name VARCHAR(40), city VARCHAR(40), amount DECIMAL(12,2), rate DOUBLE,
    ordered DATETIME, note VARCHAR(200)
) DUPLICATE KEY (id) DISTRIBUTED BY HASH (id)";

/// What is measured: a name, the headers of the load, and how a block of rows looks.
struct Case {
    name: &'static str,
    headers: &'static str,
    block: fn(u64) -> String,
}

const CASES: [Case; 3] = [
    Case {
        name: "csv quoted",
        headers: "column_separator: ,\r\nenclose: \"\r\nescape: \\\r\n",
        block: |rows| block(rows, r#""{id}","{customer}","{name}","{city}","{amount}","{rate}","{ordered}","{note}""#),
    },
    Case {
        name: "csv plain",
        headers: "column_separator: ,\r\n",
        block: |rows| block(rows, "{id},{customer},{name},{city},{amount},{rate},{ordered},{note}"),
    },
    Case {
        name: "json",
        headers: "format: json\r\nignore_json_size: true\r\n",
        block: |rows| {
            let row = concat!(
                r#"{"id":{id},"customer":{customer},"name":"{name}","city":"{city}","amount":{amount},"rate":{rate},"#,
                r#""ordered":"{ordered}","note":"{note}"}"#
            );
            block(rows, row)
        },
    },
];

/// Rows in some format, the same ones in each and on every machine.
fn block(rows: u64, form: &str) -> String {
    const CITIES: [&str; 5] = ["Berlin", "São Paulo", "Osaka", "Nairobi", "Winnipeg"];
    const WORDS: [&str; 6] = ["carefully", "final", "deposits", "sleep", "quickly", "across"];
    let mut out = String::new();
    // Knuth's multiplicative generator: enough disorder for lengths and digits to vary.
    let mut seed = 42_u64;
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let pick = |words: &[&'static str], at: u64| words[usize::try_from(at).unwrap_or_default() % words.len()];
    for id in 0..rows {
        let note: Vec<&str> = (0..3 + next(4)).map(|_| pick(&WORDS, next(6))).collect();
        let (day, hour, minute, second) = (1 + next(28), next(24), next(60), next(60));
        let values = [
            ("id", (1_000_000 + id).to_string()),
            ("customer", next(2_000_000).to_string()),
            ("name", format!("Customer#{:09}", next(1_000_000_000))),
            ("city", pick(&CITIES, next(5)).to_owned()),
            ("amount", format!("{}.{:02}", next(100_000), next(100))),
            ("rate", format!("0.{:06}", 1 + next(999_998))),
            ("ordered", format!("2024-{:02}-{day:02} {hour:02}:{minute:02}:{second:02}", 1 + next(12))),
            ("note", note.join(" ")),
        ];
        let row = values.iter().fold(form.to_owned(), |row, (name, value)| row.replace(&format!("{{{name}}}"), value));
        out.push_str(&row);
        out.push('\n');
    }
    out
}

/// One run.
#[derive(Clone, Copy, Default)]
struct Sample {
    seconds: f64,
    processor_seconds: Option<f64>,
    peak_bytes: Option<u64>,
}

struct Arguments {
    rows: u64,
    runs: usize,
    only: String,
}

impl Arguments {
    fn parse() -> Result<Self, Failure> {
        let mut parsed = Self { rows: 1_000_000, runs: 3, only: String::new() };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--rows" => parsed.rows = value()?.replace('_', "").parse()?,
                "--runs" => parsed.runs = value()?.parse()?,
                "--only" => parsed.only = value()?,
                // Cargo's own.
                "--bench" => {}
                _ => return Err(format!("{name}: not one of --rows, --runs, --only").into()),
            }
        }
        Ok(parsed)
    }
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let blocks = (arguments.rows / BLOCK_ROWS).max(1);
    println!("{:<22}{:>12}{:>10}{:>14}{:>12}", "", "rows/s", "MB/s", "CPU s/GB", "peak MB");
    for case in &CASES {
        let block = (case.block)(BLOCK_ROWS.min(arguments.rows.max(1)));
        let body = Body { block: block.as_bytes(), blocks, rows: blocks * BLOCK_ROWS.min(arguments.rows.max(1)) };
        let wanted = |how: &str| format!("{} {how}", case.name).contains(&arguments.only);
        if wanted("to a socket") {
            let address = runtime.block_on(socket_sink())?;
            let measure = || measured(|| send_bare(address, &body));
            report(&format!("{} to a socket", case.name), &body, arguments.runs, measure)?;
        }
        if wanted("to hyper") {
            let address = runtime.block_on(hyper_sink())?;
            let measure = || measured(|| send(address, case.headers, &body).map(drop));
            report(&format!("{} to hyper", case.name), &body, arguments.runs, measure)?;
        }
        for (how, discard) in [("discarded", true), ("stored", false)] {
            if wanted(how) {
                let name = format!("{} {how}", case.name);
                sandbox(&runtime, &name, discard, case.headers, &body, arguments.runs)?;
            }
        }
    }
    Ok(())
}

/// Measures loads into a sandbox of their own.
fn sandbox(
    runtime: &tokio::runtime::Runtime,
    name: &str,
    discard: bool,
    headers: &str,
    body: &Body<'_>,
    runs: usize,
) -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let sandbox = runtime.block_on(Sandbox::start(Options { discard, ..Options::new(dir.path()).with_any_ports() }))?;
    let addresses = sandbox.addresses().clone();
    let execute = |statements: &[&str]| {
        runtime.block_on(async {
            let options = mysql_async::OptsBuilder::default()
                .ip_or_hostname(addresses.mysql.ip().to_string())
                .tcp_port(addresses.mysql.port())
                .user(Some("root"));
            let mut connection = mysql_async::Conn::new(options).await?;
            for statement in statements {
                connection.query_drop(*statement).await?;
            }
            connection.disconnect().await
        })
    };
    execute(&["CREATE DATABASE bench", TABLE])?;
    report(name, body, runs, || {
        execute(&["TRUNCATE TABLE bench.orders"])?;
        measured(|| {
            let answer = send(addresses.backend, headers, body)?;
            let counted = answer.contains(&format!("\"NumberLoadedRows\": {}", body.rows));
            if answer.contains("\"Success\"") && counted { Ok(()) } else { Err(answer.into()) }
        })
    })?;
    runtime.block_on(sandbox.drain());
    Ok(())
}

/// Runs something several times and prints its medians.
fn report(
    name: &str,
    body: &Body<'_>,
    runs: usize,
    mut run: impl FnMut() -> Result<Sample, Failure>,
) -> Result<(), Failure> {
    // Once to warm up.
    run()?;
    let samples = (0..runs.max(1)).map(|_| run()).collect::<Result<Vec<_>, _>>()?;
    let median = |pick: &dyn Fn(&Sample) -> Option<f64>| {
        let mut values: Vec<f64> = samples.iter().filter_map(pick).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    let seconds = median(&|sample| Some(sample.seconds)).unwrap_or_default();
    let (rows, megabytes) = (float(body.rows), float(body.length()) / 1e6);
    let mut line = format!("{name:<22}{:>12.0}{:>10.0}", rows / seconds, megabytes / seconds);
    for (value, width, digits) in [
        (median(&|sample| Some(sample.processor_seconds? / megabytes * 1000.0)), 14, 2),
        (median(&|sample| Some(float(sample.peak_bytes?) / 1e6)), 12, 0),
    ] {
        match value {
            Some(value) => write!(line, "{value:>width$.digits$}")?,
            None => write!(line, "{:>width$}", "-")?,
        }
    }
    println!("{line}");
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn float(count: u64) -> f64 {
    count as f64
}

/// Runs the client on this thread and measures it and everybody else.
fn measured(client: impl FnOnce() -> Result<(), Failure>) -> Result<Sample, Failure> {
    forget_peak();
    let (everybody, own) = (process_seconds(), thread_seconds());
    let started = SystemClock.instant();
    client()?;
    let seconds = started.elapsed().as_secs_f64();
    let since = |now: Option<f64>, then: Option<f64>| Some(now? - then?);
    let client_seconds = since(thread_seconds(), own);
    let processor_seconds = since(since(process_seconds(), everybody), client_seconds).map(|left| left.max(0.0));
    Ok(Sample { seconds, processor_seconds, peak_bytes: peak_bytes() })
}

/// The processor time of this process: user and system, in hundredths of a second.
fn process_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let ticks: Vec<f64> = stat.rsplit_once(')')?.1.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    // Behind the name and the state, which is no number, the fields count from the parent's id.
    Some((ticks.get(10)? + ticks.get(11)?) / 100.0)
}

/// The processor time of this thread.
fn thread_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split_whitespace().next()?.parse::<f64>().ok().map(|nanoseconds| nanoseconds / 1e9)
}

fn forget_peak() {
    // Without the right to, the peak is that of the whole bench.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn peak_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

/// A body: a block of rows, over and over.
struct Body<'a> {
    block: &'a [u8],
    blocks: u64,
    rows: u64,
}

impl Body<'_> {
    fn length(&self) -> u64 {
        self.blocks * u64::try_from(self.block.len()).unwrap_or_default()
    }

    fn write(&self, stream: &mut TcpStream) -> io::Result<()> {
        for _ in 0..self.blocks {
            for part in self.block.chunks(WRITE_BYTES) {
                stream.write_all(part)?;
            }
        }
        Ok(())
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_mins(10)))?;
    Ok(stream)
}

/// Sends a load and returns the answer.
fn send(address: SocketAddr, headers: &str, body: &Body<'_>) -> Result<String, Failure> {
    let mut stream = connect(address)?;
    // `root:`, the user of a new sandbox.
    let head = format!(
        "PUT /api/bench/orders/_stream_load HTTP/1.1\r\nHost: {address}\r\nAuthorization: Basic cm9vdDo=\r\n\
         Expect: 100-continue\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.length()
    );
    stream.write_all(head.as_bytes())?;
    let mut started = Vec::new();
    while !started.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        started.push(byte[0]);
    }
    let mut answer = String::from_utf8(started)?;
    if answer.starts_with("HTTP/1.1 100") {
        body.write(&mut stream)?;
        answer.clear();
    }
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Sends a body without any protocol and waits until it has been read.
fn send_bare(address: SocketAddr, body: &Body<'_>) -> Result<(), Failure> {
    let mut stream = connect(address)?;
    body.write(&mut stream)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Reads what comes on a socket and drops it.
async fn socket_sink() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        let mut buffer = vec![0; WRITE_BYTES];
        while let Ok((mut stream, _)) = listener.accept().await {
            while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
            // The client sees the end of the connection when this goes.
            let _ = stream.shutdown().await;
        }
    });
    Ok(address)
}

/// Reads what comes in requests and drops it.
async fn hyper_sink() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(|request: Request<Incoming>| async {
                let mut body = request.into_body();
                while let Some(Ok(frame)) = body.frame().await {
                    drop(frame);
                }
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"read"))))
            });
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            drop(served);
        }
    });
    Ok(address)
}
