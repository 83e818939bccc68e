//! What the JSON reader promises: every record is one row or one reject, with its exact place, however it is read.

use std::io::Cursor;

use arrow::array::{Array, AsArray};
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;
use crate::model::ColumnType;
use crate::reader::FieldRef;

/// Everything an input gives, read as JSON columns: NULL is a missing key or `null`.
#[derive(Debug, Default)]
struct All {
    rows: Vec<(Origin, Vec<Option<String>>)>,
    rejects: Vec<Reject>,
    error: Option<Error>,
}

impl All {
    fn values(&self) -> Vec<Vec<Option<&str>>> {
        self.rows.iter().map(|(_, row)| row.iter().map(Option::as_deref).collect()).collect()
    }

    fn places(&self) -> Vec<(&'static str, u64, u64, &str)> {
        let place = |reject: &'_ Reject| (reject.rule.code, reject.origin.line, reject.origin.byte);
        self.rejects
            .iter()
            .map(|reject| {
                let (code, line, byte) = place(reject);
                (code, line, byte, std::str::from_utf8(&reject.raw).unwrap())
            })
            .collect()
    }
}

fn column(key: &str, ty: ColumnType) -> Projected {
    Projected { column: Column::new(key, ty), source: FieldRef::Name(key.into()) }
}

fn read(input: &[u8], keys: &[&str], block_bytes: usize) -> All {
    let columns: Vec<_> = keys.iter().map(|key| column(key, ColumnType::Json)).collect();
    read_as(input, &columns, None, block_bytes)
}

fn read_as(input: &[u8], columns: &[Projected], known: Option<HashSet<String>>, block_bytes: usize) -> All {
    let window =
        Window::new(Path::new("x.json"), Box::new(Cursor::new(input.to_vec()))).with_limits(block_bytes, 1 << 16);
    let mut reader = JsonReader::over(window, columns.to_vec(), known);
    let mut all = All::default();
    loop {
        match reader.next(&mut all.rejects) {
            Ok(Some(batch)) => {
                for (row, origin) in batch.origins.iter().enumerate() {
                    let texts = batch.rows.columns().iter().map(|column| {
                        let column = column.as_string::<i32>();
                        column.is_valid(row).then(|| column.value(row).to_owned())
                    });
                    all.rows.push((*origin, texts.collect()));
                }
            }
            Ok(None) => return all,
            Err(error) => {
                all.error = Some(error);
                return all;
            }
        }
    }
}

#[test]
fn objects_are_rows_in_every_arrangement() {
    for input in [
        "{\"a\":1,\"b\":\"x\"}\n{\"b\":null,\"a\":2.50}\n{}",
        "{\"a\":1,\"b\":\"x\"}{\"b\":null,\"a\":2.50} {}\n",
        "\u{feff}\r\n{\r\n  \"a\": 1,\r\n  \"b\": \"x\"\r\n}\r\n{\"a\":\n2.50}\r\n{ }",
        "[{\"a\":1,\"b\":\"x\"},{\"a\":2.50},{}]",
        " [\n{\"a\":1,\"b\":\"x\"}\n,\n{\"a\":2.50}\n,{}\n]\n\n",
    ] {
        for block_bytes in [1, 5, 1 << 20] {
            let all = read(input.as_bytes(), &["a", "b"], block_bytes);
            let expected = [[Some("1"), Some("\"x\"")], [Some("2.50"), None], [None, None]];
            assert_eq!(all.values(), expected, "{input:?} in blocks of {block_bytes}");
            assert!(all.rejects.is_empty() && all.error.is_none());
        }
    }
    for input in ["", " \n", "[]", "[ ]\n"] {
        let all = read(input.as_bytes(), &["a"], 1);
        assert!(all.rows.is_empty() && all.rejects.is_empty() && all.error.is_none(), "{input:?}");
    }
}

