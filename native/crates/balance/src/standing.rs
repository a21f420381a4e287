//! What `explain` says about a server.

/// Whether a server is chosen from right now, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Standing {
    /// It takes its share.
    Eligible,
    /// It takes a growing share after its return.
    Warming {
        /// In [0.1, 1).
        share: f64,
    },
    /// It would serve, but a lower priority number does.
    Standby,
    /// It is not healthy, but used because too few others are.
    Panic,
    /// Its health checks fail.
    Unhealthy,
    /// It failed real requests and is left out for a while.
    Ejected {
        /// When it comes back.
        until_ns: u64,
    },
    /// It finishes what it has.
    Draining,
    /// Its weight is 0.
    WeightZero,
    /// It has as many requests in flight as it may.
    Full,
}

impl Standing {
    /// A word for status pages and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Eligible => "eligible",
            Self::Warming { .. } => "warming",
            Self::Standby => "standby",
            Self::Panic => "panic",
            Self::Unhealthy => "unhealthy",
            Self::Ejected { .. } => "ejected",
            Self::Draining => "draining",
            Self::WeightZero => "weight_zero",
            Self::Full => "full",
        }
    }

    /// Whether a pick may answer this server.
    pub fn serves(&self) -> bool {
        matches!(self, Self::Eligible | Self::Warming { .. } | Self::Panic)
    }
}
