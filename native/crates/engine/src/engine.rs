//! The control side: starts workers, compiles plans, swaps snapshots, drains and stops. Its calls come from one thread at a time
//! (the Python main thread), never from a worker.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use trunkline_filter::{Environment, Registry, WallClock};
use trunkline_telemetry::Sink;
use trunkline_telemetry::access::{self, AccessLog};
use trunkline_tls::{Challenges, PemPair};

use crate::clock;
use crate::compile::{Changed, Compiled, Compiler, PlanError};
use crate::dns::{self, sockets::Bound as Desks};
use crate::health::Checkers;
use crate::listening::{Bound, Listening};
use crate::plan::{self, Plan};
use crate::recent::RecentErrors;
use crate::snapshot::Snapshot;
use crate::tokens::Tokens;
use crate::worker::{Command, Shared, Worker};

/// What workers have to close sockets, and cut exchanges to answer and to be logged.
const PATIENCE: Duration = Duration::from_millis(500);

/// Why a plan was not taken. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("{} errors in the plan", .0.len())]
    Plan(Vec<PlanError>),
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: io::Error },
    #[error("cannot open the access log: {0}")]
    AccessLog(#[from] trunkline_telemetry::Error),
    #[error("nothing is listened on any more: the engine drains")]
    Draining,
}

/// What a successful apply did.
#[derive(Debug, Clone, Serialize)]
pub struct Applied {
    pub generation: u64,
    /// Compiling, off the workers.
    pub build_us: u64,
    /// Exchanging the pointer.
    pub swap_us: u64,
    /// What is served without, and why.
    pub warnings: Vec<PlanError>,
}

/// The running data plane. Dropping it stops the workers at once.
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
    pub(crate) registry: Arc<Registry>,
    /// What TLS-ALPN-01 challenges are answered with.
    pub(crate) challenges: Arc<Challenges>,
    /// And HTTP-01 challenges.
    pub(crate) tokens: Arc<Tokens>,
    wall: Arc<WallClock>,
    workers: Vec<Handle>,
    control: Mutex<Control>,
    /// Beside `control`, which is held for as long as a plan compiles: a probe must not wait for that.
    is_listening: AtomicBool,
    pub(crate) started_unix_ns: u64,
}

struct Handle {
    commands: UnboundedSender<Command>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What a new plan does to the access log.
enum LogChange {
    Keep,
    Close,
    Open(plan::AccessLog, AccessLog),
}

/// What only the control side knows.
struct Control {
    listening: Listening,
    desks: dns::sockets::Sockets,
    log: Option<(plan::AccessLog, AccessLog)>,
    checkers: Checkers,
}

impl Engine {
    /// Starts `threads` workers that serve nothing yet.
    pub fn start(threads: usize) -> io::Result<Self> {
        let wall = Arc::new(WallClock::new(clock::unix_ns(), clock::now_ns()));
        let registry = Arc::new(Registry::new(Arc::clone(&wall), [fastrand::u64(..), fastrand::u64(..)]));
        let empty = Snapshot { generation: 0, listeners: Vec::new(), pools: Vec::new(), dns: None };
        let shared = Arc::new(Shared {
            snapshot: ArcSwap::from_pointee(empty),
            generation: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            lingering: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            recent: RecentErrors::default(),
        });
        let workers = (0..threads.max(1)).map(|index| spawn(index, &shared)).collect::<io::Result<_>>()?;
        let control = Control {
            listening: Listening::default(),
            desks: dns::sockets::Sockets::default(),
            log: None,
            checkers: Checkers::start()?,
        };
        Ok(Self {
            shared,
            registry,
            challenges: Arc::default(),
            tokens: Arc::default(),
            wall,
            workers,
            control: Mutex::new(control),
            is_listening: AtomicBool::new(false),
            started_unix_ns: clock::unix_ns(),
        })
    }

    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Compiles a plan and serves it: all or nothing.
    ///
    /// # Errors
    /// Everything that is wrong with the plan, or the first address that cannot be bound; what was served goes on. Or the engine drains:
    /// then it opens no listener again.
    pub fn apply(&self, plan: Plan, bind: bool) -> Result<Applied, ApplyError> {
        let started = Instant::now();
        let mut control = self.control.lock();
        self.wall.set(clock::unix_ns(), clock::now_ns());
        // A dry run must not create files.
        let log = if bind { control.open_log(plan.access_log.as_ref())? } else { LogChange::Keep };
        let (Compiled { snapshot, changed, warnings }, environment) = self.compile(plan)?;
        let (sockets, desks) = if bind { self.bind(&control, &snapshot)? } else { (Vec::new(), Vec::new()) };
        let build_us = started.elapsed().as_micros() as u64;
        let swapping = Instant::now();
        let snapshot = Arc::new(snapshot);
        let generation = snapshot.generation;
        self.shared.snapshot.store(Arc::clone(&snapshot));
        self.shared.generation.store(generation, Ordering::Release);
        environment.commit();
        changed.commit(clock::now_ns());
        snapshot.listeners.iter().for_each(|listener| listener.gate.announce());
        let swap_us = swapping.elapsed().as_micros() as u64;
        match log {
            LogChange::Keep => {}
            LogChange::Close => self.change_log(&mut control, None),
            LogChange::Open(plan, log) => self.change_log(&mut control, Some((plan, log))),
        }
        if bind {
            self.listen(&mut control, &snapshot, sockets, desks);
            control.checkers.watch(&snapshot);
        }
        Ok(Applied { generation, build_us, swap_us, warnings })
    }

