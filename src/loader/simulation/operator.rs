//! Somebody who runs an import until it is done, and whose machine is not always on their side.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::audit;
use super::dice::Dice;
use super::life::Life;
use super::server::Sender;
use super::wire::Net;
use super::world::World;
use crate::failure::{Code, Failure as _, chain};
use crate::journal::{self, Journal};
use crate::loader::{Ended, Error, Loader, Stop};
use crate::model::{Secret, invariant};
use crate::target::{Options, StarRocks};
use crate::telemetry::Progress;

/// How often the job may be run in fine weather until it has to be done: once after what was left by rough times, and
/// once more after what that one left.
const CALM_TRIES_MAX: u64 = 4;

/// The same for two machines that commit it as a whole: each may find some tries of the other one in its way.
const CALM_TRIES_CONTENDED_MAX: u64 = 8;

/// How an operator's work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Finished,
    /// A label is named of which nobody can tell how it stands.
    InDoubt,
    /// A label is named that the server counts otherwise.
    Disagreed,
}

/// What becomes of one try besides what the network does to it.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Nothing,
    /// The process dies at one of its calls.
    KillAtCall(i64),
    /// It dies at any moment.
    KillAfter(Duration),
    Cancel(Duration),
    Drain(Duration),
    /// Drained, and cancelled a little later.
    Both(Duration),
    /// Cancelled from outside, through the journal.
    Request(Duration),
}

fn turn(dice: &mut Dice) -> Turn {
    // As often within the first milliseconds as within minutes.
    let magnitude = dice.between(20, 37);
    let moment = Duration::from_nanos(dice.below(1 << magnitude) + 1);
    match dice.below(10) {
        0..=1 => Turn::Nothing,
        2..=4 => Turn::KillAtCall(i64::try_from(dice.below(120)).unwrap()),
        5..=6 => Turn::KillAfter(moment),
        7 => Turn::Cancel(moment),
        8 => Turn::Drain(moment),
        _ => dice.pick(&[Turn::Both(moment), Turn::Request(moment)]),
    }
}

/// One process: what it reaches, and whether it lives.
struct Process {
    loader: Loader,
    life: Life,
    folder: PathBuf,
}

fn process(world: &World, place: u64, name: &str, calls_left: i64) -> Process {
    let seed = Dice::of(world.seed, name).next();
    // Where it cannot write down that a label is somebody else's, it takes it for its own later.
    let disk_fails = if world.plan.is_contended() { 0 } else { world.weather.disk_fails() };
    let life = Life::new(world.kernel.clone(), calls_left, seed, disk_fails);
    let journal = world.journals[usize::try_from(place).unwrap()].clone();
    let folder = PathBuf::from(format!("/memory/{name}"));
    journal.at(&folder, Arc::new(life.clone()));
    let sender = Sender { name: name.to_owned(), place, journal };
    let net = Net::new(world.kernel.clone(), world.server.clone(), sender, life.clone(), world.weather.clone());
    let mut options = Options::new("starrocks://loader@fe1:8030,fe2:8030/shop/orders".parse().unwrap());
    options.password = Secret::new("x".to_owned());
    options.allow_redirect = vec!["*".to_owned()];
    options.load_timeout = Duration::from_mins(1);
    options.answer_timeout = Duration::from_secs(10);
    let target = StarRocks::simulated(options, Arc::new(net)).unwrap();
    let loader = Loader {
        address: "starrocks://fe1:8030/shop/orders".to_owned(),
        target: Arc::new(target),
        clock: Arc::new(world.kernel.clone()),
        progress: Arc::new(Progress::default()),
    };
    Process { loader, life, folder }
}

/// Runs the import again and again, until it is done or nothing more can be done.
pub(super) async fn work(world: Arc<World>, number: usize) -> Fate {
    let place = world.plan.operators[number];
    let mut dice = Dice::of(world.seed, &format!("operator {number}"));
    world.kernel.nap(Duration::from_nanos(dice.below(3_000_000_000))).await;
    let mut later = false;
    let contended = world.plan.is_contended();
    let tries = world.plan.tries + if contended { CALM_TRIES_CONTENDED_MAX } else { CALM_TRIES_MAX };
    for number_of_try in 0..tries {
        let calm = number_of_try >= world.plan.tries;
        if calm {
            world.weather.clear_up();
        }
        world.figures.lock().unwrap().tries += 1;
        let turn = if calm { Turn::Nothing } else { turn(&mut dice) };
        let name = format!("{}{number_of_try}", ["a", "b"][number]);
        let ended = one_try(&world, place, &name, turn, later).await;
        if !matches!(ended, Some(Ended { error: None, .. })) {
            world.cut_off.lock().unwrap().push(name.clone());
        }
        audit::after_a_try(&world);
        let last = number_of_try + 1 == tries;
        match &ended {
            None => {
                world.figures.lock().unwrap().killed += 1;
                world.server.forgets(place);
            }
            Some(Ended { error: None, report, .. }) => {
                audit::of_a_report(&world, report);
                return Fate::Finished;
            }
            Some(Ended { error: Some(error), .. }) => {
                if let Some(fate) = fate(&world, &name, error, calm, last) {
                    return fate;
                }
            }
        }
        // Other settings make other work. Whoever chooses them does not do so when the rows are in the table already.
        later = match ended.and_then(|ended| ended.error) {
            Some(Error::Journal(journal::Error::HalfLoaded { .. })) => false,
            _ => later || (world.plan.load_size_later.is_some() && dice.once_in(2) && !audit::is_decided(&world)),
        };
        // Whoever comes back at once finds the other one still there.
        let pauses: &[u64] = if calm && contended { &[0, 100, 1_000] } else { &[0, 100, 1_000, 10_000, 100_000] };
        let pause = dice.pick(pauses);
        world.kernel.nap(Duration::from_millis(pause) + Duration::from_nanos(dice.below(1_000_000))).await;
        if !calm && dice.once_in(6) {
            look_after(&world, place, &format!("{name}c")).await;
            audit::after_a_try(&world);
        }
    }
    Fate::InDoubt
}

