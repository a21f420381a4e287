//! Questions over connections (RFC 7766): any number, one behind the other, each behind its length.
//!
//! ```text
//!   length, two bytes | message | length | message | …
//! ```
//! Answers need nothing that has to be waited for, so they go out in the order of their questions.

use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;
use trunkline_dns::{Carrier, answer};

use crate::block::Block;
use crate::worker::{Released, Worker};

/// The two bytes before a message.
const LENGTH_BYTES: usize = 2;
/// Longer questions are nobody's.
const REQUEST_BYTES: usize = 4_096;
/// The longest message there is.
const RESPONSE_BYTES: usize = 65_535;
/// How soon a connection that waits for a question notices that there is to be an end.
const WAIT_SLICE: Duration = Duration::from_millis(500);
/// Pause when a connection cannot be accepted, mostly for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until the socket is to be closed.
pub(super) async fn serve(worker: Rc<Worker>, socket: TcpListener, mut closed: oneshot::Receiver<Released>) {
    let _released = loop {
        let accepted = tokio::select! {
            biased;
            released = &mut closed => break released,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(tokio::task::spawn_local(attend(Rc::clone(&worker), stream))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    };
    take_queued(&worker, socket);
}

/// Connections that the kernel accepted before the socket closes would be reset; they are served instead.
fn take_queued(worker: &Rc<Worker>, socket: TcpListener) {
    let Ok(socket) = socket.into_std() else { return };
    while let Ok((stream, _)) = socket.accept() {
        let _ = stream.set_nonblocking(true);
        if let Ok(stream) = TcpStream::from_std(stream) {
            tokio::task::spawn_local(attend(Rc::clone(worker), stream));
        }
    }
}

/// Serves a connection until its client has had enough, is silent for too long, or says what is no question.
async fn attend(worker: Rc<Worker>, mut stream: TcpStream) {
    let Some(_place) = Place::take(&worker) else { return };
    let _ = stream.set_nodelay(true);
    while let Some(idle) = await_question(&worker, &stream).await {
        let mut length = [0; LENGTH_BYTES];
        if !matches!(timeout(idle, stream.read_exact(&mut length)).await, Ok(Ok(_))) {
            return;
        }
        let length = usize::from(u16::from_be_bytes(length));
        if length > REQUEST_BYTES {
            return;
        }
        let mut request = Block::ordinary();
        let Some(bytes) = request.spare().get_mut(..length) else { return };
        if !matches!(timeout(idle, stream.read_exact(bytes)).await, Ok(Ok(_))) {
            return;
        }
        let mut response = Block::large();
        let Some(bytes) = respond(&worker, bytes, &mut response) else { continue };
        if !matches!(timeout(idle, stream.write_all(bytes)).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// Waits, without a buffer, until there is something to read, and returns how long the client may take from then on. `None`: nothing came
/// in time, or the end is near.
async fn await_question(worker: &Worker, stream: &TcpStream) -> Option<Duration> {
    let mut waited = Duration::ZERO;
    loop {
        let idle_ms = worker.shared.snapshot.load().dns.as_ref()?.idle_ms;
        let idle = Duration::from_millis(idle_ms);
        let slice = idle.saturating_sub(waited).min(WAIT_SLICE);
        match timeout(slice, stream.readable()).await {
            Ok(ready) => return ready.ok().map(|()| idle),
            Err(_) if worker.is_draining() => return None,
            Err(_) => waited += slice,
        }
        if waited >= idle {
            return None;
        }
    }
}

/// The answer behind its length; `None` = silence.
fn respond<'b>(worker: &Worker, request: &[u8], block: &'b mut Block) -> Option<&'b [u8]> {
    let snapshot = worker.shared.snapshot.load();
    let service = snapshot.dns.as_ref()?;
    let cells = service.cells.get(worker.index);
    cells.streams.inc();
    let (head, body) = block.spare().split_at_mut_checked(LENGTH_BYTES)?;
    let room = body.len().min(RESPONSE_BYTES);
    let outcome = answer(&service.zones, &service.identity, Carrier::Stream, request, &mut body[..room]);
    cells.count(outcome);
    let length = outcome?.length;
    head.copy_from_slice(&(length as u16).to_be_bytes());
    block.advance(LENGTH_BYTES + length);
    Some(block.filled())
}

/// One of the connections that there may be; counted while it lives.
struct Place(Rc<Worker>, std::sync::Arc<super::Service>);

impl Place {
    fn take(worker: &Rc<Worker>) -> Option<Self> {
        let service = worker.shared.snapshot.load().dns.clone()?;
        let open: i64 = service.cells.iter().map(|cells| cells.open.get()).sum();
        if open >= i64::from(service.connections) {
            return None;
        }
        let cells = service.cells.get(worker.index);
        cells.connections.inc();
        cells.open.inc();
        worker.shared.open.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Some(Self(Rc::clone(worker), service))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self(worker, service) = self;
        service.cells.get(worker.index).open.dec();
        worker.shared.open.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}
