//! The relay against the way that all formats go: the same rows at the server, the same rejects, the same errors.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::tests::Collected;
use super::*;
use crate::clock::SystemClock;
use crate::encoder::oracle;
use crate::encoder::sample::Value;
use crate::governor::Budget;
use crate::model::{Codec, Relay};
use crate::reader::csv::{CsvReader, Dialect};
use crate::reader::{FieldRef, Projected};

/// What a pipeline made of a text.
#[derive(Debug, PartialEq)]
pub(super) struct Made {
    /// As a server reads them.
    rows: Vec<Vec<Value>>,
    /// Rows that went aside, as text.
    aside: Vec<u8>,
    /// Lines of the first and last row of each chunk.
    places: Vec<(bool, u64, u64, u64, u64)>,
    rejects: Vec<Reject>,
    failure: Option<String>,
    counted: (u64, u64),
}

pub(super) fn made(source: Source, columns: &[Column], wire: WireFormat) -> Made {
    let options = Options {
        load_bytes: 1 << 20,
        wire,
        press: Press::fixed(Codec::None, ""),
        input: 0,
        columns: columns.to_vec(),
        columns_json: columns.to_vec(),
    };
    let (budget, clock) = (Budget::new(4 << 20), Arc::new(SystemClock));
    let context = Context { budget, progress: Arc::default(), clock, pieces_bytes: 8 << 20 };
    let mut sink = Collected::default();
    let result = run(source, || {}, options, &context, &mut sink);
    let text = |side| sink.cuts.iter().filter(|cut| cut.side == side).flat_map(|cut| cut.chunk.body.concat()).collect();
    let main: Vec<u8> = text(false);
    let rows = match wire {
        WireFormat::Csv => oracle::csv(columns, &main),
        WireFormat::Json => oracle::json(columns, &main),
    };
    let rows = rows.unwrap_or_else(|error| panic!("{error}: {}", main.escape_ascii()));
    let place = |cut: &Cut| (cut.side, cut.chunk.from.line, cut.chunk.from.byte, cut.chunk.to.line, cut.chunk.to.byte);
    let failure = result.err().map(|failure| match failure {
        Failure::Reading(error) => error.to_string(),
        Failure::Stopped => "stopped".to_owned(),
    });
    Made {
        rows,
        aside: text(true),
        places: sink.cuts.iter().map(place).collect(),
        counted: (Progress::read(&context.progress.rows_read), Progress::read(&context.progress.rows_rejected)),
        rejects: sink.rejects,
        failure,
    }
}

/// Reads a text both ways, and with `unchecked` the relayed one without a look at its values.
fn compare(
    text: &[u8],
    dialect: &Dialect,
    projected: &[Projected],
    fields: usize,
    (block_bytes, blindly): (usize, bool),
    (wire, unchecked): (WireFormat, bool),
) {
    let columns: Vec<Column> = projected.iter().map(|projected| projected.column.clone()).collect();
    let (path, stream) = (Path::new("x.csv"), || Box::new(Cursor::new(text.to_vec())));
    let reader = CsvReader::new(path, stream(), dialect.clone(), projected.to_vec(), fields);
    let mut slow = made(Source::Batches(Box::new(reader)), &columns, wire);
    let plan = Plan::of(dialect, wire, projected, fields, !unchecked).expect("types of one value");
    assert_eq!(plan.kind() == Relay::Unchecked, unchecked && fields > 1);
    let text =
        CsvText::open(path, stream(), dialect.clone(), projected, fields).unwrap().with_blocks_of(block_bytes, blindly);
    let quick = made(Source::Csv(text, plan), &columns, wire);
    slow.drop_unfinished();
    assert_eq!(quick, slow);
}

impl Made {
    /// A chunk that is not full is dropped with the input's end.
    pub(super) fn drop_unfinished(&mut self) {
        if self.failure.is_some() {
            (self.rows, self.aside, self.places) = (Vec::new(), Vec::new(), Vec::new());
        }
    }
}

pub(super) const TYPES: [&str; 12] = [
    "INT",
    "VARCHAR(6)",
    "DECIMAL(5,2)",
    "DATE",
    "DATETIME",
    "DOUBLE",
    "FLOAT",
    "BOOLEAN",
    "BIGINT",
    "TINYINT",
    "LARGEINT",
    "CHAR(3)",
];

pub(super) const VALUES: [&str; 64] = [
    "1",
    "-7",
    "0",
    "-0",
    "+3",
    "007",
    "127",
    "128",
    "-128",
    "-129",
    "2147483647",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "170141183460469231731687303715884105727",
    "170141183460469231731687303715884105728",
    "1.0",
    "1.5",
    "-1.50",
    "999.99",
    "1000",
    "0.001",
    "1.230",
    ".5",
    "5.",
    "-0.0",
    "1e2",
    "1e-5",
    "123456.7",
    "0.1234567890123456",
    "1e400",
    "NaN",
    "true",
    "FALSE",
    "1 ",
    " 1",
    "2024-02-29",
    "2023-02-29",
    "2024-2-9",
    "20240131",
    "2024-01-31 12:00:00",
    "2024-01-31 12:00:00.5",
    "2024-01-31 12:00:00.500000",
    "2024-01-31T23:59:59",
    "2024-01-31 24:00:00",
    "0000-01-01",
    "abc",
    "abcdefg",
    "é",
    "ééé",
    "éééé",
    "a b",
    " a",
    "a ",
    r"\N",
    r"a\b",
    "a\"b",
    "\\",
    "\"",
    "''",
    "a;b",
    "\u{7f}",
    "\0",
    "x\r",
];

