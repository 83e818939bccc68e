//! The dispatcher against a target that answers as scripted, on a clock that waits for nothing.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::clock::HandClock;
use crate::failure::Disposition;
use crate::governor::{Budget, Window};
use crate::journal::{LoadEntry, Settled, Work};
use crate::model::{Codec, Column, Origins, Table, WireFormat};
use crate::target::{LabelState, Loaded, Overload};

/// What the target does when a load arrives.
#[derive(Clone, Copy, Debug)]
enum Step {
    Succeed,
    /// Nothing was applied, for a reason that passes.
    Fail,
    /// Nothing was applied: there is too much of something.
    Overload,
    /// The answer is lost.
    Lose,
    /// Somebody else has the label.
    Taken,
    Refuse,
    /// Nothing was applied: so many rows are at fault.
    RefuseRows(u64),
    /// No answer ever comes.
    Hang,
}

#[derive(Default)]
struct Script {
    loads: Mutex<VecDeque<Step>>,
    states: Mutex<VecDeque<LabelState>>,
    commits: Mutex<VecDeque<Step>>,
    sent: Mutex<Vec<String>>,
    /// Commits and rollbacks that were asked for.
    decided: Mutex<Vec<String>>,
    asked: Mutex<u32>,
    /// How often a question about a label fails before it is answered.
    silent: Mutex<u32>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failure(disposition: Disposition) -> target::Error {
    let message = "as scripted".to_owned();
    let error = match disposition {
        Disposition::Retry { .. } => target::Error::Failed { after: None, message },
        Disposition::Resolve => target::Error::Unconfirmed { address: "be1".into(), reason: message },
        Disposition::Reject | Disposition::Abort => target::Error::Refused { message },
    };
    assert_eq!(error.disposition(), disposition);
    error
}

/// What a server says that names no rows.
fn refused_rows(chunk: &Chunk, filtered: u64) -> target::Error {
    let (message, samples, lines) = ("too many filtered rows".to_owned(), Vec::new(), Vec::new());
    target::Error::RowsRefused { message, total: chunk.rows, filtered, samples, lines, log: None }
}

fn overload() -> target::Error {
    let message = "too many versions, as scripted".to_owned();
    target::Error::Busy { address: "be1".into(), overload: Overload::Versions, after: None, message }
}

#[async_trait]
impl Target for Script {
    fn address(&self) -> String {
        "script".into()
    }

    async fn table(&self) -> Result<Table, target::Error> {
        unreachable!("the dispatcher never asks for the table")
    }

    async fn create_table(&self, _: &[Column]) -> Result<(), target::Error> {
        unreachable!("the dispatcher never creates a table")
    }

    async fn load(&self, label: &Label, chunk: &Chunk, _: &LoadSettings) -> Result<Loaded, target::Error> {
        lock(&self.sent).push(label.to_string());
        let step = lock(&self.loads).pop_front().expect("the script has a step for every load");
        match step {
            Step::Succeed => {
                let mut loaded = Loaded::before(true);
                loaded.transaction_id = Some(7);
                loaded.rows_loaded = Some(chunk.rows);
                Ok(loaded)
            }
            Step::Fail => Err(failure(Disposition::Retry { after: None })),
            Step::Overload => Err(overload()),
            Step::Lose | Step::Taken => Err(failure(Disposition::Resolve)),
            Step::Refuse => Err(failure(Disposition::Abort)),
            Step::RefuseRows(filtered) => Err(refused_rows(chunk, filtered)),
            Step::Hang => std::future::pending().await,
        }
    }

    async fn prepare(&self, label: &Label, chunk: &Chunk, _: &LoadSettings) -> Result<target::Prepared, target::Error> {
        lock(&self.sent).push(label.to_string());
        let step = lock(&self.loads).pop_front().expect("the script has a step for every load");
        match step {
            Step::Succeed => Ok(target::Prepared {
                transaction_id: Some(7),
                rows_loaded: chunk.rows,
                rows_unselected: 0,
                phases: Vec::new(),
            }),
            Step::Fail => Err(failure(Disposition::Retry { after: None })),
            Step::Overload => Err(overload()),
            Step::Taken => Err(target::Error::LabelBusy { label: label.to_string(), message: "RUNNING".into() }),
            Step::Lose => Err(failure(Disposition::Resolve)),
            Step::Refuse => Err(failure(Disposition::Abort)),
            Step::RefuseRows(filtered) => Err(refused_rows(chunk, filtered)),
            Step::Hang => std::future::pending().await,
        }
    }

