//! The whole loader on one thread, with inputs, journal and cluster in memory and a clock that is turned by hand.
//!
//! ```text
//!  operator ─▶ Loader ─▶ identity, journal, pipeline, dispatcher, StarRocks ─▶ Net ─▶ Server
//!     │  runs it, cancels it,                                            faults    labels, transactions, rows
//!     │  drains it, kills it                     ▲                          │
//!     ╰─ until it is done ────── Kernel: one queue of moments ──────────────╯
//! ```
//!
//! Everything but the far ends is the loader's own: names and labels, chunks, retries, the reading of replies, redirects,
//! the decision, recovery. A seed draws what is loaded and how, who runs it, and what goes wrong when: before a call takes
//! effect, after it did and before its answer, at each write of the journal, at any moment in between. After some rough
//! tries the weather clears up, and then the job has to come to its end. [`Server`](server::Server) and
//! [`audit`](audit) watch the promises.
//!
//! A seed that was broken is played again with `SHIPLOAD_TEST_SIMULATION=1:SEED`, which tells all that happens.

mod answer;
mod audit;
mod dice;
mod kernel;
mod life;
mod mistakes;
mod operator;
mod plan;
mod promise;
mod seeds;
mod server;
mod stream_load;
mod weather;
mod wire;
mod world;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::reading::{Read, Reading};
use super::sink::Exit;
use super::task::JoinHandle;
use crate::simulated::Inherited;
use crate::source::memory;

/// More chunks than any simulated job has.
const CHUNKS_MAX: usize = 1000;

/// Reads at once and in one piece, and then hands out what came of it, one chunk after the other, as the dispatcher takes
/// it: threads that run side by side cannot be played again.
pub(super) fn read(mut reading: Reading, halt: Arc<watch::Sender<bool>>) -> JoinHandle<Read> {
    tokio::spawn(async move {
        let (all, mut made) = mpsc::channel(CHUNKS_MAX);
        let exit = std::mem::replace(&mut reading.sink.exit, Exit::Queue(all));
        let (own_halt, halted) = watch::channel(false);
        let (contents, running) = (memory::all(), Inherited::from_this_thread());
        let thread = std::thread::spawn(move || {
            let _running = running.take_up();
            memory::set(contents);
            reading.run(&own_halt)
        });
        let read = thread.join().expect("reading does not panic");
        if let Exit::Queue(queue) = exit {
            while let Ok(delivery) = made.try_recv() {
                if queue.send(delivery).await.is_err() {
                    break;
                }
            }
        }
        if *halted.borrow() {
            halt.send_replace(true);
        }
        read
    })
}
