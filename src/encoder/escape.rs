//! Strings as each format quotes them.
//!
//! Most strings hold nothing that needs escaping. They are looked through in blocks of 16 bytes, without a branch inside a
//! block, which the compiler turns into vector comparisons on every target; only a hit is looked at byte by byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::copy::{self, any};
use crate::bits::{SMALL, special_in_csv, special_in_json};

/// Bytes looked at together: one SSE2 or NEON register.
const BLOCK: usize = 16;

/// For shorter strings, half of that.
const HALF: usize = 8;

/// Whether no byte needs escaping.
///
/// What is left of a string behind its last whole block is looked at as the block that ends with it: some bytes twice,
/// none of them one by one.
#[inline]
fn is_clean(bytes: &[u8], special: impl Fn(u8) -> bool) -> bool {
    match (bytes.last_chunk::<BLOCK>(), bytes.first_chunk::<HALF>(), bytes.last_chunk::<HALF>()) {
        (Some(last), ..) => bytes.as_chunks::<BLOCK>().0.iter().chain([last]).all(|block| !any(block, &special)),
        (None, Some(first), Some(last)) => !any(first, &special) && !any(last, &special),
        _ => !bytes.iter().any(|byte| special(*byte)),
    }
}

/// Where the first byte stands that needs escaping.
#[inline]
fn find(bytes: &[u8], special: impl Fn(u8) -> bool) -> Option<usize> {
    if is_clean(bytes, &special) { None } else { bytes.iter().position(|byte| special(*byte)) }
}

/// Appends `bytes`, with what `escape` writes in place of each special byte.
#[inline]
fn replace(bytes: &[u8], out: &mut Vec<u8>, special: impl Fn(u8) -> bool, escape: impl Fn(u8, &mut Vec<u8>)) {
    let mut rest = bytes;
    while let Some(at) = find(rest, &special) {
        out.extend_from_slice(&rest[..at]);
        escape(rest[at], out);
        rest = &rest[at + 1..];
    }
    copy::append(rest, out);
}

/// For each byte what stands behind a `\` in its place; zero for those that stand for themselves, [`CODE`] for those that are
/// written as their number.
pub(super) type Letters = [u8; 256];

/// `\u00` and two digits.
const CODE: u8 = b'u';

/// A way to write text in quotes.
pub(super) trait Quoting {
    const LETTERS: &Letters;

    /// Whether a byte has a letter.
    fn is_special(byte: u8) -> bool;

    /// The bit of each byte that has a letter.
    fn special(block: &[u8; SMALL]) -> u32;
}

/// A quoted CSV field of profile A (SR §6.5): `\` before each `"` and `\`.
///
/// Only these two: the escape byte before anything else would end the quoting (SR §6.3).
pub(super) struct Csv;

impl Quoting for Csv {
    const LETTERS: &Letters = &CSV_LETTERS;

    #[inline]
    fn is_special(byte: u8) -> bool {
        byte == b'"' || byte == b'\\'
    }

    #[inline]
    fn special(block: &[u8; SMALL]) -> u32 {
        special_in_csv(block)
    }
}

/// A JSON string: `"`, `\` and control characters escaped, everything else as it is.
pub(super) struct Json;

impl Quoting for Json {
    const LETTERS: &Letters = &JSON_LETTERS;

    #[inline]
    fn is_special(byte: u8) -> bool {
        byte < 0x20 || byte == b'"' || byte == b'\\'
    }

    #[inline]
    fn special(block: &[u8; SMALL]) -> u32 {
        special_in_json(block)
    }
}

/// What stands in place of a special byte, and how long it is.
#[inline]
pub(super) fn escaped(byte: u8, letters: &Letters) -> ([u8; 8], usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let letter = letters[usize::from(byte)];
    let [high, low] = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
    ([b'\\', letter, b'0', b'0', high, low, b' ', b' '], if letter == CODE { 6 } else { 2 })
}

/// Appends a text in quotes.
fn quoted<Q: Quoting>(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    replace(text, out, Q::is_special, |byte, out| {
        let (piece, len) = escaped(byte, Q::LETTERS);
        out.extend_from_slice(&piece[..len]);
    });
    out.push(b'"');
}

const CSV_LETTERS: Letters = {
    let mut letters = [0; 256];
    letters[b'"' as usize] = b'"';
    letters[b'\\' as usize] = b'\\';
    letters
};

/// A string inside the CSV text of an ARRAY or MAP (SR §6.6): quotes are doubled, and nothing else means anything.
pub(super) fn csv_element(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    replace(text, out, |byte| byte == b'"', |_, out| out.extend_from_slice(b"\"\""));
    out.push(b'"');
}

const JSON_LETTERS: Letters = {
    let mut letters = CSV_LETTERS;
    let mut control = 0;
    while control < 0x20 {
        letters[control] = CODE;
        control += 1;
    }
    letters[b'\n' as usize] = b'n';
    letters[b'\r' as usize] = b'r';
    letters[b'\t' as usize] = b't';
    letters
};

