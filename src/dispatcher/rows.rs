//! [`Rows`]: the rows of a chunk, found again in its text, and smaller chunks made of them.
//!
//! A chunk is bytes; when the target refuses it for some of its rows, the rows have to be told apart again. The text is cut
//! where its format ends a row, and a smaller chunk gets the same text, so that the target is told the same values. What is
//! not compressed is not copied: a part shares the bytes of its chunk.

use std::hash::Hasher as _;
use std::io::{self, Read, Write};

use bytes::Bytes;
use twox_hash::XxHash64;

use super::bisection::Part;
use crate::compressor::Compressor;
use crate::model::{Chunk, Codec, Origin, Origins, WireFormat};
use crate::reader::Compression;
use crate::reader::decompress::decompress;

/// Text and bodies are kept in pieces of this size.
const PIECE_BYTES: usize = 1 << 20;

/// The start of every so many rows is kept; the ones in between are counted.
const ROWS_PER_MARK: u64 = 64;

/// The rows of one chunk.
#[derive(Debug)]
pub(super) struct Rows {
    text: Vec<Bytes>,
    /// Where each piece of the text starts.
    starts: Vec<u64>,
    /// Where rows 0, 64, 128, … start.
    marks: Vec<u64>,
    /// Bytes of the text.
    bytes: u64,
    count: u64,
    format: WireFormat,
    codec: Codec,
    input: usize,
    origins: Origins,
    from: Origin,
    to: Origin,
}

impl Rows {
    /// Tells the rows of a chunk apart.
    ///
    /// # Errors
    /// When its text is not what the chunk says of itself.
    pub(super) fn of(chunk: &Chunk) -> io::Result<Self> {
        let text = match compression(chunk.codec) {
            None => chunk.body.clone(),
            Some(compression) => pieces(decompress(compression, Box::new(Body::new(chunk.body.clone())))?)?,
        };
        let mut starts = Vec::with_capacity(text.len());
        let mut bytes = 0;
        for piece in &text {
            starts.push(bytes);
            bytes += piece.len() as u64;
        }
        let (marks, count) = marks(chunk.format, &text);
        if (count, bytes) != (chunk.rows, chunk.text_bytes) {
            let what = format!("{count} rows in {bytes} bytes instead of {} in {}", chunk.rows, chunk.text_bytes);
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let (format, codec, input) = (chunk.format, chunk.codec, chunk.input);
        let (from, to, origins) = (chunk.from, chunk.to, chunk.origins.clone());
        Ok(Self { text, starts, marks, bytes, count, format, codec, input, origins, from, to })
    }

    /// The memory that they take besides the chunk's own.
    pub(super) fn extra_bytes(&self) -> u64 {
        let text = if self.codec == Codec::None { 0 } else { self.bytes };
        text + 8 * self.marks.len() as u64 + self.origins.bytes()
    }

    /// Hands out the texts of some rows without their ends, in order.
    pub(super) fn each(&self, part: &Part, mut take: impl FnMut(u64, &[u8])) {
        let mut cut = RowEnds::new(self.format);
        let (mut row, mut open) = (part.start, Vec::new());
        for piece in &self.slice(part) {
            let mut from = 0;
            while let Some(end) = cut.next(&piece[from..]) {
                let text = &piece[from..from + end - 1];
                if open.is_empty() {
                    take(row, text);
                } else {
                    open.extend_from_slice(text);
                    // The end of the row may stand in the next piece than the rest of it.
                    take(row, &open);
                    open.clear();
                }
                from += end;
                row += 1;
            }
            open.extend_from_slice(&piece[from..]);
        }
    }

    /// The text of some rows, without a copy.
    fn slice(&self, part: &Part) -> Vec<Bytes> {
        let span = self.start_of(part.start)..self.start_of(part.end);
        let mut slices = Vec::new();
        for (piece, start) in self.text.iter().zip(&self.starts) {
            let (from, to) = (span.start.max(*start), span.end.min(start + piece.len() as u64));
            if from < to {
                slices.push(piece.slice(within(from - start)..within(to - start)));
            }
        }
        slices
    }

    /// Where a row starts, or the text ends.
    fn start_of(&self, row: u64) -> u64 {
        if row >= self.count {
            return self.bytes;
        }
        let mut at = self.marks[within(row / ROWS_PER_MARK)];
        let mut left = row % ROWS_PER_MARK;
        let mut cut = RowEnds::new(self.format);
        let first = self.starts.partition_point(|start| *start <= at) - 1;
        for (piece, start) in self.text.iter().zip(&self.starts).skip(first) {
            while left > 0 {
                let rest = &piece[within(at - start)..];
                let Some(end) = cut.next(rest) else {
                    at += rest.len() as u64;
                    break;
                };
                at += end as u64;
                left -= 1;
            }
            if left == 0 {
                break;
            }
        }
        at
    }

    /// One row's text, without its end.
    pub(super) fn row(&self, row: u64) -> Vec<u8> {
        let mut text = self.slice(&(row..row + 1)).concat();
        text.pop();
        text
    }

    /// The places of some rows; those of the whole chunk where nobody kept them.
    pub(super) fn origins(&self, part: &Part) -> impl Iterator<Item = Origin> {
        let known = self.origins.rows() == self.count;
        let skipped = if known { within(part.start) } else { usize::MAX };
        let unknown = if known { 0 } else { within(part.end - part.start) };
        let taken = within(part.end - part.start);
        self.origins.iter().skip(skipped).take(taken).chain(std::iter::repeat_n(self.from, unknown))
    }

    /// A chunk of some of the rows.
    pub(super) fn chunk(&self, part: &Part) -> Chunk {
        let text = self.slice(part);
        let mut digest = XxHash64::with_seed(0);
        for piece in &text {
            digest.write(piece);
        }
        let text_bytes = length(&text);
        let body = match self.codec {
            Codec::None => text,
            codec => compressed(codec, &text),
        };
        let known = self.origins.rows() == self.count;
        let (from, to) = match (self.origins(&(part.start..part.start + 1)).next(), known) {
            (Some(from), true) => (from, self.origins(&(part.end - 1..part.end)).next().unwrap_or(from)),
            _ => (self.from, self.to),
        };
        Chunk {
            body_bytes: length(&body),
            body,
            text_bytes,
            rows: part.end - part.start,
            digest: digest.finish(),
            format: self.format,
            codec: self.codec,
            input: self.input,
            from,
            to,
            origins: Origins::default(),
        }
    }
}

fn compression(codec: Codec) -> Option<Compression> {
    match codec {
        Codec::None => None,
        Codec::Lz4 => Some(Compression::Lz4),
        Codec::Zstd => Some(Compression::Zstd),
        Codec::Gzip => Some(Compression::Gzip),
    }
}

fn length(pieces: &[Bytes]) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

/// An offset into memory.
fn within(number: u64) -> usize {
    usize::try_from(number).expect("a chunk is in memory")
}

/// Reads to the end, into pieces of a bounded size.
fn pieces(mut text: Box<dyn Read + Send>) -> io::Result<Vec<Bytes>> {
    let mut pieces = Vec::new();
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        text.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
        if piece.is_empty() {
            return Ok(pieces);
        }
        pieces.push(Bytes::from(piece));
    }
}

