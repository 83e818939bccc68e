//! Where rows begin and end in a body, and what is in them.

use std::io::{self, Read};

use super::{Documents, Fault, Keys, Layout, canonical};
use crate::sandbox::json_path::Path;

/// Gives out a body in pieces of three bytes, so that values cross the edges of reads.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.len().min(buffer.len()).min(3);
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fn rows(layout: &Layout, body: &[u8]) -> Result<Vec<String>, String> {
    let mut documents = Documents::new(Trickle(body), layout);
    let mut rows = Vec::new();
    loop {
        match documents.advance() {
            Ok(Some(row)) => rows.push(row.to_owned()),
            Ok(None) => return Ok(rows),
            Err(Fault::Malformed(message)) => return Err(message),
            Err(Fault::Io(error)) => panic!("{error}"),
        }
    }
}

fn stream() -> Layout {
    Layout::default()
}

fn array() -> Layout {
    Layout { strip_outer_array: true, ..Layout::default() }
}

#[test]
fn a_stream_is_objects_one_behind_the_other() {
    for (body, expected) in [
        ("", vec![]),
        (" \n", vec![]),
        ("{\"a\":1}\n{\"a\":2}\n", vec!["{\"a\":1}", "{\"a\":2}"]),
        ("{\"a\":1}{\"a\":\"}{\\\"\"}", vec!["{\"a\":1}", "{\"a\":\"}{\\\"\"}"]),
        ("  {\"a\":{\"b\":[{}]}} ", vec!["{\"a\":{\"b\":[{}]}}"]),
    ] {
        assert_eq!(rows(&stream(), body.as_bytes()).expect(body), expected, "{body}");
    }
}

#[test]
fn an_array_is_taken_apart_on_request_only() {
    for (body, expected) in
        [("[]", vec![]), (" [ {\"a\":1} , {\"a\":2} ] \n", vec!["{\"a\":1}", "{\"a\":2}"]), ("[{}]", vec!["{}"])]
    {
        assert_eq!(rows(&array(), body.as_bytes()).expect(body), expected, "{body}");
    }
    let message = rows(&stream(), b"[{\"a\":1}]").expect_err("an array is no object");
    assert!(message.contains("strip_outer_array"), "{message}");
}

#[test]
fn what_is_not_well_formed_fails_the_body() {
    for body in ["{\"a\":1", "{\"a\":1}x", "1", "{\"a\":1},{\"a\":2}", "\"x\""] {
        assert!(rows(&stream(), body.as_bytes()).is_err(), "{body}");
    }
    for body in ["{\"a\":1}", "[{\"a\":1}", "[{}{}]", "[{}]{}", "[1]", "{}\n{}", "[,{}]", "[{},]", "[{},,{}]"] {
        assert!(rows(&array(), body.as_bytes()).is_err(), "{body}");
    }
    assert!(rows(&stream(), b"{\"a\":\"\xff\"}").is_err(), "invalid UTF-8");
}

#[test]
fn with_a_root_outer_arrays_are_expanded() {
    let layout = Layout { root: Path::parse("$.r"), ..Layout::default() };
    for body in ["[{\"r\":1},{\"r\":2}]", "{\"r\":1}{\"r\":2}", "[{\"r\":1}][{\"r\":2}]"] {
        assert_eq!(rows(&layout, body.as_bytes()).expect(body).len(), 2, "{body}");
    }
}

#[test]
fn keys_are_case_sensitive_and_the_first_of_equal_ones_counts() {
    let keys = Keys::new(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]);
    let pick = |object| -> Vec<Option<&str>> {
        let picked = keys.pick(object).expect(object);
        picked.into_iter().map(|value| value.map(serde_json::value::RawValue::get)).collect()
    };
    assert_eq!(pick(r#"{"a":1,"b":"x","c":[1]}"#), [Some("1"), Some("\"x\""), Some("[1]")]);
    assert_eq!(pick(r#"{"c":1e5,"z":{},"A":2,"a":1.50}"#), [Some("1.50"), None, Some("1e5")]);
    assert_eq!(pick(r#"{"a":1,"a":2}"#), [Some("1"), None, None]);
    assert_eq!(pick(r#"{"\u0061":1}"#), [Some("1"), None, None]);
    for object in ["{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"z\":tru}"] {
        assert!(keys.pick(object).is_err(), "{object}");
    }
}

#[test]
fn canonical_text_has_no_blanks_but_those_in_strings() {
    for (source, expected) in [
        ("{ \"a b\" : [ 1 , \"x \\\" y\" ] }", Some("{\"a b\":[1,\"x \\\" y\"]}")),
        (" 1.50 ", Some("1.50")),
        ("{\"a\\\\\" : 1}", Some("{\"a\\\\\":1}")),
        ("{", None),
        ("", None),
    ] {
        assert_eq!(canonical(source).as_deref(), expected, "{source}");
    }
}
