//! What chains are compiled in. A [`Registry`] belongs to the engine and lives as long as it; an [`Environment`] is one
//! configuration being built from it: it takes over every limiter and breaker whose name and settings stayed the same, and
//! replaces the registry's content when it is committed. One that is dropped changes nothing.

use std::sync::Arc;

use parking_lot::Mutex;
use trunkline_breaker::{Breaker, Counts, Phase, Settings};
use trunkline_ratelimit::{KeyedLimiter, Quota};

use crate::clock::WallClock;
use crate::consumers::Consumers;
use crate::error::Error;
use crate::plan::Consumer;
use crate::shared::Shared;

/// A limiter's identity beside its name: a change of any part starts the counts anew.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LimiterSettings {
    pub(crate) quota: Quota,
    /// As in the plan: `ip`, `consumer`, `api`, `header:NAME`.
    pub(crate) key: String,
    pub(crate) capacity: usize,
}

#[derive(Debug, Default, Clone)]
struct Kept {
    limiters: Shared<LimiterSettings, KeyedLimiter>,
    breakers: Shared<Settings, Breaker>,
}

/// Limiters and breakers of the configuration in force.
#[derive(Debug)]
pub struct Registry {
    kept: Mutex<Kept>,
    wall: Arc<WallClock>,
    seed: [u64; 2],
}

/// One limiter, for the admin API.
#[derive(Debug, Clone, PartialEq)]
pub struct LimiterStatus {
    pub name: String,
    pub key: String,
    pub quota: Quota,
    /// Keys in the table and keys there is room for.
    pub keys: usize,
    pub capacity: usize,
    /// Keys forgotten with part of their quota used, and calls judged together because no place was free.
    pub evicted: u64,
    pub overflowed: u64,
}

/// One breaker, for the admin API.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerStatus {
    pub name: String,
    pub phase: Phase,
    pub counts: Counts,
    pub settings: Settings,
}

impl Registry {
    /// `seed` makes this process's request ids its own: 128 random bits.
    pub fn new(wall: Arc<WallClock>, seed: [u64; 2]) -> Self {
        Self { kept: Mutex::default(), wall, seed }
    }

    /// Every limiter in use, by name.
    pub fn limiters(&self) -> Vec<LimiterStatus> {
        let status =
            |(name, settings, limiter): (&str, &LimiterSettings, &Arc<KeyedLimiter>)| LimiterStatus {
                name: name.to_owned(),
                key: settings.key.clone(),
                quota: settings.quota,
                keys: limiter.len(),
                capacity: limiter.capacity(),
                evicted: limiter.evicted(),
                overflowed: limiter.overflowed(),
            };
        self.kept.lock().limiters.iter().map(status).collect()
    }

    /// Every breaker in use, by name.
    pub fn breakers(&self, now_ns: u64) -> Vec<BreakerStatus> {
        let status = |(name, settings, breaker): (&str, &Settings, &Arc<Breaker>)| BreakerStatus {
            name: name.to_owned(),
            phase: breaker.state(now_ns),
            counts: breaker.counts(now_ns),
            settings: settings.clone(),
        };
        self.kept.lock().breakers.iter().map(status).collect()
    }
}

/// One configuration under construction.
#[derive(Debug)]
pub struct Environment<'r> {
    registry: &'r Registry,
    previous: Kept,
    next: Kept,
    pub(crate) consumers: Arc<Consumers>,
}

impl<'r> Environment<'r> {
    /// # Errors
    /// Everything that is wrong with the consumers.
    pub fn new(registry: &'r Registry, consumers: &[Consumer]) -> Result<Self, Vec<Error>> {
        let consumers = Arc::new(Consumers::compile(consumers)?);
        Ok(Self { registry, previous: registry.kept.lock().clone(), next: Kept::default(), consumers })
    }

    /// Makes this configuration's limiters and breakers the registry's. Call it when every chain has compiled; what the
    /// new configuration does not use is dropped with the last old chain.
    pub fn commit(self) {
        *self.registry.kept.lock() = self.next;
    }

    pub(crate) fn wall(&self) -> &Arc<WallClock> {
        &self.registry.wall
    }

    pub(crate) fn seed(&self) -> [u64; 2] {
        self.registry.seed
    }

    pub(crate) fn limiter(
        &mut self,
        name: &str,
        settings: LimiterSettings,
    ) -> Result<Arc<KeyedLimiter>, String> {
        // Four per thread are plenty, says trunkline-ratelimit; these serve 16 threads.
        const SHARDS: usize = 64;
        let make = |settings: &LimiterSettings| KeyedLimiter::new(settings.quota, settings.capacity, SHARDS);
        self.next.limiters.obtain(&self.previous.limiters, name, settings, make)
    }

    pub(crate) fn breaker(&mut self, name: &str, settings: Settings) -> Result<Arc<Breaker>, String> {
        let make = |settings: &Settings| Breaker::new(settings.clone());
        self.next.breakers.obtain(&self.previous.breakers, name, settings, make)
    }
}
