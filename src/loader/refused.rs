//! [`JobRejects`]: all rows of a job that are rejected, whoever rejected them.
//!
//! Rows that do not fit are written when they are read. Rows that the target refuses come later, as places in their inputs:
//! those are kept, and their records are read once more when the job ends, or when many have come together. What comes from
//! a stream cannot be read again, so that the values that were sent stand for the record.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;

use super::error::{Error, FirstReject};
use super::reading::rejects_ending;
use super::spec::{JobSpec, RejectLimit};
use super::values;
use crate::dispatcher::{RefusedRow, RejectFailure, RejectSink, Sent};
use crate::model::{Origin, Reject, Rule};
use crate::reader::probe;
use crate::reader::reject::{RejectsError, RejectsWriter};
use crate::source::{self, Input};
use crate::telemetry::Progress;

/// How many places are kept before their records are read. Each takes about a hundred bytes.
const PLACES_MAX: usize = 50_000;

/// How much of a value is shown, in characters.
const VALUE_CHARS_MAX: usize = 200;

/// The rejects of one job.
pub(super) struct JobRejects {
    limit: RejectLimit,
    folder: PathBuf,
    progress: Arc<Progress>,
    spec: JobSpec,
    runtime: Handle,
    inputs: Vec<Input>,
    /// Written by the reading thread and by deliveries.
    state: Mutex<State>,
}

struct State {
    /// None once it is finished.
    writer: Option<RejectsWriter>,
    /// What the target refused, by input and byte, and is not written yet.
    places: BTreeMap<(usize, u64), Place>,
    /// How many rows of each input the target has refused.
    refused: Vec<u64>,
    first: Option<Box<FirstReject>>,
}

struct Place {
    line: u64,
    complaint: Complaint,
}

impl JobRejects {
    pub(super) fn new(spec: &JobSpec, writer: RejectsWriter, inputs: Vec<Input>, progress: Arc<Progress>) -> Self {
        let folder = spec.rejects_folder.join(writer.job().as_str());
        let state =
            State { writer: Some(writer), places: BTreeMap::new(), refused: vec![0; inputs.len()], first: None };
        let (limit, spec, runtime) = (spec.rejects_max, spec.clone(), Handle::current());
        Self { limit, folder, progress, spec, runtime, inputs, state: Mutex::new(state) }
    }

    /// Where they are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The limit, in words.
    pub(super) fn limit(&self) -> String {
        match self.limit {
            RejectLimit::Rows(0) => "none".to_owned(),
            RejectLimit::Rows(rows) => rows.to_string(),
            RejectLimit::Percent(percent) => format!("{percent} %"),
        }
    }

    /// Whether the limit is one of rows, which is passed or not however much is read.
    pub(super) fn is_of_rows(&self) -> bool {
        matches!(self.limit, RejectLimit::Rows(_))
    }

    /// How many rows are rejected, and read.
    pub(super) fn counts(&self) -> (u64, u64) {
        (Progress::read(&self.progress.rows_rejected), Progress::read(&self.progress.rows_read))
    }

    pub(super) fn is_passed(&self) -> bool {
        let (rejected, read) = self.counts();
        self.limit.is_passed(rejected, read)
    }

    /// What a passed limit means to the job.
    pub(super) fn passed(&self, begun: bool) -> Error {
        let ((rejected, read), limit) = (self.counts(), self.limit());
        Error::RejectLimit { rejected, read, limit, first: self.take_first(), folder: self.folder.clone(), begun }
    }

    /// Takes rows that cannot be loaded, as they are read. A finished job has no more.
    pub(super) fn write(
        &self,
        input: &Path,
        extension: &str,
        header: Option<&[u8]>,
        rejects: Vec<Reject>,
    ) -> Result<(), RejectsError> {
        let mut state = self.state();
        let Some(writer) = &mut state.writer else { return Ok(()) };
        writer.write(input, extension, header, &rejects)?;
        if state.first.is_none() {
            let first = rejects.into_iter().next();
            state.first = first.map(|reject| Box::new(FirstReject { path: input.to_owned(), reject }));
        }
        Ok(())
    }

    /// Hands what was written to the system, so that it outlives this process.
    pub(super) fn flush(&self) -> Result<(), RejectsError> {
        self.state().writer.as_mut().map_or(Ok(()), RejectsWriter::flush)
    }

    /// The first reject, to tell of; once.
    pub(super) fn take_first(&self) -> Option<Box<FirstReject>> {
        self.state().first.take()
    }

    /// How many rows of each input the target has refused.
    pub(super) fn refused(&self) -> Vec<u64> {
        self.state().refused.clone()
    }

