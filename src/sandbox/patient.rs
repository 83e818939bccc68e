//! [`Patient`]: a connection that does not wait for ever for a client that reads nothing.
//!
//! Whoever answers waits on a thread until there is room for more, and threads are few. A client that takes anything at
//! all keeps its connection, however slow it is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long a client may take no byte of an answer.
pub(super) const STALL: Duration = Duration::from_mins(2);

/// A connection whose writes fail when they have made no progress for a while.
pub(super) struct Patient<S> {
    inner: S,
    stall: Duration,
    /// When patience ends, while a write waits.
    ends: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) fn new(inner: S, stall: Duration) -> Self {
        Self { inner, stall, ends: None }
    }
}

impl<S: Unpin> Patient<S> {
    fn write<R>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if let Poll::Ready(written) = write(Pin::new(&mut self.inner), context) {
            self.ends = None;
            return Poll::Ready(written);
        }
        let stall = self.stall;
        let ends = self.ends.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        ready!(ends.as_mut().poll(context));
        self.ends = None;
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answer")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(context, |inner, context| inner.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(context, |inner, context| inner.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(context, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(context, AsyncWrite::poll_shutdown)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
    }

    #[test]
    fn a_client_that_reads_nothing_is_given_up() {
        run(async {
            let (near, _far) = tokio::io::duplex(8);
            let mut patient = Patient::new(near, Duration::from_millis(20));
            let error = patient.write_all(&[0; 100]).await.expect_err("nobody reads");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn a_client_that_reads_slowly_is_not() {
        run(async {
            let (near, mut far) = tokio::io::duplex(8);
            let mut patient = Patient::new(near, Duration::from_secs(30));
            let reading = async {
                let mut bytes = [0; 1];
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                    far.read_exact(&mut bytes).await.expect("it comes");
                }
            };
            let (written, ()) = tokio::join!(patient.write_all(&[0; 100]), reading);
            written.expect("every byte was taken");
            assert!(patient.ends.is_none(), "patience starts anew");
        });
    }
}
