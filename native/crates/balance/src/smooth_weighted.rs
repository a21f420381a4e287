//! Smooth weighted round robin, in nginx's order: weights 5, 1, 1 give a a b a c a a, not a a a a a b c.
//!
//! Source: `ngx_http_upstream_get_peer` (`ngx_http_upstream_round_robin.c`): everyone eligible gains its weight, the
//! largest wins (the first on ties) and pays the sum. `tests/vectors/nginx_swrr` holds recorded orders.

use crate::screen::Screen;

/// Weights are multiplied by this so that a slow-start share of a small weight is more than 0; the order does not
/// depend on it.
const SCALE: f64 = 1000.0;

#[derive(Debug, Clone)]
pub(crate) struct SmoothWeighted {
    /// In the order of the servers; |current| stays below the sum of scaled weights, so 64 bits do not overflow.
    current: Vec<i64>,
}

impl SmoothWeighted {
    pub(crate) fn new(servers: usize) -> Self {
        Self { current: vec![0; servers] }
    }

    pub(crate) fn pick(&mut self, screen: &Screen) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<usize> = None;
        for position in screen.admitted_from(0) {
            let weight =
                (f64::from(screen.servers[position].weight()) * SCALE * screen.share(position)) as i64;
            self.current[position] += weight;
            total += weight;
            if best.is_none_or(|best| self.current[position] > self.current[best]) {
                best = Some(position);
            }
        }
        self.current[best?] -= total;
        best
    }
}
