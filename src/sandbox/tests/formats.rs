//! What becomes of rows: formats, strictness, filters, expressions.

use std::io::Write;

use serde_json::Value;

use super::{Load, World, get, load};
use crate::sandbox::Options;

fn counts(answer: &Value) -> [u64; 4] {
    ["Total", "Loaded", "Filtered", "Unselected"]
        .map(|name| answer[format!("Number{name}Rows")].to_string().parse().expect("a number"))
}

#[tokio::test]
async fn values_that_do_not_fit_become_null_or_are_filtered() {
    let world = World::new().await;
    let body = "1,a,1\n2,12345678901,x\n";
    let lax = world.csv("lax", body).await;
    assert_eq!((lax["Status"].as_str(), counts(&lax)), (Some("Success"), [2, 2, 0, 0]));
    assert_eq!(world.rows(), ["1|'a'|'1.00'", "2|NULL|NULL"]);
    let headers =
        [("label", "strict"), ("column_separator", ","), ("strict_mode", "true"), ("max_filter_ratio", "0.5")];
    let strict = world.load(&headers, body).await;
    assert_eq!((strict["Status"].as_str(), counts(&strict)), (Some("Success"), [2, 1, 1, 0]));
    let url = strict["ErrorURL"].as_str().expect("a success with filtered rows has a log");
    let backend = world.sandbox.addresses().backend;
    let path = url.strip_prefix(&format!("http://{backend}")).expect("the log is on the backend");
    let log = get(backend, path).await;
    let reason = "Value '12345678901' is out of range. The type of 'v' is VARCHAR(10)";
    assert_eq!(log.body(), format!("Error: {reason}. Row: 2,12345678901,x\n"));
    assert_eq!(get(backend, "/api/_load_error_log?file=none").await.status(), 200);
}

#[tokio::test]
async fn null_is_filtered_from_a_column_that_does_not_take_it() {
    let world = World::new().await;
    let answer = world.csv("l", "\\N,a,1\nx,b,2\n").await;
    assert_eq!((answer["Message"].as_str(), counts(&answer)), (Some("too many filtered rows"), [2, 0, 2, 0]));
    let url = answer["ErrorURL"].as_str().expect("a log").to_owned();
    let path = url.split_once("/api").expect("a path").1;
    let log = get(world.sandbox.addresses().backend, &format!("/api{path}")).await;
    assert_eq!(log.body().matches("NULL value in non-nullable column 'k'").count(), 2);
}

#[tokio::test]
async fn rows_of_the_wrong_shape_are_filtered() {
    let world = World::new().await;
    let headers = [("column_separator", ","), ("max_filter_ratio", "0.9")];
    let answer = world.load(&headers, b"1,a,1\n2,b\n3,c,3,d\n4,\xff,1\n\n").await;
    assert_eq!((answer["Status"].as_str(), counts(&answer)), (Some("Success"), [4, 1, 3, 0]));
    // A field that no column wants makes its row invalid all the same.
    let headers = [("column_separator", ","), ("columns", "k, unwanted"), ("max_filter_ratio", "0.9")];
    assert_eq!(counts(&world.load(&headers, b"1,a\n2,\xff\n").await), [2, 1, 1, 0]);
}

#[tokio::test]
async fn an_empty_load_is_an_error() {
    let world = World::new().await;
    for body in ["", "\n\n"] {
        let answer = world.csv("l", body).await;
        assert_eq!(
            (answer["Status"].as_str(), answer["Message"].as_str()),
            (Some("Fail"), Some("No rows were imported from upstream"))
        );
    }
    // What the rows came to is told all the same.
    let none = "No rows were imported from upstream";
    for (header, expected, message) in [
        (("max_filter_ratio", "1"), [2, 0, 2, 0], none),
        (("max_filter_ratio", "0.5"), [2, 0, 2, 0], "too many filtered rows"),
        (("where", "k > 7"), [2, 0, 0, 2], none),
    ] {
        let body = if header.0 == "where" { "1,a,1\n2,b,2\n" } else { "1\n2\n" };
        let answer = world.load(&[("column_separator", ","), header], body).await;
        assert_eq!((counts(&answer), answer["Message"].as_str()), (expected, Some(message)), "{answer}");
    }
}

#[tokio::test]
async fn quoted_csv_carries_what_plain_csv_cannot() {
    let world = World::new().await;
    let headers = [("column_separator", ","), ("enclose", "\""), ("escape", "\\"), ("skip_header", "1")];
    let body = "\"k\",\"v\",\"n\"\n\"1\",\"a\\\",\n\\\\\0\",\"1\"\n\"2\",\\\\N,\"2\"\n";
    let answer = world.load(&headers, body).await;
    assert_eq!(counts(&answer), [2, 2, 0, 0], "{answer}");
    let store = &world.sandbox.node.store;
    let text: String =
        store.read(|db| db.query_row("SELECT v FROM t1 WHERE k = 1", [], |row| row.get(0))).expect("a row");
    assert_eq!(text, "a\",\n\\\0");
    assert_eq!(world.rows()[1], "2|NULL|'2.00'");
}

