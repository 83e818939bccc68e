//! The rows of a CSV body.

use memchr::{memchr, memchr2};

use super::super::csv::Dialect;
use super::{Block, mask, parity, spread};

/// Where the counter is: between two bytes of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the start of a row, so far blank.
    Row,
    /// At the start of a field that is not the row's first.
    Field,
    /// Inside quotes.
    Quoted,
    /// Behind a quote inside quotes: it closes them, unless another one follows.
    Closed,
    /// In a field, outside quotes.
    Bare,
    /// Behind a stray quote: the next byte is content, whatever it is.
    Stray,
    /// Behind an escape.
    Escaped { quoted: bool },
}

/// Counts rows of a dialect whose control bytes are single and distinct.
#[derive(Debug)]
pub(super) struct Counter {
    separator: u8,
    delimiter: u8,
    enclose: u8,
    escape: u8,
    trim_space: bool,
    plain: bool,
    header_left: u64,
    state: State,
    rows: u64,
}

impl Counter {
    /// `None` for dialects that only the parser itself can be trusted with.
    pub(super) fn new(dialect: &Dialect) -> Option<Self> {
        let ([separator], [delimiter]) = (dialect.separator.as_slice(), dialect.delimiter.as_slice()) else {
            return None;
        };
        let counter = Self {
            separator: *separator,
            delimiter: *delimiter,
            enclose: dialect.enclose,
            escape: dialect.escape,
            trim_space: dialect.trim_space,
            plain: dialect.is_plain(),
            header_left: dialect.skip_header,
            state: State::Row,
            rows: 0,
        };
        let Self { enclose, escape, .. } = counter;
        let control = [*separator, *delimiter, enclose, escape];
        let distinct = control.iter().enumerate().all(|(at, byte)| !control[..at].contains(byte));
        let trimmable = !counter.trim_space || !control.contains(&b' ');
        (counter.plain || distinct && trimmable).then_some(counter)
    }

    /// Goes over the next bytes of the body.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while self.header_left > 0 {
            let Some(length) = memchr(self.delimiter, bytes) else { return };
            self.header_left -= 1;
            bytes = &bytes[length + 1..];
        }
        let (blocks, rest) = bytes.as_chunks::<64>();
        for block in blocks {
            let counted = if self.plain { self.plain_block(block) } else { self.quoted_block(block) };
            if !counted {
                self.step(block);
            }
        }
        self.step(rest);
    }

    /// The number of rows, once there are no more bytes. The last one needs no delimiter.
    pub(super) fn finish(self) -> u64 {
        self.rows + u64::from(self.state != State::Row)
    }

    fn plain_block(&mut self, block: &Block) -> bool {
        let ends = mask(block, |byte| byte == self.delimiter);
        self.count(ends);
        self.state = if ends >> 63 == 1 { State::Row } else { State::Bare };
        true
    }

    /// Counts the rows that end at some bytes of a block. One that ends where the last one ended is blank.
    fn count(&mut self, ends: u64) {
        let blank = ends << 1 | u64::from(self.state == State::Row);
        self.rows += u64::from((ends & !blank).count_ones());
    }

    /// `false` when the block holds more than fields that are in quotes as a whole, or without any.
    fn quoted_block(&mut self, block: &Block) -> bool {
        if self.trim_space || matches!(self.state, State::Stray | State::Escaped { .. }) {
            return false;
        }
        if mask(block, |byte| byte == self.escape) != 0 {
            return false;
        }
        let quotes = mask(block, |byte| byte == self.enclose);
        let separators = mask(block, |byte| byte == self.separator);
        let delimiters = mask(block, |byte| byte == self.delimiter);
        let open = self.state == State::Quoted;
        // A doubled quote closes and opens again.
        let behind = parity(quotes) ^ spread(open);
        let before = behind << 1 | u64::from(open);
        let ends = delimiters & !before;
        let breaks = ends | separators & !before;
        let closing = quotes & before;
        let behind_break = breaks << 1 | u64::from(matches!(self.state, State::Row | State::Field));
        let behind_closing = closing << 1 | u64::from(self.state == State::Closed);
        let stray = quotes & !before & !behind_break & !behind_closing;
        let dangling = behind_closing & !(quotes | breaks);
        if stray | dangling != 0 {
            return false;
        }
        self.count(ends);
        let last = |mask: u64| mask >> 63 == 1;
        self.state = if last(behind) {
            State::Quoted
        } else if last(ends) {
            State::Row
        } else if last(breaks) {
            State::Field
        } else if last(closing) {
            State::Closed
        } else {
            State::Bare
        };
        true
    }

    /// One byte after the other; inside quotes, in one stride.
    fn step(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            at += 1;
            self.state = match self.state {
                State::Quoted => {
                    let Some(length) = memchr2(self.enclose, self.escape, &bytes[at - 1..]) else { return };
                    at += length;
                    if bytes[at - 1] == self.enclose { State::Closed } else { State::Escaped { quoted: true } }
                }
                State::Closed if byte == self.enclose => State::Quoted,
                State::Escaped { quoted } => {
                    let control = [self.enclose, self.escape, self.delimiter, self.separator].contains(&byte);
                    if quoted && control { State::Quoted } else { State::Bare }
                }
                State::Stray => State::Bare,
                state => self.outside(state, byte),
            };
        }
    }

    fn outside(&mut self, state: State, byte: u8) -> State {
        let starting = matches!(state, State::Row | State::Field);
        if byte == self.delimiter {
            self.rows += u64::from(state != State::Row);
            State::Row
        } else if self.plain {
            State::Bare
        } else if byte == self.separator {
            State::Field
        } else if byte == self.enclose {
            if starting { State::Quoted } else { State::Stray }
        } else if byte == self.escape {
            State::Escaped { quoted: false }
        } else if starting && self.trim_space && byte == b' ' {
            state
        } else {
            State::Bare
        }
    }
}
