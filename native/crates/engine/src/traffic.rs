//! Traffic management of the plan, compiled. What has errors is noted and taken for absent: such a plan is never served.

use std::sync::Arc;

use crate::bulkhead::Bulkhead;
use crate::compile::Compiler;
use crate::plan;

impl Compiler<'_, '_> {
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
