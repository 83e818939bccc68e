//! The reading half of a job: its inputs, one after the other, through a pipeline into the sink.

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::error::Error;
use super::prepare::{self, Prepared};
use super::sink::{InputContext, JobSink};
use super::spec::JobSpec;
use super::task;
use crate::model::report::CompressionReport;
use crate::model::{InputReport, WireFormat};
use crate::pipeline::{self, Context, Failure, Press};
use crate::reader::{Format, Meter};
use crate::simulated::{Mistake, makes};
use crate::telemetry::{Activity, Part, Progress};

/// The reading half of a job: every input in turn, on a thread of its own.
pub(super) struct Reading {
    pub(super) spec: JobSpec,
    pub(super) press: Press,
    pub(super) inputs: Vec<Prepared>,
    pub(super) sink: JobSink,
    pub(super) context: Context,
    pub(super) runtime: Handle,
    pub(super) reports: Vec<InputReport>,
}

/// How reading ended.
pub(super) struct Read {
    pub(super) ended: Instant,
    pub(super) reports: Vec<InputReport>,
    pub(super) compression: CompressionReport,
    pub(super) failure: Option<Error>,
}

impl Reading {
    /// Runs on a thread of its own.
    pub(super) fn start(self, halt: Arc<watch::Sender<bool>>) -> task::JoinHandle<Read> {
        #[cfg(test)]
        if crate::simulated::runs() {
            return super::simulation::read(self, halt);
        }
        task::spawn_blocking(move || self.run(&halt))
    }

    /// Reads all inputs. The queue to the dispatcher closes when this returns; `halt` is said first where what still
    /// waits in it must not be sent.
    pub(super) fn run(mut self, halt: &watch::Sender<bool>) -> Read {
        let inputs = std::mem::take(&mut self.inputs);
        self.reports = inputs.iter().map(report_of).collect();
        let result = inputs.into_iter().enumerate().try_for_each(|(index, input)| self.input(index, input));
        let finished = self.sink.finish();
        let rejected = Progress::read(&self.context.progress.rows_rejected) > 0;
        let rejects = rejected.then(|| self.sink.rejects.folder().display().to_string());
        // `Ok(None)` is a stop whose reason the dispatcher knows.
        let failure = match result {
            Ok(()) => finished.and_then(|()| self.sink.seal(&self.reports, rejects.clone())).err(),
            Err(failure) => failure,
        };
        if failure.is_some() {
            halt.send_replace(true);
        }
        let ended = self.context.clock.instant();
        Read { ended, reports: self.reports, compression: self.press.report(), failure }
    }

    /// What must not be done: a size that depends on the time.
    #[cold]
    fn late(&self) -> u64 {
        let seconds = self.context.clock.now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.spec.load_size.0 + seconds.as_secs() % 64
    }

    /// Reads one input. An error without content is a stop that somebody else asked for.
    fn input(&mut self, index: usize, input: Prepared) -> Result<(), Option<Error>> {
        let probed = match input.probed {
            Some(probed) => probed,
            None => prepare::open(&input.input, &self.spec, &self.runtime).map_err(Some)?,
        };
        self.sink.input = InputContext {
            path: input.input.path.clone(),
            settings: Arc::clone(&input.settings),
            extension: rejects_ending(probed.format),
            header: probed.header(),
            rejected: 0,
            stream: input.input.is_stream(),
        };
        let options = pipeline::Options {
            load_bytes: if makes(Mistake::CutByTime) { self.late() } else { self.spec.load_size.0 },
            wire: input.wire,
            press: self.press.clone(),
            input: index,
            columns: prepare::wire_columns(&input.projected, WireFormat::Csv),
            columns_json: prepare::wire_columns(&input.projected, WireFormat::Json),
        };
        let meter = probed.meter();
        let progress = Arc::clone(&self.context.progress);
        let before = Progress::read(&progress.rows_read);
        // A file may have been replaced since it was looked at.
        let source = match input.relay.filter(|plan| plan.is_for(probed.dialect())) {
            Some(plan) => probed.into_csv(&input.projected).map(|text| pipeline::Source::Csv(text, plan)),
            None if probed.is_json_lines() => {
                probed.into_json(&input.projected, input.known).map(pipeline::Source::Json)
            }
            None => probed.into_reader(input.projected, input.known).map(pipeline::Source::Batches),
        };
        let tick = ticking(meter.clone(), Arc::clone(&progress));
        let source = source.map_err(|error| Some(error.into()))?;
        let result = pipeline::run(source, tick, options, &self.context, &mut self.sink);
        let report = &mut self.reports[index];
        report.bytes = meter.bytes();
        report.rows = Progress::read(&progress.rows_read) - before;
        report.rejected = self.sink.input.rejected;
        result.map_err(|failure| match failure {
            Failure::Reading(error) => Some(error.into()),
            Failure::Stopped => self.sink.failure.take(),
        })
    }
}

/// The ending of a rejects file: records of text are kept as they are, rows of binary inputs become JSON.
pub(super) fn rejects_ending(format: Format) -> &'static str {
    match format {
        Format::Csv => "csv",
        Format::Tsv => "tsv",
        Format::NdJson | Format::JsonArray | Format::Parquet | Format::ArrowFile | Format::ArrowStream => "ndjson",
    }
}

/// The account of an input of which nothing is read yet.
pub(super) fn report_of(input: &Prepared) -> InputReport {
    let relay = input.relay_kind();
    InputReport { path: input.input.path.display().to_string(), bytes: 0, rows: 0, rejected: 0, relay }
}

/// Moves the progress on by what was read since the last time.
fn ticking(meter: Meter, progress: Arc<Progress>) -> impl FnMut() + Send {
    let (mut bytes, mut source, mut busy) = Default::default();
    // Looking at the head of the input was not the reader's work, nor is waiting for it its waiting.
    let mut starved = meter.waiting();
    progress.employ(Part::Source, 1);
    move || {
        progress.employ(Part::Decompressor, meter.decompressors());
        Progress::add(&progress.bytes_read, meter.bytes() - std::mem::replace(&mut bytes, meter.bytes()));
        for (part, activity, seen, now) in [
            (Part::Source, Activity::Busy, &mut source, meter.source()),
            (Part::Decompressor, Activity::Busy, &mut busy, meter.decompressing()),
            (Part::Reader, Activity::Starved, &mut starved, meter.waiting()),
        ] {
            progress.spent(part, activity, now.saturating_sub(std::mem::replace(seen, now)));
        }
    }
}
