//! Least connections: the eligible server that one more request would load least; ties go round robin.

use crate::cost::Cost;
use crate::screen::Screen;

#[derive(Debug, Clone)]
pub(crate) struct LeastConnections {
    cost: Cost,
    /// Where the search begins, which decides ties; always a valid position, but 0 for no servers.
    start: usize,
}

impl LeastConnections {
    pub(crate) fn new(cost: Cost) -> Self {
        Self { cost, start: 0 }
    }

    pub(crate) fn begin_at(&mut self, position: usize) {
        self.start = position;
    }

    pub(crate) fn pick(&mut self, screen: &Screen) -> Option<usize> {
        let (_, found) = screen
            .admitted_from(self.start)
            .map(|position| (self.cost.of(screen, position), position))
            .min_by(|left, right| left.0.total_cmp(&right.0))?;
        self.start = if found + 1 == screen.len() { 0 } else { found + 1 };
        Some(found)
    }
}
