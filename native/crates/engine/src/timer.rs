//! Coarse deadlines. A `tokio::time::timeout` per wait costs about 100 ns and a lock; a proxy waits three times per request and nearly
//! always in vain. Here moving a deadline is one store: the queue holds an entry that may be too early, and when it comes up
//! the deadline is looked at again. Only a deadline that moves closer than its entry is queued anew.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use crate::clock;

const EXPIRED: u64 = 0;
/// "No time-out": so far away that it never comes.
const NEVER_MS: u64 = u64::MAX >> 1;
/// Every deadline is queued, so that a drain finds its connection, but none for longer: the entry of a connection that has gone
/// stays until it comes up.
const LONGEST_MS: u64 = 60_000;
/// Free slots kept per worker.
const KEPT: usize = 1_024;

#[derive(Debug)]
struct Slot {
    deadline_ms: Cell<u64>,
    queued_ms: Cell<u64>,
    waker: RefCell<Option<Waker>>,
}

/// An entry of the queue; ordered by time alone.
struct Entry {
    at_ms: u64,
    slot: Rc<Slot>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at_ms == other.at_ms
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at_ms.cmp(&other.at_ms)
    }
}

/// The deadlines of one worker.
#[derive(Default)]
pub(crate) struct Timer {
    queue: RefCell<BinaryHeap<Reverse<Entry>>>,
    /// Slots whose deadlines have gone: their entries are still queued, so that who gets one next need not queue another. An HTTP/2
    /// connection makes a deadline for each request.
    free: RefCell<Vec<Rc<Slot>>>,
    /// When the driver will look again; it is woken if something earlier is queued.
    next_ms: Cell<u64>,
    earlier: Notify,
    /// Every deadline has passed, and none is moved any more: a transfer that goes on would outlive its notice.
    cut: Cell<bool>,
}

impl Timer {
    /// Fires deadlines as they come; runs as a task of the worker.
    pub(crate) async fn drive(self: Rc<Self>) {
        loop {
            let next_ms = self.fire(clock::now_ms());
            self.next_ms.set(next_ms);
            let pause =
                std::time::Duration::from_millis(next_ms.saturating_sub(clock::now_ms()).clamp(1, 3_600_000));
            let _ = tokio::time::timeout(pause, self.earlier.notified()).await;
        }
    }

    /// Fires what is due; returns when the next entry comes up.
    fn fire(&self, now_ms: u64) -> u64 {
        loop {
            let entry = {
                let mut queue = self.queue.borrow_mut();
                match queue.peek() {
                    None => return NEVER_MS,
                    Some(Reverse(entry)) if entry.at_ms > now_ms => return entry.at_ms,
                    Some(_) => queue.pop(),
                }
            };
            if let Some(Reverse(entry)) = entry {
                self.look_again(&entry, now_ms);
            }
        }
    }

    /// An entry came up: expired, moved on, or left behind by an earlier entry of the same slot.
    fn look_again(&self, entry: &Entry, now_ms: u64) {
        let slot = &entry.slot;
        if slot.queued_ms.get() != entry.at_ms || Rc::strong_count(slot) == 1 {
            return;
        }
        if slot.deadline_ms.get() <= now_ms {
            slot.queued_ms.set(u64::MAX);
            slot.deadline_ms.set(EXPIRED);
            wake(slot);
        } else {
            self.enqueue(slot, now_ms, slot.deadline_ms.get());
        }
    }

    fn enqueue(&self, slot: &Rc<Slot>, now_ms: u64, at_ms: u64) {
        let at_ms = at_ms.min(now_ms + LONGEST_MS);
        slot.queued_ms.set(at_ms);
        self.queue.borrow_mut().push(Reverse(Entry { at_ms, slot: Rc::clone(slot) }));
        if at_ms < self.next_ms.get() {
            self.earlier.notify_one();
        }
    }

    /// Every deadline has passed, those that are armed later too.
    pub(crate) fn expire_all(&self) {
        self.cut.set(true);
        for Reverse(entry) in self.queue.borrow().iter() {
            entry.slot.deadline_ms.set(EXPIRED);
            wake(&entry.slot);
        }
    }

    /// Wakes everyone who waits, so that they notice a drain.
    pub(crate) fn wake_all(&self) {
        self.queue.borrow().iter().for_each(|Reverse(entry)| wake(&entry.slot));
    }
}

fn wake(slot: &Slot) {
    if let Some(waker) = slot.waker.borrow().as_ref() {
        waker.wake_by_ref();
    }
}

/// One deadline of one task.
pub(crate) struct Deadline {
    timer: Rc<Timer>,
    slot: Rc<Slot>,
    /// How long a step may take, as last armed.
    step_ms: Cell<u64>,
    /// No step ends later than this.
    limit_ms: Cell<u64>,
}

