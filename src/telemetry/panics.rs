//! Panics that are caught where they happen: damaged files make decoders panic, and people are told of it as an error of
//! the file, once, and without a stack trace.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

thread_local! {
    /// Whether this thread is within [`caught`].
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, or returns the words of its panic. What it leaves half-done has to be dropped with it.
///
/// # Errors
/// When it panics.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let outer = CAUGHT.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(outer);
    result.map_err(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned())).unwrap_or_default()
    })
}

/// From now on, panics that are [`caught`] print nothing; all others do what they did before.
pub fn hush_caught() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !CAUGHT.get() {
            report(panic);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_words_and_only_within() {
        assert_eq!(caught(|| 1), Ok(1));
        assert_eq!(caught(|| panic!("by {}", "design")), Err::<(), _>("by design".to_owned()));
        let inner = caught(|| caught(|| panic!("deep")).is_err() && CAUGHT.get());
        assert_eq!((inner, CAUGHT.get()), (Ok(true), false));
    }
}
