//! [`Format`] and [`Compression`]: what an input is, told from its first bytes, its name and the user's word.
//!
//! Bytes that can mean one thing only come first, then the name, then a look at the text. What the user says wins over
//! the name and over the look, but not over bytes that say otherwise: a Parquet file is no CSV, whatever it is called.
//! Where name and bytes contradict each other, nobody can tell which is the mistake, and the error states both.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::Error;
use crate::near;

/// How the records of an input are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Delimited text.
    Csv,
    /// Delimited text with tabs.
    Tsv,
    /// JSON objects one after the other, usually one per line.
    NdJson,
    /// One JSON array of objects.
    JsonArray,
    /// Apache Parquet.
    Parquet,
    /// The Arrow IPC file format, also known as Feather 2.
    ArrowFile,
    /// The Arrow IPC stream format.
    ArrowStream,
}

/// How the bytes of an input are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Gzip members.
    Gzip,
    /// Zstandard frames.
    Zstd,
    /// LZ4 frames.
    Lz4,
    /// Bzip2 streams.
    Bzip2,
    /// Xz streams.
    Xz,
}

/// A word that names no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no format{}: csv, tsv, ndjson, json, parquet and arrow are", meant(*near))]
pub struct InvalidFormat {
    word: String,
    near: Option<&'static str>,
}

fn meant(near: Option<&'static str>) -> String {
    near.map_or_else(String::new, |near| format!(" (did you mean {near}?)"))
}

/// The formats, and the endings that say each.
const ENDINGS: [(Format, &[&str]); 7] = [
    (Format::Csv, &["csv"]),
    (Format::Tsv, &["tsv", "tab"]),
    (Format::NdJson, &["ndjson", "jsonl", "ldjson"]),
    (Format::JsonArray, &["json"]),
    (Format::Parquet, &["parquet", "parq", "pq"]),
    (Format::ArrowFile, &["arrow", "feather", "ipc"]),
    (Format::ArrowStream, &["arrows"]),
];

impl Format {
    /// Its name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Tsv => "TSV",
            Self::NdJson => "NDJSON",
            Self::JsonArray => "JSON",
            Self::Parquet => "Parquet",
            Self::ArrowFile => "Arrow file",
            Self::ArrowStream => "Arrow stream",
        }
    }

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::NdJson => "ndjson",
            Self::JsonArray => "json",
            Self::Parquet => "parquet",
            Self::ArrowFile => "arrow",
            Self::ArrowStream => "arrow-stream",
        }
    }

    /// Whether its records are text.
    #[must_use]
    pub fn is_text(self) -> bool {
        matches!(self, Self::Csv | Self::Tsv | Self::NdJson | Self::JsonArray)
    }

    /// Whether fields are found by key.
    #[must_use]
    pub fn is_json(self) -> bool {
        matches!(self, Self::NdJson | Self::JsonArray)
    }

    fn is_arrow(self) -> bool {
        matches!(self, Self::ArrowFile | Self::ArrowStream)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = InvalidFormat;

    /// Reads a word of `--format`. `json` means an array or a sequence of objects and `arrow` a file or a stream, as the
    /// bytes have it: see [`detect`].
    fn from_str(word: &str) -> Result<Self, InvalidFormat> {
        let lower = word.trim().to_ascii_lowercase();
        let found = ENDINGS.iter().find(|row| row.0.name() == lower || row.1.contains(&lower.as_str()));
        found.map(|row| row.0).ok_or_else(|| InvalidFormat {
            word: word.to_owned(),
            near: near::names(&lower, ENDINGS.map(|row| row.0.name())).first().copied(),
        })
    }
}

impl Compression {
    /// All of them, and the endings that say each.
    const ENDINGS: [(Self, &[&str]); 5] = [
        (Self::Gzip, &["gz", "gzip"]),
        (Self::Zstd, &["zst", "zstd"]),
        (Self::Lz4, &["lz4"]),
        (Self::Bzip2, &["bz2", "bzip2"]),
        (Self::Xz, &["xz"]),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
        }
    }

    /// Tells the compression from the first bytes of an input as it is stored, and from its name.
    ///
    /// # Errors
    /// When the name says that it is compressed and the bytes do not.
    pub fn detect(path: &Path, stored: &[u8]) -> Result<Option<Self>, Error> {
        let found = Self::of_bytes(stored);
        let (named, _) = endings(path);
        match named {
            Some(named) if found != Some(named) && !stored.is_empty() => {
                let found = found.map_or("no compression that is known", Self::name);
                Err(unknown(path, format!("its name says {}, its first bytes say {found}", named.name()), RENAME))
            }
            _ => Ok(found),
        }
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x1f, 0x8b, 0x08, ..] => Some(Self::Gzip),
            // The second is a skippable frame, with which parallel compressors begin.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Self::Lz4),
            // `BZh1` alone could begin a text; the first block's mark, or the end's in an empty stream, could not.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => Some(Self::Bzip2),
            [0xfd, b'7', b'z', b'X', b'Z', 0x00, ..] => Some(Self::Xz),
            _ => None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How much of the head is looked at. More tells nothing new.