fn compressed(codec: Codec, text: &[Bytes]) -> Vec<Bytes> {
    let mut compressor = Compressor::new(codec, Vec::new());
    for piece in text {
        compressor.write_all(piece).expect("memory takes every byte");
    }
    vec![Bytes::from(compressor.finish().expect("memory takes every byte"))]
}

/// The starts of every so many rows, and how many rows there are.
fn marks(format: WireFormat, text: &[Bytes]) -> (Vec<u64>, u64) {
    let mut cut = RowEnds::new(format);
    let (mut marks, mut rows, mut at) = (vec![0], 0, 0);
    for piece in text {
        let mut from = 0;
        while let Some(end) = cut.next(&piece[from..]) {
            from += end;
            rows += 1;
            if rows % ROWS_PER_MARK == 0 {
                marks.push(at + from as u64);
            }
        }
        at += piece.len() as u64;
    }
    (marks, rows)
}

/// Finds the ends of rows in text that comes in pieces.
struct RowEnds {
    csv: bool,
    /// Whether the text so far ends inside quotes.
    quoted: bool,
    /// Whether it ends with an escape, which takes the next byte.
    escaped: bool,
}

impl RowEnds {
    fn new(format: WireFormat) -> Self {
        Self { csv: format == WireFormat::Csv, quoted: false, escaped: false }
    }

    /// How many bytes there are up to the end of the row, with the line end; none when the row goes on behind them.
    fn next(&mut self, bytes: &[u8]) -> Option<usize> {
        if !self.csv {
            // In a JSON text a line end stands between objects alone: see the encoder.
            return memchr::memchr(b'\n', bytes).map(|at| at + 1);
        }
        let mut at = 0;
        if std::mem::take(&mut self.escaped) {
            if bytes.is_empty() {
                self.escaped = true;
                return None;
            }
            at = 1;
        }
        while let Some(next) = self.special(&bytes[at..]) {
            at += next + 1;
            match bytes[at - 1] {
                b'\n' => return Some(at),
                b'"' => self.quoted = !self.quoted,
                _ if at == bytes.len() => self.escaped = true,
                _ => at += 1,
            }
        }
        None
    }

    /// The next byte that means something here.
    fn special(&self, bytes: &[u8]) -> Option<usize> {
        if self.quoted { memchr::memchr2(b'"', b'\\', bytes) } else { memchr::memchr3(b'"', b'\\', b'\n', bytes) }
    }
}

/// A body as a stream.
struct Body {
    pieces: std::vec::IntoIter<Bytes>,
    current: Bytes,
}

