//! [`Kernel`]: the time of a simulation, and the one order in which things happen in it.
//!
//! Nothing waits for anything but a moment: a sleep, an answer, a crash are all entries of one queue. When no task can go
//! on, and not before, the earliest entry happens, and the clock is turned to it. Then tasks go on until none can again.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use super::dice::mixed;
use super::promise::Broken;
use crate::clock::{Clock, SystemClock};

/// A queue that turns as often as this has a loader in it that goes round in circles.
const TURNS_MAX: u64 = 400_000;

/// Cheap to share.
#[derive(Clone)]
pub(super) struct Kernel(Arc<Shared>);

struct Shared {
    start: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now: Duration,
    /// What is to happen, in the order of the moments, and of their entry.
    queue: BTreeMap<(Duration, u64), Due>,
    entered: u64,
    turns: u64,
    /// Stands for everything that has happened.
    trace: u64,
    /// All of it in words, where somebody wants to read it.
    told: Option<Vec<String>>,
    broken: Option<Broken>,
    waiting: Option<Waker>,
}

enum Due {
    /// Somebody sleeps.
    Wake(Option<Waker>, Arc<AtomicBool>),
    /// Something happens by itself; whether a task can go on because of it.
    Act(Box<dyn FnOnce() -> bool + Send>),
}

impl Kernel {
    pub(super) fn new(tell: bool) -> Self {
        let state = State { told: tell.then(Vec::new), ..State::default() };
        Self(Arc::new(Shared { start: SystemClock.instant(), state: Mutex::new(state) }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    pub(super) fn passed(&self) -> Duration {
        self.lock().now
    }

    /// Notes that something has happened.
    pub(super) fn note(&self, what: impl FnOnce() -> String) {
        let mut state = self.lock();
        let text = what();
        let now = state.now;
        let moment = u64::try_from(now.as_nanos()).unwrap();
        let stirred = text.bytes().fold(mixed(moment), |stirred, byte| mixed(stirred ^ u64::from(byte)));
        // A sum, because a cancel wakes several tasks in no order: what they do within one moment has none.
        state.trace = state.trace.wrapping_add(stirred);
        if let Some(told) = &mut state.told {
            told.push(format!("{:>12.6} {text}", now.as_secs_f64()));
        }
    }

    /// How many things have happened.
    pub(super) fn turns(&self) -> u64 {
        self.lock().turns
    }

    pub(super) fn trace(&self) -> u64 {
        self.lock().trace
    }

    pub(super) fn told(&self) -> Vec<String> {
        self.lock().told.clone().unwrap_or_default()
    }

    /// Lets something happen after a while.
    pub(super) fn after(&self, delay: Duration, act: impl FnOnce() -> bool + Send + 'static) {
        self.enter(delay, Due::Act(Box::new(act)));
    }

    fn enter(&self, delay: Duration, due: Due) -> (Duration, u64) {
        let mut state = self.lock();
        state.entered += 1;
        let key = (state.now + delay, state.entered);
        state.queue.insert(key, due);
        key
    }

    /// Ends the simulation: a promise is broken.
    pub(super) fn break_off(&self, broken: Broken) {
        let waiting = {
            let mut state = self.lock();
            state.broken.get_or_insert(broken);
            state.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    /// Ends when a promise is broken.
    pub(super) fn broken(&self) -> impl Future<Output = Broken> + use<> {
        let kernel = self.clone();
        std::future::poll_fn(move |context| {
            let mut state = kernel.lock();
            if let Some(broken) = state.broken.clone() {
                return Poll::Ready(broken);
            }
            let before = state.waiting.replace(context.waker().clone());
            drop(state);
            drop(before);
            Poll::Pending
        })
    }

    /// Called when no task can go on: the next thing happens.
    pub(super) fn turn(&self) {
        loop {
            let due = {
                let mut state = self.lock();
                if state.broken.is_some() {
                    return;
                }
                state.turns += 1;
                let next = if state.turns > TURNS_MAX { None } else { state.queue.pop_first() };
                if let Some(((moment, _), _)) = &next {
                    state.now = *moment;
                }
                next.map(|(_, due)| due)
            };
            let goes_on = match due {
                None => return self.break_off(Broken::hangs()),
                Some(Due::Act(act)) => act(),
                Some(Due::Wake(waker, over)) => {
                    over.store(true, Ordering::Relaxed);
                    waker.map(Waker::wake).is_some()
                }
            };
            if goes_on {
                return;
            }
        }
    }

    pub(super) fn nap(&self, duration: Duration) -> Nap {
        let over = Arc::new(AtomicBool::new(false));
        let key = self.enter(duration, Due::Wake(None, Arc::clone(&over)));
        Nap { kernel: self.clone(), key, over }
    }
}

impl Clock for Kernel {
    fn now(&self) -> SystemTime {
        // Some day in 2026, so that times look like times.
        SystemTime::UNIX_EPOCH + Duration::from_hours(490_896) + self.passed()
    }

    fn instant(&self) -> Instant {
        self.0.start + self.passed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.nap(duration))
    }
}

/// A wait, which ends with its moment and leaves the queue when it is dropped.
pub(super) struct Nap {
    kernel: Kernel,
    key: (Duration, u64),
    over: Arc<AtomicBool>,
}

impl Future for Nap {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.over.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        let before = match self.kernel.lock().queue.get_mut(&self.key) {
            Some(Due::Wake(waker, _)) => waker.replace(context.waker().clone()),
            _ => None,
        };
        // Outside of the lock: a waker may be the last that holds its task, whose end leaves the queue as well.
        drop(before);
        Poll::Pending
    }
}

impl Drop for Nap {
    fn drop(&mut self) {
        let due = self.kernel.lock().queue.remove(&self.key);
        drop(due);
    }
}
