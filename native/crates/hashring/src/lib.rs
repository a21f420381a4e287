//! # trunkline-hashring: Consistent hashing: ketama, Maglev, jump, rendezvous, bounded load.
