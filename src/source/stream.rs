//! Streams: read by the runtime in blocks, handed out to a thread that waits.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{Error, Opened};

/// The size of one block. A pipe holds 64 KiB on Linux; four times that keeps the hand-over rare.
pub const STREAM_BLOCK_BYTES: usize = 256 << 10;

/// How many blocks may wait to be read: enough that reading and parsing overlap.
pub const STREAM_BLOCKS_MAX: usize = 4;

/// What travels from the runtime to the reader. The end is said, not guessed from a closed channel: a task that was
/// cancelled closes the channel as well, and half a stream must never look like a whole one.
#[derive(Debug)]
enum Block {
    Bytes(Bytes),
    End,
    Failed(io::Error),
}

/// The waiting side. It must be read outside of the runtime's own threads. Dropping it ends the reading.
pub(super) struct Stream {
    blocks: Receiver<Block>,
    current: Bytes,
    ended: bool,
}

/// Reads standard input.
pub(super) fn stdin(runtime: &Handle) -> Stream {
    spawn(runtime, async { Ok(tokio::io::stdin()) })
}

/// Reads a named pipe or a device. Opening a pipe waits for its writer, and therefore belongs to the runtime too.
pub(super) fn pipe(runtime: &Handle, path: PathBuf) -> Stream {
    spawn(runtime, File::open(path))
}

/// A stream that this process brings itself, block by block; what is read of it waits as any other stream does.
#[must_use]
pub fn brought() -> (Bringer, Brought) {
    let (sender, blocks) = channel(STREAM_BLOCKS_MAX);
    let stream = Stream { blocks, current: Bytes::new(), ended: false };
    (Bringer(sender), Brought(Arc::new(Mutex::new(Some(stream)))))
}

/// Who brings a stream. Dropping it without a word is an error to whoever reads, and no end.
#[derive(Debug)]
pub struct Bringer(Sender<Block>);

/// Nobody reads the stream any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl Bringer {
    /// Brings some bytes, when there is room for them.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub async fn bring(&self, bytes: Bytes) -> Result<(), Gone> {
        self.0.send(Block::Bytes(bytes)).await.map_err(|_| Gone)
    }

    /// Says that this was all.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub async fn end(self) -> Result<(), Gone> {
        self.0.send(Block::End).await.map_err(|_| Gone)
    }

    /// Says that there is more, and that it does not come.
    pub async fn fail(self, error: io::Error) {
        // Refused only when the reader is gone, and then nobody asks.
        let _ = self.0.send(Block::Failed(error)).await;
    }

    /// Ends when nobody reads any more.
    pub async fn gone(&self) {
        self.0.closed().await;
    }
}

/// The other end of a [`Bringer`], which can be read once.
#[derive(Clone)]
pub struct Brought(Arc<Mutex<Option<Stream>>>);

impl std::fmt::Debug for Brought {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Brought")
    }
}

impl Brought {
    /// The stream.
    ///
    /// # Errors
    /// When somebody reads it already.
    pub fn open(&self) -> Result<Opened, Error> {
        let taken = || io::Error::other("it is being read already");
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let stream = stream.ok_or_else(|| Error::Unreadable { path: "-".into(), source: taken() })?;
        Ok(Opened::Stream(Box::new(stream)))
    }
}

