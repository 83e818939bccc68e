//! Tests of the journal in its file.

use super::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn job() -> JobId {
    "nightly".parse().unwrap()
}

fn report(state: JobState) -> Report {
    Report {
        job: "nightly".into(),
        state,
        target: "starrocks://fe1:8030/db/t".into(),
        started_at: rfc3339(NOW),
        elapsed_seconds: 1.5,
        rows_read: 3,
        rows_loaded: 3,
        rows_rejected: 0,
        rows_unselected: 0,
        bytes_read: 12,
        commit: None,
        compression: None,
        bytes_sent: 12,
        loads: Vec::new(),
        inputs: Vec::new(),
        bottleneck: String::new(),
        parallel: 0,
        slowed: Vec::new(),
        profile: None,
        peak_memory_bytes: 0,
        rejects: None,
        error: None,
    }
}

fn entry() -> LoadEntry {
    LoadEntry {
        rows: 3,
        bytes: 12,
        digest: u64::MAX - 1,
        state: LoadState::Sending,
        transaction_id: None,
        rows_loaded: 0,
        rows_unselected: 0,
        input: "/a.csv".into(),
    }
}

fn settled(state: LoadState) -> Settled {
    Settled { state, transaction_id: Some(7), rows_loaded: 2, rows_unselected: 1 }
}

fn begin(journal: &Journal, fingerprint: &str, again: bool) -> Result<Begun, Error> {
    journal.begin(&work(&job(), fingerprint), again, NOW)
}

fn work<'a>(job: &'a JobId, fingerprint: &'a str) -> Work<'a> {
    Work { job, fingerprint, target: "t", inputs: &[] }
}

#[test]
fn a_finished_job_has_nothing_left_to_do_until_it_is_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    assert!(matches!(begin(&journal, "f", false), Ok(Begun::New { run: 0 })));
    journal.end(&job(), 0, &report(JobState::Finished), NOW).unwrap();
    match begin(&journal, "f", false).unwrap() {
        Begun::Finished { at, report } => {
            assert_eq!((at.as_str(), report.rows_loaded), ("1970-01-01T00:00:00Z", 3));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(begin(&journal, "f", true), Ok(Begun::New { run: 1 })));
    journal.end(&job(), 1, &report(JobState::Finished), NOW).unwrap();
    let later = NOW + Duration::from_secs(1_000);
    assert!(matches!(journal.begin(&work(&job(), "f"), true, later), Ok(Begun::New { run: 1_000 })));
}

#[test]
fn an_unfinished_run_that_was_asked_for_again_goes_on_when_it_is_asked_for_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    begin(&journal, "f", false).unwrap();
    assert!(matches!(begin(&journal, "f", true), Ok(Begun::New { run: 1 })), "the first was not asked for again");
    journal.end(&job(), 1, &report(JobState::Interrupted), NOW).unwrap();
    for again in [true, false] {
        assert!(matches!(begin(&journal, "f", again), Ok(Begun::Resumed { run: 1 })));
    }
    // What disagreed never goes on; loading anew is the way out.
    let label = "l-1".parse().unwrap();
    journal.sending(&job(), 1, &label, &entry()).unwrap();
    journal.settled(&job(), 1, &label, &settled(LoadState::Disagreed)).unwrap();
    assert!(matches!(begin(&journal, "f", true), Ok(Begun::New { run: 2 })));
}

#[test]
fn processes_that_start_a_job_at_the_same_time_share_one_run() {
    let folder = tempfile::tempdir().unwrap();
    Journal::open(folder.path()).unwrap();
    let start = std::sync::Barrier::new(8);
    let runs: Vec<u32> = std::thread::scope(|scope| {
        let one = || {
            let journal = Journal::open(folder.path()).unwrap();
            start.wait();
            match begin(&journal, "f", false).unwrap() {
                Begun::New { run } | Begun::Resumed { run } => run,
                Begun::Finished { .. } => panic!("nobody finished it"),
            }
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(runs, [0; 8], "LABEL-1");
}

#[test]
fn what_one_process_settled_stays_settled_for_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (Journal::open(folder.path()).unwrap(), Journal::open(folder.path()).unwrap());
    let label: Label = "l-1".parse().unwrap();
    begin(&one, "f", false).unwrap();
    begin(&two, "f", false).unwrap();
    assert_eq!(one.sending(&job(), 0, &label, &entry()).unwrap(), None);
    assert_eq!(two.sending(&job(), 0, &label, &entry()).unwrap(), Some(entry()));
    one.settled(&job(), 0, &label, &settled(LoadState::Visible)).unwrap();
    two.settled(&job(), 0, &label, &settled(LoadState::Aborted)).unwrap();
    let known = two.sending(&job(), 0, &label, &entry()).unwrap().unwrap();
    assert_eq!((known.state, known.transaction_id), (LoadState::Visible, Some(7)));
    one.end(&job(), 0, &report(JobState::Finished), NOW).unwrap();
    two.end(&job(), 0, &report(JobState::Failed), NOW).unwrap();
    assert!(matches!(begin(&one, "f", false), Ok(Begun::Finished { .. })));
}

#[test]
fn an_unfinished_job_is_taken_up_with_its_loads_by_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let label: Label = "l-1".parse().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    begin(&journal, "f", false).unwrap();
    journal.sending(&job(), 0, &label, &entry()).unwrap();
    journal.settled(&job(), 0, &label, &settled(LoadState::Visible)).unwrap();
    journal.end(&job(), 0, &report(JobState::Interrupted), NOW).unwrap();
    drop(journal);

    let journal = Journal::open(folder.path()).unwrap();
    assert!(matches!(begin(&journal, "f", false), Ok(Begun::Resumed { run: 0 })));
    let expected =
        LoadEntry { state: LoadState::Visible, transaction_id: Some(7), rows_loaded: 2, rows_unselected: 1, ..entry() };
    assert_eq!(journal.sending(&job(), 0, &label, &entry()).unwrap(), Some(expected));
}

#[test]
fn a_label_that_stood_for_other_rows_is_not_taken_for_these() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    let label: Label = "l-1".parse().unwrap();
    begin(&journal, "f", false).unwrap();
    journal.sending(&job(), 0, &label, &entry()).unwrap();
    let other = LoadEntry { digest: 1, ..entry() };
    for _ in 0..2 {
        assert_eq!(journal.sending(&job(), 0, &label, &other).unwrap(), Some(entry()));
    }
}

