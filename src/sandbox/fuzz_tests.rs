//! The fuzz targets over random input, and over input that was valid before some bytes of it were changed.

use proptest::prelude::*;

use super::{HEADERS, TYPES};

/// Bytes that are random, or one of the samples with up to four of its bytes changed, cut, or doubled.
fn input(samples: &[&str]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let samples: Vec<Vec<u8>> = samples.iter().map(|sample| sample.as_bytes().to_vec()).collect();
    let change = (
        any::<prop::sample::Index>(),
        prop::sample::select(b"\0\n\r\"\\',;:()[]{}$.*+-eE0919aN \x80\xff".to_vec()),
        0..4,
    );
    let mutated =
        (prop::sample::select(samples), prop::collection::vec(change, 0..5)).prop_map(|(mut bytes, changes)| {
            for (at, byte, how) in changes {
                let at = at.index(bytes.len() + 1);
                match how {
                    0 => bytes.insert(at, byte),
                    1 if at < bytes.len() => bytes[at] = byte,
                    2 => bytes.extend_from_within(at..),
                    _ => bytes.truncate(at.max(1)),
                }
            }
            bytes
        });
    prop_oneof![1 => prop::collection::vec(any::<u8>(), 0..200), 4 => mutated]
}

fn header_lines() -> impl Strategy<Value = Vec<u8>> {
    let values = [
        "json",
        "csv",
        "gzip",
        "true",
        "false",
        "a,b,c=upper(a)",
        "\\x01",
        "0x",
        "\\t",
        ",",
        "\"",
        "\\",
        "2",
        "0.5",
        "-1",
        "18446744073709551616",
        "[\"$.a\",\"$.b[0]\"]",
        "$.a",
        "a = 1",
        "\u{e9}",
        "",
        "Basic cm9vdDo=",
    ];
    let line =
        (0..HEADERS.len(), prop_oneof![prop::sample::select(values.to_vec()).prop_map(str::to_owned), ".{0,20}"]);
    prop::collection::vec(line, 0..8).prop_map(|lines| {
        let line =
            |(name, value): (usize, String)| [&[u8::try_from(name).expect("few")], value.as_bytes(), b"\n"].concat();
        lines.into_iter().flat_map(line).collect()
    })
}

const BODIES: [&str; 4] = [
    "\"a\",\"b,c\"\n1,2\n\n\"x\"\"y\",\\N\n",
    "a||b\r\n\"c||d\"||e\r\n",
    "1,2024-01-02 03:04:05,\"[1,2]\"\n\"{\"\"a\"\":1}\",x\n",
    "\"a\\\"b\",c\\,d\n  \" e \" ,f\0g\n",
];

const DOCUMENTS: [&str; 5] = [
    "\0\0{\"a\":1,\"b\":\"x\\\"\\u00e4\"}\n{\"a\":[1,{\"c\":null}],\"b\":1e5}",
    "\x01\x05[{\"a\":1.5},{\"b\":\"2024-01-01\"} , {}]",
    "\x02\x0d{\"a\":{\"x\":1}} {\"a\":[]}",
    "\0\x10{\"a\":{\"k\":1,\"k\":2},\"b\":[[\"x\"]]}",
    "\0\x12{\"a\":{\"b\":\"long enough for a block of sixty-four bytes and for more than that\\\\\",\"a\":\"7\"}}",
];

const VALUES: [&str; 14] = [
    "true",
    "-128",
    "170141183460469231731687303715884105727",
    "1e400",
    "-0.0",
    "12.345",
    "2024-02-29",
    "2024-01-01T1:2:3.4",
    "[1,2,3]",
    "{\"a\":1}",
    "{1:[\"2024-01-01\"]}",
    "[[\"a\",null]]",
    "{\"a\":1,\"b\":\"x\"}",
    "aGVsbG8=",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_headers(bytes in prop_oneof![header_lines(), input(&["x"])]) {
        super::headers(&bytes);
    }

    #[test]
    fn any_csv(choice: [u8; 8], body in input(&BODIES)) {
        super::csv(&[&choice[..], &body].concat());
    }

    #[test]
    fn any_json(bytes in input(&DOCUMENTS)) {
        super::json(&bytes);
    }

    #[test]
    fn any_value(choice in 0..TYPES.len(), bytes in input(&VALUES)) {
        super::values(&[&[u8::try_from(choice).expect("few")], bytes.as_slice()].concat());
    }

    #[test]
    fn any_column_list(bytes in input(&["a, b ,c", "`a,b`,x=if(a = 1, 'a=b', x)", "tmp, v = concat(tmp, ',')"])) {
        super::column_list(&bytes);
    }

    #[test]
    fn any_json_path(bytes in input(&["$.a.b[0]\n{\"a\":{\"b\":[1]}}", "$.\"a.b\"[*].c\n{\"a.b\":[{\"c\":1}]}", "$"])) {
        super::json_path(&bytes);
    }

    #[test]
    fn any_compressed_body(codec in 0..5_u8, text in "[a-c\n,]{0,300}", cut: prop::sample::Index,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), one_frame: bool)
    {
        let mut body = crate::sandbox::decompress::tests::compress_with(codec, text.as_bytes());
        for (at, byte) in flips {
            let at = at.index(body.len());
            body[at] ^= byte;
        }
        body.truncate(cut.index(body.len() + 1).max(body.len() / 2));
        super::decompressed(&[&[codec | if one_frame { 0x80 } else { 0 }], body.as_slice()].concat());
    }

    #[test]
    fn any_statement(bytes in input(&[
        "CREATE TABLE t (a INT NOT NULL DEFAULT '1' COMMENT 'x', b DECIMAL(9,2)) DUPLICATE KEY (a) PROPERTIES ('x' = 'y')",
        "SELECT a, count(*) FROM t WHERE b LIKE '%x' -- comment\n GROUP BY a", "a + if(b = 'x', 1, length(b))",
        "map<int,array<struct<a int>>>", "INSERT INTO t VALUES (?, 'a''b', \"c\"); /* x */", "`a``b`",
        "date_add(a, interval 1 day)", "cast(a as decimal(10,2)) * 3",
    ])) {
        super::statement(&bytes);
    }
}

#[test]
fn deep_nesting_is_no_way_to_the_end_of_the_stack() {
    for (open, close) in [
        ("[", "]"),
        ("{\"a\":", "}"),
        ("(", ")"),
        ("- ", ""),
        ("not ", ""),
        ("array<", ">"),
        ("struct<a ", ">"),
        ("case when ", " end"),
    ] {
        for depth in [100, 100_000] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            super::statement(text.as_bytes());
            super::column_list(text.as_bytes());
            super::json_path(format!("$.a\n{text}").as_bytes());
            super::json(format!("\0\0{{\"a\":{text}}}").as_bytes());
            for choice in 0..TYPES.len() {
                super::values(&[&[u8::try_from(choice).expect("few")], text.as_bytes()].concat());
            }
        }
    }
}
