//! [`Server`]: labels, transactions and rows, as the protocol has them (SR §4, §5), and nothing of how they are asked for.
//!
//! It sees what the loader cannot, so it is also here that most promises are watched: when a row lands twice, when a label
//! comes with other rows, when something is begun or committed that the journal of whoever does it does not name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use super::kernel::Kernel;
use super::promise::Broken;
use crate::journal::memory::Shared as SharedJournal;
use crate::model::invariant;

/// What the manager's sweep for expired transactions adds to a timeout, at most.
const SWEEP: Duration = Duration::from_secs(30);

/// The state of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Prepare,
    Prepared,
    Committed,
    Visible,
    Aborted,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Prepare => "PREPARE",
            Self::Prepared => "PREPARED",
            Self::Committed => "COMMITTED",
            Self::Visible => "VISIBLE",
            Self::Aborted => "ABORTED",
        }
    }

    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Prepare | Self::Prepared)
    }

    pub(super) fn is_landed(self) -> bool {
        matches!(self, Self::Committed | Self::Visible)
    }
}

pub(super) struct Transaction {
    pub(super) label: String,
    /// The journal of whoever began it; none of somebody else's.
    pub(super) place: Option<u64>,
    /// The node whose memory has its data; none of somebody else's.
    pub(super) node: u64,
    pub(super) state: State,
    /// Whether that node still has them.
    pub(super) context: bool,
    pub(super) rows: Vec<u64>,
    pub(super) bytes: u64,
    /// Whose load lost rows in it.
    pub(super) short: Option<String>,
    /// Whether the label's registry has dropped it.
    pub(super) evicted: bool,
}

/// Whoever sends requests: one process and its journal.
#[derive(Clone)]
pub(super) struct Sender {
    pub(super) name: String,
    /// Tells journals apart.
    pub(super) place: u64,
    pub(super) journal: SharedJournal,
}

/// Cheap to share.
#[derive(Clone)]
pub(super) struct Server(Arc<Mutex<Registry>>, pub(super) Kernel);

#[derive(Default)]
pub(super) struct Registry {
    pub(super) transactions: Vec<Transaction>,
    /// How often each row is in the table.
    pub(super) table: BTreeMap<u64, u32>,
    /// What each label came with.
    bodies: HashMap<String, Bytes>,
    /// Labels that somebody was last told are taken, by journal.
    taken: BTreeSet<(u64, String)>,
    /// Until when a node is down.
    down: BTreeMap<u64, Duration>,
}

/// Why a transaction was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Running,
    Finished,
}

/// Where a row's number stands in a line of either format: it is the first number of it.
fn row_of(line: &[u8]) -> Option<u64> {
    let digits = line.iter().skip_while(|byte| !byte.is_ascii_digit()).take_while(|byte| byte.is_ascii_digit());
    String::from_utf8(digits.copied().collect()).unwrap().parse().ok()
}

pub(super) fn rows_of(body: &[u8]) -> Vec<u64> {
    body.split(|byte| *byte == b'\n').filter_map(row_of).collect()
}

impl Server {
    pub(super) fn new(kernel: Kernel) -> Self {
        Self(Arc::default(), kernel)
    }

    /// Looks at it, or changes something by hand.
    pub(super) fn with<R>(&self, look: impl FnOnce(&mut Registry) -> R) -> R {
        look(&mut self.0.lock().unwrap())
    }

    fn broken(&self, promise: &'static str, how: String) {
        self.1.note(|| format!("BROKEN {promise}: {how}"));
        self.1.break_off(Broken::new(promise, how));
    }

