//! [`Chunker`]: fills one chunk, row range by row range.

use std::hash::Hasher;
use std::io::{self, Write};

use bytes::Bytes;
use twox_hash::XxHash64;

use crate::compressor::Compressor;
use crate::governor::Permit;
use crate::model::{Chunk, Codec, Origin, Origins, WireFormat};

/// Bodies are kept in pieces of this size: a growing vector of the whole body would for a moment hold it twice.
const PIECE_BYTES: usize = 1 << 20;

/// Texts shorter than this are put together: a piece for each would cost more than copying it.
const PIECE_BYTES_MIN: usize = 64 << 10;

/// A chunk that is being filled. What it is filled with is not copied, but for short texts.
pub(super) struct Chunker {
    pieces: Pieces,
    digest: XxHash64,
    text_bytes: u64,
    rows: u64,
    from: Option<Origin>,
    to: Origin,
    origins: Origins,
    format: WireFormat,
    permit: Permit,
}

/// A chunk that is full, as text.
pub(super) struct Filled {
    chunk: Chunk,
    permit: Permit,
}

impl Chunker {
    pub(super) fn new(format: WireFormat, permit: Permit) -> Self {
        Self {
            pieces: Pieces::default(),
            digest: XxHash64::with_seed(0),
            text_bytes: 0,
            rows: 0,
            from: None,
            to: Origin { line: 0, byte: 0 },
            origins: Origins::default(),
            format,
            permit,
        }
    }

    /// The place of its first row.
    pub(super) fn first(&self) -> Option<Origin> {
        self.from
    }

    /// Bytes of text in it so far.
    pub(super) fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    /// Adds the text of whole rows, which stand at these places.
    pub(super) fn append(&mut self, text: Bytes, origins: impl Iterator<Item = Origin>) {
        self.digest.write(&text);
        self.text_bytes += text.len() as u64;
        self.pieces.append(text);
        for origin in origins {
            self.rows += 1;
            self.from.get_or_insert(origin);
            self.to = origin;
            self.origins.push(origin);
        }
    }

    /// Closes it; the permit then stands for its text and what is known of its rows, also where its last row was wider than
    /// the room.
    pub(super) fn finish(self, input: usize) -> Filled {
        let chunk = Chunk {
            body: self.pieces.finish(),
            body_bytes: self.text_bytes,
            text_bytes: self.text_bytes,
            rows: self.rows,
            digest: self.digest.finish(),
            format: self.format,
            codec: Codec::None,
            input,
            from: self.from.expect("a chunk is opened for its first row"),
            to: self.to,
            origins: self.origins,
        };
        let mut permit = self.permit;
        permit.resize(chunk.body_bytes + chunk.origins.bytes());
        Filled { chunk, permit }
    }
}

impl Filled {
    /// It as it is, with its text for a body.
    pub(super) fn chunk(&self) -> &Chunk {
        &self.chunk
    }

    /// Compresses its text, which goes as the body comes.
    pub(super) fn compress(self, codec: Codec) -> (Chunk, Permit) {
        let Self { mut chunk, mut permit } = self;
        if codec != Codec::None {
            let mut compressor = Compressor::new(codec, Pieces::default());
            for text in std::mem::take(&mut chunk.body) {
                compressor.write_all(&text).expect("memory takes every byte");
            }
            chunk.body = compressor.finish().expect("memory takes every byte").finish();
            chunk.body_bytes = chunk.body.iter().map(|piece| piece.len() as u64).sum();
            chunk.codec = codec;
            permit.resize(chunk.body_bytes + chunk.origins.bytes());
        }
        (chunk, permit)
    }
}

/// Takes bytes into pieces of a bounded size.
#[derive(Default)]
struct Pieces {
    done: Vec<Bytes>,
    current: Vec<u8>,
}

impl Pieces {
    fn append(&mut self, text: Bytes) {
        if text.len() < PIECE_BYTES_MIN {
            self.write_all(&text).expect("memory takes every byte");
        } else {
            self.close();
            self.done.push(text);
        }
    }

    fn close(&mut self) {
        if !self.current.is_empty() {
            let mut current = std::mem::take(&mut self.current);
            current.shrink_to_fit();
            self.done.push(Bytes::from(current));
        }
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.close();
        self.done
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE_BYTES - self.current.len());
        self.current.extend_from_slice(&bytes[..taken]);
        if self.current.len() == PIECE_BYTES {
            let next = Vec::with_capacity(PIECE_BYTES);
            self.done.push(Bytes::from(std::mem::replace(&mut self.current, next)));
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::governor::Budget;

    fn place(line: u64) -> Origin {
        Origin { line, byte: 0 }
    }

    fn text(text: &'static [u8]) -> Bytes {
        Bytes::from_static(text)
    }

    #[test]
    fn a_body_is_kept_in_pieces_and_the_permit_shrinks_to_it() {
        let budget = Budget::new(10 << 20);
        let permit = budget.take(10 << 20).unwrap();
        let mut chunker = Chunker::new(WireFormat::Csv, permit);
        let long = Bytes::from(vec![b'x'; PIECE_BYTES + 7]);
        chunker.append(text(b"a\n"), [place(4)].into_iter());
        chunker.append(long.clone(), [place(5), place(6)].into_iter());
        chunker.append(text(b"y\n"), [place(7)].into_iter());
        chunker.append(text(b"z\n"), [place(8)].into_iter());
        let (chunk, _permit) = chunker.finish(3).compress(Codec::None);
        assert_eq!(chunk.body.len(), 3, "short texts share a piece");
        assert_eq!(chunk.body[1].as_ptr(), long.as_ptr(), "a long one is not copied");
        assert_eq!(chunk.body.concat(), [b"a\n", &long[..], b"y\nz\n"].concat());
        assert_eq!((chunk.rows, chunk.from.line, chunk.to.line, chunk.input), (5, 4, 8, 3));
        assert_eq!(chunk.origins.iter().map(|origin| origin.line).collect::<Vec<_>>(), [4, 5, 6, 7, 8]);
        assert!(budget.take((10 << 20) - chunk.body_bytes - chunk.origins.bytes()).is_ok());
    }

    #[test]
    fn a_row_wider_than_a_load_is_counted_in_full() {
        let budget = Budget::new(100);
        let mut chunker = Chunker::new(WireFormat::Csv, budget.take(10).unwrap());
        chunker.append(text(&[b'x'; 95]), [place(1)].into_iter());
        let _filled = chunker.finish(0);
        assert_eq!(budget.used_max(), 96, "MEM-1, with a byte for the row's place");
    }

    #[test]
    fn the_digest_is_of_the_text_whatever_the_codec_and_the_slices() {
        let digest = |codec, slices: &[&'static [u8]]| {
            let budget = Budget::new(0);
            let mut chunker = Chunker::new(WireFormat::Csv, budget.take(0).unwrap());
            for slice in slices {
                chunker.append(text(slice), [place(1)].into_iter());
            }
            chunker.finish(0).compress(codec).0.digest
        };
        let whole = digest(Codec::None, &[b"abc\ndef\n"]);
        assert_eq!(digest(Codec::Zstd, &[b"abc\n", b"def\n"]), whole);
        assert_ne!(digest(Codec::None, &[b"abc\ndeg\n"]), whole);
    }
}
