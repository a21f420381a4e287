//! Traffic management of the plan, compiled. What has errors is noted and taken for absent: such a plan is never served.

use std::collections::HashMap;
use std::sync::Arc;

use trunkline_telemetry::{Counter, PerWorker};
use trunkline_traffic::Split;

use crate::bulkhead::Bulkhead;
use crate::compile::Compiler;
use crate::hash_key::HashKey;
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
        "window_ns" => "adaptive.window_ms",
        other => other,
    }
}
