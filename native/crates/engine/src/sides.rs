//! Where a route's requests go: to one pool, or to several by a split. A request stays on its side, whatever becomes of its tries.

use std::net::IpAddr;
use std::sync::Arc;

use trunkline_http::RequestHead;
use trunkline_telemetry::{Counter, PerWorker};
use trunkline_traffic::Split;

use crate::hash_key::HashKey;
use crate::plan;
use crate::snapshot::Pool;

pub(crate) struct Sides {
    /// The only pool, or the split's first.
    first: Arc<Pool>,
    others: Box<[Arc<Pool>]>,
    pub(crate) division: Option<Division>,
}

/// A split: who goes where.
pub(crate) struct Division {
    pub(crate) split: Split,
    /// `None` = by turns.
    pub(crate) key: Option<HashKey>,
    pub(crate) plan: Vec<plan::Share>,
    /// As planned.
    pub(crate) by: Option<String>,
    /// Requests that each side got, by worker.
    pub(crate) counts: Box<[Arc<PerWorker<Counter>>]>,
}

impl Sides {
    pub(crate) fn one(pool: Arc<Pool>) -> Self {
        Self { first: pool, others: Box::default(), division: None }
    }

    /// `None` if there are no pools.
    pub(crate) fn several(pools: Vec<Arc<Pool>>, division: Division) -> Option<Self> {
        let mut pools = pools.into_iter();
        Some(Self { first: pools.next()?, others: pools.collect(), division: Some(division) })
    }

    /// The side of a request.
    pub(crate) fn side(&self, head: &RequestHead<'_, '_>, client: IpAddr, turn: u64) -> usize {
        self.division.as_ref().map_or(0, |division| division.side(head, client, turn))
    }

    pub(crate) fn pool(&self, side: usize) -> &Arc<Pool> {
        match side {
            0 => &self.first,
            other => self.others.get(other - 1).unwrap_or(&self.first),
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Pool>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The only pool.
    pub(crate) fn only(&self) -> Option<&Arc<Pool>> {
        self.division.is_none().then_some(&self.first)
    }

    /// The pool that a request got, or would have got in any case.
    pub(crate) fn used(&self, side: Option<usize>) -> Option<&Arc<Pool>> {
        side.map(|side| self.pool(side)).or(self.only())
    }
}

impl Division {
    /// Who lacks what the split goes by is divided by turns.
    fn side(&self, head: &RequestHead<'_, '_>, client: IpAddr, turn: u64) -> usize {
        let key = self.key.as_ref().map(|key| key.of(head, client)).filter(|key| !key.is_empty());
        key.map_or_else(|| self.split.choose(turn), |key| self.split.choose_by(&key))
    }

    /// What a side has counted, for the configuration that comes after.
    pub(crate) fn counts_of(&self, pool: &str) -> Option<Arc<PerWorker<Counter>>> {
        self.plan
            .iter()
            .zip(&self.counts)
            .find(|(share, _)| share.pool == pool)
            .map(|(_, counts)| Arc::clone(counts))
    }

    pub(crate) fn count(&self, side: usize, worker: usize) {
        if let Some(counts) = self.counts.get(side) {
            counts.get(worker).inc();
        }
    }

    /// Each side's pool with what it got.
    pub(crate) fn requests(&self) -> impl Iterator<Item = (&plan::Share, u64)> {
        let sum = |counts: &Arc<PerWorker<Counter>>| counts.iter().map(Counter::get).sum();
        self.plan.iter().zip(self.counts.iter().map(sum))
    }
}
