//! Documents, counts, draws and records, without a connection.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::effect::Wire;
use super::*;

const SCENE: Scene<'_> =
    Scene { node: "be1", operation: Some(Operation::StreamLoad), database: Some("shop"), label: Some("orders-7") };

fn faults(document: &Value) -> Faults {
    let faults = Faults::none();
    faults.install(&document.to_string()).unwrap_or_else(|wrong| panic!("{wrong}"));
    faults
}

/// One rule at `head` that resets, with more keys.
fn rule(more: &Value) -> Value {
    let mut rule = json!({"id": "r", "at": "head", "times": "always", "do": {"kind": "reset"}});
    let members = more.as_object().expect("an object");
    rule.as_object_mut().expect("an object").extend(members.clone());
    json!({"seed": 7, "rules": [rule]})
}

fn struck(faults: &Faults, count: usize) -> Vec<bool> {
    (0..count).map(|_| faults.strike(&SCENE, Step::Head).is_some()).collect()
}

#[test]
fn a_rule_lets_the_first_ones_go_by_and_strikes_so_often() {
    let faults = faults(&rule(&json!({"skip": 2, "times": 3})));
    assert_eq!(struck(&faults, 7), [false, false, true, true, true, false, false]);
    let shown = faults.show();
    assert_eq!((&shown["rules"][0]["matched"], &shown["rules"][0]["fired"]), (&json!(7), &json!(3)), "{shown}");
    assert_eq!(shown["fired_total"], 3);
    let record = &shown["fired"][0];
    assert_eq!(record["sequence"], 1);
    assert_eq!(
        (&record["rule"], &record["node"], &record["operation"]),
        (&"r".into(), &"be1".into(), &"stream_load".into())
    );
    assert_eq!(
        (&record["label"], &record["step"], &record["effect"]),
        (&"orders-7".into(), &"head".into(), &"reset".into())
    );
    assert!(record["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{record}");
}

#[test]
fn a_rule_strikes_once_unless_it_says_otherwise() {
    let document = json!({"rules": [{"at": "head", "do": {"kind": "close"}}]});
    assert_eq!(struck(&faults(&document), 3), [true, false, false]);
}

#[test]
fn a_rule_is_about_its_nodes_operations_labels_and_step() {
    for (more, strikes) in [
        (json!({}), true),
        (json!({"node": "be1"}), true),
        (json!({"node": "be*"}), true),
        (json!({"node": "fe*"}), false),
        (json!({"operation": "any"}), true),
        (json!({"operation": "stream_load"}), true),
        (json!({"operation": ["begin", "stream_load"]}), true),
        (json!({"operation": "begin"}), false),
        (json!({"label": "orders-*"}), true),
        (json!({"label": "orders-?"}), true),
        (json!({"label": "lines-*"}), false),
        (json!({"at": "answer"}), false),
        (json!({"probability": 0}), false),
    ] {
        assert_eq!(struck(&faults(&rule(&more)), 1), [strikes], "{more}");
    }
    let labelled = faults(&rule(&json!({"label": "*"})));
    assert_eq!(labelled.strike(&Scene { label: None, ..SCENE }, Step::Head), None);
}

#[test]
fn the_first_rule_that_strikes_has_the_request_to_itself() {
    let faults = faults(&json!({"rules": [
        {"id": "first", "at": "head", "skip": 1, "do": {"kind": "reset"}},
        {"id": "second", "at": "head", "times": "always", "do": {"kind": "close"}},
    ]}));
    assert_eq!(struck(&faults, 3), [true; 3]);
    let shown = faults.show();
    let order: Vec<&str> = shown["fired"].as_array().unwrap().iter().filter_map(|one| one["rule"].as_str()).collect();
    assert_eq!(order, ["second", "first", "second"]);
}

#[test]
fn the_newest_faults_are_remembered_and_all_are_counted() {
    let faults = faults(&rule(&json!({})));
    struck(&faults, engine::RECORDS_MAX + 5);
    let shown = faults.show();
    assert_eq!(shown["fired_total"], engine::RECORDS_MAX + 5);
    assert_eq!(shown["fired"].as_array().unwrap().len(), engine::RECORDS_MAX);
    assert_eq!(shown["fired"][0]["sequence"], 6);
    assert_eq!(faults.clear()["fired_total"], engine::RECORDS_MAX + 5);
    assert_eq!((faults.is_armed(), &faults.show()["fired_total"]), (false, &json!(0)));
}

#[test]
fn failures_inside_a_node_speak_in_the_servers_words() {
    let inner = |at: &str, what: Value| {
        let faults = faults(&json!({"rules": [{"at": at, "do": what}]}));
        let step = Step::ALL.iter().find(|(name, _)| *name == at).unwrap().1;
        faults.strike_inner(&SCENE, step).unwrap()
    };
    let complaint = |message: &str, status: &str| Complaint { message: message.into(), status: status.into() };
    assert_eq!(
        inner("begin", json!({"kind": "fail", "preset": "running_transactions"})),
        Inner::Fail(complaint("current running txns on db shop is 1000, larger than limit 1000", "ANALYSIS_ERROR"))
    );
    assert_eq!(
        inner("prepare", json!({"kind": "fail", "message": "no", "status": "TXN_IN_PROCESSING"})),
        Inner::Fail(complaint("no", "TXN_IN_PROCESSING"))
    );
    let Inner::CommitThenFail(words) = inner("committed", json!({"kind": "commit_then_fail"})) else { panic!() };
    assert!(words.message.starts_with("FE RPC failure, address="), "{words:?}");
    assert_eq!(words.status, "THRIFT_RPC_ERROR");
    let millis = Duration::from_millis;
    assert_eq!(
        inner("publish", json!({"kind": "publish_timeout", "visible_after_ms": 5})),
        Inner::PublishTimeout { visible_after: millis(5) }
    );
    assert_eq!(inner("rollback", json!({"kind": "lose_rollback"})), Inner::LoseRollback);
    assert_eq!(inner("prepared", json!({"kind": "crash"})), Inner::Crash { restart_after: None });
    assert_eq!(
        inner("write", json!({"kind": "crash", "restart_after_ms": 9})),
        Inner::Crash { restart_after: Some(millis(9)) }
    );
    assert_eq!(inner("plan", json!({"kind": "delay", "ms": 3})), Inner::Delay(millis(3)));
}

#[test]
fn places_in_a_body_are_met_in_order() {
    let faults = faults(&json!({"rules": [
        {"id": "late", "at": "body", "after_bytes": 9, "do": {"kind": "reset"}},
        {"id": "early", "at": "body", "after_bytes": 4, "do": {"kind": "delay", "ms": 0}},
        {"id": "end", "at": "body", "after_bytes": "end", "do": {"kind": "close"}},
    ]}));
    assert_eq!(faults.next_place(&SCENE, &(1..=20)), Some(4));
    assert_eq!(faults.next_place(&SCENE, &(5..=20)), Some(9));
    assert_eq!(faults.next_place(&SCENE, &(10..=20)), None);
    assert_eq!(faults.strike(&SCENE, Step::Body), None);
    let at = |after| faults.strike_after(&SCENE, Step::Body, after).map(|(_, effect)| effect);
    assert_eq!(at(After::Bytes(4)), Some(Effect::Wire(Wire::Delay(Duration::ZERO))));
    assert!(at(After::End).is_some());
}

#[test]
fn a_mistake_is_told_with_its_line_its_place_and_what_is_allowed() {
    for (document, line, place, words) in [
        ("{\"rules\": [\n", 2, "the document", "this is not JSON"),
        ("[]", 1, "the document", "an object with the keys seed, rules"),
        ("{}", 1, "the document", "the key `rules` is missing"),
        ("{\"rules\": [],\n \"sede\": 1}", 2, "sede", "did you mean `seed`?"),
        ("{\"rules\": [],\n \"seed\": -1}", 2, "seed", "a whole number from 0"),
        ("{\"rules\": [\n{\"at\": \"haed\", \"do\": {}}]}", 2, "rules[0].at", "did you mean `head`?"),
        ("{\"rules\": [\n{\"at\": \"head\"}]}", 2, "rules[0]", "the key `do` is missing"),
        ("{\"rules\": [{\"at\": \"head\",\n\"lable\": \"x\"}]}", 2, "rules[0].lable", "did you mean `label`?"),
        ("{\"rules\": [{\"at\": \"head\", \"at\": \"body\"}]}", 1, "rules[0].at", "twice"),
        (
            "{\"rules\": [{\"at\": \"head\",\n\"do\": {\n\"kind\": \"rest\"}}]}",
            3,
            "rules[0].do.kind",
            "did you mean `reset`? allowed: delay, reset",
        ),
        (
            "{\"rules\": [{\"at\": \"head\", \"do\": {\"kind\": \"duplicate\"}}]}",
            1,
            "rules[0].do.kind",
            "`duplicate` cannot happen at `head` but at answer",
        ),
        (
            "{\"rules\": [{\"at\": \"head\", \"do\": {\"kind\": \"delay\"}}]}",
            1,
            "rules[0].do",
            "the key `ms` is missing",
        ),
        (
            "{\"rules\": [{\"at\": \"head\", \"do\": {\"kind\": \"reset\", \"ms\": 1}}]}",
            1,
            "rules[0].do.ms",
            "there is no key `ms`",
        ),
        (
            "{\"rules\": [{\"at\": \"begin\", \"do\": {\"kind\": \"fail\", \"preset\": \"to_many_versions\"}}]}",
            1,
            "rules[0].do.preset",
            "did you mean `too_many_versions`?",
        ),
        (
            "{\"rules\": [{\"at\": \"begin\", \"do\": {\"kind\": \"fail\"}}]}",
            1,
            "rules[0].do",
            "`preset` or a `message`",
        ),
        (
            "{\"rules\": [{\"at\": \"head\", \"times\": 0, \"do\": {\"kind\": \"reset\"}}]}",
            1,
            "rules[0].times",
            "a whole number from 1",
        ),
        (
            "{\"rules\": [{\"at\": \"head\", \"probability\": 1.5, \"do\": {\"kind\": \"reset\"}}]}",
            1,
            "rules[0].probability",
            "from 0 to 1",
        ),
        (
            "{\"rules\": [{\"at\": \"head\", \"after_bytes\": 1, \"do\": {\"kind\": \"reset\"}}]}",
            1,
            "rules[0].after_bytes",
            "only rules at `body`",
        ),
        (
            "{\"rules\": [{\"at\": \"accept\", \"label\": \"x\", \"do\": {\"kind\": \"reset\"}}]}",
            1,
            "rules[0].label",
            "nothing is known of a request",
        ),
        ("{\"rules\": [{\"at\": \"head\", \"node\": \"[\", \"do\": {}}]}", 1, "rules[0].node", "no pattern"),
        (
            "{\"rules\": [{\"id\": \"a\", \"at\": \"head\", \"do\": {\"kind\": \"reset\"}},\n\
             {\"id\": \"a\", \"at\": \"head\", \"do\": {\"kind\": \"reset\"}}]}",
            2,
            "rules[1]",
            "a rule `a` already",
        ),
    ] {
        let faults = faults(&rule(&json!({})));
        let wrong = faults.install(document).expect_err(document);
        assert_eq!((wrong.line, wrong.place.as_str()), (line, place), "{document}: {wrong}");
        assert!(wrong.message.contains(words), "{document}: {wrong}");
        assert!(faults.is_armed(), "a document that is refused changes nothing: {document}");
    }
}

/// Threads that come at once get no more than the rule allows, and the same draws altogether.
#[test]
fn a_rule_never_strikes_more_often_than_allowed_from_many_threads() {
    let faults = Arc::new(faults(&rule(&json!({"skip": 10, "times": 25}))));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let faults = Arc::clone(&faults);
            thread::spawn(move || struck(&faults, 50).into_iter().filter(|strikes| *strikes).count())
        })
        .collect();
    let fired: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(fired, 25);
    let shown = faults.show();
    assert_eq!((&shown["rules"][0]["matched"], &shown["fired_total"]), (&json!(400), &json!(25)));
}

