//! Inputs from their first byte to their last batch.

use std::io::{self, Write};

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Int64Type;

use super::*;
use crate::failure::{Code, Failure};
use crate::model::{ColumnType, Reject, Table};
use crate::reader::map;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn stream(bytes: &[u8]) -> Opened {
    Opened::Stream(Box::new(Cursor::new(bytes.to_vec())))
}

fn file(bytes: &[u8]) -> Opened {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    io::Seek::rewind(&mut file).unwrap();
    Opened::File(file)
}

fn probed(name: &str, bytes: &[u8]) -> Result<Probed, Error> {
    probe(Path::new(name), stream(bytes), &Options::default())
}

fn table(columns: Vec<Column>) -> Table {
    Table { database: "db".into(), name: "t".into(), columns }
}

/// Reads everything into the table that the input itself suggests. Returns rows and rejects.
fn all(probed: Probed) -> Result<(usize, Vec<Reject>), Error> {
    let mapping = map(Path::new("x"), &probed.fields()?, &table(probed.infer()?), None)?;
    let mut reader = probed.into_reader(mapping.projected, mapping.known)?;
    let (mut rows, mut rejects) = (0, Vec::new());
    while let Some(batch) = reader.next(&mut rejects)? {
        rows += batch.rows.num_rows();
    }
    Ok((rows, rejects))
}

#[test]
fn inputs_are_described_for_people() {
    let options = Options {
        csv: CsvOptions { header: Some(false), null: Some("\\N".into()), quote: Some(None), ..CsvOptions::default() },
        ..Options::default()
    };
    let described = |name: &str, bytes: &[u8], options: &Options| {
        probe(Path::new(name), stream(bytes), options).unwrap().describe()
    };
    let plain = Options::default();
    assert_eq!(described("a.csv", b"a;b\n1;2\n", &plain), "CSV, ';', header");
    assert_eq!(described("a.tsv.gz", &gzip(b"a\tb\n1\t2\n"), &plain), "TSV, header, gzip");
    assert_eq!(described("a.csv", b"1,2\n", &options), "CSV, ',', no header, no quotes, NULL is `\\N`");
    assert_eq!(described("-", b"{\"a\":1}\n", &plain), "NDJSON");
    assert_eq!(described("-", b"[{\"a\":1}]", &plain), "JSON");
}

#[test]
fn fields_have_the_names_that_the_input_gives_them() {
    let names = |name: &str, bytes: &[u8]| probed(name, bytes).unwrap().fields().unwrap();
    let fields = names("a.csv", b"id,\"the name\"\n1,x\n");
    assert_eq!((fields.names, fields.kind), (Some(vec!["id".into(), "the name".into()]), FieldKind::Delimited));
    let fields = names("-", b"{\"a\":1}\n{\"b\":2}\n");
    assert_eq!((fields.names, fields.kind), (Some(vec!["a".into(), "b".into()]), FieldKind::Keyed));
    let options = Options { csv: CsvOptions { header: Some(false), ..CsvOptions::default() }, ..Options::default() };
    let fields = probe(Path::new("a.csv"), stream(b"1,x,y\n"), &options).unwrap().fields().unwrap();
    assert_eq!((fields.names, fields.count), (None, 3));
}

#[test]
fn the_header_of_rejects_is_the_line_as_it_stands() {
    let header = |bytes: &[u8]| probed("a.csv", bytes).unwrap().header();
    assert_eq!(header(b"\xef\xbb\xbf\"a\nb\",c\r\n1,2\r\n").unwrap(), b"\"a\nb\",c");
    assert_eq!(probed("a.json", b"{}").unwrap().header(), None);
}

