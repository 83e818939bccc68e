//! What the CSV reader promises: every record is one row or one reject, with its exact place, however it is read.

use std::io::Cursor;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use proptest::prelude::*;

use super::*;
use crate::model::ColumnType;
use crate::reader::BATCH_BYTES_TARGET;

fn dialect() -> Dialect {
    Dialect { delimiter: b',', quote: Some(b'"'), escape: None, null: None, header: false }
}

fn text_column(index: usize) -> Projected {
    Projected { column: Column::new(format!("c{index}"), ColumnType::Varchar(1 << 20)), source: FieldRef::Index(index) }
}

type Row = (Origin, Vec<Option<String>>);

/// Everything an input gives.
#[derive(Debug, Default)]
struct All {
    rows: Vec<Row>,
    rejects: Vec<Reject>,
    error: Option<Error>,
}

impl All {
    fn values(&self) -> Vec<Vec<Option<&str>>> {
        self.rows.iter().map(|(_, row)| row.iter().map(Option::as_deref).collect()).collect()
    }

    fn codes(&self) -> Vec<&'static str> {
        self.rejects.iter().map(|reject| reject.rule.code).collect()
    }
}

/// Reads an input of text columns, in blocks of so many bytes.
fn read(input: &[u8], dialect: &Dialect, fields: usize, block_bytes: usize) -> All {
    let columns = (0..fields).map(text_column).collect();
    read_as(input, dialect, columns, fields, block_bytes)
}

fn read_as(input: &[u8], dialect: &Dialect, columns: Vec<Projected>, fields: usize, block_bytes: usize) -> All {
    let stream = Box::new(Cursor::new(input.to_vec()));
    let window = Window::new(Path::new("x.csv"), stream).with_limits(block_bytes, 1 << 16);
    let mut reader = CsvReader::over(window, dialect.clone(), columns, fields);
    let mut all = All::default();
    loop {
        match reader.next(&mut all.rejects) {
            Ok(Some(batch)) => {
                assert_eq!(batch.rows.num_rows(), batch.origins.len());
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
                assert!(reader.next(&mut all.rejects).is_ok_and(|batch| batch.is_none()), "an error ends the input");
                return all;
            }
        }
    }
}

#[test]
fn fields_are_read_as_they_are_quoted() {
    let escaping = Dialect { escape: Some(b'\\'), ..dialect() };
    let unquoted = Dialect { quote: None, ..dialect() };
    let piped = Dialect { delimiter: b'|', quote: Some(b'\''), ..dialect() };
    for (input, dialect, expected) in [
        ("a,b\n", &dialect(), vec![vec![Some("a"), Some("b")]]),
        ("a,b\r\nc,d", &dialect(), vec![vec![Some("a"), Some("b")], vec![Some("c"), Some("d")]]),
        ("a,\n,\"\"\n", &dialect(), vec![vec![Some("a"), None], vec![None, Some("")]]),
        ("\"a,b\",\"c\nd\"\n", &dialect(), vec![vec![Some("a,b"), Some("c\nd")]]),
        ("\"a\"\"b\",\"\"\"\"\n", &dialect(), vec![vec![Some("a\"b"), Some("\"")]]),
        ("a\"b\",c \"d\"\n", &dialect(), vec![vec![Some("a\"b\""), Some("c \"d\"")]]),
        ("a\rb,\r\n", &dialect(), vec![vec![Some("a\rb"), None]]),
        ("\\N,\"\\N\"\n", &dialect(), vec![vec![Some("\\N"), Some("\\N")]]),
        (" a , \"b\"\n", &dialect(), vec![vec![Some(" a "), Some(" \"b\"")]]),
        ("\n\na,b\n\r\n", &dialect(), vec![vec![Some("a"), Some("b")]]),
        ("\"a\\\"b\",\"c\\\\\"\n", &escaping, vec![vec![Some("a\"b"), Some("c\\")]]),
        ("\"a\"\"b\",c\\d\n", &escaping, vec![vec![Some("a\"b"), Some("c\\d")]]),
        ("\"a\",\"b\n", &unquoted, vec![vec![Some("\"a\""), Some("\"b")]]),
        ("'a|b'|\"\n", &piped, vec![vec![Some("a|b"), Some("\"")]]),
        ("\u{feff}a,b\n", &dialect(), vec![vec![Some("a"), Some("b")]]),
        ("\u{feff}", &dialect(), vec![]),
        ("", &dialect(), vec![]),
    ] {
        for block_bytes in [1, 2, 3, 1 << 20] {
            let all = read(input.as_bytes(), dialect, 2, block_bytes);
            assert_eq!(all.values(), expected, "{input:?} in blocks of {block_bytes}");
            assert_eq!((all.codes(), all.error.map(|error| error.to_string())), (vec![], None), "{input:?}");
        }
    }
}

