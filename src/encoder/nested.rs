//! Lists and maps, for both formats: brackets and commas are the same, what stands between them is the format's.

use super::Unfit;
use super::cells::{Cells, items};

/// Where the text of each key of the maps being written stands in the output.
pub(super) type KeySpans = Vec<(usize, usize)>;

/// How a format writes what is inside lists and maps.
pub(super) trait Notation {
    /// Appends an item or a map's value; NULL too.
    fn value(cells: &Cells<'_>, row: usize, out: &mut Vec<u8>, keys: &mut KeySpans) -> Result<(), Unfit>;

    /// Appends a map's key.
    fn key(cells: &Cells<'_>, row: usize, out: &mut Vec<u8>) -> Result<(), Unfit>;
}

/// Appends `[item,item]`.
pub(super) fn list<N: Notation>(
    (offsets, cells): (&[i32], &Cells<'_>),
    row: usize,
    out: &mut Vec<u8>,
    keys: &mut KeySpans,
) -> Result<(), Unfit> {
    out.push(b'[');
    for (index, item) in items(offsets, row).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        N::value(cells, item, out, keys)?;
    }
    out.push(b']');
    Ok(())
}

/// Appends `{key:value,key:value}`.
///
/// A map that has a key twice is unfit: the server would silently keep one of the two.
pub(super) fn map<N: Notation>(
    (offsets, key_cells, value_cells): (&[i32], &Cells<'_>, &Cells<'_>),
    row: usize,
    out: &mut Vec<u8>,
    keys: &mut KeySpans,
) -> Result<(), Unfit> {
    // A map inside this one adds its keys behind ours, and takes them away when it is done.
    let ours = keys.len();
    out.push(b'{');
    for (index, item) in items(offsets, row).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let start = out.len();
        N::key(key_cells, item, out)?;
        keys.push((start, out.len()));
        out.push(b':');
        N::value(value_cells, item, out, keys)?;
    }
    out.push(b'}');
    let text = |span: &(usize, usize)| &out[span.0..span.1];
    keys[ours..].sort_unstable_by(|left, right| text(left).cmp(text(right)));
    let distinct = keys[ours..].windows(2).all(|pair| text(&pair[0]) != text(&pair[1]));
    keys.truncate(ours);
    if distinct { Ok(()) } else { Err(Unfit) }
}
