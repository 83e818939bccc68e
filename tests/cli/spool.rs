//! Streams over the disk: a server that stalls, a loader that dies, a spool that is full, damaged, or on a full disk.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

use super::journal::{cluster, ended, hold_from, job_when, rows};
use super::support::{Ran, World};

/// A table of `id` and `text`, a row of which takes some 60 bytes.
const WIDTH: usize = 48;

/// Loads of 1 MiB, one after the other. A stream shows its first 8 MiB before anything of it is loaded.
const SMALL: [&str; 4] = ["--load-size", "1MiB", "--parallel", "1"];

/// So many rows without a header, from an id on.
fn wide(from: u64, count: u64) -> Vec<u8> {
    (from..from + count)
        .map(|id| format!("{id},{}\n", format!("{id:x}").repeat(WIDTH)[..WIDTH].to_owned()))
        .collect::<String>()
        .into()
}

/// How many bytes the cost is measured with.
const SIZE: &str = "SHIPLOAD_TEST_SPOOL";

/// An import of a stream, whose writer is the test.
struct Piped {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Piped {
    fn new(world: &World, arguments: &[&str]) -> Self {
        let head = ["import", "-", "--format", "csv", "--no-csv-header", "--output", "json"];
        Self::of(world.command(&[&head[..], &SMALL[..], arguments].concat()))
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        Self { child, stdin }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Writes from a thread of its own, counting what was taken, until all is, or nobody reads any more.
    fn write_aside(&mut self, bytes: Vec<u8>) -> (Arc<AtomicU64>, JoinHandle<()>) {
        let (mut stdin, taken) = (self.stdin.take().unwrap(), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&taken);
        let writer = thread::spawn(move || {
            for piece in bytes.chunks(64 << 10) {
                if stdin.write_all(piece).is_err() {
                    return;
                }
                counted.fetch_add(piece.len() as u64, Ordering::SeqCst);
            }
        });
        (taken, writer)
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn end(mut self) -> Ran {
        drop(self.stdin.take());
        ended(self.child)
    }
}

/// Every load is refused because there are too many at once, until that is forgiven.
fn refused() -> Value {
    json!([{"at": "begin", "operation": "stream_load", "times": "always",
            "do": {"kind": "fail", "preset": "concurrency_limit"}}])
}

fn forgive(target: &str) {
    let host = target.split('@').nth(1).unwrap().split('/').next().unwrap();
    let url = format!("http://{host}/sandbox/faults");
    let output = Command::new("curl").args(["-sS", "-u", "root:", "-X", "DELETE", &url]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// What `status` says of a job.
fn status(world: &World, job: &str) -> Value {
    world.run(&["status", job, "--output", "json"]).loaded()
}

/// Waits until so many loads lie in the spool.
fn when_spooled(world: &World, job: &str, loads: u64) -> Value {
    loop {
        let ran = world.run(&["status", job, "--output", "json"]);
        if ran.code == 0 && ran.report()["spool"]["loads"].as_u64() >= Some(loads) {
            return ran.report();
        }
        thread::yield_now();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Whether the table has the row it was made with and these ids, each once.
fn holds(world: &World, rows: u64) {
    let found = [world.number("select count(*) from t"), world.number("select count(distinct id) from t")];
    #[expect(clippy::cast_precision_loss, reason = "a few hundred thousand")]
    let wanted = (rows + 1) as f64;
    assert_eq!(found, [wanted, wanted]);
}

/// A stream that was read in part when its loader was killed: 250,000 rows, of which at least five loads were cut; the
/// first is held at the server.
fn killed(world: &World, target: &str, more: &[&str]) -> Value {
    let mut import = Piped::new(world, &[&["--to", target, "--job", "piped"], more].concat());
    // Ids begin where the row ends that the table was made with.
    import.write(&wide(1, 250_000));
    let seen = when_spooled(world, "piped", 5);
    job_when(world, |job| job["loads_by_state"]["sending"] == json!(1));
    import.kill();
    seen
}

#[test]
fn a_stalled_server_lets_a_stream_go_on_until_the_spool_is_full_and_no_further() {
    let (world, _sandbox, target) = cluster(&refused());
    let all = wide(1, 700_000);
    let size = all.len() as u64;
    let arguments = ["--to", &target, "--job", "long", "--memory", "200MiB", "--spool-size", "16MiB"];
    let mut import = Piped::new(&world, &arguments);
    let (taken, writer) = import.write_aside(all);
    // The first load is refused until it is forgiven, and what comes behind it waits.
    let full = when_spooled(&world, "long", 13);
    let mut before = 0;
    while taken.load(Ordering::SeqCst) != before {
        before = taken.load(Ordering::SeqCst);
        thread::sleep(std::time::Duration::from_millis(700));
    }
    assert!((15 << 20..24 << 20).contains(&before), "{before} of {size} bytes were taken: {full}");
    let spooled = &status(&world, "long")["spool"];
    let lies = spooled["bytes"].as_u64().unwrap();
    assert!(lies <= 16 << 20, "{spooled}");
    assert_eq!(spooled["whole"], json!(false));
    forgive(&target);
    writer.join().unwrap();
    let ran = import.end();
    let report = ran.loaded();
    assert_eq!((&report["rows_read"], &report["rows_loaded"]), (&json!(700_000), &json!(700_000)));
    let slowed = report["slowed"].as_array().unwrap();
    assert!(slowed.iter().any(|slow| slow["reason"] == json!("the spool is full")), "{report}");
    assert!(ran.stderr.contains("the spool is full (16 MiB in "), "{}", ran.stderr);
    holds(&world, 700_000);
    assert!(!Path::new(spooled["folder"].as_str().unwrap()).exists(), "what is done leaves nothing behind");
}

#[test]
fn what_was_read_of_a_pipe_outlives_its_loader_and_the_end_says_how_much_that_was() {
    let (world, _sandbox, target) = cluster(&hold_from(0));
    let seen = killed(&world, &target, &[]);
    assert_eq!(seen["spool"]["whole"], json!(false));
    forgive(&target);
    let ran = world.run(&["resume", "piped", "--output", "json"]);
    let words = ["the stream of piped broke off behind line ", "everything before is in the table", "--job name"];
    ran.fails_with(1, "L3020", &words);
    let report = ran.report();
    let safe = report["rows_loaded"].as_u64().unwrap();
    // A line has one row, and the last one that is safe is named.
    assert!(safe >= 5 * 15_000 && ran.stderr.contains(&format!("behind line {safe}, ")), "{ran:?}");
    holds(&world, safe);
    let attempts = report["loads"].as_array().unwrap().iter().map(|load| load["attempts"].as_u64().unwrap());
    assert!(attempts.into_iter().all(|attempts| attempts <= 1), "{report}");

    // The whole stream, once more: what is there is known, and the rest is added.
    let mut again = Piped::new(&world, &["--to", &target, "--job", "piped"]);
    again.write(&wide(1, 250_000));
    let report = again.end().loaded();
    assert_eq!((&report["rows_read"], &report["rows_loaded"]), (&json!(250_000), &json!(250_000)));
    holds(&world, 250_000);
    assert!(!world.path().join("shipload-sandbox/state/spool").exists());
}

#[test]
fn a_stream_that_was_read_to_its_end_is_finished_without_it() {
    for commit in ["load", "job"] {
        let operation = if commit == "load" { "stream_load" } else { "load" };
        let held =
            json!([{"at": "continue", "node": "be*", "operation": operation, "times": 1, "do": {"kind": "hold"}}]);
        let (world, _sandbox, target) = cluster(&held);
        let mut import =
            Piped::new(&world, &["--to", &target, "--job", "whole", "--commit", commit, "--max-rejects", "1"]);
        import.write(&[&wide(1, 60_000)[..], b"x,rejected\n"].concat());
        drop(import.stdin.take());
        import.kill_when(|| status_is_whole(&world));
        forgive(&target);
        let seen = status(&world, "whole");
        assert_eq!(seen["loads_by_state"]["sending"], json!(1), "{seen}");
        let ran = world.run(&["resume", "whole", "--output", "json"]);
        assert_eq!(ran.code, 3, "{ran:?}");
        let report = ran.report();
        assert_eq!((&report["rows_read"], &report["rows_loaded"]), (&json!(60_001), &json!(60_000)), "{commit}");
        assert_eq!((&report["rows_rejected"], &report["state"]), (&json!(1), &json!("finished")));
        holds(&world, 60_000);
        assert_eq!(world.run(&["rejects", "whole", "--output", "json"]).loaded()["rows"], json!(1));
        assert!(world.run(&["resume", "whole"]).stdout.contains("already loaded on"));
    }
}

fn status_is_whole(world: &World) -> bool {
    let ran = world.run(&["status", "whole", "--output", "json"]);
    ran.code == 0
        && ran.report()["spool"]["whole"] == json!(true)
        && ran.report()["loads_by_state"]["sending"] == json!(1)
}

impl Piped {
    fn kill_when(self, is_so: impl Fn() -> bool) {
        while !is_so() {
            thread::yield_now();
        }
        self.kill();
    }
}

#[test]
fn nothing_is_committed_of_a_stream_that_is_not_whole() {
    let held =
        json!([{"at": "continue", "node": "be*", "operation": "load", "skip": 2, "times": 1, "do": {"kind": "hold"}}]);
    let (world, _sandbox, target) = cluster(&held);
    let mut import = Piped::new(&world, &["--to", &target, "--job", "piped", "--commit", "job"]);
    import.write(&wide(1, 250_000));
    job_when(&world, |job| job["loads_by_state"] == json!({"sending": 1, "prepared": 2}));
    when_spooled(&world, "piped", 5);
    import.kill();
    forgive(&target);
    let ran = world.run(&["resume", "piped", "--output", "json"]);
    ran.fails_with(1, "L3020", &["broke off behind line ", "nothing of it is committed, because it is not whole"]);
    holds(&world, 0);
    let seen = status(&world, "piped");
    assert_eq!(seen["loads_by_state"], json!({"aborted": 3}), "what was open is rolled back");
    assert!(seen["spool"]["loads"].as_u64() >= Some(5), "what was read is kept: {seen}");
    let mut again = Piped::new(&world, &["--to", &target, "--job", "piped", "--commit", "job"]);
    again.write(&wide(1, 250_000));
    assert_eq!(again.end().loaded()["rows_loaded"], json!(250_000));
    holds(&world, 250_000);
}

#[test]
fn the_same_stream_once_more_goes_on_and_another_one_adds_nothing() {
    let (world, _sandbox, target) = cluster(&hold_from(0));
    killed(&world, &target, &[]);
    forgive(&target);
    let mut other = Piped::new(&world, &["--to", &target, "--job", "piped"]);
    let (_, writer) = other.write_aside(wide(700_000, 250_000));
    other.end().fails_with(1, "L3002", &["stood for other rows before"]);
    writer.join().unwrap();
    let mut shorter = Piped::new(&world, &["--to", &target, "--job", "piped"]);
    shorter.write(&wide(1, 100));
    shorter.end().fails_with(1, "L3002", &["stood for other rows before"]);
    holds(&world, 0);
    world.import(&["-", "--to", &target, "--job", "piped", "--where", "id > 7"]).fails_with(
        1,
        "L3021",
        &["this is other work", "shipload resume piped"],
    );
    let mut same = Piped::new(&world, &["--to", &target, "--job", "piped", "--compression", "zstd"]);
    same.write(&wide(1, 250_000));
    assert_eq!(same.end().loaded()["rows_loaded"], json!(250_000));
    holds(&world, 250_000);
}

#[test]
fn a_damaged_file_is_named_and_never_sent_and_a_torn_one_never_was() {
    let (world, _sandbox, target) = cluster(&hold_from(0));
    let seen = killed(&world, &target, &[]);
    forgive(&target);
    let folder = PathBuf::from(seen["spool"]["folder"].as_str().unwrap());
    fs::write(folder.join("00000099.part"), b"half of one").unwrap();
    let third = folder.join("00000003.chunk");
    let mut content = fs::read(&third).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 4;
    fs::write(&third, &content).unwrap();
    let named = third.display().to_string();
    let ran = world.run(&["resume", "piped", "--output", "json"]);
    ran.fails_with(1, "L3022", &[&named, "is damaged", "nothing of it is sent"]);
    assert!(!folder.join("00000099.part").exists());
    // Those before it are in the table, and it is not.
    let landed = world.number("select count(*) from t");
    assert!(landed < 3.0 * 20_000.0, "{landed}");
    fs::rename(&third, world.path().join("aside")).unwrap();
    let mut same = Piped::new(&world, &["--to", &target, "--job", "piped"]);
    same.write(&wide(1, 250_000));
    assert_eq!(same.end().loaded()["rows_loaded"], json!(250_000));
    holds(&world, 250_000);
}

#[test]
fn a_job_that_is_cancelled_or_stopped_at_its_rejects_leaves_nothing_to_send() {
    let (world, _sandbox, target) = cluster(&hold_from(0));
    let seen = killed(&world, &target, &[]);
    let folder = PathBuf::from(seen["spool"]["folder"].as_str().unwrap());
    forgive(&target);
    let cancelled = world.run(&["cancel", "piped"]);
    assert!(cancelled.code == 0 && cancelled.stderr.contains("is removed, with "), "{cancelled:?}");
    assert!(!folder.exists());
    world.run(&["resume", "piped"]).fails_with(1, "L3007", &["a stream", "| shipload import - --format csv"]);
    holds(&world, 0);

    let text = rows(20_000) + "not a number,1\n";
    let arguments = ["import", "-", "--to", &target, "--job", "stops", "--load-size", "64KiB", "--parallel", "1"];
    let ran = world.run_with_input(&arguments, text.as_bytes());
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(!ran.stderr.contains("lie in the spool"), "{ran:?}");
}

#[test]
fn what_is_interrupted_says_what_lies_in_the_spool_and_goes_on_with_it() {
    let (world, _sandbox, target) = cluster(&hold_from(0));
    let mut import = Piped::new(&world, &["--to", &target]);
    import.write(&wide(1, 250_000));
    let name = job_when(&world, |job| job["loads_by_state"]["sending"] == json!(1))["job"].as_str().unwrap().to_owned();
    when_spooled(&world, &name, 5);
    for _ in 0..2 {
        let pid = import.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        thread::sleep(std::time::Duration::from_millis(300));
    }
    let ran = ended(import.child);
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!(ran.stderr.contains(&format!("`shipload resume {name}` goes on with them")), "{}", ran.stderr);
    forgive(&target);
    let resumed = world.run(&["resume", &name, "--output", "json"]);
    resumed.fails_with(1, "L3020", &["behind line "]);
    holds(&world, resumed.report()["rows_loaded"].as_u64().unwrap());
}

/// A file that may not grow any further stands for a disk that is full for good.
#[test]
fn a_chunk_that_the_disk_does_not_take_stops_the_job_and_nothing_is_lost() {
    let (world, _sandbox, target) = cluster(&json!([]));
    let program = env!("CARGO_BIN_EXE_shipload");
    let inner = format!(
        "trap '' XFSZ; ulimit -f 1024; exec '{program}' import - --format csv --no-csv-header --to '{target}' --job tight \
         --load-size 4MiB --output json"
    );
    let mut command = Command::new("bash");
    command.args(["-c", &inner]).current_dir(world.path()).env("HOME", world.path());
    let mut import = Piped::of(command);
    let (_, writer) = import.write_aside(wide(1, 200_000));
    let ran = import.end();
    writer.join().unwrap();
    ran.fails_with(1, "L3021", &["00000001.part with ", " bytes", "File too large", "--spool-size none"]);
    holds(&world, 0);
    let folder = status(&world, "tight")["spool"]["folder"].as_str().unwrap().to_owned();
    assert_eq!(files(Path::new(&folder)), [""; 0].map(PathBuf::from), "nothing is left behind");
    let arguments = ["import", "-", "--format", "csv", "--no-csv-header", "--to", &target, "--job", "tight"];
    let arguments = [&arguments[..], &["--load-size", "4MiB", "--output", "json"]].concat();
    assert_eq!(world.run_with_input(&arguments, &wide(1, 200_000)).loaded()["rows_loaded"], json!(200_000));
    holds(&world, 200_000);
}

#[test]
fn of_two_that_read_the_same_stream_at_once_the_second_waits_and_finds_it_done() {
    let (world, _sandbox, target) = cluster(&refused());
    let mut first = Piped::new(&world, &["--to", &target, "--job", "both"]);
    first.write(&wide(1, 250_000));
    when_spooled(&world, "both", 4);
    let mut second = Piped::new(&world, &["--to", &target, "--job", "both"]);
    let (_, writer) = second.write_aside(wide(1, 250_000));
    forgive(&target);
    assert_eq!(first.end().loaded()["rows_loaded"], json!(250_000));
    assert_eq!(second.end().loaded()["state"], json!("already_loaded"));
    writer.join().unwrap();
    holds(&world, 250_000);
}

#[test]
fn without_a_spool_nothing_is_written() {
    let (world, _sandbox, target) = cluster(&json!([]));
    let mut import = Piped::new(&world, &["--to", &target, "--job", "bare", "--spool-size", "none"]);
    import.write(&wide(1, 250_000));
    assert_eq!(import.end().loaded()["rows_loaded"], json!(250_000));
    assert_eq!(status(&world, "bare")["spool"], Value::Null);
    let mut elsewhere = Piped::new(&world, &["--to", &target, "--job", "else", "--spool", "here"]);
    elsewhere.write(&wide(250_001, 10));
    assert_eq!(elsewhere.end().loaded()["rows_loaded"], json!(10));
    assert!(!world.path().join("here").exists(), "the folder goes with the last job in it");
}

/// With and without in turns, in one run, so that whatever else the machine does strikes both.
#[test]
#[expect(clippy::print_stdout, reason = "the figures are what a long run is for")]
fn the_cost_of_the_spool_is_shown_as_a_ratio() {
    #[expect(clippy::disallowed_methods, reason = "a test has no command line of its own")]
    let bytes: u64 = std::env::var(SIZE).map_or(10_000_000, |text| text.parse().unwrap());
    let world = World::new();
    let made = world.file("made.csv", "id,text\n0,zero\n");
    world.import(&[&made, "--to", "sandbox:demo/t"]).loaded();
    let sandbox = world.sandbox(&["--discard"]);
    let target = sandbox.target("demo/t");
    let block = wide(1, 20_000);
    let mut seconds = [0.0, 0.0];
    let turns = if bytes > 10_000_000 { 4 } else { 1 };
    for _ in 0..turns {
        for (which, size) in ["4GiB", "none"].into_iter().enumerate() {
            let head = ["import", "-", "--format", "csv", "--no-csv-header", "--output", "json"];
            let mut import = Piped::of(world.command(&[&head[..], &["--to", &target, "--spool-size", size]].concat()));
            for _ in 0..bytes / block.len() as u64 {
                import.write(&block);
            }
            let report = import.end().loaded();
            assert_eq!(report["rows_read"], report["rows_loaded"]);
            seconds[which] += report["elapsed_seconds"].as_f64().unwrap();
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "shown rounded")]
    let speed = seconds.map(|seconds| (bytes * turns) as f64 / 1e6 / seconds);
    let ratio = speed[0] / speed[1];
    println!("{:.1} MB/s over the spool, {:.1} MB/s without: {ratio:.2}", speed[0], speed[1]);
}