#[tokio::test]
async fn columns_choose_order_defaults_and_expressions() {
    let table = [
        ("k", "int", false),
        ("v", "varchar(10) default none", false),
        ("n", "int", true),
        ("id", "bigint auto_increment", false),
        ("g", "int as n + 1", true),
    ];
    let world = World::with(|options| options, &table).await;
    let headers = [("column_separator", ","), ("columns", "x, K, n = x * 10"), ("where", "n > 10")];
    let answer = world.load(&headers, "1,5\n2,6\nx,7\n3,8\n").await;
    // `x` is not a number, which makes a zero of the product, and `where` does not want it.
    assert_eq!((answer["Status"].as_str(), counts(&answer)), (Some("Success"), [4, 2, 0, 2]), "{answer}");
    let ids: Vec<i64> =
        (0..2).map(|at| world.rows()[at].split('|').nth(3).expect("an id").parse().expect("a number")).collect();
    assert!(ids[0] < ids[1]);
    let rows: Vec<String> =
        world.rows().iter().zip(&ids).map(|(row, id)| row.replace(&format!("|{id}|"), "|id|")).collect();
    assert_eq!(rows, ["6|'none'|20|id|21", "8|'none'|30|id|31"]);
    // Without `columns`, counters and generated columns are not in the file.
    assert_eq!(world.csv("l", "1,a,2\n").await["Status"], "Success");
    let unknown = world.load(&[("columns", "k, zz = k")], "1\n").await;
    assert_eq!(unknown["Message"], "Mapping column is not in table. column: zz");
    let generated = world.load(&[("columns", "k, g")], "1\t2\n").await;
    assert_eq!(generated["Status"], "Fail");
}

#[tokio::test]
async fn json_is_loaded_by_key() {
    let world = World::new().await;
    let body =
        "{\"k\":1,\"v\":1.50,\"n\":0.1}\n{\"n\":\"2\",\"k\":\"2\",\"V\":\"x\",\"z\":[]}{\"k\":3,\"v\":\"\\\\N\"}";
    let answer = world.load(&[("format", "json")], body).await;
    assert_eq!(counts(&answer), [3, 3, 0, 0], "{answer}");
    assert_eq!(world.rows(), ["1|'1.50'|'0.10'", "2|NULL|'2.00'", "3|'\\N'|NULL"]);
}

#[tokio::test]
async fn one_syntax_error_fails_a_json_load_and_one_wrong_value_does_not() {
    let world = World::new().await;
    for body in ["{\"k\":1}\n{\"k\":2,}", "{\"k\":1}{\"k\":2", "[{\"k\":1}]", "{\"k\":1,\"v\":\"\\ud800\"}"] {
        let answer = world.load(&[("format", "json"), ("max_filter_ratio", "1")], body).await;
        assert_eq!((answer["Status"].as_str(), counts(&answer)), (Some("Fail"), [0, 0, 0, 0]), "{body}");
    }
    assert_eq!(world.rows(), [""; 0]);
    let headers = [("format", "json"), ("strict_mode", "true"), ("max_filter_ratio", "0.5")];
    let answer = world.load(&headers, "{\"k\":1}{\"k\":2,\"n\":\"x\"}").await;
    assert_eq!((answer["Status"].as_str(), counts(&answer)), (Some("Success"), [2, 1, 1, 0]));
}