#[test]
fn a_broken_line_is_a_reject_and_the_next_one_is_read() {
    let broken = [
        ("json-syntax", r#"{"a":tru}"#),
        ("json-syntax", r#"{"a":1"#),
        ("json-syntax", r#"{"a":"x"#),
        ("json-syntax", r#"{"a":"x\"#),
        ("json-syntax", r#"{"a":1]}"#),
        ("json-syntax", r#"{"a":[1}"#),
        ("json-syntax", r#"{"a":01}"#),
        ("json-syntax", r#"{"a" 1} {"a":2}"#),
        ("json-syntax", "garbage"),
        ("not-an-object", "12"),
        ("not-an-object", "null"),
        ("duplicate-key", r#"{"a":1,"a":2}"#),
    ];
    for (code, line) in broken {
        let input = format!("{{\"a\":0}}\n{line}\n{{\"a\":3}}\n");
        for block_bytes in [1, 1 << 20] {
            let all = read(input.as_bytes(), &["a"], block_bytes);
            assert_eq!(all.values(), [[Some("0")], [Some("3")]], "{line}");
            assert_eq!(all.rows[1].0.line, 3);
            assert_eq!(all.places(), [(code, 2, 8, line)]);
        }
    }
}

#[test]
fn the_parts_of_a_broken_object_are_never_taken_for_records() {
    let input = "{\n  \"a\": [\n    {\"a\": 1}\n    {\"a\": 2}\n  ]\n}\n{\"a\":3}\n";
    let all = read(input.as_bytes(), &["a"], 1);
    assert_eq!(all.values(), [[Some("3")]]);
    assert_eq!(all.places().len(), 1);
    let input = "{\n  \"a\": \"x\n  \"b\": \n    {\"a\": 2}\n}\n{\"a\":3}\n";
    let all = read(input.as_bytes(), &["a"], 1);
    assert_eq!(all.values(), [[Some("3")]]);
    assert_eq!(all.places().len(), 1);
}

#[test]
fn in_an_array_a_broken_record_is_a_reject_up_to_its_last_bracket() {
    let input = r#"[{"a":1},{"a":tru},7,"x",null,{"a":"ä"},[{"a":2}]]"#;
    let all = read(input.as_bytes(), &["a"], 1);
    assert_eq!(all.values(), [[Some("1")], [Some("\"ä\"")]]);
    assert_eq!(
        all.places(),
        [
            ("json-syntax", 1, 9, r#"{"a":tru}"#),
            ("not-an-object", 1, 19, "7"),
            ("not-an-object", 1, 21, "\"x\""),
            ("not-an-object", 1, 25, "null"),
            ("not-an-object", 1, 41, r#"[{"a":2}]"#),
        ]
    );
}

#[test]
fn an_input_that_ends_early_or_makes_no_sense_ends_with_its_place_after_the_good_rows() {
    for (input, rows, code, line, byte) in [
        ("{\"a\":1}\n{\"a\":", 1, "L1005", 2, 8),
        ("\n [{\"a\":1},", 1, "L1005", 2, 2),
        ("[{\"a\":1},\n{\"a\"", 1, "L1005", 2, 10),
        ("[{\"a\":1} {\"a\":2}]", 1, "L1006", 1, 9),
        ("[{\"a\":1},,{\"a\":2}]", 1, "L1006", 1, 9),
        ("[{\"a\":1},]", 1, "L1006", 1, 9),
        ("[{\"a\":1}]\n{\"a\":2}", 1, "L1006", 2, 10),
    ] {
        use crate::failure::Failure as _;
        let all = read(input.as_bytes(), &["a"], 1);
        assert_eq!(all.rows.len(), rows, "{input:?}");
        let error = all.error.unwrap();
        assert_eq!(error.code().as_str(), code, "{input:?}: {error}");
        assert!(error.to_string().contains(&format!("(line {line}, byte {byte})")), "{input:?}: {error}");
    }
}

#[test]
fn a_record_beyond_the_limit_ends_the_input() {
    let input = format!("{{\"a\":1}}\n{{\"a\":\"{}\"}}\n", "x".repeat(1 << 16));
    for block_bytes in [1000, 1 << 20] {
        let all = read(input.as_bytes(), &["a"], block_bytes);
        assert_eq!(all.rows.len(), 1);
        assert!(matches!(all.error, Some(Error::RecordTooLong { at: Origin { line: 2, byte: 8 }, .. })));
    }
}

#[test]
fn bytes_that_are_no_text_reject_their_record() {
    let all = read(b"{\"a\":\"\xff\"}\n{\"a\":1}\n", &["a"], 1);
    assert_eq!((all.rows.len(), all.rejects[0].rule.code), (1, "not-utf8"));
    assert_eq!(all.rejects[0].raw, b"{\"a\":\"\xff\"}");
}

#[test]
fn a_key_that_goes_nowhere_is_refused_if_the_known_ones_are_listed() {
    let input = br#"{"a":1,"A":2}{"a":1,"b":2}"#;
    let columns = [column("a", ColumnType::Json)];
    let known = HashSet::from(["a".to_owned(), "b".to_owned()]);
    let all = read_as(input, &columns, Some(known), 1);
    assert_eq!(all.values(), [[Some("1")]]);
    assert_eq!(all.rejects[0].rule.code, "unknown-key");
    assert!(all.rejects[0].rule.text.contains("`A`"));
    assert_eq!(read_as(input, &columns, None, 1).rows.len(), 2);
}

#[test]
fn two_columns_may_read_one_key_and_a_value_keeps_its_text() {
    let text = Projected { column: Column::new("text", ColumnType::Varchar(100)), source: FieldRef::Name("a".into()) };
    let all = read_as(
        br#"{"a":1.50}{"a":"x\u00e9\n"}{"a":true}{"a": {"b": [1, "c d"]}}{"a":null}{"a":"\ud800"}"#,
        &[text, column("a", ColumnType::Json)],
        None,
        1,
    );
    assert_eq!(
        all.values(),
        [
            [Some("1.50"), Some("1.50")],
            [Some("xé\n"), Some(r#""x\u00e9\n""#)],
            [Some("true"), Some("true")],
            [Some(r#"{"b":[1,"c d"]}"#), Some(r#"{"b":[1,"c d"]}"#)],
            [None, None],
        ]
    );
    assert_eq!(all.rejects[0].rule.code, "not-json");
}

#[test]
fn a_value_that_does_not_fit_rejects_its_row_and_names_the_column() {
    let strict = Projected {
        column: Column { nullable: false, ..Column::new("b", ColumnType::Varchar(3)) },
        source: FieldRef::Name("b".into()),
    };
    let all = read_as(r#"{"b":"abcd"}{"a":1}{"b":"ä"}"#.as_bytes(), &[strict], None, 1);
    assert_eq!(all.values(), [[Some("ä")]]);
    let rejects: Vec<_> = all.rejects.iter().map(|reject| (reject.rule.code, reject.value.as_deref())).collect();
    assert_eq!(rejects, [("too-long", Some("\"abcd\"")), ("null-not-allowed", Some("NULL"))]);
    assert_eq!(all.rejects[0].column.as_deref(), Some("b"));
}

#[test]
fn keys_are_listed_as_they_are_first_seen() {
    for (sample, at_end, expected) in [
        ("{\"b\":1,\"a\":2}\n{\"a\":1,\"c\":{\"d\":1}}\n{\"e\"", false, vec!["b", "a", "c"]),
        ("[{\"b\":1},3,{\"a\":tru},{\"a\":2},{\"c\":", true, vec!["b", "a"]),
        ("broken\n{\"a\" 1}\n{\"a b\":1}", true, vec!["a b"]),
        ("", true, vec![]),
    ] {
        assert_eq!(keys(sample.as_bytes(), at_end), expected, "{sample:?}");
    }
}

/// Any JSON value, with numbers as their text.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,9})?".prop_map(|text| serde_json::from_str(&text).unwrap()),
        r#"[a\\"\n\[\]{},: é😀]{0,6}"#.prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            proptest::collection::vec(("[ab{}\"]{1,2}", inner), 0..3)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn record() -> impl Strategy<Value = Map<String, Value>> {
    (value(), value(), value())
        .prop_map(|(a, b, other)| [("a", a), ("b", b), ("z", other)].map(|(key, value)| (key.into(), value)))
        .prop_map(|entries| entries.into_iter().collect())
}

/// Writes records one after the other or as an array, compact or over several lines.
fn write(records: &[Map<String, Value>], array: bool, pretty: bool) -> String {
    let texts: Vec<String> = records
        .iter()
        .map(|record| if pretty { serde_json::to_string_pretty(record) } else { serde_json::to_string(record) })
        .map(Result::unwrap)
        .collect();
    if array { format!("[{}]", texts.join(if pretty { ",\n" } else { "," })) } else { texts.join("\n") }
}

proptest! {
    /// ROWS-1, and that the values are what was written.
    #[test]
    fn records_are_read_back_as_written_whatever_the_block_size(
        records in proptest::collection::vec(record(), 1..6),
        array: bool,
        pretty: bool,
        block_bytes in 1_usize..50,
    ) {
        let input = write(&records, array, pretty);
        let all = read(input.as_bytes(), &["a", "b"], block_bytes);
        prop_assert!(all.rejects.is_empty() && all.error.is_none(), "{:?} in {}", all, input);
        let text = |value: &Value| (!value.is_null()).then(|| value.to_string());
        let expected: Vec<_> = records.iter().map(|record| vec![text(&record["a"]), text(&record["b"])]).collect();
        let found: Vec<_> = all.rows.iter().map(|(_, row)| row.clone()).collect();
        prop_assert_eq!(found, expected);
        for (origin, _) in &all.rows {
            let at = usize::try_from(origin.byte).unwrap();
            prop_assert_eq!(input.as_bytes()[at], b'{');
            prop_assert_eq!(origin.line, 1 + line_ends(&input.as_bytes()[..at]));
        }
    }

    /// ROWS-1 where lines break: each line is one row or one reject.
    #[test]
    fn every_line_is_one_row_or_one_reject(
        lines in proptest::collection::vec(prop_oneof![
            Just(r#"{"a":1}"#), Just(r#"{"a":"\"}"}"#), Just(r#"{"a":1"#), Just(r#"{"a":"x"#), Just("x"),
            Just(r#"{"a":{"b":2}"#), Just("7"), Just(r#"{"a":1}}"#), Just("{a}"), Just("{}"),
        ], 0..12),
        block_bytes in 1_usize..30,
    ) {
        // A good first and last line: `[` would make an array of it all, and an open end is an error.
        let input = format!("{{}}\n{}\n{{}}\n", lines.join("\n"));
        let all = read(input.as_bytes(), &["a"], block_bytes);
        prop_assert!(all.error.is_none());
        let good = [r#"{"a":1}"#, r#"{"a":"\"}"}"#, "{}", r#"{"a":1}}"#];
        let rows = 2 + lines.iter().filter(|line| good.contains(line)).count();
        // The superfluous bracket behind a record is a reject of its own.
        let rejects = lines.iter().filter(|line| !good.contains(line) || line.ends_with("1}}")).count();
        prop_assert_eq!((all.rows.len(), all.rejects.len()), (rows, rejects), "{}", input);
    }

    #[test]
    fn any_bytes_give_the_same_rows_and_rejects_whatever_the_block_size(
        input in proptest::collection::vec(prop_oneof![
            4 => Just(b"{\"a\":".to_vec()), 4 => Just(b"}".to_vec()), 2 => Just(b"1".to_vec()), 2 => Just(b"\n".to_vec()), 1 => Just(b"[".to_vec()),
            1 => Just(b"]".to_vec()), 1 => Just(b",".to_vec()), 1 => Just(b"\"".to_vec()), 1 => Just(b"\\".to_vec()), 1 => Just(b"\xFF".to_vec()), 1 => Just(b" ".to_vec()),
        ], 0..40),
        block_bytes in 1_usize..20,
    ) {
        let input = input.concat();
        let whole = read(&input, &["a"], 1 << 20);
        let parts = read(&input, &["a"], block_bytes);
        prop_assert_eq!(&whole.rows, &parts.rows);
        prop_assert_eq!(&whole.rejects, &parts.rejects);
        prop_assert_eq!(whole.error.map(|error| error.to_string()), parts.error.map(|error| error.to_string()));
    }
}
