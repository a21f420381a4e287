//! A connection's bytes: non-blocking reads and writes that wait with a deadline. TLS will be a second kind of transport here; nothing above
//! this file knows what carries the bytes.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::task::{Context, Poll, Waker};

use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::timer::Deadline;

#[derive(Debug)]
pub(crate) struct Transport {
    stream: TcpStream,
}

impl Transport {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        // A proxy writes whole messages; waiting for more to fill a packet (Nagle) only adds delay.
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// For operations of the kernel between two descriptors.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// One read. A short read means that the socket is empty: readiness is cleared at once, which saves the `EAGAIN` read that would
    /// follow. New bytes or a FIN after it make a new edge.
    pub(crate) fn poll_read(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            std::task::ready!(self.stream.poll_read_ready(context))?;
            match self.stream.try_read(buffer) {
                Ok(count) => {
                    if count > 0 && count < buffer.len() {
                        self.clear(Interest::READABLE);
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    pub(crate) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_read_ready(context)
    }

    /// One write of as much as fits.
    pub(crate) fn poll_write(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            std::task::ready!(self.stream.poll_write_ready(context))?;
            let written = match slices {
                [only] => self.stream.try_write(only),
                _ => self.stream.try_write_vectored(slices),
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn clear(&self, interest: Interest) {
        // try_io clears the readiness when the operation says that it would block; no system call is made.
        let _ = self.stream.try_io(interest, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
    }

    /// True if an idle connection can still be used: nothing to read means open and quiet. Costs no system call, because
    /// the event loop has already noted a FIN, a reset or stray bytes.
    pub(crate) fn is_quiet(&self) -> bool {
        self.stream.poll_read_ready(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// Reads some bytes; 0 = the peer has finished sending.
    pub(crate) async fn read(&self, buffer: &mut [u8], deadline: &Deadline) -> io::Result<usize> {
        poll_fn(|context| match self.poll_read(context, buffer) {
            Poll::Pending => expire(deadline, context),
            done @ Poll::Ready(_) => done,
        })
        .await
    }

    /// Waits until a read would not block.
    pub(crate) async fn readable(&self, deadline: &Deadline) -> io::Result<()> {
        poll_fn(|context| match self.poll_readable(context) {
            Poll::Pending => expire(deadline, context),
            done @ Poll::Ready(_) => done,
        })
        .await
    }

    /// Writes everything.
    pub(crate) async fn write_all(&self, mut bytes: &[u8], deadline: &Deadline) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = self.write(&[IoSlice::new(bytes)], deadline).await?;
            bytes = bytes.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Writes all the slices.
    pub(crate) async fn write_all_vectored(
        &self,
        mut slices: &mut [IoSlice<'_>],
        deadline: &Deadline,
    ) -> io::Result<()> {
        while !slices.is_empty() {
            let count = self.write(slices, deadline).await?;
            IoSlice::advance_slices(&mut slices, count);
        }
        Ok(())
    }

    async fn write(&self, slices: &[IoSlice<'_>], deadline: &Deadline) -> io::Result<usize> {
        let written = poll_fn(|context| match self.poll_write(context, slices) {
            Poll::Pending => expire(deadline, context),
            done @ Poll::Ready(_) => done,
        })
        .await?;
        if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) }
    }

    /// Says that we will send no more.
    pub(crate) fn finish(&self) {
        let _ = socket2::SockRef::from(&self.stream).shutdown(Shutdown::Write);
    }
}

/// What a wait that is not over becomes: pending, or timed out.
pub(crate) fn expire<T>(deadline: &Deadline, context: &Context<'_>) -> Poll<io::Result<T>> {
    deadline.poll_expired(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
}