/// Appends a JSON string.
pub(super) fn json_string(text: &[u8], out: &mut Vec<u8>) {
    quoted::<Json>(text, out);
}

/// A JSON document on one line. Line ends can only stand between its tokens, where a space does as well.
pub(super) fn json_document(text: &[u8], out: &mut Vec<u8>) {
    replace(text, out, |byte| byte == b'\n' || byte == b'\r', |_, out| out.push(b' '));
}

/// Bytes of any kind as base64 in quotes. None of its characters needs escaping in any format.
pub(super) fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = BASE64.encode_slice(bytes, &mut out[start..]).expect("four characters for each started three bytes");
    out.truncate(start + written);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::super::room::Room;
    use super::*;

    fn text(append: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        append(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn placed<Q: Quoting>(around: &[u8], range: Range<usize>, doubled: bool) -> String {
        let mut room = Room::new(Vec::new(), 0);
        let end = room.put_quoted::<Q>(0, around, range, doubled);
        room.keep(end);
        String::from_utf8(room.end()).unwrap()
    }

    fn whole<Q: Quoting>(bytes: &[u8]) -> String {
        let mut room = Room::new(Vec::new(), 0);
        let end = room.put_whole::<Q>(0, bytes);
        room.keep(end);
        String::from_utf8(room.end()).unwrap()
    }

    #[test]
    fn a_special_byte_is_found_wherever_it_stands() {
        for len in 0..70 {
            assert_eq!(find(&vec![b'a'; len], |byte| byte == b'"'), None);
            for at in 0..len {
                let mut bytes = vec![b'a'; len];
                bytes[at..].fill(b'"');
                assert_eq!(find(&bytes, |byte| byte == b'"'), Some(at), "{len}");
            }
        }
    }

    #[test]
    fn each_quoting_escapes_what_it_must_and_no_more() {
        let raw = "a\"b\\c,\n\r\t\0\u{7f}é";
        assert_eq!(text(|out| quoted::<Csv>(raw.as_bytes(), out)), "\"a\\\"b\\\\c,\n\r\t\0\u{7f}é\"");
        assert_eq!(text(|out| csv_element(raw.as_bytes(), out)), "\"a\"\"b\\c,\n\r\t\0\u{7f}é\"");
        assert_eq!(text(|out| json_string(raw.as_bytes(), out)), r#""a\"b\\c,\n\r\t\u0000"#.to_owned() + "\u{7f}é\"");
    }

    #[test]
    fn a_json_string_holds_no_control_character() {
        for byte in 0..0x80 {
            let written = text(|out| json_string(&[byte], out));
            assert_eq!(serde_json::from_str::<String>(&written).unwrap().as_bytes(), [byte], "{written}");
            let is_raw = written.as_bytes()[1] == byte && byte != b'\\';
            assert_eq!(is_raw, byte >= 0x20 && byte != b'"' && byte != b'\\', "{written}");
        }
    }

    #[test]
    fn texts_of_every_length_are_escaped_alike_at_a_place_and_at_the_end() {
        for len in 0..200 {
            let bytes: Vec<u8> = (0..len).map(|at| b"a\"b\\\n\0"[at % 6]).collect();
            let unescaped: String = serde_json::from_str(&text(|out| json_string(&bytes, out))).unwrap();
            assert_eq!(unescaped.as_bytes(), bytes);
            assert_eq!(whole::<Json>(&bytes), text(|out| json_string(&bytes, out)));
            assert_eq!(whole::<Csv>(&bytes), text(|out| quoted::<Csv>(&bytes, out)));
            assert_eq!(placed::<Json>(&bytes, 0..len, false), text(|out| json_string(&bytes, out)));
            assert_eq!(placed::<Csv>(&bytes, 0..len, false), text(|out| quoted::<Csv>(&bytes, out)));
            // In the middle of a text, and with its quotes doubled.
            let doubled = String::from_utf8(bytes.clone()).unwrap().replace('"', "\"\"");
            let around = format!("\"\\{doubled}\"\\{doubled}");
            let range = 2..2 + doubled.len();
            assert_eq!(placed::<Json>(around.as_bytes(), range.clone(), true), text(|out| json_string(&bytes, out)));
            assert_eq!(placed::<Csv>(around.as_bytes(), range, true), text(|out| quoted::<Csv>(&bytes, out)));
        }
    }

    #[test]
    fn a_document_over_several_lines_becomes_one_line() {
        assert_eq!(text(|out| json_document(b"{\r\n \"a\\n\": 1\n}", out)), "{   \"a\\n\": 1 }");
    }

    #[test]
    fn bytes_of_every_length_become_base64() {
        for (bytes, expected) in [("", "\"\""), ("f", "\"Zg==\""), ("fo", "\"Zm8=\""), ("foo", "\"Zm9v\"")] {
            assert_eq!(text(|out| base64(bytes.as_bytes(), out)), expected);
        }
    }
}
