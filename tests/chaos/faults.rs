//! What the sandbox is told to do wrong: every kind of fault that a loader can meet (`docs/faults.md`).

use serde_json::{Value, json};

use crate::dice::Dice;

/// Fails with words that a loader comes back from within seconds.
const QUICK: &[&str] = &[
    "shutting_down",
    "quorum",
    "running_transactions",
    "backend_transactions",
    "concurrency_limit",
    "lock_timeout",
    "no_backend",
    "not_master",
    "unfinished_tablets",
    "body_mismatch",
    "timeout",
    "coordinator_down",
    "rpc_failure",
    "outcome_unknown",
    "publish_timeout",
    "loads_disabled",
];

/// The same, for those who have longer to wait.
const SLOW: &[&str] = &["too_many_versions", "memory_limit", "primary_key_memory", "commit_rate", "tablet_error"];

/// What every step on the wire can do.
const WIRE: &[&str] = &["delay", "reset", "close", "hold", "html", "redirect", "answer"];

/// Draws a document with up to so many rules.
pub(crate) fn document(dice: &mut Dice, rules_max: u64, slow: bool) -> Value {
    let rules: Vec<Value> = (0..dice.below(rules_max + 1)).map(|_| rule(dice, slow)).collect();
    json!({ "seed": dice.below(1_000_000), "rules": rules })
}

/// One rule. It strikes a few times at most, so that every job can be finished in the end.
fn rule(dice: &mut Dice, slow: bool) -> Value {
    let steps = [
        "accept",
        "head",
        "continue",
        "body",
        "begin",
        "plan",
        "write",
        "commit",
        "committed",
        "publish",
        "prepare",
        "prepared",
        "rollback",
        "answer",
        "answer",
        "answer",
        "committed",
        "commit",
    ];
    let at = dice.pick(&steps);
    let mut rule = json!({
        "at": at,
        "do": effect(dice, at, slow),
        "skip": dice.below(6),
        "times": dice.between(1, 3),
        "probability": dice.pick(&[1.0, 1.0, 0.5]),
    });
    let members = rule.as_object_mut().unwrap();
    if at == "body" && dice.once_in(2) {
        members.insert("after_bytes".to_owned(), dice.pick(&[json!(1), json!(1000), json!("end")]));
    }
    if at == "accept" {
        members.insert("node".to_owned(), dice.pick(&[json!("be*"), json!("be1"), json!("fe1")]));
    } else if ["head", "answer"].contains(&at) && dice.once_in(3) {
        members.insert("operation".to_owned(), dice.pick(&[json!("label_state"), json!("schema"), json!("any")]));
    } else if ["head", "answer", "continue", "body"].contains(&at) {
        let loads = ["stream_load", "begin", "load", "prepare", "commit", "rollback"];
        members.insert("operation".to_owned(), json!(loads));
    }
    rule
}

fn effect(dice: &mut Dice, at: &str, slow: bool) -> Value {
    let delay = json!({ "kind": "delay", "ms": dice.between(10, 800) });
    let crash = json!({ "kind": "crash", "restart_after_ms": dice.between(50, 1500) });
    let presets = if slow && dice.once_in(5) { SLOW } else { QUICK };
    let fail = json!({ "kind": "fail", "preset": dice.pick(presets) });
    match at {
        "accept" => dice.pick(&[delay, json!({ "kind": "reset" }), json!({ "kind": "close" })]),
        "head" | "continue" | "body" | "answer" => on_the_wire(dice, at),
        "begin" | "plan" | "write" | "commit" | "prepare" => dice.pick(&[fail.clone(), fail, delay, crash]),
        "rollback" => dice.pick(&[fail, delay, crash, json!({ "kind": "lose_rollback" })]),
        "committed" => dice.pick(&[delay, crash, json!({ "kind": "commit_then_fail" })]),
        "publish" => {
            let late = json!({ "kind": "publish_timeout", "visible_after_ms": dice.between(50, 3000) });
            dice.pick(&[delay, crash, late])
        }
        "prepared" => dice.pick(&[delay, crash]),
        other => unreachable!("no step `{other}` is drawn"),
    }
}

fn on_the_wire(dice: &mut Dice, at: &str) -> Value {
    let mut kinds = WIRE.to_vec();
    match at {
        "answer" => kinds.extend(["trickle", "empty", "truncate", "truncate", "duplicate", "content_type"]),
        "body" => kinds.push("trickle"),
        _ => {}
    }
    match dice.pick(&kinds) {
        "delay" => json!({ "kind": "delay", "ms": dice.between(10, 1500) }),
        "hold" => json!({ "kind": "hold", "ms": dice.between(10, 2000) }),
        "html" => json!({ "kind": "html", "status": dice.pick(&[200, 429, 500, 502, 503, 504]) }),
        "redirect" => json!({ "kind": "redirect", "to": dice.pick(&["itself", "dead", "http://be.invalid:8040"]) }),
        "answer" => {
            let fail = json!({ "Status": "Fail", "Message": "something that nobody has read before" });
            let (status, body) = dice.pick(&[
                (200, fail.clone()),
                (429, fail),
                (503, json!("busy")),
                (200, json!("OK")),
                (200, json!({})),
                (500, json!([1, 2])),
            ]);
            json!({ "kind": "answer", "status": status, "body": body })
        }
        // At `body` a small piece at a time has to end some day.
        "trickle" => json!({ "kind": "trickle", "bytes": dice.between(400, 4000), "every_ms": dice.between(1, 20) }),
        "truncate" => {
            json!({ "kind": "truncate", "bytes": dice.below(200), "length": dice.pick(&["full", "matching"]) })
        }
        "content_type" => json!({ "kind": "content_type", "value": dice.pick(&[json!(null), json!("text/html")]) }),
        kind => json!({ "kind": kind }),
    }
}
