//! [`Ahead`]: decompression on threads of its own, on several where the input has several parts.
//!
//! ```text
//!              ┌▶ part ─▶ decompress ─┐
//!  stored ─▶ split                    ├▶ in order ─▶ reader
//!              └▶ part ─▶ decompress ─┘
//!              ╰─ cannot be split ─▶ decompress, one thread ─▶ reader
//! ```
//!
//! All formats may be concatenated (BGZF, `pbzip2`, `pzstd`, `cat`), and each part begins with a few bytes of its own. The
//! input is split in front of such bytes. They may as well stand in the middle of a part, by chance; so a split counts only
//! once everything before it was decompressed to its end, by the same decoders and with the same checks as one thread has. Where that
//! fails, one thread takes over from there: what comes out, and which error at which byte, is as if there had never been
//! another. An input that has no second part within [`Sizes::stored_max`] is read by one thread from its start.

use std::collections::VecDeque;
use std::io::{self, Cursor, ErrorKind, Read};
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use memchr::memmem::Finder;

use super::decompress;
use crate::reader::format::Compression;
use crate::reader::stored::Meter;

/// How the work is cut up. Memory in flight is at most `stored_max + plain_max` for each thread and two more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Parts are put together until they have as many stored bytes: those of BGZF have 64 KiB at most.
    pub(super) stored_min: usize,
    /// Where no part ends within so many, the input is not split.
    pub(super) stored_max: usize,
    /// What comes to more plain bytes is left to one thread: it could come to any number.
    pub(super) plain_max: usize,
    /// How much one thread alone hands on at a time.
    pub(super) buffer: usize,
    /// Threads that decompress.
    pub(super) threads: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            stored_min: 256 << 10,
            stored_max: 2 << 20,
            plain_max: 6 << 20,
            buffer: 256 << 10,
            // Readers behind it use the others; and each takes 8 MiB at most.
            threads: cores.min(4),
        }
    }
}

/// Buffers that one thread alone may be ahead of the reader.
const BUFFERS_AHEAD: usize = 4;

/// Plain bytes, made by other threads.
pub(super) struct Ahead {
    how: How,
    from: From,
    /// What is being handed out.
    current: Cursor<Vec<u8>>,
}

#[derive(Clone)]
struct How {
    compression: Compression,
    sizes: Sizes,
    meter: Meter,
    /// Whether the stored bytes are there already. Of a pipe every row is handed on when it comes.
    whole_buffers: bool,
}

enum From {
    Parts {
        order: Receiver<Part>,
        stop: Arc<AtomicBool>,
    },
    /// Nothing but an empty buffer means the end.
    One(Receiver<io::Result<Vec<u8>>>),
    End,
    /// An error was told, which nothing may follow: neither bytes nor the end.
    Failed,
}

/// What the splitting thread sends, in order.
enum Part {
    /// Some whole parts, if the splits around them are right, and what they are decompressed; nothing where that failed.
    Whole(Bytes, Receiver<Option<Vec<u8>>>),
    /// What cannot be split.
    Rest(Box<dyn Read + Send>),
    End,
}

impl Ahead {
    /// Decompresses `stored`. It is split only if that may be done: whoever splits waits for more than the next row.
    pub(super) fn new(
        compression: Compression,
        stored: Box<dyn Read + Send>,
        may_split: bool,
        meter: Meter,
        sizes: Sizes,
    ) -> io::Result<Self> {
        let how = How { compression, sizes, meter, whole_buffers: may_split };
        let from = if may_split && sizes.threads > 1 { split(&how, stored)? } else { From::One(one(&how, stored)?) };
        Ok(Self { how, from, current: Cursor::default() })
    }

    /// The next plain bytes; none at the end.
    fn next(&mut self) -> io::Result<Vec<u8>> {
        let meter = &self.how.meter;
        loop {
            match &self.from {
                From::End => return Ok(Vec::new()),
                From::Failed => return Err(io::Error::other("what is read has failed before")),
                From::One(buffers) => {
                    let buffer = meter.while_waiting(|| buffers.recv()).unwrap_or_else(|_| Err(broken()));
                    match &buffer {
                        Ok(buffer) if buffer.is_empty() => self.from = From::End,
                        Ok(_) => {}
                        Err(_) => self.from = From::Failed,
                    }
                    return buffer;
                }
                From::Parts { order, stop } => match meter.while_waiting(|| order.recv()).map_err(|_| broken())? {
                    Part::End => self.from = From::End,
                    Part::Rest(stored) => self.from = From::One(one(&self.how, stored)?),
                    Part::Whole(bytes, plain) => match meter.while_waiting(|| plain.recv()).ok().flatten() {
                        // Parts of nothing are not the end.
                        Some(plain) if plain.is_empty() => {}
                        Some(plain) => return Ok(plain),
                        None => {
                            stop.store(true, Ordering::Relaxed);
                            let stored = collect(bytes, order)?;
                            self.from = From::One(one(&self.how, stored)?);
                        }
                    },
                },
            }
        }
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.current.read(buffer)? {
                0 if !buffer.is_empty() => {}
                count => return Ok(count),
            }
            let next = self.next()?;
            if next.is_empty() {
                return Ok(0);
            }
            self.current = Cursor::new(next);
        }
    }
}