impl Body {
    fn new(pieces: Vec<Bytes>) -> Self {
        Self { pieces: pieces.into_iter(), current: Bytes::new() }
    }
}

impl Read for Body {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.next() {
                Some(piece) => self.current = piece,
                None => return Ok(0),
            }
        }
        let taken = self.current.split_to(out.len().min(self.current.len()));
        out[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    const CODECS: [Codec; 4] = [Codec::None, Codec::Lz4, Codec::Zstd, Codec::Gzip];

    /// A chunk of these rows, its body in pieces of this size.
    pub(in crate::dispatcher) fn chunk_of(format: WireFormat, codec: Codec, rows: &[String], piece: usize) -> Chunk {
        let text: String = rows.iter().flat_map(|row| [row.as_str(), "\n"]).collect();
        let mut origins = Origins::default();
        let place = |row: usize| Origin { line: row as u64 + 2, byte: row as u64 * 10 };
        (0..rows.len()).for_each(|row| origins.push(place(row)));
        let body = match codec {
            Codec::None => vec![Bytes::from(text.clone())],
            codec => compressed(codec, &[Bytes::from(text.clone())]),
        };
        let body: Vec<Bytes> = body.concat().chunks(piece).map(Bytes::copy_from_slice).collect();
        let mut digest = XxHash64::with_seed(0);
        digest.write(text.as_bytes());
        Chunk {
            body_bytes: length(&body),
            body,
            text_bytes: text.len() as u64,
            rows: rows.len() as u64,
            digest: digest.finish(),
            format,
            codec,
            input: 0,
            from: place(0),
            to: place(rows.len() - 1),
            origins,
        }
    }

    /// Rows of CSV as the encoder writes them.
    fn csv_row() -> impl Strategy<Value = String> {
        let field = prop_oneof![
            "[a-z0-9]{0,4}".prop_map(|text| text),
            Just("\\\\N".to_owned()),
            "[\"\\\\\n,x]{0,6}".prop_map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))),
        ];
        proptest::collection::vec(field, 1..4).prop_map(|fields| fields.join(","))
    }

    proptest! {
        #[test]
        fn rows_come_out_as_they_went_in(
            rows in proptest::collection::vec(csv_row(), 1..200),
            piece in 1_usize..50,
            codec in 0_usize..4,
            cut in any::<(u16, u16)>(),
        ) {
            let chunk = chunk_of(WireFormat::Csv, CODECS[codec], &rows, piece);
            let found = Rows::of(&chunk).unwrap();
            let mut seen = Vec::new();
            found.each(&(0..chunk.rows), |row, text| seen.push((row, String::from_utf8(text.to_vec()).unwrap())));
            let wanted: Vec<_> = rows.iter().cloned().enumerate().map(|(row, text)| (row as u64, text)).collect();
            prop_assert_eq!(&seen, &wanted);
            for (row, text) in &wanted {
                prop_assert_eq!(&String::from_utf8(found.row(*row)).unwrap(), text);
            }
            // A part is what the pipeline would have made of its rows.
            let (from, to) = (usize::from(cut.0) % rows.len(), usize::from(cut.1) % rows.len());
            let (from, to) = (from.min(to), from.max(to) + 1);
            let part = found.chunk(&(from as u64..to as u64));
            let mut wanted = chunk_of(WireFormat::Csv, CODECS[codec], &rows[from..to], usize::MAX);
            wanted.origins = Origins::default();
            let place = |row: usize| Origin { line: row as u64 + 2, byte: row as u64 * 10 };
            (wanted.from, wanted.to) = (place(from), place(to - 1));
            prop_assert_eq!(part.body.concat(), wanted.body.concat());
            prop_assert_eq!((part.rows, part.digest, part.text_bytes), (wanted.rows, wanted.digest, wanted.text_bytes));
            prop_assert_eq!((part.from, part.to, part.body_bytes), (wanted.from, wanted.to, wanted.body_bytes));
            let places: Vec<_> = found.origins(&(from as u64..to as u64)).collect();
            prop_assert_eq!(places, (from..to).map(place).collect::<Vec<_>>());
        }
    }

    #[test]
    fn json_rows_end_at_line_ends() {
        let rows: Vec<String> = (0..300).map(|id| format!("{{\"id\":{id},\"t\":\"a\\\"\\nb\"}}")).collect();
        let found = Rows::of(&chunk_of(WireFormat::Json, Codec::Zstd, &rows, 100)).unwrap();
        assert_eq!(found.row(257), rows[257].as_bytes());
        assert_eq!(found.chunk(&(298..300)).rows, 2);
    }

    #[test]
    fn a_text_that_is_not_the_chunks_is_refused() {
        let rows = ["1".to_owned(), "2".to_owned()];
        let chunk = chunk_of(WireFormat::Csv, Codec::None, &rows, 10);
        assert!(Rows::of(&Chunk { rows: 3, ..chunk.clone() }).is_err());
        assert!(Rows::of(&Chunk { codec: Codec::Zstd, ..chunk }).is_err());
    }
}