impl Deadline {
    pub(crate) fn new(timer: &Rc<Timer>) -> Self {
        let slot = timer.free.borrow_mut().pop().unwrap_or_else(|| {
            Rc::new(Slot {
                deadline_ms: Cell::new(NEVER_MS),
                queued_ms: Cell::new(u64::MAX),
                waker: RefCell::new(None),
            })
        });
        Self { timer: Rc::clone(timer), slot, step_ms: Cell::new(0), limit_ms: Cell::new(NEVER_MS) }
    }

    /// From now on no deadline is later than `at_ms`; 0 = no such limit.
    pub(crate) fn limit(&self, at_ms: u64) {
        self.limit_ms.set(if at_ms == 0 { NEVER_MS } else { at_ms });
    }

    /// Moves the deadline to `after_ms` from `now_ms`; 0 = no deadline but the limit.
    pub(crate) fn arm(&self, now_ms: u64, after_ms: u64) {
        self.step_ms.set(after_ms);
        if self.timer.cut.get() {
            return self.slot.deadline_ms.set(EXPIRED);
        }
        // The + 1 makes up for the truncation of the clock: never early.
        let at_ms = if after_ms == 0 { NEVER_MS } else { now_ms.saturating_add(after_ms).saturating_add(1) };
        let at_ms = at_ms.min(self.limit_ms.get());
        self.slot.deadline_ms.set(at_ms);
        if at_ms < self.slot.queued_ms.get() {
            self.timer.enqueue(&self.slot, now_ms, at_ms);
        }
    }

    /// Something moved: the next step has as long as the last one had.
    pub(crate) fn restart(&self) {
        self.arm(clock::now_ms(), self.step_ms.get());
    }

    /// Ready once the deadline has passed; else the task is woken then.
    pub(crate) fn poll_expired(&self, context: &Context<'_>) -> Poll<()> {
        if self.slot.deadline_ms.get() == EXPIRED {
            return Poll::Ready(());
        }
        let mut waker = self.slot.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        // The entry stays queued until it comes up; without the waker it holds the task no longer.
        self.slot.waker.take();
        self.slot.deadline_ms.set(NEVER_MS);
        let mut free = self.timer.free.borrow_mut();
        if free.len() < KEPT {
            free.push(Rc::clone(&self.slot));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expired(deadline: &Deadline) -> bool {
        deadline.poll_expired(&Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_deadline_that_moves_on_does_not_fire() {
        let timer = Rc::new(Timer::default());
        let deadline = Deadline::new(&timer);
        deadline.arm(1_000, 50);
        deadline.arm(1_040, 50);
        timer.fire(1_060);
        assert!(!expired(&deadline));
        timer.fire(1_092);
        assert!(expired(&deadline));
    }

    #[test]
    fn a_deadline_that_comes_closer_fires_early() {
        let timer = Rc::new(Timer::default());
        let deadline = Deadline::new(&timer);
        deadline.arm(1_000, 5_000);
        deadline.arm(1_000, 10);
        timer.fire(1_012);
        assert!(expired(&deadline));
        deadline.arm(1_012, 0);
        timer.fire(100_000);
        assert!(!expired(&deadline));
    }

    #[test]
    fn no_step_ends_later_than_the_limit() {
        let timer = Rc::new(Timer::default());
        let deadline = Deadline::new(&timer);
        deadline.limit(1_100);
        deadline.arm(1_090, 50);
        timer.fire(1_100);
        assert!(expired(&deadline));
        deadline.limit(0);
        deadline.arm(1_100, 0);
        timer.fire(100_000);
        assert!(!expired(&deadline));
    }

    #[test]
    fn a_connection_without_deadline_leaves_nothing_behind() {
        let timer = Rc::new(Timer::default());
        let deadline = Deadline::new(&timer);
        deadline.arm(1_000, 0);
        timer.fire(1_000 + LONGEST_MS);
        assert!(!expired(&deadline));
        assert_eq!(timer.queue.borrow().len(), 1);
        drop(deadline);
        let next = Deadline::new(&timer);
        next.arm(1_000 + LONGEST_MS, 0);
        assert_eq!(timer.queue.borrow().len(), 1, "the next one takes the entry over");
        timer.free.take();
        drop(next);
        timer.free.take();
        timer.fire(1_000 + 2 * LONGEST_MS);
        assert!(timer.queue.borrow().is_empty());
    }

    #[test]
    fn nothing_is_moved_beyond_a_cut() {
        let timer = Rc::new(Timer::default());
        let busy = Deadline::new(&timer);
        busy.arm(1_000, 50);
        timer.expire_all();
        busy.restart();
        let late = Deadline::new(&timer);
        late.arm(1_000, 0);
        assert!(expired(&busy) && expired(&late));
    }

    #[test]
    fn many_moves_leave_one_entry() {
        let timer = Rc::new(Timer::default());
        let deadline = Deadline::new(&timer);
        (0..1_000).for_each(|now_ms| deadline.arm(now_ms, 100));
        assert_eq!(timer.queue.borrow().len(), 1);
    }
}
