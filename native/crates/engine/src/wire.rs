//! What one message goes over: an HTTP/1.1 connection, or one stream of an HTTP/2 connection. Both edges use the same type, so that a
//! request is sent and answered by the same code whatever carries it. Reading gives body bytes and 0 at the end; every wait has a
//! deadline.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use crate::block::Block;
use crate::h2::Stream;
use crate::timer::Deadline;
use crate::transport::{Transport, expire};

pub(crate) enum Wire {
    Http1(Transport),
    Http2(Stream),
}

/// A message on its way out: its head as lines, and what of its body goes with it.
#[derive(Clone, Copy)]
pub(crate) struct Message<'m> {
    /// Head and body in one piece; the first `head_bytes` are the head.
    pub(crate) text: &'m [u8],
    pub(crate) head_bytes: usize,
    /// The body is complete.
    pub(crate) end: bool,
}

impl Wire {
    /// The socket, where bytes may pass by us.
    pub(crate) fn plain(&self) -> Option<&Transport> {
        match self {
            Self::Http1(transport) if transport.secure().is_none() => Some(transport),
            _ => None,
        }
    }

    pub(crate) fn stream(&self) -> Option<&Stream> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(stream) => Some(stream),
        }
    }

    pub(crate) fn poll_read(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Http1(transport) => transport.poll_read(context, buffer),
            Self::Http2(stream) => stream.poll_read(context, buffer),
        }
    }

    pub(crate) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Http1(transport) => transport.poll_readable(context),
            Self::Http2(stream) => stream.poll_readable(context),
        }
    }

    /// Waits until there is something to read, and only then borrows a block for it; 10 000 quiet connections hold none. The end of
    /// the stream is an error.
    pub(crate) fn poll_block(&self, context: &mut Context<'_>) -> Poll<io::Result<Block>> {
        std::task::ready!(self.poll_readable(context))?;
        let mut block = Block::ordinary();
        let count = std::task::ready!(self.poll_read(context, block.spare()))?;
        block.advance(count);
        Poll::Ready(if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(block) })
    }

    pub(crate) fn poll_write(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Http1(transport) => transport.poll_write(context, slices),
            Self::Http2(stream) => stream.poll_write(context, slices),
        }
    }

    fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Http1(transport) => transport.poll_flush(context),
            Self::Http2(_) => Poll::Ready(Ok(())),
        }
    }

    /// See [`Transport::poll_reset`].
    pub(crate) fn poll_reset(&self, context: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Http1(transport) => transport.poll_reset(context),
            Self::Http2(stream) => stream.poll_reset(context),
        }
    }

    /// See [`Transport::is_quiet`].
    pub(crate) fn is_quiet(&self) -> bool {
        match self {
            Self::Http1(transport) => transport.is_quiet(),
            Self::Http2(_) => true,
        }
    }

    /// Says that we will send no more.
    pub(crate) fn finish(&self) {
        match self {
            Self::Http1(transport) => transport.finish(),
            Self::Http2(stream) => stream.end(&[]),
        }
    }

    /// Writes what fits without waiting.
    pub(crate) fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Http1(transport) => transport.write_now(bytes),
            Self::Http2(_) => Ok(0),
        }
    }

    /// Sends a message, or the beginning of one.
    pub(crate) async fn send(&self, message: Message<'_>, deadline: &Deadline) -> io::Result<()> {
        match self {
            Self::Http1(_) => self.write_all(message.text, deadline).await,
            Self::Http2(stream) => {
                let (head, body) = message.text.split_at(message.head_bytes.min(message.text.len()));
                stream.send_head(head, message.end && body.is_empty())?;
                self.send_body(body, message.end, deadline).await
            }
        }
    }

    /// The last or only part of a body on a stream.
    pub(crate) async fn send_body(&self, body: &[u8], end: bool, deadline: &Deadline) -> io::Result<()> {
        if body.is_empty() {
            return Ok(());
        }
        match self {
            Self::Http2(stream) if end && stream.send_last(body) => Ok(()),
            _ => {
                self.write_all(body, deadline).await?;
                if end {
                    self.end(&[]);
                }
                Ok(())
            }
        }
    }

    /// A stream's message is complete; `trailers` are lines.
    pub(crate) fn end(&self, trailers: &[u8]) {
        if let Self::Http2(stream) = self {
            stream.end(trailers);
        }
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

    /// Writes everything; the deadline is for each step.
    pub(crate) async fn write_all(&self, mut bytes: &[u8], deadline: &Deadline) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = self.write(&[IoSlice::new(bytes)], deadline).await?;
            bytes = bytes.get(count..).unwrap_or_default();
            if !bytes.is_empty() {
                deadline.restart();
            }
        }
        if self.plain().is_some() { Ok(()) } else { self.flush(deadline).await }
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
            if !slices.is_empty() {
                deadline.restart();
            }
        }
        self.flush(deadline).await
    }

    async fn write(&self, slices: &[IoSlice<'_>], deadline: &Deadline) -> io::Result<usize> {
        let written = poll_fn(|context| match self.poll_write(context, slices) {
            Poll::Pending => expire(deadline, context),
            done @ Poll::Ready(_) => done,
        })
        .await?;
        if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) }
    }

    async fn flush(&self, deadline: &Deadline) -> io::Result<()> {
        poll_fn(|context| match self.poll_flush(context) {
            Poll::Pending => expire(deadline, context),
            done @ Poll::Ready(_) => done,
        })
        .await
    }
}
