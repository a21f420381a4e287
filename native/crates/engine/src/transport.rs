//! A connection's bytes, plain or in TLS: non-blocking reads and writes. Nothing above this file knows which of both it is, but for
//! `splice`, which needs the bare socket.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::secure::{Secure, clear_readiness};
use crate::timer::Deadline;

pub(crate) struct Transport {
    stream: TcpStream,
    secure: Option<Box<Secure>>,
}

impl Transport {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        // A proxy writes whole messages; waiting for more to fill a packet (Nagle) only adds delay.
        stream.set_nodelay(true)?;
        Ok(Self { stream, secure: None })
    }

    /// What follows is in TLS.
    pub(crate) fn with_tls(mut self, session: trunkline_tls::Session) -> Self {
        self.secure = Some(Box::new(Secure::new(session)));
        self
    }

    pub(crate) fn secure(&self) -> Option<&Secure> {
        self.secure.as_deref()
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Ready when the handshake is complete; at once without TLS.
    pub(crate) fn poll_handshake(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), crate::secure::Broken>> {
        self.secure().map_or(Poll::Ready(Ok(())), |secure| secure.poll_handshake(&self.stream, context))
    }

    /// One read. A short read means that the socket is empty: readiness is cleared at once, which saves the `EAGAIN` read that would
    /// follow. New bytes or a FIN after it make a new edge.
    pub(crate) fn poll_read(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Some(secure) = self.secure() {
            return secure.poll_read(&self.stream, context, buffer);
        }
        loop {
            std::task::ready!(self.stream.poll_read_ready(context))?;
            match self.stream.try_read(buffer) {
                Ok(count) => {
                    if count > 0 && count < buffer.len() {
                        clear_readiness(&self.stream, Interest::READABLE);
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    pub(crate) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.secure().is_some_and(Secure::holds_plain) {
            return Poll::Ready(Ok(()));
        }
        self.stream.poll_read_ready(context)
    }

    /// One write of as much as fits.
    pub(crate) fn poll_write(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(secure) = self.secure() {
            return secure.poll_write(&self.stream, context, slices);
        }
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

    /// Ready when everything written is with the kernel.
    pub(crate) fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.secure().map_or(Poll::Ready(Ok(())), |secure| secure.poll_flush(&self.stream, context))
    }

    /// True if an idle connection can still be used: nothing to read means open and quiet. The event loop has noted a FIN, a reset or
    /// stray bytes; the kernel is only asked when there is a note, which may be old: a read that exactly filled its buffer leaves one.
    pub(crate) fn is_quiet(&self) -> bool {
        self.secure().is_none_or(Secure::is_empty)
            && matches!(self.peek(), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Ready once the peer has reset the connection. Bytes or a half-close that came before hide it: both are legal while an answer
    /// is awaited.
    pub(crate) fn poll_reset(&self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.stream.poll_read_ready(context).is_pending() {
                return Poll::Pending;
            }
            match self.peek() {
                // The note was old; with it gone, the next poll waits for news.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(()),
                Ok(_) => return Poll::Pending,
            }
        }
    }

    /// Not through the event loop's poll functions: those say "not ready" to a task that has had its share of the worker.
    fn peek(&self) -> io::Result<usize> {
        let socket = socket2::SockRef::from(&self.stream);
        self.stream.try_io(Interest::READABLE, || socket.peek(&mut [MaybeUninit::uninit()]))
    }

    /// Writes what fits without waiting.
    pub(crate) fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        if self.secure.is_some() {
            return Ok(0);
        }
        match self.stream.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            done => done,
        }
    }

    /// Says that we will send no more.
    pub(crate) fn finish(&self) {
        if let Some(secure) = self.secure() {
            secure.close(&self.stream);
        }
        let _ = socket2::SockRef::from(&self.stream).shutdown(Shutdown::Write);
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        if let Some(secure) = self.secure() {
            secure.close(&self.stream);
        }
    }
}

/// At most so many bytes wait in the kernel without having been sent; 128 KB is the advice of the option's author.
const UNSENT_BYTES: libc::c_int = 128 * 1024;

/// Limits what the kernel takes of us before the peer makes room (`TCP_NOTSENT_LOWAT`); connections inherit it from their listener. By
/// default a socket takes 4 MB and is writable again when a third of it has gone: ten thousand slow readers would hold 40 GB, and one
/// that reads 20 KB/s would look dead for a minute.
pub(crate) fn limit_unsent(socket: &impl AsRawFd) -> io::Result<()> {
    let value = UNSENT_BYTES;
    // SAFETY: the descriptor is open while `socket` is borrowed; pointer and length are those of a live c_int.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_NOTSENT_LOWAT,
            std::ptr::from_ref(&value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// We have no descriptor or memory left for another socket; the peer has nothing to do with it.
pub(crate) fn is_starved(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// What a wait that is not over becomes: pending, or timed out.
pub(crate) fn expire<T>(deadline: &Deadline, context: &Context<'_>) -> Poll<io::Result<T>> {
    deadline.poll_expired(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
}
