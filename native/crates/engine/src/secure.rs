//! TLS below a connection: what is read is decrypted into the caller's buffer, what is written goes out as records. Buffers are on loan
//! while bytes are in them; an idle session has none.

use std::cell::{RefCell, RefMut};
use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::net::TcpStream;
use trunkline_tls::{Error, Session};

use crate::block::{Block, LARGE_BYTES};

/// What one write encrypts at most; more waits until it is out.
const WRITE_BYTES: usize = LARGE_BYTES;
/// Free buffers kept per worker, and how large one may be.
const KEPT: usize = 32;
const KEPT_BYTES: usize = 2 * LARGE_BYTES;

thread_local! {
    static FREE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A connection's TLS.
pub(crate) struct Secure {
    state: RefCell<State>,
}

struct State {
    session: Session,
    /// Records that are not complete.
    incoming: Option<Block>,
    /// Plaintext that did not fit its reader's buffer; the first `taken` bytes are read.
    plain: Vec<u8>,
    taken: usize,
    /// Records to be sent; the first `sent` bytes are.
    outgoing: Vec<u8>,
    sent: usize,
    /// `close_notify` has come.
    ended: bool,
}

impl Secure {
    pub(crate) fn new(session: Session) -> Self {
        let state = State {
            session,
            incoming: None,
            plain: Vec::new(),
            taken: 0,
            outgoing: Vec::new(),
            sent: 0,
            ended: false,
        };
        Self { state: RefCell::new(state) }
    }

    /// What was agreed on.
    pub(crate) fn with_session<T>(&self, look: impl FnOnce(&Session) -> T) -> T {
        look(&self.state.borrow().session)
    }

    /// Plaintext is here that nobody has read.
    pub(crate) fn holds_plain(&self) -> bool {
        let state = self.state.borrow();
        state.taken < state.plain.len() || state.ended
    }

    /// Neither a part of a record nor anything to read or to send is here.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state.borrow();
        state.incoming.is_none() && state.plain.is_empty() && state.outgoing.is_empty() && !state.ended
    }

    /// Ready when the handshake is complete and our part of it is sent.
    pub(crate) fn poll_handshake(
        &self,
        stream: &TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        loop {
            std::task::ready!(self.poll_flush(stream, context)).map_err(Broken::Io)?;
            if self.state.borrow().session.is_open() {
                return Poll::Ready(Ok(()));
            }
            std::task::ready!(self.poll_records(stream, context, &mut []))?;
        }
    }

    /// A client begins.
    pub(crate) fn greet(&self) -> Result<(), Error> {
        let state = &mut *self.state.borrow_mut();
        borrow_buffer(&mut state.outgoing);
        state.session.process(&mut [], &mut state.outgoing, &mut |_| {}).map(|_| ())
    }

    /// Plaintext into `buffer`; 0 = the peer said that it sends no more. A connection that ends without that word may have been cut by
    /// somebody else: an error.
    pub(crate) fn poll_read(
        &self,
        stream: &TcpStream,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(count) = self.take_plain(buffer) {
                return Poll::Ready(Ok(count));
            }
            match std::task::ready!(self.poll_records(stream, context, buffer)) {
                Ok(0) => {}
                Ok(count) => return Poll::Ready(Ok(count)),
                Err(Broken::Io(error)) => return Poll::Ready(Err(error)),
                Err(Broken::Tls(_)) => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            }
        }
    }

    /// What waits for its reader; `None` = nothing does.
    fn take_plain(&self, buffer: &mut [u8]) -> Option<usize> {
        let state = &mut *self.state.borrow_mut();
        let waiting = state.plain.get(state.taken..).unwrap_or_default();
        if waiting.is_empty() {
            return state.ended.then_some(0);
        }
        let count = fill(buffer, waiting);
        state.taken += count;
        if state.taken == state.plain.len() {
            state.taken = 0;
            give_back(&mut state.plain);
        }
        Some(count)
    }

    /// Reads once and takes the records apart; how many bytes of plaintext went into `buffer`.
    fn poll_records(
        &self,
        stream: &TcpStream,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, Broken>> {
        loop {
            std::task::ready!(stream.poll_read_ready(context)).map_err(Broken::Io)?;
            let mut state = self.state.borrow_mut();
            let mut incoming = Block::resume(state.incoming.take());
            let room = incoming.spare().len();
            if room == 0 {
                return Poll::Ready(Err(Broken::Tls(Error::MessageTooLong)));
            }
            match stream.try_read(incoming.spare()) {
                Ok(0) => return Poll::Ready(Err(Broken::Io(io::ErrorKind::UnexpectedEof.into()))),
                Ok(count) => {
                    if count < room {
                        clear_readiness(stream, Interest::READABLE);
                    }
                    incoming.advance(count);
                    return Poll::Ready(process(state, incoming, stream, buffer));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    state.incoming = incoming.into_rest();
                }
                Err(error) => return Poll::Ready(Err(Broken::Io(error))),
            }
        }
    }

    /// Encrypts and sends some of the slices; what the socket does not take waits in here and is sent before anything else.
    pub(crate) fn poll_write(
        &self,
        stream: &TcpStream,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        std::task::ready!(self.poll_flush(stream, context))?;
        let state = &mut *self.state.borrow_mut();
        borrow_buffer(&mut state.outgoing);
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        let (taken, result) = if total <= WRITE_BYTES {
            (total, state.session.encrypt_slices(slices, &mut state.outgoing))
        } else {
            let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| &slice[..]);
            let piece = first.get(..WRITE_BYTES).unwrap_or(first);
            (piece.len(), state.session.encrypt(piece, &mut state.outgoing))
        };
        state.send_now(stream);
        Poll::Ready(match result {
            Ok(()) => Ok(taken),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        })
    }

    /// Ready when every record is with the kernel.
    pub(crate) fn poll_flush(&self, stream: &TcpStream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let state = &mut *self.state.borrow_mut();
            match state.send(stream) {
                Ok(true) => return Poll::Ready(Ok(())),
                Ok(false) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            std::task::ready!(stream.poll_write_ready(context))?;
        }
    }

    /// Says that we send no more, as far as the socket takes it now.
    pub(crate) fn close(&self, stream: &TcpStream) {
        let Ok(mut state) = self.state.try_borrow_mut() else { return };
        let state = &mut *state;
        borrow_buffer(&mut state.outgoing);
        state.session.close(&mut state.outgoing);
        state.send_now(stream);
    }
}