    /// Writes what is left, and waits until the disk has all of it. A job that is cancelled has no time to read anything
    /// once more; the next run comes to the same rows.
    pub(super) fn finish(&self, cancelled: bool) -> Result<(), RejectFailure> {
        let mut state = self.state();
        let written = if cancelled { Ok(()) } else { self.write_places(&mut state) };
        if let Some(writer) = state.writer.take() {
            writer.finish()?;
        }
        written
    }

    /// Reads the records that the target refused once more, and writes them.
    fn write_places(&self, state: &mut State) -> Result<(), RejectFailure> {
        let State { writer: Some(writer), places, .. } = state else { return Ok(()) };
        while let Some((&(index, _), _)) = places.first_key_value() {
            let later = places.split_off(&(index + 1, 0));
            let mut here = std::mem::replace(places, later);
            let input = &self.inputs[index];
            let probed = probe::probe(&input.path, source::open(input, &self.runtime)?, &self.spec.reading)?;
            let (extension, header) = (rejects_ending(probed.format), probed.header());
            let wanted = here.keys().map(|(_, byte)| *byte).collect();
            let mut result = Ok(());
            probed.find(wanted, &mut |mut reject| {
                let Some(place) = here.remove(&(index, reject.origin.byte)) else { return };
                reject.origin.line = place.line;
                let reject = place.complaint.into_reject(reject.origin, reject.raw);
                if result.is_ok() {
                    result = writer.write(&input.path, extension, header.as_deref(), &[reject]);
                }
            })?;
            result?;
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panicking holder left behind is whole: every change is one statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RejectSink for JobRejects {
    fn allows(&self, more: u64) -> bool {
        let (rejected, read) = self.counts();
        !self.limit.is_passed(rejected + more, read)
    }

    fn wants_text(&self, input: usize) -> bool {
        self.inputs.get(input).is_none_or(|input| input.bytes.is_none())
    }

    fn reject(&self, sent: Sent<'_>, rows: &mut dyn Iterator<Item = RefusedRow>) -> Result<(), RejectFailure> {
        let mut state = self.state();
        let path = self.inputs[sent.input].path.clone();
        for row in rows {
            let complaint = Complaint::read(&row.words, sent);
            Progress::add(&self.progress.rows_rejected, 1);
            state.refused[sent.input] += 1;
            if state.first.is_none() {
                let reject = complaint.clone().into_reject(row.origin, Vec::new());
                state.first = Some(Box::new(FirstReject { path: path.clone(), reject }));
            }
            if self.wants_text(sent.input) {
                let raw = values::as_json(sent, &row.text);
                let reject = complaint.into_reject(row.origin, raw);
                if let Some(writer) = &mut state.writer {
                    writer.write_values(&path, &[reject])?;
                }
                continue;
            }
            state.places.insert((sent.input, row.origin.byte), Place { line: row.origin.line, complaint });
            if state.places.len() >= PLACES_MAX {
                self.write_places(&mut state)?;
            }
        }
        Ok(())
    }
}

/// What the target says of a row.
#[derive(Clone)]
struct Complaint {
    words: Arc<str>,
    column: Option<String>,
    value: Option<String>,
}

impl Complaint {
    /// Finds column and value in the target's words, where it says `Value '…'`, `type of '…'` or `column '…'`.
    fn read(words: &Arc<str>, sent: Sent<'_>) -> Self {
        let quoted = |before: &str| {
            let rest = &words[words.find(before)? + before.len()..];
            rest.find('\'').map(|end| &rest[..end])
        };
        let derived = |item: &String, name: &str| {
            item.split_once('=').is_some_and(|(column, _)| column.trim().trim_matches('`').eq_ignore_ascii_case(name))
        };
        let known = |name: &&str| {
            sent.settings.fields.iter().any(|field| field.name.eq_ignore_ascii_case(name))
                || sent.settings.derived.iter().any(|item| derived(item, name))
        };
        let column =
            ["The type of '", "column '", "Column '"].into_iter().find_map(|before| quoted(before).filter(known));
        let value = quoted("Value '").filter(|_| words.starts_with("Value '") && words.contains("' is out of range"));
        Self {
            words: Arc::clone(words),
            column: column.map(str::to_owned),
            value: value.map(|value| value.chars().take(VALUE_CHARS_MAX).collect()),
        }
    }

    fn into_reject(self, origin: Origin, raw: Vec<u8>) -> Reject {
        let rule = Rule { code: "refused-by-target", text: self.words.to_string() };
        Reject { origin, column: self.column, value: self.value, rule, raw }
    }
}
