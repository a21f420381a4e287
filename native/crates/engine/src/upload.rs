//! A request body that is still coming: it is passed on while the response is already awaited, so that `100 Continue`, early refusals
//! and services that answer while they read all work.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;

use trunkline_grpc::RequestBridge;
use trunkline_http::{Framing, Reject};

use crate::block::{Block, Text};
use crate::body::{self, Sink, Source};
use crate::clock;
use crate::failure::{Failure, Side};
use crate::forward::{Journey, Miss};
use crate::h2::Stream;
use crate::relay::Relayed;
use crate::settle::Tally;
use crate::timer::Deadline;
use crate::transform::Transform;
use crate::upstream::{Connection, Lease};
use crate::wire::Wire;

/// The direction from the client, seen from both.
#[derive(Default)]
pub(crate) struct Progress {
    /// Body bytes passed on.
    pub(crate) bytes: Cell<u64>,
    /// Where the rest of the body comes from, if its beginning was taken in.
    pub(crate) source: Cell<Option<Source>>,
    /// The whole body was passed on.
    pub(crate) complete: Cell<bool>,
    /// Trailers were sent to a server of HTTP/1.1. Some take them for fields of the next request (aiohttp 3.14): there must be none.
    pub(crate) trailers: Cell<bool>,
    /// Since when, and how long, the server's answer is waited for, as the upload last said; (0, _) = there was none.
    pub(crate) head_armed: Cell<(u64, u64)>,
    /// The response has begun: its own time-outs hold now.
    pub(crate) answered: Cell<bool>,
    /// A server was chosen.
    pub(crate) tried: Cell<bool>,
}

struct Upload<'u, 'j> {
    journey: &'u Journey<'j>,
    upstream: &'u Wire,
    deadline: Deadline,
}

impl Journey<'_> {
    /// Sends head and body while the response is awaited. `block` holds what the client sent behind the head; at the end, what it
    /// sent behind the body. Not to be tried again: the body is gone.
    pub(crate) async fn duplex(
        &self,
        connection: &Connection,
        lease: &mut Lease,
        block: &mut Block,
        filters: &mut trunkline_filter::Exchange,
        tally: &mut Tally,
    ) -> Result<Relayed, Miss> {
        self.send(connection, tally.chosen_ns).await.map_err(Miss::committed)?;
        let deadline = Deadline::new(&self.client.worker.timer);
        let upload = Upload { journey: self, upstream: &connection.wire, deadline };
        let mut up = pin!(upload.run(block));
        let mut up_over = false;
        let mut down = pin!(async {
            let (reply, rest) = self.await_head(connection, lease, None, filters, tally, &[]).await?;
            self.progress.answered.set(true);
            self.relay(connection, reply, rest, None, tally).await
        });
        let relayed = poll_fn(|context| {
            if !up_over && let Poll::Ready(result) = up.as_mut().poll(context) {
                up_over = true;
                match result {
                    Err(failure) if failure.side == Side::Client => return Poll::Ready(Err(failure)),
                    // The upstream takes no more: its answer says why, if it sends one.
                    Err(_) => {}
                    Ok(()) => self.progress.complete.set(true),
                }
            }
            down.as_mut().poll(context)
        })
        .await;
        relayed.map_err(Miss::committed)
    }
}

impl Upload<'_, '_> {
    async fn run(&self, block: &mut Block) -> Result<(), Failure> {
        let begun = self.journey.progress.source.take();
        match (self.journey.exchange.pending, &self.journey.client.wire) {
            (Framing::None | Framing::UntilClose, _) => Ok(()),
            (_, Wire::Http2(stream)) => self.stream(stream, begun.unwrap_or(Source::Stream)).await,
            (Framing::Length(length), _) if self.journey.exchange.facts.web_form().is_none() => {
                let rest = if let Some(Source::Length(rest)) = begun { rest } else { length };
                self.length(block, rest).await
            }
            (Framing::Length(length), _) => self.framed(block, Source::Length(length)).await,
            (Framing::Chunked, _) => {
                self.framed(
                    block,
                    begun.unwrap_or_else(|| Source::chunked(self.journey.exchange.connection.clone())),
                )
                .await
            }
        }
    }

    async fn length(&self, block: &mut Block, mut remaining: u64) -> Result<(), Failure> {
        let mut large;
        let mut source = &mut *block;
        loop {
            let here = (source.filled().len() as u64).min(remaining) as usize;
            self.pass_on(source.filled().get(..here).unwrap_or_default(), here as u64).await?;
            source.consume(here);
            remaining -= here as u64;
            if remaining == 0 {
                self.upstream.end(&[]);
                return Ok(());
            }
            // Everything in the client's block is passed on; the rest comes in large pieces, never more than the body.
            large = Block::large();
            source = &mut large;
            let room = source.spare().len().min(usize::try_from(remaining).unwrap_or(usize::MAX));
            if self.receive(source, room).await? == 0 {
                return Err(Failure::CLIENT_CLOSED);
            }
        }
    }

