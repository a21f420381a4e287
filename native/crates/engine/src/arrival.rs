//! Sending a request and waiting for the head of its response, on a connection or on a stream.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use trunkline_http::{Answers, Framing};

use crate::block::Block;
use crate::clock;
use crate::failure::Failure;
use crate::forward::Journey;
use crate::h2::{Reset, Stream};
use crate::reply::{Arrived, FilterPhase, Reply, read_head, take_fields};
use crate::settle::Tally;
use crate::upstream::{Connection, Lease};
use crate::wire::Message;

impl Journey<'_> {
    pub(crate) async fn send(&self, connection: &Connection, now_ns: u64) -> Result<(), Failure> {
        self.deadline.arm(now_ns / 1_000_000, self.route.timeouts.response_head_ms);
        let exchange = self.exchange;
        let end = exchange.pending == Framing::None
            && !exchange.is_websocket
            && exchange.answers != Answers::Connect;
        if exchange.is_websocket && connection.wire.stream().is_some_and(|stream| !stream.takes_websockets())
        {
            return Err(Failure::NO_WEBSOCKET);
        }
        let message = Message { text: &exchange.outgoing, head_bytes: exchange.head_bytes, end };
        let sent = connection.wire.send(message, self.deadline).await;
        sent.map_err(|error| self.sent_failure(connection, &error))
    }

    /// What a failed write or read says of the server.
    fn sent_failure(&self, connection: &Connection, error: &io::Error) -> Failure {
        let reset = connection.wire.stream().and_then(Stream::reset);
        match reset {
            _ if error.kind() == io::ErrorKind::NotConnected => Failure::UPSTREAM_REFUSED,
            Some(Reset::Unprocessed) => Failure::UPSTREAM_REFUSED,
            Some(Reset::Closed) => Failure::UPSTREAM_CLOSED,
            Some(Reset::WrongProtocol) => Failure::WRONG_PROTOCOL,
            Some(Reset::ByPeer | Reset::Lost) | None => self.upstream_error(error),
        }
    }

    /// Waits for the response head, passing interim responses on. Holds no buffer while nothing has arrived; `first` is what has.
    pub(crate) async fn await_head(
        &self,
        connection: &Connection,
        lease: &mut Lease,
        first: Option<Block>,
        filters: &mut trunkline_filter::Exchange,
        tally: &mut Tally,
        tried: &[usize],
    ) -> Result<(Reply, Block), Failure> {
        if let Some(stream) = connection.wire.stream() {
            return self.await_stream_head(connection, stream, lease, filters, tally, tried).await;
        }
        let mut block = match first {
            Some(block) => block,
            None => self.first_bytes(connection).await?,
        };
        loop {
            let now_ns = clock::now_ns();
            let latency_ns = lease.answered(now_ns);
            tally.first_byte_ns = Some(latency_ns);
            tally.ended_ns = now_ns;
            let mut phase = self.phase(lease.index, filters, now_ns, latency_ns);
            // What is left of the request is not read after its answer (RFC 9112 §9.3).
            let close = self.client.must_close() || !self.body_is_sent();
            let forwarding = &self.client.listener.forwarding;
            match read_head(&mut block, self.exchange, &mut phase, forwarding, close, |status| {
                self.would_repeat(status, tried, now_ns)
            })? {
                Arrived::Final(reply) => {
                    lease.local.cells().latency.observe_ns(latency_ns);
                    return Ok((reply, block));
                }
                Arrived::Interim(text) => {
                    Box::pin(self.interim(&text)).await?;
                    // A slow client had its own time for that; the server's goes on.
                    self.rearm_head(tally.chosen_ns);
                    if !block.is_empty() {
                        continue;
                    }
                }
                Arrived::Partial => {}
            }
            self.more(connection, &mut block).await?;
        }
    }

    /// The same on a stream, where a head comes whole.
    async fn await_stream_head(
        &self,
        connection: &Connection,
        stream: &Stream,
        lease: &mut Lease,
        filters: &mut trunkline_filter::Exchange,
        tally: &mut Tally,
        tried: &[usize],
    ) -> Result<(Reply, Block), Failure> {
        loop {
            let fields = self.await_upstream(connection, |context| stream.poll_head(context)).await?;
            let now_ns = clock::now_ns();
            let latency_ns = lease.answered(now_ns);
            tally.first_byte_ns = Some(latency_ns);
            tally.ended_ns = now_ns;
            let mut phase = self.phase(lease.index, filters, now_ns, latency_ns);
            let close = self.client.must_close() || !self.body_is_sent();
            let forwarding = &self.client.listener.forwarding;
            let arrived = take_fields(&fields, self.exchange, &mut phase, forwarding, close, |status| {
                self.would_repeat(status, tried, now_ns)
            });
            stream.give_back(fields);
            match arrived? {
                Arrived::Final(mut reply) => {
                    lease.local.cells().latency.observe_ns(latency_ns);
                    let block = stream.take_block(&mut reply.body, reply.sink);
                    return Ok((reply, block));
                }
                Arrived::Interim(text) => Box::pin(self.interim(&text)).await?,
                Arrived::Partial => {}
            }
            self.rearm_head(tally.chosen_ns);
        }
    }

    /// The server's time for its answer as it was before an interim one: from when it was chosen, or from the last of an upload.
    fn rearm_head(&self, chosen_ns: u64) {
        match self.progress.head_armed.get() {
            (0, _) => self.deadline.arm(chosen_ns / 1_000_000, self.route.timeouts.response_head_ms),
            (since_ms, head_ms) => self.deadline.arm(since_ms, head_ms),
        }
    }

    fn phase<'f>(
        &'f self,
        server: usize,
        exchange: &'f mut trunkline_filter::Exchange,
        now_ns: u64,
        latency_ns: u64,
    ) -> FilterPhase<'f> {
        let compression = self.route.compression.as_ref();
        let reminder = self.reminder(server);
        FilterPhase { chain: &self.route.chain, compression, reminder, exchange, now_ns, latency_ns }
    }

    /// Passes a 1xx response on to a client that knows what it is.
    async fn interim(&self, text: &[u8]) -> Result<(), Failure> {
        if text.is_empty() { Ok(()) } else { self.head_to_client(text).await }
    }

    pub(crate) async fn first_bytes(&self, connection: &Connection) -> Result<Block, Failure> {
        self.await_upstream(connection, |context| connection.wire.poll_block(context)).await
    }

    /// Waits for something of the server, while the client is there and its time is not over.
    pub(crate) async fn await_upstream<T>(
        &self,
        connection: &Connection,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Result<T, Failure> {
        poll_fn(|context| match poll(context) {
            Poll::Ready(read) => Poll::Ready(read.map_err(|error| self.sent_failure(connection, &error))),
            // While a body is coming, it tells when the client has gone.
            Poll::Pending if self.body_is_sent() && self.client.wire.poll_reset(context).is_ready() => {
                Poll::Ready(Err(Failure::CLIENT_CLOSED))
            }
            Poll::Pending => {
                let late = || self.upstream_error(&io::ErrorKind::TimedOut.into());
                self.deadline.poll_expired(context).map(|()| Err(late()))
            }
        })
        .await
    }

    async fn more(&self, connection: &Connection, block: &mut Block) -> Result<(), Failure> {
        block.compact();
        let read = connection.wire.read(block.spare(), self.deadline).await;
        let count = read.map_err(|error| self.upstream_error(&error))?;
        block.advance(count);
        if count == 0 { Err(Failure::UPSTREAM_CLOSED) } else { Ok(()) }
    }

    pub(crate) fn upstream_error(&self, error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::TimedOut => self.late(Failure::RESPONSE_TIMEOUT),
            io::ErrorKind::UnexpectedEof => Failure::UPSTREAM_CLOSED,
            _ => Failure::UPSTREAM_RESET,
        }
    }
}
