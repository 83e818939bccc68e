//! Loads that are prepared first and committed all at once.

use super::*;

impl World {
    fn whole(&self) -> Dispatcher {
        Dispatcher { whole: true, ..self.dispatcher(1) }
    }

    async fn prepare(&self, deliveries: Vec<Delivery>) -> Outcome {
        let (sender, receiver) = mpsc::channel(16);
        for delivery in deliveries {
            sender.send(delivery).await.unwrap();
        }
        drop(sender);
        self.whole().run(receiver, self.halt.subscribe(), self.cancel.subscribe()).await
    }

    fn decided(&self) -> Vec<String> {
        lock(&self.script.decided).clone()
    }

    fn prepared_before(&self) -> Vec<(Label, LoadEntry)> {
        for number in [1, 2] {
            let delivery = self.delivery(number);
            self.sent_before(&delivery, LoadState::Prepared, delivery.chunk.digest);
        }
        self.journal.loads(&job(), 0).unwrap()
    }
}

#[tokio::test]
async fn a_prepared_load_is_kept_as_such_and_nothing_is_committed() {
    let world = World::new(&[Step::Succeed, Step::Succeed], &[]);
    let outcome = world.prepare(vec![world.delivery(1), world.delivery(2)]).await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    assert!(outcome.delivered.iter().all(|load| load.state == LoadState::Prepared && load.rows_loaded == 1));
    assert_eq!(world.journalled(), LoadState::Prepared);
    assert!(world.decided().is_empty());
}

#[tokio::test]
async fn every_failed_attempt_is_rolled_back_and_confirmed_before_the_next_one() {
    for failed in [Step::Fail, Step::Lose] {
        let world = World::new(&[failed, Step::Succeed], &[LabelState::Prepare, LabelState::Aborted]);
        let outcome = world.prepare(vec![world.delivery(1)]).await;
        assert!(outcome.failure.is_none(), "{outcome:?}");
        assert_eq!(world.sent(), ["label-1", "label-1"]);
        assert_eq!(world.decided(), ["roll back label-1", "roll back label-1"], "the first was not confirmed");
    }
}

#[tokio::test]
async fn a_lost_answer_to_prepare_is_not_taken_for_prepared() {
    let world = World::new(&[Step::Lose, Step::Succeed], &[LabelState::Prepared, LabelState::Aborted]);
    let outcome = world.prepare(vec![world.delivery(1)]).await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    assert_eq!(world.sent().len(), 2, "its counts were never seen");
}

#[tokio::test]
async fn a_refusal_stops_the_job_and_leaves_nothing_open() {
    let world = World::new(&[Step::Refuse], &[LabelState::Aborted]);
    let outcome = world.prepare(vec![world.delivery(1), world.delivery(2)]).await;
    assert!(matches!(outcome.failure, Some(Error::Failed { attempts: 1, .. })), "{outcome:?}");
    assert_eq!(world.decided(), ["roll back label-1"]);
    assert_eq!(world.journalled(), LoadState::Aborted);
}

#[tokio::test]
async fn a_label_of_somebody_elses_is_waited_for_and_not_touched() {
    let world = World::new(&[Step::Taken], &[LabelState::Prepared, LabelState::Prepared, LabelState::Visible]);
    let outcome = world.prepare(vec![world.delivery(1)]).await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    assert!(world.decided().is_empty());
    assert_eq!(world.journalled(), LoadState::Visible);

    let world = World::new(&[Step::Taken], &[LabelState::Prepared]);
    let outcome = world.prepare(vec![world.delivery(1)]).await;
    assert!(matches!(outcome.failure, Some(Error::Failed { .. })), "{outcome:?}");
    assert!(world.decided().is_empty());
    assert_eq!(world.journalled(), LoadState::Aborted, "the next run must not take it for its own");
}

#[tokio::test]
async fn whoever_finds_the_first_load_taken_waits_with_nothing_in_its_hands() {
    let world = World::new(&[Step::Taken], &[LabelState::Aborted, LabelState::Prepared]);
    let (first, second) = (world.delivery(1), world.delivery(2));
    world.sent_before(&second, LoadState::Prepared, second.chunk.digest);
    let (sender, receiver) = mpsc::channel(16);
    sender.send(first).await.unwrap();
    sender.send(second).await.unwrap();
    drop(sender);
    let several = Dispatcher { whole: true, ..world.dispatcher(4) };
    let outcome = several.run(receiver, world.halt.subscribe(), world.cancel.subscribe()).await;
    assert!(matches!(outcome.failure, Some(Error::Failed { .. })), "{outcome:?}");
    assert_eq!((world.decided(), world.sent()), (vec!["roll back label-2".into()], vec!["label-1".into()]));
}

#[tokio::test]
async fn what_an_earlier_try_prepared_is_kept_while_the_server_has_it() {
    let world = World::new(&[], &[LabelState::Prepared]);
    let delivery = world.delivery(1);
    world.sent_before(&delivery, LoadState::Prepared, delivery.chunk.digest);
    let outcome = world.prepare(vec![delivery]).await;
    assert!(outcome.failure.is_none() && world.sent().is_empty(), "{outcome:?}");
    assert_eq!((outcome.delivered[0].state, outcome.delivered[0].attempts), (LoadState::Prepared, 0));

    // It had timed out: again, after its end is confirmed.
    let world = World::new(&[Step::Succeed], &[LabelState::Aborted]);
    let delivery = world.delivery(1);
    world.sent_before(&delivery, LoadState::Prepared, delivery.chunk.digest);
    let outcome = world.prepare(vec![delivery]).await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    assert_eq!(world.sent(), ["label-1"]);
}

