//! The last failures, for the status page and `trunkline status`: what a counter cannot tell.

use std::collections::VecDeque;

use parking_lot::Mutex;
use serde::Serialize;

use crate::failure::Failure;

const KEPT: usize = 64;

#[derive(Debug, Clone, Serialize)]
pub(crate) struct RecentError {
    pub(crate) time_unix_ns: u64,
    pub(crate) listener: String,
    pub(crate) route: String,
    pub(crate) server: String,
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
    pub(crate) side: &'static str,
}

/// A ring of the last failures of all workers.
#[derive(Debug, Default)]
pub(crate) struct RecentErrors(Mutex<VecDeque<RecentError>>);

impl RecentErrors {
    pub(crate) fn add(&self, time_unix_ns: u64, failure: Failure, listener: &str, route: &str, server: &str) {
        let error = RecentError {
            time_unix_ns,
            listener: listener.to_owned(),
            route: route.to_owned(),
            server: server.to_owned(),
            status: failure.status,
            reason: failure.reason,
            side: failure.side.as_str(),
        };
        let mut errors = self.0.lock();
        if errors.len() == KEPT {
            errors.pop_front();
        }
        errors.push_back(error);
    }

    /// Newest first.
    pub(crate) fn list(&self) -> Vec<RecentError> {
        self.0.lock().iter().rev().cloned().collect()
    }
}