proptest! {
    /// The draws of a rule follow from the seed, its name and its own count, whatever other rules see in between.
    #[test]
    fn the_same_seed_decides_the_same(
        seed: u64,
        probability in 0.0_f64..=1.0,
        skip in 0_u64..5,
        times in 1_u64..20,
        others in prop::collection::vec(any::<bool>(), 40),
    ) {
        let document = json!({"seed": seed, "rules": [
            {"id": "drawn", "at": "head", "node": "be*", "skip": skip, "times": times, "probability": probability,
             "do": {"kind": "reset"}},
            {"id": "other", "at": "head", "node": "fe*", "probability": 0.5, "times": "always",
             "do": {"kind": "close"}},
        ]});
        let alone = struck(&faults(&document), 40);
        let mixed = faults(&document);
        let among: Vec<bool> = others
            .iter()
            .map(|other| {
                if *other {
                    mixed.strike(&Scene { node: "fe1", ..SCENE }, Step::Head);
                }
                mixed.strike(&SCENE, Step::Head).is_some()
            })
            .collect();
        prop_assert_eq!(&alone, &among);
        let fired = alone.iter().filter(|strikes| **strikes).count();
        prop_assert!(u64::try_from(fired).unwrap() <= times);
        prop_assert!(alone.iter().take(usize::try_from(skip).unwrap()).all(|strikes| !strikes));
        if probability >= 1.0 {
            prop_assert_eq!(u64::try_from(fired).unwrap(), times.min(40 - skip));
        }
    }

    /// No text makes reading it panic.
    #[test]
    fn any_text_is_read_or_refused(text in "[{}\\[\\]:,\"a-z0-9. \n]{0,60}") {
        let _ = Faults::none().install(&text);
    }
}

#[test]
fn one_seed_differs_from_another_and_shares_come_out_right() {
    let draws = |seed: u64| {
        let document = json!({"seed": seed, "rules": [
            {"id": "r", "at": "head", "times": "always", "probability": 0.3, "do": {"kind": "reset"}}]});
        struck(&faults(&document), 2000)
    };
    assert_ne!(draws(1), draws(2));
    let share = draws(1).into_iter().filter(|strikes| *strikes).count();
    assert!((500..700).contains(&share), "{share} of 2000");
}
