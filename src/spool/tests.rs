//! The store as it is used, killed and damaged.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::model::{Chunk, Codec, Label, Origin, Origins, WireFormat};
use crate::telemetry::Progress;

fn label(number: u64) -> Label {
    format!("shipload-nightly-{number}").parse().unwrap()
}

fn chunk(number: u64, bytes: usize) -> Chunk {
    let text: Vec<u8> = (0..bytes).map(|index| (index as u64 * 31 + number).to_le_bytes()[0]).collect();
    Chunk {
        body: text.chunks(1 << 20).map(Bytes::copy_from_slice).collect(),
        body_bytes: bytes as u64,
        text_bytes: bytes as u64 * 2,
        rows: number + 1,
        digest: u64::MAX - number,
        format: WireFormat::Csv,
        codec: Codec::Lz4,
        input: 0,
        from: Origin { line: number, byte: number },
        to: Origin { line: number + 1, byte: number + 1 },
        origins: (0..2).map(|row| Origin { line: number + row, byte: number + row }).fold(
            Origins::default(),
            |mut origins, origin| {
                origins.push(origin);
                origins
            },
        ),
    }
}

fn head(number: u64, chunk: &Chunk) -> Head {
    let reached = Reached { row: chunk.to, included: true };
    Head::new(chunk, label(number), "-".into(), reached, serde_json::json!({"fields": ["ü"]}))
}

fn open(folder: &Path, limit: u64) -> Result<Store, Error> {
    Store::open(folder, limit, Arc::new(Progress::default()))
}

fn put(store: &Store, number: u64, bytes: usize) {
    let chunk = chunk(number, bytes);
    assert!(store.append(&head(number, &chunk), &chunk.body, || ()).unwrap());
}

fn taken(store: &Store) -> (Head, Chunk) {
    store.read(store.next().unwrap()).unwrap()
}

fn left(store: &Store) -> Vec<Label> {
    store.left().into_iter().map(|spooled| spooled.label).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_taken_is_what_was_added_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 30).unwrap();
    for (number, bytes) in [(1, 3 << 20), (2, 0), (3, 77)] {
        put(&store, number, bytes);
    }
    store.finish();
    for (number, bytes) in [(1, 3 << 20), (2, 0), (3, 77)] {
        let wanted = chunk(number, bytes);
        let (found, read) = taken(&store);
        assert_eq!(found, head(number, &wanted));
        assert_eq!((read.body.concat(), read.rows, read.digest), (wanted.body.concat(), wanted.rows, wanted.digest));
    }
    assert_eq!(store.next(), None);
}

#[test]
fn the_newest_stays_until_the_next_one_comes_because_it_says_how_far_the_stream_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 30).unwrap();
    put(&store, 1, 10);
    store.settled(&label(1), false);
    assert_eq!(store.newest().unwrap().unwrap().label, label(1));
    put(&store, 2, 10);
    assert_eq!(names(folder.path()), ["00000002.chunk"]);
    put(&store, 3, 10);
    store.settled(&label(2), false);
    assert_eq!(names(folder.path()), ["00000003.chunk"]);
}

#[test]
fn a_full_store_waits_for_what_is_under_way_and_says_so_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 2500).unwrap();
    put(&store, 1, 1000);
    let said = thread::scope(|scope| {
        let adding = scope.spawn(|| {
            let (chunk, mut said) = (chunk(2, 2000), 0);
            assert!(store.append(&head(2, &chunk), &chunk.body, || said += 1).unwrap());
            said
        });
        let (found, _) = taken(&store);
        store.settled(&found.label, false);
        adding.join().unwrap()
    });
    assert!(said <= 1);
    assert_eq!(names(folder.path()), ["00000002.chunk"]);
}

#[test]
fn one_chunk_larger_than_the_limit_is_let_in_and_no_two() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 10).unwrap();
    put(&store, 1, 1000);
    thread::scope(|scope| {
        let adding = scope.spawn(|| {
            let chunk = chunk(2, 1000);
            store.append(&head(2, &chunk), &chunk.body, || store.close())
        });
        assert!(!adding.join().unwrap().unwrap(), "it has waited until the store was closed");
    });
    assert_eq!(names(folder.path()), ["00000001.chunk"]);
}

#[test]
fn what_is_prepared_makes_room_where_room_is_needed_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 3500).unwrap();
    put(&store, 1, 1000);
    put(&store, 2, 1000);
    for number in [1, 2] {
        store.settled(&label(number), true);
    }
    assert_eq!(names(folder.path()).len(), 2);
    put(&store, 3, 1000);
    assert_eq!(names(folder.path()), ["00000002.chunk", "00000003.chunk"]);
}

#[test]
fn what_an_earlier_try_left_is_taken_only_when_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 30).unwrap();
    (1..=3).for_each(|number| put(&store, number, 10));
    drop(store);
    let store = open(folder.path(), 1 << 30).unwrap();
    assert_eq!(store.ask_for(&label(9)), None);
    assert_eq!(store.ask_for(&label(2)).unwrap().rows, 3);
    store.finish();
    assert_eq!(taken(&store).0.label, label(2));
    assert_eq!(store.next(), None);
    assert_eq!(left(&store), [label(1), label(3)]);
    store.drop_unsent(|label| label.as_str().ends_with('3')).unwrap();
    assert_eq!(names(folder.path()), ["00000003.chunk"]);
}