/// One run of the command; none where it was killed.
async fn one_try(world: &World, place: u64, name: &str, turn: Turn, later: bool) -> Option<Ended> {
    let calls_left = if let Turn::KillAtCall(calls) = turn { calls } else { -1 };
    let process = process(world, place, name, calls_left);
    world.kernel.note(|| format!("{name} begins: {turn:?}"));
    let mut spec = world.plan.spec(process.folder.clone(), later);
    spec.deadline = world.plan.deadline.filter(|_| !world.weather.is_calm());
    let (drain, cancel) = (watch::channel(false).0, watch::channel(false).0);
    let stop = Stop { drain: drain.subscribe(), cancel: cancel.subscribe() };
    let disturbance = async {
        match turn {
            Turn::Nothing | Turn::KillAtCall(_) => {}
            Turn::KillAfter(moment) => {
                world.kernel.nap(moment).await;
                process.life.end();
            }
            Turn::Cancel(moment) => {
                world.kernel.nap(moment).await;
                world.kernel.note(|| format!("{name} is cancelled"));
                cancel.send_replace(true);
            }
            Turn::Drain(moment) | Turn::Both(moment) => {
                world.kernel.nap(moment).await;
                world.kernel.note(|| format!("{name} is drained"));
                drain.send_replace(true);
                if matches!(turn, Turn::Both(_)) {
                    world.kernel.nap(moment / 2 + Duration::from_micros(77)).await;
                    world.kernel.note(|| format!("{name} is cancelled"));
                    cancel.send_replace(true);
                }
            }
            Turn::Request(moment) => {
                world.kernel.nap(moment).await;
                request(world, place);
            }
        }
        std::future::pending::<()>().await;
    };
    // The future of a run is large, and there are several of them.
    let run = Box::pin(process.loader.run_until(&spec, stop));
    let ended = tokio::select! {
        biased;
        () = process.life.died() => None,
        ended = run => Some(ended),
        () = disturbance => None,
    };
    let ended = ended.filter(|_| !process.life.is_over());
    process.life.end();
    // What the process had under way goes with it.
    tokio::task::yield_now().await;
    world.kernel.note(|| match &ended {
        None => format!("{name} is dead"),
        Some(ended) => {
            let error = ended.error.as_ref().map(|error| chain(error));
            format!("{name} ends: {:?} {error:?}", ended.report.state)
        }
    });
    ended
}

/// Somebody says `cancel` while it runs.
fn request(world: &World, place: u64) {
    let journal = world.journals[usize::try_from(place).unwrap()].seen();
    for entry in journal.jobs(10).unwrap() {
        journal.cancel(&entry.job, entry.run, crate::clock::Clock::now(&world.kernel)).unwrap();
        world.kernel.note(|| format!("{} is to be cancelled", entry.job));
    }
}

/// Says `cancel` when nobody is at it: what is open is asked about, and written down.
async fn look_after(world: &World, place: u64, name: &str) {
    let process = process(world, place, name, -1);
    world.kernel.note(|| format!("{name} asks about what is open"));
    let Ok(journal) = Journal::open(&process.folder) else { return };
    for entry in journal.jobs(10).unwrap_or_default() {
        let now = crate::clock::Clock::now(&world.kernel);
        let Ok(Some(_lease)) = journal.lease(&entry.job, now) else { continue };
        let unsettled = process.loader.settle_open(&journal, &entry).await;
        world.kernel.note(|| format!("{name}: {unsettled:?}"));
    }
    process.life.end();
}

/// What an error means for the work: nothing, where running it again goes on.
fn fate(world: &World, name: &str, error: &Error, calm: bool, last: bool) -> Option<Fate> {
    let mut figures = world.figures.lock().unwrap();
    let code = error.code();
    let count = if code == Code::Interrupted { &mut figures.stopped } else { &mut figures.failed };
    *count += 1;
    drop(figures);
    if matches!(code, Code::CountsDisagree) {
        if !world.weather.lies() {
            let how = format!("{name} ends with counts that disagree, and nobody has counted wrongly");
            world.broken(invariant::TRUTH_1, how);
        }
        return Some(Fate::Disagreed);
    }
    if matches!(error, Error::Broken | Error::Delivery(crate::dispatcher::Error::Broken(_))) {
        world.broken(invariant::END_1, format!("{name} breaks off: {}", chain(error)));
    }
    if calm && matches!(error, Error::Journal(journal::Error::HalfLoaded { .. })) && !audit::is_decided(world) {
        let how = format!("{name} is refused because of what nobody has rolled back: {}", chain(error));
        world.broken(invariant::OPEN_1, how);
    }
    if !last {
        return None;
    }
    // Whoever was cut off before an answer told it whose a transaction is may roll back what another machine has decided on.
    let torn = matches!(error, Error::Delivery(crate::dispatcher::Error::Torn { .. }));
    if (code == Code::InDoubt && world.weather.forgetful()) || (torn && world.plan.is_contended()) {
        return Some(Fate::InDoubt);
    }
    let how = format!("{name} does not come to its end in fine weather: {}", chain(error));
    world.broken(invariant::END_1, how);
    Some(Fate::InDoubt)
}
