//! The parsers against what was found by running the server's.

use std::io::{self, Read};

use proptest::prelude::*;

use super::{Dialect, NULL, Rows};

/// Gives out a body in pieces of one byte, so that every row crosses the edge of the buffer at every place.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.len().min(buffer.len()).min(1);
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fn read(dialect: &Dialect, body: &[u8]) -> Vec<Vec<String>> {
    read_from(dialect, Trickle(body))
}

fn read_from(dialect: &Dialect, body: impl Read) -> Vec<Vec<String>> {
    let mut rows = Rows::new(body, dialect.clone());
    let mut out = Vec::new();
    while rows.advance().expect("memory can be read") {
        out.push((0..rows.field_count()).map(|at| String::from_utf8_lossy(rows.field(at)).into_owned()).collect());
    }
    out
}

fn plain() -> Dialect {
    Dialect { separator: b",".to_vec(), ..Dialect::default() }
}

/// Profile A: quotes and escapes.
fn both() -> Dialect {
    Dialect { enclose: b'"', escape: b'\\', ..plain() }
}

/// Profile B: quotes only.
fn quotes() -> Dialect {
    Dialect { enclose: b'"', ..plain() }
}

fn check(dialect: &Dialect, cases: &[(&str, &[&[&str]])]) {
    for (body, rows) in cases {
        assert_eq!(read(dialect, body.as_bytes()), *rows, "{body:?}");
    }
}

#[test]
fn a_long_field_of_nothing_but_escapes_is_a_field() {
    let body = format!("\"{}\",x\n", "\\\"".repeat(200_000));
    let rows = read_from(&both(), body.as_bytes());
    assert_eq!((rows[0][0].len(), rows[0][1].as_str()), (200_000, "x"));
}

#[test]
fn the_plain_parser_knows_no_quotes() {
    check(
        &plain(),
        &[
            ("", &[]),
            ("a,b\nc,d\n", &[&["a", "b"], &["c", "d"]]),
            ("a,b\nc,d", &[&["a", "b"], &["c", "d"]]),
            ("\"a,b\"\n", &[&["\"a", "b\""]]),
            ("a\\,b\n", &[&["a\\", "b"]]),
            ("a,b\r\n", &[&["a", "b\r"]]),
            ("\n\na\n\n", &[&["a"]]),
            (",\n", &[&["", ""]]),
            (" a , b \n", &[&[" a ", " b "]]),
        ],
    );
}

#[test]
fn separators_and_delimiters_may_be_long() {
    let dialect = Dialect { separator: b"||".to_vec(), delimiter: b"\r\n".to_vec(), ..Dialect::default() };
    check(&dialect, &[("a||b|c\r\nd\n||e\r\n", &[&["a", "b|c"], &["d\n", "e"]])]);
}

#[test]
fn a_header_is_counted_in_raw_rows() {
    check(&Dialect { skip_header: 2, ..plain() }, &[("h\n\na\n", &[&["a"]]), ("h\n", &[]), ("h\ni\nj", &[&["j"]])]);
    // The quoted line break does not make the header longer.
    check(&Dialect { skip_header: 1, ..both() }, &[("\"h\ni\"\na\n", &[&["i\na"]])]);
}

#[test]
fn blanks_around_fields_are_trimmed_on_request() {
    check(&Dialect { trim_space: true, ..plain() }, &[("  a , b c\n", &[&["a", "b c"]]), ("   ,\t\n", &[&["", "\t"]])]);
    check(
        &Dialect { trim_space: true, ..both() },
        &[("  \" a \"  , b \n", &[&[" a ", "b"]]), ("\"\"\"\" ,x\n", &[&["\"", "x"]])],
    );
}

#[test]
fn quotes_make_separators_and_delimiters_literal() {
    check(
        &both(),
        &[
            ("\"a,b\",\"c\nd\"\n", &[&["a,b", "c\nd"]]),
            ("\"a\"\"b\"\n", &[&["a\"b"]]),
            ("\"\"\"a\"\n", &[&["\"a"]]),
            ("\"\",\"\"\n", &[&["", ""]]),
            ("\"\"\"\"\n", &[&["\""]]),
            ("a,\"b\"", &[&["a", "b"]]),
            ("\"\"\n", &[&[""]]),
            ("\n\"a\"\n\n", &[&["a"]]),
        ],
    );
}

