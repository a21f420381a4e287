//! The servers of one priority and the algorithm's private state over them.

use std::sync::Arc;

use trunkline_hashring::RingKind;

use crate::cost::Cost;
use crate::hashed::Hashed;
use crate::least_connections::LeastConnections;
use crate::power_of_two::PowerOfTwo;
use crate::random::Random;
use crate::round_robin::RoundRobin;
use crate::screen::{Request, Screen};
use crate::smooth_weighted::SmoothWeighted;
use crate::{Algorithm, Error, Server};

#[derive(Debug, Clone)]
pub(crate) struct Tier {
    servers: Vec<Arc<Server>>,
    /// The caller's index of each server.
    indices: Vec<usize>,
    picker: Picker,
}

/// An enum instead of a boxed trait: the call is inlined into the pick.
#[derive(Debug, Clone)]
enum Picker {
    RoundRobin(RoundRobin),
    SmoothWeighted(SmoothWeighted),
    LeastConnections(LeastConnections),
    PowerOfTwo(PowerOfTwo),
    Hashed(Hashed),
}

impl Picker {
    fn new(algorithm: Algorithm, servers: &[Arc<Server>]) -> Result<Self, Error> {
        let count = servers.len();
        Ok(match algorithm {
            Algorithm::RoundRobin => Self::RoundRobin(RoundRobin::default()),
            Algorithm::WeightedRoundRobin => Self::SmoothWeighted(SmoothWeighted::new(count)),
            Algorithm::LeastConnections => Self::LeastConnections(LeastConnections::new(Cost::Active)),
            Algorithm::WeightedLeastConnections => {
                Self::LeastConnections(LeastConnections::new(Cost::ActivePerWeight))
            }
            Algorithm::Hash => Self::Hashed(Hashed::new(RingKind::Modulo, servers)?),
            Algorithm::ConsistentHash(kind) => Self::Hashed(Hashed::new(kind, servers)?),
            Algorithm::PowerOfTwo => Self::PowerOfTwo(PowerOfTwo::new(Cost::ActivePerWeight)),
            Algorithm::PeakEwma => Self::PowerOfTwo(PowerOfTwo::new(Cost::WaitPerWeight)),
        })
    }

    fn pick(&mut self, screen: &Screen, key: &[u8], random: &mut Random) -> Option<usize> {
        match self {
            Self::RoundRobin(picker) => picker.pick(screen, random),
            Self::SmoothWeighted(picker) => picker.pick(screen),
            Self::LeastConnections(picker) => picker.pick(screen),
            Self::PowerOfTwo(picker) => picker.pick(screen, random),
            Self::Hashed(picker) => picker.pick(screen, key),
        }
    }

    /// Workers begin at different servers, so that the first requests after a start do not all go to one.
    fn begin_at(&mut self, position: usize) {
        match self {
            Self::RoundRobin(picker) => picker.begin_at(position),
            Self::LeastConnections(picker) => picker.begin_at(position),
            Self::SmoothWeighted(_) | Self::PowerOfTwo(_) | Self::Hashed(_) => {}
        }
    }
}

impl Tier {
    /// The servers of `priority` out of all.
    pub(crate) fn new(algorithm: Algorithm, all: &[Arc<Server>], priority: u8) -> Result<Self, Error> {
        let chosen = all.iter().enumerate().filter(|(_, server)| server.priority() == priority);
        let (indices, servers): (Vec<_>, Vec<_>) =
            chosen.map(|(index, server)| (index, server.clone())).unzip();
        Ok(Self { picker: Picker::new(algorithm, &servers)?, servers, indices })
    }

    pub(crate) fn begin_at(&mut self, seed: u64) {
        self.picker.begin_at((seed % self.servers.len().max(1) as u64) as usize);
    }

    /// The caller's index of the server that the algorithm chooses.
    pub(crate) fn pick(
        &mut self,
        request: &Request,
        key: &[u8],
        random: &mut Random,
        ignore_health: bool,
    ) -> Option<usize> {
        let screen = Screen { servers: &self.servers, indices: &self.indices, request, ignore_health };
        // The algorithms may take this for granted: a table has up to 65 537 slots to search in vain.
        if !screen.admits_any() {
            return None;
        }
        self.picker.pick(&screen, key, random).map(|position| self.indices[position])
    }

    /// Whether the server of the caller's index is one of these, and eligible.
    pub(crate) fn admits(&self, index: usize, request: &Request, ignore_health: bool) -> bool {
        let screen = Screen { servers: &self.servers, indices: &self.indices, request, ignore_health };
        self.indices.iter().position(|known| *known == index).is_some_and(|position| screen.admits(position))
    }

    /// Whether anyone is eligible while health counts.
    pub(crate) fn has_sound_server(&self, request: &Request) -> bool {
        Screen { servers: &self.servers, indices: &self.indices, request, ignore_health: false }.admits_any()
    }

    /// Whether the share of healthy servers, among those in rotation, is below `threshold`.
    pub(crate) fn panics(&self, threshold: f64, now_ns: u64) -> bool {
        if threshold <= 0.0 {
            return false;
        }
        let in_rotation = self.servers.iter().filter(|server| server.in_rotation());
        let (mut sound, mut all) = (0_u32, 0_u32);
        for server in in_rotation {
            sound += u32::from(server.sound(now_ns));
            all += 1;
        }
        f64::from(sound) < threshold * f64::from(all)
    }

    /// The callers' indices of its servers.
    pub(crate) fn indices(&self) -> &[usize] {
        &self.indices
    }
}
