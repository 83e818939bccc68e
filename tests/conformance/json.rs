//! §6.8: JSON bodies, rule by rule.

use crate::support::cluster::{Cluster, NULL};
use crate::support::table::{Case, Rules, fails, filters, hold, loads};

const COLUMNS: &str = "k INT, Name VARCHAR(100), n INT DEFAULT '7'";
const STRICT: &[(&str, &str)] = &[("format", "json"), ("strict_mode", "true"), ("max_filter_ratio", "1")];

type Headers = &'static [(&'static str, &'static str)];

const ARRAY: Headers = &[("strip_outer_array", "true")];

const SHAPES: &[Case] = &[
    loads("lines of objects", &[], b"{\"k\":1,\"n\":2}\n{\"k\":3}\n", &[&["1", NULL, "2"], &["3", NULL, NULL]]),
    loads(
        "objects one behind the other",
        &[],
        b"{\"k\":1}{\"k\":2} {\"k\":3}",
        &[&["1", NULL, NULL], &["2", NULL, NULL], &["3", NULL, NULL]],
    ),
    loads("an object over several lines", &[], b"{\n \"k\": 1,\n \"Name\": \"a\"\n}", &[&["1", "a", NULL]]),
    loads("blanks may come first", &[], b" \r\n\t{\"k\":1}", &[&["1", NULL, NULL]]),
    fails("the first byte is { or [", &[], b"\"k\"", ""),
    fails("the first byte is { or [: a number", &[], b"1", ""),
    fails("a stream is no array, and the message says what to set", &[], b"[{\"k\":1}]", "strip_outer_array"),
    loads(
        "strip_outer_array takes one array",
        ARRAY,
        b"[{\"k\":1},{\"k\":2}]",
        &[&["1", NULL, NULL], &["2", NULL, NULL]],
    ),
    fails("strip_outer_array takes no stream", ARRAY, b"{\"k\":1}\n{\"k\":2}\n", ""),
    fails("only the literal true strips", &[("strip_outer_array", "1")], b"[{\"k\":1}]", "strip_outer_array"),
    loads(
        "json_root",
        &[("json_root", "$.d")],
        b"{\"d\":{\"k\":1}}{\"d\":{\"k\":2}}",
        &[&["1", NULL, NULL], &["2", NULL, NULL]],
    ),
    loads(
        "json_root expands outer arrays",
        &[("json_root", "$.d")],
        b"[{\"d\":{\"k\":1}},{\"d\":{\"k\":2}}]",
        &[&["1", NULL, NULL], &["2", NULL, NULL]],
    ),
    loads(
        "with json_root the root's value is stripped",
        &[("json_root", "$.d"), ("strip_outer_array", "true")],
        b"{\"d\":[{\"k\":1},{\"k\":2}]}",
        &[&["1", NULL, NULL], &["2", NULL, NULL]],
    ),
];

const KEYS: &[Case] = &[
    loads(
        "keys match in their case",
        &[],
        b"{\"k\":1,\"name\":\"a\"}{\"k\":2,\"Name\":\"b\"}",
        &[&["1", NULL, NULL], &["2", "b", NULL]],
    ),
    loads("unknown keys are ignored", &[], b"{\"k\":1,\"x\":{\"y\":[1]}}", &[&["1", NULL, NULL]]),
    loads("the first of duplicate keys wins", &[], b"{\"k\":1,\"Name\":\"a\",\"Name\":\"b\"}", &[&["1", "a", NULL]]),
    loads("a missing key is NULL, not the default", &[], b"{\"k\":1,\"Name\":\"a\"}", &[&["1", "a", NULL]]),
    loads(
        "a column that is not listed takes its default",
        &[("columns", "k,Name")],
        b"{\"k\":1,\"Name\":\"a\"}",
        &[&["1", "a", "7"]],
    ),
    loads(
        "keys match the name as `columns` writes it",
        &[("columns", "k,name")],
        b"{\"k\":1,\"name\":\"a\"}",
        &[&["1", "a", "7"]],
    ),
    loads("a key may be a temporary", &[("columns", "k,x,n=x+1")], b"{\"k\":1,\"x\":5}", &[&["1", NULL, "6"]]),
    loads("null is NULL", &[], b"{\"k\":1,\"Name\":null,\"n\":null}", &[&["1", NULL, NULL]]),
    loads(
        "jsonpaths map by position onto columns",
        &[("jsonpaths", "[\"$.b.c\",\"$.a[1]\"]"), ("columns", "Name,k")],
        b"{\"a\":[1,2],\"b\":{\"c\":\"x\"}}",
        &[&["2", "x", "7"]],
    ),
    loads(
        "jsonpaths map onto the table",
        &[("jsonpaths", "[\"$.a\",\"$.b\",\"$.c\"]")],
        b"{\"a\":1,\"b\":\"x\"}",
        &[&["1", "x", NULL]],
    ),
    loads(
        "the order of the keys does not matter",
        &[],
        b"{\"k\":1,\"Name\":\"a\"}{\"Name\":\"b\",\"n\":3,\"k\":2}",
        &[&["1", "a", NULL], &["2", "b", "3"]],
    ),
];

