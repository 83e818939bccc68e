//! Loads of which the target refuses rows.

use super::super::rows::tests::chunk_of;
use super::*;

/// Notes what is rejected, and allows so many rows.
#[derive(Default)]
struct Noted {
    allowed: u64,
    rejected: Mutex<Vec<(u64, String)>>,
}

impl RejectSink for Noted {
    fn allows(&self, more: u64) -> bool {
        lock(&self.rejected).len() as u64 + more <= self.allowed
    }

    fn wants_text(&self, _: usize) -> bool {
        true
    }

    fn reject(&self, _: Sent<'_>, rows: &mut dyn Iterator<Item = RefusedRow>) -> Result<(), RejectFailure> {
        for row in rows {
            let text = String::from_utf8(row.text).unwrap();
            assert_eq!(text, format!("row {}", row.origin.line - 2), "text and place belong together");
            lock(&self.rejected).push((row.origin.line - 2, row.words.to_string()));
        }
        Ok(())
    }
}

struct Refusing {
    world: World,
    noted: Arc<Noted>,
    whole: bool,
}

impl Refusing {
    fn new(loads: &[Step], states: &[LabelState], allowed: u64) -> Self {
        let noted = Arc::new(Noted { allowed, ..Noted::default() });
        Self { world: World::new(loads, states), noted, whole: false }
    }

    /// Delivers eight rows.
    async fn deliver(&self) -> Outcome {
        let rows: Vec<String> = (0..8).map(|row| format!("row {row}")).collect();
        let chunk = chunk_of(WireFormat::Csv, Codec::Lz4, &rows, 5);
        let permit = self.world.budget.take(chunk.body_bytes).unwrap();
        let delivery = Delivery { label: "load".parse().unwrap(), chunk, settings: Arc::default(), permit };
        let rejects = Rejects::to(Arc::<Noted>::clone(&self.noted));
        let outcome = self
            .world
            .deliver_by(Dispatcher { rejects, whole: self.whole, ..self.world.dispatcher(1) }, vec![delivery])
            .await;
        let room = self.world.budget.take(1000);
        assert!(room.is_ok(), "everything is given back");
        outcome
    }

    fn rejected(&self) -> Vec<u64> {
        lock(&self.noted.rejected).iter().map(|(row, _)| *row).collect()
    }
}

fn landed(outcome: &Outcome) -> Vec<(&str, u64)> {
    outcome.delivered.iter().map(|load| (load.label.as_str(), load.rows_loaded)).collect()
}

/// Row 5 is bad.
const ONE_BAD: [Step; 7] = [
    Step::RefuseRows(1), // 0..8
    Step::Succeed,       // 0..4
    Step::RefuseRows(1), // 4..8
    Step::RefuseRows(1), // 4..6
    Step::Succeed,       // 4..5
    Step::RefuseRows(1), // 5..6
    Step::Succeed,       // 6..8
];

#[tokio::test]
async fn the_parts_without_the_bad_row_are_loaded_and_it_is_rejected() {
    for whole in [false, true] {
        let refusing = Refusing { whole, ..Refusing::new(&ONE_BAD, &[LabelState::Aborted], 1) };
        let outcome = refusing.deliver().await;
        assert!(outcome.failure.is_none(), "{outcome:?}");
        assert_eq!(landed(&outcome), [("load-r0-4", 4), ("load-r4-5", 1), ("load-r6-8", 2)]);
        assert_eq!(refusing.rejected(), [5]);
        let sent = ["load", "load-r0-4", "load-r4-8", "load-r4-6", "load-r4-5", "load-r5-6", "load-r6-8"];
        assert_eq!(refusing.world.sent(), sent);
        assert!(*lock(&refusing.world.script.asked) >= 4, "each refused label is asked about");
    }
}

#[tokio::test]
async fn nothing_of_a_load_that_was_applied_after_all_is_sent_in_parts() {
    let refusing = Refusing::new(&[Step::RefuseRows(1)], &[LabelState::Prepare, LabelState::Visible], 1);
    let outcome = refusing.deliver().await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    assert_eq!((landed(&outcome), refusing.rejected()), (vec![("load", 8)], vec![]));
}

#[tokio::test]
async fn a_label_that_stays_open_is_in_doubt_and_no_part_is_sent() {
    let refusing = Refusing::new(&[Step::RefuseRows(1)], &[LabelState::Prepare], 1);
    let outcome = refusing.deliver().await;
    assert!(matches!(outcome.failure, Some(Error::InDoubt { .. })), "{outcome:?}");
    assert_eq!(refusing.world.sent(), ["load"]);
}

#[tokio::test]
async fn more_rows_than_allowed_stop_the_job_before_any_part_is_sent() {
    let refusing = Refusing::new(&[Step::RefuseRows(3)], &[LabelState::Aborted], 2);
    let outcome = refusing.deliver().await;
    assert!(matches!(outcome.failure, Some(Error::Refused { refused: 3, rows: 8, .. })), "{outcome:?}");
    assert_eq!((refusing.world.sent().len(), refusing.rejected()), (1, vec![]));
    // Nothing is written down: the next run may try the load as it is.
    assert!(refusing.world.journal.refusals(&job(), 0, &"load".parse().unwrap()).unwrap().is_empty());
}

#[tokio::test]
async fn a_load_that_is_refused_whole_is_rejected_without_another_load() {
    let refusing = Refusing::new(&[Step::RefuseRows(8)], &[LabelState::Aborted], 8);
    let outcome = refusing.deliver().await;
    assert!(outcome.failure.is_none() && outcome.delivered.is_empty(), "{outcome:?}");
    assert_eq!(refusing.rejected(), [0, 1, 2, 3, 4, 5, 6, 7]);
}

/// Wherever the first try ends, the second sends what is left and rejects the same row.
#[tokio::test]
async fn a_second_try_goes_on_where_the_first_one_ended() {
    for ended in 2..ONE_BAD.len() {
        let mut steps = ONE_BAD[..ended].to_vec();
        steps.push(Step::Refuse);
        steps.extend(&ONE_BAD[ended..]);
        let refusing = Refusing::new(&steps, &[LabelState::Aborted], 1);
        let outcome = refusing.deliver().await;
        assert!(matches!(outcome.failure, Some(Error::Failed { .. })), "{ended}: {outcome:?}");
        lock(&refusing.noted.rejected).clear();

        let outcome = refusing.deliver().await;
        assert!(outcome.failure.is_none(), "{ended}: {outcome:?}");
        assert_eq!(landed(&outcome), [("load-r0-4", 4), ("load-r4-5", 1), ("load-r6-8", 2)], "{ended}");
        assert_eq!(refusing.rejected(), [5], "{ended}");
        let sent = refusing.world.sent();
        assert_eq!(sent.len(), ONE_BAD.len() + 1, "only the part that failed is sent twice: {sent:?}");
    }
}

#[tokio::test]
async fn a_second_try_with_a_lower_limit_stops_at_what_the_first_one_heard() {
    let mut steps = ONE_BAD[..6].to_vec();
    steps.push(Step::Refuse);
    let refusing = Refusing::new(&steps, &[LabelState::Aborted], 1);
    assert!(matches!(refusing.deliver().await.failure, Some(Error::Failed { .. })));
    let lower = Refusing { noted: Arc::default(), ..refusing };
    let outcome = lower.deliver().await;
    assert!(matches!(outcome.failure, Some(Error::Refused { refused: 1, .. })), "{outcome:?}");
    assert_eq!(lower.world.sent().len(), steps.len(), "nothing is sent");
}
