//! [`describe`]: what a file holds, as a table definition.

use std::path::Path;

use tokio::runtime::Handle;

use super::Error;
use crate::reader::probe;
use crate::source;
use crate::target::ddl;

/// A file's schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Which file it is and how it is written, in words.
    pub input: String,
    /// The CREATE TABLE statement that fits it.
    pub ddl: String,
}

/// Looks at the head of an input. `table` is `name` or `database.name`; by default the file's name is taken.
///
/// # Errors
/// When the input cannot be found or read, or its columns make no table.
///
/// # Panics
/// Outside a multi-threaded tokio runtime.
pub fn describe(input: &str, reading: &probe::Options, table: Option<&str>) -> Result<Described, Error> {
    tokio::task::block_in_place(|| {
        let inputs = source::list(&[input.to_owned()])?;
        let first = inputs.first().expect("a list of inputs is never empty");
        let opened = source::open(first, &Handle::current())?;
        let probed = probe::probe(&first.path, opened, reading)?;
        let columns = probed.infer()?;
        let name = table.map_or_else(|| table_name(&first.path), str::to_owned);
        let (database, name) = name.split_once('.').map_or((None, name.as_str()), |(d, t)| (Some(d), t));
        let ddl = ddl::create_table(database, name, &columns)?;
        let path = first.path.display();
        let which = match inputs.len() {
            1 => path.to_string(),
            several => format!("{path}, the first of {several} inputs"),
        };
        Ok(Described { input: format!("{which}: {}", probed.describe()), ddl })
    })
}

/// The file's name up to its first point, with letters, digits and `_` alone.
fn table_name(path: &Path) -> String {
    if path == Path::new("-") {
        return "stdin".to_owned();
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    let clean: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if clean.starts_with(|c: char| c.is_ascii_alphabetic()) { clean } else { format!("t_{clean}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_called_as_its_file() {
        for (path, name) in
            [("a/airports.csv", "airports"), ("flights-2k.json.gz", "flights_2k"), ("-", "stdin"), ("1.csv", "t_1")]
        {
            assert_eq!(table_name(Path::new(path)), name);
        }
    }
}