/// A field as a file might have it, rightly written or not.
fn field() -> impl Strategy<Value = String> {
    let value = prop::sample::select(VALUES.as_slice()).prop_map(str::to_owned);
    let quoted = |text: String| format!("\"{}\"", text.replace('"', "\"\""));
    prop_oneof![
        8 => value.clone(),
        4 => value.prop_map(quoted),
        1 => Just(String::new()),
        1 => Just("\"\"".to_owned()),
        1 => Just("\"a\nb\"".to_owned()),
        1 => Just("\"a,b\"".to_owned()),
        1 => Just("\"a\"x".to_owned()),
        1 => prop::sample::select(["null", "\"null\"", r#""{""a"": [1, ""x\n\u00e9""]}""#, r#""{""a"":""#, r#""""\ud800""""#].as_slice())
            .prop_map(str::to_owned),
    ]
}

fn wire() -> impl Strategy<Value = WireFormat> {
    prop::sample::select([WireFormat::Csv, WireFormat::Json].as_slice())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn a_relayed_text_is_the_same_table(
        types in prop::collection::vec((prop::sample::select([&TYPES[..], &["JSON"]].concat()), any::<bool>()), 1..5),
        records in prop::collection::vec((prop::collection::vec(field(), 1..5), 0..10_u8), 0..12),
        order in 0..3_u8,
        crlf: bool,
        header: bool,
        ended: bool,
        marker in prop::sample::select([None, Some("NULL"), Some("1"), Some("\\N")].as_slice()),
        delimiter in prop::sample::select([b',', b',', b';'].as_slice()),
        quote in prop::sample::select([Some(b'"'), Some(b'"'), Some(b'\''), None].as_slice()),
        escape in prop::sample::select([None, None, None, Some(b'\\')].as_slice()),
        (block_bytes, blindly) in (1_usize..300, any::<bool>()),
        wire in wire(),
    ) {
        let fields = types.len();
        let line_end = if crlf { "\r\n" } else { "\n" };
        let mut text = if header { vec!["h"; fields].join(&char::from(delimiter).to_string()) + line_end } else { String::new() };
        for (mut record, odd) in records {
            // Mostly as many fields as there should be.
            if odd > 0 {
                record = record.into_iter().cycle().take(fields).collect();
            }
            text += &record.join(&char::from(delimiter).to_string());
            text += line_end;
        }
        if !ended {
            text.truncate(text.trim_end_matches(['\r', '\n']).len());
        }
        let dialect = Dialect { delimiter, quote, escape, null: marker.map(str::to_owned), header };
        let mut projected: Vec<Projected> = types
            .iter()
            .enumerate()
            .map(|(index, (ty, nullable))| Projected {
                column: Column { nullable: *nullable, ..Column::new(format!("c{index}"), ty.parse().unwrap()) },
                source: FieldRef::Index(index),
            })
            .collect();
        match order {
            0 => {}
            1 => projected.reverse(),
            // A field less, or one that is read twice.
            _ => projected[0].source = FieldRef::Index(fields - 1),
        }
        compare(text.as_bytes(), &dialect, &projected, fields, (block_bytes, blindly), (wire, false));
    }

    #[test]
    fn bytes_that_are_no_text_are_the_same_rejects(
        bytes in prop::collection::vec(prop::sample::select(b"a1,\"\n\r\\\xc3\xa9\xff".as_slice()), 0..200),
        block_bytes in 1_usize..60,
        blindly: bool,
        wire in wire(),
    ) {
        let dialect = Dialect { delimiter: b',', quote: Some(b'"'), escape: None, null: None, header: false };
        let projected: Vec<Projected> = [("VARCHAR(20)", 0), ("INT", 1)]
            .into_iter()
            .map(|(ty, index)| Projected {
                column: Column::new(format!("c{index}"), ty.parse().unwrap()),
                source: FieldRef::Index(index),
            })
            .collect();
        compare(&bytes, &dialect, &projected, 2, (block_bytes, blindly), (wire, false));
    }

    /// Where every value fits its column there is nothing that a check could change.
    #[test]
    fn an_unchecked_text_that_fits_is_the_same_table(
        records in prop::collection::vec(prop::collection::vec(field(), 2), 0..20),
        crlf in prop::sample::select([false, false, true].as_slice()),
        ended: bool,
        block_bytes in 1_usize..200,
        blindly: bool,
    ) {
        let line_end = if crlf { "\r\n" } else { "\n" };
        let mut text: String = records.iter().map(|record| record.join(",") + line_end).collect();
        if !ended {
            text.truncate(text.trim_end_matches(['\r', '\n']).len());
        }
        let dialect = Dialect { delimiter: b',', quote: Some(b'"'), escape: None, null: None, header: false };
        let projected: Vec<Projected> = (0..2)
            .map(|index| Projected {
                column: Column::new(format!("c{index}"), "VARCHAR(100)".parse().unwrap()),
                source: FieldRef::Index(index),
            })
            .collect();
        compare(text.as_bytes(), &dialect, &projected, 2, (block_bytes, blindly), (WireFormat::Csv, true));
    }
}

/// The first record is a row only once its quotes are halved; those behind it are taken together.
#[test]
fn rows_behind_one_that_was_put_off_have_their_own_places() {
    let text = "\"a\"\"b\",1\n".to_owned() + &"c,2\n".repeat(20);
    let dialect = Dialect { delimiter: b',', quote: Some(b'"'), escape: None, null: None, header: false };
    let columns = [("VARCHAR(3)", 0), ("INT", 1)].map(|(ty, index)| Projected {
        column: Column::new(format!("c{index}"), ty.parse().unwrap()),
        source: FieldRef::Index(index),
    });
    for wire in [WireFormat::Csv, WireFormat::Json] {
        compare(text.as_bytes(), &dialect, &columns, 2, (1 << 10, false), (wire, false));
    }
}
