//! One round: what it is, how it goes, and what must be true at its end.

use std::fs;
use std::io::Write;
use std::process::{Child, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::dice::Dice;
use crate::faults;
use crate::input::{Format, Input, Sums};
use crate::place::{Place, Sandbox};

/// How often an import is started before the round has failed.
const RUNS_MAX: u32 = 40;

/// How long one run may take before it hangs. A load whose rollback was lost stays open for `LOAD_TIMEOUT` and a sweep.
const RUN_MAX: Duration = Duration::from_secs(150);

/// The server's limit for one load, in seconds: short, so that what is lost is given up soon.
const LOAD_TIMEOUT: &str = "10";

/// The ways to commit that a round may have, as arguments.
const COMMITS: &[&[&str]] = &[&[], &["--commit", "job"]];

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Victim {
    Loader,
    Sandbox,
    Both,
}

/// When: so long after the run or the last blow began, or after so many more faults have struck.
#[derive(Clone, Copy, Debug)]
struct Blow {
    victim: Victim,
    after: Duration,
    faults: u64,
    /// How long the sandbox stays away.
    down: Duration,
}

impl Blow {
    fn draw(dice: &mut Dice) -> Self {
        let (late, away) = (dice.pick(&[2500, 700, 700]), dice.pick(&[2000, 200, 200, 200]));
        Self {
            victim: dice.pick(&[Victim::Loader, Victim::Sandbox, Victim::Both]),
            after: Duration::from_millis(dice.below(late)),
            faults: if dice.once_in(2) { dice.between(1, 3) } else { 0 },
            down: Duration::from_millis(dice.below(away)),
        }
    }
}

/// Everything about a round that its seed decides.
#[derive(Debug)]
struct Plan {
    format: Format,
    stdin: bool,
    backends: u64,
    rows: u64,
    rejects: u64,
    load_size: &'static str,
    parallel: &'static str,
    wire: &'static str,
    compression: &'static str,
    commit: &'static [&'static str],
    /// Whether somebody else runs the same import at the same time, from a journal of their own.
    rival: bool,
    /// What each life of the sandbox does wrong; further lives do nothing wrong.
    lives: Vec<String>,
    blows: Vec<Blow>,
}

impl Plan {
    fn draw(dice: &mut Dice, long: bool) -> Self {
        let blows = dice.below(6);
        let format = dice.pick(&[Format::Csv, Format::Ndjson, Format::Parquet]);
        Self {
            format,
            // Parquet cannot be read from a stream.
            stdin: dice.once_in(3) && format != Format::Parquet,
            backends: dice.between(1, 3),
            rows: dice.between(200, if long { 12_000 } else { 3_000 }),
            rejects: if dice.once_in(3) { dice.between(1, 5) } else { 0 },
            load_size: dice.pick(&["4KiB", "8KiB", "16KiB", "64KiB"]),
            parallel: dice.pick(&["1", "2", "4", "8", "auto"]),
            wire: dice.pick(&["auto", "auto", "json"]),
            compression: dice.pick(&["auto", "lz4", "gzip", "zstd"]),
            commit: dice.pick(COMMITS),
            rival: dice.once_in(5),
            lives: (0..=blows).map(|_| faults::document(dice, 4, long).to_string()).collect(),
            blows: (0..blows).map(|_| Blow::draw(dice)).collect(),
        }
    }
}

/// What a round came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) rounds: u64,
    pub(crate) runs: u64,
    pub(crate) loaders_killed: u64,
    pub(crate) sandboxes_killed: u64,
    pub(crate) faults: u64,
    pub(crate) rows: u64,
}

impl Figures {
    pub(crate) fn add(&mut self, other: &Self) {
        self.rounds += other.rounds;
        self.runs += other.runs;
        self.loaders_killed += other.loaders_killed;
        self.sandboxes_killed += other.sandboxes_killed;
        self.faults += other.faults;
        self.rows += other.rows;
    }
}

/// One of those who run the import.
struct Operator {
    name: &'static str,
    running: Option<Child>,
    runs: u32,
    started: Instant,
    done: bool,
}

struct Round {
    plan: Plan,
    place: Place,
    input: Input,
    sandbox: Option<Sandbox>,
    lives: std::vec::IntoIter<String>,
    operators: Vec<Operator>,
    figures: Figures,
    log: Vec<String>,
}

