//! The body of a request, as its handler reads it: as it comes, or with faults in it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};

use super::effect::{Effect, Wire};
use super::gate::{Passing, Stands};
use super::spec::After;
use super::step::Step;

type Frames = Pin<Box<dyn Stream<Item = io::Result<Frame<Bytes>>> + Send>>;

/// The body of a request.
pub(in crate::sandbox) struct Incoming(Kind);

enum Kind {
    Plain(hyper::body::Incoming),
    Faulty(Frames),
}

impl Incoming {
    /// A body that comes as it is sent.
    pub(super) fn plain(body: hyper::body::Incoming) -> Self {
        Self(Kind::Plain(body))
    }

    /// A body that a rule may be about.
    pub(super) fn faulty(body: hyper::body::Incoming, passing: Arc<Passing>, expects: bool) -> Self {
        let reader = Reader { body, passing, expects, begun: false, seen: 0, rest: Bytes::new(), pace: None };
        Self(Kind::Faulty(Box::pin(stream::unfold(Some(reader), |reader| async move {
            let mut reader = reader?;
            match reader.next().await {
                Ok(bytes) => bytes.map(|bytes| (Ok(Frame::data(bytes)), Some(reader))),
                Err(error) => Some((Err(error), None)),
            }
        }))))
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut self.0 {
            Kind::Plain(body) => {
                Pin::new(body).poll_frame(context).map(|frame| frame.map(|frame| frame.map_err(io::Error::other)))
            }
            Kind::Faulty(frames) => frames.as_mut().poll_next(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Plain(body) => body.is_end_stream(),
            // Even an empty body has a beginning and an end where something may happen.
            Kind::Faulty(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Plain(body) => body.size_hint(),
            Kind::Faulty(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Kind::Plain(_) => "plain",
            Kind::Faulty(_) => "faulty",
        };
        formatter.debug_tuple("Incoming").field(&kind).finish()
    }
}

/// A body and how far it was read.
struct Reader {
    body: hyper::body::Incoming,
    passing: Arc<Passing>,
    /// Whether the client waits for `100 Continue`.
    expects: bool,
    begun: bool,
    seen: u64,
    /// What has come and was not handed on yet.
    rest: Bytes,
    /// How many bytes at a time, and the rest behind each.
    pace: Option<(usize, Duration)>,
}

impl Reader {
    /// The next piece; `None` at the end.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if std::mem::take(&mut self.expects) {
            // The server says `100 Continue` when it is asked for the body, and not before.
            self.strike(Step::Continue, After::BEGINNING).await?;
        }
        if self.seen > 0 && self.passing.next_place(&(self.seen..=self.seen)).is_some() {
            self.strike(Step::Body, After::Bytes(self.seen)).await?;
        }
        while self.rest.is_empty() {
            let frame = self.body.frame().await;
            // Only now is it sure that the client has been asked for the body.
            if !std::mem::replace(&mut self.begun, true) {
                self.strike(Step::Body, After::BEGINNING).await?;
            }
            match frame {
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => {
                    self.strike(Step::Body, After::End).await?;
                    return Ok(None);
                }
            }
        }
        let count = u64::try_from(self.rest.len()).expect("a length fits 64 bits");
        let mut count = match self.passing.next_place(&(self.seen + 1..=self.seen + count)) {
            Some(place) => usize::try_from(place - self.seen).expect("it lies within the piece"),
            None => self.rest.len(),
        };
        if let Some((bytes, rest)) = self.pace {
            count = count.min(bytes);
            self.passing.wait(rest).await;
        }
        let piece = self.rest.split_to(count);
        self.seen += u64::try_from(count).expect("a length fits 64 bits");
        Ok(Some(piece))
    }

    async fn strike(&mut self, step: Step, after: After) -> io::Result<()> {
        match self.passing.strike(step, after) {
            Some((_, Effect::Wire(Wire::Trickle { bytes, rest }))) => {
                self.pace = Some((bytes, rest));
                Ok(())
            }
            Some((_, Effect::Wire(wire))) => match self.passing.carry_out(wire).await {
                Stands::Yes => Ok(()),
                Stands::No => Err(io::ErrorKind::ConnectionReset.into()),
            },
            Some((_, Effect::Inner(_))) | None => Ok(()),
        }
    }
}