const FAULTS: &[Case] = &[
    fails("a syntax error anywhere fails the load", &[], b"{\"k\":1}\n{\"k\":2}\n{\"k\":}\n", ""),
    fails("so does a body that ends too early", &[], b"{\"k\":1}\n{\"k\":2", ""),
    fails("so does bad UTF-8", &[], b"{\"k\":1}\n{\"k\":2,\"Name\":\"\xff\"}\n", ""),
    fails("so does a lone surrogate", &[], b"{\"k\":1}\n{\"k\":2,\"Name\":\"\\ud800\"}\n", ""),
    loads("a pair of surrogates is a character", &[], b"{\"k\":1,\"Name\":\"\\ud83d\\ude00\"}", &[&["1", "😀", NULL]]),
    filters("a type error costs its row", &[], b"{\"k\":1,\"n\":\"x\"}\n{\"k\":2,\"n\":3}\n", &[&["2", NULL, "3"]], 1),
    loads("or becomes NULL", &[("strict_mode", "false")], b"{\"k\":1,\"n\":\"x\"}", &[&["1", NULL, NULL]]),
];

#[test]
fn sr_6_8_shapes_of_a_body() {
    hold(Cluster::shared(), &Rules { columns: COLUMNS, select: "k, Name, n", headers: STRICT, cases: SHAPES });
}

#[test]
fn sr_6_8_keys_and_paths() {
    hold(Cluster::shared(), &Rules { columns: COLUMNS, select: "k, Name, n", headers: STRICT, cases: KEYS });
}

#[test]
fn sr_6_8_faults_of_a_body_and_of_a_row() {
    hold(Cluster::shared(), &Rules { columns: COLUMNS, select: "k, Name, n", headers: STRICT, cases: FAULTS });
}

#[test]
fn sr_6_8_values_in_string_columns() {
    let cases = [
        loads(
            "numbers keep their text",
            &[],
            b"{\"k\":1,\"v\":1.50}{\"k\":2,\"v\":1e3}{\"k\":3,\"v\":-0}",
            &[&["1", "1.50"], &["2", "1e3"], &["3", "-0"]],
        ),
        loads(
            "numbers keep all digits",
            &[],
            b"{\"k\":1,\"v\":123456789012345678901234567890}",
            &[&["1", "123456789012345678901234567890"]],
        ),
        loads(
            "booleans become 1 and 0",
            &[],
            b"{\"k\":1,\"v\":true}{\"k\":2,\"v\":false}",
            &[&["1", "1"], &["2", "0"]],
        ),
        loads("objects become minified text", &[], b"{\"k\":1,\"v\":{ \"a\" : [ 1, 2 ] }}", &[&["1", "{\"a\":[1,2]}"]]),
        loads("arrays become minified text", &[], b"{\"k\":1,\"v\":[ 1 , \"x y\" ]}", &[&["1", "[1,\"x y\"]"]]),
        loads("escapes are undone", &[], b"{\"k\":1,\"v\":\"a\\n\\t\\\"\\u00e4\\\\N\"}", &[&["1", "a\n\t\"ä\\N"]]),
        loads("the two characters \\N can be loaded", &[], b"{\"k\":1,\"v\":\"\\\\N\"}", &[&["1", "\\N"]]),
        filters(
            "a length counts bytes",
            &[],
            "{\"k\":1,\"v\":\"äääääääääääääääääääää\"}{\"k\":2,\"v\":\"ä\"}".as_bytes(),
            &[&["2", "ä"]],
            1,
        ),
    ];
    hold(Cluster::shared(), &Rules { columns: "k INT, v VARCHAR(40)", select: "k, v", headers: STRICT, cases: &cases });
}

