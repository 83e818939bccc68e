//! Everything that can be found out before the first byte is sent: the inputs, the table, and how they match.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::error::Error;
use super::spec::{Check, CodecChoice, CommitScope, JobSpec, WireChoice};
use super::task;
use crate::encoder;
use crate::failure::{Code, Failure};
use crate::model::{Codec, Column, Relay, Table, WireFormat};
use crate::pipeline::{self, Press};
use crate::reader::Projected;
use crate::reader::mapping::{self, Mapping};
use crate::reader::probe::{self, Probed};
use crate::source::{self, Input};
use crate::target::{FieldBinding, LoadSettings, Target, request};

/// An input that fits the table.
pub(super) struct Prepared {
    pub(super) input: Input,
    /// A stream, opened; a file is opened again when its turn comes.
    pub(super) probed: Option<Probed>,
    pub(super) projected: Vec<Projected>,
    /// The names of its fields, where it has some.
    pub(super) names: Option<Vec<String>>,
    /// The keys that may stand in a JSON record; none when the user chose the columns.
    pub(super) known: Option<HashSet<String>>,
    pub(super) settings: Arc<LoadSettings>,
    pub(super) wire: WireFormat,
    /// How its records may travel as they are, if they may.
    pub(super) relay: Option<pipeline::Plan>,
    /// Whether it is JSON, a record on each line.
    pub(super) json: bool,
    /// What was found, in words: `CSV, "," between fields, header`.
    pub(super) description: String,
}

impl Prepared {
    /// How its records come onto the wire. Those of JSON are looked at one by one.
    pub(super) fn relay_kind(&self) -> Relay {
        let checked = if self.json { Relay::Checked } else { Relay::None };
        self.relay.as_ref().map_or(checked, pipeline::Plan::kind)
    }
}

/// What a job is about to do.
pub(super) struct Preparation {
    pub(super) inputs: Vec<Prepared>,
    pub(super) notices: Vec<String>,
    /// Whether the table is not there, and a real run would make it.
    pub(super) missing: bool,
}

/// Fetches the table, creating it if asked to, and matches every input with it.
pub(super) async fn prepare(target: &dyn Target, spec: &JobSpec, inputs: Vec<Input>) -> Result<Preparation, Error> {
    let first = inputs.first().expect("a list of inputs is never empty").clone();
    let mut opened = Some(open_aside(&first, spec).await?);
    let (table, missing) = table(target, spec, opened.as_ref().expect("it has just been opened")).await?;
    let mut preparation = Preparation { inputs: Vec::new(), notices: Vec::new(), missing };
    for input in inputs {
        let probed = match opened.take() {
            Some(probed) => probed,
            None => open_aside(&input, spec).await?,
        };
        let (prepared, notices) = match_input(input, probed, &table, spec)?;
        preparation.inputs.push(prepared);
        for notice in notices {
            push_new(&mut preparation.notices, notice);
        }
    }
    Ok(preparation)
}

/// Opens an input and looks at its head.
pub(super) fn open(input: &Input, spec: &JobSpec, runtime: &Handle) -> Result<Probed, Error> {
    let opened = match spec.brought.as_ref().filter(|_| input.is_stdin()) {
        Some(brought) => brought.open()?,
        None => source::open(input, runtime)?,
    };
    Ok(probe::probe(&input.path, opened, &spec.reading)?)
}

/// How chunks to this address are compressed: on the same machine that costs more than it saves.
pub(super) fn press(choice: CodecChoice, address: &str) -> Press {
    match choice {
        CodecChoice::Fixed(codec) => Press::fixed(codec, "asked for with --compression"),
        CodecChoice::Auto if is_local(address) => Press::fixed(Codec::None, "the target is on this machine"),
        CodecChoice::Auto => {
            Press::auto(Codec::Lz4, "to begin with; the first loads show how fast the target takes them")
        }
    }
}

fn is_local(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    ["127.", "localhost", "[::1]", "sandbox:"].iter().any(|local| host.starts_with(local))
}

/// The same on a thread that may block: a stream may keep its first bytes waiting for ever, and the job still ends when
/// it is cancelled.
async fn open_aside(input: &Input, spec: &JobSpec) -> Result<Probed, Error> {
    let (input, spec, runtime) = (input.clone(), spec.clone(), Handle::current());
    task::spawn_blocking(move || open(&input, &spec, &runtime)).await.map_err(|_| Error::Broken)?
}

