//! Everything that goes wrong says what, where and what to do, with the right exit code, and loads nothing.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use serde_json::{Value, json};

use super::support::{World, answering_with, example, nobody};

const TARGET: &str = "sandbox:demo/airports";

fn airports() -> String {
    example("airports.csv").display().to_string()
}

/// The sandbox has no table, or an empty one.
fn nothing_is_loaded(world: &World) {
    let tables = world.tables();
    if !tables.is_empty() {
        assert_eq!(world.value("select count(*) from airports"), json!(0));
    }
}

#[test]
fn a_missing_file() {
    let world = World::new();
    world.file("airport.csv", "a\n1\n");
    world.import(&["airports.csv", "--to", TARGET]).fails_with(1, "L1001", &["airports.csv"]);
    world.import(&["nothing/*.csv", "--to", TARGET]).fails_with(1, "L1001", &["nothing/*.csv"]);
    nothing_is_loaded(&world);
}

#[test]
fn an_empty_file() {
    let world = World::new();
    let path = world.file("empty.csv", "");
    world.import(&[&path, "--to", TARGET]).fails_with(1, "L1003", &["empty.csv"]);
    nothing_is_loaded(&world);
}

#[test]
fn binary_garbage() {
    let world = World::new();
    let bytes: Vec<u8> = (0..1024_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let path = world.file("garbage.dat", bytes);
    world.import(&[&path, "--to", TARGET]).fails_with(1, "L1004", &["garbage.dat"]);
    nothing_is_loaded(&world);
}

#[test]
fn a_truncated_gzip() {
    let world = World::new();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&std::fs::read(airports()).unwrap()).unwrap();
    let whole = gzip.finish().unwrap();
    let path = world.file("airports.csv.gz", &whole[..whole.len() / 2]);
    world.import(&[&path, "--to", TARGET]).fails_with(1, "L1005", &["airports.csv.gz"]);
    nothing_is_loaded(&world);
}