#[test]
fn sr_6_8_values_in_number_columns() {
    let columns = "k INT, i INT, b BIGINT, l LARGEINT, d DECIMAL(20, 4), f DOUBLE, o BOOLEAN";
    let cases = [
        loads(
            "strings are parsed",
            &[],
            b"{\"k\":1,\"i\":\"12\",\"b\":\"-3\",\"f\":\"1.5\"}",
            &[&["1", "12", "-3", NULL, NULL, "1.5", NULL]],
        ),
        loads(
            "fractions are truncated",
            &[],
            b"{\"k\":1,\"i\":12.9,\"b\":-12.9}",
            &[&["1", "12", "-12", NULL, NULL, NULL, NULL]],
        ),
        loads(
            "LARGEINT and DECIMAL as strings are exact",
            &[],
            b"{\"k\":1,\"l\":\"170141183460469231731687303715884105727\",\"d\":\"1234567890123456.7891\"}",
            &[&["1", NULL, NULL, "170141183460469231731687303715884105727", "1234567890123456.7891", NULL, NULL]],
        ),
        loads(
            "DECIMAL as a number keeps its text",
            &[],
            b"{\"k\":1,\"d\":1234567890123456.7891}",
            &[&["1", NULL, NULL, NULL, "1234567890123456.7891", NULL, NULL]],
        ),
        loads(
            "booleans",
            &[],
            b"{\"k\":1,\"o\":true}{\"k\":2,\"o\":false}",
            &[&["1", NULL, NULL, NULL, NULL, NULL, "1"], &["2", NULL, NULL, NULL, NULL, NULL, "0"]],
        ),
        filters(
            "overflow is a type error",
            &[],
            b"{\"k\":1,\"i\":3000000000}{\"k\":2}",
            &[&["2", NULL, NULL, NULL, NULL, NULL, NULL]],
            1,
        ),
    ];
    hold(Cluster::shared(), &Rules { columns, select: "k, i, b, l, d, f, o", headers: STRICT, cases: &cases });
}

#[test]
fn sr_6_8_values_in_other_columns() {
    let columns = "k INT, d DATE, t DATETIME, b VARBINARY, j JSON, a ARRAY<INT>, m MAP<VARCHAR(10), INT>, \
                   s STRUCT<x INT, y VARCHAR(10)>";
    let select = "k, d, t, hex(b), j, a, m, s.x, s.y";
    let cases = [
        loads(
            "dates travel as strings",
            &[],
            b"{\"k\":1,\"d\":\"2024-02-29\",\"t\":\"2024-02-29 01:02:03\"}",
            &[&["1", "2024-02-29", "2024-02-29 01:02:03", NULL, NULL, NULL, NULL, NULL, NULL]],
        ),
        loads(
            "VARBINARY takes the bytes of the string, not base64",
            &[],
            b"{\"k\":1,\"b\":\"aGk=\"}",
            &[&["1", NULL, NULL, "61476B3D", NULL, NULL, NULL, NULL, NULL]],
        ),
        loads(
            "arbitrary bytes need to_binary",
            &[("columns", "k,tmp,b=to_binary(tmp,'base64')")],
            b"{\"k\":1,\"tmp\":\"AP8=\"}",
            &[&["1", NULL, NULL, "00FF", NULL, NULL, NULL, NULL, NULL]],
        ),
        loads(
            "nested columns take nested JSON",
            &[],
            b"{\"k\":1,\"j\":{\"p\":[1]},\"a\":[1,null,3],\"m\":{\"q\":2},\"s\":{\"x\":1,\"y\":\"z\"}}",
            &[&["1", NULL, NULL, NULL, "{\"p\": [1]}", "[1,null,3]", "{\"q\":2}", "1", "z"]],
        ),
        loads(
            "and JSON text in a string",
            &[],
            br#"{"k":1,"a":"[1,2]","m":"{\"q\":2}","s":"{\"x\":1,\"y\":\"z\"}"}"#,
            &[&["1", NULL, NULL, NULL, NULL, "[1,2]", "{\"q\":2}", "1", "z"]],
        ),
    ];
    hold(Cluster::shared(), &Rules { columns, select, headers: STRICT, cases: &cases });
}
