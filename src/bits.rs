//! Which of 64 bytes are a given one: as a mask of 64 bits, by the widest instructions that the machine has.
//!
//! All of the crate's `unsafe` for speed is here: calls of functions that were compiled for certain instructions. Its
//! invariants: the machine was asked for AVX2 right before the one way into code compiled for it ([`scan`]), and SSE2 is a
//! part of x86-64. The masks themselves are computed by safe code: no pointer is read.

#![expect(clippy::inline_always, reason = "what is not inlined is not compiled for the caller's instructions")]

/// The bytes that one mask is about.
pub(crate) const BLOCK: usize = 64;

/// Computes masks: a fixed algorithm is instantiated for each instruction set.
pub(crate) trait Masks {
    /// The bit of each byte that equals `byte`.
    fn equal(block: &[u8; BLOCK], byte: u8) -> u64;

    /// The bit of each byte that is no digit.
    fn not_digits(block: &[u8; BLOCK]) -> u64;
}

/// What is to be done with masks.
pub(crate) trait Scan {
    /// Does it. Implementations are `#[inline(always)]`, so that they are compiled for the caller's instructions.
    fn run<M: Masks>(self);
}

/// Runs a scan with the best masks that this machine has.
pub(crate) fn scan(scan: impl Scan) {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("bmi1")
            && std::arch::is_x86_feature_detected!("popcnt")
        {
            #[expect(unsafe_code, reason = "the features that the function needs were found in the line above")]
            unsafe {
                return x86::avx2(scan);
            }
        }
        scan.run::<x86::Sse2>();
    }
    #[cfg(not(target_arch = "x86_64"))]
    scan.run::<Portable>();
}

/// For each bit, whether an odd number of bits is set up to it and with it.
#[inline(always)]
pub(crate) fn parity(mut mask: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        mask ^= mask << shift;
    }
    mask
}

/// Where the first byte stands that a JSON string does not hold as it is: a quote, a backslash, a control character.
#[inline]
pub(crate) fn first_in_string(bytes: &[u8]) -> Option<usize> {
    let (blocks, rest) = bytes.as_chunks::<SMALL>();
    for (index, block) in blocks.iter().enumerate() {
        let mask = special_in_json(block);
        if mask != 0 {
            return Some(index * SMALL + mask.trailing_zeros() as usize);
        }
    }
    let found = rest.iter().position(|byte| is_special(*byte));
    found.map(|at| blocks.len() * SMALL + at)
}

/// Which of the bytes from `start` to `end` are no digits: the bit of each; all of them where they are more than 64.
#[inline]
pub(crate) fn odd_bytes(around: &[u8], start: usize, end: usize) -> u64 {
    let length = end - start;
    match around[start..].first_chunk::<SMALL>() {
        Some(block) if length <= SMALL => u64::from(odd(block)) & ((1 << length) - 1),
        _ if length > BLOCK => u64::MAX,
        _ => {
            let bytes = around[start..end].iter().enumerate();
            bytes.fold(0, |mask, (at, byte)| mask | u64::from(!byte.is_ascii_digit()) << at)
        }
    }
}

/// The bit of each byte that is no digit.
#[inline]
fn odd(block: &[u8; SMALL]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "SSE2 is a part of x86-64")]
    unsafe {
        x86::odd_sse2(block)
    }
    #[cfg(not(target_arch = "x86_64"))]
    block.iter().enumerate().fold(0, |mask, (at, byte)| mask | u32::from(!byte.is_ascii_digit()) << at)
}

/// The bytes that are looked at together where texts are short.
pub(crate) const SMALL: usize = 16;

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The bit of each byte that a JSON string does not hold as it is.
#[inline]
pub(crate) fn special_in_json(block: &[u8; SMALL]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "SSE2 is a part of x86-64")]
    unsafe {
        x86::quoting_sse2(block) | x86::control_sse2(block)
    }
    #[cfg(not(target_arch = "x86_64"))]
    block.iter().enumerate().fold(0, |mask, (at, byte)| mask | u32::from(is_special(*byte)) << at)
}

