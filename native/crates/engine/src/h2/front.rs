//! The client edge of HTTP/2: each request of a connection is decided when its head is here, and served in a task of its own.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use trunkline_http::{HeaderBuffer, Reason, Reject};
use trunkline_http2::{Connection, Fields, Limits, Settings};

use super::link::{End, Link};
use super::stream::Stream;
use crate::block::Block;
use crate::client::Client;
use crate::clock;
use crate::exchange::{Admission, Desk, unreadable};
use crate::facts::Facts;
use crate::failure::{Failure, Side};
use crate::filter_state::FilterState;
use crate::forwarding::Peer;
use crate::snapshot::Listener;
use crate::transport::Transport;
use crate::wire::Wire;
use crate::worker::Worker;

pub(crate) struct Front {
    worker: Rc<Worker>,
    listener: RefCell<Arc<Listener>>,
    peer: Rc<Peer>,
}

impl Front {
    /// Serves a connection to its end; `early` is what has been read of it.
    pub(crate) async fn serve(
        worker: Rc<Worker>,
        listener: Arc<Listener>,
        transport: Transport,
        peer: Rc<Peer>,
        early: Option<Block>,
    ) {
        let codec = Connection::server(settings(&listener), limits(&listener));
        let front = Self { worker, listener: RefCell::new(listener), peer };
        let link = Link::new(&front.worker, transport, codec, true);
        if let Some(Err(error)) = early.map(|early| link.start(early, &front)) {
            front.note(error.reason);
            // What is left is to say so.
            Rc::clone(&link).drive(None).await;
            return link.linger(front.unsent_patience_ms()).await;
        }
        match Rc::clone(&link).drive(Some(&front)).await {
            End::Broken(error) => {
                front.note(error.reason);
                link.linger(front.unsent_patience_ms()).await;
            }
            End::Peace => link.linger(front.unsent_patience_ms()).await,
            End::Closed | End::Lost => {}
        }
    }

    /// How long a connection without requests is kept.
    pub(super) fn patience_ms(&self, served: bool) -> u64 {
        let timeouts = self.listener.borrow().timeouts;
        if served { timeouts.keep_alive_ms } else { timeouts.request_head_ms }
    }

    /// How long what was answered may wait to be taken.
    pub(super) fn unsent_patience_ms(&self) -> u64 {
        self.listener.borrow().timeouts.body_idle_ms
    }

    /// A request's head is here.
    pub(super) fn accept(&self, link: &Rc<Link>, fields: &Fields, number: u32, end: bool, now_ns: u64) {
        let listener = self.listener();
        let mut filters = FilterState::take();
        let worker = self.worker.index;
        let desk = Desk { listener: &listener, peer: &self.peer, worker, started_ns: now_ns, now_ns };
        let mut storage = HeaderBuffer::new();
        let admission = match fields.request(&mut storage) {
            Ok(head) => desk.admit_stream(head, fields.protocol(), &mut filters),
            Err(reject) => unreadable(Failure::client(reject), Facts::unread(now_ns)),
        };
        self.spawn(link, number, end, listener, admission, filters);
    }

    /// A field list over the limit.
    pub(super) fn refuse_large(&self, link: &Rc<Link>, number: u32, end: bool, now_ns: u64) {
        let failure = Failure::client(Reject::request(Reason::HeadTooLarge));
        let admission = unreadable(failure, Facts::unread(now_ns));
        self.spawn(link, number, end, self.listener(), admission, FilterState::take());
    }

    fn spawn(
        &self,
        link: &Rc<Link>,
        number: u32,
        end: bool,
        listener: Arc<Listener>,
        admission: Admission,
        mut filters: FilterState,
    ) {
        let wire = Wire::Http2(Stream::accepted(link, number, end));
        let client = Client::new(Rc::clone(&self.worker), listener, wire, Rc::clone(&self.peer));
        tokio::task::spawn_local(async move { client.serve_stream(admission, &mut filters).await });
    }

    /// The listener as it is now; one that is gone serves its connections to their end.
    fn listener(&self) -> Arc<Listener> {
        let mut listener = self.listener.borrow_mut();
        if self.worker.generation() != listener.generation {
            self.worker.refresh();
            if let Some(current) = self.worker.listener(&listener.name) {
                *listener = current;
            }
        }
        Arc::clone(&listener)
    }

    /// Counts what a client did wrong to its connection or a stream.
    pub(super) fn note(&self, reason: &'static str) {
        let listener = self.listener.borrow();
        listener.cells.get(self.worker.index).refusals.count(reason);
        let failure = Failure { status: 0, reason, side: Side::Client };
        self.worker.shared.recent.add(clock::unix_ns(), failure, &listener.name, "", "");
    }
}

fn settings(listener: &Listener) -> Settings {
    Settings {
        max_concurrent_streams: listener.http2.max_concurrent_streams,
        stream_window_bytes: listener.http2.stream_window_bytes,
        connection_window_bytes: listener.http2.connection_window_bytes,
        connect_protocol: listener.http2.extended_connect,
        ..Settings::default()
    }
}

fn limits(listener: &Listener) -> Limits {
    let limits = &listener.limits;
    // A field counts 32 bytes more than its text (RFC 9113 §6.5.2).
    let list_bytes = limits.head_bytes + 32 * limits.headers;
    Limits {
        header_list_bytes: u32::try_from(list_bytes).unwrap_or(u32::MAX),
        headers: limits.headers,
        target_bytes: limits.target_bytes,
        streams_total: if limits.requests_per_connection == 0 {
            u32::MAX
        } else {
            limits.requests_per_connection
        },
        ..Limits::default()
    }
}
