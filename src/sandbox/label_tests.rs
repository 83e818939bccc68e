//! The rules of labels, each on a store of its own.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::{Beginning, CommitError, Goal, Load, RUNNING_MAX, Refusal, Registry, State, is_valid};
use crate::sandbox::decision::Decided;
use crate::sandbox::ledger::Totals;
use crate::sandbox::overview::LoadKind;
use crate::sandbox::store::Store;
use crate::sandbox::surface::config::FrontendSettings;

struct World {
    dir: TempDir,
    registry: Arc<Registry>,
}

impl World {
    fn new(count_max: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let registry = open(&dir, count_max);
        Self { dir, registry }
    }

    fn begin(&self, label: &str) -> Result<Load, Refusal> {
        self.registry.begin(&beginning("d", label))
    }

    fn state(&self, label: &str) -> State {
        self.registry.standing("d", label).expect("the store answers").state
    }

    fn load(&self, label: &str) {
        commit(&self.begin(label).expect("the label is free")).expect("it commits");
    }

    fn taken(&self, label: &str) -> Option<&'static str> {
        match self.begin(label) {
            Err(Refusal::Taken(state)) => state.existing_job_status(),
            Ok(_) => None,
            Err(refusal) => panic!("{refusal:?}"),
        }
    }
}

fn open(dir: &TempDir, count_max: usize) -> Arc<Registry> {
    let store = Arc::new(Store::open(dir.path(), None).expect("the store opens"));
    let settings = FrontendSettings::default().with_labels_kept(count_max, Duration::from_hours(1));
    Arc::new(Registry::open(store, Arc::new(settings), Arc::default()).expect("the registry opens"))
}

fn beginning<'a>(database: &'a str, label: &'a str) -> Beginning<'a> {
    let (kind, timeout) = (LoadKind::Stream, Duration::from_mins(10));
    Beginning { database, label, table: "t", user: "root", kind, node: Some(0), timeout }
}

fn commit(load: &Load) -> Result<(), CommitError> {
    load.finish(Goal::Visible, |_| Ok(Totals::default()))
}

#[test]
fn a_label_is_letters_digits_underscore_and_hyphen() {
    for label in ["a", "A-b_9", &"x".repeat(128)] {
        assert!(is_valid(label), "{label}");
    }
    for label in ["", "a b", "ä", "a.b", "a/b", &"x".repeat(129)] {
        assert!(!is_valid(label), "{label}");
    }
    assert!(matches!(World::new(10).begin("a.b"), Err(Refusal::Malformed)));
}

#[test]
fn a_running_and_a_finished_load_own_their_label() {
    let world = World::new(10);
    assert_eq!(world.state("l"), State::Unknown);
    let load = world.begin("l").expect("the label is free");
    assert_eq!(world.state("l"), State::Prepare);
    assert_eq!(world.taken("l"), Some("RUNNING"));
    commit(&load).expect("it commits");
    assert_eq!(world.state("l"), State::Visible);
    assert_eq!(world.taken("l"), Some("FINISHED"));
    drop(load);
    assert_eq!(world.state("l"), State::Visible, "letting go of a finished load changes nothing");
}

#[test]
fn labels_of_different_databases_have_nothing_to_do_with_each_other() {
    let world = World::new(10);
    world.load("l");
    drop(world.registry.begin(&beginning("other", "l")).expect("it is another database's label"));
    assert_eq!(world.taken("l"), Some("FINISHED"));
}

#[test]
fn an_aborted_load_frees_its_label() {
    let world = World::new(10);
    world.begin("l").expect("the label is free").abort("too many filtered rows").expect("it aborts");
    let standing = world.registry.standing("d", "l").expect("the store answers");
    assert_eq!((standing.state, standing.reason.as_str()), (State::Aborted, "too many filtered rows"));
    drop(world.begin("l").expect("an aborted load owns nothing"));
    assert_eq!(world.state("l"), State::Aborted, "a load that is dropped is aborted");
    world.load("l");
    assert_eq!(world.state("l"), State::Visible, "the newest load counts");
}

#[test]
fn what_fails_in_its_transaction_stays_in_prepare_until_it_is_aborted() {
    let world = World::new(10);
    let load = world.begin("l").expect("the label is free");
    let failed = load.finish(Goal::Visible, |transaction| {
        transaction.execute("INSERT INTO sb_databases VALUES ('left behind')", [])?;
        Err::<Totals, _>(CommitError::Aborted("bad".to_owned()))
    });
    assert!(matches!(failed, Err(CommitError::Aborted(message)) if message == "bad"));
    assert_eq!(world.state("l"), State::Prepare);
    assert!(!world.registry.store.has_database("left behind").expect("the store answers"));
}

