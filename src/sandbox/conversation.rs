//! [`Conversation`]: the SQL session that an HTTP connection is, from its first statement on.
//!
//! Variables and the number of the connection stay from one request to the next; the database is each request's own. Another
//! user on the same connection begins another session. A connection that ends gives up its seat, which stops what it is
//! running, and `KILL` ends the connection once the answer that is on its way is out.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::overview::Overview;
use super::sessions::Seat;
use super::sql::Session;
use super::store::Store;

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) user: String,
    /// The address.
    pub(super) host: String,
}

/// What an HTTP connection remembers of the statements that came on it.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// Held while a statement is prepared. Requests of one connection come one after another, so nobody waits.
    session: Mutex<Option<Session>>,
    seat: watch::Sender<Option<Arc<Seat>>>,
}

impl Conversation {
    /// Does something in a client's session, which is a new one if the connection has none yet, or another client's.
    pub(super) fn speak<R>(
        &self,
        store: &Store,
        overview: Arc<dyn Overview>,
        client: &Client,
        work: impl FnOnce(&mut Session, &Seat) -> R,
    ) -> R {
        let mut held = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let known = held.take().filter(|session| session.user == client.user).zip(self.seat.borrow().clone());
        let (mut session, seat) = known.unwrap_or_else(|| {
            let id = store.next_connection_id();
            let seat = Arc::new(store.sessions().open(id, &client.user, &client.host));
            self.seat.send_replace(Some(Arc::clone(&seat)));
            (Session::new(&client.user, id, overview), seat)
        });
        let done = work(&mut session, &seat);
        *held = Some(session);
        done
    }

    /// Resolves when somebody has ended the session.
    pub(super) async fn killed(&self) {
        let mut seats = self.seat.subscribe();
        loop {
            let seat = seats.borrow_and_update().clone();
            let closed = async {
                match &seat {
                    Some(seat) => seat.closed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = closed => return,
                // The sender is this conversation's own.
                _ = seats.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::overview::fake::Fake;

    #[tokio::test]
    async fn a_session_lasts_as_long_as_its_client_and_its_connection() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let store = Store::open(dir.path(), None).expect("the store opens");
        let client = |user: &str| Client { user: user.to_owned(), host: "127.0.0.1".to_owned() };
        let conversation = Conversation::default();
        let id =
            |user: &str| conversation.speak(&store, Fake::idle(), &client(user), |session, _| session.connection_id);
        let first = id("root");
        assert_eq!(id("root"), first);
        let second = id("other");
        assert_ne!(second, first);
        assert!(store.sessions().user(first).is_none(), "a session that nobody can come back to is over");
        store.sessions().kill(second, true);
        conversation.killed().await;
        drop(conversation);
        assert!(store.sessions().all().is_empty());
    }
}
