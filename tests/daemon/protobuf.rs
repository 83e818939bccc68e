//! Messages in protobuf, read without knowing what they are of.

/// A message: the numbers of its fields, and what is in them.
#[derive(Debug)]
pub(crate) struct Message(Vec<(u64, Field)>);

#[derive(Debug)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Message {
    /// Reads one; ends the test where it is none.
    pub(crate) fn read(mut bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let field = match key & 7 {
                0 => Field::Number(varint(&mut bytes)),
                1 => Field::Number(u64::from_le_bytes(cut(&mut bytes, 8).try_into().unwrap())),
                2 => {
                    let length = varint(&mut bytes).try_into().unwrap();
                    Field::Bytes(cut(&mut bytes, length).to_vec())
                }
                5 => Field::Number(u32::from_le_bytes(cut(&mut bytes, 4).try_into().unwrap()).into()),
                other => panic!("no wire type {other}"),
            };
            fields.push((key >> 3, field));
        }
        Self(fields)
    }

    fn all(&self, field: u64) -> impl Iterator<Item = &Field> {
        self.0.iter().filter(move |(number, _)| *number == field).map(|(_, field)| field)
    }

    /// The messages in a field.
    pub(crate) fn messages(&self, field: u64) -> Vec<Self> {
        self.bytes(field).iter().map(|bytes| Self::read(bytes)).collect()
    }

    pub(crate) fn bytes(&self, field: u64) -> Vec<Vec<u8>> {
        let bytes = |field: &Field| match field {
            Field::Bytes(bytes) => bytes.clone(),
            Field::Number(number) => panic!("{number} is no bytes"),
        };
        self.all(field).map(bytes).collect()
    }

    pub(crate) fn texts(&self, field: u64) -> Vec<String> {
        self.bytes(field).into_iter().map(|bytes| String::from_utf8(bytes).unwrap()).collect()
    }

    pub(crate) fn number(&self, field: u64) -> Option<u64> {
        self.all(field).next().map(|field| match field {
            Field::Number(number) => *number,
            Field::Bytes(bytes) => panic!("{bytes:?} is no number"),
        })
    }
}

/// Numbers one behind the other.
#[cfg(feature = "profiling")]
pub(crate) fn packed(mut bytes: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    while !bytes.is_empty() {
        numbers.push(varint(&mut bytes));
    }
    numbers
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = cut(bytes, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return value;
        }
    }
}

fn cut<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (first, rest) = bytes.split_at(length);
    *bytes = rest;
    first
}
