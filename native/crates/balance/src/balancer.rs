//! One worker's balancer: priorities, panic, and the algorithm of each priority.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::random::Random;
use crate::screen::Request;
use crate::tier::Tier;
use crate::{Error, Server, Settings, Standing};

/// Picks among shared servers. Owns only cursors and random numbers: each worker has its own, nothing is locked.
#[derive(Debug)]
pub struct Balancer {
    settings: Settings,
    servers: Arc<[Arc<Server>]>,
    /// By rising priority number.
    tiers: Vec<Tier>,
    random: Random,
}

impl Balancer {
    /// A balancer over `servers`, which may be empty; picks answer with indices into this list. `seed` is where random
    /// choices and turns begin.
    ///
    /// Hashing algorithms build their tables here, from the weights of this moment (up to 3 ms for a hundred servers): do
    /// it off the data path, once, and [`Balancer::fork`] it for each worker.
    ///
    /// # Errors
    /// [`Error::DuplicateServer`], [`Error::PanicThreshold`], [`Error::LoadFactor`], or the ring's.
    pub fn new(settings: Settings, servers: Vec<Arc<Server>>, seed: u64) -> Result<Self, Error> {
        settings.check()?;
        check_names(&servers)?;
        let priorities: BTreeSet<u8> = servers.iter().map(|server| server.priority()).collect();
        let tier = |priority| Tier::new(settings.algorithm, &servers, priority);
        let tiers = priorities.into_iter().map(tier).collect::<Result<_, _>>()?;
        let balancer = Self { settings, servers: servers.into(), tiers, random: Random::new(seed) };
        Ok(balancer.fork(seed))
    }

    /// The same for another worker: servers and tables are shared, turns begin where `seed` says.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        let mut tiers = self.tiers.clone();
        for tier in &mut tiers {
            tier.begin_at(seed);
        }
        Self { settings: self.settings, servers: Arc::clone(&self.servers), tiers, random: Random::new(seed) }
    }

    /// What it was built with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What picks answer indices of.
    pub fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    /// The server for a request, or `None` if none is eligible. `key` matters to the hashing algorithms only; `tried` are
    /// servers to leave out, because this request failed on them. Does not count: call [`Server::begin`] on the answer.
    pub fn pick(&mut self, key: &[u8], now_ns: u64, tried: &[usize]) -> Option<usize> {
        let request = Request { settings: &self.settings, now_ns, tried };
        let threshold = self.settings.panic_threshold;
        let random = &mut self.random;
        for tier in &mut self.tiers {
            let panics = tier.panics(threshold, now_ns);
            if panics && !tier.has_sound_server(&request) {
                continue;
            }
            if let Some(index) = tier.pick(&request, key, random, panics) {
                return Some(index);
            }
        }
        let mut panicking = self.tiers.iter_mut().filter(|tier| tier.panics(threshold, now_ns));
        panicking.find_map(|tier| tier.pick(&request, key, random, true))
    }

    /// Whether a request may go to that server of the list, whatever the algorithm would choose and whichever priority serves: for
    /// sessions that stay where they began.
    pub fn admits(&self, index: usize, now_ns: u64, tried: &[usize]) -> bool {
        let request = Request { settings: &self.settings, now_ns, tried };
        let threshold = self.settings.panic_threshold;
        self.tiers.iter().any(|tier| tier.admits(index, &request, tier.panics(threshold, now_ns)))
    }

    /// Each server's standing, in the order of [`Balancer::servers`]: chosen from, or why not.
    pub fn explain(&self, now_ns: u64) -> Vec<Standing> {
        let mut standings = vec![Standing::Standby; self.servers.len()];
        let serving = self.serving_tier(now_ns);
        for (position, tier) in self.tiers.iter().enumerate() {
            let used = serving == Some(position);
            let panics = used && tier.panics(self.settings.panic_threshold, now_ns);
            for &index in tier.indices() {
                standings[index] = self.standing(&self.servers[index], used, panics, now_ns);
            }
        }
        standings
    }

    /// The tier that `pick` would choose from: the first with an eligible server, else the first that panics.
    fn serving_tier(&self, now_ns: u64) -> Option<usize> {
        let request = Request { settings: &self.settings, now_ns, tried: &[] };
        let sound = self.tiers.iter().position(|tier| tier.has_sound_server(&request));
        let panics = |tier: &Tier| tier.panics(self.settings.panic_threshold, now_ns);
        sound.or_else(|| self.tiers.iter().position(panics))
    }

    fn standing(&self, server: &Server, used: bool, panics: bool, now_ns: u64) -> Standing {
        let share = server.slow_start_share(now_ns, self.settings.slow_start_ns);
        match server.objection(now_ns) {
            Some(Standing::Unhealthy | Standing::Ejected { .. }) if panics && !server.full() => {
                Standing::Panic
            }
            Some(objection) => objection,
            None if !used => Standing::Standby,
            None if share < 1.0 => Standing::Warming { share },
            None => Standing::Eligible,
        }
    }
}

fn check_names(servers: &[Arc<Server>]) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    match servers.iter().find(|server| !seen.insert(server.name())) {
        Some(server) => Err(Error::DuplicateServer(server.name().to_owned())),
        None => Ok(()),
    }
}
