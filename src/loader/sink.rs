//! [`JobSink`]: what a pipeline's chunks and rejects become.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::choice::Rivals;
use super::error::Error;
use super::identity::Identity;
use super::refused::JobRejects;
use super::spooling::{Parcel, Way};
use crate::dispatcher::Delivery;
use crate::model::{InputReport, Reject};
use crate::pipeline::{Cut, Sink, Stopped};
use crate::target::LoadSettings;

/// Where deliveries go.
pub(super) enum Exit {
    /// To the dispatcher.
    Queue(mpsc::Sender<Delivery>),
    /// There as well, over the disk.
    Spool(Way),
    /// Nowhere: a dry run counts them.
    Count { loads: u64, bytes: u64 },
}

/// Hands chunks to the dispatcher under their labels, writes rejects, and stops at their limit.
pub(super) struct JobSink {
    pub(super) exit: Exit,
    pub(super) identity: Identity,
    pub(super) run: u32,
    pub(super) rejects: Arc<JobRejects>,
    pub(super) input: InputContext,
    /// Whether a chunk was handed on.
    pub(super) begun: bool,
    /// Whether what is handed on stays invisible until the whole job is committed.
    pub(super) whole: bool,
    /// Who must not have begun the same work in the other way when the first chunk is handed on.
    pub(super) rivals: Option<Rivals>,
    /// Why it said stop, where the reason is its own.
    pub(super) failure: Option<Error>,
}

/// What the sink has to know of the input that is being read.
#[derive(Clone, Default)]
pub(super) struct InputContext {
    pub(super) path: PathBuf,
    pub(super) settings: Arc<LoadSettings>,
    /// The ending of its rejects file.
    pub(super) extension: &'static str,
    pub(super) header: Option<Vec<u8>>,
    /// How many of its rows do not fit.
    pub(super) rejected: u64,
    /// Whether it can be read only once.
    pub(super) stream: bool,
}

impl JobSink {
    /// Checks the limit of rejects once more, now that all rows are known.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        self.check().map_err(|Stopped| self.failure.take().unwrap_or(Error::Broken))
    }

    /// Says that everything was read, where that has to survive this process.
    pub(super) fn seal(&mut self, inputs: &[InputReport], rejects: Option<String>) -> Result<(), Error> {
        if let Exit::Spool(way) = &mut self.exit { way.seal(inputs, rejects) } else { Ok(()) }
    }

    fn check(&mut self) -> Result<(), Stopped> {
        if !self.rejects.is_passed() {
            return Ok(());
        }
        self.failure = Some(self.rejects.passed(self.begun));
        Err(Stopped)
    }
}

impl Sink for JobSink {
    fn chunk(&mut self, cut: Cut) -> Result<(), Stopped> {
        // A share of the rows means little before many are read, so it is looked at when it matters: before sending.
        self.check()?;
        if !matches!(self.exit, Exit::Count { .. })
            && let Some(rivals) = self.rivals.take()
        {
            rivals.none_here().map_err(|error| {
                self.failure = Some(error);
                Stopped
            })?;
        }
        let (chunk, body_bytes) = (&cut.chunk, cut.chunk.body_bytes);
        let label = || self.identity.label(self.run, chunk.input, cut.sequence, cut.side, chunk.digest);
        let settings = || Arc::clone(&self.input.settings);
        let handed_on = match &mut self.exit {
            Exit::Count { loads, bytes } => {
                *loads += 1;
                *bytes += body_bytes;
                return Ok(());
            }
            Exit::Queue(queue) => {
                let (label, settings) = (label(), settings());
                let Cut { chunk, permit, .. } = cut;
                queue.blocking_send(Delivery { label, chunk, settings, permit }).map_err(|_| None)
            }
            Exit::Spool(way) => {
                // Rejects of rows before this chunk's last must not be lost where the chunk is not.
                let flushed = self.rejects.flush();
                let (label, settings) = (label(), settings());
                let parcel = Parcel { label, cut, settings, path: self.input.path.clone(), stream: self.input.stream };
                flushed.map_err(|error| Some(error.into())).and_then(|()| way.take(parcel))
            }
        };
        self.begun = !self.whole;
        handed_on.map_err(|failure| {
            self.failure = failure;
            Stopped
        })
    }

    fn rejects(&mut self, rejects: Vec<Reject>) -> Result<(), Stopped> {
        self.input.rejected += rejects.len() as u64;
        let InputContext { path, extension, header, .. } = &self.input;
        if let Err(error) = self.rejects.write(path, extension, header.as_deref(), rejects) {
            self.failure = Some(error.into());
            return Err(Stopped);
        }
        if self.rejects.is_of_rows() { self.check() } else { Ok(()) }
    }
}
