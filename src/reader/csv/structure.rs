//! [`Structure`]: where the fields and records of a block of CSV text end, found in one pass without looking at a single
//! byte by itself.
//!
//! Of each 64 bytes a mask is made of the quotes, the delimiters and the line ends. The parity of the quotes before a byte
//! tells whether it stands within quotes; delimiters and line ends outside of them are the separators. That is right for
//! text in which quotes stand only around fields and doubled within them. Whoever uses it checks each record for that, by
//! the places of its quotes, and reads on by [`scan`](super::record::scan) where it is not so.

#![expect(clippy::inline_always, reason = "what is not inlined is not compiled for the caller's instructions")]

use crate::bits::{BLOCK, Masks, Scan, parity, scan};

/// The places in a block that matter. Kept from block to block for its buffers.
#[derive(Debug, Default)]
pub(super) struct Structure {
    /// Delimiters and line ends outside of quotes.
    separators: Places,
    /// Quotes.
    quotes: Places,
    /// For each line end outside of quotes, how many separators there are up to it.
    records: Vec<u32>,
    /// For each of them, how many line ends there are up to it, those within quotes among them.
    lines: Vec<u32>,
    /// The bit of each byte that is no digit, and two words more, for a field may start at the end.
    not_digits: Vec<u64>,
    /// The bit of each backslash.
    backslashes: Vec<u64>,
    /// Whether there is one anywhere.
    has_backslash: bool,
}

/// Offsets in the order of the text.
#[derive(Debug, Default)]
struct Places {
    /// Its length is room; what counts is `count`.
    offsets: Vec<u32>,
    count: usize,
}

impl Places {
    /// Appends the set bits of a mask.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "offsets in a block of less than 4 GiB")]
    fn extend(&mut self, base: usize, mut mask: u64) {
        let end = self.count + mask.count_ones() as usize;
        if self.offsets.len() < end + BLOCK {
            self.offsets.resize((end + BLOCK) * 2, 0);
        }
        // Eight at a time, whether there are so many or not: that is cheaper than to ask each time.
        for eight in self.offsets[self.count..].as_chunks_mut::<8>().0 {
            for offset in eight {
                *offset = base as u32 + mask.trailing_zeros();
                mask &= mask.wrapping_sub(1);
            }
            if mask == 0 {
                break;
            }
        }
        self.count = end;
    }

    fn get(&self) -> &[u32] {
        &self.offsets[..self.count]
    }
}

impl Structure {
    /// Looks through a block that starts at the start of a record and is shorter than 4 GiB.
    pub(super) fn read(&mut self, bytes: &[u8], delimiter: u8, quote: Option<u8>) {
        debug_assert!(u32::try_from(bytes.len()).is_ok());
        (self.separators.count, self.quotes.count) = (0, 0);
        self.records.clear();
        self.lines.clear();
        self.not_digits.clear();
        self.backslashes.clear();
        scan(Pass { into: self, bytes, delimiter, quote });
    }

    /// Where fields end: delimiters and line ends outside of quotes.
    pub(super) fn separators(&self) -> &[u32] {
        self.separators.get()
    }

    /// Where quotes are.
    pub(super) fn quotes(&self) -> &[u32] {
        self.quotes.get()
    }

    /// For each record that ends in a line end, how many separators there are up to its end.
    pub(super) fn records(&self) -> &[u32] {
        &self.records
    }

    /// For each record that ends in a line end, how many line ends there are up to it.
    pub(super) fn lines(&self) -> &[u32] {
        &self.lines
    }

    /// Which of the bytes from `start` to `end` are no digits, for at most 64 of them.
    #[inline]
    pub(super) fn not_digits(&self, start: usize, end: usize) -> u64 {
        let (word, bit) = (start / BLOCK, start % BLOCK);
        let [low, high] = [self.not_digits[word], self.not_digits[word + 1]];
        // Two steps, because a shift by 64 is none.
        let bits = low >> bit | high << 1 << (BLOCK - 1 - bit);
        bits & u64::MAX.unbounded_shr(u32::try_from(BLOCK.saturating_sub(end - start)).unwrap_or(0))
    }

    /// Whether there is a backslash anywhere.
    pub(super) fn has_backslash(&self) -> bool {
        self.has_backslash
    }

    /// Whether there is a backslash among these bytes.
    #[inline]
    pub(super) fn has_backslash_in(&self, start: usize, end: usize) -> bool {
        if start == end {
            return false;
        }
        let (first, last) = (start / BLOCK, (end - 1) / BLOCK);
        let behind_start = u64::MAX << (start % BLOCK);
        let before_end = u64::MAX >> (BLOCK - 1 - (end - 1) % BLOCK);
        match &self.backslashes[first..=last] {
            [word] => word & behind_start & before_end != 0,
            [first, between @ .., last] => {
                first & behind_start != 0 || last & before_end != 0 || between.iter().any(|word| *word != 0)
            }
            [] => false,
        }
    }
}

