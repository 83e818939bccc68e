//! Typed inputs, written by the reference writers and read back through the front door.

use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::*;
use arrow::ipc::writer::{FileWriter, StreamWriter};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

use crate::failure::{Code, Failure};
use crate::model::{Column, Reject};
use crate::reader::{Error, FieldRef, Options, Projected, probe};
use crate::source::Opened;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Parquet,
    File,
    Stream,
}

const KINDS: [Kind; 3] = [Kind::Parquet, Kind::File, Kind::Stream];

/// Writes batches of at most `block` rows.
fn written(kind: Kind, rows: &RecordBatch, block: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let blocks = || (0..rows.num_rows()).step_by(block).map(|at| rows.slice(at, block.min(rows.num_rows() - at)));
    match kind {
        Kind::Parquet => {
            let properties = WriterProperties::builder().set_max_row_group_row_count(Some(block)).build();
            let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties)).unwrap();
            blocks().for_each(|rows| writer.write(&rows).unwrap());
            writer.close().unwrap();
        }
        Kind::File => {
            let mut writer = FileWriter::try_new(&mut bytes, &rows.schema()).unwrap();
            blocks().for_each(|rows| writer.write(&rows).unwrap());
            writer.finish().unwrap();
        }
        Kind::Stream => {
            let mut writer = StreamWriter::try_new(&mut bytes, &rows.schema()).unwrap();
            blocks().for_each(|rows| writer.write(&rows).unwrap());
            writer.finish().unwrap();
        }
    }
    bytes
}

fn opened(bytes: &[u8]) -> Opened {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, bytes).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    Opened::File(file)
}

/// Reads columns by position as `columns`: the rows and the rejects.
fn read(bytes: &[u8], columns: &[(Column, usize)]) -> Result<(RecordBatch, Vec<u64>, Vec<Reject>), Error> {
    let probed = probe(Path::new("x"), opened(bytes), &Options::default())?;
    let project =
        |(column, index): &(Column, usize)| Projected { column: column.clone(), source: FieldRef::Index(*index) };
    let mut reader = probed.into_reader(columns.iter().map(project).collect(), None)?;
    let (mut batches, mut lines, mut rejects) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(batch) = reader.next(&mut rejects)? {
        assert!(batch.rows.num_rows() <= crate::reader::BATCH_ROWS_MAX);
        assert_eq!(batch.rows.num_rows(), batch.origins.len());
        lines.extend(batch.origins.iter().map(|origin| origin.line));
        batches.push(batch.rows);
    }
    let schema = crate::model::table::arrow_schema(&columns.iter().map(|it| it.0.clone()).collect::<Vec<_>>());
    // Encoders take some columns in another type; what is in them is the same.
    let typed = |rows: &RecordBatch| {
        let columns = rows.columns().iter().zip(schema.fields()).map(|(array, field)| cast(array, field.data_type()));
        RecordBatch::try_new(Arc::clone(&schema), columns.collect::<Result<_, _>>().unwrap()).unwrap()
    };
    let batches: Vec<RecordBatch> = batches.iter().map(typed).collect();
    Ok((concat_batches(&schema, &batches).unwrap(), lines, rejects))
}

/// Reads one array as a column of a type, from every kind of input that can hold it. Returns the values as text.
fn column(array: ArrayRef, ty: &str) -> (Vec<Option<String>>, Vec<Reject>) {
    let name = "v";
    let rows = RecordBatch::try_from_iter_with_nullable([(name, array, true)]).unwrap();
    let column = Column::new(name, ty.parse().unwrap());
    let mut results = KINDS
        .into_iter()
        .filter(|kind| *kind != Kind::Parquet || parquet_holds(rows.column(0).data_type()))
        .map(|kind| {
            let (read, _, rejects) = read(&written(kind, &rows, 3), &[(column.clone(), 0)]).unwrap();
            let text = |row| arrow::util::display::array_value_to_string(read.column(0), row).unwrap();
            let values = (0..read.num_rows()).map(|row| read.column(0).is_valid(row).then(|| text(row)));
            (values.collect::<Vec<_>>(), rejects)
        })
        .collect::<Vec<_>>();
    let last = results.pop().unwrap();
    for result in results {
        assert_eq!(result, last, "{ty}");
    }
    last
}

