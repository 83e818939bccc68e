//! [`Outline`]: where the records of a block end, if the block is written so plainly that its bytes mean the same to
//! everybody.
//!
//! A block is plain if quotes stand only around fields and not within them, no field is empty without quotes, there is no
//! backslash and no CR, and its last record ends in a line end. One pass over it tells, without a look at a single field.

#![expect(clippy::inline_always, reason = "what is not inlined is not compiled for the caller's instructions")]

use crate::bits::{BLOCK, Masks, Scan, parity, scan};

/// The records of a plain block.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    /// Where each ends, behind its line end.
    pub(crate) ends: Vec<usize>,
    /// Line ends up to there.
    pub(crate) line_ends: Vec<u64>,
    /// Line ends in the block.
    pub(crate) lines: u64,
}

impl Outline {
    /// Looks through a block that starts at the start of a record; none if it is not plain.
    pub(crate) fn of(bytes: &[u8], delimiter: u8, quote: u8) -> Option<Self> {
        if !bytes.ends_with(b"\n") {
            return None;
        }
        let mut outline = Self::default();
        let mut plain = false;
        scan(Pass { into: &mut outline, plain: &mut plain, bytes, delimiter, quote });
        plain.then_some(outline)
    }
}

struct Pass<'a> {
    into: &'a mut Outline,
    plain: &'a mut bool,
    bytes: &'a [u8],
    delimiter: u8,
    quote: u8,
}

impl Scan for Pass<'_> {
    #[inline(always)]
    fn run<M: Masks>(self) {
        let Self { into, plain, bytes, delimiter, quote } = self;
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        // Before the first byte there might as well be a line end.
        let mut looks = Looks { into, delimiter, quote, within: 0, separated: 1, closed: 0, odd: 0 };
        for (index, block) in blocks.iter().enumerate() {
            looks.at::<M>(index * BLOCK, block);
            if looks.odd != 0 {
                return;
            }
        }
        if !rest.is_empty() {
            let is_none = |byte: &u8| *byte != delimiter && *byte != quote;
            let mut block = [(0..3).find(is_none).expect("one of three is neither of two"); BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            looks.at::<M>(blocks.len() * BLOCK, &block);
        }
        *plain = looks.odd == 0 && looks.within == 0;
    }
}

/// A pass half-way.
struct Looks<'a> {
    into: &'a mut Outline,
    delimiter: u8,
    quote: u8,
    /// All ones if what comes next is within quotes.
    within: u64,
    /// Whether the last byte was a separator, and whether it was a closing quote.
    separated: u64,
    closed: u64,
    /// What is not plain.
    odd: u64,
}

impl Looks<'_> {
    #[inline(always)]
    fn at<M: Masks>(&mut self, at: usize, block: &[u8; BLOCK]) {
        let quotes = M::equal(block, self.quote);
        // From the opening quote up to the byte before the closing one.
        let inside = parity(quotes) ^ self.within;
        self.within = (inside >> 63).wrapping_neg();
        let line_ends = M::equal(block, b'\n');
        let record_ends = line_ends & !inside;
        let separators = (M::equal(block, self.delimiter) & !inside) | record_ends;
        let starts = separators << 1 | self.separated;
        let closing = quotes & !inside;
        let behind = closing << 1 | self.closed;
        let empty = separators & starts;
        let misplaced = (quotes & inside & !starts) | (behind & !separators);
        self.odd |= empty | misplaced | M::equal(block, b'\\') | M::equal(block, b'\r');
        (self.separated, self.closed) = (separators >> 63, closing >> 63);
        let mut rest = record_ends;
        while rest != 0 {
            let up_to = rest ^ (rest - 1);
            let lines = self.into.lines + u64::from((line_ends & up_to).count_ones());
            self.into.ends.push(at + rest.trailing_zeros() as usize + 1);
            self.into.line_ends.push(lines);
            rest &= rest - 1;
        }
        self.into.lines += u64::from(line_ends.count_ones());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::walk::tests::{caster, scanned};
    use super::*;
    use crate::reader::csv::{Form, Found};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]
        #[test]
        fn plain_blocks_are_those_whose_records_are(
            parts in prop::collection::vec(
                prop::sample::select(["a", "bc", ",", ",", "\n", "d\n", "e\n", "\"", "\"\"", "\\", "\r", "\"x,\ny\"", "\"q\",", "\"q\"\n", "é"].as_slice()),
                0..60,
            ),
        ) {
            let text = parts.concat();
            let bytes = text.as_bytes();
            let (records, found) = scanned(bytes, true, &caster(3, Some(b'"'), None));
            let plain = found == Found::End
                && bytes.ends_with(b"\n")
                && !bytes.contains(&b'\\')
                && !bytes.contains(&b'\r')
                && records.windows(2).all(|pair| pair[0].0 + pair[0].2.taken == pair[1].0)
                && records.first().is_some_and(|record| record.0 == 0)
                && records.last().is_some_and(|(at, _, record, _)| at + record.taken == bytes.len())
                && records.iter().all(|(at, _, record, spans)| {
                    !record.malformed && spans.iter().all(|span| match span.form {
                        Form::Plain => span.start < span.end && !bytes[at + span.start..at + span.end].contains(&b'"'),
                        Form::Quoted => true,
                        Form::Escaped => false,
                    })
                });
            let outline = Outline::of(bytes, b',', b'"');
            prop_assert_eq!(outline.is_some(), plain, "{:?}", text);
            if let Some(outline) = outline {
                let ends: Vec<usize> = records.iter().map(|(at, _, record, _)| at + record.taken).collect();
                let line_ends: Vec<u64> = records.iter().skip(1).map(|record| record.1).chain([outline.lines]).collect();
                prop_assert_eq!(outline.ends, ends);
                prop_assert_eq!(outline.line_ends, line_ends);
            }
        }
    }
}