    async fn commit(&self, label: &Label) -> Result<bool, target::Error> {
        lock(&self.decided).push(format!("commit {label}"));
        match lock(&self.commits).pop_front() {
            None | Some(Step::Succeed) => Ok(true),
            Some(_) => Err(failure(Disposition::Resolve)),
        }
    }

    async fn roll_back(&self, label: &Label) -> Result<(), target::Error> {
        lock(&self.decided).push(format!("roll back {label}"));
        Ok(())
    }

    async fn label_state(&self, _: &Label) -> Result<LabelState, target::Error> {
        *lock(&self.asked) += 1;
        let silent = *lock(&self.silent);
        if silent > 0 {
            *lock(&self.silent) -= 1;
            return Err(failure(Disposition::Retry { after: None }));
        }
        // The last state stays; without any, no answer ever comes.
        let state = {
            let mut states = lock(&self.states);
            if states.len() > 1 { states.pop_front() } else { states.front().copied() }
        };
        match state {
            Some(state) => Ok(state),
            None => std::future::pending().await,
        }
    }
}

struct World {
    script: Arc<Script>,
    journal: Arc<Journal>,
    clock: HandClock,
    budget: Budget,
    cancel: watch::Sender<bool>,
    drain: watch::Sender<bool>,
    halt: watch::Sender<bool>,
    _folder: TempDir,
}

impl World {
    fn new(loads: &[Step], states: &[LabelState]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = Arc::new(Journal::open(folder.path()).unwrap());
        let work = Work { job: &job(), fingerprint: "f", target: "t", inputs: &[] };
        journal.begin(&work, false, std::time::SystemTime::UNIX_EPOCH).unwrap();
        let script = Script {
            loads: Mutex::new(loads.to_vec().into()),
            states: Mutex::new(states.to_vec().into()),
            ..Script::default()
        };
        Self {
            script: Arc::new(script),
            journal,
            clock: HandClock::default(),
            budget: Budget::new(1000),
            cancel: watch::channel(false).0,
            drain: watch::channel(false).0,
            halt: watch::channel(false).0,
            _folder: folder,
        }
    }

    fn dispatcher(&self, parallel: usize) -> Dispatcher {
        Dispatcher {
            job: job(),
            run: 0,
            inputs: Arc::from(["/input.csv".to_owned()]),
            target: Arc::<Script>::clone(&self.script),
            journal: Arc::clone(&self.journal),
            pace: Pace::default(),
            policy: Policy::default(),
            clock: Arc::new(self.clock.clone()),
            progress: Arc::new(Progress::default()),
            gate: Gate::new(Window::fixed(parallel), Arc::new(self.clock.clone())),
            drain: self.drain.subscribe(),
            whole: false,
            rejects: Rejects::none(),
            spool: None,
        }
    }

    fn delivery(&self, number: u64) -> Delivery {
        let place = Origin { line: number, byte: number };
        let chunk = Chunk {
            body: vec![Bytes::from_static(b"row\n")],
            body_bytes: 4,
            text_bytes: 4,
            rows: 1,
            digest: number,
            format: WireFormat::Csv,
            codec: Codec::None,
            input: 0,
            from: place,
            to: place,
            origins: Origins::default(),
        };
        let label = format!("label-{number}").parse().unwrap();
        Delivery { label, chunk, settings: Arc::default(), permit: self.budget.take(4).unwrap() }
    }

    /// Delivers these, one at a time.
    async fn deliver(&self, deliveries: Vec<Delivery>) -> Outcome {
        self.deliver_by(self.dispatcher(1), deliveries).await
    }

