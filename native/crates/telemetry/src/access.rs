//! The access log: JSON lines, formatted by the workers, written by one background thread.
//!
//! Each worker owns a [`Writer`] with a buffer. A full or old buffer goes as one batch over a bounded channel to the thread, which
//! writes it. The worker never waits: if the channel is full, because the disk or the reader of standard output is too slow,
//! the batch is dropped and its records are counted. Order is kept within a worker, not between workers.
//! Does not rotate files (use logrotate and [`AccessLog::reopen`]) and does not sync them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use crate::error::Error;
use crate::record::Record;
use crate::sink::{Output, Sink};
use crate::timestamp::Timestamp;

/// How to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the lines go.
    pub sink: Sink,
    /// Log one request in so many; 1 logs all, 0 none. Counted per worker, so the share is exact.
    pub sample_one_in: u32,
    /// Log every record for which [`Record::is_error`] holds, whatever the sampling says.
    pub always_errors: bool,
    /// A worker hands its buffer over when it holds so many bytes.
    pub batch_bytes: usize,
    /// … or when so much time has passed since it last did ([`Writer::flush_if_due`]).
    pub flush_interval_ns: u64,
    /// Batches that may wait for the thread, of all workers together; `batch_bytes` times this bounds the memory.
    pub queue_batches: usize,
}

impl Config {
    /// All records, errors always, 32 KB batches, each second, at most 8 MB waiting.
    ///
    /// 32 KB is about 70 records: at 100 000 requests per second a write each 0.7 ms, where one system call (some µs) is
    /// well below 1 % of the time the records took to make, and small enough to stay in the second-level cache.
    pub fn new(sink: Sink) -> Self {
        Self {
            sink,
            sample_one_in: 1,
            always_errors: true,
            batch_bytes: 32 << 10,
            flush_interval_ns: 1_000_000_000,
            queue_batches: 256,
        }
    }
}

/// What happened to the records so far, summed over all workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records handed to the operating system.
    pub written: u64,
    /// Records lost because the thread was too far behind, had stopped, or a write failed.
    pub dropped: u64,
    /// Failed writes and failed reopens.
    pub failures: u64,
}

#[derive(Debug, Default)]
struct Shared {
    written: AtomicU64,
    dropped: AtomicU64,
    failures: AtomicU64,
    reopen: AtomicBool,
    stop: AtomicBool,
}

#[derive(Debug, Default)]
struct Batch {
    lines: Vec<u8>,
    records: u64,
}

/// The log as the control thread sees it. Dropping it stops the thread without waiting for it.
#[derive(Debug)]
pub struct AccessLog {
    config: Config,
    shared: Arc<Shared>,
    queue: SyncSender<Batch>,
    thread: Mutex<Option<(JoinHandle<()>, Receiver<()>)>>,
}

impl AccessLog {
    /// Opens the sink and starts the thread.
    pub fn start(config: Config) -> Result<Self, Error> {
        let output = Output::open(config.sink.clone())?;
        let shared = Arc::new(Shared::default());
        let (queue, batches) = mpsc::sync_channel(config.queue_batches.max(1));
        let (done, finished) = mpsc::sync_channel(1);
        let theirs = Arc::clone(&shared);
        let body = move || {
            write_batches(&batches, &theirs, output);
            let _ = done.try_send(()); // nobody listens if the log was dropped, not stopped
        };
        let handle =
            std::thread::Builder::new().name("access-log".to_owned()).spawn(body).map_err(Error::Thread)?;
        Ok(Self { config, shared, queue, thread: Mutex::new(Some((handle, finished))) })
    }

    /// A writer for one worker.
    pub fn writer(&self) -> Writer {
        Writer {
            config: self.config.clone(),
            shared: Arc::clone(&self.shared),
            queue: self.queue.clone(),
            batch: Batch::default(),
            stamp: Timestamp::default(),
            seen: 0,
            flushed_ns: 0,
        }
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        let Shared { written, dropped, failures, .. } = &*self.shared;
        Counts {
            written: written.load(Relaxed),
            dropped: dropped.load(Relaxed),
            failures: failures.load(Relaxed),
        }
    }

