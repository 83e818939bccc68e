//! [`Origins`]: where each row of a chunk stands in its input, in one or two bytes per row.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};

use super::batch::Origin;

/// The places of rows, in the order they were read.
///
/// A chunk keeps them for the case that the target refuses one of its rows and somebody wants to know which. They are kept
/// as differences: one byte for a record of up to 63 bytes on one line, two for up to 8 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Origins {
    /// For each row: its bytes since the row before, doubled, plus one if the lines since then follow.
    deltas: Vec<u8>,
    last: Option<Origin>,
    rows: u64,
}

/// As base64 of the differences.
impl From<Origins> for String {
    fn from(origins: Origins) -> Self {
        STANDARD_NO_PAD.encode(&origins.deltas)
    }
}

/// What is no such text has no places.
impl From<String> for Origins {
    fn from(text: String) -> Self {
        let mut origins = Self { deltas: STANDARD_NO_PAD.decode(text).unwrap_or_default(), ..Self::default() };
        let (rows, last) = origins.iter().fold((0, None), |(rows, _), origin| (rows + 1, Some(origin)));
        (origins.rows, origins.last) = (rows, last);
        origins
    }
}

impl Origins {
    /// Adds the next row's place. Both its numbers are at least those of the row before.
    pub fn push(&mut self, origin: Origin) {
        let before = self.last.replace(origin).unwrap_or(Origin { line: 0, byte: 0 });
        let (lines, bytes) = (origin.line.wrapping_sub(before.line), origin.byte.wrapping_sub(before.byte));
        // The byte count keeps its top bit in front of the flag: an input of 2^63 bytes does not exist.
        write(&mut self.deltas, bytes << 1 | u64::from(lines != 1));
        if lines != 1 {
            write(&mut self.deltas, lines);
        }
        self.rows += 1;
    }

    /// The memory they take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.deltas.len() as u64
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// All of them, from the first row on.
    pub fn iter(&self) -> impl Iterator<Item = Origin> {
        let mut rest = self.deltas.as_slice();
        let mut at = Origin { line: 0, byte: 0 };
        std::iter::from_fn(move || {
            let head = read(&mut rest)?;
            let lines = if head & 1 == 0 { 1 } else { read(&mut rest)? };
            at = Origin { line: at.line.wrapping_add(lines), byte: at.byte.wrapping_add(head >> 1) };
            Some(at)
        })
    }
}

fn write(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn read(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out(steps in proptest::collection::vec((0_u64..5, 0_u64..1 << 40), 0..200)) {
            let mut origins = Origins::default();
            let mut wanted = Vec::new();
            let mut at = Origin { line: 1, byte: 0 };
            for (lines, bytes) in steps {
                at = Origin { line: at.line + lines, byte: at.byte + bytes };
                origins.push(at);
                wanted.push(at);
            }
            prop_assert_eq!(origins.rows(), wanted.len() as u64);
            let text = serde_json::to_string(&origins).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Origins>(&text).unwrap(), &origins);
            prop_assert_eq!(origins.iter().collect::<Vec<_>>(), wanted);
        }
    }

    #[test]
    fn a_short_line_takes_one_byte_and_an_ordinary_one_two() {
        for (record, bytes) in [(63, 1), (64, 2), (8_191, 2)] {
            let mut origins = Origins::default();
            for row in 0..1_000 {
                origins.push(Origin { line: row + 1, byte: row * record });
            }
            assert!(origins.bytes() <= 1_000 * bytes, "{record}: {}", origins.bytes());
        }
    }
}
