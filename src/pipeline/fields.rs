//! [`Check`]: what is to be done with a field of CSV on its way to a row, and how it is done.

use std::ops::Range;

use super::canonical;
use super::kind::{Kind, Odd};
use crate::encoder::Lines;
use crate::model::{Column, WireFormat};
use crate::reader::cast;
use crate::reader::csv::{self, Dialect, Form, Span, Target, Walk};

/// A column, as the relay sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) kind: Kind,
    pub(super) nullable: bool,
    /// Whether the empty field is the empty text there.
    pub(super) empty_is_text: bool,
    /// Which field of the record it is, from 0.
    pub(super) source: usize,
    /// Whether a value that is no text stands in quotes on the wire.
    in_quotes: bool,
}

impl Field {
    pub(super) fn new(kind: Kind, column: &Column, target: &Target, wire: WireFormat) -> Self {
        let is_text = matches!(kind, Kind::Text(_));
        Self {
            kind,
            nullable: column.nullable,
            empty_is_text: target.empty_is_text,
            source: target.field,
            in_quotes: !is_text && kind.is_string(wire),
        }
    }
}

/// What is to be done with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It travels as it is. A text keeps its quotes.
    AsItIs,
    /// It travels as it is, in quotes.
    InQuotes,
    /// It is NULL.
    Null,
    /// It is a text to be escaped anew.
    Text,
    /// It is a document.
    Document,
    /// It is to be written anew.
    Anew,
}

/// A field without its quotes.
fn inner(span: Span) -> Range<usize> {
    span.start..span.end
}

/// A field with its quotes.
#[inline]
pub(super) fn outer(span: Span) -> Range<usize> {
    let quote = usize::from(span.form != Form::Plain);
    span.start - quote..span.end + quote
}

/// How the fields of a block are looked at.
#[derive(Clone, Copy)]
pub(super) struct Check<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) walk: &'a Walk,
    pub(super) dialect: &'a Dialect,
    /// Texts may travel as they are written.
    pub(super) texts_travel: bool,
}

impl Check<'_> {
    /// What stands for NULL.
    pub(super) fn null(&self) -> &[u8] {
        self.dialect.null.as_deref().unwrap_or_default().as_bytes()
    }

    #[inline]
    fn is_null(&self, field: &Field, span: Span) -> bool {
        let null = self.null();
        span.form == Form::Plain
            && span.end - span.start == null.len()
            && !field.empty_is_text
            && (null.is_empty() || self.bytes[inner(span)] == *null)
    }

    /// What is to be done with a field.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "two loops share it, and each runs per field")]
    pub(super) fn verdict(&self, field: &Field, span: Span) -> Result<Verdict, Odd> {
        let text = &self.bytes[inner(span)];
        if self.is_null(field, span) {
            return if field.nullable { Ok(Verdict::Null) } else { Err(Odd) };
        }
        match field.kind {
            Kind::Text(bytes_max) if text.len() > bytes_max => Err(Odd),
            Kind::Text(_) => Ok(if self.travels(span) { Verdict::AsItIs } else { Verdict::Text }),
            Kind::Document => Ok(Verdict::Document),
            _ if span.form == Form::Escaped => Err(Odd),
            kind => {
                let odd = self.walk.not_digits(self.bytes, span.start, span.end);
                Ok(match kind.is_canonical(canonical::Field { text, odd }) {
                    true if field.in_quotes => Verdict::InQuotes,
                    true => Verdict::AsItIs,
                    false => Verdict::Anew,
                })
            }
        }
    }

    /// Whether a text may travel with the quotes that it has or has not.
    #[inline]
    pub(super) fn travels(&self, span: Span) -> bool {
        let text = &self.bytes[inner(span)];
        self.texts_travel
            && travels(text, span.form)
            && !(self.walk.is_careful() && self.walk.has_backslash_in(self.bytes, span.start, span.end))
            // Elsewhere they are around fields, or doubled.
            && !(self.walk.is_exact() && memchr::memchr(b'"', text).is_some())
    }

    /// Writes a field.
    #[inline]
    pub(super) fn write(&self, field: &Field, span: Span, verdict: Verdict, lines: &mut Lines) -> Result<(), Odd> {
        match verdict {
            Verdict::AsItIs if matches!(field.kind, Kind::Text(_)) => lines.copy(self.bytes, outer(span)),
            Verdict::AsItIs => lines.copy(self.bytes, inner(span)),
            Verdict::InQuotes => lines.string(self.bytes, inner(span)),
            Verdict::Null => lines.null(),
            Verdict::Text if span.form != Form::Escaped => lines.text(self.bytes, inner(span), false)?,
            Verdict::Text if self.dialect.escape.is_none() && self.dialect.quote == Some(b'"') => {
                lines.text(self.bytes, inner(span), true)?;
            }
            Verdict::Text => {
                let text = csv::value(self.bytes, span, self.dialect);
                std::str::from_utf8(&text).map_err(|_| Odd)?;
                lines.text(&text, 0..text.len(), false)?;
            }
            Verdict::Document => {
                let text = csv::value(self.bytes, span, self.dialect);
                lines.document(&compact(&text)?)?;
            }
            Verdict::Anew => lines.made(|out| {
                out.extend(field.in_quotes.then_some(b'"'));
                let written = field.kind.write_anew(&self.bytes[inner(span)], out);
                out.extend(field.in_quotes.then_some(b'"'));
                written
            })?,
        }
        Ok(())
    }

    /// Writes a field that fits its column and is no escaped one.
    #[inline]
    pub(super) fn write_fitting(&self, field: &Field, span: Span, lines: &mut Lines) {
        match field.kind {
            _ if self.is_null(field, span) => lines.null(),
            Kind::Text(_) if self.travels(span) => lines.copy(self.bytes, outer(span)),
            Kind::Text(_) => lines.text(self.bytes, inner(span), false).expect("it was seen to be a text that fits"),
            _ if field.in_quotes => lines.string(self.bytes, inner(span)),
            _ => lines.copy(self.bytes, inner(span)),
        }
    }
}

/// A document without the blanks between its parts.
pub(super) fn compact(document: &[u8]) -> Result<String, Odd> {
    let mut compact = String::new();
    cast::compact(std::str::from_utf8(document).map_err(|_| Odd)?, &mut compact).map_err(|_| Odd)?;
    Ok(compact)
}

/// Whether a text may travel with the quotes that it has or has not. Without them it must not be blank, for a blank row is
/// skipped, and must not start or end in a space or a CR, which settings of the load or the end of a line might take off.
#[inline]
fn travels(text: &[u8], form: Form) -> bool {
    match (form, text) {
        (Form::Quoted, _) => true,
        (Form::Escaped, _) | (_, []) => false,
        (_, [single]) => *single > b' ',
        (_, [first, .., last]) => *first > b' ' && *last > b' ',
    }
}
