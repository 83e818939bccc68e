//! JSON, and the ARRAY, MAP and STRUCT values that are held as JSON.

#![expect(clippy::unnecessary_wraps, reason = "functions of one table have one signature")]

use rusqlite::types::{Value, ValueRef};
use serde_json::Value as Json;

use super::{Outcome, Scalar, bytes_of, integer_of, text_of};

pub(super) const FUNCTIONS: &[Scalar] = &[
    ("sr_parse_json", 1, |a| Ok(parse(&text_of(a[0])).as_ref().map_or(Value::Null, json_value))),
    ("sr_text_to_json", 1, text_to_json),
    ("sr_json_text", 1, |a| Ok(parse(&text_of(a[0])).map_or(Value::Null, |json| scalar_text(&json)))),
    ("sr_json_get", 2, |a| Ok(at_path(a).as_ref().map_or(Value::Null, json_value))),
    ("sr_json_get_text", 2, |a| Ok(at_path(a).map_or(Value::Null, |json| scalar_text(&json)))),
    ("sr_json_get_int", 2, |a| Ok(at_path(a).as_ref().and_then(integer).map_or(Value::Null, Value::Integer))),
    ("sr_json_get_double", 2, |a| Ok(at_path(a).and_then(|json| json.as_f64()).map_or(Value::Null, Value::Real))),
    ("sr_json_exists", 2, |a| Ok(Value::Integer(i64::from(at_path(a).is_some())))),
    ("sr_json_length", 1, |a| Ok(Value::Integer(parse(&text_of(a[0])).map_or(0, |json| length(&json))))),
    ("sr_array_length", 1, |a| Ok(parse(&text_of(a[0])).map_or(Value::Null, |json| Value::Integer(length(&json))))),
    ("sr_element", 2, element),
    ("sr_field", 2, field),
    ("sr_array_contains", 2, array_contains),
    ("sr_array_join", 2, array_join),
    ("sr_split", 2, split),
    ("sr_map_keys", 1, |a| Ok(entries(a[0], |(key, _)| Json::String(key)))),
    ("sr_map_values", 1, |a| Ok(entries(a[0], |(_, value)| value))),
];

pub(super) const SEEING_NULLS: &[Scalar] = &[("sr_array", -1, array), ("sr_json_object", -1, json_object)];

fn parse(text: &str) -> Option<Json> {
    serde_json::from_str(text).ok()
}

/// A JSON document as text in the spacing that StarRocks prints.
fn json_value(json: &Json) -> Value {
    Value::Text(spaced(json))
}

/// A document with a blank behind each comma and colon.
pub(in crate::sandbox) fn spaced(json: &Json) -> String {
    match json {
        Json::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(spaced).collect();
            format!("[{}]", elements.join(", "))
        }
        Json::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", Json::String(name.clone()), spaced(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        scalar => scalar.to_string(),
    }
}

/// What a text means as JSON: a document if it starts like one, and else a JSON string.
fn text_to_json(arguments: &[ValueRef<'_>]) -> Outcome {
    let text = text_of(arguments[0]);
    if text.trim_start().starts_with(['{', '[', '"']) {
        return Ok(parse(&text).as_ref().map_or(Value::Null, json_value));
    }
    Ok(Value::Text(Json::String(text).to_string()))
}

/// A JSON value as VARCHAR: strings without their quotes, a JSON null as NULL.
fn scalar_text(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::String(text) => Value::Text(text.clone()),
        other => Value::Text(spaced(other)),
    }
}

fn integer(json: &Json) -> Option<i64> {
    match json {
        Json::Bool(truth) => Some(i64::from(*truth)),
        #[expect(clippy::cast_possible_truncation, reason = "the fraction is cut off, as in a cast to BIGINT")]
        Json::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|number| number as i64)),
        _ => None,
    }
}

/// The value at a path like `$.a."b c"[0]`. The `$` may be left out.
fn at_path(arguments: &[ValueRef<'_>]) -> Option<Json> {
    let mut json = parse(&text_of(arguments[0]))?;
    let path = text_of(arguments[1]);
    let mut rest = path.strip_prefix('$').unwrap_or(&path);
    while !rest.is_empty() {
        if let Some(index) = rest.strip_prefix('[') {
            let (index, after) = index.split_once(']')?;
            json = json.get_mut(index.parse::<usize>().ok()?)?.take();
            rest = after;
            continue;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let (key, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted.split_once('"')?
        } else {
            rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()))
        };
        json = json.get_mut(key)?.take();
        rest = after;
    }
    Some(json)
}

