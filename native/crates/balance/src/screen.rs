//! One pick's view of the servers of one priority: who may be chosen at this moment.

use std::sync::Arc;

use crate::{Server, Settings};

/// What is the same for all priorities.
pub(crate) struct Request<'pick> {
    pub(crate) settings: &'pick Settings,
    pub(crate) now_ns: u64,
    /// In the caller's indices.
    pub(crate) tried: &'pick [usize],
}

pub(crate) struct Screen<'pick> {
    pub(crate) servers: &'pick [Arc<Server>],
    /// The caller's index of each server.
    pub(crate) indices: &'pick [usize],
    pub(crate) request: &'pick Request<'pick>,
    /// Panic: unhealthy and ejected servers count as well.
    pub(crate) ignore_health: bool,
}

impl Screen<'_> {
    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    /// Whether the server at `position` is eligible.
    pub(crate) fn admits(&self, position: usize) -> bool {
        let server = &self.servers[position];
        server.in_rotation()
            && (self.ignore_health || server.sound(self.request.now_ns))
            && !server.full()
            && !self.request.tried.contains(&self.indices[position])
    }

    /// Whether anyone is; mostly answered by the first server.
    pub(crate) fn admits_any(&self) -> bool {
        (0..self.len()).any(|position| self.admits(position))
    }

    /// Eligible positions, beginning at `start` (below `len`) and wrapping around.
    pub(crate) fn admitted_from(&self, start: usize) -> impl Iterator<Item = usize> {
        (start..self.len()).chain(0..start).filter(|&position| self.admits(position))
    }

    /// The slow-start share of the server at `position`.
    pub(crate) fn share(&self, position: usize) -> f64 {
        self.servers[position].slow_start_share(self.request.now_ns, self.request.settings.slow_start_ns)
    }
}