#[test]
fn an_escape_makes_control_bytes_literal() {
    check(
        &both(),
        &[
            (r#""a\"b","c\\d""#, &[&["a\"b", "c\\d"]]),
            ("a\\,b,c\\\nd\n", &[&["a,b", "c\nd"]]),
            ("\"a\\,b\"\n", &[&["a,b"]]),
        ],
    );
}

#[test]
fn an_escape_before_another_byte_ends_the_quotes() {
    check(
        &both(),
        &[
            // The escape vanishes, `n` stays, and from there on the separator separates; the field then loses its last
            // byte, which is taken for the closing quote.
            ("\"a\\nb,c\n", &[&["an", "c"]]),
            ("a\\nb,c\n", &[&["anb", "c"]]),
        ],
    );
}

#[test]
fn a_stray_quote_goes_and_takes_the_next_byte_as_it_is() {
    check(&both(), &[("a\",b,c\n", &[&["a,b", "c"]]), ("ab\"c,d\n", &[&["abc", "d"]])]);
}

#[test]
fn nothing_may_follow_a_closing_quote() {
    check(&both(), &[("a,\"b\"\r\n", &[&["a", "b\""]]), ("\"a\" ,b\n", &[&["a\"", "b"]])]);
    check(&both(), &[(" \"a\",b\n", &[&[" a,b"]])]);
}

#[test]
fn the_option_that_is_unset_is_the_byte_zero() {
    // As the missing escape: it vanishes, and with it the quotes.
    check(&quotes(), &[("\"a\0b,c\n", &[&["a", "c"]])]);
    check(&quotes(), &[("\"a\0\"b\",c\n", &[&["a\"b", "c"]])]);
    // As the missing quote: it opens a quoted field.
    check(&Dialect { escape: b'\\', ..plain() }, &[("\0a,b\0,c\n", &[&["a,b", "c"]])]);
    // With both set it is a byte like any other.
    check(&both(), &[("\"a\0b\",c\n", &[&["a\0b", "c"]])]);
}

#[test]
fn null_is_told_after_unquoting() {
    let null = std::str::from_utf8(NULL).expect("ASCII");
    check(&plain(), &[("\\N,a\n", &[&[null, "a"]])]);
    check(&quotes(), &[("\\N,\"\\N\"\n", &[&[null, null]])]);
    // With the backslash as the escape a bare `\N` is an `N`.
    check(&both(), &[("\\N,\\\\N\n", &[&["N", null]]), ("\"\\\\N\"\n", &[&[null]])]);
}

#[test]
fn a_body_that_ends_inside_quotes_loses_its_last_byte() {
    check(&both(), &[("a,\"bcd", &[&["a", "bc"]]), ("\"", &[&[""]])]);
    // A last delimiter that is content, because quotes are open or behind an escape, does not cost the row.
    check(&both(), &[("x\n\"bcd\n", &[&["x"], &["bc"]]), ("a\\\n", &[&["a"]]), ("a\"\n", &[&["a"]])]);
}

#[test]
fn a_long_delimiter_at_the_end_damages_the_last_field_where_that_is_asked_for() {
    // Section 6.4 of the protocol: the closing quote and part of the delimiter stay.
    let long = |dialect: Dialect| Dialect { delimiter: b"\r\n".to_vec(), tail_damage: true, ..dialect };
    check(
        &long(both()),
        &[
            ("\"a\",\"b\"\r\n", &[&["a", "b\"\r"]]),
            ("\"a\",\"b\"\r\n\"c\",\"d\"\r\n", &[&["a", "b"], &["c", "d\"\r"]]),
            // Without the delimiter at the end it parses.
            ("\"a\",\"b\"\r\n\"c\",\"d\"", &[&["a", "b"], &["c", "d"]]),
            ("\"a\",\"b\"\r", &[&["a", "b\""]]),
            ("a,b\r\n", &[&["a", "b\r\n"]]),
        ],
    );
    // Neither the plain parser nor a delimiter of one byte is affected, nor who does not ask.
    check(&long(plain()), &[("a,b\r\n", &[&["a", "b"]])]);
    check(&Dialect { tail_damage: true, ..both() }, &[("\"a\",\"b\"\n", &[&["a", "b"]])]);
    check(&Dialect { tail_damage: false, ..long(both()) }, &[("\"a\",\"b\"\r\n", &[&["a", "b"]])]);
}

/// Every string of up to four symbols of the alphabet that parsers stumble over.
fn nasty_strings() -> Vec<String> {
    let alphabet = ['"', '\\', ',', '\n', '\r', '\0', ' ', 'a', 'N'];
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..4 {
        last = last.iter().flat_map(|text| alphabet.iter().map(move |symbol| format!("{text}{symbol}"))).collect();
        all.extend(last.iter().cloned());
    }
    all
}

/// Reads what a profile writes, with the value in the first, a middle and the last place of a row.
fn survives(dialect: &Dialect, encode: impl Fn(&str) -> String, null: &str, excluded: impl Fn(&str) -> bool) {
    let values: Vec<String> = nasty_strings().into_iter().filter(|value| !excluded(value)).collect();
    assert!(values.len() > 3000, "the profile excludes too much");
    let separator = String::from_utf8(dialect.separator.clone()).expect("ASCII");
    let delimiter = String::from_utf8(dialect.delimiter.clone()).expect("ASCII");
    let row = |value: &String| {
        [&encode(value), null, &encode(value), &encode("x"), &encode(value)].map(str::to_owned).join(&separator)
    };
    let body: String = values.iter().map(|value| row(value) + &delimiter).collect();
    let mut rows = Rows::new(body.as_bytes(), dialect.clone());
    for value in &values {
        assert!(rows.advance().expect("memory can be read"), "a row is missing at {value:?}");
        let fields: Vec<&[u8]> = (0..rows.field_count()).map(|at| rows.field(at)).collect();
        assert_eq!(fields, [value.as_bytes(), NULL, value.as_bytes(), b"x", value.as_bytes()], "{value:?}");
    }
    assert!(!rows.advance().expect("memory can be read"), "a row too many");
}

#[test]
fn profile_a_carries_every_string_but_the_one_that_means_null() {
    let escape = |value: &str| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    survives(&both(), escape, "\\\\N", |value| value == "\\N");
    let double = |value: &str| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\"\""));
    survives(&both(), double, "\"\\\\N\"", |value| value == "\\N");
}

