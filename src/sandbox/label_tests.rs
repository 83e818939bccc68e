//! The rules of labels, each on a store of its own.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::{CommitError, Load, RUNNING_MAX, Refusal, Registry, Retention, State, is_valid};
use crate::sandbox::store::Store;

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
        self.registry.begin("d", label, "t")
    }

    fn state(&self, label: &str) -> State {
        self.registry.standing("d", label).expect("the store answers").state
    }

    fn load(&self, label: &str) {
        commit(&self.begin(label).expect("the label is free")).expect("it commits");
    }

    fn taken(&self, label: &str) -> Option<&'static str> {
        match self.begin(label) {
            Err(Refusal::Taken(status)) => Some(status),
            Ok(_) => None,
            Err(refusal) => panic!("{refusal:?}"),
        }
    }
}

fn open(dir: &TempDir, count_max: usize) -> Arc<Registry> {
    let store = Arc::new(Store::open(dir.path(), None).expect("the store opens"));
    let keep = Retention { count_max, age_max: Duration::from_hours(1) };
    Arc::new(Registry::open(store, keep).expect("the registry opens"))
}

fn commit(load: &Load) -> Result<u64, CommitError> {
    load.commit(|_| Ok(1))
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
    drop(world.registry.begin("other", "l", "t").expect("it is another database's label"));
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
    let failed = load.commit(|transaction| {
        transaction.execute("INSERT INTO sb_databases VALUES ('left behind')", [])?;
        Err::<u64, _>(CommitError::Aborted("bad".to_owned()))
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
        let result: Result<u64, CommitError> = load.commit(|_| {
            let cancel = scope.spawn(|| world.registry.cancel("d", "l", "user cancel"));
            // The cancel's own row has to wait for this transaction; that it was heard can be seen before.
            while world.state("l") != State::Aborted {
                std::thread::yield_now();
            }
            drop(cancel);
            Ok(1)
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
    let next = again.begin("running", "other", "t").expect("the label is free");
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
    let result: Result<u64, CommitError> = long.commit(|_| {
        // On the thread that writes, so that waiting for it would never end.
        world.begin("refused").expect("the label is free").abort("no such column").expect("it aborts");
        assert_eq!(world.state("refused"), State::Aborted);
        drop(world.begin("refused").expect("an aborted load owns nothing"));
        Ok(1)
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
        let written = first.seal(transaction, 1).expect("it seals");
        second.abort("user cancel").expect("it aborts");
        Ok((1, written))
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
    assert!(matches!(world.begin("more"), Err(Refusal::Crowded(RUNNING_MAX))));
    running.pop();
    drop(world.begin("more").expect("one has ended"));
}
