//! What a file of the spool says, as bytes: pure.
//!
//! ```text
//!  "shipload-spool-1\n" · length of the head (u32) · head (JSON) · XXH64 of the head · body as it travels
//! ```
//!
//! The head has the body's length and sum, so that the file's length follows from it: a byte more, a byte less or a byte that
//! is another one is noticed.

use std::io::Read;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use crate::model::{Chunk, Codec, InputReport, Label, Origin, Origins, WireFormat};

const MAGIC: &[u8; 17] = b"shipload-spool-1\n";

/// The longest head: a table of ten thousand columns has one of a megabyte.
const HEAD_BYTES_MAX: usize = 16 << 20;

/// The most bytes of rows' places that a head holds. Without them, a row that the target refuses is told by the place of its
/// chunk.
const ORIGINS_BYTES_MAX: u64 = 8 << 20;

/// Bodies are kept in pieces of this size, as the pipeline makes them.
const PIECE_BYTES: u64 = 1 << 20;

/// How far a stream was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// The place of a row.
    pub row: Origin,
    /// Whether that row is the last one that is safe, or the first one that is not.
    pub included: bool,
}

/// Everything about a chunk but its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// The label under which it travels.
    pub label: Label,
    /// Rows in it.
    pub rows: u64,
    /// Bytes before compression.
    pub text_bytes: u64,
    /// XXH64 of the text before compression.
    pub digest: u64,
    /// What the text is.
    pub format: WireFormat,
    /// How it is compressed.
    pub codec: Codec,
    /// Index of the input in the job's list.
    pub input: usize,
    /// The input's path.
    pub path: String,
    /// The first row's place.
    pub from: Origin,
    /// The last row's place.
    pub to: Origin,
    /// Every row's place, where they are not too many.
    #[serde(default, skip_serializing_if = "Origins::is_empty")]
    pub origins: Origins,
    /// How much of the input is safe with this chunk and those before it.
    pub reached: Reached,
    /// What the load has to say of how its bytes are to be read; the spool does not look into it.
    pub settings: serde_json::Value,
    /// Bytes of the body.
    pub body_bytes: u64,
    /// XXH64 of the body.
    pub body_sum: u64,
}

impl Head {
    /// The head of a chunk.
    #[must_use]
    pub fn new(chunk: &Chunk, label: Label, path: String, reached: Reached, settings: serde_json::Value) -> Self {
        Self {
            label,
            rows: chunk.rows,
            text_bytes: chunk.text_bytes,
            digest: chunk.digest,
            format: chunk.format,
            codec: chunk.codec,
            input: chunk.input,
            path,
            from: chunk.from,
            to: chunk.to,
            origins: if chunk.origins.bytes() <= ORIGINS_BYTES_MAX {
                chunk.origins.clone()
            } else {
                Origins::default()
            },
            reached,
            settings,
            body_bytes: chunk.body_bytes,
            body_sum: sum(&chunk.body),
        }
    }

    /// The chunk with its bytes.
    pub(super) fn chunk(&self, body: Vec<Bytes>) -> Chunk {
        Chunk {
            body,
            body_bytes: self.body_bytes,
            text_bytes: self.text_bytes,
            rows: self.rows,
            digest: self.digest,
            format: self.format,
            codec: self.codec,
            input: self.input,
            from: self.from,
            to: self.to,
            origins: self.origins.clone(),
        }
    }
}

/// Said once everything is read: the stream is whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Rows read, rejected ones included.
    pub rows_read: u64,
    /// Rows rejected.
    pub rows_rejected: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// One entry per input.
    pub inputs: Vec<InputReport>,
    /// The folder with the rejected rows, where there are any.
    pub rejects: Option<String>,
}

fn sum(pieces: &[Bytes]) -> u64 {
    use std::hash::Hasher as _;
    let mut sum = XxHash64::with_seed(0);
    for piece in pieces {
        sum.write(piece);
    }
    sum.finish()
}

/// Everything that stands before the body.
pub(super) fn framed(head: &impl Serialize) -> Vec<u8> {
    let head = serde_json::to_vec(head).expect("plain values");
    let length = u32::try_from(head.len()).expect("a head is far below four gigabytes");
    let mut bytes = MAGIC.to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend(&head);
    bytes.extend(XxHash64::oneshot(0, &head).to_le_bytes());
    bytes
}

/// Reads back what [`framed`] wrote, and how many bytes it took; or what is wrong with it.
pub(super) fn unframed<H: DeserializeOwned>(mut from: impl Read) -> Result<(H, u64), String> {
    fn exactly(mut from: impl Read, bytes: &mut [u8]) -> Result<(), String> {
        from.read_exact(bytes).map_err(|error| format!("its head is cut off: {error}"))
    }
    let mut magic = [0; MAGIC.len()];
    exactly(&mut from, &mut magic)?;
    if magic != *MAGIC {
        return Err("it does not begin as this version's files do".to_owned());
    }
    let mut length = [0; 4];
    exactly(&mut from, &mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > HEAD_BYTES_MAX {
        return Err(format!("its head has {length} bytes"));
    }
    let mut head = vec![0; length];
    exactly(&mut from, &mut head)?;
    let mut sum = [0; 8];
    exactly(&mut from, &mut sum)?;
    if XxHash64::oneshot(0, &head) != u64::from_le_bytes(sum) {
        return Err("its head is not the one that was written".to_owned());
    }
    let read = serde_json::from_slice(&head).map_err(|error| format!("its head cannot be understood: {error}"))?;
    Ok((read, (MAGIC.len() + 4 + length + 8) as u64))
}

/// Reads a chunk's head, and checks the file's length against it.
pub(super) fn head(from: impl Read, file_bytes: u64) -> Result<Head, String> {
    let (head, bytes): (Head, u64) = unframed(from)?;
    if bytes.checked_add(head.body_bytes) != Some(file_bytes) {
        return Err(format!("it has {file_bytes} bytes instead of {}", bytes.saturating_add(head.body_bytes)));
    }
    Ok(head)
}

/// Reads a chunk and checks every byte of it.
pub(super) fn chunk(mut from: impl Read, file_bytes: u64) -> Result<(Head, Chunk), String> {
    let head = head(&mut from, file_bytes)?;
    let mut body = Vec::new();
    let mut left = head.body_bytes;
    while left > 0 {
        let mut piece = vec![0; usize::try_from(left.min(PIECE_BYTES)).expect("a megabyte")];
        from.read_exact(&mut piece).map_err(|error| format!("its body cannot be read: {error}"))?;
        left -= piece.len() as u64;
        body.push(Bytes::from(piece));
    }
    if sum(&body) != head.body_sum {
        return Err("its body is not the one that was written".to_owned());
    }
    let chunk = head.chunk(body);
    Ok((head, chunk))
}