fn length(json: &Json) -> i64 {
    let length = match json {
        Json::Array(elements) => elements.len(),
        Json::Object(fields) => fields.len(),
        _ => 1,
    };
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// An element of an ARRAY as the SQLite value of its type.
fn stored(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Integer(i64::from(*truth)),
        Json::Number(number) => {
            let text = number.to_string();
            match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => Value::Integer(integer),
                (None, Some(double)) if text.contains(['e', 'E']) => Value::Real(double),
                _ => Value::Text(text),
            }
        }
        Json::String(text) => Value::Text(text.clone()),
        nested => Value::Text(nested.to_string()),
    }
}

/// An element of an array by its position from 1 or, if negative, from the end; or the value of a key of a MAP.
fn element(arguments: &[ValueRef<'_>]) -> Outcome {
    Ok(match parse(&text_of(arguments[0])) {
        Some(Json::Array(elements)) => {
            let position = integer_of(arguments[1]);
            let index = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
            let at = if position > 0 { Some(index - 1) } else { elements.len().checked_sub(index) };
            at.filter(|_| position != 0).and_then(|at| elements.get(at)).map_or(Value::Null, stored)
        }
        Some(Json::Object(fields)) => fields.get(&text_of(arguments[1])).map_or(Value::Null, stored),
        _ => Value::Null,
    })
}

fn field(arguments: &[ValueRef<'_>]) -> Outcome {
    let name = text_of(arguments[1]);
    Ok(match parse(&text_of(arguments[0])) {
        Some(Json::Object(fields)) => fields
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(&name))
            .map_or(Value::Null, |(_, value)| stored(value)),
        _ => Value::Null,
    })
}

fn array_contains(arguments: &[ValueRef<'_>]) -> Outcome {
    let Some(Json::Array(elements)) = parse(&text_of(arguments[0])) else { return Ok(Value::Null) };
    let wanted = element_text(arguments[1]);
    let found = elements.iter().any(|element| element_text(ValueRef::from(&stored(element))) == wanted);
    Ok(Value::Integer(i64::from(found)))
}

fn array_join(arguments: &[ValueRef<'_>]) -> Outcome {
    let Some(Json::Array(elements)) = parse(&text_of(arguments[0])) else { return Ok(Value::Null) };
    let texts: Vec<String> = elements
        .iter()
        .filter(|element| !element.is_null())
        .map(|element| text_of(ValueRef::from(&stored(element))))
        .collect();
    Ok(Value::Text(texts.join(&text_of(arguments[1]))))
}

fn split(arguments: &[ValueRef<'_>]) -> Outcome {
    let (text, delimiter) = (text_of(arguments[0]), text_of(arguments[1]));
    let parts: Vec<String> = if delimiter.is_empty() {
        text.chars().map(String::from).collect()
    } else {
        text.split(&delimiter).map(str::to_owned).collect()
    };
    Ok(Value::Text(Json::from(parts).to_string()))
}

fn entries(map: ValueRef<'_>, part: fn((String, Json)) -> Json) -> Value {
    match parse(&text_of(map)) {
        Some(Json::Object(fields)) => Value::Text(Json::Array(fields.into_iter().map(part).collect()).to_string()),
        _ => Value::Null,
    }
}

/// A value as an element of a JSON text. Texts that are numbers are told from others by the binder, not here.
pub(super) fn element_text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(_) | ValueRef::Real(_) => text_of(value),
        ValueRef::Text(_) | ValueRef::Blob(_) => {
            Json::String(String::from_utf8_lossy(&bytes_of(value)).into_owned()).to_string()
        }
    }
}

fn array(arguments: &[ValueRef<'_>]) -> Outcome {
    let elements: Vec<String> = arguments.iter().map(|value| element_text(*value)).collect();
    Ok(Value::Text(format!("[{}]", elements.join(","))))
}

fn json_object(arguments: &[ValueRef<'_>]) -> Outcome {
    let fields: Vec<String> = arguments
        .chunks(2)
        .map(|pair| {
            let name = Json::String(text_of(pair[0])).to_string();
            format!("{name}: {}", pair.get(1).map_or("null".to_owned(), |value| element_text(*value)))
        })
        .collect();
    Ok(Value::Text(format!("{{{}}}", fields.join(", "))))
}