#[tokio::test]
async fn json_layouts_are_followed() {
    let world = World::new().await;
    let array = "[{\"k\":1},{\"k\":2}]";
    assert_eq!(counts(&world.load(&[("format", "json"), ("strip_outer_array", "true")], array).await), [2, 2, 0, 0]);
    let rooted = "{\"data\":[{\"k\":3},{\"k\":4}]}";
    let headers = [("format", "json"), ("strip_outer_array", "true"), ("json_root", "$.data")];
    assert_eq!(counts(&world.load(&headers, rooted).await), [2, 2, 0, 0]);
    let headers = [("format", "json"), ("jsonpaths", "[\"$.a.b[1]\", \"$.c\"]"), ("columns", "k, v")];
    assert_eq!(counts(&world.load(&headers, "{\"a\":{\"b\":[4,5]},\"c\":\"x\"}").await), [1, 1, 0, 0]);
    let keys: Vec<String> = world.rows().iter().map(|row| row.split('|').next().expect("a field").to_owned()).collect();
    assert_eq!(keys, ["1", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn compressed_bodies_are_read_where_the_server_reads_them() {
    let world = World::new().await;
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).expect("memory takes it");
        encoder.finish().expect("memory takes it")
    };
    let csv = world.load(&[("format", "gzip")], gzip("1\ta\t1\n")).await;
    assert_eq!(csv["Status"], "Success", "{csv}");
    let json = world.load(&[("format", "json"), ("compression", "gzip")], gzip("{\"k\":2}")).await;
    assert_eq!(json["Status"], "Success", "{json}");
    // With plain CSV the header is ignored, and the compressed bytes are taken for text.
    let ignored = world.load(&[("compression", "gzip")], gzip("3\ta\t1\n")).await;
    assert_eq!(ignored["Status"], "Fail");
    let body = gzip("4\ta\t1\n");
    let truncated = world.load(&[("format", "gzip"), ("label", "cut")], &body[..body.len() - 4]).await;
    assert_eq!(truncated["Status"], "Fail");
    assert_eq!(world.state("cut").await["state"], "ABORTED");
    assert_eq!(world.rows().len(), 2);
}

#[tokio::test]
async fn of_json_one_frame_is_read_and_one_that_is_cut_is_an_error() {
    let lz4 = |text: &str| {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(text.as_bytes()).expect("memory takes it");
        encoder.finish().expect("memory takes it")
    };
    let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 1).expect("memory takes it");
    for discard in [false, true] {
        let world = World::with(|options| Options { discard, ..options }, super::TABLE).await;
        for (name, format, frames) in [
            ("lz4_frame", "lz4", [lz4("{\"k\":1}"), lz4("{\"k\":2}"), lz4("1\ta\t1\n"), lz4("2\ta\t1\n")]),
            ("zstd", "zstd", [zstd("{\"k\":1}"), zstd("{\"k\":2}"), zstd("1\ta\t1\n"), zstd("2\ta\t1\n")]),
        ] {
            let json = [("format", "json"), ("compression", name)];
            let answer = world.load(&json, frames[..2].concat()).await;
            assert_eq!((answer["Status"].as_str(), counts(&answer)), (Some("Success"), [1, 1, 0, 0]), "{name}");
            let cut = world.load(&json, &frames[0][..frames[0].len() - 3]).await;
            assert_eq!(cut["Status"], "Fail", "{name}: {cut}");
            let csv = world.load(&[("format", format)], frames[2..].concat()).await;
            assert_eq!((csv["Status"].as_str(), counts(&csv)), (Some("Success"), [2, 2, 0, 0]), "{name}");
        }
    }
}

#[tokio::test]
async fn a_sandbox_that_discards_counts_rows_and_keeps_labels() {
    let world = World::with(|options| Options { discard: true, ..options }, super::TABLE).await;
    let headers = [("label", "l"), ("column_separator", ","), ("enclose", "\"")];
    let answer = world.load(&headers, "1,\"a\nb\",1\n2,b,2\n").await;
    assert_eq!((answer["Status"].as_str(), counts(&answer)), (Some("Success"), [2, 2, 0, 0]));
    assert_eq!(answer["LoadBytes"].to_string(), "16");
    assert_eq!(counts(&world.load(&[("format", "json")], "{\"k\":1}{\"k\":2}{}").await), [3, 3, 0, 0]);
    let rooted = [("format", "json"), ("json_root", "$.r"), ("strip_outer_array", "true")];
    assert_eq!(counts(&world.load(&rooted, "{\"r\":[{},{}]}").await), [2, 2, 0, 0]);
    assert_eq!(world.csv("l", "3,c,3\n").await["ExistingJobStatus"], "FINISHED");
    assert_eq!(world.rows(), [""; 0]);
}

#[tokio::test]
async fn a_big_load_comes_through_whole() {
    let world = World::new().await;
    let rows = 50_000;
    let lines: Vec<String> = (0..rows).map(|row| format!("{row}\tv{row}\t{row}.5\n")).collect();
    let body = lines.concat();
    let answer = load(&world.sandbox, &Load { body: body.as_bytes(), ..Load::default() }).await.json();
    assert_eq!(counts(&answer), [rows, rows, 0, 0], "{answer}");
    assert_eq!(answer["LoadBytes"].to_string(), body.len().to_string());
    assert_eq!(world.rows().len(), usize::try_from(rows).expect("it fits"));
    assert_eq!(world.rows()[49_999], "49999|'v49999'|'49999.50'");
}

#[tokio::test]
async fn where_compares_columns_by_their_types() {
    let world = World::new().await;
    let headers = [("column_separator", ","), ("where", "n > 9.5 and k >= 10 and v != 'x'")];
    let answer = world.load(&headers, "9,a,100\n10,a,9.50\n10,x,10\n11,b,10\n100,c,9.51\n12,\\N,10\n").await;
    assert_eq!((answer["Status"].as_str(), counts(&answer)), (Some("Success"), [6, 2, 0, 4]), "{answer}");
    assert_eq!(world.rows(), ["11|'b'|'10.00'", "100|'c'|'9.51'"]);
}
