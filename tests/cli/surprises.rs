//! What people do to an import without meaning any harm, and what must not come of it.

use std::process::Stdio;
use std::thread;

use mysql_async::prelude::Queryable as _;
use serde_json::json;

use super::outside::mysql;
use super::peers::{Place, ROWS};
use super::support::Ran;

/// Stops an import after its third load.
fn stopping() -> Place {
    Place::with(&[json!({"at": "plan", "label": "*-0-0-[4-9]*", "times": "always",
                         "do": {"kind": "fail", "preset": "loads_disabled"}})])
}

fn csv(ids: impl Iterator<Item = u64>) -> Vec<u8> {
    let rows: String = ids.map(|id| format!("{id},{}\n", id * 7)).collect();
    format!("id,n\n{rows}").into_bytes()
}

/// A stream has no content that its job could be told by, so every load answers for the rows at its place.
#[test]
fn a_named_stream_that_stopped_half_way_is_not_resumed_with_other_rows() {
    let place = stopping();
    place.stream(&csv(1..=ROWS), &["--job", "nightly"]).fails_with(1, "L2010", &["disable_load_job"]);
    let loaded = place.world.number("select count(*) from peers");
    assert!(0.0 < loaded && loaded < 2000.0, "a part of it: {loaded}");
    place.faults("DELETE");
    for other in [csv((1..=ROWS).rev()), csv(1..=10)] {
        place.stream(&other, &["--job", "nightly"]).fails_with(1, "L3002", &["other rows", "--job"]);
        assert_eq!(place.world.number("select count(*) from peers"), loaded, "nothing is added");
    }
    place.stream(&csv(1..=ROWS), &["--job", "nightly"]).loaded();
    place.holds_every_row_once();
}

/// A server remembers the newest transactions of a database; what it has forgotten it calls unknown, as what it never saw.
#[test]
fn a_label_that_the_server_may_have_forgotten_is_not_sent_again() {
    let silent = json!({"at": "answer", "node": "be1", "operation": "stream_load", "skip": 2, "times": "always",
                        "do": {"kind": "hold", "ms": 600_000}});
    let place = Place::of(&[silent], &["--label-keep-max", "2"]);
    let file = place.rows_file();
    let mut command = place.world.command(&[]);
    command.args(place.arguments(&[&file], &[])).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut killed = command.spawn().unwrap();
    // Two loads are settled, and one is committed without an answer.
    let journal = place.world.path().join(".local/state/shipload/journal.sqlite");
    let settled = || -> rusqlite::Result<u32> {
        let journal = rusqlite::Connection::open_with_flags(&journal, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        journal.query_row("SELECT count(*) FROM loads WHERE state = 'visible'", [], |row| row.get(0))
    };
    while place.faults("GET")["fired_total"] == json!(0) || settled() != Ok(2) {
        assert!(killed.try_wait().unwrap().is_none(), "it ended by itself");
        thread::yield_now();
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    place.faults("DELETE");
    let others: Vec<String> =
        (0..3).map(|number| place.world.file(&format!("other{number}.csv"), format!("id,n\n{number},1\n"))).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    place.world.import(&[&others[..], &["--to", "sandbox:demo/others"]].concat()).loaded();
    let loaded = place.world.number("select count(*) from peers");
    place.import(&[file], &[]).fails_with(5, "L2009", &["forgotten"]);
    assert_eq!(place.world.number("select count(*) from peers"), loaded, "ROWS-1");
}

/// The rows of before went with the table: to load the rest alone into a new one would lose them.
#[test]
fn a_table_that_was_dropped_half_way_is_not_made_anew_for_the_rest() {
    let place = stopping();
    let file = [place.rows_file()];
    place.import(&file, &[]).fails_with(1, "L2010", &["disable_load_job"]);
    place.faults("DELETE");
    mysql(&place.sandbox, async |connection| connection.query_drop("DROP TABLE demo.peers").await.unwrap());
    place.import(&file, &[]).fails_with(1, "L3002", &["table", "--again"]);
    place.import(&file, &["--again"]).loaded();
    place.holds_every_row_once();
}

/// A report that is lost on a full disk must not be lost without a word; the rows are where they belong.
#[test]
fn a_report_that_cannot_be_written_is_told() {
    let place = Place::with(&[]);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = place.world.command(&[]);
    command.args(place.arguments(&[&place.rows_file()], &[])).stdin(Stdio::null()).stdout(full);
    let ran = Ran::of(command.stderr(Stdio::piped()).output().unwrap());
    assert_eq!((ran.code, ran.stderr.contains("cannot be written: No space left")), (0, true), "{ran:?}");
    place.holds_every_row_once();
}
