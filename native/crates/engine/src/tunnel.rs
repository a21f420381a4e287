//! Bytes both ways after 101 or a CONNECT: no protocol is known here, only closing and idleness.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;

use crate::block::Block;
use crate::clock;
use crate::timer::Deadline;
use crate::wire::Wire;

/// Bytes that went through.
pub(crate) struct Carried {
    pub(crate) up: u64,
    pub(crate) down: u64,
    pub(crate) idle: bool,
}

/// Carries bytes until both directions have ended, one has failed, or nothing moved for `idle_ms`. A direction that ends is passed on
/// as a half-close. `early` came from the client, `rest` from the server, behind their heads.
pub(crate) async fn run(
    client: &Wire,
    server: &Wire,
    early: Block,
    rest: Block,
    deadline: &Deadline,
    idle_ms: u64,
) -> Carried {
    deadline.arm(clock::now_ms(), idle_ms);
    let (up_bytes, down_bytes) = (Cell::new(0), Cell::new(0));
    let idle = Idle { deadline, idle_ms };
    let mut up = pin!(carry(client, server, early, &idle, &up_bytes));
    let mut down = pin!(carry(server, client, rest, &idle, &down_bytes));
    let (mut up_over, mut down_over) = (false, false);
    let result: Result<(), Broken> = poll_fn(|context| {
        if !up_over && let Poll::Ready(result) = up.as_mut().poll(context) {
            // A server that takes no more may have said why: what it sent before is still passed on.
            if !matches!(result, Err(Broken::Write(_))) {
                result?;
            }
            up_over = true;
        }
        if !down_over && let Poll::Ready(result) = down.as_mut().poll(context) {
            result?;
            down_over = true;
        }
        if up_over && down_over { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await;
    let idle = match result {
        Ok(()) => false,
        Err(Broken::Read(error) | Broken::Write(error)) => error.kind() == io::ErrorKind::TimedOut,
    };
    Carried { up: up_bytes.get(), down: down_bytes.get(), idle }
}

/// Which end of a direction failed.
enum Broken {
    Read(io::Error),
    Write(io::Error),
}

struct Idle<'i> {
    deadline: &'i Deadline,
    idle_ms: u64,
}

async fn carry(
    from: &Wire,
    to: &Wire,
    first: Block,
    idle: &Idle<'_>,
    bytes: &Cell<u64>,
) -> Result<(), Broken> {
    let mut held = Some(first).filter(|block| !block.is_empty());
    loop {
        if let Some(block) = held.take() {
            idle.deadline.arm(clock::now_ms(), idle.idle_ms);
            to.write_all(block.filled(), idle.deadline).await.map_err(Broken::Write)?;
            bytes.set(bytes.get() + block.filled().len() as u64);
        }
        // No buffer is held while nothing flows: a hundred thousand quiet WebSockets need none.
        from.readable(idle.deadline).await.map_err(Broken::Read)?;
        let mut block = Block::ordinary();
        let count = from.read(block.spare(), idle.deadline).await.map_err(Broken::Read)?;
        if count == 0 {
            to.finish();
            return Ok(());
        }
        block.advance(count);
        held = Some(block);
    }
}
