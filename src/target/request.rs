//! Load settings to headers (SR §2).

use hyper::header::{AUTHORIZATION, EXPECT, HeaderMap, HeaderName, HeaderValue};

use super::{Error, FieldBinding, LoadSettings};
use crate::model::{Chunk, Codec, ColumnType, Label, WireFormat};

/// What every load of a target says.
pub(super) struct Fixed<'a> {
    pub(super) authorization: &'a HeaderValue,
    pub(super) timeout_seconds: u64,
    pub(super) timezone: &'a str,
}

/// All headers of a request together, `http_max_header_size` of a frontend (SR §1.1).
const HEADER_BYTES_MAX: usize = 32 * 1024;

/// Room for the headers that are added on the way: `host` and `content-length`.
const HEADER_BYTES_ADDED: usize = 300;

/// What keeps a VARBINARY's base64 apart from the column that it becomes.
const TEMPORARY_PREFIX: &str = "__shipload_";

/// The name of a field inside the body: the key of a JSON object.
///
/// VARBINARY travels in JSON as base64 under a name of its own, because the server takes a JSON string for the bytes
/// themselves (SR §6.8); the `columns` header decodes it into the column. CSV fields bind by position, and the server
/// decodes their base64 itself.
#[must_use]
pub fn wire_name(field: &FieldBinding, format: WireFormat) -> String {
    match (format, &field.ty) {
        (WireFormat::Json, ColumnType::Varbinary(_)) => format!("{TEMPORARY_PREFIX}{}", field.name),
        _ => field.name.clone(),
    }
}

/// The headers of one load.
pub(super) fn headers(
    label: &Label,
    chunk: &Chunk,
    settings: &LoadSettings,
    fixed: &Fixed<'_>,
) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, fixed.authorization.clone());
    headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
    let mut set = |name: &str, value: &str| -> Result<(), Error> {
        let refused = |_| Error::Refused {
            message: format!("the value of `{name}` holds a line break or another control character: {value:?}"),
        };
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|error| refused(error.to_string()))?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| refused(error.to_string()))?;
        headers.insert(name, value);
        Ok(())
    };
    set("label", label.as_str())?;
    for (name, value) in body_headers(chunk) {
        set(name, value)?;
    }
    set("columns", &columns(settings, chunk.format)?)?;
    if let Some(filter) = &settings.filter {
        set("where", filter)?;
    }
    set("strict_mode", "true")?;
    set("max_filter_ratio", "0")?;
    set("timeout", &fixed.timeout_seconds.to_string())?;
    set("timezone", fixed.timezone)?;
    for (name, value) in &settings.headers {
        set(name, value)?;
    }
    check_size(&headers)?;
    Ok(headers)
}

/// How the body is to be read. Compressed CSV is a format of its own; compressed JSON is JSON with a header (SR §2.1).
fn body_headers(chunk: &Chunk) -> Vec<(&'static str, &'static str)> {
    match chunk.format {
        WireFormat::Csv => {
            let format = match chunk.codec {
                Codec::None => "csv",
                Codec::Lz4 => "lz4",
                Codec::Zstd => "zstd",
                Codec::Gzip => "gzip",
            };
            // The line feed is written as its byte: older servers do not read `\n` in a header.
            vec![
                ("format", format),
                ("column_separator", ","),
                ("row_delimiter", "\\x0A"),
                ("enclose", "\""),
                ("escape", "\\"),
            ]
        }
        WireFormat::Json => {
            let mut headers = vec![("format", "json"), ("strip_outer_array", "false"), ("ignore_json_size", "true")];
            match chunk.codec {
                Codec::None => {}
                Codec::Lz4 => headers.push(("compression", "lz4_frame")),
                Codec::Zstd => headers.push(("compression", "zstd")),
                Codec::Gzip => headers.push(("compression", "gzip")),
            }
            headers
        }
    }
}

/// The `columns` header: the fields in the body's order, then what is computed from them.
fn columns(settings: &LoadSettings, format: WireFormat) -> Result<String, Error> {
    let mut items = Vec::with_capacity(settings.fields.len() + settings.derived.len());
    let mut decoded = Vec::new();
    for field in &settings.fields {
        let name = wire_name(field, format);
        if matches!(field.ty, ColumnType::Varbinary(_)) {
            check_not_derived_from(field, &settings.derived)?;
        }
        if name != field.name {
            decoded.push(format!("{}=to_binary({},'base64')", quote(&field.name), quote(&name)));
        }
        items.push(quote(&name));
    }
    items.extend(decoded);
    items.extend(settings.derived.iter().cloned());
    Ok(items.join(","))
}

/// A column that an expression names is read as VARCHAR (SR §2.3). Every other type survives that, as it travels as text
/// anyway; binary values would silently become their base64.
fn check_not_derived_from(field: &FieldBinding, derived: &[String]) -> Result<(), Error> {
    let wanted = field.name.to_lowercase();
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let named = derived.iter().any(|item| {
        let expression = item.split_once('=').map_or(item.as_str(), |(_, expression)| expression).to_lowercase();
        expression.match_indices(&wanted).any(|(start, found)| {
            let before = expression[..start].chars().next_back();
            let after = expression[start + found.len()..].chars().next();
            !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
        })
    });
    if named {
        return Err(Error::ColumnUnsupported {
            column: field.name.clone(),
            reason: "an expression cannot use a VARBINARY column of the input".to_owned(),
        });
    }
    Ok(())
}

