//! One verb, one file.

pub(super) mod cancel;
pub(super) mod cluster;
pub(super) mod explain;
pub(super) mod import;
mod jobs;
pub(super) mod plan;
pub(super) mod rejects;
pub(super) mod resume;
pub(super) mod run;
#[cfg(feature = "sandbox")]
pub(super) mod sandbox;
pub(super) mod schema;
pub(super) mod sql;
pub(super) mod status;

use std::future::Future;

use tokio::runtime::Builder;
use tokio::signal;
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

/// Waits for Ctrl-C or SIGTERM.
async fn interrupted() -> Interrupt {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = signal::ctrl_c().await;
        return Interrupt::CtrlC;
    };
    tokio::select! {
        _ = signal::ctrl_c() => Interrupt::CtrlC,
        _ = terminate.recv() => Interrupt::Terminate,
    }
}

/// Turns the first interrupt into a drain and the second into a cancel; a third one ends the program at once. The journal
/// knows every label that may be under way, so that the next run settles it.
fn stop_when_interrupted(told: watch::Sender<Option<Interrupt>>) -> Stop {
    let (drain, drained) = watch::channel(false);
    let (cancel, cancelled) = watch::channel(false);
    // One listener for all of them, from the call on and not only once the task runs: nothing that comes is lost.
    let listening = Signals::listen();
    tokio::spawn(async move {
        let Some(mut signals) = listening else { return };
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

/// Ctrl-C and SIGTERM, each as often as it comes.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Option<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        Some(Self { interrupt: interrupt.ok()?, terminate: terminate.ok()? })
    }

    async fn next(&mut self) -> Interrupt {
        tokio::select! {
            _ = self.interrupt.recv() => Interrupt::CtrlC,
            _ = self.terminate.recv() => Interrupt::Terminate,
        }
    }
}
