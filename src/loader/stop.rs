//! [`Stop`]: how a running job is told to end early, and the deadline that does so by itself.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::error::Error;
use crate::clock::Clock;
use crate::dispatcher::{self, cancelled};

/// Two words that a running job listens to; each becomes true once.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Bring what is under way to its end, and begin nothing more.
    pub drain: watch::Receiver<bool>,
    /// Cut off what is under way, and ask how it stands.
    pub cancel: watch::Receiver<bool>,
}

impl Stop {
    /// A job that can be cancelled, and not drained.
    #[must_use]
    pub fn by_cancel(cancel: watch::Receiver<bool>) -> Self {
        // A receiver whose sender is gone never hears anything.
        Self { drain: watch::channel(false).1, cancel }
    }

    /// Ends when one of the two is said.
    pub(super) async fn asked(&mut self) {
        tokio::select! {
            biased;
            () = cancelled(&mut self.drain) => {}
            () = cancelled(&mut self.cancel) => {}
        }
    }
}

/// Runs some work that is cancelled when the deadline passes, or when `stop` says so.
pub(super) async fn within<W>(
    deadline: Option<(Duration, Instant)>,
    clock: Arc<dyn Clock>,
    stop: Stop,
    work: impl FnOnce(Stop) -> W,
) -> Result<(), Error>
where
    W: Future<Output = Result<(), Error>>,
{
    let Some((after, until)) = deadline else { return work(stop).await };
    let Stop { drain, mut cancel } = stop;
    let (cut, cut_off) = watch::channel(false);
    let mut work = pin!(work(Stop { drain, cancel: cut_off }));
    let mut over = pin!(async {
        let left = until.saturating_duration_since(clock.instant());
        clock.sleep(left).await;
    });
    let passed = tokio::select! {
        // Work that is done is done, however late.
        biased;
        result = &mut work => return result,
        () = cancelled(&mut cancel) => false,
        () = &mut over => true,
    };
    if passed {
        tracing::warn!("the deadline of {} s has passed: settling what is under way", after.as_secs());
    }
    cut.send_replace(true);
    match work.await {
        Err(Error::Delivery(dispatcher::Error::Cancelled)) if passed => Err(Error::Deadline { after }),
        result => result,
    }
}