fn parquet_holds(ty: &DataType) -> bool {
    !matches!(
        ty,
        DataType::Decimal128(_, ..0)
            | DataType::RunEndEncoded(..)
            | DataType::Interval(IntervalUnit::MonthDayNano)
            | DataType::Duration(_)
    )
}

fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| (*value != "∅").then(|| (*value).to_owned())).collect()
}

#[test]
fn every_type_is_read_as_what_it_means() {
    let days = Date32Array::from(vec![Some(0), None, Some(19_000)]);
    let words = StringArray::from(vec![Some("a"), None, Some("ä\n\"")]);
    let decimals = |values: Vec<Option<i128>>, precision, scale| {
        Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap()
    };
    let dictionary: DictionaryArray<Int8Type> = [Some("x"), None, Some("x"), Some("y")].into_iter().collect();
    let runs: RunArray<Int32Type> = [Some("x"), Some("x"), None].into_iter().collect();
    let binary = FixedSizeBinaryArray::try_from_iter([[1_u8, 255], [0, 0]].into_iter()).unwrap();
    let nanos = |values: Vec<i64>| TimestampNanosecondArray::from(values);
    for (array, ty, values) in [
        (Arc::new(BooleanArray::from(vec![Some(true), None])) as ArrayRef, "BOOLEAN", &["true", "∅"][..]),
        (Arc::new(BooleanArray::from(vec![true])), "INT", &["1"]),
        (Arc::new(Int8Array::from(vec![Some(-128), None, Some(127)])), "TINYINT", &["-128", "∅", "127"]),
        (Arc::new(Int8Array::from(vec![-128])), "BIGINT", &["-128"]),
        (Arc::new(UInt8Array::from(vec![255])), "SMALLINT", &["255"]),
        (Arc::new(UInt32Array::from(vec![u32::MAX])), "BIGINT", &["4294967295"]),
        (Arc::new(UInt64Array::from(vec![u64::MAX])), "LARGEINT", &["18446744073709551615"]),
        (Arc::new(UInt64Array::from(vec![u64::MAX])), "STRING", &["18446744073709551615"]),
        (Arc::new(Int64Array::from(vec![Some(7), None])), "INT", &["7", "∅"]),
        (Arc::new(Int32Array::from(vec![7])), "DECIMAL(9,2)", &["7.00"]),
        (Arc::new(Int32Array::from(vec![7])), "DOUBLE", &["7.0"]),
        (Arc::new(Float32Array::from(vec![Some(0.5), None])), "FLOAT", &["0.5", "∅"]),
        (Arc::new(Float32Array::from(vec![0.5])), "DOUBLE", &["0.5"]),
        (Arc::new(Float64Array::from(vec![0.1])), "DECIMAL(9,2)", &["0.10"]),
        (Arc::new(Float64Array::from(vec![0.1])), "VARCHAR(5)", &["0.1"]),
        (Arc::new(decimals(vec![Some(-105), None], 5, 2)), "DECIMAL(10,2)", &["-1.05", "∅"]),
        (Arc::new(decimals(vec![Some(1200)], 9, 3)), "DECIMAL(9,1)", &["1.2"]),
        (Arc::new(decimals(vec![Some(12)], 9, -2)), "INT", &["1200"]),
        (Arc::new(days.clone()), "DATE", &["1970-01-01", "∅", "2022-01-08"]),
        (Arc::new(days.clone()), "DATETIME", &["1970-01-01T00:00:00", "∅", "2022-01-08T00:00:00"]),
        (Arc::new(days), "STRING", &["1970-01-01", "∅", "2022-01-08"]),
        (
            Arc::new(Date64Array::from(vec![86_400_000, 1])),
            "DATETIME",
            &["1970-01-02T00:00:00", "1970-01-01T00:00:00.001"],
        ),
        (Arc::new(TimestampSecondArray::from(vec![Some(-1), None])), "DATETIME", &["1969-12-31T23:59:59", "∅"]),
        (Arc::new(nanos(vec![1000])), "DATETIME", &["1970-01-01T00:00:00.000001"]),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("+08:00")),
            "DATETIME",
            &["1970-01-01T00:00:00"],
        ),
        (Arc::new(Time32SecondArray::from(vec![3661])), "STRING", &["01:01:01"]),
        (Arc::new(Time64MicrosecondArray::from(vec![1])), "STRING", &["00:00:00.000001"]),
        (Arc::new(DurationSecondArray::from(vec![90])), "BIGINT", &["90"]),
        (Arc::new(words.clone()), "VARCHAR(5)", &["a", "∅", "ä\n\""]),
        (cast(&words, &DataType::LargeUtf8).unwrap(), "VARCHAR(5)", &["a", "∅", "ä\n\""]),
        (cast(&words, &DataType::Utf8View).unwrap(), "VARCHAR(5)", &["a", "∅", "ä\n\""]),
        (Arc::new(dictionary), "STRING", &["x", "∅", "x", "y"]),
        (Arc::new(runs), "STRING", &["x", "x", "∅"]),
        (Arc::new(StringArray::from(vec!["{\"a\": [1 ]}"])), "JSON", &["{\"a\":[1]}"]),
        (Arc::new(binary), "VARBINARY", &["01ff", "0000"]),
        (Arc::new(NullArray::new(2)), "INT", &["∅", "∅"]),
    ] {
        let from = array.data_type().clone();
        let (found, rejects) = column(array, ty);
        assert_eq!((found, rejects.len()), (some(values), 0), "{from} as {ty}");
    }
}

