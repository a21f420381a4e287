//! The access log on real files, a full device and a reader that does not read.
#![allow(clippy::unwrap_used)]

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use trunkline_telemetry::access::{AccessLog, Config, Counts};
use trunkline_telemetry::{Error, Record, Sink};

const LIMIT: Duration = Duration::from_secs(10);

/// A directory of one test, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("trunkline-access-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn config(&self) -> Config {
        Config::new(Sink::File(self.0.join("access.log")))
    }

    fn lines(&self, name: &str) -> Vec<String> {
        fs::read_to_string(self.0.join(name)).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn record(status: u16, path: &str) -> Record<'_> {
    Record { method: b"GET", host: b"h", path: path.as_bytes(), status, ..Record::default() }
}

fn written(records: u64) -> Counts {
    Counts { written: records, ..Counts::default() }
}

#[test]
fn every_record_of_every_worker_arrives_whole_and_in_the_workers_order() {
    let scratch = Scratch::new("workers");
    let log = AccessLog::start(scratch.config()).unwrap();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let mut writer = log.writer();
            scope
                .spawn(move || (0..500).for_each(|n| writer.log(&record(200, &format!("/{worker}/{n:04}")))));
        }
    });
    assert!(log.stop(LIMIT));
    assert_eq!(log.counts(), written(2000));
    let lines = scratch.lines("access.log");
    assert!(lines.iter().all(|line| line.starts_with("{\"time\":") && line.ends_with('}')));
    for worker in 0..4 {
        let paths = lines.iter().filter(|line| line.contains(&format!("\"/{worker}/")));
        assert_eq!(paths.clone().count(), 500);
        assert!(paths.map(|line| &line[line.find("\"path\"").unwrap()..]).is_sorted());
    }
}

#[test]
fn a_file_is_appended_to() {
    let scratch = Scratch::new("append");
    for path in ["/first", "/second"] {
        let log = AccessLog::start(scratch.config()).unwrap();
        log.writer().log(&record(200, path));
        assert!(log.stop(LIMIT));
    }
    assert_eq!(scratch.lines("access.log").len(), 2);
}

#[test]
fn sampling_takes_its_exact_share_and_always_the_errors() {
    let scratch = Scratch::new("sampling");
    let log = AccessLog::start(Config { sample_one_in: 10, ..scratch.config() }).unwrap();
    let mut writer = log.writer();
    (0..1000).for_each(|n| writer.log(&record(if n % 100 == 0 { 502 } else { 200 }, "/")));
    drop(writer);
    assert!(log.stop(LIMIT));
    let lines = scratch.lines("access.log");
    assert_eq!(lines.iter().filter(|line| line.contains("\"status\":502")).count(), 10);
    let sampled = lines.iter().filter(|line| line.contains("\"status\":200"));
    assert_eq!(sampled.clone().count(), 99);
    assert!(sampled.clone().all(|line| line.contains("\"weight\":10")));
}

#[test]
fn sampling_nothing_leaves_the_errors_or_nothing() {
    for (always_errors, expected) in [(true, 1), (false, 0)] {
        let scratch = Scratch::new(&format!("none-{always_errors}"));
        let log = AccessLog::start(Config { sample_one_in: 0, always_errors, ..scratch.config() }).unwrap();
        let mut writer = log.writer();
        (0..10).for_each(|_| writer.log(&record(200, "/")));
        writer.log(&record(500, "/"));
        drop(writer);
        assert!(log.stop(LIMIT));
        assert_eq!(scratch.lines("access.log").len(), expected);
    }
}

#[test]
fn a_batch_goes_when_it_is_full_or_due_and_not_before() {
    let scratch = Scratch::new("due");
    let log =
        AccessLog::start(Config { batch_bytes: 1000, flush_interval_ns: 50, ..scratch.config() }).unwrap();
    let mut writer = log.writer();
    writer.flush_if_due(1000);
    writer.log(&record(200, "/a"));
    writer.flush_if_due(1049);
    writer.log(&record(200, "/b"));
    writer.flush_if_due(1050);
    wait_until(|| log.counts() == written(2));
    writer.log(&record(200, &"x".repeat(1000)));
    wait_until(|| log.counts() == written(3));
    drop(writer);
    assert!(log.stop(LIMIT));
    assert_eq!(log.counts(), written(3));
}

#[test]
fn after_rotation_new_records_go_to_the_new_file() {
    let scratch = Scratch::new("rotate");
    let log = AccessLog::start(scratch.config()).unwrap();
    let mut writer = log.writer();
    writer.log(&record(200, "/old"));
    writer.flush();
    wait_until(|| log.counts() == written(1));
    fs::rename(scratch.0.join("access.log"), scratch.0.join("access.log.1")).unwrap();
    log.reopen();
    writer.log(&record(200, "/new"));
    drop(writer);
    assert!(log.stop(LIMIT));
    assert!(scratch.lines("access.log.1")[0].contains("/old"));
    assert!(scratch.lines("access.log")[0].contains("/new"));
    assert_eq!(log.counts(), written(2));
}

#[test]
fn a_full_device_costs_records_not_the_process() {
    let log = AccessLog::start(Config::new(Sink::File("/dev/full".into()))).unwrap();
    let mut writer = log.writer();
    for _ in 0..3 {
        writer.log(&record(200, "/"));
        writer.flush();
    }
    drop(writer);
    assert!(log.stop(LIMIT));
    assert_eq!(log.counts(), Counts { written: 0, dropped: 3, failures: 3 });
}

#[test]
fn a_stalled_reader_costs_records_and_never_blocks_the_worker() {
    let scratch = Scratch::new("stalled");
    let pipe = scratch.0.join("access.log");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut reader = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    reader.write_all(&vec![b' '; 1 << 16]).unwrap(); // what a pipe holds (pipe(7)): the next write waits
    let log = AccessLog::start(Config { batch_bytes: 4096, queue_batches: 2, ..scratch.config() }).unwrap();
    let mut writer = log.writer();
    (0..10_000).for_each(|_| writer.log(&record(200, "/")));
    drop(writer);
    assert!(log.counts().written == 0 && log.counts().dropped > 9_000);
    assert!(!log.stop(Duration::from_millis(10)));

    let mut taken = vec![0; 1 << 16];
    wait_until(|| {
        let counts = log.counts();
        counts.written + counts.dropped == 10_000 || reader.read(&mut taken).is_err()
    });
}

#[test]
fn an_impossible_path_is_refused_at_the_start() {
    let refused = AccessLog::start(Config::new(Sink::File("/nonexistent/access.log".into())));
    assert!(matches!(refused, Err(Error::Open { .. })));
}

#[test]
fn records_after_the_stop_are_counted_as_dropped() {
    let scratch = Scratch::new("late");
    let log = AccessLog::start(scratch.config()).unwrap();
    let mut late = log.writer();
    assert!(log.stop(LIMIT));
    late.log(&record(200, "/"));
    drop(late);
    assert_eq!(log.counts(), Counts { dropped: 1, ..Counts::default() });
}

/// The background thread has no event to wait for from outside; its counters are what an operator sees.
fn wait_until(mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < LIMIT, "condition not reached");
        std::thread::yield_now();
    }
}