    async fn deliver_by(&self, dispatcher: Dispatcher, deliveries: Vec<Delivery>) -> Outcome {
        let (sender, receiver) = mpsc::channel(16);
        for delivery in deliveries {
            sender.send(delivery).await.unwrap();
        }
        drop(sender);
        dispatcher.run(receiver, self.halt.subscribe(), self.cancel.subscribe()).await
    }

    async fn deliver_one(&self) -> Outcome {
        self.deliver(vec![self.delivery(1)]).await
    }

    fn sent(&self) -> Vec<String> {
        lock(&self.script.sent).clone()
    }

    /// Writes down that an earlier try sent a delivery, and how that ended.
    fn sent_before(&self, delivery: &Delivery, state: LoadState, digest: u64) {
        let entry = LoadEntry { digest, ..entry(&delivery.chunk) };
        self.journal.sending(&job(), 0, &delivery.label, &entry).unwrap();
        if state != LoadState::Sending {
            let settled = Settled { state, transaction_id: Some(7), rows_loaded: 1, rows_unselected: 0 };
            self.journal.settled(&job(), 0, &delivery.label, &settled).unwrap();
        }
    }

    /// How the journal has the label of the first delivery.
    fn journalled(&self) -> LoadState {
        let delivery = self.delivery(1);
        let known = self.journal.sending(&job(), 0, &delivery.label, &entry(&delivery.chunk)).unwrap();
        known.unwrap().state
    }
}

fn job() -> JobId {
    "nightly".parse().unwrap()
}

#[tokio::test]
async fn what_was_not_applied_is_sent_again_under_the_same_label() {
    let world = World::new(&[Step::Fail, Step::Fail, Step::Succeed], &[]);
    let outcome = world.deliver_one().await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    assert_eq!(world.sent(), ["label-1", "label-1", "label-1"]);
    assert_eq!((outcome.delivered[0].attempts, outcome.delivered[0].rows_loaded), (3, 1));
    assert_eq!(world.journalled(), LoadState::Visible);
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_asking_and_not_by_sending() {
    let world = World::new(&[Step::Lose], &[LabelState::Prepare, LabelState::Visible]);
    let outcome = world.deliver_one().await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    assert_eq!(world.sent().len(), 1);
    assert_eq!(outcome.delivered[0].rows_loaded, 1);
}

#[tokio::test]
async fn a_lost_answer_of_an_aborted_load_is_sent_again() {
    for state in [LabelState::Aborted, LabelState::Unknown] {
        let world = World::new(&[Step::Lose, Step::Succeed], &[state]);
        let outcome = world.deliver_one().await;
        assert!(outcome.failure.is_none(), "{outcome:?}");
        assert_eq!(world.sent(), ["label-1", "label-1"]);
    }
}

#[tokio::test]
async fn what_cannot_be_settled_is_in_doubt_after_a_while() {
    let world = World::new(&[Step::Lose], &[LabelState::Prepare]);
    let outcome = world.deliver_one().await;
    assert!(matches!(outcome.failure, Some(Error::InDoubt { .. })), "{outcome:?}");
    assert!(world.clock.passed() >= Policy::default().settle_max);
    assert_eq!(world.journalled(), LoadState::InDoubt);
    assert_eq!(world.sent().len(), 1);
}

#[tokio::test]
async fn answers_that_never_come_end_in_doubt_and_not_in_an_endless_loop() {
    let steps = vec![Step::Lose; 100];
    let world = World::new(&steps, &[LabelState::Unknown]);
    let outcome = world.deliver_one().await;
    assert!(matches!(outcome.failure, Some(Error::InDoubt { .. })), "{outcome:?}");
    assert_eq!(world.sent().len(), Policy::default().attempts_max as usize);
}

#[tokio::test]
async fn a_refusal_stops_the_job_and_no_further_load_is_begun() {
    let world = World::new(&[Step::Refuse], &[]);
    let outcome = world.deliver((1..=3).map(|number| world.delivery(number)).collect()).await;
    assert!(matches!(outcome.failure, Some(Error::Failed { attempts: 1, .. })), "{outcome:?}");
    assert_eq!(world.sent(), ["label-1"]);
    assert_eq!(world.journalled(), LoadState::Aborted);
    assert!(world.budget.take(1000).is_ok(), "every permit was given back");
}

#[tokio::test]
async fn a_target_that_goes_on_failing_is_given_up_after_so_many_attempts() {
    let steps = vec![Step::Fail; 100];
    let world = World::new(&steps, &[]);
    let outcome = world.deliver_one().await;
    assert!(matches!(outcome.failure, Some(Error::Failed { attempts: 8, .. })), "{outcome:?}");
}

#[tokio::test]
async fn an_overload_is_waited_out_and_uses_up_no_attempts() {
    let steps = [vec![Step::Overload; 50], vec![Step::Fail; 7], vec![Step::Succeed]].concat();
    let world = World::new(&steps, &[]);
    let dispatcher = world.dispatcher(1);
    let progress = Arc::clone(&dispatcher.progress);
    let outcome = world.deliver_by(dispatcher, vec![world.delivery(1)]).await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    assert_eq!((outcome.delivered[0].attempts, outcome.delivered[0].rows_loaded), (58, 1));
    assert_eq!(progress.slowed(), [("too many versions", "be1".to_owned(), 50)]);
}

#[tokio::test]
async fn an_overload_without_end_is_given_up_after_a_while() {
    let world = World::new(&vec![Step::Overload; 10_000], &[]);
    let outcome = world.deliver_one().await;
    assert!(matches!(&outcome.failure, Some(error @ Error::Failed { .. }) if error.code() == Code::TargetBusy));
    assert!(world.clock.passed() >= Policy::default().refused_max);
    assert_eq!(world.journalled(), LoadState::Aborted);
}

#[tokio::test]
async fn an_overloaded_target_narrows_the_window() {
    let world = World::new(&[vec![Step::Overload; 3], vec![Step::Succeed; 4]].concat(), &[]);
    let gate = Gate::new(Window::climbing(4), Arc::new(world.clock.clone()));
    assert_eq!(gate.limit(), 2);
    let dispatcher = Dispatcher { gate: gate.clone(), ..world.dispatcher(1) };
    let outcome = world.deliver_by(dispatcher, (1..=4).map(|number| world.delivery(number)).collect()).await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    assert_eq!((outcome.delivered.len(), gate.limit()), (4, 1));
}

#[tokio::test]
async fn a_label_that_an_earlier_try_settled_is_not_sent() {
    let world = World::new(&[], &[]);
    let delivery = world.delivery(1);
    world.sent_before(&delivery, LoadState::Visible, delivery.chunk.digest);
    let outcome = world.deliver(vec![delivery]).await;
    assert!(outcome.failure.is_none() && world.sent().is_empty(), "{outcome:?}");
    assert_eq!((outcome.delivered[0].attempts, outcome.delivered[0].rows_loaded), (0, 1));
}

#[tokio::test]
async fn a_label_that_an_earlier_try_left_open_is_asked_about_before_it_is_sent() {
    for state in [LoadState::Sending, LoadState::InDoubt] {
        let world = World::new(&[], &[LabelState::Visible]);
        let delivery = world.delivery(1);
        world.sent_before(&delivery, state, delivery.chunk.digest);
        let outcome = world.deliver(vec![delivery]).await;
        assert!(outcome.failure.is_none() && world.sent().is_empty(), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_label_that_stood_for_other_rows_is_refused() {
    let world = World::new(&[], &[]);
    let delivery = world.delivery(1);
    world.sent_before(&delivery, LoadState::Visible, 99);
    let outcome = world.deliver(vec![delivery]).await;
    assert!(matches!(outcome.failure, Some(Error::OtherRows { .. })), "LABEL-1: {outcome:?}");
    assert!(world.sent().is_empty());
}

#[tokio::test]
async fn attempts_that_the_server_rolled_back_fail_in_the_end_and_leave_no_doubt() {
    let world = World::new(&[Step::Lose; 100], &[LabelState::Aborted]);
    let outcome = world.deliver_one().await;
    assert!(matches!(outcome.failure, Some(Error::Failed { attempts: 8, .. })), "{outcome:?}");
    assert_eq!(world.journalled(), LoadState::Aborted);
}

#[tokio::test]
async fn a_server_that_loses_answers_is_left_alone_for_longer_and_longer() {
    let world = World::new(&[Step::Lose; 100], &[LabelState::Unknown]);
    world.deliver_one().await;
    // Seven waits, spread over 0.5, 1, 2, 4, 8, 16 and 30 s: that all of them are next to nothing does not happen.
    assert!(world.clock.passed() > Duration::from_millis(100), "{:?}", world.clock.passed());
}

#[tokio::test]
async fn an_attempt_that_the_server_never_heard_of_stays_open_when_later_ones_are_refused() {
    let world = World::new(&[Step::Lose, Step::Refuse], &[LabelState::Unknown]);
    let outcome = world.deliver_one().await;
    assert!(matches!(outcome.failure, Some(Error::Failed { attempts: 2, .. })), "{outcome:?}");
    assert_eq!(world.journalled(), LoadState::Sending, "the next run asks before it sends");
}

#[tokio::test]
async fn a_cancel_does_not_wait_for_an_answer_about_the_label() {
    let world = World::new(&[Step::Lose], &[]);
    let (sender, receiver) = mpsc::channel(1);
    sender.send(world.delivery(1)).await.unwrap();
    let run = tokio::spawn(world.dispatcher(1).run(receiver, world.halt.subscribe(), world.cancel.subscribe()));
    while *lock(&world.script.asked) == 0 {
        tokio::task::yield_now().await;
    }
    world.cancel.send_replace(true);
    let outcome = run.await.unwrap();
    assert!(matches!(outcome.failure, Some(Error::Cancelled)), "{outcome:?}");
    assert_eq!(world.journalled(), LoadState::Sending);
}

#[tokio::test]
async fn a_cancel_cuts_the_load_off_and_learns_how_it_stands() {
    let world = World::new(&[Step::Hang], &[LabelState::Prepare, LabelState::Aborted]);
    let (sender, receiver) = mpsc::channel(1);
    sender.send(world.delivery(1)).await.unwrap();
    let run = tokio::spawn(world.dispatcher(1).run(receiver, world.halt.subscribe(), world.cancel.subscribe()));
    while world.sent().is_empty() {
        tokio::task::yield_now().await;
    }
    world.cancel.send_replace(true);
    let outcome = run.await.unwrap();
    assert!(matches!(outcome.failure, Some(Error::Cancelled)), "{outcome:?}");
    assert_eq!(outcome.delivered[0].state, LoadState::Aborted);
    assert_eq!(*lock(&world.script.asked), 2);
}

#[tokio::test]
async fn a_cancel_takes_no_label_that_was_open_and_is_unknown_now_for_one_that_never_arrived() {
    let world = World::new(&[Step::Hang], &[LabelState::Prepare, LabelState::Unknown]);
    let (sender, receiver) = mpsc::channel(1);
    sender.send(world.delivery(1)).await.unwrap();
    let run = tokio::spawn(world.dispatcher(1).run(receiver, world.halt.subscribe(), world.cancel.subscribe()));
    while world.sent().is_empty() {
        tokio::task::yield_now().await;
    }
    world.cancel.send_replace(true);
    let outcome = run.await.unwrap();
    assert!(matches!(outcome.failure, Some(Error::Cancelled)), "{outcome:?}");
    assert_eq!(world.journalled(), LoadState::Sending, "it may have been applied and forgotten");
}

#[tokio::test]
async fn a_cancel_takes_no_unknown_label_of_an_earlier_run_for_one_that_never_arrived() {
    let world = World::new(&[], &[LabelState::Unknown]);
    let delivery = world.delivery(1);
    world.sent_before(&delivery, LoadState::InDoubt, delivery.chunk.digest);
    world.cancel.send_replace(true);
    let dispatcher = world.dispatcher(1);
    let (_, failure) = super::parts::deliver(dispatcher, delivery, world.cancel.subscribe(), false).await;
    assert!(matches!(failure, Some(Error::Cancelled)), "{failure:?}");
    assert_eq!(world.journalled(), LoadState::Sending, "the next run asks before it sends");
}

/// A clock on which no sleep ends.
#[derive(Clone, Default)]
struct StoppedClock(HandClock);

impl Clock for StoppedClock {
    fn now(&self) -> std::time::SystemTime {
        self.0.now()
    }

    fn instant(&self) -> std::time::Instant {
        self.0.instant()
    }

    fn sleep(&self, _: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_drain_and_a_cancel_end_the_wait_for_the_next_attempt() {
    for by_drain in [true, false] {
        let world = World::new(&[Step::Overload], &[LabelState::Aborted]);
        let clock = Arc::new(StoppedClock::default());
        let dispatcher = Dispatcher { clock, ..world.dispatcher(1) };
        let (sender, receiver) = mpsc::channel(1);
        sender.send(world.delivery(1)).await.unwrap();
        let progress = Arc::clone(&dispatcher.progress);
        let run = tokio::spawn(dispatcher.run(receiver, world.halt.subscribe(), world.cancel.subscribe()));
        while progress.slowed().is_empty() {
            tokio::task::yield_now().await;
        }
        (if by_drain { &world.drain } else { &world.cancel }).send_replace(true);
        let outcome = run.await.unwrap();
        assert!(matches!(outcome.failure, Some(Error::Cancelled)), "{outcome:?}");
        assert_eq!(world.journalled(), LoadState::Aborted, "nothing of it is applied");
        assert!(world.budget.take(1000).is_ok(), "every permit was given back");
    }
}

#[tokio::test]
async fn a_drain_and_a_cancel_end_the_wait_for_a_turn() {
    for by_drain in [true, false] {
        let world = World::new(&[], &[LabelState::Unknown]);
        let dispatcher = world.dispatcher(1);
        let taken = dispatcher.gate.enter().await;
        let (sender, receiver) = mpsc::channel(1);
        sender.send(world.delivery(1)).await.unwrap();
        let progress = Arc::clone(&dispatcher.progress);
        let run = tokio::spawn(dispatcher.run(receiver, world.halt.subscribe(), world.cancel.subscribe()));
        while Progress::read(&progress.loads_in_flight) == 0 {
            tokio::task::yield_now().await;
        }
        (if by_drain { &world.drain } else { &world.cancel }).send_replace(true);
        let outcome = run.await.unwrap();
        assert!(matches!(outcome.failure, Some(Error::Cancelled)), "{outcome:?}");
        assert_eq!((world.journalled(), world.sent().len()), (LoadState::Aborted, 0));
        drop(taken);
    }
}

#[tokio::test]
async fn a_drain_lets_what_is_under_way_end_and_begins_nothing_more() {
    let world = World::new(&[Step::Lose], &[LabelState::Prepare, LabelState::Prepare, LabelState::Visible]);
    let (sender, receiver) = mpsc::channel(4);
    for number in 1..=3 {
        sender.send(world.delivery(number)).await.unwrap();
    }
    let run = tokio::spawn(world.dispatcher(1).run(receiver, world.halt.subscribe(), world.cancel.subscribe()));
    while world.sent().is_empty() {
        tokio::task::yield_now().await;
    }
    world.drain.send_replace(true);
    let outcome = run.await.unwrap();
    assert!(matches!(outcome.failure, Some(Error::Cancelled)), "{outcome:?}");
    assert_eq!(outcome.delivered.len(), 1);
    assert_eq!((outcome.delivered[0].state, world.sent().len()), (LoadState::Visible, 1));
}

#[tokio::test]
async fn after_a_halt_nothing_more_is_begun() {
    let world = World::new(&[], &[]);
    world.halt.send_replace(true);
    let outcome = world.deliver(vec![world.delivery(1), world.delivery(2)]).await;
    assert!(outcome.failure.is_none() && outcome.delivered.is_empty(), "{outcome:?}");
    assert!(world.sent().is_empty());
}

fn entry(chunk: &Chunk) -> LoadEntry {
    LoadEntry {
        rows: chunk.rows,
        bytes: chunk.body_bytes,
        digest: chunk.digest,
        state: LoadState::Sending,
        transaction_id: None,
        rows_loaded: 0,
        rows_unselected: 0,
        input: "/input.csv".into(),
    }
}

#[path = "parts_tests.rs"]
mod parts;

#[path = "whole_tests.rs"]
mod whole;
