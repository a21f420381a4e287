//! What the control plane asks for, as JSON. Unknown fields are refused.

use serde::Deserialize;

use crate::{Gradient2Settings, Rule, Settings};

/// How much of a pool or a route may be under way at once.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    /// The fixed limit, or the highest that an adaptive one may reach.
    pub max: u32,
    /// Found by Gradient2, between `min` and `max`.
    #[serde(default)]
    pub adaptive: Option<Adaptive>,
    /// How many may wait for a place.
    #[serde(default)]
    pub queue: u32,
    /// How long they wait before they are refused.
    #[serde(default = "second")]
    pub queue_timeout_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adaptive {
    pub min: u32,
    /// The limit at the start; none = 20, or the bound that is nearer.
    pub initial: Option<u32>,
    pub tolerance: f64,
    pub smoothing: f64,
    pub window_ms: u64,
}

impl Default for Adaptive {
    fn default() -> Self {
        let Gradient2Settings { minimum, tolerance, smoothing, window_ns, .. } = Gradient2Settings::default();
        Self { min: minimum, initial: None, tolerance, smoothing, window_ms: window_ns / 1_000_000 }
    }
}

impl Concurrency {
    /// For [`crate::Limit::new`], which checks it.
    pub fn settings(&self) -> Settings {
        let rule = match &self.adaptive {
            None => Rule::Fixed(self.max),
            Some(adaptive) => Rule::Gradient2(adaptive.settings(self.max)),
        };
        Settings { rule, queue: self.queue }
    }
}

impl Adaptive {
    fn settings(&self, maximum: u32) -> Gradient2Settings {
        let default = Gradient2Settings::default();
        // Not `clamp`: it panics if the bounds are the wrong way round, which is for the check to say.
        let nearest = default.initial.min(maximum).max(self.min);
        Gradient2Settings {
            initial: self.initial.unwrap_or(nearest),
            minimum: self.min,
            maximum,
            tolerance: self.tolerance,
            smoothing: self.smoothing,
            window_ns: self.window_ms.saturating_mul(1_000_000),
            ..default
        }
    }
}

fn second() -> u64 {
    1_000
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Limit;

    fn parse(json: &str) -> Concurrency {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_left_out_has_the_librarys_default() {
        let fixed = parse(r#"{"max": 7, "queue": 3}"#);
        assert_eq!(fixed.settings(), Settings { queue: 3, ..Settings::fixed(7) });
        assert_eq!(fixed.queue_timeout_ms, 1_000);
        let adaptive = parse(r#"{"max": 1000, "adaptive": {}}"#).settings();
        assert_eq!(adaptive, Settings::gradient2(Gradient2Settings::default()));
        let small = parse(r#"{"max": 8, "adaptive": {"min": 2}}"#).settings();
        let expected =
            Gradient2Settings { initial: 8, minimum: 2, maximum: 8, ..Gradient2Settings::default() };
        assert_eq!(small, Settings::gradient2(expected));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let cases = [
            (r#"{"max": 0}"#, "limit must be at least 1, not 0"),
            (r#"{"max": 3, "adaptive": {}}"#, "maximum must be at least the minimum, not 3"),
            (
                r#"{"max": 9, "adaptive": {"initial": 10}}"#,
                "initial must be between minimum and maximum, not 10",
            ),
        ];
        for (json, message) in cases {
            assert_eq!(Limit::new(parse(json).settings()).unwrap_err().to_string(), message);
        }
        assert!(serde_json::from_str::<Concurrency>(r#"{"max": 1, "min": 1}"#).is_err());
    }
}
