//! §1.4, §2.2, §3: requests that nobody in their right mind sends. Each gets an answer or an end, and the sandbox goes
//! on as before: it says that it is well, takes a load, and is no bigger than it was. For the sandbox only.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::support::cluster::{Database, label};
use crate::support::curl::field;
use crate::support::raw::Connection;
use crate::support::sandbox::Sandbox;
use crate::support::wait_until;

/// How large the sandbox may be, in MiB.
const MEMORY_MAX: u64 = 300;

struct World {
    _folder: tempfile::TempDir,
    sandbox: Sandbox,
}

impl World {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { sandbox: Sandbox::start(folder.path(), arguments), _folder: folder }
    }

    fn limited(limit: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { sandbox: Sandbox::start_limited(limit, folder.path(), arguments), _folder: folder }
    }

    fn database(&self) -> Database<'_> {
        let database = self.sandbox.cluster.database();
        database.table("t", "k INT, v VARCHAR(100)");
        database
    }

    /// Megabytes that the process has in memory.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.sandbox.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// Makes sure that nothing has come of it.
    fn goes_on(&self, database: &Database<'_>, after: &str) {
        self.is_well(database, after);
        self.is_bounded(MEMORY_MAX, after);
    }

    fn is_well(&self, database: &Database<'_>, after: &str) {
        let cluster = &self.sandbox.cluster;
        for node in [cluster.frontend(), cluster.backend()] {
            assert_eq!(cluster.request("GET", node, "/api/health").send().status(), 200, "{after}");
        }
        let reply = database.load("t").header("label", &label()).body("1\ta\n").json();
        assert_eq!(field(&reply, "Status"), "Success", "{after}: {reply}");
    }

    fn is_bounded(&self, megabytes: u64, after: &str) {
        let memory = self.memory();
        assert!(memory < megabytes, "{after}: {memory} MiB");
    }
}

