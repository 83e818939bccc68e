//! Names close to one that does not exist: the `did you mean` of every part.

/// How many suggestions are worth reading.
const SUGGESTIONS_MAX: usize = 3;

/// The names that `wanted` may have meant, nearest first: at most three, none when nothing is near.
///
/// Near is what one slip of the fingers per three letters explains; case does not count.
#[must_use]
pub fn names<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted: Vec<char> = wanted.to_lowercase().chars().collect();
    // One letter alone is near to every other one.
    let allowed = if wanted.len() < 2 { 0 } else { (wanted.len() / 3).clamp(1, 4) };
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|name| {
            let letters: Vec<char> = name.to_lowercase().chars().collect();
            // A name that differs in length alone by more cannot be near: that spares the comparison of most.
            let distance = (letters.len().abs_diff(wanted.len()) <= allowed).then(|| distance(&wanted, &letters))?;
            (distance <= allowed).then_some((distance, name))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    near.truncate(SUGGESTIONS_MAX);
    near.into_iter().map(|(_, name)| name).collect()
}

/// The number of letters to insert, remove, replace or swap with their neighbour.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(from != to);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *from == b[j - 1] && a[i - 1] == *to {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_is_forgiven_and_a_different_word_is_not() {
        let known = ["orders.csv", "order_lines.csv", "customers.csv", "id"];
        for (wanted, near) in [
            ("oders.csv", vec!["orders.csv"]),
            ("ORDERS.CSV", vec!["orders.csv"]),
            ("ordesr.csv", vec!["orders.csv"]),
            ("di", vec!["id"]),
            ("shipments.parquet", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(names(wanted, known), near, "{wanted}");
        }
    }

    #[test]
    fn the_nearest_comes_first_and_there_are_never_more_than_three() {
        let known = ["column5", "column1", "column2", "columns", "column"];
        assert_eq!(names("column1", known), ["column1", "column", "column2"]);
    }
}
