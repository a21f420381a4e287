//! Gradient2 in front of a simulated service: c workers, exponential service times, Poisson arrivals (M/M/c), in virtual time.
#![allow(clippy::unwrap_used)]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use proptest::prelude::*;
use trunkline_concurrency::{Gradient2Settings, Limit, Permit, Settings};

const SECOND_NS: f64 = 1e9;

/// A service with a queue of its own, behind a limit.
struct Service {
    limit: Arc<Limit>,
    random: fastrand::Rng,
    workers: usize,
    /// Mean time of one request alone.
    work_ns: f64,
    now_ns: f64,
    /// Ends of the requests that are being worked on, the next one first.
    busy: BinaryHeap<Reverse<u64>>,
    begun: std::collections::HashMap<u64, Vec<(f64, Permit)>>,
    queue: VecDeque<(f64, Permit)>,
}

/// What happened in a stretch of time.
#[derive(Debug, Default)]
struct Outcome {
    answered: f64,
    refused: f64,
    latency_sum_ns: f64,
}

impl Service {
    fn new(workers: usize, work_ns: f64, rule: Gradient2Settings, seed: u64) -> Self {
        Self {
            limit: Arc::new(Limit::new(Settings::gradient2(rule)).unwrap()),
            random: fastrand::Rng::with_seed(seed),
            workers,
            work_ns,
            now_ns: 0.0,
            busy: BinaryHeap::new(),
            begun: std::collections::HashMap::new(),
            queue: VecDeque::new(),
        }
    }

    /// Requests per second that it could answer at best.
    fn capacity(&self) -> f64 {
        self.workers as f64 * SECOND_NS / self.work_ns
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.random.f64()).ln()
    }

    /// Runs for `seconds` with so many arrivals per second.
    fn run(&mut self, seconds: f64, rate: f64) -> Outcome {
        let end_ns = self.now_ns + seconds * SECOND_NS;
        let mut arrival_ns = self.now_ns + self.exponential(SECOND_NS / rate);
        let mut outcome = Outcome::default();
        while arrival_ns < end_ns {
            while self.busy.peek().is_some_and(|Reverse(done_ns)| (*done_ns as f64) <= arrival_ns) {
                self.complete(&mut outcome);
            }
            self.now_ns = arrival_ns;
            match self.limit.try_acquire() {
                Some(permit) => self.queue.push_back((arrival_ns, permit)),
                None => outcome.refused += 1.0,
            }
            self.start();
            arrival_ns += self.exponential(SECOND_NS / rate);
        }
        outcome
    }

    fn complete(&mut self, outcome: &mut Outcome) {
        let Some(Reverse(done_ns)) = self.busy.pop() else { return };
        self.now_ns = done_ns as f64;
        let (arrived_ns, permit) = self.begun.get_mut(&done_ns).unwrap().pop().unwrap();
        let latency_ns = self.now_ns - arrived_ns;
        permit.answered(done_ns, latency_ns as u64);
        outcome.answered += 1.0;
        outcome.latency_sum_ns += latency_ns;
        self.start();
    }

    fn start(&mut self) {
        while self.busy.len() < self.workers {
            let Some(request) = self.queue.pop_front() else { return };
            let done_ns = (self.now_ns + self.exponential(self.work_ns)) as u64 + 1;
            self.busy.push(Reverse(done_ns));
            self.begun.entry(done_ns).or_default().push(request);
        }
    }
}

impl Outcome {
    fn mean_ns(&self) -> f64 {
        self.latency_sum_ns / self.answered
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    /// Twice and more what the service can do, for two minutes: it is kept busy, and its queue stays short.
    #[test]
    fn an_overloaded_service_is_kept_busy_and_quick(
        workers in 8_usize..40,
        work_ms in 10.0_f64..40.0,
        load in 2.0_f64..4.0,
        seed in any::<u64>(),
    ) {
        let rule = Gradient2Settings::default();
        let mut service = Service::new(workers, work_ms * 1e6, rule, seed);
        let usual = service.capacity() * 0.5;
        service.run(30.0, usual);
        let rate = service.capacity() * load;
        service.run(60.0, rate);
        let outcome = service.run(60.0, rate);
        let throughput = outcome.answered / 60.0;
        prop_assert!(throughput > service.capacity() * 0.9, "{throughput} of {}", service.capacity());
        prop_assert!(outcome.refused > outcome.answered * 0.5, "{outcome:?}");
        // By Little's law the limit over the workers is the latency over the service time.
        let slowed = outcome.mean_ns() / service.work_ns;
        prop_assert!(slowed < 3.0, "{slowed} times, limit {}", service.limit.report().limit);
    }

    /// A service that becomes `factor` times slower is relieved within half a minute, and trusted again when it recovers.
    #[test]
    fn a_slowed_service_is_relieved_and_trusted_again(
        workers in 20_usize..40,
        factor in 5.0_f64..20.0,
        seed in any::<u64>(),
    ) {
        let rule = Gradient2Settings { maximum: 500, ..Gradient2Settings::default() };
        let mut service = Service::new(workers, 10e6, rule, seed);
        let rate = service.capacity() * 0.95;
        service.run(60.0, rate);
        let before = service.limit.report().limit;
        service.work_ns *= factor;
        service.run(30.0, rate);
        let slow = service.limit.report().limit;
        prop_assert!(f64::from(slow) < 0.7 * f64::from(before).max(workers as f64), "{before}, then {slow}");
        service.work_ns /= factor;
        service.run(120.0, rate);
        let outcome = service.run(30.0, rate);
        prop_assert!(outcome.answered > 30.0 * rate * 0.9, "{outcome:?} at {:?}", service.limit.report());
    }

    /// Far below its capacity nothing is refused, whatever the random hours bring.
    #[test]
    fn a_quiet_service_is_left_alone(workers in 8_usize..40, seed in any::<u64>()) {
        let mut service = Service::new(workers, 10e6, Gradient2Settings::default(), seed);
        let rate = service.capacity() * 0.2_f64.min(4.0 / workers as f64);
        let outcome = service.run(120.0, rate);
        prop_assert!(outcome.refused == 0.0, "{outcome:?}");
    }
}
