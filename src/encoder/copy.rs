//! Short pieces of text to the end of a buffer, in copies of a fixed size.
//!
//! Most cells are shorter than 32 bytes. For them the call that copies any number of bytes costs more than the copying; a copy
//! whose size is known to the compiler is one or two instructions. So some bytes too many are copied, and taken back.

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

/// Copies a text, and says whether a byte of it is special.
///
/// The blocks at its ends may overlap, so that none is shorter; they are copied twice there, and the same both times.
///
/// # Panics
/// When there is less place than text.
#[inline]
pub(super) fn copied(text: &[u8], to: &mut [u8], special: impl Fn(u8) -> bool) -> bool {
    let to = &mut to[..text.len()];
    match text.len() {
        16.. => {
            let mut found = false;
            for (block, to) in text.as_chunks::<16>().0.iter().zip(to.as_chunks_mut::<16>().0) {
                found |= any(block, &special);
                *to = *block;
            }
            found | last::<16>(text, to, &special)
        }
        8.. => first::<8>(text, to, &special) | last::<8>(text, to, &special),
        4.. => first::<4>(text, to, &special) | last::<4>(text, to, &special),
        _ => {
            let mut found = false;
            for (byte, to) in text.iter().zip(to) {
                found |= special(*byte);
                *to = *byte;
            }
            found
        }
    }
}

#[inline]
fn first<const N: usize>(text: &[u8], to: &mut [u8], special: impl Fn(u8) -> bool) -> bool {
    let (Some(block), Some(to)) = (text.first_chunk::<N>(), to.first_chunk_mut::<N>()) else { return false };
    *to = *block;
    any(block, special)
}

#[inline]
fn last<const N: usize>(text: &[u8], to: &mut [u8], special: impl Fn(u8) -> bool) -> bool {
    let (Some(block), Some(to)) = (text.last_chunk::<N>(), to.last_chunk_mut::<N>()) else { return false };
    *to = *block;
    any(block, special)
}

/// Whether one of a fixed number of bytes is special. No branch inside: this is what becomes vector code.
#[inline]
pub(super) fn any<const N: usize>(block: &[u8; N], special: impl Fn(u8) -> bool) -> bool {
    block.iter().fold(0, |any, byte| any | u8::from(special(*byte))) != 0
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
    }

    #[test]
    fn every_length_is_copied_and_looked_at_whole() {
        for length in 0..70 {
            let clean = vec![b'a'; length];
            let mut to = vec![0; length + 1];
            assert!(!copied(&clean, &mut to, |byte| byte == b'"'));
            assert_eq!((&to[..length], to[length]), (&clean[..], 0));
            for at in 0..length {
                let mut text = clean.clone();
                text[at] = b'"';
                assert!(copied(&text, &mut to, |byte| byte == b'"'), "{at} of {length}");
                assert_eq!(to[..length], text);
            }
        }
    }
}
