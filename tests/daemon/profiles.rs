//! Profiles of the processor, taken from the real service while it loads.

use std::collections::BTreeSet;
use std::thread;

use serde_json::json;

use crate::protobuf::{Message, packed};
use crate::service::{Place, target};

#[test]
fn a_profile_of_a_service_at_work_is_what_it_says_it_is() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    place.configure("", &target("lake", &sandbox));
    let service = place.start();
    let take = |output: &str| {
        // Enough to do for as long as it is looked at.
        let file = place.rows(&format!("{output}.csv"), 0, 1_500_000);
        let ask = json!({"sources": [file], "database": "demo", "table": output, "create_table": true});
        let path = format!("/debug/prof/cpu?seconds=3&frequency=199&output={output}");
        thread::scope(|scope| {
            let profile = scope.spawn(|| service.post(&path, &json!({})).of(200));
            let id = service.begin(&ask);
            let answer = profile.join().unwrap();
            service.post(&format!("/v1/jobs/{id}/cancel"), &json!({}));
            assert!(!["running", "waiting"].contains(&service.end_of(&id).as_str()));
            answer
        })
    };

    let answer = take("proto");
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    let profile = Message::read(&answer.body);
    let texts = profile.texts(6);
    let text = |number: Option<u64>| texts[usize::try_from(number.unwrap()).unwrap()].as_str();
    assert_eq!(text(Some(0)), "");
    let kinds: Vec<(&str, &str)> =
        profile.messages(1).iter().map(|kind| (text(kind.number(1)), text(kind.number(2)))).collect::<Vec<_>>();
    assert_eq!(kinds, [("samples", "count"), ("cpu", "nanoseconds")]);
    let period = profile.number(12).unwrap();
    assert_eq!(period, 1_000_000_000 / 199);
    assert!(profile.number(10).unwrap() >= 2_900_000_000, "three seconds");
    let names: BTreeSet<&str> = profile.messages(5).iter().map(|function| text(function.number(2))).collect();
    assert!(names.iter().any(|name| name.contains("shipload")), "{names:?}");
    let functions: BTreeSet<u64> = profile.messages(5).iter().map(|function| function.number(1).unwrap()).collect();
    let mut places = BTreeSet::new();
    for place in profile.messages(4) {
        places.insert(place.number(1).unwrap());
        assert!(functions.contains(&place.messages(4)[0].number(1).unwrap()), "a place without its function");
    }
    let samples = profile.messages(2);
    assert!(!samples.is_empty());
    for sample in &samples {
        let (stack, values) = (packed(&sample.bytes(1).concat()), packed(&sample.bytes(2).concat()));
        assert!(!stack.is_empty() && stack.iter().all(|place| places.contains(place)), "a stack without its places");
        assert_eq!(values, [values[0], values[0] * period]);
    }

    let answer = take("text");
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    let text = answer.text();
    assert!(text.contains("shipload") && text.contains("THREAD"), "{text}");

    let answer = take("flamegraph");
    assert_eq!(answer.header("content-type"), Some("image/svg+xml"));
    let picture = answer.text();
    assert!(picture.starts_with("<?xml") && picture.trim_end().ends_with("</svg>"), "{picture}");
    assert!(picture.contains("samples") && picture.contains("shipload"), "nobody is in the picture");
}
