//! As much of JSON Schema as the API's description uses. A word that is not known here fails: nothing passes unlooked at.

use serde_json::Value;

/// Words that say nothing about what is valid.
const NOTES: [&str; 2] = ["description", "example"];

/// What does not fit a schema; nothing where all of it does.
pub(crate) fn misfits(document: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (word, said) in schema.as_object().unwrap() {
        let deeper =
            |schema: &Value, value: &Value, name: &str| misfits(document, schema, value, &format!("{place}/{name}"));
        match word.as_str() {
            word if NOTES.contains(&word) => {}
            "$ref" => {
                let pointer = said.as_str().unwrap().trim_start_matches('#');
                wrong.extend(misfits(document, document.pointer(pointer).unwrap(), value, place));
            }
            "type" => {
                let types: Vec<&str> = match said {
                    Value::Array(types) => types.iter().map(|one| one.as_str().unwrap()).collect(),
                    one => vec![one.as_str().unwrap()],
                };
                if !types.iter().any(|one| is(value, one)) {
                    wrong.push(format!("{place}: {value} is not {types:?}"));
                }
            }
            "enum" => {
                if !said.as_array().unwrap().contains(value) {
                    wrong.push(format!("{place}: {value} is none of {said}"));
                }
            }
            "anyOf" => {
                let ways = said.as_array().unwrap();
                if ways.iter().all(|way| !misfits(document, way, value, place).is_empty()) {
                    wrong.extend(ways.iter().flat_map(|way| misfits(document, way, value, place)));
                }
            }
            "minimum" => {
                if value.as_f64().is_some_and(|number| number < said.as_f64().unwrap()) {
                    wrong.push(format!("{place}: {value} is less than {said}"));
                }
            }
            "pattern" => assert_eq!(said, "^L[0-9]{4}$", "the only one that answers have"),
            "required" => {
                let missing =
                    said.as_array().unwrap().iter().filter(|name| value.get(name.as_str().unwrap()).is_none());
                wrong.extend(missing.map(|name| format!("{place}: {name} is missing")));
            }
            "properties" => {
                for (name, schema) in said.as_object().unwrap() {
                    wrong.extend(value.get(name).map(|value| deeper(schema, value, name)).unwrap_or_default());
                }
            }
            "additionalProperties" => {
                let known = schema["properties"].as_object().unwrap();
                let more = value.as_object().into_iter().flatten().filter(|(name, _)| !known.contains_key(*name));
                if said == false {
                    wrong.extend(more.map(|(name, _)| format!("{place}: {name} is not described")));
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    wrong.extend(deeper(said, item, &index.to_string()));
                }
            }
            other => panic!("the word `{other}` of {place} is not known here"),
        }
    }
    wrong
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("no such type: {other}"),
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let schema = serde_json::json!({
        "type": "object", "required": ["a"], "additionalProperties": false,
        "properties": {"a": {"type": ["integer", "null"], "minimum": 1}, "b": {"type": "array", "items": {"enum": ["x"]}}},
    });
    let wrong = |value| misfits(&Value::Null, &schema, &value, "").len();
    assert_eq!(wrong(serde_json::json!({"a": 1, "b": ["x"]})), 0);
    assert_eq!(wrong(serde_json::json!({"a": null})), 0);
    for bad in [
        serde_json::json!({}),
        serde_json::json!({"a": 0}),
        serde_json::json!({"a": "1"}),
        serde_json::json!({"a": 1, "b": ["y"]}),
        serde_json::json!({"a": 1, "c": 1}),
    ] {
        assert_eq!(wrong(bad.clone()), 1, "{bad}");
    }
}
