//! Whether a server is still there. A path that has died says nothing, and TCP takes a quarter of an hour to notice; meanwhile every
//! request on the connection would wait in vain. So a connection is doubted when requests were given up and nothing was heard while they
//! were waited for. No PING asks: servers of gRPC end connections, and everyone's streams with them, for three without data in between.

use std::cell::Cell;

/// Silence beyond this is not impatience: who gives up sooner says nothing of the server.
const SILENCE_NS: u64 = 1_000_000_000;

/// When a server was last heard, in nanoseconds.
#[derive(Default)]
pub(super) struct Pulse {
    heard_ns: Cell<u64>,
    /// The first request that was given up unheard was sent then; 0 = there is none since something was heard.
    unheard_since_ns: Cell<u64>,
    doubtful: Cell<bool>,
}

impl Pulse {
    /// Something has come, whatever it is.
    pub(super) fn heard(&self, now_ns: u64) {
        self.heard_ns.set(now_ns);
        self.unheard_since_ns.set(0);
        self.doubtful.set(false);
    }

    /// Nobody waits for the rest of an answer any more.
    pub(super) fn given_up(&self, sent_ns: u64, now_ns: u64) {
        if self.heard_ns.get() > sent_ns {
            return;
        }
        let since_ns = match self.unheard_since_ns.get() {
            0 => sent_ns,
            earlier_ns => earlier_ns.min(sent_ns),
        };
        self.unheard_since_ns.set(since_ns);
        self.doubtful.set(now_ns.saturating_sub(since_ns) >= SILENCE_NS);
    }

    /// Better not to be asked for more, until it says something.
    pub(super) fn is_doubtful(&self) -> bool {
        self.doubtful.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn one_long_silence_or_several_short_ones() {
        let pulse = Pulse::default();
        pulse.heard(SECOND);
        pulse.given_up(2 * SECOND, 3 * SECOND);
        assert!(pulse.is_doubtful());
        pulse.heard(4 * SECOND);
        assert!(!pulse.is_doubtful());
        let tenth = SECOND / 10;
        let doubts = (0..6).map(|number| {
            let sent_ns = 5 * SECOND + 2 * number * tenth;
            pulse.given_up(sent_ns, sent_ns + 2 * tenth);
            pulse.is_doubtful()
        });
        assert!(doubts.eq([false, false, false, false, true, true]));
    }

    #[test]
    fn impatience_says_nothing() {
        let pulse = Pulse::default();
        pulse.given_up(5 * SECOND, 5 * SECOND + SECOND / 100);
        assert!(!pulse.is_doubtful());
        pulse.heard(6 * SECOND);
        pulse.given_up(5 * SECOND, 60 * SECOND);
        assert!(!pulse.is_doubtful(), "others were answered meanwhile");
    }
}
