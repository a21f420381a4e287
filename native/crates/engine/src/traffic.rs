//! Traffic management of the plan, compiled. What has errors is noted and taken for absent: such a plan is never served.

use std::collections::HashMap;
use std::sync::Arc;

use trunkline_filter::Sticky;
use trunkline_telemetry::{Counter, PerWorker};
use trunkline_traffic::{Hedge, Mirror, Split};

use crate::bulkhead::Bulkhead;
use crate::compile::Compiler;
use crate::hash_key::HashKey;
use crate::hedge::Hedging;
use crate::mirror::Target;
use crate::plan;
use crate::sides::{Division, Sides};
use crate::snapshot::{Pool, Route};

/// The pools of a plan by name.
pub(crate) type Pools<'p> = HashMap<&'p str, &'p Arc<Pool>>;

impl Compiler<'_, '_> {
    /// Where a route's requests go; `None` if that is not known.
    pub(crate) fn sides(
        &mut self,
        path: &str,
        planned: &plan::Route,
        pools: &Pools<'_>,
        before: Option<&Route>,
    ) -> Option<Sides> {
        if planned.split.is_empty() {
            let name = planned.pool.as_deref().unwrap_or_default();
            return self.known_pool(&format!("{path}.pool"), name, pools).map(Sides::one);
        }
        let split = Split::compile(&planned.split, &planned.name);
        let split = split.map_err(|error| self.error(format!("{path}.{}", error.key), error.problem)).ok();
        let key = self.split_key(path, planned.split_by.as_deref());
        let named = planned.split.iter().enumerate().map(|(number, share)| {
            self.known_pool(&format!("{path}.split[{number}].pool"), &share.pool, pools)
        });
        let found: Vec<_> = named.collect();
        let before = before.and_then(|before| before.sides.division.as_ref());
        let division = Division {
            split: split?,
            key,
            counts: planned.split.iter().map(|share| self.counts(share, before)).collect(),
            plan: planned.split.clone(),
            by: planned.split_by.clone(),
        };
        Sides::several(found.into_iter().collect::<Option<_>>()?, division)
    }

    pub(crate) fn hedging(
        &mut self,
        path: &str,
        planned: Option<&plan::Hedge>,
        before: Option<&Route>,
    ) -> Option<Hedging> {
        let planned = planned?;
        let hedge = Hedge::compile(planned);
        let hedge = hedge.map_err(|error| self.error(format!("{path}.{}", error.key), error.problem)).ok()?;
        let known = before.and_then(|before| before.hedging.as_ref()).map(|known| Arc::clone(&known.cells));
        let cells = known.unwrap_or_else(|| Arc::new(PerWorker::new(self.workers)));
        Some(Hedging { hedge, plan: planned.clone(), cells })
    }

    /// A mirror's pool gets what none of the sides is.
    pub(crate) fn mirror(
        &mut self,
        path: &str,
        planned: &plan::Route,
        sides: &Sides,
        pools: &Pools<'_>,
        before: Option<&Route>,
    ) -> Option<Target> {
        let wanted = planned.mirror.as_ref()?;
        let mirror = Mirror::compile(wanted);
        let mirror = mirror.map_err(|error| self.error(format!("{path}.{}", error.key), error.problem)).ok();
        let at = format!("{path}.mirror.pool");
        let pool = self.known_pool(&at, &wanted.pool, pools)?;
        if sides.all().any(|side| side.name == pool.name) {
            self.error(at, "would get each request twice");
        }
        let known = before.and_then(|before| before.mirror.as_ref()).map(|known| Arc::clone(&known.cells));
        let cells = known.unwrap_or_else(|| Arc::new(PerWorker::new(self.workers)));
        Some(Target { pool, mirror: mirror?, plan: wanted.clone(), cells })
    }

    fn counts(&self, share: &plan::Share, before: Option<&Division>) -> Arc<PerWorker<Counter>> {
        let known = before.and_then(|before| before.counts_of(&share.pool));
        known.unwrap_or_else(|| Arc::new(PerWorker::new(self.workers)))
    }

    fn split_key(&mut self, path: &str, planned: Option<&str>) -> Option<HashKey> {
        let text = planned?;
        let key = HashKey::parse(text)
            .filter(|key| matches!(key, HashKey::Ip | HashKey::Header(_) | HashKey::Cookie(_)));
        if key.is_none() {
            let valid = "valid are ip, header:NAME and cookie:NAME";
            self.error(format!("{path}.split_by"), format!("`{text}`: {valid}"));
        }
        key
    }

    fn known_pool(&mut self, path: &str, name: &str, pools: &Pools<'_>) -> Option<Arc<Pool>> {
        let pool = pools.get(name).copied().cloned();
        if pool.is_none() && !self.unsound_pools.iter().any(|unsound| unsound == name) {
            self.error(path, format!("there is no pool `{name}`"));
        }
        pool
    }

    pub(crate) fn sticky(&mut self, path: &str, planned: &plan::Pool) -> Option<Sticky> {
        let servers: Vec<&str> = planned.servers.iter().map(|server| server.name.as_str()).collect();
        match Sticky::compile(planned.sticky.as_ref()?, &planned.name, &servers) {
            Ok(sticky) => Some(sticky),
            Err(errors) => {
                for error in errors {
                    let (key, problem) = error.split_once(": ").unwrap_or(("name", &error));
                    self.error(format!("{path}.sticky.{key}"), problem);
                }
                None
            }
        }
    }

    /// The limit of a pool or a route; with an equal plan it is the one that was, with everything that is under way.
    pub(crate) fn bulkhead(
        &mut self,
        path: &str,
        planned: Option<&plan::Concurrency>,
        before: Option<&Arc<Bulkhead>>,
    ) -> Option<Arc<Bulkhead>> {
        let planned = planned?;
        if let Some(same) = before.filter(|before| before.plan == *planned) {
            return Some(Arc::clone(same));
        }
        match Bulkhead::new(planned) {
            Ok(bulkhead) => Some(Arc::new(bulkhead)),
            Err(error) => {
                let path = format!("{path}.concurrency.{}", planned_key(error.name));
                self.error(path, format!("must be {}, not {}", error.valid, error.value));
                None
            }
        }
    }
}

/// The plan's name of a setting.
fn planned_key(setting: &str) -> &str {
    match setting {
        "limit" | "maximum" => "max",
        "minimum" => "adaptive.min",
        "initial" => "adaptive.initial",
        "tolerance" => "adaptive.tolerance",
        "smoothing" => "adaptive.smoothing",
        "window_ns" => "adaptive.window",
        other => other,
    }
}
