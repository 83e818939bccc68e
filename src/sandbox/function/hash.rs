//! Digests, checksums and identifiers.

#![expect(clippy::unnecessary_wraps, reason = "functions of one table have one signature")]

use rusqlite::types::{Value, ValueRef};
use sha2::Digest as _;

use super::{Outcome, Scalar, bytes_of};

pub(super) const FUNCTIONS: &[Scalar] = &[
    ("sr_md5", 1, |a| Ok(Value::Text(hex(&md5(&bytes_of(a[0])))))),
    ("sr_sha2", 2, sha2),
    ("sr_crc32", 1, |a| Ok(Value::Integer(i64::from(crc32(&bytes_of(a[0])))))),
    ("sr_murmur_hash3_32", -1, murmur),
];

/// The seed of StarRocks' `murmur_hash3_32`; each further argument is seeded with the hash so far.
const MURMUR_SEED: u32 = 104_729;

/// The 122 random bits and 6 fixed ones of a version 4 UUID.
pub(super) fn uuid() -> Value {
    Value::Text(uuid_text())
}

/// A UUID as text.
pub(in crate::sandbox) fn uuid_text() -> String {
    let mut bytes = random_bytes();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// 128 random bits as a LARGEINT.
pub(super) fn uuid_numeric() -> Value {
    Value::Text(i128::from_le_bytes(random_bytes()).to_string())
}

/// Random enough for a name: the hasher keys that the standard library draws from the system, once for each call.
pub(in crate::sandbox) fn random_bytes() -> [u8; 16] {
    use std::hash::{BuildHasher, RandomState};
    let halves = [RandomState::new().hash_one(0_u8), RandomState::new().hash_one(1_u8)];
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&halves[0].to_le_bytes());
    bytes[8..].copy_from_slice(&halves[1].to_le_bytes());
    bytes
}

fn hex(bytes: &[u8]) -> String {
    super::hex_text(bytes).to_ascii_lowercase()
}

fn sha2(arguments: &[ValueRef<'_>]) -> Outcome {
    let bytes = bytes_of(arguments[0]);
    Ok(match super::integer_of(arguments[1]) {
        224 => Value::Text(hex(&sha2::Sha224::digest(&bytes))),
        0 | 256 => Value::Text(hex(&sha2::Sha256::digest(&bytes))),
        384 => Value::Text(hex(&sha2::Sha384::digest(&bytes))),
        512 => Value::Text(hex(&sha2::Sha512::digest(&bytes))),
        _ => Value::Null,
    })
}

fn murmur(arguments: &[ValueRef<'_>]) -> Outcome {
    let hash = arguments.iter().fold(MURMUR_SEED, |seed, value| murmur3_32(&bytes_of(*value), seed));
    Ok(Value::Integer(i64::from(hash.cast_signed())))
}

fn murmur3_32(bytes: &[u8], seed: u32) -> u32 {
    let scramble = |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (blocks, tail) = bytes.as_chunks::<4>();
    let mut hash = blocks.iter().fold(seed, |hash, block| {
        let mixed = hash ^ scramble(u32::from_le_bytes(*block));
        mixed.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    let rest = tail.iter().rev().fold(0_u32, |rest, byte| rest << 8 | u32::from(*byte));
    hash ^= scramble(rest);
    #[expect(clippy::cast_possible_truncation, reason = "the algorithm takes the length modulo 2^32")]
    let length = bytes.len() as u32;
    hash ^= length;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

/// CRC-32 as in gzip, bit by bit: it is never on a hot path here.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// The rotations of MD5's four rounds, by step modulo 4.
const MD5_ROTATIONS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

fn md5(bytes: &[u8]) -> [u8; 16] {
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    // Zeros up to the last eight bytes of a block, which take the length.
    padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
    padded.extend((bytes.len() as u64).wrapping_mul(8).to_le_bytes());
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded.as_chunks::<64>().0 {
        let words: Vec<u32> = block.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let mixed = (0..64).fold(state, |state, step| md5_step(state, step, &words));
        state.iter_mut().zip(mixed).for_each(|(word, mixed)| *word = word.wrapping_add(mixed));
    }
    let mut digest = [0; 16];
    digest.as_chunks_mut::<4>().0.iter_mut().zip(state).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
    digest
}

fn md5_step([a, b, c, d]: [u32; 4], step: usize, words: &[u32]) -> [u32; 4] {
    let (mixed, word) = match step / 16 {
        0 => (b & c | !b & d, step),
        1 => (d & b | !d & c, (5 * step + 1) % 16),
        2 => (b ^ c ^ d, (3 * step + 5) % 16),
        _ => (c ^ (b | !d), 7 * step % 16),
    };
    // The constants of MD5 are defined as these sines, which are exact enough in double precision.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "below 2^32"
    )]
    let constant = (((step + 1) as f64).sin().abs() * 4_294_967_296.0) as u32;
    let sum = a.wrapping_add(mixed).wrapping_add(constant).wrapping_add(words[word]);
    [d, b.wrapping_add(sum.rotate_left(MD5_ROTATIONS[step / 16][step % 4])), b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_agree_with_published_ones() {
        assert_eq!(hex(&md5(b"")), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(hex(&md5(b"abc")), "900150983cd24fb0d6963f7d28e17f72");
        let digits = "1234567890".repeat(8);
        assert_eq!(hex(&md5(digits.as_bytes())), "57edf4a22be3c955ac49da2e2107b67a");
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(murmur3_32(b"", 1), 0x514e_28b7);
        assert_eq!(murmur3_32(b"test", 0x9747_b28c), 0x704b_81dc);
        assert_eq!(murmur3_32(b"Hello, world!", 0x9747_b28c), 0x2488_4cba);
    }

    #[test]
    fn every_length_is_padded_to_whole_blocks() {
        let all: std::collections::HashSet<[u8; 16]> = (0..200).map(|length| md5(&vec![b'x'; length])).collect();
        assert_eq!(all.len(), 200);
    }
}
