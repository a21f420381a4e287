//! One stream as the message on it sees it.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll};

use trunkline_http::Answers;
use trunkline_http2::{ErrorCode, Fields};

use super::lines;
use super::link::Link;
use super::slot::{Reset, Slot};
use crate::block::{Block, Text};
use crate::body::{Sink, Source};

pub(crate) struct Stream {
    link: Rc<Link>,
    /// 0 until the request is sent.
    number: Cell<u32>,
    slot: Rc<Slot>,
    /// Our side has sent everything.
    ended: Cell<bool>,
    answers: Answers,
}

impl Stream {
    /// One that the client has opened.
    pub(super) fn accepted(link: &Rc<Link>, number: u32, ended: bool) -> Self {
        let stream = Self::opening(link, Answers::Other);
        stream.number.set(number);
        stream.slot.ended.set(ended);
        link.attach(number, &stream.slot);
        stream
    }

    /// One for a request to a server; it is opened when its head is sent.
    pub(crate) fn opening(link: &Rc<Link>, answers: Answers) -> Self {
        Self {
            link: Rc::clone(link),
            number: Cell::new(0),
            slot: Rc::default(),
            ended: Cell::new(false),
            answers,
        }
    }

    /// The server has announced RFC 8441.
    pub(crate) fn takes_websockets(&self) -> bool {
        self.link.takes_websockets()
    }

    /// How the peer, or the end of the connection, has ended the stream.
    pub(crate) fn reset(&self) -> Option<Reset> {
        self.slot.reset.get()
    }

    /// The body's bytes so far are all of it and at most `bytes` long.
    fn fits(&self, bytes: usize) -> bool {
        let received = self.slot.received.borrow();
        self.slot.ended.get() && received.trailers.is_none() && received.data().len() <= bytes
    }

    /// A field list that was read is used again.
    pub(crate) fn give_back(&self, fields: Box<Fields>) {
        self.link.give_back(fields);
    }

    /// What is here of a response's body. If it is all, its length is known now, and nothing has to wait for its end.
    pub(crate) fn take_block(&self, body: &mut Source, sink: Sink) -> Block {
        if !matches!(body, Source::Stream) {
            return Block::none();
        }
        let mut block = Block::ordinary();
        let whole = self.fits(block.spare().len()) && !matches!(sink, Sink::Chunked { .. });
        let count = self.slot.received.borrow_mut().take(block.spare());
        block.advance(count);
        self.link.release(self.number.get(), count);
        if whole {
            *body = Source::Length(count as u64);
        }
        block
    }

    /// Takes a body that is here to its end and at most `room` bytes long.
    pub(crate) fn take_whole(&self, room: usize, take: impl FnOnce(&[u8])) {
        if !self.fits(room) {
            return;
        }
        let mut received = self.slot.received.borrow_mut();
        let count = received.data().len();
        take(received.data());
        received.forget();
        drop(received);
        self.link.release(self.number.get(), count);
    }

    pub(crate) fn trailers(&self) -> Option<Vec<u8>> {
        self.slot.received.borrow_mut().trailers.take()
    }

    //--- receiving ---

    /// The next head of a response.
    pub(crate) fn poll_head(&self, context: &mut Context<'_>) -> Poll<io::Result<Box<Fields>>> {
        if let Some(fields) = self.slot.received.borrow_mut().heads.pop_front() {
            return Poll::Ready(Ok(fields));
        }
        self.wait(context)
    }

    /// Ready once a head of a response can be taken.
    pub(crate) fn poll_answered(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.slot.received.borrow().heads.is_empty() { self.wait(context) } else { Poll::Ready(Ok(())) }
    }

    /// The status of the next head of a response; 0 = there is none yet.
    pub(crate) fn status(&self) -> u16 {
        let received = self.slot.received.borrow();
        received.heads.front().and_then(|fields| fields.status()).unwrap_or_default()
    }

    pub(crate) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.slot.ended.get() || !self.slot.received.borrow().data().is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.wait(context)
    }

    pub(crate) fn poll_read(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let count = self.slot.received.borrow_mut().take(buffer);
        if count > 0 {
            self.link.release(self.number.get(), count);
            return Poll::Ready(Ok(count));
        }
        if self.slot.ended.get() {
            return Poll::Ready(Ok(0));
        }
        self.wait(context)
    }

    /// Ready once the stream was reset, or its connection has ended.
    pub(crate) fn poll_reset(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.reset().is_some() {
            return Poll::Ready(());
        }
        self.slot.register(context);
        Poll::Pending
    }

    fn wait<T>(&self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        self.poll_reset(context).map(|()| Err(io::ErrorKind::ConnectionReset.into()))
    }

    //--- sending ---

    /// A head as lines: a request, or a response, 1xx included.
    pub(crate) fn send_head(&self, head: &[u8], end: bool) -> io::Result<()> {
        let mut block = Text::take();
        self.ended.set(end);
        if self.number.get() != 0 {
            lines::response(head, &mut block);
            return self.link.send_head(self.number.get(), &block, end);
        }
        lines::request(head, self.link.scheme(), &mut block);
        self.number.set(self.link.open(&block, end, self.answers, &self.slot)?);
        Ok(())
    }

    pub(crate) fn poll_write(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.reset().is_some() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        self.slot.register(context);
        let bytes = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| &slice[..]);
        match self.link.send_data(self.number.get(), bytes, false, context) {
            Ok(0) if !bytes.is_empty() => Poll::Pending,
            sent => Poll::Ready(sent),
        }
    }

    /// Sends the end of a body in one piece; false if the windows do not take it now.
    pub(crate) fn send_last(&self, bytes: &[u8]) -> bool {
        let sent = self.link.send_whole(self.number.get(), bytes);
        self.ended.set(self.ended.get() || sent);
        sent
    }

    /// The message is complete; `trailers` are lines.
    pub(crate) fn end(&self, trailers: &[u8]) {
        if self.ended.replace(true) {
            return;
        }
        let mut block = Text::take();
        lines::trailers(trailers, &mut block);
        self.link.end(self.number.get(), &block);
    }

    /// The answer broke off: the peer must not take it for whole.
    pub(crate) fn abort(&self) {
        self.link.reset(self.number.get(), ErrorCode::InternalError);
    }
}

impl Drop for Stream {
    /// What was not finished is ended: a server needs nothing more of a request that it has answered (RFC 9113 §8.1), a client wants nothing
    /// more of a response.
    fn drop(&mut self) {
        let code = match (self.link.is_server(), self.ended.get()) {
            (true, true) => ErrorCode::NoError,
            (true, false) => ErrorCode::InternalError,
            (false, _) => ErrorCode::Cancel,
        };
        self.link.detach(self.number.get(), code);
    }
}
