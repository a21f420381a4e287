//! The buckets behind [`crate::limits`]: each flood has its name here.

use crate::error::ConnectionError;
use crate::limits::{Bucket, Limits};

/// `WINDOW_UPDATE` frames that a DATA or HEADERS frame of ours earns: two for what it carries, twice over for peers that are eager.
const UPDATES_PER_FRAME: u32 = 4;

#[derive(Debug)]
pub(super) struct Floods {
    resets: Bucket,
    settings: Bucket,
    pings: Bucket,
    priorities: Bucket,
    window_updates: Bucket,
    empty_data: Bucket,
    ignored: Bucket,
}

macro_rules! floods {
    ($($method:ident: $bucket:ident = $reason:literal,)*) => {
        $(pub(super) fn $method(&mut self, limits: &Limits, now_ns: u64) -> Result<(), ConnectionError> {
            check(self.$bucket.take(limits.$bucket, now_ns), $reason)
        })*
    };
}

impl Floods {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            resets: Bucket::new(limits.resets),
            settings: Bucket::new(limits.settings),
            pings: Bucket::new(limits.pings),
            priorities: Bucket::new(limits.priorities),
            window_updates: Bucket::new(limits.window_updates),
            empty_data: Bucket::new(limits.empty_data),
            ignored: Bucket::new(limits.ignored),
        }
    }

    floods! {
        reset: resets = "reset_flood",
        setting: settings = "settings_flood",
        ping: pings = "ping_flood",
        priority: priorities = "priority_flood",
        window_update: window_updates = "window_update_flood",
        empty_data: empty_data = "empty_data_flood",
        ignored: ignored = "ignored_frame_flood",
    }

    /// The peer sent something that carries a message.
    #[inline]
    pub(super) fn useful_received(&mut self, limits: &Limits) {
        self.pings.earn(limits.pings, 1);
        self.priorities.earn(limits.priorities, 1);
    }

    /// We sent a frame that carries a message.
    #[inline]
    pub(super) fn useful_sent(&mut self, limits: &Limits) {
        self.window_updates.earn(limits.window_updates, UPDATES_PER_FRAME);
    }
}

fn check(within: bool, reason: &'static str) -> Result<(), ConnectionError> {
    if within { Ok(()) } else { Err(ConnectionError::flood(reason)) }
}
