//! An exponential average that begins as a plain one: without that, the first sample would weigh for hundreds of windows.

/// Samples until which the plain average is taken (Netflix's `ExpAvgMeasurement` is made with 10).
const WARM_UP: u32 = 10;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Average {
    value: f64,
    samples: u32,
    /// Weight of a new sample: 2 / (window + 1), so that the average's centre lies half a window back.
    weight: f64,
}

impl Average {
    pub(crate) fn over(window: u32) -> Self {
        Self { value: 0.0, samples: 0, weight: 2.0 / (f64::from(window) + 1.0) }
    }

    pub(crate) fn add(&mut self, sample: f64) -> f64 {
        let weight = if self.samples < WARM_UP {
            self.samples += 1;
            1.0 / f64::from(self.samples)
        } else {
            self.weight
        };
        self.value += (sample - self.value) * weight;
        self.value
    }

    pub(crate) fn scale(&mut self, factor: f64) {
        self.value *= factor;
    }

    pub(crate) const fn value(&self) -> f64 {
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_plain_and_goes_on_exponentially() {
        let mut average = Average::over(19);
        let plain: Vec<f64> = [4.0, 8.0, 0.0].iter().map(|sample| average.add(*sample)).collect();
        assert_eq!(plain, [4.0, 6.0, 4.0]);
        for _ in 0..7 {
            average.add(4.0);
        }
        assert!((average.value() - 4.0).abs() < 1e-9);
        assert!((average.add(14.0) - 5.0).abs() < 1e-9, "a tenth of the way");
    }
}