fn spawn<R>(runtime: &Handle, open: impl Future<Output = io::Result<R>> + Send + 'static) -> Stream
where
    R: AsyncRead + Unpin + Send + 'static,
{
    let (sender, blocks) = channel(STREAM_BLOCKS_MAX);
    // The task owns the sender and nothing else; it ends with the stream, with its reader, or with the runtime.
    runtime.spawn(async move {
        let last = match open.await {
            Ok(mut read) => tokio::select! {
                // Nothing is lost when this branch is dropped half-way: nobody is left to read it.
                last = forward(&mut read, &sender) => last,
                () = sender.closed() => return,
            },
            Err(error) => Block::Failed(error),
        };
        // Refused only when the reader is gone, and then nobody asks.
        let _ = sender.send(last).await;
    });
    Stream { blocks, current: Bytes::new(), ended: false }
}

/// Sends blocks until the stream ends; returns what is to be said last.
async fn forward(read: &mut (impl AsyncRead + Unpin), sender: &Sender<Block>) -> Block {
    loop {
        let mut block = Vec::with_capacity(STREAM_BLOCK_BYTES);
        match read.read_buf(&mut block).await {
            Ok(0) => return Block::End,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Block::Failed(error),
        }
        if sender.send(Block::Bytes(block.into())).await.is_err() {
            return Block::End;
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.blocks.blocking_recv() {
                Some(Block::Bytes(bytes)) => self.current = bytes,
                Some(Block::End) => self.ended = true,
                Some(Block::Failed(error)) => return Err(error),
                None => return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "reading was cancelled")),
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;
    use tokio::runtime::Runtime;

    use super::*;

    fn read_all(mut stream: Stream) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).map(|_| bytes)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn every_byte_arrives_in_order(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5000), 0..20)) {
            let runtime = Runtime::new().unwrap();
            let (mut write, read) = tokio::io::duplex(777);
            let whole = pieces.concat();
            runtime.spawn(async move {
                for piece in pieces {
                    write.write_all(&piece).await.unwrap();
                }
            });
            prop_assert_eq!(read_all(spawn(runtime.handle(), async { Ok(read) })).unwrap(), whole);
        }
    }

    #[test]
    fn what_is_brought_arrives_and_half_of_it_is_no_end() {
        let runtime = Runtime::new().unwrap();
        for whole in [true, false] {
            let (bringer, brought) = brought();
            runtime.spawn(async move {
                bringer.bring(Bytes::from_static(b"ab")).await.unwrap();
                if whole {
                    bringer.end().await.unwrap();
                }
            });
            let Opened::Stream(mut stream) = brought.open().unwrap() else { panic!("a stream") };
            assert!(brought.open().is_err(), "it can be read once");
            let mut bytes = Vec::new();
            assert_eq!(stream.read_to_end(&mut bytes).is_ok(), whole);
            assert_eq!(bytes, b"ab");
        }
    }

    #[test]
    fn a_stream_that_is_cancelled_is_an_error_and_not_an_end() {
        let runtime = Runtime::new().unwrap();
        let (mut write, read) = tokio::io::duplex(64);
        let mut stream = spawn(runtime.handle(), async { Ok(read) });
        runtime.block_on(write.write_all(b"half")).unwrap();
        let mut half = [0; 4];
        stream.read_exact(&mut half).unwrap();
        runtime.shutdown_background();
        assert_eq!(stream.read(&mut half).unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }

    #[test]
    fn dropping_the_reader_ends_the_task_that_waits_for_bytes() {
        let runtime = Runtime::new().unwrap();
        let (mut write, read) = tokio::io::duplex(64);
        drop(spawn(runtime.handle(), async { Ok(read) }));
        // Writing fails as soon as the other half is gone, which it is when the task has ended.
        runtime.block_on(async { while write.write_all(&[0; 64]).await.is_ok() {} });
    }

    #[test]
    fn a_pipe_that_cannot_be_opened_says_so_on_the_first_read() {
        let runtime = Runtime::new().unwrap();
        let missing = tempfile::tempdir().unwrap().path().join("gone");
        assert_eq!(read_all(pipe(runtime.handle(), missing)).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn a_named_pipe_is_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let writer = std::thread::spawn({
            let path = path.clone();
            move || std::fs::write(path, vec![b'x'; 1 << 20]).unwrap()
        });
        let runtime = Runtime::new().unwrap();
        assert_eq!(read_all(pipe(runtime.handle(), path)).unwrap().len(), 1 << 20);
        writer.join().unwrap();
    }
}