/// The bit of each quote and each backslash.
#[inline]
pub(crate) fn special_in_csv(block: &[u8; SMALL]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "SSE2 is a part of x86-64")]
    unsafe {
        x86::quoting_sse2(block)
    }
    #[cfg(not(target_arch = "x86_64"))]
    block.iter().enumerate().fold(0, |mask, (at, byte)| mask | u32::from(matches!(byte, b'"' | b'\\')) << at)
}

/// Plain arithmetic, eight bytes at a time.
#[cfg(any(test, not(target_arch = "x86_64")))]
struct Portable;

#[cfg(any(test, not(target_arch = "x86_64")))]
impl Masks for Portable {
    #[inline(always)]
    fn equal(block: &[u8; BLOCK], byte: u8) -> u64 {
        let wanted = u64::from(byte) * LOW;
        // The high bit of each byte that differs, exactly: no carry crosses from one byte to the next.
        !by_words(block, |word| {
            let differing = word ^ wanted;
            (((differing & !HIGH) + !HIGH) | differing) & HIGH
        })
    }

    #[inline(always)]
    fn not_digits(block: &[u8; BLOCK]) -> u64 {
        by_words(block, |word| {
            let digits = word ^ (u64::from(b'0') * LOW);
            // 0x76 carries into the high bit from ten on.
            (((digits & !HIGH) + 0x76 * LOW) | digits) & HIGH
        })
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
const LOW: u64 = 0x0101_0101_0101_0101;

#[cfg(any(test, not(target_arch = "x86_64")))]
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The bit of each byte whose high bit is set by `high`, which is given eight bytes at a time.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline(always)]
fn by_words(block: &[u8; BLOCK], high: impl Fn(u64) -> u64) -> u64 {
    let words = block.as_chunks::<8>().0.iter().enumerate();
    words.fold(0, |mask, (at, word)| {
        // The eight high bits, gathered into the low byte.
        let bits = (high(u64::from_le_bytes(*word)) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask | bits << (8 * at)
    })
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
        _mm_sub_epi8, _mm256_cmpeq_epi8, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_set_epi64x, _mm256_set1_epi8,
        _mm256_sub_epi8,
    };

    use super::{BLOCK, Masks, SMALL, Scan};

    /// Every x86-64 processor has it.
    pub(super) struct Sse2;

    struct Avx2;

    #[target_feature(enable = "avx2,bmi1,popcnt")]
    pub(super) fn avx2(scan: impl Scan) {
        scan.run::<Avx2>();
    }

    #[expect(clippy::cast_possible_wrap, reason = "the bits are what counts")]
    #[inline(always)]
    fn word(block: &[u8; BLOCK], at: usize) -> i64 {
        u64::from_le_bytes(block.as_chunks::<8>().0[at]) as i64
    }

    impl Masks for Sse2 {
        #[inline(always)]
        fn equal(block: &[u8; BLOCK], byte: u8) -> u64 {
            #[expect(unsafe_code, reason = "SSE2 is a part of x86-64")]
            unsafe {
                equal_sse2(block, byte)
            }
        }

        #[inline(always)]
        fn not_digits(block: &[u8; BLOCK]) -> u64 {
            #[expect(unsafe_code, reason = "SSE2 is a part of x86-64")]
            unsafe {
                not_digits_sse2(block)
            }
        }
    }

    #[target_feature(enable = "sse2")]
    #[expect(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "the bits are what counts")]
    #[inline]
    fn equal_sse2(block: &[u8; BLOCK], byte: u8) -> u64 {
        let wanted = _mm_set1_epi8(byte as i8);
        let quarter =
            |at: usize| -> u64 { u64::from(_mm_movemask_epi8(_mm_cmpeq_epi8(quarter_of(block, at), wanted)) as u32) };
        quarter(0) | quarter(1) << 16 | quarter(2) << 32 | quarter(3) << 48
    }

    #[target_feature(enable = "sse2")]
    #[expect(clippy::cast_sign_loss, reason = "the bits are what counts")]
    #[inline]
    fn not_digits_sse2(block: &[u8; BLOCK]) -> u64 {
        let quarter = |at: usize| -> u64 {
            let digits = _mm_sub_epi8(quarter_of(block, at), _mm_set1_epi8(b'0'.cast_signed()));
            let is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digits, _mm_set1_epi8(9)), digits);
            u64::from(_mm_movemask_epi8(is_digit) as u32)
        };
        !(quarter(0) | quarter(1) << 16 | quarter(2) << 32 | quarter(3) << 48)
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    fn quarter_of(block: &[u8; BLOCK], at: usize) -> __m128i {
        _mm_set_epi64x(word(block, 2 * at + 1), word(block, 2 * at))
    }