#[test]
fn profile_b_loses_nul() {
    let double = |value: &str| format!("\"{}\"", value.replace('"', "\"\""));
    survives(&quotes(), double, "\\N", |value| value == "\\N" || value.contains('\0'));
}

#[test]
fn profile_c_needs_control_bytes_that_are_not_in_the_data() {
    let dialect = Dialect { separator: vec![1], delimiter: vec![2], ..Dialect::default() };
    survives(&dialect, str::to_owned, "\\N", |value| value == "\\N");
}

#[test]
fn a_row_longer_than_the_buffer_is_one_row() {
    let long = "x".repeat(3 * super::BUFFER_BYTES);
    for dialect in [plain(), both()] {
        let body = format!("{long},a\n{long},b\n");
        let mut rows = Rows::new(body.as_bytes(), dialect);
        for last in [b"a", b"b"] {
            assert!(rows.advance().expect("memory can be read"));
            assert_eq!((rows.field(0).len(), rows.field(1)), (long.len(), last.as_slice()));
        }
        assert!(!rows.advance().expect("memory can be read"));
    }
}

fn dialects() -> impl Strategy<Value = Dialect> {
    let byte = || prop::sample::select(vec![0, b'"', b'\\']);
    let separator = prop::sample::select(vec![",", "||", "a,"]);
    let delimiter = prop::sample::select(vec!["\n", "\r\n", "aa"]);
    (separator, delimiter, byte(), byte(), any::<[bool; 2]>(), 0..2_u64).prop_map(
        |(separator, delimiter, enclose, escape, [trim_space, tail_damage], skip_header)| Dialect {
            separator: separator.into(),
            delimiter: delimiter.into(),
            enclose,
            escape,
            trim_space,
            skip_header,
            tail_damage,
        },
    )
}

proptest! {
    #[test]
    fn rows_do_not_depend_on_how_the_bytes_arrive(dialect in dialects(), body in "[\"\\\\,|\r\na \0]{0,40}") {
        prop_assert_eq!(read(&dialect, body.as_bytes()), read_from(&dialect, body.as_bytes()));
    }
}
