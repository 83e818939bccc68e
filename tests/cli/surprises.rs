//! What people do to an import without meaning any harm, and what must not come of it.

use serde_json::json;

use super::peers::{Place, ROWS};

/// Stops an import after some of its loads.
fn stopping() -> Place {
    Place::with(&[json!({"at": "plan", "skip": 3, "times": "always",
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
