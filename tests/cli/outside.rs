//! Clients that know nothing of shipload, against its sandbox: curl and a MySQL client library.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use mysql_async::prelude::Queryable;
use serde_json::{Value, json};

use super::support::{Sandbox, World, example};

const CREATE: &str = "
    CREATE TABLE demo.airports (
        iata VARCHAR(10) NOT NULL COMMENT 'code', name VARCHAR(200), city VARCHAR(100), state VARCHAR(10),
        country VARCHAR(60), latitude DOUBLE, longitude DOUBLE
    ) ENGINE = OLAP DUPLICATE KEY (iata) COMMENT 'all airports'
    DISTRIBUTED BY HASH (iata) BUCKETS 4 PROPERTIES ('replication_num' = '1')";

pub(crate) fn mysql<R>(sandbox: &Sandbox, work: impl AsyncFnOnce(&mut mysql_async::Conn) -> R) -> R {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let url = format!("mysql://root@{}/", sandbox.mysql);
        let mut connection = mysql_async::Conn::from_url(url).await.unwrap();
        let result = work(&mut connection).await;
        connection.disconnect().await.unwrap();
        result
    })
}

fn create(sandbox: &Sandbox) {
    mysql(sandbox, async |connection| {
        connection.query_drop("CREATE DATABASE IF NOT EXISTS demo").await.unwrap();
        connection.query_drop(CREATE).await.unwrap();
    });
}