    fn compile(&self, plan: Plan) -> Result<(Compiled, Environment<'_>), ApplyError> {
        let in_plan = |errors: Vec<trunkline_filter::Error>| {
            let place = |error: trunkline_filter::Error| PlanError {
                path: "consumers".into(),
                message: error.to_string(),
            };
            ApplyError::Plan(errors.into_iter().map(place).collect())
        };
        let mut environment = Environment::new(&self.registry, &plan.consumers).map_err(in_plan)?;
        let previous = self.shared.snapshot.load();
        let generation = previous.generation + 1;
        let compiler = Compiler {
            previous: &previous,
            workers: self.workers.len(),
            environment: &mut environment,
            now_ns: clock::now_ns(),
            now_unix: clock::unix_ns() / 1_000_000_000,
            challenges: &self.challenges,
            tokens: &self.tokens,
            errors: Vec::new(),
            warnings: Vec::new(),
            unsound_pools: Vec::new(),
            changed: Changed::default(),
        };
        let result = compiler.compile(plan, generation).map_err(ApplyError::Plan)?;
        Ok((result, environment))
    }

    /// A drain that began while the plan was compiled has not closed what would be bound now. One that begins after this waits for
    /// `control`, and closes that.
    fn bind(&self, control: &Control, snapshot: &Snapshot) -> Result<(Vec<Bound>, Vec<Desks>), ApplyError> {
        if self.shared.draining.load(Ordering::SeqCst) {
            return Err(ApplyError::Draining);
        }
        let desks = control.desks.bind(snapshot.dns.as_deref(), self.workers.len())?;
        Ok((control.listening.bind(snapshot, self.workers.len())?, desks))
    }

    fn listen(&self, control: &mut Control, snapshot: &Snapshot, bound: Vec<Bound>, desks: Vec<Desks>) {
        for Desks { planned, sockets } in desks {
            for (worker, pair) in self.workers.iter().zip(sockets) {
                for socket in pair {
                    worker.send(Command::OpenDesk { planned, socket });
                }
            }
        }
        for bound in &bound {
            let (listener, planned) = &bound.place;
            for (worker, socket) in bound.shares(self.workers.len()) {
                if let (Some(worker), Ok(socket)) = (self.workers.get(worker), socket) {
                    worker.send(Command::Listen { listener: listener.clone(), planned: *planned, socket });
                }
            }
        }
        let (released, all_released) = std::sync::mpsc::channel();
        // Our own descriptors are closed first: the workers empty the queues right before they close theirs.
        for address in control.desks.settle(snapshot.dns.as_deref()) {
            for worker in &self.workers {
                worker.send(Command::CloseDesk { address, released: released.clone() });
            }
        }
        for (listener, address) in control.listening.settle(snapshot, bound) {
            for worker in &self.workers {
                let (listener, released) = (listener.clone(), released.clone());
                worker.send(Command::Unlisten { listener, address, released });
            }
        }
        drop(released);
        let is_listening = !control.listening.is_empty() || !control.desks.is_empty();
        self.is_listening.store(is_listening, Ordering::Release);
        // The next plan may want these addresses again.
        let _ = all_released.recv_timeout(PATIENCE);
    }

