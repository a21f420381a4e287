//! Large bodies move from socket to socket inside the kernel: `splice(2)` into a pipe and out of it hands pages on instead of copying
//! them through our memory. A worker lends so many pipes at a time and keeps a few for the next bodies; one that still holds bytes
//! after a failure is thrown away with them.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::task::Poll;

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;

use crate::timer::Deadline;
use crate::transport::{Transport, expire};

/// Room in a pipe. The default of 64 KB is used up by 16 small packets; an unprivileged process may have up to 1 MB.
const PIPE_BYTES: usize = 1 << 20;
/// Pipes on loan per worker: 128 descriptors, and at most 64 MB in the kernel. Further bodies are copied.
const LENT_MAX: usize = 64;
/// Free pipes kept per worker; each is two file descriptors.
const KEPT: usize = 16;

/// A pipe's two ends.
struct Ends {
    out: OwnedFd,
    into: OwnedFd,
}

thread_local! {
    static FREE: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
    static LENT: Cell<usize> = const { Cell::new(0) };
}

/// A pipe on loan; goes back when it is dropped empty.
pub(crate) struct Pipe {
    ends: Option<Ends>,
    /// Bytes inside.
    held: usize,
}

impl Ends {
    fn open() -> io::Result<Self> {
        let (out, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Refused when the user's pipes take too much memory already; a small pipe would be slower than copying.
        fcntl_setpipe_size(&into, PIPE_BYTES)?;
        Ok(Self { out, into })
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let _ = LENT.try_with(|lent| lent.set(lent.get().saturating_sub(1)));
        let Some(ends) = self.ends.take().filter(|_| self.held == 0) else { return };
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.push(ends);
            }
        });
    }
}

impl Pipe {
    /// `None`: too many are on loan, or the kernel gives no more; then the caller copies instead.
    pub(crate) fn take() -> Option<Self> {
        let lent = LENT.get();
        if lent >= LENT_MAX {
            return None;
        }
        let ends = FREE.with_borrow_mut(Vec::pop).or_else(|| Ends::open().ok())?;
        LENT.set(lent + 1);
        Some(Self { ends: Some(ends), held: 0 })
    }

    fn ends(&self) -> io::Result<&Ends> {
        self.ends.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Takes up to `limit` bytes from a socket; 0 = the peer has finished sending.
    pub(crate) async fn fill(
        &mut self,
        from: &Transport,
        limit: u64,
        deadline: &Deadline,
    ) -> io::Result<usize> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(PIPE_BYTES);
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let (stream, into) = (from.stream(), &self.ends()?.into);
        let count = poll_fn(|context| {
            loop {
                match stream.poll_read_ready(context) {
                    Poll::Pending => return expire(deadline, context),
                    Poll::Ready(ready) => ready?,
                }
                let moved =
                    stream.try_io(Interest::READABLE, || Ok(splice(stream, None, into, None, limit, flags)?));
                match moved {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return Poll::Ready(done),
                }
            }
        })
        .await?;
        self.held += count;
        Ok(count)
    }

    /// Sends everything inside. `more` says that further bytes follow at once, so that the last packet need not go out half full; the
    /// kernel would hold it back for 200 ms.
    pub(crate) async fn drain(&mut self, to: &Transport, more: bool, deadline: &Deadline) -> io::Result<()> {
        let mut flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        flags.set(SpliceFlags::MORE, more);
        let stream = to.stream();
        while self.held > 0 {
            let (out, held) = (&self.ends()?.out, self.held);
            let count = poll_fn(|context| {
                loop {
                    match stream.poll_write_ready(context) {
                        Poll::Pending => return expire(deadline, context),
                        Poll::Ready(ready) => ready?,
                    }
                    let moved = stream
                        .try_io(Interest::WRITABLE, || Ok(splice(out, None, stream, None, held, flags)?));
                    match moved {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        done => return Poll::Ready(done),
                    }
                }
            })
            .await?;
            self.held -= count;
            deadline.restart();
        }
        Ok(())
    }

    /// Whether the last fill took all that fits: then more is waiting.
    pub(crate) fn is_full(&self) -> bool {
        self.held >= PIPE_BYTES
    }
}