#[test]
fn a_null_marker_takes_the_place_of_the_empty_field() {
    let marked = Dialect { null: Some("NA".into()), ..dialect() };
    let all = read(b"NA,\n\"NA\",\"\"\n", &marked, 2, 1);
    assert_eq!(all.values(), [[None, Some("")], [Some("NA"), Some("")]]);
}

#[test]
fn the_empty_field_is_the_empty_text_where_null_is_not_allowed() {
    let column =
        |ty| Projected { column: Column { nullable: false, ..Column::new("c", ty) }, source: FieldRef::Index(0) };
    let texts = || vec![column(ColumnType::Varchar(5))];
    assert_eq!(read_as(b",x\n", &dialect(), texts(), 2, 1).values(), [[Some("")]]);
    assert_eq!(read_as(b",x\n", &dialect(), vec![column(ColumnType::Json)], 2, 1).codes(), ["null-not-allowed"]);
    // A marker says NULL, and nothing else.
    let marked = Dialect { null: Some("NA".into()), ..dialect() };
    let all = read_as(b"NA,x\n,x\n", &marked, texts(), 2, 1);
    assert_eq!((all.values(), all.codes()), (vec![vec![Some("")]], vec!["null-not-allowed"]));
}

#[test]
fn an_empty_line_is_a_row_only_in_a_file_of_one_column() {
    assert_eq!(read(b"a\n\nb\n\n", &dialect(), 1, 1).values(), [[Some("a")], [None], [Some("b")], [None]]);
    assert_eq!(read(b"a,b\n\n\nc,d\n\n", &dialect(), 2, 1).rows.len(), 2);
}

#[test]
fn a_spoilt_record_is_a_reject_with_its_place_and_text_and_the_next_is_read() {
    let input = b"a,b\n1\n\"x\"y,\"p\nq\"\n\xff,z\n1,2,3\r\nc,d\n";
    for block_bytes in [1, 7, 1 << 20] {
        let all = read(input, &dialect(), 2, block_bytes);
        assert_eq!(all.values(), [[Some("a"), Some("b")], [Some("c"), Some("d")]]);
        assert_eq!(all.rows[1].0, Origin { line: 7, byte: 28 });
        let rejects: Vec<_> = all
            .rejects
            .iter()
            .map(|reject| (reject.rule.code, reject.origin.line, reject.origin.byte, reject.raw.as_slice()))
            .collect();
        assert_eq!(
            rejects,
            [
                ("field-count", 2, 4, b"1".as_slice()),
                ("quote", 3, 6, b"\"x\"y,\"p\nq\""),
                ("not-utf8", 5, 17, b"\xff,z"),
                ("field-count", 6, 21, b"1,2,3"),
            ]
        );
        assert_eq!(all.rejects[0].rule.text, "a record has 2 fields; this one has 1");
    }
}

#[test]
fn a_value_that_does_not_fit_rejects_its_row_and_names_the_column() {
    let number = Projected { column: Column::new("n", ColumnType::TinyInt), source: FieldRef::Index(1) };
    let all = read_as(b"a,300\n", &dialect(), vec![text_column(0), number], 2, 1 << 20);
    let reject = &all.rejects[0];
    assert_eq!((reject.column.as_deref(), reject.value.as_deref()), (Some("n"), Some("300")));
    assert_eq!((reject.rule.code, reject.raw.as_slice()), ("out-of-range", b"a,300".as_slice()));
    assert_eq!(reject.rule.text, "TINYINT lies between -128 and 127");
}