#[tokio::test]
async fn what_an_earlier_try_left_half_sent_is_rolled_back_even_if_it_is_prepared() {
    let world = World::new(&[Step::Succeed], &[LabelState::Aborted]);
    let delivery = world.delivery(1);
    world.sent_before(&delivery, LoadState::Sending, delivery.chunk.digest);
    let outcome = world.prepare(vec![delivery]).await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    assert_eq!((world.decided(), world.sent()), (vec!["roll back label-1".into()], vec!["label-1".into()]));
}

#[tokio::test]
async fn a_lost_answer_to_a_commit_is_settled_by_asking_and_repeated_while_it_is_prepared() {
    let world = World::new(&[], &[LabelState::Prepared, LabelState::Visible]);
    let loads = world.prepared_before();
    lock(&world.script.commits).push_back(Step::Lose);
    let (done, failure) = world.whole().commit_all(loads, &world.cancel.subscribe()).await;
    assert!(failure.is_none(), "{failure:?}");
    assert_eq!(done.len(), 2);
    assert_eq!(world.decided(), ["commit label-1", "commit label-1", "commit label-2"]);
    assert_eq!(world.journalled(), LoadState::Visible);
}

#[tokio::test]
async fn what_is_gone_after_the_decision_is_named_and_the_others_are_committed_all_the_same() {
    for state in [LabelState::Aborted, LabelState::Unknown] {
        let world = World::new(&[], &[state]);
        let loads = world.prepared_before();
        lock(&world.script.commits).push_back(Step::Lose);
        let (done, failure) = world.whole().commit_all(loads, &world.cancel.subscribe()).await;
        match &failure {
            Some(error @ Error::Torn { loads }) => {
                assert_eq!((loads.len(), loads[0].0.as_str(), error.code()), (1, "label-1", Code::InDoubt));
            }
            other => panic!("{other:?}"),
        }
        assert!(done.iter().any(|(label, state)| label.as_str() == "label-2" && *state == LoadState::Visible));
        assert_eq!(world.journalled(), LoadState::InDoubt);
    }
}

#[tokio::test]
async fn what_is_rolled_back_is_confirmed_and_written_down() {
    let world = World::new(&[], &[LabelState::Aborted]);
    let loads = world.prepared_before();
    let done = world.whole().roll_back_all(loads).await;
    assert_eq!(done.len(), 2);
    assert_eq!(world.journalled(), LoadState::Aborted);
}

#[tokio::test]
async fn what_is_not_prepared_any_more_keeps_the_job_from_being_decided() {
    let world = World::new(&[], &[LabelState::Prepared, LabelState::Aborted]);
    let labels = ["label-1".parse().unwrap(), "label-2".parse().unwrap()];
    match world.whole().all_prepared(&labels, &world.cancel.subscribe()).await {
        Err(Error::NotPrepared { label, .. }) => assert_eq!(label.as_str(), "label-2"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_last_look_that_nobody_answers_is_taken_again() {
    let labels = ["label-1".parse().unwrap()];
    let world = World::new(&[], &[LabelState::Prepared]);
    *lock(&world.script.silent) = 5;
    assert!(world.whole().all_prepared(&labels, &world.cancel.subscribe()).await.is_ok());

    // Who is away for good has refused nothing: the next try may find it back.
    *lock(&world.script.silent) = u32::MAX;
    let away = failure(Disposition::Retry { after: None }).code();
    let error = world.whole().all_prepared(&labels, &world.cancel.subscribe()).await.unwrap_err();
    assert_eq!(error.code(), away, "{error}");
    assert!(world.clock.passed() > Policy::default().settle_max);

    world.cancel.send_replace(true);
    let cancelled = world.whole().all_prepared(&labels, &world.cancel.subscribe()).await;
    assert!(matches!(cancelled, Err(Error::Cancelled)), "{cancelled:?}");
}

#[tokio::test]
async fn a_cancel_while_somebody_else_has_the_label_leaves_nothing_to_roll_back() {
    let world = World::new(&[Step::Taken], &[]);
    let (sender, receiver) = mpsc::channel(1);
    sender.send(world.delivery(1)).await.unwrap();
    let run = tokio::spawn(world.whole().run(receiver, world.halt.subscribe(), world.cancel.subscribe()));
    while *lock(&world.script.asked) == 0 {
        tokio::task::yield_now().await;
    }
    world.cancel.send_replace(true);
    let outcome = run.await.unwrap();
    assert!(matches!(outcome.failure, Some(Error::Cancelled)), "{outcome:?}");
    assert_eq!(world.journalled(), LoadState::Aborted, "OTHERS-1");
}

#[tokio::test]
async fn what_was_to_be_rolled_back_and_is_in_the_table_counts_with_its_rows() {
    let world = World::new(&[], &[LabelState::Visible]);
    let delivery = world.delivery(1);
    world.sent_before(&delivery, LoadState::Sending, delivery.chunk.digest);
    let open = world.journal.loads(&job(), 0).unwrap();
    let done = world.whole().roll_back_all(open).await;
    assert_eq!(done, [(delivery.label.clone(), LoadState::Visible)]);
    assert_eq!(world.journal.loads(&job(), 0).unwrap()[0].1.rows_loaded, 1, "ROWS-1");
}

#[tokio::test]
async fn whoever_holds_other_loads_does_not_wait_long_for_one_that_is_taken() {
    let world = World::new(&[Step::Succeed, Step::Taken], &[LabelState::Prepared]);
    let outcome = world.prepare(vec![world.delivery(1), world.delivery(2)]).await;
    assert!(matches!(outcome.failure, Some(Error::Failed { .. })), "{outcome:?}");
    assert!(world.clock.passed() < Duration::from_mins(1), "{:?}", world.clock.passed());
    assert_eq!(outcome.delivered[0].state, LoadState::Prepared, "the job's end rolls it back");
}
