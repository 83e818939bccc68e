//! Rows as they were sent, as JSON objects that can be imported: for rejects whose records cannot be read again.

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::dispatcher::Sent;
use crate::model::{ColumnType, WireFormat};
use crate::target::wire_name;

/// A row's text as a JSON object, its keys the names that the load gives its fields. Scalars of a CSV row are strings, which
/// the reader takes for any type.
pub(super) fn as_json(sent: Sent<'_>, text: &[u8]) -> Vec<u8> {
    let object = match sent.format {
        WireFormat::Json => renamed(sent, text),
        WireFormat::Csv => of_csv(sent, text),
    };
    // A row that is not what its encoder writes is kept as it is.
    object.unwrap_or_else(|| text.to_vec())
}

/// The same object under the names of the columns: some of them have others on the wire.
fn renamed(sent: Sent<'_>, text: &[u8]) -> Option<Vec<u8>> {
    let fields = &sent.settings.fields;
    if fields.iter().all(|field| wire_name(field, WireFormat::Json) == field.name) {
        return None;
    }
    let values: std::collections::HashMap<String, Box<RawValue>> = serde_json::from_slice(text).ok()?;
    let pairs =
        fields.iter().map(|field| Some((field.name.as_str(), values.get(&wire_name(field, WireFormat::Json))?.get())));
    Some(object(&pairs.collect::<Option<Vec<_>>>()?))
}

fn of_csv(sent: Sent<'_>, text: &[u8]) -> Option<Vec<u8>> {
    let cells = cells(std::str::from_utf8(text).ok()?)?;
    let fields = &sent.settings.fields;
    if cells.len() != fields.len() {
        return None;
    }
    let values: Vec<Box<RawValue>> = cells
        .iter()
        .zip(fields)
        .map(|(cell, field)| match (cell, &field.ty) {
            (None, _) => to_raw_value(&Value::Null).ok(),
            (Some(text), ColumnType::Json | ColumnType::Array(_) | ColumnType::Map(..)) => {
                let json = if matches!(field.ty, ColumnType::Json) { text.clone() } else { nested(text) };
                RawValue::from_string(json).or_else(|_| to_raw_value(text)).ok()
            }
            (Some(text), _) => to_raw_value(text).ok(),
        })
        .collect::<Option<_>>()?;
    let pairs: Vec<_> = fields.iter().zip(&values).map(|(field, value)| (field.name.as_str(), value.get())).collect();
    Some(object(&pairs))
}

fn object(pairs: &[(&str, &str)]) -> Vec<u8> {
    let key = |name: &str| Value::String(name.to_owned()).to_string();
    let members: Vec<String> = pairs.iter().map(|(name, value)| format!("{}:{value}", key(name))).collect();
    format!("{{{}}}", members.join(",")).into_bytes()
}

/// The fields of a CSV row as the encoder writes it; none is NULL.
fn cells(text: &str) -> Option<Vec<Option<String>>> {
    let mut cells = Vec::new();
    let mut rest = text;
    loop {
        let (cell, behind) = if let Some(inner) = rest.strip_prefix('"') {
            let (cell, behind) = unquoted(inner)?;
            (Some(cell), behind)
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let cell = (&rest[..end] != r"\\N").then(|| rest[..end].to_owned());
            (cell, &rest[end..])
        };
        cells.push(cell);
        match behind.strip_prefix(',') {
            Some(next) => rest = next,
            None => return behind.is_empty().then_some(cells),
        }
    }
}

/// A field up to its closing quote, and what stands behind that.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut cell = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((cell, &text[at + 1..])),
            '\\' => cell.push(letters.next()?.1),
            letter => cell.push(letter),
        }
    }
    None
}

/// An ARRAY or MAP of the wire's CSV as JSON: strings there double their quotes and escape nothing else, and keys may stand
/// without any.
fn nested(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 16);
    // Where the token started that is no string, for the case that it turns out to be a key.
    let mut bare: Option<usize> = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                let mut string = String::new();
                while let Some(inner) = letters.next() {
                    match inner {
                        '"' if letters.next_if_eq(&'"').is_none() => break,
                        inner => string.push(inner),
                    }
                }
                json.push_str(&Value::String(string).to_string());
            }
            '[' | ']' | '{' | '}' | ',' | ':' => {
                if let (':', Some(start)) = (letter, bare) {
                    json.insert(start, '"');
                    json.push('"');
                }
                bare = None;
                json.push(letter);
            }
            letter => {
                bare.get_or_insert(json.len());
                json.push(letter);
            }
        }
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{FieldBinding, LoadSettings};

    fn json(format: WireFormat, fields: &[(&str, ColumnType)], text: &str) -> String {
        let field = |(name, ty): &(&str, ColumnType)| FieldBinding { name: (*name).to_owned(), ty: ty.clone() };
        let settings = LoadSettings { fields: fields.iter().map(field).collect(), ..LoadSettings::default() };
        String::from_utf8(as_json(Sent { input: 0, format, settings: &settings }, text.as_bytes())).unwrap()
    }

    #[test]
    fn a_csv_row_becomes_an_object_of_its_values() {
        let fields = [("id", ColumnType::Int), ("te\"xt", ColumnType::Varchar(9)), ("doc", ColumnType::Json)];
        assert_eq!(
            json(WireFormat::Csv, &fields, "1,\"a,\\\"b\\\\\nc\",\"{\\\"k\\\": 1}\""),
            r#"{"id":"1","te\"xt":"a,\"b\\\nc","doc":{"k": 1}}"#
        );
        assert_eq!(json(WireFormat::Csv, &fields, r#"\\N,"",\\N"#), r#"{"id":null,"te\"xt":"","doc":null}"#);
        assert_eq!(json(WireFormat::Csv, &fields, "1,2"), "1,2", "what is not understood is kept");
    }

    #[test]
    fn nested_values_are_json() {
        assert_eq!(nested(r#"["a""b","c\d",null]"#), r#"["a\"b","c\\d",null]"#);
        assert_eq!(nested("{1:[2,3],4:[]}"), r#"{"1":[2,3],"4":[]}"#);
        assert_eq!(nested(r#"{"x:y":-1.5}"#), r#"{"x:y":-1.5}"#);
    }

    #[test]
    fn a_json_row_is_kept_but_for_names_of_the_wire() {
        let text = r#"{"id":1,"name":"x"}"#;
        let fields = [("id", ColumnType::Int), ("name", ColumnType::Varchar(9))];
        assert_eq!(json(WireFormat::Json, &fields, text), text);
        let fields = [("id", ColumnType::Int), ("blob", ColumnType::Varbinary(9))];
        let wire = wire_name(&FieldBinding { name: "blob".into(), ty: ColumnType::Varbinary(9) }, WireFormat::Json);
        assert_ne!(wire, "blob");
        let sent = format!(r#"{{"id":1,"{wire}":"aGk="}}"#);
        assert_eq!(json(WireFormat::Json, &fields, &sent), r#"{"id":1,"blob":"aGk="}"#);
    }
}