impl State {
    fn send_now(&mut self, stream: &TcpStream) {
        // What fails now fails again when somebody waits for it.
        let _ = self.send(stream);
    }

    /// True if everything is sent, false if the socket takes no more.
    fn send(&mut self, stream: &TcpStream) -> io::Result<bool> {
        while let Some(rest) = self.outgoing.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match stream.try_write(rest) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.sent = 0;
        give_back(&mut self.outgoing);
        Ok(true)
    }
}

/// Takes complete records apart: plaintext into `buffer` as far as it goes, the rest waits; what has to be answered is sent.
fn process(
    mut state: RefMut<'_, State>,
    mut incoming: Block,
    stream: &TcpStream,
    buffer: &mut [u8],
) -> Result<usize, Broken> {
    let state = &mut *state;
    borrow_buffer(&mut state.outgoing);
    let mut filled = 0;
    let plain = &mut state.plain;
    let result = state.session.process(incoming.filled_mut(), &mut state.outgoing, &mut |piece| {
        let rest = buffer.get_mut(filled..).unwrap_or_default();
        let count = if plain.is_empty() { fill(rest, piece) } else { 0 };
        filled += count;
        let left = piece.get(count..).unwrap_or_default();
        if !left.is_empty() {
            borrow_buffer(plain);
            plain.extend_from_slice(left);
        }
    });
    state.send_now(stream);
    let progress = result.map_err(Broken::Tls)?;
    state.ended = progress.closed_by_peer;
    incoming.consume(progress.consumed);
    state.incoming = incoming.into_rest();
    Ok(filled)
}

/// Why nothing more comes of a session.
pub(crate) enum Broken {
    Io(io::Error),
    Tls(Error),
}

/// The socket is empty: the next poll waits for news. `try_io` clears the readiness when the operation says that it would block; no system
/// call is made.
pub(crate) fn clear_readiness(stream: &TcpStream, interest: Interest) {
    let _ = stream.try_io(interest, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
}

/// Copies what fits; how much that was.
fn fill(buffer: &mut [u8], from: &[u8]) -> usize {
    let count = buffer.len().min(from.len());
    let (to, from) = (buffer.get_mut(..count), from.get(..count));
    if let (Some(to), Some(from)) = (to, from) {
        to.copy_from_slice(from);
    }
    count
}

/// Gives an empty vector room, from those that are kept.
fn borrow_buffer(buffer: &mut Vec<u8>) {
    if buffer.capacity() == 0 {
        *buffer = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
        buffer.reserve(1_024);
    }
}

fn give_back(buffer: &mut Vec<u8>) {
    let mut buffer = std::mem::take(buffer);
    if buffer.capacity() == 0 || buffer.capacity() > KEPT_BYTES {
        return;
    }
    buffer.clear();
    let _ = FREE.try_with(|free| {
        let mut free = free.borrow_mut();
        if free.len() < KEPT {
            free.push(buffer);
        }
    });
}
