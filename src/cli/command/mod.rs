//! One verb, one file.

pub(super) mod cancel;
pub(super) mod cluster;
pub(super) mod completions;
pub(super) mod config;
pub(super) mod explain;
pub(super) mod import;
mod jobs;
pub(super) mod man;
pub(super) mod plan;
pub(super) mod rejects;
pub(super) mod resume;
pub(super) mod run;
#[cfg(feature = "sandbox")]
pub(super) mod sandbox;
pub(super) mod schema;
pub(super) mod serve;
pub(super) mod sql;
pub(super) mod status;

use std::future::{self, Future};

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::exit::Exit;
use super::render;
use crate::loader::Stop;

/// Runs a verb on a runtime of its own. What still hangs in a blocking read when it ends does not hold it up.
fn on_runtime(work: impl Future<Output = Exit>) -> Exit {
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            render::line(&format!("error: the system gives no threads: {error}"));
            return Exit::Failed;
        }
    };
    let exit = runtime.block_on(work);
    runtime.shutdown_background();
    exit
}

/// What interrupted the program, if something did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interrupt {
    CtrlC,
    Terminate,
}

impl Interrupt {
    fn exit(self) -> Exit {
        match self {
            Self::CtrlC => Exit::Interrupted,
            Self::Terminate => Exit::Terminated,
        }
    }
}

/// Turns the first interrupt into a drain and the second into a cancel; a third one ends the program at once. The journal
/// knows every label that may be under way, so that the next run settles it.
fn stop_when_interrupted(told: watch::Sender<Option<Interrupt>>) -> Stop {
    let (drain, drained) = watch::channel(false);
    let (cancel, cancelled) = watch::channel(false);
    // One listener for all of them, from the call on and not only once the task runs: nothing that comes is lost.
    let mut signals = Signals::listen();
    tokio::spawn(async move {
        let first = signals.next().await;
        render::line("interrupted: bringing what is under way to its end; once more cuts it off");
        told.send_replace(Some(first));
        drain.send_replace(true);
        let second = signals.next().await;
        render::line("interrupted again: asking how what is under way stands; once more ends at once");
        told.send_replace(Some(second));
        cancel.send_replace(true);
        let third = signals.next().await;
        std::process::exit(third.exit().code().into());
    });
    Stop { drain: drained, cancel: cancelled }
}

/// Ctrl-C and SIGTERM, each as often as it comes. What the system lets nobody listen for does what it does by default.
struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
}

impl Signals {
    fn listen() -> Self {
        let listen = |kind| signal(kind).ok();
        Self { interrupt: listen(SignalKind::interrupt()), terminate: listen(SignalKind::terminate()) }
    }

    async fn next(&mut self) -> Interrupt {
        tokio::select! {
            () = came(&mut self.interrupt) => Interrupt::CtrlC,
            () = came(&mut self.terminate) => Interrupt::Terminate,
        }
    }
}

async fn came(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => future::pending().await,
    }
}