pub(super) fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn check_size(headers: &HeaderMap) -> Result<(), Error> {
    // Each line has a colon, a space and a line end besides name and value.
    let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>();
    let bytes = bytes + HEADER_BYTES_ADDED;
    if bytes > HEADER_BYTES_MAX {
        return Err(Error::HeadersTooLong { bytes, max: HEADER_BYTES_MAX });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::model::{Origin, Origins};

    fn chunk(format: WireFormat, codec: Codec) -> Chunk {
        let origin = Origin { line: 1, byte: 0 };
        let body = vec![Bytes::from_static(b"1,2\n")];
        Chunk {
            body,
            body_bytes: 4,
            text_bytes: 4,
            rows: 1,
            digest: 0,
            format,
            codec,
            input: 0,
            from: origin,
            to: origin,
            origins: Origins::default(),
        }
    }

    fn field(name: &str, ty: ColumnType) -> FieldBinding {
        FieldBinding { name: name.into(), ty }
    }

    fn made(chunk: &Chunk, settings: &LoadSettings) -> Result<HeaderMap, Error> {
        let authorization = HeaderValue::from_static("Basic eA==");
        let fixed = Fixed { authorization: &authorization, timeout_seconds: 600, timezone: "UTC" };
        headers(&"job-1".parse().unwrap(), chunk, settings, &fixed)
    }

    fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
        headers.get(name).map_or("", |value| std::str::from_utf8(value.as_bytes()).unwrap())
    }

    #[test]
    fn a_csv_load_says_how_it_is_to_be_read() {
        let settings = LoadSettings {
            fields: vec![
                field("id", ColumnType::Int),
                field("größe", ColumnType::Varbinary(9)),
                field("a`b", ColumnType::Int),
            ],
            derived: vec!["day=date(id)".into()],
            filter: Some("id > 3".into()),
            headers: vec![("partial_update".into(), "true".into())],
        };
        let headers = made(&chunk(WireFormat::Csv, Codec::None), &settings).unwrap();
        for (name, value) in [
            ("authorization", "Basic eA=="),
            ("expect", "100-continue"),
            ("label", "job-1"),
            ("format", "csv"),
            ("column_separator", ","),
            ("row_delimiter", "\\x0A"),
            ("enclose", "\""),
            ("escape", "\\"),
            ("columns", "`id`,`größe`,`a``b`,day=date(id)"),
            ("where", "id > 3"),
            ("strict_mode", "true"),
            ("max_filter_ratio", "0"),
            ("timeout", "600"),
            ("timezone", "UTC"),
            ("partial_update", "true"),
            ("compression", ""),
        ] {
            assert_eq!(text(&headers, name), value, "{name}");
        }
    }

    #[test]
    fn compressed_csv_is_a_format_and_compressed_json_a_header() {
        for (format, codec, said, compression) in [
            (WireFormat::Csv, Codec::Lz4, "lz4", ""),
            (WireFormat::Csv, Codec::Zstd, "zstd", ""),
            (WireFormat::Csv, Codec::Gzip, "gzip", ""),
            (WireFormat::Json, Codec::None, "json", ""),
            (WireFormat::Json, Codec::Lz4, "json", "lz4_frame"),
            (WireFormat::Json, Codec::Zstd, "json", "zstd"),
            (WireFormat::Json, Codec::Gzip, "json", "gzip"),
        ] {
            let headers = made(&chunk(format, codec), &LoadSettings::default()).unwrap();
            assert_eq!((text(&headers, "format"), text(&headers, "compression")), (said, compression));
            assert_eq!(headers.contains_key("enclose"), format == WireFormat::Csv);
            assert_eq!(text(&headers, "ignore_json_size") == "true", format == WireFormat::Json);
        }
    }

    #[test]
    fn binary_values_travel_in_json_under_a_name_of_their_own() {
        let binary = field("v", ColumnType::Varbinary(10));
        assert_eq!(wire_name(&binary, WireFormat::Json), "__shipload_v");
        assert_eq!(wire_name(&binary, WireFormat::Csv), "v");
        let settings = LoadSettings { fields: vec![field("a", ColumnType::Int), binary], ..LoadSettings::default() };
        let headers = made(&chunk(WireFormat::Json, Codec::None), &settings).unwrap();
        assert_eq!(text(&headers, "columns"), "`a`,`__shipload_v`,`v`=to_binary(`__shipload_v`,'base64')");
    }

    #[test]
    fn an_expression_cannot_use_a_binary_column_of_the_input() {
        for (derived, fine) in [("n=length(V)", false), ("n=length(`v`)", false), ("v2=upper(vv)", true), ("v=1", true)]
        {
            let settings = LoadSettings {
                fields: vec![field("v", ColumnType::Varbinary(10))],
                derived: vec![derived.into()],
                ..LoadSettings::default()
            };
            assert_eq!(made(&chunk(WireFormat::Csv, Codec::None), &settings).is_ok(), fine, "{derived}");
        }
    }

    #[test]
    fn headers_that_a_server_would_not_read_are_refused_before_they_are_sent() {
        let wide = (0..3000).map(|index| field(&format!("column_{index}"), ColumnType::Int)).collect();
        let settings = LoadSettings { fields: wide, ..LoadSettings::default() };
        let error = made(&chunk(WireFormat::Csv, Codec::None), &settings).unwrap_err();
        assert!(matches!(error, Error::HeadersTooLong { bytes, .. } if bytes > HEADER_BYTES_MAX), "{error}");
        let narrow = (0..2000).map(|index| field(&format!("column_{index}"), ColumnType::Int)).collect();
        let settings = LoadSettings { fields: narrow, ..LoadSettings::default() };
        assert!(made(&chunk(WireFormat::Csv, Codec::None), &settings).is_ok());
    }

    #[test]
    fn a_line_break_cannot_end_a_header() {
        let settings = LoadSettings { filter: Some("a > 1\r\nlabel: x".into()), ..LoadSettings::default() };
        assert!(matches!(made(&chunk(WireFormat::Csv, Codec::None), &settings), Err(Error::Refused { .. })));
    }
}