/// Plays the round of a seed to its end.
///
/// # Errors
/// With what happened, when a promise is broken.
pub(crate) fn play(seed: u64, long: bool) -> Result<Figures, String> {
    let plan = Plan::draw(&mut Dice::new(seed), long);
    let place = Place::new(plan.backends);
    let input = Input::write(&place.path().join("input"), plan.format, plan.rows, plan.rejects);
    let names: &[_] = if plan.rival { &["first", "second"] } else { &["first"] };
    let operators = names.iter().map(|name| Operator::new(name)).collect();
    let lives = plan.lives.clone().into_iter();
    let figures = Figures { rounds: 1, rows: input.sums.rows, ..Figures::default() };
    let mut round = Round { plan, place, input, sandbox: None, lives, operators, figures, log: Vec::new() };
    match round.go() {
        Ok(()) => Ok(round.figures),
        Err(what) => {
            drop(round.operators);
            drop(round.sandbox.take());
            let (plan, told, folder) = (&round.plan, round.log.join("\n"), round.place.keep());
            Err(format!("{what}\n{plan:#?}\n{told}\nits folder is kept: {folder}"))
        }
    }
}

impl Operator {
    fn new(name: &'static str) -> Self {
        Self { name, running: None, runs: 0, started: now(), done: false }
    }

