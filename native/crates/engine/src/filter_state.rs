//! What the filters remember of one request, on loan from the worker: about 700 bytes that an idle connection need not carry.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use trunkline_filter::Exchange;

const KEPT: usize = 256;

thread_local! {
    // Boxed: they are handed out, and a vector of 700-byte values would copy them in and out.
    #[allow(clippy::vec_box)]
    static FREE: RefCell<Vec<Box<Exchange>>> = const { RefCell::new(Vec::new()) };
}

pub(crate) struct FilterState(Option<Box<Exchange>>);

impl FilterState {
    pub(crate) fn take() -> Self {
        Self(Some(FREE.with_borrow_mut(Vec::pop).unwrap_or_default()))
    }
}

impl Deref for FilterState {
    type Target = Exchange;
    fn deref(&self) -> &Exchange {
        self.0.as_ref().unwrap_or_else(|| unreachable!("emptied only by drop"))
    }
}

impl DerefMut for FilterState {
    fn deref_mut(&mut self) -> &mut Exchange {
        self.0.as_mut().unwrap_or_else(|| unreachable!("emptied only by drop"))
    }
}

impl Drop for FilterState {
    fn drop(&mut self) {
        let Some(mut state) = self.0.take() else { return };
        state.clear();
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.push(state);
            }
        });
    }
}
