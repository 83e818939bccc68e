//! Bodies on their way into a table: kept in a file until the load is to be decided, then read as rows.
//!
//! The file has no name any more, so memory stays flat and a process that dies leaves nothing. A load of one request has
//! one body; a transaction and a merged load have several, which for CSV are one text, put together as they came, and
//! for JSON documents of their own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use rusqlite::Transaction;

use super::body::Body;
use super::count;
use super::decompress;
use super::function;
use super::ingest::{self, Failed, Tally};
use super::plan::{self, Plan};
use super::stage;
use super::tablet;
use super::types::TableDef;
use super::wire::{Format, LoadRequest};

/// Where rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Table,
    /// Beside the table, for the load of this number.
    Stage(i64),
}

/// The bodies of a load, or their rows' number where rows are not kept.
#[derive(Debug)]
pub(super) struct Intake {
    /// Nothing if rows are only counted.
    spool: Option<File>,
    /// The length of each body.
    lengths: Vec<u64>,
    counted: u64,
}

impl Intake {
    /// Makes room for bodies in a directory; with `discard` rows are counted as they come, and not kept.
    pub(super) fn open(dir: &Path, discard: bool) -> io::Result<Self> {
        let spool = if discard { None } else { Some(spool(dir)?) };
        Ok(Self { spool, lengths: Vec::new(), counted: 0 })
    }

    /// How many bytes have come.
    pub(super) fn received(&self) -> u64 {
        self.lengths.iter().sum()
    }

    /// How many bodies have come.
    pub(super) fn bodies(&self) -> usize {
        self.lengths.len()
    }

    /// Takes a body in, to its end. What has come of one that breaks off does not count.
    pub(super) fn take(&mut self, request: &LoadRequest, body: &mut Body) -> Result<(), Failed> {
        if let Some(spool) = &mut self.spool {
            while let Some(bytes) = body.next()? {
                spool.write_all(&bytes)?;
            }
        } else {
            self.counted += match count::Counter::new(&request.format) {
                Some(counter) if request.codec.is_none() => body.count(counter)?,
                _ => {
                    let source = decompress::open_buffered(request.codec, one_frame(request), &mut *body)?;
                    count::rows(request, source)?
                }
            };
            // Bytes behind the last row (of a second frame, say) still belong to the body.
            while body.next()?.is_some() {}
        }
        match request.content_length {
            Some(announced) if announced != body.received => {
                Err(Failed::Body("receive body don't equal with body bytes".to_owned()))
            }
            _ => {
                self.lengths.push(body.received);
                Ok(())
            }
        }
    }

    /// Puts the rows of all bodies where they belong. Whether they are good enough is the caller's to judge.
    pub(super) fn pour(
        &mut self,
        transaction: &Transaction<'_>,
        request: &LoadRequest,
        (table, plan): (&TableDef, &Plan),
        place: Place,
        tally: &mut Tally,
    ) -> Result<(), Failed> {
        let replanned = plan::replan(transaction, request, table, plan)?;
        let (request, table, plan) =
            replanned.as_ref().map_or((request, table, plan), |(request, table, plan)| (request, table, plan));
        match &mut self.spool {
            None => tally.counts.loaded += self.counted,
            Some(spool) if matches!(request.format, Format::Csv(_)) => {
                spool.rewind()?;
                let source = decompress::open(request.codec, false, &*spool)?;
                place.put(transaction, request, (table, plan), source, tally)?;
            }
            Some(spool) => {
                let mut from = 0;
                for length in &self.lengths {
                    spool.seek(SeekFrom::Start(from))?;
                    let source = decompress::open(request.codec, true, (&*spool).take(*length))?;
                    place.put(transaction, request, (table, plan), source, tally)?;
                    from += length;
                }
            }
        }
        Ok(())
    }
}

impl Place {
    fn put(
        self,
        transaction: &Transaction<'_>,
        request: &LoadRequest,
        (table, plan): (&TableDef, &Plan),
        source: impl Read,
        tally: &mut Tally,
    ) -> Result<(), Failed> {
        match self {
            Self::Table => {
                ingest::ingest(transaction, request, table, plan, source, tally)?;
                Ok(tablet::bump_version(transaction, table.id)?)
            }
            Self::Stage(load) => stage::stage(transaction, load, request, table, plan, source, tally),
        }
    }
}

fn one_frame(request: &LoadRequest) -> bool {
    matches!(request.format, Format::Json(_))
}

/// A file for bodies, which is gone as soon as it is closed.
fn spool(dir: &Path) -> io::Result<File> {
    let path = dir.join(format!("spool-{}", function::uuid_text()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}