#[test]
fn nested_values_keep_their_shape() {
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    let fixed = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), Some(2)]), None], 2);
    let fields = Fields::from(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Utf8, true)]);
    let structs = StructArray::new(
        fields,
        vec![Arc::new(Int32Array::from(vec![1, 2])), Arc::new(StringArray::from(vec![Some("x"), None]))],
        None,
    );
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    maps.keys().append_value("k");
    maps.values().append_value(5);
    maps.append(true).unwrap();
    maps.append(false).unwrap();
    for (array, ty, values) in [
        (Arc::new(lists.clone()) as ArrayRef, "ARRAY<BIGINT>", &["[1, ]", "∅", "[]"][..]),
        (
            cast(&lists, &DataType::LargeList(Arc::new(Field::new("item", DataType::Int64, true)))).unwrap(),
            "ARRAY<INT>",
            &["[1, ]", "∅", "[]"],
        ),
        (Arc::new(lists), "JSON", &["[1,null]", "∅", "[]"]),
        (Arc::new(fixed), "ARRAY<INT>", &["[1, 2]", "∅"]),
        (Arc::new(structs.clone()), "STRUCT<a BIGINT,b STRING>", &["{a: 1, b: x}", "{a: 2, b: }"]),
        (Arc::new(structs), "JSON", &["{\"a\":1,\"b\":\"x\"}", "{\"a\":2,\"b\":null}"]),
        (Arc::new(maps.finish()), "MAP<STRING,INT>", &["{k: 5}", "∅"]),
    ] {
        let from = array.data_type().clone();
        let (found, rejects) = column(array, ty);
        assert_eq!((found, rejects.len()), (some(values), 0), "{from} as {ty}");
    }
}

