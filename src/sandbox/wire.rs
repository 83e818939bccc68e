//! The headers of a Stream Load, read and checked: what a request asks for.
//!
//! The sandbox's own reading of the protocol; nothing here is shared with the loader that it is to be tested against.
//! A header that the protocol does not know is passed over, as on the server. What the sandbox cannot do (merge
//! commit, envelopes) is refused rather than ignored.

use std::time::Duration;

use hyper::header::{CONTENT_LENGTH, HeaderMap};

use super::columns::{self, Mapping};
use super::csv::Dialect;
use super::decompress::Codec;
use super::json::Layout;
use super::json_path::Path;
use super::zone::Zone;

/// How long a load may take when it does not say.
const TIMEOUT_DEFAULT: Duration = Duration::from_mins(10);
const TIMEOUT_SECONDS_MAX: u64 = 259_200;
const SEPARATOR_BYTES_MAX: usize = 50;

/// What a server allows a load that does not say, and to all loads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How long a load may take when it does not say.
    pub(super) timeout: Duration,
    pub(super) body_bytes_max: u64,
    pub(super) json_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let megabyte = 1024 * 1024;
        Self { timeout: TIMEOUT_DEFAULT, body_bytes_max: 102_400 * megabyte, json_bytes_max: 100 * megabyte }
    }
}

/// A load, as its headers describe it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LoadRequest {
    /// The client's label; without one the server makes one up.
    pub(super) label: Option<String>,
    pub(super) format: Format,
    /// How the body is compressed.
    pub(super) codec: Option<Codec>,
    /// What the fields of a row are; none means the table's columns in their order.
    pub(super) columns: Option<Vec<Mapping>>,
    /// Which rows are wanted, in StarRocks' SQL.
    pub(super) predicate: Option<String>,
    pub(super) max_filter_ratio: f64,
    pub(super) strict: bool,
    /// Whether columns that `columns` does not name keep what they hold.
    pub(super) partial: bool,
    /// The column that decides whether a row takes the place of the one with its key.
    pub(super) merge_condition: Option<String>,
    /// Whether sums lose the values instead of gaining them.
    pub(super) negative: bool,
    /// The partitions that rows may go to.
    pub(super) partitions: Option<Partitions>,
    /// Where the clock hangs that expressions see.
    pub(super) zone: Zone,
    pub(super) timeout: Duration,
    /// The announced length of the body; none when it comes in pieces.
    pub(super) content_length: Option<u64>,
}

/// A list of partitions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Partitions {
    pub(super) names: Vec<String>,
    pub(super) temporary: bool,
}

/// The body's format.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Format {
    Csv(Dialect),
    Json(Layout),
}

impl LoadRequest {
    /// Reads the headers. The error is the message of the reply.
    pub(super) fn parse(headers: &HeaderMap, limits: &Limits) -> Result<Self, String> {
        let headers = Headers(headers);
        let content_length = headers.number(CONTENT_LENGTH.as_str())?;
        headers.refuse_what_is_not_offered()?;
        let (format, codec) = headers.format()?;
        check_sizes(content_length.unwrap_or(0), &format, headers.0, limits)?;
        Ok(Self {
            label: headers.text("label")?.map(str::to_owned),
            format,
            codec,
            columns: headers.text("columns")?.map(columns::parse).transpose()?,
            predicate: headers.text("where")?.map(str::to_owned),
            max_filter_ratio: headers.ratio("max_filter_ratio")?,
            strict: headers.boolean("strict_mode")?,
            // The modes of a partial update differ in how the server goes about it, not in what comes of it.
            partial: headers.boolean("partial_update")?,
            merge_condition: headers.text("merge_condition")?.map(str::to_owned),
            negative: headers.flag("negative")?,
            partitions: headers.partitions()?,
            zone: headers.zone()?,
            timeout: seconds(headers.0, "timeout")?.unwrap_or(limits.timeout),
            content_length,
        })
    }

    /// Whether another body may follow one that was sent with this: `label`, `timeout` and `max_filter_ratio` may differ,
    /// and the length has to.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let plain = |request: &Self| Self {
            label: None,
            max_filter_ratio: 0.0,
            timeout: TIMEOUT_DEFAULT,
            content_length: None,
            ..request.clone()
        };
        plain(self) == plain(other)
    }
}