/// A thread ended without a word, which must not look like the end of the input.
fn broken() -> io::Error {
    io::Error::other("decompressing panicked")
}

/// Puts together again what was split: this part and all that follows.
fn collect(first: Bytes, order: &Receiver<Part>) -> io::Result<Box<dyn Read + Send>> {
    let mut pieces = VecDeque::from([first]);
    let rest: Box<dyn Read + Send> = loop {
        match order.recv().map_err(|_| broken())? {
            Part::Whole(bytes, _) => pieces.push_back(bytes),
            Part::Rest(stored) => break stored,
            Part::End => break Box::new(io::empty()),
        }
    };
    Ok(Box::new(Pieces(pieces).chain(rest)))
}

/// Bytes that stand in several places.
struct Pieces(VecDeque<Bytes>);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(first) = self.0.front_mut() {
            let count = first.len().min(buffer.len());
            buffer[..count].copy_from_slice(&first.split_to(count));
            if first.is_empty() {
                self.0.pop_front();
            }
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
        }
        Ok(0)
    }
}

/// Starts the one thread.
fn one(how: &How, stored: Box<dyn Read + Send>) -> io::Result<Receiver<io::Result<Vec<u8>>>> {
    let (out, buffers) = bounded(BUFFERS_AHEAD);
    how.meter.employ_decompressors(1);
    let how = how.clone();
    spawn(move || {
        // Some decoders read a head when they are made, for which a pipe may have to be waited for.
        let mut plain = match decompress(how.compression, stored) {
            Ok(plain) => plain,
            Err(error) => return drop(out.send(Err(error))),
        };
        loop {
            let mut buffer = Vec::new();
            // Bytes before an error are handed on before it.
            let read = how.meter.while_decompressing(true, || how.fill(plain.as_mut(), &mut buffer));
            let ends = buffer.is_empty();
            if !(ends && read.is_err()) && out.send(Ok(buffer)).is_err() {
                return;
            }
            match read {
                Err(error) => return drop(out.send(Err(error))),
                Ok(()) if ends => return,
                Ok(()) => {}
            }
        }
    })?;
    Ok(buffers)
}

