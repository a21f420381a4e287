//! Copies of requests for a second pool. Each goes its way in a task of its own, so that the answer to the client never waits for it; what
//! is under way is bounded by number and by bytes for each worker, and over that a copy is dropped. Its response is read and thrown away.
//!
//! What is copied is what the first server gets, before it gets it: head and body. A body that is passed on as it comes is in nobody's
//! hands, so such a request is not copied.

mod copy;

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use trunkline_http::{Framing, RequestHead};
use trunkline_telemetry::{Counter, PerWorker};
use trunkline_traffic::Mirror;

use self::copy::Copy;
use crate::block::Text;
use crate::forward::Journey;
use crate::hash_key::Key;
use crate::plan;
use crate::snapshot::Pool;
use crate::wire::Message;
use crate::worker::Worker;

/// Copies of one worker that are under way. A mirror that hangs keeps each for as long as its servers may take for an answer.
const MOST_COPIES: usize = 256;
/// Their bytes: large bodies are few.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// A route's mirror.
pub(crate) struct Target {
    pub(crate) pool: Arc<Pool>,
    pub(crate) mirror: Mirror,
    pub(crate) plan: plan::Mirror,
    pub(crate) cells: Arc<PerWorker<MirrorCells>>,
}

/// What became of the requests that were to be copied.
#[derive(Debug, Default)]
pub(crate) struct MirrorCells {
    /// A whole head came back.
    pub(crate) answered: Counter,
    pub(crate) failed: Counter,
    /// Too much was under way, or the pool's limit was reached.
    pub(crate) dropped: Counter,
    /// The body was not here, or it was no plain request.
    pub(crate) skipped: Counter,
}

impl Target {
    /// What the mirror's pool hashes, if this request is to be copied.
    pub(crate) fn key(&self, head: &RequestHead<'_, '_>, client: IpAddr, turn: u64) -> Option<Box<Key>> {
        let hashed = || self.pool.hash_key.as_ref().map_or_else(Key::new, |key| key.of(head, client));
        self.mirror.takes(turn).then(|| Box::new(hashed()))
    }

    /// By outcome.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 4] {
        let sum = |pick: fn(&MirrorCells) -> &Counter| self.cells.iter().map(|cells| pick(cells).get()).sum();
        [
            ("answered", sum(|cells| &cells.answered)),
            ("failed", sum(|cells| &cells.failed)),
            ("dropped", sum(|cells| &cells.dropped)),
            ("skipped", sum(|cells| &cells.skipped)),
        ]
    }
}

/// What a worker has under way.
#[derive(Debug, Default)]
pub(crate) struct Load {
    copies: Cell<usize>,
    bytes: Cell<usize>,
}

/// A copy's part of it, given back when the copy is gone.
struct Room {
    worker: Rc<Worker>,
    bytes: usize,
}

impl Room {
    fn take(worker: &Rc<Worker>, bytes: usize) -> Option<Self> {
        let load = &worker.mirrored;
        if load.copies.get() >= MOST_COPIES || load.bytes.get() + bytes > MOST_BYTES {
            return None;
        }
        load.copies.set(load.copies.get() + 1);
        load.bytes.set(load.bytes.get() + bytes);
        Some(Self { worker: Rc::clone(worker), bytes })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let load = &self.worker.mirrored;
        load.copies.set(load.copies.get().saturating_sub(1));
        load.bytes.set(load.bytes.get().saturating_sub(self.bytes));
    }
}

impl Journey<'_> {
    /// Sends a copy on its way, if this request is one of those.
    pub(crate) fn mirror(&self) {
        let (Some(target), Some(key)) = (&self.route.mirror, &self.exchange.mirror_key) else { return };
        let exchange = self.exchange;
        let cells = target.cells.get(self.client.worker.index);
        if exchange.pending != Framing::None || exchange.may_tunnel {
            return cells.skipped.inc();
        }
        let Some(room) = Room::take(&self.client.worker, exchange.outgoing.len()) else {
            return cells.dropped.inc();
        };
        let pass = match &target.pool.bulkhead {
            None => None,
            Some(bulkhead) => match bulkhead.try_pass() {
                Some(pass) => Some(pass),
                None => return cells.dropped.inc(),
            },
        };
        let mut text = Text::take();
        let message = Message { text: &exchange.outgoing, head_bytes: exchange.head_bytes, end: true };
        let head_bytes = copy::write(&mut text, message, &self.pool.pool, &target.pool);
        let copy = Copy {
            pool: self.client.worker.pool(&target.pool),
            key: (**key).clone(),
            text,
            head_bytes,
            answers: exchange.answers,
            peer: Rc::clone(&self.client.peer),
            timeouts: self.route.timeouts,
            cells: Arc::clone(&target.cells),
            _pass: pass,
            room,
        };
        tokio::task::spawn_local(copy.travel());
    }
}
