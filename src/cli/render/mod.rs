//! What people and programs see: results on stdout, everything else on stderr.

pub(super) mod jobs;
pub(super) mod plan;
mod profile;
pub(super) mod progress;
mod report;
mod rows;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write as _};

pub(super) use profile::text as profile_text;
pub(super) use report::{json as report_json, stillborn, text as report_text};
pub(super) use rows::{csv as csv_rows, json as json_rows, table};

use super::exit::Exit;
use crate::failure::Failure;

/// Writes a result to stdout; an empty one writes nothing. A reader that has gone away (`| head`) is no failure of ours.
pub(super) fn result(text: &str) {
    if text.is_empty() {
        return;
    }
    let written = {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}").and_then(|()| stdout.flush())
    };
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            line(&format!("warning: the result cannot be written: {error}"));
        }
        _ => {}
    }
}

/// Writes a line to stderr, above the progress bar where there is one.
pub(super) fn line(text: &str) {
    let text = without_control(text);
    progress::aside(|| {
        let _ = writeln!(io::stderr().lock(), "{text}");
    });
}

/// Spells out control characters: names and values come from files and servers, and a terminal obeys what it is sent.
fn without_control(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && c != '\n';
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let spelled = text.chars().map(|c| if obeyed(c) { c.escape_default().to_string() } else { c.to_string() });
    Cow::Owned(spelled.collect())
}

/// Tells something that a person should know.
pub(super) fn note(text: &str) {
    line(&format!("note: {text}"));
}

/// Tells a failure in its parts: what stopped, why, where, and what to do; returns the exit code.
pub(super) fn failure(error: &dyn Failure, place: Option<String>) -> Exit {
    line(&failure_text(error, place));
    Exit::of(error)
}

fn failure_text(error: &dyn Failure, place: Option<String>) -> String {
    let mut text = format!("error[{}]: {error}", error.code());
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, "\n  because: {cause}");
        source = cause.source();
    }
    if let Some(place) = place {
        let _ = write!(text, "\n  at: {place}");
    }
    if let Some(hint) = error.hint() {
        let _ = write!(text, "\n  hint: {hint}");
    }
    let _ = write!(text, "\n  more: shipload explain {}", error.code());
    text
}

/// A number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_from_a_file_gives_the_terminal_no_orders() {
        assert_eq!(without_control("a \u{1b}[2Jb\r\n  hint: ä"), "a \\u{1b}[2Jb\\r\n  hint: ä");
    }

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
