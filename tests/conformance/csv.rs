//! §6.1–6.5: the two CSV parsers, rule by rule.

use crate::support::cluster::{Cluster, NULL};
use crate::support::curl::field;
use crate::support::table::{Case, Rules, filters, hold, loads};

const TWO: &str = "a VARCHAR(100), b VARCHAR(100)";
const COMMON: &[(&str, &str)] = &[("column_separator", ","), ("max_filter_ratio", "1"), ("strict_mode", "true")];

type Headers = &'static [(&'static str, &'static str)];

const PLAIN: &[Case] = &[
    loads("quotes are ordinary bytes", &[], b"\"a\",b\"\n", &[&["\"a\"", "b\""]]),
    loads("backslashes are ordinary bytes", &[], b"\\a,b\\\\\n", &[&["\\a", "b\\\\"]]),
    loads("completely empty rows are skipped", &[], b"\na,b\n\n\nc,d\n\n", &[&["a", "b"], &["c", "d"]]),
    filters("too few fields are filtered", &[], b"a\nc,d\n", &[&["c", "d"]], 1),
    filters("too many fields are filtered", &[], b"a,b,c\nc,d\n", &[&["c", "d"]], 1),
    filters("a row must be UTF-8", &[], b"a,\xff\nc,d\n", &[&["c", "d"]], 1),
    filters("a row must be UTF-8: a cut sequence", &[], b"a,\xe2\x82\nc,d\n", &[&["c", "d"]], 1),
    loads("a final row without delimiter is accepted", &[], b"a,b\nc,d", &[&["a", "b"], &["c", "d"]]),
    loads("\\N is NULL", &[], b"\\N,\\N\n", &[&[NULL, NULL]]),
    loads("only exactly \\N is NULL", &[], b"\\n,\\NN\n", &[&["\\n", "\\NN"]]),
    loads("an empty field is the empty string", &[], b",\n", &[&["", ""]]),
    loads("CRLF leaves the CR on the last field", &[], b"a,b\r\n", &[&["a", "b\r"]]),
    loads("the separator is a tab by default", &[("column_separator", "\\t")], b"a,\tb\n", &[&["a,", "b"]]),
    loads(
        "\\x01 is a byte",
        &[("column_separator", "\\x01"), ("row_delimiter", "\\x02")],
        b"a\x01b\x02c\n\x01d\x02",
        &[&["a", "b"], &["c\n", "d"]],
    ),
    loads("0x01 is a byte", &[("column_separator", "0x01"), ("row_delimiter", "0x02")], b"a\x01b\x02", &[&["a", "b"]]),
    loads("\\x takes several bytes", &[("column_separator", "\\x0102")], b"a\x01\x02b\n", &[&["a", "b"]]),
    loads("\\n is the line end", &[("row_delimiter", "\\n")], b"a,b\nc,d\n", &[&["a", "b"], &["c", "d"]]),
    loads("separators of several characters", &[("column_separator", "||")], b"a|||b\n", &[&["a", "|b"]]),
    loads(
        "row delimiters of several bytes",
        &[("row_delimiter", "\\x0d0a")],
        b"a,b\r\nc,d\r\n",
        &[&["a", "b"], &["c", "d"]],
    ),
    loads("trim_space strips spaces around fields", &[("trim_space", "true")], b"  a , b c \n", &[&["a", "b c"]]),
    loads("spaces are kept otherwise", &[], b" a ,b \n", &[&[" a ", "b "]]),
    loads("skip_header skips rows", &[("skip_header", "2")], b"h\nh,h,h\na,b\n", &[&["a", "b"]]),
    loads("skip_header beyond the end leaves nothing else wrong", &[("skip_header", "1")], b"h,h\na,b", &[&["a", "b"]]),
];

/// `enclose: "` and `escape: \`.
const BOTH: Headers = &[("enclose", "\""), ("escape", "\\")];
const ENCLOSE: Headers = &[("enclose", "\"")];
const ESCAPE: Headers = &[("escape", "\\")];