const LOOK_BYTES: usize = 64 << 10;

/// The format that the name of an input says, whatever its compression.
#[must_use]
pub fn named(path: &Path) -> Option<Format> {
    endings(path).1
}

/// Tells the format from the first bytes of an input after decompression, its name, and the format that a user named.
///
/// # Errors
/// When there is nothing in it, nothing tells what it is, or what tells it is contradicted by its bytes.
pub fn detect(path: &Path, head: &[u8], user: Option<Format>) -> Result<Format, Error> {
    let head = &head[..head.len().min(LOOK_BYTES)];
    if head.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::Empty { path: path.to_owned() });
    }
    let (_, named) = endings(path);
    let found = of_magic(head);
    let Some(claim) = user.or(named) else {
        return match (found, stranger(head, false), text_start(head)) {
            (Some(found), ..) => Ok(found),
            (None, Some(look), _) => Err(starts_like(path, &look)),
            (None, None, b'{') => Ok(Format::NdJson),
            (None, None, b'[') => Ok(Format::JsonArray),
            (None, None, _) => Ok(Format::Csv),
        };
    };
    let contradiction = |what: &str, advice| {
        let who = if user.is_some() { "the user says" } else { "its name says" };
        Err(unknown(path, format!("{who} {}, its first bytes say {what}", claim.title()), advice))
    };
    let no_such = |look: Look| contradiction(&look.words, look.advice);
    match found {
        Some(found) if found == claim || (found.is_arrow() && claim.is_arrow()) => return Ok(found),
        Some(found) => return contradiction(found.title(), SAY_FORMAT),
        None if !claim.is_text() => return no_such(look(head, false)),
        None => {}
    }
    if user.is_none()
        && let Some(look) = stranger(head, true)
    {
        return Err(starts_like(path, &look));
    }
    match (claim, text_start(head)) {
        (Format::Csv | Format::Tsv, _) => Ok(claim),
        // One word for both kinds of JSON, and names are not to be relied on for it: the bytes tell which.
        (_, b'{') => Ok(Format::NdJson),
        (_, b'[') if claim == Format::JsonArray || user.is_none() => Ok(Format::JsonArray),
        (_, _) if user.is_none() => no_such(look(head, false)),
        // The user's word stands: the reader will name the place where it is wrong.
        (_, _) => Ok(Format::NdJson),
    }
}

/// The format that says itself.
fn of_magic(head: &[u8]) -> Option<Format> {
    match head {
        // A text may begin with these letters, but goes on as text.
        [b'P', b'A', b'R', b'1', ..] if looks_binary(head) => Some(Format::Parquet),
        [b'A', b'R', b'R', b'O', b'W', b'1', 0, 0, ..] => Some(Format::ArrowFile),
        // The mark of a message, and the length of the schema that must be the first of them.
        [0xff, 0xff, 0xff, 0xff, _, _, low, high, ..] if *high == 0 && *low < 0x80 => Some(Format::ArrowStream),
        _ => None,
    }
}

