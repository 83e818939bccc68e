//! What was rejected of a job, as its files tell it: [`Rejected`].

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The ending of files with reasons.
const REASONS: &str = ".reasons.jsonl";

/// The rejects of one job.
#[derive(Debug, Default, Serialize)]
pub struct Rejected {
    /// How many rows there are.
    pub rows: u64,
    /// The files with their reasons, and those with their records beside them.
    pub files: Vec<RejectedFile>,
    /// How many broke which rule, most first.
    pub reasons: Vec<ReasonCount>,
    /// The first few.
    pub first: Vec<Reason>,
}

/// The rejects of one input.
#[derive(Debug, Serialize)]
pub struct RejectedFile {
    /// The records as they were read, importable again; none where somebody moved them.
    pub records: Option<PathBuf>,
    /// Why each of them was rejected.
    pub reasons: PathBuf,
    /// How many there are.
    pub rows: u64,
}

/// How many rows broke a rule.
#[derive(Debug, Serialize)]
pub struct ReasonCount {
    /// The rule's name.
    pub code: String,
    /// The column it was about.
    pub column: Option<String>,
    /// The rule in words, as the first of them has it.
    pub rule: String,
    /// How many.
    pub rows: u64,
}

/// A line of the reasons.
#[derive(Debug, Deserialize, Serialize)]
pub struct Reason {
    /// The rule's name.
    pub code: String,
    /// The input.
    pub file: String,
    /// The line, or the row of a binary input, from 1.
    pub line: u64,
    /// The byte at which the record starts.
    pub byte: u64,
    /// The column.
    pub column: Option<String>,
    /// What stood in it.
    pub value: Option<String>,
    /// The rule in words.
    pub rule: String,
}

impl Rejected {
    /// Reads the files of a job's folder, and keeps the first few reasons. A line that cannot be read, such as the last one of
    /// a process that died, is counted and not told of.
    ///
    /// # Errors
    /// When the folder or a file cannot be read.
    pub fn read(folder: &Path, first_max: usize) -> io::Result<Self> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        let mut rejected = Self::default();
        let mut counts = BTreeMap::new();
        for name in &names {
            let Some(input) = name.strip_suffix(REASONS) else { continue };
            let records = names.iter().find(|other| other.starts_with(&format!("{input}.rejects.")));
            let reasons = folder.join(name);
            let rows = rejected.read_reasons(&reasons, first_max, &mut counts)?;
            rejected.rows += rows;
            rejected.files.push(RejectedFile { records: records.map(|name| folder.join(name)), reasons, rows });
        }
        rejected.reasons =
            counts.into_iter().map(|((code, column), (rule, rows))| ReasonCount { code, column, rule, rows }).collect();
        rejected.reasons.sort_by_key(|reason| std::cmp::Reverse(reason.rows));
        Ok(rejected)
    }

    fn read_reasons(
        &mut self,
        path: &Path,
        first_max: usize,
        counts: &mut BTreeMap<(String, Option<String>), (String, u64)>,
    ) -> io::Result<u64> {
        let mut rows = 0;
        for line in BufReader::new(File::open(path)?).split(b'\n') {
            rows += 1;
            let Ok(reason) = serde_json::from_slice::<Reason>(&line?) else { continue };
            let key = (reason.code.clone(), reason.column.clone());
            counts.entry(key).or_insert_with(|| (reason.rule.clone(), 0)).1 += 1;
            if self.first.len() < first_max {
                self.first.push(reason);
            }
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_by_rule_and_a_cut_last_line_is_no_hindrance() {
        let folder = tempfile::tempdir().unwrap();
        let line = |code: &str, line: u64| {
            format!(r#"{{"code":"{code}","file":"a.csv","line":{line},"byte":9,"column":"n","value":"x","rule":"r"}}"#)
        };
        let text = format!("{}\n{}\n{}\n{{\"code\":", line("digits", 2), line("range", 3), line("range", 4));
        fs::write(folder.path().join("a.csv.reasons.jsonl"), text).unwrap();
        fs::write(folder.path().join("a.csv.rejects.csv"), "n\nx\n").unwrap();
        let rejected = Rejected::read(folder.path(), 2).unwrap();
        assert_eq!(rejected.rows, 4);
        assert_eq!(rejected.files[0].records.as_deref(), Some(folder.path().join("a.csv.rejects.csv").as_path()));
        let counts: Vec<_> = rejected.reasons.iter().map(|reason| (reason.code.as_str(), reason.rows)).collect();
        assert_eq!(counts, [("range", 2), ("digits", 1)]);
        assert_eq!(rejected.first.iter().map(|reason| reason.line).collect::<Vec<_>>(), [2, 3]);
    }
}