#[test]
fn values_that_a_column_does_not_hold_are_rejects_with_row_value_and_rule() {
    for (array, ty, line, value, code) in [
        (Arc::new(Int64Array::from(vec![1, 2, 1 << 40])) as ArrayRef, "INT", 3, "1099511627776", "out-of-range"),
        (Arc::new(StringArray::from(vec!["a", "abcd"])), "VARCHAR(3)", 2, "abcd", "too-long"),
        (Arc::new(Float64Array::from(vec![f64::NAN])), "DOUBLE", 1, "NaN", "not-finite"),
        (Arc::new(Float64Array::from(vec![0.125])), "DECIMAL(9,2)", 1, "0.125", "too-precise"),
        (Arc::new(Date32Array::from(vec![0, 3_000_000])), "DATE", 2, "+10183-09-21", "out-of-range"),
        (Arc::new(Date32Array::from(vec![3_000_000])), "STRING", 1, "+10183-09-21", "out-of-range"),
        (Arc::new(TimestampSecondArray::from(vec![i64::MAX])), "DATETIME", 1, "", "out-of-range"),
        (
            Arc::new(TimestampNanosecondArray::from(vec![1000, 1001])),
            "DATETIME",
            2,
            "1970-01-01T00:00:00.000001001",
            "too-precise",
        ),
        (Arc::new(StringArray::from(vec!["{"])), "JSON", 1, "{", "not-json"),
        (Arc::new(BinaryArray::from_vec(vec![b"\xff"])), "STRING", 1, "\u{fffd}", "not-utf8"),
    ] {
        let rows = array.len();
        let from = array.data_type().clone();
        let (values, rejects) = column(array, ty);
        assert_eq!((values.len(), rejects.len()), (rows - 1, 1), "{from} as {ty}");
        let reject = &rejects[0];
        assert_eq!(
            (reject.origin.line, reject.origin.byte, reject.rule.code),
            (line, line - 1, code),
            "{from} as {ty}"
        );
        assert!(reject.value.as_ref().unwrap().contains(value), "{reject:?}");
    }
}

