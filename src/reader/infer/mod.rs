//! Names and types from the first records of a text input.
//!
//! The types are those that a careful person would choose who has seen only these records: wide enough for what may
//! come, and never one that would change a value.
//!
//! - Integers are BIGINT, and LARGEINT beyond. INT would save four bytes a row, and reject the first large one.
//! - Numbers with a point or an exponent are DOUBLE, if a DOUBLE gives all of their digits back; else they stay text.
//! - `007` and `+49` are codes and no numbers. So is a number in the quotes of JSON.
//! - `true` and `false` are BOOLEAN; `0` and `1` are numbers.
//! - Days are DATE, times DATETIME; times with a zone stay text, because no column can hold the zone.
//! - JSON arrays of scalars of one type are ARRAY, everything else that nests is JSON.
//! - The rest is STRING, and so is a column without a value. All columns are nullable.

mod guess;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;

use crate::model::Column;

use super::Error;
use super::csv::{self, Dialect, Sample};
use super::json::{Objects, no_object};
use guess::Guess;

/// Tells the columns of a CSV text from its first records.
///
/// `sample` is the start of the input, and `at_end` says that it is all of it: a record that the sample cuts off does
/// not count. Records with another number of fields than the first do not either.
///
/// # Errors
/// When there is no record, or the first one cannot be the header it is said to be.
pub fn infer_csv(path: &Path, sample: &[u8], at_end: bool, dialect: &Dialect) -> Result<Vec<Column>, Error> {
    let names = csv::fields(path, sample, at_end, dialect)?;
    if dialect.header {
        check_names(path, &names)?;
    }
    let mut guesses = vec![Guess::default(); names.len()];
    let records = Sample::new(sample, at_end, dialect).skip(usize::from(dialect.header));
    for record in records.filter(|record| !record.malformed && record.fields.len() == names.len()) {
        for (guess, field) in guesses.iter_mut().zip(record.fields) {
            match field.text {
                Some(_) if field.null => {}
                Some(text) => guess.see_text(&text),
                None => guess.see_other(),
            }
        }
    }
    Ok(columns(names, &guesses))
}

/// Tells the columns of JSON records from the first of them: their keys, in the order they are first seen.
///
/// # Errors
/// When there is no object with a key, or two keys that no table can tell apart.
pub fn infer_json(path: &Path, sample: &[u8], at_end: bool) -> Result<Vec<Column>, Error> {
    let mut names = Vec::new();
    let mut places = HashMap::new();
    let mut guesses: Vec<Guess> = Vec::new();
    for (key, value) in Objects::new(sample, at_end).flatten() {
        let place = *places.entry(key).or_insert_with_key(|key| {
            names.push(key.to_string());
            guesses.push(Guess::default());
            guesses.len() - 1
        });
        guesses[place].see_json(value);
    }
    if names.is_empty() {
        return Err(no_object(path, sample, at_end));
    }
    if let Some(twice) = twice(&names) {
        let what = format!("the keys `{}` and `{}` differ only in case, and columns do not", twice.0, twice.1);
        let hint = "create the table yourself and name its columns with `--columns`".into();
        return Err(Error::SchemaUnclear { path: path.to_owned(), what, hint });
    }
    Ok(columns(names, &guesses))
}

fn columns(names: Vec<String>, guesses: &[Guess]) -> Vec<Column> {
    names.into_iter().zip(guesses).map(|(name, guess)| Column::new(name, guess.ty())).collect()
}

/// No column has a longer name: 1024 is what the server takes.
const NAME_BYTES_MAX: usize = 1024;

/// Refuses a first record that is hardly a header.
fn check_names(path: &Path, names: &[String]) -> Result<(), Error> {
    let what = if let Some(index) = names.iter().position(|name| name.trim().is_empty()) {
        format!("field {} of the header has no name", index + 1)
    } else if let Some((index, name)) = names.iter().enumerate().find(|(_, name)| name.len() > NAME_BYTES_MAX) {
        format!("field {} of the header has {} bytes, more than any name", index + 1, name.len())
    } else if let Some((one, other)) = twice(names) {
        format!("the header names `{one}` and `{other}`, which are one column")
    } else if names.iter().all(|name| name.parse::<f64>().is_ok()) {
        "the first record is nothing but numbers, and no header".to_owned()
    } else {
        return Ok(());
    };
    let hint = "if the first record is data, say `--no-csv-header`; else correct the header".into();
    Err(Error::SchemaUnclear { path: path.to_owned(), what, hint })
}

/// Two names that are one column: the target does not tell upper from lower case.
fn twice(names: &[String]) -> Option<(&str, &str)> {
    let mut seen = HashMap::new();
    names.iter().find_map(|name| seen.insert(name.to_lowercase(), name).map(|first| (first.as_str(), name.as_str())))
}
