//! [`RejectsWriter`]: the rows of a job that were set aside, as files that people repair and import again.
//!
//! ```text
//!  <dir>/<job>/orders.csv.rejects.csv     the records as they were read, behind the input's header
//!  <dir>/<job>/orders.csv.reasons.jsonl   one object for each of them, in the same order
//! ```
//!
//! A file comes into being with its first reject: no file means no rejects. A new run replaces what an earlier one left
//! under the same name. Rejects count as delivered once [`finish`](RejectsWriter::finish) has returned: then they are on the
//! disk (ROWS-1).

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::model::{JobId, Reject};

/// Rejects could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written (at byte {bytes})", path.display())]
pub struct RejectsError {
    /// The file or folder.
    pub path: PathBuf,
    /// How many bytes had gone into it.
    pub bytes: u64,
    /// What the system says.
    pub source: io::Error,
}

impl Failure for RejectsError {
    fn code(&self) -> Code {
        Code::RejectsUnwritable
    }

    fn hint(&self) -> Option<String> {
        Some(match self.source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "make room, or name another folder with `--rejects DIR`, and run the import again".into()
            }
            _ => "name a folder that can be written to with `--rejects DIR`".into(),
        })
    }
}

/// Writes the rejects of one job.
pub struct RejectsWriter {
    folder: PathBuf,
    job: JobId,
    files: Vec<Files>,
    /// For each input the index of its files.
    inputs: HashMap<PathBuf, usize>,
    /// The names given away, in lower case: some file systems do not tell cases apart.
    names: HashMap<String, PathBuf>,
}

/// The two files of one input.
struct Files {
    records: Target,
    reasons: Target,
}

/// A file, and what to say when it fails.
struct Target {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
}

/// A line of the reasons. Its field names are a contract.
#[derive(Serialize)]
struct Reason<'a> {
    code: &'a str,
    file: &'a str,
    line: u64,
    byte: u64,
    column: Option<&'a str>,
    value: Option<&'a str>,
    rule: &'a str,
}

impl RejectsWriter {
    /// Prepares to write below `folder`. Nothing is created yet.
    #[must_use]
    pub fn new(folder: &Path, job: &JobId) -> Self {
        let folder = folder.join(job.as_str());
        Self { folder, job: job.clone(), files: Vec::new(), inputs: HashMap::new(), names: HashMap::new() }
    }