    /// Begins a transaction; it ends by itself after its timeout.
    pub(super) fn begin(&self, sender: &Sender, label: &str, node: u64, timeout: Duration) -> Result<usize, Taken> {
        let standing = sender.journal.state(label);
        let named = matches!(standing.as_deref(), Some("sending" | "prepared" | "in_doubt"));
        if !named {
            let how = format!("{} begins {label}, which its journal calls {standing:?}", sender.name);
            self.broken(invariant::OPEN_1, how);
        }
        let begun = self.with(|registry| match registry.newest(label).map(|at| registry.transactions[at].state) {
            Some(State::Prepare | State::Prepared) => Err(Taken::Running),
            Some(State::Committed | State::Visible) => Err(Taken::Finished),
            Some(State::Aborted) | None => Ok(registry.add(label, Some(sender.place), node, State::Prepare)),
        });
        self.1.note(|| format!("{} begins {label} at be{node}: {begun:?}", sender.name));
        if let Ok(at) = begun {
            let server = self.clone();
            self.1.after(timeout + SWEEP, move || {
                server.abort(at, "timeout by txn manager");
                false
            });
        }
        begun
    }

    /// A request to begin leaves its sender.
    pub(super) fn sends_begin(&self, sender: &Sender, label: &str) {
        self.with(|registry| registry.taken.remove(&(sender.place, label.to_owned())));
    }

    /// A process of this journal has died: what it was told, and what it had begun to send, the next one cannot know.
    pub(super) fn forgets(&self, place: u64) {
        self.with(|registry| registry.taken.retain(|(of, _)| *of != place));
    }

    /// Whoever asks has been told that a label is somebody else's.
    pub(super) fn told_taken(&self, sender: &Sender, label: &str) {
        self.with(|registry| registry.taken.insert((sender.place, label.to_owned())));
    }

    /// Takes the body of a load; whether the node still had the transaction.
    pub(super) fn receive(&self, sender: &Sender, at: usize, body: &Bytes, lost_rows: usize) -> bool {
        let other = self.with(|registry| {
            let Registry { transactions, bodies, .. } = registry;
            let transaction = &mut transactions[at];
            if transaction.state != State::Prepare || !transaction.context {
                return Err(());
            }
            let mut rows = rows_of(body);
            rows.truncate(rows.len().saturating_sub(lost_rows));
            transaction.rows.extend(rows);
            if lost_rows > 0 {
                transaction.short = Some(sender.name.clone());
            }
            transaction.bytes += body.len() as u64;
            let before = bodies.entry(transaction.label.clone()).or_insert_with(|| body.clone());
            Ok((before != body).then(|| transaction.label.clone()))
        });
        if let Ok(Some(label)) = &other {
            self.broken(invariant::LABEL_1, format!("{label} came with other bytes"));
        }
        other.is_ok()
    }

    /// The rows become a part of the table, if nothing has come in between; whether they did.
    pub(super) fn commit(&self, at: usize, from: State) -> bool {
        let (label, landed, twice) = self.with(|registry| {
            let Registry { transactions, table, .. } = registry;
            let transaction = &mut transactions[at];
            let label = transaction.label.clone();
            if transaction.state != from || (from == State::Prepare && !transaction.context) {
                return (label, false, None);
            }
            transaction.state = State::Committed;
            let mut twice = None;
            for row in &transaction.rows {
                let times = table.entry(*row).or_default();
                *times += 1;
                if *times > 1 {
                    twice = Some(*row);
                }
            }
            (label, true, twice)
        });
        self.1.note(|| format!("server commits {label}: {landed}"));
        if let Some(row) = twice {
            self.broken(invariant::ROWS_1, format!("row {row} is in the table once more because of {label}"));
        }
        landed
    }

    /// Readers see it.
    pub(super) fn publish(&self, at: usize) {
        self.with(|registry| {
            let transaction = &mut registry.transactions[at];
            if transaction.state == State::Committed {
                transaction.state = State::Visible;
            }
        });
    }

    /// Rolls back what is not yet prepared; whether it did.
    pub(super) fn abort(&self, at: usize, why: &str) -> bool {
        self.end(at, &[State::Prepare], why)
    }

