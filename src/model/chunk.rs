//! [`Chunk`]: encoded bytes ready to send.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::batch::Origin;
use super::origins::Origins;

/// The text format of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WireFormat {
    /// Quoted CSV: `,` between fields, `"` around them, `\` before `"` and `\`, `\n` after each row, NULL is `\\N`.
    Csv,
    /// One JSON object per line.
    Json,
}

/// How a body is compressed: one frame or member per body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Codec {
    /// As it is.
    None,
    /// LZ4 frame format.
    Lz4,
    /// Zstandard, level 1.
    Zstd,
    /// One gzip member, level 1.
    Gzip,
}

impl Codec {
    /// The name users write and reports show.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }
}

/// The unit of sending and of memory: the bytes of whole rows of one input, encoded and compressed.
///
/// A chunk is complete before a byte of it is sent. Its length is therefore known to the request, the server can check
/// it, and an attempt can be repeated with the very same bytes.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The compressed body, in pieces of a bounded size.
    pub body: Vec<Bytes>,
    /// Bytes of `body`.
    pub body_bytes: u64,
    /// Bytes before compression.
    pub text_bytes: u64,
    /// Rows in it; never 0.
    pub rows: u64,
    /// XXH64 of the text before compression.
    pub digest: u64,
    /// What the text is.
    pub format: WireFormat,
    /// How it is compressed.
    pub codec: Codec,
    /// Index of the input in the job's list.
    pub input: usize,
    /// The first row's place.
    pub from: Origin,
    /// The last row's place.
    pub to: Origin,
    /// Every row's place; none where nobody kept them.
    pub origins: Origins,
}
