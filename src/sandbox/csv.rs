//! The server's two CSV parsers, with their quirks.
//!
//! *Plain*, when neither `enclose` nor `escape` is set: rows are cut at the row delimiter and fields at the separator;
//! quotes and backslashes are bytes like any other. *Quoted*, when one of them is set: a state machine whose accidents
//! are part of the protocol, because clients have to steer clear of them. The option that is unset is the byte zero
//! there, so a NUL in the data acts as the missing control byte.
//!
//! With a row delimiter of several bytes, the real state machine damages the last field of a body that ends with the
//! delimiter. That is imitated on request only ([`Dialect::tail_damage`]).

use std::io::{self, Read};

use memchr::{memchr, memchr2, memmem};

/// How the fields and rows of a body are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) separator: Vec<u8>,
    pub(super) delimiter: Vec<u8>,
    /// The quote; zero when unset, as on the server.
    pub(super) enclose: u8,
    /// The escape; zero when unset, as on the server.
    pub(super) escape: u8,
    pub(super) trim_space: bool,
    /// How many delimited rows to pass over at the start.
    pub(super) skip_header: u64,
    /// Whether a body that ends with a delimiter of several bytes has its last field damaged, as on the server: the state
    /// machine asks for more input behind the last delimiter, gets none, and takes the delimiter for content. Seen of
    /// quoted fields, which keep the closing quote and the delimiter but its last byte; that others keep all of the
    /// delimiter follows from the same cause and is unverified.
    pub(super) tail_damage: bool,
}

impl Dialect {
    /// Whether the plain parser reads it.
    pub(super) fn is_plain(&self) -> bool {
        self.enclose == 0 && self.escape == 0
    }

    /// What is left of it where the server does not hand on quotes, escapes, trimming and headers: in a load of a
    /// transaction over one table.
    pub(super) fn forget_quotes(&mut self) {
        (self.enclose, self.escape, self.trim_space, self.skip_header) = (0, 0, false, 0);
    }
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            separator: b"\t".to_vec(),
            delimiter: b"\n".to_vec(),
            enclose: 0,
            escape: 0,
            trim_space: false,
            skip_header: 0,
            tail_damage: false,
        }
    }
}

/// The bytes of a field that mean NULL, once quotes and escapes are gone, even inside quotes.
pub(super) const NULL: &[u8] = b"\\N";

/// What the buffer starts with; a row that does not fit doubles it.
const BUFFER_BYTES: usize = 256 * 1024;
/// The longest row that the server takes.
const ROW_BYTES_MAX: usize = 2_147_483_647;

/// Where a field is: in the buffer, or in the scratch space because bytes had to be taken out of it.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
    unescaped: bool,
}

/// Reads rows, one at a time, in a buffer that grows to the longest of them.
pub(super) struct Rows<R> {
    source: R,
    dialect: Dialect,
    buffer: Vec<u8>,
    /// Where the unread bytes begin.
    at: usize,
    /// Whether the source has ended; the missing last delimiter has been added then.
    ended: bool,
    /// Whether the delimiter at the end of an ended body is not seen.
    damaged: bool,
    header_left: u64,
    row: (usize, usize),
    spans: Vec<Span>,
    scratch: Vec<u8>,
    /// The bytes at which an unquoted field may end or change; all others are passed over in one stride.
    stops: Box<[bool; 256]>,
}

/// What one look at the buffer found.
enum Step {
    Row { end: usize, next: usize },
    Empty { next: usize },
    More,
}

impl<R: Read> Rows<R> {
    pub(super) fn new(source: R, dialect: Dialect) -> Self {
        let header_left = dialect.skip_header;
        let mut stops = Box::new([false; 256]);
        for byte in [dialect.separator[0], dialect.delimiter[0], dialect.enclose, dialect.escape] {
            stops[usize::from(byte)] = true;
        }
        Self {
            source,
            dialect,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            at: 0,
            ended: false,
            damaged: false,
            header_left,
            row: (0, 0),
            spans: Vec::new(),
            scratch: Vec::new(),
            stops,
        }
    }

