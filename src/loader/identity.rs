//! What a job is, whoever runs it and whenever: its name, its fingerprint, its labels.
//!
//! The labels of a job follow from the target, the settings that decide how rows are cut, and the inputs' contents, by
//! nothing but arithmetic. Two people who run the same import get the same labels, and the server lets one of them load.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::error::Error;
use super::spec::{Check, CommitScope, JobSpec};
use crate::journal::JobEntry;
use crate::model::{JobId, Label};
use crate::source::{self, Input};

/// The prefix of every label: it tells our loads from everybody else's.
const LABEL_PREFIX: &str = "shipload";

/// Hex digits of the fingerprint that go into names: 64 bits.
const FINGERPRINT_DIGITS: usize = 16;

/// The longest part of a table's name in a derived job name, in bytes.
const TABLE_BYTES_MAX: usize = 48;

/// A job, told apart from every other.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Identity {
    pub(super) job: JobId,
    pub(super) fingerprint: String,
    /// Whether an input can be read only once, so that its content is not part of the fingerprint.
    pub(super) stream: bool,
    /// The inputs' paths: absolute, so that they mean the same from every folder.
    pub(super) paths: Arc<[String]>,
    named: bool,
}

/// The jobs that a request may turn out to be: one, or two where it is left open what is committed at once. A job that is
/// committed as a whole is another one than the same committed load by load, because its chunks are other ones.
#[derive(Clone, Debug)]
pub(super) struct Candidates {
    /// The job as asked for; where that is left open, the one that is committed load by load.
    pub(super) first: Identity,
    /// The one that is committed as a whole, where that is left open.
    pub(super) whole: Option<Identity>,
}

impl Candidates {
    /// Works out what a job may be. `now` names one that reads a stream and was given no name: it is never the same as an
    /// earlier one.
    pub(super) fn of(spec: &JobSpec, inputs: &[Input], address: &str, now: SystemTime) -> Result<Self, Error> {
        let contents = match &spec.sha256 {
            Some(sha256) => vec![content_of(inputs, sha256)?],
            None => inputs.iter().map(content).collect::<Result<Vec<_>, _>>()?,
        };
        let identity = |whole| Identity::made_of(spec, inputs, &contents, address, now, whole);
        let whole = (spec.commit == CommitScope::Auto).then(|| identity(true));
        Ok(Self { first: identity(spec.commit == CommitScope::Job), whole })
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Identity> {
        std::iter::once(&self.first).chain(&self.whole)
    }
}

impl Identity {
    /// Works out what a job is. `now` names a job that reads a stream and was given no name: such a job is never the
    /// same as an earlier one.
    #[cfg(test)]
    fn of(spec: &JobSpec, inputs: &[Input], address: &str, now: SystemTime) -> Result<Self, Error> {
        Candidates::of(spec, inputs, address, now).map(|candidates| candidates.first)
    }

    fn made_of(
        spec: &JobSpec,
        inputs: &[Input],
        contents: &[serde_json::Value],
        address: &str,
        now: SystemTime,
        whole: bool,
    ) -> Self {
        let stream = inputs.iter().any(|input| input.bytes.is_none());
        let unique = (stream && spec.name.is_none()).then(|| (nanos(now), std::process::id()));
        let mut work = json!({
            "target": address,
            "inputs": contents,
            "format": spec.reading.format.map(|format| format.to_string()),
            "csv": format!("{:?}", spec.reading.csv),
            "columns": spec.columns,
            "filter": spec.filter,
            "headers": spec.headers,
            "wire": format!("{:?}", spec.wire),
            "load_bytes": spec.load_size.0,
            "unique": unique,
        });
        if let Some(group) = &spec.group {
            // Its rows become visible with those of other jobs, which no job by itself may decide.
            work["group"] = group.as_str().into();
        }
        if spec.check == Check::None {
            // What is not looked at is not written anew either.
            work["check"] = "none".into();
        }
        if whole {
            // Its chunks are other ones: a transaction takes no quoted CSV.
            work["commit"] = "job".into();
        }
        let digest = Sha256::digest(work.to_string().as_bytes());
        let fingerprint = hex(&digest)[..FINGERPRINT_DIGITS].to_owned();
        let job = match &spec.name {
            Some(name) => name.clone(),
            None => derived_name(address, &fingerprint),
        };
        let paths = inputs.iter().map(|input| absolute(&input.path)).collect();
        Self { job, fingerprint, stream, paths, named: spec.name.is_some() }
    }

    /// A job that the journal knows, whose inputs are not looked at.
    pub(super) fn known(entry: &JobEntry, spec: &JobSpec) -> Self {
        let (job, fingerprint) = (entry.job.clone(), entry.fingerprint.clone());
        let paths = spec.sources.iter().map(|source| absolute(Path::new(source))).collect();
        Self { job, fingerprint, stream: entry.stream, paths, named: spec.name.is_some() }
    }

    /// The paths of inputs that other work may have left half loaded. A stream's path says nothing about its content, and
    /// a given name says that this is other work.
    pub(super) fn guarded(&self) -> &[String] {
        if self.named || self.stream { &[] } else { &self.paths }
    }

