//! # trunkline-engine: The data plane: worker threads, connections, upstream pools, health checks, snapshots.

pub mod plan;
