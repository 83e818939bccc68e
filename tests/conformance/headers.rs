//! §2: headers of a Stream Load: defaults, refusals, `columns`, `where`.

use crate::support::cluster::{Cluster, Database, NULL};
use crate::support::curl::{field, number};
use crate::support::raw::Connection;
use crate::support::table::{Case, Rules, fails, filters, hold, loads};

const REFUSED: &[Case] = &[
    fails("no other formats", &[("format", "parquet")], b"", "unknown data format, format=parquet"),
    fails("no Arrow", &[("format", "arrow")], b"", "unknown data format, format=arrow"),
    fails("timeout is a number", &[("timeout", "soon")], b"1\n", "Invalid timeout"),
    fails("timeout is at least 1", &[("timeout", "0")], b"1\n", "timeout"),
    fails("timeout is at most 259200", &[("timeout", "259201")], b"1\n", "timeout"),
    fails("strict_mode is strict", &[("strict_mode", "yes")], b"1\n", "strict"),
    fails("trim_space is strict", &[("trim_space", "yes")], b"1\n", "trim_space"),
    fails("partial_update is strict", &[("partial_update", "yes")], b"1\n", "partial"),
    fails("skip_header is not negative", &[("skip_header", "-1")], b"1\n", "skip_header"),
    fails("max_filter_ratio is at most 1", &[("max_filter_ratio", "1.5")], b"1\n", ""),
    fails("max_filter_ratio is a number", &[("max_filter_ratio", "some")], b"1\n", ""),
    fails("partitions are of one kind", &[("partitions", "p"), ("temporary_partitions", "q")], b"1\n", ""),
    fails(
        "only primary keys are partially updated",
        &[("partial_update", "true"), ("columns", "k")],
        b"1\n",
        "primary key",
    ),
    fails("an unfinished hexadecimal byte", &[("column_separator", "\\x0")], b"1\n", ""),
    fails(
        "a separator has at most 50 bytes",
        &[("column_separator", "012345678901234567890123456789012345678901234567890123456789")],
        b"1\n",
        "",
    ),
];

const LAX: &[Case] = &[
    loads("format is csv in any case", &[("format", "CSV")], b"1\n", &[&["1"]]),
    loads("strict_mode in any case", &[("strict_mode", "TRUE")], b"1\n", &[&["1"]]),
    loads("strip_outer_array means nothing to CSV", &[("strip_outer_array", "maybe")], b"1\n", &[&["1"]]),
    loads("partial_update_mode of an unknown kind is ignored", &[("partial_update_mode", "odd")], b"1\n", &[&["1"]]),
    loads("unknown headers are ignored", &[("no_such_header", "1")], b"1\n", &[&["1"]]),
    loads("timeout takes both ends", &[("timeout", "259200")], b"1\n", &[&["1"]]),
    loads("not strict by default: NULL for what does not fit", &[], b"x\n", &[&[NULL]]),
    filters("strict: filtered", &[("strict_mode", "true"), ("max_filter_ratio", "0.5")], b"x\n1\n", &[&["1"]], 1),
    fails("no row is filtered by default", &[("strict_mode", "true")], b"x\n1\n", "too many filtered rows"),
];

#[test]
fn sr_2_1_refusals() {
    hold(Cluster::shared(), &Rules { columns: "k INT", select: "k", headers: &[], cases: REFUSED });
}

#[test]
fn sr_2_1_defaults_and_what_is_ignored() {
    hold(Cluster::shared(), &Rules { columns: "k INT", select: "k", headers: &[], cases: LAX });
}

const COLUMNS: &[Case] = &[
    loads("absent: in the table's order", &[], b"1\ta\t2\n", &[&["1", "a", "2"]]),
    filters("absent: all of them", &[("max_filter_ratio", "1")], b"1\ta\n2\tb\t3\n", &[&["2", "b", "3"]], 1),
    loads("names bind by position", &[("columns", "n,k,v")], b"2\t1\ta\n", &[&["1", "a", "2"]]),
    loads("in any case", &[("columns", "N, K, V")], b"2\t1\ta\n", &[&["1", "a", "2"]]),
    loads("what is not listed takes its default", &[("columns", "k")], b"1\n", &[&["1", NULL, "7"]]),
    loads("what is not in the table is a temporary", &[("columns", "k,x,y,v=x")], b"1\ta\tb\n", &[&["1", "a", "7"]]),
    loads("expressions", &[("columns", "k,x,n=x*2,v=concat('<',x,'>')")], b"1\t21\n", &[&["1", "<21>", "42"]]),
    loads("expressions over columns of the table", &[("columns", "k,v,n=k+1")], b"1\ta\n", &[&["1", "a", "2"]]),
    loads("constants", &[("columns", "k,v='c',n=3")], b"1\n", &[&["1", "c", "3"]]),
    loads("names in backticks", &[("columns", "`k`,`from`,`v`=`from`")], b"1\ta\n", &[&["1", "a", "7"]]),
    loads("blanks around commas", &[("columns", " k , v ,  n ")], b"1\ta\t2\n", &[&["1", "a", "2"]]),
    loads(
        "where sees the columns",
        &[("where", "n > 2 and v = 'a'")],
        b"1\ta\t2\n2\ta\t3\n3\tb\t4\n",
        &[&["2", "a", "3"]],
    ),
    loads(
        "expressions are in the time of Shanghai",
        &[("columns", "k,x,v=from_unixtime(x)")],
        b"1\t0\n",
        &[&["1", "1970-01-01 08:00:00", "7"]],
    ),
    loads(
        "or of the time zone that is named",
        &[("columns", "k,x,v=from_unixtime(x)"), ("timezone", "UTC")],
        b"1\t0\n",
        &[&["1", "1970-01-01 00:00:00", "7"]],
    ),
    fails("the target of an expression is in the table", &[("columns", "k,x,zz=x")], b"1\ta\n", "zz"),
];

