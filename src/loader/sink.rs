//! [`JobSink`]: what a pipeline's chunks and rejects become.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::choice::Rivals;
use super::error::{Error, FirstReject};
use super::identity::Identity;
use super::spec::RejectLimit;
use crate::dispatcher::Delivery;
use crate::model::Reject;
use crate::pipeline::{Cut, Sink, Stopped};
use crate::reader::reject::RejectsWriter;
use crate::target::LoadSettings;
use crate::telemetry::Progress;

/// Where deliveries go.
pub(super) enum Exit {
    /// To the dispatcher.
    Queue(mpsc::Sender<Delivery>),
    /// Nowhere: a dry run counts them.
    Count { loads: u64, bytes: u64 },
}

/// Hands chunks to the dispatcher under their labels, writes rejects, and stops at their limit.
pub(super) struct JobSink {
    pub(super) exit: Exit,
    pub(super) identity: Identity,
    pub(super) run: u32,
    pub(super) limit: RejectLimit,
    /// None once it is finished.
    pub(super) writer: Option<RejectsWriter>,
    pub(super) folder: PathBuf,
    pub(super) progress: Arc<Progress>,
    pub(super) input: InputContext,
    pub(super) first: Option<Box<FirstReject>>,
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
}

impl JobSink {
    /// Ends the rejects and checks their limit once more, now that all rows are known.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        if let Some(writer) = self.writer.take() {
            writer.finish()?;
        }
        self.check().map_err(|Stopped| self.failure.take().unwrap_or(Error::Broken))
    }

    fn check(&mut self) -> Result<(), Stopped> {
        let rejected = Progress::read(&self.progress.rows_rejected);
        let read = Progress::read(&self.progress.rows_read);
        if !self.limit.is_passed(rejected, read) {
            return Ok(());
        }
        let limit = match self.limit {
            RejectLimit::Rows(0) => "none".to_owned(),
            RejectLimit::Rows(rows) => rows.to_string(),
            RejectLimit::Percent(percent) => format!("{percent} %"),
        };
        let folder = self.folder.clone();
        let (first, begun) = (self.first.take(), self.begun);
        self.failure = Some(Error::RejectLimit { rejected, read, limit, first, folder, begun });
        Err(Stopped)
    }
}

impl Sink for JobSink {
    fn chunk(&mut self, cut: Cut) -> Result<(), Stopped> {
        // A share of the rows means little before many are read, so it is looked at when it matters: before sending.
        self.check()?;
        let Cut { chunk, sequence, side, permit } = cut;
        match &mut self.exit {
            Exit::Count { loads, bytes } => {
                *loads += 1;
                *bytes += chunk.body_bytes;
                Ok(())
            }
            Exit::Queue(queue) => {
                if let Some(rivals) = self.rivals.take() {
                    rivals.none_here().map_err(|error| {
                        self.failure = Some(error);
                        Stopped
                    })?;
                }
                let label = self.identity.label(self.run, chunk.input, sequence, side, chunk.digest);
                let settings = Arc::clone(&self.input.settings);
                self.begun = !self.whole;
                queue.blocking_send(Delivery { label, chunk, settings, permit }).map_err(|_| Stopped)
            }
        }
    }

    fn rejects(&mut self, rejects: Vec<Reject>) -> Result<(), Stopped> {
        let header = self.input.header.as_deref();
        let writer = self.writer.as_mut().expect("no input is read after the end");
        if let Err(error) = writer.write(&self.input.path, self.input.extension, header, &rejects) {
            self.failure = Some(error.into());
            return Err(Stopped);
        }
        if self.first.is_none() {
            let first = rejects.into_iter().next();
            self.first = first.map(|reject| Box::new(FirstReject { path: self.input.path.clone(), reject }));
        }
        if matches!(self.limit, RejectLimit::Rows(_)) { self.check() } else { Ok(()) }
    }
}