    fn kill(&mut self) -> bool {
        let Some(mut child) = self.running.take() else { return false };
        let _ = child.kill();
        let _ = child.wait();
        true
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Round {
    fn go(&mut self) -> Result<(), String> {
        self.start_sandbox();
        let blows = self.plan.blows.clone();
        for blow in blows {
            self.until(Some(blow))?;
            if self.operators.iter().all(|operator| operator.done) {
                break;
            }
            self.strike(blow);
        }
        self.until(None)?;
        self.check()
    }

    fn start_sandbox(&mut self) {
        let faults = self.lives.next();
        self.sandbox = Some(self.place.sandbox(faults.as_deref()));
    }

    /// Lets everybody run until the blow is due, or everybody is done.
    fn until(&mut self, blow: Option<Blow>) -> Result<(), String> {
        let began = now();
        let before = self.sandbox.as_mut().map_or(0, Sandbox::ask);
        loop {
            for at in 0..self.operators.len() {
                self.tend(at)?;
            }
            if self.operators.iter().all(|operator| operator.done) {
                return Ok(());
            }
            if let Some(blow) = blow
                && began.elapsed() >= blow.after
            {
                // Faults that never come must not hold the blow back for ever.
                let late = began.elapsed() >= blow.after + Duration::from_secs(3);
                let mut struck = || self.sandbox.as_mut().map_or(0, Sandbox::ask);
                if blow.faults == 0 || late || struck() >= before + blow.faults {
                    return Ok(());
                }
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Starts an operator's import, or looks at how it ended.
    fn tend(&mut self, at: usize) -> Result<(), String> {
        if self.operators[at].done {
            return Ok(());
        }
        let Some(child) = self.operators[at].running.as_mut() else {
            let child = self.import(self.operators[at].name);
            let operator = &mut self.operators[at];
            (operator.running, operator.started) = (Some(child), now());
            operator.runs += 1;
            self.figures.runs += 1;
            let (name, runs) = (operator.name, operator.runs);
            return if runs > RUNS_MAX { Err(format!("{name} was never done")) } else { Ok(()) };
        };
        if child.try_wait().unwrap().is_some() {
            let output = self.operators[at].running.take().unwrap().wait_with_output().unwrap();
            return self.ended(at, &output);
        }
        let operator = &self.operators[at];
        if operator.started.elapsed() > RUN_MAX {
            return Err(format!("run {} of {} hangs", operator.runs, operator.name));
        }
        Ok(())
    }

    fn ended(&mut self, at: usize, output: &Output) -> Result<(), String> {
        let operator = &mut self.operators[at];
        let stderr = String::from_utf8_lossy(&output.stderr);
        let run = format!("{} {}: {:?}\n{stderr}", operator.name, operator.runs, output.status.code());
        self.log.push(run.clone());
        let finished = if self.input.rejects > 0 { 3 } else { 0 };
        match output.status.code() {
            Some(code) if code == finished => {
                operator.done = true;
                let report: Value =
                    serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {run}"))?;
                let wanted = (Some(self.input.sums.rows), Some(self.input.rejects));
                let told = (report["rows_loaded"].as_u64(), report["rows_rejected"].as_u64());
                if told != wanted {
                    return Err(format!("the report says {told:?} for {wanted:?}: {report}"));
                }
                Ok(())
            }
            // A failure that can be resumed, or a label in doubt that the next run asks about.
            Some(1 | 5) if !stderr.contains("panicked") => Ok(()),
            _ => Err(format!("an end that there must not be: {run}")),
        }
    }

    /// The import, which is the same each time.
    fn import(&self, operator: &str) -> Child {
        let (plan, target) = (&self.plan, self.place.target());
        let (state, rejects, limit) =
            (format!("state-{operator}"), format!("rejects-{operator}"), plan.rejects.to_string());
        let source = if plan.stdin { "-" } else { "input" };
        let mut arguments = vec!["import", source, "--to", &target, "--format", plan.format.name()];
        arguments.extend(["--output", "json", "--load-timeout", LOAD_TIMEOUT, "--load-size", plan.load_size]);
        arguments.extend(["--parallel", plan.parallel, "--wire", plan.wire, "--compression", plan.compression]);
        arguments.extend(["--state-dir", &state, "--rejects", &rejects, "--max-rejects", &limit]);
        arguments.extend(plan.commit);
        if plan.stdin {
            arguments.extend(["--job", "chaos"]);
        }
        let mut command = self.place.command(&arguments);
        command.stdin(if plan.stdin { Stdio::piped() } else { Stdio::null() });
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if let Some(mut stdin) = child.stdin.take() {
            let content = fs::read(self.place.path().join("input")).unwrap();
            // It ends when the import is killed.
            thread::spawn(move || drop(stdin.write_all(&content)));
        }
        child
    }

    fn strike(&mut self, blow: Blow) {
        self.log.push(format!("{blow:?}"));
        if blow.victim != Victim::Sandbox {
            self.figures.loaders_killed +=
                self.operators.iter_mut().map(|operator| u64::from(operator.kill())).sum::<u64>();
        }
        if blow.victim != Victim::Loader {
            self.kill_sandbox();
            thread::sleep(blow.down);
            self.start_sandbox();
        }
    }

    fn kill_sandbox(&mut self) {
        if let Some(sandbox) = self.sandbox.take() {
            self.figures.faults += sandbox.kill();
            self.figures.sandboxes_killed += 1;
        }
    }

    /// ROWS-1, OPEN-1, and that another run finds nothing to do; by a sandbox that does nothing wrong any more, and once
    /// more after it was killed.
    fn check(&mut self) -> Result<(), String> {
        self.sandbox.as_mut().unwrap().forgive();
        self.nothing_is_open()?;
        self.holds_every_row_once()?;
        self.figures.faults += self.sandbox.take().unwrap().kill();
        self.sandbox = Some(self.place.sandbox(None));
        self.nothing_is_open()?;
        self.holds_every_row_once()?;
        let output = self.import("first").wait_with_output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {output:?}"))?;
        if report["state"] != "already_loaded" {
            return Err(format!("the import that was finished is not: {output:?}"));
        }
        self.rejects_are_complete()?;
        self.holds_every_row_once()
    }

    fn nothing_is_open(&self) -> Result<(), String> {
        let started = now();
        // What is committed becomes visible by itself, and what nobody finishes is rolled back.
        while let open @ [_, ..] = self.place.open_transactions().as_slice() {
            if started.elapsed() > RUN_MAX {
                return Err(format!("OPEN-1: transactions are left open: {open:?}"));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn holds_every_row_once(&self) -> Result<(), String> {
        let (found, wanted): (Sums, Sums) = (self.place.sums(), self.input.sums);
        if found == wanted { Ok(()) } else { Err(format!("ROWS-1: {found:?} for {wanted:?}")) }
    }

    /// Every record that was rejected is in the rejects file once.
    fn rejects_are_complete(&self) -> Result<(), String> {
        let mut spoilt = 0;
        for job in fs::read_dir(self.place.path().join("rejects-first")).into_iter().flatten() {
            for file in fs::read_dir(job.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                if path.display().to_string().ends_with(".reasons.jsonl") {
                    continue;
                }
                spoilt += fs::read_to_string(path).unwrap().matches("spoilt").count() as u64;
            }
        }
        let wanted = self.input.rejects;
        if spoilt == wanted { Ok(()) } else { Err(format!("ROWS-1: {spoilt} records in the rejects for {wanted}")) }
    }
}

#[expect(clippy::disallowed_methods, reason = "real processes take real time")]
fn now() -> Instant {
    Instant::now()
}
