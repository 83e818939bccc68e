//! The pipeline on batches made in memory: every row once, and cuts that depend on the rows alone.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, StringArray};
use arrow::record_batch::RecordBatch;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::clock::SystemClock;
use crate::model::table::arrow_schema;
use crate::model::{Batch, Codec, ColumnType, Origin, Rule};

/// A reader of batches that are there already.
struct Ready {
    batches: std::vec::IntoIter<Batch>,
    ends_with: Option<reader::Error>,
}

impl Reader for Ready {
    fn next(&mut self, _: &mut Vec<Reject>) -> Result<Option<Batch>, reader::Error> {
        match (self.batches.next(), self.ends_with.take()) {
            (Some(batch), failure) => {
                self.ends_with = failure;
                Ok(Some(batch))
            }
            (None, Some(failure)) => Err(failure),
            (None, None) => Ok(None),
        }
    }
}

#[derive(Default)]
pub(super) struct Collected {
    pub(super) cuts: Vec<Cut>,
    pub(super) rejects: Vec<Reject>,
    chunks_max: Option<usize>,
}

impl Sink for Collected {
    fn chunk(&mut self, mut cut: Cut) -> Result<(), Stopped> {
        if self.chunks_max.is_some_and(|max| self.cuts.len() >= max) {
            return Err(Stopped);
        }
        // As if the load was settled at once.
        cut.permit.resize(0);
        self.cuts.push(cut);
        Ok(())
    }

    fn rejects(&mut self, rejects: Vec<Reject>) -> Result<(), Stopped> {
        self.rejects.extend(rejects);
        Ok(())
    }
}

fn columns() -> Vec<Column> {
    vec![Column::new("id", ColumnType::Int), Column::new("text", ColumnType::Varchar(100))]
}

/// Rows numbered from 0, in batches of these sizes.
fn batches(texts: &[Option<String>], sizes: &[usize]) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut start = 0;
    for size in sizes.iter().cycle() {
        if start >= texts.len() {
            break;
        }
        let end = (start + size).min(texts.len());
        let ids: ArrayRef = Arc::new(Int32Array::from_iter_values((start..end).map(|id| i32::try_from(id).unwrap())));
        let text: ArrayRef = Arc::new(StringArray::from(texts[start..end].to_vec()));
        let origins = (start..end).map(|row| Origin { line: row as u64 + 1, byte: row as u64 * 10 }).collect();
        batches.push(Batch { rows: RecordBatch::try_new(arrow_schema(&columns()), vec![ids, text]).unwrap(), origins });
        start = end;
    }
    batches
}

fn options(load_bytes: u64) -> Options {
    let columns = columns();
    Options {
        load_bytes,
        wire: WireFormat::Csv,
        press: Press::fixed(Codec::None, ""),
        input: 3,
        columns_json: columns.clone(),
        columns,
    }
}

fn context(load_bytes: u64) -> Context {
    let (budget, clock) = (Budget::new(2 * load_bytes), Arc::new(SystemClock));
    Context { budget, progress: Arc::default(), clock, pieces_bytes: 8 << 20 }
}

fn run_on(
    batches: Vec<Batch>,
    load_bytes: u64,
    ends_with: Option<reader::Error>,
    sink: &mut Collected,
) -> Result<(), Failure> {
    let reader = Ready { batches: batches.into_iter(), ends_with };
    run(Source::Batches(Box::new(reader)), || {}, options(load_bytes), &context(load_bytes), sink)
}

fn cut(texts: &[Option<String>], sizes: &[usize], load_bytes: u64) -> Vec<Cut> {
    let mut sink = Collected::default();
    run_on(batches(texts, sizes), load_bytes, None, &mut sink).unwrap();
    assert!(sink.rejects.is_empty());
    sink.cuts
}

/// What tells one chunk from another: lane, number, rows, digest, places.
fn summary(cuts: &[Cut]) -> Vec<(bool, u32, u64, u64, u64, u64)> {
    let mut all: Vec<_> = cuts
        .iter()
        .map(|cut| {
            let chunk = &cut.chunk;
            (cut.side, cut.sequence, chunk.rows, chunk.digest, chunk.from.line, chunk.to.line)
        })
        .collect();
    all.sort_unstable();
    all
}

/// The ids in a lane, in order, as its text has them.
fn ids(cuts: &[Cut], side: bool) -> Vec<usize> {
    let bodies = cuts.iter().filter(|cut| cut.side == side).map(|cut| cut.chunk.body.concat());
    let text = String::from_utf8(bodies.collect::<Vec<_>>().concat()).unwrap();
    let number = |line: &str| {
        let digits: String =
            line.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    };
    text.lines().map(number).collect()
}

