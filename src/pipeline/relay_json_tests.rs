//! The relay of JSON against the way that all formats go: the same rows at the server, the same rejects, the same errors.

use std::collections::HashSet;
use std::io::Cursor;
use std::path::Path;

use proptest::prelude::*;

use super::relay_tests::{TYPES, VALUES, made};
use super::*;
use crate::reader::json::{JsonReader, JsonText};
use crate::reader::{FieldRef, Projected};

/// Reads a text both ways.
fn compare(
    text: &[u8],
    wire: WireFormat,
    projected: &[Projected],
    known: Option<&HashSet<String>>,
    block_bytes: usize,
) {
    let columns: Vec<Column> = projected.iter().map(|projected| projected.column.clone()).collect();
    let (path, stream) = (Path::new("x.json"), || Box::new(Cursor::new(text.to_vec())));
    let reader = JsonReader::new(path, stream(), projected.to_vec(), known.cloned());
    let mut slow = made(Source::Batches(Box::new(reader)), &columns, wire);
    let text = JsonText::open(path, stream(), projected, known.cloned()).unwrap().with_blocks_of(block_bytes);
    let mut quick = made(Source::Json(text), &columns, wire);
    slow.drop_unfinished();
    quick.drop_unfinished();
    assert_eq!(quick, slow);
}

fn projected(index: usize, ty: &str, nullable: bool, key: &str) -> Projected {
    let column = Column { nullable, ..Column::new(format!("c{index}"), ty.parse().unwrap()) };
    Projected { column, source: FieldRef::Name(key.to_owned()) }
}

/// A value as a file might have it, rightly written or not.
fn value() -> impl Strategy<Value = String> {
    let known = prop::sample::select(VALUES.as_slice());
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    prop_oneof![
        8 => known.clone().prop_map(str::to_owned),
        8 => known.prop_map(quoted),
        2 => Just("null".to_owned()),
        2 => prop::sample::select([
            "\"\"", r#""\N""#, r#""\u00e9""#, r#""\ud800""#, r#""a\/b""#, r#""\\N""#, r#""\u0031""#, "\"a\tb\"", "\"a\nb\"",
            "[1, 2]", r#"{"a": [ {"b":"}"} ]}"#, "[1,", "{\"c0\":1}", "[\n1\n]", "{\n}", "tru", "nul", "-", "1.", "01", "1e", "\"", "\"x",
        ].as_slice()).prop_map(str::to_owned),
    ]
}

