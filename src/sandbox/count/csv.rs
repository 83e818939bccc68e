//! The rows of a CSV body.

use memchr::{memchr, memchr2};

use super::super::csv::Dialect;
use super::{contains, mask, parity};

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

/// The state behind a block, as bits: a processor guesses wrong too often where it has to choose between states.
#[derive(Clone, Copy, Debug)]
struct Carry {
    /// Whether a quote is open.
    open: u64,
    /// Whether the last byte was a delimiter outside quotes.
    ended: u64,
    /// Whether it was that or a separator outside quotes.
    broken: u64,
    /// Whether it was a quote that closes a field.
    closed: u64,
}

impl Carry {
    fn of(state: State) -> Self {
        Self {
            open: u64::from(state == State::Quoted),
            ended: u64::from(state == State::Row),
            broken: u64::from(matches!(state, State::Row | State::Field)),
            closed: u64::from(state == State::Closed),
        }
    }

    fn state(self) -> State {
        match self {
            Self { open: 1, .. } => State::Quoted,
            Self { ended: 1, .. } => State::Row,
            Self { broken: 1, .. } => State::Field,
            Self { closed: 1, .. } => State::Closed,
            _ => State::Bare,
        }
    }
}

/// How many bytes are a delimiter and do not follow one, given the byte before each.
fn row_ends(delimiter: u8, before: &[u8], bytes: &[u8]) -> u64 {
    const LANES: usize = 32;
    let ends = |before: u8, byte: u8| u8::from(byte == delimiter && before != delimiter);
    let ((before_blocks, before_rest), (blocks, rest)) = (before.as_chunks::<LANES>(), bytes.as_chunks::<LANES>());
    let mut total = 0;
    // Lanes of one byte, which are emptied before they overflow, make a loop of vector instructions.
    for (before, blocks) in before_blocks.chunks(255).zip(blocks.chunks(255)) {
        let mut lanes = [0_u8; LANES];
        for (before, block) in before.iter().zip(blocks) {
            for ((lane, before), byte) in lanes.iter_mut().zip(before).zip(block) {
                *lane += ends(*before, *byte);
            }
        }
        total += lanes.iter().map(|lane| u64::from(*lane)).sum::<u64>();
    }
    total + before_rest.iter().zip(rest).map(|(before, byte)| u64::from(ends(*before, *byte))).sum::<u64>()
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
        if self.plain {
            self.plain_rows(bytes);
            return;
        }
        while let Some(block) = bytes.first_chunk::<64>() {
            let length = self.quoted_blocks(bytes);
            bytes = &bytes[length..];
            if length == 0 {
                self.step(block);
                bytes = &bytes[block.len()..];
            }
        }
        self.step(bytes);
    }

    /// The number of rows, once there are no more bytes. The last one needs no delimiter.
    pub(super) fn finish(self) -> u64 {
        self.rows + u64::from(self.state != State::Row)
    }

    /// Where nothing but delimiters means anything, each of them ends a row that does not follow another one.
    fn plain_rows(&mut self, bytes: &[u8]) {
        let [first, .., last] = bytes else { return self.step(bytes) };
        self.rows += u64::from(*first == self.delimiter && self.state != State::Row);
        self.rows += row_ends(self.delimiter, &bytes[..bytes.len() - 1], &bytes[1..]);
        self.state = if *last == self.delimiter { State::Row } else { State::Bare };
    }

    /// Goes over whole blocks as long as fields are in quotes as a whole, or without any; how many bytes these are.
    fn quoted_blocks(&mut self, bytes: &[u8]) -> usize {
        if self.trim_space || matches!(self.state, State::Stray | State::Escaped { .. }) {
            return 0;
        }
        let (separator, delimiter, enclose, escape) = (self.separator, self.delimiter, self.enclose, self.escape);
        let (blocks, _) = bytes.as_chunks::<64>();
        let mut carry = Carry::of(self.state);
        let mut taken = 0;
        for block in blocks {
            if contains(block, escape) {
                break;
            }
            let quotes = mask(block, |byte| byte == enclose);
            let delimiters = mask(block, |byte| byte == delimiter);
            let breaks = mask(block, |byte| byte == separator) | delimiters;
            // A doubled quote closes and opens again.
            let behind = parity(quotes) ^ 0_u64.wrapping_sub(carry.open);
            let before = behind << 1 | carry.open;
            let (ends, breaks, closing) = (delimiters & !before, breaks & !before, quotes & before);
            let behind_break = breaks << 1 | carry.broken;
            let behind_closing = closing << 1 | carry.closed;
            let stray = quotes & !before & !behind_break & !behind_closing;
            let dangling = behind_closing & !(quotes | breaks);
            if stray | dangling != 0 {
                break;
            }
            // One that ends where the last one ended is blank.
            let blank = ends << 1 | carry.ended;
            self.rows += u64::from((ends & !blank).count_ones());
            carry = Carry { open: behind >> 63, ended: ends >> 63, broken: breaks >> 63, closed: closing >> 63 };
            taken += block.len();
        }
        if taken > 0 {
            self.state = carry.state();
        }
        taken
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
