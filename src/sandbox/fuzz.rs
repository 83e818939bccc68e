//! Everything that reads bytes of a client, as functions over any bytes that must neither panic, nor hang, nor take memory
//! that the bytes do not account for.
//!
//! The tests below run them over random and mutated input; the crate in `fuzz/` has libFuzzer look for more.

use std::io::{BufReader, Read};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::columns;
use super::count;
use super::csv::{Dialect, Rows};
use super::decompress::{self, Codec};
use super::json::{self, Documents, Keys, Layout};
use super::json_path::Path;
use super::select::translate_expression;
use super::sql;
use super::sql::token::Tokens;
use super::types::SqlType;
use super::value;
use super::wire::{Limits, LoadRequest};
use super::zone::Zone;

/// The headers that mean something, by the byte that a line begins with.
const HEADERS: [&str; 26] = [
    "label",
    "format",
    "columns",
    "where",
    "column_separator",
    "row_delimiter",
    "skip_header",
    "trim_space",
    "enclose",
    "escape",
    "jsonpaths",
    "json_root",
    "strip_outer_array",
    "ignore_json_size",
    "compression",
    "content-encoding",
    "content-length",
    "max_filter_ratio",
    "timeout",
    "strict_mode",
    "partial_update",
    "partitions",
    "merge_condition",
    "envelope",
    "negative",
    "authorization",
];

/// Types whose readers differ.
const TYPES: [&str; 19] = [
    "boolean",
    "tinyint",
    "bigint",
    "largeint",
    "float",
    "double",
    "decimal(9,2)",
    "decimal(38,18)",
    "date",
    "datetime",
    "char(3)",
    "varchar(10)",
    "varbinary",
    "json",
    "array<int>",
    "array<array<varchar(5)>>",
    "map<varchar(5),double>",
    "map<int,array<date>>",
    "struct<a int,b varchar(5)>",
];

/// How much of a decompressed body is looked at.
const UNPACKED_BYTES_MAX: u64 = 1024 * 1024;

/// Lines of a byte that chooses a header, and the header's value.
pub fn headers(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some((choice, value)) = line.split_first() else { continue };
        let name = HEADERS[usize::from(*choice) % HEADERS.len()];
        let name = HeaderName::from_static(name);
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    let _ = super::http::Credentials::parse(&headers);
    let _ = LoadRequest::parse(&headers, &Limits::default());
}

/// Eight bytes that choose a dialect, and a body.
///
/// # Panics
/// When rows are counted otherwise than they are parsed.
pub fn csv(bytes: &[u8]) {
    let Some((choice, body)) = bytes.split_first_chunk::<8>() else { return };
    let pick = |at: usize, from: &[&[u8]]| from[usize::from(choice[at]) % from.len()].to_vec();
    let control = |at: usize| [0, b'"', b'\\', choice[at]][usize::from(choice[at]) % 4];
    let dialect = Dialect {
        separator: pick(0, &[b",", b"\t", b"||", b"\"", b"\n", &choice[..1], &choice[..2]]),
        delimiter: pick(1, &[b"\n", b"\r\n", b",", b"\"\"", b"aaa", &choice[1..2], &choice[1..3]]),
        enclose: control(2),
        escape: control(3),
        trim_space: choice[4] & 1 == 1,
        skip_header: u64::from(choice[5] % 3),
        tail_damage: choice[4] & 2 == 2,
    };
    let ty = ty(choice[6]);
    let piece = usize::from(choice[7]) + 1;
    let mut rows = Rows::new(BufReader::with_capacity(piece, body), dialect.clone());
    let mut count = 0_u64;
    while rows.advance().expect("memory can be read") {
        count += 1;
        assert!(rows.raw().len() <= bytes.len() + dialect.delimiter.len(), "a row is no longer than its body");
        for at in 0..rows.field_count() {
            if let Ok(text) = std::str::from_utf8(rows.field(at)) {
                let _ = value::from_text(&ty, text);
            }
        }
    }
    assert!(count <= bytes.len() as u64, "there are no more rows than bytes");
    if let Some(counted) = count::csv_rows(&dialect, BufReader::with_capacity(piece, body)) {
        assert_eq!(counted.expect("memory can be read"), count, "{dialect:?}");
    }
}

/// Two bytes that choose a layout and a type, and a body.
///
/// # Panics
/// When objects are counted otherwise than they are cut.
pub fn json(bytes: &[u8]) {
    let Some((choice, body)) = bytes.split_first_chunk::<2>() else { return };
    let rooted = choice[0] & 2 == 2;
    let layout = Layout {
        strip_outer_array: choice[0] & 1 == 1,
        root: if rooted { Path::parse("$.a") } else { None },
        paths: None,
    };
    let ty = ty(choice[1]);
    let keys = Keys::new(vec!["a".to_owned(), "b".to_owned()]);
    let mut documents = Documents::new(BufReader::with_capacity(64, body), &layout);
    let mut count = Some(0);
    loop {
        let Ok(found) = documents.advance() else {
            count = None;
            break;
        };
        let Some(object) = found else { break };
        count = count.map(|count| count + 1);
        for picked in keys.pick(object).into_iter().flatten().flatten() {
            let _ = value::from_json(&ty, picked.get());
        }
        let _ = json::canonical(object);
    }
    if !rooted {
        let counted = count::json_rows(&layout, BufReader::with_capacity(100, body));
        assert_eq!(counted.ok(), count, "the objects that are counted are those that are cut");
    }
}

/// A byte that chooses a type, and a value.
pub fn values(bytes: &[u8]) {
    let Some((choice, text)) = text(bytes) else { return };
    let ty = ty(choice);
    let _ = value::scalar(&ty, text);
    let _ = value::from_text(&ty, text);
    if serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok() {
        let _ = value::from_json(&ty, text.trim_ascii());
    }
}

/// The `columns` header.
pub fn column_list(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = columns::parse(text);
    }
}

/// A path, a line feed, and a document.
pub fn json_path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (path, document) = text.split_once('\n').unwrap_or((text, r#"{"a":[{"b":1},{"b":[2]}]}"#));
    if let Some(path) = Path::parse(path) {
        let _ = path.find(document);
    }
}

/// A byte that chooses a codec, and a body.
pub fn decompressed(bytes: &[u8]) {
    let Some((choice, body)) = bytes.split_first() else { return };
    let codec = [Codec::Gzip, Codec::Bzip2, Codec::Lz4Frame, Codec::Deflate, Codec::Zstd][usize::from(*choice) % 5];
    let Ok(source) = decompress::open(Some(codec), choice & 0x80 != 0, body) else { return };
    let _ = std::io::copy(&mut source.take(UNPACKED_BYTES_MAX), &mut std::io::sink());
}

/// A statement, an expression over two columns, a type.
pub fn statement(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(mut tokens) = Tokens::new(text) {
        while tokens.take().is_some() {}
    }
    let _ = sql::is_single(text);
    let _ = sql::leading_keyword(text);
    let _ = sql::placeholders(text);
    let _ = text.parse::<SqlType>();
    let _ = translate_expression(text, &["a".to_owned(), "b".to_owned()], Zone::SHANGHAI);
}

fn ty(choice: u8) -> SqlType {
    let name = TYPES[usize::from(choice) % TYPES.len()];
    name.parse().expect("the types are written as they are read")
}

fn text(bytes: &[u8]) -> Option<(u8, &str)> {
    let (choice, text) = bytes.split_first()?;
    Some((*choice, std::str::from_utf8(text).ok()?))
}

#[cfg(test)]
#[path = "fuzz_tests.rs"]
mod tests;