const MACHINE: &[Case] = &[
    loads("inside quotes separator and delimiter are literal", BOTH, b"\"a,b\",\"c\nd\"\n", &[&["a,b", "c\nd"]]),
    loads("doubled enclose is one enclose", BOTH, b"\"a\"\"b\",c\n", &[&["a\"b", "c"]]),
    loads("a quoted field may start with the quote", BOTH, b"\"\"\"a\",b\n", &[&["\"a", "b"]]),
    loads("a quoted field may be one quote", BOTH, b"\"\"\"\",b\n", &[&["\"", "b"]]),
    loads("unquoted: an enclose byte is dropped, the next byte taken", BOTH, b"a\"bc,d\n", &[&["abc", "d"]]),
    loads("unquoted: even a separator is taken", BOTH, b"a\",b,c\n", &[&["a,b", "c"]]),
    loads("escape makes enclose literal", BOTH, b"\"a\\\"b\",c\n", &[&["a\"b", "c"]]),
    loads("escape makes escape literal", BOTH, b"\"a\\\\b\",c\\\\\n", &[&["a\\b", "c\\"]]),
    loads("escape makes the separator literal", BOTH, b"a\\,b,c\n", &[&["a,b", "c"]]),
    loads("escape makes the delimiter literal", BOTH, b"a\\\nb,c\n", &[&["a\nb", "c"]]),
    loads("escape before another byte vanishes", BOTH, b"a\\bc,\\d\n", &[&["abc", "d"]]),
    loads("there are no C escapes", BOTH, b"a\\nb,c\\t\n", &[&["anb", "ct"]]),
    // What becomes of the first field itself the document does not tell.
    loads(
        "escape before another byte ends the quoting",
        &[("enclose", "\""), ("escape", "\\"), ("columns", "x,b")],
        b"\"a\\b,c\n",
        &[&[NULL, "c"]],
    ),
    loads("with escape a bare \\N is N", BOTH, b"\\N,a\n", &[&["N", "a"]]),
    loads("with escape \\\\N is NULL", BOTH, b"\\\\N,a\n", &[&[NULL, "a"]]),
    loads("with escape a quoted \\\\N is NULL", BOTH, b"\"\\\\N\",a\n", &[&[NULL, "a"]]),
    loads("without escape \\N is NULL", ENCLOSE, b"\\N,a\n", &[&[NULL, "a"]]),
    loads("without escape \\N is NULL even inside quotes", ENCLOSE, b"\"\\N\",a\n", &[&[NULL, "a"]]),
    loads("enclose alone: NUL escapes", ENCLOSE, b"\"a\0\"b\",c\n", &[&["a\"b", "c"]]),
    loads("enclose alone: NUL before another byte vanishes", ENCLOSE, b"a\0b,c\n", &[&["ab", "c"]]),
    loads("escape alone: NUL encloses", ESCAPE, b"\0a,b\0,c\n", &[&["a,b", "c"]]),
    loads("escape alone: quotes are ordinary", ESCAPE, b"\"a\",b\n", &[&["\"a\"", "b"]]),
    loads("with both NUL is an ordinary byte", BOTH, b"\"a\0b\",\0c\n", &[&["a\0b", "\0c"]]),
    loads("a space before the quote disables quoting", BOTH, b" \"a\"b,c\n", &[&[" ab", "c"]]),
    loads(
        "unless spaces are trimmed",
        &[("enclose", "\""), ("escape", "\\"), ("trim_space", "true")],
        b"  \"a, b\", c \n",
        &[&["a, b", "c"]],
    ),
    loads("a bare empty row is skipped", BOTH, b"\n\"a\",b\n\n", &[&["a", "b"]]),
    loads("an empty quoted field is the empty string", BOTH, b"\"\",\n", &[&["", ""]]),
    loads("CRLF turns \"b\" into b and a quote", BOTH, b"a,\"b\"\r\n", &[&["a", "b\""]]),
    loads("a final row without delimiter is accepted", BOTH, b"\"a\",b\n\"c\",\"d\"", &[&["a", "b"], &["c", "d"]]),
    filters("field counts", BOTH, b"a\n\"a\",b,c\n\"c,d\",e\n", &[&["c,d", "e"]], 2),
    filters("a row must be UTF-8", BOTH, b"\"a\",\"\xff\"\nc,d\n", &[&["c", "d"]], 1),
    filters(
        "skip_header counts raw rows, quoted or not",
        &[("enclose", "\""), ("escape", "\\"), ("skip_header", "1")],
        b"\"h\nh,h\na,b\n",
        &[&["h", "h"], &["a", "b"]],
        0,
    ),
    loads("an enclose of another kind", &[("enclose", "'"), ("escape", "/")], b"'a''b','c/'d'\n", &[&["a'b", "c'd"]]),
    loads("only the first byte of the value counts", &[("enclose", "'x")], b"'a,b',c\n", &[&["a,b", "c"]]),
];

