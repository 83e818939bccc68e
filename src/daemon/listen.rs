//! Connections: how many, how long, and what becomes of those that say nothing.
//!
//! Each connection has a place. When all are taken, the one that has been idle for longest is closed to make room; only
//! where every one of them is at work is a new one turned away. So whoever opens thousands and says nothing keeps nobody out.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::api;
use super::life::Beat;
use super::patient::{Patient, Socket};
use super::service::Service;
use crate::clock::{Clock as _, SystemClock};
use crate::telemetry::metric;

/// How often the loop says that it goes round.
const BEAT: Duration = Duration::from_millis(500);

/// How long to rest when the system has no more connections to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What somebody hears who cannot be taken.
const TURNED_AWAY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// How long somebody may take to hear it.
const TURN_AWAY_WITHIN: Duration = Duration::from_secs(1);

/// The connections that there are.
#[derive(Default)]
pub(super) struct Connections {
    held: Mutex<Held>,
    /// Struck by the loop that accepts.
    pub(super) beat: Beat,
}

#[derive(Default)]
struct Held {
    next: u64,
    places: BTreeMap<u64, Arc<Place>>,
}

/// One connection.
struct Place {
    /// Since when it has been idle; none while it is at work.
    idle: Mutex<Option<Instant>>,
    /// Said when it has to make room.
    leave: Notify,
}

impl Place {
    fn idle(&self) -> MutexGuard<'_, Option<Instant>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.lock().places.len()
    }

    /// A place for one more, and whether another one has to leave for it; none where all are at work.
    fn admit(self: &Arc<Self>, max: usize, now: Instant) -> Option<(Taken, bool)> {
        let mut held = self.lock();
        let full = held.places.len() >= max;
        if full {
            let idle = |(number, place): (&u64, &Arc<Place>)| (*place.idle()).map(|since| (since, *number));
            let (_, longest) = held.places.iter().filter_map(idle).min()?;
            held.places.remove(&longest).expect("it has just been found").leave.notify_one();
        }
        let number = held.next;
        held.next += 1;
        let place = Arc::new(Place { idle: Mutex::new(Some(now)), leave: Notify::new() });
        held.places.insert(number, Arc::clone(&place));
        Some((Taken { connections: Arc::clone(self), number, place }, full))
    }
}

/// The place of a connection, until it is dropped.
struct Taken {
    connections: Arc<Connections>,
    number: u64,
    place: Arc<Place>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.connections.lock().places.remove(&self.number);
    }
}

/// Holds a connection at work until its answer is on its way.
pub(super) struct AtWork(Arc<Place>);

impl AtWork {
    fn begin(place: &Arc<Place>) -> Self {
        *place.idle() = None;
        Self(Arc::clone(place))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        *self.0.idle() = Some(SystemClock.instant());
    }
}

/// Takes connections until it is told to close; then lets those at work finish.
pub(super) async fn run(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    service: Arc<Service>,
    mut closed: watch::Receiver<bool>,
) {
    let mut tasks = JoinSet::new();
    let handed_on = closed.clone();
    let mut beats = tokio::time::interval(BEAT);
    loop {
        tokio::select! {
            () = told(&mut closed) => break,
            _ = beats.tick() => service.connections.beat.strike(),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => accept(&mut tasks, stream, tls.clone(), &service, handed_on.clone()),
                Err(error) => {
                    tracing::warn!("a connection could not be accepted: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
        }
    }
    drop(listener);
    while tasks.join_next().await.is_some() {}
}

/// Ends when it is said, or nobody is left who could say it.
async fn told(word: &mut watch::Receiver<bool>) {
    let _ = word.wait_for(|said| *said).await;
}

fn accept(
    tasks: &mut JoinSet<()>,
    mut stream: TcpStream,
    tls: Option<TlsAcceptor>,
    service: &Arc<Service>,
    closed: watch::Receiver<bool>,
) {
    let max = service.config().server.connections_max as usize;
    let Some((taken, full)) = service.connections.admit(max, SystemClock.instant()) else {
        service.metrics.add(&metric::CUT_OFF, &["turned away"], 1.0);
        tasks.spawn(async move {
            let _ = tokio::time::timeout(TURN_AWAY_WITHIN, stream.write_all(TURNED_AWAY)).await;
        });
        return;
    };
    if full {
        service.metrics.add(&metric::CUT_OFF, &["made room"], 1.0);
    }
    tasks.spawn(connection(stream, tls, Arc::clone(service), taken, closed));
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    service: Arc<Service>,
    taken: Taken,
    mut closed: watch::Receiver<bool>,
) {
    let limits = service.config().server.clone();
    // Answers are small, and a caller waits for each.
    let _ = stream.set_nodelay(true);
    let place = Arc::clone(&taken.place);
    let socket: Box<dyn Socket> = match tls {
        None => Box::new(stream),
        Some(tls) => tokio::select! {
            shaken = tokio::time::timeout(limits.head_timeout, tls.accept(stream)) => if let Ok(Ok(stream)) = shaken {
                Box::new(stream)
            } else {
                service.metrics.add(&metric::CUT_OFF, &["no handshake"], 1.0);
                return;
            },
            () = place.leave.notified() => return,
        },
    };
    let (answering, at) = (Arc::clone(&service), Arc::clone(&place));
    let answer = service_fn(move |request: Request<Incoming>| {
        let (service, at_work) = (Arc::clone(&answering), AtWork::begin(&at));
        async move { Ok::<Response<api::Body>, Infallible>(api::answer(service, request, at_work).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(limits.headers_max as usize)
        .max_buf_size(usize::try_from(limits.head_bytes_max.0).unwrap_or(usize::MAX))
        .serve_connection(TokioIo::new(Patient::new(socket, limits.stall_timeout)), answer);
    tokio::pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = place.leave.notified() => return,
        () = told(&mut closed) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        let reason = if error.is_timeout() { "too slow" } else { "broken" };
        service.metrics.add(&metric::CUT_OFF, &[reason], 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_been_idle_for_longest_makes_room_and_nobody_who_is_at_work() {
        let connections = Arc::new(Connections::default());
        let start = SystemClock.instant();
        let after = |seconds| start + Duration::from_secs(seconds);
        let (first, full) = connections.admit(2, after(0)).unwrap();
        assert!(!full);
        let at_work = AtWork::begin(&first.place);
        let (second, _) = connections.admit(2, after(1)).unwrap();
        let (third, full) = connections.admit(2, after(2)).unwrap();
        assert!(full && !connections.lock().places.contains_key(&second.number), "the first one is at work");
        let _at_work = AtWork::begin(&third.place);
        assert!(connections.admit(2, after(3)).is_none(), "both are at work");
        drop(at_work);
        let _fourth = connections.admit(2, after(4)).unwrap();
        drop(second);
        assert_eq!(connections.count(), 2, "it had left before");
    }
}
