"""trunkline's native module, usable alone: hash rings, rate limiters, balancers, circuit breakers.

Every name is implemented in Rust (`native/crates`); `_native.pyi` documents them.
"""

from trunkline_native import _native
from trunkline_native._native import *  # noqa: F403 - the extension's own list is the public list

__all__ = []
__all__ += _native.__all__