#[test]
fn sr_2_3_columns() {
    let columns = "k INT, v VARCHAR(20), n INT DEFAULT '7'";
    hold(Cluster::shared(), &Rules { columns, select: "k, v, n", headers: &[], cases: COLUMNS });
}

#[test]
fn sr_2_3_a_column_without_default_has_to_be_listed() {
    let database = Cluster::shared().database();
    database.table("t", "k INT, v INT NOT NULL");
    let reply = database.load("t").header("columns", "k").body("1\n").json();
    assert_eq!(field(&reply, "Status"), "Fail", "{reply}");
    assert!(field(&reply, "Message").contains("Column has no default value"), "{reply}");
    assert!(field(&reply, "Message").contains("column: v"), "{reply}");
}

#[test]
fn sr_2_3_generated_columns_are_not_in_a_file() {
    let database = Cluster::shared().database();
    database.table("t", "k INT, g INT AS k + 1");
    let reply = database.load("t").body("1\n2\n").json();
    assert_eq!(field(&reply, "Status"), "Success", "{reply}");
    assert_eq!(database.rows("SELECT k, g FROM t ORDER BY k"), [["1", "2"], ["2", "3"]]);
    let reply = database.load("t").header("columns", "k,g").body("1\t2\n").json();
    assert_eq!(field(&reply, "Status"), "Fail", "a generated column may not be listed: {reply}");
}

#[test]
fn sr_2_3_auto_increment_columns_are_not_in_a_file() {
    let database = Cluster::shared().database();
    database.table("t", "k INT, a BIGINT NOT NULL AUTO_INCREMENT");
    for body in ["1\n2\n", "3\n"] {
        let reply = database.load("t").body(body).json();
        assert_eq!(field(&reply, "Status"), "Success", "{reply}");
    }
    assert_eq!(database.rows("SELECT count(DISTINCT a), count(a) FROM t"), [["3", "3"]]);
}

#[test]
fn sr_2_3_auto_increment_and_generated_columns_together() {
    let database = Cluster::shared().database();
    database.table("t", "k INT, a BIGINT NOT NULL AUTO_INCREMENT, g INT AS k + 1");
    let reply = database.load("t").body("1\n").json();
    assert_eq!(field(&reply, "Status"), "Success", "{reply}");
    assert_eq!(database.rows("SELECT k, g FROM t"), [["1", "2"]]);
}

#[test]
fn sr_2_length_or_chunks() {
    let database = Cluster::shared().database();
    database.table("t", "k INT");
    let reply = database.load("t").body("1\n2\n").chunked().json();
    assert_eq!((number(&reply, "NumberLoadedRows"), number(&reply, "LoadBytes")), (2, 4), "{reply}");
}

/// What a backend says to the headers of a load alone.
fn answer_to_headers(database: &Database<'_>, length: u64, headers: &[(&str, &str)]) -> String {
    let mut connection = Connection::open(database.cluster.backend());
    connection.send(database.load_head("t", length, headers));
    let head = connection.head();
    if head.starts_with("HTTP/1.1 100") {
        return "100 Continue".to_owned();
    }
    let length = crate::support::curl::header(&head, "content-length").unwrap().parse().unwrap();
    connection.body(length)
}

#[test]
fn sr_2_2_sizes_are_refused_by_the_headers() {
    const JSON_MAX: u64 = 100 * 1024 * 1024;
    const CSV_MAX: u64 = 102_400 * 1024 * 1024;
    let database = Cluster::shared().database();
    database.table("t", "k INT");
    let json = ("format", "json");
    let refused = answer_to_headers(&database, JSON_MAX + 1, &[json]);
    assert!(refused.contains("The size of this batch exceed the max size"), "{refused}");
    assert!(refused.contains("\"Fail\""), "{refused}");
    assert_eq!(answer_to_headers(&database, JSON_MAX, &[json]), "100 Continue");
    assert_eq!(answer_to_headers(&database, JSON_MAX + 1, &[json, ("ignore_json_size", "true")]), "100 Continue");
    assert_eq!(answer_to_headers(&database, JSON_MAX + 1, &[]), "100 Continue");
    let refused = answer_to_headers(&database, CSV_MAX + 1, &[]);
    assert!(refused.contains("exceed limit") && refused.contains("streaming_load_max_mb"), "{refused}");
}