    /// Goes to the next row; `false` at the end. Wholly empty rows are passed over.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        loop {
            if self.at == self.buffer.len() && !self.fill()? {
                return Ok(false);
            }
            let step = if self.header_left > 0 { self.skip_one() } else { self.parse() };
            match step {
                Step::Row { end, next } => {
                    self.row = (self.at, end);
                    self.at = next;
                    return Ok(true);
                }
                Step::Empty { next } => self.at = next,
                Step::More => {
                    if !self.fill()? {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// The row as it came, without its delimiter.
    pub(super) fn raw(&self) -> &[u8] {
        &self.buffer[self.row.0..self.row.1]
    }

    pub(super) fn field_count(&self) -> usize {
        self.spans.len()
    }

    /// A field without quotes and escapes.
    pub(super) fn field(&self, index: usize) -> &[u8] {
        let span = self.spans[index];
        if span.unescaped { &self.scratch[span.start..span.end] } else { &self.buffer[span.start..span.end] }
    }

    /// Reads more bytes behind the unread ones. `false` when there are none, and then none are coming.
    fn fill(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let held = self.buffer.len();
        if held > ROW_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "CSV line length exceed limit 2147483647"));
        }
        let room = BUFFER_BYTES.max(held);
        self.buffer.resize(held + room, 0);
        // A row is parsed from its start each time, so one that is long already waits until there is twice as much.
        let enough = if held < BUFFER_BYTES { held + 1 } else { held + room };
        let mut filled = held;
        while filled < enough {
            match self.source.read(&mut self.buffer[filled..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.buffer.truncate(filled);
        // The server completes a body's last row itself, so the parsers below never see one without its end.
        if self.ended && filled > 0 {
            let whole = self.buffer.ends_with(&self.dialect.delimiter);
            self.damaged = whole && self.dialect.tail_damage && self.dialect.delimiter.len() > 1;
            if !whole {
                self.buffer.extend_from_slice(&self.dialect.delimiter);
            }
        }
        // What is left of a body that has just ended is looked at once more, now as its last row.
        Ok(self.buffer.len() > held || self.ended && held > 0)
    }

    fn skip_one(&mut self) -> Step {
        match find(&self.buffer[self.at..], &self.dialect.delimiter) {
            Some(length) => {
                self.header_left -= 1;
                Step::Empty { next: self.at + length + self.dialect.delimiter.len() }
            }
            None => Step::More,
        }
    }

    fn parse(&mut self) -> Step {
        self.spans.clear();
        self.scratch.clear();
        if self.dialect.is_plain() { self.parse_plain() } else { self.parse_quoted() }
    }

    fn parse_plain(&mut self) -> Step {
        let Some(length) = find(&self.buffer[self.at..], &self.dialect.delimiter) else { return Step::More };
        let (end, next) = (self.at + length, self.at + length + self.dialect.delimiter.len());
        if length == 0 {
            return Step::Empty { next };
        }
        let mut start = self.at;
        while let Some(length) = find(&self.buffer[start..end], &self.dialect.separator) {
            self.push_plain(start, start + length);
            start += length + self.dialect.separator.len();
        }
        self.push_plain(start, end);
        Step::Row { end, next }
    }

    fn push_plain(&mut self, start: usize, end: usize) {
        let (start, end) = if self.dialect.trim_space { trim(&self.buffer, start, end) } else { (start, end) };
        self.spans.push(Span { start, end, unescaped: false });
    }

    fn parse_quoted(&mut self) -> Step {
        let mut at = self.at;
        let several = self.dialect.delimiter.len() > 1;
        let wary = self.dialect.tail_damage && several && (self.damaged || !self.ended);
        loop {
            let mut field = Field::new(&self.buffer, &self.dialect, &self.stops, &mut self.scratch, at);
            field.wary = wary;
            let Some(close) = field.scan() else {
                if !self.ended {
                    return Step::More;
                }
                // The body ends inside quotes. The server takes the delimiter that it added, and the byte where the
                // closing quote should be, off what it has.
                let next = self.buffer.len();
                let end = if self.damaged { next } else { next - self.dialect.delimiter.len() };
                let close = Close { end, next, row: true };
                let span = field.finish(close.end.max(at));
                self.spans.push(span);
                return Step::Row { end: close.end.max(self.at), next: close.next };
            };
            let span = field.finish(close.end);
            if close.row && self.spans.is_empty() && !field.enclosed && close.end == field.start {
                return Step::Empty { next: close.next };
            }
            self.spans.push(span);
            if close.row {
                return Step::Row { end: close.end, next: close.next };
            }
            at = close.next;
        }
    }
}

/// Where a field ends, where the next one begins, and whether the row ends with it.
struct Close {
    end: usize,
    next: usize,
    row: bool,
}

/// One field on its way through the state machine.
struct Field<'a> {
    bytes: &'a [u8],
    dialect: &'a Dialect,
    stops: &'a [bool; 256],
    scratch: &'a mut Vec<u8>,
    /// Where its content begins: behind the opening quote, if there is one.
    start: usize,
    /// Whether it began with a quote. Its last byte is then taken off unseen, on the belief that it is the other one:
    /// that is how `"b"` and a carriage return become `b"` (section 6.4 of the protocol). That it goes as well where an
    /// escape has ended the quotes follows from the same cause and is unverified.
    enclosed: bool,
    /// Where the blanks behind the closing quote begin, when blanks are to be trimmed.
    blank_at: Option<usize>,
    /// From where on the bytes have not been copied to the scratch space; set by the first byte that is dropped.
    uncopied: Option<usize>,
    scratch_start: usize,
    /// Whether a delimiter that ends with the bytes is not believed.
    wary: bool,
}

impl<'a> Field<'a> {
    fn new(
        bytes: &'a [u8],
        dialect: &'a Dialect,
        stops: &'a [bool; 256],
        scratch: &'a mut Vec<u8>,
        start: usize,
    ) -> Self {
        let scratch_start = scratch.len();
        Self {
            bytes,
            dialect,
            stops,
            scratch,
            start,
            enclosed: false,
            blank_at: None,
            uncopied: None,
            scratch_start,
            wary: false,
        }
    }

    /// Looks for the field's end; `None` when the bytes end first.
    fn scan(&mut self) -> Option<Close> {
        if self.dialect.trim_space {
            while *self.bytes.get(self.start)? == b' ' {
                self.start += 1;
            }
        }
        let at = self.start;
        if let Some(close) = self.close_at(at)? {
            return Some(close);
        }
        let byte = *self.bytes.get(at)?;
        if byte == self.dialect.enclose && byte != self.dialect.escape {
            self.enclosed = true;
            self.start = at + 1;
            return self.content(at + 1, true);
        }
        self.content(at, false)
    }

    /// Goes on from `at`, inside quotes or outside. Inside, everything is content but the quote and the escape. Outside, a
    /// stray quote goes, and takes the meaning of the byte behind it with it.
    fn content(&mut self, mut at: usize, mut quoted: bool) -> Option<Close> {
        loop {
            if quoted {
                at += memchr2(self.dialect.enclose, self.dialect.escape, &self.bytes[at..])?;
                if self.bytes[at] == self.dialect.enclose {
                    if *self.bytes.get(at + 1)? == self.dialect.enclose {
                        self.drop_byte(at);
                        at += 2;
                        continue;
                    }
                    at += 1;
                    if self.dialect.trim_space && self.bytes[at] == b' ' {
                        self.blank_at = Some(at);
                    }
                    quoted = false;
                    continue;
                }
            } else {
                at += self.bytes[at..].iter().position(|byte| self.stops[usize::from(*byte)])?;
                if let Some(close) = self.close_at(at)? {
                    return Some(close);
                }
                let byte = self.bytes[at];
                if byte != self.dialect.escape {
                    if byte == self.dialect.enclose {
                        self.drop_byte(at);
                        self.bytes.get(at + 1)?;
                        at += 1;
                    }
                    at += 1;
                    continue;
                }
            }
            (at, quoted) = self.escaped(at, quoted)?;
        }
    }

    /// Behind an escape: a control byte is content and all goes on as before; with any other byte, quotes are over.
    fn escaped(&mut self, at: usize, quoted: bool) -> Option<(usize, bool)> {
        self.drop_byte(at);
        let at = at + 1;
        let byte = *self.bytes.get(at)?;
        Some(if byte == self.dialect.enclose || byte == self.dialect.escape {
            (at + 1, quoted)
        } else if self.bytes[at..].starts_with(&self.dialect.delimiter) {
            (at + self.dialect.delimiter.len(), quoted)
        } else if self.bytes[at..].starts_with(&self.dialect.separator) {
            (at + self.dialect.separator.len(), quoted)
        } else {
            (at + 1, false)
        })
    }

    /// Whether the field ends here; `None` when that hangs on bytes that are still to come.
    #[expect(clippy::option_option, reason = "not yet known, and known not to end, are different answers")]
    fn close_at(&self, at: usize) -> Option<Option<Close>> {
        let rest = &self.bytes[at..];
        if begins_with(rest, &self.dialect.delimiter) {
            let next = at + self.dialect.delimiter.len();
            return if self.wary && next == self.bytes.len() {
                None
            } else {
                Some(Some(Close { end: at, next, row: true }))
            };
        }
        let separated = begins_with(rest, &self.dialect.separator);
        Some(separated.then(|| Close { end: at, next: at + self.dialect.separator.len(), row: false }))
    }

    fn drop_byte(&mut self, at: usize) {
        let from = self.uncopied.unwrap_or(self.start);
        self.scratch.extend_from_slice(&self.bytes[from..at]);
        self.uncopied = Some(at + 1);
    }

    fn finish(&mut self, end: usize) -> Span {
        let end = self.blank_at.unwrap_or(end);
        let quote = usize::from(self.enclosed);
        let Some(from) = self.uncopied else {
            let end = end.saturating_sub(quote).max(self.start);
            let trimmed = self.dialect.trim_space && !self.enclosed;
            let (start, end) = if trimmed { trim(self.bytes, self.start, end) } else { (self.start, end) };
            return Span { start, end, unescaped: false };
        };
        self.scratch.extend_from_slice(&self.bytes[from.min(end)..end]);
        let start = self.scratch_start;
        let end = self.scratch.len().saturating_sub(quote).max(start);
        let (start, end) =
            if self.dialect.trim_space && !self.enclosed { trim(self.scratch, start, end) } else { (start, end) };
        Span { start, end, unescaped: true }
    }
}

/// Looks at the first byte before anything else. Nearly always it decides, and calling `memcmp` to learn as much took a
/// sixteenth of a load's time.
fn begins_with(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.first() == needle.first() && bytes.starts_with(needle)
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    match needle {
        [byte] => memchr(*byte, bytes),
        _ => memmem::find(bytes, needle),
    }
}

/// Narrows a range to what is left without blanks at its ends. Only the blank itself counts.
fn trim(bytes: &[u8], mut start: usize, mut end: usize) -> (usize, usize) {
    while start < end && bytes[start] == b' ' {
        start += 1;
    }
    while end > start && bytes[end - 1] == b' ' {
        end -= 1;
    }
    (start, end)
}

#[cfg(test)]
#[path = "csv_tests.rs"]
mod tests;
