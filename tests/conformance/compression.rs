//! §6.7, §6.8 and §2.1: compressed bodies.

use std::io::Write;

use crate::support::cluster::{Cluster, Database};
use crate::support::curl::{field, number};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// DEFLATE with the zlib header, which is what HTTP calls `deflate`; the document does not tell.
fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

type Codec = fn(&[u8]) -> Vec<u8>;

/// The name as a CSV format, the name as a compression of JSON, and the codec.
const CODECS: &[(&str, &str, Codec)] = &[
    ("gzip", "GZIP", gzip),
    ("bzip2", "BZIP2", bzip2),
    ("lz4", "LZ4_FRAME", lz4),
    ("deflate", "DEFLATE", deflate),
    ("zstd", "ZSTD", zstd),
];

fn table(database: &Database<'_>) {
    database.table("t", "k INT, v VARCHAR(100)");
}

#[test]
fn sr_6_7_compressed_csv_is_a_format_of_its_own() {
    let database = Cluster::shared().database();
    table(&database);
    for (format, _, codec) in CODECS {
        for name in [(*format).to_owned(), format.to_uppercase()] {
            let body = codec(b"1\ta\n2\tb\n");
            let length = i64::try_from(body.len()).unwrap();
            let reply = database.load("t").header("format", &name).body(body).json();
            assert_eq!(
                (field(&reply, "Status").as_str(), number(&reply, "NumberLoadedRows")),
                ("Success", 2),
                "{reply}"
            );
            assert_eq!(number(&reply, "LoadBytes"), length, "received bytes: {reply}");
        }
    }
}

#[test]
fn sr_6_7_members_of_gzip_and_bzip2_may_follow_each_other() {
    let database = Cluster::shared().database();
    table(&database);
    for (format, _, codec) in CODECS.iter().filter(|(format, ..)| ["gzip", "bzip2"].contains(format)) {
        let body = [codec(b"1\ta\n2\t"), codec(b"b\n3\tc\n")].concat();
        let reply = database.load("t").header("format", format).body(body).json();
        assert_eq!(number(&reply, "NumberLoadedRows"), 3, "{format}: {reply}");
    }
}

#[test]
fn sr_2_1_json_is_compressed_by_either_header_in_any_case() {
    let database = Cluster::shared().database();
    table(&database);
    for (_, name, codec) in CODECS {
        for header in ["compression", "Content-Encoding"] {
            for name in [(*name).to_owned(), name.to_lowercase()] {
                let headers = [("format", "json"), (header, name.as_str())];
                let reply = database.load("t").headers(&headers).body(codec(b"{\"k\":1}{\"k\":2}")).json();
                assert_eq!(field(&reply, "Status"), "Success", "{header}: {name}: {reply}");
                assert_eq!(number(&reply, "NumberLoadedRows"), 2, "{header}: {name}: {reply}");
            }
        }
    }
}

#[test]
fn sr_6_8_what_follows_the_first_frame_of_json_is_dropped() {
    let database = Cluster::shared().database();
    table(&database);
    for (_, name, codec) in CODECS.iter().filter(|(_, name, _)| ["LZ4_FRAME", "ZSTD"].contains(name)) {
        let body = [codec(b"{\"k\":1}"), codec(b"{\"k\":2}")].concat();
        let reply = database.load("t").headers(&[("format", "json"), ("compression", name)]).body(body).json();
        assert_eq!(number(&reply, "NumberLoadedRows"), 1, "{name}: {reply}");
    }
}

#[test]
fn sr_2_1_compression_is_ignored_for_csv() {
    let database = Cluster::shared().database();
    table(&database);
    for header in ["compression", "Content-Encoding"] {
        let reply = database.load("t").header(header, "gzip").body("1\ta\n").json();
        assert_eq!(number(&reply, "NumberLoadedRows"), 1, "plain text stays plain text: {reply}");
        let headers = [(header, "gzip"), ("max_filter_ratio", "1")];
        let reply = database.load("t").headers(&headers).body(gzip(b"1\ta\n")).json();
        assert_eq!(number(&reply, "NumberLoadedRows"), 0, "compressed bytes are text: {reply}");
    }
}

#[test]
fn sr_2_1_refused_compressions() {
    let database = Cluster::shared().database();
    table(&database);
    let refused: &[(&[(&str, &str)], &str)] = &[
        (
            &[("compression", "gzip"), ("Content-Encoding", "gzip")],
            "Only one of http header content-encoding and compression can be set",
        ),
        (&[("compression", "brotli")], "Unsupported compression type: "),
        (&[("Content-Encoding", "x")], "Unsupported compression type: "),
    ];
    for (headers, message) in refused {
        let reply = database.load("t").header("format", "json").headers(headers).body("{\"k\":1}").json();
        assert_eq!(field(&reply, "Status"), "Fail", "{reply}");
        assert!(field(&reply, "Message").contains(message), "{message}: {reply}");
    }
}
