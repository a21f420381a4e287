//! What the resolver of certificates heard, for the session that it was called by: rustls calls it from within
//! `process_tls_records`, on the same thread, and its unbuffered connection tells the name of the server to nobody else.

use std::cell::{Cell, RefCell};

thread_local! {
    static NAME: RefCell<Option<Box<str>>> = const { RefCell::new(None) };
    static REFUSED: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn leave_name(name: &str) {
    NAME.set(Some(name.into()));
}

pub(crate) fn leave_refusal() {
    REFUSED.set(true);
}

/// Whoever takes it leaves nothing for the next session on this thread.
pub(crate) fn take_name() -> Option<Box<str>> {
    NAME.take()
}

pub(crate) fn take_refusal() -> bool {
    REFUSED.take()
}
