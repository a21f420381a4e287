//! What a run counted and timed.

use std::time::Duration;

#[derive(Default)]
pub struct Tally {
    /// Handshakes with their request, or messages that came back.
    pub done: u64,
    /// Whatever did not go as it must; its client stops there.
    pub failed: u64,
    pub response_bytes: u64,
    pub duration: Duration,
    times_us: Vec<u32>,
}

impl Tally {
    pub fn time(&mut self, taken: Duration) {
        self.times_us.push(taken.as_micros() as u32);
    }

    /// One line. Percentiles are null if nothing was timed.
    pub fn into_json(mut self) -> String {
        self.times_us.sort_unstable();
        format!(
            r#"{{"done":{},"failed":{},"bytes":{},"duration_us":{},"p50_us":{},"p99_us":{},"max_us":{}}}"#,
            self.done,
            self.failed,
            self.response_bytes,
            self.duration.as_micros(),
            self.percentile(50),
            self.percentile(99),
            self.percentile(100),
        )
    }

    fn percentile(&self, percent: usize) -> String {
        let last = self.times_us.len().saturating_sub(1);
        let time_us = self.times_us.get(last * percent / 100);
        time_us.map_or_else(|| "null".to_owned(), ToString::to_string)
    }
}
