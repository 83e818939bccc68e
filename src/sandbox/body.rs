//! A request's body on its way from the connection, which must never block, to the thread that takes it in, which may.
//!
//! ```text
//!  connection ─▶ forward ─▶ Sender ─▶ queue, limited in bytes ─▶ Body ─▶ spool file, or rows to count
//! ```
//!
//! The two sides wake each other once for many pieces, not for each: the reader sleeps until there is enough to do or the
//! body is over, takes everything at once, and the connection goes on while that is worked off.
//!
//! A body whose rows are only counted does not change threads at all: the reader leaves a counter here and sleeps until
//! the body is over. The connection feeds it what it has just read, and has the same memory for the next piece.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use tokio::sync::Notify;

use super::count::Counter;
use super::http::Incoming;
use super::ingest::Failed;

/// How much has to have come before the reader is woken. Nothing is seen of a load before its end, so a client that
/// sends less than this at a time does not notice.
const WAKE_BYTES: usize = 128 * 1024;
/// How much may wait; the connection stops reading then. As much again may be with the reader.
const FULL_BYTES: usize = 512 * 1024;
/// What a piece counts at least, because a short one holds on to the buffer that it was read into.
const PIECE_BYTES_MIN: usize = 8 * 1024;

/// What a connection hands on of a body.
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Bytes),
    /// The body is whole.
    End,
    /// The body will not be whole, and why.
    Broken(String),
}

/// What both ends share.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// Tells the reader that there is enough to do.
    arrived: Condvar,
    /// Tells the connection that there is room.
    taken: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    pieces: VecDeque<Bytes>,
    weight: usize,
    /// What is given the bytes instead, and how many it was given.
    counter: Option<Counter>,
    received: u64,
    /// Whether it has seen something that makes the body worth nothing.
    spoilt: bool,
    /// How the body ended, once nothing more is coming.
    end: Option<Result<(), String>>,
    /// Whether the reader is gone.
    abandoned: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Every change is complete when the lock is given back, whatever the thread did afterwards.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, how: Result<(), String>) {
        self.lock().end.get_or_insert(how);
        self.arrived.notify_one();
    }
}

/// The sending end of a body. Dropping it breaks a body off that has not been ended.
#[derive(Debug)]
pub(super) struct Sender(Arc<Queue>);

impl Sender {
    /// Hands a piece on, once there is room for it. What nobody wants any more is dropped.
    pub(super) async fn say(&self, piece: Piece) {
        let bytes = match piece {
            Piece::Bytes(bytes) => bytes,
            Piece::End => return self.0.end(Ok(())),
            Piece::Broken(reason) => return self.0.end(Err(reason)),
        };
        loop {
            {
                let mut waiting = self.0.lock();
                if waiting.abandoned {
                    return;
                }
                if let Waiting { counter: Some(counter), spoilt, received, .. } = &mut *waiting {
                    *received += length(&bytes);
                    if !*spoilt && !counter.feed(&bytes) {
                        *spoilt = true;
                        self.0.arrived.notify_one();
                    }
                    return;
                }
                if waiting.weight < FULL_BYTES {
                    waiting.weight += bytes.len().max(PIECE_BYTES_MIN);
                    waiting.pieces.push_back(bytes);
                    if waiting.weight >= WAKE_BYTES {
                        self.0.arrived.notify_one();
                    }
                    return;
                }
            }
            self.0.taken.notified().await;
        }
    }

    /// Hands a body on to its end. What nobody wants any more, because the load has failed, is read all the same: most
    /// clients only look for the answer when they have sent everything.
    pub(super) async fn forward(&self, mut body: Incoming) {
        let last = loop {
            match body.frame().await {
                None => break Piece::End,
                Some(Ok(frame)) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    self.say(Piece::Bytes(bytes)).await;
                }
                Some(Err(error)) => break Piece::Broken(format!("the connection was lost: {error}")),
            }
        };
        self.say(last).await;
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // The request was dropped with its connection, without a word.
        self.0.end(Err("the connection was lost".to_owned()));
    }
}

/// The receiving end of a body, for a thread that may block.
#[derive(Debug)]
pub(super) struct Body {
    queue: Arc<Queue>,
    taken: VecDeque<Bytes>,
    current: Bytes,
    ended: bool,
    /// How many bytes have been taken so far.
    pub(super) received: u64,
}

impl Body {
    /// A body that is still to come, and the end where it is put in.
    pub(super) fn channel() -> (Sender, Self) {
        let queue = Arc::new(Queue::default());
        let sender = Sender(Arc::clone(&queue));
        (sender, Self { queue, taken: VecDeque::new(), current: Bytes::new(), ended: false, received: 0 })
    }

