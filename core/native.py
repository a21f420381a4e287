"""The one door to the native module: nothing else imports `trunkline_native`.

Raises ImportError if the two distributions are not of the same version: the plan is a contract
between exactly these two.
"""

from importlib.metadata import version

import trunkline_native
from trunkline import __version__
from trunkline_native import Engine, PlanError

__all__ = ["Engine", "PlanError", "native_build", "native_version"]


def native_build() -> dict[str, str]:
    """How the native module was built: profile, target, rustc, commit."""
    return trunkline_native.build_info()


def native_version() -> str:
    """The version of the installed `trunkline-native` distribution."""
    return version("trunkline-native")


if native_version() != __version__:
    raise ImportError(
        f"trunkline {__version__} needs trunkline-native {__version__}, not {native_version()}; "
        "install both together"
    )