impl How {
    /// Reads a buffer, or what is there; nothing at the end.
    fn fill(&self, plain: &mut dyn Read, buffer: &mut Vec<u8>) -> io::Result<()> {
        let size = self.sizes.buffer;
        if self.whole_buffers {
            buffer.reserve_exact(size);
            return plain.take(size as u64).read_to_end(buffer).map(drop);
        }
        buffer.resize(size, 0);
        let count = loop {
            match plain.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        buffer.truncate(*count.as_ref().unwrap_or(&0));
        count.map(drop)
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // Nobody joins it: it ends when nobody wants what it makes, which may be as late as the next byte of a pipe.
    thread::Builder::new().name("decompress".to_owned()).spawn(work).map(drop)
}

/// Starts the thread that splits, and those that decompress what it makes.
fn split(how: &How, stored: Box<dyn Read + Send>) -> io::Result<From> {
    let How { compression, sizes, meter, .. } = how.clone();
    let (parts, order) = bounded(sizes.threads);
    let (work, pieces) = bounded::<(Bytes, Sender<Option<Vec<u8>>>)>(0);
    let stop = Arc::new(AtomicBool::new(false));
    meter.employ_decompressors(sizes.threads);
    for _ in 0..sizes.threads {
        let (pieces, meter) = (pieces.clone(), meter.clone());
        spawn(move || {
            for (bytes, place) in pieces {
                let plain = meter.while_decompressing(false, || whole(compression, &bytes, sizes.plain_max));
                // Nobody waits for it where one thread has taken over.
                let _ = place.send(plain);
            }
        })?;
    }
    let stopped = Arc::clone(&stop);
    let mut splitter = Splitter { magic: magic(compression), stored, sizes, bytes: Vec::new() };
    spawn(move || {
        loop {
            let part = match splitter.next(stopped.load(Ordering::Relaxed)) {
                Split::Whole(bytes) => {
                    let (place, plain) = bounded(1);
                    // The threads end only after this one; should they have panicked, the place is empty for good.
                    let _ = work.send((bytes.clone(), place));
                    Part::Whole(bytes, plain)
                }
                Split::Rest => {
                    let Splitter { stored, bytes, .. } = splitter;
                    return drop(parts.send(Part::Rest(Box::new(Cursor::new(bytes).chain(stored)))));
                }
                Split::Failed(error) => {
                    let rest = Cursor::new(splitter.bytes).chain(Failing(Some(error)));
                    return drop(parts.send(Part::Rest(Box::new(rest))));
                }
                Split::End => return drop(parts.send(Part::End)),
            };
            if parts.send(part).is_err() {
                return;
            }
        }
    })?;
    Ok(From::Parts { order, stop })
}

/// Decompresses some parts to their end; nothing where that fails, or comes to too much.
fn whole(compression: Compression, bytes: &Bytes, plain_max: usize) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let stored = Box::new(Cursor::new(bytes.clone()));
    let read = decompress(compression, stored).ok()?.take(plain_max as u64 + 1).read_to_end(&mut plain).ok()?;
    (read <= plain_max).then_some(plain)
}

/// Fails once.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// The bytes that a part begins with. Chance makes fewer than one of four bytes in four billion.
fn magic(compression: Compression) -> &'static [u8] {
    match compression {
        // With the method, which is deflate in every file there is.
        Compression::Gzip => b"\x1f\x8b\x08",
        Compression::Zstd => b"\x28\xb5\x2f\xfd",
        Compression::Lz4 => b"\x04\x22\x4d\x18",
        Compression::Bzip2 => b"BZh",
        Compression::Xz => b"\xfd7zXZ\0",
    }
}

/// Whether what begins with the magic number may be a part, by the bytes that follow.
fn likely(magic: &[u8], bytes: &[u8]) -> bool {
    match magic {
        // Reserved flags are 0; the rest of the head says how hard the writer tried, and on which system.
        b"\x1f\x8b\x08" => bytes.len() >= 10 && bytes[3] & 0xe0 == 0 && matches!(bytes[8], 0 | 2 | 4),
        b"BZh" => bytes.len() >= 10 && bytes[3].is_ascii_digit() && bytes[4..10] == *b"\x31\x41\x59\x26\x53\x59",
        _ => true,
    }
}

struct Splitter {
    magic: &'static [u8],
    stored: Box<dyn Read + Send>,
    sizes: Sizes,
    /// What was read and not handed on; it starts where a part does.
    bytes: Vec<u8>,
}

enum Split {
    Whole(Bytes),
    /// No second part begins in what was read.
    Rest,
    Failed(io::Error),
    End,
}

impl Splitter {
    fn next(&mut self, stop: bool) -> Split {
        if stop {
            return Split::Rest;
        }
        let mut wanted = self.sizes.stored_min.saturating_mul(2).min(self.sizes.stored_max);
        let end = loop {
            let missing = wanted.saturating_sub(self.bytes.len());
            if let Err(error) = (&mut self.stored).take(missing as u64).read_to_end(&mut self.bytes) {
                return Split::Failed(error);
            }
            let ended = self.bytes.len() < wanted;
            match self.cut() {
                _ if self.bytes.is_empty() => return Split::End,
                Some(end) => break end,
                None if ended => break self.bytes.len(),
                None if wanted >= self.sizes.stored_max => return Split::Rest,
                None => wanted = wanted.saturating_mul(2).min(self.sizes.stored_max),
            }
        };
        let rest = self.bytes.split_off(end);
        Split::Whole(Bytes::from(std::mem::replace(&mut self.bytes, rest)))
    }

    /// Where a part begins, the first one behind `stored_min`, else the last one before it.
    fn cut(&self) -> Option<usize> {
        let mut before = None;
        for at in Finder::new(self.magic).find_iter(&self.bytes).filter(|at| *at > 0) {
            if likely(self.magic, &self.bytes[at..]) {
                before = Some(at);
                if at >= self.sizes.stored_min {
                    break;
                }
            }
        }
        before
    }
}