#[test]
fn the_end_is_said_until_something_comes_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 30).unwrap();
    put(&store, 1, 10);
    assert_eq!(store.end().unwrap(), None);
    let end = End { rows_read: 7, rows_rejected: 1, bytes_read: 99, inputs: Vec::new(), rejects: None };
    store.seal(&end).unwrap();
    assert_eq!(open(folder.path(), 1).unwrap().end().unwrap(), Some(end));
    let summary = look(folder.path()).unwrap().unwrap();
    assert_eq!((summary.loads, summary.rows, summary.whole), (1, 2, true));
    put(&store, 2, 10);
    assert_eq!(store.end().unwrap(), None);
}

#[test]
fn what_cannot_be_written_names_the_file_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 30).unwrap();
    put(&store, 1, 10);
    // Writing into it fails as on a full disk; nothing under way will help, once the first one is settled.
    store.settled(&label(1), false);
    std::os::unix::fs::symlink("/dev/full", folder.path().join("00000002.part")).unwrap();
    let chunk = chunk(2, 5000);
    let error = store.append(&head(2, &chunk), &chunk.body, || ()).unwrap_err();
    let Error::Unwritable { path, bytes, source } = error else { panic!("{error:?}") };
    assert_eq!((path, source.kind()), (folder.path().join("00000002.part"), std::io::ErrorKind::StorageFull));
    assert!(bytes > 5000);
    assert_eq!(names(folder.path()), ["00000001.chunk"]);
}

#[test]
fn a_full_disk_is_waited_for_as_long_as_something_in_the_spool_will_go() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 30).unwrap();
    put(&store, 1, 10);
    std::os::unix::fs::symlink("/dev/full", folder.path().join("00000002.part")).unwrap();
    let chunk = chunk(2, 5000);
    assert!(store.append(&head(2, &chunk), &chunk.body, || store.settled(&label(1), true)).unwrap());
    assert_eq!(names(folder.path()), ["00000003.chunk"]);
}

/// What may happen to a store.
#[derive(Clone, Debug)]
enum Act {
    Append(usize),
    /// Of those that are there.
    Settle(usize),
    Prepare(usize),
    /// The process dies and another one opens the store, perhaps while a file was being written.
    Crash {
        torn: bool,
    },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0_usize..3000).prop_map(Act::Append),
        3 => any::<usize>().prop_map(Act::Settle),
        1 => any::<usize>().prop_map(Act::Prepare),
        2 => any::<bool>().prop_map(|torn| Act::Crash { torn }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever happens in which order: everything that was added and not settled is there after the next crash, with the bytes
    /// it was added with, and of what was settled only what was the newest then: whoever comes next learns of its end elsewhere.
    #[test]
    fn what_is_recovered_is_what_was_added_and_not_settled(acts in prop::collection::vec(act(), 0..40)) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path(), u64::MAX).unwrap();
        let mut live: BTreeMap<u64, usize> = BTreeMap::new();
        let mut kept = Vec::new();
        let mut next = 1;
        for act in acts {
            match act {
                Act::Append(bytes) => {
                    put(&store, next, bytes);
                    live.insert(next, bytes);
                    next += 1;
                }
                Act::Settle(which) if !live.is_empty() => {
                    let number = *live.keys().nth(which % live.len()).unwrap();
                    store.settled(&label(number), false);
                    live.remove(&number);
                    kept.extend((number + 1 == next).then_some(number));
                }
                Act::Prepare(which) if !live.is_empty() => {
                    store.settled(&label(*live.keys().nth(which % live.len()).unwrap()), true);
                }
                Act::Settle(_) | Act::Prepare(_) => {}
                Act::Crash { torn } => {
                    drop(store);
                    if torn {
                        fs::write(folder.path().join("00000099.part"), b"shipload-spool-1\nhalf").unwrap();
                    }
                    store = open(folder.path(), u64::MAX).unwrap();
                }
            }
        }
        drop(store);
        let store = open(folder.path(), u64::MAX).unwrap();
        for spooled in store.left() {
            store.ask_for(&spooled.label);
        }
        store.finish();
        let mut found = BTreeMap::new();
        while let Some(number) = store.next() {
            let (head, read) = store.read(number).unwrap();
            let name: u64 = head.label.as_str().rsplit('-').next().unwrap().parse().unwrap();
            prop_assert_eq!(read.body.concat(), chunk(name, usize::try_from(head.body_bytes).unwrap()).body.concat());
            found.insert(name, usize::try_from(head.body_bytes).unwrap());
        }
        for name in found.keys().filter(|name| !live.contains_key(name)) {
            prop_assert!(kept.contains(name), "{} was settled, and was not the newest then", name);
        }
        for (name, bytes) in &live {
            prop_assert_eq!(found.get(name), Some(bytes));
        }
    }

    /// A bit that is another one, a byte less, a byte more: the file is refused by name, and never read as something else.
    #[test]
    fn a_damaged_file_is_refused_by_name(bytes in 1_usize..2000, at in any::<prop::sample::Index>(), bit in 0_u32..8, how in 0..3) {
        let folder = tempfile::tempdir().unwrap();
        put(&open(folder.path(), u64::MAX).unwrap(), 1, bytes);
        let path: PathBuf = folder.path().join("00000001.chunk");
        let mut content = fs::read(&path).unwrap();
        let at = at.index(content.len());
        match how {
            0 => content[at] ^= 1 << bit,
            1 => content.truncate(at),
            _ => content.push(0),
        }
        fs::write(&path, content).unwrap();
        let read = open(folder.path(), u64::MAX).and_then(|store| {
            store.ask_for(&label(1));
            store.finish();
            store.read(store.next().unwrap())
        });
        match read {
            Err(Error::Damaged { path: named, .. }) => prop_assert_eq!(named, path),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