#[test]
fn only_a_load_in_prepare_can_be_cancelled() {
    let world = World::new(10);
    assert!(!world.registry.cancel("d", "l", "user cancel").expect("the store answers"), "there is no such load");
    let load = world.begin("l").expect("the label is free");
    assert!(world.registry.cancel("d", "l", "user cancel").expect("the store answers"));
    assert!(matches!(commit(&load), Err(CommitError::Aborted(_))), "a cancelled load must not be committed");
    assert_eq!(world.state("l"), State::Aborted);
    world.load("l");
    assert!(!world.registry.cancel("d", "l", "user cancel").expect("the store answers"), "it is finished");
    assert_eq!(world.state("l"), State::Visible);
}

#[test]
fn a_cancel_during_the_transaction_wins_over_its_commit() {
    let world = World::new(10);
    let load = world.begin("l").expect("the label is free");
    std::thread::scope(|scope| {
        let result: Result<(), CommitError> = load.finish(Goal::Visible, |_| {
            let cancel = scope.spawn(|| world.registry.cancel("d", "l", "user cancel"));
            // The cancel's own row has to wait for this transaction; that it was heard can be seen before.
            while world.state("l") != State::Aborted {
                std::thread::yield_now();
            }
            drop(cancel);
            Ok(Totals::default())
        });
        assert!(matches!(result, Err(CommitError::Aborted(_))));
    });
    assert_eq!(world.state("l"), State::Aborted);
}

#[test]
fn finished_loads_outlive_the_process_and_running_ones_do_not() {
    let world = World::new(10);
    world.load("done");
    let running = world.begin("running").expect("the label is free");
    // A killed process runs no destructors.
    std::mem::forget(running);
    let again = open(&world.dir, 10);
    let state = |label| again.standing("d", label).expect("the store answers").state;
    assert_eq!((state("done"), state("running")), (State::Visible, State::Unknown));
    let next = again.begin(&beginning("running", "other")).expect("the label is free");
    assert!(next.id() > 0);
}

#[test]
fn the_oldest_loads_are_forgotten_when_there_are_too_many() {
    let world = World::new(3);
    for label in ["a", "b", "c"] {
        world.load(label);
    }
    assert_eq!(world.state("a"), State::Visible);
    world.load("d");
    assert_eq!(world.state("a"), State::Unknown);
    let running = world.begin("e").expect("the label is free");
    world.load("f");
    assert_eq!(world.state("c"), State::Unknown, "a running load takes up room");
    assert_eq!(
        [world.state("d"), world.state("e"), world.state("f")],
        [State::Visible, State::Prepare, State::Visible]
    );
    drop(running);
}

#[test]
fn an_abort_does_not_wait_for_a_load_that_is_being_written() {
    let world = World::new(10);
    let long = world.begin("long").expect("the label is free");
    let result: Result<(), CommitError> = long.finish(Goal::Visible, |_| {
        // On the thread that writes, so that waiting for it would never end.
        world.begin("refused").expect("the label is free").abort("no such column").expect("it aborts");
        assert_eq!(world.state("refused"), State::Aborted);
        drop(world.begin("refused").expect("an aborted load owns nothing"));
        Ok(Totals::default())
    });
    result.expect("it commits");
    assert!(world.registry.loads().open.is_empty(), "what was aborted meanwhile is written down");
    assert_eq!((world.state("refused"), world.state("long")), (State::Aborted, State::Visible));
}

#[test]
fn an_abort_between_the_seal_and_the_commit_is_written_down_as_well() {
    let world = World::new(10);
    let (first, second) = (world.begin("first").expect("it is free"), world.begin("second").expect("it is free"));
    let written = world.registry.store.write(|transaction| {
        let written = first.seal(transaction, Goal::Visible, Totals::default()).expect("it seals");
        second.abort("user cancel").expect("it aborts");
        Ok(written)
    });
    first.conclude(written).expect("it commits");
    assert_eq!((world.state("first"), world.state("second")), (State::Visible, State::Aborted));
    world.load("third");
    assert!(world.registry.loads().open.is_empty());
}

