//! [`Lines`]: rows that are written from text which a file has already, for the relays.

use std::ops::Range;
use std::sync::Arc;

use super::cells::json_key;
use super::csv::{self, NULL_DECODED};
use super::room::{Key, Room, WINDOW};
use super::{Unfit, escape, json};
use crate::model::{Column, WireFormat};

/// How rows of these columns are laid out.
#[derive(Debug)]
pub(crate) struct Layout {
    wire: WireFormat,
    /// What stands in front of each value.
    keys: Vec<Key>,
    row_bytes_max: usize,
}

impl Layout {
    pub(crate) fn new(wire: WireFormat, columns: &[Column]) -> Self {
        let key = |(index, column): (usize, &Column)| match wire {
            WireFormat::Csv => Key::default(),
            WireFormat::Json => Key::new(&json_key(index, &column.name)),
        };
        let keys: Vec<Key> = columns.iter().enumerate().map(key).collect();
        let row_bytes_max = keys.iter().map(|key| key.bytes() + WINDOW).sum();
        Self { wire, keys, row_bytes_max }
    }

    /// Goes on behind these rows.
    pub(crate) fn behind(self: &Arc<Self>, rows: Vec<u8>) -> Lines {
        let room = Room::new(rows, self.row_bytes_max);
        Lines { at: room.at(), room, layout: Arc::clone(self) }
    }
}

/// Rows that grow. Each is [started](Self::start), written, and ended; one that is not ended is forgotten.
#[derive(Debug)]
pub(crate) struct Lines {
    layout: Arc<Layout>,
    room: Room,
    /// Where the row goes on.
    at: usize,
}

impl Lines {
    /// The rows that have ended.
    pub(crate) fn end(self) -> Vec<u8> {
        self.room.end()
    }

    /// Starts a row.
    #[inline]
    pub(crate) fn start(&mut self) {
        self.at = self.room.at();
        self.room.reserve(self.at, 0);
    }

    /// Ends a row but for its line end, and says where the next one starts.
    #[inline]
    pub(crate) fn end_line(&mut self) -> usize {
        self.at = self.room.put(self.at, [b'\n']);
        self.room.keep(self.at);
        self.at
    }

    /// Ends a row that was written field by field, and says where the next one starts.
    #[inline]
    pub(crate) fn end_fields(&mut self) -> usize {
        match self.layout.wire {
            // In place of what is behind the last field.
            WireFormat::Csv => self.at -= 1,
            WireFormat::Json => self.at = self.room.put(self.at, [b'}']),
        }
        self.end_line()
    }

    /// Adds rows as they are, and says where they start.
    pub(crate) fn add_rows(&mut self, around: &[u8], rows: Range<usize>) -> usize {
        let start = self.room.at();
        let end = self.room.put_long(start, &around[rows]);
        self.room.keep(end);
        start
    }

    /// Writes what stands in front of the value of the column at `index`.
    #[inline]
    pub(crate) fn before(&mut self, index: usize) {
        if self.layout.wire == WireFormat::Json {
            self.at = self.layout.keys[index].put(&mut self.room, self.at);
        }
    }

    /// Writes what stands behind any value.
    #[inline]
    pub(crate) fn behind(&mut self) {
        if self.layout.wire == WireFormat::Csv {
            self.at = self.room.put(self.at, [b',']);
        }
    }

    /// Writes a part of a text as it is.
    #[inline]
    pub(crate) fn copy(&mut self, around: &[u8], text: Range<usize>) {
        self.at = self.room.put_copy(self.at, around, text);
    }

    /// The same between quotes, for a text of which no byte has to be escaped.
    #[inline]
    pub(crate) fn string(&mut self, around: &[u8], text: Range<usize>) {
        self.at = self.room.put(self.at, [b'"']);
        self.copy(around, text);
        self.at = self.room.put(self.at, [b'"']);
    }

