//! The last failures, for the status page and `trunkline status`: what a counter cannot tell. Each reason has room of its own, so that
//! a flood of one does not push the others out.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;
use serde::Serialize;

use crate::failure::Failure;

/// Of each reason; there are about a hundred.
const KEPT: usize = 32;

#[derive(Debug, Clone, Serialize)]
pub(crate) struct RecentError {
    /// Counts up from 1.
    pub(crate) id: u64,
    pub(crate) time_unix_ns: u64,
    pub(crate) listener: String,
    pub(crate) route: String,
    pub(crate) server: String,
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
    pub(crate) side: &'static str,
}

/// The last failures of all workers.
#[derive(Debug, Default)]
pub(crate) struct RecentErrors(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    added: u64,
    by_reason: BTreeMap<&'static str, VecDeque<RecentError>>,
}

impl RecentErrors {
    pub(crate) fn add(&self, time_unix_ns: u64, failure: Failure, listener: &str, route: &str, server: &str) {
        let mut kept = self.0.lock();
        kept.added += 1;
        let error = RecentError {
            id: kept.added,
            time_unix_ns,
            listener: listener.to_owned(),
            route: route.to_owned(),
            server: server.to_owned(),
            status: failure.status,
            reason: failure.reason,
            side: failure.side.as_str(),
        };
        let errors = kept.by_reason.entry(failure.reason).or_default();
        if errors.len() == KEPT {
            errors.pop_front();
        }
        errors.push_back(error);
    }

    /// Newest first.
    pub(crate) fn list(&self) -> Vec<RecentError> {
        let mut all: Vec<RecentError> = self.0.lock().by_reason.values().flatten().cloned().collect();
        all.sort_unstable_by_key(|error| Reverse(error.id));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(errors: &RecentErrors) -> Vec<(u64, &'static str)> {
        errors.list().iter().map(|error| (error.id, error.reason)).collect()
    }

    #[test]
    fn a_flood_of_one_reason_leaves_the_others() {
        let errors = RecentErrors::default();
        errors.add(1, Failure::NO_SERVER, "front", "all", "");
        for time in 0..1_000 {
            errors.add(time, Failure::ROUTE_NOT_FOUND, "front", "", "");
        }
        let told = reasons(&errors);
        assert_eq!(told.len(), KEPT + 1);
        assert_eq!((told.first(), told.last()), (Some(&(1_001, "route_not_found")), Some(&(1, "no_server"))));
    }
}
