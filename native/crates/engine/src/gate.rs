//! How many client connections a listener has open, over all workers and configurations.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Lives as long as the listener's name; the limit is an argument, because a new configuration may change it.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    open: AtomicUsize,
    freed: Notify,
}

/// A connection inside.
#[derive(Debug)]
pub(crate) struct Pass(Arc<Gate>);

impl Gate {
    /// `None` if `limit` connections are inside.
    pub(crate) fn enter(self: &Arc<Self>, limit: usize) -> Option<Pass> {
        if self.open.fetch_add(1, Ordering::Relaxed) < limit {
            return Some(Pass(Arc::clone(self)));
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
        None
    }

    /// Waits until someone leaves or [`Self::announce`] is called.
    pub(crate) fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// Everyone who waits looks at the limit again.
    pub(crate) fn announce(&self) {
        self.freed.notify_waiters();
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_as_many_as_the_limit_of_the_moment() {
        let gate = Arc::new(Gate::default());
        let first = gate.enter(1);
        assert!(first.is_some());
        assert!(gate.enter(1).is_none());
        assert!(gate.enter(2).is_some(), "a refused one took no place");
        drop(first);
        assert!(gate.enter(1).is_some());
    }
}
