//! From the flags of an import to the job that the loader runs.

use std::path::PathBuf;

use super::import_args::{CheckArg, Commit, Compression, Wire};
use super::{Connected, Error, ImportArgs, default_state_folder};
use crate::loader::{Check, CodecChoice, CommitScope, JobSpec, WireChoice};
use crate::model::Codec;

impl ImportArgs {
    /// The job that was typed. `recipe` says how it can be begun again, `only` which work it has to be.
    ///
    /// # Errors
    /// When a format or a header is not known, or there is no folder for the journal.
    pub fn spec(&self, connected: &Connected, recipe: Option<String>, only: Option<String>) -> Result<JobSpec, Error> {
        Ok(JobSpec {
            name: self.job.clone(),
            sha256: self.sha256.clone(),
            again: self.again,
            dry_run: self.dry_run,
            create_table: self.create_table || connected.creates_tables(),
            reading: self.reading.options()?,
            columns: self.columns.clone(),
            filter: self.filter.clone(),
            headers: connected.headers(&self.set)?,
            commit: match self.commit {
                Commit::Auto => CommitScope::Auto,
                Commit::Load => CommitScope::Load,
                Commit::Job => CommitScope::Job,
            },
            wire: match self.wire {
                Wire::Auto => WireChoice::Auto,
                Wire::Csv => WireChoice::Csv,
                Wire::Json => WireChoice::Json,
            },
            check: match self.check {
                CheckArg::Types => Check::Types,
                CheckArg::None => Check::None,
            },
            codec: codec(self.compression),
            load_size: self.load_size,
            parallel: self.parallel.0,
            memory: self.memory,
            deadline: self.deadline,
            rate_max: self.max_rate,
            requests_max: self.max_requests,
            rejects_max: self.max_rejects,
            rejects_folder: self.rejects.clone(),
            spool_folder: self.spool.clone(),
            spool_max: self.spool_size,
            recipe,
            only,
            ..JobSpec::new(self.sources.clone(), self.state_folder(connected)?)
        })
    }

    /// The journal's folder. A sandbox keeps its own: whoever deletes the sandbox means the memory of it, too.
    fn state_folder(&self, connected: &Connected) -> Result<PathBuf, Error> {
        if let Some(folder) = self.state_dir.clone().or_else(|| connected.state_folder()) {
            return Ok(folder);
        }
        default_state_folder().ok_or_else(|| Error::Value {
            what: "there is no folder for the journal: neither XDG_STATE_HOME nor HOME is set".to_owned(),
            hint: "name one with --state-dir".to_owned(),
        })
    }
}

fn codec(choice: Compression) -> CodecChoice {
    match choice {
        Compression::Auto => CodecChoice::Auto,
        Compression::None => CodecChoice::Fixed(Codec::None),
        Compression::Lz4 => CodecChoice::Fixed(Codec::Lz4),
        Compression::Zstd => CodecChoice::Fixed(Codec::Zstd),
        Compression::Gzip => CodecChoice::Fixed(Codec::Gzip),
    }
}