    /// A body that is taken apart and framed anew.
    async fn framed(&self, block: &mut Block, mut source: Source) -> Result<(), Failure> {
        let (mut out, mut transform) = (Vec::new(), self.transform());
        loop {
            self.transfer(&mut source, &mut transform, block, &mut out).await?;
            if source.is_done() {
                self.end(&source);
                return Ok(());
            }
            block.clear();
            let room = match source {
                Source::Length(remaining) => usize::try_from(remaining).unwrap_or(usize::MAX),
                _ => usize::MAX,
            };
            let room = block.spare().len().min(room);
            if self.receive(block, room).await? == 0 {
                return Err(Failure::CLIENT_CLOSED);
            }
        }
    }

    /// The body of a request on a stream.
    async fn stream(&self, stream: &Stream, mut source: Source) -> Result<(), Failure> {
        let (mut out, mut transform) = (Vec::new(), self.transform());
        if source.is_done() {
            // It was taken in; what ends it is still to be said.
            self.transfer(&mut source, &mut transform, &mut Block::none(), &mut out).await?;
        }
        while !source.is_done() {
            let mut block = Block::ordinary();
            let room = block.spare().len();
            if self.receive(&mut block, room).await? == 0 {
                source.close(stream.trailers());
            }
            self.transfer(&mut source, &mut transform, &mut block, &mut out).await?;
        }
        self.end(&source);
        Ok(())
    }

    /// Passes on what is here, framed for the server.
    async fn transfer(
        &self,
        source: &mut Source,
        transform: &mut Option<Transform>,
        block: &mut Block,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let sink = self.journey.exchange.sink();
        let fault = |reason| Failure::client(Reject::request(reason));
        let moved = match transform {
            None => source.transfer(block, sink, out).map_err(fault)?,
            Some(transform) => {
                let mut written = Text::take();
                let moved = source.transfer(block, Sink::Raw, &mut written).map_err(fault)?;
                transform.push(&written, out)?;
                if source.is_done() {
                    transform.finish(&[], out)?;
                }
                moved
            }
        };
        if source.is_done() {
            let trailers = sink.end(source.trailers(), out);
            self.journey.progress.trailers.set(trailers);
        }
        self.pass_on(out, moved).await?;
        out.clear();
        Ok(())
    }

    fn transform(&self) -> Option<Transform> {
        let form = self.journey.exchange.facts.web_form()?;
        Some(Transform::FromWeb(RequestBridge::new(form)))
    }

    /// A server on a stream is told that the request is complete.
    fn end(&self, source: &Source) {
        let mut lines = Text::take();
        if self.journey.exchange.trailers {
            body::forwardable(source.trailers(), &mut lines);
        }
        self.upstream.end(&lines);
    }

    /// `data` of the bytes are the body's.
    async fn pass_on(&self, bytes: &[u8], data: u64) -> Result<(), Failure> {
        let progress = &self.journey.progress;
        let total = progress.bytes.get() + data;
        if total > self.journey.exchange.body_limit {
            return Err(Failure::BODY_TOO_LARGE);
        }
        self.rearm(self.journey.route.timeouts.response_head_ms);
        self.upstream.write_all(bytes, &self.deadline).await.map_err(|_| Failure::UPSTREAM_RESET)?;
        progress.bytes.set(total);
        Ok(())
    }

    /// 0 = the client has finished sending.
    async fn receive(&self, block: &mut Block, room: usize) -> Result<usize, Failure> {
        let timeouts = &self.journey.route.timeouts;
        // The client may pause for as long as its listener allows: a server that waits for it is not late.
        self.rearm(longer(timeouts.response_head_ms, self.body_idle_ms()));
        let spare = block.spare().get_mut(..room).unwrap_or_default();
        match self.journey.client.wire.read(spare, &self.deadline).await {
            Ok(count) => {
                block.advance(count);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err(self.journey.late(Failure::BODY_TIMEOUT))
            }
            Err(_) => Err(Failure::CLIENT_CLOSED),
        }
    }

    /// While the body is coming, the server's time for its answer begins anew with each piece.
    fn rearm(&self, head_ms: u64) {
        let now_ms = clock::now_ms();
        self.deadline.arm(now_ms, self.body_idle_ms());
        let progress = &self.journey.progress;
        progress.head_armed.set((now_ms, head_ms));
        if !progress.answered.get() {
            self.journey.client.deadline.arm(now_ms, head_ms);
        }
    }

    fn body_idle_ms(&self) -> u64 {
        self.journey.client.listener.timeouts.body_idle_ms
    }
}

/// The longer of two times of which 0 means without end.
fn longer(one_ms: u64, other_ms: u64) -> u64 {
    if one_ms == 0 || other_ms == 0 { 0 } else { one_ms.max(other_ms) }
}