/// Sends something, and reads until this has come or the other side has closed. With nothing to wait for, it says that
/// nothing more comes, as it does where the end is what is wrong with it.
fn exchange(address: &str, bytes: &[u8], ends: bool, expected: impl Fn(&str) -> bool) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It may be told to stop before it is through.
    let _ = stream.write_all(bytes);
    if ends {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    while !expected(&String::from_utf8_lossy(&answer)) {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("no answer and no end: {error}"),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn sr_1_4_garbage_on_the_wire_is_answered_or_ended() {
    let world = World::start(&["--backends", "2"]);
    let (cluster, database) = (&world.sandbox.cluster, world.database());
    let path = format!("/api/{}/t/_stream_load", database.name);
    let put = |headers: &[(&str, &str)], body: &str| {
        let mut all = vec![("Expect", "100-continue")];
        all.extend(headers);
        (cluster.head("PUT", &path, &all) + body).into_bytes()
    };
    let get = |line: &str, headers: &str| format!("{line}\r\nHost: test\r\n{headers}\r\n").into_bytes();
    let healthy = "GET /api/health HTTP/1.1";
    let long = "a".repeat(1_000_000);
    // What is expected, of the frontend and of the backend; empty where the end of the connection says it all.
    let requests: Vec<(&str, Vec<u8>, [&str; 2])> = vec![
        ("a header of 10 MB", get(healthy, &format!("X: {}\r\n", long.repeat(10))), ["", ""]),
        ("a line of 1 MB", get(&format!("GET /{long} HTTP/1.1"), ""), ["", ""]),
        ("10,000 headers", get(healthy, &"X: a\r\n".repeat(10_000)), ["431", "431"]),
        ("half a head", b"GET /api/health HT".to_vec(), ["", ""]),
        ("nothing", Vec::new(), ["", ""]),
        ("a length below 0", put(&[("Content-Length", "-1")], "1\ta\n"), ["400", "400"]),
        ("a length beyond 64 bits", put(&[("Content-Length", "99999999999999999999")], "1"), ["400", "400"]),
        ("a length of 64 bits", put(&[("Content-Length", "9223372036854775807")], "1"), ["307", "exceed limit"]),
        ("a length in words", put(&[("Content-Length", "four")], "1\ta\n"), ["400", "400"]),
        ("two lengths", put(&[("Content-Length", "4"), ("Content-Length", "5")], "1\ta\n"), ["400", "400"]),
        ("another coding", put(&[("Transfer-Encoding", "gzip")], "1\ta\n"), ["400", "400"]),
        ("a bad chunk", put(&[("Transfer-Encoding", "chunked")], "zz\r\n1\ta\n\r\n0\r\n\r\n"), ["307", "\"Fail\""]),
        ("a huge chunk", put(&[("Transfer-Encoding", "chunked")], "ffffffffffffffffff\r\n1"), ["307", "\"Fail\""]),
        ("a chunk below 0", put(&[("Transfer-Encoding", "chunked")], "-4\r\n1\ta\n\r\n"), ["307", "\"Fail\""]),
        ("half a chunk", put(&[("Transfer-Encoding", "chunked")], "400\r\n1\ta\n"), ["307", "\"Fail\""]),
        ("a body that ends early", put(&[("Content-Length", "40")], "1\ta\n"), ["307", "\"Fail\""]),
        ("a body that goes on", put(&[("Content-Length", "4")], "1\ta\n2\tb\n"), ["307", "\"Success\""]),
        ("HTTP/0.9", b"GET /api/health\r\n\r\n".to_vec(), ["400", "400"]),
        ("HTTP/1.0", b"GET /api/health HTTP/1.0\r\n\r\n".to_vec(), ["200", "200"]),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(), ["", ""]),
        (
            "a TLS greeting",
            [b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03".to_vec(), vec![7; 190]].concat(),
            ["400"; 2],
        ),
        ("zeros", vec![0; 5000], ["400", "400"]),
        ("bytes in the path", get("GET /api/\u{fffd}/health HTTP/1.1", ""), ["4", "4"]),
        ("escapes that are no text", get("GET /api/%ff%fe/get_load_state HTTP/1.1", ""), ["404", "404"]),
        ("a folded header", get(healthy, "A: b\r\n c\r\n"), ["400", "400"]),
        ("CONNECT", get("CONNECT other:80 HTTP/1.1", ""), ["404", "404"]),
        ("1000 requests at once", get(healthy, "").repeat(1000), ["200", "200"]),
    ];
    for (what, bytes, expected) in &requests {
        for (node, expected) in [cluster.frontend(), cluster.backend()].into_iter().zip(expected) {
            let status = expected.parse::<u16>().is_ok();
            let found = |answer: &str| {
                if status {
                    answer.lines().any(|line| line.starts_with("HTTP/1.") && line[9..].starts_with(expected))
                } else {
                    !expected.is_empty() && answer.contains(expected)
                }
            };
            let ends = expected.is_empty() || what.contains("early") || what.starts_with("half");
            let answer = exchange(node, bytes, ends, found);
            assert!(expected.is_empty() || found(&answer), "{what}: {expected:?} in {answer}");
        }
    }
    world.goes_on(&database, "all of them");
    assert_eq!(database.count("t"), 2, "one row of the longer body and one of the load");
}

#[test]
fn sr_2_1_every_header_may_be_nonsense() {
    let world = World::start(&[]);
    let database = world.database();
    let long = "x".repeat(60_000);
    let values =
        ["", " ", "nonsense", "-1", "1e999", "99999999999999999999", "'", "((((", "[", "\u{fc}", "%ff", "\\x", &long];
    let names = [
        "label",
        "format",
        "columns",
        "where",
        "max_filter_ratio",
        "timeout",
        "strict_mode",
        "timezone",
        "load_mem_limit",
        "partitions",
        "temporary_partitions",
        "negative",
        "partial_update",
        "partial_update_mode",
        "merge_condition",
        "column_separator",
        "row_delimiter",
        "skip_header",
        "trim_space",
        "enclose",
        "escape",
        "jsonpaths",
        "json_root",
        "strip_outer_array",
        "ignore_json_size",
        "compression",
        "content-encoding",
        "log_rejected_record_num",
        "envelope",
        "enable_merge_commit",
        "merge_commit_interval_ms",
        "merge_commit_parallel",
        "transmission_compression_type",
        "load_dop",
        "enable_replicated_storage",
        "exec_mem_limit",
        "transaction_type",
        "prepared_timeout",
    ];
    for name in names {
        for value in values {
            for format in ["csv", "json"] {
                let mut headers = vec![("format", format), (name, value)];
                if name == "enable_merge_commit" || name.starts_with("merge_commit") {
                    headers.push(("merge_commit_interval_ms", "10"));
                }
                let mut connection = Connection::open(world.sandbox.cluster.backend());
                connection.send(database.load_head("t", 4, &headers) + "1\ta\n");
                let reply = connection.reply().json();
                let status = field(&reply, "Status");
                assert!(
                    ["Success", "Fail", "Label Already Exists"].contains(&status.as_str()),
                    "{name}: {value:.20}: {reply}"
                );
                assert!(!field(&reply, "Message").is_empty(), "{name}: {value:.20}: {reply}");
            }
        }
    }
    let reply = database.load("t").header("label", &"x".repeat(129)).body("1\ta\n").json();
    assert!(field(&reply, "Message").contains("Label format error"), "{reply}");
    world.goes_on(&database, "nonsense in headers");
}

#[test]
fn sr_8_statements_of_any_length_and_depth_are_answered() {
    let world = World::start(&[]);
    let database = world.database();
    let nested = |open: &str, end: &str, times: usize| format!("SELECT {}1{}", open.repeat(times), end.repeat(times));
    let statements = [
        format!("SELECT '{}'", "x".repeat(10_000_000)),
        format!("SELECT {}1", "1+".repeat(2_000_000)),
        format!("SELECT * FROM t WHERE k = 1{}", " OR k = 1".repeat(200_000)),
        format!("SELECT * FROM t WHERE k = 1{}", " OR k = 1".repeat(990)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(20_000)),
        nested("(", ")", 1_000_000),
        nested("CASE WHEN 1 THEN ", " END", 10_000),
        nested("CAST(", " AS INT)", 10_000),
        "SELECT 1;".repeat(100_000),
        format!("CREATE TABLE deep (k INT, a {}INT{})", "ARRAY<".repeat(100_000), ">".repeat(100_000)),
        "/*".repeat(1_000_000),
        "SELECT '".to_owned(),
        "\0\u{1}".to_owned(),
    ];
    for statement in &statements {
        // An answer is an answer, whatever it says.
        let _ = world.sandbox.cluster.try_query(&database.name, statement);
        let body = serde_json::json!({ "query": statement }).to_string();
        let path = format!("/api/v1/catalogs/default_catalog/databases/{}/sql", database.name);
        if body.len() < 6_000_000 {
            let node = world.sandbox.cluster.frontend();
            let answer = world.sandbox.cluster.request("POST", node, &path).body(&body).send();
            assert!([200, 400, 500].contains(&answer.status()), "{statement:.30}");
        }
        world.goes_on(&database, &format!("{statement:.30}"));
    }
    let deep = format!("{{\"k\": 1, \"v\": {}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    for body in [deep, "[".repeat(1_000_000)] {
        let reply = database.load("t").header("format", "json").body(&body).json();
        assert!(["Success", "Fail"].contains(&field(&reply, "Status").as_str()), "{reply}");
    }
    world.goes_on(&database, "deep JSON");
}

#[test]
fn sr_1_1_garbage_on_the_mysql_port_ends_its_connection_only() {
    let world = World::start(&[]);
    let database = world.database();
    let packet = |sequence: u8, body: &[u8]| {
        [&u32::try_from(body.len()).unwrap().to_le_bytes()[..3], &[sequence], body].concat()
    };
    // CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION and CLIENT_PLUGIN_AUTH; root without a password.
    let greeting = packet(
        1,
        &[b"\x00\x82\x08\x00\0\0\0\x01\x21".as_slice(), &[0; 23], b"root\0\0mysql_native_password\0"].concat(),
    );
    let after = |bytes: Vec<u8>| [greeting.clone(), bytes].concat();
    let endless = [[0xff, 0xff, 0xff, 1].as_slice(), &vec![b'x'; 0xff_ffff]].concat();
    let prepared = packet(0, b"\x16SELECT ?");
    for (what, bytes) in [
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".repeat(100)),
        ("zeros", vec![0; 100_000]),
        ("ones", vec![0xff; 100_000]),
        ("a greeting of 16 MB", endless.clone()),
        ("an empty greeting", packet(1, b"")),
        ("half a greeting", packet(1, &[0; 10])),
        ("no such command", after(packet(0, b"\x99abc"))),
        ("bytes that are no text", after(packet(0, b"\x03SELECT \xff\xfe"))),
        ("parts out of order", after([packet(0, &vec![b'x'; 0xff_ffff]), packet(9, b"y")].concat())),
        ("a statement that is not there", after(packet(0, &[0x17, 9, 0, 0, 0, 0, 1, 0, 0, 0]))),
        (
            "a parameter of no type",
            after([prepared.clone(), packet(0, b"\x17\x01\0\0\0\0\x01\0\0\0\0\x01\xee\xee")].concat()),
        ),
        ("a parameter that is missing", after([prepared, packet(0, b"\x17\x01\0\0\0\0\x01\0\0\0")].concat())),
        ("a long parameter of nothing", after(packet(0, b"\x18\x09\0\0\0\0\0abc"))),
    ] {
        exchange(&world.sandbox.cluster.mysql, &bytes, true, |_| false);
        world.goes_on(&database, what);
    }
    // A statement without end: it is told that it is too long, and not kept.
    let mut stream = TcpStream::connect(&world.sandbox.cluster.mysql).unwrap();
    let sent = stream.write_all(&greeting).and_then(|()| {
        for sequence in 0..40_u8 {
            let mut part = endless.clone();
            part[3] = sequence;
            stream.write_all(&part)?;
        }
        Ok(())
    });
    assert!(sent.is_err(), "nobody takes 640 MB");
    world.goes_on(&database, "a statement without end");
}

#[test]
fn sr_2_2_a_thousand_loads_at_once() {
    let world = World::start(&[]);
    let database = world.database();
    let mut open: Vec<Connection> = Vec::new();
    let (mut under_way, mut refused) = (0, 0);
    for at in 0..1000 {
        let mut connection = Connection::open(world.sandbox.cluster.backend());
        connection.send(database.load_head("t", 100, &[("label", &format!("many-{at}"))]));
        let head = connection.head();
        if head.starts_with("HTTP/1.1 100") {
            under_way += 1;
            connection.send("1\t");
            open.push(connection);
        } else {
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            refused += 1;
        }
    }
    assert_eq!(under_way + refused, 1000);
    assert!((200..=256).contains(&under_way), "{under_way} loads were begun");
    let reply = database.load("t").body("1\ta\n").json();
    assert!(field(&reply, "Message").contains("current running txns on db"), "{reply}");
    // What a load has that waits: a thread and its heap, a connection and its buffers.
    world.is_bounded(MEMORY_MAX + 2 * under_way, "a thousand loads");
    drop(open);
    wait_until("there is room again", || field(&database.load("t").body("1\ta\n").json(), "Status") == "Success");
    world.is_well(&database, "a thousand loads");
}

#[test]
fn sr_2_5_more_open_bodies_than_threads_hold_nobody_else_up() {
    let world = World::start(&[]);
    let database = world.database();
    let label = label();
    let waiting = database.open_load("t", &label, 100);
    // Not loads of their own, so nothing counts them until they are whole.
    let headers = [("enable_merge_commit", "true"), ("merge_commit_interval_ms", "10")];
    let mut open = Vec::new();
    for _ in 0..600 {
        let mut connection = Connection::open(world.sandbox.cluster.backend());
        connection.send(database.load_head("t", 100, &headers));
        let head = connection.head();
        assert!(head.starts_with("HTTP/1.1 100"), "{head}");
        open.push(connection);
    }
    // Labels and SQL need a thread too, if only for a moment.
    assert_eq!(database.state(&label), "PREPARE");
    assert_eq!(database.count("t"), 0);
    drop(waiting);
    wait_until("it is over", || database.state(&label) == "ABORTED");
    drop(open);
    world.is_well(&database, "bodies that never come");
}

#[test]
fn sr_1_4_as_many_connections_as_there_may_be() {
    // Fewer than are asked for, so that accepting fails and has to go on later.
    let world = World::limited("-n 400", &[]);
    let database = world.database();
    let cluster = &world.sandbox.cluster;
    let mut connections = Vec::new();
    for at in 0..500 {
        // The system takes what the sandbox cannot yet accept.
        let address = [cluster.frontend(), cluster.backend(), cluster.mysql.as_str()][at % 3];
        let mut stream = TcpStream::connect(address).unwrap();
        if at % 2 == 0 {
            stream.write_all(b"GET /api/he").unwrap();
        }
        connections.push(stream);
    }
    drop(connections);
    wait_until("it accepts again", || cluster.request("GET", cluster.frontend(), "/api/health").attempt().is_ok());
    world.goes_on(&database, "too many connections");
}

#[test]
fn sr_1_4_ten_thousand_idle_connections() {
    let world = World::start(&[]);
    let database = world.database();
    let cluster = &world.sandbox.cluster;
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let files: usize = files.split_whitespace().next().unwrap().parse().unwrap_or(20_000);
    let mut connections = Vec::new();
    for at in 0..(files / 2).min(10_000) {
        let mut stream = TcpStream::connect([cluster.frontend(), cluster.backend()][at % 2]).unwrap();
        if at % 2 == 1 {
            stream.write_all(b"PUT /api/d/t/_stream_load HTTP/1.1\r\nExpect: 100-").unwrap();
        }
        connections.push(stream);
    }
    world.is_well(&database, "idle connections");
    // Some 30 KB each, most of it the library's buffers.
    world.is_bounded(MEMORY_MAX + connections.len() as u64 / 20, "idle connections");
    drop(connections);
    world.is_well(&database, "they are gone");
}

#[test]
fn sr_8_clients_that_never_read_hold_nobody_up() {
    let world = World::start(&[]);
    let database = world.database();
    let rows: String = (0..20_000).map(|k| format!("{k}\t{}\n", "v".repeat(90))).collect();
    assert_eq!(field(&database.load("t").body(rows).json(), "Status"), "Success");
    let path = format!("/api/v1/catalogs/default_catalog/databases/{}/sql", database.name);
    let body = r#"{"query": "SELECT a.k, a.v, b.v FROM t a, t b"}"#;
    let head = world.sandbox.cluster.head("POST", &path, &[("Content-Length", &body.len().to_string())]);
    let mut open = Vec::new();
    for _ in 0..20 {
        let mut connection = Connection::open(world.sandbox.cluster.frontend());
        connection.send(head.clone() + body);
        assert!(connection.head().starts_with("HTTP/1.1 200"), "the rows are on their way");
        open.push(connection);
    }
    world.goes_on(&database, "rows that nobody reads");
    assert_eq!(database.count("t"), 20_001);
}

#[test]
fn sr_3_1_a_full_disk_fails_the_load_and_nothing_else() {
    // In blocks of 512 bytes; without the signal, writing fails as it does on a full disk.
    let world = World::limited("-f 8000; trap '' XFSZ", &[]);
    let database = world.database();
    let large: String = (0..60_000).map(|k| format!("{k}\t{}\n", "v".repeat(90))).collect();
    for body in [large.clone(), large.chars().take(3_500_000).collect()] {
        let name = label();
        let reply = database.load("t").header("label", &name).body(body).json();
        assert_eq!(field(&reply, "Status"), "Fail", "{reply}");
        assert!(!field(&reply, "Message").is_empty(), "{reply}");
        assert_eq!((database.state(&name).as_str(), database.count("t")), ("ABORTED", 0));
    }
    world.goes_on(&database, "a full disk");
}

/// Starts one that is expected not to run; ends it if it does.
fn start(limit: &str, folder: &Path) -> Output {
    let script = format!("{limit} exec timeout -k 5 4 \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sandbox", env!("CARGO_BIN_EXE_shipload"), "sandbox"]);
    command.args(["--fe-port", "0", "--be-port", "0", "--mysql-port", "0", "--sandbox-dir"]).arg(folder);
    command.env_remove("SHIPLOAD_SANDBOX_DIR").env_remove("SHIPLOAD_SANDBOX_PASSWORD").env_remove("SHIPLOAD_LOG");
    command.stdin(Stdio::null()).output().unwrap()
}

fn refused(output: &Output, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(words), "{words:?} in {said}");
    assert!(output.status.code().is_some_and(|code| code != 0 && code != 124), "{:?}: {said}", output.status);
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn sr_4_8_a_directory_has_one_sandbox_and_a_crash_leaves_it_clean() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path(), &[]);
    refused(&start("", folder.path()), "another sandbox runs on");
    let database = sandbox.cluster.database();
    database.table("t", "k INT, v VARCHAR(100)");
    let mut open = database.open_load("t", "cut", 100);
    open.send("1\ta\n");
    sandbox.kill();
    std::mem::forget(database);
    drop(sandbox);
    // Two at the same moment: one of them runs.
    let started: Vec<_> = std::thread::scope(|scope| {
        let one = || scope.spawn(|| start("", folder.path()));
        [one(), one(), one()].map(|thread| thread.join().unwrap()).into()
    });
    let ran = started.iter().filter(|output| String::from_utf8_lossy(&output.stdout).contains("sandbox ready")).count();
    assert_eq!(ran, 1, "{started:?}");
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = names.filter(|name| name.starts_with("spool")).collect();
    assert!(left.is_empty(), "{left:?}");
    drop(Sandbox::start(folder.path(), &[]));
}

#[test]
fn sr_4_8_a_directory_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    refused(&start("", &file), "file");
    refused(&start("", &file.join("below")), "below");
    refused(&start("", Path::new("/proc/sandbox")), "/proc/sandbox");
    refused(&start("trap '' XFSZ; ulimit -f 8;", &folder.path().join("full")), "full");
    let damaged = folder.path().join("damaged");
    fs::create_dir(&damaged).unwrap();
    fs::write(damaged.join("sandbox.sqlite"), "x".repeat(10_000)).unwrap();
    refused(&start("", &damaged), "sandbox.sqlite");
}
