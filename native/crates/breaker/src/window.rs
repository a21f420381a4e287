//! Sums over a sliding window, in time buckets.
//!
//! The window is split into 10 buckets; the sums cover the current, partly filled one and the 9 before it, so between
//! 90 % and 100 % of the window. A bucket that leaves the window leaves the sums at once. An instant before the newest
//! bucket counts as that bucket's.

/// Buckets in a window: what slides out at once is then a tenth (Finagle and Hystrix also use 10).
pub(crate) const BUCKETS: usize = 10;

/// Sums of `N` counters over a sliding window.
#[derive(Debug)]
pub(crate) struct Window<const N: usize> {
    bucket_ns: u64,
    newest: u64,
    buckets: [[u32; N]; BUCKETS],
    sums: [u64; N],
}

impl<const N: usize> Window<N> {
    /// An empty window; `window_ns` is at least [`BUCKETS`].
    pub(crate) fn new(window_ns: u64) -> Self {
        Self {
            bucket_ns: (window_ns / BUCKETS as u64).max(1),
            newest: 0,
            buckets: [[0; N]; BUCKETS],
            sums: [0; N],
        }
    }

    /// Adds to the current bucket; a bucket counts to 2^32 - 1 and stays there.
    pub(crate) fn add(&mut self, now_ns: u64, amounts: [u32; N]) {
        self.slide(now_ns);
        let bucket = &mut self.buckets[self.newest as usize % BUCKETS];
        for (index, amount) in amounts.into_iter().enumerate() {
            let sum = bucket[index].saturating_add(amount);
            self.sums[index] += u64::from(sum - bucket[index]);
            bucket[index] = sum;
        }
    }

    /// The sums over the window that ends at `now_ns`.
    pub(crate) fn sums(&mut self, now_ns: u64) -> [u64; N] {
        self.slide(now_ns);
        self.sums
    }

    pub(crate) fn clear(&mut self) {
        self.buckets = [[0; N]; BUCKETS];
        self.sums = [0; N];
    }

    fn slide(&mut self, now_ns: u64) {
        let current = now_ns / self.bucket_ns;
        if current >= self.newest.saturating_add(BUCKETS as u64) {
            self.clear();
            self.newest = current;
        }
        while self.newest < current {
            self.newest += 1;
            let leaving = std::mem::replace(&mut self.buckets[self.newest as usize % BUCKETS], [0; N]);
            for (sum, amount) in self.sums.iter_mut().zip(leaving) {
                *sum -= u64::from(amount);
            }
        }
    }
}
