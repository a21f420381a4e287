//! Active health checks: one task per server on a thread of their own, so that a slow check never delays a request. A check goes on
//! through configurations as long as server and settings are the same; its counts are the server's.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;
use trunkline_http::{Answers, Framing, HeaderBuffer, Limits, MAX_HEADERS, parse_response};

use crate::clock;
use crate::plan::{Health, HealthKind};
use crate::snapshot::{Server, Snapshot};
use crate::transport::is_starved;

/// What a check reads of a response at most.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;
const LIMITS: Limits = Limits { head_bytes: 16 * 1024, headers: MAX_HEADERS, target_bytes: 0 };

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
        let outcome = match tokio::time::timeout(limit, check(server.address, &health)).await {
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

async fn check(address: SocketAddr, health: &Health) -> Result<String, Bad> {
    let mut stream = TcpStream::connect(address).await.map_err(|error| {
        let why = format!("connect: {error}");
        if is_starved(&error) { Bad::Ourselves(why) } else { Bad::Server(why) }
    })?;
    match health.kind {
        HealthKind::Tcp => Ok("connected".to_owned()),
        HealthKind::Http | HealthKind::Grpc => {
            let request = request(address, health);
            stream.write_all(request.as_bytes()).await.map_err(|error| format!("send: {error}"))?;
            let response = read_response(&mut stream, health).await?;
            Ok(examine(&response, health)?)
        }
    }
}

fn request(address: SocketAddr, health: &Health) -> String {
    let host = health.host.clone().unwrap_or_else(|| address.to_string());
    let path = &health.path;
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: trunkline-health\r\nConnection: close\r\n\r\n"
    )
}

/// Reads the head, and the body only if it matters.
async fn read_response(stream: &mut TcpStream, health: &Health) -> Result<Vec<u8>, String> {
    let mut response = Vec::with_capacity(4_096);
    while response.len() < MAX_RESPONSE_BYTES && !is_enough(&response, health) {
        match stream.read_buf(&mut response).await {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return Err(format!("receive: {error}")),
        }
    }
    Ok(response)
}

fn is_enough(response: &[u8], health: &Health) -> bool {
    let mut storage = HeaderBuffer::new();
    match parse_response(response, Answers::Other, &LIMITS, &mut storage) {
        Ok(None) => false,
        Err(_) => true,
        Ok(Some(head)) => match (&health.body_contains, head.framing) {
            (None, _) | (Some(_), Framing::None) => true,
            (Some(_), Framing::Length(length)) => (response.len() - head.length) as u64 >= length,
            (Some(text), _) => memchr::memmem::find(response, text.as_bytes()).is_some(),
        },
    }
}

fn examine(response: &[u8], health: &Health) -> Result<String, String> {
    let mut storage = HeaderBuffer::new();
    let head = parse_response(response, Answers::Other, &LIMITS, &mut storage)
        .map_err(|reject| format!("bad response: {}", reject.reason.as_str()))?
        .ok_or("closed before the end of the head")?;
    let status = head.status;
    let accepted = match health.statuses.as_slice() {
        [] => (200..400).contains(&status),
        ranges => ranges.iter().any(|&(low, high)| (low..=high).contains(&status)),
    };
    if !accepted {
        return Err(format!("status {status}"));
    }
    let body = response.get(head.length..).unwrap_or_default();
    match &health.body_contains {
        Some(text) if memchr::memmem::find(body, text.as_bytes()).is_none() => {
            Err(format!("status {status}, body without {text:?}"))
        }
        _ => Ok(format!("status {status}")),
    }
}
