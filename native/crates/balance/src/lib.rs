//! # trunkline-balance: Choosing a server: schedulers over a set with weights, health, draining, slow start, priorities.
