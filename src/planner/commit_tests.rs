//! The choice, rule by rule.

use super::super::volume::{Packed, Stored};
use super::*;

const MIB: u64 = 1 << 20;

fn file(bytes: u64) -> Volume {
    Volume { bytes: Some(bytes), stored: Stored::Csv, packed: Packed::No }
}

fn outline(inputs: &[Volume]) -> Outline {
    Outline { inputs: inputs.to_vec(), load_size: ByteCount(64 * MIB), csv_only: false, unheeded: None, rate_max: None }
}

fn idle() -> Capacity {
    Capacity {
        version: Some("3.5.4-abc".into()),
        transactions_max: Some(1000),
        transactions_running: Some(12),
        prepared_for: Some(Duration::from_hours(24)),
    }
}

/// The reason for `load` by the job alone.
fn refused(job: &Outline) -> String {
    let choice = by_outline(job).expect("the job alone decides");
    assert!(!choice.whole);
    choice.reason
}

#[test]
fn a_few_loads_that_the_server_has_room_for_are_committed_at_once() {
    for job in [outline(&[file(100 * MIB)]), outline(&[file(1), file(1)]), outline(&vec![file(0); 16])] {
        assert_eq!(by_outline(&job), None, "{job:?}");
        let choice = by_target(&job, &idle());
        assert!(choice.whole && choice.reason.contains("12 of 1000"), "{choice:?}");
    }
}

#[test]
fn each_rule_about_the_job_alone_says_what_it_goes_by() {
    let two = outline(&[file(1), file(1)]);
    let stream = Volume { bytes: None, ..file(0) };
    assert!(refused(&outline(&[stream])).contains("stream"));
    assert!(refused(&Outline { csv_only: true, ..two.clone() }).contains("--wire csv"));
    assert!(refused(&Outline { unheeded: Some("log_rejected_record_num".into()), ..two }).contains("log_rejected"));
    assert!(refused(&outline(&[file(64 * MIB)])).contains("one load"));
    assert!(refused(&outline(&vec![file(0); 17])).contains("about 17 loads"));
    // Three times as much in JSON.
    assert!(refused(&outline(&[file(342 * MIB)])).contains("about 17 loads"));
    let large = Outline { load_size: ByteCount(1024 * MIB), ..outline(&[file(1025 * MIB)]) };
    assert!(refused(&large).contains("as JSON"), "{}", refused(&large));
}

#[test]
fn a_server_without_transactions_or_without_a_word_about_them_takes_each_load_for_itself() {
    let job = outline(&[file(1), file(1)]);
    let of = |version: Option<&str>| by_target(&job, &Capacity { version: version.map(str::to_owned), ..idle() });
    for (version, words) in [(None, "does not tell"), (Some("main-1a2b"), "does not tell"), (Some("2.3.9"), "2.3.9")] {
        let choice = of(version);
        assert!(!choice.whole && choice.reason.contains(words), "{choice:?}");
    }
    assert!(of(Some("2.4.0")).whole && of(Some("10.0")).whole);
}

#[test]
fn others_keep_half_of_the_transactions_that_are_free() {
    let job = outline(&[file(1), file(1), file(1)]);
    let of =
        |running, max| by_target(&job, &Capacity { transactions_running: running, transactions_max: max, ..idle() });
    for (running, max, whole) in [
        (Some(994), Some(1000), true),
        (Some(995), Some(1000), false),
        (Some(2000), Some(1000), false),
        (None, Some(12), true),
        (None, Some(11), true),
        (None, Some(10), false),
        (Some(995), None, false),
        (None, None, true),
    ] {
        assert_eq!(of(running, max).whole, whole, "{running:?} of {max:?}");
    }
    assert!(of(Some(995), Some(1000)).reason.contains("995 of 1000"));
}

#[test]
fn what_may_outlive_its_preparation_is_committed_load_by_load() {
    let slow = Outline { rate_max: Some(ByteCount(1024)), ..outline(&[file(100 * MIB)]) };
    let choice = by_target(&slow, &idle());
    assert!(!choice.whole && choice.reason.contains("86400 s"), "{choice:?}");
    let patient = Capacity { prepared_for: Some(Duration::from_hours(24 * 30)), ..idle() };
    assert!(by_target(&slow, &patient).whole);
    let fast = Outline { rate_max: Some(ByteCount(MIB)), ..slow };
    assert!(by_target(&fast, &idle()).whole);
}

#[test]
fn a_whole_job_that_can_never_be_open_at_one_time_is_refused_with_a_way_out() {
    let job = Outline { load_size: ByteCount(MIB), ..outline(&[file(100 * MIB), file(1)]) };
    let tight = Capacity { transactions_max: Some(50), ..idle() };
    let refusal = check_whole(&job, &tight).unwrap_err();
    assert_eq!((refusal.loads, refusal.limit, refusal.load_size), (101, 50, Some(ByteCount(8 * MIB))));
    let roomy = Outline { load_size: refusal.load_size.unwrap(), ..job.clone() };
    assert_eq!(check_whole(&roomy, &Capacity { transactions_running: Some(0), ..tight.clone() }), Ok(None));
    // Nothing makes one load of two files.
    let many = outline(&vec![file(1); 51]);
    assert_eq!(check_whole(&many, &tight).unwrap_err().load_size, None);
    // A limit that is only supposed refuses nothing.
    let silent = Capacity { transactions_max: None, transactions_running: None, ..idle() };
    assert!(check_whole(&outline(&vec![file(1); 1001]), &silent).unwrap().unwrap().contains("1001 loads"));
}

#[test]
fn a_whole_job_that_may_have_to_wait_for_others_says_so() {
    let job = outline(&[file(1), file(1), file(1)]);
    let busy = Capacity { transactions_running: Some(998), ..idle() };
    let notice = check_whole(&job, &busy).unwrap().unwrap();
    assert!(notice.contains("998 of 1000") && notice.contains("--load-size"), "{notice}");
    assert_eq!(check_whole(&job, &idle()), Ok(None));
    let stream = outline(&[Volume { bytes: None, ..file(0) }]);
    assert!(check_whole(&stream, &idle()).unwrap().unwrap().contains("1000 loads"));
}