/// The table, and whether it is only imagined: a dry run makes none.
async fn table(target: &dyn Target, spec: &JobSpec, first: &Probed) -> Result<(Table, bool), Error> {
    let missing = match target.table().await {
        Ok(table) => return Ok((table, false)),
        Err(error) if spec.create_table && error.code() == Code::NoSuchTable => error,
        Err(error) => return Err(error.into()),
    };
    let columns = first.infer()?;
    if spec.dry_run {
        tracing::info!("{missing}; a real run would create it");
        return Ok((Table { database: String::new(), name: String::new(), columns }, true));
    }
    target.create_table(&columns).await?;
    Ok((target.table().await?, false))
}

fn match_input(input: Input, probed: Probed, table: &Table, spec: &JobSpec) -> Result<(Prepared, Vec<String>), Error> {
    let fields = probed.fields()?;
    let mapping = mapping::map(&input.path, &fields, table, spec.columns.as_deref())?;
    let mut notices = mapping.notices.clone();
    let columns: Vec<Column> = mapping.projected.iter().map(|projected| projected.column.clone()).collect();
    let wire = choose_wire(spec, &columns)?;
    let check =
        |dialect| pipeline::Plan::of(dialect, wire, &mapping.projected, fields.count, spec.check == Check::Types);
    let relay = probed.dialect().and_then(check);
    let unchecked = relay.as_ref().is_some_and(|relay| relay.kind() == Relay::Unchecked);
    if spec.check == Check::None && !unchecked {
        let why = "every value is checked all the same: only fields of CSV that are the table's columns in their order, with ',' \
                   between them and '\"' around them, can travel unseen";
        notices.push(format!("--check none: {}: {why}", input.path.display()));
    }
    let prepared = Prepared {
        known: mapping.known.clone(),
        settings: Arc::new(settings(spec, &mapping, &columns)),
        json: probed.is_json_lines(),
        description: probed.describe(),
        probed: input.bytes.is_none().then_some(probed),
        input,
        projected: mapping.projected,
        names: fields.names,
        wire,
        relay,
    };
    Ok((prepared, notices))
}

fn choose_wire(spec: &JobSpec, columns: &[Column]) -> Result<WireFormat, Error> {
    if spec.commit == CommitScope::Job {
        // The server reads no quotes inside a transaction, and takes them for a part of the value (SR §4.4).
        let what = || "a transaction takes no quoted CSV, which --commit job would need for it".to_owned();
        return if spec.wire == WireChoice::Csv { Err(Error::Wire { what: what() }) } else { Ok(WireFormat::Json) };
    }
    match spec.wire {
        WireChoice::Auto => Ok(encoder::wire_for(columns)),
        WireChoice::Json => Ok(WireFormat::Json),
        WireChoice::Csv => match encoder::carries(WireFormat::Csv, columns) {
            Ok(()) => Ok(WireFormat::Csv),
            Err(what) => Err(Error::Wire { what }),
        },
    }
}

fn settings(spec: &JobSpec, mapping: &Mapping, columns: &[Column]) -> LoadSettings {
    LoadSettings {
        fields: columns.iter().map(binding).collect(),
        derived: mapping.derived.clone(),
        filter: spec.filter.clone(),
        headers: spec.headers.clone(),
    }
}

fn binding(column: &Column) -> FieldBinding {
    FieldBinding { name: column.name.clone(), ty: column.ty.clone() }
}

/// The columns under the names that a format's chunks give them.
pub(super) fn wire_columns(projected: &[Projected], format: WireFormat) -> Vec<Column> {
    let rename = |projected: &Projected| {
        let column = &projected.column;
        Column { name: request::wire_name(&binding(column), format), ..column.clone() }
    };
    projected.iter().map(rename).collect()
}

fn push_new(notices: &mut Vec<String>, notice: String) {
    if !notices.contains(&notice) {
        notices.push(notice);
    }
}

/// What was found, once for all inputs that are alike: a folder may hold thousands.
pub(super) fn descriptions(inputs: &[Prepared]) -> Vec<String> {
    let mut groups: Vec<(&Prepared, usize)> = Vec::new();
    for input in inputs {
        match groups.iter_mut().find(|(first, _)| first.description == input.description) {
            Some((_, more)) => *more += 1,
            None => groups.push((input, 0)),
        }
    }
    let line = |(first, more): (&Prepared, usize)| {
        let path = first.input.path.display();
        let others = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{path}{others}: {}", first.description)
    };
    groups.into_iter().map(line).collect()
}
