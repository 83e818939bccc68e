//! A journal that cannot be used stops an import before anything is sent; two imports of the same job do not double a row.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rusqlite::Connection;
use serde_json::json;

use super::journal::{SMALL, cluster, ended, hold_from, job_when, rows, started, when_struck};
use super::support::{Ran, World};

fn journal(world: &World) -> PathBuf {
    world.path().join(".local/state/shipload/journal.sqlite")
}

/// Runs the program with files limited to so many blocks of 512 bytes: to the program, a disk that is full by then.
fn on_a_full_disk(world: &World, blocks: u32, arguments: &[&str]) -> Ran {
    let program = world.command(&[]);
    let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &limited, "sh"]).arg(program.get_program()).args(arguments).current_dir(world.path());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Ran::of(command.stdin(Stdio::null()).output().unwrap())
}

#[test]
fn a_journal_that_cannot_be_written_stops_the_job_before_anything_is_sent() {
    let (world, _sandbox, target) = cluster(&json!([]));
    let file = world.file("rows.csv", rows(100));
    let import = ["import", &file, "--to", &target];
    on_a_full_disk(&world, 0, &import).fails_with(1, "L3002", &["journal.sqlite", "make room"]);
    let below_a_file = format!("{file}/state");
    let below_a_file = [&import[..], &["--state-dir", &below_a_file]].concat();
    world.run(&below_a_file).fails_with(1, "L3002", &["rows.csv/state", "--state-dir"]);
    // A folder instead of the file stands for every other reason; root may write where others may not.
    fs::create_dir_all(world.path().join("odd/journal.sqlite")).unwrap();
    world.run(&[&import[..], &["--state-dir", "odd"]].concat()).fails_with(1, "L3002", &["odd/journal.sqlite"]);
    assert_eq!(world.number("select count(*) from t"), 1.0);
    assert_eq!(world.run(&import).code, 0);
    assert_eq!(world.number("select count(*) from t"), 101.0);
}

#[test]
fn a_disk_that_fills_up_in_mid_job_stops_it_and_the_next_run_completes_it() {
    let (world, _sandbox, target) = cluster(&json!([]));
    let file = world.file("rows.csv", rows(100_000));
    let import = [&["import", &file, "--to", &target, "--output", "json"], &SMALL[..]].concat();
    on_a_full_disk(&world, 256, &import).fails_with(1, "L3002", &["journal.sqlite"]);
    let landed = world.number("select count(*) from t");
    assert!((1.0..100_001.0).contains(&landed), "{landed}");
    assert_eq!(world.run(&import).loaded()["rows_loaded"], json!(100_000));
    assert_eq!(world.number("select count(*) from t"), 100_001.0);
    assert_eq!(world.number("select count(distinct id) from t"), 100_000.0);
}

#[test]
fn a_damaged_journal_is_refused_and_without_it_labels_keep_rows_from_doubling() {
    let (world, _sandbox, target) = cluster(&json!([]));
    let file = world.file("rows.csv", rows(100));
    let import = ["import", &file, "--to", &target, "--output", "json"];
    world.run(&import).loaded();
    let whole = fs::read(journal(&world)).unwrap();
    assert!(whole.len() > 16_384, "{}", whole.len());
    let mut page = whole.clone();
    page[4096..8192].fill(0xA5);
    let mut zeros = whole.clone();
    zeros[8192..12_288].fill(0);
    let other = world.file("other.csv", "id,text\n7,seven\n");
    for damaged in
        [b"this is no database, whatever its name says".to_vec(), whole[..whole.len() / 2].to_vec(), page, zeros]
    {
        fs::write(journal(&world), &damaged).unwrap();
        for import in [&import[..], &["import", &other, "--to", &target]] {
            world.run(import).fails_with(1, "L3002", &["journal.sqlite is damaged", "move", "journal.sqlite-wal"]);
        }
        world.run(&["status"]).fails_with(1, "L3002", &["is damaged"]);
    }
    assert_eq!(world.number("select count(*) from t"), 101.0);
    fs::remove_file(journal(&world)).unwrap();
    world.run(&import).loaded();
    assert_eq!(world.number("select count(*) from t"), 101.0);
}

#[test]
fn a_journal_of_a_newer_version_or_in_other_hands_is_left_alone() {
    let (world, _sandbox, target) = cluster(&json!([]));
    let file = world.file("rows.csv", rows(100));
    let import = ["import", &file, "--to", &target, "--output", "json"];
    world.run(&import).loaded();
    let connection = Connection::open(journal(&world)).unwrap();
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    let layout: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    world.run(&import).fails_with(1, "L3002", &["has layout 99", "the newer shipload"]);
    connection.pragma_update(None, "user_version", layout).unwrap();

    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let again = [&import[..], &["--again"]].concat();
    world.run(&again).fails_with(1, "L3002", &["held by another process", "fuser"]);
    connection.execute_batch("ROLLBACK").unwrap();
    assert_eq!(world.number("select count(*) from t"), 101.0);
    world.run(&again).loaded();
}

#[test]
fn two_that_run_the_same_import_at_once_load_every_row_once() {
    let (world, _sandbox, target) = cluster(&json!([]));
    let file = world.file("rows.csv", rows(100_000));
    let arguments = [&[&file, "--to", &target], &SMALL[..]].concat();
    let both = [started(&world, &arguments), started(&world, &arguments)];
    let reports = both.map(|child| ended(child).loaded());
    let states = reports.each_ref().map(|report| report["state"].as_str().unwrap().to_owned());
    assert!(states.contains(&"finished".to_owned()) && states.contains(&"already_loaded".to_owned()), "{states:?}");
    assert_eq!(world.number("select count(*) from t"), 100_001.0);
}

#[test]
fn who_waits_for_another_process_says_so_and_goes_on_when_that_one_dies() {
    let (world, sandbox, target) = cluster(&hold_from(2));
    let file = world.file("rows.csv", rows(100_000));
    let arguments = [&[&file, "--to", &target], &SMALL[..]].concat();
    let mut first = started(&world, &arguments);
    job_when(&world, |job| job["loads_by_state"] == json!({"sending": 1, "visible": 2}));
    when_struck(&sandbox);
    let mut second = started(&world, &arguments);
    let mut said = String::new();
    BufReader::new(second.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains(&format!("process {} has been at t-", first.id())) && said.contains("waiting"), "{said}");
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(ended(second).loaded()["rows_loaded"], json!(100_000));
    assert_eq!(world.number("select count(*) from t"), 100_001.0);
}
