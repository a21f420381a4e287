//! The response's way to the client. What arrived with the head goes out with it in one write; the rest follows in pieces of at most
//! one large block, so a body of any size takes the same memory, and a slow reader slows the upstream.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::Poll;

use crate::block::{Block, Text};
use crate::body::{self, Sink, Source};
use crate::clock;
use crate::failure::Failure;
use crate::forward::{Journey, client_error};
use crate::h2::Stream;
use crate::reply::Reply;
use crate::settle::Tally;
use crate::splice::Pipe;
use crate::transform::Transform;
use crate::transport::{Transport, expire};
use crate::tunnel;
use crate::upstream::Connection;

/// From how many bytes on a pipe pays.
const SPLICE_FROM: u64 = 64 * 1024;

/// A response that went out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Relayed {
    /// The client was told that its connection ends.
    pub(crate) closes: bool,
    /// The upstream connection is clean and can be used again.
    pub(crate) reusable: bool,
}

impl Journey<'_> {
    /// `early` is what the client sent behind its head; only a tunnel takes it.
    pub(crate) async fn relay(
        &self,
        connection: &Connection,
        mut reply: Reply,
        mut rest: Block,
        early: Option<&mut Block>,
        tally: &mut Tally,
    ) -> Result<Relayed, Failure> {
        tally.status = reply.status;
        if reply.tunnels {
            return Box::pin(self.tunnel(connection, reply, rest, early, tally)).await;
        }
        let excess = match whole_body(&reply, &rest) {
            Some(length) => {
                let excess = reply.upstream_keeps && rest.filled().len() > length;
                rest.truncate(length);
                tally.response_bytes = length as u64;
                self.send_whole(&reply.head, &mut rest).await?;
                excess
            }
            None => Box::pin(self.stream(connection, &mut reply, rest, tally)).await?,
        };
        if excess {
            tally.failure = Some(Failure::RESPONSE_EXCESS);
        }
        Ok(Relayed { closes: reply.closes, reusable: reply.upstream_keeps && !excess })
    }

    /// Head and body in one write.
    async fn send_whole(&self, head: &Text, rest: &mut Block) -> Result<(), Failure> {
        self.send_first(head, rest, true).await
    }

    /// The head and what is here of the body; `end`: that is all.
    async fn send_first(&self, head: &Text, rest: &mut Block, end: bool) -> Result<(), Failure> {
        let client = self.client;
        if let Some(stream) = client.wire.stream() {
            let sent = stream.send_head(head, end && rest.is_empty());
            sent.map_err(|error| client_error(&error))?;
            self.rearm_write();
            let sent = client.wire.send_body(rest.filled(), end, &client.deadline).await;
            return sent.map_err(|error| client_error(&error));
        }
        if rest.prepend(head) {
            return self.to_client(rest.filled()).await;
        }
        let mut slices = [IoSlice::new(head), IoSlice::new(rest.filled())];
        self.rearm_write();
        let sent = client.wire.write_all_vectored(&mut slices, &client.deadline).await;
        sent.map_err(|error| client_error(&error))
    }

    /// A body that did not arrive whole. True if bytes followed its end.
    async fn stream(
        &self,
        connection: &Connection,
        reply: &mut Reply,
        first: Block,
        tally: &mut Tally,
    ) -> Result<bool, Failure> {
        let excess = match (&mut reply.body, reply.sink) {
            (Source::Length(remaining), Sink::Raw) if reply.transform.is_none() => {
                let length = *remaining;
                self.stream_raw(connection, &reply.head, first, length, tally).await?;
                reply.body = Source::Nothing;
                false
            }
            _ => self.stream_framed(connection, reply, first, tally).await?,
        };
        tally.ended_ns = clock::now_ns();
        Ok(excess)
    }

    /// A body of known length: bytes are passed on as they come, never more than declared.
    async fn stream_raw(
        &self,
        connection: &Connection,
        head: &Text,
        mut first: Block,
        length: u64,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let mut remaining = length.saturating_sub(first.filled().len() as u64);
        tally.response_bytes = first.filled().len() as u64;
        self.send_first(head, &mut first, false).await?;
        drop(first);
        if remaining >= SPLICE_FROM
            && let (Some(from), Some(to)) = (connection.wire.plain(), self.client.wire.plain())
            && let Some(pipe) = Pipe::take()
        {
            return self.splice(from, to, pipe, remaining, tally).await;
        }
        let mut block = Block::large();
        while remaining > 0 {
            block.clear();
            let room = block.spare().len().min(usize::try_from(remaining).unwrap_or(usize::MAX));
            let count = self.read_body(connection, &mut block, room).await?;
            if count == 0 {
                return Err(Failure::RESPONSE_TRUNCATED);
            }
            remaining -= count as u64;
            self.to_client(block.filled()).await?;
            tally.response_bytes += count as u64;
        }
        Ok(())
    }

    async fn splice(
        &self,
        from: &Transport,
        to: &Transport,
        mut pipe: Pipe,
        mut remaining: u64,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let client = self.client;
        while remaining > 0 {
            self.rearm_read();
            let filled = pipe.fill(from, remaining, &client.deadline).await;
            let count = filled.map_err(|error| self.body_error(&error))? as u64;
            if count == 0 {
                return Err(Failure::RESPONSE_TRUNCATED);
            }
            remaining -= count;
            let more = remaining > 0 && pipe.is_full();
            self.rearm_write();
            let drained = pipe.drain(to, more, &client.deadline).await;
            drained.map_err(|error| client_error(&error))?;
            tally.response_bytes += count;
            if more {
                // A megabyte has gone by: the worker's other connections have their turn.
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// A body whose end is found or told otherwise than by its length: taken apart and framed anew.
    async fn stream_framed(
        &self,
        connection: &Connection,
        reply: &mut Reply,
        first: Block,
        tally: &mut Tally,
    ) -> Result<bool, Failure> {
        let mut out = Vec::new();
        match self.client.wire.stream() {
            Some(stream) => stream.send_head(&reply.head, false).map_err(|error| client_error(&error))?,
            None => out.extend_from_slice(&reply.head),
        }
        let mut block = first;
        let mut drained = true;
        loop {
            let moved = reply.transfer(&mut block, drained, &mut out);
            let done = reply.body.is_done();
            if done {
                reply.give_back_encoder();
            }
            self.to_client(&out).await?;
            tally.response_bytes += moved?;
            if done {
                self.end_stream(reply);
                return Ok(!block.is_empty());
            }
            out.clear();
            // What comes in the next read is larger than the first: it was a body all along.
            block = Block::large();
            let room = block.spare().len();
            let count = self.read_body(connection, &mut block, room).await?;
            drained = count < room;
            if count == 0 && !reply.body.close(connection.wire.stream().and_then(Stream::trailers)) {
                return Err(Failure::RESPONSE_TRUNCATED);
            }
        }
    }

    /// A client on a stream is told that the response is complete.
    fn end_stream(&self, reply: &Reply) {
        if let Sink::Frames { trailers } = reply.sink {
            let mut lines = Text::take();
            if trailers && !matches!(reply.transform.as_deref(), Some(Transform::Web(_))) {
                body::forwardable(reply.body.trailers(), &mut lines);
            }
            self.client.wire.end(&lines);
        }
    }

    async fn read_body(
        &self,
        connection: &Connection,
        block: &mut Block,
        room: usize,
    ) -> Result<usize, Failure> {
        self.rearm_read();
        let spare = block.spare().get_mut(..room).unwrap_or_default();
        let client = self.client;
        let read = poll_fn(|context| match connection.wire.poll_read(context, spare) {
            Poll::Ready(read) => Poll::Ready(read.map_err(|error| self.body_error(&error))),
            // A server that has nothing to say for now does not notice that nobody listens.
            Poll::Pending if client.wire.poll_reset(context).is_ready() => {
                Poll::Ready(Err(Failure::CLIENT_CLOSED))
            }
            Poll::Pending => expire(&client.deadline, context).map_err(|error| self.body_error(&error)),
        });
        let count = read.await?;
        block.advance(count);
        Ok(count)
    }

    /// A head after which more follows: of an interim response, or of a tunnel.
    pub(crate) async fn head_to_client(&self, head: &[u8]) -> Result<(), Failure> {
        match self.client.wire.stream() {
            Some(stream) => stream.send_head(head, false).map_err(|error| client_error(&error)),
            None => self.to_client(head).await,
        }
    }

    /// Writes to the client. Nearly always everything fits at once; only what does not has to be waited for.
    pub(crate) async fn to_client(&self, bytes: &[u8]) -> Result<(), Failure> {
        let client = self.client;
        let sent = client.wire.write_now(bytes).map_err(|error| client_error(&error))?;
        let rest = bytes.get(sent..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        self.rearm_write();
        client.wire.write_all(rest, &client.deadline).await.map_err(|error| client_error(&error))
    }

    /// Between two reads of a response the route's time passes …
    fn rearm_read(&self) {
        self.client.deadline.arm(clock::now_ms(), self.route.timeouts.body_idle_ms);
    }

    /// … and between two writes the listener's.
    fn rearm_write(&self) {
        self.client.deadline.arm(clock::now_ms(), self.client.listener.timeouts.body_idle_ms);
    }

    fn body_error(&self, error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::TimedOut => self.late(Failure::RESPONSE_STALLED),
            _ => Failure::RESPONSE_TRUNCATED,
        }
    }

    async fn tunnel(
        &self,
        connection: &Connection,
        reply: Reply,
        rest: Block,
        early: Option<&mut Block>,
        tally: &mut Tally,
    ) -> Result<Relayed, Failure> {
        self.head_to_client(&reply.head).await?;
        let early = early.map_or_else(Block::none, |block| std::mem::replace(block, Block::ordinary()));
        let client = self.client;
        // A tunnel lives as long as something moves, whatever its route says about the time for an answer.
        client.deadline.limit(0);
        let idle_ms = client.listener.timeouts.tunnel_idle_ms;
        let carried =
            tunnel::run(&client.wire, &connection.wire, early, rest, &client.deadline, idle_ms).await;
        self.progress.bytes.set(carried.up);
        tally.response_bytes = carried.down;
        tally.ended_ns = clock::now_ns();
        if carried.idle {
            tally.failure = Some(self.late(Failure::TUNNEL_IDLE));
        }
        Ok(Relayed { closes: true, reusable: false })
    }
}

/// The body's length if all of it is here and goes out as it is.
fn whole_body(reply: &Reply, rest: &Block) -> Option<usize> {
    if reply.transform.is_some() {
        return None;
    }
    match &reply.body {
        Source::Nothing => Some(0),
        Source::Length(length) if *length <= rest.filled().len() as u64 => Some(*length as usize),
        _ => None,
    }
}