    /// The folder with the job's files, if there are any.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        (!self.files.is_empty()).then_some(self.folder.as_path())
    }

    /// The job it writes for.
    #[must_use]
    pub fn job(&self) -> &JobId {
        &self.job
    }

    /// Appends rejects of `input`. The records go into a file with the ending `extension` (`csv`, `tsv`, `ndjson`), which
    /// starts with `header` if there is one.
    ///
    /// # Errors
    /// When a file cannot be created or written.
    pub fn write(
        &mut self,
        input: &Path,
        extension: &str,
        header: Option<&[u8]>,
        rejects: &[Reject],
    ) -> Result<(), RejectsError> {
        self.append(input, input, extension, header, rejects)
    }

    /// Appends rejects of which the records are not to be had any more, and that are JSON objects of their values instead:
    /// into files of their own beside those of [`write`](Self::write).
    ///
    /// # Errors
    /// When a file cannot be created or written.
    pub fn write_values(&mut self, input: &Path, rejects: &[Reject]) -> Result<(), RejectsError> {
        let name = if input.as_os_str() == "-" { "stdin".into() } else { input.to_string_lossy() };
        let beside = PathBuf::from(format!("{name}.values"));
        self.append(&beside, input, "ndjson", None, rejects)
    }

    fn append(
        &mut self,
        own: &Path,
        input: &Path,
        extension: &str,
        header: Option<&[u8]>,
        rejects: &[Reject],
    ) -> Result<(), RejectsError> {
        if rejects.is_empty() {
            return Ok(());
        }
        let index = match self.inputs.get(own) {
            Some(index) => *index,
            None => self.create(own, extension, header)?,
        };
        let files = &mut self.files[index];
        let file = input.to_string_lossy();
        for reject in rejects {
            files.records.line(&reject.raw)?;
            let reason = Reason {
                code: reject.rule.code,
                file: &file,
                line: reject.origin.line,
                byte: reject.origin.byte,
                column: reject.column.as_deref(),
                value: reject.value.as_deref(),
                rule: &reject.rule.text,
            };
            let line = serde_json::to_vec(&reason).map_err(|error| files.reasons.failed(error.into()))?;
            files.reasons.line(&line)?;
        }
        Ok(())
    }

    fn create(&mut self, input: &Path, extension: &str, header: Option<&[u8]>) -> Result<usize, RejectsError> {
        fs::create_dir_all(&self.folder).map_err(|source| RejectsError {
            path: self.folder.clone(),
            bytes: 0,
            source,
        })?;
        let name = self.name(input);
        let mut records = Target::create(self.folder.join(format!("{name}.rejects.{extension}")))?;
        if let Some(header) = header {
            records.line(header)?;
        }
        let reasons = Target::create(self.folder.join(format!("{name}.reasons.jsonl")))?;
        self.files.push(Files { records, reasons });
        let index = self.files.len() - 1;
        self.inputs.insert(input.to_owned(), index);
        Ok(index)
    }

    /// A file name for an input: its own, if that is free, else with as many of its folders in front as it takes.
    fn name(&mut self, input: &Path) -> String {
        let parts: Vec<String> = input
            .components()
            .filter_map(|part| match part {
                std::path::Component::Normal(name) => Some(clean(&name.to_string_lossy())),
                _ => None,
            })
            .collect();
        let candidates = (0..parts.len()).rev().map(|from| parts[from..].join("__"));
        // One number more than there are names: one of them is free.
        let numbered = (2..=self.names.len() + 2).map(|number| format!("{}~{number}", parts.join("__")));
        let standard = if input.as_os_str() == "-" { Some("stdin".to_owned()) } else { None };
        let mut all = standard.into_iter().chain(candidates).chain(numbered);
        let free = all.find(|name| name.len() <= NAME_BYTES_MAX && !self.names.contains_key(&name.to_lowercase()));
        // What is too long for a file system has a number for a name.
        let name = free.unwrap_or_else(|| format!("input~{}", self.names.len() + 1));
        self.names.insert(name.to_lowercase(), input.to_owned());
        name
    }

    /// Writes out what is buffered, so that it survives the death of this process.
    ///
    /// # Errors
    /// When the system does not take it.
    pub fn flush(&mut self) -> Result<(), RejectsError> {
        for files in &mut self.files {
            for target in [&mut files.records, &mut files.reasons] {
                let flushed = target.file.flush();
                flushed.map_err(|error| target.failed(error))?;
            }
        }
        Ok(())
    }

    /// Writes out what is buffered, and waits until the disk has it. Returns the files with records, sorted.
    ///
    /// # Errors
    /// When the system cannot keep them.
    pub fn finish(self) -> Result<Vec<PathBuf>, RejectsError> {
        let mut paths = Vec::new();
        for files in self.files {
            paths.push(files.records.finish()?);
            files.reasons.finish()?;
        }
        if !paths.is_empty() {
            sync_folder(&self.folder)?;
        }
        paths.sort();
        Ok(paths)
    }
}

/// The longest name before the endings: file systems take 255 bytes.
const NAME_BYTES_MAX: usize = 200;

/// A part of a path that is a file name everywhere.
fn clean(part: &str) -> String {
    part.chars()
        .map(|letter| if letter.is_control() || "/\\:*?\"<>|".contains(letter) { '_' } else { letter })
        .collect()
}

/// A new file survives a crash only when its folder does: the entry is the folder's.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<(), RejectsError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| RejectsError { path: folder.to_owned(), bytes: 0, source })
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<(), RejectsError> {
    Ok(())
}

impl Target {
    fn create(path: PathBuf) -> Result<Self, RejectsError> {
        match File::create(&path) {
            Ok(file) => Ok(Self { path, file: BufWriter::new(file), bytes: 0 }),
            Err(source) => Err(RejectsError { path, bytes: 0, source }),
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), RejectsError> {
        let written = self.file.write_all(line).and_then(|()| self.file.write_all(b"\n"));
        written.map_err(|source| self.failed(source))?;
        self.bytes += line.len() as u64 + 1;
        Ok(())
    }

    fn finish(mut self) -> Result<PathBuf, RejectsError> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(|source| self.failed(source))?;
        Ok(self.path)
    }