/// A header's text, for those that every request may have.
pub(super) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Headers(headers).text(name).ok().flatten().map(str::to_owned)
}

/// A header that counts seconds, 1 to three days. The error is the message of the reply.
pub(super) fn seconds(headers: &HeaderMap, name: &str) -> Result<Option<Duration>, String> {
    let number = Headers(headers).number(name).map_err(|_| format!("Invalid {name} format"))?;
    match number {
        None => Ok(None),
        Some(seconds @ 1..=TIMEOUT_SECONDS_MAX) => Ok(Some(Duration::from_secs(seconds))),
        Some(seconds) => {
            Err(format!("Invalid {name}: {seconds}. Timeout should between 1 and {TIMEOUT_SECONDS_MAX} seconds"))
        }
    }
}

/// A header that counts milliseconds; what is none counts as not given.
pub(super) fn millis(headers: &HeaderMap, name: &str) -> Option<Duration> {
    Headers(headers).number(name).ok().flatten().map(Duration::from_millis)
}

/// A header that is `true` or something else.
pub(super) fn flag(headers: &HeaderMap, name: &str) -> bool {
    text(headers, name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

/// Checks what the bodies of a load announce together. The error is the message of the reply.
pub(super) fn check_sizes(announced: u64, format: &Format, headers: &HeaderMap, limits: &Limits) -> Result<(), String> {
    let (body_max, json_max) = (limits.body_bytes_max, limits.json_bytes_max);
    if announced > body_max {
        return Err(format!("body size {announced} exceed limit: {body_max}, streaming_load_max_mb"));
    }
    if matches!(format, Format::Json(_)) && announced > json_max && !flag(headers, "ignore_json_size") {
        return Err(format!(
            "The size of this batch exceed the max size [{json_max}] of json type data [{announced}]. Set \
             ignore_json_size to skip the check"
        ));
    }
    Ok(())
}

/// Typed access to headers.
struct Headers<'a>(&'a HeaderMap);

impl Headers<'_> {
    /// A header's text; an empty one counts as not given.
    fn text(&self, name: &str) -> Result<Option<&str>, String> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let text =
            std::str::from_utf8(value.as_bytes()).map_err(|_| format!("Invalid {name} format. Must be UTF-8"))?;
        Ok(Some(text.trim()).filter(|text| !text.is_empty()))
    }

    fn number(&self, name: &str) -> Result<Option<u64>, String> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| format!("Invalid {name} format. Must be a number: {text}"))
    }

    /// A boolean of the careful kind.
    fn boolean(&self, name: &str) -> Result<bool, String> {
        match self.text(name)? {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) => Err(format!("Invalid {name} format. Must be bool type: {text}")),
        }
    }

    /// A boolean of the careless kind: what is not `true` is false.
    fn flag(&self, name: &str) -> Result<bool, String> {
        Ok(self.text(name)?.is_some_and(|text| text.eq_ignore_ascii_case("true")))
    }

    fn ratio(&self, name: &str) -> Result<f64, String> {
        let Some(text) = self.text(name)? else { return Ok(0.0) };
        let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.ok_or_else(|| format!("Invalid {name} format. Must be a number from 0 to 1: {text}"))
    }

    fn format(&self) -> Result<(Format, Option<Codec>), String> {
        let named = self.compression()?;
        let name = self.text("format")?.unwrap_or("csv").to_ascii_lowercase();
        if name == "json" {
            return Ok((Format::Json(self.layout()?), named));
        }
        // With CSV the compression headers are read, checked, and then forgotten: only the format's name counts.
        let codec = match name.as_str() {
            "csv" => None,
            "gzip" => Some(Codec::Gzip),
            "bzip2" => Some(Codec::Bzip2),
            "lz4" => Some(Codec::Lz4Frame),
            "deflate" => Some(Codec::Deflate),
            "zstd" => Some(Codec::Zstd),
            _ => return Err(format!("unknown data format, format={}", self.text("format")?.unwrap_or_default())),
        };
        Ok((Format::Csv(self.dialect()?), codec))
    }

    fn compression(&self) -> Result<Option<Codec>, String> {
        let (encoding, compression) = (self.text("content-encoding")?, self.text("compression")?);
        if encoding.is_some() && compression.is_some() {
            return Err("Only one of http header content-encoding and compression can be set".to_owned());
        }
        let Some(name) = encoding.or(compression) else { return Ok(None) };
        match name.to_ascii_uppercase().as_str() {
            "GZIP" => Ok(Some(Codec::Gzip)),
            "BZIP2" => Ok(Some(Codec::Bzip2)),
            "LZ4_FRAME" => Ok(Some(Codec::Lz4Frame)),
            "ZSTD" => Ok(Some(Codec::Zstd)),
            "DEFLATE" => Ok(Some(Codec::Deflate)),
            _ => Err(format!("Unsupported compression type: {name}")),
        }
    }

    fn layout(&self) -> Result<Layout, String> {
        let path = |text: &str| Path::parse(text).ok_or_else(|| format!("Invalid json path: {text}"));
        let paths = match self.text("jsonpaths")? {
            None => None,
            Some(text) => {
                let texts: Vec<String> =
                    serde_json::from_str(text).map_err(|_| format!("Invalid json paths: {text}"))?;
                Some(texts.iter().map(|text| path(text)).collect::<Result<_, _>>()?)
            }
        };
        let strip_outer_array = self.flag("strip_outer_array")?;
        Ok(Layout { strip_outer_array, root: self.text("json_root")?.map(path).transpose()?, paths })
    }

    fn dialect(&self) -> Result<Dialect, String> {
        let byte = |name| Ok::<_, String>(self.text(name)?.map_or(0, |text| text.as_bytes()[0]));
        let skip_header = self.text("skip_header")?.unwrap_or("0");
        Ok(Dialect {
            separator: self.separator("column_separator", "\t")?,
            delimiter: self.separator("row_delimiter", "\n")?,
            enclose: byte("enclose")?,
            escape: byte("escape")?,
            trim_space: self.boolean("trim_space")?,
            skip_header: skip_header
                .parse()
                .map_err(|_| "Invalid csv skip_header format. Must be a non-negative number".to_owned())?,
            tail_damage: false,
        })
    }

    fn separator(&self, name: &str, default: &str) -> Result<Vec<u8>, String> {
        let bytes = unescape(self.text(name)?.unwrap_or(default)).ok_or_else(|| format!("Invalid {name}: bad hex"))?;
        if bytes.is_empty() || bytes.len() > SEPARATOR_BYTES_MAX {
            return Err(format!("Invalid {name}: must be 1 to {SEPARATOR_BYTES_MAX} bytes"));
        }
        Ok(bytes)
    }

    /// The zone of expressions, Shanghai's by default. The words of the refusal are the sandbox's own.
    fn zone(&self) -> Result<Zone, String> {
        let Some(text) = self.text("timezone")? else { return Ok(Zone::SHANGHAI) };
        Zone::parse(text).ok_or_else(|| {
            format!(
                "Unknown or incorrect time zone: '{text}'. The sandbox takes offsets such as +08:00, and the names of \
                 zones without summer time"
            )
        })
    }

    fn partitions(&self) -> Result<Option<Partitions>, String> {
        let (lasting, temporary) = (self.text("partitions")?, self.text("temporary_partitions")?);
        if lasting.is_some() && temporary.is_some() {
            return Err("Can't specify both partitions and temporary partitions".to_owned());
        }
        let names = lasting.or(temporary).map(|text| text.split(',').map(|name| name.trim().to_owned()).collect());
        Ok(names.map(|names| Partitions { names, temporary: temporary.is_some() }))
    }

    fn refuse_what_is_not_offered(&self) -> Result<(), String> {
        match self.text("envelope")? {
            Some(name) if !name.eq_ignore_ascii_case("none") => {
                Err(format!("the sandbox does not support the envelope {name}"))
            }
            _ => Ok(()),
        }
    }
}

/// Takes the escapes out of a separator: a text that begins with `\x` or `0x` is the hex of bytes, each of which
/// becomes a character of its own, as on the server; elsewhere `\t` and `\n` are meant.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let hex = ["\\x", "\\X", "0x", "0X"].iter().find_map(|prefix| text.strip_prefix(prefix));
    let Some(hex) = hex else {
        return Some(text.replace("\\t", "\t").replace("\\n", "\n").into_bytes());
    };
    if hex.is_empty() || hex.len() % 2 != 0 || !hex.is_ascii() {
        return None;
    }
    let pairs = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
    let text: String = pairs.map(|byte| byte.map(char::from)).collect::<Result<_, _>>().ok()?;
    Some(text.into_bytes())
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