struct Pass<'a> {
    into: &'a mut Structure,
    bytes: &'a [u8],
    delimiter: u8,
    quote: Option<u8>,
}

impl Scan for Pass<'_> {
    #[inline(always)]
    fn run<M: Masks>(self) {
        let Self { into, bytes, delimiter, quote } = self;
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        let mut looks = Looks { into, delimiter, quote, within: 0, lines: 0, backslashes: 0 };
        for (index, block) in blocks.iter().enumerate() {
            looks.at::<M>(index * BLOCK, block);
        }
        if !rest.is_empty() {
            let is_none = |byte: &u8| *byte != delimiter && Some(*byte) != quote;
            let mut block = [(0..3).find(is_none).expect("one of three is neither of two"); BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            looks.at::<M>(blocks.len() * BLOCK, &block);
        }
        let backslashes = looks.backslashes;
        into.not_digits.extend([0; 2]);
        into.has_backslash = backslashes != 0;
    }
}

/// A pass half-way. No closure, for those are not compiled for the instructions of the function around them.
struct Looks<'a> {
    into: &'a mut Structure,
    delimiter: u8,
    quote: Option<u8>,
    /// All ones if what comes next is within quotes.
    within: u64,
    /// Line ends so far.
    lines: u32,
    /// The bits of all blocks together.
    backslashes: u64,
}

impl Looks<'_> {
    #[inline(always)]
    fn at<M: Masks>(&mut self, at: usize, block: &[u8; BLOCK]) {
        let quotes = self.quote.map_or(0, |quote| M::equal(block, quote));
        let inside = parity(quotes) ^ self.within;
        self.within = (inside >> 63).wrapping_neg();
        let line_ends = M::equal(block, b'\n');
        let lines = line_ends & !inside;
        let separators = (M::equal(block, self.delimiter) & !inside) | lines;
        let backslashes = M::equal(block, b'\\');
        self.backslashes |= backslashes;
        let into = &mut *self.into;
        into.backslashes.push(backslashes);
        into.not_digits.push(M::not_digits(block));
        let mut line = lines;
        while line != 0 {
            let up_to = line ^ (line - 1);
            let before = into.separators.count + (separators & up_to).count_ones() as usize;
            into.records.push(u32::try_from(before).expect("fewer than bytes"));
            into.lines.push(self.lines + (line_ends & up_to).count_ones());
            line &= line - 1;
        }
        self.lines += line_ends.count_ones();
        into.separators.extend(at, separators);
        if quotes != 0 {
            into.quotes.extend(at, quotes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One byte after the other.
    fn simply(bytes: &[u8]) -> (Vec<usize>, Vec<usize>, Vec<usize>) {
        let (mut separators, mut records, mut quotes, mut within) = (Vec::new(), Vec::new(), Vec::new(), false);
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'"' => {
                    within = !within;
                    quotes.push(at);
                }
                b',' | b'\n' if !within => {
                    separators.push(at);
                    if *byte == b'\n' {
                        records.push(separators.len());
                    }
                }
                _ => {}
            }
        }
        (separators, records, quotes)
    }

    fn wide(places: &[u32]) -> Vec<usize> {
        places.iter().map(|place| *place as usize).collect()
    }

    proptest! {
        #[test]
        fn it_sees_what_a_loop_over_the_bytes_sees(
            texts in prop::collection::vec(prop::collection::vec(prop::sample::select(b"a1,\"\n\\".as_slice()), 0..300), 1..4),
        ) {
            // The same one for all of them, as in a run.
            let mut structure = Structure::default();
            for bytes in texts {
                structure.read(&bytes, b',', Some(b'"'));
                let (separators, records, quotes) = simply(&bytes);
                prop_assert_eq!(wide(structure.separators()), separators.clone());
                prop_assert_eq!(wide(structure.records()), records);
                prop_assert_eq!(wide(structure.quotes()), quotes);
                let ends = separators.iter().filter(|at| bytes[**at] == b'\n');
                let lines: Vec<usize> = ends.map(|end| memchr::memchr_iter(b'\n', &bytes[..=*end]).count()).collect();
                prop_assert_eq!(wide(structure.lines()), lines);
                prop_assert_eq!(structure.has_backslash(), bytes.contains(&b'\\'));
                for (start, end) in [(0, bytes.len()), (bytes.len() / 3, bytes.len() / 2), (bytes.len() / 2, bytes.len()), (bytes.len(), bytes.len())] {
                    prop_assert_eq!(structure.has_backslash_in(start, end), bytes[start..end].contains(&b'\\'));
                }
                for (start, end) in [(0, bytes.len().min(64)), (bytes.len() / 3, bytes.len() / 2), (bytes.len(), bytes.len())] {
                    let end = end.min(start + 64);
                    let odd = |at: usize| u64::from(!bytes[start + at].is_ascii_digit()) << at;
                    prop_assert_eq!(structure.not_digits(start, end), (0..end - start).fold(0, |bits, at| bits | odd(at)));
                }
            }
        }
    }
}