    /// The label of one load: the same for the same rows, in every attempt and on every machine.
    pub(super) fn label(&self, run: u32, input: usize, sequence: u32, side: bool, digest: u64) -> Label {
        let mut text = format!("{LABEL_PREFIX}-{}", self.job);
        if self.named {
            // A name may be used for other work one day; the fingerprint keeps its labels apart.
            let _ = write!(text, "-{}", &self.fingerprint[..8]);
        }
        let _ = write!(text, "-{run}-{input}-{sequence}{}", if side { "j" } else { "" });
        if self.stream {
            // The fingerprint knows nothing of a stream's content, so each label answers for its own.
            let _ = write!(text, "-{:08x}", digest >> 32);
        }
        text.parse().expect("a job's name leaves room for the rest of the label")
    }
}

fn derived_name(address: &str, fingerprint: &str) -> JobId {
    let table = address.rsplit('/').next().unwrap_or_default();
    let table: String = table
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
        .take(TABLE_BYTES_MAX)
        .collect();
    format!("{table}-{fingerprint}").parse().expect("its letters are the allowed ones")
}

fn content(input: &Input) -> Result<serde_json::Value, Error> {
    if input.bytes.is_none() {
        return Ok(json!({ "stream": true }));
    }
    let path = absolute(&input.path);
    let sample = source::sample(input)?;
    Ok(json!({
        "path": path,
        "bytes": input.bytes,
        "modified": input.modified.map(nanos),
        "sample": hex(&sample),
    }))
}

/// The one input by its content alone, which has to be the one that is meant: its name may stand for that content.
fn content_of(inputs: &[Input], sha256: &str) -> Result<serde_json::Value, Error> {
    let [input] = inputs else { return Err(Error::NotOneInput { inputs: inputs.len() }) };
    let found = hex(&source::digest(input)?);
    if !found.eq_ignore_ascii_case(sha256) {
        let what = format!("its SHA-256 is {found} and not {sha256}");
        return Err(source::Error::Changed { path: input.path.clone(), what }.into());
    }
    Ok(json!({ "sha256": found }))
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    const ADDRESS: &str = "starrocks://fe1:8030/db/airports";

    fn spec(path: &Path) -> JobSpec {
        JobSpec::new(vec![path.display().to_string()], PathBuf::from("state"))
    }

    fn identity(spec: &JobSpec) -> Identity {
        let inputs = source::list(&spec.sources).unwrap();
        Identity::of(spec, &inputs, ADDRESS, SystemTime::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn the_same_work_has_the_same_labels_and_other_work_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, "a\n1\n").unwrap();
        let first = identity(&spec(&path));
        assert_eq!(first, identity(&spec(&path)));
        assert!(first.job.as_str().starts_with("airports-"));
        assert_eq!(first.label(0, 0, 1, false, 7), first.label(0, 0, 1, false, 8));
        assert_ne!(first.label(0, 0, 1, false, 7), first.label(0, 0, 1, true, 7));

        let mut other = spec(&path);
        other.load_size.0 += 1;
        assert_ne!(first, identity(&other));
        fs::write(&path, "a\n2\n").unwrap();
        assert_ne!(first, identity(&spec(&path)));
    }

    #[test]
    fn what_does_not_change_rows_or_cuts_does_not_change_the_job() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, "a\n1\n").unwrap();
        let mut other = spec(&path);
        other.memory.0 *= 2;
        other.parallel = Some(7);
        other.rejects_max = super::super::RejectLimit::Rows(9);
        assert_eq!(identity(&spec(&path)), identity(&other));
    }

    #[test]
    fn a_file_by_its_content_is_the_same_under_another_name_and_later() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let sha256 = hex(&Sha256::digest("a\n1\n"));
        let by_content = |path: &Path| JobSpec { sha256: Some(sha256.to_uppercase()), ..spec(path) };
        let (first, copy) = (file("a.csv", "a\n1\n"), file("b.csv", "a\n1\n"));
        assert_ne!(identity(&spec(&first)).job, identity(&spec(&copy)).job);
        let (one, other) = (identity(&by_content(&first)), identity(&by_content(&copy)));
        assert_eq!((&one.job, &one.fingerprint), (&other.job, &other.fingerprint));
        assert_eq!(one.label(0, 0, 1, false, 7), other.label(0, 0, 1, false, 7));

        let refused = |spec: &JobSpec| {
            let inputs = source::list(&spec.sources).unwrap();
            Identity::of(spec, &inputs, ADDRESS, SystemTime::UNIX_EPOCH).unwrap_err()
        };
        let changed = refused(&by_content(&file("a.csv", "a\n2\n")));
        assert!(matches!(changed, Error::Source(source::Error::Changed { .. })), "{changed}");
        let mut two = by_content(&first);
        two.sources.push(copy.display().to_string());
        assert!(matches!(refused(&two), Error::NotOneInput { inputs: 2 }));
    }

    #[test]
    fn what_is_left_open_is_one_of_the_two_jobs_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, "a\n1\n").unwrap();
        let of = |commit| {
            let spec = JobSpec { commit, ..spec(&path) };
            Candidates::of(&spec, &source::list(&spec.sources).unwrap(), ADDRESS, SystemTime::UNIX_EPOCH).unwrap()
        };
        let (open, loads, whole) = (of(CommitScope::Auto), of(CommitScope::Load), of(CommitScope::Job));
        assert_eq!((&open.first, open.whole.as_ref()), (&loads.first, Some(&whole.first)));
        assert!(loads.whole.is_none() && whole.whole.is_none());
        assert_ne!(loads.first.label(0, 0, 0, false, 0), whole.first.label(0, 0, 0, false, 0));
    }

    #[test]
    fn the_longest_label_fits() {
        let identity = Identity {
            job: "x".repeat(80).parse().unwrap(),
            fingerprint: "f".repeat(FINGERPRINT_DIGITS),
            stream: false,
            paths: Arc::default(),
            named: true,
        };
        identity.label(u32::MAX, 99_999, u32::MAX, true, u64::MAX);
        let stream = Identity { stream: true, ..identity };
        stream.label(u32::MAX, 0, 999_999, true, u64::MAX);
    }
}
