//! A delivery to its end, in parts where the target refuses some of its rows.
//!
//! ```text
//!  load refused ─┬─ more rows than may be rejected ─▶ the job stops; rows that the server names are told
//!                └─ confirmed: nothing of it is applied ─▶ journal: refused ─▶ next part ─┬─ loaded
//!                                                               ▲                        └─ refused ─┐
//!                                                               └────────────────────────────────────┘
//! ```
//!
//! Which parts are sent is decided in [`bisection`](super::bisection), and which rows the server's list means in
//! [`matching`](super::matching). A part is a load like any other: under a label of its own, which names the load and the
//! part, written into the journal before it is sent, retried and settled as every load is. A refused load or part is never
//! sent again in this run of the job, also not after a crash: what it was refused for may be in the table by then.
//!
//! A row is rejected only where the server named it, where it was refused alone, or where the server says that it refused
//! every row of what was sent.

use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task;

use super::attempt::{Run, cancelled};
use super::bisection::{Bisection, Part};
use super::matching;
use super::reject::{RefusedRow, Sent};
use super::rows::Rows;
use super::{Delivered, Delivery, Dispatcher, Error};
use crate::journal::Refusals;
use crate::model::{Codec, Label, LoadState};
use crate::target::{self, error_log::Filtered};

/// Delivers a chunk. The accounts are of the loads that stand, and of one that failed.
pub(super) async fn deliver(
    dispatcher: Dispatcher,
    delivery: Delivery,
    cancel: watch::Receiver<bool>,
    alone: bool,
) -> (Vec<Delivered>, Option<Error>) {
    let known = dispatcher.journal.refusals(&dispatcher.job, dispatcher.run, &delivery.label);
    let mut run = Run::new(dispatcher, delivery, cancel);
    run.alone = alone;
    let first = match known {
        Err(error) => return (vec![run.delivered], Some(error.into())),
        Ok(known) if !known.is_empty() => {
            tracing::info!("{} was refused before: going on with its parts", run.delivery.label);
            First::Known(known)
        }
        Ok(_) => match run.deliver().await {
            Err(Error::Failed { source, .. }) if is_refusal(&source) && run.delivered.state == LoadState::Aborted => {
                First::Refused(Refusal::of(source))
            }
            result => return (vec![run.delivered], result.err()),
        },
    };
    let mut division = match Division::begin(run, first).await {
        Ok(division) => division,
        Err((delivered, failure)) => return (vec![delivered], failure),
    };
    let failure = division.run().await.err();
    (division.delivered, failure)
}

fn is_refusal(error: &target::Error) -> bool {
    matches!(error, target::Error::RowsRefused { .. })
}

/// Why a load is taken apart.
enum First {
    /// It has just been refused.
    Refused(Refusal),
    /// An earlier try of this run heard so.
    Known(Refusals),
}

/// What the server said when it refused.
struct Refusal {
    /// Rows in the load, and rows it refused, as it counted them.
    total: u64,
    filtered: u64,
    lines: Vec<Filtered>,
    source: target::Error,
}

impl Refusal {
    fn of(mut source: target::Error) -> Self {
        let target::Error::RowsRefused { total, filtered, lines, .. } = &mut source else {
            unreachable!("only refusals come here")
        };
        let (total, filtered, lines) = (*total, *filtered, std::mem::take(lines));
        Self { total, filtered, lines, source }
    }

    /// The server's words, where they are all that is known of a row.
    fn words(&self) -> String {
        match &self.source {
            target::Error::RowsRefused { message, .. } => message.clone(),
            other => other.to_string(),
        }
    }

    /// The server's words for the only row of what was sent: the one line of the list is about it, whatever it shows of it.
    fn words_of_one(&self) -> String {
        let [line] = self.lines.as_slice() else { return self.words() };
        let mut readings = line.readings();
        match (readings.next(), readings.next()) {
            (Some((reason, _)), None) => matching::words(reason),
            _ => self.words(),
        }
    }
}