#[test]
fn sr_6_1_plain_parser() {
    hold(Cluster::shared(), &Rules { columns: TWO, select: "a, b", headers: COMMON, cases: PLAIN });
}

#[test]
fn sr_6_3_state_machine() {
    hold(Cluster::shared(), &Rules { columns: TWO, select: "a, b", headers: COMMON, cases: MACHINE });
}

#[test]
fn sr_6_3_an_empty_string_alone_on_a_row_is_a_row() {
    let cases = [loads("quoted: a row", BOTH, b"\"\"\n\n", &[&[""]]), loads("plain: none", &[], b"a\n\n", &[&["a"]])];
    hold(Cluster::shared(), &Rules { columns: "a VARCHAR(10)", select: "a", headers: COMMON, cases: &cases });
}

#[test]
fn sr_6_1_the_reasons_for_filtered_rows() {
    let database = Cluster::shared().database();
    database.table("t", TWO);
    let reply = database.load("t").headers(COMMON).body(b"a,b,c\nd,\xff\ne,f\n").json();
    let log = crate::support::curl::Request::new("GET", &field(&reply, "ErrorURL")).send().text();
    for words in ["Target column count: 2 doesn't match source value column count", "Invalid UTF-8 row"] {
        assert!(log.contains(words), "`{words}`: {log}");
    }
}

/// All texts of up to three of these characters, without the one that no CSV can carry.
fn texts() -> Vec<String> {
    let letters = ['"', '\\', ',', '\n', '\r', '\0', ' ', 'N', 'a'];
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..3 {
        last = last.iter().flat_map(|text| letters.map(|letter| format!("{text}{letter}"))).collect();
        all.extend(last.iter().cloned());
    }
    all.retain(|text| text != "\\N");
    all
}

/// Loads every text and NULL as a profile writes them and compares what is found.
fn round_trip(headers: Headers, texts: &[String], row: impl Fn(usize, Option<&str>) -> Vec<u8>) {
    let database = Cluster::shared().database();
    database.table("t", "id INT, v VARCHAR(100)");
    let values: Vec<Option<&str>> = texts.iter().map(|text| Some(text.as_str())).chain([None]).collect();
    let body: Vec<u8> = values.iter().enumerate().flat_map(|(id, value)| row(id, *value)).collect();
    let reply = database.load("t").headers(headers).header("strict_mode", "true").body(body).json();
    assert_eq!(field(&reply, "Status"), "Success", "{reply}");
    let rows = database.rows("SELECT v FROM t ORDER BY id");
    let found: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    let expected: Vec<&str> = values.iter().map(|value| value.unwrap_or(NULL)).collect();
    assert_eq!(found.len(), expected.len());
    let wrong: Vec<_> = expected.iter().zip(&found).filter(|(expected, found)| expected != found).collect();
    assert!(wrong.is_empty(), "{} of {}: {:?}", wrong.len(), expected.len(), &wrong[..wrong.len().min(20)]);
}

#[test]
fn sr_6_5_profile_a_is_lossless() {
    let headers = &[("column_separator", ","), ("enclose", "\""), ("escape", "\\")];
    round_trip(headers, &texts(), |id, value| {
        let value = value.map(|text| text.replace('\\', "\\\\").replace('"', "\\\""));
        value.map_or(format!("\"{id}\",\\\\N\n"), |text| format!("\"{id}\",\"{text}\"\n")).into_bytes()
    });
}

#[test]
fn sr_6_5_profile_b_is_lossless_without_nul() {
    let mut texts = texts();
    texts.retain(|text| !text.contains('\0'));
    round_trip(&[("column_separator", ","), ("enclose", "\"")], &texts, |id, value| {
        let value = value.map(|text| text.replace('"', "\"\""));
        value.map_or(format!("\"{id}\",\\N\n"), |text| format!("\"{id}\",\"{text}\"\n")).into_bytes()
    });
}

#[test]
fn sr_6_5_profile_c_is_lossless() {
    round_trip(&[("column_separator", "\\x01"), ("row_delimiter", "\\x02")], &texts(), |id, value| {
        format!("{id}\u{1}{}\u{2}", value.unwrap_or("\\N")).into_bytes()
    });
}
