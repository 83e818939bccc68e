//! When a file is whole: [`Known`] decides, from what is seen of it again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::File;

/// What tells a file from what it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Mark {
    /// That of a file; none where there is none, or only a link to one.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?;
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Some(Self { inode: metadata.ino(), bytes: metadata.size(), modified })
    }
}

/// A file that was seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) path: PathBuf,
    pub(super) mark: Mark,
    /// Whether its marker lies beside it.
    pub(super) marked: bool,
}

/// What makes a file whole.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whole {
    /// It has been as it is for so long.
    Settled(Duration),
    /// Its marker lies beside it.
    Marked,
}

/// The files that were seen before.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<PathBuf, State>);

#[derive(Debug)]
struct State {
    mark: Mark,
    /// Since when it has been as it is.
    since: Instant,
    /// Whether somebody takes care of it.
    taken: bool,
    /// Whether it was whole before, and could not be taken care of.
    released: bool,
}

impl State {
    fn new(mark: Mark, now: Instant) -> Self {
        Self { mark, since: now, taken: false, released: false }
    }
}

impl Known {
    /// Takes in what lies there now; returns the files that have become whole.
    pub(super) fn look(&mut self, seen: Vec<Seen>, whole: Whole, now: Instant) -> Vec<File> {
        let there: BTreeSet<&PathBuf> = seen.iter().map(|one| &one.path).collect();
        self.0.retain(|path, _| there.contains(path));
        let mut found = Vec::new();
        for Seen { path, mark, marked } in seen {
            let state = self.0.entry(path.clone()).or_insert(State::new(mark, now));
            if state.mark != mark {
                *state = State::new(mark, now);
            }
            let is_whole = match whole {
                Whole::Marked => marked,
                // Seen twice at least, also where nothing has to be waited for.
                Whole::Settled(time) => now > state.since && now - state.since >= time,
            };
            if is_whole && !state.taken {
                state.taken = true;
                found.push(File { path, mark });
            }
        }
        found
    }

    /// Lets go of a file that could not be taken care of; it has to settle once more.
    pub(super) fn release(&mut self, path: &Path, now: Instant) {
        if let Some(state) = self.0.get_mut(path) {
            (state.taken, state.released, state.since) = (false, true, now);
        }
    }

    /// How long until the next file is whole, if nobody writes to it. One that was released waits for the next look.
    pub(super) fn next_whole(&self, whole: Whole, now: Instant) -> Option<Duration> {
        let Whole::Settled(time) = whole else { return None };
        let settling = self.0.values().filter(|state| !state.taken && !state.released);
        settling.map(|state| time.saturating_sub(now - state.since)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    fn seen(path: &str, bytes: u64, marked: bool) -> Seen {
        Seen { path: path.into(), mark: Mark { inode: 1, bytes, modified: (0, 0) }, marked }
    }

    /// Looks at one file at each second, with its size; returns the seconds at which it was taken.
    fn taken(whole: Whole, sizes: &[Option<(u64, bool)>]) -> Vec<usize> {
        let start = SystemClock.instant();
        let mut known = Known::default();
        let look = |(second, size): (usize, &Option<(u64, bool)>)| {
            let files = size.iter().map(|(bytes, marked)| seen("a", *bytes, *marked)).collect();
            let found = known.look(files, whole, start + Duration::from_secs(second as u64));
            (!found.is_empty()).then_some(second)
        };
        sizes.iter().enumerate().filter_map(look).collect()
    }

    #[test]
    fn a_file_is_taken_once_when_it_has_settled_and_again_when_it_is_another() {
        let rule = Whole::Settled(Duration::from_secs(2));
        let size = |bytes| Some((bytes, false));
        assert_eq!(taken(rule, &[size(1), size(2), size(2), size(2), size(2)]), [3]);
        assert_eq!(taken(rule, &[size(1), size(1), size(1), size(2), size(2), size(2)]), [2, 5]);
        assert_eq!(taken(rule, &[size(1), size(1), None, size(1), size(1), size(1)]), [5], "it was gone");
        assert_eq!(taken(Whole::Settled(Duration::ZERO), &[size(1), size(1), size(1)]), [1]);
    }

    #[test]
    fn a_marker_says_that_a_file_is_whole_and_nothing_else_does() {
        let unmarked = Some((1, false));
        let marked = |bytes| Some((bytes, true));
        assert_eq!(taken(Whole::Marked, &[unmarked, unmarked, unmarked]), [0; 0]);
        assert_eq!(taken(Whole::Marked, &[unmarked, marked(1), marked(1), marked(2)]), [1, 3]);
    }

    #[test]
    fn what_could_not_be_taken_settles_once_more() {
        let start = SystemClock.instant();
        let at = |second| start + Duration::from_secs(second);
        let mut known = Known::default();
        let look = |known: &mut Known, second| {
            known.look(vec![seen("a", 1, false)], Whole::Settled(Duration::from_secs(1)), at(second)).len()
        };
        assert_eq!((look(&mut known, 0), look(&mut known, 1), look(&mut known, 2)), (0, 1, 0));
        known.release(Path::new("a"), at(2));
        assert_eq!((look(&mut known, 2), look(&mut known, 3)), (0, 1));
    }

    #[test]
    fn the_next_look_is_when_a_file_has_settled_and_none_is_early_for_one_that_could_not_be_taken() {
        let start = SystemClock.instant();
        let (rule, mut known) = (Whole::Settled(Duration::from_secs(9)), Known::default());
        let next = |known: &Known, second| known.next_whole(rule, start + Duration::from_secs(second));
        assert_eq!(next(&known, 0), None);
        known.look(vec![seen("a", 1, false)], rule, start);
        known.look(vec![seen("a", 1, false), seen("b", 1, false)], rule, start + Duration::from_secs(5));
        assert_eq!(next(&known, 6), Some(Duration::from_secs(3)), "a");
        assert_eq!(
            known.look(vec![seen("a", 1, false), seen("b", 1, false)], rule, start + Duration::from_secs(9)).len(),
            1
        );
        assert_eq!(next(&known, 10), Some(Duration::from_secs(4)), "b");
        assert_eq!(next(&known, 99), Some(Duration::ZERO), "b");
        known.look(vec![seen("a", 1, false)], rule, start + Duration::from_secs(99));
        known.release(Path::new("a"), start + Duration::from_secs(99));
        assert_eq!(next(&known, 100), None);
        assert_eq!(known.next_whole(Whole::Marked, start), None);
    }
}