    /// Takes over listening sockets that another process has opened; those of plans to come are then not bound anew. The caller keeps
    /// its descriptors. `joins`: that process still has the nameserver's addresses, which the next plan shares until it has ended.
    ///
    /// # Errors
    /// One of them is no listening TCP socket; then none is taken.
    pub fn adopt(&self, descriptors: &[RawFd], joins: bool) -> io::Result<()> {
        let mut control = self.control.lock();
        control.listening.adopt(descriptors)?;
        control.desks.joins = joins;
        Ok(())
    }

    /// Closes adopted sockets that no plan has asked for; their addresses.
    pub fn release_unclaimed(&self) -> Vec<SocketAddr> {
        self.control.lock().listening.release_unclaimed()
    }

    /// The listening sockets, for a process that takes over. They are open until the next plan, drain or stop.
    pub fn descriptors(&self) -> Vec<RawFd> {
        self.control.lock().listening.descriptors()
    }

    fn change_log(&self, control: &mut Control, log: Option<(plan::AccessLog, AccessLog)>) {
        for worker in &self.workers {
            worker.send(Command::Log(log.as_ref().map(|(_, log)| log.writer())));
        }
        control.log = log;
    }

    /// Changes one server at run time; what is `None` stays. False if there is no such pool or server. On the hashing schedulers a
    /// weight other than 0 takes effect with the next configuration, because their tables are built from it.
    pub fn set_server(
        &self,
        pool: &str,
        server: &str,
        weight: Option<u32>,
        enabled: Option<bool>,
        draining: Option<bool>,
    ) -> bool {
        let snapshot = self.shared.snapshot.load();
        let found = snapshot
            .pool(pool)
            .and_then(|pool| pool.servers.iter().find(|known| known.state.name() == server));
        let Some(server) = found else { return false };
        if let Some(weight) = weight {
            server.state.set_weight(weight);
        }
        if let Some(enabled) = enabled {
            server.enabled.store(enabled, Ordering::Relaxed);
        }
        if let Some(draining) = draining {
            server.draining.store(draining, Ordering::Relaxed);
        }
        server.settle_standing();
        true
    }

    /// Answers these HTTP-01 challenges and no others: key authorizations by token.
    pub fn set_challenges(&self, tokens: HashMap<String, String>) {
        self.tokens.replace(tokens);
    }

    /// Answers these TLS-ALPN-01 challenges and no others: certificates by name.
    ///
    /// # Errors
    /// What is wrong with which; all stays as it was then.
    pub fn set_challenge_certificates(
        &self,
        certificates: &HashMap<String, PemPair>,
    ) -> Result<(), Vec<trunkline_tls::Problem>> {
        self.challenges.replace(certificates)
    }

    /// Takes a server for down until its checks say otherwise, because somebody's checks have found it so. False if there is no such
    /// pool or server, or it is not checked.
    pub fn set_unhealthy(&self, pool: &str, server: &str, detail: &str) -> bool {
        let snapshot = self.shared.snapshot.load();
        let Some(pool) = snapshot.pool(pool).filter(|pool| pool.plan.health.is_some()) else { return false };
        let Some(server) = pool.servers.iter().find(|known| known.state.name() == server) else {
            return false;
        };
        detail.clone_into(&mut server.check.detail.lock());
        server.state.set_healthy(false, clock::now_ns());
        true
    }

    /// True once a plan has been applied with its listeners bound.
    pub fn listeners_ready(&self) -> bool {
        !self.shared.draining.load(Ordering::Relaxed) && self.is_listening.load(Ordering::Acquire)
    }

    /// Opens the access log's file again, after log rotation has moved it.
    pub fn reopen_logs(&self) {
        if let Some((_, log)) = &self.control.lock().log {
            log.reopen();
        }
    }

    pub(crate) fn log_counts(&self) -> Option<access::Counts> {
        self.control.lock().log.as_ref().map(|(_, log)| log.counts())
    }

    /// Client connections that are open.
    pub fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Stops accepting; idle connections are closed, the others after their present request.
    pub fn drain(&self) {
        drop(self.end_accepting(false));
    }

    /// Stops accepting, because another process accepts on the same sockets. Idle connections are left to their next request, which is
    /// their last: a client that is told so loses nothing, one whose connection is closed under its request does.
    pub fn retire(&self) {
        drop(self.end_accepting(true));
    }