    /// Opens the file again before the next batch is written, for log rotation.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Relaxed);
        self.wake();
    }

    /// Writes what the workers have handed over and ends the thread. Drop the writers first: that hands over their last
    /// batches. Returns false if the sink did not take everything within `limit`.
    pub fn stop(&self, limit: Duration) -> bool {
        self.ask_to_stop();
        let Some((handle, finished)) = self.thread.lock().take() else { return true };
        finished.recv_timeout(limit).is_ok() && handle.join().is_ok()
    }

    fn ask_to_stop(&self) {
        self.shared.stop.store(true, Relaxed);
        self.wake();
    }

    /// An empty batch. If the channel is full the thread is about to look at the flags anyway.
    fn wake(&self) {
        let _ = self.queue.try_send(Batch::default());
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}

/// One worker's end of the log. Dropping it hands over what it holds.
#[derive(Debug)]
pub struct Writer {
    config: Config,
    shared: Arc<Shared>,
    queue: SyncSender<Batch>,
    batch: Batch,
    stamp: Timestamp,
    seen: u32,
    flushed_ns: u64,
}

impl Writer {
    /// Formats the record into the buffer, if sampling takes it, and hands the buffer over if it is full.
    #[inline]
    pub fn log(&mut self, record: &Record<'_>) {
        if let Some(weight) = self.weight(record) {
            if self.batch.lines.capacity() == 0 {
                self.batch.lines.reserve(self.config.batch_bytes + self.config.batch_bytes / 8);
            }
            record.write(&mut self.batch.lines, &mut self.stamp, weight);
            self.batch.records += 1;
            if self.batch.lines.len() >= self.config.batch_bytes {
                self.flush();
            }
        }
    }

    /// Hands the buffer over if the flush interval has passed since this last did. `now_ns`: monotonic clock.
    #[inline]
    pub fn flush_if_due(&mut self, now_ns: u64) {
        if now_ns.saturating_sub(self.flushed_ns) >= self.config.flush_interval_ns {
            self.flushed_ns = now_ns;
            self.flush();
        }
    }

    /// Hands the buffer over now. Never waits.
    pub fn flush(&mut self) {
        if self.batch.records == 0 {
            return;
        }
        if let Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) =
            self.queue.try_send(std::mem::take(&mut self.batch))
        {
            self.shared.dropped.fetch_add(batch.records, Relaxed);
        }
    }

    /// How many requests the record stands for; `None` if it is not to be logged.
    #[inline]
    fn weight(&mut self, record: &Record<'_>) -> Option<u32> {
        if self.config.always_errors && record.is_error() {
            return Some(1);
        }
        self.seen += 1;
        if self.config.sample_one_in == 0 || self.seen < self.config.sample_one_in {
            self.seen = self.seen.min(self.config.sample_one_in);
            return None;
        }
        self.seen = 0;
        Some(self.config.sample_one_in)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.flush();
    }
}

/// The body of the thread: until every sender is gone, or a stop was asked for and the channel is empty.
fn write_batches(batches: &Receiver<Batch>, shared: &Shared, mut output: Output) {
    while let Some(batch) = next(batches, shared) {
        if shared.reopen.swap(false, Relaxed) && output.reopen().is_err() {
            shared.failures.fetch_add(1, Relaxed);
        }
        write_batch(&batch, shared, &mut output);
    }
}

fn next(batches: &Receiver<Batch>, shared: &Shared) -> Option<Batch> {
    if shared.stop.load(Relaxed) { batches.try_recv().ok() } else { batches.recv().ok() }
}

fn write_batch(batch: &Batch, shared: &Shared, output: &mut Output) {
    let written = match output.write(&batch.lines) {
        Ok(()) => batch.records,
        Err(bytes) => {
            shared.failures.fetch_add(1, Relaxed);
            batch.lines[..bytes].split(|&byte| byte == b'\n').count() as u64 - 1
        }
    };
    shared.written.fetch_add(written, Relaxed);
    shared.dropped.fetch_add(batch.records - written, Relaxed);
}
