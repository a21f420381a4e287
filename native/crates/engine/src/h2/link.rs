//! What a connection's task shares with its streams, and the task itself; its end is in `ending`.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use ahash::AHashMap;
use trunkline_http::Answers;
use trunkline_http2::{Connection, ConnectionError, ErrorCode, Event, Fields, Gone};

use super::ending::DRAINING;
use super::front::Front;
use super::lines;
use super::pulse::Pulse;
use super::slot::{Reset, Slot};
use crate::block::Block;
use crate::clock;
use crate::timer::Deadline;
use crate::transport::Transport;
use crate::worker::Worker;

/// Streams wait when so much of their output has not left …
pub(crate) const OUTPUT_HIGH: usize = 128 * 1024;
/// … and go on when it is down to this.
const OUTPUT_LOW: usize = 32 * 1024;
/// Reads before others have their turn.
const READS_PER_TURN: usize = 8;
/// Field lists kept for the next responses.
const KEPT_FIELDS: usize = 16;

pub(crate) struct Link {
    pub(super) worker: Rc<Worker>,
    pub(super) transport: Transport,
    pub(super) codec: RefCell<Connection>,
    slots: RefCell<AHashMap<u32, Rc<Slot>>>,
    /// The beginning of a frame's header.
    incoming: RefCell<Option<Block>>,
    driver: RefCell<Option<Waker>>,
    /// Streams that wait for room in the output.
    blocked: RefCell<Vec<Waker>>,
    #[allow(clippy::vec_box)] // they are handed out, 300 bytes each
    pub(super) spare: RefCell<Vec<Box<Fields>>>,
    pub(super) deadline: Deadline,
    /// Without a stream since then, and since then nothing of what they had said has left; in milliseconds, 0 = there are some.
    pub(super) idle_since_ms: Cell<u64>,
    /// All output is with the kernel.
    pub(super) sent: Cell<bool>,
    /// Memory was given back since the last stream.
    pub(super) rested: Cell<bool>,
    pub(super) served: Cell<bool>,
    /// The client was told of the end then, in milliseconds, and may not have heard of it; 0 = it was not, or it has.
    pub(super) warned_at_ms: Cell<u64>,
    /// The peer's first SETTINGS have come.
    greeted: Cell<bool>,
    pulse: Pulse,
    /// Streams that may still be opened.
    left: Cell<u32>,
    end: Cell<Option<End>>,
    pub(super) is_server: bool,
}

/// Why a connection ended, if not in peace.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Peace,
    /// The peer closed it while there was something to do.
    Closed,
    Lost,
    Broken(ConnectionError),
}

impl End {
    /// What it means for the streams that are open.
    fn as_reset(self) -> Reset {
        match self {
            Self::Peace | Self::Closed => Reset::Closed,
            Self::Lost => Reset::Lost,
            // Of a connection that has just begun: nothing that came was HTTP/2.
            Self::Broken(error) if error.reason == "settings_expected" => Reset::WrongProtocol,
            Self::Broken(_) => Reset::ByPeer,
        }
    }
}

impl Link {
    pub(super) fn new(
        worker: &Rc<Worker>,
        transport: Transport,
        codec: Connection,
        is_server: bool,
    ) -> Rc<Self> {
        Rc::new(Self {
            worker: Rc::clone(worker),
            transport,
            codec: RefCell::new(codec),
            slots: RefCell::default(),
            incoming: RefCell::default(),
            driver: RefCell::default(),
            blocked: RefCell::default(),
            spare: RefCell::default(),
            deadline: Deadline::new(&worker.timer),
            idle_since_ms: Cell::new(clock::now_ms()),
            sent: Cell::new(true),
            rested: Cell::new(true),
            served: Cell::new(false),
            warned_at_ms: Cell::new(0),
            greeted: Cell::new(false),
            pulse: Pulse::default(),
            left: Cell::new(u32::MAX),
            end: Cell::new(None),
            is_server,
        })
    }

    /// A connection to a server, for so many requests (0 = no limit). Its task ends with it.
    pub(crate) fn connect(
        worker: &Rc<Worker>,
        transport: Transport,
        codec: Connection,
        requests: u32,
    ) -> Rc<Self> {
        let link = Self::new(worker, transport, codec, false);
        link.left.set(if requests == 0 { u32::MAX } else { requests });
        let driver = Rc::clone(&link);
        tokio::task::spawn_local(async move { driver.drive(None).await });
        link
    }