    fn failed(&self, source: io::Error) -> RejectsError {
        RejectsError { path: self.path.clone(), bytes: self.bytes, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Origin, Rule};

    fn reject(line: u64, raw: &str) -> Reject {
        Reject {
            origin: Origin { line, byte: line * 10 },
            column: Some("amount".into()),
            value: Some("1,204.50".into()),
            rule: Rule { code: "not-a-number", text: "an INT is digits".into() },
            raw: raw.as_bytes().to_vec(),
        }
    }

    fn read(path: impl AsRef<Path>) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn records_stand_behind_the_header_and_reasons_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = RejectsWriter::new(folder.path(), &"job-1".parse().unwrap());
        let input = Path::new("data/orders.csv");
        writer.write(input, "csv", Some(b"id,amount"), &[reject(3, "1,\"1,204.50\"")]).unwrap();
        writer.write(input, "csv", Some(b"id,amount"), &[reject(9, "2,x")]).unwrap();
        assert_eq!(writer.folder(), Some(folder.path().join("job-1").as_path()));
        let paths = writer.finish().unwrap();
        assert_eq!(paths, [folder.path().join("job-1/orders.csv.rejects.csv")]);
        assert_eq!(read(&paths[0]), "id,amount\n1,\"1,204.50\"\n2,x\n");
        let reasons = read(folder.path().join("job-1/orders.csv.reasons.jsonl"));
        assert_eq!(
            reasons.lines().next().unwrap(),
            r#"{"code":"not-a-number","file":"data/orders.csv","line":3,"byte":30,"column":"amount","value":"1,204.50","rule":"an INT is digits"}"#
        );
        assert_eq!(reasons.lines().count(), 2);
    }

    #[test]
    fn without_rejects_there_is_no_file_and_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = RejectsWriter::new(folder.path(), &"job-1".parse().unwrap());
        writer.write(Path::new("a.csv"), "csv", Some(b"id"), &[]).unwrap();
        assert_eq!(writer.folder(), None);
        assert!(writer.finish().unwrap().is_empty());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_new_run_replaces_what_an_earlier_one_left() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["first and longer", "second"] {
            let mut writer = RejectsWriter::new(folder.path(), &"job".parse().unwrap());
            writer.write(Path::new("a.json"), "ndjson", None, &[reject(1, text)]).unwrap();
            writer.finish().unwrap();
        }
        assert_eq!(read(folder.path().join("job/a.json.rejects.ndjson")), "second\n");
    }

    #[test]
    fn inputs_of_one_name_get_files_of_their_own() {
        let mut writer = RejectsWriter::new(Path::new("x"), &"job".parse().unwrap());
        for (input, name) in [
            ("a/x.csv", "x.csv"),
            ("b/x.csv", "b__x.csv"),
            ("b__x.csv", "b__x.csv~2"),
            ("c/X.CSV", "c__X.CSV"),
            ("/d/../e/x.csv", "e__x.csv"),
            ("-", "stdin"),
            ("odd:na*me", "odd_na_me"),
        ] {
            assert_eq!(writer.name(Path::new(input)), name, "{input}");
        }
        let long = "y".repeat(300);
        assert!(writer.name(Path::new(&long)).len() < 200);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("job"), "a file in the way").unwrap();
        let mut writer = RejectsWriter::new(folder.path(), &"job".parse().unwrap());
        let error = writer.write(Path::new("a.csv"), "csv", None, &[reject(1, "x")]).unwrap_err();
        assert_eq!(error.code(), Code::RejectsUnwritable);
        assert!(error.to_string().contains("/job"), "{error}");
        assert!(error.hint().unwrap().contains("--rejects"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_with_path_and_byte() {
        let mut target = Target::create("/dev/full".into()).unwrap();
        target.line(b"abc").unwrap();
        let error = target.finish().unwrap_err();
        assert!(error.to_string().contains("/dev/full cannot be written (at byte 4)"), "{error}");
        assert!(error.hint().unwrap().contains("make room"));
    }
}
