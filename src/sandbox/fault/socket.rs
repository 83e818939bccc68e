//! A connection that can be cut, slowed down, and made to say everything twice, while somebody else reads and writes it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Sleep;

use super::effect::End;

/// How often a connection that is held is looked at, to see whether its client is still there.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A connection, shared by who serves it and by the faults of its requests.
#[derive(Debug)]
pub(in crate::sandbox) struct Socket {
    /// This side's address.
    local: SocketAddr,
    /// `None` when it was cut.
    stream: Mutex<Option<TcpStream>>,
    cut: Notify,
    /// Whether `shape` has to be looked at.
    shaped: AtomicBool,
    shape: Mutex<Shape>,
}

/// What is to happen to an answer on its way out.
#[derive(Debug, Default)]
struct Shape {
    pace: Option<Pace>,
    held: Option<Held>,
    /// What is to be written before anything else.
    pending: Vec<u8>,
    /// Whether the connection ends behind that.
    ends: bool,
}

/// Slowness.
#[derive(Debug)]
struct Pace {
    bytes: usize,
    rest: Duration,
    resting: Option<Pin<Box<Sleep>>>,
}

/// An answer that is kept back until it is whole.
#[derive(Debug)]
struct Held {
    body_bytes: usize,
    written: Vec<u8>,
    then: Then,
}

/// What is sent of an answer that was kept back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Every byte, twice.
    Twice,
    /// The head and so many bytes of the body; the connection ends there.
    Part(usize),
}

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl Shape {
    /// Keeps bytes of an answer back, and lets go of it once it is whole.
    fn hold(&mut self, mut bytes: &[u8]) {
        let Some(held) = &mut self.held else { return };
        if held.written.is_empty() && bytes.starts_with(CONTINUE) {
            self.pending.extend_from_slice(CONTINUE);
            bytes = &bytes[CONTINUE.len()..];
        }
        held.written.extend_from_slice(bytes);
        let Some(start) = memchr::memmem::find(&held.written, b"\r\n\r\n").map(|end| end + 4) else { return };
        if held.written.len() < start + held.body_bytes {
            return;
        }
        match held.then {
            Then::Twice => {
                self.pending.extend_from_slice(&held.written);
                self.pending.extend_from_slice(&held.written);
            }
            Then::Part(bytes) => {
                self.pending.extend_from_slice(&held.written[..start + bytes.min(held.body_bytes)]);
                self.ends = true;
            }
        }
        self.held = None;
    }
}

impl Socket {
    pub(in crate::sandbox) fn new(stream: TcpStream, local: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            local,
            stream: Mutex::new(Some(stream)),
            cut: Notify::new(),
            shaped: AtomicBool::new(false),
            shape: Mutex::default(),
        })
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Ends the connection, whoever uses it.
    pub(super) fn end(&self, how: End) {
        if let Some(stream) = self.stream().take()
            && how == End::Reset
        {
            // Closing it then sends RST instead of FIN. Where that fails it ends all the same.
            let _ = stream.set_zero_linger();
        }
        self.cut.notify_one();
    }

    /// Resolves when the connection was ended by a fault.
    pub(in crate::sandbox) async fn ended(&self) {
        self.cut.notified().await;
    }

    /// Resolves when the client has closed its side.
    pub(super) async fn left(&self) {
        loop {
            let closed = match &*self.stream() {
                Some(stream) => stream.ready(Interest::READABLE).now_or_never().is_some_and(|ready| {
                    // An error is an end, too.
                    ready.map_or(true, Ready::is_read_closed)
                }),
                None => true,
            };
            if closed {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Has what follows written so many bytes at a time, with a rest behind each.
    pub(super) fn slow(&self, bytes: usize, rest: Duration) {
        self.shape().pace = Some(Pace { bytes, rest, resting: None });
        self.shaped.store(true, Ordering::Release);
    }

    /// Lets bytes go at their own speed again.
    pub(in crate::sandbox) fn hasten(&self) {
        if self.shaped.load(Ordering::Acquire) {
            self.shape().pace = None;
        }
    }

    /// Has the next answer kept back until it is whole, and then something else sent.
    pub(super) fn hold(&self, body_bytes: usize, then: Then) {
        self.shape().held = Some(Held { body_bytes, written: Vec::new(), then });
        self.shaped.store(true, Ordering::Release);
    }

    fn stream(&self) -> MutexGuard<'_, Option<TcpStream>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shape(&self) -> MutexGuard<'_, Shape> {
        self.shape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the stream, if it is still there.
    fn with<R>(&self, work: impl FnOnce(Pin<&mut TcpStream>) -> Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        match &mut *self.stream() {
            Some(stream) => work(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }

    fn write_shaped(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut shape = self.shape();
        ready!(self.write_pending(&mut shape, context))?;
        if shape.held.is_some() {
            shape.hold(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        let mut count = bytes.len();
        if let Some(pace) = &mut shape.pace {
            if let Some(resting) = &mut pace.resting {
                ready!(resting.as_mut().poll(context));
                pace.resting = None;
            }
            count = count.min(pace.bytes);
        }
        let written = ready!(self.with(|stream| stream.poll_write(context, &bytes[..count])))?;
        if let Some(pace) = &mut shape.pace {
            pace.resting = Some(Box::pin(tokio::time::sleep(pace.rest)));
        }
        Poll::Ready(Ok(written))
    }

    fn write_pending(&self, shape: &mut Shape, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !shape.pending.is_empty() {
            let written = ready!(self.with(|stream| stream.poll_write(context, &shape.pending)))?;
            shape.pending.drain(..written);
        }
        if std::mem::take(&mut shape.ends) {
            self.end(End::Close);
        }
        Poll::Ready(Ok(()))
    }

    fn flush_pending(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.shaped.load(Ordering::Acquire) {
            let mut shape = self.shape();
            ready!(self.write_pending(&mut shape, context))?;
        }
        Poll::Ready(Ok(()))
    }
}

/// The connection as its server reads and writes it.
pub(in crate::sandbox) struct Tap(pub(in crate::sandbox) Arc<Socket>);

impl AsyncRead for Tap {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.with(|stream| stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.0.shaped.load(Ordering::Acquire) {
            return self.0.write_shaped(context, bytes);
        }
        self.0.with(|stream| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.0.shaped.load(Ordering::Acquire) {
            let first = slices.iter().find(|slice| !slice.is_empty());
            return self.0.write_shaped(context, first.map_or(&[], |slice| slice));
        }
        self.0.with(|stream| stream.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.0.flush_pending(context))?;
        self.0.with(|stream| stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.0.flush_pending(context))?;
        self.0.with(|stream| stream.poll_shutdown(context))
    }
}