#[test]
fn places_count_the_mark_the_header_and_quoted_line_ends() {
    let with_header = Dialect { header: true, ..dialect() };
    let input = "\u{feff}\r\n\"a\nb\",c\r\n1,2\r\n\"\n\n\",4\n5,6";
    let all = read(input.as_bytes(), &with_header, 2, 1);
    let origins: Vec<_> = all.rows.iter().map(|(origin, _)| (origin.line, origin.byte)).collect();
    assert_eq!(origins, [(4, 14), (5, 19), (8, 26)]);
}

#[test]
fn a_quote_that_stays_open_ends_the_input_with_its_place_after_the_good_rows() {
    let all = read(b"a,b\nc,\"\n\nd", &dialect(), 2, 1);
    assert_eq!(all.values(), [[Some("a"), Some("b")]]);
    let error = all.error.unwrap();
    assert!(matches!(error, Error::Truncated { at: Some(Origin { line: 2, byte: 6 }), .. }), "{error}");
}

#[test]
fn a_record_beyond_the_limit_ends_the_input_whatever_the_block_size() {
    let long = [b"a,b\n".as_slice(), "x".repeat((1 << 16) + 1).as_bytes(), b"\nc,d\n"].concat();
    for block_bytes in [1, 1000, 1 << 20] {
        let all = read(&long, &dialect(), 2, block_bytes);
        assert_eq!(all.rows.len(), 1);
        let error = all.error.unwrap();
        assert!(matches!(error, Error::RecordTooLong { at: Origin { line: 2, byte: 4 }, .. }), "{error}");
    }
}

/// MEM-1: an open quote or a file without line ends is not read to its end before it is refused.
#[test]
fn a_record_without_end_is_given_up_at_the_limit() {
    struct Endless(usize);
    impl Read for Endless {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            self.0 += out.len();
            assert!(self.0 < 1 << 20, "far more than the limit is read");
            out.fill(b'x');
            Ok(out.len())
        }
    }
    let window = Window::new(Path::new("x"), Box::new(Endless(0))).with_limits(4096, 1 << 16);
    let mut reader = CsvReader::over(window, dialect(), vec![text_column(0)], 1);
    assert!(matches!(reader.next(&mut Vec::new()), Err(Error::RecordTooLong { .. })));
}

#[test]
fn rejects_fill_a_batch_as_rows_do() {
    let line = format!("{}\n", "x".repeat(BATCH_BYTES_TARGET / 4));
    let stream = Box::new(Cursor::new(line.repeat(6).into_bytes()));
    let mut reader = CsvReader::new(Path::new("x"), stream, dialect(), vec![text_column(0)], 2);
    let mut rejects = Vec::new();
    assert_eq!(reader.next(&mut rejects).unwrap().unwrap().rows.num_rows(), 0);
    assert_eq!(rejects.len(), 4);
    assert!(reader.next(&mut rejects).unwrap().is_some());
    assert!(reader.next(&mut rejects).unwrap().is_none());
    assert_eq!(rejects.len(), 6);
}

#[test]
fn batches_close_on_rows_and_on_bytes() {
    let column = Projected { column: Column::new("n", ColumnType::BigInt), source: FieldRef::Index(0) };
    let numbers: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
    let input = numbers.join("\n");
    let stream = Box::new(Cursor::new(input.into_bytes()));
    let mut reader = CsvReader::new(Path::new("x"), stream, dialect(), vec![column], 1);
    let mut sizes = Vec::new();
    let mut sum = 0;
    while let Some(batch) = reader.next(&mut Vec::new()).unwrap() {
        sizes.push(batch.rows.num_rows());
        sum += batch.rows.column(0).as_primitive::<Int64Type>().values().iter().sum::<i64>();
    }
    assert_eq!((sizes, sum), (vec![8192, 8192, 3616], 19_999 * 20_000 / 2));

    let line = format!("{}\n", "x".repeat(BATCH_BYTES_TARGET / 4));
    let stream = Box::new(Cursor::new(line.repeat(6).into_bytes()));
    let mut reader = CsvReader::new(Path::new("x"), stream, dialect(), vec![text_column(0)], 1);
    assert_eq!(reader.next(&mut Vec::new()).unwrap().unwrap().rows.num_rows(), 4);
    assert_eq!(reader.next(&mut Vec::new()).unwrap().unwrap().rows.num_rows(), 2);
}

