//! [`Buffers`]: memory that is used again.
//!
//! Text is read, checked and sent in buffers of about one size. A fresh one costs a page fault for every 4 KiB, which the
//! kernel fills with zeros first: as much as checking what is in it. So a buffer that nobody needs any more comes back here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// The usual size of a buffer. Smaller ones are not kept, nor are those that held something unusually large.
pub const BUFFER_BYTES: usize = 512 << 10;

const KEPT_BYTES_MAX: usize = 8 * BUFFER_BYTES;

/// Buffers that are free. What is free was in flight before, so there is never more of both than the budget let be in flight.
#[derive(Clone, Debug, Default)]
pub struct Buffers {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Buffers {
    /// An empty buffer with room for so many bytes.
    #[must_use]
    pub fn empty(&self, bytes: usize) -> Vec<u8> {
        let mut buffer = self.any(bytes);
        buffer.clear();
        buffer
    }

    /// A buffer of so many bytes, whatever they are: they are to be written over.
    #[must_use]
    pub fn filled(&self, bytes: usize) -> Vec<u8> {
        let mut buffer = self.any(bytes);
        buffer.resize(bytes, 0);
        buffer
    }

    fn any(&self, bytes: usize) -> Vec<u8> {
        let free = if bytes >= BUFFER_BYTES { self.lock().pop() } else { None };
        free.filter(|buffer| buffer.capacity() >= bytes).unwrap_or_else(|| Vec::with_capacity(bytes))
    }

    /// Makes bytes of a buffer that may be shared. The buffer comes back when the last of them is dropped.
    #[must_use]
    pub fn share(&self, mut buffer: Vec<u8>) -> Bytes {
        // Whoever holds the bytes counts them, not the room behind them.
        if buffer.len() < buffer.capacity() / 4 * 3 {
            buffer.shrink_to_fit();
        }
        Bytes::from_owner(Lent { buffer, home: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        // A list of buffers is whole between any two statements.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Lent {
    buffer: Vec<u8>,
    home: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        if (BUFFER_BYTES..=KEPT_BYTES_MAX).contains(&buffer.capacity()) {
            self.home.lock().push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_the_last_part_of_it_is_dropped() {
        let buffers = Buffers::default();
        let mut buffer = buffers.filled(BUFFER_BYTES);
        buffer.fill(b'x');
        let place = buffer.as_ptr();
        let whole = buffers.share(buffer);
        let part = whole.slice(5..10);
        drop(whole);
        assert!(buffers.lock().is_empty() && &part[..] == b"xxxxx");
        drop(part);
        let again = buffers.empty(BUFFER_BYTES);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        let other = buffers.empty(BUFFER_BYTES);
        assert_ne!(other.as_ptr(), place, "the first is in use");
    }

    #[test]
    fn unusual_buffers_are_not_kept() {
        let buffers = Buffers::default();
        drop(buffers.share(buffers.filled(KEPT_BYTES_MAX + 1)));
        drop(buffers.share(vec![1, 2, 3]));
        assert!(buffers.lock().is_empty());
    }
}