    /// The receiver hears of the end of the last socket.
    fn end_accepting(&self, lingering: bool) -> Receiver<()> {
        self.shared.lingering.store(lingering, Ordering::SeqCst);
        self.shared.draining.store(true, Ordering::SeqCst);
        // The workers' descriptors are the last: they empty the queues right before they close them.
        let mut control = self.control.lock();
        control.listening.clear();
        control.desks.clear();
        drop(control);
        let (released, all_released) = std::sync::mpsc::channel();
        self.workers.iter().for_each(|worker| worker.send(Command::Drain(released.clone())));
        all_released
    }

    /// Leaves those that were retired `linger`, drains for the rest of `grace`, and stops the workers. True if no connection had to be
    /// cut.
    pub fn stop(&self, grace: Duration, linger: Duration) -> bool {
        let until = Instant::now() + grace;
        if self.shared.lingering.load(Ordering::SeqCst) {
            self.all_closed_by(until.min(Instant::now() + linger));
        }
        // Whoever is still in a queue becomes an open connection first.
        let _ = self.end_accepting(false).recv_timeout(PATIENCE);
        let clean = self.all_closed_by(until);
        if !clean {
            self.workers.iter().for_each(|worker| worker.send(Command::Cut));
            self.all_closed_by(Instant::now() + PATIENCE);
        }
        self.end();
        clean
    }

    fn all_closed_by(&self, until: Instant) -> bool {
        while self.open_connections() > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.open_connections() == 0
    }

    fn end(&self) {
        let ended: Vec<_> = self
            .workers
            .iter()
            .map(|worker| {
                let (sender, receiver) = oneshot::channel();
                worker.send(Command::Stop(sender));
                receiver
            })
            .collect();
        drop(ended);
        for worker in &self.workers {
            if let Some(thread) = worker.thread.lock().take() {
                let _ = thread.join();
            }
        }
        let mut control = self.control.lock();
        if let Some((_, log)) = control.log.take() {
            log.stop(Duration::from_secs(2));
        }
        control.checkers.stop();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end();
    }
}

impl Handle {
    /// A worker that has ended needs no orders.
    fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

impl Control {
    /// Opens the planned log if it differs from the open one.
    fn open_log(&self, planned: Option<&plan::AccessLog>) -> Result<LogChange, ApplyError> {
        if self.log.as_ref().map(|(plan, _)| plan) == planned {
            return Ok(LogChange::Keep);
        }
        let Some(planned) = planned else { return Ok(LogChange::Close) };
        let sink = if planned.path == "-" { Sink::Stdout } else { Sink::File(planned.path.clone().into()) };
        let config = access::Config {
            sample_one_in: planned.sample,
            always_errors: planned.always_errors,
            ..access::Config::new(sink)
        };
        Ok(LogChange::Open(planned.clone(), AccessLog::start(config)?))
    }
}

fn spawn(index: usize, shared: &Arc<Shared>) -> io::Result<Handle> {
    let (commands, orders) = unbounded_channel();
    let shared = Arc::clone(shared);
    let (ready, started) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new()
        .name(format!("trunkline-{index}"))
        .spawn(move || Worker::run(index, shared, orders, &ready))?;
    started.recv().map_err(io::Error::other)??;
    Ok(Handle { commands, thread: Mutex::new(Some(thread)) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn listening() -> (Engine, Plan) {
        let listener = serde_json::json!({ "name": "l", "addresses": ["127.0.0.1:0"], "routes": [] });
        let plan = serde_json::json!({ "listeners": [listener], "pools": [] });
        let engine = Engine::start(1).unwrap();
        engine.apply(serde_json::from_value(plan.clone()).unwrap(), true).unwrap();
        (engine, serde_json::from_value(plan).unwrap())
    }

    #[test]
    fn a_drained_engine_binds_nothing_again() {
        let (engine, plan) = listening();
        engine.drain();
        assert!(matches!(engine.apply(plan, true), Err(ApplyError::Draining)));
        assert!(!engine.listeners_ready());
        assert!(engine.descriptors().is_empty());
    }

    #[test]
    fn readiness_does_not_wait_for_a_plan_that_compiles() {
        let engine = Arc::new(listening().0);
        let (asked, answer) = (Arc::clone(&engine), std::sync::mpsc::channel());
        let compiling = engine.control.lock();
        std::thread::spawn(move || answer.0.send(asked.listeners_ready()));
        let ready = answer.1.recv_timeout(Duration::from_secs(10));
        drop(compiling);
        assert_eq!(ready, Ok(true));
    }
}
