//! [`World`]: one seed, from its plan to its last look.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Builder;

use super::audit;
use super::dice::Dice;
use super::kernel::Kernel;
use super::operator::{self, Fate};
use super::plan::Plan;
use super::promise::Broken;
use super::server::{Server, State};
use super::weather::Weather;
use super::wire::BACKENDS;
use crate::journal::memory::{self as journals, Shared as SharedJournal};
use crate::model::invariant;
use crate::simulated::{Mistake, Running};
use crate::source::memory as inputs;

/// Labels of others, and how they stand: another tool's, and those of this program from elsewhere.
pub(super) const OTHERS: &[(&str, State)] = &[
    ("nightly-etl-7", State::Prepared),
    ("shipload-orders-0123456789abcdef-0-0-1", State::Prepared),
    ("shipload-orders-0123456789abcdef-0-0-2", State::Prepare),
];

/// All that a seed consists of.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) plan: Plan,
    pub(super) kernel: Kernel,
    pub(super) server: Server,
    pub(super) weather: Weather,
    pub(super) journals: Vec<SharedJournal>,
    pub(super) figures: Mutex<Figures>,
    /// Tries that did not come to their own end.
    pub(super) cut_off: Mutex<Vec<String>>,
}

/// What a seed came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) seeds: u64,
    /// Moments at which something happened.
    pub(super) moments: u64,
    pub(super) tries: u64,
    pub(super) killed: u64,
    pub(super) stopped: u64,
    pub(super) failed: u64,
    pub(super) finished: u64,
    pub(super) in_doubt: u64,
    pub(super) disagreed: u64,
}

impl Figures {
    pub(super) fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.moments += other.moments;
        self.tries += other.tries;
        self.killed += other.killed;
        self.stopped += other.stopped;
        self.failed += other.failed;
        self.finished += other.finished;
        self.in_doubt += other.in_doubt;
        self.disagreed += other.disagreed;
    }
}

/// A seed that was played.
pub(super) struct Played {
    /// The promise it broke.
    pub(super) result: Result<Figures, Broken>,
    /// The same whenever it is played.
    pub(super) trace: u64,
    /// What happened, where that was asked for.
    pub(super) told: Vec<String>,
}

/// Plays a seed, with a mistake or without.
pub(super) fn play(seed: u64, mistake: Option<Mistake>, tell: bool) -> Played {
    let kernel = Kernel::new(tell);
    let result = catch_unwind(AssertUnwindSafe(|| begin(seed, mistake, &kernel)))
        .unwrap_or_else(|panic| Err(panicked(panic.downcast_ref::<String>().map_or("", String::as_str))));
    journals::forget();
    inputs::set(inputs::Contents::new());
    Played { result, trace: kernel.trace(), told: kernel.told() }
}

/// The program watches some of its promises itself.
fn panicked(words: &str) -> Broken {
    let promise = if words.contains(invariant::ROWS_1) { invariant::ROWS_1 } else { invariant::END_1 };
    Broken::new(promise, format!("the program panics: {words}"))
}

fn begin(seed: u64, mistake: Option<Mistake>, kernel: &Kernel) -> Result<Figures, Broken> {
    let _running = Running::begin(seed, mistake);
    let weather = Weather::of(seed);
    let plan = Plan::of(seed, weather.forgetful());
    inputs::set(plan.contents.clone());
    let places = plan.operators.iter().max().unwrap() + 1;
    let world = Arc::new(World {
        seed,
        plan,
        kernel: kernel.clone(),
        server: Server::new(kernel.clone()),
        weather,
        journals: (0..places).map(|_| SharedJournal::new()).collect(),
        figures: Mutex::new(Figures { seeds: 1, ..Figures::default() }),
        cut_off: Mutex::default(),
    });
    world.set_the_stage();
    let turning = kernel.clone();
    let runtime = Builder::new_current_thread().enable_time().on_thread_park(move || turning.turn()).build().unwrap();
    let result = runtime.block_on(async {
        tokio::select! {
            biased;
            broken = kernel.broken() => Err(broken),
            () = world.run() => Ok(()),
        }
    });
    drop(runtime);
    journals::forget();
    for journal in &world.journals {
        journal.clone().give_back();
    }
    result?;
    let mut figures = *world.figures.lock().unwrap();
    figures.moments = kernel.turns();
    kernel.note(|| format!("{figures:?}"));
    Ok(figures)
}

impl World {
    fn set_the_stage(&self) {
        self.server.with(|registry| {
            for (label, state) in OTHERS {
                registry.add(label, None, 0, *state);
            }
        });
        let mut dice = Dice::of(self.seed, "stage");
        if self.weather.restarts() {
            for _ in 0..dice.between(1, 6) {
                let at = Duration::from_nanos(dice.below(60_000_000_000));
                let node = dice.between(1, BACKENDS);
                let away = Duration::from_millis(dice.between(100, 20_000));
                let noticed = (!dice.once_in(3)).then(|| away + Duration::from_secs(dice.between(1, 20)));
                let (server, weather) = (self.server.clone(), self.weather.clone());
                self.kernel.after(at, move || {
                    if !weather.is_calm() {
                        server.restart(node, away, noticed);
                    }
                    false
                });
            }
        }
        if self.weather.forgetful() {
            for _ in 0..dice.between(1, 4) {
                let at = Duration::from_nanos(dice.below(40_000_000_000));
                let (server, weather, journals) = (self.server.clone(), self.weather.clone(), self.journals.clone());
                self.kernel.after(at, move || {
                    // Where nothing of a job was settled, nothing tells that its labels are forgotten: see the limits in
                    // `docs/simulation.md`.
                    if !weather.is_calm() && journals.iter().all(SharedJournal::has_settled) {
                        server.evict();
                    }
                    false
                });
            }
        }
    }

    pub(super) fn broken(&self, promise: &'static str, how: String) {
        self.kernel.note(|| format!("BROKEN {promise}: {how}"));
        self.kernel.break_off(Broken::new(promise, how));
    }

    /// Lets everybody do their work, and looks at what came of it.
    async fn run(self: &Arc<Self>) {
        let operators = (0..self.plan.operators.len()).map(|number| operator::work(Arc::clone(self), number));
        let fates = futures_util::future::join_all(operators).await;
        // What the server still had to do by itself is over by then.
        self.kernel.nap(Duration::from_secs(2_000)).await;
        audit::at_the_end(self, &fates);
        let mut figures = self.figures.lock().unwrap();
        for fate in fates {
            match fate {
                Fate::Finished => figures.finished += 1,
                Fate::InDoubt => figures.in_doubt += 1,
                Fate::Disagreed => figures.disagreed += 1,
            }
        }
    }
}
