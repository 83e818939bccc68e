//! What the tests stand on: a cluster, a database in it, and clients that know nothing of shipload.

pub(crate) mod cluster;
pub(crate) mod curl;
pub(crate) mod raw;
pub(crate) mod sandbox;
pub(crate) mod table;

use std::thread;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(50);

/// Waits until this is so. The limit is for a server whose sweeps take half a minute; a sandbox needs a fraction of it.
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    const PAUSES: u32 = 20 * 90;
    for _ in 0..PAUSES {
        if so() {
            return;
        }
        thread::sleep(PAUSE);
    }
    panic!("it never came to this: {what}");
}