/// A record with these keys, or something like one.
fn record() -> impl Strategy<Value = String> {
    let key = prop::sample::select(["c0", "c1", "c2", "x", r"c\u0030", "é", "a long key that nobody reads"].as_slice());
    let colon = prop::sample::select([":", ":", ":", ": ", " :", "\n:", ""].as_slice());
    let comma = prop::sample::select([",", ",", ",", ", ", ",\n ", ",\n", ""].as_slice());
    let ordinary = prop::collection::vec(value(), 3).prop_map(|values| {
        let pairs: Vec<String> = values.iter().enumerate().map(|(at, value)| format!("\"c{at}\":{value}")).collect();
        format!("{{{}}}", pairs.join(","))
    });
    let other = prop::collection::vec((key, colon, value(), comma), 0..5).prop_map(|pairs| {
        let pairs = pairs.into_iter().map(|(key, colon, value, comma)| format!("\"{key}\"{colon}{value}{comma}"));
        let pairs = pairs.collect::<Vec<_>>().concat();
        format!("{{{}}}", pairs.trim_end_matches([',', ' ', '\n']))
    });
    let wrong =
        prop::sample::select(["x", "}", "{", "[]", "7", "{\"c0\":1", "{}x", "", " ", "{ }", "{\"a\"}"].as_slice());
    prop_oneof![4 => ordinary, 3 => other, 1 => wrong.prop_map(str::to_owned)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn a_relayed_text_is_the_same_table(
        types in prop::collection::vec((prop::sample::select([&TYPES[..], &["JSON", "ARRAY<INT>"]].concat()), any::<bool>()), 1..4),
        records in prop::collection::vec(
            (record(), prop::sample::select(["\n", "\n", "\n", "\n", "\r\n", "\n\n ", ""].as_slice())), 0..12),
        shuffled: bool,
        shared: bool,
        json: bool,
        strict: bool,
        block_bytes in 1_usize..150,
    ) {
        let text: String = records.iter().flat_map(|(record, end)| [record.as_str(), end]).collect();
        prop_assume!(!text.trim_start().starts_with('['));
        let wire = if json { WireFormat::Json } else { WireFormat::Csv };
        let mut columns: Vec<Projected> = types
            .iter()
            .enumerate()
            .map(|(index, (ty, nullable))| projected(index, ty, *nullable, &format!("c{}", if shared { index / 2 } else { index })))
            .collect();
        if shuffled {
            columns.reverse();
        }
        let known: HashSet<String> = ["c0", "c1", "c2", "é"].map(str::to_owned).into();
        compare(text.as_bytes(), wire, &columns, strict.then_some(&known), block_bytes);
    }

    #[test]
    fn bytes_that_are_no_json_are_the_same_rejects(
        bytes in prop::collection::vec(prop::sample::select(b"{}[]\",:\n\\ a1e-\xc3\xa9\xff\r".as_slice()), 0..80),
        start in prop::sample::select(["{\"a\":", "{\"a\":1}\n", ""].as_slice()),
        block_bytes in 1_usize..40,
    ) {
        let text = [start.as_bytes(), &bytes].concat();
        prop_assume!(!text.trim_ascii_start().starts_with(b"["));
        let columns = [projected(0, "VARCHAR(20)", true, "a"), projected(1, "INT", true, "e")];
        compare(&text, WireFormat::Csv, &columns, None, block_bytes);
    }
}

#[test]
fn an_ordinary_record_is_copied_but_for_what_must_be_written_anew() {
    let text = "{\"c0\":1,\"c1\":\"1\",\"c2\":\"\"}\n{\"c0\":7,\"c1\":17.0,\"c2\":\"a b\"}\n{\"c0\":null,\"c1\":\"1.50\",\"c2\":\"\\u0061\"}\n";
    let columns =
        [projected(0, "INT", true, "c0"), projected(1, "DECIMAL(5,2)", true, "c1"), projected(2, "STRING", true, "c2")];
    let json = JsonText::open(Path::new("x"), Box::new(Cursor::new(text)), &columns, None).unwrap();
    let named: Vec<Column> = columns.iter().map(|projected| projected.column.clone()).collect();
    let mut relay = relay_json::JsonRelay::new(&json.keys, WireFormat::Json, &named);
    let block = reader::Block { bytes: text.into(), byte: 0, last: true };
    let rows = relay.rows(&block, &Buffers::default());
    assert_eq!(
        String::from_utf8(rows.text).unwrap(),
        "{\"c0\":1,\"c1\":\"1\",\"c2\":\"\"}\n{\"c0\":7,\"c1\":\"17.0\",\"c2\":\"a b\"}\n{\"c0\":null,\"c1\":\"1.50\",\"c2\":\"a\"}\n"
    );
    let mut relay = relay_json::JsonRelay::new(&json.keys, WireFormat::Csv, &named);
    assert_eq!(
        String::from_utf8(relay.rows(&block, &Buffers::default()).text).unwrap(),
        "1,1,\"\"\n7,17.0,\"a b\"\n\\\\N,1.50,\"a\"\n"
    );
}

#[test]
fn a_block_that_needs_no_change_is_left_where_it_is() {
    let text = "{\"c0\":7,\"c1\":\"a\"}\n{\"c0\":8,\"c1\":\"b\"}\n";
    let columns = [projected(0, "INT", true, "c0"), projected(1, "STRING", true, "c1")];
    let json = JsonText::open(Path::new("x"), Box::new(Cursor::new(text)), &columns, None).unwrap();
    let named: Vec<Column> = columns.iter().map(|projected| projected.column.clone()).collect();
    let mut relay = relay_json::JsonRelay::new(&json.keys, WireFormat::Json, &named);
    let block = reader::Block { bytes: text.into(), byte: 0, last: true };
    let rows = relay.rows(&block, &Buffers::default());
    assert_eq!(rows.as_it_is.map(|bytes| bytes.as_ptr()), Some(block.bytes.as_ptr()));
    assert_eq!((rows.text.len(), rows.ends), (0, vec![text.len() / 2, text.len()]));
}