/// What becomes of a part that was refused.
enum Found {
    /// These rows of it are known now, and others may be to be found.
    Rows(Vec<(u64, Arc<str>)>),
    /// Each of its rows is.
    All(Vec<(u64, Arc<str>)>, Arc<str>),
}

/// A refused load that is taken apart.
struct Division {
    dispatcher: Dispatcher,
    cancel: watch::Receiver<bool>,
    delivery: Delivery,
    rows: Rows,
    bisection: Bisection,
    known: Refusals,
    /// What was said of the whole, until that is dealt with.
    first: Option<Refusal>,
    delivered: Vec<Delivered>,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Division {
    /// Makes sure that the load is out of the way, and tells its rows apart.
    async fn begin(mut run: Run, first: First) -> Result<Self, (Delivered, Option<Error>)> {
        let (first, known) = match first {
            First::Known(known) => (None, known),
            First::Refused(refusal) => {
                match run.is_out_of_the_way().await {
                    Err(error) => return Err((run.delivered, Some(error))),
                    Ok(true) => {}
                    // It is applied, whatever was said of it.
                    Ok(false) if run.delivered.state != LoadState::Aborted => return Err((run.delivered, None)),
                    Ok(false) => {
                        let (label, attempts) = (run.delivery.label.clone(), run.delivered.attempts);
                        let elapsed = std::time::Duration::ZERO;
                        let failed = Error::Failed { label, attempts, elapsed, source: refusal.source };
                        return Err((run.delivered, Some(failed)));
                    }
                }
                (Some(refusal), Refusals::default())
            }
        };
        let Run { dispatcher, mut delivery, mut cancel, delivered, .. } = run;
        let mut turn = None;
        if delivery.chunk.codec != Codec::None {
            turn = tokio::select! {
                biased;
                turn = Arc::clone(&dispatcher.rejects.turn).acquire_owned() => turn.ok(),
                () = cancelled(&mut cancel) => return Err((delivered, Some(Error::Cancelled))),
            };
        }
        let rows = match aside(|| Rows::of(&delivery.chunk)) {
            Ok(rows) => rows,
            Err(error) => unreachable!("a chunk holds what its encoder wrote: {error}"),
        };
        delivery.permit.resize(delivery.chunk.body_bytes + delivery.chunk.origins.bytes() + rows.extra_bytes());
        let bisection = Bisection::new(delivery.chunk.rows);
        Ok(Self { dispatcher, cancel, delivery, rows, bisection, known, first, delivered: Vec::new(), _turn: turn })
    }

    /// Sends parts until every row is loaded or rejected.
    async fn run(&mut self) -> Result<(), Error> {
        while let Some(part) = self.bisection.next() {
            match self.outcome(&part).await? {
                None => self.bisection.loaded(),
                Some(Found::Rows(rows)) => {
                    self.bisection.refused(rows.iter().map(|(row, _)| *row));
                    self.reject(&mut rows.into_iter())?;
                }
                Some(Found::All(named, words)) => {
                    self.bisection.all_refused();
                    let mut named = named.into_iter().peekable();
                    let mut all = part.map(|row| match named.next_if(|(next, _)| *next == row) {
                        Some(named) => named,
                        None => (row, Arc::clone(&words)),
                    });
                    self.reject(&mut all)?;
                }
            }
        }
        Ok(())
    }

    /// What is refused of a part; none when it is loaded.
    async fn outcome(&mut self, part: &Part) -> Result<Option<Found>, Error> {
        let is_whole = *part == (0..self.delivery.chunk.rows);
        if let Some(found) = self.known_of(part, is_whole) {
            self.check(part, &found)?;
            return Ok(Some(found));
        }
        let refusal = match self.first.take() {
            Some(refusal) => refusal,
            None => match self.send(part).await? {
                None => return Ok(None),
                Some(refusal) => refusal,
            },
        };
        self.take(part, refusal).map(Some)
    }

    /// Whether what an earlier try has heard is still allowed: this one may have a lower limit.
    fn check(&self, part: &Part, found: &Found) -> Result<(), Error> {
        let (refused, words) = match found {
            Found::Rows(rows) => (rows.len() as u64, rows.first().map(|(_, words)| words)),
            Found::All(_, words) => (part.end - part.start, Some(words)),
        };
        if self.dispatcher.rejects.sink.allows(refused) {
            return Ok(());
        }
        let message = words.map_or_else(String::new, ToString::to_string);
        let (samples, lines, total) = (Vec::new(), Vec::new(), part.end - part.start);
        let source = target::Error::RowsRefused { message, total, filtered: refused, samples, lines, log: None };
        let (label, rows) = (self.delivery.label.clone(), self.delivery.chunk.rows);
        Err(Error::Refused { label, refused, rows, source })
    }

    /// What an earlier try has heard of a part.
    fn known_of(&mut self, part: &Part, is_whole: bool) -> Option<Found> {
        let count = part.end - part.start;
        match self.known.parts.get(&(part.start, count)) {
            Some(Some(words)) => Some(Found::All(self.known_rows(part, true), words.as_str().into())),
            // All rows that are known are told at the first opportunity, and none of them again.
            Some(None) => Some(Found::Rows(self.known_rows(part, false))),
            None if is_whole && count == 1 => {
                let (row, words) = self.known_rows(part, true).pop()?;
                Some(Found::All(vec![(row, Arc::clone(&words))], words))
            }
            None => None,
        }
    }

    /// The rows of a part that an earlier try has told; without those whose part is refused as one, and told then.
    fn known_rows(&self, part: &Part, all: bool) -> Vec<(u64, Arc<str>)> {
        let refused_as_one = |row: u64| {
            let mut parts = self.known.parts.iter().filter(|(_, words)| words.is_some());
            parts.any(|((start, count), _)| (*start..start + count).contains(&row))
        };
        let known = self.known.rows.iter().filter(|(row, _)| part.contains(row) && (all || !refused_as_one(*row)));
        known.map(|(row, words)| (*row, Arc::from(words.as_str()))).collect()
    }

    /// Sends a part; what was said of it when it is refused.
    async fn send(&mut self, part: &Part) -> Result<Option<Refusal>, Error> {
        if *self.dispatcher.drain.borrow() {
            return Err(Error::Cancelled);
        }
        let chunk = aside(|| self.rows.chunk(part));
        let mut permit = self.delivery.permit.beside();
        if chunk.codec != Codec::None {
            permit.resize(chunk.body_bytes);
        }
        let label = label_of(&self.delivery.label, part);
        let settings = Arc::clone(&self.delivery.settings);
        let delivery = Delivery { label, chunk, settings, permit };
        let mut run = Run::new(self.dispatcher.clone(), delivery, self.cancel.clone());
        match run.deliver().await {
            Err(Error::Failed { source, label, attempts, elapsed })
                if is_refusal(&source) && run.delivered.state == LoadState::Aborted =>
            {
                let refusal = Refusal::of(source);
                let clear = run.is_out_of_the_way().await;
                if matches!(clear, Ok(true)) {
                    return Ok(Some(refusal));
                }
                let applied = run.delivered.state != LoadState::Aborted;
                self.delivered.push(run.delivered);
                clear?;
                let source = refusal.source;
                if applied { Ok(None) } else { Err(Error::Failed { label, attempts, elapsed, source }) }
            }
            result => {
                self.delivered.push(run.delivered);
                result.map(|()| None)
            }
        }
    }

    /// Takes in that a part is refused: finds out which rows are meant, and writes it down.
    fn take(&mut self, part: &Part, refusal: Refusal) -> Result<Found, Error> {
        let count = part.end - part.start;
        let named = aside(|| matching::named(&self.rows, part, &refusal.lines, refusal.filtered));
        let refused = refusal.filtered.clamp(1, count);
        let label = &self.delivery.label;
        if !self.dispatcher.rejects.sink.allows(refused) {
            // What is named is all that can be had without loading any of the rest.
            self.reject(&mut named.into_iter().map(|(row, words)| (row, words.into())))?;
            let (label, rows) = (self.delivery.label.clone(), self.delivery.chunk.rows);
            return Err(Error::Refused { label, refused, rows, source: refusal.source });
        }
        let all = refusal.filtered == count && refusal.total == count;
        let words = match (count, named.first()) {
            (1, Some((_, words))) => Some(words.clone()),
            (1, None) => Some(refusal.words_of_one()),
            _ => all.then(|| refusal.words()),
        };
        let Dispatcher { journal, job, run, .. } = &self.dispatcher;
        journal.refused((job, *run, label), part.clone(), words.as_deref(), &named)?;
        let rows = if count == 1 { "row" } else { "rows" };
        tracing::warn!(
            "the target refused {refused} of {count} {rows} of {label} (from {} on), {} of them by name: {}",
            self.rows.origins(&(part.start..part.start + 1)).next().map_or(0, |origin| origin.line),
            named.len(),
            refusal.words()
        );
        let named = named.into_iter().map(|(row, words)| (row, Arc::from(words))).collect();
        Ok(match words {
            Some(words) => Found::All(named, words.into()),
            None => Found::Rows(named),
        })
    }

    /// Puts rows among the rejects.
    fn reject(&self, rows: &mut dyn Iterator<Item = (u64, Arc<str>)>) -> Result<(), Error> {
        let chunk = &self.delivery.chunk;
        let sink = &self.dispatcher.rejects.sink;
        let with_text = sink.wants_text(chunk.input);
        let whole = 0..chunk.rows;
        let mut origins = self.rows.origins(&whole).enumerate();
        let mut refused = rows.map(|(row, words)| {
            let origin = origins.find(|(index, _)| *index as u64 == row).map_or(chunk.from, |(_, origin)| origin);
            RefusedRow { origin, words, text: if with_text { self.rows.row(row) } else { Vec::new() } }
        });
        let sent = Sent { input: chunk.input, format: chunk.format, settings: &self.delivery.settings };
        Ok(aside(|| sink.reject(sent, &mut refused))?)
    }
}

/// Does work that takes a while, and lets other tasks of this thread go on elsewhere where that can be.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => task::block_in_place(work),
        _ => work(),
    }
}

