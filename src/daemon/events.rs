//! What happens to jobs, as it happens: kept for a moment, and sent to whoever listens.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::broadcast;

/// Events that a listener may be behind before it misses some.
const BEHIND_MAX: usize = 256;

/// Events that are kept for a listener who comes back.
const KEPT_MAX: usize = 1024;

/// Something that happened.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Its number: each is one more than the one before.
    pub(super) number: u64,
    /// Which kind it is.
    pub(super) kind: &'static str,
    /// The job that it is about.
    pub(super) id: String,
    /// What there is to know.
    pub(super) content: Value,
}

impl Event {
    /// As server-sent events are written.
    pub(super) fn wire(&self) -> String {
        // The content is on one line: JSON escapes line breaks.
        format!("id: {}\nevent: {}\ndata: {}\n\n", self.number, self.kind, self.content)
    }
}

pub(super) struct Events {
    sender: broadcast::Sender<Arc<Event>>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    last: u64,
    events: VecDeque<Arc<Event>>,
}

impl Default for Events {
    fn default() -> Self {
        Self { sender: broadcast::channel(BEHIND_MAX).0, kept: Mutex::default() }
    }
}

impl Events {
    /// Whether somebody listens.
    pub(super) fn is_heard(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// Tells of a change, which is also kept.
    pub(super) fn tell(&self, kind: &'static str, id: &str, content: Value) {
        let mut kept = self.lock();
        kept.last += 1;
        let event = Arc::new(Event { number: kept.last, kind, id: id.to_owned(), content });
        kept.events.push_back(Arc::clone(&event));
        if kept.events.len() > KEPT_MAX {
            kept.events.pop_front();
        }
        // Sent under the lock, so that their order is that of their numbers. Nobody may be listening.
        let _ = self.sender.send(event);
    }

    /// Tells of progress, which is news only now.
    pub(super) fn mention(&self, kind: &'static str, id: &str, content: Value) {
        let number = self.lock().last;
        let _ = self.sender.send(Arc::new(Event { number, kind, id: id.to_owned(), content }));
    }

    /// What happened after `last`, as far as it is kept, and what happens from now on.
    pub(super) fn listen(&self, last: Option<u64>) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let kept = self.lock();
        let missed = last.map_or_else(Vec::new, |last| {
            // A number from before a restart says nothing: all of it is news then.
            let last = if last > kept.last { 0 } else { last };
            kept.events.iter().filter(|event| event.number > last).cloned().collect()
        });
        (missed, self.sender.subscribe())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_comes_back_hears_what_it_missed_and_no_progress_of_the_past() {
        let events = Events::default();
        assert!(!events.is_heard());
        events.tell("job", "a", json!({"state": "running"}));
        events.mention("progress", "a", json!({"rows": 1}));
        events.tell("job", "a", json!({"state": "finished"}));
        let numbers = |last| events.listen(last).0.iter().map(|event| event.number).collect::<Vec<_>>();
        assert_eq!((numbers(None), numbers(Some(1)), numbers(Some(0))), (vec![], vec![2], vec![1, 2]));
        assert_eq!(numbers(Some(99)), [1, 2], "the service was started again");
        let (_, mut now) = events.listen(None);
        events.mention("progress", "b", json!({"text": "a\nb"}));
        let wire = now.try_recv().unwrap().wire();
        assert_eq!(wire, "id: 2\nevent: progress\ndata: {\"text\":\"a\\nb\"}\n\n");
    }
}