#[test]
fn an_input_longer_than_the_sample_is_read_to_its_end() {
    let mut text = b"id,name\n".to_vec();
    let rows = 500_000;
    for row in 0..rows {
        writeln!(text, "{row},name {row:08}").unwrap();
    }
    assert!(text.len() > SAMPLE_BYTES);
    let stored = gzip(&text);
    for (name, bytes, opened) in [("a.csv", &text, stream(&text)), ("a.csv.gz", &stored, file(&stored))] {
        let probed = probe(Path::new(name), opened, &Options::default()).unwrap();
        let meter = probed.meter();
        assert!(meter.bytes() > 0);
        let (read, rejects) = all(probed).unwrap();
        assert_eq!((read, rejects.len()), (rows, 0), "{name}");
        assert_eq!(meter.bytes(), bytes.len() as u64, "{name}");
    }
}

#[test]
fn compressed_data_that_is_cut_off_is_an_error_wherever_it_is_noticed() {
    let mut text = b"a,b\n".to_vec();
    for row in 0..700_000 {
        writeln!(text, "{row},{}", row * 7).unwrap();
    }
    let stored = gzip(&text);
    for length in [stored.len() / 100, stored.len() - 9] {
        let result = probed("a.csv.gz", &stored[..length]).and_then(all);
        let error = result.expect_err("it is cut off");
        assert_eq!(error.code(), Code::InputTruncated, "{length}: {error}");
    }
}

#[test]
fn inputs_without_records_say_so() {
    for (name, bytes, code) in [
        ("a.csv", &b""[..], Code::InputEmpty),
        ("a.csv", b"\n\n", Code::InputEmpty),
        ("a.csv.gz", &gzip(b""), Code::InputEmpty),
        ("a.json", b"[]", Code::InputEmpty),
        ("a.json", b"{}", Code::SchemaUnclear),
        ("a.parquet", b"PAR1\0", Code::InputTruncated),
        ("data", b"\x80\x02}q\x01\x00", Code::FormatUnknown),
    ] {
        let result = probe(Path::new(name), file(bytes), &Options::default()).and_then(|probed| probed.fields());
        assert_eq!(result.expect_err(name).code(), code, "{name}");
    }
}

#[test]
fn a_disk_that_fails_is_not_the_end_of_the_input() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StaleNetworkFileHandle.into())
        }
    }
    let stream = Opened::Stream(Box::new(Cursor::new(b"a,b\n1,2\n".to_vec()).chain(Broken)));
    let error = probe(Path::new("a.csv"), stream, &Options::default()).err().expect("the disk fails");
    assert_eq!(error.code(), Code::InputUnreadable);
}

#[test]
fn renamed_and_temporary_fields_arrive_as_the_list_says() {
    let probed = probed("a.csv", b"x,y,z\n1,2,3\n4,5,\n").unwrap();
    let column = |name: &str| Column::new(name, ColumnType::BigInt);
    let table = table(vec![column("a"), column("b")]);
    let mapping = map(Path::new("a.csv"), &probed.fields().unwrap(), &table, Some("b=x,a=z+1")).unwrap();
    assert_eq!(mapping.derived, ["a=z+1"]);
    let mut reader = probed.into_reader(mapping.projected, mapping.known).unwrap();
    let rows = reader.next(&mut Vec::new()).unwrap().unwrap().rows;
    assert_eq!(rows.column_by_name("b").unwrap().as_primitive::<Int64Type>().values(), &[1, 4]);
    let temporary = rows.column_by_name("z").unwrap().as_string::<i32>();
    assert_eq!((temporary.value(0), temporary.is_null(1)), ("3", true));
}

#[test]
fn the_examples_are_read_without_a_reject() {
    for (name, rows) in
        [("airports.csv", 3376), ("birdstrikes.csv", 10_000), ("flights-2k.json", 2000), ("seattle-weather.csv", 1461)]
    {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        let opened = Opened::File(File::open(&path).unwrap());
        let (read, rejects) = all(probe(&path, opened, &Options::default()).unwrap()).unwrap();
        assert_eq!((read, rejects.len()), (rows, 0), "{name}");
    }
}
