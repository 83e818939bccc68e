//! Headers, good and bad.

use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::{Codec, Format, Limits, LoadRequest, Mapping, Path, Zone, unescape};

fn parse(headers: &[(&str, &str)]) -> Result<LoadRequest, String> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header value"));
    }
    LoadRequest::parse(&map, &Limits::default())
}

#[test]
fn without_headers_it_is_csv_with_the_servers_defaults() {
    let request = parse(&[]).expect("nothing is required");
    let Format::Csv(dialect) = &request.format else { panic!("{request:?}") };
    assert_eq!((dialect.separator.as_slice(), dialect.delimiter.as_slice()), (b"\t".as_slice(), b"\n".as_slice()));
    assert!(dialect.is_plain() && !dialect.trim_space && dialect.skip_header == 0);
    assert!(!request.strict && request.max_filter_ratio == 0.0 && request.codec.is_none());
    assert_eq!((request.timeout, request.label), (Duration::from_mins(10), None));
}

#[test]
fn expressions_see_the_time_of_shanghai_or_of_a_zone_that_is_named() {
    assert_eq!(parse(&[]).expect("it is valid").zone, Zone::SHANGHAI);
    assert_eq!(parse(&[("timezone", "UTC")]).expect("it is valid").zone, Zone::UTC);
    let refusal = parse(&[("timezone", "Europe/Berlin")]).expect_err("it is not known here");
    assert!(refusal.contains("Unknown or incorrect time zone: 'Europe/Berlin'"), "{refusal}");
}

#[test]
fn csv_options_are_read() {
    let headers = [("column_separator", "\\x01"), ("row_delimiter", "0x0d0A"), ("Enclose", "\"'"), ("escape", "\\")];
    let more = [("trim_space", "TRUE"), ("skip_header", "2"), ("strict_mode", "true"), ("max_filter_ratio", "0.25")];
    let request = parse(&[headers, more].concat()).expect("all are valid");
    let Format::Csv(dialect) = &request.format else { panic!("{request:?}") };
    assert_eq!((dialect.separator.as_slice(), dialect.delimiter.as_slice()), (b"\x01".as_slice(), b"\r\n".as_slice()));
    assert_eq!((dialect.enclose, dialect.escape, dialect.trim_space, dialect.skip_header), (b'"', b'\\', true, 2));
    assert!(request.strict);
    assert!((request.max_filter_ratio - 0.25).abs() < f64::EPSILON);
}

#[test]
fn separators_are_unescaped() {
    for (text, bytes) in [
        (",", Some(b",".as_slice())),
        ("\\t", Some(b"\t")),
        ("|\\n|", Some(b"|\n|")),
        ("\\X0102", Some(b"\x01\x02")),
        // Bytes beyond ASCII become characters, as on the server.
        ("\\xe4", Some("ä".as_bytes())),
        ("0x1", None),
        ("\\xzz", None),
        ("\\x", None),
    ] {
        assert_eq!(unescape(text).as_deref(), bytes, "{text}");
    }
}

#[test]
fn compression_is_for_json_and_format_names_are_for_csv() {
    for (headers, codec) in [
        (vec![("format", "gzip")], Some(Codec::Gzip)),
        (vec![("format", "ZSTD")], Some(Codec::Zstd)),
        (vec![("format", "lz4")], Some(Codec::Lz4Frame)),
        (vec![("format", "csv"), ("compression", "gzip")], None),
        (vec![("format", "json"), ("compression", "lz4_frame")], Some(Codec::Lz4Frame)),
        (vec![("format", "json"), ("content-encoding", "DEFLATE")], Some(Codec::Deflate)),
    ] {
        assert_eq!(parse(&headers).expect("it is valid").codec, codec, "{headers:?}");
    }
}

#[test]
fn json_options_are_read() {
    let request = parse(&[
        ("format", "JSON"),
        ("strip_outer_array", "true"),
        ("json_root", "$.rows"),
        ("jsonpaths", "[\"$.a\"]"),
    ]);
    let Format::Json(layout) = request.expect("all are valid").format else { panic!("it is JSON") };
    assert!(layout.strip_outer_array);
    assert_eq!(layout.root, Path::parse("$.rows"));
    assert_eq!(layout.paths, Some(vec![Path::parse("$.a").expect("a path")]));
    // This one is read carelessly: what is not `true` is false.
    let Format::Json(layout) = parse(&[("format", "json"), ("strip_outer_array", "yes")]).expect("valid").format else {
        panic!("it is JSON")
    };
    assert!(!layout.strip_outer_array);
}

#[test]
fn columns_and_the_predicate_are_kept_as_written() {
    let request = parse(&[("columns", "a, tmp, b = upper(tmp)"), ("where", "a > 1")]).expect("valid");
    let derived = Mapping::Derived { name: "b".into(), expression: "upper(tmp)".into() };
    assert_eq!(request.columns, Some(vec![Mapping::Field("a".into()), Mapping::Field("tmp".into()), derived]));
    assert_eq!(request.predicate.as_deref(), Some("a > 1"));
}

#[test]
fn what_is_wrong_is_refused_with_the_servers_words() {
    for (headers, words) in [
        (vec![("format", "parquet")], "unknown data format, format=parquet"),
        (vec![("compression", "snappy")], "Unsupported compression type: snappy"),
        (vec![("compression", "gzip"), ("content-encoding", "gzip")], "Only one of http header"),
        (vec![("timeout", "0")], "Invalid timeout"),
        (vec![("timeout", "259201")], "Invalid timeout"),
        (vec![("timeout", "x")], "Invalid timeout format"),
        (vec![("strict_mode", "yes")], "Invalid strict_mode format"),
        (vec![("trim_space", "1")], "Invalid trim_space format"),
        (vec![("max_filter_ratio", "1.5")], "Invalid max_filter_ratio format"),
        (vec![("max_filter_ratio", "NaN")], "Invalid max_filter_ratio format"),
        (vec![("skip_header", "-1")], "Invalid csv skip_header format"),
        (vec![("column_separator", &*"x".repeat(51))], "Invalid column_separator"),
        (vec![("jsonpaths", "$.a"), ("format", "json")], "Invalid json paths"),
        (vec![("format", "json"), ("content-length", "104857601")], "exceed the max size"),
        (vec![("content-length", "999999999999999")], "exceed limit"),
        (vec![("partial_update", "1")], "Invalid partial_update format"),
        (vec![("partitions", "p1"), ("temporary_partitions", "p2")], "both partitions and temporary partitions"),
        (vec![("columns", "a,,b")], "parse columns header failed"),
    ] {
        let message = parse(&headers).expect_err(words);
        assert!(message.contains(words), "{headers:?}: {message}");
    }
    parse(&[("format", "json"), ("content-length", "104857601"), ("ignore_json_size", "true")]).expect("it is allowed");
}