#[test]
fn there_is_a_limit_to_the_loads_under_way() {
    let world = World::new(10);
    let begin = |at| world.begin(&format!("l{at}")).expect("there is room");
    let mut running: Vec<Load> = (0..RUNNING_MAX).map(begin).collect();
    assert!(matches!(world.begin("more"), Err(Refusal::Crowded(RUNNING_MAX, _))));
    running.pop();
    drop(world.begin("more").expect("one has ended"));
}

fn prepare(load: &Load, limit: Duration) {
    let result: Result<(), CommitError> = load.finish(Goal::Prepared(limit), |_| Ok(Totals::default()));
    result.expect("it prepares");
}

#[test]
fn a_prepared_load_outlives_the_process_and_is_decided_once() {
    let world = World::new(10);
    for label in ["kept", "dropped"] {
        prepare(&world.begin(label).expect("the label is free"), Duration::from_hours(1));
        assert_eq!((world.state(label), world.taken(label)), (State::Prepared, Some("RUNNING")));
        assert!(!world.registry.cancel("d", label, "user cancel").expect("the store answers"), "it is not in PREPARE");
    }
    let again = open(&world.dir, 10);
    let commit = |label| again.commit_prepared("d", label, Duration::ZERO).expect("the store answers");
    let abort = |label| again.abort_prepared("d", label, "no").expect("the store answers");
    assert!(matches!(commit("kept"), Decided::Done(_)));
    assert!(matches!(commit("kept"), Decided::Already(_)), "a commit may be repeated");
    assert!(matches!(abort("kept"), Decided::Refused(_, State::Visible)));
    assert!(matches!(abort("dropped"), Decided::Done(_)));
    assert!(matches!(abort("dropped"), Decided::Already(_)), "a rollback may be repeated");
    assert!(matches!(commit("dropped"), Decided::Refused(_, State::Aborted)));
    assert!(matches!(commit("never seen"), Decided::Unknown));
}

#[test]
fn a_prepared_load_is_given_up_when_its_time_is_over() {
    let world = World::new(10);
    prepare(&world.begin("short").expect("the label is free"), Duration::ZERO);
    prepare(&world.begin("long").expect("the label is free"), Duration::from_hours(1));
    assert_eq!(world.registry.sweep(|_| false).expect("it sweeps"), 1);
    assert_eq!((world.state("short"), world.state("long")), (State::Aborted, State::Prepared));
}

#[test]
fn prepared_loads_take_up_room_and_are_not_forgotten() {
    let world = World::new(2);
    prepare(&world.begin("prepared").expect("the label is free"), Duration::from_hours(1));
    for label in ["a", "b", "c"] {
        world.load(label);
    }
    let states = ["prepared", "a", "b", "c"].map(|label| world.state(label));
    assert_eq!(states, [State::Prepared, State::Unknown, State::Unknown, State::Visible]);
}

#[test]
fn a_committed_load_becomes_visible_when_it_is_due() {
    let world = World::new(10);
    for (label, hold) in [("now", Duration::ZERO), ("later", Duration::from_hours(1))] {
        let load = world.begin(label).expect("the label is free");
        let result: Result<(), CommitError> = load.finish(Goal::Committed(hold), |_| Ok(Totals::default()));
        result.expect("it commits");
        assert_eq!((world.state(label), world.taken(label)), (State::Committed, Some("FINISHED")));
    }
    assert_eq!(world.registry.sweep(|_| false).expect("it sweeps"), 1);
    assert_eq!((world.state("now"), world.state("later")), (State::Visible, State::Committed));
}

#[test]
fn a_load_that_is_left_in_prepare_ends_with_its_time_or_its_backend() {
    let world = World::new(10);
    let late = Beginning { timeout: Duration::ZERO, ..beginning("d", "late") };
    world.registry.begin(&late).expect("the label is free").leave();
    let orphan = Beginning { node: Some(1), ..beginning("d", "orphan") };
    world.registry.begin(&orphan).expect("the label is free").leave();
    world.begin("well").expect("the label is free").leave();
    assert_eq!(world.registry.sweep(|node| node == 1).expect("it sweeps"), 2);
    let standing = |label| world.registry.standing("d", label).expect("the store answers");
    assert_eq!(standing("late").reason, super::TIMED_OUT);
    assert_eq!(standing("orphan").reason, super::COORDINATOR_DOWN);
    assert_eq!(standing("well").state, State::Prepare);
}
