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

/// A chunk that is being filled.
pub(super) struct Chunker {
    compressor: Compressor<Pieces>,
    digest: XxHash64,
    text_bytes: u64,
    rows: u64,
    from: Option<Origin>,
    to: Origin,
    origins: Origins,
    format: WireFormat,
    codec: Codec,
    permit: Permit,
}

impl Chunker {
    pub(super) fn new(format: WireFormat, codec: Codec, permit: Permit) -> Self {
        Self {
            compressor: Compressor::new(codec, Pieces::default()),
            digest: XxHash64::with_seed(0),
            text_bytes: 0,
            rows: 0,
            from: None,
            to: Origin { line: 0, byte: 0 },
            origins: Origins::default(),
            format,
            codec,
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
    pub(super) fn append(&mut self, text: &[u8], origins: impl Iterator<Item = Origin>) {
        self.compressor.write_all(text).expect("memory takes every byte");
        self.digest.write(text);
        self.text_bytes += text.len() as u64;
        for origin in origins {
            self.rows += 1;
            self.from.get_or_insert(origin);
            self.to = origin;
            self.origins.push(origin);
        }
    }

    /// Closes it; the permit then stands for its body and what is known of its rows, also where its last row was wider
    /// than the room.
    pub(super) fn finish(self, input: usize) -> (Chunk, Permit) {
        let body = self.compressor.finish().expect("memory takes every byte").finish();
        let body_bytes = body.iter().map(|piece| piece.len() as u64).sum();
        let mut permit = self.permit;
        permit.resize(body_bytes + self.origins.bytes());
        let chunk = Chunk {
            body,
            body_bytes,
            text_bytes: self.text_bytes,
            rows: self.rows,
            digest: self.digest.finish(),
            format: self.format,
            codec: self.codec,
            input,
            from: self.from.expect("a chunk is opened for its first row"),
            to: self.to,
            origins: self.origins,
        };
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
    fn finish(mut self) -> Vec<Bytes> {
        if !self.current.is_empty() {
            self.done.push(Bytes::from(self.current));
        }
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

    #[test]
    fn a_body_is_kept_in_pieces_and_the_permit_shrinks_to_it() {
        let budget = Budget::new(10 << 20);
        let permit = budget.take(10 << 20).unwrap();
        let mut chunker = Chunker::new(WireFormat::Csv, Codec::None, permit);
        let text = vec![b'x'; PIECE_BYTES + 7];
        let place = |line| Origin { line, byte: 0 };
        chunker.append(&text, [place(5), place(6)].into_iter());
        chunker.append(b"y\n", [place(7)].into_iter());
        let (chunk, _permit) = chunker.finish(3);
        assert_eq!(chunk.body.len(), 2);
        assert_eq!(chunk.body.concat(), [&text[..], b"y\n"].concat());
        assert_eq!((chunk.rows, chunk.from.line, chunk.to.line, chunk.input), (3, 5, 7, 3));
        assert_eq!(chunk.origins.iter().map(|origin| origin.line).collect::<Vec<_>>(), [5, 6, 7]);
        assert!(budget.take((10 << 20) - chunk.body_bytes - chunk.origins.bytes()).is_ok());
    }

    #[test]
    fn a_row_wider_than_a_load_is_counted_in_full() {
        let budget = Budget::new(100);
        let mut chunker = Chunker::new(WireFormat::Csv, Codec::None, budget.take(10).unwrap());
        let place = Origin { line: 1, byte: 0 };
        chunker.append(&[b'x'; 95], [place].into_iter());
        let (_chunk, _permit) = chunker.finish(0);
        assert_eq!(budget.used_max(), 96, "MEM-1, with a byte for the row's place");
    }

    #[test]
    fn the_digest_is_of_the_text_whatever_the_codec_and_the_slices() {
        let digest = |codec, slices: &[&[u8]]| {
            let mut chunker = Chunker::new(WireFormat::Csv, codec, Budget::new(0).take(0).unwrap());
            let place = Origin { line: 1, byte: 0 };
            for slice in slices {
                chunker.append(slice, [place].into_iter());
            }
            chunker.finish(0).0.digest
        };
        let whole = digest(Codec::None, &[b"abc\ndef\n"]);
        assert_eq!(digest(Codec::Zstd, &[b"abc\n", b"def\n"]), whole);
        assert_ne!(digest(Codec::None, &[b"abc\ndeg\n"]), whole);
    }
}
