//! [`Plan`]: what a seed loads, and how.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use super::dice::Dice;
use crate::loader::{Check, CodecChoice, CommitScope, JobSpec};
use crate::model::{ByteCount, Codec};
use crate::source::memory::Contents;

/// What is loaded, how, and by whom.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) contents: Contents,
    /// Every row has a number of its own, from 1.
    pub(super) rows: u64,
    pub(super) scope: CommitScope,
    pub(super) load_size: u64,
    /// What somebody says instead after a try that came to nothing.
    pub(super) load_size_later: Option<u64>,
    pub(super) parallel: Option<usize>,
    pub(super) stream: bool,
    /// The journal of each operator, by number.
    pub(super) operators: Vec<u64>,
    pub(super) tries: u64,
    pub(super) deadline: Option<Duration>,
    pub(super) check: Check,
}

impl Plan {
    pub(super) fn of(seed: u64, forgetful: bool) -> Self {
        let mut dice = Dice::of(seed, "plan");
        let stream = dice.once_in(6);
        let inputs = if stream { 1 } else { dice.pick(&[1, 1, 2]) };
        let json = dice.once_in(3);
        let mut contents = Contents::new();
        let mut rows = 0;
        for input in 1..=inputs {
            let ending = if json { "ndjson" } else { "csv" };
            let stream = if stream { ".stream" } else { "" };
            let mut text = if json { String::new() } else { "id,name\n".to_owned() };
            for _ in 0..dice.between(1, 12) {
                rows += 1;
                // What CSV cannot carry travels beside it.
                let name = if dice.once_in(20) { "\\N".to_owned() } else { format!("n-{}", dice.below(1000)) };
                if json {
                    let name = name.replace('\\', "\\\\");
                    writeln!(text, r#"{{"id":{rows},"name":"{name}"}}"#).unwrap();
                } else {
                    writeln!(text, "{rows},\"{name}\"").unwrap();
                }
            }
            contents.insert(PathBuf::from(format!("/memory/orders-{input}.{ending}{stream}")), Bytes::from(text));
        }
        let scope = dice.pick(&[CommitScope::Load, CommitScope::Job]);
        let alone = forgetful || dice.between(1, 4) > 1;
        let operators = if alone { vec![0] } else { dice.pick(&[vec![0, 0], vec![0, 1]]) };
        let changes = scope == CommitScope::Job && alone && !stream && dice.once_in(5);
        // Drawn apart: what is looked at before it is sent has no say in anything else.
        let check = Dice::of(seed, "check").pick(&[Check::Types, Check::Types, Check::None]);
        Self {
            check,
            contents,
            rows,
            scope,
            load_size: dice.between(10, 120),
            load_size_later: changes.then_some(1000),
            parallel: dice.pick(&[Some(1), Some(2), Some(3), None]),
            stream,
            operators,
            tries: dice.pick(&[1, 1, 2, 2, 3, 4]),
            deadline: dice.once_in(12).then(|| Duration::from_secs(dice.between(1, 90))),
        }
    }

    /// Whether two machines, each with a journal of its own, commit the job as a whole. Neither knows what the other has
    /// prepared, so that they may hold each other up until both give up: see the limits in `docs/simulation.md`.
    pub(super) fn is_contended(&self) -> bool {
        self.scope == CommitScope::Job && self.operators == [0, 1]
    }

    pub(super) fn spec(&self, folder: PathBuf, later: bool) -> JobSpec {
        let sources = self.contents.keys().map(|path| path.display().to_string()).collect();
        let mut spec = JobSpec::new(sources, folder);
        spec.commit = self.scope;
        spec.check = self.check;
        spec.load_size = ByteCount(self.load_size_later.filter(|_| later).unwrap_or(self.load_size));
        spec.parallel = self.parallel;
        // The disk and the threads that go with it are no part of a simulation.
        spec.spool_max = ByteCount(0);
        spec.codec = CodecChoice::Fixed(Codec::None);
        spec.rejects_folder = "/memory/rejects".into();
        spec.name = self.stream.then(|| "nightly".parse().unwrap());
        spec
    }
}