#[test]
fn a_reject_carries_its_row_with_all_columns_also_those_not_loaded() {
    let rows = RecordBatch::try_from_iter([
        ("unused", Arc::new(StringArray::from(vec!["p\"", "q", "r", "s"])) as ArrayRef),
        ("id", Arc::new(Int32Array::from(vec![1, 2, 3, 4]))),
        ("n", Arc::new(Int32Array::from(vec![Some(10), None, Some(300), Some(5)]))),
    ])
    .unwrap();
    let columns = [
        (Column { nullable: false, ..Column::new("n", "TINYINT".parse().unwrap()) }, 2),
        (Column::new("id", "INT".parse().unwrap()), 1),
    ];
    for kind in KINDS {
        for block in [1, 3, 10] {
            let (read, lines, rejects) = read(&written(kind, &rows, block), &columns).unwrap();
            assert_eq!(read.column(0).as_primitive::<Int8Type>().values(), &[10, 5]);
            assert_eq!(read.column(1).as_primitive::<Int32Type>().values(), &[1, 4]);
            assert_eq!(lines, [1, 4]);
            let shown: Vec<_> =
                rejects.iter().map(|reject| (reject.origin.line, reject.rule.code, text(&reject.raw))).collect();
            assert_eq!(
                shown,
                [
                    (2, "null-not-allowed", r#"{"unused":"q","id":2,"n":null}"#.to_owned()),
                    (3, "out-of-range", r#"{"unused":"r","id":3,"n":300}"#.to_owned()),
                ],
                "{kind:?} {block}"
            );
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn wide_rows_make_small_batches() {
    let wide = "x".repeat(1 << 20);
    let rows =
        RecordBatch::try_from_iter([("v", Arc::new(StringArray::from(vec![wide.as_str(); 20])) as ArrayRef)]).unwrap();
    for kind in KINDS {
        let probed = probe(Path::new("x"), opened(&written(kind, &rows, 20)), &Options::default()).unwrap();
        let column = Column::new("v", "VARCHAR(1048576)".parse().unwrap());
        let mut reader = probed.into_reader(vec![Projected { column, source: FieldRef::Index(0) }], None).unwrap();
        let mut count = 0;
        while let Some(batch) = reader.next(&mut Vec::new()).unwrap() {
            assert!(batch.rows.num_rows() <= 4, "{kind:?}: {}", batch.rows.num_rows());
            count += batch.rows.num_rows();
        }
        assert_eq!(count, 20);
    }
}

#[test]
fn inputs_that_are_cut_off_anywhere_are_errors() {
    let rows = RecordBatch::try_from_iter([("v", Arc::new(Int32Array::from_iter_values(0..100)) as ArrayRef)]).unwrap();
    let columns = [(Column::new("v", "INT".parse().unwrap()), 0)];
    for kind in KINDS {
        let bytes = written(kind, &rows, 40);
        assert_eq!(read(&bytes, &columns).unwrap().0.num_rows(), 100);
        for length in (12..bytes.len()).step_by(7).chain([bytes.len() - 1, bytes.len() - 8]) {
            let error = read(&bytes[..length], &columns).expect_err("it is cut off");
            let code = error.code();
            let told = code == Code::InputTruncated || (length < 400 && code == Code::FormatUnknown);
            assert!(told, "{kind:?} after {length} of {}: {error} {error:?}", bytes.len());
        }
    }
}

#[test]
fn a_damaged_footer_is_an_error() {
    let rows = RecordBatch::try_from_iter([("v", Arc::new(Int32Array::from(vec![1])) as ArrayRef)]).unwrap();
    let mut bytes = written(Kind::Parquet, &rows, 1);
    let length = bytes.len();
    bytes[length - 30..length - 8].fill(0xee);
    let error = read(&bytes, &[(Column::new("v", "INT".parse().unwrap()), 0)]).unwrap_err();
    assert!(matches!(error.code(), Code::InputMalformed | Code::InputTruncated), "{error}");
}

#[test]
fn files_that_need_to_seek_are_refused_as_streams_and_arrow_streams_are_not() {
    let rows = RecordBatch::try_from_iter([("v", Arc::new(Int32Array::from(vec![1])) as ArrayRef)]).unwrap();
    for kind in KINDS {
        let stream = Opened::Stream(Box::new(std::io::Cursor::new(written(kind, &rows, 1))));
        match probe(Path::new("-"), stream, &Options::default()) {
            Ok(probed) => assert_eq!((kind, probed.describe().as_str()), (Kind::Stream, "Arrow stream")),
            Err(error) => {
                assert_ne!(kind, Kind::Stream);
                assert!(error.hint().unwrap().contains("save it"), "{error}");
            }
        }
    }
}

#[test]
fn old_timestamps_keep_every_year_and_every_digit() {
    use parquet::data_type::{Int96, Int96Type};
    use parquet::file::writer::SerializedFileWriter;
    let schema = Arc::new(parquet::schema::parser::parse_message_type("message m { required int96 t; }").unwrap());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut values = group.next_column().unwrap().unwrap();
    // Nanoseconds of the day in two halves, and the Julian day.
    let time = |day: u32, nanos: u64| {
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of a number")]
        Int96::from(vec![nanos as u32, (nanos >> 32) as u32, day])
    };
    let times = [time(2_440_588, 1_000), time(1_721_426, 0), time(5_373_484, 0), time(2_440_588, 1_001)];
    values.typed::<Int96Type>().write_batch(&times, None, None).unwrap();
    values.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let (read, _, rejects) = read(&bytes, &[(Column::new("t", "DATETIME".parse().unwrap()), 0)]).unwrap();
    let shown: Vec<String> = (0..read.num_rows())
        .map(|row| arrow::util::display::array_value_to_string(read.column(0), row).unwrap())
        .collect();
    assert_eq!(shown, ["1970-01-01T00:00:00.000001", "0001-01-01T00:00:00", "9999-12-31T00:00:00"]);
    assert_eq!(rejects.len(), 1);
    assert_eq!((rejects[0].origin.line, rejects[0].rule.code), (4, "too-precise"));
    assert_eq!(text(&rejects[0].raw), r#"{"t":"1970-01-01 00:00:00.000001001"}"#);
}

#[test]
fn a_schema_gives_columns_that_take_every_value() {
    let schema = Schema::new(vec![
        Field::new("a", DataType::UInt64, false),
        Field::new("b", DataType::Decimal128(5, -2), true),
        Field::new("c", DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)), true),
        Field::new("d", DataType::List(Arc::new(Field::new("item", DataType::Float32, true))), true),
        Field::new("e", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), true),
        Field::new("f", DataType::Decimal256(60, 2), true),
        Field::new("g", DataType::Time32(TimeUnit::Second), true),
    ]);
    let shown: Vec<String> = super::columns(&schema)
        .iter()
        .map(|column| format!("{} {}{}", column.name, column.ty, if column.nullable { "" } else { "!" }))
        .collect();
    assert_eq!(
        shown,
        ["a LARGEINT!", "b DECIMAL(7,0)", "c STRING", "d ARRAY<FLOAT>", "e DATETIME", "f STRING", "g STRING"]
    );
}

/// Columns of random values, one per Arrow type that has a counterpart of its own.
fn arrays(seeds: &[Option<i64>]) -> Vec<(&'static str, ArrayRef)> {
    let ints: Int64Array = seeds.iter().copied().collect();
    let text: StringArray = seeds.iter().map(|seed| seed.map(|seed| format!("v{seed}\t\u{1f980}"))).collect();
    let bytes: BinaryArray = seeds.iter().map(|seed| seed.map(i64::to_le_bytes)).collect();
    let doubles: Float64Array =
        seeds.iter().map(|seed| seed.map(|seed| f64::from((seed % 1_000_000_000) as i32) / 7.0)).collect();
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(
        seeds.iter().map(|seed| seed.map(|seed| (0..seed.rem_euclid(3)).map(Some).collect::<Vec<_>>())),
    );
    let decimals: Decimal128Array = seeds.iter().map(|seed| seed.map(i128::from)).collect();
    vec![
        ("BIGINT", Arc::new(ints.clone())),
        ("LARGEINT", Arc::new(ints)),
        ("STRING", Arc::new(text.clone())),
        ("VARCHAR(99)", cast(&text, &DataType::Utf8View).unwrap()),
        ("STRING", cast(&text, &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))).unwrap()),
        ("VARBINARY", Arc::new(bytes)),
        ("DOUBLE", Arc::new(doubles)),
        ("BOOLEAN", Arc::new(seeds.iter().map(|seed| seed.map(|seed| seed % 2 == 0)).collect::<BooleanArray>())),
        ("DATE", Arc::new(seeds.iter().map(|seed| seed.map(|seed| (seed % 700_000) as i32)).collect::<Date32Array>())),
        (
            "DATETIME",
            Arc::new(
                seeds
                    .iter()
                    .map(|seed| seed.map(|seed| seed % 60_000_000_000_000))
                    .collect::<TimestampMillisecondArray>(),
            ),
        ),
        ("ARRAY<BIGINT>", Arc::new(lists)),
        ("DECIMAL(38,4)", Arc::new(decimals.with_precision_and_scale(30, 4).unwrap())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn random_values_of_every_type_come_back_equal(
        seeds in prop::collection::vec(prop::option::of(any::<i64>()), 1..300),
        block in 1_usize..200,
    ) {
        let sources = arrays(&seeds);
        let named = sources.iter().enumerate().map(|(index, (_, array))| (format!("c{index}"), Arc::clone(array), true));
        let rows = RecordBatch::try_from_iter_with_nullable(named).unwrap();
        let columns: Vec<(Column, usize)> = sources
            .iter()
            .enumerate()
            .map(|(index, (ty, _))| (Column::new(format!("c{index}"), ty.parse().unwrap()), index))
            .collect();
        for kind in KINDS {
            let (found, lines, rejects) = read(&written(kind, &rows, block), &columns).unwrap();
            prop_assert!(rejects.is_empty(), "{:?}", rejects);
            prop_assert_eq!(lines, (1..=seeds.len() as u64).collect::<Vec<_>>());
            for (index, (ty, array)) in sources.iter().enumerate() {
                let wanted = columns[index].0.ty.arrow();
                prop_assert_eq!(found.column(index), &cast(array, &wanted).unwrap(), "{} {:?}", ty, kind);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn damage_never_makes_a_reader_panic(place in 0.0..1.0_f64, value in any::<u8>(), kind in prop::sample::select(&KINDS)) {
        let seeds: Vec<Option<i64>> = (0..50).map(|seed| (seed % 7 > 0).then_some(seed * 1_000_003)).collect();
        let sources = arrays(&seeds);
        let named = sources.iter().enumerate().map(|(index, (_, array))| (format!("c{index}"), Arc::clone(array), true));
        let mut bytes = written(kind, &RecordBatch::try_from_iter_with_nullable(named).unwrap(), 20);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in few bytes")]
        let place = (place * bytes.len() as f64) as usize;
        bytes[place] = value;
        let columns: Vec<(Column, usize)> = sources
            .iter()
            .enumerate()
            .map(|(index, (ty, _))| (Column::new(format!("c{index}"), ty.parse().unwrap()), index))
            .collect();
        let _ = read(&bytes, &columns);
    }
}
