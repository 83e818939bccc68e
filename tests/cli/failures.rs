//! Everything that goes wrong says what, where and what to do, with the right exit code, and loads nothing.

use std::io::Write;

use serde_json::json;

use super::support::{World, answering, example, nobody};

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
    assert!([1, 5].contains(&ran.code), "{ran:?}");
    assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
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
    let target = format!("starrocks://root@{}/demo/airports", answering(page));
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

/// A server that redirects every request there.
fn redirecting(location: &str) -> String {
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    answering(Box::leak(answer.into_boxed_str()))
}