fn curl(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let url = format!("http://{}/api/demo/airports/_stream_load", sandbox.frontend);
    let output = Command::new("curl")
        .args(["-sS", "--location-trusted", "-u", "root:", "-H", "Expect: 100-continue"])
        .args(arguments)
        .arg(url)
        .output()
        .expect("curl is needed for this test");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn curl_loads_a_csv_file_through_the_redirect_and_a_label_loads_once() {
    let world = World::new();
    let sandbox = world.sandbox(&[]);
    create(&sandbox);
    let file = example("airports.csv").display().to_string();
    let flags = [
        "-T",
        &file,
        "-H",
        "label: by-curl",
        "-H",
        "column_separator: ,",
        "-H",
        "enclose: \"",
        "-H",
        "skip_header: 1",
        "-H",
        "strict_mode: true",
        "-H",
        "max_filter_ratio: 0",
    ];
    let reply = curl(&sandbox, &flags);
    assert_eq!((&reply["Status"], &reply["NumberLoadedRows"]), (&json!("Success"), &json!(3376)), "{reply}");
    assert_eq!(reply["LoadBytes"], json!(std::fs::metadata(&file).unwrap().len()));
    let reply = curl(&sandbox, &flags);
    let expected = (&json!("Label Already Exists"), &json!("FINISHED"));
    assert_eq!((&reply["Status"], &reply["ExistingJobStatus"]), expected, "{reply}");
    assert_eq!(world.number("select count(*) from airports"), 3376.0);
}

#[test]
fn curl_loads_json_and_sees_what_was_filtered() {
    let world = World::new();
    let sandbox = world.sandbox(&[]);
    create(&sandbox);
    let rows = r#"{"iata":"AAA","latitude":1.5}{"iata":"BBB","latitude":"north"}"#;
    let file = world.file("rows.json", rows);
    let flags = ["-T", &file, "-H", "format: json", "-H", "strict_mode: true"];
    let reply = curl(&sandbox, &[&flags[..], &["-H", "max_filter_ratio: 0.6"]].concat());
    let counts = ["NumberTotalRows", "NumberLoadedRows", "NumberFilteredRows"].map(|field| reply[field].clone());
    assert_eq!(counts, [json!(2), json!(1), json!(1)], "{reply}");
    let log = Command::new("curl").args(["-sS", reply["ErrorURL"].as_str().unwrap()]).output().unwrap();
    let log = String::from_utf8(log.stdout).unwrap();
    assert!(log.starts_with("Error: ") && log.contains("north"), "{log}");
    let reply = curl(&sandbox, &flags);
    assert_eq!(reply["Status"], json!("Fail"), "{reply}");
    assert!(reply["Message"].as_str().unwrap().contains("too many filtered rows"), "{reply}");
}

#[test]
fn a_mysql_client_creates_loads_and_asks() {
    let world = World::new();
    let sandbox = world.sandbox(&[]);
    create(&sandbox);
    let file = example("airports.csv").display().to_string();
    world.import(&[&file, "--to", &sandbox.target("demo/airports")]).loaded();
    mysql(&sandbox, async |connection| {
        connection.query_drop("USE demo").await.unwrap();
        let query = "SELECT state, COUNT(*) AS n FROM airports GROUP BY state ORDER BY n DESC LIMIT 3";
        let top: Vec<(String, i64)> = connection.query(query).await.unwrap();
        assert_eq!(top, [("AK".to_owned(), 263), ("TX".to_owned(), 209), ("CA".to_owned(), 205)]);
        let rows: Vec<(String, f64)> =
            connection.exec("SELECT name, latitude FROM airports WHERE iata = ?", ("00M",)).await.unwrap();
        assert_eq!(rows, [("Thigpen".to_owned(), 31.953_764_72)]);
        let tables: Vec<String> = connection.query("SHOW TABLES").await.unwrap();
        assert_eq!(tables, ["airports"]);
        let wrong = connection.query_drop("SELECT nothing FROM nowhere").await;
        assert!(wrong.is_err());
    });
}

#[test]
fn tables_are_created_over_the_mysql_port_of_a_cluster() {
    let world = World::new();
    let sandbox = world.sandbox(&[]);
    let file = example("seattle-weather.csv").display().to_string();
    let target = sandbox.target("fresh/weather");
    let flags = ["--create-table", "--mysql-port", &sandbox.mysql_port()];
    let report = world.import(&[&[file.as_str(), "--to", &target], &flags[..]].concat()).loaded();
    assert_eq!(report["rows_loaded"], json!(1461));
    let query = [
        "sql",
        "select count(*) n, max(temp_max) hottest from weather",
        "--to",
        &sandbox.target("fresh"),
        "--output",
        "csv",
    ];
    let ran = world.run(&query);
    assert_eq!(ran.stdout.trim(), "n,hottest\n1461,35.6", "{ran:?}");
}

#[test]
fn curl_streams_standard_input_and_must_expect_to_continue() {
    let world = World::new();
    let sandbox = world.sandbox(&[]);
    create(&sandbox);
    let url = format!("http://{}/api/demo/airports/_stream_load", sandbox.frontend);
    let send = |more: &[&str]| {
        let mut child = Command::new("curl")
            .args(["-sS", "--location-trusted", "-u", "root:", "-H", "columns: iata,name", "-T", "-"])
            .args(more)
            .arg(&url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("curl is needed for this test");
        child.stdin.take().unwrap().write_all(b"AAA\tone\nBBB\ttwo\n").unwrap();
        let output = child.wait_with_output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    };
    let reply = send(&["-H", "Expect: 100-continue"]);
    assert_eq!((&reply["Status"], &reply["NumberLoadedRows"]), (&json!("Success"), &json!(2)), "{reply}");
    let reply = send(&["-H", "Expect:"]);
    assert_eq!(reply["Status"], json!("FAILED"), "{reply}");
    assert!(reply["Message"].as_str().unwrap().contains("There is no 100-continue header"), "{reply}");
    assert_eq!(world.number("select count(*) from airports"), 2.0);
}

const ANY_PORTS: [&str; 6] = ["--fe-port", "0", "--be-port", "0", "--mysql-port", "0"];

#[test]
fn a_sandbox_that_cannot_start_says_why() {
    let world = World::new();
    let run = |arguments: &[&str]| world.run(&[&["sandbox"], &ANY_PORTS[..], arguments].concat());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ports = ["sandbox", "--fe-port", "0", "--be-port", &port, "--mysql-port", "0"];
    world.run(&ports).fails_with(1, "L3004", &[&port, "in use", "--be-port"]);
    world.file("damaged/sandbox.sqlite", [7; 5000]);
    run(&["--sandbox-dir", "damaged"]).fails_with(1, "L3004", &["not a database", "move damaged/sandbox.sqlite away"]);
    world.file("plain", "");
    run(&["--sandbox-dir", "plain"]).fails_with(1, "L3004", &["plain"]);
    let running = world.sandbox(&[]);
    run(&[]).fails_with(1, "L3004", &["another sandbox runs"]);
    drop(running);
}

#[test]
fn a_second_interrupt_ends_the_sandbox_at_once() {
    let world = World::new();
    world.import(&[&example("airports.csv").display().to_string(), "--to", "sandbox:demo/airports"]).loaded();
    let mut command = world.command(&[&["sandbox"], &ANY_PORTS[..]].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let backend = ready.split("be=http://").nth(1).unwrap().split_whitespace().next().unwrap();
    let mut stalled = TcpStream::connect(backend).unwrap();
    let head = "PUT /api/demo/airports/_stream_load HTTP/1.1\r\nHost: x\r\nAuthorization: Basic cm9vdDo=\r\n\
                Expect: 100-continue\r\nContent-Length: 9\r\n\r\n";
    stalled.write_all(head.as_bytes()).unwrap();
    stalled.read_exact(&mut [0; 25]).unwrap();
    let pid = child.id().to_string();
    let interrupt = || assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    interrupt();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.starts_with("stopping: "), "{said}");
    interrupt();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_table_is_altered_between_loads() {
    let world = World::new();
    let sandbox = world.sandbox(&[]);
    mysql(&sandbox, async |connection| {
        for sql in ["CREATE DATABASE demo", "CREATE TABLE demo.airports (iata VARCHAR(10), n INT) DUPLICATE KEY(iata)"]
        {
            connection.query_drop(sql).await.unwrap();
        }
    });
    let before = world.file("before.csv", "AAA,1\n");
    let after = world.file("after.csv", "BBB,5000000000,north\n");
    let loaded = |file: &str, label: &str| {
        let label = format!("label: {label}");
        let reply = curl(&sandbox, &["-T", file, "-H", "column_separator: ,", "-H", &label]);
        assert_eq!(reply["Status"], json!("Success"), "{reply}");
    };
    loaded(&before, "before");
    mysql(&sandbox, async |connection| {
        let widen = "ALTER TABLE demo.airports MODIFY COLUMN n BIGINT, ADD COLUMN side VARCHAR(9) DEFAULT 'none'";
        connection.query_drop(widen).await.unwrap();
    });
    loaded(&after, "after");
    mysql(&sandbox, async |connection| {
        let rows: Vec<(String, i64, String)> =
            connection.query("SELECT * FROM demo.airports ORDER BY iata").await.unwrap();
        let expected = [("AAA", 1, "none"), ("BBB", 5_000_000_000, "north")].map(|(a, n, s)| (a.into(), n, s.into()));
        assert_eq!(rows, expected);
        let states: Vec<(String, String)> =
            connection.query("SELECT LABEL, STATE FROM information_schema.loads ORDER BY ID").await.unwrap();
        assert_eq!(states, [("before", "FINISHED"), ("after", "FINISHED")].map(|(a, b)| (a.into(), b.into())));
    });
}
