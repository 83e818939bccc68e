//! What both encoders promise, held against the oracle.

use arrow::array::RecordBatch;
use proptest::prelude::*;

use super::sample::{Value, batch, table};
use super::{carries, new, oracle, wire_for};
use crate::model::{Column, ColumnType, WireFormat};

type Rows = Vec<Vec<Value>>;

/// Encodes batches as a pipeline does: a full buffer is a chunk. Returns the chunks, and the rows put aside.
fn chunks(
    format: WireFormat,
    columns: &[Column],
    batches: &[RecordBatch],
    target: usize,
) -> (Vec<Vec<u8>>, Vec<usize>) {
    let (mut encoder, mut chunks, mut chunk, mut aside_all) =
        (new(format, columns), Vec::new(), Vec::new(), Vec::new());
    let mut rows_before = 0;
    for batch in batches {
        let (mut out, mut ends, mut aside) = (Vec::new(), Vec::new(), Vec::new());
        encoder.encode(batch, &mut out, &mut ends, &mut aside);
        assert_eq!(ends.len() + aside.len(), batch.num_rows(), "every row has an end, or is put aside");
        aside_all.extend(aside.iter().map(|row| rows_before + row));
        rows_before += batch.num_rows();
        let mut start = 0;
        for end in ends {
            chunk.extend_from_slice(&out[start..end]);
            start = end;
            if chunk.len() >= target {
                chunks.push(std::mem::take(&mut chunk));
            }
        }
        assert_eq!(start, out.len(), "the text is that of the rows");
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    (chunks, aside_all)
}

fn read(format: WireFormat, columns: &[Column], text: &[u8]) -> Rows {
    let rows = match format {
        WireFormat::Csv => oracle::csv(columns, text),
        WireFormat::Json => oracle::json(columns, text),
    };
    rows.unwrap_or_else(|error| panic!("{error}\nin {:?}", String::from_utf8_lossy(text)))
}

/// Whether a row cannot travel, by the protocol.
fn is_unfit(format: WireFormat, row: &[Value]) -> bool {
    row.iter().any(|value| {
        let is_null_text = format == WireFormat::Csv && *value == Value::Text(r"\N".to_owned());
        is_null_text || any_inside(value, &|value| is_unfit_value(format, value))
    })
}

fn is_unfit_value(format: WireFormat, value: &Value) -> bool {
    match value {
        Value::Map(entries) => {
            entries.iter().enumerate().any(|(index, (key, _))| entries[..index].iter().any(|(other, _)| other == key))
        }
        Value::Json(document) => format == WireFormat::Json && document.is_null(),
        _ => false,
    }
}

fn any_inside(value: &Value, holds: &dyn Fn(&Value) -> bool) -> bool {
    let inside = match value {
        Value::Array(items) | Value::Struct(items) => items.iter().any(|item| any_inside(item, holds)),
        Value::Map(entries) => entries.iter().any(|(key, item)| any_inside(key, holds) || any_inside(item, holds)),
        _ => false,
    };
    inside || holds(value)
}

/// ROWS-1 for one format: every row arrives as it is, in order, or is put aside because it cannot.
fn check(format: WireFormat, columns: &[Column], rows: &Rows, target: usize) -> Vec<usize> {
    let (chunks, aside) = chunks(format, columns, &[batch(columns, rows)], target);
    let unfit: Vec<_> = (0..rows.len()).filter(|row| is_unfit(format, &rows[*row])).collect();
    assert_eq!(aside, unfit);
    let arrived: Vec<Rows> = chunks.iter().map(|text| read(format, columns, text)).collect();
    let fit: Rows = rows.iter().filter(|row| !is_unfit(format, row)).cloned().collect();
    assert_eq!(arrived.concat(), fit);
    aside
}

proptest! {
    // Tables within tables could be shrunk for hours; the first few thousand steps take most of them away.
    #![proptest_config(ProptestConfig { max_shrink_iters: 5_000, ..ProptestConfig::default() })]

    #[test]
    fn every_row_arrives_once_as_it_is((columns, rows) in table(), target in 0_usize..300) {
        let format = wire_for(&columns);
        let aside = check(format, &columns, &rows, target);
        let json_carries = carries(WireFormat::Json, &columns).is_ok();
        prop_assert!(json_carries, "drawn types can be loaded");
        if format == WireFormat::Csv {
            check(WireFormat::Json, &columns, &rows, target);
            // What CSV puts aside travels as JSON, row by row out of a slice.
            for row in aside {
                let slice = batch(&columns, &rows).slice(row, 1);
                let (text, unfit) = chunks(WireFormat::Json, &columns, &[slice], 1);
                prop_assert_eq!(unfit.is_empty(), !is_unfit(WireFormat::Json, &rows[row]));
                prop_assert_eq!(read(WireFormat::Json, &columns, &text.concat()), &rows[row..row + text.len()]);
            }
        }
    }

    /// LABEL-1: chunks are cut by rows and bytes alone.
    #[test]
    fn cuts_do_not_depend_on_how_rows_are_batched(
        (columns, rows) in table(), target in 0_usize..300, at in any::<prop::sample::Index>(),
    ) {
        let format = wire_for(&columns);
        let whole = batch(&columns, &rows);
        let at = at.index(rows.len() + 1);
        let halves = [whole.slice(0, at), whole.slice(at, rows.len() - at)];
        let (cut, aside) = chunks(format, &columns, &[whole], target);
        prop_assert_eq!(chunks(format, &columns, &halves, target), (cut.clone(), aside));
        for full in &cut[..cut.len().saturating_sub(1)] {
            prop_assert!(full.len() >= target);
        }
    }
}

/// Every string up to four characters out of those that could go wrong.
fn nasty_strings() -> Vec<String> {
    const ALPHABET: [char; 10] = ['"', '\\', ',', '\n', '\r', '\0', ' ', 'N', 'a', 'é'];
    let (mut all, mut last) = (vec![String::new()], vec![String::new()]);
    for _ in 0..4 {
        last = last.iter().flat_map(|text| ALPHABET.map(|char| format!("{text}{char}"))).collect();
        all.extend_from_slice(&last);
    }
    all
}

#[test]
fn every_short_string_survives_in_every_place() {
    let text = ColumnType::Varchar(20);
    let types = [
        text.clone(),
        ColumnType::Int,
        ColumnType::Array(Box::new(text.clone())),
        ColumnType::Map(Box::new(text.clone()), Box::new(text)),
    ];
    let columns: Vec<_> = types.into_iter().map(|ty| Column::new(ty.to_string(), ty)).collect();
    let row = |text: String| {
        let text = Value::Text(text);
        let pair = Value::Array(vec![text.clone(), Value::Null, text.clone()]);
        vec![text.clone(), Value::Null, pair, Value::Map(vec![(text.clone(), text)])]
    };
    let rows: Rows = nasty_strings().into_iter().map(row).collect();
    assert_eq!(rows.len(), 11_111);
    let aside = check(WireFormat::Csv, &columns, &rows, 10_000);
    assert_eq!(aside.len(), 1, "only `\\N` cannot travel");
    assert_eq!(check(WireFormat::Json, &columns, &rows, 10_000), [0_usize; 0]);
}

#[test]
fn the_text_is_what_the_protocol_shows() {
    let types = ["INT", "STRING", "ARRAY<STRING>", "DECIMAL(9,2)", "DATETIME", "VARBINARY", "BOOLEAN", "JSON"];
    let columns: Vec<_> = types.iter().map(|ty| Column::new(ty[..3].to_lowercase(), ty.parse().unwrap())).collect();
    let array = Value::Array(vec![Value::Text("x\"".into()), Value::Null]);
    let rows = vec![
        vec![
            Value::Integer(-1),
            Value::Text("a\"\\b".into()),
            array,
            Value::Integer(-5),
            Value::Integer(1),
            Value::Binary(vec![]),
            Value::Boolean(true),
            Value::Json(1.into()),
        ],
        vec![Value::Null; 8],
    ];
    let text =
        |format| String::from_utf8(chunks(format, &columns, &[batch(&columns, &rows)], 10_000).0.concat()).unwrap();
    let csv = [
        r#"-1,"a\"\\b","[\"x\"\"\",null]",-0.05,1970-01-01 00:00:00.000001,"",true," 1"#,
        "\r\n\"\n",
        r"\\N,\\N,\\N,\\N,\\N,\\N,\\N,\\N",
        "\n",
    ];
    assert_eq!(text(WireFormat::Csv), csv.concat());
    let json = [
        r#"{"int":-1,"str":"a\"\\b","arr":["x\"",null],"dec":"-0.05","dat":"1970-01-01 00:00:00.000001","#,
        r#""var":"","boo":true,"jso": 1  }"#,
        "\n",
        r#"{"int":null,"str":null,"arr":null,"dec":null,"dat":null,"var":null,"boo":null,"jso":null}"#,
        "\n",
    ];
    assert_eq!(text(WireFormat::Json), json.concat());
}

#[test]
fn what_a_reader_should_have_refused_is_put_aside_and_leaves_no_trace() {
    let columns = [Column::new("a", ColumnType::Double), Column::new("b", ColumnType::Date)];
    let (one, day) = (Value::Double(1.0_f64.to_bits()), Value::Integer(0));
    let rows = vec![
        vec![one.clone(), day.clone()],
        vec![Value::Double(f64::NAN.to_bits()), day.clone()],
        vec![one.clone(), Value::Integer(3_000_000)],
        vec![one, day],
    ];
    for format in [WireFormat::Csv, WireFormat::Json] {
        let (text, aside) = chunks(format, &columns, &[batch(&columns, &rows)], 10_000);
        assert_eq!(aside, [1, 2]);
        assert_eq!(read(format, &columns, &text.concat()), [rows[0].clone(), rows[3].clone()]);
    }
}

#[test]
fn a_key_may_stand_again_in_a_map_inside_a_map_but_not_beside_itself() {
    let columns = [Column::new("m", "MAP<STRING,MAP<STRING,INT>>".parse().unwrap())];
    let map = |entries: Vec<(&str, Value)>| {
        Value::Map(entries.into_iter().map(|(key, value)| (Value::Text(key.into()), value)).collect())
    };
    let one = || map(vec![("a", Value::Integer(1))]);
    let twice = map(vec![("b", Value::Null), ("a", Value::Null), ("b", Value::Null)]);
    let rows = vec![vec![map(vec![("a", one()), ("b", one())])], vec![map(vec![("c", twice)])]];
    assert_eq!(check(WireFormat::Json, &columns, &rows, 10_000), [1]);
}

#[test]
#[should_panic(expected = "checked against the format")]
fn columns_that_would_arrive_as_something_else_get_no_encoder() {
    drop(new(WireFormat::Json, &[Column::new("a", "ARRAY<VARBINARY>".parse().unwrap())]));
}