/// What people hold out to a loader and it does not read: the first bytes, the name, and what to do instead.
const STRANGERS: [(&[u8], &str, &str); 11] = [
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet", "unpack it, or export the spreadsheet as CSV"),
    (b"ORC", "an ORC file", TO_PARQUET),
    (b"Obj\x01", "an Avro file", TO_PARQUET),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
    (b"%PDF", "a PDF document", "ask for the data themselves, as CSV"),
    (b"\xff\xfe\0\0", "UTF-32 text", "convert it: `iconv -f UTF-32 -t UTF-8 FILE | shipload import - …`"),
    (b"\xff\xfe", UTF_16.0, UTF_16.1),
    (b"\xfe\xff", UTF_16.0, UTF_16.1),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet", "export it as CSV"),
    (b"PARE", "an encrypted Parquet file", "decrypt it first"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it"),
];

const TO_PARQUET: &str = "convert it to Parquet";

const UTF_16: (&str, &str) = ("UTF-16 text", "convert it: `iconv -f UTF-16 -t UTF-8 FILE | shipload import - …`");

/// How pages of the web begin, which servers send in place of files that they do not give out.
const PAGES: [&[u8]; 3] = [b"<!doctype", b"<html", b"<?xml"];

const RENAME: &str = "rename the file to what it is: its ending tells how it is compressed";

const SAY_FORMAT: &str = "name the format with `--format csv|json|parquet|arrow`";

/// Says what bytes look like that no reader takes; none when they are text.
///
/// A few NULs in a file that is called a text are a matter of their rows. In one whose name says nothing they decide.
fn stranger(head: &[u8], named: bool) -> Option<Look> {
    let nuls = memchr::memchr_iter(0, head).count();
    let invalid: usize = head.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    let nuls_max = if named { (head.len() / 100).max(1) } else { 0 };
    // Text in an old 8-bit encoding has few such bytes and fails row by row, with places; noise has half.
    let is_binary = nuls > nuls_max || invalid > head.len() / 3;
    let start = head.trim_ascii_start();
    let begins = |page: &&[u8]| start.get(..page.len()).is_some_and(|start| start.eq_ignore_ascii_case(page));
    let is_page = PAGES.iter().any(begins);
    (is_binary || is_page).then(|| look(head, is_page))
}

fn looks_binary(head: &[u8]) -> bool {
    head.contains(&0) || std::str::from_utf8(head).is_err_and(|error| error.error_len().is_some())
}

/// What bytes look like, and what to do about it.
struct Look {
    words: String,
    advice: &'static str,
}

fn look(head: &[u8], is_page: bool) -> Look {
    let known = |words: &str, advice| Look { words: words.to_owned(), advice };
    if is_page {
        return known("an HTML or XML page", "look into it: servers send pages where they have no file to give");
    }
    let binary = looks_binary(head);
    if let Some((_, words, advice)) = STRANGERS.iter().find(|row| binary && head.starts_with(row.0)) {
        return known(words, advice);
    }
    if binary && is_wide(head) {
        return known(UTF_16.0, "convert it: `iconv -f UTF-16LE -t UTF-8 FILE | shipload import - …`, or UTF-16BE");
    }
    let start: String = head.iter().take(16).map(|byte| byte.escape_ascii().to_string()).collect();
    let words = if binary { format!("binary data ({start})") } else { format!("text (`{start}`)") };
    Look { words, advice: SAY_FORMAT }
}

/// Whether every other byte is zero and the rest is not: Latin letters as UTF-16 without its mark.
fn is_wide(head: &[u8]) -> bool {
    let pairs = head.chunks_exact(2).take(32);
    head.len() >= 4 && [0, 1].iter().any(|zero| pairs.clone().all(|pair| pair[*zero] == 0 && pair[1 - zero] != 0))
}

/// The first byte that is neither blank nor part of a byte order mark.
fn text_start(head: &[u8]) -> u8 {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    head.iter().copied().find(|byte| !byte.is_ascii_whitespace()).unwrap_or(b' ')
}

/// What the endings of a name say: `x.csv.gz`.
fn endings(path: &Path) -> (Option<Compression>, Option<Format>) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let mut endings = name.rsplit('.').take(name.matches('.').count()).peekable();
    let compression = endings.peek().and_then(|last| Compression::ENDINGS.iter().find(|row| row.1.contains(last)));
    if compression.is_some() {
        endings.next();
    }
    let format = endings.next().and_then(|last| ENDINGS.iter().find(|row| row.1.contains(&last)));
    (compression.map(|row| row.0), format.map(|row| row.0))
}

fn starts_like(path: &Path, look: &Look) -> Error {
    unknown(path, format!("it starts like {}", look.words), look.advice)
}

