//! How a balancer is to behave; what stays the same from pick to pick.

use std::str::FromStr;

use trunkline_hashring::RingKind;

use crate::Error;

/// `HAProxy`'s and Envoy's documentation both suggest 1.2 to 1.5 for bounded loads.
pub const DEFAULT_LOAD_FACTOR: f64 = 1.25;

/// How to choose among eligible servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Each in turn; weights are ignored (but weight 0 is out).
    RoundRobin,
    /// In proportion to the weights and evenly mixed, in nginx's order.
    WeightedRoundRobin,
    /// The fewest requests in flight.
    LeastConnections,
    /// The fewest requests in flight per weight.
    WeightedLeastConnections,
    /// The key's hash modulo the sum of weights.
    Hash,
    /// The key's place on a ring.
    ConsistentHash(RingKind),
    /// Two at random; the one with fewer requests in flight per weight.
    PowerOfTwo,
    /// Two at random; the one with the lower latency (peak-sensitive moving average) times requests in flight.
    PeakEwma,
}

/// The names used in configuration; `consistent_hash` is ketama until a ring is named.
impl FromStr for Algorithm {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "round_robin" => Ok(Self::RoundRobin),
            "weighted_round_robin" => Ok(Self::WeightedRoundRobin),
            "least_connections" => Ok(Self::LeastConnections),
            "weighted_least_connections" => Ok(Self::WeightedLeastConnections),
            "hash" => Ok(Self::Hash),
            "consistent_hash" => Ok(Self::ConsistentHash(RingKind::Ketama)),
            "power_of_two" => Ok(Self::PowerOfTwo),
            "peak_ewma" => Ok(Self::PeakEwma),
            _ => Err(Error::UnknownAlgorithm(name.to_owned())),
        }
    }
}

/// Everything a balancer needs to know beside its servers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// How to choose among eligible servers.
    pub algorithm: Algorithm,
    /// How long a server that came back takes to its full share; 0 = at once.
    pub slow_start_ns: u64,
    /// Share of healthy servers (0 to 1) below which health is ignored; 0 = never.
    pub panic_threshold: f64,
    /// For the hashing algorithms: no server holds more than this many times its share of the requests in flight.
    pub load_factor: Option<f64>,
}

impl Settings {
    /// `algorithm` without slow start, panic and load bound.
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, slow_start_ns: 0, panic_threshold: 0.0, load_factor: None }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if !(0.0..=1.0).contains(&self.panic_threshold) {
            return Err(Error::PanicThreshold(self.panic_threshold));
        }
        match self.load_factor {
            Some(factor) if !(factor.is_finite() && factor > 1.0) => Err(Error::LoadFactor(factor)),
            _ => Ok(()),
        }
    }
}
