//! [`Layout`]: how records follow one another, as lines and loose objects or within one array.

use super::frame::{self, Frame};

/// How the records of an input stand, and how far it was followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Not known yet: nothing but blanks was seen.
    Start,
    /// One after the other, each usually on a line of its own.
    Lines,
    /// Within an array: a record follows, or the end if it is the first.
    Array {
        /// Whether there was none yet.
        first: bool,
    },
    /// Within an array: a comma follows, or the end.
    AfterRecord,
    /// Behind the array.
    AfterArray,
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many bytes between records.
    Skip(usize),
    /// A record of so many bytes. It may not be an object, nor JSON.
    Record(usize),
    /// So many bytes of lines, without the last line end, that are no record.
    Lines(usize),
    /// More bytes are needed to tell.
    More,
    /// The end of the input.
    End,
    /// The end of the input, within this.
    Open(&'static str),
    /// Something that cannot be there, and no way to go on from it.
    Misplaced(&'static str),
}

impl Layout {
    /// Says what comes next, and takes note of it.
    pub(super) fn step(&mut self, bytes: &[u8], at_end: bool) -> Step {
        let blanks = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        if blanks > 0 {
            return Step::Skip(blanks);
        }
        let Some(byte) = bytes.first().copied() else { return self.end(at_end) };
        match (*self, byte) {
            (Self::Start, b'[') => self.skip_to(Self::Array { first: true }),
            (Self::Start, _) => {
                *self = Self::Lines;
                lines(bytes, at_end)
            }
            (Self::Lines, _) => lines(bytes, at_end),
            (Self::Array { first: true } | Self::AfterRecord, b']') => self.skip_to(Self::AfterArray),
            (Self::Array { .. }, b',' | b']' | b'}' | b':') => Step::Misplaced("a record is missing in the array"),
            (Self::Array { .. }, _) => {
                let step = unless_cut(frame::value(bytes, false), at_end);
                if matches!(step, Step::Record(_)) {
                    *self = Self::AfterRecord;
                }
                step
            }
            (Self::AfterRecord, b',') => self.skip_to(Self::Array { first: false }),
            (Self::AfterRecord, _) => Step::Misplaced("behind a record of the array comes `,` or `]`"),
            (Self::AfterArray, _) => Step::Misplaced("something stands behind the array"),
        }
    }

    fn skip_to(&mut self, next: Self) -> Step {
        *self = next;
        Step::Skip(1)
    }

    fn end(self, at_end: bool) -> Step {
        match self {
            _ if !at_end => Step::More,
            Self::Array { .. } | Self::AfterRecord => Step::Open("the JSON array"),
            Self::Start | Self::Lines | Self::AfterArray => Step::End,
        }
    }
}

fn lines(bytes: &[u8], at_end: bool) -> Step {
    let broken = |from| frame::resume(bytes, from, at_end).map_or(Step::More, Step::Lines);
    if bytes[0] != b'{' {
        return broken(0);
    }
    match frame::value(bytes, true) {
        Frame::Broken(end) => broken(end),
        frame => unless_cut(frame, at_end),
    }
}

fn unless_cut(frame: Frame, at_end: bool) -> Step {
    match frame {
        Frame::Value(end) => Step::Record(end),
        _ if at_end => Step::Open("a JSON value that starts here"),
        _ => Step::More,
    }
}
