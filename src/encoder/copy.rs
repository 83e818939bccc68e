//! Short pieces of text to the end of a buffer, in copies of a fixed size.
//!
//! Most cells are shorter than 32 bytes. For them the call that copies any number of bytes costs more than the copying; a copy
//! whose size is known to the compiler is one or two instructions. So some bytes too many are copied, and taken back.

/// Appends the first `length` of these bytes.
#[inline]
pub(super) fn append_first<const N: usize>(bytes: &[u8; N], length: usize, out: &mut Vec<u8>) {
    debug_assert!(length <= N);
    let end = out.len() + length;
    out.extend_from_slice(bytes);
    out.truncate(end);
}

/// Appends bytes, of which there are usually few.
#[inline]
pub(super) fn append(bytes: &[u8], out: &mut Vec<u8>) {
    const MANY: usize = 64;
    match bytes.len() {
        16..=MANY => {
            for block in bytes.as_chunks::<16>().0 {
                out.extend_from_slice(block);
            }
            ending::<16>(bytes, bytes.len() % 16, out);
        }
        8..16 => {
            beginning::<8>(bytes, out);
            ending::<8>(bytes, bytes.len() - 8, out);
        }
        4..8 => {
            beginning::<4>(bytes, out);
            ending::<4>(bytes, bytes.len() - 4, out);
        }
        0..4 => bytes.iter().for_each(|byte| out.push(*byte)),
        _ => out.extend_from_slice(bytes),
    }
}

#[inline]
fn beginning<const N: usize>(bytes: &[u8], out: &mut Vec<u8>) {
    if let Some(first) = bytes.first_chunk::<N>() {
        out.extend_from_slice(first);
    }
}

/// Appends the last bytes, of which only so many are missing; the others are written over what they are.
#[inline]
fn ending<const N: usize>(bytes: &[u8], missing: usize, out: &mut Vec<u8>) {
    if let Some(last) = bytes.last_chunk::<N>() {
        out.truncate(out.len() - (N - missing));
        out.extend_from_slice(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_copied_whole() {
        let bytes: Vec<u8> = (0..200).collect();
        for length in 0..bytes.len() {
            let mut out = vec![7];
            append(&bytes[..length], &mut out);
            assert_eq!((out[0], &out[1..]), (7, &bytes[..length]));
        }
        let mut out = vec![7];
        append_first(b"abcdef", 2, &mut out);
        assert_eq!(out, *b"\x07ab");
    }
}