#[test]
fn names_come_from_the_first_record() {
    let with_header = Dialect { header: true, ..dialect() };
    let names = |sample: &str, dialect: &Dialect| fields(Path::new("x"), sample.as_bytes(), true, dialect);
    assert_eq!(names("\u{feff}\n\"a \"\"b\",c\r\n1,2", &with_header).unwrap(), ["a \"b", "c"]);
    assert_eq!(names("5,6,\n", &dialect()).unwrap(), ["c1", "c2", "c3"]);
    assert!(matches!(names("", &with_header), Err(Error::Empty { .. })));
    assert!(matches!(names("\n\n", &with_header), Err(Error::Empty { .. })));
    assert!(matches!(names("\"a", &with_header), Err(Error::Truncated { .. })));
    assert!(matches!(names("\"a\"b,c\n", &with_header), Err(Error::Malformed { .. })));
    assert!(matches!(
        fields(Path::new("x"), b"a,b", false, &with_header),
        Err(Error::RecordTooLong { bytes_max: 3, .. })
    ));
}

/// How a test writes a file.
#[derive(Clone, Debug)]
struct Style {
    delimiter: u8,
    crlf: bool,
    last_line_end: bool,
    escape: bool,
}

fn style() -> impl Strategy<Value = Style> {
    (prop_oneof![Just(b','), Just(b'\t'), Just(b';'), Just(b'|')], any::<bool>(), any::<bool>(), any::<bool>())
        .prop_map(|(delimiter, crlf, last_line_end, escape)| Style { delimiter, crlf, last_line_end, escape })
}

