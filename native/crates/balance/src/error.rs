//! Why a balancer cannot be built as asked.

/// Every error of this crate; each is the caller's to mend, none is worth a retry.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Server names are identities and ring positions.
    #[error("server {0:?} is listed twice")]
    DuplicateServer(String),
    /// A share of servers lies between 0 and 1.
    #[error("panic threshold {0} is not between 0 and 1")]
    PanicThreshold(f64),
    /// A bound on the load must leave room.
    #[error("load factor {0} is not a finite number above 1")]
    LoadFactor(f64),
    /// No algorithm is called like this.
    #[error(
        "unknown algorithm {0:?}: use round_robin, weighted_round_robin, least_connections, \
         weighted_least_connections, hash, consistent_hash, power_of_two or peak_ewma"
    )]
    UnknownAlgorithm(String),
    /// The ring of a hashing algorithm cannot be built.
    #[error(transparent)]
    Ring(#[from] trunkline_hashring::Error),
}
