//! Work that blocks, within a job. In a simulation everything happens on one thread, one after the other.

pub(super) use tokio::task::JoinHandle;

/// Runs work that waits for a disk; others go on meanwhile, as far as there is another thread to do so.
pub(super) fn block_in_place<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(test)]
    if crate::simulated::runs() {
        return work();
    }
    tokio::task::block_in_place(work)
}

/// Runs work that may block for long on a thread that may.
pub(super) fn spawn_blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    #[cfg(test)]
    if crate::simulated::runs() {
        return tokio::spawn(async move { work() });
    }
    // What it logs is about the same job.
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
}