    //--- what is known ---

    pub(super) fn is_server(&self) -> bool {
        self.is_server
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.transport.secure().is_some() { "https" } else { "http" }
    }

    /// A request can be sent now, and has a prospect of being read: a server that takes nothing gets no more.
    pub(crate) fn can_open(&self) -> bool {
        if self.left.get() == 0 || self.has_ended() || self.pulse.is_doubtful() {
            return false;
        }
        let codec = self.codec.borrow();
        codec.can_open() && codec.output().len() < OUTPUT_HIGH
    }

    /// Waits for the server's first SETTINGS: before, nobody knows how many requests it takes at a time. What it ended with if it ended.
    pub(crate) async fn greeted(&self) -> Result<(), Reset> {
        poll_fn(|context| match self.end.get() {
            Some(end) => Poll::Ready(Err(end.as_reset())),
            None if self.greeted.get() => Poll::Ready(Ok(())),
            None => {
                self.blocked.borrow_mut().push(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    pub(super) fn takes_websockets(&self) -> bool {
        self.codec.borrow().peer_settings().connect_protocol
    }

    fn has_ended(&self) -> bool {
        self.end.get().is_some()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.has_ended() || (self.is_idle() && self.codec.borrow().is_closing())
    }

    pub(super) fn is_idle(&self) -> bool {
        self.slots.borrow().is_empty()
    }

    /// Milliseconds since the last stream ended; `None` while there are some.
    pub(crate) fn idle_ms(&self, now_ms: u64) -> Option<u64> {
        (self.idle_since_ms.get() != 0).then(|| now_ms.saturating_sub(self.idle_since_ms.get()))
    }

    //--- what streams do ---

    pub(super) fn attach(&self, number: u32, slot: &Rc<Slot>) {
        if self.idle_since_ms.replace(0) != 0 {
            self.rested.set(false);
            // Without a deadline, but where a drain finds it.
            self.deadline.arm(clock::now_ms(), 0);
        }
        self.slots.borrow_mut().insert(number, Rc::clone(slot));
    }

    /// A stream's owner has gone.
    pub(super) fn detach(&self, number: u32, code: ErrorCode) {
        if number == 0 {
            return;
        }
        let slot = self.slots.borrow_mut().remove(&number);
        self.codec.borrow_mut().reset(number, code);
        if let Some(slot) = slot.filter(|slot| !self.is_server && slot.is_open()) {
            self.pulse.given_up(slot.sent_ns.get(), clock::now_ns());
        }
        if self.is_idle() {
            self.idle_since_ms.set(clock::now_ms());
        }
        self.wake_driver();
    }

    pub(super) fn open(&self, block: &[u8], end: bool, answers: Answers, slot: &Rc<Slot>) -> io::Result<u32> {
        let mut codec = self.codec.borrow_mut();
        let opened = if self.has_ended() { None } else { codec.open(block, end, answers) };
        let number = opened.ok_or(io::ErrorKind::NotConnected)?;
        slot.sent_ns.set(clock::now_ns());
        self.attach(number, slot);
        self.left.set(self.left.get().saturating_sub(1));
        if self.left.get() == 0 {
            codec.go_away(ErrorCode::NoError);
        }
        self.wake_driver();
        Ok(number)
    }

    pub(super) fn send_head(&self, number: u32, block: &[u8], end: bool) -> io::Result<()> {
        self.codec.borrow_mut().send_head(number, block, end).map_err(gone)?;
        self.wake_driver();
        Ok(())
    }

    /// What the windows and the output take; 0 = the task that polls is woken when that changes.
    pub(super) fn send_data(
        &self,
        number: u32,
        bytes: &[u8],
        end: bool,
        context: &Context<'_>,
    ) -> io::Result<usize> {
        let mut codec = self.codec.borrow_mut();
        if codec.output().len() >= OUTPUT_HIGH {
            self.blocked.borrow_mut().push(context.waker().clone());
            return Ok(0);
        }
        let count = codec.send_data(number, bytes, end).map_err(gone)?;
        self.wake_driver();
        Ok(count)
    }

    /// Sends all of it and the end, or nothing.
    pub(super) fn send_whole(&self, number: u32, bytes: &[u8]) -> bool {
        let mut codec = self.codec.borrow_mut();
        if codec.output().len() >= OUTPUT_HIGH || codec.capacity(number) < bytes.len() {
            return false;
        }
        let sent = codec.send_data(number, bytes, true) == Ok(bytes.len());
        self.wake_driver();
        sent
    }

    pub(super) fn end(&self, number: u32, trailers: &[u8]) {
        let mut codec = self.codec.borrow_mut();
        // A stream that is gone needs no end.
        let _ = match trailers {
            [] => codec.send_data(number, &[], true).map(|_| ()),
            block => codec.send_head(number, block, true),
        };
        self.wake_driver();
    }

    pub(super) fn reset(&self, number: u32, code: ErrorCode) {
        self.codec.borrow_mut().reset(number, code);
        self.wake_driver();
    }

    /// So many bytes of a stream were taken.
    pub(super) fn release(&self, number: u32, bytes: usize) {
        let mut codec = self.codec.borrow_mut();
        codec.release(number, bytes);
        if !codec.output().is_empty() {
            self.wake_driver();
        }
    }

    pub(super) fn wake_driver(&self) {
        if let Some(waker) = self.driver.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    //--- the task ---

    /// Serves the connection to its end. `front` takes the requests of a client.
    pub(super) async fn drive(self: Rc<Self>, front: Option<&Front>) -> End {
        let end = poll_fn(|context| {
            let mut driver = self.driver.borrow_mut();
            if !driver.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
                *driver = Some(context.waker().clone());
            }
            drop(driver);
            self.poll_drive(context, front)
        })
        .await;
        self.end.set(Some(end));
        self.driver.take();
        let reset = end.as_reset();
        self.slots.borrow().values().for_each(|slot| slot.push_reset(reset));
        self.blocked.take().into_iter().for_each(Waker::wake);
        end
    }

    /// What came before it was known to be HTTP/2.
    pub(super) fn start(self: &Rc<Self>, mut early: Block, front: &Front) -> Result<(), ConnectionError> {
        let fed = self.feed(&mut early, Some(front));
        self.keep_incoming(early);
        fed
    }

    fn poll_drive(self: &Rc<Self>, context: &mut Context<'_>, front: Option<&Front>) -> Poll<End> {
        self.obey_drain();
        for _ in 0..READS_PER_TURN {
            if self.poll_output(context).is_err() {
                return Poll::Ready(End::Lost);
            }
            // A client that does not read its answers is not asked what else it wants. A server is read whatever it takes: if it is a
            // proxy with bulk both ways, as we are, each would wait for the other (RFC 9113 §5.2.2). What it sends is bounded by windows.
            if self.is_server && self.codec.borrow().output().len() >= OUTPUT_HIGH {
                return self.poll_end(context, front);
            }
            match self.poll_input(context, front) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(end)) => {
                    // The peer is told why, if it takes it now.
                    let _ = self.poll_output(context);
                    return Poll::Ready(end);
                }
                Poll::Pending => {
                    if self.poll_output(context).is_err() {
                        return Poll::Ready(End::Lost);
                    }
                    return self.poll_end(context, front);
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Sends what waits.
    pub(super) fn poll_output(&self, context: &mut Context<'_>) -> io::Result<()> {
        let mut codec = self.codec.borrow_mut();
        let before = codec.output().len();
        while !codec.output().is_empty() {
            match self.transport.poll_write(context, &[IoSlice::new(codec.output())]) {
                Poll::Ready(sent) => codec.consume_output(sent?),
                Poll::Pending => break,
            }
        }
        let flushed = self.transport.poll_flush(context)?.is_ready();
        let left = codec.output().len();
        self.note_sent(left == 0 && flushed, left < before);
        if left <= OUTPUT_LOW && !self.blocked.borrow().is_empty() {
            self.blocked.take().into_iter().for_each(Waker::wake);
        }
        Ok(())
    }

    /// Reads once and hands on what it says.
    fn poll_input(
        self: &Rc<Self>,
        context: &mut Context<'_>,
        front: Option<&Front>,
    ) -> Poll<Result<(), End>> {
        let ready = std::task::ready!(self.transport.poll_readable(context));
        let mut block = Block::resume(self.incoming.take());
        let read = match ready {
            Ok(()) => self.transport.poll_read(context, block.spare()),
            Err(error) => Poll::Ready(Err(error)),
        };
        match read {
            Poll::Pending => {
                self.keep_incoming(block);
                Poll::Pending
            }
            Poll::Ready(Ok(count @ 1..)) => {
                block.advance(count);
                let fed = self.feed(&mut block, front);
                self.keep_incoming(block);
                Poll::Ready(fed.map_err(End::Broken))
            }
            Poll::Ready(_) if self.is_idle() => Poll::Ready(Err(End::Peace)),
            Poll::Ready(Ok(_)) => Poll::Ready(Err(End::Closed)),
            Poll::Ready(Err(_)) => Poll::Ready(Err(End::Lost)),
        }
    }

    fn keep_incoming(&self, block: Block) {
        self.incoming.replace(block.into_rest());
    }

    fn feed(self: &Rc<Self>, block: &mut Block, front: Option<&Front>) -> Result<(), ConnectionError> {
        let now_ns = clock::now_ns();
        self.pulse.heard(now_ns);
        loop {
            let mut codec = self.codec.borrow_mut();
            let (used, event) = codec.receive(block.filled(), now_ns)?;
            let silent = event.is_none();
            if let Some(event) = event {
                self.hand_on(&mut codec, event, front, now_ns);
            }
            drop(codec);
            block.consume(used);
            if used == 0 && silent {
                return Ok(());
            }
        }
    }

    fn hand_on(
        self: &Rc<Self>,
        codec: &mut Connection,
        event: Event<'_>,
        front: Option<&Front>,
        now_ns: u64,
    ) {
        match event {
            Event::Head { stream, end } => match front {
                Some(front) => {
                    self.served.set(true);
                    front.accept(self, codec.fields(), stream, end, now_ns);
                }
                None => self.response(codec, stream, end),
            },
            Event::HeadTooLarge { stream, end } => {
                if let Some(front) = front {
                    front.refuse_large(self, stream, end, now_ns);
                }
            }
            Event::Informational { stream } => self.response(codec, stream, false),
            Event::Data { stream, bytes, end } => match self.slot(stream) {
                Some(slot) => slot.push_data(bytes, end),
                None => codec.release(stream, bytes.len()),
            },
            Event::Trailers { stream } => {
                if let Some(slot) = self.slot(stream) {
                    slot.push_trailers(lines::of_trailers(codec.fields()));
                }
            }
            Event::Reset { stream, code, by_peer, reason } => {
                let refused = by_peer && code == ErrorCode::RefusedStream;
                if let Some(slot) = self.slot(stream) {
                    slot.push_reset(if refused { Reset::Unprocessed } else { Reset::ByPeer });
                }
                if let Some(front) = front.filter(|_| !by_peer) {
                    front.note(reason);
                }
            }
            Event::Window { stream: Some(stream) } => {
                if let Some(slot) = self.slot(stream) {
                    slot.wake();
                }
            }
            Event::Window { stream: None } | Event::Settings => {
                if event == Event::Settings && !self.greeted.replace(true) {
                    self.blocked.take().into_iter().for_each(Waker::wake);
                }
                self.slots.borrow().values().for_each(|slot| slot.wake());
            }
            Event::GoAway { last_stream, .. } if !self.is_server => self.gone_above(last_stream),
            Event::Pong { payload } if payload == DRAINING && self.warned_at_ms.replace(0) != 0 => {
                codec.go_away(ErrorCode::NoError);
            }
            Event::GoAway { .. } | Event::Pong { .. } => {}
        }
    }

    fn slot(&self, number: u32) -> Option<Rc<Slot>> {
        self.slots.borrow().get(&number).cloned()
    }

    /// A head of a server.
    fn response(&self, codec: &mut Connection, number: u32, end: bool) {
        let Some(slot) = self.slot(number) else { return };
        let spare = self.spare.borrow_mut().pop();
        let mut fields = spare.unwrap_or_else(|| Box::new(Fields::new(&super::upstream_limits())));
        codec.swap_fields(&mut fields);
        if !slot.push_head(fields, end) {
            codec.reset(number, ErrorCode::EnhanceYourCalm);
            slot.push_reset(Reset::ByPeer);
        }
    }

    /// A field list that was read is used again.
    pub(crate) fn give_back(&self, fields: Box<Fields>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < KEPT_FIELDS {
            spare.push(fields);
        }
    }

    /// The server has not looked at these (RFC 9113 §6.8).
    fn gone_above(&self, last_stream: u32) {
        let slots = self.slots.borrow();
        let gone = slots.iter().filter(|(number, _)| **number > last_stream);
        gone.for_each(|(_, slot)| slot.push_reset(Reset::Unprocessed));
    }
}

fn gone(_: Gone) -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}
