//! The functions whose types do not depend on their arguments.

use crate::sandbox::types::SqlType;

/// What an argument is cast to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Parameter {
    Text,
    Integer,
    Double,
    Moment,
    /// A JSON document, or a text with one in it.
    Document,
    /// A text or bytes, as they are.
    Bytes,
}

/// The type of a result.
#[derive(Debug)]
pub(super) enum Returns {
    Text,
    Is(SqlType),
}

/// A function: its names in StarRocks, its name in SQLite, what it takes and gives.
#[derive(Debug)]
pub(super) struct Signature {
    pub names: &'static [&'static str],
    pub sql: &'static str,
    pub parameters: &'static [Parameter],
    /// Values for trailing arguments that may be left out, or that the caller cannot give at all.
    pub further: &'static [&'static str],
    /// How many of `parameters` may be left out; `usize::MAX` for a last parameter that may be repeated.
    pub optional: usize,
    pub returns: Returns,
}

impl Signature {
    /// The number of arguments that must be given.
    pub(super) fn required(&self) -> usize {
        if self.is_variadic() { self.parameters.len() } else { self.parameters.len() - self.optional }
    }

    fn is_variadic(&self) -> bool {
        self.optional == usize::MAX
    }

    pub(super) fn takes(&self, count: usize) -> bool {
        count >= self.required() && (self.is_variadic() || count <= self.parameters.len())
    }
}

use Parameter::{Bytes, Document, Double, Integer, Moment, Text};

const INT: Returns = Returns::Is(SqlType::Int);
const BIGINT: Returns = Returns::Is(SqlType::BigInt);
const DOUBLE: Returns = Returns::Is(SqlType::Double);
const BOOLEAN: Returns = Returns::Is(SqlType::Boolean);
const DATE: Returns = Returns::Is(SqlType::Date);
const DATETIME: Returns = Returns::Is(SqlType::DateTime);
const JSON: Returns = Returns::Is(SqlType::Json);
const BINARY: Returns = Returns::Is(SqlType::Varbinary(crate::sandbox::types::VARCHAR_BYTES_MAX));

/// A function that takes exactly its parameters.
const fn exactly(
    names: &'static [&'static str],
    sql: &'static str,
    parameters: &'static [Parameter],
    returns: Returns,
) -> Signature {
    Signature { names, sql, parameters, further: &[], optional: 0, returns }
}

/// A function whose last parameters may be left out.
const fn defaulted(
    names: &'static [&'static str],
    sql: &'static str,
    parameters: &'static [Parameter],
    optional: usize,
    further: &'static [&'static str],
    returns: Returns,
) -> Signature {
    Signature { names, sql, parameters, further, optional, returns }
}

/// A part of a date: the function of that name.
const fn part(names: &'static [&'static str], field: &'static [&'static str], returns: Returns) -> Signature {
    Signature { names, sql: "sr_date_part", parameters: &[Moment], further: field, optional: 0, returns }
}

const ANY_NUMBER: usize = usize::MAX;

