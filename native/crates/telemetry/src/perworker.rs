//! One cell block per worker, far enough apart that two workers never write to the same cache line.

/// 128 bytes: two lines of 64, because x86 prefetches lines in adjacent pairs (Intel optimisation manual, "spatial prefetcher").
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded<T>(T);

/// A `T` for every worker thread. Workers index it by their number; a scrape iterates over all of it.
#[derive(Debug)]
pub struct PerWorker<T>(Box<[Padded<T>]>);

impl<T: Default> PerWorker<T> {
    /// A default `T` for each of `workers` workers.
    pub fn new(workers: usize) -> Self {
        Self::with(workers, |_| T::default())
    }
}

impl<T> PerWorker<T> {
    /// Makes each worker's `T` from its number.
    pub fn with(workers: usize, make: impl FnMut(usize) -> T) -> Self {
        Self((0..workers).map(make).map(Padded).collect())
    }

    /// The cells of one worker. Panics if `worker` is not below the number given to [`PerWorker::new`].
    #[inline]
    pub fn get(&self, worker: usize) -> &T {
        &self.0[worker].0
    }

    /// All workers' cells in worker order, for merging.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|padded| &padded.0)
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::PerWorker;
    use crate::Counter;

    #[test]
    fn each_worker_has_its_own_lines() {
        let cells: PerWorker<Counter> = PerWorker::new(3);
        let at = |worker| std::ptr::from_ref(cells.get(worker)).addr();
        assert_eq!(at(0) % 128, 0);
        assert_eq!(at(2) - at(1), 128);
    }

    #[test]
    fn merging_sees_every_worker() {
        let cells = PerWorker::with(4, |_| Counter::default());
        (0..cells.workers()).for_each(|worker| cells.get(worker).add(worker as u64));
        assert_eq!(cells.iter().map(Counter::get).sum::<u64>(), 6);
    }
}
