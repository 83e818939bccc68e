//! What a job would do: everything that [`Loader::run_until`] does before the first byte is sent, and nothing after it.

use super::Loader;
use super::choice::{self, outline};
use super::error::Error;
use super::identity::Candidates;
use super::prepare::{self, Preparation, Prepared};
use super::spec::JobSpec;
use super::stop::Stop;
use super::task;
use crate::dispatcher;
use crate::journal::{Begun, Journal, Work};
use crate::model::WireFormat;
use crate::model::plan::{ColumnPlan, InputPlan, MemoryPlan, Plan, Standing};
use crate::model::report::CompressionReport;
use crate::planner::{self, Parallel};
use crate::reader::FieldRef;
use crate::source;

/// What is known of a job beforehand, and what would keep it from being loaded.
#[derive(Debug)]
pub struct Planned {
    /// As far as it came.
    pub plan: Plan,
    /// Why an import would fail.
    pub error: Option<Error>,
}

impl Loader {
    /// Finds out what a job would do. Nothing is sent, created or written down; standard input is read up to the end of
    /// the sample.
    pub async fn plan(&self, spec: &JobSpec, mut stop: Stop) -> Planned {
        let mut plan = Plan { target: self.address.clone(), ..Plan::default() };
        let error = tokio::select! {
            done = self.find_out(spec, &mut plan) => done.err(),
            () = stop.asked() => Some(dispatcher::Error::Cancelled.into()),
        };
        Planned { plan, error }
    }

    async fn find_out(&self, spec: &JobSpec, plan: &mut Plan) -> Result<(), Error> {
        let limits = planner::limits(spec.memory, spec.overhead, spec.load_size, spec.parallel)?;
        plan.memory = Some(MemoryPlan { limit: spec.memory.0, loads: limits.budget_bytes });
        plan.parallel_max = match limits.parallel {
            Parallel::Fixed(loads) | Parallel::Auto(loads) => loads,
        };
        let CompressionReport { codec, reason } = prepare::press(spec.codec, &self.address).report();
        (plan.compression, plan.compression_reason) = (codec, reason);
        let (inputs, candidates) = task::block_in_place(|| {
            let inputs = source::list(&spec.sources)?;
            let candidates = Candidates::of(spec, &inputs, &self.address, self.clock.now())?;
            Ok::<_, Error>((inputs, candidates))
        })?;
        let journal = task::block_in_place(|| Journal::existing(&spec.state_folder))?;
        let chosen = choice::choose(&self.target, spec, &inputs, candidates, journal.as_ref()).await?;
        plan.job = chosen.identity.job.to_string();
        plan.commit = Some(chosen.report());
        plan.notices.extend(chosen.notices);
        let work = Work {
            job: &chosen.identity.job,
            fingerprint: &chosen.identity.fingerprint,
            target: &self.address,
            inputs: chosen.identity.guarded(),
        };
        plan.standing = match &journal {
            Some(journal) => task::block_in_place(|| self.standing(journal, &work, spec))?,
            None => Standing::New,
        };
        let outline = outline(spec, &inputs);
        let spec = JobSpec { commit: chosen.scope, dry_run: true, ..spec.clone() };
        let Preparation { inputs, notices, missing } = prepare::prepare(self.target.as_ref(), &spec, inputs).await?;
        plan.table_missing = missing;
        plan.notices.extend(notices);
        let json = inputs.iter().any(|input| input.wire == WireFormat::Json);
        let estimate = planner::estimate(&outline.inputs, outline.load_size, json);
        plan.loads = estimate.map(|estimate| estimate.loads);
        plan.bytes = estimate.map(|estimate| estimate.bytes);
        plan.seconds_min = shortest(&spec, plan);
        plan.inputs = inputs.iter().map(input_plan).collect();
        Ok(())
    }

    /// What the journal would make of the job, if it were begun now.
    fn standing(&self, journal: &Journal, work: &Work<'_>, spec: &JobSpec) -> Result<Standing, Error> {
        if !journal.abandoned(work, spec.again)?.is_empty() {
            return Ok(Standing::New);
        }
        Ok(match journal.foresee(work, spec.again, self.clock.now())? {
            Begun::New { .. } => Standing::New,
            Begun::Resumed { .. } => Standing::Unfinished,
            Begun::Finished { .. } => Standing::Finished,
        })
    }
}

/// The least time that the user's own limits leave for the job, in seconds.
fn shortest(spec: &JobSpec, plan: &Plan) -> Option<u64> {
    let by_rate = spec.rate_max.zip(plan.bytes).map(|(rate, bytes)| bytes / rate.0.max(1));
    let by_requests = spec.requests_max.zip(plan.loads).map(|(requests, loads)| loads / u64::from(requests.max(1)));
    by_rate.max(by_requests)
}

fn input_plan(input: &Prepared) -> InputPlan {
    let from = |source: &FieldRef| match source {
        FieldRef::Name(name) => name.clone(),
        FieldRef::Index(index) => {
            let name = input.names.as_ref().and_then(|names| names.get(*index));
            name.cloned().unwrap_or_else(|| format!("field {}", index + 1))
        }
    };
    let columns = input.projected.iter().map(|projected| ColumnPlan {
        column: projected.column.name.clone(),
        ty: projected.column.ty.to_string(),
        from: from(&projected.source),
    });
    InputPlan {
        path: input.input.path.display().to_string(),
        bytes: input.input.bytes,
        format: input.description.clone(),
        wire: if input.wire == WireFormat::Json { "json" } else { "csv" }.to_owned(),
        relay: input.relay_kind(),
        columns: columns.collect(),
        computed: input.settings.derived.clone(),
    }
}
