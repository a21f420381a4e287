//! What one more request on a server would cost: the measure of the algorithms that look at the load.

use crate::screen::Screen;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Cost {
    /// Requests in flight, this one included.
    Active,
    /// The same per unit of weight. Counting this one makes idle servers fill in proportion to their weights.
    ActivePerWeight,
    /// The expected wait per unit of weight.
    WaitPerWeight,
}

impl Cost {
    /// A server in slow start counts as loaded in inverse proportion to its share.
    pub(crate) fn of(self, screen: &Screen, position: usize) -> f64 {
        let server = &screen.servers[position];
        let (load, weight) = match self {
            Self::Active => (f64::from(server.active()) + 1.0, 1.0),
            Self::ActivePerWeight => (f64::from(server.active()) + 1.0, f64::from(server.weight())),
            Self::WaitPerWeight => {
                (server.expected_wait_ns(screen.request.now_ns), f64::from(server.weight()))
            }
        };
        load / (weight * screen.share(position))
    }
}
