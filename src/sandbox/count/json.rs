//! The objects of a JSON body.

use super::super::json::{Fault, Layout};
use super::{Block, contains, mask, parity};

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
        let (blocks, rest) = bytes.as_chunks::<64>();
        for block in blocks {
            self.block(block)?;
        }
        self.bytes(rest)
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
            b'{' | b'[' | b'}' | b']' => self.bracket(byte),
            _ => {}
        }
    }

    fn end_object(&mut self) {
        self.rows += 1;
        self.state = if self.strip { State::Behind } else { State::Stream };
    }

    /// A block of bytes, inside objects and between them. There no quote may stand, so that masks hold across.
    fn block(&mut self, block: &Block) -> Result<(), Fault> {
        let (mut backslashes, mut escaped, mut carry) = (0, 0, false);
        if self.escaped || contains(block, b'\\') {
            backslashes = mask(block, |byte| byte == b'\\');
            (escaped, carry) = escaped_bytes(backslashes, self.escaped);
        }
        let quotes = mask(block, |byte| byte == b'"') & !escaped;
        let inside = parity(quotes) ^ 0_u64.wrapping_sub(u64::from(self.quoted));
        // Outside strings a backslash is no JSON, and escapes nothing.
        if backslashes & !inside != 0 {
            return self.bytes(block);
        }
        // One bit tells braces from brackets; which of them closes what is the parser's business.
        let mut brackets = mask(block, |byte| matches!(byte & 0xdf, b'[' | b']')) & !inside;
        (self.quoted, self.escaped) = (inside >> 63 == 1, carry);
        let mut at = 0;
        loop {
            while self.state != State::Object {
                let Some(byte) = block.get(at) else { return Ok(()) };
                self.between(*byte)?;
                brackets &= !(1 << at);
                at += 1;
            }
            if brackets == 0 {
                return Ok(());
            }
            at = brackets.trailing_zeros() as usize + 1;
            brackets &= brackets - 1;
            self.bracket(block[at - 1]);
        }
    }

    /// A bracket or a brace outside strings.
    fn bracket(&mut self, byte: u8) {
        if byte & 0xdf == b'[' {
            self.depth += 1;
            return;
        }
        self.depth -= 1;
        if self.depth == 0 {
            self.end_object();
        }
    }

    /// One byte after the other.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        for byte in bytes {
            if self.state == State::Object {
                self.inside(*byte);
            } else {
                self.between(*byte)?;
            }
        }
        Ok(())
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
