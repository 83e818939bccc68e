//! The objects of a JSON body.

use super::super::json::{Fault, Layout};
use super::{Block, mask, parity, spread};

/// Where the counter is: between two bytes of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing but blanks so far.
    Start,
    /// Between the objects of a stream.
    Stream,
    /// In the outer array, before an element; `first` where the array may also end.
    Element { first: bool },
    /// In the outer array, behind an element.
    Behind,
    /// Behind the outer array.
    End,
    /// In an object.
    Object,
}

/// Counts objects.
#[derive(Debug)]
pub(super) struct Counter {
    strip: bool,
    state: State,
    /// How many brackets are open in the object.
    depth: u64,
    /// Whether a string is open in it.
    quoted: bool,
    /// Whether the last byte was a backslash that takes the next one's meaning.
    escaped: bool,
    text: Text,
    rows: u64,
}

impl Counter {
    pub(super) fn new(layout: &Layout) -> Self {
        Self {
            strip: layout.strip_outer_array,
            state: State::Start,
            depth: 0,
            quoted: false,
            escaped: false,
            text: Text::default(),
            rows: 0,
        }
    }

    /// Goes over the next bytes of the body.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if !self.text.feed(bytes) {
            return Err(malformed("invalid UTF-8"));
        }
        let mut rest = bytes;
        while let Some(byte) = rest.first() {
            if self.state != State::Object {
                self.between(*byte)?;
                rest = &rest[1..];
                continue;
            }
            if let Some(block) = rest.first_chunk::<64>() {
                let length = self.block(block);
                rest = &rest[length..];
            } else {
                self.inside(*byte);
                rest = &rest[1..];
            }
        }
        Ok(())
    }

    /// The number of objects, once there are no more bytes.
    pub(super) fn finish(self) -> Result<u64, Fault> {
        match self.state {
            _ if !self.text.is_whole() => Err(malformed("invalid UTF-8")),
            State::Start | State::Stream | State::End => Ok(self.rows),
            State::Object => Err(malformed("it ends too early")),
            State::Element { .. } | State::Behind => Err(malformed("the array ends too early")),
        }
    }

    /// A byte outside objects.
    fn between(&mut self, byte: u8) -> Result<(), Fault> {
        self.state = match (self.state, byte) {
            (state, b' ' | b'\t' | b'\r' | b'\n') => state,
            (State::Start, b'[') if self.strip => State::Element { first: true },
            (State::Start | State::Stream, b'[') if !self.strip => {
                let message = "The value is an array. Set strip_outer_array=true to load its elements as rows";
                return Err(Fault::Malformed(message.to_owned()));
            }
            (State::Start, b'{') if self.strip => {
                return Err(Fault::Malformed("The value should be an array, as strip_outer_array is set".to_owned()));
            }
            (State::Start | State::Stream | State::Element { .. }, b'{') => {
                self.depth = 1;
                State::Object
            }
            (State::Element { first: true } | State::Behind, b']') => State::End,
            (State::Behind, b',') => State::Element { first: false },
            (State::Behind | State::End, _) => {
                return Err(Fault::Malformed("The value should be one well-formed array of objects".to_owned()));
            }
            (_, byte) => return Err(malformed(&format!("illegal json started with [{}]", char::from(byte)))),
        };
        Ok(())
    }

    /// A byte inside an object.
    fn inside(&mut self, byte: u8) {
        if self.escaped {
            self.escaped = false;
            return;
        }
        match byte {
            b'\\' => self.escaped = self.quoted,
            b'"' => self.quoted = !self.quoted,
            _ if self.quoted => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    self.end_object();
                }
            }
            _ => {}
        }
    }

    fn end_object(&mut self) {
        self.rows += 1;
        self.state = if self.strip { State::Behind } else { State::Stream };
    }

    /// A block inside an object; how many of its bytes belong to it.
    fn block(&mut self, block: &Block) -> usize {
        let backslashes = mask(block, |byte| byte == b'\\');
        let (escaped, carry) =
            if backslashes == 0 && !self.escaped { (0, false) } else { escaped_bytes(backslashes, self.escaped) };
        let quotes = mask(block, |byte| byte == b'"') & !escaped;
        let inside = parity(quotes) ^ spread(self.quoted);
        // Outside strings a backslash is no JSON, and escapes nothing.
        if backslashes & !inside != 0 {
            return self.bytes(block);
        }
        self.escaped = carry;
        // One bit tells braces from brackets; which of them closes what is the parser's business.
        let opening = mask(block, |byte| byte & 0xdf == b'[') & !inside;
        let closing = mask(block, |byte| byte & 0xdf == b']') & !inside;
        if u64::from(closing.count_ones()) >= self.depth {
            let mut left = opening | closing;
            while left != 0 {
                let at = left.trailing_zeros();
                self.depth = if closing >> at & 1 == 1 { self.depth - 1 } else { self.depth + 1 };
                if self.depth == 0 {
                    (self.quoted, self.escaped) = (false, false);
                    self.end_object();
                    return at as usize + 1;
                }
                left &= left - 1;
            }
        } else {
            self.depth = self.depth + u64::from(opening.count_ones()) - u64::from(closing.count_ones());
        }
        self.quoted = inside >> 63 == 1;
        block.len()
    }

    /// The bytes of a block inside an object, one after the other; how many of them belong to it.
    fn bytes(&mut self, block: &Block) -> usize {
        for (at, byte) in block.iter().enumerate() {
            self.inside(*byte);
            if self.state != State::Object {
                return at + 1;
            }
        }
        block.len()
    }
}

/// Which bytes stand behind a backslash that is not itself behind one, and whether the first byte behind the block does.
/// Runs of backslashes are told apart by whether they begin at an even place: adding the start of a run to it carries to
/// the place behind its end.
fn escaped_bytes(backslashes: u64, escaped: bool) -> (u64, bool) {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let carried = u64::from(escaped);
    let backslashes = backslashes & !carried;
    let behind = backslashes << 1 | carried;
    let odd_starts = backslashes & !EVEN & !behind;
    let (sum, carry) = odd_starts.overflowing_add(backslashes);
    ((EVEN ^ sum << 1) & behind, carry)
}

fn malformed(what: &str) -> Fault {
    Fault::Malformed(format!("Failed to iterate document stream as object. error: {what}"))
}

/// Whether bytes are UTF-8, when characters may be cut anywhere.
#[derive(Debug, Default)]
struct Text {
    /// The beginning of a character whose end is still to come.
    cut: Vec<u8>,
}

impl Text {
    fn feed(&mut self, mut bytes: &[u8]) -> bool {
        while !self.cut.is_empty() {
            let Some((first, rest)) = bytes.split_first() else { return true };
            self.cut.push(*first);
            bytes = rest;
            match std::str::from_utf8(&self.cut) {
                Ok(_) => self.cut.clear(),
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        match std::str::from_utf8(bytes) {
            Ok(_) => true,
            Err(error) if error.error_len().is_some() => false,
            Err(error) => {
                self.cut.extend_from_slice(&bytes[error.valid_up_to()..]);
                true
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.cut.is_empty()
    }
}