pub(super) static SIMPLE: &[Signature] = &[
    exactly(&["length"], "sr_length", &[Bytes], INT),
    exactly(&["char_length", "character_length"], "sr_char_length", &[Text], INT),
    exactly(&["upper", "ucase"], "sr_upper", &[Text], Returns::Text),
    exactly(&["lower", "lcase"], "sr_lower", &[Text], Returns::Text),
    defaulted(&["trim"], "sr_trim", &[Text, Text], 1, &["' '"], Returns::Text),
    defaulted(&["ltrim"], "sr_ltrim", &[Text, Text], 1, &["' '"], Returns::Text),
    defaulted(&["rtrim"], "sr_rtrim", &[Text, Text], 1, &["' '"], Returns::Text),
    exactly(&["replace"], "sr_replace", &[Text, Text, Text], Returns::Text),
    defaulted(&["substring", "substr", "mid"], "sr_substring", &[Text, Integer, Integer], 1, &[], Returns::Text),
    exactly(&["left", "strleft"], "sr_left", &[Text, Integer], Returns::Text),
    exactly(&["right", "strright"], "sr_right", &[Text, Integer], Returns::Text),
    defaulted(&["concat"], "sr_concat", &[Text], ANY_NUMBER, &[], Returns::Text),
    defaulted(&["concat_ws"], "sr_concat_ws", &[Text, Text], ANY_NUMBER, &[], Returns::Text),
    exactly(&["reverse"], "sr_reverse", &[Text], Returns::Text),
    exactly(&["repeat"], "sr_repeat", &[Text, Integer], Returns::Text),
    defaulted(&["lpad"], "sr_lpad", &[Text, Integer, Text], 1, &["' '"], Returns::Text),
    defaulted(&["rpad"], "sr_rpad", &[Text, Integer, Text], 1, &["' '"], Returns::Text),
    exactly(&["instr"], "sr_instr", &[Text, Text], INT),
    defaulted(&["locate"], "sr_locate", &[Text, Text, Integer], 1, &[], INT),
    exactly(&["starts_with"], "sr_starts_with", &[Text, Text], BOOLEAN),
    exactly(&["ends_with"], "sr_ends_with", &[Text, Text], BOOLEAN),
    exactly(&["split_part"], "sr_split_part", &[Text, Text, Integer], Returns::Text),
    exactly(&["ascii"], "sr_ascii", &[Text], INT),
    exactly(&["char"], "sr_char", &[Integer], Returns::Text),
    exactly(&["hex"], "sr_hex", &[Bytes], Returns::Text),
    exactly(&["unhex"], "sr_unhex", &[Text], Returns::Text),
    exactly(&["to_base64", "base64_encode"], "sr_to_base64", &[Bytes], Returns::Text),
    exactly(&["from_base64"], "sr_from_base64", &[Text], Returns::Text),
    defaulted(&["to_binary"], "sr_to_binary", &[Text, Text], 1, &["'hex'"], BINARY),
    defaulted(&["from_binary"], "sr_from_binary", &[Bytes, Text], 1, &["'hex'"], Returns::Text),
    exactly(&["md5"], "sr_md5", &[Bytes], Returns::Text),
    exactly(&["sha2"], "sr_sha2", &[Bytes, Integer], Returns::Text),
    exactly(&["crc32"], "sr_crc32", &[Bytes], BIGINT),
    defaulted(&["murmur_hash3_32"], "sr_murmur_hash3_32", &[Text], ANY_NUMBER, &[], INT),
    exactly(&["uuid"], "sr_uuid", &[], Returns::Text),
    exactly(&["ceil", "ceiling", "dceil"], "sr_ceil", &[Double], BIGINT),
    exactly(&["floor", "dfloor"], "sr_floor", &[Double], BIGINT),
    exactly(&["round", "dround"], "sr_round", &[Double, Integer], DOUBLE),
    exactly(&["truncate"], "sr_truncate", &[Double, Integer], DOUBLE),
    exactly(&["power", "pow", "dpow", "fpow"], "sr_power", &[Double, Double], DOUBLE),
    exactly(&["sqrt", "dsqrt"], "sr_sqrt", &[Double], DOUBLE),
    exactly(&["exp", "dexp"], "sr_exp", &[Double], DOUBLE),
    exactly(&["ln", "dlog1", "log"], "sr_ln", &[Double], DOUBLE),
    exactly(&["log2"], "sr_log2", &[Double], DOUBLE),
    exactly(&["log10", "dlog10"], "sr_log10", &[Double], DOUBLE),
    exactly(&["log"], "sr_log", &[Double, Double], DOUBLE),
    exactly(&["sin"], "sr_sin", &[Double], DOUBLE),
    exactly(&["cos"], "sr_cos", &[Double], DOUBLE),
    exactly(&["tan"], "sr_tan", &[Double], DOUBLE),
    exactly(&["asin"], "sr_asin", &[Double], DOUBLE),
    exactly(&["acos"], "sr_acos", &[Double], DOUBLE),
    exactly(&["atan"], "sr_atan", &[Double], DOUBLE),
    exactly(&["atan2"], "sr_atan2", &[Double, Double], DOUBLE),
    exactly(&["radians"], "sr_radians", &[Double], DOUBLE),
    exactly(&["degrees"], "sr_degrees", &[Double], DOUBLE),
    part(&["year"], &["'year'"], INT),
    part(&["quarter"], &["'quarter'"], INT),
    part(&["month"], &["'month'"], INT),
    part(&["day", "dayofmonth"], &["'day'"], INT),
    part(&["hour"], &["'hour'"], INT),
    part(&["minute"], &["'minute'"], INT),
    part(&["second"], &["'second'"], INT),
    part(&["microsecond"], &["'microsecond'"], INT),
    part(&["dayofweek"], &["'dayofweek'"], INT),
    part(&["weekday"], &["'weekday'"], INT),
    part(&["dayofyear"], &["'dayofyear'"], INT),
    part(&["week"], &["'week'"], INT),
    part(&["weekofyear", "week_iso"], &["'weekofyear'"], INT),
    part(&["to_days"], &["'to_days'"], INT),
    part(&["dayname"], &["'dayname'"], Returns::Text),
    part(&["monthname"], &["'monthname'"], Returns::Text),
    exactly(&["date_format"], "sr_date_format", &[Moment, Text], Returns::Text),
    exactly(&["str_to_date"], "sr_str_to_date", &[Text, Text], DATETIME),
    exactly(&["str2date"], "sr_to_date", &[Text], DATE),
    exactly(&["to_date", "date"], "sr_to_date", &[Moment], DATE),
    exactly(&["timestamp"], "sr_to_datetime", &[Moment], DATETIME),
    exactly(&["datediff"], "sr_date_diff", &[Moment, Moment], INT),
    exactly(&["last_day"], "sr_last_day", &[Moment], DATE),
    exactly(&["makedate"], "sr_make_date", &[Integer, Integer], DATE),
    exactly(&["parse_json"], "sr_parse_json", &[Text], JSON),
    exactly(&["json_query"], "sr_json_get", &[Document, Text], JSON),
    exactly(&["get_json_string", "get_json_object"], "sr_json_get_text", &[Document, Text], Returns::Text),
    exactly(&["get_json_int"], "sr_json_get_int", &[Document, Text], BIGINT),
    exactly(&["get_json_double"], "sr_json_get_double", &[Document, Text], DOUBLE),
    exactly(&["get_json_bool"], "sr_json_get_int", &[Document, Text], BOOLEAN),
    exactly(&["json_exists"], "sr_json_exists", &[Document, Text], BOOLEAN),
    exactly(&["json_length"], "sr_json_length", &[Document], INT),
    exactly(&["json_string"], "sr_concat", &[Document], Returns::Text),
    exactly(&["array_join"], "sr_array_join", &[Document, Text], Returns::Text),
];
