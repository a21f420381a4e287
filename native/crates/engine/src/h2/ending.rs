//! How a connection ends: a client's when it is told of a drain or asks for nothing, one to a server when it is not needed. None ends, or
//! counts as idle, before everything that was said on it is with the kernel; only who takes nothing of that is left with a part.
//!
//! ```text
//!   streams ──▶ unsent ──▶ idle ──▶ GOAWAY ──▶ unsent ──▶ end
//!                 │                              │
//!                 └──── nothing leaves ──────────┴──────▶ lost
//! ```

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use trunkline_http2::ErrorCode;

use super::front::Front;
use super::link::{End, Link};
use crate::block::Block;
use crate::client::{LINGER_BYTES, LINGER_MS};
use crate::clock;
use crate::failure::Failure;
use crate::transport::expire;

/// What a client may take to hear that its connection ends.
const ECHO_MS: u64 = 1_000;
/// Says in a PING what its echo is for.
pub(super) const DRAINING: [u8; 8] = *b"draining";
/// An idle connection gives its memory back after this: at once, each request of a client that sends one after another would have to ask
/// the allocator for it again.
const REST_MS: u64 = 2_000;

impl Link {
    /// Tells the client to open no more streams; what is on its way is taken until it has heard of it.
    pub(super) fn obey_drain(&self) {
        if self.is_server && self.worker.is_draining() {
            let mut codec = self.codec.borrow_mut();
            if !codec.is_closing() {
                codec.drain();
                codec.ping(DRAINING);
                self.warned_at_ms.set(clock::now_ms());
            }
        }
    }

    /// Notes whether all output is with the kernel, and whether some of it has just left: an idle connection's time begins anew then.
    pub(super) fn note_sent(&self, sent: bool, moved: bool) {
        let waited = !self.sent.replace(sent);
        if waited && (sent || moved) && self.idle_since_ms.get() != 0 {
            self.idle_since_ms.set(clock::now_ms());
        }
    }

    /// Ready when nothing is left to do and the time for more is over.
    pub(super) fn poll_end(&self, context: &mut Context<'_>, front: Option<&Front>) -> Poll<End> {
        if !self.is_idle() {
            // To be woken by a drain: a client whose streams are quiet hears of it, too.
            let _ = self.deadline.poll_expired(context);
            return Poll::Pending;
        }
        let closing = self.codec.borrow().is_closing();
        match front {
            _ if closing && self.sent.get() && !self.awaits_echo(context) => Poll::Ready(End::Peace),
            Some(_) if self.worker.is_cut() => Poll::Ready(End::Lost),
            _ if !self.sent.get() => self.poll_unsent(context, front),
            Some(front) => self.poll_idle(context, front.patience_ms(self.served.get())),
            None => self.wait(context, 0),
        }
    }

    /// Requests that were sent before the client heard of the end may still come.
    fn awaits_echo(&self, context: &mut Context<'_>) -> bool {
        let (warned_at_ms, now_ms) = (self.warned_at_ms.get(), clock::now_ms());
        if warned_at_ms == 0 || now_ms > warned_at_ms + ECHO_MS {
            return false;
        }
        self.deadline.arm(now_ms, ECHO_MS);
        let _ = self.deadline.poll_expired(context);
        true
    }

    /// Who takes nothing of what is left for it is let go after a while. A server has that time once the connection is not needed.
    fn poll_unsent(&self, context: &mut Context<'_>, front: Option<&Front>) -> Poll<End> {
        let closing = self.codec.borrow().is_closing();
        let ours_ms = if closing { LINGER_MS } else { 0 };
        let patience_ms = front.map_or(ours_ms, Front::unsent_patience_ms);
        if !self.has_waited(patience_ms) {
            return self.wait(context, patience_ms);
        }
        if let Some(front) = front {
            front.note(Failure::CLIENT_STALLED.reason);
        }
        Poll::Ready(End::Lost)
    }

    /// A client that asks for nothing is let go after a while; 0 = never.
    fn poll_idle(&self, context: &mut Context<'_>, patience_ms: u64) -> Poll<End> {
        if !self.has_waited(patience_ms) {
            return self.wait(context, patience_ms);
        }
        self.codec.borrow_mut().go_away(ErrorCode::NoError);
        let _ = self.poll_output(context);
        if self.sent.get() {
            return Poll::Ready(End::Peace);
        }
        self.idle_since_ms.set(clock::now_ms());
        self.wait(context, LINGER_MS)
    }

    /// Whether so much time has gone since the connection was last of use; 0 = for ever.
    fn has_waited(&self, patience_ms: u64) -> bool {
        patience_ms != 0 && clock::now_ms() > self.idle_since_ms.get().saturating_add(patience_ms)
    }

    /// To be woken when the time is over, before that to give memory back, and by a drain; which of them it was is seen then.
    fn wait(&self, context: &mut Context<'_>, patience_ms: u64) -> Poll<End> {
        if self.has_waited(REST_MS) && !self.rested.replace(true) {
            self.codec.borrow_mut().shrink();
            self.spare.take();
        }
        let rests_first = !self.rested.get() && !(1..REST_MS).contains(&patience_ms);
        self.deadline.arm(self.idle_since_ms.get(), if rests_first { REST_MS } else { patience_ms });
        let _ = self.deadline.poll_expired(context);
        Poll::Pending
    }

    /// A connection to a server that is not needed any more.
    pub(crate) fn close(&self) {
        self.codec.borrow_mut().go_away(ErrorCode::NoError);
        self.wake_driver();
    }

    /// Says that we are done and reads on for a while: see `Client::linger`. Clients of HTTP/2 speak while they read: the first update of a
    /// window that reached a closed socket would take with it what the kernel still has for them. As long as they do, they are waited for,
    /// `limit_ms` at most.
    pub(super) async fn linger(&self, limit_ms: u64) {
        self.transport.finish();
        let now_ms = clock::now_ms();
        self.deadline.limit(if limit_ms == 0 { 0 } else { now_ms.saturating_add(limit_ms) });
        self.deadline.arm(now_ms, LINGER_MS);
        let mut total = 0;
        while total < LINGER_BYTES {
            let read = poll_fn(|context| match self.poll_discard(context) {
                Poll::Pending => expire(&self.deadline, context),
                done @ Poll::Ready(_) => done,
            });
            match read.await {
                Ok(count @ 1..) => total += count,
                _ => return,
            }
            self.deadline.restart();
        }
    }

    /// Reads into a block that is borrowed only when something is here: a drain ends ten thousand connections at once.
    fn poll_discard(&self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        std::task::ready!(self.transport.poll_readable(context))?;
        self.transport.poll_read(context, Block::large().spare())
    }
}
