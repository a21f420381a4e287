//! Round robin: each eligible server in turn.

use crate::random::Random;
use crate::screen::Screen;
use crate::slow_start::keeps;

#[derive(Debug, Clone, Default)]
pub(crate) struct RoundRobin {
    /// Whose turn it is; always a valid position, but 0 for no servers.
    next: usize,
}

impl RoundRobin {
    pub(crate) fn begin_at(&mut self, position: usize) {
        self.next = position;
    }

    pub(crate) fn pick(&mut self, screen: &Screen, random: &mut Random) -> Option<usize> {
        let found = screen
            .admitted_from(self.next)
            .find(|&position| keeps(screen.share(position), || random.next()))
            .or_else(|| screen.admitted_from(self.next).next())?;
        self.next = if found + 1 == screen.len() { 0 } else { found + 1 };
        Some(found)
    }
}