#[test]
fn an_unfinished_job_of_that_name_with_other_work_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    begin(&journal, "f", false).unwrap();
    journal.sending(&job(), 0, &"l-1".parse().unwrap(), &entry()).unwrap();
    let other = begin(&journal, "g", false);
    assert!(matches!(other, Err(Error::OtherWork { finished: None, .. })), "{other:?}");
    assert!(matches!(begin(&journal, "g", true), Ok(Begun::New { run: 1 })));
}

#[test]
fn an_input_of_which_other_work_left_a_part_in_the_table_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    let (first, second, third): (JobId, JobId, JobId) =
        ("a-1".parse().unwrap(), "a-2".parse().unwrap(), "a-3".parse().unwrap());
    let inputs = ["/a.csv".to_owned()];
    let work = |job, fingerprint| Work { job, fingerprint, target: "t", inputs: &inputs };
    journal.begin(&work(&first, "f"), false, NOW).unwrap();
    journal.sending(&first, 0, &"l-1".parse().unwrap(), &entry()).unwrap();
    match journal.begin(&work(&second, "g"), false, NOW) {
        Err(Error::HalfLoaded { input, job }) => assert_eq!((input.as_str(), job.as_str()), ("/a.csv", "a-1")),
        other => panic!("{other:?}"),
    }
    // Other tables, other inputs, the job itself, and whoever says so, are let through.
    for other in [Work { target: "u", ..work(&second, "g") }, Work { inputs: &[], ..work(&third, "g") }] {
        assert!(matches!(journal.begin(&other, false, NOW), Ok(Begun::New { .. })));
    }
    assert!(matches!(journal.begin(&work(&first, "f"), false, NOW), Ok(Begun::Resumed { .. })));
    let fourth = "a-4".parse().unwrap();
    let Ok(Begun::New { run }) = journal.begin(&work(&fourth, "g"), true, NOW) else { panic!("it was asked for") };
    // Once it has been loaded anew and whole, what was left before is history.
    journal.sending(&fourth, run, &"l-2".parse().unwrap(), &entry()).unwrap();
    journal.end(&fourth, run, &report(JobState::Finished), NOW).unwrap();
    let fifth = "a-5".parse().unwrap();
    assert!(matches!(journal.begin(&work(&fifth, "h"), false, NOW), Ok(Begun::New { .. })));
}

#[test]
fn a_finished_job_of_that_name_with_other_work_is_not_taken_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    begin(&journal, "f", false).unwrap();
    journal.end(&job(), 0, &report(JobState::Finished), NOW).unwrap();
    let other = begin(&journal, "g", false);
    assert!(matches!(other, Err(Error::OtherWork { finished: Some(_), .. })), "{other:?}");
}

#[test]
fn a_try_of_which_nothing_arrived_may_be_corrected() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    begin(&journal, "f", false).unwrap();
    assert!(matches!(begin(&journal, "g", false), Ok(Begun::New { run: 1 })));
    assert!(matches!(begin(&journal, "g", false), Ok(Begun::Resumed { run: 1 })));
}

#[test]
fn a_newer_layout_is_refused_and_a_broken_file_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("journal.sqlite");
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Journal::open(folder.path()), Err(Error::Newer { found: 99, .. })));
    fs::write(&file, "this is no database, and long enough to be read as a header of one").unwrap();
    match Journal::open(folder.path()) {
        Err(Error::Corrupt { path, .. }) => assert_eq!(path, file),
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_that_open_a_new_journal_at_once_get_in() {
    for _ in 0..30 {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            let opened: Vec<_> = (0..8).map(|_| scope.spawn(|| Journal::open(folder.path()).map(drop))).collect();
            for opened in opened {
                opened.join().unwrap().unwrap();
            }
        });
    }
}

#[test]
fn what_is_written_down_is_on_the_disk_before_it_is_acted_on() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    let pragma = |name: &str| -> rusqlite::types::Value {
        journal.read(|connection| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))).unwrap()
    };
    assert_eq!(pragma("journal_mode"), rusqlite::types::Value::Text("wal".into()));
    assert_eq!(pragma("synchronous"), rusqlite::types::Value::Integer(2), "2 is FULL");
}