    /// The next piece; `None` when the body is whole.
    pub(super) fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.taken.is_empty() && !self.ended {
            self.take()?;
        }
        let Some(bytes) = self.taken.pop_front() else { return Ok(None) };
        self.received += length(&bytes);
        Ok(Some(bytes))
    }

    /// Has the rows of the body counted by the connection, and waits until it is over.
    pub(super) fn count(&mut self, mut counter: Counter) -> Result<u64, Failed> {
        let mut waiting = self.queue.lock();
        let come = self.taken.drain(..).chain(waiting.pieces.drain(..));
        let mut spoilt = !counter.feed(&std::mem::take(&mut self.current));
        for bytes in come {
            self.received += length(&bytes);
            spoilt |= !counter.feed(&bytes);
        }
        (waiting.weight, waiting.spoilt, waiting.counter) = (0, spoilt, Some(counter));
        self.queue.taken.notify_one();
        while !waiting.spoilt && waiting.end.is_none() {
            waiting = self.queue.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        self.received += std::mem::take(&mut waiting.received);
        let counter = waiting.counter.take().expect("it was left there above");
        match &waiting.end {
            Some(Err(reason)) if !waiting.spoilt => Err(broken(reason).into()),
            _ => counter.finish(),
        }
    }

    /// Waits until there is enough to do, and takes all there is.
    fn take(&mut self) -> io::Result<()> {
        let mut waiting = self.queue.lock();
        while waiting.weight < WAKE_BYTES && waiting.end.is_none() {
            waiting = self.queue.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        if waiting.pieces.is_empty() {
            if let Some(Err(reason)) = &waiting.end {
                return Err(broken(reason));
            }
            self.ended = true;
            return Ok(());
        }
        waiting.weight = 0;
        std::mem::swap(&mut waiting.pieces, &mut self.taken);
        drop(waiting);
        self.queue.taken.notify_one();
        Ok(())
    }
}

fn broken(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, reason)
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).expect("a length fits 64 bits")
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let count = buffer.len().min(bytes.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() {
            match self.next()? {
                Some(bytes) => self.current = bytes,
                None => break,
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, count: usize) {
        self.current.advance(count);
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let mut waiting = self.queue.lock();
        waiting.abandoned = true;
        waiting.pieces.clear();
        drop(waiting);
        self.queue.taken.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::super::csv::Dialect;
    use super::super::json::Layout;
    use super::super::wire::Format;
    use super::*;

    /// Sends pieces from a runtime while the body is read on this thread.
    fn transfer(pieces: Vec<Piece>, read: impl FnOnce(Body)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
        let (sender, body) = Body::channel();
        let sending = runtime.spawn(async move {
            for piece in pieces {
                sender.say(piece).await;
            }
        });
        read(body);
        runtime.block_on(sending).expect("nothing panics");
    }

    #[test]
    fn a_body_of_many_pieces_comes_whole_and_in_order() {
        let lengths = (0..2000).map(|at| [1, 70_000, 0, 300, FULL_BYTES + 1, 9000][at % 6]);
        let pieces: Vec<Bytes> =
            lengths.map(|length| Bytes::from(b"abcdefg"[length % 7..].repeat(length.min(100_000)))).collect();
        let expected = pieces.concat();
        let sent = pieces.into_iter().map(Piece::Bytes).chain([Piece::End]).collect();
        transfer(sent, |mut body| {
            let mut got = Vec::new();
            body.read_to_end(&mut got).expect("it is whole");
            assert!(got == expected, "the bytes are the same");
            assert_eq!(body.received, expected.len() as u64);
            assert_eq!(body.next().expect("it stays at its end"), None);
        });
    }

    #[test]
    fn what_came_before_a_break_is_read_and_then_the_reason() {
        let sent = vec![Piece::Bytes(Bytes::from_static(b"abc")), Piece::Broken("cut".to_owned()), Piece::End];
        transfer(sent, |mut body| {
            assert_eq!(body.next().expect("it came").as_deref(), Some(&b"abc"[..]));
            for _ in 0..2 {
                assert_eq!(body.next().expect_err("it is broken").to_string(), "cut");
            }
        });
    }

    #[test]
    fn a_sender_that_is_dropped_breaks_the_body_off() {
        transfer(vec![Piece::Bytes(Bytes::from_static(b"abc"))], |mut body| {
            let error = body.read_to_end(&mut Vec::new()).expect_err("it never ended");
            assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        });
    }

    #[test]
    fn a_reader_that_is_gone_holds_nobody_up() {
        let pieces = (0..100).map(|_| Piece::Bytes(Bytes::from(vec![0; 100_000]))).collect();
        transfer(pieces, |mut body| {
            body.next().expect("the first piece comes");
        });
    }

    fn counter() -> Counter {
        Counter::new(&Format::Csv(Dialect::default())).expect("the usual dialect is counted")
    }

    #[test]
    fn rows_are_counted_where_they_arrive() {
        let pieces = (0..3000).map(|at| Piece::Bytes(Bytes::from(b"abc\n".repeat(at)))).chain([Piece::End]).collect();
        transfer(pieces, |mut body| {
            let first = body.next().expect("it came").map_or(0, |bytes| bytes.len());
            let rows = body.count(counter()).expect("it is whole");
            assert_eq!(
                (rows, body.received),
                ((0..3000).sum::<usize>() as u64 - first as u64 / 4, 3000 * 2999 / 2 * 4)
            );
            assert_eq!(body.next().expect("it stays at its end"), None);
        });
    }

    #[test]
    fn a_count_ends_with_a_break_or_with_what_is_no_row() {
        transfer(vec![Piece::Bytes(Bytes::from_static(b"abc")), Piece::Broken("cut".to_owned())], |mut body| {
            assert_eq!(body.count(counter()).expect_err("it is broken").to_string(), "cut");
        });
        let pieces = (0..100).map(|_| Piece::Bytes(Bytes::from_static(b"{} nonsense"))).collect();
        transfer(pieces, |mut body| {
            let counter = Counter::new(&Format::Json(Layout::default())).expect("objects are counted");
            let error = body.count(counter).expect_err("it is no JSON");
            assert!(error.to_string().contains("illegal json started with [n]"), "{error}");
        });
    }

    #[test]
    fn a_break_does_not_wait_for_room() {
        let (sender, mut body) = Body::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            for _ in 0..8 {
                sender.say(Piece::Bytes(Bytes::from(vec![0; FULL_BYTES / 8]))).await;
            }
            sender.say(Piece::Broken("cut".to_owned())).await;
        });
        assert!(body.read_to_end(&mut Vec::new()).is_err());
    }
}