#[test]
fn a_truncated_parquet_file() {
    let world = World::new();
    let ids: arrow::array::ArrayRef = std::sync::Arc::new(arrow::array::Int64Array::from_iter_values(0..10_000));
    let batch = arrow::record_batch::RecordBatch::try_from_iter([("id", ids)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let path = world.file("airports.parquet", &bytes[..bytes.len() / 2]);
    world.import(&[&path, "--to", TARGET]).fails_with(1, "L1005", &["airports.parquet"]);
    nothing_is_loaded(&world);
}

#[test]
fn a_quote_that_is_never_closed() {
    let world = World::new();
    let path = world.file("airports.csv", "id,name\n1,a\n2,\"b\n3,c\n");
    world.import(&[&path, "--to", TARGET]).fails_with(1, "L1005", &["line 3"]);
    nothing_is_loaded(&world);
}

#[test]
fn a_wrong_password() {
    let world = World::new();
    let sandbox = world.sandbox(&["--root-password", "right"]);
    let target = sandbox.target("demo/airports");
    let ran = world.import(&[&airports(), "--to", &target, "--password", "wr0ng"]);
    ran.fails_with(1, "L2002", &["root"]);
    assert!(!ran.stderr.contains("wr0ng") && !ran.stdout.contains("wr0ng"), "{ran:?}");
}

#[test]
fn no_such_database_or_table() {
    let world = World::new();
    let sandbox = world.sandbox(&[]);
    world.import(&[&airports(), "--to", &sandbox.target("nowhere/airports")]).fails_with(1, "L2003", &["nowhere"]);
    world.import(&[&airports(), "--to", TARGET, "--dry-run"]);
    let made = world.file("made.csv", "a\n1\n");
    world.import(&[&made, "--to", "sandbox:demo/made"]).loaded();
    world.import(&[&airports(), "--to", &sandbox.target("demo/airports")]).fails_with(1, "L2003", &["airports"]);
}

#[test]
fn columns_that_do_not_match() {
    let world = World::new();
    let first = world.file("first.csv", "iata,name\nXXX,x\n");
    world.import(&[&first, "--to", TARGET]).loaded();
    let ran = world.import(&[&airports(), "--to", TARGET]);
    ran.fails_with(1, "L1008", &["latitude", "--columns"]);
    assert_eq!(world.value("select count(*) from airports"), json!(1));
}

#[test]
fn a_frontend_that_refuses() {
    let world = World::new();
    let target = format!("starrocks://root@{},{}/demo/airports", nobody(), nobody());
    world.import(&[&airports(), "--to", &target]).fails_with(1, "L2001", &["127.0.0.1"]);
}

#[test]
fn a_frontend_that_redirects_to_a_dead_host() {
    let world = World::new();
    let frontend = redirecting(&format!("http://{}/somewhere", nobody()));
    let target = format!("starrocks://root@{frontend}/demo/airports");
    let ran = world.import(&[&airports(), "--to", &target, "--max-requests", "1000"]);
    ran.fails_with(1, "L2001", &["via 127.0.0.1", "--map-host"]);
}

#[test]
fn a_redirect_to_a_foreign_host_gets_no_credentials() {
    let world = World::new();
    let frontend = redirecting("http://elsewhere.example:8040/api");
    let target = format!("starrocks://root@{frontend}/demo/airports");
    let ran = world.import(&[&airports(), "--to", &target]);
    ran.fails_with(1, "L2006", &["elsewhere.example", "--allow-redirect"]);
}

#[test]
fn a_server_that_answers_html() {
    let world = World::new();
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 44\r\nConnection: close\r\n\r\n\
                <html><body>Welcome to the proxy</body></htm";
    let target = format!("starrocks://root@{}/demo/airports", answering_with(move |_| page.to_owned()));
    world.import(&[&airports(), "--to", &target]).fails_with(1, "L2007", &["html"]);
}

#[test]
fn a_rejects_folder_that_cannot_be_written() {
    let world = World::new();
    let made = world.file("made.csv", "id,n\n1,2\n");
    world.import(&[&made, "--to", "sandbox:demo/airports"]).loaded();
    let dirty = world.file("dirty.csv", "id,n\n1,two\n");
    // A file stands where the folder should be: the system refuses to make it, as a full disk would.
    world.file("blocked", "");
    let flags = ["--rejects", "blocked", "--max-rejects", "10"];
    let ran = world.import(&[&[dirty.as_str(), "--to", TARGET], &flags[..]].concat());
    ran.fails_with(1, "L3001", &["blocked"]);
    assert_eq!(world.value("select count(*) from airports"), json!(1));
}

#[test]
fn a_full_disk_under_the_rejects() {
    let world = World::new();
    let made = world.file("made.csv", "id,n\n1,2\n");
    world.import(&[&made, "--to", "sandbox:demo/airports"]).loaded();
    let rows: String = (0..20_000).map(|id| format!("{id},not-a-number\n")).collect();
    let dirty = world.file("dirty.csv", format!("id,n\n{rows}"));
    // The shell's limit on file sizes ends writes as a full disk does, with an error instead of a signal.
    let arguments = format!(
        "trap '' XFSZ; ulimit -f 512; exec {} import {dirty} --to {TARGET} --max-rejects 100% --output json",
        env!("CARGO_BIN_EXE_shipload")
    );
    let output = std::process::Command::new("bash")
        .args(["-c", &arguments])
        .current_dir(world.path())
        .env("HOME", world.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error[L3001]"), "{stderr}");
    assert_eq!(world.value("select count(*) from airports"), json!(1));
}

#[test]
fn usage_errors_say_so_with_exit_code_2() {
    let world = World::new();
    let sources = world.file("a.csv", "a\n1\n");
    for arguments in [
        &["--to", "nonsense"][..],
        &["--to", "sandbox:"],
        &["--to", TARGET, "--set", "no_such_header=1"],
        &["--to", TARGET, "--set", "label=mine"],
        &["--to", TARGET, "--memory", "1MiB"],
        &["--to", TARGET, "--max-rejects", "many"],
        &["--to", TARGET, "--format", "xlsx"],
        &["--to", TARGET, "--no-such-flag"],
    ] {
        let ran = world.import(&[&[sources.as_str()], arguments].concat());
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(ran.stderr.lines().count() < 24, "{}", ran.stderr);
    }
}

#[test]
fn a_program_that_asked_for_json_gets_one_object_whatever_happens() {
    let world = World::new();
    let whole = world.import(&[&airports(), "--to", TARGET]).loaded();
    let fields: Vec<&String> = whole.as_object().unwrap().keys().collect();
    for arguments in [
        &["missing.csv", "--to", TARGET][..],
        &["missing.csv", "--to", "nonsense"],
        &["missing.csv", "--to", TARGET, "--memory", "1MiB"],
        &["missing.csv", "--to", TARGET, "--set", "no_such_header=1"],
        &["missing.csv", "--to", TARGET, "--no-such-flag"],
        &["missing.csv", "--to", TARGET, "--log", "!=!"],
        &["missing.csv", "--to", TARGET, "--password-file", "nowhere"],
    ] {
        let report = world.import(arguments).report();
        assert_eq!((&report["state"], &report["job"]), (&json!("failed"), &Value::Null), "{arguments:?}");
        assert!(report["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{report}");
        for field in &fields {
            assert!(report.get(field).is_some(), "{field} is missing for {arguments:?}");
        }
    }
}

#[test]
fn a_password_in_the_address_is_warned_of_and_neither_shown_nor_kept() {
    let world = World::new();
    let made = world.file("made.csv", "id\n1\n");
    world.import(&[&made, "--to", "sandbox:demo/made"]).loaded();
    let sandbox = world.sandbox(&["--root-password", "s3cret"]);
    let with_password = |path: &str| sandbox.target(path).replace("root@", "root:s3cret@");
    let ran = world.import(&[&made, "--to", &with_password("demo/made"), "--log", "trace", "--state-dir", "kept"]);
    assert!(ran.stderr.contains("note: the password in --to"), "{}", ran.stderr);
    ran.loaded();
    let broken = format!("{}:x/y/z", with_password("demo"));
    for ran in [&ran, &world.import(&[&made, "--to", &broken]), &world.run(&["sql", "select", "--to", &broken])] {
        assert!(!ran.stdout.contains("s3cret") && !ran.stderr.contains("s3cret"), "{ran:?}");
    }
    for file in std::fs::read_dir(world.path().join("kept")).unwrap() {
        let kept = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!kept.windows(6).any(|bytes| bytes == b"s3cret"), "the journal holds the password");
    }
}

#[test]
fn a_clusters_password_in_the_environment_does_not_become_the_sandboxs() {
    let world = World::new();
    let ask = ["sql", "select 1 as a", "--to", "sandbox:"];
    let ran = world.command(&ask).env("SHIPLOAD_PASSWORD", "a clusters").output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(world.run(&ask).code, 0, "the sandbox has no password now as before");
}

#[test]
fn each_failed_attempt_is_told_when_it_happens() {
    let world = World::new();
    let schema = r#"{"result":{"columns":[{"name":"id","type":{"name":"INT"},"isAllowNull":true}]}}"#;
    let frontend = frontend(schema, &format!("http://{}/", nobody()));
    let made = world.file("made.csv", "id\n1\n");
    let mut command = world.command(&["import", &made, "--to", &format!("starrocks://root@{frontend}/demo/t")]);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).stdin(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let told = lines.find(|line| line.contains("attempt 2 of 8")).expect("a line for each attempt");
    assert!(told.starts_with("warning: ") && told.contains("(Connection refused); trying again in"), "{told}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A frontend that tells a table's schema and redirects loads.
pub(crate) fn frontend(schema: &'static str, location: &str) -> String {
    let location = location.to_owned();
    answering_with(move |request| {
        if request.starts_with("PUT ") {
            let head = "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nConnection: close";
            format!("{head}\r\nLocation: {location}\r\n\r\n")
        } else {
            let bytes = schema.len();
            format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\nConnection: close\r\n\r\n{schema}")
        }
    })
}

/// A server that redirects every request there.
pub(crate) fn redirecting(location: &str) -> String {
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    answering_with(move |_| answer.clone())
}
