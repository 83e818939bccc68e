//! Where a JSON record ends: brackets and strings are followed, nothing is parsed.

use memchr::{memchr, memchr2, memchr3};

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A value of this many bytes. Whether it is one is for the parser to say.
    Value(usize),
    /// Something that breaks off at this offset, at the end of a line: no value goes on that way.
    Broken(usize),
    /// The start of a value; more bytes are needed to tell.
    More,
}

/// Finds the end of the value at the start of `bytes`, which begins with no blank.
///
/// Where records stand in `lines`, two things tell that a line breaks off and does not just go on in the next one: a
/// line end within a string, which JSON does not have, and a next line that starts with what cannot follow. Without them
/// one broken line would swallow the rest of the file.
pub(super) fn value(bytes: &[u8], lines: bool) -> Frame {
    match bytes.first() {
        None => Frame::More,
        Some(b'{' | b'[') => nested(bytes, lines),
        Some(b'"') => match string(bytes, 0, lines) {
            Text::End(end) => Frame::Value(end),
            Text::Broken(end) => Frame::Broken(end),
            Text::More => Frame::More,
        },
        Some(_) => {
            // A bare word goes up to what may follow a value; at least one byte, so that every record has some.
            let ends =
                |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b'[' | b']' | b'{' | b'}' | b'"');
            bytes[1..].iter().position(ends).map_or(Frame::More, |end| Frame::Value(end + 1))
        }
    }
}

fn nested(bytes: &[u8], lines: bool) -> Frame {
    let mut depth = 0_usize;
    let mut at = 0;
    // The last byte that was no blank: it says whether a value may begin.
    let mut last = 0;
    while let Some(byte) = bytes.get(at).copied() {
        match byte {
            b'"' => match string(bytes, at, lines) {
                Text::End(end) => at = end - 1,
                Text::Broken(end) => return Frame::Broken(end),
                Text::More => return Frame::More,
            },
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Frame::Value(at + 1);
                }
            }
            b'\n' if lines => match bytes.get(at + 1) {
                Some(next) if !may_follow(last, *next) => return Frame::Broken(at),
                Some(_) => {}
                None => return Frame::More,
            },
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            last = byte;
        }
        at += 1;
    }
    Frame::More
}

/// Whether a line may start with `next` where the ones before it end with `last`. Blanks leave it open.
fn may_follow(last: u8, next: u8) -> bool {
    match (last, next) {
        (_, b' ' | b'\t' | b'\r' | b'\n') => true,
        (b'[' | b',' | b':', _) => true,
        (b'{', _) => matches!(next, b'"' | b'}'),
        _ => matches!(next, b',' | b':' | b'}' | b']'),
    }
}

enum Text {
    End(usize),
    Broken(usize),
    More,
}

/// Finds the end of the string that opens at `open`.
fn string(bytes: &[u8], open: usize, lines: bool) -> Text {
    let mut at = open + 1;
    loop {
        let Some(rest) = bytes.get(at..) else { return Text::More };
        let found = if lines { memchr3(b'"', b'\\', b'\n', rest) } else { memchr2(b'"', b'\\', rest) };
        let Some(found) = found else { return Text::More };
        at += found;
        match bytes[at] {
            b'"' => return Text::End(at + 1),
            b'\n' => return Text::Broken(at),
            // The line end behind a backslash is still one.
            _ if lines && bytes.get(at + 1) == Some(&b'\n') => return Text::Broken(at + 1),
            _ => at += 2,
        }
    }
}

/// Finds where to go on after something broken, which reaches at least to `from`: the line end before the next line
/// that does not look as if it went on with a value.
///
/// Blanks, quotes, commas, colons and closing brackets at the start of a line do: they belong to an object that is
/// written over several lines, and so to the broken record. Taken for records of their own, parts of it could be
/// loaded as rows. None if more bytes are needed.
pub(super) fn resume(bytes: &[u8], from: usize, at_end: bool) -> Option<usize> {
    let mut at = from;
    loop {
        let Some(found) = memchr(b'\n', &bytes[at..]) else { return at_end.then_some(bytes.len()) };
        let line_end = at + found;
        match bytes.get(line_end + 1) {
            Some(b' ' | b'\t' | b'"' | b',' | b':' | b'}' | b']') => at = line_end + 1,
            Some(_) => return Some(line_end),
            None => return at_end.then_some(line_end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_where_their_brackets_and_strings_do() {
        for (text, end) in [
            (r#"{"a":1}{"b":2}"#, 7),
            (r#"{"a":"}\"}"}"#, 12),
            ("{\n \"a\": [\n{\n}\n,\n{}]\n}\n", 21),
            ("[1,[2]] x", 7),
            (r#""a\\" "#, 5),
            ("12,", 2),
            ("null]", 4),
            (",,", 1),
        ] {
            for lines in [true, false] {
                assert_eq!(value(text.as_bytes(), lines), Frame::Value(end), "{text}");
            }
        }
        for text in ["", "{", r#"{"a"#, r#"{"a\"#, "12", r#"{"a":{}"#, "{\"a\":1\n"] {
            assert_eq!(value(text.as_bytes(), true), Frame::More, "{text}");
        }
    }

    #[test]
    fn a_line_that_breaks_off_is_told_from_one_that_goes_on() {
        for (text, end) in [
            ("{\"a\":1\n{\"a\":2}\n", 6),
            ("{\"a\":{}\n7\n", 7),
            ("{\n{", 1),
            ("{\"a\":\"x\n{\"a\":2}\n", 7),
            ("{\"a\":\"x\\\n", 8),
            ("{\"a\":[1,\n{}\n{\"a\":2}", 11),
        ] {
            assert_eq!(value(text.as_bytes(), true), Frame::Broken(end), "{text}");
        }
        assert_eq!(value(b"{\"a\":\"x\ny\"}", false), Frame::Value(11));
    }

    #[test]
    fn reading_goes_on_at_the_next_line_that_starts_something() {
        for (text, at_end, expected) in [
            ("x\n{}", false, Some(1)),
            ("x\n  \"b\": 2\n}\n{}", false, Some(12)),
            ("x\n", false, None),
            ("x\n", true, Some(1)),
            ("x", false, None),
            ("x", true, Some(1)),
            ("x\n }", true, Some(4)),
        ] {
            assert_eq!(resume(text.as_bytes(), 0, at_end), expected, "{text:?}");
        }
    }
}