fn unknown(path: &Path, what: String, hint: &'static str) -> Error {
    Error::UnknownFormat { path: path.to_owned(), what, hint }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::failure::{Code, Failure};

    const PARQUET: &[u8] = b"PAR1\x15\x04\x15\x00\xff\xfe";
    const ARROW: &[u8] = b"ARROW1\0\0\xff\xff\xff\xff";
    const STREAM: &[u8] = b"\xff\xff\xff\xff\x78\x00\x00\x00\x10\x00";

    #[test]
    fn bytes_names_and_words_tell_the_format() {
        use Format::{ArrowFile, ArrowStream, Csv, JsonArray, NdJson, Parquet, Tsv};
        for (name, head, user, format) in [
            ("a.csv", &b"id,name\n1,x"[..], None, Csv),
            ("a.CSV.gz", b"{not json}", None, Csv),
            ("a.tsv", b"a\tb", None, Tsv),
            ("a.txt", b"a|b", None, Csv),
            ("-", b"a,b", None, Csv),
            ("-", b"\n {\"a\":1}", None, NdJson),
            ("data", b"\xef\xbb\xbf[ {\"a\":1}]", None, JsonArray),
            ("a.jsonl", b"{}", None, NdJson),
            ("a.json", b"{}\n{}", None, NdJson),
            ("a.json", b"[{}]", None, JsonArray),
            ("a.csv", b"[{}]", Some("json"), JsonArray),
            ("a.csv", b"{}", Some("json"), NdJson),
            ("a.json", b"x,y", Some("csv"), Csv),
            ("a.bin", PARQUET, None, Parquet),
            ("a.parquet", PARQUET, None, Parquet),
            ("a.csv", PARQUET, Some("parquet"), Parquet),
            ("a.txt", b"PAR1,PAR2\n", None, Csv),
            ("a.arrow", ARROW, None, ArrowFile),
            ("a.feather", STREAM, None, ArrowStream),
            ("-", STREAM, Some("arrow"), ArrowStream),
        ] {
            let user = user.map(|word| word.parse().unwrap());
            assert_eq!(detect(Path::new(name), head, user).unwrap(), format, "{name} {}", head.escape_ascii());
        }
    }

    #[test]
    fn contradictions_name_both_sides() {
        for (name, head, user, both) in [
            ("a.parquet", &b"id,name\n"[..], None, ["name says Parquet", "text (`id,name"]),
            ("a.csv", PARQUET, None, ["name says CSV", "bytes say Parquet"]),
            ("a.csv", PARQUET, Some(Format::Csv), ["user says CSV", "bytes say Parquet"]),
            ("a.csv", b"a,b", Some(Format::ArrowFile), ["user says Arrow file", "text"]),
            ("a.json", b"id,name", None, ["name says JSON", "text"]),
            ("a.parquet", ARROW, None, ["name says Parquet", "say Arrow file"]),
        ] {
            let error = detect(Path::new(name), head, user).unwrap_err();
            assert_eq!(error.code(), Code::FormatUnknown);
            assert!(both.iter().all(|fact| error.to_string().contains(fact)), "{error}");
        }
    }

    #[test]
    fn binary_data_is_not_taken_for_text_and_known_strangers_are_named() {
        for (head, word) in [
            (&b"PK\x03\x04\x14\x00\x06\x00"[..], "ZIP"),
            (b"\xff\xfea\0,\0b\0", "UTF-16"),
            (b"\xff\xfe\0\0a\0\0\0", "UTF-32"),
            (b"a\0,\0b\0\n\0", "UTF-16"),
            (b"\0a\0,\0b\0\n", "UTF-16"),
            (b"\n<!DOCTYPE html>\n<p>a,b", "HTML"),
            (b"a,b\0c", "binary"),
            (b"\x93\x12\xe4\xff\xa9", "binary"),
        ] {
            let error = detect(Path::new("data"), head, None).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
        assert!(detect(Path::new("page.csv"), b"<html><body>404", None).is_err());
        assert_eq!(detect(Path::new("small.csv"), b"id\na\0b\n", None).unwrap(), Format::Csv);
        let text_with_one_nul = [&[b'a'; 500][..], b"\0"].concat();
        assert_eq!(detect(Path::new("a.csv"), &text_with_one_nul, None).unwrap(), Format::Csv);
        assert!(detect(Path::new("a"), &text_with_one_nul, None).is_err());
        assert_eq!(detect(Path::new("latin1.csv"), b"name\nM\xfcller\n", None).unwrap(), Format::Csv);
    }

    #[test]
    fn nothing_and_blanks_alone_are_an_empty_input() {
        for head in [&b""[..], b"\n\n  \r\n"] {
            assert_eq!(detect(Path::new("a.csv"), head, None).unwrap_err().code(), Code::InputEmpty);
        }
    }

    #[test]
    fn compression_is_told_from_bytes_and_a_false_name_is_an_error() {
        let gzip = b"\x1f\x8b\x08\x00";
        assert_eq!(Compression::detect(Path::new("a.csv"), gzip).unwrap(), Some(Compression::Gzip));
        assert_eq!(Compression::detect(Path::new("a.csv.gz"), gzip).unwrap(), Some(Compression::Gzip));
        assert_eq!(Compression::detect(Path::new("a.csv"), b"BZh9,x\n").unwrap(), None);
        let error = Compression::detect(Path::new("a.csv.zst"), gzip).unwrap_err();
        assert!(error.to_string().contains("name says zstd, its first bytes say gzip"), "{error}");
        assert!(Compression::detect(Path::new("a.gz"), b"id,name").is_err());
    }

    #[test]
    fn words_for_formats_are_read_and_shown_and_slips_are_answered() {
        for (format, _) in ENDINGS {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert!("parqet".parse::<Format>().unwrap_err().to_string().contains("did you mean parquet?"));
        assert!("orc".parse::<Format>().is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_and_no_name_make_detection_panic(
            head in prop::collection::vec(any::<u8>(), 0..300),
            name in "[a-z.]{0,12}",
            user in prop::option::of(prop::sample::select(ENDINGS.map(|row| row.0).to_vec())),
        ) {
            let _ = detect(Path::new(&name), &head, user);
            let _ = Compression::detect(Path::new(&name), &head);
        }
    }
}
