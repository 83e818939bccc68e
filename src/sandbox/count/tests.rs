//! The counters against the parsers.

use std::io::{BufReader, Read};

use proptest::prelude::*;

use super::super::csv::{Dialect, Rows};
use super::super::json::{Documents, Layout};
use super::csv;

/// What the CSV parser counts.
fn parsed(dialect: &Dialect, body: &[u8]) -> u64 {
    let mut rows = Rows::new(body, dialect.clone());
    let mut count = 0;
    while rows.advance().expect("memory can be read") {
        count += 1;
    }
    count
}

fn counted(dialect: &Dialect, body: &[u8], piece: usize) -> Option<u64> {
    super::csv_rows(dialect, BufReader::with_capacity(piece, body)).map(|count| count.expect("memory can be read"))
}

fn documents(layout: &Layout, body: &[u8]) -> Option<u64> {
    let mut documents = Documents::new(body, layout);
    let mut count = 0;
    while documents.advance().ok()?.is_some() {
        count += 1;
    }
    Some(count)
}

fn objects(layout: &Layout, body: &[u8], piece: usize) -> Option<u64> {
    super::json_rows(layout, BufReader::with_capacity(piece, body)).ok()
}

fn dialects() -> impl Strategy<Value = Dialect> {
    let control = || prop::sample::select(vec![0, b'"', b'\\', b'"', b'\\', b'|']);
    let separator = prop::sample::select(vec![",", ",", "|", "||", " "]);
    let delimiter = prop::sample::select(vec!["\n", "\n", ";", "\r\n"]);
    (separator, delimiter, control(), control(), any::<bool>(), 0..3_u64).prop_map(
        |(separator, delimiter, enclose, escape, trim_space, skip_header)| Dialect {
            separator: separator.into(),
            delimiter: delimiter.into(),
            enclose,
            escape,
            trim_space,
            skip_header,
            tail_damage: false,
        },
    )
}

/// Rows as they are usually sent, long enough for whole blocks, with now and then a byte that does not belong there.
fn csv_body() -> impl Strategy<Value = String> {
    let parts = vec![
        "\"abc def\",",
        "\"\",",
        "\"x\"\"y\",",
        "12345,",
        ",",
        "\n",
        "\n\n",
        "\"Customer#00001\"\n",
        "plain text\n",
        "\"a,b\nc\",",
        "\"the quick brown fox jumps over the lazy dog and on and on and on and on it goes\",",
    ];
    let odd = vec!["\"", "\\", "\0", " ", "\r", "|", ";", "\\\"", "\\n", " \"", "\" "];
    let part = prop_oneof![12 => prop::sample::select(parts), 1 => prop::sample::select(odd)];
    prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

fn json_body() -> impl Strategy<Value = String> {
    let parts = vec![
        "{\"a\":1,\"b\":\"x\"}",
        "{}",
        "\n",
        " ",
        "{\"a\":{\"b\":[1,{\"c\":\"}\"}]},\"long\":\"and on and on and on\"}",
        "{\"q\":\"\\\"\",\"r\":\"\\\\\"}",
        "{\"u\":\"äöü€😀\",\"v\":\"\\\\\\\"{\"}",
        ",",
        "{\"a\":1},",
        "[",
        "]",
    ];
    let odd = vec!["\"", "\\", "{", "}", "x", "[[", "\u{0}", "\\\\\\"];
    let part = prop_oneof![30 => prop::sample::select(parts), 1 => prop::sample::select(odd)];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

fn array_body() -> impl Strategy<Value = String> {
    json_body().prop_map(|body| format!("[{}]", body.replace("}{", "},{").replace("}\n{", "},{")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn csv_rows_are_counted_as_they_are_parsed(dialect in dialects(), body in csv_body(), piece in 1..200_usize) {
        if let Some(count) = counted(&dialect, body.as_bytes(), piece) {
            prop_assert_eq!(count, parsed(&dialect, body.as_bytes()));
        }
    }

    #[test]
    fn any_bytes_are_counted_as_they_are_parsed(
        dialect in dialects(), body in "[\"\\\\,|\r\n;a \0]{0,200}", piece in 1..200_usize,
    ) {
        if let Some(count) = counted(&dialect, body.as_bytes(), piece) {
            prop_assert_eq!(count, parsed(&dialect, body.as_bytes()));
        }
    }

    #[test]
    fn objects_are_counted_as_they_are_cut(
        body in prop_oneof![json_body(), array_body(), "[{}\\[\\]\"\\\\, a\n]{0,100}"], strip: bool,
        piece in 1..200_usize,
    ) {
        let layout = Layout { strip_outer_array: strip, ..Layout::default() };
        prop_assert_eq!(objects(&layout, body.as_bytes(), piece), documents(&layout, body.as_bytes()), "{}", body);
    }

    #[test]
    fn text_that_is_cut_anywhere_is_told_from_what_is_no_text(
        body in prop::collection::vec(prop::sample::select(vec![&b"a"[..], b"\xc3\xa4", b"\xe2\x82\xac", b"\xff",
            b"\xf0\x9f\x98\x80", b"\xe2"]), 0..12), piece in 1..9_usize,
    ) {
        let body = [&b"{\""[..], &body.concat(), b"\"}"].concat();
        let layout = Layout::default();
        prop_assert_eq!(objects(&layout, &body, piece).is_some(), std::str::from_utf8(&body).is_ok());
    }
}

#[test]
fn the_usual_dialects_are_counted_by_masks() {
    let comma = Dialect { separator: b",".to_vec(), ..Dialect::default() };
    for dialect in [
        Dialect::default(),
        comma.clone(),
        Dialect { enclose: b'"', ..comma.clone() },
        Dialect { enclose: b'"', escape: b'\\', ..comma.clone() },
    ] {
        assert!(csv::Counter::new(&dialect).is_some(), "{dialect:?}");
    }
    assert!(csv::Counter::new(&Dialect { delimiter: b"\r\n".to_vec(), ..comma }).is_none());
}

#[test]
fn a_source_that_fails_fails_the_count() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("gone"))
        }
    }
    assert!(super::csv_rows(&Dialect::default(), BufReader::new(Broken)).expect("the usual").is_err());
    assert!(super::json_rows(&Layout::default(), BufReader::new(Broken)).is_err());
}
