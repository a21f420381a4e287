//! Power of two choices: two eligible servers at random, the one that a request would cost less.
//!
//! Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (2001): nearly as even as looking at all,
//! in constant time, and without the herd that all workers' seeing the same "least loaded" server makes.

use crate::cost::Cost;
use crate::random::Random;
use crate::screen::Screen;

/// Draws before walking to the next eligible server, which is less random: with half of the servers out, one pick in 256.
const DRAWS: usize = 8;

#[derive(Debug, Clone)]
pub(crate) struct PowerOfTwo {
    cost: Cost,
}

impl PowerOfTwo {
    pub(crate) fn new(cost: Cost) -> Self {
        Self { cost }
    }

    pub(crate) fn pick(&self, screen: &Screen, random: &mut Random) -> Option<usize> {
        let first = draw(screen, random, None)?;
        let second = draw(screen, random, Some(first)).unwrap_or(first);
        Some(if self.cost.of(screen, second) < self.cost.of(screen, first) { second } else { first })
    }
}

/// A random eligible position other than `except`.
fn draw(screen: &Screen, random: &mut Random, except: Option<usize>) -> Option<usize> {
    let mut drawn = 0;
    for _ in 0..DRAWS.min(screen.len() * DRAWS) {
        drawn = random.below(screen.len());
        if Some(drawn) != except && screen.admits(drawn) {
            return Some(drawn);
        }
    }
    screen.admitted_from(drawn).find(|&position| Some(position) != except)
}