fn cell() -> impl Strategy<Value = (Option<String>, bool)> {
    (proptest::option::weighted(0.9, r#"[a,;|\t"\\\n\r é\x00]{0,6}"#), any::<bool>())
}

/// Writes rows, quoting what has to be and what chance says.
fn write(rows: &[Vec<(Option<String>, bool)>], style: &Style) -> Vec<u8> {
    let line_end = if style.crlf { "\r\n" } else { "\n" };
    let mut out = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (index, (value, quote)) in row.iter().enumerate() {
            if index > 0 {
                out.push(char::from(style.delimiter));
            }
            let Some(value) = value else { continue };
            let special = |c: char| "\"\n\r".contains(c) || c == char::from(style.delimiter);
            if !quote && !value.is_empty() && !value.contains(special) {
                out.push_str(value);
                continue;
            }
            let escaped = if style.escape {
                value.replace('\\', r"\\").replace('"', if *quote { r#"\""# } else { r#""""# })
            } else {
                value.replace('"', r#""""#)
            };
            out.extend(["\"", &escaped, "\""]);
        }
        // A last row that is one NULL is an empty line, and that needs its end to be seen.
        let empty_line = row.len() == 1 && row[0].0.is_none();
        if number + 1 < rows.len() || style.last_line_end || empty_line {
            out.push_str(line_end);
        }
    }
    out.into_bytes()
}

fn rows() -> impl Strategy<Value = Vec<Vec<(Option<String>, bool)>>> {
    (1_usize..4).prop_flat_map(|fields| proptest::collection::vec(proptest::collection::vec(cell(), fields), 1..8))
}

proptest! {
    /// ROWS-1, and that the values are what was written.
    #[test]
    fn rows_are_read_back_as_written_whatever_the_block_size(rows in rows(), style in style(), block_bytes in 1_usize..40) {
        let input = write(&rows, &style);
        let dialect = Dialect {
            delimiter: style.delimiter,
            escape: style.escape.then_some(b'\\'),
            ..dialect()
        };
        let all = read(&input, &dialect, rows[0].len(), block_bytes);
        let expected: Vec<Vec<_>> =
            rows.iter().map(|row| row.iter().map(|(value, _)| value.as_deref()).collect()).collect();
        prop_assert_eq!(all.values(), expected, "{:?}", String::from_utf8_lossy(&input));
        prop_assert!(all.rejects.is_empty() && all.error.is_none());
        for (origin, _) in &all.rows {
            let before = &input[..usize::try_from(origin.byte).unwrap()];
            prop_assert_eq!(origin.line, 1 + line_ends(before), "lines are counted by their ends");
            prop_assert!(before.is_empty() || before.ends_with(b"\n"));
        }
    }

    /// ROWS-1 on any bytes: rows, rejects and empty lines add up to the input, and blocks make no difference.
    #[test]
    fn any_bytes_give_the_same_rows_and_rejects_whatever_the_block_size(
        input in proptest::collection::vec(prop_oneof![
            Just(b'"'), Just(b','), Just(b'\n'), Just(b'\r'), Just(b'a'), Just(b'\\'), Just(0xC3), Just(0xA9)
        ], 0..60),
        escape: bool,
        block_bytes in 1_usize..20,
    ) {
        let dialect = Dialect { escape: escape.then_some(b'\\'), ..dialect() };
        let whole = read(&input, &dialect, 2, 1 << 20);
        let parts = read(&input, &dialect, 2, block_bytes);
        prop_assert_eq!(&whole.rows, &parts.rows);
        prop_assert_eq!(&whole.rejects, &parts.rejects);
        prop_assert_eq!(whole.error.map(|error| error.to_string()), parts.error.map(|error| error.to_string()));
    }

    /// ROWS-1 where records are spoilt: each line is one row or one reject.
    #[test]
    fn every_record_is_one_row_or_one_reject(
        records in proptest::collection::vec(prop_oneof![
            Just((true, "a,b")), Just((true, "\"x\ny\",\"\"")), Just((true, ",")), Just((true, "a\"b,\"c\"\"d\"")),
            Just((false, "a")), Just((false, "a,b,c")), Just((false, "\"x\"y,z")), Just((false, "\"x\",\"y\" ")),
        ], 0..12),
        block_bytes in 1_usize..30,
    ) {
        let lines: Vec<&str> = records.iter().map(|(_, line)| *line).collect();
        let all = read(lines.join("\r\n").as_bytes(), &dialect(), 2, block_bytes);
        let good = records.iter().filter(|(good, _)| *good).count();
        prop_assert!(all.error.is_none());
        prop_assert_eq!((all.rows.len(), all.rejects.len()), (good, records.len() - good));
        let raws: Vec<_> = all.rejects.iter().map(|reject| std::str::from_utf8(&reject.raw).unwrap()).collect();
        let bad: Vec<_> = records.iter().filter(|(good, _)| !good).map(|(_, line)| *line).collect();
        prop_assert_eq!(raws, bad);
    }

    /// The library that does nothing else agrees on the fields, wherever its notion of CSV is the same as ours.
    #[test]
    fn csv_async_finds_the_same_fields(rows in rows(), style in style()) {
        let style = Style { escape: false, ..style };
        let input = write(&rows, &style);
        let dialect = Dialect { delimiter: style.delimiter, ..dialect() };
        let ours = read(&input, &dialect, rows[0].len(), 16);
        let ours: Vec<Vec<String>> = ours
            .rows
            .into_iter()
            .map(|(_, row)| row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>())
            // It passes over empty lines in files of one column, too.
            .filter(|row| row.len() > 1 || !row[0].is_empty())
            .collect();
        let theirs: Vec<Vec<String>> = oracle(&input, style.delimiter)
            .into_iter()
            .filter(|row| row.len() > 1 || !row[0].is_empty())
            .collect();
        prop_assert_eq!(ours, theirs, "{:?}", String::from_utf8_lossy(&input));
    }
}

fn oracle(input: &[u8], delimiter: u8) -> Vec<Vec<String>> {
    use futures_util::StreamExt as _;

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut reader = csv_async::AsyncReaderBuilder::new()
            .has_headers(false)
            .delimiter(delimiter)
            .flexible(true)
            .create_reader(input);
        let mut rows = Vec::new();
        let mut records = reader.records();
        while let Some(record) = records.next().await {
            let record = record.unwrap();
            rows.push(record.iter().map(str::to_owned).collect());
        }
        rows
    })
}
