//! Inputs in memory, for simulations: each thread has its own.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{Input, Opened};

/// Contents by path.
pub(crate) type Contents = BTreeMap<PathBuf, Bytes>;

thread_local! {
    static CONTENTS: RefCell<Contents> = const { RefCell::new(Contents::new()) };
}

/// Puts these in the place of what the thread had.
pub(crate) fn set(contents: Contents) {
    CONTENTS.set(contents);
}

/// What the thread has.
pub(crate) fn all() -> Contents {
    CONTENTS.with_borrow(Clone::clone)
}

fn find(path: &Path) -> Option<Bytes> {
    CONTENTS.with_borrow(|contents| contents.get(path).cloned())
}

/// The inputs that are named, where the first of them is one of these.
pub(super) fn list(arguments: &[String]) -> Option<Vec<Input>> {
    let input = |path: &String| {
        let bytes = find(Path::new(path))?.len() as u64;
        // A stream is a file whose size is not told.
        let bytes = (!path.ends_with(".stream")).then_some(bytes);
        Some(Input { path: path.into(), bytes, modified: None })
    };
    arguments.iter().map(input).collect()
}

pub(super) fn open(input: &Input) -> Option<Opened> {
    Some(Opened::Stream(Box::new(Cursor::new(find(&input.path)?))))
}

pub(super) fn sample(input: &Input) -> Option<[u8; 32]> {
    Some(Sha256::digest(find(&input.path)?).into())
}