    /// Writes a part of a text as a text, whose quotes may be doubled as CSV has them.
    ///
    /// # Errors
    /// When the format cannot carry it.
    #[inline]
    pub(crate) fn text(&mut self, around: &[u8], text: Range<usize>, doubled: bool) -> Result<(), Unfit> {
        self.at = match self.layout.wire {
            WireFormat::Csv if around[text.clone()] == *NULL_DECODED => return Err(Unfit),
            WireFormat::Csv => self.room.put_quoted::<escape::Csv>(self.at, around, text, doubled),
            WireFormat::Json => self.room.put_quoted::<escape::Json>(self.at, around, text, doubled),
        };
        Ok(())
    }

    /// Writes the value of a JSON column: a document on one line.
    ///
    /// # Errors
    /// When the format cannot carry it.
    pub(crate) fn document(&mut self, document: &str) -> Result<(), Unfit> {
        let document = document.as_bytes();
        self.at = match self.layout.wire {
            WireFormat::Csv => self.room.put_whole::<escape::Csv>(self.at, document),
            // The server could not tell it from NULL.
            WireFormat::Json if *document == json::NULL => return Err(Unfit),
            WireFormat::Json => self.room.put_long(self.at, document),
        };
        Ok(())
    }

    #[inline]
    pub(crate) fn null(&mut self) {
        self.at = match self.layout.wire {
            WireFormat::Csv => self.room.put(self.at, csv::NULL),
            WireFormat::Json => self.room.put(self.at, json::NULL),
        };
    }

    /// Writes what is made elsewhere.
    ///
    /// # Errors
    /// Those of whoever makes it.
    pub(crate) fn made<E>(&mut self, make: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let mut result = Ok(());
        self.at = self.room.put_made(self.at, |out| result = make(out));
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<Column> {
        vec![
            Column::new("a".to_owned(), "INT".parse().unwrap()),
            Column::new("b".to_owned(), "STRING".parse().unwrap()),
        ]
    }

    fn written(wire: WireFormat) -> String {
        let mut lines = Arc::new(Layout::new(wire, &columns())).behind(b"before\n".to_vec());
        let source = br#"1,"say ""no"" \ now",2024-01-31"#;
        let mut row = |text: &dyn Fn(&mut Lines)| {
            lines.start();
            lines.before(0);
            lines.copy(source, 0..1);
            lines.behind();
            lines.before(1);
            text(&mut lines);
            lines.behind();
            lines.end_fields()
        };
        let first = row(&|lines| lines.text(source, 3..19, true).unwrap());
        row(&|lines| lines.null());
        row(&|lines| lines.string(source, 21..31));
        let made = |out: &mut Vec<u8>| {
            out.extend_from_slice(b"made");
            Ok::<_, Unfit>(())
        };
        let last = row(&|lines| lines.made(made).unwrap());
        // Not ended, and so not there.
        lines.start();
        lines.copy(source, 0..source.len());
        let start = lines.add_rows(b"x,y\nz,z\n", 4..8);
        let text = String::from_utf8(lines.end()).unwrap();
        assert_eq!((last, text.lines().take(2).map(|line| line.len() + 1).sum()), (start, first));
        text
    }

    #[test]
    fn rows_are_laid_out_as_the_format_has_them() {
        assert_eq!(
            written(WireFormat::Csv),
            "before\n1,\"say \\\"no\\\" \\\\ now\"\n1,\\\\N\n1,\"2024-01-31\"\n1,made\nz,z\n"
        );
        assert_eq!(
            written(WireFormat::Json),
            "before\n{\"a\":1,\"b\":\"say \\\"no\\\" \\\\ now\"}\n{\"a\":1,\"b\":null}\n{\"a\":1,\"b\":\"2024-01-31\"}\n\
             {\"a\":1,\"b\":made}\nz,z\n"
        );
    }

    #[test]
    fn what_csv_takes_for_null_is_no_text() {
        for (wire, expected) in [(WireFormat::Csv, Err(Unfit)), (WireFormat::Json, Ok(()))] {
            let mut lines = Arc::new(Layout::new(wire, &columns())).behind(Vec::new());
            lines.start();
            assert_eq!(lines.text(br"\N", 0..2, false), expected);
        }
    }
}
