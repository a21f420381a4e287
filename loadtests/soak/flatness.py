"""Is it flat? A straight line through the samples of the second half. Arithmetic only.

The first half is left out: caches fill, pools grow to what the load needs, and the upgrades happen
there. Growth is the line's slope times its time, so one peak at the end is no growth and a slow
leak is. The bounds are what a fit over a few hundred noisy samples cannot tell from zero; over the
default ten minutes a leak of 4 KB a second fails.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_RSS_BOUND_BYTES = 2 * 2**20
_RSS_BOUND_SHARE = 0.02
_DESCRIPTORS_BOUND = 8
_DESCRIPTORS_BOUND_SHARE = 0.03


@dataclass(frozen=True)
class Sample:
    """One look at the serving process.

    Attributes:
        time_s: Since the start of the run.
        pid: Which process served then.
        rss_bytes: Its resident memory.
        descriptors: Its open files and sockets.
    """

    time_s: float
    pid: int
    rss_bytes: int
    descriptors: int


@dataclass(frozen=True)
class Flatness:
    """The verdict on one figure: its mean, its growth over the fitted time, what was allowed."""

    mean: float
    growth: float
    bound: float

    @property
    def is_flat(self) -> bool:
        """Falling is fine."""
        return self.growth <= self.bound


def second_half(samples: Sequence[Sample]) -> list[Sample]:
    """By time."""
    middle_s = samples[-1].time_s / 2
    return [sample for sample in samples if sample.time_s >= middle_s]


def rss_flatness(samples: Sequence[Sample]) -> Flatness:
    """In bytes."""
    points = [(sample.time_s, float(sample.rss_bytes)) for sample in samples]
    return _flatness(points, _RSS_BOUND_BYTES, _RSS_BOUND_SHARE)


def descriptor_flatness(samples: Sequence[Sample]) -> Flatness:
    """In descriptors."""
    points = [(sample.time_s, float(sample.descriptors)) for sample in samples]
    return _flatness(points, _DESCRIPTORS_BOUND, _DESCRIPTORS_BOUND_SHARE)


def _flatness(points: Sequence[tuple[float, float]], least: float, share: float) -> Flatness:
    mean = sum(value for _, value in points) / len(points)
    growth = _slope(points) * (points[-1][0] - points[0][0])
    return Flatness(mean=mean, growth=growth, bound=max(least, share * mean))


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Least squares."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    together = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return together / spread if spread else 0.0
