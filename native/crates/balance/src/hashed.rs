//! Hashing and consistent hashing: the key's server, or the next in the key's own order when that one is out.
//!
//! Keys of eligible servers never move because another is out. With a load bound, a server that has more than its
//! ceiling of requests in flight passes keys on (see `trunkline_hashring::capacity`).

use std::sync::Arc;

use trunkline_hashring::{Node, Ring, RingKind, capacity, mix64, xxh64};

use crate::screen::Screen;
use crate::slow_start::keeps;
use crate::{Error, Server};

/// Shared by the balancers of all workers: a table may have megabytes.
#[derive(Debug, Clone)]
pub(crate) struct Hashed {
    ring: Arc<Ring>,
}

impl Hashed {
    pub(crate) fn new(kind: RingKind, servers: &[Arc<Server>]) -> Result<Self, Error> {
        let nodes = servers.iter().map(|server| Node::new(server.name(), server.weight())).collect();
        Ok(Self { ring: Arc::new(Ring::new(kind, nodes)?) })
    }

    /// First with slow start and the load bound; they only pass a key on, so without them if nobody else takes it.
    pub(crate) fn pick(&self, screen: &Screen, key: &[u8]) -> Option<usize> {
        let bound = Bound::new(screen);
        let keeps_key = |position| keeps(screen.share(position), || mix64(xxh64(key, 1) ^ position as u64));
        self.ring
            .lookup_where(key, |position| {
                screen.admits(position) && keeps_key(position) && bound.has_room(screen, position)
            })
            .or_else(|| self.ring.lookup_where(key, |position| screen.admits(position)))
    }
}

/// The load bound as of this pick, over eligible servers.
struct Bound {
    /// `None`: no bound.
    factor: Option<f64>,
    total_active: u64,
    total_weight: u64,
}

impl Bound {
    fn new(screen: &Screen) -> Self {
        let mut bound =
            Self { factor: screen.request.settings.load_factor, total_active: 0, total_weight: 0 };
        if bound.factor.is_some() {
            for server in screen.admitted_from(0).map(|position| &screen.servers[position]) {
                bound.total_active += u64::from(server.active());
                bound.total_weight += u64::from(server.weight());
            }
        }
        bound
    }

    fn has_room(&self, screen: &Screen, position: usize) -> bool {
        self.factor.is_none_or(|factor| {
            let server = &screen.servers[position];
            let most = capacity(factor, u64::from(server.weight()), self.total_weight, self.total_active + 1);
            u64::from(server.active()) < most
        })
    }
}
