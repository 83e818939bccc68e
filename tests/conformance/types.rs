//! §6.6: what a field of CSV text becomes in a column of each type.

use crate::support::cluster::{Cluster, NULL};
use crate::support::curl::{field, number};

/// Not a value of the type: NULL, or the row is filtered under strict mode.
const INVALID: Option<&str> = None;

struct Type {
    name: &'static str,
    /// How the column `v` is asked for.
    select: &'static str,
    /// The text of a field and how the value is shown.
    values: &'static [(&'static str, Option<&'static str>)],
}

const TYPES: &[Type] = &[
    Type {
        name: "BOOLEAN",
        select: "v",
        values: &[
            ("true", Some("1")),
            ("FALSE", Some("0")),
            ("TrUe", Some("1")),
            ("1", Some("1")),
            ("0", Some("0")),
            ("2", Some("1")),
            ("yes", INVALID),
            ("", INVALID),
            ("\\N", Some(NULL)),
        ],
    },
    Type {
        name: "TINYINT",
        select: "v",
        values: &[
            ("-128", Some("-128")),
            ("127", Some("127")),
            ("128", INVALID),
            ("-129", INVALID),
            ("1.9", Some("1")),
        ],
    },
    Type {
        name: "INT",
        select: "v",
        values: &[
            ("0", Some("0")),
            ("-2147483648", Some("-2147483648")),
            ("2147483647", Some("2147483647")),
            ("2147483648", INVALID),
            ("12.9", Some("12")),
            ("-12.9", Some("-12")),
            ("x", INVALID),
            ("1x", INVALID),
            ("", INVALID),
            ("\\N", Some(NULL)),
        ],
    },
    Type {
        name: "BIGINT",
        select: "v",
        values: &[
            ("9223372036854775807", Some("9223372036854775807")),
            ("9223372036854775808", INVALID),
            ("12.0", Some("12")),
            ("x", INVALID),
        ],
    },
    Type {
        name: "LARGEINT",
        select: "v",
        values: &[
            ("170141183460469231731687303715884105727", Some("170141183460469231731687303715884105727")),
            ("170141183460469231731687303715884105728", INVALID),
            ("\\N", Some(NULL)),
        ],
    },
    Type {
        name: "DOUBLE",
        select: "v",
        values: &[
            ("1.5", Some("1.5")),
            ("-2.5e-1", Some("-0.25")),
            ("1e2", Some("100")),
            ("x", INVALID),
            ("", INVALID),
        ],
    },
    Type {
        name: "DECIMAL(5, 2)",
        select: "v",
        values: &[
            ("1.50", Some("1.50")),
            ("999.99", Some("999.99")),
            ("-0.01", Some("-0.01")),
            ("1000.00", INVALID),
            ("12345.6", INVALID),
            ("x", INVALID),
            ("\\N", Some(NULL)),
        ],
    },
    Type {
        name: "DATE",
        select: "v",
        values: &[
            ("2024-02-29", Some("2024-02-29")),
            ("2023-02-29", INVALID),
            ("2024-13-01", INVALID),
            ("soon", INVALID),
            ("", INVALID),
            ("\\N", Some(NULL)),
        ],
    },
    Type {
        name: "DATETIME",
        select: "v",
        values: &[
            ("2024-02-29 23:59:59", Some("2024-02-29 23:59:59")),
            ("2024-02-29 23:59:59.123456", Some("2024-02-29 23:59:59.123456")),
            ("2024-02-29 24:00:01", INVALID),
            ("soon", INVALID),
        ],
    },
    Type {
        name: "VARCHAR(3)",
        select: "v",
        values: &[
            ("abc", Some("abc")),
            ("äb", Some("äb")),
            ("", Some("")),
            ("abcd", INVALID),
            ("äbc", INVALID),
            ("\\N", Some(NULL)),
        ],
    },
    Type {
        name: "VARBINARY",
        select: "hex(v)",
        values: &[
            ("aGk=", Some("6869")),
            ("AP8=", Some("00FF")),
            ("hi!", Some("686921")),
            ("", Some("")),
            ("  ", Some("")),
            ("\\N", Some(NULL)),
        ],
    },
    Type {
        name: "ARRAY<INT>",
        select: "v",
        values: &[
            ("[1,2,3]", Some("[1,2,3]")),
            ("[]", Some("[]")),
            ("[1,null]", Some("[1,null]")),
            ("[1,x]", INVALID),
            ("1,2", INVALID),
            ("\\N", Some(NULL)),
        ],
    },
    Type {
        name: "ARRAY<VARCHAR(10)>",
        select: "v[1], v[2]",
        values: &[
            (r#"["a","b"]"#, Some("a|b")),
            (r#"["a""b",null]"#, Some("a\"b|␀")),
            (r#"["a,b","]"]"#, Some("a,b|]")),
        ],
    },
    Type {
        name: "ARRAY<ARRAY<INT>>",
        select: "v",
        values: &[("[[1,2],[3]]", Some("[[1,2],[3]]")), ("[[1,x],[3]]", INVALID)],
    },
    Type {
        name: "MAP<INT, INT>",
        select: "map_size(v), v[1]",
        values: &[
            ("{1:2}", Some("1|2")),
            ("{1:2,1:3}", Some("1|3")),
            ("{1:null,2:3}", Some("2|␀")),
            ("{}", Some("0|␀")),
        ],
    },
    Type {
        name: "JSON",
        select: "v",
        values: &[(r#"{"a": [1, "b"]}"#, Some(r#"{"a": [1, "b"]}"#)), ("12", Some("12")), ("\\N", Some(NULL))],
    },
];

/// Loads all values of a type, under strict mode or not, and tells where what is found is not what was expected.
fn check(tested: &Type, strict: bool) -> Result<(), String> {
    let database = Cluster::shared().database();
    database.table("t", &format!("k INT, v {}", tested.name));
    let body: String = tested.values.iter().enumerate().map(|(k, (text, _))| format!("{k}\t{text}\n")).collect();
    let headers = [("max_filter_ratio", "1"), ("strict_mode", if strict { "true" } else { "false" })];
    let reply = database.load("t").headers(&headers).body(body).json();
    if field(&reply, "Status") != "Success" {
        return Err(format!("- {}: {reply}", tested.name));
    }
    let rows = database.rows(&format!("SELECT k, {} FROM t ORDER BY k", tested.select));
    let mut wrong = Vec::new();
    for (k, (text, expected)) in tested.values.iter().enumerate() {
        let row = rows.iter().find(|row| row[0] == k.to_string());
        let found = row.map(|row| row[1..].join("|"));
        let expected = match (expected, strict) {
            (Some(value), _) => Some((*value).to_owned()),
            (None, true) => None,
            (None, false) => Some(NULL.to_owned()),
        };
        if found != expected {
            wrong.push(format!("- {} `{text}`: expected {expected:?}, found {found:?}", tested.name));
        }
    }
    let invalid = tested.values.iter().filter(|(_, value)| value.is_none()).count();
    let filtered = number(&reply, "NumberFilteredRows");
    if strict && i64::try_from(invalid) != Ok(filtered) && wrong.is_empty() {
        wrong.push(format!("- {}: filtered {filtered}, not {invalid}", tested.name));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn check_all(strict: bool) {
    let wrong: Vec<String> = TYPES.iter().filter_map(|tested| check(tested, strict).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn sr_6_6_values_under_strict_mode() {
    check_all(true);
}

#[test]
fn sr_6_6_values_without_strict_mode() {
    check_all(false);
}

#[test]
fn sr_6_6_invalid_values_of_columns_that_are_not_null_are_filtered_in_either_mode() {
    let database = Cluster::shared().database();
    database.table("t", "k INT, v INT NOT NULL");
    for strict in ["true", "false"] {
        let headers = [("max_filter_ratio", "1"), ("strict_mode", strict)];
        let reply = database.load("t").headers(&headers).body("1\tx\n2\t\\N\n3\t3\n").json();
        assert_eq!((number(&reply, "NumberLoadedRows"), number(&reply, "NumberFilteredRows")), (1, 2), "{reply}");
    }
}

#[test]
fn sr_6_6_struct_has_no_csv_converter() {
    let database = Cluster::shared().database();
    database.table("t", "k INT, v STRUCT<x INT>");
    let reply = database.load("t").body("1\t{1}\n").json();
    assert_eq!(field(&reply, "Status"), "Fail", "{reply}");
    assert!(field(&reply, "Message").contains("Unsupported CSV type"), "{reply}");
}
