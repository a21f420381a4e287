//! Large bodies move from socket to socket inside the kernel: `splice(2)` into a pipe and out of it hands pages on instead of copying
//! them through our memory. Pipes are kept per worker; one that still holds bytes after a failure is thrown away with them.

use std::cell::RefCell;
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
/// Free pipes kept per worker; each is two file descriptors.
const KEPT: usize = 16;

thread_local! {
    static FREE: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

pub(crate) struct Pipe {
    out: OwnedFd,
    into: OwnedFd,
    /// Bytes inside.
    held: usize,
}

impl Pipe {
    /// A pipe on loan; an error means that we are out of descriptors, and the caller copies instead.
    pub(crate) fn take() -> io::Result<Self> {
        if let Some(pipe) = FREE.with_borrow_mut(Vec::pop) {
            return Ok(pipe);
        }
        let (out, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Refused when the user's pipes take too much memory already; then the pipe stays small.
        let _ = fcntl_setpipe_size(&into, PIPE_BYTES);
        Ok(Self { out, into, held: 0 })
    }

    pub(crate) fn give_back(self) {
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if self.held == 0 && free.len() < KEPT {
                free.push(self);
            }
        });
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
        let stream = from.stream();
        let count = poll_fn(|context| {
            loop {
                if stream.poll_read_ready(context).is_pending() {
                    return expire(deadline, context);
                }
                match stream
                    .try_io(Interest::READABLE, || Ok(splice(stream, None, &self.into, None, limit, flags)?))
                {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return Poll::Ready(done),
                }
            }
        })
        .await?;
        self.held += count;
        Ok(count)
    }

    /// Sends everything inside. `more` says that further bytes follow, so that the last packet need not go out half full.
    pub(crate) async fn drain(&mut self, to: &Transport, more: bool, deadline: &Deadline) -> io::Result<()> {
        let mut flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        flags.set(SpliceFlags::MORE, more);
        let stream = to.stream();
        while self.held > 0 {
            let count = poll_fn(|context| {
                loop {
                    if stream.poll_write_ready(context).is_pending() {
                        return expire(deadline, context);
                    }
                    match stream.try_io(Interest::WRITABLE, || {
                        Ok(splice(&self.out, None, stream, None, self.held, flags)?)
                    }) {
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
}