/// The label of a part: it names the load and the part, so that it stands for the same rows whenever it is used.
pub(super) fn label_of(load: &Label, part: &Part) -> Label {
    let part = format!("-r{}-{}", part.start, part.end);
    let named = format!("{load}{part}");
    if let Ok(label) = named.parse() {
        return label;
    }
    // Too long for a server: a digest stands for the load.
    let digest = Sha256::digest(load.as_str().as_bytes());
    let mut short = "shipload-".to_owned();
    for byte in &digest[..20] {
        let _ = write!(short, "{byte:02x}");
    }
    format!("{short}{part}").parse().expect("a digest and two numbers are short enough")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_of_a_part_names_load_and_part_and_always_fits() {
        let load: Label = "shipload-t-1f-0-0-3".parse().unwrap();
        assert_eq!(label_of(&load, &(500..1000)).as_str(), "shipload-t-1f-0-0-3-r500-1000");
        let long: Label = "x".repeat(128).parse().unwrap();
        let other: Label = "y".repeat(128).parse().unwrap();
        let part = u64::MAX - 1..u64::MAX;
        assert_ne!(label_of(&long, &part), label_of(&other, &part));
        assert_eq!(label_of(&long, &part), label_of(&long, &part));
        assert_ne!(label_of(&long, &(0..1)), label_of(&long, &(0..2)));
    }
}
