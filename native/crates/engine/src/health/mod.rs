//! Active health checks: one task per server on a thread of their own, so that a slow check never delays a request. A check goes on
//! through configurations as long as server and settings are the same; its counts are the server's.
//!
//! Each check has a connection of its own, made as the pool's are (`stream`); `http1`, `http2` and `grpc` are what is asked over it.

mod grpc;
mod http1;
mod http2;
mod stream;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;

use self::stream::Stream;
use crate::clock;
use crate::plan::{Health, HealthKind, Protocol};
use crate::snapshot::{Server, Snapshot};

/// What is looked at of a response's body.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// The running checks.
pub(crate) struct Checkers {
    targets: Option<UnboundedSender<Vec<Target>>>,
    thread: Option<JoinHandle<()>>,
}

struct Target {
    server: Arc<Server>,
    health: Health,
}

impl Checkers {
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (targets, received) = unbounded_channel();
        let thread = std::thread::Builder::new().name("trunkline-health".into()).spawn(move || {
            runtime.block_on(supervise(received));
        })?;
        Ok(Self { targets: Some(targets), thread: Some(thread) })
    }

    /// Checks exactly the servers of this snapshot from now on.
    pub(crate) fn watch(&self, snapshot: &Snapshot) {
        let targets = snapshot.pools.iter().flat_map(|pool| {
            let health = pool.plan.health.clone();
            pool.servers.iter().filter_map(move |server| {
                Some(Target { server: Arc::clone(server), health: health.clone()? })
            })
        });
        if let Some(sender) = &self.targets {
            let _ = sender.send(targets.collect());
        }
    }

    pub(crate) fn stop(&mut self) {
        self.targets = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn supervise(mut received: UnboundedReceiver<Vec<Target>>) {
    let mut running: HashMap<u64, (Health, AbortHandle)> = HashMap::new();
    while let Some(targets) = received.recv().await {
        let mut next = HashMap::new();
        for Target { server, health } in targets {
            let kept = running.remove(&server.id).filter(|(before, _)| *before == health);
            let handle = match kept {
                Some((_, handle)) => handle,
                None => tokio::spawn(check_forever(Arc::clone(&server), health.clone())).abort_handle(),
            };
            next.insert(server.id, (health, handle));
        }
        for (_, handle) in running.values() {
            handle.abort();
        }
        running = next;
    }
}

async fn check_forever(server: Arc<Server>, health: Health) {
    let interval = Duration::from_millis(health.interval_ms.max(1));
    // Checks of many servers spread over the interval instead of coming at once.
    tokio::time::sleep(interval.mul_f64(fastrand::f64() * 0.1)).await;
    loop {
        let limit = Duration::from_millis(health.timeout_ms.max(1));
        let outcome = match tokio::time::timeout(limit, check(&server, &health)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Bad::Server(format!("no answer within {} ms", health.timeout_ms))),
        };
        match outcome {
            Err(Bad::Ourselves(why)) => *server.check.detail.lock() = format!("not checked: {why}"),
            Err(Bad::Server(why)) => judge(&server, &health, Err(why)),
            Ok(detail) => judge(&server, &health, Ok(detail)),
        }
        tokio::time::sleep(interval).await;
    }
}

/// Counts the outcome; `rise` good ones in a row bring a server up, `fall` bad ones take it down.
fn judge(server: &Server, health: &Health, outcome: Result<String, String>) {
    let report = &server.check;
    let (ok, detail) = match outcome {
        Ok(detail) => (true, detail),
        Err(detail) => (false, detail),
    };
    let (count, other): (&AtomicU32, &AtomicU32) = if ok {
        (&report.good_in_row, &report.bad_in_row)
    } else {
        (&report.bad_in_row, &report.good_in_row)
    };
    other.store(0, Relaxed);
    let in_row = count.load(Relaxed).saturating_add(1);
    count.store(in_row, Relaxed);
    *report.detail.lock() = detail;
    let needed = if ok { health.rise } else { health.fall };
    if in_row >= needed && server.state.healthy() != ok {
        server.state.set_healthy(ok, clock::now_ns());
    }
}

/// Why a check gave no good answer.
enum Bad {
    /// It could not be made, which says nothing about the server.
    Ourselves(String),
    Server(String),
}

impl From<String> for Bad {
    fn from(why: String) -> Self {
        Self::Server(why)
    }
}

async fn check(server: &Server, health: &Health) -> Result<String, Bad> {
    let mut stream = Stream::connect(server.address, &server.dial).await?;
    let host = host(server, health);
    let outcome = match (health.kind, server.dial.protocol) {
        (HealthKind::Tcp, _) => Ok(stream.describe()),
        (HealthKind::Grpc, _) => grpc::check(&mut stream, &host, health).await,
        (HealthKind::Http, Protocol::Http1) => http1::check(&mut stream, &host, health).await,
        (HealthKind::Http, Protocol::Http2) => http2::check(&mut stream, &host, health).await,
    };
    stream.close().await;
    Ok(outcome?)
}

/// What the server is asked as: its host as configured, because over TLS a server may refuse another than the one in SNI (421).
fn host(server: &Server, health: &Health) -> String {
    let Server { address, dial, .. } = server;
    health.host.clone().unwrap_or_else(|| match dial.host.parse::<IpAddr>() {
        Ok(_) => address.to_string(),
        Err(_) => format!("{}:{}", dial.host, address.port()),
    })
}

/// Whether an answer is a good one, whatever brought it.
fn examine(status: u16, body: &[u8], health: &Health) -> Result<String, String> {
    let accepted = match health.statuses.as_slice() {
        [] => (200..400).contains(&status),
        ranges => ranges.iter().any(|&(low, high)| (low..=high).contains(&status)),
    };
    match &health.body_contains {
        _ if !accepted => Err(format!("status {status}")),
        Some(text) if !contains_text(body, health) => Err(format!("status {status}, body without {text:?}")),
        _ => Ok(format!("status {status}")),
    }
}

fn contains_text(body: &[u8], health: &Health) -> bool {
    let text = health.body_contains.as_deref().unwrap_or_default();
    memchr::memmem::find(body, text.as_bytes()).is_some()
}