    #[target_feature(enable = "sse2")]
    #[expect(clippy::cast_possible_truncation, reason = "the bits are what counts")]
    #[inline]
    fn small(block: &[u8; SMALL]) -> __m128i {
        let bytes = u128::from_le_bytes(*block);
        _mm_set_epi64x((bytes >> 64) as i64, bytes as i64)
    }

    #[target_feature(enable = "sse2")]
    #[expect(clippy::cast_sign_loss, reason = "the bits are what counts")]
    #[inline]
    pub(super) fn odd_sse2(block: &[u8; SMALL]) -> u32 {
        let digits = _mm_sub_epi8(small(block), _mm_set1_epi8(b'0'.cast_signed()));
        let is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digits, _mm_set1_epi8(9)), digits);
        !_mm_movemask_epi8(is_digit) as u32 & 0xffff
    }

    #[target_feature(enable = "sse2")]
    #[expect(clippy::cast_sign_loss, reason = "the bits are what counts")]
    #[inline]
    pub(super) fn quoting_sse2(block: &[u8; SMALL]) -> u32 {
        let bytes = small(block);
        let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"'.cast_signed()));
        let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\'.cast_signed()));
        _mm_movemask_epi8(_mm_or_si128(quote, backslash)) as u32
    }

    #[target_feature(enable = "sse2")]
    #[expect(clippy::cast_sign_loss, reason = "the bits are what counts")]
    #[inline]
    pub(super) fn control_sse2(block: &[u8; SMALL]) -> u32 {
        let bytes = small(block);
        _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes)) as u32
    }

    impl Masks for Avx2 {
        #[inline(always)]
        fn equal(block: &[u8; BLOCK], byte: u8) -> u64 {
            #[expect(unsafe_code, reason = "`Avx2` is private, and named only by a function compiled for AVX2")]
            unsafe {
                equal_avx2(block, byte)
            }
        }

        #[inline(always)]
        fn not_digits(block: &[u8; BLOCK]) -> u64 {
            #[expect(unsafe_code, reason = "`Avx2` is private, and named only by a function compiled for AVX2")]
            unsafe {
                not_digits_avx2(block)
            }
        }
    }

    #[target_feature(enable = "avx2")]
    #[expect(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "the bits are what counts")]
    #[inline]
    fn equal_avx2(block: &[u8; BLOCK], byte: u8) -> u64 {
        let wanted = _mm256_set1_epi8(byte as i8);
        let half = |at: usize| -> u64 {
            u64::from(_mm256_movemask_epi8(_mm256_cmpeq_epi8(half_of(block, at), wanted)) as u32)
        };
        half(0) | half(1) << 32
    }

    #[target_feature(enable = "avx2")]
    #[expect(clippy::cast_sign_loss, reason = "the bits are what counts")]
    #[inline]
    fn not_digits_avx2(block: &[u8; BLOCK]) -> u64 {
        let half = |at: usize| -> u64 {
            let digits = _mm256_sub_epi8(half_of(block, at), _mm256_set1_epi8(b'0'.cast_signed()));
            let is_digit = _mm256_cmpeq_epi8(_mm256_min_epu8(digits, _mm256_set1_epi8(9)), digits);
            u64::from(_mm256_movemask_epi8(is_digit) as u32)
        };
        !(half(0) | half(1) << 32)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn half_of(block: &[u8; BLOCK], at: usize) -> __m256i {
        let word = |index| word(block, 4 * at + index);
        _mm256_set_epi64x(word(3), word(2), word(1), word(0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Equal<'a>(&'a [u8; BLOCK], u8, &'a mut u64);

    impl Scan for Equal<'_> {
        #[inline(always)]
        fn run<M: Masks>(self) {
            *self.2 = M::equal(self.0, self.1);
        }
    }

    struct NotDigits<'a>(&'a [u8; BLOCK], &'a mut u64);

    impl Scan for NotDigits<'_> {
        #[inline(always)]
        fn run<M: Masks>(self) {
            *self.1 = M::not_digits(self.0);
        }
    }

    proptest! {
        #[test]
        fn every_instruction_set_tells_digits(
            block in prop::collection::vec(prop_oneof![any::<u8>(), b'-'..=b'<'], BLOCK),
        ) {
            let block: [u8; BLOCK] = block.try_into().unwrap();
            let bit = |at: usize| u64::from(!block[at].is_ascii_digit()) << at;
            let expected = (0..BLOCK).fold(0, |mask, at| mask | bit(at));
            prop_assert_eq!(Portable::not_digits(&block), expected);
            #[cfg(target_arch = "x86_64")]
            prop_assert_eq!(x86::Sse2::not_digits(&block), expected);
            let mut best = 0;
            scan(NotDigits(&block, &mut best));
            prop_assert_eq!(best, expected);
        }

        #[test]
        fn what_is_no_digit_is_told_of_every_range(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), b'-'..=b'<'], 0..90), start in 0_usize..90, length in 0_usize..90,
        ) {
            let start = start.min(bytes.len());
            let end = (start + length).min(bytes.len());
            let bit = |at: usize| u64::from(!bytes[start + at].is_ascii_digit()) << at;
            let expected = if end - start > BLOCK { u64::MAX } else { (0..end - start).fold(0, |mask, at| mask | bit(at)) };
            prop_assert_eq!(odd_bytes(&bytes, start, end), expected);
        }

        #[test]
        fn quotes_are_seen_in_short_blocks(bytes in prop::array::uniform16(prop::sample::select(b"ab\xdc\xa2\xff \x1f\x00\"\\".as_slice()))) {
            let mask = |special: fn(u8) -> bool| (0..SMALL).fold(0, |mask, at| mask | u32::from(special(bytes[at])) << at);
            prop_assert_eq!(special_in_json(&bytes), mask(is_special));
            prop_assert_eq!(special_in_csv(&bytes), mask(|byte| byte == b'"' || byte == b'\\'));
        }

        #[test]
        fn what_ends_a_string_is_found_wherever_it_stands(bytes in prop::collection::vec(prop::sample::select(b"ab\xc3\xff \x7f\x1f\x00\"\\".as_slice()), 0..50), plain in 0_usize..50) {
            let bytes = [vec![b'a'; plain], bytes].concat();
            prop_assert_eq!(first_in_string(&bytes), bytes.iter().position(|byte| is_special(*byte)));
        }

        #[test]
        fn every_instruction_set_sees_the_same(block in prop::collection::vec(0_u8..4, BLOCK), high: bool, byte in 0_u8..4) {
            let shift = |byte: u8| if high { byte | 0x80 } else { byte };
            let block: [u8; BLOCK] = std::array::from_fn(|at| shift(block[at]));
            let byte = shift(byte);
            let expected = (0..BLOCK).fold(0_u64, |mask, at| mask | u64::from(block[at] == byte) << at);
            prop_assert_eq!(Portable::equal(&block, byte), expected);
            #[cfg(target_arch = "x86_64")]
            prop_assert_eq!(x86::Sse2::equal(&block, byte), expected);
            let mut best = 0;
            scan(Equal(&block, byte, &mut best));
            prop_assert_eq!(best, expected);
        }
    }
}
