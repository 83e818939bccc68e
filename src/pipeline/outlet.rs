//! [`Outlet`]: where full chunks and rejects leave a pipeline, in the order they were made, compressed by whoever is free.

use std::collections::VecDeque;

use crossbeam_channel::{Receiver, Sender, bounded, never};

use super::chunker::Filled;
use super::press::Press;
use super::stages::{Done, Piece};
use super::{Context, Cut, Sink, Stopped};
use crate::governor::Permit;
use crate::model::{Codec, Origin, Reject};
use crate::telemetry::{Activity, Part, Progress, Stage};

/// The way out.
pub(super) struct Outlet<'a> {
    pub(super) context: &'a Context,
    sink: &'a mut dyn Sink,
    press: Press,
    work: Sender<(Piece, Sender<Done>)>,
    /// Chunks that are being compressed, in their order.
    pressed: VecDeque<(Place, Receiver<Done>)>,
}

/// Which chunk of its input one is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Its number among the ordinary or the side chunks, from 1.
    pub(super) sequence: u32,
    /// Whether it is a side chunk.
    pub(super) side: bool,
    /// The first row that stands in a chunk which is not full yet.
    pub(super) waiting: Option<Origin>,
}

impl<'a> Outlet<'a> {
    pub(super) fn new(
        context: &'a Context,
        sink: &'a mut dyn Sink,
        press: Press,
        work: Sender<(Piece, Sender<Done>)>,
    ) -> Self {
        Self { context, sink, press, work, pressed: VecDeque::new() }
    }

    /// Room for a chunk. What waits to leave goes first if there is none: its room may be what is missing.
    pub(super) fn room(&mut self, bytes: u64) -> Result<Permit, Stopped> {
        loop {
            if let Some(permit) = self.context.budget.try_take(bytes)? {
                return Ok(permit);
            }
            if !self.hand_on_first()? {
                return self.waiting_for_target(|outlet| Ok(outlet.context.budget.take(bytes)?));
            }
        }
    }

    /// Takes a chunk that is full.
    pub(super) fn chunk(&mut self, filled: Filled, place: Place) -> Result<(), Stopped> {
        let codec = self.press.codec(filled.chunk(), &self.context.progress, self.context.clock.as_ref());
        if codec == Codec::None {
            let (chunk, permit) = filled.compress(Codec::None);
            return self.hand_on(place, Done::Chunk(chunk, permit));
        }
        let (sender, receiver) = bounded(1);
        let piece = Piece::Filled(Box::new(filled), codec);
        // The workers end only when everybody has dropped this.
        self.work.send((piece, sender)).map_err(|_| Stopped)?;
        self.pressed.push_back((place, receiver));
        Ok(())
    }

    /// Takes rejected rows. Those of rows before a chunk never leave behind it.
    pub(super) fn rejects(&mut self, rejects: Vec<Reject>) -> Result<(), Stopped> {
        Progress::add(&self.context.progress.rows_rejected, rejects.len() as u64);
        self.sink.rejects(rejects)
    }

    /// Tells when the first chunk that waits to leave can.
    pub(super) fn first(&self) -> Receiver<Done> {
        self.pressed.front().map_or_else(never, |(_, receiver)| receiver.clone())
    }

    /// Hands on the first chunk that waits to leave, as [`first`](Self::first) gave it.
    pub(super) fn leave(&mut self, done: Done) -> Result<(), Stopped> {
        let (place, _) = self.pressed.pop_front().expect("somebody was told of it");
        self.hand_on(place, done)
    }

    /// Hands on everything.
    pub(super) fn finish(&mut self) -> Result<(), Stopped> {
        while self.hand_on_first()? {}
        Ok(())
    }

    /// Waits for the first chunk that waits to leave, and hands it on; false if there is none.
    fn hand_on_first(&mut self) -> Result<bool, Stopped> {
        let Some((place, receiver)) = self.pressed.pop_front() else { return Ok(false) };
        // Without an answer its thread has panicked, which the scope passes on.
        let done = receiver.recv().map_err(|_| Stopped)?;
        self.hand_on(place, done)?;
        Ok(true)
    }

    fn hand_on(&mut self, place: Place, done: Done) -> Result<(), Stopped> {
        let Done::Chunk(chunk, permit) = done else { unreachable!("what was sent is a chunk") };
        let Place { sequence, side, waiting } = place;
        let waiting = waiting.filter(|row| row.byte < chunk.to.byte);
        self.waiting_for_target(|outlet| outlet.sink.chunk(Cut { chunk, sequence, side, waiting, permit }))
    }

    fn waiting_for_target<T>(&mut self, wait: impl FnOnce(&mut Self) -> T) -> T {
        let start = self.context.clock.instant();
        let result = wait(self);
        let waited = self.context.clock.instant() - start;
        self.context.progress.waited_for(Stage::Target, waited);
        self.context.progress.spent(Part::Assembly, Activity::Blocked, waited);
        result
    }
}
