//! A request body that is still coming: it is passed on while the response is already awaited, so that `100 Continue`, early refusals
//! and services that answer while they read all work.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;

use trunkline_http::chunk::{ChunkDecoder, Piece};
use trunkline_http::{Framing, Reject, encode};

use crate::block::Block;
use crate::clock;
use crate::failure::{Failure, Side};
use crate::forward::{Journey, Miss};
use crate::relay::Relayed;
use crate::reply::end_chunks;
use crate::settle::Tally;
use crate::timer::Deadline;
use crate::transport::Transport;
use crate::upstream::{Connection, Lease};

/// The direction from the client, seen from both.
#[derive(Default)]
pub(crate) struct Progress {
    /// Body bytes passed on.
    pub(crate) bytes: Cell<u64>,
    /// The whole body was passed on.
    pub(crate) complete: Cell<bool>,
    /// The response has begun: its own time-outs hold now.
    pub(crate) answered: Cell<bool>,
}

struct Upload<'u, 'j> {
    journey: &'u Journey<'j>,
    upstream: &'u Transport,
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
        let upload = Upload { journey: self, upstream: &connection.transport, deadline };
        let mut up = pin!(upload.run(block));
        let mut up_over = false;
        let mut down = pin!(async {
            let (reply, rest) = self.await_head(connection, lease, filters, tally, &[]).await?;
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
        match self.journey.exchange.pending {
            Framing::Length(length) => self.length(block, length).await,
            Framing::Chunked => self.chunked(block).await,
            Framing::None | Framing::UntilClose => Ok(()),
        }
    }

    async fn length(&self, block: &mut Block, mut remaining: u64) -> Result<(), Failure> {
        let mut large;
        let mut source = &mut *block;
        loop {
            let here = (source.filled().len() as u64).min(remaining) as usize;
            self.pass_on(source.filled().get(..here).unwrap_or_default(), here).await?;
            source.consume(here);
            remaining -= here as u64;
            if remaining == 0 {
                return Ok(());
            }
            // Everything in the client's block is passed on; the rest comes in large pieces, never more than the body.
            large = Block::large();
            source = &mut large;
            let room = source.spare().len().min(usize::try_from(remaining).unwrap_or(usize::MAX));
            self.receive(source, room).await?;
        }
    }

    async fn chunked(&self, block: &mut Block) -> Result<(), Failure> {
        let mut decoder = ChunkDecoder::default();
        let mut out = Vec::new();
        loop {
            let data = reframe(&mut decoder, block, self.journey.exchange.trailers, &mut out)?;
            self.pass_on(&out, data).await?;
            out.clear();
            if decoder.is_done() {
                return Ok(());
            }
            block.clear();
            let room = block.spare().len();
            self.receive(block, room).await?;
        }
    }

    async fn pass_on(&self, bytes: &[u8], data: usize) -> Result<(), Failure> {
        let progress = &self.journey.progress;
        let total = progress.bytes.get() + data as u64;
        if total > self.journey.exchange.body_limit {
            return Err(Failure::BODY_TOO_LARGE);
        }
        self.rearm();
        self.upstream.write_all(bytes, &self.deadline).await.map_err(|_| Failure::UPSTREAM_RESET)?;
        progress.bytes.set(total);
        Ok(())
    }

    async fn receive(&self, block: &mut Block, room: usize) -> Result<(), Failure> {
        self.rearm();
        let spare = block.spare().get_mut(..room).unwrap_or_default();
        match self.journey.client.transport.read(spare, &self.deadline).await {
            Ok(0) => Err(Failure::CLIENT_CLOSED),
            Ok(count) => {
                block.advance(count);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(Failure::BODY_TIMEOUT),
            Err(_) => Err(Failure::CLIENT_CLOSED),
        }
    }

    /// While the body is coming, the server cannot be late with its answer.
    fn rearm(&self) {
        let now_ms = clock::now_ms();
        self.deadline.arm(now_ms, self.journey.client.listener.timeouts.body_idle_ms);
        if !self.journey.progress.answered.get() {
            self.journey.client.deadline.arm(now_ms, self.journey.route.timeouts.response_head_ms);
        }
    }
}

/// Takes the chunks in `block` apart and frames them anew; returns how many body bytes there were.
fn reframe(
    decoder: &mut ChunkDecoder,
    block: &mut Block,
    trailers: bool,
    out: &mut Vec<u8>,
) -> Result<usize, Failure> {
    let mut total = 0;
    loop {
        let (used, piece) =
            decoder.decode(block.filled()).map_err(|reason| Failure::client(Reject::request(reason)))?;
        let go_on = match piece {
            Piece::Data(data) => {
                total += data.len();
                encode::chunk_size(out, data.len());
                out.extend_from_slice(data);
                out.extend_from_slice(b"\r\n");
                true
            }
            Piece::NeedMore => false,
            Piece::End => {
                end_chunks(if trailers { decoder.trailers() } else { &[] }, out);
                false
            }
        };
        block.consume(used);
        if !go_on {
            return Ok(total);
        }
    }
}
