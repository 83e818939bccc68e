//! How much an input will come to on the wire, as far as that can be told before it is read.
//!
//! Estimates are for decisions that are not part of what a label stands for: what is committed at once, what a plan shows.
//! Where loads are cut is decided by their text alone.

use crate::model::ByteCount;

/// How an input is stored: what decides how much text its bytes become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Delimited text.
    Csv,
    /// Text in JSON.
    Json,
    /// Columns, encoded and compressed.
    Parquet,
    /// Columns as they are in memory.
    Arrow,
}

/// How the bytes around it are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packed {
    /// Not at all.
    No,
    /// By something fast: lz4.
    Lightly,
    /// By something thorough: gzip, zstd, bzip2, xz.
    Tightly,
}

/// One input, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Bytes as stored; none for a stream.
    pub bytes: Option<u64>,
    /// How they are written.
    pub stored: Stored,
    /// How they are compressed.
    pub packed: Packed,
}

/// What inputs will come to, roughly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Loads.
    pub loads: u64,
    /// Bytes of text.
    pub bytes: u64,
}

/// Text per byte of a thorough compression, as a rule of thumb: tables repeat themselves.
const TIGHT: u64 = 5;

/// The same of a fast one.
const LIGHT: u64 = 3;

/// Text in CSV per byte of Parquet. Measured: TPC-H's `lineitem` with snappy 3.3, taxi rides with zstd 3.7.
const PARQUET: u64 = 4;

/// JSON names every field in every row. Measured: `lineitem` 2.9, taxi rides 3.2.
const JSON_PER_CSV: u64 = 3;

impl Volume {
    /// Bytes of text on the wire; none for a stream.
    #[must_use]
    pub fn text_bytes(&self, json: bool) -> Option<u64> {
        let packed = match self.packed {
            Packed::No => 1,
            Packed::Lightly => LIGHT,
            Packed::Tightly => TIGHT,
        };
        let written = match (self.stored, json) {
            (Stored::Json, _) | (Stored::Csv | Stored::Arrow, false) => 1,
            (Stored::Csv | Stored::Arrow, true) => JSON_PER_CSV,
            (Stored::Parquet, false) => PARQUET,
            (Stored::Parquet, true) => PARQUET * JSON_PER_CSV,
        };
        Some(self.bytes?.saturating_mul(packed * written))
    }

    /// The fewest bytes of JSON that its rows are likely to become.
    fn json_bytes_min(&self) -> u64 {
        let bytes = self.bytes.unwrap_or(0);
        // JSON is written again without its blanks, and fields that no column takes stay behind.
        if self.stored == Stored::Json { bytes / 2 } else { bytes }
    }
}

/// What inputs will come to; none where one of them is a stream. Each input is at least one load.
#[must_use]
pub fn estimate(inputs: &[Volume], load_size: ByteCount, json: bool) -> Option<Estimate> {
    inputs.iter().try_fold(Estimate::default(), |sum, input| {
        let bytes = input.text_bytes(json)?;
        Some(Estimate { loads: sum.loads + loads_of(bytes, load_size), bytes: sum.bytes.saturating_add(bytes) })
    })
}

/// How many loads each input is likely to make, whichever way it travels: labels that somebody may have begun.
#[must_use]
pub fn loads_likely(input: &Volume, load_size: ByteCount, json: bool) -> u64 {
    input.text_bytes(json).map_or(1, |bytes| loads_of(bytes, load_size))
}

/// The fewest loads in JSON that inputs are likely to become.
#[must_use]
pub(super) fn json_loads_min(inputs: &[Volume], load_size: ByteCount) -> u64 {
    inputs.iter().map(|input| loads_of(input.json_bytes_min(), load_size)).sum()
}

fn loads_of(bytes: u64, load_size: ByteCount) -> u64 {
    bytes.div_ceil(load_size.0.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(bytes: u64) -> Volume {
        Volume { bytes: Some(bytes), stored: Stored::Csv, packed: Packed::No }
    }

    #[test]
    fn every_input_is_at_least_one_load() {
        let inputs = [csv(1), csv(0), csv(250)];
        assert_eq!(estimate(&inputs, ByteCount(100), false), Some(Estimate { loads: 5, bytes: 251 }));
        assert_eq!(estimate(&inputs, ByteCount(100), true).unwrap().loads, 1 + 1 + 8);
        assert_eq!(json_loads_min(&inputs, ByteCount(100)), 5);
    }

    #[test]
    fn what_is_packed_becomes_more() {
        let of = |stored, packed, json| Volume { bytes: Some(10), stored, packed }.text_bytes(json).unwrap();
        for (stored, packed, as_csv, as_json) in [
            (Stored::Csv, Packed::Tightly, 50, 150),
            (Stored::Csv, Packed::Lightly, 30, 90),
            (Stored::Json, Packed::Tightly, 50, 50),
            (Stored::Parquet, Packed::No, 40, 120),
            (Stored::Arrow, Packed::No, 10, 30),
        ] {
            assert_eq!(
                (of(stored, packed, false), of(stored, packed, true)),
                (as_csv, as_json),
                "{stored:?} {packed:?}"
            );
        }
    }

    #[test]
    fn nothing_is_known_of_a_stream() {
        let inputs = [csv(1), Volume { bytes: None, ..csv(0) }];
        assert_eq!(estimate(&inputs, ByteCount(100), true), None);
    }
}