    fn end(&self, at: usize, from: &[State], why: &str) -> bool {
        let ended = self.with(|registry| {
            let transaction = &mut registry.transactions[at];
            let ends = from.contains(&transaction.state);
            if ends {
                transaction.state = State::Aborted;
            }
            ends.then(|| transaction.label.clone())
        });
        if let Some(label) = &ended {
            self.1.note(|| format!("server aborts {label}: {why}"));
        }
        ended.is_some()
    }

    /// Rolls back at a client's wish.
    pub(super) fn roll_back(&self, sender: &Sender, at: usize) {
        let (label, state) = self.with(|registry| {
            let transaction = &registry.transactions[at];
            (transaction.label.clone(), transaction.state)
        });
        if state.is_open() && sender.journal.is_decided(&label) {
            let how = format!("{} rolls back {label}, which it had decided to commit", sender.name);
            self.broken(invariant::COMMIT_1, how);
        }
        self.end(at, &[State::Prepare, State::Prepared], &format!("rolled back by {}", sender.name));
    }

    /// Commits what is prepared, at a client's wish.
    pub(super) fn commit_prepared(&self, sender: &Sender, at: usize) {
        let label = self.with(|registry| registry.transactions[at].label.clone());
        if !sender.journal.is_decided(&label) {
            let how = format!("{} commits {label}, and its journal knows of no decision", sender.name);
            self.broken(invariant::COMMIT_1, how);
        }
        self.commit(at, State::Prepared);
    }

    /// Watches that nobody touches what is not theirs.
    pub(super) fn watch(&self, sender: &Sender, label: &str, what: &str) {
        let taken = self.with(|registry| {
            let open = registry.newest(label).is_some_and(|at| registry.transactions[at].state.is_open());
            open && registry.taken.contains(&(sender.place, label.to_owned()))
        });
        if taken || sender.journal.state(label).is_none() {
            self.broken(invariant::OTHERS_1, format!("{} asks to {what} {label}, which is not its own", sender.name));
        }
    }

    /// A node loses its memory, and is away for a moment; the frontends notice some time later.
    pub(super) fn restart(&self, node: u64, away: Duration, noticed: Option<Duration>) {
        let now = self.1.passed();
        self.1.note(|| format!("be{node} restarts"));
        let lost = self.with(|registry| {
            registry.down.insert(node, now + away);
            let mut lost = Vec::new();
            for (at, transaction) in registry.transactions.iter_mut().enumerate() {
                if transaction.node == node && transaction.state == State::Prepare && transaction.context {
                    transaction.context = false;
                    lost.push(at);
                }
            }
            lost
        });
        let Some(noticed) = noticed else { return };
        for at in lost {
            let server = self.clone();
            self.1.after(noticed, move || {
                server.abort(at, "coordinate BE is down");
                false
            });
        }
    }

    pub(super) fn is_down(&self, node: u64) -> bool {
        let now = self.1.passed();
        self.with(|registry| registry.down.get(&node).is_some_and(|until| now < *until))
    }

    /// The registry forgets all that has ended.
    pub(super) fn evict(&self) {
        self.with(|registry| {
            for transaction in &mut registry.transactions {
                transaction.evicted |= !transaction.state.is_open();
            }
        });
        self.1.note(|| "the registry forgets what has ended".to_owned());
    }
}

impl Registry {
    pub(super) fn add(&mut self, label: &str, place: Option<u64>, node: u64, state: State) -> usize {
        self.transactions.push(Transaction {
            label: label.to_owned(),
            place,
            node,
            state,
            context: true,
            rows: Vec::new(),
            bytes: 0,
            short: None,
            evicted: false,
        });
        self.transactions.len() - 1
    }

    /// The newest transaction that the registry knows under a label.
    pub(super) fn newest(&self, label: &str) -> Option<usize> {
        self.transactions.iter().rposition(|transaction| transaction.label == label && !transaction.evicted)
    }
}
