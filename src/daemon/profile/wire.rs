//! pprof's `profile.proto`, as far as samples of the CPU need it.

use std::collections::HashMap;
use std::time::Duration;

/// One call of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Call {
    pub(super) function: String,
    pub(super) file: String,
    pub(super) line: u64,
}

/// Samples, with every text, function and place once.
pub(super) struct Profile {
    period_nanos: u64,
    texts: Vec<String>,
    text_numbers: HashMap<String, u64>,
    functions: HashMap<(u64, u64), u64>,
    places: HashMap<(u64, u64), u64>,
    samples: Vec<u8>,
    made: Vec<u8>,
}

impl Profile {
    /// None yet, one taken every so often.
    pub(super) fn new(period_nanos: u64) -> Self {
        let mut profile = Self {
            period_nanos,
            texts: Vec::new(),
            text_numbers: HashMap::new(),
            functions: HashMap::new(),
            places: HashMap::new(),
            samples: Vec::new(),
            made: Vec::new(),
        };
        // The first one is the empty text, by the format's rule.
        profile.text("");
        profile
    }

    /// Adds a stack that was seen so often, the innermost call first.
    pub(super) fn add(&mut self, calls: &[Call], count: u64) {
        let mut places = Vec::new();
        for call in calls {
            varint(&mut places, self.place(call));
        }
        let mut values = Vec::new();
        varint(&mut values, count);
        varint(&mut values, count * self.period_nanos);
        let mut sample = Vec::new();
        bytes(&mut sample, 1, &places);
        bytes(&mut sample, 2, &values);
        bytes(&mut self.samples, 2, &sample);
    }

    /// All of it, as it was taken in so much time.
    pub(super) fn bytes(mut self, duration: Duration) -> Vec<u8> {
        let kinds = [("samples", "count"), ("cpu", "nanoseconds")].map(|(kind, unit)| self.kind(kind, unit));
        let mut whole = Vec::new();
        for kind in &kinds {
            bytes(&mut whole, 1, kind);
        }
        whole.extend_from_slice(&self.samples);
        whole.extend_from_slice(&self.made);
        for text in &self.texts {
            bytes(&mut whole, 6, text.as_bytes());
        }
        number(&mut whole, 10, u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        bytes(&mut whole, 11, &kinds[1]);
        number(&mut whole, 12, self.period_nanos);
        whole
    }

    fn kind(&mut self, kind: &str, unit: &str) -> Vec<u8> {
        let mut value = Vec::new();
        number(&mut value, 1, self.text(kind));
        number(&mut value, 2, self.text(unit));
        value
    }

    fn text(&mut self, text: &str) -> u64 {
        if let Some(known) = self.text_numbers.get(text) {
            return *known;
        }
        let new = self.texts.len() as u64;
        self.texts.push(text.to_owned());
        self.text_numbers.insert(text.to_owned(), new);
        new
    }

    fn place(&mut self, call: &Call) -> u64 {
        let key = (self.text(&call.function), self.text(&call.file));
        let new = self.functions.len() as u64 + 1;
        let function = *self.functions.entry(key).or_insert(new);
        if function == new {
            let mut message = Vec::new();
            for (field, value) in [(1, function), (2, key.0), (3, key.0), (4, key.1)] {
                number(&mut message, field, value);
            }
            bytes(&mut self.made, 5, &message);
        }
        let new = self.places.len() as u64 + 1;
        let place = *self.places.entry((function, call.line)).or_insert(new);
        if place == new {
            let (mut line, mut message) = (Vec::new(), Vec::new());
            number(&mut line, 1, function);
            number(&mut line, 2, call.line);
            number(&mut message, 1, place);
            bytes(&mut message, 4, &line);
            bytes(&mut self.made, 4, &message);
        }
        place
    }
}

fn varint(out: &mut Vec<u8>, value: u64) {
    let mut left = value;
    while left >= 0x80 {
        out.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is below 128")]
    out.push(left as u8);
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn bytes(out: &mut Vec<u8>, field: u64, content: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of a message: numbers, and the contents of the others.
    fn fields(mut message: &[u8]) -> Vec<(u64, Result<u64, Vec<u8>>)> {
        fn take(message: &mut &[u8]) -> u64 {
            let (mut value, mut shift) = (0, 0);
            loop {
                let (first, rest) = message.split_first().unwrap();
                *message = rest;
                value |= u64::from(first & 0x7f) << shift;
                shift += 7;
                if first & 0x80 == 0 {
                    return value;
                }
            }
        }
        let mut found = Vec::new();
        while !message.is_empty() {
            let key = take(&mut message);
            let value = take(&mut message);
            found.push((
                key >> 3,
                match key & 7 {
                    0 => Ok(value),
                    2 => {
                        let (content, rest) = message.split_at(usize::try_from(value).unwrap());
                        message = rest;
                        Err(content.to_vec())
                    }
                    other => panic!("wire type {other}"),
                },
            ));
        }
        found
    }

    #[test]
    fn stacks_share_their_texts_functions_and_places() {
        let call = |function: &str, line| Call { function: function.into(), file: "f.rs".into(), line };
        let mut profile = Profile::new(10_000_000);
        profile.add(&[call("inner", 3), call("outer", 300)], 2);
        profile.add(&[call("outer", 300)], 1);
        let whole = fields(&profile.bytes(Duration::from_secs(1)));
        let all = |field| whole.iter().filter(move |(one, _)| *one == field).map(|(_, value)| value.clone());
        let texts: Vec<String> = all(6).map(|text| String::from_utf8(text.unwrap_err()).unwrap()).collect();
        assert_eq!(texts, ["", "inner", "f.rs", "outer", "samples", "count", "cpu", "nanoseconds"]);
        assert_eq!((all(5).count(), all(4).count(), all(1).count()), (2, 2, 2));
        let samples: Vec<_> = all(2).map(|sample| fields(&sample.unwrap_err())).collect();
        assert_eq!(samples[0][0], (1, Err(vec![1, 2])));
        assert_eq!(samples[1], [(1, Err(vec![2])), (2, Err(vec![1, 0x80, 0xad, 0xe2, 0x04]))], "10,000,000 ns");
        assert_eq!((all(10).next(), all(12).next()), (Some(Ok(1_000_000_000)), Some(Ok(10_000_000))));
    }
}
