//! One verb, one file.

pub(super) mod cluster;
pub(super) mod explain;
pub(super) mod import;
#[cfg(feature = "sandbox")]
pub(super) mod sandbox;
pub(super) mod schema;
pub(super) mod sql;

use std::future::Future;

use tokio::runtime::Builder;
use tokio::signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::exit::Exit;
use super::render;

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

/// Turns the first interrupt into a cancel; a second one ends the program at once. The journal knows every label that may
/// be under way, so that the next run settles it.
async fn cancel_when_interrupted(cancel: watch::Sender<bool>, told: watch::Sender<Option<Interrupt>>) {
    let first = interrupted().await;
    render::line("interrupted: settling what is under way; once more ends at once");
    told.send_replace(Some(first));
    cancel.send_replace(true);
    let second = interrupted().await;
    std::process::exit(second.exit().code().into());
}