fn texts() -> impl Strategy<Value = Vec<Option<String>>> {
    let text = prop_oneof![
        6 => "[a-z]{0,12}".prop_map(Some),
        1 => Just(None),
        1 => Just(Some("\\N".to_owned())),
    ];
    vec(text, 0..200)
}

proptest! {
    /// ROWS-1: each row is in one chunk, in order; those that CSV cannot carry are in side chunks.
    #[test]
    fn every_row_is_in_exactly_one_chunk(texts in texts(), sizes in vec(1_usize..40, 1..5), load_bytes in 1_u64..400) {
        let cuts = cut(&texts, &sizes, load_bytes);
        let marker = |row: &usize| texts[*row].as_deref() == Some("\\N");
        let (aside, ordinary): (Vec<usize>, Vec<usize>) = (0..texts.len()).partition(marker);
        prop_assert_eq!(ids(&cuts, false), ordinary);
        prop_assert_eq!(ids(&cuts, true), aside);
        let rows: u64 = cuts.iter().map(|cut| cut.chunk.rows).sum();
        prop_assert_eq!(rows, texts.len() as u64);
        prop_assert!(cuts.iter().all(|cut| cut.chunk.rows > 0 && cut.chunk.input == 3));
    }

    /// LABEL-1: how rows came in batches has no say in where chunks end.
    #[test]
    fn cuts_depend_on_the_rows_alone(
        texts in texts(),
        sizes in vec(1_usize..40, 1..5),
        others in vec(1_usize..40, 1..5),
        load_bytes in 1_u64..400,
    ) {
        let (one, other) = (cut(&texts, &sizes, load_bytes), cut(&texts, &others, load_bytes));
        prop_assert_eq!(summary(&one), summary(&other));
    }

    /// A chunk closes with the row that fills it: without its last row it would have had room.
    #[test]
    fn chunks_close_with_the_row_that_fills_them(texts in texts(), load_bytes in 1_u64..400) {
        let cuts = cut(&texts, &[7], load_bytes);
        let ordinary: Vec<_> = cuts.iter().filter(|cut| !cut.side).collect();
        for (index, cut) in ordinary.iter().enumerate() {
            let body = cut.chunk.body.concat();
            let last = body[..body.len() - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            prop_assert!((last as u64) < load_bytes);
            prop_assert!(index + 1 == ordinary.len() || body.len() as u64 >= load_bytes);
        }
    }
}

fn some(count: usize) -> Vec<Option<String>> {
    (0..count).map(|row| Some(format!("row {row}"))).collect()
}

#[test]
fn an_input_that_breaks_off_hands_on_no_half_filled_chunk() {
    let failure = reader::Error::Empty { path: "x".into() };
    let mut sink = Collected::default();
    let result = run_on(batches(&some(30), &[5]), 100, Some(failure), &mut sink);
    assert!(matches!(result, Err(Failure::Reading(_))), "{result:?}");
    assert!(sink.cuts.iter().all(|cut| cut.chunk.text_bytes >= 100), "only chunks that were full left");
}

#[test]
fn a_sink_that_wants_no_more_stops_the_pipeline() {
    let mut sink = Collected { chunks_max: Some(2), ..Collected::default() };
    let result = run_on(batches(&some(10_000), &[50]), 100, None, &mut sink);
    assert!(matches!(result, Err(Failure::Stopped)), "{result:?}");
    assert_eq!(sink.cuts.len(), 2);
}

#[test]
fn a_closed_budget_stops_the_pipeline() {
    let context = context(100);
    context.budget.close();
    let reader = Ready { batches: batches(&some(10), &[5]).into_iter(), ends_with: None };
    let result = run(Source::Batches(Box::new(reader)), || {}, options(100), &context, &mut Collected::default());
    assert!(matches!(result, Err(Failure::Stopped)), "{result:?}");
}

#[test]
fn rejects_pass_through_in_order_and_are_counted() {
    struct Rejecting(u64);
    impl Reader for Rejecting {
        fn next(&mut self, rejects: &mut Vec<Reject>) -> Result<Option<Batch>, reader::Error> {
            self.0 += 1;
            let rule = Rule { code: "field-count", text: String::new() };
            let origin = Origin { line: self.0, byte: 0 };
            rejects.push(Reject { origin, column: None, value: None, rule, raw: Vec::new() });
            Ok((self.0 < 5).then(|| batches(&some(2), &[2]).remove(0)))
        }
    }
    let (context, mut sink) = (context(1000), Collected::default());
    run(Source::Batches(Box::new(Rejecting(0))), || {}, options(1000), &context, &mut sink).unwrap();
    assert_eq!(sink.rejects.iter().map(|reject| reject.origin.line).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!((Progress::read(&context.progress.rows_read), Progress::read(&context.progress.rows_rejected)), (13, 5));
}
